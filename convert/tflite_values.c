// SPDX-License-Identifier: Apache-2.0
// Tensors of a subgraph: constants in the file, values that operators make, their forms in floats.
#include <string.h>

#include "base/size.h"
#include "convert/tflite.h"

enum {
  TENSOR_SHAPE,
  TENSOR_TYPE,
  TENSOR_BUFFER,
  TENSOR_NAME,
  TENSOR_QUANTIZATION,
  TENSOR_VARIABLE,
  TENSOR_SPARSITY,
  TENSOR_SIGNATURE
};
enum { QUANTIZATION_SCALE = 2, QUANTIZATION_ZERO, QUANTIZATION_AXIS = 6 };
enum { BUFFER_DATA };

static const struct {
  sdx_dtype dtype;
  size_t bytes;
} types[] = {{SDX_FLOAT, 4}, {SDX_FLOAT16, 2}, {SDX_INT32, 4}, {SDX_UINT8, 1}, {SDX_INT64, 8}, {0, 0},
             {SDX_BOOL, 1},  {SDX_INT16, 2},   {0, 0},         {SDX_INT8, 1},  {SDX_DOUBLE, 8}};

static size_t element_bytes(sdx_dtype dtype) {
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (types[i].dtype == dtype) return types[i].bytes;
  return 0;
}

flat_table tflite_table_at(flat_vector v, size_t index) {
  return index < v.count ? flat_table_at(&v, index) : (flat_table){.buffer = v.buffer};
}

int64_t tflite_int_at(flat_vector v, size_t index, unsigned bytes) {
  return index < v.count ? flat_int(v.at + index * bytes, bytes) : 0;
}

static bool read_tensor(tflite *t, flat_table table, tflite_tensor *x) {
  flat_vector shape = flat_vector_field(&table, TENSOR_SHAPE, 4);
  flat_vector signature = flat_vector_field(&table, TENSOR_SIGNATURE, 4);
  flat_table quantization = flat_table_field(&table, TENSOR_QUANTIZATION);
  int64_t type = flat_int_field(&table, TENSOR_TYPE, 1, 0);
  *x = (tflite_tensor){.name = flat_string_field(&table, TENSOR_NAME), .rank = shape.count};
  if (signature.count == shape.count) shape = signature;
  if (x->rank > TFLITE_RANK)
    return !convert_fail(t->c, SDX_NOT_SUPPORTED, "tensor", NULL, "'%.*s' has %zu dimensions, expected at most %d",
                         STR_ARG(x->name), x->rank, TFLITE_RANK);
  for (size_t i = 0; i < x->rank; i++) x->shape[i] = tflite_int_at(shape, i, 4);
  if (type < 0 || (size_t)type >= sizeof types / sizeof *types || !types[type].bytes ||
      flat_table_field(&table, TENSOR_SPARSITY).fields)
    x->dtype = SDX_UNDEFINED;  // a failure where it is used
  else x->dtype = types[type].dtype;
  flat_table buffer = tflite_table_at(t->buffers, (size_t)flat_int_field(&table, TENSOR_BUFFER, 4, 0));
  str data = flat_string_field(&buffer, BUFFER_DATA);
  x->bytes = data.size ? (const unsigned char *)data.at : NULL;
  x->size = data.size;
  x->scale = flat_vector_field(&quantization, QUANTIZATION_SCALE, 4);
  x->zero = flat_vector_field(&quantization, QUANTIZATION_ZERO, 8);
  x->axis = flat_int_field(&quantization, QUANTIZATION_AXIS, 4, 0);
  bool whole = x->dtype == SDX_INT8 || x->dtype == SDX_UINT8 || x->dtype == SDX_INT16 || x->dtype == SDX_INT32;
  x->scales = whole ? x->scale.count : 0;
  return !t->b.failed;
}

bool tflite_open_graph(tflite *t, size_t index, const char *scope, sdx_graph *g, tflite_graph *graph) {
  flat_table table = tflite_table_at(t->graphs, index);
  flat_vector all = flat_vector_field(&table, 0, 4);
  *graph = (tflite_graph){.t = t, .g = g, .scope = scope, .count = all.count};
  graph->tensors = arena_array(t->c->memory, all.count + 1, sizeof *graph->tensors);
  if (!graph->tensors) return !convert_no_memory(t->c);
  for (size_t i = 0; i < all.count; i++)
    if (!read_tensor(t, tflite_table_at(all, i), &graph->tensors[i])) return false;
  return !t->b.failed;
}

// ---- constants --------------------------------------------------------------------------------------

static sdx_ref add_constant(tflite *t, const tflite_tensor *x, size_t rank, const int64_t *order,
                            const int64_t *shape) {
  size_t count, bytes, element = element_bytes(x->dtype);
  if (!element || !size_product(shape, rank, &count) || !size_mul(count, element, &bytes) || bytes != x->size) {
    convert_fail(t->c, element ? SDX_INVALID_MODEL : SDX_NOT_SUPPORTED, "tensor", NULL,
                 "'%.*s' has %zu bytes, or elements that are not converted", STR_ARG(x->name), x->size);
    return 0;
  }
  return node_constant(t->c, arena_format(t->c->memory, "%.*s", STR_ARG(x->name)), x->dtype, rank, shape, order,
                       &(node_data){.bytes = x->bytes}, x->size);
}

sdx_ref tflite_find(tflite_graph *graph, size_t tensor) {
  if (tensor >= graph->count) return 0;
  tflite_tensor *x = &graph->tensors[tensor];
  if (!x->ref && x->bytes) x->ref = add_constant(graph->t, x, x->rank, NULL, x->shape);
  return x->ref;
}

// ---- inputs -----------------------------------------------------------------------------------------

tflite_tensor *tflite_in(tflite_op *op, size_t index) {
  int64_t at = index < op->in.count ? tflite_int_at(op->in, index, 4) : -1;
  if (at == -1) return NULL;
  if (at >= 0 && (uint64_t)at < op->graph->count) return &op->graph->tensors[at];
  tflite_fail(op, SDX_INVALID_MODEL, NULL, "there is no tensor %lld", (long long)at);
  return NULL;
}

tflite_tensor *tflite_out(tflite_op *op, size_t index) {
  int64_t at = index < op->out.count ? tflite_int_at(op->out, index, 4) : -1;
  if (at >= 0 && (uint64_t)at < op->graph->count) return &op->graph->tensors[at];
  tflite_fail(op, SDX_INVALID_MODEL, NULL, "there is no result %zu", index);
  return NULL;
}

sdx_ref tflite_raw(tflite_op *op, size_t index) {
  tflite_tensor *x = tflite_in(op, index);
  sdx_ref ref = x ? tflite_find(op->graph, (size_t)(x - op->graph->tensors)) : 0;
  if (!ref && !convert_failed(op->t->c))
    tflite_fail(op, SDX_INVALID_MODEL, NULL, "input %zu %s", index, x ? "is not computed before it" : "is missing");
  return ref;
}

// Scale and zero point, one or one a channel.
static bool parameters(tflite_op *op, const tflite_tensor *x, sdx_ref *scale, sdx_ref *zero) {
  tflite *t = op->t;
  int64_t count = (int64_t)x->scales;
  size_t rank = x->scales > 1;
  sdx_value *s = sdx_tensor_create(SDX_FLOAT, rank, &count), *z = sdx_tensor_create(x->dtype, rank, &count);
  size_t bytes = element_bytes(x->dtype);
  for (size_t i = 0; s && z && i < x->scales; i++) {
    memcpy((char *)sdx_tensor_data(s) + 4 * i, x->scale.at + 4 * i, 4);
    int64_t n = x->zero.count ? tflite_int_at(x->zero, x->zero.count == 1 ? 0 : i, 8) : 0;
    memcpy((char *)sdx_tensor_data(z) + bytes * i, &n, bytes);
  }
  *scale = sdx_graph_add_initializer(sdx_builder_graph(t->c->builder), "scale", s);
  *zero = sdx_graph_add_initializer(sdx_builder_graph(t->c->builder), "zero_point", z);
  return !convert_failed(t->c);
}

static sdx_ref dequantize(tflite_op *op, const tflite_tensor *x, sdx_ref value, int64_t axis) {
  sdx_ref scale, zero;
  if (!parameters(op, x, &scale, &zero)) return 0;
  if (x->dtype == SDX_INT16 && sdx_builder_opset(op->t->c->builder, "") < 21) {
    tflite_fail(op, SDX_NOT_SUPPORTED, "--opset 21 or newer", "16-bit activations need opset 21");
    return 0;
  }
  value = tflite_node(op, "DequantizeLinear", SDX_REFS(value, scale, zero));
  if (x->scales > 1) sdx_graph_set_int(op->g, "axis", axis);
  return value;
}

sdx_ref tflite_get(tflite_op *op, size_t index) {
  tflite_tensor *x = tflite_in(op, index);
  sdx_ref raw = tflite_raw(op, index);
  if (!raw) return 0;
  if (x->dtype == SDX_FLOAT16) return node_cast(op->t->c, raw, SDX_FLOAT);
  if (!x->scales) return raw;
  if (!x->floats || x->from != op->g) x->floats = dequantize(op, x, raw, x->axis), x->from = op->g;
  return x->floats;
}

sdx_ref tflite_get_in_order(tflite_op *op, size_t index, size_t rank, const int64_t *order, const int64_t *shape) {
  tflite_tensor *x = tflite_in(op, index);
  int64_t axis = 0;
  if (!x || !x->bytes || x->ref) {
    sdx_ref value = tflite_get(op, index);
    return value ? tflite_transpose(op, value, rank, order) : 0;
  }
  sdx_ref raw = add_constant(op->t, x, rank, order, shape);
  if (!raw) return 0;
  if (x->dtype == SDX_FLOAT16) {
    raw = sdx_graph_add_node(op->g, "Cast", NULL, SDX_REFS(raw));
    sdx_graph_set_int(op->g, "to", SDX_FLOAT);
  }
  for (size_t i = 0; i < rank; i++)
    if (order[i] == x->axis) axis = (int64_t)i;
  return x->scales ? dequantize(op, x, raw, axis) : raw;
}

bool tflite_ints(tflite_op *op, size_t index, int64_t *to, size_t room, size_t *count) {
  const tflite_tensor *x = tflite_in(op, index);
  size_t bytes = x ? element_bytes(x->dtype) : 0;
  if (!x || !x->bytes || (x->dtype != SDX_INT32 && x->dtype != SDX_INT64) || x->size / bytes > room) return false;
  *count = x->size / bytes;
  for (size_t i = 0; i < *count; i++) {
    int32_t n;
    if (bytes == 8) memcpy(&to[i], x->bytes + 8 * i, 8);
    else memcpy(&n, x->bytes + 4 * i, 4), to[i] = n;
  }
  return true;
}

// ---- results ----------------------------------------------------------------------------------------

void tflite_set_raw(tflite_op *op, size_t index, sdx_ref value) {
  tflite_tensor *x = tflite_out(op, index);
  if (x) x->ref = value, x->floats = 0;
}

void tflite_set(tflite_op *op, size_t index, sdx_ref value) {
  tflite_tensor *x = tflite_out(op, index);
  sdx_ref scale, zero;
  if (x && value && x->scales == 1 && parameters(op, x, &scale, &zero))
    value = tflite_node(op, "QuantizeLinear", SDX_REFS(value, scale, zero));
  tflite_set_raw(op, index, value);
}

// ---- nodes ------------------------------------------------------------------------------------------

// Named after the operator's result; names of nodes are unique, too.
sdx_ref tflite_node(tflite_op *op, const char *what, size_t count, const sdx_ref *inputs) {
  tflite *t = op->t;
  uint32_t seen = 0;
  char *name = arena_format(t->c->memory, "%s/%s", op->name, what);
  if (count && !inputs[0]) return 0;  // a failure was told
  if (!name || (str_map_find(&t->nodes, str_from(name), &seen), !str_map_put(&t->nodes, str_from(name), seen + 1)))
    return convert_no_memory(t->c), 0;
  if (seen) name = arena_format(t->c->memory, "%s_%u", name, seen);
  return sdx_graph_add_node(op->g, what, name, count, inputs);
}

sdx_ref tflite_transpose(tflite_op *op, sdx_ref x, size_t rank, const int64_t *order) {
  x = tflite_node(op, "Transpose", SDX_REFS(x));
  sdx_graph_set_ints(op->g, "perm", rank, order);
  return x;
}

sdx_ref tflite_to_first(tflite_op *op, sdx_ref x, size_t rank) {
  int64_t order[TFLITE_RANK];
  node_order_to_first(rank, order);
  return x ? tflite_transpose(op, x, rank, order) : 0;
}

sdx_ref tflite_to_last(tflite_op *op, sdx_ref x, size_t rank) {
  int64_t order[TFLITE_RANK];
  node_order_to_last(rank, order);
  return x ? tflite_transpose(op, x, rank, order) : 0;
}

int64_t tflite_option(tflite_op *op, unsigned field, size_t bytes, int64_t missing) {
  return flat_int_field(&op->options, field, bytes, missing);
}

sdx_ref tflite_activated(tflite_op *op, sdx_ref x, unsigned field) {
  int64_t function = tflite_option(op, field, 1, 0);
  sdx_graph *g = op->g;
  if (!x || function == 0) return x;
  if (function == 1) return tflite_node(op, "Relu", SDX_REFS(x));
  if (function == 4) return tflite_node(op, "Tanh", SDX_REFS(x));
  if (function == 2 || function == 3)
    return tflite_node(op, "Clip",
                       SDX_REFS(x, sdx_graph_add_scalar(g, SDX_FLOAT, function == 2 ? -1 : 0),
                                sdx_graph_add_scalar(g, SDX_FLOAT, function == 2 ? 1 : 6)));
  tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "the fused activation %lld is not converted", (long long)function);
  return 0;
}

bool tflite_axis(tflite_op *op, int64_t axis, size_t rank, int64_t *at) {
  *at = axis < 0 ? axis + (int64_t)rank : axis;
  return (*at >= 0 && *at < (int64_t)rank) ||
         !tflite_fail(op, SDX_INVALID_MODEL, NULL, "axis %lld of an input of rank %zu", (long long)axis, rank);
}
