// SPDX-License-Identifier: Apache-2.0
// A pattern as a tree, between regex_parse.c, which makes it (its depth is bounded), and regex.c, which makes a program
// of it.
#pragma once

#include <stdint.h>

#include "ops/parts/regex.h"

typedef struct range {
  int32_t low, high;
} range;

typedef enum node_kind { NODE_EMPTY, NODE_SET, NODE_ASSERT, NODE_LIST, NODE_EITHER, NODE_REPEAT } node_kind;
typedef enum assertion { TEXT_BEGIN, TEXT_END, LINE_BEGIN, LINE_END, WORD_EDGE, NOT_WORD_EDGE } assertion;

typedef struct re_node {
  node_kind kind;
  struct re_node *child, *next;  // first child; next one of the parent
  range *ranges;                 // NODE_SET: sorted, apart
  uint32_t count;
  assertion assertion;
  int32_t low, high;  // NODE_REPEAT; high -1: no bound
} re_node;

// NULL: as regex_compile.
const re_node *regex_parse(arena *memory, str pattern, const char **problem, size_t *at);
