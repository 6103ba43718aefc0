// SPDX-License-Identifier: Apache-2.0
// What detectors do behind their network: choosing boxes, and cutting out what is in them.
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/tensorflow.h"

static sdx_ref unsqueeze(tf_op *op, sdx_ref x, int64_t axis) {
  return tf_node_add(op, "Unsqueeze", SDX_REFS(x, tf_list(op, 1, &axis)));
}

// A scalar input as a list of one, of this type.
static sdx_ref one_of(tf_op *op, size_t index, sdx_dtype dtype) {
  const tf_value *x = tf_in(op, index);
  sdx_ref in = x ? tf_get(op, index) : 0;
  if (in && x->dtype != dtype) in = tf_cast(op, in, dtype);
  return in ? tf_node_add(op, "Reshape", SDX_REFS(in, tf_list(op, 1, (int64_t[]){1}))) : 0;
}

// ---- choosing boxes ---------------------------------------------------------------------------------

// Fills a vector up to the longest it may be, where the node says so.
static sdx_ref padded(tf_op *op, sdx_ref x, sdx_ref count, sdx_ref most, sdx_dtype dtype) {
  sdx_ref none = tf_list(op, 1, (int64_t[]){0}), missing = tf_node_add(op, "Sub", SDX_REFS(most, count));
  sdx_ref pads = tf_node_add(op, "Concat", SDX_REFS(none, missing));
  if (pads) sdx_graph_set_int(op->g, "axis", 0);
  return tf_node_add(op, "Pad", SDX_REFS(x, pads, tf_scalar(op, dtype, 0)));
}

// Of one class: places among the boxes. V4 gives how many there are, V5 scores, too.
static void suppress(tf_op *op) {
  char version = *op->kind->op;
  size_t inputs = op->node->input_count;
  double sigma = 0;
  const tf_value *scores = tf_in(op, 1);
  sdx_ref boxes = tf_get(op, 0), s = tf_get(op, 1), most = one_of(op, 2, SDX_INT64);
  sdx_ref overlap = version == '1' ? 0 : one_of(op, 3, SDX_FLOAT);
  sdx_ref least = inputs > 4 ? one_of(op, 4, SDX_FLOAT) : 0;
  if (version == '1')
    overlap = tf_node_add(op, "Reshape",
                          SDX_REFS(tf_scalar(op, SDX_FLOAT, (double)tf_attr_float(op->node, "iou_threshold", 0.5f)),
                                   tf_list(op, 1, (int64_t[]){1})));
  if (!boxes || !s || !most || !overlap || !scores || (inputs > 4 && !least)) return;
  if (inputs > 5 && (!tf_number(op, 5, &sigma) || sigma != 0)) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "scores that fall with the overlap (soft NMS) are not converted");
    return;
  }
  sdx_ref in[] = {unsqueeze(op, boxes, 0), unsqueeze(op, unsqueeze(op, s, 0), 0), most, overlap, least};
  sdx_ref chosen = tf_node_add(op, "NonMaxSuppression", least ? 5 : 4, in);
  sdx_ref at = chosen ? tf_squeeze(op, tf_slice_axis(op, chosen, 1, 2, 3, 1), 1) : 0;
  if (!at) return;
  sdx_ref count = tf_node_add(op, "Shape", SDX_REFS(at)), values = 0;
  bool pads = tf_attr_int(op->node, "pad_to_max_output_size", 0);
  if (version == '5') values = tf_node_add(op, "Gather", SDX_REFS(s, at));
  if (pads) {
    at = padded(op, at, count, most, SDX_INT64);
    if (values) values = padded(op, values, count, most, scores->dtype);
  }
  tf_set(op, 0, tf_cast(op, at, SDX_INT32), SDX_INT32, 1, NULL);
  sdx_ref valid = tf_cast(op, tf_squeeze(op, count, 0), SDX_INT32);
  if (version == '4') tf_set(op, 1, valid, SDX_INT32, 0, NULL);
  if (version != '5') return;
  tf_set(op, 1, values, scores->dtype, 1, NULL);
  tf_set(op, 2, valid, SDX_INT32, 0, NULL);
}

// Of all classes at once, boxes [batch, n, 1, 4] and scores [batch, n, classes]: what is chosen keeps its score in a
// table of all, the others get none; the best of each example are its results.
static void suppress_classes(tf_op *op) {
  const tf_value *boxes = tf_in(op, 0), *scores = tf_in(op, 1);
  int64_t total, each, all;
  sdx_ref b = tf_get(op, 0), s = tf_get(op, 1), most = one_of(op, 2, SDX_INT64);
  sdx_ref overlap = one_of(op, 4, SDX_FLOAT), least = one_of(op, 5, SDX_FLOAT);
  if (!boxes || !scores || !b || !s || !most || !overlap || !least) return;
  if (boxes->rank != 4 || boxes->shape[2] != 1 || scores->rank != 3 || !tf_int(op, 3, &total) || total < 1) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "boxes of their own for each class, or a number of results that is computed");
    return;
  }
  if (tf_attr_int(op->node, "pad_per_class", 0) && tf_int(op, 2, &each) && each > 0 && scores->shape[2] > 0 &&
      i64_mul(each, scores->shape[2], &all) && all < total)
    total = all;
  sdx_graph *g = op->g;
  sdx_ref flat = tf_squeeze(op, b, 2), turned = tf_transpose(op, s, 3, (int64_t[]){0, 2, 1});
  sdx_ref chosen = tf_node_add(op, "NonMaxSuppression", SDX_REFS(flat, turned, most, overlap, least));
  sdx_ref values = tf_node_add(op, "GatherND", SDX_REFS(turned, chosen)), none = tf_scalar(op, SDX_FLOAT, -INFINITY);
  sdx_ref table = tf_node_add(op, "Expand", SDX_REFS(none, tf_node_add(op, "Shape", SDX_REFS(turned))));
  table = tf_node_add(op, "ScatterND", SDX_REFS(table, chosen, values));
  sdx_ref n = tf_shape_of(op, turned, 2, 3), rows = tf_list(op, 2, (int64_t[]){0, -1});
  table = tf_node_add(op, "Reshape", SDX_REFS(table, rows));
  sdx_ref pads = tf_list(op, 4, (int64_t[]){0, 0, 0, total});  // there may be fewer than are wanted
  table = tf_node_add(op, "Pad", SDX_REFS(table, pads, none));
  sdx_ref best = tf_node_add(op, "TopK", SDX_REFS(table, tf_list(op, 1, &total)));
  if (!best) return;
  sdx_ref place = sdx_graph_add_node_output(g);
  sdx_ref there = tf_node_add(op, "Greater", SDX_REFS(best, none)), zero = tf_scalar(op, SDX_FLOAT, 0);
  sdx_ref class = tf_cast(op, tf_node_add(op, "Div", SDX_REFS(place, n)), SDX_FLOAT);
  sdx_ref which = unsqueeze(op, tf_node_add(op, "Mod", SDX_REFS(place, n)), 2);
  sdx_ref found = tf_node_add(op, "GatherND", SDX_REFS(flat, which));
  sdx_graph_set_int(g, "batch_dims", 1);
  if (tf_attr_int(op->node, "clip_boxes", 1))
    found = tf_node_add(op, "Clip", SDX_REFS(found, zero, tf_scalar(op, SDX_FLOAT, 1)));
  found = tf_node_add(op, "Where", SDX_REFS(unsqueeze(op, there, 2), found, zero));
  int64_t batch = boxes->shape[0], shape[] = {batch, total, 4};
  tf_set(op, 0, found, SDX_FLOAT, 3, shape);
  tf_set(op, 1, tf_node_add(op, "Where", SDX_REFS(there, best, zero)), SDX_FLOAT, 2, shape);
  tf_set(op, 2, tf_node_add(op, "Where", SDX_REFS(there, class, zero)), SDX_FLOAT, 2, shape);
  sdx_ref axis = tf_list(op, 1, (int64_t[]){1});
  sdx_ref count = tf_node_add(op, "ReduceSum", SDX_REFS(tf_cast(op, there, SDX_INT32), axis));
  sdx_graph_set_int(g, "keepdims", 0);
  tf_set(op, 3, count, SDX_INT32, 1, shape);
}

// ---- cutting out ------------------------------------------------------------------------------------

// Where samples of one direction lie, -1 to 1 over the picture: [boxes, size].
static sdx_ref samples(tf_op *op, sdx_ref boxes, int64_t first, int64_t size) {
  sdx_ref from = tf_slice_axis(op, boxes, 1, first, first + 1, 1),
          to = tf_slice_axis(op, boxes, 1, first + 2, first + 3, 1);
  sdx_value *tensor = sdx_tensor_create(SDX_FLOAT, 2, (int64_t[]){1, size});
  for (int64_t i = 0; tensor && i < size; i++)
    ((float *)sdx_tensor_data(tensor))[i] = size > 1 ? (float)i / (float)(size - 1) : 0.5f;
  sdx_ref steps = sdx_graph_add_initializer(sdx_builder_graph(op->t->c->builder), "steps", tensor);
  sdx_ref way = tf_node_add(op, "Mul", SDX_REFS(tf_node_add(op, "Sub", SDX_REFS(to, from)), steps));
  sdx_ref at = tf_node_add(op, "Add", SDX_REFS(from, way));
  at = tf_node_add(op, "Mul", SDX_REFS(at, tf_scalar(op, SDX_FLOAT, 2)));
  return tf_node_add(op, "Sub", SDX_REFS(at, tf_scalar(op, SDX_FLOAT, 1)));
}

static sdx_ref within(tf_op *op, sdx_ref at) {
  return tf_node_add(op, "LessOrEqual", SDX_REFS(tf_node_add(op, "Abs", SDX_REFS(at)), tf_scalar(op, SDX_FLOAT, 1)));
}

static void crop_and_resize(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *boxes = tf_in(op, 1);
  int64_t size[2], shape[4] = {-1, -1, -1, -1};
  size_t count;
  sdx_ref in = x ? tf_to_first(op, 0, 4) : 0, b = tf_get(op, 1), of = tf_get(op, 2);
  if (!in || !b || !of || !boxes) return;
  if (!tf_ints(op, 3, size, 2, &count) || count != 2 || size[0] < 1 || size[1] < 1 || size[0] > INT16_MAX ||
      size[1] > INT16_MAX || sdx_builder_opset(op->t->c->builder, "") < 20) {
    tf_fail(op, SDX_NOT_SUPPORTED, "--opset 20 or newer", "a size that is computed, or an opset below 20");
    return;
  }
  if (x->dtype != SDX_FLOAT) in = tf_cast(op, in, SDX_FLOAT);
  sdx_ref y = samples(op, b, 0, size[0]), across = samples(op, b, 1, size[1]);
  sdx_ref rows = unsqueeze(op, y, 2), columns = unsqueeze(op, across, 1), zero = tf_scalar(op, SDX_FLOAT, 0);
  sdx_ref all[] = {tf_node_add(op, "Add", SDX_REFS(tf_node_add(op, "Mul", SDX_REFS(rows, zero)), columns)),
                   tf_node_add(op, "Add", SDX_REFS(tf_node_add(op, "Mul", SDX_REFS(columns, zero)), rows))};
  sdx_ref grid = tf_node_add(op, "Concat", SDX_REFS(unsqueeze(op, all[0], 3), unsqueeze(op, all[1], 3)));
  if (grid) sdx_graph_set_int(op->g, "axis", 3);
  sdx_ref cut = tf_node_add(op, "GridSample", SDX_REFS(tf_node_add(op, "Gather", SDX_REFS(in, of)), grid));
  if (!cut) return;
  bool nearest = str_is(tf_attr_text(op->node, "method"), "nearest");
  sdx_graph_set_string(op->g, "mode", nearest ? "nearest" : "linear");
  sdx_graph_set_string(op->g, "padding_mode", "border");
  sdx_graph_set_int(op->g, "align_corners", 1);
  sdx_ref there = tf_node_add(op, "And", SDX_REFS(within(op, rows), within(op, columns)));
  sdx_ref value = tf_scalar(op, SDX_FLOAT, (double)tf_attr_float(op->node, "extrapolation_value", 0));
  cut = tf_node_add(op, "Where", SDX_REFS(unsqueeze(op, there, 1), cut, value));
  shape[0] = boxes->rank == 2 ? boxes->shape[0] : -1, shape[1] = size[0], shape[2] = size[1];
  if (x->rank == 4) shape[3] = x->shape[3];
  tf_set_to_last(op, 0, cut, SDX_FLOAT, 4, shape);
}

const tf_kind tf_detect_kinds[] = {
    {"CombinedNonMaxSuppression", suppress_classes,
     .outputs = "nmsed_boxes,nmsed_scores,nmsed_classes,valid_detections"},
    {"CropAndResize", .emit = crop_and_resize},
    {"NonMaxSuppression", suppress, .op = "1"},
    {"NonMaxSuppressionV2", suppress, .op = "2"},
    {"NonMaxSuppressionV3", suppress, .op = "3"},
    {"NonMaxSuppressionV4", suppress, .op = "4", .outputs = "selected_indices,valid_outputs"},
    {"NonMaxSuppressionV5", suppress, .op = "5", .outputs = "selected_indices,selected_scores,valid_outputs"},
    {0},
};
