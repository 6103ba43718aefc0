// SPDX-License-Identifier: Apache-2.0
// The graph and its bodies as JSON: a list in which a body follows the node that it belongs to, with its depth. The
// summary counts what is in them, "graph" lists their nodes and values. Local functions are told as they stand in the
// file.
#include "run/session.h"

typedef struct counts {
  size_t nodes, weights, weight_bytes;
  op_histogram operators;
} counts;

typedef struct walk {
  text *out;
  counts all;
  size_t graphs, tensors;          // so far
  const model_function *function;  // that the graph is of
  sdx_session *session;            // that gets a list of its tensors
  void (*describe)(struct walk *w, const graph *g);
} walk;

static void put(text *t, const char *words) { text_append(t, words, strlen(words)); }

static void put_named(text *t, const char *before, str name) {
  put(t, before);
  text_json_string(t, name);
}

// What holds a body.
typedef struct holder {
  size_t depth, graph, at;  // of the body; number of the graph and of the node in it
  const node *node;
  const attr *attr;
} holder;

static void put_holder(text *t, const holder *h) {
  put_named(t, ",\"node\":", h->node->name);
  put_named(t, ",\"op\":", h->node->op_type);
  put_named(t, ",\"attribute\":", h->attr->name);
  text_format(t, ",\"parent\":%zu,\"at\":%zu", h->graph, h->at);
}

static void put_function(text *t, const model_function *f) {
  put_named(t, "\"domain\":", f->domain.size ? f->domain : STR("ai.onnx"));
  put_named(t, ",\"name\":", f->name);
  if (f->overload.size) put_named(t, ",\"overload\":", f->overload);
}

// Recursion is as deep as graphs are nested, which the import bounds. `h`: NULL for a graph that is no body.
static void walk_graph(walk *w, const graph *g, const holder *h) {
  holder inner = {.depth = h ? h->depth + 1 : 1, .graph = w->graphs++};
  put_named(w->out, inner.graph ? ",\n{\"name\":" : "\n{\"name\":", g->name);
  text_format(w->out, ",\"depth\":%zu", inner.depth - 1);
  if (h) put_holder(w->out, h);
  if (!h && w->function) {
    put(w->out, ",\"function\":{");
    put_function(w->out, w->function);
    put(w->out, "}");
  }
  w->describe(w, g);
  put(w->out, "}");
  for (uint32_t i = 0; i < g->node_count && !w->out->failed; i++)
    for (uint32_t k = 0; k < g->nodes[i]->attr_count; k++) {
      graph *const *bodies;
      size_t count = attr_graphs(&g->nodes[i]->attrs[k], &bodies);
      inner.at = i, inner.node = g->nodes[i], inner.attr = &g->nodes[i]->attrs[k];
      for (size_t b = 0; b < count; b++) walk_graph(w, bodies[b], &inner);
    }
}

static void put_operators(text *t, const op_histogram *c) {
  put(t, ",\"operators\":{");
  for (uint32_t i = 0; i < c->count; i++) {
    if (i) put(t, ",");
    text_json_string(t, c->at[i].op_type);
    text_format(t, ":%zu", c->at[i].count);
  }
  put(t, "}");
}

static void put_counts(text *t, counts *c) {
  text_format(t, ",\"nodes\":%zu,\"weights\":%zu,\"weight_bytes\":%zu", c->nodes, c->weights, c->weight_bytes);
  op_histogram_sort(&c->operators);
  put_operators(t, &c->operators);
}

// A constant of an outer graph that a body reads counts where it is.
static void count_graph(walk *w, const graph *g) {
  arena scratch;
  arena_init(&scratch, w->out->account);
  counts here = {.nodes = g->node_count};
  op_histogram_init(&here.operators, &scratch);
  for (value_id v = 1; v < g->value_count; v++)
    if (g->values[v].constant && !g->values[v].outer) {
      here.weights++;
      here.weight_bytes += g->values[v].constant->bytes;
    }
  for (uint32_t i = 0; i < g->node_count; i++)
    if (!op_histogram_add(&here.operators, g->nodes[i]->op_type) ||
        !op_histogram_add(&w->all.operators, g->nodes[i]->op_type))
      w->out->failed = true;
  w->all.nodes += here.nodes;
  w->all.weights += here.weights;
  w->all.weight_bytes += here.weight_bytes;
  put_counts(w->out, &here);
  arena_deinit(&scratch);
}

static void put_functions(text *t, const model *m) {
  put(t, ",\"functions\":[");
  for (size_t i = 0; i < m->function_count; i++) {
    const model_function *f = &m->functions[i];
    put(t, i ? ",\n{" : "\n{");
    put_function(t, f);
    text_format(t, ",\"calls\":%zu,\"nodes\":%zu", f->calls, f->nodes);
    put_operators(t, &f->operators);
    put(t, "}");
  }
  put(t, "]");
}

void describe_counts(const sdx_session *s, text *t) {
  arena scratch;
  arena_init(&scratch, t->account);
  walk w = {.out = t, .describe = count_graph};
  op_histogram_init(&w.all.operators, &scratch);
  put(t, ",\"graphs\":[");
  walk_graph(&w, s->main, NULL);
  put(t, "]");
  put_functions(t, s->model);
  put_counts(t, &w.all);
  arena_deinit(&scratch);
}

// ---- nodes and values -------------------------------------------------------------------------------

static void put_ids(text *t, const char *before, const graph *g, const value_id *ids, uint32_t count) {
  put(t, before);
  for (uint32_t i = 0; i < count; i++) put_named(t, i ? "," : "", ids[i] ? g->values[ids[i]].name : STR(""));
  put(t, "]");
}

// The tensors of a graph in the order of their numbers: constants, then those among attributes. `each` ends it by
// false.
static bool each_tensor(const graph *g, bool (*each)(void *context, const tensor *t), void *context) {
  for (value_id v = 1; v < g->value_count; v++)
    if (g->values[v].constant && !g->values[v].outer && !each(context, g->values[v].constant)) return false;
  for (uint32_t i = 0; i < g->node_count; i++)
    for (uint32_t k = 0; k < g->nodes[i]->attr_count; k++)
      if (g->nodes[i]->attrs[k].kind == ATTR_TENSOR && !each(context, g->nodes[i]->attrs[k].tensor)) return false;
  return true;
}

static bool count_tensor(void *context, const tensor *t) {
  ++*(size_t *)context;
  return true;
}

static void put_values(walk *w, const graph *g, size_t *number) {
  char type[1024];
  bool first = true;
  put(w->out, ",\"values\":[");
  for (value_id v = 1; v < g->value_count && !w->out->failed; v++) {
    const graph_value *value = &g->values[v];
    if (value->outer) continue;
    put_named(w->out, first ? "\n{\"name\":" : ",\n{\"name\":", value->name);
    put_named(w->out, ",\"type\":", str_from(type_describe(g, type_best_known(value), type, sizeof type)));
    if (value->constant) text_format(w->out, ",\"constant\":%zu,\"bytes\":%zu", (*number)++, value->constant->bytes);
    put(w->out, "}");
    first = false;
  }
  put(w->out, "]");
}

static const char *kind_name(attr_kind kind) {
  static const char *const names[] = {
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
      [ATTR_SPARSE_TENSOR] = "sparse_tensor",
      [ATTR_SPARSE_TENSORS] = "sparse_tensors",
      [ATTR_TYPE] = "type_proto",
      [ATTR_TYPES] = "type_protos",
      [ATTR_REFERENCE] = "reference",
  };
  return names[kind];
}

enum { MOST_LISTED = 1024 };  // elements of a list that are told

static void put_number(text *t, const attr *a, size_t i) {
  if (a->kind == ATTR_FLOATS) text_json_f32(t, a->floats.at[i]);
  else if (a->kind == ATTR_INTS) text_json_i64(t, a->ints.at[i]);
  else text_json_string(t, a->strings.at[i]);
}

static void put_attribute(walk *w, const graph *g, const attr *a, size_t *number) {
  text *t = w->out;
  char type[1024];
  put_named(t, "{\"name\":", a->name);
  text_format(t, ",\"kind\":\"%s\"", kind_name(a->kind));
  if (a->kind == ATTR_TENSOR) {
    put_named(t, ",\"type\":", str_from(tensor_describe(a->tensor, type, sizeof type)));
    text_format(t, ",\"constant\":%zu,\"bytes\":%zu}", (*number)++, a->tensor->bytes);
    return;
  }
  if (a->kind == ATTR_STRING || a->kind == ATTR_REFERENCE) put_named(t, ",\"value\":", a->s);
  if (a->kind == ATTR_TYPE) put_named(t, ",\"value\":", str_from(type_describe(g, a->type, type, sizeof type)));
  if (a->kind == ATTR_INT || a->kind == ATTR_FLOAT) put(t, ",\"value\":");
  if (a->kind == ATTR_INT) text_json_i64(t, a->i);
  if (a->kind == ATTR_FLOAT) text_json_f32(t, a->f);
  if (a->kind == ATTR_FLOATS || a->kind == ATTR_INTS || a->kind == ATTR_STRINGS) {
    size_t count = a->ints.count;  // all lists begin alike
    text_format(t, ",\"count\":%zu,\"value\":[", count);
    for (size_t i = 0; i < count && i < MOST_LISTED; i++) {
      if (i) put(t, ",");
      put_number(t, a, i);
    }
    put(t, "]");
  }
  put(t, "}");
}

static void list_nodes(walk *w, const graph *g) {
  text *t = w->out;
  size_t number = w->tensors;
  if (g->doc.size) put_named(t, ",\"doc\":", g->doc);
  put_ids(t, ",\"inputs\":[", g, g->inputs, g->input_count);
  put_ids(t, ",\"outputs\":[", g, g->outputs, g->output_count);
  put_values(w, g, &number);
  put(t, ",\"nodes\":[");
  for (uint32_t i = 0; i < g->node_count && !t->failed; i++) {
    const node *n = g->nodes[i];
    put_named(t, i ? ",\n{\"name\":" : "\n{\"name\":", n->name);
    put_named(t, ",\"domain\":", n->domain.size ? n->domain : STR("ai.onnx"));
    put_named(t, ",\"op\":", n->op_type);
    if (n->version) text_format(t, ",\"version\":%d", (int)n->version);
    if (n->doc) put_named(t, ",\"doc\":", *n->doc);
    put_ids(t, ",\"inputs\":[", g, n->inputs, n->input_count);
    put_ids(t, ",\"outputs\":[", g, n->outputs, n->output_count);
    put(t, ",\"attributes\":[");
    for (uint32_t k = 0; k < n->attr_count; k++) {
      if (k) put(t, ",");
      put_attribute(w, g, &n->attrs[k], &number);
    }
    put(t, "]}");
  }
  put(t, "]");
  each_tensor(g, count_tensor, &w->tensors);
}

// The graph and all below it, then functions that are graphs.
static void walk_model(walk *w, const sdx_session *s) {
  walk_graph(w, s->main, NULL);
  for (size_t i = 0; i < s->model->function_count; i++) {
    const model_function *f = &s->model->functions[i];
    w->function = f;
    if (f->graph) walk_graph(w, f->graph, NULL);
  }
}

void describe_graph(const sdx_session *s, text *t) {
  text plain = {0};
  walk w = {.out = t, .describe = list_nodes};
  graph_print(s->main, &plain);
  if (plain.failed) t->failed = true;
  put(t, "{\"text\":");
  text_json_string(t, (str){plain.at, plain.size});
  put(t, ",\"graphs\":[");
  walk_model(&w, s);
  put(t, "]}\n");
  text_deinit(&plain);
}

// ---- constants --------------------------------------------------------------------------------------

static bool list_tensor(void *context, const tensor *t) {
  sdx_session *s = context;
  s->tensors[s->tensor_count++] = t;
  return true;
}

static void count_tensors(walk *w, const graph *g) { each_tensor(g, count_tensor, &w->tensors); }

static void list_tensors(walk *w, const graph *g) { each_tensor(g, list_tensor, w->session); }

// Once, for whoever asks first.
static void make_list(sdx_session *s) {
  text nothing = {0};
  walk w = {.out = &nothing, .describe = count_tensors, .session = s};
  walk_model(&w, s);
  s->tensors = arena_array(&s->memory, w.tensors, sizeof *s->tensors);
  w.describe = list_tensors;
  if (s->tensors) walk_model(&w, s);
  text_deinit(&nothing);
}

sdx_value *sdx_session_constant(const sdx_session *session, size_t number) {
  sdx_session *s = (sdx_session *)session;  // the list is made behind its lock
  if (!s->main) return NULL;
  pthread_mutex_lock(&s->lock);
  if (!s->tensors) make_list(s);
  pthread_mutex_unlock(&s->lock);
  const tensor *t = s->tensors && number < s->tensor_count ? s->tensors[number] : NULL;
  if (!t || t->dtype == SDX_STRING) return NULL;
  return sdx_tensor_borrow((sdx_dtype)t->dtype, t->rank, t->dims, t->data, NULL, NULL);
}
