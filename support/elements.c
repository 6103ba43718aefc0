// SPDX-License-Identifier: Apache-2.0
// Elements of tensors as numbers and text (elements.h). The narrow floats are those of base/half.h and base/float8.h.
#include "support/elements.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/float8.h"

// The float kinds that take a byte each.
static const float8_kind *byte_kind(sdx_dtype d) { return float8_of(d) ? float8_of(d) : float6_of(d); }

bool dtype_is_complex(sdx_dtype d) { return d == SDX_COMPLEX64 || d == SDX_COMPLEX128; }
bool dtype_is_number(sdx_dtype d) { return d != SDX_STRING && !dtype_is_complex(d) && d != SDX_UNDEFINED; }
bool dtype_is_real(sdx_dtype d) {
  return d == SDX_FLOAT || d == SDX_DOUBLE || d == SDX_FLOAT16 || d == SDX_BFLOAT16 || d == SDX_FLOAT4E2M1 ||
         d == SDX_FLOAT8E8M0 || byte_kind(d);
}

static unsigned packed(const void *data, size_t i, unsigned bits) {
  size_t bit = i * bits;
  return ((const uint8_t *)data)[bit / 8] >> (bit % 8) & ((1u << bits) - 1);
}

static void set_packed(void *data, size_t i, unsigned bits, unsigned code) {
  size_t bit = i * bits;
  uint8_t *byte = (uint8_t *)data + bit / 8, mask = (uint8_t)(((1u << bits) - 1) << (bit % 8));
  *byte = (uint8_t)((*byte & ~mask) | (code << (bit % 8) & mask));
}

#define INTEGERS(X)                       \
  X(UINT8, uint8_t, 0, UINT8_MAX)         \
  X(INT8, int8_t, INT8_MIN, INT8_MAX)     \
  X(UINT16, uint16_t, 0, UINT16_MAX)      \
  X(INT16, int16_t, INT16_MIN, INT16_MAX) \
  X(UINT32, uint32_t, 0, UINT32_MAX)      \
  X(INT32, int32_t, INT32_MIN, INT32_MAX) \
  X(UINT64, uint64_t, 0, UINT64_MAX)      \
  X(INT64, int64_t, INT64_MIN, INT64_MAX)
#define PACKED_INTEGERS(X) X(UINT4, 4, 0, 15) X(INT4, 4, -8, 7) X(UINT2, 2, 0, 3) X(INT2, 2, -2, 1)

long double element_part(const sdx_value *v, size_t i, int part) {
  const void *data = sdx_tensor_data(v);
  sdx_dtype dtype = sdx_tensor_dtype(v);
  switch (dtype) {
    case SDX_FLOAT:
      return ((const float *)data)[i];
    case SDX_DOUBLE:
      return ((const double *)data)[i];
    case SDX_COMPLEX64:
      return ((const float *)data)[2 * i + (size_t)part];
    case SDX_COMPLEX128:
      return ((const double *)data)[2 * i + (size_t)part];
    case SDX_BOOL:
      return ((const uint8_t *)data)[i] != 0;
#define X(NAME, type, low, high) \
  case SDX_##NAME:               \
    return ((const type *)data)[i];
      INTEGERS(X)
#undef X
#define X(NAME, bits, low, high)                        \
  case SDX_##NAME: {                                    \
    int code = (int)packed(data, i, bits);              \
    return code > (high) ? code - (1 << (bits)) : code; \
  }
      PACKED_INTEGERS(X)
#undef X
    case SDX_FLOAT16:
      return fp16_to_float(((const uint16_t *)data)[i]);
    case SDX_BFLOAT16:
      return bf16_to_float(((const uint16_t *)data)[i]);
    case SDX_FLOAT4E2M1:
      return float8_to_float(&float4_e2m1, packed(data, i, 4));
    case SDX_FLOAT8E8M0:
      return float8_e8m0_to_float(((const uint8_t *)data)[i]);
    default:
      return byte_kind(dtype) ? float8_to_float(byte_kind(dtype), ((const uint8_t *)data)[i]) : 0;
  }
}

// 64-bit limits are exact in a long double, so the comparisons are, too.
static long double clamp(long double number, long double low, long double high) {
  if (isnan(number)) return 0;
  return number < low ? low : number > high ? high : number;
}

// What is too large becomes infinity where there is one, else the largest value.
static uint8_t float8_code(const float8_kind *kind, long double x) {
  return float8_from_float(kind, float_sticky((double)x), kind->infinity < 0);
}

void element_set_part(sdx_value *v, size_t i, int part, long double x) {
  void *data = sdx_tensor_data(v);
  sdx_dtype dtype = sdx_tensor_dtype(v);
  switch (dtype) {
    case SDX_FLOAT:
      ((float *)data)[i] = (float)x;
      break;
    case SDX_DOUBLE:
      ((double *)data)[i] = (double)x;
      break;
    case SDX_COMPLEX64:
      ((float *)data)[2 * i + (size_t)part] = (float)x;
      break;
    case SDX_COMPLEX128:
      ((double *)data)[2 * i + (size_t)part] = (double)x;
      break;
    case SDX_BOOL:
      ((uint8_t *)data)[i] = x != 0;
      break;
#define X(NAME, type, low, high)                       \
  case SDX_##NAME:                                     \
    ((type *)data)[i] = (type)clamp(x, (low), (high)); \
    break;
      INTEGERS(X)
#undef X
#define X(NAME, bits, low, high)                                       \
  case SDX_##NAME:                                                     \
    set_packed(data, i, bits, (unsigned)(int)clamp(x, (low), (high))); \
    break;
      PACKED_INTEGERS(X)
#undef X
    case SDX_FLOAT16:
      ((uint16_t *)data)[i] = fp16_from_double((double)x);
      break;
    case SDX_BFLOAT16:
      ((uint16_t *)data)[i] = bf16_from_double((double)x);
      break;
    case SDX_FLOAT4E2M1:
      set_packed(data, i, 4, float8_code(&float4_e2m1, x));
      break;
    case SDX_FLOAT8E8M0: {
      int exponent = 0;
      if (x > 0 && !isinf(x)) frexp((double)x, &exponent);
      ((uint8_t *)data)[i] = isnan(x) ? 255 : isinf(x) ? 254 : x > 0 ? (uint8_t)clamp(exponent + 126, 0, 254) : 0;
      break;
    }
    default:
      if (byte_kind(dtype)) ((uint8_t *)data)[i] = float8_code(byte_kind(dtype), x);
  }
}

void element_set(sdx_value *v, size_t i, long double number) { element_set_part(v, i, 0, number); }

bool element_holds(const sdx_value *v, size_t i, long double number) {
  long double held = element_number(v, i);
  return dtype_is_real(sdx_tensor_dtype(v)) ? !isinf(held) || isinf(number) : held == number;
}

// ---- text ------------------------------------------------------------------------------------

// Appends within the buffer; what does not fit is cut.
static void put(char *buffer, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void put(char *buffer, size_t size, const char *format, ...) {
  size_t used = strlen(buffer);
  va_list list;
  va_start(list, format);
  if (used + 1 < size) vsnprintf(buffer + used, size - used, format, list);
  va_end(list);
}

const char *element_text(const sdx_value *v, size_t i, char *buffer, size_t size) {
  sdx_dtype dtype = sdx_tensor_dtype(v);
  buffer[0] = 0;
  if (dtype == SDX_STRING) {
    size_t length;
    const char *bytes = sdx_tensor_string(v, i, &length);
    bool cut = length > 40;
    put(buffer, size, "\"%.*s%s\"", (int)(cut ? 40 : length), bytes ? bytes : "", cut ? "…" : "");
  } else if (dtype == SDX_BOOL) {
    put(buffer, size, "%s", element_number(v, i) != 0 ? "true" : "false");
  } else if (dtype_is_complex(dtype)) {
    put(buffer, size, "%.6g%+.6gi", (double)element_part(v, i, 0), (double)element_part(v, i, 1));
  } else if (dtype_is_real(dtype)) {
    put(buffer, size, "%.6g", (double)element_number(v, i));
  } else {
    put(buffer, size, "%.0Lf", element_number(v, i));
  }
  return buffer;
}

const char *shape_text(size_t rank, const int64_t *shape, char *buffer, size_t size) {
  buffer[0] = 0;
  if (!rank) put(buffer, size, "scalar");
  for (size_t i = 0; i < rank; i++) put(buffer, size, "%s%lld", i ? "×" : "", (long long)shape[i]);
  return buffer;
}

const char *value_describe(const sdx_value *v, char *buffer, size_t size) {
  buffer[0] = 0;
  if (!v || sdx_value_kind(v) == SDX_KIND_NONE) {
    put(buffer, size, "nothing");
  } else if (sdx_value_kind(v) == SDX_KIND_SEQUENCE) {
    put(buffer, size, "sequence of %zu", sdx_value_item_count(v));
  } else if (sdx_value_kind(v) == SDX_KIND_MAP) {
    put(buffer, size, "map of %zu", sdx_tensor_count(sdx_value_item(v, 0)));
  } else {
    put(buffer, size, "%s[", sdx_dtype_name(sdx_tensor_dtype(v)));
    for (size_t i = 0; i < sdx_tensor_rank(v); i++)
      put(buffer, size, "%s%lld", i ? "," : "", (long long)sdx_tensor_shape(v)[i]);
    put(buffer, size, "]");
  }
  return buffer;
}

const char *io_describe(const sdx_io *io, char *buffer, size_t size) {
  buffer[0] = 0;
  if (io->dtype == SDX_UNDEFINED) {
    put(buffer, size, "%s", io->type);
    return buffer;
  }
  put(buffer, size, "%s", sdx_dtype_name(io->dtype));
  if (!io->has_shape) {
    put(buffer, size, "[...]");
    return buffer;
  }
  for (size_t i = 0; i < io->rank; i++) {
    put(buffer, size, "%s", i ? "," : "[");
    if (io->shape[i] >= 0) put(buffer, size, "%lld", (long long)io->shape[i]);
    else put(buffer, size, "%s", io->symbols && io->symbols[i] && *io->symbols[i] ? io->symbols[i] : "?");
  }
  put(buffer, size, "%s", io->rank ? "]" : "[]");
  return buffer;
}

const char *value_preview(const sdx_value *v, size_t limit, char *buffer, size_t size) {
  char element[128];
  buffer[0] = 0;
  if (!v) return buffer;
  switch (sdx_value_kind(v)) {
    case SDX_KIND_TENSOR:
      for (size_t i = 0; i < sdx_tensor_count(v) && i < limit; i++)
        put(buffer, size, "%s%s", i ? " " : "", element_text(v, i, element, sizeof element));
      if (sdx_tensor_count(v) > limit) put(buffer, size, " …");
      break;
    case SDX_KIND_MAP: {
      const sdx_value *keys = sdx_value_item(v, 0), *values = sdx_value_item(v, 1);
      put(buffer, size, "{");
      for (size_t i = 0; i < sdx_tensor_count(keys) && i < limit; i++) {
        put(buffer, size, "%s%s: ", i ? ", " : "", element_text(keys, i, element, sizeof element));
        put(buffer, size, "%s", element_text(values, i, element, sizeof element));
      }
      put(buffer, size, "%s}", sdx_tensor_count(keys) > limit ? ", …" : "");
      break;
    }
    case SDX_KIND_SEQUENCE: {
      char inner[512];
      size_t count = sdx_value_item_count(v);
      put(buffer, size, "[");
      for (size_t i = 0; i < count && i < 2; i++)
        put(buffer, size, "%s%s", i ? ", " : "", value_preview(sdx_value_item(v, i), limit, inner, sizeof inner));
      put(buffer, size, "%s]", count > 2 ? ", …" : "");
      break;
    }
    case SDX_KIND_NONE:
      break;
  }
  return buffer;
}

// ---- whole tensors ---------------------------------------------------------------------------

sdx_value *tensor_convert(const sdx_value *v, sdx_dtype dtype) {
  if (!dtype_is_number(dtype) || !dtype_is_number(sdx_tensor_dtype(v))) return NULL;
  sdx_value *copy = sdx_tensor_create(dtype, sdx_tensor_rank(v), sdx_tensor_shape(v));
  if (!copy) return NULL;
  for (size_t i = 0; i < sdx_tensor_count(v); i++) element_set(copy, i, element_number(v, i));
  return copy;
}

static void release(void *value) { sdx_value_release(value); }

static sdx_value *view(sdx_value *v, sdx_dtype dtype, size_t rank, const int64_t *shape) {
  sdx_value *made = sdx_tensor_borrow(dtype, rank, shape, sdx_tensor_data(v), release, v);
  if (made) sdx_value_retain(v);
  return made;
}

sdx_value *tensor_view_bits(sdx_value *v, sdx_dtype dtype) {
  return view(v, dtype, sdx_tensor_rank(v), sdx_tensor_shape(v));
}

sdx_value *tensor_reshape(sdx_value *v, size_t rank, const int64_t *shape) {
  if (sdx_tensor_dtype(v) != SDX_STRING && sdx_tensor_count(v)) return view(v, sdx_tensor_dtype(v), rank, shape);
  sdx_value *copy = sdx_tensor_create(sdx_tensor_dtype(v), rank, shape);
  for (size_t i = 0; copy && i < sdx_tensor_count(v) && sdx_tensor_dtype(v) == SDX_STRING; i++) {
    size_t length;
    const char *bytes = sdx_tensor_string(v, i, &length);
    if (sdx_tensor_set_string(copy, i, bytes, length)) {
      sdx_value_release(copy);
      return NULL;
    }
  }
  return copy;
}
