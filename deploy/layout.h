// SPDX-License-Identifier: Apache-2.0
// OCI image layouts on disk: a folder, or the same in one tar archive (also compressed; what skopeo calls oci-archive).
// Both ways go by way of the store: what is read is checked there, what is written comes from there.
#pragma once

#include "deploy/oci.h"
#include "registry/registry.h"

// Which manifest a layout is asked for, or given, and under what name.
typedef struct layout_entry {
  const char *ref_name;  // NULL: none
  oci_descriptor manifest;
  json_t *annotations;  // more for the index, or NULL
} layout_entry;

// Brings everything a layout holds into the store. *index: its index.json. Blobs that nobody will name are collected
// when the change ends.
sdx_status layout_read(registry_change *c, const char *path, json_t **index, fault *f);
// Writes manifests with what they name; `path` is a folder (made if it is not there, added to if it is a layout) or,
// ending in .tar, a file. The documents are read from the store.
sdx_status layout_write(registry *r, const char *path, const layout_entry *entries, size_t count, fault *f);
