// SPDX-License-Identifier: Apache-2.0
// Cases for the variants of igemm_f32: a block of tiles, some by step and some by pointers, against one panel, the
// depth in one or two parts. Panels of the reference may have another unit, so each variant packs for itself.
#include <math.h>
#include <string.h>

#include "kernels/igemm_f32/igemm_f32.h"

enum { TILES = 5, ROWS_MOST = TILES * 8, TAPS_MOST = 4, CHANNELS_MOST = 70, COLUMNS_MOST = 48 };

typedef struct problem {
  size_t rows, taps, channels, n, x_stride, y_stride, residual_stride, pixel_step;
  size_t cut;  // the depth's second part begins here: a channel of the one tap, or a tap
  bool by_pointer;
  bool side_by_side;                     // one row, panels of two units
  const float *x, *w, *bias, *residual;  // w: [taps][channels][n]
  size_t pixel[TAPS_MOST * ROWS_MOST];   // where a row's tap reads, in pixels of x; SIZE_MAX: nowhere
  activation act;
} problem;

static void part(const igemm_f32_kernel *g, igemm_f32_sweep *s, const problem *p, float *panel, bool second) {
  bool by_channel = p->taps == 1;
  size_t begin = second ? p->cut : 0, end = second ? (by_channel ? p->channels : p->taps) : p->cut;
  s->first = begin == 0, s->last = end == (by_channel ? p->channels : p->taps);
  s->channel = by_channel ? begin : 0, s->depth = by_channel ? end - begin : p->channels;
  s->tap = by_channel ? 0 : begin, s->tap_count = by_channel ? 1 : end - begin;
  size_t depth = s->tap_count * s->depth;
  const float *w = p->w + (s->tap * p->channels + s->channel) * p->n;
  s->panel_stride = depth * s->width;
  for (size_t i = 0; i < s->panels; i++)
    for (size_t k = 0; k < depth; k++)
      for (size_t j = 0; j < s->width; j++) {
        size_t column = i * s->width + j;
        panel[(i * depth + k) * s->width + j] = column < p->n ? w[k * p->n + column] : 0;
      }
  g->sweep(s);
}

// Units of a panel for n columns; 0: none is as wide.
static size_t units_for(const igemm_f32_kernel *g, size_t n) {
  size_t units = (n + g->unit - 1) / g->unit;
  if (units > 3 && units % 2) units++;
  return units <= (g->main > 3 ? g->main : 3) ? units : 0;
}

static bool multiply(kernel_check *k, const igemm_f32_kernel *g, const problem *p, float *y) {
  size_t units = p->side_by_side ? 2 : units_for(g, p->n), width = units * g->unit, cap = g->rows[units], count = 0;
  size_t tiles = (p->rows + cap - 1) / cap, panels = (p->n + width - 1) / width;
  float *panel = check_buffer(k, panels * p->taps * p->channels * width * sizeof(float), 4);
  float *sums = check_buffer(k, p->rows * panels * width * sizeof(float), 4);
  igemm_f32_tile *tile = check_buffer(k, tiles * sizeof *tile, 8);
  const float **rows = check_buffer(k, p->rows * p->taps * sizeof *rows, 8);
  if (!panel || !sums || !tile || !rows) return false;
  static const float zeros[CHANNELS_MOST];
  ptrdiff_t taps[TAPS_MOST];
  for (size_t t = 0; t < p->taps; t++) taps[t] = (ptrdiff_t)(p->pixel[t * ROWS_MOST] * p->x_stride);
  for (size_t t = 0, first = 0; t < tiles; t++, first += count) {
    count = p->rows / tiles + (t < p->rows % tiles);
    tile[t] = (igemm_f32_tile){.count = count, .first = first, .place = first * p->pixel_step};
    if (!p->by_pointer) tile[t].x = p->x + first * p->x_stride;
    tile[t].rows = rows + first * p->taps;
    for (size_t i = 0; i < p->taps * count; i++) {
      size_t from = p->pixel[i / count * ROWS_MOST + first + i % count];
      rows[first * p->taps + i] = from == SIZE_MAX ? zeros : p->x + from * p->x_stride;
    }
    // A tap that no row reads may be left out.
    for (size_t i = 0; i < p->taps; i++) {
      bool nowhere = true;
      for (size_t r = 0; r < count; r++) nowhere = nowhere && p->pixel[i * ROWS_MOST + first + r] == SIZE_MAX;
      if (nowhere) rows[first * p->taps + i * count] = NULL;
    }
  }
  igemm_f32_sweep s = {.tiles = tile, .tile_count = tiles, .taps = taps, .step = p->x_stride, .panel = panel};
  s.panels = panels, s.ahead = check_coin(k, 2);
  s.width = width, s.sums = sums, s.n = p->n, s.bias = p->bias, s.residual = p->residual, s.y = y;
  s.y_stride = p->y_stride, s.residual_stride = p->residual_stride, s.pixel_step = p->pixel_step;
  s.act = p->act, s.activate = activation_find(p->act.kind);
  if (p->cut > 0) part(g, &s, p, panel, false);
  s.taps += p->taps == 1 ? 0 : p->cut;
  part(g, &s, p, panel, true);
  return true;
}

// Values whose products overflow are left out: whether Inf - Inf arises then depends on the product being rounded
// before the sum, which the reference does where the tier has no fused multiply-add.
static const float *operand(kernel_check *k, size_t count, bool special) {
  float *p = check_floats(k, count, special);
  for (size_t i = 0; p && i < count; i++)
    if (isfinite(p[i]) && fabsf(p[i]) > 1e6f) p[i] = 1;
  return p;
}

// Places that rows read: a run for tiles by step, anything for tiles by pointers.
static void place(kernel_check *k, problem *p, size_t pixels) {
  for (size_t t = 0; t < p->taps; t++) {
    size_t start = check_random(k) % (pixels - p->rows + 1);
    for (size_t i = 0; i < p->rows; i++) {
      p->pixel[t * ROWS_MOST + i] = p->by_pointer ? check_random(k) % pixels : start + i;
      if (p->by_pointer && check_coin(k, 3)) p->pixel[t * ROWS_MOST + i] = SIZE_MAX;
    }
  }
}

// Largest sum of magnitudes.
static float magnitude(const problem *p, size_t i, size_t j) {
  float sum = 1;
  for (size_t t = 0; t < p->taps; t++)
    for (size_t c = 0; c < p->channels; c++) {
      size_t from = p->pixel[t * ROWS_MOST + i];
      float product =
          from == SIZE_MAX ? 0 : fabsf(p->x[from * p->x_stride + c] * p->w[(t * p->channels + c) * p->n + j]);
      if (isfinite(product)) sum += product;
    }
  return isfinite(sum) ? sum : 1;
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const igemm_f32_kernel *g = variant, *r = reference;
  static problem p;
  p = (problem){.rows = check_size(k, 1, ROWS_MOST), .taps = check_size(k, 1, TAPS_MOST)};
  p.channels = check_size(k, 0, CHANNELS_MOST), p.n = check_size(k, 1, COLUMNS_MOST);
  while (!units_for(g, p.n) || !units_for(r, p.n)) p.n = p.n / 2;
  p.x_stride = p.channels + check_random(k) % 3, p.pixel_step = 1 + check_random(k) % 2;
  p.by_pointer = check_coin(k, 2), p.cut = check_random(k) % (p.taps == 1 ? p.channels + 1 : p.taps);
  if (p.taps == 1 && p.cut == p.channels) p.cut = 0;
  p.side_by_side = check_coin(k, 4);
  if (p.side_by_side) p.rows = 1, p.cut = 0, p.n = check_size(k, 1, 4 * COLUMNS_MOST);
  bool special = check_coin(k, 4);
  p.y_stride = p.n + check_random(k) % 3, p.residual_stride = p.n + check_random(k) % 3;
  size_t pixels = p.rows + 5, out = (p.rows - 1) * p.pixel_step;
  place(k, &p, pixels);
  p.x = operand(k, (pixels - 1) * p.x_stride + p.channels, special);
  p.w = operand(k, p.taps * p.channels * p.n, special && !p.by_pointer);  // nothing times Inf: NaN only if it is done
  if (check_coin(k, 2)) p.bias = operand(k, p.n, special);
  if (check_coin(k, 2)) p.residual = operand(k, out * p.residual_stride + p.n, special);
  p.act = (activation){(activation_kind)(check_random(k) % ACTIVATION_COUNT), -0.5f, 2};
  size_t count = out * p.y_stride + p.n;
  float *got = check_floats(k, count, false), *want = check_floats(k, count, false);
  if (!p.x || !p.w || !got || !want) return false;
  memcpy(got, want, count * sizeof *got);
  check_message(k, "rows=%zu taps=%zu channels=%zu n=%zu cut=%zu pointers=%d act=%d special=%d", p.rows, p.taps,
                p.channels, p.n, p.cut, p.by_pointer, (int)p.act.kind, special);
  if (!multiply(k, g, &p, got) || !multiply(k, r, &p, want)) return false;
  float bound = 1;
  for (size_t i = 0; i < p.rows; i++)
    for (size_t j = 0; j < p.n; j++) bound = fmaxf(bound, magnitude(&p, i, j));
  return check_close(k, got, want, count, bound * 0x1p-20, 0x1p-20);
}

// 192 rows of 64 channels, 4 taps, the widest panel of this kernel: what a sweep does inside of a layer.
static double bench(kernel_check *k, const void *variant, const char **unit) {
  enum { ROWS = 192, TAPS = 4, CHANNELS = 64 };
  const igemm_f32_kernel *g = variant;
  size_t width = (size_t)g->main * g->unit, cap = g->rows[g->main], tiles = (ROWS + cap - 1) / cap;
  float *x = check_floats(k, (ROWS + TAPS) * CHANNELS, false), *panel = check_floats(k, TAPS * CHANNELS * width, false);
  float *y = check_floats(k, ROWS * width, false), *sums = check_floats(k, ROWS * width, false);
  igemm_f32_tile *tile = check_buffer(k, tiles * sizeof *tile, 8);
  *unit = "flop";
  if (!x || !panel || !y || !sums || !tile) return 0;
  static const ptrdiff_t taps[TAPS] = {0, CHANNELS, 2 * CHANNELS, 3 * CHANNELS};
  for (size_t t = 0, first = 0; t < tiles; first += tile[t++].count) {
    size_t count = ROWS / tiles + (t < ROWS % tiles);
    tile[t] = (igemm_f32_tile){.x = x + first * CHANNELS, .count = count, .first = first, .place = first};
  }
  igemm_f32_sweep s = {.tiles = tile, .tile_count = tiles, .taps = taps, .tap_count = TAPS, .step = CHANNELS};
  s.depth = CHANNELS, s.panel = panel, s.width = s.n = s.y_stride = width, s.sums = sums, s.y = y, s.pixel_step = 1;
  s.first = s.last = true;
  g->sweep(&s);
  return 2.0 * ROWS * TAPS * CHANNELS * (double)width;
}

KERNEL_CHECK(igemm_f32) = {.family = "igemm_f32", .compare = compare, .bench = bench};
