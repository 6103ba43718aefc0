// SPDX-License-Identifier: Apache-2.0
// The driver of conv_transpose_f32: product into a matrix [channel, tap][place of x], then every channel's plane
// of y collects its taps in row-major order.
#include "kernels/conv_transpose_f32/conv_transpose_f32.h"

#include "base/pool.h"
#include "base/size.h"

enum { CHUNK_BYTES = 1 << 20, CHUNK_ROWS = 64 };

bool conv_transpose_f32_plan_init(conv_transpose_f32_plan *plan, const conv_transpose_f32_shape *s) {
  *plan = (conv_transpose_f32_plan){.shape = *s};
  size_t k = s->in_channels / s->groups, m = s->out_channels / s->groups, taps = window_taps(&s->window);
  size_t pixels = window_out(&s->window), channel;
  if (!size_mul(taps, pixels, &channel) || !size_mul(channel, sizeof(float), &channel)) return false;
  size_t chunk = CHUNK_BYTES / (channel ? channel : 1), least = (CHUNK_ROWS + taps - 1) / taps;
  if (chunk < least) chunk = least;
  if (chunk > m) chunk = m;
  plan->chunk = chunk > 0 ? chunk : 1;
  gemm_f32_shape g = {.m = plan->chunk * taps,
                      .n = pixels,
                      .k = k,
                      .threads = s->threads,
                      .precision = s->precision,
                      .packed_a = s->constant_weights};
  if (!size_mul(plan->chunk, channel, &plan->columns_bytes) ||
      !size_align(plan->columns_bytes, 64, &plan->columns_bytes) || !gemm_f32_plan_init(&plan->gemm, &g))
    return false;
  g.m = m % plan->chunk * taps;
  if (!gemm_f32_plan_init(&plan->rest, &g)) return false;
  size_t product = plan->gemm.scratch_bytes;
  if (plan->rest.scratch_bytes > product) product = plan->rest.scratch_bytes;
  if (!size_add(plan->columns_bytes, product, &plan->scratch_bytes)) return false;
  if (!s->constant_weights || m == 0 || k == 0) return true;
  plan->chunk_bytes = gemm_f32_packed_a_bytes(plan->gemm.shape.m, k, s->precision);
  return plan->chunk_bytes > 0 &&
         size_mul(plan->chunk_bytes, (m + plan->chunk - 1) / plan->chunk, &plan->group_bytes) &&
         size_mul(plan->group_bytes, s->groups, &plan->packed_bytes);
}

// Weights [k][m][taps] of one group, rows (m, tap): the transpose.
static gemm_f32_operand weights_at(const conv_transpose_f32_plan *plan, const float *weights, size_t group,
                                   size_t first) {
  size_t taps = window_taps(&plan->shape.window), k = plan->gemm.shape.k;
  size_t width = plan->shape.out_channels / plan->shape.groups * taps;
  return (gemm_f32_operand){
      .data = weights ? weights + group * k * width + first * taps : NULL, .row_stride = 1, .column_stride = width};
}

void conv_transpose_f32_pack(const conv_transpose_f32_plan *plan, const float *weights, void *packed) {
  const conv_transpose_f32_shape *s = &plan->shape;
  if (plan->packed_bytes == 0) return;
  size_t m = s->out_channels / s->groups;
  for (size_t group = 0; group < s->groups; group++)
    for (size_t first = 0; first < m; first += plan->chunk) {
      const gemm_f32_plan *g = m - first < plan->chunk ? &plan->rest : &plan->gemm;
      gemm_f32_operand a = weights_at(plan, weights, group, first);
      gemm_f32_pack_a((char *)packed + group * plan->group_bytes + first / plan->chunk * plan->chunk_bytes, &a,
                      g->shape.m, g->shape.k, s->precision, s->threads);
    }
}

pack_format conv_transpose_f32_format(const conv_transpose_f32_plan *plan) {
  pack_format f = gemm_f32_format_a(plan->gemm.shape.m, plan->gemm.shape.k, plan->shape.precision);
  snprintf(f.family, sizeof f.family, "conv_transpose_f32");
  f.groups = (uint32_t)plan->shape.groups, f.detail = (uint32_t)plan->chunk;
  return f;
}

// ---- gathering -----------------------------------------------------------------------------------

typedef struct gather {
  const window *window;
  const float *columns;  // [channel][tap][place of x]
  const float *bias;     // of the chunk's first channel, or NULL
  float *y;              // its plane
  activation act;
  activation_fn activate;
} gather;

// One tap of one channel: y[i * stride + tap * dilation - pad] += columns[i].
static void add_tap(const window *w, const int64_t *tap, const float *columns, float *y) {
  size_t last = w->rank - 1;
  int64_t at[WINDOW_MAX_RANK] = {0}, begin, end, step = w->stride[last];
  window_valid(w, last, tap[last], &begin, &end);
  do {
    int64_t place;
    if (window_place(w, last, at, tap, &place) && begin < end) {
      float *to = y + place * w->in[last] + begin * step + tap[last] * w->dilation[last] - w->pad[last];
      for (int64_t i = begin; i < end; i++) to[(i - begin) * step] += columns[i];
    }
    columns += w->out[last];
  } while (window_next(at, w->out, last));
}

static void gather_channel(void *context, size_t channel, size_t worker) {
  const gather *g = context;
  size_t taps = window_taps(g->window), pixels = window_out(g->window), plane = window_in(g->window);
  float *y = g->y + channel * plane, bias = g->bias ? g->bias[channel] : 0;
  for (size_t i = 0; i < plane; i++) y[i] = bias;
  int64_t tap[WINDOW_MAX_RANK] = {0};
  const float *columns = g->columns + channel * taps * pixels;
  for (size_t t = 0; pixels > 0 && t < taps; t++, columns += pixels) {
    add_tap(g->window, tap, columns, y);
    window_next(tap, g->window->kernel, g->window->rank);
  }
  if (g->activate) g->activate(y, y, plane, g->act.a, g->act.b);
}

void conv_transpose_f32_run(const conv_transpose_f32_plan *plan, const conv_transpose_f32_call *call, void *scratch) {
  const conv_transpose_f32_shape *s = &plan->shape;
  size_t m = s->out_channels / s->groups, k = plan->gemm.shape.k, pixels = plan->gemm.shape.n;
  size_t plane = window_in(&s->window);
  float *columns = scratch;
  activation_fn activate = activation_find(call->activation.kind);
  for (size_t n = 0; n < s->batch; n++)
    for (size_t group = 0; group < s->groups; group++)
      for (size_t first = 0; first < m; first += plan->chunk) {
        size_t channels = m - first < plan->chunk ? m - first : plan->chunk, channel = group * m + first;
        gemm_f32_call product = {.c = columns, .c_stride = pixels, .epilogue = GEMM_F32_PLAIN};
        product.a = weights_at(plan, call->weights, group, first);
        if (plan->packed_bytes)
          product.a.packed =
              (const char *)call->packed + group * plan->group_bytes + first / plan->chunk * plan->chunk_bytes;
        product.b = (gemm_f32_operand){
            .data = call->x + (n * s->in_channels + group * k) * pixels, .row_stride = pixels, .column_stride = 1};
        gemm_f32_run(channels < plan->chunk ? &plan->rest : &plan->gemm, &product,
                     (char *)scratch + plan->columns_bytes);
        gather g = {.window = &s->window,
                    .columns = columns,
                    .bias = call->bias ? call->bias + channel : NULL,
                    .y = call->y + (n * s->out_channels + channel) * plane,
                    .act = call->activation,
                    .activate = activate};
        pool_run(s->threads, channels, gather_channel, &g);
      }
}
