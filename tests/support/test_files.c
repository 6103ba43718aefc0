// SPDX-License-Identifier: Apache-2.0
// Names, paths, files that are there wholly or not at all, trees, faults, digests.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
// after the standard headers
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/digest.h"
#include "support/files.h"
#include "support/names.h"

static char folder[] = "/tmp/sardonyx-files-XXXXXX";
static int root = -1;

static int make_folder(void **state) {
  if (!mkdtemp(folder)) return 1;
  root = open(folder, O_RDONLY | O_DIRECTORY);
  return root < 0;
}

static int drop_folder(void **state) {
  fault f = {0};
  close(root);
  return tree_remove(AT_FDCWD, folder, &f);
}

static void names(void **state) {
  char longest[NAME_BYTES + 2];
  memset(longest, 'a', sizeof longest);
  longest[NAME_BYTES] = 0;
  assert_true(name_valid("MyONNXmodel") && name_valid("a.b_c-1") && name_valid(longest));
  longest[NAME_BYTES] = 'a';
  longest[NAME_BYTES + 1] = 0;
  static const char *const wrong[] = {"", ".a", "-a", "a/b", "..", "a b", "a\n", "a:1", "\xc3\xa4", "a\\b", "a%2f"};
  assert_false(name_valid(longest));
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) assert_false(name_valid(wrong[i]));
  const char *all[] = {"register", "list", "MyONNXmodel"};
  assert_string_equal(name_closest("regster", all, 3), "register");
  assert_string_equal(name_closest("MyONNXModel", all, 3), "MyONNXmodel");
  assert_null(name_closest("zzzzzz", all, 3));
}

static void paths_stay_beneath(void **state) {
  static const char *const good[] = {"a", "a/b.onnx", "...", "..a", ".hidden"};
  static const char *const bad[] = {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.", "a\\b", "a\nb"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_true(path_beneath(good[i]));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(path_beneath(bad[i]));
}

static void faults_keep_the_first(void **state) {
  fault f = {0};
  assert_int_equal(fault_hint(&f, "nothing failed"), SDX_OK);
  assert_string_equal(f.hint, "");
  assert_int_equal(fault_errno(&f, ENOSPC, "a%s", "\x1b["), SDX_NO_SPACE);
  assert_int_equal(fault_set(&f, SDX_INTERNAL, "later"), SDX_NO_SPACE);
  fault_place(&f, "place %d", 1);
  assert_string_equal(f.message, "place 1: a?[: No space left on device");
  fault_hint(&f, "first");
  fault_hint(&f, "second");
  assert_string_equal(f.hint, "first");
  assert_int_equal(fault_errno(NULL, ENOENT, "nobody listens"), SDX_NOT_FOUND);
}

static void replaced_whole(void **state) {
  fault f = {0};
  size_t size;
  mode_t mask = umask(0);
  assert_int_equal(file_replace(root, "a", "one", 3, 0600, &f), SDX_OK);
  assert_int_equal(file_replace(root, "a", "two!", 4, 0600, &f), SDX_OK);
  umask(mask);
  char *bytes = file_load(root, "a", 4, &size, &f);
  assert_string_equal(bytes, "two!");
  free(bytes);
  struct stat info;
  fstatat(root, "a", &info, 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  assert_null(file_load(root, "a", 3, &size, &f));
  assert_int_equal(f.status, SDX_LIMIT_EXCEEDED);
  f = (fault){0};
  mkfifoat(root, "pipe", 0600);
  assert_null(file_load(root, "pipe", 100, &size, &f));  // and does not wait
  assert_int_equal(f.status, SDX_INVALID_ARGUMENT);
}

static sdx_status note(void *context, const char *path, int fd, fault *f) {
  strcat(strcat(context, path), " ");
  return SDX_OK;
}

static sdx_status walk(const char *name, size_t most, char *seen, fault *f) {
  int fd = openat(root, name, O_RDONLY);
  *seen = 0;
  sdx_status status = tree_walk(fd, name, most, note, seen, f);
  close(fd);
  return status;
}

static void trees(void **state) {
  char seen[200];
  fault f = {0};
  assert_int_equal(folder_make_parents(root, "t/b/c/d", 0700, &f), SDX_OK);
  file_replace(root, "t/b/c/x", "", 0, 0600, &f);
  file_replace(root, "t/a", "", 0, 0600, &f);
  file_replace(root, "t/c", "", 0, 0600, &f);
  assert_int_equal(walk("t", 3, seen, &f), SDX_OK);
  assert_string_equal(seen, "t/a t/b/c/x t/c ");
  assert_int_equal(walk("t", 2, seen, &f), SDX_LIMIT_EXCEEDED);
  f = (fault){0};
  assert_int_equal(symlinkat("/etc/passwd", root, "t/link"), 0);
  assert_int_equal(walk("t", 9, seen, &f), SDX_FORBIDDEN);
  assert_non_null(strstr(f.message, "t/link"));
  f = (fault){0};
  unlinkat(root, "t/link", 0);
  mkfifoat(root, "t/pipe", 0600);
  assert_int_equal(walk("t", 9, seen, &f), SDX_FORBIDDEN);
  f = (fault){0};
  assert_int_equal(symlinkat("..", root, "t/up"), 0);  // removed, not followed
  assert_int_equal(tree_remove(root, "t", &f), SDX_OK);
  assert_int_equal(faccessat(root, "t", F_OK, 0), -1);
  assert_int_equal(faccessat(root, "a", F_OK, 0), 0);
  assert_int_equal(tree_remove(root, "t", &f), SDX_OK);
}

static void digests(void **state) {
  char text[DIGEST_BYTES];
  assert_true(digest_of("abc", 3, text));
  assert_string_equal(text, "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert_true(digest_valid(text));
  text[70] = 'G';
  assert_false(digest_valid(text) || digest_valid("sha256:") || digest_valid("md5:00"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names),
      cmocka_unit_test(paths_stay_beneath),
      cmocka_unit_test(faults_keep_the_first),
      cmocka_unit_test(replaced_whole),
      cmocka_unit_test(trees),
      cmocka_unit_test(digests),
  };
  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
