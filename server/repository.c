// SPDX-License-Identifier: Apache-2.0
// The watched folder of models (repository.h). The kernel tells of changes (inotify); they are acted on when it has
// been quiet for a moment, so that a model is read when all of it is there.
#include "server/repository.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/host.h"
#include "server/log.h"
#include "support/files.h"

enum { QUIET_MS = 100, MOST_MS = 2000, MOST_FOUND = 4096 };

struct repository {
  models *models;
  const char *path;
  int notify, wake;
  pthread_t thread;
  bool watched, loads;
  atomic_bool stop;
  uint64_t scan;  // the number of this one
};

// ---- scanning ------------------------------------------------------------------------------------

static void watch(const repository *r, const char *folder) {
  uint32_t what = IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR;
  if (r->notify >= 0 && inotify_add_watch(r->notify, folder, what) < 0 && errno != ENOENT && errno != ENOTDIR)
    log_line("warning", "%s is not watched, SIGHUP looks at it again: %m", folder);
}

static uint64_t mix(uint64_t hash, uint64_t value) { return (hash ^ value) * 0x9E3779B97F4A7C15u; }

// Changes whenever a file does; 0: there is none.
static uint64_t stamp_of(const char *path) {
  struct stat s;
  if (stat(path, &s) != 0 || !S_ISREG(s.st_mode)) return 0;
  uint64_t hash = mix(mix(1, (uint64_t)s.st_ino), (uint64_t)s.st_size);
  return mix(mix(hash, (uint64_t)s.st_mtim.tv_sec), (uint64_t)s.st_mtim.tv_nsec) | 1;
}

static int newest_first(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x < y) - (x > y);
}

// The numbers among a folder's names.
static size_t find_versions(const char *folder, int64_t *versions, size_t room) {
  DIR *d = opendir(folder);
  size_t count = 0;
  int64_t number;
  for (struct dirent *e; d && count < room && (e = readdir(d));)
    if (*e->d_name >= '1' && *e->d_name <= '9' && number_read_int(str_from(e->d_name), &number))
      versions[count++] = number;
  if (d) closedir(d);
  qsort(versions, count, sizeof *versions, newest_first);
  return count;
}

// False: it is not in service, so that an older one may have to stay.
static bool take_version(repository *r, const char *name, int64_t number, const char *path, const char *config) {
  models *t = r->models;
  char whole[MODEL_NAME_BYTES + 24], why[1400];
  uint64_t stamp = stamp_of(path);
  model_entry *e = models_entry(t, name, number);
  if (!stamp) return false;
  stamp = mix(stamp, stamp_of(config));
  snprintf(whole, sizeof whole, "%s:%lld", name, (long long)number);
  bool fresh_entry = !e;
  if (!e && !(e = models_add(t, whole, path))) return false;
  if (!fresh_entry && !e->of_repository) {
    log_line("warning", "%s is passed over: '%s' is another model of that name and version", path, whole);
    return true;
  }
  bool fresh = e->gone || !e->of_repository || e->stamp != stamp;
  if (!e->of_repository) e->config = strdup(config);
  e->of_repository = true;
  e->scan = r->scan;
  e->stamp = stamp;
  e->gone = false;
  bool due = fresh && r->loads && !e->unloaded && (!t->memory_limit || e->loaded || e->pinned);
  if (due) models_load(t, e, why, sizeof why);
  return !r->loads || e->unloaded || models_serve(t, e);
}

// What is there stays as it is, while its file cannot be read or what should take its place is not in service.
static void keep_version(const repository *r, const char *name, int64_t number) {
  model_entry *e = models_entry(r->models, name, number);
  if (e && e->of_repository) e->scan = r->scan;
}

static void take_model(repository *r, const char *name) {
  char taken[MODEL_NAME_BYTES], why[400] = "";
  fault f = {0};
  size_t size, count;
  int64_t versions[MOST_FOUND];
  char *folder = path_format("%s/%s", r->path, name), *config = path_format("%s/%s/config.pbtxt", r->path, name);
  char *text = config ? file_load(AT_FDCWD, config, CONFIG_BYTES, &size, &f) : NULL;
  model_config *c = text ? model_config_read((str){text, size}, why, sizeof why) : NULL;
  count = folder ? find_versions(folder, versions, MOST_FOUND) : 0;
  if (folder) watch(r, folder);
  if (count && (!model_name_read(str_from(name), taken) || strcmp(taken, name) != 0)) {
    log_line("warning", "%s: no name of a model, passed over", folder);
    count = 0;
  }
  if (text && !c) log_line("error", "%s: %s", config, why);
  bool good = c || !text;
  for (size_t i = 0; i < count && config; i++) {
    char *version = path_format("%s/%lld", folder, (long long)versions[i]),
         *path = path_format("%s/%lld/%s", folder, (long long)versions[i], c ? c->file : "model.onnx");
    if (version) watch(r, version);
    bool served = path && (c || !text) && model_config_serves(c, versions[i], i);
    if (served) good &= take_version(r, name, versions[i], path, config);
    else if (!good) keep_version(r, name, versions[i]);
    free(version);
    free(path);
  }
  model_config_free(c);
  free(text);
  free(config);
  free(folder);
}

// False: the folder cannot be read.
static bool scan(repository *r) {
  struct dirent **names;
  watch(r, r->path);
  int count = scandir(r->path, &names, NULL, alphasort);
  r->scan++;
  for (int i = 0; i < count; i++) {
    if (*names[i]->d_name != '.') take_model(r, names[i]->d_name);
    free(names[i]);
  }
  if (count < 0) return log_line("error", "repository %s: %m", r->path), false;
  free(names);
  const model_list *all = models_list(r->models);
  for (size_t i = 0; i < all->count; i++) {
    model_entry *e = all->at[i];
    if (e->of_repository && !e->gone && e->scan != r->scan) models_forget(r->models, e);
  }
  return true;
}

// ---- watching ------------------------------------------------------------------------------------

// Throws away what was told. False: nothing was, for `wait_ms` (negative: for ever).
static bool told(repository *r, int wait_ms) {
  char events[4096];
  uint64_t number;
  struct pollfd fds[] = {{r->notify, POLLIN, 0}, {r->wake, POLLIN, 0}};
  if (poll(fds, 2, wait_ms) <= 0) return false;
  while (r->notify >= 0 && read(r->notify, events, sizeof events) > 0) {
  }
  if (fds[1].revents && read(r->wake, &number, sizeof number) < 0) return false;
  return true;
}

static void *follow(void *context) {
  repository *r = context;
  while (told(r, -1) && !atomic_load(&r->stop)) {
    uint64_t end = clock_ns() + MOST_MS * 1000000ull;
    while (clock_ns() < end && told(r, QUIET_MS)) {
    }
    if (!atomic_load(&r->stop)) scan(r);
  }
  return NULL;
}

repository *repository_open(models *t, const char *path) {
  repository *r = calloc(1, sizeof *r);
  if (!r) return NULL;
  *r = (repository){.models = t, .path = path, .notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK)};
  r->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (r->wake >= 0 && scan(r)) return r;
  repository_close(r);
  return NULL;
}

bool repository_watch(repository *r) {
  r->loads = true;
  r->watched = pthread_create(&r->thread, NULL, follow, r) == 0;
  return r->watched;
}

void repository_rescan(repository *r) {
  uint64_t one = 1;
  if (write(r->wake, &one, sizeof one) < 0) log_line("warning", "the repository cannot be looked at again: %m");
}

void repository_close(repository *r) {
  if (!r) return;
  atomic_store(&r->stop, true);
  if (r->watched) {
    repository_rescan(r);
    pthread_join(r->thread, NULL);
  }
  if (r->notify >= 0) close(r->notify);
  if (r->wake >= 0) close(r->wake);
  free(r);
}
