// SPDX-License-Identifier: Apache-2.0
// Work that must not hold up a request: parcels of bytes that a thread of its own delivers. What waits is bounded: what
// comes beyond is dropped and counted. A delivery that fails is tried again after pauses that double, then given up.
// With nothing to deliver the thread sleeps.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct courier courier;

typedef enum delivery { DELIVERED, DELIVER_AGAIN, DELIVER_NEVER } delivery;

typedef struct courier_config {
  const char *what;    // for the log: "spans"
  size_t most_bytes;   // that may wait
  size_t batch_bytes;  // parcels are put together up to this size; 0: each goes alone
  unsigned linger_ms;  // how long the first one waits for company
  unsigned attempts;   // before it is given up
  // On the thread of the courier; `last`: there is no time for more. What went wrong is put into `why`.
  delivery (*deliver)(void *context, const char *bytes, size_t size, bool last, char *why, size_t why_size);
  void *context;
} courier_config;

typedef struct courier_counts {
  uint64_t delivered, dropped, failed;  // parcels: taken, refused for want of room, given up
} courier_counts;

courier *courier_start(const courier_config *config);          // NULL: memory or threads are exhausted
bool courier_put(courier *c, const void *bytes, size_t size);  // any thread, never blocks; false: dropped
courier_counts courier_count(courier *c);
void courier_stop(courier *c);  // tries once more what waits; NULL is accepted
