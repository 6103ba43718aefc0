// SPDX-License-Identifier: Apache-2.0
// FlatBuffers (flatbuffer.h): a table begins with the signed distance back to its list of fields, which holds its own
// size, the table's size and for each field where in the table it lies, 0 for nowhere.
#include "convert/flatbuffer.h"

static bool fits(flatbuffer *b, size_t at, size_t bytes) {
  if (at <= b->size && bytes <= b->size - at) return true;
  if (!b->failed) b->failed_at = at < b->size ? at : b->size;
  b->failed = true;
  return false;
}

static uint64_t little(const uint8_t *at, unsigned bytes) {
  uint64_t n = 0;
  for (unsigned i = 0; i < bytes; i++) n |= (uint64_t)at[i] << 8 * i;
  return n;
}

int64_t flat_int(const uint8_t *at, unsigned bytes) {
  uint64_t n = little(at, bytes), sign = (uint64_t)1 << (8 * bytes - 1);
  return (int64_t)((n ^ sign) - sign);
}

float flat_float(const uint8_t *at) {
  union {
    uint32_t bits;
    float value;
  } u = {.bits = (uint32_t)little(at, 4)};
  return u.value;
}

double flat_double(const uint8_t *at) {
  union {
    uint64_t bits;
    double value;
  } u = {.bits = little(at, 8)};
  return u.value;
}

// Where the offset at `at` leads; 0 outside (no offset leads to the beginning).
static size_t follow(flatbuffer *b, size_t at) {
  if (!fits(b, at, 4)) return 0;
  size_t to = at + (size_t)little(b->bytes + at, 4);
  return to > at && fits(b, to, 4) ? to : 0;
}

static flat_table table_from(flatbuffer *b, size_t at) {
  flat_table t = {.buffer = b, .at = at};
  if (!at) return t;
  int64_t fields = (int64_t)at - flat_int(b->bytes + at, 4);
  if (fields <= 0 || !fits(b, (size_t)fields, 4)) {
    fits(b, b->size, 1);
    return t;
  }
  size_t fields_bytes = (size_t)little(b->bytes + fields, 2), bytes = (size_t)little(b->bytes + fields + 2, 2);
  if (fields_bytes < 4 || bytes < 4 || !fits(b, (size_t)fields, fields_bytes) || !fits(b, at, bytes)) return t;
  t.fields = (size_t)fields;
  t.fields_bytes = fields_bytes;
  t.bytes = bytes;
  return t;
}

// Where a field of so many bytes lies; 0: nowhere.
static size_t field_at(const flat_table *t, unsigned field, size_t bytes) {
  size_t slot = 4 + 2 * (size_t)field;
  if (!t->fields || slot + 2 > t->fields_bytes) return 0;
  size_t offset = (size_t)little(t->buffer->bytes + t->fields + slot, 2);
  if (!offset) return 0;
  if (offset <= t->bytes && bytes <= t->bytes - offset) return t->at + offset;
  fits(t->buffer, t->buffer->size, 1);
  return 0;
}

static size_t leads_to(const flat_table *t, unsigned field) {
  size_t at = field_at(t, field, 4);
  return at ? follow(t->buffer, at) : 0;
}

static flat_vector vector_from(flatbuffer *b, size_t at, size_t element_bytes) {
  flat_vector v = {.buffer = b};
  if (!at) return v;
  size_t count = (size_t)little(b->bytes + at, 4);
  if (count > (b->size - at - 4) / element_bytes) {
    fits(b, at, b->size);
    return v;
  }
  v.at = b->bytes + at + 4;
  v.count = count;
  return v;
}

static str string_from(flatbuffer *b, size_t at) {
  flat_vector v = vector_from(b, at, 1);
  return (str){(const char *)v.at, v.count};
}

flat_table flat_root(flatbuffer *b) { return table_from(b, follow(b, 0)); }
flat_table flat_table_field(const flat_table *t, unsigned field) { return table_from(t->buffer, leads_to(t, field)); }
flat_vector flat_vector_field(const flat_table *t, unsigned field, size_t element_bytes) {
  return vector_from(t->buffer, leads_to(t, field), element_bytes);
}
str flat_string_field(const flat_table *t, unsigned field) { return string_from(t->buffer, leads_to(t, field)); }

int64_t flat_int_field(const flat_table *t, unsigned field, unsigned bytes, int64_t otherwise) {
  size_t at = field_at(t, field, bytes);
  return at ? flat_int(t->buffer->bytes + at, bytes) : otherwise;
}

float flat_float_field(const flat_table *t, unsigned field, float otherwise) {
  size_t at = field_at(t, field, 4);
  return at ? flat_float(t->buffer->bytes + at) : otherwise;
}

double flat_double_field(const flat_table *t, unsigned field, double otherwise) {
  size_t at = field_at(t, field, 8);
  return at ? flat_double(t->buffer->bytes + at) : otherwise;
}

static size_t element_leads_to(const flat_vector *v, size_t index) {
  return follow(v->buffer, (size_t)(v->at + 4 * index - v->buffer->bytes));
}
flat_table flat_table_at(const flat_vector *v, size_t index) {
  return table_from(v->buffer, element_leads_to(v, index));
}
str flat_string_at(const flat_vector *v, size_t index) { return string_from(v->buffer, element_leads_to(v, index)); }
