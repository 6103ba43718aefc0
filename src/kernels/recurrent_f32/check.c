// SPDX-License-Identifier: Apache-2.0
// A row times a matrix with tiles carried along, each variant on its own packed form; the cells, with all they may have
// besides.
#include <math.h>
#include <string.h>

#include "kernels/recurrent_f32/recurrent_f32.h"

// Random sizes and weights, the same for every variant.
typedef struct row_case {
  size_t depth, columns, x_depth, x_columns, live;
  const float *r, *w, *h, *x, *bias;  // weights [columns][depth], x [live][x_depth]
  bool backwards;
} row_case;

static void run_row(kernel_check *k, const recurrent_f32_kernel *v, const row_case *c, float *y, float *z) {
  float *r = check_buffer(k, recurrent_f32_packed(v, v->panel, c->depth, c->columns) * sizeof(float), 4);
  float *w = check_buffer(k, recurrent_f32_packed(v, v->tile_columns, c->x_depth, c->x_columns) * sizeof(float), 4);
  float *x = check_buffer(k, c->x_depth * v->rows * sizeof(float), 4);
  if (!r || !w || !x) return;
  recurrent_f32_pack(v, v->panel, c->r, c->depth, c->columns, r);
  recurrent_f32_pack(v, v->tile_columns, c->w, c->x_depth, c->x_columns, w);
  for (size_t d = 0; d < c->x_depth; d++)
    for (size_t i = 0; i < v->rows; i++) x[d * v->rows + i] = i < c->live ? c->x[i * c->x_depth + d] : NAN;
  recurrent_f32_ahead ahead = {.x = x,
                               .w = w,
                               .bias = c->bias,
                               .z = z,
                               .live = c->live,
                               .columns = c->x_columns,
                               .depth = c->x_depth,
                               .tiles = recurrent_f32_tiles(v, c->x_columns)};
  recurrent_f32_row(v, r, c->depth, c->columns, c->h, y, c->backwards, &ahead);
  recurrent_f32_finish(v, &ahead);
}

// What sums of products may differ by.
static double rounding(const float *a, size_t a_count, const float *b, size_t b_count, size_t depth) {
  double most_a = 0, most_b = 0;
  for (size_t i = 0; i < a_count; i++) most_a = fmax(most_a, fabs((double)a[i]));
  for (size_t i = 0; i < b_count; i++) most_b = fmax(most_b, fabs((double)b[i]));
  return 0x1p-22 * ((double)depth * most_a * most_b + 1);
}

static bool compare_row(kernel_check *k, const recurrent_f32_kernel *v, const recurrent_f32_kernel *reference) {
  row_case c = {check_size(k, 0, 80),
                check_size(k, 1, 300),
                check_size(k, 0, 80),
                check_size(k, 1, 100),
                1 + check_random(k) % (v->rows < reference->rows ? v->rows : reference->rows),
                .backwards = check_coin(k, 2)};
  c.r = check_floats(k, c.columns * c.depth, false), c.w = check_floats(k, c.x_columns * c.x_depth, false);
  c.h = check_floats(k, c.depth, false), c.x = check_floats(k, c.live * c.x_depth, false);
  c.bias = check_coin(k, 2) ? check_floats(k, c.x_columns, false) : NULL;
  const float *y = check_floats(k, c.columns, false);
  float *got = check_buffer(k, c.columns * sizeof(float), 4), *want = check_buffer(k, c.columns * sizeof(float), 4);
  float *z = check_buffer(k, c.live * c.x_columns * sizeof(float), 4);
  float *wanted = check_buffer(k, c.live * c.x_columns * sizeof(float), 4);
  if (!c.r || !c.w || !c.h || !c.x || !y || !got || !want || !z || !wanted) return true;
  memcpy(got, y, c.columns * sizeof(float)), memcpy(want, y, c.columns * sizeof(float));
  run_row(k, v, &c, got, z), run_row(k, reference, &c, want, wanted);
  double y_error = rounding(c.h, c.depth, c.r, c.columns * c.depth, c.depth);
  double z_error = rounding(c.x, c.live * c.x_depth, c.w, c.x_columns * c.x_depth, c.x_depth);
  if (check_close(k, got, want, c.columns, y_error, 1e-6) &&
      check_close(k, z, wanted, c.live * c.x_columns, z_error, 1e-6))
    return true;
  check_message(k, "row of %zu x %zu, %zu rows of %zu x %zu", c.depth, c.columns, c.live, c.x_depth, c.x_columns);
  return false;
}

static bool compare_lstm(kernel_check *k, const recurrent_f32_kernel *v, const recurrent_f32_kernel *reference) {
  size_t n = check_size(k, 1, 150);
  recurrent_f32_lstm s = {.gates = check_floats(k, 4 * n, check_coin(k, 4)),
                          .n = n,
                          .couple = check_coin(k, 3),
                          .peepholes = check_coin(k, 2) ? check_floats(k, 3 * n, false) : NULL,
                          .clip = check_coin(k, 2) ? 0.5f : INFINITY};
  const float *state = check_floats(k, n, false);
  float *h[2], *c[2];
  for (int i = 0; i < 2; i++) {
    h[i] = check_buffer(k, n * sizeof(float), 4), c[i] = check_buffer(k, n * sizeof(float), 4);
    if (!h[i] || !c[i] || !state || !s.gates) return true;
    memcpy(c[i], state, n * sizeof(float));
    s.h = h[i], s.c = c[i];
    (i ? reference : v)->lstm(&s);
  }
  if (check_close(k, c[0], c[1], n, 1e-6, 1e-6) && check_close(k, h[0], h[1], n, 1e-6, 1e-6)) return true;
  check_message(k, "lstm of %zu%s%s, clip %g", n, s.peepholes ? ", peepholes" : "", s.couple ? ", coupled" : "",
                (double)s.clip);
  return false;
}

static bool compare_gru(kernel_check *k, const recurrent_f32_kernel *v, const recurrent_f32_kernel *reference) {
  size_t n = check_size(k, 1, 150);
  recurrent_f32_gru s = {.gates = check_floats(k, 3 * n, check_coin(k, 4)),
                         .n = n,
                         .product = check_coin(k, 2) ? check_floats(k, n, false) : NULL,
                         .clip = check_coin(k, 2) ? 0.5f : INFINITY};
  const float *state = check_floats(k, n, false);
  float *h[2];
  for (int i = 0; i < 2; i++) {
    h[i] = check_buffer(k, n * sizeof(float), 4);
    if (!h[i] || !state || !s.gates) return true;
    memcpy(h[i], state, n * sizeof(float));
    s.h = h[i];
    (i ? reference : v)->gru(&s);
  }
  if (check_close(k, h[0], h[1], n, 1e-6, 1e-6)) return true;
  check_message(k, "gru of %zu%s, clip %g", n, s.product ? ", reset after the product" : "", (double)s.clip);
  return false;
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  switch (check_random(k) % 3) {
    case 0:
      return compare_row(k, variant, reference);
    case 1:
      return compare_lstm(k, variant, reference);
    default:
      return compare_gru(k, variant, reference);
  }
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const recurrent_f32_kernel *v = variant;
  enum { HIDDEN = 128, WIDE = 4 * HIDDEN };
  float *r = check_buffer(k, recurrent_f32_packed(v, v->panel, HIDDEN, WIDE) * sizeof(float), 64);
  float *w = check_buffer(k, recurrent_f32_packed(v, v->tile_columns, HIDDEN, WIDE) * sizeof(float), 64);
  float *x = check_floats(k, HIDDEN * v->rows, false), *z = check_buffer(k, v->rows * WIDE * sizeof(float), 64);
  float *h = check_floats(k, HIDDEN, false), *y = check_buffer(k, WIDE * sizeof(float), 64);
  recurrent_f32_ahead ahead = {x, w, NULL, z, v->rows, WIDE, HIDDEN, 0, recurrent_f32_tiles(v, WIDE) / v->rows};
  recurrent_f32_row(v, r, HIDDEN, WIDE, h, y, false, &ahead);
  *unit = "multiply-adds of a row of 128 x 512 and as many beside it";
  return 2.0 * HIDDEN * WIDE;
}

KERNEL_CHECK(recurrent_f32) = {.family = "recurrent_f32", .compare = compare, .bench = bench};
