// SPDX-License-Identifier: Apache-2.0
// What fusions ask of a graph: who reads a value, and constants.
#pragma once

#include "passes/passes.h"

// reader[v]: the one node that reads v and nothing else does (no second reader, no body, no graph
// output), else NULL. NULL: memory.
node **match_sole_readers(const graph *g, arena *scratch);
bool match_is(const node *n, const char *op_type);  // ai.onnx operator of that name, alive
// Producer of a value; NULL for inputs and constants.
node *match_producer(const graph *g, value_id v);
// Constant float scalar (or one-element tensor) input `i`; `otherwise` if the input is absent. False if not constant.
bool match_scalar(const graph *g, const node *n, size_t i, float otherwise, float *out);
bool match_same_shape(const type_info *a, const type_info *b);  // all dims known and equal, or same symbols
bool match_all_ones(const attr *ints);                          // or absent
// A constant of zeros that lives as long as the session, to be filled by the caller.
sdx_status match_new_constant(pass_context *c, sdx_dtype dtype, size_t rank, const int64_t *dims, value_id *id,
                              void **data);
