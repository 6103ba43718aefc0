// SPDX-License-Identifier: Apache-2.0
// nbits_f32 for NEON; see fast.inl.
#include "kernels/nbits_f32/fast.inl"
