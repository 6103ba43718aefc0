// SPDX-License-Identifier: Apache-2.0
// Core ML's support vector machines, which are LibSVM's (libsvm.h).
#include <string.h>

#include "convert/coreml.h"
#include "convert/libsvm.h"

static bool fail(coreml *m, const char *wrong) {
  return !convert_fail(m->c, SDX_INVALID_MODEL, "support vectors", NULL, "%s", wrong);
}

static bool read_kernel(libsvm *s, coreml *m, const proto *params) {
  static const char *const names[] = {"linearKernel", "polyKernel", "rbfKernel", "sigmoidKernel"};  // as svm_kernel
  proto kernel, p;
  proto_get(params, "kernel", &kernel);
  for (int i = 0; i < 4; i++) {
    if (!proto_get(&kernel, names[i], &p)) continue;
    s->kernel = i;
    if (i == SVM_LINEAR) return true;
    s->gamma = proto_number(&p, "gamma", 0);
    if (i == SVM_RBF) return true;
    s->coef0 = proto_number(&p, "c", 0);
    if (i == SVM_POLYNOMIAL) s->degree = proto_int(&p, "degree", 0);
    return (s->degree >= 0 && s->degree < 1000) || fail(m, "a polynomial of such a degree");
  }
  return fail(m, "the kernel is of no known kind");
}

// One row of values; sparse ones count their columns from 1.
static bool read_vector(coreml *m, const proto *vector, bool sparse, size_t width, double *row) {
  proto entry;
  size_t count;
  if (!sparse) {
    const double *values = proto_doubles(vector, "values", &count);
    if (count > width) return fail(m, "a vector is longer than the input");
    if (count) memcpy(row, values, count * sizeof *row);
    return true;
  }
  wire at = vector->bytes;
  while (proto_each(vector, &at, "nodes", &entry)) {
    int64_t column = proto_int(&entry, "index", 0);
    if (column < 1 || (uint64_t)column > width) return fail(m, "a vector has a column that the input lacks");
    row[column - 1] = proto_number(&entry, "value", 0);
  }
  return !convert_failed(m->c);
}

static bool read_vectors(libsvm *s, coreml *m, const proto *params) {
  proto list, vector;
  bool sparse = proto_get(params, "sparseSupportVectors", &list);
  if (!sparse && !proto_get(params, "denseSupportVectors", &list)) return fail(m, "there are none");
  size_t count = proto_count(&list, "vectors"), i = 0;
  s->vectors = (int64_t)count;
  s->column_count = s->width;
  if (count * s->width / 4096 > wire_size(list.bytes)) return fail(m, "few values of many columns");
  s->values = arena_array(m->c->memory, count * s->width + 1, sizeof *s->values);
  s->columns = arena_array(m->c->memory, s->width + 1, sizeof *s->columns);
  if (!s->values || !s->columns) return !convert_no_memory(m->c);
  for (size_t k = 0; k < s->width; k++) s->columns[k] = (int64_t)k;
  for (wire at = list.bytes; i < count && proto_each(&list, &at, "vectors", &vector); i++)
    if (!read_vector(m, &vector, sparse, s->width, s->values + i * s->width)) return false;
  return i == count;
}

// [vectors, rows] of rows with one number for each vector.
static bool read_coefficients(libsvm *s, coreml *m, const proto *params) {
  proto list;
  size_t rows = libsvm_rows(s), vectors = (size_t)s->vectors, i = 0, count;
  if (proto_count(params, "coefficients") != rows) return fail(m, "coefficients that do not fit the classes");
  s->coefficients = arena_array(m->c->memory, rows * vectors + 1, sizeof *s->coefficients);
  if (!s->coefficients) return !convert_no_memory(m->c);
  for (wire at = params->bytes; i < rows && proto_each(params, &at, "coefficients", &list); i++) {
    const double *alpha = proto_doubles(&list, "alpha", &count);
    if (count != vectors) return fail(m, "a number of coefficients that is not that of the vectors");
    for (size_t k = 0; k < vectors; k++) s->coefficients[k * rows + i] = alpha[k];
  }
  return i == rows;
}

static svm_numbers numbers(const proto *params, const char *field) {
  svm_numbers n;
  n.at = (double *)proto_doubles(params, field, &n.count);
  return n;
}

// Kernel, vectors, coefficients and rho; x: the rows.
static bool read_model(libsvm *s, coreml *m, const proto *model, const proto *params, net_tensor *x) {
  enum { MOST_WIDTH = 1 << 24 };
  if (!coreml_columns(m, model, x) || !read_kernel(s, m, params)) return false;
  if (x->shape[1] < 1 || x->shape[1] > MOST_WIDTH) return fail(m, "an input of no known width");
  s->width = (size_t)x->shape[1];
  s->rho = numbers(params, "rho");
  if (!s->rho.count) s->rho = (svm_numbers){arena_array(m->c->memory, 1, sizeof(double)), 1};  // 0 is not written
  return s->rho.at && read_vectors(s, m, params) && read_coefficients(s, m, params);
}

static sdx_ref rows_of(coreml *m, net_tensor x) { return net_slice(&m->n, net_shape_of(&m->n, x), 0, 0, 1, 1).ref; }

static void regress(coreml *m, const proto *model, const proto *params) {
  libsvm s = {.c = m->c, .type = SVM_EPSILON_SVR};
  net_tensor x, y = {.dtype = SDX_DOUBLE, .rank = 2};
  if (!read_model(&s, m, model, params, &x)) return;
  if (s.rho.count != 1) {
    fail(m, "rho is not one number");
    return;
  }
  y.shape[0] = x.shape[0];
  y.shape[1] = 1;
  y.ref = libsvm_decide(&s, x.ref, rows_of(m, x));
  coreml_regressed(m, model, y);
}

static bool read_classes(libsvm *s, coreml *m, const proto *params, coreml_classes *classes) {
  size_t per_class, pairs;
  if (!coreml_read_classes(m, params, classes)) return false;
  const int64_t *counts = proto_all_ints(params, "numberOfSupportVectorsPerClass", &per_class);
  pairs = classes->count * (classes->count - 1) / 2;
  if (classes->count < 2 || classes->count > 1 << 12 || per_class != classes->count ||
      proto_count(params, "rho") != pairs)
    return fail(m, "numbers of vectors or rho that do not fit the classes");
  s->classes = (int64_t)classes->count;
  s->labels = (svm_numbers){arena_array(m->c->memory, classes->count, sizeof(double)), classes->count};
  s->per_class = (svm_numbers){arena_array(m->c->memory, classes->count, sizeof(double)), classes->count};
  if (!s->labels.at || !s->per_class.at) return !convert_no_memory(m->c);
  for (size_t i = 0; i < classes->count; i++) {
    if (counts[i] < 0 || counts[i] > INT32_MAX) return fail(m, "a class with that many vectors");
    s->labels.at[i] = (double)i;
    s->per_class.at[i] = (double)counts[i];
  }
  s->prob_a = numbers(params, "probA");
  s->prob_b = numbers(params, "probB");
  return (s->prob_a.count == 0 || s->prob_a.count == pairs) && s->prob_b.count == s->prob_a.count
             ? true
             : fail(m, "probA or probB do not fit the classes");
}

static void classify(coreml *m, const proto *model, const proto *params) {
  libsvm s = {.c = m->c, .type = SVM_C_SVC};
  coreml_classes classes;
  net_tensor x, scores = {.dtype = SDX_DOUBLE, .rank = 2}, best = {.dtype = SDX_INT64, .rank = 1};
  if (!read_classes(&s, m, params, &classes) || !read_model(&s, m, model, params, &x)) return;
  double vectors = 0;
  for (size_t i = 0; i < s.per_class.count; i++) vectors += s.per_class.at[i];
  if (vectors != (double)s.vectors) {
    fail(m, "the classes do not have as many as there are");
    return;
  }
  sdx_ref rows = rows_of(m, x), decisions = libsvm_decide(&s, x.ref, rows);
  scores.shape[0] = x.shape[0];
  scores.shape[1] = s.classes;
  if (s.prob_a.count) {
    scores.ref = libsvm_probabilities(&s, decisions, rows);
  } else {  // all for the class that is voted for
    best.ref = libsvm_vote(&s, decisions);
    best.shape[0] = x.shape[0];
    int64_t *ids = arena_array(m->c->memory, classes.count, sizeof *ids);
    if (!ids) convert_no_memory(m->c);
    for (size_t i = 0; ids && i < classes.count; i++) ids[i] = (int64_t)i;
    net_tensor row = net_like(scores, node_unsqueeze(m->c, best.ref, 1)),
               all = net_ints(&m->n, ids ? classes.count : 0, ids);
    row.shape[1] = 1;
    scores = net_cast(&m->n, net_compare(&m->n, "Equal", NULL, row, all), SDX_DOUBLE);
  }
  coreml_classified(m, model, &classes, scores, best);
}

const coreml_kind coreml_svm_kinds[] = {
    {"supportVectorRegressor", regress}, {"supportVectorClassifier", classify}, {0}};
