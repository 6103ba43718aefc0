// SPDX-License-Identifier: Apache-2.0
// If: one of two branches, which read outer values but take no inputs. Their outputs may differ in
// shape. Only the branch taken runs. Later versions added types.
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/control.h"

typedef struct params {
  graph *branches[2];
} params;  // else, then

static sdx_status if_read(op_params_context *c, void *p) {
  static const char *const names[] = {"else_branch", "then_branch"};
  params *out = p;
  for (int i = 0; i < 2; i++) {
    graph *g = out->branches[i] = params_graph(c, names[i]);
    if (g->input_count) return params_fail(c, names[i], "has %u inputs, a branch takes none", g->input_count);
    if (g->output_count < c->node->output_count)
      return params_fail(c, names[i], "has %u outputs, the node %u", g->output_count, c->node->output_count);
  }
  if (out->branches[0]->output_count != out->branches[1]->output_count)
    return params_fail(c, names[1], "has %u outputs, 'else_branch' %u", out->branches[1]->output_count,
                       out->branches[0]->output_count);
  return SDX_OK;
}

// What holds for both; UNKNOWN where they disagree.
static sdx_status join_types(op_step *c, size_t output, const type_info *a, const type_info *b) {
  if (a->kind == TYPE_UNKNOWN || b->kind == TYPE_UNKNOWN) return SDX_OK;
  bool tensors = a->kind == TYPE_TENSOR && b->kind == TYPE_TENSOR;
  if (tensors && a->dtype && b->dtype && a->dtype != b->dtype)
    return step_fail_at(c, at_output(output), SDX_INVALID_GRAPH, "is %s in 'then_branch' and %s in 'else_branch'",
                        dtype_name((sdx_dtype)b->dtype), dtype_name((sdx_dtype)a->dtype));
  if (!tensors) {
    if (a->kind == b->kind) c->out_types[output] = *a;
    return SDX_OK;
  }
  int64_t dims[TENSOR_MAX_RANK];
  int rank = a->rank == b->rank ? a->rank : -1;
  for (int i = 0; i < rank; i++) dims[i] = a->dims[i] == b->dims[i] ? a->dims[i] : DIM_UNKNOWN;
  return infer_output(c, output, (sdx_dtype)(a->dtype ? a->dtype : b->dtype), rank, dims);
}

static sdx_status if_infer(op_step *c) {
  const params *p = c->params;
  const type_info **types[2];
  for (int i = 0; i < 2; i++) SDX_TRY(body_types(c, p->branches[i], 0, NULL, &types[i]));
  for (size_t i = 0; i < c->output_count; i++) SDX_TRY(join_types(c, i, types[0][i], types[1][i]));
  return SDX_OK;
}

static sdx_status if_compute(op_step *c) {
  const tensor *condition = step_in(c, 0);
  if (condition->count != 1)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %zu elements, expected 1", condition->count);
  graph *branch = ((const params *)c->params)->branches[*(const uint8_t *)condition->data != 0];
  sdx_value **out = call_alloc(c, (branch->output_count + 1) * sizeof *out);
  if (!out) return call_no_memory(c, branch->output_count * sizeof *out);
  SDX_TRY(body_run(c, branch, 0, NULL, out));
  sdx_status status = SDX_OK;
  for (size_t i = 0; i < c->output_count && status == SDX_OK; i++) {
    status = call_set_value(c, i, out[i]);
    out[i] = NULL;
  }
  values_release(out, branch->output_count);
  return status;
}

SDX_OP(If) = {
    .since = 25,
    .versions = "25 24 23 21 19 16 13 11 1",
    .inputs = "cond:bool",
    .outputs = "outputs:V*",
    .types = "V=any,seq,map,optional",
    .attrs = "then_branch:graph! else_branch:graph!",
    .flags = OP_CONTROL,
    .params_size = sizeof(params),
    .params = if_read,
    .infer = if_infer,
    .compute = if_compute,
};
