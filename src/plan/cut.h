// SPDX-License-Identifier: Apache-2.0
// Choices of two each, at the least sum of costs: a minimum cut (Dinic). Every choice is 0 or 1; costs are whole
// numbers and never negative. What the sum is made of: a cost of one choice by itself, and a cost of a pair that is (1,
// 0).
#pragma once

#include "base/mem.h"

typedef struct cut cut;

#define CUT_NEVER INT64_MAX  // a cost that no solution pays

// `choices` of them, numbered from 0; `terms`: the most calls of cut_cost and cut_pair that will be made. NULL: memory.
cut *cut_create(uint32_t choices, size_t terms, arena *memory);
// Choice `c` costs so much if it is 0, and so much if it is 1.
void cut_cost(cut *k, uint32_t c, int64_t if_0, int64_t if_1);
// It costs so much if `a` is 1 while `b` is 0.
void cut_pair(cut *k, uint32_t a, uint32_t b, int64_t cost);
// Fills chosen[0..choices); among equals, the one with the fewest 1. false: memory.
bool cut_solve(cut *k, bool *chosen, arena *memory);
