// SPDX-License-Identifier: Apache-2.0
// Optional: wraps a value, or makes an empty one of the type in the attribute. OptionalHasElement:
// false for an empty or absent input. OptionalGetElement: the value; error when empty. A full
// optional is its content, an empty one has a kind of its own. Version 18 let the last two take plain
// values too.
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

typedef struct params {
  const type_info *type;
} params;

static sdx_status optional_read(op_params_context *c, void *p) {
  const attr *a = node_attr(c->node, "type");
  if (a) ((params *)p)->type = a->type;
  else if (c->node->input_count == 0) return params_fail(c, "type", "is required without an input");
  return SDX_OK;
}

static sdx_status optional_infer(op_step *c) {
  const type_info *content = c->input_count ? c->in_types[0] : ((const params *)c->params)->type;
  if (!content || content->kind == TYPE_UNKNOWN) return SDX_OK;
  if (content->kind == TYPE_OPTIONAL) {  // the attribute may name the optional itself
    c->out_types[0] = *content;
    return SDX_OK;
  }
  type_info *element = arena_copy(c->memory, content, sizeof *content);
  if (!element) return error_no_memory(c->err, sizeof *element);
  c->out_types[0] = (type_info){.kind = TYPE_OPTIONAL, .rank = -1, .element = element};
  return SDX_OK;
}

static sdx_status optional_compute(op_step *c) {
  if (c->input_count && c->in[0]) return move_value(c, 0, c->in[0]);
  sdx_value *none;
  SDX_TRY(step_located(c, value_create_none(call_account(c), &none, c->err)));
  return call_set_value(c, 0, none);
}

static const char *const optional_cases[] = {"input=float[2,3]", "input=seq(float[2];float[3])", NULL};

SDX_OP(Optional) = {
    .since = 28,
    .versions = "28 15",
    .inputs = "input:V?",
    .outputs = "output:O",
    .types = "V=any,seq,map,optional;O=optional",
    .attrs = "type:type",
    .params_size = sizeof(params),
    .params = optional_read,
    .infer = optional_infer,
    .compute = optional_compute,
    .cases = optional_cases,
};

static sdx_status optional_has_element_infer(op_step *c) { return infer_output(c, 0, SDX_BOOL, 0, NULL); }

static sdx_status optional_has_element_compute(op_step *c) {
  *(uint8_t *)step_out(c, 0)->data = c->input_count && c->in[0] && c->in[0]->kind != VALUE_NONE;
  return SDX_OK;
}

static const char *const optional_has_element_cases[] = {"input=float[2,3]", "input=seq(float[2];float[3])", NULL};

SDX_OP(OptionalHasElement) = {
    .since = 28,
    .versions = "28 18 15",
    .inputs = "input:O?",
    .outputs = "output:bool",
    .types = "O=any,seq,map,optional",
    .infer = optional_has_element_infer,
    .compute = optional_has_element_compute,
    .cases = optional_has_element_cases,
};

static sdx_status optional_get_element_infer(op_step *c) {
  const type_info *t = c->in_types[0];
  if (!t || t->kind == TYPE_UNKNOWN) return SDX_OK;
  if (t->kind == TYPE_OPTIONAL) t = t->element;
  if (!t) return SDX_OK;
  // The content arrives as a value of its own, so no shape is promised to the plan.
  c->out_types[0] = *t;
  if (t->kind == TYPE_TENSOR) return infer_output(c, 0, (sdx_dtype)t->dtype, -1, NULL);
  return SDX_OK;
}

static sdx_status optional_get_element_compute(op_step *c) {
  if (c->in[0]->kind == VALUE_NONE) return step_fail_at(c, at_input(0), SDX_INVALID_ARGUMENT, "is an empty optional");
  return move_value(c, 0, c->in[0]);
}

static const char *const optional_get_element_cases[] = {"input=float[2,3]", "input=seq(float[2];float[3])", NULL};

SDX_OP(OptionalGetElement) = {
    .since = 28,
    .versions = "28 18 15",
    .inputs = "input:O",
    .outputs = "output:V",
    .types = "O=any,seq,map,optional;V=any,seq,map",
    .infer = optional_get_element_infer,
    .compute = optional_get_element_compute,
    .cases = optional_get_element_cases,
};
