// SPDX-License-Identifier: Apache-2.0
// Operators that hold graphs: cond, while_loop, scan, map, and those that only wrap one (pt2.h).
#include <stdio.h>
#include <string.h>

#include "convert/pt2.h"

enum { MOST_VALUES = 128 };

typedef struct values {
  pt2_value at[MOST_VALUES];
  size_t count;
} values;

static const json_t *graph_at(pt2_op *op, size_t index) {
  const json_t *graph = json_object_get(json_object_get(pt2_arg_at(op, index), "as_graph"), "graph");
  if (!graph) net_fail(op->n, SDX_INVALID_MODEL, NULL, "its argument %zu is no graph", index);
  return graph;
}

static bool add_value(pt2_op *op, values *list, const json_t *argument) {
  if (list->count == MOST_VALUES) return !net_fail(op->n, SDX_LIMIT_EXCEEDED, NULL, "more than %d values", MOST_VALUES);
  const char *name = pt2_argument_name(argument);
  pt2_value *v = *name ? pt2_find(op->p, name) : NULL;
  pt2_value made = {0};
  if (!v) made.tensor = pt2_argument(op, argument);
  list->at[list->count++] = v ? *v : made;
  return !convert_failed(op->p->c);
}

// A list of tensors, or one argument.
static bool add_values(pt2_op *op, values *list, const json_t *argument) {
  const json_t *items = json_object_get(argument, "as_tensors");
  if (!items) items = json_object_get(argument, "as_sym_ints");
  if (!items && json_object_get(argument, "as_ints")) return json_array_size(json_object_get(argument, "as_ints")) == 0;
  if (!items) return json_object_get(argument, "as_none") || add_value(op, list, argument);
  for (size_t i = 0; i < json_array_size(items); i++)
    if (!add_value(op, list, json_array_get(items, i))) return false;
  return true;
}

// Emits a graph with its inputs set to values; what it gives. `g`: the graph of ONNX that it goes to.
static bool run_graph(pt2_op *op, const json_t *graph, sdx_graph *g, const values *in, net_tensor *out, size_t *count) {
  pt2 *p = op->p;
  const json_t *inputs = json_object_get(graph, "inputs"), *outputs = json_object_get(graph, "outputs");
  pt2_scope scope = {.around = p->scope, .graph = graph, .depth = p->scope->depth + 1};
  sdx_graph *around = p->c->graph;
  str_map_init(&scope.names, p->c->memory);
  if (scope.depth > PT2_DEPTH)
    return !net_fail(op->n, SDX_LIMIT_EXCEEDED, NULL, "bodies within more than %d others", PT2_DEPTH);
  if (json_array_size(inputs) > in->count)
    return !net_fail(op->n, SDX_INVALID_MODEL, NULL, "a body with %zu inputs, of which %zu are given",
                     json_array_size(inputs), in->count);
  for (size_t i = 0; i < json_array_size(inputs); i++) {
    const char *name = pt2_argument_name(json_array_get(inputs, i));
    if (*name && !pt2_bind(p, &scope, name, in->at[i])) return false;
  }
  p->c->graph = g;
  bool good = pt2_run_graph(p, &scope);
  pt2_scope *outside = p->scope;
  p->scope = &scope;
  for (*count = 0; good && *count < json_array_size(outputs); ++*count) {
    if (*count == MOST_VALUES) good = !net_fail(op->n, SDX_LIMIT_EXCEEDED, NULL, "more than %d results", MOST_VALUES);
    else good = (out[*count] = pt2_argument(op, json_array_get(outputs, *count))).ref != 0;
  }
  p->scope = outside;
  p->c->graph = around;
  return good;
}

static void add_result(pt2_op *op, sdx_graph *g, net_tensor value, size_t index) {
  char *name = arena_format(op->p->c->memory, "%s/result_%zu_%zu", op->n->layer, index, op->p->names_made++);
  if (name) sdx_graph_add_output(g, value.ref, &(sdx_io){.name = name, .dtype = value.dtype});
  else convert_no_memory(op->p->c);
}

// The results of a node of several, of the ranks that are declared.
static void take_results(pt2_op *op, sdx_ref first, size_t skip) {
  for (size_t i = 0; i < op->out_count; i++) {
    pt2_value y;
    if (!*pt2_argument_name(op->outputs[i])) y = (pt2_value){0};
    else if (!pt2_result(op, i, &y)) return;
    op->out[i] = y.tensor;
    op->out[i].ref = i + skip == 0 ? first : sdx_graph_add_node_output(op->p->c->graph);
  }
}

// ---- cond -------------------------------------------------------------------------------------------

static sdx_graph *branch(pt2_op *op, const json_t *graph, const values *in) {
  sdx_graph *g = sdx_graph_create(op->p->c->graph);
  net_tensor out[MOST_VALUES];
  size_t count;
  if (!run_graph(op, graph, g, in, out, &count)) return NULL;
  if (count != op->out_count) return net_fail(op->n, SDX_INVALID_MODEL, NULL, "a branch of %zu results", count), NULL;
  for (size_t i = 0; i < count; i++) {
    sdx_graph *around = op->p->c->graph;
    op->p->c->graph = g;
    out[i] = net_cast(op->n, out[i], pt2_result_dtype(op, i));
    op->p->c->graph = around;
    add_result(op, g, out[i], i);
  }
  return g;
}

static void cond(pt2_op *op) {
  values *in = arena_array(op->p->c->memory, 1, sizeof *in);
  const json_t *yes = graph_at(op, 1), *no = graph_at(op, 2);
  if (!in || !yes || !no || !add_values(op, in, pt2_arg_at(op, 3))) return;
  net_tensor test = net_cast(op->n, pt2_argument(op, pt2_arg_at(op, 0)), SDX_BOOL);
  sdx_graph *then = test.ref ? branch(op, yes, in) : NULL, *other = then ? branch(op, no, in) : NULL;
  if (!other) return;
  sdx_ref y = net_node(op->n, "If", NULL, SDX_REFS(test.ref));
  take_results(op, y, 0);
  sdx_graph_set_graph(op->p->c->graph, "then_branch", then);
  sdx_graph_set_graph(op->p->c->graph, "else_branch", other);
}

// ---- loops ------------------------------------------------------------------------------------------

// Inputs of a body for values that it is given in turn; `rows`: without their first dimension.
static bool add_body_inputs(pt2_op *op, sdx_graph *g, values *in, size_t from, size_t to, bool rows, const char *what) {
  for (size_t i = from; i < to; i++) {
    net_tensor x = pt2_tensor_of(op->p, &in->at[i]);
    const char *name = arena_format(op->p->c->memory, "%s/%s_%zu", op->n->layer, what, i - from);
    if (!name || !x.ref || (rows && !x.rank)) return false;
    pt2_value inner = {.tensor = {.dtype = x.dtype, .rank = x.rank - rows}};
    for (size_t d = rows; d < x.rank; d++) {
      inner.tensor.shape[d - rows] = x.shape[d];
      inner.size[d - rows] = in->at[i].size[d];
    }
    inner.tensor.ref = sdx_graph_add_input(g, &(sdx_io){.name = name, .dtype = x.dtype});
    in->at[i] = inner;
  }
  return true;
}

static net_tensor test_of(pt2_op *op, const json_t *graph, sdx_graph *g, const values *in) {
  net_tensor out[MOST_VALUES];
  size_t count;
  if (!run_graph(op, graph, g, in, out, &count) || count != 1) return (net_tensor){0};
  return out[0];
}

static void while_loop(pt2_op *op) {
  values *in = arena_array(op->p->c->memory, 1, sizeof *in);
  const json_t *test = graph_at(op, 0), *body = graph_at(op, 1);
  sdx_ref refs[MOST_VALUES + 2] = {0};
  net_tensor out[MOST_VALUES];
  size_t carried, count;
  if (!in || !test || !body || !add_values(op, in, pt2_arg_at(op, 2))) return;
  carried = in->count;
  if (!add_values(op, in, pt2_arg_at(op, 3))) return;
  net_tensor first = test_of(op, test, op->p->c->graph, in);
  if (!first.ref) return;
  refs[1] = first.ref;
  for (size_t i = 0; i < carried; i++) refs[2 + i] = pt2_tensor_of(op->p, &in->at[i]).ref;
  sdx_graph *g = sdx_graph_create(op->p->c->graph);
  const char *trip = arena_format(op->p->c->memory, "%s/trip", op->n->layer),
             *go = arena_format(op->p->c->memory, "%s/go", op->n->layer);
  sdx_graph_add_input(g, &(sdx_io){.name = trip, .dtype = SDX_INT64, .has_shape = true});
  sdx_graph_add_input(g, &(sdx_io){.name = go, .dtype = SDX_BOOL, .has_shape = true});
  if (!add_body_inputs(op, g, in, 0, carried, false, "state") || !run_graph(op, body, g, in, out, &count)) return;
  if (count != carried || count != op->out_count) {
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "a body of %zu results for %zu values", count, carried);
    return;
  }
  for (size_t i = 0; i < carried; i++) in->at[i].tensor = out[i], in->at[i].number = NULL, in->at[i].stored = NULL;
  net_tensor next = test_of(op, test, g, in);
  if (!next.ref) return;
  add_result(op, g, next, 0);
  for (size_t i = 0; i < carried; i++) add_result(op, g, out[i], i + 1);
  take_results(op, net_node(op->n, "Loop", NULL, 2 + carried, refs), 0);
  sdx_graph_set_graph(op->p->c->graph, "body", g);
}

// Values that go on and values that are taken row by row; what a row gives is stacked.
static void scan_over(pt2_op *op, const json_t *body, values *in, size_t carried, size_t rows) {
  sdx_ref refs[MOST_VALUES];
  net_tensor out[MOST_VALUES];
  size_t count;
  for (size_t i = 0; i < carried + rows; i++) refs[i] = pt2_tensor_of(op->p, &in->at[i]).ref;
  sdx_graph *g = sdx_graph_create(op->p->c->graph);
  if (!add_body_inputs(op, g, in, 0, carried, false, "state") ||
      !add_body_inputs(op, g, in, carried, carried + rows, true, "row") || !run_graph(op, body, g, in, out, &count))
    return;
  if (count != op->out_count) {
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "a body of %zu results", count);
    return;
  }
  for (size_t i = 0; i < count; i++) add_result(op, g, out[i], i);
  take_results(op, net_node(op->n, "Scan", NULL, carried + rows, refs), 0);
  sdx_graph_set_graph(op->p->c->graph, "body", g);
  sdx_graph_set_int(op->p->c->graph, "num_scan_inputs", (int64_t)rows);
}

static void scan(pt2_op *op) {
  values *in = arena_array(op->p->c->memory, 1, sizeof *in);
  const json_t *body = graph_at(op, 0);
  size_t carried, rows;
  if (!in || !body || !add_values(op, in, pt2_arg_at(op, 1))) return;
  carried = in->count;
  if (!add_values(op, in, pt2_arg_at(op, 2))) return;
  rows = in->count - carried;
  if (rows && add_values(op, in, pt2_arg_at(op, 3))) scan_over(op, body, in, carried, rows);
}

static void map(pt2_op *op) {
  values *in = arena_array(op->p->c->memory, 1, sizeof *in);
  const json_t *body = graph_at(op, 0);
  if (!in || !body || !add_values(op, in, pt2_arg_at(op, 1))) return;
  size_t rows = in->count;
  if (rows && add_values(op, in, pt2_arg_at(op, 2))) scan_over(op, body, in, 0, rows);
}

// A graph that is run as it stands; what comes behind it are its inputs.
static void wrapped(pt2_op *op) {
  values *in = arena_array(op->p->c->memory, 1, sizeof *in);
  net_tensor out[MOST_VALUES];
  size_t at = 0, count, given = json_array_size(json_object_get(op->node, "inputs"));
  while (at < given && !json_object_get(pt2_arg_at(op, at), "as_graph")) at++;
  const json_t *body = graph_at(op, at);
  if (!in || !body) return;
  for (size_t i = at + 1; i < given; i++)
    if (!add_values(op, in, pt2_arg_at(op, i))) return;
  if (!run_graph(op, body, op->p->c->graph, in, out, &count)) return;
  for (size_t i = 0; i < count && i < op->out_count; i++) op->out[i] = out[i];
}

const pt2_kind pt2_control_kinds[] = {
    {"cond", cond, "If"},
    {"while_loop", while_loop, "Loop"},
    {"scan", scan, "Scan"},
    {"map_impl", map, "Scan"},
    {"wrap_with_set_grad_enabled", wrapped, NULL},
    {"wrap_with_autocast", wrapped, NULL},
    {"hints_wrapper", wrapped, NULL},
    {0},
};
