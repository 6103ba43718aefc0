// SPDX-License-Identifier: Apache-2.0
// Images as rows (image.h).
#include "deploy/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/files.h"

static registry_file file_of(char *path, const oci_descriptor *d) {
  registry_file file = {.path = path, .media_type = d->media_type, .blob.size = d->size};
  memcpy(file.blob.digest, d->digest, DIGEST_BYTES);
  return file;
}

sdx_status image_commit(registry_change *c, const image_parts *parts, registry_draft draft, json_t **asset, fault *f) {
  registry_file *files = calloc(parts->layer_count + 2, sizeof *files);
  size_t count = 0;
  if (!files) return fault_no_memory(f);
  files[count++] = file_of(strdup("config"), &parts->config);
  for (size_t i = 0; i < parts->layer_count; i++) {
    const char *known = parts->diff_ids && parts->diff_ids[i][0] ? parts->diff_ids[i] : parts->layers[i].digest;
    char *path = path_format("layer/%s", known);
    bool twice = false;  // an image may hold a layer twice; a row is enough
    for (size_t k = 0; path && k < count; k++) twice |= files[k].path && !strcmp(files[k].path, path);
    if (twice) free(path);
    else files[count++] = file_of(path, &parts->layers[i]);
  }
  files[count++] = file_of(strdup("manifest"), &parts->manifest);
  for (size_t i = 0; i < count; i++)
    if (!files[i].path) fault_no_memory(f);
  draft.files = files;
  draft.file_count = count;
  draft.digest = parts->manifest.digest;
  if (!f->status) registry_commit(c, &draft, asset, f);
  for (size_t i = 0; i < count; i++) free((char *)files[i].path);
  free(files);
  return f->status;
}
