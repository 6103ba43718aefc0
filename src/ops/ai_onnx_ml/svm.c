// SPDX-License-Identifier: Apache-2.0
// SVMClassifier and SVMRegressor.
//
//   kernels     LINEAR x.v; POLY (g x.v + c)^d; RBF exp(-g |x - v|^2); SIGMOID tanh(g x.v + c)
//   regressor   sum of coefficients * kernel + rho (or a plain linear model without support vectors);
//               one_class gives the sign
//   classifier  one decision for each pair of classes, which vote; with prob_a and prob_b the decisions become
//               pairwise probabilities that are coupled (Wu, Lin and Weng 2004, as libsvm does). Without
//               support vectors each class has a linear score.
//
// Two labels and one score give two columns: [-s, s], or both through LOGISTIC. Sums are in double.
#include <math.h>

#include "base/size.h"
#include "ops/infer.h"
#include "ops/parts/ml.h"

typedef enum kernel { LINEAR, POLY, RBF, SIGMOID } kernel;

typedef struct svm_params {
  kernel kernel;
  double gamma, coef0, degree;
  const float *coefficients, *vectors, *rho, *prob_a, *prob_b;
  const int64_t *per_class;  // vectors of each class
  size_t coefficient_count, vector_count, features, rhos, classes;
  size_t pairs, columns;  // decisions; columns of Z
  bool has_vectors, has_probabilities, one_class, all_positive;
  ml_transform transform;
  ml_labels labels;
} svm_params;

// ---- params ---------------------------------------------------------------------------------------

static sdx_status read_common(op_params_context *c, svm_params *p) {
  static const char *const names[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
  str s = params_string(c, "kernel_type");
  size_t k = 0, n = 0;
  while (k < 4 && !str_is(s, names[k])) k++;
  if (k == 4) return params_fail(c, "kernel_type", "is '%.*s', expected LINEAR, POLY, RBF or SIGMOID", STR_ARG(s));
  p->kernel = (kernel)k;
  const float *numbers = params_floats(c, "kernel_params", &n);
  if (n && n != 3) return params_fail(c, "kernel_params", "has %zu entries, expected 3", n);
  if (n) p->gamma = (double)numbers[0], p->coef0 = (double)numbers[1], p->degree = trunc((double)numbers[2]);
  p->coefficients = params_floats(c, "coefficients", &p->coefficient_count);
  p->rho = params_floats(c, "rho", &p->rhos);
  if (!p->coefficient_count) return params_fail(c, "coefficients", "is missing or empty");
  if (!p->rhos) return params_fail(c, "rho", "is missing or empty");
  p->all_positive = true;
  for (size_t i = 0; i < p->coefficient_count; i++) p->all_positive &= p->coefficients[i] >= 0;
  return ml_transform_read(c, &p->transform);
}

static sdx_status read_vectors(op_params_context *c, svm_params *p, size_t count) {
  size_t n = 0;
  p->vectors = params_floats(c, "support_vectors", &n);
  p->vector_count = count, p->has_vectors = count > 0;
  if (count && (n == 0 || n % count))
    return params_fail(c, "support_vectors", "has %zu entries, expected a multiple of the %zu vectors", n, count);
  p->features = count ? n / count : 0;
  return SDX_OK;
}

static sdx_status svm_classifier_read(op_params_context *c, void *params) {
  svm_params *p = params;
  size_t groups = 0, a = 0, b = 0, total = 0;
  SDX_TRY(read_common(c, p));
  SDX_TRY(ml_labels_read(c, "classlabels_ints", "classlabels_strings", &p->labels));
  if (!p->labels.count)
    return params_fail(c, "classlabels_ints", "and 'classlabels_strings' are both missing or empty");
  if (p->labels.count > 1 << 16)
    return params_fail(c, "classlabels_ints", "names %zu classes, at most 2^16 are supported", p->labels.count);
  p->classes = p->labels.count;
  p->per_class = params_ints(c, "vectors_per_class", &groups);
  for (size_t i = 0; i < groups; i++) {
    if (p->per_class[i] < 0 || p->per_class[i] > INT32_MAX)
      return params_fail(c, "vectors_per_class", "[%zu] is %lld, expected 0 to 2^31 - 1", i,
                         (long long)p->per_class[i]);
    if (!size_add(total, (size_t)p->per_class[i], &total)) return params_fail(c, "vectors_per_class", "overflows");
  }
  if (groups && groups != p->classes)
    return params_fail(c, "vectors_per_class", "has %zu entries, but there are %zu classes", groups, p->classes);
  SDX_TRY(read_vectors(c, p, total));
  p->prob_a = params_floats(c, "prob_a", &a), p->prob_b = params_floats(c, "prob_b", &b);
  if (a != b) return params_fail(c, "prob_b", "has %zu entries, but 'prob_a' has %zu", b, a);
  if (p->has_vectors) {
    p->pairs = p->classes * (p->classes - 1) / 2;
    if (p->classes < 2) return params_fail(c, "vectors_per_class", "needs at least two classes");
    if (p->coefficient_count != total * (p->classes - 1))
      return params_fail(c, "coefficients", "has %zu entries, expected %zu", p->coefficient_count,
                         total * (p->classes - 1));
    if (p->rhos != p->pairs) return params_fail(c, "rho", "has %zu entries, expected %zu", p->rhos, p->pairs);
    if (a && a != p->pairs) return params_fail(c, "prob_a", "has %zu entries, expected %zu", a, p->pairs);
  } else if (p->coefficient_count % p->classes) {
    return params_fail(c, "coefficients", "has %zu entries, expected a multiple of the %zu classes",
                       p->coefficient_count, p->classes);
  }
  p->has_probabilities = a && p->has_vectors;
  if (!p->has_vectors) p->features = p->coefficient_count / p->classes;
  size_t scores = p->has_probabilities || !p->has_vectors ? p->classes : p->pairs;
  p->columns = scores == 1 && p->rhos == 1 && p->classes == 2 ? 2 : scores;
  return SDX_OK;
}

static sdx_status svm_regressor_read(op_params_context *c, void *params) {
  svm_params *p = params;
  int64_t count = params_int(c, "n_supports");
  SDX_TRY(read_common(c, p));
  if (count < 0 || count > INT32_MAX)
    return params_fail(c, "n_supports", "is %lld, expected 0 to 2^31 - 1", (long long)count);
  SDX_TRY(read_vectors(c, p, (size_t)count));
  if (count && p->coefficient_count != (size_t)count)
    return params_fail(c, "coefficients", "has %zu entries, expected %lld", p->coefficient_count, (long long)count);
  if (!count) p->features = p->coefficient_count, p->kernel = LINEAR;
  p->one_class = params_int(c, "one_class") != 0;
  p->columns = 1;
  return SDX_OK;
}

// ---- infer and prepare ----------------------------------------------------------------------------

static sdx_status svm_infer(op_step *c) {
  const svm_params *p = c->params;
  int64_t rows, columns;
  SDX_TRY(ml_infer_rows(c, 0, &rows, &columns));
  if (columns >= 0 && (size_t)columns != p->features)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld features, expected %zu", (long long)columns,
                        p->features);
  if (p->labels.count) SDX_TRY(infer_output(c, 0, ml_labels_dtype(&p->labels), 1, &rows));
  return infer_output(c, p->labels.count != 0, SDX_FLOAT, 2, (int64_t[]){rows, (int64_t)p->columns});
}

// For each thread: a row, kernel values, decisions, votes and scores, and two square matrices for the coupling.
static bool room(const svm_params *p, size_t *each) {
  size_t square = 0, n = 0;
  return size_mul(p->classes, p->classes, &square) && size_mul(square, p->has_probabilities ? 2 : 0, &square) &&
         size_add(p->features, p->vector_count, &n) && size_add(n, p->pairs, &n) &&
         size_add(n, 4 * p->classes + 4, &n) && size_add(n, square, each);
}

static sdx_status svm_prepare(op_step *c) {
  size_t each = 0;
  return room(c->params, &each) ? ml_prepare(c, each, 0) : error_no_memory(c->err, SIZE_MAX);
}

// ---- compute --------------------------------------------------------------------------------------

static double kernel_of(const svm_params *p, const double *x, const float *v) {
  double sum = 0;
  for (size_t i = 0; i < p->features; i++) {
    double d = x[i] - (double)v[i];
    sum += p->kernel == RBF ? d * d : x[i] * (double)v[i];
  }
  switch (p->kernel) {
    case RBF:
      return exp(-p->gamma * sum);
    case POLY:
      return pow(p->gamma * sum + p->coef0, p->degree);
    case SIGMOID:
      return tanh(p->gamma * sum + p->coef0);
    default:
      return sum;
  }
}

// Decisions of all pairs, votes of all classes.
static void decide(const svm_params *p, const double *kernels, double *decisions, double *votes) {
  size_t pair = 0, at_i = 0;
  for (size_t i = 0; i < p->classes; i++) votes[i] = 0;
  for (size_t i = 0; i < p->classes; at_i += (size_t)p->per_class[i], i++) {
    size_t at_j = at_i + (size_t)p->per_class[i];
    for (size_t j = i + 1; j < p->classes; at_j += (size_t)p->per_class[j], j++, pair++) {
      double sum = (double)p->rho[pair];
      for (size_t k = at_i; k < at_i + (size_t)p->per_class[i]; k++)
        sum += (double)p->coefficients[(j - 1) * p->vector_count + k] * kernels[k];
      for (size_t k = at_j; k < at_j + (size_t)p->per_class[j]; k++)
        sum += (double)p->coefficients[i * p->vector_count + k] * kernels[k];
      decisions[pair] = sum;
      votes[sum > 0 ? i : j] += 1;
    }
  }
}

// Pairwise probabilities r[i][j] -> probabilities of the classes, by the fixed-point iteration of libsvm.
static void couple(size_t k, const double *r, double *q, double *qp, double *prob) {
  for (size_t t = 0; t < k; t++) {
    prob[t] = 1 / (double)k;
    q[t * k + t] = 0;
    for (size_t j = 0; j < k; j++) {
      if (j == t) continue;
      q[t * k + t] += r[j * k + t] * r[j * k + t];
      q[t * k + j] = -r[j * k + t] * r[t * k + j];
    }
  }
  for (size_t round = 0; round < (k > 100 ? k : 100); round++) {
    double total = 0, worst = 0;
    for (size_t t = 0; t < k; t++) {
      qp[t] = 0;
      for (size_t j = 0; j < k; j++) qp[t] += q[t * k + j] * prob[j];
      total += prob[t] * qp[t];
    }
    for (size_t t = 0; t < k; t++) worst = fmax(worst, fabs(qp[t] - total));
    if (worst < 0.005 / (double)k) return;
    for (size_t t = 0; t < k; t++) {
      double diff = (total - qp[t]) / q[t * k + t];
      prob[t] += diff;
      total = (total + diff * (diff * q[t * k + t] + 2 * qp[t])) / (1 + diff) / (1 + diff);
      for (size_t j = 0; j < k; j++) {
        qp[j] = (qp[j] + diff * q[t * k + j]) / (1 + diff);
        prob[j] /= 1 + diff;
      }
    }
  }
}

static void probabilities(const svm_params *p, const double *decisions, double *square, double *qp, double *prob) {
  size_t k = p->classes, pair = 0;
  double *r = square;
  for (size_t i = 0; i < k; i++)
    for (size_t j = i + 1; j < k; j++, pair++) {
      double v = decisions[pair] * (double)p->prob_a[pair] + (double)p->prob_b[pair];
      double one = v >= 0 ? exp(-v) / (1 + exp(-v)) : 1 / (1 + exp(v));
      one = fmin(fmax(one, 1e-7), 1 - 1e-7);
      r[i * k + j] = one, r[j * k + i] = 1 - one;
    }
  couple(k, r, square + k * k, qp, prob);
}

static void classify_range(void *context, size_t begin, size_t end, size_t worker) {
  const ml_work *w = context;
  const svm_params *p = w->params;
  double *x = w->scratch + worker * w->each, *kernels = x + p->features, *decisions = kernels + p->vector_count;
  double *votes = decisions + p->pairs, *scores = votes + p->classes, *qp = scores + p->classes + 2,
         *square = qp + p->classes;
  for (size_t row = begin; row < end; row++) {
    const double *shown = scores, *judged = scores;  // what Z shows, what names the class
    size_t count = p->classes;
    ml_row(w->x, row, x);
    if (!p->has_vectors) {
      for (size_t i = 0; i < p->classes; i++) {
        scores[i] = (double)p->rho[0];
        for (size_t k = 0; k < p->features; k++) scores[i] += x[k] * (double)p->coefficients[i * p->features + k];
      }
    } else {
      for (size_t k = 0; k < p->vector_count; k++) kernels[k] = kernel_of(p, x, p->vectors + k * p->features);
      decide(p, kernels, decisions, votes);
      judged = votes;
      if (p->has_probabilities) probabilities(p, decisions, square, qp, scores);
      else shown = decisions, count = p->pairs;
    }
    size_t best = ml_largest(judged, p->classes);
    // Two classes, one decision, no probabilities, no negative weight: the votes are compared with one half.
    if (p->rhos == 1 && p->classes == 2 && !p->has_probabilities && p->all_positive && judged[best] >= 0.5) best = 1;
    if (w->labels) ml_labels_store(&p->labels, best, w->labels, row);
    if (!w->scores) continue;
    double two[2];
    double *out = (double *)shown;
    if (count == 1 && p->columns == 2) {
      ml_second_class(p->transform, false, shown[0], two);
      if (p->transform == ML_SOFTMAX || p->transform == ML_SOFTMAX_ZERO) ml_transform_apply(p->transform, two, 2);
      out = two;
    } else if (count > 1) {
      ml_transform_apply(p->transform, out, count);
    }
    for (size_t i = 0; i < p->columns; i++) ((float *)w->scores->data)[row * p->columns + i] = (float)out[i];
  }
}

static void regress_range(void *context, size_t begin, size_t end, size_t worker) {
  const ml_work *w = context;
  const svm_params *p = w->params;
  double *x = w->scratch + worker * w->each;
  for (size_t row = begin; row < end; row++) {
    ml_row(w->x, row, x);
    double sum = p->has_vectors ? 0 : kernel_of(p, x, p->coefficients);
    for (size_t k = 0; k < p->vector_count; k++)
      sum += (double)p->coefficients[k] * kernel_of(p, x, p->vectors + k * p->features);
    sum += (double)p->rho[0];
    ((float *)w->scores->data)[row] = p->one_class ? (sum > 0 ? 1 : -1) : (float)sum;
  }
}

static sdx_status svm_compute(op_step *c) {
  const svm_params *p = c->params;
  bool classifies = p->labels.count != 0;
  size_t columns = ml_columns(step_in(c, 0)), each = 0;
  if (columns != p->features)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %zu features, expected %zu", columns, p->features);
  room(p, &each);
  return ml_compute(c, classifies, each, 1 + 16384 / (p->features * (p->vector_count + p->classes) + 1),
                    classifies ? classify_range : regress_range);
}

SDX_CASES = {
    "X=float[3,2] coefficients=0.5,-0.3,0.2 support_vectors=1,2,3,4,5,6 n_supports=3 rho=0.1 kernel_type=RBF "
    "kernel_params=0.5,0,0",
    NULL};

static const char *const svmclassifier_cases[] = {
    "X=float[3,2] classlabels_ints=0,1,2 coefficients=1,-0.5,0.25,0.75,-1,0.5 kernel_type=RBF kernel_params=0.4,0,3 "
    "rho=0.1,-0.2,0.3 support_vectors=1,2,0.5,-1,2,0 vectors_per_class=1,1,1",
    "X=float[4,2] classlabels_strings=no,yes coefficients=0.5,-0.75 rho=0.1 support_vectors=1,2,-1,0.5 "
    "vectors_per_class=1,1",
    NULL};

SDX_OP_ML(SVMClassifier) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T1",
    .outputs = "Y:T2 Z:float",
    .types = "T1=float,double,int32,int64;T2=int64,string",
    .attrs =
        "classlabels_ints:ints classlabels_strings:strings coefficients:floats kernel_params:floats "
        "kernel_type:string=LINEAR post_transform:string=NONE prob_a:floats prob_b:floats rho:floats "
        "support_vectors:floats vectors_per_class:ints",
    .params_size = sizeof(svm_params),
    .params = svm_classifier_read,
    .infer = svm_infer,
    .prepare = svm_prepare,
    .compute = svm_compute,
    .cases = svmclassifier_cases,
};

SDX_OP_ML(SVMRegressor) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T",
    .outputs = "Y:float",
    .types = "T=float,double,int32,int64",
    .attrs =
        "coefficients:floats kernel_params:floats kernel_type:string=LINEAR n_supports:int=0 one_class:int=0 "
        "post_transform:string=NONE rho:floats support_vectors:floats",
    .params_size = sizeof(svm_params),
    .params = svm_regressor_read,
    .infer = svm_infer,
    .prepare = svm_prepare,
    .compute = svm_compute,
    .cases = cases,
};
