// SPDX-License-Identifier: Apache-2.0
// gRPC: health, and descriptions of the server and its models, as v2_model.c and health.c tell them.
#include "server/grpc.h"
#include "server/protocol_v2.h"

static void answer_flag(call *c, bool flag) {
  wire_out out = grpc_begin(c);
  wire_put_int(&out, 1, flag);
  grpc_end(c, &out);
}

static void live(call *c) { answer_flag(c, true); }
static void ready(call *c) { answer_flag(c, server_ready(c->srv)); }

static void model_ready(call *c) {
  str name, version;
  if (grpc_read_names(c, &name, &version) && grpc_find_model(c, name, version))
    answer_flag(c, server_ready(c->srv) && models_serve(&c->srv->models, c->entry));
}

static void describe_server(call *c) {
  static const char *const extensions[] = {"model_configuration", "model_repository", "statistics",
                                           "system_shared_memory"};
  wire_out out = grpc_begin(c);
  grpc_put_str(&out, 1, "sardonyx");
  grpc_put_str(&out, 2, sdx_version());
  for (size_t i = 0; i < sizeof extensions / sizeof *extensions; i++) grpc_put_str(&out, 3, extensions[i]);
  grpc_end(c, &out);
}

static void put_io(wire_out *out, uint32_t number, const sdx_io *io) {
  size_t at = wire_begin(out, number);
  grpc_put_str(out, 1, io->name);
  grpc_put_str(out, 2, v2_type_name(io));
  if (io->has_shape) wire_put_ints(out, 3, io->shape, io->rank);
  wire_end(out, at);
}

static void describe_model(call *c) {
  enum { VERSIONS = 2, PLATFORM, INPUTS, OUTPUTS };
  str name, version;
  if (!grpc_read_names(c, &name, &version) || !grpc_find_model(c, name, version)) return;
  const model_list *all = models_list(&c->srv->models);
  wire_out out = grpc_begin(c);
  grpc_put_str(&out, 1, c->entry->name);
  for (size_t i = all->count; i-- > 0;)
    if (!all->at[i]->gone && !strcmp(all->at[i]->name, c->entry->name))
      grpc_put_str(&out, VERSIONS, all->at[i]->version);
  grpc_put_str(&out, PLATFORM, "onnx_onnxv1");
  for (size_t i = 0; i < sdx_session_input_count(c->model->session); i++)
    put_io(&out, INPUTS, sdx_session_input(c->model->session, i));
  for (size_t i = 0; i < c->model->output_count; i++) put_io(&out, OUTPUTS, sdx_session_output(c->model->session, i));
  grpc_end(c, &out);
}

// The health service of gRPC itself; "" is the server as a whole.
static void check(call *c) {
  enum { SERVING = 1, NOT_SERVING };
  str name, none;
  if (!grpc_read_names(c, &name, &none)) return;
  if (name.size && !str_is(name, "inference.GRPCInferenceService")) {
    call_error(c, 404, "no service '%.*s'", STR_ARG(name));
    return;
  }
  wire_out out = grpc_begin(c);
  wire_put_int(&out, 1, server_ready(c->srv) ? SERVING : NOT_SERVING);
  grpc_end(c, &out);
}

HTTP_ROUTE(grpc_live) = {GRPC_PROCEDURE("ServerLive"), .access = ROUTE_PUBLIC, .open = true,
                         .summary = "Whether the server turns", .answer = live};
HTTP_ROUTE(grpc_ready) = {GRPC_PROCEDURE("ServerReady"), .access = ROUTE_PUBLIC, .open = true,
                          .summary = "Whether it takes requests", .answer = ready};
HTTP_ROUTE(grpc_health) = {.access = ROUTE_PUBLIC,
                           .open = true,
                           .methods = METHOD_POST,
                           .grpc = true,
                           .summary = "Whether it takes requests",
                           .paths = {"/grpc.health.v1.Health/Check"},
                           .answer = check};
HTTP_ROUTE(grpc_model_ready) = {GRPC_PROCEDURE("ModelReady"), .access = ROUTE_PUBLIC, .unloaded_too = true,
                                .summary = "Whether a model is loaded", .answer = model_ready};
HTTP_ROUTE(grpc_server) = {GRPC_PROCEDURE("ServerMetadata"), .access = ROUTE_PUBLIC,
                           .summary = "The server and its extensions", .answer = describe_server};
HTTP_ROUTE(grpc_model) = {GRPC_PROCEDURE("ModelMetadata"), .access = ROUTE_PUBLIC,
                          .summary = "The inputs and outputs of a model", .answer = describe_model};
