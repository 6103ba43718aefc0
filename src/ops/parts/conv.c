// SPDX-License-Identifier: Apache-2.0
// See conv.h. float goes to conv_f32 or, in channels-last, to conv_nhwc_f32, conv_dw_nhwc_f32 and winograd_f32; float16
// and bfloat16 go through conv_f32 (constant weights are widened once, while packing), double to the plain loop below.
// One to eight spatial dimensions.
#include "ops/parts/conv.h"

#include "kernels/conv_dw_nhwc_f32/conv_dw_nhwc_f32.h"
#include "kernels/conv_f32/conv_f32.h"
#include "kernels/conv_nhwc_f32/conv_nhwc_f32.h"
#include "kernels/winograd_f32/winograd_f32.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/floats.h"
#include "ops/prepare.h"

enum { X, W, B, Z };

sdx_status conv_read(op_params_context *c, void *params) {
  conv_params *p = params;
  p->group = params_int(c, "group");
  if (p->group < 1 || p->group > INT32_MAX)
    return params_fail(c, "group", "is %lld, expected 1 to %d", (long long)p->group, INT32_MAX);
  return window_attrs_read(c, &p->window);
}

// ---- infer ----------------------------------------------------------------------------------------

sdx_status conv_infer_bias(op_step *c, size_t bias, int64_t channels) {
  if (bias >= c->input_count || !c->in_types[bias]) return SDX_OK;
  SDX_TRY(infer_rank(c, bias, 1, 1));
  int64_t have = infer_rank_of(c, bias) == 1 ? c->in_types[bias]->dims[0] : -1;
  if (have >= 0 && channels >= 0 && have != channels)
    return step_fail_at(c, at_input(bias), SDX_INVALID_SHAPE, "has %lld elements, expected %lld", (long long)have,
                        (long long)channels);
  return SDX_OK;
}

sdx_status conv_infer_shape(op_step *c, const conv_params *p, size_t x, size_t w, size_t bias, sdx_dtype dtype) {
  int spatial = -1, weights_spatial = -1;
  SDX_TRY(window_attrs_rank(c, &p->window, x, &spatial));
  SDX_TRY(window_attrs_rank(c, &p->window, w, &weights_spatial));
  if (spatial < 0 || weights_spatial < 0)
    return infer_output(c, 0, dtype, spatial < 0 && weights_spatial < 0 ? -1 : i64_max(spatial, weights_spatial) + 2,
                        (const int64_t[]){-1, -1, -1, -1, -1, -1, -1, -1, -1, -1});
  if (spatial != weights_spatial)
    return step_fail_at(c, at_input(x), SDX_INVALID_SHAPE,
                        "has %d spatial dimensions, expected %d: as the weights have", spatial, weights_spatial);
  const int64_t *in = c->in_types[x]->dims, *weights = c->in_types[w]->dims;
  int64_t channels = weights[1], total;
  if (channels >= 0 && in[1] >= 0 && (!i64_mul(channels, p->group, &total) || total != in[1]))
    return step_fail_at(c, at_input(x), SDX_INVALID_SHAPE, "has %lld channels, expected %lld in each of %lld groups",
                        (long long)in[1], (long long)channels, (long long)p->group);
  if (weights[0] >= 0 && weights[0] % p->group != 0)
    return step_fail_at(c, at_input(w), SDX_INVALID_SHAPE,
                        "has %lld output channels, expected a multiple of %lld groups", (long long)weights[0],
                        (long long)p->group);
  SDX_TRY(conv_infer_bias(c, bias, weights[0]));
  SDX_TRY(window_attrs_match(c, &p->window, w, weights + 2, (size_t)spatial));
  int64_t out[WINDOW_MAX_RANK + 2] = {in[0], weights[0]};
  for (size_t d = 0; d < (size_t)spatial; d++)
    SDX_TRY(window_attrs_output(c, &p->window, d, in[d + 2], weights[d + 2], &out[d + 2]));
  return infer_output(c, 0, dtype, spatial + 2, out);
}

sdx_status conv_infer(op_step *c) {
  SDX_TRY(conv_infer_shape(c, c->params, X, W, B, infer_dtype_of(c, X)));
  if (c->input_count <= Z || infer_rank_of(c, Z) < 0 || c->out_types[0].rank < 0) return SDX_OK;
  SDX_TRY(infer_rank(c, Z, c->out_types[0].rank, c->out_types[0].rank));
  for (int i = 0; i < c->out_types[0].rank; i++) {
    int64_t have = c->in_types[Z]->dims[i], want = c->out_types[0].dims[i];
    if (have >= 0 && want >= 0 && have != want)
      return step_fail_at(c, at_input(Z), SDX_INVALID_SHAPE, "has %lld in dimension %d, expected %lld: as the output",
                          (long long)have, i, (long long)want);
  }
  return SDX_OK;
}

// ---- layouts --------------------------------------------------------------------------------------

// Each channel by itself: products of vectors, not of matrices.
static bool is_depthwise(const conv_params *p, const type_info *x) { return p->group > 1 && p->group == x->dims[1]; }

// What channels-last saves, in bytes reordered instead: a fraction of the products.
enum { PRODUCTS_PER_BYTE = 16 };

int64_t conv_layout_gain(const op_step *c, size_t weights) {
  const type_info *w = c->in_types[weights], *y = &c->out_types[0];
  double products = 1;
  for (int i = 0; i < y->rank; i++) products *= (double)y->dims[i];
  for (int i = 1; i < w->rank; i++) products *= (double)w->dims[i];
  return (int64_t)(products < 1e15 ? products / PRODUCTS_PER_BYTE : 1e15);
}

void conv_layouts(op_step *c, step_layouts *l) {
  const conv_params *p = c->params;
  const type_info *x = c->in_types[X];
  bool residual = Z < c->input_count && c->in_types[Z];
  if (x->dtype != SDX_FLOAT || !c->constants[W] || (residual && is_depthwise(p, x))) return;
  l->in[X] = l->out[0] = PORT_CHOSEN;
  if (residual) l->in[Z] = PORT_CHOSEN;
  l->gain = conv_layout_gain(c, W);
}

// ---- prepare --------------------------------------------------------------------------------------

typedef struct conv_state {
  conv_f32_plan plan;                        // its shape is also what the double loop reads
  conv_nhwc_f32_plan *last;                  // channels-last; else NULL
  winograd_f32_plan *winograd;               // channels-last and faster so; else NULL
  const conv_dw_nhwc_f32_kernel *depthwise;  // channels-last and depthwise; else NULL
  activation_fn activate;                    // depthwise: the function of the activation
  const void *packed;
} conv_state;

static void pack_last(void *target, const float *weights, const void *plan) {
  conv_nhwc_f32_pack(plan, weights, target);
}

typedef struct winograd_pack {
  const winograd_f32_plan *plan;
  void *scratch;
} winograd_pack;

static void pack_winograd(void *target, const float *weights, const void *context) {
  const winograd_pack *p = context;
  winograd_f32_pack(p->plan, weights, target, p->scratch);
}

static sdx_status prepare_winograd(op_step *c, conv_state *s, const conv_nhwc_f32_shape *shape, size_t tile) {
  s->winograd = arena_zalloc(c->memory, sizeof *s->winograd);
  if (!s->winograd) return error_no_memory(c->err, sizeof *s->winograd);
  if (!winograd_f32_plan_init(s->winograd, shape, tile)) return error_no_memory(c->err, SIZE_MAX);
  SDX_TRY(prepare_keep(c, W));
  const size_t bytes = s->winograd->packed_bytes;
  pack_format format = winograd_f32_format(s->winograd);
  winograd_pack context = {s->winograd, mem_alloc(c->memory->account, bytes)};
  if (!context.scratch) return error_no_memory(c->err, bytes);
  sdx_status status = floats_pack(c, W, &format, bytes, pack_winograd, &context, &s->packed);
  mem_free(context.scratch);
  c->scratch_bytes = s->winograd->scratch_bytes;
  c->kernel = s->winograd->name;
  return status;
}

// The larger tile of Winograd that suits and is as exact as asked for, or 0.
static size_t winograd_tile(const op_step *c, const conv_nhwc_f32_shape *shape) {
  bool highest = c->precision == 0;
  if (!highest && winograd_f32_suits(shape, 4)) return 4;
  return winograd_f32_suits(shape, 2) ? 2 : 0;
}

static sdx_status prepare_last(op_step *c, conv_state *s) {
  const conv_f32_shape *f = &s->plan.shape;
  conv_nhwc_f32_shape shape = {.window = f->window,
                               .batch = f->batch,
                               .groups = f->groups,
                               .in_channels = f->in_channels,
                               .out_channels = f->out_channels,
                               .threads = c->threads};
  size_t tile = winograd_tile(c, &shape);
  if (tile) return prepare_winograd(c, s, &shape, tile);
  s->last = arena_zalloc(c->memory, sizeof *s->last);
  if (!s->last) return error_no_memory(c->err, sizeof *s->last);
  if (!conv_nhwc_f32_plan_init(s->last, &shape)) return error_no_memory(c->err, SIZE_MAX);
  pack_format format = conv_nhwc_f32_format(s->last);
  SDX_TRY(floats_pack(c, W, &format, s->last->packed_bytes, pack_last, s->last, &s->packed));
  c->scratch_bytes = s->last->scratch_bytes;
  c->kernel = s->last->name;
  return SDX_OK;
}

static void pack_depthwise(void *target, const float *weights, const void *shape) {
  const conv_f32_shape *s = shape;
  conv_dw_nhwc_f32_pack(weights, window_taps(&s->window), s->in_channels, s->out_channels / s->in_channels, target);
}

static sdx_status prepare_depthwise(op_step *c, conv_state *s) {
  const tensor *w = step_in(c, W);
  pack_format format = pack_format_of("conv_dw_nhwc_f32", "", 1);
  format.groups = (uint32_t)s->plan.shape.groups;  // [channels * multiplier] weights say nothing of the multiplier
  s->depthwise = KERNEL_BEST(conv_dw_nhwc_f32);
  s->activate = activation_find(((const conv_params *)c->params)->activation.kind);
  c->kernel = kernel_best("conv_dw_nhwc_f32")->variant;
  return floats_pack(c, W, &format, w->bytes, pack_depthwise, &s->plan.shape, &s->packed);
}

static sdx_status compute_depthwise(op_step *c, const conv_state *s) {
  const conv_params *p = c->params;
  const conv_f32_shape *shape = &s->plan.shape;
  conv_dw_nhwc_f32_image first = {.window = &shape->window,
                                  .channels = shape->in_channels,
                                  .multiplier = shape->out_channels / shape->in_channels,
                                  .x = step_in(c, X)->data,
                                  .packed = s->packed,
                                  .bias = step_in(c, B) ? step_in(c, B)->data : NULL,
                                  .y = step_out(c, 0)->data,
                                  .x_stride = shape->in_channels,
                                  .y_stride = shape->out_channels,
                                  .activation = p->activation,
                                  .activate = s->activate};
  conv_dw_nhwc_f32_run(s->depthwise, &first, shape->batch, shape->threads);
  return SDX_OK;
}

static sdx_status compute_last(op_step *c, const conv_state *s) {
  const conv_params *p = c->params;
  const tensor *bias = step_in(c, B), *residual = step_in(c, Z);
  tensor *y = step_out(c, 0);
  size_t out_channels = s->plan.shape.out_channels;
  conv_nhwc_f32_call call = {.x = step_in(c, X)->data,
                             .packed = s->packed,
                             .bias = bias ? bias->data : NULL,
                             .residual = residual ? residual->data : NULL,
                             .activation = p->activation,
                             .y = y->data,
                             .x_stride = s->plan.shape.in_channels,
                             .residual_stride = out_channels,
                             .y_stride = out_channels};
  if (s->winograd) winograd_f32_run(s->winograd, &call, step_in(c, W)->data, c->scratch);
  else conv_nhwc_f32_run(s->last, &call, c->scratch);
  return SDX_OK;
}

static void pack(void *target, const float *weights, const void *plan) { conv_f32_pack(plan, weights, target); }

static sdx_status pack_weights(op_step *c, conv_state *s) {
  pack_format format = conv_f32_format(&s->plan);
  return floats_pack(c, W, &format, s->plan.packed_bytes, pack, &s->plan, &s->packed);
}

sdx_status conv_prepare(op_step *c) {
  const conv_params *p = c->params;
  const tensor *x = step_in(c, X), *w = step_in(c, W), *y = step_out(c, 0);
  const int64_t *in = c->in_types[X]->dims, *out = c->out_types[0].dims;
  conv_state *s = arena_zalloc(c->memory, sizeof *s);
  if (!s) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  conv_f32_shape shape = {.batch = (size_t)in[0],
                          .groups = (size_t)p->group,
                          .in_channels = (size_t)in[1],
                          .out_channels = (size_t)w->dims[0],
                          .threads = c->threads,
                          .precision = c->precision,
                          .constant_weights = c->packable[W]};
  window_attrs_build(&p->window, x->rank - 2u, in + 2, w->dims + 2, out + 2, &shape.window);
  s->plan.shape = shape;
  c->kernel = "portable";
  if (y->count == 0 || x->dtype == SDX_DOUBLE) return SDX_OK;
  if (c->layout == LAYOUT_CHANNELS_LAST)
    return is_depthwise(p, c->in_types[X]) ? prepare_depthwise(c, s) : prepare_last(c, s);
  if (!conv_f32_plan_init(&s->plan, &shape)) return error_no_memory(c->err, SIZE_MAX);
  if (s->plan.packed_bytes) SDX_TRY(pack_weights(c, s));
  size_t total = 0;
  bool fits = scratch_reserve(&total, s->plan.scratch_bytes) && floats_reserve(&total, x) &&
              (s->packed || floats_reserve(&total, w)) && floats_reserve(&total, step_in(c, B)) &&
              floats_reserve(&total, step_in(c, Z)) && floats_reserve(&total, y);
  if (!fits) return error_no_memory(c->err, SIZE_MAX);
  c->scratch_bytes = total;
  c->kernel = s->plan.name;
  return SDX_OK;
}

// ---- compute --------------------------------------------------------------------------------------

typedef struct loop {
  const conv_f32_shape *shape;
  const double *x, *w, *bias;
  double *y;
} loop;

enum { PIECE = 1024 };  // outputs done at once

// Pieces of planes of the output: taps outermost, so that each element is one chain in a fixed order.
static void double_pieces(void *context, size_t begin, size_t end, size_t worker) {
  const loop *l = context;
  const conv_f32_shape *s = l->shape;
  const window *g = &s->window;
  size_t in = window_in(g), out = window_out(g), taps = window_taps(g), channels = s->in_channels / s->groups;
  size_t pieces = (out + PIECE - 1) / PIECE;
  for (size_t unit = begin; unit < end; unit++) {
    size_t plane = unit / pieces, first = unit % pieces * PIECE, count = out - first < PIECE ? out - first : PIECE;
    size_t n = plane / s->out_channels, m = plane % s->out_channels, group = m / (s->out_channels / s->groups);
    double *y = l->y + plane * out + first;
    int64_t start[WINDOW_MAX_RANK];
    window_unravel(first, g->out, g->rank, start);
    for (size_t i = 0; i < count; i++) y[i] = l->bias ? l->bias[m] : 0;
    for (size_t ch = 0; ch < channels; ch++) {
      const double *x = l->x + (n * s->in_channels + group * channels + ch) * in;
      const double *w = l->w + (m * channels + ch) * taps;
      int64_t tap[WINDOW_MAX_RANK] = {0};
      do {
        double weight = *w++;
        int64_t at[WINDOW_MAX_RANK], place;
        memcpy(at, start, g->rank * sizeof *at);
        for (size_t o = 0; o < count; o++, window_next(at, g->out, g->rank))
          if (window_place(g, g->rank, at, tap, &place)) y[o] += weight * x[place];
      } while (window_next(tap, g->kernel, g->rank));
    }
  }
}

static const void *data_of(const op_step *c, size_t i) {
  const tensor *t = step_in(c, i);
  return t ? t->data : NULL;
}

sdx_status conv_compute(op_step *c) {
  const conv_params *p = c->params;
  const conv_state *s = c->state;
  tensor *y = step_out(c, 0);
  if (y->count == 0) return SDX_OK;
  if (s->last || s->winograd) return compute_last(c, s);
  if (s->depthwise) return compute_depthwise(c, s);
  if (y->dtype == SDX_DOUBLE) {
    loop l = {&s->plan.shape, data_of(c, X), data_of(c, W), data_of(c, B), y->data};
    size_t pieces = (window_out(&s->plan.shape.window) + PIECE - 1) / PIECE;
    call_parallel(c, (size_t)y->dims[0] * (size_t)y->dims[1] * pieces, 1, double_pieces, &l);
    return call_check(c);
  }
  char *scratch = c->scratch;
  void *conv_scratch = scratch_take(&scratch, s->plan.scratch_bytes);
  conv_f32_call call = {.packed = s->packed, .activation = p->activation};
  call.x = floats_load(c, step_in(c, X), &scratch);
  call.weights = s->packed ? NULL : floats_load(c, step_in(c, W), &scratch);
  call.bias = floats_load(c, step_in(c, B), &scratch);
  call.residual = floats_load(c, step_in(c, Z), &scratch);
  call.y = floats_target(y, &scratch);
  conv_f32_run(&s->plan, &call, conv_scratch);
  floats_store(c, y, call.y);
  return SDX_OK;
}
