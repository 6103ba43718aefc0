// SPDX-License-Identifier: Apache-2.0
// Range: start, start + delta, ... below (above, for a negative delta) limit. The count is
// ceil((limit - start) / delta) in the working type: int64 for integers, double for floats.
// Version 27 added the half types with stash_type (they are always computed in double here).
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "tensor/convert.h"

static sdx_status count_of(const tensor *const *in, int64_t *count, error *err) {
  for (size_t i = 0; i < 3; i++)
    if (in[i]->count != 1 || in[i]->dtype != in[0]->dtype)
      return error_at(err, at_input(i), SDX_INVALID_SHAPE, "must be one %s", dtype_name((sdx_dtype)in[0]->dtype));
  sdx_dtype dtype = (sdx_dtype)in[0]->dtype;
  if (dtype_is_int(dtype)) {
    int64_t start = convert_get_int(dtype, in[0]->data, 0), limit = convert_get_int(dtype, in[1]->data, 0),
            delta = convert_get_int(dtype, in[2]->data, 0);
    if (delta == 0) return error_at(err, at_input(2), SDX_INVALID_ARGUMENT, "is 0");
    uint64_t span = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    bool empty = delta > 0 ? limit <= start : limit >= start;
    uint64_t n = empty ? 0 : (span - 1) / step + 1;
    if (n > INT64_MAX) return error_set(err, SDX_LIMIT_EXCEEDED, "the range has more than 2^63 elements");
    *count = (int64_t)n;
    return SDX_OK;
  }
  double v[3];
  for (size_t i = 0; i < 3; i++) {
    if (!convert_to_doubles(dtype, in[i]->data, 0, 1, &v[i]) || !isfinite(v[i]))
      return error_at(err, at_input(i), SDX_INVALID_ARGUMENT, "is not a finite number");
  }
  if (v[2] == 0) return error_at(err, at_input(2), SDX_INVALID_ARGUMENT, "is 0");
  double n = ceil((v[1] - v[0]) / v[2]);
  if (!(n < 0x1p62))
    return error_set(err, SDX_LIMIT_EXCEEDED, "the range from %g to %g by %g has too many elements", v[0], v[1], v[2]);
  *count = n > 0 ? (int64_t)n : 0;
  return SDX_OK;
}

static sdx_status range_infer(op_step *c) {
  int64_t n = DIM_UNKNOWN;
  for (size_t i = 0; i < 3; i++) SDX_TRY(infer_rank(c, i, 0, 1));
  if (c->constants[0] && c->constants[1] && c->constants[2])
    SDX_TRY(step_located(c, count_of(c->constants, &n, c->err)));
  return infer_output(c, 0, infer_dtype_of(c, 0), 1, &n);
}

static sdx_status range_compute(op_step *c) {
  const tensor *in[3] = {step_in(c, 0), step_in(c, 1), step_in(c, 2)};
  sdx_dtype dtype = (sdx_dtype)in[0]->dtype;
  int64_t n;
  SDX_TRY(step_located(c, count_of(in, &n, c->err)));
  SDX_TRY(call_set_shape(c, 0, dtype, 1, &n));
  void *to = step_out(c, 0)->data;
  if (dtype_is_int(dtype)) {
    int64_t start = convert_get_int(dtype, in[0]->data, 0), delta = convert_get_int(dtype, in[2]->data, 0);
    for (int64_t i = 0; i < n && !pool_stopped_in((size_t)i); i++)
      convert_set_int(dtype, to, (size_t)i, wrap_add(start, wrap_mul(i, delta)));
    return SDX_OK;
  }
  double start, delta, block[64];
  convert_to_doubles(dtype, in[0]->data, 0, 1, &start);
  convert_to_doubles(dtype, in[2]->data, 0, 1, &delta);
  for (int64_t i = 0; i < n && !pool_stopped_in((size_t)i / 64); i += 64) {
    int64_t m = i64_min(64, n - i);
    for (int64_t k = 0; k < m; k++) block[k] = start + (double)(i + k) * delta;
    convert_from_doubles(dtype, to, (size_t)i, (size_t)m, block);
  }
  return SDX_OK;
}

static const char *const range_cases[] = {"start=int64(2) limit=int64(11) delta=int64(3)",
                                          "start=float(1) limit=float(-2) delta=float(-0.5)",
                                          "start=int32(5) limit=int32(5) delta=int32(1)", NULL};

SDX_OP(Range) = {
    .since = 27,
    .versions = "27 11",
    .inputs = "start:T limit:T delta:T",
    .outputs = "output:T",
    .types = "T=bfloat16,double,float,float16,int16,int32,int64",
    .attrs = "stash_type:int=1",
    .infer = range_infer,
    .compute = range_compute,
    .cases = range_cases,
};
