// SPDX-License-Identifier: Apache-2.0
// FlatBuffers, read in place and checked as they are read: every offset, length and string lies within the buffer, or
// it counts as not there and `failed` is set with the place. Fields have the numbers of their order in the schema.
// Tables are only gone into by callers, so cycles do no harm.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

typedef struct flatbuffer {
  const uint8_t *bytes;
  size_t size;
  bool failed;
  size_t failed_at;  // offset of what was wrong first
} flatbuffer;

typedef struct flat_table {
  flatbuffer *buffer;
  size_t at, fields;  // fields: offset of its vtable; 0: the table is not there and has no fields
  size_t fields_bytes, bytes;
} flat_table;

// Elements without their count; bytes may be unaligned.
typedef struct flat_vector {
  flatbuffer *buffer;
  const uint8_t *at;
  size_t count;
} flat_vector;

flat_table flat_root(flatbuffer *b);
flat_table flat_table_field(const flat_table *t, unsigned field);
flat_vector flat_vector_field(const flat_table *t, unsigned field, size_t element_bytes);
str flat_string_field(const flat_table *t, unsigned field);  // {NULL, 0}: not there
int64_t flat_int_field(const flat_table *t, unsigned field, unsigned bytes,
                       int64_t otherwise);  // signed, little-endian
float flat_float_field(const flat_table *t, unsigned field, float otherwise);
double flat_double_field(const flat_table *t, unsigned field, double otherwise);

// Elements of a vector of offsets (4 bytes each).
flat_table flat_table_at(const flat_vector *v, size_t index);
str flat_string_at(const flat_vector *v, size_t index);

int64_t flat_int(const uint8_t *at, unsigned bytes);
float flat_float(const uint8_t *at);
double flat_double(const uint8_t *at);
