// SPDX-License-Identifier: Apache-2.0
// Recurrent layers: one LSTM, GRU or RNN node each. ONNX knows sequences that end early, Keras masks any step: the
// steps that count are moved to the front, and what comes out to where they were; in between the last result stands.
#include <stdio.h>
#include <string.h>

#include "convert/keras.h"

enum { GATES = 4, CELLS = 16 };

// One cell: weights by gate, in Keras' order.
typedef struct cell {
  const char *op;
  size_t gates, states;
  int64_t units, row, gate;  // steps between rows and between gates
  bool bias, after;          // reset_after
  net_numbers w[GATES], r[GATES], b[GATES];
  const char *f, *g;  // activations: of gates, of what is let through
} cell;

typedef struct layer_options {
  bool sequences, state, backwards, stateful, zeros;
} layer_options;

// ---- reading ----------------------------------------------------------------------------------------

static const struct cell_kind {
  const char *class_name, *op;
  size_t gates, states;
} cell_kinds[] = {
    {"LSTM", "LSTM", 4, 2},   {"LSTMCell", "LSTM", 4, 2}, {"GRU", "GRU", 3, 1},
    {"GRUCell", "GRU", 3, 1}, {"SimpleRNN", "RNN", 1, 1}, {"SimpleRNNCell", "RNN", 1, 1},
};

static const char *activation_of(keras_call *call, const json_t *config, const char *key, const char *old,
                                 const char *missing) {
  const json_t *value = json_object_get(config, key);
  if (!value) value = json_object_get(config, old);
  const char *name = value ? keras_activation_name(value) : missing;
  if (!name) keras_fail(call, SDX_NOT_SUPPORTED, NULL, "%s is a layer of its own", key);
  return name ? name : "tanh";
}

static bool read_weight(keras_call *call, const char *part, unsigned index, const char *name, size_t rank,
                        const int64_t *shape, net_numbers *numbers) {
  hdf5_array w;
  if (!keras_weight(call, part, index, &w) || !keras_expect(call, name, &w, rank, shape)) return false;
  *numbers = keras_numbers(&w);
  return true;
}

// Keras 1 wrote an array for each gate.
static bool read_gates(keras_call *call, const char *part, cell *c, int64_t width) {
  static const size_t lstm_order[] = {0, 2, 1, 3};  // i c f o to i f c o
  bool apart = call->k->version == 1 && c->gates > 1;
  int64_t all = apart ? c->units : c->units * (int64_t)c->gates;
  c->row = all;
  c->gate = apart ? 0 : c->units;
  for (size_t n = 0; n < (apart ? c->gates : 1); n++) {
    size_t g = apart && c->gates == 4 ? lstm_order[n] : n;
    bool two = c->after;
    if (!read_weight(call, part, 0, "kernel", 2, (int64_t[]){width, all}, &c->w[g]) ||
        !read_weight(call, part, 1, "recurrent_kernel", 2, (int64_t[]){c->units, all}, &c->r[g]) ||
        (c->bias &&
         !read_weight(call, part, 2, "bias", two ? 2 : 1, two ? (int64_t[]){2, all} : (int64_t[]){all}, &c->b[g])))
      return false;
  }
  for (size_t g = 1; g < c->gates && !apart; g++) c->w[g] = c->w[0], c->r[g] = c->r[0], c->b[g] = c->b[0];
  return true;
}

static bool read_cell(keras_call *call, const char *class_name, const json_t *config, const char *part, int64_t width,
                      cell *c) {
  *c = (cell){0};
  for (size_t i = 0; i < sizeof cell_kinds / sizeof *cell_kinds; i++)
    if (!strcmp(class_name, cell_kinds[i].class_name))
      *c = (cell){.op = cell_kinds[i].op, .gates = cell_kinds[i].gates, .states = cell_kinds[i].states};
  if (!c->op)
    return !keras_fail(call, SDX_NOT_SUPPORTED, "use LSTM, GRU or SimpleRNN cells", "the cell '%s' is not converted",
                       class_name);
  c->units = keras_int(config, "units", keras_int(config, "output_dim", -1));
  if (c->units < 1 || c->units > 1 << 24 || width < 0)
    return !keras_fail(call, SDX_INVALID_MODEL, NULL, "%lld units for %lld features", (long long)c->units,
                       (long long)width);
  c->bias = keras_flag(config, "use_bias", true);
  c->after = !strcmp(c->op, "GRU") && keras_flag(config, "reset_after", false);
  c->g = activation_of(call, config, "activation", "activation", "tanh");
  const char *gates = call->k->version == 1 ? "hard_sigmoid" : "sigmoid";
  c->f = c->gates > 1 ? activation_of(call, config, "recurrent_activation", "inner_activation", gates) : c->g;
  return !convert_failed(call->k->c) && read_gates(call, part, c, width);
}

static layer_options read_options(const json_t *config) {
  return (layer_options){keras_flag(config, "return_sequences", false), keras_flag(config, "return_state", false),
                         keras_flag(config, "go_backwards", false), keras_flag(config, "stateful", false),
                         keras_flag(config, "zero_output_for_mask", false)};
}

// ---- weights in ONNX's order ------------------------------------------------------------------------

static size_t gate_at(const cell *c, size_t i) {
  static const size_t lstm[] = {0, 3, 1, 2};  // i o f c
  return c->gates == 4 ? lstm[i] : i;
}

// [directions, gates * units, columns] of kernels [columns, gates * units].
static sdx_ref matrix(keras_call *call, const char *name, size_t directions, const cell *cells, bool recurrent,
                      int64_t columns) {
  net_piece pieces[2 * GATES];
  size_t n = 0;
  for (size_t d = 0; d < directions; d++) {
    const cell *c = &cells[d];
    for (size_t i = 0; i < c->gates; i++) {
      size_t g = gate_at(c, i);
      pieces[n++] = (net_piece){.from = recurrent ? &c->r[g] : &c->w[g],
                                .offset = (int64_t)g * c->gate,
                                .rank = 2,
                                .shape = {c->units, columns},
                                .stride = {1, c->row}};
    }
  }
  int64_t shape[] = {(int64_t)directions, (int64_t)cells->gates * cells->units, columns};
  return keras_pieces(call, name, call->dtype, 3, shape, n, pieces);
}

// [directions, 2 * gates * units]: of the input, then of the state before, which only GRU with reset_after has.
static sdx_ref biases(keras_call *call, const char *name, size_t directions, const cell *cells) {
  net_piece pieces[4 * GATES];
  size_t n = 0;
  for (size_t d = 0; d < directions; d++) {
    const cell *c = &cells[d];
    for (size_t i = 0; i < 2 * c->gates; i++) {
      size_t g = gate_at(c, i % c->gates);
      bool second = i >= c->gates;
      pieces[n++] = (net_piece){.from = second && !c->after ? NULL : &c->b[g],
                                .offset = (int64_t)g * c->gate + (second ? c->row : 0),
                                .rank = 1,
                                .shape = {c->units},
                                .stride = {1}};
    }
  }
  int64_t shape[] = {(int64_t)directions, 2 * (int64_t)cells->gates * cells->units};
  return keras_pieces(call, name, call->dtype, 2, shape, n, pieces);
}

static const struct rnn_activation {
  const char *name, *op;
  int arguments;
  float alpha, beta;
} rnn_activations[] = {
    {"tanh", "Tanh", 0, 0, 0},
    {"sigmoid", "Sigmoid", 0, 0, 0},
    {"relu", "Relu", 0, 0, 0},
    {"softsign", "Softsign", 0, 0, 0},
    {"softplus", "Softplus", 0, 0, 0},
    {"elu", "Elu", 1, 1, 0},
    {"leaky_relu", "LeakyRelu", 1, 0.2f, 0},
    {"linear", "Affine", 2, 1, 0},
    {"hard_sigmoid", "HardSigmoid", 2, 0.2f, 0.5f},
};

static bool set_activations(keras_call *call, size_t directions, const cell *cells) {
  const char *names[6];
  float alphas[6], betas[6];
  size_t n = 0, as = 0, bs = 0, per = cells->gates == 4 ? 3 : cells->gates == 3 ? 2 : 1;
  for (size_t i = 0; i < directions * per; i++) {
    const char *name = i % per == 0 ? cells[i / per].f : cells[i / per].g;
    const struct rnn_activation *a = NULL;
    for (size_t j = 0; j < sizeof rnn_activations / sizeof *rnn_activations; j++)
      if (!strcmp(name, rnn_activations[j].name)) a = &rnn_activations[j];
    if (!a)
      return !keras_fail(call, SDX_NOT_SUPPORTED, NULL, "the activation '%s' within a recurrent layer is not converted",
                         name);
    names[n++] = a->op;
    bool new_sigmoid = a->arguments == 2 && a->beta != 0 && call->k->version >= 3;
    if (a->arguments > 0) alphas[as++] = new_sigmoid ? 1.0f / 6 : a->alpha;
    if (a->arguments > 1) betas[bs++] = a->beta;
  }
  sdx_graph *g = call->k->graph;
  sdx_graph_set_strings(g, "activations", n, names);
  if (as) sdx_graph_set_floats(g, "activation_alpha", as, alphas);
  if (bs) sdx_graph_set_floats(g, "activation_beta", bs, betas);
  return true;
}

// ---- masks ------------------------------------------------------------------------------------------

typedef struct steps {
  sdx_ref mask;     // bool [batch, steps]; 0: all count
  sdx_ref count;    // of the steps that count, up to each: int64 [batch, steps]
  sdx_ref number;   // the mask as int64
  sdx_ref lengths;  // int32 [batch]
  sdx_ref any;      // bool [batch, 1]
} steps;

static keras_tensor gather_steps(keras_call *call, keras_tensor x, sdx_ref indices) {
  sdx_ref at = node_unsqueeze(call->k->c, indices, 2);
  x.ref = keras_node(call, "GatherND", "gather", SDX_REFS(x.ref, at));
  sdx_graph_set_int(call->k->graph, "batch_dims", 1);
  return x;
}

// Sorts the steps: those that count first, in their order.
static keras_tensor compact(keras_call *call, keras_tensor x, steps *s) {
  sdx_graph *g = call->k->graph;
  sdx_ref axis = sdx_graph_add_scalar(g, SDX_INT64, 1), one = sdx_graph_add_scalar(g, SDX_INT64, 1);
  keras_tensor mask = {.ref = s->mask, .dtype = SDX_BOOL, .rank = 2};
  s->number = keras_cast(call, mask, SDX_INT64).ref;
  s->count = keras_node(call, "CumSum", "count", SDX_REFS(s->number, axis));
  sdx_ref ones =
      keras_node(call, "Add", "ones", SDX_REFS(keras_node(call, "Sub", "zeros", SDX_REFS(s->number, s->number)), one));
  sdx_ref place = keras_node(call, "CumSum", "place", SDX_REFS(ones, axis));
  sdx_ref early = keras_node(call, "Mul", "early", SDX_REFS(s->number, sdx_graph_add_scalar(g, SDX_INT64, 1ll << 40)));
  sdx_ref key = keras_node(call, "Sub", "order", SDX_REFS(place, early));
  keras_node(call, "TopK", "sorted", SDX_REFS(key, keras_shape(call, x, 1, 2)));
  sdx_graph_set_int(g, "axis", 1);
  sdx_graph_set_int(g, "largest", 0);
  sdx_graph_set_int(g, "sorted", 1);
  sdx_ref order = sdx_graph_add_node_output(g);
  sdx_ref sum = keras_node(call, "ReduceSum", "length", SDX_REFS(s->number, sdx_graph_add_ints(g, 1, (int64_t[]){1})));
  sdx_graph_set_int(g, "keepdims", 0);
  s->lengths = keras_cast(call, (keras_tensor){.ref = sum, .dtype = SDX_INT64, .rank = 1}, SDX_INT32).ref;
  sdx_ref some = keras_node(call, "Greater", "some", SDX_REFS(sum, sdx_graph_add_scalar(g, SDX_INT64, 0)));
  s->any = node_unsqueeze(call->k->c, some, 1);
  return gather_steps(call, x, order);
}

static keras_tensor choose(keras_call *call, sdx_ref condition, keras_tensor yes, sdx_ref no) {
  return keras_like(yes, keras_node(call, "Where", "masked", SDX_REFS(condition, yes.ref, no)));
}

// Results of the steps that count, back to all steps.
static keras_tensor spread(keras_call *call, keras_tensor y, const steps *s, bool backwards, bool zeros) {
  sdx_graph *g = call->k->graph;
  sdx_ref one = sdx_graph_add_scalar(g, SDX_INT64, 1), zero = sdx_graph_add_scalar(g, SDX_INT64, 0);
  sdx_ref at = keras_node(call, "Sub", "at", SDX_REFS(s->count, backwards ? s->number : one));
  sdx_ref inside = keras_node(call, "Max", "inside", SDX_REFS(at, zero));
  y = gather_steps(call, y, inside);
  sdx_ref valid = zeros ? s->mask : keras_node(call, "GreaterOrEqual", "begun", SDX_REFS(at, zero));
  return choose(call, node_unsqueeze(call->k->c, valid, 2), y, sdx_graph_add_scalar(g, y.dtype, 0));
}

// ---- one node ---------------------------------------------------------------------------------------

typedef struct run_of {
  size_t directions;
  const cell *cells;
  bool backwards[2];
  sdx_ref initial[2][2];  // [direction][h, c] [batch, units]; all or none
  keras_tensor y[2], last[2], states[2][2];
} run_of;

static sdx_ref initial_state(keras_call *call, const run_of *r, size_t which) {
  sdx_ref parts[2];
  if (!r->initial[0][which]) return 0;
  for (size_t d = 0; d < r->directions; d++) parts[d] = node_unsqueeze(call->k->c, r->initial[d][which], 0);
  return r->directions == 1 ? *parts : node_concat(call->k->c, "initial", 0, 2, parts);
}

static sdx_ref direction_at(keras_call *call, const run_of *r, sdx_ref x, size_t d, int64_t axis) {
  sdx_graph *g = call->k->graph;
  if (r->directions == 1) return keras_node(call, "Squeeze", "squeeze", SDX_REFS(x, sdx_graph_add_ints(g, 1, &axis)));
  x = keras_node(call, "Gather", d ? "backward" : "forward",
                 SDX_REFS(x, sdx_graph_add_scalar(g, SDX_INT64, (double)d)));
  sdx_graph_set_int(g, "axis", axis);
  return x;
}

// x: [batch, steps, features]
static bool run_rnn(keras_call *call, const char *part, keras_tensor x, const steps *s, run_of *r) {
  const cell *c = r->cells;
  sdx_graph *g = call->k->graph;
  char name[3][80];
  static const char *const what[] = {"kernel", "recurrent_kernel", "bias"};
  for (int i = 0; i < 3; i++) snprintf(name[i], sizeof *name, "%s%s%s", part ? part : "", part ? "/" : "", what[i]);
  keras_tensor time_first = keras_transpose(call, x, (int64_t[]){1, 0, 2});
  sdx_ref w = matrix(call, name[0], r->directions, c, false, x.shape[2]);
  sdx_ref h = matrix(call, name[1], r->directions, c, true, c->units);
  sdx_ref b = c->bias ? biases(call, name[2], r->directions, c) : 0;
  sdx_ref h0 = initial_state(call, r, 0), c0 = c->states == 2 ? initial_state(call, r, 1) : 0;
  sdx_ref refs[] = {time_first.ref, w, h, b, s->lengths, h0, c0};
  size_t count = sizeof refs / sizeof *refs;
  while (!refs[count - 1]) count--;
  sdx_ref y = keras_node(call, c->op, part, count, refs);
  sdx_graph_set_int(g, "hidden_size", c->units);
  sdx_graph_set_string(g, "direction", r->directions == 2 ? "bidirectional" : r->backwards[0] ? "reverse" : "forward");
  if (c->after) sdx_graph_set_int(g, "linear_before_reset", 1);
  if (!set_activations(call, r->directions, c)) return false;
  sdx_ref last[2] = {sdx_graph_add_node_output(g), c->states == 2 ? sdx_graph_add_node_output(g) : 0};
  for (size_t d = 0; d < r->directions; d++) {
    keras_tensor t = {.dtype = x.dtype, .rank = 3, .shape = {x.shape[1], x.shape[0], c->units}};
    keras_tensor state = {.dtype = x.dtype, .rank = 2, .shape = {x.shape[0], c->units}};
    t.ref = direction_at(call, r, y, d, 1);
    r->y[d] = keras_transpose(call, t, (int64_t[]){1, 0, 2});
    for (size_t i = 0; i < c->states; i++) {
      keras_tensor value = keras_like(state, direction_at(call, r, last[i], d, 0));
      sdx_ref zero = s->mask ? sdx_graph_add_scalar(g, x.dtype, 0) : 0;
      if (i == 0) r->last[d] = s->mask ? choose(call, s->any, value, zero) : value;
      r->states[d][i] = s->mask ? choose(call, s->any, value, r->initial[d][i] ? r->initial[d][i] : zero) : value;
    }
  }
  return !convert_failed(call->k->c);
}

// ---- layers -----------------------------------------------------------------------------------------

static bool begin(keras_call *call, keras_tensor *x, steps *s) {
  *x = call->in[0];
  const keras_tensor *mask = keras_tensor_argument(call, 9, "mask");
  *s = (steps){.mask = mask ? mask->ref : x->mask};
  if (x->rank != 3) return !keras_fail(call, SDX_INVALID_MODEL, NULL, "the input has rank %zu, expected 3", x->rank);
  if (keras_flag(call->config, "time_major", false))
    return !keras_fail(call, SDX_NOT_SUPPORTED, NULL, "time_major is not converted");
  if (s->mask) *x = compact(call, *x, s);
  x->mask = 0;
  return true;
}

// The states a call begins with: arguments, the state of the call before, or none (zeros).
static bool find_initial(keras_call *call, const layer_options *o, size_t count, const int64_t *units,
                         sdx_ref *initial) {
  keras_tensor given[2 * CELLS];
  size_t n = keras_tensors(call, keras_argument(call, 1, "initial_state"), given, 2 * CELLS);
  if (!n && call->in_count > 1)
    for (; n + 1 < call->in_count && n < 2 * CELLS; n++) given[n] = call->in[n + 1];
  if (n && n < count) return !keras_fail(call, SDX_INVALID_MODEL, NULL, "%zu initial states, expected %zu", n, count);
  for (size_t i = 0; i < count; i++) {
    initial[i] = n ? keras_cast(call, given[i], call->dtype).ref : 0;
    if (n || !o->stateful) continue;
    char part[30];
    keras_tensor t;
    snprintf(part, sizeof part, "state_%zu", i);
    if (!keras_add_state(call, part, 2, (int64_t[]){call->in[0].shape[0], units[i]}, &t)) return false;
    initial[i] = t.ref;
  }
  return true;
}

static void keep_states(keras_call *call, const layer_options *o, size_t count, const keras_tensor *states) {
  keras *k = call->k;
  if (o->stateful && k->state_count >= count)
    for (size_t i = 0; i < count; i++) k->states[k->state_count - count + i] = states[i];
}

static void give(keras_call *call, const layer_options *o, keras_tensor y, size_t count, const keras_tensor *states,
                 sdx_ref mask) {
  y.mask = o->sequences ? mask : 0;
  keras_give(call, y);
  for (size_t i = 0; o->state && i < count; i++) keras_give(call, states[i]);
}

// Cells on top of each other are layers on top of each other.
static void stack(keras_call *call, const layer_options *o, size_t count, const char *const *classes,
                  const json_t *const *configs, const char *const *parts) {
  keras_tensor x, states[2 * CELLS];
  steps s;
  cell *cells = arena_array(call->k->c->memory, count, sizeof *cells);
  int64_t units[2 * CELLS] = {0};
  sdx_ref initial[2 * CELLS];
  size_t n = 0;
  run_of r = {.directions = 1, .backwards = {o->backwards}};
  if (!cells) {
    convert_no_memory(call->k->c);
    return;
  }
  if (!begin(call, &x, &s)) return;
  int64_t width = x.shape[2];
  for (size_t i = 0; i < count; i++) {
    if (!read_cell(call, classes[i], configs[i], parts[i], width, &cells[i])) return;
    width = cells[i].units;
    for (size_t j = 0; j < cells[i].states; j++) units[n++] = width;
  }
  if (!find_initial(call, o, n, units, initial)) return;
  n = 0;
  for (size_t i = 0; i < count; i++) {
    r.cells = &cells[i];
    for (size_t j = 0; j < cells[i].states; j++) r.initial[0][j] = initial[n + j];
    if (!run_rnn(call,
                 count > 1 ? parts[i] + (strrchr(parts[i], '/') ? strrchr(parts[i], '/') - parts[i] + 1 : 0) : NULL, x,
                 &s, &r))
      return;
    for (size_t j = 0; j < cells[i].states; j++) states[n++] = r.states[0][j];
    x = r.y[0];
  }
  keep_states(call, o, n, states);
  keras_tensor y = r.last[0];
  if (o->sequences) {
    y = s.mask ? spread(call, x, &s, o->backwards, o->zeros) : x;
    if (o->backwards) y = keras_slice(call, y, 1, -1, INT64_MIN + 1, -1);
  }
  give(call, o, y, n, states, s.mask);
}

static void recurrent(keras_call *call) {
  layer_options o = read_options(call->config);
  const char *part = "cell";
  stack(call, &o, 1, &call->layer->class_name, &call->config, &part);
}

static void rnn(keras_call *call) {
  layer_options o = read_options(call->config);
  const json_t *one = json_object_get(call->config, "cell"), *config = json_object_get(one, "config");
  const json_t *cells = json_object_get(config, "cells"), *configs[CELLS];
  const char *classes[CELLS], *parts[CELLS];
  size_t count = cells ? json_array_size(cells) : 1;
  if (!count || count > CELLS) {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "%zu cells, expected 1 to %d", count, CELLS);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    const json_t *cell = cells ? json_array_get(cells, i) : one;
    unsigned before = 0;
    classes[i] = keras_class(cell);
    configs[i] = json_object_get(cell, "config");
    for (size_t j = 0; j < i; j++) before += !strcmp(classes[j], classes[i]);
    const char *snake = !strcmp(classes[i], "LSTMCell")  ? "lstm_cell"
                        : !strcmp(classes[i], "GRUCell") ? "gru_cell"
                                                         : "simple_rnn_cell";
    parts[i] = !cells ? "cell"
                      : arena_format(call->k->c->memory, before ? "cell/cells/%s_%u" : "cell/cells/%s", snake, before);
    if (!parts[i]) {
      convert_no_memory(call->k->c);
      return;
    }
  }
  stack(call, &o, count, classes, configs, parts);
}

static bool alike(const cell *a, const cell *b) {
  return a->op == b->op && a->units == b->units && a->bias == b->bias && a->after == b->after;
}

static void merge(keras_call *call, const layer_options *o, keras_tensor y, keras_tensor z, size_t count,
                  const keras_tensor *states, sdx_ref mask) {
  const char *mode = keras_text(call->config, "merge_mode", NULL);
  if (!mode) {
    layer_options first = *o;
    first.state = false;
    give(call, &first, y, 0, NULL, mask);
    give(call, o, z, count, states, mask);
    return;
  }
  if (!strcmp(mode, "concat")) {
    int64_t last = (int64_t)y.rank - 1;
    y.ref = keras_node(call, "Concat", "concat", SDX_REFS(y.ref, z.ref));
    sdx_graph_set_int(call->k->graph, "axis", last);
    y.shape[last] += z.shape[last];
  } else if (!strcmp(mode, "sum") || !strcmp(mode, "mul")) {
    y = keras_binary(call, *mode == 's' ? "Add" : "Mul", mode, y, z);
  } else if (!strcmp(mode, "ave")) {
    y = keras_binary(call, "Mean", "mean", y, z);
  } else {
    keras_fail(call, SDX_NOT_SUPPORTED, NULL, "merge_mode '%s' is not known", mode);
    return;
  }
  give(call, o, y, count, states, mask);
}

static void bidirectional(keras_call *call) {
  const json_t *layers[2] = {json_object_get(call->config, "layer"), json_object_get(call->config, "backward_layer")};
  if (!layers[1]) layers[1] = layers[0];
  const json_t *config = json_object_get(layers[0], "config");
  layer_options o = read_options(config);
  o.zeros = o.zeros || call->k->version < 3;  // as Keras 2 wraps layers
  keras_tensor x, y[2], states[4];
  steps s;
  cell *cells = arena_array(call->k->c->memory, 2, sizeof *cells);
  sdx_ref initial[4];
  int64_t units[4] = {0};
  size_t n = 0;
  if (!cells) {
    convert_no_memory(call->k->c);
    return;
  }
  if (!begin(call, &x, &s)) return;
  for (size_t d = 0; d < 2; d++) {
    const json_t *c = json_object_get(layers[d], "config"), *inner = json_object_get(c, "cell");
    if (!read_cell(call, keras_class(inner ? inner : layers[d]), inner ? json_object_get(inner, "config") : c,
                   d ? "backward_layer/cell" : "forward_layer/cell", x.shape[2], &cells[d]))
      return;
    for (size_t j = 0; j < cells[d].states; j++) units[n++] = cells[d].units;
  }
  if (!find_initial(call, &o, n, units, initial)) return;
  size_t half = cells[0].states;
  bool together = alike(&cells[0], &cells[1]) && !o.backwards;
  run_of runs[2] = {{.directions = together ? 2 : 1, .cells = cells, .backwards = {o.backwards}},
                    {.directions = 1, .cells = cells + 1, .backwards = {!o.backwards}}};
  for (size_t i = 0; i < n; i++) {
    if (together) runs[0].initial[i / half][i % half] = initial[i];
    else runs[i >= half].initial[0][i < half ? i : i - half] = initial[i];
  }
  for (size_t i = 0; i < (together ? 1u : 2u); i++)
    if (!run_rnn(call, together ? NULL : i ? "backward" : "forward", x, &s, &runs[i])) return;
  for (size_t d = 0; d < 2; d++) {
    const run_of *r = &runs[together ? 0 : d];
    size_t at = together ? d : 0;
    y[d] = o.sequences ? r->y[at] : r->last[at];
    if (o.sequences && s.mask) y[d] = spread(call, y[d], &s, d ? !o.backwards : o.backwards, o.zeros);
    for (size_t j = 0; j < cells[d].states; j++) states[d * half + j] = r->states[at][j];
  }
  keep_states(call, &o, n, states);
  merge(call, &o, y[0], y[1], n, states, s.mask);
}

const keras_kind keras_rnn_kinds[] = {
    {"LSTM", recurrent, KERAS_TAKES_MASK, NULL},
    {"GRU", recurrent, KERAS_TAKES_MASK, NULL},
    {"SimpleRNN", recurrent, KERAS_TAKES_MASK, NULL},
    {"RNN", rnn, KERAS_TAKES_MASK, NULL},
    {"Bidirectional", bidirectional, KERAS_TAKES_MASK, NULL},
    {0},
};
