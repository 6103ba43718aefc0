// SPDX-License-Identifier: Apache-2.0
// What the classifiers and regressors of ai.onnx.ml share: class labels, rows of features as double,
// the transforms of scores, and the walk over rows.
#pragma once

#include "ops/record.h"

typedef struct ml_labels {
  const int64_t *ints;
  const str *strings;  // one of the two
  size_t count;
} ml_labels;
// At most one of the two attributes may be given; neither: count 0.
sdx_status ml_labels_read(op_params_context *c, const char *ints, const char *strings, ml_labels *out);
static inline sdx_dtype ml_labels_dtype(const ml_labels *l) { return l->strings ? SDX_STRING : SDX_INT64; }
void ml_labels_store(const ml_labels *l, size_t label, tensor *y, size_t row);

typedef enum ml_transform { ML_NONE, ML_SOFTMAX, ML_LOGISTIC, ML_SOFTMAX_ZERO, ML_PROBIT } ml_transform;
sdx_status ml_transform_read(op_params_context *c, ml_transform *out);
void ml_transform_apply(ml_transform t, double *scores, size_t count);
// Two scores of a model with one: its complement and itself, or both signs where the transform wants them.
void ml_second_class(ml_transform t, bool complement, double score, double *two);

// X as rows: rank 1 is one row, rank 2 is [rows, columns].
static inline size_t ml_rows(const tensor *x) { return x->rank == 2 ? (size_t)x->dims[0] : 1; }
static inline size_t ml_columns(const tensor *x) { return (size_t)x->dims[x->rank - 1]; }
sdx_status ml_infer_rows(op_step *c, size_t input, int64_t *rows, int64_t *columns);  // -1 where unknown
void ml_row(const tensor *x, size_t row, double *to);

// A model at work: a row of features in, a label (classifiers) and scores out.
typedef struct ml_work {
  const void *params;
  const tensor *x;
  tensor *labels, *scores;  // NULL: not wanted, or the model has none
  double *scratch;          // `each` doubles for each thread
  size_t each;
} ml_work;
// Scratch of a + b doubles for each thread.
sdx_status ml_prepare(op_step *c, size_t a, size_t b);
// Runs `rows` over the rows of input 0, its context an ml_work; the first output are labels if it classifies.
sdx_status ml_compute(op_step *c, bool classifies, size_t each, size_t grain,
                      void (*rows)(void *context, size_t begin, size_t end, size_t worker));
size_t ml_largest(const double *scores, size_t count);  // index of the first of the largest
