// SPDX-License-Identifier: Apache-2.0
// Driver of conv_nhwc_u8s8:
//
//   once                        x as the kernel wants it, where it is not so already
//   for each block of pixels    addresses of all taps; they stay in the L1 cache
//     for each panel            of weights, which stays in the L2 cache
//       for each tile of pixels
//
// Tasks are blocks and parts of their panels.
#include "kernels/conv_nhwc_u8s8/conv_nhwc_u8s8.h"

#include <string.h>

#include "base/pool.h"
#include "base/size.h"

enum {
  PACK_VERSION = 1,
  BLOCK_BYTES = 128 << 10,  // of x
  BLOCK_LEAST = 48,
  BLOCK_MOST = 192,                       // pixels
  TASKS_A_THREAD = 4,                     // at least, where there are as many
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

// ---- plan ----------------------------------------------------------------------------------------

bool conv_nhwc_u8s8_suits(const void *weights, size_t count, bool is_signed, int32_t zero) {
  bool suits = true;
  for (size_t i = 0; i < count; i++) {
    int32_t w = (is_signed ? ((const int8_t *)weights)[i] : ((const uint8_t *)weights)[i]) - zero;
    suits &= w >= INT8_MIN && w <= INT8_MAX;
  }
  return suits;
}

// In the packed form: sums of the weights of each output, then panels or the depthwise kernel's weights.
static bool find_bytes(conv_nhwc_u8s8_plan *p) {
  const conv_nhwc_u8s8_shape *s = &p->shape;
  size_t taps = p->taps, sums, weights, workers;
  if (!size_mul(s->out_channels, sizeof(int32_t), &sums) || !size_align(sums, 64, &sums)) return false;
  if (p->depthwise) weights = taps * s->out_channels * sizeof(int32_t);
  else if (!size_mul(s->groups * p->panels, p->panel_bytes, &weights)) return false;
  size_t pixels = 0;
  if (p->copies && (!size_mul(line_pixels(p), lines_of(&s->window), &pixels) || !size_mul(pixels, s->batch, &pixels)))
    return false;
  // Behind the last tap up to three elements more are read, and multiplied by 0.
  if (!size_mul(pixels, stride_of(p), &p->copy_bytes) || !size_align(p->copy_bytes + 16, 64, &p->copy_bytes) ||
      !size_align(most(stride_of(p), p->depth * p->element), 64, &p->row_bytes) ||
      !size_mul(p->block * taps, sizeof(void *), &p->table_bytes) ||
      !size_mul(p->table_bytes, most(s->threads, 1), &workers) || !size_add(sums, weights, &p->packed_bytes))
    return false;
  // Bias and scale of each output, with what panels read beyond the last.
  return size_mul(s->out_channels + COLUMNS_MOST, 2 * sizeof(float), &p->scratch_bytes) &&
         size_align(p->scratch_bytes, 64, &p->scratch_bytes) &&
         size_add(p->scratch_bytes, p->row_bytes, &p->scratch_bytes) &&
         size_add(p->scratch_bytes, p->copy_bytes, &p->scratch_bytes) &&
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
  p->splits = p->depthwise ? 1 : least(wanted, s->groups * p->panels);
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
  const size_t taps = window_taps(&p->shape.window), channels = p->shape.out_channels;
  int32_t *to = (int32_t *)j->panels;
  for (size_t c = 0; c < channels; c++) {
    uint32_t sum = 0;
    for (size_t t = 0; t < taps; t++) {
      to[t * channels + c] = weight_at(&p->shape, j->weights, c * taps + t);
      sum += (uint32_t)to[t * channels + c];
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

// ---- run -----------------------------------------------------------------------------------------

typedef struct job {
  const conv_nhwc_u8s8_plan *plan;
  const conv_nhwc_u8s8_call *call;
  int32_t *bias;  // with what zero points add
  float *scale;
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
  const size_t channels = channels_of(p), depth = p->merged ? channels : p->depth;
  const uint8_t flip = p->shape.x_signed ? 0x80 : 0;
  const int32_t zero = j->call->x_zero + (p->shape.x_signed ? 128 : 0);
  for (size_t i = 0; i < pixels * p->shape.groups; i++, from += channels, copy += depth * p->element)
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

// Addresses of all taps of pixels [begin, end).
static void find_taps(const job *j, size_t begin, size_t end, const void **to) {
  const conv_nhwc_u8s8_plan *p = j->plan;
  const window *w = &p->shape.window;
  const size_t out = window_out(w), image_bytes = lines_of(w) * line_pixels(p) * stride_of(p);
  int64_t at[WINDOW_MAX_RANK];
  window_unravel(begin % out, w->out, w->rank, at);
  const char *image = j->x + begin / out * image_bytes;
  const size_t last = w->rank - 1, step = (size_t)w->stride[last] * stride_of(p);
  bool before = false;  // the pixel before has all taps
  for (size_t i = begin; i < end; i++) {
    bool whole = true;
    for (size_t d = 0; d < (p->merged ? last : w->rank); d++) {
      int64_t first = at[d] * w->stride[d] - w->pad[d];
      whole = whole && first >= 0 && first + (w->kernel[d] - 1) * w->dilation[d] < w->in[d];
    }
    if (whole && before && at[last] > 0) {
      for (size_t t = 0; t < p->taps; t++) to[t] = (const char *)to[(ptrdiff_t)t - (ptrdiff_t)p->taps] + step;
      to += p->taps;
    } else to = p->merged ? merged_taps_of(j, image, at, to) : taps_of(j, image, at, whole, to);
    before = whole;
    if (!window_next(at, w->out, w->rank)) image += image_bytes;
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
    t.x = table + at * taps, t.y = j->call->y + (begin + at) * out_channels + column;
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
  if (!p->depthwise) {
    for (size_t i = panels * split / p->splits; i < panels * (split + 1) / p->splits; i++)
      run_panel(j, i, table, begin, end);
    return;
  }
  const size_t channels = p->shape.out_channels;
  conv_dw_nhwc_u8s8_pixels pixels = {.x = table, .count = end - begin, .taps = p->taps};
  pixels.channels = channels, pixels.x_signed = p->shape.x_signed, pixels.w = (const int32_t *)j->panels;
  pixels.bias = j->bias, pixels.scale = j->scale, pixels.output = j->call->output;
  pixels.y = j->call->y + begin * channels, pixels.y_stride = channels;
  p->depthwise->run(&pixels);
}

void conv_nhwc_u8s8_run(const conv_nhwc_u8s8_plan *p, const conv_nhwc_u8s8_call *call, void *scratch) {
  const conv_nhwc_u8s8_shape *s = &p->shape;
  const size_t n = s->out_channels, padded = n + COLUMNS_MOST;
  if (pixels_of(p) == 0 || n == 0) return;
  job j = {.plan = p, .call = call, .bias = scratch, .scale = (float *)scratch + padded};
  j.zeros = (char *)scratch + ((padded * 2 * sizeof(float) + 63) & ~(size_t)63);
  j.copy = p->copies ? j.zeros + p->row_bytes : NULL;
  j.tables = j.zeros + p->row_bytes + p->copy_bytes;
  j.x = p->copies ? j.copy : call->x;
  j.panels = (const char *)call->packed + sums_bytes(p);
  // What stands for 0 where the kernel reads it; the kernel's int16 have none.
  const bool flipped = p->copies && s->x_signed;
  const int32_t zero = p->element == 2 ? 0 : call->x_zero + (flipped ? 128 : 0), *sums = call->packed;
  j.zero = zero;
  memset(j.zeros, zero, p->row_bytes);
  memset(j.bias, 0, padded * sizeof *j.bias), memset(j.scale, 0, padded * sizeof *j.scale);
  for (size_t i = 0; i < n; i++) {
    j.bias[i] = (int32_t)((call->bias ? (uint32_t)call->bias[i] : 0) - (uint32_t)zero * (uint32_t)sums[i]);
    j.scale[i] = call->scale[i];
  }
  if (p->copies) pool_run(s->threads, s->batch * lines_of(&s->window), copy_lines, &j);
  pool_run(s->threads, p->blocks * p->splits, run_task, &j);
}
