// SPDX-License-Identifier: Apache-2.0
// The text form of TensorFlow's files (.pbtxt): it is written over into the binary form, field by field as the tables
// of tensorflow_proto.h name them, and read from there. Fields without a row are passed over.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/tensorflow_proto.h"

enum { DEEPEST = 40, NUMBER_ROOM = 64 };

typedef struct reader {
  tf *t;
  const char *start, *at, *end;
  wire_out out;
  bool failed;
} reader;

// Which message a field is.
static const wire_schema *child_of(const wire_schema *schema, size_t slot) {
  static const struct {
    const wire_schema *of;
    size_t slot;
    const wire_schema *child;
  } children[] = {{&tf_proto_graph, GRAPH_NODE, &tf_proto_node},
                  {&tf_proto_graph, GRAPH_LIBRARY, &tf_proto_library},
                  {&tf_proto_library, LIBRARY_FUNCTION, &tf_proto_function},
                  {&tf_proto_function, FUNCTION_SIGNATURE, &tf_proto_signature},
                  {&tf_proto_function, FUNCTION_NODE, &tf_proto_node},
                  {&tf_proto_function, FUNCTION_RESULT, &tf_proto_text_entry},
                  {&tf_proto_signature, SIGNATURE_INPUT, &tf_proto_argument},
                  {&tf_proto_signature, SIGNATURE_OUTPUT, &tf_proto_argument},
                  {&tf_proto_node, NODE_ATTR, &tf_proto_entry},
                  {&tf_proto_entry, ENTRY_VALUE, &tf_proto_attr},
                  {&tf_proto_attr, ATTR_LIST, &tf_proto_list},
                  {&tf_proto_attr, ATTR_SHAPE, &tf_proto_shape},
                  {&tf_proto_attr, ATTR_TENSOR, &tf_proto_tensor},
                  {&tf_proto_attr, ATTR_FUNCTION, &tf_proto_name},
                  {&tf_proto_list, LIST_SHAPE, &tf_proto_shape},
                  {&tf_proto_list, LIST_TENSOR, &tf_proto_tensor},
                  {&tf_proto_list, LIST_FUNCTION, &tf_proto_name},
                  {&tf_proto_shape, SHAPE_DIM, &tf_proto_dim},
                  {&tf_proto_tensor, TENSOR_SHAPE, &tf_proto_shape}};
  for (size_t i = 0; i < sizeof children / sizeof *children; i++)
    if (children[i].of == schema && children[i].slot == slot) return children[i].child;
  return NULL;
}

static bool fail(reader *r, const char *what) {
  size_t line = 1;
  char place[40];
  if (r->failed) return false;
  for (const char *c = r->start; c < r->at; c++) line += *c == '\n';
  snprintf(place, sizeof place, "line %zu", line);
  convert_fail(r->t->c, SDX_INVALID_MODEL, place, NULL, "%s", what);
  r->failed = true;
  return false;
}

// ---- words ------------------------------------------------------------------------------------------

static void skip_space(reader *r) {
  for (; r->at < r->end; r->at++) {
    if (*r->at == '#')
      while (r->at < r->end && *r->at != '\n') r->at++;
    if (r->at == r->end || !strchr(" \t\r\n,;", *r->at) || !*r->at) return;
  }
}

static bool take(reader *r, char c) {
  skip_space(r);
  if (r->at == r->end || *r->at != c) return false;
  r->at++;
  return true;
}

static str take_word(reader *r) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-";
  skip_space(r);
  const char *from = r->at;
  while (r->at < r->end && *r->at && strchr(letters, *r->at)) r->at++;
  return (str){from, (size_t)(r->at - from)};
}

static int digit_of(char c, int base) {
  int n = c >= '0' && c <= '9'   ? c - '0'
          : c >= 'a' && c <= 'f' ? c - 'a' + 10
          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                 : base;
  return n < base ? n : -1;
}

// One character behind a backslash.
static char take_escape(reader *r) {
  static const char from[] = "abfnrtv", to[] = "\a\b\f\n\r\t\v";
  char c = *r->at++;
  int base = c == 'x' || c == 'X' ? 16 : 8, n = base == 8 ? digit_of(c, 8) : 0;
  if (base == 8 && n < 0) {
    const char *found = c ? strchr(from, c) : NULL;
    return found ? to[found - from] : c;
  }
  for (int i = base == 16 ? 0 : 1; i < (base == 16 ? 2 : 3) && r->at < r->end && digit_of(*r->at, base) >= 0; i++)
    n = n * base + digit_of(*r->at++, base);
  return (char)n;
}

static bool grow(reader *r, char **to, size_t *room) {
  size_t more = *room ? 2 * *room : 64;
  char *longer = arena_alloc(r->t->c->memory, more);
  if (!longer) return fail(r, "memory is exhausted");
  if (*room) memcpy(longer, *to, *room);
  *to = longer, *room = more;
  return true;
}

// Texts that follow each other are one.
static bool take_text(reader *r, str *text) {
  char *to = NULL;
  size_t size = 0, room = 0;
  for (skip_space(r); r->at < r->end && (*r->at == '"' || *r->at == '\''); skip_space(r)) {
    char quote = *r->at++;
    while (r->at < r->end && *r->at != quote) {
      char c = *r->at++;
      if (c == '\\' && r->at < r->end) c = take_escape(r);
      if (size == room && !grow(r, &to, &room)) return false;
      to[size++] = c;
    }
    if (r->at++ >= r->end) return fail(r, "a text has no end");
  }
  *text = (str){to, size};
  return true;
}

// ---- fields -----------------------------------------------------------------------------------------

static bool read_message(reader *r, const wire_schema *schema, unsigned depth, char close);

static bool integer_of(str word, int64_t *n) {
  static const char *const types[] = {"INVALID",    "FLOAT",  "DOUBLE",    "INT32",   "UINT8",   "INT16",
                                      "INT8",       "STRING", "COMPLEX64", "INT64",   "BOOL",    "QINT8",
                                      "QUINT8",     "QINT32", "BFLOAT16",  "QINT16",  "QUINT16", "UINT16",
                                      "COMPLEX128", "HALF",   "RESOURCE",  "VARIANT", "UINT32",  "UINT64"};
  char digits[NUMBER_ROOM], *end;
  if (str_is(word, "true") || str_is(word, "false")) return *n = str_is(word, "true"), true;
  if (word.size > 3 && !memcmp(word.at, "DT_", 3)) {
    str name = {word.at + 3, word.size - 3};
    bool reference = name.size > 4 && !memcmp(name.at + name.size - 4, "_REF", 4);
    if (reference) name.size -= 4;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
      if (str_is(name, types[i])) return *n = (int64_t)i + (reference ? 100 : 0), true;
    return false;
  }
  if (!word.size || word.size >= sizeof digits) return false;
  memcpy(digits, word.at, word.size);
  digits[word.size] = 0;
  *n = *digits == '-' ? strtoll(digits, &end, 0) : (int64_t)strtoull(digits, &end, 0);
  return !*end;
}

static bool put_number(reader *r, const wire_field_def *def, str word) {
  char digits[NUMBER_ROOM], *end = digits;
  int64_t n;
  if (def->kind == WIRE_INT || def->kind == WIRE_INTS) {
    if (!integer_of(word, &n)) return fail(r, "expected a whole number, a type, true or false");
    wire_put_int(&r->out, def->number, n);
    return true;
  }
  if (!word.size || word.size >= sizeof digits) return fail(r, "expected a number");
  memcpy(digits, word.at, word.size);
  digits[word.size] = 0;
  double number = strtod(digits, &end);
  if (*end && strcmp(end, "f") != 0) return fail(r, "expected a number");
  float narrow = (float)number;
  if (def->kind == WIRE_FLOAT) {
    wire_put_float(&r->out, def->number, narrow);
    return true;
  }
  size_t begin = wire_begin(&r->out, def->number);
  if (def->kind == WIRE_FLOATS) wire_put_raw(&r->out, &narrow, sizeof narrow);
  else wire_put_raw(&r->out, &number, sizeof number);
  wire_end(&r->out, begin);
  return true;
}

// One value of a field; def NULL: of none that is known.
static bool read_value(reader *r, const wire_schema *schema, const wire_field_def *def, unsigned depth) {
  str text;
  skip_space(r);
  if (r->at == r->end) return fail(r, "the text ends within a field");
  if (*r->at == '{' || *r->at == '<') {
    char close = *r->at++ == '{' ? '}' : '>';
    const wire_schema *child = def ? child_of(schema, (size_t)(def - schema->fields)) : NULL;
    if (!child) return read_message(r, NULL, depth + 1, close);
    size_t begin = wire_begin(&r->out, def->number);
    bool good = read_message(r, child, depth + 1, close);
    wire_end(&r->out, begin);
    return good;
  }
  if (*r->at == '"' || *r->at == '\'') {
    if (!take_text(r, &text)) return false;
    if (def && def->kind != WIRE_BYTES && def->kind != WIRE_BYTES_LIST)
      return fail(r, "a text where a number is expected");
    if (def) wire_put_bytes(&r->out, def->number, text);
    return true;
  }
  text = take_word(r);
  if (!text.size) return fail(r, "expected a value");
  if (!def) return true;
  if (def->kind == WIRE_BYTES || def->kind == WIRE_BYTES_LIST) return fail(r, "expected a text in quotation marks");
  if (def->kind == WIRE_MESSAGE || def->kind == WIRE_MESSAGE_LIST) return fail(r, "expected {");
  return put_number(r, def, text);
}

static const wire_field_def *field_of(const wire_schema *schema, str name) {
  for (size_t i = 0; schema && i < schema->count; i++)
    if (str_is(name, schema->fields[i].name)) return &schema->fields[i];
  return NULL;
}

static bool read_message(reader *r, const wire_schema *schema, unsigned depth, char close) {
  if (depth > DEEPEST) return fail(r, "messages within each other are too deep");
  while (skip_space(r), r->at < r->end) {
    if (close && *r->at == close) return r->at++, true;
    str name = take_word(r);
    if (!name.size) return fail(r, "expected the name of a field");
    const wire_field_def *def = field_of(schema, name);
    take(r, ':');
    if (!take(r, '[')) {
      if (!read_value(r, schema, def, depth)) return false;
      continue;
    }
    while (!take(r, ']'))
      if (!read_value(r, schema, def, depth)) return false;
  }
  return !close || fail(r, "a message has no end");
}

static void free_out(void *context) { wire_out_deinit(context); }

bool tf_from_text(tf *t, str text, wire *graph) {
  reader *r = arena_array(t->c->memory, 1, sizeof *r);
  if (!r || !convert_at_end(t->c, free_out, &r->out)) return !convert_no_memory(t->c);
  *r = (reader){.t = t, .start = text.at, .at = text.at, .end = text.at + text.size};
  if (!read_message(r, &tf_proto_graph, 0, 0)) return false;
  if (wire_failed(&r->out)) return !convert_no_memory(t->c);
  *graph = wire_of(r->out.kept.at, r->out.kept.size);
  return true;
}
