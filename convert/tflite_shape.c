// SPDX-License-Identifier: Apache-2.0
// Operators that reshape, cut, join and look up.
#include <string.h>

#include "convert/tflite.h"

static sdx_ref as_int64(tflite_op *op, size_t index) {
  int64_t n[64];
  size_t count;
  if (tflite_ints(op, index, n, 64, &count)) return sdx_graph_add_ints(op->g, count, n);
  sdx_ref raw = tflite_raw(op, index);
  return raw ? node_cast(op->t->c, raw, SDX_INT64) : 0;
}

static void reshape(tflite_op *op) {
  int64_t shape[TFLITE_RANK];
  const tflite_tensor *x = tflite_in(op, 0), *out = tflite_out(op, 0);
  sdx_ref to;
  if (!x || !out) return;
  if (tflite_in(op, 1)) {
    to = as_int64(op, 1);
  } else {
    for (size_t i = 0; i < out->rank; i++) shape[i] = out->shape[i];
    to = sdx_graph_add_ints(op->g, out->rank, shape);
  }
  sdx_ref y = tflite_get(op, 0);
  if (y && to) tflite_set(op, 0, tflite_node(op, "Reshape", SDX_REFS(y, to)));
}

// Squeeze and ExpandDims.
static void move_axis(tflite_op *op) {
  const tflite_tensor *x = tflite_in(op, 0);
  int64_t axes[TFLITE_RANK];
  size_t count = 0;
  bool squeeze = *op->kind->op == 'S';
  if (squeeze) {
    flat_vector v = flat_vector_field(&op->options, 0, 4);
    for (; count < v.count && count < TFLITE_RANK; count++) axes[count] = tflite_int_at(v, count, 4);
    for (size_t i = 0; x && !v.count && i < x->rank; i++)
      if (x->shape[i] == 1) axes[count++] = (int64_t)i;
  } else if (!tflite_ints(op, 1, axes, TFLITE_RANK, &count)) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "an axis that is computed");
    return;
  }
  sdx_ref y = tflite_get(op, 0);
  if (y) tflite_set(op, 0, tflite_node(op, op->kind->op, SDX_REFS(y, sdx_graph_add_ints(op->g, count, axes))));
}

static void transpose(tflite_op *op) {
  int64_t order[TFLITE_RANK];
  size_t count = 0;
  const tflite_tensor *x = tflite_in(op, 0);
  if (!x || !tflite_ints(op, 1, order, TFLITE_RANK, &count) || count != x->rank) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "an order that is computed");
    return;
  }
  sdx_ref y = tflite_node(op, "Transpose", SDX_REFS(tflite_get(op, 0)));
  if (y) sdx_graph_set_ints(op->g, "perm", count, order);
  tflite_set(op, 0, y);
}

static void concatenation(tflite_op *op) {
  const tflite_tensor *x = tflite_in(op, 0);
  bool pack = *op->kind->op == 'P';
  int64_t axis = tflite_option(op, pack, 4, 0), at;
  sdx_ref *refs = arena_array(op->t->c->memory, op->in.count + 1, sizeof *refs);
  if (!x || !refs || !tflite_axis(op, axis, x->rank + pack, &at)) return;
  for (size_t i = 0; i < op->in.count; i++) {
    if (!(refs[i] = tflite_get(op, i))) return;
    if (pack) refs[i] = tflite_node(op, "Unsqueeze", SDX_REFS(refs[i], sdx_graph_add_ints(op->g, 1, &at)));
  }
  sdx_ref y = tflite_node(op, "Concat", op->in.count, refs);
  if (y) sdx_graph_set_int(op->g, "axis", at);
  tflite_set(op, 0, pack ? y : tflite_activated(op, y, 1));
}

static void pad(tflite_op *op) {
  int64_t pairs[2 * TFLITE_RANK], pads[2 * TFLITE_RANK];
  size_t count = 0;
  const tflite_tensor *x = tflite_in(op, 0);
  if (!x || !tflite_ints(op, 1, pairs, 2 * TFLITE_RANK, &count) || count != 2 * x->rank) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "a padding that is computed");
    return;
  }
  for (size_t i = 0; i < x->rank; i++) pads[i] = pairs[2 * i], pads[x->rank + i] = pairs[2 * i + 1];
  sdx_ref y = tflite_get(op, 0), n = sdx_graph_add_ints(op->g, count, pads);
  bool mirror = *op->kind->op == 'm';
  if (mirror && tflite_option(op, 0, 1, 0)) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "symmetric padding is not converted");
    return;
  }
  sdx_ref value = !mirror && tflite_in(op, 2) ? tflite_get(op, 2) : 0;
  if (value) value = tflite_node(op, "Reshape", SDX_REFS(value, sdx_graph_add_ints(op->g, 0, NULL)));
  y = tflite_node(op, "Pad", value ? 3 : 2, (sdx_ref[]){y, n, value});
  if (y) sdx_graph_set_string(op->g, "mode", mirror ? "reflect" : "constant");
  tflite_set(op, 0, y);
}

static sdx_ref slice_axis(tflite_op *op, sdx_ref x, int64_t axis, int64_t from, int64_t to, int64_t step) {
  sdx_graph *g = op->g;
  return tflite_node(op, "Slice",
                     SDX_REFS(x, sdx_graph_add_ints(g, 1, &from), sdx_graph_add_ints(g, 1, &to),
                              sdx_graph_add_ints(g, 1, &axis), sdx_graph_add_ints(g, 1, &step)));
}

// A size of -1 reaches to the end.
static void slice(tflite_op *op) {
  sdx_ref x = tflite_get(op, 0), from = as_int64(op, 1), size = as_int64(op, 2);
  if (!x || !from || !size) return;
  sdx_ref zero = sdx_graph_add_ints(op->g, 1, (int64_t[]){0}),
          most = sdx_graph_add_ints(op->g, 1, (int64_t[]){INT32_MAX});
  size = tflite_node(op, "Where", SDX_REFS(tflite_node(op, "Less", SDX_REFS(size, zero)), most, size));
  tflite_set(op, 0, tflite_node(op, "Slice", SDX_REFS(x, from, tflite_node(op, "Add", SDX_REFS(from, size)))));
}

static void strided_slice(tflite_op *op) {
  int64_t from[TFLITE_RANK], to[TFLITE_RANK], step[TFLITE_RANK], gone[TFLITE_RANK], made[TFLITE_RANK];
  size_t n = 0, m = 0, k = 0, goes = 0, makes = 0;
  const tflite_tensor *x = tflite_in(op, 0);
  int64_t begins = tflite_option(op, 0, 4, 0), ends = tflite_option(op, 1, 4, 0), shrinks = tflite_option(op, 4, 4, 0);
  int64_t news = tflite_option(op, 3, 4, 0), dots = tflite_option(op, 2, 4, 0);
  if (!x || !tflite_ints(op, 1, from, TFLITE_RANK, &n) || !tflite_ints(op, 2, to, TFLITE_RANK, &m) ||
      !tflite_ints(op, 3, step, TFLITE_RANK, &k) || n != m || n != k || tflite_option(op, 5, 1, 0)) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "a slice that is computed");
    return;
  }
  sdx_ref y = tflite_get(op, 0), first = y;
  size_t added = 0;
  for (size_t i = 0; i < n; i++) added += news >> i & 1;
  int64_t axis = 0, result = 0;
  for (size_t i = 0; i < n && y; i++) {
    if (dots >> i & 1) {
      int64_t skipped = (int64_t)x->rank - ((int64_t)n - 1 - (int64_t)added);
      axis += skipped, result += skipped;
      continue;
    }
    if (news >> i & 1) {
      made[makes++] = result++;
      continue;
    }
    bool shrink = shrinks >> i & 1;
    int64_t a = begins >> i & 1 ? (step[i] < 0 ? INT32_MAX : 0) : from[i];
    int64_t b = ends >> i & 1 ? (step[i] < 0 ? INT64_MIN + 1 : INT32_MAX) : to[i];
    if (shrink) b = from[i] == -1 ? INT32_MAX : from[i] + 1, a = from[i];
    if (!step[i] || axis >= (int64_t)x->rank) {
      tflite_fail(op, SDX_INVALID_MODEL, NULL, "a slice of more dimensions than there are, or of step 0");
      return;
    }
    if (a != 0 || b != INT32_MAX || step[i] != 1) y = slice_axis(op, y, axis, a, b, shrink ? 1 : step[i]);
    if (shrink) gone[goes++] = axis;
    else result++;
    axis++;
  }
  if (goes) y = tflite_node(op, "Squeeze", SDX_REFS(y, sdx_graph_add_ints(op->g, goes, gone)));
  if (makes) y = tflite_node(op, "Unsqueeze", SDX_REFS(y, sdx_graph_add_ints(op->g, makes, made)));
  tflite_set(op, 0, y == first ? tflite_node(op, "Identity", SDX_REFS(y)) : y);
}

// SPLIT has its axis first, SPLIT_V its sizes second.
static void split(tflite_op *op) {
  bool sized = *op->kind->op == 'v';
  int64_t axis[1], at, sizes[64];
  size_t count = 0, parts = op->out.count, n = 0;
  const tflite_tensor *x = tflite_in(op, sized ? 0 : 1);
  if (!x || !tflite_ints(op, sized ? 2 : 0, axis, 1, &count) || !count || !tflite_axis(op, *axis, x->rank, &at) ||
      (sized && (!tflite_ints(op, 1, sizes, 64, &n) || n != parts)) || (!sized && x->shape[at] < 0) || !parts) {
    if (!convert_failed(op->t->c)) tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "a split that is computed");
    return;
  }
  sdx_ref y = tflite_get(op, sized ? 0 : 1);
  int64_t from = 0, open = x->shape[at];
  for (size_t i = 0; sized && i < parts; i++) open -= sizes[i] < 0 ? 0 : sizes[i];
  for (size_t i = 0; y && i < parts; i++) {
    int64_t to = from + (!sized ? x->shape[at] / (int64_t)parts : sizes[i] < 0 ? open : sizes[i]);
    tflite_set(op, i, slice_axis(op, y, at, from, to, 1));
    from = to;
  }
}

static void unpack(tflite_op *op) {
  const tflite_tensor *x = tflite_in(op, 0);
  int64_t at;
  if (!x || !tflite_axis(op, tflite_option(op, 1, 4, 0), x->rank, &at)) return;
  sdx_ref y = tflite_get(op, 0);
  for (size_t i = 0; y && i < op->out.count; i++) {
    sdx_ref one = tflite_node(op, "Gather", SDX_REFS(y, sdx_graph_add_scalar(op->g, SDX_INT64, (double)i)));
    sdx_graph_set_int(op->g, "axis", at);
    tflite_set(op, i, one);
  }
}

static void gather(tflite_op *op) {
  const tflite_tensor *x = tflite_in(op, 0);
  int64_t at;
  if (!x || !tflite_axis(op, tflite_option(op, 0, 4, 0), x->rank, &at)) return;
  if (tflite_option(op, 1, 4, 0)) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "batch_dims are not converted");
    return;
  }
  sdx_ref y = tflite_get(op, 0), i = tflite_raw(op, 1);
  if (!y || !i) return;
  y = tflite_node(op, "Gather", SDX_REFS(y, i));
  sdx_graph_set_int(op->g, "axis", at);
  tflite_set(op, 0, y);
}

// EMBEDDING_LOOKUP has the indices first.
static void embedding_lookup(tflite_op *op) {
  sdx_ref i = tflite_raw(op, 0), table = tflite_get(op, 1);
  if (i && table) tflite_set(op, 0, tflite_node(op, "Gather", SDX_REFS(table, i)));
}

static void gather_nd(tflite_op *op) {
  sdx_ref x = tflite_get(op, 0), i = as_int64(op, 1);
  if (x && i)
    tflite_set(op, 0, tflite_node(op, "GatherND", SDX_REFS(x, node_cast(op->t->c, tflite_raw(op, 1), SDX_INT64))));
}

static void with_shape(tflite_op *op) {
  sdx_ref x = tflite_get(op, 0), n = as_int64(op, 1);
  if (x && n) tflite_set(op, 0, tflite_node(op, op->kind->op, SDX_REFS(x, n)));
}

static void fill(tflite_op *op) {
  sdx_ref shape = as_int64(op, 0), value = tflite_get(op, 1);
  if (shape && value) tflite_set(op, 0, tflite_node(op, "Expand", SDX_REFS(value, shape)));
}

static void shape_of(tflite_op *op) {
  const tflite_tensor *out = tflite_out(op, 0);
  sdx_ref x = tflite_raw(op, 0), y = tflite_node(op, "Shape", SDX_REFS(x));
  if (out && y) tflite_set_raw(op, 0, out->dtype == SDX_INT64 ? y : node_cast(op->t->c, y, out->dtype));
}

static void zeros_like(tflite_op *op) {
  sdx_ref x = tflite_get(op, 0);
  tflite_set(op, 0, tflite_node(op, "Sub", SDX_REFS(x, x)));
}

static void range(tflite_op *op) {
  sdx_ref a = tflite_raw(op, 0), b = tflite_raw(op, 1), step = tflite_raw(op, 2);
  if (a && b && step) tflite_set(op, 0, tflite_node(op, "Range", SDX_REFS(a, b, step)));
}

static void reverse(tflite_op *op) {
  int64_t axes[TFLITE_RANK];
  size_t count = 0;
  if (!tflite_ints(op, 1, axes, TFLITE_RANK, &count)) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "axes that are computed");
    return;
  }
  sdx_ref y = tflite_get(op, 0);
  for (size_t i = 0; y && i < count; i++) y = slice_axis(op, y, axes[i], -1, INT64_MIN + 1, -1);
  tflite_set(op, 0, y);
}

static void one_hot(tflite_op *op) {
  sdx_ref i = tflite_raw(op, 0), depth = tflite_raw(op, 1), on = tflite_get(op, 2), off = tflite_get(op, 3);
  if (!i || !depth || !on || !off) return;
  sdx_ref one = sdx_graph_add_ints(op->g, 1, (int64_t[]){1});
  on = tflite_node(op, "Reshape", SDX_REFS(on, one));
  off = tflite_node(op, "Reshape", SDX_REFS(off, one));
  sdx_ref values = tflite_node(op, "Concat", SDX_REFS(off, on));
  sdx_graph_set_int(op->g, "axis", 0);
  sdx_ref y = tflite_node(op, "OneHot",
                          SDX_REFS(node_cast(op->t->c, i, SDX_INT64), node_cast(op->t->c, depth, SDX_INT64), values));
  sdx_graph_set_int(op->g, "axis", tflite_option(op, 0, 4, -1));
  tflite_set(op, 0, y);
}

static void top_k(tflite_op *op) {
  sdx_ref x = tflite_get(op, 0), k = as_int64(op, 1);
  if (!x || !k) return;
  k = tflite_node(op, "Reshape", SDX_REFS(k, sdx_graph_add_ints(op->g, 1, (int64_t[]){1})));
  sdx_ref y = tflite_node(op, "TopK", SDX_REFS(x, k)), i = sdx_graph_add_node_output(op->g);
  tflite_set(op, 0, y);
  tflite_set_raw(op, 1, node_cast(op->t->c, i, SDX_INT32));
}

// Blocks of space that go to the batch, and back: [n] of two dimensions.
static void space_to_batch(tflite_op *op) {
  int64_t block[2], pairs[4], pads[8] = {0};
  size_t n = 0, m = 0;
  const tflite_tensor *x = tflite_in(op, 0);
  bool back = *op->kind->op == 'b';
  if (!x || x->rank < 3 || x->rank > 4 || !tflite_ints(op, 1, block, 2, &n) || !tflite_ints(op, 2, pairs, 4, &m) ||
      n != x->rank - 2 || m != 2 * n) {
    tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "blocks that are computed, or of more than two dimensions");
    return;
  }
  sdx_ref y = tflite_get(op, 0);
  int64_t channels = x->shape[x->rank - 1], size[2] = {1, 1};
  for (size_t i = 0; i < n; i++) {
    size[i] = x->shape[i + 1] + (back ? 0 : pairs[2 * i] + pairs[2 * i + 1]);
    if (x->shape[i + 1] < 0 || block[i] < 1 || (!back && size[i] % block[i]) || channels < 0) {
      tflite_fail(op, SDX_NOT_SUPPORTED, NULL, "sizes that are not known, or no multiples of the blocks");
      return;
    }
    pads[1 + i] = pairs[2 * i], pads[x->rank + 1 + i] = pairs[2 * i + 1];
  }
  if (n == 1) block[1] = 1;
  sdx_graph *g = op->g;
  if (!back) {
    y = tflite_node(op, "Pad", SDX_REFS(y, sdx_graph_add_ints(g, 2 * x->rank, pads)));
    int64_t apart[] = {-1, size[0] / block[0], block[0], size[1] / block[1], block[1], channels};
    y = tflite_node(op, "Reshape", SDX_REFS(y, sdx_graph_add_ints(g, 6, apart)));
    y = tflite_transpose(op, y, 6, (int64_t[]){2, 4, 0, 1, 3, 5});
    int64_t shape[] = {-1, apart[1], apart[3], channels}, flat[] = {-1, apart[1], channels};
    y = tflite_node(op, "Reshape", SDX_REFS(y, sdx_graph_add_ints(g, n + 2, n == 2 ? shape : flat)));
  } else {
    int64_t apart[] = {block[0], block[1], -1, size[0], size[1], channels};
    y = tflite_node(op, "Reshape", SDX_REFS(y, sdx_graph_add_ints(g, 6, apart)));
    y = tflite_transpose(op, y, 6, (int64_t[]){2, 3, 0, 4, 1, 5});
    int64_t shape[] = {-1, size[0] * block[0], size[1] * block[1], channels},
            flat[] = {-1, size[0] * block[0], channels};
    y = tflite_node(op, "Reshape", SDX_REFS(y, sdx_graph_add_ints(g, n + 2, n == 2 ? shape : flat)));
    for (size_t i = 0; i < n; i++)
      if (pairs[2 * i] || pairs[2 * i + 1])
        y = slice_axis(op, y, (int64_t)i + 1, pairs[2 * i], size[i] * block[i] - pairs[2 * i + 1], 1);
  }
  tflite_set(op, 0, y);
}

const tflite_kind tflite_shape_kinds[] = {
    {2, "CONCATENATION", concatenation, "C"},
    {7, "EMBEDDING_LOOKUP", embedding_lookup, NULL},
    {22, "RESHAPE", reshape, NULL},
    {34, "PAD", pad, "p"},
    {36, "GATHER", gather, NULL},
    {37, "BATCH_TO_SPACE_ND", space_to_batch, "b"},
    {38, "SPACE_TO_BATCH_ND", space_to_batch, "s"},
    {39, "TRANSPOSE", transpose, NULL},
    {43, "SQUEEZE", move_axis, "Squeeze"},
    {45, "STRIDED_SLICE", strided_slice, NULL},
    {48, "TOPK_V2", top_k, NULL},
    {49, "SPLIT", split, "s"},
    {60, "PADV2", pad, "p"},
    {65, "SLICE", slice, NULL},
    {69, "TILE", with_shape, "Tile"},
    {70, "EXPAND_DIMS", move_axis, "Unsqueeze"},
    {77, "SHAPE", shape_of, NULL},
    {83, "PACK", concatenation, "P"},
    {85, "ONE_HOT", one_hot, NULL},
    {88, "UNPACK", unpack, NULL},
    {93, "ZEROS_LIKE", zeros_like, NULL},
    {94, "FILL", fill, NULL},
    {96, "RANGE", range, NULL},
    {100, "MIRROR_PAD", pad, "m"},
    {102, "SPLIT_V", split, "v"},
    {105, "REVERSE_V2", reverse, NULL},
    {107, "GATHER_ND", gather_nd, NULL},
    {130, "BROADCAST_TO", with_shape, "Expand"},
    {0},
};
