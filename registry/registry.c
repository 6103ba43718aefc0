// SPDX-License-Identifier: Apache-2.0
// Opening a workspace's registry (registry.h): config.json, store, database; what a dead process left is collected.
// Read next: change.c (how something gets in), assets.c (rows), model.c.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "registry/handle.h"
#include "support/files.h"
#include "support/sandbox.h"

enum { MIGRATE_WAIT_MS = 30000, DELETE_WAIT_MS = 10000 };

static sdx_status open_database(registry *r, fault *f) {
  char *path = path_format("%s/registry.db", r->store.path);
  bool outdated = false;
  if (!path) return fault_no_memory(f);
  if (!database_open(path, &r->db, &outdated, f) && outdated) {
    int lock = store_lock(&r->store, true, MIGRATE_WAIT_MS, f);
    if (lock >= 0) {
      database_migrate(&r->db, path, f);
      close(lock);
    }
  }
  free(path);
  return f->status ? fault_place(f, "%s", r->store.path) : SDX_OK;
}

sdx_status registry_open(const registry_options *options, registry **opened, fault *f) {
  registry *r = *opened = calloc(1, sizeof *r);
  if (!r) return fault_no_memory(f);
  r->options = *options;
  r->store = (store){.root = -1, .blobs = -1, .staging = -1, .models = -1, .services = -1};
  r->config_path = registry_find_workspace(options->workspace, f);
  r->config = r->config_path ? workspace_read(r->config_path, f) : NULL;
  r->folder = r->config ? workspace_folder(r->config_path) : NULL;
  char *path = r->folder ? path_format("%s/.sardonyx", r->folder) : NULL;
  r->command = path ? inspect_command(options->command) : NULL;
  if (!r->command) fault_no_memory(f);
  else if (!store_open(path, &r->store, f)) open_database(r, f);
  free(path);
  if (!f->status && store_has_staging(&r->store)) {
    // Best effort: where a writer is at work, somebody else will.
    fault ignored = {0};
    registry_collect(r, 0, NULL, &ignored);
  }
  if (!f->status) return SDX_OK;
  registry_close(r);
  *opened = NULL;
  return f->status;
}

void registry_close(registry *r) {
  if (!r) return;
  database_close(&r->db);
  store_close(&r->store);
  json_decref(r->config);
  free(r->config_path);
  free(r->folder);
  free(r->command);
  free(r);
}

sdx_status registry_delete_workspace(const char *workspace, fault *f) {
  registry *r;
  if (registry_open(&(registry_options){.workspace = workspace}, &r, f)) return f->status;
  int lock = store_lock(&r->store, true, DELETE_WAIT_MS, f);
  database_close(&r->db);
  // The row of truth first: without config.json the folder is no workspace any more.
  if (lock >= 0 && unlink(r->config_path)) fault_errno(f, errno, "%s", r->config_path);
  if (!f->status) tree_remove(AT_FDCWD, r->store.path, f);
  if (lock >= 0) close(lock);
  registry_close(r);
  return f->status;
}

const char *registry_store(const registry *r) { return r->store.path; }
const char *registry_config(const registry *r) { return r->config_path; }
const char *registry_command(const registry *r) { return r->command; }

void registry_progress(const registry *r, const char *what, uint64_t done, uint64_t total) {
  if (r->options.progress) r->options.progress(r->options.context, what, done, total);
}

json_t *registry_describe(registry *r, fault *f) {
  json_t *all =
      json_pack("{s:O,s:O,s:O,s:O,s:s,s:s,s:s}", "name", json_object_get(r->config, "workspace_name"), "resource_group",
                json_object_get(r->config, "resource_group"), "location", json_object_get(r->config, "location"),
                "subscription_id", json_object_get(r->config, "subscription_id"), "folder", r->folder, "config",
                r->config_path, "store", r->store.path);
  static const char *const plurals[ASSET_KINDS] = {"models", "images", "services"};
  for (int kind = 0; kind < ASSET_KINDS && all; kind++) {
    sqlite3_stmt *s = database_query(&r->db, f, "SELECT count(*) FROM assets WHERE kind = ?1", "t",
                                     asset_kind_name((asset_kind)kind));
    if (database_row(&r->db, s, f)) json_object_set_new(all, plurals[kind], json_integer(sqlite3_column_int64(s, 0)));
    sqlite3_finalize(s);
  }
  sqlite3_stmt *s =
      database_query(&r->db, f, "SELECT coalesce(sum(size), 0) FROM (SELECT DISTINCT digest, size FROM files)", NULL);
  if (database_row(&r->db, s, f)) json_object_set_new(all, "bytes", json_integer(sqlite3_column_int64(s, 0)));
  sqlite3_finalize(s);
  sandbox_level level = sandbox_layers();
  json_object_set_new(all, "sandbox", json_pack("{s:i,s:b}", "landlock", level.landlock, "seccomp", level.seccomp));
  if (!all) fault_no_memory(f);
  if (!f->status) return all;
  json_decref(all);
  return NULL;
}
