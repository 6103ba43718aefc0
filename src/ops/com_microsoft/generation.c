// SPDX-License-Identifier: Apache-2.0
// Steps of text generation outside of the network:
//   NGramRepeatBlock     the score of a token that would repeat an n-gram of the sequence becomes -inf
//   DynamicTimeWarping   the cheapest path through a matrix of costs, as its row and column numbers
//   BifurcationDetector  predicted tokens up to the first that the source does not have, and where to go on in the
//   source UnfoldTensor         windows of one dimension, as a new last dimension RelativePositionBias T5's learned
//   bias of the distance between query and key, in logarithmic buckets; the table
//                        lies as [heads, buckets] whatever its shape says
//   GatedRMSNorm         x / rms(x) * scale * act(gate) over groups as long as the scale
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/move.h"
#include "ops/parts/normalize.h"

// ---- NGramRepeatBlock -----------------------------------------------------------------------------

static sdx_status ngram_params(op_params_context *c, void *params) {
  int64_t n = params_int(c, "ngram_size");
  *(int64_t *)params = n;
  return n > 0 ? SDX_OK : params_fail(c, "ngram_size", "is %lld, expected at least 1", (long long)n);
}

static sdx_status ngram_infer(op_step *c) {
  int64_t batch = infer_dim(c, 0, 0);
  SDX_TRY(infer_rank(c, 0, 2, 2));
  SDX_TRY(infer_rank(c, 1, 2, 2));
  SDX_TRY(infer_agree(c, 1, 0, "batch", &batch));
  return infer_same(c, 0, 1);
}

static sdx_status ngram_compute(op_step *c) {
  const tensor *ids = step_in(c, 0), *scores = step_in(c, 1);
  tensor *y = step_out(c, 0);
  int64_t length = ids->dims[1], words = scores->dims[1], n = *(const int64_t *)c->params;
  if (y->data != scores->data && y->bytes) memcpy(y->data, scores->data, y->bytes);
  for (int64_t b = 0; n <= length && b < ids->dims[0]; b++) {
    const int64_t *row = (const int64_t *)ids->data + b * length, *last = row + length - (n - 1);
    for (int64_t i = 0; i + n <= length; i++) {
      if (n > 1 && memcmp(row + i, last, (size_t)(n - 1) * sizeof *row) != 0) continue;
      int64_t word = row[i + n - 1];
      if (word < 0 || word >= words)
        return step_fail(c, SDX_OUT_OF_RANGE, "input 0 ('input_ids') is %lld at [%lld, %lld], expected 0 to %lld",
                         (long long)word, (long long)b, (long long)(i + n - 1), (long long)(words - 1));
      ((float *)y->data)[b * words + word] = -INFINITY;
    }
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

// ---- DynamicTimeWarping ---------------------------------------------------------------------------

static sdx_status warping_infer(op_step *c) {
  int64_t one = 1;
  SDX_TRY(infer_rank(c, 0, 2, 3));
  if (infer_rank_of(c, 0) == 3) SDX_TRY(infer_agree(c, 0, 0, "first dimension", &one));
  return infer_output(c, 0, SDX_INT32, 2, (int64_t[]){2, DIM_UNKNOWN});
}

enum { DIAGONAL, UP, LEFT };

static sdx_status warping_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  size_t rows = (size_t)x->dims[x->rank - 2], columns = (size_t)x->dims[x->rank - 1], cells, costs;
  const float *cost = x->data;
  if (rows > INT32_MAX || columns > INT32_MAX || !size_mul(rows + 1, columns + 1, &cells) ||
      !size_mul(columns + 1, 2 * sizeof(float), &costs))
    return call_no_memory(c, SIZE_MAX);
  uint8_t *from = call_alloc(c, cells);
  float *before = call_alloc(c, costs);
  if (!from || !before) return call_no_memory(c, cells);
  float *now = before + columns + 1;
  for (size_t j = 0; j <= columns; j++) before[j] = j ? INFINITY : 0, from[j] = LEFT;
  for (size_t i = 1; i <= rows; i++) {
    now[0] = INFINITY;
    from[i * (columns + 1)] = UP;
    for (size_t j = 1; j <= columns; j++) {
      float diagonal = before[j - 1], up = before[j], left = now[j - 1];
      uint8_t best = diagonal < up && diagonal < left ? DIAGONAL : up < diagonal && up < left ? UP : LEFT;
      now[j] = (best == DIAGONAL ? diagonal : best == UP ? up : left) + cost[(i - 1) * columns + j - 1];
      from[i * (columns + 1) + j] = best;
    }
    float *swap = before;
    before = now, now = swap;
    SDX_TRY(call_check(c));
  }
  size_t steps = 0;
  for (size_t pass = 0; pass < 2; pass++) {  // count, then write from the end
    size_t i = rows, j = columns, at = steps;
    while (i > 0 || j > 0) {
      if (pass == 0) steps++;
      else {
        int32_t *path = step_out(c, 0)->data;
        at--;
        path[at] = (int32_t)i - 1, path[steps + at] = (int32_t)j - 1;
      }
      uint8_t step = from[i * (columns + 1) + j];
      i -= step != LEFT, j -= step != UP;
    }
    if (pass == 0) SDX_TRY(call_set_shape(c, 0, SDX_INT32, 2, (int64_t[]){2, (int64_t)steps}));
  }
  return SDX_OK;
}

// ---- BifurcationDetector --------------------------------------------------------------------------

typedef struct bifurcation_params {
  int64_t low, high;
} bifurcation_params;

static sdx_status bifurcation_read(op_params_context *c, void *params) {
  bifurcation_params p = {params_int(c, "min_ngram_size"), params_int(c, "max_ngram_size")};
  *(bifurcation_params *)params = p;
  if (p.low < 1) return params_fail(c, "min_ngram_size", "is %lld, expected at least 1", (long long)p.low);
  if (p.high < p.low) return params_fail(c, "max_ngram_size", "is %lld, below min_ngram_size", (long long)p.high);
  return SDX_OK;
}

static sdx_status bifurcation_infer(op_step *c) {
  for (size_t i = 0; i < 4; i++)
    if (i != 2) SDX_TRY(infer_rank(c, i, 1, 1));
  int64_t kept = infer_dim(c, 1, 0);
  bool predicted = infer_has(c, 3);
  SDX_TRY(infer_output(c, 0, SDX_INT64, 1, (int64_t[]){predicted ? DIM_UNKNOWN : kept}));
  return infer_output(c, 1, SDX_INT64, 0, NULL);
}

// Where n numbers begin in `in` from `first` on; `count` if nowhere.
static int64_t find_run(const int64_t *in, int64_t count, int64_t first, const int64_t *what, int64_t n) {
  for (int64_t i = first; i + n <= count; i++)
    if (memcmp(in + i, what, (size_t)n * sizeof *in) == 0) return i;
  return count;
}

static sdx_status bifurcation_compute(op_step *c) {
  const bifurcation_params *p = c->params;
  const tensor *source = step_in(c, 0), *current = step_in(c, 1), *before = step_in(c, 2), *predicted = step_in(c, 3);
  const int64_t *from = source->data;
  int64_t count = source->dims[0], kept = current->dims[0], added = 0;
  if (before->count != 1)
    return step_fail(c, SDX_INVALID_SHAPE, "input 2 ('prev_suffix_match_idx') has %zu elements, expected 1",
                     before->count);
  int64_t at = ((const int64_t *)before->data)[0];
  if (predicted) {
    if (at < 0 || at > count || predicted->dims[0] != count + 1 - at)
      return step_fail(c, SDX_OUT_OF_RANGE,
                       "input 2 ('prev_suffix_match_idx') is %lld: with %lld source tokens there cannot be %lld "
                       "predicted ones",
                       (long long)at, (long long)count, (long long)predicted->dims[0]);
    const int64_t *guess = predicted->data;
    while (at + added < count && from[at + added] == guess[added]) added++;
    added++;
    SDX_TRY(call_set_shape(c, 0, SDX_INT64, 1, (int64_t[]){kept + added}));
  }
  int64_t *tokens = step_out(c, 0)->data, length = kept + added, match = -1;
  if (kept) memcpy(tokens, current->data, (size_t)kept * sizeof *tokens);
  if (added) memcpy(tokens + kept, predicted->data, (size_t)added * sizeof *tokens);
  for (int64_t n = p->low; n <= p->high && n <= length && n <= count; n++) {
    int64_t first = find_run(from, count, 0, tokens + length - n, n);
    if (first == count) break;
    match = first + n;
    if (match >= count || find_run(from, count, first + 1, tokens + length - n, n) == count) break;
    match = -1;
    SDX_TRY(call_check(c));
  }
  tensor *suffix = step_out(c, 1);
  if (suffix) ((int64_t *)suffix->data)[0] = match;
  return SDX_OK;
}

// ---- UnfoldTensor ---------------------------------------------------------------------------------

typedef struct unfold_params {
  int64_t dim, size, step;
} unfold_params;

static sdx_status unfold_read(op_params_context *c, void *params) {
  unfold_params *p = params;
  *p = (unfold_params){params_int(c, "dim"), params_int(c, "size"), params_int(c, "step")};
  if (p->size < 1) return params_fail(c, "size", "is %lld, expected at least 1", (long long)p->size);
  if (p->step < 1) return params_fail(c, "step", "is %lld, expected at least 1", (long long)p->step);
  return SDX_OK;
}

static sdx_status unfold_infer(op_step *c) {
  const unfold_params *p = c->params;
  int rank = infer_rank_of(c, 0);
  int64_t out[TENSOR_MAX_RANK], dim = p->dim;
  SDX_TRY(infer_rank(c, 0, 1, TENSOR_MAX_RANK - 1));
  if (rank < 0) return infer_output(c, 0, infer_dtype_of(c, 0), -1, NULL);
  SDX_TRY(step_located(c, axis_normalize(&dim, (size_t)rank, "attribute 'dim'", c->err)));
  for (int i = 0; i < rank; i++) out[i] = c->in_types[0]->dims[i];
  if (out[dim] >= 0 && out[dim] < p->size)
    return step_fail(c, SDX_OUT_OF_RANGE, "attribute 'size' is %lld, but dimension %lld has only %lld elements",
                     (long long)p->size, (long long)dim, (long long)out[dim]);
  out[dim] = out[dim] < 0 ? DIM_UNKNOWN : (out[dim] - p->size) / p->step + 1;
  out[rank] = p->size;
  return infer_output(c, 0, infer_dtype_of(c, 0), rank + 1, out);
}

static sdx_status unfold_compute(op_step *c) {
  const unfold_params *p = c->params;
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  int64_t dim = p->dim;
  strided box = {.rank = y->rank};
  SDX_TRY(step_located(c, axis_normalize(&dim, x->rank, "attribute 'dim'", c->err)));
  if (y->count == 0) return SDX_OK;
  memcpy(box.dims, y->dims, y->rank * sizeof *y->dims);
  move_strides(x->dims, x->rank, box.from);
  move_strides(y->dims, y->rank, box.to);
  box.from[x->rank] = box.from[dim];
  box.from[dim] = wrap_mul(box.from[dim], p->step);
  move_strided(c, &box, move_width(x), x->data, y->data);
  return y->dtype == SDX_STRING ? move_keep_strings(c, y) : SDX_OK;
}

// ---- RelativePositionBias -------------------------------------------------------------------------

typedef struct position_params {
  int64_t most;
  bool both_ways;
} position_params;

static sdx_status position_read(op_params_context *c, void *params) {
  position_params *p = params;
  *p = (position_params){params_int(c, "max_distance"), params_int(c, "is_bidirectional") != 0};
  return p->most > 0 ? SDX_OK : params_fail(c, "max_distance", "is %lld, expected at least 1", (long long)p->most);
}

static sdx_status position_infer(op_step *c) {
  int64_t out[4] = {1, infer_dim(c, 0, 1), DIM_UNKNOWN, DIM_UNKNOWN}, buckets = infer_dim(c, 0, 0);
  SDX_TRY(infer_rank(c, 0, 2, 2));
  if (buckets >= 0 && buckets < (((const position_params *)c->params)->both_ways ? 4 : 2))
    return step_fail(c, SDX_INVALID_SHAPE, "input 0 ('bias_table') has %lld buckets, which are too few",
                     (long long)buckets);
  for (size_t i = 1; i <= 2; i++) {
    const tensor *t = c->constants[i];
    if (!t) continue;
    if (t->count != 1) return step_fail(c, SDX_INVALID_SHAPE, "input %zu has %zu elements, expected 1", i, t->count);
    out[1 + i] = tensor_index_at(t, 0);
    if (out[1 + i] < 0) return step_fail(c, SDX_OUT_OF_RANGE, "input %zu is %lld", i, (long long)out[1 + i]);
  }
  return infer_output(c, 0, infer_dtype_of(c, 0), 4, out);
}

static size_t bucket_of(const position_params *p, int64_t distance, int64_t buckets) {
  int64_t first = 0, n = -distance;
  if (p->both_ways) {
    buckets /= 2;
    if (n < 0) first = buckets, n = -n;
  } else n = n < 0 ? 0 : n;
  int64_t exact = buckets / 2;
  if (n < exact) return (size_t)(first + n);
  double span = log((double)p->most / (double)exact);
  double far = span > 0 ? log((double)n / (double)exact) / span * (double)(buckets - exact) : (double)buckets;
  int64_t bucket = exact + (far < (double)buckets ? (int64_t)far : buckets);
  return (size_t)(first + (bucket < buckets ? bucket : buckets - 1));
}

static sdx_status position_compute(op_step *c) {
  const tensor *table = step_in(c, 0);
  const tensor *y = step_out(c, 0);
  size_t width = move_width(table), buckets = (size_t)table->dims[0];
  size_t heads = (size_t)y->dims[1], rows = (size_t)y->dims[2], columns = (size_t)y->dims[3];
  for (size_t i = 0; i < rows; i++) {
    for (size_t j = 0; j < columns; j++) {
      size_t bucket = bucket_of(c->params, (int64_t)j - (int64_t)i, (int64_t)buckets);
      for (size_t h = 0; h < heads; h++)
        memcpy((char *)y->data + ((h * rows + i) * columns + j) * width,
               (const char *)table->data + (h * buckets + bucket) * width, width);
    }
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

// ---- GatedRMSNorm ---------------------------------------------------------------------------------

typedef struct gated_params {
  float epsilon;
  bool sigmoid;  // without the factor z
} gated_params;

static sdx_status gated_read(op_params_context *c, void *params) {
  gated_params *p = params;
  str name = params_string(c, "activation");
  p->sigmoid = str_is(name, "sigmoid");
  if (!p->sigmoid && !str_is(name, "silu") && !str_is(name, "swish"))
    return params_fail(c, "activation", "'%.*s' is none of silu, swish, sigmoid", STR_ARG(name));
  return normalize_epsilon(c, &p->epsilon);
}

static sdx_status gated_infer(op_step *c) {
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 1, -1));
  SDX_TRY(infer_rank(c, 1, 1, 1));
  int64_t each = infer_dim(c, 1, 0), last = rank > 0 ? c->in_types[0]->dims[rank - 1] : DIM_UNKNOWN;
  if (each == 0 || (each > 0 && last >= 0 && last % each))
    return step_fail(c, SDX_INVALID_SHAPE, "the last dimension %lld is not a multiple of the %lld elements of 'scale'",
                     (long long)last, (long long)each);
  if (rank >= 0) SDX_TRY(infer_rank(c, 2, rank, rank));
  for (int i = 0; i < rank; i++) {
    int64_t have = c->in_types[0]->dims[i];
    SDX_TRY(infer_agree(c, 2, i, "dimension of X", &have));
  }
  return infer_same(c, 0, 0);
}

typedef struct gated_job {
  const gated_params *p;
  const float *x, *scale, *gate;
  float *y;
  size_t each;
} gated_job;

static void gated_range(void *context, size_t begin, size_t end, size_t worker) {
  const gated_job *j = context;
  for (size_t row = begin; row < end; row++) {
    const float *x = j->x + row * j->each, *gate = j->gate + row * j->each;
    double squares = 0;
    for (size_t i = 0; i < j->each; i++) squares += (double)x[i] * (double)x[i];
    float inverse = (float)(1 / sqrt(squares / (double)j->each + (double)j->p->epsilon));
    for (size_t i = 0; i < j->each; i++) {
      float z = 1 / (1 + expf(-gate[i]));
      j->y[row * j->each + i] = x[i] * inverse * j->scale[i] * (j->p->sigmoid ? z : z * gate[i]);
    }
  }
}

static sdx_status gated_prepare(op_step *c) { return prepare_widened(c, 0); }
static sdx_status gated(op_step *c) {
  const tensor *x = step_in(c, 0), *scale = step_in(c, 1);
  gated_job j = {c->params, x->data, scale->data, step_in(c, 2)->data, step_out(c, 0)->data, scale->count};
  call_parallel(c, x->count / j.each, 1 + GRAIN_COSTLY / j.each, gated_range, &j);
  return call_check(c);
}
static sdx_status gated_compute(op_step *c) { return call_widened(c, gated); }

SDX_CASES = {"input_ids=int64[2,6]@0..3 scores=float[2,5] ngram_size=2", NULL};
static const char *const warping_cases[] = {"input=float[4,6]", NULL};
static const char *const unfold_cases[] = {"input=float[2,7,3] dim=1 size=3 step=2", NULL};
static const char *const position_cases[] = {
    "bias_table=float[32,2] query_length=int64(5) key_length=int64(5) max_distance=128 is_bidirectional=1", NULL};
static const char *const gated_cases[] = {"X=float[2,3,8] scale=float[4] gate=float[2,3,8]", NULL};

static const char *const bifurcation_cases[] = {
    "src_tokens=int64(1,5,3,4,2) cur_tokens=int64(1,5) prev_suffix_match_idx=int64[](2) pred_tokens=int64(3,2,4,1) "
    "outputs=2",
    "src_tokens=int64(1,5,3,4,2) cur_tokens=int64(1,5,3) prev_suffix_match_idx=int64[](0) outputs=2", NULL};

// clang-format off
SDX_OP_MS(NGramRepeatBlock) = {
    .since = 1, .versions = "1", .inputs = "input_ids:Tid scores:T", .outputs = "scores_out:T",
    .types = "Tid=int64;T=float", .attrs = "ngram_size:int!", .params_size = sizeof(int64_t), .params = ngram_params,
    .infer = ngram_infer, .compute = ngram_compute, .cases = cases};
SDX_OP_MS(DynamicTimeWarping) = {
    .since = 1, .versions = "1", .inputs = "input:F", .outputs = "output:I", .types = "F=float;I=int32",
    .infer = warping_infer, .compute = warping_compute, .cases = warping_cases};
SDX_OP_MS(BifurcationDetector) = {
    .since = 1, .versions = "1", .inputs = "src_tokens:T cur_tokens:T prev_suffix_match_idx:T pred_tokens:T?",
    .outputs = "tokens:T suffix_match_idx:T", .types = "T=int64",
    .attrs = "max_ngram_size:int=3 min_ngram_size:int=1", .params_size = sizeof(bifurcation_params),
    .params = bifurcation_read, .infer = bifurcation_infer, .compute = bifurcation_compute,
    .cases = bifurcation_cases};
SDX_OP_MS(UnfoldTensor) = {
    .since = 1, .versions = "1", .inputs = "input:T", .outputs = "output:T",
    .types = "T=uint8,uint16,uint32,uint64,int8,int16,int32,int64,bfloat16,float16,float,double,string,bool,complex64,"
             "complex128",
    .attrs = "dim:int=-1 size:int! step:int=1", .params_size = sizeof(unfold_params), .params = unfold_read,
    .infer = unfold_infer, .compute = unfold_compute, .cases = unfold_cases};
SDX_OP_MS(RelativePositionBias) = {
    .since = 1, .versions = "1", .inputs = "bias_table:T query_length:U key_length:U", .outputs = "output:T",
    .types = "T=float,float16;U=int64", .attrs = "is_bidirectional:int=0 max_distance:int!",
    .params_size = sizeof(position_params), .params = position_read, .infer = position_infer,
    .compute = position_compute, .cases = position_cases};
SDX_OP_MS(GatedRMSNorm) = {
    .since = 1, .versions = "1", .inputs = "X:T scale:T gate:T", .outputs = "Y:T", .types = "T=float,float16,bfloat16",
    .attrs = "activation:string=silu epsilon:float=1e-5", .params_size = sizeof(gated_params), .params = gated_read,
    .infer = gated_infer, .prepare = gated_prepare, .compute = gated_compute, .cases = gated_cases};
// clang-format on
