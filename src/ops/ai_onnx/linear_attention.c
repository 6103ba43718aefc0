// SPDX-License-Identifier: Apache-2.0
// LinearAttention: attention without softmax, as a recurrence over a state of each key and value head. The formula is
// in ops/parts/linear_attention.h.
#include "ops/parts/linear_attention.h"

SDX_CASES = {"query=float[2,3,8] key=float[2,3,4] value=float[2,3,6] q_num_heads=4 kv_num_heads=2 update_rule=linear",
             "query=float[2,3,8] key=float[2,3,4] value=float[2,3,6] past_state=float[2,2,2,3] q_num_heads=4 "
             "kv_num_heads=2 update_rule=linear",
             NULL};

SDX_OP(LinearAttention) = {
    .since = 27,
    .versions = "27",
    .inputs = "query:T key:T value:T past_state:S? decay:T? beta:T?",
    .outputs = "output:T present_state:S",
    .types = "T=float16,bfloat16,float;S=float16,bfloat16,float",
    .attrs = "chunk_size:int=64 kv_num_heads:int! q_num_heads:int! scale:float=0 update_rule:string=gated_delta",
    .params_size = sizeof(linear_attention_params),
    .params = linear_attention_read,
    .infer = linear_attention_infer,
    .prepare = linear_attention_prepare,
    .compute = linear_attention_compute,
    .cases = cases,
};
