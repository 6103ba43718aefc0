// SPDX-License-Identifier: Apache-2.0
// W3C trace context: which trace a request belongs to, and what is passed on with it. Who records: otlp.h.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { TRACE_ID = 16, SPAN_ID = 8, TRACE_SAMPLED = 1, TRACE_PARENT = 56 };  // TRACE_PARENT: as text, with its NUL

typedef struct trace {
  bool known;     // the request belongs to one
  bool given;     // the client named it
  bool recorded;  // and it gets a span of its own
  uint8_t id[TRACE_ID], parent[SPAN_ID], span[SPAN_ID], flags;
} trace;

// The value of the header traceparent. False: it is none, and all is left as it was.
bool trace_read(trace *t, str value);
// The header for whoever is asked on behalf of the request.
const char *trace_parent(char to[TRACE_PARENT], const trace *t);
const char *trace_hex(char *to, const uint8_t *bytes, size_t size);  // 2 * size + 1 characters
// Not zero, and different each time.
void trace_make_id(uint8_t *id, size_t size, uint64_t seed);
