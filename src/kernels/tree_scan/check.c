// SPDX-License-Identifier: Apache-2.0
// Random trees as programs, over random columns: the same leaf for every row.
#include "kernels/tree_scan/tree_scan.h"

enum { STEPS = 255, COLUMNS = 20 };

// A program that leaves one result: a random walk of the stack's height, brought down to one at the end.
static size_t make_program(kernel_check *k, tree_scan_step *steps, size_t most) {
  size_t count = 0, height = 0;
  while (count < most) {
    size_t left = most - count, kind = check_random(k) % 5;
    if (height == 0) kind = TREE_SCAN_LEAVES;
    else if (height > left) kind = TREE_SCAN_YES_FIRST + check_random(k) % 2;
    else if (kind == TREE_SCAN_LEAVES && (height == TREE_SCAN_STACK || height + 1 > left)) kind = TREE_SCAN_NO_LEAF;
    if (kind >= TREE_SCAN_YES_FIRST && height < 2) kind = TREE_SCAN_YES_LEAF;
    height += kind == TREE_SCAN_LEAVES ? 1 : kind >= TREE_SCAN_YES_FIRST ? (size_t)-1 : 0;
    steps[count++] = (tree_scan_step){(uint16_t)(check_random(k) % COLUMNS), (int8_t)check_random(k), (uint8_t)kind,
                                      (uint8_t)check_random(k), (uint8_t)check_random(k)};
  }
  while (height > 1) steps[count++] = (tree_scan_step){.kind = TREE_SCAN_YES_FIRST}, height--;
  return count;
}

static bool compare_columns(kernel_check *k, const tree_scan_kernel *v, const tree_scan_kernel *r) {
  size_t rows = (size_t)TREE_SCAN_LEAST << check_random(k) % 3;
  uint16_t *ranks = check_buffer(k, rows * 2, 2), below = (uint16_t)(check_coin(k, 2) ? 0 : check_random(k));
  int8_t *got = check_buffer(k, rows, 1), *want = check_buffer(k, rows, 1);
  bool nan_passes = check_coin(k, 2);
  if (!ranks || !got || !want) return true;
  for (size_t i = 0; i < rows; i++)
    if (check_coin(k, 2)) ranks[i] = (uint16_t)(check_coin(k, 4) ? UINT16_MAX : below + check_random(k) % 260);
  v->column(ranks, rows, below, nan_passes, got), r->column(ranks, rows, below, nan_passes, want);
  return check_same(k, got, want, rows);
}

static bool compare(kernel_check *k, const void *variant, const void *reference) {
  const tree_scan_kernel *v = variant, *r = reference;
  if (check_coin(k, 4)) return compare_columns(k, v, r);
  tree_scan_step steps[STEPS + TREE_SCAN_STACK];
  size_t rows = (size_t)TREE_SCAN_LEAST << check_random(k) % 3, count = make_program(k, steps, check_size(k, 1, STEPS));
  int8_t *columns = check_buffer(k, COLUMNS * rows, 1);
  uint8_t *stack = check_buffer(k, TREE_SCAN_STACK * rows, 1);
  uint8_t *got = check_buffer(k, rows, 1), *want = check_buffer(k, rows, 1);
  if (!columns || !stack || !got || !want) return true;
  r->scan(steps, count, columns, rows, stack, want), v->scan(steps, count, columns, rows, stack, got);
  if (check_same(k, got, want, rows)) return true;
  check_message(k, "%zu steps, %zu rows", count, rows);
  return false;
}

static double bench(kernel_check *k, const void *variant, const char **unit) {
  static tree_scan_step steps[STEPS + TREE_SCAN_STACK];
  static int8_t columns[COLUMNS * 256];
  static uint8_t stack[TREE_SCAN_STACK * 256], leaves[256];
  static size_t count;
  if (!count) count = make_program(k, steps, 127);
  ((const tree_scan_kernel *)variant)->scan(steps, count, columns, 256, stack, leaves);
  *unit = "nodes of rows";
  return (double)count * 256;
}

KERNEL_CHECK(tree_scan) = {.family = "tree_scan", .compare = compare, .bench = bench};
