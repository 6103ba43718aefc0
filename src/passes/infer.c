// SPDX-License-Identifier: Apache-2.0
// Types and shapes of every value, with symbolic dimensions, through the operators' own infer functions. What comes
// out is proved: it follows from the operators and from what the graph's inputs are held to. What the model declares
// of a result is a hint that exporters get wrong (skl2onnx: [N] for [N, 1]) and editors leave stale: another element
// type is refused, another shape gets a warning, and neither has a say here.
#include <stdio.h>

#include "ops/schema.h"
#include "passes/passes.h"

typedef struct inference {
  graph *g;
  arena *scratch;
  const problem_sink *sink;
  text *warnings;  // NULL: not wanted
  bool strict;     // a shape that differs is refused
  size_t differ;   // shapes that do, and the first of them
  const graph *first_graph;
  const node *first_node;
  uint32_t first_output;
  error *err;
} inference;

static sdx_status infer_graph(inference *f);

// What a node makes is not what the model declares of it; `counts` says what that means.
static void contradiction(error *err, const graph *g, const node *n, uint32_t output, const type_info *inferred,
                          const char *counts) {
  char a[200], b[200];
  value_id v = n->outputs[output];
  const graph_value *value = &g->values[v];
  node_fail(n, err, (error_part){PART_OUTPUT, output, value->name}, SDX_INVALID_GRAPH,
            "is declared %s but comes out as %s%s", type_describe(g, &value->declared, a, sizeof a),
            type_describe(g, inferred, b, sizeof b), counts);
}

static bool shapes_agree(const type_info *a, const type_info *b) {
  if (a->rank < 0 || b->rank < 0) return true;
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dims[i] >= 0 && b->dims[i] >= 0 && a->dims[i] != b->dims[i]) return false;
  return true;
}

static sdx_status compare(inference *f, const node *n, uint32_t output, const type_info *inferred) {
  const type_info *declared = &f->g->values[n->outputs[output]].declared;
  if (declared->kind == TYPE_UNKNOWN || inferred->kind == TYPE_UNKNOWN) return SDX_OK;
  bool same_type =
      declared->kind == inferred->kind && (!declared->dtype || !inferred->dtype || declared->dtype == inferred->dtype);
  if (same_type && (declared->kind != TYPE_TENSOR || shapes_agree(declared, inferred))) return SDX_OK;
  if (!same_type || f->strict) {
    contradiction(f->err, f->g, n, output, inferred, "");
    return SDX_INVALID_GRAPH;
  }
  if (f->differ++) return SDX_OK;
  f->first_graph = f->g;
  f->first_node = n;
  f->first_output = output;
  return SDX_OK;
}

// One warning for all: a file that was traced at one size has a thousand such shapes.
static void warn_of_shapes(const inference *f) {
  if (!f->differ) return;
  char counts[80] = ", which counts";
  error warning = {0};
  if (f->differ > 1) snprintf(counts, sizeof counts, ", which counts; so it is with %zu more", f->differ - 1);
  const type_info *inferred = &f->first_graph->values[f->first_node->outputs[f->first_output]].type;
  contradiction(&warning, f->first_graph, f->first_node, f->first_output, inferred, counts);
  error_code(&warning, "declared-shape");
  if (f->sink) f->sink->report(f->sink->context, true, &warning);
  else if (f->warnings) text_format(f->warnings, "%s\n", warning.message);
}

// Bodies see outer values through their own names.
static void import_outer_types(graph *body) {
  for (value_id v = 1; v < body->value_count; v++)
    if (body->values[v].outer) body->values[v].type = body->parent->values[body->values[v].outer].type;
}

// An input of which the caller says nothing has the element type and rank that the body declares.
static sdx_status body_input_type(graph *body, const type_info *given, value_id v, error *err) {
  graph_value *input = &body->values[v];
  if (given) {
    input->type = *given;
    return SDX_OK;
  }
  input->type = input->declared;
  if (input->type.kind != TYPE_TENSOR || input->type.rank < 1) return SDX_OK;
  int64_t *dims = arena_array(body->memory, (size_t)input->type.rank, sizeof *dims);
  if (!dims) return error_no_memory(err, (size_t)input->type.rank * sizeof *dims);
  for (int i = 0; i < input->type.rank; i++) dims[i] = DIM_UNKNOWN;
  input->type.dims = dims;
  return SDX_OK;
}

static sdx_status infer_body(op_step *c, graph *body, size_t inputs, const type_info *const *in,
                             const type_info **outputs) {
  inference f = {.g = body, .scratch = c->memory, .err = c->err};
  for (size_t i = 0; i < inputs && i < body->input_count; i++)
    SDX_TRY(body_input_type(body, in[i], body->inputs[i], c->err));
  import_outer_types(body);
  SDX_TRY(infer_graph(&f));
  for (uint32_t i = 0; i < body->output_count; i++) outputs[i] = &body->values[body->outputs[i]].type;
  return SDX_OK;
}

static sdx_status infer_node(graph *g, const node *n, arena *scratch, type_info **outputs, error *err) {
  static const step_services services = {.infer_body = infer_body};
  op_step c;
  if (!step_init(&c, n, STEP_TYPES, scratch)) return error_no_memory(err, n->input_count * sizeof *c.in_types);
  for (uint32_t i = 0; i < n->input_count; i++)
    if (n->inputs[i]) {
      c.in_types[i] = &g->values[n->inputs[i]].type;
      c.constants[i] = g->values[n->inputs[i]].constant;
    }
  *outputs = c.out_types;
  c.memory = g->memory;
  c.graph = g;
  c.services = &services;
  c.err = err;
  return step_infer(&c);
}

static sdx_status infer_one(inference *f, node *n) {
  type_info *out = NULL;
  SDX_TRY(infer_node(f->g, n, f->scratch, &out, f->err));
  for (uint32_t i = 0; i < n->output_count; i++) {
    if (!n->outputs[i]) continue;
    f->g->values[n->outputs[i]].type = out[i];
    SDX_TRY(compare(f, n, i, &out[i]));
  }
  return SDX_OK;
}

sdx_status passes_infer_node(graph *g, node *n, arena *scratch, error *err) {
  inference f = {.g = g, .scratch = scratch, .err = err};
  return infer_one(&f, n);
}

static sdx_status infer_graph(inference *f) {
  for (uint32_t i = 0; i < f->g->node_count; i++) {
    node *n = f->g->nodes[i];
    if (n->dead || !n->op) continue;
    sdx_status status = infer_one(f, n);
    if (status == SDX_OK) continue;
    node_located(n, f->err);
    error_code(f->err, "type-or-shape");
    if (!f->sink || status == SDX_NO_MEMORY) return status;
    f->sink->report(f->sink->context, false, f->err);
    error_clear(f->err);
  }
  return SDX_OK;
}

sdx_status passes_infer(graph *g, arena *scratch, const problem_sink *sink, text *warnings, bool strict, error *err) {
  inference f = {.g = g, .scratch = scratch, .sink = sink, .warnings = warnings, .strict = strict, .err = err};
  SDX_TRY(infer_graph(&f));
  warn_of_shapes(&f);
  return SDX_OK;
}
