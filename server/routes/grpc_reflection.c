// SPDX-License-Identifier: Apache-2.0
// gRPC: reflection, by which clients without .proto files learn services and messages (grpc_proto.h). Each question of
// the stream is answered; what there is not, in the answer.
#include "server/grpc.h"
#include "server/grpc_proto.h"

#define QUESTION(F)                            \
  F(HOST, 1, BYTES, "host")                    \
  F(BY_FILENAME, 3, BYTES, "file_by_filename") \
  F(BY_SYMBOL, 4, BYTES, "file_containing_symbol") F(SERVICES, 7, BYTES, "list_services")
enum { QUESTION(WIRE_SLOT) };
WIRE_SCHEMA(static const, question, QUESTION, "ServerReflectionRequest")
enum { ORIGINAL = 2, FILE_RESPONSE = 4, LIST_RESPONSE = 6, ERROR_RESPONSE };

static void put_services(wire_out *out) {
  size_t list = wire_begin(out, LIST_RESPONSE), at = 0;
  for (const char *name; (name = grpc_proto_service(&at));) {
    size_t one = wire_begin(out, 1);
    grpc_put_str(out, 1, name);
    wire_end(out, one);
  }
  wire_end(out, list);
}

static void put_error(wire_out *out, int64_t code, const char *message) {
  size_t at = wire_begin(out, ERROR_RESPONSE);
  wire_put_int(out, 1, code);
  grpc_put_str(out, 2, message);
  wire_end(out, at);
}

static void put_file(wire_out *out, str wanted) {
  enum { NOT_FOUND = 5 };
  wire_out file = {0};
  bool found = grpc_proto_write(wanted, &file);
  size_t at = found ? wire_begin(out, FILE_RESPONSE) : 0;
  if (found) wire_put_bytes(out, 1, (str){file.kept.at, file.kept.size});
  if (found) wire_end(out, at);
  else put_error(out, NOT_FOUND, "there is no such file or symbol");
  if (wire_failed(&file)) out->failed = true;
  wire_out_deinit(&file);
}

static void answer(call *c) {
  enum { UNIMPLEMENTED = 12 };
  wire_counts counts;
  wire message;
  wire_field f, asked = {.slot = HOST};
  if (!grpc_scan(c, &question, &counts, &message)) return;
  wire whole = message;
  while (wire_next(&message, &question, &f))
    if (f.slot != HOST) asked = f;
  wire_out out = grpc_begin(c);
  wire_put_bytes(&out, ORIGINAL, (str){(const char *)whole.file + whole.at, wire_size(whole)});
  if (asked.slot == SERVICES) put_services(&out);
  else if (asked.slot == HOST) put_error(&out, UNIMPLEMENTED, "only files, symbols and services are told");
  else put_file(&out, wire_str(&asked));
  grpc_end(c, &out);
}

#define REFLECTION(path)                                                                                               \
  {                                                                                                                    \
    .access = ROUTE_PUBLIC, .methods = METHOD_POST, .grpc = true, .messages = true, .paths = {path}, .answer = answer, \
    .summary = "Services and messages"                                                                                 \
  }
HTTP_ROUTE(reflection) = REFLECTION("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo");
HTTP_ROUTE(reflection_alpha) = REFLECTION("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
