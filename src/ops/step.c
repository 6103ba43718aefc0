// SPDX-License-Identifier: Apache-2.0
// Steps: their tables, and running an operator's infer and prepare, the same for the whole-graph pass, the planner and
// the executor. Errors that shared functions set lack the node: it is added here.
#include "ops/step.h"

#include <stdarg.h>

#include "ops/schema.h"

bool step_tables(op_step *c, unsigned parts) {
  arena *a = c->memory;
  size_t inputs = c->input_count + 1, outputs = c->output_count + 1;
  if (parts & STEP_TYPES) {
    c->in_types = arena_array(a, inputs, sizeof *c->in_types);
    c->out_types = arena_array(a, outputs, sizeof *c->out_types);
    c->constants = arena_array(a, inputs, sizeof *c->constants);
    if (!c->in_types || !c->out_types || !c->constants) return false;
  }
  if (parts & STEP_VALUES) {
    c->in = arena_array(a, inputs, sizeof *c->in);
    c->out = arena_array(a, outputs, sizeof *c->out);
    c->packable = arena_array(a, inputs, sizeof *c->packable);
    c->captures = arena_array(a, c->node->capture_count + 1, sizeof *c->captures);
    if (!c->in || !c->out || !c->packable || !c->captures) return false;
  }
  return true;
}

bool step_init(op_step *c, const node *n, unsigned parts, arena *memory) {
  *c = (op_step){.compute = n->op ? n->op->compute : NULL,
                 .node = n,
                 .params = n->params,
                 .input_count = n->input_count,
                 .output_count = n->output_count,
                 .memory = memory};
  return step_tables(c, parts);
}

// Adds the element type of one more value to a word of them; false: it is not known, or there is no room.
static bool add_type(uint64_t *types, unsigned *count, const type_info *t) {
  if (*count == sizeof *types || (t && (t->kind != TYPE_TENSOR || t->dtype == SDX_UNDEFINED))) return false;
  *types |= (uint64_t)(t ? t->dtype + 1 : 1) << 8 * (*count)++;
  return true;
}

// Schemas are texts: with the same element types as before they are not walked again.
sdx_status step_infer(op_step *c) {
  const op_def *op = c->node->op;
  for (size_t i = 0; i < c->output_count; i++) c->out_types[i] = (type_info){.kind = TYPE_UNKNOWN, .rank = -1};
  if (!op || !op->infer) return SDX_OK;
  uint64_t types = 0, accepted = atomic_load_explicit(&c->node->accepted, memory_order_relaxed);
  unsigned count = 0;
  bool brief = true;
  for (size_t i = 0; brief && i < c->input_count; i++) brief = add_type(&types, &count, c->in_types[i]);
  bool same = brief && count && types == (accepted & UINT64_MAX >> 8 * (sizeof types - count));
  sdx_status status = same ? SDX_OK : schema_check_types(op, c->node, c->input_count, c->in_types, c->err);
  if (status == SDX_OK) status = op->infer(c);
  for (size_t i = 0; brief && i < c->output_count; i++) brief = add_type(&types, &count, &c->out_types[i]);
  same = same && brief && types == accepted;
  if (status == SDX_OK && !same) {
    status = schema_check_results(op, c->node, c->output_count, c->out_types, c->err);
    if (status == SDX_OK && brief) atomic_store_explicit(&((node *)c->node)->accepted, types, memory_order_relaxed);
  }
  if (status != SDX_OK && status != SDX_NO_MEMORY) error_code(c->err, "type-or-shape");
  return step_located(c, status);
}

sdx_status step_prepare(op_step *c) { return c->node->op->prepare ? step_located(c, c->node->op->prepare(c)) : SDX_OK; }

sdx_status step_axis(op_step *c, int64_t *axis, size_t rank, error_part part) {
  SDX_TRY(axis_normalize(axis, rank, part, c->err));
  *axis = (int64_t)layout_axis((layout)c->layout, rank, (size_t)*axis);
  return SDX_OK;
}

sdx_status step_located(op_step *c, sdx_status status) {
  if (status != SDX_OK) node_located(c->node, c->err);
  return status;
}

sdx_status step_fail(op_step *c, sdx_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  node_fail_list(c->node, c->err, (error_part){0}, status, format, args);
  va_end(args);
  return status;
}

sdx_status step_fail_at(op_step *c, error_part part, sdx_status status, const char *format, ...) {
  va_list args;
  va_start(args, format);
  node_fail_list(c->node, c->err, part, status, format, args);
  va_end(args);
  return status;
}
