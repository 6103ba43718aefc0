// SPDX-License-Identifier: Apache-2.0
// TensorProto and its relatives, read by the engine; and headerless elements (.raw, .bin).
#include <string.h>

#include "cli/io.h"
#include "support/elements.h"

sdx_value *pb_read(const void *bytes, size_t size, const char *type, why *w) {
  sdx_value *v = NULL;
  why inner = {""};
  sdx_status status = sdx_value_from_pb(bytes, size, type, &v, inner.text, sizeof inner.text);
  if (status == SDX_OK) return v;
  return why_set(w, "%.500s", *inner.text ? inner.text : sdx_status_text(status));
}

static bool varint(const unsigned char **at, const unsigned char *end, uint64_t *out) {
  *out = 0;
  for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
    unsigned char byte = *(*at)++;
    *out |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

// Field 8 of the top-level message. Test sets tell inputs apart by it when files are not in order.
const char *pb_name(const void *bytes, size_t size, char *buffer, size_t buffer_size) {
  const unsigned char *at = bytes, *end = at + size;
  uint64_t key, length;
  buffer[0] = 0;
  while (at < end && varint(&at, end, &key)) {
    size_t skip;
    switch (key & 7) {
      case 0:
        if (!varint(&at, end, &length)) return buffer;
        continue;
      case 1:
        skip = 8;
        break;
      case 5:
        skip = 4;
        break;
      case 2:
        if (!varint(&at, end, &length) || length > (size_t)(end - at)) return buffer;
        if (key >> 3 == 8 && length < buffer_size) {
          memcpy(buffer, at, (size_t)length);
          buffer[length] = 0;
        }
        skip = (size_t)length;
        break;
      default:
        return buffer;
    }
    if (skip > (size_t)(end - at)) return buffer;
    at += skip;
  }
  return buffer;
}

sdx_value *raw_read(const void *bytes, size_t size, const sdx_io *io, why *w) {
  char wanted[256];
  io_describe(io, wanted, sizeof wanted);
  size_t bits = (size_t)sdx_dtype_bits(io->dtype), fixed = 1, free_dims = 0, free_at = 0;
  if (!dtype_is_number(io->dtype) && !dtype_is_complex(io->dtype))
    return why_set(w, "raw elements cannot hold %s", wanted);
  if (!io->has_shape || io->rank > 64) return why_set(w, "raw elements need a shape, but the input takes any");
  int64_t shape[64];
  for (size_t d = 0; d < io->rank; d++) {
    shape[d] = io->shape[d];
    if (shape[d] < 0) {
      free_dims++;
      free_at = d;
    } else if (__builtin_mul_overflow(fixed, (size_t)shape[d], &fixed)) {
      return why_set(w, "the shape %s is too large", wanted);
    }
  }
  size_t elements = size * 8 / bits;
  // One free dimension follows from the size; more of them are taken as 1 but the first (the batch).
  for (size_t d = 0; d < io->rank && free_dims; d++)
    if (io->shape[d] < 0) {
      free_at = d;
      break;
    }
  for (size_t d = 0; d < io->rank; d++)
    if (io->shape[d] < 0) shape[d] = d == free_at && fixed ? (int64_t)(elements / fixed) : 1;
  sdx_value *v = sdx_tensor_create(io->dtype, io->rank, shape);
  if (!v) return why_set(w, "not enough memory for %s", wanted);
  if (sdx_tensor_bytes(v) != size || !size) {
    size_t expected = sdx_tensor_bytes(v);
    sdx_value_release(v);
    return why_set(w, "%zu bytes, expected %s%zu for %s", size, free_dims ? "a multiple of " : "",
                   free_dims ? fixed * bits / 8 : expected, wanted);
  }
  memcpy(sdx_tensor_data(v), bytes, size);
  return v;
}
