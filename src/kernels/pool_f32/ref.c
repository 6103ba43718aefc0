// SPDX-License-Identifier: Apache-2.0
// The judge of pool_f32: rows.inl.
#include "kernels/pool_f32/rows.inl"

KERNEL(pool_f32) = {.max = rows_max, .average = rows_average, .lp = rows_lp};
