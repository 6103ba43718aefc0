// SPDX-License-Identifier: Apache-2.0
// Checkpoints of TensorFlow: what is in the index of one that TensorFlow wrote; tables that are made to cost more than
// they have bytes; and a graph whose checkpoint is damaged at each byte of its index, or cut there: it is converted or
// refused with a message, and nothing is left over.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "convert/format.h"
#include "convert/sstable.h"

static const char seed[] = "tests/convert/checkpoint/trained";
static const char *const endings[] = {".meta", ".data-00000-of-00001", ".index"};
enum { FILES = 3, LARGEST = 1 << 16 };

static size_t read_file(const char *path, char *to) {
  FILE *f = fopen(path, "rb");
  assert_non_null(f);
  size_t size = fread(to, 1, LARGEST, f);
  fclose(f);
  assert_true(size > 0 && size < LARGEST);
  return size;
}

static void write_file(const char *path, const char *bytes, size_t size) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, size, f), size);
  fclose(f);
}

// ---- tables -----------------------------------------------------------------------------------------

typedef struct names {
  char text[400];
  size_t count;
} names;

static sdx_status take(void *context, str key, str value) {
  names *n = context;
  size_t used = strlen(n->text);
  n->count++;
  if (used + key.size + 2 < sizeof n->text) snprintf(n->text + used, sizeof n->text - used, "%.*s,", STR_ARG(key));
  return SDX_OK;
}

static void an_index_is_read(void **state) {
  char path[200], *bytes = malloc(LARGEST);
  snprintf(path, sizeof path, "%s.index", seed);
  size_t size = read_file(path, bytes);
  names n = {.count = 0};
  error err = {0};
  assert_int_equal(sstable_read((str){bytes, size}, take, &n, &err), SDX_OK);
  assert_string_equal(n.text, ",dense/bias,dense/kernel,");
  free(bytes);
}

typedef struct table {
  unsigned char bytes[LARGEST];
  size_t size;
} table;

static void put(table *t, const void *bytes, size_t size) {
  memcpy(t->bytes + t->size, bytes, size);
  t->size += size;
}

static void put_varint(table *t, uint64_t n) {
  for (; n > 127; n >>= 7) put(t, &(unsigned char){(unsigned char)(n | 128)}, 1);
  put(t, &(unsigned char){(unsigned char)n}, 1);
}

static void put_entry(table *t, uint64_t shared, const char *own, const void *value, size_t size) {
  put_varint(t, shared);
  put_varint(t, strlen(own));
  put_varint(t, size);
  put(t, own, strlen(own));
  put(t, value, size);
}

// No restarts; not compressed; a sum that nobody looks at.
static void end_block(table *t) { put(t, "\0\0\0\0\0\0\0\0", 9); }

// A table whose index has `blocks` handles, all of the one block of `entries` entries with a name of 4000 bytes.
static sdx_status read_made(size_t blocks, size_t entries, names *n, error *err) {
  table *t = calloc(1, sizeof *t), handle = {.size = 0};
  char name[4001] = {0};
  memset(name, 'n', sizeof name - 1);
  for (size_t i = 0; i < entries; i++) put_entry(t, i ? 4000 : 0, i ? "" : name, "", 0);
  end_block(t);
  put_varint(&handle, 0);
  put_varint(&handle, t->size - 5);
  size_t index = t->size;
  for (size_t i = 0; i < blocks; i++) put_entry(t, 0, "", handle.bytes, handle.size);
  end_block(t);
  size_t footer = t->size, index_size = footer - 5 - index;
  put_varint(t, 0);
  put_varint(t, 0);
  put_varint(t, index);
  put_varint(t, index_size);
  t->size = footer + 40;
  put(t, "\x57\xfb\x80\x8b\x24\x75\x47\xdb", 8);
  char *exact = malloc(t->size);  // exactly as long
  memcpy(exact, t->bytes, t->size);
  sdx_status status = sstable_read((str){exact, t->size}, take, n, err);
  free(exact);
  free(t);
  return status;
}

static void tables_cost_what_their_bytes_do(void **state) {
  names n = {.count = 0};
  error err = {0};
  assert_int_equal(read_made(1, 10, &n, &err), SDX_OK);
  assert_int_equal(n.count, 10);
  assert_int_equal(read_made(2, 10, &n, &err), SDX_INVALID_MODEL);
  assert_non_null(strstr(err.message, "blocks overlap"));
  n.count = 0, err = (error){0};
  assert_int_equal(read_made(1, 5000, &n, &err), SDX_INVALID_MODEL);
  assert_non_null(strstr(err.message, "names are absurdly long"));
  assert_true(n.count < 2000);
}

// ---- a graph and its checkpoint ---------------------------------------------------------------------

static char folder[40];

static const char *path_of(const char *end) {
  static char path[2][200];
  static int last;
  last = !last;
  snprintf(path[last], sizeof *path, "%s/trained%s", folder, end);
  return path[last];
}

// The seed in a folder of its own; the bytes of its index.
static size_t lay_out(char *bytes) {
  char path[200];
  size_t size = 0;
  strcpy(folder, "/tmp/sardonyx-checkpoint-XXXXXX");
  assert_non_null(mkdtemp(folder));
  for (size_t i = 0; i < FILES; i++) {
    snprintf(path, sizeof path, "%s%s", seed, endings[i]);
    size = read_file(path, bytes);
    write_file(path_of(endings[i]), bytes, size);
  }
  return size;
}

static void clear_away(void) {
  for (size_t i = 0; i < FILES; i++) unlink(path_of(endings[i]));
  assert_int_equal(rmdir(folder), 0);
}

static bool try_index(const char *bytes, size_t size) {
  convert_options options = {.outputs = "y"};
  convert_report report;
  fault problem = {0};
  uint64_t live = mem_live_count();
  write_file(path_of(".index"), bytes, size);
  sdx_status status = convert_file(path_of(".meta"), path_of(".onnx"), &options, &report, &problem);
  assert_int_equal(status, problem.status);
  if (status) assert_true(problem.message[0] && status != SDX_NO_MEMORY && status != SDX_INTERNAL);
  convert_report_free(&report);
  assert_int_equal(mem_live_count(), live);
  assert_int_equal(unlink(path_of(".onnx")) == 0, status == SDX_OK);
  return status == SDX_OK;
}

static void a_damaged_index_is_refused_or_taken(void **state) {
  char *bytes = malloc(LARGEST);
  size_t size = lay_out(bytes), taken = 0;
  assert_true(try_index(bytes, size));
  for (size_t i = 0; i < size; i++) {
    assert_false(try_index(bytes, i));
    bytes[i] ^= (char)(1 << i % 8);
    taken += try_index(bytes, size);
    bytes[i] ^= (char)(1 << i % 8);
  }
  assert_true(taken > 0 && taken < size);  // sums of blocks and unused bytes may be anything
  clear_away();
  free(bytes);
}

// Of the converted model, which the caller frees.
static char *kept(void) {
  convert_options options = {0};
  convert_report report;
  fault problem = {0};
  char *path = convert_for_use(path_of(".meta"), &options, &report, &problem);
  if (!path) fail_msg("%s", problem.message);
  convert_report_free(&report);
  return path;
}

// The graph is the same, its variables are not.
static void other_variables_are_another_model(void **state) {
  char *bytes = malloc(LARGEST), *path[3], cache[100];
  size_t size = lay_out(bytes);
  snprintf(cache, sizeof cache, "%s/cache", folder);
  setenv("XDG_CACHE_HOME", cache, 1);
  path[0] = kept();
  bytes[0x21] ^= 1;  // of the sum of a tensor
  write_file(path_of(".index"), bytes, size);
  path[1] = kept();
  bytes[0x21] ^= 1;
  write_file(path_of(".index"), bytes, size);
  path[2] = kept();
  assert_string_not_equal(path[0], path[1]);
  assert_string_equal(path[0], path[2]);
  assert_int_equal(unlink(path[0]) | unlink(path[1]), 0);
  for (const char *const *part = (const char *const[]){"/cache/sardonyx/converted", "/cache/sardonyx", "/cache", NULL};
       *part; part++) {
    snprintf(cache, sizeof cache, "%s%s", folder, *part);
    assert_int_equal(rmdir(cache), 0);
  }
  for (size_t i = 0; i < 3; i++) free(path[i]);
  clear_away();
  free(bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_index_is_read), cmocka_unit_test(tables_cost_what_their_bytes_do),
      cmocka_unit_test(a_damaged_index_is_refused_or_taken), cmocka_unit_test(other_variables_are_another_model)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
