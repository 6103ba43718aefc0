// SPDX-License-Identifier: Apache-2.0
// fast.inl over AVX2 vectors.
#include "kernels/im2col/fast.inl"
