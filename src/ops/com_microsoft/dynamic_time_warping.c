// SPDX-License-Identifier: Apache-2.0
// DynamicTimeWarping: the cheapest path through a matrix of costs, as its row and column numbers.
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"

static sdx_status dynamic_time_warping_infer(op_step *c) {
  int64_t one = 1;
  SDX_TRY(infer_rank(c, 0, 2, 3));
  if (infer_rank_of(c, 0) == 3) SDX_TRY(infer_agree(c, 0, 0, "first dimension", &one));
  return infer_output(c, 0, SDX_INT32, 2, (int64_t[]){2, DIM_UNKNOWN});
}

enum { DIAGONAL, UP, LEFT };

static sdx_status dynamic_time_warping_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  size_t rows = (size_t)x->dims[x->rank - 2], columns = (size_t)x->dims[x->rank - 1], cells, costs;
  const float *cost = x->data;
  if (rows > INT32_MAX || columns > INT32_MAX || !size_mul(rows + 1, columns + 1, &cells) ||
      !size_mul(columns + 1, 2 * sizeof(float), &costs))
    return call_no_memory(c, SIZE_MAX);
  uint8_t *from = call_alloc(c, cells);
  float *before = call_alloc(c, costs);
  if (!from || !before) return call_no_memory(c, cells);
  float *now = before + columns + 1;
  for (size_t j = 0; j <= columns; j++) before[j] = j ? INFINITY : 0, from[j] = LEFT;
  for (size_t i = 1; i <= rows; i++) {
    now[0] = INFINITY;
    from[i * (columns + 1)] = UP;
    for (size_t j = 1; j <= columns; j++) {
      float diagonal = before[j - 1], up = before[j], left = now[j - 1];
      uint8_t best = diagonal < up && diagonal < left ? DIAGONAL : up < diagonal && up < left ? UP : LEFT;
      now[j] = (best == DIAGONAL ? diagonal : best == UP ? up : left) + cost[(i - 1) * columns + j - 1];
      from[i * (columns + 1) + j] = best;
    }
    float *swap = before;
    before = now, now = swap;
    SDX_TRY(call_check(c));
  }
  size_t steps = 0;
  for (size_t pass = 0; pass < 2; pass++) {  // count, then write from the end
    size_t i = rows, j = columns, at = steps;
    while (i > 0 || j > 0) {
      if (pass == 0) steps++;
      else {
        int32_t *path = step_out(c, 0)->data;
        at--;
        path[at] = (int32_t)i - 1, path[steps + at] = (int32_t)j - 1;
      }
      uint8_t step = from[i * (columns + 1) + j];
      i -= step != LEFT, j -= step != UP;
    }
    if (pass == 0) SDX_TRY(call_set_shape(c, 0, SDX_INT32, 2, (int64_t[]){2, (int64_t)steps}));
  }
  return SDX_OK;
}

SDX_CASES = {"input=float[4,6]", NULL};

SDX_OP_MS(DynamicTimeWarping) = {.since = 1,
                                 .versions = "1",
                                 .inputs = "input:F",
                                 .outputs = "output:I",
                                 .types = "F=float;I=int32",
                                 .infer = dynamic_time_warping_infer,
                                 .compute = dynamic_time_warping_compute,
                                 .cases = cases};
