// SPDX-License-Identifier: Apache-2.0
// LibSVM: the graph. ONNX's SVMClassifier and SVMRegressor know floats only, so it is spelled out in double: products
// or distances grow feature by feature, decisions vector by vector, in LibSVM's order (two Scans), and are the same to
// the bit but for exp and tanh.
#include "convert/libsvm.h"

#include "convert/nodes.h"

static sdx_ref op1(libsvm *s, const char *op, sdx_ref x) {
  return sdx_graph_add_node(s->c->graph, op, NULL, SDX_REFS(x));
}
static sdx_ref op2(libsvm *s, const char *op, sdx_ref x, sdx_ref y) {
  return sdx_graph_add_node(s->c->graph, op, NULL, SDX_REFS(x, y));
}
static sdx_ref scalar(libsvm *s, double n) { return sdx_graph_add_scalar(s->c->graph, SDX_DOUBLE, n); }

static sdx_ref gather(libsvm *s, sdx_ref x, size_t count, const int64_t *at, int64_t axis) {
  sdx_ref y = op2(s, "Gather", x, sdx_graph_add_ints(s->c->graph, count, at));
  sdx_graph_set_int(s->c->graph, "axis", axis);
  return y;
}

// Without the first axis.
static sdx_ref first_of(libsvm *s, sdx_ref x) {
  return op2(s, "Gather", x, sdx_graph_add_scalar(s->c->graph, SDX_INT64, 0));
}

static sdx_ref first_column(libsvm *s, sdx_ref x) {
  sdx_ref y = first_of(s, x);
  sdx_graph_set_int(s->c->graph, "axis", 1);
  return y;
}

static sdx_ref table(libsvm *s, const char *name, size_t rows, size_t columns, const double *numbers) {
  int64_t shape[] = {(int64_t)rows, (int64_t)columns};
  bool matrix = rows > 0;
  sdx_value *v = sdx_tensor_borrow(SDX_DOUBLE, matrix ? 2 : 1, matrix ? shape : shape + 1, (void *)numbers, NULL, NULL);
  return sdx_graph_add_initializer(s->c->graph, name, v);
}

// x [1], [1, columns] or [N, 1] as [N, columns].
static sdx_ref spread(libsvm *s, sdx_ref x, sdx_ref rows, size_t columns) {
  sdx_ref width = sdx_graph_add_ints(s->c->graph, 1, (int64_t[]){(int64_t)columns});
  return op2(s, "Expand", x, node_concat(s->c, NULL, 0, SDX_REFS(rows, width)));
}

static double *doubles(libsvm *s, size_t rows, size_t columns) {
  double *at = arena_array(s->c->memory, rows * columns, sizeof *at);
  if (!at) convert_no_memory(s->c);
  return at;
}

// ---- sums in order ------------------------------------------------------------------------------------

static sdx_graph *enter(libsvm *s) {
  sdx_graph *outer = s->c->graph;
  s->c->graph = sdx_graph_create(outer);
  return outer;
}
static sdx_graph *leave(libsvm *s, sdx_graph *outer) {
  sdx_graph *body = s->c->graph;
  s->c->graph = outer;
  return body;
}
static const char *body_name(libsvm *s, const char *node, const char *name) {
  const char *full = arena_format(s->c->memory, "%s.%s", node, name);
  if (!full) convert_no_memory(s->c);
  return full ? full : name;
}
// Names of bodies begin with that of their node: no two may be the same in a model.
static sdx_ref body_input(libsvm *s, const char *node, const char *name, sdx_dtype dtype) {
  return sdx_graph_add_input(s->c->graph, &(sdx_io){.name = body_name(s, node, name), .dtype = dtype});
}
static void body_output(libsvm *s, const char *node, const char *name, sdx_ref x, sdx_dtype dtype) {
  sdx_graph_add_output(s->c->graph, x, &(sdx_io){.name = body_name(s, node, name), .dtype = dtype});
}

// start [N, columns], and then term by term the outer product of x [N, terms] and y, or the square of their difference.
// The terms of y are its first axis or its second.
static sdx_ref accumulate(libsvm *s, const char *name, sdx_ref start, sdx_ref x, sdx_ref y, int64_t axis_of_y,
                          bool squares) {
  x = node_unsqueeze(s->c, x, 2);
  sdx_graph *outer = enter(s);
  sdx_ref sum = body_input(s, name, "sum_in", SDX_DOUBLE), left = body_input(s, name, "left", SDX_DOUBLE),
          right = body_input(s, name, "right", SDX_DOUBLE), term = op2(s, squares ? "Sub" : "Mul", left, right);
  if (squares) term = op2(s, "Mul", term, term);
  body_output(s, name, "sum_out", op2(s, "Add", sum, term), SDX_DOUBLE);
  sdx_graph *body = leave(s, outer);
  sdx_ref result = sdx_graph_add_node(outer, "Scan", name, SDX_REFS(start, x, y));
  sdx_graph_set_int(outer, "num_scan_inputs", 2);
  sdx_graph_set_ints(outer, "scan_input_axes", 2, (int64_t[]){1, axis_of_y});
  sdx_graph_set_graph(outer, "body", body);
  return result;
}

// ---- kernels ------------------------------------------------------------------------------------------

// Squares of the columns in which no vector has a value: [N, 1].
static sdx_ref rest_of_squares(libsvm *s, sdx_ref x, sdx_ref rows) {
  sdx_graph *g = s->c->graph;
  sdx_ref by_column = op1(s, "Transpose", x);
  sdx_ref count = sdx_graph_add_ints(g, 1, (int64_t[]){(int64_t)s->column_count});
  sdx_ref zeros = op2(s, "Expand", scalar(s, 0), node_concat(s->c, NULL, 0, SDX_REFS(count, rows)));
  sdx_ref which = node_unsqueeze(s->c, sdx_graph_add_ints(g, s->column_count, s->columns), 1);
  sdx_ref rest = sdx_graph_add_node(g, "ScatterND", NULL, SDX_REFS(by_column, which, zeros));
  rest = node_reduce(s->c, "ReduceSum", op2(s, "Mul", rest, rest), 0);
  return op1(s, "Transpose", rest);
}

// base^degree by squaring, as LibSVM multiplies.
static sdx_ref power(libsvm *s, sdx_ref base) {
  sdx_ref result = 0;
  for (int64_t left = s->degree; left > 0; left /= 2) {
    if (left % 2) result = result ? op2(s, "Mul", result, base) : base;
    if (left > 1) base = op2(s, "Mul", base, base);
  }
  return result ? result : op2(s, "Add", op2(s, "Mul", base, scalar(s, 0)), scalar(s, 1));
}

// Of each row and each support vector: [N, vectors].
static sdx_ref kernel(libsvm *s, sdx_ref x, sdx_ref rows) {
  size_t vectors = (size_t)s->vectors;
  if (s->kernel == SVM_PRECOMPUTED) return gather(s, x, vectors, s->columns, 1);
  bool squares = s->kernel == SVM_RBF, all = s->column_count == s->width;
  sdx_ref used = all ? x : gather(s, x, s->column_count, s->columns, 1);
  sdx_ref start = squares && !all ? rest_of_squares(s, x, rows) : scalar(s, 0);
  sdx_ref y = accumulate(s, squares ? "squared_distances" : "products", spread(s, start, rows, vectors), used,
                         table(s, "support_vectors", vectors, s->column_count, s->values), 1, squares);
  if (squares) return op1(s, "Exp", op2(s, "Mul", y, scalar(s, -s->gamma)));
  if (s->kernel == SVM_LINEAR) return y;
  y = op2(s, "Add", op2(s, "Mul", y, scalar(s, s->gamma)), scalar(s, s->coef0));
  return s->kernel == SVM_SIGMOID ? op1(s, "Tanh", y) : power(s, y);
}

// ---- decisions ----------------------------------------------------------------------------------------

// The weight of each vector in each decision: [vectors, pairs]; a pair is of two classes.
static double *weights(libsvm *s) {
  size_t rows = libsvm_rows(s), pairs = s->rho.count, classes = (size_t)s->classes, vector = 0;
  if (!s->labels.count) return s->coefficients;
  double *at = doubles(s, (size_t)s->vectors, pairs);
  for (size_t own = 0; at && own < classes; own++)
    for (size_t end = vector + (size_t)s->per_class.at[own]; vector < end; vector++)
      for (size_t i = 0, pair = 0; i < classes; i++)
        for (size_t j = i + 1; j < classes; j++, pair++) {
          if (i == own) at[vector * pairs + pair] = s->coefficients[vector * rows + j - 1];
          if (j == own) at[vector * pairs + pair] = s->coefficients[vector * rows + i];
        }
  return at;
}

sdx_ref libsvm_decide(libsvm *s, sdx_ref x, sdx_ref rows) {
  double *w = weights(s);
  if (!w) return 0;
  size_t pairs = s->rho.count;
  sdx_ref start = spread(s, scalar(s, 0), rows, pairs), y = start;
  if (s->vectors)
    y = accumulate(s, "decisions", start, kernel(s, x, rows), table(s, "coefficients", (size_t)s->vectors, pairs, w), 0,
                   false);
  return op2(s, "Sub", y, table(s, "rho", 0, pairs, s->rho.at));
}

// The label of the largest of [N, classes], the first of equals.
static sdx_ref label_of(libsvm *s, sdx_ref scores) {
  int64_t *labels = arena_array(s->c->memory, s->labels.count, sizeof *labels);
  if (!labels) convert_no_memory(s->c);
  for (size_t i = 0; labels && i < s->labels.count; i++) labels[i] = (int64_t)s->labels.at[i];
  sdx_ref best = sdx_graph_add_node(s->c->graph, "ArgMax", NULL, SDX_REFS(scores));
  sdx_graph_set_int(s->c->graph, "axis", 1);
  sdx_graph_set_int(s->c->graph, "keepdims", 0);
  return labels ? op2(s, "Gather", sdx_graph_add_ints(s->c->graph, s->labels.count, labels), best) : 0;
}

// Each decision is a vote for one of its two classes.
sdx_ref libsvm_vote(libsvm *s, sdx_ref decisions) {
  size_t classes = (size_t)s->classes, pairs = s->rho.count, pair = 0;
  double *moved = doubles(s, pairs, classes), *second = doubles(s, 1, classes);
  if (!moved || !second) return 0;
  for (size_t i = 0; i < classes; i++)
    for (size_t j = i + 1; j < classes; j++, pair++) {
      moved[pair * classes + i] = 1;
      moved[pair * classes + j] = -1;
      second[j]++;
    }
  sdx_ref first = node_cast(s->c, op2(s, "Greater", decisions, scalar(s, 0)), SDX_DOUBLE);
  sdx_ref votes = op2(s, "MatMul", first, table(s, "votes_of_first", pairs, classes, moved));
  return label_of(s, op2(s, "Add", votes, table(s, "votes_of_second", 0, classes, second)));
}

// ---- probabilities ------------------------------------------------------------------------------------

// Of each pair that its first class is right.
static sdx_ref pairwise(libsvm *s, sdx_ref decisions) {
  size_t pairs = s->rho.count;
  sdx_ref f = op2(s, "Mul", decisions, table(s, "probA", 0, pairs, s->prob_a.at));
  f = op2(s, "Add", f, table(s, "probB", 0, pairs, s->prob_b.at));
  sdx_ref one = scalar(s, 1), e = op1(s, "Exp", op1(s, "Neg", op1(s, "Abs", f))), sum = op2(s, "Add", one, e);
  sdx_ref negative = op2(s, "Less", f, scalar(s, 0));
  sdx_ref above = sdx_graph_add_node(s->c->graph, "Where", NULL, SDX_REFS(negative, one, e));
  sdx_ref p = op2(s, "Div", above, sum);
  return op2(s, "Min", op2(s, "Max", p, scalar(s, 1e-7)), scalar(s, 1 - 1e-7));
}

// [N, pairs] as matrices [N, classes, classes]: of (i, j) that i is right rather than j; zeros in the diagonal.
static sdx_ref square(libsvm *s, sdx_ref p) {
  size_t classes = (size_t)s->classes, pairs = s->rho.count, pair = 0;
  int64_t *at = arena_array(s->c->memory, classes * classes, sizeof *at);
  if (!at) {
    convert_no_memory(s->c);
    return 0;
  }
  for (size_t i = 0; i < classes; i++) {
    at[i * classes + i] = (int64_t)(2 * pairs);
    for (size_t j = i + 1; j < classes; j++, pair++) {
      at[i * classes + j] = (int64_t)pair;
      at[j * classes + i] = (int64_t)(pairs + pair);
    }
  }
  sdx_ref first = gather(s, p, 1, (int64_t[]){0}, 1);
  sdx_ref parts = node_concat(s->c, NULL, 1, SDX_REFS(p, op2(s, "Sub", scalar(s, 1), p), op2(s, "Sub", first, first)));
  sdx_ref flat = gather(s, parts, classes * classes, at, 1);
  sdx_ref shape = sdx_graph_add_ints(s->c->graph, 3, (int64_t[]){0, (int64_t)classes, (int64_t)classes});
  return op2(s, "Reshape", flat, shape);
}

// One class after the other moves to its best place, given the others; what is known of all is kept up to date.
static sdx_ref improve(libsvm *s, sdx_ref p, sdx_ref qp, sdx_ref pqp, sdx_ref q, sdx_ref eye) {
  sdx_graph *outer = enter(s);
  static const char *const in[] = {"p_in", "qp_in", "pqp_in", "row"}, *const out[] = {"p_out", "qp_out", "pqp_out"};
  size_t classes = (size_t)s->classes;
  const size_t columns[] = {classes, classes, 1, classes};
  sdx_ref v[4];
  for (int i = 0; i < 4; i++) v[i] = node_rows_input(s->c, body_name(s, "classes", in[i]), SDX_DOUBLE, columns[i]);
  sdx_ref unit = body_input(s, "classes", "unit", SDX_DOUBLE);
  sdx_ref row = v[3];
  sdx_ref own = node_reduce(s->c, "ReduceSum", op2(s, "Mul", row, unit), 1);
  sdx_ref at = node_reduce(s->c, "ReduceSum", op2(s, "Mul", v[1], unit), 1);
  sdx_ref step = op2(s, "Div", op2(s, "Sub", v[2], at), own), grown = op2(s, "Add", scalar(s, 1), step);
  sdx_ref change = op2(s, "Add", op2(s, "Mul", step, own), op2(s, "Mul", scalar(s, 2), at));
  change = op2(s, "Add", v[2], op2(s, "Mul", step, change));
  sdx_ref next[] = {op2(s, "Add", v[0], op2(s, "Mul", unit, step)), op2(s, "Add", v[1], op2(s, "Mul", step, row)),
                    op2(s, "Div", change, grown)};
  for (int i = 0; i < 3; i++)
    node_rows_output(s->c, body_name(s, "classes", out[i]), op2(s, "Div", next[i], grown), SDX_DOUBLE, columns[i]);
  sdx_graph *body = leave(s, outer);
  sdx_ref result = sdx_graph_add_node(outer, "Scan", "classes", SDX_REFS(p, qp, pqp, q, eye));
  sdx_graph_add_node_output(outer);
  sdx_graph_add_node_output(outer);
  sdx_graph_set_int(outer, "num_scan_inputs", 2);
  sdx_graph_set_ints(outer, "scan_input_axes", 2, (int64_t[]){1, 0});
  sdx_graph_set_graph(outer, "body", body);
  return result;
}

// The probabilities nearest to those of the pairs, by the iteration of Wu, Lin and Weng; a row that is near enough
// stays as it is while others go on.
static sdx_ref couple(libsvm *s, sdx_ref pairs, sdx_ref rows) {
  size_t classes = (size_t)s->classes;
  double *unit = doubles(s, classes, classes);
  if (!unit) return 0;
  for (size_t i = 0; i < classes; i++) unit[i * classes + i] = 1;
  sdx_ref r = square(s, pairs), eye = table(s, "unit", classes, classes, unit), transposed = op1(s, "Transpose", r);
  sdx_graph_set_ints(s->c->graph, "perm", 3, (int64_t[]){0, 2, 1});
  sdx_ref own = op2(s, "Mul", node_reduce(s->c, "ReduceSum", op2(s, "Mul", r, r), 1), eye);
  sdx_ref q = op2(s, "Sub", own, op2(s, "Mul", transposed, r));
  sdx_ref start = spread(s, scalar(s, 1 / (double)classes), rows, classes);
  sdx_ref most = sdx_graph_add_scalar(s->c->graph, SDX_INT64, classes > 100 ? (double)classes : 100);

  sdx_graph *outer = enter(s);
  sdx_graph_add_input(s->c->graph, &(sdx_io){.name = "couple.round", .dtype = SDX_INT64, .has_shape = true});
  sdx_graph_add_input(s->c->graph, &(sdx_io){.name = "couple.go_on", .dtype = SDX_BOOL, .has_shape = true});
  sdx_ref p = node_rows_input(s->c, "couple.p", SDX_DOUBLE, classes);
  sdx_ref qp = node_reduce(s->c, "ReduceSum", op2(s, "Mul", q, node_unsqueeze(s->c, p, 1)), 2);
  sdx_ref shape = sdx_graph_add_ints(s->c->graph, 2, (int64_t[]){0, (int64_t)classes});
  qp = op2(s, "Reshape", qp, shape);
  sdx_ref pqp = node_reduce(s->c, "ReduceSum", op2(s, "Mul", p, qp), 1);
  sdx_ref error = node_reduce(s->c, "ReduceMax", op1(s, "Abs", op2(s, "Sub", qp, pqp)), 1);
  sdx_ref near = op2(s, "Less", error, scalar(s, 0.005 / (double)classes));
  sdx_ref next = improve(s, p, qp, pqp, q, eye);
  next = sdx_graph_add_node(s->c->graph, "Where", NULL, SDX_REFS(near, p, next));
  sdx_ref far = node_reduce(s->c, "ReduceSum", node_cast(s->c, op1(s, "Not", near), SDX_DOUBLE), 0);
  sdx_ref goes_on = op2(s, "Greater", first_of(s, first_of(s, far)), scalar(s, 0));
  body_output(s, "couple", "goes_on", goes_on, SDX_BOOL);
  body_output(s, "couple", "next", next, SDX_DOUBLE);
  sdx_graph *body = leave(s, outer);
  sdx_ref result = sdx_graph_add_node(outer, "Loop", "couple", SDX_REFS(most, 0, start));
  sdx_graph_set_graph(outer, "body", body);
  return result;
}

sdx_ref libsvm_probabilities(libsvm *s, sdx_ref decisions, sdx_ref rows) {
  sdx_ref p = pairwise(s, decisions);
  if (s->classes > 2) return couple(s, p, rows);
  return node_concat(s->c, NULL, 1, SDX_REFS(p, op2(s, "Sub", scalar(s, 1), p)));
}

// How likely a row is one of the class: by tenths of the training data whose decisions were lower, but 0 at the
// last mark itself, as LibSVM has it.
static sdx_ref density(libsvm *s, sdx_ref decision) {
  static const double tenths[] = {0.001, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0};
  size_t marks = s->marks.count;
  for (size_t i = 1; i < marks; i++)
    if (!(s->marks.at[i - 1] <= s->marks.at[i])) {
      convert_fail(s->c, SDX_INVALID_MODEL, "prob_density_marks", NULL, "the marks do not ascend");
      return 0;
    }
  sdx_ref lower = op1(s, "Not", op2(s, "Less", decision, table(s, "marks", 0, marks, s->marks.at)));
  sdx_ref passed = node_reduce(s->c, "ReduceSum", node_cast(s->c, lower, SDX_INT64), 1);
  sdx_ref p = op2(s, "Gather", table(s, "tenths", 0, marks + 1, tenths), passed);
  sdx_ref above = op2(s, "Greater", decision, scalar(s, s->marks.at[marks - 1]));
  p = sdx_graph_add_node(s->c->graph, "Where", NULL, SDX_REFS(above, scalar(s, 0.999), p));
  return node_concat(s->c, NULL, 1, SDX_REFS(p, op2(s, "Sub", scalar(s, 1), p)));
}

// ---- the model ----------------------------------------------------------------------------------------

static void add_classes(libsvm *s, sdx_ref decisions, sdx_ref rows) {
  conversion *c = s->c;
  node_rows_output(c, "label", libsvm_vote(s, decisions), SDX_INT64, 0);
  node_rows_output(c, "decision_values", decisions, SDX_DOUBLE, s->rho.count);
  if (!s->prob_a.count) return;
  sdx_ref p = libsvm_probabilities(s, decisions, rows);
  node_rows_output(c, "probable_label", label_of(s, p), SDX_INT64, 0);
  node_rows_output(c, "probabilities", p, SDX_DOUBLE, (size_t)s->classes);
  convert_note(c, "label is what the votes say (svm-predict -b 0), probable_label the most probable class (-b 1)");
}

static void add_one_class(libsvm *s, sdx_ref decision) {
  conversion *c = s->c;
  sdx_ref inside = node_cast(c, op2(s, "Greater", first_column(s, decision), scalar(s, 0)), SDX_INT64);
  sdx_ref one = sdx_graph_add_scalar(c->graph, SDX_INT64, 1);
  node_rows_output(c, "label", op2(s, "Sub", op2(s, "Add", inside, inside), one), SDX_INT64, 0);
  node_rows_output(c, "decision_values", decision, SDX_DOUBLE, 1);
  if (s->marks.count) node_rows_output(c, "probabilities", density(s, decision), SDX_DOUBLE, 2);
}

static void describe(libsvm *s) {
  conversion *c = s->c;
  str *names = arena_array(c->memory, s->labels.count, sizeof *names);
  for (size_t i = 0; names && i < s->labels.count; i++)
    names[i] = str_from(arena_format(c->memory, "%.0f", s->labels.at[i]));
  if (!names) convert_no_memory(c);
  else convert_add_names(c, "class_labels", s->labels.count, names);
  sdx_builder_describe(c->builder, "graph_name", "libsvm");
}

static sdx_status convert(conversion *c) {
  libsvm s = {.c = c, .type = -1, .kernel = -1, .vectors = -1};
  SDX_TRY(source_load(c->source, NULL, NULL, c->f));
  SDX_TRY(libsvm_read(&s));
  convert_made_by(c, "LibSVM");
  sdx_ref x = node_rows_input(c, "input", SDX_DOUBLE, s.width ? s.width : 1);
  sdx_ref shape = op1(&s, "Shape", x), rows = gather(&s, shape, 1, (int64_t[]){0}, 0);
  sdx_ref decisions = libsvm_decide(&s, x, rows);
  if (s.labels.count) add_classes(&s, decisions, rows);
  else if (s.type == SVM_ONE_CLASS) add_one_class(&s, decisions);
  else node_rows_output(c, "prediction", first_column(&s, decisions), SDX_DOUBLE, 0);
  describe(&s);
  return convert_failed(c) ? c->f->status : SDX_OK;
}

// svmutil.svm_predict has room for a single decision where the classes are of nu_svc.
static const char reference[] =
    "def predict(path, inputs):\n"
    "    import ctypes, numpy\n"
    "    from libsvm import svmutil\n"
    "    model, x = svmutil.svm_load_model(path), inputs['input']\n"
    "    kind, k = model.get_svm_type(), model.get_nr_class()\n"
    "    precomputed = model.param.kernel_type == 4\n"
    "    rows = [dict(enumerate(row, 1)) | ({0: 1} if precomputed else {}) for row in x.tolist()]\n"
    "    values, labels, decisions = (ctypes.c_double * (k * (k - 1) // 2 if kind < 2 else 1))(), [], []\n"
    "    for row in rows:\n"
    "        nodes, _ = svmutil.gen_svm_nodearray(row, isKernel=precomputed)\n"
    "        labels.append(svmutil.libsvm.svm_predict_values(model, nodes, values))\n"
    "        decisions.append(list(values))\n"
    "    if kind > 2:\n"
    "        return {'prediction': numpy.array(labels)}\n"
    "    y = {'label': numpy.array(labels).astype(numpy.int64), 'decision_values': numpy.array(decisions)}\n"
    "    if model.is_probability_model():\n"
    "        labels, _, p = svmutil.svm_predict([0] * len(rows), rows, model, '-q -b 1')\n"
    "        y['probabilities'] = numpy.array(p)\n"
    "        if kind < 2:\n"
    "            y['probable_label'] = numpy.array(labels).astype(numpy.int64)\n"
    "    return y\n";

CONVERT_FORMAT(libsvm) = {
    .name = "libsvm",
    .title = "LibSVM",
    .files = "text (.model)",
    .kinds = CONVERT_KINDS("libsvm"),
    .convert = convert,
    .reference = reference,
};
