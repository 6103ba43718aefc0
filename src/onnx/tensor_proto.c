// SPDX-License-Identifier: Apache-2.0
// TensorProto; see tensor_proto.h. Data comes from exactly one of: raw_data, the typed list that
// belongs to the element type, or an external file; its length must fit dims exactly. Booleans other
// than 0 and 1 become 1, padding bits of packed types become 0, everything else keeps its bits.
#include "onnx/tensor_proto.h"

#include "base/size.h"
#include "onnx/proto.h"

// The typed list of an element type, and how many bytes of each list entry matter.
typedef struct list_rule {
  uint8_t slot;
  uint8_t entry_bytes;
} list_rule;

static list_rule rule_of(sdx_dtype dtype) {
  switch (dtype) {
    case SDX_FLOAT:
    case SDX_COMPLEX64:
      return (list_rule){TENSOR_FLOAT_DATA, 4};
    case SDX_DOUBLE:
    case SDX_COMPLEX128:
      return (list_rule){TENSOR_DOUBLE_DATA, 8};
    case SDX_INT64:
      return (list_rule){TENSOR_INT64_DATA, 8};
    case SDX_UINT64:
      return (list_rule){TENSOR_UINT64_DATA, 8};
    case SDX_UINT32:
      return (list_rule){TENSOR_UINT64_DATA, 4};
    case SDX_STRING:
      return (list_rule){TENSOR_STRING_DATA, 0};
    case SDX_INT32:
      return (list_rule){TENSOR_INT32_DATA, 4};
    case SDX_INT16:
    case SDX_UINT16:
    case SDX_FLOAT16:
    case SDX_BFLOAT16:
      return (list_rule){TENSOR_INT32_DATA, 2};
    default:
      return (list_rule){TENSOR_INT32_DATA, 1};  // bytes, and packed elements byte by byte
  }
}

static const uint8_t data_slots[] = {TENSOR_FLOAT_DATA, TENSOR_INT32_DATA,  TENSOR_STRING_DATA,
                                     TENSOR_INT64_DATA, TENSOR_DOUBLE_DATA, TENSOR_UINT64_DATA};
enum { DATA_SLOTS = sizeof data_slots, INTS_AT_ONCE = 256, COPIED_AT_ONCE = 1 << 20 };

// What a first look at the message found.
typedef struct parts {
  wire_counts counts;
  wire raw;
  bool has_raw, external;
  int64_t data_type;
  external_ref ref;
} parts;

static sdx_status read_entry(tensor_reader *r, wire message, external_ref *ref, error *err) {
  wire_counts counts;
  wire_field f;
  str key = STR(""), value = STR("");
  SDX_TRY(wire_scan(message, &proto_entry, &counts, err));
  while (wire_next(&message, &proto_entry, &f)) *(f.slot == ENTRY_KEY ? &key : &value) = wire_str(&f);
  return external_ref_set(r->gate, ref, key, value, err);
}

// Everything but the payload; dims are read into arena memory.
static sdx_status read_head(tensor_reader *r, wire message, parts *p, tensor *out, str *name, error *err) {
  *p = (parts){.raw = {message.file, message.end, message.end}};  // no data: an empty window
  SDX_TRY(wire_scan(message, &proto_tensor, &p->counts, err));
  size_t rank = p->counts.of[TENSOR_DIMS], filled = 0;
  if (rank > r->max_rank || rank > TENSOR_MAX_RANK)
    return error_set(err, SDX_LIMIT_EXCEEDED, "the tensor has rank %zu, expected at most %zu", rank,
                     r->max_rank < TENSOR_MAX_RANK ? r->max_rank : (size_t)TENSOR_MAX_RANK);
  int64_t *dims = arena_array(r->memory, rank, sizeof *dims);
  if (!dims) return error_no_memory(err, rank * sizeof *dims);
  wire_field f;
  for (wire w = message; wire_next(&w, &proto_tensor, &f);) switch (f.slot) {
      case TENSOR_DIMS:
        filled += wire_read_ints(&f, dims + filled, rank - filled);
        break;
      case TENSOR_DATA_TYPE:
        p->data_type = (int32_t)f.value;
        break;
      case TENSOR_RAW_DATA:
        p->raw = f.body;
        p->has_raw = wire_size(f.body) > 0;
        break;
      case TENSOR_DATA_LOCATION:
        p->external = f.value == 1;
        break;
      case TENSOR_NAME:
        if (name) *name = wire_str(&f);
        break;
      default:
        break;
    }
  if (p->counts.of[TENSOR_SEGMENT])
    return error_set(err, SDX_NOT_SUPPORTED, "tensors in segments (field 'segment') are not supported");
  if (p->data_type <= 0 || p->data_type >= SDX_DTYPE_COUNT)
    return error_set(err, SDX_INVALID_MODEL, "data_type %lld is no element type of ONNX (1 to %d)",
                     (long long)p->data_type, SDX_DTYPE_COUNT - 1);
  return tensor_init(out, (sdx_dtype)p->data_type, rank, dims, err);
}

// Exactly one source, and one that belongs to the element type.
static sdx_status check_sources(const parts *p, sdx_dtype dtype, error *err) {
  list_rule rule = rule_of(dtype);
  for (size_t i = 0; i < DATA_SLOTS; i++) {
    size_t count = p->counts.of[data_slots[i]];
    const char *list = proto_tensor.fields[data_slots[i]].name;
    if (count == 0) continue;
    if (p->has_raw || p->external)
      return error_set(err, SDX_INVALID_MODEL, "both %s and %s hold data", p->has_raw ? "raw_data" : "external_data",
                       list);
    if (data_slots[i] != rule.slot)
      return error_set(err, SDX_INVALID_MODEL, "%s is filled where element type %s takes its data from %s", list,
                       dtype_name(dtype), proto_tensor.fields[rule.slot].name);
  }
  if (p->has_raw && p->external) return error_set(err, SDX_INVALID_MODEL, "both raw_data and external_data hold data");
  if ((p->has_raw || p->external) && dtype == SDX_STRING)
    return error_set(err, SDX_INVALID_MODEL, "strings are in %s; only string_data can hold them",
                     p->has_raw ? "raw_data" : "external_data");
  return SDX_OK;
}

static sdx_status check_length(const tensor *t, const char *source, size_t found, size_t needed, const char *unit,
                               error *err) {
  char shape[200], size[BYTES_TEXT];
  if (found == needed) return SDX_OK;
  bool large = t->dtype != SDX_STRING && t->bytes > 1 << 20;
  return error_set(err, SDX_INVALID_MODEL, "%s holds %zu %s where %s needs %zu%s%s", source, found, unit,
                   tensor_describe(t, shape, sizeof shape), needed, large ? ": together " : "",
                   large ? bytes_text(t->bytes, size) : "");
}

static void *new_data(tensor_reader *r, tensor *t, error *err) {
  t->data = arena_alloc(r->memory, t->bytes);
  if (!t->data) error_no_memory(err, t->bytes);
  return t->data;
}

// ---- clean-up of odd bits -------------------------------------------------------------------------------

// Bits of the last byte that hold no element of a packed type.
static unsigned char padding_bits(const tensor *t) {
  size_t bits = (size_t)dtype_bits((sdx_dtype)t->dtype);
  size_t used = bits < 8 ? t->count * bits % 8 : 0;
  return used ? (unsigned char)(0xff << used) : 0;
}

bool is_float6(const tensor *t) { return t->dtype == SDX_FLOAT6E2M3 || t->dtype == SDX_FLOAT6E3M2; }

// Bytes of raw data: as in memory, but four float6 elements come in three bytes.
static size_t raw_bytes(const tensor *t) {
  return is_float6(t) ? t->count / 4 * 3 + (t->count % 4 * 6 + 7) / 8 : t->bytes;
}

// Packed float6 at the start of the data to one element a byte: from the end, which never overtakes what is read.
static void unpack_float6(tensor *t) {
  unsigned char *at = t->data;
  for (size_t i = t->count; i-- > 0;) {
    size_t byte = i / 4 * 3 + i % 4 * 6 / 8, shift = i % 4 * 6 % 8;
    unsigned two = at[byte] | (shift > 2 ? (unsigned)at[byte + 1] << 8 : 0);
    at[i] = (unsigned char)(two >> shift & 63);
  }
}

static bool is_clean(const tensor *t, const unsigned char *at) {
  if (t->dtype == SDX_BOOL)
    for (size_t i = 0; i < t->bytes; i++)
      if (at[i] > 1) return false;
  return t->bytes == 0 || !(at[t->bytes - 1] & padding_bits(t));
}

static void clean(tensor *t) {
  unsigned char *at = t->data;
  if (t->dtype == SDX_BOOL)
    for (size_t i = 0; i < t->bytes; i++) at[i] = at[i] != 0;
  for (size_t i = 0; is_float6(t) && i < t->count; i++) at[i] &= 63;
  if (t->bytes) at[t->bytes - 1] &= (unsigned char)~padding_bits(t);
}

static size_t alignment_of(sdx_dtype dtype) {
  size_t bytes = (size_t)dtype_bits(dtype) / 8;
  return dtype_is_complex(dtype) ? bytes / 2 : bytes ? bytes : 1;
}

// ---- payloads -------------------------------------------------------------------------------------------

// Raw data where it lies, or a clean and aligned copy.
static sdx_status use_bytes(tensor_reader *r, const unsigned char *at, tensor *t, error *err) {
  if (!is_float6(t) && (uintptr_t)at % alignment_of((sdx_dtype)t->dtype) == 0 && is_clean(t, at)) {
    t->data = (void *)(uintptr_t)at;  // constants are only read
    return SDX_OK;
  }
  if (!new_data(r, t, err)) return SDX_NO_MEMORY;
  for (size_t from = 0, all = raw_bytes(t), n; from < all; from += n) {  // so that a large one is not there twice
    n = all - from < COPIED_AT_ONCE ? all - from : COPIED_AT_ONCE;
    memcpy((char *)t->data + from, at + from, n);
    if (r->spent) r->spent(r->context, at + from, n);
  }
  if (is_float6(t)) unpack_float6(t);
  clean(t);
  return SDX_OK;
}

static sdx_status read_raw(tensor_reader *r, const parts *p, tensor *t, error *err) {
  SDX_TRY(check_length(t, "raw_data", wire_size(p->raw), raw_bytes(t), "bytes", err));
  return use_bytes(r, p->raw.file + p->raw.at, t, err);
}

// External data that lies in memory with the rest of the file is used in place like raw_data.
static sdx_status read_region(tensor_reader *r, const parts *p, tensor *t, error *err) {
  size_t size = r->gate->region_bytes, bytes = raw_bytes(t);
  if (bytes > size || p->ref.offset > size - bytes)
    return error_set(err, SDX_INVALID_MODEL, "%zu bytes at offset %llu are not in the %zu bytes of data", bytes,
                     (unsigned long long)p->ref.offset, size);
  return use_bytes(r, (const unsigned char *)r->gate->region + p->ref.offset, t, err);
}

static sdx_status read_external(tensor_reader *r, wire message, parts *p, tensor *t, error *err) {
  wire_field f;
  while (wire_next(&message, &proto_tensor, &f))
    if (f.slot == TENSOR_EXTERNAL_DATA) SDX_TRY(read_entry(r, f.body, &p->ref, err));
  if (!r->gate) return error_set(err, SDX_FORBIDDEN, "external data has no place in a tensor of its own");
  if (r->gate->region) return read_region(r, p, t, err);
  SDX_TRY(external_open(r->gate, &p->ref, raw_bytes(t), err));
  if (!new_data(r, t, err)) return SDX_NO_MEMORY;
  SDX_TRY(external_read(r->gate, &p->ref, t->data, raw_bytes(t), err));
  if (is_float6(t)) unpack_float6(t);
  clean(t);
  return SDX_OK;
}

// One list entry per element, complex two; packed types one entry per byte.
static sdx_status check_list(const tensor *t, list_rule rule, size_t found, error *err) {
  size_t needed = t->count;
  if (rule.entry_bytes) needed = t->bytes / rule.entry_bytes;
  return check_length(t, proto_tensor.fields[rule.slot].name, found, needed, "entries", err);
}

static sdx_status read_strings(tensor_reader *r, wire message, tensor *t, error *err) {
  str *at = new_data(r, t, err);
  if (!at) return SDX_NO_MEMORY;
  size_t filled = 0;
  wire_field f;
  while (wire_next(&message, &proto_tensor, &f) && filled < t->count)
    if (f.slot == TENSOR_STRING_DATA) at[filled++] = wire_str(&f);
  while (filled < t->count) at[filled++] = STR("");
  return SDX_OK;
}

static sdx_status read_list(tensor_reader *r, wire message, list_rule rule, tensor *t, error *err) {
  if (rule.slot == TENSOR_STRING_DATA) return read_strings(r, message, t, err);
  unsigned char *at = new_data(r, t, err);
  if (!at) return SDX_NO_MEMORY;
  bool fixed = rule.slot == TENSOR_FLOAT_DATA || rule.slot == TENSOR_DOUBLE_DATA;
  size_t room = t->bytes / rule.entry_bytes, size = rule.entry_bytes;
  wire_field f;
  while (room && wire_next(&message, &proto_tensor, &f)) {
    if (f.slot != rule.slot) continue;
    if (fixed) {
      size_t n = wire_read_fixed(&f, size, at, room);
      at += n * size;
      room -= n;
      continue;
    }
    int64_t run[INTS_AT_ONCE];  // little-endian: the low bytes of an entry come first
    for (size_t n; room && (n = wire_read_ints(&f, run, INTS_AT_ONCE < room ? INTS_AT_ONCE : room)) > 0; room -= n)
      for (size_t i = 0; i < n; i++, at += size) {
        if (t->dtype == SDX_BOOL) run[i] = run[i] != 0;
        memcpy(at, &run[i], size);
      }
  }
  if (room) memset(at, 0, room * size);
  clean(t);
  return SDX_OK;
}

sdx_status tensor_proto_read(tensor_reader *r, wire message, tensor *out, str *name, error *err) {
  parts p;
  SDX_TRY(read_head(r, message, &p, out, name, err));
  sdx_dtype dtype = (sdx_dtype)out->dtype;
  SDX_TRY(check_sources(&p, dtype, err));
  if (p.external) return read_external(r, message, &p, out, err);
  list_rule rule = rule_of(dtype);
  if (p.has_raw || (out->bytes == 0 && p.counts.of[rule.slot] == 0)) return read_raw(r, &p, out, err);
  SDX_TRY(check_list(out, rule, p.counts.of[rule.slot], err));
  return read_list(r, message, rule, out, err);
}

// ---- sparse ---------------------------------------------------------------------------------------------

// Linear position of non-zero number i; false when it lies outside.
static bool sparse_position(const sparse_tensor *s, size_t i, size_t dense_count, uint64_t *position) {
  const int64_t *at = s->indices.data;
  if (s->indices.rank == 1) {
    *position = (uint64_t)at[i];
    return at[i] >= 0 && *position < dense_count;
  }
  uint64_t linear = 0;
  for (size_t d = 0; d < s->rank; d++) {
    int64_t index = at[i * s->rank + d];
    if (index < 0 || index >= s->dims[d]) return false;
    linear = linear * (uint64_t)s->dims[d] + (uint64_t)index;
  }
  *position = linear;
  return true;
}

static sdx_status check_sparse(const sparse_tensor *s, size_t dense_count, error *err) {
  char shape[200];
  const tensor *v = &s->values, *x = &s->indices;
  if (v->rank != 1) return error_set(err, SDX_INVALID_MODEL, "sparse values have rank %d, expected 1", v->rank);
  if (x->dtype != SDX_INT64)
    return error_set(err, SDX_INVALID_MODEL, "sparse indices are %s, expected int64", dtype_name((sdx_dtype)x->dtype));
  if ((x->rank != 1 && x->rank != 2) || x->dims[0] != v->dims[0] || (x->rank == 2 && x->dims[1] != (int64_t)s->rank))
    return error_set(err, SDX_INVALID_MODEL, "sparse indices are %s, expected [%lld] or [%lld,%zu]",
                     tensor_describe(x, shape, sizeof shape), (long long)v->dims[0], (long long)v->dims[0], s->rank);
  uint64_t before = 0, position;
  for (size_t i = 0; i < v->count; i++) {
    if (!sparse_position(s, i, dense_count, &position))
      return error_set(err, SDX_INVALID_MODEL, "sparse index %zu lies outside of shape %s", i,
                       shape_describe(s->dims, s->rank, shape, sizeof shape));
    if (i > 0 && position <= before)
      return error_set(err, SDX_INVALID_MODEL, "sparse index %zu %s", i,
                       position == before ? "is there twice" : "is smaller than the one before; they must ascend");
    before = position;
  }
  return SDX_OK;
}

size_t dense_room(size_t file_bytes) {
  size_t room;
  return size_mul(file_bytes, DENSE_TIMES_FILE, &room) && size_add(room, DENSE_FREE_BYTES, &room) ? room : SIZE_MAX;
}

static sdx_status check_dense(tensor_reader *r, const sparse_tensor *s, error *err) {
  char shape[200], takes[BYTES_TEXT], left[BYTES_TEXT];
  tensor dense;
  SDX_TRY(tensor_init(&dense, (sdx_dtype)s->values.dtype, s->rank, s->dims, err));
  if (dense.bytes > r->dense_left)
    return error_set(err, SDX_LIMIT_EXCEEDED,
                     "the sparse tensor %s takes %s when its zeros are written out, expected at most %s: that is left "
                     "of what sparse tensors of a file of this size may take",
                     tensor_describe(&dense, shape, sizeof shape), bytes_text(dense.bytes, takes),
                     bytes_text(r->dense_left, left));
  r->dense_left -= dense.bytes;
  return check_sparse(s, dense.count, err);
}

sdx_status sparse_proto_read(tensor_reader *r, wire message, sparse_tensor *out, str *name, error *err) {
  wire_counts counts;
  SDX_TRY(wire_scan(message, &proto_sparse, &counts, err));
  if (!counts.of[SPARSE_VALUES] || !counts.of[SPARSE_INDICES])
    return error_set(err, SDX_INVALID_MODEL, "a sparse tensor lacks its %s",
                     counts.of[SPARSE_VALUES] ? "indices" : "values");
  size_t rank = counts.of[SPARSE_DIMS], filled = 0;
  if (rank > r->max_rank || rank > TENSOR_MAX_RANK)
    return error_set(err, SDX_LIMIT_EXCEEDED, "the sparse tensor has rank %zu, expected at most %zu", rank,
                     r->max_rank);
  int64_t *dims = arena_array(r->memory, rank, sizeof *dims);
  if (!dims) return error_no_memory(err, rank * sizeof *dims);
  wire_field f;
  while (wire_next(&message, &proto_sparse, &f)) {
    if (f.slot == SPARSE_DIMS) {
      filled += wire_read_ints(&f, dims + filled, rank - filled);
      continue;
    }
    bool values = f.slot == SPARSE_VALUES;
    sdx_status status = tensor_proto_read(r, f.body, values ? &out->values : &out->indices, values ? name : NULL, err);
    if (status != SDX_OK) error_hint(err, "these are the %s of a sparse tensor", values ? "values" : "indices");
    SDX_TRY(status);
  }
  out->dims = dims;
  out->rank = rank;
  return check_dense(r, out, err);
}

sdx_status sparse_to_dense(tensor_reader *r, const sparse_tensor *s, tensor *out, error *err) {
  SDX_TRY(tensor_init(out, (sdx_dtype)s->values.dtype, s->rank, s->dims, err));
  if (dtype_is_packed((sdx_dtype)out->dtype))
    return error_set(err, SDX_NOT_SUPPORTED, "sparse tensors of %s are not supported",
                     dtype_name((sdx_dtype)out->dtype));
  out->data = arena_zalloc(r->memory, out->bytes);
  if (!out->data) return error_no_memory(err, out->bytes);
  if (out->dtype == SDX_STRING)
    for (size_t i = 0; i < out->count; i++) ((str *)out->data)[i] = STR("");
  size_t size = (size_t)dtype_bits((sdx_dtype)out->dtype) / 8;
  for (size_t i = 0; i < s->values.count; i++) {
    uint64_t position;
    if (sparse_position(s, i, out->count, &position))
      memcpy((char *)out->data + position * size, (const char *)s->values.data + i * size, size);
  }
  return SDX_OK;
}

// ---- writing --------------------------------------------------------------------------------------------

static uint32_t number_of(size_t slot) { return proto_number(&proto_tensor, slot); }

static void write_float6(wire_out *out, const tensor *t) {
  const unsigned char *at = t->data;
  size_t begin = wire_begin(out, number_of(TENSOR_RAW_DATA)), left = raw_bytes(t);
  for (size_t i = 0; i < t->count; i += 4) {
    unsigned long bits = 0;
    for (size_t k = 0; k < 4 && i + k < t->count; k++) bits |= (unsigned long)(at[i + k] & 63) << 6 * k;
    for (size_t k = 0; k < 3 && left; k++, left--) wire_put_raw(out, &(char){(char)(bits >> 8 * k)}, 1);
  }
  wire_end(out, begin);
}

void tensor_proto_write_head(wire_out *out, const tensor *t, str name) {
  wire_put_ints(out, number_of(TENSOR_DIMS), t->dims, t->rank);
  wire_put_int(out, number_of(TENSOR_DATA_TYPE), t->dtype);
  if (name.size) wire_put_bytes(out, number_of(TENSOR_NAME), name);
}

void tensor_proto_write(wire_out *out, const tensor *t, str name) {
  tensor_proto_write_head(out, t, name);
  if (t->dtype == SDX_STRING)
    for (size_t i = 0; i < t->count; i++) wire_put_bytes(out, number_of(TENSOR_STRING_DATA), ((const str *)t->data)[i]);
  else if (is_float6(t)) write_float6(out, t);
  else wire_put_bytes(out, number_of(TENSOR_RAW_DATA), (str){t->data, t->bytes});
}
