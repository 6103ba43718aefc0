// SPDX-License-Identifier: Apache-2.0
// Protobuf wire format, read in place and written. A message is a window of the file; its fields are
// described by a table (WIRE_SCHEMA). `wire_scan` goes over a message once: it checks every tag, length,
// wire type and packed list against the table and counts the elements of each field, so that callers
// allocate exactly and from bytes that are present. `wire_next` then steps through the known fields.
//
// Rules: unknown fields are skipped (groups too), known fields of another wire type are errors, lists
// may be packed or not, the last of several scalars wins, a singular message given twice is an error,
// padded varints are fine. Every error names the byte offset, the message and the field.
#pragma once

#include "base/status.h"
#include "base/str.h"
#include "base/text.h"

typedef enum wire_kind {
  WIRE_INT,      // varint
  WIRE_FLOAT,    // 4 bytes
  WIRE_DOUBLE,   // 8 bytes
  WIRE_BYTES,    // string or bytes
  WIRE_MESSAGE,  // at most one
  WIRE_BYTES_LIST,
  WIRE_MESSAGE_LIST,
  WIRE_INTS,  // varints, packed or not
  WIRE_FLOATS,
  WIRE_DOUBLES,
} wire_kind;

typedef struct wire_field_def {
  uint32_t number;
  wire_kind kind;
  const char *name;
  const struct wire_schema *message;  // what it holds, for readers that go by names; may be NULL
  const char *words;                  // names of an enumeration's numbers from 0 on, parted by spaces; may be NULL
} wire_field_def;

typedef struct wire_schema {
  const char *name;  // "NodeProto"
  size_t count;
  uint32_t max_number;
  const uint8_t *slot_of;        // by field number: slot + 1, 0 = unknown; NULL: the fields are searched
  const wire_field_def *fields;  // a field's index here is its slot
} wire_schema;

enum { WIRE_MAX_SLOTS = 250, WIRE_MAX_GROUP_DEPTH = 100 };

// The table of a message from a list of its fields: slot (a constant of an enum in the same order), number, kind, name.
//   #define DIM(F) F(DIM_VALUE, 1, INT, "dim_value") F(DIM_PARAM, 2, BYTES, "dim_param")
//   enum { DIM(WIRE_SLOT) };
//   WIRE_SCHEMA(static const, dim, DIM, "TensorShapeProto.Dimension")
// Behind the name .message and .words may follow.
#define WIRE_SLOT(slot, ...) slot,
#define WIRE_FIELD_(slot, tag, type, text, ...) {.number = tag, .kind = WIRE_##type, .name = text, __VA_ARGS__},
#define WIRE_NUMBER_(slot, number, ...) [number] = (slot) + 1,
#define WIRE_SCHEMA(qualifiers, id, list, text)                                                                   \
  static const wire_field_def id##_fields[] = {list(WIRE_FIELD_)};                                                \
  static const uint8_t id##_slots[] = {list(WIRE_NUMBER_)};                                                       \
  _Static_assert(sizeof id##_fields / sizeof *id##_fields <= (size_t)WIRE_MAX_SLOTS, "too many fields");          \
  qualifiers wire_schema id = {text, sizeof id##_fields / sizeof *id##_fields, sizeof id##_slots - 1, id##_slots, \
                               id##_fields};

// A message: bytes [at, end) of the file.
typedef struct wire {
  const unsigned char *file;
  size_t at, end;
} wire;

typedef struct wire_counts {
  size_t of[WIRE_MAX_SLOTS];  // elements of lists, occurrences of everything else; as many as the table has fields
  bool misfit;                // the scan failed at a known field of another wire type,
  size_t misfit_at;           // whose tag is here
} wire_counts;

typedef struct wire_field {
  size_t slot;
  size_t offset;   // of the tag
  uint64_t value;  // varint or fixed bits; unset for length-delimited fields
  wire body;       // content of length-delimited fields
  bool delimited;
  bool taken;  // the single element was read
} wire_field;

static inline wire wire_of(const void *bytes, size_t size) { return (wire){bytes, 0, size}; }
sdx_status wire_scan(wire message, const wire_schema *schema, wire_counts *counts, error *err);
// The next known field; false at the end. Only for messages that were scanned; should the bytes have
// changed since (a rewritten file under a map), it stops early instead of reading outside.
bool wire_next(wire *message, const wire_schema *schema, wire_field *field);

static inline size_t wire_size(wire w) { return w.end - w.at; }
static inline str wire_str(const wire_field *f) {
  return (str){(const char *)f->body.file + f->body.at, wire_size(f->body)};
}
float wire_float(const wire_field *f);
double wire_double(const wire_field *f);
// Takes the next elements, at most `room`, out of a list field (one element or a packed run); how many.
size_t wire_read_ints(wire_field *f, int64_t *at, size_t room);
size_t wire_read_fixed(const wire_field *f, size_t element_bytes, void *at, size_t room);  // from its start

// ---- writing ----------------------------------------------------------------------------------------

// Where messages go. Zeroed, it keeps their bytes. A length stands before its content, so a writer that keeps nothing
// goes over everything twice: with `put` and `counting` set, then, after wire_rewind, through `put`.
typedef struct wire_out {
  text kept;
  bool (*put)(void *context, const void *bytes, size_t size);  // false: it failed
  void *context;
  bool counting;
  size_t size;      // counted or written so far
  size_t *lengths;  // of the messages in the order in which they begin
  size_t length_count, length_capacity, next;
  bool failed;
} wire_out;
void wire_rewind(wire_out *out);
static inline bool wire_failed(const wire_out *out) { return out->failed || out->kept.failed; }
void wire_out_deinit(wire_out *out);

void wire_put_int(wire_out *out, uint32_t number, int64_t value);
void wire_put_float(wire_out *out, uint32_t number, float value);
void wire_put_double(wire_out *out, uint32_t number, double value);
void wire_put_bytes(wire_out *out, uint32_t number, str bytes);
void wire_put_ints(wire_out *out, uint32_t number, const int64_t *at, size_t count);  // packed
// A message or packed list whose content is written between begin and end.
size_t wire_begin(wire_out *out, uint32_t number);
void wire_put_raw(wire_out *out, const void *bytes, size_t size);  // elements of a packed list
void wire_end(wire_out *out, size_t begin);
