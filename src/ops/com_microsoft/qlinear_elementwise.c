// SPDX-License-Identifier: Apache-2.0
// Elementwise operators on 8-bit tensors: dequantise, compute in float, quantise.
//
//   QLinearAdd, QLinearMul        broadcast two tensors
//   QLinearSigmoid, QLinearLeakyRelu  one tensor: a table of its 256 values
//
// The quotient is rounded half to even before the zero point is added. Absent zero points are 0.
#include <math.h>

#include "kernels/quantize/quantize.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/quantization.h"
#include "tensor/convert.h"

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO };

// scale and zero point at inputs i and i + 1.
static sdx_status read_linear(op_step *c, size_t i, const char *name, quantize_scale *out) {
  const tensor *scale = step_in(c, i), *zero = step_in(c, i + 1);
  if (scale->count != 1 || (zero && zero->count != 1))
    return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %zu elements, expected 1", scale->count);
  *out = (quantize_scale){scale_at(scale, 0), zero_at(zero, 0)};
  return SDX_OK;
}

static sdx_status check_scalars(op_step *c, size_t count, const size_t *at) {
  for (size_t i = 0; i < count; i++) SDX_TRY(infer_per_channel(c, at[i], 1));
  return SDX_OK;
}

// Both signs as int: values of a byte in the tensor's type.
static int value_of(uint8_t byte, bool is_signed) { return is_signed ? (int8_t)byte : byte; }
static uint8_t byte_of(float v, quantize_scale y, bool is_signed) {
  float q = rintf(v / y.scale) + (float)y.zero, low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
  return (uint8_t)(int)(q > low ? (q < high ? q : high) : low);
}

// ---- two inputs -----------------------------------------------------------------------------------

static sdx_status qlinear_elementwise_binary_infer(op_step *c) {
  SDX_TRY(check_scalars(c, 6, (const size_t[]){A_SCALE, A_ZERO, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO}));
  int ra = infer_rank_of(c, A), rb = infer_rank_of(c, B);
  if (ra < 0 || rb < 0) return infer_output(c, 0, infer_dtype_of(c, A), -1, NULL);
  // infer_broadcast takes neighbours; these two are three apart.
  const type_info *pair[2] = {c->in_types[A], c->in_types[B]};
  op_step two = *c;
  two.in_types = pair;
  two.input_count = 2;
  return infer_broadcast(&two, 0, 0, 2, infer_dtype_of(c, A));
}

typedef struct pair_work {
  quantize_pair pair;
  const quantize_kernel *kernel;
  bool is_signed, multiply;
} pair_work;

static void pair_run(const pair_work *w, const void *a, const void *b, void *y, size_t n) {
  const quantize_kernel *k = w->kernel;
  if (w->is_signed) (w->multiply ? k->mul_s8 : k->add_s8)(&w->pair, a, b, y, n);
  else (w->multiply ? k->mul_u8 : k->add_u8)(&w->pair, a, b, y, n);
}

// An operand of one element is written out for a block of the row.
static void pair_row(const void *context, void *y, const void *a, const void *b, size_t n, unsigned scalar) {
  enum { BLOCK = 512 };
  uint8_t ones_of_a[BLOCK], ones_of_b[BLOCK];
  if (!scalar) {
    pair_run(context, a, b, y, n);
    return;
  }
  if (scalar & ROW_A_SCALAR) memset(ones_of_a, *(const uint8_t *)a, n < BLOCK ? n : BLOCK);
  if (scalar & ROW_B_SCALAR) memset(ones_of_b, *(const uint8_t *)b, n < BLOCK ? n : BLOCK);
  for (size_t i = 0; i < n; i += BLOCK)
    pair_run(context, scalar & ROW_A_SCALAR ? ones_of_a : (const uint8_t *)a + i,
             scalar & ROW_B_SCALAR ? ones_of_b : (const uint8_t *)b + i, (uint8_t *)y + i,
             n - i < BLOCK ? n - i : BLOCK);
}

static sdx_status pair_compute(op_step *c, bool multiply) {
  tensor *y = step_out(c, 0);
  pair_work w = {.kernel = KERNEL_BEST(quantize), .is_signed = y->dtype == SDX_INT8, .multiply = multiply};
  SDX_TRY(read_linear(c, A_SCALE, "A_scale", &w.pair.a));
  SDX_TRY(read_linear(c, B_SCALE, "B_scale", &w.pair.b));
  SDX_TRY(read_linear(c, Y_SCALE, "C_scale", &w.pair.y));
  return binary_run_row(c, y, step_in(c, A), step_in(c, B), pair_row, &w, GRAIN_CHEAP);
}
static sdx_status qlinear_add_compute(op_step *c) { return pair_compute(c, false); }
static sdx_status qlinear_mul_compute(op_step *c) { return pair_compute(c, true); }

// ---- one input ------------------------------------------------------------------------------------

enum { X, X_SCALE, X_ZERO, OUT_SCALE, OUT_ZERO };

typedef struct unary_params {
  float alpha;
} unary_params;

static sdx_status qlinear_leaky_relu_read(op_params_context *c, void *params) {
  ((unary_params *)params)->alpha = params_float(c, "alpha");
  return SDX_OK;
}

static sdx_status qlinear_elementwise_unary_infer(op_step *c) {
  SDX_TRY(check_scalars(c, 4, (const size_t[]){X_SCALE, X_ZERO, OUT_SCALE, OUT_ZERO}));
  return infer_same(c, 0, X);
}

typedef struct table {
  const uint8_t *x;
  uint8_t *y, map[256];
} table;

static void look_up(void *context, size_t begin, size_t end, size_t worker) {
  const table *t = context;
  for (size_t i = begin; i < end; i++) t->y[i] = t->map[t->x[i]];
}

static sdx_status unary_compute(op_step *c, bool sigmoid) {
  const tensor *x = step_in(c, X);
  tensor *y = step_out(c, 0);
  table t = {.x = x->data, .y = y->data};
  bool is_signed = x->dtype == SDX_INT8;
  quantize_scale in, out;
  SDX_TRY(read_linear(c, X_SCALE, "X_scale", &in));
  SDX_TRY(read_linear(c, OUT_SCALE, "Y_scale", &out));
  for (int i = 0; i < 256; i++) {
    float v = (float)(value_of((uint8_t)i, is_signed) - in.zero) * in.scale;
    if (sigmoid) v = 1 / (1 + expf(-v));
    else if (v < 0) v *= ((const unary_params *)c->params)->alpha;
    t.map[i] = byte_of(v, out, is_signed);
  }
  call_parallel(c, x->count, 65536, look_up, &t);
  return SDX_OK;
}
static sdx_status qlinear_sigmoid_compute(op_step *c) { return unary_compute(c, true); }
static sdx_status qlinear_leaky_relu_compute(op_step *c) { return unary_compute(c, false); }

SDX_CASES = {
    "A=uint8[2,3,4] A_scale=float(0.1) A_zero_point=uint8(3) B=uint8[3,1] B_scale=float(0.2) B_zero_point=uint8(5) "
    "C_scale=float(0.3) C_zero_point=uint8(7)",
    NULL};
static const char *const unary_cases[] = {
    "X=int8[2,3,4] X_scale=float(0.1) X_zero_point=int8(3) Y_scale=float(0.01) Y_zero_point=int8(-5)", NULL};

#define BINARY                                                                                                   \
  .since = 1, .versions = "1", .types = "T=uint8,int8", .flags = OP_POINTWISE,                                   \
  .infer = qlinear_elementwise_binary_infer, .cases = cases,                                                     \
  .inputs = "A:T A_scale:float A_zero_point:T? B:T B_scale:float B_zero_point:T? C_scale:float C_zero_point:T?", \
  .outputs = "C:T"
#define UNARY                                                                  \
  .since = 1, .versions = "1", .types = "T=uint8,int8", .flags = OP_POINTWISE, \
  .infer = qlinear_elementwise_unary_infer, .cases = unary_cases,              \
  .inputs = "X:T X_scale:float X_zero_point:T? Y_scale:float Y_zero_point:T?", .outputs = "Y:T"

SDX_OP_MS(QLinearAdd) = {BINARY, .compute = qlinear_add_compute};
SDX_OP_MS(QLinearMul) = {BINARY, .compute = qlinear_mul_compute};
SDX_OP_MS(QLinearSigmoid) = {UNARY, .compute = qlinear_sigmoid_compute};
SDX_OP_MS(QLinearLeakyRelu) = {UNARY, .attrs = "alpha:float=0.01", .params_size = sizeof(unary_params),
                               .params = qlinear_leaky_relu_read, .compute = qlinear_leaky_relu_compute};
