// SPDX-License-Identifier: Apache-2.0
// See packed_weights.h.
#include "ops/parts/packed_weights.h"

#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/floats.h"

static float zero_of(const packed_weights *w, size_t n, size_t block) {
  if (!w->zeros) return (float)(1u << (w->bits - 1));
  if (w->zeros->dtype != SDX_UINT8) return (float)tensor_number_at(w->zeros, (w->first + n) * w->blocks + block);
  const uint8_t *zeros = w->zeros->data;
  return (float)packed_at(zeros + (w->first + n) * w->zero_bytes, block, w->bits);
}

void packed_fill(void *context, size_t batch, float *panel, size_t stride, size_t k0, size_t kc, size_t n0, size_t nc) {
  const packed_weights *w = context;
  for (size_t n = n0; n < n0 + nc; n++) {
    const uint8_t *row = w->data + n * w->row_bytes;
    size_t block = SIZE_MAX;
    float scale = 0, zero = 0;
    for (size_t k = k0; k < k0 + kc; k++) {
      size_t now = w->groups ? (size_t)w->groups[k] : k / w->block;
      if (now != block) {
        block = now;
        scale = (float)tensor_number_at(w->scales, (w->first + n) * w->blocks + block);
        zero = zero_of(w, n, block);
      }
      panel[(k - k0) * stride + n - n0] = ((float)packed_at(row, k, w->bits) - zero) * scale;
    }
  }
}

sdx_status packed_need(op_step *c, size_t i, const char *name, size_t count, size_t or_count) {
  if (i >= c->input_count || !c->in_types[i] || infer_rank_of(c, i) < 0) return SDX_OK;
  size_t have = 0;
  const type_info *t = c->in_types[i];
  for (int d = 0; d < t->rank; d++)
    if (t->dims[d] < 0) return SDX_OK;
  if (!size_product(t->dims, (size_t)t->rank, &have)) have = SIZE_MAX;
  if (have == count || (or_count && have == or_count)) return SDX_OK;
  return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %zu elements, expected %zu", have, count);
}

sdx_status packed_infer(op_step *c, size_t n, size_t k) {
  int64_t out[TENSOR_MAX_RANK];
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 1, -1));
  if (rank < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  for (int i = 0; i < rank; i++) out[i] = c->in_types[0]->dims[i];
  if (out[rank - 1] >= 0 && (size_t)out[rank - 1] != k)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld columns, expected %zu", (long long)out[rank - 1],
                        k);
  out[rank - 1] = (int64_t)n;
  return infer_output(c, 0, infer_dtype_of(c, 0), rank, out);
}

sdx_status packed_product_prepare(op_step *c, size_t n, size_t k, size_t bias) {
  gemm_f32_plan *plan = arena_zalloc(c->memory, sizeof *plan);
  if (!plan) return error_no_memory(c->err, sizeof *plan);
  c->state = plan;
  if (step_out(c, 0)->count == 0) return SDX_OK;
  gemm_f32_shape shape = {
      .m = step_in(c, 0)->count / k, .n = n, .k = k, .threads = c->threads, .precision = c->precision, .fill_b = true};
  bool fits = gemm_f32_plan_init(plan, &shape) && scratch_reserve(&c->scratch_bytes, plan->scratch_bytes) &&
              floats_reserve(&c->scratch_bytes, step_in(c, 0)) &&
              floats_reserve(&c->scratch_bytes, bias < c->input_count ? step_in(c, bias) : NULL) &&
              floats_reserve(&c->scratch_bytes, step_out(c, 0));
  c->kernel = plan->name;
  return fits ? SDX_OK : error_no_memory(c->err, SIZE_MAX);
}

sdx_status packed_product_run(op_step *c, gemm_f32_fill fill, void *context, size_t n, size_t k, size_t bias) {
  const gemm_f32_plan *plan = c->state;
  tensor *y = step_out(c, 0);
  char *scratch = c->scratch;
  if (y->count == 0) return SDX_OK;
  void *own = scratch_take(&scratch, plan->scratch_bytes);
  gemm_f32_call call = {.a = {.row_stride = k, .column_stride = 1},
                        .fill = fill,
                        .fill_context = context,
                        .c_stride = n,
                        .epilogue = GEMM_F32_PLAIN};
  call.a.data = floats_load(c, step_in(c, 0), &scratch);
  call.epilogue.bias = floats_load(c, step_in(c, bias), &scratch), call.epilogue.bias_kind = GEMM_BIAS_PER_COLUMN;
  call.c = floats_target(y, &scratch);
  gemm_f32_run(plan, &call, own);
  floats_store(c, y, call.c);
  return call_check(c);
}
