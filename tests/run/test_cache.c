// SPDX-License-Identifier: Apache-2.0
// The option cache_dir: the second load packs nothing, is at least five times faster, and gives the same bits; entries
// that are foreign, damaged or cannot be written cost one line; nothing but the same model in the same form is served.
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/host.h"
#include "builder/builder.h"
#include "run/optimized.h"
#include "tests/process.h"
#include "tests/run/convolutions.h"

enum { THREADS = 4 };

static char folder[] = "/tmp/sardonyx-cache-XXXXXX";
static char first[100], other[100], cache[100];

// Loads and packs for the declared shapes, through the cache; `settings` are more options.
static sdx_session *load_from(const char *path, const char *where, const char *settings) {
  char all[400];
  snprintf(all, sizeof all, "cache_dir=%s %s", where, settings);
  sdx_options *o = model_options(all);
  sdx_session *s;
  plan *p = NULL;
  error err = {0};
  if (sdx_session_load_file(path, o, &s)) fail_msg("%s", sdx_session_error(s));
  sdx_options_destroy(o);
  if (session_declared_plan(s, &p, &err)) fail_msg("%s", err.message);
  plan_release(p);
  return s;
}

static sdx_session *load(const char *path) { return load_from(path, cache, ""); }

// The only entry's path; the count of all files there.
static int entries(char *path, size_t size) {
  int count = 0;
  DIR *d = opendir(cache);
  for (struct dirent *e; d && (e = readdir(d));)
    if (e->d_name[0] != '.') {
      if (path) snprintf(path, size, "%s/%s", cache, e->d_name);
      count++;
    }
  if (d) closedir(d);
  return count;
}

static void clear(void) {
  char path[400];
  while (entries(path, sizeof path)) unlink(path);
}

static void expect_served(const char *path, bool served, const char *warning) {
  sdx_session *s = load(path), *plain;
  if (*warning ? !strstr(sdx_session_warnings(s), warning) : *sdx_session_warnings(s) != 0)
    fail_msg("warnings '%s', expected '%s'", sdx_session_warnings(s), warning);
  assert_int_equal(s->packs.made == 0, served);
  assert_int_equal(sdx_session_load_file(path, NULL, &plain), SDX_OK);
  sdx_value *x = convolutions_run(s, 8, NULL, 0), *y = convolutions_run(plain, 8, NULL, 0);
  convolutions_expect_same(x, y);
  sdx_value_release(x);
  sdx_value_release(y);
  sdx_session_destroy(plain);
  sdx_session_destroy(s);
}

static void the_second_load_is_faster(void **state) {
  char large[120];
  uint64_t ns[2];
  snprintf(large, sizeof large, "%s/large.onnx", folder);
  convolutions_save(large, process_sanitized() ? 1 : 11, 512, 7, 1, 1);
  for (int i = 0; i < 2; i++) {
    uint64_t start = clock_ns();
    sdx_session *s = load(large);
    ns[i] = clock_ns() - start;
    assert_int_equal(s->packs.made == 0, i);
    sdx_session_destroy(s);
  }
  print_message("first load %.1f ms, second %.1f ms\n", (double)ns[0] / 1e6, (double)ns[1] / 1e6);
  if (!process_sanitized()) assert_true(ns[1] * 5 <= ns[0]);
  unlink(large);
  clear();
}

static void a_model_is_kept_and_served(void **state) {
  expect_served(first, false, "");
  assert_int_equal(entries(NULL, 0), 1);
  expect_served(first, true, "");
  expect_served(other, false, "");
  expect_served(other, true, "");
  assert_int_equal(entries(NULL, 0), 2);
  sdx_session *s = load_from(first, cache, "layouts=0");
  assert_int_not_equal(s->packs.made, 0);
  sdx_session_destroy(s);
  assert_int_equal(entries(NULL, 0), 3);
  clear();
}

static void copy(const char *from, const char *to) {
  char command[1700];
  snprintf(command, sizeof command, "cat '%s' > '%s.x' && mv '%s.x' '%s'", from, to, to, to);
  assert_int_equal(system(command), 0);
}

static void foreign_and_damaged_ones_are_made_anew(void **state) {
  char mine[400], foreign[400];
  expect_served(other, false, "");
  entries(mine, sizeof mine);
  snprintf(foreign, sizeof foreign, "%s/foreign.sdx", folder);
  assert_int_equal(rename(mine, foreign), 0);
  expect_served(first, false, "");
  entries(mine, sizeof mine);
  copy(foreign, mine);
  expect_served(first, false, "made of another model");
  expect_served(first, true, "");
  copy(first, mine);
  expect_served(first, false, "it is no optimized model");
  FILE *f = fopen(mine, "r+e");
  fseek(f, 100, SEEK_SET);
  fputc('x', f);
  fclose(f);
  expect_served(first, false, "is damaged");
  expect_served(first, true, "");
  assert_int_equal(truncate(mine, 5000), 0);
  expect_served(first, false, "is damaged");
  assert_int_equal(entries(NULL, 0), 1);
  unlink(foreign);
  clear();
}

static void a_changed_model_is_not_served(void **state) {
  char path[120];
  snprintf(path, sizeof path, "%s/changes.onnx", folder);
  copy(first, path);
  expect_served(path, false, "");
  copy(other, path);  // as long, other weights
  expect_served(path, false, "");
  unlink(path);
  clear();
}

static void changed_external_data_is_not_served(void **state) {
  char path[120], data[130];
  uint32_t seed = 1;
  snprintf(path, sizeof path, "%s/far.onnx", folder);
  snprintf(data, sizeof data, "%s.data", path);
  sdx_builder *b = sdx_builder_create(0);
  b->most_inside = 4096;  // the weights go to a file beside it
  sdx_graph *g = sdx_builder_graph(b);
  sdx_io io = {.name = "x", .dtype = SDX_FLOAT, .has_shape = true, .rank = 2, .shape = (int64_t[]){8, 64}};
  sdx_ref x = sdx_graph_add_input(g, &io);
  sdx_ref w = sdx_graph_add_filled(g, "w", SDX_FLOAT, 2, (int64_t[]){64, 64}, convolutions_fill, &seed);
  io.name = "y";
  sdx_graph_add_output(g, sdx_graph_add_node(g, "MatMul", NULL, SDX_REFS(x, w)), &io);
  if (sdx_builder_save(b, path)) fail_msg("%s", sdx_builder_error(b));
  sdx_builder_destroy(b);
  expect_served(path, false, "");
  expect_served(path, true, "");
  FILE *f = fopen(data, "r+e");
  fputc(7, f);
  fclose(f);
  expect_served(path, false, "made of another model");
  expect_served(path, true, "");
  unlink(path);
  unlink(data);
  clear();
}

static void a_folder_that_cannot_be_written_costs_a_line(void **state) {
  sdx_session *s = load_from(first, "/dev/null/cache", "");
  assert_non_null(strstr(sdx_session_warnings(s), "cache: the prepared model is not kept"));
  assert_ptr_equal(strchr(sdx_session_warnings(s), '\n') + 1,
                   sdx_session_warnings(s) + strlen(sdx_session_warnings(s)));
  sdx_value_release(convolutions_run(s, 8, NULL, 0));
  sdx_session_destroy(s);
}

// The entry whose name is not among `known`.
static void new_entry(char known[][400], int count, char *path) {
  DIR *d = opendir(cache);
  for (struct dirent *e; (e = readdir(d));) {
    snprintf(path, 400, "%s/%s", cache, e->d_name);
    int i = 0;
    while (i < count && strcmp(known[i], path) != 0) i++;
    if (e->d_name[0] != '.' && i == count) break;
  }
  closedir(d);
}

static void set_age(const char *path, int hours) {
  struct timespec times[2] = {{.tv_sec = time(NULL) - hours * 3600}, {.tv_sec = time(NULL) - hours * 3600}};
  assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void touch(const char *path, int hours) {
  fclose(fopen(path, "we"));
  set_age(path, hours);
}

static void what_was_not_used_for_longest_goes(void **state) {
  char paths[3][400], settings[100], foreign[200], left[200], busy[200];
  struct stat st;
  static const char *const options[] = {"", "layouts=0", "optimize=basic"};
  for (int i = 0; i < 3; i++) {
    sdx_session_destroy(load_from(first, cache, options[i]));
    new_entry(paths, i, paths[i]);
  }
  snprintf(foreign, sizeof foreign, "%s/notes.sdx", cache);
  snprintf(left, sizeof left, "%s/0123456789abcdef.sdx.1-0.new", cache);
  snprintf(busy, sizeof busy, "%s/0123456789abcdef.sdx.1-1.new", cache);
  touch(foreign, 100);
  touch(left, 2);
  touch(busy, 0);
  for (int i = 0; i < 3; i++) set_age(paths[i], 10 - i);
  assert_int_equal(stat(paths[0], &st), 0);
  sdx_session *s = load_from(first, cache, "");  // the oldest is used again
  assert_int_equal(s->packs.made, 0);
  snprintf(settings, sizeof settings, "cache_limit_bytes=%lld", (long long)st.st_size * 5 / 2);
  sdx_session_destroy(load_from(other, cache, settings));
  assert_int_equal(access(paths[0], F_OK), 0);
  assert_int_not_equal(access(paths[1], F_OK), 0);
  assert_int_not_equal(access(paths[2], F_OK), 0);
  assert_int_equal(access(foreign, F_OK), 0);
  assert_int_not_equal(access(left, F_OK), 0);
  assert_int_equal(access(busy, F_OK), 0);
  sdx_session_destroy(s);
  clear();
}

static void one_that_is_larger_than_all_may_be_is_not_kept(void **state) {
  expect_served(other, false, "");
  sdx_session *s = load_from(first, cache, "cache_limit_bytes=100000");
  assert_non_null(strstr(sdx_session_warnings(s), "expected at most cache_limit_bytes = 100000"));
  sdx_session_destroy(s);
  assert_int_equal(entries(NULL, 0), 0);  // the other one had more, too
}

static void *load_once(void *context) {
  sdx_session_destroy(load(first));
  return NULL;
}

static void many_may_write_at_once(void **state) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, load_once, NULL), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  assert_int_equal(entries(NULL, 0), 1);
  expect_served(first, true, "");
  clear();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_second_load_is_faster),
      cmocka_unit_test(a_model_is_kept_and_served),
      cmocka_unit_test(foreign_and_damaged_ones_are_made_anew),
      cmocka_unit_test(a_changed_model_is_not_served),
      cmocka_unit_test(changed_external_data_is_not_served),
      cmocka_unit_test(a_folder_that_cannot_be_written_costs_a_line),
      cmocka_unit_test(what_was_not_used_for_longest_goes),
      cmocka_unit_test(one_that_is_larger_than_all_may_be_is_not_kept),
      cmocka_unit_test(many_may_write_at_once),
  };
  if (!mkdtemp(folder)) return 1;
  snprintf(first, sizeof first, "%s/a.onnx", folder);
  snprintf(other, sizeof other, "%s/b.onnx", folder);
  snprintf(cache, sizeof cache, "%s/cache", folder);
  convolutions_save(first, 2, 64, 8, 1, 1);
  convolutions_save(other, 2, 64, 8, 1, 9);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  unlink(first);
  unlink(other);
  return rmdir(cache) || rmdir(folder) || failed;
}
