// SPDX-License-Identifier: Apache-2.0
// Channels-last convolution, depthwise and Winograd too, against conv_f32 (channels first) on the layers of well-known
// networks: medians over short slices that alternate between the two and a multiply-add loop, each as a part of one
// core's multiply-add peak.
//
//   bench_nhwc [--seconds S] [--threads N] [--network NAME] [--winograd 0|2|4] [--layer
//   C,H,W,FILTERS,KH,KW,STRIDE,PH,PW,GROUPS]
//
// Last for each network: the time of all its layers, each as often as it stands in the network.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bench/probe.h"
#include "kernels/conv_dw_nhwc_f32/conv_dw_nhwc_f32.h"
#include "kernels/conv_f32/conv_f32.h"
#include "kernels/conv_nhwc_f32/conv_nhwc_f32.h"
#include "kernels/winograd_f32/winograd_f32.h"

enum { SLICES_MOST = 2000, SLICES_LEAST = 5 };
static const double peak_slice = 3e-4, work_slice = 1e-3;

typedef struct layer {
  const char *network;
  int count;
  int64_t channels, height, width, filters, kernel_height, kernel_width, stride, pad_height, pad_width, groups;
} layer;

static const layer layers[] = {
#define LAYER(network, ...) {#network, __VA_ARGS__},
#include "bench/conv_layers.def"
};

static void *floats(size_t n) {
  float *p = mem_alloc(NULL, (n + 16) * sizeof *p);
  if (!p) {
    fputs("no memory\n", stderr);
    exit(1);
  }
  for (size_t i = 0; i < n; i++) p[i] = (float)drand48() * 2 - 1;
  return p;
}

static window window_of(const layer *l) {
  window w = {.rank = 2,
              .in = {l->height, l->width},
              .kernel = {l->kernel_height, l->kernel_width},
              .stride = {l->stride, l->stride},
              .dilation = {1, 1},
              .pad = {l->pad_height, l->pad_width},
              .pad_end = {l->pad_height, l->pad_width}};
  for (size_t d = 0; d < 2; d++) w.out[d] = (w.in[d] + 2 * w.pad[d] - w.kernel[d]) / w.stride[d] + 1;
  return w;
}

// One layer made ready in both layouts.
typedef struct subject {
  size_t threads;
  window window;
  bool depthwise, by_winograd;
  winograd_f32_plan winograd;
  const conv_dw_nhwc_f32_kernel *depthwise_kernel;
  conv_dw_nhwc_f32_image depthwise_call;
  conv_f32_plan first;
  conv_f32_call first_call;
  conv_nhwc_f32_plan last;
  conv_nhwc_f32_call last_call;
  float *x, *w, *bias, *y, *packed[2], *scratch[2];
  double flop;
} subject;

static const activation relu = {.kind = ACTIVATION_RELU};

static size_t winograd = 2;  // tile, where it suits

static bool prepare_last(subject *s, const layer *l) {
  size_t channels = (size_t)l->channels, filters = (size_t)l->filters;
  if (s->depthwise) {
    s->packed[1] = floats(filters * window_taps(&s->window)), s->scratch[1] = NULL;
    conv_dw_nhwc_f32_pack(s->w, window_taps(&s->window), channels, filters / channels, s->packed[1]);
    s->depthwise_call = (conv_dw_nhwc_f32_image){
        &s->window, channels, filters / channels,        s->x, s->packed[1], s->bias, s->y, channels,
        filters,    relu,     activation_find(relu.kind)};
    s->depthwise_kernel = KERNEL_BEST(conv_dw_nhwc_f32);
    return true;
  }
  conv_nhwc_f32_shape shape = {.window = s->window, .batch = 1, .groups = (size_t)l->groups, .threads = s->threads};
  shape.in_channels = channels, shape.out_channels = filters, shape.planar = conv_nhwc_f32_reads_planes(&shape);
  s->by_winograd = winograd && winograd_f32_suits(&shape, winograd);
  if (!conv_nhwc_f32_plan_init(&s->last, &shape)) return false;
  if (s->by_winograd && !winograd_f32_plan_init(&s->winograd, &shape, winograd)) return false;
  size_t packed = s->by_winograd ? s->winograd.packed_bytes : s->last.packed_bytes;
  size_t scratch = s->by_winograd ? s->winograd.scratch_bytes : s->last.scratch_bytes;
  s->packed[1] = floats(packed / 4), s->scratch[1] = floats((scratch > packed ? scratch : packed) / 4);
  if (s->by_winograd) winograd_f32_pack(&s->winograd, s->w, s->packed[1], s->scratch[1]);
  else conv_nhwc_f32_pack(&s->last, s->w, s->packed[1]);
  s->last_call = (conv_nhwc_f32_call){.x = s->x, .packed = s->packed[1], .bias = s->bias, .activation = relu};
  s->last_call.y = s->y, s->last_call.x_stride = channels, s->last_call.y_stride = filters;
  return true;
}

static bool prepare(subject *s, const layer *l, size_t threads) {
  window w = window_of(l);
  s->threads = threads, s->window = w, s->depthwise = l->groups > 1 && l->groups == l->channels;
  conv_f32_shape a = {
      .window = w, .batch = 1, .groups = (size_t)l->groups, .threads = threads, .constant_weights = true};
  a.in_channels = (size_t)l->channels, a.out_channels = (size_t)l->filters;
  if (!conv_f32_plan_init(&s->first, &a)) return false;
  size_t weights = (size_t)(l->filters * (l->channels / l->groups)) * window_taps(&w);
  s->x = floats(a.in_channels * window_in(&w)), s->w = floats(weights), s->bias = floats(a.out_channels);
  s->y = floats(a.out_channels * window_out(&w));
  s->packed[0] = floats(s->first.packed_bytes / 4), s->scratch[0] = floats(s->first.scratch_bytes / 4);
  conv_f32_pack(&s->first, s->w, s->packed[0]);
  s->first_call = (conv_f32_call){.x = s->x, .weights = s->w, .bias = s->bias, .activation = relu, .y = s->y};
  s->first_call.packed = s->first.packed_bytes ? s->packed[0] : NULL;
  s->flop = 2.0 * (double)weights * (double)window_out(&w);
  return prepare_last(s, l);
}

static void release(subject *s) {
  mem_free(s->x), mem_free(s->w), mem_free(s->bias), mem_free(s->y);
  for (int i = 0; i < 2; i++) mem_free(s->packed[i]), mem_free(s->scratch[i]);
}

static void run(const subject *s, int layout) {
  if (layout == 0) conv_f32_run(&s->first, &s->first_call, s->scratch[0]);
  else if (s->depthwise) conv_dw_nhwc_f32_run(s->depthwise_kernel, &s->depthwise_call, 1, s->threads);
  else if (s->by_winograd) winograd_f32_run(&s->winograd, &s->last_call, s->w, s->scratch[1]);
  else conv_nhwc_f32_run(&s->last, &s->last_call, s->scratch[1]);
}

// Seconds of one run, over a slice.
static double slice(const subject *s, int layout) {
  double (*clock)(void) = s->threads > 1 ? clock_seconds : clock_thread_seconds, begin = clock(), now;
  long runs = 0;
  do run(s, layout), runs++, now = clock();
  while (now - begin < work_slice);
  return (now - begin) / (double)runs;
}

// Adds the layer's times to those of its network.
static void bench(const layer *l, size_t threads, double seconds, double *total) {
  static double times[2][SLICES_MOST], parts[2][SLICES_MOST], gains[SLICES_MOST];
  subject s = {0};
  if (!prepare(&s, l, threads)) return;
  run(&s, 0), run(&s, 1);
  int n = 0;
  double until = clock_seconds() + seconds, before = probe_fma(peak_slice);
  for (; n < SLICES_MOST && (n < SLICES_LEAST || clock_seconds() < until); n++) {
    for (int i = 0; i < 2; i++) times[(n + i) & 1][n] = slice(&s, (n + i) & 1);
    double after = probe_fma(peak_slice), peak = (before + after) / 2 * 1e9;
    for (int i = 0; i < 2; i++) parts[i][n] = s.flop / times[i][n] / peak;
    gains[n] = times[0][n] / times[1][n], before = after;
  }
  char text[80];
  snprintf(text, sizeof text, "%lldx%lldx%lld:%lld %lldx%lld", (long long)l->channels, (long long)l->height,
           (long long)l->width, (long long)l->filters, (long long)l->kernel_height, (long long)l->kernel_width);
  if (l->stride > 1) snprintf(text + strlen(text), sizeof text - strlen(text), " s%lld", (long long)l->stride);
  if (l->groups > 1) snprintf(text + strlen(text), sizeof text - strlen(text), " g%lld", (long long)l->groups);
  if (s.by_winograd) snprintf(text + strlen(text), sizeof text - strlen(text), " winograd");
  double first = quantile(times[0], n, 0.5), last = quantile(times[1], n, 0.5);
  printf("%-34s %3d %9.1f %9.1f %6.0f %6.0f %7.2f\n", text, l->count, first * 1e6, last * 1e6,
         100 * quantile(parts[0], n, 0.5), 100 * quantile(parts[1], n, 0.5), quantile(gains, n, 0.5));
  fflush(stdout);
  total[0] += first * l->count, total[1] += last * l->count;
  release(&s);
}

static void heading(const char *network) {
  printf("%s\n%-34s %3s %9s %9s %6s %6s %7s\n", network, "C x H x W : filters kernel", "n", "first us", "last us",
         "%peak", "%peak", "gain");
}

static bool parse(const char *text, layer *l) {
  *l = (layer){.network = "layer", .count = 1};
  int64_t *fields = &l->channels;
  for (int i = 0; i < 10; i++) {
    char *end;
    fields[i] = strtoll(text, &end, 10);
    if (end == text || (*end != ',' && i < 9) || fields[i] < (i == 7 || i == 8 ? 0 : 1)) return false;
    text = end + 1;
  }
  return l->channels % l->groups == 0 && l->filters % l->groups == 0;
}

int main(int argc, char **argv) {
  double seconds = 0.2, total[2] = {0};
  size_t threads = 1;
  const char *network = NULL;
  layer own;
  for (int i = 1; i < argc; i += 2) {
    if (i + 1 == argc) return 2;
    if (strcmp(argv[i], "--seconds") == 0) seconds = strtod(argv[i + 1], NULL);
    else if (strcmp(argv[i], "--threads") == 0) threads = strtoul(argv[i + 1], NULL, 10);
    else if (strcmp(argv[i], "--network") == 0) network = argv[i + 1];
    else if (strcmp(argv[i], "--winograd") == 0) winograd = strtoul(argv[i + 1], NULL, 10);
    else if (strcmp(argv[i], "--layer") == 0 && parse(argv[i + 1], &own)) {
      heading("layer");
      bench(&own, threads, seconds, total);
      return 0;
    } else {
      fprintf(stderr, "bench_nhwc: what is '%s %s'?\n", argv[i], argv[i + 1]);
      return 2;
    }
  }
  for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
    const layer *l = &layers[i];
    bool first = i == 0 || strcmp(l->network, l[-1].network) != 0;
    bool last = i + 1 == sizeof layers / sizeof *layers || strcmp(l->network, l[1].network) != 0;
    if (network && strcmp(network, l->network) != 0) continue;
    if (first) heading(l->network), total[0] = total[1] = 0;
    bench(l, threads, seconds, total);
    if (last)
      printf("%-34s %3s %9.0f %9.0f %21.2f\n\n", "all", "", total[0] * 1e6, total[1] * 1e6, total[0] / total[1]);
  }
  return 0;
}
