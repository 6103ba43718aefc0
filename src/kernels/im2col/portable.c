// SPDX-License-Identifier: Apache-2.0
// im2col for any machine: fill.inl.
#include <string.h>

#include "kernels/im2col/im2col.h"

#define TYPE float
#define NAME(x) x##_f32
#include "kernels/im2col/fill.inl"
#undef TYPE
#undef NAME

#define TYPE uint8_t
#define NAME(x) x##_u8
#include "kernels/im2col/fill.inl"

KERNEL(im2col) = {.fill_f32 = fill_f32, .fill_u8 = fill_u8};
