// SPDX-License-Identifier: Apache-2.0
// TensorFlow's protobuf messages, one table each (base/wire.h), as far as they are read.
#pragma once

#include "convert/tensorflow.h"

#define TF_ENTRY(F) F(ENTRY_KEY, 1, BYTES, "key") F(ENTRY_VALUE, 2, MESSAGE, "value", .message = &tf_proto_attr)
#define TF_TEXT_ENTRY(F) F(TEXT_ENTRY_KEY, 1, BYTES, "key") F(TEXT_ENTRY_VALUE, 2, BYTES, "value")
#define TF_DIM(F) F(DIM_SIZE, 1, INT, "size")
#define TF_SHAPE(F) \
  F(SHAPE_DIM, 2, MESSAGE_LIST, "dim", .message = &tf_proto_dim) F(SHAPE_UNKNOWN, 3, INT, "unknown_rank")
#define TF_TENSOR_PROTO(F)                                                \
  F(TENSOR_DTYPE, 1, INT, "dtype", .words = tf_types)                     \
  F(TENSOR_SHAPE, 2, MESSAGE, "tensor_shape", .message = &tf_proto_shape) \
  F(TENSOR_CONTENT, 4, BYTES, "tensor_content")                           \
  F(TENSOR_HALF, 13, INTS, "half_val")                                    \
  F(TENSOR_FLOAT, 5, FLOATS, "float_val")                                 \
  F(TENSOR_DOUBLE, 6, DOUBLES, "double_val")                              \
  F(TENSOR_INT, 7, INTS, "int_val")                                       \
  F(TENSOR_STRING, 8, BYTES_LIST, "string_val")                           \
  F(TENSOR_INT64, 10, INTS, "int64_val")                                  \
  F(TENSOR_BOOL, 11, INTS, "bool_val")                                    \
  F(TENSOR_UINT32, 16, INTS, "uint32_val")                                \
  F(TENSOR_UINT64, 17, INTS, "uint64_val")
#define TF_NAME(F) F(NAME_NAME, 1, BYTES, "name")
#define TF_LIST_VALUE(F)                                                 \
  F(LIST_TEXT, 2, BYTES_LIST, "s")                                       \
  F(LIST_INT, 3, INTS, "i")                                              \
  F(LIST_FLOAT, 4, FLOATS, "f")                                          \
  F(LIST_BOOL, 5, INTS, "b")                                             \
  F(LIST_TYPE, 6, INTS, "type", .words = tf_types)                       \
  F(LIST_SHAPE, 7, MESSAGE_LIST, "shape", .message = &tf_proto_shape)    \
  F(LIST_TENSOR, 8, MESSAGE_LIST, "tensor", .message = &tf_proto_tensor) \
  F(LIST_FUNCTION, 9, MESSAGE_LIST, "func", .message = &tf_proto_name)
#define TF_ATTR(F)                                                  \
  F(ATTR_LIST, 1, MESSAGE, "list", .message = &tf_proto_list)       \
  F(ATTR_TEXT, 2, BYTES, "s")                                       \
  F(ATTR_INT, 3, INT, "i")                                          \
  F(ATTR_FLOAT, 4, FLOAT, "f")                                      \
  F(ATTR_BOOL, 5, INT, "b")                                         \
  F(ATTR_TYPE, 6, INT, "type", .words = tf_types)                   \
  F(ATTR_SHAPE, 7, MESSAGE, "shape", .message = &tf_proto_shape)    \
  F(ATTR_TENSOR, 8, MESSAGE, "tensor", .message = &tf_proto_tensor) \
  F(ATTR_FUNCTION, 10, MESSAGE, "func", .message = &tf_proto_name)
#define TF_NODE(F)                      \
  F(NODE_NAME, 1, BYTES, "name")        \
  F(NODE_OP, 2, BYTES, "op")            \
  F(NODE_INPUT, 3, BYTES_LIST, "input") \
  F(NODE_ATTR, 5, MESSAGE_LIST, "attr", .message = &tf_proto_entry)
#define TF_ARGUMENT(F) F(ARG_NAME, 1, BYTES, "name")
#define TF_SIGNATURE(F)                                                           \
  F(SIGNATURE_NAME, 1, BYTES, "name")                                             \
  F(SIGNATURE_INPUT, 2, MESSAGE_LIST, "input_arg", .message = &tf_proto_argument) \
  F(SIGNATURE_OUTPUT, 3, MESSAGE_LIST, "output_arg", .message = &tf_proto_argument)
#define TF_FUNCTION(F)                                                           \
  F(FUNCTION_SIGNATURE, 1, MESSAGE, "signature", .message = &tf_proto_signature) \
  F(FUNCTION_NODE, 3, MESSAGE_LIST, "node_def", .message = &tf_proto_node)       \
  F(FUNCTION_RESULT, 4, MESSAGE_LIST, "ret", .message = &tf_proto_text_entry)
#define TF_LIBRARY(F) F(LIBRARY_FUNCTION, 1, MESSAGE_LIST, "function", .message = &tf_proto_function)
#define TF_GRAPH(F)                                                 \
  F(GRAPH_NODE, 1, MESSAGE_LIST, "node", .message = &tf_proto_node) \
  F(GRAPH_LIBRARY, 2, MESSAGE, "library", .message = &tf_proto_library)
#define TF_TENSOR_INFO(F)        \
  F(INFO_NAME, 1, BYTES, "name") \
  F(INFO_DTYPE, 2, INT, "dtype") \
  F(INFO_SHAPE, 3, MESSAGE, "tensor_shape")
#define TF_SERVED(F)                           \
  F(SERVED_INPUT, 1, MESSAGE_LIST, "inputs")   \
  F(SERVED_OUTPUT, 2, MESSAGE_LIST, "outputs") \
  F(SERVED_METHOD, 3, BYTES, "method_name")
#define TF_META_INFO(F) F(META_TAG, 4, BYTES_LIST, "tags") F(META_VERSION, 5, BYTES, "tensorflow_version")
#define TF_ASSET(F) F(ASSET_INFO, 1, MESSAGE, "tensor_info") F(ASSET_FILE, 2, BYTES, "filename")
#define TF_META(F)                                 \
  F(META_INFO, 1, MESSAGE, "meta_info_def")        \
  F(META_GRAPH, 2, MESSAGE, "graph_def")           \
  F(META_SERVED, 5, MESSAGE_LIST, "signature_def") \
  F(META_ASSET, 6, MESSAGE_LIST, "asset_file_def")
#define TF_SAVED(F) F(SAVED_VERSION, 1, INT, "saved_model_schema_version") F(SAVED_META, 2, MESSAGE_LIST, "meta_graphs")

enum { TF_ENTRY(WIRE_SLOT) };
enum { TF_TEXT_ENTRY(WIRE_SLOT) };
enum { TF_DIM(WIRE_SLOT) };
enum { TF_SHAPE(WIRE_SLOT) };
enum { TF_TENSOR_PROTO(WIRE_SLOT) };
enum { TF_NAME(WIRE_SLOT) };
enum { TF_LIST_VALUE(WIRE_SLOT) };
enum { TF_ATTR(WIRE_SLOT) };
enum { TF_NODE(WIRE_SLOT) };
enum { TF_ARGUMENT(WIRE_SLOT) };
enum { TF_SIGNATURE(WIRE_SLOT) };
enum { TF_FUNCTION(WIRE_SLOT) };
enum { TF_LIBRARY(WIRE_SLOT) };
enum { TF_GRAPH(WIRE_SLOT) };
enum { TF_TENSOR_INFO(WIRE_SLOT) };
enum { TF_SERVED(WIRE_SLOT) };
enum { TF_META_INFO(WIRE_SLOT) };
enum { TF_ASSET(WIRE_SLOT) };
enum { TF_META(WIRE_SLOT) };
enum { TF_SAVED(WIRE_SLOT) };

extern wire_schema const tf_proto_entry, tf_proto_text_entry, tf_proto_dim, tf_proto_shape, tf_proto_tensor,
    tf_proto_name, tf_proto_list, tf_proto_attr, tf_proto_node, tf_proto_argument, tf_proto_signature,
    tf_proto_function, tf_proto_library, tf_proto_graph, tf_proto_info, tf_proto_served, tf_proto_meta_info,
    tf_proto_asset, tf_proto_meta, tf_proto_saved;

// Checked before, or on a failure: false.
bool tf_read_shape(tf *t, wire message, int *rank, int64_t *shape);
bool tf_attr_tensor(const tf_node *node, const char *key, wire *tensor);
bool tf_read_tensor(tf *t, wire message, tf_value *value);
const tf_kind *tf_kind_at(uint32_t row);

// ---- files ------------------------------------------------------------------------------------------

// An input or output of the model: its name, and the value in the graph.
typedef struct tf_served {
  str name, value;
} tf_served;

typedef struct tf_interface {
  tf_served *in, *out;  // NULL: to be found
  size_t in_count, out_count;
} tf_interface;

typedef struct tf_asset {
  str value, file;  // the node that gives the name of a file
} tf_asset;

bool tf_is_saved_model(const source *s);
bool tf_open_meta_graph(tf *t);
bool tf_open_saved_model(tf *t, tf_interface *io);
