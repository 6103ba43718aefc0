// SPDX-License-Identifier: Apache-2.0
// Contract: the leaf that each of many rows reaches in one decision tree. All nodes are evaluated for all rows, a
// vector of rows at a time, and the leaf is selected from the bottom up: no branch depends on a row.
//
// A tree of at most 256 leaves is a program for a stack of rows of leaf numbers, its inner nodes in postorder. A step
// tests a column, column[row] <= threshold, and takes for each row what is meant by yes or by no: the number of a leaf,
// or what an earlier step left on the stack. Then one step's result is left: the leaf of each row.
//
// rows is 64, 128 or 256; columns lie `rows` apart, one after another. `stack`
// holds TREE_SCAN_STACK * rows bytes; with a child that needs more of it evaluated first, no tree needs more.
#pragma once

#include <stdint.h>

#include "kernels/kernel.h"

enum { TREE_SCAN_LEAST = 64, TREE_SCAN_MOST = 256, TREE_SCAN_STACK = 9 };

typedef enum tree_scan_kind {
  TREE_SCAN_LEAVES,     // both are leaves; the result goes on top of the stack
  TREE_SCAN_YES_LEAF,   // no: the top of the stack, which the result replaces
  TREE_SCAN_NO_LEAF,    // yes: the top of the stack, which the result replaces
  TREE_SCAN_YES_FIRST,  // the top two of the stack, which the result replaces: yes was pushed before no
  TREE_SCAN_NO_FIRST,
} tree_scan_kind;

typedef struct tree_scan_step {
  uint16_t column;
  int8_t threshold;
  uint8_t kind;
  uint8_t yes, no;  // leaves
} tree_scan_step;

typedef struct tree_scan_kernel {
  // column[row] = min(max(value - below, 0), 255) - 128, where value is 1 + rank; NaN's (RANK_NAN) is 0 or above all.
  void (*column)(const uint16_t *ranks, size_t rows, uint16_t below, bool nan_passes, int8_t *column);
  // count >= 1; leaves[row] is written for all rows.
  void (*scan)(const tree_scan_step *steps, size_t count, const int8_t *columns, size_t rows, uint8_t *stack,
               uint8_t *leaves);
} tree_scan_kernel;
