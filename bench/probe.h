// SPDX-License-Identifier: Apache-2.0
// What the processor can do at this very moment: short register-only loops whose rate is the yardstick
// for a kernel timed right before or after. Shared hosts change their clock from one millisecond to
// the next, so only ratios of neighbouring slices mean anything.
#pragma once

#include <stdbool.h>

double clock_seconds(void);
double clock_thread_seconds(void);  // in which this thread ran: what else runs on its processor does not count

// Multiply-adds of one core, GF/s over about `seconds`.
double probe_fma(double seconds);  // the widest vectors that are enabled (SARDONYX_CPU lowers them)
bool probe_has_amx(void);
double probe_amx(double seconds);  // bf16 tile products

// Sorts the values; quantile 0.5 is the median.
double quantile(double *values, int count, double q);
