// SPDX-License-Identifier: Apache-2.0
// Element types, shapes, tensors, and the values a name of a graph can hold at run time.
// A tensor is a plain view (pointer + shape); who owns the bytes is said by the structure around it.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"

enum { TENSOR_MAX_RANK = 64, VALUE_MAX_NESTING = 64 };

const char *dtype_name(sdx_dtype dtype);  // "float"; "undefined" if unknown
sdx_dtype dtype_from_name(str name);      // SDX_UNDEFINED if unknown
int dtype_bits(sdx_dtype dtype);          // 0 if unknown
static inline bool dtype_is_packed(sdx_dtype d) { return d >= SDX_UINT4 && d <= SDX_INT2 && d != SDX_FLOAT8E8M0; }
static inline bool dtype_is_complex(sdx_dtype d) { return d == SDX_COMPLEX64 || d == SDX_COMPLEX128; }
bool dtype_is_float(sdx_dtype dtype);  // IEEE-like kinds, float8 and float4 included
bool dtype_is_int(sdx_dtype dtype);    // integers without bool
// Bytes of `count` dense elements (packed types round up); false on overflow or unknown dtype.
bool dtype_bytes(sdx_dtype dtype, size_t count, size_t *bytes);

// Dense row-major data. `dims` is borrowed and lives as long as the tensor. String elements are
// `str`s in `data`; packed elements (4 and 2 bits) start in the low bits of each byte.
typedef struct tensor {
  void *data;
  const int64_t *dims;
  size_t count;  // elements
  size_t bytes;
  uint8_t dtype;  // sdx_dtype
  uint8_t rank;
} tensor;

// Fills everything but data from dtype and dims (borrowed); checks rank, signs and overflow.
sdx_status tensor_init(tensor *t, sdx_dtype dtype, size_t rank, const int64_t *dims, error *err);
bool tensor_same_shape(const tensor *a, const tensor *b);
// "float[1,3,224,224]" into the buffer.
const char *tensor_describe(const tensor *t, char *buffer, size_t size);
const char *shape_describe(const int64_t *dims, size_t rank, char *buffer, size_t size);

// Element of an integer tensor (int32 or int64, the types shapes and indices come in) as int64.
static inline int64_t tensor_index_at(const tensor *t, size_t i) {
  return t->dtype == SDX_INT32 ? ((const int32_t *)t->data)[i] : ((const int64_t *)t->data)[i];
}

// axis in [-rank, rank) to [0, rank); error naming `what` otherwise.
sdx_status axis_normalize(int64_t *axis, size_t rank, error_part part, error *err);

// ---- values ---------------------------------------------------------------------------------

// Reference-counted bytes charged to an account (mem_alloc). Thread-safe counting.
typedef struct buffer {
  atomic_size_t references;
  void *data;
  void (*release)(void *context);  // borrowed memory: called at the end, where given
  void *context;                   // the buffer itself: data belongs to us
  size_t room;                     // then: bytes of it
  arena strings;                   // payload of string tensors whose elements were copied in
} buffer;

typedef enum value_kind { VALUE_TENSOR, VALUE_SEQUENCE, VALUE_MAP, VALUE_NONE, VALUE_SPARSE } value_kind;

// What a name holds during a run. Sequences and maps hold counted values (items).
// map: items[0] keys, items[1] values. sparse: items[0] values, items[1] indices, tensor.dims dense.
typedef struct value {
  tensor tensor;
  buffer *memory;  // keeps tensor.data alive; NULL where the plan's slab or a constant does
  struct value **items;
  size_t item_count;
  uint8_t kind;  // value_kind
} value;

// A counted value: the object behind sdx_value. dims live inside.
typedef struct sdx_value {
  value value;  // first: a value* that is an item can be cast back
  atomic_size_t references;
  mem_account *account;
  int64_t dims[];
} sdx_value;

// One reference. data == NULL allocates zeroed memory. Strings start empty.
sdx_status value_create(mem_account *account, sdx_dtype dtype, size_t rank, const int64_t *dims, void *data,
                        void (*release)(void *), void *context, sdx_value **out, error *err);
sdx_status value_create_sequence(mem_account *account, size_t count, sdx_value *const *items, sdx_value **out,
                                 error *err);
sdx_status value_create_map(mem_account *account, sdx_value *keys, sdx_value *values, sdx_value **out, error *err);
sdx_status value_create_none(mem_account *account, sdx_value **out, error *err);  // an empty optional
// The same without zeroes: for who writes every byte. No strings.
sdx_status value_create_unset(mem_account *account, const tensor *like, sdx_value **out, error *err);
// A tensor takes the shape of another one, its bytes unset, if nobody else holds it or its bytes, which are ours, and
// the room is neither too small nor mostly idle. false: it stays as it is.
bool value_reshape(sdx_value *v, const tensor *like);
// Deep copy of any run-time value into a counted one (string payloads too). Fails early where pool_stopped.
sdx_status value_copy(mem_account *account, const value *from, sdx_value **out, error *err);
// Another shape over the same counted bytes (from->memory, which gains a reference).
sdx_status value_create_view(mem_account *account, const value *from, size_t rank, const int64_t *dims, sdx_value **out,
                             error *err);
// The bytes came from value_create, not from a caller who lent them.
static inline bool value_owns_bytes(const value *v) { return v->memory && v->memory->context == v->memory; }
// From now on charged to an ancestor of its account (NULL: to nobody), so that it may outlive the account. Nobody else
// may hold its items, which are nested as deep as those of value_copy.
void value_lift(sdx_value *v, mem_account *ancestor);
sdx_status value_set_string(sdx_value *v, size_t index, str bytes, error *err);
sdx_value *value_retain(sdx_value *v);
void value_release(sdx_value *v);

// ---- types ----------------------------------------------------------------------------------

// Static type of a value. Dimensions < 0 are free: ~symbol, an index into graph.symbols; symbol 0
// is "unknown and unlike any other".
enum { DIM_UNKNOWN = -1 };

typedef enum type_kind { TYPE_UNKNOWN, TYPE_TENSOR, TYPE_SEQUENCE, TYPE_MAP, TYPE_OPTIONAL, TYPE_SPARSE } type_kind;

typedef struct type_info {
  uint8_t kind;   // type_kind
  uint8_t dtype;  // tensor: element type (SDX_UNDEFINED = not known yet); map: key type
  int8_t rank;    // tensor: -1 = not known
  const int64_t *dims;
  const struct type_info *element;  // sequence, optional, map value
} type_info;
