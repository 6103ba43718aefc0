// SPDX-License-Identifier: Apache-2.0
// Elements of any real type as float and back: tensor/convert.h with float16 and bfloat16 in vectors, as operators
// that compute them in float do it for every element.
#pragma once

#include "tensor/convert.h"

static inline bool dtype_is_half(int dtype) { return dtype == SDX_FLOAT16 || dtype == SDX_BFLOAT16; }

bool widen_read(sdx_dtype from, const void *data, size_t first, size_t count, float *to);
bool widen_write(sdx_dtype to, void *data, size_t first, size_t count, const float *from);
