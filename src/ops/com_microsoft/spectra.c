// SPDX-License-Identifier: Apache-2.0
// Rfft and Irfft, transforms of real signals over the last signal_ndim dimensions, as DFTs; ComplexMul and
// ComplexMulConj, products of pairs [..., 2], the second factor conjugate.
#include "ops/parts/rewrite.h"

// The number of dimensions of a signal; 0: error is set.
static int64_t signal_rank(op_upgrade *u) {
  int64_t rank = node_attr_int(u->node, "signal_ndim", 1);
  if (node_attr_int(u->node, "onesided", 1) != 1)
    upgrade_fail_at(u, at_attribute("onesided"), SDX_NOT_SUPPORTED, "is not 1");
  else if (node_attr_int(u->node, "normalized", 0) != 0)
    upgrade_fail_at(u, at_attribute("normalized"), SDX_NOT_SUPPORTED, "is not 0");
  else if (rank < 1 || rank > 3)
    upgrade_fail_at(u, at_attribute("signal_ndim"), SDX_NOT_SUPPORTED, "is %lld, expected 1 to 3", (long long)rank);
  else return rank;
  return 0;
}

static value_id transformed(op_upgrade *u, value_id x, int64_t axis, bool inverse, bool onesided) {
  attr attrs[] = {attr_of_int("inverse", inverse), attr_of_int("onesided", onesided)};
  value_id in[3] = {x, VALUE_ABSENT, scalar(u, SDX_INT64, (double)axis)};
  return upgrade_insert(u, "DFT", 3, in, attrs, 2);
}

static sdx_status rfft(op_upgrade *u) {
  int64_t rank = signal_rank(u);
  value_id x = insert2(u, "Unsqueeze", input(u, 0), ints1(u, -1));
  for (int64_t d = 0; d < rank; d++) x = transformed(u, x, -2 - d, false, d == 0);
  return become1(u, "Identity", x);
}

static sdx_status irfft(op_upgrade *u) {
  int64_t rank = signal_rank(u);
  value_id x = input(u, 0);
  for (int64_t d = rank; d-- > 0;) x = transformed(u, x, -2 - d, true, d == 0);
  return become2(u, "Squeeze", x, ints1(u, -1));
}

static sdx_status product(op_upgrade *u, const char *real, const char *imaginary) {
  value_id a[2], b[2];
  split2(u, input(u, 0), -1, a);
  split2(u, input(u, 1), -1, b);
  value_id reals = insert2(u, "Mul", a[0], b[0]), imaginaries = insert2(u, "Mul", a[1], b[1]);
  value_id re = insert2(u, real, reals, imaginaries);
  value_id crossed = insert2(u, "Mul", a[1], b[0]), back = insert2(u, "Mul", a[0], b[1]);
  value_id im = insert2(u, imaginary, crossed, back);
  SDX_TRY(become2(u, "Concat", re, im));
  return upgrade_set_attr(u, u->node, attr_of_int("axis", -1));
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
