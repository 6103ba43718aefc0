// SPDX-License-Identifier: Apache-2.0
// JSON and UBJSON give the same document; broken ones are refused with their offset.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "convert/document.h"

typedef struct opened {
  source *s;
  document d;
} opened;

static opened open_bytes(const char *bytes, size_t size, bool binary) {
  opened o = {.s = source_of_bytes(bytes, size)};
  assert_non_null(o.s);
  document_init(&o.d, o.s, binary);
  return o;
}
#define OPEN(literal, binary) open_bytes(literal, sizeof literal - 1, binary)

static const char text[] =
    "{\"name\": \"x\", \"list\": [1, 2.5, -3], \"nested\": {\"deep\": [[true], null]}, \"last\": 7}";
static const char plain[] = "{i\4nameSi\1xi\4list[i\1d\x40\x20\0\0i\xfd]i\6nested{i\4deep[[T]Z]}i\4lastI\0\7}";
static const char counted[] =
    "{#i\4U\4nameSU\1xU\4list[$d#i\3\x3f\x80\0\0\x40\x20\0\0\xc0\x40\0\0U\6nested{#i\1l\0\0\0\4deep[#i\2[#i\1TZ"
    "i\4lastL\0\0\0\0\0\0\0\7";

static void expect_document(opened *o) {
  document *d = &o->d;
  bool first = true, inner = true;
  str key, name;
  size_t count = 0;
  int64_t last = 0;
  double values[3] = {0};
  while (document_member(d, "it", &first, &key)) {
    if (str_is(key, "name")) assert_true(document_string(d, &name, "name") && str_is(name, "x"));
    else if (str_is(key, "list"))
      while (document_element(d, "list", &inner)) assert_true(document_f64(d, &values[count++], "an element"));
    else if (str_is(key, "last")) assert_true(document_i64(d, &last, "last"));
    else assert_true(document_skip(d));
  }
  if (document_failed(d)) fail_msg("%s", d->j.message);
  assert_true(document_end(d));
  assert_true(count == 3 && values[0] == 1 && values[1] == 2.5 && values[2] == -3 && last == 7);
  source_close(o->s);
}

static void both_forms_say_the_same(void **state) {
  opened a = OPEN(text, false), b = OPEN(plain, true), c = OPEN(counted, true);
  expect_document(&a);
  expect_document(&b);
  expect_document(&c);
}

static void numbers_are_rounded_once(void **state) {
  opened o = OPEN("[16777217.0, 0.1, NaN, -Infinity, 3]", false);
  bool first = true;
  float f[5] = {0};
  for (int i = 0; i < 5; i++) assert_true(document_element(&o.d, "it", &first) && document_f32(&o.d, &f[i], "it"));
  assert_true(f[0] == 16777216 && f[1] == 0.1f && isnan(f[2]) && f[3] == -INFINITY && f[4] == 3);
  source_close(o.s);
}

#define REFUSED(literal, binary, part)                                                  \
  do {                                                                                  \
    opened o = OPEN(literal, binary);                                                   \
    assert_false(document_skip(&o.d) && document_end(&o.d));                            \
    if (!strstr(o.d.j.message, part)) fail_msg("'%s' lacks '%s'", o.d.j.message, part); \
    source_close(o.s);                                                                  \
  } while (0)

static void broken_documents_are_refused(void **state) {
  REFUSED("", true, "byte 0: the document ends too early");
  REFUSED("[", true, "cut short");
  REFUSED("[$d#i\5\0\0\0\0", true, "5 elements are claimed where 4 bytes are left");
  REFUSED("[$Z#L\177\377\377\377\377\377\377\377", true, "the type of its elements is odd");
  REFUSED("[#l\377\377\377\377]", true, "a length is negative: -1");
  REFUSED("Si\5abc", true, "5 bytes are claimed where 3 are left");
  REFUSED("[$d", true, "cut short");
  REFUSED("[$d$", true, "odd");
  REFUSED("{S", true, "expected a length");
  REFUSED("[Q]", true, "type 81 is not known");
  REFUSED("[i\1]x", true, "1 bytes follow the document");
  REFUSED("[1,", false, "byte 3");
  char deep[200];
  memset(deep, '[', sizeof deep);
  opened o = open_bytes(deep, sizeof deep, true);
  assert_false(document_skip(&o.d));
  assert_non_null(strstr(o.d.j.message, "nested deeper than 64"));
  source_close(o.s);
}

static void what_was_read_can_be_given_back(void **state) {
  size_t size = (size_t)64 << 20;
  char *bytes = malloc(size);
  memset(bytes, 'x', size);
  source *s = source_of_bytes(bytes, size);
  source_forget(s, size / 2);
  assert_int_equal(s->bytes[size / 2], 'x');
  assert_int_equal(s->bytes[0], 0);  // a fresh page
  assert_int_equal(s->bytes[size], 0);
  source_close(s);
  free(bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(both_forms_say_the_same), cmocka_unit_test(numbers_are_rounded_once),
      cmocka_unit_test(broken_documents_are_refused), cmocka_unit_test(what_was_read_can_be_given_back)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
