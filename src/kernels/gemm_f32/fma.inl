// SPDX-License-Identifier: Apache-2.0
// Packing of plain fp32 panels, [k][MR] and [k][NR], as loops that the compiler vectorises for the tier
// of the including file, which defines MR and NR before.

typedef float four __attribute__((vector_size(16), aligned(4), may_alias));
#if __has_builtin(__builtin_shufflevector)
#define FOUR(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else  // gcc 11 has the operation under its older name
typedef int places __attribute__((vector_size(16)));
#define FOUR(a, b, ...) __builtin_shuffle(a, b, (places){__VA_ARGS__})
#endif

// Four rows of four numbers into a panel of `width`: a 4 x 4 transposition in registers.
static inline void pack_4x4(float *panel, size_t width, const float *from, size_t row_stride) {
  four x[4];
  for (int i = 0; i < 4; i++) x[i] = *(const four *)(from + (size_t)i * row_stride);
  four low01 = FOUR(x[0], x[1], 0, 4, 1, 5), high01 = FOUR(x[0], x[1], 2, 6, 3, 7);
  four low23 = FOUR(x[2], x[3], 0, 4, 1, 5), high23 = FOUR(x[2], x[3], 2, 6, 3, 7);
  *(four *)(panel + 0 * width) = FOUR(low01, low23, 0, 1, 4, 5);
  *(four *)(panel + 1 * width) = FOUR(low01, low23, 2, 3, 6, 7);
  *(four *)(panel + 2 * width) = FOUR(high01, high23, 0, 1, 4, 5);
  *(four *)(panel + 3 * width) = FOUR(high01, high23, 2, 3, 6, 7);
}

static void pack_a(void *panel, const float *a, size_t row_stride, size_t k_stride, size_t m, size_t kc,
                   unsigned planes) {
  float *p = panel;
  size_t k = 0;
  if (row_stride == 1) {
    for (; k < kc; k++)
      for (size_t i = 0; i < m; i++) p[k * MR + i] = a[k * k_stride + i];
  } else if (k_stride == 1 && m >= 4) {
    // A cache line of each row is used up before the next one: rows whose distance is a multiple of
    // 4 KB would push one another out of the cache. The last four rows may overlap the ones before.
    for (; k + 16 <= kc; k += 16)
      for (size_t done = 0; done < m; done += 4) {
        size_t i = done + 4 <= m ? done : m - 4;
        for (size_t q = 0; q < 16; q += 4) pack_4x4(p + (k + q) * MR + i, MR, a + i * row_stride + k + q, row_stride);
      }
  }
  for (size_t i = 0; i < m; i++)
    for (size_t r = k; r < kc; r++) p[r * MR + i] = a[i * row_stride + r * k_stride];
}

static void pack_b(void *panel, const float *b, size_t k_stride, size_t column_stride, size_t kc, size_t n,
                   unsigned planes) {
  float *p = panel;
  if (column_stride == 1 && n == NR) {
    for (size_t k = 0; k < kc; k++)
      for (size_t j = 0; j < NR; j++) p[k * NR + j] = b[k * k_stride + j];
    return;
  }
  size_t k = 0;
  if (k_stride == 1 && n >= 4)  // as in pack_a
    for (size_t step; k + 4 <= kc; k += step) {
      step = kc - k < 16 ? 4 : 16;
      for (size_t done = 0; done < n; done += 4) {
        size_t j = done + 4 <= n ? done : n - 4;
        for (size_t q = 0; q < step; q += 4)
          pack_4x4(p + (k + q) * NR + j, NR, b + j * column_stride + k + q, column_stride);
      }
      for (size_t q = 0; q < step; q++)
        for (size_t j = n; j < NR; j++) p[(k + q) * NR + j] = 0;
    }
  for (; k < kc; k++) {
    for (size_t j = 0; j < n; j++) p[k * NR + j] = b[k * k_stride + j * column_stride];
    for (size_t j = n; j < NR; j++) p[k * NR + j] = 0;
  }
}
