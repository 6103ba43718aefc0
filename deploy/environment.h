// SPDX-License-Identifier: Apache-2.0
// The Python of an image: the packages that a script's environment file names, and the interpreter of this machine
// where the image has no base to bring one. script/sardonyx_environment.py, run by that interpreter, says which files
// those are.
#pragma once

#include <jansson.h>

#include "deploy/layer.h"

typedef struct environment_spec {
  const json_t *python;    // of script_python
  const char *programs;    // of script_programs
  const json_t *packages;  // of conda_read, or NULL
  bool interpreter;        // add this machine's
  const char *version;     // of the Python in the image where it is another one, or NULL
  const char *folder;      // where pip may put packages
} environment_spec;
// Adds to two layers; `packages` may get nothing. *notes: what a user should know, a list of texts.
sdx_status environment_add(const environment_spec *spec, layer *interpreter, layer *packages, json_t **notes, fault *f);
// The names of the packages in lower case, for the dry run. NULL for NULL.
json_t *environment_names(const json_t *packages);
