// SPDX-License-Identifier: Apache-2.0
// Operators along axes: sums and their like, running sums, largest places, sorted values, quantisation that is
// simulated.
#include <math.h>
#include <string.h>

#include "convert/tensorflow.h"

sdx_ref tf_reduce(tf_op *op, const char *what, sdx_ref x, size_t count, const int64_t *axes, bool keep) {
  bool input = node_axes_are_inputs(op->t->c, what);
  sdx_ref y = input ? tf_node_add(op, what, SDX_REFS(x, tf_list(op, count, axes))) : tf_node_add(op, what, SDX_REFS(x));
  if (y && !input) sdx_graph_set_ints(op->g, "axes", count, axes);
  if (y) sdx_graph_set_int(op->g, "keepdims", keep);
  return y;
}

// The axes of input 1, from 0 on; and the shape of what stays.
static bool read_axes(tf_op *op, const tf_value *x, bool keep, int64_t *axes, size_t *count, int *rank,
                      int64_t *shape) {
  bool gone[TF_RANK] = {0};
  *rank = 0;
  if (!tf_has_rank(op, x)) return false;
  if (!tf_ints(op, 1, axes, TF_RANK, count)) return !tf_fail(op, SDX_NOT_SUPPORTED, NULL, "axes that are computed");
  for (size_t i = 0; i < *count; i++) {
    if (!tf_axis(op, axes[i], x->rank, &axes[i])) return false;
    gone[axes[i]] = true;
  }
  for (int i = 0; i < x->rank; i++)
    if (!gone[i] || keep) shape[(*rank)++] = gone[i] ? 1 : x->shape[i];
  return true;
}

static void reduce(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t axes[TF_RANK], shape[TF_RANK];
  size_t count;
  int rank;
  const char *what = op->kind->op;
  bool keep = tf_attr_int(op->node, "keep_dims", 0), truth = x && x->dtype == SDX_BOOL;
  sdx_ref y = x ? tf_get(op, 0) : 0;
  if (!y || !read_axes(op, x, keep, axes, &count, &rank, shape)) return;
  if (truth) y = tf_cast(op, y, SDX_INT32);
  y = count ? tf_reduce(op, what, y, count, axes, keep) : tf_node_add(op, "Identity", SDX_REFS(y));
  if (x->dtype != SDX_BOOL && !tf_is_float(x->dtype) && !strcmp(what, "ReduceL2")) y = tf_cast(op, y, x->dtype);
  tf_set(op, 0, truth ? tf_cast(op, y, SDX_BOOL) : y, x->dtype, rank, shape);
}

static bool know_reduce(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t axes[TF_RANK], y = 0;
  size_t count;
  if (!x || !x->elements || x->rank != 1 || !tf_ints(op, 1, axes, TF_RANK, &count) || count != 1 || !x->element_count)
    return false;
  char what = op->kind->op[6];  // "ReduceProd"
  bool max = !strcmp(op->kind->op, "ReduceMax"), min = !strcmp(op->kind->op, "ReduceMin");
  if (x->dtype == SDX_BOOL || (what != 'P' && what != 'S' && !max && !min)) return false;
  for (size_t i = 0; i < x->element_count; i++) {
    int64_t n = x->elements[i];
    if (n == TF_UNKNOWN) y = n;
    if (y == TF_UNKNOWN) break;
    if (!i) y = n;
    else if (what == 'P') y = (int64_t)((uint64_t)y * (uint64_t)n);
    else if (what == 'S') y = (int64_t)((uint64_t)y + (uint64_t)n);
    else if (max ? n > y : n < y) y = n;
  }
  if (y != TF_UNKNOWN && x->dtype == SDX_INT32) y = (int32_t)y;
  return tf_know(op, 0, x->dtype, tf_attr_int(op->node, "keep_dims", 0) ? 1 : 0, 1, &y);
}

static void arg(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t axis, shape[TF_RANK];
  int rank = 0;
  sdx_dtype to = tf_attr_dtype(op->node, "output_type");
  if (!x || !tf_has_rank(op, x)) return;
  if (!tf_int(op, 1, &axis)) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "an axis that is computed");
    return;
  }
  if (!tf_axis(op, axis, x->rank, &axis)) return;
  for (int i = 0; i < x->rank; i++)
    if (i != axis) shape[rank++] = x->shape[i];
  sdx_ref y = tf_get(op, 0);
  if (x->dtype == SDX_BOOL) y = tf_cast(op, y, SDX_INT32);
  y = tf_node_add(op, op->kind->op, SDX_REFS(y));
  if (!y) return;
  sdx_graph_set_int(op->g, "axis", axis);
  sdx_graph_set_int(op->g, "keepdims", 0);
  tf_set(op, 0, to && to != SDX_INT64 ? tf_cast(op, y, to) : y, to ? to : SDX_INT64, rank, shape);
}

// With the running product as e to the sum of logarithms it would lose signs: it is refused.
static void cumsum(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref in = tf_get(op, 0), axis = tf_get(op, 1);
  if (!in || !axis) return;
  sdx_ref y = tf_node_add(op, "CumSum", SDX_REFS(in, axis));
  if (!y) return;
  sdx_graph_set_int(op->g, "exclusive", tf_attr_int(op->node, "exclusive", 0));
  sdx_graph_set_int(op->g, "reverse", tf_attr_int(op->node, "reverse", 0));
  tf_set_like(op, 0, y, x);
}

static void top_k(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t k = -1, shape[TF_RANK] = {0};
  sdx_ref in = x ? tf_get(op, 0) : 0, n = 0;
  if (!in) return;
  if (op->node->input_count > 1) {
    if (!tf_int(op, 1, &k)) k = -1;
    n = tf_get_int64(op, 1);
    n = n ? tf_node_add(op, "Reshape", SDX_REFS(n, tf_list(op, 1, (int64_t[]){1}))) : 0;
  } else {
    k = tf_attr_int(op->node, "k", 1);
    n = tf_list(op, 1, &k);
  }
  sdx_ref y = n ? tf_node_add(op, "TopK", SDX_REFS(in, n)) : 0;
  if (!y) return;
  sdx_ref i = sdx_graph_add_node_output(op->g);
  memcpy(shape, x->shape, sizeof shape);
  if (x->rank > 0) shape[x->rank - 1] = k;
  sdx_dtype to = tf_attr_dtype(op->node, "index_type");
  tf_set(op, 0, y, x->dtype, x->rank, shape);
  tf_set(op, 1, to == SDX_INT64 ? i : tf_cast(op, i, SDX_INT32), to == SDX_INT64 ? to : SDX_INT32, x->rank, shape);
}

static void in_top_k(tf_op *op) {
  const tf_value *labels = tf_in(op, 1);
  sdx_ref scores = tf_get(op, 0), targets = tf_get_int64(op, 1),
          k = op->node->input_count > 2 ? tf_get_int64(op, 2) : 0;
  if (op->node->input_count < 3) k = tf_scalar(op, SDX_INT64, (double)tf_attr_int(op->node, "k", 1));
  if (!scores || !targets || !k || !labels) return;
  sdx_ref minus = tf_list(op, 1, (int64_t[]){-1});
  sdx_ref own =
      tf_node_add(op, "GatherElements", SDX_REFS(scores, tf_node_add(op, "Unsqueeze", SDX_REFS(targets, minus))));
  if (own) sdx_graph_set_int(op->g, "axis", 1);
  sdx_ref above = tf_cast(op, tf_node_add(op, "Greater", SDX_REFS(scores, own)), SDX_INT64);
  above = tf_reduce(op, "ReduceSum", above, 1, (int64_t[]){1}, false);
  tf_set(op, 0, tf_node_add(op, "Less", SDX_REFS(above, k)), SDX_BOOL, labels->rank, labels->shape);
}

static void l2_loss(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  sdx_ref y = x ? tf_node_add(op, "ReduceSumSquare", SDX_REFS(tf_get(op, 0))) : 0;
  if (!y) return;
  sdx_graph_set_int(op->g, "keepdims", 0);
  tf_set(op, 0, tf_node_add(op, "Mul", SDX_REFS(y, tf_scalar(op, x->dtype, 0.5))), x->dtype, 0, NULL);
}

// ---- simulated quantisation ---------------------------------------------------------------------------

// The range moves so that zero is one of its steps.
static void nudge(float low, float high, float least, float most, float *scale, float *from, float *to) {
  *scale = (high - low) / (most - least);
  float zero = least - low / *scale;
  float step = zero < least ? least : zero > most ? most : roundf(zero);
  *from = (least - step) * *scale;
  *to = (most - step) * *scale;
}

static sdx_ref floats(tf_op *op, bool vector, size_t count, const float *numbers) {
  sdx_value *tensor = sdx_tensor_create(SDX_FLOAT, vector, (int64_t[]){(int64_t)count});
  if (tensor) memcpy(sdx_tensor_data(tensor), numbers, count * sizeof *numbers);
  return sdx_graph_add_initializer(sdx_builder_graph(op->t->c->builder), "range", tensor);
}

static const float *bounds(tf_op *op, size_t index, const char *attr, float *one, size_t *count) {
  const tf_value *x = op->node->input_count > 1 ? tf_in(op, index) : NULL;
  *count = 1;
  *one = tf_attr_float(op->node, attr, index == 1 ? -6 : 6);
  if (op->node->input_count < 3) return one;
  if (!x || !x->data || !x->data->bytes || x->dtype != SDX_FLOAT) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a range that is computed");
    return NULL;
  }
  *count = x->size / sizeof(float);
  return arena_copy(op->t->c->memory, x->data->bytes, x->size);
}

static void fake_quant(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  float one[2], least = tf_attr_int(op->node, "narrow_range", 0) ? 1 : 0;
  size_t count = 0, other = 0;
  const float *low = bounds(op, 1, "min", &one[0], &count), *high = bounds(op, 2, "max", &one[1], &other);
  int64_t bits = tf_attr_int(op->node, "num_bits", 8);
  sdx_ref in = x ? tf_get(op, 0) : 0;
  if (!in || !low || !high || count != other || bits < 2 || bits > 16) {
    if (!convert_failed(op->t->c)) tf_fail(op, SDX_INVALID_MODEL, NULL, "a range that does not fit, or too many bits");
    return;
  }
  float *made[3];
  for (size_t i = 0; i < 3; i++)
    if (!(made[i] = arena_array(op->t->c->memory, count + 1, sizeof(float)))) return;
  for (size_t i = 0; i < count; i++)
    nudge(low[i], high[i], least, (float)((1 << bits) - 1), &made[0][i], &made[1][i], &made[2][i]);
  bool vector = op->node->input_count > 2 && tf_in(op, 1)->rank == 1;
  sdx_ref scale = floats(op, vector, count, made[0]), from = floats(op, vector, count, made[1]);
  sdx_ref to = floats(op, vector, count, made[2]), half = tf_scalar(op, SDX_FLOAT, 0.5);
  sdx_ref y = tf_node_add(op, "Max", SDX_REFS(tf_node_add(op, "Min", SDX_REFS(in, to)), from));
  y = tf_node_add(op, "Div", SDX_REFS(tf_node_add(op, "Sub", SDX_REFS(y, from)), scale));
  y = tf_node_add(op, "Floor", SDX_REFS(tf_node_add(op, "Add", SDX_REFS(y, half))));
  y = tf_node_add(op, "Add", SDX_REFS(tf_node_add(op, "Mul", SDX_REFS(y, scale)), from));
  tf_set_like(op, 0, y, x);
}

const tf_kind tf_reduce_kinds[] = {
    {"All", reduce, .op = "ReduceMin"},
    {"Any", reduce, .op = "ReduceMax"},
    {"ArgMax", arg, .op = "ArgMax"},
    {"ArgMin", arg, .op = "ArgMin"},
    {"Cumsum", .emit = cumsum},
    {"EuclideanNorm", reduce, .op = "ReduceL2"},
    {"FakeQuantWithMinMaxArgs", .emit = fake_quant},
    {"FakeQuantWithMinMaxVars", .emit = fake_quant},
    {"FakeQuantWithMinMaxVarsPerChannel", .emit = fake_quant},
    {"InTopK", .emit = in_top_k},
    {"InTopKV2", .emit = in_top_k},
    {"L2Loss", .emit = l2_loss},
    {"Max", reduce, .op = "ReduceMax", .know = know_reduce},
    {"Mean", reduce, .op = "ReduceMean"},
    {"Min", reduce, .op = "ReduceMin", .know = know_reduce},
    {"Prod", reduce, .op = "ReduceProd", .know = know_reduce},
    {"Sum", reduce, .op = "ReduceSum", .know = know_reduce},
    {"TopK", top_k, .outputs = "values,indices"},
    {"TopKV2", top_k, .outputs = "values,indices"},
    {0},
};
