// SPDX-License-Identifier: Apache-2.0
// QLinearConv: the int32 convolution of x - x_zero_point and w - w_zero_point plus B (int32 in units of
// x_scale * w_scale), requantised with x_scale * w_scale / y_scale: per tensor or per output channel.
//
// Channels-last: conv_nhwc_u8s8, which requantises where it sums.
//
// The quotient is rounded half to even before y_zero_point is added, as onnxruntime does; the ONNX
// reference adds first, which differs on exact halves where the zero point is odd.
#include "ops/parts/int_product.h"

#include "kernels/conv_nhwc_u8s8/conv_nhwc_u8s8.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/floats.h"
#include "ops/parts/quantization.h"
#include "ops/prepare.h"

enum { X, X_SCALE, X_ZERO, W, W_SCALE, W_ZERO, Y_SCALE, Y_ZERO, B };

static sdx_status qlinear_conv_infer(op_step *c) {
  int64_t channels = infer_rank_of(c, W) > 0 ? c->in_types[W]->dims[0] : -1;
  for (size_t i = X_SCALE; i <= Y_ZERO; i++)
    if (i != W) SDX_TRY(infer_per_channel(c, i, i == W_SCALE || i == W_ZERO ? channels : 1));
  return conv_infer_shape(c, c->params, X, W, B, infer_dtype_of(c, Y_ZERO));
}

// ---- channels-last --------------------------------------------------------------------------------

// All zero points of the weights are the same.
static bool one_zero(const tensor *zeros) {
  for (size_t i = 1; i < zeros->count; i++)
    if (zero_at(zeros, i) != zero_at(zeros, 0)) return false;
  return zeros->count > 0;
}

static void qlinear_conv_layouts(op_step *c, step_layouts *l) {
  const tensor *w = c->constants[W], *zeros = c->constants[W_ZERO];
  if (!w || !zeros || !one_zero(zeros) ||
      !conv_nhwc_u8s8_suits(w->data, w->count, w->dtype == SDX_INT8, zero_at(zeros, 0)))
    return;
  l->in[X] = l->out[0] = PORT_CHOSEN;
  l->gain = conv_layout_gain(c, W);
}

typedef struct qlinear_conv_state {
  int_conv conv;              // in ONNX's layout
  conv_nhwc_u8s8_plan *last;  // channels-last, else NULL
  const void *packed;         // weights of it
} qlinear_conv_state;

static void pack_last(void *target, const tensor *source, void *plan) {
  conv_nhwc_u8s8_pack(plan, source->data, target);
}

static sdx_status prepare_last(op_step *c, qlinear_conv_state *state) {
  const conv_params *p = c->params;
  const tensor *w = step_in(c, W);
  const int64_t *in = c->in_types[X]->dims, *out = c->out_types[0].dims;
  conv_nhwc_u8s8_shape shape = {.batch = (size_t)in[0], .groups = (size_t)p->group, .threads = c->threads};
  shape.in_channels = (size_t)in[1], shape.out_channels = (size_t)w->dims[0];
  shape.x_signed = c->in_types[X]->dtype == SDX_INT8, shape.w_signed = w->dtype == SDX_INT8;
  shape.w_zero = zero_at(step_in(c, W_ZERO), 0);
  window_attrs_build(&p->window, w->rank - 2u, in + 2, w->dims + 2, out + 2, &shape.window);
  state->last = arena_zalloc(c->memory, sizeof *state->last);
  if (!state->last) return error_no_memory(c->err, sizeof *state->last);
  if (!conv_nhwc_u8s8_plan_init(state->last, &shape)) return error_no_memory(c->err, SIZE_MAX);
  pack_format format = conv_nhwc_u8s8_format(state->last);
  state->packed = prepare_pack(c, W, &format, state->last->packed_bytes, pack_last, state->last);
  if (!state->packed) return SDX_NO_MEMORY;
  c->kernel = state->last->name;
  return scratch_reserve(&c->scratch_bytes, state->last->scratch_bytes) &&
                 scratch_reserve(&c->scratch_bytes, shape.out_channels * sizeof(float))
             ? SDX_OK
             : error_no_memory(c->err, SIZE_MAX);
}

static sdx_status compute_last(op_step *c, const qlinear_conv_state *state) {
  tensor *y = step_out(c, 0);
  const tensor *bias = step_in(c, B), *w_scale = step_in(c, W_SCALE);
  const bool is_signed = y->dtype == SDX_INT8;
  char *scratch = c->scratch;
  void *own = scratch_take(&scratch, state->last->scratch_bytes);
  float *scale = (float *)scratch, x_scale = scale_at(step_in(c, X_SCALE), 0),
        y_scale = scale_at(step_in(c, Y_SCALE), 0);
  for (size_t i = 0; i < state->last->shape.out_channels; i++)
    scale[i] = x_scale * scale_at(w_scale, w_scale->count > 1 ? i : 0) / y_scale;
  conv_nhwc_u8s8_call call = {.x = step_in(c, X)->data, .packed = state->packed, .scale = scale, .y = y->data};
  call.x_zero = zero_at(step_in(c, X_ZERO), 0), call.bias = bias ? bias->data : NULL;
  call.output = (igemm_u8s8_output){zero_at(step_in(c, Y_ZERO), 0), is_signed ? -128 : 0, is_signed ? 127 : 255};
  conv_nhwc_u8s8_run(state->last, &call, own);
  return call_check(c);
}

// ---- prepare --------------------------------------------------------------------------------------

static sdx_status qlinear_conv_prepare(op_step *c) {
  qlinear_conv_state *state = arena_zalloc(c->memory, sizeof *state);
  size_t sums = 0;
  if (!state) return error_no_memory(c->err, sizeof *state);
  c->state = state;
  if (c->layout == LAYOUT_CHANNELS_LAST) return prepare_last(c, state);
  SDX_TRY(int_conv_prepare(c, c->params, &state->conv, X, W, step_out(c, 0)));
  if (!size_mul(step_out(c, 0)->count, sizeof(int32_t), &sums) ||
      !scratch_reserve(&c->scratch_bytes, state->conv.scratch_bytes) || !scratch_reserve(&c->scratch_bytes, sums))
    return error_no_memory(c->err, SIZE_MAX);
  return SDX_OK;
}

// ---- compute --------------------------------------------------------------------------------------

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
  const qlinear_conv_state *state = c->state;
  const int_conv *v = &state->conv;
  tensor *y = step_out(c, 0);
  const tensor *bias = step_in(c, B), *x_scale = step_in(c, X_SCALE), *w_scale = step_in(c, W_SCALE),
               *y_scale = step_in(c, Y_SCALE), *y_zero = step_in(c, Y_ZERO);
  const size_t channels = (size_t)step_in(c, W)->dims[0];
  if (y->count == 0) return SDX_OK;
  if (step_in(c, X_ZERO)->count != 1)
    return step_fail_at(c, at_input(X_ZERO), SDX_INVALID_SHAPE, "has %zu elements, expected 1",
                        step_in(c, X_ZERO)->count);
  if (x_scale->count != 1 || y_scale->count != 1 || y_zero->count != 1 ||
      (w_scale->count != 1 && w_scale->count != channels))
    return step_fail(c, SDX_INVALID_SHAPE, "scales have %zu, %zu and %zu elements (x, w, y); expected 1, 1 or %zu, 1",
                     x_scale->count, w_scale->count, y_scale->count, channels);
  if (state->last) return compute_last(c, state);
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
    .layouts = qlinear_conv_layouts,
    .prepare = qlinear_conv_prepare,
    .compute = qlinear_conv_compute,
    .cases = cases,
};
