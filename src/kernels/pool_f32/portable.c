// SPDX-License-Identifier: Apache-2.0
// pool_f32 for any machine: rows.inl.
#include "kernels/pool_f32/rows.inl"

KERNEL(pool_f32) = {.max = rows_max, .average = rows_average, .lp = rows_lp};
