// SPDX-License-Identifier: Apache-2.0
// TensorFlow's protobuf messages (tensorflow_proto.h).
#include "convert/tensorflow_proto.h"

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
