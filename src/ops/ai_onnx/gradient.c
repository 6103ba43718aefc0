// SPDX-License-Identifier: Apache-2.0
// Gradient (ai.onnx.preview.training): the derivative of the sum of a tensor `y` of the graph by the tensors `xs`,
// written out at import as ordinary nodes by reverse-mode differentiation. The nodes between xs, zs and y are found,
// copied where other tensors are fed for xs and zs than the named ones, and walked backwards; a rule per operator says
// what the derivative by its outputs gives its inputs. Nothing is known about shapes yet, so rules work for any: what
// depends on shapes is computed from Shape nodes, which plans compute once.
//
// To differentiate another operator: write its rule and its row in the table.
#include "base/size.h"
#include "ops/parts/rewrite.h"
#include "ops/schema.h"

typedef struct reverse {
  op_upgrade *u;
  arena memory;
  node **order;  // inputs before readers
  size_t count;
  value_id values;    // as many as the tables below know; younger ones are ours
  value_id *image;    // what stands for a value when xs and zs are fed
  value_id *adjoint;  // derivative of y by it, 0 while nothing reached it
  uint8_t *active;    // depends on one of xs
} reverse;

// A node on the way back: operands as images, derivatives by outputs (0 = none).
typedef struct step {
  op_upgrade *u;
  reverse *r;
  const node *n;
  const char *op_type;
  value_id *in, *out, *dy;
} step;

#define ADD(a, b) NODE("Add", a, b)
#define SUB(a, b) NODE("Sub", a, b)
#define MUL(a, b) NODE("Mul", a, b)
#define DIV(a, b) NODE("Div", a, b)
#define NEG(a) NODE("Neg", a)
#define SHAPE(a) NODE("Shape", a)
#define SQUARE(a) NODE("Mul", a, a)
#define LIST(attrs) (attrs), sizeof(attrs) / sizeof *(attrs)
#define NUMBER(like, number) NODE("CastLike", rewrite_scalar(u, SDX_DOUBLE, number), like)

static bool wants(const step *s, size_t input) {
  return input < s->n->input_count && s->n->inputs[input] && s->r->active[s->n->inputs[input]];
}

// `v`, of the shape of input `i`, is part of the derivative by it.
static void give(step *s, size_t i, value_id v) {
  op_upgrade *u = s->u;
  if (!wants(s, i) || !v) return;
  value_id *sum = &s->r->adjoint[s->n->inputs[i]];
  *sum = *sum ? ADD(*sum, v) : v;
}

static value_id filled(op_upgrade *u, value_id like, double number) {
  return NODE("Expand", NUMBER(like, number), SHAPE(like));
}

// Sums `v` over the dimensions along which `like` was broadcast to it.
static value_id sum_to(op_upgrade *u, value_id v, value_id like) {
  value_id shape = SHAPE(like), missing = SUB(NODE("Size", SHAPE(v)), NODE("Size", shape));
  value_id ones = NODE("Expand", INTS(1), NODE("Reshape", missing, INTS(1)));
  value_id padded = NODE_WITH("Concat", ATTRS(attr_of_int("axis", 0)), ones, shape);
  value_id differs = NODE("Not", NODE("Equal", padded, SHAPE(v)));
  value_id axes = NODE("Reshape", NODE("NonZero", differs), INTS(-1));
  value_id sum = NODE_WITH("ReduceSum", ATTRS(attr_of_int("noop_with_empty_axes", 1)), v, axes);
  return NODE_WITH("Reshape", ATTRS(attr_of_int("allowzero", 1)), sum, shape);
}
static void give_sum(step *s, size_t i, value_id v) {
  if (wants(s, i) && v) give(s, i, sum_to(s->u, v, s->in[i]));
}
static value_id reshaped(op_upgrade *u, value_id v, value_id like) {
  return NODE_WITH("Reshape", ATTRS(attr_of_int("allowzero", 1)), v, SHAPE(like));
}

// The rule does not cover this form of the operator.
static void refuse(step *s, const char *why) {
  if (s->u->err->status == SDX_OK)
    upgrade_fail(s->u, SDX_NOT_SUPPORTED, "the derivative of %s '%.*s' is not known: %s", s->op_type,
                 STR_ARG(s->n->name), why);
}

// ---- elementwise ----------------------------------------------------------------------------------------

#define RULE(name) static void name(step *s, op_upgrade *u, value_id x, value_id y, value_id g)
#define UNUSED (void)s, (void)u, (void)x, (void)y, (void)g
#define UNARY(name, value) \
  RULE(name) {             \
    UNUSED;                \
    give(s, 0, value);     \
  }
UNARY(identity, g)
UNARY(neg, NEG(g))
UNARY(abs_rule, MUL(g, NODE("Sign", x)))
UNARY(exp_rule, MUL(g, y))
UNARY(log_rule, DIV(g, x))
UNARY(sqrt_rule, DIV(MUL(g, NUMBER(x, 0.5)), y))
UNARY(reciprocal, NEG(MUL(g, SQUARE(y))))
UNARY(sin_rule, MUL(g, NODE("Cos", x)))
UNARY(cos_rule, NEG(MUL(g, NODE("Sin", x))))
UNARY(tan_rule, MUL(g, ADD(NUMBER(x, 1), SQUARE(y))))
UNARY(asin_rule, DIV(g, NODE("Sqrt", SUB(NUMBER(x, 1), SQUARE(x)))))
UNARY(acos_rule, NEG(DIV(g, NODE("Sqrt", SUB(NUMBER(x, 1), SQUARE(x))))))
UNARY(atan_rule, DIV(g, ADD(NUMBER(x, 1), SQUARE(x))))
UNARY(sinh_rule, MUL(g, NODE("Cosh", x)))
UNARY(cosh_rule, MUL(g, NODE("Sinh", x)))
UNARY(tanh_rule, MUL(g, SUB(NUMBER(x, 1), SQUARE(y))))
UNARY(asinh_rule, DIV(g, NODE("Sqrt", ADD(SQUARE(x), NUMBER(x, 1)))))
UNARY(acosh_rule, DIV(g, NODE("Sqrt", SUB(SQUARE(x), NUMBER(x, 1)))))
UNARY(atanh_rule, DIV(g, SUB(NUMBER(x, 1), SQUARE(x))))
UNARY(sigmoid, MUL(g, MUL(y, SUB(NUMBER(x, 1), y))))
UNARY(softplus, MUL(g, NODE("Sigmoid", x)))
UNARY(softsign, DIV(g, SQUARE(ADD(NUMBER(x, 1), NODE("Abs", x)))))
UNARY(erf_rule, MUL(g, MUL(NUMBER(x, 1.1283791670955126), NODE("Exp", NEG(SQUARE(x))))))
UNARY(relu, NODE("Where", NODE("Greater", x, NUMBER(x, 0)), g, NUMBER(x, 0)))
UNARY(leaky_relu,
      NODE("Where", NODE("Less", x, NUMBER(x, 0)), MUL(g, NUMBER(x, node_attr_float(s->n, "alpha", 0.01f))), g))
UNARY(elu,
      NODE("Where", NODE("Less", x, NUMBER(x, 0)), MUL(g, ADD(y, NUMBER(x, node_attr_float(s->n, "alpha", 1)))), g))
UNARY(same_elements, reshaped(u, g, x))
UNARY(thresholded_relu,
      NODE("Where", NODE("Greater", x, NUMBER(x, node_attr_float(s->n, "alpha", 1))), g, NUMBER(x, 0)))
UNARY(celu, MUL(g, NODE("Exp", DIV(NODE("Min", x, NUMBER(x, 0)), NUMBER(x, node_attr_float(s->n, "alpha", 1))))))
UNARY(mish, MUL(g, ADD(NODE("Tanh", NODE("Softplus", x)),
                       MUL(MUL(x, NODE("Sigmoid", x)), SUB(NUMBER(x, 1), SQUARE(NODE("Tanh", NODE("Softplus", x))))))))
UNARY(hard_swish, MUL(g, NODE("Where", NODE("Greater", NODE("Abs", x), NUMBER(x, 3)), NODE("Sign", NODE("Relu", x)),
                              ADD(DIV(x, NUMBER(x, 3)), NUMBER(x, 0.5)))))
RULE(selu) {
  UNUSED;
  double gamma = (double)node_attr_float(s->n, "gamma", 1.05070102214813232421875f);
  double alpha = (double)node_attr_float(s->n, "alpha", 1.67326319217681884765625f);
  value_id below = ADD(y, NUMBER(x, gamma * alpha));
  give(s, 0, MUL(g, NODE("Where", NODE("Greater", x, NUMBER(x, 0)), NUMBER(x, gamma), below)));
}
RULE(hard_sigmoid) {
  UNUSED;
  value_id slope = NUMBER(x, node_attr_float(s->n, "alpha", 0.2f)), zero = NUMBER(x, 0);
  value_id moves = NODE("And", NODE("Greater", y, zero), NODE("Less", y, NUMBER(x, 1)));
  give(s, 0, NODE("Where", moves, MUL(g, slope), zero));
}
RULE(swish) {
  UNUSED;
  value_id alpha = NUMBER(x, node_attr_float(s->n, "alpha", 1)), z = NODE("Sigmoid", MUL(alpha, x));
  give(s, 0, MUL(g, ADD(z, MUL(MUL(alpha, x), MUL(z, SUB(NUMBER(x, 1), z))))));
}
RULE(gelu) {
  UNUSED;
  const attr *approximate = node_attr(s->n, "approximate");
  value_id half = NUMBER(x, 0.5), one = NUMBER(x, 1), slope;
  if (approximate && str_is(approximate->s, "tanh")) {  // x (1 + t) / 2, t = tanh(c (x + k x^3))
    value_id c = NUMBER(x, 0.7978845608028654), k = NUMBER(x, 0.044715), kxx = MUL(k, SQUARE(x));
    value_id t = NODE("Tanh", MUL(c, MUL(x, ADD(one, kxx))));
    value_id inner = MUL(c, ADD(one, MUL(NUMBER(x, 3), kxx)));
    slope = ADD(MUL(half, ADD(one, t)), MUL(MUL(half, x), MUL(SUB(one, SQUARE(t)), inner)));
  } else {
    value_id share = MUL(half, ADD(one, NODE("Erf", MUL(x, NUMBER(x, 0.7071067811865476)))));
    slope = ADD(share, MUL(MUL(x, NUMBER(x, 0.3989422804014327)), NODE("Exp", NEG(MUL(half, SQUARE(x))))));
  }
  give(s, 0, MUL(g, slope));
}
RULE(dropout) {
  UNUSED;
  if (s->n->input_count > 2 && s->n->inputs[2]) refuse(s, "it has a training mode");
  else give(s, 0, g);
}

RULE(cast) {
  UNUSED;
  int64_t to = node_attr_int(s->n, "to", SDX_FLOAT);  // through integers nothing gets back
  if (dtype_is_float((sdx_dtype)to)) give(s, 0, NODE("CastLike", g, x));
}
UNARY(cast_like, NODE("CastLike", g, x))

RULE(add) {
  UNUSED;
  for (uint32_t i = 0; i < s->n->input_count; i++) give_sum(s, i, g);
}
RULE(mean) {
  UNUSED;
  value_id part = DIV(g, NUMBER(x, s->n->input_count));
  for (uint32_t i = 0; i < s->n->input_count; i++) give_sum(s, i, part);
}
RULE(sub) {
  UNUSED;
  give_sum(s, 0, g);
  if (wants(s, 1)) give_sum(s, 1, NEG(g));
}
RULE(mul) {
  UNUSED;
  if (wants(s, 0)) give_sum(s, 0, MUL(g, s->in[1]));
  if (wants(s, 1)) give_sum(s, 1, MUL(g, x));
}
RULE(div_rule) {
  UNUSED;
  if (wants(s, 0)) give_sum(s, 0, DIV(g, s->in[1]));
  if (wants(s, 1)) give_sum(s, 1, NEG(DIV(MUL(g, y), s->in[1])));
}
RULE(pow_rule) {
  UNUSED;
  value_id power = NODE("CastLike", s->in[1], x), zero = NUMBER(x, 0);
  if (wants(s, 0)) give_sum(s, 0, MUL(g, MUL(power, NODE("Pow", x, SUB(power, NUMBER(x, 1))))));
  if (!wants(s, 1)) return;
  value_id slope = NODE("Where", NODE("Equal", x, zero), zero, MUL(g, MUL(y, NODE("Log", x))));  // 0^p stays 0
  give_sum(s, 1, NODE("CastLike", slope, s->in[1]));
}
RULE(prelu) {
  UNUSED;
  value_id below = NODE("Less", x, NUMBER(x, 0));
  if (wants(s, 0)) give(s, 0, NODE("Where", below, MUL(g, s->in[1]), g));
  if (wants(s, 1)) give_sum(s, 1, NODE("Where", below, MUL(g, x), NUMBER(x, 0)));
}
RULE(where) {
  UNUSED;
  value_id zero = NUMBER(g, 0);
  if (wants(s, 1)) give_sum(s, 1, NODE("Where", x, g, zero));
  if (wants(s, 2)) give_sum(s, 2, NODE("Where", x, zero, g));
}
RULE(clip) {
  UNUSED;
  value_id zero = NUMBER(x, 0);
  give(s, 0, NODE("Where", NODE("Equal", x, y), g, zero));
  if (wants(s, 1)) give_sum(s, 1, NODE("Where", NODE("Less", x, s->in[1]), g, zero));
  if (wants(s, 2)) give_sum(s, 2, NODE("Where", NODE("Greater", x, s->in[2]), g, zero));
}
// Max, Min: inputs that tie share.
RULE(extreme) {
  UNUSED;
  value_id ties = VALUE_ABSENT;
  for (uint32_t i = 0; i < s->n->input_count; i++) {
    value_id tie = NODE("CastLike", NODE("Equal", s->in[i], y), y);
    ties = ties ? ADD(ties, tie) : tie;
  }
  value_id part = DIV(g, ties);
  for (uint32_t i = 0; i < s->n->input_count; i++)
    if (wants(s, i)) give_sum(s, i, NODE("Where", NODE("Equal", s->in[i], y), part, NUMBER(y, 0)));
}

// ---- products -------------------------------------------------------------------------------------------

static value_id gemm_of(op_upgrade *u, value_id a, value_id b, float alpha, bool trans_a, bool trans_b) {
  return NODE_WITH("Gemm",
                   ATTRS(attr_of_float("alpha", alpha), attr_of_int("transA", trans_a), attr_of_int("transB", trans_b)),
                   a, b);
}
RULE(gemm) {
  UNUSED;
  float alpha = node_attr_float(s->n, "alpha", 1);
  bool ta = node_attr_int(s->n, "transA", 0) != 0, tb = node_attr_int(s->n, "transB", 0) != 0;
  value_id b = s->in[1];
  if (wants(s, 0)) give(s, 0, ta ? gemm_of(u, b, g, alpha, tb, true) : gemm_of(u, g, b, alpha, false, !tb));
  if (wants(s, 1)) give(s, 1, tb ? gemm_of(u, g, x, alpha, true, ta) : gemm_of(u, x, g, alpha, !ta, false));
  if (wants(s, 2)) give_sum(s, 2, MUL(g, NUMBER(g, node_attr_float(s->n, "beta", 1))));
}

// Elements [from, to) of a shape.
static value_id part_of(op_upgrade *u, value_id shape, value_id from, value_id to) {
  return NODE("Slice", shape, from, to);
}
// Vectors become matrices of one row or column, as MatMul itself takes them.
RULE(matmul) {
  UNUSED;
  value_id b = s->in[1], sx = SHAPE(x), sb = SHAPE(b), sg = SHAPE(g), one = INTS(1), two = INTS(2);
  value_id x_rank = SHAPE(sx), b_rank = SHAPE(sb);
  value_id x_own = NODE("Min", x_rank, two), b_own = NODE("Min", b_rank, two);
  value_id rows = NODE("Expand", one, SUB(two, x_own)), columns = NODE("Expand", one, SUB(two, b_own));
  attr first[] = {attr_of_int("axis", 0)}, all[] = {attr_of_int("allowzero", 1)};
  value_id x_shape = NODE_WITH("Concat", LIST(first), rows, sx),
           b_shape = NODE_WITH("Concat", LIST(first), sb, columns);
  value_id most = INTS(INT64_MAX), last = INTS(-1), before = INTS(-2);
  value_id stacked = SUB(SHAPE(sg), SUB(ADD(x_own, b_own), two));  // dimensions of g that are neither
  value_id g_shape = NODE_WITH("Concat", LIST(first), part_of(u, sg, INTS(0), stacked),
                               part_of(u, x_shape, before, last), part_of(u, b_shape, last, most));
  value_id gm = NODE_WITH("Reshape", LIST(all), g, g_shape);
  value_id turned[2], in[2] = {x, b}, shapes[2] = {x_shape, b_shape}, product[2];
  attr swap[] = {attr_of_string("equation", "...ij->...ji")};
  for (int i = 0; i < 2; i++) {
    if (!wants(s, 1 - (size_t)i)) continue;
    turned[i] = NODE_WITH("Einsum", LIST(swap), NODE_WITH("Reshape", LIST(all), in[i], shapes[i]));
    product[1 - i] = i ? NODE("MatMul", gm, turned[i]) : NODE("MatMul", turned[i], gm);
    value_id like = NODE_WITH("Reshape", LIST(all), in[1 - i], shapes[1 - i]);
    give(s, 1 - (size_t)i, reshaped(u, sum_to(u, product[1 - i], like), in[1 - i]));
  }
}

// ---- reductions -----------------------------------------------------------------------------------------

// A reduced tensor with the reduced dimensions as 1.
static value_id kept(step *s, op_upgrade *u, value_id v) {
  bool as_it_is = node_attr_int(s->n, "keepdims", 1) != 0 || s->n->input_count < 2 || !s->n->inputs[1];
  return as_it_is ? v : NODE("Unsqueeze", v, s->in[1]);
}
#define REDUCTION(name, value)                       \
  RULE(name) {                                       \
    UNUSED;                                          \
    value_id kg = kept(s, u, g), ky = kept(s, u, y); \
    (void)ky;                                        \
    give(s, 0, value);                               \
  }
#define SPREAD(v) NODE("Expand", v, SHAPE(x))
#define COUNT(v) NODE("CastLike", NODE("Size", v), g)
REDUCTION(reduce_sum, SPREAD(kg))
REDUCTION(reduce_mean, SPREAD(MUL(kg, DIV(COUNT(y), COUNT(x)))))
REDUCTION(reduce_sum_square, MUL(kg, MUL(x, NUMBER(x, 2))))
REDUCTION(reduce_l1, MUL(kg, NODE("Sign", x)))
REDUCTION(reduce_l2, MUL(x, DIV(kg, ky)))
REDUCTION(reduce_log_sum, SPREAD(DIV(kg, NODE("Exp", ky))))
REDUCTION(reduce_log_sum_exp, MUL(kg, NODE("Exp", SUB(x, ky))))
REDUCTION(reduce_prod, DIV(MUL(kg, ky), x))

RULE(reduce_extreme) {
  UNUSED;
  value_id ties = NODE("CastLike", NODE("Equal", x, kept(s, u, y)), g), in[2] = {ties, VALUE_ABSENT};
  if (s->n->input_count > 1) in[1] = s->in[1];
  attr attrs[] = {attr_of_int("keepdims", 1),
                  attr_of_int("noop_with_empty_axes", node_attr_int(s->n, "noop_with_empty_axes", 0))};
  give(s, 0, MUL(ties, DIV(kept(s, u, g), upgrade_insert(u, "ReduceSum", 2, in, attrs, 2))));
}

// The axes of a softmax: those from the axis on in files of before opset 13.
static value_id softmax_sum(step *s, op_upgrade *u, value_id v) {
  int64_t axis = node_attr_int(s->n, "axis", -1);
  value_id axes = INTS(axis);
  if (node_attr_int(s->n, "_flatten", 0)) {
    value_id rank = NODE("Size", SHAPE(v)), from = rewrite_scalar(u, SDX_INT64, (double)axis);
    axes = NODE("Range", axis < 0 ? ADD(rank, from) : from, rank, rewrite_scalar(u, SDX_INT64, 1));
  }
  return NODE("ReduceSum", v, axes);
}
UNARY(softmax, MUL(y, SUB(g, softmax_sum(s, u, MUL(g, y)))))
UNARY(log_softmax, SUB(g, MUL(NODE("Exp", y), softmax_sum(s, u, g))))
UNARY(cum_sum, NODE_WITH("CumSum",
                         ATTRS(attr_of_int("exclusive", node_attr_int(s->n, "exclusive", 0)),
                               attr_of_int("reverse", !node_attr_int(s->n, "reverse", 0))),
                         g, s->in[1]))

RULE(layer_normalization) {
  UNUSED;
  int64_t axis = node_attr_int(s->n, "axis", -1);
  value_id rank = NODE("Size", SHAPE(x)), from = rewrite_scalar(u, SDX_INT64, (double)axis), scale = s->in[1];
  value_id axes = NODE("Range", axis < 0 ? ADD(rank, from) : from, rank, rewrite_scalar(u, SDX_INT64, 1));
  value_id centred = SUB(x, NODE("ReduceMean", x, axes));
  value_id spread = ADD(NODE("ReduceMean", SQUARE(centred), axes), NUMBER(x, node_attr_float(s->n, "epsilon", 1e-5f)));
  value_id inverse = NODE("Reciprocal", NODE("Sqrt", spread)), normal = MUL(centred, inverse), scaled = MUL(g, scale);
  if (wants(s, 0)) {
    value_id along = MUL(normal, NODE("ReduceMean", MUL(scaled, normal), axes));
    give(s, 0, MUL(inverse, SUB(SUB(scaled, NODE("ReduceMean", scaled, axes)), along)));
  }
  if (wants(s, 1)) give_sum(s, 1, MUL(g, normal));
  if (wants(s, 2)) give_sum(s, 2, g);
}

// ---- convolutions and pools -------------------------------------------------------------------------------

enum { MOST_SPATIAL = 8 };

// The spatial dimensions of a window, from what its attributes or operands declare; 0 = nothing does.
static size_t spatial_rank(const step *s) {
  static const char *const names[] = {"kernel_shape", "strides", "dilations"};
  for (size_t i = 0; i < 3; i++) {
    const attr *a = node_attr(s->n, names[i]);
    if (a && a->ints.count) return a->ints.count;
  }
  for (uint32_t i = 0; i < s->n->input_count && i < 2; i++) {
    const type_info *t = type_best_known(&s->u->graph->values[s->n->inputs[i]]);
    if (s->n->inputs[i] && t->kind == TYPE_TENSOR && t->rank > 2) return (size_t)t->rank - 2;
  }
  return 0;
}

static const int64_t *ints_or(const step *s, const char *name, size_t count, const int64_t *otherwise) {
  const attr *a = node_attr(s->n, name);
  return a && a->ints.count == count ? a->ints.at : otherwise;
}

// [a, groups * b, ...] as [a, groups, b, ...] with these three in another order, then joined to two: the latter two of
// them or the former two.
static value_id regroup(op_upgrade *u, value_id v, int64_t groups, const int64_t *front, size_t spatial,
                        bool join_second) {
  int64_t perm[3 + MOST_SPATIAL];
  attr first[] = {attr_of_int("axis", 0)};
  value_id shape = SHAPE(v), rest = NODE("Slice", shape, INTS(2), INTS(INT64_MAX));
  value_id split = NODE_WITH("Concat", LIST(first), NODE("Gather", shape, INTS(0)), INTS(groups, -1), rest);
  for (size_t i = 0; i < 3 + spatial; i++) perm[i] = i < 3 ? front[i] : (int64_t)i;
  value_id turned = NODE_WITH("Transpose", ATTRS(attr_of_ints("perm", perm, 3 + spatial)), NODE("Reshape", v, split));
  value_id own = NODE("Gather", SHAPE(turned), join_second ? INTS(0) : INTS(2));
  return NODE("Reshape", turned,
              join_second ? NODE_WITH("Concat", LIST(first), own, INTS(-1), rest)
                          : NODE_WITH("Concat", LIST(first), INTS(-1), own, rest));
}

RULE(conv) {
  UNUSED;
  int64_t ones[MOST_SPATIAL], zeros[2 * MOST_SPATIAL] = {0}, axes[MOST_SPATIAL], extra[MOST_SPATIAL],
                                        sums[1 + MOST_SPATIAL] = {0};
  size_t n = spatial_rank(s);
  const attr *pad = node_attr(s->n, "auto_pad");
  bool automatic = pad && !str_is(pad->s, "NOTSET") && !str_is(pad->s, "VALID");
  if (n == 0 || n > MOST_SPATIAL || automatic) {
    refuse(s, automatic ? "auto_pad depends on shapes" : "nothing declares its rank");
    return;
  }
  for (size_t i = 0; i < n; i++) ones[i] = 1, axes[i] = sums[1 + i] = (int64_t)i + 2;
  const int64_t *strides = ints_or(s, "strides", n, ones), *dilations = ints_or(s, "dilations", n, ones);
  const int64_t *pads = ints_or(s, "pads", 2 * n, zeros);
  int64_t groups = node_attr_int(s->n, "group", 1);
  value_id w = s->in[1], along = rewrite_constant(u, axes, n), begin = rewrite_constant(u, pads, n);
  for (size_t i = 0; i < n; i++) extra[i] = strides[i] - 1;
  if (wants(s, 0)) {  // without padding it reaches from the first padded element beyond the last one of x
    attr attrs[] = {attr_of_ints("strides", strides, n), attr_of_ints("dilations", dilations, n),
                    attr_of_ints("output_padding", extra, n), attr_of_int("group", groups)};
    value_id size = NODE("Slice", SHAPE(x), INTS(2), INTS(INT64_MAX));
    give(s, 0, NODE("Slice", NODE_WITH("ConvTranspose", LIST(attrs), g, w), begin, ADD(begin, size), along));
  }
  if (wants(s, 1)) {  // x with its batch as channels, g with its batch as filters
    attr attrs[] = {attr_of_ints("strides", dilations, n), attr_of_ints("dilations", strides, n),
                    attr_of_ints("pads", pads, 2 * n), attr_of_int("group", groups)};
    int64_t swap[2 + MOST_SPATIAL] = {1, 0};
    for (size_t i = 0; i < n; i++) swap[2 + i] = axes[i];
    value_id xs = regroup(u, x, groups, (const int64_t[]){2, 1, 0}, n, true);
    value_id gs = regroup(u, g, groups, (const int64_t[]){1, 2, 0}, n, false);
    value_id made = NODE_WITH("Conv", LIST(attrs), xs, gs), size = NODE("Slice", SHAPE(w), INTS(2), INTS(INT64_MAX));
    value_id part = NODE("Slice", made, rewrite_constant(u, zeros, n), size, along);
    give(s, 1, NODE_WITH("Transpose", ATTRS(attr_of_ints("perm", swap, 2 + n)), part));
  }
  if (wants(s, 2))
    give(s, 2, NODE_WITH("ReduceSum", ATTRS(attr_of_int("keepdims", 0)), g, rewrite_constant(u, sums, 1 + n)));
}

UNARY(global_average_pool, MUL(NODE("Expand", g, SHAPE(x)), DIV(COUNT(y), COUNT(x))))

// ---- movements ------------------------------------------------------------------------------------------

RULE(transpose) {
  UNUSED;
  const attr *perm = node_attr(s->n, "perm");
  size_t rank = perm ? perm->ints.count : 0;
  int64_t *inverse = arena_array(u->graph->memory, rank, sizeof *inverse);
  if (!inverse) {
    error_no_memory(u->err, rank * sizeof *inverse);
    return;
  }
  for (size_t i = 0; i < rank; i++)
    if (perm->ints.at[i] >= 0 && (size_t)perm->ints.at[i] < rank) inverse[perm->ints.at[i]] = (int64_t)i;
  attr a = attr_of_ints("perm", inverse, rank);
  give(s, 0, upgrade_insert(u, "Transpose", 1, &g, &a, perm != NULL));
}
UNARY(expand, sum_to(u, g, x))
UNARY(trilu, upgrade_insert(u, "Trilu", s->n->input_count, (value_id[]){g, s->n->input_count > 1 ? s->in[1] : 0},
                            s->n->attrs, s->n->attr_count))

RULE(concat) {
  UNUSED;
  int64_t axis = node_attr_int(s->n, "axis", 0);
  size_t count = s->n->input_count;
  attr along[] = {attr_of_int("axis", axis)}, first[] = {attr_of_int("axis", 0)};
  value_id *at = arena_array(&s->r->memory, count, sizeof *at);
  if (!at) {
    error_no_memory(u->err, count * sizeof *at);
    return;
  }
  for (size_t i = 0; i < count; i++) at[i] = NODE("Gather", SHAPE(s->in[i]), INTS(axis));
  value_id in[2] = {g, upgrade_insert(u, "Concat", count, at, first, 1)};
  if (!upgrade_insert_many(u, "Split", 2, in, along, 1, count, at)) return;
  for (size_t i = 0; i < count; i++) give(s, i, at[i]);
}

// The same operator with these inputs.
static bool again(step *s, op_upgrade *u, const value_id *in, value_id *out) {
  return upgrade_insert_many(u, s->op_type, s->n->input_count, in, s->n->attrs, s->n->attr_count, s->n->output_count,
                             out);
}
static value_id flat(op_upgrade *u, value_id v) { return NODE("Reshape", v, INTS(-1)); }

// Elements of `what` added up at flat positions among `slots` ones.
static value_id gathered(op_upgrade *u, value_id from, value_id what, value_id slots) {
  attr scatter[] = {attr_of_int("axis", 0), attr_of_string("reduction", "add")};
  return NODE_WITH("ScatterElements", LIST(scatter), NODE("Expand", NUMBER(what, 0), slots), from, what);
}

RULE(max_pool) {  // which says itself where its elements are from
  UNUSED;
  value_id out[2];
  if (node_attr_int(s->n, "storage_order", 0)) refuse(s, "it stores columns first");
  if (!upgrade_insert_many(u, "MaxPool", 1, &x, s->n->attrs, s->n->attr_count, 2, out)) return;
  give(s, 0, reshaped(u, gathered(u, flat(u, out[1]), flat(u, g), NODE("Reshape", NODE("Size", x), INTS(1))), x));
}

// What only moves elements moves their positions to where the derivatives are: these are added up there. Padding
// comes from a position of its own behind the others.
static void moved(step *s, op_upgrade *u, value_id x, bool pads) {
  value_id zero = rewrite_scalar(u, SDX_INT64, 0), one = rewrite_scalar(u, SDX_INT64, 1), size = NODE("Size", x);
  size_t inputs = s->n->input_count, outputs = s->n->output_count;
  value_id *in = arena_array(&s->r->memory, inputs + 3, sizeof *in);
  value_id *out = arena_array(&s->r->memory, 2 * outputs, sizeof *out);
  if (!in || !out) {
    error_no_memory(u->err, (inputs + outputs) * sizeof *in);
    return;
  }
  memcpy(in, s->in, inputs * sizeof *in);
  in[0] = reshaped(u, NODE("Range", zero, size, one), x);
  if (pads && inputs > 2) in[2] = size;
  step copy = *s;
  node padded = *s->n;
  if (pads && inputs < 3) {
    in[2] = size;
    padded.input_count = 3;
    copy.n = &padded;
  }
  if (!again(&copy, u, in, out)) return;
  for (size_t i = 0; i < outputs; i++) {
    value_id dy = s->dy[i] ? s->dy[i] : filled(u, s->out[i], 0);
    out[i] = flat(u, out[i]);
    out[outputs + i] = flat(u, dy);
  }
  attr first[] = {attr_of_int("axis", 0)};
  value_id from = upgrade_insert(u, "Concat", outputs, out, first, 1);
  value_id what = upgrade_insert(u, "Concat", outputs, out + outputs, first, 1);
  value_id slots = NODE("Reshape", pads ? ADD(size, one) : size, INTS(1));
  value_id sums = gathered(u, from, what, slots);
  value_id end = NODE("Reshape", size, INTS(1));
  give(s, 0, reshaped(u, pads ? NODE("Slice", sums, INTS(0), end) : sums, x));
  if (pads && wants(s, 2)) give(s, 2, reshaped(u, NODE("Slice", sums, end, INTS(INT64_MAX)), s->in[2]));
}
RULE(move) {
  UNUSED;
  moved(s, u, x, false);
}
RULE(pad) {
  UNUSED;
  const attr *mode = node_attr(s->n, "mode");
  moved(s, u, x, !mode || str_is(mode->s, "constant"));
}

// ---- the table ------------------------------------------------------------------------------------------

// A NULL rule: piecewise constant, nothing gets back.
static const struct rule {
  const char *op_type;
  void (*apply)(step *s, op_upgrade *u, value_id x, value_id y, value_id g);
} rules[] = {
    {"Abs", abs_rule},
    {"Acos", acos_rule},
    {"Acosh", acosh_rule},
    {"Add", add},
    {"ArgMax", NULL},
    {"ArgMin", NULL},
    {"Asin", asin_rule},
    {"Asinh", asinh_rule},
    {"Atan", atan_rule},
    {"Atanh", atanh_rule},
    {"Cast", cast},
    {"CastLike", cast_like},
    {"Ceil", NULL},
    {"Celu", celu},
    {"Clip", clip},
    {"Compress", move},
    {"Concat", concat},
    {"ConstantOfShape", NULL},
    {"Conv", conv},
    {"Cos", cos_rule},
    {"Cosh", cosh_rule},
    {"CumSum", cum_sum},
    {"DepthToSpace", move},
    {"Div", div_rule},
    {"Dropout", dropout},
    {"Elu", elu},
    {"Equal", NULL},
    {"Erf", erf_rule},
    {"Exp", exp_rule},
    {"Expand", expand},
    {"EyeLike", NULL},
    {"Flatten", same_elements},
    {"Floor", NULL},
    {"Gather", move},
    {"GatherElements", move},
    {"GatherND", move},
    {"Gelu", gelu},
    {"Gemm", gemm},
    {"GlobalAveragePool", global_average_pool},
    {"Greater", NULL},
    {"GreaterOrEqual", NULL},
    {"HardSigmoid", hard_sigmoid},
    {"HardSwish", hard_swish},
    {"Hardmax", NULL},
    {"Identity", identity},
    {"IsInf", NULL},
    {"IsNaN", NULL},
    {"LayerNormalization", layer_normalization},
    {"LeakyRelu", leaky_relu},
    {"Less", NULL},
    {"LessOrEqual", NULL},
    {"Log", log_rule},
    {"LogSoftmax", log_softmax},
    {"MatMul", matmul},
    {"Max", extreme},
    {"MaxPool", max_pool},
    {"Mean", mean},
    {"Min", extreme},
    {"Mish", mish},
    {"Mul", mul},
    {"Neg", neg},
    {"NonZero", NULL},
    {"PRelu", prelu},
    {"Pad", pad},
    {"Pow", pow_rule},
    {"Reciprocal", reciprocal},
    {"ReduceL1", reduce_l1},
    {"ReduceL2", reduce_l2},
    {"ReduceLogSum", reduce_log_sum},
    {"ReduceLogSumExp", reduce_log_sum_exp},
    {"ReduceMax", reduce_extreme},
    {"ReduceMean", reduce_mean},
    {"ReduceMin", reduce_extreme},
    {"ReduceProd", reduce_prod},
    {"ReduceSum", reduce_sum},
    {"ReduceSumSquare", reduce_sum_square},
    {"Relu", relu},
    {"Reshape", same_elements},
    {"Round", NULL},
    {"Selu", selu},
    {"Shape", NULL},
    {"Sigmoid", sigmoid},
    {"Sign", NULL},
    {"Sin", sin_rule},
    {"Sinh", sinh_rule},
    {"Size", NULL},
    {"Slice", move},
    {"Softmax", softmax},
    {"Softplus", softplus},
    {"Softsign", softsign},
    {"SpaceToDepth", move},
    {"Split", move},
    {"Sqrt", sqrt_rule},
    {"Squeeze", same_elements},
    {"Sub", sub},
    {"Sum", add},
    {"Swish", swish},
    {"Tan", tan_rule},
    {"Tanh", tanh_rule},
    {"ThresholdedRelu", thresholded_relu},
    {"Tile", move},
    {"Transpose", transpose},
    {"Trilu", trilu},
    {"Unsqueeze", same_elements},
    {"Where", where},
};

static const struct rule *find_rule(const node *n) {
  for (size_t i = 0; n->domain.size == 0 && i < sizeof rules / sizeof *rules; i++)
    if (str_is(n->op_type, rules[i].op_type)) return &rules[i];
  return NULL;
}

// ---- the walk -------------------------------------------------------------------------------------------

static sdx_status find_value(op_upgrade *u, str name, const char *what, value_id *out) {
  *out = graph_find(u->graph, name);
  if (*out) return SDX_OK;
  return upgrade_fail(u, SDX_INVALID_GRAPH, "attribute '%s' names '%.*s', which is no tensor of this graph", what,
                      STR_ARG(name));
}

// The nodes that compute y, inputs before readers; not beyond what is fed.
static sdx_status find_order(reverse *r, value_id y) {
  const graph *g = r->u->graph;
  typedef struct visit {
    node *n;
    uint32_t next;
  } visit;
  visit *stack = arena_array(&r->memory, (size_t)g->node_count + 1, sizeof *stack);
  r->order = arena_array(&r->memory, (size_t)g->node_count + 1, sizeof *r->order);
  uint8_t *seen = arena_array(&r->memory, (size_t)g->node_count + 1, sizeof *seen);
  if (!stack || !r->order || !seen) return error_no_memory(r->u->err, g->node_count * sizeof *stack);
  size_t depth = 0;
  value_id next = y;
  for (;;) {
    uint32_t producer = next && !r->image[next] ? g->values[next].producer : 0;
    if (producer && producer <= g->node_count && !seen[producer]) {
      seen[producer] = 1;
      stack[depth++] = (visit){g->nodes[producer - 1], 0};
    }
    if (!depth) return SDX_OK;
    visit *top = &stack[depth - 1];
    uint32_t i = top->next++;
    const node *n = top->n;
    next = VALUE_ABSENT;
    if (i < n->input_count) next = n->inputs[i];
    else if (i < n->input_count + n->capture_count) next = n->captures[i - n->input_count];
    else r->order[r->count++] = stack[--depth].n;
  }
}

static value_id image_of(const reverse *r, value_id v) { return v && r->image[v] ? r->image[v] : v; }

static bool touches(const reverse *r, const value_id *at, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (at[i] && image_of(r, at[i]) != at[i]) return true;
  return false;
}

// Nodes that read what is replaced, once more.
static sdx_status copy_nodes(reverse *r) {
  op_upgrade *u = r->u;
  for (size_t k = 0; k < r->count; k++) {
    const node *n = r->order[k];
    for (uint32_t i = 0; i < n->output_count; i++)
      for (uint32_t j = 0; j < n->input_count + n->capture_count; j++) {
        value_id v = j < n->input_count ? n->inputs[j] : n->captures[j - n->input_count];
        if (n->outputs[i] && v && r->active[v]) r->active[n->outputs[i]] = 1;
      }
    if (touches(r, n->captures, n->capture_count))
      return upgrade_fail(u, SDX_NOT_SUPPORTED, "%.*s '%.*s' cannot be computed with other tensors",
                          STR_ARG(n->op_type), STR_ARG(n->name));
    if (!touches(r, n->inputs, n->input_count)) continue;
    value_id *in = arena_array(&r->memory, (size_t)n->input_count + 1, sizeof *in);
    value_id *out = arena_array(&r->memory, (size_t)n->output_count + 1, sizeof *out);
    if (!in || !out) return error_no_memory(u->err, n->input_count * sizeof *in);
    for (uint32_t i = 0; i < n->input_count; i++) in[i] = image_of(r, n->inputs[i]);
    for (uint32_t i = 0; i < n->output_count; i++) {
      if (!n->outputs[i]) continue;
      out[i] = graph_add_value(u->graph, STR(""));
      if (!out[i]) return error_no_memory(u->err, sizeof(graph_value));
      r->image[n->outputs[i]] = out[i];
    }
    node *copy = graph_add_node(u->graph, n->domain, n->op_type, n->input_count, in, n->output_count, out, u->err);
    if (!copy) return u->err->status;
    copy->name = n->name;
    for (uint32_t i = 0; i < n->attr_count; i++)
      if (node_set_attr(u->graph, copy, n->attrs[i]) != SDX_OK) return error_no_memory(u->err, sizeof(attr));
  }
  return SDX_OK;
}

static sdx_status walk_back(reverse *r) {
  op_upgrade *u = r->u;
  for (size_t k = r->count; k-- > 0 && u->err->status == SDX_OK;) {
    const node *n = r->order[k];
    size_t inputs = n->input_count, outputs = n->output_count;
    value_id *at = arena_array(&r->memory, inputs + 2 * outputs + 1, sizeof *at);
    if (!at) return error_no_memory(u->err, inputs * sizeof *at);
    step s = {.u = u, .r = r, .n = n, .in = at, .out = at + inputs, .dy = at + inputs + outputs};
    bool reached = false;
    for (size_t i = 0; i < inputs; i++) s.in[i] = image_of(r, n->inputs[i]);
    for (size_t i = 0; i < outputs; i++) {
      value_id v = n->outputs[i];
      s.out[i] = image_of(r, v);
      s.dy[i] = v && r->active[v] ? r->adjoint[v] : VALUE_ABSENT;
      reached = reached || s.dy[i];
    }
    if (!reached) continue;
    const struct rule *rule = find_rule(n);
    if (!rule)
      return upgrade_fail(u, SDX_NOT_SUPPORTED,
                          "the derivative of operator %.*s (node '%.*s'), which is between 'xs' and 'y', is not known",
                          STR_ARG(n->op_type), STR_ARG(n->name));
    s.op_type = rule->op_type;
    if (rule->apply) rule->apply(&s, u, inputs ? s.in[0] : VALUE_ABSENT, s.out[0], s.dy[0]);
  }
  return u->err->status;
}

static sdx_status expand_in(reverse *r, const attr *xs, const attr *zs, value_id *grads) {
  op_upgrade *u = r->u;
  size_t count = xs->strings.count, fed = count + (zs ? zs->strings.count : 0);
  value_id *ids = arena_array(&r->memory, fed + 1, sizeof *ids), y;
  r->values = u->graph->value_count;
  r->image = arena_array(&r->memory, r->values, sizeof *r->image);
  r->adjoint = arena_array(&r->memory, r->values, sizeof *r->adjoint);
  r->active = arena_array(&r->memory, r->values, sizeof *r->active);
  if (!ids || !r->image || !r->adjoint || !r->active) return error_no_memory(u->err, r->values * sizeof *ids);
  for (size_t i = 0; i < fed; i++) {
    SDX_TRY(find_value(u, i < count ? xs->strings.at[i] : zs->strings.at[i - count], i < count ? "xs" : "zs", &ids[i]));
    r->image[ids[i]] = IN(i);
    if (i < count) r->active[ids[i]] = 1;
  }
  SDX_TRY(find_value(u, node_attr(u->node, "y")->s, "y", &y));
  SDX_TRY(find_order(r, y));
  SDX_TRY(copy_nodes(r));
  r->adjoint[y] = filled(u, image_of(r, y), 1);
  SDX_TRY(walk_back(r));
  for (size_t i = 0; i < count; i++) grads[i] = r->adjoint[ids[i]] ? r->adjoint[ids[i]] : filled(u, IN(i), 0);
  return u->err->status;
}

static sdx_status gradient_upgrade(op_upgrade *u) {
  node *n = u->node;
  const attr *xs = node_attr(n, "xs"), *zs = node_attr(n, "zs");
  size_t count = xs->strings.count, fed = count + (zs ? zs->strings.count : 0);
  if (fed != n->input_count || count < n->output_count || !n->output_count)
    return upgrade_fail(u, SDX_INVALID_GRAPH,
                        "'xs' and 'zs' name %zu tensors and 'xs' %zu, but the node has %u inputs and %u outputs", fed,
                        count, n->input_count, n->output_count);
  for (uint32_t i = 0; i < n->input_count; i++)
    if (!n->inputs[i]) return upgrade_fail(u, SDX_INVALID_GRAPH, "input %u is left out", i);
  reverse r = {.u = u};
  arena_init(&r.memory, u->graph->memory->account);
  value_id *grads = arena_array(&r.memory, count, sizeof *grads);
  sdx_status status = grads ? expand_in(&r, xs, zs, grads) : error_no_memory(u->err, count * sizeof *grads);
  uint32_t last = n->output_count - 1;  // trailing outputs that are not wanted are gone by now
  for (uint32_t i = 0; status == SDX_OK && i < last; i++) rewrite_output(u, i, grads[i]);
  if (status == SDX_OK) {
    n->outputs[0] = n->outputs[last];
    n->output_count = 1;
    status = BECOME("Identity", grads[last]);
  }
  arena_deinit(&r.memory);
  return status;
}

SDX_OP_TRAINING(Gradient) = {
    .since = 1,
    .versions = "1",
    .inputs = "Inputs:T1+",
    .outputs = "Outputs:T2+",
    .types = "T1=any;T2=float16,float,double",
    .attrs = "xs:strings! y:string! zs:strings",
    .flags = OP_REWRITE | OP_LATE,
    .upgrade = gradient_upgrade,
};
