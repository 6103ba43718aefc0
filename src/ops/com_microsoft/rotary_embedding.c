// SPDX-License-Identifier: Apache-2.0
// RotaryEmbedding with its inputs in another order than ai.onnx has them, ids that may be one offset for all, and heads
// whose width follows from the tables. The attributes scale and is_packed_batching change nothing in onnxruntime, nor
// here.
#include "ops/parts/rotary_embedding.h"

SDX_CASES = {
    "input=float[2,3,8] position_ids=int64[1](1) cos_cache=float[9,4] sin_cache=float[9,4] num_heads=1",
    "input=float[2,2,3,8] position_ids=int64[2,3]@0..8 cos_cache=float[9,4] sin_cache=float[9,4] interleaved=1", NULL};

SDX_OP_MS(RotaryEmbedding) = {
    .since = 1,
    .versions = "1",
    .inputs = "input:T position_ids:int64 cos_cache:T sin_cache:T",
    .outputs = "output:T",
    .types = "T=float,float16,bfloat16",
    .attrs = "interleaved:int=0 is_packed_batching:int=0 num_heads:int=0 rotary_embedding_dim:int=0 scale:float=1",
    .params_size = sizeof(rotary_embedding_params),
    .params = rotary_embedding_read_microsoft,
    .infer = rotary_embedding_infer,
    .prepare = rotary_embedding_prepare,
    .compute = rotary_embedding_compute,
    .cases = cases,
};
