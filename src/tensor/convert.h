// SPDX-License-Identifier: Apache-2.0
// Runs of elements of any numeric type as float or double and back: what operators without a kernel
// for a type compute through. Conversion to a narrower float rounds to nearest even; to an integer it
// truncates and saturates (NaN becomes 0). Strings and complex numbers are not handled here.
#pragma once

#include "tensor/tensor.h"

// Elements [first, first + count) of dense data. False: the type is not a real number type, or `to` is float8e8m0,
// which has no zero and no sign: only Cast writes it, with a rounding mode.
bool convert_to_floats(sdx_dtype from, const void *data, size_t first, size_t count, float *to);
bool convert_to_doubles(sdx_dtype from, const void *data, size_t first, size_t count, double *to);
bool convert_from_floats(sdx_dtype to, void *data, size_t first, size_t count, const float *from);
bool convert_from_doubles(sdx_dtype to, void *data, size_t first, size_t count, const double *from);
// Element i of a tensor; 0 where the type is no real number.
static inline double tensor_number_at(const tensor *t, size_t i) {
  double v = 0;
  if (t->dtype == SDX_FLOAT) return (double)((const float *)t->data)[i];
  convert_to_doubles((sdx_dtype)t->dtype, t->data, i, 1, &v);
  return v;
}
// One element of an integer type (bool, the packed 4- and 2-bit kinds included) and back; a value out
// of range saturates.
int64_t convert_get_int(sdx_dtype dtype, const void *data, size_t index);
void convert_set_int(sdx_dtype dtype, void *data, size_t index, int64_t number);
