// SPDX-License-Identifier: Apache-2.0
// Operators that compute element by element, and their results on whole numbers that are known. Read next:
// tensorflow_reduce.c.
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/tensorflow.h"

static void unary(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  if (x) tf_set_like(op, 0, tf_node_add(op, op->kind->op, SDX_REFS(tf_get(op, 0))), x);
}

static void test(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  if (x) tf_set(op, 0, tf_node_add(op, op->kind->op, SDX_REFS(tf_get(op, 0))), SDX_BOOL, x->rank, x->shape);
}

static void is_finite(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref in = x ? tf_get(op, 0) : 0;
  if (!in) return;
  sdx_ref nan = tf_node_add(op, "IsNaN", SDX_REFS(in)), inf = tf_node_add(op, "IsInf", SDX_REFS(in));
  sdx_ref y = tf_node_add(op, "Not", SDX_REFS(tf_node_add(op, "Or", SDX_REFS(nan, inf))));
  tf_set(op, 0, y, SDX_BOOL, x->rank, x->shape);
}

// op: two characters a step. "rs": 1 / sqrt(x).
static void formula(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref in = x ? tf_get(op, 0) : 0, y = in;
  if (!in) return;
  switch (*op->kind->op) {
    case 'r':
      y = tf_node_add(op, "Reciprocal", SDX_REFS(tf_node_add(op, "Sqrt", SDX_REFS(in))));
      break;
    case 's':
      y = tf_node_add(op, "Mul", SDX_REFS(in, in));
      break;
    case 'c':
      y = tf_node_add(op, "Sub", SDX_REFS(tf_scalar(op, x->dtype, 1), tf_node_add(op, "Erf", SDX_REFS(in))));
      break;
    case '6':
      y = tf_node_add(op, "Clip", SDX_REFS(in, tf_scalar(op, x->dtype, 0), tf_scalar(op, x->dtype, 6)));
      break;
    case 'l':
      y = tf_node_add(op, "LeakyRelu", SDX_REFS(in));
      if (y) sdx_graph_set_float(op->g, "alpha", tf_attr_float(op->node, "alpha", 0.2f));
      break;
    default:
      break;
  }
  tf_set_like(op, 0, y, x);
}

// log(1 + x) and e^x - 1 where x is near zero lose digits in floats: they are computed in double.
static void precise(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref in = x ? tf_get(op, 0) : 0;
  if (!in) return;
  bool log = *op->kind->op == 'l';
  sdx_ref y = x->dtype == SDX_DOUBLE ? in : tf_cast(op, in, SDX_DOUBLE), one = tf_scalar(op, SDX_DOUBLE, 1);
  y = log ? tf_node_add(op, "Log", SDX_REFS(tf_node_add(op, "Add", SDX_REFS(y, one))))
          : tf_node_add(op, "Sub", SDX_REFS(tf_node_add(op, "Exp", SDX_REFS(y)), one));
  tf_set_like(op, 0, x->dtype == SDX_DOUBLE ? y : tf_cast(op, y, x->dtype), x);
}

static void softmax(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  if (!x) return;
  sdx_ref y = tf_node_add(op, op->kind->op, SDX_REFS(tf_get(op, 0)));
  if (y) sdx_graph_set_int(op->g, "axis", -1);
  tf_set_like(op, 0, y, x);
}

// ---- two operands -----------------------------------------------------------------------------------

static void set_binary(tf_op *op, sdx_ref y, sdx_dtype dtype) {
  const tf_value *a = tf_in(op, 0), *b = tf_in(op, 1);
  int rank;
  int64_t shape[TF_RANK];
  if (!a || !b) return;
  tf_broadcast(a, b, &rank, shape);
  tf_set(op, 0, y, dtype, rank, shape);
}

static void binary(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref a = tf_get(op, 0), b = tf_get(op, 1);
  if (!a || !b) return;
  const char *what = op->kind->op;
  if (x->dtype == SDX_BOOL && !strcmp(what, "Mul")) what = "And";
  set_binary(op, tf_node_add(op, what, SDX_REFS(a, b)), x->dtype);
}

static void compare(tf_op *op) {
  sdx_ref a = tf_get(op, 0), b = tf_get(op, 1);
  if (!a || !b) return;
  bool negated = !strcmp(op->kind->op, "NotEqual");
  sdx_ref y = tf_node_add(op, negated ? "Equal" : op->kind->op, SDX_REFS(a, b));
  set_binary(op, negated ? tf_node_add(op, "Not", SDX_REFS(y)) : y, SDX_BOOL);
}

// Quotients and remainders: rounded towards zero as ONNX does for whole numbers, or down.
static void quotient(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref a = tf_get(op, 0), b = tf_get(op, 1), y;
  if (!a || !b) return;
  bool down = strchr(op->kind->op, 'F') != NULL, rest = strchr(op->kind->op, '%') != NULL;
  if (down) {
    const char *name = tf_name(op->t, op->node->name, rest ? "Mod" : "Div");
    y = (rest ? node_floor_mod : node_floor_div)(op->t->c, name, a, b, x->dtype);
  } else {
    y = tf_node_add(op, rest ? "Mod" : "Div", SDX_REFS(a, b));
    if (y && rest) sdx_graph_set_int(op->g, "fmod", 1);
  }
  set_binary(op, y, x->dtype);
}

// x / y that is 0 where y is 0, and the like.
static void without_nan(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *z = tf_in(op, 1);
  sdx_ref a = tf_get(op, 0), b = tf_get(op, 1), y;
  if (!a || !b) return;
  bool by_first = *op->kind->op == 'x';  // xlogy, xdivy: 0 where x is
  sdx_ref zero = tf_scalar(op, x->dtype, 0), at = tf_node_add(op, "Equal", SDX_REFS(by_first ? a : b, zero));
  if (!strcmp(op->kind->op, "mul")) y = tf_node_add(op, "Mul", SDX_REFS(a, b));
  else if (!strcmp(op->kind->op, "xlog")) y = tf_node_add(op, "Mul", SDX_REFS(a, tf_node_add(op, "Log", SDX_REFS(b))));
  else y = tf_node_add(op, "Div", SDX_REFS(a, b));
  if (z) set_binary(op, tf_node_add(op, "Where", SDX_REFS(at, zero, y)), x->dtype);
}

static void squared_difference(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref a = tf_get(op, 0), b = tf_get(op, 1);
  if (!a || !b) return;
  sdx_ref d = tf_node_add(op, "Sub", SDX_REFS(a, b));
  set_binary(op, tf_node_add(op, "Mul", SDX_REFS(d, d)), x->dtype);
}

static void atan2_of(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref b = tf_get(op, 0), a = tf_get(op, 1);
  if (!a || !b) return;
  sdx_ref zero = tf_scalar(op, x->dtype, 0), pi = tf_scalar(op, x->dtype, M_PI), half = tf_scalar(op, x->dtype, M_PI_2);
  sdx_ref angle = tf_node_add(op, "Atan", SDX_REFS(tf_node_add(op, "Div", SDX_REFS(b, a))));
  sdx_ref below = tf_node_add(op, "Less", SDX_REFS(b, zero)), left = tf_node_add(op, "Less", SDX_REFS(a, zero));
  sdx_ref turn = tf_node_add(op, "Where", SDX_REFS(below, tf_node_add(op, "Neg", SDX_REFS(pi)), pi));
  sdx_ref turned = tf_node_add(op, "Add", SDX_REFS(angle, turn));
  sdx_ref y = tf_node_add(op, "Where", SDX_REFS(left, turned, angle));
  sdx_ref up = tf_node_add(op, "Mul", SDX_REFS(tf_node_add(op, "Sign", SDX_REFS(b)), half));
  sdx_ref upright = tf_node_add(op, "Equal", SDX_REFS(a, zero));
  set_binary(op, tf_node_add(op, "Where", SDX_REFS(upright, up, y)), x->dtype);
}

static void shift(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref a = tf_get(op, 0), b = tf_get(op, 1);
  if (!a || !b) return;
  sdx_dtype bits = x->dtype == SDX_INT32 ? SDX_UINT32 : x->dtype == SDX_INT64 ? SDX_UINT64 : x->dtype;
  if (bits != x->dtype) a = tf_cast(op, a, bits), b = tf_cast(op, b, bits);
  sdx_ref y = tf_node_add(op, "BitShift", SDX_REFS(a, b));
  if (y) sdx_graph_set_string(op->g, "direction", op->kind->op);
  set_binary(op, bits != x->dtype ? tf_cast(op, y, x->dtype) : y, x->dtype);
}

static void sum_of_many(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref *refs = arena_array(op->t->c->memory, op->node->input_count + 1, sizeof *refs);
  for (size_t i = 0; refs && i < op->node->input_count; i++)
    if (!(refs[i] = tf_get(op, i))) return;
  if (!refs || !x) return;
  sdx_ref y = refs[0];
  if (tf_is_float(x->dtype)) y = tf_node_add(op, "Sum", op->node->input_count, refs);
  for (size_t i = 1; !tf_is_float(x->dtype) && i < op->node->input_count; i++)
    y = tf_node_add(op, "Add", SDX_REFS(y, refs[i]));
  tf_set_like(op, 0, y, x);
}

static void clip_by_value(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref in = tf_get(op, 0), low = tf_get(op, 1), high = tf_get(op, 2);
  if (!in || !low || !high) return;
  sdx_ref y = tf_node_add(op, "Max", SDX_REFS(tf_node_add(op, "Min", SDX_REFS(in, high)), low));
  tf_set_like(op, 0, y, x);
}

// Select takes a vector of conditions for rows, too.
static void select(tf_op *op) {
  const tf_value *c = tf_in(op, 0), *a = tf_in(op, 1), *b = tf_in(op, 2);
  sdx_ref refs[] = {tf_get(op, 0), tf_get(op, 1), tf_get(op, 2)};
  if (!c || !a || !b || !refs[0] || !refs[1] || !refs[2]) return;
  int rank;
  int64_t shape[TF_RANK], ones[TF_RANK] = {-1, 1, 1, 1, 1, 1, 1, 1};
  bool rows = *op->kind->op == '1' && c->rank == 1 && a->rank > 1;
  if (rows) refs[0] = tf_node_add(op, "Reshape", SDX_REFS(refs[0], tf_list(op, (size_t)a->rank, ones)));
  tf_broadcast(a, b, &rank, shape);
  tf_value both = {.rank = rank};
  if (rank > 0) memcpy(both.shape, shape, sizeof shape);
  if (!rows) tf_broadcast(c, &both, &rank, shape);
  tf_set(op, 0, tf_node_add(op, "Where", SDX_REFS(refs[0], refs[1], refs[2])), a->dtype, rank, shape);
}

static void cast(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_dtype to = tf_attr_dtype(op->node, "DstT");
  sdx_ref in = x ? tf_get(op, 0) : 0;
  if (!in) return;
  if (!to || (int)to == TF_RESOURCE) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "the type %lld does not exist in ONNX",
            (long long)tf_attr_int(op->node, "DstT", 0));
    return;
  }
  tf_set(op, 0, to == x->dtype ? tf_node_add(op, "Identity", SDX_REFS(in)) : tf_cast(op, in, to), to, x->rank,
         x->shape);
}

// ---- known numbers ----------------------------------------------------------------------------------

static bool whole(const tf_value *x) {
  return x && x->elements && x->rank <= 1 && (x->dtype == SDX_INT32 || x->dtype == SDX_INT64 || x->dtype == SDX_BOOL);
}

static int64_t floor_div(int64_t a, int64_t b) {
  int64_t q = wrap_div(a, b);
  return b && wrap_mul(q, b) != a && (a < 0) != (b < 0) ? q - 1 : q;
}

static int64_t apply(const char *what, int64_t a, int64_t b) {
  if (!strcmp(what, "Add")) return wrap_add(a, b);
  if (!strcmp(what, "Sub")) return wrap_sub(a, b);
  if (!strcmp(what, "Mul")) return wrap_mul(a, b);
  if (!strcmp(what, "F/")) return floor_div(a, b);
  if (!strcmp(what, "/")) return wrap_div(a, b);
  if (!strcmp(what, "F%")) return wrap_sub(a, wrap_mul(floor_div(a, b), b));
  if (!strcmp(what, "%")) return wrap_sub(a, wrap_mul(wrap_div(a, b), b));
  if (!strcmp(what, "Max")) return i64_max(a, b);
  if (!strcmp(what, "Min")) return i64_min(a, b);
  if (!strcmp(what, "Less")) return a < b;
  if (!strcmp(what, "LessOrEqual")) return a <= b;
  if (!strcmp(what, "Greater")) return a > b;
  if (!strcmp(what, "GreaterOrEqual")) return a >= b;
  if (!strcmp(what, "Equal")) return a == b;
  if (!strcmp(what, "NotEqual")) return a != b;
  if (!strcmp(what, "And")) return a && b;
  return !strcmp(what, "Or") ? a || b : TF_UNKNOWN;
}

static bool know_binary(tf_op *op) {
  const tf_value *a = tf_in(op, 0), *b = tf_in(op, 1);
  int64_t y[TF_ELEMENTS];
  if (!whole(a) || !whole(b)) return false;
  size_t m = a->element_count, n = b->element_count, count = m == 1 ? n : m;
  if ((m != n && m != 1 && n != 1) || count > TF_ELEMENTS) return false;
  for (size_t i = 0; i < count; i++) {
    int64_t p = a->elements[m == 1 ? 0 : i], q = b->elements[n == 1 ? 0 : i];
    y[i] = p == TF_UNKNOWN || q == TF_UNKNOWN ? TF_UNKNOWN : apply(op->kind->op, p, q);
    if (y[i] != TF_UNKNOWN && a->dtype == SDX_INT32) y[i] = (int32_t)y[i];
  }
  bool truth = op->kind->emit == compare || a->dtype == SDX_BOOL;
  return tf_know(op, 0, truth ? SDX_BOOL : a->dtype, a->rank > b->rank ? a->rank : b->rank, count, y);
}

static bool know_cast(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t y[TF_ELEMENTS];
  sdx_dtype to = tf_attr_dtype(op->node, "DstT");
  if (!whole(x) || (to != SDX_INT32 && to != SDX_INT64)) return false;
  for (size_t i = 0; i < x->element_count; i++)
    y[i] = x->elements[i] != TF_UNKNOWN && to == SDX_INT32 ? (int32_t)x->elements[i] : x->elements[i];
  return tf_know(op, 0, to, x->rank, x->element_count, y);
}

static bool know_select(tf_op *op) {
  const tf_value *c = tf_in(op, 0), *a = tf_in(op, 1), *b = tf_in(op, 2);
  if (!whole(c) || !whole(a) || !whole(b) || c->element_count != 1 || c->elements[0] == TF_UNKNOWN) return false;
  const tf_value *y = c->elements[0] ? a : b;
  return a->rank == b->rank && tf_know(op, 0, y->dtype, y->rank, y->element_count, y->elements);
}

static bool know_not(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  if (!whole(x) || x->element_count != 1 || x->elements[0] == TF_UNKNOWN) return false;
  return tf_know(op, 0, SDX_BOOL, x->rank, 1, (int64_t[]){!x->elements[0]});
}

const tf_kind tf_math_kinds[] = {
    {"Abs", unary, .op = "Abs"},
    {"Acos", unary, .op = "Acos"},
    {"Acosh", unary, .op = "Acosh"},
    {"Add", binary, .op = "Add", .know = know_binary},
    {"AddN", .emit = sum_of_many},
    {"AddV2", binary, .op = "Add", .know = know_binary},
    {"Asin", unary, .op = "Asin"},
    {"Asinh", unary, .op = "Asinh"},
    {"Atan", unary, .op = "Atan"},
    {"Atan2", .emit = atan2_of},
    {"Atanh", unary, .op = "Atanh"},
    {"BitwiseAnd", binary, .op = "BitwiseAnd"},
    {"BitwiseOr", binary, .op = "BitwiseOr"},
    {"BitwiseXor", binary, .op = "BitwiseXor"},
    {"Cast", cast, .know = know_cast},
    {"Ceil", unary, .op = "Ceil"},
    {"ClipByValue", .emit = clip_by_value},
    {"Cos", unary, .op = "Cos"},
    {"Cosh", unary, .op = "Cosh"},
    {"Div", quotient, .op = "/", .know = know_binary},
    {"DivNoNan", without_nan, .op = "div"},
    {"Elu", unary, .op = "Elu"},
    {"Equal", compare, .op = "Equal", .know = know_binary},
    {"Erf", unary, .op = "Erf"},
    {"Erfc", formula, .op = "c"},
    {"Exp", unary, .op = "Exp"},
    {"Expm1", precise, .op = "exp"},
    {"Floor", unary, .op = "Floor"},
    {"FloorDiv", quotient, .op = "F/", .know = know_binary},
    {"FloorMod", quotient, .op = "F%", .know = know_binary},
    {"Greater", compare, .op = "Greater", .know = know_binary},
    {"GreaterEqual", compare, .op = "GreaterOrEqual", .know = know_binary},
    {"Inv", unary, .op = "Reciprocal"},
    {"Invert", unary, .op = "BitwiseNot"},
    {"IsFinite", .emit = is_finite},
    {"IsInf", test, .op = "IsInf"},
    {"IsNan", test, .op = "IsNaN"},
    {"LeakyRelu", formula, .op = "l"},
    {"LeftShift", shift, .op = "LEFT"},
    {"Less", compare, .op = "Less", .know = know_binary},
    {"LessEqual", compare, .op = "LessOrEqual", .know = know_binary},
    {"Log", unary, .op = "Log"},
    {"Log1p", precise, .op = "log"},
    {"LogSoftmax", softmax, .op = "LogSoftmax"},
    {"LogicalAnd", binary, .op = "And", .know = know_binary},
    {"LogicalNot", unary, .op = "Not", .know = know_not},
    {"LogicalOr", binary, .op = "Or", .know = know_binary},
    {"Maximum", binary, .op = "Max", .know = know_binary},
    {"Minimum", binary, .op = "Min", .know = know_binary},
    {"Mod", quotient, .op = "%", .know = know_binary},
    {"Mul", binary, .op = "Mul", .know = know_binary},
    {"MulNoNan", without_nan, .op = "mul"},
    {"Neg", unary, .op = "Neg"},
    {"NotEqual", compare, .op = "NotEqual", .know = know_binary},
    {"Pow", binary, .op = "Pow"},
    {"RealDiv", binary, .op = "Div"},
    {"Reciprocal", unary, .op = "Reciprocal"},
    {"Relu", unary, .op = "Relu"},
    {"Relu6", formula, .op = "6"},
    {"RightShift", shift, .op = "RIGHT"},
    {"Rint", unary, .op = "Round"},
    {"Round", unary, .op = "Round"},
    {"Rsqrt", formula, .op = "r"},
    {"Select", select, .op = "1", .know = know_select},
    {"SelectV2", select, .op = "2", .know = know_select},
    {"Selu", unary, .op = "Selu"},
    {"Sigmoid", unary, .op = "Sigmoid"},
    {"Sign", unary, .op = "Sign"},
    {"Sin", unary, .op = "Sin"},
    {"Sinh", unary, .op = "Sinh"},
    {"Softmax", softmax, .op = "Softmax"},
    {"Softplus", unary, .op = "Softplus"},
    {"Softsign", unary, .op = "Softsign"},
    {"Sqrt", unary, .op = "Sqrt"},
    {"Square", formula, .op = "s"},
    {"SquaredDifference", .emit = squared_difference},
    {"Sub", binary, .op = "Sub", .know = know_binary},
    {"Tan", unary, .op = "Tan"},
    {"Tanh", unary, .op = "Tanh"},
    {"TruncateDiv", quotient, .op = "/", .know = know_binary},
    {"TruncateMod", quotient, .op = "%", .know = know_binary},
    {"Xdivy", without_nan, .op = "xdiv"},
    {"Xlogy", without_nan, .op = "xlog"},
    {0},
};

bool tf_by_element(const tf_kind *kind) {
  return kind >= tf_math_kinds && kind < tf_math_kinds + sizeof tf_math_kinds / sizeof *tf_math_kinds;
}
