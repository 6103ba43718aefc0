// SPDX-License-Identifier: Apache-2.0
// A variant's packing and tile on one register tile of random size and types, against plain sums; the driver is held to
// the definition by tests/kernels/test_gemm_u8s8.c.
#include <string.h>

#include "kernels/gemm_u8s8/gemm_u8s8.h"

static int32_t value(const uint8_t *x, bool is_signed, bool wide, bool is_a, size_t i) {
  if (wide || is_signed == !is_a) return is_signed ? (int8_t)x[i] : x[i];
  return is_a ? (int8_t)x[i] + 128 : x[i] - 128;  // shifted to the other sign
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const gemm_u8s8_kernel *v = variant;
  size_t rows = check_size(k, 1, v->mr), cols = check_size(k, 1, v->nr), depth = check_size(k, 1, 200);
  size_t padded = (depth + GEMM_U8S8_K_UNIT - 1) / GEMM_U8S8_K_UNIT * GEMM_U8S8_K_UNIT, element = v->wide ? 2 : 1;
  size_t lda = depth + check_random(k) % 3, ldb = cols + check_random(k) % 3, ldc = cols + check_random(k) % 3;
  bool a_signed = check_coin(k, 2), b_signed = check_coin(k, 2);
  uint8_t *a = check_buffer(k, (rows - 1) * lda + depth, 1), *b = check_buffer(k, (depth - 1) * ldb + cols, 1);
  void *packed_a = check_buffer(k, v->mr * padded * element, 64),
       *packed_b = check_buffer(k, v->nr * padded * element, 64);
  int32_t *got = check_buffer(k, ((rows - 1) * ldc + cols) * 4, 4),
          *want = check_buffer(k, ((rows - 1) * ldc + cols) * 4, 4);
  int32_t a_sum[GEMM_U8S8_MAX_TILE], b_sum[GEMM_U8S8_MAX_TILE];
  if (check_coin(k, 4)) memset(a, 0xff, (rows - 1) * lda + depth), memset(b, 0x7f, (depth - 1) * ldb + cols);
  memcpy(got, want, ((rows - 1) * ldc + cols) * 4);
  v->pack_a(packed_a, a_sum, a, lda, a_signed, rows, depth);
  v->pack_b(packed_b, b_sum, b, ldb, b_signed, depth, cols);
  v->tile(padded / (v->wide ? 2 : 4), packed_a, packed_b, got, ldc, rows, cols);
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < cols; j++) {
      uint32_t sum = (uint32_t)want[i * ldc + j];
      for (size_t p = 0; p < depth; p++)
        sum += (uint32_t)(value(a, a_signed, v->wide, true, i * lda + p) *
                          value(b, b_signed, v->wide, false, p * ldb + j));
      want[i * ldc + j] = (int32_t)sum;
    }
  bool good = check_same(k, got, want, ((rows - 1) * ldc + cols) * 4);
  for (size_t i = 0; good && i < rows; i++) {
    int32_t sum = 0;
    for (size_t p = 0; p < depth; p++) sum += value(a, a_signed, v->wide, true, i * lda + p);
    good = sum == a_sum[i];
  }
  for (size_t j = 0; good && j < cols; j++) {
    int32_t sum = 0;
    for (size_t p = 0; p < depth; p++) sum += value(b, b_signed, v->wide, false, p * ldb + j);
    good = sum == b_sum[j];
  }
  if (!good)
    check_message(k, "%zu x %zu, depth %zu, A %s, B %s", rows, cols, depth, a_signed ? "int8" : "uint8",
                  b_signed ? "int8" : "uint8");
  return good;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  const gemm_u8s8_kernel *v = variant;
  enum { DEPTH = 1024 };
  static _Alignas(64) int16_t a[DEPTH * GEMM_U8S8_MAX_TILE], b[DEPTH * GEMM_U8S8_MAX_TILE];
  static int32_t c[GEMM_U8S8_MAX_TILE * GEMM_U8S8_MAX_TILE];
  v->tile(DEPTH / (v->wide ? 2 : 4), a, b, c, v->nr, v->mr, v->nr);
  *unit = "op";
  return 2.0 * DEPTH * (double)(v->mr * v->nr);
}

KERNEL_CHECK(gemm_u8s8) = {.family = "gemm_u8s8", .compare = compare, .bench = bench};
