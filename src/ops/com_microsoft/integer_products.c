// SPDX-License-Identifier: Apache-2.0
// Products of 8-bit matrices with other endings than ai.onnx has; the sums are those of
// ops/parts/int_product.h.
//
//   MatMulIntegerToFloat   (A - a_zero) (B - b_zero) * a_scale * b_scale + bias, in float
//   DynamicQuantizeMatMul  the same with A quantised to uint8 on the fly, as DynamicQuantizeLinear does
//   QGemm                  alpha a_scale b_scale (A' B' + C), in float, or requantised if y_scale is given
//
// b_scale and b_zero are one number or one for each column.
#include <math.h>

#include "kernels/quantize/quantize.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/floats.h"
#include "ops/parts/int_product.h"
#include "ops/parts/quantization.h"
#include "ops/prepare.h"

// Rows of int32 sums -> float: y = sums * (a_scale * b_scale[column]) + bias[column].
typedef struct scaling {
  const int32_t *sums;
  tensor *y;
  size_t columns;
  float a_scale;
  const tensor *b_scale, *bias;
} scaling;

static void scale_rows(void *context, size_t begin, size_t end, size_t worker) {
  const scaling *s = context;
  const tensor *scale = s->b_scale, *bias = s->bias;
  if (s->y->dtype == SDX_FLOAT) {
    const quantize_kernel *k = KERNEL_BEST(quantize);
    const float one = scale->count > 1 ? s->a_scale : s->a_scale * scale_at(scale, 0);
    for (size_t row = begin; row < end; row++)
      k->scale_s32(s->sums + row * s->columns, (float *)s->y->data + row * s->columns, s->columns, one,
                   scale->count > 1 ? scale->data : NULL, bias ? bias->data : NULL);
    return;
  }
  for (size_t row = begin; row < end; row++)
    for (size_t j = 0; j < s->columns; j++) {
      float v = (float)s->sums[row * s->columns + j] * (s->a_scale * scale_at(scale, scale->count > 1 ? j : 0));
      if (bias) v += scale_at(bias, j);
      widen_write((sdx_dtype)s->y->dtype, s->y->data, row * s->columns + j, 1, &v);
    }
}

static sdx_status check_columns(op_step *c, const tensor *t, const char *name, size_t n) {
  if (!t || t->count == 1 || t->count == n) return SDX_OK;
  return step_fail_at(c, part_named(PART_INPUT, str_from(name)), SDX_INVALID_SHAPE,
                      "has %zu elements, expected 1 or %zu", t->count, n);
}

static sdx_status finish(op_step *c, const scaling *s) {
  SDX_TRY(check_columns(c, s->b_scale, "b_scale", s->columns));
  if (s->bias && s->bias->count != s->columns)
    return step_fail_at(c, part_named(PART_INPUT, STR("bias")), SDX_INVALID_SHAPE, "has %zu elements, expected %zu",
                        s->bias->count, s->columns);
  call_parallel(c, s->y->count / s->columns, 1 + 8192 / s->columns, scale_rows, (void *)s);
  return call_check(c);
}

// ---- MatMulIntegerToFloat -------------------------------------------------------------------------

static const matmul_params plain;

static sdx_status prepare_sums(op_step *c, size_t b, size_t extra) {
  int_product *p = arena_zalloc(c->memory, sizeof *p);
  size_t sums = 0;
  if (!p) return error_no_memory(c->err, sizeof *p);
  c->state = p;
  SDX_TRY(int_product_prepare(c, p, 0, b, step_out(c, 0)));
  bool fits = size_mul(step_out(c, 0)->count, sizeof(int32_t), &sums) &&
              scratch_reserve(&c->scratch_bytes, p->scratch_bytes) && scratch_reserve(&c->scratch_bytes, sums) &&
              scratch_reserve(&c->scratch_bytes, extra);
  return fits ? SDX_OK : error_no_memory(c->err, SIZE_MAX);
}

enum { A, B, A_SCALE, B_SCALE, A_ZERO, B_ZERO, BIAS };

static sdx_status matmul_integer_to_float_infer(op_step *c) {
  return matmul_infer_shape(c, &plain, A, B, infer_dtype_of(c, A_SCALE));
}
static sdx_status matmul_integer_to_float_prepare(op_step *c) { return prepare_sums(c, B, 0); }

static sdx_status matmul_integer_to_float_compute(op_step *c) {
  const int_product *p = c->state;
  const tensor *a_scale = step_in(c, A_SCALE);
  tensor *y = step_out(c, 0);
  char *scratch = c->scratch;
  if (y->count == 0) return SDX_OK;
  if (a_scale->count != 1)
    return step_fail_at(c, part_named(PART_INPUT, STR("a_scale")), SDX_INVALID_SHAPE, "has %zu elements, expected 1",
                        a_scale->count);
  void *own = scratch_take(&scratch, p->scratch_bytes);
  int32_t *sums = scratch_take(&scratch, y->count * sizeof *sums);
  SDX_TRY(int_product_run(c, p, A_ZERO, B_ZERO, sums, own));
  return finish(c, &(scaling){sums, y, p->shape.n, scale_at(a_scale, 0), step_in(c, B_SCALE), step_in(c, BIAS)});
}

// ---- DynamicQuantizeMatMul ------------------------------------------------------------------------

enum { D_A, D_B, D_B_SCALE, D_B_ZERO, D_BIAS };

static sdx_status dynamic_quantize_matmul_infer(op_step *c) {
  return matmul_infer_shape(c, &plain, D_A, D_B, SDX_FLOAT);
}
static sdx_status dynamic_quantize_matmul_prepare(op_step *c) {
  return prepare_sums(c, D_B, step_in(c, D_A)->count + 1);
}

static sdx_status dynamic_quantize_matmul_compute(op_step *c) {
  const int_product *p = c->state;
  const tensor *a = step_in(c, D_A);
  const float *x = a->data;
  tensor *y = step_out(c, 0);
  char *scratch = c->scratch;
  if (y->count == 0) return SDX_OK;
  void *own = scratch_take(&scratch, p->scratch_bytes);
  int32_t *sums = scratch_take(&scratch, y->count * sizeof *sums);
  uint8_t *quantized = scratch_take(&scratch, a->count + 1), *zero = quantized + a->count;
  float low = 0, high = 0;
  const quantize_kernel *kernel = KERNEL_BEST(quantize);
  kernel->range(x, a->count, &low, &high);
  float scale = high == low ? 1 : (high - low) / 255, z = rintf(-low / scale);
  *zero = (uint8_t)(z > 0 ? z < 255 ? z : 255 : 0);
  kernel->to_u8(x, quantized, a->count, scale, *zero);
  // The product reads A and its zero point from inputs: quantised ones stand in for them.
  int64_t one = 1;
  value a_value = {.tensor = *a},
        zero_value = {.tensor = {.data = zero, .dims = &one, .count = 1, .bytes = 1, .dtype = SDX_UINT8, .rank = 1}};
  a_value.tensor.data = quantized, a_value.tensor.dtype = SDX_UINT8, a_value.tensor.bytes = a->count;
  value *in[] = {&a_value, c->in[D_B], &zero_value, c->input_count > D_B_ZERO ? c->in[D_B_ZERO] : NULL};
  op_step inner = *c;
  inner.in = in, inner.input_count = 4;
  SDX_TRY(int_product_run(&inner, p, 2, 3, sums, own));
  return finish(c, &(scaling){sums, y, p->shape.n, scale, step_in(c, D_B_SCALE), step_in(c, D_BIAS)});
}

// ---- QGemm ----------------------------------------------------------------------------------------

enum { G_A, G_A_SCALE, G_A_ZERO, G_B, G_B_SCALE, G_B_ZERO, G_C, G_Y_SCALE, G_Y_ZERO };

typedef struct qgemm_params {
  bool transpose_a, transpose_b;
  float alpha;
} qgemm_params;

typedef struct qgemm_state {
  size_t m, n, k, gemm_bytes;
  const void *packed_b;  // NULL: B is read as it is
} qgemm_state;

static sdx_status qgemm_read(op_params_context *c, void *params) {
  *(qgemm_params *)params =
      (qgemm_params){params_int(c, "transA") != 0, params_int(c, "transB") != 0, params_float(c, "alpha")};
  return SDX_OK;
}

static sdx_status qgemm_infer(op_step *c) {
  const qgemm_params *p = c->params;
  SDX_TRY(infer_rank(c, G_A, 2, 2));
  SDX_TRY(infer_rank(c, G_B, 2, 2));
  SDX_TRY(infer_has(c, G_C) ? infer_rank(c, G_C, 0, 2) : SDX_OK);
  int64_t out[2] = {DIM_UNKNOWN, DIM_UNKNOWN}, k[2] = {DIM_UNKNOWN, DIM_UNKNOWN};
  if (infer_rank_of(c, G_A) == 2)
    out[0] = c->in_types[G_A]->dims[p->transpose_a], k[0] = c->in_types[G_A]->dims[!p->transpose_a];
  if (infer_rank_of(c, G_B) == 2)
    out[1] = c->in_types[G_B]->dims[!p->transpose_b], k[1] = c->in_types[G_B]->dims[p->transpose_b];
  if (k[0] >= 0 && k[1] >= 0 && k[0] != k[1])
    return step_fail_at(c, at_input(G_B), SDX_INVALID_SHAPE,
                        "has the inner dimension %lld, expected %lld as in input 0", (long long)k[1], (long long)k[0]);
  static const size_t scalars[] = {G_A_SCALE, G_A_ZERO, G_Y_SCALE, G_Y_ZERO};
  for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) SDX_TRY(infer_per_channel(c, scalars[i], 1));
  SDX_TRY(infer_per_channel(c, G_B_SCALE, out[1]));
  SDX_TRY(infer_per_channel(c, G_B_ZERO, out[1]));
  int rank = c->input_count > G_C ? infer_rank_of(c, G_C) : -1;
  for (int i = 0; i < rank; i++) {
    int64_t have = c->in_types[G_C]->dims[i], want = out[2 - rank + i];
    if (have >= 0 && want >= 0 && have != 1 && have != want)
      return step_fail_at(c, part_named(PART_INPUT, STR("C")), SDX_INVALID_SHAPE,
                          "has %lld in dimension %d, expected 1 or %lld", (long long)have, i, (long long)want);
  }
  bool requantizes = infer_has(c, G_Y_SCALE);
  sdx_dtype dtype = !requantizes             ? SDX_FLOAT
                    : infer_has(c, G_Y_ZERO) ? infer_dtype_of(c, G_Y_ZERO)
                                             : infer_dtype_of(c, G_A);
  return infer_output(c, 0, dtype, 2, out);
}

static void transpose_bytes(const uint8_t *from, size_t rows, size_t columns, uint8_t *to) {
  for (size_t r = 0; r < rows; r++)
    for (size_t i = 0; i < columns; i++) to[i * rows + r] = from[r * columns + i];
}

static void qgemm_pack(void *target, const tensor *b, void *threads) {
  size_t k = (size_t)b->dims[0], n = (size_t)b->dims[1];
  gemm_u8s8_pack_b(target, b->data, n, b->dtype == SDX_INT8, k, n, *(const uint32_t *)threads);
}

static sdx_status qgemm_prepare(op_step *c) {
  const qgemm_params *p = c->params;
  qgemm_state *s = arena_zalloc(c->memory, sizeof *s);
  size_t sums = 0;
  if (!s) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  s->m = (size_t)step_out(c, 0)->dims[0], s->n = (size_t)step_out(c, 0)->dims[1],
  s->k = (size_t)step_in(c, G_A)->dims[!p->transpose_a];
  if (step_out(c, 0)->count == 0) return SDX_OK;
  size_t packed_bytes = gemm_u8s8_packed_b_bytes(s->k, s->n);
  if (c->packable[G_B] && !p->transpose_b && packed_bytes) {
    pack_format format = gemm_u8s8_format_b(step_in(c, G_B)->dtype == SDX_INT8);
    s->packed_b = prepare_pack(c, G_B, &format, packed_bytes, qgemm_pack, &c->threads);
    if (!s->packed_b) return SDX_NO_MEMORY;
  }
  gemm_u8s8 g = {.m = s->m, .n = s->n, .k = s->k, .lda = s->k, .ldb = s->n, .packed_b = s->packed_b, .ldc = s->n};
  s->gemm_bytes = gemm_u8s8_scratch_bytes(&g, c->threads);
  bool fits = size_mul(step_out(c, 0)->count, sizeof(int32_t), &sums) &&
              scratch_reserve(&c->scratch_bytes, s->gemm_bytes) && scratch_reserve(&c->scratch_bytes, sums) &&
              scratch_reserve(&c->scratch_bytes, p->transpose_a ? step_in(c, G_A)->count : 0) &&
              scratch_reserve(&c->scratch_bytes, p->transpose_b ? step_in(c, G_B)->count : 0);
  c->kernel = kernel_best("gemm_u8s8")->variant;
  return fits ? SDX_OK : error_no_memory(c->err, SIZE_MAX);
}

static void add_bias(const qgemm_state *s, const tensor *bias, int32_t *sums) {
  size_t columns = bias->rank ? (size_t)bias->dims[bias->rank - 1] : 1,
         rows = bias->rank == 2 ? (size_t)bias->dims[0] : 1;
  for (size_t r = 0; r < s->m && !pool_stopped_in(r); r++)
    for (size_t j = 0; j < s->n; j++) {
      int32_t add = ((const int32_t *)bias->data)[(rows > 1 ? r : 0) * columns + (columns > 1 ? j : 0)];
      sums[r * s->n + j] = (int32_t)((uint32_t)sums[r * s->n + j] + (uint32_t)add);
    }
}

static sdx_status qgemm_compute(op_step *c) {
  const qgemm_params *p = c->params;
  const qgemm_state *s = c->state;
  const tensor *a = step_in(c, G_A), *b = step_in(c, G_B), *az = step_in(c, G_A_ZERO), *bz = step_in(c, G_B_ZERO),
               *bias = step_in(c, G_C);
  const tensor *a_scale = step_in(c, G_A_SCALE), *b_scale = step_in(c, G_B_SCALE), *y_scale = step_in(c, G_Y_SCALE);
  tensor *y = step_out(c, 0);
  char *scratch = c->scratch;
  if (y->count == 0) return SDX_OK;
  SDX_TRY(check_columns(c, bz, "b_zero_point", s->n));
  SDX_TRY(check_columns(c, b_scale, "b_scale", s->n));
  void *own = scratch_take(&scratch, s->gemm_bytes);
  int32_t *sums = scratch_take(&scratch, y->count * sizeof *sums);
  const uint8_t *left = a->data, *right = b->data;
  if (p->transpose_a) transpose_bytes(a->data, s->k, s->m, (uint8_t *)scratch), left = scratch_take(&scratch, a->count);
  if (p->transpose_b)
    transpose_bytes(b->data, s->n, s->k, (uint8_t *)scratch), right = scratch_take(&scratch, b->count);
  gemm_u8s8 g = {.m = s->m,
                 .n = s->n,
                 .k = s->k,
                 .a = left,
                 .b = s->packed_b ? NULL : right,
                 .packed_b = s->packed_b,
                 .lda = s->k,
                 .ldb = s->n,
                 .c = sums,
                 .ldc = s->n,
                 .a_zero = az->data,
                 .b_zero = bz->data};
  g.a_signed = a->dtype == SDX_INT8, g.b_signed = b->dtype == SDX_INT8, g.b_zero_per_col = bz->count > 1;
  gemm_u8s8_run(&g, own, c->threads);
  if (bias) add_bias(s, bias, sums);
  SDX_TRY(call_check(c));
  float scale = p->alpha * scale_at(a_scale, 0);
  if (!y_scale) return finish(c, &(scaling){sums, y, s->n, scale, b_scale, NULL});
  tensor left_scale = {.data = &scale, .count = 1, .bytes = sizeof scale, .dtype = SDX_FLOAT};
  const tensor *y_zero = step_in(c, G_Y_ZERO);
  requantize_rows(c, &(requantization){.sums = sums,
                                       .y = y->data,
                                       .rows = s->m,
                                       .columns = s->n,
                                       .a_scale = &left_scale,
                                       .b_scale = b_scale,
                                       .y_scale = scale_at(y_scale, 0),
                                       .y_zero = zero_at(y_zero, 0),
                                       .is_signed = y->dtype == SDX_INT8});
  return call_check(c);
}

SDX_CASES = {
    "A=uint8[3,4] B=int8[4,5] a_scale=float(0.1) b_scale=float(0.2) a_zero_point=uint8(100) b_zero_point=int8(3) "
    "bias=float[5]",
    NULL};
static const char *const dynamic_cases[] = {
    "A=float[2,3,4] B=int8[4,5] b_scale=float(0.2) b_zero_point=int8(3) bias=float[5]", NULL};

SDX_OP_MS(MatMulIntegerToFloat) = {
    .since = 1,
    .versions = "1",
    .inputs = "A:T1 B:T2 a_scale:T3 b_scale:T3 a_zero_point:T1? b_zero_point:T2? bias:T3?",
    .outputs = "Y:T3",
    .types = "T1=int8,uint8;T2=int8,uint8;T3=float,float16",
    .infer = matmul_integer_to_float_infer,
    .prepare = matmul_integer_to_float_prepare,
    .compute = matmul_integer_to_float_compute,
    .cases = cases,
};

SDX_OP_MS(DynamicQuantizeMatMul) = {
    .since = 1,
    .versions = "1",
    .inputs = "A:T1 B:T2 b_scale:T1 b_zero_point:T2? bias:T1?",
    .outputs = "Y:T1",
    .types = "T1=float;T2=int8,uint8",
    .infer = dynamic_quantize_matmul_infer,
    .prepare = dynamic_quantize_matmul_prepare,
    .compute = dynamic_quantize_matmul_compute,
    .cases = dynamic_cases,
};

static const char *const qgemm_cases[] = {
    "A=uint8[3,4] a_scale=float(0.1) a_zero_point=uint8(3) B=int8[4,5] b_scale=float(0.05) b_zero_point=int8(1) "
    "C=int32[5]@-50..50 y_scale=float(0.2) y_zero_point=uint8(100)",
    "A=uint8[4,3] a_scale=float(0.1) a_zero_point=uint8(3) B=uint8[4,5] b_scale=float(0.05) b_zero_point=uint8(1) "
    "transA=1 alpha=0.5",
    NULL};

SDX_OP_MS(QGemm) = {
    .since = 1,
    .versions = "1",
    .inputs = "A:TA a_scale:T a_zero_point:TA B:TB b_scale:T b_zero_point:TB C:TC? y_scale:T? y_zero_point:TYZ?",
    .outputs = "Y:TY",
    .types = "T=float;TA=uint8,int8;TB=uint8,int8;TC=int32;TYZ=uint8,int8;TY=float,uint8,int8",
    .attrs = "alpha:float=1.0 transA:int=0 transB:int=0",
    .params_size = sizeof(qgemm_params),
    .params = qgemm_read,
    .infer = qgemm_infer,
    .prepare = qgemm_prepare,
    .compute = qgemm_compute,
    .cases = qgemm_cases,
};
