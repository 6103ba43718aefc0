// SPDX-License-Identifier: Apache-2.0
// Protobuf wire format; see wire.h.
#include "base/wire.h"

#include "base/size.h"

enum { TYPE_VARINT, TYPE_FIXED64, TYPE_DELIMITED, TYPE_GROUP, TYPE_END_GROUP, TYPE_FIXED32 };
enum { MAX_VARINT_BYTES = 10, MAX_FIELD_NUMBER = (1 << 29) - 1 };

static const char *read_long_varint(const unsigned char *file, size_t *at, size_t end, uint64_t *value) {
  uint64_t result = 0;
  for (unsigned i = 0; i < MAX_VARINT_BYTES; i++) {
    if (*at + i >= end) return "the bytes end inside a number";
    uint64_t byte = file[*at + i];
    if (i == MAX_VARINT_BYTES - 1 && byte > 1) return "a number is longer than 64 bits";
    result |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      *at += i + 1;
      *value = result;
      return NULL;
    }
  }
  return "a number is longer than 64 bits";
}

// A varint at *at; NULL and *at moved behind it, or the reason why it is none. Most are one byte long.
static inline const char *read_varint(const unsigned char *file, size_t *at, size_t end, uint64_t *value) {
  if (*at >= end || file[*at] >= 0x80) return read_long_varint(file, at, end, value);
  *value = file[(*at)++];
  return NULL;
}

// One field as it stands in the bytes, before anything is known about its meaning.
typedef struct raw_field {
  uint32_t number, type;
  uint64_t value;
  size_t at, end;  // content of delimited fields
  uint64_t claimed;
} raw_field;

static const char too_long[] = "length";

static inline const char *read_raw(const unsigned char *file, size_t *at, size_t end, raw_field *f) {
  uint64_t tag;
  const char *wrong = read_varint(file, at, end, &tag);
  if (wrong) return wrong;
  f->number = (uint32_t)(tag >> 3);
  f->type = (uint32_t)(tag & 7);
  if (tag >> 3 == 0 || tag >> 3 > MAX_FIELD_NUMBER) return "the field number is not valid";
  switch (f->type) {
    case TYPE_VARINT:
      return read_varint(file, at, end, &f->value);
    case TYPE_FIXED64:
    case TYPE_FIXED32: {
      size_t bytes = f->type == TYPE_FIXED64 ? 8 : 4;
      if (end - *at < bytes) return "the bytes end inside a number";
      f->value = 0;
      memcpy(&f->value, file + *at, bytes);
      *at += bytes;
      return NULL;
    }
    case TYPE_DELIMITED:
      if ((wrong = read_varint(file, at, end, &f->claimed))) return wrong;
      if (f->claimed > end - *at) return too_long;
      f->at = *at;
      f->end = *at += (size_t)f->claimed;
      return NULL;
    case TYPE_GROUP:
    case TYPE_END_GROUP:
      return NULL;
    default:
      return "the wire type does not exist";
  }
}

// Skips a group whose start tag was read. Nested groups are followed with a stack of their numbers.
static const char *skip_group(const unsigned char *file, size_t *at, size_t end, uint32_t number) {
  uint32_t open[WIRE_MAX_GROUP_DEPTH];
  size_t depth = 0;
  open[depth++] = number;
  while (depth) {
    raw_field f;
    const char *wrong = read_raw(file, at, end, &f);
    if (wrong) return wrong == too_long ? "a length in a group reaches past its end" : wrong;
    if (f.type == TYPE_GROUP) {
      if (depth == WIRE_MAX_GROUP_DEPTH) return "groups are nested more than 100 deep";
      open[depth++] = f.number;
    } else if (f.type == TYPE_END_GROUP && open[--depth] != f.number) {
      return "a group ends with another number than it began with";
    }
  }
  return NULL;
}

// The slot of a field number; schema->count when it is unknown.
static size_t slot_of(const wire_schema *schema, uint32_t number) {
  if (!schema->slot_of) {
    size_t at = 0;
    while (at < schema->count && schema->fields[at].number != number) at++;
    return at;
  }
  size_t slot = number <= schema->max_number ? schema->slot_of[number] : 0;
  return slot ? slot - 1 : schema->count;
}

static const uint8_t type_of_kind[] = {[WIRE_INT] = TYPE_VARINT,        [WIRE_FLOAT] = TYPE_FIXED32,
                                       [WIRE_DOUBLE] = TYPE_FIXED64,    [WIRE_BYTES] = TYPE_DELIMITED,
                                       [WIRE_MESSAGE] = TYPE_DELIMITED, [WIRE_BYTES_LIST] = TYPE_DELIMITED,
                                       [WIRE_INTS] = TYPE_VARINT,       [WIRE_FLOATS] = TYPE_FIXED32,
                                       [WIRE_DOUBLES] = TYPE_FIXED64,   [WIRE_MESSAGE_LIST] = TYPE_DELIMITED};

static bool packs(wire_kind kind) { return kind >= WIRE_INTS; }
static bool type_fits(wire_kind kind, uint32_t type) {
  return type == type_of_kind[kind] || (packs(kind) && type == TYPE_DELIMITED);
}

// How many elements a packed run holds; the reason when it is none.
static const char *count_packed(const unsigned char *file, const raw_field *f, wire_kind kind, size_t *count) {
  size_t bytes = f->end - f->at;
  if (kind != WIRE_INTS) {
    size_t element = kind == WIRE_FLOATS ? 4 : 8;
    *count += bytes / element;
    return bytes % element ? "the length of the list is not a multiple of its elements" : NULL;
  }
  for (size_t at = f->at; at < f->end; ++*count) {
    uint64_t ignored;
    const char *wrong = read_varint(file, &at, f->end, &ignored);
    if (wrong) return wrong;
  }
  return NULL;
}

static sdx_status fail(const wire_schema *schema, size_t slot, size_t offset, const char *wrong, error *err) {
  if (slot < schema->count)
    error_set(err, SDX_INVALID_MODEL, "field '%s' of %s: %s", schema->fields[slot].name, schema->name, wrong);
  else error_set(err, SDX_INVALID_MODEL, "in %s: %s", schema->name, wrong);
  error_offset(err, offset);
  return SDX_INVALID_MODEL;
}

static sdx_status fail_length(const wire_schema *schema, size_t slot, size_t offset, uint64_t claimed, size_t left,
                              error *err) {
  error_set(err, SDX_INVALID_MODEL, "field '%s' of %s claims %llu bytes where %zu are left",
            slot < schema->count ? schema->fields[slot].name : "(unknown)", schema->name, (unsigned long long)claimed,
            left);
  error_offset(err, offset);
  error_hint(err, "is the file cut short?");
  return SDX_INVALID_MODEL;
}

sdx_status wire_scan(wire message, const wire_schema *schema, wire_counts *counts, error *err) {
  memset(counts->of, 0, schema->count * sizeof *counts->of);
  counts->misfit = false;
  while (message.at < message.end) {
    raw_field f = {0};
    size_t offset = message.at;
    const char *wrong = read_raw(message.file, &message.at, message.end, &f);
    size_t slot = f.number ? slot_of(schema, f.number) : schema->count;
    bool known = slot < schema->count;
    if (known && type_fits(schema->fields[slot].kind, f.type))
      counts->of[slot]++;  // first of all: a caller may ask what was there before it broke
    if (wrong == too_long && f.claimed > INT64_MAX) wrong = "the length is that of no file";
    else if (wrong == too_long) return fail_length(schema, slot, offset, f.claimed, message.end - message.at, err);
    if (!wrong && f.type == TYPE_END_GROUP) wrong = "a group ends that did not begin";
    if (!wrong && known && !type_fits(schema->fields[slot].kind, f.type)) {
      wrong = "the wire type does not fit the field";
      counts->misfit = true;
      counts->misfit_at = offset;
    }
    if (!wrong && f.type == TYPE_GROUP) wrong = skip_group(message.file, &message.at, message.end, f.number);
    if (!wrong && known) {
      wire_kind kind = schema->fields[slot].kind;
      if (packs(kind) && f.type == TYPE_DELIMITED) {
        counts->of[slot]--;
        wrong = count_packed(message.file, &f, kind, &counts->of[slot]);
      } else if (kind == WIRE_MESSAGE && counts->of[slot] > 1) {
        wrong = "the field is given twice";
      }
    }
    if (wrong) return fail(schema, slot, offset, wrong, err);
  }
  return SDX_OK;
}

bool wire_next(wire *message, const wire_schema *schema, wire_field *field) {
  while (message->at < message->end) {
    raw_field f = {0};
    size_t offset = message->at;
    if (read_raw(message->file, &message->at, message->end, &f)) return false;
    if (f.type == TYPE_GROUP && skip_group(message->file, &message->at, message->end, f.number)) return false;
    size_t slot = slot_of(schema, f.number);
    if (slot == schema->count) continue;
    if (!type_fits(schema->fields[slot].kind, f.type)) return false;
    *field = (wire_field){.slot = slot,
                          .offset = offset,
                          .value = f.value,
                          .body = {message->file, f.at, f.end},
                          .delimited = f.type == TYPE_DELIMITED};
    return true;
  }
  return false;
}

float wire_float(const wire_field *f) {
  float number;
  uint32_t bits = (uint32_t)f->value;
  memcpy(&number, &bits, sizeof number);
  return number;
}

double wire_double(const wire_field *f) {
  double number;
  memcpy(&number, &f->value, sizeof number);
  return number;
}

size_t wire_read_ints(wire_field *f, int64_t *at, size_t room) {
  if (!f->delimited) {
    if (room == 0 || f->taken) return 0;
    f->taken = true;
    *at = (int64_t)f->value;
    return 1;
  }
  size_t count = 0;
  uint64_t value;
  for (; f->body.at < f->body.end && count < room; count++) {
    if (read_varint(f->body.file, &f->body.at, f->body.end, &value)) break;
    at[count] = (int64_t)value;
  }
  return count;
}

size_t wire_read_fixed(const wire_field *f, size_t element_bytes, void *at, size_t room) {
  size_t count = f->delimited ? wire_size(f->body) / element_bytes : 1;
  if (count > room) count = room;
  if (count == 0) return 0;
  memcpy(at, f->delimited ? (const void *)(f->body.file + f->body.at) : &f->value, count * element_bytes);
  return count;
}

// ---- writing ----------------------------------------------------------------------------------------

void wire_rewind(wire_out *out) {
  out->counting = false;
  out->size = out->next = 0;
}

void wire_out_deinit(wire_out *out) {
  text_deinit(&out->kept);
  mem_free(out->lengths);
  *out = (wire_out){0};
}

void wire_put_raw(wire_out *out, const void *bytes, size_t size) {
  if (!out->put) {
    text_append(&out->kept, bytes, size);
    return;
  }
  if (!out->counting && size && !out->failed) out->failed = !out->put(out->context, bytes, size);
  if (!size_add(out->size, size, &out->size)) out->failed = true;
}

static size_t varint_bytes(uint64_t value, unsigned char bytes[MAX_VARINT_BYTES]) {
  size_t n = 0;
  while (value >= 0x80) {
    bytes[n++] = (unsigned char)(value | 0x80);
    value >>= 7;
  }
  bytes[n++] = (unsigned char)value;
  return n;
}

static void put_varint(wire_out *out, uint64_t value) {
  unsigned char bytes[MAX_VARINT_BYTES];
  wire_put_raw(out, bytes, varint_bytes(value, bytes));
}

static void put_tag(wire_out *out, uint32_t number, uint32_t type) { put_varint(out, (uint64_t)number << 3 | type); }

void wire_put_int(wire_out *out, uint32_t number, int64_t value) {
  put_tag(out, number, TYPE_VARINT);
  put_varint(out, (uint64_t)value);
}

void wire_put_float(wire_out *out, uint32_t number, float value) {
  put_tag(out, number, TYPE_FIXED32);
  wire_put_raw(out, &value, sizeof value);
}

void wire_put_double(wire_out *out, uint32_t number, double value) {
  put_tag(out, number, TYPE_FIXED64);
  wire_put_raw(out, &value, sizeof value);
}

void wire_put_bytes(wire_out *out, uint32_t number, str bytes) {
  put_tag(out, number, TYPE_DELIMITED);
  put_varint(out, bytes.size);
  wire_put_raw(out, bytes.at, bytes.size);
}

void wire_put_ints(wire_out *out, uint32_t number, const int64_t *at, size_t count) {
  size_t begin = wire_begin(out, number);
  for (size_t i = 0; i < count; i++) put_varint(out, (uint64_t)at[i]);
  wire_end(out, begin);
}

static bool add_length(wire_out *out) {
  if (out->length_count == out->length_capacity) {
    size_t capacity = out->length_capacity ? 2 * out->length_capacity : 256;
    size_t *lengths = mem_alloc(out->kept.account, capacity * sizeof *lengths);
    if (!lengths) return false;
    if (out->length_count) memcpy(lengths, out->lengths, out->length_count * sizeof *lengths);
    mem_free(out->lengths);
    out->lengths = lengths;
    out->length_capacity = capacity;
  }
  out->lengths[out->length_count++] = out->size;  // until its end is known: where it begins
  return true;
}

// Kept: one byte stays free for the length; a longer one moves the content up.
size_t wire_begin(wire_out *out, uint32_t number) {
  put_tag(out, number, TYPE_DELIMITED);
  if (!out->put) {
    text_append(&out->kept, "", 1);
    return out->kept.size;
  }
  if (out->failed) return 0;
  if (!out->counting) {
    put_varint(out, out->lengths[out->next]);
    return out->next++;
  }
  if (add_length(out)) return out->length_count - 1;
  out->failed = true;
  return 0;
}

static void end_kept(text *kept, size_t begin) {
  if (kept->failed) return;
  unsigned char bytes[MAX_VARINT_BYTES];
  size_t size = kept->size - begin, n = varint_bytes(size, bytes);
  text_append(kept, (const char *)bytes, n - 1);
  if (kept->failed) return;
  memmove(kept->at + begin + n - 1, kept->at + begin, size);
  memcpy(kept->at + begin - 1, bytes, n);
}

void wire_end(wire_out *out, size_t begin) {
  if (!out->put) {
    end_kept(&out->kept, begin);
  } else if (out->counting && !out->failed) {
    size_t size = out->size - out->lengths[begin];
    out->lengths[begin] = size;
    put_varint(out, size);
  }
}
