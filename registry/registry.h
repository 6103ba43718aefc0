// SPDX-License-Identifier: Apache-2.0
// The registry of a workspace: models, images and services with versions, words and files. Server (REST), deploy,
// Python and the command all stand on this header.
//
//   registry *r;  json_t *model;  fault f = {0};
//   if (registry_open(&(registry_options){.workspace = "."}, &r, &f)) puts(f.message);
//   registry_model draft = {.name = "digits", .paths = (const char *[]){"digits.onnx", NULL}};
//   if (registry_register_model(r, &draft, &model, &f)) puts(f.message);
//   registry_close(r);
//
// What is acknowledged survives a crash and a power loss at any instant; what is not is wholly there or wholly absent.
// Answers are JSON objects, one reference for the caller. A handle belongs to one thread at a time; any number of
// processes share a workspace. An asset is named "name" (its newest version) or "name:version".
// Files in reading order: README.md.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/digest.h"
#include "support/fault.h"
#include "support/names.h"

// ---- workspaces -----------------------------------------------------------------------------

typedef struct registry_place {
  const char *folder;                                       // NULL: the current one
  const char *name;                                         // NULL: the folder's
  const char *resource_group, *subscription_id, *location;  // NULL: "local", zeros, "local"
} registry_place;
// Makes the folder if it is not there and writes its config.json. *config: the path (free). CONFLICT where it has one.
sdx_status registry_create_workspace(const registry_place *place, char **config, fault *f);
// Removes the store and the config.json; CONFLICT while another process writes.
sdx_status registry_delete_workspace(const char *workspace, fault *f);
// The config.json of `start` (a folder or the file itself; NULL: the current folder): .azureml/config.json upwards from
// there, then aml_config/config.json, then config.json; the older name project.json counts in each. free() it.
char *registry_find_workspace(const char *start, fault *f);
// What a config.json says; NULL and a fault where it is not one.
json_t *registry_parse_config(const char *text, size_t size, fault *f);

// ---- handles ---------------------------------------------------------------------------------

typedef struct registry registry;

typedef struct registry_options {
  const char *workspace;  // folder or config.json; NULL: found from the current folder
  const char *command;    // the `sardonyx` that looks into models; NULL: this program, if it is that, or PATH's
  // Called now and then while bytes are copied, hashed or sent. Both may be NULL.
  void (*progress)(void *context, const char *what, uint64_t done, uint64_t total);
  void *context;
} registry_options;

sdx_status registry_open(const registry_options *options, registry **r, fault *f);
void registry_close(registry *r);
const char *registry_store(const registry *r);    // the folder of its files
const char *registry_config(const registry *r);   // the path of its config.json
const char *registry_command(const registry *r);  // the `sardonyx` that belongs to it
void registry_progress(const registry *r, const char *what, uint64_t done, uint64_t total);  // calls the callback
// name, resource_group, subscription_id, location, folder, config, store; how many of each kind; sandbox.
json_t *registry_describe(registry *r, fault *f);

// ---- assets ----------------------------------------------------------------------------------
// JSON of one: id ("name:version"), kind, name, version, description, tags, properties, digest, size, created,
// modified, files [{path, digest, size, media_type}], uses, used_by (lists of ids), and what its kind adds
// (docs/registry.md).

typedef enum asset_kind { ASSET_MODEL, ASSET_IMAGE, ASSET_SERVICE, ASSET_KINDS } asset_kind;
const char *asset_kind_name(asset_kind kind);  // "model", "image", "service"

typedef struct registry_filter {
  const char *name, *framework;                 // NULL: any
  const char *const *tags, *const *properties;  // each "key" or "key=value", ended by NULL; NULL: any
  bool latest;                                  // the newest version of each name only
  bool newest_first;
  int64_t skip, count;  // count 0: all
} registry_filter;
sdx_status registry_list(registry *r, asset_kind kind, const registry_filter *filter, json_t **list, fault *f);
sdx_status registry_get(registry *r, asset_kind kind, const char *reference, json_t **asset, fault *f);
// changes: description; tags and properties {key: value, or null to remove}; detail {key: value}. Properties are only
// added. Other keys are refused.
sdx_status registry_update(registry *r, asset_kind kind, const char *reference, const json_t *changes, json_t **asset,
                           fault *f);
sdx_status registry_delete(registry *r, asset_kind kind, const char *reference, fault *f);  // CONFLICT while in use
sdx_status registry_operations(registry *r, int64_t count, json_t **list, fault *f);        // the last ones

// Tags and properties from words: ["onnx", "stage=test"] and {"stage": "test"} are both taken. NULL: not strings.
json_t *registry_words(const json_t *list_or_object, fault *f);

// ---- models ----------------------------------------------------------------------------------

typedef struct registry_model {
  const char *name;          // NULL: that of the first path, without .onnx
  const char *const *paths;  // files and folders, ended by NULL: one unit
  const char *main;          // the .onnx to look into where there are several, as registered; NULL: found
  const char *description, *framework, *framework_version;
  const json_t *tags, *properties;  // as registry_words takes them; NULL: none
  int64_t version;                  // 0: the next one; CONFLICT if it is not above those given before
  const char *request;              // NULL, or a name for this registration: asked twice, done once
} registry_model;
// Copies, looks into the model in a sandbox (a model that does not load is refused with the engine's message), commits.
// Files without an ONNX model among them need a `framework` other than ONNX and are taken as they are.
sdx_status registry_register_model(registry *r, const registry_model *model, json_t **asset, fault *f);
// A path to read it from: of its one file or folder, or of the folder that holds its files. free() it. The files are
// the store's, not to be changed; they are checked against their digests here.
sdx_status registry_model_path(registry *r, const char *reference, char **path, fault *f);
// The folder that holds what registry_model_path names: what a script finds as AZUREML_MODEL_DIR. free() it.
sdx_status registry_model_folder(registry *r, const char *reference, char **path, fault *f);
// Copies of its files into a folder, made if it is not there. CONFLICT where one exists, unless `replace`.
sdx_status registry_download_model(registry *r, const char *reference, const char *folder, bool replace, fault *f);

// ---- changes: blobs first, then one row ------------------------------------------------------

#define REGISTRY_BLOB_BYTES ((uint64_t)16 << 30)  // the largest file

typedef struct registry_change registry_change;
typedef struct registry_blob {
  char digest[DIGEST_BYTES];
  uint64_t size;
} registry_blob;

sdx_status registry_begin(registry *r, registry_change **change, fault *f);
void registry_end(registry_change *change);                       // always; what was not committed is gone
const char *registry_change_path(const registry_change *change);  // a folder of its own, to work in; gone at the end
void registry_expect_garbage(registry_change *change);  // not all blobs will be committed: collected at the end
// Copies an open file (by reference where the file system can).
sdx_status registry_add_file(registry_change *c, int fd, const char *what, registry_blob *blob, fault *f);
sdx_status registry_add_bytes(registry_change *c, const void *bytes, size_t size, registry_blob *blob, fault *f);
// A file that the caller writes, who tells digest and size when it is complete. Sealed or dropped, it is closed.
typedef struct registry_upload {
  int fd;
  unsigned number;
} registry_upload;
sdx_status registry_create_blob(registry_change *c, registry_upload *upload, fault *f);
sdx_status registry_seal_blob(registry_change *c, registry_upload *upload, const registry_blob *blob, fault *f);
void registry_drop_blob(registry_change *c, registry_upload *upload);

typedef struct registry_file {
  const char *path, *media_type;
  registry_blob blob;
} registry_file;
typedef struct registry_draft {
  asset_kind kind;
  const char *name;
  int64_t version;                           // 0: the next one
  const char *digest;                        // NULL: that of the file, or of the list of files
  const char *description;                   // NULL: ""
  const json_t *tags, *properties, *detail;  // NULL: {}
  const char *request;
  const registry_file *files;
  size_t file_count;
  const char *const *uses;  // ids of assets "model/name:version", ended by NULL; NULL: none
  // Of services. With secrets the revision is the first one, and the service must not be there yet. Without them it
  // is, and the settings are what changes with the revision (NULL: nothing else).
  const json_t *settings, *secrets;
  const char *role;  // the key of the settings that names the revision; NULL: "candidate"
} registry_draft;
sdx_status registry_commit(registry_change *c, const registry_draft *draft, json_t **asset, fault *f);
// Commits a model whose files are in the store (its paths are not looked at): looks into it first, as registering does.
sdx_status registry_commit_model(registry_change *c, const registry_model *model, const registry_file *files,
                                 size_t count, json_t **asset, fault *f);

// ---- services --------------------------------------------------------------------------------
// A service is a name with revisions (the versions of its asset), settings and secrets: objects that may be changed in
// place. A revision that is committed becomes the `candidate` of the settings, or has another role there; whoever runs
// the service takes it over.

// secrets may be NULL.
sdx_status registry_get_service(registry *r, const char *name, json_t **settings, json_t **secrets, fault *f);
// Keys with new values, null removes; either may be NULL. `candidate`: CONFLICT where that is not the candidate any
// more; 0: whatever it is.
sdx_status registry_change_service(registry *r, const char *name, const json_t *settings, const json_t *secrets,
                                   int64_t candidate, fault *f);
sdx_status registry_delete_service(registry *r, const char *name, fault *f);  // with all its revisions

// ---- blobs -----------------------------------------------------------------------------------

bool registry_has_blob(const registry *r, const char *digest);
int registry_open_blob(const registry *r, const char *digest, uint64_t *size, fault *f);  // -1 on failure
char *registry_read_blob(const registry *r, const char *digest, size_t most, size_t *size,
                         fault *f);  // checked; free()
// The blob of any asset's file of that path and media type, if there is one: layers are found by what they hold.
bool registry_find_file(registry *r, const char *path, const char *media_type, registry_blob *blob);

// ---- care ------------------------------------------------------------------------------------

// checked (files), bytes; lost: files of assets whose blob is missing or wrong [{id, path, digest, problem}]; dangling:
// blobs and folders that belong to nothing; database: "ok" or what is wrong. `fast`: sizes only, no digests.
sdx_status registry_verify(registry *r, bool fast, json_t **report, fault *f);
// Removes what belongs to nothing; {files, bytes} (report may be NULL). Waits for writers, CONFLICT if they take
// longer.
sdx_status registry_collect(registry *r, unsigned wait_ms, json_t **report, fault *f);
