// SPDX-License-Identifier: Apache-2.0
// Removes nodes that hand their input through: Identity, Dropout without a read mask, Cast to the
// same type, Reshape/Flatten/Expand/... to the shape the input has anyway, Transpose that keeps the
// order, Concat, Sum, Max, ... of one input.
#include <string.h>

#include "passes/match.h"

static bool keeps_order(const graph *g, const node *n) {
  const attr *perm = node_attr(n, "perm");
  const type_info *t = &g->values[n->inputs[0]].type;
  if (!perm) return t->kind == TYPE_TENSOR && (t->rank == 0 || t->rank == 1);
  for (size_t i = 0; i < perm->ints.count; i++)
    if (perm->ints.at[i] != (int64_t)i) return false;
  return true;
}

// At inference, unless an input may ask for training; a mask that somebody reads must be made.
static bool idle_dropout(const graph *g, const node *n, const uint32_t *uses) {
  const tensor *training = n->input_count > 2 ? g->values[n->inputs[2]].constant : NULL;
  bool trains = n->input_count > 2 && n->inputs[2] &&
                !(training && training->dtype == SDX_BOOL && training->count == 1 && !*(const uint8_t *)training->data);
  return !trains && (n->output_count < 2 || uses[n->outputs[1]] == 0);
}

static bool hands_through(const graph *g, const node *n, const uint32_t *uses) {
  const type_info *in = &g->values[n->inputs[0]].type, *out = &g->values[n->outputs[0]].type;
  if (*n->op->domain) return false;
  if (str_is(n->op_type, "Identity")) return true;
  if (str_is(n->op_type, "Dropout")) return idle_dropout(g, n, uses);
  if (str_is(n->op_type, "Cast") || str_is(n->op_type, "CastLike")) return in->dtype && in->dtype == out->dtype;
  if (str_is(n->op_type, "Concat") || str_is(n->op_type, "Sum") || str_is(n->op_type, "Max") ||
      str_is(n->op_type, "Min") || str_is(n->op_type, "Mean"))
    return n->input_count == 1;
  if (str_is(n->op_type, "Transpose")) return keeps_order(g, n);
  return ((n->op->flags & OP_VIEW) || str_is(n->op_type, "Expand")) && in->dtype == out->dtype &&
         match_same_shape(in, out);
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  // Replacing uses one by one would be quadratic: collect where each value is handed to, then walk once.
  value_id *instead = arena_array(c->scratch, g->value_count, sizeof *instead);
  uint32_t *uses = graph_count_uses(g, c->scratch);
  if (!instead || !uses) return error_no_memory(c->err, g->value_count * sizeof *instead);
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *n = g->nodes[i];
    if (n->dead || !n->op || n->input_count < 1 || n->output_count < 1 || !n->inputs[0] || !n->outputs[0]) continue;
    if (!hands_through(g, n, uses)) continue;
    instead[n->outputs[0]] = instead[n->inputs[0]] ? instead[n->inputs[0]] : n->inputs[0];
    n->dead = c->changed = true;
  }
  if (c->changed) graph_replace_many(g, instead);
  return SDX_OK;
}

const pass_def pass_eliminate = {
    .name = "eliminate", .help = "drops nodes that hand their input through", .level = 1, .run = run};
