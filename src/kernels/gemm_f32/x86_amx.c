// SPDX-License-Identifier: Apache-2.0
// AMX: fp32 products from bf16 tiles. An operand is split into planes, x = x0 + x1 + x2, each the
// rounding to bf16 of what the ones before left over (8 bits a plane: three hold all 24 of a float).
// The product keeps the pairs whose weight matters:
//   3 planes: x0y0 x0y1 x1y0 x0y2 x1y1 x2y0, below the error of an fp32 chain;
//   2 planes: x0y0 x0y1 x1y0, about 2^-17;   1 plane: x0y0, bf16.
// Tiles sum in fp32 in an order of their own, the same for every row and column.
//
// Panels: a head of 64 bytes with one bit per row or column (see `unfit`), then per 32 of the depth and
// per plane two tiles: for A 16 rows x 32, for B 16 pairs of the depth x 16 columns x 2.
//
// Tiles know neither subnormals nor values that are not finite once split, so rows of A and columns of B
// that hold Inf, NaN or nothing but tiny numbers are marked while packing, and what they touch is computed
// again by fused multiply-adds from the planes, which give the fp32 value back.
#include <immintrin.h>
#include <string.h>

#include "kernels/gemm_f32/gemm_f32.h"

#ifdef SDX_AMX_EMULATE
#include "kernels/gemm_f32/amx_emulation.h"
#endif

enum { MR = 32, NR = 32, DEPTH = 32, HEAD = 64, TILE = 1024 };
#include "kernels/gemm_f32/finish.inl"

// ---- splitting -----------------------------------------------------------------------------------

// Largest magnitudes that tiles cannot serve: not finite or so large (2^127) that a sum of planes may
// overflow on the way, or everything below 2^-50, where the lower
// planes of a product may fall under the smallest normal number.
static inline __mmask16 unfit(__m512i largest) {
  const __m512i tiny = _mm512_set1_epi32(0x26800000), huge = _mm512_set1_epi32(0x7f000000);
  __mmask16 small = _mm512_cmplt_epu32_mask(largest, tiny) & _mm512_test_epi32_mask(largest, largest);
  return small | _mm512_cmpge_epu32_mask(largest, huge);
}

static inline __m512i magnitude(__m512 x) {
  return _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(0x7fffffff));
}

// The first plane must not round up to infinity, so it is taken of min(|x|, largest bf16). An Inf or NaN
// then shows in the second plane; a single plane has to keep it.
static inline __m512 bounded(__m512 x, unsigned planes) {
  const __m512 largest = _mm512_castsi512_ps(_mm512_set1_epi32(0x7f7f0000));
  enum { SMALLER_MAGNITUDE = 2, NOT_FINITE = 0x99 };
  if (planes > 1) return _mm512_range_ps(x, largest, SMALLER_MAGNITUDE);
  return _mm512_mask_range_ps(x, _knot_mask16(_mm512_fpclass_ps_mask(x, NOT_FINITE)), x, largest, SMALLER_MAGNITUDE);
}

// Two vectors as bf16: x in the lower half, y in the upper.
static inline __m512i to_bf16(__m512 x, __m512 y) { return (__m512i)_mm512_cvtne2ps_pbh(y, x); }

static inline __m512 widen(__m256i half) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16));
}

// 32 of the depth of one row of A: one line of a tile per plane.
static inline void split_row(char *to, __m512 x, __m512 y, unsigned planes) {
  __m512i h = to_bf16(bounded(x, planes), bounded(y, planes));
  for (unsigned p = 0;; h = to_bf16(x, y)) {
    _mm512_store_si512(to + p * 2 * TILE, h);
    if (++p == planes) return;
    x = _mm512_sub_ps(x, widen(_mm512_castsi512_si256(h)));
    y = _mm512_sub_ps(y, widen(_mm512_extracti64x4_epi64(h, 1)));
  }
}

// Two of the depth of 16 columns of B, interleaved: one line of a tile per plane.
static inline void split_pair(char *to, __m512 x, __m512 y, unsigned planes) {
  const __m512i interleave = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22,
                                              6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  __m512i h = to_bf16(bounded(x, planes), bounded(y, planes));
  for (unsigned p = 0;; h = to_bf16(x, y)) {
    h = _mm512_permutexvar_epi16(interleave, h);
    _mm512_store_si512(to + p * 2 * TILE, h);
    if (++p == planes) return;
    x = _mm512_sub_ps(x, _mm512_castsi512_ps(_mm512_slli_epi32(h, 16)));
    y = _mm512_sub_ps(y, _mm512_castsi512_ps(_mm512_and_si512(h, _mm512_set1_epi32((int)0xffff0000))));
  }
}

// Up to 16 elements at a distance; the others are zero.
static inline __m512 load_strided(const float *from, size_t stride, size_t count) {
  if (stride == 1) return _mm512_maskz_loadu_ps((__mmask16)(count < 16 ? (1u << count) - 1 : 0xffff), from);
  float x[16] = {0};
  for (size_t i = 0; i < count && i < 16; i++) x[i] = from[i * stride];
  return _mm512_loadu_ps(x);
}

static inline __attribute__((always_inline)) void split_a(void *panel, const float *a, size_t row_stride,
                                                          size_t k_stride, size_t m, size_t kc, unsigned planes) {
  uint32_t marks = 0;
  const size_t chunk = planes * 2 * TILE;
  for (size_t i = 0; i < MR; i++) {
    char *to = (char *)panel + HEAD + i / 16 * TILE + i % 16 * 64;
    __m512i largest = _mm512_setzero_si512();
    for (size_t k = 0; k < kc; k += DEPTH, to += chunk) {
      size_t left = i < m ? kc - k : 0;
      const float *from = left ? a + i * row_stride + k * k_stride : a;
      __m512 x = load_strided(from, k_stride, left);
      __m512 y = left > 16 ? load_strided(from + 16 * k_stride, k_stride, left - 16) : _mm512_setzero_ps();
      largest = _mm512_max_epu32(largest, _mm512_max_epu32(magnitude(x), magnitude(y)));
      split_row(to, x, y, planes);
    }
    marks |= (uint32_t)(unfit(_mm512_set1_epi32((int)_mm512_reduce_max_epu32(largest))) & 1) << i;
  }
  memcpy(panel, &marks, sizeof marks);
}

static inline __attribute__((always_inline)) void split_b(void *panel, const float *b, size_t k_stride,
                                                          size_t column_stride, size_t kc, size_t n, unsigned planes) {
  uint32_t marks = 0;
  const size_t chunk = planes * 2 * TILE;
  for (size_t j = 0; j < NR; j += 16) {
    size_t columns = n > j ? n - j : 0;
    __m512i largest = _mm512_setzero_si512();
    for (size_t k = 0; k < (kc + DEPTH - 1) / DEPTH * DEPTH; k += 2) {
      char *to = (char *)panel + HEAD + k / DEPTH * chunk + j / 16 * TILE + k % DEPTH / 2 * 64;
      const float *from = columns && k < kc ? b + k * k_stride + j * column_stride : b;
      __m512 x = load_strided(from, column_stride, k < kc ? columns : 0);
      __m512 y = k + 1 < kc && columns ? load_strided(from + k_stride, column_stride, columns) : _mm512_setzero_ps();
      largest = _mm512_max_epu32(largest, _mm512_max_epu32(magnitude(x), magnitude(y)));
      split_pair(to, x, y, planes);
    }
    marks |= (uint32_t)unfit(largest) << j;
  }
  memcpy(panel, &marks, sizeof marks);
}

// The count of planes as a constant.
#define BY_PLANES(call) \
  switch (planes) {     \
    case 3:             \
      call(3);          \
      break;            \
    case 2:             \
      call(2);          \
      break;            \
    default:            \
      call(1);          \
      break;            \
  }

static void split_panel_a(void *panel, const float *a, size_t row_stride, size_t k_stride, size_t m, size_t kc,
                          unsigned planes) {
#define CALL(count) split_a(panel, a, row_stride, k_stride, m, kc, count)
  BY_PLANES(CALL)
#undef CALL
}

static void split_panel_b(void *panel, const float *b, size_t k_stride, size_t column_stride, size_t kc, size_t n,
                          unsigned planes) {
#define CALL(count) split_b(panel, b, k_stride, column_stride, kc, n, count)
  BY_PLANES(CALL)
#undef CALL
}

// ---- what tiles cannot do ------------------------------------------------------------------------

// The float of a split value. If it is not finite the second plane says so and the third means nothing.
// Two planes of a value next to the largest float may add up to more than that.
static inline __m512 joined(const __m512 *plane, unsigned planes) {
  if (planes == 1) return plane[0];
  const __m512 largest = _mm512_castsi512_ps(_mm512_set1_epi32(0x7f7fffff));
  __mmask16 finite = _knot_mask16(_mm512_fpclass_ps_mask(plane[1], 0x99));
  __m512 rest = planes > 2 ? _mm512_mask_add_ps(plane[1], finite, plane[1], plane[2]) : plane[1];
  __m512 x = _mm512_add_ps(plane[0], rest);
  return _mm512_mask_range_ps(x, finite, x, largest, 2);
}

// A value of row i of a panel of A at depth k, in all lanes.
static inline __m512 value_of_a(const char *panel, size_t i, size_t k, unsigned planes) {
  __m512 plane[3] = {0};
  const char *from = panel + HEAD + k / DEPTH * planes * 2 * TILE + i / 16 * TILE + i % 16 * 64 + k % DEPTH * 2;
  for (unsigned p = 0; p < planes; p++) {
    uint16_t h;
    memcpy(&h, from + p * 2 * TILE, sizeof h);
    plane[p] = _mm512_castsi512_ps(_mm512_set1_epi32((int)((uint32_t)h << 16)));
  }
  return joined(plane, planes);
}

// Row k of a panel of B, 16 columns from j.
static inline __m512 values_of_b(const char *panel, size_t j, size_t k, unsigned planes) {
  __m512 plane[3] = {0};
  const char *from = panel + HEAD + k / DEPTH * planes * 2 * TILE + j / 16 * TILE + k % DEPTH / 2 * 64;
  for (unsigned p = 0; p < planes; p++) {
    __m512i pair = _mm512_load_si512(from + p * 2 * TILE);
    plane[p] = _mm512_castsi512_ps(k % 2 ? _mm512_and_si512(pair, _mm512_set1_epi32((int)0xffff0000))
                                         : _mm512_slli_epi32(pair, 16));
  }
  return joined(plane, planes);
}

static inline uint32_t marks_of(const char *panel) {
  uint32_t marks;
  memcpy(&marks, panel, sizeof marks);
  return marks;
}

static inline __mmask16 lanes(size_t n, size_t from) {
  return (__mmask16)(n >= from + 16 ? 0xffff : n > from ? (1u << (n - from)) - 1 : 0);
}

// Chains of multiply-adds for the marked rows and columns, into `chains` [MR][NR].
static __attribute__((noinline)) void compute_marked(const gemm_f32_sweep *s, const char *b, const float *c, size_t n,
                                                     float *chains) {
  uint32_t rows = marks_of(s->a), columns = marks_of(b);
  for (size_t i = 0; i < s->m; i++)
    for (size_t j = 0; j < n; j += 16) {
      if (!(rows >> i & 1) && !(columns >> j & 0xffff)) continue;
      __m512 sum = s->accumulate ? _mm512_maskz_loadu_ps(lanes(n, j), c + i * s->c_stride + j) : _mm512_setzero_ps();
      for (size_t k = 0; k < s->k; k++)
        sum = _mm512_fmadd_ps(value_of_a(s->a, i, k, s->planes), values_of_b(b, j, k, s->planes), sum);
      _mm512_storeu_ps(chains + i * NR + j, sum);
    }
}

static void store_marked(const gemm_f32_sweep *s, const char *b, float *c, size_t n, const float *chains) {
  uint32_t rows = marks_of(s->a), columns = marks_of(b);
  for (size_t i = 0; i < s->m; i++)
    for (size_t j = 0; j < n; j += 16) {
      __mmask16 marked = lanes(n, j) & (__mmask16)(rows >> i & 1 ? 0xffff : columns >> j);
      _mm512_mask_storeu_ps(c + i * s->c_stride + j, marked, _mm512_loadu_ps(chains + i * NR + j));
    }
}

// ---- tiles ---------------------------------------------------------------------------------------

// A finished 32 x 32 sum on its way to C.
typedef struct pending {
  const float *sums;  // NULL: nothing
  float *c;
  size_t m, n;
} pending;

// Rows of C may lie a multiple of 4 KB apart, where tile stores would fight for one set of the cache:
// tiles go to a dense buffer, and from there to C while the next tiles are being multiplied.
static inline void flush(const gemm_f32_sweep *s, pending *p) {
  if (!p->sums) return;
  __mmask16 left = lanes(p->n, 0), right = lanes(p->n, 16);
  for (size_t i = 0; i < p->m; i++) {
    float *c = p->c + i * s->c_stride;
    __m512 x = _mm512_load_ps(p->sums + i * NR), y = _mm512_load_ps(p->sums + i * NR + 16);
    if (s->accumulate) {
      x = _mm512_add_ps(x, _mm512_maskz_loadu_ps(left, c));
      y = _mm512_add_ps(y, _mm512_maskz_loadu_ps(right, c + 16));
    }
    _mm512_mask_storeu_ps(c, left, x);
    _mm512_mask_storeu_ps(c + 16, right, y);
  }
  p->sums = NULL;
}

#define LOAD_A(p)                       \
  _tile_loadd(4, a + (p)*2 * TILE, 64); \
  _tile_loadd(5, a + (p)*2 * TILE + TILE, 64)
#define LOAD_B(p)                       \
  _tile_loadd(6, b + (p)*2 * TILE, 64); \
  _tile_loadd(7, b + (p)*2 * TILE + TILE, 64)
#define MULTIPLY()         \
  _tile_dpbf16ps(0, 4, 6); \
  _tile_dpbf16ps(1, 4, 7); \
  _tile_dpbf16ps(2, 5, 6); \
  _tile_dpbf16ps(3, 5, 7)

// B comes from the L2 cache: lines [from, to) of the next 32 of the depth are asked for while the tile
// unit is busy with this one.
static inline void prefetch(const char *next, size_t from, size_t to) {
  for (size_t i = from; i < to; i++) __builtin_prefetch(next + i * 64);
}

// One step of 32 in depth. Each product of planes reuses one operand of the one before.
static inline __attribute__((always_inline)) void step(const char *a, const char *b, unsigned planes) {
  const char *next = b + planes * 2 * TILE;
  if (planes == 3) {
    LOAD_A(2);
    LOAD_B(0);
    MULTIPLY();
    prefetch(next, 0, 16);
    LOAD_A(1);
    MULTIPLY();
    prefetch(next, 16, 32);
    LOAD_B(1);
    MULTIPLY();
    prefetch(next, 32, 48);
    LOAD_A(0);
    MULTIPLY();
    prefetch(next, 48, 64);
    LOAD_B(2);
    MULTIPLY();
    prefetch(next, 64, 80);
    LOAD_B(0);
    MULTIPLY();
    prefetch(next, 80, 96);
  } else if (planes == 2) {
    LOAD_A(1);
    LOAD_B(0);
    MULTIPLY();
    prefetch(next, 0, 22);
    LOAD_A(0);
    MULTIPLY();
    prefetch(next, 22, 44);
    LOAD_B(1);
    MULTIPLY();
    prefetch(next, 44, 64);
  } else {
    LOAD_A(0);
    LOAD_B(0);
    MULTIPLY();
    prefetch(next, 0, 32);
  }
}

static inline __attribute__((always_inline)) void sweep_planes(const gemm_f32_sweep *s, unsigned planes) {
  _Alignas(64) float sums[2][MR * NR], chains[MR * NR];
  const size_t chunk = planes * 2 * TILE, steps = (s->k + DEPTH - 1) / DEPTH;
  pending last = {0};
  const char *panel = s->b;
  unsigned side = 0;
  for (size_t j = 0; j < s->n; j += NR, panel += s->b_panel_bytes, side ^= 1) {
    size_t n = s->n - j < NR ? s->n - j : NR;
    bool marked = marks_of(s->a) | marks_of(panel);
    if (marked) compute_marked(s, panel, s->c + j, n, chains);
    const char *a = (const char *)s->a + HEAD, *b = panel + HEAD;
    // C is touched after the next panel's first step: time enough to come from the L3 cache.
    for (size_t i = 0; i < s->m; i++) {
      __builtin_prefetch(s->c + j + i * s->c_stride, 1);
      __builtin_prefetch(s->c + j + i * s->c_stride + n - 1, 1);
    }
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (size_t k = 0; k < steps; k++, a += chunk, b += chunk) {
      step(a, b, planes);
      if (k == 0) flush(s, &last);
    }
    flush(s, &last);  // where there was no step
    float *to = sums[side];
    _tile_stored(0, to, NR * sizeof *to);
    _tile_stored(1, to + 16, NR * sizeof *to);
    _tile_stored(2, to + 16 * NR, NR * sizeof *to);
    _tile_stored(3, to + 16 * NR + 16, NR * sizeof *to);
    last = (pending){to, s->c + j, s->m, n};
    if (marked) {
      flush(s, &last);
      store_marked(s, panel, s->c + j, n, chains);
    }
  }
  flush(s, &last);
}

static void sweep(const gemm_f32_sweep *s) {
  unsigned planes = s->planes;
#define CALL(count) sweep_planes(s, count)
  BY_PLANES(CALL)
#undef CALL
}

// ---- tile configuration --------------------------------------------------------------------------

// gcc 12 declares only 8 of the 64 bytes as read by the instruction and may drop the stores of the
// others; behind the barrier it has to assume that all are read.
static inline void load_config(const void *config) {
  __asm__ volatile("" : "+r"(config) : : "memory");
  _tile_loadconfig(config);
}

typedef struct tile_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_config;
_Static_assert(sizeof(tile_config) == 64, "the layout is the processor's");

// The configuration belongs to the thread, and other libraries set it once and rely on it.
static void enter(void *state) {
  _Alignas(64) tile_config config = {.palette = 1};
  for (int i = 0; i < 8; i++) {
    config.row_bytes[i] = 64;
    config.rows[i] = 16;
  }
  _tile_storeconfig(state);
  load_config(&config);
}

static void leave(const void *state) { load_config(state); }

KERNEL(gemm_f32) = {.mr = MR,
                    .nr = NR,
                    .k_unit = DEPTH,
                    .head = HEAD,
                    .split = true,
                    .pack_a = split_panel_a,
                    .pack_b = split_panel_b,
                    .sweep = sweep,
                    .finish = finish,
                    .enter = enter,
                    .leave = leave};
