// SPDX-License-Identifier: Apache-2.0
// MatMulInteger: Y = (A - a_zero_point) (B - b_zero_point) in int32, exact but for wrap. Shapes as MatMul.
// a_zero_point is one number or one for each row of A, b_zero_point one number or one for each column of B.
#include "ops/parts/int_product.h"

enum { A, B, A_ZERO, B_ZERO };

static sdx_status matmul_integer_infer(op_step *c) {
  static const matmul_params plain;
  return matmul_infer_shape(c, &plain, A, B, SDX_INT32);
}

static sdx_status matmul_integer_prepare(op_step *c) {
  int_product *p = arena_zalloc(c->memory, sizeof *p);
  if (!p) return error_no_memory(c->err, sizeof *p);
  c->state = p;
  SDX_TRY(int_product_prepare(c, p, A, B, step_out(c, 0)));
  c->scratch_bytes = p->scratch_bytes;
  return SDX_OK;
}

static sdx_status matmul_integer_compute(op_step *c) {
  tensor *y = step_out(c, 0);
  return y->count ? int_product_run(c, c->state, A_ZERO, B_ZERO, y->data, c->scratch) : SDX_OK;
}

SDX_CASES = {"A=uint8[3,4] B=uint8[4,5] a_zero_point=uint8(12) b_zero_point=uint8(3)",
             "A=uint8[2,3,4] B=int8[4,5] a_zero_point=uint8(1) b_zero_point=int8(1,2,3,4,5)", "A=int8[2,3] B=int8[3,2]",
             NULL};

SDX_OP(MatMulInteger) = {
    .since = 10,
    .versions = "10",
    .inputs = "A:T1 B:T2 a_zero_point:T1? b_zero_point:T2?",
    .outputs = "Y:T3",
    .types = "T1=int8,uint8;T2=int8,uint8;T3=int32",
    .infer = matmul_integer_infer,
    .prepare = matmul_integer_prepare,
    .compute = matmul_integer_compute,
    .cases = cases,
};
