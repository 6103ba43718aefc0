// SPDX-License-Identifier: Apache-2.0
// SQLite as the registry uses it (database.h).
#include "registry/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/embedded.h"
#include "support/files.h"

enum { BUSY_MS = 30000 };

// Of the last call.
static sdx_status failed(database *db, fault *f) {
  int code = db->handle ? sqlite3_extended_errcode(db->handle) : SQLITE_NOMEM;
  const char *text = db->handle ? sqlite3_errmsg(db->handle) : "memory is exhausted";
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return fault_set(f, SDX_DEADLINE_EXCEEDED, "registry.db: another process has held it for %d s", BUSY_MS / 1000);
    case SQLITE_FULL:
      return fault_set(f, SDX_NO_SPACE, "registry.db: the disk is full");
    case SQLITE_NOMEM:
      return fault_no_memory(f);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return fault_set(f, SDX_FORBIDDEN, "registry.db: %s", text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      fault_set(f, SDX_IO_ERROR, "registry.db is damaged: %s", text);
      return fault_hint(
          f, "the models are beside it in blobs/ and models/; a copy from before the last upgrade may be, too");
    default:
      return fault_set(f, SDX_IO_ERROR, "registry.db: %s", text);
  }
}

// ---- statements --------------------------------------------------------------------------------

static sqlite3_stmt *prepare(database *db, fault *f, const char *sql, const char *types, va_list list) {
  sqlite3_stmt *s = NULL;
  int code = sqlite3_prepare_v2(db->handle, sql, -1, &s, NULL);
  for (int i = 0; types && types[i] && code == SQLITE_OK; i++)
    code = types[i] == 'i' ? sqlite3_bind_int64(s, i + 1, va_arg(list, int64_t))
                           : sqlite3_bind_text(s, i + 1, va_arg(list, const char *), -1, SQLITE_TRANSIENT);
  if (code == SQLITE_OK) return s;
  failed(db, f);
  sqlite3_finalize(s);
  return NULL;
}

sqlite3_stmt *database_query(database *db, fault *f, const char *sql, const char *types, ...) {
  va_list list;
  va_start(list, types);
  sqlite3_stmt *s = prepare(db, f, sql, types, list);
  va_end(list);
  return s;
}

bool database_row(database *db, sqlite3_stmt *s, fault *f) {
  int code = s ? sqlite3_step(s) : SQLITE_DONE;
  if (code != SQLITE_ROW && code != SQLITE_DONE) failed(db, f);
  return code == SQLITE_ROW;
}

sdx_status database_do(database *db, fault *f, const char *sql, const char *types, ...) {
  va_list list;
  va_start(list, types);
  sqlite3_stmt *s = prepare(db, f, sql, types, list);
  va_end(list);
  database_row(db, s, f);
  sqlite3_finalize(s);
  return f->status;
}

static sdx_status run(database *db, const char *sql, fault *f) {
  return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK ? SDX_OK : failed(db, f);
}

sdx_status database_begin(database *db, fault *f) { return run(db, "BEGIN IMMEDIATE", f); }

sdx_status database_end(database *db, fault *f) {
  if (!f->status) run(db, "COMMIT", f);
  if (f->status && !sqlite3_get_autocommit(db->handle)) sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
  return f->status;
}

// ---- schema ------------------------------------------------------------------------------------

static int64_t number(database *db, const char *sql, fault *f) {
  sqlite3_stmt *s = database_query(db, f, sql, NULL);
  int64_t result = database_row(db, s, f) ? sqlite3_column_int64(s, 0) : 0;
  sqlite3_finalize(s);
  return result;
}

static sdx_status set_aside(database *db, const char *path, int64_t version, fault *f) {
  char *copy = path_format("%s.version-%lld", path, (long long)version);
  if (!copy) return fault_no_memory(f);
  tree_remove(AT_FDCWD, copy, f);
  database_do(db, f, "VACUUM INTO ?1", "t", copy);
  free(copy);
  return f->status;
}

static int64_t schema_known(void) {
  int64_t known = 0;
  while (embedded_migrations[known].name) known++;
  return known;
}

sdx_status database_migrate(database *db, const char *path, fault *f) {
  int64_t known = schema_known(), at = number(db, "PRAGMA user_version", f);
  if (f->status || at == known) return f->status;
  if (at ? set_aside(db, path, at, f) : run(db, "PRAGMA journal_mode = WAL", f)) return f->status;
  database_begin(db, f);
  for (; at < known && !f->status; at++) {
    run(db, embedded_migrations[at].bytes, f);
    char pragma[64];
    sqlite3_snprintf(sizeof pragma, pragma, "PRAGMA user_version = %lld", (long long)at + 1);
    if (!f->status) run(db, pragma, f);
  }
  return database_end(db, f);
}

sdx_status database_open(const char *path, database *db, bool *outdated, fault *f) {
  // SQLite gives its other files the mode of this one.
  int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return fault_errno(f, errno, "%s", path);
  close(fd);
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
  if (sqlite3_open_v2(path, &db->handle, flags, NULL) != SQLITE_OK) return failed(db, f);
  sqlite3_busy_timeout(db->handle, BUSY_MS);
  sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  run(db,
      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON",
      f);
  int64_t at = number(db, "PRAGMA user_version", f), known = schema_known();
  if (!f->status && at > known) {
    fault_set(f, SDX_NOT_SUPPORTED, "registry.db has schema %lld, this Sardonyx knows up to %lld", (long long)at,
              (long long)known);
    fault_hint(f, "it was used with a newer Sardonyx: use that one");
  }
  *outdated = at < known;
  return f->status;
}

void database_close(database *db) {
  sqlite3_close(db->handle);
  db->handle = NULL;
}
