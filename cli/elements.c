// SPDX-License-Identifier: Apache-2.0
// Elements of tensors as numbers and text (elements.h). The small floats share one decoder and one
// encoder, driven by their exponent and mantissa widths.
#include "cli/elements.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct small_float {
  int exponent_bits, mantissa_bits, bias;
  enum { IEEE, FINITE, FN, FNUZ } specials;  // which codes mean infinity and NaN
} small_float;

static const small_float *small_float_of(sdx_dtype dtype) {
  static const small_float half = {5, 10, 15, IEEE}, bf16 = {8, 7, 127, IEEE}, e4m3fn = {4, 3, 7, FN},
                           e4m3fnuz = {4, 3, 8, FNUZ}, e5m2 = {5, 2, 15, IEEE}, e5m2fnuz = {5, 2, 16, FNUZ},
                           e2m1 = {2, 1, 1, FINITE};
  switch (dtype) {
    case SDX_FLOAT16:
      return &half;
    case SDX_BFLOAT16:
      return &bf16;
    case SDX_FLOAT8E4M3FN:
      return &e4m3fn;
    case SDX_FLOAT8E4M3FNUZ:
      return &e4m3fnuz;
    case SDX_FLOAT8E5M2:
      return &e5m2;
    case SDX_FLOAT8E5M2FNUZ:
      return &e5m2fnuz;
    case SDX_FLOAT4E2M1:
      return &e2m1;
    default:
      return NULL;
  }
}

static double decode(const small_float *f, unsigned code) {
  unsigned mantissa = code & ((1u << f->mantissa_bits) - 1);
  unsigned top = (1u << f->exponent_bits) - 1, exponent = code >> f->mantissa_bits & top;
  unsigned sign_bit = 1u << (f->exponent_bits + f->mantissa_bits);
  double sign = code & sign_bit ? -1 : 1;
  if (f->specials == FNUZ && code == sign_bit) return NAN;
  if (f->specials == IEEE && exponent == top) return mantissa ? NAN : sign * INFINITY;
  if (f->specials == FN && exponent == top && mantissa == (1u << f->mantissa_bits) - 1) return NAN;
  if (!exponent) return sign * ldexp(mantissa, 1 - f->bias - f->mantissa_bits);
  return sign * ldexp((1u << f->mantissa_bits) + mantissa, (int)exponent - f->bias - f->mantissa_bits);
}

static unsigned encode(const small_float *f, double number) {
  unsigned sign_bit = 1u << (f->exponent_bits + f->mantissa_bits), infinite = sign_bit - (1u << f->mantissa_bits);
  unsigned not_a_number = f->specials == IEEE   ? infinite | 1u << (f->mantissa_bits - 1)
                          : f->specials == FN   ? sign_bit - 1
                          : f->specials == FNUZ ? sign_bit
                                                : 0;
  if (isnan(number)) return not_a_number;
  unsigned sign = signbit(number) ? sign_bit : 0;
  // The greatest finite code; beyond it: infinity where there is one, else that greatest value.
  unsigned greatest = f->specials == IEEE ? infinite - 1 : f->specials == FN ? sign_bit - 2 : sign_bit - 1;
  unsigned over = f->specials == IEEE ? infinite : greatest;
  double size = fabs(number);
  if (isinf(number)) return sign | over;
  if (size == 0) return f->specials == FNUZ ? 0 : sign;
  int exponent;
  frexp(size, &exponent);
  if (--exponent < 1 - f->bias) exponent = 1 - f->bias;
  double quanta = nearbyint(ldexp(size, f->mantissa_bits - exponent));  // exact scaling, ties to even
  if (quanta >= ldexp(1, 30)) return sign | over;
  // A mantissa that rounded up to the next power of two carries into the exponent by the addition.
  long code = ((long)(exponent + f->bias - 1) << f->mantissa_bits) + (long)quanta;
  if (code > (long)greatest) return sign | over;
  return code || f->specials != FNUZ ? sign | (unsigned)code : 0;
}

bool dtype_is_complex(sdx_dtype d) { return d == SDX_COMPLEX64 || d == SDX_COMPLEX128; }
bool dtype_is_number(sdx_dtype d) { return d != SDX_STRING && !dtype_is_complex(d) && d != SDX_UNDEFINED; }
bool dtype_is_real(sdx_dtype d) {
  return d == SDX_FLOAT || d == SDX_DOUBLE || d == SDX_FLOAT8E8M0 || small_float_of(d);
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
    case SDX_UINT8:
      return ((const uint8_t *)data)[i];
    case SDX_INT8:
      return ((const int8_t *)data)[i];
    case SDX_UINT16:
      return ((const uint16_t *)data)[i];
    case SDX_INT16:
      return ((const int16_t *)data)[i];
    case SDX_UINT32:
      return ((const uint32_t *)data)[i];
    case SDX_INT32:
      return ((const int32_t *)data)[i];
    case SDX_UINT64:
      return ((const uint64_t *)data)[i];
    case SDX_INT64:
      return ((const int64_t *)data)[i];
    case SDX_UINT4:
      return packed(data, i, 4);
    case SDX_INT4:
      return (int)(packed(data, i, 4) ^ 8) - 8;
    case SDX_UINT2:
      return packed(data, i, 2);
    case SDX_INT2:
      return (int)(packed(data, i, 2) ^ 2) - 2;
    case SDX_FLOAT4E2M1:
      return decode(small_float_of(dtype), packed(data, i, 4));
    case SDX_FLOAT8E8M0:
      return ((const uint8_t *)data)[i] == 255 ? NAN : ldexp(1, ((const uint8_t *)data)[i] - 127);
    case SDX_FLOAT16:
    case SDX_BFLOAT16:
      return decode(small_float_of(dtype), ((const uint16_t *)data)[i]);
    default:
      return small_float_of(dtype) ? decode(small_float_of(dtype), ((const uint8_t *)data)[i]) : 0;
  }
}

static int64_t clamp(long double number, long double low, long double high) {
  if (isnan(number)) return 0;
  return (int64_t)(number < low ? low : number > high ? high : number);
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
    case SDX_UINT8:
      ((uint8_t *)data)[i] = (uint8_t)clamp(x, 0, UINT8_MAX);
      break;
    case SDX_INT8:
      ((int8_t *)data)[i] = (int8_t)clamp(x, INT8_MIN, INT8_MAX);
      break;
    case SDX_UINT16:
      ((uint16_t *)data)[i] = (uint16_t)clamp(x, 0, UINT16_MAX);
      break;
    case SDX_INT16:
      ((int16_t *)data)[i] = (int16_t)clamp(x, INT16_MIN, INT16_MAX);
      break;
    case SDX_UINT32:
      ((uint32_t *)data)[i] = (uint32_t)clamp(x, 0, UINT32_MAX);
      break;
    case SDX_INT32:
      ((int32_t *)data)[i] = (int32_t)clamp(x, INT32_MIN, INT32_MAX);
      break;
    case SDX_UINT64:
      ((uint64_t *)data)[i] = !(x > 0) ? 0 : x >= 18446744073709551615.0L ? UINT64_MAX : (uint64_t)x;
      break;
    case SDX_INT64:
      ((int64_t *)data)[i] = x >= 9223372036854775807.0L ? INT64_MAX : clamp(x, INT64_MIN, INT64_MAX);
      break;
    case SDX_UINT4:
      set_packed(data, i, 4, (unsigned)clamp(x, 0, 15));
      break;
    case SDX_INT4:
      set_packed(data, i, 4, (unsigned)clamp(x, -8, 7));
      break;
    case SDX_UINT2:
      set_packed(data, i, 2, (unsigned)clamp(x, 0, 3));
      break;
    case SDX_INT2:
      set_packed(data, i, 2, (unsigned)clamp(x, -2, 1));
      break;
    case SDX_FLOAT4E2M1:
      set_packed(data, i, 4, encode(small_float_of(dtype), (double)x));
      break;
    case SDX_FLOAT8E8M0: {
      int exponent = 0;
      if (x > 0 && !isinf(x)) frexp((double)x, &exponent);
      ((uint8_t *)data)[i] = isnan(x) ? 255 : isinf(x) ? 254 : x > 0 ? (uint8_t)clamp(exponent + 126, 0, 254) : 0;
      break;
    }
    case SDX_FLOAT16:
    case SDX_BFLOAT16:
      ((uint16_t *)data)[i] = (uint16_t)encode(small_float_of(dtype), (double)x);
      break;
    default:
      if (small_float_of(dtype)) ((uint8_t *)data)[i] = (uint8_t)encode(small_float_of(dtype), (double)x);
  }
}

void element_set(sdx_value *v, size_t i, long double number) { element_set_part(v, i, 0, number); }

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
