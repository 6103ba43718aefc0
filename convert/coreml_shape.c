// SPDX-License-Identifier: Apache-2.0
// Core ML's layers that move numbers: reshape, permute, concat, slice, gather and the like.
#include <string.h>

#include "convert/coreml.h"

static bool sound_axis(coreml_layer *l, const net_tensor *x, const char *field, int64_t missing, size_t *axis) {
  return net_axis(l->n, x, proto_int(&l->params, field, missing), axis);
}

// ---- layers of the older rule -----------------------------------------------------------------------

// To height, width, channels.
static net_tensor channels_last(coreml_layer *l, net_tensor x) {
  return net_transpose(l->n, x, (int64_t[]){0, 2, 3, 1});
}

static void flatten(coreml_layer *l) {
  enum { CHANNEL_LAST = 1 };
  net_tensor x = l->in[0];
  if (proto_int(&l->params, "mode", 0) == CHANNEL_LAST) x = channels_last(l, coreml_image(l, x));
  if (convert_failed(l->m->c) || x.rank < 1) return;
  net_tensor y = net_flatten(l->n, x, 1);
  l->out[0] = l->exact ? net_unsqueeze(l->n, net_unsqueeze(l->n, y, 2), 3) : y;
}

static void reshape(coreml_layer *l) {
  enum { CHANNEL_LAST = 1 };
  int64_t target[4] = {1, 1, 1, 1};
  size_t count = proto_count(&l->params, "targetShape");
  if (count != 3 && count != 4) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "a shape of %zu dimensions", count);
    return;
  }
  proto_ints(&l->params, "targetShape", count, target + 4 - count);
  int64_t first = target[0] == 1 ? 0 : target[0];  // a sequence, unless the batch stays
  net_tensor x = coreml_image(l, l->in[0]);
  if (proto_int(&l->params, "mode", 0) == CHANNEL_LAST) {
    x = net_reshape(l->n, channels_last(l, x), 4, (int64_t[]){first, target[2], target[3], target[1]});
    l->out[0] = net_transpose(l->n, x, (int64_t[]){0, 3, 1, 2});
  } else {
    l->out[0] = net_reshape(l->n, x, 4, (int64_t[]){first, target[1], target[2], target[3]});
  }
}

static void permute(coreml_layer *l) {
  int64_t axes[NET_RANK];
  bool older = !strcmp(l->kind->name, "permute");
  net_tensor x = older ? coreml_image(l, l->in[0]) : l->in[0];
  size_t count = proto_ints(&l->params, older ? "axis" : "axes", NET_RANK, axes);
  if (!convert_failed(l->m->c)) l->out[0] = net_permute(l->n, x, count, axes);
}

static void concat(coreml_layer *l) {
  bool wide = false;
  size_t axis = l->params.type->count && proto_int(&l->params, "sequenceConcat", 0) ? 0 : 1;
  for (size_t i = 0; i < l->in_count; i++) wide = wide || l->in[i].rank == 4;
  for (size_t i = 0; !l->exact && wide && i < l->in_count; i++) l->in[i] = coreml_image(l, l->in[i]);
  if (l->exact) {
    if (l->in[0].rank < 3) net_fail(l->n, SDX_INVALID_MODEL, NULL, "a value of rank %zu", l->in[0].rank);
    else axis = l->in[0].rank - 3;
  }
  if (!convert_failed(l->m->c)) l->out[0] = net_concat(l->n, axis, l->in_count, l->in);
}

static void split_into(coreml_layer *l, size_t axis, size_t count, int64_t *sizes) {
  int64_t size = l->in[0].shape[axis];
  if (count < 1 || count > COREML_LAYER_INPUTS || (!sizes[0] && (size < 0 || size % (int64_t)count))) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "%zu parts of %s", count, net_shape_text(l->n, &l->in[0]));
    return;
  }
  for (size_t i = 0; i < count && size >= 0; i++)
    if (!sizes[i]) sizes[i] = size / (int64_t)count;
  net_split(l->n, l->in[0], axis, count, sizes, l->out);
}

static void split(coreml_layer *l) {
  int64_t sizes[COREML_LAYER_INPUTS] = {0};
  size_t rank = l->in[0].rank, axis = l->exact && rank > 2 ? rank - 3 : 1;
  if (rank < 2) net_fail(l->n, SDX_INVALID_MODEL, NULL, "a value of rank %zu", rank);
  else split_into(l, axis, l->out_count, sizes);
}

static void split_nd(coreml_layer *l) {
  int64_t sizes[COREML_LAYER_INPUTS] = {0};
  size_t axis;
  proto_ints(&l->params, "splitSizes", COREML_LAYER_INPUTS, sizes);
  if (sound_axis(l, &l->in[0], "axis", 0, &axis)) split_into(l, axis, l->out_count, sizes);
}

static void repeat_sequence(coreml_layer *l) {
  int64_t repeats[NET_RANK];
  for (size_t i = 0; i < NET_RANK; i++) repeats[i] = 1;
  repeats[0] = proto_int(&l->params, "nRepetitions", 1);
  if (l->in[0].rank) l->out[0] = net_tile(l->n, l->in[0], repeats);
}

static void slice(coreml_layer *l) {
  net_tensor x = coreml_image(l, l->in[0]);
  int64_t axis = proto_int(&l->params, "axis", 0), stride = proto_int(&l->params, "stride", 1);
  int64_t from = proto_int(&l->params, "startIndex", 0), to = proto_int(&l->params, "endIndex", 0);
  if (axis < 0 || axis > 2 || stride < 0 || stride > NET_MOST || convert_failed(l->m->c)) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "axis %lld, stride %lld", (long long)axis, (long long)stride);
    return;
  }
  net_tensor y = net_slice(l->n, x, 1 + (size_t)axis, from, to ? to : INT64_MAX, stride ? stride : 1);
  l->out[0] = coreml_like_input(l, y, &l->in[0]);
}

// ---- layers of the newer rule -----------------------------------------------------------------------

static void concat_nd(coreml_layer *l) {
  size_t axis;
  if (proto_int(&l->params, "interleave", 0)) net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "interleaved parts");
  else if (sound_axis(l, &l->in[0], "axis", 0, &axis)) l->out[0] = net_concat(l->n, axis, l->in_count, l->in);
}

static void stack(coreml_layer *l) {
  l->out[0] = net_stack(l->n, proto_int(&l->params, "axis", 0), l->in_count, l->in);
}

static void reshape_to(coreml_layer *l) {
  int64_t target[NET_RANK];
  size_t count = proto_count(&l->params, "targetShape");
  if (count > NET_RANK) {
    net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "a shape of %zu dimensions", count);
    return;
  }
  proto_ints(&l->params, "targetShape", count, target);
  l->out[0] = net_reshape(l->n, l->in[0], count, target);
}

static void like_other(coreml_layer *l, const char *op) {
  if (l->in_count != 2) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "%zu inputs, expected 2", l->in_count);
    return;
  }
  net_tensor y = l->in[1], shape = net_shape_of(l->n, y);
  y.dtype = l->in[0].dtype;
  l->out[0] = net_like(y, net_node(l->n, op, NULL, SDX_REFS(l->in[0].ref, shape.ref)));
}

static void reshape_like(coreml_layer *l) { like_other(l, "Reshape"); }
static void broadcast_like(coreml_layer *l) { like_other(l, "Expand"); }

static void broadcast_to(coreml_layer *l) {
  int64_t target[NET_RANK];
  size_t count = proto_ints(&l->params, "targetShape", NET_RANK, target);
  for (size_t i = 0; i < count && i < NET_RANK; i++)
    if (target[i] < 0) count = NET_RANK + 1;
  if (count > NET_RANK) net_fail(l->n, SDX_INVALID_MODEL, NULL, "a shape of %zu dimensions", count);
  else l->out[0] = net_expand(l->n, l->in[0], count, target);
}

// Axes in ascending order, within a value of so many dimensions. False: reported.
static bool axes_of(coreml_layer *l, size_t rank, size_t *count, size_t *axes) {
  int64_t at[NET_RANK];
  net_tensor like = {.rank = rank};
  bool set[NET_RANK] = {0};
  size_t n = proto_ints(&l->params, "axes", NET_RANK, at);
  if (rank > NET_RANK || n > NET_RANK) return !net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "%zu dimensions", rank);
  for (size_t i = 0; i < n; i++) {
    size_t axis;
    if (!net_axis(l->n, &like, at[i], &axis)) return false;
    set[axis] = true;
  }
  *count = 0;
  for (size_t i = 0; i < rank; i++)
    if (set[i]) axes[(*count)++] = i;
  return true;
}

static void expand_dims(coreml_layer *l) {
  size_t axes[NET_RANK], count;
  net_tensor y = l->in[0];
  if (!axes_of(l, y.rank + proto_count(&l->params, "axes"), &count, axes)) return;
  for (size_t i = 0; i < count; i++) y = net_unsqueeze(l->n, y, axes[i]);
  l->out[0] = y;
}

static void squeeze(coreml_layer *l) {
  size_t axes[NET_RANK], count;
  net_tensor y = l->in[0];
  if (!axes_of(l, y.rank, &count, axes)) return;
  if (proto_int(&l->params, "squeezeAll", 0)) {
    count = 0;
    for (size_t i = 0; i < y.rank; i++)
      if (y.shape[i] == 1) axes[count++] = i;
  }
  while (count) y = net_squeeze(l->n, y, axes[--count]);
  l->out[0] = y;
}

static void flatten_2d(coreml_layer *l) {
  l->out[0] = net_flatten_2d(l->n, l->in[0], proto_int(&l->params, "axis", 0));
}

static void slice_static(coreml_layer *l) {
  int64_t from[NET_RANK], to[NET_RANK], step[NET_RANK], from_mask[NET_RANK] = {0}, to_mask[NET_RANK] = {0},
                                                        gone[NET_RANK] = {0};
  net_tensor y = l->in[0];
  proto_ints(&l->params, "beginMasks", NET_RANK, from_mask);
  proto_ints(&l->params, "endMasks", NET_RANK, to_mask);
  proto_ints(&l->params, "squeezeMasks", NET_RANK, gone);
  if (proto_ints(&l->params, "beginIds", NET_RANK, from) != y.rank ||
      proto_ints(&l->params, "endIds", NET_RANK, to) != y.rank ||
      proto_ints(&l->params, "strides", NET_RANK, step) != y.rank) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "bounds that are not one for each dimension of %s",
             net_shape_text(l->n, &y));
    return;
  }
  l->out[0] = net_slice_each(l->n, y, from, to, step, from_mask, to_mask, gone);
}

static void tile(coreml_layer *l) {
  int64_t repeats[NET_RANK];
  if (proto_ints(&l->params, "reps", NET_RANK, repeats) == l->in[0].rank) l->out[0] = net_tile(l->n, l->in[0], repeats);
  else net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "repetitions that are computed, or of another rank");
}

static void gather(coreml_layer *l) {
  size_t axis;
  if (l->in_count != 2) net_fail(l->n, SDX_INVALID_MODEL, NULL, "%zu inputs, expected 2", l->in_count);
  else if (sound_axis(l, &l->in[0], "axis", 0, &axis))
    l->out[0] = net_gather(l->n, l->in[0], net_cast(l->n, l->in[1], SDX_INT64), axis);
}

static void gather_along(coreml_layer *l) {
  size_t axis;
  if (l->in_count != 2) net_fail(l->n, SDX_INVALID_MODEL, NULL, "%zu inputs, expected 2", l->in_count);
  else if (sound_axis(l, &l->in[0], "axis", 0, &axis)) l->out[0] = net_gather_along(l->n, l->in[0], l->in[1], axis);
}

static void gather_nd(coreml_layer *l) {
  net_tensor x = l->in[0], at = l->in[1], y = {.dtype = x.dtype};
  int64_t depth = l->in_count == 2 && at.rank ? at.shape[at.rank - 1] : -1;
  if (depth < 1 || depth > (int64_t)x.rank || at.rank - 1 + x.rank - (size_t)depth > NET_RANK) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "indices that do not fit");
    return;
  }
  for (size_t i = 0; i + 1 < at.rank; i++) y.shape[y.rank++] = at.shape[i];
  for (size_t i = (size_t)depth; i < x.rank; i++) y.shape[y.rank++] = x.shape[i];
  at = net_cast(l->n, at, SDX_INT64);
  l->out[0] = net_like(y, net_node(l->n, "GatherND", NULL, SDX_REFS(x.ref, at.ref)));
}

static void reverse(coreml_layer *l) {
  int64_t flags[NET_RANK] = {0};
  net_tensor y = l->in[0];
  proto_ints(&l->params, "reverseDim", NET_RANK, flags);
  for (size_t i = 0; i < y.rank; i++)
    if (flags[i]) y = net_slice(l->n, y, i, -1, INT64_MIN + 1, -1);
  l->out[0] = y;
}

static void constant_pad(coreml_layer *l) {
  int64_t amounts[2 * NET_RANK], before[NET_RANK] = {0}, after[NET_RANK] = {0};
  net_tensor x = l->in[0];
  size_t count = proto_ints(&l->params, "padAmounts", 2 * NET_RANK, amounts);
  if (count != 2 * x.rank || proto_int(&l->params, "padToGivenOutputSizeMode", 0)) {
    net_fail(l->n, SDX_NOT_SUPPORTED, NULL, "%zu amounts for a value of rank %zu", count, x.rank);
    return;
  }
  for (size_t i = 0; i < x.rank; i++) before[i] = amounts[2 * i], after[i] = amounts[2 * i + 1];
  l->out[0] = net_pad(l->n, x, "constant", proto_number(&l->params, "value", 0), before, after);
}

static void get_shape(coreml_layer *l) { l->out[0] = net_cast(l->n, net_shape_of(l->n, l->in[0]), SDX_FLOAT); }

static void fill_like(coreml_layer *l) {
  net_tensor value = net_scalar(l->n, SDX_FLOAT, proto_number(&l->params, "value", 0)), y = l->in[0];
  l->out[0] = net_like(y, net_node(l->n, "Expand", NULL, SDX_REFS(value.ref, net_shape_of(l->n, y).ref)));
}

static void fill_static(coreml_layer *l) {
  int64_t shape[NET_RANK];
  size_t rank = proto_ints(&l->params, "targetShape", NET_RANK, shape);
  for (size_t i = 0; i < rank && i < NET_RANK; i++)
    if (shape[i] < 0) rank = NET_RANK + 1;
  if (rank > NET_RANK) net_fail(l->n, SDX_INVALID_MODEL, NULL, "a shape of more than %d dimensions", NET_RANK);
  else l->out[0] = net_expand(l->n, net_scalar(l->n, SDX_FLOAT, proto_number(&l->params, "value", 0)), rank, shape);
}

static void triangle(coreml_layer *l) {
  bool upper = !strcmp(l->kind->name, "upperTriangular");
  net_tensor k = net_scalar(l->n, SDX_INT64, (double)proto_int(&l->params, "k", 0));
  l->out[0] = net_like(l->in[0], net_node(l->n, "Trilu", NULL, SDX_REFS(l->in[0].ref, k.ref)));
  sdx_graph_set_int(l->m->c->graph, "upper", upper);
}

static void one_hot(coreml_layer *l) {
  int64_t size = l->in_count == 1 ? proto_int(&l->params, "oneHotVectorSize", 0) : 0,
          axis = proto_int(&l->params, "axis", -1);
  l->out[0] = net_one_hot(l->n, l->in[0], size, axis, proto_number(&l->params, "offValue", 0),
                          proto_number(&l->params, "onValue", 1));
}

static void slice_by_size(coreml_layer *l) {
  size_t axis;
  int64_t size = proto_int(&l->params, "size", 0);
  if (l->in_count != 2 || size < 0 || size > INT32_MAX) {
    net_fail(l->n, SDX_INVALID_MODEL, NULL, "%lld elements", (long long)size);
    return;
  }
  if (!sound_axis(l, &l->in[0], "axis", 0, &axis)) return;
  int64_t at = (int64_t)axis;
  net_tensor y = l->in[0], from = net_reshape(l->n, net_cast(l->n, l->in[1], SDX_INT64), 1, (int64_t[]){1});
  net_tensor to = net_scale(l->n, "Add", "end", from, (double)size);
  y.shape[axis] = size;
  l->out[0] = net_like(y, net_node(l->n, "Slice", NULL, SDX_REFS(y.ref, from.ref, to.ref, net_ints(l->n, 1, &at).ref)));
}

static void where_nonzero(coreml_layer *l) {
  net_tensor y = {.dtype = SDX_INT64, .rank = 2, .shape = {(int64_t)l->in[0].rank, -1}};
  y.ref = net_node(l->n, "NonZero", NULL, SDX_REFS(l->in[0].ref));
  l->out[0] = net_cast(l->n, net_transpose(l->n, y, (int64_t[]){1, 0}), SDX_FLOAT);
}

const coreml_layer_kind coreml_shape_layers[] = {
    {"flatten", flatten, NULL},
    {"reshape", reshape, NULL},
    {"permute", permute, NULL},
    {"transpose", permute, NULL},
    {"concat", concat, NULL},
    {"split", split, NULL},
    {"splitND", split_nd, NULL},
    {"sequenceRepeat", repeat_sequence, NULL},
    {"slice", slice, NULL},
    {"concatND", concat_nd, NULL},
    {"stack", stack, NULL},
    {"reshapeStatic", reshape_to, NULL},
    {"rankPreservingReshape", reshape_to, NULL},
    {"reshapeLike", reshape_like, NULL},
    {"broadcastToLike", broadcast_like, NULL},
    {"broadcastToStatic", broadcast_to, NULL},
    {"expandDims", expand_dims, NULL},
    {"squeeze", squeeze, NULL},
    {"flattenTo2D", flatten_2d, NULL},
    {"sliceStatic", slice_static, NULL},
    {"sliceBySize", slice_by_size, NULL},
    {"tile", tile, NULL},
    {"gather", gather, NULL},
    {"gatherAlongAxis", gather_along, NULL},
    {"gatherND", gather_nd, NULL},
    {"reverse", reverse, NULL},
    {"constantPad", constant_pad, NULL},
    {"getShape", get_shape, NULL},
    {"fillLike", fill_like, NULL},
    {"fillStatic", fill_static, NULL},
    {"lowerTriangular", triangle, NULL},
    {"upperTriangular", triangle, NULL},
    {"oneHot", one_hot, NULL},
    {"whereNonZero", where_nonzero, NULL},
    {0},
};
