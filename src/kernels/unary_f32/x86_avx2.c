// SPDX-License-Identifier: Apache-2.0
// unary_f32 for AVX2: the compiler's vectors of fast.inl.
#include "kernels/unary_f32/fast.inl"
