// SPDX-License-Identifier: Apache-2.0
// The driver of conv_f32: chooses between depthwise planes, a plain product (1x1) and a product whose panels are
// filled with columns of the image. Blocking, threads and the epilogue belong to gemm_f32.
#include "kernels/conv_f32/conv_f32.h"

#include <string.h>

#include "base/pool.h"
#include "base/size.h"
#include "kernels/conv_dw_f32/conv_dw_f32.h"

enum { TASK_FLOATS = 16384 };

static bool is_pointwise(const window *w) {
  for (size_t d = 0; d < w->rank; d++)
    if (w->kernel[d] != 1 || w->stride[d] != 1 || w->pad[d] != 0 || w->in[d] != w->out[d]) return false;
  return true;
}

bool conv_f32_plan_init(conv_f32_plan *plan, const conv_f32_shape *s) {
  *plan = (conv_f32_plan){.shape = *s};
  if (s->in_channels == s->groups && s->groups > 1) {
    const kernel_entry *best = kernel_best("conv_dw_f32");
    plan->method = CONV_DEPTHWISE, plan->name = best->variant;
    plan->depthwise = best->kernel, plan->binary = KERNEL_BEST(binary_f32);
    // Channels of a task: enough to be worth handing over, few enough to stay in the cache.
    size_t pixels = window_out(&s->window), most = TASK_FLOATS / (pixels ? pixels : 1);
    plan->channels = most < 1 ? 1 : most < s->out_channels ? most : s->out_channels;
    if (!s->residual_is_y) return true;  // else the residual would be overwritten: tasks work aside
    return size_mul(pixels * plan->channels, sizeof(float), &plan->aside_bytes) &&
           size_align(plan->aside_bytes, 64, &plan->aside_bytes) &&
           size_mul(plan->aside_bytes, s->threads ? s->threads : 1, &plan->scratch_bytes);
  }
  plan->method = is_pointwise(&s->window) ? CONV_PLAIN : CONV_COLUMNS;
  plan->columns = KERNEL_BEST(im2col);
  size_t m = s->out_channels / s->groups, k;
  if (!size_mul(s->in_channels / s->groups, window_taps(&s->window), &k)) return false;
  gemm_f32_shape product = {.m = m,
                            .n = window_out(&s->window),
                            .k = k,
                            .batch = s->groups == 1 ? s->batch : s->groups,
                            .threads = s->threads,
                            .precision = s->precision,
                            .packed_a = s->constant_weights,
                            .fill_b = plan->method == CONV_COLUMNS,
                            .residual_is_c = s->residual_is_y};
  if (!gemm_f32_plan_init(&plan->gemm, &product)) return false;
  plan->name = plan->gemm.name, plan->scratch_bytes = plan->gemm.scratch_bytes;
  if (!s->constant_weights) return true;
  plan->group_bytes = gemm_f32_packed_a_bytes(m, k, s->precision);
  return plan->group_bytes > 0 && size_mul(plan->group_bytes, s->groups, &plan->packed_bytes);
}

void conv_f32_pack(const conv_f32_plan *plan, const float *weights, void *packed) {
  const gemm_f32_shape *g = &plan->gemm.shape;
  if (plan->packed_bytes == 0) return;
  for (size_t i = 0; i < plan->shape.groups; i++) {
    gemm_f32_operand a = {.data = weights + i * g->m * g->k, .row_stride = g->k, .column_stride = 1};
    gemm_f32_pack_a((char *)packed + i * plan->group_bytes, &a, g->m, g->k, g->precision, plan->shape.threads);
  }
}

pack_format conv_f32_format(const conv_f32_plan *plan) {
  const gemm_f32_shape *g = &plan->gemm.shape;
  pack_format f = gemm_f32_format_a(g->m, g->k, g->precision);
  f.groups = (uint32_t)plan->shape.groups;
  return f;
}

// ---- products ------------------------------------------------------------------------------------

typedef struct image {
  const im2col_kernel *columns;
  const window *window;
  const float *x;
  size_t batch_stride;  // from one product's image to the next
} image;

static void fill(void *context, size_t batch, float *panel, size_t stride, size_t k0, size_t kc, size_t n0, size_t nc) {
  const image *i = context;
  i->columns->fill_f32(i->window, i->x + batch * i->batch_stride, 0, panel, stride, k0, kc, n0, nc);
}

static void products(const conv_f32_plan *plan, const conv_f32_call *c, void *scratch) {
  const conv_f32_shape *s = &plan->shape;
  const gemm_f32_shape *g = &plan->gemm.shape;
  bool grouped = s->groups > 1;
  size_t plane = window_in(&s->window), outputs = s->out_channels * g->n;
  size_t step = s->in_channels / s->groups * plane;
  for (size_t n = 0; n < (grouped ? s->batch : 1); n++) {
    image from = {plan->columns, &s->window, c->x + n * s->in_channels * plane, step};
    gemm_f32_call call = {.fill = plan->method == CONV_COLUMNS ? fill : NULL,
                          .fill_context = &from,
                          .c = c->y + n * outputs,
                          .c_stride = g->n,
                          .c_batch_stride = g->m * g->n,
                          .epilogue = GEMM_F32_PLAIN};
    call.a = (gemm_f32_operand){.data = c->weights, .row_stride = g->k, .column_stride = 1, .packed = c->packed};
    call.a.batch_stride = !grouped ? 0 : plan->packed_bytes ? 1 : g->m * g->k;
    call.b = (gemm_f32_operand){.data = from.x, .row_stride = g->n, .column_stride = 1, .batch_stride = step};
    call.epilogue.bias = c->bias, call.epilogue.bias_kind = GEMM_BIAS_PER_ROW;
    call.epilogue.bias_batch_stride = grouped ? g->m : 0;
    call.epilogue.residual = c->residual ? c->residual + n * outputs : NULL;
    call.epilogue.residual_stride = g->n, call.epilogue.residual_batch_stride = g->m * g->n;
    call.epilogue.act = c->activation;
    gemm_f32_run(&plan->gemm, &call, scratch);
  }
}

// ---- depthwise -----------------------------------------------------------------------------------

typedef struct depthwise {
  const conv_f32_plan *plan;
  const conv_f32_call *call;
  activation_fn activate;
  char *scratch;
} depthwise;

static void channels_task(void *context, size_t index, size_t worker) {
  const depthwise *d = context;
  const conv_f32_plan *plan = d->plan;
  const conv_f32_shape *s = &plan->shape;
  const conv_f32_call *call = d->call;
  size_t pixels = window_out(&s->window), pieces = (s->out_channels + plan->channels - 1) / plan->channels;
  size_t image = index / pieces, first = index % pieces * plan->channels;
  size_t count = s->out_channels - first < plan->channels ? s->out_channels - first : plan->channels;
  size_t begin = (image * s->out_channels + first) * pixels, n = count * pixels;
  float *y = call->y + begin;
  if (plan->aside_bytes) y = (float *)(d->scratch + worker * plan->aside_bytes);
  plan->depthwise->planes(&s->window, call->x + image * s->in_channels * window_in(&s->window), call->weights,
                          call->bias, y, first, count, s->out_channels / s->in_channels);
  if (call->residual) plan->binary->fn[BINARY_F32_ADD][BINARY_VV](y, call->residual + begin, y, n);
  if (d->activate) d->activate(y, y, n, call->activation.a, call->activation.b);
  if (plan->aside_bytes) memcpy(call->y + begin, y, n * sizeof(float));
}

void conv_f32_run(const conv_f32_plan *plan, const conv_f32_call *call, void *scratch) {
  const conv_f32_shape *s = &plan->shape;
  if (s->batch == 0 || s->out_channels == 0 || window_out(&s->window) == 0) return;
  if (plan->method != CONV_DEPTHWISE) {
    products(plan, call, scratch);
    return;
  }
  depthwise d = {.plan = plan, .call = call, .activate = activation_find(call->activation.kind), .scratch = scratch};
  pool_run(s->threads, s->batch * ((s->out_channels + plan->channels - 1) / plan->channels), channels_task, &d);
}
