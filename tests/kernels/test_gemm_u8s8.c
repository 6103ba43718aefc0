// SPDX-License-Identifier: Apache-2.0
// gemm_u8s8 and conv_u8s8 against the definition, every variant that can run here, random sizes and zero points.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// cmocka wants the three above first
#include <cmocka.h>

#include "base/mem.h"
#include "kernels/conv_u8s8/conv_u8s8.h"
#include "tests/kernels/random.h"

static int32_t value(const void *x, bool is_signed, size_t i) {
  return is_signed ? ((const int8_t *)x)[i] : ((const uint8_t *)x)[i];
}

typedef struct column_source {
  const uint8_t *b;
  size_t n;
} column_source;
static void fill(const void *context, size_t k0, size_t ks, size_t n0, size_t ns, uint8_t *target, size_t stride) {
  const column_source *s = context;
  for (size_t k = 0; k < ks; k++) memcpy(target + k * stride, s->b + (k0 + k) * s->n + n0, ns);
}

static void check_product(const kernel_entry *variant, bool best) {
  size_t m = random_size(1, 40), n = random_size(1, random_size(0, 3) ? 70 : 600);
  size_t k = random_size(1, random_size(0, 3) ? 50 : 2500), threads = random_size(1, 3);
  gemm_u8s8 g = {
      .m = m, .n = n, .k = k, .a_signed = random_size(0, 1), .b_signed = random_size(0, 1), .lda = k, .ldb = n};
  uint8_t *a = mem_alloc(NULL, m * k), *b = mem_alloc(NULL, k * n), *za = mem_alloc(NULL, m), *zb = mem_alloc(NULL, n);
  int32_t *c = mem_alloc(NULL, m * n * 4);
  random_bytes(a, m * k), random_bytes(b, k * n), random_bytes(za, m), random_bytes(zb, n);
  if (random_size(0, 4) == 0)
    memset(a, 0xff, m * k), memset(b, 0x80, k * n);  // the corner where byte products saturate
  g.a_zero = random_size(0, 2) ? za : NULL, g.b_zero = random_size(0, 2) ? zb : NULL;
  g.a_zero_per_row = random_size(0, 1), g.b_zero_per_col = random_size(0, 1);
  g.a = a, g.b = b, g.c = c, g.ldc = n, g.kernel = variant->kernel;
  column_source source = {b, n};
  void *packed_a = NULL, *packed_b = NULL;
  if (random_size(0, 1)) g.fill = fill, g.fill_context = &source;
  if (best && random_size(0, 1)) {
    packed_a = mem_alloc(NULL, gemm_u8s8_packed_a_bytes(m, k));
    gemm_u8s8_pack_a(packed_a, a, k, g.a_signed, m, k, random_size(1, 3));
    g.packed_a = packed_a;
  }
  if (best && random_size(0, 1)) {
    packed_b = mem_alloc(NULL, gemm_u8s8_packed_b_bytes(k, n));
    gemm_u8s8_pack_b(packed_b, b, n, g.b_signed, k, n, random_size(1, 3));
    g.packed_b = packed_b, g.fill = NULL;
  }
  void *scratch = mem_alloc(NULL, gemm_u8s8_scratch_bytes(&g, threads));
  gemm_u8s8_run(&g, scratch, threads);
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
      int32_t want = 0;
      for (size_t t = 0; t < k; t++)
        want += (value(a, g.a_signed, i * k + t) - (g.a_zero ? value(za, g.a_signed, g.a_zero_per_row ? i : 0) : 0)) *
                (value(b, g.b_signed, t * n + j) - (g.b_zero ? value(zb, g.b_signed, g.b_zero_per_col ? j : 0) : 0));
      if (c[i * n + j] != want)
        fail_msg("%s m %zu n %zu k %zu at %zu,%zu: %d, expected %d", variant->variant, m, n, k, i, j, c[i * n + j],
                 want);
    }
  mem_free(a), mem_free(b), mem_free(za), mem_free(zb), mem_free(c), mem_free(scratch);
  mem_free(packed_a), mem_free(packed_b);
}

static void product_matches_definition(void **state) {
  for (size_t i = 0; i < kernel_count(); i++) {
    const kernel_entry *variant = kernel_at(i);
    if (strcmp(variant->family, "gemm_u8s8") != 0 || !cpu_isa_enabled(variant->isa)) continue;
    for (int round = 0; round < 40; round++) check_product(variant, variant == kernel_best("gemm_u8s8"));
  }
}

static void convolution_matches_definition(void **state) {
  for (int round = 0; round < 40; round++) {
    window w = {.rank = random_size(1, 3)};
    for (size_t d = 0; d < w.rank; d++) {
      w.kernel[d] = (int64_t)random_size(1, 3), w.stride[d] = (int64_t)random_size(1, 2);
      w.dilation[d] = (int64_t)random_size(1, 2), w.pad[d] = (int64_t)random_size(0, 2);
      int64_t reach = (w.kernel[d] - 1) * w.dilation[d] + 1;
      w.in[d] = reach + (int64_t)random_size(0, 9);
      w.out[d] = (w.in[d] + 2 * w.pad[d] - reach) / w.stride[d] + 1;
    }
    conv_u8s8 c = {.window = w, .batch = random_size(1, 2), .groups = random_size(1, 2)};
    size_t channels = random_size(1, 5), filters = random_size(1, 9), taps = window_taps(&w);
    size_t in = window_in(&w), out = window_out(&w);
    c.in_channels = channels * c.groups, c.out_channels = filters * c.groups;
    c.x_signed = random_size(0, 1), c.w_signed = random_size(0, 1), c.w_zero_per_channel = random_size(0, 1);
    uint8_t *x = mem_alloc(NULL, c.batch * c.in_channels * in),
            *weights = mem_alloc(NULL, c.out_channels * channels * taps);
    uint8_t x_zero = (uint8_t)random_size(0, 255), *w_zero = mem_alloc(NULL, c.out_channels);
    int32_t *y = mem_alloc(NULL, c.batch * c.out_channels * out * 4);
    random_bytes(x, c.batch * c.in_channels * in), random_bytes(weights, c.out_channels * channels * taps);
    random_bytes(w_zero, c.out_channels);
    c.x = x, c.weights = weights, c.x_zero = &x_zero, c.w_zero = w_zero, c.y = y;
    void *packed = mem_alloc(NULL, conv_u8s8_packed_bytes(&c));
    if (random_size(0, 1)) conv_u8s8_pack(&c, packed, random_size(1, 3)), c.packed = packed;
    void *scratch = mem_alloc(NULL, conv_u8s8_scratch_bytes(&c, 2));
    conv_u8s8_run(&c, scratch, 2);
    for (size_t n = 0; n < c.batch; n++)
      for (size_t f = 0; f < c.out_channels; f++)
        for (size_t o = 0; o < out; o++) {
          int32_t want = 0;
          int64_t at[WINDOW_MAX_RANK], tap[WINDOW_MAX_RANK];
          window_unravel(o, w.out, w.rank, at);
          for (size_t k = 0; k < channels * taps; k++) {
            window_unravel(k % taps, w.kernel, w.rank, tap);
            int64_t place = 0;
            bool inside = true;
            for (size_t d = 0; d < w.rank; d++) {
              int64_t i = at[d] * w.stride[d] + tap[d] * w.dilation[d] - w.pad[d];
              inside = inside && i >= 0 && i < w.in[d];
              place = place * w.in[d] + i;
            }
            if (!inside) continue;
            size_t channel = n * c.in_channels + f / filters * channels + k / taps;
            want += (value(x, c.x_signed, channel * in + (size_t)place) - value(&x_zero, c.x_signed, 0)) *
                    (value(weights, c.w_signed, f * channels * taps + k) -
                     value(w_zero, c.w_signed, c.w_zero_per_channel ? f : 0));
          }
          assert_int_equal(y[(n * c.out_channels + f) * out + o], want);
        }
    mem_free(x), mem_free(weights), mem_free(w_zero), mem_free(y), mem_free(packed), mem_free(scratch);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(product_matches_definition),
                                     cmocka_unit_test(convolution_matches_definition)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
