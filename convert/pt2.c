// SPDX-License-Identifier: Apache-2.0
// Exported programs of PyTorch: the walk over the graph. Parameters and buffers are inputs of it that the signature
// gives a name in the model; nodes are emitted in order, and what they give is brought to the type that is declared.
// Read next: pt2.h.
#include "convert/pt2.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_NODES = 1000000, MOST_PLACES = 3 };

// ---- kinds of operators -----------------------------------------------------------------------------

static const pt2_kind *const tables[] = {pt2_math_kinds,  pt2_reduce_kinds,    pt2_shape_kinds,  pt2_index_kinds,
                                         pt2_layer_kinds, pt2_attention_kinds, pt2_control_kinds};
enum { TABLES = sizeof tables / sizeof *tables };

static const pt2_kind *find_row(const char *name, size_t size) {
  for (size_t i = 0; i < TABLES; i++)
    for (const pt2_kind *kind = tables[i]; kind->name; kind++)
      if (strlen(kind->name) == size && !memcmp(kind->name, name, size)) return kind;
  return NULL;
}

// "torch.ops.aten.add.Tensor": by "add.Tensor", else by "add"; "relu_" does what "relu" does.
static const char *without_prefix(const char *target) {
  static const char *const prefixes[] = {"torch.ops.aten.", "torch.ops.higher_order.", "torch.ops.", "_operator.",
                                         "torch."};
  for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
    if (!strncmp(target, prefixes[i], strlen(prefixes[i]))) return target + strlen(prefixes[i]);
  return target;
}

static bool is_in_place(const char *target) {
  const char *name = without_prefix(target), *dot = strrchr(name, '.');
  size_t size = dot ? (size_t)(dot - name) : strlen(name);
  return size > 1 && name[size - 1] == '_' && name[size - 2] != '_';
}

const pt2_kind *pt2_find_kind(const char *target) {
  const char *name = without_prefix(target), *dot = strrchr(name, '.');
  const pt2_kind *kind = find_row(name, strlen(name));
  size_t size = dot ? (size_t)(dot - name) : strlen(name);
  if (!kind) kind = find_row(name, size);
  return kind || !is_in_place(target) ? kind : find_row(name, size - 1);
}

static bool operator_at(size_t index, const char **name, const char **becomes) {
  for (size_t i = 0; i < TABLES; i++)
    for (const pt2_kind *kind = tables[i]; kind->name; kind++)
      if (index-- == 0) {
        *name = kind->name;
        *becomes = kind->op ? kind->op : kind->emit ? "several" : "nothing";
        return true;
      }
  return false;
}

// ---- places -----------------------------------------------------------------------------------------

// "L__self___a_b,a.b,torch.nn.Linear" is the last of the modules around a node: "a.b".
static const char *module_of(pt2 *p, const json_t *node) {
  const char *stack = text_of(json_object_get(node, "metadata"), "nn_module_stack"), *last = strrchr(stack, ';');
  const char *path = strchr(last ? last + 1 : stack, ',');
  if (!path) return "";
  size_t size = strcspn(path + 1, ",");
  if (size > 6 && !strncmp(path + 1, "_empty", 6)) return "";
  const char *dot = size > 200 ? NULL : arena_format(p->c->memory, "%.*s", (int)size, path + 1);
  if (dot && !strncmp(dot, "L['self'].", 10)) dot += 10;
  return dot ? dot : "";
}

static const char *first_output(const json_t *node) {
  const json_t *outputs = json_object_get(node, "outputs"), *first = json_array_get(outputs, 0);
  const json_t *list = json_object_get(first, "as_tensors");
  return pt2_argument_name(list ? json_array_get(list, 0) : first);
}

static void enter_node(pt2 *p, const json_t *node) {
  const char *module = module_of(p, node), *name = first_output(node), *target = text_of(node, "target");
  if (!*name) name = without_prefix(target);
  const char *layer = *module ? arena_format(p->c->memory, "%s/%s", module, name) : name;
  p->n.layer = layer ? layer : name;
  p->n.kind = !strncmp(target, "torch.ops.", 10) ? target + 10 : target;
}

// The user's line that a node stems from: the first of its trace.
static const char *line_of(pt2 *p, const json_t *node) {
  const char *trace = text_of(json_object_get(node, "metadata"), "stack_trace"), *file = strstr(trace, "File \"");
  if (!file) return "";
  int size = (int)strcspn(file + 6, "\"");
  const char *line = strstr(file, "line ");
  char *text = arena_format(p->c->memory, ", %.*s:%ld", size > 100 ? 100 : size, file + 6,
                            line ? strtol(line + 5, NULL, 10) : 0);
  return text ? text : "";
}

// ---- what is not converted --------------------------------------------------------------------------

typedef struct missing {
  const json_t *node;
  size_t count;
} missing;

static bool note_missing(pt2 *p, str_map *seen, missing *all, size_t *count, const json_t *node) {
  enum { MOST_MISSING = 100 };
  const char *target = text_of(node, "target");
  uint32_t at;
  if (pt2_find_kind(target)) return true;
  if (str_map_find(seen, str_from(target), &at)) return all[at].count++, true;
  if (*count == MOST_MISSING) return true;
  all[*count] = (missing){node, 1};
  return str_map_put(seen, str_from(target), (uint32_t)(*count)++) || !convert_no_memory(p->c);
}

static bool gather_missing(pt2 *p, str_map *seen, missing *all, size_t *count, const json_t *graph, unsigned depth) {
  const json_t *nodes = json_object_get(graph, "nodes");
  if (depth > PT2_DEPTH)
    return !convert_fail(p->c, SDX_LIMIT_EXCEEDED, "graph", NULL, "bodies within more than %d others", PT2_DEPTH);
  for (size_t i = 0; i < json_array_size(nodes); i++) {
    const json_t *node = json_array_get(nodes, i), *inputs = json_object_get(node, "inputs");
    if (!note_missing(p, seen, all, count, node)) return false;
    for (size_t k = 0; k < json_array_size(inputs); k++) {
      const json_t *arg = json_object_get(json_array_get(inputs, k), "arg");
      const json_t *body = json_object_get(json_object_get(arg, "as_graph"), "graph");
      if (body && !gather_missing(p, seen, all, count, body, depth + 1)) return false;
    }
  }
  return true;
}

// All operators that are not converted, at once.
static bool check_operators(pt2 *p, const json_t *graph) {
  missing all[100];
  size_t count = 0;
  str_map seen;
  str_map_init(&seen, p->c->memory);
  if (!gather_missing(p, &seen, all, &count, graph, 0)) return false;
  for (size_t i = 0; i < count; i++) {
    const char *module = module_of(p, all[i].node), *target = text_of(all[i].node, "target");
    char *place = arena_format(p->c->memory, "node '%.100s' of module '%.100s'%s", first_output(all[i].node), module,
                               line_of(p, all[i].node));
    convert_fail(p->c, SDX_NOT_SUPPORTED, place,
                 strncmp(target, "torch.ops.aten.", 15) ? "an operator of your own: write it in those of PyTorch"
                                                        : "program.run_decompositions() before it is saved may help",
                 "the operator '%.100s' is not converted (%zu times)", target, all[i].count);
  }
  return !count;
}

// ---- nodes ------------------------------------------------------------------------------------------

// The outputs one by one, those in lists, too.
static bool list_outputs(pt2_op *op) {
  const json_t *outputs = json_object_get(op->node, "outputs");
  for (size_t i = 0; i < json_array_size(outputs); i++) {
    const json_t *output = json_array_get(outputs, i), *list = json_object_get(output, "as_tensors");
    if (!list) list = json_object_get(output, "as_optional_tensors");
    for (size_t k = 0; k < (list ? json_array_size(list) : 1); k++) {
      if (op->out_count == PT2_RESULTS)
        return !net_fail(op->n, SDX_LIMIT_EXCEEDED, NULL, "more than %d results", PT2_RESULTS);
      op->outputs[op->out_count++] = list ? json_array_get(list, k) : output;
    }
  }
  return true;
}

// Symbols that are first seen as the sizes of an input, or of a result that depends on data.
static bool bind_symbols(pt2 *p, pt2_value *v) {
  for (size_t i = 0; i < v->tensor.rank; i++) {
    if (!v->size[i] || str_map_find(&p->symbol_scope.names, str_from(v->size[i]), NULL)) continue;
    if (!pt2_bind(p, &p->symbol_scope, v->size[i], (pt2_value){.tensor.rank = i, .base = v})) return false;
  }
  return true;
}

static bool bind_output(pt2_op *op, size_t index) {
  const char *name = pt2_argument_name(op->outputs[index]);
  net_tensor y = op->out[index];
  pt2_value v;
  if (!*name || (!y.ref && index > 0)) return true;
  if (!pt2_declared(op->p, op->p->scope, name, &v)) {
    if (convert_failed(op->p->c)) return false;
    v.tensor = y;  // a number; declared among those
  }
  if (!y.ref) return !net_fail(op->n, SDX_INTERNAL, NULL, "it gives nothing");
  sdx_dtype dtype = v.tensor.dtype;
  if (y.rank != v.tensor.rank) v = (pt2_value){.tensor = y};  // of the states of an LSTM the file declares too much
  v.tensor.ref = net_cast(op->n, y, dtype).ref;
  v.tensor.dtype = dtype;
  pt2_value *kept = pt2_bind(op->p, op->p->scope, name, v);
  return kept && (op->p->scope->around || bind_symbols(op->p, kept));
}

// A number of Python: what is declared of it is an expression, which is computed where it is read. What an operator
// took out of a tensor is a new symbol.
static bool emit_number(pt2_op *op) {
  pt2 *p = op->p;
  const char *name = pt2_argument_name(op->outputs[0]);
  const char *text = pt2_expression(p, json_object_get(json_object_get(p->scope->graph, "sym_int_values"), name));
  if (!*text) return !net_fail(op->n, SDX_INVALID_MODEL, NULL, "nothing is declared of the number '%.80s'", name);
  if (!pt2_bind(p, p->scope, name, (pt2_value){.number = text})) return false;
  if (op->kind->op == NULL || strcmp(op->kind->op, "Reshape") != 0) return true;
  op->kind->emit(op);
  return op->out[0].ref && pt2_bind(p, &p->symbol_scope, text, (pt2_value){.tensor = op->out[0]});
}

static bool emit_node(pt2 *p, const json_t *node) {
  const char *target = text_of(node, "target");
  pt2_op op = {.p = p, .n = &p->n, .node = node, .kind = pt2_find_kind(target)};
  enter_node(p, node);
  if (!op.kind || !list_outputs(&op)) return false;
  if (!op.kind->emit) return true;
  if (op.out_count == 1 && json_object_get(op.outputs[0], "as_sym_int")) return emit_number(&op);
  if (op.out_count == 1 && json_object_get(op.outputs[0], "as_sym_bool"))  // most are only asserted
    return pt2_bind(p, p->scope, pt2_argument_name(op.outputs[0]), (pt2_value){.pending = node}) != NULL;
  op.kind->emit(&op);
  for (size_t i = 0; i < op.out_count; i++)
    if (convert_failed(p->c) || !bind_output(&op, i)) return false;
  if (is_in_place(target) ? !pt2_mutate(&op) : !pt2_remember_view(&op)) return false;
  return !convert_failed(p->c);
}

bool pt2_run_graph(pt2 *p, pt2_scope *scope) {
  pt2_scope *around = p->scope;
  const json_t *nodes = json_object_get(scope->graph, "nodes");
  const char *layer = p->n.layer, *kind = p->n.kind;
  bool good = true;
  p->scope = scope;
  for (size_t i = 0; good && i < json_array_size(nodes); i++) {
    good = emit_node(p, json_array_get(nodes, i));
    if (!scope->around) convert_progress(p->c, i, json_array_size(nodes));
  }
  p->scope = around;
  p->n.layer = layer;
  p->n.kind = kind;
  return good;
}

// ---- inputs and outputs -----------------------------------------------------------------------------

static bool add_user_input(pt2 *p, const char *name) {
  pt2_value v, *kept;
  net_tensor *x = &v.tensor;
  const char *symbols[NET_RANK];
  if (!pt2_declared(p, p->scope, name, &v))
    return convert_failed(p->c) || !convert_fail(p->c, SDX_NOT_SUPPORTED, name, "give it a fixed value when exporting",
                                                 "an input of the model that is no tensor");
  for (size_t i = 0; i < x->rank; i++) symbols[i] = v.size[i];
  x->ref = sdx_graph_add_input(
      p->c->graph,
      &(sdx_io){
          .name = name, .dtype = x->dtype, .has_shape = true, .rank = x->rank, .shape = x->shape, .symbols = symbols});
  return (kept = pt2_bind(p, p->scope, name, v)) && bind_symbols(p, kept);
}

static bool bind_weight(pt2 *p, const char *value, const char *name) {
  uint32_t at;
  if (str_map_find(&p->weights.names, str_from(name), &at))
    return pt2_bind(p, p->scope, value, (pt2_value){.stored = &p->weights.tensors[at], .name = name}) != NULL;
  return !convert_fail(p->c, SDX_INVALID_MODEL, name, "is the archive whole?", "the archive has no such weight");
}

static bool add_input(pt2 *p, const json_t *spec) {
  static const char *const weights[][2] = {
      {"parameter", "parameter_name"}, {"buffer", "buffer_name"}, {"tensor_constant", "tensor_constant_name"}};
  const json_t *user = json_object_get(spec, "user_input"), *constant = json_object_get(spec, "constant_input");
  for (size_t i = 0; i < 3; i++) {
    const json_t *row = json_object_get(spec, weights[i][0]);
    if (row) return bind_weight(p, text_of(json_object_get(row, "arg"), "name"), text_of(row, weights[i][1]));
  }
  if (constant) return true;  // a number that the graph has as well
  const json_t *arg = json_object_get(user, "arg");
  if (!user || (!*pt2_argument_name(arg) && !json_object_get(arg, "as_none")))
    return json_object_get(arg, "as_int") || json_object_get(arg, "as_float") || json_object_get(arg, "as_bool") ||
           json_object_get(arg, "as_string") ||
           !convert_fail(p->c, SDX_NOT_SUPPORTED, "inputs", NULL, "an input of a kind that is not known");
  return json_object_get(arg, "as_none") || add_user_input(p, pt2_argument_name(arg));
}

// "": state that is changed, numbers that are known.
static const char *output_name(const json_t *spec) {
  return pt2_argument_name(json_object_get(json_object_get(spec, "user_output"), "arg"));
}

static bool add_output(pt2 *p, str_map *given, const json_t *spec, size_t index) {
  const char *name = output_name(spec), *symbols[NET_RANK];
  if (!*name) return true;
  pt2_value *v = pt2_find(p, name);
  net_tensor x = v ? pt2_tensor_of(p, v) : (net_tensor){0};
  if (!x.ref) return false;
  for (size_t i = 0; i < x.rank; i++) symbols[i] = v->size[i];
  const char *label = name;
  if (str_map_find(given, str_from(name), NULL)) label = arena_format(p->c->memory, "%s/%zu", name, index);
  if (!label || !str_map_put(given, str_from(label), 1)) return !convert_no_memory(p->c);
  sdx_graph_add_output(
      p->c->graph, x.ref,
      &(sdx_io){
          .name = label, .dtype = x.dtype, .has_shape = true, .rank = x.rank, .shape = x.shape, .symbols = symbols});
  return true;
}

static bool convert_program(pt2 *p) {
  const json_t *module = json_object_get(p->program, "graph_module"), *graph = json_object_get(module, "graph");
  const json_t *signature = json_object_get(module, "signature"), *inputs = json_object_get(signature, "input_specs"),
               *outputs = json_object_get(signature, "output_specs");
  pt2_scope main = {.graph = graph};
  str_map given;
  str_map_init(&given, p->c->memory);
  str_map_init(&main.names, p->c->memory);
  if (!json_array_size(json_object_get(graph, "nodes")) ||
      json_array_size(json_object_get(graph, "nodes")) > MOST_NODES || !json_array_size(outputs))
    return !convert_fail(p->c, SDX_INVALID_MODEL, "graph_module", NULL, "it has no nodes or no outputs");
  if (!check_operators(p, graph)) return false;
  p->scope = &main;
  for (size_t i = 0; i < json_array_size(outputs); i++)
    net_reserve(&p->n, str_from(output_name(json_array_get(outputs, i))));
  for (size_t i = 0; i < json_array_size(inputs); i++)
    if (!add_input(p, json_array_get(inputs, i))) return false;
  if (!pt2_run_graph(p, &main)) return false;
  p->scope = &main;
  for (size_t i = 0; i < json_array_size(outputs); i++)
    if (!add_output(p, &given, json_array_get(outputs, i), i)) return false;
  return true;
}

static sdx_status convert(conversion *c) {
  pt2 p = {.c = c};
  SDX_TRY(source_load(c->source, NULL, NULL, c->f));
  net_init(&p.n, c);
  str_map_init(&p.symbol_scope.names, c->memory);
  if (!pt2_open(&p)) return c->f->status;
  const char *version = text_of(p.program, "torch_version");
  if (*version) convert_made_by(c, "PyTorch %.40s", version);
  else convert_made_by(c, "PyTorch");
  convert_program(&p);
  return c->f->status;
}

static const char reference[] =
    "def predict(path, inputs):\n"
    "    import torch\n"
    "    program = torch.export.load(path)\n"
    "    with torch.no_grad():\n"
    "        program.range_constraints.clear()\n"
    "        try:\n"
    "            module = program.module(check_guards=False)\n"
    "        except TypeError:\n"
    "            module = program.module()\n"
    "        results = module(*[torch.from_numpy(v) for v in inputs.values()])\n"
    "    flat, _ = torch.utils._pytree.tree_flatten(results)\n"
    "    return dict(zip(outputs, [r.numpy() for r in flat if isinstance(r, torch.Tensor)]))\n";

CONVERT_FORMAT(pt2) = {
    .name = "pt2",
    .title = "PyTorch exported program",
    .files = "torch.export.save (.pt2)",
    .kinds = CONVERT_KINDS("pt2"),
    .convert = convert,
    .operator_at = operator_at,
    .reference = reference,
};
