// SPDX-License-Identifier: Apache-2.0
// LinearAttention with more key and value heads than query heads, too, and with state_window: the states after each of
// the last steps, not just the last. The work is in ops/parts/linear_attention.h.
#include "ops/parts/linear_attention.h"

SDX_CASES = {
    "query=float[2,3,8] key=float[2,3,8] value=float[2,3,6] q_num_heads=2 kv_num_heads=2 update_rule=linear outputs=2",
    "query=float[2,3,4] key=float[2,3,8] value=float[2,3,6] past_state=float[2,2,2,4,3] beta=float[2,3,2] "
    "q_num_heads=1 kv_num_heads=2 update_rule=delta state_window=2 outputs=2",
    NULL};

SDX_OP_MS(LinearAttention) = {
    .since = 1,
    .versions = "1",
    .inputs = "query:T key:T value:T past_state:S? decay:T? beta:T?",
    .outputs = "output:T present_state:S",
    .types = "T=float16,bfloat16,float;S=float16,bfloat16,float",
    .attrs =
        "chunk_size:int=64 kv_num_heads:int! q_num_heads:int! scale:float=0 state_window:int=0 "
        "update_rule:string=gated_delta",
    .params_size = sizeof(linear_attention_params),
    .params = linear_attention_read_microsoft,
    .infer = linear_attention_infer,
    .prepare = linear_attention_prepare,
    .compute = linear_attention_compute,
    .cases = cases,
};
