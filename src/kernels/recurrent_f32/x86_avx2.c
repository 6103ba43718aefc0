// SPDX-License-Identifier: Apache-2.0
// recurrent_f32 for AVX2: 6 sums of a row and 6 of a tile in registers.
#define PARTS 6
#define ACROSS 1
#include "kernels/recurrent_f32/fast.inl"
