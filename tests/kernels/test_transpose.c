// SPDX-License-Identifier: Apache-2.0
// transpose against the definition: random ranks, sizes, permutations and element widths.
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
// cmocka wants the three above first
#include <cmocka.h>

#include "base/mem.h"
#include "kernels/transpose/transpose.h"
#include "tests/kernels/random.h"

static void check(size_t rank, const int64_t *dims, const int64_t *perm, size_t element, size_t threads) {
  size_t count = 1, strides[TRANSPOSE_MAX_RANK];
  for (size_t i = rank; i-- > 0;) strides[i] = count, count *= (size_t)dims[i];
  uint8_t *x = mem_alloc(NULL, count * element), *y = mem_zalloc(NULL, count * element);
  random_bytes(x, count * element);
  transpose_plan plan;
  transpose_init(&plan, rank, dims, perm, element);
  transpose_run(&plan, x, y, threads);
  for (size_t i = 0; i < count; i++) {
    size_t rest = i, from = 0;
    for (size_t d = rank; d-- > 0;)
      from += rest % (size_t)dims[perm[d]] * strides[perm[d]], rest /= (size_t)dims[perm[d]];
    assert_memory_equal(y + i * element, x + from * element, element);
  }
  mem_free(x), mem_free(y);
}

static void random_permutations(void **state) {
  for (int round = 0; round < 400; round++) {
    size_t rank = random_size(0, 6);
    int64_t dims[6], perm[6];
    for (size_t i = 0; i < rank; i++)
      dims[i] = (int64_t)(random_size(0, 60) ? random_size(1, rank < 4 ? 40 : 6) : 0), perm[i] = (int64_t)i;
    for (size_t i = rank; i-- > 1;) {
      size_t j = random_size(0, i);
      int64_t p = perm[i];
      perm[i] = perm[j], perm[j] = p;
    }
    check(rank, dims, perm, (size_t)1 << random_size(0, 4), random_size(1, 3));
  }
}

static void image_layouts(void **state) {
  check(4, (int64_t[]){2, 3, 65, 130}, (int64_t[]){0, 2, 3, 1}, 4, 2);
  check(4, (int64_t[]){2, 65, 130, 3}, (int64_t[]){0, 3, 1, 2}, 4, 2);
  check(4, (int64_t[]){1, 64, 33, 47}, (int64_t[]){0, 2, 3, 1}, 1, 3);
  check(4, (int64_t[]){1, 12, 50, 64}, (int64_t[]){0, 2, 1, 3}, 4, 2);
  check(2, (int64_t[]){300, 500}, (int64_t[]){1, 0}, 8, 2);
}

static void high_rank(void **state) {
  int64_t dims[TRANSPOSE_MAX_RANK], perm[TRANSPOSE_MAX_RANK];
  for (int i = 0; i < TRANSPOSE_MAX_RANK; i++) dims[i] = i % 7 == 0 ? 2 : 1, perm[i] = TRANSPOSE_MAX_RANK - 1 - i;
  check(TRANSPOSE_MAX_RANK, dims, perm, 4, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(random_permutations), cmocka_unit_test(image_layouts),
                                     cmocka_unit_test(high_rank)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
