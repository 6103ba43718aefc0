// SPDX-License-Identifier: Apache-2.0
// LinearClassifier and LinearRegressor: scores = X coefficients' + intercepts, one row of coefficients for
// each class or target, then post_transform. A classifier with one row and two labels is binary: the second
// label wins where the score is positive, and the scores become [1 - s, s] (both signs under LOGISTIC), as
// onnxruntime writes them; the ONNX reference writes [-s, s]. Sums are in double.
#include "kernels/dot_f64/dot_f64.h"
#include "ops/infer.h"
#include "ops/parts/ml.h"

typedef struct linear_params {
  ml_labels labels;  // classifier
  ml_transform transform;
  const float *coefficients, *intercepts;  // intercepts may be NULL
  size_t outputs, columns;                 // rows of coefficients, features
  size_t scores;                           // columns of Z
  bool classifies;
} linear_params;

// ---- params ---------------------------------------------------------------------------------------

static sdx_status read_numbers(op_params_context *c, linear_params *p) {
  size_t n = 0, m = 0;
  p->coefficients = params_floats(c, "coefficients", &n);
  p->intercepts = params_floats(c, "intercepts", &m);
  if (n == 0 || n % p->outputs)
    return params_fail(c, "coefficients", "has %zu entries, expected a multiple of %zu", n, p->outputs);
  if (m == 0) p->intercepts = NULL;
  else if (m != p->outputs) return params_fail(c, "intercepts", "has %zu entries, expected %zu", m, p->outputs);
  p->columns = n / p->outputs;
  return ml_transform_read(c, &p->transform);
}

static sdx_status linear_classifier_read(op_params_context *c, void *params) {
  linear_params *p = params;
  size_t coefficients = 0, intercepts = 0;
  p->classifies = true;
  SDX_TRY(ml_labels_read(c, "classlabels_ints", "classlabels_strings", &p->labels));
  params_floats(c, "coefficients", &coefficients);
  params_floats(c, "intercepts", &intercepts);
  if (p->labels.count == 0)
    return params_fail(c, "classlabels_ints", "and 'classlabels_strings' are both missing or empty");
  p->outputs = p->labels.count == 2 && (intercepts == 1 || coefficients % 2) ? 1 : p->labels.count;
  p->scores = p->labels.count;
  return read_numbers(c, p);
}

static sdx_status linear_regressor_read(op_params_context *c, void *params) {
  linear_params *p = params;
  int64_t targets = params_int(c, "targets");
  if (targets < 1 || targets > INT32_MAX)
    return params_fail(c, "targets", "is %lld, expected at least 1", (long long)targets);
  p->outputs = p->scores = (size_t)targets;
  return read_numbers(c, p);
}

// ---- infer and compute ----------------------------------------------------------------------------

static sdx_status linear_infer(op_step *c) {
  const linear_params *p = c->params;
  int64_t rows, columns;
  SDX_TRY(ml_infer_rows(c, 0, &rows, &columns));
  if (columns >= 0 && (size_t)columns != p->columns)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld columns, expected %zu", (long long)columns,
                        p->columns);
  if (p->classifies) SDX_TRY(infer_output(c, 0, ml_labels_dtype(&p->labels), 1, &rows));
  return infer_output(c, p->classifies, SDX_FLOAT, 2, (int64_t[]){rows, (int64_t)p->scores});
}

static sdx_status linear_prepare(op_step *c) {
  const linear_params *p = c->params;
  return ml_prepare(c, p->columns, p->scores + 2);  // a row of features, a row of scores
}

static void rows_range(void *context, size_t begin, size_t end, size_t worker) {
  const ml_work *w = context;
  const linear_params *p = w->params;
  const dot_f64_kernel *dot = KERNEL_BEST(dot_f64);
  double *x = w->scratch + worker * w->each, *s = x + p->columns;
  for (size_t row = begin; row < end; row++) {
    ml_row(w->x, row, x);
    dot->rows(x, p->coefficients, p->columns, p->outputs, s);
    for (size_t i = 0; p->intercepts && i < p->outputs; i++) s[i] += (double)p->intercepts[i];
    size_t best = 0;
    if (p->classifies && p->outputs == 1 && p->scores == 2) {
      best = s[0] > 0;
      ml_second_class(p->transform, true, s[0], s);
    } else {
      best = ml_largest(s, p->outputs);
      ml_transform_apply(p->transform, s, p->outputs);
    }
    if (w->labels) ml_labels_store(&p->labels, best, w->labels, row);
    for (size_t i = 0; w->scores && i < p->scores; i++) ((float *)w->scores->data)[row * p->scores + i] = (float)s[i];
  }
}

static sdx_status linear_compute(op_step *c) {
  const linear_params *p = c->params;
  size_t columns = ml_columns(step_in(c, 0));
  if (columns != p->columns)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %zu columns, expected %zu", columns, p->columns);
  return ml_compute(c, p->classifies, columns + p->scores + 2, 1 + 16384 / (columns * p->outputs + 1), rows_range);
}

SDX_CASES = {
    "X=float[3,2] coefficients=0.51,-0.3,0.2,0.11,0.37,0.3 intercepts=0.1,0.23,0 classlabels_ints=3,4,7 "
    "post_transform=SOFTMAX",
    "X=float[3,2] coefficients=0.51,-0.3,0.2,0.11 intercepts=0.1,0.23 classlabels_strings=no,yes", NULL};
static const char *const regressor_cases[] = {"X=float[3,2] coefficients=0.5,-0.3,0.2,0.1 intercepts=0.1,0.2 targets=2",
                                              NULL};

SDX_OP_ML(LinearClassifier) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T1",
    .outputs = "Y:T2 Z:float",
    .types = "T1=float,double,int32,int64;T2=int64,string",
    .attrs =
        "classlabels_ints:ints classlabels_strings:strings coefficients:floats! intercepts:floats multi_class:int=0 "
        "post_transform:string=NONE",
    .params_size = sizeof(linear_params),
    .params = linear_classifier_read,
    .infer = linear_infer,
    .prepare = linear_prepare,
    .compute = linear_compute,
    .cases = cases,
};

SDX_OP_ML(LinearRegressor) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T",
    .outputs = "Y:float",
    .types = "T=float,double,int32,int64",
    .attrs = "coefficients:floats intercepts:floats post_transform:string=NONE targets:int=1",
    .params_size = sizeof(linear_params),
    .params = linear_regressor_read,
    .infer = linear_infer,
    .prepare = linear_prepare,
    .compute = linear_compute,
    .cases = regressor_cases,
};
