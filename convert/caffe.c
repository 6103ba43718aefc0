// SPDX-License-Identifier: Apache-2.0
// Caffe: the net (.prototxt, or within the .caffemodel) and its weights (.caffemodel). Given one, the other is looked
// for beside it. Layers for training alone are left out; a loss with a softmax leaves the softmax. Read next: caffe.h.
#include "convert/caffe.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "convert/prototxt.h"

// ---- types ------------------------------------------------------------------------------------------

// Of version 1, by number, and of version 0.
static const char *const first_types[] = {"None",
                                          "Accuracy",
                                          "BNLL",
                                          "Concat",
                                          "Convolution",
                                          "Data",
                                          "Dropout",
                                          "EuclideanLoss",
                                          "Flatten",
                                          "HDF5Data",
                                          "HDF5Output",
                                          "Im2col",
                                          "ImageData",
                                          "InfogainLoss",
                                          "InnerProduct",
                                          "LRN",
                                          "MultinomialLogisticLoss",
                                          "Pooling",
                                          "ReLU",
                                          "Sigmoid",
                                          "Softmax",
                                          "SoftmaxWithLoss",
                                          "Split",
                                          "TanH",
                                          "WindowData",
                                          "Eltwise",
                                          "Power",
                                          "SigmoidCrossEntropyLoss",
                                          "HingeLoss",
                                          "MemoryData",
                                          "ArgMax",
                                          "Threshold",
                                          "DummyData",
                                          "Slice",
                                          "MVN",
                                          "AbsVal",
                                          "Silence",
                                          "ContrastiveLoss",
                                          "Exp",
                                          "Deconvolution"};
static const char *const old_types[][2] = {{"conv", "Convolution"},
                                           {"pool", "Pooling"},
                                           {"innerproduct", "InnerProduct"},
                                           {"relu", "ReLU"},
                                           {"lrn", "LRN"},
                                           {"dropout", "Dropout"},
                                           {"softmax", "Softmax"},
                                           {"softmax_loss", "SoftmaxWithLoss"},
                                           {"concat", "Concat"},
                                           {"padding", "Padding"},
                                           {"data", "Data"},
                                           {"images", "ImageData"},
                                           {"flatten", "Flatten"},
                                           {"sigmoid", "Sigmoid"},
                                           {"tanh", "TanH"},
                                           {"split", "Split"},
                                           {"bnll", "BNLL"},
                                           {"accuracy", "Accuracy"},
                                           {"euclidean_loss", "EuclideanLoss"},
                                           {"hdf5_data", "HDF5Data"},
                                           {"window_data", "WindowData"},
                                           {"hinge_loss", "HingeLoss"}};

static bool is_one_of(const char *type, const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!strcmp(type, list[i])) return true;
  return false;
}
#define ONE_OF(type, ...) \
  is_one_of(type, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static bool is_data(const char *type) {
  return ONE_OF(type, "Input", "Data", "ImageData", "MemoryData", "HDF5Data", "WindowData", "DummyData",
                "AnnotatedData", "VideoData");
}

// What only training and testing ask for.
static bool is_left_out(const char *type) {
  return ONE_OF(type, "Accuracy", "Silence", "HDF5Output", "EuclideanLoss", "HingeLoss", "InfogainLoss",
                "ContrastiveLoss", "MultinomialLogisticLoss", "MultiBoxLoss", "DetectionEvaluate", "SmoothL1Loss",
                "None");
}

static const caffe_kind *find_kind(const char *type) {
  static const caffe_kind *const tables[] = {caffe_window_kinds, caffe_value_kinds, caffe_shape_kinds};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    for (const caffe_kind *kind = tables[i]; kind->type; kind++)
      if (!strcmp(kind->type, type)) return kind;
  return NULL;
}

// ---- layers of all versions -------------------------------------------------------------------------

typedef struct header {
  proto message, old;
  bool is_old;
  const char *type, *name;
} header;

static bool read_header(caffe *f, const proto *message, header *h) {
  conversion *c = f->c;
  *h = (header){.message = *message, .type = "", .name = ""};
  bool later = !strcmp(message->type->name, "LayerParameter");
  if (!later) h->is_old = proto_get(message, "layer", &h->old);
  const proto *from = h->is_old ? &h->old : message;
  h->name = str_to_c(c->memory, proto_text(from, "name"));
  if (later || h->is_old) h->type = str_to_c(c->memory, proto_text(from, "type"));
  else {
    int64_t number = proto_int(message, "type", 0);
    bool known = number >= 0 && number < (int64_t)(sizeof first_types / sizeof *first_types);
    h->type = known ? first_types[number] : arena_format(c->memory, "%lld", (long long)number);
  }
  if (!h->type || !h->name) return !convert_no_memory(c);
  for (size_t i = 0; h->is_old && i < sizeof old_types / sizeof *old_types; i++)
    if (!strcmp(h->type, old_types[i][0])) h->type = old_types[i][1];
  return true;
}

// Whether a layer of a net is there when it is used.
static bool is_used(const proto *layer) {
  enum { TEST = 1 };
  proto rule;
  bool any = false, in = false;
  wire at = layer->bytes;
  while (proto_each(layer, &at, "include", &rule)) {
    any = true;
    in = in || !proto_has(&rule, "phase") || proto_int(&rule, "phase", 0) == TEST;
  }
  at = layer->bytes;
  while (proto_each(layer, &at, "exclude", &rule))
    if (proto_has(&rule, "phase") && proto_int(&rule, "phase", 0) == TEST) return false;
  return in || !any;
}

// A walk over the layers of a net.
typedef struct layers {
  const proto *net;
  const char *list;
  wire at;
} layers;

static layers layers_of(const proto *net) {
  return (layers){net, proto_has(net, "layer") ? "layer" : "layers", net->bytes};
}

// The next that is used.
static bool next_layer(caffe *f, layers *l, header *h) {
  proto layer;
  while (proto_each(l->net, &l->at, l->list, &layer))
    if (is_used(&layer)) return read_header(f, &layer, h);
  return false;
}

// ---- weights ----------------------------------------------------------------------------------------

static bool index_weights(caffe *f) {
  header h;
  size_t room = proto_count(&f->weights, "layer") + proto_count(&f->weights, "layers");
  str_map_init(&f->weights_of, f->c->memory);
  f->with_blobs = arena_array(f->c->memory, room + 1, sizeof *f->with_blobs);
  if (!f->with_blobs) return !convert_no_memory(f->c);
  layers all = layers_of(&f->weights);
  while (next_layer(f, &all, &h)) {
    const proto *with = h.is_old && proto_has(&h.old, "blobs") ? &h.old : &h.message;
    if (!proto_has(with, "blobs")) continue;
    f->with_blobs[f->with_blobs_count] = *with;
    if (!str_map_put(&f->weights_of, str_from(h.name), (uint32_t)f->with_blobs_count++))
      return !convert_no_memory(f->c);
  }
  return !convert_failed(f->c);
}

static const proto *blobs_of(const caffe *f, const char *layer) {
  uint32_t index;
  return str_map_find(&f->weights_of, str_from(layer), &index) ? &f->with_blobs[index] : NULL;
}

static size_t count_blobs(const caffe_layer *l) {
  const proto *with = blobs_of(l->f, l->n->layer);
  return with ? proto_count(with, "blobs") : 0;
}

bool caffe_blob(caffe_layer *l, size_t index, net_numbers *w, net_tensor *shape) {
  proto blob, dims;
  const proto *with = blobs_of(l->f, l->n->layer);
  size_t i = 0;
  bool found = false;
  for (wire at = with ? with->bytes : (wire){0}; with && !found && proto_each(with, &at, "blobs", &blob); i++)
    found = i == index;
  if (!found)
    return !net_fail(l->n, SDX_INVALID_MODEL, l->f->has_weights ? NULL : "put the .caffemodel beside the .prototxt",
                     "it has no blob %zu in the weights", index);
  *w = (net_numbers){.coding = NET_F32};
  w->at = proto_floats(&blob, "data", &w->count);
  if (!w->count) {
    w->coding = NET_F64;
    w->at = proto_doubles(&blob, "double_data", &w->count);
  }
  *shape = (net_tensor){.rank = 4};
  if (proto_get(&blob, "shape", &dims)) {
    shape->rank = proto_ints(&dims, "dim", NET_RANK, shape->shape);
  } else {
    static const char *const older[] = {"num", "channels", "height", "width"};
    for (size_t d = 0; d < 4; d++) shape->shape[d] = proto_int(&blob, older[d], 1);
  }
  return shape->rank <= NET_RANK && !convert_failed(l->f->c);
}

net_tensor caffe_weight(caffe_layer *l, size_t index, const char *part, size_t rank, const int64_t *shape) {
  net_numbers w;
  net_tensor as_stored;
  if (!caffe_blob(l, index, &w, &as_stored)) return (net_tensor){0};
  return net_constant(l->n, part, SDX_FLOAT, rank, shape, &w, NULL);
}

proto caffe_params(const caffe_layer *l) {
  proto p;
  if (l->is_old) return l->old;
  proto_get(&l->message, l->kind->param ? l->kind->param : "", &p);
  return p;
}

bool caffe_axis(caffe_layer *l, const proto *p, const char *name, const char *older, size_t *axis) {
  int64_t at = proto_int(p, name, older ? proto_int(p, older, 1) : 1);
  return net_axis(l->n, &l->in[0], at, axis);
}

// ---- values -----------------------------------------------------------------------------------------

static bool put_value(caffe *f, str name, net_tensor value) {
  if (!str_map_put(&f->names, name, (uint32_t)f->value_count)) return !convert_no_memory(f->c);
  f->values[f->value_count++] = value;
  return true;
}

// Shape of an input that does not tell it, by the first layer that reads it.
static void shape_by_reader(caffe *f, str name, net_tensor *x) {
  header h;
  str bottom;
  layers all = layers_of(&f->net);
  while (next_layer(f, &all, &h)) {
    caffe_layer l = {.f = f, .n = &f->n, .message = h.message, .old = h.old, .is_old = h.is_old};
    net_numbers w;
    net_tensor shape;
    wire in = h.message.bytes;
    if (!proto_each_text(&h.message, &in, "bottom", &bottom) || !str_equal(bottom, name)) continue;
    f->n.layer = h.name;
    if (!strcmp(h.type, "Convolution") && count_blobs(&l) && caffe_blob(&l, 0, &w, &shape) && shape.rank == 4) {
      static const caffe_kind conv = {.param = "convolution_param"};
      l.kind = &conv;
      proto p = caffe_params(&l);
      x->shape[1] = wrap_mul(shape.shape[1], proto_int(&p, "group", 1));
      if (x->shape[1] > INT32_MAX || x->shape[1] < 1) x->shape[1] = -1;
      return;
    }
  }
}

static bool add_input(caffe *f, str name, net_tensor x) {
  char *label = str_to_c(f->c->memory, name);
  if (!label) return !convert_no_memory(f->c);
  if (!x.rank) {
    if (++f->untold > CAFFE_VALUES)
      return !convert_fail(f->c, SDX_LIMIT_EXCEEDED, label, NULL, "more than %d inputs whose shapes are not told",
                           CAFFE_VALUES);
    x = (net_tensor){.rank = 4, .shape = {-1, -1, -1, -1}};
    shape_by_reader(f, name, &x);
    convert_note(f->c, "the shape of the input '%s' is not told: its height and width are left free", label);
  }
  x.dtype = SDX_FLOAT;
  x.shape[0] = -1;
  for (size_t i = 0; i < x.rank; i++)
    if (x.shape[i] < 1 || x.shape[i] > INT32_MAX) x.shape[i] = -1;
  x = net_input(&f->n, label, x, true);
  if (!f->first.ref) f->first = x;
  return put_value(f, name, x);
}

// Those that stand before the layers, four dimensions each or a shape.
static bool add_named_inputs(caffe *f) {
  proto shape;
  str name;
  size_t count;
  const int64_t *dims = proto_all_ints(&f->net, "input_dim", &count);
  wire at = f->net.bytes, shapes = f->net.bytes;
  for (size_t i = 0; proto_each_text(&f->net, &at, "input", &name); i++) {
    net_tensor x = {0};
    if (proto_each(&f->net, &shapes, "input_shape", &shape)) x.rank = proto_ints(&shape, "dim", NET_RANK, x.shape);
    else if (count >= 4 * i + 4)
      for (; x.rank < 4; x.rank++) x.shape[x.rank] = dims[4 * i + x.rank];
    if (x.rank > NET_RANK)
      return !convert_fail(f->c, SDX_INVALID_MODEL, "input", NULL, "an input of %zu dimensions", x.rank);
    if (!add_input(f, name, x)) return false;
  }
  return !convert_failed(f->c);
}

// The shape of what a layer gives that has numbers for it instead.
static void shape_by_sizes(const proto *p, net_tensor *x) {
  static const char *const sizes[] = {"channels", "height", "width"};
  for (size_t i = 0; i < 3; i++)
    if (!proto_ints(p, sizes[i], 1, &x->shape[1 + i])) return;
  x->rank = 4;
}

// The first result of a layer that gives data; labels are left out.
static bool add_data(caffe *f, const header *h) {
  proto p, shape;
  str name;
  wire tops = h->message.bytes;
  bool input = !strcmp(h->type, "Input"), memory = !strcmp(h->type, "MemoryData");
  proto_get(&h->message, input ? "input_param" : memory ? "memory_data_param" : "dummy_data_param", &p);
  wire at = p.bytes;
  while (proto_each_text(&h->message, &tops, "top", &name)) {
    net_tensor x = {0};
    if (proto_each(&p, &at, "shape", &shape)) x.rank = proto_ints(&shape, "dim", NET_RANK, x.shape);
    else if (!input) shape_by_sizes(&p, &x);
    if (x.rank > NET_RANK)
      return !convert_fail(f->c, SDX_INVALID_MODEL, h->name, NULL, "an input of %zu dimensions", x.rank);
    if (!str_map_find(&f->names, name, NULL) && !add_input(f, name, x)) return false;
    if (!input) break;
  }
  return !convert_failed(f->c);
}

// ---- the walk ---------------------------------------------------------------------------------------

// All layers that are not converted, at once.
static bool check_layers(caffe *f) {
  header h;
  layers all = layers_of(&f->net);
  while (next_layer(f, &all, &h)) {
    if (is_data(h.type) || is_left_out(h.type) || find_kind(h.type)) continue;
    char *place = arena_format(f->c->memory, "layer '%.150s'", h.name);
    convert_fail(f->c, SDX_NOT_SUPPORTED, place, "custom layers are code of their own: replace it by others",
                 "the layer type '%.80s' is not converted", h.type);
  }
  return !convert_failed(f->c);
}

// Results that no layer reads, in the order of the layers, are those of the net.
static str *find_outputs(caffe *f, size_t room, size_t *count) {
  header h;
  str name;
  size_t k = 0;
  str *all = arena_array(f->c->memory, room + 1, sizeof *all);
  str_map read, listed;
  str_map_init(&read, f->c->memory);
  str_map_init(&listed, f->c->memory);
  *count = 0;
  if (!all) return convert_no_memory(f->c), NULL;
  layers each = layers_of(&f->net);
  while (next_layer(f, &each, &h)) {
    if (is_left_out(h.type) || is_data(h.type)) continue;
    wire in = h.message.bytes, out = h.message.bytes;
    bool loss = strstr(h.type, "Loss") != NULL;
    for (size_t i = 0; proto_each_text(&h.message, &in, "bottom", &name); i++)
      if (!loss || !i) str_map_put(&read, name, 1);
    while (proto_each_text(&h.message, &out, "top", &name)) {
      if (!str_map_find(&listed, name, NULL) && k < room) all[k++] = name;
      if (!str_map_put(&read, name, 0) || !str_map_put(&listed, name, 1)) return convert_no_memory(f->c), NULL;
    }
  }
  for (size_t i = 0; i < k; i++) {
    uint32_t seen = 1;
    if (str_map_find(&read, all[i], &seen) && !seen) all[(*count)++] = all[i];
  }
  return all;
}

static bool find_inputs(caffe *f, const header *h, caffe_layer *l) {
  str name;
  uint32_t index;
  bool loss = strstr(h->type, "Loss") != NULL;
  wire at = h->message.bytes;
  while ((!loss || !l->in_count) && proto_each_text(&h->message, &at, "bottom", &name)) {
    if (l->in_count == CAFFE_VALUES)
      return !net_fail(l->n, SDX_LIMIT_EXCEEDED, NULL, "more than %d inputs", CAFFE_VALUES);
    if (!str_map_find(&f->names, name, &index))
      return !net_fail(l->n, SDX_INVALID_MODEL, NULL, "its input '%.*s' is never computed", STR_ARG(name));
    l->in[l->in_count++] = f->values[index];
  }
  return l->in_count || !net_fail(l->n, SDX_INVALID_MODEL, NULL, "a layer without inputs");
}

static bool emit_layer(caffe *f, const header *h) {
  caffe_layer l = {
      .f = f, .n = &f->n, .message = h->message, .old = h->old, .is_old = h->is_old, .kind = find_kind(h->type)};
  str name;
  f->n.layer = h->name;
  f->n.kind = h->type;
  l.out_count = proto_count(&h->message, "top");
  if (!l.out_count || l.out_count > CAFFE_VALUES)
    return !net_fail(l.n, SDX_INVALID_MODEL, NULL, "a layer of %zu results", l.out_count);
  if (!l.kind || !find_inputs(f, h, &l)) return false;
  l.kind->emit(&l);
  wire at = h->message.bytes;
  for (size_t i = 0; !convert_failed(f->c) && i < l.out_count && proto_each_text(&h->message, &at, "top", &name); i++) {
    if (!l.out[i].ref) {
      if (i) continue;  // what nobody reads may be missing
      return !net_fail(l.n, SDX_INVALID_MODEL, NULL, "it gives nothing");
    }
    if (!net_is_sound(l.n, &l.out[i]) || !put_value(f, name, l.out[i])) return false;
  }
  return !convert_failed(f->c);
}

static void add_outputs(caffe *f, size_t count, const str *names) {
  uint32_t index;
  for (size_t i = 0; i < count && !convert_failed(f->c); i++) {
    char *label = str_to_c(f->c->memory, names[i]);
    if (label && str_map_find(&f->names, names[i], &index)) net_output(&f->n, label, f->values[index]);
  }
}

static sdx_status convert_net(caffe *f) {
  header h;
  str name;
  size_t room = 0, count;
  layers all = layers_of(&f->net);
  while (next_layer(f, &all, &h)) room += proto_count(&h.message, "top");
  room += proto_count(&f->net, "input");
  f->values = arena_array(f->c->memory, room + 1, sizeof *f->values);
  if (!f->values) return convert_no_memory(f->c);
  if (!room && !convert_failed(f->c))
    return convert_fail(f->c, SDX_INVALID_MODEL, f->c->source->path, NULL, "it has no layers");
  if (!index_weights(f) || !check_layers(f)) return SDX_NOT_SUPPORTED;
  str *outputs = find_outputs(f, room, &count);
  for (size_t i = 0; outputs && i < count; i++) net_reserve(&f->n, outputs[i]);
  if (!outputs || !add_named_inputs(f)) return SDX_INVALID_MODEL;
  all = layers_of(&f->net);
  while (next_layer(f, &all, &h))
    if (is_data(h.type) ? !add_data(f, &h) : !is_left_out(h.type) && !emit_layer(f, &h)) return SDX_INVALID_MODEL;
  if (!convert_failed(f->c)) add_outputs(f, count, outputs);
  name = proto_text(&f->net, "name");
  char *label = name.size ? str_to_c(f->c->memory, name) : NULL;
  if (label) sdx_builder_describe(f->c->builder, "graph_name", label);
  return f->c->f->status;
}

// ---- the files --------------------------------------------------------------------------------------

// The file beside with this ending: of the same name, or one for deployment, or, if it may be any, the only one. NULL:
// there is none.
static char *find_beside(arena *memory, const char *path, const char *end, bool any) {
  const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
  char *folder = arena_format(memory, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
  char *same =
      arena_format(memory, "%.*s%s",
                   dot && dot > path && (!slash || dot > slash) ? (int)(dot - path) : (int)strlen(path), path, end);
  if (!folder || !same) return NULL;
  if (!access(same, R_OK)) return same;
  DIR *d = access(path, R_OK) ? NULL : opendir(*folder ? folder : "/");
  char *found = NULL;
  unsigned seen = 0;
  for (struct dirent *e; d && (e = readdir(d));) {
    size_t size = strlen(e->d_name), length = strlen(end);
    if (size <= length || strcmp(e->d_name + size - length, end) != 0) continue;
    bool deploy = !strncmp(e->d_name, "deploy", 6);
    if (!deploy && (!any || seen++)) continue;
    found = arena_format(memory, "%s/%s", folder, e->d_name);
    if (deploy) seen = 0;
  }
  if (d) closedir(d);
  return seen <= 1 ? found : NULL;
}

static bool is_text(str bytes) {
  for (size_t i = 0; i < bytes.size && i < 4096; i++)
    if ((unsigned char)bytes.at[i] < ' ' && !strchr("\t\n\r\f", bytes.at[i])) return false;
  return bytes.size > 0;
}

static char *beside(const source *s, arena *memory) {
  bool text = is_text((str){s->head, s->head_size});
  return find_beside(memory, s->path, text ? ".caffemodel" : ".prototxt", text);
}

static bool open_text(caffe *f, const char *path, str text, proto *net) {
  str bytes;
  return prototxt_read(f->c, path, text, &caffe_net_type, &bytes) &&
         proto_open(f->c, &caffe_net_type, wire_of(bytes.at, bytes.size), net);
}

static bool open_binary(caffe *f, str bytes, proto *net) {
  return proto_open(f->c, &caffe_net_type, wire_of(bytes.at, bytes.size), net);
}

static sdx_status convert(conversion *c) {
  caffe *f = arena_array(c->memory, 1, sizeof *f);
  if (!f) return convert_no_memory(c);
  f->c = c;
  net_init(&f->n, c);
  str_map_init(&f->names, c->memory);
  SDX_TRY(source_load(c->source, NULL, NULL, c->f));
  if (sdx_builder_opset(c->builder, "") < 13)
    return convert_fail(c, SDX_NOT_SUPPORTED, NULL, "--opset 13 or newer", "Caffe's layers need opset 13");
  str bytes = {c->source->bytes, (size_t)c->source->size}, other = {0};
  bool text = is_text(bytes);
  char *path = beside(c->source, c->memory);
  if (path) SDX_TRY(convert_read(c, AT_FDCWD, path, (size_t)1 << 40, &other));
  bool good = text ? open_text(f, c->source->path, bytes, &f->net) : open_binary(f, bytes, &f->weights);
  if (good && path) good = text ? open_binary(f, other, &f->weights) : open_text(f, path, other, &f->net);
  if (!good) return SDX_INVALID_MODEL;
  if (path) convert_note(c, "%s is read, too", path);
  else if (text) f->weights = f->net;
  else f->net = f->weights;
  f->has_weights = path || !text;
  convert_made_by(c, "Caffe");
  return convert_net(f);
}

static const char reference[] =
    "def predict(path, inputs):\n"
    "    import cv2, glob, os\n"
    "    stem, folder = os.path.splitext(path)[0], os.path.dirname(path) or '.'\n"
    "    def find(end):\n"
    "        return stem + end if os.path.exists(stem + end) else glob.glob(folder + '/*' + end)[0]\n"
    "    net = cv2.dnn.readNetFromCaffe(find('.prototxt'), find('.caffemodel'))\n"
    "    for name, value in inputs.items():\n"
    "        net.setInput(value, name)\n"
    "    names = net.getUnconnectedOutLayersNames()\n"
    "    return dict(zip(names, net.forward(names)))\n";

CONVERT_FORMAT(caffe) = {
    .name = "caffe",
    .title = "Caffe",
    .files = "net (.prototxt) with its weights beside it, or weights with their net (.caffemodel)",
    .kinds = CONVERT_KINDS("caffe-prototxt", "caffemodel"),
    .convert = convert,
    .beside = beside,
    .reference = reference,
};
