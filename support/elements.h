// SPDX-License-Identifier: Apache-2.0
// One element of a tensor of any type as a number or as text. `long double` holds every int64 and
// uint64 exactly, so one type serves all comparisons. For files, printing and comparing; not fast.
#pragma once

#include "sardonyx/sardonyx.h"

bool dtype_is_number(sdx_dtype dtype);  // neither string nor complex
bool dtype_is_real(sdx_dtype dtype);    // floating point of any width
bool dtype_is_complex(sdx_dtype dtype);

// Numbers: the value. Complex: part 0 = real, 1 = imaginary. Others have part 0 only.
long double element_part(const sdx_value *v, size_t i, int part);
static inline long double element_number(const sdx_value *v, size_t i) { return element_part(v, i, 0); }
// Rounds to the tensor's type: floats to nearest even; integers are cut and saturate.
void element_set(sdx_value *v, size_t i, long double number);
// Whether the element could take the number: whole and in range for integers, no finite one as infinity.
bool element_holds(const sdx_value *v, size_t i, long double number);
void element_set_part(sdx_value *v, size_t i, int part, long double number);
// "1.25", "true", "\"text\"", "1+2i".
const char *element_text(const sdx_value *v, size_t i, char *buffer, size_t size);

// A copy with another element type (numbers only); NULL: no memory or not numbers.
sdx_value *tensor_convert(const sdx_value *v, sdx_dtype dtype);
// A tensor over the same elements with another shape of the same count; NULL: no memory.
sdx_value *tensor_reshape(sdx_value *v, size_t rank, const int64_t *shape);
// The same bytes read as another type of the same width.
sdx_value *tensor_view_bits(sdx_value *v, sdx_dtype dtype);
// "float[1,3,224,224]", "seq of 3", ... into the buffer.
const char *value_describe(const sdx_value *v, char *buffer, size_t size);
const char *shape_text(size_t rank, const int64_t *shape, char *buffer, size_t size);  // "1×3×224"
// What an input or output takes: "float[batch,3,224,224]".
const char *io_describe(const sdx_io *io, char *buffer, size_t size);
// Short text of a value's first elements, at most `limit` of them.
const char *value_preview(const sdx_value *v, size_t limit, char *buffer, size_t size);
