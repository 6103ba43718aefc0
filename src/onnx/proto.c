// SPDX-License-Identifier: Apache-2.0
// The tables of proto.h.
#include "onnx/proto.h"

#define F(slot, number, kind, name) {number, WIRE_##kind, name},
#define N(slot, number, kind, name) [number] = (slot) + 1,
#define M(id, list, text)                                                               \
  static const wire_field_def id##_fields[] = {list(F)};                                \
  static const uint8_t id##_slots[WIRE_MAX_NUMBER + 1] = {list(N)};                     \
  _Static_assert((int)PROTO_COUNT_##id <= (int)WIRE_MAX_SLOTS, "raise WIRE_MAX_SLOTS"); \
  const wire_schema proto_##id = {text, PROTO_COUNT_##id, id##_slots, id##_fields};
PROTO_LIST(M)
