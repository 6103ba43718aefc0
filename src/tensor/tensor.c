// SPDX-License-Identifier: Apache-2.0
// Element types and shapes: the tables come from the one list in sardonyx/types.h; every size goes
// through checked arithmetic. Read next: value.c.
#include "tensor/tensor.h"

#include <stdio.h>

#include "base/size.h"

static const struct {
  const char *name;
  int bits;
} dtypes[SDX_DTYPE_COUNT] = {
#define X(name, number, onnx, numpy, bits) [number] = {onnx, bits},
    SDX_DTYPE_LIST(X)
#undef X
};

static bool known(sdx_dtype d) { return (int)d > 0 && d < SDX_DTYPE_COUNT; }

const char *dtype_name(sdx_dtype dtype) { return known(dtype) ? dtypes[dtype].name : "undefined"; }

sdx_dtype dtype_from_name(str name) {
  for (int i = 1; i < SDX_DTYPE_COUNT; i++)
    if (str_is(name, dtypes[i].name)) return (sdx_dtype)i;
  return SDX_UNDEFINED;
}

int dtype_bits(sdx_dtype dtype) { return known(dtype) ? dtypes[dtype].bits : 0; }

bool dtype_is_float(sdx_dtype d) {
  switch (d) {
    case SDX_FLOAT:
    case SDX_DOUBLE:
    case SDX_FLOAT16:
    case SDX_BFLOAT16:
    case SDX_FLOAT8E4M3FN:
    case SDX_FLOAT8E4M3FNUZ:
    case SDX_FLOAT8E5M2:
    case SDX_FLOAT8E5M2FNUZ:
    case SDX_FLOAT4E2M1:
    case SDX_FLOAT6E2M3:
    case SDX_FLOAT6E3M2:
    case SDX_FLOAT8E8M0:
      return true;
    default:
      return false;
  }
}

bool dtype_is_int(sdx_dtype d) {
  switch (d) {
    case SDX_UINT8:
    case SDX_INT8:
    case SDX_UINT16:
    case SDX_INT16:
    case SDX_INT32:
    case SDX_INT64:
    case SDX_UINT32:
    case SDX_UINT64:
    case SDX_UINT4:
    case SDX_INT4:
    case SDX_UINT2:
    case SDX_INT2:
      return true;
    default:
      return false;
  }
}

bool dtype_bytes(sdx_dtype dtype, size_t count, size_t *bytes) {
  size_t bits = (size_t)dtype_bits(dtype);
  if (bits == 0) return false;
  if (bits >= 8) return size_mul(count, bits / 8, bytes);
  size_t per_byte = 8 / bits;
  *bytes = count / per_byte + (count % per_byte != 0);
  return true;
}

sdx_status tensor_init(tensor *t, sdx_dtype dtype, size_t rank, const int64_t *dims, error *err) {
  char text[200];
  if (!known(dtype)) return error_set(err, SDX_INVALID_ARGUMENT, "element type %d is not known", (int)dtype);
  if (rank > TENSOR_MAX_RANK)
    return error_set(err, SDX_INVALID_SHAPE, "rank %zu is over the limit of %d", rank, TENSOR_MAX_RANK);
  *t = (tensor){.dims = dims, .dtype = (uint8_t)dtype, .rank = (uint8_t)rank};
  if (!size_product(dims, rank, &t->count) || !dtype_bytes(dtype, t->count, &t->bytes)) {
    for (size_t i = 0; i < rank; i++)
      if (dims[i] < 0)
        return error_set(err, SDX_INVALID_SHAPE, "dimension %zu of shape %s is negative", i,
                         shape_describe(dims, rank, text, sizeof text));
    return error_set(err, SDX_INVALID_SHAPE, "shape %s of %s has more bytes than can be addressed",
                     shape_describe(dims, rank, text, sizeof text), dtype_name(dtype));
  }
  return SDX_OK;
}

bool tensor_same_shape(const tensor *a, const tensor *b) {
  if (a->rank != b->rank) return false;
  for (size_t i = 0; i < a->rank; i++)
    if (a->dims[i] != b->dims[i]) return false;
  return true;
}

const char *shape_describe(const int64_t *dims, size_t rank, char *buffer, size_t size) {
  if (size == 0) return "";
  size_t used = 0;
  buffer[used++] = '[';
  for (size_t i = 0; i < rank && used < size; i++) {
    int n = dims[i] < 0 ? snprintf(buffer + used, size - used, "%s?", i ? "," : "")
                        : snprintf(buffer + used, size - used, "%s%lld", i ? "," : "", (long long)dims[i]);
    if (n < 0) break;
    used += (size_t)n;
  }
  if (used + 1 < size) {
    buffer[used] = ']';
    buffer[used + 1] = 0;
  } else {
    buffer[size - 1] = 0;
  }
  return buffer;
}

const char *tensor_describe(const tensor *t, char *buffer, size_t size) {
  int n = snprintf(buffer, size, "%s", dtype_name((sdx_dtype)t->dtype));
  if (n >= 0 && (size_t)n < size) shape_describe(t->dims, t->rank, buffer + n, size - (size_t)n);
  return buffer;
}

sdx_status axis_normalize(int64_t *axis, size_t rank, error_part part, error *err) {
  int64_t r = (int64_t)rank;
  if (*axis < -r || *axis >= r)
    return error_at(err, part, SDX_OUT_OF_RANGE, "is %lld, expected within [-%lld, %lld): the rank is %lld",
                    (long long)*axis, (long long)r, (long long)r, (long long)r);
  if (*axis < 0) *axis += r;
  return SDX_OK;
}
