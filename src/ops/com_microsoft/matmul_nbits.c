// SPDX-License-Identifier: Apache-2.0
// MatMulNBits: Y = A W' + bias where W [N, K] is stored in 2 to 8 bits, in blocks along K that each have a
// scale and a zero point: w = (q - zero) * scale.
//
//   The weights stay narrow: gemm_f32 asks for a panel of W' and gets it widened on the fly, so memory and
//   traffic are those of the narrow form; constant ones of 4 bits are packed for parts/nbits. Bits run from the low end
//   of each byte, values may cross bytes. zero_points are packed like weights (uint8) or numbers of A's type; absent
//   they are 2^(bits - 1). g_idx, if given, names the block of every k. accuracy_level is a permission that is not
//   used.
#include "ops/infer.h"
#include "ops/parts/nbits.h"

enum { A, B, SCALES, ZEROS, G_IDX, BIAS };

typedef struct nbits_params {
  size_t k, n, block, bits, blocks, blob;  // blob: bytes of one block
} nbits_params;

static sdx_status matmul_nbits_read(op_params_context *c, void *params) {
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

static size_t zero_bytes(const nbits_params *p) { return (p->blocks * p->bits + 7) / 8; }

static sdx_status matmul_nbits_infer(op_step *c) {
  const nbits_params *p = c->params;
  bool packed_zeros = infer_dtype_of(c, ZEROS < c->input_count ? ZEROS : B) == SDX_UINT8;
  SDX_TRY(packed_need(c, B, "B", p->n * p->blocks * p->blob, 0));
  SDX_TRY(packed_need(c, SCALES, "scales", p->n * p->blocks, 0));
  SDX_TRY(packed_need(c, ZEROS, "zero_points", packed_zeros ? p->n * zero_bytes(p) : p->n * p->blocks, 0));
  SDX_TRY(packed_need(c, G_IDX, "g_idx", p->k, p->blocks * p->block));
  SDX_TRY(packed_need(c, BIAS, "bias", p->n, 0));
  return packed_infer(c, p->n, p->k);
}

// Constant weights of the usual width are packed for their kernel; others are read as they come.
static bool has_kernel(const op_step *c) {
  const nbits_params *p = c->params;
  return p->bits == 4 && c->packable[B] && c->packable[SCALES] && (!step_in(c, ZEROS) || c->packable[ZEROS]) &&
         !step_in(c, G_IDX) && step_out(c, 0)->count;
}

static sdx_status matmul_nbits_prepare(op_step *c) {
  const nbits_params *p = c->params;
  if (!has_kernel(c)) return packed_product_prepare(c, p->n, p->k, BIAS);
  nbits_weights w = {.n = p->n,
                     .k = p->k,
                     .block = p->block,
                     .blocks = p->blocks,
                     .row_bytes = p->blocks * p->blob,
                     .zero_bytes = zero_bytes(p)};
  return nbits_prepare(c, &w, B, SCALES, ZEROS, BIAS);
}

static sdx_status matmul_nbits_compute(op_step *c) {
  const nbits_params *p = c->params;
  if (has_kernel(c)) return nbits_run(c, BIAS);
  const tensor *groups = step_in(c, G_IDX);
  for (size_t k = 0; groups && k < p->k; k++) {
    int32_t g = ((const int32_t *)groups->data)[k];
    if (g < 0 || (size_t)g >= p->blocks)
      return step_fail_at(c, part_named(PART_INPUT, STR("g_idx")), SDX_OUT_OF_RANGE, "[%zu] is %d, expected 0 to %zu",
                          k, g, p->blocks - 1);
  }
  packed_weights w = {.data = step_in(c, B)->data,
                      .row_bytes = p->blocks * p->blob,
                      .bits = p->bits,
                      .block = p->block,
                      .blocks = p->blocks,
                      .scales = step_in(c, SCALES),
                      .zeros = step_in(c, ZEROS),
                      .zero_bytes = zero_bytes(p),
                      .groups = groups ? groups->data : NULL};
  return packed_product_run(c, packed_fill, &w, p->n, p->k, BIAS);
}

static const char *const mat_mul_nbits_cases[] = {
    "A=float[2,64] B=uint8[3,2,16]@0..255 scales=float[6]@0.01..0.1 K=64 N=3 block_size=32",
    "A=float[2,32] B=uint8[5,2,8]@0..255 scales=float[10]@0.01..0.1 zero_points=uint8[5]@0..255 K=32 N=5 block_size=16",
    "A=float[2,32] B=uint8[5,2,8]@0..255 scales=float[10]@0.01..0.1 zero_points=float[10]@0..15 K=32 N=5 block_size=16",
    NULL};

SDX_OP_MS(MatMulNBits) = {
    .since = 1,
    .versions = "1",
    .inputs = "A:T1 B:T2 scales:T1 zero_points:T3? g_idx:T4? bias:T1?",
    .outputs = "Y:T1",
    .types = "T1=float,float16,bfloat16;T2=uint8;T3=uint8,float,float16,bfloat16;T4=int32",
    .attrs = "K:int! N:int! accuracy_level:int=0 bits:int=4 block_size:int! weight_prepacked:int=0",
    .params_size = sizeof(nbits_params),
    .params = matmul_nbits_read,
    .infer = matmul_nbits_infer,
    .prepare = matmul_nbits_prepare,
    .compute = matmul_nbits_compute,
    .cases = mat_mul_nbits_cases,
};
