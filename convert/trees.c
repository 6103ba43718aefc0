// SPDX-License-Identifier: Apache-2.0
// Trees to the lists of TreeEnsemble 5 (trees.h). Inner nodes and leaves are numbered apart, through all trees. A tree
// that is one leaf gets a node whose ways both lead to it. Read next: trees_emit.c.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "convert/trees_lists.h"

// ---- growing lists ----------------------------------------------------------------------------------

// realloc moves large blocks by their pages.
bool list_grow(list *l, size_t count, size_t element_bytes) {
  size_t want, bytes;
  if (!size_add(l->count, count, &want)) return false;
  if (want <= l->capacity) return true;
  size_t capacity = l->capacity + l->capacity / 2 + 64;
  if (capacity < want) capacity = want;
  void *more = size_mul(capacity, element_bytes, &bytes) ? realloc(l->at, bytes) : NULL;
  if (!more) return false;
  l->at = more;
  l->capacity = capacity;
  return true;
}

static bool add_int(list *l, int64_t n) {
  if (!list_grow(l, 1, sizeof n)) return false;
  ((int64_t *)l->at)[l->count++] = n;
  return true;
}

static bool add_real(const forest *f, list *l, double n) {
  if (!list_grow(l, 1, f->element_bytes)) return false;
  forest_set(f, l, l->count++, n);
  return true;
}

static bool add_byte(list *l, uint8_t n) {
  if (!list_grow(l, 1, 1)) return false;
  ((uint8_t *)l->at)[l->count++] = n;
  return true;
}

static int64_t *ints(list *l) { return l->at; }

// ---- life -------------------------------------------------------------------------------------------

static void destroy(void *context) {
  forest *f = context;
  const list *lists[] = {&f->feature, &f->yes,       &f->yes_leaf, &f->no,   &f->no_leaf, &f->missing,
                         &f->mode,    &f->split,     &f->members,  &f->root, &f->first,   &f->target,
                         &f->value,   &f->treatment, &f->waiting,  &f->seen};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) free(lists[i]->at);
  free(f);
}

forest *forest_create(conversion *c, sdx_dtype dtype, size_t width) {
  forest *f = calloc(1, sizeof *f);
  if (!f || !convert_at_end(c, destroy, f)) {
    free(f);
    convert_no_memory(c);
    return NULL;
  }
  f->conversion = c;
  f->dtype = dtype;
  f->element_bytes = dtype == SDX_DOUBLE ? sizeof(double) : sizeof(float);
  f->width = width;
  return f;
}

size_t forest_trees(const forest *f) { return f->root.count; }
size_t forest_features(const forest *f) { return f->features; }

void forest_scale(forest *f, size_t tree, double factor) {
  size_t end = tree + 1 < f->first.count ? (size_t)ints(&f->first)[tree + 1] : f->target.count;
  for (size_t i = (size_t)ints(&f->first)[tree] * f->width; i < end * f->width; i++) {
    double value = forest_get(f, &f->value, i);
    forest_set(f, &f->value, i, f->dtype == SDX_FLOAT ? (float)value * (float)factor : value * factor);
  }
}

// ---- adding -----------------------------------------------------------------------------------------

typedef struct adding {
  forest *f;
  size_t count;
  const tree_node *nodes;
  const char *place;
  size_t base, waiting;  // number of the root; nodes that were reached
} adding;

static bool fail(const adding *a, size_t node, const char *what) {
  char place[200];
  snprintf(place, sizeof place, "%s, node %zu", a->place, node);
  convert_fail(a->f->conversion, SDX_INVALID_MODEL, place, NULL, "%s", what);
  return false;
}

static bool no_memory(const adding *a) {
  convert_no_memory(a->f->conversion);
  return false;
}

static bool add_leaf(const adding *a, size_t node, int64_t *number) {
  forest *f = a->f;
  const tree_node *n = &a->nodes[node];
  *number = (int64_t)f->target.count;
  if (f->width > 1 && n->list_count != f->width) return fail(a, node, "the leaf has another number of values");
  bool good = add_int(&f->target, (int64_t)f->root.count);
  for (size_t i = 0; good && i < f->width; i++) good = add_real(f, &f->value, f->width > 1 ? n->list[i] : n->value);
  return good || no_memory(a);
}

static bool add_members(const adding *a, size_t node, const tree_node *n) {
  a->f->has_members = true;
  for (size_t i = 0; i < n->list_count; i++) {
    if (isnan(n->list[i])) return fail(a, node, "NaN is in the set of a split");
    if (!add_real(a->f, &a->f->members, n->list[i])) return no_memory(a);
  }
  return add_real(a->f, &a->f->members, NAN) || no_memory(a);
}

// An inner node whose ways are not known yet.
static bool add_inner(const adding *a, size_t node, const tree_node *n) {
  forest *f = a->f;
  if (n->mode > TREE_MEMBER) return fail(a, node, "the comparison is not known");
  if (n->mode != TREE_MEMBER && isnan(n->value)) return fail(a, node, "it compares with NaN");
  if (n->feature >= FOREST_MOST_FEATURES) return fail(a, node, "the number of the feature is larger than 16777215");
  if (n->feature >= f->features) f->features = (size_t)n->feature + 1;
  if (n->mode == TREE_MEMBER && !add_members(a, node, n)) return false;
  bool good = add_int(&f->feature, n->feature) && add_byte(&f->treatment, n->treatment) &&
              add_byte(&f->mode, n->mode) && add_real(f, &f->split, n->mode == TREE_MEMBER ? 0 : n->value) &&
              add_int(&f->yes, 0) && add_int(&f->yes_leaf, 0) && add_int(&f->no, 0) && add_int(&f->no_leaf, 0) &&
              add_int(&f->missing, n->missing_yes);
  return good || no_memory(a);
}

// One way of an inner node: to a leaf, which is made now, or to a node that waits for its turn and has its number.
static bool lead(adding *a, size_t from, uint32_t to, int64_t *way, int64_t *is_leaf) {
  uint8_t *seen = a->f->seen.at;
  if (to >= a->count) return fail(a, from, "it leads to a node that does not exist");
  if (seen[to]) return fail(a, to, "two ways lead to it");
  seen[to] = 1;
  *is_leaf = a->nodes[to].mode == TREE_LEAF;
  if (*is_leaf) return add_leaf(a, to, way);
  *way = (int64_t)(a->base + a->waiting);
  ((uint32_t *)a->f->waiting.at)[a->waiting++] = to;
  return true;
}

// Level by level.
static bool add_levels(adding *a) {
  forest *f = a->f;
  ((uint8_t *)f->seen.at)[0] = 1;
  ((uint32_t *)f->waiting.at)[a->waiting++] = 0;
  for (size_t turn = 0; turn < a->waiting; turn++) {
    uint32_t node = ((uint32_t *)f->waiting.at)[turn];
    size_t i = f->feature.count;
    if (!add_inner(a, node, &a->nodes[node]) ||
        !lead(a, node, a->nodes[node].yes, &ints(&f->yes)[i], &ints(&f->yes_leaf)[i]) ||
        !lead(a, node, a->nodes[node].no, &ints(&f->no)[i], &ints(&f->no_leaf)[i]))
      return false;
  }
  return true;
}

static bool add_stump(adding *a) {
  forest *f = a->f;
  tree_node always = {.mode = TREE_LEQ};
  if (f->feature.count) {  // a feature that is at hand as it is
    always.feature = (uint32_t)ints(&f->feature)[0];
    always.treatment = *(const uint8_t *)f->treatment.at;
  }
  size_t i = f->feature.count;
  if (!add_inner(a, 0, &always) || !add_leaf(a, 0, &ints(&f->yes)[i]) || !add_leaf(a, 0, &ints(&f->no)[i]))
    return false;
  ints(&f->yes_leaf)[i] = ints(&f->no_leaf)[i] = 1;
  return true;
}

bool forest_add(forest *f, size_t count, const tree_node *nodes, const char *place) {
  adding a = {.f = f, .count = count, .nodes = nodes, .place = place, .base = f->feature.count};
  if (count == 0) return fail(&a, 0, "the tree has no nodes");
  if (count > INT32_MAX) return fail(&a, 0, "the tree has too many nodes");
  f->waiting.count = f->seen.count = 0;
  if (!list_grow(&f->waiting, count, sizeof(uint32_t)) || !list_grow(&f->seen, count, 1)) return no_memory(&a);
  memset(f->seen.at, 0, count);
  int64_t first = (int64_t)f->target.count;
  bool stump = nodes[0].mode == TREE_LEAF;
  if (!(stump ? add_stump(&a) : add_levels(&a))) return false;
  return (add_int(&f->root, (int64_t)a.base) && add_int(&f->first, first)) || no_memory(&a);
}
