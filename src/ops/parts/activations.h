// SPDX-License-Identifier: Apache-2.0
// `activation` attributes of fused operators ("Relu", "LeakyRelu" ...) as kernels/activation.h has them.
#pragma once

#include "kernels/activation.h"
#include "ops/record.h"

typedef struct activation_def {
  const char *name;
  size_t numbers;    // how many of alpha and beta it takes
  activation usual;  // with their defaults
} activation_def;
const activation_def *activation_named(str name);  // NULL: none of that name

// Name in attribute `attribute`, numbers in `at` (missing ones get ONNX's defaults). An empty name is none.
sdx_status activation_read(op_params_context *c, const char *attribute, const float *at, size_t count, activation *out);
