// SPDX-License-Identifier: Apache-2.0
// RNN, GRU and LSTM, one layer, one or two directions. With d the direction and (.) elementwise:
//
//   RNN   H = f(X W' + H R' + Wb + Rb)
//   GRU   z, r = f(X W' + H R' + Wb + Rb);  h = g(X Wh' + (r (.) H) Rh' + Rbh + Wbh), or with
//         linear_before_reset h = g(X Wh' + r (.) (H Rh' + Rbh) + Wbh);  H = (1 - z) (.) h + z (.) H
//   LSTM  i, o, f with peepholes P;  C = f (.) C + i (.) g(..);  H = o (.) h(C)
//
// AttnLSTM (com.microsoft) looks at a memory M after each step: with keys = M MW' and a = softmax(V tanh(keys + H
// QW)) over the memory's length, the context a M - or, with AW, [H, context] AW - goes into the next step like an
// input, by the last columns of W.
#pragma once

#include "ops/record.h"

typedef enum cell { RNN, GRU, LSTM } cell;
typedef enum function {
  F_SIGMOID,
  F_TANH,
  F_RELU,
  F_AFFINE,
  F_LEAKY,
  F_THRESHOLDED,
  F_SCALED_TANH,
  F_HARD_SIGMOID,
  F_ELU,
  F_SOFTSIGN,
  F_SOFTPLUS,
} function;

typedef struct gate_function {
  function kind;
  float alpha, beta;
} gate_function;

typedef struct recurrent_params {
  cell cell;
  size_t directions;
  bool reverse;  // the only direction is backwards
  bool batch_first, couple, linear_before_reset;
  bool attends;                   // AttnLSTM
  bool maybe_flat;                // the weights may come without their first axis
  float clip;                     // 0: none
  int64_t hidden;                 // 0: from the weights
  gate_function functions[2][3];  // f, g, h of each direction
} recurrent_params;

sdx_status rnn_read(op_params_context *c, void *params);
sdx_status gru_read(op_params_context *c, void *params);
sdx_status lstm_read(op_params_context *c, void *params);
sdx_status attn_lstm_read(op_params_context *c, void *params);
sdx_status recurrent_infer(op_step *c);
sdx_status recurrent_prepare(op_step *c);
sdx_status recurrent_compute(op_step *c);
