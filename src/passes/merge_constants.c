// SPDX-License-Identifier: Apache-2.0
// Equal constants become one, so that what reads them becomes equal, too (merge_common). Exporters write a list of axes
// or a zero for every node anew. At run time constants cost nothing: level 3.
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "passes/passes.h"

typedef struct candidate {
  uint64_t hash;
  value_id id;
} candidate;

static int by_hash(const void *a, const void *b) {
  const candidate *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  return (x->id > y->id) - (x->id < y->id);
}

static bool equal(const tensor *a, const tensor *b) {
  return a->dtype == b->dtype && a->rank == b->rank && a->bytes == b->bytes &&
         (!a->rank || memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) == 0) &&
         (!a->bytes || memcmp(a->data, b->data, a->bytes) == 0);
}

static sdx_status run(pass_context *c) {
  graph *g = c->graph;
  candidate *list = arena_array(c->scratch, g->value_count, sizeof *list);
  value_id *instead = arena_array(c->scratch, g->value_count, sizeof *instead);
  uint32_t *uses = graph_count_uses(g, c->scratch);
  size_t count = 0;
  if (!list || !instead || !uses) return error_no_memory(c->err, g->value_count * sizeof *list);
  for (value_id v = 1; v < g->value_count; v++) {
    const tensor *t = g->values[v].constant;
    if (t && uses[v] && t->dtype != SDX_STRING) list[count++] = (candidate){hash_of(t->dtype, t->data, t->bytes), v};
  }
  if (count) qsort(list, count, sizeof *list, by_hash);
  for (size_t i = 1; i < count; i++) {
    value_id first = instead[list[i - 1].id] ? instead[list[i - 1].id] : list[i - 1].id;
    if (list[i].hash != list[i - 1].hash || !equal(g->values[first].constant, g->values[list[i].id].constant)) continue;
    instead[list[i].id] = first;
    c->changed = true;
  }
  if (c->changed) graph_replace_many(g, instead);
  return SDX_OK;
}

const pass_def pass_merge_constants = {
    .name = "merge_constants", .help = "keeps equal constants once", .level = 3, .run = run};
