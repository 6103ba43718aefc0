// SPDX-License-Identifier: Apache-2.0
// What records share that work in any layout; see layout.h. Inputs of a rank below 3 (axes, sizes, statistics) have one
// layout and may be said to follow like the others.
#include "ops/layout.h"

#include "ops/step.h"

void layouts_follow(op_step *c, step_layouts *l) {
  for (uint32_t i = 0; i < c->input_count; i++)
    if (c->in_types[i] && !layout_fits(c->in_types[i])) return;
  for (uint32_t i = 0; i < c->output_count; i++)
    if (c->node->outputs[i] && !layout_fits(&c->out_types[i])) return;
  for (uint32_t i = 0; i < c->input_count; i++) l->in[i] = PORT_CHOSEN;
  for (uint32_t i = 0; i < c->output_count; i++) l->out[i] = PORT_CHOSEN;
}
