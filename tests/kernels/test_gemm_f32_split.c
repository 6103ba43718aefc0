// SPDX-License-Identifier: Apache-2.0
// x86_amx.c on emulated tiles: this program has a kernel table of its own (the linker then leaves the
// generated one out), in which the emulated variant stands beside the fp32 ones. It runs the harness,
// every test of the driver, and what only split operands promise: their error.
#define ROUNDS 20  // emulation is slow
#define main run_driver_tests
#include "tests/kernels/test_gemm_f32.c"
#undef main

#include "kernels/kernel_table.h"
#include "kernels/selftest.h"

extern const gemm_f32_kernel kernel_gemm_f32_amx_emulated;
extern const char kernel_gemm_f32_ref[], kernel_gemm_f32_x86_avx512[], kernel_unary_f32_ref[];
extern const kernel_checker kernel_check_gemm_f32;

const kernel_entry kernel_rows[] = {
    {"gemm_f32", "ref", CPU_ref, false, kernel_gemm_f32_ref},
    {"gemm_f32", "x86_avx512", CPU_x86_avx512, false, kernel_gemm_f32_x86_avx512},
    {"gemm_f32", "amx_emulated", CPU_x86_avx512, false, &kernel_gemm_f32_amx_emulated},
    {"unary_f32", "ref", CPU_ref, false, kernel_unary_f32_ref},
    {0},
};
const size_t kernel_row_count = sizeof kernel_rows / sizeof *kernel_rows - 1;
const kernel_checker *const kernel_checkers[] = {&kernel_check_gemm_f32, 0};

static void print(const char *line) {
  if (strstr(line, "FAILED")) puts(line);
}

static void the_harness_agrees(void **state) { assert_int_equal(kernel_selftest(NULL, 60, false, print), 0); }

// Largest |error| / sum |a||b| of a plan, and of a chain of multiply-adds.
static double error_of(size_t m, size_t n, size_t k, int precision, double scale_a, double scale_b, double *chain) {
  float *a = random_floats(m * k), *b = random_floats(k * n), *c = random_floats(m * n);
  for (size_t i = 0; i < m * k; i++) a[i] *= (float)scale_a;
  for (size_t i = 0; i < k * n; i++) b[i] *= (float)scale_b;
  gemm_f32_shape shape = {.m = m, .n = n, .k = k, .precision = precision};
  gemm_f32_call call = plain_call(a, b, c, n, k);
  gemm_f32_plan plan;
  assert_true(gemm_f32_plan_init(&plan, &shape));
  assert_int_equal(plan.planes, 3 - precision);
  run(&plan, &call);
  double worst = 0;
  *chain = 0;
  for (size_t i = 0; i < m; i++)
    for (size_t j = 0; j < n; j++) {
      double sum = 0, magnitude = 0;
      float fused = 0;
      for (size_t d = 0; d < k; d++) {
        sum += (double)a[i * k + d] * b[d * n + j];
        magnitude += fabs((double)a[i * k + d] * b[d * n + j]);
        fused = fmaf(a[i * k + d], b[d * n + j], fused);
      }
      worst = fmax(worst, fabs(c[i * n + j] - sum) / magnitude);
      *chain = fmax(*chain, fabs(fused - sum) / magnitude);
    }
  mem_free(a), mem_free(b), mem_free(c);
  return worst;
}

static void error_is_as_promised(void **state) {
  static const double scales[][2] = {{1, 1}, {1e-30, 1e25}, {1e30, 1e-25}, {3e-20, 1e-3}, {1e-8, 1e-8}};
  for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
    double chain, highest = error_of(33, 40, 300, GEMM_HIGHEST, scales[i][0], scales[i][1], &chain);
    if (highest > chain) fail_msg("scales %g %g: %.3g, a chain has %.3g", scales[i][0], scales[i][1], highest, chain);
    assert_true(error_of(33, 40, 300, GEMM_HIGH, scales[i][0], scales[i][1], &chain) < 0x1p-17);
    assert_true(error_of(33, 40, 300, GEMM_MEDIUM, scales[i][0], scales[i][1], &chain) < 0x1p-8);
  }
}

// Values that no single bf16 holds give back their float, infinities and NaN included.
static void largest_floats(void **state) {
  enum { K = 32, N = 16 };
  float a[K] = {0}, b[K * N], c[N];
  static const float firsts[] = {3.4028234663852886e38f, -3.4028234663852886e38f, INFINITY, -INFINITY, NAN, 1e-44f};
  for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++)
    for (int precision = 0; precision < 2; precision++) {
      a[3] = firsts[i];
      for (size_t d = 0; d < K * N; d++) b[d] = 1;
      gemm_f32_shape shape = {.m = 1, .n = N, .k = K, .precision = precision};
      gemm_f32_call call = plain_call(a, b, c, N, K);
      gemm_f32_plan plan;
      assert_true(gemm_f32_plan_init(&plan, &shape));
      run(&plan, &call);
      for (size_t j = 0; j < N; j++) {
        if (isnan(firsts[i])) assert_true(isnan(c[j]));
        else if (isinf(firsts[i])) assert_true(c[j] == firsts[i]);
        else
          assert_true(fabs((double)c[j] - firsts[i]) <= fabs((double)firsts[i]) * (precision ? 0x1p-15 : 0) + 0x1p-126);
      }
    }
}

int main(void) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx512bf16") || !cpu_isa_enabled(CPU_x86_avx512)) {
    puts("SKIPPED (the processor lacks AVX512-BF16)");
    return 0;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_harness_agrees), cmocka_unit_test(error_is_as_promised),
                                     cmocka_unit_test(largest_floats)};
  return cmocka_run_group_tests(tests, NULL, NULL) + run_driver_tests();
}
