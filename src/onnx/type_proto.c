// SPDX-License-Identifier: Apache-2.0
// TypeProto; see type_proto.h. Types nest in a line (a sequence of maps of ...), so a loop follows them.
#include "onnx/type_proto.h"

#include "onnx/proto.h"

static sdx_status read_dim(graph *g, wire message, int64_t *dim, error *err) {
  wire_counts counts;
  wire_field f;
  SDX_TRY(wire_scan(message, &proto_dim, &counts, err));
  *dim = DIM_UNKNOWN;
  while (wire_next(&message, &proto_dim, &f)) {
    if (f.slot == DIM_VALUE) {
      *dim = (int64_t)f.value < 0 ? DIM_UNKNOWN : (int64_t)f.value;
      continue;
    }
    str name = wire_str(&f);
    *dim = ~graph_symbol(g, name);
    if (name.size && *dim == DIM_UNKNOWN) return error_no_memory(err, name.size);
  }
  return SDX_OK;
}

static sdx_status read_shape(graph *g, const type_limits *limits, wire message, type_info *out, error *err) {
  wire_counts counts;
  wire_field f;
  SDX_TRY(wire_scan(message, &proto_shape, &counts, err));
  size_t rank = counts.of[SHAPE_DIM];
  if (rank > limits->rank || rank > TENSOR_MAX_RANK)
    return error_set(err, SDX_LIMIT_EXCEEDED, "the declared shape has rank %zu, expected at most %zu", rank,
                     limits->rank < TENSOR_MAX_RANK ? limits->rank : (size_t)TENSOR_MAX_RANK);
  int64_t *dims = arena_array(g->memory, rank, sizeof *dims);
  if (!dims) return error_no_memory(err, rank * sizeof *dims);
  for (size_t i = 0; i < rank && wire_next(&message, &proto_shape, &f); i++)
    SDX_TRY(read_dim(g, f.body, &dims[i], err));
  out->rank = (int8_t)rank;
  out->dims = dims;
  return SDX_OK;
}

static sdx_status read_element_type(uint64_t number, uint8_t *dtype, error *err) {
  int32_t d = (int32_t)number;
  if (d < 0 || d >= SDX_DTYPE_COUNT)
    return error_set(err, SDX_INVALID_MODEL, "element type %d is not known (1 to %d)", d, SDX_DTYPE_COUNT - 1);
  *dtype = (uint8_t)d;
  return SDX_OK;
}

static sdx_status read_tensor_type(graph *g, const type_limits *limits, wire message, type_info *out, error *err) {
  wire_counts counts;
  wire_field f;
  SDX_TRY(wire_scan(message, &proto_tensor_type, &counts, err));
  while (wire_next(&message, &proto_tensor_type, &f)) {
    if (f.slot == TENSOR_TYPE_ELEMENT) SDX_TRY(read_element_type(f.value, &out->dtype, err));
    else SDX_TRY(read_shape(g, limits, f.body, out, err));
  }
  return SDX_OK;
}

// The type inside a sequence, optional or map; an empty window when there is none.
static sdx_status read_inner(wire message, type_info *out, wire *inner, error *err) {
  const wire_schema *schema = out->kind == TYPE_MAP ? &proto_map_type : &proto_element_type;
  size_t type_slot = out->kind == TYPE_MAP ? (size_t)MAP_TYPE_VALUE : (size_t)ELEMENT_TYPE_ELEMENT;
  wire_counts counts;
  wire_field f;
  SDX_TRY(wire_scan(message, schema, &counts, err));
  *inner = (wire){message.file, message.end, message.end};
  while (wire_next(&message, schema, &f)) {
    if (f.slot == type_slot) *inner = f.body;
    else SDX_TRY(read_element_type(f.value, &out->dtype, err));
  }
  return SDX_OK;
}

sdx_status type_proto_read(graph *g, const type_limits *limits, wire message, type_info *out, error *err) {
  static const uint8_t kinds[] = {[TYPE_PROTO_TENSOR] = TYPE_TENSOR,
                                  [TYPE_PROTO_SEQUENCE] = TYPE_SEQUENCE,
                                  [TYPE_PROTO_MAP] = TYPE_MAP,
                                  [TYPE_PROTO_SPARSE] = TYPE_SPARSE,
                                  [TYPE_PROTO_OPTIONAL] = TYPE_OPTIONAL};
  for (size_t depth = 0;; depth++) {
    *out = (type_info){.kind = TYPE_UNKNOWN, .rank = -1};
    if (depth > limits->depth)
      return error_set(err, SDX_LIMIT_EXCEEDED, "types are nested more than %zu deep", limits->depth);
    wire_counts counts;
    wire_field f;
    SDX_TRY(wire_scan(message, &proto_type, &counts, err));
    if (!wire_next(&message, &proto_type, &f)) return SDX_OK;
    wire_field other;
    if (wire_next(&message, &proto_type, &other))
      return error_set(err, SDX_INVALID_MODEL, "byte %zu: a type is both %s and %s", other.offset,
                       proto_type.fields[f.slot].name, proto_type.fields[other.slot].name);
    if (f.slot == TYPE_PROTO_OPAQUE) return error_set(err, SDX_NOT_SUPPORTED, "opaque types are not supported");
    out->kind = kinds[f.slot];
    if (out->kind == TYPE_TENSOR || out->kind == TYPE_SPARSE) return read_tensor_type(g, limits, f.body, out, err);
    SDX_TRY(read_inner(f.body, out, &message, err));
    type_info *element = arena_zalloc(g->memory, sizeof *element);
    if (!element) return error_no_memory(err, sizeof *element);
    out->element = element;
    out = element;
  }
}

// ---- writing --------------------------------------------------------------------------------------------

#define NUMBER(schema, slot) proto_number(&proto_##schema, slot)

static void write_tensor_type(wire_out *out, const graph *g, const type_info *type) {
  wire_put_int(out, NUMBER(tensor_type, TENSOR_TYPE_ELEMENT), type->dtype);
  if (type->rank < 0) return;
  size_t shape = wire_begin(out, NUMBER(tensor_type, TENSOR_TYPE_SHAPE));
  for (int i = 0; i < type->rank; i++) {
    size_t dim = wire_begin(out, NUMBER(shape, SHAPE_DIM));
    str symbol = graph_symbol_name(g, type->dims[i]);
    if (type->dims[i] >= 0) wire_put_int(out, NUMBER(dim, DIM_VALUE), type->dims[i]);
    else if (symbol.size) wire_put_bytes(out, NUMBER(dim, DIM_PARAM), symbol);
    wire_end(out, dim);
  }
  wire_end(out, shape);
}

// Nesting is bounded by type_limits.depth, so recursion is, too.
void type_proto_write(wire_out *out, const graph *g, const type_info *type) {
  static const uint8_t slots[] = {[TYPE_TENSOR] = TYPE_PROTO_TENSOR,
                                  [TYPE_SEQUENCE] = TYPE_PROTO_SEQUENCE,
                                  [TYPE_MAP] = TYPE_PROTO_MAP,
                                  [TYPE_SPARSE] = TYPE_PROTO_SPARSE,
                                  [TYPE_OPTIONAL] = TYPE_PROTO_OPTIONAL};
  if (type->kind == TYPE_UNKNOWN) return;
  size_t content = wire_begin(out, NUMBER(type, slots[type->kind]));
  if (type->kind == TYPE_TENSOR || type->kind == TYPE_SPARSE) {
    write_tensor_type(out, g, type);
  } else {
    bool map = type->kind == TYPE_MAP;
    if (map) wire_put_int(out, NUMBER(map_type, MAP_TYPE_KEY), type->dtype);
    size_t inner = wire_begin(out, map ? NUMBER(map_type, MAP_TYPE_VALUE) : NUMBER(element_type, ELEMENT_TYPE_ELEMENT));
    if (type->element) type_proto_write(out, g, type->element);
    wire_end(out, inner);
  }
  wire_end(out, content);
}
