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
// Read next: ops/parts/arithmetic.h.
#include "ops/parts/arithmetic.h"

#include "ops/infer.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

// ---- params, upgrade, infer -------------------------------------------------------------------

static sdx_status mod_read(op_params_context *c, void *params) {
  int64_t fmod = params_int(c, "fmod");
  if (fmod != 0 && fmod != 1) return params_fail(c, "fmod", "is %lld, expected 0 or 1", (long long)fmod);
  *(bool *)params = fmod;
  return SDX_OK;
}

static sdx_status prelu_upgrade(op_upgrade *u) {
  return u->version < 7 && u->node->input_count == 2 ? upgrade_align(u, 1) : SDX_OK;
}

static sdx_status arithmetic_infer(op_step *c) {
  sdx_dtype dtype;
  SDX_TRY(infer_common_dtype(c, 0, c->input_count, &dtype));
  return infer_broadcast(c, 0, 0, c->input_count, dtype);
}

// ---- compute ----------------------------------------------------------------------------------

static sdx_status arithmetic_prepare(op_step *c) {
  c->state = (void *)KERNEL_BEST(binary_f32);
  return SDX_OK;
}

// Two inputs: one pass. More: the output collects them one after another, in the order given.
static sdx_status fold(op_step *c, arithmetic_op op) {
  tensor *out = step_out(c, 0);
  if (!out) return SDX_OK;
  if (c->input_count == 1) {
    if (out->data != step_in(c, 0)->data) memcpy(out->data, step_in(c, 0)->data, out->bytes);
    return SDX_OK;
  }
  SDX_TRY(arithmetic_run(c, c->state, op, out, step_in(c, 0), step_in(c, 1)));
  for (size_t i = 2; i < c->input_count; i++) SDX_TRY(arithmetic_run(c, c->state, op, out, out, step_in(c, i)));
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
  return step_fail_at(c, at_input(1), SDX_OUT_OF_RANGE,
                      "is 0 at %zu, expected another number: integer division by zero", at);
}

static sdx_status add_compute(op_step *c) { return fold(c, ARITHMETIC_ADD); }
static sdx_status sub_compute(op_step *c) { return fold(c, ARITHMETIC_SUB); }
static sdx_status mul_compute(op_step *c) { return fold(c, ARITHMETIC_MUL); }
static sdx_status min_compute(op_step *c) { return fold(c, ARITHMETIC_MIN); }
static sdx_status max_compute(op_step *c) { return fold(c, ARITHMETIC_MAX); }
static sdx_status prelu_compute(op_step *c) { return fold(c, ARITHMETIC_PRELU); }
static sdx_status div_compute(op_step *c) {
  SDX_TRY(check_divisor(c));
  return fold(c, ARITHMETIC_DIV);
}
static sdx_status mod_compute(op_step *c) {
  SDX_TRY(check_divisor(c));
  arithmetic_op op = *(const bool *)c->params ? ARITHMETIC_TRUNC_MOD : ARITHMETIC_FLOOR_MOD;
  return arithmetic_run(c, NULL, op, step_out(c, 0), step_in(c, 0), step_in(c, 1));
}
static sdx_status mean_compute(op_step *c) {
  SDX_TRY(fold(c, ARITHMETIC_ADD));
  tensor *out = step_out(c, 0);
  if (!out || c->input_count == 1) return SDX_OK;
  double bytes = 0, number = c->input_count;
  tensor count = {.data = &bytes, .count = 1, .dtype = out->dtype};
  convert_from_doubles((sdx_dtype)out->dtype, &bytes, 0, 1, &number);
  return arithmetic_run(c, c->state, ARITHMETIC_DIV, out, out, &count);
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
    .infer = arithmetic_infer, .prepare = arithmetic_prepare, .compute = lower##_compute, .cases = cases       \
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
               .params = mod_read,
               .infer = arithmetic_infer,
               .compute = mod_compute,
               .cases = cases};

#define FOLDED(lower, type_list, version_list)                                                               \
  {                                                                                                          \
    .since = 13, .versions = version_list, .inputs = "data_0:T+", .outputs = "result:T", .types = type_list, \
    .attrs_old = "consumed_inputs:ints<6", .flags = OP_POINTWISE, .infer = arithmetic_infer,                 \
    .prepare = arithmetic_prepare, .compute = lower##_compute, .cases = folded_cases                         \
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
                 .infer = arithmetic_infer,
                 .prepare = arithmetic_prepare,
                 .compute = prelu_compute,
                 .cases = prelu_cases};
