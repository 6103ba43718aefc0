// SPDX-License-Identifier: Apache-2.0
// Operators of ai.onnx on tensors whose channels come last: the domain com.ms.internal.nhwc, in the versions of
// ai.onnx, written by ONNX Runtime for providers that prefer them so, and NhwcConv, NhwcFusedConv, NhwcMaxPool and
// QLinearConv with channels_last of com.microsoft. Each becomes the ordinary operator between Transposes, which vanish
// where plans choose channels-last; weights keep their layout.
#include "ops/parts/channels_last.h"

static sdx_status nhwc_upgrade(op_upgrade *u) { return rewrite_channels_last(u, "", u->node->op->name, u->version, 1); }
static sdx_status conv_upgrade(op_upgrade *u) { return rewrite_channels_last(u, "", "Conv", 0, 1); }
static sdx_status pool_upgrade(op_upgrade *u) { return rewrite_channels_last(u, "", "MaxPool", 0, 1); }
static sdx_status fused_upgrade(op_upgrade *u) {
  return rewrite_channels_last(u, "com.microsoft", "FusedConv", 0, 1 | 8);
}
static sdx_status qconv_upgrade(op_upgrade *u) {
  const attr *last = node_attr(u->node, "channels_last");
  bool moved = last && last->i;
  node_remove_attr(u->node, "channels_last");
  if (moved) return rewrite_channels_last(u, "", "QLinearConv", 0, 1);
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
