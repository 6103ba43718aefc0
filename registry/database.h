// SPDX-License-Identifier: Apache-2.0
// The rows of a workspace: SQLite in WAL mode with full sync, so that an acknowledged transaction survives a power
// loss. registry/migrations/NNN_*.sql are applied in order, each with the version it makes, after a copy was put aside.
#pragma once

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "support/fault.h"

typedef struct database {
  sqlite3 *handle;
} database;

// `outdated`: database_migrate is to be called, by one process at a time.
sdx_status database_open(const char *path, database *db, bool *outdated, fault *f);
sdx_status database_migrate(database *db, const char *path, fault *f);
void database_close(database *db);

// Compiles and binds: 't' const char * (NULL allowed), 'i' int64_t. NULL on failure; sqlite3_finalize what is returned.
sqlite3_stmt *database_query(database *db, fault *f, const char *sql, const char *types, ...);
// The next row; false at the end and on failure.
bool database_row(database *db, sqlite3_stmt *statement, fault *f);
// One statement that gives no rows.
sdx_status database_do(database *db, fault *f, const char *sql, const char *types, ...);

sdx_status database_begin(database *db, fault *f);  // takes the write lock at once
// Commits if the fault is clear, else rolls back.
sdx_status database_end(database *db, fault *f);

static inline const char *database_text(sqlite3_stmt *s, int column) {
  const char *text = (const char *)sqlite3_column_text(s, column);
  return text ? text : "";
}
