// SPDX-License-Identifier: Apache-2.0
// tree_scan in vectors of bytes, included after
//
//   vec, LANES                      a vector and its bytes
//   load(p), store(p, v), splat(b)
//   pick(x, threshold, yes, no)     x <= threshold ? yes : no
//
// The top of the stack is in registers: VECTORS of them, so that a step's decoding is paid once for many rows.
#define EACH for (int v = 0; v < vectors; v++)

static inline __attribute__((always_inline)) void scan_vectors(const int vectors, const tree_scan_step *steps,
                                                               size_t count, const int8_t *columns, uint8_t *stack,
                                                               uint8_t *leaves) {
  enum { MOST = TREE_SCAN_MOST / LANES };
  const size_t rows = (size_t)vectors * LANES;
  vec top[MOST];
#pragma GCC unroll 16
  EACH top[v] = splat(0);
  for (const tree_scan_step *s = steps; s < steps + count; s++) {
    const int8_t *x = columns + s->column * rows;
    const vec threshold = splat(s->threshold), yes = splat((int8_t)s->yes), no = splat((int8_t)s->no);
    switch (s->kind) {
      case TREE_SCAN_LEAVES:
#pragma GCC unroll 16
        EACH store(stack + v * LANES, top[v]), top[v] = pick(load(x + v * LANES), threshold, yes, no);
        stack += rows;
        break;
      case TREE_SCAN_YES_LEAF:
#pragma GCC unroll 16
        EACH top[v] = pick(load(x + v * LANES), threshold, yes, top[v]);
        break;
      case TREE_SCAN_NO_LEAF:
#pragma GCC unroll 16
        EACH top[v] = pick(load(x + v * LANES), threshold, top[v], no);
        break;
      case TREE_SCAN_YES_FIRST:
        stack -= rows;
#pragma GCC unroll 16
        EACH top[v] = pick(load(x + v * LANES), threshold, load(stack + v * LANES), top[v]);
        break;
      default:
        stack -= rows;
#pragma GCC unroll 16
        EACH top[v] = pick(load(x + v * LANES), threshold, top[v], load(stack + v * LANES));
        break;
    }
  }
#pragma GCC unroll 16
  EACH store(leaves + v * LANES, top[v]);
}

static void scan(const tree_scan_step *steps, size_t count, const int8_t *columns, size_t rows, uint8_t *stack,
                 uint8_t *leaves) {
  if (rows == 256) scan_vectors(256 / LANES, steps, count, columns, stack, leaves);
  else if (rows == 128) scan_vectors(128 / LANES, steps, count, columns, stack, leaves);
  else scan_vectors(64 / LANES, steps, count, columns, stack, leaves);
}

// Branches would keep the compiler from making vectors; a NaN's 65535 wraps to 0.
static void column(const uint16_t *restrict ranks, size_t rows, uint16_t below, bool nan_passes,
                   int8_t *restrict column) {
  const uint16_t nan = nan_passes ? 0 : UINT16_MAX;
  for (size_t i = 0; i < rows; i++) {
    uint16_t value = (uint16_t)(ranks[i] + 1);
    value = value ? value : nan;
    value = (uint16_t)(value > below ? value - below : 0);
    column[i] = (int8_t)((value < 255 ? value : 255) - 128);
  }
}

KERNEL(tree_scan) = {.column = column, .scan = scan};
