// SPDX-License-Identifier: Apache-2.0
// How many nodes of each operator: for descriptions of graphs and of functions.
#pragma once

#include "base/str.h"

typedef struct op_bin {
  str op_type;
  size_t count;
  uint32_t first;  // place in the order of the first additions
} op_bin;

typedef struct op_histogram {
  op_bin *at;
  uint32_t count, capacity;
  str_map index;
  arena *memory;
} op_histogram;

void op_histogram_init(op_histogram *c, arena *memory);
bool op_histogram_add(op_histogram *c, str op_type);  // false: memory
void op_histogram_sort(op_histogram *c);              // most frequent first; nothing can be added then
