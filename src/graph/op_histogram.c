// SPDX-License-Identifier: Apache-2.0
// A list in the order of first additions with an index by name; see op_histogram.h.
#include "graph/op_histogram.h"

#include <stdlib.h>

#include "base/mem.h"

void op_histogram_init(op_histogram *c, arena *memory) {
  *c = (op_histogram){.memory = memory};
  str_map_init(&c->index, memory);
}

bool op_histogram_add(op_histogram *c, str op_type) {
  uint32_t at;
  if (!str_map_find(&c->index, op_type, &at)) {
    if (c->count == c->capacity) {
      uint32_t capacity = c->capacity ? 2 * c->capacity : 8;
      op_bin *more = arena_array(c->memory, capacity, sizeof *more);
      if (!more) return false;
      if (c->count) memcpy(more, c->at, c->count * sizeof *more);
      c->at = more;
      c->capacity = capacity;
    }
    at = c->count;
    if (!str_map_put(&c->index, op_type, at)) return false;
    c->at[c->count++] = (op_bin){.op_type = op_type, .first = at};
  }
  c->at[at].count++;
  return true;
}

static int more_first(const void *a, const void *b) {
  const op_bin *x = a, *y = b;
  if (x->count != y->count) return x->count < y->count ? 1 : -1;
  return x->first < y->first ? -1 : x->first > y->first;
}

void op_histogram_sort(op_histogram *c) {
  if (c->count > 1) qsort(c->at, c->count, sizeof *c->at, more_first);
}
