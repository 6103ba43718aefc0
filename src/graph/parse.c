// SPDX-License-Identifier: Apache-2.0
// text -> graph: the inverse of print.c, by recursive descent with a bound on depth. A value may be
// read before the line that makes it. Errors say line and column.
#include <stdlib.h>

#include "base/size.h"
#include "graph/graph.h"
#include "graph/literal.h"

enum { PENDING = UINT32_MAX };  // producer of a value that was read but not made yet

typedef struct parser {
  str source;
  size_t at;
  size_t depth;
  arena *memory;
  error *err;
} parser;

static sdx_status parse_graph(parser *p, graph *parent, graph **out);

// ---- words ----------------------------------------------------------------------------------------------

static char peek(parser *p) {
  while (p->at < p->source.size && memchr(" \n\t\r", p->source.at[p->at], 4)) p->at++;
  return p->at < p->source.size ? p->source.at[p->at] : 0;
}

static sdx_status fail(parser *p, const char *expected) {
  size_t line = 1, column = 1;
  peek(p);
  for (size_t i = 0; i < p->at; i++) {
    column = p->source.at[i] == '\n' ? 1 : column + 1;
    line += p->source.at[i] == '\n';
  }
  str rest = {p->source.at + p->at, p->source.size - p->at < 20 ? p->source.size - p->at : 20};
  return error_set(p->err, SDX_INVALID_ARGUMENT, "line %zu, column %zu: expected %s, found '%.*s'", line, column,
                   expected, STR_ARG(rest));
}

static bool take(parser *p, const char *word) {
  size_t size = strlen(word);
  peek(p);
  if (p->source.size - p->at < size || memcmp(p->source.at + p->at, word, size) != 0) return false;
  p->at += size;
  return true;
}

// A word of letters that is not the beginning of a longer one.
static bool take_word(parser *p, const char *word) {
  size_t before = p->at;
  if (take(p, word) && (p->at == p->source.size || !text_is_plain(p->source.at[p->at]))) return true;
  p->at = before;
  return false;
}

static sdx_status need(parser *p, const char *word) { return take(p, word) ? SDX_OK : fail(p, word); }

static str plain_word(parser *p) {
  peek(p);
  size_t from = p->at;
  while (p->at < p->source.size && text_is_plain(p->source.at[p->at])) p->at++;
  return (str){p->source.at + from, p->at - from};
}

static int hex_digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

static sdx_status parse_quoted(parser *p, str *out) {
  SDX_TRY(need(p, "\""));
  size_t end = p->at, size = 0;
  while (end < p->source.size && p->source.at[end] != '"') end += p->source.at[end] == '\\' ? 2 : 1;
  if (end >= p->source.size) return fail(p, "the end of the quoted text");
  char *copy = arena_alloc(p->memory, end - p->at + 1);
  if (!copy) return error_no_memory(p->err, end - p->at);
  while (p->at < end) {
    char c = p->source.at[p->at++];
    if (c == '\\') {
      c = p->source.at[p->at++];
      int high = c == 'x' && p->at + 1 < end ? hex_digit(p->source.at[p->at]) : -1;
      int low = high >= 0 ? hex_digit(p->source.at[p->at + 1]) : -1;
      if (c == 'x' && low < 0) return fail(p, "two hexadecimal digits");
      if (c == 'x') {
        c = (char)(high * 16 + low);
        p->at += 2;
      } else if (c != '"' && c != '\\') {
        return fail(p, "\\\", \\\\ or \\x");
      }
    }
    copy[size++] = c;
  }
  p->at = end + 1;
  copy[size] = 0;
  *out = (str){copy, size};
  return SDX_OK;
}

static sdx_status parse_name(parser *p, const char *what, str *out) {
  if (peek(p) == '"') return parse_quoted(p, out);
  *out = plain_word(p);
  return out->size ? SDX_OK : fail(p, what);
}

// Room for one more in an arena list (`list` is the address of its pointer); lists double.
static sdx_status more(parser *p, void *list, size_t count, size_t element_bytes) {
  if (count & (count - 1)) return SDX_OK;  // grows at 0, 1, 2, 4, 8 ...
  void *old, *bigger = arena_array(p->memory, count ? count * 2 : 1, element_bytes);
  if (!bigger) return error_no_memory(p->err, count * 2 * element_bytes);
  memcpy(&old, list, sizeof old);
  if (count) memcpy(bigger, old, count * element_bytes);
  memcpy(list, &bigger, sizeof bigger);
  return SDX_OK;
}

// ---- types and tensors ----------------------------------------------------------------------------------

static sdx_status parse_dim(parser *p, graph *g, int64_t *dim) {
  char c = peek(p);
  str word;
  if (take(p, "?")) {
    *dim = DIM_UNKNOWN;
  } else if (text_is_digit(c) || c == '-') {
    word = plain_word(p);
    if (!text_get_number(word, SDX_INT64, dim, 0) || *dim < 0) return fail(p, "a dimension");
  } else {
    SDX_TRY(parse_name(p, "a dimension", &word));
    *dim = ~graph_symbol(g, word);
    if (word.size && *dim == DIM_UNKNOWN) return error_no_memory(p->err, word.size);
  }
  return SDX_OK;
}

static sdx_status parse_shape(parser *p, graph *g, const int64_t **dims, size_t *rank) {
  int64_t *list = NULL;
  *rank = 0;
  SDX_TRY(need(p, "["));
  SDX_TRY(more(p, &list, 0, sizeof *list));
  while (!take(p, "]")) {
    if (*rank == TENSOR_MAX_RANK) return fail(p, "at most 64 dimensions");
    if (*rank) SDX_TRY(need(p, ","));
    SDX_TRY(more(p, &list, *rank, sizeof *list));
    SDX_TRY(parse_dim(p, g, &list[*rank]));
    ++*rank;
  }
  *dims = list;
  return SDX_OK;
}

static sdx_status parse_dtype(parser *p, uint8_t *dtype) {
  *dtype = SDX_UNDEFINED;
  if (take(p, "?")) return SDX_OK;
  size_t before = p->at;
  *dtype = (uint8_t)dtype_from_name(plain_word(p));
  if (*dtype) return SDX_OK;
  p->at = before;
  return fail(p, "an element type");
}

static sdx_status parse_tensor_type(parser *p, graph *g, uint8_t kind, type_info *t) {
  size_t rank;
  *t = (type_info){.kind = kind, .rank = -1};
  SDX_TRY(parse_dtype(p, &t->dtype));
  if (peek(p) == '[') {
    SDX_TRY(parse_shape(p, g, &t->dims, &rank));
    t->rank = (int8_t)rank;
  }
  if (!t->dtype && t->rank < 0 && kind == TYPE_TENSOR) t->kind = TYPE_UNKNOWN;
  return SDX_OK;
}

static sdx_status parse_type(parser *p, graph *g, type_info *t) {
  size_t closing = 0;
  for (;; closing++) {
    *t = (type_info){.rank = -1};
    if (closing > TEXT_MOST_DEEP) return fail(p, "types nested less deep");
    if (take(p, "sparse(")) {
      SDX_TRY(parse_tensor_type(p, g, TYPE_SPARSE, t));
      closing++;
      break;
    }
    t->kind = take(p, "seq(")        ? TYPE_SEQUENCE
              : take(p, "optional(") ? TYPE_OPTIONAL
              : take(p, "map(")      ? TYPE_MAP
                                     : TYPE_UNKNOWN;
    if (t->kind == TYPE_UNKNOWN) {
      SDX_TRY(parse_tensor_type(p, g, TYPE_TENSOR, t));
      break;
    }
    if (t->kind == TYPE_MAP) {
      SDX_TRY(parse_dtype(p, &t->dtype));
      SDX_TRY(need(p, ","));
    }
    type_info *element = arena_zalloc(p->memory, sizeof *element);
    if (!element) return error_no_memory(p->err, sizeof *element);
    t->element = element;
    t = element;
  }
  while (closing--) SDX_TRY(need(p, ")"));
  return SDX_OK;
}

static sdx_status parse_elements(parser *p, tensor *t) {
  sdx_dtype dtype = (sdx_dtype)t->dtype;
  size_t numbers = t->count * text_numbers(dtype);
  for (size_t i = 0; i < numbers; i++) {
    if (i) SDX_TRY(need(p, ","));
    if (dtype == SDX_STRING) {
      SDX_TRY(parse_quoted(p, &((str *)t->data)[i]));
      continue;
    }
    peek(p);
    size_t before = p->at;
    while (p->at < p->source.size && (text_is_plain(p->source.at[p->at]) || p->source.at[p->at] == '+')) p->at++;
    if (!text_get_number((str){p->source.at + before, p->at - before}, dtype, t->data, i)) {
      p->at = before;
      return fail(p, "an element of this type");
    }
  }
  return SDX_OK;
}

// float[2]{1, 2} or float[1000]{...}
static sdx_status parse_tensor(parser *p, graph *g, tensor *t) {
  uint8_t dtype;
  size_t rank;
  const int64_t *dims;
  SDX_TRY(parse_dtype(p, &dtype));
  SDX_TRY(parse_shape(p, g, &dims, &rank));
  SDX_TRY(need(p, "{"));
  SDX_TRY(tensor_init(t, (sdx_dtype)dtype, rank, dims, p->err));
  if (t->count <= TEXT_MOST_ELEMENTS || take(p, "...")) {
    t->data = arena_zalloc(p->memory, t->bytes);
    if (!t->data) return error_no_memory(p->err, t->bytes);
    if (dtype == SDX_STRING)
      for (size_t i = 0; i < t->count; i++) ((str *)t->data)[i] = STR("");
    if (t->count <= TEXT_MOST_ELEMENTS) SDX_TRY(parse_elements(p, t));
    return need(p, "}");
  }
  return fail(p, "... for so many elements");
}

static sdx_status parse_sparse(parser *p, graph *g, sparse_tensor *s) {
  SDX_TRY(parse_shape(p, g, &s->dims, &s->rank));
  SDX_TRY(parse_tensor(p, g, &s->values));
  return parse_tensor(p, g, &s->indices);
}

// ---- attributes -----------------------------------------------------------------------------------------

// A number: an integer unless it shows otherwise.
static sdx_status parse_number(parser *p, bool *is_float, int64_t *i, float *f) {
  peek(p);
  size_t before = p->at;
  while (p->at < p->source.size && (text_is_plain(p->source.at[p->at]) || p->source.at[p->at] == '+')) p->at++;
  str word = {p->source.at + before, p->at - before};
  *is_float = !text_get_number(word, SDX_INT64, i, 0);
  if (!*is_float || text_get_number(word, SDX_FLOAT, f, 0)) return SDX_OK;
  p->at = before;
  return fail(p, "an attribute's value");
}

// [1, 2], [1.0, 2.0] or ["a", "b"], one kind throughout.
static sdx_status parse_plain_list(parser *p, attr *a) {
  int64_t *ints = NULL;
  float *floats = NULL;
  str *strings = NULL;
  size_t count = 0;
  for (; !take(p, "]"); count++) {
    if (count) SDX_TRY(need(p, ","));
    SDX_TRY(more(p, &ints, count, sizeof *ints));
    SDX_TRY(more(p, &floats, count, sizeof *floats));
    SDX_TRY(more(p, &strings, count, sizeof *strings));
    attr_kind kind = ATTR_STRINGS;
    if (peek(p) == '"') {
      SDX_TRY(parse_quoted(p, &strings[count]));
    } else {
      bool is_float;
      SDX_TRY(parse_number(p, &is_float, &ints[count], &floats[count]));
      kind = is_float ? ATTR_FLOATS : ATTR_INTS;
    }
    if (count && kind != a->kind) return fail(p, "elements of one kind");
    a->kind = kind;
  }
  if (count == 0) return fail(p, "ints[], floats[] or strings[] for an empty list");
  if (a->kind == ATTR_INTS) a->ints.at = ints;
  if (a->kind == ATTR_FLOATS) a->floats.at = floats;
  if (a->kind == ATTR_STRINGS) a->strings.at = strings;
  a->ints.count = count;  // all lists begin alike
  return SDX_OK;
}

static sdx_status parse_tensors(parser *p, graph *g, attr *a) {
  const tensor **list = NULL;
  a->kind = ATTR_TENSORS;
  SDX_TRY(more(p, &list, 0, sizeof *list));
  for (a->tensors.count = 0; !take(p, "]"); a->tensors.count++) {
    if (a->tensors.count) SDX_TRY(need(p, ","));
    SDX_TRY(more(p, &list, a->tensors.count, sizeof *list));
    tensor *t = arena_zalloc(p->memory, sizeof *t);
    if (!t) return error_no_memory(p->err, sizeof *t);
    list[a->tensors.count] = t;
    SDX_TRY(parse_tensor(p, g, t));
  }
  a->tensors.at = list;
  return SDX_OK;
}

static sdx_status parse_sparses(parser *p, graph *g, attr *a) {
  const sparse_tensor **list = NULL;
  a->kind = ATTR_SPARSE_TENSORS;
  SDX_TRY(more(p, &list, 0, sizeof *list));
  for (a->sparses.count = 0; !take(p, "]"); a->sparses.count++) {
    if (a->sparses.count) SDX_TRY(need(p, ","));
    SDX_TRY(more(p, &list, a->sparses.count, sizeof *list));
    sparse_tensor *s = arena_zalloc(p->memory, sizeof *s);
    if (!s) return error_no_memory(p->err, sizeof *s);
    list[a->sparses.count] = s;
    SDX_TRY(parse_sparse(p, g, s));
  }
  a->sparses.at = list;
  return SDX_OK;
}

static sdx_status parse_types(parser *p, graph *g, attr *a) {
  type_info *list = NULL;
  a->kind = ATTR_TYPES;
  SDX_TRY(more(p, &list, 0, sizeof *list));
  for (a->types.count = 0; !take(p, "]"); a->types.count++) {
    if (a->types.count) SDX_TRY(need(p, ","));
    SDX_TRY(more(p, &list, a->types.count, sizeof *list));
    SDX_TRY(parse_type(p, g, &list[a->types.count]));
  }
  a->types.at = list;
  return SDX_OK;
}

static sdx_status parse_graphs(parser *p, graph *g, attr *a) {
  graph **list = NULL;
  a->kind = ATTR_GRAPHS;
  SDX_TRY(more(p, &list, 0, sizeof *list));
  for (a->graphs.count = 0; !take(p, "]"); a->graphs.count++) {
    if (a->graphs.count) SDX_TRY(need(p, ","));
    SDX_TRY(more(p, &list, a->graphs.count, sizeof *list));
    SDX_TRY(parse_graph(p, g, &list[a->graphs.count]));
  }
  a->graphs.at = list;
  return SDX_OK;
}

// Kinds that hold one thing made in the arena.
static sdx_status parse_single(parser *p, graph *g, attr *a) {
  size_t bytes = a->kind == ATTR_TENSOR ? sizeof(tensor)
                 : a->kind == ATTR_TYPE ? sizeof(type_info)
                                        : sizeof(sparse_tensor);
  void *room = arena_zalloc(p->memory, bytes);
  if (!room) return error_no_memory(p->err, bytes);
  if (a->kind == ATTR_TENSOR) {
    a->tensor = room;
    return parse_tensor(p, g, room);
  }
  if (a->kind == ATTR_TYPE) {
    a->type = room;
    return parse_type(p, g, room);
  }
  a->sparse = room;
  return parse_sparse(p, g, room);
}

static sdx_status parse_attr_value(parser *p, graph *g, attr *a) {
  static const struct {
    const char *word;
    attr_kind kind;
  } words[] = {{"tensor", ATTR_TENSOR}, {"sparse", ATTR_SPARSE_TENSOR}, {"type", ATTR_TYPE}};
  static const struct {
    const char *word;
    attr_kind kind;
  } empty[] = {{"ints[]", ATTR_INTS}, {"floats[]", ATTR_FLOATS}, {"strings[]", ATTR_STRINGS}};
  for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
    if (take(p, empty[i].word)) {
      a->kind = empty[i].kind;
      return SDX_OK;
    }
  if (take(p, "tensors[")) return parse_tensors(p, g, a);
  if (take(p, "sparses[")) return parse_sparses(p, g, a);
  if (take(p, "types[")) return parse_types(p, g, a);
  if (take(p, "graphs[")) return parse_graphs(p, g, a);
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (take_word(p, words[i].word)) {
      a->kind = words[i].kind;
      return parse_single(p, g, a);
    }
  if (take(p, "[")) return parse_plain_list(p, a);
  if (peek(p) == '"') {
    a->kind = ATTR_STRING;
    return parse_quoted(p, &a->s);
  }
  if (peek(p) == 'g') {
    a->kind = ATTR_GRAPH;
    return parse_graph(p, g, &a->graph);
  }
  bool is_float;
  int64_t i;
  float f = 0;
  SDX_TRY(parse_number(p, &is_float, &i, &f));
  a->kind = is_float ? ATTR_FLOAT : ATTR_INT;
  if (is_float) a->f = f;
  else a->i = i;
  return SDX_OK;
}

static sdx_status parse_attrs(parser *p, graph *g, node *parts) {
  if (!take(p, "<")) return SDX_OK;
  do {
    SDX_TRY(more(p, &parts->attrs, parts->attr_count, sizeof *parts->attrs));
    attr *a = &parts->attrs[parts->attr_count++];
    *a = (attr){.kind = ATTR_INT};
    SDX_TRY(parse_name(p, "an attribute's name", &a->name));
    SDX_TRY(need(p, "="));
    SDX_TRY(parse_attr_value(p, g, a));
  } while (take(p, ","));
  return need(p, ">");
}

// ---- values and nodes -----------------------------------------------------------------------------------

// %name where it is read.
static sdx_status parse_read(parser *p, graph *g, value_id *id) {
  str name;
  *id = VALUE_ABSENT;
  if (take(p, "_")) return SDX_OK;
  SDX_TRY(need(p, "%"));
  SDX_TRY(parse_name(p, "a name", &name));
  if (name.size == 0) return fail(p, "a name that is not empty");
  if ((*id = graph_find(g, name))) return SDX_OK;
  *id = graph_add_value(g, name);
  if (!*id) return error_no_memory(p->err, sizeof(graph_value));
  g->values[*id].producer = PENDING;
  return SDX_OK;
}

// %name: type where it is made.
static sdx_status parse_made(parser *p, graph *g, value_id *id) {
  str name;
  SDX_TRY(need(p, "%"));
  size_t before = p->at;
  SDX_TRY(parse_name(p, "a name", &name));
  if (name.size == 0) return fail(p, "a name that is not empty");
  *id = graph_find(g, name);
  if (*id && g->values[*id].producer != PENDING) {
    p->at = before;
    return fail(p, "a name that is not taken yet");
  }
  if (!*id && !(*id = graph_add_value(g, name))) return error_no_memory(p->err, sizeof(graph_value));
  g->values[*id].producer = 0;
  return SDX_OK;
}

// The same with a type behind it, where one is written.
static sdx_status parse_typed(parser *p, graph *g, value_id *id, type_info *type) {
  *type = (type_info){.kind = TYPE_UNKNOWN, .rank = -1};
  SDX_TRY(parse_made(p, g, id));
  return take(p, ":") ? parse_type(p, g, type) : SDX_OK;
}

static sdx_status parse_reads(parser *p, graph *g, value_id **ids, uint32_t *count) {
  *count = 0;
  *ids = NULL;
  SDX_TRY(need(p, "("));
  for (; !take(p, ")"); ++*count) {
    if (*count) SDX_TRY(need(p, ","));
    SDX_TRY(more(p, ids, *count, sizeof **ids));
    value_id id;
    SDX_TRY(parse_read(p, g, &id));
    (*ids)[*count] = id;
  }
  return SDX_OK;
}

static sdx_status parse_const(parser *p, graph *g) {
  value_id id;
  SDX_TRY(parse_made(p, g, &id));
  SDX_TRY(need(p, ":"));
  tensor *t = arena_zalloc(p->memory, sizeof *t);
  if (!t) return error_no_memory(p->err, sizeof *t);
  SDX_TRY(parse_tensor(p, g, t));
  g->values[id].constant = t;
  g->values[id].type = (type_info){.kind = TYPE_TENSOR, .dtype = t->dtype, .rank = (int8_t)t->rank, .dims = t->dims};
  return SDX_OK;
}

static sdx_status parse_outer(parser *p, graph *g) {
  value_id id, outer;
  if (!g->parent) return fail(p, "no outer values in the outermost graph");
  type_info type;
  SDX_TRY(parse_typed(p, g, &id, &type));
  g->values[id].type = type;
  SDX_TRY(need(p, "="));
  SDX_TRY(parse_read(p, g->parent, &outer));
  if (!outer) return fail(p, "a value of the outer graph");
  g->values[id].outer = outer;
  return SDX_OK;
}

static sdx_status parse_outputs(parser *p, graph *g, value_id **ids, uint32_t *count) {
  *count = 0;
  *ids = NULL;
  if (take(p, "()")) return SDX_OK;
  do {
    SDX_TRY(more(p, ids, *count, sizeof **ids));
    value_id id = VALUE_ABSENT;
    type_info type;
    if (!take(p, "_")) SDX_TRY(parse_typed(p, g, &id, &type));
    (*ids)[(*count)++] = id;
    if (!id) continue;
    g->values[id].declared = type;
    g->values[id].producer = g->node_count + 1;  // so that a second maker is noticed at once
  } while (take(p, ","));
  return SDX_OK;
}

static sdx_status parse_operator(parser *p, node *parts) {
  int64_t version = 0;
  parts->domain = parts->name = STR("");
  SDX_TRY(parse_name(p, "an operator", &parts->op_type));
  if (take(p, "::")) {
    parts->domain = parts->op_type;
    SDX_TRY(parse_name(p, "an operator", &parts->op_type));
  }
  if (parts->op_type.size == 0) return fail(p, "an operator's name");
  if (!take(p, "@")) return SDX_OK;
  if (!text_get_number(plain_word(p), SDX_INT64, &version, 0) || version < 0 || version > INT32_MAX)
    return fail(p, "a version");
  parts->version = (int32_t)version;
  return SDX_OK;
}

static sdx_status parse_node(parser *p, graph *g) {
  node parts = {0};
  value_id *in, *out;
  uint32_t inputs, outputs;
  SDX_TRY(parse_outputs(p, g, &out, &outputs));
  SDX_TRY(need(p, "="));
  SDX_TRY(parse_operator(p, &parts));
  SDX_TRY(parse_attrs(p, g, &parts));
  SDX_TRY(parse_reads(p, g, &in, &inputs));
  if (take_word(p, "as")) SDX_TRY(parse_name(p, "a node's name", &parts.name));
  node *n = graph_add_node(g, parts.domain, parts.op_type, inputs, in, outputs, out, p->err);
  if (!n) return SDX_NO_MEMORY;
  n->name = parts.name;
  n->version = parts.version;
  n->attrs = parts.attrs;
  n->attr_count = parts.attr_count;
  return node_collect_captures(g, n) == SDX_OK ? SDX_OK : error_no_memory(p->err, sizeof *n);
}

// ---- graphs ---------------------------------------------------------------------------------------------

static sdx_status parse_inputs(parser *p, graph *g) {
  SDX_TRY(need(p, "("));
  for (; !take(p, ")"); g->input_count++) {
    if (g->input_count) SDX_TRY(need(p, ","));
    SDX_TRY(more(p, &g->inputs, g->input_count, sizeof *g->inputs));
    value_id id;
    type_info type;
    SDX_TRY(parse_typed(p, g, &id, &type));
    *(g->parent ? &g->values[id].declared : &g->values[id].type) = type;
    g->inputs[g->input_count] = id;
  }
  return SDX_OK;
}

// Values are numbered in the order of their lines, so that a printed graph keeps its order: the names of
// the outputs, which come first, are passed over and read once the body is known.
static sdx_status skip_reads(parser *p) {
  str name;
  SDX_TRY(need(p, "("));
  for (bool first = true; !take(p, ")"); first = false) {
    if (!first) SDX_TRY(need(p, ","));
    if (take(p, "_")) continue;
    SDX_TRY(need(p, "%"));
    SDX_TRY(parse_name(p, "a name", &name));
  }
  return SDX_OK;
}

static sdx_status parse_body(parser *p, graph *g) {
  while (!take(p, "}")) {
    if (take_word(p, "const")) SDX_TRY(parse_const(p, g));
    else if (take_word(p, "outer")) SDX_TRY(parse_outer(p, g));
    else SDX_TRY(parse_node(p, g));
  }
  return SDX_OK;
}

static sdx_status parse_graph(parser *p, graph *parent, graph **out) {
  if (!take_word(p, "graph")) return fail(p, "graph");
  if (++p->depth > TEXT_MOST_DEEP) return fail(p, "graphs nested less deep");
  graph *g = *out = graph_create(p->memory, parent);
  if (!g) return error_no_memory(p->err, sizeof *g);
  if (peek(p) != '(') SDX_TRY(parse_name(p, "a name or (", &g->name));
  SDX_TRY(parse_inputs(p, g));
  SDX_TRY(need(p, "->"));
  size_t outputs = p->at;
  SDX_TRY(skip_reads(p));
  SDX_TRY(need(p, "{"));
  SDX_TRY(parse_body(p, g));
  size_t end = p->at;
  p->at = outputs;
  SDX_TRY(parse_reads(p, g, &g->outputs, &g->output_count));
  p->at = end;
  for (uint32_t v = 1; v < g->value_count; v++)
    if (g->values[v].producer == PENDING)
      return error_set(p->err, SDX_INVALID_ARGUMENT, "%%%.*s is read but never made", STR_ARG(g->values[v].name));
  p->depth--;
  return SDX_OK;
}

sdx_status graph_parse(arena *memory, str source, graph **out, error *err) {
  static const graph_limits limits = {.max_nodes = SIZE_MAX,
                                      .max_rank = TENSOR_MAX_RANK,
                                      .max_subgraph_depth = TEXT_MOST_DEEP,
                                      .max_name_bytes = SIZE_MAX};
  parser p = {.source = source, .memory = memory, .err = err};
  graph *g;
  *out = NULL;
  SDX_TRY(parse_graph(&p, NULL, &g));
  if (peek(&p)) return fail(&p, "nothing more");
  SDX_TRY(graph_sort(g, err));
  SDX_TRY(graph_verify(g, &limits, NULL, err));
  *out = g;
  return SDX_OK;
}
