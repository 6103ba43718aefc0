// SPDX-License-Identifier: Apache-2.0
// Core ML's recurrent layers: one LSTM, GRU or RNN node each. The sequence is the first dimension; by the older rule it
// is N, and the batch is of one.
#include <string.h>

#include "convert/coreml.h"

enum { MOST_WEIGHTS = 16 };  // of an LSTM: three of each gate, one that forgets less, three peepholes

typedef struct rnn {
  net_rnn r;
  net_numbers weights[2][MOST_WEIGHTS];
  size_t used;
} rnn;

// A matrix or vector of weights in the next place; NULL: there is none, which was reported.
static const net_numbers *take(coreml_layer *l, rnn *s, size_t direction, const proto *of, const char *field) {
  proto weights;
  net_numbers *w = &s->weights[direction][s->used++ % MOST_WEIGHTS];
  if (proto_get(of, field, &weights)) return coreml_weights(l->n, &weights, w) ? w : NULL;
  if (!convert_failed(l->m->c)) net_fail(l->n, SDX_INVALID_MODEL, NULL, "it has no %s", field);
  return NULL;
}

// ---- activations ------------------------------------------------------------------------------------

static bool set_activation(coreml_layer *l, net_rnn *r, size_t index, const proto *activation) {
  static const struct {
    const char *ours, *name;
  } names[] = {{"sigmoid", "Sigmoid"},
               {"tanh", "Tanh"},
               {"ReLU", "Relu"},
               {"sigmoidHard", "HardSigmoid"},
               {"linear", "Affine"},
               {"leakyReLU", "LeakyRelu"},
               {"scaledTanh", "ScaledTanh"},
               {"softsign", "Softsign"},
               {"softplus", "Softplus"},
               {"ELU", "Elu"},
               {"thresholdedReLU", "ThresholdedRelu"}};
  proto p;
  const char *which = proto_which(activation, 1, &p);
  for (size_t i = 0; which && i < sizeof names / sizeof *names; i++)
    if (!strcmp(names[i].ours, which)) {
      r->activations[index] = names[i].name;
      if (p.type->count) {
        r->alpha[index] = (float)proto_number(&p, "alpha", 0);
        r->beta[index] = (float)proto_number(&p, "beta", 0);
      }
      return true;
    }
  return !net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "the activation '%s' within it", which ? which : "?");
}

// Those of a list, or the usual ones where it is empty.
static bool set_activations(coreml_layer *l, net_rnn *r, const char *field, size_t first, size_t count,
                            const char *const *usual) {
  proto activation;
  wire at = l->params.bytes;
  for (size_t i = 0; i < count; i++) {
    if (!proto_each(&l->params, &at, field, &activation)) r->activations[first + i] = usual[i];
    else if (!set_activation(l, r, first + i, &activation)) return false;
  }
  return !convert_failed(l->m->c);
}

// ---- values -----------------------------------------------------------------------------------------

// [steps, batch, width].
static net_tensor sequence_of(coreml_layer *l, net_tensor x) {
  if (!l->exact) return net_unsqueeze(l->n, net_flatten(l->n, x, 1), 1);
  if (x.rank == 5) return net_reshape(l->n, x, 3, (int64_t[]){0, 0, x.shape[2]});
  if (x.rank != 3) net_fail(l->n, SDX_INVALID_MODEL, NULL, "a value of shape %s", net_shape_text(l->n, &x));
  return x;
}

// A state given as the layer's values are: [directions, batch, units].
static net_tensor state_of(coreml_layer *l, size_t index, int64_t units) {
  return net_reshape(l->n, l->in[index], 3, (int64_t[]){1, -1, units});
}

// [steps or 1, batch, features] as the layer's values are.
static net_tensor as_values(coreml_layer *l, net_tensor y) {
  if (!l->exact) return net_squeeze(l->n, y, 1);
  if (l->in[0].rank == 5) return net_unsqueeze(l->n, net_unsqueeze(l->n, y, 3), 4);
  return y;
}

static void give(coreml_layer *l, const net_rnn *r, const net_tensor y[3], bool sequence) {
  net *n = l->n;
  size_t states = !strcmp(r->op, "LSTM") ? 2 : 1, k = 1;
  net_tensor last[2][2];
  for (size_t s = 0; s < states; s++)
    for (size_t d = 0; d < r->directions; d++)
      last[d][s] = r->directions == 1 ? y[1 + s] : net_slice(n, y[1 + s], 0, (int64_t)d, (int64_t)d + 1, 1);
  if (sequence) {
    l->out[0] = as_values(l, net_sequence(n, r, y[0]));
  } else {
    l->out[0] =
        as_values(l, r->directions == 1 ? last[0][0] : net_concat(n, 2, 2, (net_tensor[]){last[0][0], last[1][0]}));
  }
  for (size_t d = 0; d < r->directions; d++)
    for (size_t s = 0; s < states; s++, k++)
      if (k < l->out_count) l->out[k] = as_values(l, last[d][s]);
}

static void run(coreml_layer *l, net_rnn *r, bool sequence) {
  net_tensor x = sequence_of(l, l->in[0]), y[3];
  size_t states = !strcmp(r->op, "LSTM") ? 2 : 1;
  if (convert_failed(l->m->c)) return;
  if (proto_int(&l->params, "reverseInput", 0)) x = net_slice(l->n, x, 0, -1, INT64_MIN + 1, -1);
  for (size_t s = 0; s < states; s++) {
    if (l->in_count <= s + 1) break;
    net_tensor first = state_of(l, 1 + s, r->units);
    if (r->directions == 2 && l->in_count > 1 + s + states)
      first = net_concat(l->n, 0, 2, (net_tensor[]){first, state_of(l, 1 + s + states, r->units)});
    r->first[s] = first;
  }
  if (!convert_failed(l->m->c) && net_recurrent(l->n, x, r, y)) give(l, r, y, sequence);
}

// ---- layers -----------------------------------------------------------------------------------------

static void sizes(coreml_layer *l, net_rnn *r) {
  r->width = proto_int(&l->params, "inputVectorSize", 0);
  r->units = proto_int(&l->params, "outputVectorSize", 0);
}

static void simple(coreml_layer *l) {
  rnn s = {.r = {.op = "RNN", .directions = 1}};
  proto activation;
  sizes(l, &s.r);
  s.r.cells[0].input[0] = take(l, &s, 0, &l->params, "weightMatrix");
  s.r.cells[0].state[0] = take(l, &s, 0, &l->params, "recursionMatrix");
  if (proto_int(&l->params, "hasBiasVector", 0)) s.r.cells[0].bias[0] = take(l, &s, 0, &l->params, "biasVector");
  s.r.activations[0] = "Tanh";
  if (proto_get(&l->params, "activation", &activation) && !set_activation(l, &s.r, 0, &activation)) return;
  run(l, &s.r, proto_int(&l->params, "sequenceOutput", 0));
}

static const char *name_of(coreml_layer *l, const char *gate, const char *what) {
  char *name = arena_format(l->m->c->memory, "%s%s", gate, what);
  return name ? name : "";
}

static void read_cell(coreml_layer *l, rnn *s, size_t direction, const proto *of, size_t gates,
                      const char *const *names, bool bias) {
  net_cell *cell = &s->r.cells[direction];
  s->used = 0;
  for (size_t i = 0; i < gates; i++) {
    cell->input[i] = take(l, s, direction, of, name_of(l, names[i], "WeightMatrix"));
    cell->state[i] = take(l, s, direction, of, name_of(l, names[i], "RecursionMatrix"));
    if (bias) cell->bias[i] = take(l, s, direction, of, name_of(l, names[i], "BiasVector"));
  }
}

static void gru(coreml_layer *l) {
  static const char *const gates[] = {"updateGate", "resetGate", "outputGate"}, *const usual[] = {"Sigmoid", "Tanh"};
  rnn s = {.r = {.op = "GRU", .directions = 1, .before = true}};
  sizes(l, &s.r);
  read_cell(l, &s, 0, &l->params, 3, gates, proto_int(&l->params, "hasBiasVectors", 0));
  if (set_activations(l, &s.r, "activations", 0, 2, usual)) run(l, &s.r, proto_int(&l->params, "sequenceOutput", 0));
}

// Ones that are added to what the gate forgets by.
static const net_numbers *ones(coreml_layer *l, rnn *s, size_t direction) {
  const net_numbers *like = s->r.cells[direction].input[2];
  size_t count = like && s->r.units > 0 && (uint64_t)s->r.units <= like->count ? (size_t)s->r.units : 0;
  float *at = arena_array(l->m->c->memory, count + 1, sizeof *at);
  net_numbers *w = &s->weights[direction][s->used++ % MOST_WEIGHTS];
  if (!at) return convert_no_memory(l->m->c), NULL;
  for (size_t i = 0; i < count; i++) at[i] = 1;
  *w = (net_numbers){.at = at, .coding = NET_F32, .count = count};
  return w;
}

static void read_lstm(coreml_layer *l, rnn *s, size_t direction, const proto *weights, const proto *params) {
  static const char *const gates[] = {"inputGate", "outputGate", "forgetGate", "blockInput"};
  static const char *const peepholes[] = {"inputGatePeepholeVector", "outputGatePeepholeVector",
                                          "forgetGatePeepholeVector"};
  read_cell(l, s, direction, weights, 4, gates, proto_int(params, "hasBiasVectors", 0));
  if (proto_int(params, "forgetBias", 0)) s->r.cells[direction].state_bias[2] = ones(l, s, direction);
  for (size_t i = 0; i < 3 && proto_int(params, "hasPeepholeVectors", 0); i++)
    s->r.cells[direction].peephole[i] = take(l, s, direction, weights, peepholes[i]);
}

static void lstm(coreml_layer *l) {
  enum { NO_CLIP = 1000 };  // a bound that states do not come near to
  static const char *const usual[] = {"Sigmoid", "Tanh", "Tanh"};
  bool both = !strcmp(l->kind->name, "biDirectionalLSTM");
  rnn s = {.r = {.op = "LSTM", .directions = both ? 2 : 1}};
  proto params, weights;
  sizes(l, &s.r);
  proto_get(&l->params, "params", &params);
  double clip = proto_number(&params, "cellClipThreshold", 0);
  if (proto_int(&params, "coupledInputAndForgetGate", 0) || (clip > 0 && clip < NO_CLIP)) {
    net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "coupled gates, or a state that is clipped");
    return;
  }
  size_t d = 0;
  for (wire at = l->params.bytes; d < s.r.directions && proto_each(&l->params, &at, "weightParams", &weights); d++)
    read_lstm(l, &s, d, &weights, &params);
  if (d < s.r.directions && !convert_failed(l->m->c))
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "weights of %zu directions, expected %zu", d, s.r.directions);
  bool good = both ? set_activations(l, &s.r, "activationsForwardLSTM", 0, 3, usual) &&
                         set_activations(l, &s.r, "activationsBackwardLSTM", 3, 3, usual)
                   : set_activations(l, &s.r, "activations", 0, 3, usual);
  if (good) run(l, &s.r, proto_int(&params, "sequenceOutput", 0));
}

const coreml_layer_kind coreml_rnn_layers[] = {
    {"simpleRecurrent", simple, NULL},
    {"gru", gru, NULL},
    {"uniDirectionalLSTM", lstm, NULL},
    {"biDirectionalLSTM", lstm, NULL},
    {0},
};
