// SPDX-License-Identifier: Apache-2.0
// Weights: found in the file, made into constants when the model is written, so that none is in memory twice.
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"
#include "convert/keras.h"

// ---- finding ----------------------------------------------------------------------------------------

static bool find_part(keras *k, uint64_t group, const char *part, uint64_t *found) {
  char other[100];
  if (hdf5_find(&k->h5, group, str_from(part), found)) return true;
  snprintf(other, sizeof other, "_%s", part);  // as Keras 2 names some
  return !hdf5_failed(&k->h5) && hdf5_find(&k->h5, group, str_from(other), found);
}

static bool tell_hdf5(keras_call *call) {
  if (!hdf5_failed(&call->k->h5)) return false;
  return !keras_fail(call, SDX_INVALID_MODEL, NULL, "weights: %s", call->k->h5.message);
}

bool keras_part(keras_call *call, const char *part, keras_store *store) {
  *store = call->layer->store;
  if (call->k->by_position || !store->group) return true;
  store->path = str_from(part);
  if (!find_part(call->k, store->group, part, &store->group)) store->group = 0;
  return !hdf5_failed(&call->k->h5) || tell_hdf5(call);
}

bool keras_weight(keras_call *call, const char *part, unsigned index, hdf5_array *w) {
  keras *k = call->k;
  const keras_store *store = &call->layer->store;
  uint64_t object = 0;
  if (k->by_position) {
    if (call->next_weight >= store->count)
      return !keras_fail(call, SDX_INVALID_MODEL, NULL, "the file has %zu weights for it, expected more", store->count);
    object = store->list[call->next_weight++];
  } else {
    char path[20];
    snprintf(path, sizeof path, "vars/%u", index);
    if (!store->group || (*part && !find_part(k, store->group, part, &object)) ||
        !hdf5_find(&k->h5, *part ? object : store->group, str_from(path), &object))
      return hdf5_failed(&k->h5) ? tell_hdf5(call)
                                 : !keras_fail(call, SDX_INVALID_MODEL, NULL, "the file has no weight %u%s%s for it",
                                               index, *part ? " of " : "", part);
  }
  if (!hdf5_read(&k->h5, object, w))
    return hdf5_failed(&k->h5) ? tell_hdf5(call) : !keras_fail(call, SDX_INVALID_MODEL, NULL, "a weight is no array");
  if (w->dtype == SDX_UNDEFINED)
    return !keras_fail(call, SDX_NOT_SUPPORTED, NULL, "a weight has elements of an unknown type");
  return true;
}

bool keras_expect(keras_call *call, const char *name, const hdf5_array *w, size_t rank, const int64_t *shape) {
  char got[200] = "", want[200] = "";
  bool fits = w->rank == rank;
  for (size_t i = 0; fits && i < rank; i++) fits = shape[i] < 0 || shape[i] == w->shape[i];
  if (fits) return true;
  for (size_t i = 0, n = 0; i < w->rank && n < 150; i++)
    n += (size_t)snprintf(got + n, 40, "%s%lld", i ? ", " : "", (long long)w->shape[i]);
  for (size_t i = 0, n = 0; i < rank && n < 150; i++)
    n += shape[i] < 0 ? (size_t)snprintf(want + n, 40, "%s?", i ? ", " : "")
                      : (size_t)snprintf(want + n, 40, "%s%lld", i ? ", " : "", (long long)shape[i]);
  return !keras_fail(call, SDX_INVALID_MODEL, NULL, "%s has shape [%s], expected [%s]", name, got, want);
}

// ---- constants --------------------------------------------------------------------------------------

typedef struct constant {
  sdx_dtype dtype;
  size_t count;
  keras_piece *pieces;
  hdf5_array *arrays;  // of the pieces
} constant;

static double element(const hdf5_array *a, size_t i) {
  const unsigned char *at = (const unsigned char *)a->at + i * a->element_bytes;
  float f;
  double d;
  int32_t n;
  int64_t l;
  uint16_t h;
  switch ((int)a->dtype) {
    case SDX_FLOAT:
      return memcpy(&f, at, sizeof f), (double)f;
    case SDX_DOUBLE:
      return memcpy(&d, at, sizeof d), d;
    case SDX_FLOAT16:
      return memcpy(&h, at, sizeof h), (double)fp16_to_float(h);
    case SDX_BFLOAT16:
      return memcpy(&h, at, sizeof h), (double)bf16_to_float(h);
    case SDX_INT32:
      return memcpy(&n, at, sizeof n), (double)n;
    case SDX_INT64:
      return memcpy(&l, at, sizeof l), (double)l;
    case SDX_INT8:
      return *(const signed char *)at;
    default:
      return *at;
  }
}

static size_t element_size(sdx_dtype dtype) {
  return dtype == SDX_DOUBLE || dtype == SDX_INT64 ? 8 : dtype == SDX_FLOAT16 ? 2 : 4;
}

static void store_element(sdx_dtype dtype, double number, char *at) {
  float f = (float)number;
  uint16_t h;
  int64_t l;
  switch ((int)dtype) {
    case SDX_DOUBLE:
      memcpy(at, &number, sizeof number);
      break;
    case SDX_FLOAT16:
      memcpy(at, (h = fp16_from_float(f), &h), sizeof h);
      break;
    case SDX_INT64:
      memcpy(at, (l = (int64_t)number, &l), sizeof l);
      break;
    default:
      memcpy(at, &f, sizeof f);
  }
}

static char *fill_piece(const keras_piece *p, sdx_dtype dtype, char *to) {
  int64_t index[KERAS_RANK] = {0};
  size_t count = 1, bytes = element_size(dtype);
  int64_t at = p->offset;
  for (size_t i = 0; i < p->rank; i++) count *= (size_t)p->shape[i];
  bool same = p->from && p->from->dtype == dtype;
  for (size_t n = 0; n < count; n++, to += bytes) {
    if (!p->from) memset(to, 0, bytes);
    else if (same) memcpy(to, (const char *)p->from->at + (size_t)at * bytes, bytes);
    else store_element(dtype, element(p->from, (size_t)at), to);
    for (size_t i = p->rank; i--;) {
      at += p->stride[i];
      if (++index[i] < p->shape[i]) break;
      at -= p->stride[i] * p->shape[i];
      index[i] = 0;
    }
  }
  return to;
}

static sdx_status fill(void *context, void *bytes, size_t size) {
  const constant *c = context;
  char *to = bytes;
  (void)size;
  for (size_t i = 0; i < c->count; i++) to = fill_piece(&c->pieces[i], c->dtype, to);
  return SDX_OK;
}

// Whether the pieces read within their arrays and make `total` elements.
static bool pieces_fit(size_t count, const keras_piece *pieces, size_t total) {
  size_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    const keras_piece *p = &pieces[i];
    size_t n;
    if (!size_product(p->shape, p->rank, &n) || !size_add(sum, n, &sum)) return false;
    int64_t least = p->offset, most = p->offset;
    for (size_t d = 0; d < p->rank; d++) {
      int64_t reach;
      if (!n) break;
      if (!i64_mul(p->stride[d], p->shape[d] - 1, &reach)) return false;
      if (!i64_add(reach < 0 ? least : most, reach, reach < 0 ? &least : &most)) return false;
    }
    if (n && p->from && (least < 0 || most >= (int64_t)p->from->count)) return false;
  }
  return sum == total;
}

sdx_ref keras_pieces(keras_call *call, const char *name, sdx_dtype dtype, size_t rank, const int64_t *shape,
                     size_t count, const keras_piece *pieces) {
  keras *k = call->k;
  size_t total;
  if (!size_product(shape, rank, &total) || !pieces_fit(count, pieces, total)) {
    keras_fail(call, SDX_INVALID_MODEL, NULL, "%s has another size than its layer needs", name);
    return 0;
  }
  const void *first = NULL;
  for (size_t i = 0; !first && i < count; i++) first = pieces[i].from ? pieces[i].from->at : NULL;
  char *label = arena_format(k->c->memory, "%s/%s", call->layer->name, name);
  char *key = arena_format(k->c->memory, "%s@%p:%d", label ? label : "", first, (int)dtype);
  constant *c = arena_array(k->c->memory, 1, sizeof *c);
  uint32_t ref;
  if (key && str_map_find(&k->constants, str_from(key), &ref)) return ref;
  if (!label || !key || !c || !(c->pieces = arena_copy(k->c->memory, pieces, count * sizeof *pieces)) ||
      !(c->arrays = arena_array(k->c->memory, count, sizeof *c->arrays)))
    return convert_no_memory(k->c), 0;
  c->dtype = dtype;
  c->count = count;
  for (size_t i = 0; i < count; i++)
    if (pieces[i].from) c->pieces[i].from = memcpy(&c->arrays[i], pieces[i].from, sizeof *c->arrays);
  ref = sdx_graph_add_filled(sdx_builder_graph(k->c->builder), label, dtype, rank, shape, fill, c);
  if (!str_map_put(&k->constants, str_from(key), ref)) return convert_no_memory(k->c), 0;
  return ref;
}

sdx_ref keras_constant(keras_call *call, const char *name, sdx_dtype dtype, const hdf5_array *w, const int64_t *order) {
  keras_piece p = {.from = w, .rank = w->rank};
  int64_t stride[KERAS_RANK], step = 1;
  for (size_t i = w->rank; i--; step = wrap_mul(step, w->shape[i])) stride[i] = step;
  for (size_t i = 0; i < w->rank; i++) {
    size_t from = order ? (size_t)order[i] : i;
    p.shape[i] = w->shape[from];
    p.stride[i] = stride[from];
  }
  return keras_pieces(call, name, dtype, w->rank, p.shape, 1, &p);
}

sdx_ref keras_next(keras_call *call, const char *part, unsigned index, const char *name, size_t rank,
                   const int64_t *shape) {
  hdf5_array w;
  if (!keras_weight(call, part, index, &w) || !keras_expect(call, name, &w, rank, shape)) return 0;
  return keras_constant(call, name, call->dtype, &w, NULL);
}

sdx_ref keras_floats(keras_call *call, sdx_dtype dtype, size_t rank, const int64_t *shape, const double *numbers) {
  size_t count;
  sdx_value *v = size_product(shape, rank, &count) ? sdx_tensor_create(dtype, rank, shape) : NULL;
  char *at = v ? sdx_tensor_data(v) : NULL;
  for (size_t i = 0; at && i < count; i++) store_element(dtype, numbers[i], at + i * element_size(dtype));
  return sdx_graph_add_initializer(call->k->graph, "const", v);
}
