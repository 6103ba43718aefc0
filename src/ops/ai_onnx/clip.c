// SPDX-License-Identifier: Apache-2.0
// Clip: min(max(input, min), max); where min > max the result is max; NaN stays NaN.
// History: bounds were attributes up to 6 (always present since 6) and are optional inputs since 11; 12 added
// integers, 13 bfloat16. Bounds made from attributes are float constants whatever the type of the input, which
// is not known when a model is imported: so bounds may have a type of their own.
#include <math.h>

#include "kernels/unary_f32/unary_f32.h"
#include "ops/infer.h"
#include "ops/parts/row.h"
#include "ops/parts/unary.h"
#include "tensor/convert.h"

typedef struct clip_bounds {
  bool has_low, has_high;
  _Alignas(uint64_t) char low[8];  // one element of the input's type
  _Alignas(uint64_t) char high[8];
} clip_bounds;

#define LOOPS "ops/ai_onnx/clip.inl"
#include "ops/parts/each_integer.inl"
#define T double
#define SUFFIX double
#include "ops/ai_onnx/clip.inl"

static sdx_status clip_upgrade(op_upgrade *u) {
  static const char *const names[] = {"min", "max"};
  if (u->version >= 11) return SDX_OK;
  for (size_t i = 0; i < 2; i++) {
    const attr *a = node_attr(u->node, names[i]);
    if (!a || a->kind != ATTR_FLOAT) continue;
    value_id bound = graph_constant_scalar(u->graph, SDX_FLOAT, a->f);
    if (!bound) return error_no_memory(u->err, sizeof(tensor));
    SDX_TRY(upgrade_set_input(u, 1 + i, bound));
  }
  return SDX_OK;
}

static sdx_status clip_infer(op_step *c) {
  SDX_TRY(infer_rank(c, 1, 0, 1));
  SDX_TRY(infer_rank(c, 2, 0, 1));
  return infer_same(c, 0, 0);
}

static sdx_status clip_prepare(op_step *c) {
  c->state = (void *)KERNEL_BEST(unary_f32);
  return SDX_OK;
}

// Element of a bound as the input's type.
static sdx_status read_bound(op_step *c, size_t input, sdx_dtype dtype, bool *has, char out[8]) {
  const tensor *t = step_in(c, input);
  *has = t != NULL;
  if (!t) return SDX_OK;
  if (t->count != 1)
    return step_fail_at(c, at_input(input), SDX_INVALID_SHAPE, "has %zu elements, expected one", t->count);
  if (t->dtype == dtype) {
    memcpy(out, t->data, t->bytes <= 8 ? t->bytes : 8);
    return SDX_OK;
  }
  double number;
  if (!convert_to_doubles((sdx_dtype)t->dtype, t->data, 0, 1, &number)) return step_fail_dtype(c, t);
  convert_from_doubles(dtype, out, 0, 1, &number);
  return SDX_OK;
}

static sdx_status clip_compute(op_step *c) {
  static const unary_row rows[SDX_DTYPE_COUNT] = {ROWS_INTEGER(Clip), [SDX_DOUBLE] = Clip_double};
  const tensor *in = step_in(c, 0);
  bool in_float = in->dtype == SDX_FLOAT || dtype_is_half(in->dtype);
  clip_bounds bounds = {0};
  sdx_dtype dtype = in_float ? SDX_FLOAT : (sdx_dtype)in->dtype;
  SDX_TRY(read_bound(c, 1, dtype, &bounds.has_low, bounds.low));
  SDX_TRY(read_bound(c, 2, dtype, &bounds.has_high, bounds.high));
  if (!in_float) return unary_run(c, step_out(c, 0), in, rows, &bounds, GRAIN_CHEAP);
  float low = -INFINITY, high = INFINITY;
  if (bounds.has_low) memcpy(&low, bounds.low, sizeof low);
  if (bounds.has_high) memcpy(&high, bounds.high, sizeof high);
  return unary_apply(c, c->state, UNARY_F32_CLIP, step_out(c, 0), in, low, high);
}

SDX_CASES = {
    "input=float[2,3] min=float[] max=float[]",       "input=int8[5] min=int8[]", "input=uint64[2,3] min= max=uint64[]",
    "input=float16[700] min=float16[] max=float16[]", "input=double[0]",          NULL};

SDX_OP(Clip) = {.since = 13,
                .versions = "13 12 11 6 1",
                .inputs = "input:T min:B? max:B?",
                .outputs = "output:T",
                .types = "T=" TYPES_NUMBER ";B=" TYPES_NUMBER,
                .attrs_old = "consumed_inputs:ints<6 min:float<11 max:float<11",
                .flags = OP_INPLACE | OP_POINTWISE,
                .upgrade = clip_upgrade,
                .infer = clip_infer,
                .prepare = clip_prepare,
                .compute = clip_compute,
                .cases = cases};
