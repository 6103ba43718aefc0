// SPDX-License-Identifier: Apache-2.0
// Rules of operators that move elements: what moves them moves their positions to where the derivatives are, and these
// are added up there. Read first: gradient.h.
#include "ops/parts/gradient.h"

typedef gradient_step step;

static value_id same_elements(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  return reshape_like(u, g, x);
}
static value_id expand(step *s, op_upgrade *u, value_id x, value_id y, value_id g) { return gradient_sum_to(u, g, x); }
static value_id trilu(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  value_id in[2] = {g, s->n->input_count > 1 ? s->in[1] : VALUE_ABSENT};
  return upgrade_insert(u, "Trilu", s->n->input_count, in, s->n->attrs, s->n->attr_count);
}

static value_id transposition(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  const attr *perm = node_attr(s->n, "perm");
  if (!perm) return insert1(u, "Transpose", g);
  size_t rank = perm->ints.count;
  int64_t *inverse = arena_array(s->memory, rank, sizeof *inverse);
  if (!inverse) {
    error_no_memory(u->err, rank * sizeof *inverse);
    return VALUE_ABSENT;
  }
  for (size_t i = 0; i < rank; i++)
    if (perm->ints.at[i] >= 0 && (size_t)perm->ints.at[i] < rank) inverse[perm->ints.at[i]] = (int64_t)i;
  return transpose(u, g, inverse, rank);
}

static void concatenation(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  attr axis = attr_of_int("axis", node_attr_int(s->n, "axis", 0));
  size_t count = s->n->input_count;
  value_id *at = arena_array(s->memory, count, sizeof *at);
  if (!at) {
    error_no_memory(u->err, count * sizeof *at);
    return;
  }
  value_id along = ints1(u, axis.i);
  for (size_t i = 0; i < count; i++) at[i] = insert2(u, "Gather", shape_of(u, s->in[i]), along);
  value_id in[2] = {g, concat(u, 0, count, at)};
  if (!upgrade_insert_many(u, "Split", 2, in, &axis, 1, count, at)) return;
  for (size_t i = 0; i < count; i++) gradient_give(s, i, at[i]);
}

// Elements of `what` added up at flat positions among `slots` ones.
static value_id gathered(op_upgrade *u, value_id from, value_id what, value_id slots) {
  value_id zeros = insert2(u, "Expand", scalar_like(u, 0, what), slots);
  value_id sums = insert3(u, "ScatterElements", zeros, from, what);
  with_attr(u, sums, attr_of_int("axis", 0));
  return with_attr(u, sums, attr_of_string("reduction", "add"));
}
static value_id size_list(op_upgrade *u, value_id size) { return reshape(u, size, (int64_t[]){1}, 1); }

static value_id max_pool(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {  // says where elements are from
  value_id out[2];
  if (node_attr_int(s->n, "storage_order", 0)) gradient_refuse(s, "it stores columns first");
  if (!upgrade_insert_many(u, "MaxPool", 1, &x, s->n->attrs, s->n->attr_count, 2, out)) return VALUE_ABSENT;
  value_id from = flat(u, out[1]), what = flat(u, g), slots = size_list(u, insert1(u, "Size", x));
  return reshape_like(u, gathered(u, from, what, slots), x);
}

// The operator once more, on the positions of x; padding comes from a position of its own behind the others.
static bool move_positions(step *s, op_upgrade *u, value_id x, value_id size, bool pads, value_id *out) {
  size_t inputs = s->n->input_count;
  value_id *in = arena_array(s->memory, inputs + 3, sizeof *in);
  if (!in) {
    error_no_memory(u->err, (inputs + 3) * sizeof *in);
    return false;
  }
  memcpy(in, s->in, inputs * sizeof *in);
  in[0] = reshape_like(u, range_to(u, size), x);
  if (pads) in[2] = size;
  if (pads && inputs < 3) inputs = 3;
  return upgrade_insert_many(u, s->op_type, inputs, in, s->n->attrs, s->n->attr_count, s->n->output_count, out);
}

static void moved(step *s, op_upgrade *u, value_id x, bool pads) {
  size_t outputs = s->n->output_count;
  value_id size = insert1(u, "Size", x), *out = arena_array(s->memory, 2 * outputs, sizeof *out), *dy = out + outputs;
  if (!out) {
    error_no_memory(u->err, 2 * outputs * sizeof *out);
    return;
  }
  if (!move_positions(s, u, x, size, pads, out)) return;
  for (size_t i = 0; i < outputs; i++) {
    out[i] = flat(u, out[i]);
    dy[i] = flat(u, s->dy[i] ? s->dy[i] : filled_like(u, 0, s->out[i]));
  }
  value_id from = concat(u, 0, outputs, out), what = concat(u, 0, outputs, dy), end = size_list(u, size);
  if (!pads) {
    gradient_give(s, 0, reshape_like(u, gathered(u, from, what, end), x));
    return;
  }
  value_id slots = add(u, end, ints1(u, 1)), sums = gathered(u, from, what, slots), zero = ints1(u, 0);
  gradient_give(s, 0, reshape_like(u, insert3(u, "Slice", sums, zero, end), x));
  if (gradient_wants(s, 2)) gradient_give(s, 2, reshape_like(u, insert3(u, "Slice", sums, end, slots), s->in[2]));
}
static void move(step *s, op_upgrade *u, value_id x, value_id y, value_id g) { moved(s, u, x, false); }
static void pad(step *s, op_upgrade *u, value_id x, value_id y, value_id g) {
  const attr *mode = node_attr(s->n, "mode");
  moved(s, u, x, !mode || str_is(mode->s, "constant"));
}

const gradient_rule gradient_moves[] = {
    {"Compress", .each = move},
    {"Concat", .each = concatenation},
    {.op_type = "ConstantOfShape"},
    {"DepthToSpace", .each = move},
    {"Expand", .first = expand},
    {.op_type = "EyeLike"},
    {"Flatten", .first = same_elements},
    {"Gather", .each = move},
    {"GatherElements", .each = move},
    {"GatherND", .each = move},
    {"MaxPool", .first = max_pool},
    {.op_type = "NonZero"},
    {"Pad", .each = pad},
    {"Reshape", .first = same_elements},
    {.op_type = "Shape"},
    {.op_type = "Size"},
    {"Slice", .each = move},
    {"SpaceToDepth", .each = move},
    {"Split", .each = move},
    {"Squeeze", .first = same_elements},
    {"Tile", .each = move},
    {"Transpose", .first = transposition},
    {"Trilu", .first = trilu},
    {"Unsqueeze", .first = same_elements},
    {.op_type = NULL},
};
