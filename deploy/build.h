// SPDX-License-Identifier: Apache-2.0
// Building images without a daemon: layers of our own on a base image or on nothing, a config, a manifest; all straight
// into the store. The same inputs give the same bytes.
#pragma once

#include "deploy/image.h"
#include "deploy/transfer.h"

typedef struct build_spec {
  const char *name;                 // of the image
  const char *const *models;        // references, ended by NULL; the first one answers /score
  const char *base;                 // NULL or "none": nothing but the server; else a place (transfer.h)
  const char *description;          // NULL: none
  const json_t *tags, *properties;  // of the asset; as registry_words takes them
  const json_t *labels;             // of the image: an object of strings, or NULL
  int port;                         // 0: 5001
  layer_compression compression;
  transfer_options transfer;  // for the base
} build_spec;
sdx_status build_image(registry *r, const build_spec *spec, json_t **asset, fault *f);
