// SPDX-License-Identifier: Apache-2.0
// Loop: runs a body up to M times while its condition holds. Body inputs: trip number, condition,
// carried values; outputs: condition, carried values, values to stack over the trips. Without the
// input `cond` the body's condition is ignored, as the specification says; without a trip number as well, where it
// would go round forever, exporters mean that condition. Later versions added types.
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/control.h"

typedef struct params {
  repeated body;
  size_t carried, stacked;
  bool endless;  // by the text of the specification
  int rank[2];   // 1: the body declares trip number or condition as [1], which exporters do and then rely on
} params;

static const int64_t one[1] = {1};

static bool given_input(const node *n, uint32_t i) { return i < n->input_count && n->inputs[i]; }

static sdx_status loop_read(op_params_context *c, void *p) {
  params *out = p;
  SDX_TRY(repeated_read(c, "body", &out->body));
  const graph *body = out->body.graph;
  out->carried = body->input_count < 2 ? 0 : body->input_count - 2;
  size_t given = c->node->input_count < 2 ? 0 : c->node->input_count - 2;
  if (body->input_count < 2 || out->carried != given)
    return params_fail(c, "body", "has %u inputs, expected 2 and one for each of %zu carried values", body->input_count,
                       given);
  if (body->output_count < 1 + out->carried)
    return params_fail(c, "body", "has %u outputs, expected a condition and %zu carried values", body->output_count,
                       out->carried);
  for (size_t i = 0; i < 2; i++)
    out->rank[i] = i < body->input_count && body->values[body->inputs[i]].declared.rank == 1;
  out->stacked = body->output_count - 1 - out->carried;
  if (c->node->output_count > out->carried + out->stacked)
    return params_fail(c, "body", "has %u outputs, too few for the node's %u", body->output_count,
                       c->node->output_count);
  out->endless = !given_input(c->node, 0) && !given_input(c->node, 1);
  if (out->endless)
    params_warn(c, "neither trips nor a condition are given: the condition that the body computes ends the loop");
  return SDX_OK;
}

static sdx_status loop_infer(op_step *c) {
  const params *p = c->params;
  size_t n = p->carried + 2;
  const type_info **in = arena_array(c->memory, n, sizeof *in), **types;
  if (!in) return error_no_memory(c->err, n * sizeof *in);
  in[0] = type_tensor(c->memory, SDX_INT64, p->rank[0], one);
  in[1] = type_tensor(c->memory, SDX_BOOL, p->rank[1], one);
  if (!in[0] || !in[1]) return error_no_memory(c->err, sizeof **in);
  for (size_t i = 2; i < n; i++) {
    SDX_TRY(infer_need(c, i));
    in[i] = c->in_types[i];
  }
  SDX_TRY(repeated_types(c, p->body.graph, n, in, 2, 1, p->carried, &types));
  for (size_t i = 0; i < c->output_count; i++) {
    const type_info *t = types[i + 1];
    if (i < p->carried) {
      const type_info *first = c->in_types[i + 2];
      if (first->kind == TYPE_TENSOR && t->kind == TYPE_TENSOR && first->dtype && t->dtype && first->dtype != t->dtype)
        return step_fail(c, SDX_INVALID_GRAPH, "carried value %zu is %s before the first trip and %s after it", i,
                         dtype_name((sdx_dtype)first->dtype), dtype_name((sdx_dtype)t->dtype));
      if (first->kind == TYPE_TENSOR || t->kind == TYPE_UNKNOWN || t->kind == first->kind) c->out_types[i] = *in[i + 2];
    } else if (t->kind == TYPE_TENSOR) {
      int64_t dims[TENSOR_MAX_RANK + 1] = {DIM_UNKNOWN};  // free ones may be unknown where there is no trip
      for (int d = 0; d < t->rank; d++) dims[d + 1] = t->dims[d] < 0 ? DIM_UNKNOWN : t->dims[d];
      SDX_TRY(infer_output(c, i, (sdx_dtype)t->dtype, t->rank < 0 ? -1 : t->rank + 1, dims));
    }
  }
  return SDX_OK;
}

typedef struct loop {
  const value **in;    // of the body
  sdx_value **states;  // carried values made by the last trip
  sdx_value **out;     // of the body
  sdx_value *trip, *condition;
  value_list *lists;  // per stacked output
} loop;

static sdx_status one_flag(op_step *c, const value *v, const char *what, bool *flag) {
  if (v->kind != VALUE_TENSOR || v->tensor.dtype != SDX_BOOL || v->tensor.count != 1)
    return step_fail(c, SDX_INVALID_SHAPE, "%s is not one bool", what);
  *flag = *(const uint8_t *)v->tensor.data != 0;
  return SDX_OK;
}

static sdx_status run_trip(op_step *c, const params *p, loop *l, bool *go_on) {
  SDX_TRY(body_run(c, p->body.graph, p->carried + 2, l->in, l->out));
  SDX_TRY(one_flag(c, &l->out[0]->value, "the condition that the body computes", go_on));
  for (size_t i = 0; i < p->carried; i++) {
    value_release(l->states[i]);
    l->states[i] = l->out[i + 1];
    l->out[i + 1] = NULL;
    l->in[i + 2] = &l->states[i]->value;
  }
  for (size_t i = 0; i < p->stacked; i++) {
    sdx_value *made = l->out[1 + p->carried + i];
    l->out[1 + p->carried + i] = NULL;
    if (p->carried + i < c->output_count && c->out[p->carried + i]) SDX_TRY(list_add(c, &l->lists[i], made));
    else value_release(made);
  }
  return SDX_OK;
}

static sdx_status run_trips(op_step *c, const params *p, loop *l) {
  const value *most = c->input_count > 0 ? c->in[0] : NULL, *while_input = c->input_count > 1 ? c->in[1] : NULL;
  int64_t trips = INT64_MAX;
  bool go_on = true;
  if (most) {
    if (most->tensor.count != 1)
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %zu elements, expected 1", most->tensor.count);
    trips = tensor_index_at(&most->tensor, 0);
  }
  if (while_input) SDX_TRY(one_flag(c, while_input, "input 1 ('cond')", &go_on));
  for (int64_t i = 0; i < trips && go_on; i++) {
    SDX_TRY(call_check(c));
    if (i >= call_max_loop_trips(c))
      return step_fail(c, SDX_LIMIT_EXCEEDED, "the loop goes round more than max_loop_trips = %lld times",
                       (long long)i);
    *(int64_t *)l->trip->value.tensor.data = i;
    *(uint8_t *)l->condition->value.tensor.data = 1;
    sdx_status status = run_trip(c, p, l, &go_on);
    values_release(l->out, p->body.graph->output_count);
    if (status != SDX_OK) {
      error_within(c->err, "trip %lld", (long long)i);
      return step_located(c, status);
    }
    if (!while_input && !p->endless) go_on = true;
  }
  return SDX_OK;
}

static sdx_status hand_over(op_step *c, const params *p, loop *l) {
  for (size_t i = 0; i < p->carried && i < c->output_count; i++) {
    if (!l->states[i]) {  // no trip
      SDX_TRY(move_value(c, i, c->in[i + 2]));
      continue;
    }
    sdx_value *state = l->states[i];
    l->states[i] = NULL;
    SDX_TRY(call_set_value(c, i, state));
  }
  for (size_t i = 0; i < p->stacked && p->carried + i < c->output_count; i++) {
    sdx_value *stacked;
    if (!c->out[p->carried + i]) continue;
    stacking how = {&p->body, l->in, 1 + p->carried + i, l->lists[i].count, 0, false};
    SDX_TRY(values_stack(c, &l->lists[i], &how, &stacked));
    list_release(&l->lists[i], 1);
    SDX_TRY(call_set_value(c, p->carried + i, stacked));
  }
  return SDX_OK;
}

static sdx_status loop_compute(op_step *c) {
  const params *p = c->params;
  size_t bytes = (2 * p->carried + 2 + p->body.graph->output_count + 1) * sizeof(void *);
  void **pointers = call_alloc(c, bytes);
  if (!pointers) return call_no_memory(c, bytes);
  memset(pointers, 0, bytes);
  loop l = {.in = (const value **)pointers,
            .states = (sdx_value **)pointers + p->carried + 2,
            .out = (sdx_value **)pointers + 2 * p->carried + 2,
            .lists = list_create(c, p->stacked)};
  if (!l.lists) return call_no_memory(c, p->stacked * sizeof *l.lists);
  sdx_status status =
      value_create(call_account(c), SDX_INT64, (size_t)p->rank[0], one, NULL, NULL, NULL, &l.trip, c->err);
  if (status == SDX_OK)
    status = value_create(call_account(c), SDX_BOOL, (size_t)p->rank[1], one, NULL, NULL, NULL, &l.condition, c->err);
  if (status == SDX_OK) {
    l.in[0] = &l.trip->value;
    l.in[1] = &l.condition->value;
    for (size_t i = 0; i < p->carried; i++) l.in[i + 2] = c->in[i + 2];
    status = run_trips(c, p, &l);
  }
  if (status == SDX_OK) status = hand_over(c, p, &l);
  value_release(l.trip);
  value_release(l.condition);
  values_release(l.states, p->carried);
  list_release(l.lists, p->stacked);
  return status;
}

SDX_OP(Loop) = {
    .since = 25,
    .versions = "25 24 23 21 19 16 13 11 1",
    .inputs = "M:int64? cond:bool? v_initial:V*",
    .outputs = "v_final_and_scan_outputs:V*",
    .types = "V=any,seq,map,optional",
    .attrs = "body:graph!",
    .flags = OP_CONTROL | OP_MIXED,
    .params_size = sizeof(params),
    .params = loop_read,
    .infer = loop_infer,
    .compute = loop_compute,
};
