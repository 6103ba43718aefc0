// SPDX-License-Identifier: Apache-2.0
// Operations of ML programs that move numbers: reshape, transpose, slices, gather and the like.
#include <string.h>

#include "base/size.h"
#include "convert/coreml_mil.h"

static void reshape(mil_op *op) {
  net_tensor x, shape;
  int64_t spec[MIL_LIST];
  const mil_value *v = mil_find(op, "shape");
  if (!v || !mil_in(op, "x", &x)) return;
  if (!v->constant) {  // its own values, and what is declared of the result
    if (!mil_in(op, "shape", &shape)) return;
    op->out[0].dtype = x.dtype;
    op->out[0].ref = net_node(op->n, "Reshape", NULL, SDX_REFS(x.ref, net_cast(op->n, shape, SDX_INT64).ref));
    return;
  }
  size_t count = mil_ints(op, "shape", spec);
  if (count > NET_RANK) net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a shape of %zu dimensions", count);
  else op->out[0] = net_reshape(op->n, x, count, spec);
}

static void transpose(mil_op *op) {
  net_tensor x;
  int64_t order[MIL_LIST];
  size_t count = mil_ints(op, "perm", order);
  if (!mil_in(op, "x", &x) || (count && !net_axes(op->n, &x, &count, order))) return;
  op->out[0] = net_permute(op->n, x, count, order);
}

// Axes of a value of that rank as flags. False: reported.
static bool flags_of(mil_op *op, size_t rank, bool flags[NET_RANK]) {
  int64_t axes[MIL_LIST];
  net_tensor like = {.rank = rank};
  size_t at, count = mil_ints(op, "axes", axes);
  if (rank > NET_RANK) return !net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "%zu dimensions", rank);
  memset(flags, 0, NET_RANK * sizeof *flags);
  for (size_t i = 0; i < count; i++) {
    if (!net_axis(op->n, &like, axes[i], &at)) return false;
    flags[at] = true;
  }
  return true;
}

static void expand_dims(mil_op *op) {
  net_tensor x;
  bool flags[NET_RANK];
  int64_t axes[MIL_LIST];
  if (!mil_in(op, "x", &x) || !flags_of(op, x.rank + mil_ints(op, "axes", axes), flags)) return;
  for (size_t i = 0; i < NET_RANK; i++)
    if (flags[i]) x = net_unsqueeze(op->n, x, i);
  op->out[0] = x;
}

static void squeeze(mil_op *op) {
  net_tensor x;
  bool flags[NET_RANK];
  int64_t axes[MIL_LIST];
  if (!mil_in(op, "x", &x) || !flags_of(op, x.rank, flags)) return;
  bool all = !mil_ints(op, "axes", axes);
  for (size_t i = x.rank; i--;)
    if (all ? x.shape[i] == 1 : flags[i]) x = net_squeeze(op->n, x, i);
  op->out[0] = x;
}

static void concat(mil_op *op) {
  size_t count, axis;
  net_tensor *all = mil_all(op, "values", &count);
  if (!all || !mil_axis(op, &all[0], "axis", 0, &axis)) return;
  if (mil_int(op, "interleave", 0)) net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "interleaved parts");
  else op->out[0] = net_concat(op->n, axis, count, all);
}

static void stack(mil_op *op) {
  size_t count;
  net_tensor *all = mil_all(op, "values", &count);
  if (all) op->out[0] = net_stack(op->n, mil_int(op, "axis", 0), count, all);
}

static void split(mil_op *op) {
  net_tensor x;
  size_t axis;
  int64_t sizes[MIL_LIST];
  if (!mil_in(op, "x", &x) || !mil_axis(op, &x, "axis", 0, &axis)) return;
  size_t given = mil_ints(op, "split_sizes", sizes), count = op->out_count;
  if ((given && given != count) || !count || (!given && (x.shape[axis] < 0 || x.shape[axis] % (int64_t)count))) {
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "%zu parts of %s", count, net_shape_text(op->n, &x));
    return;
  }
  for (size_t i = 0; !given && i < count; i++) sizes[i] = x.shape[axis] / (int64_t)count;
  net_split(op->n, x, axis, count, sizes, op->out);
}

// Numbers for each dimension of x, `missing` where the parameter is not given. False: reported.
static bool each(mil_op *op, const net_tensor *x, const char *name, int64_t missing, int64_t to[MIL_LIST]) {
  size_t count = mil_ints(op, name, to);
  if (count && count < x->rank)
    return !net_fail(op->n, SDX_INVALID_MODEL, NULL, "%zu numbers in %s for %s", count, name, net_shape_text(op->n, x));
  for (size_t i = count; i < x->rank; i++) to[i] = missing;
  return !convert_failed(op->p->m->c);
}

static void slice_by_index(mil_op *op) {
  net_tensor x;
  int64_t from[MIL_LIST], to[MIL_LIST], step[MIL_LIST], no_from[MIL_LIST], no_to[MIL_LIST], gone[MIL_LIST];
  if (!mil_in(op, "x", &x) || !each(op, &x, "begin", 0, from) || !each(op, &x, "end", 0, to) ||
      !each(op, &x, "stride", 1, step) || !each(op, &x, "begin_mask", 0, no_from) ||
      !each(op, &x, "end_mask", 0, no_to) || !each(op, &x, "squeeze_mask", 0, gone))
    return;
  op->out[0] = net_slice_each(op->n, x, from, to, step, no_from, no_to, gone);
}

static void slice_by_size(mil_op *op) {
  net_tensor x;
  int64_t from[MIL_LIST], size[MIL_LIST];
  if (!mil_in(op, "x", &x) || !each(op, &x, "begin", 0, from) || !each(op, &x, "size", -1, size)) return;
  for (size_t i = 0; i < x.rank; i++)
    x = net_slice(op->n, x, i, from[i], size[i] < 0 ? INT64_MAX : wrap_add(from[i], size[i]), 1);
  op->out[0] = x;
}

static void reverse(mil_op *op) {
  net_tensor x;
  bool flags[NET_RANK];
  int64_t axes[MIL_LIST];
  if (!mil_in(op, "x", &x) || !flags_of(op, x.rank, flags)) return;
  bool all = !mil_ints(op, "axes", axes);
  for (size_t i = 0; i < x.rank; i++)
    if (all || flags[i]) x = net_slice(op->n, x, i, -1, INT64_MIN + 1, -1);
  op->out[0] = x;
}

static void tile(mil_op *op) {
  net_tensor x;
  int64_t repeats[MIL_LIST];
  if (mil_in(op, "x", &x) && each(op, &x, "reps", 1, repeats)) op->out[0] = net_tile(op->n, x, repeats);
}

static void pad(mil_op *op) {
  net_tensor x;
  int64_t amounts[MIL_LIST], before[NET_RANK] = {0}, after[NET_RANK] = {0};
  size_t count = mil_ints(op, "pad", amounts);
  if (!mil_in(op, "x", &x)) return;
  if (count % 2 || count / 2 > x.rank) {
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "%zu amounts for %s", count, net_shape_text(op->n, &x));
    return;
  }
  for (size_t i = 0; i < count / 2; i++) {
    before[x.rank - count / 2 + i] = amounts[2 * i];
    after[x.rank - count / 2 + i] = amounts[2 * i + 1];
  }
  str mode = mil_text(op, "mode");
  const char *how = str_is(mode, "reflect") || str_is(mode, "reflection") ? "reflect"
                    : str_is(mode, "replicate")                           ? "edge"
                                                                          : "constant";
  op->out[0] = net_pad(op->n, x, how, mil_number(op, "constant_val", 0), before, after);
}

static void crop(mil_op *op) {
  net_tensor x;
  int64_t rows[MIL_LIST] = {0}, columns[MIL_LIST] = {0};
  if (!mil_in(op, "x", &x)) return;
  mil_ints(op, "crop_height", rows), mil_ints(op, "crop_width", columns);
  for (size_t i = 0; i < 2; i++) {
    const int64_t *cut = i ? columns : rows;
    if (x.rank < 2 || cut[0] < 0 || cut[1] < 0) {
      net_fail(op->n, SDX_INVALID_MODEL, NULL, "borders of %s", net_shape_text(op->n, &x));
      return;
    }
    x = net_slice(op->n, x, x.rank - 2 + i, cut[0], cut[1] ? -cut[1] : INT64_MAX, 1);
  }
  op->out[0] = x;
}

static void gather(mil_op *op) {
  net_tensor x, at;
  size_t axis;
  if (!mil_in(op, "x", &x) || !mil_in(op, "indices", &at) || !mil_axis(op, &x, "axis", 0, &axis)) return;
  if (mil_int(op, "batch_dims", 0)) net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "indices for each of a batch");
  else op->out[0] = net_gather(op->n, x, net_cast(op->n, at, SDX_INT64), axis);
}

static void gather_along(mil_op *op) {
  net_tensor x, at;
  size_t axis;
  if (!mil_in(op, "x", &x) || !mil_in(op, "indices", &at) || !mil_axis(op, &x, "axis", 0, &axis)) return;
  op->out[0] = net_gather_along(op->n, x, at, axis);
}

static void gather_nd(mil_op *op) {
  net_tensor x, at;
  if (!mil_in(op, "x", &x) || !mil_in(op, "indices", &at)) return;
  op->out[0].dtype = x.dtype;
  op->out[0].ref = net_node(op->n, "GatherND", NULL, SDX_REFS(x.ref, net_cast(op->n, at, SDX_INT64).ref));
}

static void shape_of(mil_op *op) {
  net_tensor x;
  if (mil_in(op, "x", &x)) op->out[0] = net_cast(op->n, net_shape_of(op->n, x), SDX_INT32);
}

static void flatten(mil_op *op) {
  net_tensor x;
  if (mil_in(op, "x", &x)) op->out[0] = net_flatten_2d(op->n, x, mil_int(op, "axis", 1));
}

static void one_hot(mil_op *op) {
  net_tensor at;
  if (mil_in(op, "indices", &at))
    op->out[0] = net_one_hot(op->n, at, mil_int(op, "one_hot_vector_size", 0), mil_int(op, "axis", -1),
                             mil_number(op, "off_value", 0), mil_number(op, "on_value", 1));
}

static void fill(mil_op *op) {
  net_tensor shape, value;
  if (!mil_in(op, "shape", &shape) || !mil_in(op, "value", &value)) return;
  op->out[0].dtype = value.dtype;
  op->out[0].ref = net_node(op->n, "Expand", NULL, SDX_REFS(value.ref, net_cast(op->n, shape, SDX_INT64).ref));
}

// Up to `lower` diagonals below and `upper` above; negative: all.
static void band(mil_op *op) {
  net_tensor x;
  int64_t lower = mil_int(op, "lower", -1), upper = mil_int(op, "upper", -1);
  if (!mil_in(op, "x", &x)) return;
  for (int i = 0; i < 2; i++) {
    int64_t k = i ? upper : -lower;
    if ((i ? upper : lower) < 0) continue;
    x = net_like(x, net_node(op->n, "Trilu", NULL, SDX_REFS(x.ref, net_scalar(op->n, SDX_INT64, (double)k).ref)));
    sdx_graph_set_int(op->g, "upper", !i);
  }
  op->out[0] = x;
}

static void range(mil_op *op) {
  net_tensor start, end, step;
  if (!mil_in(op, "start", &start) || !mil_in(op, "end", &end) || !mil_in(op, "step", &step)) return;
  op->out[0].dtype = start.dtype;
  op->out[0].ref =
      net_node(op->n, "Range", NULL,
               SDX_REFS(start.ref, net_cast(op->n, end, start.dtype).ref, net_cast(op->n, step, start.dtype).ref));
}

static void blocks(mil_op *op) {
  net_tensor x;
  bool shuffle = !strcmp(op->kind->name, "pixel_shuffle");
  int64_t block = mil_int(op, shuffle ? "upscale_factor" : "block_size", 0);
  if (mil_in(op, "x", &x)) op->out[0] = net_blocks(op->n, op->kind->op, x, block, shuffle ? "CRD" : NULL);
}

const mil_kind mil_shape_kinds[] = {
    {"reshape", reshape, NULL},
    {"transpose", transpose, NULL},
    {"expand_dims", expand_dims, NULL},
    {"squeeze", squeeze, NULL},
    {"concat", concat, NULL},
    {"stack", stack, NULL},
    {"split", split, NULL},
    {"slice_by_index", slice_by_index, NULL},
    {"slice_by_size", slice_by_size, NULL},
    {"reverse", reverse, NULL},
    {"tile", tile, NULL},
    {"pad", pad, NULL},
    {"crop", crop, NULL},
    {"gather", gather, NULL},
    {"gather_along_axis", gather_along, NULL},
    {"gather_nd", gather_nd, NULL},
    {"shape", shape_of, NULL},
    {"flatten2d", flatten, NULL},
    {"one_hot", one_hot, NULL},
    {"fill", fill, NULL},
    {"band_part", band, NULL},
    {"range_1d", range, NULL},
    {"depth_to_space", blocks, "DepthToSpace"},
    {"space_to_depth", blocks, "SpaceToDepth"},
    {"pixel_shuffle", blocks, "DepthToSpace"},
    {0},
};
