// SPDX-License-Identifier: Apache-2.0
// Types and shapes of every value, with symbolic dimensions, through the operators' own infer functions. What comes
// out is proved: it follows from the operators and from what the graph's inputs are held to. What the model declares
// of a result is a hint that exporters get wrong (skl2onnx: [N] for [N, 1]) and editors leave stale: another element
// type is refused, another shape gets a warning, and neither has a say here.
#include <stdio.h>

#include "passes/passes.h"

typedef struct inference {
  graph *g;
  arena *scratch;
  const problem_sink *sink;
  text *warnings;  // NULL: not wanted
  bool strict;     // a shape that differs is refused
  size_t differ;   // shapes that do; the first is described:
  char place[256], first[600];
  error *err;
} inference;

static sdx_status infer_graph(inference *f);

static sdx_status contradiction(const inference *f, const node *n, value_id v, const type_info *inferred) {
  char a[200], b[200];
  return error_set(f->err, SDX_INVALID_GRAPH, "node '%.*s' (%.*s): output '%.*s' is declared %s but comes out as %s",
                   STR_ARG(n->name), STR_ARG(n->op_type), STR_ARG(f->g->values[v].name),
                   type_describe(f->g, &f->g->values[v].declared, a, sizeof a),
                   type_describe(f->g, inferred, b, sizeof b));
}

static bool shapes_agree(const type_info *a, const type_info *b) {
  if (a->rank < 0 || b->rank < 0) return true;
  if (a->rank != b->rank) return false;
  for (int i = 0; i < a->rank; i++)
    if (a->dims[i] >= 0 && b->dims[i] >= 0 && a->dims[i] != b->dims[i]) return false;
  return true;
}

static void describe_node(const node *n, char *place, size_t size) {
  snprintf(place, size, "node '%.*s' (%.*s)", STR_ARG(n->name), STR_ARG(n->op_type));
}

static sdx_status compare(inference *f, const node *n, value_id v, const type_info *inferred) {
  const type_info *declared = &f->g->values[v].declared;
  if (declared->kind == TYPE_UNKNOWN || inferred->kind == TYPE_UNKNOWN) return SDX_OK;
  if (declared->kind != inferred->kind || (declared->dtype && inferred->dtype && declared->dtype != inferred->dtype))
    return contradiction(f, n, v, inferred);
  if (declared->kind != TYPE_TENSOR || shapes_agree(declared, inferred)) return SDX_OK;
  if (f->strict) return contradiction(f, n, v, inferred);
  char a[200], b[200];
  if (f->differ++) return SDX_OK;
  describe_node(n, f->place, sizeof f->place);
  snprintf(f->first, sizeof f->first, "output '%.*s' is declared %s but comes out as %s, which counts",
           STR_ARG(f->g->values[v].name), type_describe(f->g, declared, a, sizeof a),
           type_describe(f->g, inferred, b, sizeof b));
  return SDX_OK;
}

// One warning for all: a file that was traced at one size has a thousand such shapes.
static void warn_of_shapes(const inference *f) {
  char more[60] = "";
  if (!f->differ) return;
  if (f->differ > 1) snprintf(more, sizeof more, "; so it is with %zu more", f->differ - 1);
  if (f->sink) {
    char message[sizeof f->first + sizeof more];
    snprintf(message, sizeof message, "%s%s", f->first, more);
    f->sink->report(f->sink->context, SDX_OK, "declared-shape", f->place, message, "");
  } else if (f->warnings) {
    text_format(f->warnings, "%s: %s%s\n", f->place, f->first, more);
  }
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
    SDX_TRY(compare(f, n, n->outputs[i], &out[i]));
  }
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
    describe_node(n, place, sizeof place);
    f->sink->report(f->sink->context, status, "type-or-shape", place, f->err->message, "");
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
