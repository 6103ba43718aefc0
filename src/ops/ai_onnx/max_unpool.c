// SPDX-License-Identifier: Apache-2.0
// MaxUnpool: puts each value of X at the place its index names and zeros elsewhere, undoing MaxPool.
//
//   Indices are flat over the shape that kernel, strides and pads imply. With output_shape that tensor lies in
//   the leading corner of a (larger) output, as the ONNX reference has it. Where indices repeat, the last counts.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/window_attrs.h"

enum { X, INDICES, SHAPE };

static sdx_status max_unpool_read(op_params_context *c, void *params) {
  window_attrs *w = params;
  SDX_TRY(window_attrs_read(c, w));
  return w->kernel ? SDX_OK : params_fail(c, "kernel_shape", "is empty");
}

// The shape indices refer to.
static bool implied(const window_attrs *w, const int64_t *in, size_t rank, int64_t *out) {
  out[0] = in[0], out[1] = in[1];
  for (size_t d = 0; d + 2 < rank; d++) {
    int64_t pads = w->pads ? w->pads[d] + w->pads[d + w->rank] : 0, n;
    out[d + 2] = DIM_UNKNOWN;
    if (in[d + 2] < 0) continue;
    if (!i64_mul(in[d + 2] - 1, window_attrs_stride(w, d), &n) || !i64_add(n, w->kernel[d] - pads, &n) || n < 0)
      return false;
    out[d + 2] = n;
  }
  return true;
}

static sdx_status max_unpool_infer(op_step *c) {
  const window_attrs *w = c->params;
  int spatial;
  size_t count = 0;
  int64_t out[WINDOW_MAX_RANK + 2];
  SDX_TRY(window_attrs_rank(c, w, X, &spatial));
  if (spatial < 0) return infer_output(c, 0, infer_dtype_of(c, X), -1, NULL);
  size_t rank = (size_t)spatial + 2;
  if (!implied(w, c->in_types[X]->dims, rank, out))
    return step_fail_at(c, at_attribute("pads"), SDX_INVALID_SHAPE, "are larger than the unpooled size");
  SDX_TRY(infer_rank(c, INDICES, (int)rank, (int)rank));
  for (size_t i = 0; infer_rank_of(c, INDICES) == (int)rank && i < rank; i++) {
    int64_t a = c->in_types[X]->dims[i], b = c->in_types[INDICES]->dims[i];
    if (a >= 0 && b >= 0 && a != b)
      return step_fail_at(c, at_input(INDICES), SDX_INVALID_SHAPE, "has dimension %zu of %lld, expected %lld", i,
                          (long long)b, (long long)a);
  }
  if (c->input_count <= SHAPE || !c->in_types[SHAPE]) return infer_output(c, 0, infer_dtype_of(c, X), (int)rank, out);
  const int64_t *shape = infer_constant_ints(c, SHAPE, &count);
  for (size_t i = 2; !shape && i < rank; i++) out[i] = DIM_UNKNOWN;
  if (!shape) return infer_output(c, 0, infer_dtype_of(c, X), (int)rank, out);
  if (count != rank)
    return step_fail_at(c, at_input(2), SDX_INVALID_SHAPE, "has %zu elements, expected %zu", count, rank);
  for (size_t i = 0; i < rank; i++)
    if (shape[i] < 0 || (out[i] >= 0 && shape[i] < out[i]))
      return step_fail_at(c, at_input(2), SDX_INVALID_SHAPE, "[%zu] is %lld, expected at least %lld", i,
                          (long long)shape[i], (long long)out[i]);
  return infer_output(c, 0, infer_dtype_of(c, X), (int)rank, shape);
}

static sdx_status max_unpool_compute(op_step *c) {
  const tensor *x = step_in(c, X), *indices = step_in(c, INDICES);
  tensor *y = step_out(c, 0);
  int64_t small[WINDOW_MAX_RANK + 2], at[WINDOW_MAX_RANK + 2];
  size_t total = 0;
  if (y->count == 0) return SDX_OK;
  SDX_TRY(call_zero(c, y->data, y->bytes));
  if (x->count == 0) return SDX_OK;
  if (!implied(c->params, x->dims, x->rank, small) || !size_product(small, x->rank, &total))
    return step_fail(c, SDX_INVALID_SHAPE, "the unpooled size is out of range");
  size_t element = y->bytes / y->count;
  for (size_t i = 0; i < x->count; i++) {
    SDX_TRY(call_check_in(c, i));
    int64_t index = ((const int64_t *)indices->data)[i];
    if (index < 0 || (size_t)index >= total)
      return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE, "[%zu] is %lld, expected 0 to %zu", i, (long long)index,
                          total - 1);
    window_unravel((size_t)index, small, x->rank, at);
    size_t to = 0;
    for (size_t d = 0; d < x->rank; d++) to = to * (size_t)y->dims[d] + (size_t)at[d];
    memcpy((char *)y->data + to * element, (const char *)x->data + i * element, element);
  }
  return call_check(c);
}

static const char *const max_unpool_cases[] = {
    "X=float[1,1,2,2] I=int64[1,1,2,2](5,7,13,15) kernel_shape=2,2 strides=2,2",
    "X=float[1,1,2,2] I=int64[1,1,2,2](0,6,8,14) output_shape=const(1,1,5,5) kernel_shape=2,2 strides=2,2", NULL};

SDX_OP(MaxUnpool) = {
    .since = 22,
    .versions = "22 11 9",
    .inputs = "X:T1 I:T2 output_shape:T2?",
    .outputs = "output:T1",
    .types = "T1=float,double,float16,bfloat16;T2=int64",
    .attrs = "kernel_shape:ints! pads:ints strides:ints",
    .params_size = sizeof(window_attrs),
    .params = max_unpool_read,
    .infer = max_unpool_infer,
    .compute = max_unpool_compute,
    .cases = max_unpool_cases,
};
