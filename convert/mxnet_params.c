// SPDX-License-Identifier: Apache-2.0
// MXNet's file of parameters: arrays one after the other, then their names. Arrays have been written in four ways.
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "convert/mxnet.h"

enum { MARK = 0x112 };
static const uint32_t first_mark = 0xF993fac8, second_mark = 0xF993fac9, third_mark = 0xF993faca;

typedef struct reader {
  mxnet *m;
  str all;
  size_t at;
  const char *file;
} reader;

static bool fail(reader *r, const char *wrong) {
  char place[300];
  snprintf(place, sizeof place, "%.250s, byte %zu", r->file, r->at);
  return !convert_fail(r->m->c, SDX_INVALID_MODEL, place, "is the file cut short?", "%s", wrong);
}

static bool take(reader *r, size_t bytes, uint64_t *number) {
  if (r->all.size - r->at < bytes) return fail(r, "the file ends within a number");
  *number = 0;
  for (size_t i = 0; i < bytes; i++) *number |= (uint64_t)(unsigned char)r->all.at[r->at + i] << 8 * i;
  r->at += bytes;
  return true;
}

static bool take_shape(reader *r, size_t dimension_bytes, net_tensor *shape) {
  uint64_t rank, size;
  if (!take(r, 4, &rank)) return false;
  if (rank > NET_RANK) return fail(r, "an array of too many dimensions, or none");
  for (shape->rank = 0; shape->rank < rank; shape->rank++) {
    if (!take(r, dimension_bytes, &size)) return false;
    if (size > INT32_MAX) return fail(r, "a dimension that is too large");
    shape->shape[shape->rank] = (int64_t)size;
  }
  return true;
}

static bool take_numbers(reader *r, mxnet_array *a) {
  static const struct {
    net_coding coding;
    sdx_dtype dtype;
    size_t bytes;
  } types[] = {{NET_F32, SDX_FLOAT, 4}, {NET_F64, SDX_FLOAT, 8}, {NET_F16, SDX_FLOAT, 2}, {NET_U8, SDX_INT32, 1},
               {NET_I32, SDX_INT32, 4}, {NET_I8, SDX_INT32, 1},  {NET_I64, SDX_INT64, 8}, {NET_U8, SDX_BOOL, 1}};
  uint64_t device, type;
  size_t count, bytes;
  if (!take(r, 8, &device) || !take(r, 4, &type)) return false;
  if (type >= sizeof types / sizeof *types) return fail(r, "an array of an unknown type");
  if (!size_product(a->shape.shape, a->shape.rank, &count) || !size_mul(count, types[type].bytes, &bytes) ||
      bytes > r->all.size - r->at)
    return fail(r, "an array reaches past the end of the file");
  a->numbers = (net_numbers){.at = r->all.at + r->at, .coding = types[type].coding, .count = count};
  a->dtype = types[type].dtype;
  r->at += bytes;
  return true;
}

static bool take_array(reader *r, mxnet_array *a) {
  uint64_t mark, storage;
  if (!take(r, 4, &mark)) return false;
  if (mark == second_mark || mark == third_mark) {
    if (!take(r, 4, &storage)) return false;
    if ((int32_t)storage > 0) return fail(r, "a sparse array");
    return take_shape(r, 8, &a->shape) && (a->shape.rank == 0 && mark == second_mark ? true : take_numbers(r, a));
  }
  if (mark == first_mark) return take_shape(r, 8, &a->shape) && (!a->shape.rank || take_numbers(r, a));
  r->at -= 4;
  return take_shape(r, 4, &a->shape) && (!a->shape.rank || take_numbers(r, a));
}

static bool take_name(reader *r, mxnet_array *a) {
  uint64_t size;
  if (!take(r, 8, &size)) return false;
  if (size > r->all.size - r->at) return fail(r, "a name reaches past the end of the file");
  a->name = (str){r->all.at + r->at, (size_t)size};
  r->at += (size_t)size;
  if (size > 4 && (!memcmp(a->name.at, "arg:", 4) || !memcmp(a->name.at, "aux:", 4)))
    a->name = (str){a->name.at + 4, a->name.size - 4};
  return true;
}

bool mxnet_read_arrays(mxnet *m, str bytes, const char *file) {
  enum { LEAST_BYTES = 8 };  // of an array
  reader r = {m, bytes, 0, file};
  uint64_t mark, reserved, count, names;
  if (!take(&r, 8, &mark) || !take(&r, 8, &reserved) || !take(&r, 8, &count)) return false;
  if (mark != MARK) return fail(&r, "this is no file of MXNet's arrays");
  if (count > bytes.size / LEAST_BYTES) return fail(&r, "more arrays than the file has room for");
  m->arrays = arena_array(m->c->memory, (size_t)count + 1, sizeof *m->arrays);
  if (!m->arrays) return !convert_no_memory(m->c);
  for (m->array_count = 0; m->array_count < count; m->array_count++)
    if (!take_array(&r, &m->arrays[m->array_count])) return false;
  if (!take(&r, 8, &names)) return false;
  if (names != count) return fail(&r, "arrays without names");
  for (size_t i = 0; i < count; i++)
    if (!take_name(&r, &m->arrays[i]) || !str_map_put(&m->array_of, m->arrays[i].name, (uint32_t)i))
      return convert_failed(m->c) ? false : !convert_no_memory(m->c);
  return true;
}
