// SPDX-License-Identifier: Apache-2.0
// Core ML's neural networks: inputs with their preprocessing, layers in the order of the file, outputs. By the older
// rule a value has five dimensions, sequence, batch, channels, height, width; here the first two are one, N, as a model
// uses one of them, and what has no height and width stays [N, C]. By the newer rule values have their own rank.
#include <string.h>

#include "convert/coreml.h"

struct coreml_net {
  coreml *m;
  str_map values;  // by name
  net_tensor *all;
  size_t count;
};

// ---- weights ----------------------------------------------------------------------------------------

static bool read_quantised(net *n, const proto *weights, str raw, net_numbers *w) {
  proto how, part;
  size_t scales, biases;
  proto_get(weights, "quantization", &how);
  int64_t bits = proto_int(&how, "numberOfBits", 0);
  if (bits < 1 || bits > 8) return !net_fail(n, SDX_INVALID_MODEL, NULL, "weights of %lld bits", (long long)bits);
  *w = (net_numbers){.at = raw.at, .coding = NET_PACKED, .bits = (unsigned)bits, .count = raw.size * 8 / (size_t)bits};
  if (proto_get(&how, "lookupTableQuantization", &part)) {
    w->table = proto_floats(&part, "floatValue", &scales);
    return scales >= (size_t)1 << bits ||
           !net_fail(n, SDX_INVALID_MODEL, NULL, "a table of %zu numbers for %lld bits", scales, (long long)bits);
  }
  if (!proto_get(&how, "linearQuantization", &part))
    return !net_fail(n, SDX_NOT_SUPPORTED, NULL, "weights are quantised in an unknown way");
  w->scale = proto_floats(&part, "scale", &scales);
  w->bias = proto_floats(&part, "bias", &biases);
  if (!scales || (biases && biases != scales))
    return !net_fail(n, SDX_INVALID_MODEL, NULL, "%zu scales and %zu biases of weights", scales, biases);
  w->scales = scales;
  w->per = w->count / scales ? w->count / scales : 1;  // until the layer knows how many weights there are
  return true;
}

bool coreml_weights(net *n, const proto *weights, net_numbers *w) {
  str half = proto_text(weights, "float16Value"), raw = proto_text(weights, "rawValue"),
      narrow = proto_text(weights, "int8RawValue");
  *w = (net_numbers){.coding = NET_F32};
  if (raw.size) return read_quantised(n, weights, raw, w);
  if (narrow.size) {
    if (!read_quantised(n, weights, narrow, w) || w->table) return false;
    w->coding = NET_I8;
    w->count = narrow.size;
    return true;
  }
  if (half.size) *w = (net_numbers){.at = half.at, .coding = NET_F16, .count = half.size / 2};
  else w->at = proto_floats(weights, "floatValue", &w->count);
  return !convert_failed(n->c);
}

bool coreml_weights_of(coreml_layer *l, const char *field, net_numbers *w) {
  proto weights;
  *w = (net_numbers){0};
  return proto_get(&l->params, field, &weights) ? coreml_weights(l->n, &weights, w) : !convert_failed(l->m->c);
}

net_tensor coreml_weight(coreml_layer *l, const char *field, size_t rank, const int64_t *shape) {
  net_numbers w;
  net_tensor product = {.rank = rank};
  if (rank > NET_RANK) return net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "weights of rank %zu", rank), (net_tensor){0};
  memcpy(product.shape, shape, rank * sizeof *shape);
  int64_t count = net_product(&product, 0, rank);
  if (!coreml_weights_of(l, field, &w)) return (net_tensor){0};
  if (w.scale) {  // of each row, or by the second dimension
    bool second = rank == 4 && w.scales > 1 && w.scales != (size_t)shape[0] && w.scales == (size_t)shape[1];
    int64_t each = second ? net_product(&product, 2, rank) : count / (int64_t)w.scales;
    if (each < 1 || (size_t)count > w.count || (size_t)count % w.scales)
      return net_fail(l->n, SDX_INVALID_MODEL, NULL, "%zu scales for %lld weights", w.scales, (long long)count),
             (net_tensor){0};
    w.per = (size_t)each;
  }
  return net_constant(l->n, field, SDX_FLOAT, rank, shape, &w, NULL);
}

// ---- ranks ------------------------------------------------------------------------------------------

net_tensor coreml_image(coreml_layer *l, net_tensor x) {
  if (x.rank == 4) return x;
  if (!l->exact) {
    for (size_t i = x.rank; i < 4; i++) x = net_unsqueeze(l->n, x, i);
    return x;
  }
  if (x.rank == 5) return net_reshape(l->n, x, 4, (int64_t[]){-1, x.shape[2], x.shape[3], x.shape[4]});
  if (x.rank == 3) return net_unsqueeze(l->n, x, 0);
  net_fail(l->n, SDX_INVALID_MODEL, NULL, "a value of shape %s, expected rank 3 to 5", net_shape_text(l->n, &x));
  return x;
}

net_tensor coreml_like_input(coreml_layer *l, net_tensor y, const net_tensor *x) {
  if (!l->exact || x->rank == 4) return y;
  if (x->rank == 5)
    return net_reshape(l->n, y, 5, (int64_t[]){x->shape[0], x->shape[1], y.shape[1], y.shape[2], y.shape[3]});
  return x->rank == 3 ? net_squeeze(l->n, y, 0) : y;
}

// ---- inputs -----------------------------------------------------------------------------------------

static net_tensor scaled(coreml *m, const proto *scaler, net_tensor x, bool bgr) {
  double scale = proto_number(scaler, "channelScale", 1), gray = proto_number(scaler, "grayBias", 0);
  double bias[] = {proto_number(scaler, bgr ? "blueBias" : "redBias", 0), proto_number(scaler, "greenBias", 0),
                   proto_number(scaler, bgr ? "redBias" : "blueBias", 0)};
  if (scale != 1) x = net_scale(&m->n, "Mul", "scale", x, scale);
  if (x.shape[1] == 3 && (bias[0] != 0 || bias[1] != 0 || bias[2] != 0))
    x = net_binary(&m->n, "Add", "bias", x, net_values(&m->n, "bias", SDX_FLOAT, 3, (int64_t[]){3, 1, 1}, bias));
  if (x.shape[1] == 1 && gray != 0) x = net_scale(&m->n, "Add", "bias", x, gray);
  return x;
}

static net_tensor without_mean(coreml *m, const proto *mean, net_tensor x) {
  net_numbers w = {.coding = NET_F32};
  w.at = proto_floats(mean, "meanImage", &w.count);
  if (x.rank != 4 || net_product(&x, 1, 4) != (int64_t)w.count) {
    net_fail(&m->n, SDX_INVALID_MODEL, NULL, "a mean image of %zu numbers for %s", w.count, net_shape_text(&m->n, &x));
    return x;
  }
  return net_binary(&m->n, "Sub", "mean", x, net_constant(&m->n, "mean", SDX_FLOAT, 3, x.shape + 1, &w, NULL));
}

static bool is_bgr(const proto *feature) {
  enum { BGR = 30 };
  proto type, image;
  return proto_get(feature, "type", &type) && proto_get(&type, "imageType", &image) &&
         proto_int(&image, "colorSpace", 0) == BGR;
}

static net_tensor preprocessed(coreml *m, const proto *network, const proto *feature, net_tensor x) {
  proto step, how;
  str name = proto_text(feature, "name");
  wire at = network->bytes;
  while (proto_each(network, &at, "preprocessing", &step)) {
    str of = proto_text(&step, "featureName");
    if (of.size && !str_equal(of, name)) continue;
    if (x.rank != 4) continue;  // of pictures only
    if (proto_get(&step, "scaler", &how)) x = scaled(m, &how, x, is_bgr(feature));
    else if (proto_get(&step, "meanImage", &how)) x = without_mean(m, &how, x);
  }
  return x;
}

static bool put_value(coreml_net *net, str name, net_tensor value) {
  if (!str_map_put(&net->values, name, (uint32_t)net->count)) return !convert_no_memory(net->m->c);
  net->all[net->count++] = value;
  return true;
}

static bool take_inputs(coreml_net *net, const proto *model, const proto *network) {
  proto description, feature;
  coreml *m = net->m;
  proto_get(model, "description", &description);
  wire at = description.bytes;
  while (proto_each(&description, &at, "input", &feature)) {
    net_tensor x;
    str name = proto_text(&feature, "name");
    if (!coreml_find(m, name, &x)) return false;
    m->n.layer = str_to_c(m->c->memory, name);
    m->n.kind = "input";
    if (!m->n.layer) return !convert_no_memory(m->c);
    x = preprocessed(m, network, &feature, net_cast(&m->n, x, SDX_FLOAT));
    if (!m->exact && x.rank == 3) x = net_unsqueeze(&m->n, x, 1);
    if (!put_value(net, name, x)) return false;
  }
  return !convert_failed(m->c);
}

// ---- layers -----------------------------------------------------------------------------------------

static const coreml_layer_kind *find_layer(const char *name) {
  static const coreml_layer_kind *const tables[] = {coreml_image_layers, coreml_value_layers, coreml_shape_layers,
                                                    coreml_rnn_layers};
  for (size_t i = 0; name && i < sizeof tables / sizeof *tables; i++)
    for (const coreml_layer_kind *kind = tables[i]; kind->name; kind++)
      if (!strcmp(kind->name, name)) return kind;
  return NULL;
}

enum { FIRST_LAYER = 100 };

// All layers that are not converted, at once.
static bool check_layers(coreml *m, const proto *network) {
  proto layer, params;
  wire at = network->bytes;
  while (proto_each(network, &at, "layers", &layer)) {
    const char *which = proto_which(&layer, FIRST_LAYER, &params);
    if (find_layer(which)) continue;
    char *place = arena_format(m->c->memory, "layer '%.*s'", STR_ARG(proto_text(&layer, "name")));
    if (which && !strcmp(which, "custom"))
      convert_fail(m->c, SDX_NOT_SUPPORTED, place, "replace it by layers of Core ML",
                   "a custom layer is code of its own");
    else if (which) convert_fail(m->c, SDX_NOT_SUPPORTED, place, NULL, "the layer '%s' is not converted", which);
    else convert_fail(m->c, SDX_NOT_SUPPORTED, place, NULL, "it is of no kind that is known");
  }
  return !convert_failed(m->c);
}

static bool find_inputs(coreml_net *net, const proto *layer, coreml_layer *l) {
  str name;
  uint32_t index;
  wire at = layer->bytes;
  while (proto_each_text(layer, &at, "input", &name)) {
    if (l->in_count == COREML_LAYER_INPUTS)
      return !net_fail(l->n, SDX_LIMIT_EXCEEDED, NULL, "more than %d inputs", COREML_LAYER_INPUTS);
    if (!str_map_find(&net->values, name, &index))
      return !net_fail(l->n, SDX_INVALID_MODEL, NULL, "its input '%.*s' is never computed", STR_ARG(name));
    l->in[l->in_count++] = net->all[index];
  }
  return true;
}

static bool keep_outputs(coreml_net *net, const proto *layer, coreml_layer *l) {
  str name;
  size_t i = 0;
  wire at = layer->bytes;
  for (; i < l->out_count && proto_each_text(layer, &at, "output", &name); i++) {
    if (!l->out[i].ref) return !net_fail(l->n, SDX_INVALID_MODEL, NULL, "it does not have that many results");
    if (!net_is_sound(l->n, &l->out[i]) || !put_value(net, name, l->out[i])) return false;
  }
  return true;
}

static bool emit_layer(coreml_net *net, const proto *layer) {
  coreml *m = net->m;
  coreml_layer l = {.m = m, .n = &m->n, .network = net, .exact = m->exact};
  const char *which = proto_which(layer, FIRST_LAYER, &l.params);
  l.kind = find_layer(which);
  m->n.layer = str_to_c(m->c->memory, proto_text(layer, "name"));
  if (!m->n.layer) return !convert_no_memory(m->c);
  if (!l.kind) return false;
  m->n.kind = l.kind->name;
  l.out_count = proto_count(layer, "output");
  if (!l.out_count || l.out_count > COREML_LAYER_INPUTS)
    return !net_fail(l.n, SDX_INVALID_MODEL, NULL, "a layer of %zu results", l.out_count);
  if (!find_inputs(net, layer, &l)) return false;
  if (!l.in_count && strncmp(l.kind->name, "loadConstant", 12) != 0 && !strstr(l.kind->name, "Static"))
    return !net_fail(l.n, SDX_INVALID_MODEL, NULL, "a layer without inputs");
  l.kind->emit(&l);
  return !convert_failed(m->c) && keep_outputs(net, layer, &l);
}

static size_t results_of(const proto *network) {
  proto layer;
  size_t count = 0;
  wire at = network->bytes;
  while (proto_each(network, &at, "layers", &layer)) count += proto_count(&layer, "output");
  return count;
}

// ---- outputs ----------------------------------------------------------------------------------------

// Scores of a classifier as rows.
static void classify(coreml_net *net, const proto *model, const proto *network) {
  coreml *m = net->m;
  coreml_classes classes;
  uint32_t index = (uint32_t)net->count - 1;
  str of = proto_text(network, "labelProbabilityLayerName");
  if (!coreml_read_classes(m, network, &classes)) return;
  if (of.size && !str_map_find(&net->values, of, &index)) {  // the name of a layer, or of what it computes
    convert_fail(m->c, SDX_INVALID_MODEL, "labelProbabilityLayerName", NULL, "'%.*s' is never computed", STR_ARG(of));
    return;
  }
  net_tensor scores = net->all[index];
  if (m->exact) scores = net_reshape(&m->n, scores, 2, (int64_t[]){-1, (int64_t)classes.count});
  else scores = net_flatten(&m->n, scores, 1);
  coreml_classified(m, model, &classes, scores, (net_tensor){0});
}

static void give_outputs(coreml_net *net, const proto *model) {
  proto description, feature;
  uint32_t index;
  proto_get(model, "description", &description);
  wire at = description.bytes;
  while (proto_each(&description, &at, "output", &feature)) {
    str name = proto_text(&feature, "name");
    if (str_map_find(&net->values, name, &index)) coreml_set(net->m, name, net->all[index]);
  }
}

static void emit_network(coreml *m, const proto *model, const proto *network) {
  proto layer, description;
  coreml_net net = {.m = m};
  str_map_init(&net.values, m->c->memory);
  proto_get(model, "description", &description);
  net.all = arena_array(m->c->memory, results_of(network) + proto_count(&description, "input") + 1, sizeof *net.all);
  if (!net.all) {
    convert_no_memory(m->c);
    return;
  }
  if (!check_layers(m, network) || !take_inputs(&net, model, network)) return;
  wire at = network->bytes;
  while (proto_each(network, &at, "layers", &layer))
    if (!emit_layer(&net, &layer)) return;
  if (convert_failed(m->c) || !net.count) return;
  m->n.layer = m->n.kind = "output";
  give_outputs(&net, model);
  if (proto_has(network, "stringClassLabels") || proto_has(network, "int64ClassLabels")) classify(&net, model, network);
}

const coreml_kind coreml_network_kinds[] = {
    {"neuralNetwork", emit_network},
    {"neuralNetworkClassifier", emit_network},
    {"neuralNetworkRegressor", emit_network},
    {0},
};
