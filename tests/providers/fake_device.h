// SPDX-License-Identifier: Apache-2.0
// What the fake device counts; found in the library by the name fake_device_counts.
#pragma once

#include <stddef.h>

typedef struct fake_counts {
  size_t copies_in, copies_out, runs;
  size_t waits, synchronisations;
  size_t buffers, kernels, events;  // alive
  size_t fail_run;                  // set by tests: the run with this number fails; 0 = none
} fake_counts;
