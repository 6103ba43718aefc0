// SPDX-License-Identifier: Apache-2.0
// Inside of the registry: the handle and what its files share. Read next: store.h, database.h.
#pragma once

#include "registry/database.h"
#include "registry/registry.h"
#include "registry/store.h"

#define ONNX_MEDIA_TYPE "application/vnd.onnx.model"

struct registry {
  registry_options options;
  json_t *config;  // what config.json says
  char *config_path, *folder, *command;
  store store;
  database db;
};

// ---- workspace.c ----
char *workspace_folder(const char *config);  // of a config.json; NULL: no memory
json_t *workspace_read(const char *config, fault *f);

// ---- assets.c ----
typedef struct asset_key {
  asset_kind kind;
  char name[NAME_BYTES + 1];
  int64_t version, id;
} asset_key;
// The row that "name" or "name:version" names, with what is near where there is none.
sdx_status asset_find(registry *r, asset_kind kind, const char *reference, asset_key *key, fault *f);
json_t *asset_json(registry *r, int64_t id, fault *f);
// tags, properties and detail of a draft as objects within their limits.
sdx_status asset_words(const registry_draft *d, json_t *words[3], fault *f);
sdx_status asset_log(registry *r, const char *operation, const asset_key *key, fault *f);

// ---- change.c ----
registry *change_registry(const registry_change *c);
int change_folder(const registry_change *c);  // its staging folder, to work in

// ---- service.c ----
// In the transaction that has inserted the revision.
sdx_status service_commit(registry *r, const registry_draft *d, int64_t revision, fault *f);

// ---- tree.c ----
// Writes the files of an asset beneath an empty folder, as hard links to their blobs.
sdx_status tree_link(const registry *r, const registry_file *files, size_t count, int folder, fault *f);

// ---- inspect.c ----
// What the engine says of registered files: {inputs, outputs, ...}. NULL: they do not load.
json_t *inspect_model(registry *r, const char *folder, const char *path, fault *f);
char *inspect_command(const char *given);  // the `sardonyx` to run; NULL: no memory
