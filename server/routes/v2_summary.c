// SPDX-License-Identifier: Apache-2.0
// GET /v2/models/{model}/summary: what `sardonyx inspect --json` tells of a model, what its classes are called, and a
// request that it answers, where one lies beside it (sample.json, as `model register` takes it in).
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "server/call.h"
#include "support/files.h"

enum { BESIDE_BYTES = 1 << 20 };

// A small file in the folder of the model; NULL: there is none.
static char *file_beside(const call *c, const char *name, size_t *size) {
  const char *path = c->entry->path, *slash = strrchr(path, '/');
  fault none = {0};
  char *place = path_format("%.*s%s", slash ? (int)(slash + 1 - path) : 0, path, name);
  char *bytes = place ? file_load(AT_FDCWD, place, BESIDE_BYTES, size, &none) : NULL;
  free(place);
  return bytes;
}

static void write_sample(text *o, const call *c) {
  size_t size = 0;
  char *bytes = file_beside(c, "sample.json", &size);
  json_t *sample = bytes ? json_loadb(bytes, size, 0, NULL) : NULL;
  char *line = sample ? json_dumps(sample, JSON_COMPACT) : NULL;
  if (line) text_format(o, ",\"sample\":%s", line);
  free(line);
  json_decref(sample);
  free(bytes);
}

static const class_labels *given_labels(const call *c) {
  const server_config *config = c->srv->config;
  for (size_t i = 0; i < config->label_count; i++) {
    const char *name = config->labels[i].name;
    if (name ? !strcmp(name, c->entry->name) : c->entry == models_list(&c->srv->models)->first)
      return config->labels[i].classes;
  }
  return NULL;
}

static void write_labels(text *o, const class_labels *l) {
  text_put(o, ",\"labels\":[");
  for (size_t i = 0; i < l->count; i++) {
    if (i) text_append(o, ",", 1);
    if (labels_get(l, i)) text_json_string(o, str_from(labels_get(l, i)));
    else text_put(o, "null");
  }
  text_put(o, "]");
}

// Of the operator, of the model itself, or in a file beside it.
static void find_labels(const call *c, class_labels *own) {
  size_t size;
  labels_of_session(own, c->model->session);
  char *bytes = own->count ? NULL : file_beside(c, "labels.txt", &size);
  if (bytes) labels_read(own, bytes, "\n");
  free(bytes);
}

static void answer(call *c) {
  text *o = call_body(c);
  char *summary = sdx_session_describe(c->model->session, "summary");
  if (!summary) {
    call_retry(c, 503, "there is no memory for the description");
    return;
  }
  text_format(o, "{\"name\":\"%s\",\"version\":\"%s\",\"summary\":", c->entry->name, c->entry->version);
  text_put(o, summary);
  sdx_string_free(summary);
  class_labels own = {0};
  const class_labels *given = given_labels(c);
  if (!given) find_labels(c, &own);
  write_labels(o, given ? given : &own);
  labels_free(&own);
  write_sample(o, c);
  text_put(o, "}");
  call_json(c, 200);
}

HTTP_ROUTE(v2_summary) = {
    .access = ROUTE_PUBLIC,
    .methods = METHOD_GET | METHOD_HEAD,
    .blocks = true,
    .summary = "What a model is made of, its metadata, names of its classes, a request it answers",
    .gives = "{\"type\":\"object\",\"required\":[\"name\",\"version\",\"summary\",\"labels\"]}",
    .paths = {"/v2/models/{model}/summary", "/v2/models/{model}/versions/{version}/summary"},
    .answer = answer};
