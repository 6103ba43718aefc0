// SPDX-License-Identifier: Apache-2.0
// MatMulNBits: Y = A W' + bias where W [N, K] is stored in 2 to 8 bits, in blocks along K that each have a
// scale and a zero point: w = (q - zero) * scale.
//
//   The weights stay packed: gemm_f32 asks for a panel of W' and gets it widened on the fly, so memory and
//   traffic are those of the narrow form. Bits run from the low end of each byte, values may cross bytes.
//   zero_points are packed like weights (uint8) or numbers of A's type; absent they are 2^(bits - 1).
//   g_idx, if given, names the block of every k. accuracy_level is a permission that is not used.
#include "kernels/gemm_f32/gemm_f32.h"
#include "ops/ai_onnx/floats.h"

enum { A, B, SCALES, ZEROS, G_IDX, BIAS };

typedef struct nbits_params {
  size_t k, n, block, bits, blocks, blob;  // blob: bytes of one block
} nbits_params;

static sdx_status params(op_params_context *c, void *params) {
  nbits_params *p = params;
  int64_t k = params_int(c, "K"), n = params_int(c, "N"), block = params_int(c, "block_size"),
          bits = params_int(c, "bits");
  if (k < 1 || k > INT32_MAX) return params_fail(c, "K", "is %lld, expected 1 to 2^31 - 1", (long long)k);
  if (n < 1 || n > INT32_MAX) return params_fail(c, "N", "is %lld, expected 1 to 2^31 - 1", (long long)n);
  if (block < 16 || block > 1 << 20 || (block & (block - 1)))
    return params_fail(c, "block_size", "is %lld, expected a power of 2 from 16 to 2^20", (long long)block);
  if (bits < 2 || bits > 8) return params_fail(c, "bits", "is %lld, expected 2 to 8", (long long)bits);
  if (params_int(c, "weight_prepacked"))
    return params_fail(c, "weight_prepacked", "is set: weights packed for a particular device cannot be read");
  *p = (nbits_params){
      (size_t)k, (size_t)n, (size_t)block, (size_t)bits, (size_t)((k + block - 1) / block), (size_t)(block * bits / 8)};
  return SDX_OK;
}

// Input i, where its size is known, has one of the counts (0: not allowed).
static sdx_status need(op_infer *c, size_t i, const char *name, size_t count, size_t or_count) {
  if (i >= c->input_count || !c->in[i] || infer_rank_of(c, i) < 0) return SDX_OK;
  size_t have = 0;
  const type_info *t = c->in[i];
  for (int d = 0; d < t->rank; d++)
    if (t->dims[d] < 0) return SDX_OK;
  if (!size_product(t->dims, (size_t)t->rank, &have)) have = SIZE_MAX;
  if (have == count || (or_count && have == or_count)) return SDX_OK;
  return infer_fail(c, SDX_INVALID_SHAPE, "input %zu ('%s') has %zu elements, but N, K, bits and block_size imply %zu",
                    i, name, have, count);
}

static size_t zero_bytes(const nbits_params *p) { return (p->blocks * p->bits + 7) / 8; }

static sdx_status infer(op_infer *c) {
  const nbits_params *p = c->params;
  int64_t out[TENSOR_MAX_RANK];
  int rank = infer_rank_of(c, A);
  bool packed_zeros = infer_dtype_of(c, ZEROS < c->input_count ? ZEROS : B) == SDX_UINT8;
  SDX_TRY(infer_rank(c, A, 1, -1));
  SDX_TRY(need(c, B, "B", p->n * p->blocks * p->blob, 0));
  SDX_TRY(need(c, SCALES, "scales", p->n * p->blocks, 0));
  SDX_TRY(need(c, ZEROS, "zero_points", packed_zeros ? p->n * zero_bytes(p) : p->n * p->blocks, 0));
  SDX_TRY(need(c, G_IDX, "g_idx", p->k, p->blocks * p->block));
  SDX_TRY(need(c, BIAS, "bias", p->n, 0));
  if (rank < 0) return infer_output(c, 0, infer_dtype_of(c, A), -1, NULL);
  for (int i = 0; i < rank; i++) out[i] = c->in[A]->dims[i];
  if (out[rank - 1] >= 0 && (size_t)out[rank - 1] != p->k)
    return infer_fail(c, SDX_INVALID_SHAPE, "input A has %lld columns, attribute 'K' is %zu", (long long)out[rank - 1],
                      p->k);
  out[rank - 1] = (int64_t)p->n;
  return infer_output(c, 0, infer_dtype_of(c, A), rank, out);
}

static sdx_status prepare(op_prepare *c) {
  const nbits_params *p = c->params;
  gemm_f32_plan *plan = arena_zalloc(c->memory, sizeof *plan);
  if (!plan) return error_no_memory(c->err, sizeof *plan);
  c->state = plan;
  if (c->out[0]->count == 0) return SDX_OK;
  gemm_f32_shape shape = {.m = c->in[A]->count / p->k,
                          .n = p->n,
                          .k = p->k,
                          .threads = c->threads,
                          .precision = c->precision,
                          .fill_b = true};
  bool fits = gemm_f32_plan_init(plan, &shape) && scratch_reserve(&c->scratch_bytes, plan->scratch_bytes) &&
              floats_reserve(&c->scratch_bytes, c->in[A]) &&
              floats_reserve(&c->scratch_bytes, c->input_count > BIAS ? c->in[BIAS] : NULL) &&
              floats_reserve(&c->scratch_bytes, c->out[0]);
  c->kernel = plan->name;
  return fits ? SDX_OK : error_no_memory(c->err, SIZE_MAX);
}

typedef struct weights {
  const nbits_params *p;
  const uint8_t *data;
  const tensor *scales, *zeros;
  const int32_t *groups;
} weights;

// Value i of a row of packed values.
static unsigned unpack(const uint8_t *row, size_t i, size_t bits) {
  size_t at = i * bits, byte = at / 8, shift = at % 8;
  unsigned v = (unsigned)row[byte] >> shift;
  if (shift + bits > 8) v |= (unsigned)row[byte + 1] << (8 - shift);
  return v & ((1u << bits) - 1);
}

static float number_at(const tensor *t, size_t i) {
  float v = 0;
  if (t->dtype == SDX_FLOAT) return ((const float *)t->data)[i];
  convert_to_floats((sdx_dtype)t->dtype, t->data, i, 1, &v);
  return v;
}

static void fill(void *context, size_t batch, float *panel, size_t stride, size_t k0, size_t kc, size_t n0, size_t nc) {
  const weights *w = context;
  const nbits_params *p = w->p;
  for (size_t n = n0; n < n0 + nc; n++) {
    const uint8_t *row = w->data + n * p->blocks * p->blob;
    size_t block = SIZE_MAX;
    float scale = 0, zero = 0;
    for (size_t k = k0; k < k0 + kc; k++) {
      size_t now = w->groups ? (size_t)w->groups[k] : k / p->block;
      if (now != block) {
        block = now;
        scale = number_at(w->scales, n * p->blocks + block);
        zero = !w->zeros ? (float)(1u << (p->bits - 1))
               : w->zeros->dtype == SDX_UINT8
                   ? (float)unpack((const uint8_t *)w->zeros->data + n * zero_bytes(p), block, p->bits)
                   : number_at(w->zeros, n * p->blocks + block);
      }
      panel[(k - k0) * stride + n - n0] = ((float)unpack(row, k, p->bits) - zero) * scale;
    }
  }
}

static sdx_status compute(op_call *c) {
  const nbits_params *p = c->params;
  const gemm_f32_plan *plan = c->state;
  const tensor *groups = call_in(c, G_IDX);
  tensor *y = call_out(c, 0);
  char *scratch = c->scratch;
  if (y->count == 0) return SDX_OK;
  for (size_t k = 0; groups && k < p->k; k++) {
    int32_t g = ((const int32_t *)groups->data)[k];
    if (g < 0 || (size_t)g >= p->blocks)
      return call_fail(c, SDX_OUT_OF_RANGE, "input 'g_idx'[%zu] is %d, expected 0 to %zu", k, g, p->blocks - 1);
  }
  weights w = {p, call_in(c, B)->data, call_in(c, SCALES), call_in(c, ZEROS), groups ? groups->data : NULL};
  void *own = scratch_take(&scratch, plan->scratch_bytes);
  gemm_f32_call call = {.a = {.row_stride = p->k, .column_stride = 1},
                        .fill = fill,
                        .fill_context = &w,
                        .c_stride = p->n,
                        .epilogue = GEMM_F32_PLAIN};
  call.a.data = floats_load(c, call_in(c, A), &scratch);
  call.epilogue.bias = floats_load(c, call_in(c, BIAS), &scratch), call.epilogue.bias_kind = GEMM_BIAS_PER_COLUMN;
  call.c = floats_target(y, &scratch);
  gemm_f32_run(plan, &call, own);
  floats_store(c, y, call.c);
  return call_check(c);
}

SDX_OP_MS(MatMulNBits) = {
    .since = 1,
    .versions = "1",
    .inputs = "A:T1 B:T2 scales:T1 zero_points:T3? g_idx:T4? bias:T1?",
    .outputs = "Y:T1",
    .types = "T1=float,float16,bfloat16;T2=uint8;T3=uint8,float,float16,bfloat16;T4=int32",
    .attrs = "K:int! N:int! accuracy_level:int=0 bits:int=4 block_size:int! weight_prepacked:int=0",
    .params_size = sizeof(nbits_params),
    .params = params,
    .infer = infer,
    .prepare = prepare,
    .compute = compute,
};
