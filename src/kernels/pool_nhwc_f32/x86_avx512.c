// SPDX-License-Identifier: Apache-2.0
// pool_nhwc_f32 for AVX-512; see fast.inl.
#include "kernels/pool_nhwc_f32/fast.inl"
