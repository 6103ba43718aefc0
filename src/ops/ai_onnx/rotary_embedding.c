// SPDX-License-Identifier: Apache-2.0
// RotaryEmbedding: turns pairs of numbers of each head by angles that grow with the position. The tables of cosines
// and sines are inputs: [positions, pairs] with position ids, else [batch, time, pairs].
// com.microsoft has the same with its inputs in another order, ids that may be one offset for all, and heads whose
// width follows from the tables; its attributes scale and is_packed_batching change nothing in onnxruntime, nor here.
#include "ops/ai_onnx/rotary.h"

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/elementwise.h"

// ---- shared ---------------------------------------------------------------------------------------

typedef struct rotary_job {
  const rotary *r;
  attend_view x, y;
  size_t heads, rows, width;
} rotary_job;

static int64_t position(const rotary *r, size_t batch, size_t row, size_t rows) {
  if (!r->positions) return (int64_t)(batch * rows + row);
  int64_t p = r->positions[batch * r->position_batch + row * r->position_row];
  return r->position_row ? p : wrap_add(p, (int64_t)row);
}

static void rotate_range(void *context, size_t begin, size_t end, size_t worker) {
  const rotary_job *j = context;
  const rotary *r = j->r;
  size_t first = r->interleaved ? 2 : 1, second = r->interleaved ? 1 : r->pairs;
  for (size_t i = begin; i < end; i++) {
    size_t row = i % j->rows, head = i / j->rows % j->heads, batch = i / j->rows / j->heads;
    const float *x = (const float *)j->x.at + batch * j->x.batch + head * j->x.head + row * j->x.row;
    float *y = (float *)j->y.at + batch * j->y.batch + head * j->y.head + row * j->y.row;
    size_t at = (size_t)position(r, batch, row, j->rows) * r->columns;
    for (size_t k = 0; k < r->pairs; k++) {
      float a = x[k * first], b = x[k * first + second], cosine = r->cos[at + k], sine = r->sin[at + k];
      y[k * first] = cosine * a - sine * b;
      y[k * first + second] = sine * a + cosine * b;
    }
    if (x != y && j->width > 2 * r->pairs)
      memcpy(y + 2 * r->pairs, x + 2 * r->pairs, (j->width - 2 * r->pairs) * sizeof *y);
  }
}

sdx_status rotary_run(op_step *c, const rotary *r, const attend_view *x, const attend_view *y, size_t batch,
                      size_t heads, size_t rows, size_t width, const char *input) {
  for (size_t b = 0; b < batch; b++)
    for (size_t i = 0; i < rows; i++) {
      int64_t p = position(r, b, i, rows);
      if (p < 0 || (uint64_t)p >= r->table_rows)
        return step_fail(c, SDX_OUT_OF_RANGE, "%s: position %lld of sample %zu, but the tables have %zu rows", input,
                         (long long)p, b, r->table_rows);
    }
  rotary_job j = {r, *x, *y, heads, rows, width};
  call_parallel(c, batch * heads * rows, 1 + GRAIN_CHEAP / (width + 1), rotate_range, &j);
  return SDX_OK;
}

// ---- operators ------------------------------------------------------------------------------------

typedef struct rotary_params {
  bool interleaved, microsoft;
  int64_t heads, dim;
} rotary_params;

// Where the operators have their inputs.
typedef struct rotary_inputs {
  size_t cos, sin, positions;
} rotary_inputs;
static rotary_inputs inputs(const rotary_params *p) {
  return p->microsoft ? (rotary_inputs){2, 3, 1} : (rotary_inputs){1, 2, 3};
}

static sdx_status read_params(op_params_context *c, void *params) {
  rotary_params *p = params;
  p->interleaved = params_int(c, "interleaved") != 0;
  p->heads = params_int(c, "num_heads");
  p->dim = params_int(c, "rotary_embedding_dim");
  if (p->heads < 0) return params_fail(c, "num_heads", "%lld is negative", (long long)p->heads);
  if (p->dim < 0 || p->dim % 2)
    return params_fail(c, "rotary_embedding_dim", "%lld is not a positive even number", (long long)p->dim);
  return SDX_OK;
}
static sdx_status microsoft_params(op_params_context *c, void *params) {
  ((rotary_params *)params)->microsoft = true;
  return read_params(c, params);
}

// Heads and their width, from dims that may be unknown (negative).
static sdx_status measure(op_step *c, const rotary_params *p, int64_t pairs, int64_t *heads, int64_t *width) {
  int rank = infer_rank_of(c, 0);
  int64_t hidden = infer_dim(c, 0, rank - 1);
  *heads = p->heads ? p->heads : DIM_UNKNOWN;
  *width = DIM_UNKNOWN;
  if (rank == 4) {
    *heads = infer_dim(c, 0, 1), *width = hidden;
  } else if (p->heads) {
    if (hidden >= 0 && hidden % p->heads)
      return step_fail(c, SDX_INVALID_SHAPE, "input 0 has %lld columns, not a multiple of %lld heads",
                       (long long)hidden, (long long)p->heads);
    if (hidden >= 0) *width = hidden / p->heads;
  } else if (!p->microsoft || p->dim) {
    return step_fail(c, SDX_INVALID_GRAPH, "an input of rank 3 needs the attribute num_heads");
  } else if (pairs > 0 && hidden >= 0) {
    if (hidden % (2 * pairs))
      return step_fail(c, SDX_INVALID_SHAPE, "input 0 has %lld columns, not a multiple of the tables' 2 * %lld",
                       (long long)hidden, (long long)pairs);
    *width = 2 * pairs, *heads = hidden / *width;
  }
  int64_t turned = p->dim ? p->dim : *width;
  if (*width >= 0 && turned > *width)
    return step_fail(c, SDX_INVALID_SHAPE, "rotary_embedding_dim is %lld, but heads have %lld numbers",
                     (long long)turned, (long long)*width);
  bool whole = pairs >= 0 && *width >= 0 && *width == 2 * pairs;  // ONNX 1.18 and ONNX Runtime read their beginning
  if (turned >= 0 && (turned % 2 || (pairs >= 0 && turned / 2 != pairs && !whole)))
    return step_fail(c, SDX_INVALID_SHAPE, "%lld numbers are turned, but the tables have %lld columns",
                     (long long)turned, (long long)pairs);
  return SDX_OK;
}

static sdx_status infer(op_step *c) {
  const rotary_params *p = c->params;
  rotary_inputs at = inputs(p);
  bool ids = infer_has(c, at.positions);
  SDX_TRY(infer_rank(c, 0, 3, 4));
  SDX_TRY(infer_rank(c, at.cos, ids ? 2 : 3, ids ? 2 : 3));
  SDX_TRY(infer_rank(c, at.sin, ids ? 2 : 3, ids ? 2 : 3));
  int rank = infer_rank_of(c, 0), time = rank == 4 ? 2 : 1;
  int64_t pairs = DIM_UNKNOWN, table = DIM_UNKNOWN, batch = DIM_UNKNOWN, rows = DIM_UNKNOWN, heads, width;
  SDX_TRY(infer_agree(c, at.cos, ids ? 1 : 2, "pairs", &pairs));
  SDX_TRY(infer_agree(c, at.sin, ids ? 1 : 2, "pairs", &pairs));
  if (rank < 0) return infer_same(c, 0, 0);
  SDX_TRY(infer_agree(c, 0, 0, "batch", &batch));
  SDX_TRY(infer_agree(c, 0, time, "time", &rows));
  for (size_t i = at.cos; i <= at.sin; i++) {
    SDX_TRY(infer_agree(c, i, 0, ids ? "positions" : "batch", ids ? &table : &batch));
    if (!ids) SDX_TRY(infer_agree(c, i, 1, "time", &rows));
  }
  if (ids && !(p->microsoft && infer_rank_of(c, at.positions) == 1)) {
    SDX_TRY(infer_rank(c, at.positions, 2, 2));
    SDX_TRY(infer_agree(c, at.positions, 0, "batch", &batch));
    SDX_TRY(infer_agree(c, at.positions, 1, "time", &rows));
  } else if (ids) {
    int64_t one = 1;
    SDX_TRY(infer_agree(c, at.positions, 0, "one offset", &one));
  }
  SDX_TRY(measure(c, p, pairs, &heads, &width));
  return infer_same(c, 0, 0);
}

static sdx_status prepare(op_step *c) { return prepare_widened(c, 0); }

static sdx_status embed(op_step *c) {
  const rotary_params *p = c->params;
  rotary_inputs at = inputs(p);
  const tensor *x = step_in(c, 0), *cosine = step_in(c, at.cos), *ids = step_in(c, at.positions);
  tensor *y = step_out(c, 0);
  if (!y || y->count == 0) return SDX_OK;
  size_t columns = (size_t)cosine->dims[cosine->rank - 1], rows = (size_t)x->dims[x->rank - 2], heads, width;
  if (x->rank == 4) heads = (size_t)x->dims[1], width = (size_t)x->dims[3];
  else if (p->heads) heads = (size_t)p->heads, width = (size_t)x->dims[2] / heads;
  else width = 2 * columns, heads = (size_t)x->dims[2] / width;
  rotary r = {.cos = cosine->data,
              .sin = step_in(c, at.sin)->data,
              .pairs = p->dim ? (size_t)p->dim / 2 : width / 2,
              .columns = columns,
              .interleaved = p->interleaved,
              .positions = ids ? ids->data : NULL,
              .position_batch = ids && ids->rank == 2 ? rows : 0,
              .position_row = ids && ids->rank == 2};
  r.table_rows = columns ? cosine->count / columns : SIZE_MAX;
  attend_view from = {x->data, heads * rows * width, rows * width, width};
  if (x->rank == 3) from.head = width, from.row = heads * width;
  attend_view to = from;
  to.at = y->data;
  return rotary_run(c, &r, &from, &to, (size_t)x->dims[0], heads, rows, width, "position_ids");
}

static sdx_status compute(op_step *c) { return call_widened(c, embed); }

SDX_CASES = {"X=float[2,3,5,8] cos_cache=float[2,5,4] sin_cache=float[2,5,4]",
             "X=float[1,3,8] cos_cache=float[1,3,2] sin_cache=float[1,3,2] num_heads=2",
             "X=float[2,3,5,8] cos_cache=float[9,4] sin_cache=float[9,4] position_ids=int64[2,5]@0..8 interleaved=1",
             NULL};

// clang-format off
SDX_OP(RotaryEmbedding) = {
    .since = 23, .versions = "23", .inputs = "X:T cos_cache:T sin_cache:T position_ids:int64?", .outputs = "Y:T",
    .types = "T=float,float16,bfloat16", .attrs = "interleaved:int=0 num_heads:int=0 rotary_embedding_dim:int=0",
    .params_size = sizeof(rotary_params), .params = read_params, .infer = infer, .prepare = prepare,
    .compute = compute, .cases = cases,
};
static const char *const rotary_embedding_cases[] = {"input=float[2,3,8] position_ids=int64[1](1) cos_cache=float[9,4] sin_cache=float[9,4] num_heads=1", "input=float[2,2,3,8] position_ids=int64[2,3]@0..8 cos_cache=float[9,4] sin_cache=float[9,4] interleaved=1", NULL};

SDX_OP_MS(RotaryEmbedding) = {
    .since = 1, .versions = "1", .inputs = "input:T position_ids:int64 cos_cache:T sin_cache:T", .outputs = "output:T",
    .types = "T=float,float16,bfloat16",
    .attrs = "interleaved:int=0 is_packed_batching:int=0 num_heads:int=0 rotary_embedding_dim:int=0 scale:float=1",
    .params_size = sizeof(rotary_params), .params = microsoft_params, .infer = infer, .prepare = prepare,
    .compute = compute,
    .cases = rotary_embedding_cases,
};
// clang-format on
