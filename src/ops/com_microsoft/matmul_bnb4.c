// SPDX-License-Identifier: Apache-2.0
// MatMulBnb4: weights [N, K] as 4-bit codes into a table of 16 numbers (FP4 or NF4 of bitsandbytes), times the largest
// magnitude of their block. Blocks run over the flattened weights; the first of two values is the high half of a byte.
// Y = A W' or, with transB 0, Y = A W. The weights stay packed, see packed_weights.h.
#include "base/size.h"
#include "ops/parts/packed_weights.h"
#include "tensor/convert.h"

enum { A, B, ABSMAX };

static const float tables[2][16] = {
    {0, 0.0052083333f, 0.66666667f, 1, 0.33333333f, 0.5f, 0.16666667f, 0.25f, 0, -0.0052083333f, -0.66666667f, -1,
     -0.33333333f, -0.5f, -0.16666667f, -0.25f},
    {-1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
     -0.18477343022823334f, -0.09105003625154495f, 0, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f,
     0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1},
};

typedef struct bnb_params {
  size_t n, k, block;
  bool transposed;
  const float *table;
} bnb_params;

static sdx_status matmul_bnb4_read(op_params_context *c, void *params) {
  int64_t k = params_int(c, "K"), n = params_int(c, "N"), block = params_int(c, "block_size"),
          kind = params_int(c, "quant_type");
  if (k < 1 || k > INT32_MAX) return params_fail(c, "K", "is %lld, expected 1 to 2^31 - 1", (long long)k);
  if (n < 1 || n > INT32_MAX) return params_fail(c, "N", "is %lld, expected 1 to 2^31 - 1", (long long)n);
  if (block < 16 || block > 1 << 20 || (block & (block - 1)))
    return params_fail(c, "block_size", "is %lld, expected a power of 2 from 16 to 2^20", (long long)block);
  if (kind != 0 && kind != 1)
    return params_fail(c, "quant_type", "is %lld, expected 0 (FP4) or 1 (NF4)", (long long)kind);
  *(bnb_params *)params = (bnb_params){(size_t)n, (size_t)k, (size_t)block, params_int(c, "transB") != 0, tables[kind]};
  return SDX_OK;
}

static size_t columns(const bnb_params *p) { return p->transposed ? p->n : p->k; }
static size_t depth(const bnb_params *p) { return p->transposed ? p->k : p->n; }

static sdx_status matmul_bnb4_infer(op_step *c) {
  const bnb_params *p = c->params;
  size_t count = p->n * p->k;  // below 2^62
  SDX_TRY(packed_need(c, B, "B", (count + 1) / 2, 0));
  SDX_TRY(packed_need(c, ABSMAX, "absmax", (count + p->block - 1) / p->block, 0));
  return packed_infer(c, columns(p), depth(p));
}

static sdx_status matmul_bnb4_prepare(op_step *c) {
  return packed_product_prepare(c, columns(c->params), depth(c->params), SIZE_MAX);
}

typedef struct weights {
  const bnb_params *p;
  const uint8_t *data;
  const tensor *largest;
} weights;

static void fill(void *context, size_t batch, float *panel, size_t stride, size_t k0, size_t kc, size_t n0, size_t nc) {
  const weights *w = context;
  const bnb_params *p = w->p;
  for (size_t n = n0; n < n0 + nc; n++) {
    size_t block = SIZE_MAX;
    float scale = 0;
    for (size_t k = k0; k < k0 + kc; k++) {
      size_t at = p->transposed ? n * p->k + k : k * p->k + n;
      if (at / p->block != block) {
        block = at / p->block;
        scale = (float)tensor_number_at(w->largest, block);
      }
      panel[(k - k0) * stride + n - n0] = p->table[w->data[at / 2] >> (at % 2 ? 0 : 4) & 15] * scale;
    }
  }
}

static sdx_status matmul_bnb4_compute(op_step *c) {
  const bnb_params *p = c->params;
  weights w = {p, step_in(c, B)->data, step_in(c, ABSMAX)};
  return packed_product_run(c, fill, &w, columns(p), depth(p), SIZE_MAX);
}

SDX_CASES = {"A=float[2,3,32] B=uint8[80] absmax=float[10] K=32 N=5 block_size=16 quant_type=1", NULL};

// clang-format off
SDX_OP_MS(MatMulBnb4) = {
    .since = 1, .versions = "1", .inputs = "A:T1 B:T2 absmax:T1", .outputs = "Y:T1",
    .types = "T1=float,float16,bfloat16;T2=uint8",
    .attrs = "K:int! N:int! block_size:int! quant_type:int! training_mode:int=0 transB:int=1",
    .params_size = sizeof(bnb_params), .params = matmul_bnb4_read, .infer = matmul_bnb4_infer,
    .prepare = matmul_bnb4_prepare, .compute = matmul_bnb4_compute,
    .cases = cases,
};
// clang-format on
