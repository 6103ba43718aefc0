// SPDX-License-Identifier: Apache-2.0
// merge_sort: order, stability, every small size, and that a watch ends it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// after the standard headers
#include <cmocka.h>

#include "base/pool.h"
#include "base/sort.h"

typedef struct item {
  int key;
  size_t place;
} item;

enum { MOST = 1 << 17 };
static item items[MOST], scratch[MOST];
static size_t compared;

static int by_key(const void *a, const void *b, void *context) {
  ++*(size_t *)context;
  return ((const item *)a)->key - ((const item *)b)->key;
}

static void fill(size_t n, int keys) {
  for (size_t i = 0; i < n; i++) items[i] = (item){(int)(i * 2654435761u >> 8) % keys, i};
}

static void sorts_every_size_and_keeps_equal_items_in_place(void **state) {
  for (size_t n = 0; n < 300; n++) {
    fill(n, 17);
    merge_sort(items, scratch, n, sizeof *items, by_key, &compared);
    for (size_t i = 1; i < n; i++)
      assert_true(items[i - 1].key < items[i].key ||
                  (items[i - 1].key == items[i].key && items[i - 1].place < items[i].place));
  }
}

static void a_watch_ends_it(void **state) {
  fill(MOST, 1000);
  compared = 0;
  pool_watch watch = {.deadline_ns = 1};
  pool_watch *former = pool_watch_set(&watch);
  merge_sort(items, scratch, MOST, sizeof *items, by_key, &compared);
  pool_watch_set(former);
  assert_true(watch.stopped);
  assert_true(compared < MOST);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sorts_every_size_and_keeps_equal_items_in_place),
      cmocka_unit_test(a_watch_ends_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
