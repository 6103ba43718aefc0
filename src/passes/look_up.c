// SPDX-License-Identifier: Apache-2.0
// What depends on one byte alone is looked up in a table of 256: from DequantizeLinear over elementwise operators,
// constants and further pairs of quantisation to QuantizeLinear. The table is what the nodes themselves make of every
// byte; where that is the byte itself, nothing is left to do.
//
//   y = QuantizeLinear(HardSwish(DequantizeLinear(x)))    y = Lookup(x, table)
//   y = QuantizeLinear(DequantizeLinear(x))               y = x, if both have the same parameters
//
// Three sweeps: forward finds what depends on one byte, backward what of it is read, forward again computes tables.
#include "ops/own.h"
#include "passes/quantized.h"

enum { BYTES = 256 };

typedef struct lookups {
  pass_context *c;
  graph *graph;
  value_id *root;     // by value: the bytes that it depends on alone, element by element
  bool *needed;       // by value: some table depends on it
  sdx_value **made;   // by value: its table
  value_id *instead;  // by value, tables that are added included: what has the same bytes
  uint8_t every[BYTES];
} lookups;

// ---- what depends on one byte -----------------------------------------------------------------------

// A constant that does not change the shape of what it is combined with.
static bool one_number(const graph *g, value_id v, int rank) {
  const tensor *t = g->values[v].constant;
  return t && t->count == 1 && (t->rank == 0 || t->rank <= rank);
}

static value_id root_of_pointwise(const lookups *l, const node *n) {
  const graph *g = l->graph;
  value_id root = VALUE_ABSENT;
  if (!(n->op->flags & OP_POINTWISE) || n->op->flags & OP_NONDETERMINISTIC || n->output_count != 1) return VALUE_ABSENT;
  for (uint32_t i = 0; i < n->input_count; i++) {
    value_id v = n->inputs[i];
    if (!v || g->values[v].constant) continue;
    if (!l->root[v] || (root && l->root[v] != root)) return VALUE_ABSENT;
    root = l->root[v];
  }
  for (uint32_t i = 0; root && i < n->input_count; i++) {
    value_id v = n->inputs[i];
    if (v && g->values[v].constant && !one_number(g, v, g->values[root].type.rank)) return VALUE_ABSENT;
  }
  return root;
}

static value_id root_of(const lookups *l, const node *n) {
  const graph *g = l->graph;
  quantized q;
  if (n->dead || !n->op || n->output_count == 0) return VALUE_ABSENT;
  if (quantized_from(g, n, &q)) return q.axis == ONE_FOR_ALL ? l->root[n->inputs[0]] : VALUE_ABSENT;
  if (!quantized_to(g, n, &q)) return root_of_pointwise(l, n);
  if (q.axis != ONE_FOR_ALL || g->values[q.bytes].constant) return VALUE_ABSENT;
  return l->root[q.bytes] ? l->root[q.bytes] : q.bytes;
}

// ---- tables -----------------------------------------------------------------------------------------

// The results of earlier nodes stand in as constants for as long as tables are made.
static void make_table(lookups *l, node *n) {
  graph *g = l->graph;
  value_id out = n->outputs[0];
  error ignored = {0};
  for (uint32_t i = 0; i < n->input_count; i++)
    if (n->inputs[i] && !g->values[n->inputs[i]].constant) return;  // an earlier one could not be made
  if (l->c->evaluate(l->c->context, g, n, &l->made[out], &ignored) != SDX_OK) return;
  const value *made = &l->made[out]->value;
  if (made->kind == VALUE_TENSOR && made->tensor.count == BYTES) g->values[out].constant = &made->tensor;
}

// The node that quantises becomes a lookup; or its readers read the bytes themselves.
static sdx_status look_up(lookups *l, node *quantize) {
  graph *g = l->graph;
  value_id y = quantize->outputs[0], x = l->root[y];
  const tensor *table = g->values[y].constant;
  if (!table) return SDX_OK;
  quantize->dead = l->c->changed = true;
  if (g->values[x].type.dtype == table->dtype && memcmp(table->data, l->every, BYTES) == 0) {
    l->instead[y] = x;
    return SDX_OK;
  }
  SDX_TRY(l->c->keep(l->c->context, l->made[y], l->c->err));
  l->made[y] = NULL;
  value_id in[] = {x, graph_add_constant(g, (str){0}, table)};
  if (!in[1]) return error_no_memory(l->c->err, sizeof(graph_value));
  node *n = graph_add_node(g, str_from(op_lookup.domain), str_from(op_lookup.name), 2, in, 1, &y, l->c->err);
  if (!n) return l->c->err->status;
  n->name = quantize->name;
  return op_bind(g, n, 0, l->c->err);
}

static sdx_status look_up_all(lookups *l) {
  graph *g = l->graph;
  const int64_t size = BYTES;
  tensor every[2] = {{.dtype = SDX_UINT8}, {.dtype = SDX_INT8}};
  for (size_t i = 0; i < 2; i++) every[i].data = l->every, every[i].dims = &size, every[i].rank = 1;
  for (size_t i = 0; i < 2; i++) every[i].count = every[i].bytes = BYTES;
  sdx_status status = SDX_OK;
  uint32_t nodes = g->node_count, values = g->value_count;
  for (uint32_t i = 0; i < nodes; i++) {
    node *n = g->nodes[i];
    value_id root = n->output_count ? l->root[n->outputs[0]] : VALUE_ABSENT;
    if (n->dead || !root || !l->needed[n->outputs[0]]) continue;
    g->values[root].constant = &every[g->values[root].type.dtype == SDX_INT8];
    make_table(l, n);
  }
  for (uint32_t i = 0; i < nodes && status == SDX_OK; i++)
    if (match_is(g->nodes[i], "QuantizeLinear") && l->root[g->nodes[i]->outputs[0]]) status = look_up(l, g->nodes[i]);
  for (value_id v = 1; v < values; v++) {
    if (l->root[v]) g->values[v].constant = g->values[l->root[v]].constant = NULL;
    if (l->made[v]) value_release(l->made[v]);
  }
  return status;
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  size_t values = g->value_count;
  lookups l = {.c = c, .graph = g};
  l.root = arena_array(c->scratch, values, sizeof *l.root);
  l.needed = arena_array(c->scratch, values, sizeof *l.needed);
  l.made = arena_array(c->scratch, values, sizeof *l.made);
  l.instead = arena_array(c->scratch, 2 * values, sizeof *l.instead);
  if (!l.root || !l.needed || !l.made || !l.instead) return error_no_memory(c->err, values * sizeof *l.made);
  for (int i = 0; i < BYTES; i++) l.every[i] = (uint8_t)i;
  for (uint32_t i = 0; i < g->node_count; i++) {
    value_id root = root_of(&l, g->nodes[i]);
    if (root) l.root[g->nodes[i]->outputs[0]] = root;
  }
  for (uint32_t i = g->node_count; i-- > 0;) {
    const node *n = g->nodes[i];
    if (n->dead || n->output_count == 0 || !l.root[n->outputs[0]]) continue;
    bool *needed = &l.needed[n->outputs[0]];
    *needed |= match_is(n, "QuantizeLinear");
    for (uint32_t k = 0; k < n->input_count && *needed; k++) l.needed[n->inputs[k]] = true;
  }
  SDX_TRY(look_up_all(&l));
  if (c->changed) graph_replace_many(g, l.instead);
  return SDX_OK;
}

const pass_def pass_look_up = {
    .name = "look_up", .help = "looks up what depends on one byte alone in a table", .level = 2, .run = run};
