// SPDX-License-Identifier: Apache-2.0
// CausalConvWithState: a convolution of each channel over its past, which a state carries from call to call. The work
// is in ops/parts/causal_conv.h.
#include "ops/parts/causal_conv.h"

SDX_CASES = {"input=float[2,3,5] weight=float[3,1,4]", "input=float16[1,2,3] weight=float16[2,1,2] activation=silu",
             NULL};

SDX_OP(CausalConvWithState) = {
    .since = 27,
    .versions = "27",
    .inputs = "input:T weight:T bias:T? past_state:T?",
    .outputs = "output:T present_state:T",
    .types = "T=float,float16,bfloat16",
    .attrs = "activation:string=none",
    .params_size = sizeof(causal_conv_params),
    .params = causal_conv_read,
    .prepare = causal_conv_prepare,
    .infer = causal_conv_infer,
    .compute = causal_conv_compute,
    .cases = cases,
};
