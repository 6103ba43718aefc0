// SPDX-License-Identifier: Apache-2.0
// softmax_f32 for NEON: the compiler's vectors of fast.inl.
#include "kernels/softmax_f32/fast.inl"
