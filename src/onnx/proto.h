// SPDX-License-Identifier: Apache-2.0
// The messages of onnx.proto that mean something to us, one list each: slot, field number, kind,
// name. Fields that are not listed are skipped unread (training_info, quantization annotations,
// device configurations, documentation of parts). Read with base/wire.h.
#pragma once

#include "base/wire.h"

#define PROTO_MODEL(F)                                    \
  F(MODEL_IR_VERSION, 1, INT, "ir_version")               \
  F(MODEL_PRODUCER_NAME, 2, BYTES, "producer_name")       \
  F(MODEL_PRODUCER_VERSION, 3, BYTES, "producer_version") \
  F(MODEL_DOMAIN, 4, BYTES, "domain")                     \
  F(MODEL_VERSION, 5, INT, "model_version")               \
  F(MODEL_DOC, 6, BYTES, "doc_string")                    \
  F(MODEL_GRAPH, 7, MESSAGE, "graph")                     \
  F(MODEL_OPSET, 8, MESSAGE_LIST, "opset_import")         \
  F(MODEL_METADATA, 14, MESSAGE_LIST, "metadata_props")   \
  F(MODEL_FUNCTION, 25, MESSAGE_LIST, "functions")

#define PROTO_OPSET(F)                \
  F(OPSET_DOMAIN, 1, BYTES, "domain") \
  F(OPSET_VERSION, 2, INT, "version")

#define PROTO_ENTRY(F)          \
  F(ENTRY_KEY, 1, BYTES, "key") \
  F(ENTRY_VALUE, 2, BYTES, "value")

#define PROTO_GRAPH(F)                                 \
  F(GRAPH_NODE, 1, MESSAGE_LIST, "node")               \
  F(GRAPH_NAME, 2, BYTES, "name")                      \
  F(GRAPH_INITIALIZER, 5, MESSAGE_LIST, "initializer") \
  F(GRAPH_DOC, 10, BYTES, "doc_string")                \
  F(GRAPH_INPUT, 11, MESSAGE_LIST, "input")            \
  F(GRAPH_OUTPUT, 12, MESSAGE_LIST, "output")          \
  F(GRAPH_VALUE_INFO, 13, MESSAGE_LIST, "value_info")  \
  F(GRAPH_SPARSE, 15, MESSAGE_LIST, "sparse_initializer")

#define PROTO_NODE(F)                             \
  F(NODE_INPUT, 1, BYTES_LIST, "input")           \
  F(NODE_OUTPUT, 2, BYTES_LIST, "output")         \
  F(NODE_NAME, 3, BYTES, "name")                  \
  F(NODE_OP_TYPE, 4, BYTES, "op_type")            \
  F(NODE_ATTRIBUTE, 5, MESSAGE_LIST, "attribute") \
  F(NODE_DOC, 6, BYTES, "doc_string")             \
  F(NODE_DOMAIN, 7, BYTES, "domain")              \
  F(NODE_OVERLOAD, 8, BYTES, "overload")

#define PROTO_ATTRIBUTE(F)                                  \
  F(ATTRIBUTE_NAME, 1, BYTES, "name")                       \
  F(ATTRIBUTE_F, 2, FLOAT, "f")                             \
  F(ATTRIBUTE_I, 3, INT, "i")                               \
  F(ATTRIBUTE_S, 4, BYTES, "s")                             \
  F(ATTRIBUTE_T, 5, MESSAGE, "t")                           \
  F(ATTRIBUTE_G, 6, MESSAGE, "g")                           \
  F(ATTRIBUTE_FLOATS, 7, FLOATS, "floats")                  \
  F(ATTRIBUTE_INTS, 8, INTS, "ints")                        \
  F(ATTRIBUTE_STRINGS, 9, BYTES_LIST, "strings")            \
  F(ATTRIBUTE_TENSORS, 10, MESSAGE_LIST, "tensors")         \
  F(ATTRIBUTE_GRAPHS, 11, MESSAGE_LIST, "graphs")           \
  F(ATTRIBUTE_TP, 14, MESSAGE, "tp")                        \
  F(ATTRIBUTE_TYPE_PROTOS, 15, MESSAGE_LIST, "type_protos") \
  F(ATTRIBUTE_TYPE, 20, INT, "type")                        \
  F(ATTRIBUTE_REF, 21, BYTES, "ref_attr_name")              \
  F(ATTRIBUTE_SPARSE, 22, MESSAGE, "sparse_tensor")         \
  F(ATTRIBUTE_SPARSES, 23, MESSAGE_LIST, "sparse_tensors")

#define PROTO_FUNCTION(F)                                          \
  F(FUNCTION_NAME, 1, BYTES, "name")                               \
  F(FUNCTION_INPUT, 4, BYTES_LIST, "input")                        \
  F(FUNCTION_OUTPUT, 5, BYTES_LIST, "output")                      \
  F(FUNCTION_ATTRIBUTE, 6, BYTES_LIST, "attribute")                \
  F(FUNCTION_NODE, 7, MESSAGE_LIST, "node")                        \
  F(FUNCTION_OPSET, 9, MESSAGE_LIST, "opset_import")               \
  F(FUNCTION_DOMAIN, 10, BYTES, "domain")                          \
  F(FUNCTION_ATTRIBUTE_PROTO, 11, MESSAGE_LIST, "attribute_proto") \
  F(FUNCTION_OVERLOAD, 13, BYTES, "overload")

#define PROTO_VALUE_INFO(F)            \
  F(VALUE_INFO_NAME, 1, BYTES, "name") \
  F(VALUE_INFO_TYPE, 2, MESSAGE, "type")

#define PROTO_TYPE(F)                                    \
  F(TYPE_PROTO_TENSOR, 1, MESSAGE, "tensor_type")        \
  F(TYPE_PROTO_SEQUENCE, 4, MESSAGE, "sequence_type")    \
  F(TYPE_PROTO_MAP, 5, MESSAGE, "map_type")              \
  F(TYPE_PROTO_OPAQUE, 7, MESSAGE, "opaque_type")        \
  F(TYPE_PROTO_SPARSE, 8, MESSAGE, "sparse_tensor_type") \
  F(TYPE_PROTO_OPTIONAL, 9, MESSAGE, "optional_type")

#define PROTO_TENSOR_TYPE(F)                  \
  F(TENSOR_TYPE_ELEMENT, 1, INT, "elem_type") \
  F(TENSOR_TYPE_SHAPE, 2, MESSAGE, "shape")

#define PROTO_ELEMENT_TYPE(F) F(ELEMENT_TYPE_ELEMENT, 1, MESSAGE, "elem_type")  // sequence and optional

#define PROTO_MAP_TYPE(F)             \
  F(MAP_TYPE_KEY, 1, INT, "key_type") \
  F(MAP_TYPE_VALUE, 2, MESSAGE, "value_type")

#define PROTO_SHAPE(F) F(SHAPE_DIM, 1, MESSAGE_LIST, "dim")

#define PROTO_DIM(F)                \
  F(DIM_VALUE, 1, INT, "dim_value") \
  F(DIM_PARAM, 2, BYTES, "dim_param")

#define PROTO_TENSOR(F)                                      \
  F(TENSOR_DIMS, 1, INTS, "dims")                            \
  F(TENSOR_DATA_TYPE, 2, INT, "data_type")                   \
  F(TENSOR_SEGMENT, 3, MESSAGE, "segment")                   \
  F(TENSOR_FLOAT_DATA, 4, FLOATS, "float_data")              \
  F(TENSOR_INT32_DATA, 5, INTS, "int32_data")                \
  F(TENSOR_STRING_DATA, 6, BYTES_LIST, "string_data")        \
  F(TENSOR_INT64_DATA, 7, INTS, "int64_data")                \
  F(TENSOR_NAME, 8, BYTES, "name")                           \
  F(TENSOR_RAW_DATA, 9, BYTES, "raw_data")                   \
  F(TENSOR_DOUBLE_DATA, 10, DOUBLES, "double_data")          \
  F(TENSOR_UINT64_DATA, 11, INTS, "uint64_data")             \
  F(TENSOR_EXTERNAL_DATA, 13, MESSAGE_LIST, "external_data") \
  F(TENSOR_DATA_LOCATION, 14, INT, "data_location")

#define PROTO_SPARSE(F)                    \
  F(SPARSE_VALUES, 1, MESSAGE, "values")   \
  F(SPARSE_INDICES, 2, MESSAGE, "indices") \
  F(SPARSE_DIMS, 3, INTS, "dims")

// Values in files of test data.
#define PROTO_SEQUENCE(F)                                     \
  F(SEQUENCE_ELEMENT_TYPE, 2, INT, "elem_type")               \
  F(SEQUENCE_TENSORS, 3, MESSAGE_LIST, "tensor_values")       \
  F(SEQUENCE_SPARSE, 4, MESSAGE_LIST, "sparse_tensor_values") \
  F(SEQUENCE_SEQUENCES, 5, MESSAGE_LIST, "sequence_values")   \
  F(SEQUENCE_MAPS, 6, MESSAGE_LIST, "map_values")             \
  F(SEQUENCE_OPTIONALS, 7, MESSAGE_LIST, "optional_values")

#define PROTO_MAP(F)                               \
  F(MAP_KEY_TYPE, 2, INT, "key_type")              \
  F(MAP_KEYS, 3, INTS, "keys")                     \
  F(MAP_STRING_KEYS, 4, BYTES_LIST, "string_keys") \
  F(MAP_VALUES, 5, MESSAGE, "values")

#define PROTO_OPTIONAL(F)                               \
  F(OPTIONAL_ELEMENT_TYPE, 2, INT, "elem_type")         \
  F(OPTIONAL_TENSOR, 3, MESSAGE, "tensor_value")        \
  F(OPTIONAL_SPARSE, 4, MESSAGE, "sparse_tensor_value") \
  F(OPTIONAL_SEQUENCE, 5, MESSAGE, "sequence_value")    \
  F(OPTIONAL_MAP, 6, MESSAGE, "map_value")              \
  F(OPTIONAL_OPTIONAL, 7, MESSAGE, "optional_value")

#define PROTO_LIST(M)                                       \
  M(model, PROTO_MODEL, "ModelProto")                       \
  M(opset, PROTO_OPSET, "OperatorSetIdProto")               \
  M(entry, PROTO_ENTRY, "StringStringEntryProto")           \
  M(graph, PROTO_GRAPH, "GraphProto")                       \
  M(node, PROTO_NODE, "NodeProto")                          \
  M(attribute, PROTO_ATTRIBUTE, "AttributeProto")           \
  M(function, PROTO_FUNCTION, "FunctionProto")              \
  M(value_info, PROTO_VALUE_INFO, "ValueInfoProto")         \
  M(type, PROTO_TYPE, "TypeProto")                          \
  M(tensor_type, PROTO_TENSOR_TYPE, "TypeProto.Tensor")     \
  M(element_type, PROTO_ELEMENT_TYPE, "TypeProto.Sequence") \
  M(map_type, PROTO_MAP_TYPE, "TypeProto.Map")              \
  M(shape, PROTO_SHAPE, "TensorShapeProto")                 \
  M(dim, PROTO_DIM, "TensorShapeProto.Dimension")           \
  M(tensor, PROTO_TENSOR, "TensorProto")                    \
  M(sparse, PROTO_SPARSE, "SparseTensorProto")              \
  M(sequence, PROTO_SEQUENCE, "SequenceProto")              \
  M(map, PROTO_MAP, "MapProto")                             \
  M(optional, PROTO_OPTIONAL, "OptionalProto")

#define M(id, fields, name) enum { fields(WIRE_SLOT) };
PROTO_LIST(M)
#undef M

// proto_node.fields[NODE_INPUT] is field 1, "input".
#define M(id, fields, name) extern const wire_schema proto_##id;
PROTO_LIST(M)
#undef M

// Field number of a slot, for writing.
static inline uint32_t proto_number(const wire_schema *schema, size_t slot) { return schema->fields[slot].number; }
