// SPDX-License-Identifier: Apache-2.0
// ATen's operators that choose by position, and put into chosen places (pt2.h).
#include <string.h>

#include "convert/pt2.h"

// ---- slices -----------------------------------------------------------------------------------------

// A size, known or computed, as int64 [1].
static sdx_ref as_list(pt2_op *op, int64_t number, sdx_ref ref) {
  return ref ? ref : sdx_graph_add_ints(op->p->c->graph, 1, &number);
}

typedef struct cut {
  size_t axis;
  int64_t from, to, step;
  sdx_ref from_ref, to_ref;
} cut;

static bool read_cut(pt2_op *op, const net_tensor *x, cut *s) {
  return net_axis(op->n, x, pt2_int(op, "dim", 0), &s->axis) && pt2_size_arg(op, "start", 0, &s->from, &s->from_ref) &&
         pt2_size_arg(op, "end", INT64_MAX, &s->to, &s->to_ref) && (s->step = pt2_int(op, "step", 1), true);
}

static net_tensor apply_cut(pt2_op *op, net_tensor x, const cut *s) {
  if (!s->from_ref && !s->to_ref) return net_slice(op->n, x, s->axis, s->from, s->to, s->step);
  int64_t axis = (int64_t)s->axis;
  net_tensor y = net_like(x, net_node(op->n, "Slice", NULL,
                                      SDX_REFS(x.ref, as_list(op, s->from, s->from_ref), as_list(op, s->to, s->to_ref),
                                               as_list(op, axis, 0), as_list(op, s->step, 0))));
  y.shape[s->axis] = -1;
  return y;
}

static void slice(pt2_op *op) {
  net_tensor x;
  cut s;
  if (pt2_in(op, "self", &x) && read_cut(op, &x, &s)) op->out[0] = apply_cut(op, x, &s);
}

static void narrow(pt2_op *op) {
  net_tensor x;
  size_t axis;
  int64_t start = pt2_int(op, "start", 0), length = pt2_int(op, "length", 0);
  if (pt2_in(op, "self", &x) && net_axis(op->n, &x, pt2_int(op, "dim", 0), &axis))
    op->out[0] = net_slice(op->n, x, axis, start, start + length == 0 ? INT64_MAX : start + length, 1);
}

static void select_one(pt2_op *op) {
  net_tensor x;
  size_t axis;
  int64_t at;
  sdx_ref ref;
  if (!pt2_in(op, "self", &x) || !net_axis(op->n, &x, pt2_int(op, "dim", 0), &axis) ||
      !pt2_size_arg(op, "index", 0, &at, &ref))
    return;
  net_tensor place = {ref, SDX_INT64, 1, {1}};
  place = ref ? net_squeeze(op->n, place, 0) : net_scalar(op->n, SDX_INT64, (double)at);
  op->out[0] = net_gather(op->n, x, place, axis);
}

// What is before, the source, and what is behind.
static void put_slice(pt2_op *op, net_tensor x, net_tensor source, cut s) {
  net_tensor parts[3];
  size_t count = 0;
  if (s.step != 1) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a change of every %lld-th", (long long)s.step);
    return;
  }
  cut before = {s.axis, 0, s.from, 1, 0, s.from_ref}, after = {s.axis, s.to, INT64_MAX, 1, s.to_ref, 0};
  if (s.from || s.from_ref) parts[count++] = apply_cut(op, x, &before);
  parts[count++] = net_cast(op->n, source, x.dtype);
  if (s.to_ref || s.to < (x.shape[s.axis] < 0 ? INT64_MAX : x.shape[s.axis])) parts[count++] = apply_cut(op, x, &after);
  op->out[0] = net_like(x, net_concat(op->n, s.axis, count, parts).ref);
}

void pt2_put_back(pt2_op *view, net_tensor x, net_tensor source) {
  cut s = {.step = 1};
  if (!strcmp(view->kind->op, "Slice")) {
    if (read_cut(view, &x, &s)) put_slice(view, x, source, s);
    return;
  }
  if (!net_axis(view->n, &x, pt2_int(view, "dim", 0), &s.axis) || !pt2_size_arg(view, "index", 0, &s.from, &s.from_ref))
    return;
  if (s.from < 0 && !s.from_ref && x.shape[s.axis] >= 0) s.from += x.shape[s.axis];
  s.to = s.from + 1;
  if (s.from < 0) net_fail(view->n, SDX_NOT_SUPPORTED, NULL, "a change at a place that is not known");
  else put_slice(view, x, net_unsqueeze(view->n, source, s.axis), s);
}

static void put_part(pt2_op *op) {
  net_tensor x, source;
  if (pt2_in(op, "self", &x) && pt2_in(op, "src", &source)) pt2_put_back(op, x, source);
}

// ---- by indices -------------------------------------------------------------------------------------

static void embedding(pt2_op *op) {
  net_tensor table, at;
  if (pt2_in(op, "weight", &table) && pt2_in(op, "indices", &at)) op->out[0] = net_gather(op->n, table, at, 0);
}

static void index_select(pt2_op *op) {
  net_tensor x, at;
  size_t axis;
  if (!pt2_in(op, "self", &x) || !pt2_in(op, "index", &at) || !net_axis(op->n, &x, pt2_int(op, "dim", 0), &axis))
    return;
  if (at.rank == 0) at = net_unsqueeze(op->n, at, 0);
  op->out[0] = net_gather(op->n, x, at, axis);
}

static void gather(pt2_op *op) {
  net_tensor x, at;
  size_t axis;
  const char *index = pt2_has(op, "index") ? "index" : "indices";
  pt2_value y;
  if (!pt2_in(op, "self", &x) || !pt2_in(op, index, &at) || !net_axis(op->n, &x, pt2_int(op, "dim", 0), &axis) ||
      !pt2_result(op, 0, &y))
    return;
  if (!strcmp(op->kind->name, "take_along_dim"))
    at.ref = net_node(op->n, "Expand", "index", SDX_REFS(at.ref, pt2_shape(op, &y).ref));
  op->out[0] = net_gather_along(op->n, x, at, axis);
}

typedef struct places {
  size_t count;  // of axes that have an index
  int64_t axes[NET_RANK];
  net_tensor at[NET_RANK];
  bool together;  // the axes are neighbours
} places;

static bool read_places(pt2_op *op, const net_tensor *x, places *p) {
  size_t count = pt2_list_size(op, "indices");
  net_tensor at;
  *p = (places){.together = true};
  if (count > x->rank) return !net_fail(op->n, SDX_INVALID_MODEL, NULL, "more indices than dimensions");
  for (size_t i = 0; i < count; i++) {
    if (!pt2_list_in(op, "indices", i, &at)) return false;
    if (!at.ref) continue;
    if (p->count && p->axes[p->count - 1] + 1 != (int64_t)i) p->together = false;
    p->axes[p->count] = (int64_t)i;
    p->at[p->count++] = at;
  }
  return p->count > 0 || !net_fail(op->n, SDX_INVALID_MODEL, NULL, "no indices");
}

// Indices of all axes behind each other: [.., count].
static net_tensor join_places(pt2_op *op, const places *p) {
  net_tensor all = net_cast(op->n, p->at[0], SDX_INT64), parts[NET_RANK];
  for (size_t i = 1; i < p->count; i++)
    all = net_binary(op->n, "Add", "grid", all, net_cast(op->n, p->at[i], SDX_INT64));
  net_tensor shape = net_shape_of(op->n, all);
  for (size_t i = 0; i < p->count; i++) {
    net_tensor at = net_cast(op->n, p->at[i], SDX_INT64);
    if (p->count > 1) at = net_like(all, net_node(op->n, "Expand", "index", SDX_REFS(at.ref, shape.ref)));
    parts[i] = net_unsqueeze(op->n, at, all.rank);
  }
  return net_concat(op->n, all.rank, p->count, parts);
}

// The axes with an index to the front, or back again.
static net_tensor to_front(pt2_op *op, net_tensor x, const places *p, bool back) {
  int64_t order[NET_RANK], inverse[NET_RANK];
  size_t at = 0;
  bool used[NET_RANK] = {0};
  for (size_t i = 0; i < p->count; i++) order[at++] = p->axes[i], used[p->axes[i]] = true;
  for (size_t i = 0; i < x.rank; i++)
    if (!used[i]) order[at++] = (int64_t)i;
  for (size_t i = 0; i < x.rank; i++) inverse[order[i]] = (int64_t)i;
  return net_transpose(op->n, x, back ? inverse : order);
}

// The dimensions of the index, which are in front, to where the first axis was.
static net_tensor from_front(pt2_op *op, net_tensor y, size_t dims, size_t first) {
  int64_t order[NET_RANK];
  size_t at = 0;
  for (size_t i = 0; i < first; i++) order[at++] = (int64_t)(dims + i);
  for (size_t i = 0; i < dims; i++) order[at++] = (int64_t)i;
  for (size_t i = dims + first; i < y.rank; i++) order[at++] = (int64_t)i;
  return net_transpose(op->n, y, order);
}

static net_tensor places_of_mask(pt2_op *op, net_tensor mask) {
  net_tensor found = {
      net_node(op->n, "NonZero", "nonzero", SDX_REFS(mask.ref)), SDX_INT64, 2, {(int64_t)mask.rank, -1}};
  return net_transpose(op->n, found, (int64_t[]){1, 0});
}

static void index_by(pt2_op *op) {
  net_tensor x;
  places p;
  pt2_value y;
  if (!pt2_in(op, "self", &x) || !read_places(op, &x, &p) || !pt2_result(op, 0, &y)) return;
  bool mask = p.at[0].dtype == SDX_BOOL;
  if (mask && (p.count > 1 || p.axes[0])) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a mask beside other indices");
    return;
  }
  if (!mask && p.count == 1) {
    op->out[0] = net_gather(op->n, x, p.at[0], (size_t)p.axes[0]);
    return;
  }
  net_tensor at = mask ? places_of_mask(op, p.at[0]) : join_places(op, &p);
  if (!mask) x = to_front(op, x, &p, false);
  net_tensor found = {net_node(op->n, "GatherND", NULL, SDX_REFS(x.ref, at.ref)), x.dtype, y.tensor.rank, {0}};
  memcpy(found.shape, y.tensor.shape, sizeof found.shape);
  op->out[0] = !mask && p.together ? from_front(op, found, at.rank - 1, (size_t)p.axes[0]) : found;
  memcpy(op->out[0].shape, y.tensor.shape, sizeof found.shape);
}

static void masked_select(pt2_op *op) {
  net_tensor x, mask;
  if (!pt2_in(op, "self", &x) || !pt2_in(op, "mask", &mask)) return;
  net_tensor shape = net_shape_of(
      op->n, net_binary(op->n, "Add", "all", net_cast(op->n, mask, SDX_INT32), net_cast(op->n, x, SDX_INT32)));
  sdx_ref values = net_node(op->n, "Expand", "values", SDX_REFS(x.ref, shape.ref));
  sdx_ref chosen = net_node(op->n, "Expand", "mask", SDX_REFS(mask.ref, shape.ref));
  op->out[0] = (net_tensor){net_node(op->n, "Compress", NULL, SDX_REFS(values, chosen)), x.dtype, 1, {-1}};
}

static void put(pt2_op *op) {
  net_tensor x, values;
  places p;
  bool add = pt2_flag(op, "accumulate", false);
  if (!pt2_in(op, "self", &x) || !pt2_in(op, "values", &values) || !read_places(op, &x, &p)) return;
  values = net_cast(op->n, values, x.dtype);
  bool mask = p.at[0].dtype == SDX_BOOL;
  if (mask && p.count == 1 && p.axes[0] == 0 && !add &&
      (values.rank == 0 || (values.rank == 1 && values.shape[0] == 1))) {
    net_tensor test = net_along(op->n, p.at[0], 0, &x);
    op->out[0] = net_like(x, pt2_where(op, test, values, x).ref);
    return;
  }
  if (mask && (p.count > 1 || p.axes[0])) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a mask beside other indices");
    return;
  }
  net_tensor at = mask ? places_of_mask(op, p.at[0]) : join_places(op, &p),
             front = mask ? x : to_front(op, x, &p, false);
  size_t used = mask ? p.at[0].rank : p.count, dims = at.rank - 1;
  if (p.count > 1 && !p.together) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "changes at indices of axes that are not neighbours");
    return;
  }
  // The values have the dimensions of the index where its first axis is; they are wanted in front.
  net_tensor head = net_slice(op->n, net_shape_of(op->n, at), 0, 0, (int64_t)dims, 1),
             tail = net_slice(op->n, net_shape_of(op->n, front), 0, (int64_t)used, INT64_MAX, 1);
  size_t first = mask ? 0 : (size_t)p.axes[0];
  if (first && values.rank == dims + x.rank - used) {
    int64_t order[NET_RANK];
    size_t k = 0;
    for (size_t i = 0; i < dims; i++) order[k++] = (int64_t)(first + i);
    for (size_t i = 0; i < values.rank; i++)
      if (i < first || i >= first + dims) order[k++] = (int64_t)i;
    values = net_transpose(op->n, values, order);
  } else if (first && values.rank > 1) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "values of shape %s for such indices", net_shape_text(op->n, &values));
    return;
  }
  net_tensor shape = net_concat(op->n, 0, 2, (net_tensor[]){head, tail});
  values.ref = net_node(op->n, "Expand", "values", SDX_REFS(values.ref, shape.ref));
  front.ref = net_node(op->n, "ScatterND", NULL, SDX_REFS(front.ref, at.ref, values.ref));
  if (add) sdx_graph_set_string(op->p->c->graph, "reduction", "add");
  op->out[0] = mask ? front : net_like(x, to_front(op, front, &p, true).ref);
}

static void scatter(pt2_op *op) {
  net_tensor x, at, source;
  size_t axis;
  const char *reduction = pt2_text(op, "reduce", op->kind->op[7] ? "add" : "none");
  static const char *const names[][2] = {
      {"sum", "add"}, {"prod", "mul"}, {"multiply", "mul"}, {"amax", "max"}, {"amin", "min"}};
  if (!pt2_in(op, "self", &x) || !pt2_in(op, "index", &at) || !net_axis(op->n, &x, pt2_int(op, "dim", 0), &axis) ||
      !pt2_in(op, pt2_has(op, "src") ? "src" : "value", &source))
    return;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(reduction, names[i][0])) reduction = names[i][1];
  at = net_cast(op->n, at, SDX_INT64);
  source = net_cast(op->n, source, x.dtype);
  net_tensor shape = net_shape_of(op->n, at);
  if (source.rank == 0) source = net_like(at, net_node(op->n, "Expand", "values", SDX_REFS(source.ref, shape.ref)));
  for (size_t i = 0; i < x.rank && i < source.rank && pt2_has(op, "src"); i++)
    if (at.shape[i] >= 0 && source.shape[i] > at.shape[i]) source = net_slice(op->n, source, i, 0, at.shape[i], 1);
  op->out[0] = net_like(x, net_node(op->n, "ScatterElements", NULL, SDX_REFS(x.ref, at.ref, source.ref)));
  sdx_graph_set_int(op->p->c->graph, "axis", (int64_t)axis);
  if (strcmp(reduction, "none") != 0) sdx_graph_set_string(op->p->c->graph, "reduction", reduction);
}

// x[i] += source[j] of whole rows.
static void index_add(pt2_op *op) {
  net_tensor x, at, source;
  size_t axis;
  double alpha = pt2_number(op, "alpha", 1);
  if (!pt2_in(op, "self", &x) || !pt2_in(op, "index", &at) || !pt2_in(op, "source", &source) ||
      !net_axis(op->n, &x, pt2_int(op, "dim", 0), &axis))
    return;
  if (alpha != 1) source = net_scale(op->n, "Mul", "alpha", source, alpha);
  net_tensor shape = net_shape_of(op->n, source);
  at = net_along(op->n, net_cast(op->n, at, SDX_INT64), axis, &source);
  sdx_ref wide = net_node(op->n, "Expand", "index", SDX_REFS(at.ref, shape.ref));
  op->out[0] = net_like(x, net_node(op->n, "ScatterElements", NULL, SDX_REFS(x.ref, wide, source.ref)));
  sdx_graph_set_int(op->p->c->graph, "axis", (int64_t)axis);
  sdx_graph_set_string(op->p->c->graph, "reduction", "add");
}

static void nonzero(pt2_op *op) {
  net_tensor x;
  if (pt2_in(op, "self", &x)) op->out[0] = places_of_mask(op, x);
}

static void one_hot(pt2_op *op) {
  net_tensor x;
  int64_t classes = pt2_int(op, "num_classes", -1);
  pt2_value y;
  if (!pt2_in(op, "self", &x) || !pt2_result(op, 0, &y)) return;
  if (classes < 1 && y.tensor.rank) classes = y.tensor.shape[y.tensor.rank - 1];
  op->out[0] = net_one_hot(op->n, x, classes, -1, 0, 1);
}

static void diagonal(pt2_op *op) {
  net_tensor x;
  size_t a, b;
  int64_t offset = pt2_int(op, "offset", 0), places[2 << 12];
  if (!pt2_in(op, "self", &x) || !net_axis(op->n, &x, pt2_int(op, "dim1", 0), &a) ||
      !net_axis(op->n, &x, pt2_int(op, "dim2", 1), &b))
    return;
  int64_t rows = x.shape[a] + (offset < 0 ? offset : 0), columns = x.shape[b] - (offset > 0 ? offset : 0);
  int64_t count = rows < columns ? rows : columns, order[NET_RANK], shape[2] = {count, 2};
  if (a == b || x.shape[a] < 0 || x.shape[b] < 0 || count < 1 || count > 1 << 12) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "the diagonal of %s", net_shape_text(op->n, &x));
    return;
  }
  for (int64_t i = 0; i < count; i++)
    places[2 * i] = i - (offset < 0 ? offset : 0), places[2 * i + 1] = i + (offset > 0 ? offset : 0);
  size_t k = 2;
  order[0] = (int64_t)a, order[1] = (int64_t)b;
  for (size_t i = 0; i < x.rank; i++)
    if (i != a && i != b) order[k++] = (int64_t)i;
  net_tensor front = net_transpose(op->n, x, order),
             at = net_reshape(op->n, net_ints(op->n, (size_t)(2 * count), places), 2, shape);
  net_tensor y = {net_node(op->n, "GatherND", NULL, SDX_REFS(front.ref, at.ref)), x.dtype, x.rank - 1, {count}};
  for (size_t i = 1; i < y.rank; i++) y.shape[i] = front.shape[i + 1], order[i - 1] = (int64_t)i;
  order[y.rank - 1] = 0;
  op->out[0] = net_transpose(op->n, y, order);
}

// Each less the one before it.
static void difference(pt2_op *op) {
  net_tensor x, parts[3];
  size_t axis, count = 0;
  if (!pt2_in(op, "self", &x) || !net_axis(op->n, &x, pt2_int(op, "dim", -1), &axis) ||
      !pt2_optional(op, "prepend", &parts[count]))
    return;
  count += parts[0].ref != 0;
  parts[count++] = x;
  if (!pt2_optional(op, "append", &parts[count])) return;
  count += parts[count].ref != 0;
  if (pt2_int(op, "n", 1) != 1) net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "differences of differences");
  for (size_t i = 0; i < count; i++) parts[i] = net_cast(op->n, parts[i], x.dtype);
  x = net_concat(op->n, axis, count, parts);
  if (x.dtype == SDX_BOOL) x = net_cast(op->n, x, SDX_INT32);
  net_tensor later = net_slice(op->n, x, axis, 1, INT64_MAX, 1), earlier = net_slice(op->n, x, axis, 0, -1, 1);
  op->out[0] = net_binary(op->n, "Sub", NULL, later, earlier);
}

// The places of a triangle: [2, count].
static void triangle_places(pt2_op *op) {
  enum { MOST = 1 << 20 };
  int64_t rows = pt2_int(op, "row", 0), columns = pt2_int(op, "col", 0), offset = pt2_int(op, "offset", 0), count = 0;
  bool upper = !strcmp(op->kind->name, "triu_indices");
  bool fits = rows >= 0 && rows <= MOST && columns >= 0 && columns <= MOST && rows * columns <= MOST;
  int64_t *at = fits ? arena_array(op->p->c->memory, (size_t)(2 * rows * columns) + 1, sizeof *at) : NULL;
  if (!at) {
    net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "a triangle of %lld by %lld", (long long)rows, (long long)columns);
    return;
  }
  for (int pass = 0; pass < 2; pass++)
    for (int64_t i = 0; i < rows * columns; i++) {
      int64_t row = i / columns, column = i % columns;
      if (upper ? column - row >= offset : column - row <= offset) at[count++] = pass ? column : row;
    }
  op->out[0] = net_reshape(op->n, net_ints(op->n, (size_t)count, at), 2, (int64_t[]){2, count / 2});
}

const pt2_kind pt2_index_kinds[] = {
    {"slice", slice, "Slice"},
    {"narrow", narrow, "Slice"},
    {"select", select_one, "Gather"},
    {"slice_scatter", put_part, "Slice"},
    {"select_scatter", put_part, "Gather"},
    {"embedding", embedding, "Gather"},
    {"index_select", index_select, "Gather"},
    {"gather", gather, "GatherElements"},
    {"take_along_dim", gather, "GatherElements"},
    {"index", index_by, "GatherND"},
    {"_unsafe_index", index_by, "GatherND"},
    {"masked_select", masked_select, "Compress"},
    {"index_put", put, "ScatterND"},
    {"_unsafe_index_put", put, "ScatterND"},
    {"scatter", scatter, "Scatter"},
    {"scatter_add", scatter, "Scatter+"},
    {"scatter_reduce", scatter, "Scatter"},
    {"index_add", index_add, "ScatterElements"},
    {"nonzero", nonzero, "NonZero"},
    {"argwhere", nonzero, "NonZero"},
    {"one_hot", one_hot, "OneHot"},
    {"diagonal", diagonal, "GatherND"},
    {"diff", difference, "Sub"},
    {"tril_indices", triangle_places, NULL},
    {"triu_indices", triangle_places, NULL},
    {0},
};
