// SPDX-License-Identifier: Apache-2.0
// See attend.h. The loops are in attend.inl.
#include "ops/parts/attend.h"

#include <math.h>

#include "base/size.h"
#include "ops/parts/elementwise.h"
#include "ops/parts/row.h"

enum {
  GEMM_ROWS = 4,             // fewer rows do not pay for packing the keys
  BLOCK_BYTES = 512 * 1024,  // of scores: stays in the second-level cache
  BLOCK_LOW = 16,
  BLOCK_HIGH = 120,
  BLOCK_UNIT = 12,
};

typedef struct attend_job {
  const attend_plan *plan;
  const attend_call *call;
  char *scratch;
} attend_job;

// One block: rows [first, first + rows) of a head.
typedef struct attend_block {
  size_t batch, head, first, rows;
  void *scores, *scratch;
} attend_block;

static attend_block block_at(const attend_job *j, size_t unit, size_t worker, size_t element) {
  const attend_shape *s = &j->plan->shape;
  size_t of_head = unit / j->plan->blocks;
  attend_block b = {.batch = of_head / s->heads,
                    .head = of_head % s->heads,
                    .first = unit % j->plan->blocks * j->plan->block,
                    .scores = j->scratch + worker * j->plan->worker_bytes};
  b.rows = s->rows - b.first < j->plan->block ? s->rows - b.first : j->plan->block;
  b.scratch = (char *)b.scores + ((j->plan->block * s->columns * element + 63) & ~(size_t)63);
  return b;
}

static size_t at_view(const attend_view *v, size_t batch, size_t head, size_t row) {
  return batch * v->batch + head * v->head + row * v->row;
}
static size_t kv_head(const attend_shape *s, size_t head) { return head / (s->heads / s->kv_heads); }

// The keys that a row may see before the biases are asked: [*low, *high).
static void window(const attend_shape *s, const attend_call *a, size_t batch, size_t row, size_t *low, size_t *high) {
  int64_t position, first = 0, end = (int64_t)s->columns;
  position = wrap_add((int64_t)row, wrap_add(a->offset, a->offsets ? a->offsets[batch] : 0));
  if (a->lengths) end = i64_max(i64_min(end, a->lengths[batch]), 0);
  if (a->left >= 0) first = i64_max(first, position > a->left ? position - a->left : 0);
  if (a->right >= 0 && position < end - a->right) end = position + a->right + 1;
  end = i64_max(end, 0);
  *low = (size_t)i64_min(first, end);
  *high = (size_t)end;
}

static char *packed_head(const attend_job *j, size_t head) {
  return j->scratch + j->plan->workers_bytes + head * (j->plan->k_bytes + j->plan->v_bytes);
}

static void pack_heads(void *context, size_t begin, size_t end, size_t worker) {
  const attend_job *j = context;
  const attend_shape *s = &j->plan->shape;
  const attend_call *a = j->call;
  const int precision = j->plan->scores[0].shape.precision;
  const float *k = a->k.at, *v = a->v.at;
  for (size_t i = begin; i < end; i++) {
    char *packed = packed_head(j, i);
    gemm_f32_operand keys = {.row_stride = 1, .column_stride = a->k.row}, values = {.row_stride = a->v.row};
    values.column_stride = 1;
    if (!a->parts || a->parts & ATTEND_SCORES) {
      keys.data = k + at_view(&a->k, i / s->kv_heads, i % s->kv_heads, 0);
      gemm_f32_pack_b(packed, &keys, s->width, s->columns, precision, 1);
    }
    if (!a->parts || a->parts & ATTEND_MIX) {
      values.data = v + at_view(&a->v, i / s->kv_heads, i % s->kv_heads, 0);
      gemm_f32_pack_b(packed + j->plan->k_bytes, &values, s->columns, s->v_width, precision, 1);
    }
  }
}

// Nothing but biases stands between the scores and a Softmax.
static bool is_plain(const attend_call *a) {
  return a->plain && a->softcap == 0 && !a->stages && !a->sinks && !a->precise && !a->lengths && a->left < 0 &&
         a->right < 0;
}

static void soften_plainly(const attend_job *j, const attend_block *b) {
  const size_t columns = j->plan->shape.columns;
  for (size_t n = 0; n < 2; n++) {
    const attend_bias *bias = &j->call->bias[n];
    for (size_t r = 0; bias->at && r < b->rows; r++) {
      size_t head = bias->heads ? b->head % bias->heads : b->head;
      const float *at =
          (const float *)bias->at + b->batch * bias->batch + head * bias->head + (b->first + r) * bias->row;
      float *scores = (float *)b->scores + r * columns;
      for (size_t i = 0; i < bias->columns; i++) scores[i] += at[i];
      for (size_t i = bias->columns; i < columns; i++) scores[i] = -INFINITY;
    }
  }
  j->plan->softmax->rows(b->scores, b->scores, b->rows, columns, false);
}

// A block's scores and its share of the output by matrix products.
static void gemm_scores(const attend_job *j, const attend_block *b) {
  const attend_shape *s = &j->plan->shape;
  const attend_call *a = j->call;
  const float *q = a->q.at, *k = a->k.at;
  gemm_f32_call call = {
      .a = {.data = q + at_view(&a->q, b->batch, b->head, b->first), .row_stride = a->q.row, .column_stride = 1},
      .b = {.data = k + at_view(&a->k, b->batch, kv_head(s, b->head), 0), .row_stride = 1, .column_stride = a->k.row},
      .c = b->scores,
      .c_stride = s->columns,
      .epilogue = GEMM_F32_PLAIN};
  call.epilogue.alpha = (float)a->scale;
  if (j->plan->packed) call.b.packed = packed_head(j, b->batch * s->kv_heads + kv_head(s, b->head));
  gemm_f32_run(&j->plan->scores[b->rows != j->plan->block], &call, b->scratch);
}
static void gemm_mix(const attend_job *j, const attend_block *b) {
  const attend_shape *s = &j->plan->shape;
  const attend_call *a = j->call;
  float *y = a->y.at;
  const float *v = a->v.at;
  gemm_f32_call call = {
      .a = {.data = b->scores, .row_stride = s->columns, .column_stride = 1},
      .b = {.data = v + at_view(&a->v, b->batch, kv_head(s, b->head), 0), .row_stride = a->v.row, .column_stride = 1},
      .c = y + at_view(&a->y, b->batch, b->head, b->first),
      .c_stride = a->y.row,
      .epilogue = GEMM_F32_PLAIN};
  if (j->plan->packed) call.b.packed = packed_head(j, b->batch * s->kv_heads + kv_head(s, b->head)) + j->plan->k_bytes;
  gemm_f32_run(&j->plan->mix[b->rows != j->plan->block], &call, b->scratch);
}

#define LOOPS "ops/parts/attend.inl"
#include "ops/call.h"
#include "ops/parts/each_float.inl"

// ---- entry points ---------------------------------------------------------------------------------

static bool plan_products(attend_plan *p, int precision, size_t *scratch) {
  const attend_shape *s = &p->shape;
  for (size_t i = 0; i < 2; i++) {
    size_t rows = i == 0 ? p->block : s->rows % p->block;
    if (rows == 0) continue;
    gemm_f32_shape scores = {.m = rows, .n = s->columns, .k = s->width, .precision = precision, .packed_b = p->packed},
                   mix = {.m = rows, .n = s->v_width, .k = s->columns, .precision = precision, .packed_b = p->packed};
    if (!gemm_f32_plan_init(&p->scores[i], &scores) || !gemm_f32_plan_init(&p->mix[i], &mix)) return false;
    if (p->scores[i].scratch_bytes > *scratch) *scratch = p->scores[i].scratch_bytes;
    if (p->mix[i].scratch_bytes > *scratch) *scratch = p->mix[i].scratch_bytes;
  }
  return true;
}

bool attend_plan_init(attend_plan *p, const attend_shape *shape, size_t threads, int precision) {
  *p = (attend_plan){.shape = *shape, .softmax = KERNEL_BEST(softmax_f32)};
  size_t element = shape->dtype == SDX_DOUBLE ? sizeof(double) : sizeof(float), row_bytes, bytes, scratch = 0;
  if (!size_mul(shape->columns, element, &row_bytes)) return false;
  p->block = BLOCK_BYTES / (row_bytes + 1);
  if (p->block < BLOCK_LOW) p->block = BLOCK_LOW;
  if (p->block > BLOCK_HIGH) p->block = BLOCK_HIGH;
  if (p->block > shape->rows) p->block = shape->rows ? shape->rows : 1;
  p->blocks = (shape->rows + p->block - 1) / p->block;
  if (p->blocks > 1) {  // even ones, of whole panels of gemm_f32
    p->block = ((shape->rows + p->blocks - 1) / p->blocks + BLOCK_UNIT - 1) / BLOCK_UNIT * BLOCK_UNIT;
    p->blocks = (shape->rows + p->block - 1) / p->block;
  }
  p->gemm = shape->dtype == SDX_FLOAT && shape->rows >= GEMM_ROWS;
  p->packed = p->gemm && p->blocks > 1 && shape->columns > 0 && shape->width > 0;
  if (p->gemm && !plan_products(p, precision, &scratch)) return false;
  if (!size_mul(p->block, row_bytes, &bytes) || !size_align(bytes, 64, &bytes) || !size_add(bytes, scratch, &bytes) ||
      !size_align(bytes, 64, &p->worker_bytes) || !size_mul(p->worker_bytes, threads ? threads : 1, &p->workers_bytes))
    return false;
  if (p->packed) {
    p->k_bytes = gemm_f32_packed_b_bytes(shape->width, shape->columns, precision);
    p->v_bytes = gemm_f32_packed_b_bytes(shape->columns, shape->v_width, precision);
    if (!p->k_bytes || !p->v_bytes) return false;
  }
  return size_mul(shape->batch, shape->kv_heads, &bytes) && size_mul(bytes, p->k_bytes + p->v_bytes, &bytes) &&
         size_add(p->workers_bytes, bytes, &p->scratch_bytes);
}

void attend_run(op_step *c, const attend_plan *plan, const attend_call *call, void *scratch) {
  const attend_shape *s = &plan->shape;
  attend_job j = {plan, call, scratch};
  size_t work = plan->block * s->columns * (s->width + s->v_width);
  if (plan->packed) call_parallel(c, s->batch * s->kv_heads, 1, pack_heads, &j);
  call_parallel(c, s->batch * s->heads * plan->blocks, 1 + GRAIN_CHEAP / (work + 1),
                s->dtype == SDX_DOUBLE ? blocks_double : blocks_float, &j);
}
