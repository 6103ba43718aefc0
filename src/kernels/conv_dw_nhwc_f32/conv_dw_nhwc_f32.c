// SPDX-License-Identifier: Apache-2.0
// Driver of conv_dw_nhwc_f32: a batch becomes tasks of some lines of an image, whose rows stay in the L2 cache while
// their channels are done block after block; few lines are cut by channels, too.
#include "kernels/conv_dw_nhwc_f32/conv_dw_nhwc_f32.h"
#include "base/pool.h"

enum {
  TASKS = 4,              // of a thread, at least
  TASK_PRODUCTS = 32768,  // that pay for a task of its own
  CHANNELS = 64           // that a cut leaves together
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t most(size_t a, size_t b) { return a > b ? a : b; }
static size_t divide_up(size_t a, size_t b) { return (a + b - 1) / b; }

void conv_dw_nhwc_f32_pack(const float *weights, size_t taps, size_t channels, size_t multiplier, float *packed) {
  for (size_t j = 0; j < multiplier; j++)
    for (size_t t = 0; t < taps; t++)
      for (size_t c = 0; c < channels; c++) *packed++ = weights[(c * multiplier + j) * taps + t];
}

typedef struct job {
  const conv_dw_nhwc_f32_kernel *kernel;
  conv_dw_nhwc_f32_image image;
  size_t lines;                // of an image
  size_t strips, strip_lines;  // parts of an image along its lines
  size_t slices;               // parts of a strip along its channels
} job;

static void run_task(void *context, size_t index, size_t worker) {
  const job *j = context;
  (void)worker;
  conv_dw_nhwc_f32_image i = j->image;
  size_t slice = index % j->slices, strip = index / j->slices % j->strips, at = index / (j->slices * j->strips);
  size_t blocks = divide_up(i.channels, CHANNELS);
  i.x += at * window_in(i.window) * i.x_stride, i.y += at * window_out(i.window) * i.y_stride;
  conv_dw_nhwc_f32_part part = {.line_begin = strip * j->strip_lines};
  part.line_end = least(part.line_begin + j->strip_lines, j->lines);
  part.channel_begin = blocks * slice / j->slices * CHANNELS;
  part.channel_end = least(blocks * (slice + 1) / j->slices * CHANNELS, i.channels);
  j->kernel->run(&i, part);
}

void conv_dw_nhwc_f32_run(const conv_dw_nhwc_f32_kernel *kernel, const conv_dw_nhwc_f32_image *first, size_t batch,
                          size_t threads) {
  const window *w = first->window;
  size_t last = w->rank - 1, out = window_out(w), channels = first->channels * first->multiplier;
  if (batch == 0 || out == 0 || channels == 0) return;
  job j = {.kernel = kernel, .image = *first, .lines = window_product(w->out, last)};
  size_t rows = last ? (size_t)window_min(w->stride[last - 1], w->kernel[last - 1]) : 1;  // that a line reads anew
  size_t line_bytes = ((size_t)w->in[last] * first->channels * rows + (size_t)w->out[last] * channels) * sizeof(float);
  double products = (double)out * (double)channels * (double)window_taps(w) * (double)batch;
  size_t wanted = threads > 1 ? (size_t)(products / TASK_PRODUCTS) + 1 : 1;
  wanted = divide_up(least(wanted, threads * TASKS), batch);  // of an image
  j.strip_lines = most(cpu_cache_sizes().l2_bytes / 2 / line_bytes, 1);
  j.strip_lines = least(j.strip_lines, divide_up(j.lines, wanted));
  j.strips = divide_up(j.lines, j.strip_lines);
  j.slices = least(divide_up(wanted, j.strips), divide_up(first->channels, CHANNELS));
  pool_run(threads, batch * j.strips * j.slices, run_task, &j);
}
