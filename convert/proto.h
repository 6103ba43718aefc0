// SPDX-License-Identifier: Apache-2.0
// Messages of protobuf by the names of their fields, for formats with many kinds of messages that are each read once.
// A message is opened (and checked, base/wire.h) where it is needed; what is absent opens as an empty one, whose fields
// have their defaults. Tables of messages:
//
//   PROTO_TYPE(static, padding, "ValidPadding", PROTO_MESSAGE(1, "paddingAmounts", amounts))
//   PROTO_TYPE(static, pooling, "PoolingLayerParams", PROTO(10, INTS, "kernelSize"), PROTO_MESSAGE(30, "valid",
//   padding))
#pragma once

#include "base/wire.h"
#include "convert/format.h"

#define PROTO(number, kind, name) \
  { number, WIRE_##kind, name, NULL, NULL }
#define PROTO_WORDS(number, name, words) \
  { number, WIRE_INT, name, NULL, words }
#define PROTO_MESSAGE(number, name, type) \
  { number, WIRE_MESSAGE, name, &type, NULL }
#define PROTO_MESSAGES(number, name, type) \
  { number, WIRE_MESSAGE_LIST, name, &type, NULL }
#define PROTO_TYPE(storage, id, text, ...)                   \
  static const wire_field_def id##_fields[] = {__VA_ARGS__}; \
  storage const wire_schema id = {text, sizeof id##_fields / sizeof *id##_fields, 0, NULL, id##_fields};

typedef struct proto {
  conversion *c;
  const wire_schema *type;
  wire bytes;
} proto;

// False: the bytes are no such message, which was reported.
bool proto_open(conversion *c, const wire_schema *type, wire bytes, proto *p);
// False: it is absent (and empty), or damaged, which was reported.
bool proto_get(const proto *p, const char *name, proto *message);
// Steps over the messages of a list; `at` begins as p->bytes. False: no more, or damaged.
bool proto_each(const proto *p, wire *at, const char *name, proto *message);
bool proto_each_text(const proto *p, wire *at, const char *name, str *text);
// The number of a list's elements, of anything else whether it is there.
size_t proto_count(const proto *p, const char *name);
static inline bool proto_has(const proto *p, const char *name) { return proto_count(p, name) > 0; }
// The name of the first field with a message from field number `from` on, and that message: of a oneof. NULL: none.
const char *proto_which(const proto *p, uint32_t from, proto *message);

int64_t proto_int(const proto *p, const char *name, int64_t missing);
double proto_number(const proto *p, const char *name, double missing);  // of a float or double
str proto_text(const proto *p, const char *name);
// How many of a list there are; as many as there is room for are read.
size_t proto_ints(const proto *p, const char *name, size_t room, int64_t *to);
// All of a list of doubles, floats or numbers, as doubles; NULL: empty, or no memory.
const double *proto_doubles(const proto *p, const char *name, size_t *count);
const int64_t *proto_all_ints(const proto *p, const char *name, size_t *count);
// All of a list of floats as they lie in the file, or copied where they lie apart. NULL: empty, or no memory.
const void *proto_floats(const proto *p, const char *name, size_t *count);
