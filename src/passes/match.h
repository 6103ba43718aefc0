// SPDX-License-Identifier: Apache-2.0
// What fusions ask of a graph: who reads a value, and small constants.
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
// Gives a Conv with constant weights y' = y * scale[k] + shift[k] per output channel k (scale NULL: 1, and the
// weights stay as they are) in place of the node `last` that computed it. Nothing happens where weights or bias do not
// fit.
sdx_status match_scale_conv(pass_context *c, node *conv, node *last, size_t channels, const double *scale,
                            const double *shift);
