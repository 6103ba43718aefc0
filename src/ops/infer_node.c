// SPDX-License-Identifier: Apache-2.0
// One node's type inference and preparation, shared by the whole-graph pass, the planner and the executor. What fails
// while preparing, and memory that lacks anywhere, is said without the node: it is put before that here.
#include "ops/schema.h"

sdx_status op_infer_node(op_infer *c) {
  for (size_t i = 0; i < c->output_count; i++) c->out[i] = (type_info){.kind = TYPE_UNKNOWN, .rank = -1};
  if (!c->node->op || !c->node->op->infer) return SDX_OK;
  SDX_TRY(schema_check_types(c->node->op, c->node, c->input_count, c->in, c->err));
  sdx_status status = c->node->op->infer(c);
  if (status != SDX_OK) return status == SDX_NO_MEMORY ? infer_located(c, status) : status;
  return schema_check_results(c->node->op, c->node, c->output_count, c->out, c->err);
}

sdx_status op_prepare_node(op_prepare *c) {
  char place[300];
  sdx_status status = c->node->op->prepare ? c->node->op->prepare(c) : SDX_OK;
  if (status != SDX_OK) error_prefix(c->err, "%s", node_place(c->node, place, sizeof place));
  return status;
}
