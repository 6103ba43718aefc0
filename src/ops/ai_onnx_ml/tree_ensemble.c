// SPDX-License-Identifier: Apache-2.0
// TreeEnsemble 5 and its predecessors TreeEnsembleClassifier and TreeEnsembleRegressor (1, 3), all as the one forest of
// tree_ensemble.h. Comparisons and sums are as in double; rows are split over threads, trees summed in their order.
//
//   Classifier with two labels whose weights all name one class: the score is that of the second label. If no
//   weight is negative it is a probability (label 2 above 0.5, scores [1 - s, s]), else a margin (label 2 above
//   0, scores [-s, s]); LOGISTIC takes it for a margin in any case, and the label is the class on top, as ONNX
//   says. The rest is onnxruntime's rule. Base values are always added (onnxruntime leaves them out where no tree
//   contributes).
//
// History: 3 adds the *_as_tensor attributes (doubles), 5 the new encoding with set membership.
#include "ops/parts/tree_ensemble.h"

#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/floats.h"
#include "ops/prepare.h"
#include "tensor/convert.h"

// ---- infer ----------------------------------------------------------------------------------------

static sdx_status infer_features(op_step *c, int64_t *rows) {
  const tree_params *p = c->params;
  int64_t columns;
  SDX_TRY(ml_infer_rows(c, 0, rows, &columns));
  if (columns >= 0 && (size_t)columns < p->features)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld features, but a node reads feature %zu",
                        (long long)columns, p->features - 1);
  return SDX_OK;
}

static sdx_status tree_ensemble_infer(op_step *c) {
  const tree_params *p = c->params;
  int64_t rows;
  SDX_TRY(infer_features(c, &rows));
  if (p->classifies) SDX_TRY(infer_output(c, 0, ml_labels_dtype(&p->labels), 1, &rows));
  return infer_output(c, p->classifies, SDX_FLOAT, 2, (int64_t[]){rows, (int64_t)p->targets});
}

static sdx_status tree_ensemble_infer_5(op_step *c) {
  int64_t rows;
  SDX_TRY(infer_features(c, &rows));
  return infer_output(c, 0, infer_dtype_of(c, 0), 2,
                      (int64_t[]){rows, (int64_t)((const tree_params *)c->params)->targets});
}

// ---- compute --------------------------------------------------------------------------------------

typedef struct work {
  const tree_params *p;
  forest_kernels kernels;
  const tensor *x;
  tensor *labels, *scores;  // NULL: not wanted, or the model has none
  char *scratch;
  // Of a task, and of a thread's scratch: sums of a block, the forest's own, rows as doubles, one row of scores.
  size_t block, sums_bytes, forest_bytes, rows_bytes, each;
} work;

static bool is_read_in_place(const tensor *x) { return x->dtype == SDX_FLOAT || x->dtype == SDX_DOUBLE; }

// Blocks that give every thread one, if that leaves enough rows side by side; smaller ones for a great many targets.
static size_t block_of(const tree_params *p, size_t rows, size_t threads) {
  enum { SUMS_MOST = 1 << 18 };
  size_t block = FOREST_BLOCK;
  while (block > TREE_SCAN_LEAST && rows <= block * (threads - 1)) block /= 2;
  while (block > 1 && block > SUMS_MOST / p->targets) block /= 2;
  return block < rows ? block : rows;
}

static bool lay_out(work *w, const tensor *x, size_t threads) {
  const tree_params *p = w->p;
  w->block = block_of(p, ml_rows(x), threads ? threads : 1);
  w->forest_bytes = forest_scratch_bytes(&p->forest, w->block);
  return size_mul(w->block * sizeof(double), p->targets, &w->sums_bytes) &&
         size_mul(w->block * sizeof(double), is_read_in_place(x) ? 0 : p->features, &w->rows_bytes) &&
         scratch_reserve(&w->each, w->sums_bytes) && scratch_reserve(&w->each, w->rows_bytes) &&
         scratch_reserve(&w->each, w->forest_bytes) && scratch_reserve(&w->each, (p->targets + 2) * sizeof(double));
}

static sdx_status tree_ensemble_prepare(op_step *c) {
  work *w = arena_zalloc(c->memory, sizeof *w);
  if (!w) return error_no_memory(c->err, sizeof *w);
  *w = (work){.p = c->params, .kernels = forest_kernels_best()};
  c->state = w, c->kernel = kernel_best("tree_scan")->variant;
  bool fits =
      lay_out(w, step_in(c, 0), c->threads) && size_mul(w->each, c->threads ? c->threads : 1, &c->scratch_bytes);
  return fits ? SDX_OK : error_no_memory(c->err, SIZE_MAX);
}

// Scores -> label and transformed scores.
static size_t classify(const tree_params *p, double *s) {
  if (p->binary) {
    // The weights name one class; its sum is the score of the second label.
    double score = s[p->named];
    ml_second_class(p->transform, p->all_positive, score, s);
    return score > (p->all_positive && p->transform != ML_LOGISTIC ? 0.5 : 0);
  }
  size_t best = ml_largest(s, p->targets);
  ml_transform_apply(p->transform, s, p->targets);
  return best;
}

static void finish_row(const work *w, size_t row, double *s) {
  const tree_params *p = w->p;
  for (size_t t = 0; t < p->targets; t++) {
    if (p->aggregate == AVERAGE) s[t] /= (double)(p->roots ? p->roots : 1);
    if ((p->aggregate == MIN || p->aggregate == MAX) && isnan(s[t])) s[t] = 0;
    if (p->base) s[t] += p->base[t];
  }
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

static void run_blocks(void *context, size_t begin, size_t end, size_t worker) {
  const work *w = context;
  const tree_params *p = w->p;
  size_t rows = ml_rows(w->x), columns = ml_columns(w->x);
  char *scratch = w->scratch + worker * w->each;
  double *sums = scratch_take(&scratch, w->sums_bytes), *copy = scratch_take(&scratch, w->rows_bytes);
  forest_call call = {.forest = &p->forest, .kernels = w->kernels, .sums = sums, .sums_stride = w->block};
  call.scratch = scratch_take(&scratch, w->forest_bytes);
  double *row = (double *)scratch;
  for (size_t first = begin * w->block; first < rows && first < end * w->block; first += w->block) {
    call.rows = rows - first < w->block ? rows - first : w->block;
    call.is_double = w->x->dtype != SDX_FLOAT, call.x_stride = columns;
    call.x = (const char *)w->x->data + first * columns * (call.is_double ? sizeof(double) : sizeof(float));
    if (!is_read_in_place(w->x)) {
      call.x = copy, call.x_stride = p->features;
      for (size_t r = 0; r < call.rows; r++)
        convert_to_doubles((sdx_dtype)w->x->dtype, w->x->data, (first + r) * columns, p->features,
                           copy + r * p->features);
    }
    forest_run(&call);
    for (size_t r = 0; r < call.rows; r++) {
      for (size_t t = 0; t < p->targets; t++) row[t] = sums[t * w->block + r];
      finish_row(w, first + r, row);
    }
  }
}

static sdx_status tree_ensemble_compute(op_step *c) {
  work w = *(const work *)c->state;
  w.x = step_in(c, 0);
  w.scores = step_out(c, w.p->classifies), w.labels = w.p->classifies ? step_out(c, 0) : NULL;
  w.scratch = c->scratch;
  size_t rows = ml_rows(w.x), columns = ml_columns(w.x);
  if (columns < w.p->features)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %zu features, but a node reads feature %zu", columns,
                        w.p->features - 1);
  if (rows) call_parallel(c, (rows + w.block - 1) / w.block, 1, run_blocks, &w);
  return call_check(c);
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
#define COMMON .params_size = sizeof(tree_params), .prepare = tree_ensemble_prepare, .compute = tree_ensemble_compute

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
    .params = tree_ensemble_read_classifier,
    .infer = tree_ensemble_infer,
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
    .params = tree_ensemble_read_regressor,
    .infer = tree_ensemble_infer,
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
    .params = tree_ensemble_read,
    .infer = tree_ensemble_infer_5,
    .cases = tree_ensemble_cases,
};
