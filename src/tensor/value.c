// SPDX-License-Identifier: Apache-2.0
// Counted values: tensors, sequences, maps, empty optionals. Bytes live in a counted buffer that is
// charged to an account, so that values may share them; sequences and maps hold counted items.
#include "base/pool.h"
#include "base/size.h"
#include "tensor/tensor.h"

// One reference. NULL: memory.
static buffer *buffer_create(mem_account *account, void *data, void (*release)(void *), void *context) {
  buffer *b = mem_alloc(account, sizeof *b);
  if (!b) return NULL;
  *b = (buffer){.data = data, .release = release, .context = context};
  atomic_init(&b->references, 1);
  arena_init(&b->strings, account);
  return b;
}

// With its bytes behind the struct.
static buffer *buffer_create_own(mem_account *account, size_t bytes, bool zeroed) {
  enum { HEAD = (sizeof(buffer) + 63) / 64 * 64 };  // data is aligned as by mem_alloc
  size_t total;
  if (!size_add(bytes, HEAD, &total)) return NULL;
  buffer *b = zeroed ? mem_zalloc(account, total) : mem_alloc(account, total);
  if (!b) return NULL;
  *b = (buffer){.data = (char *)b + HEAD, .context = b, .room = bytes};
  atomic_init(&b->references, 1);
  arena_init(&b->strings, account);
  return b;
}

static buffer *buffer_retain(buffer *b) {
  if (b) atomic_fetch_add_explicit(&b->references, 1, memory_order_relaxed);
  return b;
}

static void buffer_release(buffer *b) {
  if (!b || atomic_fetch_sub_explicit(&b->references, 1, memory_order_acq_rel) != 1) return;
  if (b->release) b->release(b->context);
  arena_deinit(&b->strings);
  mem_free(b);
}

// A value of `kind` with room for `tail` bytes behind it.
static sdx_value *create(mem_account *account, value_kind kind, size_t tail) {
  size_t bytes;
  if (!size_add(sizeof(sdx_value), tail, &bytes)) return NULL;
  sdx_value *v = mem_zalloc(account, bytes);
  if (!v) return NULL;
  atomic_init(&v->references, 1);
  v->account = account;
  v->value.kind = (uint8_t)kind;
  v->value.tensor.dims = v->dims;
  return v;
}

// Takes over a new buffer; NULL: there was no memory for it.
static sdx_status create_tensor(mem_account *account, const tensor *t, buffer *memory, sdx_value **out, error *err) {
  sdx_value *v = memory ? create(account, VALUE_TENSOR, t->rank * sizeof *t->dims) : NULL;
  if (!v) {
    if (memory) memory->release = NULL;  // what was lent stays the caller's
    buffer_release(memory);
    return error_no_memory(err, t->bytes);
  }
  if (t->rank) memcpy(v->dims, t->dims, t->rank * sizeof *t->dims);
  v->value.memory = memory;
  v->value.tensor = *t;
  v->value.tensor.dims = v->dims;
  v->value.tensor.data = memory->data;
  *out = v;
  return SDX_OK;
}

sdx_status value_create(mem_account *account, sdx_dtype dtype, size_t rank, const int64_t *dims, void *data,
                        void (*release)(void *), void *context, sdx_value **out, error *err) {
  *out = NULL;
  tensor t;
  SDX_TRY(tensor_init(&t, dtype, rank, dims, err));
  buffer *memory = data ? buffer_create(account, data, release, context) : buffer_create_own(account, t.bytes, true);
  return create_tensor(account, &t, memory, out, err);
}

sdx_status value_create_unset(mem_account *account, const tensor *like, sdx_value **out, error *err) {
  *out = NULL;
  return create_tensor(account, like, buffer_create_own(account, like->bytes, false), out, err);
}

bool value_reshape(sdx_value *v, const tensor *like) {
  enum { SMALL = 4096 };  // bytes that may lie idle in any case
  const buffer *b = v->value.memory;
  tensor *t = &v->value.tensor;
  if (v->value.kind != VALUE_TENSOR || t->dtype != like->dtype || t->dtype == SDX_STRING || t->rank != like->rank ||
      !value_owns_bytes(&v->value) || b->room < like->bytes || (b->room > SMALL && b->room / 4 > like->bytes) ||
      atomic_load_explicit(&v->references, memory_order_acquire) != 1 ||
      atomic_load_explicit(&b->references, memory_order_acquire) != 1)
    return false;
  if (t->rank) memcpy(v->dims, like->dims, t->rank * sizeof *like->dims);
  t->count = like->count;
  t->bytes = like->bytes;
  return true;
}

sdx_status value_create_none(mem_account *account, sdx_value **out, error *err) {
  *out = create(account, VALUE_NONE, 0);
  return *out ? SDX_OK : error_no_memory(err, sizeof **out);
}

// Items NULL: the slots are filled by the caller. `rank` dims (sparse tensors) lie in front of them.
static sdx_status create_items(mem_account *account, value_kind kind, size_t rank, size_t count,
                               sdx_value *const *items, sdx_value **out, error *err) {
  size_t tail;
  *out = NULL;
  if (!size_mul(count, sizeof(value *), &tail) || !size_add(tail, rank * sizeof(int64_t), &tail))
    return error_no_memory(err, SIZE_MAX);
  sdx_value *v = create(account, kind, tail);
  if (!v) return error_no_memory(err, tail);
  v->value.items = (value **)(v->dims + rank);
  v->value.item_count = count;
  for (size_t i = 0; items && i < count; i++) v->value.items[i] = &value_retain(items[i])->value;
  *out = v;
  return SDX_OK;
}

sdx_status value_create_sequence(mem_account *account, size_t count, sdx_value *const *items, sdx_value **out,
                                 error *err) {
  return create_items(account, VALUE_SEQUENCE, 0, count, items, out, err);
}

sdx_status value_create_map(mem_account *account, sdx_value *keys, sdx_value *values, sdx_value **out, error *err) {
  const tensor *k = &keys->value.tensor;
  *out = NULL;
  if (keys->value.kind != VALUE_TENSOR || k->rank != 1 || (k->dtype != SDX_INT64 && k->dtype != SDX_STRING))
    return error_set(err, SDX_INVALID_ARGUMENT, "keys of a map must be a 1-D int64 or string tensor");
  if (values->value.kind == VALUE_TENSOR && values->value.tensor.count != k->count)
    return error_set(err, SDX_INVALID_ARGUMENT, "a map has %zu keys but %zu values", k->count,
                     values->value.tensor.count);
  return create_items(account, VALUE_MAP, 0, 2, (sdx_value *[]){keys, values}, out, err);
}

sdx_value *value_retain(sdx_value *v) {
  if (v) atomic_fetch_add_explicit(&v->references, 1, memory_order_relaxed);
  return v;
}

// Drops one reference; a value that dies lets its bytes go and joins the list behind tensor.data.
static void drop(sdx_value *v, sdx_value **dead) {
  if (!v || atomic_fetch_sub_explicit(&v->references, 1, memory_order_acq_rel) != 1) return;
  buffer_release(v->value.memory);
  v->value.tensor.data = *dead;
  *dead = v;
}

// Iterative: callers may nest sequences as deep as they like.
void value_release(sdx_value *v) {
  sdx_value *dead = NULL;
  for (drop(v, &dead); dead;) {
    v = dead;
    dead = v->value.tensor.data;
    for (size_t i = 0; i < v->value.item_count; i++) drop((sdx_value *)v->value.items[i], &dead);
    mem_free(v);
  }
}

sdx_status value_set_string(sdx_value *v, size_t index, str bytes, error *err) {
  tensor *t = &v->value.tensor;
  if (v->value.kind != VALUE_TENSOR || t->dtype != SDX_STRING)
    return error_set(err, SDX_INVALID_ARGUMENT, "the value is not a string tensor");
  if (index >= t->count)
    return error_set(err, SDX_OUT_OF_RANGE, "string %zu of a tensor with %zu elements", index, t->count);
  const char *copy = bytes.size ? arena_copy(&v->value.memory->strings, bytes.at, bytes.size) : "";
  if (!copy) return error_no_memory(err, bytes.size);
  ((str *)t->data)[index] = (str){copy, bytes.size};
  return SDX_OK;
}

// Long copies end early where the thread's watch says so.
static sdx_status go_on(error *err) {
  return pool_stopped() ? error_set(err, SDX_CANCELLED, "a copy was stopped") : SDX_OK;
}

static sdx_status copy_elements(sdx_value *to, const tensor *from, error *err) {
  enum { PIECE = 1 << 20 };
  if (from->dtype != SDX_STRING) {
    for (size_t at = 0; at < from->bytes; at += PIECE) {
      size_t rest = from->bytes - at;
      SDX_TRY(go_on(err));
      memcpy((char *)to->value.tensor.data + at, (const char *)from->data + at, rest < PIECE ? rest : PIECE);
    }
    return SDX_OK;
  }
  size_t since = PIECE;
  for (size_t i = 0; i < from->count; i++) {
    str s = ((const str *)from->data)[i];
    if ((since += s.size + 64) >= PIECE) {
      SDX_TRY(go_on(err));
      since = 0;
    }
    SDX_TRY(value_set_string(to, i, s, err));
  }
  return SDX_OK;
}

static sdx_status copy_tensor(mem_account *account, const tensor *from, sdx_value **out, error *err) {
  SDX_TRY(go_on(err));
  if (from->dtype != SDX_STRING) SDX_TRY(value_create_unset(account, from, out, err));
  else SDX_TRY(value_create(account, SDX_STRING, from->rank, from->dims, NULL, NULL, NULL, out, err));
  sdx_status status = copy_elements(*out, from, err);
  if (status != SDX_OK) {
    value_release(*out);
    *out = NULL;
  }
  return status;
}

static sdx_status copy(mem_account *account, const value *from, int depth, sdx_value **out, error *err) {
  *out = NULL;
  if (depth > VALUE_MAX_NESTING)
    return error_set(err, SDX_LIMIT_EXCEEDED, "values are nested more than %d deep", VALUE_MAX_NESTING);
  if (from->kind == VALUE_TENSOR) return copy_tensor(account, &from->tensor, out, err);
  size_t rank = from->kind == VALUE_SPARSE ? from->tensor.rank : 0;
  SDX_TRY(create_items(account, (value_kind)from->kind, rank, from->item_count, NULL, out, err));
  value *to = &(*out)->value;
  if (rank) memcpy((*out)->dims, from->tensor.dims, rank * sizeof(int64_t));
  to->tensor = from->tensor;
  to->tensor.data = NULL;
  to->tensor.dims = (*out)->dims;
  for (size_t i = 0; i < from->item_count; i++) {
    sdx_value *item;
    sdx_status status = copy(account, from->items[i], depth + 1, &item, err);
    if (status != SDX_OK) {
      value_release(*out);
      *out = NULL;
      return status;
    }
    to->items[i] = &item->value;
  }
  return SDX_OK;
}

sdx_status value_copy(mem_account *account, const value *from, sdx_value **out, error *err) {
  return copy(account, from, 0, out, err);
}

sdx_status value_create_view(mem_account *account, const value *from, size_t rank, const int64_t *dims, sdx_value **out,
                             error *err) {
  *out = NULL;
  tensor t;
  SDX_TRY(tensor_init(&t, (sdx_dtype)from->tensor.dtype, rank, dims, err));
  sdx_value *v = create(account, VALUE_TENSOR, rank * sizeof *dims);
  if (!v) return error_no_memory(err, sizeof *v);
  if (rank) memcpy(v->dims, dims, rank * sizeof *dims);
  t.dims = v->dims;
  t.data = from->tensor.data;
  v->value.tensor = t;
  v->value.memory = buffer_retain(from->memory);
  *out = v;
  return SDX_OK;
}

void value_lift(sdx_value *v, mem_account *ancestor) {
  buffer *b = v->value.memory;
  mem_lift(v, ancestor);
  v->account = ancestor;
  if (b) {
    arena_lift(&b->strings, ancestor);
    mem_lift(b, ancestor);
  }
  for (size_t i = 0; i < v->value.item_count; i++) value_lift((sdx_value *)v->value.items[i], ancestor);
}
