// SPDX-License-Identifier: Apache-2.0
// QLinearConv: the int32 convolution of x - x_zero_point and w - w_zero_point plus B (int32 in units of
// x_scale * w_scale), requantised with x_scale * w_scale / y_scale: per tensor or per output channel.
//
// Channels-last: conv_nhwc_u8s8, which requantises where it sums, and adds and looks up there what FusedQLinearConv
// (ops/own.h) has besides.
//
// The quotient is rounded half to even before y_zero_point is added, as onnxruntime does; the ONNX
// reference adds first, which differs on exact halves where the zero point is odd.
#include "ops/parts/int_product.h"

#include "kernels/conv_nhwc_u8s8/conv_nhwc_u8s8.h"
#include "kernels/lookup_u8/lookup_u8.h"
#include "kernels/quantize/quantize.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/own.h"
#include "ops/parts/floats.h"
#include "ops/parts/quantization.h"
#include "ops/prepare.h"

enum { X, X_SCALE, X_ZERO, W, W_SCALE, W_ZERO, Y_SCALE, Y_ZERO, B };
enum { OTHER = FUSED_QLINEAR_OTHER, OTHER_SCALE, OTHER_ZERO, SUM_SCALE, SUM_ZERO, TABLE = FUSED_QLINEAR_TABLE };

static sdx_status qlinear_conv_infer(op_step *c) {
  int64_t channels = infer_rank_of(c, W) > 0 ? c->in_types[W]->dims[0] : -1;
  for (size_t i = X_SCALE; i <= SUM_ZERO; i++)
    if (i != W && i != B && i != OTHER) SDX_TRY(infer_per_channel(c, i, i == W_SCALE || i == W_ZERO ? channels : 1));
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
  if (c->input_count > OTHER) l->in[OTHER] = PORT_CHOSEN;
  l->gain = conv_layout_gain(c, W);
}

typedef struct qlinear_conv_state {
  int_conv conv;              // in ONNX's layout
  conv_nhwc_u8s8_plan *last;  // channels-last, else NULL
  const void *packed;         // weights of it
  void *bound;                // their biases and scales where all are constants
} qlinear_conv_state;

// ---- numbers --------------------------------------------------------------------------------------

static sdx_status check_numbers(op_step *c) {
  static const size_t single[] = {X_SCALE, X_ZERO, Y_SCALE, Y_ZERO, OTHER_SCALE, OTHER_ZERO, SUM_SCALE, SUM_ZERO};
  const size_t channels = (size_t)step_in(c, W)->dims[0], scales = step_in(c, W_SCALE)->count;
  for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
    const tensor *t = step_in(c, single[i]);
    if (t && t->count != 1)
      return step_fail_at(c, at_input(single[i]), SDX_INVALID_SHAPE, "has %zu elements, expected 1", t->count);
  }
  if (scales != 1 && scales != channels)
    return step_fail_at(c, at_input(W_SCALE), SDX_INVALID_SHAPE, "has %zu elements, expected 1 or %zu", scales,
                        channels);
  return SDX_OK;
}

// What follows the convolution, if anything does.
static sdx_status check_ending(op_step *c) {
  const tensor *y = step_out(c, 0), *other = step_in(c, OTHER), *table = step_in(c, TABLE);
  if (other && (!step_in(c, OTHER_SCALE) || !step_in(c, SUM_SCALE)))
    return step_fail_at(c, at_input(OTHER), SDX_INVALID_GRAPH, "needs its scale and that of the sum");
  if (other && (other->rank != y->rank || memcmp(other->dims, y->dims, y->rank * sizeof *y->dims) != 0))
    return step_fail_at(c, at_input(OTHER), SDX_INVALID_SHAPE, "has another shape than the result");
  if (table && table->count != LOOKUP_ENTRIES)
    return step_fail_at(c, at_input(TABLE), SDX_INVALID_SHAPE, "has %zu elements, expected %d", table->count,
                        LOOKUP_ENTRIES);
  return SDX_OK;
}

static float channel_scale(op_step *c, size_t channel) {
  const tensor *w = step_in(c, W_SCALE);
  return scale_at(step_in(c, X_SCALE), 0) * scale_at(w, w->count > 1 ? channel : 0) / scale_at(step_in(c, Y_SCALE), 0);
}

// Scale and zero point at inputs i and i + 1.
static quantize_scale linear_at(op_step *c, size_t i) {
  return (quantize_scale){scale_at(step_in(c, i), 0), zero_at(step_in(c, i + 1), 0)};
}

static quantize_pair pair_of(op_step *c) {
  return (quantize_pair){linear_at(c, Y_SCALE), linear_at(c, OTHER_SCALE), linear_at(c, SUM_SCALE)};
}

static void pack_last(void *target, const tensor *source, void *plan) {
  conv_nhwc_u8s8_pack(plan, source->data, target);
}

static void bind_last(op_step *c, const qlinear_conv_state *state, float *scale, void *bound) {
  const tensor *bias = step_in(c, B);
  for (size_t i = 0; i < state->last->shape.out_channels; i++) scale[i] = channel_scale(c, i);
  conv_nhwc_u8s8_bind(state->last, state->packed, zero_at(step_in(c, X_ZERO), 0), bias ? bias->data : NULL, scale,
                      bound);
}

// Scales are made once where they are known now; else in the scratch of a run.
static sdx_status prepare_bound(op_step *c, qlinear_conv_state *state) {
  static const size_t read[] = {X_SCALE, X_ZERO, W_SCALE, Y_SCALE, B};
  size_t channels = state->last->shape.out_channels, bytes;
  if (!size_mul(channels, sizeof(float), &bytes) || !scratch_reserve(&c->scratch_bytes, state->last->bound_bytes) ||
      !scratch_reserve(&c->scratch_bytes, bytes))
    return error_no_memory(c->err, SIZE_MAX);
  for (size_t i = 0; i < sizeof read / sizeof *read; i++)
    if (step_in(c, read[i]) && !step_in(c, read[i])->data) return SDX_OK;
  SDX_TRY(check_numbers(c));
  float *scale = arena_array(c->memory, channels, sizeof *scale);
  state->bound = arena_zalloc(c->memory, state->last->bound_bytes);
  if (!scale || !state->bound) return error_no_memory(c->err, state->last->bound_bytes);
  bind_last(c, state, scale, state->bound);
  return SDX_OK;
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
  if (!scratch_reserve(&c->scratch_bytes, state->last->scratch_bytes)) return error_no_memory(c->err, SIZE_MAX);
  return prepare_bound(c, state);
}

static sdx_status compute_last(op_step *c, const qlinear_conv_state *state) {
  tensor *y = step_out(c, 0);
  const tensor *other = step_in(c, OTHER), *table = step_in(c, TABLE);
  char *scratch = c->scratch;
  void *own = scratch_take(&scratch, state->last->scratch_bytes), *bound = state->bound;
  if (!bound) {
    bound = scratch_take(&scratch, state->last->bound_bytes);
    bind_last(c, state, (float *)scratch, bound);
  }
  conv_nhwc_u8s8_call call = {.x = step_in(c, X)->data, .packed = state->packed, .bound = bound, .y = y->data};
  call.x_zero = zero_at(step_in(c, X_ZERO), 0), call.other = other ? other->data : NULL;
  call.output = (igemm_u8s8_output){.zero = zero_at(step_in(c, Y_ZERO), 0), .is_signed = y->dtype == SDX_INT8};
  if (other) {
    const quantize_pair p = pair_of(c);
    call.output.adds = true, call.output.other_zero = p.b.zero, call.output.sum_zero = p.y.zero;
    call.output.own_scale = p.a.scale, call.output.other_scale = p.b.scale, call.output.factor = 1 / p.y.scale;
  }
  call.output.table = table ? table->data : NULL;
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
  op_step *step;
  int32_t *sums;
  const int32_t *bias;
  uint8_t *y;
  size_t channels, plane;
  int32_t y_zero;
  bool is_signed;
  const uint8_t *other, *table;
  quantize_pair pair;
} work;

static void end_plane(const work *w, size_t at) {
  const quantize_kernel *k = KERNEL_BEST(quantize);
  uint8_t *y = w->y + at;
  if (w->other && w->is_signed) k->add_s8(&w->pair, (int8_t *)y, (const int8_t *)w->other + at, (int8_t *)y, w->plane);
  else if (w->other) k->add_u8(&w->pair, y, w->other + at, y, w->plane);
  if (w->table) KERNEL_BEST(lookup_u8)->run(y, w->table, y, w->plane);
}

static void planes(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  for (size_t i = begin; i < end; i++) {
    size_t m = i % w->channels;
    int32_t *sums = w->sums + i * w->plane;
    for (size_t k = 0; w->bias && k < w->plane; k++) sums[k] = (int32_t)((uint32_t)sums[k] + (uint32_t)w->bias[m]);
    float scale = channel_scale(w->step, m);
    requantize(sums, w->y + i * w->plane, w->plane, &scale, 0, w->y_zero, w->is_signed);
    end_plane(w, i * w->plane);
  }
}

static sdx_status qlinear_conv_compute(op_step *c) {
  const qlinear_conv_state *state = c->state;
  const int_conv *v = &state->conv;
  tensor *y = step_out(c, 0);
  const tensor *bias = step_in(c, B), *other = step_in(c, OTHER), *table = step_in(c, TABLE);
  if (y->count == 0) return SDX_OK;
  SDX_TRY(check_numbers(c));
  SDX_TRY(check_ending(c));
  if (state->last) return compute_last(c, state);
  char *scratch = c->scratch;
  void *own = scratch_take(&scratch, v->scratch_bytes);
  SDX_TRY(int_conv_run(c, v, X_ZERO, W_ZERO, (int32_t *)scratch, own));
  work w = {.step = c,
            .sums = (int32_t *)scratch,
            .bias = bias ? bias->data : NULL,
            .y = y->data,
            .channels = v->conv.out_channels,
            .plane = window_out(&v->conv.window),
            .y_zero = zero_at(step_in(c, Y_ZERO), 0),
            .is_signed = y->dtype == SDX_INT8,
            .other = other ? other->data : NULL,
            .table = table ? table->data : NULL};
  if (other) w.pair = pair_of(c);
  call_parallel(c, v->conv.batch * w.channels, 1 + 16384 / (w.plane + 1), planes, &w);
  return SDX_OK;
}

SDX_CASES = {
    "x=uint8[1,2,5,5] x_scale=float(0.02) x_zero_point=uint8(128) w=int8[3,2,3,3] w_scale=float(0.01,0.02,0.03) "
    "w_zero_point=int8(0,0,0) y_scale=float(0.1) y_zero_point=uint8(120) B=int32[3]",
    NULL};

#define QLINEAR_INPUTS \
  "x:T1 x_scale:float x_zero_point:T1 w:T2 w_scale:float w_zero_point:T2 y_scale:float y_zero_point:T3 B:T4?"
#define QLINEAR_CONV                                                                                               \
  .versions = "10", .since = 10, .outputs = "y:T3", .types = "T1=int8,uint8;T2=int8,uint8;T3=int8,uint8;T4=int32", \
  .attrs = "auto_pad:string=NOTSET dilations:ints group:int=1 kernel_shape:ints pads:ints strides:ints",           \
  .params_size = sizeof(conv_params), .params = conv_read, .infer = qlinear_conv_infer,                            \
  .layouts = qlinear_conv_layouts, .prepare = qlinear_conv_prepare, .compute = qlinear_conv_compute

SDX_OP(QLinearConv) = {QLINEAR_CONV, .inputs = QLINEAR_INPUTS, .cases = cases};
const op_def op_fused_qlinear_conv = {QLINEAR_CONV, .domain = "sardonyx", .name = "FusedQLinearConv",
                                      .inputs = QLINEAR_INPUTS
                                      " other:T3? other_scale:float? other_zero_point:T3? "
                                      "sum_scale:float? sum_zero_point:T3? table:T3?"};
