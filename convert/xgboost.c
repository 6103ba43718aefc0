// SPDX-License-Identifier: Apache-2.0
// XGBoost: the graph. Its scores are sums of floats, tree by tree on top of the base score, and so are ours: bit for
// bit the same. Links are computed in double and rounded, within one unit in the last place of XGBoost's.
#include "convert/xgboost.h"

#include <math.h>
#include <stdlib.h>

#include "convert/nodes.h"

typedef enum link { LINK_NONE, LINK_LOGISTIC, LINK_EXP, LINK_HINGE, LINK_SOFTPROB, LINK_SOFTMAX } link;
typedef enum result { RESULT_NUMBER, RESULT_BINARY, RESULT_CLASSES } result;

static const struct objective {
  const char *name;
  link link;  // from score to prediction
  link base;  // how base_score became a score
  result result;
} objectives[] = {
    {"reg:squarederror", LINK_NONE, LINK_NONE, RESULT_NUMBER},
    {"reg:linear", LINK_NONE, LINK_NONE, RESULT_NUMBER},
    {"reg:squaredlogerror", LINK_NONE, LINK_NONE, RESULT_NUMBER},
    {"reg:pseudohubererror", LINK_NONE, LINK_NONE, RESULT_NUMBER},
    {"reg:absoluteerror", LINK_NONE, LINK_NONE, RESULT_NUMBER},
    {"reg:quantileerror", LINK_NONE, LINK_NONE, RESULT_NUMBER},
    {"reg:expectileerror", LINK_NONE, LINK_NONE, RESULT_NUMBER},
    {"reg:logistic", LINK_LOGISTIC, LINK_LOGISTIC, RESULT_NUMBER},
    {"binary:logistic", LINK_LOGISTIC, LINK_LOGISTIC, RESULT_BINARY},
    {"binary:logitraw", LINK_NONE, LINK_LOGISTIC, RESULT_NUMBER},
    {"binary:hinge", LINK_HINGE, LINK_NONE, RESULT_NUMBER},
    {"count:poisson", LINK_EXP, LINK_EXP, RESULT_NUMBER},
    {"reg:gamma", LINK_EXP, LINK_EXP, RESULT_NUMBER},
    {"reg:tweedie", LINK_EXP, LINK_EXP, RESULT_NUMBER},
    {"survival:cox", LINK_EXP, LINK_EXP, RESULT_NUMBER},
    {"survival:aft", LINK_EXP, LINK_EXP, RESULT_NUMBER},
    {"multi:softprob", LINK_SOFTPROB, LINK_NONE, RESULT_CLASSES},
    {"multi:softmax", LINK_SOFTMAX, LINK_NONE, RESULT_CLASSES},
    {"rank:pairwise", LINK_NONE, LINK_NONE, RESULT_NUMBER},
    {"rank:ndcg", LINK_NONE, LINK_NONE, RESULT_NUMBER},
    {"rank:map", LINK_NONE, LINK_NONE, RESULT_NUMBER},
};
enum { OBJECTIVES = sizeof objectives / sizeof *objectives, MOST_GROUPS_WITHOUT_TREES = 1024 };

static const struct objective *find_objective(xgboost *x) {
  for (size_t i = 0; i < OBJECTIVES; i++)
    if (!strcmp(x->objective, objectives[i].name)) return &objectives[i];
  convert_fail(x->c, SDX_NOT_SUPPORTED, "learner.objective",
               "a model of your own objective can be saved with reg:squarederror: it predicts scores",
               "the objective '%s' is not known", x->objective);
  return NULL;
}

// ---- scores -----------------------------------------------------------------------------------------

static bool before(const xgboost *x, int64_t major, int64_t minor) {
  return x->version[0] < major || (x->version[0] == major && x->version[1] < minor);
}

static float base_of(const xgboost *x, const struct objective *o, float score) {
  link how = o->base;
  if (before(x, 1, 0)) return score;                                                      // it was saved as a score
  if (o->link == LINK_NONE && how == LINK_LOGISTIC && !before(x, 1, 3)) how = LINK_NONE;  // logitraw
  if (how == LINK_LOGISTIC) return -logf(1.0f / score - 1.0f);
  return how == LINK_EXP ? logf(score) : score;
}

// What the sum of each group begins with. NULL after a failure.
static double *base_scores(xgboost *x, const struct objective *o, size_t groups) {
  double *base = arena_array(x->c->memory, groups, sizeof *base);
  if (!base) convert_no_memory(x->c);
  if (x->base_count != 1 && x->base_count != groups)
    convert_fail(x->c, SDX_INVALID_MODEL, "learner_model_param.base_score", NULL, "there are %zu, expected 1 or %zu",
                 x->base_count, groups);
  for (size_t i = 0; base && !convert_failed(x->c) && i < groups; i++) {
    base[i] = base_of(x, o, x->base_score[x->base_count == 1 ? 0 : i]);
    if (isnan(base[i]))
      convert_fail(x->c, SDX_INVALID_MODEL, "learner_model_param.base_score", NULL,
                   "%g is no prediction of objective %s", (double)x->base_score[x->base_count == 1 ? 0 : i], o->name);
  }
  return convert_failed(x->c) ? NULL : base;
}

static size_t count_groups(xgboost *x) {
  int64_t groups = x->num_class > 1 ? x->num_class : 1;
  if (x->num_target > groups) groups = x->num_target;
  if (groups > MOST_GROUPS_WITHOUT_TREES && (uint64_t)groups > x->group_count + x->weight_count)
    convert_fail(x->c, SDX_INVALID_MODEL, "learner_model_param", NULL, "%lld classes or targets for %zu trees",
                 (long long)groups, x->group_count);
  for (size_t i = 0; i < x->group_count; i++)
    if (x->group_of[i] >= groups) {
      convert_fail(x->c, SDX_INVALID_MODEL, "tree_info", NULL, "tree %zu is of group %u, but there are %lld groups", i,
                   x->group_of[i], (long long)groups);
      break;
    }
  return (size_t)groups;
}

static sdx_ref tree_scores(xgboost *x, sdx_ref input, size_t features, size_t groups, const double *base) {
  size_t trees = x->trees ? forest_trees(x->trees) : 0;
  if (trees != x->group_count)
    convert_fail(x->c, SDX_INVALID_MODEL, "tree_info", NULL, "%zu entries for %zu trees", x->group_count, trees);
  bool dart = !strcmp(x->booster, "dart");
  if (dart && x->tree_weight_count != trees)
    convert_fail(x->c, SDX_INVALID_MODEL, "weight_drop", NULL, "%zu weights for %zu trees", x->tree_weight_count,
                 trees);
  if (convert_failed(x->c)) return 0;
  if (!x->trees && !(x->trees = forest_create(x->c, SDX_FLOAT, 1))) return 0;
  for (size_t i = 0; dart && i < trees; i++) forest_scale(x->trees, i, x->tree_weights[i]);
  // The trees were added up first in old versions, and longer so under DART.
  forest_sum how = before(x, 1, dart ? 4 : 3) ? FOREST_STEPS_THEN_BASE : FOREST_STEPS;
  return forest_emit(x->trees, input, features, groups, x->group_of, base, how);
}

// The column that sums begin with, once a row: [N, groups, 1].
static sdx_ref start_column(xgboost *x, sdx_ref input, size_t groups, const float *start) {
  sdx_graph *g = x->c->graph;
  sdx_value *v = sdx_tensor_create(SDX_FLOAT, 3, (int64_t[]){1, (int64_t)groups, 1});
  if (v) memcpy(sdx_tensor_data(v), start, groups * sizeof *start);
  sdx_ref shape = sdx_graph_add_node(g, "Shape", NULL, SDX_REFS(input));
  sdx_ref rows = sdx_graph_add_node(g, "Gather", NULL, SDX_REFS(shape, sdx_graph_add_ints(g, 1, (int64_t[]){0})));
  sdx_ref ones = sdx_graph_add_ints(g, 2, (int64_t[]){1, 1});
  shape = node_concat(x->c, NULL, 0, SDX_REFS(rows, ones));
  return sdx_graph_add_node(g, "Expand", "bias", SDX_REFS(sdx_graph_add_initializer(g, "bias", v), shape));
}

// The bias, then feature times weight one by one; what is missing adds nothing.
static sdx_ref linear_scores(xgboost *x, sdx_ref input, size_t features, size_t groups, const double *base) {
  sdx_graph *g = x->c->graph;
  if (x->weight_count != (features + 1) * groups) {
    convert_fail(x->c, SDX_INVALID_MODEL, "weights", NULL,
                 "there are %zu, expected %zu for %zu features and %zu groups", x->weight_count,
                 (features + 1) * groups, features, groups);
    return 0;
  }
  sdx_value *v = sdx_tensor_create(SDX_FLOAT, 3, (int64_t[]){1, (int64_t)groups, (int64_t)features});
  float *weights = v ? sdx_tensor_data(v) : NULL, *start = arena_array(x->c->memory, groups, sizeof *start);
  if (!start) convert_no_memory(x->c);
  for (size_t group = 0; start && group < groups; group++) {
    for (size_t i = 0; weights && i < features; i++) weights[group * features + i] = x->weights[i * groups + group];
    start[group] = x->weights[features * groups + group] + (float)base[0];  // of the first group for all, as it does
  }
  if (!start) return 0;
  sdx_ref rows = node_unsqueeze(x->c, input, 1);
  sdx_ref products =
      sdx_graph_add_node(g, "Mul", "products", SDX_REFS(rows, sdx_graph_add_initializer(g, "weights", v)));
  sdx_ref missing = sdx_graph_add_node(g, "IsNaN", NULL, SDX_REFS(rows));
  sdx_ref zero = sdx_graph_add_scalar(g, SDX_FLOAT, 0);
  products = sdx_graph_add_node(g, "Where", "present", SDX_REFS(missing, zero, products));
  sdx_ref terms = node_concat(x->c, "terms", 2, SDX_REFS(start_column(x, input, groups, start), products));
  sdx_ref sums = sdx_graph_add_node(g, "CumSum", "running_sum", SDX_REFS(terms, sdx_graph_add_scalar(g, SDX_INT64, 2)));
  sdx_ref y =
      sdx_graph_add_node(g, "Gather", "sum", SDX_REFS(sums, sdx_graph_add_scalar(g, SDX_INT64, (double)features)));
  sdx_graph_set_int(g, "axis", 2);
  if (groups > 1) return y;
  y = sdx_graph_add_node(g, "Gather", "score", SDX_REFS(y, sdx_graph_add_scalar(g, SDX_INT64, 0)));
  sdx_graph_set_int(g, "axis", 1);
  return y;
}

// ---- predictions ------------------------------------------------------------------------------------

static sdx_ref logistic(xgboost *x, sdx_ref score) {
  sdx_graph *g = x->c->graph;
  sdx_ref one = sdx_graph_add_scalar(g, SDX_FLOAT, 1), most = sdx_graph_add_scalar(g, SDX_FLOAT, (double)88.7f);
  sdx_ref y = sdx_graph_add_node(g, "Neg", NULL, SDX_REFS(score));
  y = node_exp_f32(x->c, sdx_graph_add_node(g, "Min", NULL, SDX_REFS(y, most)));
  y = sdx_graph_add_node(g, "Add", NULL, SDX_REFS(y, one));
  return sdx_graph_add_node(g, "Div", "probability", SDX_REFS(one, y));
}

// XGBoost adds the exponentials up in double.
static sdx_ref softmax(xgboost *x, sdx_ref scores) {
  sdx_graph *g = x->c->graph;
  sdx_ref y = sdx_graph_add_node(g, "Sub", NULL, SDX_REFS(scores, node_reduce(x->c, "ReduceMax", scores, 1)));
  y = node_exp_f32(x->c, y);
  sdx_ref sum = node_reduce(x->c, "ReduceSum", node_cast(x->c, y, SDX_DOUBLE), 1);
  return sdx_graph_add_node(g, "Div", "probabilities", SDX_REFS(y, node_cast(x->c, sum, SDX_FLOAT)));
}

static void add_outputs(xgboost *x, const struct objective *o, sdx_ref score, size_t groups) {
  conversion *c = x->c;
  size_t columns = groups > 1 ? groups : 0;
  sdx_ref y = score;
  if (o->link == LINK_LOGISTIC) y = logistic(x, score);
  if (o->link == LINK_EXP) y = node_exp_f32(c, score);
  if (o->link == LINK_HINGE) y = node_cast(c, node_threshold(c, score, SDX_FLOAT, 0), SDX_FLOAT);
  if (o->result == RESULT_CLASSES) {
    y = softmax(x, score);
    node_rows_output(c, "label", node_arg_max(c, o->link == LINK_SOFTMAX ? score : y, 1), SDX_INT64, 0);
    node_rows_output(c, "probabilities", y, SDX_FLOAT, groups);
  } else if (o->result == RESULT_BINARY) {
    node_rows_output(c, "label", node_threshold(c, y, SDX_FLOAT, 0.5), SDX_INT64, columns);
    node_rows_output(c, "probabilities", columns ? y : node_two_classes(c, y, SDX_FLOAT), SDX_FLOAT,
                     columns ? columns : 2);
  } else {
    node_rows_output(c, "prediction", y, SDX_FLOAT, columns);
  }
}

static sdx_status build(xgboost *x) {
  conversion *c = x->c;
  const struct objective *o = find_objective(x);
  bool linear = !strcmp(x->booster, "gblinear");
  if (!linear && strcmp(x->booster, "gbtree") && strcmp(x->booster, "dart"))
    convert_fail(c, SDX_NOT_SUPPORTED, "learner.gradient_booster", NULL, "the booster '%s' is not known", x->booster);
  if (!x->base_score) convert_fail(c, SDX_INVALID_MODEL, "learner.learner_model_param", NULL, "there is no base_score");
  size_t groups = count_groups(x), features = x->trees ? forest_features(x->trees) : 1;
  if (x->num_feature > (int64_t)features) features = (size_t)x->num_feature;
  if (features > FOREST_MOST_FEATURES)
    convert_fail(c, SDX_LIMIT_EXCEEDED, "learner_model_param", NULL, "%zu features, expected at most %d", features,
                 FOREST_MOST_FEATURES);
  if (o && o->result == RESULT_CLASSES && groups < 2)
    convert_fail(c, SDX_INVALID_MODEL, "learner.learner_model_param", NULL, "objective %s with %zu class", o->name,
                 groups);
  if (convert_failed(c)) return c->f->status;
  double *base = base_scores(x, o, groups);
  if (!base) return c->f->status;
  sdx_ref input = node_rows_input(c, "input", SDX_FLOAT, features);
  sdx_ref score = (linear ? linear_scores : tree_scores)(x, input, features, groups, base);
  if (convert_failed(c)) return c->f->status;
  add_outputs(x, o, score, groups);
  convert_add_names(c, "feature_names", x->name_count, x->feature_names);
  sdx_builder_describe(c->builder, "graph_name", x->booster);
  if (x->has_categories)
    convert_note(c, "categories are given as their codes of the training data, missing ones as NaN");
  if (*x->best_iteration)
    convert_note(c, "all trees count, as in Booster.predict; early stopping found iteration %s best",
                 x->best_iteration);
  return SDX_OK;
}

static sdx_status convert(conversion *c) {
  xgboost x = {.c = c};
  SDX_TRY(source_load(c->source, NULL, NULL, c->f));
  const char *name = c->report->kind ? c->report->kind->name : "";
  bool document = !strcmp(name, "xgboost-json") || !strcmp(name, "xgboost-ubjson") || *c->source->bytes == '{';
  bool binary = document && c->source->size > 2 && c->source->bytes[1] && strchr("LiUIl#$", c->source->bytes[1]);
  SDX_TRY(document ? xgboost_read_document(&x, binary) : xgboost_read_binary(&x));
  if (x.version[0] || x.version[1])
    convert_made_by(c, "XGBoost %lld.%lld.%lld", (long long)x.version[0], (long long)x.version[1],
                    (long long)x.version[2]);
  else convert_made_by(c, "XGBoost before 1.0");
  return build(&x);
}

static const char reference[] =
    "def predict(path, inputs):\n"
    "    import numpy, xgboost\n"
    "    booster = xgboost.Booster(model_file=path)\n"
    "    booster.feature_names = booster.feature_types = None\n"
    "    y = booster.predict(xgboost.DMatrix(inputs['input']), validate_features=False)\n"
    "    config = __import__('json').loads(booster.save_config())['learner']\n"
    "    objective = config['objective']['name']\n"
    "    if objective == 'binary:logistic':\n"
    "        return {'label': (y > 0.5).astype(numpy.int64),\n"
    "                'probabilities': y if y.ndim == 2 else numpy.stack([1 - y, y], 1)}\n"
    "    if objective == 'multi:softprob':\n"
    "        return {'label': y.argmax(1), 'probabilities': y}\n"
    "    if objective == 'multi:softmax':\n"
    "        return {'label': y.astype(numpy.int64)}\n"
    "    return {'prediction': y}\n";

CONVERT_FORMAT(xgboost) = {
    .name = "xgboost",
    .title = "XGBoost",
    .files = "JSON (.json), UBJSON (.ubj), the old binary form (.model, .bin)",
    .kinds = CONVERT_KINDS("xgboost-json", "xgboost-ubjson", "xgboost-binary"),
    .convert = convert,
    .reference = reference,
};
