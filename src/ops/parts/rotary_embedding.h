// SPDX-License-Identifier: Apache-2.0
// RotaryEmbedding of ai.onnx and com.microsoft, which differ in the order of their inputs, in ids that may be one
// offset for all, and in heads whose width may follow from the tables.
#pragma once

#include "ops/record.h"

typedef struct rotary_embedding_params {
  bool interleaved, microsoft;
  int64_t heads, dim;
} rotary_embedding_params;

sdx_status rotary_embedding_read(op_params_context *c, void *params);
sdx_status rotary_embedding_read_microsoft(op_params_context *c, void *params);
sdx_status rotary_embedding_infer(op_step *c);
sdx_status rotary_embedding_prepare(op_step *c);
sdx_status rotary_embedding_compute(op_step *c);
