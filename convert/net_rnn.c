// SPDX-License-Identifier: Apache-2.0
// Recurrent layers, one LSTM, GRU or RNN node each (net.h).
#include <string.h>

#include "convert/net.h"

static size_t gates_of(const net_rnn *r) { return !strcmp(r->op, "LSTM") ? 4 : !strcmp(r->op, "GRU") ? 3 : 1; }

static net_piece piece(const net_numbers *from, int64_t first, int64_t rows, int64_t columns) {
  return (net_piece){
      .from = from, .offset = first * columns, .rank = 2, .shape = {rows, columns}, .stride = {columns, 1}};
}

// [directions, gates * units, columns].
static net_tensor matrix(net *n, const char *part, const net_rnn *r, bool state) {
  net_piece pieces[2 * NET_GATES];
  size_t gates = gates_of(r), count = 0;
  int64_t columns = state ? r->units : r->width;
  for (size_t d = 0; d < r->directions; d++)
    for (size_t g = 0; g < gates; g++)
      pieces[count++] =
          piece((state ? r->cells[d].state : r->cells[d].input)[g], r->cells[d].offset[g], r->units, columns);
  return net_pieces(n, part, SDX_FLOAT, 3, (int64_t[]){(int64_t)r->directions, (int64_t)gates * r->units, columns},
                    count, pieces);
}

// [directions, 2 * gates * units]; none if all are zeros.
static net_tensor biases(net *n, const net_rnn *r) {
  net_piece pieces[4 * NET_GATES];
  size_t gates = gates_of(r), count = 0;
  bool any = false;
  for (size_t d = 0; d < r->directions; d++)
    for (size_t side = 0; side < 2; side++)
      for (size_t g = 0; g < gates; g++) {
        const net_numbers *from = (side ? r->cells[d].state_bias : r->cells[d].bias)[g];
        any = any || from;
        pieces[count++] = piece(from, r->cells[d].offset[g], r->units, 1);
      }
  if (!any) return (net_tensor){0};
  return net_pieces(n, "B", SDX_FLOAT, 2, (int64_t[]){(int64_t)r->directions, 2 * (int64_t)gates * r->units}, count,
                    pieces);
}

static net_tensor peepholes(net *n, const net_rnn *r) {
  net_piece pieces[6];
  size_t count = 0;
  if (!r->cells[0].peephole[0]) return (net_tensor){0};
  for (size_t d = 0; d < r->directions; d++)
    for (size_t i = 0; i < 3; i++) pieces[count++] = piece(r->cells[d].peephole[i], 0, r->units, 1);
  return net_pieces(n, "P", SDX_FLOAT, 2, (int64_t[]){(int64_t)r->directions, 3 * r->units}, count, pieces);
}

// Functions with parameters take the next of a list each.
static void set_activations(net *n, const net_rnn *r) {
  static const char *const with_alpha[] = {"Affine",    "ScaledTanh",      "HardSigmoid",
                                           "LeakyRelu", "ThresholdedRelu", "Elu"};
  enum { WITH_BETA = 3 };
  sdx_graph *g = n->c->graph;
  float alpha[6], beta[6];
  size_t each = gates_of(r) == 4 ? 3 : gates_of(r) == 3 ? 2 : 1, alphas = 0, betas = 0;
  if (!r->activations[0]) return;
  sdx_graph_set_strings(g, "activations", r->directions * each, r->activations);
  for (size_t i = 0; i < r->directions * each; i++)
    for (size_t k = 0; k < sizeof with_alpha / sizeof *with_alpha; k++)
      if (!strcmp(r->activations[i], with_alpha[k])) {
        alpha[alphas++] = r->alpha[i];
        if (k < WITH_BETA) beta[betas++] = r->beta[i];
      }
  if (alphas) sdx_graph_set_floats(g, "activation_alpha", alphas, alpha);
  if (betas) sdx_graph_set_floats(g, "activation_beta", betas, beta);
}

net_tensor net_sequence(net *n, const net_rnn *r, net_tensor y) {
  return net_reshape(n, net_transpose(n, y, (int64_t[]){0, 2, 1, 3}), 3,
                     (int64_t[]){0, 0, (int64_t)r->directions * r->units});
}

bool net_recurrent(net *n, net_tensor x, const net_rnn *r, net_tensor y[3]) {
  sdx_graph *g = n->c->graph;
  bool lstm = gates_of(r) == 4;
  if (r->units < 1 || r->units > NET_MOST || r->width < 0 || r->width > NET_MOST || x.rank != 3 ||
      (x.shape[2] >= 0 && x.shape[2] != r->width))
    return !net_fail(n, SDX_INVALID_MODEL, NULL, "%lld units for %lld features of a value of shape %s",
                     (long long)r->units, (long long)r->width, net_shape_text(n, &x));
  sdx_ref in[] = {x.ref,           matrix(n, "W", r, false).ref, matrix(n, "R", r, true).ref, biases(n, r).ref, 0,
                  r->first[0].ref, lstm ? r->first[1].ref : 0,   peepholes(n, r).ref};
  size_t count = lstm ? 8 : 6;
  while (count > 3 && !in[count - 1]) count--;
  int64_t directions = (int64_t)r->directions;
  y[0] =
      (net_tensor){net_node(n, r->op, NULL, count, in), SDX_FLOAT, 4, {x.shape[0], directions, x.shape[1], r->units}};
  y[1] = (net_tensor){sdx_graph_add_node_output(g), SDX_FLOAT, 3, {directions, x.shape[1], r->units}};
  y[2] = y[1];
  if (lstm) y[2].ref = sdx_graph_add_node_output(g);
  sdx_graph_set_int(g, "hidden_size", r->units);
  if (r->directions == 2) sdx_graph_set_string(g, "direction", "bidirectional");
  else if (r->backwards) sdx_graph_set_string(g, "direction", "reverse");
  set_activations(n, r);
  if (r->clip > 0) sdx_graph_set_float(g, "clip", (float)r->clip);
  if (r->coupled) sdx_graph_set_int(g, "input_forget", 1);
  if (gates_of(r) == 3 && !r->before) sdx_graph_set_int(g, "linear_before_reset", 1);
  return !convert_failed(n->c);
}
