// SPDX-License-Identifier: Apache-2.0
// Walking the texts of operator records; see schema.h.
#include "ops/schema.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const kind_names[] = {
    [ATTR_FLOAT] = "float",
    [ATTR_INT] = "int",
    [ATTR_STRING] = "string",
    [ATTR_TENSOR] = "tensor",
    [ATTR_GRAPH] = "graph",
    [ATTR_FLOATS] = "floats",
    [ATTR_INTS] = "ints",
    [ATTR_STRINGS] = "strings",
    [ATTR_TENSORS] = "tensors",
    [ATTR_GRAPHS] = "graphs",
    [ATTR_SPARSE_TENSOR] = "sparse",
    [ATTR_SPARSE_TENSORS] = "sparses",
    [ATTR_TYPE] = "type",
    [ATTR_TYPES] = "types",
};

const char *attr_kind_name(attr_kind kind) {
  return kind >= ATTR_FLOAT && kind <= ATTR_TYPES ? kind_names[kind] : "unknown";
}

static attr_kind kind_from_name(str name) {
  for (int k = ATTR_FLOAT; k <= ATTR_TYPES; k++)
    if (str_is(name, kind_names[k])) return (attr_kind)k;
  return str_is(name, "sparse_tensor") ? ATTR_SPARSE_TENSOR : (attr_kind)0;
}

// The next piece up to one of `stops` (or the end); the cursor stays on the stop.
static str piece(const char **cursor, const char *stops) {
  str s = {*cursor, strcspn(*cursor, stops)};
  *cursor += s.size;
  return s;
}

static bool next_word(const char **cursor, str *word) {
  if (!*cursor) return false;
  *cursor += strspn(*cursor, " \n");
  *word = piece(cursor, " \n");
  return word->size != 0;
}

bool schema_next_formal(const char **cursor, schema_formal *out) {
  str word;
  if (!next_word(cursor, &word)) return false;
  const char *colon = memchr(word.at, ':', word.size);
  *out = (schema_formal){.name = word, .type = STR("any")};
  if (colon) {
    out->name.size = (size_t)(colon - word.at);
    out->type = (str){colon + 1, word.size - out->name.size - 1};
  }
  str *last = colon ? &out->type : &out->name;
  switch (last->size ? last->at[last->size - 1] : 0) {
    case '?':
      out->optional = true;
      last->size--;
      break;
    case '*':
      out->variadic = true;
      last->size--;
      break;
    case '+':
      out->variadic = out->some = true;
      last->size--;
      break;
    default:
      break;
  }
  return true;
}

bool schema_next_attr(const char **cursor, schema_attr *out) {
  str word;
  if (!next_word(cursor, &word)) return false;
  const char *p = word.at, *end = word.at + word.size;
  *out = (schema_attr){.below = INT64_MAX};
  out->name = piece(&p, ": \n");
  if (p < end && *p == ':') {
    p++;
    str kind = piece(&p, "=!?< \n");
    out->kind = kind_from_name(kind);
  }
  for (; p < end;) {
    char mark = *p++;
    if (mark == '!') out->required = true;
    if (mark == '<') out->below = strtoll(p, NULL, 10);
    if (mark == '=') {
      out->has_default = true;
      out->text = piece(&p, "< \n");
    }
    p += mark == '<' ? strspn(p, "0123456789") : 0;
  }
  return true;
}

bool schema_find_attr(const char *attrs, str name, schema_attr *out) {
  while (schema_next_attr(&attrs, out))
    if (str_equal(out->name, name)) return true;
  return false;
}

// One of the comma-separated type names of `list` is `name`.
static bool lists(str list, const char *name) {
  size_t size = strlen(name);
  for (size_t i = 0; i < list.size;) {
    size_t j = i;
    while (j < list.size && list.at[j] != ',') j++;
    if (j - i == size && memcmp(list.at + i, name, size) == 0) return true;
    i = j + 1;
  }
  return false;
}

// What the types text says about variable `name`; the name itself if it is a fixed type.
static str type_list(const op_def *op, str name) {
  for (const char *p = op->types; p && *p;) {
    p += strspn(p, "; \n");
    str variable = piece(&p, "=;");
    if (*p != '=') continue;
    p++;
    str list = piece(&p, ";");
    if (str_equal(variable, name)) return list;
  }
  return name;
}

// The types text allows `dtype` for the type variable or fixed type `type` ("T", "int64", "any").
static bool allows(const op_def *op, str type, sdx_dtype dtype) {
  str list = type_list(op, type);
  return lists(list, "any") || lists(list, dtype_name(dtype));
}

static bool is_variable(const op_def *op, str type) { return type_list(op, type).at != type.at; }

// What is no tensor only where the record names it; a tensor's bytes are not there to be read.
static sdx_status check_kind(const op_def *op, const node *n, size_t input, const schema_formal *formal, type_kind kind,
                             error *err) {
  static const struct {
    const char *name, *text;
  } kinds[TYPE_SPARSE + 1] = {[TYPE_SEQUENCE] = {"seq", "a sequence"},
                              [TYPE_MAP] = {"map", "a map"},
                              [TYPE_OPTIONAL] = {"optional", "an optional"},
                              [TYPE_SPARSE] = {"sparse", "a sparse tensor"}};
  str list = type_list(op, formal->type);
  const char *name = kinds[kind].name;
  if (!name || memmem(list.at, list.size, name, strlen(name))) return SDX_OK;  // also "map(int64,float)"
  return node_fail(n, err, at_input(input), SDX_INVALID_SHAPE, "is %s, expected one of %.*s", kinds[kind].text,
                   STR_ARG(list));
}

sdx_status schema_check_types(const op_def *op, const node *n, size_t count, const type_info *const *in, error *err) {
  struct {
    str type;
    sdx_dtype dtype;
    str input;
    size_t index;
  } bound[SCHEMA_MOST_VARIABLES];
  size_t bound_count = 0;
  const char *cursor = op->inputs;
  schema_formal formal = {0};
  for (size_t i = 0; i < count; i++) {
    if (!formal.variadic && !schema_next_formal(&cursor, &formal)) break;
    if (!in[i]) continue;
    SDX_TRY(check_kind(op, n, i, &formal, (type_kind)in[i]->kind, err));
    if (in[i]->kind != TYPE_TENSOR || in[i]->dtype == SDX_UNDEFINED) continue;
    sdx_dtype dtype = (sdx_dtype)in[i]->dtype;
    if (!allows(op, formal.type, dtype)) {
      str list = type_list(op, formal.type);
      return node_fail(n, err, at_input(i), SDX_INVALID_SHAPE, "has element type %s, expected one of %.*s",
                       dtype_name(dtype), STR_ARG(list));
    }
    if ((formal.variadic && op->flags & OP_MIXED) || !is_variable(op, formal.type)) continue;
    size_t k = 0;
    while (k < bound_count && !str_equal(bound[k].type, formal.type)) k++;
    if (k < bound_count && bound[k].dtype != dtype)
      return node_fail(n, err, at_input(i), SDX_INVALID_SHAPE,
                       "has element type %s, expected %s: like input %zu ('%.*s')", dtype_name(dtype),
                       dtype_name(bound[k].dtype), bound[k].index, STR_ARG(bound[k].input));
    if (k == bound_count && k < SCHEMA_MOST_VARIABLES) {
      bound[k].type = formal.type;
      bound[k].dtype = dtype;
      bound[k].input = formal.name;
      bound[k].index = i;
      bound_count++;
    }
  }
  return SDX_OK;
}

sdx_status schema_check_results(const op_def *op, const node *n, size_t count, const type_info *out, error *err) {
  const char *cursor = op->outputs;
  schema_formal formal = {0};
  for (size_t i = 0; i < count; i++) {
    if (!formal.variadic && !schema_next_formal(&cursor, &formal)) break;
    sdx_dtype dtype = (sdx_dtype)out[i].dtype;
    if (out[i].kind != TYPE_TENSOR || dtype == SDX_UNDEFINED || allows(op, formal.type, dtype)) continue;
    str list = type_list(op, formal.type);
    return node_fail(n, err, at_output(i), SDX_INVALID_SHAPE, "would have element type %s, expected one of %.*s",
                     dtype_name(dtype), STR_ARG(list));
  }
  return SDX_OK;
}

// An input or output that is known by its number alone gets the record's name, and the other way round.
static void name_part(const char *formals, error *err) {
  schema_formal f = {0};
  bool by_name = err->index < 0;
  if (!by_name && *err->name) return;
  for (int64_t i = 0; (f.variadic && !by_name) || schema_next_formal(&formals, &f); i++)
    if (by_name ? str_is(f.name, err->name) : i == err->index) {
      error_part_of_record(err, i, f.name);
      return;
    }
}

void node_located(const node *n, error *err) {
  if (!err || err->status == SDX_OK || err->has_node) return;
  if (n->op && err->part == PART_INPUT) name_part(n->op->inputs, err);
  if (n->op && err->part == PART_OUTPUT) name_part(n->op->outputs, err);
  error_node(err, -1, n->name, n->op_type);
}

sdx_status node_fail_list(const node *n, error *err, error_part part, sdx_status status, const char *format,
                          va_list args) {
  error_at_list(err, part, status, format, args);
  node_located(n, err);
  return status;
}

sdx_status node_fail(const node *n, error *err, error_part part, sdx_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  node_fail_list(n, err, part, status, format, args);
  va_end(args);
  return status;
}
