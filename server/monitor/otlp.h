// SPDX-License-Identifier: Apache-2.0
// Spans of requests, sent to a collector by OTLP/HTTP in protobuf (--otlp URL): one of the request, with one beneath it
// for each phase. Read next: trace.h, courier.h.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/monitor/courier.h"

struct call;
typedef struct otlp otlp;

// `url`: of the collector; /v1/traces is added where it is missing. `share`: of the traces that begin here. NULL: said
// in the log.
otlp *otlp_start(const char *url, double share, uint64_t seed);
void otlp_stop(otlp *o);                   // NULL is accepted
void otlp_begin(otlp *o, struct call *c);  // after its trace was read: decides whether it is recorded
void otlp_note(otlp *o, const struct call *c, uint64_t end_ns);  // of a call that is recorded
courier_counts otlp_count(otlp *o);
