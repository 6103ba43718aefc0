// SPDX-License-Identifier: Apache-2.0
// The Open Inference Protocol, version 2, REST form, with the binary tensor data extension. The
// description of an input or output, and the two halves of an inference: request to tensors, outputs to response.
#pragma once

#include "server/http.h"

// {"name":"x","datatype":"FP32","shape":[-1,3]}
void v2_write_io(text *o, const sdx_io *io);
bool v2_parse(http_request *rq);
void v2_reply(http_request *rq, sdx_run *run);
