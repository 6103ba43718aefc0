// SPDX-License-Identifier: Apache-2.0
// Gather: whole slices of `data` along `axis` picked by index. GatherElements: one element per index.
// GatherND: index tuples. Negative indices count from the back (Gather-11, all versions here).
#include "ops/parts/move.h"

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"

typedef struct params {
  int64_t axis, batch_dims;
} params;

static sdx_status gather_read(op_params_context *c, void *p) {
  ((params *)p)->axis = params_int(c, "axis");
  return SDX_OK;
}
static sdx_status gather_nd_read(op_params_context *c, void *p) {
  ((params *)p)->batch_dims = params_int(c, "batch_dims");
  return SDX_OK;
}

// All indices as offsets in [0, n): checked before anything moves, so that inner loops need no test.
static sdx_status check_indices(op_step *c, const tensor *indices, int64_t n) {
  for (size_t i = 0; i < indices->count; i++) {
    int64_t k = tensor_index_at(indices, i);
    if (k < -n || k >= n)
      return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "is %lld at %zu, expected within [-%lld, %lld)",
                          (long long)k, i, (long long)n, (long long)n);
  }
  return SDX_OK;
}

// ---- Gather -----------------------------------------------------------------------------------------

static sdx_status gather_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  SDX_TRY(infer_rank(c, 0, 1, -1));
  int rank = infer_rank_of(c, 0), k = infer_rank_of(c, 1);
  if (rank < 0 || k < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  int64_t axis = ((const params *)c->params)->axis, dims[2 * TENSOR_MAX_RANK];
  SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_attribute("axis"), c->err)));
  int n = 0;
  for (int i = 0; i < axis; i++) dims[n++] = c->in_types[0]->dims[i];
  for (int i = 0; i < k; i++) dims[n++] = c->in_types[1]->dims[i];
  for (int i = (int)axis + 1; i < rank; i++) dims[n++] = c->in_types[0]->dims[i];
  return infer_output(c, 0, infer_dtype_of(c, 0), n, dims);
}

typedef struct gather_job {
  const tensor *indices;
  const char *from;
  char *to;
  size_t inner, axis_size;  // bytes of one slice; size of the axis
} gather_job;

// Slices number `begin` to `end` of outer x indices.
static void gather_range(void *context, size_t begin, size_t end, size_t worker) {
  const gather_job *j = context;
  size_t count = j->indices->count, outer = begin / count, i = begin % count;
  char *to = j->to + begin * j->inner;
  const char *from = j->from + outer * j->axis_size * j->inner;
  for (size_t n = begin; n < end; n++, to += j->inner) {
    int64_t k = tensor_index_at(j->indices, i);
    if (k < 0) k += (int64_t)j->axis_size;
    const char *slice = from + (size_t)k * j->inner;
    switch (j->inner) {
      case 1:
        *to = *slice;
        break;
      case 4:
        memcpy(to, slice, 4);
        break;
      case 8:
        memcpy(to, slice, 8);
        break;
      default:
        memcpy(to, slice, j->inner);
    }
    if (++i == count) {
      i = 0;
      from += j->axis_size * j->inner;
    }
  }
}

static sdx_status gather_compute(op_step *c) {
  tensor x, y;
  const tensor *indices = step_in(c, 1);
  SDX_TRY(move_input(c, 0, &x));
  SDX_TRY(move_output(c, 0, &y));
  int64_t axis = ((const params *)c->params)->axis;
  SDX_TRY(step_located(c, axis_normalize(&axis, x.rank, at_attribute("axis"), c->err)));
  SDX_TRY(check_indices(c, indices, x.dims[axis]));
  if (y.count == 0) return SDX_OK;
  size_t inner = move_width(&x), outer = 1;
  for (int64_t d = 0; d < x.rank; d++)
    if (d != axis) *(d < axis ? &outer : &inner) *= (size_t)x.dims[d];
  gather_job j = {indices, x.data, y.data, inner, (size_t)x.dims[axis]};
  call_parallel(c, outer * indices->count, inner >= 32768 ? 1 : 32768 / inner + 1, gather_range, &j);
  move_finish(c, 0, &y);
  return SDX_OK;
}

static const char *const gather_cases[] = {
    "data=float[5,4] indices=int64[2,3]@-5..4", "data=float[2,6,3] indices=int32[4]@0..5 axis=1",
    "data=float[3,4] indices=int64[]@-4..3 axis=-1", "data=float[3,4] indices=int64[0]", NULL};

SDX_OP(Gather) = {
    .since = 13,
    .versions = "13 11 1",
    .inputs = "data:T indices:Tind",
    .outputs = "output:T",
    .types = "T=any;Tind=int32,int64",
    .attrs = "axis:int=0",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(params),
    .params = gather_read,
    .infer = gather_infer,
    .compute = gather_compute,
    .cases = gather_cases,
};

// ---- GatherElements ---------------------------------------------------------------------------------

static sdx_status gather_elements_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  SDX_TRY(infer_need(c, 1));
  SDX_TRY(infer_rank(c, 0, 1, -1));
  int rank = infer_rank_of(c, 0);
  if (rank >= 0) {
    SDX_TRY(infer_rank(c, 1, rank, rank));
    int64_t axis = ((const params *)c->params)->axis;
    SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_attribute("axis"), c->err)));
    for (int d = 0; infer_rank_of(c, 1) == rank && d < rank; d++)
      if (d != axis && c->in_types[0]->dims[d] >= 0 && c->in_types[1]->dims[d] > c->in_types[0]->dims[d])
        return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "has %lld in dimension %d, over the data's %lld",
                            (long long)c->in_types[1]->dims[d], d, (long long)c->in_types[0]->dims[d]);
  }
  return infer_same_as(c, 0, 1, infer_dtype_of(c, 0));
}

static sdx_status gather_elements_compute(op_step *c) {
  tensor x, y;
  const tensor *indices = step_in(c, 1);
  SDX_TRY(move_input(c, 0, &x));
  SDX_TRY(move_output(c, 0, &y));
  int64_t axis = ((const params *)c->params)->axis, strides[TENSOR_MAX_RANK], at[TENSOR_MAX_RANK] = {0};
  SDX_TRY(step_located(c, axis_normalize(&axis, x.rank, at_attribute("axis"), c->err)));
  SDX_TRY(check_indices(c, indices, x.dims[axis]));
  move_strides(x.dims, x.rank, strides);
  size_t width = move_width(&x);
  int64_t base = 0;  // of the other dimensions
  for (size_t i = 0; i < y.count; i++) {
    int64_t k = tensor_index_at(indices, i);
    if (k < 0) k += x.dims[axis];
    memcpy((char *)y.data + i * width, (const char *)x.data + (size_t)(base + k * strides[axis]) * width, width);
    for (size_t d = x.rank; d-- > 0;) {
      if ((int64_t)d != axis) base += strides[d];
      if (++at[d] < y.dims[d]) break;
      if ((int64_t)d != axis) base -= strides[d] * at[d];
      at[d] = 0;
    }
    if ((i & 0xffff) == 0xffff) SDX_TRY(call_check(c));
  }
  move_finish(c, 0, &y);
  return SDX_OK;
}

static const char *const gather_elements_cases[] = {"data=float[3,4] indices=int64[2,4]@-3..2",
                                                    "data=float[2,3,5] indices=int32[2,3,2]@0..4 axis=2",
                                                    "data=float[6] indices=int64[9]@-6..5", NULL};

SDX_OP(GatherElements) = {
    .since = 13,
    .versions = "13 11",
    .inputs = "data:T indices:Tind",
    .outputs = "output:T",
    .types = "T=any;Tind=int32,int64",
    .attrs = "axis:int=0",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(params),
    .params = gather_read,
    .infer = gather_elements_infer,
    .compute = gather_elements_compute,
    .cases = gather_elements_cases,
};

// ---- GatherND ---------------------------------------------------------------------------------------

// Ranks and the length of the index tuples; output dims for both infer and compute.
static sdx_status nd_dims(int64_t batch, const int64_t *data, int rank, const int64_t *indices, int k, int64_t *dims,
                          int *out_rank, error *err) {
  if (batch < 0 || batch >= k || batch >= rank)
    return error_at(err, at_attribute("batch_dims"), SDX_OUT_OF_RANGE,
                    "is %lld, expected less than the ranks of both inputs (%d, %d)", (long long)batch, rank, k);
  int64_t tuple = indices[k - 1];
  if (tuple < 1 || tuple > rank - batch)
    return error_at(err, at_input(1), SDX_INVALID_SHAPE, "has tuples of %lld, expected 1 to %lld", (long long)tuple,
                    (long long)(rank - batch));
  for (int i = 0; i < batch; i++)
    if (data[i] >= 0 && indices[i] >= 0 && data[i] != indices[i])
      return error_set(err, SDX_INVALID_SHAPE, "batch dimension %d is %lld in the data and %lld in the indices", i,
                       (long long)data[i], (long long)indices[i]);
  *out_rank = 0;
  for (int i = 0; i < k - 1; i++) dims[(*out_rank)++] = indices[i];
  for (int64_t i = batch + tuple; i < rank; i++) dims[(*out_rank)++] = data[i];
  return SDX_OK;
}

static sdx_status gather_nd_infer(op_step *c) {
  SDX_TRY(infer_rank(c, 0, 1, -1));
  SDX_TRY(infer_rank(c, 1, 1, -1));
  int rank = infer_rank_of(c, 0), k = infer_rank_of(c, 1), out_rank;
  int64_t dims[2 * TENSOR_MAX_RANK];
  if (rank < 0 || k < 0 || c->in_types[1]->dims[k - 1] < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  SDX_TRY(step_located(c, nd_dims(((const params *)c->params)->batch_dims, c->in_types[0]->dims, rank,
                                  c->in_types[1]->dims, k, dims, &out_rank, c->err)));
  return infer_output(c, 0, infer_dtype_of(c, 0), out_rank, dims);
}

static sdx_status gather_nd_compute(op_step *c) {
  tensor x, y;
  const tensor *indices = step_in(c, 1);
  SDX_TRY(move_input(c, 0, &x));
  SDX_TRY(move_output(c, 0, &y));
  int64_t strides[TENSOR_MAX_RANK], batch = ((const params *)c->params)->batch_dims;
  int64_t dims[2 * TENSOR_MAX_RANK], tuple = indices->dims[indices->rank - 1];
  int out_rank;
  SDX_TRY(step_located(c, nd_dims(batch, x.dims, x.rank, indices->dims, indices->rank, dims, &out_rank, c->err)));
  move_strides(x.dims, x.rank, strides);
  size_t slice = move_width(&x), tuples = indices->count / (size_t)tuple, batches = 1;
  for (int64_t d = batch + tuple; d < x.rank; d++) slice *= (size_t)x.dims[d];
  for (int64_t d = 0; d < batch; d++) batches *= (size_t)x.dims[d];
  size_t per_batch = batches ? tuples / batches : 0, batch_bytes = batches ? x.count / batches * move_width(&x) : 0;
  const int64_t *at = indices->data;
  for (size_t i = 0; i < tuples; i++) {
    int64_t offset = 0;
    for (int64_t d = 0; d < tuple; d++) {
      int64_t k = *at++, n = x.dims[batch + d];
      if (k < -n || k >= n)
        return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "is %lld in tuple %zu, expected within [-%lld, %lld)",
                            (long long)k, i, (long long)n, (long long)n);
      offset += (k < 0 ? k + n : k) * strides[batch + d];
    }
    const char *from = (const char *)x.data + i / per_batch * batch_bytes + (size_t)offset * move_width(&x);
    memcpy((char *)y.data + i * slice, from, slice);
    if ((i & 0xffff) == 0xffff) SDX_TRY(call_check(c));
  }
  move_finish(c, 0, &y);
  return SDX_OK;
}

static const char *const gather_nd_cases[] = {
    "data=float[2,3,4] indices=int64[5,2]@-2..1", "data=float[2,3,4] indices=int64[2,3,1]@0..3 batch_dims=2",
    "data=float[4] indices=int64[3,1]@-4..3", "data=float[2,3] indices=int64[0,1]", NULL};

SDX_OP(GatherND) = {
    .since = 13,
    .versions = "13 12 11",
    .inputs = "data:T indices:int64",
    .outputs = "output:T",
    .types = "T=any",
    .attrs = "batch_dims:int=0",
    .flags = OP_MOVES_DATA,
    .params_size = sizeof(params),
    .params = gather_nd_read,
    .infer = gather_nd_infer,
    .compute = gather_nd_compute,
    .cases = gather_nd_cases,
};
