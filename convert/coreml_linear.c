// SPDX-License-Identifier: Apache-2.0
// Core ML's linear models, for regression and for classes.
#include <math.h>

#include "convert/coreml.h"

// x W^T + offset: [N, rows].
static net_tensor products(coreml *m, const proto *model, const proto *params) {
  net *n = &m->n;
  net_tensor x, y = {0};
  proto row;
  if (!coreml_columns(m, model, &x)) return y;
  size_t rows = proto_count(params, "weights"), offsets, i = 0;
  int64_t columns = x.shape[1];
  const double *offset = proto_doubles(params, "offset", &offsets);
  net_piece *pieces = rows && columns > 0 ? arena_array(m->c->memory, rows, sizeof *pieces) : NULL;
  net_numbers *numbers = pieces ? arena_array(m->c->memory, rows, sizeof *numbers) : NULL;
  if (!numbers || (offsets && offsets != rows)) {
    convert_fail(m->c, SDX_INVALID_MODEL, "weights", NULL, "%zu rows of weights, %zu offsets", rows, offsets);
    return y;
  }
  for (wire at = params->bytes; i < rows && proto_each(params, &at, "weights", &row); i++) {
    numbers[i].coding = NET_F64;
    numbers[i].at = proto_doubles(&row, "value", &numbers[i].count);
    pieces[i] = (net_piece){.from = &numbers[i], .rank = 1, .shape = {columns}, .stride = {1}};
  }
  net_tensor w = net_pieces(n, "weights", SDX_DOUBLE, 2, (int64_t[]){(int64_t)rows, columns}, i, pieces);
  if (!w.ref) return y;
  y = (net_tensor){.dtype = SDX_DOUBLE, .rank = 2, .shape = {x.shape[0], (int64_t)rows}};
  y.ref = net_node(n, "MatMul", NULL, SDX_REFS(x.ref, net_transpose(n, w, (int64_t[]){1, 0}).ref));
  if (!offset) return y;
  return net_binary(n, "Add", "offset", y, net_values(n, "offset", SDX_DOUBLE, 1, (int64_t[]){(int64_t)rows}, offset));
}

// The distribution function of the normal distribution.
static net_tensor probit(net *n, net_tensor x) {
  net_tensor y = net_apply(n, "Erf", "erf", net_cast(n, net_scale(n, "Mul", "scale", x, sqrt(0.5)), SDX_FLOAT));
  return net_scale(n, "Mul", "half", net_scale(n, "Add", "one", net_cast(n, y, SDX_DOUBLE), 1), 0.5);
}

static void regress(coreml *m, const proto *model, const proto *params) {
  enum { NONE, LOGIT, PROBIT };
  net_tensor y = products(m, model, params);
  int64_t transform = proto_int(params, "postEvaluationTransform", NONE);
  if (!y.ref) return;
  if (transform == LOGIT) y = net_apply(&m->n, "Sigmoid", NULL, y);
  else if (transform == PROBIT) y = probit(&m->n, y);
  coreml_regressed(m, model, y);
}

// Scores of classes to probabilities.
static net_tensor probabilities(coreml *m, net_tensor y, int64_t transform, bool each, size_t classes) {
  enum { LOGIT };
  net *n = &m->n;
  const int64_t axis = 1;
  if (y.shape[1] == 1 && classes == 2) {
    net_tensor p = transform == LOGIT ? net_apply(n, "Sigmoid", NULL, y) : probit(n, y);
    net_tensor rest = net_binary(n, "Sub", "rest", net_scalar(n, SDX_DOUBLE, 1), p);
    return net_concat(n, 1, 2, (net_tensor[]){rest, p});
  }
  if (each) {
    net_tensor p = transform == LOGIT ? net_apply(n, "Sigmoid", NULL, y) : probit(n, y);
    return net_binary(n, "Div", "share", p, net_reduce(n, "ReduceSum", p, 1, &axis, true));
  }
  // The first class is what the others are compared with: its score is 0.
  net_tensor first = net_slice(n, y, 1, 0, 1, 1), zero = net_binary(n, "Sub", "zero", first, first);
  return net_softmax(n, "Softmax", net_concat(n, 1, 2, (net_tensor[]){zero, y}), 1);
}

static void classify(coreml *m, const proto *model, const proto *params) {
  enum { ONE_VS_REST = 1 };
  coreml_classes classes;
  net_tensor y = products(m, model, params);
  if (!y.ref || !coreml_read_classes(m, params, &classes)) return;
  bool each = proto_int(params, "classEncoding", 0) == ONE_VS_REST;
  y = probabilities(m, y, proto_int(params, "postEvaluationTransform", 0), each, classes.count);
  coreml_classified(m, model, &classes, y, (net_tensor){0});
}

const coreml_kind coreml_linear_kinds[] = {{"glmRegressor", regress}, {"glmClassifier", classify}, {0}};
