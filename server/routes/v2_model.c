// SPDX-License-Identifier: Apache-2.0
// Descriptions of the Open Inference Protocol: the server, a model, whether it is ready.
#include "server/protocol_v2.h"

static void describe_server(call *c) {
  text_format(call_body(c),
              "{\"name\":\"sardonyx\",\"version\":\"%s\",\"extensions\":[\"binary_tensor_data\",\"json_values\","
              "\"model_configuration\","
              "\"model_repository\",\"statistics\",\"system_shared_memory\"]}",
              sdx_version());
  call_json(c, 200);
}

static void write_inputs(text *o, const model *m, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) {
    if (i > from) text_append(o, ",", 1);
    v2_write_io(o, sdx_session_input(m->session, i), false);
  }
}

static void describe_model(call *c) {
  text *o = call_body(c);
  const model_list *all = models_list(&c->srv->models);
  const model *m = c->model;
  text_format(o, "{\"name\":\"%s\",\"versions\":[", c->entry->name);
  bool first = true;
  for (size_t i = all->count; i-- > 0;) {  // the oldest first
    if (all->at[i]->gone || strcmp(all->at[i]->name, c->entry->name) != 0) continue;
    text_format(o, first ? "\"%s\"" : ",\"%s\"", all->at[i]->version);
    first = false;
  }
  text_put(o, "],\"platform\":\"onnx_onnxv1\",\"inputs\":[");
  size_t needed = sdx_session_input_count(m->session);
  write_inputs(o, m, 0, needed);
  if (needed < m->input_count) {
    text_put(o, "],\"optional_inputs\":[");
    write_inputs(o, m, needed, m->input_count);
  }
  text_put(o, "],\"outputs\":[");
  for (size_t i = 0; i < m->output_count; i++) {
    if (i) text_append(o, ",", 1);
    v2_write_io(o, sdx_session_output(m->session, i), true);
  }
  text_put(o, "]}");
  call_json(c, 200);
}

static void model_ready(call *c) {
  bool yes = server_ready(c->srv) && models_serve(&c->srv->models, c->entry);
  text_format(call_body(c), "{\"name\":\"%s\",\"ready\":%s}", c->entry->name, yes ? "true" : "false");
  call_json(c, yes ? 200 : 503);
}

HTTP_ROUTE(v2_server) = {.access = ROUTE_PUBLIC,
                         .methods = METHOD_GET | METHOD_HEAD,
                         .summary = "The server and its extensions",
                         .gives =
                             "{\"type\":\"object\",\"required\":[\"name\",\"version\",\"extensions\"],\"properties\":{"
                             "\"name\":{\"type\":\"string\"},\"version\":{\"type\":\"string\"},\"extensions\":{"
                             "\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}",
                         .paths = {"/v2", "/v2/"},
                         .answer = describe_server};
HTTP_ROUTE(v2_model) = {
    .access = ROUTE_PUBLIC,
    .methods = METHOD_GET | METHOD_HEAD,
    .summary = "The inputs and outputs of a model",
    .gives = "{\"type\":\"object\",\"required\":[\"name\",\"versions\",\"platform\",\"inputs\",\"outputs\"]}",
    .paths = {"/v2/models/{model}", "/v2/models/{model}/versions/{version}"},
    .answer = describe_model};
HTTP_ROUTE(v2_model_ready) = {
    .access = ROUTE_PUBLIC,
    .methods = METHOD_GET | METHOD_HEAD,
    .summary = "Whether a model is loaded",
    .gives =
        "{\"type\":\"object\",\"required\":[\"name\",\"ready\"],\"properties\":{\"ready\":{\"type\":\"boolean\"}}}",
    .paths = {"/v2/models/{model}/ready", "/v2/models/{model}/versions/{version}/ready"},
    .unloaded_too = true,
    .answer = model_ready};
