// SPDX-License-Identifier: Apache-2.0
// What workers of a scoring script are started with: the Python, the first frame (script, folder, modules, models),
// what they may read, their environment. Made once, used for every start (admission/script.c).
#pragma once

#include <jansson.h>

#include "server/server.h"
#include "support/fault.h"

typedef struct script_setup {
  json_t *python, *start;  // what the Python says of itself; the frame
  char *programs;          // the worker's Python side
  char **read;             // ended by NULL
  char **environment;      // ended by NULL
} script_setup;

sdx_status script_setup_init(script_setup *s, const server_config *config, const models *models, fault *f);
void script_setup_deinit(script_setup *s);
