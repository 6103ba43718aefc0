// SPDX-License-Identifier: Apache-2.0
// What the values of a model looked like when it was registered: for each feature how many fell into which bin, and how
// many were missing. A feature is a column of an input or output, or, where there are too many or their number varies,
// a summary of a row; of class scores also the class. A file of JSON beside the model. Read next: drift.h.
#pragma once

#include <stdbool.h>

#include "base/json.h"
#include "base/text.h"
#include "sardonyx/sardonyx.h"

enum {
  BASELINE_BINS = 8,
  BASELINE_COLUMNS = 256,   // of one tensor; more are summarised
  BASELINE_FEATURES = 512,  // of a model
  BASELINE_ROWS = 20000,    // that are kept to find the bins
  BASELINE_BYTES = 4 << 20  // of a file
};

typedef enum baseline_form { BASELINE_BY_COLUMN, BASELINE_BY_SUMMARY } baseline_form;

typedef struct baseline_feature {
  char name[160];
  // Bin k holds what is greater than k cuts; unused ones are infinite. Below the first and above the last one lies what
  // the data did not have.
  float cuts[BASELINE_BINS];
  size_t cut_count;
  // Of words instead: the k-th word's number is bin k, all others are the bin behind them.
  bool words;
  double word[BASELINE_BINS - 1];
  size_t word_count;
  uint64_t counts[BASELINE_BINS], missing, total;  // total: without the missing ones
} baseline_feature;

typedef struct baseline_tensor {
  char name[128];
  bool output, argmax;  // argmax: the last feature is the place of the greatest value of a row
  baseline_form form;
  size_t width;  // values of a row; 0: it varies
  size_t feature_count;
  baseline_feature *features;
} baseline_tensor;

typedef struct baseline {
  size_t tensor_count, feature_count;
  baseline_tensor *tensors;
} baseline;

void baseline_free(baseline *b);   // NULL is accepted
baseline *baseline_read(json *j);  // NULL: j->message, or memory
void baseline_write(const baseline *b, text *o);
char *baseline_text(const baseline *b, size_t *size);  // the same; free() it. NULL: memory

// ---- rows of a tensor as numbers: missing ones are NaN, words are hashes below 2^53 ----
typedef struct baseline_rows {
  const sdx_value *value;
  size_t rows, width;
} baseline_rows;
// False: it is no tensor whose values can be counted.
bool baseline_rows_of(const sdx_value *value, const sdx_io *io, baseline_rows *rows);
double baseline_number(const sdx_value *value, size_t at);
enum { BASELINE_SUMMARY = 4 };  // mean, deviation, least, greatest
void baseline_summary(const baseline_rows *r, size_t row, double to[BASELINE_SUMMARY]);
double baseline_argmax(const baseline_rows *r, size_t row);
size_t baseline_bin(const baseline_feature *f, double value);

// ---- making one ----
typedef struct baseline_maker baseline_maker;
baseline_maker *baseline_begin(const sdx_session *session);
// The values of one run, by index of the session; NULL ones are passed over. False: memory.
bool baseline_add(baseline_maker *m, sdx_value *const *inputs, sdx_value *const *outputs);
baseline *baseline_end(baseline_maker *m);  // NULL: memory, or nothing was there to count
