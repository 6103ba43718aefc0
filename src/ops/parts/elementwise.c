// SPDX-License-Identifier: Apache-2.0
// See elementwise.h. Broadcasting: dimensions that both operands walk alike are merged, so the usual
// cases (equal shapes, a scalar, a bias along the last or the channel axis) are one or two loops
// around a row whose operands are either contiguous or one element.
#include "ops/parts/elementwise.h"

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/widen.h"

sdx_status step_fail_dtype(op_step *c, const tensor *t) {
  return step_fail(c, SDX_NOT_SUPPORTED, "element type %s has no implementation", dtype_name(t->dtype));
}

sdx_status infer_common_dtype(op_step *c, size_t first, size_t count, sdx_dtype *out) {
  *out = SDX_UNDEFINED;
  for (size_t i = first; i < first + count && i < c->input_count; i++) {
    sdx_dtype dtype = infer_dtype_of(c, i);
    if (dtype == SDX_UNDEFINED) continue;
    if (*out == SDX_UNDEFINED) *out = dtype;
    if (dtype != *out)
      return step_fail_at(c, at_input(i), SDX_INVALID_SHAPE, "has element type %s where the others have %s",
                          dtype_name(dtype), dtype_name(*out));
  }
  return SDX_OK;
}

// ---- unary ------------------------------------------------------------------------------------

enum { BLOCK = 512 };  // elements converted at a time: stays in the first-level cache

typedef struct unary_job {
  unary_row row;
  const void *context;
  char *out;
  const char *in;
  size_t out_width, in_width;
  sdx_dtype half;  // dtype to convert from, 0 = none
  bool out_half;   // and back
} unary_job;

static void unary_range(void *context, size_t begin, size_t end, size_t worker) {
  const unary_job *j = context;
  if (!j->half) {
    j->row(j->context, j->out + begin * j->out_width, j->in + begin * j->in_width, end - begin);
    return;
  }
  float block[BLOCK];
  for (size_t i = begin; i < end; i += BLOCK) {
    size_t n = end - i < BLOCK ? end - i : BLOCK;
    char *out = j->out + i * j->out_width;
    widen_read(j->half, j->in + i * j->in_width, 0, n, block);
    j->row(j->context, j->out_half ? (void *)block : out, block, n);
    if (j->out_half) widen_write(j->half, out, 0, n, block);
  }
}

sdx_status unary_run(op_step *c, tensor *out, const tensor *in, const unary_row rows[SDX_DTYPE_COUNT],
                     const void *context, size_t grain) {
  if (!out || out->count == 0) return SDX_OK;
  unary_job j = {.row = rows[in->dtype], .context = context, .out = out->data, .in = in->data};
  j.in_width = (size_t)dtype_bits(in->dtype) / 8;
  j.out_width = out->dtype == in->dtype ? j.in_width : (size_t)dtype_bits(out->dtype) / 8;
  if (!j.row && dtype_is_half(in->dtype)) {
    j.row = rows[SDX_FLOAT];
    j.half = in->dtype;
    j.out_half = out->dtype == in->dtype;
  }
  if (!j.row) return step_fail_dtype(c, in);
  call_parallel(c, out->count, grain, unary_range, &j);
  return SDX_OK;
}

// ---- binary -----------------------------------------------------------------------------------

typedef struct binary_job {
  binary_row row;
  const void *context;
  char *out;
  const char *a, *b;
  size_t out_width, a_width, b_width;
  sdx_dtype half;
  bool out_half;
  unsigned scalar;
  size_t rank, inner;                                       // outer dimensions, elements of a row
  size_t dims[TENSOR_MAX_RANK];                             // of the outer dimensions
  size_t a_step[TENSOR_MAX_RANK], b_step[TENSOR_MAX_RANK];  // bytes; 0 where broadcast
} binary_job;

static void half_binary(const binary_job *j, char *out, const char *a, const char *b, size_t n) {
  float fa[BLOCK], fb[BLOCK];
  for (size_t i = 0; i < n; i += BLOCK) {
    size_t m = n - i < BLOCK ? n - i : BLOCK;
    if (!(j->scalar & ROW_A_SCALAR)) widen_read(j->half, a + 2 * i, 0, m, fa);
    else widen_read(j->half, a, 0, 1, fa);
    if (!(j->scalar & ROW_B_SCALAR)) widen_read(j->half, b + 2 * i, 0, m, fb);
    else widen_read(j->half, b, 0, 1, fb);
    if (j->out_half) {
      float result[BLOCK];
      j->row(j->context, result, fa, fb, m, j->scalar);
      widen_write(j->half, out + 2 * i, 0, m, result);
    } else j->row(j->context, out + i * j->out_width, fa, fb, m, j->scalar);
  }
}

static void binary_range(void *context, size_t begin, size_t end, size_t worker) {
  const binary_job *j = context;
  size_t index[TENSOR_MAX_RANK], row = begin / j->inner, column = begin % j->inner;
  const char *a = j->a, *b = j->b;
  for (size_t d = j->rank, rest = row; d-- > 0; rest /= j->dims[d]) {
    index[d] = rest % j->dims[d];
    a += index[d] * j->a_step[d];
    b += index[d] * j->b_step[d];
  }
  for (size_t at = begin; at < end;) {
    size_t n = j->inner - column < end - at ? j->inner - column : end - at;
    const char *row_a = j->scalar & ROW_A_SCALAR ? a : a + column * j->a_width;
    const char *row_b = j->scalar & ROW_B_SCALAR ? b : b + column * j->b_width;
    char *out = j->out + at * j->out_width;
    if (j->half) half_binary(j, out, row_a, row_b, n);
    else j->row(j->context, out, row_a, row_b, n, j->scalar);
    at += n;
    column = 0;
    for (size_t d = j->rank; d-- > 0;) {
      a += j->a_step[d];
      b += j->b_step[d];
      if (++index[d] < j->dims[d]) break;
      a -= j->a_step[d] * j->dims[d];
      b -= j->b_step[d] * j->dims[d];
      index[d] = 0;
    }
  }
}

// Fills the walk: dimensions of extent 1 vanish, neighbours that both operands cross in one stride
// are merged; the innermost one becomes the row.
static bool plan_walk(binary_job *j, const tensor *out, const tensor *a, const tensor *b) {
  size_t dims[TENSOR_MAX_RANK], a_step[TENSOR_MAX_RANK], b_step[TENSOR_MAX_RANK], rank = 0;  // innermost first
  size_t a_stride = 1, b_stride = 1;
  if (a->rank > out->rank || b->rank > out->rank) return false;
  for (size_t i = 0; i < out->rank; i++) {
    size_t n = (size_t)out->dims[out->rank - 1 - i];
    size_t na = i < a->rank ? (size_t)a->dims[a->rank - 1 - i] : 1,
           nb = i < b->rank ? (size_t)b->dims[b->rank - 1 - i] : 1;
    if ((na != n && na != 1) || (nb != n && nb != 1)) return false;
    if (n == 1) continue;
    size_t sa = na == 1 ? 0 : a_stride, sb = nb == 1 ? 0 : b_stride;
    a_stride *= na;
    b_stride *= nb;
    if (rank && sa == a_step[rank - 1] * dims[rank - 1] && sb == b_step[rank - 1] * dims[rank - 1]) {
      dims[rank - 1] *= n;
      continue;
    }
    dims[rank] = n, a_step[rank] = sa, b_step[rank] = sb;
    rank++;
  }
  if (rank == 0) dims[0] = 1, a_step[0] = 1, b_step[0] = 1, rank = 1;
  j->inner = dims[0];
  j->scalar = (a_step[0] ? 0 : ROW_A_SCALAR) | (b_step[0] ? 0 : ROW_B_SCALAR);
  j->rank = rank - 1;
  for (size_t d = 0; d < j->rank; d++) {
    j->dims[d] = dims[rank - 1 - d];
    j->a_step[d] = a_step[rank - 1 - d] * j->a_width;
    j->b_step[d] = b_step[rank - 1 - d] * j->b_width;
  }
  return true;
}

static sdx_status run_job(op_step *c, binary_job *j, tensor *out, const tensor *a, const tensor *b, size_t grain) {
  j->out = out->data, j->a = a->data, j->b = b->data;
  j->out_width = (size_t)dtype_bits(out->dtype) / 8;
  j->a_width = (size_t)dtype_bits(a->dtype) / 8;
  j->b_width = (size_t)dtype_bits(b->dtype) / 8;
  if (!plan_walk(j, out, a, b)) {
    char left[200], right[200];
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "has shape %s, which does not broadcast with %s",
                        shape_describe(b->dims, b->rank, right, sizeof right),
                        shape_describe(a->dims, a->rank, left, sizeof left));
  }
  call_parallel(c, out->count, grain, binary_range, j);
  return SDX_OK;
}

sdx_status binary_run(op_step *c, tensor *out, const tensor *a, const tensor *b, const binary_row rows[SDX_DTYPE_COUNT],
                      const void *context, size_t grain) {
  if (!out || out->count == 0) return SDX_OK;
  if (a->dtype != b->dtype)
    return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "has element type %s, expected %s: like input 0",
                        dtype_name(b->dtype), dtype_name(a->dtype));
  binary_job j;
  j.row = rows[a->dtype];
  j.context = context;
  j.half = 0;
  j.out_half = false;
  if (!j.row && dtype_is_half(a->dtype)) {
    j.row = rows[SDX_FLOAT];
    j.half = a->dtype;
    j.out_half = out->dtype == a->dtype;
  }
  if (!j.row) return step_fail_dtype(c, a);
  return run_job(c, &j, out, a, b, grain);
}

sdx_status binary_run_row(op_step *c, tensor *out, const tensor *a, const tensor *b, binary_row row,
                          const void *context, size_t grain) {
  if (!out || out->count == 0) return SDX_OK;
  binary_job j;
  j.row = row;
  j.context = context;
  j.half = 0;
  j.out_half = false;
  return run_job(c, &j, out, a, b, grain);
}

// ---- widening ---------------------------------------------------------------------------------

void *call_scratch(op_step *c, size_t bytes) {
  if (c->scratch && c->scratch_bytes >= bytes) return c->scratch;
  void *memory = call_alloc(c, bytes);
  if (!memory) call_no_memory(c, bytes);
  return memory;
}

// Room for a float copy, 64-byte aligned. Counts come from live tensors: their bytes fit size_t.
static bool add_float_bytes(size_t count, size_t *total) {
  size_t bytes;
  return size_mul(count, sizeof(float), &bytes) && size_align(bytes, 64, &bytes) && size_add(*total, bytes, total);
}

enum { WIDENED_MAX = 24 };  // tensors of an operator that is widened

sdx_status call_widened(op_step *c, sdx_status (*compute)(op_step *c)) {
  size_t total = 0;
  bool any = false, fits = c->input_count <= WIDENED_MAX && c->output_count <= WIDENED_MAX;
  for (size_t i = 0; fits && i < c->input_count + (size_t)c->output_count; i++) {
    const tensor *t = i < c->input_count ? step_in(c, i) : step_out(c, i - c->input_count);
    if (!t || !dtype_is_half(t->dtype)) continue;
    any = true;
    fits = add_float_bytes(t->count, &total);
  }
  if (!fits) return step_fail(c, SDX_NOT_SUPPORTED, "too many or too large half-precision tensors");
  if (!any) return compute(c);

  char *at = call_scratch(c, total);
  if (!at) return c->err->status;
  value in[WIDENED_MAX], out[WIDENED_MAX];
  value *in_at[WIDENED_MAX], *out_at[WIDENED_MAX];
  for (size_t i = 0; i < c->input_count + (size_t)c->output_count; i++) {
    bool is_out = i >= c->input_count;
    size_t k = is_out ? i - c->input_count : i;
    value *from = is_out ? c->out[k] : c->in[k], *to = is_out ? &out[k] : &in[k];
    (is_out ? out_at : in_at)[k] = from;
    if (!from || !dtype_is_half(from->tensor.dtype)) continue;
    *to = *from;
    to->tensor.dtype = SDX_FLOAT;
    to->tensor.bytes = from->tensor.count * sizeof(float);
    to->tensor.data = at;
    if (!is_out) widen_read(from->tensor.dtype, from->tensor.data, 0, from->tensor.count, (float *)at);
    at += (to->tensor.bytes + 63) & ~(size_t)63;
    (is_out ? out_at : in_at)[k] = to;
  }
  op_step wide = *c;
  wide.in = in_at;
  wide.out = out_at;
  bool own = c->scratch && c->scratch_bytes >= total;
  wide.scratch = own && c->scratch_bytes > total ? at : own ? NULL : c->scratch;
  wide.scratch_bytes = own ? c->scratch_bytes - total : c->scratch_bytes;
  SDX_TRY(compute(&wide));
  for (size_t k = 0; k < c->output_count; k++)
    if (out_at[k] && out_at[k] != c->out[k])
      widen_write(c->out[k]->tensor.dtype, c->out[k]->tensor.data, 0, out[k].tensor.count, out[k].tensor.data);
  return SDX_OK;
}

sdx_status prepare_widened(op_step *c, size_t inner) {
  size_t total = 0;
  for (size_t i = 0; i < c->input_count + c->output_count; i++) {
    const tensor *t = i < c->input_count ? step_in(c, i) : step_out(c, i - c->input_count);
    if (t && dtype_is_half(t->dtype) && !add_float_bytes(t->count, &total)) return error_no_memory(c->err, SIZE_MAX);
  }
  if (!size_add(total, inner, &c->scratch_bytes)) return error_no_memory(c->err, SIZE_MAX);
  return SDX_OK;
}

// ---- upgrades ---------------------------------------------------------------------------------

sdx_status upgrade_align(op_upgrade *u, int64_t axis) {
  value_id in[2] = {u->node->inputs[1], u->node->inputs[0]};
  attr attrs[1] = {attr_of_int("axis", axis)};
  value_id aligned = upgrade_insert(u, "AlignToAxis", 2, in, attrs, 1);
  if (!aligned) return error_no_memory(u->err, sizeof(node));
  return upgrade_set_input(u, 1, aligned);
}

sdx_status upgrade_broadcast_axis(op_upgrade *u) {
  if (u->version >= 7) return SDX_OK;
  const attr *axis = node_attr(u->node, "axis");
  bool broadcast = node_attr_int(u->node, "broadcast", 0) != 0;
  if (!broadcast || !axis || axis->kind != ATTR_INT || u->node->input_count < 2) return SDX_OK;
  return upgrade_align(u, axis->i);
}
