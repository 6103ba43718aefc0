// SPDX-License-Identifier: Apache-2.0
// Conv: Y[n][m][o] = sum over channels c of m's group and taps t of X[n][c][o * stride + t * dilation - pad]
// * W[m][c][t], plus B[m]. The work is in ops/parts/conv.h, which FusedConv shares.
//
// History: 1 and 11 differ in wording only; 22 adds bfloat16.
#include "ops/parts/conv.h"

SDX_CASES = {"X=float[2,3,7,6] W=float[4,3,3,3] B=float[4] pads=1,1,1,1",
             "X=float[1,4,9] W=float[6,2,3] group=2 strides=2 dilations=2",
             "X=float[1,3,5,5,5] W=float[3,1,2,2,2] group=3 auto_pad=SAME_LOWER", "X=double[1,2,4,4] W=double[1,2,4,4]",
             NULL};

SDX_OP(Conv) = {
    .since = 22,
    .versions = "22 11 1",
    .inputs = "X:T W:T B:T?",
    .outputs = "Y:T",
    .types = "T=float,double,float16,bfloat16",
    .attrs = "auto_pad:string=NOTSET dilations:ints group:int=1 kernel_shape:ints pads:ints strides:ints",
    .params_size = sizeof(conv_params),
    .params = conv_read,
    .infer = conv_infer,
    .layouts = conv_layouts,
    .prepare = conv_prepare,
    .compute = conv_compute,
    .cases = cases,
};
