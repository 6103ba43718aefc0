# SPDX-License-Identifier: Apache-2.0
"""Cases of what optimizers write as one node, and of operators that ai.onnx took over later. See common.py."""
import math

import numpy as np

from contrib.common import Const, case, floats, reference, scalar


@case("EmbedLayerNormalization")
def embed(random):
    ids, segments = (random.integers(0, n, (2, 5)).astype(np.int32) for n in (11, 2))
    tables = [floats(random, n, 8) for n in (11, 7, 2)]
    gamma, beta = floats(random, 8), floats(random, 8)
    mask = (random.random((2, 5)) < 0.7).astype(np.int32)
    yield [ids, segments, *tables, gamma, beta, mask], {"epsilon": 1e-5}, {"outputs": 2}
    yield [ids, segments, *tables, gamma, beta], {}, {"outputs": 2}
    yield [ids, None, *tables[:2], None, gamma, beta, mask], {}, {"outputs": 3}
    positions = random.integers(0, 7, (2, 5)).astype(np.int32)
    yield [ids, segments, *tables, gamma, beta, None, positions], {}, {"outputs": [0, 2]}


@case("BiasAdd")
def bias_add(random):
    x, bias, skip = floats(random, 2, 3, 4), floats(random, 4), floats(random, 2, 3, 4)
    yield [x, bias, skip], {}, {"expect": [x + bias + skip]}


@case("BiasSplitGelu")
def bias_split_gelu(random):
    x, bias = floats(random, 2, 3, 8), floats(random, 8)
    left, right = np.split(x + bias, 2, axis=-1)
    gelu = right * 0.5 * (1 + np.vectorize(math.erf)(right / np.sqrt(2)))
    yield [x, bias], {}, {"expect": [(left * gelu).astype(np.float32)]}


@case("GemmFastGelu")
def gemm_fast_gelu(random):
    x, w, bias = floats(random, 2, 3, 4), floats(random, 4, 5), floats(random, 5)
    y = x @ w + bias
    want = 0.5 * y * (1 + np.tanh(0.7978845608 * (y + 0.044715 * y ** 3)))
    yield [x, w, bias], {}, {"expect": [want.astype(np.float32)]}


@case("GridSample")
def grid_sample(random):
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            if mode == "bicubic" and padding == "border":
                continue  # ONNX Runtime moves the sampled place to the border, the specification only the four taps
            yield [floats(random, 2, 3, 5, 6), random.uniform(-1.3, 1.3, (2, 4, 7, 2)).astype(np.float32)], \
                {"mode": mode, "padding_mode": padding, "align_corners": int(random.integers(2))}, {}


@case("Trilu")
def trilu(random):
    yield [floats(random, 2, 4, 5), scalar(1, np.int64)], {"upper": 0}, {}


@case("Unique")
def unique(random):
    yield [random.integers(0, 5, 20).astype(np.float32)], {}, {"outputs": 3}


@case("Pad")
def pad(random):
    x = floats(random, 3, 4)
    yield [x, np.array([1, 0, 2, 3], np.int64), scalar(2.5)], {}, {}
    yield [x, np.array([[1, 0, 1, 2]], np.int64)], {"mode": "reflect"}, {}
    yield [x, np.array([1, -1, 1, 2], np.int64), np.array([2.5], np.float32)], {"mode": "edge"}, {}


@case("Range")
def arange(random):
    yield [scalar(1), scalar(7), scalar(1.5)], {}, {}
    yield [scalar(2, np.int64), np.array([9], np.int64)], {}, {}


@case("ExpandDims")
def expand_dims(random):
    for axis in (0, -1, 1):
        yield [floats(random, 2, 3), Const(scalar(axis, np.int32))], {}, {}


@case("GatherND")
def gather_nd(random):
    yield [floats(random, 3, 4, 5), random.integers(0, 3, (2, 2)).astype(np.int32)], {}, {}
    yield [floats(random, 3, 4, 5), random.integers(0, 3, (2, 3)).astype(np.int64)], {}, {}


@case("SampleOp")
def sample(random):
    yield [floats(random, 3, 4)], {}, {}


@case("BiasSoftmax")
def bias_softmax(random):
    x = floats(random, 2, 3, 4, 5)
    for shape, axis, inner in (((2, 1, 1, 5), 3, 1), ((1, 1, 4, 5), 3, 0), ((2, 1, 4, 5), 2, 1)):
        bias = floats(random, *shape)
        want = reference("Softmax", [x + bias], {"axis": axis}, opset=11)
        yield [x, bias], {"axis": axis, "is_inner_broadcast": inner}, {"expect": want}


@case("GatedAdd")
def gated_add(random):
    for dtype in (np.float32, np.float16):
        yield [floats(random, 2, 3, 4, dtype=dtype), floats(random, 2, 3, 4, dtype=dtype),
               floats(random, 2, 3, 1, dtype=dtype)], {}, {}


@case("ScaledSiLU")
def scaled_silu(random):
    yield [floats(random, 3, 4)], {"alpha": 0.7}, {}
    yield [floats(random, 3, 4), scalar(1.7)], {"alpha": 0.7}, {}
    yield [floats(random, 3, 4, dtype=np.float16), scalar(1.7)], {}, {}


@case("BranchwiseRMSNorm")
def branchwise(random):
    for scale in (None, floats(random, 12), floats(random, 3, 4), floats(random, 4)):
        yield [floats(random, 2, 5, 3, 4), scale], {"epsilon": 1e-3}, {}
        yield [floats(random, 2, 5, 12), scale], {"num_branches": 3}, {}


@case("LinearAttentionGate")
def linear_gate(random):
    yield [floats(random, 2, 3, 4), floats(random, 4), floats(random, 4), floats(random, 2, 3, 4)], {}, {"outputs": 2}
    yield [floats(random, 2, 3, 4, dtype=np.float16), floats(random, 4), floats(random, 4)], {}, {}


@case("HyperConnectionPreMix")
def pre_mix(random):
    for shape in ((2, 5, 3), (2, 5, 3, 1), (2, 5, 3, 4)):
        yield [floats(random, 2, 5, 3, 4), floats(random, *shape)], {"reduction_scale": 0.5}, {}
        yield [floats(random, 2, 5, 12), floats(random, *shape)], {"num_branches": 3}, {}
    yield [floats(random, 2, 5, 12), floats(random, 2, 5, 12)], {"num_branches": 3}, {}


@case("HyperConnectionPostMix")
def post_mix(random):
    for shape in ((2, 5, 3), (2, 5, 3, 1), (2, 5, 3, 4)):
        for mix in (None, floats(random, 2, 5, 3, 3)):
            yield [floats(random, 2, 5, 3, 4), floats(random, 2, 5, 4), floats(random, *shape), mix], {}, {}
            yield [floats(random, 2, 5, 12), floats(random, 2, 5, 4), floats(random, *shape), mix], \
                {"num_branches": 3}, {}


@case("EngramGate")
def engram_gate(random):
    inputs = [floats(random, 2, 3, 2, 4), floats(random, 2, 3, 2, 4), floats(random, 2, 3, 4), floats(random, 2, 4),
              floats(random, 2, 4)]
    yield inputs, {}, {}
    yield [*inputs, floats(random, 2, 4)], {"epsilon": 1e-3}, {"outputs": 2}


@case("Rfft")
def rfft(random):
    for ndim in (1, 2):
        x = floats(random, 3, 6, 8)
        y = np.fft.rfftn(x, axes=tuple(range(-ndim, 0)))
        yield [x], {"signal_ndim": ndim}, {"expect": [np.stack([y.real, y.imag], -1).astype(np.float32)], "atol": 1e-4}


@case("Irfft")
def irfft(random):
    for ndim in (1, 2):
        x = floats(random, 3, 6, 8)
        y = np.fft.rfftn(x, axes=tuple(range(-ndim, 0)))
        yield [np.stack([y.real, y.imag], -1).astype(np.float32)], {"signal_ndim": ndim}, {"expect": [x], "atol": 1e-4}


@case("ComplexMul")
def complex_mul(random, sign=1j):
    a, b = floats(random, 3, 4, 2), floats(random, 4, 2)
    c = (a[..., 0] + 1j * a[..., 1]) * (b[..., 0] + sign * b[..., 1])
    yield [a, b], {}, {"expect": [np.stack([c.real, c.imag], -1).astype(np.float32)]}


@case("ComplexMulConj")
def complex_mul_conj(random):
    yield from complex_mul(random, -1j)


@case("FusedMatMulActivation")
def fused_activation(random):
    a, b = floats(random, 2, 4, 3), floats(random, 2, 4, 5)
    y = 0.5 * a.transpose(0, 2, 1) @ b
    e = np.exp(y - y.max(1, keepdims=True))
    yield [a, b], {"alpha": 0.5, "transA": 1, "activation": "LeakyRelu", "activation_alpha": 0.2}, \
        {"expect": [np.where(y < 0, 0.2 * y, y).astype(np.float32)]}
    yield [a, b], {"alpha": 0.5, "transA": 1, "activation": "Softmax", "activation_axis": 1}, \
        {"expect": [(e / e.sum(1, keepdims=True)).astype(np.float32)]}


@case("BiasDropout")
def bias_dropout(random):
    x, bias, residual = floats(random, 3, 4), floats(random, 4), floats(random, 3, 4)
    yield [x, bias, residual], {}, {"outputs": 2, "expect": [x + bias + residual, np.ones((3, 4), bool)]}
    yield [x, bias], {}, {"expect": [x + bias]}


@case("BitmaskDropout")
def bitmask_dropout(random):
    x = floats(random, 5, 9)
    yield [x], {}, {"outputs": 2, "expect": [x, np.array([2**32 - 1, 2**13 - 1], np.uint32)]}


@case("BitmaskBiasDropout")
def bitmask_bias_dropout(random):
    x, bias, residual = floats(random, 4, 8), floats(random, 8), floats(random, 4, 8)
    yield [x, bias, residual, scalar(0.3)], {}, \
        {"outputs": 2, "expect": [x + bias + residual, np.array([2**32 - 1], np.uint32)]}


@case("Gelu")
@case("QuickGelu")
def gelus(random):
    yield [floats(random, 3, 50, scale=3)], {}, {}


@case("QuickGelu")
def quick_gelu(random):
    yield [floats(random, 3, 50, scale=3)], {"alpha": 0.7}, {}


@case("BiasGelu")
def bias_gelu(random):
    yield [floats(random, 2, 3, 20, scale=2), floats(random, 20)], {}, {}


@case("FastGelu")
def fast_gelu(random):
    yield [floats(random, 2, 3, 20, scale=2), floats(random, 20)], {}, {}
    yield [floats(random, 2, 3, 20, scale=2)], {}, {}


@case("SkipLayerNormalization")
def skip_norm(random):
    x, gamma, beta, bias = floats(random, 2, 3, 8), floats(random, 8), floats(random, 8), floats(random, 8)
    for skip in (floats(random, 2, 3, 8), floats(random, 1, 3, 8), floats(random, 3, 8)):
        yield [x, skip, gamma, beta, bias], {"epsilon": 1e-3}, {"outputs": [0, 3]}
        yield [x, skip, gamma, None, bias], {}, {}
        yield [x, skip, gamma], {}, {}


@case("SkipSimplifiedLayerNormalization")
def skip_rms_norm(random):
    x, gamma, bias = floats(random, 2, 3, 8), floats(random, 8), floats(random, 8)
    for skip in (floats(random, 2, 3, 8), floats(random, 3, 8)):
        yield [x, skip, gamma, bias], {"epsilon": 1e-3}, {"outputs": [0, 3]}
        yield [x, skip, gamma], {}, {}


@case("SimplifiedLayerNormalization")
def rms_norm(random):
    x, scale = floats(random, 2, 3, 8), floats(random, 8)
    want = (x / np.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-3) * scale).astype(np.float32)
    yield [x, scale], {"axis": -1, "epsilon": 1e-3}, {"expect": [want]}


@case("FusedConv")
def fused_conv(random):
    x, w, bias = floats(random, 2, 4, 7, 6), floats(random, 6, 2, 3, 3), floats(random, 6)
    shared = {"group": 2, "pads": [1, 0, 1, 2], "strides": [2, 1]}
    for activation, numbers in (("Relu", None), ("Tanh", None), ("Sigmoid", None), ("LeakyRelu", [0.3]),
                                ("Clip", [-0.5, 0.7]), ("HardSigmoid", [0.3, 0.4])):
        attributes = {**shared, "activation": activation, **({"activation_params": numbers} if numbers else {})}
        yield [x, Const(w), Const(bias)], attributes, {}
        yield [x, w], attributes, {}
    y = reference("Conv", [x, w, bias], shared)[0]
    z = floats(random, *y.shape)
    yield [x, Const(w), Const(bias), z], {**shared, "activation": "Relu"}, {}


@case("FusedGemm")
def fused_gemm(random):
    a, b = floats(random, 4, 5), floats(random, 5, 6)
    for c in (None, floats(random, 6), floats(random, 4, 1), floats(random, 4, 6)):
        for activation, extra in (("Relu", {}), ("LeakyRelu", {"activation_alpha": 0.3}), ("Tanh", {})):
            yield [a, b, c], {"alpha": 0.5, "beta": 0.7, "activation": activation, **extra}, {}
            yield [a.T.copy(), b.T.copy(), c], {"transA": 1, "transB": 1, "activation": activation, **extra}, {}


@case("FusedMatMul")
@case("TransposeMatMul")
def fused_matmul(random):
    a, b = floats(random, 2, 4, 5), floats(random, 2, 5, 6)
    yield [a, b], {"alpha": 0.5}, {}
    yield [a.swapaxes(1, 2).copy(), b], {"transA": 1}, {}
    yield [a, b.swapaxes(1, 2).copy()], {"transB": 1, "alpha": 2.0}, {}
    yield [floats(random, 3, 2, 4, 5), floats(random, 6, 5)], {"transB": 1}, {}
    yield [floats(random, 5), floats(random, 5, 6)], {}, {}


@case("FusedMatMul")
def fused_matmul_batch(random):
    yield [floats(random, 4, 2, 3, 5), floats(random, 2, 3, 5, 6)], {"transBatchA": 1}, {}
    yield [floats(random, 2, 3, 4, 5), floats(random, 6, 2, 3, 5)], {"transBatchB": 1, "transB": 1}, {}
