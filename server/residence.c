// SPDX-License-Identifier: Apache-2.0
// Which of many models are in memory (models.h). With a limit a model is loaded by the first call that asks for it, and
// the one that is worth least makes room: GreedyDual-Size-Frequency. A model is worth how often it was asked times what
// loading it costs, for each byte it takes; what left last tells the worth that new ones start from, so that what was
// popular once does not stay for ever. Models at work and pinned ones stay.
#include <malloc.h>
#include <stdio.h>

#include "base/host.h"
#include "server/models.h"

static const uint64_t RETRY_NS = 1000000000;  // a file that cannot be loaded is not read for every call

bool residence_on_demand(const models *t, const model_entry *e) { return t->memory_limit && !e->unloaded; }

static uint64_t bytes_of(model_entry *e) { return e->bytes = sdx_session_memory_bytes(e->loaded->session); }

void residence_note_use(models *t, model_entry *e) {
  if (!t->memory_limit) return;
  e->uses++;
  e->value = t->age + (double)e->uses * e->load_ns / (double)(e->bytes ? e->bytes : 1);
}

// Takes the least valuable model out of the table. NULL: there is room, or none can leave; *fits tells which.
static model *take_victim(models *t, const model_entry *keep, uint64_t bytes, bool *fits) {
  model_entry *least = NULL;
  pthread_mutex_lock(&t->lock);
  const model_list *all = models_list(t);
  for (size_t i = 0; i < all->count; i++) {
    model_entry *e = all->at[i];
    if (!e->loaded || e == keep) continue;
    bytes += bytes_of(e);
    // One reference is the table's own; others are added under the lock.
    bool idle = atomic_load(&e->loaded->references) == 1 && !sequences_live(e->loaded->sequences);
    if (idle && !e->pinned && (!least || e->value < least->value)) least = e;
  }
  *fits = bytes <= t->memory_limit;
  model *victim = *fits || !least ? NULL : least->loaded;
  if (victim) {
    t->age = least->value;
    least->loaded = NULL;
    least->uses = 0;
  }
  pthread_mutex_unlock(&t->lock);
  return victim;
}

bool residence_make_room(models *t, const model_entry *keep, uint64_t bytes) {
  bool fits = true, left = false;
  model *victim;
  while (t->memory_limit && (victim = take_victim(t, keep, bytes, &fits))) {
    model_release(victim);
    atomic_fetch_add(&t->evictions, 1);
    left = true;
  }
  if (left) malloc_trim(0);
  return fits;
}

model *residence_acquire(models *t, model_entry *e, char *why, size_t why_size) {
  pthread_mutex_lock(&t->lock);
  while (e->loading && !e->loaded) pthread_cond_wait(&t->settled, &t->lock);
  model *m = e->loaded ? model_retain(e->loaded) : NULL;
  bool again = !m && clock_ns() - e->retried_ns >= RETRY_NS;
  if (again) e->loading = true;
  else snprintf(why, why_size, "%s", e->reason);
  pthread_mutex_unlock(&t->lock);
  return again && models_load(t, e, why, why_size) ? models_acquire(t, e) : m;
}
