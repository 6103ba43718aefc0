// SPDX-License-Identifier: Apache-2.0
// The judge of tree_scan: one row after another.
#include "kernels/tree_scan/tree_scan.h"

static uint8_t leaf_of(const tree_scan_step *steps, size_t count, const int8_t *columns, size_t rows, size_t row) {
  uint8_t stack[TREE_SCAN_STACK] = {0};
  size_t height = 0;
  for (size_t i = 0; i < count; i++) {
    const tree_scan_step *s = &steps[i];
    size_t taken = s->kind == TREE_SCAN_LEAVES ? 0 : s->kind <= TREE_SCAN_NO_LEAF ? 1 : 2;
    const uint8_t *top = stack + height - taken;
    uint8_t yes = s->kind == TREE_SCAN_NO_LEAF || s->kind == TREE_SCAN_YES_FIRST ? top[0]
                  : s->kind == TREE_SCAN_NO_FIRST                                ? top[1]
                                                                                 : s->yes;
    uint8_t no = s->kind == TREE_SCAN_YES_LEAF || s->kind == TREE_SCAN_NO_FIRST ? top[0]
                 : s->kind == TREE_SCAN_YES_FIRST                               ? top[1]
                                                                                : s->no;
    height -= taken;
    stack[height++] = columns[s->column * rows + row] <= s->threshold ? yes : no;
  }
  return stack[0];
}

static void scan(const tree_scan_step *steps, size_t count, const int8_t *columns, size_t rows, uint8_t *stack,
                 uint8_t *leaves) {
  for (size_t row = 0; row < rows; row++) leaves[row] = leaf_of(steps, count, columns, rows, row);
}

static void column(const uint16_t *ranks, size_t rows, uint16_t below, bool nan_passes, int8_t *column) {
  for (size_t i = 0; i < rows; i++) {
    int value = ranks[i] == UINT16_MAX ? (nan_passes ? 0 : UINT16_MAX) : 1 + ranks[i], v = value - below;
    column[i] = (int8_t)((v < 0 ? 0 : v > 255 ? 255 : v) - 128);
  }
}

KERNEL(tree_scan) = {.column = column, .scan = scan};
