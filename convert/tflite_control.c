// SPDX-License-Identifier: Apache-2.0
// Control flow: subgraphs become bodies of If and Loop. A body of If reads what it needs from around it; Loop carries
// its values.
#include "convert/tflite.h"

enum { MOST_VALUES = 64 };

static bool gather_inputs(tflite_op *op, size_t from, sdx_ref *refs, size_t *count) {
  *count = op->in.count < from ? 0 : op->in.count - from;
  if (*count > MOST_VALUES || op->out.count > MOST_VALUES)
    return !tflite_fail(op, SDX_LIMIT_EXCEEDED, NULL, "more than %d values", MOST_VALUES);
  for (size_t i = 0; i < *count; i++)
    if (!(refs[i] = tflite_raw(op, from + i))) return false;
  return true;
}

static void add_results(sdx_graph *g, const char *scope, arena *memory, size_t count, const sdx_ref *refs,
                        const sdx_dtype *types) {
  for (size_t i = 0; i < count; i++) {
    char *name = arena_format(memory, "%sresult_%zu", scope, i);
    sdx_ref own = sdx_graph_add_node(g, "Identity", NULL, SDX_REFS(refs[i]));  // it may be of another graph
    sdx_graph_add_output(g, own, &(sdx_io){.name = name, .dtype = types[i]});
  }
}

static void result_types(tflite_op *op, sdx_dtype *types) {
  for (size_t i = 0; i < op->out.count && i < MOST_VALUES; i++) {
    const tflite_tensor *x = tflite_out(op, i);
    types[i] = x ? x->dtype : SDX_FLOAT;
  }
}

static void give_results(tflite_op *op, sdx_ref first) {
  for (size_t i = 0; i < op->out.count; i++) tflite_set_raw(op, i, i ? sdx_graph_add_node_output(op->g) : first);
}

static void if_then(tflite_op *op) {
  tflite *t = op->t;
  sdx_ref in[MOST_VALUES], out[MOST_VALUES], condition = tflite_raw(op, 0);
  sdx_dtype types[MOST_VALUES];
  size_t count;
  sdx_graph *bodies[2];
  if (!condition || !gather_inputs(op, 1, in, &count)) return;
  result_types(op, types);
  for (unsigned i = 0; i < 2; i++) {
    tflite_graph graph;
    char *scope = arena_format(t->c->memory, "%s/%s/", op->name, i ? "else" : "then");
    bodies[i] = sdx_graph_create(op->g);
    if (!scope || !tflite_emit_subgraph(t, (size_t)tflite_option(op, i, 4, 0), scope, bodies[i], count, in,
                                        op->out.count, out, &graph))
      return;
    add_results(bodies[i], scope, t->c->memory, op->out.count, out, types);
  }
  sdx_ref y = tflite_node(op, "If", SDX_REFS(condition));
  sdx_graph_set_graph(op->g, "then_branch", bodies[0]);
  sdx_graph_set_graph(op->g, "else_branch", bodies[1]);
  give_results(op, y);
}

// The condition before the first trip is computed around the loop, the others at the end of its body.
static void while_do(tflite_op *op) {
  tflite *t = op->t;
  sdx_ref in[MOST_VALUES + 2], values[MOST_VALUES], out[MOST_VALUES], begin, again;
  sdx_dtype types[MOST_VALUES + 1] = {SDX_BOOL};
  size_t count, condition = (size_t)tflite_option(op, 0, 4, 0), body = (size_t)tflite_option(op, 1, 4, 0);
  tflite_graph graph;
  if (!gather_inputs(op, 0, in + 2, &count)) return;
  char *scope = arena_format(t->c->memory, "%s/", op->name);
  char *before = arena_format(t->c->memory, "%s/begin/", op->name);
  if (!scope || !before) {
    convert_no_memory(t->c);
    return;
  }
  result_types(op, types + 1);
  if (!tflite_emit_subgraph(t, condition, before, op->g, count, in + 2, 1, &begin, &graph)) return;
  sdx_graph *g = sdx_graph_create(op->g);
  sdx_graph_add_input(
      g, &(sdx_io){.name = arena_format(t->c->memory, "%strip", scope), .dtype = SDX_INT64, .has_shape = true});
  sdx_graph_add_input(
      g, &(sdx_io){.name = arena_format(t->c->memory, "%sgo", scope), .dtype = SDX_BOOL, .has_shape = true});
  for (size_t i = 0; i < count; i++)
    values[i] = sdx_graph_add_input(
        g, &(sdx_io){.name = arena_format(t->c->memory, "%svalue_%zu", scope, i), .dtype = types[i + 1]});
  if (!tflite_emit_subgraph(t, body, scope, g, count, values, count, out, &graph)) return;
  char *after = arena_format(t->c->memory, "%s/again/", op->name);
  if (!after || !tflite_emit_subgraph(t, condition, after, g, count, out, 1, &again, &graph)) return;
  sdx_ref scalar = sdx_graph_add_node(g, "Reshape", NULL, SDX_REFS(again, sdx_graph_add_ints(g, 0, NULL)));
  sdx_ref results[MOST_VALUES + 1] = {scalar};
  for (size_t i = 0; i < count; i++) results[i + 1] = out[i];
  add_results(g, scope, t->c->memory, count + 1, results, types);
  in[0] = 0;
  in[1] = sdx_graph_add_node(op->g, "Reshape", NULL, SDX_REFS(begin, sdx_graph_add_ints(op->g, 0, NULL)));
  sdx_ref y = sdx_graph_add_node(op->g, "Loop", op->name, count + 2, in);
  sdx_graph_set_graph(op->g, "body", g);
  if (op->out.count != count)
    tflite_fail(op, SDX_INVALID_MODEL, NULL, "it has %zu results, expected %zu", op->out.count, count);
  else give_results(op, y);
}

const tflite_kind tflite_control_kinds[] = {
    {118, "IF", if_then, NULL},
    {119, "WHILE", while_do, NULL},
    {0},
};
