// SPDX-License-Identifier: Apache-2.0
// Types and shapes of every value, with symbolic dimensions, through the operators' own infer
// functions. What the model declares is kept where it says more, and refused where it contradicts, but for
// shapes with free dimensions: exporters guess those of their outputs (skl2onnx: [N] for [N, 1]), so there the
// operator's word counts and a warning is left.
#include <stdio.h>

#include "passes/passes.h"

typedef struct inference {
  graph *g;
  arena *scratch;
  const problem_sink *sink;
  text *warnings;  // NULL: not wanted
  error *err;
} inference;

static sdx_status infer_graph(inference *f);

// Keeps the more precise of two dimensions; false if both are fixed and differ.
static bool merge_dim(int64_t declared, int64_t inferred, int64_t *out) {
  if (declared >= 0 && inferred >= 0 && declared != inferred) return false;
  *out = inferred >= 0 ? inferred : declared >= 0 ? declared : inferred != DIM_UNKNOWN ? inferred : declared;
  return true;
}

static bool known(const type_info *t) {
  if (t->kind == TYPE_UNKNOWN || (t->kind == TYPE_TENSOR && t->rank < 0)) return false;
  for (int i = 0; t->kind == TYPE_TENSOR && i < t->rank; i++)
    if (t->dims[i] < 0) return false;
  return true;
}

static sdx_status contradiction(const inference *f, const node *n, value_id v, const type_info *declared,
                                const type_info *inferred) {
  char a[200], b[200];
  return error_set(f->err, SDX_INVALID_GRAPH, "node '%.*s' (%.*s): output '%.*s' is declared %s but comes out as %s",
                   STR_ARG(n->name), STR_ARG(n->op_type), STR_ARG(f->g->values[v].name),
                   type_describe(f->g, declared, a, sizeof a), type_describe(f->g, inferred, b, sizeof b));
}

// The shapes differ.
static sdx_status settle(const inference *f, const node *n, value_id v, const type_info *inferred) {
  type_info *declared = &f->g->values[v].type;
  if (known(inferred)) return contradiction(f, n, v, declared, inferred);
  char a[200], b[200];
  if (f->warnings)
    text_format(f->warnings, "node '%.*s' (%.*s): output '%.*s' is declared %s but comes out as %s, which counts\n",
                STR_ARG(n->name), STR_ARG(n->op_type), STR_ARG(f->g->values[v].name),
                type_describe(f->g, declared, a, sizeof a), type_describe(f->g, inferred, b, sizeof b));
  declared->rank = inferred->rank;
  declared->dims = inferred->dims;
  return SDX_OK;
}

static sdx_status merge(const inference *f, const node *n, value_id v, const type_info *inferred) {
  type_info *t = &f->g->values[v].type;
  if (inferred->kind == TYPE_UNKNOWN) return SDX_OK;
  if (t->kind == TYPE_UNKNOWN) {
    *t = *inferred;
    return SDX_OK;
  }
  if (t->kind != inferred->kind || (t->dtype && inferred->dtype && t->dtype != inferred->dtype))
    return contradiction(f, n, v, t, inferred);
  if (!t->dtype) t->dtype = inferred->dtype;
  if (t->kind != TYPE_TENSOR) {
    if (!t->element) t->element = inferred->element;
    return SDX_OK;
  }
  if (inferred->rank < 0) return SDX_OK;
  if (t->rank < 0) {
    t->rank = inferred->rank;
    t->dims = inferred->dims;
    return SDX_OK;
  }
  if (t->rank != inferred->rank) return settle(f, n, v, inferred);
  int64_t *dims = arena_array(f->g->memory, (size_t)t->rank, sizeof *dims);
  if (!dims) return error_no_memory(f->err, (size_t)t->rank * sizeof *dims);
  for (int i = 0; i < t->rank; i++)
    if (!merge_dim(t->dims[i], inferred->dims[i], &dims[i])) return settle(f, n, v, inferred);
  t->dims = dims;
  return SDX_OK;
}

static bool improves(const type_info *to, const type_info *from) { return from->kind != TYPE_UNKNOWN && !known(to); }

// Bodies see outer values through their own names.
static void import_outer_types(graph *body) {
  for (value_id v = 1; v < body->value_count; v++) {
    const graph_value *outer = body->values[v].outer ? &body->parent->values[body->values[v].outer] : NULL;
    if (outer && improves(&body->values[v].type, &outer->type)) body->values[v].type = outer->type;
  }
}

static sdx_status infer_body(op_infer *c, graph *body, size_t inputs, const type_info *const *in,
                             const type_info **outputs) {
  inference f = {.g = body, .scratch = c->memory, .err = c->err};
  for (size_t i = 0; i < inputs && i < body->input_count; i++) {
    type_info *t = &body->values[body->inputs[i]].type;
    if (in[i] && improves(t, in[i])) *t = *in[i];
  }
  import_outer_types(body);
  SDX_TRY(infer_graph(&f));
  for (uint32_t i = 0; i < body->output_count; i++) outputs[i] = &body->values[body->outputs[i]].type;
  return SDX_OK;
}

sdx_status passes_infer_node(graph *g, const node *n, arena *scratch, type_info **outputs, error *err) {
  const type_info **in = arena_array(scratch, n->input_count + 1, sizeof *in);
  const tensor **constants = arena_array(scratch, n->input_count + 1, sizeof *constants);
  type_info *out = *outputs = arena_array(scratch, n->output_count + 1, sizeof *out);
  if (!in || !constants || !out) return error_no_memory(err, n->input_count * sizeof *in);
  for (uint32_t i = 0; i < n->input_count; i++)
    if (n->inputs[i]) {
      in[i] = &g->values[n->inputs[i]].type;
      constants[i] = g->values[n->inputs[i]].constant;
    }
  op_infer c = {.node = n,
                .params = n->params,
                .input_count = n->input_count,
                .output_count = n->output_count,
                .in = in,
                .constants = constants,
                .out = out,
                .memory = g->memory,
                .graph = g,
                .infer_subgraph = infer_body,
                .err = err};
  return op_infer_node(&c);
}

static sdx_status infer_one(inference *f, node *n) {
  type_info *out;
  SDX_TRY(passes_infer_node(f->g, n, f->scratch, &out, f->err));
  for (uint32_t i = 0; i < n->output_count; i++)
    if (n->outputs[i]) SDX_TRY(merge(f, n, n->outputs[i], &out[i]));
  return SDX_OK;
}

static sdx_status infer_graph(inference *f) {
  for (uint32_t i = 0; i < f->g->node_count; i++) {
    node *n = f->g->nodes[i];
    if (n->dead || !n->op) continue;
    sdx_status status = infer_one(f, n);
    if (status == SDX_OK) continue;
    if (!f->sink || status == SDX_NO_MEMORY) return status;
    char place[256];
    snprintf(place, sizeof place, "node '%.*s' (%.*s)", STR_ARG(n->name), STR_ARG(n->op_type));
    f->sink->report(f->sink->context, status, "type-or-shape", place, f->err->message, "");
    error_clear(f->err);
  }
  return SDX_OK;
}

sdx_status passes_infer(graph *g, arena *scratch, const problem_sink *sink, text *warnings, error *err) {
  inference f = {.g = g, .scratch = scratch, .sink = sink, .warnings = warnings, .err = err};
  return infer_graph(&f);
}
