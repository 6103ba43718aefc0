// SPDX-License-Identifier: Apache-2.0
// A folder of optimized models; see cache.h.
#include "run/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/host.h"
#include "onnx/external.h"

enum {
  END_BYTES = 64 << 10,
  PIECE_BYTES = 1 << 20,
  NAME_DIGITS = 16,
  STALE_SECONDS = 3600,  // an unfinished entry that was left alone for so long has lost its writer
};

// ---- what a model is told by ------------------------------------------------------------------------

// Options that decide what the graph and its packs are.
static uint64_t settings_of(const sdx_options *o) {
  const int64_t numbers[] = {o->precision,         o->optimize,       o->layouts,          o->strict_dims,
                             o->fold_limit_bytes,  o->max_nodes,      o->max_rank,         o->max_name_bytes,
                             o->max_decode_depth,  o->max_file_bytes, o->allow_hard_links, o->max_subgraph_depth,
                             o->max_function_depth};
  hash h;
  hash_init(&h, 0);
  hash_add(&h, numbers, sizeof numbers);
  const char *disabled = o->disable_passes ? o->disable_passes : "";
  hash_add(&h, disabled, strlen(disabled) + 1);
  const char *overridable = o->overridable_initializers ? o->overridable_initializers : "";
  hash_add(&h, overridable, strlen(overridable) + 1);
  for (const dim_override *d = o->dims; d; d = d->next) {
    hash_add(&h, d->symbol, strlen(d->symbol) + 1);
    hash_add(&h, &d->value, sizeof d->value);
  }
  return hash_end(&h);
}

// From the file where there is one: of what was read of it parts are let go.
static bool add_bytes(const sdx_session *s, uint64_t at, uint64_t size, hash *h) {
  if (s->source < 0) {
    hash_add(h, (const char *)s->bytes + at, size);
    return true;
  }
  char *piece = mem_alloc(NULL, PIECE_BYTES);
  bool good = piece != NULL;
  while (good && size) {
    ssize_t n = pread(s->source, piece, size < PIECE_BYTES ? size : PIECE_BYTES, (off_t)at);
    if (n < 0 && errno == EINTR) continue;
    good = n > 0;
    if (good) hash_add(h, piece, (size_t)n), at += (uint64_t)n, size -= (uint64_t)n;
  }
  mem_free(piece);
  return good;
}

// Never 0: that says that it cannot be read.
static uint64_t model_hash(const sdx_session *s, uint64_t seed) {
  hash h;
  hash_init(&h, seed);
  return add_bytes(s, 0, s->size, &h) ? hash_end(&h) | 1 : 0;
}

// With the files of external data, whose names have a NUL behind them.
static uint64_t source_hash(const sdx_session *s, uint64_t seed, uint64_t model, str files) {
  hash h;
  external_gate gate;
  error unread = {0};
  bool good = model != 0;
  import_options import = {.external_dir = s->options->external_data_dir,
                           .file = s->file.path ? &s->file : NULL,
                           .allow_hard_links = s->options->allow_hard_links};
  hash_init(&h, seed);
  hash_add(&h, &model, sizeof model);
  external_gate_init(&gate, &import, NULL);
  for (const char *end; good && files.size && (end = memchr(files.at, 0, files.size)) != NULL;) {
    str name = {files.at, (size_t)(end - files.at)};
    hash_add(&h, name.at, name.size + 1);
    good = external_hash(&gate, name, &h, &unread) == SDX_OK;
    files.at += name.size + 1, files.size -= name.size + 1;
  }
  external_gate_deinit(&gate);
  return good ? hash_end(&h) | 1 : 0;
}

static char *entry_path(sdx_session *s, uint64_t settings) {
  const char *tier = cpu_isa_short_name(cpu_isa_limit());
  uint64_t end = s->size < END_BYTES ? s->size : END_BYTES, facts[] = {s->size, settings};
  hash h;
  hash_init(&h, 0);
  hash_add(&h, facts, sizeof facts);
  hash_add(&h, tier, strlen(tier) + 1);
  hash_add(&h, SDX_VERSION, sizeof SDX_VERSION);
  if (!add_bytes(s, 0, end, &h) || !add_bytes(s, s->size - end, end, &h)) return NULL;
  return arena_format(&s->memory, "%s/%0*llx.sdx", s->options->cache_dir, NAME_DIGITS,
                      (unsigned long long)hash_end(&h));
}

// ---- finding ----------------------------------------------------------------------------------------

typedef struct expected {
  const sdx_session *session;
  const cache_key *key;
} expected;

static sdx_status is_of_this_model(void *context, const optimized_head *h, str files, error *err) {
  const expected *e = context;
  if (h->settings != e->key->source.settings) return error_set(err, SDX_CONFLICT, "it was made with other options");
  if (!h->source || h->source != source_hash(e->session, h->seed, model_hash(e->session, h->seed), files))
    return error_set(err, SDX_CONFLICT, "it was made of another model");
  return SDX_OK;
}

static sdx_status open_entry(sdx_session *entry, const char *path) {
  struct stat st;
  SDX_TRY(session_open(entry, path));
  if (fstat(entry->source, &st) == 0 && st.st_uid != geteuid() && st.st_uid != 0)
    return error_set(&entry->err, SDX_FORBIDDEN, "it belongs to another user");
  if (!optimized_is(entry)) return error_set(&entry->err, SDX_INVALID_MODEL, "it is no optimized model");
  return SDX_OK;
}

bool cache_find(sdx_session *s, cache_key *key, sdx_session **hit) {
  *key = (cache_key){.source.settings = settings_of(s->options)};
  key->path = entry_path(s, key->source.settings);
  if (!key->path) return false;
  sdx_session *entry = session_create(s->options);
  if (!entry) return false;
  sdx_status status = open_entry(entry, key->path);
  if (status == SDX_OK) status = optimized_load(entry, is_of_this_model, &(expected){s, key});
  if (status == SDX_OK) {
    utimensat(AT_FDCWD, key->path, NULL, 0);  // used now; a folder that is only read does without
    *hit = entry;
    return true;
  }
  error_hint(&entry->err, "%s", "");                      // nobody has to do anything
  if (status != SDX_NOT_FOUND && status != SDX_IO_ERROR)  // where it cannot be opened, keeping one tells why
    text_format(&key->notes, "cache: '%.300s' is passed over and made anew: %.300s\n", key->path, entry->err.message);
  sdx_session_destroy(entry);
  if (getrandom(&key->source.seed, sizeof key->source.seed, 0) < 0) key->path = NULL;
  else key->source.source = model_hash(s, key->source.seed);
  return false;
}

// ---- the bound --------------------------------------------------------------------------------------

typedef struct entry {
  char name[NAME_DIGITS + sizeof ".sdx"];
  uint64_t bytes;
  struct timespec used;
} entry;

// Where a name that entries have ends; NULL: it is of something else, which is never touched.
static const char *end_of_entry(const char *name) {
  return strspn(name, "0123456789abcdef") == NAME_DIGITS && strncmp(name + NAME_DIGITS, ".sdx", 4) == 0
             ? name + NAME_DIGITS + 4
             : NULL;
}

static int by_use(const void *a, const void *b) {
  const struct timespec *x = &((const entry *)a)->used, *y = &((const entry *)b)->used;
  if (x->tv_sec != y->tv_sec) return x->tv_sec < y->tv_sec ? -1 : 1;
  return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

// The next entry of a folder, unfinished ones whose writer is gone removed on the way.
static bool next_entry(DIR *folder, entry *e) {
  for (struct dirent *d; (d = readdir(folder)) != NULL;) {
    const char *end = end_of_entry(d->d_name);
    struct stat st;
    if (!end || fstatat(dirfd(folder), d->d_name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode)) continue;
    if (*end == '.' && (int64_t)(clock_wall_ns() / 1000000000) - st.st_mtime > STALE_SECONDS)
      unlinkat(dirfd(folder), d->d_name, 0);
    if (*end) continue;
    *e = (entry){.bytes = (uint64_t)st.st_size, .used = st.st_mtim};
    memcpy(e->name, d->d_name, sizeof e->name);
    return true;
  }
  return false;
}

// Removes the entries that were not used for longest until the others have at most `most` bytes.
static void trim(const char *path, uint64_t most) {
  DIR *folder = opendir(path);
  entry *entries = NULL, e;
  size_t count = 0, capacity = 0;
  uint64_t all = 0;
  while (folder && next_entry(folder, &e)) {
    if (count == capacity) {
      entry *more = mem_alloc(NULL, (capacity = capacity ? 2 * capacity : 64) * sizeof *more);
      if (!more) break;  // those seen so far will do
      if (count) memcpy(more, entries, count * sizeof *more);
      mem_free(entries);
      entries = more;
    }
    entries[count++] = e;
    all += e.bytes;
  }
  if (count) qsort(entries, count, sizeof *entries, by_use);
  for (size_t i = 0; i < count && all > most; i++) {
    unlinkat(dirfd(folder), entries[i].name, 0);  // another process may have been faster
    all -= entries[i].bytes;
  }
  mem_free(entries);
  if (folder) closedir(folder);
}

// ---- keeping ----------------------------------------------------------------------------------------

static sdx_status keep(sdx_session *s, cache_key *key, error *err) {
  const text *files = &s->model->external_files;
  // What was read is what was hashed before, or the entry would be of neither.
  if (s->source >= 0 && key->source.source != model_hash(s, key->source.seed))
    return error_set(err, SDX_IO_ERROR, "the model changed while it was loaded");
  key->source.source = source_hash(s, key->source.seed, key->source.source, (str){files->at, files->size});
  if (!key->source.source) return error_set(err, SDX_IO_ERROR, "the model cannot be read again");
  if (mkdir(s->options->cache_dir, 0777) && errno != EEXIST)
    return error_set(err, SDX_IO_ERROR, "cannot create '%.300s': %s", s->options->cache_dir, strerror(errno));
  SDX_TRY(optimized_write(s, key->path, &key->source, err));
  uint64_t most = (uint64_t)s->options->cache_limit_bytes;
  struct stat st;
  bool too_large = stat(key->path, &st) == 0 && (uint64_t)st.st_size > most;
  if (too_large) unlink(key->path);  // alone: there is no reason to remove all others
  trim(s->options->cache_dir, most);
  if (too_large)
    return error_set(err, SDX_LIMIT_EXCEEDED, "it has %lld bytes, expected at most cache_limit_bytes = %llu",
                     (long long)st.st_size, (unsigned long long)most);
  return SDX_OK;
}

void cache_keep(sdx_session *s, cache_key *key) {
  error err = {0};
  if (key->path && !s->folded_custom && keep(s, key, &err) != SDX_OK) {
    key->notes.size = 0;  // what was wrong with the entry there matters less
    text_format(&key->notes, "cache: the prepared model is not kept: %s\n", err.message);
  }
  if (key->notes.size) text_append(&s->model->warnings, key->notes.at, key->notes.size);
}
