// SPDX-License-Identifier: Apache-2.0
// Activations that a producing kernel (GEMM, convolution) applies to its finished tile while it is in
// the cache. Passes fuse them; operators translate their attributes into the struct. They are computed
// by the unary_f32 family, so a fused activation gives the bits of the separate operator.
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum activation_kind {
  ACTIVATION_NONE,
#define ACTIVATION(kind, name, operation, numbers, a, b) ACTIVATION_##kind,
#include "kernels/activations.def"
#undef ACTIVATION
  ACTIVATION_COUNT
} activation_kind;

typedef struct activation {
  activation_kind kind;
  float a, b;
} activation;

// y[i] = f(x[i]; a, b); y may be x.
typedef void (*activation_fn)(const float *x, float *y, size_t n, float a, float b);
// The best variant here; NULL for ACTIVATION_NONE. Call when a plan is made.
activation_fn activation_find(activation_kind kind);

// The activation as limits, for results that are still in registers: v < low ? low : v, then v > high ? high : v, then
// + zero: +0 makes a Relu of -0 what it should be, -0 changes nothing. enough: the activation is no more than that;
// else the limits change nothing.
typedef struct activation_limits {
  bool enough;
  float low, high, zero;
} activation_limits;

static inline activation_limits activation_limits_of(activation a) {
  activation_limits l = {a.kind <= ACTIVATION_CLIP, -INFINITY, INFINITY, -0.0f};
  if (a.kind == ACTIVATION_RELU) l.low = l.zero = 0;
  if (a.kind == ACTIVATION_CLIP) l.low = a.a, l.high = a.b;
  return l;
}
