// SPDX-License-Identifier: Apache-2.0
// The Open Inference Protocol, version 2, REST form, with the binary tensor data extension. The
// description of an input or output, and the two halves of an inference: request to tensors, outputs to response.
#pragma once

#include "server/call.h"
#include "server/v2_request.h"

// {"name":"x","datatype":"FP32","shape":[-1,3]}. An output that is no tensor comes as JSON values.
void v2_write_io(text *o, const sdx_io *io, bool output);
const char *v2_type_name(const sdx_io *io);  // what the protocol cannot carry is named as ONNX names it
bool v2_type_has_json(sdx_dtype dtype);
void v2_put_strings(text *o, const sdx_value *tensor);  // binary: each behind its length
// What the model and the client's place mean for a request that is going to be read.
void v2_prepare(call *c, v2_request *request);
// What the request asks for beside its tensors. False: the response is set.
bool v2_take_wishes(call *c, const v2_request *request);
// Writes an output to its part of shared memory; *size: how many bytes. False: the reply is an error.
bool v2_put_part(call *c, const sdx_value *tensor, const char *name, const region_part *part, size_t *size);
void v2_want_all(const call *c, v2_request *request);  // but for states
bool v2_parse(call *c);
void v2_reply(call *c);
void v2_schema(text *o, const model *m, bool request);  // protocol_v2_schema.c
