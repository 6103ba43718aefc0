// SPDX-License-Identifier: Apache-2.0
// The domain com.ms.internal.nhwc: operators of ai.onnx, in the versions of ai.onnx, on tensors whose channels come
// last. Written by ONNX Runtime for providers that prefer them so. Each becomes the ordinary operator between two
// Transposes, of which passes cancel most; weights keep their layout.
#include "ops/parts/rewrite.h"

enum { MOST_RANK = 8 };

// Ranks are only known from what the file declares.
static size_t rank_of(const op_upgrade *u) {
  const attr *kernel = node_attr(u->node, "kernel_shape");
  value_id at[] = {IN(0), u->node->output_count ? u->node->outputs[0] : VALUE_ABSENT};
  for (size_t i = 0; i < 2; i++) {
    const type_info *t = type_best_known(&u->graph->values[at[i]]);
    if (at[i] && t->kind == TYPE_TENSOR && t->rank >= 0) return (size_t)t->rank;
  }
  return kernel ? kernel->ints.count + 2 : 4;
}

static value_id transposed(op_upgrade *u, value_id x, const int64_t *perm, size_t rank) {
  return NODE_WITH("Transpose", ATTRS(attr_of_ints("perm", perm, rank)), x);
}

// A list with one entry per dimension, or two.
static value_id reordered(op_upgrade *u, value_id list, const int64_t *perm, size_t rank, size_t times) {
  int64_t at[2 * MOST_RANK];
  for (size_t i = 0; i < times * rank; i++) at[i] = perm[i % rank] + (int64_t)(i / rank * rank);
  return list ? NODE("Gather", list, rewrite_constant(u, at, times * rank)) : VALUE_ABSENT;
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
        return upgrade_fail(u, SDX_OUT_OF_RANGE, "attribute 'axes' has %lld, expected [-%zu, %zu)", (long long)at[i],
                            rank, rank);
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

static sdx_status upgrade(op_upgrade *u) {
  node *n = u->node;
  const op_def *op = n->op;
  size_t rank = rank_of(u);
  int64_t to_first[MOST_RANK] = {0}, to_last[MOST_RANK] = {0};
  value_id x = IN(0);
  if (rank < 3 || rank > MOST_RANK || !x || n->output_count != 1)
    return upgrade_fail(u, SDX_INVALID_SHAPE, "one tensor of rank 3 to %d with channels last is expected", MOST_RANK);
  for (size_t i = 1; i < rank; i++) {
    to_first[i] = i == 1 ? (int64_t)rank - 1 : (int64_t)i - 1;
    to_last[i] = i + 1 == rank ? 1 : (int64_t)i + 1;
  }
  value_id made = graph_add_value(u->graph, STR(""));
  if (!made) return error_no_memory(u->err, sizeof(graph_value));
  node *inner = graph_add_node(u->graph, STR(""), str_from(op->name), n->input_count, n->inputs, 1, &made, u->err);
  if (!inner) return u->err->status;
  inner->name = n->name;
  inner->version = u->version;
  for (uint32_t i = 0; i < n->attr_count; i++) SDX_TRY(node_set_attr(u->graph, inner, n->attrs[i]));
  inner->inputs[0] = transposed(u, x, to_first, rank);
  if (str_is(inner->op_type, "Resize") || str_is(inner->op_type, "Upsample"))
    SDX_TRY(move_sizes(u, inner, to_first, to_last, rank));
  return BECOME_WITH("Transpose", ATTRS(attr_of_ints("perm", to_last, rank)), made);
}

// What their attributes and inputs may be is checked as what they become.
// clang-format off
#define RECORD(newest, all)                                                                                    \
  {.since = newest, .versions = all, .inputs = "X:T b:T? c:T? d:T? e:T? f:T? g:T? h:T? i:T?", .outputs = "output:T", .types = "T=any",           \
   .flags = OP_REWRITE | OP_FREE_ATTRS, .upgrade = upgrade}
SDX_OP_NHWC(AveragePool) = RECORD(22, "22 19 11 10 7 1");
SDX_OP_NHWC(BatchNormalization) = RECORD(15, "15 14 9 7 6 1");
SDX_OP_NHWC(Conv) = RECORD(22, "22 11 1");
SDX_OP_NHWC(ConvInteger) = RECORD(10, "10");
SDX_OP_NHWC(ConvTranspose) = RECORD(22, "22 11 1");
SDX_OP_NHWC(DepthToSpace) = RECORD(13, "13 11 1");
SDX_OP_NHWC(GlobalAveragePool) = RECORD(22, "22 1");
SDX_OP_NHWC(GlobalLpPool) = RECORD(22, "22 2 1");
SDX_OP_NHWC(GlobalMaxPool) = RECORD(22, "22 1");
SDX_OP_NHWC(GridSample) = RECORD(22, "22 20 16");
SDX_OP_NHWC(InstanceNormalization) = RECORD(22, "22 6 1");
SDX_OP_NHWC(LRN) = RECORD(13, "13 1");
SDX_OP_NHWC(LpPool) = RECORD(22, "22 18 11 2 1");
SDX_OP_NHWC(MaxPool) = RECORD(22, "22 12 11 10 8 1");
SDX_OP_NHWC(QLinearConv) = RECORD(10, "10");
SDX_OP_NHWC(Resize) = RECORD(19, "19 18 13 11 10");
SDX_OP_NHWC(SpaceToDepth) = RECORD(13, "13 1");
SDX_OP_NHWC(Upsample) = RECORD(10, "10 9 7");
// clang-format on
