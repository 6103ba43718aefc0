// SPDX-License-Identifier: Apache-2.0
// The table of models: names and versions the operator declared (entries), and what of them is loaded (model.h).
// Entries stay; models are counted by reference, so one may be loaded again or unloaded while calls still run on it.
#pragma once

#include "server/model.h"
#include "server/model_name.h"
#include "server/monitor/alerts.h"

typedef struct model_entry {
  char name[MODEL_NAME_BYTES], version[20];
  int64_t number;  // the version
  const char *path;
  char *config;       // the path of its config.pbtxt; NULL: it has none
  atomic_bool alone;  // the only version of its name
  atomic_bool gone;   // from the repository: nobody sees it any more
  bool of_repository;
  uint64_t stamp, scan;   // of its files there; when they were seen last (repository.c)
  model_metrics metrics;  // survive a reload, and so do:
  alert_state alerts;
  struct drift *drift;  // NULL: it has no baseline
  // Guarded by the table:
  model *loaded;
  bool loading;
  char reason[300];  // why it is not loaded
  bool unloaded;     // by the operator: it is not loaded because somebody asks for it
  bool pinned;       // loaded at the start, stays in memory
  double load_ns;    // how long that took
  uint64_t bytes;    // its memory, as it was seen last
  uint64_t uses;
  double value;         // of keeping it (residence.c)
  uint64_t retried_ns;  // when a load failed last
} model_entry;

// Whoever reads a list may do so without a lock: a new one takes its place, and it stays until the end.
typedef struct model_list {
  struct model_list *before;
  size_t count;
  model_entry *first;  // the first one declared: what is asked without a name
  model_entry *at[];   // by name, then from the newest version down
} model_list;

typedef struct models {
  pthread_mutex_t lock;
  model_list *_Atomic list;
  bool serving;  // requests are taken: the lists that were stay
  const sdx_options *options;
  struct admission *admission;  // of models that are loaded
  const struct limits *limits;
  const char *const *states;  // "input=output" of models that keep a state
  size_t state_count;
  uint64_t batch_ns;  // what a batch may take; 0: none are made
  size_t batch_rows;
  // With a limit models are loaded when they are asked for, and leave when their room is needed (residence.c).
  uint64_t memory_limit;   // bytes; 0: none
  pthread_cond_t settled;  // a load that somebody may wait for has ended
  double age;              // the value of what left last
  atomic_uint_fast64_t loads, evictions;
} models;

bool models_init(models *t, const sdx_options *options);  // false: memory
void models_deinit(models *t);
// Declares a model. `name` NULL: made from the file name; "name:2" is its version 2. NULL: said in the log. On one
// thread at a time.
model_entry *models_add(models *t, const char *name, const char *path);
bool models_pin(models *t, const char *name);  // false: there is none of that name, which was said
static inline const model_list *models_list(const models *t) { return atomic_load(&t->list); }
static inline size_t models_count(const models *t) { return models_list(t)->count; }

// The entry of a name and version (at NULL: the newest that is loaded, else the newest). NULL: there is none.
// *loaded: held for the caller (model_release), or NULL.
model_entry *models_find(models *t, str name, str version, model **loaded);
model_entry *models_default(models *t, model **loaded);                        // NULL: there are none
model_entry *models_entry(const models *t, const char *name, int64_t number);  // also one that is gone
void models_forget(models *t, model_entry *e);     // its files are gone; calls that have it go on
model *models_acquire(models *t, model_entry *e);  // NULL: it is not loaded
// Whether calls of it are taken: it is loaded, or will be when it is asked for. Not to be called under the lock.
bool models_serve(models *t, model_entry *e);
// Loads a file, again if it is loaded; calls that have the old one keep it until they are done. Blocks. False: why.
bool models_load(models *t, model_entry *e, char *why, size_t why_size);
// residence.c. Whether it is loaded when somebody asks for it. Under the lock.
bool residence_on_demand(const models *t, const model_entry *e);
void residence_note_use(models *t, model_entry *e);  // the same
// The model, loaded if it is not. Blocks. NULL: why.
model *residence_acquire(models *t, model_entry *e, char *why, size_t why_size);
// Lets go of models that are worth least until there is room for `bytes` beside those that stay. False: all others
// are at work or pinned.
bool residence_make_room(models *t, const model_entry *keep, uint64_t bytes);
// All versions of a name. NULL, or the entry that cannot be loaded.
model_entry *models_change(models *t, const model_entry *of, bool load);
