// SPDX-License-Identifier: Apache-2.0
// Contract: y[i] = f(a, b) on contiguous floats in three forms: array-array, array-scalar (b[0]),
// scalar-array (a[0]). y may be a or b exactly, otherwise no overlap; any alignment of 4; n may be 0.
// One IEEE operation an element, so all variants agree bit for bit (any NaN equals any NaN); POW follows powf
// within 1 ulp. MIN and MAX give NaN if either side is NaN (as ONNX and numpy have it) and order -0 < +0 no
// further than the comparison does: max(-0, +0) is either zero. ADD_RELU is relu(a + b), NaN stays NaN.
// PRELU: a >= 0 ? a : a*b.
#pragma once

#include <stddef.h>

#include "kernels/kernel.h"

#define BINARY_F32_LIST(X) X(ADD) X(SUB) X(MUL) X(DIV) X(MIN) X(MAX) X(PRELU) X(ADD_RELU) X(POW)

typedef enum binary_f32_op {
#define X(name) BINARY_F32_##name,
  BINARY_F32_LIST(X)
#undef X
      BINARY_F32_COUNT
} binary_f32_op;

typedef enum binary_f32_form { BINARY_VV, BINARY_VS, BINARY_SV, BINARY_FORM_COUNT } binary_f32_form;

typedef void (*binary_f32_fn)(const float *a, const float *b, float *y, size_t n);

typedef struct binary_f32_kernel {
  binary_f32_fn fn[BINARY_F32_COUNT][BINARY_FORM_COUNT];
} binary_f32_kernel;
