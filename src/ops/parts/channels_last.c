// SPDX-License-Identifier: Apache-2.0
// See channels_last.h: ranks from what the file declares and from weights, lists of sizes in the order of dimensions.
#include "ops/parts/channels_last.h"

#include "ops/parts/rewrite.h"

enum { MOST_RANK = 8 };

static int rank_known(const op_upgrade *u, value_id v) {
  const type_info *t = v ? type_best_known(&u->graph->values[v]) : NULL;
  return t && t->kind == TYPE_TENSOR ? t->rank : -1;
}

// Ranks are only known from what the file declares, and from weights.
static size_t rank_of(const op_upgrade *u) {
  static const struct {
    const char *op_type;
    size_t weights;
  } weighted[] = {{"Conv", 1}, {"NhwcConv", 1}, {"FusedConv", 1}, {"NhwcFusedConv", 1}, {"QLinearConv", 3}};
  const attr *kernel = node_attr(u->node, "kernel_shape");
  int rank = rank_known(u, input(u, 0));
  if (rank < 0 && u->node->output_count) rank = rank_known(u, u->node->outputs[0]);
  for (size_t i = 0; rank < 0 && i < sizeof weighted / sizeof *weighted; i++)
    if (str_is(u->node->op_type, weighted[i].op_type)) rank = rank_known(u, input(u, weighted[i].weights));
  return rank >= 0 ? (size_t)rank : kernel ? kernel->ints.count + 2 : 4;
}

// A list with one entry per dimension, or two.
static value_id reordered(op_upgrade *u, value_id list, const int64_t *perm, size_t rank, size_t times) {
  int64_t at[2 * MOST_RANK];
  for (size_t i = 0; i < times * rank; i++) at[i] = perm[i % rank] + (int64_t)(i / rank * rank);
  return list ? insert2(u, "Gather", list, ints(u, at, times * rank)) : VALUE_ABSENT;
}

// Resize names dimensions in roi, scales and sizes; which, says `axes`.
static sdx_status move_sizes(op_upgrade *u, node *inner, const int64_t *first, const int64_t *last, size_t rank) {
  const attr *axes = node_attr(inner, "axes");
  if (axes) {
    int64_t *at = arena_copy(u->graph->memory, axes->ints.at, axes->ints.count * sizeof *at);
    if (!at) return error_no_memory(u->err, axes->ints.count * sizeof *at);
    for (size_t i = 0; i < axes->ints.count; i++) {
      int64_t axis = at[i] < 0 ? at[i] + (int64_t)rank : at[i];
      if (axis < 0 || axis >= (int64_t)rank)
        return upgrade_fail_at(u, at_attribute("axes"), SDX_OUT_OF_RANGE, "has %lld, expected [-%zu, %zu)",
                               (long long)at[i], rank, rank);
      at[i] = last[axis];
    }
    return node_set_attr(u->graph, inner, attr_of_ints("axes", at, axes->ints.count));
  }
  const attr *mode = node_attr(inner, "coordinate_transformation_mode");
  bool crops = mode && str_is(mode->s, "tf_crop_and_resize"), has_roi = u->version >= 11;  // else roi says nothing
  size_t count = inner->input_count, sizes = count > 3 && inner->inputs[3] ? 3 : 1 + has_roi;
  if (has_roi && crops && count > 1) inner->inputs[1] = reordered(u, inner->inputs[1], first, rank, 2);
  if (sizes < count) inner->inputs[sizes] = reordered(u, inner->inputs[sizes], first, rank, 1);
  return u->err->status;
}

sdx_status rewrite_channels_last(op_upgrade *u, const char *domain, const char *op_type, int version, unsigned moved) {
  node *n = u->node;
  size_t rank = rank_of(u);
  int64_t to_first[MOST_RANK] = {0}, to_last[MOST_RANK] = {0};
  if (rank < 3 || rank > MOST_RANK || !input(u, 0) || n->output_count != 1)
    return upgrade_fail(u, SDX_INVALID_SHAPE, "one tensor of rank 3 to %d with channels last is expected", MOST_RANK);
  for (size_t i = 1; i < rank; i++) {
    to_first[i] = i == 1 ? (int64_t)rank - 1 : (int64_t)i - 1;
    to_last[i] = i + 1 == rank ? 1 : (int64_t)i + 1;
  }
  value_id made = graph_add_value(u->graph, STR(""));
  if (!made) return error_no_memory(u->err, sizeof(graph_value));
  node *inner =
      graph_add_node(u->graph, str_from(domain), str_from(op_type), n->input_count, n->inputs, 1, &made, u->err);
  if (!inner) return u->err->status;
  inner->name = n->name;
  inner->version = version;
  for (uint32_t i = 0; i < n->attr_count; i++) SDX_TRY(node_set_attr(u->graph, inner, n->attrs[i]));
  for (uint32_t i = 0; i < n->input_count; i++)
    if ((moved >> i & 1) && n->inputs[i]) inner->inputs[i] = transpose(u, n->inputs[i], to_first, rank);
  if (str_is(inner->op_type, "Resize") || str_is(inner->op_type, "Upsample"))
    SDX_TRY(move_sizes(u, inner, to_first, to_last, rank));
  SDX_TRY(become1(u, "Transpose", made));
  return upgrade_set_attr(u, n, attr_of_ints("perm", to_last, rank));
}
