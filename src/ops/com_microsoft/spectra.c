// SPDX-License-Identifier: Apache-2.0
// Rfft and Irfft, transforms of real signals over the last signal_ndim dimensions, as DFTs; ComplexMul and
// ComplexMulConj, products of pairs [..., 2], the second factor conjugate.
#include "ops/parts/rewrite.h"

// The number of dimensions of a signal; 0: error is set.
static int64_t signal_rank(op_upgrade *u) {
  int64_t rank = node_attr_int(u->node, "signal_ndim", 1);
  if (node_attr_int(u->node, "onesided", 1) != 1) upgrade_fail(u, SDX_NOT_SUPPORTED, "attribute 'onesided' is not 1");
  else if (node_attr_int(u->node, "normalized", 0) != 0)
    upgrade_fail(u, SDX_NOT_SUPPORTED, "attribute 'normalized' is not 0");
  else if (rank < 1 || rank > 3)
    upgrade_fail(u, SDX_NOT_SUPPORTED, "attribute 'signal_ndim' is %lld, expected 1 to 3", (long long)rank);
  else return rank;
  return 0;
}

static value_id transformed(op_upgrade *u, value_id x, int64_t axis, bool inverse, bool onesided) {
  return NODE_WITH("DFT", ATTRS(attr_of_int("inverse", inverse), attr_of_int("onesided", onesided)), x, VALUE_ABSENT,
                   rewrite_scalar(u, SDX_INT64, (double)axis));
}

static sdx_status rfft(op_upgrade *u) {
  int64_t rank = signal_rank(u);
  value_id x = NODE("Unsqueeze", IN(0), INTS(-1));
  for (int64_t d = 0; d < rank; d++) x = transformed(u, x, -2 - d, false, d == 0);
  return BECOME("Identity", x);
}

static sdx_status irfft(op_upgrade *u) {
  int64_t rank = signal_rank(u);
  value_id x = IN(0);
  for (int64_t d = rank; d-- > 0;) x = transformed(u, x, -2 - d, true, d == 0);
  return BECOME("Squeeze", x, INTS(-1));
}

static sdx_status product(op_upgrade *u, const char *real, const char *imaginary) {
  value_id a[2] = {0}, b[2] = {0}, in[2] = {IN(0), IN(1)};
  for (size_t i = 0; i < 2; i++)
    upgrade_insert_many(u, "Split", 1, &in[i], ATTRS(attr_of_int("axis", -1), attr_of_int("num_outputs", 2)), 2,
                        i ? b : a);
  value_id re = NODE(real, NODE("Mul", a[0], b[0]), NODE("Mul", a[1], b[1])),
           im = NODE(imaginary, NODE("Mul", a[1], b[0]), NODE("Mul", a[0], b[1]));
  return BECOME_WITH("Concat", ATTRS(attr_of_int("axis", -1)), re, im);
}
static sdx_status complex_mul(op_upgrade *u) { return product(u, "Sub", "Add"); }
static sdx_status complex_mul_conj(op_upgrade *u) { return product(u, "Add", "Sub"); }

SDX_CASES = {"X=float[2,8]", "X=float[2,6,4] signal_ndim=2", NULL};
static const char *const inverse_cases[] = {"X=float[2,5,2] signal_ndim=1", NULL};
static const char *const product_cases[] = {"A=float[3,4,2] B=float[4,2]", NULL};

// clang-format off
#define RECORD .since = 1, .versions = "1", .flags = OP_REWRITE, .types = "T=float,double,float16"
SDX_OP_MS(Rfft) = {RECORD, .inputs = "X:T", .outputs = "Y:T",
                   .attrs = "normalized:int=0 onesided:int=1 signal_ndim:int=1", .upgrade = rfft, .cases = cases};
SDX_OP_MS(Irfft) = {RECORD, .inputs = "X:T", .outputs = "Y:T",
                    .attrs = "normalized:int=0 onesided:int=1 signal_ndim:int!", .upgrade = irfft,
                    .cases = inverse_cases};
SDX_OP_MS(ComplexMul) = {RECORD, .inputs = "A:T B:T", .outputs = "C:T", .upgrade = complex_mul,
                         .cases = product_cases};
SDX_OP_MS(ComplexMulConj) = {RECORD, .inputs = "A:T B:T", .outputs = "C:T", .upgrade = complex_mul_conj,
                             .cases = product_cases};
// clang-format on
