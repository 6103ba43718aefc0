// SPDX-License-Identifier: Apache-2.0
// QLinearConv: the int32 convolution of x - x_zero_point and w - w_zero_point plus B (int32 in units of
// x_scale * w_scale), requantised with x_scale * w_scale / y_scale: per tensor or per output channel.
//
// The quotient is rounded half to even before y_zero_point is added, as onnxruntime does; the ONNX
// reference adds first, which differs on exact halves where the zero point is odd.
#include "ops/parts/int_product.h"

#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/floats.h"
#include "ops/parts/quantization.h"

enum { X, X_SCALE, X_ZERO, W, W_SCALE, W_ZERO, Y_SCALE, Y_ZERO, B };

static sdx_status qlinear_conv_infer(op_step *c) {
  int64_t channels = infer_rank_of(c, W) > 0 ? c->in_types[W]->dims[0] : -1;
  for (size_t i = X_SCALE; i <= Y_ZERO; i++)
    if (i != W) SDX_TRY(infer_per_channel(c, i, i == W_SCALE || i == W_ZERO ? channels : 1));
  return conv_infer_shape(c, c->params, X, W, B, infer_dtype_of(c, Y_ZERO));
}

static sdx_status qlinear_conv_prepare(op_step *c) {
  int_conv *v = arena_zalloc(c->memory, sizeof *v);
  size_t sums = 0;
  if (!v) return error_no_memory(c->err, sizeof *v);
  c->state = v;
  SDX_TRY(int_conv_prepare(c, c->params, v, X, W, step_out(c, 0)));
  if (!size_mul(step_out(c, 0)->count, sizeof(int32_t), &sums) ||
      !scratch_reserve(&c->scratch_bytes, v->scratch_bytes) || !scratch_reserve(&c->scratch_bytes, sums))
    return error_no_memory(c->err, SIZE_MAX);
  return SDX_OK;
}

typedef struct work {
  int32_t *sums;
  const int32_t *bias;
  uint8_t *y;
  size_t channels, plane;
  const tensor *w_scale;
  float x_scale, y_scale;
  int32_t y_zero;
  bool is_signed;
} work;

static void planes(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  for (size_t i = begin; i < end; i++) {
    size_t m = i % w->channels;
    int32_t *sums = w->sums + i * w->plane;
    for (size_t k = 0; w->bias && k < w->plane; k++) sums[k] = (int32_t)((uint32_t)sums[k] + (uint32_t)w->bias[m]);
    float scale = w->x_scale * scale_at(w->w_scale, w->w_scale->count > 1 ? m : 0) / w->y_scale;
    requantize(sums, w->y + i * w->plane, w->plane, &scale, 0, w->y_zero, w->is_signed);
  }
}

static sdx_status qlinear_conv_compute(op_step *c) {
  const int_conv *v = c->state;
  tensor *y = step_out(c, 0);
  const tensor *bias = step_in(c, B), *x_scale = step_in(c, X_SCALE), *w_scale = step_in(c, W_SCALE),
               *y_scale = step_in(c, Y_SCALE), *y_zero = step_in(c, Y_ZERO);
  if (y->count == 0) return SDX_OK;
  if (x_scale->count != 1 || y_scale->count != 1 || y_zero->count != 1 ||
      (w_scale->count != 1 && w_scale->count != v->conv.out_channels))
    return step_fail(c, SDX_INVALID_SHAPE, "scales have %zu, %zu and %zu elements (x, w, y); expected 1, 1 or %zu, 1",
                     x_scale->count, w_scale->count, y_scale->count, v->conv.out_channels);
  char *scratch = c->scratch;
  void *own = scratch_take(&scratch, v->scratch_bytes);
  SDX_TRY(int_conv_run(c, v, X_ZERO, W_ZERO, (int32_t *)scratch, own));
  work w = {.sums = (int32_t *)scratch,
            .bias = bias ? bias->data : NULL,
            .y = y->data,
            .channels = v->conv.out_channels,
            .plane = window_out(&v->conv.window),
            .w_scale = w_scale,
            .x_scale = scale_at(x_scale, 0),
            .y_scale = scale_at(y_scale, 0),
            .y_zero = zero_at(y_zero, 0),
            .is_signed = y->dtype == SDX_INT8};
  call_parallel(c, v->conv.batch * w.channels, 1 + 16384 / (w.plane + 1), planes, &w);
  return SDX_OK;
}

SDX_CASES = {
    "x=uint8[1,2,5,5] x_scale=float(0.02) x_zero_point=uint8(128) w=int8[3,2,3,3] w_scale=float(0.01,0.02,0.03) "
    "w_zero_point=int8(0,0,0) y_scale=float(0.1) y_zero_point=uint8(120) B=int32[3]",
    NULL};

SDX_OP(QLinearConv) = {
    .since = 10,
    .versions = "10",
    .inputs =
        "x:T1 x_scale:float x_zero_point:T1 w:T2 w_scale:float w_zero_point:T2 y_scale:float y_zero_point:T3 B:T4?",
    .outputs = "y:T3",
    .types = "T1=int8,uint8;T2=int8,uint8;T3=int8,uint8;T4=int32",
    .attrs = "auto_pad:string=NOTSET dilations:ints group:int=1 kernel_shape:ints pads:ints strides:ints",
    .params_size = sizeof(conv_params),
    .params = conv_read,
    .infer = qlinear_conv_infer,
    .prepare = qlinear_conv_prepare,
    .compute = qlinear_conv_compute,
    .cases = cases,
};
