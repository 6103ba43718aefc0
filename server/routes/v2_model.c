// SPDX-License-Identifier: Apache-2.0
// Descriptions of the Open Inference Protocol: the server, a model, whether it is ready.
#include "server/protocol_v2.h"

static void describe_server(http_request *rq) {
  text_format(&rq->reply.body,
              "{\"name\":\"sardonyx\",\"version\":\"%s\",\"extensions\":[\"binary_tensor_data\",\"statistics\"]}",
              sdx_version());
  http_json(rq, 200);
}

static void describe_model(http_request *rq) {
  text *o = &rq->reply.body;
  const model *m = rq->model;
  text_format(o, "{\"name\":\"%s\",\"versions\":[\"1\"],\"platform\":\"onnx_onnxv1\",\"inputs\":[", m->name);
  for (size_t i = 0; i < m->input_count; i++) {
    if (i) text_append(o, ",", 1);
    v2_write_io(o, sdx_session_input(m->session, i));
  }
  text_put(o, "],\"outputs\":[");
  for (size_t i = 0; i < m->output_count; i++) {
    if (i) text_append(o, ",", 1);
    v2_write_io(o, sdx_session_output(m->session, i));
  }
  text_put(o, "]}");
  http_json(rq, 200);
}

static void model_ready(http_request *rq) {
  bool yes = server_ready(rq->srv);
  text_format(&rq->reply.body, "{\"name\":\"%s\",\"ready\":%s}", rq->model->name, yes ? "true" : "false");
  http_json(rq, yes ? 200 : 503);
}

HTTP_ROUTE(v2_server) = {
    .access = ROUTE_PUBLIC, .methods = METHOD_GET, .paths = {"/v2", "/v2/"}, .answer = describe_server};
HTTP_ROUTE(v2_model) = {.access = ROUTE_PUBLIC,
                        .methods = METHOD_GET,
                        .paths = {"/v2/models/{model}", "/v2/models/{model}/versions/{version}"},
                        .answer = describe_model};
HTTP_ROUTE(v2_model_ready) = {.access = ROUTE_PUBLIC,
                              .methods = METHOD_GET,
                              .paths = {"/v2/models/{model}/ready", "/v2/models/{model}/versions/{version}/ready"},
                              .answer = model_ready};
