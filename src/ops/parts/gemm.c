// SPDX-License-Identifier: Apache-2.0
// See gemm.h. Shapes are checked here; the product itself is product.c's.
#include "ops/parts/gemm.h"

#include "ops/infer.h"
#include "ops/parts/product.h"

enum { A, B, C };

sdx_status gemm_read(op_params_context *c, void *params) {
  gemm_params *p = params;
  p->transpose_a = params_int(c, "transA") != 0, p->transpose_b = params_int(c, "transB") != 0;
  p->alpha = params_float(c, "alpha"), p->beta = params_float(c, "beta");
  return SDX_OK;
}

sdx_status gemm_infer(op_step *c) {
  const gemm_params *p = c->params;
  SDX_TRY(infer_rank(c, A, 1, 2));
  SDX_TRY(infer_rank(c, B, 2, 2));
  SDX_TRY(infer_has(c, C) ? infer_rank(c, C, 0, 2) : SDX_OK);
  int64_t out[2] = {DIM_UNKNOWN, DIM_UNKNOWN}, k[2] = {DIM_UNKNOWN, DIM_UNKNOWN};
  if (infer_rank_of(c, A) == 2)
    out[0] = c->in_types[A]->dims[p->transpose_a], k[0] = c->in_types[A]->dims[!p->transpose_a];
  else if (infer_rank_of(c, A) == 1)  // one row
    out[0] = 1, k[0] = c->in_types[A]->dims[0];
  if (infer_rank_of(c, A) == 1 && p->transpose_a) out[0] = k[0], k[0] = 1;
  if (infer_rank_of(c, B) == 2)
    out[1] = c->in_types[B]->dims[!p->transpose_b], k[1] = c->in_types[B]->dims[p->transpose_b];
  if (k[0] >= 0 && k[1] >= 0 && k[0] != k[1])
    return step_fail_at(c, at_input(B), SDX_INVALID_SHAPE,
                        "%shas %lld rows, expected %lld: the inner dimensions differ, A%s has so many columns",
                        p->transpose_b ? "transposed " : "", (long long)k[1], (long long)k[0],
                        p->transpose_a ? " transposed" : "");
  int rank = c->input_count > C ? infer_rank_of(c, C) : -1;
  for (int i = 0; i < rank; i++) {
    int64_t have = c->in_types[C]->dims[i], want = out[2 - rank + i];
    if (have >= 0 && want >= 0 && have != 1 && have != want)
      return step_fail_at(c, at_input(C), SDX_INVALID_SHAPE, "has %lld in dimension %d, expected 1 or %lld",
                          (long long)have, i, (long long)want);
  }
  return infer_output(c, 0, infer_dtype_of(c, A), 2, out);
}

sdx_status gemm_prepare(op_step *c) {
  const gemm_params *p = c->params;
  const tensor *a = step_in(c, A), *b = step_in(c, B), *bias = c->input_count > C ? step_in(c, C) : NULL;
  product *s = arena_zalloc(c->memory, sizeof *s);
  if (!s) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  if (step_out(c, 0)->count == 0) return SDX_OK;
  size_t a_columns = (size_t)a->dims[a->rank - 1], b_columns = (size_t)b->dims[1];
  s->m = (size_t)step_out(c, 0)->dims[0], s->n = (size_t)step_out(c, 0)->dims[1],
  s->k = (size_t)b->dims[p->transpose_b];
  s->batch = 1;
  s->a = (product_operand){.row = p->transpose_a ? 1 : a_columns, .column = p->transpose_a ? a_columns : 1};
  s->b = (product_operand){.row = p->transpose_b ? 1 : b_columns, .column = p->transpose_b ? b_columns : 1};
  s->alpha = p->alpha, s->beta = p->beta, s->activation = p->activation;
  s->has_bias = bias && p->beta != 0;
  if (bias && bias->rank > 0) {
    size_t columns = (size_t)bias->dims[bias->rank - 1], rows = bias->rank == 2 ? (size_t)bias->dims[0] : 1;
    s->bias_column = columns == 1 ? 0 : 1;
    s->bias_row = rows == 1 ? 0 : columns;
  }
  return product_prepare(c, s, C);
}

sdx_status gemm_compute(op_step *c) { return step_out(c, 0)->count ? product_run(c, c->state, C) : SDX_OK; }
