// SPDX-License-Identifier: Apache-2.0
// FlexAttention of ai.onnx.preview: softmax(scale Q K') V with grouped heads, where a subgraph may change the scores
// (score_mod) and another the probabilities (prob_mod), both as one tensor of softmax_precision. Without them no
// tensor of scores exists; see attend.h.
#include <math.h>

#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/attend.h"
#include "ops/parts/control.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

enum { Q, K, V };

typedef struct flex_params {
  graph *score_mod, *prob_mod;  // NULL: none
  bool has_scale;
  double scale;
  sdx_dtype precision;  // SDX_UNDEFINED: not given
} flex_params;

static sdx_status read_body(op_params_context *c, const char *name, graph **body) {
  *body = params_has(c, name) ? params_graph(c, name) : NULL;
  if (!*body || ((*body)->input_count == 1 && (*body)->output_count == 1)) return SDX_OK;
  return params_fail(c, name, "has %u inputs and %u outputs, expected one of each", (*body)->input_count,
                     (*body)->output_count);
}

static sdx_status flex_attention_read(op_params_context *c, void *params) {
  flex_params *p = params;
  SDX_TRY(read_body(c, "score_mod", &p->score_mod));
  SDX_TRY(read_body(c, "prob_mod", &p->prob_mod));
  p->has_scale = params_has(c, "scale");
  if (p->has_scale) p->scale = (double)params_float(c, "scale");
  if (!params_has(c, "softmax_precision")) return SDX_OK;
  int64_t precision = params_int(c, "softmax_precision");
  if (precision != SDX_FLOAT && precision != SDX_FLOAT16 && precision != SDX_DOUBLE && precision != SDX_BFLOAT16)
    return params_fail(c, "softmax_precision", "is %lld, expected one of 1, 10, 11, 16", (long long)precision);
  p->precision = (sdx_dtype)precision;
  return SDX_OK;
}

static sdx_dtype precision_of(const flex_params *p, sdx_dtype dtype) {
  return p->precision ? p->precision : dtype == SDX_DOUBLE ? SDX_DOUBLE : SDX_FLOAT;
}

static sdx_status flex_attention_infer(op_step *c) {
  const flex_params *p = c->params;
  sdx_dtype dtype = infer_dtype_of(c, Q);
  int64_t batch = DIM_UNKNOWN, heads = infer_dim(c, Q, 1), kv_heads = DIM_UNKNOWN, keys = DIM_UNKNOWN,
          width = DIM_UNKNOWN;
  for (size_t i = Q; i <= V; i++) {
    SDX_TRY(infer_rank(c, i, 4, 4));
    SDX_TRY(infer_agree(c, i, 0, "batch", &batch));
    if (i != Q) SDX_TRY(infer_agree(c, i, 1, "heads", &kv_heads));
    if (i != Q) SDX_TRY(infer_agree(c, i, 2, "keys", &keys));
    if (i != V) SDX_TRY(infer_agree(c, i, 3, "width", &width));
  }
  if (heads >= 0 && kv_heads >= 0 && (kv_heads == 0 || heads % kv_heads))
    return step_fail(c, SDX_INVALID_SHAPE, "%lld query heads cannot be divided among %lld key and value heads",
                     (long long)heads, (long long)kv_heads);
  int64_t rows = infer_dim(c, Q, 2), dims[4] = {batch, heads, rows, keys};
  const type_info *scores = type_tensor(c->memory, dtype ? precision_of(p, dtype) : SDX_UNDEFINED, 4, dims), **types;
  if (!scores) return error_no_memory(c->err, sizeof *scores);
  if (p->score_mod) SDX_TRY(body_types(c, p->score_mod, 1, &scores, &types));
  if (p->prob_mod) SDX_TRY(body_types(c, p->prob_mod, 1, &scores, &types));
  return infer_output(c, 0, dtype, 4, (int64_t[]){batch, heads, rows, infer_dim(c, V, 3)});
}

// Nodes with subgraphs are neither inferred nor prepared again when a run's shapes are known: both happen here.
static sdx_status make_plan(op_step *c, attend_plan *plan) {
  const flex_params *p = c->params;
  const int64_t *q = step_in(c, Q)->dims, *k = step_in(c, K)->dims, *v = step_in(c, V)->dims;
  for (size_t i = Q; i <= V; i++)
    if (step_in(c, i)->rank != 4)
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has rank %d, expected 4", step_in(c, i)->rank);
  if (q[0] != k[0] || q[0] != v[0] || k[1] != v[1] || k[2] != v[2] || q[3] != k[3] || k[1] == 0 || q[1] % k[1])
    return step_fail(c, SDX_INVALID_SHAPE, "the shapes of Q, K and V do not fit together");
  bool wide = step_in(c, Q)->dtype == SDX_DOUBLE || p->precision == SDX_DOUBLE;
  attend_shape shape = {.dtype = wide ? SDX_DOUBLE : SDX_FLOAT,
                        .batch = (size_t)q[0],
                        .heads = (size_t)q[1],
                        .kv_heads = (size_t)k[1],
                        .rows = (size_t)q[2],
                        .columns = (size_t)k[2],
                        .width = (size_t)q[3],
                        .v_width = (size_t)v[3]};
  SDX_TRY(call_set_shape(c, 0, (sdx_dtype)step_in(c, Q)->dtype, 4, (int64_t[]){q[0], q[1], q[2], v[3]}));
  size_t threads = c->threads ? c->threads : 1;
  return attend_plan_init(plan, &shape, threads, GEMM_HIGHEST) ? SDX_OK : call_no_memory(c, SIZE_MAX);
}

static sdx_status view(op_step *c, const attend_shape *s, const tensor *t, bool fill, attend_view *out) {
  size_t rows = (size_t)t->dims[2], width = (size_t)t->dims[3], bytes = t->count * sizeof(double);
  *out = (attend_view){t->data, (size_t)t->dims[1] * rows * width, rows * width, width};
  if (t->dtype == s->dtype) return SDX_OK;
  out->at = call_alloc(c, bytes);
  if (!out->at) return call_no_memory(c, bytes);
  if (fill) attend_load(s->dtype, t, 0, t->count, out->at);
  return SDX_OK;
}

// The tensor of scores or probabilities through a body.
static sdx_status modify(op_step *c, graph *body, const char *name, const attend_shape *s, sdx_dtype precision,
                         void *between) {
  int64_t dims[4] = {(int64_t)s->batch, (int64_t)s->heads, (int64_t)s->rows, (int64_t)s->columns};
  sdx_value *in, *out = NULL;
  SDX_TRY(step_located(c, value_create(call_account(c), precision, 4, dims, NULL, NULL, NULL, &in, c->err)));
  attend_store(s->dtype, &in->value.tensor, between);
  const value *inputs[1] = {&in->value};
  sdx_status status = body_run(c, body, 1, inputs, &out);
  if (status == SDX_OK) {
    const tensor *t = &out->value.tensor;
    char found[120];
    if (out->value.kind != VALUE_TENSOR || t->dtype != precision || !tensor_same_shape(t, &in->value.tensor))
      status = step_fail(c, SDX_INVALID_SHAPE, "'%s' makes %s, expected the type and shape it is given", name,
                         out->value.kind == VALUE_TENSOR ? tensor_describe(t, found, sizeof found) : "no tensor");
    else attend_load(s->dtype, t, 0, t->count, between);
  }
  value_release(in);
  if (out) value_release(out);
  return status;
}

// Parts of the work with the bodies in between.
static sdx_status attend_modified(op_step *c, const flex_params *p, const attend_plan *plan, attend_call *a,
                                  void *scratch) {
  const attend_shape *s = &plan->shape;
  size_t bytes = s->batch * s->heads * s->rows * s->columns * sizeof(double);
  sdx_dtype precision = precision_of(p, (sdx_dtype)step_in(c, Q)->dtype);
  a->between = call_alloc(c, bytes);
  if (!a->between) return call_no_memory(c, bytes);
  a->parts = ATTEND_SCORES;
  if (p->score_mod) {
    attend_run(c, plan, a, scratch);
    SDX_TRY(modify(c, p->score_mod, "score_mod", s, precision, a->between));
    a->parts = 0;
  }
  a->parts |= ATTEND_SOFTEN;
  if (p->prob_mod) {
    attend_run(c, plan, a, scratch);
    SDX_TRY(modify(c, p->prob_mod, "prob_mod", s, precision, a->between));
    a->parts = 0;
  }
  a->parts |= ATTEND_MIX;
  attend_run(c, plan, a, scratch);
  return SDX_OK;
}

static sdx_status flex_attention_compute(op_step *c) {
  const flex_params *p = c->params;
  attend_plan plan;
  if (c->output_count == 0 || !c->out[0]) return SDX_OK;
  SDX_TRY(make_plan(c, &plan));
  const attend_shape *s = &plan.shape;
  tensor *y = step_out(c, 0);
  if (y->count == 0) return SDX_OK;
  attend_call a = {.scale = p->has_scale ? p->scale : 1 / sqrt((double)s->width), .left = -1, .right = -1};
  SDX_TRY(view(c, s, step_in(c, Q), true, &a.q));
  SDX_TRY(view(c, s, step_in(c, K), true, &a.k));
  SDX_TRY(view(c, s, step_in(c, V), true, &a.v));
  SDX_TRY(view(c, s, y, false, &a.y));
  void *scratch = call_alloc(c, plan.scratch_bytes);
  if (!scratch) return call_no_memory(c, plan.scratch_bytes);
  if (p->score_mod || p->prob_mod) SDX_TRY(attend_modified(c, p, &plan, &a, scratch));
  else attend_run(c, &plan, &a, scratch);
  if (a.y.at != y->data) attend_store(s->dtype, y, a.y.at);
  return call_check(c);
}

SDX_CASES = {"Q=float[1,2,3,4] K=float[1,2,5,4] V=float[1,2,5,6]", "Q=float[2,4,3,4] K=float[2,2,5,4] V=float[2,2,5,4]",
             NULL};

// clang-format off
SDX_OP_PREVIEW(FlexAttention) = {
    .since = 1, .versions = "1", .inputs = "Q:T1 K:T1 V:T1", .outputs = "Y:T1", .types = "T1=" TYPES_FLOAT,
    .attrs = "prob_mod:graph scale:float score_mod:graph softmax_precision:int", .flags = OP_CONTROL,
    .params_size = sizeof(flex_params), .params = flex_attention_read, .infer = flex_attention_infer,
    .compute = flex_attention_compute, .cases = cases,
};
// clang-format on
