// SPDX-License-Identifier: Apache-2.0
// What `infer` may use: it fills the types of a step's outputs from those of its inputs. It runs with symbolic shapes
// on the whole graph, with concrete ones when a plan is made, and per call for steps whose shapes depend on data:
// always the same function. step.in_types[i] is NULL if absent, of kind TYPE_UNKNOWN if nothing is known.
#pragma once

#include "ops/record.h"

// Is input i given?
static inline bool infer_has(const op_step *c, size_t i) { return i < c->input_count && c->in_types[i]; }
// A tensor output. dims may hold DIM_UNKNOWN/~symbol; rank -1 = not even the rank is known.
// Checks rank limit; copies dims.
sdx_status infer_output(op_step *c, size_t index, sdx_dtype dtype, int rank, const int64_t *dims);
sdx_status infer_same(op_step *c, size_t output, size_t input);                      // same type and shape
sdx_status infer_same_as(op_step *c, size_t output, size_t input, sdx_dtype dtype);  // same shape
// Numpy broadcast over inputs [first, first+count) with symbols kept where they agree.
sdx_status infer_broadcast(op_step *c, size_t output, size_t first, size_t count, sdx_dtype dtype);
// Input facts with errors that name node and input.
sdx_status infer_need(op_step *c, size_t input);                     // present
sdx_status infer_rank(op_step *c, size_t input, int low, int high);  // high -1 = no bound; unknown passes
static inline int infer_rank_of(const op_step *c, size_t i) {
  return c->in_types[i] && c->in_types[i]->kind == TYPE_TENSOR ? c->in_types[i]->rank : -1;
}
static inline sdx_dtype infer_dtype_of(const op_step *c, size_t i) {
  return c->in_types[i] ? (sdx_dtype)c->in_types[i]->dtype : SDX_UNDEFINED;
}
// One dimension of an input; DIM_UNKNOWN where it is absent or its rank is not known.
int64_t infer_dim(const op_step *c, size_t input, int axis);
// Elements of an input; DIM_UNKNOWN where not all of its dimensions are known. Exporters write lists (a shape, scales,
// a mask) as [1, n] or as a scalar, too: what counts is how many numbers there are.
int64_t infer_count(const op_step *c, size_t input);
// `*size` is a size that several inputs share: takes it from dimension `axis` of `input`, or checks it there.
sdx_status infer_agree(op_step *c, size_t input, int axis, const char *what, int64_t *size);
// Constant 1-D int32/int64 input as int64 array; NULL (count untouched) if not known now.
const int64_t *infer_constant_ints(op_step *c, size_t input, size_t *count);
