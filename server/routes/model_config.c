// SPDX-License-Identifier: Apache-2.0
// The model configuration extension, over REST and gRPC: what clients written for Triton look up, told from the model
// and from what its config.pbtxt changed.
#include "server/grpc.h"

static int64_t max_batch(const model *m) { return m->config ? m->config->max_batch : 0; }

// Dimensions behind that of the batch.
static size_t first_dim(const model *m, const sdx_io *io) { return max_batch(m) && io->has_shape && io->rank ? 1 : 0; }

static void write_tensor(text *o, const model *m, const sdx_io *io) {
  text_put(o, "{\"name\":");
  text_json_string(o, str_from(io->name));
  text_format(o, ",\"data_type\":\"%s\",\"dims\":[", model_config_type_name(io->dtype));
  for (size_t i = first_dim(m, io), first = i; io->has_shape && i < io->rank; i++)
    text_format(o, i > first ? ",%lld" : "%lld", (long long)(io->shape[i] < 0 ? -1 : io->shape[i]));
  text_put(o, "]}");
}

static void describe(call *c) {
  text *o = call_body(c);
  const model *m = c->model;
  text_format(o,
              "{\"name\":\"%s\",\"platform\":\"onnxruntime_onnx\",\"backend\":\"onnxruntime\",\"max_batch_size\":%lld",
              c->entry->name, (long long)max_batch(m));
  text_put(o, ",\"input\":[");
  for (size_t i = 0; i < sdx_session_input_count(m->session); i++) {
    if (i) text_append(o, ",", 1);
    write_tensor(o, m, sdx_session_input(m->session, i));
  }
  text_put(o, "],\"output\":[");
  for (size_t i = 0; i < m->output_count; i++) {
    if (i) text_append(o, ",", 1);
    write_tensor(o, m, sdx_session_output(m->session, i));
  }
  text_put(o, "],\"default_model_filename\":");
  text_json_string(o, str_from(m->config ? m->config->file : "model.onnx"));
  text_put(o, m->batching ? ",\"dynamic_batching\":{}}" : "}");
  call_json(c, 200);
}

static void put_tensor(wire_out *out, uint32_t number, const model *m, const sdx_io *io) {
  enum { TENSOR_NAME = 1, TENSOR_TYPE, OUTPUT_DIMS, INPUT_DIMS, INPUT = 5 };
  int64_t dims[CONFIG_RANK];
  size_t rank = 0;
  for (size_t i = first_dim(m, io); io->has_shape && i < io->rank && rank < CONFIG_RANK; i++)
    dims[rank++] = io->shape[i] < 0 ? -1 : io->shape[i];
  size_t at = wire_begin(out, number);
  grpc_put_str(out, TENSOR_NAME, io->name);
  wire_put_int(out, TENSOR_TYPE, model_config_type_number(io->dtype));
  wire_put_ints(out, number == INPUT ? INPUT_DIMS : OUTPUT_DIMS, dims, rank);
  wire_end(out, at);
}

static void answer(call *c) {
  enum { CONFIG = 1, NAME_OF = 1, PLATFORM, MAX_BATCH = 4, INPUT, OUTPUT, FILENAME = 8, BATCHING = 11, BACKEND = 17 };
  str name, version;
  if (!grpc_read_names(c, &name, &version) || !grpc_find_model(c, name, version)) return;
  const model *m = c->model;
  wire_out out = grpc_begin(c);
  size_t at = wire_begin(&out, CONFIG);
  grpc_put_str(&out, NAME_OF, c->entry->name);
  grpc_put_str(&out, PLATFORM, "onnxruntime_onnx");
  grpc_put_str(&out, BACKEND, "onnxruntime");
  wire_put_int(&out, MAX_BATCH, max_batch(m));
  for (size_t i = 0; i < sdx_session_input_count(m->session); i++)
    put_tensor(&out, INPUT, m, sdx_session_input(m->session, i));
  for (size_t i = 0; i < m->output_count; i++) put_tensor(&out, OUTPUT, m, sdx_session_output(m->session, i));
  grpc_put_str(&out, FILENAME, m->config ? m->config->file : "model.onnx");
  if (m->batching) wire_end(&out, wire_begin(&out, BATCHING));
  wire_end(&out, at);
  grpc_end(c, &out);
}

HTTP_ROUTE(v2_config) = {
    .access = ROUTE_PUBLIC,
    .methods = METHOD_GET | METHOD_HEAD,
    .summary = "The configuration of a model, as Triton tells it",
    .gives = "{\"type\":\"object\",\"required\":[\"name\",\"platform\",\"max_batch_size\",\"input\",\"output\"]}",
    .paths = {"/v2/models/{model}/config", "/v2/models/{model}/versions/{version}/config"},
    .answer = describe};
HTTP_ROUTE(grpc_config) = {GRPC_PROCEDURE("ModelConfig"), .access = ROUTE_PUBLIC,
                           .summary = "The configuration of a model, as Triton tells it", .answer = answer};
