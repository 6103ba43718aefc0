// SPDX-License-Identifier: Apache-2.0
// conv_dw_nhwc_f32 for NEON; see fast.inl.
#include "kernels/conv_dw_nhwc_f32/fast.inl"
