// SPDX-License-Identifier: Apache-2.0
// The judge of convert: base/half.h and plain casts.
#include "base/half.h"
#include "kernels/convert/convert.h"

#define LOOP(name, From, To, expression)                               \
  static void name(const From *restrict x, To *restrict y, size_t n) { \
    for (size_t i = 0; i < n; i++) y[i] = (To)(expression);            \
  }
#include "kernels/convert/plain.inl"
LOOP(fp16_to_f32, uint16_t, float, fp16_to_float(x[i]))
LOOP(f32_to_fp16, float, uint16_t, fp16_from_float(x[i]))

#include "kernels/convert/table.inl"
