// SPDX-License-Identifier: Apache-2.0
// LightGBM's text: lines `key=value`, first of the whole model, then a block for each tree with a list a line. Inner
// nodes and leaves are numbered apart; a child below zero is a leaf. Read next: lightgbm.c.
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "convert/lightgbm.h"

// The lists of a tree that count.
enum { FEATURE, THRESHOLD, DECISION, LEFT, RIGHT, LEAF_VALUE, BOUNDARIES, BITS, LISTS };
static const char *const list_names[LISTS] = {"split_feature", "threshold",  "decision_type",  "left_child",
                                              "right_child",   "leaf_value", "cat_boundaries", "cat_threshold"};
enum { DECISION_CATEGORY = 1, DECISION_DEFAULT_LEFT = 2, DECISION_MISSING_SHIFT = 2, MOST_LEAVES = 1 << 28 };

typedef struct reader {
  lightgbm *l;
  json text;  // at the next line; its numbers are JSON's
  str line, key, value;
  int64_t tree, leaves, linear;  // tree: its number in the file
  struct list_of_tree {
    double *at;
    size_t count, capacity;
  } lists[LISTS];
  tree_node *nodes;
  double *sets;
  size_t node_capacity, set_capacity;
} reader;

static bool fail(reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(reader *r, const char *format, ...) {
  char message[300], place[60];
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  if (r->tree < 0) snprintf(place, sizeof place, "byte %zu", (size_t)(r->text.at - r->text.begin));
  else snprintf(place, sizeof place, "tree %lld", (long long)r->tree);
  convert_fail(r->l->c, SDX_INVALID_MODEL, place, "LightGBM's save_model writes complete files", "%s", message);
  return false;
}

static bool no_memory(reader *r) {
  convert_no_memory(r->l->c);
  return false;
}

// ---- lines ------------------------------------------------------------------------------------------

// The next line that is not empty, cut at its first '='. False at the end of the text.
static bool next_line(reader *r) {
  json *t = &r->text;
  while (t->at < t->end && (*t->at == '\n' || *t->at == '\r')) t->at++;
  if (t->at == t->end) return false;
  const char *begin = t->at, *end = memchr(begin, '\n', (size_t)(t->end - begin));
  if (!end) end = t->end;
  t->at = (char *)end;
  while (end > begin && (end[-1] == '\r' || end[-1] == ' ')) end--;
  const char *sign = memchr(begin, '=', (size_t)(end - begin)), *key_end = sign ? sign : end;
  r->line = (str){begin, (size_t)(end - begin)};
  r->key = (str){begin, (size_t)(key_end - begin)};
  r->value = sign ? (str){sign + 1, (size_t)(end - sign - 1)} : (str){end, 0};
  return true;
}

static bool begins(str s, const char *with) { return s.size >= strlen(with) && !memcmp(s.at, with, strlen(with)); }

static bool read_integer(reader *r, int64_t *value) {
  if (number_read_int(r->value, value)) return true;
  return fail(r, "%.*s is '%.*s', expected a number", STR_ARG(r->key), STR_ARG(r->value));
}

// JSON's numbers and the C library's words.
static bool read_number(json *line, double *value) {
  number_decimal n;
  if (json_word(line, "inf")) *value = INFINITY;
  else if (json_word(line, "-inf")) *value = -INFINITY;
  else if (json_word(line, "nan") || json_word(line, "-nan")) *value = NAN;
  else if (json_number_read(line, &n, "value")) *value = number_from_decimal(&n);
  return !line->failed;
}

static bool read_list(reader *r, struct list_of_tree *list) {
  json line = r->text;
  line.at = (char *)r->value.at;
  line.end = line.at + r->value.size;
  list->count = 0;
  while (json_peek(&line)) {
    if (list->count == list->capacity) {
      size_t capacity = 2 * list->capacity + 64;
      double *more = realloc(list->at, capacity * sizeof *more);
      if (!more) return no_memory(r);
      list->at = more;
      list->capacity = capacity;
    }
    if (!read_number(&line, &list->at[list->count++])) return fail(r, "%.*s: %s", STR_ARG(r->key), line.message);
  }
  return true;
}

// ---- trees ------------------------------------------------------------------------------------------

// A whole number of a list, within [least, end).
static bool whole(reader *r, int which, size_t i, double least, double end, int64_t *value) {
  double n = r->lists[which].at[i];
  if (!(n >= least && n < end) || n != (double)(int64_t)n)
    return fail(r, "%s: %g at place %zu, expected a whole number from %g to %g", list_names[which], n, i, least,
                end - 1);
  *value = (int64_t)n;
  return true;
}

// Children that are leaves stand behind the inner nodes.
static bool read_child(reader *r, int which, size_t i, uint32_t *child) {
  int64_t n;
  if (!whole(r, which, i, -(double)r->leaves, (double)r->leaves - 1, &n)) return false;
  *child = (uint32_t)(n >= 0 ? n : r->leaves - 1 + ~n);
  return true;
}

// Appends the categories that the bits of a split name; `used` counts them.
static bool read_set(reader *r, size_t i, size_t *used, size_t *count) {
  const struct list_of_tree *boundaries = &r->lists[BOUNDARIES], *bits = &r->lists[BITS];
  int64_t set, begin, end, word;
  double sets = boundaries->count ? (double)boundaries->count - 1 : 0;
  if (!whole(r, THRESHOLD, i, 0, sets, &set) ||
      !whole(r, BOUNDARIES, (size_t)set, 0, (double)bits->count + 1, &begin) ||
      !whole(r, BOUNDARIES, (size_t)set + 1, (double)begin, (double)bits->count + 1, &end))
    return false;
  *count = 0;
  for (int64_t w = begin; w < end; w++) {
    if (!whole(r, BITS, (size_t)w, 0, 4294967296.0, &word)) return false;
    for (uint32_t left = (uint32_t)word; left; left &= left - 1) {
      if (*used == r->set_capacity) return fail(r, "%s: splits share their categories", list_names[BOUNDARIES]);
      r->sets[(*used)++] = (double)((w - begin) * 32 + __builtin_ctz(left));
      ++*count;
    }
  }
  return true;
}

static bool read_split(reader *r, size_t i, size_t *used) {
  int64_t feature, decision;
  size_t count, first = *used;
  if (!whole(r, FEATURE, i, 0, FOREST_MOST_FEATURES, &feature) || !whole(r, DECISION, i, -128, 128, &decision))
    return false;
  int64_t missing = decision >> DECISION_MISSING_SHIFT & 3;
  if (missing > MISSING_NAN) return fail(r, "decision_type: %lld at place %zu", (long long)decision, i);
  if (decision & DECISION_CATEGORY) {
    if (!read_set(r, i, used, &count)) return false;
    r->nodes[i] = lightgbm_category_split(r->l, (uint32_t)feature, count ? r->sets + first : NULL, count);
  } else {
    r->nodes[i] = lightgbm_numeric_split((uint32_t)feature, r->lists[THRESHOLD].at[i], (lightgbm_missing)missing,
                                         decision & DECISION_DEFAULT_LEFT);
  }
  return read_child(r, LEFT, i, &r->nodes[i].yes) && read_child(r, RIGHT, i, &r->nodes[i].no);
}

static bool make_room(reader *r) {
  size_t nodes = 2 * (size_t)r->leaves - 1, members = 32 * r->lists[BITS].count;
  if (nodes > r->node_capacity) {
    tree_node *more = realloc(r->nodes, nodes * sizeof *more);
    if (!more) return no_memory(r);
    r->nodes = more;
    r->node_capacity = nodes;
  }
  if (members > r->set_capacity) {
    double *more = realloc(r->sets, members * sizeof *more);
    if (!more) return no_memory(r);
    r->sets = more;
    r->set_capacity = members;
  }
  return true;
}

static bool add_tree(reader *r) {
  char place[40];
  size_t leaves = (size_t)r->leaves, inner = leaves - 1, used = 0;
  snprintf(place, sizeof place, "tree %lld", (long long)r->tree);
  if (r->linear) return lightgbm_refuse_linear(r->l, place);
  for (int i = 0; i < BOUNDARIES; i++) {
    size_t wanted = i == LEAF_VALUE ? leaves : inner;
    if (wanted && r->lists[i].count != wanted)
      return fail(r, "%s has %zu values, expected %zu; is the file cut short?", list_names[i], r->lists[i].count,
                  wanted);
  }
  if (!make_room(r)) return false;
  for (size_t i = 0; i < inner; i++)
    if (!read_split(r, i, &used)) return false;
  for (size_t i = 0; i < leaves; i++)
    r->nodes[inner + i] = (tree_node){.mode = TREE_LEAF, .value = r->lists[LEAF_VALUE].at[i]};
  return forest_add(r->l->trees, inner + leaves, r->nodes, place);
}

// The lines of a tree: until one that belongs to none.
static bool read_tree(reader *r, bool *more) {
  if (!read_integer(r, &r->tree)) return false;
  if (r->tree < 0) return fail(r, "a tree has number %lld", (long long)r->tree);
  r->leaves = r->linear = 0;
  for (int i = 0; i < LISTS; i++) r->lists[i].count = 0;
  while ((*more = next_line(r)) && r->value.at > r->key.at + r->key.size && !str_is(r->key, "Tree")) {
    bool good = true;
    int i = 0;
    while (i < LISTS && !str_is(r->key, list_names[i])) i++;
    if (i < LISTS) good = read_list(r, &r->lists[i]);
    else if (str_is(r->key, "num_leaves")) good = read_integer(r, &r->leaves);
    else if (str_is(r->key, "is_linear")) good = read_integer(r, &r->linear);
    if (!good) return false;
  }
  if (r->leaves < 1 || r->leaves > MOST_LEAVES) return fail(r, "num_leaves is %lld", (long long)r->leaves);
  if (!add_tree(r)) return false;
  size_t at = (size_t)(r->key.at - r->text.begin);
  if (*more) source_forget(r->l->c->source, at);
  convert_progress(r->l->c, at, r->l->c->source->size);
  return true;
}

// ---- the model --------------------------------------------------------------------------------------

static bool copy(reader *r, str *to) {
  const char *text = str_to_c(r->l->c->memory, r->value);
  *to = (str){text, r->value.size};
  return text || no_memory(r);
}

static size_t count_words(str s) {
  size_t words = 0;
  for (size_t i = 0; i < s.size; i++) words += s.at[i] != ' ' && (i == 0 || s.at[i - 1] == ' ');
  return words;
}

// Names with spaces between; LightGBM lets no name have one.
static bool read_names(reader *r) {
  lightgbm *l = r->l;
  str all;
  if (!copy(r, &all)) return false;
  l->feature_names = arena_array(l->c->memory, count_words(all), sizeof *l->feature_names);
  if (!l->feature_names) return no_memory(r);
  l->name_count = 0;
  for (size_t begin = 0, end; begin < all.size; begin = end + 1) {
    for (end = begin; end < all.size && all.at[end] != ' ';) end++;
    if (end > begin) l->feature_names[l->name_count++] = (str){all.at + begin, end - begin};
  }
  return true;
}

// expected: trees that the header promises; SIZE_MAX where it does not tell.
static bool read_header(reader *r, bool *more, size_t *expected) {
  lightgbm *l = r->l;
  bool good = true;
  while (good && (*more = next_line(r)) && !str_is(r->key, "Tree") && !begins(r->key, "end of trees")) {
    if (str_is(r->key, "version")) good = copy(r, &l->version);
    else if (str_is(r->key, "objective")) good = copy(r, &l->objective);
    else if (str_is(r->key, "average_output")) l->average = true;
    else if (str_is(r->key, "num_tree_per_iteration")) good = read_integer(r, &l->trees_per_iteration);
    else if (str_is(r->key, "max_feature_idx")) good = read_integer(r, &l->highest_feature);
    else if (str_is(r->key, "feature_names")) good = read_names(r);
    else if (str_is(r->key, "tree_sizes")) *expected = count_words(r->value);
  }
  return good;
}

// What stands behind the trees.
static bool read_footer(reader *r) {
  static const char name[] = "pandas_categorical:";
  for (bool more = true; more; more = next_line(r)) {
    if (!begins(r->line, name)) continue;
    r->value = (str){r->line.at + sizeof name - 1, r->line.size - sizeof name + 1};
    return str_is(r->value, "null") || copy(r, &r->l->pandas_categories);
  }
  return true;
}

static bool read_model(reader *r) {
  bool more = false;
  size_t expected = SIZE_MAX;
  if (!read_header(r, &more, &expected)) return false;
  while (more && str_is(r->key, "Tree"))
    if (!read_tree(r, &more)) return false;
  r->tree = -1;
  size_t found = forest_trees(r->l->trees);
  if (expected != SIZE_MAX && found != expected)
    return fail(r, "there are %zu trees, expected %zu; is the file cut short?", found, expected);
  return !more || read_footer(r);
}

sdx_status lightgbm_read_text(lightgbm *l) {
  reader r = {.l = l, .tree = -1};
  json_init(&r.text, l->c->source->bytes, (size_t)l->c->source->size, 1, SIZE_MAX);
  bool good = read_model(&r);
  for (int i = 0; i < LISTS; i++) free(r.lists[i].at);
  free(r.nodes);
  free(r.sets);
  return good ? SDX_OK : l->c->f->status;
}
