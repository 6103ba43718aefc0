// SPDX-License-Identifier: Apache-2.0
// graph -> text; the grammar is in README.md. Only what matters to a run is printed: documentation,
// bindings and constants that nobody reads are left out. Read next: parse.c.
#include "graph/graph.h"
#include "graph/literal.h"

typedef struct printer {
  text *out;
  const graph *graph;
  size_t depth;
} printer;

static void print_graph(text *out, const graph *g, size_t depth);

static void put(printer *p, const char *words) { text_append(p->out, words, strlen(words)); }

static void put_quoted(printer *p, str s) {
  put(p, "\"");
  for (size_t i = 0; i < s.size; i++) {
    unsigned char c = (unsigned char)s.at[i];
    if (c == '"' || c == '\\') text_format(p->out, "\\%c", c);
    else if (c < 0x20 || c > 0x7e) text_format(p->out, "\\x%02x", c);
    else text_append(p->out, s.at + i, 1);
  }
  put(p, "\"");
}

// Plain if every byte is, and (for words that must not look like a number) the first is no digit.
static void put_name(printer *p, str s, bool like_number) {
  bool plain = s.size > 0 && (like_number || !(text_is_digit(s.at[0]) || s.at[0] == '-'));
  for (size_t i = 0; plain && i < s.size; i++) plain = text_is_plain(s.at[i]);
  if (plain) text_str(p->out, s);
  else put_quoted(p, s);
}

static void put_value(printer *p, value_id id) {
  if (id == VALUE_ABSENT) {
    put(p, "_");
    return;
  }
  put(p, "%");
  put_name(p, p->graph->values[id].name, true);
}

static void put_values(printer *p, const value_id *ids, size_t count) {
  put(p, "(");
  for (size_t i = 0; i < count; i++) {
    if (i) put(p, ", ");
    put_value(p, ids[i]);
  }
  put(p, ")");
}

static void put_shape(printer *p, const int64_t *dims, size_t rank) {
  put(p, "[");
  for (size_t i = 0; i < rank; i++) {
    if (i) put(p, ",");
    str symbol = graph_symbol_name(p->graph, dims[i]);
    if (dims[i] >= 0) text_format(p->out, "%lld", (long long)dims[i]);
    else if (symbol.size) put_name(p, symbol, false);
    else put(p, "?");
  }
  put(p, "]");
}

// A line of types inside one another ends in a tensor or in "?".
static void put_type(printer *p, const type_info *t) {
  size_t closing = 0;
  for (; t; t = t->element) {
    if (t->kind == TYPE_UNKNOWN) put(p, "?");
    if (t->kind == TYPE_SPARSE) put(p, "sparse(");
    if (t->kind == TYPE_SEQUENCE) put(p, "seq(");
    if (t->kind == TYPE_OPTIONAL) put(p, "optional(");
    if (t->kind == TYPE_MAP) text_format(p->out, "map(%s,", t->dtype ? dtype_name((sdx_dtype)t->dtype) : "?");
    closing += t->kind > TYPE_TENSOR;
    if (t->kind == TYPE_TENSOR || t->kind == TYPE_SPARSE) {
      put(p, t->dtype ? dtype_name((sdx_dtype)t->dtype) : "?");
      if (t->rank >= 0) put_shape(p, t->dims, (size_t)t->rank);
    } else if (t->kind > TYPE_TENSOR && !t->element) {
      put(p, "?");
    }
  }
  while (closing--) put(p, ")");
}

static bool says_something(const type_info *t) {
  return t->kind != TYPE_UNKNOWN && !(t->kind == TYPE_TENSOR && !t->dtype && t->rank < 0);
}

static void put_typed(printer *p, value_id id) {
  put_value(p, id);
  if (id == VALUE_ABSENT) return;
  const type_info *type = type_best_known(&p->graph->values[id]);
  if (!says_something(type)) return;
  put(p, ": ");
  put_type(p, type);
}

static void put_tensor(printer *p, const tensor *t) {
  sdx_dtype dtype = (sdx_dtype)t->dtype;
  put(p, dtype_name(dtype));
  put_shape(p, t->dims, t->rank);
  put(p, "{");
  size_t numbers = t->count * text_numbers(dtype);
  if (t->count > TEXT_MOST_ELEMENTS) put(p, "...");
  else
    for (size_t i = 0; i < numbers; i++) {
      if (i) put(p, ", ");
      if (dtype == SDX_STRING) put_quoted(p, ((const str *)t->data)[i]);
      else text_put_number(p->out, dtype, t->data, i);
    }
  put(p, "}");
}

static void put_sparse(printer *p, const sparse_tensor *s) {
  put_shape(p, s->dims, s->rank);
  put(p, " ");
  put_tensor(p, &s->values);
  put(p, " ");
  put_tensor(p, &s->indices);
}

// A float always shows that it is none of the integers.
static void put_attr_float(printer *p, float number) {
  size_t before = p->out->size;
  text_put_number(p->out, SDX_FLOAT, &number, 0);
  if (p->out->failed) return;
  for (size_t i = before; i < p->out->size; i++)
    if (strchr(".enx", p->out->at[i])) return;
  put(p, ".0");
}

static void put_attr(printer *p, const attr *a) {
  put_name(p, a->name, false);
  put(p, "=");
  bool list = a->kind >= ATTR_FLOATS && a->kind <= ATTR_GRAPHS;
  static const char *const words[] = {
      [ATTR_TENSOR] = "tensor ",  [ATTR_SPARSE_TENSOR] = "sparse ",  [ATTR_TYPE] = "type ",
      [ATTR_TENSORS] = "tensors", [ATTR_SPARSE_TENSORS] = "sparses", [ATTR_TYPES] = "types",
      [ATTR_GRAPHS] = "graphs",
  };
  static const char *const empty[] = {[ATTR_FLOATS] = "floats", [ATTR_INTS] = "ints", [ATTR_STRINGS] = "strings"};
  list = list || a->kind == ATTR_SPARSE_TENSORS || a->kind == ATTR_TYPES;
  size_t count = list ? a->ints.count : 1;  // all lists begin alike
  if (a->kind < sizeof words / sizeof *words && words[a->kind]) put(p, words[a->kind]);
  if (list && count == 0 && a->kind < sizeof empty / sizeof *empty && empty[a->kind]) put(p, empty[a->kind]);
  if (list) put(p, "[");
  for (size_t i = 0; i < count; i++) {
    if (i) put(p, ", ");
    switch (a->kind) {
      case ATTR_FLOAT:
        put_attr_float(p, a->f);
        break;
      case ATTR_FLOATS:
        put_attr_float(p, a->floats.at[i]);
        break;
      case ATTR_INT:
        text_format(p->out, "%lld", (long long)a->i);
        break;
      case ATTR_INTS:
        text_format(p->out, "%lld", (long long)a->ints.at[i]);
        break;
      case ATTR_STRING:
      case ATTR_REFERENCE:
        put_quoted(p, a->s);
        break;
      case ATTR_STRINGS:
        put_quoted(p, a->strings.at[i]);
        break;
      case ATTR_TENSOR:
        put_tensor(p, a->tensor);
        break;
      case ATTR_TENSORS:
        put_tensor(p, a->tensors.at[i]);
        break;
      case ATTR_GRAPH:
        print_graph(p->out, a->graph, p->depth + 1);
        break;
      case ATTR_GRAPHS:
        print_graph(p->out, a->graphs.at[i], p->depth + 1);
        break;
      case ATTR_SPARSE_TENSOR:
        put_sparse(p, a->sparse);
        break;
      case ATTR_SPARSE_TENSORS:
        put_sparse(p, a->sparses.at[i]);
        break;
      case ATTR_TYPE:
        put_type(p, a->type);
        break;
      case ATTR_TYPES:
        put_type(p, &a->types.at[i]);
        break;
    }
  }
  if (list) put(p, "]");
}

static void put_node(printer *p, const node *n) {
  if (n->output_count == 0) put(p, "()");
  for (uint32_t i = 0; i < n->output_count; i++) {
    if (i) put(p, ", ");
    put_typed(p, n->outputs[i]);
  }
  put(p, " = ");
  if (n->domain.size) {
    put_name(p, n->domain, false);
    put(p, "::");
  }
  put_name(p, n->op_type, false);
  if (n->version) text_format(p->out, "@%d", n->version);
  for (uint32_t i = 0; i < n->attr_count; i++) {
    put(p, i ? ", " : "<");
    put_attr(p, &n->attrs[i]);
  }
  if (n->attr_count) put(p, ">");
  put_values(p, n->inputs, n->input_count);
  if (n->name.size) {
    put(p, " as ");
    put_name(p, n->name, true);
  }
}

static void new_line(printer *p) {
  put(p, "\n");
  for (size_t i = 0; i <= p->depth; i++) put(p, "  ");
}

// What the graph begins with: constants that are read, and values of the outer graph.
static void put_given(printer *p, const uint32_t *uses) {
  const graph *g = p->graph;
  for (uint32_t v = 1; v < g->value_count; v++) {
    const graph_value *value = &g->values[v];
    if (value->constant && uses[v]) {
      new_line(p);
      put(p, "const ");
      put_value(p, v);
      put(p, ": ");
      put_tensor(p, value->constant);
    } else if (value->outer && g->parent) {
      new_line(p);
      put(p, "outer ");
      put_typed(p, v);
      put(p, " = ");
      printer outer = {p->out, g->parent, p->depth};
      put_value(&outer, value->outer);
    }
  }
}

// Recursion is as deep as graphs are nested, which import and parser bound.
static void print_graph(text *out, const graph *g, size_t depth) {
  printer p = {out, g, depth};
  put(&p, "graph");
  if (g->name.size) {
    put(&p, " ");
    put_name(&p, g->name, true);
  }
  put(&p, "(");
  for (uint32_t i = 0; i < g->input_count; i++) {
    if (i) put(&p, ", ");
    put_typed(&p, g->inputs[i]);
  }
  put(&p, ") -> ");
  put_values(&p, g->outputs, g->output_count);
  put(&p, " {");
  arena scratch;
  arena_init(&scratch, g->memory->account);
  const uint32_t *uses = graph_count_uses(g, &scratch);
  if (uses) put_given(&p, uses);
  else out->failed = true;
  arena_deinit(&scratch);
  for (uint32_t i = 0; i < g->node_count && !out->failed; i++) {
    if (g->nodes[i]->dead) continue;
    new_line(&p);
    put_node(&p, g->nodes[i]);
  }
  p.depth -= 1;  // the closing brace stands below the line that opened
  if (depth) new_line(&p);
  else put(&p, "\n");
  put(&p, "}");
}

void graph_print(const graph *g, text *out) {
  print_graph(out, g, 0);
  text_append(out, "\n", 1);
}
