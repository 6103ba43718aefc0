// SPDX-License-Identifier: Apache-2.0
// The table of models (models.h). The lock is held to look up and to swap, never while a file is read.
#include "server/models.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/host.h"
#include "server/log.h"
#include "server/model_name.h"
#include "server/monitor/drift.h"
#include "server/monitor/monitor.h"
#include "server/warmup.h"
#include "support/files.h"

static const uint64_t BATCH_NS = 25000000;  // what a batch may take where no goal says it

bool models_init(models *t, const sdx_options *options) {
  *t = (models){.options = options, .list = calloc(1, sizeof(model_list))};
  pthread_mutex_init(&t->lock, NULL);
  pthread_cond_init(&t->settled, NULL);
  return t->list != NULL;
}

static void free_entry(model_entry *e) {
  model_metrics_deinit(&e->metrics);
  drift_destroy(e->drift);
  free((char *)e->path);
  free(e->config);
  free(e);
}

void models_deinit(models *t) {
  const model_list *all = models_list(t);
  for (size_t i = 0; all && i < all->count; i++) {
    model_release(all->at[i]->loaded);
    free_entry(all->at[i]);
  }
  for (model_list *l = t->list, *before; l; l = before) {
    before = l->before;
    free(l);
  }
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
static size_t position(const model_list *l, str name, int64_t number) {
  size_t low = 0, high = l->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (order(l->at[middle], name, number) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

static bool same_name(const model_list *l, size_t i, str name) { return i < l->count && str_is(name, l->at[i]->name); }

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

// The list with one more. NULL: memory.
static model_list *extended(model_list *old, model_entry *e, size_t at) {
  model_list *l = malloc(sizeof *l + (old->count + 1) * sizeof *l->at);
  if (!l) return NULL;
  *l = (model_list){old, old->count + 1, old->first ? old->first : e};
  memcpy(l->at, old->at, at * sizeof *l->at);
  l->at[at] = e;
  memcpy(l->at + at + 1, old->at + at, (old->count - at) * sizeof *l->at);
  return l;
}

static bool insert(models *t, model_entry *e) {
  model_list *old = t->list, *l;
  str own = str_from(e->name);
  size_t at = position(old, own, e->number), from, to;
  if (same_name(old, at, own) && old->at[at]->number == e->number) {
    log_line("error", "%s and %s are both named '%s' version %s; give one another name or version: NAME:VERSION=PATH",
             old->at[at]->path, e->path, e->name, e->version);
    return false;
  }
  if (!(l = extended(old, e, at))) return false;
  for (from = to = position(l, own, INT64_MAX); same_name(l, to, own);) to++;
  for (size_t i = from; i < to; i++) l->at[i]->alone = to - from == 1;
  if (!t->serving) {
    l->before = old->before;
    free(old);
  }
  atomic_store(&t->list, l);
  return true;
}

model_entry *models_add(models *t, const char *name, const char *path) {
  model_entry *e = calloc(1, sizeof *e);
  if (!e) return NULL;
  e->path = strdup(path);
  model_metrics_init(&e->metrics);
  if (e->path) monitor_adopt(e);
  if (e->path && take_name(e, name) && insert(t, e)) return e;
  free_entry(e);
  return NULL;
}

bool models_pin(models *t, const char *name) {
  bool found = false;
  const model_list *l = models_list(t);
  for (size_t i = position(l, str_from(name), INT64_MAX); same_name(l, i, str_from(name)); i++)
    found = l->at[i]->pinned = true;
  if (!found) log_line("error", "--pin %.140s: there is no model of that name", name);
  return found;
}

model_entry *models_entry(const models *t, const char *name, int64_t number) {
  const model_list *l = models_list(t);
  size_t at = position(l, str_from(name), number);
  return same_name(l, at, str_from(name)) && l->at[at]->number == number ? l->at[at] : NULL;
}

static bool serves(const models *t, const model_entry *e) {
  return !e->gone && (e->loaded || residence_on_demand(t, e));
}

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
  const model_list *l = models_list(t);
  size_t at = position(l, name, number);
  while (!one && same_name(l, at, name) && l->at[at]->gone) at++;
  if (!same_name(l, at, name) || (one && (l->at[at]->gone || !str_is(version, l->at[at]->version)))) return NULL;
  pthread_mutex_lock(&t->lock);
  size_t found = at;
  while (!one && !serves(t, l->at[found]) && same_name(l, found + 1, name)) found++;
  if (!serves(t, l->at[found])) found = at;
  model_entry *e = l->at[found];
  if (e->loaded) *loaded = model_retain(e->loaded);
  residence_note_use(t, e);
  pthread_mutex_unlock(&t->lock);
  return e;
}

model_entry *models_default(models *t, model **loaded) {
  *loaded = NULL;
  const model_entry *first = models_list(t)->first;
  return first ? models_find(t, str_from(first->name), (str){0}, loaded) : NULL;
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
  size_t most = t->batch_rows;
  if (m->config && m->config->batches && (size_t)m->config->max_batch < most) most = (size_t)m->config->max_batch;
  uint64_t limit_ns = t->batch_ns ? t->batch_ns : BATCH_NS;
  m->batching = batching_learn(e->path, m->session, limit_ns, most, why, sizeof why);
  if (!m->batching) {
    log_line("info", "model '%s' is computed request by request: %s", e->name, why);
    return;
  }
  most = batching_most(m->batching);
  uint64_t one = m->batching->cost_ns[0], all = batching_cost(m->batching);
  model_note_cost(m, one);
  log_line("info", "model '%s' is computed up to %zu requests at once: %.2f ms each, %.2f ms alone", e->name, most,
           (double)all / 1e6 / (double)most, (double)one / 1e6);
}

// What stands beside the model, and what it asks to be done before traffic. False: why.
static bool configure(const models *t, const model_entry *e, model *m, char *why, size_t why_size) {
  fault f = {0};
  size_t size;
  char *text = e->config ? file_load(AT_FDCWD, e->config, CONFIG_BYTES, &size, &f) : NULL;
  if (text) m->config = model_config_read((str){text, size}, why, why_size);
  free(text);
  if (text && (!m->config || !model_config_check(m->config, m->session, why, why_size))) return false;
  m->sequences = sequences_create(m->session, m->config, t->states, t->state_count, t->limits, why, why_size);
  if (!m->sequences && *why) return false;
  if (!m->config) return true;
  if (*m->config->ignored)
    log_line("info", "model '%s': without effect in config.pbtxt: %s", e->name, m->config->ignored);
  return warmup_run(m, e->config, why, why_size);
}

void models_forget(models *t, model_entry *e) {
  e->gone = true;
  swap(t, e, NULL, "it is not in the repository any more");
  log_line("info", "model '%s' version %s is not in the repository any more", e->name, e->version);
}

bool models_load(models *t, model_entry *e, char *why, size_t why_size) {
  uint64_t start = clock_ns();
  pthread_mutex_lock(&t->lock);
  e->loading = true;
  pthread_mutex_unlock(&t->lock);
  residence_make_room(t, e, guessed_bytes(e));
  model *fresh = model_create(e->name, e->path, t->options, t->admission, why, why_size);
  if (!fresh || !configure(t, e, fresh, why, why_size) || !settle(t, e, fresh, clock_ns() - start, why, why_size)) {
    model_release(fresh);
    note_failure(t, e, why);
    return false;
  }
  atomic_fetch_add(&t->loads, 1);
  for (const char *line = sdx_session_warnings(fresh->session), *end; *line; line = *end ? end + 1 : end) {
    end = strchrnul(line, '\n');
    log_line("warning", "%s: %.*s", e->name, (int)(end - line), line);
  }
  if (t->batch_ns || (fresh->config && fresh->config->batches)) learn_batches(t, e, fresh);
  swap(t, e, fresh, "");
  log_line("info", e->alone ? "model '%s' loaded in %.1f ms" : "model '%s' loaded in %.1f ms (version %s)", e->name,
           (double)(clock_ns() - start) / 1e6, e->version);
  return true;
}

model_entry *models_change(models *t, const model_entry *of, bool load) {
  char why[1400];
  const model_list *l = models_list(t);
  for (size_t i = 0; i < l->count; i++) {
    model_entry *e = l->at[i];
    if (e->gone || strcmp(e->name, of->name) != 0) continue;
    pthread_mutex_lock(&t->lock);
    e->unloaded = !load;
    pthread_mutex_unlock(&t->lock);
    if (!load) swap(t, e, NULL, "unloaded");
    else if (!models_load(t, e, why, sizeof why)) return e;
  }
  return NULL;
}
