// SPDX-License-Identifier: Apache-2.0
// The sweep, written once over the vectors of ../vec.h. A tile's sums stay in registers over its part of the depth: a
// row of the panel is loaded, then each pixel's channel is broadcast and multiplied with it. Rows and units are
// constants of each instance. The including file defines
//   UNITS_A_VECTOR  1; or 2, where a panel may end in half a vector
//   half, HALF_LOAD(p), HALF_STORE(p, v), HALF_SPLAT(f), HALF_ADD(a, b), HALF_FMA(a, b, c), HALF_CLAMP(v, low, high),
//   HALF_OF(vec)    that half vector
//   CLAMP(v, low, high)  v < low ? low : v, then v > high ? high : v
//   MOST, MAIN      units of the widest panel, of all panels but the last
//   ROWS            most rows, by units, from 0 on
//   INSTANCES(X)    X(units, rows) for each instance
// Read next: igemm_f32.h (contract).
#include <math.h>

#include "kernels/igemm_f32/igemm_f32.h"
#include "kernels/vec.h"

enum { UNIT = VECTOR / UNITS_A_VECTOR };

#define INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

// With 16 registers a broadcast must not be folded into its multiply-adds: the panel's row would stay in memory.
#if defined(__AVX2__) && !defined(__AVX512F__)
#define IN_REGISTER(v) __asm__("" : "+x"(v))
#else
#define IN_REGISTER(v) (void)0
#endif

// A tile's sums. `halved`: the panel ends in half a vector.
typedef struct shape {
  size_t rows, vectors, width;
  bool halved;
} shape;
typedef struct sums {
  vec v[8][IGEMM_F32_UNITS];
  half h[8];
} sums;

INLINE void load_sums(sums *a, shape p, bool zero, const float *from) {
  UNROLL for (size_t i = 0; i < p.rows; i++, from += p.width) {
    UNROLL for (size_t v = 0; v < p.vectors; v++) a->v[i][v] = zero ? vec_splat(0) : vec_load(from + v * VECTOR);
    if (p.halved) a->h[i] = zero ? HALF_SPLAT(0) : HALF_LOAD(from + p.vectors * VECTOR);
  }
}

INLINE void store_sums(const sums *a, shape p, float *to) {
  UNROLL for (size_t i = 0; i < p.rows; i++, to += p.width) {
    UNROLL for (size_t v = 0; v < p.vectors; v++) vec_store(to + v * VECTOR, a->v[i][v]);
    if (p.halved) HALF_STORE(to + p.vectors * VECTOR, a->h[i]);
  }
}

// One tap. x: behind the last channel of each row. One index runs for all rows; more unrolling would cost registers.
INLINE void multiply(sums *a, shape p, const float *const *x, const float *w, size_t depth) {
  for (ptrdiff_t k = -(ptrdiff_t)depth; k < 0; k++, w += p.width) {
    vec b[IGEMM_F32_UNITS];
    half last = HALF_SPLAT(0);
    UNROLL for (size_t v = 0; v < p.vectors; v++) b[v] = vec_load(w + v * VECTOR);
    if (p.halved) last = HALF_LOAD(w + p.vectors * VECTOR);
    UNROLL for (size_t i = 0; i < p.rows; i++) {
      vec y = vec_splat(x[i][k]);
      IN_REGISTER(y);
      UNROLL for (size_t v = 0; v < p.vectors; v++) a->v[i][v] = vec_fma(y, b[v], a->v[i][v]);
      if (p.halved) a->h[i] = HALF_FMA(HALF_OF(y), last, a->h[i]);
    }
  }
}

INLINE void multiply_taps(sums *a, shape p, const igemm_f32_sweep *s, const igemm_f32_tile *t) {
  const float *w = s->panel, *x[8];
  const size_t depth = s->depth, skip = s->channel + depth;
  for (size_t tap = 0; tap < s->tap_count; tap++, w += depth * p.width) {
    if (t->x) {
      x[0] = t->x + s->taps[tap] + skip;
      UNROLL for (size_t i = 1; i < p.rows; i++) x[i] = x[i - 1] + s->step;
    } else {
      const float *const *from = t->rows + (s->tap + tap) * p.rows;
      if (!from[0]) continue;
      UNROLL for (size_t i = 0; i < p.rows; i++) x[i] = from[i] + skip;
    }
    multiply(a, p, x, w, depth);
  }
}

// ---- behind the sums -----------------------------------------------------------------------------

// How rows are written from registers; read for each tile anew, or it would take registers from the sums. Limits, then
// `zero`: +0 makes a Relu of -0 what it should be, -0 changes nothing.
typedef struct ending {
  const igemm_f32_sweep *s;
  bool direct;
  const float *bias;
  float low, high, zero;
} ending;

static ending ending_of(const igemm_f32_sweep *s) {
  static const float nothing[IGEMM_F32_UNITS * UNIT] = {[0 ... IGEMM_F32_UNITS * UNIT - 1] = -0.0f};
  ending e = {.s = s, .bias = s->bias ? s->bias : nothing, .low = -INFINITY, .high = INFINITY, .zero = -0.0f};
  e.direct = s->last && s->n == s->width && s->act.kind <= ACTIVATION_CLIP;
  if (s->act.kind == ACTIVATION_RELU) e.low = e.zero = 0;
  if (s->act.kind == ACTIVATION_CLIP) e.low = s->act.a, e.high = s->act.b;
  return e;
}

INLINE void write_rows(const sums *a, shape p, const ending *e, const igemm_f32_tile *t) {
  const igemm_f32_sweep *s = e->s;
  float *y = s->y + t->place * s->y_stride;
  const float *residual = s->residual ? s->residual + t->place * s->residual_stride : NULL;
  const size_t end = p.vectors * VECTOR;
  vec low = vec_splat(e->low), high = vec_splat(e->high), zero = vec_splat(e->zero);
  UNROLL for (size_t i = 0; i < p.rows; i++, y += s->pixel_step * s->y_stride) {
    UNROLL for (size_t v = 0; v < p.vectors; v++) {
      vec r = vec_add(a->v[i][v], vec_load(e->bias + v * VECTOR));
      if (residual) r = vec_add(r, vec_load(residual + v * VECTOR));
      vec_store(y + v * VECTOR, vec_add(CLAMP(r, low, high), zero));
    }
    if (p.halved) {
      half r = HALF_ADD(a->h[i], HALF_LOAD(e->bias + end));
      if (residual) r = HALF_ADD(r, HALF_LOAD(residual + end));
      HALF_STORE(y + end, HALF_ADD(HALF_CLAMP(r, HALF_OF(low), HALF_OF(high)), HALF_OF(zero)));
    }
    if (residual) residual += s->pixel_step * s->residual_stride;
  }
}

// Where the columns do not fill the panel or the activation is more than limits: the tile lies in the L1 cache.
static __attribute__((noinline)) void finish(const igemm_f32_sweep *s, const igemm_f32_tile *t, float *tile) {
  float *y = s->y + t->place * s->y_stride;
  const float *residual = s->residual ? s->residual + t->place * s->residual_stride : NULL;
  for (size_t i = 0; i < t->count; i++)
    for (size_t j = 0; j < s->n; j += VECTOR) {
      lanes l = lanes_below(s->n - j < VECTOR ? (int)(s->n - j) : VECTOR);
      float *at = tile + i * s->width + j;
      vec r = vec_load_lanes(at, l, vec_splat(0));
      if (s->bias) r = vec_add(r, vec_load_lanes(s->bias + j, l, vec_splat(0)));
      if (residual)
        r = vec_add(r, vec_load_lanes(residual + i * s->pixel_step * s->residual_stride + j, l, vec_splat(0)));
      vec_store_lanes(at, l, r);
    }
  if (s->activate) s->activate(tile, tile, t->count * s->width, s->act.a, s->act.b);
  for (size_t i = 0; i < t->count; i++, tile += s->width, y += s->pixel_step * s->y_stride)
    for (size_t j = 0; j < s->n; j += VECTOR) {
      lanes l = lanes_below(s->n - j < VECTOR ? (int)(s->n - j) : VECTOR);
      vec_store_lanes(y + j, l, vec_load_lanes(tile + j, l, vec_splat(0)));
    }
}

// ---- instances -----------------------------------------------------------------------------------

// Tiles from `t` on as long as they have this many rows; returns the first that has not.
INLINE const igemm_f32_tile *run(const ending *e, const igemm_f32_tile *t, shape p) {
  const igemm_f32_sweep *s = e->s;
  const igemm_f32_tile *end = s->tiles + s->tile_count;
  do {
    sums a;
    float *between = s->sums + t->first * p.width;
    load_sums(&a, p, s->first, between);
    multiply_taps(&a, p, s, t);
    if (e->direct) {
      write_rows(&a, p, e, t);
      continue;
    }
    store_sums(&a, p, between);
    if (s->last) finish(s, t, between);
  } while (++t < end && t->count == p.rows);
  return t;
}

#define INSTANCE(units, rows)                                                                           \
  static const igemm_f32_tile *run_##units##x##rows(const ending *e, const igemm_f32_tile *t) {         \
    return run(e, t, (shape){rows, units / UNITS_A_VECTOR, units * UNIT, units % UNITS_A_VECTOR != 0}); \
  }
#define ROWS_1_TO_4(X, units) X(units, 1) X(units, 2) X(units, 3) X(units, 4)
#define ROWS_1_TO_6(X, units) ROWS_1_TO_4(X, units) X(units, 5) X(units, 6)
#define ROWS_1_TO_8(X, units) ROWS_1_TO_6(X, units) X(units, 7) X(units, 8)
#define PLACE(units, rows) [units][rows] = run_##units##x##rows,
INSTANCES(INSTANCE)

static void sweep(const igemm_f32_sweep *s) {
  typedef const igemm_f32_tile *run_fn(const ending *, const igemm_f32_tile *);
  static run_fn *const runs[MOST + 1][9] = {INSTANCES(PLACE)};
  const ending e = ending_of(s);
  for (const igemm_f32_tile *t = s->tiles, *end = t + s->tile_count; t < end;)
    t = runs[s->width / UNIT][t->count](&e, t);
}

KERNEL(igemm_f32) = {.unit = UNIT, .most = MOST, .main = MAIN, .rows = {ROWS}, .sweep = sweep};
