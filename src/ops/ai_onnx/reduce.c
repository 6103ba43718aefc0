// SPDX-License-Identifier: Apache-2.0
// ReduceSum Mean Max Min Prod L1 L2 LogSum LogSumExp SumSquare over any set of axes.
//
// float reduces one group of adjacent axes at a time with the kernel family reduce_f32 (rows or columns of
// a matrix), the last group first; half goes through it as float. The other types and LogSumExp walk all reduced
// axes at once (reduce.inl). An empty set gives 0, 1 for Prod, -inf or the lowest value for Max, +inf or
// the highest for Min, NaN for the mean of floats (0 of integers). Means of integers truncate.
//
// History: `axes` was an attribute up to 12 (ReduceSum) or 17 and is an input since; with it came
// noop_with_empty_axes: no axes, nothing is reduced, but squares, roots and logarithms still apply. Max and Min
// took 8-bit types in 12 and bool in 20. 28 took the integers from LogSum and LogSumExp; we still have them.
#include <math.h>

#include "base/size.h"
#include "kernels/reduce_f32/reduce_f32.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/reduce_walk.h"
#include "ops/parts/row.h"
#include "tensor/convert.h"

// ---- loops ------------------------------------------------------------------------------------

typedef enum reduce_op {
  REDUCE_SUM,
  REDUCE_MEAN,
  REDUCE_MAX,
  REDUCE_MIN,
  REDUCE_PROD,
  REDUCE_L1,
  REDUCE_L2,
  REDUCE_LOG_SUM,
  REDUCE_LOG_SUM_EXP,
  REDUCE_SUM_SQUARE,
} reduce_op;

enum { PIECE = 1 << 18 };  // elements between two looks at the clock

typedef struct reduce_job {
  reduce_op op;
  sdx_dtype dtype;
  const void *in;
  void *out;
  const reduce_walk *walk;
} reduce_job;

#define T int8_t
#define SUFFIX int8
#define LOW INT8_MIN
#define HIGH INT8_MAX
#include "ops/ai_onnx/reduce.inl"
#define T uint8_t
#define SUFFIX uint8
#define LOW 0
#define HIGH UINT8_MAX
#include "ops/ai_onnx/reduce.inl"
#define T int32_t
#define SUFFIX int32
#define LOW INT32_MIN
#define HIGH INT32_MAX
#include "ops/ai_onnx/reduce.inl"
#define T uint32_t
#define SUFFIX uint32
#define LOW 0
#define HIGH UINT32_MAX
#include "ops/ai_onnx/reduce.inl"
#define T int64_t
#define SUFFIX int64
#define LOW INT64_MIN
#define HIGH INT64_MAX
#include "ops/ai_onnx/reduce.inl"
#define T uint64_t
#define SUFFIX uint64
#define LOW 0
#define HIGH UINT64_MAX
#include "ops/ai_onnx/reduce.inl"
#define T float
#define SUFFIX float
#define LOW -INFINITY
#define HIGH INFINITY
#define FLOATING
#include "ops/ai_onnx/reduce.inl"
#define T double
#define SUFFIX double
#define LOW -INFINITY
#define HIGH INFINITY
#define FLOATING
#include "ops/ai_onnx/reduce.inl"

// bool: False < True; only Max and Min, which are or and and.
static void reduce_range_boolean(void *context, size_t begin, size_t end, size_t worker) {
  const reduce_job *j = context;
  const reduce_walk *w = j->walk;
  bool start = j->op == REDUCE_MIN;
  size_t done = 0;
  for (size_t index = begin; index < end; index++) {
    bool result = start;
    reduce_run run;
    reduce_run_start(&run, w, reduce_walk_offset(w, index));
    if (w->terms) do {
        const uint8_t *x = (const uint8_t *)j->in + run.offset;
        for (size_t i = 0; i < w->reduced[w->reduced_rank - 1] && !pool_stopped_after(&done, 1); i++)
          if (!x[i * w->reduced_step[w->reduced_rank - 1]] == start) result = !start;
      } while (reduce_run_next(&run, w));
    ((bool *)j->out)[index] = result;
  }
}

// ---- float ------------------------------------------------------------------------------------

// One stage: [outer, rows, cols] to [outer, cols].
typedef struct stage {
  const float *in;
  float *out;
  size_t outer, rows, cols, strips;
  const reduce_f32_kernel *kernel;
  reduce_f32_op op;
} stage;

enum { STRIP = 1024 };  // columns of a unit of work

static void stage_range(void *context, size_t begin, size_t end, size_t worker) {
  const stage *s = context;
  if (s->cols == 1) {
    s->kernel->inner[s->op](s->in + begin * s->rows, s->out + begin, end - begin, s->rows);
    return;
  }
  for (size_t unit = begin; unit < end; unit++) {
    size_t o = unit / s->strips, c = unit % s->strips * STRIP;
    size_t width = s->cols - c < STRIP ? s->cols - c : STRIP;
    s->kernel->outer[s->op](s->in + o * s->rows * s->cols + c, s->cols, s->out + o * s->cols + c, s->rows, width);
  }
}

// How each operation starts, goes on over further groups, and ends.
static const struct {
  reduce_f32_op first, next;
} steps_of[] = {
    [REDUCE_SUM] = {REDUCE_F32_SUM, REDUCE_F32_SUM},          [REDUCE_MEAN] = {REDUCE_F32_SUM, REDUCE_F32_SUM},
    [REDUCE_MAX] = {REDUCE_F32_MAX, REDUCE_F32_MAX},          [REDUCE_MIN] = {REDUCE_F32_MIN, REDUCE_F32_MIN},
    [REDUCE_PROD] = {REDUCE_F32_PROD, REDUCE_F32_PROD},       [REDUCE_L1] = {REDUCE_F32_L1, REDUCE_F32_SUM},
    [REDUCE_L2] = {REDUCE_F32_SUMSQ, REDUCE_F32_SUM},         [REDUCE_LOG_SUM] = {REDUCE_F32_SUM, REDUCE_F32_SUM},
    [REDUCE_SUM_SQUARE] = {REDUCE_F32_SUMSQ, REDUCE_F32_SUM},
};

// Floats between the stages: the first intermediate is the largest, two of them alternate.
static size_t stage_floats(const reduce_walk *w) {
  if (w->reduced_rank == 1 || w->terms == 0) return 0;
  return 2 * (w->results * (w->terms / w->reduced[w->reduced_rank - 1]));
}

static sdx_status reduce_float(op_step *c, reduce_op op, const reduce_walk *w, const tensor *in, tensor *out) {
  if (w->results == 0) return SDX_OK;
  // Extents of the groups, outermost first, from the two lists ordered by step.
  size_t extents[2 * TENSOR_MAX_RANK] = {w->results, 0}, count = 2, left = 1;
  bool reduced[2 * TENSOR_MAX_RANK] = {false, true};
  if (w->terms) {
    left = w->reduced_rank;
    count = 0;
    for (size_t k = 0, r = 0; k < w->kept_rank || r < w->reduced_rank; count++) {
      reduced[count] = k == w->kept_rank || (r < w->reduced_rank && w->reduced_step[r] > w->kept_step[k]);
      extents[count] = reduced[count] ? w->reduced[r++] : w->kept[k++];
    }
  }
  size_t floats = stage_floats(w);
  float *between = NULL;
  if (floats) {
    between = call_scratch(c, floats * sizeof *between);
    if (!between) return c->err->status;
  }
  stage s = {.in = in->data, .kernel = c->state ? c->state : KERNEL_BEST(reduce_f32), .op = steps_of[op].first};
  if (op == REDUCE_MEAN && left == 1) s.op = REDUCE_F32_MEAN;
  bool divide = op == REDUCE_MEAN && left > 1;
  for (size_t turn = 0; left > 0; left--, turn ^= 1) {
    size_t g = count;
    s.cols = 1, s.outer = 1;
    while (!reduced[--g]) s.cols *= extents[g];
    for (size_t i = 0; i < g; i++) s.outer *= extents[i];
    s.rows = extents[g];
    s.out = left == 1 ? out->data : between + turn * (floats / 2);
    s.strips = (s.cols + STRIP - 1) / STRIP;
    size_t units = s.cols == 1 ? s.outer : s.outer * s.strips;
    size_t work = s.rows * (s.cols < STRIP ? s.cols : STRIP);
    call_parallel(c, units, work >= GRAIN_CHEAP || work == 0 ? 1 : GRAIN_CHEAP / work, stage_range, &s);
    for (size_t i = g; i + 1 < count; i++) extents[i] = extents[i + 1], reduced[i] = reduced[i + 1];
    count--;
    s.in = s.out;
    s.op = steps_of[op].next;
  }
  float *y = out->data;
  for (size_t i = 0; i < out->count; i++) {
    if (divide) y[i] = (float)((double)y[i] / (double)w->terms);
    if (op == REDUCE_L2) y[i] = sqrtf(y[i]);
    if (op == REDUCE_LOG_SUM) y[i] = logf(y[i]);
  }
  return SDX_OK;
}

// ---- params, upgrade, infer -------------------------------------------------------------------

typedef struct reduce_params {
  reduce_op op;
  bool keepdims, noop;
} reduce_params;

#define PARAMS(lower, Op)                                                                                         \
  static sdx_status lower##_read(op_params_context *c, void *params) {                                            \
    *(reduce_params *)params =                                                                                    \
        (reduce_params){REDUCE_##Op, params_int(c, "keepdims") != 0, params_int(c, "noop_with_empty_axes") != 0}; \
    return SDX_OK;                                                                                                \
  }
PARAMS(sum, SUM)
PARAMS(mean, MEAN)
PARAMS(max, MAX)
PARAMS(min, MIN)
PARAMS(prod, PROD)
PARAMS(l1, L1)
PARAMS(l2, L2)
PARAMS(log_sum, LOG_SUM)
PARAMS(log_sum_exp, LOG_SUM_EXP)
PARAMS(sum_square, SUM_SQUARE)

static sdx_status reduce_upgrade(op_upgrade *u) { return upgrade_ints_to_input(u, "axes", 1); }

// Which of `rank` axes are reduced, in the order of memory; false with `bad` set for an axis out of range.
static bool read_axes(const op_step *c, size_t rank, const tensor *axes, bool *reduce, int64_t *bad) {
  const reduce_params *p = c->params;
  size_t count = axes ? axes->count : 0;
  for (size_t i = 0; i < rank; i++) reduce[i] = count == 0 && !p->noop;
  for (size_t i = 0; i < count; i++) {
    int64_t axis = *bad = tensor_index_at(axes, i);
    if (axis < -(int64_t)rank || axis >= (int64_t)rank) return false;
    reduce[layout_axis((layout)c->layout, rank, (size_t)(axis < 0 ? axis + (int64_t)rank : axis))] = true;
  }
  return true;
}

// Shape of the result; returns its rank.
static size_t kept_dims(const reduce_params *p, size_t rank, const int64_t *in, const bool *reduce, int64_t *out) {
  size_t kept = 0;
  for (size_t i = 0; i < rank; i++)
    if (!reduce[i]) out[kept++] = in[i];
    else if (p->keepdims) out[kept++] = 1;
  return kept;
}

static sdx_status reduce_infer(op_step *c) {
  const reduce_params *p = c->params;
  int rank = infer_rank_of(c, 0);
  sdx_dtype dtype = infer_dtype_of(c, 0);
  bool has_axes = infer_has(c, 1), reduce[TENSOR_MAX_RANK];
  const tensor *axes = has_axes && c->constants ? c->constants[1] : NULL;
  if (rank < 0 || rank > TENSOR_MAX_RANK) return infer_output(c, 0, dtype, -1, NULL);
  int64_t dims[TENSOR_MAX_RANK], bad;
  if (has_axes && !axes) {  // which ones is known when the call is made
    for (int i = 0; i < rank; i++) dims[i] = DIM_UNKNOWN;
    return infer_output(c, 0, dtype, p->keepdims ? rank : -1, dims);
  }
  if (!read_axes(c, (size_t)rank, axes, reduce, &bad))
    return step_fail_at(c, at_attribute("axis"), SDX_OUT_OF_RANGE, "is %lld, expected within [-%d, %d)", (long long)bad,
                        rank, rank);
  return infer_output(c, 0, dtype, (int)kept_dims(p, (size_t)rank, c->in_types[0]->dims, reduce, dims), dims);
}

// Without its reduced dimensions, what is left of a tensor must lie as one of the two layouts of its rank.
static void reduce_layouts(op_step *c, step_layouts *l) {
  bool reduce[TENSOR_MAX_RANK];
  int64_t bad;
  const tensor *axes = infer_has(c, 1) ? c->constants[1] : NULL;
  if ((infer_has(c, 1) && !axes) || !read_axes(c, (size_t)c->in_types[0]->rank, axes, reduce, &bad)) return;
  if (c->in_types[0]->rank < 3) return;
  bool keeps = ((const reduce_params *)c->params)->keepdims, channels = !reduce[1];
  if (!keeps && channels && reduce[0] && c->out_types[0].rank > 1) return;
  layouts_follow(c, l);
  if (!keeps && !channels) l->out[0] = PORT_ONNX;
}

// ---- compute ----------------------------------------------------------------------------------

static sdx_status reduce_prepare(op_step *c) {
  c->state = (void *)KERNEL_BEST(reduce_f32);
  const tensor *axes = c->input_count > 1 ? step_in(c, 1) : NULL;
  bool reduce[TENSOR_MAX_RANK];
  int64_t bad;
  size_t floats = 0;
  if ((!axes || axes->data) && read_axes(c, step_in(c, 0)->rank, axes, reduce, &bad)) {
    reduce_walk w;
    reduce_walk_init(&w, step_in(c, 0), reduce);
    floats = stage_floats(&w);
  }
  return prepare_widened(c, floats * sizeof(float));
}

static sdx_status reduce_any(op_step *c) {
  const reduce_params *p = c->params;
  const tensor *in = step_in(c, 0);
  tensor *out = step_out(c, 0);
  bool reduce[TENSOR_MAX_RANK];
  int64_t bad;
  reduce_walk walk;
  read_axes(c, in->rank, step_in(c, 1), reduce, &bad);
  reduce_walk_init(&walk, in, reduce);
  if (walk.results != out->count)
    return step_fail(c, SDX_INTERNAL, "%zu results for an output of %zu elements", walk.results, out->count);
  if (in->dtype == SDX_FLOAT && p->op != REDUCE_LOG_SUM_EXP) return reduce_float(c, p->op, &walk, in, out);

  void (*range)(void *, size_t, size_t, size_t) = NULL;
  switch (in->dtype) {
    case SDX_INT8:
      range = reduce_range_int8;
      break;
    case SDX_UINT8:
      range = reduce_range_uint8;
      break;
    case SDX_INT32:
      range = reduce_range_int32;
      break;
    case SDX_UINT32:
      range = reduce_range_uint32;
      break;
    case SDX_INT64:
      range = reduce_range_int64;
      break;
    case SDX_UINT64:
      range = reduce_range_uint64;
      break;
    case SDX_FLOAT:
      range = reduce_range_float;
      break;
    case SDX_DOUBLE:
      range = reduce_range_double;
      break;
    case SDX_BOOL:
      range = reduce_range_boolean;
      break;
    default:
      return step_fail_dtype(c, in);
  }
  reduce_job job = {p->op, (sdx_dtype)in->dtype, in->data, out->data, &walk};
  size_t grain = walk.terms == 0 || walk.terms > GRAIN_CHEAP ? 1 : GRAIN_CHEAP / walk.terms;
  call_parallel(c, walk.results, grain, range, &job);
  return SDX_OK;
}

static sdx_status reduce_compute(op_step *c) {
  const tensor *in = step_in(c, 0), *axes = step_in(c, 1);
  bool reduce[TENSOR_MAX_RANK];
  int64_t bad, dims[TENSOR_MAX_RANK];
  if (!step_out(c, 0)) return SDX_OK;
  if (!read_axes(c, in->rank, axes, reduce, &bad))
    return step_fail_at(c, at_attribute("axis"), SDX_OUT_OF_RANGE, "is %lld, expected within [-%d, %d)", (long long)bad,
                        in->rank, in->rank);
  if (axes)
    SDX_TRY(call_set_shape(c, 0, (sdx_dtype)in->dtype, kept_dims(c->params, in->rank, in->dims, reduce, dims), dims));
  return call_widened(c, reduce_any);
}

// ---- records ----------------------------------------------------------------------------------

SDX_CASES = {"data=float[2,3,4] axes=const(1)",
             "data=float[2,3,4,5] axes=const(0,2) keepdims=0",
             "data=float[2,3,4] axes=const(-1,0)",
             "data=float[3,700] axes=const(1)",
             "data=float[2,3]",
             "data=float[2,0,3] axes=const(1)",
             "data=float[2,3] noop_with_empty_axes=1",
             "data=float[]",
             "data=double[2,3,4] axes=const(0,2)",
             "data=float16[4,5] axes=const(0)",
             "data=int32[2,3,4]@1..3 axes=const(1)",
             NULL};
// Sums and products that fit every type; nothing, which has a sum but no mean.
#define NUMBER_CASES                                                                                           \
  "data=float[2,3,4] axes=const(1)", "data=int32[2,3,4]@1..3 axes=const(0,2)", "data=int32[5]@-2..2",          \
      "data=float[2,3,4] axes=int64[1](-1) keepdims=0", "data=float[3,70]", "data=float16[4,5] axes=const(0)", \
      "data=float[] noop_with_empty_axes=1"
static const char *const number_cases[] = {NUMBER_CASES, "data=int64[3,0] axes=const(1)", NULL};
static const char *const mean_cases[] = {NUMBER_CASES, NULL};

// clang-format off
#define REDUCE(lower, Since, Versions, Types, Axes, Cases)                                                      \
  {.since = Since, .versions = Versions, .inputs = "data:T axes:int64?", .outputs = "reduced:T",                \
   .types = "T=" Types, .attrs = "keepdims:int=1 noop_with_empty_axes:int=0", .attrs_old = "axes:ints<" Axes,   \
   .params_size = sizeof(reduce_params), .params = lower##_read, .upgrade = reduce_upgrade,       \
   .infer = reduce_infer, .layouts = reduce_layouts, .prepare = reduce_prepare, .compute = reduce_compute,      \
   .cases = Cases}
#define NUMBERS "int32,int64,uint32,uint64," TYPES_FLOAT
SDX_OP(ReduceSum) = REDUCE(sum, 13, "13 11 1", NUMBERS, "13", number_cases);
SDX_OP(ReduceMean) = REDUCE(mean, 18, "18 13 11 1", NUMBERS, "18", mean_cases);
SDX_OP(ReduceMax) = REDUCE(max, 20, "20 18 13 12 11 1", "bool,int8,uint8," NUMBERS, "18", number_cases);
SDX_OP(ReduceMin) = REDUCE(min, 20, "20 18 13 12 11 1", "bool,int8,uint8," NUMBERS, "18", number_cases);
SDX_OP(ReduceProd) = REDUCE(prod, 18, "18 13 11 1", NUMBERS, "18", number_cases);
SDX_OP(ReduceL1) = REDUCE(l1, 18, "18 13 11 1", NUMBERS, "18", number_cases);
SDX_OP(ReduceL2) = REDUCE(l2, 18, "18 13 11 1", NUMBERS, "18", number_cases);
SDX_OP(ReduceLogSum) = REDUCE(log_sum, 28, "28 18 13 11 1", NUMBERS, "18", cases);
SDX_OP(ReduceLogSumExp) = REDUCE(log_sum_exp, 28, "28 18 13 11 1", NUMBERS, "18", cases);
SDX_OP(ReduceSumSquare) = REDUCE(sum_square, 18, "18 13 11 1", NUMBERS, "18", number_cases);
// clang-format on
