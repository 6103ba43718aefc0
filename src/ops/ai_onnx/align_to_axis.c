// SPDX-License-Identifier: Apache-2.0
// AlignToAxis: our own helper for models of opset 1 to 6, whose binary operators could say at which
// dimension of A the shape of B starts. It puts ones behind B's shape, so that numpy broadcasting
// lines B up: B [3], A [2,3,4,5], axis 1 -> B [3,1,1]. A B that does not fit there keeps its shape.
#include "ops/infer.h"

typedef struct align_params {
  int64_t axis;
} align_params;

static sdx_status align_to_axis_read(op_params_context *c, void *params) {
  ((align_params *)params)->axis = params_int(c, "axis");
  return SDX_OK;
}

static sdx_status align_to_axis_infer(op_step *c) {
  int64_t axis = ((const align_params *)c->params)->axis, dims[TENSOR_MAX_RANK];
  int b = infer_rank_of(c, 0), a = infer_rank_of(c, 1);
  if (b < 0 || a < 0 || a > TENSOR_MAX_RANK) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  if (axis < 0 || axis > a - b) return infer_same(c, 0, 0);
  int rank = a - (int)axis;
  for (int i = 0; i < rank; i++) dims[i] = i < b ? c->in_types[0]->dims[i] : 1;
  return infer_output(c, 0, infer_dtype_of(c, 0), rank, dims);
}

static sdx_status align_to_axis_compute(op_step *c) {
  tensor *out = step_out(c, 0);
  if (out && out->data != step_in(c, 0)->data && out->bytes) memcpy(out->data, step_in(c, 0)->data, out->bytes);
  return SDX_OK;
}

SDX_CASES = {"B=float[3] A=float[2,3,4] axis=1", "B=float[] A=float[2,3] axis=0", "B=double[3] A=double[3] axis=0",
             NULL};

SDX_OP_OLD(AlignToAxis) = {.since = 1,
                           .versions = "1",
                           .inputs = "B:T A:T",
                           .outputs = "C:T",
                           .types = "T=any",
                           .attrs = "axis:int!",
                           .flags = OP_VIEW | OP_MOVES_DATA,
                           .params_size = sizeof(align_params),
                           .params = align_to_axis_read,
                           .infer = align_to_axis_infer,
                           .compute = align_to_axis_compute,
                           .cases = cases};
