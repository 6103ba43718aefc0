// SPDX-License-Identifier: Apache-2.0
// binary_f32 in plain C. The compiler's own vectors reach memory speed, so there are no hand-written variants.
#include <math.h>

#include "kernels/binary_f32/binary_f32.h"

static inline float smaller(float a, float b) { return a < b || a != a ? a : b; }
static inline float larger(float a, float b) { return a > b || a != a ? a : b; }
static inline float relu(float v) { return v <= 0 ? 0.0f : v; }

// The scalar is read once: y may overlap an operand only exactly, and the compiler cannot know.
#define LOOPS(NAME, expression)                                                 \
  static void NAME##_vv(const float *a, const float *b, float *out, size_t n) { \
    for (size_t i = 0; i < n; i++) {                                            \
      float x = a[i], y = b[i];                                                 \
      out[i] = expression;                                                      \
    }                                                                           \
  }                                                                             \
  static void NAME##_vs(const float *a, const float *b, float *out, size_t n) { \
    float y = n ? b[0] : 0;                                                     \
    for (size_t i = 0; i < n; i++) {                                            \
      float x = a[i];                                                           \
      out[i] = expression;                                                      \
    }                                                                           \
  }                                                                             \
  static void NAME##_sv(const float *a, const float *b, float *out, size_t n) { \
    float x = n ? a[0] : 0;                                                     \
    for (size_t i = 0; i < n; i++) {                                            \
      float y = b[i];                                                           \
      out[i] = expression;                                                      \
    }                                                                           \
  }
LOOPS(ADD, x + y)
LOOPS(SUB, x - y)
LOOPS(MUL, x *y)
LOOPS(DIV, x / y)
LOOPS(MIN, smaller(x, y))
LOOPS(MAX, larger(x, y))
LOOPS(PRELU, x < 0 ? x * y : x)
LOOPS(ADD_RELU, relu(x + y))
LOOPS(POW, powf(x, y))

#define X(NAME) [BINARY_F32_##NAME] = {NAME##_vv, NAME##_vs, NAME##_sv},
KERNEL(binary_f32) = {.fn = {BINARY_F32_LIST(X)}};
