// SPDX-License-Identifier: Apache-2.0
// RotaryEmbedding: turns pairs of numbers of each head by angles that grow with the position. The tables of cosines
// and sines are inputs: [positions, pairs] with position ids, else [batch, time, pairs].
#include "ops/parts/rotary_embedding.h"

SDX_CASES = {"X=float[2,3,5,8] cos_cache=float[2,5,4] sin_cache=float[2,5,4]",
             "X=float[1,3,8] cos_cache=float[1,3,2] sin_cache=float[1,3,2] num_heads=2",
             "X=float[2,3,5,8] cos_cache=float[9,4] sin_cache=float[9,4] position_ids=int64[2,5]@0..8 interleaved=1",
             NULL};

SDX_OP(RotaryEmbedding) = {
    .since = 23,
    .versions = "23",
    .inputs = "X:T cos_cache:T sin_cache:T position_ids:int64?",
    .outputs = "Y:T",
    .types = "T=float,float16,bfloat16",
    .attrs = "interleaved:int=0 num_heads:int=0 rotary_embedding_dim:int=0",
    .params_size = sizeof(rotary_embedding_params),
    .params = rotary_embedding_read,
    .infer = rotary_embedding_infer,
    .prepare = rotary_embedding_prepare,
    .compute = rotary_embedding_compute,
    .cases = cases,
};
