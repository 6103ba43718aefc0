// SPDX-License-Identifier: Apache-2.0
// Samples of inputs for calibration and comparison: rows of .npz and .npy files, folders of .pb sets, folders of
// pictures, whose subfolders are classes.
#pragma once

#include "cli/io.h"

typedef struct sample {
  char **words;  // as on a command line, ended by NULL; NULL: a row of `file`
  const named_values *file;
  size_t row;
  int64_t label;  // number of its class; -1: not known
} sample;

typedef struct samples {
  const args *a;
  sample *at;
  size_t count, capacity;
  named_values *files[64];
  size_t file_count;
  char **classes;  // names of subfolders, sorted
  size_t class_count;
} samples;

// Adds what a path holds; false after printing.
bool samples_add(samples *s, const char *path);
// Keeps so many, spread evenly over all.
void samples_limit(samples *s, size_t most);
void samples_free(samples *s);
// Sets the inputs of a run; for quantize_samples. Prints what does not fit.
// The values of a sample, by index of the session: each is the caller's. False after printing.
bool samples_values(const samples *s, size_t index, const sdx_session *session, sdx_value **values);
sdx_status samples_feed(void *context, size_t index, sdx_session *session, sdx_run *run);
