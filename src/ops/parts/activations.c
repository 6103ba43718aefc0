// SPDX-License-Identifier: Apache-2.0
// See activations.h.
#include "ops/parts/activations.h"

#include <float.h>

static const activation_def defs[] = {
#define ACTIVATION(kind, name, operation, numbers, a, b) {name, numbers, {ACTIVATION_##kind, a, b}},
#include "kernels/activations.def"
};

const activation_def *activation_named(str name) {
  for (size_t i = 0; i < sizeof defs / sizeof *defs; i++)
    if (str_is(name, defs[i].name)) return &defs[i];
  return NULL;
}

sdx_status activation_read(op_params_context *c, const char *attribute, const float *at, size_t count,
                           activation *out) {
  str name = params_string(c, attribute);
  *out = (activation){.kind = ACTIVATION_NONE};
  if (name.size == 0) return SDX_OK;
  const activation_def *def = activation_named(name);
  if (!def) return params_fail(c, attribute, "names an activation that is not known: '%.*s'", STR_ARG(name));
  *out = def->usual;
  if (count > 0) out->a = at[0];
  if (count > 1) out->b = at[1];
  return SDX_OK;
}
