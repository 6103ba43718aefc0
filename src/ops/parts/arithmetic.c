// SPDX-License-Identifier: Apache-2.0
// See arithmetic.h. float runs in the kernel family binary_f32, the other types in the loops of arithmetic.inl.
#include "ops/parts/arithmetic.h"

#include <math.h>

#include "base/size.h"
#include "ops/parts/row.h"

static int64_t floor_mod(int64_t a, int64_t b) {
  int64_t r = wrap_rem(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static double floor_fmod(double a, double b) {
  double r = fmod(a, b);
  if (r == 0) return copysign(0, b);
  return (r < 0) != (b < 0) ? r + b : r;
}

#define LOOPS "ops/parts/arithmetic.inl"
#include "ops/parts/each_integer.inl"
#define T double
#define SUFFIX double
#define FLOATING
#include "ops/parts/arithmetic.inl"
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

// Rows by element type; float operations are named by their kernel, the others have rows of their own.
#define ROWS(Name, ROW_FLOAT) \
  { ROWS_INTEGER(Name), [SDX_DOUBLE] = Name##_double, [SDX_FLOAT] = ROW_FLOAT }
#define WITH_KERNEL(OP, Name) [ARITHMETIC_##OP] = {ROWS(Name, Kernel_float), BINARY_F32_##OP, GRAIN_CHEAP}
#define WITHOUT_KERNEL(OP, Name) [ARITHMETIC_##OP] = {ROWS(Name, Name##_float), 0, GRAIN_COSTLY}
static const struct {
  binary_row rows[SDX_DTYPE_COUNT];
  binary_f32_op f32;
  size_t grain;
} operations[] = {
    WITH_KERNEL(ADD, Add),
    WITH_KERNEL(SUB, Sub),
    WITH_KERNEL(MUL, Mul),
    WITH_KERNEL(DIV, Div),
    WITH_KERNEL(MIN, Min),
    WITH_KERNEL(MAX, Max),
    WITH_KERNEL(PRELU, PRelu),
    WITHOUT_KERNEL(FLOOR_MOD, FloorMod),
    WITHOUT_KERNEL(TRUNC_MOD, TruncMod),
};

sdx_status arithmetic_run(op_step *c, const binary_f32_kernel *kernel, arithmetic_op op, tensor *out, const tensor *a,
                          const tensor *b) {
  if (!kernel) kernel = KERNEL_BEST(binary_f32);
  return binary_run(c, out, a, b, operations[op].rows, kernel->fn[operations[op].f32], operations[op].grain);
}
sdx_status arithmetic_add(op_step *c, tensor *out, const tensor *a, const tensor *b) {
  return arithmetic_run(c, NULL, ARITHMETIC_ADD, out, a, b);
}
sdx_status arithmetic_mul(op_step *c, tensor *out, const tensor *a, const tensor *b) {
  return arithmetic_run(c, NULL, ARITHMETIC_MUL, out, a, b);
}
