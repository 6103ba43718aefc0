// SPDX-License-Identifier: Apache-2.0
// ConvLSTM: the convolution of the inputs for all steps at once, then a Scan over the steps with that of the state.
#include <string.h>

#include "convert/keras.h"

enum { GATES = 4 };  // i f c o

typedef struct conv_lstm {
  node_window window;  // over the inputs; that over the state is of steps of 1
  int64_t filters;
  bool first, sequences, state, backwards;
  sdx_ref w, r, b;
} conv_lstm;

static bool read_options(keras_call *call, conv_lstm *l) {
  const json_t *c = call->config;
  *l = (conv_lstm){
      .window = {.n = (size_t)(*call->emit_kind->op - '0'), .same = !strcmp(keras_text(c, "padding", "valid"), "same")},
      .filters = keras_int(c, "filters", -1),
      .first = keras_channels_first(call),
      .sequences = keras_flag(c, "return_sequences", false),
      .state = keras_flag(c, "return_state", false),
      .backwards = keras_flag(c, "go_backwards", false)};
  if (call->in[0].rank != l->window.n + 3)
    return !keras_fail(call, SDX_INVALID_MODEL, NULL, "the input has rank %zu, expected %zu", call->in[0].rank,
                       l->window.n + 3);
  if (keras_flag(c, "stateful", false) || call->in[0].mask || call->in_count > 1 ||
      keras_tensor_argument(call, 1, "initial_state"))
    return !keras_fail(call, SDX_NOT_SUPPORTED, NULL, "masks, initial states and states kept between calls");
  for (size_t i = 0; i < call->in[0].rank; i++)
    if (i > 0 && call->in[0].shape[i] < 0)
      return !keras_fail(call, SDX_NOT_SUPPORTED, "give the input a fixed shape", "dimension %zu is not known", i);
  return keras_ints(call, "kernel_size", l->window.n, -1, l->window.kernel) &&
         keras_ints(call, "strides", l->window.n, 1, l->window.stride) &&
         keras_ints(call, "dilation_rate", l->window.n, 1, l->window.dilation);
}

static sdx_ref kernel(keras_call *call, const conv_lstm *l, unsigned index, const char *name, int64_t channels) {
  hdf5_array w;
  int64_t shape[5], order[5] = {(int64_t)l->window.n + 1, (int64_t)l->window.n};
  memcpy(shape, l->window.kernel, sizeof l->window.kernel);
  shape[l->window.n] = channels, shape[l->window.n + 1] = GATES * l->filters;
  for (size_t i = 0; i < l->window.n; i++) order[i + 2] = (int64_t)i;
  if (!keras_weight(call, "cell", index, &w) || !keras_expect(call, name, &w, l->window.n + 2, shape)) return 0;
  return keras_constant(call, name, call->dtype, &w, order);
}

// Sets pads so that nothing, or what "same" adds, lies around; the sizes that come out go to shape.
static sdx_ref convolve(keras_call *call, const conv_lstm *l, const char *part, sdx_ref x, sdx_ref w, sdx_ref b,
                        bool of_state, int64_t *shape) {
  node_window window = l->window;
  window.same = window.same || of_state;
  for (size_t i = 0; of_state && i < window.n; i++) window.stride[i] = window.dilation[i] = 1;
  x = keras_node(call, "Conv", part, b ? 3 : 2, (sdx_ref[]){x, w, b});
  node_set_window(call->k->c, &window, shape, NULL, true);
  for (size_t i = 0; i < window.n; i++) shape[i] = node_windows(&window, i, shape[i]);
  return x;
}

static keras_tensor gate(keras_call *call, keras_tensor all, const conv_lstm *l, int64_t index) {
  return keras_slice(call, all, 1, index * l->filters, (index + 1) * l->filters, 1);
}

// One step, in a graph of its own: h and c of the step before, what the input convolves to; h, c, h.
static void add_body(keras_call *call, const conv_lstm *l, keras_tensor x, keras_tensor state) {
  keras *k = call->k;
  sdx_graph *outer = k->graph, *body = k->graph = k->c->graph = sdx_graph_create(outer);
  const json_t *inner = json_object_get(call->config, "recurrent_activation");
  int64_t shape[3];
  char name[3][12] = {"h", "c", "x"};
  keras_tensor t[3] = {state, state, x};
  for (int i = 0; i < 3; i++) {
    char *full = arena_format(k->c->memory, "%s/step_%s", call->layer->name, name[i]);
    t[i].ref = sdx_graph_add_input(body, &(sdx_io){.name = full, .dtype = call->dtype});
  }
  memcpy(shape, state.shape + 2, sizeof shape);
  keras_tensor z = x;
  sdx_ref from_state = convolve(call, l, "recurrent", t[0].ref, l->r, 0, true, shape);
  z.ref = keras_node(call, "Add", "gates", SDX_REFS(t[2].ref, from_state));
  keras_tensor i = keras_activate(call, gate(call, z, l, 0), inner, "recurrent_activation");
  keras_tensor f = keras_activate(call, gate(call, z, l, 1), inner, "recurrent_activation");
  keras_tensor new = keras_activated(call, gate(call, z, l, 2), "activation");
  keras_tensor o = keras_activate(call, gate(call, z, l, 3), inner, "recurrent_activation");
  keras_tensor c = keras_binary(call, "Add", "cell", keras_binary(call, "Mul", "kept", f, t[1]),
                                keras_binary(call, "Mul", "taken", i, new));
  keras_tensor h = keras_binary(call, "Mul", "state", o, keras_activated(call, c, "activation"));
  sdx_ref copy = keras_node(call, "Identity", "result", SDX_REFS(h.ref)), out[] = {h.ref, c.ref, copy};
  for (int n = 0; n < 3; n++)
    sdx_graph_add_output(body, out[n], &(sdx_io){.name = sdx_graph_name(body, out[n]), .dtype = call->dtype});
  k->graph = k->c->graph = outer;
  sdx_graph_set_graph(outer, "body", body);
}

static keras_tensor leave(keras_call *call, const conv_lstm *l, keras_tensor y, size_t channels) {
  int64_t order[KERAS_RANK];
  size_t n = 0;
  if (l->first) return y;
  for (size_t i = 0; i < y.rank; i++)
    if (i != channels) order[n++] = (int64_t)i;
  order[n] = (int64_t)channels;
  return keras_transpose(call, y, order);
}

static void conv_lstm_layer(keras_call *call) {
  conv_lstm l;
  sdx_graph *g = call->k->graph;
  if (!read_options(call, &l)) return;
  keras_tensor x = call->in[0], state = x, steps;
  size_t rank = x.rank;
  int64_t to_steps[6] = {1, 0, 2, 3, 4, 5}, spec[6] = {-1}, sizes[3];
  if (!l.first) {
    to_steps[2] = (int64_t)rank - 1;
    for (size_t i = 3; i < rank; i++) to_steps[i] = (int64_t)i - 1;
  }
  x = keras_transpose(call, x, to_steps);  // [steps, batch, channels, space...]
  int64_t channels = x.shape[2];
  l.w = kernel(call, &l, 0, "kernel", channels);
  l.r = l.w ? kernel(call, &l, 1, "recurrent_kernel", l.filters) : 0;
  if (!l.r || l.filters < 1) return;
  if (keras_flag(call->config, "use_bias", true)) {
    int64_t all = GATES * l.filters;
    if (!(l.b = keras_next(call, "cell", 2, "bias", 1, &all))) return;
  }
  for (size_t i = 0; i < l.window.n; i++) {
    sizes[i] = x.shape[i + 3];
    if (l.window.stride[i] && l.window.dilation[i] && l.window.kernel[i]) continue;
    keras_fail(call, SDX_INVALID_MODEL, NULL, "kernel_size, strides or dilation_rate are 0");
    return;
  }
  for (size_t i = 1; i < rank - 1; i++) spec[i] = x.shape[i + 1];
  sdx_ref head = keras_shape(call, x, 0, 2);
  steps = keras_reshape(call, x, rank - 1, spec, spec);
  steps.ref = convolve(call, &l, "input", steps.ref, l.w, l.b, false, sizes);
  sdx_ref tail = keras_shape(call, steps, 1, INT32_MAX);
  x.ref =
      keras_node(call, "Reshape", "steps", SDX_REFS(steps.ref, node_concat(call->k->c, NULL, 0, SDX_REFS(head, tail))));
  x.shape[2] = GATES * l.filters;
  memcpy(x.shape + 3, sizes, l.window.n * sizeof *sizes);
  state.rank = rank - 1;
  state.shape[1] = l.filters;
  memcpy(state.shape + 2, sizes, l.window.n * sizeof *sizes);
  sdx_ref batch = keras_shape(call, x, 1, 2), rest = sdx_graph_add_ints(g, l.window.n + 1, state.shape + 1);
  sdx_ref zero = sdx_graph_add_scalar(g, x.dtype, 0);
  state.ref =
      keras_node(call, "Expand", "zeros", SDX_REFS(zero, node_concat(call->k->c, NULL, 0, SDX_REFS(batch, rest))));
  keras_tensor one = x;
  one.rank--;
  memmove(one.shape, x.shape + 1, one.rank * sizeof *one.shape);
  keras_tensor h = keras_like(state, keras_node(call, "Scan", NULL, SDX_REFS(state.ref, state.ref, x.ref)));
  sdx_graph_set_int(g, "num_scan_inputs", 1);
  if (l.backwards) sdx_graph_set_ints(g, "scan_input_directions", 1, (int64_t[]){1});
  keras_tensor c = keras_like(state, sdx_graph_add_node_output(g)), y = x;
  y.ref = sdx_graph_add_node_output(g);
  y.shape[2] = l.filters;
  add_body(call, &l, one, state);
  int64_t back[6] = {1, 0, 2, 3, 4, 5};
  keras_give(call, l.sequences ? leave(call, &l, keras_transpose(call, y, back), 2) : leave(call, &l, h, 1));
  if (!l.state) return;
  keras_give(call, leave(call, &l, h, 1));
  keras_give(call, leave(call, &l, c, 1));
}

const keras_kind keras_conv_lstm_kinds[] = {
    {"ConvLSTM1D", conv_lstm_layer, 0, "1"},
    {"ConvLSTM2D", conv_lstm_layer, 0, "2"},
    {"ConvLSTM3D", conv_lstm_layer, 0, "3"},
    {0},
};
