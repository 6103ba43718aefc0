// SPDX-License-Identifier: Apache-2.0
// gRPC: the Open Inference Protocol's other form. A procedure is a route whose body is one message, or a sequence of
// them: five bytes of prefix, then protobuf. Everything else is as with other routes: refusals, keys, limits, queues,
// the log. Only when an answer goes out (grpc_seal) its status becomes that of gRPC. Read next: grpc_infer.c,
// routes/grpc_*.c; the prefix of streams is known to net/http2.c.
#pragma once

#include "base/wire.h"
#include "server/call.h"

// In the record of a route.
#define GRPC_PROCEDURE(name) .methods = METHOD_POST, .grpc = true, .paths = {"/inference.GRPCInferenceService/" name}

bool grpc_is(const http_request *r);  // it says so
// The head is there. False: refused.
bool grpc_head(call *c);
// grpc-timeout to nanoseconds; false: it is none.
bool grpc_timeout_read(str value, uint64_t *ns);
// The body is there: c->message becomes its message. False: the response is set.
bool grpc_open(call *c);
void grpc_seal(call *c);

// Answers: begin, wire_put_*, end.
wire_out grpc_begin(call *c);
void grpc_end(call *c, wire_out *out);
void grpc_put_str(wire_out *out, uint32_t number, const char *text);
wire grpc_message(const call *c);
// The message, its fields counted. False: the response is an error.
bool grpc_scan(call *c, const wire_schema *schema, wire_counts *counts, wire *message);
// The message of a request that says a model's name and version, or one of them, or none.
bool grpc_read_names(call *c, str *name, str *version);
// Sets entry and model from the fields of their names. A name that is empty stands for all models; false: refused.
bool grpc_find_model(call *c, str name, str version);

// grpc_infer.c
bool grpc_infer_bind(call *c);  // opens the body, finds the model
bool grpc_infer_parse(call *c);
void grpc_infer_reply(call *c);
