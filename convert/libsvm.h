// SPDX-License-Identifier: Apache-2.0
// What is read out of a LibSVM model: libsvm_text.c reads it, libsvm.c makes the graph. Other formats hold such models,
// too (coreml_svm.c).
#pragma once

#include "convert/format.h"

typedef enum svm_type { SVM_C_SVC, SVM_NU_SVC, SVM_ONE_CLASS, SVM_EPSILON_SVR, SVM_NU_SVR } svm_type;
typedef enum svm_kernel { SVM_LINEAR, SVM_POLYNOMIAL, SVM_RBF, SVM_SIGMOID, SVM_PRECOMPUTED } svm_kernel;

typedef struct svm_numbers {
  double *at;
  size_t count;
} svm_numbers;

typedef struct libsvm {
  conversion *c;
  int type, kernel;  // svm_type, svm_kernel; -1: not told
  int64_t degree, classes, vectors;
  double gamma, coef0;
  svm_numbers rho, labels, per_class, prob_a, prob_b, marks;
  double *coefficients;  // [vectors, classes - 1]
  // Columns that some vector has a value in, ascending, and those values: [vectors, columns]. Of a precomputed kernel
  // there are none, but the column of the kernel's value for each vector.
  int64_t *columns;
  size_t column_count, width;  // width: one more than the last column
  double *values;
} libsvm;

sdx_status libsvm_read(libsvm *s);
// Of rows x [N, width] of doubles, rows: N as [1]. Decisions are [N, pairs of classes], or [N, 1].
sdx_ref libsvm_decide(libsvm *s, sdx_ref x, sdx_ref rows);
sdx_ref libsvm_vote(libsvm *s, sdx_ref decisions);  // the label with most votes: int64 [N]
sdx_ref libsvm_probabilities(libsvm *s, sdx_ref decisions, sdx_ref rows);
static inline size_t libsvm_rows(const libsvm *s) { return s->classes > 2 ? (size_t)s->classes - 1 : 1; }
