// SPDX-License-Identifier: Apache-2.0
// Layers: tar archives that come out the same, byte for byte, from the same files: sorted entries, no owners, one time
// for all (SOURCE_DATE_EPOCH, else the beginning of 1970). A layer that any image of the workspace has is not
// compressed again: it is found by the digest of what it holds.
#pragma once

#include <sys/types.h>

#include "deploy/oci.h"
#include "registry/registry.h"

typedef enum layer_compression { LAYER_GZIP, LAYER_ZSTD, LAYER_PLAIN } layer_compression;

typedef struct layer layer;
layer *layer_create(void);  // NULL: no memory
void layer_destroy(layer *l);

// Paths are absolute in the image, without the first '/'. Folders that lead there are made as needed, with mode 0755.
// Of two entries with one path the later one counts.
sdx_status layer_add_folder(layer *l, const char *path, mode_t mode, fault *f);
sdx_status layer_add_bytes(layer *l, const char *path, mode_t mode, const void *bytes, size_t size,
                           fault *f);  // copied
sdx_status layer_add_file(layer *l, const char *path, mode_t mode, const char *from, fault *f);
sdx_status layer_add_blob(layer *l, const char *path, mode_t mode, const registry_blob *blob, fault *f);

sdx_status layer_add_link(layer *l, const char *path, const char *target, fault *f);

typedef struct layer_result {
  oci_descriptor descriptor;
  char diff_id[DIGEST_BYTES];  // of the tar archive
  bool found;                  // was there already
} layer_result;
// Writes it into the store. What does not get smaller is left uncompressed.
sdx_status layer_write(layer *l, registry *r, registry_change *c, layer_compression how, layer_result *result,
                       fault *f);

int64_t layer_epoch(void);  // seconds: the time of everything in an image
