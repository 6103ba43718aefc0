// SPDX-License-Identifier: Apache-2.0
// Chains of nodes that only move or retype: Transpose of Transpose is one Transpose, Reshape of any change of
// shape is that Reshape, Cast after a Cast that lost nothing is one Cast. The first node stays for
// other readers, or goes as dead.
#include "passes/match.h"

typedef struct number_kind {
  uint8_t dtype;
  bool is_float, is_signed;
  int bits;  // exact integers: magnitude bits of an integer type, significand of a float type
} number_kind;

static const number_kind kinds[] = {
    {SDX_BOOL, false, false, 1},    {SDX_INT8, false, true, 7},     {SDX_INT16, false, true, 15},
    {SDX_INT32, false, true, 31},   {SDX_INT64, false, true, 63},   {SDX_UINT8, false, false, 8},
    {SDX_UINT16, false, false, 16}, {SDX_UINT32, false, false, 32}, {SDX_UINT64, false, false, 64},
    {SDX_FLOAT16, true, true, 11},  {SDX_BFLOAT16, true, true, 8},  {SDX_FLOAT, true, true, 24},
    {SDX_DOUBLE, true, true, 53},
};

static const number_kind *kind_of(const graph *g, value_id v) {
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
    if (kinds[i].dtype == g->values[v].type.dtype) return &kinds[i];
  return NULL;
}

// Every number of `a` is one of `b`.
static bool loses_nothing(const number_kind *a, const number_kind *b) {
  if (b->dtype == SDX_BOOL) return a->dtype == SDX_BOOL;
  if (a->is_float && (!b->is_float || (a->dtype == SDX_FLOAT16 && b->dtype == SDX_BFLOAT16))) return false;
  return a->bits <= b->bits && (!a->is_signed || b->is_signed);
}

// Whether the second of two casts may read what the first one read. To a float type, the exact number is rounded once
// either way; between integers both keep the low bits. A float that becomes an integer stays as written.
static bool cast_skips(const graph *g, const node *first, const node *second) {
  const number_kind *a = kind_of(g, first->inputs[0]), *b = kind_of(g, first->outputs[0]),
                    *c = kind_of(g, second->outputs[0]);
  if (!a || !b || !c || !loses_nothing(a, b)) return false;
  return a->dtype == c->dtype || c->is_float || (!a->is_float && !b->is_float);
}

// Reshape looks at the number of elements alone, unless it copies dimensions by 0.
static bool reshape_skips(const graph *g, const node *first, const node *second) {
  const tensor *shape = g->values[second->inputs[1]].constant;
  if (!shape || shape->dtype != SDX_INT64 || !(first->op->flags & OP_VIEW)) return false;
  for (size_t i = 0; i < shape->count; i++)
    if (((const int64_t *)shape->data)[i] == 0) return false;
  return !match_is(first, "Identity");  // eliminate's work
}

static sdx_status compose(pass_context *c, const node *first, node *second) {
  const attr *p = node_attr(first, "perm"), *q = node_attr(second, "perm");
  size_t rank = p ? p->ints.count : q ? q->ints.count : 0;
  if (!p || !q || q->ints.count != rank) return SDX_OK;
  int64_t *perm = arena_array(c->graph->memory, rank, sizeof *perm);
  if (!perm) return error_no_memory(c->err, rank * sizeof *perm);
  for (size_t i = 0; i < rank; i++) perm[i] = p->ints.at[q->ints.at[i]];
  SDX_TRY(node_set_attr(c->graph, second, attr_of_ints("perm", perm, rank)));
  second->inputs[0] = first->inputs[0];
  c->changed = true;
  return op_bind(c->graph, second, 0, c->err);
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *second = g->nodes[i];
    if (second->dead || second->input_count == 0) continue;
    const node *first = match_producer(g, second->inputs[0]);
    if (!first || first->dead || !first->op || *first->op->domain || first->input_count == 0 || !first->inputs[0] ||
        first->outputs[0] != second->inputs[0])
      continue;
    if (match_is(second, "Transpose") && match_is(first, "Transpose")) {
      SDX_TRY(compose(c, first, second));
    } else if ((match_is(second, "Cast") && match_is(first, "Cast") && cast_skips(g, first, second)) ||
               (match_is(second, "Reshape") && reshape_skips(g, first, second))) {
      second->inputs[0] = first->inputs[0];
      c->changed = true;
    }
  }
  return SDX_OK;
}

const pass_def pass_merge_chains = {
    .name = "merge_chains", .help = "makes one of consecutive Transpose, Reshape, Cast", .level = 1, .run = run};
