// SPDX-License-Identifier: Apache-2.0
// See random.h.
#include "ops/parts/random.h"

#include <stdatomic.h>

#include "base/host.h"

uint64_t random_new_seed(void) {
  static atomic_ullong calls;
  return random_mix(clock_wall_ns() ^ random_mix(atomic_fetch_add(&calls, 1)));
}
