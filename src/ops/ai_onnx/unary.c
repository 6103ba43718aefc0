// SPDX-License-Identifier: Apache-2.0
// Functions of one element: Abs Neg Sign Reciprocal Sqrt Exp Log, trigonometry, Erf, rounding, and the activations.
// float runs in the kernel family unary_f32, half precision through it in blocks, double in libm. Integers
// (Abs Neg Sign Relu, and Erf of opset 9) wrap: the minimum stays what it is. Round takes ties to even. NaN stays NaN.
//
// History: 6 dropped `consumed_inputs`, 13 and 22 added bfloat16; nothing changed a result but the defaults
// of Selu's alpha and gamma, which were rounded to five digits in version 1.
// Read next: ops/parts/unary.h, kernels/unary_f32/unary_f32.h (formulas and error bounds).
#include <math.h>

#include "base/size.h"
#include "ops/infer.h"
#include "ops/parts/row.h"
#include "ops/parts/unary.h"

// ---- loops ------------------------------------------------------------------------------------

#define ROW1(Name, expression)                                                                     \
  static void ROW_JOIN(Name, SUFFIX)(const void *context, void *out_, const void *in_, size_t n) { \
    T *out = out_;                                                                                 \
    const T *in = in_;                                                                             \
    for (size_t i = 0; i < n; i++) {                                                               \
      T x = in[i];                                                                                 \
      out[i] = (T)(expression);                                                                    \
    }                                                                                              \
  }
#define LOOPS "ops/ai_onnx/unary.inl"
#include "ops/parts/each_float.inl"
#include "ops/parts/each_integer.inl"

// ---- params, upgrade, infer -------------------------------------------------------------------

typedef struct unary_params {
  unary_f32_op f;
  float a, b;
} unary_params;

#define PARAMS(lower, F, A, B)                                         \
  static sdx_status lower##_read(op_params_context *c, void *params) { \
    *(unary_params *)params = (unary_params){UNARY_F32_##F, A, B};     \
    return SDX_OK;                                                     \
  }
#define ALPHA params_float(c, "alpha")
PARAMS(leaky_relu, LEAKY_RELU, ALPHA, 0)
PARAMS(thresholded_relu, THRESHOLDED_RELU, ALPHA, 0)
PARAMS(elu, ELU, ALPHA, 0)
PARAMS(selu, SELU, ALPHA, params_float(c, "gamma"))
PARAMS(hard_sigmoid, HARD_SIGMOID, ALPHA, params_float(c, "beta"))
PARAMS(swish, SWISH, ALPHA, 0)
static sdx_status celu_read(op_params_context *c, void *params) {
  if (ALPHA == 0) return params_fail(c, "alpha", "is 0, which the formula divides by");
  *(unary_params *)params = (unary_params){UNARY_F32_CELU, ALPHA, 0};
  return SDX_OK;
}
static sdx_status gelu_read(op_params_context *c, void *params) {
  str kind = params_string(c, "approximate");
  if (!str_is(kind, "none") && !str_is(kind, "tanh"))
    return params_fail(c, "approximate", "is '%.*s', expected none or tanh", STR_ARG(kind));
  ((unary_params *)params)->f = str_is(kind, "tanh") ? UNARY_F32_GELU_TANH : UNARY_F32_GELU;
  return SDX_OK;
}

static sdx_status selu_upgrade(op_upgrade *u) {
  if (u->version >= 6) return SDX_OK;
  if (!node_attr(u->node, "alpha")) SDX_TRY(node_set_attr(u->graph, u->node, attr_of_float("alpha", 1.6732f)));
  if (!node_attr(u->node, "gamma")) SDX_TRY(node_set_attr(u->graph, u->node, attr_of_float("gamma", 1.0507f)));
  return SDX_OK;
}

static sdx_status unary_infer(op_step *c) { return infer_same(c, 0, 0); }

// ---- compute ----------------------------------------------------------------------------------

static sdx_status unary_prepare(op_step *c) {
  c->state = (void *)KERNEL_BEST(unary_f32);
  return SDX_OK;
}

static sdx_status unary_compute(op_step *c) {
  const unary_params *p = c->params;
  return unary_apply(c, c->state, p->f, step_out(c, 0), step_in(c, 0), p->a, p->b);
}

// Operators with a float kernel; those that take integers too add their loops.
#define KERNELED(Name, F)                                                                \
  static sdx_status Name##_compute(op_step *c) {                                         \
    return unary_apply(c, c->state, UNARY_F32_##F, step_out(c, 0), step_in(c, 0), 0, 0); \
  }
#define WITH_INTEGERS(Name, F, ...)                                                      \
  static sdx_status Name##_compute(op_step *c) {                                         \
    static const unary_row rows[SDX_DTYPE_COUNT] = {__VA_ARGS__};                        \
    if (dtype_is_int((sdx_dtype)step_in(c, 0)->dtype))                                   \
      return unary_run(c, step_out(c, 0), step_in(c, 0), rows, NULL, GRAIN_CHEAP);       \
    return unary_apply(c, c->state, UNARY_F32_##F, step_out(c, 0), step_in(c, 0), 0, 0); \
  }
#define PLAIN(Name)                                                                                            \
  static sdx_status Name##_compute(op_step *c) {                                                               \
    static const unary_row rows[SDX_DTYPE_COUNT] = {[SDX_FLOAT] = Name##_float, [SDX_DOUBLE] = Name##_double}; \
    return unary_run(c, step_out(c, 0), step_in(c, 0), rows, NULL, GRAIN_COSTLY);                              \
  }
WITH_INTEGERS(Abs, ABS, ROWS_INTEGER(Abs))
WITH_INTEGERS(Neg, NEG, ROWS_SIGNED(Neg))
WITH_INTEGERS(Sign, SIGN, ROWS_INTEGER(Sign))
WITH_INTEGERS(Relu, RELU, ROWS_SIGNED(Relu))
KERNELED(Reciprocal, RECIPROCAL)
KERNELED(Sqrt, SQRT)
KERNELED(Exp, EXP)
KERNELED(Log, LOG)
KERNELED(Sin, SIN)
KERNELED(Cos, COS)
KERNELED(Tanh, TANH)
WITH_INTEGERS(Erf, ERF, ROWS_INTEGER(Erf))
KERNELED(Floor, FLOOR)
KERNELED(Ceil, CEIL)
KERNELED(Round, ROUND)
KERNELED(Sigmoid, SIGMOID)
KERNELED(Softplus, SOFTPLUS)
KERNELED(Softsign, SOFTSIGN)
KERNELED(HardSwish, HARD_SWISH)
KERNELED(Mish, MISH)
PLAIN(Tan)
PLAIN(Asin)
PLAIN(Acos)
PLAIN(Atan)
PLAIN(Sinh)
PLAIN(Cosh)
PLAIN(Asinh)
PLAIN(Acosh)
PLAIN(Atanh)

// ---- records ----------------------------------------------------------------------------------

SDX_CASES = {"X=float[2,3,4]", "X=float[]", "X=float[0,3]", "X=double[5]", "X=float16[700]", "X=bfloat16[3]", NULL};
static const char *const signed_cases[] = {"X=float[2,3]", "X=int8[5]", "X=int64[2,3]", "X=float16[4]", NULL};

// clang-format off
#define UNARY(Name, Since, Versions)                                                                          \
  {.since = Since, .versions = Versions, .inputs = "X:T", .outputs = "Y:T", .types = "T=" TYPES_FLOAT,        \
   .attrs_old = "consumed_inputs:ints<6", .flags = OP_INPLACE | OP_POINTWISE, .infer = unary_infer,           \
   .prepare = unary_prepare, .compute = Name##_compute, .cases = cases}
#define NUMBER(Name, Since, Versions, Types)                                                                  \
  {.since = Since, .versions = Versions, .inputs = "X:T", .outputs = "Y:T", .types = "T=" Types,              \
   .attrs_old = "consumed_inputs:ints<6", .flags = OP_INPLACE | OP_POINTWISE, .infer = unary_infer,           \
   .prepare = unary_prepare, .compute = Name##_compute, .cases = signed_cases}
#define ACTIVATION(lower, Since, Versions, Attrs, Upgrade)                                                    \
  {.since = Since, .versions = Versions, .inputs = "X:T", .outputs = "Y:T", .types = "T=" TYPES_FLOAT,        \
   .attrs = Attrs, .attrs_old = "consumed_inputs:ints<6", .flags = OP_INPLACE | OP_POINTWISE,                 \
   .params_size = sizeof(unary_params), .params = lower##_read, .upgrade = Upgrade, .infer = unary_infer,     \
   .prepare = unary_prepare, .compute = unary_compute, .cases = cases}

SDX_OP(Abs) = NUMBER(Abs, 13, "13 6 1", TYPES_NUMBER);
SDX_OP(Neg) = NUMBER(Neg, 13, "13 6 1", TYPES_SIGNED "," TYPES_FLOAT);
SDX_OP(Sign) = NUMBER(Sign, 13, "13 9", TYPES_NUMBER);
SDX_OP(Relu) = NUMBER(Relu, 14, "14 13 6 1", TYPES_SIGNED "," TYPES_FLOAT);
SDX_OP(Reciprocal) = UNARY(Reciprocal, 13, "13 6 1");
SDX_OP(Sqrt) = UNARY(Sqrt, 13, "13 6 1");
SDX_OP(Exp) = UNARY(Exp, 13, "13 6 1");
SDX_OP(Log) = UNARY(Log, 13, "13 6 1");
SDX_OP(Sin) = UNARY(Sin, 22, "22 7");
SDX_OP(Cos) = UNARY(Cos, 22, "22 7");
SDX_OP(Tan) = UNARY(Tan, 22, "22 7");
SDX_OP(Asin) = UNARY(Asin, 22, "22 7");
SDX_OP(Acos) = UNARY(Acos, 22, "22 7");
SDX_OP(Atan) = UNARY(Atan, 22, "22 7");
SDX_OP(Sinh) = UNARY(Sinh, 22, "22 9");
SDX_OP(Cosh) = UNARY(Cosh, 22, "22 9");
SDX_OP(Asinh) = UNARY(Asinh, 22, "22 9");
SDX_OP(Acosh) = UNARY(Acosh, 22, "22 9");
SDX_OP(Atanh) = UNARY(Atanh, 22, "22 9");
SDX_OP(Tanh) = UNARY(Tanh, 13, "13 6 1");
SDX_OP(Erf) = NUMBER(Erf, 13, "13 9", TYPES_NUMBER);
SDX_OP(Floor) = UNARY(Floor, 13, "13 6 1");
SDX_OP(Ceil) = UNARY(Ceil, 13, "13 6 1");
SDX_OP(Round) = UNARY(Round, 22, "22 11");
SDX_OP(Sigmoid) = UNARY(Sigmoid, 13, "13 6 1");
SDX_OP(Softplus) = UNARY(Softplus, 22, "22 1");
SDX_OP(Softsign) = UNARY(Softsign, 22, "22 1");
SDX_OP(HardSwish) = UNARY(HardSwish, 22, "22 14");
SDX_OP(Mish) = UNARY(Mish, 22, "22 18");
SDX_OP(LeakyRelu) = ACTIVATION(leaky_relu, 16, "16 6 1", "alpha:float=0.01", NULL);
SDX_OP(ThresholdedRelu) = ACTIVATION(thresholded_relu, 22, "22 10 1", "alpha:float=1", NULL);
SDX_OP(Elu) = ACTIVATION(elu, 22, "22 6 1", "alpha:float=1", NULL);
SDX_OP(Celu) = ACTIVATION(celu, 28, "28 12", "alpha:float=1", NULL);
SDX_OP(Selu) = ACTIVATION(selu, 22, "22 6 1",
                          "alpha:float=1.67326319217681884765625 gamma:float=1.05070102214813232421875", selu_upgrade);
SDX_OP(HardSigmoid) = ACTIVATION(hard_sigmoid, 22, "22 6 1", "alpha:float=0.2 beta:float=0.5", NULL);
SDX_OP(Swish) = ACTIVATION(swish, 24, "24", "alpha:float=1", NULL);
SDX_OP(Gelu) = ACTIVATION(gelu, 20, "20", "approximate:string=none", NULL);
// clang-format on
