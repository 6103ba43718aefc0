// SPDX-License-Identifier: Apache-2.0
// A call as a frame to a script worker, and the worker's frame as the response. Prints and exceptions of the script
// become log lines that carry the id of the request. Frames: script/README.md.
#pragma once

#include <jansson.h>

#include "server/call.h"

json_t *script_request(const call *c, int64_t id);  // NULL: memory
// A frame that ends a call: result, bad or error. False: it is none of them.
bool script_reply(call *c, const json_t *head, const char *body, size_t size);
// What the client is told when the time of the call is over, or the worker is gone.
void script_reply_late(call *c);
void script_reply_lost(call *c);

// A log frame; `id` "" is no request.
void script_log(const json_t *frame, const char *id);
// An exception: {"type", "message", "line", "trace"}.
void script_log_error(const json_t *error, const char *id);
