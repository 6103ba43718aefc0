// SPDX-License-Identifier: Apache-2.0
// `activation` attributes of fused operators ("Relu", "LeakyRelu" ...) as kernels/activation.h has them.
#pragma once

#include "kernels/activation.h"
#include "ops/record.h"

// Name in attribute `attribute`, numbers in `at` (missing ones get ONNX's defaults). An empty name is none.
sdx_status activation_read(op_params_context *c, const char *attribute, const float *at, size_t count, activation *out);
