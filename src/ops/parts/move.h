// SPDX-License-Identifier: Apache-2.0
// What operators share that only move elements: one strided copy behind Transpose, Slice, Concat,
// Expand, Tile, Pad, ...; packed 4- and 2-bit types spread to bytes and back; keys that order any
// element type; which elements count as true.
#pragma once

#include "ops/record.h"

// Copies a box: element (i0, i1, ...) of `dims` from one place to another. Steps are in elements and
// may be zero (broadcast) or negative.
typedef struct strided {
  size_t rank;
  int64_t dims[TENSOR_MAX_RANK + 2], from[TENSOR_MAX_RANK + 2], to[TENSOR_MAX_RANK + 2];  // room to split dimensions
} strided;
// Element steps of dense row-major data.
void move_strides(const int64_t *dims, size_t rank, int64_t *strides);
void move_strided(op_step *c, const strided *box, size_t width, const void *from, void *to);
// memcpy on the threads of the call.
void move_bytes(op_step *c, void *to, const void *from, size_t bytes);

// Bytes per element once packed types are spread.
static inline size_t move_width(const tensor *t) {
  size_t bits = (size_t)dtype_bits((sdx_dtype)t->dtype);
  return bits < 8 ? 1 : bits / 8;
}
// Input or output to work on element by element: `wide` is the tensor itself, or for packed types a
// copy with one element a byte. move_finish packs the output again.
sdx_status move_input(op_step *c, size_t input, tensor *wide);
sdx_status move_output(op_step *c, size_t output, tensor *wide);
void move_finish(op_step *c, size_t output, const tensor *wide);

// compute of operators whose output is input 0 under another shape.
sdx_status move_view(op_step *c);
// Any input value as output: tensors are copied, sequences and maps share their items.
sdx_status move_value(op_step *c, size_t output, const value *from);
// Gives the strings of an output bytes of their own, for sources that may die before the run ends.
sdx_status move_keep_strings(op_step *c, tensor *t);
// One element repeated.
void move_fill(op_step *c, void *to, const void *element, size_t width, size_t count);

// Keys that sort as the elements do: equal elements (+0 and -0, any two NaN) have equal keys, NaN is
// above every number. Strings and complex numbers have none (false).
bool order_has_keys(sdx_dtype dtype);
void order_keys(sdx_dtype dtype, const void *data, size_t first, size_t step, size_t count, uint64_t *keys);
int order_strings(str a, str b);  // by bytes
// Not zero; strings: not empty.
bool element_is_true(const tensor *t, size_t index);
