// SPDX-License-Identifier: Apache-2.0
// MXNet's operators that move numbers.
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "convert/mxnet.h"

static void flatten(mxnet_op *op) {
  net_tensor x;
  if (mxnet_in(op, 0, &x)) op->out[0] = net_flatten(op->n, x, 1);
}

// An array that is laid flat stays one, for parameters of recurrent layers.
static bool is_flat(mxnet_op *op) {
  int64_t shape[NET_RANK];
  return op->in_count == 1 && op->in[0].array && mxnet_ints(op, "shape", 0, shape) == 1 && shape[0] == -1;
}

static void keep_array(mxnet_op *op, net_numbers numbers) {
  mxnet_array *a = arena_array(op->m->c->memory, 1, sizeof *a);
  if (!a) {
    convert_no_memory(op->m->c);
    return;
  }
  *a = (mxnet_array){.numbers = numbers, .dtype = SDX_FLOAT, .shape = {.rank = 1, .shape = {(int64_t)numbers.count}}};
  op->array = a;
}

static void join_arrays(mxnet_op *op) {
  size_t count = 0, at = 0;
  for (size_t i = 0; i < op->in_count; i++) {
    const mxnet_array *a = mxnet_array_in(op, i);
    if (!a) return;
    count += a->numbers.count;
  }
  float *all = arena_array(op->m->c->memory, count + 1, sizeof *all);
  if (!all) convert_no_memory(op->m->c);
  for (size_t i = 0; all && i < op->in_count; i++)
    for (size_t k = 0; k < op->in[i].array->numbers.count; k++)
      all[at++] = (float)net_number_at(&op->in[i].array->numbers, k);
  if (all) keep_array(op, (net_numbers){.at = all, .coding = NET_F32, .count = count});
}

// Codes: 0 keeps, -1 is the rest, -2 keeps all that follow, -3 joins two, -4 parts one in the two that follow.
static void reshape(mxnet_op *op) {
  net_tensor x;
  int64_t code[NET_RANK], spec[NET_RANK];
  size_t codes = mxnet_ints(op, "shape", 0, code), rank = 0, from = 0;
  if (is_flat(op)) {
    keep_array(op, op->in[0].array->numbers);
    return;
  }
  if (!mxnet_in(op, 0, &x)) return;
  bool bad = mxnet_flag(op, "reverse", false) || !codes;
  for (size_t i = 0; i < codes && !bad; i++) {
    bool parted = code[i] == -4 && i + 2 < codes;
    if ((code[i] == 0 || code[i] == -3 || parted) && from >= x.rank) bad = true;
    else if (code[i] == 0) spec[rank] = from == rank ? 0 : x.shape[from], rank++, from++;
    else if (code[i] == -2)
      for (; from < x.rank && rank < NET_RANK; from++) spec[rank] = from == rank ? 0 : x.shape[from], rank++;
    else if (code[i] == -3) spec[rank++] = from + 1 < x.rank ? net_product(&x, from, from + 2) : 1, from += 2;
    else if (parted) {
      int64_t size = x.shape[from++], a = code[i + 1], b = code[i + 2];
      if (rank + 2 > NET_RANK || a == 0 || b == 0) bad = true;
      else {
        spec[rank++] = a < 0 && size >= 0 && b > 0 ? size / b : a;
        spec[rank++] = b < 0 && size >= 0 && a > 0 ? size / a : b;
      }
      i += 2;
    } else spec[rank++] = code[i] < 0 ? -1 : code[i], from++;
    bad = bad || (rank == NET_RANK && i + 1 < codes);
  }
  size_t open = 0;
  for (size_t i = 0; i < rank && !bad; i++) open += spec[i] < 0;
  if (bad || open > 1)
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "the shape %.100s for %s", mxnet_text(op, "shape", ""),
             net_shape_text(op->n, &x));
  else op->out[0] = net_reshape(op->n, x, rank, spec);
}

static void transpose(mxnet_op *op) {
  net_tensor x;
  int64_t axes[NET_RANK];
  size_t count = mxnet_ints(op, "axes", 0, axes);
  if (!mxnet_in(op, 0, &x)) return;
  if (!count)
    for (; count < x.rank; count++) axes[count] = (int64_t)(x.rank - 1 - count);
  if (net_axes(op->n, &x, &count, axes)) op->out[0] = net_permute(op->n, x, count, axes);
}

static void swap_axes(mxnet_op *op) {
  net_tensor x;
  size_t a, b;
  int64_t order[NET_RANK];
  if (!mxnet_in(op, 0, &x) || !net_axis(op->n, &x, mxnet_int(op, "dim1", 0), &a) ||
      !net_axis(op->n, &x, mxnet_int(op, "dim2", 0), &b))
    return;
  for (size_t i = 0; i < x.rank; i++) order[i] = (int64_t)(i == a ? b : i == b ? a : i);
  op->out[0] = net_transpose(op->n, x, order);
}

static void concat(mxnet_op *op) {
  net_tensor all[MXNET_VALUES];
  size_t axis;
  for (size_t i = 0; i < op->in_count; i++)
    if (!mxnet_in(op, i, &all[i])) return;
  if (op->in_count && net_axis(op->n, &all[0], mxnet_int(op, "dim", 1), &axis))
    op->out[0] = net_concat(op->n, axis, op->in_count, all);
}

static void stack(mxnet_op *op) {
  net_tensor all[MXNET_VALUES];
  for (size_t i = 0; i < op->in_count; i++)
    if (!mxnet_in(op, i, &all[i])) return;
  if (op->in_count) op->out[0] = net_stack(op->n, mxnet_int(op, "axis", 0), op->in_count, all);
}

static void split(mxnet_op *op) {
  net_tensor x;
  size_t axis;
  int64_t count = mxnet_int(op, "num_outputs", 1), sizes[MXNET_VALUES];
  if (!mxnet_in(op, 0, &x) || !net_axis(op->n, &x, mxnet_int(op, "axis", 1), &axis)) return;
  if (count < 1 || count > MXNET_VALUES || x.shape[axis] < 0 || x.shape[axis] % count) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "%lld parts of %s", (long long)count, net_shape_text(op->n, &x));
    return;
  }
  for (int64_t i = 0; i < count; i++) sizes[i] = x.shape[axis] / count;
  op->out_count = (size_t)count;
  net_split(op->n, x, axis, op->out_count, sizes, op->out);
  for (size_t i = 0; i < op->out_count && mxnet_flag(op, "squeeze_axis", false) && !convert_failed(op->m->c); i++)
    op->out[i] = net_squeeze(op->n, op->out[i], axis);
}

static void slice(mxnet_op *op) {
  net_tensor x;
  int64_t from[NET_RANK], to[NET_RANK], step[NET_RANK];
  size_t count = mxnet_ints(op, "begin", INT64_MIN, from), ends = mxnet_ints(op, "end", INT64_MIN, to),
         steps = mxnet_ints(op, "step", 1, step);
  if (!mxnet_in(op, 0, &x)) return;
  if (count > x.rank || ends != count) {
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "%zu bounds of %s", count, net_shape_text(op->n, &x));
    return;
  }
  for (size_t i = 0; i < count; i++) {
    int64_t by = i < steps && step[i] ? step[i] : 1;
    if (from[i] == INT64_MIN) from[i] = by > 0 ? 0 : -1;
    if (to[i] == INT64_MIN) to[i] = by > 0 ? INT64_MAX : INT64_MIN + 1;
    x = net_slice(op->n, x, i, from[i], to[i], by);
  }
  op->out[0] = net_apply(op->n, "Identity", NULL, x);
}

static void slice_axis(mxnet_op *op) {
  net_tensor x;
  size_t axis;
  if (!mxnet_in(op, 0, &x) || !net_axis(op->n, &x, mxnet_int(op, "axis", 0), &axis)) return;
  op->out[0] = net_slice(op->n, x, axis, mxnet_int(op, "begin", 0), mxnet_int(op, "end", INT64_MAX), 1);
}

static void slice_like(mxnet_op *op) {
  net_tensor x, like;
  int64_t axes[NET_RANK];
  size_t at, count = mxnet_ints(op, "axes", 0, axes);
  if (!mxnet_in(op, 0, &x) || !mxnet_in(op, 1, &like)) return;
  if (!count)
    for (; count < x.rank && count < like.rank; count++) axes[count] = (int64_t)count;
  for (size_t i = 0; i < count; i++) {
    if (!net_axis(op->n, &x, axes[i], &at)) return;
    int64_t size = at < like.rank ? like.shape[at] : -1;
    if (size >= 0) {
      x = net_slice(op->n, x, at, 0, size, 1);
      continue;
    }
    net_tensor end = net_slice(op->n, net_shape_of(op->n, like), 0, (int64_t)at, (int64_t)at + 1, 1);
    sdx_ref zero = net_ints(op->n, 1, (int64_t[]){0}).ref, axis = net_ints(op->n, 1, (int64_t[]){(int64_t)at}).ref;
    x.ref = net_node(op->n, "Slice", NULL, SDX_REFS(x.ref, zero, end.ref, axis));
    x.shape[at] = -1;
  }
  op->out[0] = x;
}

static void crop(mxnet_op *op) {
  net_tensor x, like;
  int64_t offset[NET_RANK] = {0}, size[NET_RANK] = {0};
  mxnet_ints(op, "offset", 0, offset), mxnet_ints(op, "h_w", 0, size);
  if (!mxnet_in(op, 0, &x)) return;
  if (op->in_count > 1 && mxnet_in(op, 1, &like) && like.rank == 4) size[0] = like.shape[2], size[1] = like.shape[3];
  for (size_t i = 0; i < 2; i++) {
    if (x.rank != 4 || size[i] < 1 || (mxnet_flag(op, "center_crop", false) && x.shape[2 + i] < 0)) {
      net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a size that is not known");
      return;
    }
    int64_t from = mxnet_flag(op, "center_crop", false) ? (x.shape[2 + i] - size[i]) / 2 : offset[i];
    x = net_slice(op->n, x, 2 + i, from, wrap_add(from, size[i]), 1);
  }
  op->out[0] = x;
}

static void expand_dims(mxnet_op *op) {
  net_tensor x, like;
  size_t axis;
  if (!mxnet_in(op, 0, &x)) return;
  like = x;
  like.rank++;
  if (like.rank <= NET_RANK && net_axis(op->n, &like, mxnet_int(op, "axis", 0), &axis))
    op->out[0] = net_unsqueeze(op->n, x, axis);
}

static void squeeze(mxnet_op *op) {
  net_tensor x;
  int64_t axes[NET_RANK];
  bool gone[NET_RANK] = {0};
  size_t at, count = mxnet_ints(op, "axis", 0, axes);
  if (!mxnet_in(op, 0, &x)) return;
  for (size_t i = 0; i < count; i++) {
    if (!net_axis(op->n, &x, axes[i], &at)) return;
    gone[at] = true;
  }
  for (size_t i = x.rank; i--;)
    if (count ? gone[i] : x.shape[i] == 1) x = net_squeeze(op->n, x, i);
  op->out[0] = x;
}

// Widths: before and after, for each dimension.
static void pad(mxnet_op *op) {
  net_tensor x;
  int64_t before[NET_RANK], after[NET_RANK];
  const char *mode = mxnet_text(op, "mode", "constant"), *p = mxnet_text(op, "pad_width", "");
  if (!mxnet_in(op, 0, &x)) return;
  size_t count = 0;
  for (char *end; *p && count < 2 * x.rank; p = end) {
    long long number = strtoll(p, &end, 10);
    if (end == p) end = (char *)p + 1;
    else (count % 2 ? after : before)[count / 2] = number, count++;
  }
  if (count != 2 * x.rank)
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "%zu widths for %s", count, net_shape_text(op->n, &x));
  else op->out[0] = net_pad(op->n, x, mode, mxnet_number(op, "constant_value", 0), before, after);
}

static void tile(mxnet_op *op) {
  net_tensor x;
  int64_t repeats[NET_RANK];
  size_t count = mxnet_ints(op, "reps", 1, repeats);
  if (!mxnet_in(op, 0, &x)) return;
  while (x.rank < count) x = net_unsqueeze(op->n, x, 0);
  if (count < x.rank) {
    memmove(repeats + x.rank - count, repeats, count * sizeof *repeats);
    for (size_t i = 0; i < x.rank - count; i++) repeats[i] = 1;
  }
  op->out[0] = net_tile(op->n, x, repeats);
}

static void take(mxnet_op *op) {
  net_tensor x, at;
  size_t axis;
  if (mxnet_in(op, 0, &x) && mxnet_in(op, 1, &at) && net_axis(op->n, &x, mxnet_int(op, "axis", 0), &axis))
    op->out[0] = net_gather(op->n, x, net_cast(op->n, at, SDX_INT64), axis);
}

static void one_hot(mxnet_op *op) {
  net_tensor x;
  if (mxnet_in(op, 0, &x))
    op->out[0] = net_one_hot(op->n, x, mxnet_int(op, "depth", 0), -1, mxnet_number(op, "off_value", 0),
                             mxnet_number(op, "on_value", 1));
}

static void like(mxnet_op *op) {
  net_tensor x;
  double number = !strcmp(op->kind->op, "one");
  if (!mxnet_in(op, 0, &x)) return;
  op->out[0] = net_like(
      x, net_node(op->n, "Expand", NULL, SDX_REFS(net_scalar(op->n, x.dtype, number).ref, net_shape_of(op->n, x).ref)));
}

// Zeros of a shape; where that is open they are the first states of a recurrent layer, which are zeros anyway.
static void filled(mxnet_op *op) {
  int64_t shape[NET_RANK];
  size_t rank = mxnet_ints(op, "shape", 0, shape);
  net_tensor number = net_scalar(op->n, SDX_FLOAT, !strcmp(op->kind->op, "one"));
  bool open = false;
  for (size_t i = 0; i < rank; i++) open = open || shape[i] < 1;
  op->out[0] = open ? number : net_expand(op->n, number, rank, shape);
}

static void blocks(mxnet_op *op) {
  net_tensor x;
  if (mxnet_in(op, 0, &x)) op->out[0] = net_blocks(op->n, op->kind->op, x, mxnet_int(op, "block_size", 0), NULL);
}

const mxnet_kind mxnet_shape_kinds[] = {
    {"Flatten", flatten, NULL},
    {"flatten", flatten, NULL},
    {"Reshape", reshape, NULL},
    {"reshape", reshape, NULL},
    {"_rnn_param_concat", join_arrays, NULL},
    {"transpose", transpose, NULL},
    {"SwapAxis", swap_axes, NULL},
    {"swapaxes", swap_axes, NULL},
    {"Concat", concat, NULL},
    {"concat", concat, NULL},
    {"stack", stack, NULL},
    {"SliceChannel", split, NULL},
    {"split", split, NULL},
    {"slice", slice, NULL},
    {"crop", slice, NULL},
    {"slice_axis", slice_axis, NULL},
    {"slice_like", slice_like, NULL},
    {"Crop", crop, NULL},
    {"expand_dims", expand_dims, NULL},
    {"squeeze", squeeze, NULL},
    {"Pad", pad, NULL},
    {"pad", pad, NULL},
    {"tile", tile, NULL},
    {"take", take, NULL},
    {"one_hot", one_hot, NULL},
    {"zeros_like", like, "zero"},
    {"ones_like", like, "one"},
    {"_zeros", filled, "zero"},
    {"_ones", filled, "one"},
    {"depth_to_space", blocks, "DepthToSpace"},
    {"space_to_depth", blocks, "SpaceToDepth"},
    {0},
};
