// SPDX-License-Identifier: Apache-2.0
// QLinearMatMul: the int32 product of A - a_zero_point and B - b_zero_point, requantised with
// a_scale * b_scale / y_scale. Scales and zero points are one number or one for each row of A / column of B.
//
// The quotient is rounded half to even before y_zero_point is added, as onnxruntime and QuantizeLinear do;
// the ONNX reference adds first, which differs on exact halves where the zero point is odd.
//
// float8 operands are multiplied as the floats they stand for, and their zero points are 0 by definition.
//
// History: 10 float scales; 21 float16 and bfloat16 scales, float8.
#include "ops/parts/int_product.h"

#include "base/float8.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/floats.h"
#include "ops/parts/quantization.h"
#include "tensor/convert.h"

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO };

static sdx_status qlinear_matmul_infer(op_step *c) {
  static const matmul_params plain;
  return matmul_infer_shape(c, &plain, A, B, infer_dtype_of(c, Y_ZERO));
}

static bool is_float8(const tensor *t) { return float8_of((sdx_dtype)t->dtype) != NULL; }

static sdx_status qlinear_matmul_prepare(op_step *c) {
  int_product *p = arena_zalloc(c->memory, sizeof *p);
  size_t sums = 0;
  if (!p) return error_no_memory(c->err, sizeof *p);
  c->state = p;
  if (is_float8(step_in(c, A)) && is_float8(step_in(c, B)) && is_float8(step_out(c, 0)))
    return matmul_layout(c, &(matmul_params){.alpha = 1}, step_in(c, A), step_in(c, B), step_out(c, 0), &p->shape);
  SDX_TRY(int_product_prepare(c, p, A, B, step_out(c, 0)));
  if (!size_mul(step_out(c, 0)->count, sizeof(int32_t), &sums) ||
      !scratch_reserve(&c->scratch_bytes, p->scratch_bytes) || !scratch_reserve(&c->scratch_bytes, sums))
    return error_no_memory(c->err, SIZE_MAX);
  return SDX_OK;
}

// Element by element: float8 has no integer kernel, and models rarely have it here.
static sdx_status compute_float8(op_step *c, const product *p) {
  const tensor *a = step_in(c, A), *b = step_in(c, B), *a_scale = step_in(c, A_SCALE), *b_scale = step_in(c, B_SCALE);
  tensor *y = step_out(c, 0);
  const float8_kind *kind_a = float8_of((sdx_dtype)a->dtype), *kind_b = float8_of((sdx_dtype)b->dtype),
                    *kind = float8_of((sdx_dtype)y->dtype);
  float y_scale = scale_at(step_in(c, Y_SCALE), 0);
  for (size_t i = 0; i < y->count; i++) {
    size_t row = i / p->n, column = i % p->n, matrix = row / p->m;
    const uint8_t *at_a = (const uint8_t *)a->data + (p->a.index ? p->a.index[matrix] : matrix) * p->a.batch,
                  *at_b = (const uint8_t *)b->data + (p->b.index ? p->b.index[matrix] : matrix) * p->b.batch;
    double sum = 0;
    for (size_t k = 0; k < p->k; k++)
      sum += (double)float8_to_float(kind_a, at_a[row % p->m * p->a.row + k * p->a.column]) *
             (double)float8_to_float(kind_b, at_b[k * p->b.row + column * p->b.column]);
    float scale = scale_at(a_scale, a_scale->count == 1 ? 0 : row % a_scale->count) *
                  scale_at(b_scale, b_scale->count == 1 ? 0 : column) / y_scale;
    ((uint8_t *)y->data)[i] = float8_from_float(kind, (float)(sum * (double)scale), true);
    if (column == 0) SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

static sdx_status qlinear_matmul_compute(op_step *c) {
  const int_product *p = c->state;
  const tensor *a_scale = step_in(c, A_SCALE), *b_scale = step_in(c, B_SCALE), *y_scale = step_in(c, Y_SCALE),
               *y_zero = step_in(c, Y_ZERO);
  tensor *y = step_out(c, 0);
  if (y->count == 0) return SDX_OK;
  size_t n = p->shape.n, rows = y->count / n;
  for (size_t i = Y_SCALE; i <= Y_ZERO; i++)
    if (step_in(c, i)->count != 1)
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %zu elements, expected 1", step_in(c, i)->count);
  if (a_scale->count == 0 || rows % a_scale->count)
    return step_fail_at(c, part_named(PART_INPUT, STR("a_scale")), SDX_INVALID_SHAPE,
                        "has %zu elements, expected 1 or one for each row", a_scale->count);
  if (b_scale->count != 1 && b_scale->count != n)
    return step_fail_at(c, part_named(PART_INPUT, STR("b_scale")), SDX_INVALID_SHAPE,
                        "has %zu elements, expected 1 or %zu", b_scale->count, n);
  if (is_float8(step_in(c, A)) && is_float8(step_in(c, B)) && is_float8(y)) return compute_float8(c, &p->shape);
  char *scratch = c->scratch;
  void *own = scratch_take(&scratch, p->scratch_bytes);
  SDX_TRY(int_product_run(c, p, A_ZERO, B_ZERO, (int32_t *)scratch, own));
  requantize_rows(c, &(requantization){.sums = (int32_t *)scratch,
                                       .y = y->data,
                                       .rows = rows,
                                       .columns = n,
                                       .a_scale = a_scale,
                                       .b_scale = b_scale,
                                       .y_scale = scale_at(y_scale, 0),
                                       .y_zero = zero_at(y_zero, 0),
                                       .is_signed = y->dtype == SDX_INT8});
  return SDX_OK;
}

SDX_CASES = {
    "a=uint8[3,4] a_scale=float(0.01) a_zero_point=uint8(113) b=uint8[4,5] b_scale=float(0.02) b_zero_point=uint8(114) "
    "y_scale=float(0.1) y_zero_point=uint8(118)",
    "a=float8e4m3fn[2,3,4] a_scale=float(0.5) a_zero_point=float8e4m3fn(0) b=float8e4m3fn[4,5] b_scale=float(0.25) "
    "b_zero_point=float8e4m3fn(0) y_scale=float(0.5) y_zero_point=float8e4m3fn(0)",
    NULL};

#define QUANTIZED "int8,uint8,float8e4m3fn,float8e4m3fnuz,float8e5m2,float8e5m2fnuz"
SDX_OP(QLinearMatMul) = {
    .since = 21,
    .versions = "21 10",
    .inputs = "a:T1 a_scale:TS a_zero_point:T1 b:T2 b_scale:TS b_zero_point:T2 y_scale:TS y_zero_point:T3",
    .outputs = "y:T3",
    .types = "TS=float,float16,bfloat16;T1=" QUANTIZED ";T2=" QUANTIZED ";T3=" QUANTIZED,
    .infer = qlinear_matmul_infer,
    .prepare = qlinear_matmul_prepare,
    .compute = qlinear_matmul_compute,
    .cases = cases,
};
