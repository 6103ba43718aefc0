// SPDX-License-Identifier: Apache-2.0
// Keras' plain layers: Dense, Embedding, what reshapes, what is nothing at inference.
#include <string.h>

#include "base/size.h"
#include "convert/keras.h"

static const keras_kind *find(const keras_kind *const *tables, const char *name) {
  for (; *tables; tables++)
    for (const keras_kind *kind = *tables; kind->name; kind++)
      if (!strcmp(kind->name, name)) return kind;
  return NULL;
}

const keras_kind *keras_find_layer(const char *class_name) {
  static const keras_kind *const tables[] = {keras_core_kinds,
                                             keras_merge_kinds,
                                             keras_activation_kinds,
                                             keras_conv_kinds,
                                             keras_pool_kinds,
                                             keras_norm_kinds,
                                             keras_rnn_kinds,
                                             keras_conv_lstm_kinds,
                                             keras_attention_kinds,
                                             keras_preprocessing_kinds,
                                             NULL};
  return find(tables, class_name);
}

const keras_kind *keras_find_op(const char *name) {
  static const keras_kind *const tables[] = {keras_function_kinds, keras_op_kinds, keras_shape_op_kinds, NULL};
  return find(tables, name);
}

// ---- products ---------------------------------------------------------------------------------------

static void dense(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t units = keras_int(call->config, "units", keras_int(call->config, "output_dim", -1));
  if (x.rank < 2) {
    keras_fail(call, SDX_INVALID_MODEL, NULL, "the input has rank %zu, expected 2 or more", x.rank);
    return;
  }
  sdx_ref kernel = keras_next(call, "", 0, "kernel", 2, (int64_t[]){x.shape[x.rank - 1], units});
  bool bias = keras_flag(call->config, "use_bias", keras_flag(call->config, "bias", true));
  if (!kernel) return;
  sdx_ref b = bias ? keras_next(call, "", 1, "bias", 1, &units) : 0;
  if (bias && !b) return;
  if (x.rank == 2 && bias) {
    x.ref = keras_node(call, "Gemm", NULL, SDX_REFS(x.ref, kernel, b));
  } else {
    x.ref = keras_node(call, "MatMul", NULL, SDX_REFS(x.ref, kernel));
    if (bias) x.ref = keras_node(call, "Add", "bias", SDX_REFS(x.ref, b));
  }
  x.shape[x.rank - 1] = units;
  keras_give(call, keras_activated(call, x, "activation"));
}

// "ab,bc->ac" where an ellipsis stands for what Keras calls "...".
static void einsum_dense(keras_call *call) {
  keras_tensor x = call->in[0], y = x;
  const char *equation = keras_text(call->config, "equation", "");
  const char *comma = strchr(equation, ','), *arrow = strstr(equation, "->");
  hdf5_array w;
  if (!comma || !arrow || arrow < comma || strlen(equation) > 60) {
    keras_fail(call, SDX_INVALID_MODEL, NULL, "the equation '%s'", equation);
    return;
  }
  if (!keras_weight(call, "", 0, &w)) return;
  sdx_ref kernel = keras_constant(call, "kernel", call->dtype, &w, NULL), refs[] = {x.ref, kernel};
  y.rank = 0;
  bool dots = strstr(arrow, "...") != NULL;
  size_t named = strlen(arrow + 2) - (dots ? 3 : 0), hidden = dots ? x.rank - (size_t)(comma - equation - 3) : 0;
  if (hidden > x.rank || named + hidden > KERAS_RANK) {
    keras_fail(call, SDX_INVALID_MODEL, NULL, "the equation '%s' for an input of rank %zu", equation, x.rank);
    return;
  }
  for (const char *at = arrow + 2; *at; at++) {
    const char *in_x = memchr(equation, *at, (size_t)(comma - equation));
    const char *in_w = memchr(comma + 1, *at, (size_t)(arrow - comma - 1));
    if (*at == '.') {
      size_t from = (size_t)((const char *)memchr(equation, '.', (size_t)(comma - equation)) - equation);
      for (size_t i = 0; i < hidden; i++) y.shape[y.rank++] = x.shape[from + i];
      at += 2;
      continue;
    }
    size_t i = in_x ? (size_t)(in_x - equation) : 0, j = in_w ? (size_t)(in_w - comma - 1) : 0;
    if (in_x && memchr(equation, '.', i)) i += hidden - 3;
    if ((in_x && i >= x.rank) || (!in_x && (!in_w || j >= w.rank))) {
      keras_fail(call, SDX_INVALID_MODEL, NULL, "the equation '%s' does not fit its operands", equation);
      return;
    }
    y.shape[y.rank++] = in_x ? x.shape[i] : w.shape[j];
  }
  y.ref = keras_node(call, "Einsum", NULL, 2, refs);
  sdx_graph_set_string(call->k->graph, "equation", equation);
  if (json_is_string(json_object_get(call->config, "bias_axes"))) {
    if (!keras_weight(call, "", 1, &w)) return;
    sdx_ref bias = keras_constant(call, "bias", call->dtype, &w, NULL);
    y.ref = keras_node(call, "Add", "bias", SDX_REFS(y.ref, bias));
  }
  keras_give(call, keras_activated(call, y, "activation"));
}

static void embedding(keras_call *call) {
  keras_tensor x = call->in[0], y;
  int64_t shape[] = {keras_int(call->config, "input_dim", -1), keras_int(call->config, "output_dim", -1)};
  sdx_ref table = keras_next(call, "", 0, "embeddings", 2, shape);
  if (!table) return;
  if (x.dtype != SDX_INT64) x = keras_cast(call, x, SDX_INT32);
  y = keras_unsqueeze(call, x, x.rank);
  y.ref = keras_node(call, "Gather", NULL, SDX_REFS(table, x.ref));
  y.shape[x.rank] = shape[1];
  y.dtype = call->dtype;
  y.mask = 0;
  if (keras_flag(call->config, "mask_zero", false)) {
    sdx_ref zero = sdx_graph_add_scalar(call->k->graph, x.dtype, 0);
    sdx_ref pad = keras_node(call, "Equal", "padding", SDX_REFS(x.ref, zero));
    y.mask = keras_node(call, "Not", "mask", SDX_REFS(pad));
  }
  keras_give(call, y);
}

static void masking(keras_call *call) {
  keras_tensor x = call->in[0];
  sdx_ref value = sdx_graph_add_scalar(call->k->graph, x.dtype, keras_number(call->config, "mask_value", 0));
  sdx_ref same = keras_node(call, "Equal", "masked", SDX_REFS(x.ref, value));
  keras_tensor present = keras_cast(
      call,
      (keras_tensor){.ref = keras_node(call, "Not", "present", SDX_REFS(same)), .dtype = SDX_BOOL, .rank = x.rank},
      x.dtype);
  keras_tensor any = keras_reduce(call, "ReduceMax", present, 1, (int64_t[]){(int64_t)x.rank - 1}, true);
  x.ref = keras_node(call, "Mul", NULL, SDX_REFS(x.ref, any.ref));
  x.mask = keras_cast(call, keras_squeeze(call, any, x.rank - 1), SDX_BOOL).ref;
  keras_give(call, x);
}

// ---- shapes -----------------------------------------------------------------------------------------

static int64_t times(int64_t a, int64_t b) {
  int64_t n;
  return a < 0 || b < 0 ? -1 : i64_mul(a, b, &n) ? n : -1;
}

static void flatten(keras_call *call) {
  keras_tensor x = call->in[0];
  if (keras_channels_first(call) && x.rank > 2) x = keras_to_last(call, x);
  int64_t shape[2] = {x.shape[0], 1};
  for (size_t i = 1; i < x.rank; i++) shape[1] = times(shape[1], x.shape[i]);
  int64_t spec[2] = {0, x.rank == 1 ? 1 : -1};
  keras_give(call, keras_reshape(call, x, 2, spec, shape));
}

static void reshape(keras_call *call) {
  keras_tensor x = call->in[0];
  const json_t *target = json_object_get(call->config, "target_shape");
  if (!target) target = json_object_get(call->config, "dims");
  int64_t spec[KERAS_RANK] = {0}, shape[KERAS_RANK] = {x.shape[0]}, all = 1, known = 1;
  size_t rank = json_array_size(target) + 1, open = 0;
  if (!json_is_array(target) || rank > KERAS_RANK) {
    keras_fail(call, SDX_INVALID_MODEL, NULL, "target_shape has %zu dimensions", rank - 1);
    return;
  }
  for (size_t i = 1; i < x.rank; i++) all = times(all, x.shape[i]);
  for (size_t i = 1; i < rank; i++) {
    const json_t *size = json_array_get(target, i - 1);
    shape[i] = spec[i] = json_is_integer(size) ? json_integer_value(size) : -1;
    if (spec[i] < 0) spec[open = i] = shape[i] = -1;
    else known = times(known, spec[i]);
  }
  if (open && all > 0 && known > 0) shape[open] = spec[open] = all / known;
  if (x.shape[0] >= 0) spec[0] = x.shape[0];
  keras_give(call, keras_reshape(call, x, rank, spec, shape));
}

static void permute(keras_call *call) {
  keras_tensor x = call->in[0];
  int64_t order[KERAS_RANK] = {0};
  bool seen[KERAS_RANK] = {true};
  if (!keras_ints(call, "dims", x.rank - 1, -1, order + 1)) return;
  for (size_t i = 1; i < x.rank; i++) {
    if (order[i] < 1 || order[i] >= (int64_t)x.rank || seen[order[i]]) {
      keras_fail(call, SDX_INVALID_MODEL, NULL, "dims are no permutation");
      return;
    }
    seen[order[i]] = true;
  }
  keras_give(call, keras_transpose(call, x, order));
}

static void repeat_vector(keras_call *call) {
  int64_t n[3] = {1, 0, 1};
  if (!keras_ints(call, "n", 1, -1, &n[1])) return;
  keras_tensor x = keras_unsqueeze(call, call->in[0], 1);
  x.ref = keras_node(call, "Tile", NULL, SDX_REFS(x.ref, sdx_graph_add_ints(call->k->graph, 3, n)));
  x.shape[1] = n[1];
  keras_give(call, x);
}

static void same(keras_call *call) { keras_give(call, call->in[0]); }

static void time_distributed(keras_call *call) {
  keras_tensor x = call->in[0], flat = x;
  const json_t *layer = json_object_get(call->config, "layer");
  keras_store store;
  keras_call inner;
  int64_t spec[KERAS_RANK + 1] = {-1}, shape[KERAS_RANK + 1] = {times(x.shape[0], x.shape[1])};
  if (x.rank < 3) {
    keras_fail(call, SDX_INVALID_MODEL, NULL, "the input has rank %zu, expected 3 or more", x.rank);
    return;
  }
  if (!keras_part(call, "layer", &store)) return;
  for (size_t i = 2; i < x.rank; i++) spec[i - 1] = shape[i - 1] = x.shape[i];
  bool open = false;
  for (size_t i = 2; i < x.rank; i++) open = open || x.shape[i] < 0;
  if (open) {
    sdx_ref rest = keras_shape(call, x, 2, INT32_MAX), all = sdx_graph_add_ints(call->k->graph, 1, (int64_t[]){-1});
    flat.ref =
        keras_node(call, "Reshape", "steps", SDX_REFS(x.ref, node_concat(call->k->c, NULL, 0, SDX_REFS(all, rest))));
    flat.rank = x.rank - 1;
    memcpy(flat.shape, shape, flat.rank * sizeof *shape);
  } else {
    flat = keras_reshape(call, x, x.rank - 1, spec, shape);
  }
  flat.mask = 0;
  if (!keras_call_inner(call, layer, keras_text(json_object_get(layer, "config"), "name", "layer"), store, 1, &flat,
                        &inner))
    return;
  keras_tensor y = inner.out[0];
  if (y.rank + 1 > KERAS_RANK) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "a value of more than %d dimensions", KERAS_RANK);
    return;
  }
  sdx_ref head = keras_shape(call, x, 0, 2), tail = keras_shape(call, y, 1, INT32_MAX);
  for (size_t i = y.rank; i > 1; i--) y.shape[i] = y.shape[i - 1];
  y.shape[0] = x.shape[0], y.shape[1] = x.shape[1];
  y.ref = keras_node(call, "Reshape", NULL, SDX_REFS(y.ref, node_concat(call->k->c, NULL, 0, SDX_REFS(head, tail))));
  y.rank++;
  y.mask = x.mask;
  keras_give(call, y);
}

const keras_kind keras_core_kinds[] = {
    {"Dense", dense, KERAS_KEEPS_MASK, NULL},
    {"EinsumDense", einsum_dense, KERAS_KEEPS_MASK, NULL},
    {"Embedding", embedding, KERAS_TAKES_MASK | KERAS_ANY_TYPE, NULL},
    {"Masking", masking, KERAS_TAKES_MASK, NULL},
    {"Flatten", flatten, KERAS_ANY_TYPE, NULL},
    {"Reshape", reshape, KERAS_ANY_TYPE, NULL},
    {"Permute", permute, KERAS_ANY_TYPE, NULL},
    {"RepeatVector", repeat_vector, KERAS_ANY_TYPE, NULL},
    {"TimeDistributed", time_distributed, KERAS_TAKES_MASK, NULL},
    {"Dropout", same, KERAS_KEEPS_MASK, NULL},
    {"SpatialDropout1D", same, KERAS_KEEPS_MASK, NULL},
    {"SpatialDropout2D", same, KERAS_KEEPS_MASK, NULL},
    {"SpatialDropout3D", same, KERAS_KEEPS_MASK, NULL},
    {"AlphaDropout", same, KERAS_KEEPS_MASK, NULL},
    {"GaussianDropout", same, KERAS_KEEPS_MASK, NULL},
    {"GaussianNoise", same, KERAS_KEEPS_MASK, NULL},
    {"ActivityRegularization", same, KERAS_KEEPS_MASK, NULL},
    {"Identity", same, KERAS_KEEPS_MASK | KERAS_ANY_TYPE, NULL},
    {0},
};
