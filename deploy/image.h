// SPDX-License-Identifier: Apache-2.0
// Images: made from models, and as assets of the registry. An image's files are its manifest, its config and its
// layers.
#pragma once

#include "deploy/layer.h"
#include "deploy/oci.h"
#include "registry/registry.h"

// What becomes an image's row.
typedef struct image_parts {
  oci_descriptor manifest, config;
  const oci_descriptor *layers;
  const char (
      *diff_ids)[DIGEST_BYTES];  // of layers made here, "" for others: only those may be found by what they hold
  size_t layer_count;
} image_parts;
// `draft`: name, words, detail and uses; files and digest are set here.
sdx_status image_commit(registry_change *c, const image_parts *parts, registry_draft draft, json_t **asset, fault *f);
