// SPDX-License-Identifier: Apache-2.0
// See window_attrs.h. Sizes, with k = (kernel - 1) * dilation + 1 and in' = in + both pads:
//
//   NOTSET  floor((in' - k) / stride) + 1; ceil_mode rounds up, but a last window that starts behind the
//           data, wholly in padding, is dropped
//   VALID   no padding, rounded down
//   SAME_*  ceil(in / stride), padded as much as that takes, the odd one behind (UPPER) or before (LOWER)
#include "ops/parts/window_attrs.h"

#include "base/size.h"
#include "ops/infer.h"

// Far above any real model, far below where products of two of them overflow.
enum { MOST = 1 << 30 };

static sdx_status read_list(op_params_context *c, const char *name, int64_t low, size_t per_dimension, window_attrs *w,
                            const int64_t **out) {
  size_t count = 0;
  const int64_t *at = params_ints(c, name, &count);
  *out = NULL;
  if (count == 0) return SDX_OK;  // an empty list says as much as none
  size_t rank = count / per_dimension;
  if (rank * per_dimension != count || rank > WINDOW_MAX_RANK)
    return params_fail(c, name, "has %zu entries, expected %zu for each of up to %d spatial dimensions", count,
                       per_dimension, WINDOW_MAX_RANK);
  if (w->rank && rank != w->rank)
    return params_fail(c, name, "has %zu entries, but the other lists describe %zu spatial dimensions", count, w->rank);
  w->rank = rank;
  for (size_t i = 0; i < count; i++)
    if (at[i] < low || at[i] > MOST)
      return params_fail(c, name, "[%zu] is %lld, expected %lld to %d", i, (long long)at[i], (long long)low, MOST);
  *out = at;
  return SDX_OK;
}

sdx_status window_attrs_read(op_params_context *c, window_attrs *w) {
  *w = (window_attrs){0};
  SDX_TRY(read_list(c, "kernel_shape", 1, 1, w, &w->kernel));
  SDX_TRY(read_list(c, "strides", 1, 1, w, &w->strides));
  SDX_TRY(read_list(c, "dilations", 1, 1, w, &w->dilations));
  SDX_TRY(read_list(c, "pads", 0, 2, w, &w->pads));
  w->ceil_mode = params_int(c, "ceil_mode") != 0;
  str mode = params_string(c, "auto_pad");
  if (mode.size == 0 || str_is(mode, "NOTSET")) w->auto_pad = PAD_NOTSET;
  else if (str_is(mode, "SAME_UPPER")) w->auto_pad = PAD_SAME_UPPER;
  else if (str_is(mode, "SAME_LOWER")) w->auto_pad = PAD_SAME_LOWER;
  else if (str_is(mode, "VALID")) w->auto_pad = PAD_VALID;
  else return params_fail(c, "auto_pad", "is '%.*s', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID", STR_ARG(mode));
  return SDX_OK;
}

sdx_status window_attrs_rank(op_step *c, const window_attrs *w, size_t input, int *spatial) {
  SDX_TRY(infer_rank(c, input, w->rank ? (int)w->rank + 2 : 3, w->rank ? (int)w->rank + 2 : WINDOW_MAX_RANK + 2));
  int rank = infer_rank_of(c, input);
  *spatial = rank < 0 ? -1 : rank - 2;
  return SDX_OK;
}

static int64_t reach(const window_attrs *w, size_t d, int64_t kernel) {
  return (kernel - 1) * window_attrs_dilation(w, d) + 1;
}

sdx_status window_attrs_output(op_step *c, const window_attrs *w, size_t d, int64_t in, int64_t kernel, int64_t *out) {
  int64_t stride = window_attrs_stride(w, d);
  *out = DIM_UNKNOWN;
  if (w->auto_pad == PAD_SAME_UPPER || w->auto_pad == PAD_SAME_LOWER) {
    *out = in < 0 ? (stride == 1 ? in : DIM_UNKNOWN) : in / stride + (in % stride != 0);
    return SDX_OK;
  }
  if (kernel < 0) return SDX_OK;
  int64_t before = w->auto_pad == PAD_NOTSET && w->pads ? w->pads[d] : 0;
  int64_t after = w->auto_pad == PAD_NOTSET && w->pads ? w->pads[d + w->rank] : 0;
  int64_t k = reach(w, d, kernel);
  if (in < 0) {  // a symbol survives where the size does
    if (stride == 1 && before + after == k - 1) *out = in;
    return SDX_OK;
  }
  int64_t room = 0;
  if (!i64_add(in, before + after, &room)) room = INT64_MAX;
  room -= k;
  if (room < 0)
    return step_fail(c, SDX_INVALID_SHAPE,
                     "the window spans %lld elements of spatial dimension %zu, which has only %lld with padding",
                     (long long)k, d, (long long)(room + k));
  int64_t n = room / stride;
  if (w->ceil_mode && w->auto_pad == PAD_NOTSET && room % stride != 0 && (n + 1) * stride < in + before) n++;
  *out = n + 1;
  return SDX_OK;
}

void window_attrs_build(const window_attrs *w, size_t rank, const int64_t *in, const int64_t *kernel,
                        const int64_t *out, window *g) {
  *g = (window){.rank = rank};
  for (size_t d = 0; d < rank; d++) {
    g->in[d] = in[d], g->out[d] = out[d];
    g->kernel[d] = kernel ? kernel[d] : w->kernel[d];
    g->stride[d] = window_attrs_stride(w, d), g->dilation[d] = window_attrs_dilation(w, d);
    if (w->auto_pad == PAD_NOTSET && w->pads) {
      g->pad[d] = w->pads[d], g->pad_end[d] = w->pads[d + rank];
    } else if (w->auto_pad == PAD_SAME_UPPER || w->auto_pad == PAD_SAME_LOWER) {
      int64_t total = i64_max(0, (out[d] - 1) * g->stride[d] + reach(w, d, g->kernel[d]) - in[d]);
      g->pad[d] = w->auto_pad == PAD_SAME_UPPER ? total / 2 : total - total / 2;
      g->pad_end[d] = total - g->pad[d];
    }
  }
}

sdx_status window_attrs_match(op_step *c, const window_attrs *w, size_t input, const int64_t *kernel, size_t rank) {
  for (size_t d = 0; d < rank; d++) {
    if (kernel[d] == 0 || kernel[d] > 1 << 30)
      return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE,
                          "has %lld taps in spatial dimension %zu, expected 1 to 2^30", (long long)kernel[d], d);
    if (w->kernel && kernel[d] >= 0 && kernel[d] != w->kernel[d])
      return step_fail_at(c, at_attribute("kernel_shape"), SDX_INVALID_SHAPE,
                          "[%zu] is %lld, but the weights have %lld", d, (long long)w->kernel[d], (long long)kernel[d]);
  }
  return SDX_OK;
}
