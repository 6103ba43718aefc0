// SPDX-License-Identifier: Apache-2.0
// The graph and its bodies as JSON: a list in which a body follows the node that it belongs to, with its depth. The
// summary counts what is in them, "graph" lists their nodes. Local functions are told as they stand in the file.
#include "run/session.h"

typedef struct counts {
  size_t nodes, weights, weight_bytes;
  op_histogram operators;
} counts;

typedef struct walk {
  text *out;
  counts all;
  size_t graphs;
  void (*describe)(struct walk *w, const graph *g);
} walk;

static void put(text *t, const char *words) { text_append(t, words, strlen(words)); }

static void put_named(text *t, const char *before, str name) {
  put(t, before);
  text_json_string(t, name);
}

// Recursion is as deep as graphs are nested, which the import bounds. `n`, `a`: what holds a body.
static void walk_graph(walk *w, const graph *g, size_t depth, const node *n, const attr *a) {
  put_named(w->out, w->graphs++ ? ",\n{\"name\":" : "\n{\"name\":", g->name);
  text_format(w->out, ",\"depth\":%zu", depth);
  if (n) {
    put_named(w->out, ",\"node\":", n->name);
    put_named(w->out, ",\"op\":", n->op_type);
    put_named(w->out, ",\"attribute\":", a->name);
  }
  w->describe(w, g);
  put(w->out, "}");
  for (uint32_t i = 0; i < g->node_count && !w->out->failed; i++)
    for (uint32_t k = 0; k < g->nodes[i]->attr_count; k++) {
      graph *const *bodies;
      size_t count = attr_graphs(&g->nodes[i]->attrs[k], &bodies);
      for (size_t b = 0; b < count; b++) walk_graph(w, bodies[b], depth + 1, g->nodes[i], &g->nodes[i]->attrs[k]);
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
    put_named(t, i ? ",\n{\"domain\":" : "\n{\"domain\":", f->domain.size ? f->domain : STR("ai.onnx"));
    put_named(t, ",\"name\":", f->name);
    if (f->overload.size) put_named(t, ",\"overload\":", f->overload);
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
  walk_graph(&w, s->main, 0, NULL, NULL);
  put(t, "]");
  put_functions(t, s->model);
  put_counts(t, &w.all);
  arena_deinit(&scratch);
}

static void put_values(text *t, const char *before, const graph *g, const value_id *ids, uint32_t count) {
  put(t, before);
  for (uint32_t i = 0; i < count; i++) put_named(t, i ? "," : "", ids[i] ? g->values[ids[i]].name : STR(""));
  put(t, "]");
}

static void list_nodes(walk *w, const graph *g) {
  text *t = w->out;
  put_values(t, ",\"inputs\":[", g, g->inputs, g->input_count);
  put_values(t, ",\"outputs\":[", g, g->outputs, g->output_count);
  put(t, ",\"nodes\":[");
  for (uint32_t i = 0; i < g->node_count && !t->failed; i++) {
    const node *n = g->nodes[i];
    put_named(t, i ? ",\n{\"name\":" : "\n{\"name\":", n->name);
    put_named(t, ",\"domain\":", n->domain.size ? n->domain : STR("ai.onnx"));
    put_named(t, ",\"op\":", n->op_type);
    put_values(t, ",\"inputs\":[", g, n->inputs, n->input_count);
    put_values(t, ",\"outputs\":[", g, n->outputs, n->output_count);
    put(t, "}");
  }
  put(t, "]");
}

void describe_graph(const sdx_session *s, text *t) {
  text plain = {0};
  walk w = {.out = t, .describe = list_nodes};
  graph_print(s->main, &plain);
  if (plain.failed) t->failed = true;
  put(t, "{\"text\":");
  text_json_string(t, (str){plain.at, plain.size});
  put(t, ",\"graphs\":[");
  walk_graph(&w, s->main, 0, NULL, NULL);
  put(t, "]}\n");
  text_deinit(&plain);
}
