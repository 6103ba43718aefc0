// SPDX-License-Identifier: Apache-2.0
// MeanVarianceNormalization: (X - mean) / (sqrt(variance) + 1e-9), statistics over `axes` (default 0, 2, 3).
// History: 13 bfloat16. The experimental version 1 said across_channels for axes 0 to 3, and left out the division
// with normalize_variance=0 (kept as _variance).
#include <math.h>

#include "ops/parts/reduce_walk.h"
#include "ops/parts/row.h"

typedef struct mvn_params {
  const int64_t *axes;
  size_t count;
  bool usual;  // axes: as many of them as x has
  bool scale;
} mvn_params;

static sdx_status mean_variance_normalization_read(op_params_context *c, void *params) {
  static const int64_t usual[] = {0, 2, 3};
  mvn_params *p = params;
  p->axes = params_ints(c, "axes", &p->count);
  p->usual = !params_has(c, "axes");
  if (p->usual) p->axes = usual, p->count = 3;
  p->scale = params_int(c, "_variance") != 0;
  return SDX_OK;
}

static sdx_status mean_variance_normalization_upgrade(op_upgrade *u) {
  static const int64_t all[] = {0, 1, 2, 3};
  if (u->version >= 9) return SDX_OK;
  if (node_attr_int(u->node, "across_channels", 0))
    SDX_TRY(node_set_attr(u->graph, u->node, attr_of_ints("axes", all, 4)));
  return node_set_attr(u->graph, u->node, attr_of_int("_variance", node_attr_int(u->node, "normalize_variance", 1)));
}

static sdx_status mean_variance_normalization_infer(op_step *c) {
  const mvn_params *p = c->params;
  int rank = infer_rank_of(c, 0);
  for (size_t i = 0; rank >= 0 && i < p->count; i++)
    if (p->axes[i] < -rank || (p->axes[i] >= rank && !p->usual))
      return step_fail_at(c, at_attribute("axis"), SDX_OUT_OF_RANGE, "is %lld, expected within [-%d, %d)",
                          (long long)p->axes[i], rank, rank);
  return infer_same(c, 0, 0);
}

typedef struct mvn_job {
  const void *x;
  void *y;
  const reduce_walk *walk;
  bool scale;
} mvn_job;
#define LOOPS "ops/ai_onnx/mean_variance_normalization.inl"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/each_float.inl"

static sdx_status mean_variance_normalization_prepare(op_step *c) { return prepare_widened(c, 0); }

static sdx_status normalize(op_step *c) {
  const mvn_params *p = c->params;
  const tensor *x = step_in(c, 0);
  bool reduce[TENSOR_MAX_RANK] = {false};
  reduce_walk walk;
  if (x->count == 0) return SDX_OK;
  for (size_t i = 0; i < p->count; i++)
    if (p->axes[i] < x->rank) reduce[p->axes[i] < 0 ? p->axes[i] + x->rank : p->axes[i]] = true;
  reduce_walk_init(&walk, x, reduce);
  mvn_job j = {x->data, step_out(c, 0)->data, &walk, p->scale};
  call_parallel(c, walk.results, walk.terms >= GRAIN_CHEAP ? 1 : GRAIN_CHEAP / walk.terms,
                x->dtype == SDX_DOUBLE ? mvn_double : mvn_float, &j);
  return SDX_OK;
}
static sdx_status mean_variance_normalization_compute(op_step *c) {
  return step_out(c, 0) ? call_widened(c, normalize) : SDX_OK;
}

SDX_CASES = {"X=float[2,3,4,5]", "X=float[2,3,4] axes=-1", "X=float16[2,3,2,2]", "X=double[4,3] axes=0", NULL};

SDX_OP(MeanVarianceNormalization) = {.since = 13,
                                     .versions = "13 9 1",
                                     .inputs = "X:T",
                                     .outputs = "Y:T",
                                     .types = "T=" TYPES_FLOAT,
                                     .attrs = "axes:ints _variance:int=1",
                                     .attrs_old = "across_channels:int<9 normalize_variance:int<9",
                                     .flags = OP_INPLACE,
                                     .params_size = sizeof(mvn_params),
                                     .params = mean_variance_normalization_read,
                                     .upgrade = mean_variance_normalization_upgrade,
                                     .infer = mean_variance_normalization_infer,
                                     .prepare = mean_variance_normalization_prepare,
                                     .compute = mean_variance_normalization_compute,
                                     .cases = cases};
