// SPDX-License-Identifier: Apache-2.0
// See activations.h.
#include "ops/parts/activations.h"

static const struct {
  const char *name;
  activation_kind kind;
  float a, b;  // defaults of the operator of that name
} rows[] = {
    {"Relu", ACTIVATION_RELU, 0, 0},
    {"Clip", ACTIVATION_CLIP, -3.4028234663852886e38f, 3.4028234663852886e38f},
    {"LeakyRelu", ACTIVATION_LEAKY, 0.01f, 0},
    {"Sigmoid", ACTIVATION_SIGMOID, 0, 0},
    {"Tanh", ACTIVATION_TANH, 0, 0},
    {"HardSigmoid", ACTIVATION_HARD_SIGMOID, 0.2f, 0.5f},
    {"HardSwish", ACTIVATION_HARD_SWISH, 0, 0},
    {"Swish", ACTIVATION_SILU, 1, 0},
    {"Silu", ACTIVATION_SILU, 1, 0},
    {"Gelu", ACTIVATION_GELU, 0, 0},
    {"GeluTanh", ACTIVATION_GELU_TANH, 0, 0},
};

sdx_status activation_read(op_params_context *c, const char *attribute, const float *at, size_t count,
                           activation *out) {
  str name = params_string(c, attribute);
  *out = (activation){.kind = ACTIVATION_NONE};
  if (name.size == 0) return SDX_OK;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!str_is(name, rows[i].name)) continue;
    *out = (activation){rows[i].kind, count > 0 ? at[0] : rows[i].a, count > 1 ? at[1] : rows[i].b};
    return SDX_OK;
  }
  return params_fail(c, attribute, "names an activation that is not known: '%.*s'", STR_ARG(name));
}
