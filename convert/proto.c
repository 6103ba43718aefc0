// SPDX-License-Identifier: Apache-2.0
// Messages by the names of their fields (proto.h).
#include "convert/proto.h"

#include <string.h>

bool proto_open(conversion *c, const wire_schema *type, wire bytes, proto *p) {
  wire_counts counts;
  error err = {0};
  *p = (proto){c, type, {bytes.file, bytes.at, bytes.at}};
  if (wire_scan(bytes, type, &counts, &err))
    return !convert_fail(c, SDX_INVALID_MODEL, "protobuf", err.hint, "%s", err.message);
  p->bytes = bytes;
  return true;
}

static size_t slot_of(const proto *p, const char *name) {
  size_t slot = 0;
  while (slot < p->type->count && strcmp(p->type->fields[slot].name, name) != 0) slot++;
  return slot;
}

// The next field of that slot.
static bool next_of(const proto *p, wire *at, size_t slot, wire_field *f) {
  while (wire_next(at, p->type, f))
    if (f->slot == slot) return true;
  return false;
}

// The last of them, which holds.
static bool last_of(const proto *p, const char *name, wire_field *last) {
  wire at = p->bytes;
  wire_field f;
  size_t slot = slot_of(p, name);
  bool found = false;
  while (next_of(p, &at, slot, &f)) *last = f, found = true;
  return found;
}

bool proto_get(const proto *p, const char *name, proto *message) {
  wire_field f;
  size_t slot = slot_of(p, name);
  conversion *c = p->c;
  wire bytes = p->bytes;
  const wire_schema *type = slot < p->type->count ? p->type->fields[slot].message : p->type;
  if (last_of(p, name, &f)) return proto_open(c, type, f.body, message);
  *message = (proto){c, type, {bytes.file, bytes.end, bytes.end}};
  return false;
}

bool proto_each(const proto *p, wire *at, const char *name, proto *message) {
  wire_field f;
  size_t slot = slot_of(p, name);
  return next_of(p, at, slot, &f) && proto_open(p->c, p->type->fields[slot].message, f.body, message);
}

bool proto_each_text(const proto *p, wire *at, const char *name, str *text) {
  wire_field f;
  if (!next_of(p, at, slot_of(p, name), &f)) return false;
  *text = wire_str(&f);
  return true;
}

size_t proto_count(const proto *p, const char *name) {
  wire_counts counts;
  size_t slot = slot_of(p, name);
  if (wire_scan(p->bytes, p->type, &counts, NULL) || slot == p->type->count) return 0;
  return counts.of[slot];
}

const char *proto_which(const proto *p, uint32_t from, proto *message) {
  wire at = p->bytes;
  wire_field f;
  while (wire_next(&at, p->type, &f)) {
    const wire_field_def *def = &p->type->fields[f.slot];
    if (def->number >= from && def->kind == WIRE_MESSAGE && def->message)
      return proto_open(p->c, def->message, f.body, message) ? def->name : NULL;
  }
  return NULL;
}

int64_t proto_int(const proto *p, const char *name, int64_t missing) {
  wire_field f;
  return last_of(p, name, &f) ? (int64_t)f.value : missing;
}

static double number_of(const wire_field_def *def, const wire_field *f) {
  return def->kind == WIRE_DOUBLE ? wire_double(f) : def->kind == WIRE_FLOAT ? (double)wire_float(f) : (double)f->value;
}

double proto_number(const proto *p, const char *name, double missing) {
  wire_field f;
  return last_of(p, name, &f) ? number_of(&p->type->fields[f.slot], &f) : missing;
}

str proto_text(const proto *p, const char *name) {
  wire_field f;
  return last_of(p, name, &f) ? wire_str(&f) : (str){"", 0};
}

size_t proto_ints(const proto *p, const char *name, size_t room, int64_t *to) {
  wire at = p->bytes;
  wire_field f;
  size_t slot = slot_of(p, name), count = 0;
  while (count < room && next_of(p, &at, slot, &f)) count += wire_read_ints(&f, to + count, room - count);
  return count < room ? count : proto_count(p, name);
}

const int64_t *proto_all_ints(const proto *p, const char *name, size_t *count) {
  *count = proto_count(p, name);
  int64_t *to = *count ? arena_array(p->c->memory, *count, sizeof *to) : NULL;
  if (to) *count = proto_ints(p, name, *count, to);
  else if (*count) convert_no_memory(p->c), *count = 0;
  return to;
}

const void *proto_floats(const proto *p, const char *name, size_t *count) {
  wire at = p->bytes;
  wire_field f;
  size_t slot = slot_of(p, name), done = 0;
  *count = proto_count(p, name);
  if (!*count || !next_of(p, &at, slot, &f)) return NULL;
  if (f.delimited && wire_size(f.body) / sizeof(float) == *count) return f.body.file + f.body.at;
  float *to = arena_array(p->c->memory, *count, sizeof *to);
  if (!to) return convert_no_memory(p->c), NULL;
  do done += wire_read_fixed(&f, sizeof *to, to + done, *count - done);
  while (next_of(p, &at, slot, &f));
  return to;
}

const double *proto_doubles(const proto *p, const char *name, size_t *count) {
  wire at = p->bytes;
  wire_field f;
  size_t slot = slot_of(p, name), done = 0;
  *count = proto_count(p, name);
  double *to = *count ? arena_array(p->c->memory, *count, sizeof *to) : NULL;
  if (!to) {
    if (*count) convert_no_memory(p->c);
    *count = 0;
    return NULL;
  }
  bool wide = p->type->fields[slot].kind == WIRE_DOUBLES;
  while (done < *count && next_of(p, &at, slot, &f)) {
    size_t n = f.delimited ? wire_size(f.body) / (wide ? sizeof(double) : sizeof(float)) : 1;
    for (size_t i = 0; i < n && done < *count; i++) {
      const unsigned char *from = f.delimited ? f.body.file + f.body.at : (const unsigned char *)&f.value;
      float narrow;
      if (wide) memcpy(&to[done++], from + i * sizeof(double), sizeof(double));
      else to[done++] = (double)(memcpy(&narrow, from + i * sizeof narrow, sizeof narrow), narrow);
    }
  }
  return to;
}
