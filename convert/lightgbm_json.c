// SPDX-License-Identifier: Apache-2.0
// LightGBM's dump_model: nodes within nodes, as deep as the trees are, so a stack of what is open keeps the place. Read
// next: lightgbm.c.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "convert/document.h"
#include "convert/lightgbm.h"

enum { MOST_DEPTH = 1 << 20, MOST_NODES = 1 << 29 };

// A node whose members are being read.
typedef struct open_node {
  uint32_t number, left, right;
  bool opened, leaf, category, default_left;
  lightgbm_missing missing;
  int64_t feature;
  double value;           // threshold, or of the leaf
  size_t set, set_count;  // of categories: where in `sets`
} open_node;

typedef struct reader {
  lightgbm *l;
  document d;
  size_t tree;
  open_node *open;
  tree_node *nodes;
  double *sets;
  size_t depth, open_capacity, node_count, node_capacity, set_count, set_capacity;
} reader;

static sdx_status fail(reader *r) {
  return convert_fail(r->l->c, SDX_INVALID_MODEL, "", "json.dump of Booster.dump_model() is such a file", "%s",
                      r->d.j.message);
}

static bool room(reader *r, void **at, size_t count, size_t *capacity, size_t element_bytes) {
  if (count < *capacity) return true;
  size_t more = 2 * *capacity + 64;
  void *bigger = realloc(*at, more * element_bytes);
  if (!bigger) return document_fail(&r->d, "memory is exhausted");
  *at = bigger;
  *capacity = more;
  return true;
}

// ---- nodes ------------------------------------------------------------------------------------------

static bool open_child(reader *r, uint32_t *number) {
  if (r->node_count == MOST_NODES) return document_fail(&r->d, "tree %zu has too many nodes", r->tree);
  if (!room(r, (void **)&r->open, r->depth, &r->open_capacity, sizeof *r->open) ||
      !room(r, (void **)&r->nodes, r->node_count, &r->node_capacity, sizeof *r->nodes))
    return false;
  *number = (uint32_t)r->node_count++;
  r->open[r->depth++] = (open_node){.number = *number, .left = UINT32_MAX, .right = UINT32_MAX, .feature = -1};
  return true;
}

// "1||10||100"
static bool read_set(reader *r, open_node *n, str text) {
  int64_t category;
  n->set = r->set_count;
  for (size_t begin = 0, end; begin < text.size; begin = end + 2) {
    const char *bar = memmem(text.at + begin, text.size - begin, "||", 2);
    end = bar ? (size_t)(bar - text.at) : text.size;
    if (!number_read_int((str){text.at + begin, end - begin}, &category))
      return document_fail(&r->d, "threshold: '%.*s' are no categories", STR_ARG(text));
    if (!room(r, (void **)&r->sets, r->set_count, &r->set_capacity, sizeof *r->sets)) return false;
    r->sets[r->set_count++] = (double)category;
  }
  n->set_count = r->set_count - n->set;
  return true;
}

// JSON has no word for infinity: dump_model writes 1e300.
static bool read_threshold(reader *r, open_node *n) {
  str text;
  if (document_peek(&r->d) != '"') {
    if (!document_f64(&r->d, &n->value, "threshold")) return false;
    if (n->value >= 1e300) n->value = INFINITY;
    return true;
  }
  return document_string(&r->d, &text, "threshold") && read_set(r, n, text);
}

static bool read_word(reader *r, const char *what, size_t count, const char *const *words, int *chosen) {
  str text;
  if (!document_string(&r->d, &text, what)) return false;
  for (size_t i = 0; i < count; i++)
    if (str_is(text, words[i])) {
      *chosen = (int)i;
      return true;
    }
  return document_fail(&r->d, "%s '%.*s' is not known", what, STR_ARG(text));
}

static bool read_member(reader *r, open_node *n, str key) {
  static const char *const decisions[] = {"<=", "=="}, *const missing[] = {"None", "Zero", "NaN"};
  char place[40];
  int chosen = 0;
  if (str_is(key, "split_feature")) return document_i64(&r->d, &n->feature, "split_feature");
  if (str_is(key, "threshold")) return read_threshold(r, n);
  if (str_is(key, "default_left")) return document_bool(&r->d, &n->default_left, "default_left");
  if (str_is(key, "decision_type")) {
    if (!read_word(r, "decision_type", 2, decisions, &chosen)) return false;
    n->category = chosen;
    return true;
  }
  if (str_is(key, "missing_type")) {
    if (!read_word(r, "missing_type", 3, missing, &chosen)) return false;
    n->missing = (lightgbm_missing)chosen;
    return true;
  }
  if (str_is(key, "leaf_value")) {
    n->leaf = true;
    return document_f64(&r->d, &n->value, "leaf_value");
  }
  if (str_is(key, "leaf_const") || str_is(key, "leaf_features")) {
    snprintf(place, sizeof place, "tree %zu", r->tree);
    return lightgbm_refuse_linear(r->l, place);
  }
  return document_skip(&r->d);
}

static bool close_node(reader *r) {
  const open_node *n = &r->open[--r->depth];
  tree_node *to = &r->nodes[n->number];
  if (n->leaf) {
    *to = (tree_node){.mode = TREE_LEAF, .value = n->value};
    return true;
  }
  if (n->left == UINT32_MAX || n->right == UINT32_MAX || n->feature < 0 || n->feature >= FOREST_MOST_FEATURES)
    return document_fail(&r->d, "tree %zu, node %u is no leaf and has no feature from 0 to %d and two children",
                         r->tree, n->number, FOREST_MOST_FEATURES - 1);
  uint32_t feature = (uint32_t)n->feature;
  *to = n->category ? lightgbm_category_split(r->l, feature, NULL, n->set_count)
                    : lightgbm_numeric_split(feature, n->value, n->missing, n->default_left);
  if (n->category) to->value = (double)n->set;
  to->yes = n->left;
  to->no = n->right;
  return true;
}

// Until the root is closed.
static bool read_nodes(reader *r) {
  uint32_t root, child;
  r->depth = r->node_count = r->set_count = 0;
  if (!open_child(r, &root)) return false;
  while (r->depth) {
    open_node *n = &r->open[r->depth - 1];
    bool first = !n->opened;
    str key;
    if (!document_member(&r->d, "a node", &first, &key)) {
      if (document_failed(&r->d) || !close_node(r)) return false;
      continue;
    }
    n->opened = true;
    bool left = str_is(key, "left_child");
    if (left || str_is(key, "right_child")) {
      size_t parent = r->depth - 1;
      if (!open_child(r, &child)) return false;
      *(left ? &r->open[parent].left : &r->open[parent].right) = child;
    } else if (!read_member(r, n, key)) {
      return false;
    }
  }
  for (size_t i = 0; i < r->node_count; i++)
    if (r->nodes[i].list_count) r->nodes[i].list = r->sets + (size_t)r->nodes[i].value;
  return true;
}

static bool read_tree(reader *r) {
  bool first = true, found = false;
  str key;
  char place[40];
  snprintf(place, sizeof place, "tree %zu", r->tree);
  while (document_member(&r->d, "a tree", &first, &key)) {
    if (!found && str_is(key, "tree_structure")) {
      found = true;
      if (!read_nodes(r) || !forest_add(r->l->trees, r->node_count, r->nodes, place)) return false;
    } else if (!document_skip(&r->d)) {
      return false;
    }
  }
  if (!found) return document_fail(&r->d, "tree %zu has no tree_structure", r->tree);
  source_forget(r->l->c->source, document_at(&r->d));
  convert_progress(r->l->c, document_at(&r->d), r->l->c->source->size);
  return !document_failed(&r->d);
}

static bool read_trees(reader *r) {
  bool first = true;
  while (document_element(&r->d, "tree_info", &first)) {
    if (!read_tree(r)) return false;
    r->tree++;
  }
  return !document_failed(&r->d);
}

// ---- the model --------------------------------------------------------------------------------------

static bool copy(reader *r, str text, str *to) {
  const char *at = str_to_c(r->l->c->memory, text);
  *to = (str){at, text.size};
  return at || document_fail(&r->d, "memory is exhausted");
}

static bool read_text(reader *r, str *to, const char *what) {
  str text;
  return document_string(&r->d, &text, what) && copy(r, text, to);
}

static bool read_names(reader *r) {
  lightgbm *l = r->l;
  bool first = true;
  size_t capacity = 0;
  l->name_count = 0;
  while (document_element(&r->d, "feature_names", &first)) {
    if (l->name_count == capacity) {
      str *more = arena_array(l->c->memory, capacity = 2 * capacity + 64, sizeof *more);
      if (!more) return document_fail(&r->d, "memory is exhausted");
      if (l->name_count) memcpy(more, l->feature_names, l->name_count * sizeof *more);
      l->feature_names = more;
    }
    if (!read_text(r, &l->feature_names[l->name_count++], "the name of a feature")) return false;
  }
  return !document_failed(&r->d);
}

// Kept as it is written.
static bool read_pandas_categories(reader *r) {
  if (document_peek(&r->d) != '[') return document_skip(&r->d);
  const char *begin = r->d.j.at;
  return document_skip(&r->d) && copy(r, (str){begin, (size_t)(r->d.j.at - begin)}, &r->l->pandas_categories);
}

static bool read_model(reader *r) {
  lightgbm *l = r->l;
  bool first = true, good = true;
  str key;
  while (good && document_member(&r->d, "the model", &first, &key)) {
    if (str_is(key, "tree_info")) good = read_trees(r);
    else if (str_is(key, "version")) good = read_text(r, &l->version, "version");
    else if (str_is(key, "objective")) good = read_text(r, &l->objective, "objective");
    else if (str_is(key, "average_output")) good = document_bool(&r->d, &l->average, "average_output");
    else if (str_is(key, "num_tree_per_iteration"))
      good = document_i64(&r->d, &l->trees_per_iteration, "num_tree_per_iteration");
    else if (str_is(key, "max_feature_idx")) good = document_i64(&r->d, &l->highest_feature, "max_feature_idx");
    else if (str_is(key, "feature_names")) good = read_names(r);
    else if (str_is(key, "pandas_categorical")) good = read_pandas_categories(r);
    else good = document_skip(&r->d);
  }
  return good && document_end(&r->d);
}

sdx_status lightgbm_read_json(lightgbm *l) {
  reader r = {.l = l};
  document_init(&r.d, l->c->source, false);
  r.d.j.max_depth = MOST_DEPTH;
  bool good = read_model(&r);
  free(r.open);
  free(r.nodes);
  free(r.sets);
  return good ? SDX_OK : convert_failed(l->c) ? l->c->f->status : fail(&r);
}
