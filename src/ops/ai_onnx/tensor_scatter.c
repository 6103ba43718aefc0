// SPDX-License-Identifier: Apache-2.0
// TensorScatter: a copy of a cache in which `update` stands from write_indices[sample] on along `axis`; mode
// circular wraps around at the end, linear must not reach it.
#include "ops/parts/move.h"

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"

typedef struct tensor_scatter_params {
  int64_t axis;
  bool circular;
} tensor_scatter_params;

static sdx_status tensor_scatter_read(op_params_context *c, void *params) {
  tensor_scatter_params *p = params;
  str mode = params_string(c, "mode");
  p->axis = params_int(c, "axis");
  p->circular = str_is(mode, "circular");
  if (p->circular || str_is(mode, "linear")) return SDX_OK;
  return params_fail(c, "mode", "is '%.*s', expected linear or circular", STR_ARG(mode));
}

static sdx_status tensor_scatter_infer(op_step *c) {
  const tensor_scatter_params *p = c->params;
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 2, -1));
  SDX_TRY(infer_rank(c, 2, 1, 1));
  if (rank < 0) return infer_same(c, 0, 0);
  SDX_TRY(infer_rank(c, 1, rank, rank));
  int64_t axis = p->axis, batch = DIM_UNKNOWN;
  SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_attribute("axis"), c->err)));
  if (axis == 0) return step_fail_at(c, at_attribute("axis"), SDX_OUT_OF_RANGE, "names the batch dimension");
  for (int d = 0; d < rank; d++) {
    int64_t dim = infer_dim(c, 0, d), part = infer_dim(c, 1, d);
    if (d != axis) SDX_TRY(infer_agree(c, 1, d, "as in input 0", &dim));
    else if (dim >= 0 && part > dim)
      return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "has %lld rows, but the cache has room for %lld",
                          (long long)part, (long long)dim);
  }
  SDX_TRY(infer_agree(c, 0, 0, "batch", &batch));
  SDX_TRY(infer_agree(c, 2, 0, "batch", &batch));
  return infer_same(c, 0, 0);
}

static sdx_status tensor_scatter_compute(op_step *c) {
  const tensor_scatter_params *p = c->params;
  tensor cache, update, out;
  const tensor *indices = step_in(c, 2);
  SDX_TRY(move_input(c, 0, &cache));
  SDX_TRY(move_input(c, 1, &update));
  SDX_TRY(move_output(c, 0, &out));
  int64_t axis = p->axis < 0 ? p->axis + cache.rank : p->axis, room = cache.dims[axis], rows = update.dims[axis];
  size_t prefixes = 1, of_sample, row = move_width(&cache);
  for (int64_t d = 0; d < axis; d++) prefixes *= (size_t)cache.dims[d];
  for (size_t d = (size_t)axis + 1; d < cache.rank; d++) row *= (size_t)cache.dims[d];
  of_sample = cache.dims[0] ? prefixes / (size_t)cache.dims[0] : 1;
  for (size_t i = 0; indices && i < indices->count; i++) {
    int64_t at = ((const int64_t *)indices->data)[i];
    if (at < 0 || (!p->circular && at > room - rows))
      return step_fail_at(c, at_input(2), SDX_OUT_OF_RANGE, "is %lld at %zu: %lld rows do not fit into %lld",
                          (long long)at, i, (long long)rows, (long long)room);
  }
  if (out.count == 0) return SDX_OK;
  if (out.data != cache.data) move_bytes(c, out.data, cache.data, out.count * move_width(&out));
  for (size_t i = 0; rows && i < prefixes; i++) {
    int64_t at = indices ? ((const int64_t *)indices->data)[i / of_sample] % room : 0;
    const char *from = (const char *)update.data + i * (size_t)rows * row;
    char *to = (char *)out.data + i * (size_t)room * row;
    size_t first = (size_t)i64_min(rows, room - at);  // rows before the wrap
    memcpy(to + (size_t)at * row, from, first * row);
    memcpy(to, from + first * row, ((size_t)rows - first) * row);
  }
  move_finish(c, 0, &out);
  return call_check(c);
}

SDX_CASES = {"past_cache=float[2,3,5,4] update=float[2,3,2,4]", "past_cache=int4[2,7] update=int4[2,3] axis=1", NULL};

SDX_OP(TensorScatter) = {
    .since = 24,
    .versions = "24",
    .inputs = "past_cache:T update:T write_indices:int64?",
    .outputs = "present_cache:T",
    .types = "T=any",
    .attrs = "axis:int=-2 mode:string=linear",
    .flags = OP_MOVES_DATA | OP_INPLACE,
    .params_size = sizeof(tensor_scatter_params),
    .params = tensor_scatter_read,
    .infer = tensor_scatter_infer,
    .compute = tensor_scatter_compute,
    .cases = cases,
};
