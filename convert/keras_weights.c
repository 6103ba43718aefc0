// SPDX-License-Identifier: Apache-2.0
// Weights: found in the file, made into constants when the model is written, so that none is in memory twice.
#include <stdio.h>
#include <string.h>

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

net_numbers keras_numbers(const hdf5_array *w) {
  net_numbers n = {.at = w->at, .count = w->count, .coding = NET_U8};
  switch ((int)w->dtype) {
    case SDX_FLOAT:
      n.coding = NET_F32;
      break;
    case SDX_DOUBLE:
      n.coding = NET_F64;
      break;
    case SDX_FLOAT16:
      n.coding = NET_F16;
      break;
    case SDX_BFLOAT16:
      n.coding = NET_BF16;
      break;
    case SDX_INT32:
      n.coding = NET_I32;
      break;
    case SDX_INT64:
      n.coding = NET_I64;
      break;
    case SDX_INT8:
      n.coding = NET_I8;
      break;
    default:
      break;
  }
  return n;
}

sdx_ref keras_pieces(keras_call *call, const char *name, sdx_dtype dtype, size_t rank, const int64_t *shape,
                     size_t count, const net_piece *pieces) {
  keras *k = call->k;
  if (!net_pieces_fit(rank, shape, count, pieces)) {
    keras_fail(call, SDX_INVALID_MODEL, NULL, "%s has another size than its layer needs", name);
    return 0;
  }
  const void *first = NULL;
  for (size_t i = 0; !first && i < count; i++) first = pieces[i].from ? pieces[i].from->at : NULL;
  char *label = arena_format(k->c->memory, "%s/%s", call->layer->name, name);
  char *key = arena_format(k->c->memory, "%s@%p:%d", label ? label : "", first, (int)dtype);
  uint32_t ref;
  if (!key) return convert_no_memory(k->c), 0;
  if (str_map_find(&k->constants, str_from(key), &ref)) return ref;
  ref = net_filled(k->c, label, dtype, rank, shape, count, pieces);
  if (!str_map_put(&k->constants, str_from(key), ref)) return convert_no_memory(k->c), 0;
  return ref;
}

sdx_ref keras_constant(keras_call *call, const char *name, sdx_dtype dtype, const hdf5_array *w, const int64_t *order) {
  net_numbers numbers = keras_numbers(w);
  net_piece p = {.from = &numbers, .rank = w->rank};
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
  return net_literal(call->k->c, "const", dtype, rank, shape, numbers);
}
