// SPDX-License-Identifier: Apache-2.0
// The protobuf reader on good, odd and broken bytes; the writer's bytes against known ones.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/wire.h"

#define TEST(F)                  \
  F(A, 1, INT, "a")              \
  F(S, 2, BYTES, "s")            \
  F(SUB, 3, MESSAGE, "sub")      \
  F(LIST, 4, BYTES_LIST, "list") \
  F(INTS, 5, INTS, "ints")       \
  F(FLOATS, 6, FLOATS, "floats") \
  F(WIDE, 1000, DOUBLE, "wide")
enum { TEST(WIRE_SLOT) };
WIRE_SCHEMA(static const, schema, TEST, "Test")

static sdx_status scan(const void *bytes, size_t size, wire_counts *counts, error *err) {
  *err = (error){0};
  return wire_scan(wire_of(bytes, size), &schema, counts, err);
}

#define REFUSED(bytes, part)                                                           \
  do {                                                                                 \
    wire_counts counts;                                                                \
    error err;                                                                         \
    assert_int_equal(scan(bytes, sizeof bytes - 1, &counts, &err), SDX_INVALID_MODEL); \
    if (!strstr(err.message, part)) fail_msg("'%s' lacks '%s'", err.message, part);    \
  } while (0)
#define ACCEPTED(bytes)                                                                      \
  do {                                                                                       \
    wire_counts counts;                                                                      \
    error err;                                                                               \
    if (scan(bytes, sizeof bytes - 1, &counts, &err) != SDX_OK) fail_msg("%s", err.message); \
  } while (0)

static void broken_bytes_are_refused_with_their_offset(void **state) {
  REFUSED("\x08", "byte 0: field 'a' of Test: the bytes end inside a number");
  REFUSED("\x08\x01\x08\x80", "byte 2");
  REFUSED("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "longer than 64 bits");
  REFUSED("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "longer than 64 bits");
  REFUSED(
      "\x12\x05"
      "abcd",
      "claims 5 bytes where 4 are left");
  REFUSED("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "byte 0: field 's' of Test: the length is that of no file");
  REFUSED("\x00\x01", "the field number is not valid");
  REFUSED("\x80\x80\x80\x80\x10\x01", "the field number is not valid");  // 2^29
  REFUSED("\x0e\x01", "the wire type does not exist");
  REFUSED("\x0f\x01", "the wire type does not exist");
  REFUSED(
      "\x12\x01"
      "a\x0d\0\0\0\0",
      "byte 3: field 'a' of Test: the wire type does not fit");
  REFUSED("\x10\x01", "field 's' of Test: the wire type does not fit");
  REFUSED("\x1a\x00\x1a\x00", "given twice");
  REFUSED(
      "\x32\x05"
      "abcde",
      "not a multiple");
  REFUSED("\x2a\x02\x01\x80", "the bytes end inside a number");
  REFUSED("\x9c\x06", "a group ends that did not begin");
  REFUSED("\x9b\x06\xa4\x06", "another number");
  REFUSED("\x9b\x06", "the bytes end");
}

static void odd_but_legal_bytes_are_read(void **state) {
  ACCEPTED("");
  ACCEPTED("\x08\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00");  // padded varint
  ACCEPTED("\x88\x80\x80\x00\x01");                          // padded tag
  ACCEPTED(
      "\x12\x83\x00"
      "abc");                                            // padded length
  ACCEPTED("\x9b\x06\x08\x01\x9b\x06\x9c\x06\x9c\x06");  // unknown groups, nested
  ACCEPTED("\xa1\x06\0\0\0\0\0\0\0\0\xa5\x06\0\0\0\0\xa2\x06\x01x\xa0\x06\x05");
}

static void the_last_scalar_counts_and_lists_mix(void **state) {
  static const char bytes[] = "\x08\x01\x08\x07\x28\x03\x2a\x03\x04\xac\x02\x28\x05\x22\x01x\x22\x00";
  wire w = wire_of(bytes, sizeof bytes - 1);
  wire_counts counts;
  wire_field f;
  error err = {0};
  int64_t ints[4], a = 0;
  size_t n = 0;
  assert_int_equal(wire_scan(w, &schema, &counts, &err), SDX_OK);
  assert_int_equal(counts.of[INTS], 4);
  assert_int_equal(counts.of[LIST], 2);
  while (wire_next(&w, &schema, &f)) {
    if (f.slot == A) a = (int64_t)f.value;
    if (f.slot == INTS)
      for (size_t got; (got = wire_read_ints(&f, ints + n, 4 - n > 0)) > 0;) n += got;  // one at a time
  }
  assert_int_equal(a, 7);
  assert_int_equal(n, 4);
  assert_true(ints[0] == 3 && ints[1] == 4 && ints[2] == 300 && ints[3] == 5);
}

static void numbers_of_fields_may_be_large(void **state) {
  static const char bytes[] = "\xc1\x3e\0\0\0\0\0\0\xf8\x3f\xc9\x3e\0\0\0\0\0\0\0\0";
  wire w = wire_of(bytes, sizeof bytes - 1);
  wire_counts counts;
  wire_field f;
  error err = {0};
  assert_int_equal(wire_scan(w, &schema, &counts, &err), SDX_OK);
  assert_int_equal(counts.of[WIDE], 1);
  assert_true(wire_next(&w, &schema, &f) && f.slot == WIDE && wire_double(&f) == 1.5);
  assert_false(wire_next(&w, &schema, &f));  // field 1001 is not known
}

static void groups_deeper_than_100_are_refused(void **state) {
  char bytes[300000];
  size_t n = 0;
  for (int i = 0; i < 50000; i++) bytes[n++] = (char)0x9b, bytes[n++] = 6;
  for (int i = 0; i < 50000; i++) bytes[n++] = (char)0x9c, bytes[n++] = 6;
  wire_counts counts;
  error err;
  assert_int_equal(scan(bytes, n, &counts, &err), SDX_INVALID_MODEL);
  assert_int_equal(scan(bytes + 2 * (50000 - 100), 400, &counts, &err), SDX_OK);
}

// No cut and no flipped bit makes the reader leave the bytes (the sanitizers watch) or disagree with
// itself: what scan accepts, next walks through to the end.
static void damaged_messages_stay_inside(void **state) {
  static const char good[] =
      "\x08\x01\x12\x03"
      "abc\x1a\x02\x08\x01\x22\x01x\x2a\x03\x04\xac\x02\x35\0\0\x80\x3f\x9b\x06\x08\x01\x9c\x06";
  for (size_t bit = 0; bit < 8 * sizeof good; bit++) {
    for (int cut = 0; cut < 2; cut++) {
      size_t size = cut ? bit / 8 : sizeof good - 1;
      char *copy = malloc(size ? size : 1);
      memcpy(copy, good, size);
      if (!cut && bit / 8 < size) copy[bit / 8] ^= (char)(1 << bit % 8);
      wire_counts counts;
      error err;
      if (scan(copy, size, &counts, &err) == SDX_OK) {
        wire w = wire_of(copy, size);
        wire_field f;
        while (wire_next(&w, &schema, &f)) {
        }
        assert_int_equal(w.at, size);
      }
      free(copy);
    }
  }
}

static void write_something(wire_out *out) {
  wire_put_int(out, 1, 300);
  wire_put_int(out, 1, -1);
  size_t outer = wire_begin(out, 3);
  for (int i = 0; i < 50; i++) wire_put_bytes(out, 4, STR("abc"));
  wire_end(out, outer);
  wire_put_ints(out, 5, (int64_t[]){1, 300}, 2);
}

static void the_writer_writes_the_shortest_form(void **state) {
  wire_out out = {0};
  write_something(&out);
  text t = out.kept;
  static const char begin[] =
      "\x08\xac\x02\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x1a\xfa\x01\x22\x03"
      "abc";
  assert_memory_equal(t.at, begin, sizeof begin - 1);
  assert_memory_equal(t.at + t.size - 5, "\x2a\x03\x01\xac\x02", 5);
  wire_counts counts;
  error err;
  assert_int_equal(scan(t.at, t.size, &counts, &err), SDX_OK);
  wire_out_deinit(&out);
}

static bool append(void *context, const void *bytes, size_t size) {
  text_append(context, bytes, size);
  return true;
}
static bool refuse(void *context, const void *bytes, size_t size) { return false; }

static void writing_twice_gives_the_same_bytes_as_keeping(void **state) {
  text passed = {0};
  wire_out kept = {0}, out = {.put = append, .context = &passed, .counting = true};
  write_something(&kept);
  write_something(&out);
  assert_int_equal(out.size, kept.kept.size);
  assert_int_equal(passed.size, 0);
  wire_rewind(&out);
  write_something(&out);
  assert_false(wire_failed(&out));
  assert_int_equal(passed.size, kept.kept.size);
  assert_memory_equal(passed.at, kept.kept.at, passed.size);
  wire_rewind(&out);
  out.put = refuse;
  write_something(&out);
  assert_true(wire_failed(&out));
  wire_out_deinit(&out);
  wire_out_deinit(&kept);
  text_deinit(&passed);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(broken_bytes_are_refused_with_their_offset),
                                     cmocka_unit_test(odd_but_legal_bytes_are_read),
                                     cmocka_unit_test(the_last_scalar_counts_and_lists_mix),
                                     cmocka_unit_test(numbers_of_fields_may_be_large),
                                     cmocka_unit_test(groups_deeper_than_100_are_refused),
                                     cmocka_unit_test(damaged_messages_stay_inside),
                                     cmocka_unit_test(the_writer_writes_the_shortest_form),
                                     cmocka_unit_test(writing_twice_gives_the_same_bytes_as_keeping)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
