// SPDX-License-Identifier: Apache-2.0
// CNTK's functions, a row each (cntk.h).
#include <string.h>

#include "convert/cntk.h"

static cntk_value like(cntk_value v, net_tensor x) { return (cntk_value){x, v.outside}; }
static const cntk_value nothing = {{0}, 0};

static cntk_value refuse(cntk *k, const char *what) {
  net_fail(&k->n, SDX_NOT_SUPPORTED, NULL, "%s", what);
  return nothing;
}

static bool takes(cntk *k, const cntk_function *f, size_t count) {
  return f->input_count >= count ||
         !net_fail(&k->n, SDX_INVALID_MODEL, NULL, "it has %zu inputs, expected %zu", f->input_count, count);
}

// ---- axes -----------------------------------------------------------------------------------------------

// CNTK counts from the fastest dimension; false: the axis is not there, is of the batch, or was refused.
static bool axis_of(cntk *k, const cntk_function *f, const char *key, const cntk_value *v, size_t *axis) {
  proto value, a;
  cntk_get(&f->attributes, key, &value);
  if (!proto_get(&value, "axis_value", &a)) return false;
  int64_t at = (int32_t)proto_int(&a, "static_axis_idx", 0), own = (int64_t)(v->x.rank - v->outside);
  if (at < 0) at += own;
  if (at < 0 || at >= own) return false;
  *axis = v->x.rank - 1 - (size_t)at;
  return true;
}

static bool need_axis(cntk *k, const cntk_function *f, const char *key, const cntk_value *v, size_t *axis) {
  if (axis_of(k, f, key, v, axis)) return true;
  return !net_fail(&k->n, SDX_NOT_SUPPORTED, NULL, "'%s' is none of its own dimensions", key);
}

// ---- numbers --------------------------------------------------------------------------------------------

static cntk_value unary(cntk *k, const cntk_function *f, cntk_value *in) {
  return like(in[0], net_apply(&k->n, cntk_op_of(f->op)->becomes, NULL, in[0].x));
}

static cntk_value same(cntk *k, const cntk_function *f, cntk_value *in) { return in[0]; }

static size_t own_rank(const cntk_value *v) { return v->x.rank - v->outside; }

static void widen(cntk *k, cntk_value *v, size_t rank) {
  while (own_rank(v) < rank && v->x.rank < NET_RANK) v->x = net_unsqueeze(&k->n, v->x, v->outside);
}

// Own dimensions correspond from the fastest one on, whatever lies outside of them; parameters have nothing there.
static void align(cntk *k, cntk_value *a, cntk_value *b) {
  cntk_value *less = a->outside < b->outside ? a : b, *more = less == a ? b : a;
  size_t rank = own_rank(a) > own_rank(b) ? own_rank(a) : own_rank(b);
  if (a->outside) widen(k, a, rank);
  if (b->outside) widen(k, b, rank);
  while (less->outside && less->outside < more->outside && less->x.rank < NET_RANK)
    less->x = net_unsqueeze(&k->n, less->x, less->outside++);
}

static cntk_value binary(cntk *k, const cntk_function *f, cntk_value *in) {
  const char *op = cntk_op_of(f->op)->becomes;
  if (!takes(k, f, 2)) return nothing;
  align(k, &in[0], &in[1]);
  size_t outside = in[0].outside > in[1].outside ? in[0].outside : in[1].outside;
  bool compares = strstr("Equal Less LessOrEqual Greater GreaterOrEqual", op) != NULL;
  net_tensor y = compares ? net_cast(&k->n, net_compare(&k->n, op, NULL, in[0].x, in[1].x), SDX_FLOAT)
                          : net_binary(&k->n, op, NULL, in[0].x, in[1].x);
  return (cntk_value){y, outside};
}

static cntk_value not_equal(cntk *k, const cntk_function *f, cntk_value *in) {
  if (!takes(k, f, 2)) return nothing;
  align(k, &in[0], &in[1]);
  net_tensor y = net_apply(&k->n, "Not", NULL, net_compare(&k->n, "Equal", "equal", in[0].x, in[1].x));
  return (cntk_value){net_cast(&k->n, y, SDX_FLOAT), in[0].outside > in[1].outside ? in[0].outside : in[1].outside};
}

static cntk_value clip(cntk *k, const cntk_function *f, cntk_value *in) {
  if (!takes(k, f, 3)) return nothing;
  net_tensor y = net_binary(&k->n, "Max", "least", in[0].x, in[1].x);
  return like(in[0], net_binary(&k->n, "Min", NULL, y, in[2].x));
}

static cntk_value elu(cntk *k, const cntk_function *f, cntk_value *in) {
  net_tensor y = net_apply(&k->n, "Elu", NULL, in[0].x);
  sdx_graph_set_float(k->c->graph, "alpha", (float)cntk_number(&f->attributes, "alpha", 1));
  return like(in[0], y);
}

static cntk_value softmax(cntk *k, const cntk_function *f, cntk_value *in) {
  size_t axis = in[0].x.rank - 1, own = in[0].x.rank - in[0].outside;
  if (own == 0) return refuse(k, "over the batch");
  if (!axis_of(k, f, "axis", &in[0], &axis) && own > 1) return refuse(k, "over all dimensions");
  return like(in[0], net_softmax(&k->n, cntk_op_of(f->op)->becomes, in[0].x, axis));
}

static cntk_value reduce(cntk *k, const cntk_function *f, cntk_value *in) {
  static const char *const ops[][2] = {{"Sum", "ReduceSum"}, {"Mean", "ReduceMean"}, {"Max", "ReduceMax"},
                                       {"Min", "ReduceMin"}, {"Prod", "ReduceProd"}, {"LogSum", "ReduceLogSumExp"},
                                       {"Argmax", "ArgMax"}, {"Argmin", "ArgMin"}};
  const char *name = cntk_text(k, &f->attributes, "reductionOpName");
  bool keep = cntk_int(&f->attributes, "reductionKeepDimensions", 1) != 0;
  int64_t axes[NET_RANK];
  size_t count = 0, axis;
  if (axis_of(k, f, "axis", &in[0], &axis)) axes[count++] = (int64_t)axis;
  for (size_t i = in[0].outside; !count && i < in[0].x.rank; i++) axes[i - in[0].outside] = (int64_t)i;
  if (!count) count = in[0].x.rank - in[0].outside;
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    if (strcmp(name, ops[i][0]) != 0) continue;
    if (!count) return refuse(k, "over the batch");
    if (strncmp(ops[i][1], "Arg", 3) != 0) return like(in[0], net_reduce(&k->n, ops[i][1], in[0].x, count, axes, keep));
    if (count > 1) return refuse(k, "over several dimensions");
    return like(in[0], net_cast(&k->n, net_arg(&k->n, ops[i][1], in[0].x, (size_t)axes[0], keep), SDX_FLOAT));
  }
  return refuse(k, "this reduction");
}

// ---- shapes ---------------------------------------------------------------------------------------------

static cntk_value transpose(cntk *k, const cntk_function *f, cntk_value *in) {
  size_t a, b;
  int64_t order[NET_RANK];
  if (!need_axis(k, f, "axis1", &in[0], &a) || !need_axis(k, f, "axis2", &in[0], &b)) return nothing;
  for (size_t i = 0; i < in[0].x.rank; i++) order[i] = (int64_t)(i == a ? b : i == b ? a : i);
  return like(in[0], net_transpose(&k->n, in[0].x, order));
}

static cntk_value slice(cntk *k, const cntk_function *f, cntk_value *in) {
  size_t axis;
  int64_t from = cntk_int(&f->attributes, "beginIndex", 0), to = cntk_int(&f->attributes, "endIndex", 0),
          step = cntk_int(&f->attributes, "sliceStrides", 1);
  if (!need_axis(k, f, "axis", &in[0], &axis)) return nothing;
  if (to == 0) to = INT32_MAX;
  return like(in[0], net_slice(&k->n, in[0].x, axis, from, to, step));
}

static cntk_value splice(cntk *k, const cntk_function *f, cntk_value *in) {
  net_tensor parts[CNTK_INPUTS];
  size_t axis;
  if (!need_axis(k, f, "axis", &in[0], &axis)) return nothing;
  for (size_t i = 0; i < f->input_count; i++) {
    if (in[i].outside != in[0].outside || in[i].x.rank != in[0].x.rank)
      return refuse(k, "of parts with other dimensions");
    parts[i] = in[i].x;
  }
  return like(in[0], net_concat(&k->n, axis, f->input_count, parts));
}

static cntk_value reshape(cntk *k, const cntk_function *f, cntk_value *in) {
  int64_t shape[NET_RANK], spec[NET_RANK];
  size_t rank = cntk_shape(&f->attributes, "newShape", shape), outside = in[0].outside, begin;
  if (axis_of(k, f, "beginAxis", &in[0], &begin) && begin != in[0].x.rank - 1)
    return refuse(k, "of a part of the shape");
  if (rank + outside > NET_RANK) return refuse(k, "to so many dimensions");
  for (size_t i = 0; i < outside; i++) spec[i] = 0;
  memcpy(spec + outside, shape, rank * sizeof *shape);
  return like(in[0], net_reshape(&k->n, in[0].x, outside + rank, spec));
}

// ---- products -------------------------------------------------------------------------------------------

// The last `count` dimensions as one.
static net_tensor join(cntk *k, net_tensor x, size_t count) {
  int64_t spec[NET_RANK] = {0}, size = net_product(&x, x.rank - count, x.rank);
  if (count == 1 || size < 0) return x;
  spec[x.rank - count] = size;
  return net_reshape(&k->n, x, x.rank - count + 1, spec);
}

// Rows of x by a parameter, whose last `outputRank` dimensions are those of the result.
static cntk_value times(cntk *k, const cntk_function *f, cntk_value *in) {
  int64_t out = cntk_int(&f->attributes, "outputRank", 1), spec[NET_RANK] = {0}, both[2];
  bool turned = !strcmp(cntk_op_of(f->op)->name, "TransposeTimes");
  if (!takes(k, f, 2)) return nothing;
  net_tensor w = in[0].x, x = in[1].x;
  if (in[0].outside || (turned && w.rank != 2)) return refuse(k, "by what is no parameter");
  if (out < 1 || (size_t)out >= w.rank) return refuse(k, "of these ranks");
  if (turned) w = net_swap_last(&k->n, w);
  size_t own = w.rank - (size_t)out, left = x.rank - own;
  if (x.rank < own + in[1].outside) return refuse(k, "of these ranks");
  both[0] = net_product(&w, 0, own), both[1] = net_product(&w, own, w.rank);
  if (left + (size_t)out > NET_RANK || both[0] < 0 || both[1] < 0) return refuse(k, "of these ranks");
  net_tensor matrix = w.rank == 2 ? w : net_reshape(&k->n, w, 2, both);
  net_tensor y = net_matmul(&k->n, NULL, join(k, x, own), matrix);
  for (int64_t i = 0; i < out; i++) spec[left + (size_t)i] = w.shape[own + (size_t)i];
  return like(in[1], out == 1 ? y : net_reshape(&k->n, y, left + (size_t)out, spec));
}

// A list of whole numbers for the dimensions of space: of a shape, of one number for all, or of flags.
static void each(const cntk_function *f, const char *key, int64_t missing, size_t n, int64_t *to) {
  int64_t all[NET_RANK];
  size_t rank = cntk_shape(&f->attributes, key, all);
  int64_t one = cntk_int(&f->attributes, key, missing);
  for (size_t i = 0; i < n; i++)  // the last n of the file's come first there
    to[i] = rank == 0 || rank > NET_RANK ? one
            : rank == 1                  ? all[0]
            : n - 1 - i < rank           ? all[rank - 1 - (n - 1 - i)]
                                         : missing;
}

static void flags(const cntk_function *f, const char *key, size_t n, bool *to) {
  proto all[NET_RANK];
  size_t count = cntk_list(&f->attributes, key, NET_RANK, all);
  for (size_t i = 0; i < n; i++) {
    size_t at = n - 1 - i;
    to[i] = count && count <= NET_RANK && proto_int(&all[at < count ? at : count - 1], "bool_value", 0);
  }
}

// CNTK puts the windows' centres so that as much is left before the first as after the last, half of what is odd
// behind.
static bool set_pads(cntk *k, const cntk_function *f, const net_tensor *x, net_window *w) {
  bool automatic[NET_SPACE];
  flags(f, "autoPadding", w->n, automatic);
  each(f, "lowerPad", 0, w->n, w->before);
  each(f, "upperPad", 0, w->n, w->after);
  for (size_t i = 0; i < w->n; i++) {
    int64_t size = x->shape[x->rank - w->n + i], reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
    if (!automatic[i]) continue;
    if (size < 0 && w->stride[i] != 1)
      return !net_fail(&k->n, SDX_NOT_SUPPORTED, NULL, "automatic pads of a dimension whose size is not known");
    int64_t cells = size < 0 ? 0 : (size + w->stride[i] - 1) / w->stride[i];
    int64_t extra = size < 0 ? 0 : size - ((cells - 1) * w->stride[i] + 1);
    w->before[i] = (reach - 1) / 2 - extra / 2;
    w->after[i] = reach - 1 - extra - w->before[i];
    if (w->before[i] < 0 || w->after[i] < 0)
      return !net_fail(&k->n, SDX_NOT_SUPPORTED, NULL, "steps that leave out what lies at the border");
  }
  return true;
}

static bool set_window(cntk *k, const cntk_function *f, const cntk_value *v, net_window *w) {
  each(f, "strides", 1, w->n, w->stride);
  each(f, "dilation", 1, w->n, w->dilation);
  for (size_t i = 0; i < w->n; i++)
    if (w->kernel[i] < 1 || w->stride[i] < 1 || w->dilation[i] < 1 || w->kernel[i] > NET_MOST ||
        w->stride[i] > NET_MOST || w->dilation[i] > NET_MOST)
      return !net_fail(&k->n, SDX_INVALID_MODEL, NULL, "its window has no sense");
  return v->outside == 1 || !net_fail(&k->n, SDX_NOT_SUPPORTED, NULL, "of sequences");
}

static cntk_value convolution(cntk *k, const cntk_function *f, cntk_value *in) {
  if (!takes(k, f, 2)) return nothing;
  net_tensor kernel = in[0].x, x = in[1].x;
  if (in[0].outside || kernel.rank < 3 || kernel.rank > 2 + NET_SPACE || x.rank != kernel.rank)
    return refuse(k, "with a kernel or input of these ranks");
  if (cntk_int(&f->attributes, "transpose", 0)) return refuse(k, "transposed");
  net_window w = net_window_of(kernel.rank - 2);
  for (size_t i = 0; i < w.n; i++) w.kernel[i] = kernel.shape[2 + i];
  w.groups = cntk_int(&f->attributes, "groups", 1);
  if (!set_window(k, f, &in[1], &w) || !set_pads(k, f, &x, &w)) return nothing;
  return like(in[1], net_conv(&k->n, x, kernel, (net_tensor){0}, &w));
}

static cntk_value pooling(cntk *k, const cntk_function *f, cntk_value *in) {
  int64_t shape[NET_RANK];
  size_t rank = cntk_shape(&f->attributes, "poolingWindowShape", shape);
  const char *op = cntk_int(&f->attributes, "poolingType", 0) ? "AveragePool" : "MaxPool";
  net_tensor x = in[0].x;
  if (rank == 0 || rank > NET_RANK || shape[0] < 0)
    return like(in[0], net_global_pool(&k->n, *op == 'M' ? "GlobalMaxPool" : "GlobalAveragePool", x));
  if (x.rank < 3 || x.rank > 2 + NET_SPACE) return refuse(k, "of an input of this rank");
  net_window w = net_window_of(x.rank - 2);
  for (size_t i = 0; i < w.n; i++) w.kernel[i] = w.n - 1 - i < rank ? shape[rank - 1 - (w.n - 1 - i)] : 1;
  w.ceil = cntk_int(&f->attributes, "ceilOutDim", 0) != 0;
  w.count_pads = cntk_int(&f->attributes, "includePad", 0) != 0;
  if (!set_window(k, f, &in[0], &w) || !set_pads(k, f, &x, &w)) return nothing;
  return like(in[0], net_pool(&k->n, op, x, &w));
}

static cntk_value batch_norm(cntk *k, const cntk_function *f, cntk_value *in) {
  net_tensor part[5];
  if (!takes(k, f, 5)) return nothing;
  if (!cntk_int(&f->attributes, "spatial", 0) && in[0].x.rank > 2) return refuse(k, "with numbers for each place");
  for (size_t i = 1; i < 5; i++)
    part[i] = in[i].x.rank == 1 ? in[i].x : net_reshape(&k->n, in[i].x, 1, (int64_t[]){-1});
  return like(in[0], net_batch_norm(&k->n, in[0].x, part[1], part[2], part[3], part[4],
                                    cntk_number(&f->attributes, "epsilon", 1e-5)));
}

// ---- the table ------------------------------------------------------------------------------------------

static const cntk_op ops[] = {
    {0, "Negate", "Neg", unary},
    {1, "Sigmoid", "Sigmoid", unary},
    {2, "Tanh", "Tanh", unary},
    {3, "ReLU", "Relu", unary},
    {4, "Exp", "Exp", unary},
    {5, "Log", "Log", unary},
    {6, "Sqrt", "Sqrt", unary},
    {7, "Floor", "Floor", unary},
    {8, "Abs", "Abs", unary},
    {9, "Reciprocal", "Reciprocal", unary},
    {10, "Softmax", "Softmax", softmax},
    {11, "Hardmax", "Hardmax", softmax},
    {12, "TransposeAxes", "Transpose", transpose},
    {14, "Slice", "Slice", slice},
    {15, "Dropout", "", same},
    {16, "Reshape", "Reshape", reshape},
    {17, "Pooling", "MaxPool, AveragePool", pooling},
    {19, "Plus", "Add", binary},
    {20, "Minus", "Sub", binary},
    {21, "ElementTimes", "Mul", binary},
    {22, "Equal", "Equal", binary},
    {23, "NotEqual", "Equal, Not", not_equal},
    {24, "Less", "Less", binary},
    {25, "LessEqual", "LessOrEqual", binary},
    {26, "Greater", "Greater", binary},
    {27, "GreaterEqual", "GreaterOrEqual", binary},
    {31, "Times", "MatMul", times},
    {32, "TransposeTimes", "MatMul", times},
    {33, "Convolution", "Conv", convolution},
    {39, "ReduceElements", "ReduceSum, ...", reduce},
    {40, "BatchNormalization", "BatchNormalization", batch_norm},
    {41, "Clip", "Max, Min", clip},
    {43, "Splice", "Concat", splice},
    {44, "Combine", "", same},
    {50, "ReconcileDynamicAxis", "", same},
    {51, "LogSoftmax", "LogSoftmax", softmax},
    {54, "Sin", "Sin", unary},
    {55, "Cos", "Cos", unary},
    {56, "Pass", "", same},
    {57, "Block", "its functions", same},
    {62, "NoOp", "", same},
    {64, "StopGradient", "", same},
    {65, "ELU", "Elu", elu},
    {69, "Pow", "Pow", binary},
    {75, "StableSigmoid", "Sigmoid", unary},
    {77, "Sinh", "Sinh", unary},
    {78, "Cosh", "Cosh", unary},
    {81, "Asin", "Asin", unary},
    {82, "Acos", "Acos", unary},
    {85, "Atanh", "Atanh", unary},
    {86, "Asinh", "Asinh", unary},
    {95, "Tan", "Tan", unary},
    {96, "Atan", "Atan", unary},
};
enum { OPS = sizeof ops / sizeof *ops };

const cntk_op *cntk_op_of(int64_t number) {
  for (size_t i = 0; i < OPS; i++)
    if (ops[i].number == number) return &ops[i];
  return NULL;
}

// Of those that people meet and that are not converted.
const char *cntk_op_name(int64_t number) {
  switch (number) {
    case 13:
      return "Where";
    case 37:
      return "PastValue (a recurrence)";
    case 38:
      return "FutureValue (a recurrence)";
    case 42:
      return "Select";
    case 47:
      return "ROIPooling";
    case 49:
      return "OptimizedRNNStack";
    case 58:
      return "Unpooling";
    case 68:
      return "OneHot";
    case 74:
      return "Gather";
    case 83:
      return "Pad";
    default:
      return "";
  }
}

bool cntk_operator_at(size_t index, const char **name, const char **becomes) {
  if (index >= OPS) return false;
  *name = ops[index].name;
  *becomes = ops[index].becomes;
  return true;
}
