// SPDX-License-Identifier: Apache-2.0
// Offsets in the slab. The steps are walked in order with a list of free gaps kept sorted by offset:
// each value takes the smallest gap that holds it, and gives it back after its last reader.
#include <string.h>

#include "base/size.h"
#include "plan/plan.h"

enum { ALIGNMENT = 64 };

typedef struct gap {
  size_t offset, size;
} gap;

typedef struct gaps {
  gap *at;
  size_t count, end;  // `end`: the slab's size so far
} gaps;

static size_t rounded(size_t bytes) { return bytes ? (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1) : ALIGNMENT; }

static bool take(gaps *g, size_t size, size_t *offset) {
  size_t best = SIZE_MAX;
  for (size_t i = 0; i < g->count; i++)
    if (g->at[i].size >= size && (best == SIZE_MAX || g->at[i].size < g->at[best].size)) best = i;
  if (best == SIZE_MAX) {
    // Nothing fits: grow the end, using a gap that touches it.
    bool touches = g->count && g->at[g->count - 1].offset + g->at[g->count - 1].size == g->end;
    *offset = touches ? g->at[g->count - 1].offset : g->end;
    if (touches) g->count--;
    return size_add(*offset, size, &g->end);
  }
  *offset = g->at[best].offset;
  g->at[best].offset += size;
  g->at[best].size -= size;
  if (g->at[best].size == 0) {
    memmove(&g->at[best], &g->at[best + 1], (g->count - best - 1) * sizeof *g->at);
    g->count--;
  }
  return true;
}

static void give(gaps *g, size_t offset, size_t size) {
  size_t i = 0;
  while (i < g->count && g->at[i].offset < offset) i++;
  bool joins_left = i > 0 && g->at[i - 1].offset + g->at[i - 1].size == offset;
  bool joins_right = i < g->count && offset + size == g->at[i].offset;
  if (joins_left && joins_right) {
    g->at[i - 1].size += size + g->at[i].size;
    memmove(&g->at[i], &g->at[i + 1], (g->count - i - 1) * sizeof *g->at);
    g->count--;
  } else if (joins_left) {
    g->at[i - 1].size += size;
  } else if (joins_right) {
    g->at[i].offset = offset;
    g->at[i].size += size;
  } else {
    memmove(&g->at[i + 1], &g->at[i], (g->count - i) * sizeof *g->at);
    g->at[i] = (gap){offset, size};
    g->count++;
  }
}

sdx_status slab_assign(plan *p, arena *scratch, size_t *bytes, error *err) {
  uint32_t *ending = arena_array(scratch, (size_t)p->step_count + 1, sizeof *ending);  // head of a list per step
  uint32_t *next = arena_array(scratch, p->value_count, sizeof *next);
  gaps g = {.at = arena_array(scratch, (size_t)p->value_count + 1, sizeof(gap))};
  if (!ending || !next || !g.at) return error_no_memory(err, p->value_count * sizeof *next);
  for (uint32_t s = 0; s < p->step_count; s++) {
    const node *n = p->steps[s].node;
    for (uint32_t i = 0; i < n->output_count; i++) {
      value_id v = n->outputs[i];
      plan_value *pv = &p->values[v];
      if (!v || pv->root != v || pv->storage != STORE_SLAB) continue;
      if (pv->tensor.bytes > SIZE_MAX / 2 || !take(&g, rounded(pv->tensor.bytes), &pv->offset))
        return error_no_memory(err, pv->tensor.bytes);
      uint32_t last = pv->last < p->step_count ? pv->last : p->step_count;
      next[v] = ending[last];
      ending[last] = v;
    }
    for (value_id v = ending[s]; v; v = next[v]) give(&g, p->values[v].offset, rounded(p->values[v].tensor.bytes));
  }
  *bytes = g.end;
  return SDX_OK;
}
