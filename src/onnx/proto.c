// SPDX-License-Identifier: Apache-2.0
// The tables of proto.h.
#include "onnx/proto.h"

#define F(slot, number, kind, name) {number, WIRE_##kind, name},
#define M(id, list, text)                                                               \
  static const wire_field_def id##_fields[] = {list(F)};                                \
  _Static_assert((int)PROTO_COUNT_##id <= (int)WIRE_MAX_SLOTS, "raise WIRE_MAX_SLOTS"); \
  const wire_schema proto_##id = {text, PROTO_COUNT_##id, id##_fields};
PROTO_LIST(M)
