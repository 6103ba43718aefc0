// SPDX-License-Identifier: Apache-2.0
// A stable sort in memory that the caller has charged, which ends early where pool_stopped: the C library's qsort takes
// memory of its own and cannot be stopped.
#pragma once

#include <stddef.h>

// `scratch` has room for all items. Stopped early, the items are in no order, and some may be there twice.
void merge_sort(void *items, void *scratch, size_t count, size_t width,
                int (*compare)(const void *a, const void *b, void *context), void *context);
