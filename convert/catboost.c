// SPDX-License-Identifier: Apache-2.0
// CatBoost: the graph. An oblivious tree asks the same at every node of a level, so all its answers are the bits of the
// leaf's number: all trees are compared at once, and a table has the leaves. Other trees become TreeEnsemble.
#include "convert/catboost.h"

#include <math.h>
#include <stdlib.h>

#include "convert/nodes.h"

// ---- what readers share ---------------------------------------------------------------------------------

bool catboost_add(catboost_list *l, const void *element, size_t bytes) {
  if (l->count == l->capacity) {
    size_t capacity = l->capacity + l->capacity / 2 + 64;
    void *more = realloc(l->at, capacity * bytes);
    if (!more) return false;
    l->at = more;
    l->capacity = capacity;
  }
  memcpy((char *)l->at + l->count++ * bytes, element, bytes);
  return true;
}

bool catboost_copy(catboost *b, str text, str *to) {
  const char *at = str_to_c(b->c->memory, text);
  *to = (str){at, text.size};
  return at != NULL;
}

bool catboost_set_features(catboost *b, size_t numeric, size_t categoric) {
  arena *memory = b->c->memory;
  b->numeric = arena_array(memory, numeric, sizeof *b->numeric);
  b->categoric = arena_array(memory, categoric, sizeof *b->categoric);
  b->nan = arena_array(memory, numeric, 1);
  b->numeric_count = numeric;
  b->categoric_count = categoric;
  if (b->numeric && b->categoric && b->nan) return true;
  convert_no_memory(b->c);
  return false;
}

uint32_t catboost_column_of(catboost *b, uint32_t feature, uint32_t hash) {
  catboost_category c = {.feature = feature, .hash = hash};
  const uint32_t pair[] = {feature, hash};
  str key = {arena_copy(b->c->memory, pair, sizeof pair), sizeof pair};
  uint32_t place;
  if (!key.at) return UINT32_MAX;
  if (str_map_find(&b->category_of, key, &place)) return place;
  place = (uint32_t)(b->numeric_count + b->categories.count);
  bool good = str_map_put(&b->category_of, key, place) && catboost_add(&b->categories, &c, sizeof c);
  return good ? place : UINT32_MAX;
}

void catboost_refuse(catboost *b, const char *place, str what) {
  convert_fail(b->c, SDX_NOT_SUPPORTED, place, "train with one_hot_max_size above the number of categories",
               "splits of type %.*s (counters of categories, texts, embeddings) are not converted", STR_ARG(what));
}

static bool read_loss(catboost *b, document *d) {
  bool first = true, good = true, inner;
  str key, text;
  while (good && document_member(d, "params", &first, &key)) {
    if (!str_is(key, "loss_function") || document_peek(d) != '{') {
      good = document_skip(d);
      continue;
    }
    for (inner = true; good && document_member(d, "loss_function", &inner, &key);)
      good = str_is(key, "type") ? document_string(d, &text, "type") && catboost_copy(b, text, &b->loss)
                                 : document_skip(d);
  }
  return good && !document_failed(d);
}

// Names are texts, numbers or true and false; they are kept as they are written.
static bool read_class_name(catboost *b, document *d, str *name) {
  const char *begin = (document_peek(d), d->j.at);
  if (*begin == '"') return document_string(d, name, "the name of a class") && catboost_copy(b, *name, name);
  return document_skip(d) && catboost_copy(b, (str){begin, (size_t)(d->j.at - begin)}, name);
}

static bool read_class_names(catboost *b, document *d) {
  bool first = true;
  catboost_list names = {0};
  str name;
  bool good = true;
  while (good && document_element(d, "class_names", &first))
    good = read_class_name(b, d, &name) && catboost_add(&names, &name, sizeof name);
  b->class_names = arena_copy(b->c->memory, names.at, names.count * sizeof name);
  b->class_count = b->class_names ? names.count : 0;
  free(names.at);
  return good && !document_failed(d);
}

bool catboost_read_info(catboost *b, document *d, str key) {
  bool first = true, good = true;
  str text;
  if (document_peek(d) == '{' && str_is(key, "params")) return read_loss(b, d);
  if (document_peek(d) == '"' && str_is(key, "catboost_version_info"))
    return document_string(d, &text, "version") && catboost_copy(b, text, &b->version);
  if (document_peek(d) != '{' || (!str_is(key, "class_params") && !str_is(key, "multiclass_params")))
    return document_skip(d);
  while (good && document_member(d, "class_params", &first, &key))
    good = str_is(key, "class_names") ? read_class_names(b, d) : document_skip(d);
  return good && !document_failed(d);
}

// ---- inputs -------------------------------------------------------------------------------------------

static sdx_ref op1(catboost *b, const char *op, sdx_ref x) {
  return sdx_graph_add_node(b->c->graph, op, NULL, SDX_REFS(x));
}
static sdx_ref op2(catboost *b, const char *op, sdx_ref x, sdx_ref y) {
  return sdx_graph_add_node(b->c->graph, op, NULL, SDX_REFS(x, y));
}
static sdx_ref scalar(catboost *b, sdx_dtype dtype, double n) { return sdx_graph_add_scalar(b->c->graph, dtype, n); }

static sdx_ref gather(catboost *b, const char *name, sdx_ref x, size_t count, const int64_t *at, int64_t axis) {
  sdx_ref y = sdx_graph_add_node(b->c->graph, "Gather", name, SDX_REFS(x, sdx_graph_add_ints(b->c->graph, count, at)));
  sdx_graph_set_int(b->c->graph, "axis", axis);
  return y;
}

static sdx_ref add_texts(catboost *b, const char *name, size_t count, const str *texts) {
  int64_t shape = (int64_t)count;
  sdx_value *v = sdx_tensor_create(SDX_STRING, 1, &shape);
  for (size_t i = 0; v && i < count; i++)
    if (sdx_tensor_set_string(v, i, texts[i].at, texts[i].size)) convert_no_memory(b->c);
  return sdx_graph_add_initializer(b->c->graph, name, v);
}

// NaN that counts as larger than every border.
static sdx_ref treat_nan(catboost *b, sdx_ref x) {
  int64_t shape[] = {1, (int64_t)b->numeric_count};
  if (!b->numeric_count || !memchr(b->nan, NAN_AS_TRUE, b->numeric_count)) return x;
  sdx_value *v = sdx_tensor_create(SDX_BOOL, 2, shape);
  bool *at = v ? sdx_tensor_data(v) : NULL;
  for (size_t i = 0; at && i < b->numeric_count; i++) at[i] = b->nan[i] == NAN_AS_TRUE;
  sdx_ref which = sdx_graph_add_initializer(b->c->graph, "nan_is_largest", v);
  sdx_ref both = op2(b, "And", op1(b, "IsNaN", x), which);
  return sdx_graph_add_node(b->c->graph, "Where", "numeric", SDX_REFS(both, scalar(b, SDX_FLOAT, INFINITY), x));
}

// A column for each category that some split asks for. Where the file tells no texts, their hashes are what is given.
static sdx_ref one_hot(catboost *b) {
  conversion *c = b->c;
  const catboost_category *all = b->categories.at;
  size_t count = b->categories.count;
  bool texts = true;
  for (size_t i = 0; i < count; i++) texts &= all[i].text.at != NULL;
  sdx_ref x = node_rows_input(c, "categories", texts ? SDX_STRING : SDX_INT64, b->categoric_count);
  if (!count) return 0;
  int64_t *from = arena_array(c->memory, count, sizeof *from), *hashes = arena_array(c->memory, count, sizeof *hashes);
  str *names = arena_array(c->memory, count, sizeof *names);
  if (!from || !hashes || !names) {
    convert_no_memory(c);
    return 0;
  }
  for (size_t i = 0; i < count; i++) {
    from[i] = all[i].feature;
    hashes[i] = all[i].hash;
    names[i] = all[i].text;
  }
  sdx_ref values = texts ? add_texts(b, "category_values", count, names) : sdx_graph_add_ints(c->graph, count, hashes);
  if (!texts)
    convert_note(c,
                 "the file tells no texts of categories: the input categories takes CatBoost's hashes of them, from 0 "
                 "to 4294967295 (save_model(..., format=\"json\", pool=...) keeps the texts)");
  return node_cast(c, op2(b, "Equal", gather(b, NULL, x, count, from, 1), values), SDX_FLOAT);
}

// All columns that splits ask: [N, columns].
static sdx_ref columns(catboost *b) {
  bool numbers = b->numeric_count || !b->categories.count;
  sdx_ref x = 0, hot = 0;
  if (numbers) x = treat_nan(b, node_rows_input(b->c, "input", SDX_FLOAT, b->numeric_count ? b->numeric_count : 1));
  if (b->categoric_count) hot = one_hot(b);
  if (!x) return hot;
  return hot ? node_concat(b->c, "features", 1, SDX_REFS(x, hot)) : x;
}

// ---- scores -------------------------------------------------------------------------------------------

static sdx_ref numbers(catboost *b, const char *name, size_t count, const float *at) {
  int64_t shape = (int64_t)count;
  return sdx_graph_add_initializer(b->c->graph, name,
                                   sdx_tensor_borrow(SDX_FLOAT, 1, &shape, (void *)(uintptr_t)at, NULL, NULL));
}

typedef struct slots {  // of each tree as many as the deepest has
  int64_t *column, *first_leaf;
  float *border, *weight;
  size_t levels, trees, leaves;
} slots;

static bool make_slots(catboost *b, slots *s) {
  const uint32_t *depths = b->depths.at;
  const catboost_split *split = b->splits.at;
  arena *memory = b->c->memory;
  s->trees = b->depths.count;
  s->levels = 1;
  for (size_t t = 0; t < s->trees; t++)
    if (depths[t] > s->levels) s->levels = depths[t];
  s->column = arena_array(memory, s->trees * s->levels, sizeof *s->column);
  s->border = arena_array(memory, s->trees * s->levels, sizeof *s->border);
  s->weight = arena_array(memory, s->levels, sizeof *s->weight);
  s->first_leaf = arena_array(memory, s->trees, sizeof *s->first_leaf);
  if (!s->column || !s->border || !s->weight || !s->first_leaf) return false;
  for (size_t i = 0; i < s->levels; i++) s->weight[i] = (float)(1u << i);
  for (size_t t = 0; t < s->trees; t++) {
    for (size_t i = 0; i < s->levels; i++) {
      bool asked = i < depths[t];
      s->column[t * s->levels + i] = asked ? split->column : 0;
      s->border[t * s->levels + i] = asked ? split->border : INFINITY;
      split += asked;
    }
    s->first_leaf[t] = (int64_t)s->leaves;
    s->leaves += (size_t)1 << depths[t];
  }
  return true;
}

// The leaves of all oblivious trees, added up: [N] or [N, width].
static sdx_ref oblivious_scores(catboost *b, sdx_ref x) {
  sdx_graph *g = b->c->graph;
  slots s = {0};
  if (!make_slots(b, &s)) {
    convert_no_memory(b->c);
    return 0;
  }
  sdx_ref y = op2(b, "Greater", gather(b, "asked", x, s.trees * s.levels, s.column, 1),
                  numbers(b, "borders", s.trees * s.levels, s.border));
  sdx_ref shape = sdx_graph_add_ints(g, 3, (int64_t[]){0, (int64_t)s.trees, (int64_t)s.levels});
  y = op2(b, "Reshape", node_cast(b->c, y, SDX_FLOAT), shape);
  y = node_cast(b->c, op2(b, "MatMul", y, numbers(b, "bit_values", s.levels, s.weight)), SDX_INT64);
  y = op2(b, "Add", y, sdx_graph_add_ints(g, s.trees, s.first_leaf));
  int64_t leaves[] = {(int64_t)s.leaves, (int64_t)b->width};
  sdx_value *table = sdx_tensor_borrow(SDX_DOUBLE, b->width > 1 ? 2 : 1, leaves, b->values.at, NULL, NULL);
  y = sdx_graph_add_node(g, "Gather", "leaves", SDX_REFS(sdx_graph_add_initializer(g, "leaf_values", table), y));
  y = node_reduce(b->c, "ReduceSum", y, 1);  // [N, 1] or [N, 1, width]
  y = sdx_graph_add_node(g, "Gather", "sum", SDX_REFS(y, scalar(b, SDX_INT64, 0)));
  sdx_graph_set_int(g, "axis", 1);
  return y;
}

// [N] or [N, width].
static sdx_ref scores(catboost *b, sdx_ref x) {
  size_t all = b->numeric_count + b->categories.count;
  int64_t shape = (int64_t)b->width;
  sdx_ref y;
  if (b->depths.count) {
    y = oblivious_scores(b, x);
  } else {
    if (!b->trees && !(b->trees = forest_create(b->c, SDX_DOUBLE, b->width))) return 0;
    y = forest_emit(b->trees, node_cast(b->c, x, SDX_DOUBLE), all ? all : 1, b->width, NULL, NULL, FOREST_SUM);
  }
  if (b->scale != 1) y = op2(b, "Mul", y, scalar(b, SDX_DOUBLE, b->scale));
  sdx_value *bias = sdx_tensor_borrow(SDX_DOUBLE, b->width > 1, &shape, b->bias, NULL, NULL);
  return sdx_graph_add_node(b->c->graph, "Add", "raw",
                            SDX_REFS(y, sdx_graph_add_initializer(b->c->graph, "bias", bias)));
}

// ---- predictions ----------------------------------------------------------------------------------------

static bool loss_is(const catboost *b, const char *name) {
  size_t n = strlen(name);
  return b->loss.size >= n && !memcmp(b->loss.at, name, n) && (b->loss.size == n || b->loss.at[n] == ':');
}

static sdx_ref logistic(catboost *b, sdx_ref x) {
  sdx_ref one = scalar(b, SDX_DOUBLE, 1);
  return op2(b, "Div", one, op2(b, "Add", one, op1(b, "Exp", op1(b, "Neg", x))));
}

static sdx_ref softmax(catboost *b, sdx_ref x) {
  sdx_ref y = op1(b, "Exp", op2(b, "Sub", x, node_reduce(b->c, "ReduceMax", x, 1)));
  return op2(b, "Div", y, node_reduce(b->c, "ReduceSum", y, 1));
}

// Classes by number: their own names where the file has them, as integers if all are.
static void output_label(catboost *b, sdx_ref number, size_t classes) {
  conversion *c = b->c;
  int64_t *integers = arena_array(c->memory, classes, sizeof *integers);
  bool all = integers && b->class_count == classes;
  for (size_t i = 0; all && i < classes; i++)
    all = memchr("-0123456789", *b->class_names[i].at ? *b->class_names[i].at : ' ', 11) &&
          number_read_int(b->class_names[i], &integers[i]);
  sdx_ref names = 0;
  if (all) names = sdx_graph_add_ints(c->graph, classes, integers);
  else if (b->class_count == classes) names = add_texts(b, "class_names", classes, b->class_names);
  sdx_ref label = names ? op2(b, "Gather", names, number) : number;
  node_rows_output(c, "label", label, names && !all ? SDX_STRING : SDX_INT64, 0);
}

static void add_outputs(catboost *b, sdx_ref score) {
  conversion *c = b->c;
  size_t width = b->width;
  bool binary = loss_is(b, "Logloss") || loss_is(b, "CrossEntropy") || loss_is(b, "Focal");
  if (binary && width == 1) {
    output_label(b, node_threshold(c, score, SDX_DOUBLE, 0), 2);
    node_rows_output(c, "probabilities", node_two_classes(c, logistic(b, score), SDX_DOUBLE), SDX_DOUBLE, 2);
  } else if (width > 1 && (loss_is(b, "MultiLogloss") || loss_is(b, "MultiCrossEntropy"))) {
    node_rows_output(c, "label", node_threshold(c, score, SDX_DOUBLE, 0), SDX_INT64, width);
    node_rows_output(c, "probabilities", logistic(b, score), SDX_DOUBLE, width);
  } else if (width > 1 && (loss_is(b, "MultiClass") || loss_is(b, "MultiClassOneVsAll"))) {
    bool one = loss_is(b, "MultiClass");
    sdx_ref best = sdx_graph_add_node(c->graph, "ArgMax", NULL, SDX_REFS(score));
    sdx_graph_set_int(c->graph, "axis", 1);
    sdx_graph_set_int(c->graph, "keepdims", 0);
    output_label(b, best, width);
    node_rows_output(c, "probabilities", one ? softmax(b, score) : logistic(b, score), SDX_DOUBLE, width);
  } else {
    bool exponent = loss_is(b, "Poisson") || loss_is(b, "Tweedie");
    if (exponent) score = op1(b, "Exp", score);
    if (loss_is(b, "RMSEWithUncertainty") && width == 2) {
      sdx_ref mean = gather(b, NULL, score, 1, (int64_t[]){0}, 1), log = gather(b, NULL, score, 1, (int64_t[]){1}, 1);
      score = node_concat(c, NULL, 1, SDX_REFS(mean, op1(b, "Exp", op2(b, "Add", log, log))));
    }
    node_rows_output(c, "prediction", score, SDX_DOUBLE, width > 1 ? width : 0);
  }
}

// ---- the model ------------------------------------------------------------------------------------------

static void add_names(catboost *b, const char *key, size_t count, const str *names) {
  for (size_t i = 0; i < count; i++)
    if (!names[i].size) return;
  convert_add_names(b->c, key, count, names);
}

static void tell_version(catboost *b) {
  static const char mark[] = "CatBoost release ";
  const char *at = b->version.size ? memmem(b->version.at, b->version.size, mark, sizeof mark - 1) : NULL;
  size_t n = at ? strspn(at += sizeof mark - 1, "0123456789.") : 0;
  while (n && at[n - 1] == '.') n--;
  if (n) convert_made_by(b->c, "CatBoost %.*s", (int)n, at);
  else convert_made_by(b->c, "CatBoost");
}

static void build(catboost *b) {
  static double zero;
  if (!b->bias_count) b->bias = &zero, b->bias_count = 1;
  if (!b->width) b->width = b->bias_count;
  if (b->bias_count == 1 && b->width > 1 && *b->bias == 0) {
    b->bias = arena_array(b->c->memory, b->width, sizeof *b->bias);
    b->bias_count = b->width;
  }
  if (!b->bias) convert_no_memory(b->c);
  if (b->bias_count != b->width)
    convert_fail(b->c, SDX_INVALID_MODEL, "bias", NULL, "it has %zu numbers, expected %zu", b->bias_count, b->width);
  if (b->depths.count && b->trees)
    convert_fail(b->c, SDX_INVALID_MODEL, "trees", NULL, "there are trees of both kinds");
  if (convert_failed(b->c)) return;
  add_outputs(b, scores(b, columns(b)));
  tell_version(b);
  add_names(b, "feature_names", b->numeric_count, b->numeric);
  add_names(b, "category_feature_names", b->categoric_count, b->categoric);
  add_names(b, "class_names", b->class_count, b->class_names);
  sdx_builder_describe(b->c->builder, "graph_name", "catboost");
}

static sdx_status convert(conversion *c) {
  catboost b = {.c = c, .scale = 1, .loss = STR("")};
  str_map_init(&b.category_of, c->memory);
  SDX_TRY(source_load(c->source, NULL, NULL, c->f));
  bool good = *c->source->bytes == 'C' ? catboost_read_cbm(&b) : catboost_read_json(&b);
  if (b.values.capacity && !convert_at_end(c, free, b.values.at)) {
    free(b.values.at);
    good = false;
    convert_no_memory(c);
  }
  if (good) build(&b);
  free(b.depths.at);
  free(b.splits.at);
  free(b.categories.at);
  return convert_failed(c) ? c->f->status : SDX_OK;
}

static const char reference[] =
    "def predict(path, inputs):\n"
    "    import catboost, numpy\n"
    "    model = catboost.CatBoost()\n"
    "    model.load_model(path, format='cbm' if open(path, 'rb').read(4) == b'CBM1' else 'json')\n"
    "    if 'categories' in inputs:\n"
    "        raise ValueError('models with categories are compared by hand: this knows no order of columns')\n"
    "    x, loss = inputs['input'], model.get_all_params().get('loss_function', '').split(':')[0]\n"
    "    if loss in ('Logloss', 'CrossEntropy', 'Focal', 'MultiClass', 'MultiClassOneVsAll', 'MultiLogloss',\n"
    "                'MultiCrossEntropy'):\n"
    "        return {'probabilities': model.predict(x, prediction_type='Probability')}\n"
    "    kinds = {'Poisson': 'Exponent', 'Tweedie': 'Exponent', 'RMSEWithUncertainty': 'RMSEWithUncertainty'}\n"
    "    return {'prediction': model.predict(x, prediction_type=kinds.get(loss, 'RawFormulaVal'))}\n";

CONVERT_FORMAT(catboost) = {
    .name = "catboost",
    .title = "CatBoost",
    .files = "binary (.cbm), JSON (.json)",
    .kinds = CONVERT_KINDS("catboost", "catboost-json"),
    .convert = convert,
    .reference = reference,
};
