// SPDX-License-Identifier: Apache-2.0
// Attention: products, a softmax under a mask, products again.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/keras.h"

// ---- masks ------------------------------------------------------------------------------------------

static sdx_ref both(const keras_call *call, sdx_ref a, sdx_ref b) {
  return !a ? b : !b ? a : keras_node(call, "And", "mask", SDX_REFS(a, b));
}

// True at and below the diagonal, as large as the last two dimensions of the scores.
static sdx_ref causal_mask(keras_call *call, keras_tensor scores) {
  sdx_graph *g = call->k->graph;
  sdx_ref size = keras_shape(call, scores, (int64_t)scores.rank - 2, (int64_t)scores.rank);
  sdx_ref one = sdx_graph_add_scalar(g, SDX_INT64, 1);
  sdx_ref lower =
      keras_node(call, "Trilu", "causal", SDX_REFS(keras_node(call, "Expand", "ones", SDX_REFS(one, size))));
  sdx_graph_set_int(g, "upper", 0);
  return keras_cast(call, (keras_tensor){.ref = lower, .dtype = SDX_INT64, .rank = 2}, SDX_BOOL).ref;
}

static bool wants_causal(keras_call *call, bool *causal) {
  const json_t *flag = keras_argument(call, 20, "use_causal_mask");
  *causal = json_is_true(flag) || keras_flag(call->config, "causal", false);
  return !*causal || sdx_builder_opset(call->k->c->builder, "") >= 14 ||
         !keras_fail(call, SDX_NOT_SUPPORTED, "--opset 14 or newer", "causal masks need Trilu");
}

// A mask [batch, steps] for scores [batch, ..., queries, keys].
static sdx_ref mask_of(const keras_call *call, const keras_tensor *x, size_t rank, bool of_queries) {
  if (!x->mask) return 0;
  sdx_ref mask = node_unsqueeze(call->k->c, x->mask, of_queries ? 2 : 1);
  return rank == 4 ? node_unsqueeze(call->k->c, mask, 1) : mask;
}

static keras_tensor softmax(keras_call *call, keras_tensor scores, sdx_ref mask) {
  if (mask) {
    sdx_ref low = sdx_graph_add_scalar(call->k->graph, scores.dtype, scores.dtype == SDX_FLOAT16 ? -65504 : -1e9);
    scores.ref = keras_node(call, "Where", "masked", SDX_REFS(mask, scores.ref, low));
  }
  scores = keras_apply(call, "Softmax", "scores", scores);
  sdx_graph_set_int(call->k->graph, "axis", -1);
  return scores;
}

static keras_tensor product(keras_call *call, const char *part, keras_tensor a, keras_tensor b) {
  keras_tensor y = a;
  y.ref = keras_node(call, "MatMul", part, SDX_REFS(a.ref, b.ref));
  y.shape[y.rank - 1] = b.shape[b.rank - 1];
  return y;
}

// ---- Attention, AdditiveAttention -------------------------------------------------------------------

// The sum over the last axis of tanh(scale (q + k)), each query with each key.
static keras_tensor added_scores(keras_call *call, keras_tensor q, keras_tensor k, bool additive) {
  sdx_ref scale = 0, weight = 0;
  bool scaled = keras_flag(call->config, "use_scale", additive);
  keras_tensor sum = keras_binary(call, "Add", "sum", keras_unsqueeze(call, q, 2), keras_unsqueeze(call, k, 1));
  if (scaled) scale = keras_next(call, "", 0, "scale", additive ? 1 : 0, &q.shape[2]);
  if (!additive) weight = keras_next(call, "", scaled, "concat_score_weight", 0, NULL);
  if (convert_failed(call->k->c)) return sum;
  if (scale && !additive) sum.ref = keras_node(call, "Mul", "scaled", SDX_REFS(sum.ref, scale));
  sum = keras_apply(call, "Tanh", "tanh", sum);
  if (scale && additive) sum.ref = keras_node(call, "Mul", "scaled", SDX_REFS(sum.ref, scale));
  sum = keras_reduce(call, "ReduceSum", sum, 1, (int64_t[]){3}, false);
  if (weight) sum.ref = keras_node(call, "Mul", "weighted", SDX_REFS(sum.ref, weight));
  return sum;
}

static void attention(keras_call *call) {
  bool additive = *call->emit_kind->op == 'a', causal;
  if (call->in_count < 2 || call->in_count > 3 || call->in[0].rank != 3 || call->in[1].rank != 3) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "it is called with %zu inputs, expected 2 or 3 of rank 3",
               call->in_count);
    return;
  }
  keras_tensor q = call->in[0], v = call->in[1], k = call->in[call->in_count - 1], scores;
  if (!wants_causal(call, &causal)) return;
  if (additive || !strcmp(keras_text(call->config, "score_mode", "dot"), "concat")) {
    scores = added_scores(call, q, k, additive);
  } else {
    scores = product(call, "product", q, keras_transpose(call, k, (int64_t[]){0, 2, 1}));
    sdx_ref scale = keras_flag(call->config, "use_scale", false) ? keras_next(call, "", 0, "scale", 0, NULL) : 0;
    if (scale) scores.ref = keras_node(call, "Mul", "scaled", SDX_REFS(scores.ref, scale));
  }
  if (convert_failed(call->k->c)) return;
  scores = softmax(call, scores, both(call, mask_of(call, &v, 3, false), causal ? causal_mask(call, scores) : 0));
  keras_tensor y = product(call, NULL, scores, v);
  if (q.mask) {
    sdx_ref zero = sdx_graph_add_scalar(call->k->graph, y.dtype, 0);
    y.ref = keras_node(call, "Where", "present", SDX_REFS(mask_of(call, &q, 3, true), y.ref, zero));
  }
  y.mask = q.mask;
  scores.mask = 0;
  keras_give(call, y);
  if (json_is_true(keras_argument(call, 20, "return_attention_scores"))) keras_give(call, scores);
}

// ---- heads ------------------------------------------------------------------------------------------

// x [batch, steps, features] with a kernel [features, heads, size] to [batch, heads, steps, size].
static bool project(keras_call *call, const char *part, keras_tensor x, int64_t heads, int64_t size, keras_tensor *y) {
  hdf5_array w, b;
  bool bias = keras_flag(call->config, "use_bias", true);
  int64_t shape[] = {x.shape[2], heads, size};
  if (!keras_weight(call, part, 0, &w) || !keras_expect(call, part, &w, 3, shape)) return false;
  if (bias && (!keras_weight(call, part, 1, &b) || !keras_expect(call, part, &b, 2, shape + 1))) return false;
  char name[60];
  snprintf(name, sizeof name, "%s/kernel", part);
  w.rank = 2, w.shape[1] = heads * size;
  sdx_ref kernel = keras_constant(call, name, call->dtype, &w, NULL);
  x.ref = keras_node(call, "MatMul", part, SDX_REFS(x.ref, kernel));
  if (bias) {
    snprintf(name, sizeof name, "%s/bias", part);
    b.rank = 1, b.shape[0] = heads * size;
    x.ref = keras_node(call, "Add", part, SDX_REFS(x.ref, keras_constant(call, name, call->dtype, &b, NULL)));
  }
  x = keras_reshape(call, x, 4, (int64_t[]){0, 0, heads, size}, (int64_t[]){x.shape[0], x.shape[1], heads, size});
  *y = keras_transpose(call, x, (int64_t[]){0, 2, 1, 3});
  return !convert_failed(call->k->c);
}

// [batch, heads, steps, size] with a kernel [heads, size, features] to [batch, steps, features].
static void join(keras_call *call, const char *part, keras_tensor x, int64_t features, keras_tensor query,
                 keras_tensor scores) {
  hdf5_array w;
  int64_t shape[] = {x.shape[1], x.shape[3], features}, all = x.shape[1] * x.shape[3];
  x = keras_transpose(call, x, (int64_t[]){0, 2, 1, 3});
  x = keras_reshape(call, x, 3, (int64_t[]){0, 0, all}, (int64_t[]){x.shape[0], x.shape[1], all});
  if (!keras_weight(call, part, 0, &w) || !keras_expect(call, part, &w, 3, shape)) return;
  w.rank = 2, w.shape[0] = all, w.shape[1] = w.shape[2];
  features = w.shape[1];
  bool bias = keras_flag(call->config, "use_bias", true);
  x.ref = keras_node(call, "MatMul", bias ? "product" : NULL,
                     SDX_REFS(x.ref, keras_constant(call, "output/kernel", call->dtype, &w, NULL)));
  if (bias) {
    sdx_ref b = keras_next(call, part, 1, "output/bias", 1, &features);
    if (!b) return;
    x.ref = keras_node(call, "Add", NULL, SDX_REFS(x.ref, b));
  }
  x.shape[2] = features;
  x.mask = query.mask;
  scores.mask = 0;
  keras_give(call, x);
  if (json_is_true(keras_argument(call, 7, "return_attention_scores"))) keras_give(call, scores);
}

static bool find_operands(keras_call *call, keras_tensor *q, keras_tensor *v, keras_tensor *k) {
  const keras_tensor *value = keras_tensor_argument(call, 1, "value"), *key = keras_tensor_argument(call, 2, "key");
  *q = call->in[0];
  *v = value ? keras_cast(call, *value, call->dtype) : *q;
  *k = key ? keras_cast(call, *key, call->dtype) : *v;
  if (q->rank != 3 || v->rank != 3 || k->rank != 3)
    return !keras_fail(call, SDX_NOT_SUPPORTED, NULL, "attention over inputs of rank %zu, expected 3", q->rank);
  if (keras_flag(call->config, "use_gate", false) || json_is_integer(json_object_get(call->config, "sliding_window")))
    return !keras_fail(call, SDX_NOT_SUPPORTED, NULL, "use_gate and sliding_window are not converted");
  return true;
}

static sdx_ref score_mask(keras_call *call, keras_tensor scores, const keras_tensor *q, const keras_tensor *v,
                          const keras_tensor *k, bool causal) {
  const keras_tensor *given = keras_tensor_argument(call, 6, "attention_mask");
  sdx_ref mask = both(call, mask_of(call, q, 4, true), mask_of(call, v, 4, false));
  if (k->mask != v->mask) mask = both(call, mask, mask_of(call, k, 4, false));
  if (causal) mask = both(call, mask, causal_mask(call, scores));
  if (!given) return mask;
  keras_tensor m = keras_cast(call, *given, SDX_BOOL);
  return both(call, mask, m.rank == 4 ? m.ref : node_unsqueeze(call->k->c, m.ref, m.rank == 2 ? 0 : 1));
}

static keras_tensor repeat_heads(keras_call *call, keras_tensor x, int64_t times) {
  if (times == 1) return x;
  keras_tensor wide = keras_unsqueeze(call, x, 2);
  sdx_ref n = sdx_graph_add_ints(call->k->graph, 5, (int64_t[]){1, 1, times, 1, 1});
  wide.ref = keras_node(call, "Tile", "repeat", SDX_REFS(wide.ref, n));
  int64_t heads = x.shape[1] * times;
  wide.shape[2] = times;
  return keras_reshape(call, wide, 4, (int64_t[]){0, heads, -1, x.shape[3]},
                       (int64_t[]){x.shape[0], heads, x.shape[2], x.shape[3]});
}

static void heads(keras_call *call, int64_t count, int64_t groups, int64_t size, int64_t value_size) {
  keras_tensor query, value, key, q, k, v;
  bool causal;
  if (count < 1 || groups < 1 || count % groups || size < 1 || value_size < 1 || count > 1 << 16 || size > 1 << 20 ||
      value_size > 1 << 20) {
    keras_fail(call, SDX_INVALID_MODEL, NULL, "%lld heads of %lld", (long long)count, (long long)size);
    return;
  }
  if (!find_operands(call, &query, &value, &key) || !wants_causal(call, &causal) ||
      !project(call, "query_dense", query, count, size, &q) || !project(call, "key_dense", key, groups, size, &k) ||
      !project(call, "value_dense", value, groups, value_size, &v))
    return;
  k = repeat_heads(call, k, count / groups);
  v = repeat_heads(call, v, count / groups);
  q = keras_scale(call, "Mul", "scaled", q, 1 / sqrt((double)size));
  keras_tensor scores = product(call, "scores", q, keras_transpose(call, k, (int64_t[]){0, 1, 3, 2}));
  scores = softmax(call, scores, score_mask(call, scores, &query, &value, &key, causal));
  const json_t *shape = json_object_get(call->config, "output_shape");
  int64_t features = json_is_integer(shape) ? json_integer_value(shape) : query.shape[2];
  if (json_array_size(shape) > 1) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "output_shape of several dimensions");
    return;
  }
  if (json_array_size(shape) == 1) features = json_integer_value(json_array_get(shape, 0));
  join(call, "output_dense", product(call, "attended", scores, v), features, query, scores);
}

static void multi_head_attention(keras_call *call) {
  int64_t size = keras_int(call->config, "key_dim", -1);
  int64_t count = keras_int(call->config, "num_heads", -1), value = keras_int(call->config, "value_dim", size);
  heads(call, count, count, size, value ? value : size);
}

static void grouped_query_attention(keras_call *call) {
  int64_t size = keras_int(call->config, "head_dim", -1);
  heads(call, keras_int(call->config, "num_query_heads", -1), keras_int(call->config, "num_key_value_heads", -1), size,
        size);
}

const keras_kind keras_attention_kinds[] = {
    {"Attention", attention, KERAS_TAKES_MASK, "dot"},
    {"AdditiveAttention", attention, KERAS_TAKES_MASK, "added"},
    {"MultiHeadAttention", multi_head_attention, KERAS_TAKES_MASK, NULL},
    {"GroupQueryAttention", grouped_query_attention, KERAS_TAKES_MASK, NULL},
    {"GroupedQueryAttention", grouped_query_attention, KERAS_TAKES_MASK, NULL},
    {0},
};
