// SPDX-License-Identifier: Apache-2.0
// What a tap does to the result of its window, and how many taps a window has; shared by pool_f32 and pool_nhwc_f32.
#include <math.h>

#include "kernels/loop.h"
#include "kernels/window.h"

typedef enum pool_op { POOL_OP_MAX, POOL_OP_SUM, POOL_OP_SUM_ABS, POOL_OP_SUM_SQUARE, POOL_OP_SUM_POWER } pool_op;

INLINE float pool_element(pool_op op, float total, float v, float p) {
  switch (op) {
    case POOL_OP_MAX:
      return total > v || total != total ? total : v;
    case POOL_OP_SUM:
      return total + v;
    case POOL_OP_SUM_ABS:
      return total + __builtin_fabsf(v);
    case POOL_OP_SUM_SQUARE:
      return total + v * v;
    default:
      return total + powf(__builtin_fabsf(v), p);
  }
}

// Places of window o in dimension d: inside the input, or inside the padded input.
static inline int64_t pool_places(const window *w, size_t d, int64_t o, bool include_pad) {
  int64_t begin, end, low = include_pad ? -w->pad[d] : 0, high = w->in[d] + (include_pad ? w->pad_end[d] : 0);
  window_taps_in(w, d, o, low, high, &begin, &end);
  return end - begin;
}
