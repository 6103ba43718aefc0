// SPDX-License-Identifier: Apache-2.0
// Assets as rows and as JSON: finding by reference, listing, words, deleting. One code for models, images and services.
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "registry/handle.h"

enum { MOST_TAGS = 100, WORD_BYTES = 1024, METADATA_BYTES = 65536, KEPT_OPERATIONS = 10000 };

const char *asset_kind_name(asset_kind kind) {
  static const char *const names[ASSET_KINDS] = {"model", "image", "service"};
  return kind < ASSET_KINDS ? names[kind] : "asset";
}

sdx_status asset_log(registry *r, const char *operation, const asset_key *key, fault *f) {
  char now[CLOCK_STAMP];
  clock_stamp(now);
  database_do(&r->db, f, "INSERT INTO operations(time, operation, kind, name, version) VALUES (?1, ?2, ?3, ?4, ?5)",
              "tttti", now, operation, asset_kind_name(key->kind), key->name, key->version);
  return database_do(&r->db, f, "DELETE FROM operations WHERE id <= last_insert_rowid() - ?1", "i",
                     (int64_t)KEPT_OPERATIONS);
}

// ---- words -------------------------------------------------------------------------------------

static bool word_good(const char *word) {
  size_t length = word ? strlen(word) : 0;
  return length && length <= WORD_BYTES;
}

static sdx_status add_word(json_t *all, const char *key, const json_t *value, fault *f) {
  const char *text = json_string_value(value);
  if (!word_good(key) || (!json_is_null(value) && (!text || strlen(text) > WORD_BYTES)))
    return fault_set(f, SDX_INVALID_ARGUMENT, "'%.100s': a key has 1 to %d bytes, its value is a string of at most %d",
                     key, WORD_BYTES, WORD_BYTES);
  return json_object_set(all, key, (json_t *)value) ? fault_no_memory(f) : SDX_OK;
}

// "key=value" or "key", whose value is "".
static sdx_status add_pair(json_t *all, const char *pair, fault *f) {
  size_t length = strcspn(pair, "=");
  json_t *key = json_stringn(pair, length), *value = json_string(pair[length] ? pair + length + 1 : "");
  if (!key || !value) fault_set(f, SDX_INVALID_ARGUMENT, "tags and properties are expected to be UTF-8");
  else add_word(all, json_string_value(key), value, f);
  json_decref(key);
  json_decref(value);
  return f->status;
}

json_t *registry_words(const json_t *words, fault *f) {
  json_t *all = json_object(), *value;
  const char *key;
  size_t i;
  if (json_is_array(words)) {
    json_array_foreach(words, i, value) {
      if (!json_is_string(value)) fault_set(f, SDX_INVALID_ARGUMENT, "a list of tags is expected to hold strings");
      else if (!f->status) add_pair(all, json_string_value(value), f);
    }
  } else if (json_is_object(words)) {
    json_object_foreach((json_t *)words, key, value) {
      if (!f->status) add_word(all, key, value, f);
    }
  } else if (words && !json_is_null(words)) {
    fault_set(f, SDX_INVALID_ARGUMENT, "tags and properties are expected to be a list of strings or an object");
  }
  if (!f->status && json_object_size(all) > MOST_TAGS)
    fault_set(f, SDX_LIMIT_EXCEEDED, "%zu tags or properties; at most %d are kept", json_object_size(all), MOST_TAGS);
  if (!f->status) return all;
  json_decref(all);
  return NULL;
}

static sdx_status check_size(json_t *words[3], const char *description, fault *f) {
  size_t bytes = description ? strlen(description) : 0;
  for (int i = 0; i < 3; i++) bytes += json_dumpb(words[i], NULL, 0, JSON_COMPACT);
  return bytes <= METADATA_BYTES
             ? SDX_OK
             : fault_set(f, SDX_LIMIT_EXCEEDED,
                         "description, tags, properties and details have %zu bytes; at most %d are kept", bytes,
                         METADATA_BYTES);
}

sdx_status asset_words(const registry_draft *d, json_t *words[3], fault *f) {
  words[0] = registry_words(d->tags, f);
  words[1] = f->status ? NULL : registry_words(d->properties, f);
  words[2] = d->detail ? json_incref((json_t *)d->detail) : json_object();
  return f->status ? f->status : check_size(words, d->description, f);
}

// ---- finding -----------------------------------------------------------------------------------

// Nothing of that name: the nearest one.
static sdx_status no_such_name(registry *r, asset_kind kind, const char *name, fault *f) {
  enum { MOST = 1000 };
  char *names[MOST];
  size_t count = 0;
  sqlite3_stmt *s = database_query(&r->db, f, "SELECT DISTINCT name FROM assets WHERE kind = ?1 LIMIT 1000", "t",
                                   asset_kind_name(kind));
  while (count < MOST && database_row(&r->db, s, f))
    if ((names[count] = strdup(database_text(s, 0)))) count++;
  sqlite3_finalize(s);
  fault_set(f, SDX_NOT_FOUND, "there is no %s '%.150s'", asset_kind_name(kind), name);
  const char *near = name_closest(name, (const char *const *)names, count);
  if (near) fault_hint(f, "did you mean '%s'?", near);
  else if (!count) fault_hint(f, "this workspace (%s) has no %s yet", r->folder, asset_kind_name(kind));
  else fault_hint(f, "'sardonyx %s list' shows what there is", asset_kind_name(kind));
  while (count) free(names[--count]);
  return f->status;
}

static sdx_status no_such_version(registry *r, const asset_key *key, fault *f) {
  sqlite3_stmt *s = database_query(
      &r->db, f,
      "SELECT group_concat(version, ', ') FROM (SELECT version FROM assets WHERE kind = ?1 AND name = ?2 "
      "ORDER BY version DESC LIMIT 10)",
      "tt", asset_kind_name(key->kind), key->name);
  fault_set(f, SDX_NOT_FOUND, "%s '%s' has no version %lld", asset_kind_name(key->kind), key->name,
            (long long)key->version);
  fault ignored = {0};
  if (database_row(&r->db, s, &ignored)) fault_hint(f, "its newest versions: %s", database_text(s, 0));
  sqlite3_finalize(s);
  return f->status;
}

sdx_status asset_find(registry *r, asset_kind kind, const char *reference, asset_key *key, fault *f) {
  size_t length = strcspn(reference, ":");
  const char *after = reference[length] ? reference + length + 1 : NULL;
  bool newest = !after || !strcmp(after, "latest");
  *key = (asset_key){.kind = kind};
  if (length <= NAME_BYTES) memcpy(key->name, reference, length);
  if (!newest) {
    size_t digits = strspn(after, "0123456789");
    if (!digits || digits > 18 || after[digits]) {
      fault_set(f, SDX_INVALID_ARGUMENT, "'%.150s': the version is expected to be a number", reference);
      return fault_hint(f, "NAME, NAME:3 or NAME:latest");
    }
    key->version = strtoll(after, NULL, 10);
  }
  if (!name_valid(key->name)) return no_such_name(r, kind, reference, f);
  sqlite3_stmt *s = database_query(&r->db, f,
                                   "SELECT id, version FROM assets WHERE kind = ?1 AND name = ?2 "
                                   "AND (?4 OR version = ?3) ORDER BY version DESC LIMIT 1",
                                   "ttii", asset_kind_name(kind), key->name, key->version, (int64_t)newest);
  bool found = database_row(&r->db, s, f);
  if (found) {
    key->id = sqlite3_column_int64(s, 0);
    key->version = sqlite3_column_int64(s, 1);
  }
  sqlite3_finalize(s);
  if (found || f->status) return f->status;
  s = database_query(&r->db, f, "SELECT 1 FROM assets WHERE kind = ?1 AND name = ?2 LIMIT 1", "tt",
                     asset_kind_name(kind), key->name);
  found = database_row(&r->db, s, f);
  sqlite3_finalize(s);
  return found ? no_such_version(r, key, f) : no_such_name(r, kind, key->name, f);
}

// ---- JSON --------------------------------------------------------------------------------------

static json_t *files_json(registry *r, int64_t id, fault *f) {
  json_t *list = json_array();
  sqlite3_stmt *s =
      database_query(&r->db, f, "SELECT path, digest, size, media_type FROM files WHERE asset = ?1", "i", id);
  while (database_row(&r->db, s, f))
    json_array_append_new(
        list, json_pack("{s:s,s:s,s:I,s:s}", "path", database_text(s, 0), "digest", database_text(s, 1), "size",
                        (json_int_t)sqlite3_column_int64(s, 2), "media_type", database_text(s, 3)));
  sqlite3_finalize(s);
  return list;
}

static json_t *uses_json(registry *r, const char *sql, int64_t id, fault *f) {
  json_t *list = json_array();
  sqlite3_stmt *s = database_query(&r->db, f, sql, "i", id);
  while (database_row(&r->db, s, f)) json_array_append_new(list, json_string(database_text(s, 0)));
  sqlite3_finalize(s);
  return list;
}

static json_t *object(const char *text) {
  json_t *o = json_loads(text, 0, NULL);
  return o ? o : json_object();
}

json_t *asset_json(registry *r, int64_t id, fault *f) {
  sqlite3_stmt *s = database_query(&r->db, f,
                                   "SELECT kind, name, version, description, tags, properties, digest, size, created, "
                                   "modified, detail FROM assets WHERE id = ?1",
                                   "i", id);
  json_t *asset = NULL;
  if (database_row(&r->db, s, f)) {
    asset = json_pack("{s:o,s:s,s:s,s:I,s:s,s:o,s:o,s:s,s:I,s:s,s:s}", "id",
                      json_sprintf("%s:%lld", database_text(s, 1), (long long)sqlite3_column_int64(s, 2)), "kind",
                      database_text(s, 0), "name", database_text(s, 1), "version",
                      (json_int_t)sqlite3_column_int64(s, 2), "description", database_text(s, 3), "tags",
                      object(database_text(s, 4)), "properties", object(database_text(s, 5)), "digest",
                      database_text(s, 6), "size", (json_int_t)sqlite3_column_int64(s, 7), "created",
                      database_text(s, 8), "modified", database_text(s, 9));
    json_t *detail = object(database_text(s, 10));
    json_object_update_missing(asset, detail);
    json_decref(detail);
    json_object_set_new(asset, "files", files_json(r, id, f));
    json_object_set_new(asset, "uses",
                        uses_json(r,
                                  "SELECT a.kind || '/' || a.name || ':' || a.version FROM uses u JOIN assets a "
                                  "ON a.id = u.used WHERE u.user = ?1",
                                  id, f));
    json_object_set_new(asset, "used_by",
                        uses_json(r,
                                  "SELECT a.kind || '/' || a.name || ':' || a.version FROM uses u JOIN assets a "
                                  "ON a.id = u.user WHERE u.used = ?1",
                                  id, f));
    if (!asset) fault_no_memory(f);
  }
  sqlite3_finalize(s);
  if (!f->status) return asset;
  json_decref(asset);
  return NULL;
}

sdx_status registry_get(registry *r, asset_kind kind, const char *reference, json_t **asset, fault *f) {
  asset_key key;
  *asset = asset_find(r, kind, reference, &key, f) ? NULL : asset_json(r, key.id, f);
  return f->status;
}

// ---- listing -----------------------------------------------------------------------------------

// Whether an object has every "key" and "key=value" of a list.
static bool has_words(const json_t *object, const char *const *words) {
  for (; words && *words; words++) {
    size_t length = strcspn(*words, "=");
    json_t *key = json_stringn(*words, length);
    const char *value = key ? json_string_value(json_object_get(object, json_string_value(key))) : NULL;
    json_decref(key);
    if (!value || ((*words)[length] && strcmp(value, *words + length + 1) != 0)) return false;
  }
  return true;
}

static bool passes(const json_t *asset, const registry_filter *filter) {
  const char *framework = json_string_value(json_object_get(asset, "framework"));
  return has_words(json_object_get(asset, "tags"), filter->tags) &&
         has_words(json_object_get(asset, "properties"), filter->properties) &&
         (!filter->framework || (framework && !strcmp(framework, filter->framework)));
}

sdx_status registry_list(registry *r, asset_kind kind, const registry_filter *filter, json_t **list, fault *f) {
  static const registry_filter all = {0};
  if (!filter) filter = &all;
  int64_t skip = filter->skip;
  *list = json_array();
  sqlite3_stmt *s = database_query(
      &r->db, f,
      "SELECT id FROM assets AS a WHERE kind = ?1 AND (?2 IS NULL OR name = ?2) AND (NOT ?3 OR NOT EXISTS "
      "(SELECT 1 FROM assets AS b WHERE b.kind = a.kind AND b.name = a.name AND b.version > a.version)) "
      "ORDER BY CASE WHEN ?4 THEN -id ELSE id END",
      "ttii", asset_kind_name(kind), filter->name, (int64_t)filter->latest, (int64_t)filter->newest_first);
  while (database_row(&r->db, s, f)) {
    json_t *asset = asset_json(r, sqlite3_column_int64(s, 0), f);
    if (asset && passes(asset, filter) && skip-- <= 0) json_array_append(*list, asset);
    json_decref(asset);
    if (filter->count && (int64_t)json_array_size(*list) == filter->count) break;
  }
  sqlite3_finalize(s);
  if (!f->status) return SDX_OK;
  json_decref(*list);
  *list = NULL;
  return f->status;
}

sdx_status registry_operations(registry *r, int64_t count, json_t **list, fault *f) {
  *list = json_array();
  sqlite3_stmt *s =
      database_query(&r->db, f,
                     "SELECT id, time, operation, kind, name || ':' || version FROM operations WHERE id IN "
                     "(SELECT id FROM operations ORDER BY id DESC LIMIT ?1) ORDER BY id",
                     "i", count);
  while (database_row(&r->db, s, f))
    json_array_append_new(*list, json_pack("{s:I,s:s,s:s,s:s,s:s}", "id", (json_int_t)sqlite3_column_int64(s, 0),
                                           "time", database_text(s, 1), "operation", database_text(s, 2), "kind",
                                           database_text(s, 3), "asset", database_text(s, 4)));
  sqlite3_finalize(s);
  return f->status;
}

// ---- changing ----------------------------------------------------------------------------------

// Words of `more` into `all`; null removes. `only_add`: what is there keeps its value.
static sdx_status merge(json_t *all, const json_t *more, bool only_add, fault *f) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)more, key, value) {
    const json_t *there = json_object_get(all, key);
    if (only_add && there && !json_equal(there, value))
      return fault_set(f, SDX_CONFLICT, "the property '%.100s' has a value already, and properties are never changed",
                       key);
    if (json_is_null(value)) json_object_del(all, key);
    else json_object_set(all, key, value);
  }
  return SDX_OK;
}

static sdx_status check_changes(const json_t *changes, fault *f) {
  static const char *const known[] = {"description", "tags", "properties", "detail"};
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)changes, key, value) {
    const char *near = name_closest(key, known, 4);
    if (near && !strcmp(near, key) && (strcmp(key, "description") ? true : json_is_string(value))) continue;
    fault_set(f, SDX_INVALID_ARGUMENT, "'%.100s' cannot be changed so", key);
    return fault_hint(f, "description takes a string; tags, properties and detail take an object");
  }
  return SDX_OK;
}

static sdx_status apply(registry *r, const asset_key *key, const json_t *changes, fault *f) {
  static const char *const names[3] = {"tags", "properties", "detail"};
  const char *description = json_string_value(json_object_get(changes, "description"));
  char *text[3] = {NULL}, now[CLOCK_STAMP];
  json_t *words[3] = {NULL};
  clock_stamp(now);
  sqlite3_stmt *s =
      database_query(&r->db, f, "SELECT tags, properties, detail, description FROM assets WHERE id = ?1", "i", key->id);
  bool found = database_row(&r->db, s, f);
  for (int i = 0; i < 3 && found && !f->status; i++) {
    const json_t *more = json_object_get(changes, names[i]);
    words[i] = object(database_text(s, i));
    json_t *checked = i == 2 ? json_incref((json_t *)more) : registry_words(more, f);
    if (!f->status) merge(words[i], checked, i == 1, f);
    json_decref(checked);
    text[i] = json_dumps(words[i], JSON_COMPACT | JSON_SORT_KEYS);
    if (!text[i]) fault_no_memory(f);
  }
  if (found && !f->status && !check_size(words, description ? description : database_text(s, 3), f))
    database_do(&r->db, f,
                "UPDATE assets SET tags = ?2, properties = ?3, detail = ?4, description = coalesce(?5, description), "
                "modified = max(modified, ?6) WHERE id = ?1",
                "ittttt", key->id, text[0], text[1], text[2], description, now);
  sqlite3_finalize(s);
  for (int i = 0; i < 3; i++) {
    free(text[i]);
    json_decref(words[i]);
  }
  return f->status;
}

sdx_status registry_update(registry *r, asset_kind kind, const char *reference, const json_t *changes, json_t **asset,
                           fault *f) {
  asset_key key;
  *asset = NULL;
  if (check_changes(changes, f) || database_begin(&r->db, f)) return f->status;
  if (!asset_find(r, kind, reference, &key, f) && !apply(r, &key, changes, f)) asset_log(r, "update", &key, f);
  if (!f->status) *asset = asset_json(r, key.id, f);
  if (!database_end(&r->db, f)) return SDX_OK;
  json_decref(*asset);
  *asset = NULL;
  return f->status;
}

static sdx_status check_unused(registry *r, const asset_key *key, fault *f) {
  json_t *users = uses_json(r,
                            "SELECT a.kind || ' ' || a.name || ':' || a.version FROM uses u JOIN assets a "
                            "ON a.id = u.user WHERE u.used = ?1",
                            key->id, f);
  if (json_array_size(users)) {
    fault_set(f, SDX_CONFLICT, "%s '%s:%lld' is in use by %s%s", asset_kind_name(key->kind), key->name,
              (long long)key->version, json_string_value(json_array_get(users, 0)),
              json_array_size(users) > 1 ? " and others" : "");
    fault_hint(f, "delete what uses it first");
  }
  json_decref(users);
  return f->status;
}

sdx_status registry_delete(registry *r, asset_kind kind, const char *reference, fault *f) {
  registry_change *c;
  asset_key key;
  if (registry_begin(r, &c, f)) return f->status;
  registry_expect_garbage(c);
  if (!database_begin(&r->db, f)) {
    if (!asset_find(r, kind, reference, &key, f) && !check_unused(r, &key, f) &&
        !database_do(&r->db, f, "DELETE FROM assets WHERE id = ?1", "i", key.id))
      asset_log(r, "delete", &key, f);
    database_end(&r->db, f);
  }
  registry_end(c);
  return f->status;
}
