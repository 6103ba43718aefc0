// SPDX-License-Identifier: Apache-2.0
// Speed of conv_f32 by shape, as a part of one core's multiply-add peak: medians over short slices of (rate of the
// convolution / rate of a multiply-add loop right before and after).
//
//   bench_conv [--seconds S] [--threads N] [CHANNELSxHEIGHTxWIDTH:OUT:KERNEL[:STRIDE[:GROUPS]] ...]
//
// Padding is KERNEL / 2; weights are packed before, as in a layer of a network.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bench/probe.h"
#include "kernels/conv_f32/conv_f32.h"

enum { SLICES_MOST = 2000, SLICES_LEAST = 5 };
static const double peak_slice = 5e-4, work_slice = 2e-3;

static void *random_floats(size_t n) {
  float *p = mem_alloc(NULL, (n + 1) * sizeof *p);
  if (!p) {
    fputs("no memory\n", stderr);
    exit(1);
  }
  for (size_t i = 0; i < n; i++) p[i] = (float)drand48() * 2 - 1;
  return p;
}

static int bench(const char *text, size_t threads, double seconds) {
  long long c, h, w, out, kernel, stride = 1, groups = 1;
  if (sscanf(text, "%lldx%lldx%lld:%lld:%lld:%lld:%lld", &c, &h, &w, &out, &kernel, &stride, &groups) < 5 || c < 1 ||
      h < 1 || w < 1 || out < 1 || kernel < 1 || stride < 1 || groups < 1 || c % groups || out % groups) {
    fprintf(stderr, "bench_conv: '%s' is not CHANNELSxHEIGHTxWIDTH:OUT:KERNEL[:STRIDE[:GROUPS]]\n", text);
    return 2;
  }
  int64_t pad = kernel / 2, rows = (h + 2 * pad - kernel) / stride + 1, columns = (w + 2 * pad - kernel) / stride + 1;
  conv_f32_shape shape = {.window = {.rank = 2,
                                     .in = {h, w},
                                     .out = {rows, columns},
                                     .kernel = {kernel, kernel},
                                     .stride = {stride, stride},
                                     .dilation = {1, 1},
                                     .pad = {pad, pad},
                                     .pad_end = {pad, pad}},
                          .batch = 1,
                          .groups = (size_t)groups,
                          .in_channels = (size_t)c,
                          .out_channels = (size_t)out,
                          .threads = threads,
                          .constant_weights = true};
  conv_f32_plan plan;
  if (!conv_f32_plan_init(&plan, &shape)) return 1;
  size_t weights = (size_t)(out * (c / groups) * kernel * kernel);
  conv_f32_call call = {.x = random_floats((size_t)(c * h * w)), .bias = random_floats((size_t)out)};
  float *w_plain = random_floats(weights), *packed = random_floats(plan.packed_bytes / 4);
  float *scratch = random_floats(plan.scratch_bytes / 4);
  call.y = random_floats((size_t)(out * rows * columns));
  call.weights = w_plain, call.packed = plan.packed_bytes ? packed : NULL;
  conv_f32_pack(&plan, w_plain, packed);
  double flop = 2.0 * (double)weights * (double)(rows * columns);
  static double rates[SLICES_MOST], ratios[SLICES_MOST];
  double until = clock_seconds() + seconds, before = probe_fma(peak_slice);
  int n = 0;
  conv_f32_run(&plan, &call, scratch);
  for (; n < SLICES_MOST && (n < SLICES_LEAST || clock_seconds() < until); n++) {
    double begin = clock_seconds(), now;
    long runs = 0;
    do conv_f32_run(&plan, &call, scratch), runs++, now = clock_seconds();
    while (now - begin < work_slice);
    rates[n] = (double)runs * flop / (now - begin) * 1e-9;
    double after = probe_fma(peak_slice);
    ratios[n] = rates[n] / ((before + after) / 2), before = after;
  }
  double rate = quantile(rates, n, 0.5);
  printf("%-28s %-12s %3zu %9.1f us %8.1f %7.2f  (%.2f-%.2f)\n", text, plan.name, threads, flop / rate * 1e-3, rate,
         quantile(ratios, n, 0.5), quantile(ratios, n, 0.25), quantile(ratios, n, 0.75));
  fflush(stdout);
  mem_free((void *)call.x), mem_free((void *)call.bias), mem_free(call.y);
  mem_free(w_plain), mem_free(packed), mem_free(scratch);
  return 0;
}

int main(int argc, char **argv) {
  static const char *const standard[] = {
      "3x224x224:64:7:2",      "64x56x56:64:3",       "128x28x28:128:3",      "256x14x14:256:3",
      "512x7x7:512:3",         "64x56x56:256:1",      "256x56x56:64:1",       "1024x14x14:256:1",
      "512x7x7:2048:1",        "256x56x56:128:3:2",   "32x56x56:16:3",        "1x224x224:64:5",
      "64x224x224:32:3",       "24x28x28:48:1",       "32x112x112:32:3:1:32", "144x56x56:144:3:2:144",
      "384x14x14:384:3:1:384", "960x7x7:960:3:1:960", "128x13x13:128:5:1:128"};
  double seconds = 0.5;
  size_t threads = 1;
  int i = 1, failed = 0;
  for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
    if (strcmp(argv[i], "--seconds") == 0) seconds = strtod(argv[i + 1], NULL);
    else if (strcmp(argv[i], "--threads") == 0) threads = strtoul(argv[i + 1], NULL, 10);
    else break;
  }
  printf("multiply-add peak of one core now: %.1f GF/s\n%-28s %-12s %3s %12s %8s %7s  quartiles\n", probe_fma(0.05),
         "C x H x W : M : kernel", "kernel", "thr", "", "GF/s", "ratio");
  if (i >= argc)
    for (size_t s = 0; s < sizeof standard / sizeof *standard; s++) failed |= bench(standard[s], threads, seconds);
  for (; i < argc; i++) failed |= bench(argv[i], threads, seconds);
  return failed;
}
