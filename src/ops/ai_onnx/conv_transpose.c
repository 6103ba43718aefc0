// SPDX-License-Identifier: Apache-2.0
// ConvTranspose: the gradient of Conv. Y[n][m][i * stride + t * dilation - pad] += X[n][c][i] * W[c][m][t].
//
//   size      stride * (in - 1) + output_padding + (kernel - 1) * dilation + 1 - pads
//   SAME_*    size is in * stride, the pads follow; `output_shape` sets the size itself. An odd pad goes
//             behind for SAME_UPPER, else before. Where the size asked for is larger than the formula's, the
//             elements behind stay at the bias.
//
// History: 1 and 11 differ in wording only; 22 adds bfloat16. Files give output_shape for the spatial
// dimensions; some for all dimensions of Y, which is accepted too.
#include "kernels/conv_transpose_f32/conv_transpose_f32.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/conv.h"
#include "ops/parts/floats.h"

enum { X, W, B };

typedef struct transpose_params {
  window_attrs window;
  int64_t group;
  const int64_t *output_padding, *output_shape;  // [spatial] or NULL
} transpose_params;

// ---- params ---------------------------------------------------------------------------------------

static sdx_status read_list(op_params_context *c, const char *name, size_t skippable, window_attrs *w, int64_t low,
                            const int64_t **out) {
  size_t count = 0;
  const int64_t *at = params_ints(c, name, &count);
  *out = NULL;
  if (count == 0) return SDX_OK;
  if (skippable && w->rank && count == w->rank + skippable) at += skippable, count -= skippable;
  if (w->rank && count != w->rank)
    return params_fail(c, name, "has %zu entries, but the other lists describe %zu spatial dimensions", count, w->rank);
  if (count > WINDOW_MAX_RANK)
    return params_fail(c, name, "has %zu entries, expected at most %d", count, WINDOW_MAX_RANK);
  w->rank = count;
  for (size_t i = 0; i < count; i++)
    if (at[i] < low || at[i] > 1 << 30)
      return params_fail(c, name, "[%zu] is %lld, expected %lld to 2^30", i, (long long)at[i], (long long)low);
  *out = at;
  return SDX_OK;
}

static sdx_status conv_transpose_read(op_params_context *c, void *params) {
  transpose_params *p = params;
  conv_params common;
  SDX_TRY(conv_read(c, &common));
  p->window = common.window, p->group = common.group;
  SDX_TRY(read_list(c, "output_padding", 0, &p->window, 0, &p->output_padding));
  return read_list(c, "output_shape", 2, &p->window, 1, &p->output_shape);
}

// ---- sizes ----------------------------------------------------------------------------------------

// Size of dimension d of Y and its leading pad.
static int64_t size_of(const transpose_params *p, size_t d, int64_t in, int64_t kernel, int64_t *pad) {
  const window_attrs *w = &p->window;
  int64_t stride = window_attrs_stride(w, d), extra = p->output_padding ? p->output_padding[d] : 0;
  int64_t full = INT64_MAX;
  if (!i64_mul(stride, in - 1, &full)) return -1;
  if (!i64_add(full, extra + (kernel - 1) * window_attrs_dilation(w, d) + 1, &full)) return -1;
  bool same = w->auto_pad == PAD_SAME_UPPER || w->auto_pad == PAD_SAME_LOWER;
  if (p->output_shape || same) {
    int64_t wanted = in * stride;  // no overflow: stride * (in - 1) fits with room to spare
    if (p->output_shape) wanted = p->output_shape[d];
    int64_t total = i64_max(0, full - wanted);
    *pad = w->auto_pad == PAD_SAME_UPPER ? total / 2 : total - total / 2;
    return wanted;
  }
  *pad = w->auto_pad == PAD_NOTSET && w->pads ? w->pads[d] : 0;
  return full - *pad - (w->auto_pad == PAD_NOTSET && w->pads ? w->pads[d + w->rank] : 0);
}

// ---- infer ----------------------------------------------------------------------------------------

static sdx_status conv_transpose_infer(op_step *c) {
  const transpose_params *p = c->params;
  int spatial = -1, weights_spatial = -1;
  sdx_dtype dtype = infer_dtype_of(c, X);
  SDX_TRY(window_attrs_rank(c, &p->window, X, &spatial));
  SDX_TRY(window_attrs_rank(c, &p->window, W, &weights_spatial));
  if (spatial < 0 || weights_spatial < 0) return infer_output(c, 0, dtype, -1, NULL);
  if (spatial != weights_spatial)
    return step_fail_at(c, at_input(X), SDX_INVALID_SHAPE,
                        "has %d spatial dimensions, expected %d: as the weights have", spatial, weights_spatial);
  const int64_t *in = c->in_types[X]->dims, *weights = c->in_types[W]->dims;
  if (in[1] >= 0 && weights[0] >= 0 && in[1] != weights[0])
    return step_fail_at(c, at_input(X), SDX_INVALID_SHAPE, "has %lld channels, expected %lld: as the weights have",
                        (long long)in[1], (long long)weights[0]);
  if (weights[0] >= 0 && weights[0] % p->group != 0)
    return step_fail_at(c, at_input(W), SDX_INVALID_SHAPE,
                        "has %lld input channels, expected a multiple of %lld groups", (long long)weights[0],
                        (long long)p->group);
  SDX_TRY(window_attrs_match(c, &p->window, W, weights + 2, (size_t)spatial));
  int64_t out[WINDOW_MAX_RANK + 2] = {in[0], DIM_UNKNOWN};
  if (weights[1] >= 0 && !i64_mul(weights[1], p->group, &out[1]))
    return step_fail(c, SDX_INVALID_SHAPE, "the number of output channels overflows");
  SDX_TRY(conv_infer_bias(c, B, out[1]));
  for (size_t d = 0; d < (size_t)spatial; d++) {
    int64_t size = in[d + 2], kernel = weights[d + 2], pad = 0;
    out[d + 2] = p->output_shape ? p->output_shape[d] : DIM_UNKNOWN;
    if (size < 0 || kernel < 0) continue;
    out[d + 2] = size_of(p, d, size, kernel, &pad);
    if (out[d + 2] < 1 || out[d + 2] > (int64_t)1 << 40)
      return step_fail_at(c, at_output(0), SDX_INVALID_SHAPE,
                          "would have %lld in spatial dimension %zu, expected 1 to 2^40", (long long)out[d + 2], d);
  }
  return infer_output(c, 0, dtype, spatial + 2, out);
}

// ---- prepare --------------------------------------------------------------------------------------

typedef struct transpose_state {
  conv_transpose_f32_plan plan;
  const void *packed;
} transpose_state;

static void pack(void *target, const float *weights, const void *plan) {
  conv_transpose_f32_pack(plan, weights, target);
}

static sdx_status pack_weights(op_step *c, transpose_state *s) {
  pack_format format = conv_transpose_f32_format(&s->plan);
  return floats_pack(c, W, &format, s->plan.packed_bytes, pack, &s->plan, &s->packed);
}

static sdx_status conv_transpose_prepare(op_step *c) {
  const transpose_params *p = c->params;
  const tensor *x = step_in(c, X), *w = step_in(c, W), *y = step_out(c, 0);
  transpose_state *s = arena_zalloc(c->memory, sizeof *s);
  if (!s) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  c->kernel = "portable";
  conv_transpose_f32_shape shape = {.batch = (size_t)x->dims[0],
                                    .groups = (size_t)p->group,
                                    .in_channels = (size_t)x->dims[1],
                                    .out_channels = (size_t)y->dims[1],
                                    .threads = c->threads,
                                    .precision = c->precision,
                                    .constant_weights = c->packable[W]};
  shape.window.rank = x->rank - 2u;
  for (size_t d = 0; d < shape.window.rank; d++) {
    shape.window.in[d] = y->dims[d + 2], shape.window.out[d] = x->dims[d + 2], shape.window.kernel[d] = w->dims[d + 2];
    shape.window.stride[d] = window_attrs_stride(&p->window, d),
    shape.window.dilation[d] = window_attrs_dilation(&p->window, d);
    size_of(p, d, x->dims[d + 2], w->dims[d + 2], &shape.window.pad[d]);
  }
  s->plan.shape = shape;
  if (y->count == 0 || x->dtype == SDX_DOUBLE) return SDX_OK;
  if (!conv_transpose_f32_plan_init(&s->plan, &shape)) return error_no_memory(c->err, SIZE_MAX);
  if (s->plan.packed_bytes) SDX_TRY(pack_weights(c, s));
  size_t total = 0;
  bool fits = scratch_reserve(&total, s->plan.scratch_bytes) && floats_reserve(&total, x) &&
              (s->packed || floats_reserve(&total, w)) &&
              floats_reserve(&total, c->input_count > B ? step_in(c, B) : NULL) && floats_reserve(&total, y);
  if (!fits) return error_no_memory(c->err, SIZE_MAX);
  c->scratch_bytes = total;
  c->kernel = s->plan.gemm.name;
  return SDX_OK;
}

// ---- compute --------------------------------------------------------------------------------------

typedef struct loop {
  const conv_transpose_f32_shape *shape;
  const double *x, *w, *bias;
  double *y;
} loop;

static void double_planes(void *context, size_t begin, size_t end, size_t worker) {
  const loop *l = context;
  const conv_transpose_f32_shape *s = l->shape;
  const window *g = &s->window;
  size_t in = window_in(g), out = window_out(g), taps = window_taps(g);
  size_t channels = s->in_channels / s->groups, maps = s->out_channels / s->groups;
  for (size_t plane = begin; plane < end; plane++) {
    size_t n = plane / s->out_channels, m = plane % s->out_channels, group = m / maps;
    double *y = l->y + plane * in;
    for (size_t i = 0; i < in; i++) y[i] = l->bias ? l->bias[m] : 0;
    for (size_t ch = group * channels; out && ch < (group + 1) * channels; ch++) {
      const double *x = l->x + (n * s->in_channels + ch) * out;
      const double *w = l->w + (ch * maps + m % maps) * taps;
      int64_t tap[WINDOW_MAX_RANK] = {0};
      do {
        int64_t at[WINDOW_MAX_RANK] = {0};
        size_t o = 0;
        do {
          int64_t place;
          if (window_place(g, g->rank, at, tap, &place)) y[place] += *w * x[o];
          o++;
        } while (window_next(at, g->out, g->rank));
        w++;
      } while (window_next(tap, g->kernel, g->rank));
    }
  }
}

static sdx_status conv_transpose_compute(op_step *c) {
  const transpose_state *s = c->state;
  const tensor *bias = step_in(c, B);
  tensor *y = step_out(c, 0);
  if (y->count == 0) return SDX_OK;
  if (y->dtype == SDX_DOUBLE) {
    loop l = {&s->plan.shape, step_in(c, X)->data, step_in(c, W)->data, bias ? bias->data : NULL, y->data};
    call_parallel(c, (size_t)y->dims[0] * (size_t)y->dims[1], 1, double_planes, &l);
    return call_check(c);
  }
  char *scratch = c->scratch;
  void *own = scratch_take(&scratch, s->plan.scratch_bytes);
  conv_transpose_f32_call call = {.packed = s->packed};
  call.x = floats_load(c, step_in(c, X), &scratch);
  call.weights = s->packed ? NULL : floats_load(c, step_in(c, W), &scratch);
  call.bias = floats_load(c, bias, &scratch);
  call.y = floats_target(y, &scratch);
  conv_transpose_f32_run(&s->plan, &call, own);
  floats_store(c, y, call.y);
  return SDX_OK;
}

SDX_CASES = {"X=float[2,3,5,4] W=float[3,4,3,3] B=float[4] strides=2,1 pads=1,0,1,1 output_padding=1,0",
             "X=float[1,4,6] W=float[4,2,3] group=2 auto_pad=SAME_UPPER strides=2",
             "X=double[1,2,3,3] W=double[2,2,2,2] output_shape=6,6 strides=2,2", NULL};

SDX_OP(ConvTranspose) = {
    .since = 22,
    .versions = "22 11 1",
    .inputs = "X:T W:T B:T?",
    .outputs = "Y:T",
    .types = "T=float,double,float16,bfloat16",
    .attrs =
        "auto_pad:string=NOTSET dilations:ints group:int=1 kernel_shape:ints output_padding:ints output_shape:ints "
        "pads:ints strides:ints",
    .params_size = sizeof(transpose_params),
    .params = conv_transpose_read,
    .infer = conv_transpose_infer,
    .prepare = conv_transpose_prepare,
    .compute = conv_transpose_compute,
    .cases = cases,
};
