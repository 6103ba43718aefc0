// SPDX-License-Identifier: Apache-2.0
// fast.inl over NEON vectors.
#include "kernels/im2col/fast.inl"
