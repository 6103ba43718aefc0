// SPDX-License-Identifier: Apache-2.0
// QLinearAveragePool and QLinearGlobalAveragePool on 8-bit tensors, channels first or last, and
// QLinearConcat, which brings its inputs to one scale while it joins them.
//
//   y = saturate(round_half_even(mean(x - x_zero) * x_scale / y_scale) + y_zero)
//
// The sum is exact in int64, the quotient in float. Without zero points they are 0. What lies with channels last, by
// the attribute or by the plan, goes to pool_nhwc_u8.
#include <math.h>

#include "base/size.h"
#include "kernels/pool_nhwc_u8/pool_nhwc_u8.h"
#include "kernels/quantize/quantize.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/quantization.h"
#include "ops/parts/window_attrs.h"
#include "tensor/convert.h"

enum { X, X_SCALE, X_ZERO, Y_SCALE, Y_ZERO };

typedef struct qpool_params {
  window_attrs window;
  bool global, channels_last, include_pad;
} qpool_params;

static sdx_status read_common(op_params_context *c, qpool_params *p) {
  p->channels_last = params_int(c, "channels_last") != 0;
  p->include_pad = params_int(c, "count_include_pad") != 0;
  if (p->global) return SDX_OK;
  SDX_TRY(window_attrs_read(c, &p->window));
  return p->window.kernel ? SDX_OK : params_fail(c, "kernel_shape", "is empty");
}
static sdx_status qlinear_average_pool_read(op_params_context *c, void *params) { return read_common(c, params); }
static sdx_status qlinear_global_average_pool_read(op_params_context *c, void *params) {
  ((qpool_params *)params)->global = true;
  return read_common(c, params);
}

static sdx_status qlinear_pool_infer(op_step *c) {
  const qpool_params *p = c->params;
  static const size_t scalars[] = {X_SCALE, X_ZERO, Y_SCALE, Y_ZERO};
  int spatial, rank = infer_rank_of(c, X);
  int64_t out[WINDOW_MAX_RANK + 2];
  for (size_t i = 0; i < 4; i++) SDX_TRY(infer_per_channel(c, scalars[i], 1));
  SDX_TRY(window_attrs_rank(c, &p->window, X, &spatial));
  size_t first = p->channels_last ? 1 : 2;
  for (int i = 0; i < rank; i++) {
    size_t d = (size_t)i - first;
    bool is_spatial = (size_t)i >= first && d < (size_t)spatial;
    out[i] = c->in_types[X]->dims[i];
    if (is_spatial && p->global) out[i] = 1;
    else if (is_spatial) SDX_TRY(window_attrs_output(c, &p->window, d, out[i], p->window.kernel[d], &out[i]));
  }
  return infer_output(c, 0, infer_dtype_of(c, X), rank, out);
}

static void qlinear_pool_layouts(op_step *c, step_layouts *l) {
  if (!((const qpool_params *)c->params)->channels_last) layouts_follow(c, l);
}

typedef struct work {
  const qpool_params *p;
  const tensor *x;
  tensor *y;
  window g;
  const pool_nhwc_u8_kernel *kernel;
  size_t channels, in, out;
  bool last;
  pool_nhwc_u8_mean mean;
} work;

// Each output element on its own; channels last only changes where elements lie.
static void pool_elements(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  const window *g = &w->g;
  sdx_dtype dtype = (sdx_dtype)w->x->dtype;
  for (size_t i = begin; i < end; i++) {
    size_t channel = w->last ? i % w->channels : i / w->out % w->channels;
    size_t o = w->last ? i / w->channels % w->out : i % w->out, n = i / w->channels / w->out;
    int64_t at[WINDOW_MAX_RANK], tap[WINDOW_MAX_RANK] = {0}, sum = 0, places = 0;
    size_t taken = 0;
    window_unravel(o, g->out, g->rank, at);
    do {
      size_t flat = 0;
      bool inside = true, padded = true;
      for (size_t d = 0; d < g->rank; d++) {
        int64_t a = at[d] * g->stride[d] + tap[d] - g->pad[d];
        inside &= a >= 0 && a < g->in[d];
        padded &= a < g->in[d] + g->pad_end[d];
        flat = flat * (size_t)g->in[d] + (size_t)(inside ? a : 0);
      }
      places += w->p->include_pad ? padded : inside;
      if (!inside) continue;
      size_t from = w->last ? (n * w->in + flat) * w->channels + channel : (n * w->channels + channel) * w->in + flat;
      sum += convert_get_int(dtype, w->x->data, from) - w->mean.x_zero;
    } while (window_next(tap, g->kernel, g->rank) && !pool_stopped_in(taken++));
    float v = places ? rintf((float)sum / (float)places * w->mean.scale) : 0;
    convert_set_int(dtype, w->y->data, i,
                    (int64_t)(v > 0x1p20f    ? 0x1p20f
                              : v > -0x1p20f ? v
                                             : -0x1p20f) +
                        w->mean.y_zero);
  }
}

// Output pixels of all images, cut into blocks of channels so that a global pool has work for several threads.
enum { CHANNEL_BLOCK = 256 };

static void pool_pixels(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  size_t blocks = (w->channels + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
  for (size_t i = begin; i < end; i++) {
    size_t first = i % blocks * CHANNEL_BLOCK, pixel = i / blocks, image = pixel / w->out, rest = w->channels - first;
    pool_nhwc_u8_image it = {.window = &w->g,
                             .channels = rest < CHANNEL_BLOCK ? rest : CHANNEL_BLOCK,
                             .x = (const char *)w->x->data + image * w->in * w->channels + first,
                             .x_stride = w->channels,
                             .y = (char *)w->y->data + image * w->out * w->channels + first,
                             .y_stride = w->channels,
                             .is_signed = w->x->dtype == SDX_INT8};
    w->kernel->average(&it, pixel % w->out, pixel % w->out + 1, &w->mean);
  }
}

static void build_window(const qpool_params *p, const int64_t *in, const int64_t *out, size_t rank, window *g) {
  if (!p->global) {
    window_attrs_build(&p->window, rank, in, NULL, out, g);
    return;
  }
  *g = (window){.rank = rank};
  for (size_t d = 0; d < rank; d++)
    g->in[d] = in[d], g->kernel[d] = i64_max(in[d], 1), g->out[d] = g->stride[d] = g->dilation[d] = 1;
}

static sdx_status qlinear_pool_compute(op_step *c) {
  enum { MOST_ELEMENTS = 1 << 23 };  // of a window that pool_nhwc_u8 sums
  const qpool_params *p = c->params;
  const tensor *x = step_in(c, X), *x_scale = step_in(c, X_SCALE), *y_scale = step_in(c, Y_SCALE);
  work w = {.p = p, .x = x, .y = step_out(c, 0), .kernel = KERNEL_BEST(pool_nhwc_u8)};
  if (w.y->count == 0) return SDX_OK;
  for (size_t i = X_SCALE; i <= Y_SCALE; i += Y_SCALE - X_SCALE)
    if (step_in(c, i)->count != 1)
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %zu elements, expected 1", step_in(c, i)->count);
  w.last = p->channels_last || c->layout == LAYOUT_CHANNELS_LAST;
  size_t first = w.last ? 1 : 2;
  w.channels = (size_t)x->dims[w.last ? x->rank - 1 : 1];
  w.mean = (pool_nhwc_u8_mean){.x_zero = zero_at(step_in(c, X_ZERO), 0),
                               .y_zero = zero_at(step_in(c, Y_ZERO), 0),
                               .scale = scale_at(x_scale, 0) / scale_at(y_scale, 0),
                               .include_pad = p->include_pad};
  build_window(p, x->dims + first, w.y->dims + first, x->rank - 2u, &w.g);
  w.in = window_in(&w.g), w.out = window_out(&w.g);
  size_t taps = window_taps(&w.g);
  if (w.last && w.in <= MOST_ELEMENTS) {
    size_t blocks = (w.channels + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK, width = w.channels / blocks;
    call_parallel(c, (size_t)x->dims[0] * w.out * blocks, 1 + 32768 / (taps * width + 1), pool_pixels, &w);
  } else {
    call_parallel(c, w.y->count, 1 + 8192 / taps, pool_elements, &w);
  }
  return call_check(c);
}

// ---- QLinearConcat --------------------------------------------------------------------------------

typedef struct concat_params {
  int64_t axis;
} concat_params;

enum { C_SCALE, C_ZERO, C_FIRST };  // then triples of tensor, scale, zero point

static sdx_status qlinear_concat_read(op_params_context *c, void *params) {
  ((concat_params *)params)->axis = params_int(c, "axis");
  return SDX_OK;
}

static sdx_status qlinear_concat_infer(op_step *c) {
  int64_t axis = ((const concat_params *)c->params)->axis, out[TENSOR_MAX_RANK];
  sdx_dtype dtype = infer_dtype_of(c, C_ZERO);
  int rank = c->input_count > C_FIRST ? infer_rank_of(c, C_FIRST) : -1;
  if ((c->input_count - C_FIRST) % 3 || c->input_count <= C_FIRST)
    return step_fail(c, SDX_INVALID_GRAPH,
                     "%u inputs are given, expected 2 and then triples of tensor, scale and zero point",
                     c->input_count);
  for (size_t scale = C_SCALE; scale < c->input_count; scale += 3) {
    SDX_TRY(infer_per_channel(c, scale, 1));
    SDX_TRY(infer_per_channel(c, scale + 1, 1));
  }
  for (size_t i = C_FIRST; i < c->input_count; i += 3)
    if (infer_rank_of(c, i) < 0) return infer_output(c, 0, dtype, -1, NULL);
  SDX_TRY(step_located(c, axis_normalize(&axis, (size_t)rank, at_attribute("axis"), c->err)));
  memcpy(out, c->in_types[C_FIRST]->dims, (size_t)rank * sizeof *out);
  for (size_t i = C_FIRST + 3; i < c->input_count; i += 3) {
    SDX_TRY(infer_rank(c, i, rank, rank));
    for (int d = 0; d < rank; d++) {
      int64_t have = c->in_types[i]->dims[d];
      if (d == (int)axis) out[d] = out[d] < 0 || have < 0 || !i64_add(out[d], have, &out[d]) ? DIM_UNKNOWN : out[d];
      else if (out[d] < 0) out[d] = have;
      else if (have >= 0 && have != out[d])
        return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %lld in dimension %d, expected %lld",
                            (long long)have, d, (long long)out[d]);
    }
  }
  return infer_output(c, 0, dtype, rank, out);
}

// Rows of one input, each at its place in a row of the output.
typedef struct concat_work {
  const quantize_kernel *kernel;
  const tensor *x;
  tensor *y;
  size_t piece, row, offset;  // elements
  quantize_scale from, to;
  uint8_t table[256];  // of bytes
} concat_work;

static void fill_table(concat_work *w) {
  uint8_t every[256];
  float values[256];
  const quantize_kernel *k = w->kernel;
  for (int i = 0; i < 256; i++) every[i] = (uint8_t)i;
  if (w->x->dtype == SDX_INT8) k->from_s8((const int8_t *)every, values, 256, w->from.scale, w->from.zero);
  else k->from_u8(every, values, 256, w->from.scale, w->from.zero);
  if (w->y->dtype == SDX_INT8) k->to_s8(values, (int8_t *)w->table, 256, w->to.scale, w->to.zero);
  else k->to_u8(values, w->table, 256, w->to.scale, w->to.zero);
}

static void concat_rows(void *context, size_t begin, size_t end, size_t worker) {
  const concat_work *w = context;
  const quantize_kernel *k = w->kernel;
  for (size_t i = begin; i < end; i++) {
    uint8_t *y = (uint8_t *)w->y->data + i * w->row + w->offset;
    const uint8_t *x = (const uint8_t *)w->x->data + i * w->piece;
    const float *floats = (const float *)w->x->data + i * w->piece;
    if (w->x->dtype != SDX_FLOAT)
      for (size_t n = 0; n < w->piece; n++) y[n] = w->table[x[n]];
    else if (w->y->dtype == SDX_INT8) k->to_s8(floats, (int8_t *)y, w->piece, w->to.scale, w->to.zero);
    else k->to_u8(floats, y, w->piece, w->to.scale, w->to.zero);
  }
}

static sdx_status qlinear_concat_compute(op_step *c) {
  tensor *y = step_out(c, 0);
  int64_t axis = ((const concat_params *)c->params)->axis;
  concat_work w = {.kernel = KERNEL_BEST(quantize),
                   .y = y,
                   .to = {scale_at(step_in(c, C_SCALE), 0), zero_at(step_in(c, C_ZERO), 0)}};
  SDX_TRY(step_axis(c, &axis, y->rank, at_attribute("axis")));
  size_t inner = 1, outer = 1;
  for (size_t d = 0; d < y->rank; d++)
    *(d < (size_t)axis ? &outer : &inner) *= d == (size_t)axis ? 1 : (size_t)y->dims[d];
  w.row = (size_t)y->dims[axis] * inner;
  for (size_t i = C_FIRST; i < c->input_count; i += 3) {
    w.x = step_in(c, i);
    w.from = (quantize_scale){scale_at(step_in(c, i + 1), 0), zero_at(step_in(c, i + 2), 0)};
    w.piece = (size_t)w.x->dims[axis] * inner;
    if (w.x->dtype != SDX_FLOAT) fill_table(&w);
    if (w.piece) call_parallel(c, outer, 1 + 32768 / w.piece, concat_rows, &w);
    w.offset += w.piece;
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

SDX_CASES = {
    "X=uint8[1,2,5,6] x_scale=float(0.1) x_zero_point=uint8(100) y_scale=float(0.12) y_zero_point=uint8(90) "
    "kernel_shape=3,2 pads=1,0,1,1",
    NULL};
static const char *const global_cases[] = {
    "X=int8[1,2,5,6] x_scale=float(0.1) x_zero_point=int8(10) y_scale=float(0.12) y_zero_point=int8(9)", NULL};

#define COMMON                                                                                                 \
  .since = 1, .versions = "1", .inputs = "X:T x_scale:float x_zero_point:T? y_scale:float y_zero_point:T?",    \
  .outputs = "Y:T", .types = "T=uint8,int8", .params_size = sizeof(qpool_params), .infer = qlinear_pool_infer, \
  .layouts = qlinear_pool_layouts, .compute = qlinear_pool_compute

SDX_OP_MS(QLinearAveragePool) = {COMMON,
                                 .attrs =
                                     "auto_pad:string=NOTSET ceil_mode:int=0 channels_last:int=0 "
                                     "count_include_pad:int=0 kernel_shape:ints! pads:ints strides:ints",
                                 .params = qlinear_average_pool_read, .cases = cases};
SDX_OP_MS(QLinearGlobalAveragePool) = {COMMON, .attrs = "channels_last:int=0",
                                       .params = qlinear_global_average_pool_read, .cases = global_cases};
static const char *const qlinear_concat_cases[] = {
    "Y_scale=float(0.2) Y_zero_point=uint8(10) inputs=uint8[2,3]@0..255 inputs=float(0.1) inputs=uint8(5) "
    "inputs=uint8[2,4]@0..255 inputs=float(0.3) inputs=uint8(20) axis=1",
    NULL};

SDX_OP_MS(QLinearConcat) = {
    .since = 1,
    .versions = "1",
    .inputs = "Y_scale:TF Y_zero_point:T8 inputs:TV+",
    .outputs = "Y:T8",
    .types = "T8=uint8,int8;TF=float;TV=uint8,int8,float",
    .attrs = "axis:int!",
    .flags = OP_MIXED,
    .params_size = sizeof(concat_params),
    .params = qlinear_concat_read,
    .infer = qlinear_concat_infer,
    .layouts = layouts_follow,
    .compute = qlinear_concat_compute,
    .cases = qlinear_concat_cases,
};
