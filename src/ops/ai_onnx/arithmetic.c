// SPDX-License-Identifier: Apache-2.0
// Add Sub Mul Div Mod Min Max Sum Mean PRelu: one arithmetic operation an element, numpy broadcasting.
//
// Integers wrap; Div truncates, and an integer division by zero is an error that names the element (there
// is no value to give); the minimum divided by -1 wraps. Min and Max give NaN if either side is NaN.
// Mod: fmod=0 has the sign of the divisor (A - floor(A/B)*B), fmod=1 that of the dividend.
//
// History: up to 6, `broadcast` and `axis` said where B's shape starts in A's (AlignToAxis puts ones
// behind it); 7 brought numpy broadcasting; 13 and 14 bfloat16 and the small integers. PRelu up to 6: a
// slope of rank 1 belongs to axis 1. Mod 28 defines float operands of fmod=0.
// Read next: ops/parts/elementwise.c, arithmetic.inl.
#include "ops/ai_onnx/arithmetic.h"

#include <math.h>

#include "base/size.h"
#include "kernels/binary_f32/binary_f32.h"
#include "ops/infer.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

// ---- loops ------------------------------------------------------------------------------------

static int64_t floor_mod(int64_t a, int64_t b) {
  int64_t r = wrap_rem(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static double floor_fmod(double a, double b) {
  double r = fmod(a, b);
  if (r == 0) return copysign(0, b);
  return (r < 0) != (b < 0) ? r + b : r;
}

#define LOOPS "ops/ai_onnx/arithmetic.inl"
#include "ops/parts/each_integer.inl"
#define T double
#define SUFFIX double
#define FLOATING
#include "ops/ai_onnx/arithmetic.inl"
#undef FLOATING

// Mod alone has no float kernel: it goes through double, where a float's remainder is exact.
#define T float
#define SUFFIX float
ROW(FloorMod, floor_fmod(x, y))
ROW(TruncMod, fmod(x, y))
#undef T
#undef SUFFIX

// The float path; context = the three forms of the kernel's operation.
static void Kernel_float(const void *context, void *out, const void *a, const void *b, size_t n, unsigned scalar) {
  static const binary_f32_form form[] = {[0] = BINARY_VV, [ROW_A_SCALAR] = BINARY_SV, [ROW_B_SCALAR] = BINARY_VS};
  const binary_f32_fn *fn = context;
  float *y = out;
  if (scalar != (ROW_A_SCALAR | ROW_B_SCALAR)) {
    fn[form[scalar]](a, b, y, n);
    return;
  }
  fn[BINARY_VV](a, b, y, 1);
  for (size_t i = 1; i < n; i++) y[i] = y[0];
}

typedef struct arithmetic {
  binary_row rows[SDX_DTYPE_COUNT];
  binary_f32_op f32;
} arithmetic;
#define ARITHMETIC(Name, F32)                   \
  static const arithmetic Name##_arithmetic = { \
      {ROWS_INTEGER(Name), [SDX_DOUBLE] = Name##_double, [SDX_FLOAT] = Kernel_float}, BINARY_F32_##F32}
ARITHMETIC(Add, ADD);
ARITHMETIC(Sub, SUB);
ARITHMETIC(Mul, MUL);
ARITHMETIC(Div, DIV);
ARITHMETIC(Min, MIN);
ARITHMETIC(Max, MAX);
ARITHMETIC(PRelu, PRELU);
static const binary_row floor_mod_rows[SDX_DTYPE_COUNT] = {
    ROWS_INTEGER(FloorMod), [SDX_DOUBLE] = FloorMod_double, [SDX_FLOAT] = FloorMod_float};
static const binary_row trunc_mod_rows[SDX_DTYPE_COUNT] = {
    ROWS_INTEGER(TruncMod), [SDX_DOUBLE] = TruncMod_double, [SDX_FLOAT] = TruncMod_float};

// ---- params, upgrade, infer -------------------------------------------------------------------

static sdx_status mod_params(op_params_context *c, void *params) {
  int64_t fmod = params_int(c, "fmod");
  if (fmod != 0 && fmod != 1) return params_fail(c, "fmod", "is %lld, expected 0 or 1", (long long)fmod);
  *(bool *)params = fmod;
  return SDX_OK;
}

static sdx_status prelu_upgrade(op_upgrade *u) {
  return u->version < 7 && u->node->input_count == 2 ? upgrade_align(u, 1) : SDX_OK;
}

static sdx_status infer(op_step *c) {
  sdx_dtype dtype;
  SDX_TRY(infer_common_dtype(c, 0, c->input_count, &dtype));
  return infer_broadcast(c, 0, 0, c->input_count, dtype);
}

static sdx_status prelu_infer(op_step *c) { return infer_same(c, 0, 0); }  // the slope is broadcast to X alone

// ---- compute ----------------------------------------------------------------------------------

static sdx_status prepare(op_step *c) {
  c->state = (void *)KERNEL_BEST(binary_f32);
  return SDX_OK;
}

static sdx_status apply(op_step *c, const arithmetic *op, tensor *out, const tensor *a, const tensor *b,
                        const binary_f32_kernel *kernel) {
  return binary_run(c, out, a, b, op->rows, kernel->fn[op->f32], GRAIN_CHEAP);
}
// The state is this file's kernel only for this file's own nodes.
static const binary_f32_kernel *kernel_of(const op_step *c) { return c->state ? c->state : KERNEL_BEST(binary_f32); }

sdx_status arithmetic_add(op_step *c, tensor *out, const tensor *a, const tensor *b) {
  return apply(c, &Add_arithmetic, out, a, b, KERNEL_BEST(binary_f32));
}
sdx_status arithmetic_mul(op_step *c, tensor *out, const tensor *a, const tensor *b) {
  return apply(c, &Mul_arithmetic, out, a, b, KERNEL_BEST(binary_f32));
}

// Two inputs: one pass. More: the output collects them one after another, in the order given.
static sdx_status fold(op_step *c, const arithmetic *op) {
  tensor *out = step_out(c, 0);
  if (!out) return SDX_OK;
  if (c->input_count == 1) {
    if (out->data != step_in(c, 0)->data) memcpy(out->data, step_in(c, 0)->data, out->bytes);
    return SDX_OK;
  }
  const binary_f32_kernel *kernel = kernel_of(c);
  SDX_TRY(apply(c, op, out, step_in(c, 0), step_in(c, 1), kernel));
  for (size_t i = 2; i < c->input_count; i++) SDX_TRY(apply(c, op, out, out, step_in(c, i), kernel));
  return SDX_OK;
}

// The place of a zero among integer divisors, or the count.
static size_t find_zero(const tensor *t) {
  size_t width = (size_t)dtype_bits(t->dtype) / 8;
  static const char zero[8] = {0};
  for (size_t i = 0; i < t->count; i++)
    if (memcmp((const char *)t->data + i * width, zero, width) == 0) return i;
  return t->count;
}
static sdx_status check_divisor(op_step *c) {
  const tensor *divisor = step_in(c, 1);
  if (!dtype_is_int(divisor->dtype) || !step_out(c, 0) || step_out(c, 0)->count == 0) return SDX_OK;
  size_t at = find_zero(divisor);
  if (at == divisor->count) return SDX_OK;
  return step_fail(c, SDX_OUT_OF_RANGE, "integer division by zero: element %zu of input 1 is 0", at);
}

static sdx_status add_compute(op_step *c) { return fold(c, &Add_arithmetic); }
static sdx_status sub_compute(op_step *c) { return fold(c, &Sub_arithmetic); }
static sdx_status mul_compute(op_step *c) { return fold(c, &Mul_arithmetic); }
static sdx_status min_compute(op_step *c) { return fold(c, &Min_arithmetic); }
static sdx_status max_compute(op_step *c) { return fold(c, &Max_arithmetic); }
static sdx_status prelu_compute(op_step *c) { return fold(c, &PRelu_arithmetic); }
static sdx_status div_compute(op_step *c) {
  SDX_TRY(check_divisor(c));
  return fold(c, &Div_arithmetic);
}
static sdx_status mod_compute(op_step *c) {
  SDX_TRY(check_divisor(c));
  const binary_row *rows = *(const bool *)c->params ? trunc_mod_rows : floor_mod_rows;
  return binary_run(c, step_out(c, 0), step_in(c, 0), step_in(c, 1), rows, NULL, GRAIN_COSTLY);
}
static sdx_status mean_compute(op_step *c) {
  SDX_TRY(fold(c, &Add_arithmetic));
  tensor *out = step_out(c, 0);
  if (!out || c->input_count == 1) return SDX_OK;
  double bytes = 0, number = c->input_count;
  tensor count = {.data = &bytes, .count = 1, .dtype = out->dtype};
  convert_from_doubles((sdx_dtype)out->dtype, &bytes, 0, 1, &number);
  return apply(c, &Div_arithmetic, out, out, &count, kernel_of(c));
}

SDX_CASES = {"A=float[2,3,4] B=float[2,3,4]",   "A=float[2,3,4] B=float[]",      "A=float[7,1,5] B=float[3,1]",
             "A=int8[3,5] B=int8[5]",           "A=uint64[2,1] B=uint64[1,3]",   "A=double[1] B=double[4,4]",
             "A=float16[3,700] B=float16[3,1]", "A=bfloat16[0,3] B=bfloat16[3]", NULL};
static const char *const folded_cases[] = {"data_0=float[3]", "data_0=float[2,1] data_1=float[3] data_2=float[4,1,1]",
                                           "data_0=float16[5] data_1=float16[5]",
                                           "data_0=double[2,3] data_1=double[] data_2=double[3]", NULL};
static const char *const prelu_cases[] = {"X=float[2,3,4] slope=float[3,1]", "X=double[3] slope=double[1]",
                                          "X=int32[2,5] slope=int32[5]", "X=float16[4,5] slope=float16[4,5]", NULL};

// ---- records ----------------------------------------------------------------------------------

#define OLD "axis:int<7 broadcast:int<7 consumed_inputs:ints<6"
#define BINARY(Name, lower, more_flags)                                                                        \
  {                                                                                                            \
    .since = 14, .versions = "14 13 7 6 1", .inputs = "A:T B:T", .outputs = "C:T", .types = "T=" TYPES_NUMBER, \
    .attrs_old = OLD, .flags = OP_INPLACE | OP_POINTWISE | (more_flags), .upgrade = upgrade_broadcast_axis,    \
    .infer = infer, .prepare = prepare, .compute = lower##_compute, .cases = cases                             \
  }

SDX_OP(Add) = BINARY(Add, add, OP_COMMUTATIVE);
SDX_OP(Sub) = BINARY(Sub, sub, 0);
SDX_OP(Mul) = BINARY(Mul, mul, OP_COMMUTATIVE);
SDX_OP(Div) = BINARY(Div, div, 0);
SDX_OP(Mod) = {.since = 28,
               .versions = "28 13 10",
               .inputs = "A:T B:T",
               .outputs = "C:T",
               .types = "T=" TYPES_NUMBER,
               .attrs = "fmod:int=0",
               .flags = OP_INPLACE | OP_POINTWISE,
               .params_size = sizeof(bool),
               .params = mod_params,
               .infer = infer,
               .compute = mod_compute,
               .cases = cases};

#define FOLDED(lower, type_list, version_list)                                                               \
  {                                                                                                          \
    .since = 13, .versions = version_list, .inputs = "data_0:T+", .outputs = "result:T", .types = type_list, \
    .attrs_old = "consumed_inputs:ints<6", .flags = OP_POINTWISE, .infer = infer, .prepare = prepare,        \
    .compute = lower##_compute, .cases = folded_cases                                                        \
  }
SDX_OP(Min) = FOLDED(min, "T=" TYPES_NUMBER, "13 12 8 6 1");
SDX_OP(Max) = FOLDED(max, "T=" TYPES_NUMBER, "13 12 8 6 1");
SDX_OP(Sum) = FOLDED(add, "T=" TYPES_FLOAT, "13 8 6 1");
SDX_OP(Mean) = FOLDED(mean, "T=" TYPES_FLOAT, "13 8 6 1");

SDX_OP(PRelu) = {.since = 16,
                 .versions = "16 9 7 6 1",
                 .inputs = "X:T slope:T",
                 .outputs = "Y:T",
                 .types = "T=" TYPES_FLOAT ",uint32,uint64,int32,int64",
                 .attrs_old = "consumed_inputs:ints<6",
                 .flags = OP_INPLACE | OP_POINTWISE,
                 .upgrade = prelu_upgrade,
                 .infer = prelu_infer,
                 .prepare = prepare,
                 .compute = prelu_compute,
                 .cases = prelu_cases};
