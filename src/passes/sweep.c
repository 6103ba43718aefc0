// SPDX-License-Identifier: Apache-2.0
// Letting go of constants that no node reads any more while passes go on: who puts new weights in the place of all the
// old ones would hold both else. Values and attributes that show the same bytes are looked at together. Read next:
// order.c, and fold_constants.c and fuse_conv_channels.c, which sweep as they go.
#include <stdlib.h>

#include "passes/passes.h"

enum {
  LEAST_BYTES = 64 << 10,  // smaller ones are not worth a call of the system
  SWEEP_BYTES = 4 << 20,   // of new constants, after which a walk over the whole graph pays
};

// Bytes that a value of a graph, or an attribute, shows.
typedef struct shown {
  const tensor *tensor;
  graph_value *value;  // NULL: an attribute of a node
  bool read;
} shown;

typedef struct list {
  shown *at;
  size_t count, capacity;
  mem_account *account;
} list;

static bool add(list *l, const tensor *t, graph_value *value, bool read) {
  if (t->bytes < LEAST_BYTES || t->dtype == SDX_STRING) return true;
  if (l->count == l->capacity) {
    size_t capacity = l->capacity ? 2 * l->capacity : 64;
    shown *more = mem_alloc(l->account, capacity * sizeof *more);
    if (!more) return false;
    if (l->count) memcpy(more, l->at, l->count * sizeof *more);
    mem_free(l->at);
    l->at = more, l->capacity = capacity;
  }
  l->at[l->count++] = (shown){t, value, read};
  return true;
}

static bool add_graph(list *l, graph *g);

static bool add_attr(list *l, const attr *a) {
  graph *const *bodies;
  bool fits = a->kind != ATTR_TENSOR || add(l, a->tensor, NULL, true);
  for (size_t i = 0; a->kind == ATTR_TENSORS && fits && i < a->tensors.count; i++)
    fits = add(l, a->tensors.at[i], NULL, true);
  size_t count = attr_graphs(a, &bodies);
  for (size_t i = 0; i < count && fits; i++) fits = add_graph(l, bodies[i]);
  return fits;
}

// The recursion is as deep as the model's nesting, which import bounds.
static bool add_graph(list *l, graph *g) {
  arena scratch;
  arena_init(&scratch, l->account);
  const uint32_t *uses = graph_count_uses(g, &scratch);
  bool fits = uses != NULL;
  for (value_id v = 1; fits && v < g->value_count; v++)
    if (g->values[v].constant) fits = add(l, g->values[v].constant, &g->values[v], uses[v] > 0);
  arena_deinit(&scratch);
  for (uint32_t i = 0; i < g->node_count; i++)
    for (uint32_t k = 0; k < g->nodes[i]->attr_count && fits && !g->nodes[i]->dead; k++)
      fits = add_attr(l, &g->nodes[i]->attrs[k]);
  return fits;
}

static int by_address(const void *a, const void *b) {
  const shown *x = a, *y = b;
  return (uintptr_t)x->tensor->data < (uintptr_t)y->tensor->data   ? -1
         : (uintptr_t)x->tensor->data > (uintptr_t)y->tensor->data ? 1
                                                                   : 0;
}

void passes_sweep(pass_context *c) {
  if (c->made_bytes < SWEEP_BYTES || !c->let_go) return;
  list l = {.account = c->account};
  c->made_bytes = 0;
  if (add_graph(&l, c->root) && l.count) {
    qsort(l.at, l.count, sizeof *l.at, by_address);
    for (size_t i = 0, end; i < l.count; i = end) {
      const tensor *t = l.at[i].tensor;
      bool read = false;
      for (end = i; end < l.count && l.at[end].tensor->data == t->data; end++) read |= l.at[end].read;
      if (read) continue;
      c->let_go(c->context, t->data, t->bytes);
      for (size_t k = i; k < end; k++) l.at[k].value->constant = NULL;
    }
  }
  mem_free(l.at);
}
