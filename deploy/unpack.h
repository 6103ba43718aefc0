// SPDX-License-Identifier: Apache-2.0
// An image's application on this machine: what it says of itself (application, packages, models, the server's
// arguments), without the server and the system that are in it, too. Read next: unpack.c.
#pragma once

#include <jansson.h>

#include "registry/registry.h"

// What the program of an image is started with. Lists of strings.
typedef struct image_start {
  json_t *arguments;    // of `sardonyx serve`, without the address to listen on
  json_t *environment;  // "NAME=value"
} image_start;
sdx_status image_read_start(registry *r, const json_t *image, image_start *start, fault *f);
void image_start_free(image_start *start);

// Writes the application and its packages beneath `path`, a folder that is made, and makes `start` speak of them there.
sdx_status image_unpack(registry *r, const json_t *image, const char *path, image_start *start, fault *f);
