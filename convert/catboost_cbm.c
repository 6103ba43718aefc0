// SPDX-License-Identifier: Apache-2.0
// CatBoost's binary form: "CBM1", a length, a FlatBuffer (schema TModelCore), then tables of counters that nothing here
// reads. Trees name their splits by number: through the borders of all numeric features, then the values of all one-hot
// features, then what is not converted. Read next: catboost.c.
#include <stdio.h>
#include <stdlib.h>

#include "convert/catboost.h"
#include "convert/flatbuffer.h"

// Numbers of fields.
enum { CORE_TREES = 1, CORE_INFO = 2, INFO_KEY = 0, INFO_VALUE = 1 };
enum {
  TREES_DIMENSION = 0,
  TREES_SPLITS = 1,
  TREES_SIZES = 2,
  TREES_CATEGORIC = 4,
  TREES_NUMERIC = 5,
  TREES_ONE_HOT = 6,
  TREES_VALUES = 8,
  TREES_STEPS = 10,
  TREES_LEAF_OF_NODE = 11,
  TREES_SCALE = 14,
  TREES_BIAS = 15,
  TREES_BIASES = 16,
};
enum { NUMERIC_INDEX = 1, NUMERIC_BORDERS = 3, NUMERIC_NAME = 4, NUMERIC_NAN = 5 };
enum { CATEGORIC_INDEX = 0, CATEGORIC_NAME = 2 };
enum { ONE_HOT_INDEX = 0, ONE_HOT_VALUES = 1, ONE_HOT_TEXTS = 2 };
enum { HEAD_BYTES = 8, STEP_BYTES = 4, MOST_LEVELS = 16, MOST_WIDTH = 1 << 16 };

typedef struct reader {
  catboost *b;
  flatbuffer f;
  flat_table trees;
  catboost_list bins;  // catboost_split, by number
  flat_vector splits, sizes, values, steps, leaf_of;
} reader;

static bool fail(reader *r, const char *place, const char *what) {
  convert_fail(r->b->c, SDX_INVALID_MODEL, place, "CatBoost's save_model writes complete files", "%s", what);
  return false;
}

static bool no_memory(reader *r) {
  convert_no_memory(r->b->c);
  return false;
}

static bool whole(reader *r) {
  char place[40];
  snprintf(place, sizeof place, "byte %zu", r->f.failed_at + HEAD_BYTES);
  return !r->f.failed || fail(r, place, "an offset leads out of the file; is it cut short?");
}

// ---- features ---------------------------------------------------------------------------------------

static bool count_features(reader *r, const flat_vector *features, unsigned index, size_t *count) {
  for (size_t i = 0; i < features->count; i++) {
    flat_table t = flat_table_at(features, i);
    int64_t number = flat_int_field(&t, index, 4, -1);
    if (!whole(r)) return false;
    if (number < 0 || number >= FOREST_MOST_FEATURES) return fail(r, "features", "the number of a feature is odd");
    if ((size_t)number >= *count) *count = (size_t)number + 1;
  }
  return true;
}

static bool add_bin(reader *r, uint32_t column, float border) {
  catboost_split s = {column, border};
  return catboost_add(&r->bins, &s, sizeof s) || no_memory(r);
}

static bool read_numeric(reader *r, const flat_table *t) {
  catboost *b = r->b;
  size_t number = (size_t)flat_int_field(t, NUMERIC_INDEX, 4, -1);
  int64_t nan = flat_int_field(t, NUMERIC_NAN, 1, NAN_AS_IS);
  flat_vector borders = flat_vector_field(t, NUMERIC_BORDERS, 4);
  if (nan < NAN_AS_IS || nan > NAN_AS_TRUE) return fail(r, "FloatFeatures", "the treatment of NaN is not known");
  b->nan[number] = (uint8_t)nan;
  if (!catboost_copy(b, flat_string_field(t, NUMERIC_NAME), &b->numeric[number])) return no_memory(r);
  for (size_t i = 0; i < borders.count; i++)
    if (!add_bin(r, (uint32_t)number, flat_float(borders.at + 4 * i))) return false;
  return true;
}

static bool read_one_hot(reader *r, const flat_table *t) {
  catboost *b = r->b;
  int64_t number = flat_int_field(t, ONE_HOT_INDEX, 4, -1);
  flat_vector values = flat_vector_field(t, ONE_HOT_VALUES, 4), texts = flat_vector_field(t, ONE_HOT_TEXTS, 4);
  if (number < 0 || (uint64_t)number >= b->categoric_count)
    return fail(r, "OneHotFeatures", "one is of a feature that is not there");
  for (size_t i = 0; i < values.count; i++) {
    uint32_t column = catboost_column_of(b, (uint32_t)number, (uint32_t)flat_int(values.at + 4 * i, 4));
    if (column == UINT32_MAX || !add_bin(r, column, 0.5f)) return no_memory(r);
    catboost_category *c = (catboost_category *)b->categories.at + (column - b->numeric_count);
    if (texts.count == values.count && !catboost_copy(b, flat_string_at(&texts, i), &c->text)) return no_memory(r);
  }
  return true;
}

static bool read_features(reader *r) {
  catboost *b = r->b;
  flat_vector numeric = flat_vector_field(&r->trees, TREES_NUMERIC, 4),
              categoric = flat_vector_field(&r->trees, TREES_CATEGORIC, 4),
              one_hot = flat_vector_field(&r->trees, TREES_ONE_HOT, 4);
  size_t numeric_count = 0, categoric_count = 0;
  if (!count_features(r, &numeric, NUMERIC_INDEX, &numeric_count) ||
      !count_features(r, &categoric, CATEGORIC_INDEX, &categoric_count) ||
      !catboost_set_features(b, numeric_count, categoric_count))
    return false;
  for (size_t i = 0; i < numeric.count; i++) {
    flat_table t = flat_table_at(&numeric, i);
    if (!read_numeric(r, &t)) return false;
  }
  for (size_t i = 0; i < categoric.count; i++) {
    flat_table t = flat_table_at(&categoric, i);
    size_t number = (size_t)flat_int_field(&t, CATEGORIC_INDEX, 4, -1);
    if (!catboost_copy(b, flat_string_field(&t, CATEGORIC_NAME), &b->categoric[number])) return no_memory(r);
  }
  for (size_t i = 0; i < one_hot.count; i++) {
    flat_table t = flat_table_at(&one_hot, i);
    if (!read_one_hot(r, &t)) return false;
  }
  return whole(r);
}

// ---- trees ------------------------------------------------------------------------------------------

static bool find_split(reader *r, size_t tree, size_t at, catboost_split *s) {
  char place[40];
  int64_t bin = flat_int(r->splits.at + 4 * at, 4);
  snprintf(place, sizeof place, "tree %zu", tree);
  if (bin < 0) return fail(r, place, "a split has a negative number");
  if ((uint64_t)bin >= r->bins.count) {
    catboost_refuse(r->b, place, STR("OnlineCtr"));
    return false;
  }
  *s = ((catboost_split *)r->bins.at)[bin];
  return true;
}

static bool read_oblivious_tree(reader *r, size_t tree, size_t first, size_t size, size_t *values) {
  catboost_split s;
  uint32_t depth = (uint32_t)size;
  if (size > MOST_LEVELS) return fail(r, "TreeSizes", "a tree has more than 16 splits");
  for (size_t i = 0; i < size; i++)
    if (!find_split(r, tree, first + i, &s) || !catboost_add(&r->b->splits, &s, sizeof s)) return false;
  *values += r->b->width << depth;
  return catboost_add(&r->b->depths, &depth, sizeof depth) || no_memory(r);
}

// A node that has no way to one side, or to both, ends there with a value of its own.
static bool read_node(reader *r, size_t tree, size_t first, size_t size, size_t i, tree_node *nodes, double *values) {
  size_t at = first + i, width = r->b->width, leaf = (uint32_t)flat_int(r->leaf_of.at + 4 * at, 4);
  uint32_t left = (uint32_t)flat_int(r->steps.at + STEP_BYTES * at, 2) & 0xffff;
  uint32_t right = (uint32_t)flat_int(r->steps.at + STEP_BYTES * at + 2, 2) & 0xffff;
  catboost_split s;
  tree_node end = {.mode = TREE_LEAF, .list = values + i * width, .list_count = width};
  if (!left || !right) {
    if (leaf > r->values.count || width > r->values.count - leaf)
      return fail(r, "NonSymmetricNodeIdToLeafId", "a leaf has no values");
    for (size_t k = 0; k < width; k++) values[i * width + k] = flat_double(r->values.at + 8 * (leaf + k));
    end.value = *end.list;
  }
  nodes[size + i] = nodes[i] = end;
  if (!left && !right) return true;
  if (!find_split(r, tree, at, &s)) return false;
  nodes[i] = (tree_node){.mode = TREE_GT,
                         .feature = s.column,
                         .value = (double)s.border,
                         .yes = (uint32_t)(right ? i + right : size + i),
                         .no = (uint32_t)(left ? i + left : size + i)};
  return true;
}

static bool read_tree(reader *r, size_t tree, size_t first, size_t size) {
  catboost *b = r->b;
  char place[40];
  snprintf(place, sizeof place, "tree %zu", tree);
  if (size == 0 || first + size > r->steps.count || first + size > r->leaf_of.count)
    return fail(r, place, "its nodes are not there");
  if (!b->trees && !(b->trees = forest_create(b->c, SDX_DOUBLE, b->width))) return false;
  tree_node *nodes = calloc(2 * size, sizeof *nodes);
  double *values = calloc(size * b->width, sizeof *values);
  bool good = nodes && values ? true : no_memory(r);
  for (size_t i = 0; good && i < size; i++) good = read_node(r, tree, first, size, i, nodes, values);
  good = good && forest_add(b->trees, 2 * size, nodes, place);
  free(nodes);
  free(values);
  return good;
}

static bool read_trees(reader *r) {
  catboost *b = r->b;
  int64_t width = flat_int_field(&r->trees, TREES_DIMENSION, 4, 1);
  if (width < 1 || width > MOST_WIDTH) return fail(r, "ApproxDimension", "it is no number of scores");
  b->width = (size_t)width;
  size_t first = 0, values = 0;
  for (size_t i = 0; i < r->sizes.count; i++) {
    int64_t size = flat_int(r->sizes.at + 4 * i, 4);
    if (size < 0 || (uint64_t)size > r->splits.count - first)
      return fail(r, "TreeSizes", "the splits of a tree are not there");
    if (!(r->steps.count ? read_tree(r, i, first, (size_t)size)
                         : read_oblivious_tree(r, i, first, (size_t)size, &values)))
      return false;
    first += (size_t)size;
  }
  if (r->steps.count) return true;
  if (values != r->values.count) return fail(r, "LeafValues", "the trees have another number of leaves");
  // As they lie, where that is possible; the source lives as long as the model.
  bool aligned = (uintptr_t)r->values.at % sizeof(double) == 0;
  b->values = (catboost_list){
      aligned ? (void *)(uintptr_t)r->values.at : arena_copy(b->c->memory, r->values.at, values * sizeof(double)),
      values, 0};
  return !values || b->values.at || no_memory(r);
}

static bool read_bias(reader *r) {
  catboost *b = r->b;
  flat_vector biases = flat_vector_field(&r->trees, TREES_BIASES, 8);
  b->scale = flat_double_field(&r->trees, TREES_SCALE, 1);
  b->bias_count = biases.count ? biases.count : 1;
  b->bias = arena_array(b->c->memory, b->bias_count, sizeof *b->bias);
  if (!b->bias) return no_memory(r);
  b->bias[0] = flat_double_field(&r->trees, TREES_BIAS, 0);
  for (size_t i = 0; i < biases.count; i++) b->bias[i] = flat_double(biases.at + 8 * i);
  return true;
}

// ---- the model --------------------------------------------------------------------------------------

static bool read_info(reader *r, const flat_table *core) {
  flat_vector info = flat_vector_field(core, CORE_INFO, 4);
  for (size_t i = 0; i < info.count; i++) {
    flat_table t = flat_table_at(&info, i);
    str key = flat_string_field(&t, INFO_KEY), value = flat_string_field(&t, INFO_VALUE), copy;
    document d;
    document_init(&d, r->b->c->source, false);
    if (!catboost_copy(r->b, value, &copy)) return no_memory(r);
    json_init(&d.j, (char *)(uintptr_t)copy.at, copy.size, DOCUMENT_DEPTH, SIZE_MAX);
    if (str_is(key, "catboost_version_info")) r->b->version = copy;
    else if (copy.size && *copy.at == '{' && !catboost_read_info(r->b, &d, key)) return fail(r, "InfoMap", d.j.message);
  }
  return whole(r);
}

static bool read_model(reader *r) {
  flat_table core = flat_root(&r->f);
  r->trees = flat_table_field(&core, CORE_TREES);
  r->splits = flat_vector_field(&r->trees, TREES_SPLITS, 4);
  r->sizes = flat_vector_field(&r->trees, TREES_SIZES, 4);
  r->values = flat_vector_field(&r->trees, TREES_VALUES, 8);
  r->steps = flat_vector_field(&r->trees, TREES_STEPS, STEP_BYTES);
  r->leaf_of = flat_vector_field(&r->trees, TREES_LEAF_OF_NODE, 4);
  return whole(r) && read_features(r) && read_trees(r) && read_bias(r) && read_info(r, &core);
}

bool catboost_read_cbm(catboost *b) {
  source *s = b->c->source;
  reader r = {.b = b};
  if (s->size < HEAD_BYTES) return fail(&r, "byte 0", "the file ends too early");
  uint64_t size = (uint32_t)flat_int((const uint8_t *)s->bytes + 4, 4);
  if (size > s->size - HEAD_BYTES) return fail(&r, "byte 4", "more bytes are claimed than there are; is it cut short?");
  r.f = (flatbuffer){.bytes = (const uint8_t *)s->bytes + HEAD_BYTES, .size = (size_t)size};
  bool good = read_model(&r);
  free(r.bins.at);
  return good;
}
