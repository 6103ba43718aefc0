// SPDX-License-Identifier: Apache-2.0
// Accounts with limits, nested accounts, the failing-allocation hook, arenas.
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// after the standard headers
#include <cmocka.h>

#include "base/mem.h"

// What a block takes of its account: a header of 64 bytes, rounded up to 64, and 64 for the C library.
static size_t cost(size_t bytes) { return (bytes + 127) / 64 * 64 + 64; }

static void account_charges_what_a_block_takes(void **state) {
  mem_account a;
  mem_account_init(&a, cost(600) + cost(400), NULL);
  void *p = mem_alloc(&a, 600);
  assert_non_null(p);
  assert_int_equal((uintptr_t)p % 64, 0);
  assert_int_equal(a.used, cost(600));
  assert_null(mem_alloc(&a, 500));
  assert_int_equal(a.used, cost(600));
  void *q = mem_zalloc(&a, 400);
  assert_non_null(q);
  for (size_t i = 0; i < 400; i++) assert_int_equal(((char *)q)[i], 0);
  mem_free(p);
  mem_free(q);
  mem_free(NULL);
  assert_int_equal(a.used, 0);
  assert_int_equal(a.peak, a.limit);
}

static void nested_accounts_all_have_to_agree(void **state) {
  mem_account outer, inner;
  mem_account_init(&outer, cost(80) + 100, NULL);
  mem_account_init(&inner, SIZE_MAX, &outer);
  void *p = mem_alloc(&inner, 80);
  assert_non_null(p);
  assert_int_equal(outer.used, cost(80));
  assert_null(mem_alloc(&inner, 80));
  assert_int_equal(inner.used, cost(80));
  assert_int_equal(outer.used, cost(80));
  mem_free(p);
  assert_int_equal(inner.used, 0);
  assert_int_equal(outer.used, 0);
  assert_true(mem_charge(&inner, outer.limit));
  assert_false(mem_charge(&inner, 1));
  mem_uncharge(&inner, outer.limit);
  assert_int_equal(outer.used, 0);
}

static void absurd_sizes_fail(void **state) {
  mem_account a;
  mem_account_init(&a, SIZE_MAX, NULL);
  assert_null(mem_alloc(&a, SIZE_MAX));
  assert_null(mem_alloc(&a, SIZE_MAX - 64));
  assert_null(mem_alloc(NULL, SIZE_MAX - 200));
  assert_int_equal(a.used, 0);
  void *p = mem_alloc(&a, 0);
  assert_non_null(p);
  mem_free(p);
}

static void nth_allocation_fails(void **state) {
  mem_fail_at(2, false);
  void *p = mem_alloc(NULL, 8);
  assert_non_null(p);
  assert_null(mem_alloc(NULL, 8));
  void *q = mem_alloc(NULL, 8);
  assert_non_null(q);
  mem_fail_at(1, true);
  assert_null(mem_alloc(NULL, 8));
  assert_null(mem_alloc(NULL, 8));
  mem_fail_at(0, false);
  mem_free(p);
  mem_free(q);
}

static void allocations_are_counted(void **state) {
  uint64_t before = mem_alloc_count();
  mem_free(mem_alloc(NULL, 10));
  assert_int_equal(mem_alloc_count() - before, 1);
}

static void arena_hands_out_disjoint_memory(void **state) {
  mem_account account;
  mem_account_init(&account, SIZE_MAX, NULL);
  arena a;
  arena_init(&a, &account);
  char *blocks[200];
  for (size_t i = 0; i < 200; i++) {
    size_t bytes = i * 97 % 9000;
    blocks[i] = arena_alloc(&a, bytes);
    assert_non_null(blocks[i]);
    assert_int_equal((uintptr_t)blocks[i] % 16, 0);
    memset(blocks[i], (int)i, bytes);
  }
  for (size_t i = 0; i < 200; i++)
    for (size_t j = 0; j < i * 97 % 9000; j++) assert_int_equal((unsigned char)blocks[i][j], i);
  assert_null(arena_alloc(&a, SIZE_MAX - 5));
  assert_null(arena_array(&a, SIZE_MAX / 2, 3));
  int *zeros = arena_array(&a, 100, sizeof *zeros);
  for (size_t i = 0; i < 100; i++) assert_int_equal(zeros[i], 0);
  assert_string_equal(arena_format(&a, "%d-%s", 42, "x"), "42-x");
  assert_memory_equal(arena_copy(&a, "abc", 4), "abc", 4);
  arena_deinit(&a);
  assert_int_equal(account.used, 0);
}

static void reset_arena_needs_no_new_memory(void **state) {
  arena a;
  arena_init(&a, NULL);
  for (int i = 0; i < 50; i++) arena_alloc(&a, 1000);
  arena_reset(&a);
  uint64_t before = mem_alloc_count();
  for (int round = 0; round < 10; round++) {
    for (int i = 0; i < 20; i++) assert_non_null(arena_zalloc(&a, 1000));
    arena_reset(&a);
  }
  assert_int_equal(mem_alloc_count(), before);
  arena_deinit(&a);
}

static void arena_respects_its_account(void **state) {
  mem_account account;
  mem_account_init(&account, 10000, NULL);
  arena a;
  arena_init(&a, &account);
  assert_null(arena_alloc(&a, 10000));
  assert_non_null(arena_alloc(&a, 1000));
  size_t got = 0;
  while (arena_alloc(&a, 500)) got++;
  assert_true(got < 20);
  arena_deinit(&a);
  assert_int_equal(account.used, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(account_charges_what_a_block_takes),
      cmocka_unit_test(nested_accounts_all_have_to_agree),
      cmocka_unit_test(absurd_sizes_fail),
      cmocka_unit_test(nth_allocation_fails),
      cmocka_unit_test(allocations_are_counted),
      cmocka_unit_test(arena_hands_out_disjoint_memory),
      cmocka_unit_test(reset_arena_needs_no_new_memory),
      cmocka_unit_test(arena_respects_its_account),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
