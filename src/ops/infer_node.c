// SPDX-License-Identifier: Apache-2.0
// One node's type inference, shared by the whole-graph pass, the planner and the executor.
#include "ops/schema.h"

sdx_status op_infer_node(op_infer *c) {
  for (size_t i = 0; i < c->output_count; i++) c->out[i] = (type_info){.kind = TYPE_UNKNOWN, .rank = -1};
  if (!c->node->op || !c->node->op->infer) return SDX_OK;
  SDX_TRY(schema_check_types(c->node->op, c->node, c->input_count, c->in, c->err));
  SDX_TRY(c->node->op->infer(c));
  return schema_check_results(c->node->op, c->node, c->output_count, c->out, c->err);
}
