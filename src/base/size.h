// SPDX-License-Identifier: Apache-2.0
// Checked arithmetic for sizes (true = it fits) and wrap-defined arithmetic for user data. Sizes
// that derive from a model or a request are computed through these and nothing else.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool size_add(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline bool size_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool size_align(size_t a, size_t alignment, size_t *out) {
  if (!size_add(a, alignment - 1, out)) return false;
  *out &= ~(alignment - 1);
  return true;
}
// Product of dimensions; false for a negative one or when it passes SIZE_MAX / 2. A zero anywhere
// gives 0, even beside dimensions whose product would overflow.
static inline bool size_product(const int64_t *dims, size_t rank, size_t *out) {
  size_t n = 1;
  bool zero = false, fits = true;
  for (size_t i = 0; i < rank; i++) {
    if (dims[i] < 0) return false;
    if (dims[i] == 0) zero = true;
    else if (!size_mul(n, (size_t)dims[i], &n) || n > SIZE_MAX / 2) fits = false, n = 1;
  }
  *out = zero ? 0 : n;
  return zero || fits;
}
static inline int64_t i64_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t i64_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline bool i64_add(int64_t a, int64_t b, int64_t *out) { return !__builtin_add_overflow(a, b, out); }
static inline bool i64_mul(int64_t a, int64_t b, int64_t *out) { return !__builtin_mul_overflow(a, b, out); }

// Two's complement with wrap; division by zero gives 0, INT_MIN / -1 wraps.
static inline int64_t wrap_add(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static inline int64_t wrap_sub(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static inline int64_t wrap_mul(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }
static inline int64_t wrap_neg(int64_t a) { return (int64_t)(0 - (uint64_t)a); }
static inline int64_t wrap_div(int64_t a, int64_t b) { return b == 0 ? 0 : b == -1 ? wrap_neg(a) : a / b; }
static inline int64_t wrap_rem(int64_t a, int64_t b) { return b == 0 || b == -1 ? 0 : a % b; }
