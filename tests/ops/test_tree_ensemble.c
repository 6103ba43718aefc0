// SPDX-License-Identifier: Apache-2.0
// Forests packed from random models give the bits of a plain walk over the model's nodes, in double, in the order of
// the trees: every comparison, sets, missing values, sizes that are walked and sizes that are scanned, numbers on
// thresholds and beside them, any count of rows.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ops/parts/tree_ensemble.h"

enum { TARGETS = 3, SETS = 6 };

static uint64_t state;
static uint64_t draw(void) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}
static size_t below(size_t n) { return (size_t)(draw() % n); }

// Few different numbers, so that features and thresholds meet.
static double number(void) {
  static const double special[] = {NAN, INFINITY, -INFINITY, -0.0, 0, 0x1p-149, 0.1, 3e38, 1e300};
  return below(12) == 0 ? special[below(9)] : (double)(float)((double)below(200) * 0.1 - 10);
}

typedef struct limits {
  size_t trees, leaves, features, modes;  // modes: comparisons are the first of them
  bool regular, one_sided, wide;          // one_sided: chains of nodes; wide: more columns than 16 bits name
} limits;

static uint32_t new_leaf(tree_model *m, const limits *l) {
  size_t count = l->regular ? 1 : below(TARGETS + 1);
  m->nodes[m->node_count] = (tree_node){.mode = LEAF, .feature = (uint32_t)m->weight_count, .no = (uint32_t)count};
  for (size_t i = 0; i < count; i++)
    m->weights[m->weight_count++] =
        (tree_weight){(uint32_t)(l->regular ? 1 : below(TARGETS)), (double)(draw() % 1000) * 0.01 - 5};
  return (uint32_t)m->node_count++;
}

static void new_set(tree_model *m, tree_node *n) {
  n->value = (double)m->member_count;
  for (size_t i = below(SETS); i > 0; i--) {
    double v = number();
    if (!isnan(v)) m->members[m->member_count++] = v;
  }
  m->members[m->member_count++] = NAN;
}

// Leaves become nodes with two leaves until there are enough.
static void new_tree(tree_model *m, const limits *l) {
  size_t leaves = 1 + below(l->leaves), first = m->node_count;
  m->roots[m->root_count++] = (uint32_t)first;
  new_leaf(m, l);
  uint32_t latest = (uint32_t)first;
  for (size_t i = 1; i < leaves; i++) {
    uint32_t at = latest;
    while (!l->one_sided && m->nodes[at = (uint32_t)(first + below(m->node_count - first))].mode != LEAF) {
    }
    tree_node n = {.value = number(), .feature = (uint32_t)below(l->features), .mode = (uint8_t)below(l->modes)};
    n.missing_is_yes = below(2);
    if (n.mode == MEMBER) new_set(m, &n);
    n.yes = new_leaf(m, l), n.no = new_leaf(m, l);
    m->nodes[at] = n;
    latest = below(2) ? n.yes : n.no;
  }
}

static void new_model(tree_model *m, const limits *l) {
  size_t nodes = l->trees * (2 * l->leaves + 1);
  *m = (tree_model){0};
  arena_init(&m->memory, NULL);
  m->nodes = arena_array(&m->memory, nodes, sizeof *m->nodes);
  m->roots = arena_array(&m->memory, l->trees, sizeof *m->roots);
  m->weights = arena_array(&m->memory, nodes * TARGETS, sizeof *m->weights);
  m->members = arena_array(&m->memory, nodes * (SETS + 1), sizeof *m->members);
  for (size_t t = 0; t < l->trees; t++) new_tree(m, l);
}

// ---- the definition ------------------------------------------------------------------------------

static bool passes(const tree_model *m, const tree_node *n, double v) {
  bool yes = false;
  if (isnan(v) && n->missing_is_yes) return true;
  switch (n->mode) {
    case LEQ:
      return v <= n->value;
    case LT:
      return v < n->value;
    case GTE:
      return v >= n->value;
    case GT:
      return v > n->value;
    case EQ:
      return v == n->value;
    case NEQ:
      return v != n->value && !isnan(v);
    default:
      for (const double *set = m->members + (size_t)n->value; !isnan(*set); set++) yes = yes || *set == v;
      return yes;
  }
}

static void sum_row(const tree_model *m, forest_aggregate how, const double *x, double *sums) {
  for (size_t t = 0; t < TARGETS; t++) sums[t] = how == FOREST_SUM ? 0 : NAN;
  for (size_t r = 0; r < m->root_count; r++) {
    const tree_node *n = &m->nodes[m->roots[r]];
    while (n->mode != LEAF) n = &m->nodes[passes(m, n, x[n->feature]) ? n->yes : n->no];
    for (uint32_t i = 0; i < n->no; i++) {
      tree_weight w = m->weights[n->feature + i];
      double *s = &sums[w.target];
      if (how == FOREST_SUM) *s += w.weight;
      else if (isnan(*s) || (how == FOREST_MIN ? w.weight < *s : w.weight > *s)) *s = w.weight;
    }
  }
}

// ---- rows ----------------------------------------------------------------------------------------

static void check_rows(const tree_model *m, const forest *f, size_t features, size_t rows, bool is_double) {
  size_t width = is_double ? sizeof(double) : sizeof(float), count = rows * features;
  double *x = malloc(count * sizeof *x), *sums = malloc(TARGETS * rows * sizeof *sums), want[TARGETS];
  void *given = malloc(count * width), *scratch = aligned_alloc(64, (forest_scratch_bytes(f, rows) + 63) / 64 * 64);
  memset(scratch, 0xff, forest_scratch_bytes(f, rows));
  for (size_t i = 0; i < count; i++) {
    x[i] = number();
    if (!is_double) x[i] = (double)(((float *)given)[i] = (float)x[i]);
    else ((double *)given)[i] = x[i];
  }
  forest_run(&(forest_call){f, forest_kernels_best(), given, is_double, features, rows, sums, rows, scratch});
  for (size_t r = 0; r < rows; r++) {
    sum_row(m, f->aggregate, x + r * features, want);
    for (size_t t = 0; t < TARGETS; t++) {
      double got = sums[t * rows + r];
      if (isnan(got) ? !isnan(want[t]) : memcmp(&got, &want[t], sizeof got) != 0)
        fail_msg("row %zu of %zu, target %zu: %.17g, expected %.17g", r, rows, t, got, want[t]);
    }
  }
  free(x), free(sums), free(given), free(scratch);
}

static void check_model(const limits *l, size_t cases) {
  static const size_t counts[] = {1, 2, 23, 24, 63, 64, 65, 100, 129, 256};
  static const aggregate ways[] = {SUM, AVERAGE, MIN, MAX};
  tree_model m;
  new_model(&m, l);
  forest f;
  tree_tests tests;
  error err = {0};
  arena memory;
  arena_init(&memory, NULL);
  assert_int_equal(tree_tests_make(&m, &memory, &m.memory, &tests, &err), SDX_OK);
  assert_int_equal(tree_pack(&m, &tests, TARGETS, ways[below(4)], &memory, &m.memory, &f, &err), SDX_OK);
  assert_int_equal(f.wide_nodes != NULL, l->wide);
  for (size_t i = 0; i < cases; i++) check_rows(&m, &f, l->features, counts[below(10)], below(2));
  arena_deinit(&memory);
  arena_deinit(&m.memory);
}

static void random_forests(void **unused) {
  for (uint64_t seed = 0; seed < 300; seed++) {
    state = seed << 32;
    limits l = {.trees = 1 + below(30), .features = 1 + below(8), .modes = below(2) ? 2 : LEAF};
    l.leaves = below(3) ? 40 : 400, l.regular = below(2), l.one_sided = below(4) == 0;
    check_model(&l, 3);
  }
}

// Above what one program, and what programs at all, are made for.
static void large_trees(void **unused) {
  state = 1;
  for (size_t i = 0; i < 20; i++)
    check_model(&(limits){.trees = 5, .leaves = i % 2 ? 700 : 3000, .features = 6, .modes = 4, .regular = i % 3}, 2);
}

static void wide_forests(void **unused) {
  state = 2;
  check_model(&(limits){.trees = 120000, .leaves = 4, .features = 50000, .modes = 2, .regular = true, .wide = true}, 1);
}

// More than a rank can count.
static void many_thresholds(void **unused) {
  enum { COUNT = 70000 };
  tree_model m = {.node_count = 3 * COUNT, .root_count = COUNT, .weight_count = 2 * COUNT};
  arena_init(&m.memory, NULL);
  m.nodes = arena_array(&m.memory, m.node_count, sizeof *m.nodes);
  m.roots = arena_array(&m.memory, COUNT, sizeof *m.roots);
  m.weights = arena_array(&m.memory, m.weight_count, sizeof *m.weights);
  for (uint32_t i = 0; i < COUNT; i++) {
    m.roots[i] = 3 * i;
    m.nodes[3 * i] = (tree_node){.value = (double)i * 1e-3 - 35, .yes = 3 * i + 1, .no = 3 * i + 2};
    for (uint32_t k = 0; k < 2; k++) {
      m.nodes[3 * i + 1 + k] = (tree_node){.mode = LEAF, .feature = 2 * i + k, .no = 1};
      m.weights[2 * i + k] = (tree_weight){.weight = k ? 1 : i % 7};
    }
  }
  forest f;
  tree_tests tests;
  error err = {0};
  arena memory;
  arena_init(&memory, NULL);
  assert_int_equal(tree_tests_make(&m, &memory, &m.memory, &tests, &err), SDX_OK);
  assert_int_equal(tree_pack(&m, &tests, TARGETS, SUM, &memory, &m.memory, &f, &err), SDX_OK);
  state = 3;
  check_rows(&m, &f, 1, 1, false), check_rows(&m, &f, 1, 100, true);
  arena_deinit(&memory);
  arena_deinit(&m.memory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_forests),
      cmocka_unit_test(large_trees),
      cmocka_unit_test(wide_forests),
      cmocka_unit_test(many_thresholds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
