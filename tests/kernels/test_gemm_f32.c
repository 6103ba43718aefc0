// SPDX-License-Identifier: Apache-2.0
// The driver of gemm_f32 with every variant that runs here: each feature against a plain double-precision
// product, and the promise of equal bits for any thread count, neighbour rows, packing and filling.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// after the standard headers
#include <cmocka.h>

#include "base/mem.h"
#include "kernels/gemm_f32/gemm_f32.h"

#ifndef ROUNDS
#define ROUNDS 60
#endif

static uint64_t random_state = 88172645463325252u;
static uint64_t random_next(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  return random_state ^= random_state << 17;
}
static float *random_floats(size_t n) {
  float *p = mem_alloc(NULL, (n + 1) * sizeof *p);
  for (size_t i = 0; i < n; i++) p[i] = (float)(random_next() % 65536) / 32768 - 1;
  return p;
}

typedef struct fill_source {
  const float *b;
  size_t row_stride, column_stride, batch_stride;
} fill_source;
static void fill_from(void *context, size_t batch, float *panel, size_t stride, size_t k0, size_t kc, size_t n0,
                      size_t nc) {
  const fill_source *s = context;
  for (size_t k = 0; k < kc; k++)
    for (size_t j = 0; j < nc; j++)
      panel[k * stride + j] = s->b[batch * s->batch_stride + (k0 + k) * s->row_stride + (n0 + j) * s->column_stride];
}

// c[m][n] = a[m][k] b[k][n], all dense.
static gemm_f32_call plain_call(const float *a, const float *b, float *c, size_t n, size_t k) {
  return (gemm_f32_call){.a = {.data = a, .row_stride = k, .column_stride = 1},
                         .b = {.data = b, .row_stride = n, .column_stride = 1},
                         .c = c,
                         .c_stride = n,
                         .epilogue = GEMM_F32_PLAIN};
}

// Runs with scratch whose end is watched.
static void run(const gemm_f32_plan *p, const gemm_f32_call *call) {
  char *scratch = mem_alloc(NULL, p->scratch_bytes + 64);
  memset(scratch, 0xff, p->scratch_bytes + 64);
  gemm_f32_run(p, call, scratch);
  for (size_t i = 0; i < 64; i++) assert_int_equal((unsigned char)scratch[p->scratch_bytes + i], 0xff);
  mem_free(scratch);
}

static double tolerance_of(const gemm_f32_plan *p, size_t k) {
  return p->planes == 1 ? 1.0 / 128 : p->planes == 2 ? 1.0 / 32768 : 1e-7 * (4 + sqrt((double)k));
}

static double activate(activation act, double x) {
  switch (act.kind) {
    case ACTIVATION_RELU:
      return x > 0 ? x : 0;
    case ACTIVATION_CLIP:
      return fmin(fmax(x, act.a), act.b);
    case ACTIVATION_LEAKY_RELU:
      return x < 0 ? act.a * x : x;
    case ACTIVATION_SIGMOID:
      return 1 / (1 + exp(-x));
    case ACTIVATION_TANH:
      return tanh(x);
    case ACTIVATION_SWISH:
    case ACTIVATION_SILU:
      return x / (1 + exp(-act.a * x));
    case ACTIVATION_HARD_SIGMOID:
      return fmax(0, fmin(1, act.a * x + act.b));
    case ACTIVATION_HARD_SWISH:
      return x * fmax(0, fmin(1, x / 6 + 0.5));
    case ACTIVATION_GELU:
      return x * (1 + erf(x / sqrt(2))) / 2;
    case ACTIVATION_GELU_TANH:
      return x / 2 * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ACTIVATION_NONE:
      return x;
    default:
      fail_msg("what is activation %d?", act.kind);
      return 0;
  }
}

// One random problem in every feature; `variant` NULL = the driver's own choice (packed operands).
typedef struct problem {
  gemm_f32_shape shape;
  gemm_f32_call call;
  fill_source source;
  float *a, *b, *bias, *residual, *c;
  void *packed;
} problem;

static void problem_free(problem *p) {
  void *all[] = {p->a, p->b, p->bias, p->residual, p->c, p->packed};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
}

static void check_problem(const gemm_f32_plan *plan, const problem *p) {
  const gemm_f32_shape *s = &plan->shape;
  const gemm_f32_call *call = &p->call;
  const gemm_f32_epilogue *e = &call->epilogue;
  size_t count = s->batch * call->c_batch_stride;
  float *before = mem_alloc(NULL, count * sizeof(float) + 4);
  memcpy(before, call->c, count * sizeof(float));
  run(plan, call);
  for (size_t i = 0; i < s->batch; i++) {
    const float *a = p->a + (call->a.index ? call->a.index[i] : i) * call->a.batch_stride;
    if (s->packed_a) a = p->a;
    const float *b = s->packed_b ? p->b
                     : s->fill_b ? p->b + i * p->source.batch_stride
                                 : p->b + i * call->b.batch_stride;
    for (size_t r = 0; r < s->m; r++)
      for (size_t j = 0; j < call->c_stride; j++) {
        size_t at = i * call->c_batch_stride + r * call->c_stride + j;
        if (j >= s->n) {  // between the rows nothing changes
          assert_memory_equal(call->c + at, before + at, sizeof(float));
          continue;
        }
        double sum = 0, magnitude = 0;
        for (size_t k = 0; k < s->k; k++) {
          double x = (double)a[r * call->a.row_stride + k * call->a.column_stride] *
                     b[k * call->b.row_stride + j * call->b.column_stride];
          sum += x;
          magnitude += fabs(x);
        }
        double v = e->alpha * sum;
        magnitude *= fabsf(e->alpha);
        if (e->bias) {
          double bias =
              (double)e->bias_scale * e->bias[i * e->bias_batch_stride + (e->bias_kind == GEMM_BIAS_PER_COLUMN ? j
                                                                          : e->bias_kind == GEMM_BIAS_PER_ROW  ? r
                                                                                                               : 0)];
          v += bias;
          magnitude += fabs(bias);
        }
        if (e->residual) {
          const float *residual = e->residual == call->c ? before : e->residual;
          double x = (double)e->residual_scale * residual[i * e->residual_batch_stride + r * e->residual_stride + j];
          v += x;
          magnitude += fabs(x);
        }
        double want = activate(e->act, v), got = call->c[at];
        double allowed = tolerance_of(plan, s->k) * (magnitude + 0.01) * 1.5 + 1e-6 * fabs(want);
        if (fabs(got - want) > allowed)
          fail_msg("%s %zux%zux%zu batch %zu at %zu %zu %zu: %.9g, expected %.9g, allowed %.3g (planes %u, act %d)",
                   plan->name, s->m, s->n, s->k, i, r, j, j, got, want, allowed, plan->planes, (int)e->act.kind);
      }
  }
  mem_free(before);
}

static size_t pick(size_t most) {
  static const size_t edges[] = {1, 2, 5, 6, 7, 11, 12, 13, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 95, 97};
  size_t v = random_next() % 2 ? edges[random_next() % (sizeof edges / sizeof *edges)] : 1 + random_next() % most;
  return v < most ? v : most;
}

static void make_epilogue(problem *p) {
  gemm_f32_shape *s = &p->shape;
  gemm_f32_call *call = &p->call;
  gemm_f32_epilogue *e = &call->epilogue;
  *e = GEMM_F32_PLAIN;
  if (random_next() % 2) {
    e->alpha = random_next() % 2 ? -0.5f : 1.25f;
    e->bias = p->bias = random_floats(s->m + s->n);
    e->bias_kind = (gemm_bias)(random_next() % 3);
    e->bias_scale = random_next() % 2 ? 1 : 0.75f;
    e->act = (activation){(activation_kind)(random_next() % ACTIVATION_COUNT), 0.25f, 0.5f};
  }
  switch (random_next() % 3) {
    case 0:
      e->residual = p->residual = random_floats(call->c_batch_stride * s->batch);
      e->residual_stride = call->c_stride;
      e->residual_batch_stride = call->c_batch_stride;
      e->residual_scale = random_next() % 2 ? 1 : -2;
      break;
    case 1:
      s->residual_is_c = true;
      e->residual = p->c;
      e->residual_stride = call->c_stride;
      e->residual_batch_stride = call->c_batch_stride;
      break;
    default:
      break;
  }
}

// mode: 0 plain, 1 packed A, 2 packed B, 3 filled B
static void make_problem(problem *p, int mode, size_t k_most) {
  *p = (problem){0};
  gemm_f32_shape *s = &p->shape;
  *s = (gemm_f32_shape){.m = pick(100),
                        .n = pick(150),
                        .k = pick(k_most),
                        .batch = 1 + random_next() % 3,
                        .threads = 1 + random_next() % 3,
                        .precision = (int)(random_next() % 3),
                        .packed_a = mode == 1,
                        .packed_b = mode == 2,
                        .fill_b = mode == 3};
  gemm_f32_call *call = &p->call;
  size_t pad = random_next() % 3, a_rows = s->m, a_columns = s->k, b_rows = s->k, b_columns = s->n;
  bool ta = random_next() % 2, tb = random_next() % 2;
  call->a.row_stride = ta ? 1 : a_columns + pad;
  call->a.column_stride = ta ? a_rows + pad : 1;
  call->a.batch_stride = (a_rows + pad) * (a_columns + pad);
  call->b.row_stride = tb ? 1 : b_columns + pad;
  call->b.column_stride = tb ? b_rows + pad : 1;
  call->b.batch_stride = (b_rows + pad) * (b_columns + pad);
  p->a = random_floats(call->a.batch_stride * s->batch);
  p->b = random_floats(call->b.batch_stride * s->batch);
  call->a.data = p->a;
  call->b.data = p->b;
  static const size_t reversed[] = {0, 0, 1};
  if (random_next() % 2) call->a.index = reversed;
  call->c_stride = s->n + random_next() % 3;
  call->c_batch_stride = s->m * call->c_stride;
  call->c = p->c = random_floats(call->c_batch_stride * s->batch);
  make_epilogue(p);
  if (mode == 1) {
    size_t bytes = gemm_f32_packed_a_bytes(s->m, s->k, s->precision);
    p->packed = mem_zalloc(NULL, bytes);
    gemm_f32_pack_a(p->packed, &call->a, s->m, s->k, s->precision, 1 + random_next() % 3);
    call->a = (gemm_f32_operand){
        .packed = p->packed, .row_stride = call->a.row_stride, .column_stride = call->a.column_stride};
  }
  if (mode == 2) {
    size_t bytes = gemm_f32_packed_b_bytes(s->k, s->n, s->precision);
    p->packed = mem_zalloc(NULL, bytes);
    gemm_f32_pack_b(p->packed, &call->b, s->k, s->n, s->precision, 1 + random_next() % 3);
    call->b = (gemm_f32_operand){
        .packed = p->packed, .row_stride = call->b.row_stride, .column_stride = call->b.column_stride};
  }
  p->source = (fill_source){p->b, call->b.row_stride, call->b.column_stride, call->b.batch_stride};
  if (mode == 3) {
    call->fill = fill_from;
    call->fill_context = &p->source;
  }
}

static void features(void **state) {
  for (size_t v = 0; v < kernel_count(); v++) {
    const kernel_entry *variant = kernel_at(v);
    if (strcmp(variant->family, "gemm_f32") != 0 || !cpu_isa_enabled(variant->isa)) continue;
    for (int round = 0; round < ROUNDS; round++) {
      problem p;
      gemm_f32_plan plan;
      make_problem(&p, round % 2 ? 3 : 0, round % 20 == 0 ? 1100 : 90);
      assert_true(gemm_f32_plan_with(&plan, &p.shape, variant));
      check_problem(&plan, &p);
      problem_free(&p);
    }
  }
}

static void features_packed(void **state) {
  for (int round = 0; round < 2 * ROUNDS; round++) {
    problem p;
    gemm_f32_plan plan;
    make_problem(&p, 1 + round % 2, round % 20 < 2 ? 1100 : 90);
    assert_true(gemm_f32_plan_init(&plan, &p.shape));
    check_problem(&plan, &p);
    problem_free(&p);
  }
}

// One row, many rows, one thread, several, packed and filled: the same bits.
static void same_bits(void **state) {
  enum { M = 37, N = 75, K = 600 };
  float *a = random_floats(M * K), *b = random_floats(K * N), *want = random_floats(M * N), *got = random_floats(M * N);
  a[5 * K + 7] = INFINITY;  // a special row changes no other one
  a[9 * K + 1] = NAN;
  for (int precision = 0; precision < 3; precision++) {
    gemm_f32_operand operand = {.data = b, .row_stride = N, .column_stride = 1};
    void *packed = mem_alloc(NULL, gemm_f32_packed_b_bytes(K, N, precision));
    gemm_f32_pack_b(packed, &operand, K, N, precision, 2);
    fill_source source = {b, N, 1, 0};
    gemm_f32_shape shape = {.m = M, .n = N, .k = K, .precision = precision};
    gemm_f32_call call = {.a = {.data = a, .row_stride = K, .column_stride = 1},
                          .b = operand,
                          .c = want,
                          .c_stride = N,
                          .epilogue = GEMM_F32_PLAIN};
    gemm_f32_plan plan;
    assert_true(gemm_f32_plan_init(&plan, &shape));
    run(&plan, &call);
    call.c = got;
    for (size_t threads = 1; threads <= 5; threads++)
      for (int mode = 0; mode < 3; mode++) {
        shape.threads = threads;
        shape.packed_b = mode == 1;
        shape.fill_b = mode == 2;
        call.b.packed = packed;
        call.fill = fill_from;
        call.fill_context = &source;
        static const size_t row_counts[] = {M, 1, 13, 3, 30};
        size_t rows = row_counts[threads - 1];
        shape.m = rows;
        assert_true(gemm_f32_plan_init(&plan, &shape));
        memset(got, 0, M * N * sizeof *got);
        for (size_t r = 0; r + rows <= M; r += rows) {
          call.a.data = a + r * K;
          run(&plan, &call);
          assert_memory_equal(got, want + r * N, rows * N * sizeof *got);
        }
      }
    mem_free(packed);
  }
  mem_free(a), mem_free(b), mem_free(want), mem_free(got);
}

// So wide that a task packs all of A at once: the bits of its columns by themselves.
static void same_bits_of_a_wide_product(void **state) {
  enum { M = 37, K = 600, PART = 160 };
  const size_t n = cpu_cache_sizes().l2_bytes / sizeof(float) / M + 3;
  float *a = random_floats(M * K), *b = random_floats(K * n), *want = random_floats(M * n), *got = random_floats(M * n);
  gemm_f32_plan plan;
  for (size_t j = 0; j < n; j += PART) {
    gemm_f32_shape shape = {.m = M, .n = n - j < PART ? n - j : PART, .k = K};
    assert_true(gemm_f32_plan_init(&plan, &shape));
    gemm_f32_call call = plain_call(a, b + j, want + j, n, K);
    run(&plan, &call);
  }
  for (size_t threads = 1; threads <= 3; threads++)
    for (int packed = 0; packed < 2; packed++) {
      gemm_f32_shape shape = {.m = M, .n = n, .k = K, .threads = threads, .packed_b = packed};
      gemm_f32_call call = plain_call(a, b, got, n, K);
      void *panels = mem_alloc(NULL, gemm_f32_packed_b_bytes(K, n, GEMM_HIGHEST));
      if (packed) gemm_f32_pack_b(panels, &call.b, K, n, GEMM_HIGHEST, threads);
      call.b.packed = panels;
      assert_true(gemm_f32_plan_init(&plan, &shape));
      assert_true(threads > 1 || plan.whole_a);
      memset(got, 0, M * n * sizeof *got);
      run(&plan, &call);
      assert_memory_equal(got, want, M * n * sizeof *got);
      mem_free(panels);
    }
  mem_free(a), mem_free(b), mem_free(want), mem_free(got);
}

// The tiers with fused multiply-add compute the same chain.
static void same_bits_in_all_fp32_tiers(void **state) {
  enum { M = 29, N = 77, K = 700 };
  float *a = random_floats(M * K), *b = random_floats(K * N), *want = random_floats(M * N), *got = random_floats(M * N);
  for (size_t i = 0; i < M; i++)
    for (size_t j = 0; j < N; j++) {
      float sum = 0;
      for (size_t k = 0; k < K; k++) sum = fmaf(a[i * K + k], b[k * N + j], sum);
      want[i * N + j] = sum;
    }
  for (size_t v = 0; v < kernel_count(); v++) {
    const kernel_entry *variant = kernel_at(v);
    if (strcmp(variant->family, "gemm_f32") != 0 || !cpu_isa_enabled(variant->isa)) continue;
    if (((const gemm_f32_kernel *)variant->kernel)->split ||
        (variant->isa == CPU_ref && CPU_arm_neon != cpu_isa_limit()))
      continue;
    gemm_f32_shape shape = {.m = M, .n = N, .k = K};
    gemm_f32_call call = plain_call(a, b, got, N, K);
    gemm_f32_plan plan;
    assert_true(gemm_f32_plan_with(&plan, &shape, variant));
    run(&plan, &call);
    assert_memory_equal(got, want, sizeof(float) * M * N);
  }
  mem_free(a), mem_free(b), mem_free(want), mem_free(got);
}

static void no_depth_gives_bias(void **state) {
  float bias[5] = {1, 2, 3, -4, 5}, c[10];
  for (int i = 0; i < 10; i++) c[i] = NAN;
  gemm_f32_shape shape = {.m = 2, .n = 5, .k = 0};
  gemm_f32_call call = {.c = c, .c_stride = 5, .epilogue = GEMM_F32_PLAIN};
  call.epilogue.bias = bias;
  call.epilogue.act.kind = ACTIVATION_RELU;
  gemm_f32_plan plan;
  assert_true(gemm_f32_plan_init(&plan, &shape));
  run(&plan, &call);
  for (int i = 0; i < 10; i++) assert_true(c[i] == (i % 5 == 3 ? 0 : bias[i % 5]));
  shape = (gemm_f32_shape){.m = 0, .n = 5, .k = 7};
  assert_true(gemm_f32_plan_init(&plan, &shape));
  run(&plan, &call);
  shape = (gemm_f32_shape){.m = 3, .n = 0, .k = 7};
  assert_true(gemm_f32_plan_init(&plan, &shape));
  run(&plan, &call);
}

static void specials_as_in_a_chain(void **state) {
  enum { M = 20, N = 40, K = 70 };
  static const float specials[] = {INFINITY, -INFINITY, NAN, 3.4e38f, -3.4e38f, 0, 1e-30f};
  float *a = random_floats(M * K), *b = random_floats(K * N), *c = random_floats(M * N);
  for (int i = 0; i < 12; i++) {
    a[random_next() % (M * K)] = specials[random_next() % 7];
    b[random_next() % (K * N)] = specials[random_next() % 7];
  }
  for (int precision = 0; precision < 3; precision++) {
    gemm_f32_shape shape = {.m = M, .n = N, .k = K, .precision = precision};
    gemm_f32_call call = plain_call(a, b, c, N, K);
    gemm_f32_plan plan;
    assert_true(gemm_f32_plan_init(&plan, &shape));
    run(&plan, &call);
    for (size_t i = 0; i < M; i++)
      for (size_t j = 0; j < N; j++) {
        float sum = 0;
        for (size_t k = 0; k < K; k++) sum = fmaf(a[i * K + k], b[k * N + j], sum);
        float got = c[i * N + j];
        if (isnan(sum)) assert_true(isnan(got));
        else if (isinf(sum)) assert_true(got == sum);
        else assert_true(isfinite(got));
      }
  }
  mem_free(a), mem_free(b), mem_free(c);
}

static void sizes_that_overflow(void **state) {
  gemm_f32_plan plan;
  gemm_f32_shape shape = {.m = SIZE_MAX / 2, .n = 1, .k = 1};
  assert_false(gemm_f32_plan_init(&plan, &shape));
  shape = (gemm_f32_shape){.m = (size_t)1 << 32, .n = (size_t)1 << 32, .k = 1};
  assert_false(gemm_f32_plan_init(&plan, &shape));
  assert_int_equal(gemm_f32_packed_b_bytes((size_t)1 << 40, (size_t)1 << 40, 0), 0);
}

int main(void);
int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(features),
      cmocka_unit_test(features_packed),
      cmocka_unit_test(same_bits),
      cmocka_unit_test(same_bits_of_a_wide_product),
      cmocka_unit_test(same_bits_in_all_fp32_tiers),
      cmocka_unit_test(no_depth_gives_bias),
      cmocka_unit_test(specials_as_in_a_chain),
      cmocka_unit_test(sizes_that_overflow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
