// SPDX-License-Identifier: Apache-2.0
// SequenceMap: runs a body once per item of a sequence. Further inputs are sequences of the same
// length, walked in step, or tensors that every trip sees. Each body output becomes a sequence.
#include "ops/call.h"
#include "ops/parts/control.h"

typedef struct params {
  graph *body;
} params;

static sdx_status sequence_map_read(op_params_context *c, void *p) {
  graph *body = ((params *)p)->body = params_graph(c, "body");
  if (body->input_count != c->node->input_count)
    return params_fail(c, "body", "has %u inputs, the node %u", body->input_count, c->node->input_count);
  if (body->output_count < c->node->output_count)
    return params_fail(c, "body", "has %u outputs, the node %u", body->output_count, c->node->output_count);
  return SDX_OK;
}

static sdx_status sequence_map_infer(op_step *c) {
  graph *body = ((const params *)c->params)->body;
  const type_info **in = arena_array(c->memory, c->input_count, sizeof *in), **types;
  if (!in) return error_no_memory(c->err, c->input_count * sizeof *in);
  for (size_t i = 0; i < c->input_count; i++) {
    const type_info *item = c->in_types[i] && c->in_types[i]->kind == TYPE_SEQUENCE ? c->in_types[i]->element : NULL;
    in[i] = item ? item : c->in_types[i];
    if (item && item->kind == TYPE_TENSOR)  // items may differ in their shapes
      in[i] = type_tensor(c->memory, (sdx_dtype)item->dtype, -1, NULL);
    if (item && !in[i]) return error_no_memory(c->err, sizeof *item);
  }
  SDX_TRY(body_types(c, body, c->input_count, in, &types));
  for (size_t i = 0; i < c->output_count; i++) {
    sdx_dtype dtype = types[i]->kind == TYPE_TENSOR ? (sdx_dtype)types[i]->dtype : SDX_UNDEFINED;
    type_info *element = type_tensor(c->memory, dtype, -1, NULL);
    if (!element) return error_no_memory(c->err, sizeof *element);
    c->out_types[i] = (type_info){.kind = TYPE_SEQUENCE, .rank = -1, .element = element};
  }
  return SDX_OK;
}

static sdx_status run_item(op_step *c, graph *body, size_t item, const value **in, sdx_value **out, value_list *lists) {
  for (size_t i = 0; i < c->input_count; i++)
    in[i] = c->in[i]->kind == VALUE_SEQUENCE ? c->in[i]->items[item] : c->in[i];
  SDX_TRY(call_check(c));
  SDX_TRY(body_run(c, body, c->input_count, in, out));
  sdx_status status = SDX_OK;
  for (size_t i = 0; i < body->output_count && status == SDX_OK; i++) {
    status = list_add(c, &lists[i], out[i]);
    out[i] = NULL;
  }
  values_release(out, body->output_count);
  return status;
}

static sdx_status sequence_map_compute(op_step *c) {
  graph *body = ((const params *)c->params)->body;
  if (c->in[0]->kind != VALUE_SEQUENCE) return step_fail_at(c, at_input(0), SDX_INVALID_ARGUMENT, "is not a sequence");
  size_t count = c->in[0]->item_count, bytes = (c->input_count + body->output_count + 1) * sizeof(void *);
  for (size_t i = 1; i < c->input_count; i++)
    if (c->in[i]->kind == VALUE_SEQUENCE && c->in[i]->item_count != count)
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has %zu items, input 0 has %zu", c->in[i]->item_count,
                          count);
  void **pointers = call_alloc(c, bytes);
  value_list *lists = list_create(c, body->output_count);
  if (!pointers || !lists) return call_no_memory(c, bytes);
  sdx_status status = SDX_OK;
  for (size_t k = 0; k < count && status == SDX_OK; k++)
    status = run_item(c, body, k, (const value **)pointers, (sdx_value **)pointers + c->input_count, lists);
  for (size_t i = 0; i < c->output_count && status == SDX_OK; i++) {
    sdx_value *made;
    status = step_located(c, value_create_sequence(call_account(c), lists[i].count, lists[i].at, &made, c->err));
    if (status == SDX_OK) status = call_set_value(c, i, made);
  }
  list_release(lists, body->output_count);
  return status;
}

SDX_OP(SequenceMap) = {
    .since = 17,
    .versions = "17",
    .inputs = "input_sequence:S additional_inputs:V*",
    .outputs = "out_sequence:S+",
    .types = "S=seq;V=any,seq",
    .attrs = "body:graph!",
    .flags = OP_CONTROL | OP_MIXED,
    .params_size = sizeof(params),
    .params = sequence_map_read,
    .infer = sequence_map_infer,
    .compute = sequence_map_compute,
};
