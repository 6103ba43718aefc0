// SPDX-License-Identifier: Apache-2.0
// What tests of channels-last convolutions share: random floats in memory that mem_free takes, and one convolution with
// everything it reads.
#pragma once

#include "base/mem.h"
#include "kernels/conv_nhwc_f32/conv_nhwc_f32.h"
#include "tests/kernels/random.h"

enum { GUARD = 0x5c };  // bytes that nobody may write

static inline float *floats(size_t n) {
  float *p = mem_alloc(NULL, n * sizeof *p);
  random_floats(p, n);
  return p;
}

typedef struct problem {
  conv_nhwc_f32_shape shape;
  size_t x_pixels, y_pixels;  // of an image
  size_t x_stride, y_stride, residual_stride;
  float *x, *weights, *bias, *residual;
  activation act;
  bool residual_is_y;
} problem;

static inline void problem_release(problem *p) {
  mem_free(p->x), mem_free(p->weights), mem_free(p->bias), mem_free(p->residual);
}
