// SPDX-License-Identifier: Apache-2.0
// Operators that cut, split, look up and write at places.
#include <string.h>

#include "base/size.h"
#include "convert/tensorflow.h"

// ---- slices -----------------------------------------------------------------------------------------

static sdx_ref axes_from_zero(tf_op *op, int rank) {
  int64_t axes[TF_RANK];
  for (int i = 0; i < rank; i++) axes[i] = i;
  return tf_list(op, (size_t)rank, axes);
}

// A size of -1 reaches to the end.
static void slice(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *from = tf_in(op, 1), *size = tf_in(op, 2);
  sdx_ref in = tf_get(op, 0), begin = tf_get_int64(op, 1), end = tf_get_int64(op, 2);
  int64_t shape[TF_RANK], ends[TF_RANK];
  if (!x || !from || !size || !in || !begin || !end || !tf_has_rank(op, x)) return;
  bool known =
      from->elements && size->elements && (int)from->element_count == x->rank && (int)size->element_count == x->rank;
  bool all = known;
  for (int i = 0; i < x->rank; i++) {
    int64_t a = known ? from->elements[i] : TF_UNKNOWN, n = known ? size->elements[i] : TF_UNKNOWN;
    shape[i] = n >= 0 ? n : n == -1 && a >= 0 && x->shape[i] >= a ? x->shape[i] - a : -1;
    ends[i] = n == -1 ? INT32_MAX : wrap_add(a, n);
    all = all && a != TF_UNKNOWN && n != TF_UNKNOWN;
  }
  if (all) {
    end = tf_list(op, (size_t)x->rank, ends);
  } else {
    sdx_ref zero = tf_list(op, 1, (int64_t[]){0}), most = tf_list(op, 1, (int64_t[]){INT32_MAX});
    sdx_ref open = tf_node_add(op, "Less", SDX_REFS(end, zero));
    end = tf_node_add(op, "Where", SDX_REFS(open, most, tf_node_add(op, "Add", SDX_REFS(begin, end))));
  }
  sdx_ref y = tf_node_add(op, "Slice", SDX_REFS(in, begin, end, axes_from_zero(op, x->rank)));
  tf_set(op, 0, y, x->dtype, x->rank, shape);
}

static bool know_slice(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t from, size;
  if (!x || !x->elements || x->rank != 1 || !tf_int(op, 1, &from) || !tf_int(op, 2, &size) || from < 0) return false;
  if (size < 0) size = (int64_t)x->element_count - from;
  if (size < 0 || wrap_add(from, size) > (int64_t)x->element_count) return false;
  return tf_know(op, 0, x->dtype, 1, (size_t)size, x->elements + from);
}

// One dimension of a strided slice: numbers that are not known are TF_UNKNOWN.
typedef struct part {
  int64_t axis, from, to, step, place;  // place: in begin, end and strides
  bool shrinks, open_from, open_to;
} part;

typedef struct parts {
  part all[TF_RANK];
  size_t count;
  int64_t made[TF_RANK];  // new axes of the result
  size_t makes;
  int rank;  // of the result
  int64_t shape[TF_RANK];
} parts;

static int64_t element(const tf_value *x, size_t i) {
  return x->elements && i < x->element_count ? x->elements[i] : TF_UNKNOWN;
}

static int64_t length(const part *p, int64_t size) {
  if (size < 0 || (p->from == TF_UNKNOWN && !p->open_from) || (p->to == TF_UNKNOWN && !p->open_to)) return -1;
  int64_t from = !p->open_from ? p->from : p->step < 0 ? size : 0;
  int64_t to = !p->open_to ? p->to : p->step < 0 ? -size - 1 : size;
  return node_slice_length(size, from, to, p->step);
}

static bool keep(parts *p, int64_t size) {
  if (p->rank == TF_RANK) return false;
  p->shape[p->rank++] = size;
  return true;
}

// Which dimension each number is about. False: a failure was told.
static bool read_parts(tf_op *op, const tf_value *x, size_t n, parts *p) {
  const tf_value *begin = tf_in(op, 1), *end = tf_in(op, 2), *strides = tf_in(op, 3);
  int64_t begins = tf_attr_int(op->node, "begin_mask", 0), ends = tf_attr_int(op->node, "end_mask", 0);
  int64_t dots = tf_attr_int(op->node, "ellipsis_mask", 0), news = tf_attr_int(op->node, "new_axis_mask", 0);
  int64_t shrinks = tf_attr_int(op->node, "shrink_axis_mask", 0), axis = 0;
  size_t added = 0;
  bool fits = n <= TF_RANK;
  for (size_t i = 0; fits && i < n; i++) added += (news >> i & 1) && !(dots >> i & 1);
  for (size_t i = 0; fits && i < n; i++) {
    if (dots >> i & 1) {
      for (size_t skipped = (size_t)x->rank + added + 1; fits && skipped > n && axis < x->rank; skipped--)
        fits = keep(p, x->shape[axis++]);
    } else if (news >> i & 1) {
      p->made[p->makes++] = p->rank;
      fits = keep(p, 1);
    } else {
      part q = {.axis = axis, .from = element(begin, i), .to = element(end, i), .step = element(strides, i)};
      q.place = (int64_t)i;
      q.shrinks = shrinks >> i & 1, q.open_from = !q.shrinks && begins >> i & 1,
      q.open_to = !q.shrinks && ends >> i & 1;
      if (axis >= x->rank || q.step == TF_UNKNOWN || !q.step || q.step < -INT32_MAX || q.step > INT32_MAX)
        return !tf_fail(op, SDX_NOT_SUPPORTED, NULL,
                        "a slice of more dimensions than there are, or of an unknown step");
      if (!q.shrinks) fits = keep(p, length(&q, x->shape[axis]));
      p->all[p->count++] = q;
      axis++;
    }
  }
  for (; fits && axis < x->rank; axis++) fits = keep(p, x->shape[axis]);
  return fits || !tf_fail(op, SDX_NOT_SUPPORTED, NULL, "more than %d dimensions", TF_RANK);
}

// One number of begin or end, as a list of one.
static sdx_ref number(tf_op *op, size_t input, const part *p, int64_t known) {
  if (known != TF_UNKNOWN) return tf_list(op, 1, &known);
  sdx_ref all = tf_get_int64(op, input);
  return all ? tf_slice_axis(op, all, 0, p->place, p->place + 1, 1) : 0;
}

static sdx_ref emit_part(tf_op *op, sdx_ref y, const part *p, int64_t axis) {
  if (p->shrinks) {  // away goes the axis, too
    sdx_ref at = p->from != TF_UNKNOWN ? tf_scalar(op, SDX_INT64, (double)p->from) : 0;
    if (!at) at = tf_squeeze(op, number(op, 1, p, TF_UNKNOWN), 0);
    y = tf_node_add(op, "Gather", SDX_REFS(y, at));
    if (y) sdx_graph_set_int(op->g, "axis", axis);
    return y;
  }
  int64_t from = p->open_from ? (p->step < 0 ? INT32_MAX : 0) : p->from;
  int64_t to = p->open_to ? (p->step < 0 ? INT64_MIN + 1 : INT32_MAX) : p->to;
  if (from == 0 && to == INT32_MAX && p->step == 1) return y;
  sdx_ref a = number(op, 1, p, from), b = number(op, 2, p, to);
  return tf_node_add(op, "Slice", SDX_REFS(y, a, b, tf_list(op, 1, &axis), tf_list(op, 1, &p->step)));
}

static void strided_slice(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *strides = tf_in(op, 3);
  parts p = {0};
  if (!x || !strides || !tf_has_rank(op, x) || !tf_in(op, 1) || !tf_in(op, 2)) return;
  if (!strides->elements) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "steps that are computed");
    return;
  }
  if (!read_parts(op, x, strides->element_count, &p)) return;
  sdx_ref in = tf_get(op, 0), y = in;
  for (size_t i = p.count; i-- && y;) y = emit_part(op, y, &p.all[i], p.all[i].axis);  // from the last: axes go away
  if (p.makes && y) y = tf_node_add(op, "Unsqueeze", SDX_REFS(y, tf_list(op, p.makes, p.made)));
  if (y) tf_set(op, 0, y == in ? tf_node_add(op, "Identity", SDX_REFS(y)) : y, x->dtype, p.rank, p.shape);
}

static bool know_strided_slice(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *strides = tf_in(op, 3);
  int64_t y[TF_ELEMENTS];
  size_t n = 0;
  parts p = {0};
  if (!x || !x->elements || x->rank != 1 || !strides || !strides->elements || strides->element_count != 1 ||
      !tf_in(op, 1) || !tf_in(op, 2) || !read_parts(op, x, 1, &p) || p.makes || p.count != 1)
    return false;
  const part *q = &p.all[0];
  int64_t size = (int64_t)x->element_count, count = q->shrinks ? 1 : length(q, size);
  int64_t at = q->open_from ? (q->step < 0 ? size - 1 : 0) : q->from < 0 ? q->from + size : q->from;
  if (count < 0 || (q->from == TF_UNKNOWN && !q->open_from)) return false;
  if (!q->shrinks) at = i64_min(i64_max(at, 0), q->step < 0 ? size - 1 : size);
  for (; (int64_t)n < count && at >= 0 && at < size && n < TF_ELEMENTS; at += q->step) y[n++] = x->elements[at];
  return (int64_t)n == count && tf_know(op, 0, x->dtype, !q->shrinks, n, y);
}

// ---- splits -----------------------------------------------------------------------------------------

// Split has its axis first, SplitV its sizes second and its axis third.
static void split(tf_op *op) {
  bool sized = *op->kind->op == 'v';
  const tf_value *x = tf_in(op, sized ? 0 : 1);
  int64_t axis, sizes[TF_ELEMENTS], parts = tf_attr_int(op->node, "num_split", 0), shape[TF_RANK], rest;
  size_t count = 0;
  sdx_ref in = tf_get(op, sized ? 0 : 1), y;
  if (!x || !in || !tf_has_rank(op, x)) return;
  if (parts < 1 || parts > TF_ELEMENTS || (size_t)parts > op->out_count || !tf_int(op, sized ? 2 : 0, &axis) ||
      (sized && (!tf_ints(op, 1, sizes, TF_ELEMENTS, &count) || (int64_t)count != parts))) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a split that is computed, or into more than %d parts", TF_ELEMENTS);
    return;
  }
  if (!tf_axis(op, axis, x->rank, &axis)) return;
  rest = x->shape[axis];
  bool even = !sized && rest < 0, open = false;
  for (int64_t i = 0; i < parts; i++) {
    if (!sized) sizes[i] = rest < 0 ? -1 : x->shape[axis] / parts;
    else if (sizes[i] < 0) open = true;
    else if (rest >= 0) rest -= sizes[i];
  }
  for (int64_t i = 0; sized && i < parts; i++)
    if (sizes[i] < 0) sizes[i] = rest;
  if (sized && open && rest < 0) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "the rest of a dimension that is not known");
    return;
  }
  y = even ? tf_node_add(op, "Split", SDX_REFS(in))
           : tf_node_add(op, "Split", SDX_REFS(in, tf_list(op, (size_t)parts, sizes)));
  if (!y) return;
  sdx_graph_set_int(op->g, "axis", axis);
  if (even && sdx_builder_opset(op->t->c->builder, "") >= 18) sdx_graph_set_int(op->g, "num_outputs", parts);
  memcpy(shape, x->shape, sizeof shape);
  for (int64_t i = 0; i < parts; i++) {
    shape[axis] = sizes[i];
    tf_set(op, (size_t)i, i ? sdx_graph_add_node_output(op->g) : y, x->dtype, x->rank, shape);
  }
}

static void unpack(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t axis, count = tf_attr_int(op->node, "num", 0), shape[TF_RANK];
  int rank = 0;
  sdx_ref in = tf_get(op, 0);
  if (!x || !in || !tf_has_rank(op, x) || !tf_axis(op, tf_attr_int(op->node, "axis", 0), x->rank, &axis)) return;
  for (int i = 0; i < x->rank; i++)
    if (i != axis) shape[rank++] = x->shape[i];
  for (int64_t i = 0; i < count && (size_t)i < op->out_count; i++) {
    sdx_ref y = tf_node_add(op, "Gather", SDX_REFS(in, tf_scalar(op, SDX_INT64, (double)i)));
    if (!y) return;
    sdx_graph_set_int(op->g, "axis", axis);
    tf_set(op, (size_t)i, y, x->dtype, rank, shape);
  }
}

static bool know_unpack(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  if (!x || !x->elements || x->rank != 1 || (int64_t)x->element_count != tf_attr_int(op->node, "num", -1)) return false;
  for (size_t i = 0; i < x->element_count; i++)
    if (i >= op->out_count || !tf_know(op, i, x->dtype, 0, 1, &x->elements[i])) return false;
  return true;
}

// ---- looking up -------------------------------------------------------------------------------------

// Behind leading dimensions that both have in common, GatherND with pairs of one number each.
static sdx_ref gather_in_batches(tf_op *op, sdx_ref x, sdx_ref i, int64_t axis, int64_t batch) {
  if (axis != batch) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "an axis (%lld) that is not the first behind %lld common ones",
            (long long)axis, (long long)batch);
    return 0;
  }
  sdx_ref minus = tf_list(op, 1, (int64_t[]){-1});
  sdx_ref y = tf_node_add(op, "GatherND", SDX_REFS(x, tf_node_add(op, "Unsqueeze", SDX_REFS(i, minus))));
  if (y) sdx_graph_set_int(op->g, "batch_dims", batch);
  return y;
}

static void gather(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *i = tf_in(op, 1);
  int64_t axis = 0, batch = tf_attr_int(op->node, "batch_dims", 0), shape[TF_RANK];
  sdx_ref in = tf_get(op, 0), at = tf_get(op, 1);
  if (!x || !i || !in || !at) return;
  if (op->node->input_count > 2 && !tf_int(op, 2, &axis)) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "an axis that is computed");
    return;
  }
  if ((axis && !tf_has_rank(op, x)) || (axis && !tf_axis(op, axis, x->rank, &axis))) return;
  if (batch && (!tf_has_rank(op, x) || !tf_has_rank(op, i) || !tf_axis(op, batch, i->rank + 1, &batch))) return;
  if (i->dtype != SDX_INT32 && i->dtype != SDX_INT64) at = tf_cast(op, at, SDX_INT64);
  if (batch && at) at = i->dtype == SDX_INT64 ? at : tf_cast(op, at, SDX_INT64);
  sdx_ref y = batch ? gather_in_batches(op, in, at, axis, batch) : tf_node_add(op, "Gather", SDX_REFS(in, at));
  if (!y) return;
  if (!batch) sdx_graph_set_int(op->g, "axis", axis);
  int rank = x->rank < 0 || i->rank < 0 ? -1 : x->rank + i->rank - 1 - (int)batch, n = 0;
  if (rank > TF_RANK) rank = -1;
  for (int d = 0; rank >= 0 && d < axis; d++) shape[n++] = x->shape[d];
  for (int d = (int)batch; rank >= 0 && d < i->rank; d++) shape[n++] = i->shape[d];
  for (int d = (int)axis + 1; rank >= 0 && d < x->rank; d++) shape[n++] = x->shape[d];
  tf_set(op, 0, y, x->dtype, rank, shape);
}

static bool know_gather(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *i = tf_in(op, 1);
  int64_t y[TF_ELEMENTS];
  if (!x || !i || !x->elements || x->rank != 1 || !i->elements || i->rank > 1) return false;
  for (size_t k = 0; k < i->element_count; k++) {
    int64_t at = i->elements[k];
    if (at < 0 || at >= (int64_t)x->element_count) return false;
    y[k] = x->elements[at];
  }
  return tf_know(op, 0, x->dtype, i->rank, i->element_count, y);
}

static void gather_nd(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *i = tf_in(op, 1);
  int64_t shape[TF_RANK], batch = tf_attr_int(op->node, "batch_dims", 0);
  sdx_ref in = tf_get(op, 0), at = tf_get_int64(op, 1);
  if (!x || !i || !in || !at) return;
  if (batch < 0 || batch >= TF_RANK) {
    tf_fail(op, SDX_INVALID_MODEL, NULL, "%lld common dimensions", (long long)batch);
    return;
  }
  sdx_ref y = tf_node_add(op, "GatherND", SDX_REFS(in, at));
  if (y && batch) sdx_graph_set_int(op->g, "batch_dims", batch);
  int64_t deep = i->rank > 0 ? i->shape[i->rank - 1] : -1, from = wrap_add(deep, batch);
  int rank = x->rank < 0 || deep < 0 || from < 0 || from > x->rank ? -1 : i->rank - 1 + x->rank - (int)from, n = 0;
  if (rank > TF_RANK) rank = -1;
  for (int d = 0; rank >= 0 && d < i->rank - 1; d++) shape[n++] = i->shape[d];
  for (int64_t d = from; rank >= 0 && d < x->rank; d++) shape[n++] = x->shape[d];
  tf_set(op, 0, y, x->dtype, rank, shape);
}

// ---- writing at places ------------------------------------------------------------------------------

// op: the reduction of ONNX.
static void tensor_scatter(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref in = tf_get(op, 0), at = tf_get_int64(op, 1), what = tf_get(op, 2);
  if (!x || !in || !at || !what) return;
  if (!strcmp(op->kind->op, "sub")) what = tf_node_add(op, "Neg", SDX_REFS(what));
  sdx_ref y = tf_node_add(op, "ScatterND", SDX_REFS(in, at, what));
  if (y && *op->kind->op) sdx_graph_set_string(op->g, "reduction", strcmp(op->kind->op, "sub") ? op->kind->op : "add");
  tf_set_like(op, 0, y, x);
}

static void scatter_nd(tf_op *op) {
  const tf_value *updates = tf_in(op, 1), *to = tf_in(op, 2);
  sdx_ref at = tf_get_int64(op, 0), what = tf_get(op, 1), shape = tf_get_int64(op, 2);
  if (!updates || !to || !at || !what || !shape) return;
  int rank = to->elements && to->element_count <= TF_RANK ? (int)to->element_count : -1;
  int64_t sizes[TF_RANK];
  for (int i = 0; i < rank; i++) sizes[i] = to->elements[i] < 0 ? -1 : to->elements[i];
  sdx_ref zeros = tf_node_add(op, "Expand", SDX_REFS(tf_scalar(op, updates->dtype, 0), shape));
  sdx_ref y = tf_node_add(op, "ScatterND", SDX_REFS(zeros, at, what));
  if (y) sdx_graph_set_string(op->g, "reduction", "add");
  tf_set(op, 0, y, updates->dtype, rank, sizes);
}

// ---- the other way round ----------------------------------------------------------------------------

static void reverse(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t axes[TF_RANK];
  size_t count;
  sdx_ref y = tf_get(op, 0);
  if (!x || !y || !tf_has_rank(op, x)) return;
  if (!tf_ints(op, 1, axes, TF_RANK, &count)) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "axes that are computed");
    return;
  }
  for (size_t i = 0; y && i < count; i++) {
    if (!tf_axis(op, axes[i], x->rank, &axes[i])) return;
    y = tf_slice_axis(op, y, axes[i], -1, INT64_MIN + 1, -1);
  }
  tf_set_like(op, 0, count ? y : tf_node_add(op, "Identity", SDX_REFS(y)), x);
}

static void reverse_sequence(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t batch = tf_attr_int(op->node, "batch_dim", 0), time = tf_attr_int(op->node, "seq_dim", 1);
  sdx_ref y = tf_get(op, 0), lengths = tf_get_int64(op, 1);
  if (!x || !y || !lengths || !tf_has_rank(op, x)) return;
  int64_t order[TF_RANK];
  for (int i = 0; i < x->rank; i++) order[i] = i;
  bool fits = (batch == 0 && time == 1) || (batch == 1 && time == 0);
  if (!fits && (batch != 0 || time < 1 || time >= x->rank)) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "batches and steps in axes %lld and %lld", (long long)batch, (long long)time);
    return;
  }
  if (!fits) order[1] = time, order[time] = 1, y = tf_transpose(op, y, (size_t)x->rank, order);
  y = tf_node_add(op, "ReverseSequence", SDX_REFS(y, lengths));
  if (!y) return;
  sdx_graph_set_int(op->g, "batch_axis", batch);
  sdx_graph_set_int(op->g, "time_axis", 1 - batch);
  tf_set_like(op, 0, fits ? y : tf_transpose(op, y, (size_t)x->rank, order), x);
}

const tf_kind tf_slice_kinds[] = {
    {"Gather", gather, .know = know_gather},
    {"GatherNd", .emit = gather_nd},
    {"GatherV2", gather, .know = know_gather},
    {"ResourceGather", .emit = gather},
    {"ResourceGatherNd", .emit = gather_nd},
    {"ReverseSequence", .emit = reverse_sequence},
    {"ReverseV2", .emit = reverse},
    {"ScatterNd", .emit = scatter_nd},
    {"Slice", slice, .know = know_slice},
    {"Split", split, .op = "s"},
    {"SplitV", split, .op = "v"},
    {"StridedSlice", strided_slice, .know = know_strided_slice},
    {"TensorScatterAdd", tensor_scatter, .op = "add"},
    {"TensorScatterMax", tensor_scatter, .op = "max"},
    {"TensorScatterMin", tensor_scatter, .op = "min"},
    {"TensorScatterSub", tensor_scatter, .op = "sub"},
    {"TensorScatterUpdate", tensor_scatter, .op = ""},
    {"Unpack", unpack, .know = know_unpack},
    {0},
};
