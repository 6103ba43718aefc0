// SPDX-License-Identifier: Apache-2.0
// Operators on images: resizing, cutting out, blocks of space that become channels or examples.
#include <string.h>

#include "base/size.h"
#include "convert/tensorflow.h"

// Sizes of the result with its channels first: those of the input but for height and width.
static sdx_ref full_size(tf_op *op, sdx_ref in) {
  sdx_ref size = tf_get_int64(op, 1), head = tf_shape_of(op, in, 0, 2);
  if (!size || !head) return 0;
  sdx_ref y = tf_node_add(op, "Concat", SDX_REFS(head, size));
  if (y) sdx_graph_set_int(op->g, "axis", 0);
  return y;
}

// The shape of the result, channels last, as far as it is known.
static void set_resized(tf_op *op, sdx_ref y, sdx_dtype dtype, bool first) {
  const tf_value *x = tf_in(op, 0), *to = tf_in(op, 1);
  int64_t shape[] = {x->rank < 0 ? -1 : x->shape[0], -1, -1, x->rank < 0 ? -1 : x->shape[3]};
  for (size_t i = 0; to->elements && to->element_count == 2 && i < 2; i++)
    shape[i + 1] = to->elements[i] < 0 ? -1 : to->elements[i];
  if (first) tf_set_to_last(op, 0, y, dtype, 4, shape);
  else tf_set(op, 0, y, dtype, 4, shape);
}

static void resize_cubic(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  bool corners = tf_attr_int(op->node, "align_corners", 0), half = tf_attr_int(op->node, "half_pixel_centers", 0);
  sdx_ref y = tf_get(op, 0), sizes = tf_get_int64(op, 1);
  if (!x || !y || !sizes || !tf_rank_is(op, x, 4)) return;
  if (x->dtype != SDX_FLOAT) y = tf_cast(op, y, SDX_FLOAT);
  for (int i = 0; i < 2; i++) {
    sdx_ref size = tf_node_add(op, "Gather", SDX_REFS(sizes, tf_scalar(op, SDX_INT64, i)));
    y = node_resize_cubic(op->t->c, y, i + 1, 2 - (size_t)i, size, corners, half);
  }
  set_resized(op, y, SDX_FLOAT, false);
}

static void resize(tf_op *op) {
  const tf_value *x = tf_in(op, 0), *to = tf_in(op, 1);
  bool nearest = !strcmp(op->kind->op, "nearest");
  bool corners = tf_attr_int(op->node, "align_corners", 0), half = tf_attr_int(op->node, "half_pixel_centers", 0);
  sdx_ref in = x && to ? tf_to_first(op, 0, 4) : 0;
  if (!in) return;
  bool cast = x->dtype != SDX_FLOAT && !nearest;
  if (cast) in = tf_cast(op, in, SDX_FLOAT);
  sdx_ref sizes = full_size(op, in), y = sizes ? tf_node_add(op, "Resize", SDX_REFS(in, 0, 0, sizes)) : 0;
  if (!y) return;
  node_set_resize(op->t->c, nearest, corners, half);
  set_resized(op, y, cast ? SDX_FLOAT : x->dtype, true);
}

static void blocks(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t block = tf_attr_int(op->node, "block_size", 1), shape[4] = {-1, -1, -1, -1};
  bool first = tf_channels_first(op), up = *op->kind->op == 'D';
  sdx_ref in = !x ? 0 : first ? tf_get(op, 0) : tf_to_first(op, 0, 4);
  sdx_ref y = in ? tf_node_add(op, op->kind->op, SDX_REFS(in)) : 0;
  if (!y) return;
  if (block < 1 || block > INT16_MAX) {
    tf_fail(op, SDX_INVALID_MODEL, NULL, "blocks of %lld", (long long)block);
    return;
  }
  sdx_graph_set_int(op->g, "blocksize", block);
  for (int i = 0; x->rank == 4 && i < 4; i++) {
    bool channels = i == (first ? 1 : 3);
    int64_t by = channels ? block * block : block, n = x->shape[i];
    shape[i] = n < 0 || i == 0 ? n : up == channels ? n / by : wrap_mul(n, by);
  }
  if (first) tf_set(op, 0, y, x->dtype, 4, shape);
  else tf_set_to_last(op, 0, y, x->dtype, 4, shape);
}

// ---- blocks of space and examples --------------------------------------------------------------------

// [batch, ..., d, ...] becomes [block * batch, ..., d / block, ...]: the axis goes to the end and is parted there, the
// batch goes behind the block and both are joined. Sizes need not be known.
static sdx_ref axis_to_batch(tf_op *op, sdx_ref y, int rank, int axis, int64_t block) {
  int64_t order[TF_RANK + 1], spec[TF_RANK + 1] = {0}, n = 0;
  for (int i = 0; i < rank; i++)
    if (i != axis) order[n++] = i;
  order[n] = axis;
  y = tf_transpose(op, y, (size_t)rank, order);
  spec[rank - 1] = -1, spec[rank] = block;
  y = tf_node_add(op, "Reshape", SDX_REFS(y, tf_list(op, (size_t)rank + 1, spec)));
  // batch, the others, d / block, block -> the others in place, block, batch
  n = 0;
  for (int i = 1; i < rank; i++) order[n++] = i == axis ? rank - 1 : i < axis ? i : i - 1;
  order[n++] = rank, order[n] = 0;
  y = tf_transpose(op, y, (size_t)rank + 1, order);
  spec[rank - 1] = -1;
  y = tf_node_add(op, "Reshape", SDX_REFS(y, tf_list(op, (size_t)rank, spec)));
  order[0] = rank - 1;
  for (int i = 1; i < rank; i++) order[i] = i - 1;
  return tf_transpose(op, y, (size_t)rank, order);
}

static sdx_ref batch_to_axis(tf_op *op, sdx_ref y, int rank, int axis, int64_t block) {
  int64_t order[TF_RANK + 1], spec[TF_RANK + 1] = {0}, n = 0;
  for (int i = 1; i < rank; i++) order[n++] = i;
  order[n] = 0;
  y = tf_transpose(op, y, (size_t)rank, order);
  spec[rank - 1] = block, spec[rank] = -1;
  y = tf_node_add(op, "Reshape", SDX_REFS(y, tf_list(op, (size_t)rank + 1, spec)));
  // the others, block, batch -> batch, the others without the axis, axis, block
  n = 0;
  order[n++] = rank;
  for (int i = 1; i < rank; i++)
    if (i != axis) order[n++] = i - 1;
  order[n++] = axis - 1, order[n] = rank - 1;
  y = tf_transpose(op, y, (size_t)rank + 1, order);
  spec[rank - 1] = -1;
  y = tf_node_add(op, "Reshape", SDX_REFS(y, tf_list(op, (size_t)rank, spec)));
  for (int i = 0; i < rank; i++) order[i] = i < axis ? i : i == axis ? rank - 1 : i - 1;
  return tf_transpose(op, y, (size_t)rank, order);
}

// Pads or crops of dimensions 1 to m; pairs NULL: computed.
static sdx_ref pad_space(tf_op *op, sdx_ref y, int rank, int m, const int64_t *pairs) {
  int64_t pads[2 * TF_RANK] = {0};
  for (int i = 0; pairs && i < m; i++) pads[1 + i] = pairs[2 * i], pads[rank + 1 + i] = pairs[2 * i + 1];
  if (pairs) return tf_node_add(op, "Pad", SDX_REFS(y, tf_list(op, 2 * (size_t)rank, pads)));
  sdx_ref all = tf_get_int64(op, 2), ends[2];
  if (!all) return 0;
  for (int64_t i = 0; i < 2; i++) ends[i] = tf_squeeze(op, tf_slice_axis(op, all, 1, i, i + 1, 1), 1);
  sdx_ref none = tf_list(op, 1, (int64_t[]){0}), rest = tf_list(op, (size_t)(rank - m - 1), pads);
  sdx_ref n = tf_node_add(op, "Concat", SDX_REFS(none, ends[0], rest, none, ends[1], rest));
  if (n) sdx_graph_set_int(op->g, "axis", 0);
  return tf_node_add(op, "Pad", SDX_REFS(y, n));
}

static sdx_ref crop_space(tf_op *op, sdx_ref y, int m, const int64_t *pairs) {
  for (int i = 0; pairs && i < m; i++)
    if (pairs[2 * i] || pairs[2 * i + 1])
      y = tf_slice_axis(op, y, i + 1, pairs[2 * i], pairs[2 * i + 1] ? -pairs[2 * i + 1] : INT32_MAX, 1);
  if (pairs) return y;
  int64_t axes[TF_RANK];
  for (int i = 0; i < m; i++) axes[i] = i + 1;
  sdx_ref all = tf_get_int64(op, 2), ends[2];
  if (!all) return 0;
  for (int64_t i = 0; i < 2; i++) ends[i] = tf_squeeze(op, tf_slice_axis(op, all, 1, i, i + 1, 1), 1);
  ends[1] = tf_node_add(op, "Sub", SDX_REFS(tf_shape_of(op, y, 1, m + 1), ends[1]));
  return tf_node_add(op, "Slice", SDX_REFS(y, ends[0], ends[1], tf_list(op, (size_t)m, axes)));
}

static void batches(tf_op *op) {
  const tf_value *x = tf_in(op, 0);
  int64_t block[TF_RANK], pairs[2 * TF_RANK], shape[TF_RANK], all = 1;
  size_t m = 0, count = 0;
  bool back = *op->kind->op == 'b';
  sdx_ref y = tf_get(op, 0);
  if (!x || !y || !tf_has_rank(op, x)) return;
  if (!tf_ints(op, 1, block, TF_RANK, &m) || (int)m >= x->rank || x->rank >= TF_RANK) {
    tf_fail(op, SDX_NOT_SUPPORTED, NULL, "blocks that are computed, or of too many dimensions");
    return;
  }
  bool known = tf_ints(op, 2, pairs, 2 * TF_RANK, &count) && count == 2 * m;
  memcpy(shape, x->shape, sizeof shape);
  for (size_t i = 0; i < m; i++) {
    if (block[i] < 1 || block[i] > INT16_MAX) {
      tf_fail(op, SDX_INVALID_MODEL, NULL, "blocks of %lld", (long long)block[i]);
      return;
    }
    int64_t both = known ? wrap_add(pairs[2 * i], pairs[2 * i + 1]) : 0, n = shape[i + 1];
    shape[i + 1] = !known || n < 0 ? -1 : back ? wrap_sub(wrap_mul(n, block[i]), both) : wrap_add(n, both) / block[i];
    all = wrap_mul(all, block[i]);
  }
  shape[0] = shape[0] < 0 || all < 1 ? -1 : back ? shape[0] / all : wrap_mul(shape[0], all);
  if (!back) y = pad_space(op, y, x->rank, (int)m, known ? pairs : NULL);
  for (size_t i = 0; i < m && y; i++)
    y = back ? batch_to_axis(op, y, x->rank, (int)i + 1, block[i])
             : axis_to_batch(op, y, x->rank, (int)(m - i), block[m - 1 - i]);
  if (back && y) y = crop_space(op, y, (int)m, known ? pairs : NULL);
  if (y) tf_set(op, 0, y, x->dtype, x->rank, shape);
}

const tf_kind tf_image_kinds[] = {
    {"BatchToSpaceND", batches, .op = "b"},
    {"DepthToSpace", blocks, .op = "DepthToSpace"},
    {"ResizeBicubic", .emit = resize_cubic},
    {"ResizeBilinear", resize, .op = "linear"},
    {"ResizeNearestNeighbor", resize, .op = "nearest"},
    {"SpaceToBatchND", batches, .op = "s"},
    {"SpaceToDepth", blocks, .op = "SpaceToDepth"},
    {0},
};
