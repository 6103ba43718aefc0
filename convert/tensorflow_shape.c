// SPDX-License-Identifier: Apache-2.0
// Operators that change shapes, join, repeat and make tensors, and what is known of their results. Read next:
// tensorflow_slice.c.
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/tensorflow.h"

// A constant in another shape stays one. False: it is none.
static bool view(tf_op *op, int rank, const int64_t *shape) {
  const tf_value *x = tf_in(op, 0);
  size_t before, after;
  if (!x || (!x->data && !x->texts) || rank < 0 || rank > TF_RANK || !size_product(shape, (size_t)rank, &after) ||
      !size_product(x->shape, (size_t)x->rank, &before) || before != after)
    return false;
  tf_value *y = &op->out[0];
  *y = *x;
  y->ref = y->first = 0;
  y->shared = NULL;
  y->rank = rank;
  memcpy(y->shape, shape, (size_t)rank * sizeof *shape);
  return true;
}

// Known numbers in another shape.
static bool know_moved(tf_op *op, int rank) {
  const tf_value *x = tf_in(op, 0);
  return x && !x->data && x->elements && x->rank >= 0 && x->rank <= 1 && rank >= 0 && rank <= 1 &&
         tf_know(op, 0, x->dtype, rank, x->element_count, x->elements);
}

// ---- reshape ----------------------------------------------------------------------------------------

// The shape that comes out, as far as it is known; false: not even its rank.
static bool target_shape(const tf_value *x, const tf_value *to, int *rank, int64_t *shape) {
  if (!to->elements) {
    *rank = to->rank == 1 && to->shape[0] >= 0 && to->shape[0] <= TF_RANK ? (int)to->shape[0] : -1;
    for (int i = 0; i < *rank; i++) shape[i] = -1;
    return *rank >= 0;
  }
  if (to->element_count > TF_RANK) return false;
  *rank = (int)to->element_count;
  size_t all = 0, known = 1;
  int open = -1, opens = 0;
  for (int i = 0; i < *rank; i++) {
    shape[i] = to->elements[i] < 0 ? -1 : to->elements[i];
    if (shape[i] < 0) open = i, opens++;
    else if (!size_mul(known, (size_t)shape[i], &known)) return false;
  }
  if (opens == 1 && x->rank >= 0 && known && size_product(x->shape, (size_t)x->rank, &all) && all % known == 0)
    shape[open] = (int64_t)(all / known);
  return true;
}

// A single dimension that is not known is what is left.
static sdx_ref target(tf_op *op, const tf_value *to, bool *zeros) {
  int64_t spec[TF_RANK];
  size_t open = 0;
  *zeros = false;
  if (!to->elements || to->element_count > TF_RANK) return tf_get_int64(op, 1);
  for (size_t i = 0; i < to->element_count; i++) {
    spec[i] = to->elements[i] == TF_UNKNOWN ? -1 : to->elements[i];
    open += spec[i] == -1;
    *zeros = *zeros || spec[i] == 0;
  }
  return open > 1 || (open && *zeros) ? tf_get_int64(op, 1) : tf_list(op, to->element_count, spec);
}

static void reshape(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *to = tf_in(op, 1);
  int rank = -1;
  int64_t shape[TF_RANK];
  bool zeros;
  if (!x || !to) return;
  if (target_shape(x, to, &rank, shape) && view(op, rank, shape)) return;
  sdx_ref in = tf_get(op, 0), n = target(op, to, &zeros);
  if (!in || !n) return;
  sdx_ref y = tf_node_add(op, "Reshape", SDX_REFS(in, n));
  if (y && zeros && sdx_builder_opset(op->t->c->builder, "") >= 14) sdx_graph_set_int(op->g, "allowzero", 1);
  tf_set(op, 0, y, x->dtype, rank, shape);
}

static bool know_reshape(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *to = tf_in(op, 1);
  int rank = -1;
  int64_t shape[TF_RANK];
  return x && to && target_shape(x, to, &rank, shape) && know_moved(op, rank);
}

static bool expanded(tf_op *op, const tf_value *x, int64_t *axis, int64_t *shape) {
  if (!x || !tf_has_rank(op, x)) return false;
  if (!tf_int(op, 1, axis)) return !tf_fail(op, SDX_NOT_SUPPORTED, NULL, "an axis that is computed");
  if (x->rank == TF_RANK) return !tf_fail(op, SDX_NOT_SUPPORTED, NULL, "more than %d dimensions", TF_RANK);
  if (!tf_axis(op, *axis, x->rank + 1, axis)) return false;
  for (int i = 0; i <= x->rank; i++) shape[i] = i == *axis ? 1 : x->shape[i < *axis ? i : i - 1];
  return true;
}

static void expand_dims(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t axis, shape[TF_RANK];
  if (!expanded(op, x, &axis, shape) || view(op, x->rank + 1, shape)) return;
  sdx_ref in = tf_get(op, 0);
  if (in)
    tf_set(op, 0, tf_node_add(op, "Unsqueeze", SDX_REFS(in, tf_list(op, 1, &axis))), x->dtype, x->rank + 1, shape);
}

static bool know_expand_dims(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  return x && x->rank == 0 && know_moved(op, 1);
}

static bool squeezed(tf_op *op, const tf_value *x, int64_t *axes, size_t *count, int *rank, int64_t *shape) {
  bool gone[TF_RANK] = {0};
  if (!x || !tf_has_rank(op, x)) return false;
  *count = tf_attr_ints(op->node, "squeeze_dims", axes, TF_RANK);
  for (int i = 0; !*count && i < x->rank; i++) gone[i] = x->shape[i] == 1;
  for (size_t i = 0; i < *count; i++) {
    if (!tf_axis(op, axes[i], x->rank, &axes[i])) return false;
    gone[axes[i]] = true;
  }
  *rank = 0, *count = 0;
  for (int i = 0; i < x->rank; i++) {
    if (gone[i]) axes[(*count)++] = i;
    else shape[(*rank)++] = x->shape[i];
  }
  return true;
}

static void squeeze(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t axes[TF_RANK], shape[TF_RANK];
  size_t count;
  int rank;
  if (!squeezed(op, x, axes, &count, &rank, shape) || view(op, rank, shape)) return;
  sdx_ref in = tf_get(op, 0);
  if (in) tf_set(op, 0, tf_node_add(op, "Squeeze", SDX_REFS(in, tf_list(op, count, axes))), x->dtype, rank, shape);
}

static bool know_squeeze(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  return x && x->element_count == 1 && x->rank <= 1 && know_moved(op, 0);
}

static void transpose(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t order[TF_RANK], shape[TF_RANK];
  size_t count;
  if (!x || !tf_has_rank(op, x)) return;
  if (!tf_ints(op, 1, order, TF_RANK, &count) || (int)count != x->rank) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "an order that is computed");
    return;
  }
  for (size_t i = 0; i < count; i++) {
    if (!tf_axis(op, order[i], x->rank, &order[i])) return;
    shape[i] = x->shape[order[i]];
  }
  sdx_ref in = tf_get(op, 0);
  if (in) tf_set(op, 0, tf_transpose(op, in, count, order), x->dtype, x->rank, shape);
}

// ---- shapes -----------------------------------------------------------------------------------------

static void set_int64(tf_op *op, size_t index, sdx_ref y, int rank, const int64_t *shape) {
  sdx_dtype to = tf_attr_dtype(op->node, "out_type");
  tf_set(op, index, to == SDX_INT64 ? y : tf_cast(op, y, SDX_INT32), to == SDX_INT64 ? to : SDX_INT32, rank, shape);
}

static void shape_of(tf_op *op) {
  for (size_t i = 0; i < op->node->input_count && !convert_failed(op->t->c); i++) {
    const tf_value *x = tf_in(op, i);
    int64_t count = x ? x->rank : 0;
    sdx_ref in = x ? tf_get(op, i) : 0;
    if (in)
      set_int64(op, i, tf_node_add(op, op->kind->op, SDX_REFS(in)), *op->kind->op == 'S' && op->kind->op[1] == 'h',
                &count);
  }
}

static sdx_dtype index_type(tf_op *op) {
  return tf_attr_dtype(op->node, "out_type") == SDX_INT64 ? SDX_INT64 : SDX_INT32;
}

static bool know_shape(tf_op *op) {
  for (size_t i = 0; i < op->node->input_count; i++) {
    const tf_value *x = tf_in(op, i);
    int64_t n[TF_RANK];
    if (!x || x->rank < 0 || x->what != TF_TENSOR || i >= op->out_count) return false;
    for (int d = 0; d < x->rank; d++) n[d] = x->shape[d] < 0 ? TF_UNKNOWN : x->shape[d];
    if (!tf_know(op, i, index_type(op), 1, (size_t)x->rank, n)) return false;
  }
  return op->node->input_count > 0;
}

static bool know_size(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  size_t n;
  if (!x || x->rank < 0 || !size_product(x->shape, (size_t)x->rank, &n)) return false;
  return tf_know(op, 0, index_type(op), 0, 1, (int64_t[]){(int64_t)n});
}

static void rank_of(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  if (x && tf_has_rank(op, x)) tf_know(op, 0, SDX_INT32, 0, 1, (int64_t[]){x->rank});
}

static void broadcast_args(tf_op *op) {
  const tf_value *a = tf_in(op, 0), *b = tf_in(op, 1);
  if (!a || !b) return;
  sdx_ref refs[2] = {tf_get_int64(op, 0), tf_get_int64(op, 1)}, one = tf_scalar(op, SDX_FLOAT, 0);
  for (size_t i = 0; i < 2; i++) {
    if (!refs[i]) return;
    refs[i] = tf_node_add(op, "Expand", SDX_REFS(one, refs[i]));
  }
  sdx_ref y = tf_node_add(op, "Shape", SDX_REFS(tf_node_add(op, "Add", SDX_REFS(refs[0], refs[1]))));
  int64_t count = a->shape[0] < 0 || b->shape[0] < 0 ? -1 : i64_max(a->shape[0], b->shape[0]);
  tf_set(op, 0, a->dtype == SDX_INT64 ? y : tf_cast(op, y, SDX_INT32), a->dtype, 1, &count);
}

static void ensure_shape(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int rank;
  int64_t shape[TF_RANK];
  if (!x || !tf_attr_shape(op->t, op->node, "shape", 0, &rank, shape) || !tf_get(op, 0)) return;
  tf_value y = *x;
  if (y.rank < 0) y.rank = rank, memcpy(y.shape, shape, sizeof shape);
  for (int i = 0; i < rank && rank == y.rank; i++)
    if (y.shape[i] < 0) y.shape[i] = shape[i];
  op->out[0] = y;
}

// ---- joining ----------------------------------------------------------------------------------------

// Concat has its axis first, ConcatV2 last.
static void concat(tf_op *op) {
  bool old = *op->kind->op == '1';
  size_t count = op->node->input_count ? op->node->input_count - 1 : 0;
  int64_t axis, shape[TF_RANK];
  sdx_ref *refs = arena_array(op->t->c->memory, count + 1, sizeof *refs);
  const tf_value *x = count ? tf_in(op, old) : NULL;
  if (!x || !refs || !tf_has_rank(op, x)) return;
  if (!tf_int(op, old ? 0 : count, &axis)) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "an axis that is computed");
    return;
  }
  if (!tf_axis(op, axis, x->rank, &axis)) return;
  memcpy(shape, x->shape, sizeof shape);
  for (size_t i = 0; i < count; i++) {
    const tf_value *part = tf_in(op, i + old);
    if (!part || !(refs[i] = tf_get(op, i + old))) return;
    if (part->rank != x->rank) shape[axis] = -1;
    for (int d = 0; d < x->rank && part->rank == x->rank; d++) {
      if (d != axis && shape[d] < 0) shape[d] = part->shape[d];
      if (d == axis && i) shape[d] = shape[d] < 0 || part->shape[d] < 0 ? -1 : wrap_add(shape[d], part->shape[d]);
    }
  }
  sdx_ref y = count == 1 ? tf_node_add(op, "Identity", SDX_REFS(refs[0])) : tf_node_add(op, "Concat", count, refs);
  if (y && count > 1) sdx_graph_set_int(op->g, "axis", axis);
  tf_set(op, 0, y, x->dtype, x->rank, shape);
}

static bool know_joined(tf_op *op, size_t from, size_t count, int rank) {
  int64_t y[TF_ELEMENTS];
  size_t n = 0;
  const tf_value *x = NULL;
  for (size_t i = from; i < from + count; i++) {
    x = tf_in(op, i);
    if (!x || !x->elements || x->rank != rank || n + x->element_count > TF_ELEMENTS) return false;
    memcpy(y + n, x->elements, x->element_count * sizeof *y);
    n += x->element_count;
  }
  return x && tf_know(op, 0, x->dtype, 1, n, y);
}

static bool know_concat(tf_op *op) {
  return op->node->input_count > 1 && know_joined(op, *op->kind->op == '1', op->node->input_count - 1, 1);
}

static void pack(tf_op *op) {
  size_t count = op->node->input_count;
  int64_t axis, shape[TF_RANK];
  sdx_ref *refs = arena_array(op->t->c->memory, count + 1, sizeof *refs);
  const tf_value *x = count ? tf_in(op, 0) : NULL;
  if (!x || !refs || !tf_has_rank(op, x)) return;
  if (x->rank == TF_RANK || !tf_axis(op, tf_attr_int(op->node, "axis", 0), x->rank + 1, &axis)) return;
  for (int i = 0; i <= x->rank; i++) shape[i] = i == axis ? (int64_t)count : x->shape[i < axis ? i : i - 1];
  for (size_t i = 0; i < count; i++) {
    sdx_ref in = tf_get(op, i);
    if (!in) return;
    refs[i] = tf_node_add(op, "Unsqueeze", SDX_REFS(in, tf_list(op, 1, &axis)));
  }
  sdx_ref y = count > 1 ? tf_node_add(op, "Concat", count, refs) : refs[0];
  if (y && count > 1) sdx_graph_set_int(op->g, "axis", axis);
  tf_set(op, 0, y, x->dtype, x->rank + 1, shape);
}

static bool know_pack(tf_op *op) { return know_joined(op, 0, op->node->input_count, 0); }

// ---- repeating, making ------------------------------------------------------------------------------

static void tile(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *n = tf_in(op, 1);
  int64_t shape[TF_RANK];
  sdx_ref in = tf_get(op, 0), times = tf_get_int64(op, 1);
  if (!x || !n || !in || !times) return;
  for (int i = 0; i < x->rank; i++) {
    int64_t by = n->elements && (int)n->element_count == x->rank ? n->elements[i] : -1;
    shape[i] = by < 0 || x->shape[i] < 0 ? -1 : wrap_mul(by, x->shape[i]);
  }
  tf_set(op, 0, tf_node_add(op, "Tile", SDX_REFS(in, times)), x->dtype, x->rank, shape);
}

// BroadcastTo and Fill: to the shape of input `at`.
static void expand(tf_op *op) {
  size_t at = *op->kind->op == 'F' ? 0 : 1;
  const tf_value *x = tf_in(op, 1 - at), *to = tf_in(op, at);
  sdx_ref in = tf_get(op, 1 - at), n = tf_get_int64(op, at);
  int64_t shape[TF_RANK];
  int rank = to && to->elements && to->element_count <= TF_RANK ? (int)to->element_count : -1;
  if (!x || !to || !in || !n) return;
  if (rank < 0 && to->rank == 1 && to->shape[0] >= 0 && to->shape[0] <= TF_RANK) rank = (int)to->shape[0];
  for (int i = 0; i < rank; i++) shape[i] = to->elements && to->elements[i] >= 0 ? to->elements[i] : -1;
  tf_set(op, 0, tf_node_add(op, "Expand", SDX_REFS(in, n)), x->dtype, rank, shape);
}

static bool know_fill(tf_op *op) {
  const tf_value *to = tf_in(op, 0), *x = tf_in(op, 1);
  int64_t n = 1, y[TF_ELEMENTS];
  if (*op->kind->op != 'F' || !to || !x || !x->elements || x->element_count != 1 || !to->elements ||
      to->element_count > 1)
    return false;
  if (to->element_count) n = to->elements[0];
  if (n < 0 || n > TF_ELEMENTS) return false;
  for (int64_t i = 0; i < n; i++) y[i] = x->elements[0];
  return tf_know(op, 0, x->dtype, (int)to->element_count, (size_t)n, y);
}

// ZerosLike and OnesLike.
static void same_everywhere(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref in = x ? tf_get(op, 0) : 0;
  if (!in) return;
  sdx_ref one = tf_scalar(op, x->dtype, *op->kind->op == '1');
  tf_set_like(op, 0, tf_node_add(op, "Expand", SDX_REFS(one, tf_node_add(op, "Shape", SDX_REFS(in)))), x);
}

static void range(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref a = tf_get(op, 0), b = tf_get(op, 1), by = tf_get(op, 2);
  if (a && b && by) tf_set(op, 0, tf_node_add(op, "Range", SDX_REFS(a, b, by)), x->dtype, 1, NULL);
}

static bool know_range(tf_op *op) {
  int64_t from, to, by, y[TF_ELEMENTS];
  size_t n = 0;
  const tf_value *x = tf_in(op, 0);
  if (!x || !tf_int(op, 0, &from) || !tf_int(op, 1, &to) || !tf_int(op, 2, &by) || !by || tf_is_float(x->dtype))
    return false;
  for (; by > 0 ? from < to : from > to; from = wrap_add(from, by)) {
    if (n == TF_ELEMENTS) return false;
    y[n++] = from;
  }
  return tf_know(op, 0, x->dtype, 1, n, y);
}

static void lin_space(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref a = tf_get(op, 0), b = tf_get(op, 1), n = tf_get(op, 2);
  int64_t count = -1;
  if (!a || !b || !n) return;
  if (!tf_int(op, 2, &count)) count = -1;
  sdx_ref i32[] = {tf_cast(op, n, SDX_INT64), tf_scalar(op, SDX_INT64, 0), tf_scalar(op, SDX_INT64, 1)};
  sdx_ref steps = tf_cast(op, tf_node_add(op, "Range", SDX_REFS(i32[1], i32[0], i32[2])), x->dtype);
  sdx_ref most = tf_node_add(op, "Max", SDX_REFS(tf_node_add(op, "Sub", SDX_REFS(i32[0], i32[2])), i32[2]));
  sdx_ref step = tf_node_add(op, "Div", SDX_REFS(tf_node_add(op, "Sub", SDX_REFS(b, a)), tf_cast(op, most, x->dtype)));
  sdx_ref y = tf_node_add(op, "Add", SDX_REFS(a, tf_node_add(op, "Mul", SDX_REFS(steps, step))));
  tf_set(op, 0, y, x->dtype, 1, &count);
}

// A place outside of the range has no 1; ONNX counts negative ones from the end.
static void one_hot(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *value = tf_in(op, 2);
  sdx_ref i = tf_get_int64(op, 0), depth = tf_get_int64(op, 1), on = tf_get(op, 2), off = tf_get(op, 3);
  int64_t axis = tf_attr_int(op->node, "axis", -1), size, shape[TF_RANK];
  if (!x || !value || !i || !depth || !on || !off || !tf_has_rank(op, x)) return;
  if (!tf_int(op, 1, &size)) size = -1;
  if (x->rank == TF_RANK || !tf_axis(op, axis, x->rank + 1, &axis)) return;
  for (int d = 0; d <= x->rank; d++) shape[d] = d == axis ? size : x->shape[d < axis ? d : d - 1];
  sdx_ref one = tf_list(op, 1, (int64_t[]){1}), zero = tf_scalar(op, SDX_INT64, 0);
  if (x->dtype != SDX_UINT8)
    i = tf_node_add(op, "Where", SDX_REFS(tf_node_add(op, "Less", SDX_REFS(i, zero)), depth, i));
  on = tf_node_add(op, "Reshape", SDX_REFS(on, one));
  off = tf_node_add(op, "Reshape", SDX_REFS(off, one));
  sdx_ref values = tf_node_add(op, "Concat", SDX_REFS(off, on));
  if (values) sdx_graph_set_int(op->g, "axis", 0);
  sdx_ref y = tf_node_add(op, "OneHot", SDX_REFS(i, depth, values));
  if (y) sdx_graph_set_int(op->g, "axis", axis);
  tf_set(op, 0, y, value->dtype, x->rank + 1, shape);
}

static void where(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref in = x ? tf_get(op, 0) : 0;
  if (!in) return;
  sdx_ref y = tf_transpose(op, tf_node_add(op, "NonZero", SDX_REFS(in)), 2, (int64_t[]){1, 0});
  tf_set(op, 0, y, SDX_INT64, 2, (int64_t[]){-1, x->rank});
}

static void random_like(tf_op *op) {
  const tf_value *to = tf_in(op, 0);
  sdx_ref shape = tf_get_int64(op, 0);
  if (!to || !shape) return;
  sdx_dtype dtype = tf_attr_dtype(op->node, "dtype");
  int rank = to->elements && to->element_count <= TF_RANK ? (int)to->element_count : -1;
  int64_t sizes[TF_RANK];
  for (int i = 0; i < rank; i++) sizes[i] = to->elements[i] < 0 ? -1 : to->elements[i];
  sdx_ref zeros = tf_node_add(op, "Expand", SDX_REFS(tf_scalar(op, dtype, 0), shape));
  tf_set(op, 0, tf_node_add(op, op->kind->op, SDX_REFS(zeros)), dtype, rank, sizes);
}

// ---- padding ----------------------------------------------------------------------------------------

// The other way round at each end, the border included.
static sdx_ref pad_symmetric(tf_op *op, sdx_ref x, int rank, const int64_t *pairs) {
  for (int i = 0; i < rank; i++) {
    sdx_ref parts[3];
    size_t n = 0;
    if (pairs[2 * i]) parts[n++] = tf_slice_axis(op, x, i, pairs[2 * i] - 1, INT64_MIN + 1, -1);
    parts[n++] = x;
    if (pairs[2 * i + 1]) parts[n++] = tf_slice_axis(op, x, i, -1, -1 - pairs[2 * i + 1], -1);
    if (n == 1) continue;
    x = tf_node_add(op, "Concat", n, parts);
    if (x) sdx_graph_set_int(op->g, "axis", i);
  }
  return x;
}

static sdx_ref pads_of(tf_op *op, int rank, const int64_t *pairs) {
  int64_t pads[2 * TF_RANK];
  for (int i = 0; pairs && i < rank; i++) pads[i] = pairs[2 * i], pads[rank + i] = pairs[2 * i + 1];
  if (pairs) return tf_list(op, 2 * (size_t)rank, pads);
  sdx_ref n = tf_get(op, 1);
  if (!n) return 0;
  n = tf_node_add(op, "Reshape", SDX_REFS(tf_transpose(op, n, 2, (int64_t[]){1, 0}), tf_list(op, 1, (int64_t[]){-1})));
  return tf_in(op, 1)->dtype == SDX_INT64 ? n : tf_cast(op, n, SDX_INT64);
}

static void pad(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t pairs[2 * TF_RANK], shape[TF_RANK];
  size_t count = 0;
  sdx_ref y = tf_get(op, 0), value = op->node->input_count > 2 ? tf_get(op, 2) : 0;
  if (!x || !y || !tf_has_rank(op, x)) return;
  bool known = tf_ints(op, 1, pairs, 2 * TF_RANK, &count) && (int)count == 2 * x->rank;
  str mode = tf_attr_text(op->node, "mode");
  for (int i = 0; i < x->rank; i++)
    shape[i] = !known || x->shape[i] < 0 ? -1 : wrap_add(x->shape[i], wrap_add(pairs[2 * i], pairs[2 * i + 1]));
  if (str_is(mode, "SYMMETRIC")) {
    if (!known) {
      tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a symmetric padding that is computed");
      return;
    }
    tf_set(op, 0, pad_symmetric(op, tf_node_add(op, "Identity", SDX_REFS(y)), x->rank, pairs), x->dtype, x->rank,
           shape);
    return;
  }
  sdx_ref n = pads_of(op, x->rank, known ? pairs : NULL);
  if (!n) return;
  y = tf_node_add(op, "Pad", value ? 3 : 2, (sdx_ref[]){y, n, value});
  if (y && mode.size) sdx_graph_set_string(op->g, "mode", "reflect");
  tf_set(op, 0, y, x->dtype, x->rank, shape);
}

// ---- triangles --------------------------------------------------------------------------------------

static void band_part(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t lower, upper;
  sdx_ref y = tf_get(op, 0);
  if (!x || !y) return;
  if (!tf_int(op, 1, &lower) || !tf_int(op, 2, &upper)) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a band that is computed");
    return;
  }
  if (lower >= 0) {
    y = tf_node_add(op, "Trilu", SDX_REFS(y, tf_scalar(op, SDX_INT64, (double)-lower)));
    if (y) sdx_graph_set_int(op->g, "upper", 1);
  }
  if (upper >= 0) {
    y = tf_node_add(op, "Trilu", SDX_REFS(y, tf_scalar(op, SDX_INT64, (double)upper)));
    if (y) sdx_graph_set_int(op->g, "upper", 0);
  }
  tf_set_like(op, 0, lower < 0 && upper < 0 ? tf_node_add(op, "Identity", SDX_REFS(y)) : y, x);
}

const tf_kind tf_shape_kinds[] = {
    {"BroadcastArgs", .emit = broadcast_args},
    {"BroadcastTo", expand, .op = "B"},
    {"Concat", concat, .op = "1", .know = know_concat},
    {"ConcatV2", concat, .op = "2", .know = know_concat},
    {"EnsureShape", .emit = ensure_shape},
    {"ExpandDims", expand_dims, .know = know_expand_dims},
    {"Fill", expand, .op = "F", .know = know_fill},
    {"LinSpace", .emit = lin_space},
    {"MatrixBandPart", .emit = band_part},
    {"MirrorPad", .emit = pad},
    {"OneHot", .emit = one_hot},
    {"OnesLike", same_everywhere, .op = "1"},
    {"Pack", pack, .know = know_pack},
    {"Pad", .emit = pad},
    {"PadV2", .emit = pad},
    {"RandomStandardNormal", random_like, .op = "RandomNormalLike"},
    {"RandomUniform", random_like, .op = "RandomUniformLike"},
    {"Range", range, .know = know_range},
    {"Rank", .emit = rank_of},
    {"Reshape", reshape, .know = know_reshape},
    {"Shape", shape_of, .op = "Shape", .know = know_shape},
    {"ShapeN", shape_of, .op = "Shape", .know = know_shape},
    {"Size", shape_of, .op = "Size", .know = know_size},
    {"Squeeze", squeeze, .know = know_squeeze},
    {"Tile", .emit = tile},
    {"Transpose", .emit = transpose},
    {"Where", .emit = where},
    {"ZerosLike", same_everywhere, .op = "0"},
    {0},
};
