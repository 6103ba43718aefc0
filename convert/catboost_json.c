// SPDX-License-Identifier: Apache-2.0
// CatBoost's JSON: features before trees, as its members are in alphabetical order. Trees that are not oblivious are
// nodes within nodes; a stack of what is open keeps the place. Read next: catboost.c.
#include <stdio.h>
#include <stdlib.h>

#include "convert/catboost.h"

enum { MOST_DEPTH = 1 << 20, MOST_LEVELS = 16 };

typedef struct open_node {
  uint32_t number, yes, no;
  bool opened, leaf, has_split;
  catboost_split split;
  size_t value;
} open_node;

typedef struct reader {
  catboost *b;
  document d;
  size_t tree;
  catboost_list hashes;  // catboost_category: what is told of texts
  catboost_list open, nodes, values;
} reader;

static bool no_memory(reader *r) { return document_fail(&r->d, "memory is exhausted"); }
static bool add(reader *r, catboost_list *l, const void *element, size_t bytes) {
  return catboost_add(l, element, bytes) || no_memory(r);
}

// ---- features ---------------------------------------------------------------------------------------

typedef struct feature {
  int64_t number;
  str name;
  catboost_nan nan;
} feature;

static bool read_nan(reader *r, catboost_nan *nan) {
  static const char *const names[] = {"AsIs", "AsFalse", "AsTrue"};
  str text;
  if (!document_string(&r->d, &text, "nan_value_treatment")) return false;
  for (int i = 0; i < 3; i++)
    if (str_is(text, names[i])) {
      *nan = (catboost_nan)i;
      return true;
    }
  return document_fail(&r->d, "nan_value_treatment '%.*s' is not known", STR_ARG(text));
}

static bool read_feature(reader *r, feature *f) {
  bool first = true, good = true;
  str key, name;
  *f = (feature){.number = -1};
  while (good && document_member(&r->d, "a feature", &first, &key)) {
    if (str_is(key, "feature_index")) good = document_i64(&r->d, &f->number, "feature_index");
    else if (str_is(key, "nan_value_treatment")) good = read_nan(r, &f->nan);
    else if (str_is(key, "feature_id"))
      good = document_string(&r->d, &name, "feature_id") && (catboost_copy(r->b, name, &f->name) || no_memory(r));
    else good = document_skip(&r->d);
  }
  return good && !document_failed(&r->d);
}

// A list of features, each with its number.
static bool read_features(reader *r, const char *what, catboost_list *features, size_t *count) {
  bool first = true;
  feature f;
  while (document_element(&r->d, what, &first)) {
    if (!read_feature(r, &f)) return false;
    if (f.number < 0 || f.number >= FOREST_MOST_FEATURES)
      return document_fail(&r->d, "%s: the number %lld", what, (long long)f.number);
    if ((size_t)f.number >= *count) *count = (size_t)f.number + 1;
    if (!add(r, features, &f, sizeof f)) return false;
  }
  return !document_failed(&r->d);
}

static bool read_hashes(reader *r) {
  bool first = true;
  str key, text;
  while (document_element(&r->d, "cat_features_hash", &first)) {
    catboost_category c = {0};
    int64_t hash = 0;
    bool inner = true, good = true;
    while (good && document_member(&r->d, "a category", &inner, &key)) {
      if (str_is(key, "hash")) good = document_i64(&r->d, &hash, "hash");
      else if (str_is(key, "value"))
        good = document_string(&r->d, &text, "value") && (catboost_copy(r->b, text, &c.text) || no_memory(r));
      else good = document_skip(&r->d);
    }
    c.hash = (uint32_t)hash;
    if (!good || document_failed(&r->d) || !add(r, &r->hashes, &c, sizeof c)) return false;
  }
  return !document_failed(&r->d);
}

static bool take_features(reader *r, const catboost_list *numeric, size_t numeric_count, const catboost_list *categoric,
                          size_t categoric_count) {
  catboost *b = r->b;
  const feature *f = numeric->at;
  if (!catboost_set_features(b, numeric_count, categoric_count)) return false;
  for (size_t i = 0; i < numeric->count; i++) {
    b->numeric[f[i].number] = f[i].name;
    b->nan[f[i].number] = (uint8_t)f[i].nan;
  }
  f = categoric->at;
  for (size_t i = 0; i < categoric->count; i++) b->categoric[f[i].number] = f[i].name;
  return true;
}

static bool read_features_info(reader *r) {
  bool first = true, good = true;
  catboost_list numeric = {0}, categoric = {0};
  size_t numeric_count = 0, categoric_count = 0;
  str key;
  while (good && document_member(&r->d, "features_info", &first, &key)) {
    if (str_is(key, "float_features")) good = read_features(r, "float_features", &numeric, &numeric_count);
    else if (str_is(key, "categorical_features"))
      good = read_features(r, "categorical_features", &categoric, &categoric_count);
    else if (str_is(key, "cat_features_hash")) good = read_hashes(r);
    else good = document_skip(&r->d);
  }
  good = good && !document_failed(&r->d) && take_features(r, &numeric, numeric_count, &categoric, categoric_count);
  free(numeric.at);
  free(categoric.at);
  return good;
}

// ---- splits -----------------------------------------------------------------------------------------

typedef struct split_members {
  str type;
  int64_t numeric, categoric, value;
  float border;
} split_members;

static bool set_split(reader *r, const split_members *m, catboost_split *s) {
  catboost *b = r->b;
  char place[40];
  if (str_is(m->type, "FloatFeature")) {
    if (m->numeric < 0 || (uint64_t)m->numeric >= b->numeric_count)
      return document_fail(&r->d, "tree %zu: a split reads feature %lld of %zu", r->tree, (long long)m->numeric,
                           b->numeric_count);
    *s = (catboost_split){(uint32_t)m->numeric, m->border};
    return true;
  }
  if (str_is(m->type, "OneHotFeature")) {
    if (m->categoric < 0 || (uint64_t)m->categoric >= b->categoric_count)
      return document_fail(&r->d, "tree %zu: a split reads categorical feature %lld of %zu", r->tree,
                           (long long)m->categoric, b->categoric_count);
    *s = (catboost_split){catboost_column_of(b, (uint32_t)m->categoric, (uint32_t)m->value), 0.5f};
    return s->column != UINT32_MAX || no_memory(r);
  }
  snprintf(place, sizeof place, "tree %zu", r->tree);
  catboost_refuse(b, place, m->type);
  return false;
}

static bool read_split(reader *r, catboost_split *s) {
  split_members m = {.type = STR("OnlineCtr"), .numeric = -1, .categoric = -1};
  bool first = true, good = true;
  str key;
  while (good && document_member(&r->d, "a split", &first, &key)) {
    if (str_is(key, "split_type")) good = document_string(&r->d, &m.type, "split_type");
    else if (str_is(key, "float_feature_index")) good = document_i64(&r->d, &m.numeric, "float_feature_index");
    else if (str_is(key, "cat_feature_index")) good = document_i64(&r->d, &m.categoric, "cat_feature_index");
    else if (str_is(key, "value")) good = document_i64(&r->d, &m.value, "value");
    else if (str_is(key, "border")) good = document_f32(&r->d, &m.border, "border");
    else good = document_skip(&r->d);
  }
  return good && !document_failed(&r->d) && set_split(r, &m, s);
}

// ---- oblivious trees ----------------------------------------------------------------------------------

static bool read_splits(reader *r, uint32_t *depth) {
  bool first = true;
  catboost_split s;
  if (document_peek(&r->d) == 'n') return document_skip(&r->d);  // a tree that asks nothing
  while (document_element(&r->d, "splits", &first)) {
    if (++*depth > MOST_LEVELS) return document_fail(&r->d, "tree %zu has more than %d splits", r->tree, MOST_LEVELS);
    if (!read_split(r, &s) || !add(r, &r->b->splits, &s, sizeof s)) return false;
  }
  return !document_failed(&r->d);
}

static bool read_values(reader *r, catboost_list *to) {
  bool first = true;
  double value;
  while (document_element(&r->d, "leaf_values", &first))
    if (!document_f64(&r->d, &value, "a leaf") || !add(r, to, &value, sizeof value)) return false;
  return !document_failed(&r->d);
}

static bool set_width(reader *r, size_t width) {
  if (!r->b->width) r->b->width = width;
  if (width && width == r->b->width) return true;
  return document_fail(&r->d, "tree %zu: a leaf has %zu values, expected %zu", r->tree, width, r->b->width);
}

static bool read_oblivious_tree(reader *r) {
  bool first = true, good = true;
  uint32_t depth = 0;
  size_t before = r->b->values.count;
  str key;
  while (good && document_member(&r->d, "a tree", &first, &key)) {
    if (str_is(key, "splits")) good = read_splits(r, &depth);
    else if (str_is(key, "leaf_values")) good = read_values(r, &r->b->values);
    else good = document_skip(&r->d);
  }
  if (!good || document_failed(&r->d)) return false;
  size_t values = r->b->values.count - before;
  if (values & (((size_t)1 << depth) - 1))
    return document_fail(&r->d, "tree %zu: %zu leaves for %u splits", r->tree, values, depth);
  return set_width(r, values >> depth) && add(r, &r->b->depths, &depth, sizeof depth);
}

// ---- other trees --------------------------------------------------------------------------------------

static bool open_child(reader *r, uint32_t *number) {
  tree_node none = {0};
  *number = (uint32_t)r->nodes.count;
  open_node n = {.number = *number, .yes = UINT32_MAX, .no = UINT32_MAX};
  return add(r, &r->nodes, &none, sizeof none) && add(r, &r->open, &n, sizeof n);
}

static bool read_leaf(reader *r, open_node *n) {
  double value;
  n->leaf = true;
  n->value = r->values.count;
  if (document_peek(&r->d) == '[') {
    if (!read_values(r, &r->values)) return false;
  } else if (!document_f64(&r->d, &value, "a leaf") || !add(r, &r->values, &value, sizeof value)) {
    return false;
  }
  return set_width(r, r->values.count - n->value);
}

static bool close_node(reader *r) {
  const open_node *n = (open_node *)r->open.at + --r->open.count;
  tree_node *to = (tree_node *)r->nodes.at + n->number;
  if (n->leaf && !n->has_split) {
    *to = (tree_node){.mode = TREE_LEAF, .value = (double)n->value};
    return true;
  }
  if (!n->has_split || n->yes == UINT32_MAX || n->no == UINT32_MAX)
    return document_fail(&r->d, "tree %zu, node %u has neither a value nor a split and two ways", r->tree, n->number);
  *to = (tree_node){
      .mode = TREE_GT, .feature = n->split.column, .value = (double)n->split.border, .yes = n->yes, .no = n->no};
  return true;
}

static bool read_member(reader *r, str key) {
  open_node *n = (open_node *)r->open.at + r->open.count - 1;
  size_t parent = r->open.count - 1;
  uint32_t child;
  bool yes = str_is(key, "right");
  if (yes || str_is(key, "left")) {
    if (!open_child(r, &child)) return false;
    n = (open_node *)r->open.at + parent;
    *(yes ? &n->yes : &n->no) = child;
    return true;
  }
  if (str_is(key, "value")) return read_leaf(r, n);
  if (!str_is(key, "split")) return document_skip(&r->d);
  n->has_split = true;
  return read_split(r, &n->split);
}

static bool read_tree(reader *r) {
  uint32_t root;
  str key;
  char place[40];
  r->open.count = r->nodes.count = r->values.count = 0;
  if (!open_child(r, &root)) return false;
  while (r->open.count) {
    open_node *n = (open_node *)r->open.at + r->open.count - 1;
    bool first = !n->opened;
    n->opened = true;
    if (document_member(&r->d, "a node", &first, &key) ? !read_member(r, key)
                                                       : document_failed(&r->d) || !close_node(r))
      return false;
  }
  if (!r->b->trees && !(r->b->trees = forest_create(r->b->c, SDX_DOUBLE, r->b->width))) return false;
  tree_node *nodes = r->nodes.at;
  for (size_t i = 0; i < r->nodes.count; i++) {
    if (nodes[i].mode != TREE_LEAF) continue;
    nodes[i].list = (const double *)r->values.at + (size_t)nodes[i].value;
    nodes[i].list_count = r->b->width;
    nodes[i].value = *nodes[i].list;
  }
  snprintf(place, sizeof place, "tree %zu", r->tree);
  return forest_add(r->b->trees, r->nodes.count, nodes, place);
}

static bool read_trees(reader *r, bool (*read)(reader *r)) {
  bool first = true;
  for (; document_element(&r->d, "trees", &first); r->tree++) {
    if (!read(r)) return false;
    source_forget(r->b->c->source, document_at(&r->d));
    convert_progress(r->b->c, document_at(&r->d), r->b->c->source->size);
  }
  return !document_failed(&r->d);
}

// ---- the model --------------------------------------------------------------------------------------

// [scale, bias], the bias a number or a list.
static bool read_scale_and_bias(reader *r) {
  catboost *b = r->b;
  bool first = true;
  catboost_list bias = {0};
  double value;
  bool good = document_element(&r->d, "scale_and_bias", &first) && document_f64(&r->d, &b->scale, "scale") &&
              document_element(&r->d, "scale_and_bias", &first);
  if (good && document_peek(&r->d) == '[') good = read_values(r, &bias);
  else good = good && document_f64(&r->d, &value, "bias") && add(r, &bias, &value, sizeof value);
  good = good && !document_element(&r->d, "scale_and_bias", &first) && !document_failed(&r->d);
  b->bias = good ? arena_copy(b->c->memory, bias.at, bias.count * sizeof *b->bias) : NULL;
  b->bias_count = bias.count;
  free(bias.at);
  return good && (b->bias || no_memory(r));
}

static bool read_info(reader *r) {
  bool first = true;
  str key;
  while (document_member(&r->d, "model_info", &first, &key))
    if (!catboost_read_info(r->b, &r->d, key)) return false;
  return !document_failed(&r->d);
}

static void name_categories(reader *r) {
  catboost_category *c = r->b->categories.at, *h = r->hashes.at;
  str_map known;
  uint32_t at;
  str_map_init(&known, r->b->c->memory);
  for (size_t i = 0; i < r->hashes.count; i++)
    if (!str_map_put(&known, (str){(const char *)&h[i].hash, sizeof h[i].hash}, (uint32_t)i)) return;
  for (size_t i = 0; i < r->b->categories.count; i++)
    if (str_map_find(&known, (str){(const char *)&c[i].hash, sizeof c[i].hash}, &at)) c[i].text = h[at].text;
}

static bool read_model(reader *r) {
  bool first = true, good = true;
  str key;
  while (good && document_member(&r->d, "the model", &first, &key)) {
    if (str_is(key, "features_info")) good = read_features_info(r);
    else if (str_is(key, "model_info")) good = read_info(r);
    else if (str_is(key, "oblivious_trees")) good = read_trees(r, read_oblivious_tree);
    else if (str_is(key, "trees")) good = read_trees(r, read_tree);
    else if (str_is(key, "scale_and_bias")) good = read_scale_and_bias(r);
    else good = document_skip(&r->d);
  }
  return good && document_end(&r->d);
}

bool catboost_read_json(catboost *b) {
  reader r = {.b = b};
  document_init(&r.d, b->c->source, false);
  r.d.j.max_depth = MOST_DEPTH;
  bool good = read_model(&r);
  if (good) name_categories(&r);
  if (!good && !convert_failed(b->c))
    convert_fail(b->c, SDX_INVALID_MODEL, "", "CatBoost's save_model(..., format=\"json\") writes complete files", "%s",
                 r.d.j.message);
  free(r.hashes.at);
  free(r.open.at);
  free(r.nodes.at);
  free(r.values.at);
  return good;
}
