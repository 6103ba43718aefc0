// SPDX-License-Identifier: Apache-2.0
// Graphs and functions as TensorFlow's protobuf files have them, and the attributes of their nodes. Nodes borrow their
// texts from the file; attributes are read when they are asked for.
#include <string.h>

#include "convert/tensorflow_proto.h"

bool tf_open(tf *t, wire message, const wire_schema *schema, wire_counts *counts) {
  error err = {0};
  if (!wire_scan(message, schema, counts, &err)) return true;
  return !convert_fail(t->c, err.status, "protobuf", err.hint, "%s", err.message);
}

// ---- nodes ------------------------------------------------------------------------------------------

static bool read_attr(tf *t, wire entry, tf_attr *attr) {
  wire_counts counts;
  wire_field f;
  if (!tf_open(t, entry, &tf_proto_entry, &counts)) return false;
  while (wire_next(&entry, &tf_proto_entry, &f)) {
    if (f.slot == ENTRY_KEY) attr->key = wire_str(&f);
    else attr->value = f.body;
  }
  return true;
}

static bool read_node(tf *t, wire message, tf_node *node) {
  wire_counts counts;
  wire_field f;
  if (!tf_open(t, message, &tf_proto_node, &counts)) return false;
  node->inputs = arena_array(t->c->memory, counts.of[NODE_INPUT] + 1, sizeof *node->inputs);
  node->attrs = arena_array(t->c->memory, counts.of[NODE_ATTR] + 1, sizeof *node->attrs);
  if (!node->inputs || !node->attrs) return !convert_no_memory(t->c);
  node->name = node->op = STR("");
  while (wire_next(&message, &tf_proto_node, &f)) {
    str text = wire_str(&f);
    if (f.slot == NODE_NAME) node->name = text;
    else if (f.slot == NODE_OP) node->op = text;
    else if (f.slot == NODE_ATTR && !read_attr(t, f.body, &node->attrs[node->attr_count++])) return false;
    else if (f.slot != NODE_INPUT) continue;
    else if (text.size && text.at[0] == '^') node->inputs[node->input_count + node->control_count++] = text;
    else if (node->control_count)
      return !convert_fail(t->c, SDX_INVALID_MODEL, "graph", NULL, "node '%.*s' has an input behind its control inputs",
                           STR_ARG(node->name));
    else node->inputs[node->input_count++] = text;
  }
  uint32_t row;
  if (str_map_find(&t->kinds, node->op, &row)) node->kind = tf_kind_at(row);
  return true;
}

static bool index_nodes(tf *t, tf_graph *graph) {
  str_map_init(&graph->index, t->c->memory);
  for (size_t i = 0; i < graph->count; i++) {
    uint32_t before;
    str name = graph->nodes[i].name;
    if (str_map_find(&graph->index, name, &before))
      return !convert_fail(t->c, SDX_INVALID_MODEL, "graph", NULL, "two nodes are named '%.*s'", STR_ARG(name));
    if (!str_map_put(&graph->index, name, (uint32_t)i)) return !convert_no_memory(t->c);
  }
  return true;
}

// ---- functions --------------------------------------------------------------------------------------

static bool read_argument(tf *t, wire message, const wire_schema *schema, str *name) {
  wire_counts counts;
  wire_field f;
  if (!tf_open(t, message, schema, &counts)) return false;
  while (wire_next(&message, schema, &f))
    if (f.slot == ARG_NAME) *name = wire_str(&f);
  return true;
}

// Arguments are the first nodes; results are told by the names of the signature and, of each, by a value.
static bool read_signature(tf *t, wire message, size_t nodes, tf_graph *graph) {
  wire_counts counts;
  wire_field f;
  if (!tf_open(t, message, &tf_proto_signature, &counts)) return false;
  graph->arguments = counts.of[SIGNATURE_INPUT];
  graph->nodes = arena_array(t->c->memory, graph->arguments + nodes + 1, sizeof *graph->nodes);
  graph->results = arena_array(t->c->memory, counts.of[SIGNATURE_OUTPUT] + 1, sizeof *graph->results);
  graph->outputs = arena_array(t->c->memory, counts.of[SIGNATURE_OUTPUT] + 1, sizeof *graph->outputs);
  if (!graph->nodes || !graph->results || !graph->outputs) return !convert_no_memory(t->c);
  uint32_t argument = 0;
  bool found = str_map_find(&t->kinds, STR("_Arg"), &argument);
  while (wire_next(&message, &tf_proto_signature, &f)) {
    if (f.slot == SIGNATURE_NAME) graph->name = wire_str(&f);
    else if (f.slot == SIGNATURE_INPUT) {
      tf_node *node = &graph->nodes[graph->count];
      *node = (tf_node){.op = STR("_Arg"), .argument = graph->count, .kind = found ? tf_kind_at(argument) : NULL};
      if (!read_argument(t, f.body, &tf_proto_argument, &node->name)) return false;
      graph->count++;
    } else if (!read_argument(t, f.body, &tf_proto_argument, &graph->outputs[graph->result_count++])) {
      return false;
    }
  }
  return true;
}

static bool read_result(tf *t, wire entry, tf_graph *graph) {
  wire_counts counts;
  wire_field f;
  str key = {0}, value = {0};
  if (!tf_open(t, entry, &tf_proto_text_entry, &counts)) return false;
  while (wire_next(&entry, &tf_proto_text_entry, &f)) *(f.slot == ENTRY_KEY ? &key : &value) = wire_str(&f);
  for (size_t i = 0; i < graph->result_count; i++)
    if (str_equal(graph->outputs[i], key)) graph->results[i] = value;
  return true;
}

static bool read_function(tf *t, wire message, tf_graph *graph) {
  wire_counts counts;
  wire_field f;
  if (!tf_open(t, message, &tf_proto_function, &counts)) return false;
  for (wire w = message; wire_next(&w, &tf_proto_function, &f);)
    if (f.slot == FUNCTION_SIGNATURE && !read_signature(t, f.body, counts.of[FUNCTION_NODE], graph)) return false;
  if (!graph->nodes)
    return !convert_fail(t->c, SDX_INVALID_MODEL, "function library", NULL, "a function has no signature");
  for (wire w = message; wire_next(&w, &tf_proto_function, &f);) {
    if (f.slot == FUNCTION_NODE && !read_node(t, f.body, &graph->nodes[graph->count++])) return false;
    if (f.slot == FUNCTION_RESULT && !read_result(t, f.body, graph)) return false;
  }
  return index_nodes(t, graph);
}

static bool read_library(tf *t, wire message) {
  wire_counts counts;
  wire_field f;
  if (!tf_open(t, message, &tf_proto_library, &counts)) return false;
  t->functions = arena_array(t->c->memory, counts.of[LIBRARY_FUNCTION] + 1, sizeof *t->functions);
  if (!t->functions) return !convert_no_memory(t->c);
  while (wire_next(&message, &tf_proto_library, &f)) {
    tf_graph *graph = &t->functions[t->function_count];
    if (!read_function(t, f.body, graph)) return false;
    if (!str_map_put(&t->function_index, graph->name, (uint32_t)t->function_count++)) return !convert_no_memory(t->c);
  }
  return true;
}

bool tf_read_graph(tf *t, wire message) {
  wire_counts counts;
  wire_field f;
  if (!tf_open(t, message, &tf_proto_graph, &counts)) return false;
  str_map_init(&t->function_index, t->c->memory);
  t->main.nodes = arena_array(t->c->memory, counts.of[GRAPH_NODE] + 1, sizeof *t->main.nodes);
  if (!t->main.nodes) return !convert_no_memory(t->c);
  while (wire_next(&message, &tf_proto_graph, &f)) {
    if (f.slot == GRAPH_NODE && !read_node(t, f.body, &t->main.nodes[t->main.count++])) return false;
    if (f.slot == GRAPH_LIBRARY && !read_library(t, f.body)) return false;
  }
  return index_nodes(t, &t->main);
}

tf_graph *tf_find_function(const tf *t, str name) {
  uint32_t index;
  return str_map_find(&t->function_index, name, &index) ? &t->functions[index] : NULL;
}

// ---- attributes -------------------------------------------------------------------------------------

static bool tf_attr_find(const tf_node *node, const char *key, wire *value) {
  for (size_t i = 0; i < node->attr_count; i++)
    if (str_is(node->attrs[i].key, key)) return *value = node->attrs[i].value, true;
  return false;
}

// The field of an attribute; false: it has another, or does not exist. Attributes were not scanned yet.
static bool field_of(const tf_node *node, const char *key, size_t slot, wire_field *f) {
  wire value;
  wire_counts counts;
  if (!tf_attr_find(node, key, &value) || wire_scan(value, &tf_proto_attr, &counts, NULL)) return false;
  while (wire_next(&value, &tf_proto_attr, f))
    if (f->slot == slot) return true;
  return false;
}

int64_t tf_attr_int(const tf_node *node, const char *key, int64_t missing) {
  wire_field f;
  static const size_t slots[] = {ATTR_INT, ATTR_BOOL, ATTR_TYPE};
  for (size_t i = 0; i < 3; i++)
    if (field_of(node, key, slots[i], &f)) return (int64_t)f.value;
  return missing;
}

float tf_attr_float(const tf_node *node, const char *key, float missing) {
  wire_field f;
  return field_of(node, key, ATTR_FLOAT, &f) ? wire_float(&f) : missing;
}

static str name_of(wire function) {
  wire_counts counts;
  wire_field f;
  if (!wire_scan(function, &tf_proto_name, &counts, NULL))
    while (wire_next(&function, &tf_proto_name, &f))
      if (f.slot == NAME_NAME) return wire_str(&f);
  return (str){0};
}

str tf_attr_text(const tf_node *node, const char *key) {
  wire_field f;
  if (field_of(node, key, ATTR_TEXT, &f)) return wire_str(&f);
  return field_of(node, key, ATTR_FUNCTION, &f) ? name_of(f.body) : (str){0};
}

static bool list_of(const tf_node *node, const char *key, wire *list) {
  wire_field f;
  wire_counts counts;
  if (!field_of(node, key, ATTR_LIST, &f) || wire_scan(f.body, &tf_proto_list, &counts, NULL)) return false;
  *list = f.body;
  return true;
}

size_t tf_attr_ints(const tf_node *node, const char *key, int64_t *to, size_t room) {
  wire list;
  wire_field f;
  size_t count = 0;
  if (!list_of(node, key, &list)) return 0;
  while (count < room && wire_next(&list, &tf_proto_list, &f)) {
    if (f.slot != LIST_INT && f.slot != LIST_BOOL && f.slot != LIST_TYPE) continue;
    for (size_t n; count < room && (n = wire_read_ints(&f, to + count, room - count));) count += n;
  }
  return count;
}

size_t tf_attr_list(const tf_node *node, const char *key, str *to, size_t room) {
  wire list;
  wire_field f;
  size_t count = 0;
  if (!list_of(node, key, &list)) return 0;
  while (count < room && wire_next(&list, &tf_proto_list, &f)) {
    if (f.slot == LIST_TEXT) to[count++] = wire_str(&f);
    if (f.slot == LIST_FUNCTION) to[count++] = name_of(f.body);
  }
  return count;
}

bool tf_read_shape(tf *t, wire message, int *rank, int64_t *shape) {
  wire_counts counts;
  wire_field f;
  *rank = 0;
  if (!tf_open(t, message, &tf_proto_shape, &counts)) return false;
  while (wire_next(&message, &tf_proto_shape, &f)) {
    if (f.slot == SHAPE_UNKNOWN) {
      if (f.value) return *rank = -1, true;
      continue;
    }
    wire dim = f.body;
    int64_t size = 0;
    if (!tf_open(t, dim, &tf_proto_dim, &counts)) return false;
    while (wire_next(&dim, &tf_proto_dim, &f)) size = (int64_t)f.value;
    if (size > TF_LONGEST)
      return !convert_fail(t->c, SDX_INVALID_MODEL, "shape", NULL, "a dimension of %lld", (long long)size);
    if (*rank == TF_RANK)
      return !convert_fail(t->c, SDX_NOT_SUPPORTED, "shape", NULL, "more than %d dimensions", TF_RANK);
    shape[(*rank)++] = size < 0 ? -1 : size;
  }
  return true;
}

bool tf_attr_shape(tf *t, const tf_node *node, const char *key, size_t index, int *rank, int64_t *shape) {
  wire_field f;
  wire list;
  *rank = -1;
  if (!index && field_of(node, key, ATTR_SHAPE, &f)) return tf_read_shape(t, f.body, rank, shape);
  if (!list_of(node, key, &list)) return false;
  while (wire_next(&list, &tf_proto_list, &f))
    if (f.slot == LIST_SHAPE && !index--) return tf_read_shape(t, f.body, rank, shape);
  return false;
}

bool tf_attr_tensor(const tf_node *node, const char *key, wire *tensor) {
  wire_field f;
  if (!field_of(node, key, ATTR_TENSOR, &f)) return false;
  *tensor = f.body;
  return true;
}

sdx_dtype tf_dtype(int64_t type) {
  static const sdx_dtype types[] = {[1] = SDX_FLOAT,       [2] = SDX_DOUBLE,   [3] = SDX_INT32,     [4] = SDX_UINT8,
                                    [5] = SDX_INT16,       [6] = SDX_INT8,     [7] = SDX_STRING,    [8] = SDX_COMPLEX64,
                                    [9] = SDX_INT64,       [10] = SDX_BOOL,    [14] = SDX_BFLOAT16, [17] = SDX_UINT16,
                                    [18] = SDX_COMPLEX128, [19] = SDX_FLOAT16, [22] = SDX_UINT32,   [23] = SDX_UINT64};
  if (type > 100) type -= 100;  // a reference to such a tensor
  if (type == 20 || type == 21) return (sdx_dtype)TF_RESOURCE;
  return type > 0 && type < (int64_t)(sizeof types / sizeof *types) ? types[type] : SDX_UNDEFINED;
}

sdx_dtype tf_attr_dtype(const tf_node *node, const char *key) { return tf_dtype(tf_attr_int(node, key, 0)); }
