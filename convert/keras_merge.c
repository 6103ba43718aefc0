// SPDX-License-Identifier: Apache-2.0
// Layers that make one value of several.
#include <string.h>

#include "convert/keras.h"

// Broadcasts as Keras does: the batch stays in front, other dimensions are inserted after it.
static keras_tensor raise_rank(const keras_call *call, keras_tensor x, size_t rank) {
  while (x.rank < rank && x.rank < KERAS_RANK) x = keras_unsqueeze(call, x, 1);
  return x;
}

static bool same_ranks(keras_call *call, keras_tensor *in) {
  size_t most = 0;
  for (size_t i = 0; i < call->in_count; i++) most = call->in[i].rank > most ? call->in[i].rank : most;
  for (size_t i = 0; i < call->in_count; i++) in[i] = raise_rank(call, call->in[i], most);
  return !convert_failed(call->k->c);
}

// All masks hold where all inputs have one.
static sdx_ref masks(const keras_call *call) {
  sdx_ref mask = call->in[0].mask;
  for (size_t i = 1; i < call->in_count && mask; i++) {
    sdx_ref other = call->in[i].mask;
    mask = !other ? 0 : other == mask ? mask : keras_node(call, "And", "mask", SDX_REFS(mask, other));
  }
  return mask;
}

static keras_tensor *copies(keras_call *call) {
  keras_tensor *in = arena_array(call->k->c->memory, call->in_count, sizeof *in);
  if (!in) convert_no_memory(call->k->c);
  return in && same_ranks(call, in) ? in : NULL;
}

static void fold(keras_call *call) {
  keras_tensor *in = copies(call);
  if (!in) return;
  keras_tensor y = in[0];
  for (size_t i = 1; i < call->in_count && !convert_failed(call->k->c); i++)
    y = keras_binary(call, call->emit_kind->op, NULL, y, in[i]);
  y.mask = masks(call);
  keras_give(call, y);
}

// Sum, Max, Min, Mean take any number.
static void many(keras_call *call) {
  keras_tensor *in = copies(call), y;
  sdx_ref *refs = arena_array(call->k->c->memory, call->in_count, sizeof *refs);
  if (!in || !refs) return;
  y = in[0];
  for (size_t i = 0; i < call->in_count; i++) {
    refs[i] = in[i].ref;
    if (!keras_broadcast(call, y, in[i], &y)) return;
  }
  y.ref = keras_node(call, call->emit_kind->op, NULL, call->in_count, refs);
  y.mask = masks(call);
  keras_give(call, y);
}

static void concatenate(keras_call *call) {
  const json_t *axis = json_object_get(call->config, "axis");
  keras_tensor y = call->in[0];
  size_t at;
  sdx_ref *refs = arena_array(call->k->c->memory, call->in_count, sizeof *refs), *some = NULL;
  if (!refs || !(some = arena_array(call->k->c->memory, call->in_count, sizeof *some))) {
    convert_no_memory(call->k->c);
    return;
  }
  if (!keras_axis(call, &y, json_is_integer(axis) ? json_integer_value(axis) : -1, &at)) return;
  y.shape[at] = 0;
  for (size_t i = 0; i < call->in_count; i++) {
    const keras_tensor *x = &call->in[i];
    if (x->rank != y.rank) {
      keras_fail(call, SDX_INVALID_MODEL, NULL, "inputs of ranks %zu and %zu", y.rank, x->rank);
      return;
    }
    refs[i] = x->ref;
    for (size_t d = 0; d < y.rank; d++)
      if (d != at && y.shape[d] < 0) y.shape[d] = x->shape[d];
    y.shape[at] = x->shape[at] < 0 || y.shape[at] < 0 ? -1 : y.shape[at] + x->shape[at];
  }
  y.ref = keras_node(call, "Concat", NULL, call->in_count, refs);
  sdx_graph_set_int(call->k->graph, "axis", (int64_t)at);
  y.mask = 0;
  size_t masked = 0;
  for (size_t i = 0; i < call->in_count; i++) masked += call->in[i].mask != 0;
  if (at > 1) {
    y.mask = masks(call);
  } else if (at == 1 && masked == call->in_count) {
    for (size_t i = 0; i < call->in_count; i++) some[i] = call->in[i].mask;
    y.mask = node_concat(call->k->c, "mask", 1, call->in_count, some);
  }
  keras_give(call, y);
}

static keras_tensor normalized(keras_call *call, keras_tensor x, size_t axis) {
  sdx_graph *g = call->k->graph;
  keras_tensor square = keras_like(x, keras_node(call, "Mul", "square", SDX_REFS(x.ref, x.ref)));
  keras_tensor sum = keras_reduce(call, "ReduceSum", square, 1, (int64_t[]){(int64_t)axis}, true);
  sdx_ref least = sdx_graph_add_scalar(g, x.dtype, 1e-12);
  sdx_ref length =
      keras_node(call, "Sqrt", "length", SDX_REFS(sdx_graph_add_node(g, "Max", NULL, SDX_REFS(sum.ref, least))));
  return keras_like(x, keras_node(call, "Div", "normalized", SDX_REFS(x.ref, length)));
}

// Batched product over one axis of each: to [batch, ..., k] and [batch, k, ...] first.
static void dot(keras_call *call) {
  const json_t *axes = json_object_get(call->config, "axes");
  size_t at[2];
  if (call->in_count != 2) {
    keras_fail(call, SDX_INVALID_MODEL, NULL, "it is called with %zu inputs, expected 2", call->in_count);
    return;
  }
  keras_tensor x[2] = {call->in[0], call->in[1]};
  for (size_t i = 0; i < 2; i++) {
    const json_t *axis = json_is_array(axes) ? json_array_get(axes, i) : axes;
    int64_t n = json_is_integer(axis) ? json_integer_value(axis) : -1, order[KERAS_RANK], last = 0;
    if (!keras_axis(call, &x[i], n, &at[i])) return;
    if (x[i].rank < 2 || x[i].rank > 3 || at[i] == 0) {
      keras_fail(call, SDX_NOT_SUPPORTED, NULL, "axis %zu of an input of rank %zu", at[i], x[i].rank);
      return;
    }
    if (keras_flag(call->config, "normalize", false)) x[i] = normalized(call, x[i], at[i]);
    for (size_t d = 0; d < x[i].rank; d++)
      if (d != at[i]) order[last++] = (int64_t)d;
    order[last] = (int64_t)at[i];
    x[i] = keras_transpose(call, x[i], order);
    if (x[i].rank == 2) x[i] = keras_unsqueeze(call, x[i], 1);
  }
  keras_tensor b = keras_transpose(call, x[1], (int64_t[]){0, 2, 1}), y = x[0];
  y.ref = keras_node(call, "MatMul", NULL, SDX_REFS(x[0].ref, b.ref));
  y.shape[2] = b.shape[2];
  if (call->in[1].rank == 2) y = keras_squeeze(call, y, 2);
  if (call->in[0].rank == 2) y = keras_squeeze(call, y, 1);
  if (y.rank == 1) y = keras_unsqueeze(call, y, 1);
  keras_give(call, y);
}

static const keras_kind *find_merge(const char *mode) {
  static const struct {
    const char *mode, *class_name;
  } modes[] = {{"sum", "Add"}, {"mul", "Multiply"}, {"concat", "Concatenate"}, {"ave", "Average"}, {"max", "Maximum"}};
  for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
    if (!strcmp(mode, modes[i].mode)) return keras_find_layer(modes[i].class_name);
  return NULL;
}

// The one of Keras 1, with a mode.
static void merge(keras_call *call) {
  const char *mode = keras_text(call->config, "mode", "sum");
  const json_t *axis = json_object_get(call->config, "concat_axis");
  json_t *config = json_pack("{s:O?}", "axis", axis);
  call->emit_kind = find_merge(mode);
  if (!call->emit_kind) keras_fail(call, SDX_NOT_SUPPORTED, NULL, "the mode '%s' is not converted", mode);
  else if (!config) convert_no_memory(call->k->c);
  else {
    call->config = config;
    call->emit_kind->emit(call);
  }
  call->config = call->layer->config;
  json_decref(config);
}

const keras_kind keras_merge_kinds[] = {
    {"Add", many, KERAS_TAKES_MASK, "Sum"},
    {"Subtract", fold, KERAS_TAKES_MASK, "Sub"},
    {"Multiply", fold, KERAS_TAKES_MASK, "Mul"},
    {"Average", many, KERAS_TAKES_MASK, "Mean"},
    {"Maximum", many, KERAS_TAKES_MASK, "Max"},
    {"Minimum", many, KERAS_TAKES_MASK, "Min"},
    {"Concatenate", concatenate, KERAS_TAKES_MASK, NULL},
    {"Dot", dot, 0, NULL},
    {"Merge", merge, KERAS_TAKES_MASK, NULL},
    {0},
};
