// SPDX-License-Identifier: Apache-2.0
// Walking and scanning; see forest.h.
#include "kernels/forest/forest.h"

#include <math.h>
#include <string.h>

#include "base/pool.h"

enum {
  FLAT = 12,      // a group no deeper is walked to its full depth without looking
  LOOK = 2,       // levels between two looks at whether all have reached a leaf
  PATIENCE = 256  // trees between two looks at whether to stop
};

static size_t padded(size_t rows) { return rows <= 64 ? 64 : rows <= 128 ? 128 : 256; }
static size_t up(size_t bytes) { return (bytes + 63) / 64 * 64; }

// Offsets in the scratch.
typedef struct layout {
  size_t ranks, values, columns, stack, leaves, bytes;
} layout;

static layout layout_of(const forest *f, size_t rows) {
  bool few = rows < FOREST_FEW;
  size_t n = few ? 1 : padded(rows);
  layout l = {.values = up(2 * (few ? f->feature_count : n))};
  l.columns = l.values + (few || f->walks ? up(4 * n * f->walk_count) : 0);
  l.stack = l.columns + (few ? 0 : up(n * f->scan_count));
  l.leaves = l.stack + (few ? 0 : n * TREE_SCAN_STACK);
  l.bytes = l.leaves + (few ? 0 : n);
  return l;
}

size_t forest_scratch_bytes(const forest *f, size_t rows) {
  size_t few = layout_of(f, 1).bytes, many = rows < FOREST_FEW ? 0 : layout_of(f, rows).bytes;
  return few > many ? few : many;
}

typedef struct room {
  uint16_t *ranks;   // of one feature in all rows, or of all features in one
  uint32_t *values;  // walk columns, values << 16
  int8_t *columns;
  uint8_t *stack, *leaves;
} room;

// ---- adding leaves -------------------------------------------------------------------------------

static inline void combine(forest_aggregate how, double *s, double weight) {
  if (how == FOREST_SUM) *s += weight;
  else if (isnan(*s) || (how == FOREST_MIN ? weight < *s : weight > *s)) *s = weight;
}

static void add_leaf(const forest_call *c, const forest_tree *t, uint32_t first, double *sums) {
  const forest *f = c->forest;
  if (t->slots != FOREST_IRREGULAR)
    for (uint32_t i = 0; i < t->slots; i++)
      combine(f->aggregate, &sums[t->targets[i] * c->sums_stride], f->weights[first + i]);
  else
    for (; f->weight_target[first] != FOREST_END; first++)
      combine(f->aggregate, &sums[f->weight_target[first] * c->sums_stride], f->weights[first]);
}

// ---- walking -------------------------------------------------------------------------------------

// One level down: a compare and an add with carry, which the compiler finds if nothing can come in between.
static inline uint32_t step(const forest *f, bool wide, uint32_t at, const uint32_t *values, size_t stride) {
  if (wide) {
    const forest_wide_node *n = &f->wide_nodes[at];
    return n->next + (n->level < values[n->column * stride] >> 16);
  }
  uint64_t n = f->nodes[at], next = n >> 32;
  __asm__("" : "+r"(next));
  return (uint32_t)next + ((uint32_t)n < values[(n & 0xffff) * stride]);
}
static inline uint32_t next_of(const forest *f, bool wide, uint32_t at) {
  return wide ? f->wide_nodes[at].next : (uint32_t)(f->nodes[at] >> 32);
}

// In registers only where all of these loops are unrolled.
#define EACH_LANE _Pragma("GCC unroll 16") for (int q = 0; q < lanes; q++)

// `at` to leaves: lane i reads values[i * step_of_lane + column * stride].
static inline __attribute__((always_inline)) void descend(const forest *f, bool wide, const int lanes, uint32_t depth,
                                                          uint32_t *at, const uint32_t *values, size_t step_of_lane,
                                                          size_t stride) {
  uint32_t moved;
  do {
    moved = 0;
    for (uint32_t d = depth <= FLAT ? depth : LOOK; d; d--) {
      EACH_LANE at[q] = step(f, wide, at[q], values + (size_t)q * step_of_lane, stride);
    }
    if (depth <= FLAT) break;
    EACH_LANE moved |= next_of(f, wide, at[q]) ^ at[q];
  } while (moved);
}

static inline __attribute__((always_inline)) void walk_row(const forest_call *c, bool wide, const uint32_t *values,
                                                           double *sums) {
  enum { lanes = FOREST_LANES };
  const forest *f = c->forest;
  const double *value = f->value;
  double sum = 0;
  for (size_t t = 0; t < f->tree_count; t += FOREST_LANES) {
    uint32_t at[FOREST_LANES];
    EACH_LANE at[q] = f->roots[t + (size_t)q];
    descend(f, wide, lanes, f->depth[t / FOREST_LANES], at, values, 0, 1);
    if (f->single) {
      EACH_LANE sum += value[at[q]];
    } else if (value) {
      EACH_LANE sums[f->trees[t + (size_t)q].targets[0] * c->sums_stride] += value[at[q]];
    } else {
      for (int q = 0; q < lanes; q++) add_leaf(c, &f->trees[t + (size_t)q], f->leaf[at[q]], sums);
    }
    if (t % PATIENCE == 0 && t && pool_stopped()) return;
  }
  if (f->single) sums[f->trees->targets[0] * c->sums_stride] = sum;
}

static void walk_tree(const forest_call *c, size_t tree, const uint32_t *values, size_t stride) {
  enum { lanes = 8 };  // rows, of which there are whole groups
  const forest *f = c->forest;
  const forest_tree *t = &f->trees[tree];
  uint32_t depth = f->depth[tree / FOREST_LANES], root = f->roots[tree];
  for (size_t r = 0; r < c->rows; r += lanes) {
    uint32_t at[lanes];
    EACH_LANE at[q] = root;
    if (f->wide_nodes) descend(f, true, lanes, depth, at, values + r, 1, stride);
    else descend(f, false, lanes, depth, at, values + r, 1, stride);
    for (size_t q = 0; q < lanes && r + q < c->rows; q++) add_leaf(c, t, f->leaf[at[q]], c->sums + r + q);
  }
}

// ---- scanning ------------------------------------------------------------------------------------

static void add_slot(forest_aggregate how, const double *weights, size_t slots, const uint8_t *leaves, size_t rows,
                     double *sums) {
  if (how == FOREST_SUM && slots == 1)
    for (size_t r = 0; r < rows; r++) sums[r] += weights[leaves[r]];
  else if (how == FOREST_SUM)
    for (size_t r = 0; r < rows; r++) sums[r] += weights[leaves[r] * slots];
  else
    for (size_t r = 0; r < rows; r++) combine(how, &sums[r], weights[leaves[r] * slots]);
}

static void scan_tree(const forest_call *c, const forest_tree *t, const room *room) {
  const forest *f = c->forest;
  for (const forest_part *p = t->parts; p < t->parts + t->part_count; p++) {
    c->kernels.scan->scan(p->steps, p->count, room->columns, padded(c->rows), room->stack, room->leaves);
    for (uint32_t i = 0; i < t->slots; i++)
      add_slot(f->aggregate, f->weights + p->first + i, t->slots, room->leaves, c->rows,
               c->sums + t->targets[i] * c->sums_stride);
    for (size_t r = 0; r < c->rows && t->slots == FOREST_IRREGULAR; r++)
      add_leaf(c, t, p->firsts[room->leaves[r]], c->sums + r);
  }
}

// ---- rows ----------------------------------------------------------------------------------------

static uint32_t value_of(uint16_t rank, const forest_column *c) {
  return (rank != RANK_NAN ? 1u + rank : c->nan_passes ? 0 : UINT16_MAX) << 16;
}

static void run_row(const forest_call *c, size_t row, const room *room) {
  const forest *f = c->forest;
  const rank_kernel *k = c->kernels.rank;
  size_t at = row * c->x_stride;
  if (c->is_double) k->row_f64(f->ranks_64, f->feature, f->feature_count, (const double *)c->x + at, room->ranks);
  else k->row_f32(f->ranks_32, f->feature, f->feature_count, (const float *)c->x + at, room->ranks);
  for (size_t i = 0; i < f->walk_count; i++)
    room->values[i] = value_of(room->ranks[f->walk_columns[i].feature], &f->walk_columns[i]);
  if (f->wide_nodes) walk_row(c, true, room->values, c->sums + row);
  else walk_row(c, false, room->values, c->sums + row);
}

static void make_columns(const forest_call *c, const room *room) {
  const forest *f = c->forest;
  const rank_kernel *k = c->kernels.rank;
  size_t walked = 0, scanned = 0, n = padded(c->rows);
  memset(room->ranks, 0, n * sizeof *room->ranks);
  for (size_t i = 0; i < f->feature_count; i++) {
    size_t from = f->feature[i];
    if (c->is_double) k->column_f64(&f->ranks_64[i], (const double *)c->x + from, c->x_stride, c->rows, room->ranks);
    else k->column_f32(&f->ranks_32[i], (const float *)c->x + from, c->x_stride, c->rows, room->ranks);
    for (; f->walks && walked < f->walk_count && f->walk_columns[walked].feature == i; walked++)
      for (size_t r = 0; r < n; r++) room->values[walked * n + r] = value_of(room->ranks[r], &f->walk_columns[walked]);
    for (; scanned < f->scan_count && f->scan_columns[scanned].feature == i; scanned++)
      c->kernels.scan->column(room->ranks, n, f->scan_columns[scanned].below, f->scan_columns[scanned].nan_passes,
                              room->columns + scanned * n);
  }
}

void forest_run(const forest_call *c) {
  const forest *f = c->forest;
  layout l = layout_of(f, c->rows);
  char *at = c->scratch;
  room room = {(uint16_t *)(at + l.ranks), (uint32_t *)(at + l.values), (int8_t *)(at + l.columns),
               (uint8_t *)(at + l.stack), (uint8_t *)(at + l.leaves)};
  for (size_t t = 0; t < f->targets; t++)
    for (size_t r = 0; r < c->rows; r++) c->sums[t * c->sums_stride + r] = f->aggregate == FOREST_SUM ? 0 : NAN;
  if (c->rows < FOREST_FEW) {
    for (size_t r = 0; r < c->rows; r++) run_row(c, r, &room);
    return;
  }
  make_columns(c, &room);
  for (size_t t = 0; t < f->tree_count; t++) {
    if (f->trees[t].part_count) scan_tree(c, &f->trees[t], &room);
    else walk_tree(c, t, room.values, padded(c->rows));
    if (t % PATIENCE == 0 && t && pool_stopped()) return;
  }
}
