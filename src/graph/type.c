// SPDX-License-Identifier: Apache-2.0
// Static types of values and the named free dimensions they speak of. Symbols belong to the root
// graph, so a dimension means the same in every subgraph.
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "base/size.h"
#include "graph/graph.h"

static const graph *root_of(const graph *g) {
  while (g->parent) g = g->parent;
  return g;
}

int64_t graph_add_symbol(graph *g, str name) {
  while (g->parent) g = g->parent;
  if (g->symbol_count == g->symbol_capacity) {
    size_t capacity = g->symbol_capacity ? (size_t)g->symbol_capacity * 2 : 8;
    if (capacity > INT32_MAX) return 0;
    str *symbols = arena_alloc(g->memory, capacity * sizeof *symbols);
    if (!symbols) return 0;
    if (g->symbol_count) memcpy(symbols, g->symbols, g->symbol_count * sizeof *symbols);
    else symbols[g->symbol_count++] = STR("");
    g->symbols = symbols;
    g->symbol_capacity = (uint32_t)capacity;
  }
  g->symbols[g->symbol_count] = name;
  return g->symbol_count++;
}

int64_t graph_symbol(graph *g, str name) {
  while (g->parent) g = g->parent;
  uint32_t index;
  if (name.size == 0) return 0;
  if (str_map_find(&g->symbol_names, name, &index)) return index;
  int64_t added = graph_add_symbol(g, name);
  return added && str_map_put(&g->symbol_names, name, (uint32_t)added) ? added : 0;
}

static bool is_digits(str s) {
  for (size_t i = 0; i < s.size; i++)
    if (s.at[i] < '0' || s.at[i] > '9') return false;
  return s.size > 0;
}

static bool begins(str s, const char *word) {
  size_t n = strlen(word);
  return s.size >= n && strncasecmp(s.at, word, n) == 0;
}

// What converters write where a dimension has no name.
bool dim_name_is_placeholder(str name) {
  static const char *const whole[] = {"", "?", "*", "-1", "none", "null", "unknown", "unk", "any", "dynamic"};
  static const char *const numbered[] = {"unk__", "unk_", "unknown_", "?_", "DynamicDimension."};
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
    if (name.size == strlen(whole[i]) && begins(name, whole[i])) return true;
  for (size_t i = 0; i < sizeof numbered / sizeof *numbered; i++) {
    size_t n = strlen(numbered[i]);
    if (begins(name, numbered[i]) && name.size > n && is_digits((str){name.at + n, name.size - n})) return true;
  }
  return false;
}

bool type_is_fixed(const type_info *t) {
  if (t->kind != TYPE_TENSOR || t->rank < 0 || t->dtype == SDX_UNDEFINED) return false;
  for (int i = 0; i < t->rank; i++)
    if (t->dims[i] < 0) return false;
  return true;
}

const type_info *type_best_known(const graph_value *v) {
  const type_info *t = &v->type;
  bool says_all = t->kind != TYPE_UNKNOWN && (t->kind != TYPE_TENSOR || t->rank >= 0);
  return says_all || v->declared.kind == TYPE_UNKNOWN ? t : &v->declared;
}

str graph_symbol_name(const graph *g, int64_t dim) {
  const graph *root = g ? root_of(g) : NULL;
  if (!root || dim >= 0 || (uint64_t)~dim >= root->symbol_count) return STR("");
  return root->symbols[~dim];
}

type_info *type_tensor(arena *memory, sdx_dtype dtype, int rank, const int64_t *dims) {
  type_info *t = arena_zalloc(memory, sizeof *t);
  if (!t) return NULL;
  *t = (type_info){.kind = TYPE_TENSOR, .dtype = (uint8_t)dtype, .rank = (int8_t)rank};
  if (rank > 0 && !(t->dims = arena_copy(memory, dims, (size_t)rank * sizeof *dims))) return NULL;
  return t;
}

bool type_complete(arena *memory, const graph_value *v, type_info *out) {
  const type_info *proved = &v->type, *declared = &v->declared;
  *out = *type_best_known(v);
  if (proved->kind != TYPE_TENSOR || declared->kind != TYPE_TENSOR) return true;
  if (!out->dtype) out->dtype = proved->dtype ? proved->dtype : declared->dtype;
  if (proved->rank < 1 || proved->rank != declared->rank) return true;
  int64_t *dims = arena_copy(memory, proved->dims, (size_t)proved->rank * sizeof *dims);
  for (int i = 0; dims && i < proved->rank; i++)
    if (dims[i] == DIM_UNKNOWN) dims[i] = declared->dims[i];
  out->dims = dims;
  return dims != NULL;
}

typedef struct writer {
  char *at;
  size_t size, used;
} writer;

__attribute__((format(printf, 2, 3))) static void put(writer *w, const char *format, ...) {
  if (w->used >= w->size) return;
  va_list args;
  va_start(args, format);
  int n = vsnprintf(w->at + w->used, w->size - w->used, format, args);
  va_end(args);
  if (n > 0) w->used += (size_t)n;
}

static void put_tensor(writer *w, const graph *g, const type_info *t) {
  put(w, "%s", t->dtype ? dtype_name(t->dtype) : "?");
  if (t->rank < 0) return;  // "float": any rank; "float[]": a scalar
  put(w, "[");
  for (int i = 0; i < t->rank; i++) {
    str symbol = graph_symbol_name(g, t->dims[i]);
    if (i) put(w, ",");
    if (t->dims[i] >= 0) put(w, "%lld", (long long)t->dims[i]);
    else if (symbol.size) put(w, "%.*s", STR_ARG(symbol));
    else put(w, "?");
  }
  put(w, "]");
}

const char *type_describe(const graph *g, const type_info *t, char *buffer, size_t size) {
  writer w = {buffer, size, 0};
  size_t closing = 0;
  if (size) buffer[0] = 0;
  for (; t; t = t->element) {
    if (t->kind == TYPE_SEQUENCE || t->kind == TYPE_OPTIONAL || t->kind == TYPE_MAP) {
      put(&w, "%s(", t->kind == TYPE_SEQUENCE ? "seq" : t->kind == TYPE_OPTIONAL ? "optional" : "map");
      if (t->kind == TYPE_MAP) put(&w, "%s,", dtype_name(t->dtype));
      closing++;
      if (!t->element) put(&w, "?");
      continue;
    }
    if (t->kind == TYPE_SPARSE) {
      put(&w, "sparse(");
      closing++;
    }
    if (t->kind == TYPE_UNKNOWN) put(&w, "?");
    else put_tensor(&w, g, t);
    break;
  }
  while (closing--) put(&w, ")");
  return buffer;
}

const type_info *type_parse(const char *text, type_info *room, size_t count) {
  if (!text || count == 0) return NULL;
  str rest = str_from(text);
  static const struct {
    const char *prefix;
    type_kind kind;
  } kinds[] = {{"tensor(", TYPE_TENSOR}, {"seq(", TYPE_SEQUENCE}, {"optional(", TYPE_OPTIONAL}, {"map(", TYPE_MAP}};
  for (size_t depth = 0; depth < count; depth++) {
    type_info *t = &room[depth];
    *t = (type_info){.kind = TYPE_UNKNOWN, .rank = -1};
    for (size_t k = 0; k < 4; k++) {
      size_t n = strlen(kinds[k].prefix);
      if (rest.size < n || memcmp(rest.at, kinds[k].prefix, n) != 0) continue;
      t->kind = (uint8_t)kinds[k].kind;
      rest = (str){rest.at + n, rest.size - n};
    }
    size_t end = 0;
    while (end < rest.size && rest.at[end] != ',' && rest.at[end] != ')') end++;
    if (t->kind == TYPE_TENSOR || t->kind == TYPE_MAP) t->dtype = (uint8_t)dtype_from_name((str){rest.at, end});
    if (t->kind == TYPE_TENSOR || t->kind == TYPE_UNKNOWN) return room;
    if (t->kind == TYPE_MAP && end < rest.size) rest = (str){rest.at + end + 1, rest.size - end - 1};
    if (depth + 1 < count) t->element = &room[depth + 1];
  }
  return NULL;
}
