// SPDX-License-Identifier: Apache-2.0
// TensorFlow: a frozen graph, or a SavedModel with the signature that is to be served. Its inputs and outputs get the
// names of the signature; of a graph without one, all placeholders that are needed and all results that nobody reads.
// Read next: tensorflow.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/prototxt.h"
#include "convert/tensorflow_proto.h"
#include "support/files.h"

enum { MOST_ENDS = 4096, OPSET = 20, LEAST_OPSET = 13 };

// ---- kinds of operators -----------------------------------------------------------------------------

static const tf_kind *const tables[] = {
    tf_source_kinds, tf_variable_kinds, tf_math_kinds, tf_reduce_kinds, tf_shape_kinds, tf_slice_kinds, tf_conv_kinds,
    tf_image_kinds,  tf_control_kinds,  tf_loop_kinds, tf_list_kinds,   tf_text_kinds,  tf_detect_kinds};
enum { TABLES = sizeof tables / sizeof *tables, MOST_ROWS = 1 << 12 };

const tf_kind *tf_kind_at(uint32_t row) { return &tables[row / MOST_ROWS][row % MOST_ROWS]; }

static bool operator_at(size_t index, const char **name, const char **becomes) {
  for (size_t i = 0; i < TABLES; i++)
    for (const tf_kind *kind = tables[i]; kind->name; kind++) {
      if (*kind->name == '_' || index--) continue;
      bool named = kind->op && kind->op[0] >= 'A' && kind->op[0] <= 'Z' && kind->op[1] >= 'a';
      *name = kind->name;
      *becomes = named                     ? kind->op
                 : kind->flags & TF_PASSES ? "(its input)"
                 : kind->flags & TF_CALLS  ? "(the nodes of its function)"
                 : kind->flags & TF_BORDER ? "(an input of the model)"
                                           : "several nodes, or a constant";
      return true;
    }
  return false;
}

static bool index_kinds(tf *t) {
  str_map_init(&t->kinds, t->c->memory);
  for (uint32_t i = 0; i < TABLES; i++)
    for (uint32_t j = 0; tables[i][j].name; j++)
      if (!str_map_put(&t->kinds, str_from(tables[i][j].name), i * MOST_ROWS + j)) return !convert_no_memory(t->c);
  return true;
}

static bool is_placeholder(const tf_node *node) {
  return str_is(node->op, "Placeholder") || str_is(node->op, "PlaceholderV2");
}

// ---- inputs and outputs -----------------------------------------------------------------------------

static sdx_io io_of(conversion *c, const tf_value *x, const char *name, const char **symbols, bool input) {
  for (int i = 0; i < x->rank; i++)
    symbols[i] = x->shape[i] >= 0 || !(input || !i) ? NULL : i ? arena_format(c->memory, "%s_%d", name, i) : "N";
  return (sdx_io){.name = name,
                  .dtype = x->dtype,
                  .has_shape = x->rank >= 0,
                  .rank = x->rank < 0 ? 0 : (size_t)x->rank,
                  .shape = x->shape,
                  .symbols = symbols};
}

// ---- a graph without a signature --------------------------------------------------------------------

// What is there for training, saving and reporting only.
static bool is_aside(const tf_node *node) {
  static const char *const parts[] = {"Summary", "Save", "Restore",          "Assign",
                                      "Assert",  "NoOp", "VarIsInitialized", "IsVariableInitialized"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (memmem(node->op.at, node->op.size, parts[i], strlen(parts[i]))) return true;
  return str_is(node->op, "Const") || str_is(node->op, "VarHandleOp") || str_is(node->op, "VariableV2") ||
         is_placeholder(node);
}

// All of its results, where they have names.
static void add_head(tf_interface *io, const tf_node *node, arena *memory) {
  size_t count = 1;
  for (const char *at = node->kind ? node->kind->outputs : NULL; at && (at = strchr(at, ',')); at++) count++;
  if (memmem(node->op.at, node->op.size, "BatchNorm", 9)) count = 1;  // the others are what went in
  for (size_t i = 0; i < count && io->out_count < MOST_ENDS; i++) {
    char *name = i ? arena_format(memory, "%.*s:%zu", STR_ARG(node->name), i) : str_to_c(memory, node->name);
    if (name) io->out[io->out_count++] = (tf_served){str_from(name), str_from(name)};
  }
}

// The side of a condition or loop, which nodes wait for.
static bool is_pivot(tf_scope *scope, const tf_node *node) {
  tf_end end;
  return str_is(node->op, "Identity") && node->input_count && tf_end_of(scope, node->inputs[0], &end) &&
         str_is(scope->graph->nodes[end.node].op, "Switch");
}

static bool find_heads(tf *t, tf_scope *scope, tf_interface *io) {
  const tf_graph *g = &t->main;
  bool *read = arena_array(t->c->memory, g->count + 1, sizeof *read);
  io->out = arena_array(t->c->memory, MOST_ENDS, sizeof *io->out);
  if (!read || !io->out) return !convert_no_memory(t->c);
  for (size_t i = 0; i < g->count; i++)
    for (size_t j = 0; j < g->nodes[i].input_count; j++) {
      tf_end end;
      if (!tf_end_of(scope, g->nodes[i].inputs[j], &end)) return false;
      read[end.node] = read[end.node] || !str_is(g->nodes[i].op, "Assert");
    }
  for (size_t i = 0; i < g->count; i++)
    if (!read[i] && !is_aside(&g->nodes[i]) && !is_pivot(scope, &g->nodes[i])) add_head(io, &g->nodes[i], t->c->memory);
  if (io->out_count) return true;
  return !convert_fail(t->c, SDX_INVALID_MODEL, "graph", NULL, "none of its %zu nodes gives a result", g->count);
}

static bool find_placeholders(tf *t, tf_interface *io) {
  io->in = arena_array(t->c->memory, t->main.count + 1, sizeof *io->in);
  if (!io->in) return !convert_no_memory(t->c);
  for (size_t i = 0; i < t->main.count; i++) {
    const tf_node *node = &t->main.nodes[i];
    if (!t->reached[i]) continue;
    if (is_placeholder(node)) io->in[io->in_count++] = (tf_served){node->name, node->name};
    if (str_is(node->op, "PlaceholderWithDefault"))
      convert_note(t->c, "placeholder '%.*s' keeps its default: it is no input", STR_ARG(node->name));
  }
  return true;
}

static bool is_constant(tf *t, tf_scope *scope, str name) {
  tf_end end;
  return tf_end_of(scope, name, &end) && tf_resolve(t, &end) && str_is(end.scope->graph->nodes[end.node].op, "Const");
}

// A placeholder that does not say its rank has the one that its readers want.
static int rank_by_use(tf *t, tf_scope *scope, size_t placeholder) {
  static const struct {
    const char *op;
    int rank;
  } wanted[] = {
      {"Conv2D", 4},         {"DepthwiseConv2dNative", 4}, {"MaxPool", 4}, {"AvgPool", 4}, {"ResizeBilinear", 4},
      {"FusedBatchNorm", 4}, {"FusedBatchNormV3", 4},      {"Conv3D", 5},  {"MatMul", 2},  {"Reshape", 2}};
  int *more = arena_array(t->c->memory, t->main.count + 1, sizeof *more);  // dimensions than it has, plus 1
  if (!more) return -1;
  more[placeholder] = 1;
  for (size_t i = placeholder; i < t->main.count; i++) {
    const tf_node *node = &t->main.nodes[i];
    for (size_t j = 0; j < node->input_count && j < 2; j++) {
      tf_end in;
      if (!tf_end_of(scope, node->inputs[j], &in) || !more[in.node]) continue;
      for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++)
        if (str_is(node->op, wanted[k].op)) return wanted[k].rank - (more[in.node] - 1);
      bool same = node->kind && (node->kind->flags & TF_PASSES || tf_by_element(node->kind)) &&
                  (node->input_count < 2 || is_constant(t, scope, node->inputs[1 - j]));
      if (same) more[i] = more[in.node];
      if (str_is(node->op, "ExpandDims") && !j) more[i] = more[in.node] + 1;
    }
  }
  return -1;
}

sdx_ref tf_add_input(tf *t, const tf_value *value, const char *name) {
  const char *symbols[TF_RANK];
  sdx_io io = io_of(t->c, value, name, symbols, true);
  return sdx_graph_add_input(t->c->graph, &io);
}

static bool add_input(tf *t, tf_end end, str name) {
  const tf_node *node = &end.scope->graph->nodes[end.node];
  const char *text = str_to_c(t->c->memory, name);
  tf_value value = {.what = TF_TENSOR, .rank = -1, .dtype = tf_attr_dtype(node, "dtype")};
  tf_op op = {.t = t, .scope = end.scope, .node = (tf_node *)node};
  if (!text) return !convert_no_memory(t->c);
  if (!value.dtype || (int)value.dtype == TF_RESOURCE)
    return !tf_fail(&op, SDX_NOT_SUPPORTED, NULL, "an input of a type that ONNX does not have");
  bool has_shape = tf_attr_shape(t, node, "shape", 0, &value.rank, value.shape) && value.rank >= 0;
  if (value.rank < 0) value.rank = rank_by_use(t, end.scope, end.node);
  if (value.rank < 0) value.rank = 1;
  if (!has_shape)
    convert_note(t->c, "input '%s' does not say its shape: it is taken to have %d dimension%s", text, value.rank,
                 value.rank == 1 ? "" : "s");
  for (int i = 0; i < value.rank; i++)
    if (!has_shape) value.shape[i] = -1;
  value.ref = tf_add_input(t, &value, text);
  return !convert_failed(t->c) && (tf_preset(end, &value) || !convert_no_memory(t->c));
}

static bool add_output(tf *t, tf_end end, const char *name) {
  const char *symbols[TF_RANK];
  tf_value *value = tf_compute(t, end);
  sdx_ref ref = value ? tf_ref(t, value) : 0;
  if (!ref) {
    if (!convert_failed(t->c))
      convert_fail(t->c, SDX_NOT_SUPPORTED, "output", NULL, "'%s' is a list or a handle, expected a tensor", name);
    return false;
  }
  sdx_io io = io_of(t->c, value, name, symbols, false);
  sdx_graph_add_output(t->c->graph, ref, &io);
  return !convert_failed(t->c);
}

// Those that were asked for, "a,b:1".
static bool take_outputs(tf *t, tf_interface *io) {
  const char *list = t->c->options->outputs;
  io->out = arena_array(t->c->memory, strlen(list) + 1, sizeof *io->out);
  if (!io->out) return !convert_no_memory(t->c);
  for (size_t size; *list; list += size + (list[size] == ',')) {
    size = strcspn(list, ",");
    str name = {list, size}, shown = name;
    if (size > 2 && !memcmp(list + size - 2, ":0", 2)) shown.size -= 2;
    if (size) io->out[io->out_count++] = (tf_served){shown, name};
  }
  return true;
}

// ---- the model --------------------------------------------------------------------------------------

static bool find_outputs(tf *t, tf_scope *scope, const tf_interface *io, tf_end *ends) {
  for (size_t i = 0; i < io->out_count; i++)
    if (!tf_end_of(scope, io->out[i].value, &ends[i])) return false;
  return tf_check_operators(t, io->out_count, ends);
}

// No other value may have the name of an output; one of an input's name gets a number.
static bool reserve_names(tf *t, tf_interface *io) {
  for (size_t i = 0; i < io->out_count; i++) {
    str *name = &io->out[i].name;
    for (size_t j = 0; j < io->in_count; j++)
      if (str_equal(io->in[j].name, *name)) *name = str_from(arena_format(t->c->memory, "%.*s:%zu", STR_ARG(*name), i));
    if (!name->at || !str_map_put(&t->names, *name, 1)) return !convert_no_memory(t->c);
  }
  return true;
}

static bool emit_model(tf *t, tf_interface *io) {
  conversion *c = t->c;
  tf_scope *scope = tf_scope_create(t, &t->main, c->graph, NULL, 0, TF_MAIN);
  if (!scope || (c->options->outputs && !take_outputs(t, io))) return false;
  if ((!io->out_count && !find_heads(t, scope, io))) return false;
  tf_end *ends = arena_array(c->memory, io->out_count + 1, sizeof *ends);
  if (!ends) return !convert_no_memory(c);
  if (!tf_find_effects(t, scope)) return false;
  if (!find_outputs(t, scope, io, ends) || (!io->in && !find_placeholders(t, io))) return false;
  if (!reserve_names(t, io)) return false;
  for (size_t i = 0; i < io->in_count; i++) {
    tf_end end;
    if (!tf_end_of(scope, io->in[i].value, &end) || !add_input(t, end, io->in[i].name)) return false;
  }
  if (!tf_add_border_inputs(t, scope)) return false;
  for (size_t i = 0; i < io->out_count; i++) {
    char *name = str_to_c(c->memory, io->out[i].name);
    if (!name) return !convert_no_memory(c);
    if (!add_output(t, ends[i], name)) return false;
    convert_progress(c, i + 1, io->out_count);
  }
  return true;
}

static sdx_status ended(const tf *t, bool good) {
  if (good) return SDX_OK;
  if (convert_failed(t->c)) return t->c->f->status ? t->c->f->status : sdx_builder_status(t->c->builder);
  return convert_fail(t->c, SDX_INVALID_MODEL, "graph", NULL, "the model is damaged");
}

static bool is_meta_graph(const source *s) {
  size_t length = strlen(s->path);
  return !s->folder && length > 5 && !strcmp(s->path + length - 5, ".meta") && s->head_size && s->head[0] == 0x0a;
}

static bool is_ours(const source *s) { return tf_is_saved_model(s) || is_meta_graph(s); }

// Variables: all of the folder whose saved_model.pb was given; the index of a MetaGraph's checkpoint has sums of them.
static char *beside(const source *s, arena *memory) {
  const char *slash = strrchr(s->path, '/');
  if (is_meta_graph(s)) return arena_format(memory, "%.*s.index", (int)(strlen(s->path) - strlen(".meta")), s->path);
  if (s->folder || !tf_is_saved_model(s)) return NULL;
  return arena_format(memory, "%.*s", slash ? (int)(slash + 1 - s->path) : 1, slash ? s->path : ".");
}

// The folder of a SavedModel, its file, a MetaGraph with a checkpoint beside it, or a graph.
static bool open_model(tf *t, tf_interface *io) {
  conversion *c = t->c;
  if (c->source->folder || tf_is_saved_model(c->source)) return tf_open_saved_model(t, io);
  if (c->options->signature)
    return !convert_fail(c, SDX_INVALID_ARGUMENT, NULL, "--outputs names where it is to end",
                         "a graph has no signatures");
  if (is_meta_graph(c->source)) return tf_open_meta_graph(t);
  if (source_load(c->source, NULL, NULL, c->f)) return false;
  const file_kind *kind = file_kind_of(c->source->head, c->source->head_size);
  str bytes = {c->source->bytes, (size_t)c->source->size};
  convert_made_by(c, "TensorFlow");
  if (kind && !strcmp(kind->name, "tensorflow-text") &&
      !prototxt_read(c, c->source->path, bytes, &tf_proto_graph, &bytes))
    return false;
  return tf_read_graph(t, wire_of(bytes.at, bytes.size));
}

static sdx_status convert(conversion *c) {
  tf t = {.c = c};
  tf_interface io = {0};
  str_map_init(&t.names, c->memory);
  if (sdx_builder_opset(c->builder, "") < LEAST_OPSET)
    return convert_fail(c, SDX_NOT_SUPPORTED, NULL, "--opset 13 or newer", "TensorFlow's operators need opset 13");
  return ended(&t, index_kinds(&t) && open_model(&t, &io) && emit_model(&t, &io));
}

static const char reference[] =
    "def predict(path, inputs):\n"
    "    import os, tensorflow\n"
    "    if os.path.isdir(path) or os.path.basename(path) == 'saved_model.pb':\n"
    "        model = tensorflow.saved_model.load(path if os.path.isdir(path) else os.path.dirname(path) or '.')\n"
    "        names = [n for n in model.signatures if n == (signature or 'serving_default')] or list(model.signatures)\n"
    "        return {k: v.numpy() for k, v in model.signatures[names[0]](**{\n"
    "            k: tensorflow.constant(v) for k, v in inputs.items()}).items()}\n"
    "    v1 = tensorflow.compat.v1\n"
    "    tensor = lambda name: name if ':' in name else name + ':0'\n"
    "    with tensorflow.Graph().as_default(), v1.Session() as session:\n"
    "        if path.endswith('.meta'):\n"
    "            v1.train.import_meta_graph(path).restore(session, path[:-5])\n"
    "        else:\n"
    "            definition = v1.GraphDef()\n"
    "            data = open(path, 'rb').read()\n"
    "            if path.endswith('txt'):\n"
    "                from google.protobuf import text_format\n"
    "                text_format.Parse(data, definition)\n"
    "            else:\n"
    "                definition.ParseFromString(data)\n"
    "            tensorflow.import_graph_def(definition, name='')\n"
    "        got = session.run([tensor(n) for n in outputs], {tensor(k): v for k, v in inputs.items()})\n"
    "    return dict(zip(outputs, got))\n";

CONVERT_FORMAT(tensorflow) = {
    .name = "tensorflow",
    .title = "TensorFlow",
    .files = "SavedModel (folder), frozen graph (.pb, .pbtxt), MetaGraph beside a checkpoint (.meta)",
    .kinds = CONVERT_KINDS("tensorflow-graph", "tensorflow-text", "tensorflow"),
    .recognise = is_ours,
    .chooses_ends = true,
    .opset = OPSET,  // with that of later ones ONNX Runtime 1.32 builds graphs that it refuses
    .convert = convert,
    .beside = beside,
    .operator_at = operator_at,
    .reference = reference,
};
