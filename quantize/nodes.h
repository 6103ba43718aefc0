// SPDX-License-Identifier: Apache-2.0
// What several kinds of quantisation ask of a graph's nodes.
#pragma once

#include <string.h>

#include "sardonyx/edit.h"

// The list: "Add Mul ", each word with a blank behind it.
static inline bool op_is_one_of(const char *op, const char *list) {
  size_t length = strlen(op);
  for (const char *at = list; *at; at += strcspn(at, " ") + 1)
    if (strcspn(at, " ") == length && !memcmp(at, op, length)) return length > 0;
  return false;
}

// A Gemm that is a product and a sum, its weights perhaps turned.
static inline bool gemm_is_plain(const sdx_graph *g, size_t node) {
  return sdx_graph_node_float(g, node, "alpha", 1) == 1 && sdx_graph_node_float(g, node, "beta", 1) == 1 &&
         !sdx_graph_node_int(g, node, "transA", 0);
}

// One above the references of all values, for tables by reference.
static inline size_t refs_end(sdx_graph *g) {
  size_t end = 1;
  for (size_t i = 1; i <= sdx_graph_value_count(g); i++) {
    sdx_ref v = sdx_graph_value(g, i);
    if (v >= end) end = (size_t)v + 1;
  }
  return end;
}
