// SPDX-License-Identifier: Apache-2.0
// winograd_f32 for AVX-512; see fast.inl.
#include "kernels/winograd_f32/fast.inl"
