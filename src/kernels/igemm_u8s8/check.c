// SPDX-License-Identifier: Apache-2.0
// A tile of random sizes; operands are laid as each variant wants them. The driver is held to the definition by
// tests/kernels/test_conv_nhwc_u8s8.c.
#include <string.h>

#include "kernels/igemm_u8s8/random_output.h"

enum { COLUMNS_MOST = 64, DEPTH_UNIT = 4 };

typedef struct problem {
  size_t rows, taps, depth, n;
  const uint8_t *x;  // [rows][taps][depth]
  const int8_t *w;   // [taps][depth][n]
  int32_t bias[COLUMNS_MOST];
  float scale[COLUMNS_MOST];
  igemm_u8s8_output output;
} problem;

// x and w as the kernel has them; addresses of x.
static void lay(kernel_check *k, const problem *p, const igemm_u8s8_kernel *v, igemm_u8s8_tile *t) {
  size_t element = v->wide ? 2 : 1, count = p->rows * p->taps * p->depth, columns = (p->n + v->unit - 1) / v->unit;
  const void **at = check_buffer(k, p->rows * p->taps * sizeof *at, sizeof *at);
  uint8_t *x = check_buffer(k, count * element, (unsigned)element);
  *t = (igemm_u8s8_tile){.rows = p->rows, .taps = p->taps, .depth = p->depth, .vectors = columns, .n = p->n};
  columns *= v->unit;
  uint8_t *w = check_buffer(k, p->taps * p->depth * columns * element, 64);
  memset(w, 0, p->taps * p->depth * columns * element);
  for (size_t i = 0; i < count; i++)
    if (v->wide) ((int16_t *)x)[i] = p->x[i];
    else x[i] = p->x[i];
  for (size_t i = 0; i < p->rows * p->taps; i++) at[i] = x + i * p->depth * element;
  for (size_t i = 0; i < p->taps * p->depth * p->n; i++) {
    size_t row = i / p->n;
    size_t to = igemm_u8s8_place(v, p->depth, columns, row / p->depth, row % p->depth, i % p->n);
    if (v->wide) ((int16_t *)w)[to] = p->w[i];
    else ((int8_t *)w)[to] = p->w[i];
  }
  t->x = at, t->panel = w, t->bias = p->bias, t->scale = p->scale, t->output = p->output;
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const igemm_u8s8_kernel *v = variant, *r = reference;
  problem p = {.taps = check_size(k, 1, 9), .depth = check_size(k, 1, 20) * DEPTH_UNIT};
  size_t most = (size_t)(v->main < r->main * r->unit / v->unit ? v->main : r->main * r->unit / v->unit) * v->unit;
  p.n = check_size(k, 1, most);
  size_t rows = v->rows[(p.n + v->unit - 1) / v->unit], others = r->rows[(p.n + r->unit - 1) / r->unit];
  p.rows = check_size(k, 1, rows < others ? rows : others);
  p.x = check_buffer(k, p.rows * p.taps * p.depth, 1), p.w = check_buffer(k, p.taps * p.depth * p.n, 1);
  p.output = igemm_u8s8_random_output(k);
  for (size_t j = 0; j < COLUMNS_MOST; j++) {
    p.bias[j] = (int32_t)(check_random(k) % 20001) - 10000;
    p.scale[j] = (float)(check_random(k) % 1000) * 1e-5f;
    if (check_coin(k, 40)) p.scale[j] = check_coin(k, 2) ? __builtin_nanf("") : __builtin_inff();
  }
  igemm_u8s8_tile mine, other;
  lay(k, &p, v, &mine), lay(k, &p, r, &other);
  mine.y_stride = other.y_stride = p.n + check_random(k) % 3;
  size_t bytes = (p.rows - 1) * mine.y_stride + p.n;
  mine.y = check_buffer(k, bytes, 1), other.y = check_buffer(k, bytes, 1);
  memcpy(mine.y, other.y, bytes);
  mine.other = other.other = check_buffer(k, bytes, 1);
  v->tile(&mine), r->tile(&other);
  bool good = check_same(k, mine.y, other.y, bytes);
  if (!good) check_message(k, "%zu x %zu, %zu taps of %zu", p.rows, p.n, p.taps, p.depth);
  return good;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const igemm_u8s8_kernel *v = variant;
  enum { DEPTH = 1024 };
  static _Alignas(64) int16_t x[DEPTH * IGEMM_U8S8_ROWS], w[DEPTH * COLUMNS_MOST];
  static const int32_t bias[COLUMNS_MOST];
  static const float scale[COLUMNS_MOST];
  static uint8_t y[IGEMM_U8S8_ROWS * COLUMNS_MOST];
  const void *at[IGEMM_U8S8_ROWS];
  size_t rows = v->rows[v->main], columns = (size_t)v->main * v->unit;
  for (size_t i = 0; i < rows; i++) at[i] = x + i * DEPTH;
  igemm_u8s8_tile t = {.x = at, .rows = rows, .taps = 1, .depth = DEPTH, .panel = w, .vectors = v->main};
  t.bias = bias, t.scale = scale, t.n = columns, t.y = y, t.y_stride = columns;
  v->tile(&t);
  *unit = "op";
  return 2.0 * DEPTH * (double)(rows * columns);
}

KERNEL_CHECK(igemm_u8s8) = {.family = "igemm_u8s8", .compare = compare, .bench = bench};
