// SPDX-License-Identifier: Apache-2.0
// RNN, GRU and LSTM. The formulas are in ops/parts/recurrent.h.
//
// History: 1 had output_sequence (ignored: it only says that Y is wanted), and files without the axis of
// directions; 7 broke no form; 14 adds layout; 22 adds bfloat16.
#include "ops/parts/recurrent.h"

// PyTorch 0.3 left the axis of directions out of W, R, B and Y.
static sdx_status recurrent_upgrade(op_upgrade *u) {
  return u->version < 7 ? node_set_attr(u->graph, u->node, attr_of_int("_maybe_flat", 1)) : SDX_OK;
}

SDX_CASES = {
    "X=float[4,2,3] W=float[1,20,3] R=float[1,20,5] B=float[1,40] hidden_size=5",
    "X=double[3,2,3] W=double[2,8,3] R=double[2,8,2] hidden_size=2 direction=bidirectional",
    "X=float[4,2,3] W=float[2,12,3] R=float[2,12,3] B=float[2,24] sequence_lens=int32(4,2) "
    "initial_h=float[2,2,3] initial_c=float[2,2,3] P=float[2,9] hidden_size=3 direction=bidirectional outputs=3",
    NULL};
static const char *const gru_cases[] = {"X=float[4,2,3] W=float[1,15,3] R=float[1,15,5] B=float[1,30] hidden_size=5",
                                        "X=float[4,2,3] W=float[1,15,3] R=float[1,15,5] B=float[1,30] hidden_size=5 "
                                        "linear_before_reset=1 direction=reverse",
                                        "X=float[4,2,3] W=float[1,6,3] R=float[1,6,2] sequence_lens=int32(3,4) "
                                        "initial_h=float[1,2,2] hidden_size=2 clip=0.5 outputs=2",
                                        NULL};
static const char *const rnn_cases[] = {"X=float[4,2,3] W=float[1,5,3] R=float[1,5,5] B=float[1,10] hidden_size=5",
                                        "X=float[2,4,3] W=float[1,5,3] R=float[1,5,5] hidden_size=5 layout=1",
                                        "X=float[4,2,3] W=float[2,5,3] R=float[2,5,5] sequence_lens=int32(1,4) "
                                        "initial_h=float[2,2,5] hidden_size=5 direction=bidirectional outputs=2",
                                        NULL};

#define COMMON                                                                                               \
  .since = 22, .types = "T=float,double,float16,bfloat16;T1=int32", .params_size = sizeof(recurrent_params), \
  .attrs_old = "output_sequence:int=0<7", .upgrade = recurrent_upgrade, .infer = recurrent_infer,            \
  .prepare = recurrent_prepare, .compute = recurrent_compute
#define ATTRS                                                                                               \
  "activation_alpha:floats activation_beta:floats activations:strings clip:float direction:string=forward " \
  "hidden_size:int layout:int=0 _maybe_flat:int=0"
#define INPUTS "X:T W:T R:T B:T? sequence_lens:T1? initial_h:T?"

SDX_OP(RNN) = {COMMON,         .versions = "22 14 7 1", .inputs = INPUTS,  .outputs = "Y:T? Y_h:T?",
               .attrs = ATTRS, .params = rnn_read,      .cases = rnn_cases};
SDX_OP(GRU) = {COMMON,
               .versions = "22 14 7 3 1",
               .inputs = INPUTS,
               .outputs = "Y:T? Y_h:T?",
               .attrs = ATTRS " linear_before_reset:int=0",
               .params = gru_read,
               .cases = gru_cases};
SDX_OP(LSTM) = {COMMON,
                .versions = "22 14 7 1",
                .inputs = INPUTS " initial_c:T? P:T?",
                .outputs = "Y:T? Y_h:T? Y_c:T?",
                .attrs = ATTRS " input_forget:int=0",
                .params = lstm_read,
                .cases = cases};
