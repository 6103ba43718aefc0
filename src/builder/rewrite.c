// SPDX-License-Identifier: Apache-2.0
// What changes a whole model that was opened (edit.h): the engine's passes, types, what nobody needs. Passes want nodes
// in newest form and leave them so; raise.c then finds the version that can say them. Read next: raise.c.
#include "builder/rewrite.h"

#include "passes/passes.h"
#include "run/session.h"

extern const pass_def pass_remove_dead;

// Passes whose results are for this engine alone, or that only it gains by, are left out.
#define OURS                                                                                                      \
  "fold_dequantized,widen_squares,look_up,move_quantized,fuse_quantized,fuse_conv_endings,fuse_scaled_sums,fuse_" \
  "products,fuse_attention"
static const struct pass_list {
  const char *name;
  int level;
  const char *disabled;
} lists[] = {{"shrink", 3, OURS ",fuse_activation,fuse_layer_norm"},
             {"standard", 3, OURS ",fuse_activation"},
             {"contrib", 3, OURS}};

static const struct pass_list *find_list(sdx_builder *b, const char *name) {
  str_nearest nearest;
  char hint[120];
  str_nearest_init(&nearest, str_from(name));
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    if (!strcmp(lists[i].name, name)) return &lists[i];
    str_nearest_offer(&nearest, str_from(lists[i].name));
  }
  sdx_builder_fail(b, SDX_INVALID_ARGUMENT, "'%s' is no list of passes", name);
  error_hint(&b->err, "%s", str_nearest_hint(&nearest, hint, sizeof hint));
  return NULL;
}

// ---- the session behind a builder ---------------------------------------------------------------------

sdx_session *build_session(sdx_builder *b) {
  for (const sdx_graph *g = b->graphs; g; g = g->next)
    for (value_id v = 1; v < g->graph->value_count; v++) {
      const graph_value *value = &g->graph->values[v];
      if (!value->constant || value->constant->data || !value->constant->bytes) continue;
      sdx_builder_fail(b, SDX_NOT_SUPPORTED,
                       "constant '%.*s' is made when the model is written; nothing computes with it",
                       STR_ARG(value->name));
      return NULL;
    }
  if (!b->source) b->source = session_create(NULL);
  sdx_session *s = b->source;
  if (!s) {
    build_no_memory(b);
    return NULL;
  }
  error_clear(&s->err);
  s->opsets = b->model.opsets, s->opset_count = b->model.opset_count;
  return s;
}

// ---- bodies -----------------------------------------------------------------------------------------

typedef bool (*graph_visit)(void *context, graph *a, graph *b);

// Two graphs of the same form, and their bodies. Recursion is as deep as graphs are nested.
static bool visit_both(graph *a, graph *b, graph_visit visit, void *context) {
  for (uint32_t i = 0; i < a->node_count; i++)
    for (uint32_t k = 0; k < a->nodes[i]->attr_count; k++) {
      graph *const *in_a, *const *in_b;
      size_t count = attr_graphs(&a->nodes[i]->attrs[k], &in_a);
      attr_graphs(&b->nodes[i]->attrs[k], &in_b);
      for (size_t n = 0; n < count; n++)
        if (!visit_both(in_a[n], in_b[n], visit, context)) return false;
    }
  return visit(context, a, b);
}

// ---- types ------------------------------------------------------------------------------------------

typedef struct pairs {
  arena *memory;
  graph *(*at)[2];
  size_t count, capacity;
} pairs;

static bool add_pair(void *context, graph *a, graph *b) {
  pairs *p = context;
  if (!build_grow((void **)&p->at, p->count, &p->capacity, sizeof *p->at)) return false;
  p->at[p->count][0] = a, p->at[p->count++][1] = b;
  return true;
}

// What the file says of a value that nodes make may be of other sizes of the inputs.
static void learn(graph_value *v, const type_info *type) {
  v->type = *type;
  if (v->producer && type->kind != TYPE_UNKNOWN && type->rank >= 0) v->declared = (type_info){0};
}

// Inference runs on a copy, which binding may bring to newest form; values keep their numbers.
sdx_status sdx_builder_infer(sdx_builder *b) {
  sdx_session *s = build_failed(b) ? NULL : build_session(b);
  if (!s || build_complete(b) != SDX_OK) return b->err.status;
  graph *g = b->model.graph, *copy = graph_clone(build_memory(b), g);
  pairs p = {0};
  if (!copy || !visit_both(g, copy, add_pair, &p)) build_no_memory(b);
  else if (session_bind_graph(s, copy, false, NULL, &s->err) != SDX_OK) error_copy(&b->err, &s->err);
  for (size_t i = 0; i < p.count && !build_failed(b); i++)
    for (value_id v = 1; v < p.at[i][0]->value_count; v++) learn(&p.at[i][0]->values[v], &p.at[i][1]->values[v].type);
  if (!build_failed(b)) {
    g->symbols = copy->symbols, g->symbol_count = copy->symbol_count, g->symbol_capacity = copy->symbol_capacity;
    g->symbol_names = copy->symbol_names;
  }
  mem_free(p.at);
  return b->err.status;
}

// ---- passes -----------------------------------------------------------------------------------------

void sdx_builder_freeze(sdx_builder *b) { b->model.graph->default_count = 0; }

// What the graph gives, as it was before passes.
typedef struct outputs {
  str *names;
  type_info *declared;
} outputs;

static bool note_outputs(sdx_builder *b, outputs *o) {
  const graph *g = b->model.graph;
  o->names = arena_array(build_memory(b), g->output_count, sizeof *o->names);
  o->declared = arena_array(build_memory(b), g->output_count, sizeof *o->declared);
  for (uint32_t i = 0; o->names && o->declared && i < g->output_count; i++) {
    o->names[i] = g->values[g->outputs[i]].name;
    o->declared[i] = g->values[g->outputs[i]].declared;
  }
  return o->names && o->declared;
}

// Passes may have put another value in the place of an output: it gets the name.
static sdx_status restore_outputs(sdx_builder *b, const outputs *before) {
  graph *g = b->model.graph;
  for (uint32_t i = 0; i < g->output_count && !build_failed(b); i++) {
    if (str_equal(g->values[g->outputs[i]].name, before->names[i])) continue;
    build_name_output(b->main, i, before->names[i]);
    g->values[g->outputs[i]].declared = before->declared[i];
  }
  // A body gives values that it makes; a name may stand in its list once.
  for (sdx_graph *s = b->graphs; s && !build_failed(b); s = s->next)
    for (uint32_t i = 0; i < s->graph->output_count && s != b->main; i++) {
      bool own = !s->graph->values[s->graph->outputs[i]].outer;
      for (uint32_t k = 0; k < i; k++) own &= s->graph->outputs[k] != s->graph->outputs[i];
      if (!own) build_own_output(s, i);
    }
  return b->err.status;
}

sdx_status sdx_builder_rewrite(sdx_builder *b, const char *passes) {
  const struct pass_list *list = build_failed(b) ? NULL : find_list(b, passes);
  sdx_session *s = list ? build_session(b) : NULL;
  if (!s || build_complete(b) != SDX_OK) return b->err.status;
  graph *g = b->model.graph;
  int64_t opset = sdx_builder_opset(b, "");
  outputs before = {0};
  sdx_builder_freeze(b);
  if (!note_outputs(b, &before)) {
    build_no_memory(b);
    return b->err.status;
  }
  const char *disabled = s->options->disable_passes;
  int level = s->options->optimize;
  s->options->disable_passes = (char *)list->disabled, s->options->optimize = list->level;
  sdx_status status = session_bind_graph(s, g, false, NULL, &s->err);
  if (status == SDX_OK) status = session_optimise(s, g, &s->err);
  s->options->disable_passes = (char *)disabled, s->options->optimize = level;
  if (status != SDX_OK) error_copy(&b->err, &s->err);
  else if (restore_outputs(b, &before) == SDX_OK && build_settle(b, opset, 0) == SDX_OK) sdx_builder_sweep(b);
  return b->err.status;
}

// ---- what nobody needs ----------------------------------------------------------------------------------

static sdx_status sweep_dead(sdx_builder *b, graph *g, arena *scratch) {
  for (uint32_t i = 0; i < g->node_count; i++)
    if (node_collect_captures(g, g->nodes[i]) != SDX_OK) return error_no_memory(&b->err, sizeof *g);
  pass_context c = {.graph = g, .root = b->model.graph, .scratch = scratch, .err = &b->err};
  return pass_remove_dead.run(&c);
}

static sdx_status sweep_constants(sdx_builder *b, graph *g, arena *scratch) {
  uint32_t *uses = graph_count_uses(g, scratch);
  if (!uses) return error_no_memory(&b->err, g->value_count * sizeof *uses);
  for (uint32_t i = 0; i < g->default_count; i++) uses[g->defaults[i]]++;
  for (value_id v = 1; v < g->value_count; v++)
    if (!uses[v]) g->values[v].constant = NULL;
  return SDX_OK;
}

sdx_status sdx_builder_sweep(sdx_builder *b) {
  arena scratch;
  arena_init(&scratch, NULL);
  if (!build_failed(b) && build_complete(b) == SDX_OK) graph_sort(b->model.graph, &b->err);
  // A body may be the last reader of what stands around it, so the innermost graphs come first: they are listed first.
  for (sdx_graph *s = b->graphs; s && !build_failed(b); s = s->next) {
    if (!s->attached) continue;
    sweep_dead(b, s->graph, &scratch);
    arena_reset(&scratch);
  }
  if (!build_failed(b)) graph_sort(b->model.graph, &b->err);
  for (sdx_graph *s = b->graphs; s && !build_failed(b); s = s->next) {
    sweep_constants(b, s->graph, &scratch);
    arena_reset(&scratch);
  }
  arena_deinit(&scratch);
  return b->err.status;
}

// ---- summary ----------------------------------------------------------------------------------------

typedef struct counts {
  size_t nodes, weights, bytes;
  op_histogram operators;
} counts;

static bool count_graph(void *context, graph *g, graph *same) {
  (void)same;
  counts *c = context;
  bool room = true;
  for (uint32_t i = 0; i < g->node_count && room; i++) {
    if (g->nodes[i]->dead) continue;
    c->nodes++;
    room = op_histogram_add(&c->operators, g->nodes[i]->op_type);
  }
  for (value_id v = 1; v < g->value_count; v++) {
    if (!g->values[v].constant) continue;
    c->weights++;
    c->bytes += g->values[v].constant->bytes;
  }
  return room;
}

char *sdx_builder_summary(sdx_builder *b) {
  counts c = {0};
  arena scratch;
  arena_init(&scratch, NULL);
  op_histogram_init(&c.operators, &scratch);
  text t = {0};
  bool room = visit_both(b->model.graph, b->model.graph, count_graph, &c);
  op_histogram_sort(&c.operators);
  text_format(&t, "{\"opset\":%lld,\"nodes\":%zu,\"weights\":%zu,\"weight_bytes\":%zu,\"operators\":{",
              (long long)sdx_builder_opset(b, ""), c.nodes, c.weights, c.bytes);
  for (uint32_t i = 0; i < c.operators.count; i++) {
    if (i) text_format(&t, ",");
    text_json_string(&t, c.operators.at[i].op_type);
    text_format(&t, ":%zu", c.operators.at[i].count);
  }
  text_format(&t, "}}");
  arena_deinit(&scratch);
  if (room && !t.failed) return t.at;
  text_deinit(&t);
  return NULL;
}
