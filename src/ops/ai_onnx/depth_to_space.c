// SPDX-License-Identifier: Apache-2.0
// DepthToSpace and SpaceToDepth: blocks of pixels to channels and back. DepthToSpace-11 and SpaceToDepth-28
// added `mode`.
#include "base/size.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

typedef struct block_params {
  int64_t size;
  bool columns_first;
} block_params;  // mode CRD

static sdx_status depth_to_space_read(op_params_context *c, void *p) {
  block_params *out = p;
  str mode = params_string(c, "mode");
  *out = (block_params){params_int(c, "blocksize"), str_is(mode, "CRD")};
  if (out->size <= 0 || out->size > INT32_MAX)
    return params_fail(c, "blocksize", "is %lld, expected a positive number", (long long)out->size);
  if (!out->columns_first && !str_is(mode, "DCR"))
    return params_fail(c, "mode", "is '%.*s', expected DCR or CRD", STR_ARG(mode));
  return SDX_OK;
}

static sdx_status block_infer(op_step *c, bool to_space) {
  SDX_TRY(infer_need(c, 0));
  SDX_TRY(infer_rank(c, 0, 4, 4));
  if (infer_rank_of(c, 0) < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  const int64_t *in = c->in_types[0]->dims;
  int64_t b = ((const block_params *)c->params)->size, dims[4] = {in[0], DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN};
  for (int i = 1; i < 4; i++) {
    if (in[i] < 0) continue;
    bool divides = (i == 1) == to_space;
    int64_t factor = i == 1 ? b * b : b;
    if (divides && in[i] % factor)
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld in dimension %d, expected a multiple of %lld",
                          (long long)in[i], i, (long long)factor);
    if (divides) dims[i] = in[i] / factor;
    else if (!i64_mul(in[i], factor, &dims[i]))
      return step_fail(c, SDX_INVALID_SHAPE, "dimension %d of the output does not fit 64 bits", i);
  }
  return infer_output(c, 0, infer_dtype_of(c, 0), 4, dims);
}
static sdx_status depth_to_space_infer(op_step *c) { return block_infer(c, true); }
static sdx_status space_to_depth_infer(op_step *c) { return block_infer(c, false); }

// Both are one box of rank 6: batch, channel, row, row in block, column, column in block. `space` has
// the larger image, `depth` the more channels.
static sdx_status block_compute(op_step *c, bool to_space) {
  const block_params *p = c->params;
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  if (y->count == 0) return SDX_OK;
  size_t at[4];  // of batch, channels, rows and columns
  for (size_t i = 0; i < 4; i++) at[i] = layout_axis((layout)c->layout, 4, i);
  const tensor *space = to_space ? y : x, *depth = to_space ? x : y;
  int64_t b = p->size, s[4], d[4];  // steps
  move_strides(space->dims, 4, s);
  move_strides(depth->dims, 4, d);
  int64_t channels = space->dims[at[1]], step = d[at[1]];
  int64_t channel_step = p->columns_first ? b * b * step : step;
  int64_t offset_step = p->columns_first ? step : channels * step;  // of the offset in the block, depth side
  strided box = {.rank = 6, .dims = {space->dims[0], channels, depth->dims[at[2]], b, depth->dims[at[3]], b}};
  int64_t space_steps[6] = {s[0], s[at[1]], b * s[at[2]], s[at[2]], b * s[at[3]], s[at[3]]};
  int64_t depth_steps[6] = {d[0], channel_step, d[at[2]], b * offset_step, d[at[3]], offset_step};
  memcpy(box.from, to_space ? depth_steps : space_steps, sizeof depth_steps);
  memcpy(box.to, to_space ? space_steps : depth_steps, sizeof space_steps);
  move_strided(c, &box, move_width(x), x->data, y->data);
  return SDX_OK;
}
static sdx_status depth_to_space_compute(op_step *c) { return block_compute(c, true); }
static sdx_status space_to_depth_compute(op_step *c) { return block_compute(c, false); }

static const char *const depth_to_space_cases[] = {"input=float[2,8,3,4] blocksize=2",
                                                   "input=float[1,18,2,3] blocksize=3 mode=CRD",
                                                   "input=float[1,4,2,0] blocksize=2", NULL};

SDX_OP(DepthToSpace) = {
    .since = 28,
    .versions = "28 13 11 1",
    .inputs = "input:T",
    .outputs = "output:T",
    .types = "T=" TYPES_TENSOR,
    .attrs = "blocksize:int! mode:string=DCR",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(block_params),
    .params = depth_to_space_read,
    .infer = depth_to_space_infer,
    .layouts = layouts_follow,
    .compute = depth_to_space_compute,
    .cases = depth_to_space_cases,
};

static const char *const space_to_depth_cases[] = {
    "input=float[2,3,4,6] blocksize=2", "input=float[1,1,6,3] blocksize=3", "input=float[1,2,0,2] blocksize=2", NULL};

SDX_OP(SpaceToDepth) = {
    .since = 28,
    .versions = "28 13 1",
    .inputs = "input:T",
    .outputs = "output:T",
    .types = "T=" TYPES_TENSOR,
    .attrs = "blocksize:int! mode:string=DCR",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(block_params),
    .params = depth_to_space_read,
    .infer = space_to_depth_infer,
    .layouts = layouts_follow,
    .compute = space_to_depth_compute,
    .cases = space_to_depth_cases,
};
