// SPDX-License-Identifier: Apache-2.0
// How something gets in: a staging folder, blobs written there, synced and renamed to what they hold, the folder of
// blobs synced, and last one transaction. Until that nothing is seen; if the process dies, the next opener collects.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/host.h"
#include "registry/handle.h"
#include "support/files.h"

enum { LOCK_WAIT_MS = 60000, PIECE = 1 << 20, LONGEST_REQUEST = 256 };

struct registry_change {
  registry *r;
  int lock, folder;
  char name[33];  // of the staging folder
  char *path;     // and its path
  unsigned next;  // of its files
  bool garbage;   // there may be blobs without a row
  bool expected;  // and there will be
};

sdx_status registry_begin(registry *r, registry_change **change, fault *f) {
  registry_change *c = *change = calloc(1, sizeof *c);
  unsigned char random[16];
  if (!c) return fault_no_memory(f);
  c->r = r;
  c->folder = -1;
  c->lock = store_lock(&r->store, false, LOCK_WAIT_MS, f);
  if (c->lock >= 0 && getrandom(random, sizeof random, 0) != sizeof random) fault_errno(f, errno, "getrandom");
  for (size_t i = 0; i < sizeof random; i++) snprintf(c->name + 2 * i, 3, "%02x", random[i]);
  if (!f->status) c->folder = folder_open(r->store.staging, c->name, 0700, f);
  c->path = path_format("%s/staging/%s", r->store.path, c->name);
  if (!c->path) fault_no_memory(f);
  if (!f->status) return SDX_OK;
  fault_place(f, "%s", r->store.path);
  registry_end(c);
  *change = NULL;
  return f->status;
}

void registry_end(registry_change *c) {
  if (!c) return;
  fault ignored = {0};
  if (c->folder >= 0) close(c->folder);
  // What may have left something stays marked by its folder, until it or somebody else meets no writer.
  if (c->folder >= 0 && !c->garbage) tree_remove(c->r->store.staging, c->name, &ignored);
  if (c->lock >= 0) close(c->lock);
  if (c->garbage) registry_collect(c->r, 0, NULL, &ignored);
  free(c->path);
  free(c);
}

registry *change_registry(const registry_change *c) { return c->r; }
int change_folder(const registry_change *c) { return c->folder; }
const char *registry_change_path(const registry_change *c) { return c->path; }
void registry_expect_garbage(registry_change *c) { c->garbage = c->expected = true; }

// ---- blobs -------------------------------------------------------------------------------------

sdx_status registry_create_blob(registry_change *c, registry_upload *u, fault *f) {
  char name[16];
  u->number = c->next++;
  snprintf(name, sizeof name, "%u", u->number);
  u->fd = openat(c->folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  return u->fd < 0 ? fault_errno(f, errno, "%s: cannot make a file", c->r->store.path) : SDX_OK;
}

void registry_drop_blob(registry_change *c, registry_upload *u) {
  char name[16];
  snprintf(name, sizeof name, "%u", u->number);
  if (u->fd < 0) return;
  close(u->fd);
  unlinkat(c->folder, name, 0);
  u->fd = -1;
}

sdx_status registry_seal_blob(registry_change *c, registry_upload *u, const registry_blob *blob, fault *f) {
  store *s = &c->r->store;
  char name[16];
  uint64_t size;
  snprintf(name, sizeof name, "%u", u->number);
  if (store_has_blob(s, blob->digest, &size) && size == blob->size) {
    registry_drop_blob(c, u);
    return SDX_OK;
  }
  bool good = !fchmod(u->fd, 0444) && !fsync(u->fd);
  int error = errno;
  close(u->fd);
  u->fd = -1;
  if (good) {
    c->garbage = true;
    good = !renameat(c->folder, name, s->blobs, digest_hex(blob->digest));
    error = errno;
  }
  return good ? SDX_OK : fault_errno(f, error, "%s: cannot keep a file", s->path);
}

typedef struct copy {
  const registry *r;
  const char *what;
  int from, to;
  uint64_t done, total;
  digest_state *digest;
} copy;

// Hashes what is read, writes it where it is not there already.
static sdx_status copy_bytes(copy *c, bool cloned, fault *f) {
  char *piece = malloc(PIECE);
  ssize_t got = 0;
  bool good = piece != NULL;
  errno = ENOMEM;
  while (good && (got = read(cloned ? c->to : c->from, piece, PIECE)) > 0) {
    digest_add(c->digest, piece, (size_t)got);
    c->done += (uint64_t)got;
    good = c->done <= REGISTRY_BLOB_BYTES && (cloned || file_write_all(c->to, piece, (size_t)got));
    if (good) registry_progress(c->r, c->what, c->done, c->total);
  }
  int error = errno;
  free(piece);
  if (c->done > REGISTRY_BLOB_BYTES)
    return fault_set(f, SDX_LIMIT_EXCEEDED, "%s: a file may have %llu bytes at most", c->what,
                     (unsigned long long)REGISTRY_BLOB_BYTES);
  return good && got == 0 ? SDX_OK : fault_errno(f, error, "%s: cannot copy it", c->what);
}

static sdx_status check_room(const registry_change *c, const char *what, uint64_t size, fault *f) {
  struct statvfs info;
  if (fstatvfs(c->folder, &info) || info.f_bavail * (uint64_t)info.f_frsize >= size) return SDX_OK;
  return fault_set(f, SDX_NO_SPACE, "%s has %llu bytes, %s has room for %llu", what, (unsigned long long)size,
                   c->r->store.path, (unsigned long long)(info.f_bavail * (uint64_t)info.f_frsize));
}

sdx_status registry_add_file(registry_change *c, int fd, const char *what, registry_blob *blob, fault *f) {
  struct stat info;
  registry_upload u = {.fd = -1};
  copy work = {.r = c->r, .what = what, .from = fd, .digest = digest_create()};
  if (!work.digest) return fault_no_memory(f);
  if (fstat(fd, &info)) fault_errno(f, errno, "%s", what);
  else if (!check_room(c, what, (uint64_t)info.st_size, f)) registry_create_blob(c, &u, f);
  if (u.fd >= 0) {
    work.to = u.fd;
    work.total = (uint64_t)info.st_size;
    copy_bytes(&work, !ioctl(u.fd, FICLONE, fd), f);
    *blob = (registry_blob){.size = work.done};
    digest_finish(work.digest, blob->digest);
  }
  digest_destroy(work.digest);
  if (u.fd >= 0 && f->status) registry_drop_blob(c, &u);
  return f->status ? f->status : registry_seal_blob(c, &u, blob, f);
}

sdx_status registry_add_bytes(registry_change *c, const void *bytes, size_t size, registry_blob *blob, fault *f) {
  registry_upload u;
  blob->size = size;
  if (!digest_of(bytes, size, blob->digest)) return fault_no_memory(f);
  if (registry_create_blob(c, &u, f)) return f->status;
  if (file_write_all(u.fd, bytes, size)) return registry_seal_blob(c, &u, blob, f);
  fault_errno(f, errno, "%s: cannot write", c->r->store.path);
  registry_drop_blob(c, &u);
  return f->status;
}

// ---- rows --------------------------------------------------------------------------------------

// The version to give; 0 on failure.
static int64_t next_version(registry *r, const registry_draft *d, fault *f) {
  const char *kind = asset_kind_name(d->kind);
  sqlite3_stmt *s = database_query(&r->db, f, "SELECT name, last_version FROM names WHERE kind = ?1 AND name = ?2",
                                   "tt", kind, d->name);
  int64_t last = 0;
  if (database_row(&r->db, s, f)) {
    last = sqlite3_column_int64(s, 1);
    if (strcmp(database_text(s, 0), d->name) != 0) {
      fault_set(f, SDX_CONFLICT, "%s '%s': there is '%s', and names that differ in case only are taken for one", kind,
                d->name, database_text(s, 0));
      fault_hint(f, "did you mean '%s'?", database_text(s, 0));
    }
  }
  sqlite3_finalize(s);
  int64_t version = d->version ? d->version : last + 1;
  if (version <= last)
    fault_set(f, SDX_CONFLICT, "%s '%s': version %lld was given already", kind, d->name, (long long)version);
  if (f->status) return 0;
  database_do(&r->db, f,
              "INSERT INTO names VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET last_version = excluded.last_version",
              "tti", kind, d->name, version);
  return f->status ? 0 : version;
}

// The digest of the whole: that of the one file, or of the list of all as sha256sum prints it.
static sdx_status sum(const registry_draft *d, char digest[DIGEST_BYTES], int64_t *size, fault *f) {
  *size = 0;
  for (size_t i = 0; i < d->file_count; i++) *size += (int64_t)d->files[i].blob.size;
  if (d->digest || d->file_count == 1) {
    snprintf(digest, DIGEST_BYTES, "%s", d->digest ? d->digest : d->files[0].blob.digest);
    return SDX_OK;
  }
  digest_state *state = digest_create();
  if (!state) return fault_no_memory(f);
  for (size_t i = 0; i < d->file_count; i++) {
    const char *parts[] = {digest_hex(d->files[i].blob.digest), "  ", d->files[i].path, "\n"};
    for (size_t p = 0; p < 4; p++) digest_add(state, parts[p], strlen(parts[p]));
  }
  digest_finish(state, digest);
  digest_destroy(state);
  return SDX_OK;
}

static sdx_status insert_parts(registry *r, const registry_draft *d, int64_t id, fault *f) {
  for (size_t i = 0; i < d->file_count && !f->status; i++)
    database_do(&r->db, f, "INSERT INTO files VALUES (?1, ?2, ?3, ?4, ?5)", "ittit", id, d->files[i].path,
                d->files[i].blob.digest, (int64_t)d->files[i].blob.size, d->files[i].media_type);
  for (const char *const *use = d->uses; use && *use && !f->status; use++) {
    asset_key key;
    asset_kind kind = ASSET_MODEL;
    size_t length = strcspn(*use, "/");
    while (kind < ASSET_KINDS &&
           (strlen(asset_kind_name(kind)) != length || strncmp(asset_kind_name(kind), *use, length) != 0))
      kind++;
    if (kind == ASSET_KINDS) return fault_set(f, SDX_INVALID_ARGUMENT, "'%s': expected model/NAME:VERSION", *use);
    if (!asset_find(r, kind, *use + length + 1, &key, f))
      database_do(&r->db, f, "INSERT OR IGNORE INTO uses VALUES (?1, ?2)", "ii", id, key.id);
  }
  return f->status;
}

static sdx_status insert(registry *r, const registry_draft *d, json_t *words[3], asset_key *key, fault *f) {
  char digest[DIGEST_BYTES], now[CLOCK_STAMP], *text[3] = {NULL};
  int64_t size;
  clock_stamp(now);
  key->version = next_version(r, d, f);
  for (int i = 0; i < 3; i++)
    if (!(text[i] = json_dumps(words[i], JSON_COMPACT | JSON_SORT_KEYS))) fault_no_memory(f);
  if (!f->status && !sum(d, digest, &size, f))
    database_do(&r->db, f,
                "INSERT INTO assets(kind, name, version, description, tags, properties, detail, digest, size, created, "
                "modified, request) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11)",
                "ttitttttitt", asset_kind_name(d->kind), d->name, key->version, d->description ? d->description : "",
                text[0], text[1], text[2], digest, size, now, d->request);
  for (int i = 0; i < 3; i++) free(text[i]);
  key->id = sqlite3_last_insert_rowid(r->db.handle);
  if (!f->status) insert_parts(r, d, key->id, f);
  if (!f->status && d->kind == ASSET_SERVICE) service_commit(r, d, key->version, f);
  return f->status ? f->status : asset_log(r, "register", key, f);
}

// The asset that the same request made before, or 0.
static int64_t made_before(registry *r, const registry_draft *d, fault *f) {
  sqlite3_stmt *s = database_query(&r->db, f, "SELECT id, kind, name FROM assets WHERE request = ?1", "t", d->request);
  int64_t id = 0;
  if (database_row(&r->db, s, f)) {
    id = sqlite3_column_int64(s, 0);
    if (strcmp(database_text(s, 1), asset_kind_name(d->kind)) != 0 || strcmp(database_text(s, 2), d->name) != 0)
      fault_set(f, SDX_CONFLICT, "the request '%s' made the %s '%s' before", d->request, database_text(s, 1),
                database_text(s, 2));
  }
  sqlite3_finalize(s);
  return id;
}

static sdx_status check_draft(const registry_draft *d, fault *f) {
  if (!d->name || !name_valid(d->name)) {
    fault_set(f, SDX_INVALID_ARGUMENT, "'%.200s' cannot name a %s", d->name ? d->name : "", asset_kind_name(d->kind));
    return fault_hint(f, "letters, digits, '.', '_' and '-', at most %d of them", NAME_BYTES);
  }
  if (d->request && (!*d->request || strlen(d->request) > LONGEST_REQUEST))
    return fault_set(f, SDX_INVALID_ARGUMENT, "a request's name has 1 to %d bytes", LONGEST_REQUEST);
  for (size_t i = 0; i < d->file_count; i++)
    if (!path_beneath(d->files[i].path))
      return fault_set(f, SDX_INVALID_ARGUMENT, "'%.200s' cannot be the path of a file", d->files[i].path);
  return SDX_OK;
}

sdx_status registry_commit(registry_change *c, const registry_draft *d, json_t **asset, fault *f) {
  registry *r = c->r;
  asset_key key = {.kind = d->kind};
  json_t *words[3] = {NULL};
  *asset = NULL;
  if (check_draft(d, f) || asset_words(d, words, f) || folder_sync(r->store.blobs, f)) goto done;
  snprintf(key.name, sizeof key.name, "%s", d->name);
  if (database_begin(&r->db, f)) goto done;
  int64_t before = d->request ? made_before(r, d, f) : 0;
  if (before) key.id = before;
  else if (!f->status) insert(r, d, words, &key, f);
  if (database_end(&r->db, f)) goto done;
  if (!before) c->garbage = c->expected;
  *asset = asset_json(r, key.id, f);
done:
  for (int i = 0; i < 3; i++) json_decref(words[i]);
  return f->status;
}
