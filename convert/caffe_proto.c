// SPDX-License-Identifier: Apache-2.0
// Caffe's messages (proto.h): nets, layers of the versions 0, 1 and 2, blobs. Layers of well-known forks follow those
// of Caffe; their numbers are those of the fork, or where forks differ none that a file has: they are read as text
// only.
#include "convert/caffe.h"

PROTO_TYPE(static, shape, "BlobShape", PROTO(1, INTS, "dim"))
PROTO_TYPE(, caffe_blob_type, "BlobProto", PROTO_MESSAGE(7, "shape", shape), PROTO(5, FLOATS, "data"),
           PROTO(8, DOUBLES, "double_data"), PROTO(1, INT, "num"), PROTO(2, INT, "channels"), PROTO(3, INT, "height"),
           PROTO(4, INT, "width"))
PROTO_TYPE(static, rule, "NetStateRule", PROTO_WORDS(1, "phase", "TRAIN TEST"))

// ---- parameters -------------------------------------------------------------------------------------

PROTO_TYPE(static, arg_max, "ArgMaxParameter", PROTO(1, INT, "out_max_val"), PROTO(2, INT, "top_k"),
           PROTO(3, INT, "axis"))
PROTO_TYPE(static, batch_norm, "BatchNormParameter", PROTO(3, FLOAT, "eps"))
PROTO_TYPE(static, bias, "BiasParameter", PROTO(1, INT, "axis"), PROTO(2, INT, "num_axes"))
PROTO_TYPE(static, concat, "ConcatParameter", PROTO(2, INT, "axis"), PROTO(1, INT, "concat_dim"))
PROTO_TYPE(static, convolution, "ConvolutionParameter", PROTO(1, INT, "num_output"), PROTO(2, INT, "bias_term"),
           PROTO(3, INTS, "pad"), PROTO(4, INTS, "kernel_size"), PROTO(6, INTS, "stride"), PROTO(18, INTS, "dilation"),
           PROTO(9, INT, "pad_h"), PROTO(10, INT, "pad_w"), PROTO(11, INT, "kernel_h"), PROTO(12, INT, "kernel_w"),
           PROTO(13, INT, "stride_h"), PROTO(14, INT, "stride_w"), PROTO(5, INT, "group"), PROTO(16, INT, "axis"))
PROTO_TYPE(static, crop, "CropParameter", PROTO(1, INT, "axis"), PROTO(2, INTS, "offset"))
PROTO_TYPE(static, eltwise, "EltwiseParameter", PROTO_WORDS(1, "operation", "PROD SUM MAX"), PROTO(2, FLOATS, "coeff"))
PROTO_TYPE(static, elu, "ELUParameter", PROTO(1, FLOAT, "alpha"))
PROTO_TYPE(static, embed, "EmbedParameter", PROTO(1, INT, "num_output"), PROTO(2, INT, "input_dim"),
           PROTO(3, INT, "bias_term"))
PROTO_TYPE(static, exp, "ExpParameter", PROTO(1, FLOAT, "base"), PROTO(2, FLOAT, "scale"), PROTO(3, FLOAT, "shift"))
PROTO_TYPE(static, flatten, "FlattenParameter", PROTO(1, INT, "axis"), PROTO(2, INT, "end_axis"))
PROTO_TYPE(static, inner_product, "InnerProductParameter", PROTO(1, INT, "num_output"), PROTO(2, INT, "bias_term"),
           PROTO(5, INT, "axis"), PROTO(6, INT, "transpose"))
PROTO_TYPE(static, input, "InputParameter", PROTO_MESSAGES(1, "shape", shape))
PROTO_TYPE(static, log, "LogParameter", PROTO(1, FLOAT, "base"), PROTO(2, FLOAT, "scale"), PROTO(3, FLOAT, "shift"))
PROTO_TYPE(static, lrn, "LRNParameter", PROTO(1, INT, "local_size"), PROTO(2, FLOAT, "alpha"), PROTO(3, FLOAT, "beta"),
           PROTO_WORDS(4, "norm_region", "ACROSS_CHANNELS WITHIN_CHANNEL"), PROTO(5, FLOAT, "k"))
PROTO_TYPE(static, mvn, "MVNParameter", PROTO(1, INT, "normalize_variance"), PROTO(2, INT, "across_channels"),
           PROTO(3, FLOAT, "eps"))
PROTO_TYPE(static, pooling, "PoolingParameter", PROTO_WORDS(1, "pool", "MAX AVE STOCHASTIC"), PROTO(4, INT, "pad"),
           PROTO(9, INT, "pad_h"), PROTO(10, INT, "pad_w"), PROTO(2, INT, "kernel_size"), PROTO(5, INT, "kernel_h"),
           PROTO(6, INT, "kernel_w"), PROTO(3, INT, "stride"), PROTO(7, INT, "stride_h"), PROTO(8, INT, "stride_w"),
           PROTO(12, INT, "global_pooling"), PROTO_WORDS(13, "round_mode", "CEIL FLOOR"), PROTO(9001, INT, "ceil_mode"))
PROTO_TYPE(static, power, "PowerParameter", PROTO(1, FLOAT, "power"), PROTO(2, FLOAT, "scale"),
           PROTO(3, FLOAT, "shift"))
PROTO_TYPE(static, reduction, "ReductionParameter", PROTO_WORDS(1, "operation", "? SUM ASUM SUMSQ MEAN"),
           PROTO(2, INT, "axis"), PROTO(3, FLOAT, "coeff"))
PROTO_TYPE(static, re_lu, "ReLUParameter", PROTO(1, FLOAT, "negative_slope"))
PROTO_TYPE(static, reshape, "ReshapeParameter", PROTO_MESSAGE(1, "shape", shape), PROTO(2, INT, "axis"),
           PROTO(3, INT, "num_axes"))
PROTO_TYPE(static, scale, "ScaleParameter", PROTO(1, INT, "axis"), PROTO(2, INT, "num_axes"),
           PROTO(4, INT, "bias_term"))
PROTO_TYPE(static, softmax, "SoftmaxParameter", PROTO(2, INT, "axis"))
PROTO_TYPE(static, slice, "SliceParameter", PROTO(3, INT, "axis"), PROTO(2, INTS, "slice_point"),
           PROTO(1, INT, "slice_dim"))
PROTO_TYPE(static, threshold, "ThresholdParameter", PROTO(1, FLOAT, "threshold"))
PROTO_TYPE(static, tile, "TileParameter", PROTO(1, INT, "axis"), PROTO(2, INT, "tiles"))
PROTO_TYPE(static, memory_data, "MemoryDataParameter", PROTO(2, INT, "channels"), PROTO(3, INT, "height"),
           PROTO(4, INT, "width"))
PROTO_TYPE(static, dummy_data, "DummyDataParameter", PROTO_MESSAGES(6, "shape", shape), PROTO(2, INTS, "num"),
           PROTO(3, INTS, "channels"), PROTO(4, INTS, "height"), PROTO(5, INTS, "width"))

// ---- parameters of forks ----------------------------------------------------------------------------

PROTO_TYPE(static, permute, "PermuteParameter", PROTO(1, INTS, "order"))
PROTO_TYPE(static, normalize, "NormalizeParameter", PROTO(1, INT, "across_spatial"), PROTO(4, FLOAT, "eps"))
PROTO_TYPE(static, prior_box, "PriorBoxParameter", PROTO(1, FLOATS, "min_size"), PROTO(2, FLOATS, "max_size"),
           PROTO(3, FLOATS, "aspect_ratio"), PROTO(4, INT, "flip"), PROTO(5, INT, "clip"), PROTO(6, FLOATS, "variance"),
           PROTO(7, INT, "img_size"), PROTO(8, INT, "img_h"), PROTO(9, INT, "img_w"), PROTO(10, FLOAT, "step"),
           PROTO(11, FLOAT, "step_h"), PROTO(12, FLOAT, "step_w"), PROTO(13, FLOAT, "offset"))
PROTO_TYPE(static, interp, "InterpParameter", PROTO(1, INT, "height"), PROTO(2, INT, "width"),
           PROTO(3, INT, "zoom_factor"), PROTO(4, INT, "shrink_factor"), PROTO(5, INT, "pad_beg"),
           PROTO(6, INT, "pad_end"))
PROTO_TYPE(static, upsample, "UpsampleParameter", PROTO(1, INT, "scale"))
PROTO_TYPE(static, shuffle, "ShuffleChannelParameter", PROTO(1, INT, "group"))
PROTO_TYPE(static, clip, "ClipParameter", PROTO(1, FLOAT, "min"), PROTO(2, FLOAT, "max"))

#define FORKS                                                                                       \
  PROTO_MESSAGE(202, "permute_param", permute), PROTO_MESSAGE(203, "prior_box_param", prior_box),   \
      PROTO_MESSAGE(206, "norm_param", normalize), PROTO_MESSAGE(148, "clip_param", clip),          \
      PROTO_MESSAGE(9002, "interp_param", interp), PROTO_MESSAGE(9003, "upsample_param", upsample), \
      PROTO_MESSAGE(9004, "shuffle_channel_param", shuffle)

// ---- layers -----------------------------------------------------------------------------------------

// Of version 0: its own parameters, under the names that they have later.
PROTO_TYPE(static, old, "V0LayerParameter", PROTO(1, BYTES, "name"), PROTO(2, BYTES, "type"),
           PROTO(3, INT, "num_output"), PROTO(4, INT, "bias_term"), PROTO(7, INTS, "pad"),
           PROTO(8, INTS, "kernel_size"), PROTO(9, INT, "group"), PROTO(10, INTS, "stride"),
           PROTO_WORDS(11, "pool", "MAX AVE STOCHASTIC"), PROTO(13, INT, "local_size"), PROTO(14, FLOAT, "alpha"),
           PROTO(15, FLOAT, "beta"), PROTO(22, FLOAT, "k"), PROTO_MESSAGES(50, "blobs", caffe_blob_type),
           PROTO(65, INT, "concat_dim"), PROTO(9005, INT, "biasterm"), PROTO(9006, INT, "kernelsize"))
PROTO_TYPE(
    static, first, "V1LayerParameter", PROTO(4, BYTES, "name"),
    PROTO_WORDS(5, "type",
                "NONE ACCURACY BNLL CONCAT CONVOLUTION DATA DROPOUT EUCLIDEAN_LOSS FLATTEN HDF5_DATA HDF5_OUTPUT "
                "IM2COL IMAGE_DATA INFOGAIN_LOSS INNER_PRODUCT LRN MULTINOMIAL_LOGISTIC_LOSS POOLING RELU SIGMOID "
                "SOFTMAX SOFTMAX_LOSS SPLIT TANH WINDOW_DATA ELTWISE POWER SIGMOID_CROSS_ENTROPY_LOSS HINGE_LOSS "
                "MEMORY_DATA ARGMAX THRESHOLD DUMMY_DATA SLICE MVN ABSVAL SILENCE CONTRASTIVE_LOSS EXP DECONVOLUTION"),
    PROTO(2, BYTES_LIST, "bottom"), PROTO(3, BYTES_LIST, "top"), PROTO_MESSAGES(6, "blobs", caffe_blob_type),
    PROTO_MESSAGES(32, "include", rule), PROTO_MESSAGES(33, "exclude", rule), PROTO_MESSAGE(1, "layer", old),
    PROTO_MESSAGE(23, "argmax_param", arg_max), PROTO_MESSAGE(9, "concat_param", concat),
    PROTO_MESSAGE(10, "convolution_param", convolution), PROTO_MESSAGE(26, "dummy_data_param", dummy_data),
    PROTO_MESSAGE(24, "eltwise_param", eltwise), PROTO_MESSAGE(41, "exp_param", exp),
    PROTO_MESSAGE(17, "inner_product_param", inner_product), PROTO_MESSAGE(18, "lrn_param", lrn),
    PROTO_MESSAGE(22, "memory_data_param", memory_data), PROTO_MESSAGE(34, "mvn_param", mvn),
    PROTO_MESSAGE(19, "pooling_param", pooling), PROTO_MESSAGE(21, "power_param", power),
    PROTO_MESSAGE(30, "relu_param", re_lu), PROTO_MESSAGE(39, "softmax_param", softmax),
    PROTO_MESSAGE(31, "slice_param", slice), PROTO_MESSAGE(25, "threshold_param", threshold))
PROTO_TYPE(static, layer, "LayerParameter", PROTO(1, BYTES, "name"), PROTO(2, BYTES, "type"),
           PROTO(3, BYTES_LIST, "bottom"), PROTO(4, BYTES_LIST, "top"), PROTO_MESSAGES(7, "blobs", caffe_blob_type),
           PROTO_MESSAGES(8, "include", rule), PROTO_MESSAGES(9, "exclude", rule), FORKS,
           PROTO_MESSAGE(103, "argmax_param", arg_max), PROTO_MESSAGE(139, "batch_norm_param", batch_norm),
           PROTO_MESSAGE(141, "bias_param", bias), PROTO_MESSAGE(104, "concat_param", concat),
           PROTO_MESSAGE(106, "convolution_param", convolution), PROTO_MESSAGE(144, "crop_param", crop),
           PROTO_MESSAGE(109, "dummy_data_param", dummy_data), PROTO_MESSAGE(110, "eltwise_param", eltwise),
           PROTO_MESSAGE(140, "elu_param", elu), PROTO_MESSAGE(137, "embed_param", embed),
           PROTO_MESSAGE(111, "exp_param", exp), PROTO_MESSAGE(135, "flatten_param", flatten),
           PROTO_MESSAGE(117, "inner_product_param", inner_product), PROTO_MESSAGE(143, "input_param", input),
           PROTO_MESSAGE(134, "log_param", log), PROTO_MESSAGE(118, "lrn_param", lrn),
           PROTO_MESSAGE(119, "memory_data_param", memory_data), PROTO_MESSAGE(120, "mvn_param", mvn),
           PROTO_MESSAGE(121, "pooling_param", pooling), PROTO_MESSAGE(122, "power_param", power),
           PROTO_MESSAGE(136, "reduction_param", reduction), PROTO_MESSAGE(123, "relu_param", re_lu),
           PROTO_MESSAGE(133, "reshape_param", reshape), PROTO_MESSAGE(142, "scale_param", scale),
           PROTO_MESSAGE(125, "softmax_param", softmax), PROTO_MESSAGE(126, "slice_param", slice),
           PROTO_MESSAGE(128, "threshold_param", threshold), PROTO_MESSAGE(138, "tile_param", tile))
PROTO_TYPE(, caffe_net_type, "NetParameter", PROTO(1, BYTES, "name"), PROTO(3, BYTES_LIST, "input"),
           PROTO(4, INTS, "input_dim"), PROTO_MESSAGES(8, "input_shape", shape), PROTO_MESSAGES(2, "layers", first),
           PROTO_MESSAGES(100, "layer", layer))
