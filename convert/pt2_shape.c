// SPDX-License-Identifier: Apache-2.0
// ATen's operators that change shapes, join, repeat and make values. What shape a result has is declared in the file
// (pt2.h).
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "convert/pt2.h"

static bool get_self(pt2_op *op, net_tensor *x) { return pt2_in(op, pt2_has(op, "self") ? "self" : "input", x); }

// view, flatten and the like.
static void reshape(pt2_op *op) {
  net_tensor x;
  pt2_value to, *from = pt2_value_in(op, pt2_has(op, "self") ? "self" : "input");
  static const char *const none[NET_RANK];
  if (get_self(op, &x) && pt2_result(op, 0, &to)) op->out[0] = pt2_reshape(op, x, from ? from->size : none, &to);
}

static void squeeze(pt2_op *op) {
  net_tensor x;
  int64_t axes[NET_RANK], one[NET_RANK];
  size_t at, count = pt2_ints(op, "dim", axes), kept = 0;
  bool all = !pt2_has(op, "dim");
  if (!get_self(op, &x)) return;
  for (size_t i = 0; i < (all ? x.rank : count); i++) {
    if (all) at = i;
    else if (!net_axis(op->n, &x, axes[i], &at)) return;
    if (x.shape[at] == 1) one[kept++] = (int64_t)at;
  }
  net_tensor y = {.dtype = x.dtype};
  for (size_t i = 0; i < x.rank; i++) {
    bool gone = false;
    for (size_t k = 0; k < kept; k++) gone = gone || one[k] == (int64_t)i;
    if (!gone) y.shape[y.rank++] = x.shape[i];
  }
  y.ref =
      kept ? net_node(op->n, "Squeeze", NULL, SDX_REFS(x.ref, sdx_graph_add_ints(op->p->c->graph, kept, one))) : x.ref;
  op->out[0] = y;
}

static void unsqueeze(pt2_op *op) {
  net_tensor x;
  int64_t axis = pt2_int(op, "dim", 0);
  if (!get_self(op, &x)) return;
  if (axis < 0) axis += (int64_t)x.rank + 1;
  if (axis < 0) net_fail(op->n, SDX_INVALID_MODEL, NULL, "a new axis %lld", (long long)axis);
  else op->out[0] = net_unsqueeze(op->n, x, (size_t)axis);
}

// ---- order of dimensions ----------------------------------------------------------------------------

static void permute(pt2_op *op) {
  net_tensor x;
  int64_t order[NET_RANK];
  size_t count = pt2_ints(op, "dims", order);
  if (!get_self(op, &x) || !net_axes(op->n, &x, &count, order)) return;
  op->out[0] = net_permute(op->n, x, count, order);
}

static void swap(pt2_op *op, int64_t a, int64_t b) {
  net_tensor x;
  size_t p, q;
  int64_t order[NET_RANK];
  if (!get_self(op, &x)) return;
  if (x.rank == 0 || !net_axis(op->n, &x, a, &p) || !net_axis(op->n, &x, b, &q)) {
    op->out[0] = x;
    return;
  }
  for (size_t i = 0; i < x.rank; i++) order[i] = (int64_t)i;
  order[p] = (int64_t)q;
  order[q] = (int64_t)p;
  op->out[0] = net_transpose(op->n, x, order);
}

static void transpose(pt2_op *op) {
  if (pt2_has(op, "axis0")) swap(op, pt2_int(op, "axis0", 0), pt2_int(op, "axis1", 1));
  else swap(op, pt2_int(op, "dim0", 0), pt2_int(op, "dim1", 1));
}

static void transpose_last(pt2_op *op) { swap(op, -2, -1); }

static void transpose_all(pt2_op *op) {
  net_tensor x;
  int64_t order[NET_RANK];
  if (!get_self(op, &x)) return;
  for (size_t i = 0; i < x.rank; i++) order[i] = (int64_t)(x.rank - 1 - i);
  op->out[0] = net_transpose(op->n, x, order);
}

static void move_axes(pt2_op *op) {
  net_tensor x;
  int64_t from[NET_RANK], to[NET_RANK], order[NET_RANK];
  size_t count = pt2_ints(op, "source", from), ends = pt2_ints(op, "destination", to);
  bool taken[NET_RANK] = {0};
  if (!get_self(op, &x) || count != ends || !net_axes(op->n, &x, &count, from) || !net_axes(op->n, &x, &ends, to))
    return;
  for (size_t i = 0; i < x.rank; i++) order[i] = -1;
  for (size_t i = 0; i < count; i++) order[to[i]] = from[i], taken[from[i]] = true;
  for (size_t i = 0, k = 0; i < x.rank; i++) {
    if (order[i] >= 0) continue;
    while (k < x.rank && taken[k]) k++;
    if (k < x.rank) order[i] = (int64_t)k++;
  }
  op->out[0] = net_permute(op->n, x, x.rank, order);
}

// ---- repeating --------------------------------------------------------------------------------------

static void expand(pt2_op *op) {
  net_tensor x;
  pt2_value y;
  pt2_value *from = pt2_value_in(op, "self");
  if (!get_self(op, &x) || !pt2_result(op, 0, &y)) return;
  bool same = x.rank == y.tensor.rank;
  for (size_t i = 0; same && i < x.rank; i++)
    same = x.shape[i] == y.tensor.shape[i] &&
           (x.shape[i] >= 0 || (from && from->size[i] && !strcmp(from->size[i], y.size[i])));
  y.tensor.dtype = x.dtype;
  op->out[0] =
      net_like(y.tensor, same ? x.ref : net_node(op->n, "Expand", NULL, SDX_REFS(x.ref, pt2_shape(op, &y).ref)));
}

static void repeat(pt2_op *op) {
  net_tensor x;
  int64_t times[NET_RANK];
  size_t count = pt2_ints(op, pt2_has(op, "dims") ? "dims" : "repeats", times);
  if (convert_failed(op->p->c) || !get_self(op, &x)) return;
  if (count < x.rank) {
    memmove(times + x.rank - count, times, count * sizeof *times);
    for (size_t i = 0; i < x.rank - count; i++) times[i] = 1;
  }
  while (x.rank < count) x = net_unsqueeze(op->n, x, 0);
  op->out[0] = net_tile(op->n, x, times);
}

// repeat with numbers that are not known: Tile takes them as they come.
static void repeat_any(pt2_op *op) {
  const json_t *list = json_object_get(pt2_arg(op, "repeats"), "as_sym_ints");
  net_tensor x, parts[NET_RANK];
  size_t count = json_array_size(list);
  bool known = true;
  for (size_t i = 0; i < count; i++) known = known && json_object_get(json_array_get(list, i), "as_int");
  if (known) {
    repeat(op);
    return;
  }
  if (count > NET_RANK || !get_self(op, &x)) return;
  for (size_t i = 0; i < count; i++) {
    if (!pt2_list_in(op, "repeats", i, &parts[i])) return;
    parts[i] = net_unsqueeze(op->n, parts[i], 0);
  }
  while (x.rank < count) x = net_unsqueeze(op->n, x, 0);
  pt2_value y;
  if (!pt2_result(op, 0, &y)) return;
  y.tensor.dtype = x.dtype;
  op->out[0] =
      net_like(y.tensor, net_node(op->n, "Tile", NULL, SDX_REFS(x.ref, net_concat(op->n, 0, count, parts).ref)));
}

// Each element so often, one after the other.
static void repeat_interleave(pt2_op *op) {
  net_tensor x;
  size_t axis = 0;
  int64_t times[NET_RANK], count = pt2_int(op, "repeats", 1);
  pt2_value y;
  if (!get_self(op, &x) || !pt2_result(op, 0, &y)) return;
  if (!pt2_has(op, "dim")) x = net_reshape(op->n, x, 1, (int64_t[]){-1});
  else if (!net_axis(op->n, &x, pt2_int(op, "dim", 0), &axis)) return;
  x = net_unsqueeze(op->n, x, axis + 1);
  for (size_t i = 0; i < x.rank; i++) times[i] = i == axis + 1 ? count : 1;
  x = net_tile(op->n, x, times);
  static const char *const none[NET_RANK];
  op->out[0] = pt2_reshape(op, x, none, &y);
}

// ---- joining and parting ----------------------------------------------------------------------------

static bool get_list(pt2_op *op, size_t *count, net_tensor **parts) {
  *count = pt2_list_size(op, "tensors");
  *parts = arena_array(op->p->c->memory, *count + 1, sizeof **parts);
  if (!*parts) return !convert_no_memory(op->p->c);
  for (size_t i = 0; i < *count; i++) {
    if (!pt2_list_in(op, "tensors", i, &(*parts)[i])) return false;
    (*parts)[i] = net_cast(op->n, (*parts)[i], pt2_result_dtype(op, 0));
  }
  return *count > 0 || !net_fail(op->n, SDX_INVALID_MODEL, NULL, "a list of none");
}

static void concat(pt2_op *op) {
  net_tensor *parts;
  size_t count, kept = 0, axis;
  if (!get_list(op, &count, &parts)) return;
  for (size_t i = 0; i < count; i++)  // an old habit: empty ones of one dimension go with any
    if (!(parts[i].rank == 1 && parts[i].shape[0] == 0)) parts[kept++] = parts[i];
  if (!kept) op->out[0] = parts[0];
  else if (net_axis(op->n, parts, pt2_int(op, "dim", 0), &axis)) op->out[0] = net_concat(op->n, axis, kept, parts);
}

static void stack(pt2_op *op) {
  net_tensor *parts;
  size_t count;
  if (get_list(op, &count, &parts)) op->out[0] = net_stack(op->n, pt2_int(op, "dim", 0), count, parts);
}

// Parts of sizes that the results declare.
static void split(pt2_op *op) {
  net_tensor x;
  size_t axis;
  int64_t sizes[PT2_RESULTS];
  pt2_value y;
  if (!get_self(op, &x) || !net_axis(op->n, &x, pt2_int(op, "dim", 0), &axis)) return;
  for (size_t i = 0; i < op->out_count; i++) {
    if (!pt2_result(op, i, &y)) return;
    sizes[i] = axis < y.tensor.rank ? y.tensor.shape[axis] : -1;
    if (sizes[i] < 0) {
      net_fail(op->n, SDX_NOT_SUPPORTED, "fix the size of the input", "parts of a size that is not known");
      return;
    }
  }
  if (op->out_count) net_split(op->n, x, axis, op->out_count, sizes, op->out);
}

static void unbind(pt2_op *op) {
  net_tensor x;
  size_t axis;
  int64_t sizes[PT2_RESULTS];
  if (!get_self(op, &x) || !net_axis(op->n, &x, pt2_int(op, "dim", 0), &axis) || !op->out_count) return;
  for (size_t i = 0; i < op->out_count; i++) sizes[i] = 1;
  net_split(op->n, x, axis, op->out_count, sizes, op->out);
  for (size_t i = 0; i < op->out_count && !convert_failed(op->p->c); i++)
    op->out[i] = net_squeeze(op->n, op->out[i], axis);
}

static void flip(pt2_op *op) {
  net_tensor x;
  int64_t axes[NET_RANK];
  size_t count = pt2_ints(op, "dims", axes), at;
  if (!get_self(op, &x)) return;
  for (size_t i = 0; i < count; i++) {
    if (!net_axis(op->n, &x, axes[i], &at)) return;
    x = net_slice(op->n, x, at, -1, INT64_MIN + 1, -1);
  }
  op->out[0] = x;
}

static void roll(pt2_op *op) {
  net_tensor x;
  int64_t by[NET_RANK], axes[NET_RANK];
  size_t count = pt2_ints(op, "shifts", by), dims = pt2_ints(op, "dims", axes), at;
  pt2_value y;
  static const char *const none[NET_RANK];
  if (!get_self(op, &x) || !pt2_result(op, 0, &y)) return;
  if (!dims) x = net_reshape(op->n, x, 1, (int64_t[]){-1}), axes[0] = 0;
  for (size_t i = 0; i < count && (i < dims || !dims); i++) {
    if (!net_axis(op->n, &x, axes[i], &at)) return;
    int64_t size = x.shape[at], shift = size > 0 ? by[i] % size : by[i];
    if (!shift) continue;
    net_tensor end = net_slice(op->n, x, at, -shift, INT64_MAX, 1), begin = net_slice(op->n, x, at, 0, -shift, 1);
    x = net_like(x, net_concat(op->n, at, 2, (net_tensor[]){end, begin}).ref);
  }
  op->out[0] = dims ? x : pt2_reshape(op, x, none, &y);
}

static void pad(pt2_op *op) {
  static const struct {
    const char *name, *mode;
  } modes[] = {{"reflect", "reflect"}, {"replicate", "edge"}, {"circular", "wrap"}, {"constant", "constant"}};
  net_tensor x;
  int64_t given[2 * NET_RANK] = {0}, before[NET_RANK] = {0}, after[NET_RANK] = {0};
  size_t count = pt2_ints(op, pt2_has(op, "pad") ? "pad" : "padding", given);
  const char *wanted = pt2_text(op, "mode", op->kind->op), *mode = "constant";
  for (size_t i = 0; i < 4; i++)
    if (!strcmp(wanted, modes[i].name)) mode = modes[i].mode;
  if (convert_failed(op->p->c) || !get_self(op, &x)) return;
  if (count % 2 || count / 2 > x.rank) {
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "%zu borders of %s", count, net_shape_text(op->n, &x));
    return;
  }
  for (size_t i = 0; i < count / 2; i++)
    before[x.rank - 1 - i] = given[2 * i], after[x.rank - 1 - i] = given[2 * i + 1];
  op->out[0] = net_pad(op->n, x, mode, pt2_number(op, "value", 0), before, after);
}

static void pixel_shuffle(pt2_op *op) {
  net_tensor x;
  bool together = !strcmp(op->kind->op, "SpaceToDepth");
  int64_t factor = pt2_int(op, together ? "downscale_factor" : "upscale_factor", 1);
  if (!get_self(op, &x)) return;
  if (!together) {
    op->out[0] = net_blocks(op->n, op->kind->op, x, factor, "CRD");
    return;
  }
  if (x.rank != 4 || factor < 1 || x.shape[1] < 0 || x.shape[2] < 0 || x.shape[3] < 0 || x.shape[2] % factor ||
      x.shape[3] % factor) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "blocks of %lld of %s", (long long)factor, net_shape_text(op->n, &x));
    return;
  }
  int64_t c = x.shape[1], h = x.shape[2] / factor, w = x.shape[3] / factor;
  x = net_reshape(op->n, x, 6, (int64_t[]){0, c, h, factor, w, factor});
  x = net_transpose(op->n, x, (int64_t[]){0, 1, 3, 5, 2, 4});
  op->out[0] = net_reshape(op->n, x, 4, (int64_t[]){0, c * factor * factor, h, w});
}

static void channel_shuffle(pt2_op *op) {
  net_tensor x;
  int64_t groups = pt2_int(op, "groups", 1);
  pt2_value y;
  if (!get_self(op, &x) || !pt2_result(op, 0, &y)) return;
  if (x.rank != 4 || groups < 1 || x.shape[1] < 0 || x.shape[1] % groups || x.shape[2] < 0 || x.shape[3] < 0) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "%lld groups of %s", (long long)groups, net_shape_text(op->n, &x));
    return;
  }
  int64_t c = x.shape[1], h = x.shape[2], w = x.shape[3];
  x = net_reshape(op->n, x, 5, (int64_t[]){0, groups, c / groups, h, w});
  x = net_transpose(op->n, x, (int64_t[]){0, 2, 1, 3, 4});
  op->out[0] = net_reshape(op->n, x, 4, (int64_t[]){0, c, h, w});
}

// ---- making -----------------------------------------------------------------------------------------

static void filled(pt2_op *op, net_tensor value) {
  pt2_value y;
  if (!value.ref || !pt2_result(op, 0, &y)) return;
  value = net_cast(op->n, value, y.tensor.dtype);
  if (value.rank) {
    net_fail(op->n, SDX_INVALID_MODEL, NULL, "a value of shape %s to fill with", net_shape_text(op->n, &value));
    return;
  }
  op->out[0] =
      net_like(y.tensor,
               y.tensor.rank ? net_node(op->n, "Expand", NULL, SDX_REFS(value.ref, pt2_shape(op, &y).ref)) : value.ref);
}

static void zeros(pt2_op *op) { filled(op, net_scalar(op->n, pt2_result_dtype(op, 0), 0)); }
static void ones(pt2_op *op) { filled(op, net_scalar(op->n, pt2_result_dtype(op, 0), 1)); }

static void full(pt2_op *op) {
  net_tensor value;
  static const char *const names[] = {"fill_value", "value", "s"};
  size_t i = 0;
  while (i < 2 && !pt2_has(op, names[i])) i++;
  if (pt2_in(op, names[i], &value)) filled(op, value);
}

static void range(pt2_op *op) {
  net_tensor start = {0}, end, step = {0};
  sdx_dtype dtype = pt2_result_dtype(op, 0);
  pt2_value y;
  if (!pt2_optional(op, "start", &start) || !pt2_in(op, "end", &end) || !pt2_optional(op, "step", &step) ||
      !pt2_result(op, 0, &y))
    return;
  start = start.ref ? net_cast(op->n, start, dtype) : net_scalar(op->n, dtype, 0);
  step = step.ref ? net_cast(op->n, step, dtype) : net_scalar(op->n, dtype, 1);
  op->out[0] = net_like(y.tensor,
                        net_node(op->n, "Range", NULL, SDX_REFS(start.ref, net_cast(op->n, end, dtype).ref, step.ref)));
}

static void linspace(pt2_op *op) {
  enum { MOST = 1 << 20 };
  double start = pt2_number(op, "start", 0), end = pt2_number(op, "end", 1);
  int64_t steps = pt2_int(op, "steps", 0);
  double *all = steps >= 0 && steps <= MOST ? arena_array(op->p->c->memory, (size_t)steps + 1, sizeof *all) : NULL;
  if (!all) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "%lld steps", (long long)steps);
    return;
  }
  float by = steps > 1 ? (float)(end - start) / (float)(steps - 1) : 0;
  for (int64_t i = 0; i < steps; i++)
    all[i] =
        i < steps / 2 ? (double)((float)start + by * (float)i) : (double)((float)end - by * (float)(steps - 1 - i));
  op->out[0] = net_values(op->n, "steps", pt2_result_dtype(op, 0), 1, &steps, all);
}

static void eye(pt2_op *op) {
  pt2_value y;
  if (!pt2_result(op, 0, &y)) return;
  net_tensor zeros_of = y.tensor;
  zeros_of.ref =
      net_node(op->n, "Expand", "zeros", SDX_REFS(net_scalar(op->n, SDX_FLOAT, 0).ref, pt2_shape(op, &y).ref));
  op->out[0] = net_like(zeros_of, net_node(op->n, "EyeLike", NULL, SDX_REFS(zeros_of.ref)));
  sdx_graph_set_int(op->p->c->graph, "dtype", y.tensor.dtype);
}

static void triangle(pt2_op *op) {
  net_tensor x;
  if (!get_self(op, &x)) return;
  bool as_bool = x.dtype == SDX_BOOL;
  if (as_bool) x = net_cast(op->n, x, SDX_INT32);
  net_tensor diagonal = net_scalar(op->n, SDX_INT64, (double)pt2_int(op, "diagonal", 0));
  x.ref = net_node(op->n, "Trilu", NULL, SDX_REFS(x.ref, diagonal.ref));
  sdx_graph_set_int(op->p->c->graph, "upper", *op->kind->name == 't' && op->kind->name[3] == 'u');
  op->out[0] = x;
}

static void meshgrid(pt2_op *op) {
  net_tensor x;
  pt2_value y;
  size_t count = pt2_list_size(op, "tensors");
  bool columns = !strcmp(pt2_text(op, "indexing", "ij"), "xy");
  for (size_t i = 0; i < count && i < op->out_count; i++) {
    if (!pt2_list_in(op, "tensors", i, &x) || !pt2_result(op, i, &y)) return;
    size_t place = columns && i < 2 ? 1 - i : i;
    if (x.rank == 0) x = net_unsqueeze(op->n, x, 0);
    for (size_t k = place + 1; k < count; k++) x = net_unsqueeze(op->n, x, x.rank);
    op->out[i] = net_like(y.tensor, net_node(op->n, "Expand", "grid", SDX_REFS(x.ref, pt2_shape(op, &y).ref)));
    op->out[i].dtype = x.dtype;
  }
}

static void scalar_of(pt2_op *op) {
  const char *names[] = {"s", "data", "t"};
  size_t i = 0;
  while (i < 2 && !pt2_has(op, names[i])) i++;
  pt2_in(op, names[i], &op->out[0]);
}

// item: a tensor of one element as a number.
static void item(pt2_op *op) {
  net_tensor x;
  if (get_self(op, &x)) op->out[0] = net_reshape(op->n, net_cast(op->n, x, SDX_INT64), 1, (int64_t[]){1});
}

// unfold: windows of a size along an axis, each one of its own behind.
static void windows(pt2_op *op) {
  net_tensor x;
  size_t axis;
  int64_t size = pt2_int(op, "size", 1), step = pt2_int(op, "step", 1);
  if (!get_self(op, &x) || !net_axis(op->n, &x, pt2_int(op, "dimension", 0), &axis)) return;
  int64_t count = x.shape[axis] >= size && step > 0 && size > 0 ? (x.shape[axis] - size) / step + 1 : 0;
  int64_t *at =
      count > 0 && count * size <= 1 << 22 ? arena_array(op->p->c->memory, (size_t)(count * size), sizeof *at) : NULL;
  if (!at) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "windows of %lld of %s", (long long)size, net_shape_text(op->n, &x));
    return;
  }
  for (int64_t i = 0; i < count * size; i++) at[i] = i / size * step + i % size;
  net_tensor y = net_gather(op->n, x, net_ints(op->n, (size_t)(count * size), at), axis);
  int64_t spec[NET_RANK], order[NET_RANK];
  for (size_t i = 0; i <= x.rank && x.rank < NET_RANK; i++) {
    spec[i] = i < axis ? 0 : i == axis ? count : i == axis + 1 ? size : x.shape[i - 1];
    order[i] = i == x.rank ? (int64_t)axis + 1 : i > axis ? (int64_t)i + 1 : (int64_t)i;
    if (spec[i] < 0) net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "windows of %s", net_shape_text(op->n, &x));
  }
  y = net_reshape(op->n, y, x.rank + 1, spec);
  if (!convert_failed(op->p->c)) op->out[0] = net_transpose(op->n, y, order);
}

const pt2_kind pt2_shape_kinds[] = {
    {"view", reshape, "Reshape"},
    {"reshape", reshape, "Reshape"},
    {"_unsafe_view", reshape, "Reshape"},
    {"view_as", reshape, "Reshape"},
    {"reshape_as", reshape, "Reshape"},
    {"flatten", reshape, "Reshape"},
    {"unflatten", reshape, "Reshape"},
    {"ravel", reshape, "Reshape"},
    {"squeeze", squeeze, "Squeeze"},
    {"unsqueeze", unsqueeze, "Unsqueeze"},
    {"permute", permute, "Transpose"},
    {"transpose", transpose, "Transpose"},
    {"swapaxes", transpose, "Transpose"},
    {"swapdims", transpose, "Transpose"},
    {"t", transpose_last, "Transpose"},
    {"mT", transpose_last, "Transpose"},
    {"numpy_T", transpose_all, "Transpose"},
    {"movedim", move_axes, "Transpose"},
    {"moveaxis", move_axes, "Transpose"},
    {"expand", expand, "Expand"},
    {"expand_as", expand, "Expand"},
    {"broadcast_to", expand, "Expand"},
    {"repeat", repeat_any, "Tile"},
    {"tile", repeat, "Tile"},
    {"repeat_interleave", repeat_interleave, "Tile"},
    {"cat", concat, "Concat"},
    {"concat", concat, "Concat"},
    {"concatenate", concat, "Concat"},
    {"stack", stack, "Concat"},
    {"split", split, "Split"},
    {"split_with_sizes", split, "Split"},
    {"unsafe_split", split, "Split"},
    {"chunk", split, "Split"},
    {"tensor_split", split, "Split"},
    {"unbind", unbind, "Split"},
    {"flip", flip, "Slice"},
    {"roll", roll, "Concat"},
    {"pad", pad, "constant"},
    {"constant_pad_nd", pad, "constant"},
    {"reflection_pad1d", pad, "reflect"},
    {"reflection_pad2d", pad, "reflect"},
    {"reflection_pad3d", pad, "reflect"},
    {"replication_pad1d", pad, "replicate"},
    {"replication_pad2d", pad, "replicate"},
    {"replication_pad3d", pad, "replicate"},
    {"pixel_shuffle", pixel_shuffle, "DepthToSpace"},
    {"pixel_unshuffle", pixel_shuffle, "SpaceToDepth"},
    {"channel_shuffle", channel_shuffle, NULL},
    {"native_channel_shuffle", channel_shuffle, NULL},
    {"zeros", zeros, "Expand"},
    {"zeros_like", zeros, "Expand"},
    {"new_zeros", zeros, "Expand"},
    {"zero", zeros, "Expand"},
    {"empty", zeros, "Expand"},
    {"empty_like", zeros, "Expand"},
    {"new_empty", zeros, "Expand"},
    {"ones", ones, "Expand"},
    {"ones_like", ones, "Expand"},
    {"new_ones", ones, "Expand"},
    {"full", full, "Expand"},
    {"full_like", full, "Expand"},
    {"new_full", full, "Expand"},
    {"fill", full, "Expand"},
    {"arange", range, "Range"},
    {"linspace", linspace, NULL},
    {"eye", eye, "EyeLike"},
    {"tril", triangle, "Trilu"},
    {"triu", triangle, "Trilu"},
    {"meshgrid", meshgrid, "Expand"},
    {"scalar_tensor", scalar_of, NULL},
    {"tensor", scalar_of, NULL},
    {"item", item, "Reshape"},
    {"_local_scalar_dense", item, "Reshape"},
    {"unfold", windows, "Gather"},
    {"sym_size", item, NULL},
    {"sym_numel", item, NULL},
    {"numel", item, NULL},
    {0},
};
