// SPDX-License-Identifier: Apache-2.0
// The cache of packed weights: one pack per constant, shape and format, made once however many ask at the same time,
// found again among many.
#include <pthread.h>

#include "plan/pack.h"
#include "tests/model.h"

enum { THREADS = 4, MANY = 200, BYTES = 1 << 16 };

static atomic_int fills;

// Slow enough for the others to come meanwhile.
static void fill(void *target, const tensor *source, void *context) {
  atomic_fetch_add(&fills, 1);
  memset(target, *(const unsigned char *)source->data, BYTES);
  for (size_t i = 0; context && i < BYTES; i++) ((volatile char *)target)[i]++;
}

static const void *ask(pack_cache *cache, const tensor *source, uint32_t detail, void *context) {
  value v = {.tensor = *source};
  value *in[] = {&v};
  error err = {0};
  op_step c = {.in = in, .input_count = 1, .err = &err};
  pack_format format = pack_format_of("test", "ref", 1);
  format.detail = detail;
  return pack_cache_get(cache, &c, 0, &format, BYTES, fill, context);
}

typedef struct asker {
  pack_cache *cache;
  const tensor *source;
  unsigned char first, last;
  const void *got;
} asker;

static void *ask_slowly(void *context) {
  asker *a = context;
  const unsigned char *got = a->got = ask(a->cache, a->source, 7, a);
  a->first = got[0], a->last = got[BYTES - 1];
  return NULL;
}

static void many_askers_pack_once(void **state) {
  mem_account account;
  pack_cache cache;
  unsigned char byte = 41;
  tensor source = {.data = &byte, .dims = (int64_t[]){1}, .count = 1, .bytes = 1, .dtype = SDX_UINT8, .rank = 1};
  asker askers[THREADS];
  pthread_t threads[THREADS];
  mem_account_init(&account, SIZE_MAX, NULL);
  pack_cache_init(&cache, &account);
  atomic_store(&fills, 0);
  for (int i = 0; i < THREADS; i++) {
    askers[i] = (asker){&cache, &source, 0, 0, NULL};
    assert_int_equal(pthread_create(&threads[i], NULL, ask_slowly, &askers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    assert_ptr_equal(askers[i].got, askers[0].got);
    assert_int_equal(askers[i].first, 42);
    assert_int_equal(askers[i].last, 42);
  }
  assert_int_equal(atomic_load(&fills), 1);
  assert_int_equal(cache.made, 1);
  pack_cache_deinit(&cache);
  assert_int_equal(atomic_load(&account.used), 0);
}

static void what_differs_is_another_pack(void **state) {
  pack_cache cache;
  unsigned char bytes[2] = {1, 2};
  tensor a = {.data = bytes, .dims = (int64_t[]){1, 2}, .count = 2, .bytes = 2, .dtype = SDX_UINT8, .rank = 2};
  tensor shaped = a, typed = a, other = a;
  shaped.dims = (int64_t[]){2, 1};
  typed.dtype = SDX_INT8;
  other.data = bytes + 1;
  pack_cache_init(&cache, NULL);
  const void *packs[] = {ask(&cache, &a, 0, NULL), ask(&cache, &shaped, 0, NULL), ask(&cache, &typed, 0, NULL),
                         ask(&cache, &other, 0, NULL), ask(&cache, &a, 1, NULL)};
  for (int i = 0; i < 5; i++)
    for (int k = 0; k < i; k++) assert_ptr_not_equal(packs[i], packs[k]);
  assert_ptr_equal(ask(&cache, &a, 0, NULL), packs[0]);
  pack_cache_deinit(&cache);
}

static void many_packs_are_found_again(void **state) {
  pack_cache cache;
  unsigned char byte = 1;
  tensor source = {.data = &byte, .dims = (int64_t[]){1}, .count = 1, .bytes = 1, .dtype = SDX_UINT8, .rank = 1};
  const void *packs[MANY];
  pack_cache_init(&cache, NULL);
  for (uint32_t i = 0; i < MANY; i++) packs[i] = ask(&cache, &source, i, NULL);
  for (uint32_t i = 0; i < MANY; i++) assert_ptr_equal(ask(&cache, &source, i, NULL), packs[i]);
  assert_int_equal(cache.made, MANY);
  pack_cache_deinit(&cache);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(many_askers_pack_once),
      cmocka_unit_test(what_differs_is_another_pack),
      cmocka_unit_test(many_packs_are_found_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
