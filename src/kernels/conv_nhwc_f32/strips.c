// SPDX-License-Identifier: Apache-2.0
// Convolution by copied strips; see strips.h. A block is a few rows of outputs, or a piece of one long row; its strips
// lie as [tap of the outer dimensions][row of the image][plane][floats along the row].
#include "kernels/conv_nhwc_f32/strips.h"

#include <string.h>

#include "base/pool.h"
#include "base/size.h"
#include "kernels/conv_nhwc_f32/panels.h"

enum {
  CHANNELS_MOST = 15,
  PLANES_MOST = 4,  // read from planes
  BLOCK_PIXELS = 512,
  STRIPS_BYTES = 1 << 17,  // of a block, unless it is a single row
  STRIPS_BYTES_MOST = 1 << 20,
  TASKS_A_THREAD = 4,
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t divide_up(size_t a, size_t b) { return a / b + (a % b != 0); }

// ---- geometry ------------------------------------------------------------------------------------

// What follows from a plan. Dimensions before the last two are `outer`; a missing row dimension has size 1.
typedef struct strips {
  const window *w;
  size_t planes, unit;  // runs of an image's row, floats of one of its pixels
  size_t outer_out, outer_taps;
  int64_t height, out_height, kernel_height, row_step, row_pitch, row_pad;
  size_t in_rows, row_floats;  // of a block's strips
  size_t run, runs;            // floats that a row of the kernel reads, and how many such
  size_t padded;               // columns with those that fill the last panel
} strips;

static strips strips_of(const conv_nhwc_f32_plan *p) {
  const conv_nhwc_f32_shape *s = &p->shape;
  const window *w = &s->window;
  size_t last = w->rank - 1, outer = last > 0 ? last - 1 : 0;
  bool flat = w->rank == 1;
  strips z = {.w = w, .planes = s->planar ? s->in_channels : 1, .unit = s->planar ? 1 : s->in_channels};
  z.outer_out = window_product(w->out, outer), z.outer_taps = window_product(w->kernel, outer);
  z.height = flat ? 1 : w->in[outer], z.out_height = flat ? 1 : w->out[outer];
  z.kernel_height = flat ? 1 : w->kernel[outer], z.row_step = flat ? 1 : w->stride[outer];
  z.row_pitch = flat ? 1 : w->dilation[outer], z.row_pad = flat ? 0 : w->pad[outer];
  z.in_rows = (size_t)((int64_t)(p->block_rows - 1) * z.row_step + (z.kernel_height - 1) * z.row_pitch + 1);
  size_t pixels = (p->block - 1) * (size_t)w->stride[last] + (size_t)w->kernel[last];
  z.row_floats = pixels < STRIPS_BYTES_MOST ? pixels * z.unit : SIZE_MAX;  // the padding may be enormous
  z.runs = z.outer_taps * (size_t)z.kernel_height * z.planes, z.run = (size_t)w->kernel[last] * z.unit;
  z.padded = divide_up(s->out_channels, p->kernel->unit) * p->kernel->unit;
  return z;
}

// Of a worker; 0: more than is sensible.
static size_t strips_bytes(const strips *z) {
  size_t floats;
  if (!size_mul(z->outer_taps, z->in_rows, &floats) || !size_mul(floats, z->planes, &floats) ||
      !size_mul(floats, z->row_floats, &floats) || floats > STRIPS_BYTES_MOST / sizeof(float))
    return 0;
  return (floats * sizeof(float) + 63) & ~(size_t)63;
}

bool strips_plan(conv_nhwc_f32_plan *p) {
  const conv_nhwc_f32_shape *s = &p->shape;
  const window *w = &s->window;
  size_t last = w->rank - 1, channels = s->in_channels, width = (size_t)w->out[last];
  if (s->transposed || s->groups != 1 || w->dilation[last] != 1 || w->kernel[last] < 2 || channels == 0 ||
      channels > (s->planar ? PLANES_MOST : CHANNELS_MOST) || width == 0)
    return false;
  p->block = divide_up(width, divide_up(width, BLOCK_PIXELS)), p->block_rows = 1;
  strips z = strips_of(p);
  size_t rows = least((size_t)z.out_height, BLOCK_PIXELS / p->block);
  size_t others = s->batch * z.outer_out * divide_up(width, p->block), wanted = TASKS_A_THREAD * s->threads;
  if (s->threads > 1 && others < wanted) rows = least(rows, divide_up((size_t)z.out_height, divide_up(wanted, others)));
  p->worker_bytes = strips_bytes(&z);
  if (p->worker_bytes == 0) return false;
  for (size_t bytes; p->block_rows < rows; p->block_rows++) {
    conv_nhwc_f32_plan taller = *p;
    taller.block_rows++, z = strips_of(&taller), bytes = strips_bytes(&z);
    if (bytes == 0 || bytes > STRIPS_BYTES) break;
    p->worker_bytes = bytes;
  }
  z = strips_of(p);
  p->strips = true, p->parts = 1, p->panels = panels_count(p->kernel, z.padded / p->kernel->unit);
  p->worker_bytes += p->block * p->block_rows * sizeof(igemm_f32_tile) + z.runs * z.run * sizeof(ptrdiff_t) +
                     8 * panels_widest(p->kernel) * sizeof(float);
  p->worker_bytes = (p->worker_bytes + 63) & ~(size_t)63;
  return size_mul(p->worker_bytes, s->threads ? s->threads : 1, &p->scratch_bytes) &&
         size_mul(z.runs * z.run, z.padded * sizeof(float), &p->packed_bytes);
}

// ---- packing -------------------------------------------------------------------------------------

void strips_pack(const conv_nhwc_f32_plan *p, const float *weights, float *to) {
  strips z = strips_of(p);
  size_t channels = p->shape.in_channels, places = window_taps(z.w), row = z.run / z.unit;
  for (size_t i = 0; i < p->panels; i++) {
    panel n = panels_at(p->kernel, z.padded / p->kernel->unit, i);
    size_t first = n.begin * p->kernel->unit, width = n.units * p->kernel->unit;
    for (size_t t = 0; t < z.runs; t++)
      for (size_t k = 0; k < z.run; k++)
        for (size_t j = 0; j < width; j++) {
          size_t channel = p->shape.planar ? t % z.planes : k % z.unit;
          size_t place = t / z.planes * row + k / z.unit, column = first + j;
          *to++ = column < p->shape.out_channels ? weights[(column * channels + channel) * places + place] : 0;
        }
  }
}

// ---- run -----------------------------------------------------------------------------------------

typedef struct job {
  const conv_nhwc_f32_plan *plan;
  const conv_nhwc_f32_call *call;
  strips strips;
  activation_fn activate;
  char *workers;
} job;

// Where a block lies, and a worker's memory.
typedef struct block {
  size_t image, outer, row, rows, column, columns;
  float *strips, *sums;
  ptrdiff_t *taps;
  igemm_f32_tile *tiles;
} block;

// `count` pixels from column `first` of a row on; pixels outside of it are zero.
static void copy_run(const job *j, const float *row, size_t pixel, int64_t first, int64_t count, float *to) {
  size_t unit = j->strips.unit;
  int64_t width = j->strips.w->in[j->strips.w->rank - 1];
  int64_t before = first < 0 ? window_min(-first, count) : 0, past = window_min(width - first, count);
  if (past < before) past = before;
  memset(to, 0, (size_t)before * unit * sizeof(float));
  if (pixel == unit)
    memcpy(to + (size_t)before * unit, row + (first + before) * (int64_t)unit,
           (size_t)(past - before) * unit * sizeof(float));
  else
    for (int64_t i = before; i < past; i++)
      memcpy(to + (size_t)i * unit, row + (first + i) * (int64_t)pixel, unit * sizeof(float));
  memset(to + (size_t)past * unit, 0, (size_t)(count - past) * unit * sizeof(float));
}

// Rows of the image for one tap of the outer dimensions; `outer`: its place there, -1 in the padding.
static void copy_rows(const job *j, const block *b, int64_t outer, float *to) {
  const strips *z = &j->strips;
  const conv_nhwc_f32_shape *s = &j->plan->shape;
  size_t last = z->w->rank - 1, image = window_in(z->w), pixel = s->planar ? 1 : j->call->x_stride;
  int64_t count = (int64_t)(z->row_floats / z->unit),
          column = (int64_t)b->column * z->w->stride[last] - z->w->pad[last];
  int64_t row = (int64_t)b->row * z->row_step - z->row_pad;
  for (size_t i = 0; i < z->in_rows; i++, row++)
    for (size_t p = 0; p < z->planes; p++, to += z->row_floats) {
      if (outer < 0 || row < 0 || row >= z->height) {
        memset(to, 0, z->row_floats * sizeof(float));
        continue;
      }
      size_t plane = s->planar ? b->image * s->in_channels + p : b->image;
      size_t at = plane * image + (size_t)((outer * z->height + row) * z->w->in[last]);
      copy_run(j, j->call->x + at * pixel, pixel, column, count, to);
    }
}

static void copy_strips(const job *j, const block *b) {
  const strips *z = &j->strips;
  size_t outer = z->w->rank > 1 ? z->w->rank - 2 : 0, floats = z->in_rows * z->planes * z->row_floats;
  int64_t at[WINDOW_MAX_RANK], tap[WINDOW_MAX_RANK], place;
  window_unravel(b->outer, z->w->out, outer, at);
  for (size_t t = 0; t < z->outer_taps; t++) {
    window_unravel(t, z->w->kernel, outer, tap);
    bool inside = window_place(z->w, outer, at, tap, &place);
    copy_rows(j, b, inside ? place : -1, b->strips + t * floats);
  }
}

// Each float of a run is a tap of its own.
static void find_taps(const strips *z, ptrdiff_t *taps) {
  for (size_t o = 0; o < z->outer_taps; o++)
    for (int64_t k = 0; k < z->kernel_height; k++)
      for (size_t p = 0; p < z->planes; p++)
        for (size_t i = 0; i < z->run; i++)
          *taps++ = (ptrdiff_t)(((o * z->in_rows + (size_t)(k * z->row_pitch)) * z->planes + p) * z->row_floats + i);
}

// Tiles do not leave rows.
static size_t find_tiles(const job *j, const block *b, size_t rows) {
  const strips *z = &j->strips;
  size_t made = 0, parts = divide_up(b->columns, rows), last = z->w->rank - 1;
  size_t step = (size_t)z->w->stride[last] * z->unit, row_step = (size_t)z->row_step * z->planes * z->row_floats;
  for (size_t r = 0; r < b->rows; r++)
    for (size_t i = 0, column = 0; i < parts; i++) {
      size_t count = b->columns / parts + (i < b->columns % parts);
      b->tiles[made++] = (igemm_f32_tile){
          .x = b->strips + r * row_step + column * step, .count = count, .place = r * (size_t)z->w->out[last] + column};
      column += count;
    }
  return made;
}

static void run_panels(const job *j, const block *b) {
  const conv_nhwc_f32_plan *p = j->plan;
  const conv_nhwc_f32_call *c = j->call;
  const strips *z = &j->strips;
  size_t last = z->w->rank - 1, rows = 0, tiles = 0;
  size_t place = ((b->image * z->outer_out + b->outer) * (size_t)z->out_height + b->row) * (size_t)z->w->out[last];
  place += b->column;
  igemm_f32_sweep s = {.tiles = b->tiles, .taps = b->taps, .tap_count = z->runs * z->run, .depth = 1, .sums = b->sums};
  s.step = (size_t)z->w->stride[last] * z->unit, s.first = s.last = s.y_afar = true, s.pixel_step = 1;
  s.y_stride = c->y_stride, s.residual_stride = c->residual_stride, s.act = c->activation, s.activate = j->activate;
  for (size_t i = 0; i < p->panels; i++) {
    panel n = panels_at(p->kernel, z->padded / p->kernel->unit, i);
    size_t first = n.begin * p->kernel->unit;
    if (p->kernel->rows[n.units] != rows) tiles = find_tiles(j, b, rows = p->kernel->rows[n.units]);
    s.tile_count = tiles, s.width = n.units * p->kernel->unit, s.n = least(s.width, p->shape.out_channels - first);
    s.panel = (const float *)c->packed + first * z->runs * z->run;
    s.bias = c->bias ? c->bias + first : NULL;
    s.residual = c->residual ? c->residual + place * c->residual_stride + first : NULL;
    s.y = c->y + place * c->y_stride + first;
    p->kernel->sweep(&s);
  }
}

static void run_block(void *context, size_t index, size_t worker) {
  const job *j = context;
  const conv_nhwc_f32_plan *p = j->plan;
  const strips *z = &j->strips;
  size_t width = (size_t)z->w->out[z->w->rank - 1], across = divide_up(width, p->block);
  size_t down = divide_up((size_t)z->out_height, p->block_rows);
  block b = {.column = index % across * p->block, .row = index / across % down * p->block_rows};
  b.outer = index / across / down % z->outer_out, b.image = index / across / down / z->outer_out;
  b.columns = least(p->block, width - b.column), b.rows = least(p->block_rows, (size_t)z->out_height - b.row);
  char *at = j->workers + worker * p->worker_bytes;
  b.strips = (float *)at, at += strips_bytes(z);
  b.sums = (float *)at, at += 8 * panels_widest(p->kernel) * sizeof(float);
  b.tiles = (igemm_f32_tile *)at, at += p->block * p->block_rows * sizeof(igemm_f32_tile);
  b.taps = (ptrdiff_t *)at;
  find_taps(z, b.taps);
  copy_strips(j, &b);
  run_panels(j, &b);
}

void strips_run(const conv_nhwc_f32_plan *p, const conv_nhwc_f32_call *call, void *scratch) {
  job j = {p, call, strips_of(p), activation_find(call->activation.kind), scratch};
  size_t across = divide_up((size_t)j.strips.w->out[j.strips.w->rank - 1], p->block);
  size_t down = divide_up((size_t)j.strips.out_height, p->block_rows);
  pool_run(p->shape.threads, p->shape.batch * j.strips.outer_out * down * across, run_block, &j);
}
