// SPDX-License-Identifier: Apache-2.0
// TreeEnsemble 5 and its predecessors TreeEnsembleClassifier and TreeEnsembleRegressor (1, 3), all in the one form of
// tree_ensemble.h. Comparisons and sums are in double; rows are split over threads, trees are summed in their order.
//
//   Classifier with two labels whose weights all name one class: the score is that of the second label. If no
//   weight is negative it is a probability (label 2 above 0.5, scores [1 - s, s]), else a margin (label 2 above
//   0, scores [-s, s]); LOGISTIC takes both signs. This is onnxruntime's rule; ONNX says nothing. Base values
//   are always added (onnxruntime leaves them out where no tree contributes).
//
// History: 3 adds the *_as_tensor attributes (doubles), 5 the new encoding with set membership.
#include "ops/parts/tree_ensemble.h"

#include <math.h>

#include "ops/infer.h"
#include "tensor/convert.h"

// ---- infer ----------------------------------------------------------------------------------------

static sdx_status infer_features(op_step *c, int64_t *rows) {
  const tree_params *p = c->params;
  int64_t columns;
  SDX_TRY(ml_infer_rows(c, 0, rows, &columns));
  if (columns >= 0 && (size_t)columns < p->features)
    return step_fail(c, SDX_INVALID_SHAPE, "input 0 has %lld features, but a node reads feature %zu",
                     (long long)columns, p->features - 1);
  return SDX_OK;
}

static sdx_status infer(op_step *c) {
  const tree_params *p = c->params;
  int64_t rows;
  SDX_TRY(infer_features(c, &rows));
  if (p->classifies) SDX_TRY(infer_output(c, 0, ml_labels_dtype(&p->labels), 1, &rows));
  return infer_output(c, p->classifies, SDX_FLOAT, 2, (int64_t[]){rows, (int64_t)p->targets});
}

static sdx_status infer_5(op_step *c) {
  int64_t rows;
  SDX_TRY(infer_features(c, &rows));
  return infer_output(c, 0, infer_dtype_of(c, 0), 2,
                      (int64_t[]){rows, (int64_t)((const tree_params *)c->params)->targets});
}

// ---- compute --------------------------------------------------------------------------------------

static bool is_member(const double *set, double x) {
  for (; !isnan(*set); set++)
    if (*set == x) return true;
  return false;
}

static const tree_node *walk(const tree_params *p, uint32_t root, const double *x) {
  const tree_node *n = &p->nodes[root];
  while (n->mode != LEAF) {
    double v = x[n->feature];
    bool yes = false;
    switch (n->mode) {
      case LEQ:
        yes = v <= n->value;
        break;
      case LT:
        yes = v < n->value;
        break;
      case GTE:
        yes = v >= n->value;
        break;
      case GT:
        yes = v > n->value;
        break;
      case EQ:
        yes = v == n->value;
        break;
      case NEQ:
        yes = v != n->value && !isnan(v);
        break;
      default:
        yes = is_member(p->members + (size_t)n->value, v);
        break;
    }
    n = &p->nodes[yes || (n->missing_is_yes && isnan(v)) ? n->yes : n->no];
  }
  return n;
}

static void sum_trees(const tree_params *p, const double *x, double *scores) {
  bool extreme = p->aggregate == MIN || p->aggregate == MAX;
  for (size_t t = 0; t < p->targets; t++) scores[t] = extreme ? NAN : 0;  // NAN: nothing yet
  for (size_t r = 0; r < p->root_count; r++) {
    const tree_node *leaf = walk(p, p->roots[r], x);
    for (const tree_weight *w = p->weights + leaf->feature, *end = w + leaf->no; w < end; w++) {
      double *s = &scores[w->target];
      if (!extreme) *s += w->weight;
      else if (isnan(*s) || (p->aggregate == MIN ? w->weight < *s : w->weight > *s)) *s = w->weight;
    }
  }
  for (size_t t = 0; t < p->targets; t++) {
    if (p->aggregate == AVERAGE) scores[t] /= (double)(p->root_count ? p->root_count : 1);
    if (extreme && isnan(scores[t])) scores[t] = 0;
    if (p->base) scores[t] += p->base[t];
  }
}

// Scores -> label and transformed scores.
static size_t classify(const tree_params *p, double *s) {
  if (p->binary) {
    // The weights name one class; its sum is the score of the second label.
    uint32_t named = p->weight_count ? p->weights[0].target : 0;
    double score = s[named];
    ml_second_class(p->transform, p->all_positive, score, s);
    return score > (p->all_positive ? 0.5 : 0);
  }
  size_t best = ml_largest(s, p->targets);
  ml_transform_apply(p->transform, s, p->targets);
  return best;
}

static void rows_range(void *context, size_t begin, size_t end, size_t worker) {
  const ml_work *w = context;
  const tree_params *p = w->params;
  double *x = w->scratch + worker * w->each, *s = x + ml_columns(w->x);
  for (size_t row = begin; row < end; row++) {
    ml_row(w->x, row, x);
    sum_trees(p, x, s);
    if (p->classifies && p->targets == 1) {
      // One label: 1 where the score is positive, else 0; a string label has no opposite.
      if (w->labels && w->labels->dtype == SDX_INT64) ((int64_t *)w->labels->data)[row] = s[0] > 0;
      else if (w->labels) ml_labels_store(&p->labels, 0, w->labels, row);
      if (p->transform == ML_PROBIT) ml_transform_apply(ML_PROBIT, s, 1);
    } else if (p->classifies) {
      size_t best = classify(p, s);
      if (w->labels) ml_labels_store(&p->labels, best, w->labels, row);
    } else {
      ml_transform_apply(p->transform, s, p->targets);
    }
    if (w->scores) convert_from_doubles((sdx_dtype)w->scores->dtype, w->scores->data, row * p->targets, p->targets, s);
  }
}

static sdx_status prepare(op_step *c) {
  const tree_params *p = c->params;
  return ml_prepare(c, ml_columns(step_in(c, 0)), p->targets + 2);  // a row of features, a row of scores
}

static sdx_status compute(op_step *c) {
  const tree_params *p = c->params;
  size_t columns = ml_columns(step_in(c, 0));
  if (columns < p->features)
    return step_fail(c, SDX_INVALID_SHAPE, "input 0 has %zu features, but a node reads feature %zu", columns,
                     p->features - 1);
  return ml_compute(c, p->classifies, columns + p->targets + 2, 1 + 1024 / (p->root_count + 1), rows_range);
}

SDX_CASES = {
    "X=float[5,2] n_targets=1 nodes_treeids=0,0,0 nodes_nodeids=0,1,2 nodes_featureids=1,0,0 "
    "nodes_modes=BRANCH_LEQ,LEAF,LEAF nodes_values=0.5,0,0 nodes_truenodeids=1,0,0 nodes_falsenodeids=2,0,0 "
    "target_treeids=0,0 target_nodeids=1,2 target_ids=0,0 target_weights=0.25,-1",
    NULL};

#define OLD_ATTRS                                                                                                \
  "base_values:floats base_values_as_tensor:tensor nodes_falsenodeids:ints nodes_featureids:ints "               \
  "nodes_hitrates:floats "                                                                                       \
  "nodes_hitrates_as_tensor:tensor nodes_missing_value_tracks_true:ints nodes_modes:strings nodes_nodeids:ints " \
  "nodes_treeids:ints nodes_truenodeids:ints nodes_values:floats nodes_values_as_tensor:tensor "                 \
  "post_transform:string=NONE "
#define COMMON .params_size = sizeof(tree_params), .prepare = prepare, .compute = compute

static const char *const tree_ensemble_classifier_cases[] = {
    "X=float[5,2] classlabels_int64s=3,5,8 nodes_treeids=0,0,0 nodes_nodeids=0,1,2 nodes_featureids=1,0,0 "
    "nodes_modes=BRANCH_LEQ,LEAF,LEAF nodes_values=0.5,0,0 nodes_truenodeids=1,0,0 nodes_falsenodeids=2,0,0 "
    "class_treeids=0,0,0 class_nodeids=1,2,2 class_ids=0,1,2 class_weights=0.25,0.5,0.75 post_transform=SOFTMAX",
    "X=float[5,2] classlabels_strings=a,b,c nodes_treeids=0,0,0 nodes_nodeids=0,1,2 nodes_featureids=1,0,0 "
    "nodes_modes=BRANCH_GT,LEAF,LEAF nodes_values=0.5,0,0 nodes_truenodeids=1,0,0 nodes_falsenodeids=2,0,0 "
    "class_treeids=0,0,0 class_nodeids=1,2,2 class_ids=0,1,2 class_weights=0.25,0.5,0.75",
    NULL};

SDX_OP_ML(TreeEnsembleClassifier) = {
    COMMON,
    .since = 5,
    .versions = "5 3 1",
    .inputs = "X:T1",
    .outputs = "Y:T2 Z:float",
    .types = "T1=float,double,int32,int64;T2=int64,string",
    .attrs = OLD_ATTRS
    "class_ids:ints class_nodeids:ints class_treeids:ints class_weights:floats class_weights_as_tensor:tensor "
    "classlabels_int64s:ints classlabels_strings:strings",
    .params = tree_read_classifier,
    .infer = infer,
    .cases = tree_ensemble_classifier_cases,
};

SDX_OP_ML(TreeEnsembleRegressor) = {
    COMMON,
    .since = 5,
    .versions = "5 3 1",
    .inputs = "X:T",
    .outputs = "Y:float",
    .types = "T=float,double,int32,int64",
    .attrs = OLD_ATTRS
    "aggregate_function:string=SUM n_targets:int target_ids:ints target_nodeids:ints target_treeids:ints "
    "target_weights:floats target_weights_as_tensor:tensor",
    .params = tree_read_regressor,
    .infer = infer,
    .cases = cases};

static const char *const tree_ensemble_cases[] = {
    "X=float[5,2] n_targets=2 tree_roots=0 nodes_featureids=0,1 nodes_splits=float[2](0.5,-0.25) "
    "nodes_modes=uint8[2](0,0) nodes_truenodeids=1,0 nodes_trueleafs=0,1 nodes_falsenodeids=2,1 nodes_falseleafs=1,1 "
    "leaf_targetids=0,1,0 leaf_weights=float[3](1.5,-2,0.25)",
    NULL};

SDX_OP_ML(TreeEnsemble) = {
    COMMON,
    .since = 5,
    .versions = "5",
    .inputs = "X:T",
    .outputs = "Y:T",
    .types = "T=float,double,float16",
    .attrs =
        "aggregate_function:int=1 leaf_targetids:ints! leaf_weights:tensor! membership_values:tensor n_targets:int "
        "nodes_falseleafs:ints! nodes_falsenodeids:ints! nodes_featureids:ints! nodes_hitrates:tensor "
        "nodes_missing_value_tracks_true:ints nodes_modes:tensor! nodes_splits:tensor! nodes_trueleafs:ints! "
        "nodes_truenodeids:ints! post_transform:int=0 tree_roots:ints!",
    .params = tree_read,
    .infer = infer_5,
    .cases = tree_ensemble_cases,
};
