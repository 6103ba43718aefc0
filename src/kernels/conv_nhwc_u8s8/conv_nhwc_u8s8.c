// SPDX-License-Identifier: Apache-2.0
// Driver of conv_nhwc_u8s8:
//
//   once                        x as the kernel wants it, where it is not so already
//   for each block of pixels    addresses of all taps; they stay in the L1 cache
//     for each panel            of weights, which stays in the L2 cache
//       for each tile of pixels
//
// Tasks are blocks and parts of their panels; where each channel is convolved by itself, lines of y.
#include "kernels/conv_nhwc_u8s8/conv_nhwc_u8s8.h"

#include <string.h>

#include "base/pool.h"
#include "base/size.h"

enum {
  PACK_VERSION = 2,
  BLOCK_BYTES = 128 << 10,  // of x
  BLOCK_LEAST = 48,
  BLOCK_MOST = 192,                       // pixels
  TASKS_A_THREAD = 4,                     // at least, where there are as many
  PIECE_MOST = 32,                        // pixels of a line that depthwise kernels do at once
  MERGED_MOST = 4,                        // channels
  COLUMNS_MOST = IGEMM_U8S8_VECTORS * 16  // of a panel
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t most(size_t a, size_t b) { return a > b ? a : b; }
static size_t divide_up(size_t a, size_t b) { return a / b + (a % b != 0); }

static size_t columns_of(const conv_nhwc_u8s8_plan *p) { return p->shape.out_channels / p->shape.groups; }
static size_t channels_of(const conv_nhwc_u8s8_plan *p) { return p->shape.in_channels / p->shape.groups; }
static size_t pixels_of(const conv_nhwc_u8s8_plan *p) { return p->shape.batch * window_out(&p->shape.window); }
// Bytes of a pixel as the kernel reads it.
static size_t stride_of(const conv_nhwc_u8s8_plan *p) {
  return (p->merged ? p->shape.in_channels : p->shape.groups * p->depth) * p->element;
}
// Lines of pixels, and how many pixels each has in the copy: merged, all that windows cover.
static size_t lines_of(const window *w) { return window_product(w->in, w->rank - 1); }
static size_t line_pixels(const conv_nhwc_u8s8_plan *p) {
  const window *w = &p->shape.window;
  const size_t last = w->rank - 1;
  if (!p->merged) return (size_t)w->in[last];
  return w->out[last] ? (size_t)((w->out[last] - 1) * w->stride[last] + w->kernel[last]) : 0;
}

// Rows of a window across its last dimension; pixels of a line that are done at once: those that share columns.
static size_t rows_of(const window *w) { return window_product(w->kernel, w->rank - 1); }
static size_t piece_of(const window *w) {
  const size_t last = w->rank - 1;
  const bool shared = w->dilation[last] == 1 && w->stride[last] <= w->kernel[last];
  return shared ? most(least((size_t)w->out[last], PIECE_MOST), 1) : 1;
}

// ---- plan ----------------------------------------------------------------------------------------

bool conv_nhwc_u8s8_suits(const void *weights, size_t count, bool is_signed, int32_t zero) {
  bool suits = true;
  for (size_t i = 0; i < count; i++) {
    int32_t w = (is_signed ? ((const int8_t *)weights)[i] : ((const uint8_t *)weights)[i]) - zero;
    suits &= w >= INT8_MIN && w <= INT8_MAX;
  }
  return suits;
}

// Addresses that a task lists: of the taps of a block, or of a piece of a line, whose rows come first.
static size_t table_of(const conv_nhwc_u8s8_plan *p) {
  const window *w = &p->shape.window;
  if (!p->depthwise) return p->block * p->taps;
  return rows_of(w) * (1 + (piece_of(w) - 1) * (size_t)w->stride[w->rank - 1] + (size_t)w->kernel[w->rank - 1]);
}

// In the packed form: sums of the weights of each output, then panels or the depthwise kernel's weights.
static bool find_bytes(conv_nhwc_u8s8_plan *p) {
  const conv_nhwc_u8s8_shape *s = &p->shape;
  const conv_dw_nhwc_u8s8_kernel *d = p->depthwise;
  const size_t last = s->window.rank - 1;
  size_t sums, weights, workers, pixels = 0;
  if (!size_mul(s->out_channels, sizeof(int32_t), &sums) || !size_align(sums, 64, &sums)) return false;
  if (d)
    weights = conv_dw_nhwc_u8s8_weights(d, s->out_channels, (size_t)s->window.kernel[last], rows_of(&s->window)) *
              (d->wide ? 2 : 1);
  else if (!size_mul(s->groups * p->panels, p->panel_bytes, &weights)) return false;
  if (p->copies && (!size_mul(line_pixels(p), lines_of(&s->window), &pixels) || !size_mul(pixels, s->batch, &pixels)))
    return false;
  // Behind the last tap up to three elements more are read, and multiplied by 0.
  if (!size_mul(pixels, stride_of(p), &p->copy_bytes) || !size_align(p->copy_bytes + 16, 64, &p->copy_bytes) ||
      !size_align(most(stride_of(p), p->depth * p->element), 64, &p->row_bytes) ||
      !size_mul(table_of(p), sizeof(void *), &p->table_bytes) ||
      !size_mul(p->table_bytes, most(s->threads, 1), &workers) || !size_add(sums, weights, &p->packed_bytes))
    return false;
  // Bias and scale of each output, with what panels read beyond the last.
  return size_mul(s->out_channels + COLUMNS_MOST, 2 * sizeof(float), &p->bound_bytes) &&
         size_add(p->row_bytes, p->copy_bytes, &p->scratch_bytes) &&
         size_add(p->scratch_bytes, workers, &p->scratch_bytes);
}

bool conv_nhwc_u8s8_plan_with(conv_nhwc_u8s8_plan *p, const conv_nhwc_u8s8_shape *shape, const kernel_entry *variant,
                              const conv_dw_nhwc_u8s8_kernel *depthwise) {
  const igemm_u8s8_kernel *k = variant->kernel;
  *p = (conv_nhwc_u8s8_plan){.shape = *shape, .kernel = k, .name = variant->variant};
  const conv_nhwc_u8s8_shape *s = &p->shape;
  const size_t channels = channels_of(p), columns = columns_of(p), taps = window_taps(&s->window);
  if (channels == 1 && columns == 1 && s->groups > 1) p->depthwise = depthwise;
  p->element = !p->depthwise && k->wide ? 2 : 1;
  const size_t last = s->window.rank - 1, line = (size_t)s->window.kernel[last];
  p->merged = s->groups == 1 && channels <= MERGED_MOST && line > 1 && s->window.dilation[last] == 1;
  p->taps = p->merged ? taps / line : taps;
  p->depth = p->merged ? channels * line : channels;
  if (!p->depthwise) p->depth = divide_up(p->depth, IGEMM_U8S8_GROUP) * IGEMM_U8S8_GROUP;
  p->copies = !p->depthwise && (k->wide || s->x_signed || p->depth != channels || p->merged);
  const size_t width = (size_t)k->main * k->unit;
  p->panels = divide_up(columns, width);
  if (!size_mul(p->depth * p->element, width, &p->panel_bytes) || !size_mul(p->panel_bytes, p->taps, &p->panel_bytes))
    return false;
  const size_t pixels = most(pixels_of(p), 1), threads = most(s->threads, 1);
  p->block = most(least(BLOCK_BYTES / most(stride_of(p), 1), BLOCK_MOST), BLOCK_LEAST);
  if (threads > 1) p->block = least(p->block, most(divide_up(pixels, threads * TASKS_A_THREAD), BLOCK_LEAST));
  p->blocks = divide_up(pixels, p->block), p->block = divide_up(pixels, p->blocks);
  const size_t wanted = threads > 1 ? divide_up(threads * TASKS_A_THREAD, p->blocks) : 1;
  p->splits = least(wanted, s->groups * p->panels);
  return find_bytes(p);
}

bool conv_nhwc_u8s8_plan_init(conv_nhwc_u8s8_plan *plan, const conv_nhwc_u8s8_shape *shape) {
  return conv_nhwc_u8s8_plan_with(plan, shape, kernel_best("igemm_u8s8"), KERNEL_BEST(conv_dw_nhwc_u8s8));
}

// ---- packing -------------------------------------------------------------------------------------

static int32_t weight_at(const conv_nhwc_u8s8_shape *s, const void *weights, size_t i) {
  return (s->w_signed ? ((const int8_t *)weights)[i] : ((const uint8_t *)weights)[i]) - s->w_zero;
}

typedef struct pack_job {
  const conv_nhwc_u8s8_plan *plan;
  const void *weights;
  int32_t *sums;
  char *panels;
} pack_job;

static void pack_panel(void *context, size_t index, size_t worker) {
  const pack_job *j = context;
  const conv_nhwc_u8s8_plan *p = j->plan;
  const igemm_u8s8_kernel *k = p->kernel;
  const size_t taps = window_taps(&p->shape.window), channels = channels_of(p), width = (size_t)k->main * k->unit;
  const size_t group = index / p->panels, first = index % p->panels * width;
  const size_t n = least(columns_of(p) - first, width), columns = divide_up(n, k->unit) * k->unit;
  char *panel = j->panels + index * p->panel_bytes;
  (void)worker;
  memset(panel, 0, p->panel_bytes);
  for (size_t column = 0; column < n; column++) {
    const size_t filter = group * columns_of(p) + first + column;
    uint32_t sum = 0;
    for (size_t c = 0; c < channels; c++)
      for (size_t t = 0; t < taps; t++) {
        const int32_t w = weight_at(&p->shape, j->weights, (filter * channels + c) * taps + t);
        const size_t line = taps / p->taps;  // taps that are one
        const size_t to = igemm_u8s8_place(k, p->depth, columns, t / line, t % line * channels + c, column);
        if (k->wide) ((int16_t *)panel)[to] = (int16_t)w;
        else ((int8_t *)panel)[to] = (int8_t)w;
        sum += (uint32_t)w;
      }
    j->sums[filter] = (int32_t)sum;
  }
}

static void pack_depthwise(const pack_job *j) {
  const conv_nhwc_u8s8_plan *p = j->plan;
  const window *w = &p->shape.window;
  const size_t taps = (size_t)w->kernel[w->rank - 1], rows = rows_of(w), channels = p->shape.out_channels;
  const conv_dw_nhwc_u8s8_kernel *k = p->depthwise;
  memset(j->panels, 0, conv_dw_nhwc_u8s8_weights(k, channels, taps, rows) * (k->wide ? 2 : 1));
  for (size_t c = 0; c < channels; c++) {
    uint32_t sum = 0;
    for (size_t i = 0; i < rows * taps; i++) {
      const int32_t weight = weight_at(&p->shape, j->weights, c * rows * taps + i);
      const size_t to = conv_dw_nhwc_u8s8_place(k, taps, rows, c, i % taps, i / taps);
      if (k->wide) ((int16_t *)j->panels)[to] = (int16_t)weight;
      else ((int8_t *)j->panels)[to] = (int8_t)weight;
      sum += (uint32_t)weight;
    }
    j->sums[c] = (int32_t)sum;
  }
}

static size_t sums_bytes(const conv_nhwc_u8s8_plan *p) {
  return (p->shape.out_channels * sizeof(int32_t) + 63) & ~(size_t)63;
}

void conv_nhwc_u8s8_pack(const conv_nhwc_u8s8_plan *p, const void *weights, void *packed) {
  pack_job j = {p, weights, packed, (char *)packed + sums_bytes(p)};
  if (p->depthwise) pack_depthwise(&j);
  else pool_run(p->shape.threads, p->shape.groups * p->panels, pack_panel, &j);
}

pack_format conv_nhwc_u8s8_format(const conv_nhwc_u8s8_plan *p) {
  pack_format f = pack_format_of(p->depthwise ? "conv_dw_nhwc_u8s8" : "conv_nhwc_u8s8", p->name, PACK_VERSION);
  f.tile = (uint32_t)p->kernel->main * p->kernel->unit, f.groups = (uint32_t)p->shape.groups;
  f.detail = (uint32_t)(uint8_t)p->shape.w_zero | (uint32_t)p->shape.w_signed << 8;
  return f;
}

// ---- bias and scale ------------------------------------------------------------------------------

// What stands for 0 in what kernels multiply; their int16 have none.
static int32_t zero_of(const conv_nhwc_u8s8_plan *p, int32_t x_zero) {
  return p->element == 2 ? 0 : x_zero + (p->shape.x_signed ? 128 : 0);
}

void conv_nhwc_u8s8_bind(const conv_nhwc_u8s8_plan *p, const void *packed, int32_t x_zero, const int32_t *bias,
                         const float *scale, void *bound) {
  const size_t n = p->shape.out_channels, padded = n + COLUMNS_MOST;
  const int32_t zero = zero_of(p, x_zero), *sums = packed;
  int32_t *biases = bound;
  float *scales = (float *)(biases + padded);
  memset(bound, 0, p->bound_bytes);
  for (size_t i = 0; i < n; i++) {
    const size_t to = p->depthwise ? conv_dw_nhwc_u8s8_lane(p->depthwise, i) : i;
    biases[to] = (int32_t)((bias ? (uint32_t)bias[i] : 0) - (uint32_t)zero * (uint32_t)sums[i]);
    scales[to] = scale[i];
  }
}

// ---- run -----------------------------------------------------------------------------------------

typedef struct job {
  const conv_nhwc_u8s8_plan *plan;
  const conv_nhwc_u8s8_call *call;
  const int32_t *bias;  // with what zero points add
  const float *scale;
  char *zeros;    // a tap of padding
  int zero;       // its bytes
  const char *x;  // as the kernel reads it
  char *copy;     // NULL: x is the caller's
  const char *panels;
  char *tables;
} job;

// What the kernel reads for x: int16 less the zero point, or uint8.
static void copy_line(const job *j, const uint8_t *from, size_t pixels, char *copy) {
  const conv_nhwc_u8s8_plan *p = j->plan;
  size_t channels = channels_of(p), depth = p->merged ? channels : p->depth, runs = pixels * p->shape.groups;
  if (depth == channels) channels = depth = channels * runs, runs = 1;
  const uint8_t flip = p->shape.x_signed ? 0x80 : 0;
  const int32_t zero = j->call->x_zero + (p->shape.x_signed ? 128 : 0);
  for (size_t i = 0; i < runs; i++, from += channels, copy += depth * p->element)
    if (p->kernel->wide) {
      int16_t *to = (int16_t *)copy;
      for (size_t c = 0; c < channels; c++) to[c] = (int16_t)((from[c] ^ flip) - zero);
      for (size_t c = channels; c < depth; c++) to[c] = 0;
    } else {
      uint8_t *to = (uint8_t *)copy;
      for (size_t c = 0; c < channels; c++) to[c] = from[c] ^ flip;
      for (size_t c = channels; c < depth; c++) to[c] = 0;
    }
}

// A line of pixels; merged, with the padding on both sides and without what no window covers.
static void copy_lines(void *context, size_t index, size_t worker) {
  const job *j = context;
  const conv_nhwc_u8s8_plan *p = j->plan;
  const window *w = &p->shape.window;
  const size_t in = (size_t)w->in[w->rank - 1], stride = stride_of(p), covered = line_pixels(p);
  const uint8_t *from = (const uint8_t *)j->call->x + index * in * p->shape.in_channels;
  char *to = j->copy + index * covered * stride;
  const size_t before = p->merged ? least((size_t)w->pad[w->rank - 1], covered) : 0;
  const size_t pixels = least(in, covered - before), after = covered - before - pixels;
  (void)worker;
  memset(to, j->zero, before * stride);
  copy_line(j, from, pixels, to + before * stride);
  memset(to + (before + pixels) * stride, j->zero, after * stride);
}

// Addresses of the taps of an output, a line of them at a time. whole: none is padding.
static const void **taps_of(const job *j, const char *image, const int64_t *at, bool whole, const void **to) {
  const window *w = &j->plan->shape.window;
  const size_t stride = stride_of(j->plan), last = w->rank - 1;
  const int64_t step = w->dilation[last] * (int64_t)stride;
  int64_t tap[WINDOW_MAX_RANK] = {0}, place;
  do {
    if (whole) {
      window_place(w, w->rank, at, tap, &place);
      const char *from = image + place * (int64_t)stride;
      for (int64_t k = 0; k < w->kernel[last]; k++) *to++ = from + k * step;
      continue;
    }
    for (tap[last] = 0; tap[last] < w->kernel[last]; tap[last]++)
      *to++ = window_place(w, w->rank, at, tap, &place) ? image + place * (int64_t)stride : j->zeros;
    tap[last] = 0;
  } while (window_next(tap, w->kernel, last));
  return to;
}

// The same where lines of taps are one.
static const void **merged_taps_of(const job *j, const char *image, const int64_t *at, const void **to) {
  const window *w = &j->plan->shape.window;
  const size_t last = w->rank - 1, stride = stride_of(j->plan), line = line_pixels(j->plan);
  int64_t tap[WINDOW_MAX_RANK] = {0}, place;
  do {
    bool inside = window_place(w, last, at, tap, &place);
    *to++ = inside ? image + ((size_t)place * line + (size_t)(at[last] * w->stride[last])) * stride : j->zeros;
  } while (window_next(tap, w->kernel, last));
  return to;
}

// Addresses of all taps of pixels [begin, end): a line of pixels at a time, where those between two with all taps only
// move on.
static void find_taps(const job *j, size_t begin, size_t end, const void **to) {
  const conv_nhwc_u8s8_plan *p = j->plan;
  const window *w = &p->shape.window;
  const size_t out = window_out(w), image_bytes = lines_of(w) * line_pixels(p) * stride_of(p), taps = p->taps;
  int64_t at[WINDOW_MAX_RANK];
  window_unravel(begin % out, w->out, w->rank, at);
  const char *image = j->x + begin / out * image_bytes;
  const size_t last = w->rank - 1, step = (size_t)w->stride[last] * stride_of(p);
  while (begin < end) {
    bool inside = true, before = false;  // lines of the windows; the pixel before has all taps
    for (size_t d = 0; d < last; d++) {
      int64_t first = at[d] * w->stride[d] - w->pad[d];
      inside = inside && first >= 0 && first + (w->kernel[d] - 1) * w->dilation[d] < w->in[d];
    }
    for (; begin < end && at[last] < w->out[last]; begin++, at[last]++) {
      const int64_t first = at[last] * w->stride[last] - w->pad[last];
      const bool whole =
          inside && (p->merged || (first >= 0 && first + (w->kernel[last] - 1) * w->dilation[last] < w->in[last]));
      if (whole && before) {
        for (size_t t = 0; t < taps; t++) to[t] = (const char *)to[(ptrdiff_t)t - (ptrdiff_t)taps] + step;
        to += taps;
      } else to = p->merged ? merged_taps_of(j, image, at, to) : taps_of(j, image, at, whole, to);
      before = whole;
    }
    if (at[last] < w->out[last]) return;
    at[last] = 0;
    if (!window_next(at, w->out, last)) image += image_bytes;
  }
}

static void run_panel(const job *j, size_t index, const void *const *table, size_t begin, size_t end) {
  const conv_nhwc_u8s8_plan *p = j->plan;
  const igemm_u8s8_kernel *k = p->kernel;
  const size_t width = (size_t)k->main * k->unit, taps = p->taps;
  const size_t group = index / p->panels, first = index % p->panels * width;
  const size_t column = group * columns_of(p) + first, out_channels = p->shape.out_channels;
  igemm_u8s8_tile t = {.offset = group * p->depth * p->element, .taps = taps, .depth = p->depth};
  t.n = least(columns_of(p) - first, width), t.vectors = divide_up(t.n, k->unit);
  t.panel = j->panels + index * p->panel_bytes;
  t.bias = j->bias + column, t.scale = j->scale + column, t.output = j->call->output, t.y_stride = out_channels;
  // Tiles as even as can be.
  const size_t pixels = end - begin, tiles = divide_up(pixels, k->rows[t.vectors]);
  for (size_t i = 0, at = 0; i < tiles; i++, at += t.rows) {
    t.rows = pixels / tiles + (i < pixels % tiles);
    const size_t to = (begin + at) * out_channels + column;
    t.x = table + at * taps, t.y = j->call->y + to, t.other = j->call->other ? j->call->other + to : NULL;
    k->tile(&t);
  }
}

static void run_task(void *context, size_t index, size_t worker) {
  const job *j = context;
  const conv_nhwc_u8s8_plan *p = j->plan;
  const size_t block = index / p->splits, split = index % p->splits, panels = p->shape.groups * p->panels;
  const size_t begin = block * p->block, end = least(begin + p->block, pixels_of(p));
  const void **table = (const void **)(j->tables + worker * p->table_bytes);
  if (begin >= end) return;
  find_taps(j, begin, end, table);
  for (size_t i = panels * split / p->splits; i < panels * (split + 1) / p->splits; i++)
    run_panel(j, i, table, begin, end);
}

// ---- depthwise -----------------------------------------------------------------------------------

// Addresses of the rows that windows of a line of y have in x; NULL: padding.
static void find_rows(const job *j, size_t line, const void **rows) {
  const window *w = &j->plan->shape.window;
  const size_t last = w->rank - 1, lines = window_product(w->out, last), bytes = stride_of(j->plan);
  const size_t line_bytes = (size_t)w->in[last] * bytes;
  const char *image = (const char *)j->call->x + line / lines * lines_of(w) * line_bytes;
  int64_t at[WINDOW_MAX_RANK] = {0}, tap[WINDOW_MAX_RANK] = {0}, place;
  window_unravel(line % lines, w->out, last, at);
  do *rows++ = window_place(w, last, at, tap, &place) ? image + (size_t)place * line_bytes : NULL;
  while (window_next(tap, w->kernel, last));
}

static void run_line(void *context, size_t index, size_t worker) {
  const job *j = context;
  const conv_nhwc_u8s8_plan *p = j->plan;
  const window *w = &p->shape.window;
  const size_t last = w->rank - 1, rows = rows_of(w), out = (size_t)w->out[last], bytes = stride_of(p);
  const void **row = (const void **)(j->tables + worker * p->table_bytes), **table = row + rows;
  conv_dw_nhwc_u8s8_line l = {.x = table, .stride = (size_t)w->stride[last], .taps = (size_t)w->kernel[last]};
  l.rows = rows, l.channels = l.y_stride = p->shape.out_channels, l.flip = p->shape.x_signed ? 0x80 : 0;
  l.w = j->panels, l.bias = j->bias, l.scale = j->scale, l.output = j->call->output;
  find_rows(j, index, row);
  for (size_t begin = 0; begin < out; begin += l.count) {
    l.count = least(out - begin, piece_of(w));
    const size_t columns = (l.count - 1) * l.stride + l.taps, to = (index * out + begin) * l.y_stride;
    for (size_t k = 0; k < columns; k++) {
      const int64_t x = (int64_t)begin * w->stride[last] - w->pad[last] + (int64_t)k * w->dilation[last];
      const bool inside = x >= 0 && x < w->in[last];
      for (size_t r = 0; r < rows; r++)
        table[k * rows + r] = inside && row[r] ? (const char *)row[r] + (size_t)x * bytes : j->zeros;
    }
    l.y = j->call->y + to, l.other = j->call->other ? j->call->other + to : NULL;
    p->depthwise->run(&l);
  }
}

void conv_nhwc_u8s8_run(const conv_nhwc_u8s8_plan *p, const conv_nhwc_u8s8_call *call, void *scratch) {
  const conv_nhwc_u8s8_shape *s = &p->shape;
  const size_t last = s->window.rank - 1;
  if (pixels_of(p) == 0 || s->out_channels == 0) return;
  job j = {.plan = p, .call = call, .bias = call->bound, .zeros = scratch};
  j.scale = (const float *)(j.bias + s->out_channels + COLUMNS_MOST);
  j.copy = p->copies ? j.zeros + p->row_bytes : NULL;
  j.tables = j.zeros + p->row_bytes + p->copy_bytes;
  j.x = p->copies ? j.copy : call->x;
  j.panels = (const char *)call->packed + sums_bytes(p);
  j.zero = p->depthwise ? call->x_zero : zero_of(p, call->x_zero);
  memset(j.zeros, j.zero, p->row_bytes);
  if (p->copies) pool_run(s->threads, s->batch * lines_of(&s->window), copy_lines, &j);
  if (p->depthwise) pool_run(s->threads, s->batch * window_product(s->window.out, last), run_line, &j);
  else pool_run(s->threads, p->blocks * p->splits, run_task, &j);
}
