// SPDX-License-Identifier: Apache-2.0
// Protobuf wire format, read in place and written. A message is a window of the file; its fields are
// described by a table (proto.h). `wire_scan` goes over a message once: it checks every tag, length,
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
} wire_field_def;

typedef struct wire_schema {
  const char *name;  // "NodeProto"
  size_t count;
  const uint8_t *slot_of;        // [WIRE_MAX_NUMBER + 1] by field number: slot + 1, 0 = unknown
  const wire_field_def *fields;  // a field's index here is its slot
} wire_schema;

enum { WIRE_MAX_SLOTS = 24, WIRE_MAX_NUMBER = 31, WIRE_MAX_GROUP_DEPTH = 100 };

// A message: bytes [at, end) of the file.
typedef struct wire {
  const unsigned char *file;
  size_t at, end;
} wire;

typedef struct wire_counts {
  size_t of[WIRE_MAX_SLOTS];  // elements of lists, occurrences of everything else
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
// Takes the next elements, at most `room`, out of a list field (one element or a packed run); how many.
size_t wire_read_ints(wire_field *f, int64_t *at, size_t room);
size_t wire_read_fixed(const wire_field *f, size_t element_bytes, void *at, size_t room);  // from its start

// ---- writing ----------------------------------------------------------------------------------------

void wire_put_int(text *out, uint32_t number, int64_t value);
void wire_put_float(text *out, uint32_t number, float value);
void wire_put_bytes(text *out, uint32_t number, str bytes);
void wire_put_ints(text *out, uint32_t number, const int64_t *at, size_t count);  // packed
// A message or packed list whose content is written between begin and end.
size_t wire_begin(text *out, uint32_t number);
void wire_end(text *out, size_t begin);
