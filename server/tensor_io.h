// SPDX-License-Identifier: Apache-2.0
// Between JSON and the engine's values; and shapes as people read them.
#pragma once

#include "base/text.h"
#include "sardonyx/sardonyx.h"
#include "server/json_tensor.h"

// "[2,3]"; free dimensions by their symbol or as -1. Cut to the buffer.
const char *shape_format(const int64_t *shape, const char *const *symbols, size_t rank, char *buffer, size_t size);
// The value of a tensor that was read, in the given shape of the same element count. Takes the
// memory of `t`, also on failure (NULL).
sdx_value *tensor_take(json_tensor *t, size_t rank, const int64_t *shape);
// Elements row by row without brackets ("1,2,3"), or nested lists. False: the type has no JSON form.
// `literal`: NaN, Infinity, -Infinity are written as such words, not as null.
bool tensor_write_flat(text *o, const sdx_value *tensor, bool literal);
// Index of an input that a run can feed; false: there is none of that name.
bool input_find(const sdx_session *session, str name, size_t *index);
// Words for a name that is none because it is a constant, else "".
const char *input_why_fixed(const sdx_session *session, str name);
bool value_write_json(text *o, const sdx_value *value, bool literal);  // tensors nested; sequences, maps, empty too
// Row `k` of the first dimension, or item `k` of a sequence. How many there are; SIZE_MAX: it has none.
size_t value_row_count(const sdx_value *value);
bool value_write_row(text *o, const sdx_value *value, size_t k, bool literal);
