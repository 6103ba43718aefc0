// SPDX-License-Identifier: Apache-2.0
// The tables of proto.h.
#include "onnx/proto.h"

#define M(id, fields, name) WIRE_SCHEMA(const, proto_##id, fields, name)
PROTO_LIST(M)
