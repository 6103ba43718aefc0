// SPDX-License-Identifier: Apache-2.0
// Driver of winograd_f32:
//
//   for each image                          all of whose values are moderate; others go to conv_nhwc_f32
//     for each block of tiles               that stay in the L2 cache on their way
//       input transforms, products, output transforms
//
// Tasks are blocks. What a tile gives does not depend on the block it is in.
#include "kernels/winograd_f32/winograd_f32.h"

#include <math.h>
#include <string.h>

#include "base/pool.h"
#include "base/size.h"

enum {
  PARTS = WINOGRAD_F32_PARTS,
  PIXELS = WINOGRAD_F32_PIXELS,
  BLOCK_LEAST = 32,    // tiles
  TASKS_A_THREAD = 2,  // of a batch, at least
  PIECES = 8,          // of an image, looked through side by side
  FILTERS_A_TASK = 8,  // while packing
  PACK_VERSION = 1
};

// Where a tile is faster, on AVX2 as on AVX-512. Small images do not repay weights of 16/9 or four times the memory
// beside the originals, and with few channels most of the work are the transforms.
typedef struct rule {
  int64_t pixels;  // along each side
  size_t channels, weights;
} rule;
static const rule rule_of_2 = {10, 16, 1024}, rule_of_4 = {20, 16, 256};
enum { WEIGHTS_A_PIXEL = 1536 };

static const float most_x = 0x1p50f, most_weight = 0x1p40f;

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t most(size_t a, size_t b) { return a > b ? a : b; }
static size_t divide_up(size_t a, size_t b) { return a / b + (a % b != 0); }

static bool possible(const conv_nhwc_f32_shape *s) {
  const window *w = &s->window;
  if (w->rank != 2 || s->transposed || s->planar || s->groups != 1 || s->in_channels == 0) return false;
  for (size_t d = 0; d < 2; d++)
    if (w->kernel[d] != 3 || w->stride[d] != 1 || w->dilation[d] != 1) return false;
  return true;
}

bool winograd_f32_suits(const conv_nhwc_f32_shape *s, size_t tile) {
  const rule *r = tile == 2 ? &rule_of_2 : &rule_of_4;
  if (!possible(s) || s->window.out[0] < r->pixels || s->window.out[1] < r->pixels) return false;
  size_t in = s->in_channels, out = s->out_channels;
  return in >= r->channels && out >= r->channels && in * out >= r->weights &&
         in * out / WEIGHTS_A_PIXEL <= window_out(&s->window);
}

// ---- plan ----------------------------------------------------------------------------------------

// In the scratch: flags of pieces, then the rows of `job`, then workers; when they are done, weights and scratch of
// what is computed directly.
static bool find_bytes(winograd_f32_plan *p) {
  const conv_nhwc_f32_shape *s = &p->shape;
  size_t tile = p->parts_stride + p->sums_stride, flags, rows, workers, direct;
  if (!size_mul(p->block * sizeof(float), tile, &p->worker_bytes) ||
      !size_add(p->worker_bytes, p->products.scratch_bytes, &p->worker_bytes) ||
      !size_align(p->worker_bytes, 64, &p->worker_bytes) || !size_mul(p->worker_bytes, most(s->threads, 1), &workers) ||
      !size_align(p->direct.packed_bytes, 64, &direct) || !size_add(direct, p->direct.scratch_bytes, &direct) ||
      !size_mul(s->batch, PIECES, &flags) || !size_align(flags, 64, &flags) ||
      !size_mul(2 * s->out_channels + s->in_channels, sizeof(float), &rows) || !size_align(rows, 64, &rows))
    return false;
  return size_add(flags, rows, &p->scratch_bytes) &&
         size_add(p->scratch_bytes, most(workers, direct), &p->scratch_bytes) &&
         size_add(p->products.packed_bytes, 64, &p->packed_bytes);
}

bool winograd_f32_plan_with(winograd_f32_plan *p, const conv_nhwc_f32_shape *shape, size_t tile,
                            const winograd_f32_kernel *kernel, const kernel_entry *products) {
  if ((tile != 2 && tile != 4) || !possible(shape) || shape->in_channels > SIZE_MAX / 4096 ||
      shape->out_channels > SIZE_MAX / 4096)
    return false;
  *p = (winograd_f32_plan){.shape = *shape, .kernel = kernel, .tile = tile, .side = tile + 2};
  p->parts = p->side * p->side, p->transforms = tile == 2 ? &kernel->of_2 : &kernel->of_4;
  snprintf(p->name, sizeof p->name, "%s F(%zu,3)", products->variant, tile);
  const conv_nhwc_f32_shape *s = &p->shape;
  p->rows = divide_up((size_t)s->window.out[0], tile), p->columns = divide_up((size_t)s->window.out[1], tile);
  // A distance between tiles that is no power of two keeps them in different sets of the caches.
  p->parts_stride = p->parts * s->in_channels + 16, p->sums_stride = p->parts * s->out_channels + 16;
  size_t tiles = most(p->rows * p->columns, 1), bytes = (p->parts_stride + p->sums_stride) * sizeof(float);
  p->block = most(cpu_cache_sizes().l2_bytes * 5 / 8 / bytes, BLOCK_LEAST);
  if (s->threads > 1) p->block = least(p->block, most(tiles * s->batch / (s->threads * TASKS_A_THREAD), BLOCK_LEAST));
  p->blocks = divide_up(tiles, p->block), p->block = divide_up(tiles, p->blocks);
  int64_t block = (int64_t)p->block;
  conv_nhwc_f32_shape product = {.batch = 1, .groups = p->parts, .threads = 1};
  product.window = (window){.rank = 1, .in = {block}, .out = {block}, .kernel = {1}, .stride = {1}, .dilation = {1}};
  product.in_channels = p->parts * s->in_channels, product.out_channels = p->parts * s->out_channels;
  conv_nhwc_f32_shape direct = *s;
  direct.batch = 1;
  return conv_nhwc_f32_plan_with(&p->products, &product, products) &&
         conv_nhwc_f32_plan_with(&p->direct, &direct, products) && find_bytes(p);
}

bool winograd_f32_plan_init(winograd_f32_plan *plan, const conv_nhwc_f32_shape *shape, size_t tile) {
  return winograd_f32_plan_with(plan, shape, tile, KERNEL_BEST(winograd_f32), kernel_best("igemm_f32"));
}

// ---- packing -------------------------------------------------------------------------------------

// Rows of G: the kernel's polynomial at the points 0, a, -a, b, -b and infinity, over what B^T leaves.
static void points(size_t tile, double g[6][3]) {
  static const double of_2[4][3] = {{1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
  const double at[] = {0, 0.75, -0.75, 1.5, -1.5}, aa = at[1] * at[1], bb = at[3] * at[3];
  const double over[] = {aa * bb, 2 * aa * (aa - bb), 2 * aa * (aa - bb), 2 * bb * (bb - aa), 2 * bb * (bb - aa)};
  if (tile == 2) memcpy(g, of_2, sizeof of_2);
  for (int i = 0; tile == 4 && i < 6; i++)
    for (int t = 0; t < 3; t++) g[i][t] = i == 5 ? t == 2 : (t == 0 ? 1 : t == 1 ? at[i] : at[i] * at[i]) / over[i];
}

typedef struct pack_job {
  const winograd_f32_plan *plan;
  const float *weights;
  float *parts;  // [part][filter][channel]
  double g[6][3];
} pack_job;

// G w G^T of the kernels of some filters.
static void transform_filters(void *context, size_t index, size_t worker) {
  const pack_job *j = context;
  const winograd_f32_plan *p = j->plan;
  (void)worker;
  const size_t side = p->side, all = p->shape.in_channels * p->shape.out_channels;
  const size_t begin = index * FILTERS_A_TASK, end = least(begin + FILTERS_A_TASK, p->shape.out_channels);
  for (size_t i = begin * p->shape.in_channels; i < end * p->shape.in_channels; i++) {
    const float *w = j->weights + i * 9;
    double half[6][3];
    for (size_t r = 0; r < side; r++)
      for (size_t t = 0; t < 3; t++) half[r][t] = j->g[r][0] * w[t] + j->g[r][1] * w[3 + t] + j->g[r][2] * w[6 + t];
    for (size_t r = 0; r < side; r++)
      for (size_t t = 0; t < side; t++)
        j->parts[(r * side + t) * all + i] =
            (float)(half[r][0] * j->g[t][0] + half[r][1] * j->g[t][1] + half[r][2] * j->g[t][2]);
  }
}

void winograd_f32_pack(const winograd_f32_plan *p, const float *weights, void *packed, void *scratch) {
  pack_job j = {.plan = p, .weights = weights, .parts = scratch};
  points(p->tile, j.g);
  pool_run(p->shape.threads, divide_up(p->shape.out_channels, FILTERS_A_TASK), transform_filters, &j);
  memset(packed, 0, 64);
  *(bool *)packed = p->kernel->below(weights, p->shape.in_channels * p->shape.out_channels * 9, most_weight);
  conv_nhwc_f32_pack(&p->products, j.parts, (char *)packed + 64);
}

pack_format winograd_f32_format(const winograd_f32_plan *p) {
  pack_format f = conv_nhwc_f32_format(&p->products);
  snprintf(f.family, sizeof f.family, "winograd_f32");
  f.version = f.version * 16 + PACK_VERSION;
  return f;
}

// ---- run -----------------------------------------------------------------------------------------

typedef struct job {
  const winograd_f32_plan *plan;
  const conv_nhwc_f32_call *call;
  activation_limits limits;
  activation_fn activate;  // NULL: the limits are enough
  bool *beyond;            // [image][PIECES]
  const float *bias;       // -0 where there is none
  float *nowhere;          // a pixel that is written and not read
  float *zeros;            // a pixel of padding
  char *workers;
} job;

static void look_through(void *context, size_t index, size_t worker) {
  const job *j = context;
  (void)worker;
  const conv_nhwc_f32_call *c = j->call;
  size_t channels = j->plan->shape.in_channels, pixels = window_in(&j->plan->shape.window);
  size_t image = index / PIECES, piece = index % PIECES;
  size_t begin = pixels * piece / PIECES, end = pixels * (piece + 1) / PIECES;
  const float *x = c->x + (image * pixels + begin) * c->x_stride;
  bool below = true;
  if (c->x_stride == channels) below = j->plan->kernel->below(x, (end - begin) * channels, most_x);
  else
    for (size_t i = begin; below && i < end; i++, x += c->x_stride) below = j->plan->kernel->below(x, channels, most_x);
  j->beyond[index] = !below;
}

static bool image_is_beyond(const job *j, size_t image) {
  bool beyond = false;
  for (size_t i = 0; i < PIECES; i++) beyond = beyond || j->beyond[image * PIECES + i];
  return beyond;
}

// The pixels of a square of `side`, row-major; at those outside of the image, NULL.
static void square(const int64_t *sizes, int64_t row, int64_t column, size_t side, const float *image, size_t stride,
                   const float **pixels) {
  for (size_t i = 0; i < side * side; i++) {
    int64_t r = row + (int64_t)(i / side), c = column + (int64_t)(i % side);
    bool inside = r >= 0 && r < sizes[0] && c >= 0 && c < sizes[1];
    pixels[i] = inside ? image + (size_t)(r * sizes[1] + c) * stride : NULL;
  }
}

static void tile_in(const job *j, const float *image, size_t tile, float *parts) {
  const winograd_f32_plan *p = j->plan;
  const window *w = &p->shape.window;
  const float *pixels[PARTS];
  int64_t row = (int64_t)(tile / p->columns * p->tile), column = (int64_t)(tile % p->columns * p->tile);
  square(w->in, row - w->pad[0], column - w->pad[1], p->side, image, j->call->x_stride, pixels);
  for (size_t i = 0; i < p->parts; i++)
    if (!pixels[i]) pixels[i] = j->zeros;
  p->transforms->input(pixels, p->shape.in_channels, parts);
}

static void tile_out(const job *j, size_t image, size_t tile, const float *sums) {
  const winograd_f32_plan *p = j->plan;
  const conv_nhwc_f32_call *c = j->call;
  const int64_t *out = p->shape.window.out;
  size_t first = image * window_out(&p->shape.window), channels = p->shape.out_channels;
  const float *at[PIXELS], *residual[PIXELS];
  float *y[PIXELS];
  int64_t row = (int64_t)(tile / p->columns * p->tile), column = (int64_t)(tile % p->columns * p->tile);
  square(out, row, column, p->tile, c->y + first * c->y_stride, c->y_stride, at);
  if (c->residual)
    square(out, row, column, p->tile, c->residual + first * c->residual_stride, c->residual_stride, residual);
  for (size_t i = 0; i < p->tile * p->tile; i++) {
    y[i] = at[i] ? (float *)at[i] : j->nowhere;
    if (!at[i]) residual[i] = j->bias;
  }
  p->transforms->output(sums, channels, j->bias, c->residual ? residual : NULL, &j->limits, y);
  for (size_t i = 0; i < p->tile * p->tile; i++)
    if (j->activate && at[i]) j->activate(y[i], y[i], channels, c->activation.a, c->activation.b);
}

static void run_block(void *context, size_t index, size_t worker) {
  const job *j = context;
  const winograd_f32_plan *p = j->plan;
  const size_t image = index / p->blocks, first = index % p->blocks * p->block, tiles = p->rows * p->columns;
  if (image_is_beyond(j, image)) return;
  const float *x = j->call->x + image * window_in(&p->shape.window) * j->call->x_stride;
  float *parts = (float *)(j->workers + worker * p->worker_bytes), *sums = parts + p->block * p->parts_stride;
  // The last block may be larger than what is left: it does the last tile again.
  for (size_t i = 0; i < p->block; i++) tile_in(j, x, least(first + i, tiles - 1), parts + i * p->parts_stride);
  conv_nhwc_f32_call product = {.x = parts, .packed = (const char *)j->call->packed + 64, .y = sums};
  product.x_stride = p->parts_stride, product.y_stride = p->sums_stride;
  conv_nhwc_f32_run(&p->products, &product, sums + p->block * p->sums_stride);
  for (size_t i = 0; i < p->block && first + i < tiles; i++) tile_out(j, image, first + i, sums + i * p->sums_stride);
}

static void run_directly(const job *j, const float *weights) {
  const winograd_f32_plan *p = j->plan;
  conv_nhwc_f32_call one = *j->call;
  bool packed = false;
  char *scratch = j->workers + ((p->direct.packed_bytes + 63) & ~(size_t)63);
  for (size_t image = 0; image < p->shape.batch; image++) {
    if (!image_is_beyond(j, image)) continue;
    if (!packed) conv_nhwc_f32_pack(&p->direct, weights, j->workers);
    packed = true, one.packed = j->workers;
    size_t in = image * window_in(&p->shape.window), out = image * window_out(&p->shape.window);
    one.x = j->call->x + in * one.x_stride, one.y = j->call->y + out * one.y_stride;
    if (one.residual) one.residual = j->call->residual + out * one.residual_stride;
    conv_nhwc_f32_run(&p->direct, &one, scratch);
  }
}

void winograd_f32_run(const winograd_f32_plan *p, const conv_nhwc_f32_call *call, const float *weights, void *scratch) {
  const conv_nhwc_f32_shape *s = &p->shape;
  if (s->batch == 0 || s->out_channels == 0 || window_out(&s->window) == 0) return;
  size_t flags = (s->batch * PIECES + 63) & ~(size_t)63, n = s->out_channels;
  float *rows = (float *)((char *)scratch + flags);
  job j = {.plan = p, .call = call, .beyond = scratch, .nowhere = rows + n, .zeros = rows + 2 * n};
  j.limits = activation_limits_of(call->activation);
  j.activate = j.limits.enough ? NULL : activation_find(call->activation.kind);
  for (size_t i = 0; i < n; i++) rows[i] = call->bias ? call->bias[i] : -0.0f;
  j.bias = rows;
  memset(j.zeros, 0, s->in_channels * sizeof(float));
  j.workers = (char *)rows + (((2 * n + s->in_channels) * sizeof(float) + 63) & ~(size_t)63);
  if (*(const bool *)call->packed) pool_run(s->threads, s->batch * PIECES, look_through, &j);
  else memset(j.beyond, true, s->batch * PIECES);
  pool_run(s->threads, s->batch * p->blocks, run_block, &j);
  run_directly(&j, weights);
}
