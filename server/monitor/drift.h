// SPDX-License-Identifier: Apache-2.0
// Drift: whether what a model is asked now, and what it answers, still looks like its baseline. Counts of the last
// requests are held against those of the baseline by a test whose false alarms are bounded over all features, windows
// and looks together: less than one in a thousand million requests that come from where the baseline came from (drift.c
// tells how). PSI, KS and the share of missing values say how large a difference is; they decide nothing.
#pragma once

#include "server/monitor/baseline.h"

typedef struct drift drift;

typedef struct drift_reading {
  const char *name;
  bool output, drifted, missing_drifted;
  uint64_t seen;  // values in the window
  double psi, ks, missing, baseline_missing;
  double statistic, threshold;  // of the test of values; above: it drifts
} drift_reading;

enum { DRIFT_WINDOW = 1024 };  // requests
enum { DRIFT_INPUTS = 1, DRIFT_OUTPUTS = 2 };

// Takes the baseline. NULL: memory.
drift *drift_create(baseline *b);
void drift_destroy(drift *d);  // NULL is accepted
// Counts a call. The sides that began or ceased to drift with it.
unsigned drift_note(drift *d, const sdx_session *session, sdx_value *const *inputs, const sdx_value *const *outputs);
size_t drift_features(const drift *d);
void drift_read(drift *d, size_t feature, drift_reading *r);
size_t drift_count(drift *d, unsigned side, const char **worst);  // features of that side that drift
uint64_t drift_requests(drift *d);
