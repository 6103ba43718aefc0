// SPDX-License-Identifier: Apache-2.0
// And Or Xor Not on bool; BitwiseAnd BitwiseOr BitwiseXor BitwiseNot BitShift on integers; numpy
// broadcasting. BitShift: a right shift of a signed type copies the sign; an amount that is negative or
// at least the width leaves nothing but those copies (version 28 says so; 11 had unsigned types only).
// History: up to 6 And, Or and Xor had `broadcast` and `axis` (see AlignToAxis).
#include "ops/infer.h"
#include "ops/parts/row.h"

#define LOOPS "ops/ai_onnx/bitwise.inl"
#include "ops/parts/each_integer.inl"

#define T uint8_t  // bool; any byte but 0 counts as true
#define SUFFIX boolean
ROW(And, x &&y)
ROW(Or, x || y)
ROW(Xor, !x != !y)
#undef T
#undef SUFFIX
static void Not_bool(const void *context, void *out_, const void *in_, size_t n) {
  uint8_t *out = out_;
  const uint8_t *in = in_;
  for (size_t i = 0; i < n; i++) out[i] = !in[i];
}

typedef struct shift_params {
  bool left;
} shift_params;
static sdx_status bit_shift_read(op_params_context *c, void *params) {
  str direction = params_string(c, "direction");
  if (!str_is(direction, "LEFT") && !str_is(direction, "RIGHT"))
    return params_fail(c, "direction", "is '%.*s', expected LEFT or RIGHT", STR_ARG(direction));
  ((shift_params *)params)->left = str_is(direction, "LEFT");
  return SDX_OK;
}

static sdx_status logical_infer(op_step *c) {
  sdx_dtype dtype;
  SDX_TRY(infer_common_dtype(c, 0, 2, &dtype));
  return infer_broadcast(c, 0, 0, 2, dtype);
}
static sdx_status not_infer(op_step *c) { return infer_same(c, 0, 0); }

static sdx_status run(op_step *c, const binary_row *rows) {
  return binary_run(c, step_out(c, 0), step_in(c, 0), step_in(c, 1), rows, NULL, GRAIN_CHEAP);
}
#define TABLE(Name, ...) static const binary_row Name##_rows[SDX_DTYPE_COUNT] = {__VA_ARGS__}
#define COMPUTE(Name, lower) \
  static sdx_status lower##_compute(op_step *c) { return run(c, Name##_rows); }
TABLE(And, [SDX_BOOL] = And_boolean);
TABLE(Or, [SDX_BOOL] = Or_boolean);
TABLE(Xor, [SDX_BOOL] = Xor_boolean);
TABLE(BitwiseAnd, ROWS_INTEGER(BitwiseAnd));
TABLE(BitwiseOr, ROWS_INTEGER(BitwiseOr));
TABLE(BitwiseXor, ROWS_INTEGER(BitwiseXor));
TABLE(ShiftLeft, ROWS_INTEGER(ShiftLeft));
TABLE(ShiftRight, ROWS_INTEGER(ShiftRight));
COMPUTE(And, and)
COMPUTE(Or, or)
COMPUTE(Xor, xor)
COMPUTE(BitwiseAnd, bitwise_and)
COMPUTE(BitwiseOr, bitwise_or)
COMPUTE(BitwiseXor, bitwise_xor)
static sdx_status bit_shift_compute(op_step *c) {
  return run(c, ((const shift_params *)c->params)->left ? ShiftLeft_rows : ShiftRight_rows);
}
static sdx_status not_compute(op_step *c) {
  static const unary_row rows[SDX_DTYPE_COUNT] = {[SDX_BOOL] = Not_bool};
  return unary_run(c, step_out(c, 0), step_in(c, 0), rows, NULL, GRAIN_CHEAP);
}
static sdx_status bitwise_not_compute(op_step *c) {
  static const unary_row rows[SDX_DTYPE_COUNT] = {ROWS_INTEGER(BitwiseNot)};
  return unary_run(c, step_out(c, 0), step_in(c, 0), rows, NULL, GRAIN_CHEAP);
}

SDX_CASES = {"A=bool[2,3,4] B=bool[3,1]", "A=bool[] B=bool[5]", "A=bool[0] B=bool[1]", NULL};
static const char *const not_cases[] = {"X=bool[2,3]", "X=bool[0]", NULL};
static const char *const bitwise_cases[] = {"A=int8[2,3,4] B=int8[3,1]", "A=uint64[6] B=uint64[6]",
                                            "A=int32[] B=int32[5]", NULL};
static const char *const bitwise_not_cases[] = {"X=int16[2,3]", "X=uint8[0]", NULL};
static const char *const shift_cases[] = {"X=uint8[2,3] Y=uint8[3] direction=LEFT",
                                          "X=int32[5] Y=int32[5] direction=RIGHT",
                                          "X=uint64[4] Y=uint64[] direction=RIGHT", NULL};

#define LOGICAL(lower)                                                                                    \
  {                                                                                                       \
    .since = 7, .versions = "7 1", .inputs = "A:bool B:bool", .outputs = "C:bool",                        \
    .attrs_old = "axis:int<7 broadcast:int<7", .flags = OP_INPLACE | OP_POINTWISE | OP_COMMUTATIVE,       \
    .upgrade = upgrade_broadcast_axis, .infer = logical_infer, .compute = lower##_compute, .cases = cases \
  }
#define BITWISE(lower)                                                                                       \
  {                                                                                                          \
    .since = 18, .versions = "18", .inputs = "A:T B:T", .outputs = "C:T", .types = "T=" TYPES_INTEGER,       \
    .flags = OP_INPLACE | OP_POINTWISE | OP_COMMUTATIVE, .infer = logical_infer, .compute = lower##_compute, \
    .cases = bitwise_cases                                                                                   \
  }
SDX_OP(And) = LOGICAL(and);
SDX_OP(Or) = LOGICAL(or);
SDX_OP(Xor) = LOGICAL(xor);
SDX_OP(BitwiseAnd) = BITWISE(bitwise_and);
SDX_OP(BitwiseOr) = BITWISE(bitwise_or);
SDX_OP(BitwiseXor) = BITWISE(bitwise_xor);
SDX_OP(Not) = {.since = 1,
               .versions = "1",
               .inputs = "X:bool",
               .outputs = "Y:bool",
               .flags = OP_INPLACE | OP_POINTWISE,
               .infer = not_infer,
               .compute = not_compute,
               .cases = not_cases};
SDX_OP(BitwiseNot) = {.since = 18,
                      .versions = "18",
                      .inputs = "X:T",
                      .outputs = "Y:T",
                      .types = "T=" TYPES_INTEGER,
                      .flags = OP_INPLACE | OP_POINTWISE,
                      .infer = not_infer,
                      .compute = bitwise_not_compute,
                      .cases = bitwise_not_cases};
SDX_OP(BitShift) = {.since = 28,
                    .versions = "28 11",
                    .inputs = "X:T Y:T",
                    .outputs = "Z:T",
                    .types = "T=" TYPES_INTEGER,
                    .attrs = "direction:string!",
                    .flags = OP_INPLACE | OP_POINTWISE,
                    .params_size = sizeof(shift_params),
                    .params = bit_shift_read,
                    .infer = logical_infer,
                    .compute = bit_shift_compute,
                    .cases = shift_cases};
