// SPDX-License-Identifier: Apache-2.0
// See ml.h. SOFTMAX_ZERO is a softmax in which scores of exactly (nearly) 0 keep weight 0; PROBIT is the
// inverse of the normal distribution by Winitzki's formula, as the ONNX reference has it.
#include "ops/parts/ml.h"

#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "tensor/convert.h"

sdx_status ml_labels_read(op_params_context *c, const char *ints, const char *strings, ml_labels *out) {
  size_t n = 0, m = 0;
  *out = (ml_labels){.ints = params_ints(c, ints, &n), .strings = params_strings(c, strings, &m)};
  if (n && m) return params_fail(c, ints, "and '%s' are both given, one is expected", strings);
  out->count = n + m;
  if (!m) out->strings = NULL;
  return SDX_OK;
}

void ml_labels_store(const ml_labels *l, size_t label, tensor *y, size_t row) {
  if (y->dtype == SDX_STRING) ((str *)y->data)[row] = l->strings[label];
  else ((int64_t *)y->data)[row] = l->ints ? l->ints[label] : (int64_t)label;
}

sdx_status ml_transform_read(op_params_context *c, ml_transform *out) {
  static const char *const names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  str s = params_string(c, "post_transform");
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!str_is(s, names[i])) continue;
    *out = (ml_transform)i;
    return SDX_OK;
  }
  return params_fail(c, "post_transform", "is '%.*s', expected NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT",
                     STR_ARG(s));
}

// Of x and -x, which have the exponential in common.
static void logistic_of_both(double x, double *of_x, double *of_minus) {
  double q = 1 / (1 + exp(-fabs(x)));
  *of_x = x < 0 ? 1 - q : q, *of_minus = x > 0 ? 1 - q : q;
}

static double logistic(double x) {
  double minus;
  logistic_of_both(x, &x, &minus);
  return x;
}

static double probit(double p) {
  double x = 2 * p - 1, sign = x < 0 ? -1 : 1, log_term = log((1 - x) * (1 + x));
  double v = 2 / (3.14159265358979323846 * 0.147) + 0.5 * log_term;
  return 1.41421356 * sign * sqrt(sqrt(v * v - log_term / 0.147) - v);
}

void ml_transform_apply(ml_transform t, double *s, size_t n) {
  double most = n ? s[0] : 0, sum = 0;
  if (t == ML_NONE) return;
  if (t == ML_LOGISTIC && n == 2 && s[0] == -s[1]) {
    logistic_of_both(s[0], &s[0], &s[1]);
    return;
  }
  for (size_t i = 0; i < n; i++) most = s[i] > most ? s[i] : most;
  for (size_t i = 0; i < n; i++) {
    if (t == ML_LOGISTIC) s[i] = logistic(s[i]);
    else if (t == ML_PROBIT) s[i] = probit(s[i]);
    else if (t == ML_SOFTMAX || fabs(s[i]) > 1e-7) s[i] = exp(s[i] - most);
    else s[i] *= exp(-most);
    sum += s[i];
  }
  for (size_t i = 0; i < n && (t == ML_SOFTMAX || t == ML_SOFTMAX_ZERO); i++) s[i] = sum == 0 ? 0.5 : s[i] / sum;
}

void ml_second_class(ml_transform t, bool complement, double score, double *two) {
  two[0] = t == ML_LOGISTIC || !complement ? -score : 1 - score;
  two[1] = score;
  if (t == ML_LOGISTIC || t == ML_PROBIT) ml_transform_apply(t, two, 2);
}

sdx_status ml_infer_rows(op_step *c, size_t input, int64_t *rows, int64_t *columns) {
  SDX_TRY(infer_rank(c, input, 1, 2));
  int rank = infer_rank_of(c, input);
  *rows = rank == 2 ? c->in_types[input]->dims[0] : rank == 1 ? 1 : DIM_UNKNOWN;
  *columns = rank > 0 ? c->in_types[input]->dims[rank - 1] : DIM_UNKNOWN;
  return SDX_OK;
}

void ml_row(const tensor *x, size_t row, double *to) {
  size_t n = ml_columns(x);
  convert_to_doubles((sdx_dtype)x->dtype, x->data, row * n, n, to);
}

sdx_status ml_prepare(op_step *c, size_t a, size_t b) {
  if (!size_add(a, b, &c->scratch_bytes) ||
      !size_mul(c->scratch_bytes, (c->threads ? c->threads : 1) * sizeof(double), &c->scratch_bytes))
    return error_no_memory(c->err, SIZE_MAX);
  return SDX_OK;
}

sdx_status ml_compute(op_step *c, bool classifies, size_t each, size_t grain,
                      void (*rows)(void *context, size_t begin, size_t end, size_t worker)) {
  ml_work w = {
      .params = c->params, .x = step_in(c, 0), .scores = step_out(c, classifies), .scratch = c->scratch, .each = each};
  if (classifies) w.labels = step_out(c, 0);
  call_parallel(c, ml_rows(w.x), grain, rows, &w);
  return call_check(c);
}

size_t ml_largest(const double *scores, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; i++) best = scores[i] > scores[best] ? i : best;
  return best;
}
