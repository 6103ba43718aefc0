// SPDX-License-Identifier: Apache-2.0
// TypeProto <-> type_info.
#pragma once

#include "base/text.h"
#include "base/wire.h"
#include "graph/graph.h"

typedef struct type_limits {
  size_t rank, depth;
} type_limits;

// Symbols go into g's root. Negative fixed dimensions, which old exporters write for "any", are free.
sdx_status type_proto_read(graph *g, const type_limits *limits, wire message, type_info *out, error *err);
void type_proto_write(wire_out *out, const graph *g, const type_info *type);  // content of a TypeProto
