// SPDX-License-Identifier: Apache-2.0
// The table of models (models.h). The lock is held to look up and to swap, never while a file is read.
#include "server/models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/host.h"
#include "server/log.h"
#include "server/model_name.h"
#include "server/monitor/drift.h"

void models_init(models *t, const sdx_options *options) {
  *t = (models){.options = options};
  pthread_mutex_init(&t->lock, NULL);
  pthread_cond_init(&t->settled, NULL);
}

void models_deinit(models *t) {
  for (size_t i = 0; i < t->count; i++) {
    model_release(t->entries[i]->loaded);
    model_metrics_deinit(&t->entries[i]->metrics);
    drift_destroy(t->entries[i]->drift);
    free(t->entries[i]);
  }
  free(t->entries);
  pthread_mutex_destroy(&t->lock);
  pthread_cond_destroy(&t->settled);
}

// Below 0: `a` stands first.
static int order(const model_entry *a, str name, int64_t number) {
  str own = str_from(a->name);
  size_t least = own.size < name.size ? own.size : name.size;
  int by_name = memcmp(own.at, name.at, least);
  if (!by_name) by_name = (own.size > name.size) - (own.size < name.size);
  return by_name ? by_name : (a->number < number) - (a->number > number);
}

// Where the name's entries from that version down begin.
static size_t position(const models *t, str name, int64_t number) {
  size_t low = 0, high = t->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (order(t->entries[middle], name, number) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

static bool same_name(const models *t, size_t i, str name) { return i < t->count && str_is(name, t->entries[i]->name); }

static bool take_name(model_entry *e, const char *name) {
  e->number = 1;
  if (!name) {
    model_name_from_path(e->path, e->name);
  } else {
    const char *colon = strchr(name, ':');
    str given = {name, colon ? (size_t)(colon - name) : strlen(name)};
    int64_t number = 1;
    bool versioned = !colon || (number_read_int(str_from(colon + 1), &number) && number >= 1);
    if (!versioned || !model_name_read(given, e->name)) {
      log_line("error",
               "model name '%.140s': expected letters and digits of any script and . _ -, at most 128 bytes of UTF-8 "
               "with no dot first, then perhaps ':' and a version from 1 up",
               name);
      return false;
    }
    e->number = number;
  }
  snprintf(e->version, sizeof e->version, "%lld", (long long)e->number);
  return true;
}

bool models_add(models *t, const char *name, const char *path) {
  model_entry *e = calloc(1, sizeof *e), **entries = realloc(t->entries, (t->count + 1) * sizeof *entries);
  if (entries) t->entries = entries;
  if (!e || !entries) {
    free(e);
    return false;
  }
  e->path = path;
  model_metrics_init(&e->metrics);
  if (!take_name(e, name)) {
    free(e);
    return false;
  }
  str own = str_from(e->name);
  size_t at = position(t, own, e->number);
  if (same_name(t, at, own) && t->entries[at]->number == e->number) {
    log_line("error", "%s and %s are both named '%s' version %s; give one another name or version: NAME:VERSION=PATH",
             t->entries[at]->path, path, e->name, e->version);
    free(e);
    return false;
  }
  memmove(entries + at + 1, entries + at, (t->count - at) * sizeof *entries);
  entries[at] = e;
  t->count++;
  if (!t->first) t->first = e;
  size_t from = position(t, own, INT64_MAX), to = from;
  while (same_name(t, to, own)) to++;
  for (size_t i = from; i < to; i++) entries[i]->alone = to - from == 1;
  return true;
}

bool models_pin(models *t, const char *name) {
  bool found = false;
  for (size_t i = position(t, str_from(name), INT64_MAX); same_name(t, i, str_from(name)); i++)
    found = t->entries[i]->pinned = true;
  if (!found) log_line("error", "--pin %.140s: there is no model of that name", name);
  return found;
}

static bool serves(const models *t, const model_entry *e) { return e->loaded || residence_on_demand(t, e); }

bool models_serve(models *t, model_entry *e) {
  pthread_mutex_lock(&t->lock);
  bool yes = serves(t, e);
  pthread_mutex_unlock(&t->lock);
  return yes;
}

model_entry *models_find(models *t, str name, str version, model **loaded) {
  int64_t number = INT64_MAX;
  bool one = version.at != NULL;
  *loaded = NULL;
  if (one && (!number_read_int(version, &number) || number < 1)) return NULL;
  size_t at = position(t, name, number);
  if (!same_name(t, at, name) || (one && !str_is(version, t->entries[at]->version))) return NULL;
  pthread_mutex_lock(&t->lock);
  size_t found = at;
  while (!one && !serves(t, t->entries[found]) && same_name(t, found + 1, name)) found++;
  if (!serves(t, t->entries[found])) found = at;
  model_entry *e = t->entries[found];
  if (e->loaded) *loaded = model_retain(e->loaded);
  residence_note_use(t, e);
  pthread_mutex_unlock(&t->lock);
  return e;
}

model_entry *models_default(models *t, model **loaded) {
  *loaded = NULL;
  return t->first ? models_find(t, str_from(t->first->name), (str){0}, loaded) : NULL;
}

model *models_acquire(models *t, model_entry *e) {
  pthread_mutex_lock(&t->lock);
  model *m = e->loaded ? model_retain(e->loaded) : NULL;
  pthread_mutex_unlock(&t->lock);
  return m;
}

static void swap(models *t, model_entry *e, model *fresh, const char *reason) {
  pthread_mutex_lock(&t->lock);
  model *old = e->loaded;
  e->loaded = fresh;
  e->loading = false;
  e->retried_ns = 0;
  snprintf(e->reason, sizeof e->reason, "%s", reason);
  pthread_cond_broadcast(&t->settled);
  pthread_mutex_unlock(&t->lock);
  model_release(old);
}

static void note_failure(models *t, model_entry *e, const char *why) {
  pthread_mutex_lock(&t->lock);
  e->loading = false;
  e->retried_ns = clock_ns();
  if (!e->loaded) snprintf(e->reason, sizeof e->reason, "%s", "the file cannot be loaded; the log says why");
  pthread_cond_broadcast(&t->settled);
  pthread_mutex_unlock(&t->lock);
  log_line("error", "%s: %s", e->path, why);
}

// What it needs is known when it is there; before, its file tells about how much.
static uint64_t guessed_bytes(const model_entry *e) {
  struct stat s;
  if (e->bytes) return e->bytes;
  return stat(e->path, &s) == 0 && s.st_size > 0 ? (uint64_t)s.st_size : 0;
}

// Room for what was loaded. False: there is none, which was written.
static bool settle(models *t, model_entry *e, const model *fresh, uint64_t took, char *why, size_t why_size) {
  uint64_t bytes = sdx_session_memory_bytes(fresh->session);
  bool fits = residence_make_room(t, e, bytes);
  pthread_mutex_lock(&t->lock);
  e->bytes = bytes;
  e->load_ns = (double)took;
  pthread_mutex_unlock(&t->lock);
  if (!fits)
    snprintf(why, why_size, "it takes %llu bytes, which limit memory-limit-bytes, %llu, has not beside what is busy",
             (unsigned long long)bytes, (unsigned long long)t->memory_limit);
  return fits;
}

static void learn_batches(const models *t, const model_entry *e, model *m) {
  char why[400];
  m->batching = batching_learn(e->path, m->session, t->batch_ns, t->batch_rows, why, sizeof why);
  if (!m->batching) {
    log_line("info", "model '%s' is computed request by request: %s", e->name, why);
    return;
  }
  size_t most = batching_most(m->batching);
  uint64_t one = m->batching->cost_ns[0], all = batching_cost(m->batching);
  model_note_cost(m, one);
  log_line("info", "model '%s' is computed up to %zu requests at once: %.2f ms each, %.2f ms alone", e->name, most,
           (double)all / 1e6 / (double)most, (double)one / 1e6);
}

bool models_load(models *t, model_entry *e, char *why, size_t why_size) {
  uint64_t start = clock_ns();
  pthread_mutex_lock(&t->lock);
  e->loading = true;
  pthread_mutex_unlock(&t->lock);
  residence_make_room(t, e, guessed_bytes(e));
  model *fresh = model_create(e->name, e->path, t->options, t->admission, why, why_size);
  if (!fresh || !settle(t, e, fresh, clock_ns() - start, why, why_size)) {
    model_release(fresh);
    note_failure(t, e, why);
    return false;
  }
  atomic_fetch_add(&t->loads, 1);
  for (const char *line = sdx_session_warnings(fresh->session), *end; *line; line = *end ? end + 1 : end) {
    end = strchrnul(line, '\n');
    log_line("warning", "%s: %.*s", e->name, (int)(end - line), line);
  }
  if (t->batch_ns) learn_batches(t, e, fresh);
  swap(t, e, fresh, "");
  log_line("info", e->alone ? "model '%s' loaded in %.1f ms" : "model '%s' loaded in %.1f ms (version %s)", e->name,
           (double)(clock_ns() - start) / 1e6, e->version);
  return true;
}

model_entry *models_change(models *t, const model_entry *of, bool load) {
  char why[1400];
  for (size_t i = 0; i < t->count; i++) {
    model_entry *e = t->entries[i];
    if (strcmp(e->name, of->name) != 0) continue;
    pthread_mutex_lock(&t->lock);
    e->unloaded = !load;
    pthread_mutex_unlock(&t->lock);
    if (!load) swap(t, e, NULL, "unloaded");
    else if (!models_load(t, e, why, sizeof why)) return e;
  }
  return NULL;
}
