// SPDX-License-Identifier: Apache-2.0
// gRPC: ModelInfer, and ModelStreamInfer, which answers each message of a stream and tells errors in the answer.
#include "server/grpc.h"

HTTP_ROUTE(grpc_infer) = {GRPC_PROCEDURE("ModelInfer"), .access = ROUTE_SCORE, .summary = "Computes",
                          .parse = grpc_infer_parse, .reply = grpc_infer_reply};
HTTP_ROUTE(grpc_stream) = {
    GRPC_PROCEDURE("ModelStreamInfer"),        .access = ROUTE_SCORE,     .messages = true,
    .summary = "Computes one after the other", .parse = grpc_infer_parse, .reply = grpc_infer_reply};
