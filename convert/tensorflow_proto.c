// SPDX-License-Identifier: Apache-2.0
// TensorFlow's protobuf messages (tensorflow_proto.h).
#include "convert/tensorflow_proto.h"

// By their numbers, 0 to 23; a reference to one has 100 more.
#define TEN "          "
static const char tf_types[] =
    "DT_INVALID DT_FLOAT DT_DOUBLE DT_INT32 DT_UINT8 DT_INT16 DT_INT8 DT_STRING DT_COMPLEX64 DT_INT64 DT_BOOL DT_QINT8 "
    "DT_QUINT8 DT_QINT32 DT_BFLOAT16 DT_QINT16 DT_QUINT16 DT_UINT16 DT_COMPLEX128 DT_HALF DT_RESOURCE DT_VARIANT "
    "DT_UINT32 DT_UINT64" TEN TEN TEN TEN TEN TEN TEN
    "        "
    "DT_FLOAT_REF DT_DOUBLE_REF DT_INT32_REF DT_UINT8_REF DT_INT16_REF DT_INT8_REF DT_STRING_REF DT_COMPLEX64_REF "
    "DT_INT64_REF DT_BOOL_REF DT_QINT8_REF DT_QUINT8_REF DT_QINT32_REF DT_BFLOAT16_REF DT_QINT16_REF DT_QUINT16_REF "
    "DT_UINT16_REF DT_COMPLEX128_REF DT_HALF_REF DT_RESOURCE_REF DT_VARIANT_REF DT_UINT32_REF DT_UINT64_REF";

WIRE_SCHEMA(const, tf_proto_entry, TF_ENTRY, "AttrEntry")
WIRE_SCHEMA(const, tf_proto_text_entry, TF_TEXT_ENTRY, "RetEntry")
WIRE_SCHEMA(const, tf_proto_dim, TF_DIM, "TensorShapeProto.Dim")
WIRE_SCHEMA(const, tf_proto_shape, TF_SHAPE, "TensorShapeProto")
WIRE_SCHEMA(const, tf_proto_tensor, TF_TENSOR_PROTO, "TensorProto")
WIRE_SCHEMA(const, tf_proto_name, TF_NAME, "NameAttrList")
WIRE_SCHEMA(const, tf_proto_list, TF_LIST_VALUE, "AttrValue.ListValue")
WIRE_SCHEMA(const, tf_proto_attr, TF_ATTR, "AttrValue")
WIRE_SCHEMA(const, tf_proto_node, TF_NODE, "NodeDef")
WIRE_SCHEMA(const, tf_proto_argument, TF_ARGUMENT, "OpDef.ArgDef")
WIRE_SCHEMA(const, tf_proto_signature, TF_SIGNATURE, "OpDef")
WIRE_SCHEMA(const, tf_proto_function, TF_FUNCTION, "FunctionDef")
WIRE_SCHEMA(const, tf_proto_library, TF_LIBRARY, "FunctionDefLibrary")
WIRE_SCHEMA(const, tf_proto_graph, TF_GRAPH, "GraphDef")
WIRE_SCHEMA(const, tf_proto_info, TF_TENSOR_INFO, "TensorInfo")
WIRE_SCHEMA(const, tf_proto_served, TF_SERVED, "SignatureDef")
WIRE_SCHEMA(const, tf_proto_meta_info, TF_META_INFO, "MetaInfoDef")
WIRE_SCHEMA(const, tf_proto_asset, TF_ASSET, "AssetFileDef")
WIRE_SCHEMA(const, tf_proto_meta, TF_META, "MetaGraphDef")
WIRE_SCHEMA(const, tf_proto_saved, TF_SAVED, "SavedModel")
