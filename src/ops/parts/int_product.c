// SPDX-License-Identifier: Apache-2.0
// See int_product.h.
#include "ops/parts/int_product.h"

#include "ops/call.h"
#include "ops/parts/floats.h"
#include "ops/parts/quantization.h"
#include "ops/prepare.h"

// ---- matrix products ------------------------------------------------------------------------------

static gemm_u8s8 describe(const int_product *p) {
  return (gemm_u8s8){.m = p->shape.m,
                     .n = p->shape.n,
                     .k = p->shape.k,
                     .lda = p->shape.a.row,
                     .ldb = p->shape.b.row,
                     .packed_b = p->packed_b,
                     .ldc = p->shape.n};
}

typedef struct pack_context {
  const product *shape;
  size_t threads;
} pack_context;

static void pack_b(void *target, const tensor *source, void *context) {
  const pack_context *x = context;
  const product *s = x->shape;
  gemm_u8s8_pack_b(target, source->data, s->b.row, source->dtype == SDX_INT8, s->k, s->n, x->threads);
}

sdx_status int_product_prepare(op_step *c, int_product *p, size_t a, size_t b, const tensor *y) {
  static const matmul_params plain;
  const tensor *weights = step_in(c, b);
  p->a = a, p->b = b;
  if (y->count == 0) return SDX_OK;
  SDX_TRY(matmul_layout(c, &plain, step_in(c, a), weights, y, &p->shape));
  size_t bytes = gemm_u8s8_packed_b_bytes(p->shape.k, p->shape.n);
  if (c->packable[b] && p->shape.b.batch == 0 && weights->count && bytes) {
    pack_format format = gemm_u8s8_format_b(weights->dtype == SDX_INT8);
    p->packed_b = prepare_pack(c, b, &format, bytes, pack_b, &(pack_context){&p->shape, c->threads});
    if (!p->packed_b) return SDX_NO_MEMORY;
  }
  gemm_u8s8 g = describe(p);
  p->scratch_bytes = gemm_u8s8_scratch_bytes(&g, c->threads);
  c->kernel = kernel_best("gemm_u8s8")->variant;
  return SDX_OK;
}

sdx_status int_product_run(op_step *c, const int_product *p, size_t a_zero, size_t b_zero, int32_t *sums,
                           void *scratch) {
  const tensor *a = step_in(c, p->a), *b = step_in(c, p->b), *az = step_in(c, a_zero), *bz = step_in(c, b_zero);
  const product *s = &p->shape;
  size_t a_zeros = az ? az->count : 1, b_zeros = bz ? bz->count : 1;
  // A tall product with one zero point for each row of a matrix is cut into those matrices.
  size_t rows = s->batch == 1 && a_zeros > 1 && s->m % a_zeros == 0 ? a_zeros : s->m, pieces = s->m / rows * s->batch;
  if (a_zeros != 1 && a_zeros != rows && a_zeros != rows * pieces)
    return step_fail_at(c, at_input(a_zero), SDX_INVALID_SHAPE, "has %zu elements, expected 1 or %zu", a_zeros, rows);
  if (b_zeros != 1 && b_zeros != s->n && b_zeros != s->n * s->batch)
    return step_fail_at(c, at_input(b_zero), SDX_INVALID_SHAPE, "has %zu elements, expected 1 or %zu", b_zeros, s->n);
  gemm_u8s8 g = describe(p);
  g.m = rows;
  g.a_signed = a->dtype == SDX_INT8, g.b_signed = b->dtype == SDX_INT8;
  g.a_zero_per_row = a_zeros > 1, g.b_zero_per_col = b_zeros > 1;
  for (size_t i = 0; i < pieces; i++) {
    size_t a_at = s->batch == 1 ? i * rows * s->a.row : (s->a.index ? s->a.index[i] : i) * s->a.batch;
    size_t b_at = s->batch == 1 ? 0 : (s->b.index ? s->b.index[i] : i) * s->b.batch;
    g.a = (const uint8_t *)a->data + a_at;
    g.b = p->packed_b ? NULL : (const uint8_t *)b->data + b_at;
    g.a_zero = az ? (const uint8_t *)az->data + (a_zeros > rows ? i * rows : 0) : NULL;
    g.b_zero = bz ? (const uint8_t *)bz->data + (b_zeros > s->n ? i * s->n : 0) : NULL;
    g.c = sums + i * rows * s->n;
    gemm_u8s8_run(&g, scratch, c->threads);
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

static void requantize_range(void *context, size_t begin, size_t end, size_t worker) {
  const requantization *r = context;
  enum { BLOCK = 256 };
  float scale[BLOCK];
  for (size_t row = begin; row < end; row++) {
    float left = scale_at(r->a_scale, r->a_scale->count > 1 ? row % r->a_scale->count : 0);
    const int32_t *sums = r->sums + row * r->columns;
    uint8_t *y = (uint8_t *)r->y + row * r->columns;
    if (r->b_scale->count == 1) {
      scale[0] = left * scale_at(r->b_scale, 0) / r->y_scale;
      requantize(sums, y, r->columns, scale, 0, r->y_zero, r->is_signed);
      continue;
    }
    for (size_t j = 0; j < r->columns; j += BLOCK) {
      size_t n = r->columns - j < BLOCK ? r->columns - j : BLOCK;
      for (size_t i = 0; i < n; i++) scale[i] = left * scale_at(r->b_scale, j + i) / r->y_scale;
      requantize(sums + j, y + j, n, scale, 1, r->y_zero, r->is_signed);
    }
  }
}

void requantize_rows(op_step *c, const requantization *r) {
  call_parallel(c, r->rows, 1 + 16384 / (r->columns + 1), requantize_range, (void *)r);
}

// ---- convolutions ---------------------------------------------------------------------------------

typedef struct pack_conv_context {
  const conv_u8s8 *conv;
  size_t threads;
} pack_conv_context;

static void pack_conv(void *target, const tensor *source, void *context) {
  const pack_conv_context *x = context;
  conv_u8s8 v = *x->conv;
  v.weights = source->data;
  conv_u8s8_pack(&v, target, x->threads);
}

sdx_status int_conv_prepare(op_step *c, const conv_params *p, int_conv *v, size_t x, size_t w, const tensor *y) {
  const tensor *data = step_in(c, x), *weights = step_in(c, w);
  v->x = x, v->w = w;
  v->conv = (conv_u8s8){.batch = (size_t)data->dims[0],
                        .groups = (size_t)p->group,
                        .in_channels = (size_t)data->dims[1],
                        .out_channels = (size_t)weights->dims[0],
                        .x_signed = data->dtype == SDX_INT8,
                        .w_signed = weights->dtype == SDX_INT8};
  window_attrs_build(&p->window, data->rank - 2u, data->dims + 2, weights->dims + 2, y->dims + 2, &v->conv.window);
  if (y->count == 0) return SDX_OK;
  size_t bytes = conv_u8s8_packed_bytes(&v->conv);
  if (c->packable[w] && weights->count && bytes) {
    pack_format format = conv_u8s8_format(&v->conv);
    v->conv.packed = prepare_pack(c, w, &format, bytes, pack_conv, &(pack_conv_context){&v->conv, c->threads});
    if (!v->conv.packed) return SDX_NO_MEMORY;
  }
  v->scratch_bytes = conv_u8s8_scratch_bytes(&v->conv, c->threads);
  c->kernel = kernel_best("gemm_u8s8")->variant;
  return SDX_OK;
}

sdx_status int_conv_run(op_step *c, const int_conv *v, size_t x_zero, size_t w_zero, int32_t *sums, void *scratch) {
  const tensor *x = step_in(c, v->x), *w = step_in(c, v->w), *xz = step_in(c, x_zero), *wz = step_in(c, w_zero);
  conv_u8s8 conv = v->conv;
  if (xz && xz->count != 1)
    return step_fail_at(c, at_input(x_zero), SDX_INVALID_SHAPE, "has %zu elements, expected 1", xz->count);
  if (wz && wz->count != 1 && wz->count != conv.out_channels)
    return step_fail_at(c, at_input(w_zero), SDX_INVALID_SHAPE, "has %zu elements, expected 1 or %zu", wz->count,
                        conv.out_channels);
  conv.x = x->data, conv.weights = conv.packed ? NULL : w->data, conv.y = sums;
  conv.x_zero = xz ? xz->data : NULL, conv.w_zero = wz ? wz->data : NULL;
  conv.w_zero_per_channel = wz && wz->count > 1;
  conv_u8s8_run(&conv, scratch, c->threads);
  return call_check(c);
}
