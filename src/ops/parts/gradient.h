// SPDX-License-Identifier: Apache-2.0
// Rules of reverse-mode differentiation: what the derivative by an operator's outputs gives its inputs, as nodes.
// Nothing is known about shapes yet, so rules work for any: what depends on shapes is computed from Shape nodes, which
// plans compute once. gradient_elementwise.c, gradient_products.c, gradient_reductions.c and gradient_moves.c have the
// rules, each at its end a table; gradient.c has what they share.
//
// To differentiate another operator: write its rule and its row in the table of the file where it belongs.
#pragma once

#include "ops/parts/rewrite.h"

// A node on the way back.
typedef struct gradient_step {
  op_upgrade *u;
  arena *memory;  // for what lives as long as the walk
  const node *n;
  const char *op_type;
  const uint8_t *active;  // which values depend on what is differentiated by
  value_id *adjoint;      // derivative by each value, 0 while nothing reached it
  value_id *in, *out;     // operands and results, as they are in this walk
  value_id *dy;           // derivatives by the results, 0 = none
} gradient_step;

// x: the first operand, y: the first result, g: the derivative by it.
typedef struct gradient_rule {
  const char *op_type;
  value_id (*first)(gradient_step *s, op_upgrade *u, value_id x, value_id y, value_id g);  // derivative by x
  void (*each)(gradient_step *s, op_upgrade *u, value_id x, value_id y, value_id g);       // gives what it has
} gradient_rule;  // with neither: piecewise constant, nothing gets back

extern const gradient_rule gradient_elementwise[], gradient_products[], gradient_reductions[], gradient_moves[];

const gradient_rule *gradient_find_rule(const node *n);  // NULL: none is known
void gradient_apply(const gradient_rule *rule, gradient_step *s);

// ---- for rules ----------------------------------------------------------------------------------

bool gradient_wants(const gradient_step *s, size_t input);
// `v`, of the shape of input `i`, is part of the derivative by it.
void gradient_give(gradient_step *s, size_t i, value_id v);
// The same where `i` was broadcast to the shape of `v`.
void gradient_give_sum(gradient_step *s, size_t i, value_id v);
// Sums `v` over the dimensions along which `like` was broadcast to it.
value_id gradient_sum_to(op_upgrade *u, value_id v, value_id like);
// The rule does not cover this form of the operator.
void gradient_refuse(gradient_step *s, const char *why);

static inline value_id add(op_upgrade *u, value_id a, value_id b) { return insert2(u, "Add", a, b); }
static inline value_id sub(op_upgrade *u, value_id a, value_id b) { return insert2(u, "Sub", a, b); }
static inline value_id mul(op_upgrade *u, value_id a, value_id b) { return insert2(u, "Mul", a, b); }
static inline value_id divide(op_upgrade *u, value_id a, value_id b) { return insert2(u, "Div", a, b); }
static inline value_id negate(op_upgrade *u, value_id a) { return insert1(u, "Neg", a); }
static inline value_id square(op_upgrade *u, value_id a) { return mul(u, a, a); }
static inline value_id shape_of(op_upgrade *u, value_id a) { return insert1(u, "Shape", a); }
static inline value_id expand_like(op_upgrade *u, value_id v, value_id like) {
  return insert2(u, "Expand", v, shape_of(u, like));
}
static inline value_id reshape_like(op_upgrade *u, value_id v, value_id like) {
  return with_attr(u, insert2(u, "Reshape", v, shape_of(u, like)), attr_of_int("allowzero", 1));
}
static inline value_id filled_like(op_upgrade *u, double number, value_id like) {
  return expand_like(u, scalar_like(u, number, like), like);
}
