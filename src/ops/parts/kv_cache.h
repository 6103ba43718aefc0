// SPDX-License-Identifier: Apache-2.0
// Rows of keys or values as caches keep them: floats, or x = (q - zero) * scale with one scale or one for each channel.
#pragma once

#include "ops/record.h"

typedef struct kv_cache {
  void *data;
  sdx_dtype dtype;     // of the numbers; packed ones start on a byte with every row
  const float *scale;  // NULL: not quantised
  bool by_channel;     // scale[head][channel]
  float zero;
  size_t width, stride;  // numbers of a row; elements from row to row
} kv_cache;

// Whether a type that is stored as it is needs a scale.
bool kv_cache_is_quantized(sdx_dtype dtype);
// Attribute `name`: NONE, PER_TENSOR or PER_CHANNEL.
sdx_status kv_cache_read_kind(op_params_context *c, const char *name, bool *quantized, bool *by_channel);
// Row `row` of the cache, which is one of head `head`. `scratch`: width numbers.
void kv_cache_read(const kv_cache *m, size_t row, size_t head, float *to);
void kv_cache_write(const kv_cache *m, size_t row, size_t head, const float *from, float *scratch);
