// SPDX-License-Identifier: Apache-2.0
// Damaged files of every format: each seed of tests/fuzz/corpus/convert_* cut short everywhere, with bits flipped, with
// absurd numbers in the place of others, with itself repeated. The converter takes it or says what is wrong; it does
// not crash (the sanitizers watch), take memory that the file does not account for, or forget any.
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "convert/format.h"

enum { MOST_CUTS = 60, FLIPS = 120, LARGEST_SEED = 1 << 20 };
static const char corpora[] = "tests/fuzz/corpus";
static size_t tried, taken;

static void try_bytes(const convert_format *f, const char *file, const char *what, const char *bytes, size_t size) {
  convert_options options = {0};
  convert_report report;
  fault problem = {0};
  uint64_t live = mem_live_count();
  sdx_status status = convert_bytes(f, bytes, size, &options, &report, &problem);
  if (status != problem.status) fail_msg("%s, %s: %d and %d", file, what, status, problem.status);
  if (status && (!problem.message[0] || !report.problem_count)) fail_msg("%s, %s: no message", file, what);
  if (status == SDX_NO_MEMORY || status == SDX_INTERNAL) fail_msg("%s, %s: %s", file, what, problem.message);
  convert_report_free(&report);
  assert_int_equal(mem_live_count(), live);
  tried++;
  taken += status == SDX_OK;
}

static uint32_t next(uint32_t *state) { return *state = *state * 1664525 + 1013904223; }

static void cut(const convert_format *f, const char *file, const char *bytes, size_t size) {
  size_t step = size / MOST_CUTS + 1;
  for (size_t n = 0; n < size; n += step) {
    char *copy = malloc(n ? n : 1);  // exactly as long
    memcpy(copy, bytes, n);
    try_bytes(f, file, "cut", copy, n);
    free(copy);
  }
}

static void flip(const convert_format *f, const char *file, const char *bytes, size_t size, uint32_t *random) {
  char *copy = malloc(size);
  for (int i = 0; i < FLIPS && size; i++) {
    memcpy(copy, bytes, size);
    for (uint32_t k = next(random) >> 30; k != UINT32_MAX; k--)
      copy[(next(random) >> 4) % size] ^= (char)(1 << (next(random) >> 29));
    try_bytes(f, file, "flipped", copy, size);
  }
  free(copy);
}

// Numbers of a text, and fields of four or eight bytes, that become something else.
static void exaggerate(const convert_format *f, const char *file, const char *bytes, size_t size, uint32_t *random) {
  static const char *const numbers[] = {"-1", "4294967296", "1e999", "9223372036854775807", "0.5", "-0", "nan"};
  static const uint64_t fields[] = {0, UINT64_MAX, INT32_MAX, (uint64_t)1 << 62, 0x7fffffff00000001u, 0xffffffff00u};
  char *copy = malloc(size + 64);
  for (int i = 0; i < FLIPS && size > 16; i++) {
    size_t at = (next(random) >> 4) % (size - 8), end = at;
    while (at && !strchr("0123456789", bytes[at])) at--;
    for (end = at; end < size && bytes[end] && strchr("0123456789.eE+-", bytes[end]); end++) continue;
    const char *number = numbers[(next(random) >> 8) % 7];
    memcpy(copy, bytes, at);
    size_t n = at + strlen(strcpy(copy + at, number));
    memcpy(copy + n, bytes + end, size - end);
    try_bytes(f, file, "with another number", copy, n + size - end);
    memcpy(copy, bytes, size);
    memcpy(copy + (next(random) >> 4) % (size - 8), &fields[(next(random) >> 8) % 6], i % 2 ? 8 : 4);
    try_bytes(f, file, "with another field", copy, size);
  }
  free(copy);
}

static void repeat(const convert_format *f, const char *file, const char *bytes, size_t size) {
  char *copy = malloc(2 * size + 1);
  memcpy(copy, bytes, size);
  memcpy(copy + size, bytes, size);
  try_bytes(f, file, "twice", copy, 2 * size);
  free(copy);
}

static void damage(const convert_format *f, const char *folder, const char *name, uint32_t *random) {
  char path[600];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  char *bytes = malloc(LARGEST_SEED);
  size_t size = fread(bytes, 1, LARGEST_SEED, file);
  fclose(file);
  try_bytes(f, path, "as it is", bytes, size);
  cut(f, path, bytes, size);
  flip(f, path, bytes, size, random);
  exaggerate(f, path, bytes, size, random);
  repeat(f, path, bytes, size);
  free(bytes);
}

static void damaged_files_are_refused_or_taken(void **state) {
  uint32_t random = 1;
  for (const convert_format *const *f = convert_formats; *f; f++) {
    char folder[300];
    snprintf(folder, sizeof folder, "%s/convert_%s", corpora, (*f)->name);
    DIR *d = opendir(folder);
    if (!d && (*f)->program) continue;  // nothing here reads such files
    if (!d) fail_msg("%s: every format has seeds", folder);
    for (struct dirent *e; (e = readdir(d));)
      if (e->d_name[0] != '.') damage(*f, folder, e->d_name, &random);
    closedir(d);
  }
  print_message("%zu files, %zu taken\n", tried, taken);
  assert_true(taken > 10 && taken < tried);
}

static void nesting_and_length_have_limits(void **state) {
  enum { DEEP = 1000000 };
  char *bytes = malloc(DEEP + 100);
  for (const convert_format *const *f = convert_formats; *f; f++) {
    if ((*f)->program) continue;
    static const char *const opens[] = {"[", "{\"a\":", "{\"learner\":[", "tree\n", "x"};
    for (size_t i = 0; i < sizeof opens / sizeof *opens; i++) {
      size_t n = 0, length = strlen(opens[i]);
      while (n + length < DEEP) memcpy(bytes + n, opens[i], length), n += length;
      try_bytes(*f, opens[i], "a million times", bytes, n);
    }
    memset(bytes, 0, DEEP);
    try_bytes(*f, "zeros", "a million times", bytes, DEEP);
    try_bytes(*f, "nothing", "", bytes, 0);
  }
  free(bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(damaged_files_are_refused_or_taken),
                                     cmocka_unit_test(nesting_and_length_have_limits)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
