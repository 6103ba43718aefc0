// SPDX-License-Identifier: Apache-2.0
// What would go wrong with a scoring script, before an image is made of it: it is read, then init() and run(sample) are
// executed in a sandboxed worker with the models that the image will have. script/README.md says how; here is what goes
// in and out.
#pragma once

#include <jansson.h>

#include "registry/registry.h"

typedef struct dryrun_spec {
  const char *script;        // with init() and run()
  const char *const *files;  // what lies beside it: files and folders, ended by NULL; NULL: nothing
  const json_t *models;      // assets
  const json_t *packages;    // names of the environment, or NULL: no environment is given
  const json_t *variables;   // "NAME=value"
  const char *python;        // NULL: python3
  const char *sample;        // file with a request body; NULL: made from the first model's inputs
  unsigned seconds;          // for each of import, init() and run(); 0: 30
  uint64_t memory_bytes;     // 0: 4 GiB
  bool network;
} dryrun_spec;
// *report: findings [{severity, code, line, phase, message, hint}], answer {status, body} or null, init_ms, run_ms,
// python, log [lines], errors (how many findings are). A script that fails is a report; a fault is that it could not be
// tried.
sdx_status dryrun(registry *r, const dryrun_spec *spec, json_t **report, fault *f);
