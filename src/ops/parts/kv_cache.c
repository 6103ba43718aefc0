// SPDX-License-Identifier: Apache-2.0
// See kv_cache.h.
#include "ops/parts/kv_cache.h"

#include <math.h>

#include "ops/parts/elementwise.h"
#include "ops/parts/widen.h"

bool kv_cache_is_quantized(sdx_dtype dtype) { return dtype != SDX_FLOAT && !dtype_is_half((int)dtype); }

sdx_status kv_cache_read_kind(op_params_context *c, const char *name, bool *quantized, bool *by_channel) {
  str kind = params_string(c, name);
  *by_channel = str_is(kind, "PER_CHANNEL");
  *quantized = *by_channel || str_is(kind, "PER_TENSOR");
  if (*quantized || str_is(kind, "NONE")) return SDX_OK;
  return params_fail(c, name, "is '%.*s', expected one of NONE, PER_TENSOR, PER_CHANNEL", STR_ARG(kind));
}

static const float *scales_of(const kv_cache *m, size_t head) {
  return m->by_channel ? m->scale + head * m->width : m->scale;
}

void kv_cache_read(const kv_cache *m, size_t row, size_t head, float *to) {
  widen_read(m->dtype, m->data, row * m->stride, m->width, to);
  const float *scale = scales_of(m, head);
  for (size_t k = 0; scale && k < m->width; k++) to[k] = (to[k] - m->zero) * scale[m->by_channel ? k : 0];
}

// The largest number of a type that is written; float8 saturates, too.
static float largest(const kv_cache *m) {
  switch (m->dtype) {
    case SDX_INT8:
      return 127;
    case SDX_INT4:
    case SDX_UINT4:  // around its zero
      return 7;
    case SDX_FLOAT4E2M1:
      return 6;
    default:
      return 448;
  }
}

void kv_cache_write(const kv_cache *m, size_t row, size_t head, const float *from, float *scratch) {
  const float *scale = scales_of(m, head);
  bool whole = m->dtype == SDX_INT8 || m->dtype == SDX_INT4 || m->dtype == SDX_UINT4;
  float high = largest(m), low = whole ? -high - 1 : -high;
  for (size_t k = 0; scale && k < m->width; k++) {
    float v = from[k] / scale[m->by_channel ? k : 0];
    v = v > high ? high : v < low ? low : v;
    scratch[k] = (whole ? rintf(v) : v) + m->zero;
  }
  widen_write(m->dtype, m->data, row * m->stride, m->width, scale ? scratch : from);
}
