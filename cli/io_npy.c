// SPDX-License-Identifier: Apache-2.0
// NumPy's .npy: magic, version, a Python dict literal {'descr', 'fortran_order', 'shape'}, elements.
// Pickled objects are refused: reading them would mean running them.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "cli/io.h"
#include "cli/table.h"
#include "support/elements.h"

enum { MAX_RANK = 64, MOST_EMPTY = 1 << 20 };

typedef struct header {
  char order, kind;  // '<' '>' '|' '='; 'f' 'i' 'u' 'b' 'c' 'U' 'S' 'V' 'O'
  size_t width;      // bytes of an element; code points for 'U'
  bool fortran;
  size_t rank;
  int64_t shape[MAX_RANK];
} header;

static const char *skip_space(const char *s) {
  while (isspace((unsigned char)*s)) s++;
  return s;
}

// The value after 'key': in the dict literal; the text is NUL-terminated.
static const char *dict_value(const char *dict, const char *key) {
  char quoted[32];
  snprintf(quoted, sizeof quoted, "'%s'", key);
  const char *at = strstr(dict, quoted);
  if (!at) {
    quoted[0] = quoted[strlen(quoted) - 1] = '"';
    at = strstr(dict, quoted);
  }
  if (!at) return NULL;
  at = skip_space(at + strlen(quoted));
  return *at == ':' ? skip_space(at + 1) : NULL;
}

static bool parse_header(const char *dict, header *h, why *w) {
  const char *descr = dict_value(dict, "descr"), *fortran = dict_value(dict, "fortran_order");
  const char *shape = dict_value(dict, "shape");
  if (!descr || !fortran || !shape) return why_set(w, ".npy header lacks descr, fortran_order or shape");
  if (*descr != '\'' && *descr != '"') return why_set(w, ".npy holds records with fields; expected plain elements");
  char *end;
  if (!descr[1] || !descr[2]) return why_set(w, ".npy descr is not readable");
  h->order = descr[1];
  h->kind = strchr("<>|=", h->order) ? descr[2] : descr[1];
  unsigned long long width = strtoull(descr + (strchr("<>|=", h->order) ? 3 : 2), &end, 10);
  if (end > descr + 24) return why_set(w, ".npy descr is not readable");
  if (h->kind == 'O')
    return why_set(w, ".npy holds pickled objects, which cannot be read; save text as array.astype(str)");
  h->width = (size_t)width;
  h->fortran = !strncmp(fortran, "True", 4);
  if (*shape++ != '(') return why_set(w, ".npy shape is not a tuple");
  for (shape = skip_space(shape); *shape != ')'; shape = skip_space(shape)) {
    errno = 0;
    long long dim = strtoll(shape, &end, 10);
    if (errno) return why_set(w, ".npy shape has a dimension that is too large: %.*s", (int)(end - shape), shape);
    if (end == shape || dim < 0) return why_set(w, ".npy shape holds something that is not a dimension");
    if (h->rank == MAX_RANK) return why_set(w, ".npy has more than %d dimensions", MAX_RANK);
    h->shape[h->rank++] = dim;
    shape = skip_space(*end == 'L' ? end + 1 : end);
    if (*shape == ',') shape++;
    else if (*shape != ')') return why_set(w, ".npy shape is not readable");
  }
  return true;
}

static sdx_dtype dtype_of(const header *h) {
  size_t n = h->width;
  switch (h->kind) {
    case 'f':
      return n == 2 ? SDX_FLOAT16 : n == 4 ? SDX_FLOAT : n == 8 ? SDX_DOUBLE : SDX_UNDEFINED;
    case 'i':
      return n == 1 ? SDX_INT8 : n == 2 ? SDX_INT16 : n == 4 ? SDX_INT32 : n == 8 ? SDX_INT64 : SDX_UNDEFINED;
    case 'u':
      return n == 1 ? SDX_UINT8 : n == 2 ? SDX_UINT16 : n == 4 ? SDX_UINT32 : n == 8 ? SDX_UINT64 : SDX_UNDEFINED;
    case 'b':
      return n == 1 ? SDX_BOOL : SDX_UNDEFINED;
    case 'c':
      return n == 8 ? SDX_COMPLEX64 : n == 16 ? SDX_COMPLEX128 : SDX_UNDEFINED;
    case 'V':
      return n == 2 ? SDX_BFLOAT16 : SDX_UNDEFINED;
    case 'U':
    case 'S':
      return SDX_STRING;
    default:
      return SDX_UNDEFINED;
  }
}

static bool read_string(sdx_value *v, size_t i, const unsigned char *at, const header *h, char *text) {
  size_t length = 0;
  if (h->kind == 'S') {
    for (length = h->width; length && !at[length - 1];) length--;
    return !sdx_tensor_set_string(v, i, (const char *)at, length);
  }
  size_t points = h->width;
  while (points && !(at[4 * points - 4] | at[4 * points - 3] | at[4 * points - 2] | at[4 * points - 1])) points--;
  for (size_t p = 0; p < points; p++, at += 4) {
    uint32_t point = h->order == '>' ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3]
                                     : (uint32_t)at[3] << 24 | (uint32_t)at[2] << 16 | (uint32_t)at[1] << 8 | at[0];
    bool valid = point <= 0x10ffff && !(point >= 0xd800 && point < 0xe000);
    length += utf8_put(text + length, valid ? (int32_t)point : 0xfffd);
  }
  return !sdx_tensor_set_string(v, i, text, length);
}

// Copies elements in row-major order, whatever order and endianness the file has.
static bool read_elements(sdx_value *v, const header *h, const unsigned char *data, size_t bytes) {
  size_t count = sdx_tensor_count(v), part = h->kind == 'c' ? h->width / 2 : h->width;
  char *text = h->kind == 'U' ? malloc(4 * h->width + 1) : NULL;
  unsigned char *to = sdx_tensor_data(v);
  if (h->kind == 'U' && !text) return false;
  int64_t index[MAX_RANK] = {0};
  bool ok = true;
  for (size_t i = 0; i < count && ok; i++) {
    size_t from = i;
    if (h->fortran) {
      size_t stride = 1;
      from = 0;
      for (size_t d = 0; d < h->rank; d++) {
        from += (size_t)index[d] * stride;
        stride *= (size_t)h->shape[d];
      }
      for (size_t d = h->rank; d-- > 0 && ++index[d] == h->shape[d];) index[d] = 0;
    }
    const unsigned char *at = data + from * bytes;
    if (h->kind == 'U' || h->kind == 'S') {
      ok = read_string(v, i, at, h, text);
    } else if (h->order == '>') {
      for (size_t b = 0; b < bytes; b++) to[i * bytes + b] = at[b / part * part + part - 1 - b % part];
    } else {
      memcpy(to + i * bytes, at, bytes);
    }
  }
  free(text);
  return ok;
}

sdx_value *npy_read(const void *bytes, size_t size, why *w) {
  const unsigned char *at = bytes;
  if (size < 12 || memcmp(at, "\x93NUMPY", 6)) return why_set(w, "not a .npy file: it does not begin with \\x93NUMPY");
  size_t start = at[6] == 1 ? 10 : 12;
  size_t length = at[6] == 1 ? at[8] | (size_t)at[9] << 8
                             : at[8] | (size_t)at[9] << 8 | (size_t)at[10] << 16 | (size_t)at[11] << 24;
  if (at[6] < 1 || at[6] > 3) return why_set(w, ".npy version %d.%d is not known (1 to 3 are)", at[6], at[7]);
  if (length > size - start) return why_set(w, ".npy ends inside its header");
  char *dict = malloc(length + 1);
  if (!dict) return why_set(w, "out of memory");
  memcpy(dict, at + start, length);
  dict[length] = 0;
  header h = {0};
  bool ok = parse_header(dict, &h, w);
  free(dict);
  if (!ok) return NULL;
  sdx_dtype dtype = dtype_of(&h);
  if (!dtype) return why_set(w, ".npy elements of kind '%c%zu' have no ONNX type", h.kind, h.width);
  size_t unit, rest = size - start - length, count = 1;
  if (__builtin_mul_overflow(h.width, h.kind == 'U' ? 4 : 1, &unit)) return why_set(w, ".npy element is too wide");
  for (size_t d = 0; d < h.rank; d++)
    if (__builtin_mul_overflow(count, (size_t)h.shape[d], &count))
      return why_set(w, ".npy shape has more elements than can be addressed");
  // Empty strings take no bytes: without this, a short file could ask for any number of them.
  if (!unit && count > MOST_EMPTY) return why_set(w, ".npy asks for more than %d empty strings", MOST_EMPTY);
  size_t need;
  char found[32], wanted[32];
  if (__builtin_mul_overflow(count, unit, &need) || need > PTRDIFF_MAX)
    return why_set(w, ".npy shape has more bytes than can be addressed");
  if (need > rest)
    return why_set(w, ".npy ends early: %s of elements, expected %s", bytes_describe((double)rest, found),
                   bytes_describe((double)need, wanted));
  sdx_value *v = sdx_tensor_create(dtype, h.rank, h.shape);
  if (!v) return why_set(w, "not enough memory for the array");
  if (read_elements(v, &h, at + start + length, unit)) return v;
  sdx_value_release(v);
  return why_set(w, "not enough memory for the array's strings");
}

// ---- writing ---------------------------------------------------------------------------------

// Longest string in code points, for '<U'.
static size_t longest(const sdx_value *v) {
  size_t most = 0;
  for (size_t i = 0; i < sdx_tensor_count(v); i++) {
    size_t length, points = 0;
    const char *bytes = sdx_tensor_string(v, i, &length);
    for (size_t at = 0; at < length; points++) utf8_next((str){bytes, length}, &at);
    if (points > most) most = points;
  }
  return most ? most : 1;
}

static void write_strings(const sdx_value *v, size_t width, unsigned char *out) {
  for (size_t i = 0; i < sdx_tensor_count(v); i++, out += 4 * width) {
    size_t length, at = 0;
    const char *bytes = sdx_tensor_string(v, i, &length);
    for (size_t p = 0; at < length && p < width; p++) {
      int32_t point = utf8_next((str){bytes, length}, &at);
      if (point < 0) point = 0xfffd;
      memcpy(out + 4 * p,
             (unsigned char[]){(unsigned char)point, (unsigned char)(point >> 8), (unsigned char)(point >> 16), 0}, 4);
    }
  }
}

char *npy_write(const sdx_value *v, size_t *size, why *w) {
  if (sdx_value_kind(v) != SDX_KIND_TENSOR)
    return why_set(w, "only tensors fit into .npy; use .json for sequences and maps");
  static const struct {
    sdx_dtype dtype;
    const char *descr;
  } names[] = {{SDX_FLOAT, "<f4"},     {SDX_DOUBLE, "<f8"},     {SDX_FLOAT16, "<f2"}, {SDX_BOOL, "|b1"},
               {SDX_UINT8, "|u1"},     {SDX_INT8, "|i1"},       {SDX_UINT16, "<u2"},  {SDX_INT16, "<i2"},
               {SDX_UINT32, "<u4"},    {SDX_INT32, "<i4"},      {SDX_UINT64, "<u8"},  {SDX_INT64, "<i8"},
               {SDX_COMPLEX64, "<c8"}, {SDX_COMPLEX128, "<c16"}};
  sdx_dtype dtype = sdx_tensor_dtype(v);
  char descr[24] = "";
  size_t width = dtype == SDX_STRING ? longest(v) : 0;
  if (width) snprintf(descr, sizeof descr, "<U%zu", width);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (names[i].dtype == dtype) snprintf(descr, sizeof descr, "%s", names[i].descr);
  sdx_value *wide = NULL;
  if (!*descr) {
    sdx_dtype to = dtype_is_real(dtype) ? SDX_FLOAT : dtype == SDX_INT4 || dtype == SDX_INT2 ? SDX_INT8 : SDX_UINT8;
    wide = tensor_convert(v, to);
    if (!wide) return why_set(w, "out of memory");
    char *bytes = npy_write(wide, size, w);
    sdx_value_release(wide);
    return bytes;
  }
  char header[64 + 24 * MAX_RANK];
  int used = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
  for (size_t d = 0; d < sdx_tensor_rank(v); d++)
    used += snprintf(header + used, sizeof header - (size_t)used, "%lld,", (long long)sdx_tensor_shape(v)[d]);
  used += snprintf(header + used, sizeof header - (size_t)used, "), }");
  size_t length = ((size_t)used + 1 + 10 + 63) / 64 * 64 - 10;  // elements start at a multiple of 64
  size_t bytes = width ? 4 * width * sdx_tensor_count(v) : sdx_tensor_bytes(v);
  char *out = calloc(1, 10 + length + bytes);
  if (!out) return why_set(w, "out of memory");
  memcpy(out, "\x93NUMPY\x01\x00", 8);
  out[8] = (char)(length & 255);
  out[9] = (char)(length >> 8);
  memset(out + 10, ' ', length);
  memcpy(out + 10, header, (size_t)used);
  out[10 + length - 1] = '\n';
  if (width) write_strings(v, width, (unsigned char *)out + 10 + length);
  else if (bytes) memcpy(out + 10 + length, sdx_tensor_data(v), bytes);
  *size = 10 + length + bytes;
  return out;
}
