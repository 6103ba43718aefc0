// SPDX-License-Identifier: Apache-2.0
// DynamicQuantizeLinear: uint8 with the scale and zero point of the data itself.
//
//   scale = (max(0, max x) - min(0, min x)) / 255, or 1 if all of x is 0
//   zero  = saturate(round_half_even(-min / scale));  y = saturate(round_half_even(x / scale) + zero)
//
// NaN does not take part in the range and becomes 0. An empty x has the range [0, 0].
#include <math.h>

#include "kernels/quantize/quantize.h"
#include "ops/call.h"
#include "ops/infer.h"

static sdx_status dynamic_quantize_linear_infer(op_step *c) {
  SDX_TRY(infer_same_as(c, 0, 0, SDX_UINT8));
  SDX_TRY(infer_output(c, 1, SDX_FLOAT, 0, NULL));
  return infer_output(c, 2, SDX_UINT8, 0, NULL);
}

typedef struct work {
  const quantize_kernel *kernel;
  const float *x;
  uint8_t *y;
  float scale;
  int32_t zero;
} work;

static void quantize(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  w->kernel->to_u8(w->x + begin, w->y + begin, end - begin, w->scale, w->zero);
}

static sdx_status dynamic_quantize_linear_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0), *scale = step_out(c, 1), *zero = step_out(c, 2);
  work w = {.kernel = KERNEL_BEST(quantize), .x = x->data, .y = y ? y->data : NULL};
  float low = 0, high = 0;
  w.kernel->range(w.x, x->count, &low, &high);
  w.scale = high == low ? 1 : (high - low) / 255;
  float z = rintf(-low / w.scale);
  w.zero = z > 0 ? z < 255 ? (int32_t)z : 255 : 0;
  if (scale) *(float *)scale->data = w.scale;
  if (zero) *(uint8_t *)zero->data = (uint8_t)w.zero;
  if (y) call_parallel(c, x->count, 16384, quantize, &w);
  return SDX_OK;
}

SDX_CASES = {"x=float[3,4]", "x=float[1000]", NULL};

SDX_OP(DynamicQuantizeLinear) = {
    .since = 11,
    .versions = "11",
    .inputs = "x:T1",
    .outputs = "y:T2 y_scale:float y_zero_point:T2",
    .types = "T1=float;T2=uint8",
    .infer = dynamic_quantize_linear_infer,
    .compute = dynamic_quantize_linear_compute,
    .cases = cases,
};
