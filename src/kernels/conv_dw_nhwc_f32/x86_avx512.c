// SPDX-License-Identifier: Apache-2.0
// conv_dw_nhwc_f32 for AVX-512; see fast.inl.
#include "kernels/conv_dw_nhwc_f32/fast.inl"
