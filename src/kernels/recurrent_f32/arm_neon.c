// SPDX-License-Identifier: Apache-2.0
// recurrent_f32 for NEON: 8 sums of a row and 8 of a tile in registers.
#define PARTS 8
#define ACROSS 2
#include "kernels/recurrent_f32/fast.inl"
