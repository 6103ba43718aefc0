// SPDX-License-Identifier: Apache-2.0
// Making and changing graphs: values, nodes, attributes, replaced uses. Everything lives in the
// graph's arena and is never freed one by one; what a pass drops is only marked or forgotten.
// Every function is linear in what it touches. Read next: sort.c (order), type.c (types, symbols).
#include <stdlib.h>

#include "base/size.h"
#include "graph/graph.h"
#include "tensor/convert.h"

// Room for `want` elements in an arena array; the old array stays behind in the arena.
static void *grow(arena *memory, void *at, uint32_t count, uint32_t *capacity, size_t want, size_t element_bytes) {
  if (want <= *capacity) return at;
  size_t bytes, room = want < 8 ? 8 : want;
  if (room > UINT32_MAX - 1 || !size_mul(room, element_bytes, &bytes)) return NULL;
  void *bigger = arena_alloc(memory, bytes);
  if (!bigger) return NULL;
  if (count) memcpy(bigger, at, count * element_bytes);
  *capacity = (uint32_t)room;
  return bigger;
}

static size_t doubled(uint32_t capacity) { return capacity < 8 ? 8 : (size_t)capacity * 2; }

static bool reserve_values(graph *g, size_t room) {
  graph_value *values = grow(g->memory, g->values, g->value_count, &g->value_capacity, room, sizeof *values);
  if (values) g->values = values;
  return values != NULL;
}

graph *graph_create(arena *memory, graph *parent) {
  graph *g = arena_zalloc(memory, sizeof *g);
  if (!g) return NULL;
  g->memory = memory;
  g->parent = parent;
  str_map_init(&g->names, memory);
  str_map_init(&g->symbol_names, memory);
  if (!reserve_values(g, 8)) return NULL;
  g->values[g->value_count++] = (graph_value){.name = STR("")};  // slot 0 stands for "not given"
  return g;
}

static bool reserve_nodes(graph *g, size_t room) {
  node **nodes = grow(g->memory, g->nodes, g->node_count, &g->node_capacity, room, sizeof *nodes);
  if (nodes) g->nodes = nodes;
  return nodes != NULL || room == 0;
}

bool graph_reserve(graph *g, size_t values, size_t nodes) {
  return reserve_values(g, values + 1) && reserve_nodes(g, nodes) && str_map_reserve(&g->names, values);
}

// "wish_7" or "v#7": written by hand, because expanded functions need millions.
static str fresh_name(graph *g, str wish) {
  enum { MOST_DIGITS = 10, MOST_WISH = 200 };
  graph *root = g;
  while (root->parent) root = root->parent;
  str stem = wish.size ? wish : STR("v");
  if (stem.size > MOST_WISH) stem.size = MOST_WISH;
  char *at = arena_alloc(g->memory, stem.size + 1 + MOST_DIGITS);
  if (!at) return (str){0};
  memcpy(at, stem.at, stem.size);
  at[stem.size] = wish.size ? '_' : '#';
  for (;;) {
    char digits[MOST_DIGITS];
    size_t count = 0;
    for (uint32_t n = ++root->fresh; n || !count; n /= 10) digits[count++] = (char)('0' + n % 10);
    for (size_t i = 0; i < count; i++) at[stem.size + 1 + i] = digits[count - 1 - i];
    str name = {at, stem.size + 1 + count};
    if (!str_map_find(&g->names, name, NULL)) return name;
  }
}

value_id graph_add_value(graph *g, str name) {
  if (g->value_count == g->value_capacity && !reserve_values(g, doubled(g->value_capacity))) return VALUE_ABSENT;
  if (name.size == 0 || str_map_find(&g->names, name, NULL)) name = fresh_name(g, name);
  if (!name.at || !str_map_put(&g->names, name, g->value_count)) return VALUE_ABSENT;
  g->values[g->value_count] = (graph_value){.name = name, .type = {.rank = -1}, .declared = {.rank = -1}};
  return g->value_count++;
}

value_id graph_find(const graph *g, str name) {
  uint32_t id;
  return str_map_find(&g->names, name, &id) ? id : VALUE_ABSENT;
}

value_id graph_add_constant(graph *g, str name, const tensor *constant) {
  value_id id = graph_add_value(g, name);
  if (!id) return VALUE_ABSENT;
  graph_value *v = &g->values[id];
  v->constant = constant;
  v->type = (type_info){
      .kind = TYPE_TENSOR, .dtype = constant->dtype, .rank = (int8_t)constant->rank, .dims = constant->dims};
  return id;
}

static value_id add_small_constant(graph *g, sdx_dtype dtype, size_t rank, size_t count, const void *data,
                                   size_t bytes) {
  tensor *t = arena_zalloc(g->memory, sizeof *t);
  int64_t *dims = arena_alloc(g->memory, sizeof *dims);
  void *copy = arena_copy(g->memory, data, bytes);
  if (!t || !dims || !copy) return VALUE_ABSENT;
  *dims = (int64_t)count;
  *t = (tensor){.data = copy, .dims = dims, .count = count, .bytes = bytes, .dtype = dtype, .rank = (uint8_t)rank};
  return graph_add_constant(g, STR(""), t);
}

value_id graph_constant_i64(graph *g, const int64_t *at, size_t count) {
  return add_small_constant(g, SDX_INT64, 1, count, at, count * sizeof *at);
}

value_id graph_constant_scalar(graph *g, sdx_dtype dtype, double number) {
  union {
    float f;
    double d;
    unsigned char bytes[16];
  } u = {.bytes = {0}};
  size_t bytes;
  if (dtype == SDX_STRING || !dtype_bytes(dtype, 1, &bytes)) return VALUE_ABSENT;
  if (dtype == SDX_COMPLEX64) u.f = (float)number;
  else if (dtype == SDX_COMPLEX128) u.d = number;
  // What it does not convert spells zero as zero bits; integers saturate.
  else if (!convert_from_doubles(dtype, u.bytes, 0, 1, &number) && number != 0) return VALUE_ABSENT;
  return add_small_constant(g, dtype, 0, 1, u.bytes, bytes);
}

node *graph_add_node(graph *g, str domain, str op_type, size_t inputs, const value_id *in, size_t outputs,
                     const value_id *out, error *err) {
  size_t ids, bytes;
  if (!size_add(inputs, outputs, &ids) || ids > UINT32_MAX || !size_mul(ids, sizeof(value_id), &bytes) ||
      !size_add(bytes, sizeof(node), &bytes)) {
    error_set(err, SDX_LIMIT_EXCEEDED, "too many inputs and outputs");
    error_node(err, -1, STR(""), op_type);
    return NULL;
  }
  if (g->node_count == g->node_capacity && !reserve_nodes(g, doubled(g->node_capacity))) {
    error_no_memory(err, doubled(g->node_capacity) * sizeof(node *));
    return NULL;
  }
  node *n = arena_alloc(g->memory, bytes);
  if (!n) {
    error_no_memory(err, bytes);
    return NULL;
  }
  value_id *list = (value_id *)(n + 1);
  *n = (node){.domain = domain,
              .op_type = op_type,
              .name = STR(""),
              .input_count = (uint32_t)inputs,
              .output_count = (uint32_t)outputs,
              .inputs = list,
              .outputs = list + inputs};
  if (inputs) memcpy(n->inputs, in, inputs * sizeof *in);
  if (outputs) memcpy(n->outputs, out, outputs * sizeof *out);
  g->nodes[g->node_count++] = n;
  for (size_t i = 0; i < outputs; i++)
    if (out[i] && out[i] < g->value_count) g->values[out[i]].producer = g->node_count;
  return n;
}

// ---- attributes -------------------------------------------------------------------------------------

sdx_status node_set_attr(graph *g, node *n, attr a) {
  for (uint32_t i = 0; i < n->attr_count; i++)
    if (str_equal(n->attrs[i].name, a.name)) {
      n->attrs[i] = a;
      return SDX_OK;
    }
  attr *attrs = arena_alloc(g->memory, ((size_t)n->attr_count + 1) * sizeof *attrs);
  if (!attrs) return SDX_NO_MEMORY;
  if (n->attr_count) memcpy(attrs, n->attrs, n->attr_count * sizeof *attrs);
  attrs[n->attr_count++] = a;
  n->attrs = attrs;
  return SDX_OK;
}

const attr *node_attr(const node *n, const char *name) {
  for (uint32_t i = 0; i < n->attr_count; i++)
    if (str_is(n->attrs[i].name, name)) return &n->attrs[i];
  return NULL;
}

void node_remove_attr(node *n, const char *name) {
  const attr *a = node_attr(n, name);
  if (!a) return;
  size_t i = (size_t)(a - n->attrs);
  n->attr_count--;
  memmove(n->attrs + i, n->attrs + i + 1, (n->attr_count - i) * sizeof *n->attrs);
}

int64_t node_attr_int(const node *n, const char *name, int64_t otherwise) {
  const attr *a = node_attr(n, name);
  return a && a->kind == ATTR_INT ? a->i : otherwise;
}

float node_attr_float(const node *n, const char *name, float otherwise) {
  const attr *a = node_attr(n, name);
  return a && a->kind == ATTR_FLOAT ? a->f : otherwise;
}

size_t attr_graphs(const attr *a, struct graph *const **graphs) {
  if (a->kind == ATTR_GRAPH) {
    *graphs = &a->graph;
    return 1;
  }
  *graphs = a->kind == ATTR_GRAPHS ? a->graphs.at : NULL;
  return a->kind == ATTR_GRAPHS ? a->graphs.count : 0;
}

// ---- uses -------------------------------------------------------------------------------------------

static int compare_ids(const void *a, const void *b) {
  value_id x = *(const value_id *)a, y = *(const value_id *)b;
  return (x > y) - (x < y);
}

// Sorts ids and drops repetitions; how many are left.
static uint32_t make_set(value_id *at, size_t count) {
  uint32_t kept = 0;
  qsort(at, count, sizeof *at, compare_ids);
  for (size_t i = 0; i < count; i++)
    if (kept == 0 || at[kept - 1] != at[i]) at[kept++] = at[i];
  return kept;
}

// What v is replaced by in the end; chains are shortened on the way.
static value_id resolve(value_id *to, value_id v) {
  value_id end = v;
  while (to[end] && to[end] != end) end = to[end];
  while (v != end) {
    value_id next = to[v];
    to[v] = end;
    v = next;
  }
  return end;
}

static void replace_list(value_id *list, size_t count, value_id *to) {
  for (size_t i = 0; i < count; i++)
    if (to[list[i]]) list[i] = resolve(to, list[i]);
}

// Captures are a set: two that became one value are listed once.
static void replace_captures(node *n, value_id *to) {
  bool changed = false;
  for (uint32_t i = 0; i < n->capture_count; i++) changed |= to[n->captures[i]] != VALUE_ABSENT;
  if (!changed) return;
  replace_list(n->captures, n->capture_count, to);
  n->capture_count = make_set(n->captures, n->capture_count);
  for (uint32_t i = 0; i < n->attr_count; i++) {
    struct graph *const *bodies;
    size_t count = attr_graphs(&n->attrs[i], &bodies);
    for (size_t b = 0; b < count; b++)
      for (uint32_t v = 1; v < bodies[b]->value_count; v++) {
        graph_value *value = &bodies[b]->values[v];
        if (value->outer && to[value->outer]) value->outer = resolve(to, value->outer);
      }
  }
}

void graph_replace_many(graph *g, value_id *to) {
  to[VALUE_ABSENT] = 0;
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *n = g->nodes[i];
    if (n->dead) continue;
    replace_list(n->inputs, n->input_count, to);
    if (n->capture_count) replace_captures(n, to);
  }
  replace_list(g->outputs, g->output_count, to);
}

uint32_t *graph_count_uses(const graph *g, arena *memory) {
  uint32_t *uses = arena_array(memory, g->value_count, sizeof *uses);
  if (!uses) return NULL;
  for (uint32_t i = 0; i < g->node_count; i++) {
    const node *n = g->nodes[i];
    if (n->dead) continue;
    for (uint32_t k = 0; k < n->input_count; k++) uses[n->inputs[k]]++;
    for (uint32_t k = 0; k < n->capture_count; k++) uses[n->captures[k]]++;
  }
  for (uint32_t i = 0; i < g->output_count; i++) uses[g->outputs[i]]++;
  uses[VALUE_ABSENT] = 0;
  return uses;
}

// ---- captures ---------------------------------------------------------------------------------------

// Writes what the subgraphs stand in for, repetitions included; NULL only counts.
static size_t list_outer(const node *n, value_id *at) {
  size_t count = 0;
  for (uint32_t k = 0; k < n->attr_count; k++) {
    struct graph *const *bodies;
    size_t body_count = attr_graphs(&n->attrs[k], &bodies);
    for (size_t b = 0; b < body_count; b++)
      for (uint32_t v = 1; v < bodies[b]->value_count; v++) {
        value_id outer = bodies[b]->values[v].outer;
        if (outer && at) at[count] = outer;
        count += outer != VALUE_ABSENT;
      }
  }
  return count;
}

sdx_status node_collect_captures(graph *g, node *n) {
  n->capture_count = 0;
  size_t count = list_outer(n, NULL);
  if (count == 0) return SDX_OK;
  n->captures = arena_array(g->memory, count, sizeof *n->captures);
  if (!n->captures) return SDX_NO_MEMORY;
  list_outer(n, n->captures);
  n->capture_count = make_set(n->captures, count);
  return SDX_OK;
}

uint32_t node_find_capture(const node *n, value_id outer) {
  if (n->capture_count == 0) return 0;
  const value_id *at = bsearch(&outer, n->captures, n->capture_count, sizeof *at, compare_ids);
  return at ? (uint32_t)(at - n->captures) : n->capture_count;
}
