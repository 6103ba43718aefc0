// SPDX-License-Identifier: Apache-2.0
// Choosing a variant; see kernel.h.
#include <string.h>

#include "kernels/kernel_table.h"

size_t kernel_count(void) { return kernel_row_count; }

const kernel_entry *kernel_at(size_t index) { return &kernel_rows[index]; }

// The rows of a family lie side by side, families in the order of their names.
const kernel_entry *kernel_best_of(const char *family, bool (*fits)(const void *kernel)) {
  const kernel_entry *best = NULL;
  size_t first = 0, end = kernel_row_count;
  while (first < end) {
    size_t middle = first + (end - first) / 2;
    if (strcmp(kernel_rows[middle].family, family) < 0) first = middle + 1;
    else end = middle;
  }
  for (const kernel_entry *k = &kernel_rows[first]; k->family && strcmp(k->family, family) == 0; k++) {
    if (!cpu_isa_enabled(k->isa) || (fits && !fits(k->kernel))) continue;
    if (!best || k->isa > best->isa || (k->isa == best->isa && best->automatic)) best = k;
  }
  return best;
}

const kernel_entry *kernel_best(const char *family) { return kernel_best_of(family, NULL); }
