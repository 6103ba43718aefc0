// SPDX-License-Identifier: Apache-2.0
// Values and steps of the plan's own, which no node of the graph stands for; see build.h.
#include "plan/build.h"

value_id builder_add_value(builder *b, value_id like) {
  plan *p = b->p;
  value_id v = p->value_count++;
  const plan_value *from = &p->values[like];
  p->values[v] = (plan_value){.value.tensor = from->value.tensor, .type = from->type, .root = v, .known = true};
  return v;
}

void builder_show(builder *b, value_id v, value_id shown) {
  plan_value *to = &b->p->values[v];
  const plan_value *from = &b->p->values[shown];
  to->root = plan_root(b->p, shown);
  to->storage = from->storage;
  to->local = from->local;
}

sdx_status builder_read_constant(builder *b, value_id v) {
  const plan_value *pv = &b->p->values[v];
  if (!b->p->weights || pv->storage != STORE_CONST) return SDX_OK;
  return weights_read(b->p->weights, pv->value.tensor.data, false, b->err);
}

str builder_name(const builder *b, value_id v) { return v < b->g->value_count ? b->g->values[v].name : (str){0}; }

sdx_status builder_make_step(builder *b, const op_def *op, const char *name, const void *params, uint32_t inputs,
                             uint32_t outputs, const value_id *ids, plan_step *out) {
  arena *memory = &b->p->memory;
  node *n = arena_zalloc(memory, sizeof *n);
  value_id *values = arena_copy(memory, ids, (inputs + outputs) * sizeof *ids);
  void *kept = arena_copy(memory, params, op->params_size);
  if (!n || !values || !kept || !name) return error_no_memory(b->err, sizeof *n);
  *n = (node){.op = op,
              .name = str_from(name),
              .domain = str_from(op->domain),
              .op_type = str_from(op->name),
              .input_count = inputs,
              .output_count = outputs,
              .inputs = values,
              .outputs = values + inputs,
              .params = kept};
  *out = (plan_step){.inputs = n->inputs, .outputs = n->outputs};
  return step_init(&out->step, n, STEP_TYPES, &b->scratch) ? SDX_OK : error_no_memory(b->err, sizeof *out);
}
