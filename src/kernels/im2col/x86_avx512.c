// SPDX-License-Identifier: Apache-2.0
// fast.inl over AVX-512 vectors.
#include "kernels/im2col/fast.inl"
