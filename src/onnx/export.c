// SPDX-License-Identifier: Apache-2.0
// model -> ModelProto. Constants become initializers, values that a subgraph takes from outside keep
// the name they have there. Nothing is ever written to a place a model names: data is always inside.
// Nested graphs recurse; import and the verifier bound how deep they are.
#include "onnx/onnx.h"
#include "onnx/proto.h"
#include "onnx/tensor_proto.h"
#include "onnx/type_proto.h"

enum { IR_VERSION_WRITTEN = 10 };

#define NUMBER(schema, slot) proto_number(&proto_##schema, slot)

static void write_graph(text *out, const graph *g);

static str name_of(const graph *g, value_id id) {
  for (; id && g->values[id].outer && g->parent; g = g->parent) id = g->values[id].outer;
  return id ? g->values[id].name : STR("");
}

static void write_sparse(text *out, uint32_t number, const sparse_tensor *s) {
  size_t at = wire_begin(out, number), part = wire_begin(out, NUMBER(sparse, SPARSE_VALUES));
  tensor_proto_write(out, &s->values, STR(""));
  wire_end(out, part);
  part = wire_begin(out, NUMBER(sparse, SPARSE_INDICES));
  tensor_proto_write(out, &s->indices, STR(""));
  wire_end(out, part);
  wire_put_ints(out, NUMBER(sparse, SPARSE_DIMS), s->dims, s->rank);
  wire_end(out, at);
}

static void write_tensor(text *out, uint32_t number, const tensor *t, str name) {
  size_t at = wire_begin(out, number);
  tensor_proto_write(out, t, name);
  wire_end(out, at);
}

static void write_type(text *out, uint32_t number, const graph *g, const type_info *type) {
  size_t at = wire_begin(out, number);
  type_proto_write(out, g, type);
  wire_end(out, at);
}

static void write_subgraph(text *out, uint32_t number, const graph *g) {
  size_t at = wire_begin(out, number);
  write_graph(out, g);
  wire_end(out, at);
}

static void write_attribute(text *out, const graph *g, const attr *a) {
  size_t at = wire_begin(out, NUMBER(node, NODE_ATTRIBUTE)), list;
  wire_put_bytes(out, NUMBER(attribute, ATTRIBUTE_NAME), a->name);
  wire_put_int(out, NUMBER(attribute, ATTRIBUTE_TYPE), a->kind);
  switch (a->kind) {
    case ATTR_FLOAT:
      wire_put_float(out, NUMBER(attribute, ATTRIBUTE_F), a->f);
      break;
    case ATTR_INT:
      wire_put_int(out, NUMBER(attribute, ATTRIBUTE_I), a->i);
      break;
    case ATTR_STRING:
      wire_put_bytes(out, NUMBER(attribute, ATTRIBUTE_S), a->s);
      break;
    case ATTR_TENSOR:
      write_tensor(out, NUMBER(attribute, ATTRIBUTE_T), a->tensor, STR(""));
      break;
    case ATTR_GRAPH:
      write_subgraph(out, NUMBER(attribute, ATTRIBUTE_G), a->graph);
      break;
    case ATTR_FLOATS:
      list = wire_begin(out, NUMBER(attribute, ATTRIBUTE_FLOATS));
      text_append(out, (const char *)a->floats.at, a->floats.count * sizeof(float));
      wire_end(out, list);
      break;
    case ATTR_INTS:
      wire_put_ints(out, NUMBER(attribute, ATTRIBUTE_INTS), a->ints.at, a->ints.count);
      break;
    case ATTR_STRINGS:
      for (size_t i = 0; i < a->strings.count; i++)
        wire_put_bytes(out, NUMBER(attribute, ATTRIBUTE_STRINGS), a->strings.at[i]);
      break;
    case ATTR_TENSORS:
      for (size_t i = 0; i < a->tensors.count; i++)
        write_tensor(out, NUMBER(attribute, ATTRIBUTE_TENSORS), a->tensors.at[i], STR(""));
      break;
    case ATTR_GRAPHS:
      for (size_t i = 0; i < a->graphs.count; i++)
        write_subgraph(out, NUMBER(attribute, ATTRIBUTE_GRAPHS), a->graphs.at[i]);
      break;
    case ATTR_SPARSE_TENSOR:
      write_sparse(out, NUMBER(attribute, ATTRIBUTE_SPARSE), a->sparse);
      break;
    case ATTR_SPARSE_TENSORS:
      for (size_t i = 0; i < a->sparses.count; i++)
        write_sparse(out, NUMBER(attribute, ATTRIBUTE_SPARSES), a->sparses.at[i]);
      break;
    case ATTR_TYPE:
      write_type(out, NUMBER(attribute, ATTRIBUTE_TP), g, a->type);
      break;
    case ATTR_TYPES:
      for (size_t i = 0; i < a->types.count; i++)
        write_type(out, NUMBER(attribute, ATTRIBUTE_TYPE_PROTOS), g, &a->types.at[i]);
      break;
  }
  wire_end(out, at);
}

static void write_node(text *out, const graph *g, const node *n) {
  size_t at = wire_begin(out, NUMBER(graph, GRAPH_NODE));
  for (uint32_t i = 0; i < n->input_count; i++) wire_put_bytes(out, NUMBER(node, NODE_INPUT), name_of(g, n->inputs[i]));
  for (uint32_t i = 0; i < n->output_count; i++)
    wire_put_bytes(out, NUMBER(node, NODE_OUTPUT), name_of(g, n->outputs[i]));
  if (n->name.size) wire_put_bytes(out, NUMBER(node, NODE_NAME), n->name);
  wire_put_bytes(out, NUMBER(node, NODE_OP_TYPE), n->op_type);
  if (n->domain.size) wire_put_bytes(out, NUMBER(node, NODE_DOMAIN), n->domain);
  for (uint32_t i = 0; i < n->attr_count; i++) write_attribute(out, g, &n->attrs[i]);
  wire_end(out, at);
}

static void write_value(text *out, size_t slot, const graph *g, value_id id) {
  size_t at = wire_begin(out, NUMBER(graph, slot));
  wire_put_bytes(out, NUMBER(value_info, VALUE_INFO_NAME), name_of(g, id));
  if (g->values[id].type.kind != TYPE_UNKNOWN)
    write_type(out, NUMBER(value_info, VALUE_INFO_TYPE), g, &g->values[id].type);
  wire_end(out, at);
}

static void write_graph(text *out, const graph *g) {
  for (uint32_t i = 0; i < g->node_count; i++)
    if (!g->nodes[i]->dead) write_node(out, g, g->nodes[i]);
  wire_put_bytes(out, NUMBER(graph, GRAPH_NAME), g->name.size ? g->name : STR("graph"));
  for (uint32_t v = 1; v < g->value_count; v++)
    if (g->values[v].constant)
      write_tensor(out, NUMBER(graph, GRAPH_INITIALIZER), g->values[v].constant, g->values[v].name);
  if (g->doc.size) wire_put_bytes(out, NUMBER(graph, GRAPH_DOC), g->doc);
  for (uint32_t i = 0; i < g->input_count; i++) write_value(out, GRAPH_INPUT, g, g->inputs[i]);
  for (uint32_t i = 0; i < g->output_count; i++) write_value(out, GRAPH_OUTPUT, g, g->outputs[i]);
  for (uint32_t v = 1; v < g->value_count; v++)
    if (g->values[v].producer && g->values[v].type.kind != TYPE_UNKNOWN) write_value(out, GRAPH_VALUE_INFO, g, v);
}

static void write_opset(text *out, str domain, int64_t version) {
  size_t at = wire_begin(out, NUMBER(model, MODEL_OPSET));
  wire_put_bytes(out, NUMBER(opset, OPSET_DOMAIN), domain);
  wire_put_int(out, NUMBER(opset, OPSET_VERSION), version);
  wire_end(out, at);
}

// Nodes that were upgraded are of the newest version, whatever the model was written for.
static void write_opsets(text *out, const model *m) {
  bool upgraded = m->graph->node_count && m->graph->nodes[0]->version == 0, standard = false;
  for (size_t i = 0; i < m->opset_count; i++) {
    bool is_standard = m->opsets[i].domain.size == 0;
    standard |= is_standard;
    bool raise = is_standard && upgraded && m->opsets[i].version < ONNX_NEWEST_OPSET;
    write_opset(out, m->opsets[i].domain, raise ? ONNX_NEWEST_OPSET : m->opsets[i].version);
  }
  if (!standard) write_opset(out, STR(""), upgraded ? ONNX_NEWEST_OPSET : 1);
}

sdx_status onnx_export(const model *m, text *out) {
  wire_put_int(out, NUMBER(model, MODEL_IR_VERSION),
               m->ir_version > IR_VERSION_WRITTEN ? m->ir_version : IR_VERSION_WRITTEN);
  wire_put_bytes(out, NUMBER(model, MODEL_PRODUCER_NAME), m->producer_name);
  wire_put_bytes(out, NUMBER(model, MODEL_PRODUCER_VERSION), m->producer_version);
  wire_put_bytes(out, NUMBER(model, MODEL_DOMAIN), m->domain);
  wire_put_int(out, NUMBER(model, MODEL_VERSION), m->model_version);
  wire_put_bytes(out, NUMBER(model, MODEL_DOC), m->doc);
  write_subgraph(out, NUMBER(model, MODEL_GRAPH), m->graph);
  write_opsets(out, m);
  for (size_t i = 0; i < m->metadata_count; i++) {
    size_t at = wire_begin(out, NUMBER(model, MODEL_METADATA));
    wire_put_bytes(out, NUMBER(entry, ENTRY_KEY), m->metadata[i].key);
    wire_put_bytes(out, NUMBER(entry, ENTRY_VALUE), m->metadata[i].value);
    wire_end(out, at);
  }
  return out->failed ? SDX_NO_MEMORY : SDX_OK;
}
