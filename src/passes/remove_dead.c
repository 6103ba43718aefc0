// SPDX-License-Identifier: Apache-2.0
// Removes nodes nobody reads: walking backwards from the outputs marks what is needed.
#include "passes/passes.h"

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  bool *needed = arena_array(c->scratch, g->value_count, sizeof *needed);
  if (!needed) return error_no_memory(c->err, g->value_count);
  for (uint32_t i = 0; i < g->output_count; i++) needed[g->outputs[i]] = true;
  for (uint32_t k = g->node_count; k-- > 0;) {
    node *n = g->nodes[k];
    if (n->dead) continue;
    bool read = false;
    for (uint32_t i = 0; i < n->output_count; i++) read |= n->outputs[i] && needed[n->outputs[i]];
    if (!read) {
      n->dead = c->changed = true;
      continue;
    }
    for (uint32_t i = 0; i < n->input_count; i++) needed[n->inputs[i]] = true;
    for (uint32_t i = 0; i < n->capture_count; i++) needed[n->captures[i]] = true;
  }
  return SDX_OK;
}

const pass_def pass_remove_dead = {
    .name = "remove_dead", .help = "drops nodes whose results nobody reads", .level = 1, .run = run};
