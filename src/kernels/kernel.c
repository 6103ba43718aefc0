// SPDX-License-Identifier: Apache-2.0
// Choosing a variant; see kernel.h.
#include <string.h>

#include "kernels/kernel_table.h"

size_t kernel_count(void) {
  size_t n = 0;
  while (kernel_rows[n].family) n++;
  return n;
}

const kernel_entry *kernel_at(size_t index) { return &kernel_rows[index]; }

const kernel_entry *kernel_best(const char *family) {
  const kernel_entry *best = NULL;
  for (const kernel_entry *k = kernel_rows; k->family; k++) {
    if (strcmp(k->family, family) != 0 || !cpu_isa_enabled(k->isa)) continue;
    if (!best || k->isa > best->isa || (k->isa == best->isa && best->automatic)) best = k;
  }
  return best;
}
