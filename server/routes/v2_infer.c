// SPDX-License-Identifier: Apache-2.0
// POST /v2/models/{model}/infer.
#include "server/protocol_v2.h"

HTTP_ROUTE(v2_infer) = {.access = ROUTE_SCORE,
                        .methods = METHOD_POST,
                        .binary = true,
                        .summary = "Computes: Open Inference Protocol v2; tensors may be binary, behind the JSON",
                        .schema = v2_schema,
                        .paths = {"/v2/models/{model}/infer", "/v2/models/{model}/versions/{version}/infer"},
                        .parse = v2_parse,
                        .reply = v2_reply};
