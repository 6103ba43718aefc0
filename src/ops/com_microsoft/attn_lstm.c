// SPDX-License-Identifier: Apache-2.0
// AttnLSTM: an LSTM that attends to a memory after each step. The formula is in ops/parts/recurrent.h.
#include "ops/parts/recurrent.h"

SDX_CASES = {
    "X=float[4,2,3] W=float[1,20,9] R=float[1,20,5] B=float[1,40] QW=float[1,5,4] MW=float[1,6,4] V=float[1,4] "
    "M=float[2,7,6] hidden_size=5 outputs=3",
    "X=double[4,2,3] W=double[2,20,5] R=double[2,20,5] sequence_lens=int32(4,2) QW=double[2,5,4] MW=double[2,6,4] "
    "V=double[2,4] M=double[2,7,6] memory_seq_lens=int32(3,7) AW=double[2,11,2] hidden_size=5 direction=bidirectional "
    "outputs=3",
    NULL};

SDX_OP_MS(AttnLSTM) = {
    .since = 1,
    .versions = "1",
    .inputs =
        "X:T W:T R:T B:T? sequence_lens:T1? initial_h:T? initial_c:T? P:T? QW:T? MW:T? V:T? M:T? "
        "memory_seq_lens:T1? AW:T?",
    .outputs = "Y:T? Y_h:T? Y_c:T?",
    .types = "T=float,double;T1=int32",
    .attrs =
        "activation_alpha:floats activation_beta:floats activations:strings clip:float direction:string=forward "
        "hidden_size:int input_forget:int=0",
    .params_size = sizeof(recurrent_params),
    .params = attn_lstm_read,
    .infer = recurrent_infer,
    .prepare = recurrent_prepare,
    .compute = recurrent_compute,
    .cases = cases,
};
