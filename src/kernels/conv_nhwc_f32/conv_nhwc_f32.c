// SPDX-License-Identifier: Apache-2.0
// The driver of conv_nhwc_f32: which panels, blocks and tasks, packing, the loops around a sweep.
//
//   for each block of pixels               whose inputs stay in the L2 cache; grid.c makes its tiles
//     for each panel of the weights        (all groups' panels in a row)
//       for each part of the depth         whose slice of the panel stays in the L1 cache
//         sweep: all tiles of the block
//
// Tasks are blocks times ranges of panels. Neither where blocks nor where parts end changes a bit.
#include "kernels/conv_nhwc_f32/conv_nhwc_f32.h"

#include <string.h>

#include "base/pool.h"
#include "base/size.h"
#include "kernels/conv_nhwc_f32/grid.h"
#include "kernels/conv_nhwc_f32/panels.h"
#include "kernels/conv_nhwc_f32/strips.h"

enum {
  BLOCK_MOST = 512,            // pixels
  BLOCK_LEAST = 64,            // of a block that is made smaller to have more tasks
  POINTERS_BYTES = 1 << 16,    // of a block
  TASK_WORK = 400000,          // multiply-adds that are worth handing to a thread
  TASKS_A_THREAD = 4,          // a slow thread delays the others by little
  PACK_FLOATS = 1024,          // of a column packed at once
  PACK_ALONE_BYTES = 1 << 19,  // less is packed before a second thread has woken up
  PACK_VERSION = 1,
  ROW_FLOATS = 768,  // columns of a single row done side by side
};

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t most(size_t a, size_t b) { return a > b ? a : b; }
static size_t divide_up(size_t a, size_t b) { return a / b + (a % b != 0); }

// What all functions need of a plan's shape.
typedef struct sizes {
  size_t channels, columns, units;  // of a group
  size_t padded;                    // columns of a group's panels together
  size_t group_panels;
} sizes;

static sizes sizes_of(const conv_nhwc_f32_plan *p) {
  const conv_nhwc_f32_shape *s = &p->shape;
  sizes z = {.channels = s->in_channels / s->groups, .columns = s->out_channels / s->groups};
  z.units = divide_up(z.columns, p->kernel->unit), z.padded = z.units * p->kernel->unit;
  z.group_panels = panels_count(p->kernel, z.units);
  return z;
}

// ---- plan ----------------------------------------------------------------------------------------

// Where each output reads its own pixel, images are one row.
static void merge_images(conv_nhwc_f32_shape *s) {
  window *w = &s->window;
  for (size_t d = 0; d < w->rank; d++)
    if (s->transposed || w->kernel[d] != 1 || w->stride[d] != 1 || w->pad[d] != 0 || w->in[d] != w->out[d]) return;
  int64_t pixels = (int64_t)(window_out(w) * s->batch);
  *w = (window){.rank = 1, .in = {pixels}, .out = {pixels}, .kernel = {1}, .stride = {1}, .dilation = {1}};
  s->batch = 1;
}

static conv_nhwc_f32_depth cut_depth(const igemm_f32_kernel *k, size_t channels, size_t taps) {
  size_t room = cpu_cache_sizes().l1d_bytes * 2 / ((size_t)k->main * k->unit * sizeof(float));
  if (channels == 0) return (conv_nhwc_f32_depth){0, taps};
  if (channels > room) return (conv_nhwc_f32_depth){divide_up(channels, divide_up(channels, room)), 1};
  return (conv_nhwc_f32_depth){channels, divide_up(taps, divide_up(taps, room / channels))};
}

// Pixels of a block, from what is kept near: their inputs (each read once along strides), pointers.
static size_t block_of(const conv_nhwc_f32_plan *p, const grid *g) {
  size_t inputs = 1;
  for (size_t d = 0; d < g->rank; d++)
    if (inputs < g->taps) inputs *= (size_t)g->axis[d].step;
  size_t bytes = most(p->shape.in_channels, 1) * sizeof(float) * least(inputs, most(g->taps, 1));
  size_t block = least(cpu_cache_sizes().l2_bytes * 5 / 16 / most(bytes, 1), BLOCK_MOST);
  if (!g->affine) block = least(block, POINTERS_BYTES / sizeof(float *) / most(g->taps, 1));
  return least(most(block, (size_t)4 * p->kernel->rows[p->kernel->main]), most(g->lines * g->line, 1));
}

static size_t block_count(const grid *g, size_t block) {
  return g->line >= block ? g->lines * divide_up(g->line, block) : divide_up(g->lines, block / most(g->line, 1));
}

// Smaller blocks or parts of the panels, until there are tasks for all threads.
static void cut_tasks(conv_nhwc_f32_plan *p, const grid *g) {
  sizes z = sizes_of(p);
  double weights = (double)g->taps * (double)z.channels * (double)p->shape.out_channels;
  double pixels = (double)g->lines * (double)g->line, tasks = weights * pixels * (double)p->parts / TASK_WORK;
  double wanted = p->shape.threads > 1 ? TASKS_A_THREAD * (double)p->shape.threads : 1;
  if (wanted > tasks) wanted = tasks > 1 ? tasks : 1;
  p->task_panels = most(p->panels, 1);
  size_t blocks = block_count(g, p->block) * p->parts, need = (size_t)(wanted + 0.5);
  if (blocks >= need || blocks == 0) return;
  if (weights * sizeof(float) < (double)cpu_cache_sizes().l2_bytes / 2) {
    p->block = least(p->block, most(divide_up(g->lines * g->line, divide_up(need, p->parts)), BLOCK_LEAST));
    blocks = block_count(g, p->block) * p->parts;
  }
  p->task_panels = divide_up(p->task_panels, least(divide_up(need, blocks), p->task_panels));
}

static bool find_bytes(conv_nhwc_f32_plan *p, const grid *g) {
  const conv_nhwc_f32_shape *s = &p->shape;
  sizes z = sizes_of(p);
  size_t pointers, zeros, workers, sums = most(p->block * panels_widest(p->kernel), ROW_FLOATS) * sizeof(float);
  // The blocks of a task that follow one another share its memory; `block` bounds all of them.
  if (!size_mul(g->affine ? 0 : p->block * sizeof(float *), g->taps, &pointers) ||
      !size_add(pointers, p->block * sizeof(igemm_f32_tile), &pointers) ||
      !size_add(pointers, g->taps * sizeof(ptrdiff_t) + sums, &pointers) || !size_align(pointers, 64, &p->worker_bytes))
    return false;
  if (!size_mul(s->in_channels, sizeof(float), &zeros) || !size_align(zeros, 64, &zeros)) return false;
  return size_mul(p->worker_bytes, most(s->threads, 1), &workers) && size_add(workers, zeros, &p->scratch_bytes) &&
         size_mul(z.padded, s->groups, &p->packed_bytes) && size_mul(p->packed_bytes, z.channels, &p->packed_bytes) &&
         size_mul(p->packed_bytes, window_taps(&s->window), &p->packed_bytes) &&
         size_mul(p->packed_bytes, sizeof(float), &p->packed_bytes);
}

bool conv_nhwc_f32_plan_with(conv_nhwc_f32_plan *p, const conv_nhwc_f32_shape *shape, const kernel_entry *variant) {
  *p = (conv_nhwc_f32_plan){.shape = *shape, .kernel = variant->kernel, .name = variant->variant};
  conv_nhwc_f32_shape *s = &p->shape;
  if (s->out_channels > SIZE_MAX / 64) return false;
  if (strips_plan(p)) return true;
  if (s->planar) return false;
  merge_images(s);
  p->parts = grid_parts(&s->window, s->transposed);
  sizes z = sizes_of(p);
  p->panels = z.group_panels * s->groups;
  // The first part has the most pixels, though not always the most taps.
  grid g;
  grid_init(&g, &s->window, s->transposed, 0, s->batch);
  g.taps = grid_most_taps(&s->window, s->transposed);
  p->depth = cut_depth(p->kernel, z.channels, g.taps);
  p->block = block_of(p, &g);
  cut_tasks(p, &g);
  return find_bytes(p, &g);
}

bool conv_nhwc_f32_plan_init(conv_nhwc_f32_plan *p, const conv_nhwc_f32_shape *shape) {
  return conv_nhwc_f32_plan_with(p, shape, kernel_best("igemm_f32"));
}

bool conv_nhwc_f32_reads_planes(const conv_nhwc_f32_shape *shape) {
  conv_nhwc_f32_plan plan;
  conv_nhwc_f32_shape planar = *shape;
  planar.planar = true;
  return conv_nhwc_f32_plan_init(&plan, &planar);
}

// ---- packing -------------------------------------------------------------------------------------

// Floats of the panels of the parts before.
static size_t part_offset(const conv_nhwc_f32_plan *p, const grid *g) {
  sizes z = sizes_of(p);
  return g->taps_before * z.channels * z.padded * p->shape.groups;
}

// Floats of the panels of the same part before.
static size_t panel_offset(const conv_nhwc_f32_plan *p, const grid *g, size_t group, panel n) {
  sizes z = sizes_of(p);
  return (group * z.padded + n.begin * p->kernel->unit) * g->taps * z.channels;
}

// A column's weights, taps of a channel or channels of a tap near each other, are read along and written `width` apart.
static void pack_panel(const conv_nhwc_f32_plan *p, const grid *g, const float *weights, size_t group, panel n,
                       float *to) {
  const conv_nhwc_f32_shape *s = &p->shape;
  sizes z = sizes_of(p);
  size_t places = window_taps(&s->window), width = n.units * p->kernel->unit, first = n.begin * p->kernel->unit;
  size_t columns = least(width, z.columns - first), step = most(PACK_FLOATS / most(g->taps, 1), 1);
  for (size_t c0 = 0; c0 < z.channels; c0 += step)
    for (size_t t = 0; t < g->taps; t++) {
      size_t place = grid_kernel_place(g, t), count = least(step, z.channels - c0);
      float *at = to + (t * z.channels + c0) * width;
      for (size_t j = 0; j < width; j++) {
        size_t column = first + j, channel = group * z.channels + c0;
        const float *from = s->transposed ? weights + (channel * z.columns + column) * places + place
                                          : weights + ((group * z.columns + column) * z.channels + c0) * places + place;
        size_t stride = s->transposed ? z.columns * places : places;
        for (size_t c = 0; c < count; c++) at[c * width + j] = j < columns ? from[c * stride] : 0;
      }
    }
}

typedef struct pack_job {
  const conv_nhwc_f32_plan *plan;
  const float *weights;
  float *packed;
} pack_job;

// A panel of all parts.
static void pack_task(void *context, size_t index, size_t worker) {
  const pack_job *j = context;
  const conv_nhwc_f32_plan *p = j->plan;
  sizes z = sizes_of(p);
  panel n = panels_at(p->kernel, z.units, index % z.group_panels);
  size_t group = index / z.group_panels;
  for (size_t part = 0; part < p->parts; part++) {
    grid g;
    grid_init(&g, &p->shape.window, p->shape.transposed, part, p->shape.batch);
    pack_panel(p, &g, j->weights, group, n, j->packed + part_offset(p, &g) + panel_offset(p, &g, group, n));
  }
}

void conv_nhwc_f32_pack(const conv_nhwc_f32_plan *p, const float *weights, void *packed) {
  pack_job j = {p, weights, packed};
  if (p->strips) strips_pack(p, weights, packed);
  else pool_run(p->packed_bytes < PACK_ALONE_BYTES ? 1 : p->shape.threads, p->panels, pack_task, &j);
}

pack_format conv_nhwc_f32_format(const conv_nhwc_f32_plan *p) {
  pack_format f = pack_format_of("conv_nhwc_f32", p->name, PACK_VERSION);
  f.tile = (uint32_t)p->kernel->unit, f.groups = (uint32_t)p->shape.groups;
  f.detail = p->strips | (uint32_t)p->shape.planar << 1;
  return f;
}

// ---- run -----------------------------------------------------------------------------------------

typedef struct job {
  const conv_nhwc_f32_plan *plan;
  const conv_nhwc_f32_call *call;
  activation_fn activate;
  const float *zeros;
  char *workers;
  size_t blocks, splits;  // of a part
} job;

// A task's own: its grid and memory.
typedef struct task {
  const job *job;
  grid grid;
  sizes sizes;
  const float *packed;  // of its part
  ptrdiff_t *taps;
  igemm_f32_tile *tiles;
  const float **rows;
  float *sums;
} task;

static void task_init(task *t, const job *j, size_t part, size_t worker) {
  const conv_nhwc_f32_plan *p = j->plan;
  *t = (task){.job = j, .sizes = sizes_of(p)};
  grid_init(&t->grid, &p->shape.window, p->shape.transposed, part, p->shape.batch);
  t->packed = (const float *)j->call->packed + part_offset(p, &t->grid);
  char *at = j->workers + worker * p->worker_bytes;
  t->sums = (float *)at, at += most(p->block * panels_widest(p->kernel), ROW_FLOATS) * sizeof(float);
  t->tiles = (igemm_f32_tile *)at, at += p->block * sizeof(igemm_f32_tile);
  t->taps = (ptrdiff_t *)at, at += t->grid.taps * sizeof(ptrdiff_t);
  t->rows = (const float **)at;
  grid_taps(&t->grid, j->call->x_stride, t->taps);
}

static igemm_f32_sweep sweep_of(const task *t, size_t group, panel n, size_t tiles) {
  const conv_nhwc_f32_plan *p = t->job->plan;
  const conv_nhwc_f32_call *c = t->job->call;
  const grid_axis *last = &t->grid.axis[t->grid.rank - 1];
  size_t first = n.begin * p->kernel->unit, column = group * t->sizes.columns + first;
  igemm_f32_sweep s = {.tiles = t->tiles, .tile_count = tiles, .taps = t->taps, .sums = t->sums};
  s.width = n.units * p->kernel->unit, s.n = least(s.width, t->sizes.columns - first);
  s.ahead = p->packed_bytes > cpu_cache_sizes().l2_bytes / 4;
  s.y_afar = t->grid.lines * t->grid.line * c->y_stride > cpu_cache_sizes().l2_bytes;  // four times as many bytes
  s.panel = t->packed + panel_offset(p, &t->grid, group, n), s.step = (size_t)last->step * c->x_stride;
  s.bias = c->bias ? c->bias + column : NULL, s.residual = c->residual ? c->residual + column : NULL;
  s.y = c->y + column, s.y_stride = c->y_stride, s.residual_stride = c->residual_stride;
  s.pixel_step = (size_t)last->y_step, s.act = c->activation, s.activate = t->job->activate;
  return s;
}

// One panel over the whole depth.
static void run_panel(const task *t, size_t group, panel n, size_t tiles) {
  const conv_nhwc_f32_depth *depth = &t->job->plan->depth;
  igemm_f32_sweep s = sweep_of(t, group, n, tiles);
  const float *panel = s.panel;
  size_t channel = 0, channels = t->sizes.channels, taps = t->grid.taps;
  do {
    s.tap_count = least(depth->taps, taps - s.tap), s.depth = least(depth->channels, channels - channel);
    s.taps = t->taps + s.tap, s.channel = group * channels + channel;
    s.panel = panel + (s.tap * channels + channel) * s.width;
    s.first = s.tap == 0 && channel == 0;
    channel += s.depth;
    bool tap_done = channel >= channels;
    s.last = tap_done && s.tap + s.tap_count >= taps;
    t->job->plan->kernel->sweep(&s);
    if (tap_done) s.tap += s.tap_count, channel = 0;
  } while (!s.last);
}

// Panels of one width for a single row. Returns how many it took, of at most `most`.
static size_t run_row(const task *t, size_t group, size_t index, size_t most) {
  const conv_nhwc_f32_plan *p = t->job->plan;
  panel n = panels_at(p->kernel, t->sizes.units, index);
  igemm_f32_sweep s = sweep_of(t, group, n, 1);
  s.panel_stride = t->grid.taps * t->sizes.channels * s.width;
  s.tap_count = t->grid.taps, s.channel = group * t->sizes.channels, s.depth = t->sizes.channels;
  s.first = s.last = true, s.panels = 1;
  while (n.units % 2 == 0 && s.panels < most && (s.panels + 1) * s.width <= ROW_FLOATS &&
         panels_at(p->kernel, t->sizes.units, index + s.panels).units == n.units)
    s.panels++;
  s.n = least(s.panels * s.width, t->sizes.columns - n.begin * p->kernel->unit);
  p->kernel->sweep(&s);
  return s.panels;
}

// Output pixels of block `index`: a piece of a line, or whole lines.
static void block_range(const grid *g, size_t block, size_t index, size_t *begin, size_t *end) {
  if (g->line >= block) {
    size_t pieces = divide_up(g->line, block), line = index / pieces, piece = index % pieces;
    *begin = line * g->line + g->line * piece / pieces, *end = line * g->line + g->line * (piece + 1) / pieces;
  } else {
    size_t lines = block / g->line;
    *begin = index * lines * g->line, *end = least((index + 1) * lines, g->lines) * g->line;
  }
}

static void run_task(void *context, size_t index, size_t worker) {
  const job *j = context;
  const conv_nhwc_f32_plan *p = j->plan;
  task t;
  task_init(&t, j, index / (j->blocks * j->splits), worker);
  size_t block = index / j->splits % j->blocks, first = index % j->splits * p->task_panels;
  size_t past = least(first + p->task_panels, p->panels), begin, end, tiles = 0, rows = 0;
  if (block >= block_count(&t.grid, p->block)) return;
  block_range(&t.grid, p->block, block, &begin, &end);
  bool cut = t.grid.taps > p->depth.taps || t.sizes.channels > p->depth.channels;
  grid_source from = {j->call->x, j->call->x_stride, j->zeros};
  for (size_t i = first, done; i < past && !pool_stopped(); i += done) {
    size_t group = i / t.sizes.group_panels, index = i % t.sizes.group_panels;
    panel n = panels_at(p->kernel, t.sizes.units, index);
    if (p->kernel->rows[n.units] != rows)
      tiles = grid_tiles(&t.grid, &from, begin, end, rows = p->kernel->rows[n.units], cut, t.tiles, t.rows);
    done = end - begin > 1 ? 1 : run_row(&t, group, index, least(past - i, t.sizes.group_panels - index));
    if (end - begin > 1) run_panel(&t, group, n, tiles);
  }
}

void conv_nhwc_f32_run(const conv_nhwc_f32_plan *p, const conv_nhwc_f32_call *call, void *scratch) {
  const conv_nhwc_f32_shape *s = &p->shape;
  grid g;
  grid_init(&g, &s->window, s->transposed, 0, s->batch);
  if (p->panels == 0 || g.lines * g.line == 0) return;
  if (p->strips) {
    strips_run(p, call, scratch);
    return;
  }
  job j = {.plan = p, .call = call, .activate = activation_find(call->activation.kind), .zeros = scratch};
  size_t zeros = (s->in_channels * sizeof(float) + 63) & ~(size_t)63;
  memset(scratch, 0, zeros);
  j.workers = (char *)scratch + zeros;
  j.blocks = block_count(&g, p->block), j.splits = divide_up(p->panels, p->task_panels);
  pool_run(s->threads, p->parts * j.blocks * j.splits, run_task, &j);
}
