// SPDX-License-Identifier: Apache-2.0
// Packs for steps whose shapes depend on data. Such a step is prepared while it runs; the packed form of its weights
// seldom depends on those shapes, so it is prepared once for sizes that are guessed, of which the packs alone are kept:
// the first run finds them, and so do the loads of an optimized model. A wrong guess costs a pack, nothing else.
#include "plan/build.h"

enum { GUESSED_SIZE = 64 };  // larger than windows and heads, smaller than what asks for another kernel

static bool guess(arena *memory, const type_info *t, value *out) {
  if (t->kind != TYPE_TENSOR || t->rank < 0) return false;
  int64_t *dims = arena_array(memory, (size_t)t->rank, sizeof *dims);
  for (int i = 0; dims && i < t->rank; i++) dims[i] = t->dims[i] < 0 ? GUESSED_SIZE : t->dims[i];
  return dims && tensor_init(&out->tensor, (sdx_dtype)t->dtype, (size_t)t->rank, dims, NULL) == SDX_OK;
}

static bool guess_inputs(builder *b, const plan_step *s, op_step *c, value *room) {
  for (uint32_t i = 0; i < c->input_count; i++) {
    plan_value *v = &b->p->values[s->inputs[i]];
    if (!s->inputs[i]) continue;
    bool constant = v->storage == STORE_CONST;
    if (!constant && !guess(&b->scratch, &v->type, &room[i])) return false;
    c->in[i] = constant ? &v->value : &room[i];
    type_info *type = arena_zalloc(&b->scratch, sizeof *type);
    if (!type) return false;
    const tensor *t = &c->in[i]->tensor;
    *type = (type_info){.kind = TYPE_TENSOR, .dtype = t->dtype, .rank = (int8_t)t->rank, .dims = t->dims};
    c->in_types[i] = type;
    if (constant) c->constants[i] = t;
  }
  return true;
}

static bool guess_outputs(builder *b, const plan_step *s, op_step *c, value *room) {
  for (uint32_t i = 0; i < c->output_count; i++) {
    if (!s->outputs[i]) continue;
    if (!type_is_fixed(&c->out_types[i]) || !guess(&b->scratch, &c->out_types[i], &room[i])) return false;
    c->out[i] = &room[i];
  }
  return true;
}

void pack_ahead(builder *b, const plan_step *s) {
  op_step c = s->step;
  error ignored = {0};  // what does not fit the guess may fit the data
  bool packable = false;
  for (uint32_t i = 0; i < c.input_count; i++) packable |= c.packable[i];
  if (!packable || !c.node->op->prepare || (c.node->op->flags & OP_CONTROL)) return;
  c.memory = &b->scratch;
  c.err = &ignored;
  value *room = arena_array(&b->scratch, c.input_count + c.output_count, sizeof *room);
  if (!room || !step_tables(&c, STEP_ALL)) return;
  c.packable = s->step.packable;
  if (guess_inputs(b, s, &c, room) && step_infer(&c) == SDX_OK && guess_outputs(b, s, &c, room + c.input_count))
    step_prepare(&c);
}
