// SPDX-License-Identifier: Apache-2.0
// /api/models: registering, looking at, changing, downloading and deleting models.
#include <stdlib.h>
#include <string.h>

#include "rest/assets.h"
#include "support/files.h"
#include "support/json.h"

static void list(rest *q) { assets_list(q, ASSET_MODEL); }
static void versions(rest *q) { assets_versions(q, ASSET_MODEL); }
static void show(rest *q) { assets_show(q, ASSET_MODEL); }
static void update(rest *q) { assets_update(q, ASSET_MODEL); }
static void end(rest *q) { assets_delete(q, ASSET_MODEL); }

// ---- register ------------------------------------------------------------------------------------

static json_t *words_in_query(rest *q, const char *name) {
  const char *word = rest_query(q, name);
  return word ? json_pack("[s]", word) : NULL;
}

// The body is the file. It has a name as it would have on a disk.
static void enter(rest *q) {
  const http_body *b = &call_request(q->c)->body;
  const char *name = rest_query(q, "name"), *path = rest_query(q, "file");
  char *usual = name && !path ? path_format("%s.onnx", name) : NULL;
  json_t *tags = words_in_query(q, "tag"), *properties = words_in_query(q, "property");
  registry_model model = {.name = name,
                          .description = rest_query(q, "description"),
                          .framework = rest_query(q, "framework"),
                          .framework_version = rest_query(q, "framework_version"),
                          .request = rest_query(q, "request"),
                          .tags = tags,
                          .properties = properties};
  registry_file file = {.path = path ? path : usual, .media_type = "application/octet-stream"};
  registry_change *change = NULL;
  if (!name || !name_valid(name))
    fault_set(&q->fault, SDX_INVALID_ARGUMENT,
              "query parameter name: expected letters, digits, '.', '_' and '-', at most %d of them", NAME_BYTES);
  else if (!b->size) fault_set(&q->fault, SDX_INVALID_ARGUMENT, "the body is empty, expected the bytes of the model");
  else if (!file.path || !path_beneath(file.path))
    fault_set(&q->fault, SDX_INVALID_ARGUMENT, "query parameter file: expected a relative path");
  else if (!q->fault.status && !registry_begin(q->r, &change, &q->fault) &&
           !registry_add_bytes(change, b->at, b->size, &file.blob, &q->fault))
    registry_commit_model(change, &model, &file, 1, &q->answer, &q->fault);
  registry_end(change);
  json_decref(tags);
  json_decref(properties);
  free(usual);
}

// ---- download ------------------------------------------------------------------------------------

static void send_file(rest *q, const json_t *file) {
  size_t size, most = (size_t)q->c->srv->limits.max_response_bytes;
  char *bytes = registry_read_blob(q->r, text_of(file, "digest"), most, &size, &q->fault);
  if (!bytes) return;
  text_append(call_body(q->c), bytes, size);
  q->c->x.response.status = 200;
  q->c->x.response.content_type = "application/octet-stream";
  http_response_header(&q->c->x.response, "ETag", "\"%s\"", text_of(file, "digest"));
  free(bytes);
}

// The only file, or the one that is named.
static void download(rest *q) {
  const char *path = rest_query(q, "file");
  json_t *asset = NULL, *file, *found = NULL;
  size_t i;
  if (q->fault.status || registry_get(q->r, ASSET_MODEL, q->reference, &asset, &q->fault)) return;
  json_t *files = json_object_get(asset, "files");
  json_array_foreach(files, i, file) {
    if (path ? !strcmp(text_of(file, "path"), path) : json_array_size(files) == 1) found = file;
  }
  if (found) send_file(q, found);
  else if (path) fault_set(&q->fault, SDX_NOT_FOUND, "model %s has no file '%.200s'", q->reference, path);
  else fault_set(&q->fault, SDX_INVALID_ARGUMENT, "model %s has several files; ?file= names one", q->reference);
  json_decref(asset);
}

REST_ROUTE(models) = {ASSETS_ROUTE("The models, in their newest versions", METHOD_GET, "/api/models"),
                      .query = ASSETS_QUERY, .gives = REST_LIST(REST_ASSET), .action = list};
#define OPTIONAL(name) "," REST_QUERY(name, REST_WORD)
#define REGISTER_QUERY                                                                                                 \
  "[{\"name\":\"name\",\"in\":\"query\",\"required\":true,\"schema\":{" REST_STRING "}}" OPTIONAL("file")              \
      OPTIONAL("description") OPTIONAL("framework") OPTIONAL("framework_version") OPTIONAL("tag") OPTIONAL("property") \
          OPTIONAL("request") "]"
REST_ROUTE(model_register) = {ASSETS_ROUTE("Registers a model: the body is its file", METHOD_POST, "/api/models"),
                              .binary = true, .query = REGISTER_QUERY, .gives = REST_ASSET, .action = enter};
REST_ROUTE(model_versions) = {
    ASSETS_ROUTE("The versions of a model, the newest first", METHOD_GET, "/api/models/{name}/versions"),
    .query = ASSETS_QUERY, .gives = REST_LIST(REST_ASSET), .action = versions};
REST_ROUTE(model_newest) = {ASSETS_ROUTE("A model in its newest version", METHOD_GET, "/api/models/{name}"),
                            .gives = REST_ASSET, .action = show};
REST_ROUTE(model_show) = {ASSETS_ROUTE("One version of a model", METHOD_GET, "/api/models/{name}/versions/{version}"),
                          .gives = REST_ASSET, .action = show};
REST_ROUTE(model_update) = {ASSETS_ROUTE("Changes its description, tags (null takes one away), properties",
                                         METHOD_PATCH, "/api/models/{name}/versions/{version}"),
                            .takes = REST_OBJECT(REST_WORDS), .gives = REST_ASSET, .action = update};
REST_ROUTE(model_delete) = {
    ASSETS_ROUTE("Deletes a version that nothing uses", METHOD_DELETE, "/api/models/{name}/versions/{version}"),
    .gives = REST_ASSET, .action = end};
REST_ROUTE(model_download) = {
    ASSETS_ROUTE("The bytes of a file of it", METHOD_GET, "/api/models/{name}/versions/{version}/content"),
    .binary = true, .query = "[" REST_QUERY("file", REST_WORD) "]", .action = download};
