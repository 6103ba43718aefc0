// SPDX-License-Identifier: Apache-2.0
// Rules of matrix products and convolutions. Read first: gradient.h.
#include "ops/parts/gradient.h"

typedef gradient_step step;

static value_id gemm_of(op_upgrade *u, value_id a, value_id b, float alpha, bool trans_a, bool trans_b) {
  attr attrs[] = {attr_of_float("alpha", alpha), attr_of_int("transA", trans_a), attr_of_int("transB", trans_b)};
  return upgrade_insert(u, "Gemm", 2, (value_id[]){a, b}, attrs, 3);
}
static void gemm(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  float alpha = node_attr_float(s->n, "alpha", 1), beta = node_attr_float(s->n, "beta", 1);
  bool ta = node_attr_int(s->n, "transA", 0) != 0, tb = node_attr_int(s->n, "transB", 0) != 0;
  value_id b = s->in[1];
  if (gradient_wants(s, 0))
    gradient_give(s, 0, ta ? gemm_of(u, b, g, alpha, tb, true) : gemm_of(u, g, b, alpha, false, !tb));
  if (gradient_wants(s, 1))
    gradient_give(s, 1, tb ? gemm_of(u, g, x, alpha, true, ta) : gemm_of(u, x, g, alpha, !ta, false));
  if (gradient_wants(s, 2)) gradient_give_sum(s, 2, mul(u, g, scalar_like(u, (double)beta, g)));
}

// An operand of MatMul as a stack of matrices of this shape; a vector (matrix_rank 1) is one row or one column.
typedef struct matrices {
  value_id of, shape, matrix_rank, stacked;
} matrices;
static matrices as_matrices(op_upgrade *u, value_id v, bool rows) {
  value_id shape = shape_of(u, v), rank = shape_of(u, shape), two = ints1(u, 2), one = ints1(u, 1);
  value_id matrix_rank = insert2(u, "Min", rank, two);
  value_id missing = insert2(u, "Expand", one, sub(u, two, matrix_rank));
  value_id full = rows ? concat2(u, 0, missing, shape) : concat2(u, 0, shape, missing);
  value_id stacked = with_attr(u, insert2(u, "Reshape", v, full), attr_of_int("allowzero", 1));
  return (matrices){v, full, matrix_rank, stacked};
}
static value_id transposed(op_upgrade *u, const matrices *m) {
  return with_attr(u, insert1(u, "Einsum", m->stacked), attr_of_string("equation", "...ij->...ji"));
}
// g in the shape that the product of two stacks has.
static value_id product_of_stacks(op_upgrade *u, const matrices *a, const matrices *b, value_id g) {
  value_id shape = shape_of(u, g), zero = ints1(u, 0), two = ints1(u, 2);
  value_id dropped = sub(u, add(u, a->matrix_rank, b->matrix_rank), two);  // dimensions of g that are no batch
  value_id batch = insert3(u, "Slice", shape, zero, sub(u, shape_of(u, shape), dropped));
  value_id rows = slice(u, a->shape, -2, -1), columns = slice(u, b->shape, -1, INT64_MAX);
  value_id full = concat3(u, 0, batch, rows, columns);
  return with_attr(u, insert2(u, "Reshape", g, full), attr_of_int("allowzero", 1));
}
static void matmul(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  matrices a = as_matrices(u, x, true), b = as_matrices(u, s->in[1], false);
  value_id gm = product_of_stacks(u, &a, &b, g);
  if (gradient_wants(s, 0)) {
    value_id by_a = insert2(u, "MatMul", gm, transposed(u, &b));
    gradient_give(s, 0, reshape_like(u, gradient_sum_to(u, by_a, a.stacked), a.of));
  }
  if (gradient_wants(s, 1)) {
    value_id by_b = insert2(u, "MatMul", transposed(u, &a), gm);
    gradient_give(s, 1, reshape_like(u, gradient_sum_to(u, by_b, b.stacked), b.of));
  }
}

// ---- convolutions -------------------------------------------------------------------------------

enum { MOST_SPATIAL = 8 };
static const int64_t all_but_channels[1 + MOST_SPATIAL] = {0, 2, 3, 4, 5, 6, 7, 8, 9};

// The spatial dimensions of a window, from what its attributes or operands declare; 0 = nothing does.
static size_t spatial_rank(const step *s) {
  static const char *const names[] = {"kernel_shape", "strides", "dilations"};
  for (size_t i = 0; i < 3; i++) {
    const attr *a = node_attr(s->n, names[i]);
    if (a && a->ints.count) return a->ints.count;
  }
  for (uint32_t i = 0; i < s->n->input_count && i < 2; i++) {
    const type_info *t = type_best_known(&s->u->graph->values[s->n->inputs[i]]);
    if (s->n->inputs[i] && t->kind == TYPE_TENSOR && t->rank > 2) return (size_t)t->rank - 2;
  }
  return 0;
}

// What the attributes of a Conv say.
typedef struct window {
  size_t rank;
  int64_t groups;
  const int64_t *strides, *dilations, *pads;
  value_id axes;  // of the spatial dimensions, as a tensor
} window;

static const int64_t *ints_or(const step *s, const char *name, size_t count, const int64_t *otherwise) {
  const attr *a = node_attr(s->n, name);
  return a && a->ints.count == count ? a->ints.at : otherwise;
}

static bool read_window(step *s, window *w) {
  static const int64_t ones[MOST_SPATIAL] = {1, 1, 1, 1, 1, 1, 1, 1}, zeros[2 * MOST_SPATIAL];
  const attr *pad = node_attr(s->n, "auto_pad");
  bool automatic = pad && !str_is(pad->s, "NOTSET") && !str_is(pad->s, "VALID");
  size_t rank = spatial_rank(s);
  if (rank == 0 || rank > MOST_SPATIAL || automatic) {
    gradient_refuse(s, automatic ? "auto_pad depends on shapes" : "nothing declares its rank");
    return false;
  }
  *w = (window){.rank = rank, .groups = node_attr_int(s->n, "group", 1)};
  w->strides = ints_or(s, "strides", rank, ones);
  w->dilations = ints_or(s, "dilations", rank, ones);
  w->pads = ints_or(s, "pads", 2 * rank, zeros);
  w->axes = ints(s->u, all_but_channels + 1, rank);
  return true;
}

// [a, groups * b, ...] as [a, groups, b, ...] with these three in another order, then joined to two: the latter two of
// them or the former two.
static value_id regroup(op_upgrade *u, value_id v, const window *w, const int64_t *front, bool join_second) {
  int64_t perm[3 + MOST_SPATIAL];
  for (size_t i = 0; i < 3 + w->rank; i++) perm[i] = i < 3 ? front[i] : (int64_t)i;
  value_id batch = dims(u, v, 0, 1), rest = dims(u, v, 2, INT64_MAX), any = ints1(u, -1);
  value_id split = concat3(u, 0, batch, ints2(u, w->groups, -1), rest);
  value_id moved = transpose(u, insert2(u, "Reshape", v, split), perm, 3 + w->rank);
  value_id own = join_second ? dims(u, moved, 0, 1) : dims(u, moved, 2, 3);
  value_id joined = join_second ? concat3(u, 0, own, any, rest) : concat3(u, 0, any, own, rest);
  return insert2(u, "Reshape", moved, joined);
}

// Without padding the transposed convolution reaches from the first padded element beyond the last one of x.
static value_id conv_by_input(step *s, op_upgrade *u, const window *w, value_id x, value_id g) {
  int64_t extra[MOST_SPATIAL];
  for (size_t i = 0; i < w->rank; i++) extra[i] = w->strides[i] - 1;
  attr attrs[] = {attr_of_ints("strides", w->strides, w->rank), attr_of_ints("dilations", w->dilations, w->rank),
                  attr_of_ints("output_padding", extra, w->rank), attr_of_int("group", w->groups)};
  value_id whole = upgrade_insert(u, "ConvTranspose", 2, (value_id[]){g, s->in[1]}, attrs, 4);
  value_id begin = ints(u, w->pads, w->rank), size = dims(u, x, 2, INT64_MAX), end = add(u, begin, size);
  return insert_n(u, "Slice", 4, (value_id[]){whole, begin, end, w->axes});
}

// x with its batch as channels, g with its batch as filters.
static value_id conv_by_weights(step *s, op_upgrade *u, const window *w, value_id x, value_id g) {
  int64_t swap[2 + MOST_SPATIAL] = {1, 0};
  for (size_t i = 0; i < w->rank; i++) swap[2 + i] = (int64_t)i + 2;
  attr attrs[] = {attr_of_ints("strides", w->dilations, w->rank), attr_of_ints("dilations", w->strides, w->rank),
                  attr_of_ints("pads", w->pads, 2 * w->rank), attr_of_int("group", w->groups)};
  value_id xs = regroup(u, x, w, (const int64_t[]){2, 1, 0}, true);
  value_id gs = regroup(u, g, w, (const int64_t[]){1, 2, 0}, false);
  value_id whole = upgrade_insert(u, "Conv", 2, (value_id[]){xs, gs}, attrs, 4);
  value_id begin = ints(u, (int64_t[MOST_SPATIAL]){0}, w->rank), size = dims(u, s->in[1], 2, INT64_MAX);
  value_id part = insert_n(u, "Slice", 4, (value_id[]){whole, begin, size, w->axes});
  return transpose(u, part, swap, 2 + w->rank);
}

static void conv(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  window w;
  if (!read_window(s, &w)) return;
  if (gradient_wants(s, 0)) gradient_give(s, 0, conv_by_input(s, u, &w, x, g));
  if (gradient_wants(s, 1)) gradient_give(s, 1, conv_by_weights(s, u, &w, x, g));
  if (!gradient_wants(s, 2)) return;
  value_id sum = insert2(u, "ReduceSum", g, ints(u, all_but_channels, 1 + w.rank));
  gradient_give(s, 2, with_attr(u, sum, attr_of_int("keepdims", 0)));
}

const gradient_rule gradient_products[] = {
    {"Conv", .each = conv},
    {"Gemm", .each = gemm},
    {"MatMul", .each = matmul},
    {.op_type = NULL},
};
