// SPDX-License-Identifier: Apache-2.0
// Letting go of weights that were packed; see weights.h.
#include "plan/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { LEAST_BYTES = 64 << 10 };  // smaller ones are not worth a call of the system

static bool inside(const weights_file *f, const void *data) {
  return (const char *)data >= (const char *)f->bytes && (const char *)data < (const char *)f->bytes + f->size;
}

static sdx_status list(weights *w, size_t *capacity, graph *g, const weights_file *file, error *err) {
  arena scratch;
  arena_init(&scratch, w->account);
  uint32_t *uses = graph_count_uses(g, &scratch);
  sdx_status status = uses ? SDX_OK : error_no_memory(err, g->value_count * sizeof *uses);
  for (value_id v = 1; status == SDX_OK && v < g->value_count; v++) {
    const tensor *t = g->values[v].constant;
    if (!t || t->bytes < LEAST_BYTES || t->dtype == SDX_STRING) continue;
    bool in_file = inside(file, t->data);
    if (w->count == *capacity) {
      size_t more = *capacity ? 2 * *capacity : 64;
      weight *at = mem_alloc(w->account, more * sizeof *at);
      if (!at) {
        status = error_no_memory(err, more * sizeof *at);
        break;
      }
      if (w->count) memcpy(at, w->at, w->count * sizeof *at);
      mem_free(w->at);
      w->at = at, *capacity = more;
    }
    w->at[w->count] = (weight){.data = t->data,
                               .bytes = t->bytes,
                               .index = w->count,
                               .uses = uses[v],
                               .pinned = in_file && file->lent,
                               .mapped = in_file && file->mapped};
    w->count++;
  }
  arena_deinit(&scratch);
  for (uint32_t i = 0; i < g->node_count; i++)
    for (uint32_t k = 0; k < g->nodes[i]->attr_count && status == SDX_OK; k++) {
      struct graph *const *bodies;
      size_t count = attr_graphs(&g->nodes[i]->attrs[k], &bodies);
      for (size_t b = 0; b < count && status == SDX_OK; b++) status = list(w, capacity, bodies[b], file, err);
    }
  return status;
}

static int by_address(const void *a, const void *b) {
  const weight *x = a, *y = b;
  if (x->data != y->data) return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
  return x->index < y->index ? -1 : 1;
}

// Values that show the same bytes are one weight.
static void merge(weights *w) {
  size_t kept = 0;
  for (size_t i = 0; i < w->count; i++)
    if (kept && w->at[kept - 1].data == w->at[i].data) w->at[kept - 1].uses += w->at[i].uses;
    else w->at[kept++] = w->at[i];
  w->count = kept;
}

sdx_status weights_init(weights *w, graph *g, mem_account *account, const weights_file *file, error *err) {
  size_t capacity = 0;
  *w = (weights){.account = account, .lock = PTHREAD_MUTEX_INITIALIZER};
  SDX_TRY(list(w, &capacity, g, file, err));
  if (w->count) qsort(w->at, w->count, sizeof *w->at, by_address);
  merge(w);
  return SDX_OK;
}

void weights_deinit(weights *w) {
  // The owners of the bytes give back all of them to the account.
  mem_recharge(w->account, w->gone_bytes);
  mem_free(w->at);
  *w = (weights){0};
}

static void let_go(weights *w, weight *e) {
  if (!e->mapped) e->hash = hash_of(0, e->data, e->bytes);
  size_t bytes = mem_discard(e->mapped ? NULL : w->account, e->data, e->bytes);
  e->gone = !e->mapped && bytes;
  if (e->gone) w->gone_bytes += bytes;
}

static bool may_go(const weights *w, const weight *e) {
  return !e->pinned && !e->gone && (e->mapped || (w->restore && !w->keep));
}

void weights_let_go_unused(weights *w) {
  for (size_t i = 0; i < w->count; i++)
    if (!w->at[i].uses && may_go(w, &w->at[i])) let_go(w, &w->at[i]);
}

void weights_begin(weights *w) {
  for (size_t i = 0; i < w->count; i++) w->at[i].packed = 0, w->at[i].asked = w->at[i].counted = false;
  w->asked = NULL;
}

static weight *find(weights *w, const void *data) {
  size_t low = 0, high = w->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if ((uintptr_t)w->at[middle].data < (uintptr_t)data) low = middle + 1;
    else high = middle;
  }
  return low < w->count && w->at[low].data == data ? &w->at[low] : NULL;
}

static sdx_status bring_back(weights *w, error *err) {
  if (!mem_charge(w->account, w->gone_bytes)) return error_no_memory(err, w->gone_bytes);
  w->gone_bytes = 0;
  w->keep = true;
  sdx_status status = w->restore(w->context, err);
  for (size_t i = 0; i < w->count && status == SDX_OK; i++) w->at[i].gone = false;
  return status;
}

sdx_status weights_keep(weights *w, error *err) {
  w->keep = true;
  return w->gone_bytes ? bring_back(w, err) : SDX_OK;
}

static void count_packed(weights *w, weight *e) {
  if (++e->packed == e->uses && may_go(w, e)) let_go(w, e);
}

static sdx_status ask(weights *w, const void *data, bool direct, bool missing, error *err) {
  weight *e = find(w, data), *former = w->asked;
  if (former && former != e && !former->counted) {
    former->counted = true;
    count_packed(w, former);
  }
  w->asked = direct ? e : NULL;
  if (!e) return SDX_OK;
  e->asked = true;
  return missing && e->gone ? bring_back(w, err) : SDX_OK;
}

static sdx_status pin(weights *w, weight *e, error *err) {
  e->pinned = true;
  return e->gone ? bring_back(w, err) : SDX_OK;
}

static sdx_status read_by_step(weights *w, const void *data, bool direct, error *err) {
  weight *e = find(w, data);
  w->asked = NULL;
  if (!e) return SDX_OK;
  if (!e->asked || !direct) return pin(w, e, err);
  if (!e->counted) count_packed(w, e);
  e->asked = e->counted = false;
  return SDX_OK;
}

sdx_status weights_ask(weights *w, const void *data, bool direct, bool missing, error *err) {
  pthread_mutex_lock(&w->lock);
  sdx_status status = ask(w, data, direct, missing, err);
  pthread_mutex_unlock(&w->lock);
  return status;
}

sdx_status weights_read(weights *w, const void *data, bool direct, error *err) {
  pthread_mutex_lock(&w->lock);
  sdx_status status = read_by_step(w, data, direct, err);
  pthread_mutex_unlock(&w->lock);
  return status;
}

sdx_status weights_pin(weights *w, const void *data, error *err) {
  pthread_mutex_lock(&w->lock);
  weight *e = find(w, data);
  sdx_status status = e ? pin(w, e, err) : SDX_OK;
  pthread_mutex_unlock(&w->lock);
  return status;
}

bool weights_copy_back(weights *w, const weights *again) {
  for (size_t i = 0; i < w->count; i++) {
    weight *e = &w->at[i];
    const weight *same = NULL;
    for (size_t k = 0; e->gone && k < again->count && !same; k++)
      if (again->at[k].index == e->index) same = &again->at[k];
    if (!e->gone) continue;
    if (!same || same->bytes != e->bytes || hash_of(0, same->data, same->bytes) != e->hash) return false;
    memcpy(e->data, same->data, e->bytes);
  }
  return true;
}
