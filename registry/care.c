// SPDX-License-Identifier: Apache-2.0
// Care of a store: reading blobs back, verifying that rows and files agree, collecting what belongs to nothing.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/handle.h"
#include "support/files.h"

enum { VERIFY_WAIT_MS = 10000 };

// ---- blobs -------------------------------------------------------------------------------------

bool registry_has_blob(const registry *r, const char *digest) { return store_has_blob(&r->store, digest, NULL); }

int registry_open_blob(const registry *r, const char *digest, uint64_t *size, fault *f) {
  return store_open_blob(&r->store, digest, size, f);
}

char *registry_read_blob(const registry *r, const char *digest, size_t most, size_t *size, fault *f) {
  char found[DIGEST_BYTES];
  char *bytes = digest_valid(digest) ? file_load(r->store.blobs, digest_hex(digest), most, size, f) : NULL;
  if (!bytes) {
    fault_set(f, SDX_INVALID_ARGUMENT, "'%.100s' is not a SHA-256 digest", digest);
  } else if (!digest_of(bytes, *size, found) || strcmp(found, digest) != 0) {
    fault_set(f, SDX_IO_ERROR, "blob %s is damaged", digest);
    free(bytes);
    bytes = NULL;
  }
  return bytes;
}

bool registry_find_file(registry *r, const char *path, const char *media_type, registry_blob *blob) {
  fault ignored = {0};
  sqlite3_stmt *s = database_query(
      &r->db, &ignored, "SELECT digest, size FROM files WHERE path = ?1 AND media_type = ?2", "tt", path, media_type);
  bool found = false;
  while (!found && database_row(&r->db, s, &ignored)) {
    uint64_t size;
    snprintf(blob->digest, DIGEST_BYTES, "%s", database_text(s, 0));
    blob->size = (uint64_t)sqlite3_column_int64(s, 1);
    found = store_has_blob(&r->store, blob->digest, &size) && size == blob->size;
  }
  sqlite3_finalize(s);
  return found;
}

// ---- what belongs to nothing -------------------------------------------------------------------

typedef struct sweep {
  registry *r;
  bool remove;
  json_t *found;  // names, where they are not removed
  int64_t files, bytes;
} sweep;

static bool finds(registry *r, sqlite3_stmt *s, fault *f) {
  bool used = database_row(&r->db, s, f);
  sqlite3_finalize(s);
  return used || f->status != SDX_OK;  // in doubt it stays
}

static void drop(sweep *w, int folder, const char *name, const char *kind, fault *f) {
  struct stat info;
  bool there = !fstatat(folder, name, &info, AT_SYMLINK_NOFOLLOW);
  if (!there) return;
  w->files++;
  if (S_ISREG(info.st_mode)) w->bytes += info.st_size;
  if (w->remove) tree_remove(folder, name, f);
  else json_array_append_new(w->found, json_sprintf("%s/%s", kind, name));
}

typedef void (*visit)(sweep *w, int folder, const char *name, fault *f);

static void each_entry(sweep *w, int folder, visit what, fault *f) {
  int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (!dir) fault_errno(f, errno, "cannot read a folder of the store");
  for (struct dirent *e; dir && !f->status && (e = readdir(dir));)
    if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) what(w, folder, e->d_name, f);
  if (dir) closedir(dir);
  else if (fd >= 0) close(fd);
}

static void sweep_staging(sweep *w, int folder, const char *name, fault *f) { drop(w, folder, name, "staging", f); }

static void sweep_blob(sweep *w, int folder, const char *name, fault *f) {
  char digest[DIGEST_BYTES];
  bool named = strlen(name) == 64 && snprintf(digest, sizeof digest, "sha256:%s", name) == DIGEST_BYTES - 1;
  bool used =
      named &&
      finds(w->r, database_query(&w->r->db, f, "SELECT 1 FROM files WHERE digest = ?1 LIMIT 1", "t", digest), f);
  if (!used && !f->status) drop(w, folder, name, "blobs", f);
}

static void sweep_model(sweep *w, int folder, const char *name, fault *f) {
  static const char sql[] = "SELECT 1 FROM assets WHERE kind = 'model' AND name = ?1 AND version = ?2";
  int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *dir = fd < 0 ? NULL : fdopendir(fd);
  if (!dir) {
    if (fd >= 0) close(fd);
    drop(w, folder, name, "models", f);
    return;
  }
  for (struct dirent *e; !f->status && (e = readdir(dir));)
    if (e->d_name[0] != '.' &&
        !finds(w->r, database_query(&w->r->db, f, sql, "ti", name, (int64_t)strtoll(e->d_name, NULL, 10)), f))
      drop(w, fd, e->d_name, "models", f);
  closedir(dir);
  if (w->remove) unlinkat(folder, name, AT_REMOVEDIR);  // where it is empty now
}

static void sweep_service(sweep *w, int folder, const char *name, fault *f) {
  if (!finds(w->r, database_query(&w->r->db, f, "SELECT 1 FROM services WHERE name = ?1", "t", name), f))
    drop(w, folder, name, "services", f);
}

static sdx_status sweep_all(sweep *w, fault *f) {
  each_entry(w, w->r->store.models, sweep_model, f);
  if (!f->status) each_entry(w, w->r->store.services, sweep_service, f);
  if (!f->status) each_entry(w, w->r->store.blobs, sweep_blob, f);
  if (!f->status) each_entry(w, w->r->store.staging, sweep_staging, f);  // last: until then it asks for another sweep
  return f->status;
}

sdx_status registry_collect(registry *r, unsigned wait_ms, json_t **report, fault *f) {
  if (report) *report = NULL;
  sweep w = {.r = r, .remove = true};
  int lock = store_lock(&r->store, true, wait_ms, f);
  if (lock < 0) return f->status;
  sweep_all(&w, f);
  close(lock);
  if (report) *report = json_pack("{s:I,s:I}", "files", (json_int_t)w.files, "bytes", (json_int_t)w.bytes);
  return f->status;
}

// ---- verifying ---------------------------------------------------------------------------------

static const char *blob_problem(registry *r, const char *digest, uint64_t wanted, bool fast) {
  fault ignored = {0};
  uint64_t size;
  char found[DIGEST_BYTES];
  int fd = store_open_blob(&r->store, digest, &size, &ignored);
  if (fd < 0) return "missing";
  const char *problem = size != wanted ? "wrong size" : NULL;
  if (!problem && !fast) {
    if (store_digest(fd, found, &size, &ignored)) problem = "cannot be read";
    else if (strcmp(found, digest) != 0) problem = "its bytes are not those of its digest";
  }
  close(fd);
  return problem;
}

static sdx_status add_lost(registry *r, json_t *lost, const char *digest, const char *problem, fault *f) {
  sqlite3_stmt *s =
      database_query(&r->db, f,
                     "SELECT a.kind || '/' || a.name || ':' || a.version, f.path FROM files f JOIN assets a "
                     "ON a.id = f.asset WHERE f.digest = ?1",
                     "t", digest);
  while (database_row(&r->db, s, f))  // none: it was deleted meanwhile
    json_array_append_new(lost, json_pack("{s:s,s:s,s:s,s:s}", "asset", database_text(s, 0), "path",
                                          database_text(s, 1), "digest", digest, "problem", problem));
  sqlite3_finalize(s);
  return f->status;
}

static sdx_status verify_blobs(registry *r, bool fast, json_t *report, fault *f) {
  json_t *lost = json_array();
  int64_t files = 0, bytes = 0, total = 0;
  sqlite3_stmt *s =
      database_query(&r->db, f, "SELECT coalesce(sum(size), 0) FROM (SELECT DISTINCT digest, size FROM files)", NULL);
  if (database_row(&r->db, s, f)) total = sqlite3_column_int64(s, 0);
  sqlite3_finalize(s);
  s = database_query(&r->db, f, "SELECT DISTINCT digest, size FROM files", NULL);
  while (database_row(&r->db, s, f)) {
    int64_t size = sqlite3_column_int64(s, 1);
    const char *problem = blob_problem(r, database_text(s, 0), (uint64_t)size, fast);
    if (problem) add_lost(r, lost, database_text(s, 0), problem, f);
    files++;
    bytes += size;
    registry_progress(r, "verifying", (uint64_t)bytes, (uint64_t)total);
  }
  sqlite3_finalize(s);
  json_object_set_new(report, "files", json_integer(files));
  json_object_set_new(report, "bytes", json_integer(bytes));
  json_object_set_new(report, "lost", lost);
  return f->status;
}

static sdx_status verify_database(registry *r, json_t *report, fault *f) {
  sqlite3_stmt *s = database_query(&r->db, f, "PRAGMA integrity_check(1)", NULL);
  if (database_row(&r->db, s, f)) json_object_set_new(report, "database", json_string(database_text(s, 0)));
  sqlite3_finalize(s);
  s = database_query(&r->db, f, "PRAGMA foreign_key_check", NULL);
  if (database_row(&r->db, s, f))
    json_object_set_new(report, "database", json_string("a row names another that is not there"));
  sqlite3_finalize(s);
  return f->status;
}

sdx_status registry_verify(registry *r, bool fast, json_t **report, fault *f) {
  *report = json_object();
  sweep w = {.r = r, .found = json_array()};
  int lock = store_lock(&r->store, true, VERIFY_WAIT_MS, f);
  if (lock >= 0) {
    // Opening could not sweep while what a killed process had started was still ending, and held its lock.
    if (store_has_staging(&r->store)) sweep_all(&(sweep){.r = r, .remove = true}, f);
    if (!f->status) sweep_all(&w, f);
    close(lock);
  }
  if (!f->status && !verify_database(r, *report, f)) verify_blobs(r, fast, *report, f);
  json_object_set_new(*report, "dangling", w.found);
  if (!f->status) return SDX_OK;
  json_decref(*report);
  *report = NULL;
  return f->status;
}
