// SPDX-License-Identifier: Apache-2.0
// Speed and error of gemm_f32 against the machine: every figure is the median over slices of some
// milliseconds of (rate of the product / rate of a multiply-add loop run right before and after), so
// that a change of clock or a busy neighbour hits both. Two threads are paired with one thread.
//
//   bench_gemm [--seconds S] [--threads N] [MxNxK ...]
//
// B is constant (packed before), A is not, as in a layer of a network.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "base/mem.h"
#include "base/pool.h"
#include "bench/probe.h"
#include "kernels/gemm_f32/gemm_f32.h"

enum { SLICES_MOST = 1000, ERROR_ROWS = 24 };
static const double peak_slice = 1e-3, work_slice = 4e-3;

typedef struct product {
  size_t m, n, k;
  float *a, *b, *c;
} product;

typedef struct runner {
  gemm_f32_plan plan;
  gemm_f32_call call;
  void *packed, *scratch;
} runner;

static void *allocate(size_t bytes) {
  void *p = mem_alloc(NULL, bytes);
  if (!p) {
    fputs("no memory\n", stderr);
    exit(1);
  }
  return p;
}

static float *random_floats(size_t n) {
  float *p = allocate(n * sizeof *p);
  for (size_t i = 0; i < n; i++) p[i] = (float)drand48() * 2 - 1;
  return p;
}

static runner runner_create(const product *p, int precision, size_t threads) {
  runner r = {.call = {.a = {.data = p->a, .row_stride = p->k, .column_stride = 1},
                       .b = {.data = p->b, .row_stride = p->n, .column_stride = 1},
                       .c = p->c,
                       .c_stride = p->n,
                       .epilogue = GEMM_F32_PLAIN}};
  gemm_f32_shape shape = {
      .m = p->m, .n = p->n, .k = p->k, .precision = precision, .threads = threads, .packed_b = true};
  gemm_f32_plan_init(&r.plan, &shape);
  r.packed = allocate(gemm_f32_packed_b_bytes(p->k, p->n, precision));
  gemm_f32_pack_b(r.packed, &r.call.b, p->k, p->n, precision, 1);
  r.call.b.packed = r.packed;
  r.scratch = allocate(r.plan.scratch_bytes);
  return r;
}

static void runner_destroy(runner *r) {
  mem_free(r->packed);
  mem_free(r->scratch);
}

static double gigaflops(const runner *r, double seconds) {
  double begin = clock_seconds(), now;
  long runs = 0;
  do {
    gemm_f32_run(&r->plan, &r->call, r->scratch);
    runs++;
    now = clock_seconds();
  } while (now - begin < seconds);
  const gemm_f32_shape *s = &r->plan.shape;
  return (double)runs * 2 * (double)s->m * (double)s->n * (double)s->k / (now - begin) * 1e-9;
}

// Largest |error| / sum |a||b| over some rows: of C as it stands, and of a chain of multiply-adds.
static void errors(const product *p, double *own, double *chain) {
  *own = *chain = 0;
  for (size_t i = 0; i < p->m && i < ERROR_ROWS; i++)
    for (size_t j = 0; j < p->n; j++) {
      double sum = 0, magnitude = 0;
      float fused = 0;
      for (size_t k = 0; k < p->k; k++) {
        float x = p->a[i * p->k + k], y = p->b[k * p->n + j];
        sum += (double)x * y;
        magnitude += fabs((double)x * y);
        fused = fmaf(x, y, fused);
      }
      *own = fmax(*own, fabs(p->c[i * p->n + j] - sum) / magnitude);
      *chain = fmax(*chain, fabs(fused - sum) / magnitude);
    }
}

static void bench(const product *p, int precision, size_t threads, double seconds) {
  static const char *const names[] = {"highest", "high", "medium"};
  static double rates[SLICES_MOST], peaks[SLICES_MOST], ratios[SLICES_MOST], scaling[SLICES_MOST];
  runner one = runner_create(p, precision, 1), many = runner_create(p, precision, threads);
  double until = clock_seconds() + seconds, before = probe_fma(peak_slice), own, chain;
  int n = 0;
  gigaflops(&many, 0);
  gigaflops(&one, 0);
  for (; n < SLICES_MOST && (n < 5 || clock_seconds() < until); n++) {
    double single = threads > 1 && n % 2 ? gigaflops(&one, work_slice) : 0;
    rates[n] = gigaflops(&many, work_slice);
    if (threads > 1 && n % 2 == 0) single = gigaflops(&one, work_slice);
    peaks[n] = probe_fma(peak_slice);
    ratios[n] = rates[n] / ((before + peaks[n]) / 2);
    scaling[n] = single > 0 ? rates[n] / single : 0;
    before = peaks[n];
  }
  errors(p, &own, &chain);
  char shape[64];
  snprintf(shape, sizeof shape, "%zux%zux%zu", p->m, p->n, p->k);
  printf("%-16s %-8s %-12s %3zu %9.1f %7.2f  %.2f-%.2f %9.1e %9.1e", shape, names[precision], many.plan.name, threads,
         quantile(rates, n, 0.5), quantile(ratios, n, 0.5), quantile(ratios, n, 0.25), quantile(ratios, n, 0.75), own,
         chain);
  if (threads > 1)
    printf("   %.2f (%.2f-%.2f)", quantile(scaling, n, 0.5), quantile(scaling, n, 0.25), quantile(scaling, n, 0.75));
  putchar('\n');
  fflush(stdout);
  runner_destroy(&one);
  runner_destroy(&many);
}

static void bench_shape(size_t m, size_t n, size_t k, size_t threads, double seconds) {
  product p = {m, n, k, random_floats(m * k), random_floats(k * n), allocate(m * n * sizeof(float))};
  // Without matrix units the three precisions are one.
  gemm_f32_plan plan;
  gemm_f32_shape shape = {.m = m, .n = n, .k = k};
  bool split = gemm_f32_plan_init(&plan, &shape) && plan.planes > 0;
  for (int precision = 0; precision < (split ? 3 : 1); precision++) {
    bench(&p, precision, 1, seconds);
    if (threads > 1) bench(&p, precision, threads, seconds);
  }
  mem_free(p.a);
  mem_free(p.b);
  mem_free(p.c);
}

int main(int argc, char **argv) {
  double seconds = 2;
  size_t threads = host_cpus() < 2 ? 1 : 2;
  int i = 1;
  for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
    if (strcmp(argv[i], "--seconds") == 0) seconds = strtod(argv[i + 1], NULL);
    else if (strcmp(argv[i], "--threads") == 0) threads = strtoul(argv[i + 1], NULL, 10);
    else break;
  }
  printf("multiply-add peak of one core now: %.1f GF/s", probe_fma(0.05));
  if (probe_has_amx()) printf(" · tile peak (bf16): %.1f GF/s", probe_amx(0.05));
  printf(
      "\nratio: rate / peak of one core, median and quartiles of paired slices; error: largest |error| / sum|a||b|\n");
  printf("%-16s %-8s %-12s %3s %9s %7s  %-9s %9s %9s   %s\n", "M x N x K", "", "kernel", "thr", "GF/s", "ratio",
         "quartiles", "error", "fma chain", "over one thread");
  static const size_t standard[][3] = {
      {512, 512, 512}, {1024, 1024, 1024}, {128, 768, 768}, {128, 3072, 768}, {1, 1024, 1024}};
  if (i >= argc)
    for (size_t s = 0; s < sizeof standard / sizeof *standard; s++)
      bench_shape(standard[s][0], standard[s][1], standard[s][2], threads, seconds);
  for (; i < argc; i++) {
    size_t m, n, k;
    if (sscanf(argv[i], "%zux%zux%zu", &m, &n, &k) != 3 || !m || !n || !k) {
      fprintf(stderr, "bench_gemm: '%s' is not MxNxK\nusage: bench_gemm [--seconds S] [--threads N] [MxNxK ...]\n",
              argv[i]);
      return 2;
    }
    bench_shape(m, n, k, threads, seconds);
  }
  return 0;
}
