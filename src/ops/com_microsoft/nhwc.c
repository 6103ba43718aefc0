// SPDX-License-Identifier: Apache-2.0
// Operators of ai.onnx on tensors whose channels come last: the domain com.ms.internal.nhwc, in the versions of
// ai.onnx, written by ONNX Runtime for providers that prefer them so, and NhwcConv, NhwcFusedConv, NhwcMaxPool and
// QLinearConv with channels_last of com.microsoft. Each becomes the ordinary operator between Transposes, which vanish
// where plans choose channels-last; weights keep their layout.
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

// The node becomes `op_type` of `domain`, of the given version (0: the newest), between Transposes: of the inputs whose
// bits are set in `moved`, and of the output.
static sdx_status between(op_upgrade *u, const char *domain, const char *op_type, int version, unsigned moved) {
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

static sdx_status nhwc_upgrade(op_upgrade *u) { return between(u, "", u->node->op->name, u->version, 1); }
static sdx_status conv_upgrade(op_upgrade *u) { return between(u, "", "Conv", 0, 1); }
static sdx_status pool_upgrade(op_upgrade *u) { return between(u, "", "MaxPool", 0, 1); }
static sdx_status fused_upgrade(op_upgrade *u) { return between(u, "com.microsoft", "FusedConv", 0, 1 | 8); }
static sdx_status qconv_upgrade(op_upgrade *u) {
  const attr *last = node_attr(u->node, "channels_last");
  bool moved = last && last->i;
  node_remove_attr(u->node, "channels_last");
  if (moved) return between(u, "", "QLinearConv", 0, 1);
  u->node->domain = STR("");
  upgrade_rename(u, "QLinearConv");
  return SDX_OK;
}

SDX_CASES = {"X=float[2,7,6,4] W=float[6,2,3,3] B=float[6] group=2 pads=1,1,1,1", NULL};
static const char *const fused_cases[] = {
    "X=float[2,5,5,3] W=float[4,3,3,3] B=float[4] Z=float[2,3,3,4] activation=Relu", NULL};
static const char *const pool_cases[] = {"x=uint8[2,7,6,3] kernel_shape=3,2 strides=2,1", NULL};
static const char *const qconv_cases[] = {
    "x=uint8[1,5,5,2] x_scale=float(0.02) x_zero_point=uint8(128) w=int8[3,2,3,3] w_scale=float(0.01) "
    "w_zero_point=int8(0) y_scale=float(0.1) y_zero_point=uint8(120) B=int32[3] channels_last=1",
    NULL};

// What their attributes and inputs may be is checked as what they become.
// clang-format off
#define RECORD(newest, all)                                                                                    \
  {.since = newest, .versions = all, .inputs = "X:T b:T? c:T? d:T? e:T? f:T? g:T? h:T? i:T?",                  \
   .outputs = "output:T", .types = "T=any",                                                                    \
   .flags = OP_REWRITE | OP_FREE_ATTRS, .upgrade = nhwc_upgrade}
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

#define CONV "auto_pad:string=NOTSET dilations:ints group:int=1 kernel_shape:ints pads:ints strides:ints"
SDX_OP_MS(NhwcConv) = {.since = 1, .versions = "1", .inputs = "X:T W:T B:T?", .outputs = "Y:T",
                       .types = "T=float,double,float16,bfloat16", .attrs = CONV, .flags = OP_REWRITE,
                       .upgrade = conv_upgrade, .cases = cases};
SDX_OP_MS(NhwcFusedConv) = {.since = 1, .versions = "1", .inputs = "X:T W:T B:T? Z:T?", .outputs = "Y:T",
                            .types = "T=float,float16,bfloat16",
                            .attrs = "activation:string activation_params:floats " CONV, .flags = OP_REWRITE,
                            .upgrade = fused_upgrade, .cases = fused_cases};
SDX_OP_MS(NhwcMaxPool) = {.since = 1, .versions = "1", .inputs = "x:T", .outputs = "y:T",
                          .types = "T=int8,uint8,float,float16", .attrs = "auto_pad:string=NOTSET ceil_mode:int=0 "
                          "dilations:ints kernel_shape:ints! pads:ints strides:ints", .flags = OP_REWRITE,
                          .upgrade = pool_upgrade, .cases = pool_cases};
SDX_OP_MS(QLinearConv) = {
    .since = 1, .versions = "1", .inputs = "x:T1 x_scale:float x_zero_point:T1 w:T2 w_scale:float w_zero_point:T2 "
                                           "y_scale:float y_zero_point:T3 B:T4?",
    .outputs = "y:T3", .types = "T1=int8,uint8;T2=int8,uint8;T3=int8,uint8;T4=int32",
    .attrs = CONV " channels_last:int=0", .flags = OP_REWRITE, .upgrade = qconv_upgrade, .cases = qconv_cases};
// clang-format on
