// SPDX-License-Identifier: Apache-2.0
// What is known about computing a model's requests together: whether that is allowed, and what a number of rows costs.
// Allowed is it where each row's result depends on that row alone. The plan for a batch of 97 has to say so: every
// value that is computed keeps its rows apart; then runs must give the bits of single rows, whatever the neighbours and
// the place. Only powers of two are used: each has a plan that stays, a cost that is known, and was checked.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sardonyx/sardonyx.h"

enum { BATCH_SIZES = 7, BATCH_ROWS = 1 << (BATCH_SIZES - 1) };

typedef struct batching {
  uint64_t limit_ns;  // for one batch
  unsigned sizes;
  atomic_uint_fast64_t cost_ns[BATCH_SIZES];  // of 1, 2, 4, ... rows: moving averages
} batching;

// NULL: it is not allowed or does not pay, and `why` says so.
batching *batching_learn(const char *path, sdx_session *session, uint64_t limit_ns, size_t most_rows, char *why,
                         size_t why_size);
size_t batching_most(const batching *b);  // rows at once
// Of so many rows that wait, how many should go together.
size_t batching_rows(batching *b, size_t waiting);
void batching_note(batching *b, size_t rows, uint64_t ns);
uint64_t batching_cost(const batching *b);  // of the largest batch that is in use; 0 for NULL
