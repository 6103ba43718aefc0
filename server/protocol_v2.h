// SPDX-License-Identifier: Apache-2.0
// The Open Inference Protocol, version 2, REST form, with the binary tensor data extension. Names of
// element types and the two halves of an inference: request to tensors, outputs to response.
#pragma once

#include "server/http.h"

// "FP32", "BYTES", ...; NULL for types the protocol has no name for.
const char *v2_type_name(sdx_dtype dtype);
// {"name":"x","datatype":"FP32","shape":[-1,3]}
void v2_write_io(out *o, const sdx_io *io);
bool v2_parse(http_request *rq);
void v2_reply(http_request *rq, sdx_run *run);
