// SPDX-License-Identifier: Apache-2.0
// GraphProto -> graph. A graph is read in three sweeps over its nodes: check and count, declare what
// they make, build them. So memory is asked for exactly and once, and a name can be told apart that
// is made later from one that is never made. Nodes of one graph may be listed in any order.
// Read next: import_scope.h (scopes, functions), import_names.c, import_attributes.c.
#include "base/host.h"
#include "base/size.h"
#include "onnx/import_scope.h"

static int cut(str s) { return (int)(s.size < 80 ? s.size : 80); }

// Adds a node, and what it is in, to an error; around an inner node as words.
static void locate(importer *im, const scope *s, const node_head *h) {
  const graph *g = s->at->graph;
  if (im->err->has_node)
    error_within(im->err, "node %zu '%.*s' (%.*s)", h->index, cut(h->name), h->name.at, cut(h->op_type), h->op_type.at);
  else error_node(im->err, (int64_t)h->index, h->name, h->op_type);
  if (s->call) error_within(im->err, "function '%.*s'", cut(s->call->function->name), s->call->function->name.at);
  else if (s->at->depth && g->name.size) error_within(im->err, "subgraph '%.*s'", cut(g->name), g->name.at);
}

sdx_status import_settle_node(importer *im, const scope *s, const node_head *h, sdx_status status, const char *code) {
  if (import_goes_on(im, status)) locate(im, s, h);
  return import_settle(im, status, code, "");
}

// ---- limits ---------------------------------------------------------------------------------------------

static size_t memory_used(const importer *im) {
  mem_account *account = im->options->account;
  return account ? atomic_load(&account->used) : 0;
}

static sdx_status spend_work(importer *im, size_t amount) {
  enum { LOOK_AT_CLOCK_EVERY = 256 };
  if (amount > im->most_work - im->work)
    return error_set(
        im->err, SDX_LIMIT_EXCEEDED, "the model has more than %zu nodes after its functions are expanded (%s)",
        im->most_work,
        im->most_work == im->options->limits.max_nodes ? "limit max_nodes" : "the limit for a file of its size");
  bool look = (im->work + amount) / LOOK_AT_CLOCK_EVERY != im->work / LOOK_AT_CLOCK_EVERY;
  im->work += amount;
  size_t taken = im->expanding ? memory_used(im) - im->unexpanded : 0;
  if (taken > im->most_expanded) {
    char found[BYTES_TEXT], most[BYTES_TEXT];
    return error_set(im->err, SDX_LIMIT_EXCEEDED,
                     "the model's functions take %s when expanded, expected at most %s for a file of its size",
                     bytes_text(taken, found), bytes_text(im->most_expanded, most));
  }
  if (!look || !im->options->deadline_ns) return SDX_OK;
  if (clock_ns() < im->options->deadline_ns) return SDX_OK;
  return error_set(im->err, SDX_DEADLINE_EXCEEDED, "the time to load the model is over after %zu nodes", im->work);
}

sdx_status import_no_memory(importer *im) {
  return error_set(im->err, SDX_NO_MEMORY, "no memory to build the graph: the memory budget is spent");
}

tensor_reader import_reader(const importer *im, bool once) {
  tensor_reader reader = im->tensors;
  if (once) reader.spent = im->options->spent, reader.context = im->options->context;
  return reader;
}

// ---- nodes ----------------------------------------------------------------------------------------------

static sdx_status read_head(importer *im, wire message, size_t index, node_head *h) {
  wire_field f;
  *h = (node_head){.message = message,
                   .index = index,
                   .name = STR(""),
                   .op_type = STR(""),
                   .domain = STR(""),
                   .overload = STR(""),
                   .doc = STR("")};
  SDX_TRY(wire_scan(message, &proto_node, &h->counts, im->err));
  for (wire w = message; wire_next(&w, &proto_node, &f);) switch (f.slot) {
      case NODE_NAME:
        h->name = wire_str(&f);
        break;
      case NODE_OP_TYPE:
        h->op_type = wire_str(&f);
        break;
      case NODE_DOMAIN:
        h->domain = domain_canonical(wire_str(&f));
        break;
      case NODE_OUTPUT:
        h->named_outputs += wire_size(f.body) > 0;
        break;
      case NODE_OVERLOAD:
        h->overload = wire_str(&f);
        break;
      case NODE_DOC:
        h->doc = wire_str(&f);
        break;
      default:
        break;
    }
  if (h->op_type.size == 0) error_set(im->err, SDX_INVALID_GRAPH, "the node has no op_type");
  if (h->op_type.size == 0) {
    error_node(im->err, (int64_t)index, h->name, STR(""));
    error_offset(im->err, message.at);
    return SDX_INVALID_GRAPH;
  }
  return SDX_OK;
}

// Version of a domain: from the function's own opset_import, then the model's. 0: not listed.
static int32_t opset_of(const importer *im, const scope *s, str domain) {
  const model *m = im->model;
  for (size_t i = 0; i < s->opset_count + m->opset_count; i++) {
    const opset_import *o = i < s->opset_count ? &s->opsets[i] : &m->opsets[i - s->opset_count];
    if (str_equal(o->domain, domain)) return (int32_t)o->version;
  }
  return 0;
}

static sdx_status find_opset(importer *im, const scope *s, str domain, int32_t *version) {
  *version = im->options->as_prepared ? 0 : opset_of(im, s, domain);
  if (*version || im->options->as_prepared) return SDX_OK;
  *version = 1;  // files of before opset_import, and domains that nobody lists
  if (domain.size || im->model->opset_count + s->opset_count == 0) return SDX_OK;
  return error_set(im->err, SDX_INVALID_GRAPH,
                   "domain 'ai.onnx' is not in opset_import, so the operator's version is not known");
}

static sdx_status ids_reserve(importer *im, size_t count) {
  if (im->ids && count <= im->ids_room) return SDX_OK;
  size_t room = count < 64 ? 64 : count;
  im->ids = arena_array(&im->scratch, room, sizeof *im->ids);
  im->ids_room = im->ids ? room : 0;
  return im->ids ? SDX_OK : import_no_memory(im);
}

// Reads the names of inputs and outputs as ids of the scope's graph: [inputs][outputs].
static sdx_status read_ids(importer *im, const scope *s, const node_head *h, value_id *ids) {
  size_t in = 0, inputs = h->counts.of[NODE_INPUT], out = inputs, outputs = h->counts.of[NODE_OUTPUT];
  const building *home;
  wire_field f;
  for (wire w = h->message; wire_next(&w, &proto_node, &f);) {
    if (f.slot == NODE_INPUT && in < inputs) {
      value_id *id = &ids[in++];
      error_part part = {PART_INPUT, (int64_t)in - 1, wire_str(&f)};
      sdx_status status = scope_resolve(im, s, s->at, part, id);
      SDX_TRY(import_settle_node(im, s, h, status, "unknown-value"));
      if (status != SDX_OK && !(*id = graph_add_value(s->at->graph, STR("")))) return import_no_memory(im);
    }
    if (f.slot == NODE_OUTPUT && out < inputs + outputs) {  // declared before; a name that was taken is replaced
      value_id id = VALUE_ABSENT;
      if (wire_str(&f).size) scope_find(s, wire_str(&f), &home, &id);
      bool ours = id && home == s->at && s->at->graph->values[id].producer == PENDING;
      if (ours) s->at->graph->values[id].producer = 0;
      if (id && !ours && !(id = graph_add_value(s->at->graph, STR("")))) return import_no_memory(im);
      ids[out++] = id;
    }
  }
  while (in < inputs) ids[in++] = VALUE_ABSENT;
  while (out < inputs + outputs) ids[out++] = VALUE_ABSENT;
  return SDX_OK;
}

static sdx_status build_node(importer *im, const scope *s, const node_head *h) {
  size_t inputs = h->counts.of[NODE_INPUT], outputs = h->counts.of[NODE_OUTPUT];
  int32_t version;
  SDX_TRY(spend_work(im, 1));
  SDX_TRY(import_settle_node(im, s, h, find_opset(im, s, h->domain, &version), "opset"));
  // Subgraphs come first: what this node makes is not there yet for them.
  node parts = {0};
  SDX_TRY(import_attributes(im, s, h, &parts));
  if (node_collect_captures(s->at->graph, &parts) != SDX_OK) return import_no_memory(im);
  SDX_TRY(ids_reserve(im, inputs + outputs));
  SDX_TRY(read_ids(im, s, h, im->ids));
  node *n = graph_add_node(s->at->graph, h->domain, h->op_type, inputs, im->ids, outputs, im->ids + inputs, im->err);
  if (!n) return import_no_memory(im);
  n->name = h->name;
  if (h->doc.size && !(n->doc = arena_copy(s->at->graph->memory, &h->doc, sizeof h->doc))) return import_no_memory(im);
  n->version = version;
  n->attrs = parts.attrs;
  n->attr_count = parts.attr_count;
  n->captures = parts.captures;
  n->capture_count = parts.capture_count;
  return SDX_OK;
}

static sdx_status declare_outputs(importer *im, const scope *s, const node_head *h) {
  wire_field f;
  for (wire w = h->message; wire_next(&w, &proto_node, &f);) {
    value_id id;
    if (f.slot == NODE_OUTPUT && wire_str(&f).size)
      SDX_TRY(import_settle_node(im, s, h, scope_declare(im, s, wire_str(&f), &id), "duplicate-name"));
  }
  return SDX_OK;
}

static sdx_status build(importer *im, const scope *s, const node_head *h);

// One sweep over the nodes of a graph or function.
static sdx_status read_nodes(importer *im, const scope *s, wire message, const wire_schema *schema, size_t slot,
                             sdx_status (*each)(importer *, const scope *, const node_head *)) {
  size_t index = 0;
  wire_field f;
  while (wire_next(&message, schema, &f)) {
    node_head h;
    if (f.slot != slot) continue;
    SDX_TRY(read_head(im, f.body, index++, &h));
    sdx_status status = each(im, s, &h);
    if (status != SDX_OK) {
      locate(im, s, &h);
      return status;
    }
  }
  return SDX_OK;
}

// ---- functions ------------------------------------------------------------------------------------------

// A formal output that is one of the inputs: an Identity carries it over.
static sdx_status build_identity(importer *im, const scope *s, value_id from, value_id to) {
  int32_t version = opset_of(im, s, STR(""));
  SDX_TRY(spend_work(im, 1));
  node *n = graph_add_node(s->at->graph, STR(""), STR("Identity"), 1, &from, 1, &to, im->err);
  if (!n) return import_no_memory(im);
  n->version = version ? version : 1;
  return SDX_OK;
}

static sdx_status fail_arity(importer *im, const function *f, const char *what, size_t given, size_t formal) {
  return error_set(im->err, SDX_INVALID_GRAPH, "function '%.*s' is called with %zu %ss but has %zu", STR_ARG(f->name),
                   given, what, formal);
}

static sdx_status bind_formals(importer *im, const node_head *h, const value_id *ids, const wire_counts *counts,
                               scope *body, call *c) {
  size_t inputs = h->counts.of[NODE_INPUT], outputs = h->counts.of[NODE_OUTPUT], in = 0, out = 0;
  const function *f = c->function;
  if (inputs > counts->of[FUNCTION_INPUT]) return fail_arity(im, f, "input", inputs, counts->of[FUNCTION_INPUT]);
  if (outputs > counts->of[FUNCTION_OUTPUT]) return fail_arity(im, f, "output", outputs, counts->of[FUNCTION_OUTPUT]);
  wire_field field;
  for (wire w = f->body; wire_next(&w, &proto_function, &field);) {
    if (field.slot != FUNCTION_INPUT && field.slot != FUNCTION_OUTPUT) continue;
    bool is_input = field.slot == FUNCTION_INPUT;
    str_map *map = is_input ? body->names : &c->outputs;
    size_t i = is_input ? in++ : out++;
    value_id id = i < (is_input ? inputs : outputs) ? ids[is_input ? i : inputs + i] : VALUE_ABSENT;
    if (str_map_find(map, wire_str(&field), NULL))
      return error_set(im->err, SDX_INVALID_GRAPH, "function '%.*s' lists '%.*s' twice", STR_ARG(f->name),
                       STR_ARG(wire_str(&field)));
    if (!str_map_put(map, wire_str(&field), id)) return import_no_memory(im);
    if (!is_input && id) body->at->graph->values[id].producer = PENDING;
  }
  return SDX_OK;
}

// After the body: every formal output that the call wants must be there.
static sdx_status finish_outputs(importer *im, const scope *body, const call *c) {
  wire_field field;
  for (wire w = c->function->body; wire_next(&w, &proto_function, &field);) {
    if (field.slot != FUNCTION_OUTPUT) continue;
    uint32_t wanted = VALUE_ABSENT, made = VALUE_ABSENT;
    str_map_find(&c->outputs, wire_str(&field), &wanted);
    if (!wanted) continue;
    if (!str_map_find(body->names, wire_str(&field), &made) || !made)
      return error_set(im->err, SDX_INVALID_GRAPH, "function '%.*s' never makes its output '%.*s'",
                       STR_ARG(c->function->name), STR_ARG(wire_str(&field)));
    if (made != wanted) SDX_TRY(build_identity(im, body, made, wanted));
  }
  return SDX_OK;
}

static sdx_status expand_in(importer *im, const scope *s, const node_head *h, const function *f, arena *memory) {
  value_id *ids = arena_array(memory, h->counts.of[NODE_INPUT] + h->counts.of[NODE_OUTPUT], sizeof *ids);
  if (!ids) return import_no_memory(im);
  str_map names;
  str_map_init(&names, memory);
  call c = {.function = f, .node = h->message, .caller = s};
  str_map_init(&c.outputs, memory);
  scope body = {.at = s->at, .names = &names, .call = &c, .opsets = f->opsets, .opset_count = f->opset_count};
  wire_counts counts;
  SDX_TRY(wire_scan(f->body, &proto_function, &counts, im->err));
  SDX_TRY(read_ids(im, s, h, ids));
  SDX_TRY(bind_formals(im, h, ids, &counts, &body, &c));
  SDX_TRY(read_nodes(im, &body, f->body, &proto_function, FUNCTION_NODE, declare_outputs));
  SDX_TRY(read_nodes(im, &body, f->body, &proto_function, FUNCTION_NODE, build));
  return finish_outputs(im, &body, &c);
}

static sdx_status expand(importer *im, const scope *s, const node_head *h, const function *f) {
  SDX_TRY(spend_work(im, 1));  // calls of empty functions are work, too
  f->kept->calls++;
  if (h->counts.of[NODE_ATTRIBUTE] > 1) SDX_TRY(import_check_attributes(im, h->message));
  bool outermost = !s->call;
  if (outermost) im->unexpanded = memory_used(im) - im->expanded;
  im->expanding = true;
  arena memory;
  arena_init(&memory, im->options->account);
  sdx_status status = expand_in(im, s, h, f, &memory);
  arena_deinit(&memory);
  if (outermost) im->expanded = memory_used(im) - im->unexpanded;
  im->expanding = !outermost;
  return status;
}

// A node, or the nodes of the function that it calls.
static sdx_status build(importer *im, const scope *s, const node_head *h) {
  const function *f = function_find(&im->functions, h->domain, h->op_type, h->overload);
  if (f && im->options->keep_calls) f->kept->calls++;
  return f && !im->options->keep_calls ? expand(im, s, h, f) : build_node(im, s, h);
}

// A function as a graph of its own.
static sdx_status build_function(importer *im, const function *f) {
  building b = {.graph = graph_create(&im->model->memory, NULL)};
  wire_counts counts;
  wire_field field;
  if (!b.graph) return import_no_memory(im);
  scope s = {.at = &b, .opsets = f->opsets, .opset_count = f->opset_count};
  graph *g = f->kept->graph = b.graph;
  SDX_TRY(wire_scan(f->body, &proto_function, &counts, im->err));
  g->name = f->name;
  g->inputs = arena_array(g->memory, counts.of[FUNCTION_INPUT], sizeof *g->inputs);
  g->outputs = arena_array(g->memory, counts.of[FUNCTION_OUTPUT], sizeof *g->outputs);
  if (!g->inputs || !g->outputs) return import_no_memory(im);
  for (wire w = f->body; wire_next(&w, &proto_function, &field);) {
    if (field.slot != FUNCTION_INPUT) continue;
    if (!(g->inputs[g->input_count++] = graph_add_value(g, wire_str(&field)))) return import_no_memory(im);
  }
  SDX_TRY(read_nodes(im, &s, f->body, &proto_function, FUNCTION_NODE, declare_outputs));
  b.declared = g->value_count;
  SDX_TRY(read_nodes(im, &s, f->body, &proto_function, FUNCTION_NODE, build));
  for (wire w = f->body; wire_next(&w, &proto_function, &field);)
    if (field.slot == FUNCTION_OUTPUT) {
      error_part part = part_named(PART_OUTPUT, wire_str(&field));
      SDX_TRY(scope_resolve(im, &s, &b, part, &g->outputs[g->output_count++]));
    }
  return graph_sort(g, im->err);
}

sdx_status import_functions(importer *im) {
  for (size_t i = 0; i < im->functions.count; i++) {
    const function *f = &im->functions.at[i];
    sdx_status status = build_function(im, f);
    if (status == SDX_OK) continue;
    error_within(im->err, "function '%.*s'", cut(f->name), f->name.at);
    f->kept->graph = NULL;
    SDX_TRY(import_settle(im, status, "function", ""));
  }
  return SDX_OK;
}

// ---- graphs ---------------------------------------------------------------------------------------------

// Every node has a type; how many values the graph has. Empty messages, which cost a file next to
// nothing, do not count: they will turn out to be errors.
static sdx_status check_and_count(importer *im, wire message, size_t *values) {
  size_t index = 0;
  node_head h;
  wire_field f;
  *values = 0;
  while (wire_next(&message, &proto_graph, &f)) {
    if (f.slot == GRAPH_INPUT || f.slot == GRAPH_INITIALIZER || f.slot == GRAPH_SPARSE)
      *values += wire_size(f.body) > 2;
    if (f.slot != GRAPH_NODE) continue;
    SDX_TRY(read_head(im, f.body, index++, &h));
    *values += h.named_outputs;
  }
  return SDX_OK;
}

static sdx_status read_initializer(importer *im, const scope *s, const wire_field *f) {
  building *b = s->at;
  tensor_reader *r = &im->tensors;
  str name = STR("");
  tensor *t = arena_zalloc(r->memory, sizeof *t);
  if (!t) return import_no_memory(im);
  sdx_status status;
  if (f->slot == GRAPH_SPARSE) {
    sparse_tensor sparse = {0};
    status = sparse_proto_read(r, f->body, &sparse, &name, im->err);
    if (status == SDX_OK) status = sparse_to_dense(r, &sparse, t, im->err);
  } else {
    tensor_reader reader = import_reader(im, !b->graph->parent);  // what the main graph has, no other reads
    status = import_tensor(im, &reader, f->body, s->call, t, &name);
  }
  if (status == SDX_OK && name.size == 0) status = error_set(im->err, SDX_INVALID_GRAPH, "an initializer has no name");
  error_part part = part_named(PART_INITIALIZER, name);
  if (status == SDX_OK && graph_find(b->graph, name)) status = scope_fail_twice(im, part, "made by two initializers");
  if (status != SDX_OK) {
    error_in_part(im->err, part);
    if (name.size == 0) error_offset(im->err, f->offset);
    status = import_settle(im, status, "initializer", "");
    if (status != SDX_OK || name.size == 0 || graph_find(b->graph, name)) return status;
    return graph_add_value(b->graph, name) ? SDX_OK : import_no_memory(im);  // so that its readers are no problems, too
  }
  return graph_add_constant(b->graph, name, t) ? SDX_OK : import_no_memory(im);
}

typedef struct value_info {
  str name;
  type_info type;
} value_info;

static sdx_status read_value_info(importer *im, graph *g, wire message, value_info *out) {
  wire_counts counts;
  wire_field f;
  *out = (value_info){.name = STR(""), .type = {.kind = TYPE_UNKNOWN, .rank = -1}};
  SDX_TRY(wire_scan(message, &proto_value_info, &counts, im->err));
  wire type = {0};
  while (wire_next(&message, &proto_value_info, &f)) {
    if (f.slot == VALUE_INFO_NAME) out->name = wire_str(&f);
    else type = f.body;
  }
  return type.file ? type_proto_read(g, &im->types, type, &out->type, im->err) : SDX_OK;
}

static sdx_status add_input(importer *im, building *b, const value_info *info) {
  graph *g = b->graph;
  if (info->name.size == 0) return error_set(im->err, SDX_INVALID_GRAPH, "a graph input has no name");
  value_id id = graph_find(g, info->name);
  if (id && !g->values[id].constant) return scope_fail_twice(im, part_named(PART_INPUT, info->name), "an input twice");
  if (id) return default_declare(im, g, id, &info->type);
  id = graph_add_value(g, info->name);
  if (!id) return import_no_memory(im);
  g->inputs[g->input_count++] = id;
  if (g->parent) g->values[id].declared = info->type;  // what its node hands in counts
  else g->values[id].type = info->type;
  return g->parent ? SDX_OK : import_own_dims(im, g, &g->values[id].type, im->options->strict_dims);
}

static sdx_status add_output(importer *im, const scope *s, const value_info *info) {
  graph *g = s->at->graph;
  value_id id;
  if (info->name.size == 0) return error_set(im->err, SDX_INVALID_GRAPH, "a graph output has no name");
  SDX_TRY(scope_resolve(im, s, s->at, part_named(PART_OUTPUT, info->name), &id));
  if (g->values[id].declared.kind == TYPE_UNKNOWN) g->values[id].declared = info->type;
  g->outputs[g->output_count++] = id;
  return SDX_OK;
}

// Declared types of inner values are a help, not a need: names that nobody makes are passed over.
static void add_value_info(const building *b, const value_info *info) {
  value_id id = graph_find(b->graph, info->name);
  if (id && id < b->declared && b->graph->values[id].declared.kind == TYPE_UNKNOWN)
    b->graph->values[id].declared = info->type;
}

// All messages of one slot that describe values.
static sdx_status read_value_infos(importer *im, const scope *s, wire message, size_t slot) {
  error_part_kind kind = slot == GRAPH_INPUT ? PART_INPUT : slot == GRAPH_OUTPUT ? PART_OUTPUT : PART_VALUE;
  wire_field f;
  while (wire_next(&message, &proto_graph, &f)) {
    if (f.slot != slot) continue;
    value_info info;
    sdx_status status = read_value_info(im, s->at->graph, f.body, &info);
    if (status == SDX_OK && slot == GRAPH_VALUE_INFO) add_value_info(s->at, &info);
    if (status == SDX_OK && slot == GRAPH_INPUT) status = add_input(im, s->at, &info);
    if (status == SDX_OK && slot == GRAPH_OUTPUT) status = add_output(im, s, &info);
    if (status == SDX_OK) continue;
    error_in_part(im->err, part_named(kind, info.name));
    SDX_TRY(import_settle(im, status, "value", ""));
  }
  return SDX_OK;
}

static sdx_status read_graph(importer *im, const scope *s, wire message) {
  building *b = s->at;
  graph *g = b->graph;
  wire_counts counts;
  wire_field f;
  size_t values;
  SDX_TRY(wire_scan(message, &proto_graph, &counts, im->err));
  SDX_TRY(check_and_count(im, message, &values));
  size_t nodes = counts.of[GRAPH_NODE], inputs = counts.of[GRAPH_INPUT], outputs = counts.of[GRAPH_OUTPUT];
  if (nodes > im->options->limits.max_nodes) SDX_TRY(spend_work(im, nodes));
  for (wire w = message; wire_next(&w, &proto_graph, &f);) {
    if (f.slot == GRAPH_NAME) g->name = wire_str(&f);
    if (f.slot == GRAPH_DOC) g->doc = wire_str(&f);
  }
  if (!graph_reserve(g, values, nodes)) return import_no_memory(im);
  for (wire w = message; wire_next(&w, &proto_graph, &f);)
    if (f.slot == GRAPH_INITIALIZER || f.slot == GRAPH_SPARSE) SDX_TRY(read_initializer(im, s, &f));
  g->inputs = arena_array(g->memory, inputs, sizeof *g->inputs);
  g->outputs = arena_array(g->memory, outputs, sizeof *g->outputs);
  if (!g->inputs || !g->outputs) return import_no_memory(im);
  SDX_TRY(read_value_infos(im, s, message, GRAPH_INPUT));
  if (!g->parent) SDX_TRY(defaults_add_named(im, g));
  SDX_TRY(read_nodes(im, s, message, &proto_graph, GRAPH_NODE, declare_outputs));
  b->declared = g->value_count;
  SDX_TRY(read_value_infos(im, s, message, GRAPH_VALUE_INFO));  // before subgraphs take the types over
  SDX_TRY(read_nodes(im, s, message, &proto_graph, GRAPH_NODE, build));
  SDX_TRY(read_value_infos(im, s, message, GRAPH_OUTPUT));
  for (uint32_t v = 1; v < g->value_count; v++)
    if (g->values[v].producer == PENDING) g->values[v].producer = 0;
  return SDX_OK;
}

sdx_status import_subgraph(importer *im, const scope *names, building *outer, wire message, graph **out) {
  building b = {.outer = outer, .depth = outer->depth + 1, .graph = graph_create(outer->graph->memory, outer->graph)};
  size_t limit = im->options->limits.max_subgraph_depth;
  if (limit > MOST_SUBGRAPHS_DEEP) limit = MOST_SUBGRAPHS_DEEP;
  if (b.depth > limit)
    return error_set(im->err, SDX_LIMIT_EXCEEDED, "subgraphs are nested more than %zu deep (limit max_subgraph_depth)",
                     limit);
  if (!b.graph) return import_no_memory(im);
  *out = b.graph;
  arena memory;
  arena_init(&memory, im->options->account);
  str_map_init(&b.captured, &memory);
  scope s = {.outer = names, .at = &b, .call = names->call, .opsets = names->opsets, .opset_count = names->opset_count};
  sdx_status status = read_graph(im, &s, message);
  arena_deinit(&memory);
  return status;
}

sdx_status import_graph(importer *im, wire message, graph **out) {
  building b = {.graph = graph_create(&im->model->memory, NULL)};
  if (!b.graph) return import_no_memory(im);
  *out = b.graph;
  scope s = {.at = &b, .opsets = im->model->opsets, .opset_count = im->model->opset_count};
  SDX_TRY(read_graph(im, &s, message));
  sdx_status status = graph_sort(b.graph, im->err);
  if (status != SDX_OK) im->out_of_order = false;  // was not mended
  return import_settle(im, status, "cycle", "graph");
}
