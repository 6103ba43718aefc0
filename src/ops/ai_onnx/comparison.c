// SPDX-License-Identifier: Apache-2.0
// Equal Greater Less GreaterOrEqual LessOrEqual: numpy broadcasting, bool results. Comparisons with NaN
// are false; -0 equals 0; Equal also compares strings byte by byte.
// History: up to 6 `broadcast` and `axis` (see AlignToAxis); Equal 19 added strings.
#include "ops/infer.h"
#include "ops/parts/row.h"

#define LOOPS "ops/ai_onnx/comparison.inl"
#include "ops/parts/each_float.inl"
#include "ops/parts/each_integer.inl"
#define T str
#define SUFFIX string
ROW_TO(bool, Equal, str_equal(x, y))
#undef T
#undef SUFFIX

static sdx_status comparison_infer(op_step *c) { return infer_broadcast(c, 0, 0, 2, SDX_BOOL); }

#define COMPARE(Name, lower, ...)                                                                   \
  static sdx_status lower##_compute(op_step *c) {                                                   \
    static const binary_row rows[SDX_DTYPE_COUNT] = {                                               \
        ROWS_INTEGER(Name), [SDX_FLOAT] = Name##_float, [SDX_DOUBLE] = Name##_double, __VA_ARGS__}; \
    return binary_run(c, step_out(c, 0), step_in(c, 0), step_in(c, 1), rows, NULL, GRAIN_CHEAP);    \
  }
COMPARE(Equal, equal, [SDX_BOOL] = Equal_uint8, [SDX_STRING] = Equal_string)
COMPARE(Greater, greater)
COMPARE(Less, less)
COMPARE(GreaterOrEqual, greater_or_equal)
COMPARE(LessOrEqual, less_or_equal)

SDX_CASES = {"A=float[2,3,4] B=float[2,3,4]", "A=int8[3,1] B=int8[4]",   "A=uint64[5] B=uint64[]",
             "A=float16[2,3] B=float16[3]",   "A=double[0] B=double[1]", NULL};

#define RECORD(lower, since_version, version_list, type_list, more_flags)                                           \
  {                                                                                                                 \
    .since = since_version, .versions = version_list, .inputs = "A:T B:T", .outputs = "C:bool", .types = type_list, \
    .attrs_old = "axis:int<7 broadcast:int<7", .flags = OP_POINTWISE | (more_flags),                                \
    .upgrade = upgrade_broadcast_axis, .infer = comparison_infer, .compute = lower##_compute, .cases = cases        \
  }
SDX_OP(Equal) = RECORD(equal, 19, "19 13 11 7 1", "T=bool,string," TYPES_NUMBER, OP_COMMUTATIVE);
SDX_OP(Greater) = RECORD(greater, 13, "13 9 7 1", "T=" TYPES_NUMBER, 0);
SDX_OP(Less) = RECORD(less, 13, "13 9 7 1", "T=" TYPES_NUMBER, 0);
SDX_OP(GreaterOrEqual) = RECORD(greater_or_equal, 16, "16 12", "T=" TYPES_NUMBER, 0);
SDX_OP(LessOrEqual) = RECORD(less_or_equal, 16, "16 12", "T=" TYPES_NUMBER, 0);
