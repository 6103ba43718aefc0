// SPDX-License-Identifier: Apache-2.0
// Integer convolutions add and look up their own results, while these are in registers:
//
//   Lookup(QLinearAdd(QLinearConv(x), other), table)    FusedQLinearConv
//
// Either of the two may be absent. The arithmetic of an element is the same.
#include "ops/own.h"
#include "passes/match.h"

enum { Y_SCALE = 6, Y_ZERO, SUM_INPUTS = 8 };  // of QLinearConv; of QLinearAdd: two times three, scale and zero point

// Numbers that are known to be the same; VALUE_ABSENT is 0.
static bool same_number(const graph *g, value_id a, value_id b) {
  if (a == b) return true;
  const tensor *x = a ? g->values[a].constant : NULL, *y = b ? g->values[b].constant : NULL;
  if ((a && !x) || (b && !y)) return false;
  static const char none[sizeof(float)];
  const tensor *some = x ? x : y;
  if (some->count != 1 || (x && y && (x->dtype != y->dtype || x->count != y->count))) return false;
  return memcmp(x ? x->data : none, y ? y->data : none, some->bytes) == 0;
}

static value_id input_of(const node *n, size_t i) { return i < n->input_count ? n->inputs[i] : VALUE_ABSENT; }

// Where QLinearAdd has what is added to the convolution's result; 0: it is no such sum.
static size_t other_of(const graph *g, const node *conv, const node *add) {
  if (!add || add->dead || !add->op || !str_is(add->op_type, "QLinearAdd") || !str_is(add->domain, "com.microsoft"))
    return 0;
  const value_id y = conv->outputs[0];
  const size_t own = add->inputs[0] == y ? 0 : 3, other = 3 - own;
  if (input_of(add, own) != y || input_of(add, other) == y ||
      !match_same_shape(&g->values[input_of(add, other)].type, &g->values[y].type) ||
      !same_number(g, input_of(add, own + 1), conv->inputs[Y_SCALE]) ||
      !same_number(g, input_of(add, own + 2), conv->inputs[Y_ZERO]))
    return 0;
  return other ? other : SUM_INPUTS;
}

static bool looks_up(const graph *g, const node *n) {
  if (!n || n->dead || n->op != &op_lookup) return false;
  const tensor *table = g->values[n->inputs[1]].constant;
  return table && table->count == LOOKUP_ENTRIES && table->dtype == g->values[n->inputs[0]].type.dtype;
}

static sdx_status fuse(pass_context *c, node *conv, node **reader) {
  graph *g = c->graph;
  node *add = reader[conv->outputs[0]];
  const size_t other = other_of(g, conv, add);
  value_id last = other ? add->outputs[0] : conv->outputs[0];
  node *look_up = reader[last];
  if (!looks_up(g, look_up)) look_up = NULL;
  if (!other && !look_up) return SDX_OK;
  value_id *inputs = arena_array(g->memory, FUSED_QLINEAR_INPUTS, sizeof *inputs);
  if (!inputs) return error_no_memory(c->err, FUSED_QLINEAR_INPUTS * sizeof *inputs);
  memcpy(inputs, conv->inputs, conv->input_count * sizeof *inputs);
  for (size_t i = 0; other && i < 3; i++) inputs[FUSED_QLINEAR_OTHER + i] = input_of(add, other % SUM_INPUTS + i);
  for (size_t i = 3; other && i < 5; i++) inputs[FUSED_QLINEAR_OTHER + i] = input_of(add, 3 + i);
  if (look_up) inputs[FUSED_QLINEAR_TABLE] = look_up->inputs[1], last = look_up->outputs[0], look_up->dead = true;
  if (other) add->dead = true;
  conv->inputs = inputs, conv->input_count = FUSED_QLINEAR_INPUTS;
  conv->outputs[0] = last;
  conv->domain = str_from(op_fused_qlinear_conv.domain), conv->op_type = str_from(op_fused_qlinear_conv.name);
  c->changed = true;
  return op_bind(g, conv, 0, c->err);
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  node **reader = match_sole_readers(g, c->scratch);
  if (!reader) return error_no_memory(c->err, g->value_count * sizeof *reader);
  for (uint32_t i = 0; i < g->node_count; i++)
    if (match_is(g->nodes[i], "QLinearConv")) SDX_TRY(fuse(c, g->nodes[i], reader));
  return SDX_OK;
}

const pass_def pass_fuse_conv_endings = {.name = "fuse_conv_endings",
                                         .help = "lets integer convolutions add and look up their own results",
                                         .level = 2,
                                         .run = run};
