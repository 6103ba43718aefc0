// SPDX-License-Identifier: Apache-2.0
// Core ML's messages of neural networks (proto.h): layers, their parameters, weights. Messages with the same fields
// share a table.
#include "convert/coreml.h"

static const wire_schema nothing = {"LayerParams", 0, 0, NULL, NULL};  // of layers whose parameters nobody reads

PROTO_TYPE(static, edge_sizes, "EdgeSizes", PROTO(1, INT, "startEdgeSize"), PROTO(2, INT, "endEdgeSize"))
PROTO_TYPE(static, border_amounts, "BorderAmounts", PROTO_MESSAGES(10, "borderAmounts", edge_sizes))
PROTO_TYPE(static, valid_padding, "ValidPadding", PROTO_MESSAGE(1, "paddingAmounts", border_amounts))
PROTO_TYPE(static, same_padding, "SamePadding", PROTO(1, INT, "asymmetryMode"))
PROTO_TYPE(static, linear_quantization, "LinearQuantizationParams", PROTO(1, FLOATS, "scale"), PROTO(2, FLOATS, "bias"))
PROTO_TYPE(static, look_up_table_quantization, "LookUpTableQuantizationParams", PROTO(1, FLOATS, "floatValue"))
PROTO_TYPE(static, quantization, "QuantizationParams", PROTO(1, INT, "numberOfBits"),
           PROTO_MESSAGE(101, "linearQuantization", linear_quantization),
           PROTO_MESSAGE(102, "lookupTableQuantization", look_up_table_quantization))
PROTO_TYPE(, coreml_weights_type, "WeightParams", PROTO(1, FLOATS, "floatValue"), PROTO(2, BYTES, "float16Value"),
           PROTO(30, BYTES, "rawValue"), PROTO(31, BYTES, "int8RawValue"),
           PROTO_MESSAGE(40, "quantization", quantization))
PROTO_TYPE(static, convolution, "ConvolutionLayerParams", PROTO(1, INT, "outputChannels"),
           PROTO(2, INT, "kernelChannels"), PROTO(10, INT, "nGroups"), PROTO(20, INTS, "kernelSize"),
           PROTO(30, INTS, "stride"), PROTO(40, INTS, "dilationFactor"), PROTO_MESSAGE(50, "valid", valid_padding),
           PROTO_MESSAGE(51, "same", same_padding), PROTO(60, INT, "isDeconvolution"), PROTO(70, INT, "hasBias"),
           PROTO_MESSAGE(90, "weights", coreml_weights_type), PROTO_MESSAGE(91, "bias", coreml_weights_type),
           PROTO(100, INTS, "outputShape"))
PROTO_TYPE(static, valid_complete_padding, "ValidCompletePadding", PROTO(10, INTS, "paddingAmounts"))
PROTO_TYPE(static, pooling, "PoolingLayerParams", PROTO(1, INT, "type"), PROTO(10, INTS, "kernelSize"),
           PROTO(20, INTS, "stride"), PROTO_MESSAGE(30, "valid", valid_padding),
           PROTO_MESSAGE(31, "same", same_padding), PROTO_MESSAGE(32, "includeLastPixel", valid_complete_padding),
           PROTO(50, INT, "avgPoolExcludePadding"), PROTO(60, INT, "globalPooling"))
PROTO_TYPE(static, activation_linear, "ActivationLinear", PROTO(1, FLOAT, "alpha"), PROTO(2, FLOAT, "beta"))
PROTO_TYPE(static, activation_leaky_re_lu, "ActivationLeakyReLU", PROTO(1, FLOAT, "alpha"))
PROTO_TYPE(static, activation_pre_lu, "ActivationPReLU", PROTO_MESSAGE(1, "alpha", coreml_weights_type))
PROTO_TYPE(static, activation_parametric_softplus, "ActivationParametricSoftplus",
           PROTO_MESSAGE(1, "alpha", coreml_weights_type), PROTO_MESSAGE(2, "beta", coreml_weights_type))
PROTO_TYPE(, coreml_activation_type, "ActivationParams", PROTO_MESSAGE(5, "linear", activation_linear),
           PROTO_MESSAGE(10, "ReLU", nothing), PROTO_MESSAGE(15, "leakyReLU", activation_leaky_re_lu),
           PROTO_MESSAGE(20, "thresholdedReLU", activation_leaky_re_lu), PROTO_MESSAGE(25, "PReLU", activation_pre_lu),
           PROTO_MESSAGE(30, "tanh", nothing), PROTO_MESSAGE(31, "scaledTanh", activation_linear),
           PROTO_MESSAGE(40, "sigmoid", nothing), PROTO_MESSAGE(41, "sigmoidHard", activation_linear),
           PROTO_MESSAGE(50, "ELU", activation_leaky_re_lu), PROTO_MESSAGE(60, "softsign", nothing),
           PROTO_MESSAGE(70, "softplus", nothing),
           PROTO_MESSAGE(71, "parametricSoftplus", activation_parametric_softplus))
PROTO_TYPE(static, inner_product, "InnerProductLayerParams", PROTO(1, INT, "inputChannels"),
           PROTO(2, INT, "outputChannels"), PROTO(10, INT, "hasBias"),
           PROTO_MESSAGE(20, "weights", coreml_weights_type), PROTO_MESSAGE(21, "bias", coreml_weights_type))
PROTO_TYPE(static, embedding, "EmbeddingLayerParams", PROTO(1, INT, "inputDim"), PROTO(2, INT, "outputChannels"),
           PROTO(10, INT, "hasBias"), PROTO_MESSAGE(20, "weights", coreml_weights_type),
           PROTO_MESSAGE(21, "bias", coreml_weights_type))
PROTO_TYPE(static, batchnorm, "BatchnormLayerParams", PROTO(1, INT, "channels"), PROTO(5, INT, "computeMeanVar"),
           PROTO(6, INT, "instanceNormalization"), PROTO(10, FLOAT, "epsilon"),
           PROTO_MESSAGE(15, "gamma", coreml_weights_type), PROTO_MESSAGE(16, "beta", coreml_weights_type),
           PROTO_MESSAGE(17, "mean", coreml_weights_type), PROTO_MESSAGE(18, "variance", coreml_weights_type))
PROTO_TYPE(static, mean_variance_normalize, "MeanVarianceNormalizeLayerParams", PROTO(1, INT, "acrossChannels"),
           PROTO(2, INT, "normalizeVariance"), PROTO(3, FLOAT, "epsilon"))
PROTO_TYPE(static, l2normalize, "L2NormalizeLayerParams", PROTO(1, FLOAT, "epsilon"))
PROTO_TYPE(static, lrn, "LRNLayerParams", PROTO(1, FLOAT, "alpha"), PROTO(2, FLOAT, "beta"), PROTO(3, INT, "localSize"),
           PROTO(4, FLOAT, "k"))
PROTO_TYPE(static, crop, "CropLayerParams", PROTO_MESSAGE(1, "cropAmounts", border_amounts), PROTO(5, INTS, "offset"))
PROTO_TYPE(static, padding_constant, "PaddingConstant", PROTO(1, FLOAT, "value"))
PROTO_TYPE(static, padding, "PaddingLayerParams", PROTO_MESSAGE(1, "constant", padding_constant),
           PROTO_MESSAGE(2, "reflection", nothing), PROTO_MESSAGE(3, "replication", nothing),
           PROTO_MESSAGE(10, "paddingAmounts", border_amounts))
PROTO_TYPE(static, upsample, "UpsampleLayerParams", PROTO(1, INTS, "scalingFactor"),
           PROTO(7, FLOATS, "fractionalScalingFactor"), PROTO(5, INT, "mode"), PROTO(6, INT, "linearUpsampleMode"))
PROTO_TYPE(static, sampling_mode, "SamplingMode", PROTO(1, INT, "samplingMethod"))
PROTO_TYPE(static, resize_bilinear, "ResizeBilinearLayerParams", PROTO(1, INTS, "targetSize"),
           PROTO_MESSAGE(2, "mode", sampling_mode))
PROTO_TYPE(static, unary_function, "UnaryFunctionLayerParams", PROTO(1, INT, "type"), PROTO(2, FLOAT, "alpha"),
           PROTO(3, FLOAT, "epsilon"), PROTO(4, FLOAT, "shift"), PROTO(5, FLOAT, "scale"))
PROTO_TYPE(static, scale, "ScaleLayerParams", PROTO(1, INTS, "shapeScale"),
           PROTO_MESSAGE(2, "scale", coreml_weights_type), PROTO(3, INT, "hasBias"), PROTO(4, INTS, "shapeBias"),
           PROTO_MESSAGE(5, "bias", coreml_weights_type))
PROTO_TYPE(static, bias, "BiasLayerParams", PROTO(1, INTS, "shape"), PROTO_MESSAGE(2, "bias", coreml_weights_type))
PROTO_TYPE(static, dot_product, "DotProductLayerParams", PROTO(1, INT, "cosineSimilarity"))
PROTO_TYPE(static, reduce, "ReduceLayerParams", PROTO(1, INT, "mode"), PROTO(2, FLOAT, "epsilon"),
           PROTO(3, INT, "axis"))
PROTO_TYPE(static, load_constant, "LoadConstantLayerParams", PROTO(1, INTS, "shape"),
           PROTO_MESSAGE(2, "data", coreml_weights_type))
PROTO_TYPE(static, reshape, "ReshapeLayerParams", PROTO(1, INTS, "targetShape"), PROTO(2, INT, "mode"))
PROTO_TYPE(static, flatten, "FlattenLayerParams", PROTO(1, INT, "mode"))
PROTO_TYPE(static, permute, "PermuteLayerParams", PROTO(1, INTS, "axis"))
PROTO_TYPE(static, concat, "ConcatLayerParams", PROTO(100, INT, "sequenceConcat"))
PROTO_TYPE(static, sequence_repeat, "SequenceRepeatLayerParams", PROTO(1, INT, "nRepetitions"))
PROTO_TYPE(static, reorganize_data, "ReorganizeDataLayerParams", PROTO(1, INT, "mode"), PROTO(2, INT, "blockSize"))
PROTO_TYPE(static, slice, "SliceLayerParams", PROTO(1, INT, "startIndex"), PROTO(2, INT, "endIndex"),
           PROTO(3, INT, "stride"), PROTO(4, INT, "axis"))
PROTO_TYPE(static, simple_recurrent, "SimpleRecurrentLayerParams", PROTO(1, INT, "inputVectorSize"),
           PROTO(2, INT, "outputVectorSize"), PROTO_MESSAGE(10, "activation", coreml_activation_type),
           PROTO(15, INT, "sequenceOutput"), PROTO(20, INT, "hasBiasVector"),
           PROTO_MESSAGE(30, "weightMatrix", coreml_weights_type),
           PROTO_MESSAGE(31, "recursionMatrix", coreml_weights_type),
           PROTO_MESSAGE(32, "biasVector", coreml_weights_type), PROTO(100, INT, "reverseInput"))
PROTO_TYPE(static, gru, "GRULayerParams", PROTO(1, INT, "inputVectorSize"), PROTO(2, INT, "outputVectorSize"),
           PROTO_MESSAGES(10, "activations", coreml_activation_type), PROTO(15, INT, "sequenceOutput"),
           PROTO(20, INT, "hasBiasVectors"), PROTO_MESSAGE(30, "updateGateWeightMatrix", coreml_weights_type),
           PROTO_MESSAGE(31, "resetGateWeightMatrix", coreml_weights_type),
           PROTO_MESSAGE(32, "outputGateWeightMatrix", coreml_weights_type),
           PROTO_MESSAGE(50, "updateGateRecursionMatrix", coreml_weights_type),
           PROTO_MESSAGE(51, "resetGateRecursionMatrix", coreml_weights_type),
           PROTO_MESSAGE(52, "outputGateRecursionMatrix", coreml_weights_type),
           PROTO_MESSAGE(70, "updateGateBiasVector", coreml_weights_type),
           PROTO_MESSAGE(71, "resetGateBiasVector", coreml_weights_type),
           PROTO_MESSAGE(72, "outputGateBiasVector", coreml_weights_type), PROTO(100, INT, "reverseInput"))
PROTO_TYPE(static, lstm, "LSTMParams", PROTO(10, INT, "sequenceOutput"), PROTO(20, INT, "hasBiasVectors"),
           PROTO(30, INT, "forgetBias"), PROTO(40, INT, "hasPeepholeVectors"),
           PROTO(50, INT, "coupledInputAndForgetGate"), PROTO(60, FLOAT, "cellClipThreshold"))
PROTO_TYPE(static, lstmweight, "LSTMWeightParams", PROTO_MESSAGE(1, "inputGateWeightMatrix", coreml_weights_type),
           PROTO_MESSAGE(2, "forgetGateWeightMatrix", coreml_weights_type),
           PROTO_MESSAGE(3, "blockInputWeightMatrix", coreml_weights_type),
           PROTO_MESSAGE(4, "outputGateWeightMatrix", coreml_weights_type),
           PROTO_MESSAGE(20, "inputGateRecursionMatrix", coreml_weights_type),
           PROTO_MESSAGE(21, "forgetGateRecursionMatrix", coreml_weights_type),
           PROTO_MESSAGE(22, "blockInputRecursionMatrix", coreml_weights_type),
           PROTO_MESSAGE(23, "outputGateRecursionMatrix", coreml_weights_type),
           PROTO_MESSAGE(40, "inputGateBiasVector", coreml_weights_type),
           PROTO_MESSAGE(41, "forgetGateBiasVector", coreml_weights_type),
           PROTO_MESSAGE(42, "blockInputBiasVector", coreml_weights_type),
           PROTO_MESSAGE(43, "outputGateBiasVector", coreml_weights_type),
           PROTO_MESSAGE(60, "inputGatePeepholeVector", coreml_weights_type),
           PROTO_MESSAGE(61, "forgetGatePeepholeVector", coreml_weights_type),
           PROTO_MESSAGE(62, "outputGatePeepholeVector", coreml_weights_type))
PROTO_TYPE(static, uni_directional_lstm, "UniDirectionalLSTMLayerParams", PROTO(1, INT, "inputVectorSize"),
           PROTO(2, INT, "outputVectorSize"), PROTO_MESSAGES(10, "activations", coreml_activation_type),
           PROTO_MESSAGE(15, "params", lstm), PROTO_MESSAGE(20, "weightParams", lstmweight),
           PROTO(100, INT, "reverseInput"))
PROTO_TYPE(static, bi_directional_lstm, "BiDirectionalLSTMLayerParams", PROTO(1, INT, "inputVectorSize"),
           PROTO(2, INT, "outputVectorSize"), PROTO_MESSAGES(10, "activationsForwardLSTM", coreml_activation_type),
           PROTO_MESSAGES(11, "activationsBackwardLSTM", coreml_activation_type), PROTO_MESSAGE(15, "params", lstm),
           PROTO_MESSAGES(20, "weightParams", lstmweight))
PROTO_TYPE(static, clip, "ClipLayerParams", PROTO(1, FLOAT, "minVal"), PROTO(2, FLOAT, "maxVal"))
PROTO_TYPE(static, less_than, "LessThanLayerParams", PROTO(2, FLOAT, "alpha"))
PROTO_TYPE(static, tile, "TileLayerParams", PROTO(1, INTS, "reps"))
PROTO_TYPE(static, stack, "StackLayerParams", PROTO(1, INT, "axis"))
PROTO_TYPE(static, reverse, "ReverseLayerParams", PROTO(1, INTS, "reverseDim"))
PROTO_TYPE(static, split_nd, "SplitNDLayerParams", PROTO(1, INT, "axis"), PROTO(3, INTS, "splitSizes"))
PROTO_TYPE(static, concat_nd, "ConcatNDLayerParams", PROTO(1, INT, "axis"), PROTO(2, INT, "interleave"))
PROTO_TYPE(static, transpose, "TransposeLayerParams", PROTO(1, INTS, "axes"))
PROTO_TYPE(static, slice_static, "SliceStaticLayerParams", PROTO(1, INTS, "beginIds"), PROTO(2, INTS, "beginMasks"),
           PROTO(3, INTS, "endIds"), PROTO(4, INTS, "endMasks"), PROTO(5, INTS, "strides"),
           PROTO(6, INTS, "squeezeMasks"))
PROTO_TYPE(static, top_k, "TopKLayerParams", PROTO(1, INT, "axis"), PROTO(2, INT, "K"), PROTO(3, INT, "useBottomK"))
PROTO_TYPE(static, arg_min, "ArgMinLayerParams", PROTO(1, INT, "axis"), PROTO(2, INT, "removeDim"))
PROTO_TYPE(static, embedding_nd, "EmbeddingNDLayerParams", PROTO(1, INT, "vocabSize"), PROTO(2, INT, "embeddingSize"),
           PROTO(3, INT, "hasBias"), PROTO_MESSAGE(20, "weights", coreml_weights_type),
           PROTO_MESSAGE(21, "bias", coreml_weights_type))
PROTO_TYPE(static, batched_mat_mul, "BatchedMatMulLayerParams", PROTO(1, INT, "transposeA"),
           PROTO(2, INT, "transposeB"), PROTO(5, INT, "weightMatrixFirstDimension"),
           PROTO(6, INT, "weightMatrixSecondDimension"), PROTO(7, INT, "hasBias"),
           PROTO_MESSAGE(8, "weights", coreml_weights_type), PROTO_MESSAGE(9, "bias", coreml_weights_type))
PROTO_TYPE(static, fill_static, "FillStaticLayerParams", PROTO(1, FLOAT, "value"), PROTO(2, INTS, "targetShape"))
PROTO_TYPE(static, broadcast_to_static, "BroadcastToStaticLayerParams", PROTO(1, INTS, "targetShape"))
PROTO_TYPE(static, squeeze, "SqueezeLayerParams", PROTO(1, INTS, "axes"), PROTO(2, INT, "squeezeAll"))
PROTO_TYPE(static, constant_padding, "ConstantPaddingLayerParams", PROTO(1, FLOAT, "value"),
           PROTO(2, INTS, "padAmounts"), PROTO(3, INT, "padToGivenOutputSizeMode"))
PROTO_TYPE(static, reduce_l1, "ReduceL1LayerParams", PROTO(1, INTS, "axes"), PROTO(2, INT, "keepDims"),
           PROTO(3, INT, "reduceAll"))
PROTO_TYPE(static, lower_triangular, "LowerTriangularLayerParams", PROTO(1, INT, "k"))
PROTO_TYPE(static, layer_normalization, "LayerNormalizationLayerParams", PROTO(1, INTS, "normalizedShape"),
           PROTO(2, FLOAT, "eps"), PROTO_MESSAGE(3, "gamma", coreml_weights_type),
           PROTO_MESSAGE(4, "beta", coreml_weights_type))
PROTO_TYPE(static, one_hot, "OneHotLayerParams", PROTO(1, INT, "oneHotVectorSize"), PROTO(2, INT, "axis"),
           PROTO(3, FLOAT, "onValue"), PROTO(4, FLOAT, "offValue"))
PROTO_TYPE(static, cum_sum, "CumSumLayerParams", PROTO(1, INT, "axis"), PROTO(2, INT, "excludeFinalSum"),
           PROTO(3, INT, "reverse"))
PROTO_TYPE(static, arg_sort, "ArgSortLayerParams", PROTO(1, INT, "axis"), PROTO(2, INT, "descending"))
PROTO_TYPE(static, pooling3d, "Pooling3DLayerParams", PROTO(1, INT, "type"), PROTO(2, INT, "kernelDepth"),
           PROTO(3, INT, "kernelHeight"), PROTO(4, INT, "kernelWidth"), PROTO(5, INT, "strideDepth"),
           PROTO(6, INT, "strideHeight"), PROTO(7, INT, "strideWidth"), PROTO(15, INT, "paddingType"),
           PROTO(8, INT, "customPaddingFront"), PROTO(9, INT, "customPaddingBack"), PROTO(10, INT, "customPaddingTop"),
           PROTO(11, INT, "customPaddingBottom"), PROTO(12, INT, "customPaddingLeft"),
           PROTO(13, INT, "customPaddingRight"), PROTO(14, INT, "countExcludePadding"))
PROTO_TYPE(static, global_pooling3d, "GlobalPooling3DLayerParams", PROTO(1, INT, "type"))
PROTO_TYPE(static, slice_by_size, "SliceBySizeLayerParams", PROTO(2, INT, "size"), PROTO(3, INT, "axis"))
PROTO_TYPE(static, convolution3d, "Convolution3DLayerParams", PROTO(1, INT, "outputChannels"),
           PROTO(2, INT, "inputChannels"), PROTO(10, INT, "nGroups"), PROTO(20, INT, "kernelDepth"),
           PROTO(21, INT, "kernelHeight"), PROTO(22, INT, "kernelWidth"), PROTO(31, INT, "strideDepth"),
           PROTO(32, INT, "strideHeight"), PROTO(33, INT, "strideWidth"), PROTO(40, INT, "dilationDepth"),
           PROTO(41, INT, "dilationHeight"), PROTO(42, INT, "dilationWidth"), PROTO(50, INT, "hasBias"),
           PROTO_MESSAGE(60, "weights", coreml_weights_type), PROTO_MESSAGE(61, "bias", coreml_weights_type),
           PROTO(70, INT, "paddingType"), PROTO(80, INT, "customPaddingFront"), PROTO(81, INT, "customPaddingBack"),
           PROTO(82, INT, "customPaddingTop"), PROTO(83, INT, "customPaddingBottom"),
           PROTO(84, INT, "customPaddingLeft"), PROTO(85, INT, "customPaddingRight"), PROTO(86, INT, "isDeconvolution"),
           PROTO(87, INTS, "outputShape"))
PROTO_TYPE(
    , coreml_layer_type, "NeuralNetworkLayer", PROTO(1, BYTES, "name"), PROTO(2, BYTES_LIST, "input"),
    PROTO(3, BYTES_LIST, "output"), PROTO_MESSAGE(100, "convolution", convolution),
    PROTO_MESSAGE(120, "pooling", pooling), PROTO_MESSAGE(130, "activation", coreml_activation_type),
    PROTO_MESSAGE(140, "innerProduct", inner_product), PROTO_MESSAGE(150, "embedding", embedding),
    PROTO_MESSAGE(160, "batchnorm", batchnorm), PROTO_MESSAGE(165, "mvn", mean_variance_normalize),
    PROTO_MESSAGE(170, "l2normalize", l2normalize), PROTO_MESSAGE(175, "softmax", nothing),
    PROTO_MESSAGE(180, "lrn", lrn), PROTO_MESSAGE(190, "crop", crop), PROTO_MESSAGE(200, "padding", padding),
    PROTO_MESSAGE(210, "upsample", upsample), PROTO_MESSAGE(211, "resizeBilinear", resize_bilinear),
    PROTO_MESSAGE(212, "cropResize", nothing), PROTO_MESSAGE(220, "unary", unary_function),
    PROTO_MESSAGE(230, "add", activation_leaky_re_lu), PROTO_MESSAGE(231, "multiply", activation_leaky_re_lu),
    PROTO_MESSAGE(240, "average", nothing), PROTO_MESSAGE(245, "scale", scale), PROTO_MESSAGE(250, "bias", bias),
    PROTO_MESSAGE(260, "max", nothing), PROTO_MESSAGE(261, "min", nothing), PROTO_MESSAGE(270, "dot", dot_product),
    PROTO_MESSAGE(280, "reduce", reduce), PROTO_MESSAGE(290, "loadConstant", load_constant),
    PROTO_MESSAGE(300, "reshape", reshape), PROTO_MESSAGE(301, "flatten", flatten),
    PROTO_MESSAGE(310, "permute", permute), PROTO_MESSAGE(320, "concat", concat), PROTO_MESSAGE(330, "split", nothing),
    PROTO_MESSAGE(340, "sequenceRepeat", sequence_repeat), PROTO_MESSAGE(345, "reorganizeData", reorganize_data),
    PROTO_MESSAGE(350, "slice", slice), PROTO_MESSAGE(400, "simpleRecurrent", simple_recurrent),
    PROTO_MESSAGE(410, "gru", gru), PROTO_MESSAGE(420, "uniDirectionalLSTM", uni_directional_lstm),
    PROTO_MESSAGE(430, "biDirectionalLSTM", bi_directional_lstm), PROTO_MESSAGE(500, "custom", nothing),
    PROTO_MESSAGE(600, "copy", nothing), PROTO_MESSAGE(605, "branch", nothing), PROTO_MESSAGE(615, "loop", nothing),
    PROTO_MESSAGE(620, "loopBreak", nothing), PROTO_MESSAGE(625, "loopContinue", nothing),
    PROTO_MESSAGE(635, "rangeStatic", nothing), PROTO_MESSAGE(640, "rangeDynamic", nothing),
    PROTO_MESSAGE(660, "clip", clip), PROTO_MESSAGE(665, "ceil", nothing), PROTO_MESSAGE(670, "floor", nothing),
    PROTO_MESSAGE(680, "sign", nothing), PROTO_MESSAGE(685, "round", nothing), PROTO_MESSAGE(700, "exp2", nothing),
    PROTO_MESSAGE(710, "sin", nothing), PROTO_MESSAGE(715, "cos", nothing), PROTO_MESSAGE(720, "tan", nothing),
    PROTO_MESSAGE(730, "asin", nothing), PROTO_MESSAGE(735, "acos", nothing), PROTO_MESSAGE(740, "atan", nothing),
    PROTO_MESSAGE(750, "sinh", nothing), PROTO_MESSAGE(755, "cosh", nothing), PROTO_MESSAGE(760, "tanh", nothing),
    PROTO_MESSAGE(770, "asinh", nothing), PROTO_MESSAGE(775, "acosh", nothing), PROTO_MESSAGE(780, "atanh", nothing),
    PROTO_MESSAGE(790, "erf", nothing), PROTO_MESSAGE(795, "gelu", flatten),
    PROTO_MESSAGE(815, "equal", activation_leaky_re_lu), PROTO_MESSAGE(820, "notEqual", activation_leaky_re_lu),
    PROTO_MESSAGE(825, "lessThan", less_than), PROTO_MESSAGE(827, "lessEqual", less_than),
    PROTO_MESSAGE(830, "greaterThan", less_than), PROTO_MESSAGE(832, "greaterEqual", less_than),
    PROTO_MESSAGE(840, "logicalOr", nothing), PROTO_MESSAGE(845, "logicalXor", nothing),
    PROTO_MESSAGE(850, "logicalNot", nothing), PROTO_MESSAGE(855, "logicalAnd", nothing),
    PROTO_MESSAGE(865, "modBroadcastable", nothing), PROTO_MESSAGE(870, "minBroadcastable", nothing),
    PROTO_MESSAGE(875, "maxBroadcastable", nothing), PROTO_MESSAGE(880, "addBroadcastable", nothing),
    PROTO_MESSAGE(885, "powBroadcastable", nothing), PROTO_MESSAGE(890, "divideBroadcastable", nothing),
    PROTO_MESSAGE(895, "floorDivBroadcastable", nothing), PROTO_MESSAGE(900, "multiplyBroadcastable", nothing),
    PROTO_MESSAGE(905, "subtractBroadcastable", nothing), PROTO_MESSAGE(920, "tile", tile),
    PROTO_MESSAGE(925, "stack", stack), PROTO_MESSAGE(930, "gather", stack), PROTO_MESSAGE(935, "scatter", nothing),
    PROTO_MESSAGE(940, "gatherND", nothing), PROTO_MESSAGE(945, "scatterND", nothing),
    PROTO_MESSAGE(950, "softmaxND", stack), PROTO_MESSAGE(952, "gatherAlongAxis", stack),
    PROTO_MESSAGE(954, "scatterAlongAxis", nothing), PROTO_MESSAGE(960, "reverse", reverse),
    PROTO_MESSAGE(965, "reverseSeq", nothing), PROTO_MESSAGE(975, "splitND", split_nd),
    PROTO_MESSAGE(980, "concatND", concat_nd), PROTO_MESSAGE(985, "transpose", transpose),
    PROTO_MESSAGE(995, "sliceStatic", slice_static), PROTO_MESSAGE(1000, "sliceDynamic", nothing),
    PROTO_MESSAGE(1005, "slidingWindows", nothing), PROTO_MESSAGE(1015, "topK", top_k),
    PROTO_MESSAGE(1020, "argMin", arg_min), PROTO_MESSAGE(1025, "argMax", arg_min),
    PROTO_MESSAGE(1040, "embeddingND", embedding_nd), PROTO_MESSAGE(1045, "batchedMatmul", batched_mat_mul),
    PROTO_MESSAGE(1065, "getShape", nothing), PROTO_MESSAGE(1070, "loadConstantND", load_constant),
    PROTO_MESSAGE(1080, "fillLike", padding_constant), PROTO_MESSAGE(1085, "fillStatic", fill_static),
    PROTO_MESSAGE(1090, "fillDynamic", nothing), PROTO_MESSAGE(1100, "broadcastToLike", nothing),
    PROTO_MESSAGE(1105, "broadcastToStatic", broadcast_to_static), PROTO_MESSAGE(1110, "broadcastToDynamic", nothing),
    PROTO_MESSAGE(1120, "squeeze", squeeze), PROTO_MESSAGE(1125, "expandDims", transpose),
    PROTO_MESSAGE(1130, "flattenTo2D", stack), PROTO_MESSAGE(1135, "reshapeLike", nothing),
    PROTO_MESSAGE(1140, "reshapeStatic", broadcast_to_static), PROTO_MESSAGE(1145, "reshapeDynamic", nothing),
    PROTO_MESSAGE(1150, "rankPreservingReshape", broadcast_to_static),
    PROTO_MESSAGE(1155, "constantPad", constant_padding), PROTO_MESSAGE(1170, "randomNormalLike", nothing),
    PROTO_MESSAGE(1175, "randomNormalStatic", nothing), PROTO_MESSAGE(1180, "randomNormalDynamic", nothing),
    PROTO_MESSAGE(1190, "randomUniformLike", nothing), PROTO_MESSAGE(1195, "randomUniformStatic", nothing),
    PROTO_MESSAGE(1200, "randomUniformDynamic", nothing), PROTO_MESSAGE(1210, "randomBernoulliLike", nothing),
    PROTO_MESSAGE(1215, "randomBernoulliStatic", nothing), PROTO_MESSAGE(1220, "randomBernoulliDynamic", nothing),
    PROTO_MESSAGE(1230, "categoricalDistribution", nothing), PROTO_MESSAGE(1250, "reduceL1", reduce_l1),
    PROTO_MESSAGE(1255, "reduceL2", reduce_l1), PROTO_MESSAGE(1260, "reduceMax", reduce_l1),
    PROTO_MESSAGE(1265, "reduceMin", reduce_l1), PROTO_MESSAGE(1270, "reduceSum", reduce_l1),
    PROTO_MESSAGE(1275, "reduceProd", reduce_l1), PROTO_MESSAGE(1280, "reduceMean", reduce_l1),
    PROTO_MESSAGE(1285, "reduceLogSum", reduce_l1), PROTO_MESSAGE(1290, "reduceSumSquare", reduce_l1),
    PROTO_MESSAGE(1295, "reduceLogSumExp", reduce_l1), PROTO_MESSAGE(1313, "whereNonZero", nothing),
    PROTO_MESSAGE(1315, "matrixBandPart", nothing), PROTO_MESSAGE(1320, "lowerTriangular", lower_triangular),
    PROTO_MESSAGE(1325, "upperTriangular", lower_triangular), PROTO_MESSAGE(1330, "whereBroadcastable", nothing),
    PROTO_MESSAGE(1350, "layerNormalization", layer_normalization),
    PROTO_MESSAGE(1400, "NonMaximumSuppression", nothing), PROTO_MESSAGE(1450, "oneHot", one_hot),
    PROTO_MESSAGE(1455, "cumSum", cum_sum), PROTO_MESSAGE(1460, "clampedReLU", activation_linear),
    PROTO_MESSAGE(1461, "argSort", arg_sort), PROTO_MESSAGE(1465, "pooling3d", pooling3d),
    PROTO_MESSAGE(1466, "globalPooling3d", global_pooling3d), PROTO_MESSAGE(1470, "sliceBySize", slice_by_size),
    PROTO_MESSAGE(1471, "convolution3d", convolution3d))
