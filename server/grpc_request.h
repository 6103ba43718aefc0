// SPDX-License-Identifier: Apache-2.0
// An inference request in protobuf (ModelInferRequest) to inputs and wishes, as v2_request.h does it from JSON. Tensors
// come typed, in `contents`, or raw, in the order of the inputs. Failures are those of `j`, which holds no text.
#pragma once

#include "base/wire.h"
#include "server/v2_request.h"

// Which model it is for.
bool grpc_request_names(wire message, json *j, str *model, str *version);
// As v2_request_read; inputs may borrow from the message.
bool grpc_request_read(v2_request *request, json *j, wire message, const sdx_session *session, const char *model,
                       sdx_value **inputs);
// The field of InferTensorContents that has elements of a type; 0: they have none and go raw.
uint32_t grpc_contents_number(sdx_dtype dtype);
