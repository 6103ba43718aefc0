// SPDX-License-Identifier: Apache-2.0
// Offsets in the slab of each place. A block is a value from its first writer to its last reader, or the scratch of one
// step. Two ways are tried. By time: the steps are walked in order with the free gaps sorted by offset; each
// block takes the smallest gap that holds it. By size: the largest block first, each as low as those placed
// before it allow; better, but quadratic, so it is only for plans that the first way leaves far above what
// is alive at once.
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "plan/build.h"

enum { ALIGNMENT = 64, MOST_BY_SIZE = 4096 };

typedef struct block {
  size_t size, offset;
  size_t *target;  // where the offset goes
  uint32_t first, last, next;
} block;

typedef struct gap {
  size_t offset, size;
} gap;

typedef struct gaps {
  gap *at;
  size_t count, end;  // `end`: the slab's size so far
} gaps;

static bool rounded(size_t bytes, size_t *out) { return size_align(bytes ? bytes : 1, ALIGNMENT, out); }

// ---- by time ----------------------------------------------------------------------------------------

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

// Blocks are in the order of `first`. Fills *live with the most bytes that are alive at once.
static bool place_by_time(block *blocks, uint32_t count, uint32_t steps, arena *scratch, size_t *end, size_t *live) {
  uint32_t *ending = arena_array(scratch, (size_t)steps + 1, sizeof *ending);  // head of a list per step, + 1
  gaps g = {.at = arena_array(scratch, (size_t)count + 1, sizeof(gap))};
  size_t now = 0;
  *live = 0;
  if (!ending || !g.at) return false;
  for (uint32_t s = 0, b = 0; s < steps; s++) {
    for (; b < count && blocks[b].first == s; b++) {
      if (!take(&g, blocks[b].size, &blocks[b].offset)) return false;
      blocks[b].next = ending[blocks[b].last];
      ending[blocks[b].last] = b + 1;
      now += blocks[b].size;
    }
    if (now > *live) *live = now;
    for (uint32_t k = ending[s]; k; k = blocks[k - 1].next) {
      give(&g, blocks[k - 1].offset, blocks[k - 1].size);
      now -= blocks[k - 1].size;
    }
  }
  *end = g.end;
  return true;
}

// ---- by size ----------------------------------------------------------------------------------------

// Larger first; among equals the longer life, then the earlier: the same order on every machine.
static int compare_blocks(const void *a, const void *b) {
  const block *x = a, *y = b;
  uint32_t life_x = x->last - x->first, life_y = y->last - y->first;
  if (x->size != y->size) return x->size < y->size ? 1 : -1;
  if (life_x != life_y) return life_x < life_y ? 1 : -1;
  return (x->first > y->first) - (x->first < y->first);
}

static bool place_by_size(block *blocks, uint32_t count, arena *scratch, size_t *end) {
  uint32_t *by_offset = arena_array(scratch, count, sizeof *by_offset);  // placed blocks
  if (!by_offset) return false;
  qsort(blocks, count, sizeof *blocks, compare_blocks);
  *end = 0;
  for (uint32_t b = 0; b < count; b++) {
    size_t offset = 0, best = SIZE_MAX, best_room = SIZE_MAX;
    for (uint32_t i = 0; i < b; i++) {
      const block *p = &blocks[by_offset[i]];
      if (p->last < blocks[b].first || p->first > blocks[b].last) continue;
      if (p->offset > offset && p->offset - offset >= blocks[b].size && p->offset - offset < best_room) {
        best = offset;
        best_room = p->offset - offset;
      }
      if (p->offset + p->size > offset) offset = p->offset + p->size;
    }
    blocks[b].offset = best != SIZE_MAX ? best : offset;
    if (blocks[b].offset + blocks[b].size > *end) *end = blocks[b].offset + blocks[b].size;
    uint32_t at = b;
    for (; at > 0 && blocks[by_offset[at - 1]].offset > blocks[b].offset; at--) by_offset[at] = by_offset[at - 1];
    by_offset[at] = b;
  }
  return true;
}

// ---- both -------------------------------------------------------------------------------------------

static bool add_block(block *b, size_t bytes, uint32_t first, uint32_t last, size_t *target) {
  *b = (block){.target = target, .first = first, .last = last};
  return rounded(bytes, &b->size);
}

static bool list_blocks(plan *p, uint8_t place, block *blocks, uint32_t *count) {
  bool fits = true;
  for (uint32_t s = 0; s < p->step_count; s++) {
    plan_step *step = &p->steps[s];
    for (uint32_t i = 0; i < step->step.output_count; i++) {
      value_id v = step->outputs[i];
      plan_value *pv = &p->values[v];
      if (!v || pv->root != v || pv->storage != STORE_SLAB || pv->place != place) continue;
      uint32_t last = pv->last < p->step_count ? pv->last : p->step_count;
      fits &= add_block(&blocks[(*count)++], pv->value.tensor.bytes, s, last, &pv->offset);
    }
    if (step->step.scratch_bytes && place == PLACE_HOST)
      fits &= add_block(&blocks[(*count)++], step->step.scratch_bytes, s, s, &step->scratch_offset);
  }
  size_t sum = 0;  // what no order of placing can pass
  for (uint32_t b = 0; b < *count; b++) fits = fits && size_add(sum, blocks[b].size, &sum);
  return fits;
}

static sdx_status assign_place(builder *b, uint8_t place, size_t *slab, size_t *live) {
  plan *p = b->p;
  arena *scratch = &b->scratch;
  error *err = b->err;
  size_t most = p->step_count, by_size = SIZE_MAX;
  uint32_t count = 0;
  for (uint32_t s = 0; s < p->step_count; s++) most += p->steps[s].step.output_count;
  block *blocks = arena_array(scratch, most, sizeof *blocks);
  if (!blocks) return error_no_memory(err, most * sizeof *blocks);
  if (!list_blocks(p, place, blocks, &count)) return error_no_memory(err, SIZE_MAX);
  if (!place_by_time(blocks, count, p->step_count, scratch, slab, live))
    return error_no_memory(err, count * sizeof *blocks);
  if (*slab > *live + *live / 32 && count <= MOST_BY_SIZE) {
    block *other = arena_copy(scratch, blocks, count * sizeof *blocks);
    if (!other || !place_by_size(other, count, scratch, &by_size)) return error_no_memory(err, count * sizeof *blocks);
    if (by_size < *slab) {
      *slab = by_size;
      blocks = other;
    }
  }
  for (uint32_t b = 0; b < count; b++) *blocks[b].target = blocks[b].offset;
  return SDX_OK;
}

sdx_status assign_slab(builder *b) {
  plan *p = b->p;
  size_t ignored;
  SDX_TRY(assign_place(b, PLACE_HOST, &p->slab_bytes, &p->live_bytes));
  for (size_t k = 1; p->places && k < p->places->count; k++)
    SDX_TRY(assign_place(b, (uint8_t)k, &p->device_bytes[k], &ignored));
  return SDX_OK;
}
