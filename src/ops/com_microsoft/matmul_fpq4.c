// SPDX-License-Identifier: Apache-2.0
// MatMulFpQ4: Y = A B for a B [K, N] of 4-bit numbers in one blob. Column after column, its blocks of 32 (64) numbers
// along K: the scale (float), the zero point (a byte, blk_quant_type 1 only, else 8), and for every 32 numbers 16 bytes
// whose low halves are the first 16 of them and high halves the others. w = (q - zero) * scale.
#include "base/size.h"
#include "ops/infer.h"
#include "ops/parts/packed_weights.h"

enum { A, B, SHAPE };

typedef struct fpq4_params {
  size_t block;
  bool zeros;
} fpq4_params;

static sdx_status matmul_fpq4_read(op_params_context *c, void *params) {
  int64_t kind = params_int(c, "blk_quant_type");
  if (kind < 0 || kind > 2) return params_fail(c, "blk_quant_type", "is %lld, expected 0, 1 or 2", (long long)kind);
  *(fpq4_params *)params = (fpq4_params){kind == 2 ? 64 : 32, kind == 1};
  return SDX_OK;
}

static size_t block_bytes(const fpq4_params *p) { return sizeof(float) + p->zeros + p->block / 2; }

static sdx_status matmul_fpq4_infer(op_step *c) {
  const fpq4_params *p = c->params;
  size_t count = 0, bytes = SIZE_MAX;
  SDX_TRY(infer_rank(c, B, 1, 1));
  const int64_t *shape = infer_constant_ints(c, SHAPE, &count);
  if (!shape) return infer_output(c, 0, infer_dtype_of(c, A), -1, NULL);
  if (count != 2 || shape[0] < 1 || shape[1] < 1 || shape[0] > INT32_MAX || shape[1] > INT32_MAX)
    return step_fail_at(c, at_input(SHAPE), SDX_INVALID_ARGUMENT, "is not two positive sizes below 2^31");
  size_t k = (size_t)shape[0], n = (size_t)shape[1], blocks = (k + p->block - 1) / p->block;
  if (!size_mul(n * blocks, block_bytes(p), &bytes)) bytes = SIZE_MAX;
  SDX_TRY(packed_need(c, B, "B", bytes, 0));
  return packed_infer(c, n, k);
}

static sdx_status matmul_fpq4_prepare(op_step *c) {
  const int64_t *shape = c->packable[SHAPE] ? step_in(c, SHAPE)->data : NULL;
  if (!shape) return error_at(c->err, at_input(SHAPE), SDX_NOT_SUPPORTED, "must be a constant");
  return packed_product_prepare(c, (size_t)shape[1], (size_t)shape[0], SIZE_MAX);
}

typedef struct weights {
  const fpq4_params *p;
  const uint8_t *data;
  size_t blocks;
} weights;

static void fill(void *context, size_t batch, float *panel, size_t stride, size_t k0, size_t kc, size_t n0, size_t nc) {
  const weights *w = context;
  size_t bytes = block_bytes(w->p);
  for (size_t n = n0; n < n0 + nc; n++)
    for (size_t k = k0; k < k0 + kc; k++) {
      const uint8_t *block = w->data + (n * w->blocks + k / w->p->block) * bytes;
      size_t at = k % w->p->block;
      float scale, zero = w->p->zeros ? (float)block[sizeof scale] : 8;
      memcpy(&scale, block, sizeof scale);
      unsigned pair = block[sizeof scale + w->p->zeros + at / 32 * 16 + at % 16];
      panel[(k - k0) * stride + n - n0] = ((float)(at % 32 < 16 ? pair & 15 : pair >> 4) - zero) * scale;
    }
}

static sdx_status matmul_fpq4_compute(op_step *c) {
  const fpq4_params *p = c->params;
  const int64_t *shape = step_in(c, SHAPE)->data;
  weights w = {p, step_in(c, B)->data, ((size_t)shape[0] + p->block - 1) / p->block};
  return packed_product_run(c, fill, &w, (size_t)shape[1], (size_t)shape[0], SIZE_MAX);
}

SDX_CASES = {"A=float[2,3,40] B=uint8[126]@0..9 B_shape=const(40,3)",
             "A=float[2,64] B=uint8[80]@0..9 B_shape=const(64,2) blk_quant_type=0", NULL};

// clang-format off
SDX_OP_MS(MatMulFpQ4) = {
    .since = 1, .versions = "1", .inputs = "A:T1 B:T2 B_shape:T3", .outputs = "Y:T1",
    .types = "T1=float;T2=uint8;T3=int64", .attrs = "blk_quant_type:int=1",
    .params_size = sizeof(fpq4_params), .params = matmul_fpq4_read, .infer = matmul_fpq4_infer,
    .prepare = matmul_fpq4_prepare, .compute = matmul_fpq4_compute,
    .cases = cases,
};
// clang-format on
