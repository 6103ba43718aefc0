// SPDX-License-Identifier: Apache-2.0
// What nodes of a graph belong together: by the scopes in their names ("/encoder/layer.0/attention"), or because the
// same sequence of nodes comes again and again. For folding, in the page and in the terminal.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct block {
  char *label;
  int32_t parent;         // of the list; -1: none
  uint32_t first, count;  // nodes; those of a scope need not be next to one another
  uint32_t turn, turns;   // the turn-th of so many like it; 0 of 0 for scopes
} block;

typedef struct blocks {
  block *at;
  size_t count;
  int32_t *of_node;  // the innermost block of each node; -1: none
} blocks;

// `nodes`: as sdx_session_describe "graph" lists them. false: no memory.
bool blocks_by_scope(const json_t *nodes, blocks *b);
bool blocks_by_repeat(const json_t *nodes, blocks *b);
void blocks_free(blocks *b);
