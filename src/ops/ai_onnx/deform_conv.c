// SPDX-License-Identifier: Apache-2.0
// DeformConv: a convolution whose taps are moved by learned offsets and weighted by a mask. Every tap is a
// multilinear sample of X at its own place; what lies outside is 0.
//
//   offset  [N, offset_group * taps * spatial, out...]   how far each tap moves along each axis
//   mask    [N, offset_group * taps, out...]             1 where absent
//
// One image at a time the samples of all channels become a matrix [C * taps, out], and the rest is a matrix
// product per group. Samples are computed in double; the product is gemm_f32's, or a plain loop for double.
#include <math.h>

#include "kernels/gemm_f32/gemm_f32.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/conv.h"
#include "ops/parts/floats.h"

enum { X, W, OFFSET, B, MASK };

typedef struct deform_params {
  conv_params conv;
  int64_t offset_group;
} deform_params;

static sdx_status deform_conv_read(op_params_context *c, void *params) {
  deform_params *p = params;
  p->offset_group = params_int(c, "offset_group");
  if (p->offset_group < 1)
    return params_fail(c, "offset_group", "is %lld, expected at least 1", (long long)p->offset_group);
  return conv_read(c, &p->conv);
}

// Input i must be [N, channels, out...].
static sdx_status need(op_step *c, size_t i, const char *name, int64_t channels) {
  if (i >= c->input_count || !c->in_types[i]) return SDX_OK;
  const type_info *y = &c->out_types[0];
  SDX_TRY(infer_rank(c, i, y->rank, y->rank));
  for (int d = 0; infer_rank_of(c, i) >= 0 && d < y->rank; d++) {
    int64_t have = c->in_types[i]->dims[d], want = d == 1 ? channels : y->dims[d];
    if (have >= 0 && want >= 0 && have != want)
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %lld in dimension %d, expected %lld", (long long)have,
                          d, (long long)want);
  }
  return SDX_OK;
}

static sdx_status deform_conv_infer(op_step *c) {
  const deform_params *p = c->params;
  SDX_TRY(conv_infer_shape(c, &p->conv, X, W, B, infer_dtype_of(c, X)));
  int rank = infer_rank_of(c, W);
  int64_t taps = p->offset_group, channels = infer_rank_of(c, X) > 1 ? c->in_types[X]->dims[1] : DIM_UNKNOWN;
  if (channels >= 0 && channels % p->offset_group)
    return step_fail_at(c, at_input(X), SDX_INVALID_SHAPE,
                        "has %lld channels, which do not divide into %lld offset groups", (long long)channels,
                        (long long)p->offset_group);
  if (!c->output_count || c->out_types[0].rank < 0 || rank < 0) return SDX_OK;
  for (int d = 2; d < rank; d++)
    if (taps < 0 || c->in_types[W]->dims[d] < 0 || !i64_mul(taps, c->in_types[W]->dims[d], &taps)) taps = DIM_UNKNOWN;
  SDX_TRY(need(c, OFFSET, "offset", taps < 0 || taps > INT64_MAX / 64 ? DIM_UNKNOWN : taps * (rank - 2)));
  return need(c, MASK, "mask", taps);
}

// ---- prepare --------------------------------------------------------------------------------------

typedef struct deform_state {
  window window;
  size_t channels, groups, outputs;  // channels of X, groups, channels of Y
  size_t taps, in, out;
  gemm_f32_plan plan;
} deform_state;

static sdx_status deform_conv_prepare(op_step *c) {
  const deform_params *p = c->params;
  const tensor *x = step_in(c, X), *w = step_in(c, W), *y = step_out(c, 0);
  deform_state *s = arena_zalloc(c->memory, sizeof *s);
  size_t columns = 0, total = 0;
  if (!s) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  c->kernel = "portable";
  window_attrs_build(&p->conv.window, x->rank - 2u, x->dims + 2, w->dims + 2, y->dims + 2, &s->window);
  s->channels = (size_t)x->dims[1], s->groups = (size_t)p->conv.group, s->outputs = (size_t)w->dims[0];
  s->taps = window_taps(&s->window), s->in = window_in(&s->window), s->out = window_out(&s->window);
  if (y->count == 0) return SDX_OK;
  bool wide = x->dtype == SDX_DOUBLE;
  bool fits = size_mul(s->channels, s->taps, &columns) && size_mul(columns, s->out, &columns) &&
              size_mul(columns, wide ? sizeof(double) : sizeof(float), &columns) && scratch_reserve(&total, columns);
  if (fits && !wide) {
    gemm_f32_shape shape = {.m = s->outputs / s->groups,
                            .n = s->out,
                            .k = s->channels / s->groups * s->taps,
                            .batch = s->groups,
                            .threads = c->threads,
                            .precision = c->precision};
    fits = gemm_f32_plan_init(&s->plan, &shape) && scratch_reserve(&total, s->plan.scratch_bytes) &&
           floats_reserve(&total, w) && floats_reserve(&total, y) &&
           floats_reserve(&total, c->input_count > B ? step_in(c, B) : NULL);
    c->kernel = s->plan.name;
  }
  if (!fits) return error_no_memory(c->err, SIZE_MAX);
  c->scratch_bytes = total;
  return SDX_OK;
}

// ---- compute --------------------------------------------------------------------------------------

typedef struct work {
  const deform_state *s;
  const tensor *x, *offset, *mask;
  size_t n, per_group;  // image; channels of an offset group
  void *columns;
} work;

// Multilinear sample of one plane; 2^rank corners, those outside are 0.
static double sample(const work *w, size_t plane, const double *place) {
  const window *g = &w->s->window;
  double sum = 0;
  for (size_t corner = 0; corner < (size_t)1 << g->rank; corner++) {
    double weight = 1;
    size_t at = 0;
    bool inside = true;
    for (size_t d = 0; d < g->rank; d++) {
      double low = floor(place[d]), part = place[d] - low;
      bool up = corner >> d & 1;
      double i = low + up;
      inside = inside && i >= 0 && i < (double)g->in[d];  // false for NaN
      weight *= up ? part : 1 - part;
      at = at * (size_t)g->in[d] + (size_t)(inside ? i : 0);
    }
    if (inside && weight != 0) sum += weight * tensor_number_at(w->x, plane + at);
  }
  return sum;
}

// Rows are (channel, tap).
static void sample_rows(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  const deform_state *s = w->s;
  const window *g = &s->window;
  size_t offset_groups = s->channels / w->per_group;
  for (size_t row = begin; row < end; row++) {
    size_t channel = row / s->taps, tap = row % s->taps, group = channel / w->per_group;
    size_t plane = (w->n * s->channels + channel) * s->in, first = (w->n * offset_groups + group) * s->taps + tap;
    int64_t at[WINDOW_MAX_RANK] = {0}, where[WINDOW_MAX_RANK];
    window_unravel(tap, g->kernel, g->rank, where);
    for (size_t o = 0; o < s->out; o++) {
      double place[WINDOW_MAX_RANK];
      for (size_t d = 0; d < g->rank; d++)
        place[d] = (double)(at[d] * g->stride[d] + where[d] * g->dilation[d] - g->pad[d]) +
                   tensor_number_at(w->offset, (first * g->rank + d) * s->out + o);
      double v = sample(w, plane, place);
      if (w->mask) v *= tensor_number_at(w->mask, first * s->out + o);
      if (w->x->dtype == SDX_DOUBLE) ((double *)w->columns)[row * s->out + o] = v;
      else ((float *)w->columns)[row * s->out + o] = (float)v;
      window_next(at, g->out, g->rank);
    }
  }
}

static void multiply_doubles(const deform_state *s, const double *weights, const double *columns, const double *bias,
                             double *y) {
  size_t k = s->channels / s->groups * s->taps, maps = s->outputs / s->groups;
  for (size_t m = 0; m < s->outputs; m++) {
    double *to = y + m * s->out;
    for (size_t o = 0; o < s->out; o++) to[o] = bias ? bias[m] : 0;
    for (size_t i = 0; i < k; i++)
      for (size_t o = 0; o < s->out; o++) to[o] += weights[m * k + i] * columns[(m / maps * k + i) * s->out + o];
  }
}

static sdx_status deform_conv_compute(op_step *c) {
  const deform_params *p = c->params;
  const deform_state *s = c->state;
  const tensor *bias = step_in(c, B);
  tensor *y = step_out(c, 0);
  char *scratch = c->scratch;
  bool wide = y->dtype == SDX_DOUBLE;
  work w = {.s = s,
            .x = step_in(c, X),
            .offset = step_in(c, OFFSET),
            .mask = step_in(c, MASK),
            .per_group = s->channels / (size_t)p->offset_group};
  if (y->count == 0) return SDX_OK;
  size_t rows = s->channels * s->taps, k = rows / s->groups, maps = s->outputs / s->groups;
  w.columns = scratch_take(&scratch, rows * s->out * (wide ? sizeof(double) : sizeof(float)));
  void *own = wide ? NULL : scratch_take(&scratch, s->plan.scratch_bytes);
  const float *weights = wide ? NULL : floats_load(c, step_in(c, W), &scratch),
              *added = wide ? NULL : floats_load(c, bias, &scratch);
  float *target = wide ? NULL : floats_target(y, &scratch);
  for (w.n = 0; w.n < (size_t)y->dims[0]; w.n++) {
    call_parallel(c, rows, 1 + 1024 / s->out, sample_rows, &w);
    SDX_TRY(call_check(c));
    if (wide) {
      multiply_doubles(s, step_in(c, W)->data, w.columns, bias ? bias->data : NULL,
                       (double *)y->data + w.n * s->outputs * s->out);
      continue;
    }
    gemm_f32_call call = {
        .a = {.data = weights, .row_stride = k, .column_stride = 1, .batch_stride = maps * k},
        .b = {.data = w.columns, .row_stride = s->out, .column_stride = 1, .batch_stride = k * s->out},
        .c = target + w.n * s->outputs * s->out,
        .c_stride = s->out,
        .c_batch_stride = maps * s->out,
        .epilogue = GEMM_F32_PLAIN};
    call.epilogue.bias = added, call.epilogue.bias_kind = GEMM_BIAS_PER_ROW, call.epilogue.bias_batch_stride = maps;
    gemm_f32_run(&s->plan, &call, own);
  }
  if (!wide) floats_store(c, y, target);
  return SDX_OK;
}

SDX_CASES = {"X=float[1,4,5,5] W=float[2,2,3,3] offset=float[1,18,3,3] B=float[2] group=2",
             "X=double[1,1,3,3] W=double[1,1,2,2] offset=double[1,8,2,2] mask=double[1,4,2,2]", NULL};

SDX_OP(DeformConv) = {
    .since = 22,
    .versions = "22 19",
    .inputs = "X:T W:T offset:T B:T? mask:T?",
    .outputs = "Y:T",
    .types = "T=float,double,float16,bfloat16",
    .attrs = "dilations:ints group:int=1 kernel_shape:ints offset_group:int=1 pads:ints strides:ints",
    .params_size = sizeof(deform_params),
    .params = deform_conv_read,
    .infer = deform_conv_infer,
    .prepare = deform_conv_prepare,
    .compute = deform_conv_compute,
    .cases = cases,
};
