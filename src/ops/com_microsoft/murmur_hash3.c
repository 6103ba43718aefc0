// SPDX-License-Identifier: Apache-2.0
// MurmurHash3: the 32-bit hash (x86) of each element's bytes.
#include "ops/call.h"
#include "ops/infer.h"

typedef struct hash_params {
  uint32_t seed;
  bool positive;
} hash_params;

static sdx_status murmur_hash3_read(op_params_context *c, void *params) {
  *(hash_params *)params = (hash_params){(uint32_t)params_int(c, "seed"), params_int(c, "positive") != 0};
  return SDX_OK;
}

static sdx_status murmur_hash3_infer(op_step *c) {
  return infer_same_as(c, 0, 0, ((const hash_params *)c->params)->positive ? SDX_UINT32 : SDX_INT32);
}

static uint32_t rotated(uint32_t v, int by) { return v << by | v >> (32 - by); }

static uint32_t hash_of(const uint8_t *at, size_t size, uint32_t h) {
  const uint32_t c1 = 0xcc9e2d51, c2 = 0x1b873593;
  for (size_t i = 0; i < size; i += 4) {
    size_t n = size - i < 4 ? size - i : 4;
    uint32_t k = 0;
    for (size_t b = 0; b < n; b++) k |= (uint32_t)at[i + b] << 8 * b;
    h ^= rotated(k * c1, 15) * c2;
    if (n == 4) h = rotated(h, 13) * 5 + 0xe6546b64;
  }
  h ^= (uint32_t)size;
  h = (h ^ h >> 16) * 0x85ebca6b;
  h = (h ^ h >> 13) * 0xc2b2ae35;
  return h ^ h >> 16;
}

static sdx_status murmur_hash3_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  uint32_t *y = step_out(c, 0)->data, seed = ((const hash_params *)c->params)->seed;
  size_t width = (size_t)dtype_bits((sdx_dtype)x->dtype) / 8;
  for (size_t i = 0; i < x->count; i++) {
    if (i % 65536 == 0) SDX_TRY(call_check(c));
    const str *s = x->data;
    if (x->dtype == SDX_STRING) y[i] = hash_of((const uint8_t *)s[i].at, s[i].size, seed);
    else y[i] = hash_of((const uint8_t *)x->data + i * width, width, seed);
  }
  return SDX_OK;
}

SDX_CASES = {"X=int32[2,3] seed=7", "X=string[4] positive=0", NULL};

SDX_OP_MS(MurmurHash3) = {.since = 1,
                          .versions = "1",
                          .inputs = "X:T1",
                          .outputs = "Y:T2",
                          .types = "T1=uint32,int32,uint64,int64,float,double,string;T2=uint32,int32",
                          .attrs = "positive:int=1 seed:int=0",
                          .params_size = sizeof(hash_params),
                          .params = murmur_hash3_read,
                          .infer = murmur_hash3_infer,
                          .compute = murmur_hash3_compute,
                          .cases = cases};
