// SPDX-License-Identifier: Apache-2.0
// LightGBM: the graph. Scores are sums of doubles, tree by tree, and so are ours: bit for bit the same. Links are
// computed in double, within one unit in the last place of LightGBM's.
#include "convert/lightgbm.h"

#include "base/number.h"
#include "convert/nodes.h"

typedef enum link { LINK_NONE, LINK_LOGISTIC, LINK_EXP, LINK_LOG1P_EXP, LINK_SOFTMAX, LINK_SQUARE } link;
typedef enum result { RESULT_NUMBER, RESULT_BINARY, RESULT_CLASSES } result;

static const struct objective {
  const char *name;
  link link;
  result result;
} objectives[] = {
    {"", LINK_NONE, RESULT_NUMBER},
    {"regression", LINK_NONE, RESULT_NUMBER},
    {"regression_l1", LINK_NONE, RESULT_NUMBER},
    {"huber", LINK_NONE, RESULT_NUMBER},
    {"fair", LINK_NONE, RESULT_NUMBER},
    {"quantile", LINK_NONE, RESULT_NUMBER},
    {"mape", LINK_NONE, RESULT_NUMBER},
    {"poisson", LINK_EXP, RESULT_NUMBER},
    {"gamma", LINK_EXP, RESULT_NUMBER},
    {"tweedie", LINK_EXP, RESULT_NUMBER},
    {"binary", LINK_LOGISTIC, RESULT_BINARY},
    {"multiclass", LINK_SOFTMAX, RESULT_CLASSES},
    {"multiclassova", LINK_LOGISTIC, RESULT_CLASSES},
    {"cross_entropy", LINK_LOGISTIC, RESULT_NUMBER},
    {"xentropy", LINK_LOGISTIC, RESULT_NUMBER},
    {"cross_entropy_lambda", LINK_LOG1P_EXP, RESULT_NUMBER},
    {"xentlambda", LINK_LOG1P_EXP, RESULT_NUMBER},
    {"lambdarank", LINK_NONE, RESULT_NUMBER},
    {"rank_xendcg", LINK_NONE, RESULT_NUMBER},
    {"custom", LINK_NONE, RESULT_NUMBER},
};
enum { OBJECTIVES = sizeof objectives / sizeof *objectives, MOST_GROUPS_WITHOUT_TREES = 1024 };

// ---- splits -----------------------------------------------------------------------------------------

// What is this near to zero is zero to LightGBM: before anything else, features within become 0.
static const double near_zero = (double)1e-35f;

// NaN counts as 0 where the feature had no missing values in training.
tree_node lightgbm_numeric_split(uint32_t feature, double threshold, lightgbm_missing missing, bool default_left) {
  tree_node n = {.mode = TREE_LEQ,
                 .treatment = missing == MISSING_ZERO ? TREAT_ZERO_MISSING : TREAT_NONE,
                 .missing_yes = missing == MISSING_NONE ? threshold >= 0 : default_left,
                 .feature = feature,
                 .value = threshold};
  if (threshold < 0 && threshold >= -near_zero) {
    n.mode = TREE_LT;
    n.value = -near_zero;
  } else if (threshold >= 0 && threshold < near_zero) {
    n.value = near_zero;
  }
  return n;
}

tree_node lightgbm_category_split(lightgbm *l, uint32_t feature, const double *set, size_t count) {
  l->has_categories = true;
  return (tree_node){
      .mode = TREE_MEMBER, .treatment = TREAT_TRUNCATE, .feature = feature, .list = set, .list_count = count};
}

bool lightgbm_refuse_linear(lightgbm *l, const char *place) {
  convert_fail(l->c, SDX_NOT_SUPPORTED, place, "train with linear_tree=false",
               "the leaves are linear models (linear_tree), which are not converted");
  return false;
}

// ---- the objective ------------------------------------------------------------------------------------

static bool next_word(str *rest, str *word) {
  while (rest->size && *rest->at == ' ') rest->at++, rest->size--;
  size_t n = 0;
  while (n < rest->size && rest->at[n] != ' ') n++;
  *word = (str){rest->at, n};
  *rest = (str){rest->at + n, rest->size - n};
  return n > 0;
}

typedef struct chosen {
  const struct objective *objective;
  link link;
  double sigmoid;
} chosen;

static const struct objective *find_objective(lightgbm *l, str name) {
  str_nearest near;
  char hint[100];
  str_nearest_init(&near, name);
  for (size_t i = 0; i < OBJECTIVES; i++) {
    if (str_is(name, objectives[i].name)) return &objectives[i];
    str_nearest_offer(&near, str_from(objectives[i].name));
  }
  convert_fail(l->c, SDX_NOT_SUPPORTED, "objective", str_nearest_hint(&near, hint, sizeof hint),
               "the objective '%.*s' is not known", STR_ARG(name));
  return NULL;
}

// "binary sigmoid:1": a name, then what belongs to it.
static chosen read_objective(lightgbm *l) {
  static const char sigmoid[] = "sigmoid:";
  const size_t length = sizeof sigmoid - 1;
  str rest = l->objective, name, word;
  next_word(&rest, &name);
  chosen o = {.objective = find_objective(l, name), .sigmoid = 1};
  if (!o.objective) return o;
  o.link = o.objective->link;
  while (next_word(&rest, &word)) {
    if (str_is(word, "sqrt")) o.link = LINK_SQUARE;
    if (word.size < length || memcmp(word.at, sigmoid, length) != 0) continue;
    if (!number_read_real((str){word.at + length, word.size - length}, false, &o.sigmoid))
      convert_fail(l->c, SDX_INVALID_MODEL, "objective", NULL, "'%.*s' has no number", STR_ARG(word));
  }
  return o;
}

// ---- predictions ------------------------------------------------------------------------------------

static sdx_ref unary(lightgbm *l, const char *op, sdx_ref x) {
  return sdx_graph_add_node(l->c->graph, op, NULL, SDX_REFS(x));
}
static sdx_ref binary(lightgbm *l, const char *op, const char *name, sdx_ref x, sdx_ref y) {
  return sdx_graph_add_node(l->c->graph, op, name, SDX_REFS(x, y));
}
static sdx_ref scalar(lightgbm *l, double n) { return sdx_graph_add_scalar(l->c->graph, SDX_DOUBLE, n); }

static sdx_ref logistic(lightgbm *l, sdx_ref score, double sigmoid) {
  sdx_ref y = unary(l, "Exp", binary(l, "Mul", NULL, score, scalar(l, -sigmoid)));
  return binary(l, "Div", "probability", scalar(l, 1), binary(l, "Add", NULL, y, scalar(l, 1)));
}

static sdx_ref softmax(lightgbm *l, sdx_ref scores) {
  sdx_ref y = unary(l, "Exp", binary(l, "Sub", NULL, scores, node_reduce(l->c, "ReduceMax", scores, 1)));
  return binary(l, "Div", "probabilities", y, node_reduce(l->c, "ReduceSum", y, 1));
}

static sdx_ref apply(lightgbm *l, const chosen *o, sdx_ref score) {
  switch (o->link) {
    case LINK_NONE:
      return score;
    case LINK_LOGISTIC:
      return logistic(l, score, o->sigmoid);
    case LINK_EXP:
      return unary(l, "Exp", score);
    case LINK_LOG1P_EXP:
      return node_log1p_f64(l->c, unary(l, "Exp", score));
    case LINK_SOFTMAX:
      return softmax(l, score);
    case LINK_SQUARE:
      return binary(l, "Mul", "squared", binary(l, "Mul", NULL, unary(l, "Sign", score), score), score);
  }
  return 0;
}

static void add_outputs(lightgbm *l, const chosen *o, sdx_ref score, size_t groups) {
  conversion *c = l->c;
  sdx_ref y = apply(l, o, score);
  if (o->objective->result == RESULT_CLASSES) {
    node_rows_output(c, "label", node_arg_max(c, y, 1), SDX_INT64, 0);
    node_rows_output(c, "probabilities", y, SDX_DOUBLE, groups);
  } else if (o->objective->result == RESULT_BINARY) {
    node_rows_output(c, "label", node_threshold(c, y, SDX_DOUBLE, 0.5), SDX_INT64, 0);
    node_rows_output(c, "probabilities", node_two_classes(c, y, SDX_DOUBLE), SDX_DOUBLE, 2);
  } else {
    node_rows_output(c, "prediction", y, SDX_DOUBLE, groups > 1 ? groups : 0);
  }
}

// ---- the model ----------------------------------------------------------------------------------------

static bool check(lightgbm *l, const chosen *o) {
  int64_t groups = l->trees_per_iteration, trees = (int64_t)forest_trees(l->trees);
  if (groups < 1 || (groups > MOST_GROUPS_WITHOUT_TREES && groups > trees))
    convert_fail(l->c, SDX_INVALID_MODEL, "num_tree_per_iteration", NULL, "it is %lld, and there are %lld trees",
                 (long long)groups, (long long)trees);
  else if (trees % groups)
    convert_fail(l->c, SDX_INVALID_MODEL, "num_tree_per_iteration", "is the file cut short?",
                 "%lld trees, expected a multiple of %lld", (long long)trees, (long long)groups);
  if (l->highest_feature < 0 || l->highest_feature >= FOREST_MOST_FEATURES)
    convert_fail(l->c, SDX_INVALID_MODEL, "max_feature_idx", NULL, "it is %lld, expected 0 to %d",
                 (long long)l->highest_feature, FOREST_MOST_FEATURES - 1);
  if (o->objective && (o->objective->result == RESULT_CLASSES) != (groups > 1) && o->objective->result != RESULT_NUMBER)
    convert_fail(l->c, SDX_INVALID_MODEL, "objective", NULL, "%s with %lld trees an iteration", o->objective->name,
                 (long long)groups);
  return !convert_failed(l->c);
}

static void describe(lightgbm *l, const chosen *o) {
  conversion *c = l->c;
  convert_add_names(c, "feature_names", l->name_count, l->feature_names);
  sdx_builder_describe(c->builder, "graph_name", "lightgbm");
  if (l->pandas_categories.size) sdx_builder_add_metadata(c->builder, "pandas_categorical", l->pandas_categories.at);
  if (l->pandas_categories.size)
    convert_note(c, "categories are given by their place in the model's list pandas_categorical, others as NaN");
  else if (l->has_categories)
    convert_note(c, "categories are given as their codes of the training data, missing ones as NaN");
  if (!*o->objective->name) convert_note(c, "the file names no objective: predictions are scores");
}

static sdx_status build(lightgbm *l) {
  conversion *c = l->c;
  chosen o = read_objective(l);
  if (!check(l, &o)) return c->f->status;
  size_t groups = (size_t)l->trees_per_iteration, trees = forest_trees(l->trees);
  size_t features = (size_t)l->highest_feature + 1;
  uint32_t *group_of = arena_array(c->memory, trees, sizeof *group_of);
  if (!group_of) return convert_no_memory(c);
  for (size_t i = 0; i < trees; i++) group_of[i] = (uint32_t)(i % groups);
  sdx_ref input = node_rows_input(c, "input", SDX_DOUBLE, features);
  sdx_ref score = forest_emit(l->trees, input, features, groups, group_of, NULL, FOREST_SUM);
  if (l->average && trees) score = binary(l, "Div", "mean", score, scalar(l, (double)(trees / groups)));
  if (convert_failed(c)) return c->f->status;
  add_outputs(l, &o, score, groups);
  describe(l, &o);
  return SDX_OK;
}

static sdx_status convert(conversion *c) {
  lightgbm l = {.c = c, .version = STR("?"), .objective = STR(""), .trees_per_iteration = 1, .highest_feature = -1};
  SDX_TRY(source_load(c->source, NULL, NULL, c->f));
  l.trees = forest_create(c, SDX_DOUBLE, 1);
  if (!l.trees) return c->f->status;
  SDX_TRY(*c->source->bytes == 't' ? lightgbm_read_text(&l) : lightgbm_read_json(&l));
  convert_made_by(c, "LightGBM, model format %.*s", STR_ARG(l.version));
  return build(&l);
}

// What dump_model wrote LightGBM itself does not read.
static const char reference[] =
    "def predict(path, inputs):\n"
    "    import numpy, lightgbm\n"
    "    booster = lightgbm.Booster(model_file=path)\n"
    "    y = booster.predict(inputs['input'])\n"
    "    objective = (booster.dump_model(0).get('objective') or '').split(' ')[0]\n"
    "    if objective == 'binary':\n"
    "        return {'label': (y > 0.5).astype(numpy.int64), 'probabilities': numpy.stack([1 - y, y], 1)}\n"
    "    if objective.startswith('multiclass'):\n"
    "        return {'label': y.argmax(1), 'probabilities': y}\n"
    "    return {'prediction': y}\n";

CONVERT_FORMAT(lightgbm) = {
    .name = "lightgbm",
    .title = "LightGBM",
    .files = "text (.txt, .model), dump_model's JSON (.json)",
    .kinds = CONVERT_KINDS("lightgbm", "lightgbm-json"),
    .convert = convert,
    .reference = reference,
};
