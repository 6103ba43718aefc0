// SPDX-License-Identifier: Apache-2.0
// The fp32 sweep, written once over a vector type. The including file defines
//   MR, VECTORS (per panel row), LANES, vec, ZERO(), LOAD(p), STORE(p, v), BROADCAST(p), FMA(a, b, c),
//   tail, TAIL(n) (first n lanes, 0..LANES), LOAD_TAIL(p, t), STORE_TAIL(p, t, v)
// Few rows take several panels at once, or too few independent chains would wait for one another.

#define NR (VECTORS * LANES)
#include "kernels/gemm_f32/finish.inl"
#include "kernels/gemm_f32/fma.inl"

// How far ahead of its use a packed A is fetched: large weights come from far, and each element once per block.
#define AHEAD 64
// Multiply-adds in flight to hide their latency; panels side by side for `rows` to reach it.
#define CHAINS 8
#define PANELS(rows) ((rows)*VECTORS >= CHAINS ? 1 : (rows)*VECTORS * 2 >= CHAINS ? 2 : 4)

// rows x (panels * VECTORS) accumulators over the whole depth. Only the last vectors of a single panel
// may be partial: `vectors` are computed, of the last one `t`. All three counts are constants.
static inline __attribute__((always_inline)) void tile(const gemm_f32_sweep *s, size_t rows, size_t panels,
                                                       size_t vectors, bool partial, tail t, const float *b, float *c,
                                                       const char *ahead) {
  const size_t total = panels == 1 ? vectors : panels * VECTORS;
  const size_t stride = s->b_stride ? s->b_stride : NR;
  // From one panel to the next in floats.
  const size_t panel = s->b_stride ? NR : s->b_panel_bytes / sizeof(float);
  vec sum[MR][4 * VECTORS];
#pragma GCC unroll 16
  for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 16
    for (size_t v = 0; v < total; v++) {
      const float *from = c + i * s->c_stride + v * LANES;
      if (!s->accumulate) sum[i][v] = ZERO();
      else sum[i][v] = partial && v + 1 == total ? LOAD_TAIL(from, t) : LOAD(from);
    }
  const float *a = s->a;
#pragma GCC unroll 4
  for (size_t k = 0; k < s->k; k++, a += MR, b += stride, ahead += s->ahead_step) {
    __builtin_prefetch(a + AHEAD * MR);
    __builtin_prefetch(ahead, 0, 2);
    vec x[4 * VECTORS];
#pragma GCC unroll 16
    for (size_t v = 0; v < total; v++) {
      const float *from = b + v / VECTORS * panel + v % VECTORS * LANES;
      // A packed panel is padded; plain rows end where B ends.
      x[v] = partial && v + 1 == total ? LOAD_TAIL(from, t) : LOAD(from);
    }
#pragma GCC unroll 16
    for (size_t i = 0; i < rows; i++) {
      vec y = BROADCAST(a + i);
#pragma GCC unroll 16
      for (size_t v = 0; v < total; v++) sum[i][v] = FMA(y, x[v], sum[i][v]);
    }
  }
#pragma GCC unroll 16
  for (size_t i = 0; i < rows; i++)
#pragma GCC unroll 16
    for (size_t v = 0; v < total; v++) {
      float *to = c + i * s->c_stride + v * LANES;
      if (partial && v + 1 == total) STORE_TAIL(to, t, sum[i][v]);
      else STORE(to, sum[i][v]);
    }
}

static inline __attribute__((always_inline)) void sweep_rows(const gemm_f32_sweep *s, size_t rows) {
  const size_t together = PANELS(rows), panel = s->b_stride ? NR : s->b_panel_bytes / sizeof(float);
  const float *b = s->b;
  const char *ahead = s->ahead;
  float *c = s->c;
  size_t n = s->n;
  for (; together > 1 && n >= together * NR; n -= together * NR, b += together * panel, c += together * NR)
    tile(s, rows, together, VECTORS, false, TAIL(0), b, c, ahead), ahead += s->k * s->ahead_step;
  for (; n >= NR; n -= NR, b += panel, c += NR) {
    for (size_t i = 0; i < rows; i++) __builtin_prefetch(c + NR + i * s->c_stride, 1);
    tile(s, rows, 1, VECTORS, false, TAIL(0), b, c, ahead), ahead += s->k * s->ahead_step;
  }
  if (n > 3 * LANES) tile(s, rows, 1, 4, true, TAIL(n - 3 * LANES), b, c, ahead);
  else if (n > 2 * LANES) tile(s, rows, 1, 3, true, TAIL(n - 2 * LANES), b, c, ahead);
  else if (n > LANES) tile(s, rows, 1, 2, true, TAIL(n - LANES), b, c, ahead);
  else if (n > 0) tile(s, rows, 1, 1, true, TAIL(n), b, c, ahead);
}

#define SWEEP(rows) \
  static void sweep_##rows(const gemm_f32_sweep *s) { sweep_rows(s, rows); }
#define ROWS_1_TO_6(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define ROWS_7_TO_12(X) X(7) X(8) X(9) X(10) X(11) X(12)
#define SWEEP_NAME(rows) sweep_##rows,
ROWS_1_TO_6(SWEEP)
#if MR > 6
ROWS_7_TO_12(SWEEP)
#endif

// ---- few columns ---------------------------------------------------------------------------------
// Lanes run along the rows of a panel of A; along those of B most would be empty.
#define FEW 4
#define PARTS ((MR + LANES - 1) / LANES)

static inline __attribute__((always_inline)) void columns(const gemm_f32_sweep *s, size_t panels, size_t n,
                                                          const char *a, float *c, size_t m) {
  const size_t stride = s->b_stride ? s->b_stride : NR, last = MR - (PARTS - 1) * LANES;
  float lane[CHAINS * PARTS * LANES + FEW * PARTS * LANES];  // [panel][column][row]
  vec sum[CHAINS][FEW][PARTS];
  for (size_t j = 0; s->accumulate && j < n; j++)
    for (size_t i = 0; i < m; i++) lane[(i / MR * n + j) * PARTS * LANES + i % MR] = c[i * s->c_stride + j];
#pragma GCC unroll 16
  for (size_t p = 0; p < panels; p++)
#pragma GCC unroll 4
    for (size_t j = 0; j < n; j++)
#pragma GCC unroll 4
      for (size_t q = 0; q < PARTS; q++)
        sum[p][j][q] = s->accumulate ? LOAD(lane + ((p * n + j) * PARTS + q) * LANES) : ZERO();
  const float *b = s->b;
  for (size_t k = 0; k < s->k; k++, a += MR * sizeof(float), b += stride) {
    vec y[FEW];
#pragma GCC unroll 4
    for (size_t j = 0; j < n; j++) y[j] = BROADCAST(b + j);
#pragma GCC unroll 16
    for (size_t p = 0; p < panels; p++)
#pragma GCC unroll 4
      for (size_t q = 0; q < PARTS; q++) {
        const float *from = (const float *)(a + p * s->a_panel_bytes) + q * LANES;
        vec x = q + 1 < PARTS || last == LANES ? LOAD(from) : LOAD_TAIL(from, TAIL(last));
#pragma GCC unroll 4
        for (size_t j = 0; j < n; j++) sum[p][j][q] = FMA(x, y[j], sum[p][j][q]);
      }
  }
#pragma GCC unroll 16
  for (size_t p = 0; p < panels; p++)
#pragma GCC unroll 4
    for (size_t j = 0; j < n; j++)
#pragma GCC unroll 4
      for (size_t q = 0; q < PARTS; q++) STORE(lane + ((p * n + j) * PARTS + q) * LANES, sum[p][j][q]);
  for (size_t j = 0; j < n; j++)
    for (size_t i = 0; i < m; i++) c[i * s->c_stride + j] = lane[(i / MR * n + j) * PARTS * LANES + i % MR];
}

// As many panels side by side as it takes for CHAINS, then the others.
static inline __attribute__((always_inline)) void sweep_columns(const gemm_f32_sweep *s, size_t n) {
  const size_t together = (CHAINS + n - 1) / n;
  const char *a = s->a;
  float *c = s->c;
  size_t m = s->m;
  for (; m > (together - 1) * MR; a += together * s->a_panel_bytes, c += together * MR * s->c_stride) {
    size_t rows = m < together * MR ? m : together * MR;
    columns(s, together, n, a, c, rows);
    m -= rows;
  }
  for (; m > 0; a += s->a_panel_bytes, c += MR * s->c_stride) {
    size_t rows = m < MR ? m : MR;
    columns(s, 1, n, a, c, rows);
    m -= rows;
  }
}

static void sweep_few(const gemm_f32_sweep *s) {
  if (s->n == 1) sweep_columns(s, 1);
  else if (s->n == 2) sweep_columns(s, 2);
  else if (s->n == 3) sweep_columns(s, 3);
  else if (s->n == 4) sweep_columns(s, 4);
}

static void sweep(const gemm_f32_sweep *s) {
  static void (*const by_rows[])(const gemm_f32_sweep *) = {
    ROWS_1_TO_6(SWEEP_NAME)
#if MR > 6
        ROWS_7_TO_12(SWEEP_NAME)
#endif
  };
  if (s->m > MR) sweep_few(s);
  else if (s->m) by_rows[s->m - 1](s);
}

KERNEL(gemm_f32) = {.mr = MR,
                    .nr = NR,
                    .k_unit = 1,
                    .few = FEW,
                    .lanes = LANES,
                    .reads_plain_b = true,
                    .pack_a = pack_a,
                    .pack_b = pack_b,
                    .sweep = sweep,
                    .finish = finish};
