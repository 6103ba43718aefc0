// SPDX-License-Identifier: Apache-2.0
// Functions that reshape, cut, join and look up; keras_op.c has those that compute.
#include <string.h>

#include "base/size.h"
#include "convert/keras_op.h"

static void reshape(keras_call *call) {
  keras_tensor x = call->in[0];
  const json_t *target = keras_op_either(call, 1, "newshape", "shape");
  int64_t spec[KERAS_RANK] = {0}, shape[KERAS_RANK], open = -1, known = 1, all = 1;
  size_t rank = json_array_size(target);
  if (json_is_object(target)) target = json_object_get(target, "items"), rank = json_array_size(target);
  if (json_is_integer(target)) rank = 1;
  else if (!json_is_array(target) || rank > KERAS_RANK) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "a shape that is no list of numbers");
    return;
  }
  for (size_t i = 0; i < x.rank; i++)
    if (x.shape[i] < 0 || !i64_mul(all, x.shape[i], &all)) all = -1, i = x.rank;
  for (size_t i = 0; i < rank; i++) {
    shape[i] = spec[i] = keras_op_whole(json_is_array(target) ? json_array_get(target, i) : target, -1);
    if (spec[i] < 0) open = (int64_t)i, shape[i] = -1;
    else if (!i64_mul(known, spec[i], &known)) known = 0;
  }
  if (open >= 0 && all >= 0 && known > 0) shape[open] = all / known;
  keras_give(call, keras_reshape(call, x, rank, spec, shape));
}

static void transpose(keras_call *call) {
  keras_tensor x = call->in[0];
  const json_t *axes = keras_op_either(call, 1, "axes", "perm");
  int64_t order[KERAS_RANK];
  bool seen[KERAS_RANK] = {0};
  for (size_t i = 0; i < x.rank; i++) {
    size_t at = x.rank - 1 - i;
    if (json_is_array(axes) && !keras_axis(call, &x, keras_op_whole(json_array_get(axes, i), INT32_MAX), &at)) return;
    if (seen[at]) {
      keras_fail(call, SDX_INVALID_MODEL, NULL, "axes are no permutation");
      return;
    }
    seen[at] = true;
    order[i] = (int64_t)at;
  }
  keras_give(call, keras_transpose(call, x, order));
}

static void swap_axes(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t order[KERAS_RANK];
  size_t a, b;
  if (!keras_axis(call, &x, keras_op_whole(keras_op_option(call, 1, "axis1"), INT32_MAX), &a) ||
      !keras_axis(call, &x, keras_op_whole(keras_op_option(call, 2, "axis2"), INT32_MAX), &b))
    return;
  for (size_t i = 0; i < x.rank; i++) order[i] = (int64_t)i;
  order[a] = (int64_t)b, order[b] = (int64_t)a;
  keras_give(call, keras_transpose(call, x, order));
}

static void expand_dims(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t axis = keras_op_whole(keras_op_option(call, 1, "axis"), 0), rank = (int64_t)x.rank;
  if (axis < 0) axis += rank + 1;
  if (axis < 0 || axis > rank) keras_fail(call, SDX_INVALID_MODEL, NULL, "axis of an input of rank %zu", x.rank);
  else keras_give(call, keras_unsqueeze(call, x, (size_t)axis));
}

static void squeeze(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t axes[KERAS_RANK];
  size_t count;
  const json_t *axis = keras_op_option(call, 1, "axis");
  if (!keras_op_read_axes(call, &x, axis, axes, &count)) return;
  for (size_t i = count; i--;)
    if ((axis && !json_is_null(axis)) || x.shape[axes[i]] == 1) x = keras_squeeze(call, x, (size_t)axes[i]);
  keras_give(call, x);
}

static void concatenate(keras_call *call) {
  keras_tensor y = call->in[0];
  size_t at;
  bool stack = *call->emit_kind->op == 's';
  sdx_ref *refs = arena_array(call->k->c->memory, call->in_count, sizeof *refs);
  if (stack && y.rank < KERAS_RANK) y.rank++;
  if (!refs || !keras_axis(call, &y, keras_op_whole(keras_op_option(call, 1, "axis"), stack ? 0 : -1), &at)) return;
  if (stack) y.rank--, y = (memmove(y.shape + at + 1, y.shape + at, (y.rank - at) * sizeof *y.shape), y.rank++, y);
  y.shape[at] = 0;
  for (size_t i = 0; i < call->in_count; i++) {
    keras_tensor x = keras_cast(call, call->in[i], y.dtype);
    if (stack) x = keras_unsqueeze(call, x, at);
    if (x.rank != y.rank) {
      keras_fail(call, SDX_INVALID_MODEL, NULL, "inputs of ranks %zu and %zu", y.rank, x.rank);
      return;
    }
    refs[i] = x.ref;
    y.shape[at] = x.shape[at] < 0 || y.shape[at] < 0 ? -1 : y.shape[at] + x.shape[at];
  }
  y.ref = keras_node(call, "Concat", NULL, call->in_count, refs);
  sdx_graph_set_int(call->k->graph, "axis", (int64_t)at);
  keras_give(call, y);
}

static void split(keras_call *call) {
  keras_tensor x = call->in[0];
  const json_t *parts = keras_op_either(call, 1, "indices_or_sections", "num_or_size_splits");
  size_t at, count = json_is_array(parts) ? json_array_size(parts) : (size_t)keras_op_whole(parts, 0);
  bool indices = json_is_array(parts) && call->by_place;
  if (!keras_axis(call, &x, keras_op_whole(keras_op_option(call, 2, "axis"), 0), &at)) return;
  if (count + indices > KERAS_OUTPUTS || !count || x.shape[at] < 0) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "a split into %zu parts", count);
    return;
  }
  int64_t from = 0;
  for (size_t i = 0; i < count + indices; i++) {
    int64_t to = !json_is_array(parts)   ? from + x.shape[at] / (int64_t)count
                 : indices && i == count ? x.shape[at]
                                         : keras_op_whole(json_array_get(parts, i), 0) + (indices ? 0 : from);
    keras_give(call, keras_slice(call, x, at, from, to, 1));
    from = to;
  }
}

static void pad(keras_call *call) {
  keras_tensor x = call->in[0];
  const json_t *widths = keras_op_either(call, 1, "pad_width", "paddings"),
               *value = keras_op_option(call, 3, "constant_values");
  const json_t *mode_given = keras_op_option(call, 2, "mode");
  const char *mode = json_is_string(mode_given) ? json_string_value(mode_given) : "constant";
  bool reflect = !strcasecmp(mode, "reflect"), plain = !strcasecmp(mode, "constant"), edge = !strcasecmp(mode, "edge");
  int64_t before[KERAS_RANK] = {0}, after[KERAS_RANK] = {0};
  if (json_is_object(widths)) widths = json_object_get(json_object_get(widths, "config"), "value");
  for (size_t i = 0; i < x.rank; i++) {
    const json_t *one = json_is_array(widths) ? json_array_get(widths, json_array_size(widths) == 1 ? 0 : i) : widths;
    before[i] = keras_op_whole(json_is_array(one) ? json_array_get(one, 0) : one, -1);
    after[i] = keras_op_whole(json_is_array(one) ? json_array_get(one, 1) : one, -1);
    if (before[i] < 0 || after[i] < 0 || before[i] > INT32_MAX || after[i] > INT32_MAX ||
        (!reflect && !plain && !edge)) {
      keras_fail(call, SDX_NOT_SUPPORTED, NULL, "padding of mode '%s' by what is no list of pairs", mode);
      return;
    }
  }
  keras_give(call, keras_pad(call, x,
                             reflect ? "reflect"
                             : edge  ? "edge"
                                     : "constant",
                             json_is_number(value) ? json_number_value(value) : 0, before, after));
}

static void tile(keras_call *call) {
  keras_tensor x = call->in[0];
  const json_t *j = keras_op_either(call, 1, "repeats", "multiples");
  int64_t times[KERAS_RANK];
  for (size_t i = 0; i < x.rank; i++) {
    times[i] = keras_op_whole(json_is_array(j) ? json_array_get(j, i) : j, -1);
    if (times[i] < 0 || json_array_size(j) > x.rank) {
      keras_fail(call, SDX_NOT_SUPPORTED, NULL, "repeats are no list of %zu numbers", x.rank);
      return;
    }
    if (x.shape[i] >= 0 && !i64_mul(x.shape[i], times[i], &x.shape[i])) x.shape[i] = -1;
  }
  x.ref = keras_node(call, "Tile", NULL, SDX_REFS(x.ref, sdx_graph_add_ints(call->k->graph, x.rank, times)));
  keras_give(call, x);
}

static void flip(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t axes[KERAS_RANK];
  size_t count;
  if (!keras_op_read_axes(call, &x, keras_op_option(call, 1, "axis"), axes, &count)) return;
  for (size_t i = 0; i < count; i++) x = keras_slice(call, x, (size_t)axes[i], -1, INT64_MIN + 1, -1);
  keras_give(call, x);
}

// x[key]: a list of numbers, slices, None and the ellipsis.
static void get_item(keras_call *call) {
  keras_tensor x = call->in[0];
  const json_t *key = keras_op_either(call, 1, "key", "slice_spec");
  if (json_is_object(key) && json_object_get(key, "items")) key = json_object_get(key, "items");
  size_t at = 0, count = json_is_array(key) ? json_array_size(key) : 1, used = 0;
  for (size_t i = 0; i < count; i++) {
    const json_t *one = json_is_array(key) ? json_array_get(key, i) : key;
    bool dots = !strcmp(keras_class(one), "__ellipsis__");
    used += !dots && !json_is_null(one);
  }
  for (size_t i = 0; i < count && !convert_failed(call->k->c); i++) {
    const json_t *one = json_is_array(key) ? json_array_get(key, i) : key;
    const char *text = keras_class(one);
    bool none = json_is_null(one);
    if (!strcmp(text, "__ellipsis__")) {
      at += x.rank > used ? x.rank - used : 0;
      continue;
    }
    if (none) {
      x = keras_unsqueeze(call, x, at++);
      used++;
      continue;
    }
    if (at >= x.rank) {
      keras_fail(call, SDX_INVALID_MODEL, NULL, "more indices than dimensions");
      return;
    }
    if (json_is_integer(one)) {
      int64_t n = json_integer_value(one);
      x = keras_squeeze(call, keras_slice(call, x, at, n, n == -1 ? INT32_MAX : n + 1, 1), at);
      used--;
    } else if (json_is_object(one)) {
      const json_t *c = json_object_get(one, "config") ? json_object_get(one, "config") : one;
      int64_t step = keras_int(c, "step", 1);
      if (!step || call->resolve(call->context, json_object_get(c, "start"))) {
        keras_fail(call, SDX_NOT_SUPPORTED, NULL, "a slice that is not made of numbers");
        return;
      }
      bool whole_axis =
          json_is_null(json_object_get(c, "start")) && json_is_null(json_object_get(c, "stop")) && step == 1;
      if (!whole_axis)
        x = keras_slice(call, x, at, keras_int(c, "start", step < 0 ? INT32_MAX : 0),
                        keras_int(c, "stop", step < 0 ? INT64_MIN + 1 : INT32_MAX), step);
      at++;
    } else {
      keras_fail(call, SDX_NOT_SUPPORTED, NULL, "an index that is neither number nor slice");
      return;
    }
  }
  keras_give(call, x);
}

static void take(keras_call *call) {
  keras_tensor x, i, y;
  size_t at;
  if (!keras_op_operand(call, 0, "x", "params", SDX_FLOAT, &x) ||
      !keras_op_operand(call, 1, "indices", "indices", SDX_INT64, &i))
    return;
  const json_t *axis = keras_op_option(call, 2, "axis");
  if (!keras_axis(call, &x, keras_op_whole(axis, 0), &at)) return;
  if (x.rank + i.rank > KERAS_RANK + 1) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "a value of more than %d dimensions", KERAS_RANK);
    return;
  }
  y = x;
  memcpy(y.shape + at, i.shape, i.rank * sizeof *i.shape);
  memcpy(y.shape + at + i.rank, x.shape + at + 1, (x.rank - at - 1) * sizeof *x.shape);
  y.rank = x.rank + i.rank - 1;
  y.ref = keras_node(call, "Gather", NULL, SDX_REFS(x.ref, i.ref));
  sdx_graph_set_int(call->k->graph, "axis", (int64_t)at);
  keras_give(call, y);
}

static void one_hot(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t classes = keras_op_whole(keras_op_either(call, 1, "num_classes", "depth"), -1);
  const json_t *dtype = keras_op_option(call, 4, "dtype");
  sdx_dtype to = json_is_string(dtype) ? keras_dtype(json_string_value(dtype)) : SDX_FLOAT;
  if (classes < 1 || keras_op_whole(keras_op_option(call, 2, "axis"), -1) != -1 || x.rank == KERAS_RANK ||
      to == SDX_UNDEFINED) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "num_classes is no number, or axis not the last");
    return;
  }
  // What is outside, OneHot would count from the end: compare with the classes instead.
  double *numbers = classes < 1 << 24 ? arena_array(call->k->c->memory, (size_t)classes, sizeof *numbers) : NULL;
  for (int64_t n = 0; numbers && n < classes; n++) numbers[n] = (double)n;
  if (!numbers) {
    keras_fail(call, SDX_LIMIT_EXCEEDED, NULL, "%lld classes", (long long)classes);
    return;
  }
  sdx_ref all = keras_floats(call, SDX_INT64, 1, &classes, numbers);
  keras_tensor y = keras_unsqueeze(call, keras_cast(call, x, SDX_INT64), x.rank);
  y.ref = keras_node(call, "Equal", "equal", SDX_REFS(y.ref, all));
  y.dtype = SDX_BOOL;
  y.shape[x.rank] = classes;
  keras_give(call, keras_cast(call, y, to));
}

static void matmul(keras_call *call) {
  keras_tensor a, b, y;
  if (!keras_op_operand(call, 0, "x1", "a", SDX_FLOAT, &a) || !keras_op_operand(call, 1, "x2", "b", SDX_FLOAT, &b))
    return;
  if (a.rank < 2 || b.rank < 2) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "products of vectors are not converted");
    return;
  }
  for (int i = 0; i < 2; i++) {
    keras_tensor *t = i ? &b : &a;
    int64_t order[KERAS_RANK];
    if (!json_is_true(keras_op_option(call, 9, i ? "transpose_b" : "transpose_a"))) continue;
    for (size_t d = 0; d < t->rank; d++) order[d] = (int64_t)d;
    order[t->rank - 1]--, order[t->rank - 2]++;
    *t = keras_transpose(call, *t, order);
  }
  keras_tensor head_a = a, head_b = b;
  head_a.rank -= 2, head_b.rank -= 2;
  if (!keras_broadcast(call, head_a, head_b, &y)) return;
  y.shape[y.rank] = a.shape[a.rank - 2];
  y.shape[y.rank + 1] = b.shape[b.rank - 1];
  y.rank += 2;
  y.dtype = a.dtype;
  y.ref = keras_node(call, "MatMul", NULL, SDX_REFS(a.ref, b.ref));
  keras_give(call, y);
}

static void fill_like(keras_call *call) {
  keras_tensor x = call->in[0];
  sdx_ref n = sdx_graph_add_scalar(call->k->graph, x.dtype, *call->emit_kind->op == '1');
  x.ref = keras_node(call, "Expand", NULL, SDX_REFS(n, keras_shape(call, x, 0, INT32_MAX)));
  keras_give(call, x);
}

const keras_kind keras_shape_op_kinds[] = {
    BOTH("Reshape", "reshape", reshape, NULL),
    BOTH("Transpose", "transpose", transpose, NULL),
    {"compat.v1.transpose", transpose, 0, NULL},
    {"Swapaxes", swap_axes, 0, NULL},
    BOTH("ExpandDims", "expand_dims", expand_dims, NULL),
    BOTH("Squeeze", "squeeze", squeeze, NULL),
    {"compat.v1.squeeze", squeeze, 0, NULL},
    BOTH("Concatenate", "concat", concatenate, "concat"),
    BOTH("Stack", "stack", concatenate, "stack"),
    BOTH("Split", "split", split, NULL),
    BOTH("Pad", "pad", pad, NULL),
    {"compat.v1.pad", pad, 0, NULL},
    BOTH("Tile", "tile", tile, NULL),
    BOTH("Flip", "reverse", flip, NULL),
    BOTH("GetItem", "__operators__.getitem", get_item, NULL),
    BOTH("Take", "gather", take, NULL),
    {"compat.v1.gather", take, 0, NULL},
    BOTH("OneHot", "one_hot", one_hot, NULL),
    BOTH("Matmul", "linalg.matmul", matmul, NULL),
    BOTH("ZerosLike", "zeros_like", fill_like, "0"),
    BOTH("OnesLike", "ones_like", fill_like, "1"),
    {0},
};
