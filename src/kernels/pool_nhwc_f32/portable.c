// SPDX-License-Identifier: Apache-2.0
// pool_nhwc_f32 for any machine: lines.inl.
#include "kernels/pool_nhwc_f32/lines.inl"

static void max(const pool_nhwc_f32_image *i, size_t begin, size_t end) {
  run_lines(i, begin, end, POOL_OP_MAX, (finish){.kind = FINISH_NOT}, line_through_y);
}

static void average(const pool_nhwc_f32_image *i, size_t begin, size_t end, bool include_pad) {
  run_lines(i, begin, end, POOL_OP_SUM, (finish){.kind = FINISH_AVERAGE, .include_pad = include_pad}, line_through_y);
}

KERNEL(pool_nhwc_f32) = {.max = max, .average = average, .lp = lp};
