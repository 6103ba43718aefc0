// SPDX-License-Identifier: Apache-2.0
// binary_f32 in plain C. The compiler's own vectors reach memory speed, so there are no hand-written variants. Each
// entry point at the end passes its operation as a constant, so that `apply` costs no choice in a loop.
#include <math.h>

#include "kernels/binary_f32/binary_f32.h"
#include "kernels/loop.h"

INLINE float apply(binary_f32_op op, float x, float y) {
  switch (op) {
    case BINARY_F32_ADD:
      return x + y;
    case BINARY_F32_SUB:
      return x - y;
    case BINARY_F32_MUL:
      return x * y;
    case BINARY_F32_DIV:
      return x / y;
    case BINARY_F32_MIN:
      return x < y || x != x ? x : y;
    case BINARY_F32_MAX:
      return x > y || x != x ? x : y;
    case BINARY_F32_PRELU:
      return x < 0 ? x * y : x;
    case BINARY_F32_ADD_RELU:
      return x + y <= 0 ? 0.0f : x + y;
    default:
      return powf(x, y);
  }
}

INLINE void arrays(binary_f32_op op, const float *a, const float *b, float *out, size_t n) {
  for (size_t i = 0; i < n; i++) out[i] = apply(op, a[i], b[i]);
}

// The scalar is read once: `out` may overlap an operand only exactly, and the compiler cannot know.
INLINE void array_scalar(binary_f32_op op, const float *a, const float *b, float *out, size_t n) {
  float y = n ? b[0] : 0;
  for (size_t i = 0; i < n; i++) out[i] = apply(op, a[i], y);
}
INLINE void scalar_array(binary_f32_op op, const float *a, const float *b, float *out, size_t n) {
  float x = n ? a[0] : 0;
  for (size_t i = 0; i < n; i++) out[i] = apply(op, x, b[i]);
}

#define ENTRY_POINTS(NAME)                                                      \
  static void NAME##_vv(const float *a, const float *b, float *out, size_t n) { \
    arrays(BINARY_F32_##NAME, a, b, out, n);                                    \
  }                                                                             \
  static void NAME##_vs(const float *a, const float *b, float *out, size_t n) { \
    array_scalar(BINARY_F32_##NAME, a, b, out, n);                              \
  }                                                                             \
  static void NAME##_sv(const float *a, const float *b, float *out, size_t n) { \
    scalar_array(BINARY_F32_##NAME, a, b, out, n);                              \
  }
BINARY_F32_LIST(ENTRY_POINTS)

#define FORMS(NAME) [BINARY_F32_##NAME] = {NAME##_vv, NAME##_vs, NAME##_sv},
KERNEL(binary_f32) = {.fn = {BINARY_F32_LIST(FORMS)}};
