// SPDX-License-Identifier: Apache-2.0
// TensorFlow Lite: the file, a FlatBuffer of subgraphs. The first is the model; operators of control flow call others.
// Read next: tflite.h.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "convert/tflite.h"

enum { MODEL_VERSION, MODEL_CODES, MODEL_GRAPHS, MODEL_DESCRIPTION, MODEL_BUFFERS };
enum { GRAPH_TENSORS, GRAPH_INPUTS, GRAPH_OUTPUTS, GRAPH_OPERATORS, GRAPH_NAME };
enum { CODE_OLD, CODE_CUSTOM, CODE_VERSION, CODE_NEW };
enum { OPERATOR_CODE, OPERATOR_INPUTS, OPERATOR_OUTPUTS, OPERATOR_KIND, OPERATOR_OPTIONS };
enum { CUSTOM = 32, MOST_OPERATORS = 1000000, MOST_RESULTS = 256 };

sdx_status tflite_fail(const tflite_op *op, sdx_status status, const char *hint, const char *format, ...) {
  char place[300], message[300];
  snprintf(place, sizeof place, "operator '%s' (%s)", op->name, op->kind->name);
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  return convert_fail(op->t->c, status, place, hint, "%s", message);
}

// ---- operators --------------------------------------------------------------------------------------

static const tflite_kind *find_kind(int64_t code) {
  static const tflite_kind *const tables[] = {tflite_conv_kinds, tflite_math_kinds, tflite_shape_kinds,
                                              tflite_control_kinds};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    for (const tflite_kind *kind = tables[i]; kind->name; kind++)
      if (kind->code == code) return kind;
  return NULL;
}

static int64_t code_of(tflite *t, flat_table operator, str * custom) {
  flat_table code = tflite_table_at(t->codes, (size_t)flat_int_field(&operator, OPERATOR_CODE, 4, 0));
  int64_t old = flat_int_field(&code, CODE_OLD, 1, 0), new = flat_int_field(&code, CODE_NEW, 4, 0);
  *custom = flat_string_field(&code, CODE_CUSTOM);
  return old > new ? old : new;
}

// All operators that are not converted, in all subgraphs, at once.
static sdx_status check_operators(tflite *t) {
  for (size_t i = 0; i < t->graphs.count; i++) {
    flat_table graph = tflite_table_at(t->graphs, i);
    flat_vector all = flat_vector_field(&graph, GRAPH_OPERATORS, 4);
    for (size_t j = 0; j < all.count && !t->b.failed; j++) {
      char place[80];
      str custom;
      int64_t code = code_of(t, tflite_table_at(all, j), &custom);
      snprintf(place, sizeof place, "subgraph %zu, operator %zu", i, j);
      if (code == CUSTOM)
        convert_fail(t->c, SDX_NOT_SUPPORTED, place, "convert it without SELECT_TF_OPS and custom operators",
                     "the custom operator '%.*s' is not converted", STR_ARG(custom));
      else if (!find_kind(code))
        convert_fail(t->c, SDX_NOT_SUPPORTED, place, NULL, "the built-in operator %lld is not converted",
                     (long long)code);
    }
  }
  return t->c->f->status;
}

static bool emit_operator(tflite *t, tflite_graph *graph, flat_table operator) {
  str custom;
  tflite_op op = {.t = t,
                  .graph = graph,
                  .g = graph->g,
                  .kind = find_kind(code_of(t, operator, & custom)),
                  .in = flat_vector_field(&operator, OPERATOR_INPUTS, 4),
                  .out = flat_vector_field(&operator, OPERATOR_OUTPUTS, 4),
                  .options = flat_table_field(&operator, OPERATOR_OPTIONS),
                  .name = graph->scope};
  if (!op.kind || ++t->operators > MOST_OPERATORS)
    return !convert_fail(t->c, SDX_LIMIT_EXCEEDED, graph->scope, NULL, "too many operators");
  tflite_tensor *first = op.out.count ? tflite_out(&op, 0) : NULL;
  if (first) op.name = arena_format(t->c->memory, "%s%.*s", graph->scope, STR_ARG(first->name));
  if (!op.name) return !convert_no_memory(t->c);
  if (op.out.count && !first) return false;
  op.kind->emit(&op);
  return !convert_failed(t->c) && !t->b.failed;
}

static bool emit_operators(tflite *t, size_t index, tflite_graph *graph) {
  flat_table table = tflite_table_at(t->graphs, index);
  flat_vector all = flat_vector_field(&table, GRAPH_OPERATORS, 4);
  for (size_t i = 0; i < all.count; i++)
    if (!emit_operator(t, graph, tflite_table_at(all, i))) return false;
  return !t->b.failed;
}

static flat_vector ends(tflite *t, size_t index, unsigned field) {
  flat_table graph = tflite_table_at(t->graphs, index);
  return flat_vector_field(&graph, field, 4);
}

static tflite_tensor *tensor_of(tflite *t, tflite_graph *graph, flat_vector v, size_t i) {
  size_t index = (size_t)tflite_int_at(v, i, 4);
  if (index < graph->count) return &graph->tensors[index];
  convert_fail(t->c, SDX_INVALID_MODEL, "subgraph", NULL, "there is no tensor %zu", index);
  return NULL;
}

bool tflite_emit_subgraph(tflite *t, size_t index, const char *scope, sdx_graph *g, size_t count, const sdx_ref *in,
                          size_t room, sdx_ref *out, tflite_graph *graph) {
  flat_vector inputs = ends(t, index, GRAPH_INPUTS), outputs = ends(t, index, GRAPH_OUTPUTS);
  if (index >= t->graphs.count || inputs.count != count || outputs.count != room || t->depth == TFLITE_DEPTH)
    return !convert_fail(t->c, SDX_INVALID_MODEL, scope, NULL,
                         "subgraph %zu with %zu inputs and %zu outputs does not fit its call", index, inputs.count,
                         outputs.count);
  if (!tflite_open_graph(t, index, scope, g, graph)) return false;
  for (size_t i = 0; i < count; i++) {
    tflite_tensor *x = tensor_of(t, graph, inputs, i);
    if (!x) return false;
    x->ref = in[i];
  }
  sdx_graph *around = t->c->graph;
  t->c->graph = g;  // to which nodes.h adds
  t->depth++;
  bool good = emit_operators(t, index, graph);
  t->depth--;
  t->c->graph = around;
  for (size_t i = 0; good && i < room; i++) {
    if (!tensor_of(t, graph, outputs, i)) return false;
    out[i] = tflite_find(graph, (size_t)tflite_int_at(outputs, i, 4));
    if (!out[i]) return !convert_fail(t->c, SDX_INVALID_MODEL, scope, NULL, "output %zu is never computed", i);
  }
  return good;
}

// ---- the model --------------------------------------------------------------------------------------

static sdx_io io_of(const tflite_tensor *x, const char *name, char symbols[][150], const char **names, bool input) {
  for (size_t i = 0; i < x->rank; i++) {
    snprintf(symbols[i], sizeof *symbols, i ? "%.120s_%zu" : "N", name, i);
    names[i] = x->shape[i] < 0 && (input || !i) ? symbols[i] : NULL;
  }
  return (sdx_io){
      .name = name, .dtype = x->dtype, .has_shape = true, .rank = x->rank, .shape = x->shape, .symbols = names};
}

static sdx_status convert_main(tflite *t) {
  conversion *c = t->c;
  char symbols[TFLITE_RANK][150];
  const char *names[TFLITE_RANK];
  tflite_graph graph;
  flat_vector inputs = ends(t, 0, GRAPH_INPUTS), outputs = ends(t, 0, GRAPH_OUTPUTS);
  if (!tflite_open_graph(t, 0, "", c->graph, &graph)) return SDX_INVALID_MODEL;
  for (size_t i = 0; i < inputs.count; i++) {
    tflite_tensor *x = tensor_of(t, &graph, inputs, i);
    if (!x) return SDX_INVALID_MODEL;
    sdx_io io = io_of(x, str_to_c(c->memory, x->name), symbols, names, true);
    x->ref = sdx_graph_add_input(c->graph, &io);
    if (convert_failed(c)) return SDX_INVALID_MODEL;
  }
  if (!emit_operators(t, 0, &graph)) return SDX_INVALID_MODEL;
  for (size_t i = 0; i < outputs.count; i++) {
    const tflite_tensor *x = tensor_of(t, &graph, outputs, i);
    sdx_ref value = x ? tflite_find(&graph, (size_t)(x - graph.tensors)) : 0;
    if (!value) return convert_fail(c, SDX_INVALID_MODEL, "subgraph 0", NULL, "output %zu is never computed", i);
    char *name = str_to_c(c->memory, x->name);
    sdx_ref taken = name ? sdx_graph_find(c->graph, name) : 0;
    if (taken && taken != value) name = arena_format(c->memory, "%s:%zu", name, i);
    sdx_io io = io_of(x, name, symbols, names, false);
    sdx_graph_add_output(c->graph, value, &io);
  }
  return SDX_OK;
}

static sdx_status convert(conversion *c) {
  tflite t = {.c = c};
  str_map_init(&t.nodes, c->memory);
  SDX_TRY(source_load(c->source, NULL, NULL, c->f));
  if (sdx_builder_opset(c->builder, "") < 13)
    return convert_fail(c, SDX_NOT_SUPPORTED, NULL, "--opset 13 or newer", "scales of channels need opset 13");
  if (c->source->size < 8 || memcmp(c->source->bytes + 4, "TFL3", 4) != 0)
    return convert_fail(c, SDX_INVALID_MODEL, "byte 4", NULL, "the file's mark is not 'TFL3'");
  t.b = (flatbuffer){.bytes = (const uint8_t *)c->source->bytes, .size = (size_t)c->source->size};
  flat_table model = flat_root(&t.b);
  t.codes = flat_vector_field(&model, MODEL_CODES, 4);
  t.graphs = flat_vector_field(&model, MODEL_GRAPHS, 4);
  t.buffers = flat_vector_field(&model, MODEL_BUFFERS, 4);
  convert_made_by(c, "TensorFlow Lite %lld", (long long)flat_int_field(&model, MODEL_VERSION, 4, 0));
  str about = flat_string_field(&model, MODEL_DESCRIPTION);
  if (about.size) sdx_builder_describe(c->builder, "description", str_to_c(c->memory, about));
  if (!t.b.failed) SDX_TRY(check_operators(&t));
  sdx_status status = t.b.failed ? SDX_INVALID_MODEL : convert_main(&t);
  if (t.b.failed)
    return convert_fail(c, SDX_INVALID_MODEL, "FlatBuffer", NULL, "byte %zu: what lies here reaches past the end",
                        t.b.failed_at);
  if (status && !convert_failed(c)) return convert_fail(c, status, "FlatBuffer", NULL, "the model is damaged");
  return status;
}

static const char reference[] =
    "def predict(path, inputs):\n"
    "    import tensorflow\n"
    "    model = tensorflow.lite.Interpreter(model_path=path)\n"
    "    for entry in model.get_input_details():\n"
    "        model.resize_tensor_input(entry['index'], inputs[entry['name']].shape)\n"
    "    model.allocate_tensors()\n"
    "    for entry in model.get_input_details():\n"
    "        model.set_tensor(entry['index'], inputs[entry['name']])\n"
    "    model.invoke()\n"
    "    return {entry['name']: model.get_tensor(entry['index']) for entry in model.get_output_details()}\n";

CONVERT_FORMAT(tflite) = {
    .name = "tflite",
    .title = "TensorFlow Lite",
    .files = "FlatBuffer (.tflite)",
    .kinds = CONVERT_KINDS("tflite"),
    .opset = 20,  // with that of later ones ONNX Runtime 1.32 builds graphs that it refuses
    .convert = convert,
    .reference = reference,
};
