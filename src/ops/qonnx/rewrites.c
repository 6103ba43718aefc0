// SPDX-License-Identifier: Apache-2.0
// Operators of qonnx that are others of ai.onnx: with channels last (MaxPoolNHWC and the domain
// qonnx.custom_op.channels_last), sums of windows of integers (QuantAvgPool2d), products of bits (XnorPopcountMatMul),
// and a name for debugging (DebugMarker).
#include "ops/parts/channels_last.h"
#include "ops/parts/rewrite.h"

static sdx_status debug_marker(op_upgrade *u) { return become1(u, "Identity", input(u, 0)); }
static sdx_status max_pool(op_upgrade *u) { return rewrite_channels_last(u, "", "MaxPool", 0, 1); }
// The weights have their channels last, too.
static sdx_status conv(op_upgrade *u) { return rewrite_channels_last(u, "", "Conv", 0, 1 | 2); }
static sdx_status normalization(op_upgrade *u) { return rewrite_channels_last(u, "", "BatchNormalization", 0, 1); }

// Bits of the widest sum of a window that obits leave out are shifted away.
static sdx_status quant_avg_pool(op_upgrade *u) {
  static const int64_t to_first[] = {0, 3, 1, 2}, to_last[] = {0, 2, 3, 1};
  int64_t kernel = node_attr_int(u->node, "kernel", 1), stride = node_attr_int(u->node, "stride", 1),
          in_bits = node_attr_int(u->node, "ibits", 1), out_bits = node_attr_int(u->node, "obits", 1), shift = 0;
  const attr *layout = node_attr(u->node, "data_layout");
  bool last = layout && str_is(layout->s, "NHWC");
  if (layout && !last && !str_is(layout->s, "NCHW"))
    return upgrade_fail_at(u, at_attribute("data_layout"), SDX_INVALID_ARGUMENT, "is '%.*s', expected NCHW or NHWC",
                           STR_ARG(layout->s));
  if (kernel < 1 || kernel > 1 << 10 || stride < 1 || in_bits < 1 || in_bits > 32 || out_bits < 1)
    return upgrade_fail(u, SDX_OUT_OF_RANGE,
                        "kernel is %lld, stride %lld, ibits %lld, obits %lld; expected 1 to 2^10, at least 1, 1 to 32, "
                        "at least 1",
                        (long long)kernel, (long long)stride, (long long)in_bits, (long long)out_bits);
  for (int64_t most = ((1LL << in_bits) - 1) * kernel * kernel; most; most >>= 1) shift++;
  shift = shift > out_bits ? shift - out_bits : 0;
  value_id x = input(u, 0);
  if (last) x = transpose(u, x, to_first, 4);
  const int64_t window[] = {kernel, kernel}, strides[] = {stride, stride};
  x = with_attr(u, insert1(u, "AveragePool", x), attr_of_ints("kernel_shape", window, 2));
  x = with_attr(u, x, attr_of_ints("strides", strides, 2));
  x = insert2(u, "Mul", x, scalar(u, SDX_FLOAT, (double)(kernel * kernel)));
  x = insert1(u, "Round", x);
  x = insert2(u, "Div", x, scalar(u, SDX_FLOAT, (double)(1LL << shift)));
  x = insert1(u, "Floor", x);
  return become1(u, "Identity", last ? transpose(u, x, to_last, 4) : x);
}

// Bits as -1 and 1: the sum of products is what agrees less what does not; both together are all.
static value_id bipolar(op_upgrade *u, value_id bits) {
  value_id twice = insert2(u, "Mul", bits, scalar(u, SDX_FLOAT, 2));
  return insert2(u, "Sub", twice, scalar(u, SDX_FLOAT, 1));
}
static sdx_status xnor_popcount(op_upgrade *u) {
  value_id all = cast(u, dims(u, input(u, 0), -1, INT64_MAX), SDX_FLOAT);
  value_id a = bipolar(u, input(u, 0)), b = bipolar(u, input(u, 1));
  value_id sum = insert2(u, "Add", insert2(u, "MatMul", a, b), all);
  return become2(u, "Mul", sum, scalar(u, SDX_FLOAT, 0.5));
}

SDX_CASES = {"X=float[2,3]", NULL};
static const char *const pool_cases[] = {"X=float[2,7,6,3] kernel_shape=3,2 strides=2,1 pads=1,0,1,0", NULL};
static const char *const average_cases[] = {
    "X=float[1,3,6,6]@0..15 kernel=2 stride=2 ibits=4 obits=4 signed=0",
    "X=float[1,6,6,3]@0..15 kernel=3 stride=1 ibits=4 obits=3 signed=0 data_layout=NHWC", NULL};
static const char *const xnor_cases[] = {"A=float[2,3,4] B=float[4,5]", NULL};
static const char *const conv_cases[] = {
    "X=float[1,7,6,4] W=float[6,3,3,2] B=float[6] group=2 pads=1,1,1,1 kernel_shape=3,3", NULL};
static const char *const normalization_cases[] = {
    "X=float[1,5,4,3] scale=float[3] B=float[3] mean=float[3] var=positive[3]", NULL};

// clang-format off
#define RECORD .since = 1, .versions = "1", .flags = OP_REWRITE
#define POOL "auto_pad:string=NOTSET ceil_mode:int=0 dilations:ints kernel_shape:ints! pads:ints storage_order:int=0 " \
             "strides:ints"
SDX_OP_QONNX(DebugMarker) = {RECORD, .inputs = "X:T", .outputs = "Y:T", .types = "T=any",
                             .attrs = "export_debug_name:string", .upgrade = debug_marker, .cases = cases};
SDX_OP_QONNX(MaxPoolNHWC) = {RECORD, .inputs = "X:T", .outputs = "Y:T", .types = "T=float,double,float16,bfloat16",
                             .attrs = POOL, .upgrade = max_pool, .cases = pool_cases};
SDX_OP_QONNX(QuantAvgPool2d) = {RECORD, .inputs = "X:T", .outputs = "Y:T", .types = "T=float",
                                .attrs = "data_layout:string=NCHW ibits:int! kernel:int! obits:int! signed:int=0 "
                                         "stride:int!", .upgrade = quant_avg_pool, .cases = average_cases};
SDX_OP_QONNX(XnorPopcountMatMul) = {RECORD, .inputs = "A:T B:T", .outputs = "Y:T", .types = "T=float",
                                    .upgrade = xnor_popcount, .cases = xnor_cases};
SDX_OP_QONNX_LAST(Conv) = {RECORD, .inputs = "X:T W:T B:T?", .outputs = "Y:T",
                           .types = "T=float,double,float16,bfloat16",
                           .attrs = "auto_pad:string=NOTSET dilations:ints group:int=1 kernel_shape:ints pads:ints "
                                    "strides:ints", .upgrade = conv, .cases = conv_cases};
SDX_OP_QONNX_LAST(MaxPool) = {.since = 10, .versions = "10 1", .flags = OP_REWRITE, .inputs = "X:T", .outputs = "Y:T",
                              .types = "T=float,double,float16,bfloat16", .attrs = POOL, .upgrade = max_pool,
                              .cases = pool_cases};
SDX_OP_QONNX_LAST(BatchNormalization) = {
    .since = 14, .versions = "14 9 1", .flags = OP_REWRITE, .inputs = "X:T scale:T B:T mean:T var:T", .outputs = "Y:T",
    .types = "T=float,double,float16,bfloat16", .attrs = "epsilon:float=1e-5 momentum:float=0.9",
    .upgrade = normalization, .cases = normalization_cases};
// clang-format on
