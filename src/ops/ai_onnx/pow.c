// SPDX-License-Identifier: Apache-2.0
// Pow: Z = X ^ Y with numpy broadcasting; the result has X's type whatever type the exponent has (since 12).
// float, half: powf, and products for the exponents 2 and 3 that models are full of. Integers to integer
// powers are exact and wrap; a negative exponent truncates towards zero (1/x is 0 but for x = 1 and -1, and
// 0 is taken for 1/0). Integers to float powers go through double and saturate.
// History: 7 numpy broadcasting (`axis` and `broadcast` before), 12 mixed types, 13 and 15 bfloat16.
#include <math.h>

#include "base/size.h"
#include "kernels/binary_f32/binary_f32.h"
#include "ops/infer.h"
#include "ops/parts/row.h"
#include "ops/parts/widen.h"

enum { BLOCK = 256 };

// How one call computes: bases of type x, exponents of type y, by the float kernel or in double.
typedef struct powers {
  sdx_dtype x, y;
  const binary_f32_kernel *kernel;
} powers;

static int64_t integer_power(int64_t base, int64_t exponent, bool huge) {
  if (exponent < 0 && !huge) return base == 1 ? 1 : base == -1 ? (exponent & 1 ? -1 : 1) : 0;
  int64_t result = 1;
  for (uint64_t e = (uint64_t)exponent; e; e >>= 1) {
    if (e & 1) result = wrap_mul(result, base);
    base = wrap_mul(base, base);
  }
  return result;
}

static size_t width(sdx_dtype dtype) { return (size_t)dtype_bits(dtype) / 8; }

// Integer bases, integer exponents: n elements, s = step of an operand (0: a single element).
static void integer_powers(const powers *p, char *out, const char *a, const char *b, size_t n, size_t sa, size_t sb) {
  bool is_uint64 = p->y == SDX_UINT64;
  for (size_t i = 0; i < n; i++) {
    int64_t base = convert_get_int(p->x, a, i * sa);
    int64_t exponent = is_uint64 ? ((const int64_t *)b)[i * sb] : convert_get_int(p->y, b, i * sb);
    int64_t result = integer_power(base, exponent, is_uint64);
    if (p->x == SDX_INT32) ((int32_t *)out)[i] = (int32_t)result;  // wraps
    else ((int64_t *)out)[i] = result;
  }
}

static void float_block(const powers *p, float *x, const float *y, size_t n, bool one) {
  const binary_f32_fn *mul = p->kernel->fn[BINARY_F32_MUL];
  if (one && (y[0] == 2 || y[0] == 3)) {
    float square[BLOCK];
    mul[BINARY_VV](x, x, square, n);
    if (y[0] == 3) mul[BINARY_VV](square, x, x, n);
    else memcpy(x, square, n * sizeof *x);
  } else {
    p->kernel->fn[BINARY_F32_POW][one ? BINARY_VS : BINARY_VV](x, y, x, n);
  }
}

static void row(const void *context, void *out_, const void *a_, const void *b_, size_t n, unsigned scalar) {
  const powers *p = context;
  size_t sa = scalar & ROW_A_SCALAR ? 0 : 1, sb = scalar & ROW_B_SCALAR ? 0 : 1;
  char *out = out_;
  const char *a = a_, *b = b_;
  if (dtype_is_int(p->x) && dtype_is_int(p->y)) {
    integer_powers(p, out, a, b, n, sa, sb);
    return;
  }
  bool in_float = width(p->x) < 8 && dtype_is_float(p->x) && p->y != SDX_DOUBLE;
  for (size_t i = 0; i < n; i += BLOCK) {
    size_t m = n - i < BLOCK ? n - i : BLOCK;
    if (in_float) {
      float x[BLOCK], y[BLOCK];
      widen_read(p->x, a, i * sa, sa ? m : 1, x);
      widen_read(p->y, b, i * sb, sb ? m : 1, y);
      for (size_t k = 1; !sa && k < m; k++) x[k] = x[0];
      float_block(p, x, y, m, sb == 0);
      widen_write(p->x, out, i, m, x);
    } else {
      double x[BLOCK], y[BLOCK];
      convert_to_doubles(p->x, a, i * sa, sa ? m : 1, x);
      convert_to_doubles(p->y, b, i * sb, sb ? m : 1, y);
      double base = x[0];
      for (size_t k = 0; k < m; k++) x[k] = pow(sa ? x[k] : base, y[k * sb]);
      convert_from_doubles(p->x, out, i, m, x);
    }
  }
}

static sdx_status pow_infer(op_step *c) { return infer_broadcast(c, 0, 0, 2, infer_dtype_of(c, 0)); }

static sdx_status pow_prepare(op_step *c) {
  c->state = (void *)KERNEL_BEST(binary_f32);
  return SDX_OK;
}

static sdx_status pow_compute(op_step *c) {
  const tensor *x = step_in(c, 0), *y = step_in(c, 1);
  powers p = {(sdx_dtype)x->dtype, (sdx_dtype)y->dtype, c->state ? c->state : KERNEL_BEST(binary_f32)};
  return binary_run_row(c, step_out(c, 0), x, y, row, &p, GRAIN_COSTLY);
}

SDX_CASES = {"X=float[2,3] Y=float[2,3]",    "X=float[700] Y=float[]",
             "X=int32[4] Y=int32[4]@0..3",   "X=int64[3]@1..9 Y=float[3]@0..3",
             "X=float[2,3] Y=int64[3]",      "X=double[5] Y=uint8[5]",
             "X=float16[2,3] Y=double[2,1]", NULL};

SDX_OP(Pow) = {.since = 15,
               .versions = "15 13 12 7 1",
               .inputs = "X:T Y:T1",
               .outputs = "Z:T",
               .types = "T=int32,int64," TYPES_FLOAT ";T1=" TYPES_NUMBER,
               .attrs_old = "axis:int<7 broadcast:int<7",
               .flags = OP_INPLACE | OP_POINTWISE,
               .upgrade = upgrade_broadcast_axis,
               .infer = pow_infer,
               .prepare = pow_prepare,
               .compute = pow_compute,
               .cases = cases};
