// SPDX-License-Identifier: Apache-2.0
// Constants of float as bytes with scales (tensors.h).
#include "quantize/tensors.h"

#include <string.h>

sdx_value *scalar_float(float x) {
  sdx_value *v = sdx_tensor_create(SDX_FLOAT, 0, NULL);
  if (v) *(float *)sdx_tensor_data(v) = x;
  return v;
}

sdx_value *scalar_byte(sdx_dtype type, int32_t x) {
  sdx_value *v = sdx_tensor_create(type, 0, NULL);
  if (v) *(uint8_t *)sdx_tensor_data(v) = (uint8_t)x;
  return v;
}

bool weights_are_finite(const sdx_value *w) {
  const float *x = sdx_tensor_data(w);
  for (size_t i = 0; i < sdx_tensor_count(w); i++)
    if (!isfinite(x[i])) return false;
  return true;
}

bool weights_quantise(const sdx_value *w, int64_t axis, sdx_dtype type, quantised_weights *out) {
  size_t rank = sdx_tensor_rank(w), count = sdx_tensor_count(w), inner = 1;
  const int64_t *shape = sdx_tensor_shape(w);
  int64_t channels = axis < 0 ? 1 : shape[axis];
  for (size_t i = axis < 0 ? rank : (size_t)axis + 1; i < rank; i++) inner *= (size_t)shape[i];
  if (axis < 0) inner = count ? count : 1;
  *out = (quantised_weights){.bytes = sdx_tensor_create(type, rank, shape),
                             .scale = sdx_tensor_create(SDX_FLOAT, axis >= 0, &channels),
                             .zero = sdx_tensor_create(type, axis >= 0, &channels),
                             .axis = axis};
  if (!out->bytes || !out->scale || !out->zero) {
    sdx_value_release(out->bytes);
    sdx_value_release(out->scale);
    sdx_value_release(out->zero);
    return false;
  }
  const float *x = sdx_tensor_data(w);
  float *scale = sdx_tensor_data(out->scale);
  uint8_t *bytes = sdx_tensor_data(out->bytes);
  int32_t zero = type == SDX_UINT8 ? 128 : 0;
  for (size_t i = 0; i < count; i++) {
    size_t c = i / inner % (size_t)channels;
    if (fabsf(x[i]) > scale[c]) scale[c] = fabsf(x[i]);
  }
  for (int64_t c = 0; c < channels; c++) {
    scale[c] = scale[c] > 0 ? scale[c] / 127 : 1;
    ((uint8_t *)sdx_tensor_data(out->zero))[c] = (uint8_t)zero;
  }
  for (size_t i = 0; i < count; i++)
    bytes[i] = (uint8_t)(round_within(x[i] / scale[i / inner % (size_t)channels], (byte_type){-127, 127}) + zero);
  return true;
}
