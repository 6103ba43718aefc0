// SPDX-License-Identifier: Apache-2.0
// See product.h. Read next: product.inl (the loops of the types without a kernel).
#include "ops/parts/product.h"

#include "ops/call.h"
#include "ops/parts/floats.h"

static bool through_float(sdx_dtype d) { return d == SDX_FLOAT || d == SDX_FLOAT16 || d == SDX_BFLOAT16; }

// ---- float kinds ----------------------------------------------------------------------------------

typedef struct pack_context {
  const product *p;
  int precision;
  size_t threads;
} pack_context;

static gemm_f32_operand operand(const product_operand *o, const float *data) {
  return (gemm_f32_operand){.data = data,
                            .row_stride = o->row,
                            .column_stride = o->column,
                            .packed = o->packed,
                            .batch_stride = o->packed ? 0 : o->batch,
                            .index = o->index};
}

static void pack(void *target, const float *weights, const void *context) {
  const pack_context *x = context;
  gemm_f32_operand b = operand(&x->p->b, weights);
  gemm_f32_pack_b(target, &b, x->p->k, x->p->n, x->precision, x->threads);
}

// Leaves packed NULL where packing does not apply.
static sdx_status pack_weights(op_step *c, product *p) {
  if (!c->packable[1] || p->b.batch != 0 || step_in(c, 1)->count == 0) return SDX_OK;
  size_t bytes = gemm_f32_packed_b_bytes(p->k, p->n, c->precision);
  if (!bytes) return SDX_OK;
  pack_format format = gemm_f32_format_b(p->k, p->n, c->precision);
  format.detail = p->b.column != 1;  // transposed
  return floats_pack(c, 1, &format, bytes, pack, &(pack_context){p, c->precision, c->threads}, &p->b.packed);
}

static sdx_status prepare_floats(op_step *c, product *p, size_t bias) {
  SDX_TRY(pack_weights(c, p));
  gemm_f32_shape shape = {.m = p->m,
                          .n = p->n,
                          .k = p->k,
                          .batch = p->batch,
                          .threads = c->threads,
                          .precision = c->precision,
                          .packed_b = p->b.packed != NULL};
  size_t total = 0;
  bool fits = gemm_f32_plan_init(&p->plan, &shape) && scratch_reserve(&total, p->plan.scratch_bytes) &&
              floats_reserve(&total, step_in(c, 0)) && (p->b.packed || floats_reserve(&total, step_in(c, 1))) &&
              (!p->has_bias || floats_reserve(&total, step_in(c, bias))) && floats_reserve(&total, step_out(c, 0));
  if (!fits) return error_no_memory(c->err, SIZE_MAX);
  c->scratch_bytes = total;
  c->kernel = p->plan.name;
  return SDX_OK;
}

static sdx_status run_floats(op_step *c, const product *p, size_t bias) {
  const tensor *a = step_in(c, 0), *b = step_in(c, 1), *extra = p->has_bias ? step_in(c, bias) : NULL;
  tensor *y = step_out(c, 0);
  char *scratch = c->scratch;
  void *gemm_scratch = scratch_take(&scratch, p->plan.scratch_bytes);
  const float *a_data = floats_load(c, a, &scratch), *b_data = p->b.packed ? NULL : floats_load(c, b, &scratch);
  const float *added = floats_load(c, extra, &scratch);
  gemm_f32_call call = {.a = operand(&p->a, a_data),
                        .b = operand(&p->b, b_data),
                        .c = floats_target(y, &scratch),
                        .c_stride = p->n,
                        .c_batch_stride = p->m * p->n,
                        .epilogue = GEMM_F32_PLAIN};
  call.epilogue.alpha = p->alpha;
  call.epilogue.act = p->activation;
  if (added && p->bias_row && p->bias_column) {
    call.epilogue.residual = added;
    call.epilogue.residual_scale = p->beta;
    call.epilogue.residual_stride = p->bias_row;
  } else if (added) {
    call.epilogue.bias = added;
    call.epilogue.bias_scale = p->beta;
    call.epilogue.bias_kind = p->bias_row      ? GEMM_BIAS_PER_ROW
                              : p->bias_column ? GEMM_BIAS_PER_COLUMN
                                               : GEMM_BIAS_SCALAR;
  }
  gemm_f32_run(&p->plan, &call, gemm_scratch);
  floats_store(c, y, call.c);
  return SDX_OK;
}

// ---- other types ----------------------------------------------------------------------------------

typedef struct loop {
  const product *p;
  const void *a, *b, *bias;
  void *y;
} loop;

static size_t matrix(const product_operand *o, size_t i) { return (o->index ? o->index[i] : i) * o->batch; }

enum { LOOK = 1 << 22 };  // products between two looks at the clock
// Integers with alpha or beta other than 1 are scaled in double, then truncated.
#define T double
#define DTYPE SDX_DOUBLE
#define NAME(x) x##_double
#include "ops/parts/product.inl"
#define T uint32_t
#define DTYPE SDX_UINT32
#define NAME(x) x##_u32
#include "ops/parts/product.inl"
#define T uint64_t
#define DTYPE SDX_UINT64
#define NAME(x) x##_u64
#include "ops/parts/product.inl"
// The sums of signed numbers are those of unsigned ones; only scaling sees the sign.
#define T uint32_t
#define DTYPE SDX_INT32
#define NAME(x) x##_s32
#include "ops/parts/product.inl"
#define T uint64_t
#define DTYPE SDX_INT64
#define NAME(x) x##_s64
#include "ops/parts/product.inl"

// ---- entry points ---------------------------------------------------------------------------------

sdx_status product_prepare(op_step *c, product *p, size_t bias) {
  if (through_float((sdx_dtype)step_in(c, 0)->dtype)) return prepare_floats(c, p, bias);
  c->kernel = "portable";
  return SDX_OK;
}

sdx_status product_run(op_step *c, const product *p, size_t bias) {
  const tensor *a = step_in(c, 0), *extra = p->has_bias ? step_in(c, bias) : NULL;
  if (step_out(c, 0)->count == 0) return SDX_OK;
  if (through_float((sdx_dtype)a->dtype)) return run_floats(c, p, bias);
  loop l = {p, a->data, step_in(c, 1)->data, extra ? extra->data : NULL, step_out(c, 0)->data};
  void (*rows)(void *, size_t, size_t, size_t) = a->dtype == SDX_DOUBLE   ? rows_double
                                                 : a->dtype == SDX_INT32  ? rows_s32
                                                 : a->dtype == SDX_INT64  ? rows_s64
                                                 : a->dtype == SDX_UINT32 ? rows_u32
                                                                          : rows_u64;
  call_parallel(c, p->batch * p->m, 1 + 32768 / (p->n * p->k + 1), rows, &l);
  return call_check(c);
}
