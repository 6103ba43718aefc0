// SPDX-License-Identifier: Apache-2.0
// ATen's attention and recurrent layers (pt2.h).
#include <math.h>
#include <string.h>

#include "convert/pt2.h"

// ---- attention --------------------------------------------------------------------------------------

// Below opset 23, by its products.
static net_tensor attention_of_parts(pt2_op *op, net_tensor q, net_tensor k, net_tensor v, net_tensor mask,
                                     double scale) {
  net_tensor scores = net_matmul(op->n, "scores", net_scale(op->n, "Mul", "scale", q, scale), net_swap_last(op->n, k));
  if (mask.ref && mask.dtype == SDX_BOOL) {
    net_tensor zero = net_scalar(op->n, q.dtype, 0), none = net_scalar(op->n, q.dtype, -INFINITY);
    mask = net_like(mask, pt2_where(op, mask, zero, none).ref);
    mask.dtype = q.dtype;
  }
  if (mask.ref) scores = net_binary(op->n, "Add", "mask", scores, mask);
  return net_matmul(op->n, NULL, net_softmax(op->n, "Softmax", scores, scores.rank - 1), v);
}

static net_tensor causal_mask(pt2_op *op, net_tensor q, net_tensor k) {
  net_tensor rows = net_slice(op->n, net_shape_of(op->n, q), 0, (int64_t)q.rank - 2, (int64_t)q.rank - 1, 1),
             columns = net_slice(op->n, net_shape_of(op->n, k), 0, (int64_t)k.rank - 2, (int64_t)k.rank - 1, 1);
  net_tensor shape = net_concat(op->n, 0, 2, (net_tensor[]){rows, columns});
  net_tensor ones = {net_node(op->n, "Expand", "ones", SDX_REFS(net_scalar(op->n, SDX_INT32, 1).ref, shape.ref)),
                     SDX_INT32,
                     2,
                     {-1, -1}};
  ones.ref = net_node(op->n, "Trilu", "causal", SDX_REFS(ones.ref));
  sdx_graph_set_int(op->p->c->graph, "upper", 0);
  return net_cast(op->n, ones, SDX_BOOL);
}

static void attention(pt2_op *op) {
  net_tensor q, k, v, mask;
  pt2_value y;
  bool causal = pt2_flag(op, "is_causal", false);
  sdx_graph *g = op->p->c->graph;
  if (!pt2_in(op, "query", &q) || !pt2_in(op, "key", &k) || !pt2_in(op, "value", &v) ||
      !pt2_optional(op, pt2_has(op, "attn_bias") ? "attn_bias" : "attn_mask", &mask) || !pt2_result(op, 0, &y))
    return;
  double scale = pt2_number(op, "scale", 0);
  bool grouped = pt2_flag(op, "enable_gqa", false), alone = q.rank == 3;
  if (pt2_opset(op) < 23 || q.rank < 3 || q.rank > 4) {
    int64_t width = q.rank ? q.shape[q.rank - 1] : -1;
    if (width < 1 || grouped) {
      net_fail(op->n, SDX_NOT_SUPPORTED, "--opset 23 or newer", "attention of %s", net_shape_text(op->n, &q));
      return;
    }
    op->out[0] = attention_of_parts(op, q, k, v, causal ? causal_mask(op, q, k) : mask,
                                    scale > 0 ? scale : 1 / sqrt((double)width));
    return;
  }
  if (alone) {
    q = net_unsqueeze(op->n, q, 0), k = net_unsqueeze(op->n, k, 0), v = net_unsqueeze(op->n, v, 0);
    if (mask.ref && mask.rank == 3) mask = net_unsqueeze(op->n, mask, 0);
  }
  net_tensor made = q;
  made.ref = net_node(op->n, "Attention", NULL, mask.ref ? 4 : 3, (sdx_ref[]){q.ref, k.ref, v.ref, mask.ref});
  if (causal) sdx_graph_set_int(g, "is_causal", 1);
  if (scale > 0) sdx_graph_set_float(g, "scale", (float)scale);
  made.shape[3] = v.shape[3];
  op->out[0] = alone ? net_squeeze(op->n, made, 0) : made;
}

// ---- recurrence -------------------------------------------------------------------------------------

typedef struct recurrent {
  const char *op;
  size_t gates, layers, directions;
  bool biases;
  net_tensor first[2];  // [layers * directions, batch, units]; ref 0: zeros
} recurrent;

// A matrix of a layer as numbers, rows of a gate after the other.
static const net_numbers *numbers_of(pt2_op *op, size_t index, int64_t *rows, int64_t *columns) {
  const json_t *list = json_object_get(pt2_arg(op, "params"), "as_tensors");
  const char *name = pt2_argument_name(json_array_get(list, index));
  pt2_value *v = *name ? pt2_find(op->p, name) : NULL;
  const stored_tensor *t = v ? v->stored : NULL;
  net_numbers n = {0};
  if (!t || t->rank < 1 || t->rank > 2 || t->dtype != SDX_FLOAT || t->stride[t->rank - 1] != 1 ||
      (t->rank == 2 && t->stride[0] != t->shape[1])) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "parameter %zu is not one of floats that the file has", index);
    return NULL;
  }
  *rows = t->shape[0];
  *columns = t->rank == 2 ? t->shape[1] : 1;
  n = (net_numbers){.at = t->bytes, .count = (size_t)(*rows * *columns), .coding = NET_F32};
  return arena_copy(op->p->c->memory, &n, sizeof n);
}

// PyTorch's gates in ONNX's order.
static int64_t gate_at(const recurrent *r, size_t gate) {
  static const int64_t lstm[] = {0, 3, 1, 2}, gru[] = {1, 0, 2};
  return r->gates == 4 ? lstm[gate] : r->gates == 3 ? gru[gate] : 0;
}

static bool read_cell(pt2_op *op, const recurrent *r, size_t index, net_rnn *net, net_cell *cell) {
  size_t each = r->biases ? 4 : 2;
  const net_numbers *numbers[4] = {NULL};
  int64_t rows, columns;
  for (size_t i = 0; i < each; i++) {
    if (!(numbers[i] = numbers_of(op, index * each + i, &rows, &columns))) return false;
    if (rows % (int64_t)r->gates)
      return !net_fail(op->n, SDX_INVALID_MODEL, NULL, "%lld rows of weights", (long long)rows);
    if (i == 0) net->width = columns, net->units = rows / (int64_t)r->gates;
    if (rows != net->units * (int64_t)r->gates || (i == 1 && columns != net->units))
      return !net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "weights of other sizes, as with proj_size");
  }
  for (size_t g = 0; g < r->gates; g++) {
    cell->input[g] = numbers[0], cell->state[g] = numbers[1], cell->bias[g] = numbers[2],
    cell->state_bias[g] = numbers[3];
    cell->offset[g] = gate_at(r, g) * net->units;
  }
  return true;
}

static bool layer(pt2_op *op, const recurrent *r, size_t index, net_tensor *x, net_tensor last[2]) {
  net_rnn net = {.op = r->op, .directions = r->directions};
  net_tensor y[3];
  int64_t from = (int64_t)(index * r->directions);
  for (size_t d = 0; d < r->directions; d++)
    if (!read_cell(op, r, index * r->directions + d, &net, &net.cells[d])) return false;
  if (!strcmp(op->kind->name, "rnn_relu"))
    for (size_t d = 0; d < r->directions; d++) net.activations[d] = "Relu";
  for (size_t i = 0; i < 2; i++)
    if (r->first[i].ref)
      net.first[i] =
          r->layers == 1 ? r->first[i] : net_slice(op->n, r->first[i], 0, from, from + (int64_t)r->directions, 1);
  if (!net_recurrent(op->n, *x, &net, y)) return false;
  *x = r->directions == 1 ? net_squeeze(op->n, y[0], 1) : net_sequence(op->n, &net, y[0]);
  last[0] = y[1], last[1] = y[2];
  return true;
}

static void recur(pt2_op *op) {
  enum { MOST_LAYERS = 64 };
  recurrent r = {
      .op = op->kind->op, .layers = (size_t)pt2_int(op, "num_layers", 1), .biases = pt2_flag(op, "has_biases", true)};
  net_tensor x, last[2], all[2][MOST_LAYERS];
  bool lstm = !strcmp(r.op, "LSTM"), batch_first = pt2_flag(op, "batch_first", false);
  size_t states = lstm ? 2 : 1;
  r.gates = lstm ? 4 : !strcmp(r.op, "GRU") ? 3 : 1;
  r.directions = pt2_flag(op, "bidirectional", false) ? 2 : 1;
  if (!pt2_in(op, "input", &x)) return;
  for (size_t i = 0; i < states; i++)
    if (lstm ? !pt2_list_in(op, "hx", i, &r.first[i]) : !pt2_in(op, "hx", &r.first[i])) return;
  bool alone = x.rank == 2;
  if (r.layers < 1 || r.layers > MOST_LAYERS || x.rank < 2 || x.rank > 3) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "%zu layers over %s", r.layers, net_shape_text(op->n, &x));
    return;
  }
  if (alone) x = net_unsqueeze(op->n, x, 1);
  for (size_t i = 0; i < states && alone && r.first[i].rank == 2; i++) r.first[i] = net_unsqueeze(op->n, r.first[i], 1);
  if (batch_first && !alone) x = net_transpose(op->n, x, (int64_t[]){1, 0, 2});
  for (size_t i = 0; i < r.layers; i++) {
    if (!layer(op, &r, i, &x, last)) return;
    all[0][i] = last[0], all[1][i] = last[1];
  }
  if (batch_first && !alone) x = net_transpose(op->n, x, (int64_t[]){1, 0, 2});
  op->out[0] = alone ? net_squeeze(op->n, x, 1) : x;
  for (size_t i = 0; i < states; i++) {
    op->out[1 + i] = net_concat(op->n, 0, r.layers, all[i]);
    if (alone) op->out[1 + i] = net_squeeze(op->n, op->out[1 + i], 1);
  }
}

const pt2_kind pt2_attention_kinds[] = {
    {"scaled_dot_product_attention", attention, "Attention"},
    {"_scaled_dot_product_flash_attention_for_cpu", attention, "Attention"},
    {"_scaled_dot_product_efficient_attention", attention, "Attention"},
    {"lstm", recur, "LSTM"},
    {"gru", recur, "GRU"},
    {"rnn_tanh", recur, "RNN"},
    {"rnn_relu", recur, "RNN"},
    {0},
};
