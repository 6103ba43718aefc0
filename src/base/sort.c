// SPDX-License-Identifier: Apache-2.0
// Merge sort from the bottom up; see sort.h. Runs of doubled length are merged from one array into the other and back.
#include "base/sort.h"

#include <stdbool.h>
#include <string.h>

#include "base/pool.h"

enum { BETWEEN_LOOKS = 1 << 14 };  // items merged before the watch is asked again

typedef struct sort {
  size_t width, merged;
  int (*compare)(const void *a, const void *b, void *context);
  void *context;
} sort;

// Merges [left, right) and [right, end) of bytes into `to`; false: stopped.
static bool merge(sort *s, char *to, const char *left, const char *right, const char *end) {
  const char *a = left, *b = right;
  while (a < right && b < end) {
    if (++s->merged % BETWEEN_LOOKS == 0 && pool_stopped()) return false;
    const char **least = s->compare(a, b, s->context) <= 0 ? &a : &b;
    memcpy(to, *least, s->width);
    *least += s->width;
    to += s->width;
  }
  memcpy(to, a, (size_t)(right - a));
  memcpy(to + (right - a), b, (size_t)(end - b));
  return true;
}

void merge_sort(void *items, void *scratch, size_t count, size_t width,
                int (*compare)(const void *a, const void *b, void *context), void *context) {
  sort s = {.width = width, .compare = compare, .context = context};
  char *from = items, *to = scratch;
  size_t all = count * width;
  for (size_t run = width; run < all; run *= 2) {
    for (size_t at = 0; at < all; at += 2 * run) {
      size_t right = all - at > run ? at + run : all, end = all - right > run ? right + run : all;
      if (!merge(&s, to + at, from + at, from + right, from + end)) return;
    }
    char *other = from;
    from = to;
    to = other;
  }
  if (from != items) memcpy(items, from, all);
}
