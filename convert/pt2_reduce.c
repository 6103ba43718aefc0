// SPDX-License-Identifier: Apache-2.0
// ATen's operators over axes: sums, extremes, what sorts, softmax (pt2.h).
#include <string.h>

#include "convert/pt2.h"

// The axes of "dim"; none: all.
static bool get_axes(pt2_op *op, const net_tensor *x, size_t *count, int64_t axes[NET_RANK]) {
  *count = pt2_ints(op, "dim", axes);
  return !convert_failed(op->p->c) && (x->rank == 0 || net_axes(op->n, x, count, axes));
}

static net_tensor over(pt2_op *op, const char *what, net_tensor x, size_t count, const int64_t *axes, bool keep) {
  if (x.rank == 0) return x;
  return net_reduce(op->n, what, x, count, axes, keep);
}

static void reduce(pt2_op *op) {
  net_tensor x;
  size_t count;
  int64_t axes[NET_RANK];
  sdx_dtype dtype = pt2_result_dtype(op, 0);
  if (!pt2_in(op, "self", &x) || !get_axes(op, &x, &count, axes)) return;
  op->out[0] = over(op, op->kind->op, net_cast(op->n, x, dtype), count, axes, pt2_flag(op, "keepdim", false));
}

// any and all: extremes of whole numbers.
static void reduce_bools(pt2_op *op) {
  net_tensor x;
  size_t count;
  int64_t axes[NET_RANK];
  if (!pt2_in(op, "self", &x) || !get_axes(op, &x, &count, axes)) return;
  x = net_cast(op->n, net_cast(op->n, x, SDX_BOOL), SDX_INT32);
  op->out[0] = net_cast(op->n, over(op, op->kind->op, x, count, axes, pt2_flag(op, "keepdim", false)), SDX_BOOL);
}

// max.dim: the numbers and where they are.
static void extreme(pt2_op *op) {
  net_tensor x;
  size_t axis;
  bool keep = pt2_flag(op, "keepdim", false), max = !strncmp(op->kind->name, "max", 3);
  if (!pt2_in(op, "self", &x) || !net_axis(op->n, &x, pt2_int(op, "dim", 0), &axis)) return;
  int64_t at = (int64_t)axis;
  op->out[0] = net_reduce(op->n, op->kind->op, x, 1, &at, keep);
  if (op->out_count > 1 && *pt2_argument_name(op->outputs[1]))
    op->out[1] = net_arg(op->n, max ? "ArgMax" : "ArgMin", x, axis, keep);
}

static void arg(pt2_op *op) {
  net_tensor x;
  size_t axis = 0;
  bool all = !pt2_has(op, "dim");
  if (!pt2_in(op, "self", &x)) return;
  if (all) x = net_reshape(op->n, x, 1, (int64_t[]){-1});
  else if (!net_axis(op->n, &x, pt2_int(op, "dim", 0), &axis)) return;
  if (x.dtype == SDX_BOOL) x = net_cast(op->n, x, SDX_INT32);
  op->out[0] = net_arg(op->n, op->kind->op, x, axis, !all && pt2_flag(op, "keepdim", false));
}

static int64_t count_over(const net_tensor *x, size_t count, const int64_t *axes) {
  int64_t n = 1;
  for (size_t i = 0; i < count; i++) n = x->shape[axes[i]] < 0 || n < 0 ? -1 : n * x->shape[axes[i]];
  return n;
}

// Elements over the axes, where they are not known: as a float.
static net_tensor count_node(pt2_op *op, net_tensor x, size_t count, const int64_t *axes) {
  net_tensor sizes = net_gather(op->n, net_shape_of(op->n, x), net_ints(op->n, count, axes), 0);
  return net_cast(op->n, net_reduce(op->n, "ReduceProd", sizes, 1, (int64_t[]){0}, false), x.dtype);
}

// var, std and their means: divided by the count less the correction.
static void variance(pt2_op *op) {
  net_tensor x;
  size_t count;
  int64_t axes[NET_RANK];
  bool keep = pt2_flag(op, "keepdim", false);
  double correction = pt2_has(op, "unbiased") ? pt2_flag(op, "unbiased", true) : pt2_number(op, "correction", 1);
  if (!pt2_in(op, "self", &x) || !get_axes(op, &x, &count, axes)) return;
  net_tensor mean = net_reduce(op->n, "ReduceMean", x, count, axes, true),
             centered = net_binary(op->n, "Sub", "centered", x, mean);
  net_tensor y =
      net_reduce(op->n, "ReduceMean", net_binary(op->n, "Mul", "square", centered, centered), count, axes, keep);
  int64_t n = count_over(&x, count, axes);
  if (correction != 0 && n >= 0) y = net_scale(op->n, "Mul", "correction", y, (double)n / ((double)n - correction));
  else if (correction != 0) {
    net_tensor all = count_node(op, x, count, axes);
    y = net_binary(op->n, "Mul", "correction", y,
                   net_binary(op->n, "Div", "ratio", all, net_scale(op->n, "Sub", "less", all, correction)));
  }
  if (op->kind->op) y = net_apply(op->n, "Sqrt", NULL, y);
  op->out[0] = y;
  if (op->out_count > 1) op->out[1] = keep ? mean : net_reduce(op->n, "ReduceMean", x, count, axes, false);
}

static void norm(pt2_op *op) {
  net_tensor x;
  size_t count;
  int64_t axes[NET_RANK];
  bool keep = pt2_flag(op, "keepdim", false);
  double order = pt2_number(op, pt2_has(op, "p") ? "p" : "ord", 2);
  if (!pt2_in(op, "self", &x) || !get_axes(op, &x, &count, axes)) return;
  if (order == 1 || order == 2) {
    op->out[0] = over(op, order == 1 ? "ReduceL1" : "ReduceL2", x, count, axes, keep);
    return;
  }
  net_tensor size = net_apply(op->n, "Abs", "abs", x);
  if (order > 1e300 || order < -1e300)
    op->out[0] = over(op, order > 0 ? "ReduceMax" : "ReduceMin", size, count, axes, keep);
  else {
    size = over(op, "ReduceSum", net_scale(op->n, "Pow", "power", size, order), count, axes, keep);
    op->out[0] = net_scale(op->n, "Pow", NULL, size, 1 / order);
  }
}

static void softmax(pt2_op *op) {
  net_tensor x;
  size_t axis;
  if (!pt2_in(op, "self", &x)) return;
  x = net_cast(op->n, x, pt2_result_dtype(op, 0));
  if (net_axis(op->n, &x, pt2_int(op, "dim", -1), &axis)) op->out[0] = net_softmax(op->n, op->kind->op, x, axis);
}

static void cumsum(pt2_op *op) {
  net_tensor x;
  size_t axis;
  if (!pt2_in(op, "self", &x)) return;
  x = net_cast(op->n, x, pt2_result_dtype(op, 0));
  if (net_axis(op->n, &x, pt2_int(op, "dim", 0), &axis)) op->out[0] = net_cum_sum(op->n, x, axis, false, false);
}

// ---- order ------------------------------------------------------------------------------------------

// TopK of as many as there are where k is not given.
static void sort_by(pt2_op *op, bool all, bool largest) {
  net_tensor x, at;
  size_t axis;
  int64_t k = -1;
  sdx_ref ref = 0;
  if (!pt2_in(op, "self", &x) || !net_axis(op->n, &x, pt2_int(op, "dim", -1), &axis)) return;
  if (all) k = x.shape[axis];
  else if (!pt2_size_arg(op, "k", 1, &k, &ref)) return;
  int64_t place = (int64_t)axis;
  if (all && k < 0) ref = net_slice(op->n, net_shape_of(op->n, x), 0, place, place + 1, 1).ref;
  if (ref) {
    net_tensor y = net_like(x, net_node(op->n, "TopK", NULL, SDX_REFS(x.ref, ref)));
    sdx_graph_set_int(op->p->c->graph, "axis", place);
    sdx_graph_set_int(op->p->c->graph, "largest", largest);
    at = net_like(y, sdx_graph_add_node_output(op->p->c->graph));
    at.dtype = SDX_INT64;
    op->out[0] = y;
  } else {
    op->out[0] = net_top_k(op->n, x, axis, k, largest, &at);
  }
  op->out[1] = at;
}

static void top_k(pt2_op *op) { sort_by(op, false, pt2_flag(op, "largest", true)); }
static void sort(pt2_op *op) { sort_by(op, true, pt2_flag(op, "descending", false)); }
static void argsort(pt2_op *op) {
  sort_by(op, true, pt2_flag(op, "descending", false));
  op->out[0] = op->out[1];
}

const pt2_kind pt2_reduce_kinds[] = {
    {"mean", reduce, "ReduceMean"},
    {"sum", reduce, "ReduceSum"},
    {"amax", reduce, "ReduceMax"},
    {"amin", reduce, "ReduceMin"},
    {"max.default", reduce, "ReduceMax"},
    {"min.default", reduce, "ReduceMin"},
    {"prod", reduce, "ReduceProd"},
    {"logsumexp", reduce, "ReduceLogSumExp"},
    {"any", reduce_bools, "ReduceMax"},
    {"all", reduce_bools, "ReduceMin"},
    {"max.dim", extreme, "ReduceMax"},
    {"min.dim", extreme, "ReduceMin"},
    {"argmax", arg, "ArgMax"},
    {"argmin", arg, "ArgMin"},
    {"var", variance, NULL},
    {"var_mean", variance, NULL},
    {"std", variance, "Sqrt"},
    {"std_mean", variance, "Sqrt"},
    {"norm", norm, "ReduceL2"},
    {"linalg_vector_norm", norm, "ReduceL2"},
    {"linalg_norm", norm, "ReduceL2"},
    {"softmax", softmax, "Softmax"},
    {"_softmax", softmax, "Softmax"},
    {"log_softmax", softmax, "LogSoftmax"},
    {"_log_softmax", softmax, "LogSoftmax"},
    {"cumsum", cumsum, "CumSum"},
    {"topk", top_k, "TopK"},
    {"sort", sort, "TopK"},
    {"argsort", argsort, "TopK"},
    {0},
};
