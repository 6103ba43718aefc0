// SPDX-License-Identifier: Apache-2.0
// FusedConv: Y = activation(X * W + B + Z), what onnxruntime's optimizer and our own passes make of Conv,
// Add and an activation. The work is done in ops/ai_onnx/conv.c.
#include "ops/parts/activations.h"
#include "ops/parts/conv.h"

static sdx_status fused_conv_read(op_params_context *c, void *params) {
  conv_params *p = params;
  size_t count = 0;
  const float *at = params_floats(c, "activation_params", &count);
  SDX_TRY(activation_read(c, "activation", at, count, &p->activation));
  return conv_read(c, params);
}

SDX_CASES = {"X=float[2,3,7,6] W=float[4,3,3,3] B=float[4] Z=float[2,4,5,4] activation=Relu",
             "X=float[1,4,9] W=float[4,1,3] group=4 activation=Clip activation_params=0,6", NULL};

SDX_OP_MS(FusedConv) = {
    .since = 1,
    .versions = "1",
    .inputs = "X:T W:T B:T? Z:T?",
    .outputs = "Y:T",
    .types = "T=float,float16,bfloat16",
    .attrs =
        "activation:string activation_params:floats auto_pad:string=NOTSET dilations:ints group:int=1 "
        "kernel_shape:ints pads:ints strides:ints",
    .params_size = sizeof(conv_params),
    .params = fused_conv_read,
    .infer = conv_infer,
    .layouts = conv_layouts,
    .prepare = conv_prepare,
    .compute = conv_compute,
    .cases = cases,
};
