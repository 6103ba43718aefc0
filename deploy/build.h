// SPDX-License-Identifier: Apache-2.0
// Building images without a daemon: layers of our own on a base image or on nothing, a config, a manifest; all straight
// into the store. The same inputs give the same bytes.
#pragma once

#include "deploy/dryrun.h"
#include "deploy/image.h"
#include "deploy/transfer.h"

typedef struct build_spec {
  const char *name;                 // of the image
  const char *const *models;        // references, ended by NULL; the first one answers /score where there is no script
  const char *base;                 // NULL or "none": nothing but what is needed; else a place (transfer.h)
  const char *description;          // NULL: none
  const json_t *tags, *properties;  // of the asset; as registry_words takes them
  const json_t *labels;             // of the image: an object of strings, or NULL
  int port;                         // 0: 5001
  layer_compression compression;
  transfer_options transfer;  // for the base

  // A script that answers instead of the server by itself. NULL: none.
  const char *script;
  const char *const *files;      // what lies beside it: files and folders, ended by NULL
  const char *conda;             // environment file (conda.h), or NULL
  const char *const *variables;  // of its environment, "NAME=value", beside those of `conda`; ended by NULL
  bool skip_dryrun, strict;      // strict: a script with errors is refused
  dryrun_spec dryrun;            // python, sample, seconds, network, memory; the rest is set here
} build_spec;
// *report: of the dry run (dryrun.h) and notes (what is good to know of its environment), or NULL without a script;
// also where the image is not built. json_decref it.
sdx_status build_image(registry *r, const build_spec *spec, json_t **asset, json_t **report, fault *f);
// The dry run alone.
sdx_status build_dryrun(registry *r, const build_spec *spec, json_t **report, fault *f);
