// SPDX-License-Identifier: Apache-2.0
// winograd_f32 in vectors of channels: a tile is transformed column by column, then row by row; what registers do not
// hold in between is on the stack. Sums are those of ref.c.
#include "kernels/loop.h"
#include "kernels/vec.h"
#include "kernels/winograd_f32/winograd_f32.h"

enum { PARTS = WINOGRAD_F32_PARTS, PIXELS = WINOGRAD_F32_PIXELS };

INLINE vec times(float f, vec v) { return vec_mul(vec_splat(f), v); }

// tile + 2 values: B^T d.
INLINE void forth(int tile, const vec *d, vec *to, int step) {
  if (tile == 2) {
    to[0] = vec_sub(d[0], d[2]), to[step] = vec_add(d[1], d[2]);
    to[2 * step] = vec_sub(d[2], d[1]), to[3 * step] = vec_sub(d[1], d[3]);
    return;
  }
  const float a = 0.75f, b = 1.5f, aa = a * a, bb = b * b;
  vec even_a = vec_sub(d[4], times(bb, d[2])), odd_a = times(a, vec_sub(d[3], times(bb, d[1])));
  vec even_b = vec_sub(d[4], times(aa, d[2])), odd_b = times(b, vec_sub(d[3], times(aa, d[1])));
  to[0] = vec_add(vec_sub(times(aa * bb, d[0]), times(aa + bb, d[2])), d[4]);
  to[5 * step] = vec_add(vec_sub(times(aa * bb, d[1]), times(aa + bb, d[3])), d[5]);
  to[step] = vec_add(even_a, odd_a), to[2 * step] = vec_sub(even_a, odd_a);
  to[3 * step] = vec_add(even_b, odd_b), to[4 * step] = vec_sub(even_b, odd_b);
}

// tile + 2 values become `tile`: A^T m.
INLINE void back(int tile, const vec *m, vec *to, int step) {
  if (tile == 2) {
    to[0] = vec_add(vec_add(m[0], m[1]), m[2]), to[step] = vec_sub(vec_sub(m[1], m[2]), m[3]);
    return;
  }
  const float a = 0.75f, b = 1.5f;
  vec sum_a = vec_add(m[1], m[2]), difference_a = vec_sub(m[1], m[2]);
  vec sum_b = vec_add(m[3], m[4]), difference_b = vec_sub(m[3], m[4]);
  to[0] = vec_add(vec_add(m[0], sum_a), sum_b);
  to[step] = vec_add(times(a, difference_a), times(b, difference_b));
  to[2 * step] = vec_add(times(a * a, sum_a), times(b * b, sum_b));
  to[3 * step] = vec_add(vec_add(times(a * a * a, difference_a), times(b * b * b, difference_b)), m[5]);
}

INLINE void input_vector(int tile, vec_part p, const float *const *pixels, size_t c, size_t channels, float *parts) {
  const int side = tile + 2;
  vec d[6], half[PARTS];
  UNROLL for (int j = 0; j < side; j++) {
    UNROLL for (int i = 0; i < side; i++) d[i] = vec_part_load(p, pixels[i * side + j] + c, 0);
    forth(tile, d, half + j, side);
  }
  UNROLL for (int i = 0; i < side; i++) {
    forth(tile, half + i * side, d, 1);
    UNROLL for (int j = 0; j < side; j++) vec_part_store(p, parts + (size_t)(i * side + j) * channels + c, 0, d[j]);
  }
}

INLINE void input(int tile, const float *const *pixels, size_t channels, float *parts) {
  size_t c = 0;
  for (; c + VECTOR <= channels; c += VECTOR)
    input_vector(tile, (vec_part){1, .whole = true}, pixels, c, channels, parts);
  if (c == channels) return;
  input_vector(tile, (vec_part){1, .chosen = lanes_below((int)(channels - c))}, pixels, c, channels, parts);
}

// Where the results of a tile go.
typedef struct target {
  const float *bias;
  const float *const *residual;
  const activation_limits *limits;
  float *const *y;
} target;

INLINE void output_vector(int tile, vec_part p, const float *parts, size_t c, size_t channels, const target *t) {
  const int side = tile + 2;
  const vec bias = vec_part_load(p, t->bias + c, 0), zero = vec_splat(t->limits->zero);
  const vec low = vec_splat(t->limits->low), high = vec_splat(t->limits->high);
  vec m[6], half[PARTS];
  UNROLL for (int j = 0; j < side; j++) {
    UNROLL for (int i = 0; i < side; i++) m[i] = vec_part_load(p, parts + (size_t)(i * side + j) * channels + c, 0);
    back(tile, m, half + j, side);
  }
  UNROLL for (int i = 0; i < tile; i++) {
    back(tile, half + i * side, m, 1);
    UNROLL for (int j = 0; j < tile; j++) {
      vec v = vec_add(m[j], bias);
      if (t->residual) v = vec_add(v, vec_part_load(p, t->residual[i * tile + j] + c, 0));
      vec_part_store(p, t->y[i * tile + j] + c, 0, vec_add(vec_limit(v, low, high), zero));
    }
  }
}

INLINE void output(int tile, const float *parts, size_t channels, const target *t) {
  size_t c = 0;
  for (; c + VECTOR <= channels; c += VECTOR) output_vector(tile, (vec_part){1, .whole = true}, parts, c, channels, t);
  if (c == channels) return;
  output_vector(tile, (vec_part){1, .chosen = lanes_below((int)(channels - c))}, parts, c, channels, t);
}

#define TRANSFORMS(tile)                                                                                          \
  static void input_##tile(const float *const *pixels, size_t channels, float *parts) {                           \
    input(tile, pixels, channels, parts);                                                                         \
  }                                                                                                               \
  static void output_##tile(const float *parts, size_t channels, const float *bias, const float *const *residual, \
                            const activation_limits *limits, float *const *y) {                                   \
    output(tile, parts, channels, &(target){bias, residual, limits, y});                                          \
  }
TRANSFORMS(2)
TRANSFORMS(4)

static bool below(const float *x, size_t n, float limit) {
  unsigned not_below = 0;
  for (size_t i = 0; i < n; i++) not_below |= !(__builtin_fabsf(x[i]) < limit);
  return !not_below;
}

KERNEL(winograd_f32) = {.of_2 = {input_2, output_2}, .of_4 = {input_4, output_4}, .below = below};
