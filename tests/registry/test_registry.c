// SPDX-License-Identifier: Apache-2.0
// The registry from C: config.json, words, changes made of blobs, references, what a crash leaves.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// after the standard headers
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "registry/registry.h"
#include "support/files.h"

static char folder[] = "/tmp/sardonyx-registry-XXXXXX";
static registry *r;

static int set_up(void **state) {
  fault f = {0};
  char *config;
  if (!mkdtemp(folder)) return 1;
  if (registry_create_workspace(&(registry_place){.folder = folder, .name = "lab"}, &config, &f)) return 1;
  free(config);
  return (int)registry_open(&(registry_options){.workspace = folder}, &r, &f);
}

static int tear_down(void **state) {
  fault f = {0};
  registry_close(r);
  return tree_remove(AT_FDCWD, folder, &f);
}

static const char *text(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

// ---- config.json ---------------------------------------------------------------------------------

static void configurations(void **state) {
  fault f = {0};
  static const char good[] =
      "{\"subscription_id\": \"s\", \"resource_group\": \"g\", \"workspace_name\": \"w\", \"other\": [1]}";
  json_t *c = registry_parse_config(good, strlen(good), &f);
  assert_string_equal(text(c, "workspace_name"), "w");
  assert_string_equal(text(c, "location"), "local");
  assert_null(json_object_get(c, "other"));
  json_decref(c);
  static const char scope[] = "{\"Scope\": \"/subscriptions/s1/resourceGroups/g1/providers/P/workspaces/w1\"}";
  c = registry_parse_config(scope, strlen(scope), &f);
  assert_string_equal(text(c, "subscription_id"), "s1");
  assert_string_equal(text(c, "resource_group"), "g1");
  assert_string_equal(text(c, "workspace_name"), "w1");
  json_decref(c);
  static const char *const bad[] = {
      "",
      "[]",
      "{}",
      "{\"Scope\": \"/subscriptions\"}",
      "{\"subscription_id\": 1, \"resource_group\": \"g\", \"workspace_name\": \"w\"}",
      "{\"subscription_id\": \"\", \"resource_group\": \"g\", \"workspace_name\": \"w\"}",
      "{\"subscription_id\": \"a\\n\", \"resource_group\": \"g\", \"workspace_name\": \"w\"}",
      "{\"workspace_name\": \"a\", \"workspace_name\": \"b\"}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    f = (fault){0};
    assert_null(registry_parse_config(bad[i], strlen(bad[i]), &f));
    assert_int_equal(f.status, SDX_INVALID_ARGUMENT);
    assert_true(f.message[0]);
  }
}

// ---- words ---------------------------------------------------------------------------------------

static json_t *words(const char *json, fault *f) {
  json_t *given = json_loads(json, JSON_DECODE_ANY, NULL), *read = registry_words(given, f);
  json_decref(given);
  return read;
}

static void lists_and_objects_are_words(void **state) {
  fault f = {0};
  json_t *list = words("[\"onnx\", \"stage=a=b\"]", &f), *object = words("{\"onnx\": \"\", \"stage\": \"a=b\"}", &f);
  assert_true(json_equal(list, object));
  json_decref(list);
  json_decref(object);
  static const char *const bad[] = {"3", "[3]", "{\"a\": 1}", "{\"\": \"a\"}", "[\"=a\"]", "{\"a\": [\"b\"]}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    f = (fault){0};
    assert_null(words(bad[i], &f));
    assert_int_equal(f.status, SDX_INVALID_ARGUMENT);
  }
  json_t *many = json_object();
  for (int i = 0; i <= 100; i++) {
    char key[8];
    snprintf(key, sizeof key, "k%d", i);
    json_object_set_new(many, key, json_string(""));
  }
  f = (fault){0};
  assert_null(registry_words(many, &f));
  assert_int_equal(f.status, SDX_LIMIT_EXCEEDED);
  json_decref(many);
}

// ---- changes -------------------------------------------------------------------------------------

static json_t *put(const char *name, const char *bytes, const char *request, const char *const *uses, fault *f) {
  registry_change *c;
  json_t *asset = NULL;
  registry_file file = {.path = "file", .media_type = "text/plain"};
  if (registry_begin(r, &c, f)) return NULL;
  if (!registry_add_bytes(c, bytes, strlen(bytes), &file.blob, f)) {
    registry_draft d = {
        .kind = ASSET_IMAGE, .name = name, .request = request, .files = &file, .file_count = 1, .uses = uses};
    registry_commit(c, &d, &asset, f);
  }
  registry_end(c);
  return asset;
}

static int64_t dangling(bool *lost) {
  fault f = {0};
  json_t *report;
  assert_int_equal(registry_verify(r, false, &report, &f), SDX_OK);
  int64_t count = (int64_t)json_array_size(json_object_get(report, "dangling"));
  *lost = json_array_size(json_object_get(report, "lost")) > 0;
  json_decref(report);
  return count;
}

static void versions_count_and_are_never_given_twice(void **state) {
  fault f = {0};
  bool lost;
  json_t *asset;
  json_decref(put("a", "one", NULL, NULL, &f));
  json_decref(put("a", "two", NULL, NULL, &f));
  assert_int_equal(registry_delete(r, ASSET_IMAGE, "a:2", &f), SDX_OK);
  asset = put("a", "three", NULL, NULL, &f);
  assert_int_equal(json_integer_value(json_object_get(asset, "version")), 3);
  json_decref(asset);
  assert_int_equal(registry_get(r, ASSET_IMAGE, "a", &asset, &f), SDX_OK);
  assert_string_equal(text(asset, "id"), "a:3");
  json_decref(asset);
  assert_int_equal(registry_get(r, ASSET_IMAGE, "a:2", &asset, &f), SDX_NOT_FOUND);
  assert_non_null(strstr(f.hint, "3, 1"));
  f = (fault){0};
  assert_int_equal(registry_get(r, ASSET_MODEL, "a", &asset, &f), SDX_NOT_FOUND);  // an image of that name is no model
  f = (fault){0};
  assert_int_equal(dangling(&lost), 0);
  assert_false(lost);
}

static void a_request_is_done_once(void **state) {
  fault f = {0};
  json_t *first = put("again", "x", "r-1", NULL, &f), *second = put("again", "x", "r-1", NULL, &f);
  assert_string_equal(text(first, "id"), "again:1");
  assert_string_equal(text(second, "id"), "again:1");
  assert_null(put("another", "x", "r-1", NULL, &f));
  assert_int_equal(f.status, SDX_CONFLICT);
  json_decref(first);
  json_decref(second);
}

static void what_is_in_use_stays(void **state) {
  fault f = {0};
  json_t *asset;
  json_decref(put("base", "b", NULL, NULL, &f));
  json_decref(put("top", "t", NULL, (const char *[]){"image/base:1", NULL}, &f));
  assert_int_equal(registry_delete(r, ASSET_IMAGE, "base:1", &f), SDX_CONFLICT);
  assert_non_null(strstr(f.message, "image top:1"));
  f = (fault){0};
  assert_int_equal(registry_get(r, ASSET_IMAGE, "base", &asset, &f), SDX_OK);
  assert_string_equal(json_string_value(json_array_get(json_object_get(asset, "used_by"), 0)), "image/top:1");
  json_decref(asset);
  assert_null(put("bad", "t", NULL, (const char *[]){"image/nothing:1", NULL}, &f));
  assert_int_equal(f.status, SDX_NOT_FOUND);
  f = (fault){0};
  assert_null(put("bad", "t", NULL, (const char *[]){"thing/a:1", NULL}, &f));
  assert_int_equal(f.status, SDX_INVALID_ARGUMENT);
  f = (fault){0};
  assert_int_equal(registry_get(r, ASSET_IMAGE, "bad", &asset, &f), SDX_NOT_FOUND);
  f = (fault){0};
  assert_int_equal(registry_delete(r, ASSET_IMAGE, "top", &f), SDX_OK);
  assert_int_equal(registry_delete(r, ASSET_IMAGE, "base", &f), SDX_OK);
}

static void one_blob_for_the_same_bytes(void **state) {
  fault f = {0};
  registry_blob blob, found;
  json_decref(put("same1", "shared", NULL, NULL, &f));
  json_decref(put("same2", "shared", NULL, NULL, &f));
  digest_of("shared", 6, blob.digest);
  assert_int_equal(registry_delete(r, ASSET_IMAGE, "same1", &f), SDX_OK);
  assert_true(registry_has_blob(r, blob.digest));
  assert_true(registry_find_file(r, "file", "text/plain", &found));
  assert_int_equal(registry_delete(r, ASSET_IMAGE, "same2", &f), SDX_OK);
  assert_false(registry_has_blob(r, blob.digest));
  char *bytes = registry_read_blob(r, "sha256:zz", 10, &(size_t){0}, &f);
  assert_null(bytes);
  assert_int_equal(f.status, SDX_INVALID_ARGUMENT);
}

static void a_change_that_is_not_committed_leaves_nothing(void **state) {
  fault f = {0};
  bool lost;
  registry_change *c;
  registry_blob blob;
  assert_int_equal(registry_begin(r, &c, &f), SDX_OK);
  assert_int_equal(registry_add_bytes(c, "forgotten", 9, &blob, &f), SDX_OK);
  assert_true(registry_has_blob(r, blob.digest));
  json_t *report;
  assert_int_equal(registry_collect(r, 0, &report, &f), SDX_CONFLICT);  // not while somebody writes
  registry_end(c);
  assert_false(registry_has_blob(r, blob.digest));
  assert_int_equal(dangling(&lost), 0);
}

static void uploads(void **state) {
  fault f = {0};
  registry_change *c;
  registry_upload u;
  registry_blob blob = {.size = 5};
  uint64_t size;
  digest_of("bytes", 5, blob.digest);
  assert_int_equal(registry_begin(r, &c, &f), SDX_OK);
  assert_int_equal(registry_create_blob(c, &u, &f), SDX_OK);
  registry_drop_blob(c, &u);
  assert_int_equal(registry_create_blob(c, &u, &f), SDX_OK);
  assert_int_equal(write(u.fd, "bytes", 5), 5);
  assert_int_equal(registry_open_blob(r, blob.digest, &size, &f), -1);
  f = (fault){0};
  assert_int_equal(registry_seal_blob(c, &u, &blob, &f), SDX_OK);
  int fd = registry_open_blob(r, blob.digest, &size, &f);
  assert_true(fd >= 0 && size == 5);
  close(fd);
  registry_end(c);
}

// Two files of a model that is none, beside each other or in a folder.
static void paths_of_models(void **state) {
  fault f = {0};
  json_t *asset;
  char *path, *inner = path_format("%s/unit", folder), *a = path_format("%s/unit/a", folder);
  int fd = folder_open(AT_FDCWD, inner, 0700, &f);
  file_replace(fd, "a", "A", 1, 0600, &f);
  file_replace(fd, "b", "B", 1, 0600, &f);
  close(fd);
  const char *whole[] = {inner, NULL}, *one[] = {a, NULL};
  registry_model m = {.paths = whole, .framework = "x"};
  assert_int_equal(registry_register_model(r, &m, &asset, &f), SDX_OK);
  json_decref(asset);
  m.paths = one;
  assert_int_equal(registry_register_model(r, &m, &asset, &f), SDX_OK);
  json_decref(asset);
  assert_int_equal(registry_model_path(r, "unit", &path, &f), SDX_OK);
  assert_non_null(strstr(path, "/models/unit/1/unit"));
  assert_true(!access(path, R_OK) && access(path, F_OK) == 0);
  free(path);
  assert_int_equal(registry_model_path(r, "a:1", &path, &f), SDX_OK);
  assert_non_null(strstr(path, "/models/a/1/a"));
  free(path);
  assert_int_equal(registry_model_folder(r, "a:1", &path, &f), SDX_OK);
  assert_int_equal(registry_delete(r, ASSET_MODEL, "a", &f), SDX_OK);
  assert_int_equal(access(path, F_OK), -1);  // its tree went with it
  free(path);
  free(inner);
  free(a);
}

static void collecting_waits_for_writers_and_spares_what_is_used(void **state) {
  fault f = {0};
  json_t *report;
  json_decref(put("kept", "kept", NULL, NULL, &f));
  char *stray = path_format("%s/.sardonyx/blobs/sha256/%064d", folder, 1);
  int fd = open(stray, O_CREAT | O_WRONLY, 0600);
  assert_true(fd >= 0);
  close(fd);
  bool lost;
  assert_int_equal(dangling(&lost), 1);
  assert_int_equal(registry_collect(r, 0, &report, &f), SDX_OK);
  assert_int_equal(json_integer_value(json_object_get(report, "files")), 1);
  json_decref(report);
  assert_int_equal(access(stray, F_OK), -1);
  free(stray);
  json_t *asset;
  assert_int_equal(registry_get(r, ASSET_IMAGE, "kept", &asset, &f), SDX_OK);
  json_decref(asset);
  assert_int_equal(dangling(&lost), 0);
  assert_false(lost);
}

static void updates(void **state) {
  fault f = {0};
  json_t *asset, *changes = json_loads(
                     "{\"tags\": {\"a\": \"1\", \"b\": \"\"}, \"properties\": {\"p\": \"1\"}, "
                     "\"description\": \"d\", \"detail\": {\"state\": \"x\"}}",
                     0, NULL);
  json_decref(put("words", "w", NULL, NULL, &f));
  assert_int_equal(registry_update(r, ASSET_IMAGE, "words", changes, &asset, &f), SDX_OK);
  assert_string_equal(text(json_object_get(asset, "tags"), "a"), "1");
  assert_string_equal(text(asset, "state"), "x");
  assert_string_equal(text(asset, "description"), "d");
  json_decref(asset);
  json_decref(changes);
  changes = json_loads("{\"tags\": {\"a\": null}, \"properties\": {\"p\": \"2\"}}", 0, NULL);
  assert_int_equal(registry_update(r, ASSET_IMAGE, "words", changes, &asset, &f), SDX_CONFLICT);
  f = (fault){0};
  json_object_del(changes, "properties");
  assert_int_equal(registry_update(r, ASSET_IMAGE, "words", changes, &asset, &f), SDX_OK);
  assert_null(json_object_get(json_object_get(asset, "tags"), "a"));
  json_decref(asset);
  json_object_set_new(changes, "version", json_integer(9));
  assert_int_equal(registry_update(r, ASSET_IMAGE, "words", changes, &asset, &f), SDX_INVALID_ARGUMENT);
  json_decref(changes);
}

static void names_of_drafts(void **state) {
  static const char *const bad[] = {"", "../a", "a/b", ".a", "a b", "a:b", "\xc3\xa4"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    fault f = {0};
    assert_null(put(bad[i], "x", NULL, NULL, &f));
    assert_int_equal(f.status, SDX_INVALID_ARGUMENT);
  }
  fault f = {0};
  json_decref(put("Twin", "x", NULL, NULL, &f));
  assert_null(put("tWIN", "x", NULL, NULL, &f));
  assert_int_equal(f.status, SDX_CONFLICT);
  assert_non_null(strstr(f.hint, "Twin"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(configurations),
      cmocka_unit_test(lists_and_objects_are_words),
      cmocka_unit_test(versions_count_and_are_never_given_twice),
      cmocka_unit_test(a_request_is_done_once),
      cmocka_unit_test(what_is_in_use_stays),
      cmocka_unit_test(one_blob_for_the_same_bytes),
      cmocka_unit_test(uploads),
      cmocka_unit_test(paths_of_models),
      cmocka_unit_test(a_change_that_is_not_committed_leaves_nothing),
      cmocka_unit_test(collecting_waits_for_writers_and_spares_what_is_used),
      cmocka_unit_test(updates),
      cmocka_unit_test(names_of_drafts),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
