// SPDX-License-Identifier: Apache-2.0
// Lists: TensorList of TensorFlow 2, TensorArray of TensorFlow 1. A list is a tensor of its items along a first
// dimension; one that was only reserved has no value until a loop has stacked it (tensorflow_loop.c), or until its
// items are known to be zeros of a shape.
#include <string.h>

#include "base/size.h"
#include "convert/tensorflow.h"

static tf_value *list_at(tf_op *op, size_t index) {
  tf_value *x = tf_in(op, index);
  if (!x || x->what == TF_LIST) return x;
  tf_fail(op, SDX_INVALID_MODEL, NULL, "input %zu is no list", index);
  return NULL;
}

// One with items.
static tf_value *full_list(tf_op *op, size_t index) {
  tf_value *x = list_at(op, index);
  if (!x || x->ref || tf_list_fill(op, x)) return x;
  if (!convert_failed(op->t->c))
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "its list has no items yet, and their shape is not known");
  return NULL;
}

static void set_list(tf_op *op, size_t index, sdx_ref ref, const tf_value *like) {
  if (!ref) return;
  op->out[index] = *like;
  op->out[index].what = TF_LIST;
  op->out[index].ref = ref;
  op->out[index].pending = NULL;
}

// The shape of one item.
static int item_shape(const tf_value *list, int64_t *shape) {
  for (int i = 1; i < list->rank; i++) shape[i - 1] = list->shape[i];
  return list->rank < 1 ? -1 : list->rank - 1;
}

bool tf_list_fill(tf_op *op, tf_value *list) {
  for (int i = 1; i < list->rank; i++)
    if (list->shape[i] < 0) return false;
  if (list->rank < 1 || !list->length) return false;
  sdx_ref rest = tf_list(op, (size_t)list->rank - 1, list->shape + 1), one = tf_list(op, 1, (int64_t[]){1});
  sdx_ref shape = tf_node_add(op, "Concat", SDX_REFS(tf_node_add(op, "Reshape", SDX_REFS(list->length, one)), rest));
  if (shape) sdx_graph_set_int(op->g, "axis", 0);
  list->ref = tf_node_add(op, "Expand", SDX_REFS(tf_scalar(op, list->dtype, 0), shape));
  return list->ref != 0;
}

// ---- making -----------------------------------------------------------------------------------------

// Reserved: how many (input `size`), of items of what shape.
static void reserve(tf_op *op, size_t size, const int64_t *item, int rank) {
  bool array = str_is(op->node->op, "TensorArrayV3");
  tf_value list = {.what = TF_LIST, .rank = rank < 0 || rank == TF_RANK ? -1 : rank + 1};
  list.dtype = tf_attr_dtype(op->node, array ? "dtype" : "element_dtype");
  list.length = tf_get_int64(op, size);
  if (!tf_int(op, size, &list.shape[0]) || list.shape[0] < 0) list.shape[0] = -1;
  for (int i = 1; i < list.rank; i++) list.shape[i] = item[i - 1];
  if (str_is(op->node->op, "EmptyTensorList")) list.shape[0] = 0, list.length = tf_scalar(op, SDX_INT64, 0);
  for (size_t i = 0; list.length && i <= (size_t)array; i++) op->out[i] = list;
}

static void reserve_list(tf_op *op) {
  const tf_value *shape = tf_in(op, 0);
  int64_t item[TF_RANK];
  if (!shape || !tf_in(op, 1)) return;
  int rank = shape->elements && shape->rank == 1 && shape->element_count < TF_RANK ? (int)shape->element_count : -1;
  for (int i = 0; i < rank; i++) item[i] = shape->elements[i] < 0 ? -1 : shape->elements[i];
  reserve(op, 1, item, rank);
}

static void reserve_array(tf_op *op) {
  int64_t item[TF_RANK];
  int rank;
  tf_attr_shape(op->t, op->node, "element_shape", 0, &rank, item);
  if (tf_in(op, 0)) reserve(op, 0, item, rank);
}

// TensorArrayScatterV3 has its values behind the places, which are all in order.
static void from_tensor(tf_op *op) {
  size_t at = *op->kind->op == 's' ? 2 : 0;
  const tf_value *x = tf_in(op, at);
  sdx_ref in = x ? tf_get(op, at) : 0;
  if (!in) return;
  tf_value list = {.dtype = x->dtype, .rank = x->rank};
  memcpy(list.shape, x->shape, sizeof list.shape);
  set_list(op, 0, in, &list);
}

// ---- reading ----------------------------------------------------------------------------------------

static void get_item(tf_op *op) {
  bool array = *op->kind->op == 'a';
  tf_value *list = full_list(op, array ? 2 : 0);
  sdx_ref at = list ? tf_get(op, 1) : 0;
  int64_t shape[TF_RANK];
  if (!at) return;
  sdx_ref y = tf_node_add(op, "Gather", SDX_REFS(list->ref, at));
  tf_set(op, 0, y, list->dtype, item_shape(list, shape), shape);
}

static bool in_order(tf_op *op, size_t index) {
  tf_end end = tf_input_end(op, index);
  const tf_value *x = tf_in(op, index);
  if (end.scope && str_is(end.scope->graph->nodes[end.node].op, "Range")) return true;
  for (size_t i = 0; x && x->elements && i < x->element_count; i++)
    if (x->elements[i] != (int64_t)i) return false;
  return x && x->elements;
}

// All items, or those at places.
static void stack(tf_op *op) {
  bool array = *op->kind->op == 'a', gather = *op->kind->op == 'g';
  tf_value *list = full_list(op, array ? 2 : 0);
  if (!list) return;
  if (!array && !gather) {
    tf_set_like(op, 0, tf_node_add(op, "Identity", SDX_REFS(list->ref)), list);
  } else if (in_order(op, 1)) {
    tf_set_like(op, 0, tf_node_add(op, "Identity", SDX_REFS(list->ref)), list);
  } else {
    sdx_ref at = tf_get(op, 1), y = at ? tf_node_add(op, "Gather", SDX_REFS(list->ref, at)) : 0;
    tf_value *result = y ? tf_set_like(op, 0, y, list) : NULL;
    if (result && result->rank > 0) result->shape[0] = -1;
  }
}

static void length(tf_op *op) {
  tf_value *list = list_at(op, *op->kind->op == 'a' ? 1 : 0);
  if (!list) return;
  sdx_ref n = list->ref ? tf_squeeze(op, tf_shape_of(op, list->ref, 0, 1), 0) : list->length;
  if (n) tf_set(op, 0, tf_cast(op, n, SDX_INT32), SDX_INT32, 0, NULL);
}

static bool know_length(tf_op *op) {
  tf_value *list = list_at(op, *op->kind->op == 'a' ? 1 : 0);
  return list && list->rank > 0 && list->shape[0] >= 0 && tf_know(op, 0, SDX_INT32, 0, 1, &list->shape[0]);
}

// ---- writing ----------------------------------------------------------------------------------------

static void set_item(tf_op *op) {
  bool array = *op->kind->op == 'a';
  const tf_value *item = tf_in(op, 2);
  tf_value *list = list_at(op, array ? 3 : 0);
  sdx_ref at = list ? tf_get_int64(op, 1) : 0, x = tf_get(op, 2);
  if (!item || !at || !x) return;
  if (!list->ref && list->rank < 0 && item->rank >= 0 && item->rank < TF_RANK) {  // the item tells the shape
    list->rank = item->rank + 1;
    memcpy(list->shape + 1, item->shape, (TF_RANK - 1) * sizeof *list->shape);
  }
  if (!(list = full_list(op, array ? 3 : 0))) return;
  sdx_ref place = tf_node_add(op, "Reshape", SDX_REFS(at, tf_list(op, 2, (int64_t[]){1, 1})));
  sdx_ref row = tf_node_add(op, "Unsqueeze", SDX_REFS(x, tf_list(op, 1, (int64_t[]){0})));
  set_list(op, 0, tf_node_add(op, "ScatterND", SDX_REFS(list->ref, place, row)), list);
}

static void push_back(tf_op *op) {
  const tf_value *item = tf_in(op, 1);
  tf_value *list = list_at(op, 0);
  sdx_ref x = list ? tf_get(op, 1) : 0;
  if (!item || !x) return;
  sdx_ref row = tf_node_add(op, "Unsqueeze", SDX_REFS(x, tf_list(op, 1, (int64_t[]){0}))), y = row;
  tf_value longer = {.dtype = item->dtype, .rank = item->rank < 0 || item->rank == TF_RANK ? -1 : item->rank + 1};
  for (int i = 1; i < longer.rank; i++) longer.shape[i] = item->shape[i - 1];
  longer.shape[0] = list->rank > 0 && list->shape[0] >= 0 ? wrap_add(list->shape[0], 1) : -1;
  if (list->ref) {
    y = tf_node_add(op, "Concat", SDX_REFS(list->ref, row));
    if (y) sdx_graph_set_int(op->g, "axis", 0);
  }
  set_list(op, 0, y, &longer);
}

const tf_kind tf_list_kinds[] = {
    {"EmptyTensorList", .emit = reserve_list},
    {"TensorArrayGatherV3", stack, .op = "a"},
    {"TensorArrayReadV3", get_item, .op = "a"},
    {"TensorArrayScatterV3", from_tensor, .op = "s"},
    {"TensorArraySizeV3", length, .op = "a", .know = know_length},
    {"TensorArrayV3", reserve_array, .outputs = "handle,flow"},
    {"TensorArrayWriteV3", set_item, .op = "a"},
    {"TensorListFromTensor", from_tensor, .op = "f"},
    {"TensorListGather", stack, .op = "g"},
    {"TensorListGetItem", get_item, .op = "l"},
    {"TensorListLength", length, .op = "l", .know = know_length},
    {"TensorListPushBack", .emit = push_back},
    {"TensorListReserve", .emit = reserve_list},
    {"TensorListSetItem", set_item, .op = "l"},
    {"TensorListStack", stack, .op = "l"},
    {0},
};
