// SPDX-License-Identifier: Apache-2.0
// Elementwise operators on 8-bit tensors: dequantise, compute in float, quantise.
//
//   QLinearAdd, QLinearMul        broadcast two tensors
//   QLinearSigmoid, QLinearLeakyRelu  one tensor: a table of its 256 values
//
// The quotient is rounded half to even before the zero point is added. Absent zero points are 0.
#include <math.h>

#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/quantization.h"
#include "tensor/convert.h"

enum { A, A_SCALE, A_ZERO, B, B_SCALE, B_ZERO, Y_SCALE, Y_ZERO };

// scale and zero point at inputs i and i + 1.
typedef struct linear {
  float scale;
  int32_t zero;
} linear;

static sdx_status read_linear(op_step *c, size_t i, const char *name, linear *out) {
  const tensor *scale = step_in(c, i), *zero = step_in(c, i + 1);
  if (scale->count != 1 || (zero && zero->count != 1))
    return step_fail(c, SDX_INVALID_SHAPE, "input %zu ('%s') has %zu elements, expected 1", i, name, scale->count);
  *out = (linear){scale_at(scale, 0), zero_at(zero, 0)};
  return SDX_OK;
}

static sdx_status check_scalars(op_step *c, size_t count, const size_t *at) {
  for (size_t i = 0; i < count; i++) SDX_TRY(infer_per_channel(c, at[i], 1));
  return SDX_OK;
}

// Both signs as int: values of a byte in the tensor's type.
static int value_of(uint8_t byte, bool is_signed) { return is_signed ? (int8_t)byte : byte; }
static uint8_t byte_of(float v, linear y, bool is_signed) {
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

typedef struct binary {
  const uint8_t *a, *b;
  uint8_t *y;
  float left[256], right[256];  // dequantised
  linear out;
  bool is_signed, multiply;
  size_t rank;
  int64_t dims[TENSOR_MAX_RANK];
  size_t a_step[TENSOR_MAX_RANK], b_step[TENSOR_MAX_RANK];  // elements; 0: repeats
} binary;

// Rows of the innermost dimension.
static void binary_rows(void *context, size_t begin, size_t end, size_t worker) {
  const binary *w = context;
  size_t last = w->rank - 1, n = (size_t)w->dims[last];
  for (size_t row = begin; row < end; row++) {
    size_t rest = row, a = 0, b = 0;
    for (size_t d = last; d-- > 0;) {
      size_t at = rest % (size_t)w->dims[d];
      rest /= (size_t)w->dims[d];
      a += at * w->a_step[d];
      b += at * w->b_step[d];
    }
    for (size_t i = 0; i < n; i++) {
      float u = w->left[w->a[a + i * w->a_step[last]]], v = w->right[w->b[b + i * w->b_step[last]]];
      w->y[row * n + i] = byte_of(w->multiply ? u * v : u + v, w->out, w->is_signed);
    }
  }
}

static void steps_of(const tensor *t, size_t rank, size_t *steps) {
  size_t step = 1;
  for (size_t i = 0; i < rank; i++) {
    size_t d = rank - 1 - i;
    int64_t size = i < t->rank ? t->dims[t->rank - 1 - i] : 1;
    steps[d] = size == 1 ? 0 : step;
    step *= (size_t)size;
  }
}

static sdx_status binary_compute(op_step *c, bool multiply) {
  const tensor *a = step_in(c, A), *b = step_in(c, B);
  tensor *y = step_out(c, 0);
  linear left, right;
  binary w = {.a = a->data, .b = b->data, .y = y->data, .is_signed = y->dtype == SDX_INT8, .multiply = multiply};
  SDX_TRY(read_linear(c, A_SCALE, "A_scale", &left));
  SDX_TRY(read_linear(c, B_SCALE, "B_scale", &right));
  SDX_TRY(read_linear(c, Y_SCALE, "C_scale", &w.out));
  if (y->count == 0) return SDX_OK;
  for (int i = 0; i < 256; i++) {
    w.left[i] = (float)(value_of((uint8_t)i, w.is_signed) - left.zero) * left.scale;
    w.right[i] = (float)(value_of((uint8_t)i, w.is_signed) - right.zero) * right.scale;
  }
  bool same = tensor_same_shape(a, b);  // then one long row per block
  w.rank = same || y->rank == 0 ? 2 : y->rank == 1 ? 2 : y->rank;
  if (same || y->rank <= 1) {
    w.dims[0] = 1, w.dims[1] = (int64_t)y->count;
    w.a_step[1] = a->count > 1, w.b_step[1] = b->count > 1;
    if (y->count > 4096 && y->count % 1024 == 0) {  // rows for several threads
      w.dims[0] = (int64_t)y->count / 1024, w.dims[1] = 1024;
      w.a_step[0] = 1024 * w.a_step[1], w.b_step[0] = 1024 * w.b_step[1];
    }
  } else {
    memcpy(w.dims, y->dims, y->rank * sizeof *w.dims);
    steps_of(a, y->rank, w.a_step);
    steps_of(b, y->rank, w.b_step);
  }
  size_t n = (size_t)w.dims[w.rank - 1];
  call_parallel(c, y->count / n, 1 + 8192 / n, binary_rows, &w);
  return call_check(c);
}
static sdx_status qlinear_add_compute(op_step *c) { return binary_compute(c, false); }
static sdx_status qlinear_mul_compute(op_step *c) { return binary_compute(c, true); }

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
  linear in, out;
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

#define BINARY                                                                                                     \
  .since = 1, .versions = "1", .types = "T=uint8,int8", .infer = qlinear_elementwise_binary_infer, .cases = cases, \
  .inputs = "A:T A_scale:float A_zero_point:T? B:T B_scale:float B_zero_point:T? C_scale:float C_zero_point:T?",   \
  .outputs = "C:T"
#define UNARY                                                                                     \
  .since = 1, .versions = "1", .types = "T=uint8,int8", .infer = qlinear_elementwise_unary_infer, \
  .cases = unary_cases, .inputs = "X:T X_scale:float X_zero_point:T? Y_scale:float Y_zero_point:T?", .outputs = "Y:T"

SDX_OP_MS(QLinearAdd) = {BINARY, .compute = qlinear_add_compute};
SDX_OP_MS(QLinearMul) = {BINARY, .compute = qlinear_mul_compute};
SDX_OP_MS(QLinearSigmoid) = {UNARY, .compute = qlinear_sigmoid_compute};
SDX_OP_MS(QLinearLeakyRelu) = {UNARY, .attrs = "alpha:float=0.01", .params_size = sizeof(unary_params),
                               .params = qlinear_leaky_relu_read, .compute = qlinear_leaky_relu_compute};
