// SPDX-License-Identifier: Apache-2.0
// See matmul.h. Operands of rank 1 get a dimension of 1 (before for A, behind for B) that is dropped from the result;
// leading dimensions broadcast. A B of one matrix serves all of A's batch as one tall product, so a linear layer over
// [batch, time, features] is a single GEMM. Elsewhere every product of the batch names its matrices by index.
#include "ops/parts/matmul.h"

#include "base/size.h"
#include "ops/infer.h"
#include "ops/parts/product.h"

// ---- infer ----------------------------------------------------------------------------------------

// A shape seen as batch dimensions and a matrix, before broadcasting. `at` maps to the dims of the tensor.
typedef struct view {
  size_t batch_rank;
  size_t batch[TENSOR_MAX_RANK];  // dimension of the tensor for each batch dimension
  size_t row, column;             // dimensions; SIZE_MAX: the added 1
} view;

static view view_of(size_t rank, bool transpose, bool batch, bool left) {
  view v = {.row = SIZE_MAX, .column = SIZE_MAX};
  if (rank == 1) {
    if (left) v.column = 0;
    else v.row = 0;
    return v;
  }
  v.batch_rank = rank - 2;
  // [m, batch.., k]: what is seen as the matrix are the first and the last dimension.
  for (size_t i = 0; i < v.batch_rank; i++) v.batch[i] = batch ? i + 1 : i;
  v.row = batch ? 0 : rank - 2;
  v.column = rank - 1;
  if (transpose) {
    size_t t = v.row;
    v.row = v.column, v.column = t;
  }
  return v;
}
static int64_t dim_at(const int64_t *dims, size_t d) { return d == SIZE_MAX ? 1 : dims[d]; }

sdx_status matmul_infer_shape(op_step *c, const matmul_params *p, size_t left, size_t right, sdx_dtype dtype) {
  int ra = infer_rank_of(c, left), rb = infer_rank_of(c, right);
  SDX_TRY(infer_rank(c, left, 1, -1));
  SDX_TRY(infer_rank(c, right, 1, -1));
  if (ra < 0 || rb < 0) return infer_output(c, 0, dtype, -1, NULL);
  const int64_t *a = c->in_types[left]->dims, *b = c->in_types[right]->dims;
  view va = view_of((size_t)ra, p->transpose_a, p->batch_a, true),
       vb = view_of((size_t)rb, p->transpose_b, p->batch_b, false);
  int64_t ka = dim_at(a, va.column), kb = dim_at(b, vb.row);
  if (ka >= 0 && kb >= 0 && ka != kb)
    return step_fail_at(c, at_input(right), SDX_INVALID_SHAPE,
                        "has %lld rows, expected %lld: the inner dimensions differ, input %zu has so many columns",
                        (long long)kb, (long long)ka, left);
  int64_t out[TENSOR_MAX_RANK + 2];
  size_t rank = va.batch_rank > vb.batch_rank ? va.batch_rank : vb.batch_rank;
  for (size_t i = 0; i < rank; i++) {
    int64_t da = i + va.batch_rank >= rank ? a[va.batch[i + va.batch_rank - rank]] : 1;
    int64_t db = i + vb.batch_rank >= rank ? b[vb.batch[i + vb.batch_rank - rank]] : 1;
    if (da != db && ((da > 1 && db > 1) || (da == 0 && db > 1) || (db == 0 && da > 1)))
      return step_fail_at(c, at_input(right), SDX_INVALID_SHAPE,
                          "has batch dimension %lld at %zu, expected %lld or 1: it does not broadcast", (long long)db,
                          i, (long long)da);
    out[i] = da == 1 ? db : db == 1 || da == db ? da : da >= 0 ? da : db >= 0 ? db : DIM_UNKNOWN;
  }
  if (va.row != SIZE_MAX) out[rank++] = a[va.row];
  if (vb.column != SIZE_MAX) out[rank++] = b[vb.column];
  return infer_output(c, 0, dtype, (int)rank, out);
}

sdx_status matmul_infer(op_step *c) { return matmul_infer_shape(c, c->params, 0, 1, infer_dtype_of(c, 0)); }

// ---- prepare and compute --------------------------------------------------------------------------

static size_t stride_at(const int64_t *dims, size_t rank, size_t d) {
  size_t s = 1;
  if (d == SIZE_MAX) return 0;
  for (size_t i = d + 1; i < rank; i++) s *= (size_t)dims[i];
  return s;
}

// For product i (row-major over `out`, the broadcast batch): where the operand's matrix starts, in elements.
static sdx_status index_batch(op_step *c, const tensor *t, const view *v, const int64_t *out, size_t rank, size_t batch,
                              product_operand *o) {
  size_t *index = arena_array(c->memory, batch, sizeof *index);
  if (!index) return error_no_memory(c->err, batch * sizeof *index);
  for (size_t i = 0; i < batch; i++) {
    size_t rest = i;
    for (size_t d = rank; d-- > 0;) {
      size_t at = rest % (size_t)out[d];
      rest /= (size_t)out[d];
      if (d + v->batch_rank < rank) continue;
      size_t own = v->batch[d + v->batch_rank - rank];
      if (t->dims[own] != 1) index[i] += at * stride_at(t->dims, t->rank, own);
    }
  }
  o->index = index;
  o->batch = 1;
  return SDX_OK;
}

// Every product uses the same matrix.
static bool is_single(const tensor *t, const view *v) {
  for (size_t i = 0; i < v->batch_rank; i++)
    if (t->dims[v->batch[i]] != 1) return false;
  return true;
}

sdx_status matmul_layout(op_step *c, const matmul_params *p, const tensor *a, const tensor *b, const tensor *y,
                         product *s) {
  if (y->count == 0) return SDX_OK;
  view va = view_of(a->rank, p->transpose_a, p->batch_a, true),
       vb = view_of(b->rank, p->transpose_b, p->batch_b, false);
  s->m = (size_t)dim_at(a->dims, va.row), s->n = (size_t)dim_at(b->dims, vb.column),
  s->k = (size_t)dim_at(a->dims, va.column);
  s->batch = y->count / (s->m * s->n);
  s->alpha = p->alpha, s->beta = 1;
  s->a =
      (product_operand){.row = stride_at(a->dims, a->rank, va.row), .column = stride_at(a->dims, a->rank, va.column)};
  s->b =
      (product_operand){.row = stride_at(b->dims, b->rank, vb.row), .column = stride_at(b->dims, b->rank, vb.column)};
  size_t out_rank = (va.batch_rank > vb.batch_rank ? va.batch_rank : vb.batch_rank);
  bool plain_a = !p->transpose_a && !p->batch_a && va.row != SIZE_MAX;
  if (is_single(b, &vb) && plain_a) {  // A's batch is contiguous and nothing of B repeats: one tall product
    s->m *= s->batch;
    s->batch = 1;
  } else if (s->batch > 1) {
    if (!is_single(a, &va)) SDX_TRY(index_batch(c, a, &va, y->dims, out_rank, s->batch, &s->a));
    if (!is_single(b, &vb)) SDX_TRY(index_batch(c, b, &vb, y->dims, out_rank, s->batch, &s->b));
  }
  return SDX_OK;
}

sdx_status matmul_prepare(op_step *c) {
  product *s = arena_zalloc(c->memory, sizeof *s);
  if (!s) return error_no_memory(c->err, sizeof *s);
  c->state = s;
  SDX_TRY(matmul_layout(c, c->params, step_in(c, 0), step_in(c, 1), step_out(c, 0), s));
  return step_out(c, 0)->count ? product_prepare(c, s, 2) : SDX_OK;
}

sdx_status matmul_compute(op_step *c) {
  if (step_out(c, 0)->count == 0) return SDX_OK;
  return product_run(c, c->state, 2);
}
