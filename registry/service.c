// SPDX-License-Identifier: Apache-2.0
// Services: a row for what is changed in place, beside the revisions, which are assets and stay as they are. Read next:
// change.c (registry_commit), deploy/service.h (what the settings mean).
#include <stdlib.h>
#include <string.h>

#include "registry/handle.h"

enum { SETTINGS_BYTES = 65536 };

static sdx_status no_such_service(registry *r, const char *name, fault *f) {
  asset_key key;
  // Says what is near; a service of that name has a revision.
  return asset_find(r, ASSET_SERVICE, name, &key, f)
             ? f->status
             : fault_set(f, SDX_NOT_FOUND, "the service '%.150s' was deleted", name);
}

static json_t *object_of(const char *text, fault *f) {
  json_t *object = json_loads(text, 0, NULL);
  if (!object) fault_set(f, SDX_IO_ERROR, "a row of a service is damaged");
  return object;
}

sdx_status registry_get_service(registry *r, const char *name, json_t **settings, json_t **secrets, fault *f) {
  *settings = NULL;
  if (secrets) *secrets = NULL;
  sqlite3_stmt *s = database_query(&r->db, f, "SELECT settings, secrets FROM services WHERE name = ?1", "t", name);
  bool found = database_row(&r->db, s, f);
  if (found) *settings = object_of(database_text(s, 0), f);
  if (found && secrets) *secrets = object_of(database_text(s, 1), f);
  sqlite3_finalize(s);
  return found || f->status ? f->status : no_such_service(r, name, f);
}

// Values of `changes` take the place of what is there; null removes.
static void merge(json_t *all, const json_t *changes) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)changes, key, value) {
    if (json_is_null(value)) json_object_del(all, key);
    else json_object_set(all, key, value);
  }
}

static sdx_status write_row(registry *r, const char *sql, const char *name, const json_t *settings,
                            const json_t *secrets, fault *f) {
  char *text[] = {json_dumps(settings, JSON_COMPACT | JSON_SORT_KEYS),
                  json_dumps(secrets, JSON_COMPACT | JSON_SORT_KEYS)};
  if (!text[0] || !text[1]) fault_no_memory(f);
  else if (strlen(text[0]) + strlen(text[1]) > SETTINGS_BYTES)
    fault_set(f, SDX_LIMIT_EXCEEDED, "the settings of a service have more than %d bytes", SETTINGS_BYTES);
  else database_do(&r->db, f, sql, "ttt", name, text[0], text[1]);
  free(text[0]);
  free(text[1]);
  return f->status;
}

static sdx_status change(registry *r, const char *name, const json_t *settings, const json_t *secrets,
                         int64_t candidate, fault *f) {
  json_t *all, *hidden;
  if (registry_get_service(r, name, &all, &hidden, f)) return f->status;
  int64_t now = json_integer_value(json_object_get(all, "candidate"));
  if (candidate && now != candidate) {
    fault_set(f, SDX_CONFLICT, "revision %lld of service '%s' has been overtaken", (long long)candidate, name);
  } else {
    merge(all, settings);
    merge(hidden, secrets);
    write_row(r, "UPDATE services SET settings = ?2, secrets = ?3 WHERE name = ?1", name, all, hidden, f);
  }
  json_decref(all);
  json_decref(hidden);
  return f->status;
}

sdx_status registry_change_service(registry *r, const char *name, const json_t *settings, const json_t *secrets,
                                   int64_t candidate, fault *f) {
  asset_key key;
  if (database_begin(&r->db, f)) return f->status;
  if (!change(r, name, settings, secrets, candidate, f) && !asset_find(r, ASSET_SERVICE, name, &key, f))
    asset_log(r, "update", &key, f);
  return database_end(&r->db, f);
}

sdx_status service_commit(registry *r, const registry_draft *d, int64_t revision, fault *f) {
  if (d->secrets) {
    sqlite3_stmt *s = database_query(&r->db, f, "SELECT name FROM services WHERE name = ?1", "t", d->name);
    if (database_row(&r->db, s, f)) {
      fault_set(f, SDX_CONFLICT, "there is a service '%s' already", database_text(s, 0));
      fault_hint(f, "'sardonyx service update %s' changes it, 'service delete' removes it", d->name);
    }
    sqlite3_finalize(s);
    if (!f->status) write_row(r, "INSERT INTO services VALUES (?1, ?2, ?3)", d->name, d->settings, d->secrets, f);
  }
  json_t *named = json_pack("{s:I,s:n}", d->role ? d->role : "candidate", (json_int_t)revision, "error");
  json_object_update(named, (json_t *)d->settings);
  if (!f->status) change(r, d->name, named, NULL, 0, f);
  json_decref(named);
  return f->status;
}

static sdx_status delete_rows(registry *r, const char *name, fault *f) {
  asset_key key;
  if (database_begin(&r->db, f)) return f->status;
  if (!asset_find(r, ASSET_SERVICE, name, &key, f) &&
      !database_do(&r->db, f, "DELETE FROM assets WHERE kind = 'service' AND name = ?1", "t", key.name) &&
      !database_do(&r->db, f, "DELETE FROM services WHERE name = ?1", "t", key.name))
    asset_log(r, "delete", &key, f);
  return database_end(&r->db, f);
}

sdx_status registry_delete_service(registry *r, const char *name, fault *f) {
  registry_change *c;
  if (registry_begin(r, &c, f)) return f->status;
  registry_expect_garbage(c);  // its folder, samples of its revisions
  delete_rows(r, name, f);
  registry_end(c);
  return f->status;
}
