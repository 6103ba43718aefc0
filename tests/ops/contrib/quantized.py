# SPDX-License-Identifier: Apache-2.0
"""Cases of quantised operators: narrow weights, 8-bit elements, matrices in the orders of cublasLt. See common.py."""
import math

import numpy as np

import engine
from contrib.attention import longformer
from contrib.common import EIGHT_BITS, Const, build, case, first, floats, integers, reference, rms, scalar


@case("QEmbedLayerNormalization")
def qembed(random):
    for dtype in EIGHT_BITS:
        ids, segments = (random.integers(0, n, (2, 5)).astype(np.int32) for n in (11, 2))
        tables = [integers(random, n, 8, dtype=dtype) for n in (11, 7, 2)]
        gamma, beta = integers(random, 8, dtype=dtype), integers(random, 8, dtype=dtype)
        scales = [scalar(s) for s in random.uniform(0.01, 0.1, 5)]
        zeros = [scalar(z, dtype) for z in random.integers(0, 9, 5)]
        mask = (random.random((2, 5)) < 0.7).astype(np.int32)
        yield [ids, segments, *tables, gamma, beta, mask, *scales, *zeros], {}, {"outputs": 2}


@case("QLinearReduceMean")
def qreduce(random):
    for dtype in EIGHT_BITS:
        x = integers(random, 3, 4, 5, dtype=dtype)
        for axes, keep in (([1], 1), ([0, 2], 0), ([-1], 0)):
            mean = ((x.astype(np.float32) - 7) * 0.1).mean(axis=tuple(axes), keepdims=bool(keep))
            info = np.iinfo(dtype)
            want = np.clip(np.rint(mean / 0.04) + 3, info.min, info.max).astype(dtype)
            yield [x, scalar(0.1), scalar(7, dtype), scalar(0.04), scalar(3, dtype)], {"axes": axes, "keepdims": keep}, \
                {"steps": 1, "expect": [want]}


@case("QLinearSoftmax")
def qsoftmax(random):
    for dtype in EIGHT_BITS:
        x = integers(random, 3, 4, 5, dtype=dtype)
        for axis, opset in ((-1, 13), (1, 13), (1, 11)):
            yield [x, Const(scalar(0.05)), Const(scalar(7, dtype)), Const(scalar(1 / 256)), Const(scalar(0, dtype))], \
                {"axis": axis, "opset": opset}, {"steps": 1}
        # The scale of a mask that was quantised leaves no numbers, and every release of ONNX Runtime gives something
        # else. Here it is the lowest value, but with a negative zero point the highest.
        for zero in (0, np.iinfo(dtype).min):
            want = np.iinfo(dtype).max if zero < 0 else np.iinfo(dtype).min
            yield [x, Const(scalar(np.inf)), Const(scalar(0, dtype)), Const(scalar(1 / 256)), Const(scalar(zero, dtype))], \
                {"opset": 13}, {"expect": [np.full(x.shape, want, dtype)]}


@case("QLinearWhere")
def qwhere(random):
    for dtype in EIGHT_BITS:
        yield [random.random((3, 1)) < 0.5, integers(random, 3, 4, dtype=dtype), scalar(0.1), scalar(3, dtype),
               integers(random, 4, dtype=dtype), scalar(0.2), scalar(5, dtype), scalar(0.15), scalar(9, dtype)], {}, \
            {"steps": 1}


@case("DynamicQuantizeLSTM")
def quantized_lstm(random):
    for dtype, directions, columns in ((np.int8, 1, False), (np.uint8, 2, False), (np.int8, 2, True)):
        hidden, width = 6, 5
        w, r = (Const(integers(random, directions, n, 4 * hidden, dtype=dtype)) for n in (width, hidden))
        shape = (directions, 4 * hidden) if columns else (directions,)
        scale = Const(np.full(shape, 0.003, np.float32))
        zero = Const(np.full(shape, 0 if dtype == np.int8 else 128, dtype))
        yield [floats(random, 4, 3, width), w, r, floats(random, directions, 8 * hidden), None, None, None, None, scale,
               zero, scale, zero], \
            {"hidden_size": hidden, "direction": "forward" if directions == 1 else "bidirectional"}, {"outputs": 3}


@case("MulInteger")
def mul_integer(random):
    a, b = integers(random, 3, 4), integers(random, 4)
    want = (a.astype(np.int32) - 3) * (b.astype(np.int32) - 200)
    yield [a, scalar(3, np.uint8), b, scalar(200, np.uint8)], {}, {"expect": [want]}
    yield [a, None, b], {}, {"expect": [a.astype(np.int32) * b]}


@case("MatMulInteger16")
def matmul16(random):
    yield [random.integers(-99, 99, (2, 3, 4)).astype(np.int16), random.integers(-99, 99, (4, 5)).astype(np.int16)], {}, {}


@case("ReduceSumInteger")
def reduce_sum_integer(random):
    x = integers(random, 2, 3, 4, dtype=np.int8)
    yield [x], {"axes": [1], "keepdims": 1}, {"expect": [x.astype(np.int32).sum(1, keepdims=True, dtype=np.int32)]}


@case("QLinearConv")
def qlinear_conv(random):
    for channels_last in (0, 1):
        x = integers(random, 2, 7, 6, 4)
        w, bias = integers(random, 6, 4, 3, 3, dtype=np.int8), random.integers(-999, 999, 6).astype(np.int32)
        scales = (random.random(6) * 0.01).astype(np.float32)
        yield [x if channels_last else first(x), scalar(0.02), scalar(120, np.uint8), Const(w), Const(scales),
               Const(np.zeros(6, np.int8)), scalar(0.5), scalar(110, np.uint8), Const(bias)], \
            {"pads": [1, 1, 0, 1], "channels_last": channels_last}, {}


@case("MatMulNBits")
def matmul_nbits(random):
    for bits in (4, 8):
        k, n, block = 48, 5, 16
        blocks = k // block
        x, w = floats(random, 2, 3, k), integers(random, n, blocks, block * bits // 8)
        scales = floats(random, n * blocks, scale=0.1)
        zeros = integers(random, n * ((blocks * bits + 7) // 8))
        attributes = {"K": k, "N": n, "bits": bits, "block_size": block}
        yield [x, Const(w), Const(scales)], attributes, {}
        yield [x, Const(w), Const(scales), Const(zeros)], attributes, {}


@case("MatMulBnb4")
def matmul_bnb4(random):
    k, n, block = 40, 6, 16
    for kind in (0, 1):
        w, largest = integers(random, n * k // 2), floats(random, n * k // block)
        attributes = {"K": k, "N": n, "block_size": block, "quant_type": kind}
        yield [floats(random, 2, 3, k), Const(w), Const(largest)], attributes, {}
        # Without transB ONNX Runtime strides wrongly: the identity gives the weights.
        weights = reference("MatMulBnb4", [np.eye(k, dtype=np.float32), Const(w), Const(largest)], attributes,
                            domain="com.microsoft")[0].T
        x = floats(random, 3, n)
        yield [x, Const(w), Const(largest)], {**attributes, "transB": 0}, {"expect": [x @ weights]}


@case("MatMulFpQ4")
def matmul_fpq4(random):
    # ONNX Runtime has it on some processors only. A block: scale, perhaps a zero point, then 16 bytes for 32 codes, the
    # low halves first.
    for kind, columns, blocks, parts in ((0, 5, 3, 1), (1, 5, 3, 1), (2, 3, 2, 2)):
        zeros = random.integers(0, 16, (columns, blocks, 1)).astype(np.uint8) if kind == 1 else None
        scale, codes = floats(random, columns, blocks, 1), integers(random, columns, blocks, parts, 16)
        w = np.concatenate([codes & 15, codes >> 4], -1).reshape(columns, blocks, -1).astype(np.float32)
        w = ((w - (8 if zeros is None else zeros)) * scale).reshape(columns, -1)
        k = w.shape[1] - (16 if kind < 2 else 0)  # the last block may be cut
        x = floats(random, 2, 3, k)
        blob = np.concatenate([scale.view(np.uint8), *([] if zeros is None else [zeros]), codes.reshape(columns, blocks, -1)], -1)
        yield [x, Const(blob.ravel()), Const(np.array([k, columns], np.int64))], {"blk_quant_type": kind}, \
            {"expect": [x @ w[:, :k].T]}


@case("GatherBlockQuantized")
def gather_blocks(random):
    import ml_dtypes
    indices = random.integers(-7, 7, (2, 3)).astype(np.int64)
    for bits in (2, 4, 8):
        x = integers(random, 7, 3, 32 * bits // 8)
        scales = floats(random, 7, 3, 2)
        zeros = integers(random, 7, 3, (2 * bits + 7) // 8)
        attributes = {"bits": bits, "block_size": 16, "quantize_axis": -1}
        yield [Const(x), indices, Const(scales)], attributes, {}
        yield [Const(x), indices, Const(scales), Const(zeros)], attributes, {}
    for dtype in (ml_dtypes.int4, ml_dtypes.uint4):
        x = integers(random, 7, 20, 6).astype(dtype)
        scales, zeros = floats(random, 7, 2, 6), integers(random, 7, 2, 6).astype(dtype)
        attributes = {"block_size": 16, "quantize_axis": 1}
        yield [Const(x), indices, Const(scales), Const(zeros)], attributes, {}
        yield [Const(x), indices % 6, Const(scales)], {**attributes, "gather_axis": 2}, {}


@case("MoE")
def experts(random):
    tokens, count, hidden, inner = 7, 4, 8, 12
    x, router = floats(random, tokens, hidden), floats(random, tokens, count)
    for act, fusion in (("relu", 0), ("gelu", 0), ("silu", 0), ("identity", 0), ("swiglu", 1)):
        rows = inner * (2 if fusion else 1)
        inputs = [x, router, floats(random, count, rows, hidden), floats(random, count, rows),
                  floats(random, count, hidden, inner), floats(random, count, hidden)]
        attributes = {"k": 2, "activation_type": act, "swiglu_fusion": fusion}
        if fusion:
            attributes.update(activation_alpha=1.702, activation_beta=1.0, swiglu_limit=1.5)
        yield inputs, {**attributes, "normalize_routing_weights": 1}, {"rtol": 1e-4, "atol": 1e-4}
        yield inputs, attributes, {"rtol": 1e-4, "atol": 1e-4}
        inputs[3] = inputs[5] = None
        yield [x[None], *inputs[1:5]], {**attributes, "k": 1}, {"rtol": 1e-4, "atol": 1e-4}


@case("QMoE")
def narrow_experts(random):
    tokens, count, hidden, inner = 7, 4, 32, 64
    x, router = floats(random, tokens, hidden), floats(random, tokens, count)
    for bits in (4, 8):
        for block in (0, 32):
            fc1 = integers(random, count, 2 * inner, hidden * bits // 8)
            fc2 = integers(random, count, hidden, inner * bits // 8)
            scale = 0.02 if bits == 4 else 0.001
            shapes = [(count, 2 * inner), (count, hidden)]
            blocks = [hidden // block, inner // block] if block else [0, 0]
            scales = [floats(random, *s, *([b] if block else []), scale=scale) ** 2 * 50 for s, b in zip(shapes, blocks)]
            attributes = {"k": 2, "activation_type": "swiglu", "swiglu_fusion": 1, "expert_weight_bits": bits,
                          "activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 7.0,
                          "normalize_routing_weights": 1, **({"block_size": block} if block else {})}
            options = {"rtol": 5e-2, "atol": 2e-2}  # it quantises activations where it likes
            inputs = [x, router, Const(fc1), Const(scales[0]), floats(random, count, 2 * inner), Const(fc2),
                      Const(scales[1]), floats(random, count, hidden)]
            yield inputs, attributes, options
            if block:
                zeros = [integers(random, *s, (b * bits + 7) // 8) for s, b in zip(shapes, blocks)]
            else:
                zeros = [integers(random, s[0], s[1] * bits // 8) for s in shapes]
            yield [*inputs, None, None, None, Const(zeros[0]), Const(zeros[1])], attributes, options
            yield [*inputs, None, None, None, None, None, None, np.abs(floats(random, tokens, count)) + 0.1], attributes, \
                options


@case("MatMulNBitsMlp")
def nbits_mlp(random):
    k, n, block = 64, 5, 32
    weights = [Const(x) for _ in range(2) for x in (integers(random, n, 2, 16), floats(random, n, 2, scale=0.1))]
    bias = [floats(random, n), floats(random, n)]
    x, skip, scale = floats(random, 3, k), floats(random, 3, k), floats(random, k)
    sizes = {"K": k, "N": n, "block_size": block, "bits": 4}
    for plus, norm in ((None, None), (None, scale), (skip, scale)):
        total = x if plus is None else x + plus
        y = total if norm is None else rms(total, norm, 1e-5).astype(np.float32)
        gate, up = (reference("MatMulNBits", [y, *weights[i:i + 2]], sizes, domain="com.microsoft")[0] + bias[i // 2]
                    for i in (0, 2))
        want = [gate / (1 + np.exp(-gate)) * up, *([] if plus is None else [total])]
        yield [x, plus, norm, *weights[:2], bias[0], *weights[2:], bias[1]], {**sizes, "activation": "silu"}, \
            {"outputs": len(want), "expect": want, "rtol": 1e-3, "atol": 1e-3}


@case("MatMulNBitsQkv")
def nbits_qkv(random):
    k, block, x, skip, scale = 64, 32, floats(random, 3, 64), floats(random, 3, 64), floats(random, 64)
    weights = [(Const(integers(random, n, 2, 16)), Const(floats(random, n, 2, scale=0.1)), floats(random, n))
               for n in (5, 3, 3)]
    y = rms(x + skip, scale).astype(np.float32)
    want = [reference("MatMulNBits", [y, *w[:2]], {"K": k, "N": len(w[2]), "block_size": block, "bits": 4},
                      domain="com.microsoft")[0] + w[2] for w in weights]
    yield [x, skip, scale, *[a for w in weights for a in w]], {"K": k, "Nq": 5, "Nkv": 3, "block_size": block}, \
        {"outputs": 4, "expect": [*want, x + skip], "rtol": 1e-3, "atol": 1e-3}


@case("MatMulBlockQuantizedFp8Weight")
def fp8_weight(random):
    import ml_dtypes
    x, w = floats(random, 2, 3, 40, dtype=np.float16), floats(random, 5, 40).astype(ml_dtypes.float8_e4m3fn)
    scales, bias = np.abs(floats(random, 5, 3)) + 0.1, floats(random, 5, dtype=np.float16)
    wide = w.astype(np.float32) * scales.repeat(16, 1)[:, :40]
    yield [x, Const(w), Const(scales)], {"block_size": 16}, \
        {"expect": [(x.astype(np.float32) @ wide.T).astype(np.float16)], "atol": 0.05}
    low = (x.astype(np.float32) / 0.5).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * 0.5
    yield [x, Const(w), Const(scales), scalar(0.5), bias], {"block_size": 16}, \
        {"expect": [(low @ wide.T + bias).astype(np.float16)], "atol": 0.05}


@case("QuantizeLinear")
def quantize(random):
    for dtype in (np.uint8, np.int8, np.uint16, np.int16):
        x, scale = floats(random, 3, 4, 5, scale=3), np.abs(floats(random, 4)) + 0.01
        zero = integers(random, 4, dtype=dtype)
        yield [x, scalar(0.02), scalar(3, dtype)], {}, {"steps": 1}
        yield [x, scale, zero], {"axis": 1}, {"steps": 1}


@case("DequantizeLinear")
def dequantize(random):
    for dtype in (np.uint8, np.int8, np.uint16, np.int16, np.int32):
        x, scale = integers(random, 3, 4, 5, dtype=dtype), np.abs(floats(random, 4)) + 0.01
        zero = np.zeros(4, dtype) if dtype == np.int32 else integers(random, 4, dtype=dtype)
        yield [x, scalar(0.02)], {}, {}
        yield [x, scale, zero], {"axis": -2}, {}


@case("QLinearAdd")
@case("QLinearMul")
def qlinear_binary(random):
    for dtype in EIGHT_BITS:
        a, b = integers(random, 2, 3, 4, dtype=dtype), integers(random, 3, 1, dtype=dtype)
        for left, right in ((a, b), (b, a), (a, a[::-1].copy()), (a, scalar(9, dtype))):
            yield [left, scalar(0.02), scalar(7, dtype), right, scalar(0.03), scalar(2, dtype), scalar(0.05),
                   scalar(5, dtype)], {}, {"steps": 1}


@case("QLinearSigmoid")
@case("QLinearLeakyRelu")
def qlinear_unary(random):
    for dtype in EIGHT_BITS:
        yield [integers(random, 3, 40, dtype=dtype), scalar(0.05), scalar(7, dtype), scalar(1 / 200),
               scalar(1, dtype)], {}, {"steps": 1}


@case("QLinearAveragePool")
def qlinear_pool(random):
    for dtype in EIGHT_BITS:
        for last_channels in (0, 1):
            for attributes in ({"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [2, 1]},
                               {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
                               {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}):
                yield [integers(random, 2, 7, 6, 5, dtype=dtype), scalar(0.05), scalar(7, dtype), scalar(0.04),
                       scalar(3, dtype)], {**attributes, "channels_last": last_channels}, {"steps": 1}


@case("QLinearGlobalAveragePool")
def qlinear_global_pool(random):
    for dtype in EIGHT_BITS:
        for last_channels in (0, 1):
            yield [integers(random, 2, 7, 6, 5, dtype=dtype), scalar(0.05), scalar(7, dtype), scalar(0.04),
                   scalar(3, dtype)], {"channels_last": last_channels}, {"steps": 1}


@case("QLinearConcat")
def qlinear_concat(random):
    for dtype in EIGHT_BITS:
        parts = [(integers(random, 2, n, 4, dtype=dtype), scalar(s), scalar(z, dtype))
                 for n, s, z in ((3, 0.05, 7), (1, 0.02, 0), (2, 0.04, 3))]
        yield [scalar(0.04), scalar(3, dtype), *[x for part in parts for x in part]], {"axis": 1}, {"steps": 1}


@case("QGemm")
def qgemm(random):
    for dtype in EIGHT_BITS:
        a, b = integers(random, 4, 5), integers(random, 5, 6, dtype=dtype)
        scale, zero = np.abs(floats(random, 6)) * 0.02 + 0.001, integers(random, 6, dtype=dtype)
        c = random.integers(-999, 999, 6).astype(np.int32)
        end = [scalar(0.9), scalar(11, np.uint8)]
        yield [a, scalar(0.03), scalar(120, np.uint8), b, scalar(0.01), scalar(3, dtype), c, *end], {}, {}
        yield [a, scalar(0.03), scalar(120, np.uint8), Const(b), Const(scale), Const(zero), Const(c), *end], {}, {}
        yield [a, scalar(0.03), scalar(120, np.uint8), Const(b), Const(scale), Const(zero)], {"alpha": 0.5}, {}
        yield [a.T.copy(), scalar(0.03), scalar(120, np.uint8), b.T.copy(), scalar(0.01), scalar(3, dtype), None, *end], \
            {"transA": 1, "transB": 1}, {}


@case("MatMulIntegerToFloat")
def matmul_integer_to_float(random):
    for dtype in EIGHT_BITS:
        a, b = integers(random, 2, 4, 5), integers(random, 5, 6, dtype=dtype)
        scale, zero = np.abs(floats(random, 6)) * 0.02, integers(random, 6, dtype=dtype)
        yield [a, Const(b), scalar(0.03), scalar(0.01)], {}, {}
        yield [a, Const(b), scalar(0.03), Const(scale), scalar(120, np.uint8), Const(zero), floats(random, 6)], {}, {}


@case("DynamicQuantizeMatMul")
def dynamic_quantize_matmul(random):
    for dtype in EIGHT_BITS:
        b = integers(random, 5, 6, dtype=dtype)
        scale, zero = np.abs(floats(random, 6)) * 0.02, integers(random, 6, dtype=dtype)
        yield [floats(random, 2, 4, 5), Const(b), Const(scalar(0.01)), Const(scalar(3, dtype))], {}, {}
        yield [floats(random, 2, 4, 5), Const(b), Const(scale), Const(zero), floats(random, 6)], {}, {}


@case("MatMulBlockQuantizedFp4Weight")
def fp4_weight(random):
    import ml_dtypes
    x, w = floats(random, 2, 3, 40, dtype=np.float16), integers(random, 5, 20)
    scales, bias = np.abs(floats(random, 5, 3)).astype(ml_dtypes.float8_e4m3fn), floats(random, 5, dtype=np.float16)
    values = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    wide = np.concatenate([values, -values])[np.stack([w & 15, w >> 4], -1).reshape(5, 40)]
    wide = (wide * 0.2 * scales.astype(np.float32).repeat(16, 1)[:, :40]).astype(np.float16).astype(np.float32)
    y = x.astype(np.float32) @ wide.T
    inputs = [x, Const(w), Const(scales.view(np.uint8)), Const(scalar(0.2))]
    yield inputs, {"block_size": 16}, {"expect": [y.astype(np.float16)], "atol": 0.02}
    yield [*inputs, None, bias], {}, {"expect": [(y + bias).astype(np.float16)], "atol": 0.02}


def place_of(order, r, c, rows, columns):
    """Where element [r, c] of a matrix is stored."""
    tile8 = (((r // 8 * 8) + (r & 1) * 4 + c % 32 // 8) * 8 + (c % 8 // 4) * 4 + r % 8 // 2) * 4 + c % 4
    tile32 = r // 32 * 1024 + ((r % 8 // 2 * 4 + r % 32 // 8) * 2 + r % 2) * 32 + c % 32
    return [c * rows + r, r * columns + c, c // 32 * 32 * rows + r * 32 + c % 32, c // 32 * 32 * rows + tile8,
            c // 32 * 32 * rows + tile32][order]


def stored(matrix, order):
    """[..., rows, columns] with its numbers where the order puts them."""
    rows, columns = matrix.shape[-2:]
    flat = matrix.reshape(-1, rows, columns)
    out = np.zeros((len(flat), rows * columns), matrix.dtype)
    for r in range(rows):
        for c in range(columns):
            out[:, place_of(order, r, c, rows, columns)] = flat[:, r, c]
    return out.reshape(matrix.shape)


def to_bytes(x, scale):
    return np.clip(np.rint(x / np.float32(scale)), -128, 127).astype(np.int8)


@case("QuantizeWithOrder")
def quantize_with_order(random):
    for order in range(5):
        x = floats(random, 2, 32, 64)
        yield [x, scalar(0.03)], {"order_input": 1, "order_output": order}, {"expect": [stored(to_bytes(x, 0.03), order)]}


@case("DequantizeWithOrder")
def dequantize_with_order(random):
    for order in range(5):
        x = integers(random, 2, 32, 64, dtype=np.int8)
        yield [stored(x, order), scalar(0.03)], {"order_input": order, "order_output": 1, "to": 1}, \
            {"expect": [x * np.float32(0.03)]}


@case("QOrderedGelu")
def qordered_gelu(random):
    x = integers(random, 3, 32, dtype=np.int8)
    y = x * 0.02 * 0.5 * (1 + np.vectorize(math.erf)(x * 0.02 / np.sqrt(2)))
    yield [x, scalar(0.02), scalar(0.03)], {"order_X": 2, "order_Y": 2}, {"expect": [to_bytes(y, 0.03)], "steps": 1}


@case("QOrderedLayerNormalization")
def qordered_norm(random):
    for order in (1, 2):
        x, gamma, beta = integers(random, 2, 3, 64, dtype=np.int8), floats(random, 64), floats(random, 64)
        y = reference("LayerNormalization", [x * np.float32(0.02), gamma, beta], {"epsilon": 1e-5})[0]
        yield [stored(x, order), scalar(0.02), gamma, beta, scalar(0.03)], {"order_X": order, "order_Y": order}, \
            {"expect": [stored(to_bytes(y, 0.03), order)], "steps": 1}


@case("QOrderedMatMul")
def qordered_matmul(random):
    a, b, c = (integers(random, *s, dtype=np.int8) for s in ((2, 3, 32), (32, 64), (2, 3, 64)))
    bias, scale = floats(random, 64), np.abs(floats(random, 64)) * 0.01 + 0.001
    product = (a * 0.02) @ (b * scale)
    yield [a, scalar(0.02), stored(b, 0), scale, scalar(0.3), bias, c, scalar(0.1)], \
        {"order_A": 1, "order_B": 0, "order_Y": 1}, {"expect": [to_bytes(product + bias + c * 0.1, 0.3)], "steps": 1}
    for order in (3, 4):
        turned = stored(np.ascontiguousarray(b.T), order).reshape(32, 64)
        yield [stored(a, 2), scalar(0.02), turned, scale, scalar(0.3)], {"order_A": 2, "order_B": order, "order_Y": 2}, \
            {"expect": [stored(to_bytes(product, 0.3), 2)], "steps": 1}


@case("QOrderedAttention")
def qordered_attention(random):
    x = integers(random, 2, 5, 8, dtype=np.int8)
    weights = [integers(random, 8, 8, dtype=np.int8) for _ in range(3)]
    biases = [floats(random, 8) for _ in range(3)]
    heads = [to_bytes((x * 0.02) @ (w * 0.01) + b, 0.05) * np.float32(0.05) for w, b in zip(weights, biases)]
    mask = np.array([5, 3], np.int32)
    y = reference("MultiHeadAttention", [*heads, None, mask], {"num_heads": 2}, domain="com.microsoft")[0]
    gemm, weight = scalar(0.05), scalar(0.01)
    yield [x, scalar(0.02), gemm, gemm, gemm, *[stored(w, 0) for w in weights], weight, weight, weight, *biases, None,
           None, gemm, mask], {"num_heads": 2, "order_input": 1, "order_weight": 0, "order_output": 1}, \
        {"expect": [to_bytes(y, 0.05)], "steps": 1}


@case("QOrderedLongformerAttention")
def qordered_longformer(random):
    (inputs, attributes, options), = longformer(random)
    x, w, bias, mask, global_w, global_bias, everywhere = inputs
    weights = [to_bytes(m, 0.02) for m in (w, global_w)]
    x = to_bytes(x, 0.03)
    plain, feeds = build("LongformerAttention", [x * np.float32(0.03), weights[0] * np.float32(0.02), bias, mask,
                                                 weights[1] * np.float32(0.02), global_bias, everywhere], attributes, {})
    y = engine.Session(plain).run(feeds)[0]
    yield [x, scalar(0.03), stored(weights[0], 0), scalar(0.02), bias, scalar(1), scalar(0.05), mask.astype(np.float16),
           stored(weights[1], 0), scalar(0.02), global_bias, scalar(0.05), everywhere, scalar(0.04)], \
        {**attributes, "order_input": 1, "order_weight": 0, "order_global_weight": 0, "order_output": 1}, \
        {"expect": [to_bytes(y, 0.04)], "steps": 1}
