// SPDX-License-Identifier: Apache-2.0
// Results of nodes: constants, what is known of shapes and of small whole numbers, references to values of the ONNX
// graph, which constants and known numbers get when they are asked for.
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "convert/tensorflow_proto.h"

enum { MOST_REPEATED = 4096, MOST_FILLED = 1 << 20 };

bool tf_is_float(sdx_dtype dtype) {
  return dtype == SDX_FLOAT || dtype == SDX_DOUBLE || dtype == SDX_FLOAT16 || dtype == SDX_BFLOAT16;
}

size_t tf_element_bytes(sdx_dtype dtype) {
  switch ((int)dtype) {
    case SDX_BOOL:
    case SDX_INT8:
    case SDX_UINT8:
      return 1;
    case SDX_INT16:
    case SDX_UINT16:
    case SDX_FLOAT16:
    case SDX_BFLOAT16:
      return 2;
    case SDX_FLOAT:
    case SDX_INT32:
    case SDX_UINT32:
      return 4;
    case SDX_DOUBLE:
    case SDX_INT64:
    case SDX_UINT64:
    case SDX_COMPLEX64:
      return 8;
    case SDX_COMPLEX128:
      return 16;
    default:
      return 0;
  }
}

// ---- tensors of the file ----------------------------------------------------------------------------

typedef struct numbers {
  char *to;
  size_t element, room, count;
} numbers;

static void take_ints(wire_field *f, numbers *n) {
  int64_t some[64];
  for (size_t got; n->count < n->room && (got = wire_read_ints(f, some, 64));)
    for (size_t i = 0; i < got && n->count < n->room; i++)
      memcpy(n->to + n->count++ * n->element, &some[i], n->element);
}

static void take_fixed(const wire_field *f, size_t element, numbers *n) {
  size_t left = n->room - n->count;
  if (element == n->element) n->count += wire_read_fixed(f, element, n->to + n->count * element, left);
}

// Numbers of the lists; the last stands for those that are missing.
static bool read_lists(tf *t, wire message, const wire_counts *counts, size_t count, tf_value *value) {
  size_t element = tf_element_bytes(value->dtype), present = 0;
  static const size_t lists[] = {TENSOR_HALF,  TENSOR_FLOAT, TENSOR_DOUBLE, TENSOR_INT,
                                 TENSOR_INT64, TENSOR_BOOL,  TENSOR_UINT32, TENSOR_UINT64};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) present += counts->of[lists[i]];
  if (present > count) present = count;
  size_t made = present <= 1 && count > MOST_REPEATED ? 1 : count;
  if (made > MOST_FILLED && made / 64 > present)
    return !convert_fail(t->c, SDX_LIMIT_EXCEEDED, "constant", NULL, "%zu elements are said with %zu", count, present);
  numbers n = {.to = arena_array(t->c->memory, made + 1, element), .element = element, .room = made};
  node_data *data = arena_array(t->c->memory, 1, sizeof *data);
  if (!n.to || !data) return !convert_no_memory(t->c);
  wire_field f;
  while (wire_next(&message, &tf_proto_tensor, &f)) {
    if (f.slot == TENSOR_FLOAT) take_fixed(&f, 4, &n);
    else if (f.slot == TENSOR_DOUBLE) take_fixed(&f, 8, &n);
    else if (f.slot == TENSOR_HALF || f.slot == TENSOR_INT || f.slot == TENSOR_INT64 || f.slot == TENSOR_BOOL ||
             f.slot == TENSOR_UINT32 || f.slot == TENSOR_UINT64)
      take_ints(&f, &n);
  }
  for (size_t i = n.count ? n.count : made; i < made; i++)
    memcpy(n.to + i * element, n.to + (n.count - 1) * element, element);
  data->bytes = n.to;
  value->data = data;
  value->size = made * element;
  return true;
}

static bool read_texts(tf *t, wire message, const wire_counts *counts, size_t count, tf_value *value) {
  size_t present = counts->of[TENSOR_STRING], at = 0;
  if (count > MOST_FILLED && count / 64 > present)
    return !convert_fail(t->c, SDX_LIMIT_EXCEEDED, "constant", NULL, "%zu texts are said with %zu", count, present);
  str *texts = arena_array(t->c->memory, count + 1, sizeof *texts);
  if (!texts) return !convert_no_memory(t->c);
  for (wire_field f; at < count && wire_next(&message, &tf_proto_tensor, &f);)
    if (f.slot == TENSOR_STRING) texts[at++] = wire_str(&f);
  for (size_t i = at ? at : count; i < count; i++) texts[i] = texts[at - 1];
  value->texts = texts;
  value->element_count = count;
  return true;
}

static int64_t int_at(const char *bytes, sdx_dtype dtype, size_t i) {
  size_t element = tf_element_bytes(dtype);
  int64_t n = 0;
  memcpy(&n, bytes + i * element, element);
  if (dtype == SDX_INT32) return (int32_t)n;
  if (dtype == SDX_INT16) return (int16_t)n;
  return dtype == SDX_INT8 ? (int8_t)n : n;
}

// Few whole numbers are known.
static bool know_constant(tf *t, tf_value *value, size_t count) {
  size_t element = tf_element_bytes(value->dtype);
  if (tf_is_float(value->dtype) || count > TF_ELEMENTS || value->size != count * element || element > 8 ||
      value->dtype == SDX_COMPLEX64 || !value->data->bytes)
    return true;
  value->elements = arena_array(t->c->memory, count + 1, sizeof *value->elements);
  if (!value->elements) return !convert_no_memory(t->c);
  for (size_t i = 0; i < count; i++) value->elements[i] = int_at(value->data->bytes, value->dtype, i);
  value->element_count = count;
  return true;
}

bool tf_read_tensor(tf *t, wire message, tf_value *value) {
  wire_counts counts;
  wire_field f;
  str content = {0};
  size_t count, bytes;
  *value = (tf_value){.what = TF_TENSOR};
  if (!tf_open(t, message, &tf_proto_tensor, &counts)) return false;
  for (wire w = message; wire_next(&w, &tf_proto_tensor, &f);) {
    if (f.slot == TENSOR_DTYPE) value->dtype = tf_dtype((int64_t)f.value);
    if (f.slot == TENSOR_CONTENT) content = wire_str(&f);
    if (f.slot == TENSOR_SHAPE && !tf_read_shape(t, f.body, &value->rank, value->shape)) return false;
  }
  size_t element = tf_element_bytes(value->dtype);
  if (value->rank < 0 || !size_product(value->shape, (size_t)value->rank, &count) || !size_mul(count, 16, &bytes))
    return !convert_fail(t->c, SDX_INVALID_MODEL, "constant", NULL, "its shape is not known, or too large");
  if (value->dtype == SDX_STRING) return read_texts(t, message, &counts, count, value);
  if (!element) return !convert_fail(t->c, SDX_NOT_SUPPORTED, "constant", NULL, "a type that ONNX does not have");
  if (!content.size) return read_lists(t, message, &counts, count, value) && know_constant(t, value, count);
  if (content.size != count * element)
    return !convert_fail(t->c, SDX_INVALID_MODEL, "constant", NULL, "it has %zu bytes, expected %zu", content.size,
                         count * element);
  node_data *data = arena_array(t->c->memory, 1, sizeof *data);
  if (!data) return !convert_no_memory(t->c);
  data->bytes = content.at;
  value->data = data;
  value->size = content.size;
  return know_constant(t, value, count);
}

// ---- references -------------------------------------------------------------------------------------

static bool all_known(const tf_value *x) {
  for (size_t i = 0; x->elements && i < x->element_count; i++)
    if (x->elements[i] == TF_UNKNOWN) return false;
  return x->elements != NULL;
}

static sdx_ref known_constant(tf *t, const tf_value *x) {
  sdx_value *tensor = sdx_tensor_create(x->dtype, (size_t)x->rank, x->shape);
  size_t element = tf_element_bytes(x->dtype);
  for (size_t i = 0; tensor && i < x->element_count; i++)
    memcpy((char *)sdx_tensor_data(tensor) + i * element, &x->elements[i], element);
  return sdx_graph_add_initializer(sdx_builder_graph(t->c->builder), "constant", tensor);
}

static sdx_ref text_constant(tf *t, const tf_value *x, const char *name) {
  sdx_value *tensor = sdx_tensor_create(SDX_STRING, (size_t)x->rank, x->shape);
  for (size_t i = 0; tensor && i < x->element_count; i++)
    if (sdx_tensor_set_string(tensor, i, x->texts[i].at, x->texts[i].size)) return convert_no_memory(t->c), 0;
  return sdx_graph_add_initializer(sdx_builder_graph(t->c->builder), name, tensor);
}

static sdx_ref data_constant(tf *t, const tf_value *x, const char *name) {
  size_t count;
  sdx_graph *g = sdx_builder_graph(t->c->builder);
  if (!size_product(x->shape, (size_t)x->rank, &count)) return 0;
  if (count <= 1 || x->size == count * tf_element_bytes(x->dtype))
    return node_constant(t->c, name, x->dtype, (size_t)x->rank, x->shape, NULL, x->data, count ? x->size : 0);
  sdx_ref one = node_constant(t->c, name, x->dtype, 0, NULL, NULL, x->data, x->size);
  return sdx_graph_add_node(g, "Expand", tf_name(t, str_from(name), "Expand"),
                            SDX_REFS(one, sdx_graph_add_ints(g, (size_t)x->rank, x->shape)));
}

static const char *name_of(tf *t, const tf_value *x) {
  if (!x->origin.scope) return "constant";
  str name = x->origin.scope->graph->nodes[x->origin.node].name;
  return arena_format(t->c->memory, "%.*s%s", STR_ARG(name), str_map_find(&t->names, name, NULL) ? "/value" : "");
}

sdx_ref tf_ref(tf *t, tf_value *x) {
  if (!x->ref && x->shared && *x->shared) x->ref = *x->shared;
  if (x->ref || x->what != TF_TENSOR) return x->ref;
  const char *name = name_of(t, x);
  if (!name) return convert_no_memory(t->c), 0;
  if (x->texts) x->ref = text_constant(t, x, name);
  else if (x->data) x->ref = data_constant(t, x, name);
  else if (all_known(x)) x->ref = known_constant(t, x);
  else if (x->pending) x->ref = tf_emit_pending(x);
  if (x->shared) *x->shared = x->ref;
  return x->ref;
}

// ---- inputs -----------------------------------------------------------------------------------------

tf_end tf_input_end(tf_op *op, size_t index) {
  tf_end end = {0};
  if (index >= op->node->input_count || !tf_end_of(op->scope, op->node->inputs[index], &end) ||
      !tf_resolve(op->t, &end))
    return (tf_end){0};
  return end;
}

tf_value *tf_in(tf_op *op, size_t index) {
  tf_end end = tf_input_end(op, index);
  tf_value *value = end.scope ? tf_value_at(end) : NULL;
  if (value && value->what != TF_NONE) return value;
  if (!convert_failed(op->t->c)) tf_fail(op, SDX_INVALID_MODEL, NULL, "input %zu is missing, or not computed", index);
  return NULL;
}

sdx_ref tf_get(tf_op *op, size_t index) {
  tf_value *x = tf_in(op, index);
  if (!x) return 0;
  if (x->what != TF_TENSOR) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "input %zu is a list or a handle, expected a tensor", index);
    return 0;
  }
  sdx_ref ref = tf_ref(op->t, x);
  if (!ref && !convert_failed(op->t->c)) tf_fail(op, SDX_INTERNAL, NULL, "input %zu has no value", index);
  return ref;
}

sdx_ref tf_get_int64(tf_op *op, size_t index) {
  tf_value *x = tf_in(op, index);
  if (!x) return 0;
  if (all_known(x) && x->rank == 1) return sdx_graph_add_ints(op->g, x->element_count, x->elements);
  sdx_ref ref = tf_get(op, index);
  return ref && x->dtype != SDX_INT64 ? tf_cast(op, ref, SDX_INT64) : ref;
}

bool tf_ints(tf_op *op, size_t index, int64_t *to, size_t room, size_t *count) {
  const tf_value *x = tf_in(op, index);
  if (!x || !all_known(x) || x->element_count > room) return false;
  *count = x->element_count;
  memcpy(to, x->elements, *count * sizeof *to);
  return true;
}

bool tf_int(tf_op *op, size_t index, int64_t *to) {
  size_t count;
  return tf_ints(op, index, to, 1, &count) && count == 1;
}

bool tf_number(tf_op *op, size_t index, double *to) {
  int64_t n;
  float f;
  const tf_value *x = tf_in(op, index);
  if (tf_int(op, index, &n)) return *to = (double)n, true;
  if (!x || !x->data || !x->data->bytes || x->dtype != SDX_FLOAT || x->size != sizeof f) return false;
  memcpy(&f, x->data->bytes, sizeof f);
  return *to = (double)f, true;
}

sdx_ref tf_get_in_order(tf_op *op, size_t index, size_t rank, const int64_t *order) {
  tf_value *x = tf_in(op, index);
  size_t count;
  if (!x || !tf_rank_is(op, x, (int)rank)) return 0;
  bool whole = x->data && size_product(x->shape, rank, &count) && x->size == count * tf_element_bytes(x->dtype);
  if (whole && x->what == TF_TENSOR)
    return node_constant(op->t->c, name_of(op->t, x), x->dtype, rank, x->shape, order, x->data, x->size);
  sdx_ref ref = tf_get(op, index);
  return ref ? tf_transpose(op, ref, rank, order) : 0;
}

// ---- results ----------------------------------------------------------------------------------------

tf_value *tf_set(tf_op *op, size_t index, sdx_ref ref, sdx_dtype dtype, int rank, const int64_t *shape) {
  if (index >= op->out_count || (!ref && !convert_failed(op->t->c))) {
    tf_fail(op, SDX_INVALID_MODEL, NULL, "it has no result %zu", index);
    index = 0;
  }
  tf_value *y = &op->out[index];
  *y = (tf_value){.what = TF_TENSOR, .dtype = dtype, .rank = rank, .ref = ref};
  if (rank > TF_RANK)
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "a result of %d dimensions, expected at most %d", rank, TF_RANK);
  else
    for (int i = 0; i < rank; i++) {
      y->shape[i] = shape ? shape[i] : -1;
      if (y->shape[i] < -1 || y->shape[i] > TF_LONGEST)
        tf_fail(op, SDX_INVALID_MODEL, NULL, "a result with a dimension of %lld", (long long)y->shape[i]);
    }
  if (rank < 0) tf_attr_shape(op->t, op->node, "_output_shapes", index, &y->rank, y->shape);
  return y;
}

tf_value *tf_set_like(tf_op *op, size_t index, sdx_ref ref, const tf_value *like) {
  return tf_set(op, index, ref, like->dtype, like->rank, like->shape);
}

bool tf_know(tf_op *op, size_t index, sdx_dtype dtype, int rank, size_t count, const int64_t *elements) {
  if (count > TF_ELEMENTS || rank > 1 || (rank == 0 && count != 1)) return false;
  int64_t *kept = arena_array(op->t->c->memory, count + 1, sizeof *kept);
  if (!kept) return !convert_no_memory(op->t->c);
  memcpy(kept, elements, count * sizeof *kept);
  op->out[index] =
      (tf_value){.what = TF_TENSOR, .dtype = dtype, .rank = rank, .elements = kept, .element_count = count};
  op->out[index].shape[0] = (int64_t)count;
  return true;
}

bool tf_has_rank(tf_op *op, const tf_value *x) {
  return x->rank >= 0 || !tf_fail(op, SDX_NOT_SUPPORTED, "save the model with inputs of known ranks",
                                  "the number of dimensions of its input is not known");
}

bool tf_rank_is(tf_op *op, const tf_value *x, int rank) {
  if (x->rank == rank || x->rank < 0) return true;
  return !tf_fail(op, SDX_INVALID_MODEL, NULL, "an input of rank %d, expected %d", x->rank, rank);
}

bool tf_axis(tf_op *op, int64_t axis, int rank, int64_t *at) {
  *at = axis < 0 ? axis + rank : axis;
  return (*at >= 0 && *at < rank) ||
         !tf_fail(op, SDX_INVALID_MODEL, NULL, "axis %lld of an input of rank %d", (long long)axis, rank);
}

void tf_broadcast(const tf_value *a, const tf_value *b, int *rank, int64_t *shape) {
  *rank = a->rank < 0 || b->rank < 0 ? -1 : a->rank > b->rank ? a->rank : b->rank;
  for (int i = 1; i <= *rank; i++) {
    int64_t m = i <= a->rank ? a->shape[a->rank - i] : 1, n = i <= b->rank ? b->shape[b->rank - i] : 1;
    shape[*rank - i] = m == 1 ? n : n == 1 ? m : m < 0 ? n : m;
  }
}

// ---- nodes ------------------------------------------------------------------------------------------

// A name that no other node has: that of TensorFlow's node, or with what it is for behind it.
char *tf_name(tf *t, str node, const char *what) {
  uint32_t seen = 0;
  const char *domain = strstr(what, "::");
  char *name = arena_format(t->c->memory, "%.*s", STR_ARG(node));
  if (name && str_map_find(&t->names, str_from(name), &seen)) {
    name = arena_format(t->c->memory, "%s/%s", name, domain ? domain + 2 : what);
    while (name && str_map_find(&t->names, str_from(name), &seen)) {
      if (!str_map_put(&t->names, str_from(name), seen + 1)) return convert_no_memory(t->c), NULL;
      name = arena_format(t->c->memory, "%s_%u", name, seen);
    }
  }
  if (name && str_map_put(&t->names, str_from(name), 1)) return name;
  return convert_no_memory(t->c), NULL;
}

sdx_ref tf_node_add(tf_op *op, const char *what, size_t count, const sdx_ref *inputs) {
  if (count && !inputs[0]) return 0;  // a failure was told
  char *name = tf_name(op->t, op->node->name, what);
  return name ? sdx_graph_add_node(op->g, what, name, count, inputs) : 0;
}

sdx_ref tf_transpose(tf_op *op, sdx_ref x, size_t rank, const int64_t *order) {
  x = tf_node_add(op, "Transpose", SDX_REFS(x));
  if (x) sdx_graph_set_ints(op->g, "perm", rank, order);
  return x;
}

sdx_ref tf_to_first(tf_op *op, size_t index, size_t rank) {
  int64_t order[TF_RANK];
  node_order_to_first(rank, order);
  const tf_value *x = tf_in(op, index);
  if (!x || !tf_rank_is(op, x, (int)rank)) return 0;
  return x->first ? x->first : tf_transpose(op, tf_get(op, index), rank, order);
}

void tf_set_to_last(tf_op *op, size_t index, sdx_ref y, sdx_dtype dtype, size_t rank, const int64_t *shape) {
  int64_t order[TF_RANK];
  node_order_to_last(rank, order);
  if (y) tf_set(op, index, tf_transpose(op, y, rank, order), dtype, (int)rank, shape)->first = y;
}

sdx_ref tf_scalar(tf_op *op, sdx_dtype dtype, double number) { return sdx_graph_add_scalar(op->g, dtype, number); }

sdx_ref tf_list(tf_op *op, size_t count, const int64_t *ints) { return sdx_graph_add_ints(op->g, count, ints); }

sdx_ref tf_squeeze(tf_op *op, sdx_ref x, int64_t axis) {
  return tf_node_add(op, "Squeeze", SDX_REFS(x, tf_list(op, 1, &axis)));
}

sdx_ref tf_cast(tf_op *op, sdx_ref x, sdx_dtype to) {
  x = tf_node_add(op, "Cast", SDX_REFS(x));
  if (x) sdx_graph_set_int(op->g, "to", to);
  return x;
}

sdx_ref tf_slice_axis(tf_op *op, sdx_ref x, int64_t axis, int64_t from, int64_t to, int64_t step) {
  sdx_ref ends[] = {tf_list(op, 1, &from), tf_list(op, 1, &to), tf_list(op, 1, &axis), tf_list(op, 1, &step)};
  return tf_node_add(op, "Slice", SDX_REFS(x, ends[0], ends[1], ends[2], ends[3]));
}

sdx_ref tf_shape_of(tf_op *op, sdx_ref x, int64_t from, int64_t to) {
  x = tf_node_add(op, "Shape", SDX_REFS(x));
  return x ? tf_slice_axis(op, x, 0, from, to, 1) : 0;
}

bool tf_channels_first(const tf_op *op) {
  str format = tf_attr_text(op->node, "data_format");
  return str_is(format, "NCHW") || str_is(format, "NCDHW");
}
