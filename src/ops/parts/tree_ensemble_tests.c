// SPDX-License-Identifier: Apache-2.0
// Brings all comparisons to x <= threshold (tree_ensemble.h), exactly:
//
//   x < v         the largest number below v as threshold
//   x > v, >= v   the opposite test with its ways exchanged, and with them the way of NaN
//   x in {v...}   a search among the v: x <= v, then x <= the number below v; x == v is a set of one
//   never true    a comparison with NaN, or x < -infinity: a test that no number passes
//
// Then the thresholds of each feature are sorted, and tests name the place of theirs.
#include <math.h>
#include <stdlib.h>

#include "ops/parts/tree_ensemble.h"

static double below(double v) { return nextafter(v, -INFINITY); }

// x <= threshold, or x < threshold if `strict`.
static tree_test test_of(double threshold, bool strict, uint32_t feature, uint32_t yes, uint32_t no, bool nan_passes) {
  bool never = isnan(threshold) || (strict && threshold == -INFINITY);
  return (tree_test){.threshold = never    ? -INFINITY
                                  : strict ? below(threshold)
                                           : threshold,
                     .feature = feature,
                     .yes = yes,
                     .no = no,
                     .never = never,
                     .nan_passes = nan_passes};
}

// ---- sets ----------------------------------------------------------------------------------------

typedef struct set_search {
  tree_tests *to;
  const double *values;  // sorted, different
  uint32_t feature, in, out;
} set_search;

// Test `at` and those it needs: is x one of values[low, high)? Only the outermost may be reached by a NaN that is to
// count as a member; it goes to the second test, and there to `in`. The depth is log2 of the number of values.
static void search(const set_search *s, uint32_t at, size_t low, size_t high, bool nan_is_in) {
  size_t middle = low + (high - low) / 2;
  uint32_t equal = (uint32_t)s->to->count++, left = s->out, right = s->out;
  if (low < middle) left = (uint32_t)s->to->count++;
  if (middle + 1 < high) right = (uint32_t)s->to->count++;
  s->to->tests[at] = test_of(s->values[middle], false, s->feature, equal, right, nan_is_in);
  s->to->tests[equal] = test_of(s->values[middle], true, s->feature, left, s->in, false);
  if (low < middle) search(s, left, low, middle, false);
  if (middle + 1 < high) search(s, right, middle + 1, high, false);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void set_tests(tree_tests *to, uint32_t at, double *values, size_t count, const tree_node *n, bool is_in) {
  set_search s = {to, values, n->feature, is_in ? n->yes : n->no, is_in ? n->no : n->yes};
  size_t different = 0;
  bool nan_is_in = n->missing_is_yes == is_in;
  qsort(values, count, sizeof *values, by_value);
  for (size_t i = 0; i < count; i++)
    if (!different || values[different - 1] != values[i]) values[different++] = values[i];
  if (different) search(&s, at, 0, different, nan_is_in);
  else to->tests[at] = test_of(NAN, false, n->feature, s.in, s.out, nan_is_in);
}

// ---- nodes ---------------------------------------------------------------------------------------

static void make_test(const tree_model *m, tree_tests *to, uint32_t i) {
  const tree_node *n = &m->nodes[i];
  tree_test *t = &to->tests[i];
  double *set = m->members, one = n->value;
  size_t count = 0;
  bool yes = n->missing_is_yes, never = isnan(n->value);
  switch (n->mode) {
    case LEAF:
      *t = (tree_test){.feature = n->feature, .no = n->no, .leaf = true};
      break;
    case LEQ:
    case LT:
      *t = test_of(n->value, n->mode == LT, n->feature, n->yes, n->no, yes);
      break;
    case GT:
    case GTE:
      *t = never ? test_of(NAN, false, n->feature, n->yes, n->no, yes)
                 : test_of(n->value, n->mode == GTE, n->feature, n->no, n->yes, !yes);
      break;
    case MEMBER:
      set += (size_t)n->value;
      while (!isnan(set[count])) count++;
      set_tests(to, i, set, count, n, true);
      break;
    default:
      set_tests(to, i, &one, !never, n, n->mode == EQ);
      break;
  }
}

// ---- ranks ---------------------------------------------------------------------------------------

typedef struct place {
  double threshold;
  uint32_t feature, test;
} place;

static int by_place(const void *a, const void *b) {
  const place *x = a, *y = b;
  if (x->feature != y->feature) return x->feature < y->feature ? -1 : 1;
  return (x->threshold > y->threshold) - (x->threshold < y->threshold);
}

// Sets level and feature of the tests places[0, count), which are of one feature, and lists their thresholds.
static size_t number_levels(tree_tests *to, const place *places, size_t count, uint32_t feature, double *thresholds) {
  size_t different = 0;
  for (size_t i = 0; i < count; i++) {
    tree_test *t = &to->tests[places[i].test];
    if (!different || thresholds[different - 1] != places[i].threshold) thresholds[different++] = places[i].threshold;
    t->feature = feature;
    t->level = (uint16_t)(t->never ? 0 : different);
  }
  return different;
}

// The tests of places[0, left) that make the next feature: of one column, with at most RANK_MOST thresholds.
static size_t next_feature(const place *places, size_t left) {
  size_t n = 0, different = 0;
  for (; n < left && places[n].feature == places[0].feature; n++) {
    different += n == 0 || places[n].threshold != places[n - 1].threshold;
    if (different > RANK_MOST) break;
  }
  return n;
}

static bool build_ranks(arena *memory, rank_tree *t, bool is_double, const double *thresholds, size_t count) {
  void *numbers = arena_array(memory, rank_tree_numbers(count), is_double ? sizeof(double) : sizeof(float));
  if (numbers) rank_tree_build(t, numbers, is_double, thresholds, count);
  return numbers != NULL;
}

static sdx_status rank_thresholds(tree_tests *to, arena *memory, arena *temporary, error *err) {
  size_t inner = 0, n = 0;
  for (size_t i = 0; i < to->count; i++) inner += !to->tests[i].leaf;
  place *places = arena_array(temporary, inner + 1, sizeof *places);
  double *thresholds = arena_array(temporary, RANK_MOST, sizeof *thresholds);
  if (!places || !thresholds) return error_no_memory(err, inner * sizeof *places);
  for (size_t i = 0; i < to->count; i++)
    if (!to->tests[i].leaf) places[n++] = (place){to->tests[i].threshold, to->tests[i].feature, (uint32_t)i};
  qsort(places, inner, sizeof *places, by_place);
  for (size_t i = 0; i < inner; i += next_feature(places + i, inner - i)) to->feature_count++;
  to->features = arena_array(memory, to->feature_count + 1, sizeof *to->features);
  to->ranks_32 = arena_array(memory, to->feature_count + 1, sizeof *to->ranks_32);
  to->ranks_64 = arena_array(memory, to->feature_count + 1, sizeof *to->ranks_64);
  if (!to->features || !to->ranks_32 || !to->ranks_64) return error_no_memory(err, 0);
  uint32_t feature = 0;
  for (size_t i = 0, of_it; i < inner; i += of_it, feature++) {
    of_it = next_feature(places + i, inner - i);
    to->features[feature] = places[i].feature;
    size_t count = number_levels(to, places + i, of_it, feature, thresholds);
    if (!build_ranks(memory, &to->ranks_32[feature], false, thresholds, count) ||
        !build_ranks(memory, &to->ranks_64[feature], true, thresholds, count))
      return error_no_memory(err, count * sizeof(double));
  }
  return SDX_OK;
}

sdx_status tree_tests_make(const tree_model *m, arena *memory, arena *temporary, tree_tests *out, error *err) {
  // A value of a set takes two tests; one of them may be the node itself.
  size_t most = 2 * (m->node_count + m->member_count);
  *out = (tree_tests){.tests = arena_array(temporary, most, sizeof *out->tests), .count = m->node_count};
  if (!out->tests) return error_no_memory(err, most * sizeof *out->tests);
  for (size_t i = 0; i < m->node_count; i++) make_test(m, out, (uint32_t)i);
  return rank_thresholds(out, memory, temporary, err);
}
