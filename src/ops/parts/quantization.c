// SPDX-License-Identifier: Apache-2.0
// See quantization.h.
#include "ops/parts/quantization.h"

#include <math.h>

#include "kernels/quantize/quantize.h"
#include "ops/infer.h"
#include "tensor/convert.h"

static bool same_but(const int64_t *a, const int64_t *b, size_t rank, size_t except) {
  for (size_t i = 0; i < rank; i++)
    if (i != except && a[i] >= 0 && b[i] >= 0 && a[i] != b[i]) return false;
  return true;
}

sdx_status granularity_make(const int64_t *dims, size_t rank, const int64_t *scale_dims, size_t scale_rank,
                            int64_t axis, int64_t block, granularity *g, error *err) {
  *g = (granularity){.outer = 1, .size = 1, .inner = 1};
  if (scale_rank == 0 || (scale_rank == 1 && scale_dims[0] == 1 && block == 0)) {
    g->per_tensor = true;
    return SDX_OK;
  }
  if (rank == 1) axis = 0;  // the attribute does not matter then, and its default is out of range
  SDX_TRY(axis_normalize(&axis, rank, at_attribute("axis"), err));
  size_t a = (size_t)axis;
  if (block == 0 && scale_rank != 1)
    return error_set(err, SDX_INVALID_SHAPE,
                     "the scale has rank %zu; without 'block_size' it is a number or one for each index of axis %zu",
                     scale_rank, a);
  if (block == 0 && dims[a] >= 0 && scale_dims[0] >= 0 && scale_dims[0] != dims[a])
    return error_set(err, SDX_INVALID_SHAPE, "the scale has %lld elements, but axis %zu has %lld",
                     (long long)scale_dims[0], a, (long long)dims[a]);
  if (block > 0) {
    if (scale_rank != rank || !same_but(dims, scale_dims, rank, a))
      return error_set(err, SDX_INVALID_SHAPE, "with 'block_size' the scale has the input's shape except on axis %zu",
                       a);
    if (dims[a] >= 0 && scale_dims[a] >= 0 && scale_dims[a] != dims[a] / block + (dims[a] % block != 0))
      return error_set(err, SDX_INVALID_SHAPE,
                       "axis %zu of %lld elements in blocks of %lld needs %lld scales, found %lld", a,
                       (long long)dims[a], (long long)block, (long long)(dims[a] / block + (dims[a] % block != 0)),
                       (long long)scale_dims[a]);
    g->block = (size_t)block;
  }
  for (size_t i = 0; i < rank; i++) {
    size_t n = dims[i] > 0 ? (size_t)dims[i] : 1;  // free or empty: nothing is indexed
    if (i < a) g->outer *= n;
    else if (i == a) g->size = n;
    else g->inner *= n;
  }
  return SDX_OK;
}

float scale_at(const tensor *t, size_t i) { return (float)tensor_number_at(t, i); }
int32_t zero_at(const tensor *t, size_t i) { return t ? (int32_t)convert_get_int((sdx_dtype)t->dtype, t->data, i) : 0; }

sdx_status infer_per_channel(op_step *c, size_t index, int64_t count) {
  if (index >= c->input_count || !c->in_types[index]) return SDX_OK;
  SDX_TRY(infer_rank(c, index, 0, 1));
  int64_t have = infer_rank_of(c, index) == 1 ? c->in_types[index]->dims[0] : 1;
  if (have < 0 || have == 1 || (count < 0 && have > 0) || have == count) return SDX_OK;
  return step_fail_at(c, at_input(index), SDX_INVALID_SHAPE, "has %lld elements, expected 1 or %lld", (long long)have,
                      (long long)count);
}

sdx_status infer_zero_point(op_step *c, size_t scale, size_t zero) {
  int rank = infer_rank_of(c, scale), zero_rank = zero < c->input_count ? infer_rank_of(c, zero) : -1;
  if (rank < 0 || zero_rank < 0) return SDX_OK;
  if (rank + zero_rank == 1) {
    size_t list = rank ? scale : zero;
    int64_t size = infer_dim(c, list, 0);
    if (size < 0 || size == 1) return SDX_OK;
    return step_fail_at(c, at_input(list), SDX_INVALID_SHAPE, "has %lld elements, expected 1: like input %zu",
                        (long long)size, rank ? zero : scale);
  }
  if (rank != zero_rank)
    return step_fail_at(c, at_input(zero), SDX_INVALID_SHAPE, "has rank %d, expected %d: as its scale, input %zu",
                        zero_rank, rank, scale);
  for (int i = 0; i < rank; i++) {
    int64_t want = infer_dim(c, scale, i), have = infer_dim(c, zero, i);
    if (want >= 0 && have >= 0 && want != have)
      return step_fail_at(c, at_input(zero), SDX_INVALID_SHAPE,
                          "has %lld in dimension %d, expected %lld: as its scale, input %zu", (long long)have, i,
                          (long long)want, scale);
  }
  return SDX_OK;
}

void requantize(const int32_t *sums, void *y, size_t n, const float *scale, size_t step, int32_t zero, bool is_signed) {
  if (step == 0) {
    const quantize_kernel *k = KERNEL_BEST(quantize);
    if (is_signed) k->again_s8(sums, y, n, *scale, zero);
    else k->again_u8(sums, y, n, *scale, zero);
    return;
  }
  float low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
  for (size_t i = 0; i < n; i++) {
    float v = rintf((float)sums[i] * scale[i * step]) + (float)zero;
    v = v > low ? (v < high ? v : high) : low;  // NaN: the lowest
    ((uint8_t *)y)[i] = (uint8_t)(int)v;
  }
}
