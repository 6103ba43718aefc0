// SPDX-License-Identifier: Apache-2.0
// External data through the one gate: what may be read is read into our own memory, every trick with
// paths, links, special files, offsets and keys is refused.
#include "tests/onnx/make.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64];

static void path_of(char out[256], const char *name) { snprintf(out, 256, "%s/%s", folder, name); }

static void write_file(const char *name, const void *bytes, size_t size) {
  char path[256];
  path_of(path, name);
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, size, f), size);
  fclose(f);
}

static int setup(void **state) {
  snprintf(folder, sizeof folder, "/tmp/sdx-external-XXXXXX");
  if (!mkdtemp(folder)) return -1;
  char path[256];
  path_of(path, "sub");
  if (mkdir(path, 0700)) return -1;
  float data[4] = {1, 2, 3, 4};
  write_file("w.bin", data, sizeof data);
  write_file("sub/w.bin", data, sizeof data);
  return 0;
}

static int teardown(void **state) {
  char command[128];  // a folder of our own making, see mkdtemp above
  snprintf(command, sizeof command, "rm -rf '%s'", folder);
  return system(command);
}

typedef struct entry {
  const char *key, *value;
} entry;

static void put_external(wire_out *t, uint32_t field, const char *name, const entry *entries) {
  size_t at = wire_begin(t, field);
  if (name) put(t, 8, name);
  wire_put_int(t, 1, 2);
  wire_put_int(t, 2, SDX_FLOAT);
  wire_put_int(t, 14, 1);
  for (; entries->key; entries++) {
    size_t e = wire_begin(t, 13);
    put(t, 1, entries->key);
    put(t, 2, entries->value);
    wire_end(t, e);
  }
  wire_end(t, at);
}

static void import_external(imported *r, wire_out *t, const entry *entries, import_options o) {
  size_t g = begin_model(t);
  put_external(t, 5, "w", entries);
  put_value(t, 12, "w", -1);
  wire_end(t, g);
  import_bytes(r, t->kept.at, t->kept.size, o);
}

static void refused_with(const entry *entries, import_options o, const char *part) {
  imported r;
  wire_out t = {0};
  import_external(&r, &t, entries, o);
  assert_int_not_equal(r.status, SDX_OK);
  if (!strstr(r.err.message, part)) fail_msg("'%s' lacks '%s'", r.err.message, part);
  assert_null(strstr(r.err.message, folder));  // no path of the host in a message
  drop(&r);
  wire_out_deinit(&t);
}

static void location_refused(const char *location, const char *part) {
  refused_with((entry[]){{"location", location}, {0}}, (import_options){.external_dir = folder}, part);
}

static void accepted(const entry *entries, float first) {
  imported r;
  wire_out t = {0};
  import_external(&r, &t, entries, (import_options){.external_dir = folder});
  if (r.status != SDX_OK) fail_msg("%s", r.err.message);
  const tensor *w = r.m->graph->values[graph_find(r.m->graph, STR("w"))].constant;
  assert_true(w && ((const float *)w->data)[0] == first);
  drop(&r);
  wire_out_deinit(&t);
}

static void files_beneath_the_folder_are_read(void **state) {
  accepted((entry[]){{"location", "w.bin"}, {0}}, 1);
  accepted((entry[]){{"location", "./w.bin"}, {"offset", "8"}, {"length", "8"}, {0}}, 3);
  accepted((entry[]){{"location", "sub/w.bin"}, {"offset", "4"}, {"colour", "red"}, {0}}, 2);
}

static void bad_locations_are_refused(void **state) {
  char longest[5000];
  memset(longest, 'a', sizeof longest);
  longest[4999] = 0;
  const char *bad[][2] = {{"", "is empty"},
                          {"/etc/passwd", "is an absolute path"},
                          {"../w.bin", "leaves the model's folder"},
                          {"sub/../w.bin", "leaves the model's folder"},
                          {"sub/..", "leaves the model's folder"},
                          {"sub\\w.bin", "holds a backslash"},
                          {"C:w.bin", "names a drive"},
                          {"%2e%2e/w.bin", "is percent-encoded"},
                          {".", "does not name a file"},
                          {"sub/.", "does not name a file"},
                          {"sub/", "does not name a file"},
                          {"sub//w.bin", "does not name a file"},
                          {longest, "is longer than"},
                          {"nowhere.bin", "is not in the model's folder"},
                          {"w.bin/x", "is not in the model's folder"},
                          {"*/_ORT_MEM_ADDR_/*", "is not in the model's folder"}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) location_refused(bad[i][0], bad[i][1]);
}

static void a_nul_in_a_location_is_refused(void **state) {
  wire_out t = {0};
  imported r;
  size_t g = begin_model(&t), at = wire_begin(&t, 5), e;
  wire_put_int(&t, 1, 2);
  wire_put_int(&t, 2, SDX_FLOAT);
  wire_put_int(&t, 14, 1);
  e = wire_begin(&t, 13);
  put(&t, 1, "location");
  wire_put_bytes(&t, 2, (str){"w.bin\0x", 7});
  wire_end(&t, e);
  wire_end(&t, at);
  wire_end(&t, g);
  import_bytes(&r, t.kept.at, t.kept.size, (import_options){.external_dir = folder});
  assert_int_equal(r.status, SDX_FORBIDDEN);
  assert_non_null(strstr(r.err.message, "NUL"));
  drop(&r);
  wire_out_deinit(&t);
}

static void make_link(const char *target, const char *name) {
  char path[256];
  path_of(path, name);
  assert_int_equal(symlink(target, path), 0);
}

static void make_folder(const char *name) {
  char path[256];
  path_of(path, name);
  assert_int_equal(mkdir(path, 0700), 0);
}

static void links_within_the_folder_are_followed(void **state) {
  char path[256];
  make_link("w.bin", "near");
  accepted((entry[]){{"location", "near"}, {0}}, 1);
  make_link("sub", "folder-near");
  accepted((entry[]){{"location", "folder-near/w.bin"}, {"offset", "4"}, {0}}, 2);
  make_link("../folder-near/./../near", "sub/through-three");
  accepted((entry[]){{"location", "sub/through-three"}, {0}}, 1);
  path_of(path, "w.bin");
  make_link(path, "absolute");
  accepted((entry[]){{"location", "absolute"}, {0}}, 1);
}

static void links_out_of_the_folder_are_refused(void **state) {
  make_link("/etc/passwd", "out");
  location_refused("out", "the symbolic link 'out' -> '/etc/passwd', which leads out of the model's folder");
  make_link("/etc", "folder-out");
  location_refused("folder-out/passwd", "the symbolic link 'folder-out' -> '/etc'");
  make_link("out", "first-of-two");
  location_refused("first-of-two", "'/etc/passwd'");
  make_link("../../etc/passwd", "up");
  location_refused("up", "leads out of");
  make_link("/proc/self/environ", "magic");
  location_refused("magic", "leads out of");
  make_link("itself", "itself");
  location_refused("itself", "circle");
  make_link("nowhere", "dangling");
  location_refused("dangling", "the symbolic link 'dangling' -> 'nowhere' leads nowhere");
}

static model_file file_at(const char *path) {
  struct stat info;
  assert_int_equal(stat(path, &info), 0);
  return (model_file){path, info.st_dev, info.st_ino, info.st_nlink};
}

static sdx_status loaded_as(const model_file *file, const char *dir, const char *location, float first) {
  imported r;
  wire_out t = {0};
  import_external(&r, &t, (entry[]){{"location", location}, {0}}, (import_options){.file = file, .external_dir = dir});
  sdx_status status = r.status;
  if (status == SDX_OK) {
    const tensor *w = r.m->graph->values[graph_find(r.m->graph, STR("w"))].constant;
    assert_true(((const float *)w->data)[0] == first);
  } else if (first != 0) {
    fail_msg("%s", r.err.message);
  }
  drop(&r);
  wire_out_deinit(&t);
  return status;
}

// As Hugging Face's cache and mounts of Kubernetes keep files.
static void links_of_caches_and_mounts_are_followed(void **state) {
  float data[2] = {7, 8};
  char path[256], store[256];
  make_folder("blobs");
  make_folder("snapshots");
  make_folder("snapshots/1");
  write_file("blobs/5a", "", 0);
  write_file("blobs/7c", data, sizeof data);
  make_link("../../blobs/5a", "snapshots/1/model.onnx");
  make_link("../../blobs/7c", "snapshots/1/model.onnx_data");
  make_link("../../w.bin", "snapshots/1/stranger");
  path_of(path, "snapshots/1/model.onnx");
  model_file file = file_at(path);
  loaded_as(&file, NULL, "model.onnx_data", 7);
  assert_int_equal(loaded_as(&file, NULL, "stranger", 0), SDX_FORBIDDEN);
  path_of(store, "");
  loaded_as(&file, store, "stranger", 1);  // a folder that the user names counts, too

  make_folder("mount");
  make_folder("mount/..2024_1");
  write_file("mount/..2024_1/model.onnx", "", 0);
  write_file("mount/..2024_1/w.data", data, sizeof data);
  make_link("..2024_1", "mount/..data");
  make_link("..data/model.onnx", "mount/model.onnx");
  make_link("..data/w.data", "mount/w.data");
  path_of(path, "mount/model.onnx");
  file = file_at(path);
  loaded_as(&file, NULL, "w.data", 7);

  make_link("mount/..2024_1/model.onnx", "shortcut.onnx");  // beside it there is no data
  path_of(path, "shortcut.onnx");
  file = file_at(path);
  loaded_as(&file, NULL, "w.data", 7);
}

// Somebody who points the link elsewhere behind the load's back wins no folder by that.
static void the_real_folder_is_that_of_the_file_that_was_loaded(void **state) {
  char path[256];
  float data[2] = {9, 9};
  make_folder("other");
  make_folder("named");
  write_file("other/secret", data, sizeof data);
  write_file("other/decoy.onnx", "", 0);
  write_file("sub/real.onnx", "", 0);
  make_link("../sub/real.onnx", "named/model.onnx");
  make_link("../other/secret", "named/secret");
  path_of(path, "named/model.onnx");
  model_file file = file_at(path);
  assert_int_equal(unlink(path), 0);
  make_link("../other/decoy.onnx", "named/model.onnx");
  assert_int_equal(loaded_as(&file, NULL, "secret", 0), SDX_FORBIDDEN);
  file = file_at(path);
  loaded_as(&file, NULL, "secret", 9);
}

static void files_of_many_names_are_for_models_of_many_names(void **state) {
  char from[256], to[256];
  path_of(to, "w.bin");
  path_of(from, "hard");
  assert_int_equal(link(to, from), 0);
  location_refused("hard", "2 names (hard links) and the model has one");
  model_file file = {folder, 0, 0, .names = 1};
  assert_int_equal(loaded_as(&file, folder, "hard", 0), SDX_FORBIDDEN);
  file.names = 2;  // installed by links, as uv and conda do
  loaded_as(&file, folder, "hard", 1);
  imported r;
  wire_out t = {0};
  import_external(&r, &t, (entry[]){{"location", "hard"}, {0}},
                  (import_options){.external_dir = folder, .allow_hard_links = true});
  assert_int_equal(r.status, SDX_OK);
  drop(&r);
  wire_out_deinit(&t);
  assert_int_equal(unlink(from), 0);
}

static void a_pointer_in_place_of_the_data_is_named(void **state) {
  char pointer[400];
  int size = snprintf(pointer, sizeof pointer,
                      "version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 123456789\n", 7);
  write_file("pointer", pointer, (size_t)size);
  location_refused("pointer", "is a git-lfs pointer, not the file itself; 'git lfs pull' fetches it");
  refused_with((entry[]){{"location", "pointer"}, {"offset", "4096"}, {0}}, (import_options){.external_dir = folder},
               "git-lfs pointer");
  write_file("page", "<!DOCTYPE html><title>Sign in</title>", 37);
  location_refused("page", "is a web page");
}

static void only_regular_files_are_read(void **state) {
  char path[256];
  location_refused("sub", "not a regular file");
  path_of(path, "pipe");
  assert_int_equal(mkfifo(path, 0600), 0);
  location_refused("pipe", "not a regular file");  // and it does not hang
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%.60s/socket", folder);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  location_refused("socket", "not a regular file");
  close(fd);
}

static void bad_numbers_are_refused(void **state) {
  import_options o = {.external_dir = folder};
#define OFFSET(text, part) refused_with((entry[]){{"location", "w.bin"}, {"offset", text}, {0}}, o, part)
  OFFSET("12", "8 bytes at offset 12 are not in it");
  OFFSET("9223372036854775807", "are not in it");
  OFFSET("9223372036854775808", "is not a number");
  OFFSET("99999999999999999999999", "is not a number");
  OFFSET("-1", "is not a number");
  OFFSET("+1", "is not a number");
  OFFSET(" 1", "is not a number");
  OFFSET("1x", "is not a number");
  OFFSET("0x4", "is not a number");
  OFFSET("", "is not a number");
  refused_with((entry[]){{"location", "w.bin"}, {"length", "16"}, {0}}, o, "length is 16 where type and dims need 8");
  refused_with((entry[]){{"location", "w.bin"}, {"location", "w.bin"}, {0}}, o, "key 'location' is given twice");
  refused_with((entry[]){{"location", "w.bin"}, {"offset", "0"}, {"offset", "4"}, {0}}, o,
               "key 'offset' is given twice");
  refused_with((entry[]){{"offset", "0"}, {0}}, o, "has no key 'location'");
}

static void the_checksum_is_held_against_the_file(void **state) {
  write_file("abc", "abcabcab", 8);
  imported r;
  wire_out t = {0};
  import_external(&r, &t, (entry[]){{"location", "abc"}, {"checksum", "6881C58F4EAA62FDC3C3A95334582ED535ABCA35"}, {0}},
                  (import_options){.external_dir = folder});  // printf abcabcab | sha1sum
  if (r.status != SDX_OK) fail_msg("%s", r.err.message);
  drop(&r);
  wire_out_deinit(&t);
  refused_with((entry[]){{"location", "abc"}, {"checksum", "0000000000000000000000000000000000000000"}, {0}},
               (import_options){.external_dir = folder}, "does not have the SHA-1 checksum");
  refused_with((entry[]){{"location", "abc"}, {"checksum", "6881c58f"}, {0}}, (import_options){.external_dir = folder},
               "does not have the SHA-1 checksum");
}

static void a_model_in_memory_needs_a_named_folder(void **state) {
  refused_with((entry[]){{"location", "w.bin"}, {0}}, (import_options){0}, "external_data_dir");
}

static void what_happens_to_the_file_later_does_not_matter(void **state) {
  imported r;
  wire_out t = {0};
  float data[2] = {5, 6};
  char path[256];
  write_file("later.bin", data, sizeof data);
  import_external(&r, &t, (entry[]){{"location", "later.bin"}, {0}}, (import_options){.external_dir = folder});
  assert_int_equal(r.status, SDX_OK);
  path_of(path, "later.bin");
  assert_int_equal(truncate(path, 0), 0);
  const tensor *w = r.m->graph->values[graph_find(r.m->graph, STR("w"))].constant;
  assert_true(((const float *)w->data)[1] == 6);
  drop(&r);
  wire_out_deinit(&t);
}

// Attributes, sparse parts, subgraphs and functions all go through the same gate.
static void every_place_uses_the_gate(void **state) {
  static const entry outside[] = {{"location", "../w.bin"}, {0}};
  for (int where = 0; where < 4; where++) {
    wire_out t = {0};
    size_t g = begin_model(&t), n, a, s;
    if (where == 0) {  // tensor attribute
      n = begin_node(&t, 1, "Constant", "", "y");
      a = wire_begin(&t, 5);
      put(&t, 1, "value");
      put_external(&t, 5, NULL, outside);
      wire_end(&t, a);
      wire_end(&t, n);
    } else if (where == 1) {  // sparse initializer
      s = wire_begin(&t, 15);
      put_external(&t, 1, "s", outside);
      put_external(&t, 2, NULL, outside);
      wire_end(&t, s);
    } else if (where == 2) {  // initializer of a subgraph
      n = begin_node(&t, 1, "If", "", "y");
      a = wire_begin(&t, 5);
      put(&t, 1, "then_branch");
      s = wire_begin(&t, 6);
      put_external(&t, 5, "w", outside);
      wire_end(&t, s);
      wire_end(&t, a);
      wire_end(&t, n);
    } else {
      put_node(&t, 1, "local:F", "", "y");
    }
    wire_end(&t, g);
    if (where == 3) {
      s = wire_begin(&t, 25);
      put(&t, 1, "F");
      put(&t, 10, "local");
      put(&t, 5, "y");
      n = begin_node(&t, 7, "Constant", "", "y");
      a = wire_begin(&t, 5);
      put(&t, 1, "value");
      put_external(&t, 5, NULL, outside);
      wire_end(&t, a);
      wire_end(&t, n);
      wire_end(&t, s);
    }
    imported r;
    import_bytes(&r, t.kept.at, t.kept.size, (import_options){.external_dir = folder});
    assert_int_equal(r.status, SDX_FORBIDDEN);
    assert_non_null(strstr(r.err.message, "leaves the model's folder"));
    drop(&r);
    wire_out_deinit(&t);
  }
}

static void no_other_code_opens_a_path(void **state) {
  DIR *d = opendir("src/onnx");
  if (!d) skip();
  for (struct dirent *e; (e = readdir(d));) {
    char path[300], line[400];
    size_t n = strlen(e->d_name);
    if (n < 2 || strcmp(e->d_name + n - 2, ".c") != 0) continue;
    snprintf(path, sizeof path, "src/onnx/%s", e->d_name);
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
      if (strstr(line, " open(") || strstr(line, "openat") || strstr(line, "fopen(") ||
          (strstr(line, "links_open(") && strcmp(e->d_name, "external.c") != 0))
        fail_msg("%s: %s", path, line);
    if (f) fclose(f);
  }
  closedir(d);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(files_beneath_the_folder_are_read),
                                     cmocka_unit_test(bad_locations_are_refused),
                                     cmocka_unit_test(a_nul_in_a_location_is_refused),
                                     cmocka_unit_test(links_within_the_folder_are_followed),
                                     cmocka_unit_test(links_out_of_the_folder_are_refused),
                                     cmocka_unit_test(links_of_caches_and_mounts_are_followed),
                                     cmocka_unit_test(the_real_folder_is_that_of_the_file_that_was_loaded),
                                     cmocka_unit_test(files_of_many_names_are_for_models_of_many_names),
                                     cmocka_unit_test(a_pointer_in_place_of_the_data_is_named),
                                     cmocka_unit_test(only_regular_files_are_read),
                                     cmocka_unit_test(bad_numbers_are_refused),
                                     cmocka_unit_test(the_checksum_is_held_against_the_file),
                                     cmocka_unit_test(a_model_in_memory_needs_a_named_folder),
                                     cmocka_unit_test(what_happens_to_the_file_later_does_not_matter),
                                     cmocka_unit_test(every_place_uses_the_gate),
                                     cmocka_unit_test(no_other_code_opens_a_path)};
  return cmocka_run_group_tests(tests, setup, teardown);
}
