// SPDX-License-Identifier: Apache-2.0
// model -> ModelProto. Constants become initializers, values that a subgraph takes from outside keep
// the name they have there. Data is inside, or goes where the caller says, never to a place a model names.
// Nested graphs recurse; import and the verifier bound how deep they are.
#include <stdio.h>

#include "onnx/onnx.h"
#include "onnx/proto.h"
#include "onnx/tensor_proto.h"
#include "onnx/type_proto.h"

enum { IR_VERSION_WRITTEN = 10 };

#define NUMBER(schema, slot) proto_number(&proto_##schema, slot)

typedef struct exporter {
  wire_out *out;
  const export_options *options;
  uint64_t external_end;  // of what is in the file of the external data
  arena scratch;
} exporter;

static void write_graph(exporter *e, const graph *g);
static bool as_prepared(const exporter *e) { return e->options && e->options->as_prepared; }

static str name_of(const graph *g, value_id id) {
  for (; id && g->values[id].outer && g->parent; g = g->parent) id = g->values[id].outer;
  return id ? g->values[id].name : STR("");
}

static void write_sparse(exporter *e, uint32_t number, const sparse_tensor *s) {
  size_t at = wire_begin(e->out, number), part = wire_begin(e->out, NUMBER(sparse, SPARSE_VALUES));
  tensor_proto_write(e->out, &s->values, STR(""));
  wire_end(e->out, part);
  part = wire_begin(e->out, NUMBER(sparse, SPARSE_INDICES));
  tensor_proto_write(e->out, &s->indices, STR(""));
  wire_end(e->out, part);
  wire_put_ints(e->out, NUMBER(sparse, SPARSE_DIMS), s->dims, s->rank);
  wire_end(e->out, at);
}

static void write_entry(exporter *e, uint32_t number, str key, str value) {
  size_t at = wire_begin(e->out, number);
  wire_put_bytes(e->out, NUMBER(entry, ENTRY_KEY), key);
  wire_put_bytes(e->out, NUMBER(entry, ENTRY_VALUE), value);
  wire_end(e->out, at);
}

static void write_external_number(exporter *e, str key, uint64_t number) {
  char digits[24];
  write_entry(e, NUMBER(tensor, TENSOR_EXTERNAL_DATA), key,
              (str){digits, (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)number)});
}

static void write_external(exporter *e, const tensor *t, str name) {
  static const char zeros[4096];
  const export_options *o = e->options;
  size_t padding = (size_t)(-e->external_end % (o->external_alignment ? o->external_alignment : sizeof zeros));
  uint64_t offset = e->external_end + padding;
  bool there = o->find_external && o->find_external(o->context, t->data, &offset);
  tensor_proto_write_head(e->out, t, name);
  write_entry(e, NUMBER(tensor, TENSOR_EXTERNAL_DATA), STR("location"), str_from(o->external));
  write_external_number(e, STR("offset"), offset);
  write_external_number(e, STR("length"), t->bytes);
  wire_put_int(e->out, NUMBER(tensor, TENSOR_DATA_LOCATION), 1);
  if (there) return;
  e->external_end = offset + t->bytes;
  if (e->out->counting || wire_failed(e->out)) return;
  if (!o->put_external(o->context, zeros, padding) || !o->put_external(o->context, t->data, t->bytes))
    e->out->failed = true;
}

static void write_tensor(exporter *e, uint32_t number, const tensor *t, str name) {
  size_t at = wire_begin(e->out, number);
  tensor ready = *t;
  if (!t->data && t->bytes && !e->out->counting && !wire_failed(e->out)) {
    ready.data = e->options && e->options->fetch ? (void *)e->options->fetch(e->options->context, t) : NULL;
    if (!ready.data) e->out->failed = true;
  }
  size_t least = e->options && e->options->external_least ? e->options->external_least : EXPORT_EXTERNAL_LEAST;
  bool external = e->options && e->options->external && t->bytes >= least && t->dtype != SDX_STRING && !is_float6(t);
  if (external) write_external(e, &ready, name);
  else if (ready.data || e->out->counting || !t->bytes) tensor_proto_write(e->out, &ready, name);
  wire_end(e->out, at);
}

static void write_type(exporter *e, uint32_t number, const graph *g, const type_info *type) {
  size_t at = wire_begin(e->out, number);
  type_proto_write(e->out, g, type);
  wire_end(e->out, at);
}

static void write_subgraph(exporter *e, uint32_t number, const graph *g) {
  size_t at = wire_begin(e->out, number);
  write_graph(e, g);
  wire_end(e->out, at);
}

static void write_attribute(exporter *e, const graph *g, const attr *a) {
  size_t at = wire_begin(e->out, NUMBER(node, NODE_ATTRIBUTE)), list;
  wire_put_bytes(e->out, NUMBER(attribute, ATTRIBUTE_NAME), a->name);
  wire_put_int(e->out, NUMBER(attribute, ATTRIBUTE_TYPE), a->kind);
  switch (a->kind) {
    case ATTR_FLOAT:
      wire_put_float(e->out, NUMBER(attribute, ATTRIBUTE_F), a->f);
      break;
    case ATTR_INT:
      wire_put_int(e->out, NUMBER(attribute, ATTRIBUTE_I), a->i);
      break;
    case ATTR_STRING:
      wire_put_bytes(e->out, NUMBER(attribute, ATTRIBUTE_S), a->s);
      break;
    case ATTR_TENSOR:
      write_tensor(e, NUMBER(attribute, ATTRIBUTE_T), a->tensor, STR(""));
      break;
    case ATTR_GRAPH:
      write_subgraph(e, NUMBER(attribute, ATTRIBUTE_G), a->graph);
      break;
    case ATTR_FLOATS:
      list = wire_begin(e->out, NUMBER(attribute, ATTRIBUTE_FLOATS));
      wire_put_raw(e->out, a->floats.at, a->floats.count * sizeof(float));
      wire_end(e->out, list);
      break;
    case ATTR_INTS:
      wire_put_ints(e->out, NUMBER(attribute, ATTRIBUTE_INTS), a->ints.at, a->ints.count);
      break;
    case ATTR_STRINGS:
      for (size_t i = 0; i < a->strings.count; i++)
        wire_put_bytes(e->out, NUMBER(attribute, ATTRIBUTE_STRINGS), a->strings.at[i]);
      break;
    case ATTR_TENSORS:
      for (size_t i = 0; i < a->tensors.count; i++)
        write_tensor(e, NUMBER(attribute, ATTRIBUTE_TENSORS), a->tensors.at[i], STR(""));
      break;
    case ATTR_GRAPHS:
      for (size_t i = 0; i < a->graphs.count; i++)
        write_subgraph(e, NUMBER(attribute, ATTRIBUTE_GRAPHS), a->graphs.at[i]);
      break;
    case ATTR_SPARSE_TENSOR:
      write_sparse(e, NUMBER(attribute, ATTRIBUTE_SPARSE), a->sparse);
      break;
    case ATTR_SPARSE_TENSORS:
      for (size_t i = 0; i < a->sparses.count; i++)
        write_sparse(e, NUMBER(attribute, ATTRIBUTE_SPARSES), a->sparses.at[i]);
      break;
    case ATTR_TYPE:
      write_type(e, NUMBER(attribute, ATTRIBUTE_TP), g, a->type);
      break;
    case ATTR_TYPES:
      for (size_t i = 0; i < a->types.count; i++)
        write_type(e, NUMBER(attribute, ATTRIBUTE_TYPE_PROTOS), g, &a->types.at[i]);
      break;
    case ATTR_REFERENCE:  // of graphs that are only looked at
      break;
  }
  wire_end(e->out, at);
}

static void write_node(exporter *e, const graph *g, const node *n) {
  size_t at = wire_begin(e->out, NUMBER(graph, GRAPH_NODE));
  for (uint32_t i = 0; i < n->input_count; i++)
    wire_put_bytes(e->out, NUMBER(node, NODE_INPUT), name_of(g, n->inputs[i]));
  for (uint32_t i = 0; i < n->output_count; i++)
    wire_put_bytes(e->out, NUMBER(node, NODE_OUTPUT), name_of(g, n->outputs[i]));
  if (n->name.size) wire_put_bytes(e->out, NUMBER(node, NODE_NAME), n->name);
  wire_put_bytes(e->out, NUMBER(node, NODE_OP_TYPE), n->op_type);
  if (n->domain.size) wire_put_bytes(e->out, NUMBER(node, NODE_DOMAIN), n->domain);
  for (uint32_t i = 0; i < n->attr_count; i++) write_attribute(e, g, &n->attrs[i]);
  wire_end(e->out, at);
}

static void write_value_info(exporter *e, size_t slot, const graph *g, value_id id, const type_info *type) {
  size_t at = wire_begin(e->out, NUMBER(graph, slot));
  wire_put_bytes(e->out, NUMBER(value_info, VALUE_INFO_NAME), name_of(g, id));
  if (type->kind != TYPE_UNKNOWN) write_type(e, NUMBER(value_info, VALUE_INFO_TYPE), g, type);
  wire_end(e->out, at);
}

static void write_value(exporter *e, size_t slot, const graph *g, value_id id) {
  type_info type;
  if (!type_complete(&e->scratch, &g->values[id], &type)) e->out->failed = true;
  else write_value_info(e, slot, g, id, &type);
}

static void write_graph(exporter *e, const graph *g) {
  for (uint32_t i = 0; i < g->node_count; i++)
    if (!g->nodes[i]->dead) write_node(e, g, g->nodes[i]);
  wire_put_bytes(e->out, NUMBER(graph, GRAPH_NAME), g->name.size ? g->name : STR("graph"));
  uint32_t *uses = as_prepared(e) ? graph_count_uses(g, &e->scratch) : NULL;
  if (as_prepared(e) && !uses) e->out->failed = true;
  for (uint32_t i = 0; uses && i < g->default_count; i++) uses[g->defaults[i]]++;
  for (uint32_t v = 1; v < g->value_count; v++)
    if (g->values[v].constant && (!uses || uses[v]))
      write_tensor(e, NUMBER(graph, GRAPH_INITIALIZER), g->values[v].constant, g->values[v].name);
  if (g->doc.size) wire_put_bytes(e->out, NUMBER(graph, GRAPH_DOC), g->doc);
  for (uint32_t i = 0; i < g->input_count; i++) write_value(e, GRAPH_INPUT, g, g->inputs[i]);
  for (uint32_t i = 0; i < g->default_count; i++)
    write_value_info(e, GRAPH_INPUT, g, g->defaults[i], &g->values[g->defaults[i]].declared);
  for (uint32_t i = 0; i < g->output_count; i++) write_value(e, GRAPH_OUTPUT, g, g->outputs[i]);
  for (uint32_t v = 1; v < g->value_count; v++)
    if (g->values[v].producer && type_best_known(&g->values[v])->kind != TYPE_UNKNOWN)
      write_value(e, GRAPH_VALUE_INFO, g, v);
}

static void write_opset(exporter *e, str domain, int64_t version) {
  size_t at = wire_begin(e->out, NUMBER(model, MODEL_OPSET));
  wire_put_bytes(e->out, NUMBER(opset, OPSET_DOMAIN), domain);
  wire_put_int(e->out, NUMBER(opset, OPSET_VERSION), version);
  wire_end(e->out, at);
}

// Nodes that were upgraded are of the newest version, whatever the model was written for.
static void write_opsets(exporter *e, const model *m) {
  bool upgraded = m->graph->node_count && m->graph->nodes[0]->version == 0, standard = false;
  for (size_t i = 0; i < m->opset_count; i++) {
    bool is_standard = m->opsets[i].domain.size == 0;
    standard |= is_standard;
    bool raise = is_standard && upgraded && !as_prepared(e) && m->opsets[i].version < ONNX_NEWEST_OPSET;
    write_opset(e, m->opsets[i].domain, raise ? ONNX_NEWEST_OPSET : m->opsets[i].version);
  }
  if (!standard && !as_prepared(e)) write_opset(e, STR(""), upgraded ? ONNX_NEWEST_OPSET : 1);
}

// Versions of the types in use: what was imported may hold any of them, what was built says it itself.
static int64_t ir_version(const exporter *e, const model *m) {
  bool as_is = as_prepared(e) || (m->graph->node_count && m->graph->nodes[0]->version != 0);
  return as_is || m->ir_version > IR_VERSION_WRITTEN ? m->ir_version : IR_VERSION_WRITTEN;
}

sdx_status onnx_export(const model *m, const export_options *options, wire_out *out) {
  exporter exporter = {.out = out, .options = options}, *e = &exporter;
  if (options) e->external_end = options->external_at;
  arena_init(&e->scratch, NULL);
  wire_put_int(out, NUMBER(model, MODEL_IR_VERSION), ir_version(e, m));
  wire_put_bytes(out, NUMBER(model, MODEL_PRODUCER_NAME), m->producer_name);
  wire_put_bytes(out, NUMBER(model, MODEL_PRODUCER_VERSION), m->producer_version);
  wire_put_bytes(out, NUMBER(model, MODEL_DOMAIN), m->domain);
  wire_put_int(out, NUMBER(model, MODEL_VERSION), m->model_version);
  wire_put_bytes(out, NUMBER(model, MODEL_DOC), m->doc);
  write_subgraph(e, NUMBER(model, MODEL_GRAPH), m->graph);
  write_opsets(e, m);
  for (size_t i = 0; i < m->metadata_count; i++)
    write_entry(e, NUMBER(model, MODEL_METADATA), m->metadata[i].key, m->metadata[i].value);
  arena_deinit(&e->scratch);
  return wire_failed(out) ? SDX_NO_MEMORY : SDX_OK;
}
