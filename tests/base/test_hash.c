// SPDX-License-Identifier: Apache-2.0
// Hashes of contents: however they come in pieces, with every bit, the length and the seed in them.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"

enum { MOST = 200 };

static void pieces_do_not_matter(void **state) {
  unsigned char bytes[MOST];
  for (size_t i = 0; i < MOST; i++) bytes[i] = (unsigned char)(i * 37);
  for (size_t size = 0; size <= MOST; size++)
    for (size_t first = 0; first <= size; first += 7) {
      hash h;
      hash_init(&h, 5);
      hash_add(&h, bytes, first);
      for (size_t i = first; i < size; i += 3) hash_add(&h, bytes + i, size - i < 3 ? size - i : 3);
      assert_true(hash_end(&h) == hash_of(5, bytes, size));
    }
}

static void everything_matters(void **state) {
  unsigned char bytes[MOST] = {0};
  uint64_t before = hash_of(1, bytes, MOST), zeros[MOST];
  assert_true(before != hash_of(2, bytes, MOST));
  for (size_t bit = 0; bit < 8 * MOST; bit++) {
    bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
    assert_true(hash_of(1, bytes, MOST) != before);
    bytes[bit / 8] = 0;
  }
  for (size_t size = 0; size < MOST; size++) {
    zeros[size] = hash_of(1, bytes, size);
    for (size_t i = 0; i < size; i++) assert_true(zeros[i] != zeros[size]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(pieces_do_not_matter), cmocka_unit_test(everything_matters)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
