// SPDX-License-Identifier: Apache-2.0
// Lays tests out for kernels/forest: nodes to walk, in blocks that share cache lines, and programs to scan for trees
// that are small enough. Read first: kernels/forest/forest.h.
#include <math.h>
#include <string.h>

#include "ops/parts/tree_ensemble.h"

enum {
  SCAN_LEAVES = 1024,  // trees with more are walked: a scan pays for every node, a walk for every level
  PART_LEAVES = 255,   // of a program, besides the one that stands for the leaves of other programs
  BLOCK_LEVELS = 3,    // of successors that lie together
};

// A test as the layout sees it.
typedef struct shape {
  uint32_t leaves, depth;  // below it; leaves are counted to SCAN_LEAVES + 1, 0: not seen yet
  uint32_t pair;           // first of its successors' nodes; 0: they have none yet
  uint32_t first;          // leaf: its first weight
} shape;

typedef struct packing {
  const tree_model *model;
  const tree_tests *tests;
  forest *out;
  shape *shapes;                        // [tests]
  uint32_t *waiting;                    // [tests + 1]
  size_t *scan_keys;                    // [features + 1] key of a feature's first column to scan: pieces times 2
  uint32_t *walk_column, *scan_column;  // [keys] 1 + the column
  forest_tree *trees;
  forest_node *nodes;
  forest_wide_node *wide_nodes;
  uint32_t *leaf, *roots, *depth;
  double *value;
  uint32_t node_count;
  size_t node_most;
  double *weights;  // grow, then are copied to `memory`
  uint32_t *weight_target;
  size_t weight_count, weight_room;
  arena *memory, *temporary;
  error *err;
} packing;

static sdx_status no_memory(const packing *p) { return error_no_memory(p->err, 0); }
static const tree_test *test_at(const packing *p, uint32_t i) { return &p->tests->tests[i]; }
static bool is_scanned(const packing *p, uint32_t root) {
  return p->shapes[root].leaves > 1 && p->shapes[root].leaves <= SCAN_LEAVES;
}

// ---- shapes --------------------------------------------------------------------------------------

// Successors first; a test that several lead to is seen once.
static void measure(packing *p, uint32_t root) {
  size_t count = 0;
  p->waiting[count++] = root;
  while (count) {
    uint32_t i = p->waiting[count - 1];
    const tree_test *t = test_at(p, i);
    shape *s = &p->shapes[i];
    if (t->leaf || s->leaves) {
      s->leaves = s->leaves ? s->leaves : 1;
      count--;
      continue;
    }
    const shape *yes = &p->shapes[t->yes], *no = &p->shapes[t->no];
    if (!yes->leaves) p->waiting[count++] = t->yes;
    else if (!no->leaves) p->waiting[count++] = t->no;
    else {
      uint32_t leaves = yes->leaves + no->leaves;
      s->leaves = leaves <= SCAN_LEAVES ? leaves : SCAN_LEAVES + 1;
      s->depth = 1 + (yes->depth > no->depth ? yes->depth : no->depth);
      count--;
    }
  }
}

// ---- columns -------------------------------------------------------------------------------------

static size_t walk_key(const tree_test *t) { return 2 * (size_t)t->feature + t->nan_passes; }
static size_t scan_key(const packing *p, const tree_test *t) {
  return p->scan_keys[t->feature] + 2 * (size_t)(t->level / FOREST_PIECE) + t->nan_passes;
}

// Numbers the keys that are marked and lists their columns.
static sdx_status number_columns(packing *p, uint32_t *column, size_t keys, bool scanned, const forest_column **list,
                                 size_t *count) {
  size_t n = 0, feature = 0;
  for (size_t k = 0; k < keys; k++) n += column[k];
  forest_column *to = arena_array(p->memory, n + 1, sizeof *to);
  if (!to) return no_memory(p);
  *list = to, *count = n, n = 0;
  for (size_t k = 0; k < keys; k++) {
    if (!column[k]) continue;
    while (scanned ? k >= p->scan_keys[feature + 1] : k / 2 > feature) feature++;
    size_t piece = scanned ? (k - p->scan_keys[feature]) / 2 : 0;
    to[n] = (forest_column){(uint32_t)feature, (uint16_t)(piece * FOREST_PIECE), k & 1};
    column[k] = (uint32_t)++n;
  }
  return SDX_OK;
}

static void mark_scanned(packing *p, uint32_t root) {
  size_t count = 0;
  p->waiting[count++] = root;
  while (count) {
    const tree_test *t = test_at(p, p->waiting[--count]);
    if (t->leaf) continue;
    p->scan_column[scan_key(p, t)] = 1;
    p->waiting[count++] = t->yes, p->waiting[count++] = t->no;
  }
}

static sdx_status make_columns(packing *p) {
  const tree_tests *tests = p->tests;
  size_t features = tests->feature_count;
  p->scan_keys = arena_array(p->temporary, features + 1, sizeof *p->scan_keys);
  p->walk_column = arena_array(p->temporary, 2 * features + 1, sizeof *p->walk_column);
  if (!p->scan_keys || !p->walk_column) return no_memory(p);
  for (size_t f = 0; f < features; f++)
    p->scan_keys[f + 1] = p->scan_keys[f] + 2 * (tests->ranks_64[f].count / FOREST_PIECE + 1);
  p->scan_column = arena_array(p->temporary, p->scan_keys[features] + 1, sizeof *p->scan_column);
  if (!p->scan_column) return no_memory(p);
  for (size_t i = 0; i < tests->count; i++)
    if (!tests->tests[i].leaf) p->walk_column[walk_key(&tests->tests[i])] = 1;
  for (size_t t = 0; t < p->model->root_count; t++)
    if (is_scanned(p, p->model->roots[t])) mark_scanned(p, p->model->roots[t]);
  forest *f = p->out;
  SDX_TRY(number_columns(p, p->walk_column, 2 * features, false, &f->walk_columns, &f->walk_count));
  return number_columns(p, p->scan_column, p->scan_keys[features], true, &f->scan_columns, &f->scan_count);
}

// ---- weights -------------------------------------------------------------------------------------

static sdx_status reserve_weights(packing *p, size_t more) {
  size_t room = p->weight_room ? p->weight_room : 1024;
  if (p->weight_count + more > UINT32_MAX) return error_set(p->err, SDX_LIMIT_EXCEEDED, "more than 2^32 weights");
  if (p->weight_count + more <= p->weight_room) return SDX_OK;
  while (room < p->weight_count + more) room *= 2;
  double *weights = mem_alloc(p->memory->account, room * sizeof *weights);
  uint32_t *targets = mem_alloc(p->memory->account, room * sizeof *targets);
  if (!weights || !targets) return mem_free(weights), mem_free(targets), no_memory(p);
  if (p->weight_count) {
    memcpy(weights, p->weights, p->weight_count * sizeof *weights);
    memcpy(targets, p->weight_target, p->weight_count * sizeof *targets);
  }
  mem_free(p->weights), mem_free(p->weight_target);
  p->weights = weights, p->weight_target = targets, p->weight_room = room;
  return SDX_OK;
}

static void put_weight(packing *p, uint32_t target, double weight) {
  p->weights[p->weight_count] = weight, p->weight_target[p->weight_count++] = target;
}

// Appends the weights of a leaf; NULL: of one that adds nothing.
static sdx_status put_leaf(packing *p, const forest_tree *t, const tree_test *leaf, uint32_t *first) {
  const tree_weight *w = leaf ? p->model->weights + leaf->feature : NULL;
  size_t count = leaf ? leaf->no : t->slots;
  *first = (uint32_t)p->weight_count;
  SDX_TRY(reserve_weights(p, count + 1));
  for (size_t i = 0; i < count; i++)
    put_weight(p, w ? w[i].target : t->targets[i], w ? w[i].weight : p->out->aggregate == FOREST_SUM ? 0 : NAN);
  if (t->slots == FOREST_IRREGULAR) put_weight(p, FOREST_END, 0);
  return SDX_OK;
}

// Do all leaves name the same targets in the same order?
static sdx_status find_slots(packing *p, uint32_t root, forest_tree *t) {
  const tree_node *one = NULL;
  const tree_weight *weights = p->model->weights;
  size_t count = 0;
  bool regular = true;
  p->waiting[count++] = root;
  while (count && regular) {
    const tree_node *n = &p->model->nodes[p->waiting[--count]];
    if (n->mode != LEAF) {
      p->waiting[count++] = n->yes, p->waiting[count++] = n->no;
      continue;
    }
    one = one ? one : n;
    regular = n->no == one->no && n->no > 0;
    for (uint32_t i = 0; i < n->no && regular; i++)
      regular = weights[n->feature + i].target == weights[one->feature + i].target;
  }
  t->slots = regular ? one->no : FOREST_IRREGULAR;
  uint32_t *targets = arena_array(p->memory, t->slots + 1, sizeof *targets);
  if (!targets) return no_memory(p);
  for (uint32_t i = 0; i < t->slots; i++) targets[i] = weights[one->feature + i].target;
  t->targets = targets;
  return SDX_OK;
}

// ---- programs ------------------------------------------------------------------------------------

// A tree in full, from the root down, with what is shared written out.
typedef struct twig {
  uint32_t test;
  uint16_t yes, no;  // leaf: 0
  uint16_t own;      // leaves below it that belong to the part in question
  uint8_t need;      // of the stack; 0: nothing below it is tested
  uint8_t part;
} twig;

typedef struct bush {
  packing *p;
  twig twigs[2 * SCAN_LEAVES];
  size_t count, parts;
  const forest_tree *tree;
  tree_scan_step *steps;  // of the part that is written
  size_t step_count;
  uint32_t firsts[PART_LEAVES + 1];
  size_t leaf_count;
} bush;

static void write_out(bush *b, uint32_t root) {
  b->twigs[0] = (twig){.test = root}, b->count = 1;
  for (size_t i = 0; i < b->count; i++) {
    const tree_test *t = test_at(b->p, b->twigs[i].test);
    if (t->leaf) continue;
    b->twigs[i].yes = (uint16_t)b->count, b->twigs[b->count++] = (twig){.test = t->yes};
    b->twigs[i].no = (uint16_t)b->count, b->twigs[b->count++] = (twig){.test = t->no};
  }
}

static void count_own(bush *b, size_t part) {
  for (size_t i = b->count; i-- > 0;) {
    twig *t = &b->twigs[i];
    t->need = 0;
    if (!t->yes) {
      t->own = t->part == part;
      continue;
    }
    const twig *yes = &b->twigs[t->yes], *no = &b->twigs[t->no];
    t->own = (uint16_t)(yes->own + no->own);
    if (t->own) t->need = yes->need == no->need ? yes->need + 1 : yes->need > no->need ? yes->need : no->need;
  }
}

// As long as part 0 has too many leaves, a branch of it with at least half as many as a part may have becomes another.
static void split(bush *b) {
  b->parts = 1;
  count_own(b, 0);
  if (b->twigs[0].own <= PART_LEAVES + 1) return;
  while (b->twigs[0].own > PART_LEAVES) {
    size_t cut = 0;
    while (b->twigs[cut].own > PART_LEAVES) {
      const twig *t = &b->twigs[cut];
      cut = b->twigs[t->yes].own >= b->twigs[t->no].own ? t->yes : t->no;
    }
    uint8_t part = (uint8_t)b->parts++;
    b->twigs[cut].part = part;
    for (size_t i = cut; i < b->count; i++) {
      const twig *t = &b->twigs[i];
      if (t->part != part || !t->yes) continue;
      if (!b->twigs[t->yes].part) b->twigs[t->yes].part = part;
      if (!b->twigs[t->no].part) b->twigs[t->no].part = part;
    }
    count_own(b, 0);
  }
}

// The number of a leaf; of the one for all others where none is of this part.
static sdx_status number_leaf(bush *b, const twig *t, uint8_t *number) {
  *number = 0;
  if (!t->own) return SDX_OK;
  uint32_t *first = &b->p->shapes[t->test].first;
  SDX_TRY(put_leaf(b->p, b->tree, test_at(b->p, t->test), first));
  *number = (uint8_t)b->leaf_count;
  b->firsts[b->leaf_count++] = *first;
  return SDX_OK;
}

// Steps of a twig that needs some; no tree that is scanned is deeper than SCAN_LEAVES.
static sdx_status write_steps(bush *b, const twig *t) {
  const tree_test *test = test_at(b->p, t->test);
  const twig *yes = &b->twigs[t->yes], *no = &b->twigs[t->no];
  bool yes_first = yes->need >= no->need;
  tree_scan_step s = {.column = (uint16_t)(b->p->scan_column[scan_key(b->p, test)] - 1),
                      .threshold = (int8_t)(test->level % FOREST_PIECE - 128)};
  if (yes_first && yes->need) SDX_TRY(write_steps(b, yes));
  if (no->need) SDX_TRY(write_steps(b, no));
  if (!yes_first && yes->need) SDX_TRY(write_steps(b, yes));
  if (!yes->need) SDX_TRY(number_leaf(b, yes, &s.yes));
  if (!no->need) SDX_TRY(number_leaf(b, no, &s.no));
  s.kind = yes->need && no->need ? (yes_first ? TREE_SCAN_YES_FIRST : TREE_SCAN_NO_FIRST)
           : yes->need           ? TREE_SCAN_NO_LEAF
           : no->need            ? TREE_SCAN_YES_LEAF
                                 : TREE_SCAN_LEAVES;
  b->steps[b->step_count++] = s;
  return SDX_OK;
}

static sdx_status write_part(bush *b, size_t part, forest_part *out) {
  packing *p = b->p;
  size_t steps = 0;
  count_own(b, part);
  for (size_t i = 0; i < b->count; i++) steps += b->twigs[i].need > 0;
  b->steps = arena_array(p->memory, steps, sizeof *b->steps);
  if (!b->steps) return no_memory(p);
  b->step_count = b->leaf_count = 0;
  if (b->parts > 1) SDX_TRY(put_leaf(p, b->tree, NULL, &b->firsts[b->leaf_count++]));
  size_t first = b->parts > 1 ? b->firsts[0] : p->weight_count;
  SDX_TRY(write_steps(b, &b->twigs[0]));
  *out = (forest_part){.steps = b->steps, .count = b->step_count, .first = (uint32_t)first};
  if (b->tree->slots != FOREST_IRREGULAR) return SDX_OK;
  out->firsts = arena_copy(p->memory, b->firsts, b->leaf_count * sizeof *b->firsts);
  return out->firsts ? SDX_OK : no_memory(p);
}

static sdx_status write_programs(packing *p, bush *b, uint32_t root, forest_tree *tree) {
  b->p = p, b->tree = tree;
  write_out(b, root);
  for (size_t i = 0; i < b->count; i++)
    if (b->twigs[i].yes && p->scan_column[scan_key(p, test_at(p, b->twigs[i].test))] > FOREST_COLUMNS) return SDX_OK;
  split(b);
  forest_part *parts = arena_array(p->memory, b->parts, sizeof *parts);
  if (!parts) return no_memory(p);
  for (size_t i = 0; i < b->parts; i++) SDX_TRY(write_part(b, i, &parts[i]));
  tree->parts = parts, tree->part_count = (uint32_t)b->parts;
  return SDX_OK;
}

// ---- nodes ---------------------------------------------------------------------------------------

typedef struct seat {
  uint32_t node, test, level;  // of the block
} seat;

static void write_node(packing *p, uint32_t node, uint32_t column, uint32_t level, uint32_t next) {
  if (p->wide_nodes) p->wide_nodes[node] = (forest_wide_node){column, level, next};
  else p->nodes[node] = (uint64_t)next << 32 | level << 16 | column;
}

static void place_leaf(packing *p, uint32_t node, uint32_t first) {
  write_node(p, node, 0, FOREST_LEAF_LEVEL, node);
  p->leaf[node] = first;
  if (p->value) p->value[node] = p->weights[first];
}

// Nodes of BLOCK_LEVELS levels lie together, then those of each branch below. `waiting` has room for all tests.
static void place_tree(packing *p, uint32_t root, uint32_t node, seat *waiting) {
  size_t count = 0;
  waiting[count++] = (seat){node, root, 0};
  while (count) {
    seat block[2 << BLOCK_LEVELS];
    size_t filled = 1;
    block[0] = waiting[--count], block[0].level = 0;
    for (size_t i = 0; i < filled; i++) {
      seat at = block[i];
      const tree_test *t = test_at(p, at.test);
      shape *s = &p->shapes[at.test];
      if (t->leaf) {
        place_leaf(p, at.node, s->first);
      } else if (at.level == BLOCK_LEVELS) {
        waiting[count++] = at;
      } else {
        if (!s->pair) {
          s->pair = p->node_count, p->node_count += 2;
          block[filled++] = (seat){s->pair, t->yes, at.level + 1};
          block[filled++] = (seat){s->pair + 1, t->no, at.level + 1};
        }
        write_node(p, at.node, p->walk_column[walk_key(t)] - 1, t->level, s->pair);
      }
    }
  }
}

static sdx_status place_walked_leaves(packing *p, uint32_t root, const forest_tree *tree) {
  size_t count = 0;
  p->waiting[count++] = root;
  while (count) {
    uint32_t i = p->waiting[--count];
    const tree_node *n = &p->model->nodes[i];
    if (n->mode == LEAF) {
      SDX_TRY(put_leaf(p, tree, test_at(p, i), &p->shapes[i].first));
      continue;
    }
    p->waiting[count++] = n->yes, p->waiting[count++] = n->no;
  }
  return SDX_OK;
}

// ---- all -----------------------------------------------------------------------------------------

static sdx_status pack_tree(packing *p, bush *b, seat *seats, size_t index) {
  uint32_t root = p->model->roots[index], *depth = p->depth + index / FOREST_LANES;
  forest_tree *t = &p->trees[index];
  forest *f = p->out;
  if (is_scanned(p, root)) SDX_TRY(write_programs(p, b, root, t));
  if (!t->part_count) {
    f->walks = true;
    SDX_TRY(place_walked_leaves(p, root, t));
  }
  p->roots[index] = p->node_count, p->node_count += 2;
  place_tree(p, root, p->roots[index], seats);
  if (*depth < p->shapes[root].depth) *depth = p->shapes[root].depth;
  return SDX_OK;
}

// Trees that fill the last group: one leaf each.
static sdx_status pad_trees(packing *p) {
  static const uint32_t first_target[] = {0};
  for (size_t i = p->out->tree_count; i % FOREST_LANES; i++) {
    forest_tree *t = &p->trees[i];
    uint32_t first;
    *t = (forest_tree){.slots = 1, .targets = p->trees[0].slots == 1 ? p->trees[0].targets : first_target};
    SDX_TRY(put_leaf(p, t, NULL, &first));
    p->roots[i] = p->node_count++;
    place_leaf(p, p->roots[i], first);
  }
  return SDX_OK;
}

// Finds whether every tree has one weight in each leaf.
static sdx_status find_all_slots(packing *p) {
  forest *f = p->out;
  bool one = f->aggregate == FOREST_SUM;
  f->single = one;
  for (size_t t = 0; t < f->tree_count; t++) {
    SDX_TRY(find_slots(p, p->model->roots[t], &p->trees[t]));
    one = one && p->trees[t].slots == 1;
    f->single = one && f->single && p->trees[t].targets[0] == p->trees[0].targets[0];
  }
  if (!one) return SDX_OK;
  p->value = arena_array(p->memory, p->node_most, sizeof *p->value);
  return p->value ? SDX_OK : no_memory(p);
}

static sdx_status allocate(packing *p) {
  const tree_model *m = p->model;
  forest *f = p->out;
  size_t inner = 0, groups = (m->root_count + FOREST_LANES - 1) / FOREST_LANES;
  for (size_t i = 0; i < p->tests->count; i++) inner += !p->tests->tests[i].leaf;
  size_t nodes = p->node_most = 2 * (inner + m->root_count) + FOREST_LANES;
  f->tree_count = m->root_count;
  p->depth = arena_array(p->memory, groups + 1, sizeof *p->depth);
  p->roots = arena_array(p->memory, groups * FOREST_LANES + 1, sizeof *p->roots);
  p->trees = arena_array(p->memory, groups * FOREST_LANES + 1, sizeof *p->trees);
  p->leaf = arena_array(p->memory, nodes, sizeof *p->leaf);
  if (f->walk_count > FOREST_COLUMNS) p->wide_nodes = arena_array(p->memory, nodes, sizeof *p->wide_nodes);
  else p->nodes = arena_array(p->memory, nodes, sizeof *p->nodes);
  return p->depth && p->roots && p->trees && p->leaf && (p->nodes || p->wide_nodes) ? SDX_OK : no_memory(p);
}

static sdx_status pack(packing *p) {
  const tree_model *m = p->model;
  seat *seats = arena_array(p->temporary, p->tests->count + 1, sizeof *seats);
  bush *b = arena_alloc(p->temporary, sizeof *b);
  p->shapes = arena_array(p->temporary, p->tests->count + 1, sizeof *p->shapes);
  p->waiting = arena_array(p->temporary, p->tests->count + 2 * SCAN_LEAVES, sizeof *p->waiting);
  if (!seats || !b || !p->shapes || !p->waiting) return no_memory(p);
  for (size_t t = 0; t < m->root_count; t++) measure(p, m->roots[t]);
  SDX_TRY(make_columns(p));
  SDX_TRY(allocate(p));
  SDX_TRY(find_all_slots(p));
  for (size_t t = 0; t < m->root_count; t++) SDX_TRY(pack_tree(p, b, seats, t));
  SDX_TRY(pad_trees(p));
  forest *f = p->out;
  f->weights = arena_copy(p->memory, p->weights, p->weight_count * sizeof *p->weights);
  f->weight_target = arena_copy(p->memory, p->weight_target, p->weight_count * sizeof *p->weight_target);
  f->trees = p->trees, f->nodes = p->nodes, f->wide_nodes = p->wide_nodes, f->leaf = p->leaf, f->value = p->value;
  f->roots = p->roots, f->depth = p->depth;
  return f->weights && f->weight_target ? SDX_OK : no_memory(p);
}

sdx_status tree_pack(const tree_model *m, const tree_tests *tests, size_t targets, aggregate how, arena *memory,
                     arena *temporary, forest *out, error *err) {
  packing p = {.model = m, .tests = tests, .out = out, .memory = memory, .temporary = temporary, .err = err};
  *out = (forest){.feature_count = tests->feature_count,
                  .targets = targets,
                  .feature = tests->features,
                  .ranks_32 = tests->ranks_32,
                  .ranks_64 = tests->ranks_64,
                  .aggregate = how == MIN   ? FOREST_MIN
                               : how == MAX ? FOREST_MAX
                                            : FOREST_SUM};
  sdx_status status = pack(&p);
  mem_free(p.weights), mem_free(p.weight_target);
  return status;
}
