// SPDX-License-Identifier: Apache-2.0
// LayerNormalization (17): (x - mean) / sqrt(variance + epsilon) * Scale + B over the axes from `axis` on. ONNX
// Runtime fuses it into files of any opset: hence version 1.
// RMSNormalization (23): x / sqrt(mean of squares + epsilon) * scale. SimplifiedLayerNormalization is its older name in
// files of ONNX Runtime. The work is in ops/parts/layer_normalization.h.
#include "ops/parts/layer_normalization.h"

#include "ops/parts/row.h"

SDX_CASES = {"X=float[2,3,4] Scale=float[4] B=float[4]",
             "X=float[2,3,4] Scale=float[3,4] axis=1",
             "X=float16[2,5] Scale=float16[5] B=float16[5]",
             "X=double[2,3] Scale=double[3]",
             "X=float[2,3,4] Scale=float[1] axis=-2",
             "X=float[0,4] Scale=float[4]",
             NULL};
static const char *const rms_cases[] = {"X=float[2,3,4] scale=float[4]", "X=float16[2,5] scale=float16[5]",
                                        "X=float[2,3,4] scale=float[3,4] axis=1", "X=double[2,3] scale=double[3]",
                                        NULL};
// clang-format off
SDX_OP(LayerNormalization) = {
    .since = 17, .versions = "17 1", .inputs = "X:T Scale:T B:T?", .outputs = "Y:T Mean:U? InvStdDev:U?",
    .types = "T=" TYPES_FLOAT ";U=float,bfloat16,double", .attrs = "axis:int=-1 epsilon:float=1e-5 stash_type:int=1",
    .flags = OP_INPLACE, .params_size = sizeof(layer_normalization_params), .params = layer_normalization_read,
    .infer = layer_normalization_infer,
    .prepare = layer_normalization_prepare, .compute = layer_normalization_compute, .cases = cases};
#define RMS(Since, Versions, Outputs)                                                                            \
  {.since = Since, .versions = Versions, .inputs = "X:T scale:V", .outputs = Outputs,                            \
   .types = "T=" TYPES_FLOAT ";V=" TYPES_FLOAT ";U=float,bfloat16,double",                                       \
   .attrs = "axis:int=-1 epsilon:float=1e-5 stash_type:int=1", .flags = OP_INPLACE,                              \
   .params_size = sizeof(layer_normalization_params), .params = layer_normalization_read_rms,                          \
   .infer = layer_normalization_infer, .prepare = layer_normalization_prepare,                                         \
   .compute = layer_normalization_compute, .cases = rms_cases}
SDX_OP(RMSNormalization) = RMS(23, "23", "Y:V");
SDX_OP(SimplifiedLayerNormalization) = RMS(1, "1", "Y:V inv_std_var:U?");
// clang-format on
