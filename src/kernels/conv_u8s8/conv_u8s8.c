// SPDX-License-Identifier: Apache-2.0
// The driver of conv_u8s8: weights are the packed A of an integer product, columns of the image fill B.
#include "kernels/conv_u8s8/conv_u8s8.h"

#include "base/pool.h"
#include "kernels/im2col/im2col.h"

typedef struct image {
  const im2col_kernel *columns;
  const window *window;
  const uint8_t *x;
  uint8_t pad;
} image;

static void fill(const void *context, size_t k0, size_t ks, size_t n0, size_t ns, uint8_t *target, size_t stride) {
  const image *i = context;
  i->columns->fill_u8(i->window, i->x, i->pad, target, stride, k0, ks, n0, ns);
}

static gemm_u8s8 product_of(const conv_u8s8 *c) {
  size_t k = c->in_channels / c->groups * window_taps(&c->window), n = window_out(&c->window);
  return (gemm_u8s8){.m = c->out_channels / c->groups,
                     .n = n,
                     .k = k,
                     .a_signed = c->w_signed,
                     .b_signed = c->x_signed,
                     .a = c->weights,
                     .lda = k,
                     .packed_a = c->packed,
                     .fill = fill,
                     .a_zero_per_row = c->w_zero_per_channel,
                     .ldc = n};
}

static size_t group_bytes(const gemm_u8s8 *g) { return gemm_u8s8_packed_a_bytes(g->m, g->k); }

size_t conv_u8s8_packed_bytes(const conv_u8s8 *c) {
  gemm_u8s8 g = product_of(c);
  return group_bytes(&g) * c->groups;
}
void conv_u8s8_pack(const conv_u8s8 *c, void *packed, size_t threads) {
  gemm_u8s8 g = product_of(c);
  for (size_t i = 0; i < c->groups; i++)
    gemm_u8s8_pack_a((char *)packed + i * group_bytes(&g), (const char *)c->weights + i * g.m * g.k, g.lda, c->w_signed,
                     g.m, g.k, threads);
}
pack_format conv_u8s8_format(const conv_u8s8 *c) {
  pack_format f = gemm_u8s8_format_a(c->w_signed);
  f.groups = (uint32_t)c->groups;
  return f;
}
size_t conv_u8s8_scratch_bytes(const conv_u8s8 *c, size_t threads) {
  gemm_u8s8 g = product_of(c);
  return gemm_u8s8_scratch_bytes(&g, threads);
}

void conv_u8s8_run(const conv_u8s8 *c, void *scratch, size_t threads) {
  gemm_u8s8 g = product_of(c);
  size_t channels = c->in_channels / c->groups, plane = window_in(&c->window);
  image from = {
      .columns = KERNEL_BEST(im2col), .window = &c->window, .pad = c->x_zero ? *(const uint8_t *)c->x_zero : 0};
  g.fill_context = &from, g.b_zero = c->x_zero;
  for (size_t n = 0; n < c->batch; n++)
    for (size_t group = 0; group < c->groups && !pool_stopped(); group++) {
      from.x = (const uint8_t *)c->x + (n * c->groups + group) * channels * plane;
      if (c->packed) g.packed_a = (const char *)c->packed + group * group_bytes(&g);
      else g.a = (const char *)c->weights + group * g.m * g.k;
      if (c->w_zero) g.a_zero = (const char *)c->w_zero + (c->w_zero_per_channel ? group * g.m : 0);
      g.c = c->y + (n * c->groups + group) * g.m * g.n;
      gemm_u8s8_run(&g, scratch, threads);
    }
}
