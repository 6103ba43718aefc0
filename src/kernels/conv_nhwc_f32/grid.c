// SPDX-License-Identifier: Apache-2.0
// Tiles of pixels; see grid.h. A tile inside of one row whose taps are all inside of the image is addressed by steps;
// every other one by pointers.
#include "kernels/conv_nhwc_f32/grid.h"

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static int64_t ceil_div(int64_t a, int64_t b) { return -floor_div(-a, b); }

// ---- axes ----------------------------------------------------------------------------------------

// The smallest t >= 0 with t * a = b modulo m; -1: none. *step: from one such t to the next.
static int64_t solve(int64_t a, int64_t b, int64_t m, int64_t *step) {
  // Extended Euclid: x * a = r modulo m all along.
  int64_t r = a % m, s = m, x = 1, y = 0;
  while (r != 0) {
    int64_t q = s / r, rest = s - q * r, z = y - q * x;
    s = r, r = rest, y = x, x = z;
  }
  *step = m / s;  // s: the greatest common divisor, y * a = s
  if (b % s != 0) return -1;
  y = (y % *step + *step) % *step;
  return (int64_t)((unsigned __int128)y * (unsigned __int128)(b / s % *step) % (unsigned __int128)*step);
}

static grid_axis forward_axis(const window *w, size_t d) {
  return (grid_axis){.in = w->in[d],
                     .out = w->out[d],
                     .step = w->stride[d],
                     .first = -w->pad[d],
                     .pitch = w->dilation[d],
                     .taps = w->kernel[d],
                     .y_size = w->out[d],
                     .y_step = 1,
                     .kernel = w->kernel[d],
                     .kernel_step = 1};
}

// Places remainder, remainder + stride, ... of y: those taps t count for which stride divides place + pad - t *
// dilation.
static grid_axis transposed_axis(const window *w, size_t d, int64_t remainder) {
  int64_t stride = w->stride[d], dilation = w->dilation[d], start = remainder + w->pad[d], tap_step;
  int64_t tap = solve(dilation, start % stride, stride, &tap_step);
  grid_axis a = {.in = w->out[d], .step = 1, .y_size = w->in[d], .y_first = remainder, .y_step = stride};
  a.out = remainder < w->in[d] ? (w->in[d] - remainder - 1) / stride + 1 : 0;
  a.kernel = w->kernel[d];
  if (tap < 0 || tap >= w->kernel[d]) return a;
  a.taps = (w->kernel[d] - 1 - tap) / tap_step + 1;
  a.kernel_first = tap, a.kernel_step = tap_step;
  a.first = (start - tap * dilation) / stride, a.pitch = -(tap_step * dilation / stride);
  return a;
}

static void find_inside(grid_axis *a) {
  int64_t reach = a->taps > 0 ? (a->taps - 1) * a->pitch : 0;
  int64_t lowest = a->first + window_min(0, reach), highest = a->first + most(0, reach);
  a->low = most(ceil_div(-lowest, a->step), 0);
  a->high = window_min(floor_div(a->in - 1 - highest, a->step) + 1, a->out);
}

size_t grid_parts(const window *w, bool transposed) {
  size_t parts = 1;
  for (size_t d = 0; transposed && d < w->rank; d++) parts *= (size_t)window_min(w->stride[d], w->in[d]);
  return parts;
}

size_t grid_most_taps(const window *w, bool transposed) {
  size_t most_taps = 1;
  for (size_t d = 0; d < w->rank; d++) {
    int64_t step = 1;
    if (transposed) solve(w->dilation[d], 0, w->stride[d], &step);
    most_taps *= (size_t)((w->kernel[d] + step - 1) / step);
  }
  return most_taps;
}

// Places of the kernel along axis d that serve remainders below `remainder`.
static size_t taps_below(const window *w, size_t d, int64_t remainder) {
  size_t count = 0;
  for (int64_t t = 0, stride = w->stride[d]; t < w->kernel[d]; t++) {
    int64_t r = (t * w->dilation[d] - w->pad[d]) % stride;
    count += (r < 0 ? r + stride : r) < remainder;
  }
  return count;
}

// Parts are counted row-major over remainders, and so are the taps of the parts before.
static void init_transposed(grid *g, const window *w, size_t part) {
  size_t behind = 1, before = 0;  // taps of the axes further in: of all remainders, of the parts before
  for (size_t d = w->rank; d-- > 0;) {
    size_t remainders = (size_t)window_min(w->stride[d], w->in[d]);
    int64_t remainder = (int64_t)(part % remainders);
    part /= remainders;
    g->axis[d] = transposed_axis(w, d, remainder);
    before = taps_below(w, d, remainder) * behind + (size_t)g->axis[d].taps * before;
    behind *= taps_below(w, d, (int64_t)remainders);
  }
  g->taps_before = before;
}

void grid_init(grid *g, const window *w, bool transposed, size_t part, size_t batch) {
  *g = (grid){.rank = w->rank, .taps = 1, .affine = !transposed && w->rank == 1};
  size_t pixels = 1;
  for (size_t d = 0; d < w->rank && !transposed; d++) g->axis[d] = forward_axis(w, d);
  if (transposed) init_transposed(g, w, part);
  for (size_t d = 0; d < w->rank; d++) {
    grid_axis *a = &g->axis[d];
    find_inside(a);
    g->affine = g->affine && a->low == 0 && a->high == a->out;
    g->taps *= (size_t)a->taps, pixels *= (size_t)a->out;
  }
  g->line = transposed ? (size_t)g->axis[w->rank - 1].out : pixels;
  g->lines = g->line ? pixels / g->line * batch : 0;
}

// ---- taps ----------------------------------------------------------------------------------------

// The next tap in row-major order.
static void next_tap(const grid *g, int64_t *tap) {
  for (size_t d = g->rank; d-- > 0; tap[d] = 0)
    if (++tap[d] < g->axis[d].taps) return;
}

size_t grid_kernel_place(const grid *g, size_t tap) {
  size_t place = 0, stride = 1;
  for (size_t d = g->rank; d-- > 0;) {
    const grid_axis *a = &g->axis[d];
    int64_t j = (int64_t)(tap % (size_t)a->taps);
    tap /= (size_t)a->taps;
    place += (size_t)(a->kernel_first + j * a->kernel_step) * stride, stride *= (size_t)a->kernel;
  }
  return place;
}

void grid_taps(const grid *g, size_t x_stride, ptrdiff_t *taps) {
  int64_t tap[WINDOW_MAX_RANK] = {0};
  for (size_t t = 0; t < g->taps; t++, next_tap(g, tap)) {
    int64_t place = 0;
    for (size_t d = 0; d < g->rank; d++) place = place * g->axis[d].in + tap[d] * g->axis[d].pitch;
    taps[t] = place * (ptrdiff_t)x_stride;
  }
}

// ---- tiles ---------------------------------------------------------------------------------------

// An output pixel.
typedef struct cursor {
  size_t image;
  int64_t at[WINDOW_MAX_RANK];
} cursor;

static cursor cursor_of(const grid *g, size_t pixel) {
  cursor c;
  for (size_t d = g->rank; d-- > 0;) {
    size_t size = (size_t)g->axis[d].out;
    c.at[d] = (int64_t)(pixel % size), pixel /= size;
  }
  c.image = pixel;
  return c;
}

// `count` pixels on, at most to the beginning of the next row.
static void cursor_move(const grid *g, cursor *c, size_t count) {
  c->at[g->rank - 1] += (int64_t)count - 1;
  for (size_t d = g->rank; d-- > 0; c->at[d] = 0)
    if (++c->at[d] < g->axis[d].out) return;
  c->image++;
}

static size_t place_in_y(const grid *g, const cursor *c) {
  size_t place = c->image;
  for (size_t d = 0; d < g->rank; d++) {
    const grid_axis *a = &g->axis[d];
    place = place * (size_t)a->y_size + (size_t)(a->y_first + c->at[d] * a->y_step);
  }
  return place;
}

// Where the tile's first pixel has its first tap, if steps lead to all others; else NULL.
static const float *stepping(const grid *g, const grid_source *from, const cursor *c, size_t count) {
  ptrdiff_t place = (ptrdiff_t)c->image;
  for (size_t d = 0; d < g->rank; d++) {
    const grid_axis *a = &g->axis[d];
    int64_t last = d + 1 < g->rank ? c->at[d] : c->at[d] + (int64_t)count - 1;
    if (c->at[d] < a->low || last >= a->high) return NULL;
    place = place * a->in + c->at[d] * a->step + a->first;
  }
  return from->x + place * (ptrdiff_t)from->x_stride;
}

// Pointers of one row of a tile, `count` apart from tap to tap.
static void point(const grid *g, const grid_source *from, const cursor *c, size_t count, const float **rows) {
  const size_t inner = g->rank - 1;
  const grid_axis *last = &g->axis[inner];
  int64_t tap[WINDOW_MAX_RANK] = {0}, column = c->at[inner] * last->step + last->first;
  for (size_t t = 0; t < g->taps; t += (size_t)last->taps) {
    ptrdiff_t place = (ptrdiff_t)c->image;
    bool inside = true;
    for (size_t d = 0; d < inner; d++) {
      const grid_axis *a = &g->axis[d];
      int64_t i = c->at[d] * a->step + a->first + tap[d] * a->pitch;
      inside = inside && i >= 0 && i < a->in;
      place = place * a->in + i;
    }
    const float *row = inside ? from->x + place * last->in * (ptrdiff_t)from->x_stride : NULL;
    int64_t i = column;
    for (int64_t j = 0; j < last->taps; j++, i += last->pitch, rows += count)
      *rows = inside && i >= 0 && i < last->in ? row + i * (ptrdiff_t)from->x_stride : from->zeros;
    for (size_t d = inner; d-- > 0; tap[d] = 0)
      if (++tap[d] < g->axis[d].taps) break;
  }
}

static void leave_out_padding(const grid *g, const grid_source *from, size_t count, const float **rows) {
  for (size_t t = 0; t < g->taps; t++, rows += count) {
    size_t i = 0;
    while (i < count && rows[i] == from->zeros) i++;
    if (i == count) rows[0] = NULL;
  }
}

size_t grid_tiles(const grid *g, const grid_source *from, size_t begin, size_t end, size_t rows, bool apart,
                  igemm_f32_tile *tiles, const float **rows_at) {
  size_t made = 0, first = 0;
  cursor c = cursor_of(g, begin);
  while (begin < end) {
    size_t left = g->line - begin % g->line, length = left < end - begin ? left : end - begin;
    size_t parts = (length + rows - 1) / rows;
    for (size_t p = 0; p < parts; p++) {
      size_t count = length / parts + (p < length % parts);
      igemm_f32_tile *t = &tiles[made++];
      *t = (igemm_f32_tile){.count = count, .first = first, .place = place_in_y(g, &c)};
      t->x = stepping(g, from, &c, count);
      t->rows = t->x ? NULL : rows_at;
      first += apart ? count : 0;
      if (t->x) {
        cursor_move(g, &c, count);
        continue;
      }
      for (size_t i = 0; i < count; i++, cursor_move(g, &c, 1)) point(g, from, &c, count, rows_at + i);
      leave_out_padding(g, from, count, rows_at);
      rows_at += count * g->taps;
    }
    begin += length;
  }
  return made;
}
