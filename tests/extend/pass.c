// SPDX-License-Identifier: Apache-2.0
// Neg(Neg(x)) is x.
#include "passes/match.h"

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  value_id *instead = arena_array(c->scratch, g->value_count, sizeof *instead);
  if (!instead) return error_no_memory(c->err, g->value_count * sizeof *instead);
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *outer = g->nodes[i], *inner = match_is(outer, "Neg") ? match_producer(g, outer->inputs[0]) : NULL;
    if (!inner || !match_is(inner, "Neg")) continue;
    instead[outer->outputs[0]] = inner->inputs[0];
    outer->dead = c->changed = true;
  }
  if (c->changed) graph_replace_many(g, instead);
  return SDX_OK;
}

const pass_def pass_double_negation = {
    .name = "double_negation", .help = "drops two negations in a row", .level = 1, .run = run};
