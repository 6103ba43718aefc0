// SPDX-License-Identifier: Apache-2.0
// Gradient (ai.onnx.preview.training): the derivative of the sum of a tensor `y` of the graph by the tensors `xs`,
// written out at import as ordinary nodes by reverse-mode differentiation. The nodes between xs, zs and y are found,
// copied where other tensors are fed for xs and zs than the named ones, and walked backwards; a rule per operator says
// what the derivative by its outputs gives its inputs (parts/gradient.h).
#include "ops/parts/gradient.h"
#include "base/size.h"
#include "ops/schema.h"

typedef struct reverse {
  op_upgrade *u;
  arena memory;
  node **order;  // inputs before readers
  size_t count;
  value_id values;    // as many as the tables below know; younger ones are ours
  value_id *image;    // what stands for a value when xs and zs are fed
  value_id *adjoint;  // derivative of y by it, 0 while nothing reached it
  uint8_t *active;    // depends on one of xs
} reverse;

static sdx_status find_value(op_upgrade *u, str name, const char *what, value_id *out) {
  *out = graph_find(u->graph, name);
  if (*out) return SDX_OK;
  return upgrade_fail_at(u, at_attribute(what), SDX_INVALID_GRAPH, "names '%.*s', which is no tensor of this graph",
                         STR_ARG(name));
}

// The nodes that compute y, inputs before readers; not beyond what is fed.
static sdx_status find_order(reverse *r, value_id y) {
  const graph *g = r->u->graph;
  typedef struct visit {
    node *n;
    uint32_t next;
  } visit;
  visit *stack = arena_array(&r->memory, (size_t)g->node_count + 1, sizeof *stack);
  r->order = arena_array(&r->memory, (size_t)g->node_count + 1, sizeof *r->order);
  uint8_t *seen = arena_array(&r->memory, (size_t)g->node_count + 1, sizeof *seen);
  if (!stack || !r->order || !seen) return error_no_memory(r->u->err, g->node_count * sizeof *stack);
  size_t depth = 0;
  value_id next = y;
  for (;;) {
    uint32_t producer = next && !r->image[next] ? g->values[next].producer : 0;
    if (producer && producer <= g->node_count && !seen[producer]) {
      seen[producer] = 1;
      stack[depth++] = (visit){g->nodes[producer - 1], 0};
    }
    if (!depth) return SDX_OK;
    visit *top = &stack[depth - 1];
    uint32_t i = top->next++;
    const node *n = top->n;
    next = VALUE_ABSENT;
    if (i < n->input_count) next = n->inputs[i];
    else if (i < n->input_count + n->capture_count) next = n->captures[i - n->input_count];
    else r->order[r->count++] = stack[--depth].n;
  }
}

static value_id image_of(const reverse *r, value_id v) { return v && r->image[v] ? r->image[v] : v; }

static bool touches(const reverse *r, const value_id *at, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (at[i] && image_of(r, at[i]) != at[i]) return true;
  return false;
}

// Nodes that read what is replaced, once more.
static sdx_status copy_nodes(reverse *r) {
  op_upgrade *u = r->u;
  for (size_t k = 0; k < r->count; k++) {
    const node *n = r->order[k];
    for (uint32_t i = 0; i < n->output_count; i++)
      for (uint32_t j = 0; j < n->input_count + n->capture_count; j++) {
        value_id v = j < n->input_count ? n->inputs[j] : n->captures[j - n->input_count];
        if (n->outputs[i] && v && r->active[v]) r->active[n->outputs[i]] = 1;
      }
    if (touches(r, n->captures, n->capture_count))
      return upgrade_fail(u, SDX_NOT_SUPPORTED, "%.*s '%.*s' cannot be computed with other tensors",
                          STR_ARG(n->op_type), STR_ARG(n->name));
    if (!touches(r, n->inputs, n->input_count)) continue;
    value_id *in = arena_array(&r->memory, (size_t)n->input_count + 1, sizeof *in);
    value_id *out = arena_array(&r->memory, (size_t)n->output_count + 1, sizeof *out);
    if (!in || !out) return error_no_memory(u->err, n->input_count * sizeof *in);
    for (uint32_t i = 0; i < n->input_count; i++) in[i] = image_of(r, n->inputs[i]);
    for (uint32_t i = 0; i < n->output_count; i++) {
      if (!n->outputs[i]) continue;
      out[i] = graph_add_value(u->graph, STR(""));
      if (!out[i]) return error_no_memory(u->err, sizeof(graph_value));
      r->image[n->outputs[i]] = out[i];
    }
    node *copy = graph_add_node(u->graph, n->domain, n->op_type, n->input_count, in, n->output_count, out, u->err);
    if (!copy) return u->err->status;
    copy->name = n->name;
    for (uint32_t i = 0; i < n->attr_count; i++)
      if (node_set_attr(u->graph, copy, n->attrs[i]) != SDX_OK) return error_no_memory(u->err, sizeof(attr));
  }
  return SDX_OK;
}

static sdx_status walk_back(reverse *r) {
  op_upgrade *u = r->u;
  for (size_t k = r->count; k-- > 0 && u->err->status == SDX_OK;) {
    const node *n = r->order[k];
    size_t inputs = n->input_count, outputs = n->output_count;
    value_id *at = arena_array(&r->memory, inputs + 2 * outputs + 1, sizeof *at);
    if (!at) return error_no_memory(u->err, inputs * sizeof *at);
    gradient_step s = {.u = u,
                       .memory = &r->memory,
                       .n = n,
                       .active = r->active,
                       .adjoint = r->adjoint,
                       .in = at,
                       .out = at + inputs,
                       .dy = at + inputs + outputs};
    bool reached = false;
    for (size_t i = 0; i < inputs; i++) s.in[i] = image_of(r, n->inputs[i]);
    for (size_t i = 0; i < outputs; i++) {
      value_id v = n->outputs[i];
      s.out[i] = image_of(r, v);
      s.dy[i] = v && r->active[v] ? r->adjoint[v] : VALUE_ABSENT;
      reached = reached || s.dy[i];
    }
    if (!reached) continue;
    const gradient_rule *rule = gradient_find_rule(n);
    if (!rule)
      return upgrade_fail(u, SDX_NOT_SUPPORTED,
                          "the derivative of operator %.*s (node '%.*s'), which is between 'xs' and 'y', is not known",
                          STR_ARG(n->op_type), STR_ARG(n->name));
    s.op_type = rule->op_type;
    gradient_apply(rule, &s);
  }
  return u->err->status;
}

static sdx_status expand_in(reverse *r, const attr *xs, const attr *zs, value_id *grads) {
  op_upgrade *u = r->u;
  size_t count = xs->strings.count, fed = count + (zs ? zs->strings.count : 0);
  value_id *ids = arena_array(&r->memory, fed + 1, sizeof *ids), y;
  r->values = u->graph->value_count;
  r->image = arena_array(&r->memory, r->values, sizeof *r->image);
  r->adjoint = arena_array(&r->memory, r->values, sizeof *r->adjoint);
  r->active = arena_array(&r->memory, r->values, sizeof *r->active);
  if (!ids || !r->image || !r->adjoint || !r->active) return error_no_memory(u->err, r->values * sizeof *ids);
  for (size_t i = 0; i < fed; i++) {
    SDX_TRY(find_value(u, i < count ? xs->strings.at[i] : zs->strings.at[i - count], i < count ? "xs" : "zs", &ids[i]));
    r->image[ids[i]] = input(u, i);
    if (i < count) r->active[ids[i]] = 1;
  }
  SDX_TRY(find_value(u, node_attr(u->node, "y")->s, "y", &y));
  SDX_TRY(find_order(r, y));
  SDX_TRY(copy_nodes(r));
  r->adjoint[y] = filled_like(u, 1, image_of(r, y));
  SDX_TRY(walk_back(r));
  for (size_t i = 0; i < count; i++)
    grads[i] = r->adjoint[ids[i]] ? r->adjoint[ids[i]] : filled_like(u, 0, input(u, i));
  return u->err->status;
}

static sdx_status gradient_upgrade(op_upgrade *u) {
  node *n = u->node;
  const attr *xs = node_attr(n, "xs"), *zs = node_attr(n, "zs");
  size_t count = xs->strings.count, fed = count + (zs ? zs->strings.count : 0);
  if (fed != n->input_count || count < n->output_count || !n->output_count)
    return upgrade_fail(u, SDX_INVALID_GRAPH,
                        "'xs' and 'zs' name %zu tensors and 'xs' %zu, but the node has %u inputs and %u outputs", fed,
                        count, n->input_count, n->output_count);
  for (uint32_t i = 0; i < n->input_count; i++)
    if (!n->inputs[i]) return upgrade_fail_at(u, at_input(i), SDX_INVALID_GRAPH, "is left out");
  reverse r = {.u = u};
  arena_init(&r.memory, u->graph->memory->account);
  value_id *grads = arena_array(&r.memory, count, sizeof *grads);
  sdx_status status = grads ? expand_in(&r, xs, zs, grads) : error_no_memory(u->err, count * sizeof *grads);
  uint32_t last = n->output_count - 1;  // trailing outputs that are not wanted are gone by now
  for (uint32_t i = 0; status == SDX_OK && i < last; i++) give_output(u, i, grads[i]);
  if (status == SDX_OK) {
    n->outputs[0] = n->outputs[last];
    n->output_count = 1;
    status = become1(u, "Identity", grads[last]);
  }
  arena_deinit(&r.memory);
  return status;
}

SDX_OP_TRAINING(Gradient) = {
    .since = 1,
    .versions = "1",
    .inputs = "Inputs:T1+",
    .outputs = "Outputs:T2+",
    .types = "T1=any;T2=float16,float,double",
    .attrs = "xs:strings! y:string! zs:strings",
    .flags = OP_REWRITE | OP_LATE,
    .upgrade = gradient_upgrade,
};
