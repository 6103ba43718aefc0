// SPDX-License-Identifier: Apache-2.0
// Cases for the variants of gemm_f32: one panel of A against several of B (several against a few columns), packed by
// the variant itself, then the epilogue. The sums are judged by the reference, relative to the sum of magnitudes.
#include <math.h>
#include <string.h>

#include "kernels/gemm_f32/gemm_f32.h"

enum { ENTER_BYTES = 64, DEPTH_MOST = 200, ROWS_MOST = 40, COLUMNS_MOST = 140, FEW_MOST = 4, FEW_PANELS = 5 };

typedef struct problem {
  size_t m, n, k;
  unsigned planes;
  const float *a, *b;  // dense row-major
  bool plain_b, accumulate;
  gemm_f32_epilogue epilogue;
} problem;

static size_t panel_bytes(const gemm_f32_kernel *g, size_t width, size_t k, unsigned planes) {
  return g->head + (k + g->k_unit - 1) / g->k_unit * g->k_unit * width * (g->split ? 2 * planes : sizeof(float));
}

// C in panels of this kernel's rows. Panels and packed operands are guarded buffers.
static bool multiply(kernel_check *k, const gemm_f32_kernel *g, const problem *p, float *c) {
  size_t a_bytes = panel_bytes(g, g->mr, p->k, p->planes), b_bytes = panel_bytes(g, g->nr, p->k, p->planes);
  size_t panels = (p->n + g->nr - 1) / g->nr, step = p->n <= g->few ? (size_t)FEW_PANELS * g->mr : g->mr;
  char *a = check_buffer(k, (p->m + g->mr - 1) / g->mr * a_bytes, 64), *b = check_buffer(k, b_bytes * panels, 64),
       *state = check_buffer(k, ENTER_BYTES, 64);
  if (!a || !b || !state) return false;
  gemm_f32_sweep s = {.n = p->n,
                      .k = p->k,
                      .planes = p->planes,
                      .a_panel_bytes = a_bytes,
                      .b = b,
                      .b_panel_bytes = b_bytes,
                      .ahead = b,
                      .c_stride = p->n,
                      .accumulate = p->accumulate};
  if (p->plain_b && g->reads_plain_b) {
    s.b = p->b;
    s.b_stride = p->n;
  }
  for (size_t j = 0; j < panels; j++)
    g->pack_b(b + j * b_bytes, p->b + j * g->nr, p->n, 1, p->k, p->n - j * g->nr < g->nr ? p->n - j * g->nr : g->nr,
              p->planes);
  for (size_t i = 0; i < p->m; i += g->mr)
    g->pack_a(a + i / g->mr * a_bytes, p->a + i * p->k, p->k, 1, p->m - i < g->mr ? p->m - i : g->mr, p->k, p->planes);
  if (g->enter) g->enter(state);
  for (size_t i = 0; i < p->m; i += step) {
    s.m = p->m - i < step ? p->m - i : step;
    s.a = a + i / g->mr * a_bytes;
    s.c = c + i * p->n;
    g->sweep(&s);
    gemm_f32_epilogue e = p->epilogue;
    if (e.bias && e.bias_kind == GEMM_BIAS_PER_ROW) e.bias += i;
    if (e.residual) e.residual += i * e.residual_stride;
    g->finish(&e, s.c, p->n, s.m, p->n);
  }
  if (g->leave) g->leave(state);
  return true;
}

// Random operands. Values whose products overflow are left out: whether Inf - Inf arises then depends
// on the product being rounded before the sum, which the reference does where the tier has no fused
// multiply-add. Split operands may take subnormals for zero.
static const float *operand(kernel_check *k, size_t count, bool special, bool split) {
  float *p = check_floats(k, count, special);
  for (size_t i = 0; p && i < count; i++)
    if ((isfinite(p[i]) && fabsf(p[i]) > 1e6f) || (split && fpclassify(p[i]) == FP_SUBNORMAL)) p[i] = 1;
  return p;
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const gemm_f32_kernel *g = variant;
  problem p = {.m = check_size(k, 1, ROWS_MOST),
               .n = check_size(k, 1, check_coin(k, 4) ? FEW_MOST : COLUMNS_MOST),
               .k = check_size(k, 0, DEPTH_MOST),
               .planes = g->split ? 1 + (unsigned)(check_random(k) % 3) : 0,
               .epilogue = GEMM_F32_PLAIN};
  bool special = check_coin(k, 4);
  p.a = operand(k, p.m * p.k, special, g->split);
  p.b = operand(k, p.k * p.n, special, g->split);
  p.plain_b = check_coin(k, 3) && p.k > 0;
  p.accumulate = check_coin(k, 2);
  if (check_coin(k, 2)) {
    p.epilogue.alpha = check_coin(k, 2) ? 1 : -0.75f;
    p.epilogue.bias = check_floats(k, p.m > p.n ? p.m : p.n, false);
    p.epilogue.bias_kind = (gemm_bias)(check_random(k) % 3);
    p.epilogue.bias_scale = check_coin(k, 2) ? 1 : 0.5f;
    p.epilogue.residual = check_coin(k, 2) ? check_floats(k, p.m * p.n, false) : NULL;
    p.epilogue.residual_stride = p.n;
    p.epilogue.residual_scale = check_coin(k, 2) ? 1 : 2;
    p.epilogue.act = (activation){(activation_kind)(check_random(k) % (ACTIVATION_CLIP + 1)), -0.5f, 2};
  }
  float *got = check_floats(k, p.m * p.n, false), *want = check_floats(k, p.m * p.n, false);
  if (!p.a || !p.b || !got || !want) return false;
  memcpy(got, want, p.m * p.n * sizeof *got);
  check_message(k, "m=%zu n=%zu k=%zu planes=%u plain_b=%d accumulate=%d special=%d act=%d", p.m, p.n, p.k, p.planes,
                p.plain_b, p.accumulate, special, (int)p.epilogue.act.kind);
  float bound = 1;  // of all sums of magnitudes
  for (size_t i = 0; i < p.m; i++)
    for (size_t j = 0; j < p.n; j++) {
      float sum = fabsf(want[i * p.n + j]);
      for (size_t d = 0; d < p.k; d++) {
        float x = fabsf(p.a[i * p.k + d] * p.b[d * p.n + j]);
        if (isfinite(x)) sum += x;
      }
      if (isfinite(sum)) bound = fmaxf(bound, sum);
    }
  if (!multiply(k, variant, &p, got) || !multiply(k, reference, &p, want)) return false;
  double unit = p.planes == 1 ? 0x1p-7 : p.planes == 2 ? 0x1p-15 : 0x1p-22;
  return check_close(k, got, want, p.m * p.n, bound * unit * 4, unit);
}

// 96 x 256 x 384 from packed operands: what a sweep does inside of a large product.
static double bench(kernel_check *k, const void *variant, const char **unit) {
  enum { M = 96, N = 256, K = 384 };
  const gemm_f32_kernel *g = variant;
  unsigned planes = g->split ? 3 : 0;
  size_t a_bytes = panel_bytes(g, g->mr, K, planes), b_bytes = panel_bytes(g, g->nr, K, planes),
         panels = (N + g->nr - 1) / g->nr;
  float *x = check_floats(k, K * N, false), *c = check_floats(k, M * N, false);
  char *a = check_buffer(k, a_bytes, 64), *b = check_buffer(k, panels * b_bytes, 64),
       *state = check_buffer(k, ENTER_BYTES, 64);
  char *packed = check_buffer(k, 1, 1);
  *unit = "flop";
  if (!x || !c || !a || !b || !state || !packed) return 0;
  if (*packed != 1) {
    *packed = 1;
    for (size_t j = 0; j < panels; j++)
      g->pack_b(b + j * b_bytes, x + j * g->nr, N, 1, K, N - j * g->nr < g->nr ? N - j * g->nr : g->nr, planes);
    g->pack_a(a, x, K, 1, g->mr, K, planes);
  }
  gemm_f32_sweep s = {.n = N, .k = K, .planes = planes, .a = a, .b = b, .b_panel_bytes = b_bytes, .c_stride = N};
  s.ahead = b;
  if (g->enter) g->enter(state);
  for (size_t i = 0; i < M; i += g->mr) {
    s.m = M - i < g->mr ? M - i : g->mr;
    s.c = c + i * N;
    g->sweep(&s);
  }
  if (g->leave) g->leave(state);
  return 2.0 * M * N * K;
}

KERNEL_CHECK(gemm_f32) = {.family = "gemm_f32", .compare = compare, .bench = bench};
