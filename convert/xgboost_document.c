// SPDX-License-Identifier: Apache-2.0
// XGBoost models in JSON and UBJSON: the same members either way. Trees come before what they are for (members are in
// alphabetical order), so they are taken as they come and given their meaning at the end. Read next: xgboost.c.
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/size.h"
#include "convert/document.h"
#include "convert/xgboost.h"

enum { MOST_NODES = 1 << 28 };

// The arrays of one tree, used again for the next.
typedef struct tree_arrays {
  struct integers {
    int64_t *at;
    size_t count, capacity;
  } left, right, feature, category_nodes, segments, sizes, categories, split_type, default_left;
  struct reals {
    double *at;
    size_t count, capacity;
  } conditions, base_weights, leaf_weights;
  int64_t vector;  // values of a leaf
  tree_node *nodes;
  size_t node_capacity;
} tree_arrays;

typedef struct reader {
  xgboost *x;
  document d;
  tree_arrays t;
} reader;

static sdx_status fail(reader *r) {
  return convert_fail(r->x->c, SDX_INVALID_MODEL, "", "XGBoost's save_model writes complete files", "%s",
                      r->d.j.message);
}

// ---- arrays -----------------------------------------------------------------------------------------

static bool room(document *d, void **at, size_t count, size_t *capacity, size_t element_bytes) {
  if (count < *capacity) return true;
  size_t more = *capacity ? 2 * *capacity : 64;
  void *bigger = realloc(*at, more * element_bytes);
  if (!bigger) return document_fail(d, "memory is exhausted");
  *at = bigger;
  *capacity = more;
  return true;
}

static bool read_integers(document *d, struct integers *a, const char *what) {
  bool first = true, flag;
  a->count = 0;
  while (document_element(d, what, &first)) {
    if (!room(d, (void **)&a->at, a->count, &a->capacity, sizeof *a->at)) return false;
    int64_t *to = &a->at[a->count++];
    if (document_peek(d) == 't') {  // default_left is of true and false in some versions
      if (!document_bool(d, &flag, what)) return false;
      *to = flag;
    } else if (!document_i64(d, to, what)) {
      return false;
    }
  }
  return !document_failed(d);
}

static bool read_reals(document *d, struct reals *a, const char *what) {
  bool first = true;
  float value;
  a->count = 0;
  while (document_element(d, what, &first)) {
    if (!room(d, (void **)&a->at, a->count, &a->capacity, sizeof *a->at)) return false;
    if (!document_f32(d, &value, what)) return false;
    a->at[a->count++] = value;
  }
  return !document_failed(d);
}

// ---- trees ------------------------------------------------------------------------------------------

// The set of each split by category: what goes to the right.
static bool set_categories(reader *r, size_t count, double *sets) {
  tree_arrays *t = &r->t;
  if (t->segments.count != t->category_nodes.count || t->sizes.count != t->category_nodes.count)
    return document_fail(&r->d, "categories_nodes, categories_segments and categories_sizes differ in length");
  for (size_t i = 0; i < t->categories.count; i++) sets[i] = (double)t->categories.at[i];
  for (size_t i = 0; i < t->category_nodes.count; i++) {
    int64_t node = t->category_nodes.at[i], begin = t->segments.at[i], size = t->sizes.at[i];
    if (node < 0 || (uint64_t)node >= count || begin < 0 || size < 0 || (uint64_t)begin > t->categories.count ||
        (uint64_t)size > t->categories.count - (uint64_t)begin)
      return document_fail(&r->d, "categories of node %lld: %lld from %lld on are not there", (long long)node,
                           (long long)size, (long long)begin);
    t->nodes[node].list = sets + begin;
    t->nodes[node].list_count = (size_t)size;
  }
  return true;
}

static bool set_leaf(reader *r, size_t i, tree_node *n) {
  tree_arrays *t = &r->t;
  *n = (tree_node){.mode = TREE_LEAF, .value = t->conditions.at[i]};
  if (t->vector <= 1) return true;
  // Since 3.1 the leaves are numbered by what was the right child; before, every node has a vector.
  const struct reals *from = t->leaf_weights.count ? &t->leaf_weights : &t->base_weights;
  int64_t row = t->leaf_weights.count ? t->right.at[i] : (int64_t)i;
  size_t end;
  if (row < 0 || !size_mul((size_t)row + 1, (size_t)t->vector, &end) || end > from->count)
    return document_fail(&r->d, "node %zu: there are no weights for its leaf", i);
  n->list = from->at + end - (size_t)t->vector;
  n->list_count = (size_t)t->vector;
  return true;
}

static bool set_nodes(reader *r, size_t count, double *sets) {
  tree_arrays *t = &r->t;
  for (size_t i = 0; i < count; i++) {
    tree_node *n = &t->nodes[i];
    bool category = i < t->split_type.count && t->split_type.at[i] == 1;
    if (t->left.at[i] == -1) {
      if (!set_leaf(r, i, n)) return false;
      continue;
    }
    if (t->feature.at[i] < 0 || t->feature.at[i] > INT32_MAX || t->left.at[i] < 0 || t->left.at[i] > INT32_MAX ||
        t->right.at[i] < 0 || t->right.at[i] > INT32_MAX)
      return document_fail(&r->d, "node %zu: feature %lld, children %lld and %lld", i, (long long)t->feature.at[i],
                           (long long)t->left.at[i], (long long)t->right.at[i]);
    uint32_t left = (uint32_t)t->left.at[i], right = (uint32_t)t->right.at[i];
    *n = (tree_node){.mode = category ? TREE_MEMBER : TREE_LT,
                     .treatment = category ? TREAT_FLOOR : TREAT_NONE,
                     .missing_yes = category != (t->default_left.at[i] != 0),
                     .feature = (uint32_t)t->feature.at[i],
                     .yes = category ? right : left,
                     .no = category ? left : right,
                     .value = t->conditions.at[i]};
    r->x->has_categories |= category;
  }
  return set_categories(r, count, sets);
}

static bool add_tree(reader *r, size_t number) {
  tree_arrays *t = &r->t;
  size_t count = t->left.count;
  if (t->right.count != count || t->feature.count != count || t->conditions.count != count ||
      t->default_left.count != count)
    return document_fail(&r->d,
                         "tree %zu: left_children, right_children, split_indices, split_conditions and "
                         "default_left differ in length",
                         number);
  if (count > MOST_NODES) return document_fail(&r->d, "tree %zu has %zu nodes", number, count);
  if (t->vector < 0 || t->vector > INT32_MAX) return document_fail(&r->d, "tree %zu: size_leaf_vector", number);
  size_t width = t->vector > 1 ? (size_t)t->vector : 1;
  if (!r->x->trees && !(r->x->trees = forest_create(r->x->c, SDX_FLOAT, width))) return false;
  if (count > t->node_capacity) {
    tree_node *more = realloc(t->nodes, count * sizeof *more);
    if (!more) return document_fail(&r->d, "memory is exhausted");
    t->nodes = more;
    t->node_capacity = count;
  }
  double *sets = t->categories.count ? malloc(t->categories.count * sizeof *sets) : NULL;
  char place[40];
  snprintf(place, sizeof place, "tree %zu", number);
  bool good = t->categories.count && !sets ? document_fail(&r->d, "memory is exhausted") : set_nodes(r, count, sets);
  good = good && forest_add(r->x->trees, count, t->nodes, place);
  free(sets);
  return good;
}

static bool read_tree_param(reader *r) {
  bool first = true;
  str key, value;
  while (document_member(&r->d, "tree_param", &first, &key)) {
    if (!document_string(&r->d, &value, "a parameter")) return false;
    if (str_is(key, "size_leaf_vector") && !number_read_int(value, &r->t.vector))
      return document_fail(&r->d, "size_leaf_vector is no number");
  }
  return !document_failed(&r->d);
}

static bool read_tree(reader *r, size_t number) {
  tree_arrays *t = &r->t;
  const struct {
    const char *name;
    struct integers *integers;
    struct reals *reals;
  } members[] = {{"left_children", &t->left, NULL},
                 {"right_children", &t->right, NULL},
                 {"split_indices", &t->feature, NULL},
                 {"split_type", &t->split_type, NULL},
                 {"default_left", &t->default_left, NULL},
                 {"categories", &t->categories, NULL},
                 {"categories_nodes", &t->category_nodes, NULL},
                 {"categories_segments", &t->segments, NULL},
                 {"categories_sizes", &t->sizes, NULL},
                 {"split_conditions", NULL, &t->conditions},
                 {"base_weights", NULL, &t->base_weights},
                 {"leaf_weights", NULL, &t->leaf_weights}};
  enum { MEMBERS = sizeof members / sizeof *members };
  for (size_t i = 0; i < MEMBERS; i++)
    *(members[i].integers ? &members[i].integers->count : &members[i].reals->count) = 0;
  t->vector = 0;
  bool first = true, good = true;
  str key;
  while (good && document_member(&r->d, "a tree", &first, &key)) {
    size_t i = 0;
    while (i < MEMBERS && !str_is(key, members[i].name)) i++;
    if (i < MEMBERS)
      good = members[i].integers ? read_integers(&r->d, members[i].integers, members[i].name)
                                 : read_reals(&r->d, members[i].reals, members[i].name);
    else good = str_is(key, "tree_param") ? read_tree_param(r) : document_skip(&r->d);
  }
  if (!good || document_failed(&r->d) || !add_tree(r, number)) return false;
  source_forget(r->x->c->source, document_at(&r->d));
  convert_progress(r->x->c, document_at(&r->d), r->x->c->source->size);
  return true;
}

static bool read_trees(reader *r) {
  bool first = true;
  size_t number = 0;
  while (document_element(&r->d, "trees", &first))
    if (!read_tree(r, number++)) return false;
  return !document_failed(&r->d);
}

static bool read_group_of(reader *r) {
  struct integers a = {0};
  bool good = read_integers(&r->d, &a, "tree_info");
  uint32_t *groups = good ? arena_array(r->x->c->memory, a.count, sizeof *groups) : NULL;
  if (good && !groups) good = document_fail(&r->d, "memory is exhausted");
  for (size_t i = 0; good && i < a.count; i++) {
    if (a.at[i] < 0 || a.at[i] > INT32_MAX) good = document_fail(&r->d, "tree_info: %lld", (long long)a.at[i]);
    groups[i] = (uint32_t)a.at[i];
  }
  r->x->group_of = groups;
  r->x->group_count = a.count;
  free(a.at);
  return good;
}

// ---- boosters ---------------------------------------------------------------------------------------

static bool read_floats(reader *r, float **at, size_t *count, const char *what) {
  struct reals a = {0};
  bool good = read_reals(&r->d, &a, what);
  *at = good ? arena_array(r->x->c->memory, a.count, sizeof **at) : NULL;
  if (good && !*at) good = document_fail(&r->d, "memory is exhausted");
  for (size_t i = 0; good && i < a.count; i++) (*at)[i] = (float)a.at[i];
  *count = a.count;
  free(a.at);
  return good;
}

static bool read_model(reader *r) {
  bool first = true, good = true;
  str key;
  while (good && document_member(&r->d, "model", &first, &key)) {
    if (str_is(key, "trees")) good = read_trees(r);
    else if (str_is(key, "tree_info")) good = read_group_of(r);
    else if (str_is(key, "weights")) good = read_floats(r, &r->x->weights, &r->x->weight_count, "weights");
    else good = document_skip(&r->d);
  }
  return good && !document_failed(&r->d);
}

static bool copy_text(reader *r, char *to, size_t size, const char *what) {
  str text;
  if (!document_string(&r->d, &text, what)) return false;
  snprintf(to, size, "%.*s", (int)(text.size < size ? text.size : size), text.at);
  return true;
}

// DART holds a gbtree: one level more, at most.
static bool read_booster(reader *r, bool inner) {
  bool first = true, good = true;
  char inner_name[16];
  str key;
  while (good && document_member(&r->d, "gradient_booster", &first, &key)) {
    if (str_is(key, "name")) good = copy_text(r, inner ? inner_name : r->x->booster, sizeof inner_name, "the booster");
    else if (str_is(key, "model")) good = read_model(r);
    else if (str_is(key, "gbtree") && !inner) good = read_booster(r, true);
    else if (str_is(key, "weight_drop"))
      good = read_floats(r, &r->x->tree_weights, &r->x->tree_weight_count, "weight_drop");
    else good = document_skip(&r->d);
  }
  return good && !document_failed(&r->d);
}

// ---- the learner ------------------------------------------------------------------------------------

// "5E-1", since 3.1 "[5E-1,2E-1]".
static bool read_base_score(reader *r, str text) {
  xgboost *x = r->x;
  size_t most = 1, from = text.size && *text.at == '[';
  for (size_t i = 0; i < text.size; i++) most += text.at[i] == ',';
  x->base_count = 0;
  x->base_score = arena_array(x->c->memory, most, sizeof *x->base_score);
  if (!x->base_score) return document_fail(&r->d, "memory is exhausted");
  for (size_t i = from; i < text.size && text.at[i] != ']';) {
    size_t end = i;
    double value;
    while (end < text.size && text.at[end] != ',' && text.at[end] != ']') end++;
    if (!number_read_real((str){text.at + i, end - i}, true, &value))
      return document_fail(&r->d, "base_score is '%.*s', expected a number", STR_ARG(text));
    x->base_score[x->base_count++] = (float)value;
    i = end + (end < text.size && text.at[end] == ',');
  }
  return true;
}

static bool read_learner_param(reader *r) {
  const struct {
    const char *name;
    int64_t *value;
  } numbers[] = {
      {"num_class", &r->x->num_class}, {"num_feature", &r->x->num_feature}, {"num_target", &r->x->num_target}};
  bool first = true;
  str key, value;
  while (document_member(&r->d, "learner_model_param", &first, &key)) {
    if (!document_string(&r->d, &value, "a parameter")) return false;
    if (str_is(key, "base_score") && !read_base_score(r, value)) return false;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
      if (str_is(key, numbers[i].name) && !number_read_int(value, numbers[i].value))
        return document_fail(&r->d, "%s is '%.*s', expected a number", numbers[i].name, STR_ARG(value));
  }
  return !document_failed(&r->d);
}

static bool read_objective(reader *r) {
  bool first = true, good = true;
  str key;
  while (good && document_member(&r->d, "objective", &first, &key))
    good = str_is(key, "name") ? copy_text(r, r->x->objective, sizeof r->x->objective, "the objective")
                               : document_skip(&r->d);
  return good && !document_failed(&r->d);
}

static bool read_attributes(reader *r) {
  bool first = true, good = true;
  str key;
  while (good && document_member(&r->d, "attributes", &first, &key))
    good = str_is(key, "best_iteration")
               ? copy_text(r, r->x->best_iteration, sizeof r->x->best_iteration, "best_iteration")
               : document_skip(&r->d);
  return good && !document_failed(&r->d);
}

static bool read_feature_names(reader *r) {
  xgboost *x = r->x;
  bool first = true;
  size_t capacity = 0;
  str text;
  while (document_element(&r->d, "feature_names", &first)) {
    if (!document_string(&r->d, &text, "the name of a feature")) return false;
    if (x->name_count == capacity) {
      str *more = arena_array(x->c->memory, capacity = capacity ? 2 * capacity : 64, sizeof *more);
      if (!more) return document_fail(&r->d, "memory is exhausted");
      if (x->name_count) memcpy(more, x->feature_names, x->name_count * sizeof *more);
      x->feature_names = more;
    }
    const char *copy = str_to_c(x->c->memory, text);
    if (!copy) return document_fail(&r->d, "memory is exhausted");
    x->feature_names[x->name_count++] = (str){copy, text.size};
  }
  return !document_failed(&r->d);
}

static bool read_learner(reader *r) {
  bool first = true, good = true;
  str key;
  while (good && document_member(&r->d, "learner", &first, &key)) {
    if (str_is(key, "gradient_booster")) good = read_booster(r, false);
    else if (str_is(key, "learner_model_param")) good = read_learner_param(r);
    else if (str_is(key, "objective")) good = read_objective(r);
    else if (str_is(key, "attributes")) good = read_attributes(r);
    else if (str_is(key, "feature_names")) good = read_feature_names(r);
    else good = document_skip(&r->d);
  }
  return good && !document_failed(&r->d);
}

static bool read_version(reader *r) {
  bool first = true;
  size_t i = 0;
  int64_t number;
  while (document_element(&r->d, "version", &first)) {
    if (!document_i64(&r->d, &number, "version")) return false;
    if (i < 3) r->x->version[i++] = number;
  }
  return !document_failed(&r->d);
}

sdx_status xgboost_read_document(xgboost *x, bool binary) {
  reader r = {.x = x};
  bool first = true, good = true;
  str key;
  document_init(&r.d, x->c->source, binary);
  while (good && document_member(&r.d, "the model", &first, &key)) {
    if (str_is(key, "learner")) good = read_learner(&r);
    else if (str_is(key, "version")) good = read_version(&r);
    else good = document_skip(&r.d);
  }
  good = good && document_end(&r.d);
  tree_arrays *t = &r.t;
  struct integers *integers[] = {&t->left,  &t->right,      &t->feature,    &t->category_nodes, &t->segments,
                                 &t->sizes, &t->categories, &t->split_type, &t->default_left};
  for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) free(integers[i]->at);
  free(t->conditions.at);
  free(t->base_weights.at);
  free(t->leaf_weights.at);
  free(t->nodes);
  return good ? SDX_OK : convert_failed(x->c) ? x->c->f->status : fail(&r);
}
