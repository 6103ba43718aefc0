// SPDX-License-Identifier: Apache-2.0
// Activations that exporters write as several nodes, all of them products of x and a squashed x:
//   Swish      x * Sigmoid(a x)
//   HardSwish  x * HardSigmoid(x), or x * Clip(x + 3, 0, 6) / 6
//   Gelu       x * (Erf(x / sqrt 2) + 1) / 2
// A product is read as coefficient * term * term, whatever the order of its factors. The parts stay for
// other readers, or go as dead.
#include <math.h>

#include "passes/match.h"

typedef struct product {
  double coefficient;
  value_id terms[2];
  size_t count;
} product;

// The one-element float constant among a node's two inputs; `other` is the other input.
static bool scalar_operand(const graph *g, const node *n, float *scalar, value_id *other) {
  for (size_t i = n->input_count == 2 ? 0 : 2; i < 2; i++) {
    const tensor *t = n->inputs[i] ? g->values[n->inputs[i]].constant : NULL;
    if (!t || t->dtype != SDX_FLOAT || t->count != 1) continue;
    *scalar = *(const float *)t->data;
    *other = n->inputs[1 - i];
    return true;
  }
  return false;
}

// Mul by, or Div by, a number.
static bool scaled(const graph *g, value_id v, double *by, value_id *of) {
  const node *n = match_producer(g, v);
  float scalar;
  bool is_div = match_is(n, "Div");
  if ((!is_div && !match_is(n, "Mul")) || !scalar_operand(g, n, &scalar, of)) return false;
  if (is_div && *of != n->inputs[0]) return false;
  *by = is_div ? 1.0 / scalar : scalar;
  return true;
}

static void add_term(product *p, value_id v) {
  if (p->count < 2) p->terms[p->count] = v;
  p->count++;
}

// Factors of v: numbers are multiplied together, one Mul of two tensors may lie below them.
static void read_product(const graph *g, value_id v, product *p) {
  double by;
  for (value_id of; scaled(g, v, &by, &of); v = of) p->coefficient *= by;
  const node *n = match_producer(g, v);
  for (size_t i = 0; i < 2 && match_is(n, "Mul"); i++) {
    value_id term = n->inputs[i];
    for (value_id of; scaled(g, term, &by, &of); term = of) p->coefficient *= by;
    add_term(p, term);
  }
}

static bool near(double a, double b) { return fabs(a - b) <= 1e-5 * fabs(b); }

// v = x + number
static bool is_sum(const graph *g, value_id v, double number, value_id *x) {
  const node *n = match_producer(g, v);
  float scalar;
  return match_is(n, "Add") && scalar_operand(g, n, &scalar, x) && near(scalar, number);
}

// The factor that an inner value has of x; 0 if it is not a multiple of x.
static double multiple_of(const graph *g, value_id v, value_id x) {
  double by, all = 1;
  for (value_id of; v != x && scaled(g, v, &by, &of); v = of) all *= by;
  return v == x ? all : 0;
}

typedef struct activation_match {
  const char *op_type;
  float alpha;
} activation_match;

// What x times `squashed` times the coefficient is.
static bool recognise(const graph *g, value_id x, value_id squashed, double coefficient, activation_match *m) {
  const node *n = match_producer(g, squashed);
  value_id inner;
  if (match_is(n, "Sigmoid") && coefficient == 1) {
    *m = (activation_match){"Swish", (float)multiple_of(g, n->inputs[0], x)};
    return m->alpha != 0;
  }
  if (match_is(n, "HardSigmoid") && near(coefficient, 1)) {
    *m = (activation_match){"HardSwish", 0};
    return n->inputs[0] == x && near(node_attr_float(n, "alpha", 0.2f), 1.0 / 6) &&
           near(node_attr_float(n, "beta", 0.5f), 0.5);
  }
  if (match_is(n, "Clip") && near(coefficient, 1.0 / 6)) {
    float low, high;
    *m = (activation_match){"HardSwish", 0};
    return match_scalar(g, n, 1, -INFINITY, &low) && match_scalar(g, n, 2, INFINITY, &high) && low == 0 && high == 6 &&
           is_sum(g, n->inputs[0], 3, &inner) && inner == x;
  }
  if (near(coefficient, 0.5) && is_sum(g, squashed, 1, &inner)) {
    const node *erf = match_producer(g, inner);
    *m = (activation_match){"Gelu", 0};
    return match_is(erf, "Erf") && near(multiple_of(g, erf->inputs[0], x), M_SQRT1_2);
  }
  return false;
}

// All other factors are numbers, which can add no more than dimensions of 1 in front.
static bool keeps_shape(const graph *g, value_id x, value_id result) {
  const type_info *from = &g->values[x].type, *to = &g->values[result].type;
  return from->kind == TYPE_TENSOR && from->rank >= 0 && from->rank == to->rank;
}

static sdx_status fuse(pass_context *c, node *last, value_id x, const activation_match *m) {
  graph *g = c->graph;
  node *made = graph_add_node(g, (str){0}, str_from(m->op_type), 1, &x, 1, last->outputs, c->err);
  if (!made) return SDX_NO_MEMORY;
  made->name = last->name;
  if (m->alpha != 0) SDX_TRY(node_set_attr(g, made, attr_of_float("alpha", m->alpha)));
  last->dead = c->changed = true;
  return op_bind(g, made, 0, c->err);
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  for (uint32_t i = 0, count = g->node_count; i < count; i++) {
    node *last = g->nodes[i];
    if ((!match_is(last, "Mul") && !match_is(last, "Div")) || g->values[last->outputs[0]].type.dtype != SDX_FLOAT)
      continue;
    product p = {.coefficient = 1};
    read_product(g, last->outputs[0], &p);
    for (size_t k = 0; k < 2 && p.count == 2; k++) {
      activation_match m;
      value_id x = p.terms[k];
      if (!recognise(g, x, p.terms[1 - k], p.coefficient, &m) || !keeps_shape(g, x, last->outputs[0])) continue;
      SDX_TRY(fuse(c, last, x, &m));
      break;
    }
  }
  return SDX_OK;
}

const pass_def pass_fuse_products = {.name = "fuse_products",
                                     .help = "recognises Swish, HardSwish and Gelu written as several nodes",
                                     .level = 2,
                                     .reassociates = true,
                                     .run = run};
