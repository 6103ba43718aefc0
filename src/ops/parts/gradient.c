// SPDX-License-Identifier: Apache-2.0
// See gradient.h. Finding a rule, and what rules share.
#include "ops/parts/gradient.h"

#include "ops/schema.h"

const gradient_rule *gradient_find_rule(const node *n) {
  static const gradient_rule *const tables[] = {gradient_elementwise, gradient_products, gradient_reductions,
                                                gradient_moves};
  for (size_t t = 0; n->domain.size == 0 && t < sizeof tables / sizeof *tables; t++)
    for (const gradient_rule *rule = tables[t]; rule->op_type; rule++)
      if (str_is(n->op_type, rule->op_type)) return rule;
  return NULL;
}

void gradient_apply(const gradient_rule *rule, gradient_step *s) {
  value_id x = s->n->input_count ? s->in[0] : VALUE_ABSENT;
  if (rule->first) gradient_give(s, 0, rule->first(s, s->u, x, s->out[0], s->dy[0]));
  if (rule->each) rule->each(s, s->u, x, s->out[0], s->dy[0]);
}

bool gradient_wants(const gradient_step *s, size_t input) {
  return input < s->n->input_count && s->n->inputs[input] && s->active[s->n->inputs[input]];
}

void gradient_give(gradient_step *s, size_t i, value_id v) {
  if (!gradient_wants(s, i) || !v) return;
  value_id *sum = &s->adjoint[s->n->inputs[i]];
  *sum = *sum ? add(s->u, *sum, v) : v;
}

void gradient_give_sum(gradient_step *s, size_t i, value_id v) {
  if (gradient_wants(s, i) && v) gradient_give(s, i, gradient_sum_to(s->u, v, s->in[i]));
}

value_id gradient_sum_to(op_upgrade *u, value_id v, value_id like) {
  value_id shape = shape_of(u, like), full = shape_of(u, v);
  value_id rank = insert1(u, "Size", shape), full_rank = insert1(u, "Size", full);
  value_id missing = reshape(u, sub(u, full_rank, rank), (int64_t[]){1}, 1), one = ints1(u, 1);
  value_id padded = concat2(u, 0, insert2(u, "Expand", one, missing), shape);
  value_id differs = insert1(u, "Not", insert2(u, "Equal", padded, full));
  value_id axes = flat(u, insert1(u, "NonZero", differs));
  value_id sum = with_attr(u, insert2(u, "ReduceSum", v, axes), attr_of_int("noop_with_empty_axes", 1));
  return with_attr(u, insert2(u, "Reshape", sum, shape), attr_of_int("allowzero", 1));
}

void gradient_refuse(gradient_step *s, const char *why) {
  if (s->u->err->status == SDX_OK)
    upgrade_fail(s->u, SDX_NOT_SUPPORTED, "the derivative of %s '%.*s' is not known: %s", s->op_type,
                 STR_ARG(s->n->name), why);
}
