// SPDX-License-Identifier: Apache-2.0
// MaxpoolWithMask: MaxPool of a plane where some places do not count. A row of a window ends at the first place whose
// mask is 0, as onnxruntime has it; the very first place of a plane with more than one dimension always counts. Masks
// repeat over planes.
#include <float.h>

#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/window_attrs.h"

static sdx_status maxpool_with_mask_read(op_params_context *c, void *params) {
  SDX_TRY(window_attrs_read(c, params));
  return ((window_attrs *)params)->kernel ? SDX_OK : params_fail(c, "kernel_shape", "is empty");
}

static sdx_status maxpool_with_mask_infer(op_step *c) {
  const window_attrs *w = c->params;
  int64_t out[TENSOR_MAX_RANK];
  int rank = infer_rank_of(c, 0), spatial = -1;
  SDX_TRY(window_attrs_rank(c, w, 0, &spatial));
  if (rank >= 0) SDX_TRY(infer_rank(c, 1, rank, rank));
  for (int i = 0; i < rank; i++) {
    int64_t size = out[i] = c->in_types[0]->dims[i];
    if (i < 2) continue;
    SDX_TRY(infer_agree(c, 1, i, "size of the input", &size));
    SDX_TRY(window_attrs_output(c, w, (size_t)i - 2, out[i], w->kernel[i - 2], &out[i]));
  }
  return infer_output(c, 0, infer_dtype_of(c, 0), rank, out);
}

typedef struct mask_job {
  window window;
  const float *x;
  const int32_t *mask;
  float *y;
  size_t masks;  // planes of them
} mask_job;

// The largest number of a window, whose rows are along the last dimension.
static float largest(const mask_job *j, const float *x, const int32_t *mask, const int64_t *at) {
  const window *w = &j->window;
  size_t last = w->rank - 1;
  int64_t tap[WINDOW_MAX_RANK] = {0};
  float most = -FLT_MAX;
  do {
    int64_t row;
    bool inside = window_place(w, last, at, tap, &row);
    for (int64_t t = 0; inside && t < w->kernel[last]; t++) {
      int64_t p = at[last] * w->stride[last] + t * w->dilation[last] - w->pad[last];
      int64_t place = row * w->in[last] + p;
      if (p < 0 || p >= w->in[last]) continue;
      if (mask[place] == 0 && (place > 0 || w->rank == 1)) break;
      if (x[place] > most) most = x[place];
    }
  } while (window_next(tap, w->kernel, last));
  return most;
}

static void planes_range(void *context, size_t begin, size_t end, size_t worker) {
  const mask_job *j = context;
  size_t in = window_in(&j->window), out = window_out(&j->window);
  for (size_t i = begin; i < end; i++) {
    int64_t at[WINDOW_MAX_RANK] = {0};
    for (size_t k = 0; k < out; k++, window_next(at, j->window.out, j->window.rank))
      j->y[i * out + k] = largest(j, j->x + i * in, j->mask + i % j->masks * in, at);
  }
}

static sdx_status maxpool_with_mask_compute(op_step *c) {
  const tensor *x = step_in(c, 0), *mask = step_in(c, 1);
  tensor *y = step_out(c, 0);
  mask_job j = {.x = x->data, .mask = mask->data, .y = y->data, .masks = (size_t)(mask->dims[0] * mask->dims[1])};
  if (y->count == 0) return SDX_OK;
  window_attrs_build(c->params, x->rank - 2u, x->dims + 2, NULL, y->dims + 2, &j.window);
  if (mask->count == 0) return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "is empty");
  call_parallel(c, (size_t)(x->dims[0] * x->dims[1]),
                1 + GRAIN_CHEAP / (window_out(&j.window) * window_taps(&j.window)), planes_range, &j);
  return call_check(c);
}

SDX_CASES = {"X=float[2,3,5,6] M=int32[1,3,5,6]@0..1 kernel_shape=3,2 pads=1,0,1,1",
             "X=float[1,2,9] M=int32[1,1,9]@0..1 kernel_shape=3 strides=2", NULL};

// clang-format off
SDX_OP_MS(MaxpoolWithMask) = {
    .since = 1, .versions = "1", .inputs = "X:T M:int32", .outputs = "Y:T", .types = "T=float",
    .attrs = "auto_pad:string=NOTSET kernel_shape:ints pads:ints storage_order:int=0 strides:ints",
    .params_size = sizeof(window_attrs), .params = maxpool_with_mask_read, .infer = maxpool_with_mask_infer,
    .compute = maxpool_with_mask_compute, .cases = cases,
};
// clang-format on
