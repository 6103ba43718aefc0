#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scales of quantised operators of any sign, zero, infinite or no number: the formula decides, and NaN becomes the
lowest value. Each operator against the formula in numpy, with and without passes, on runs long enough for vectors.

    tests/ops/test_scales.py [NAME ...]
"""
import itertools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv  # noqa: E402

venv.enter()
import numpy as np  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import engine  # noqa: E402
import suite  # noqa: E402

tally = suite.Tally()
random = np.random.default_rng(20)
F = np.float32
SCALES = [F(s) for s in (-0.5, 0.25, 0.0, -0.0, np.nan, np.inf, -np.inf, -1e-30)]
OUTPUT_SCALES = [F(s) for s in (-0.75, 0.5, 0.0, np.nan, np.inf)]


def bytes_of(dtype, *shape):
    info = np.iinfo(dtype)
    return random.integers(info.min, info.max, shape, endpoint=True).astype(dtype)


def saturate(x, zero, dtype):
    """round_half_even(x) + zero in the range of dtype; NaN is its lowest value."""
    info = np.iinfo(dtype)
    x = np.rint(x) + F(zero)
    return np.where(np.isnan(x), info.min, np.clip(x, info.min, info.max)).astype(dtype)


def dequantized(x, scale, zero):
    return (x.astype(np.int64) - np.int64(zero)).astype(F) * scale


def model(nodes, feeds, constants, outputs):
    kinds = {n: helper.np_dtype_to_tensor_dtype(v.dtype) for n, v in feeds.items()}
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(n, kinds[n], list(v.shape)) for n, v in feeds.items()],
        [helper.make_empty_tensor_value_info(o) for o in outputs],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()])
    return helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]).SerializeToString()


def check(name, nodes, feeds, constants, want):
    """Scales as constants and as inputs, with passes and without."""
    if not tally.wants(name):
        return
    for as_inputs, level in itertools.product((False, True), ("all", "none")):
        given = {**feeds, **(constants if as_inputs else {})}
        data = model(nodes, given, {} if as_inputs else constants, ["y"])
        try:
            got = engine.Session(data, optimize=level).run({n: np.asarray(v) for n, v in given.items()})[0]
        except engine.Failure as e:
            tally.note(name, f"{level}: {e}")
            continue
        same = (got.shape, got.dtype) == (want.shape, want.dtype) and \
            np.array_equal(got, want, equal_nan=want.dtype.kind == "f")
        tally.note(name, None if same else f"{level}, {constants}: got {got.ravel()[:6]}, want {want.ravel()[:6]}")


def node(op, inputs, domain="", **attributes):
    return helper.make_node(op, inputs.split(), ["y"], domain=domain, **attributes)


def linear():
    x = (random.standard_normal((3, 67)) * 9).astype(F)
    x[0, :5] = 0, -0.0, np.nan, np.inf, -np.inf
    for scale, dtype in itertools.product(SCALES, (np.int8, np.uint8, np.int16)):
        zero = dtype(3)
        check("QuantizeLinear", [node("QuantizeLinear", "x s z")], {"x": x}, {"s": scale, "z": zero},
              saturate(x / scale, zero, dtype))
        q = bytes_of(dtype, 3, 67)
        check("DequantizeLinear", [node("DequantizeLinear", "x s z")], {"x": q}, {"s": scale, "z": zero},
              dequantized(q, scale, zero))
    per_axis = np.array(SCALES, F)
    q, zeros = bytes_of(np.int8, 2, 8, 33), bytes_of(np.int8, 8)
    want = (q.astype(np.int64) - zeros[:, None]).astype(F) * per_axis[:, None]
    check("DequantizeLinear per axis", [node("DequantizeLinear", "x s z", axis=1)], {"x": q},
          {"s": per_axis, "z": zeros}, want)
    blocks = np.resize(per_axis, (2, 8, 3))
    want = q.astype(F) * np.repeat(blocks, 11, axis=2)
    check("DequantizeLinear blocked", [node("DequantizeLinear", "x s", axis=2, block_size=11)], {"x": q},
          {"s": blocks}, want)


def products():
    a, b = bytes_of(np.uint8, 5, 40), bytes_of(np.int8, 40, 19)
    sums = (a.astype(np.int64) - 7) @ (b.astype(np.int64) + 2)
    for s, to in itertools.product(SCALES, OUTPUT_SCALES):
        constants = {"sa": s, "za": np.uint8(7), "sb": F(-0.01), "zb": np.int8(-2), "sy": to, "zy": np.int8(5)}
        check("QLinearMatMul", [node("QLinearMatMul", "a sa za b sb zb sy zy")], {"a": a, "b": b}, constants,
              saturate(sums.astype(F) * (s * F(-0.01) / to), 5, np.int8))
    columns = np.resize(np.array(SCALES, F), 19)
    constants = {"sa": F(-0.3), "za": np.uint8(7), "sb": columns, "zb": np.full(19, -2, np.int8), "sy": F(0.7),
                 "zy": np.uint8(100)}
    check("QLinearMatMul per column", [node("QLinearMatMul", "a sa za b sb zb sy zy")], {"a": a, "b": b}, constants,
          saturate(sums.astype(F) * (F(-0.3) * columns / F(0.7)), 100, np.uint8))
    check("QGemm", [node("QGemm", "a sa za b sb zb c sy zy", "com.microsoft")],
          {"a": a, "b": b}, {**constants, "c": np.arange(19, dtype=np.int32)},
          saturate((sums + np.arange(19)).astype(F) * (F(-0.3) * columns / F(0.7)), 100, np.uint8))
    check("MatMulIntegerToFloat", [node("MatMulIntegerToFloat", "a b sa sb za zb", "com.microsoft")],
          {"a": a, "b": b}, {k: constants[k] for k in ("sa", "sb", "za", "zb")},
          sums.astype(F) * (F(-0.3) * columns))
    x, w = bytes_of(np.uint8, 1, 3, 5, 6), bytes_of(np.int8, 8, 3, 1, 1)
    sums = np.einsum("nchw,oc->nohw", x.astype(np.int64) - 9, w[:, :, 0, 0].astype(np.int64))
    scales = np.array(SCALES, F)
    for to in OUTPUT_SCALES:
        check("QLinearConv", [node("QLinearConv", "x sx zx w sw zw sy zy")], {"x": x},
              {"w": w, "sx": F(-0.1), "zx": np.uint8(9), "sw": scales, "zw": np.zeros(8, np.int8), "sy": to,
               "zy": np.uint8(30)}, saturate(sums.astype(F) * (F(-0.1) * scales / to)[:, None, None], 30, np.uint8))


def elementwise():
    a, b = bytes_of(np.uint8, 3, 40), bytes_of(np.uint8, 3, 40)
    for s, to in itertools.product(SCALES, OUTPUT_SCALES):
        constants = {"sa": s, "za": np.uint8(7), "sb": F(-0.2), "zb": np.uint8(90), "sy": to, "zy": np.uint8(50)}
        u, v = dequantized(a, s, 7), dequantized(b, F(-0.2), 90)
        for op, value in (("QLinearAdd", u + v), ("QLinearMul", u * v)):
            check(op, [node(op, "a sa za b sb zb sy zy", "com.microsoft")], {"a": a, "b": b}, constants,
                  saturate(value / to, 50, np.uint8))
        unary = {k: constants[k] for k in ("sa", "za", "sy", "zy")}
        check("QLinearLeakyRelu", [node("QLinearLeakyRelu", "a sa za sy zy", "com.microsoft", alpha=0.5)], {"a": a},
              unary, saturate(np.where(u < 0, u * F(0.5), u) / to, 50, np.uint8))
        x = bytes_of(np.uint8, 1, 2, 4, 4)
        mean = (x.astype(np.int64) - 7).sum(axis=(2, 3), keepdims=True).astype(F) / F(16)
        check("QLinearGlobalAveragePool", [node("QLinearGlobalAveragePool", "x sa za sy zy", "com.microsoft")],
              {"x": x}, unary, saturate(mean * (s / to), 50, np.uint8))
        check("QLinearConcat", [node("QLinearConcat", "sy zy a sa za b sb zb", "com.microsoft", axis=0)],
              {"a": a, "b": b}, constants, saturate(np.concatenate([u, v]) / to, 50, np.uint8))


def blocks_of_bits():
    n, k, block = 5, 64, 32
    codes = random.integers(0, 16, (n, k), dtype=np.uint8)
    packed = (codes[:, 0::2] | codes[:, 1::2] << 4).reshape(n, k // block, block // 2)
    scales = np.resize(np.array([-0.5, 0.25, 0.0, -1.5], F), n * k // block)
    weights = (codes.astype(F) - 8) * np.repeat(scales.reshape(n, -1), block, axis=1)
    x = random.integers(-4, 5, (3, k)).astype(F)
    check("MatMulNBits", [node("MatMulNBits", "x b s", "com.microsoft", K=k, N=n, bits=4, block_size=block)], {"x": x},
          {"b": packed, "s": scales}, x @ weights.T)
    rows = np.array([4, 0, 2])
    check("GatherBlockQuantized", [node("GatherBlockQuantized", "b r s", "com.microsoft", bits=4, block_size=block,
                                        gather_axis=0, quantize_axis=1)],
          {"r": rows}, {"b": packed.reshape(n, k // 2), "s": scales.reshape(n, -1)}, weights[rows])


def chains():
    """What passes could make of DequantizeLinear and QuantizeLinear around an operator that keeps the order."""
    x = bytes_of(np.int8, 2, 4, 6, 6)
    for s, to in itertools.product(SCALES[:5], OUTPUT_SCALES[:4]):
        constants = {"s": s, "z": np.int8(3), "t": to, "u": np.int8(-4)}
        value = dequantized(x, s, 3)
        windows = value.reshape(2, 4, 3, 2, 3, 2)
        for op, made, attributes in (("Relu", np.where(value < 0, F(0), value), {}),
                                     ("MaxPool", windows.max(axis=(3, 5)), {"kernel_shape": [2, 2], "strides": [2, 2]}),
                                     ("Identity", value, {})):
            nodes = [helper.make_node("DequantizeLinear", ["x", "s", "z"], ["f"]),
                     helper.make_node(op, ["f"], ["g"], **attributes), node("QuantizeLinear", "g t u")]
            if not (np.isnan(s) and op != "Identity"):  # which of max and NaN wins is another matter
                check(f"chain of {op}", nodes, {"x": x}, constants, saturate(made / to, -4, np.int8))


with np.errstate(all="ignore"):
    for group in (linear, products, elementwise, blocks_of_bits, chains):
        group()
sys.exit(tally.close())
