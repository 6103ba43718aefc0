#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Operators of qonnx and Brevitas against the package qonnx, bit for bit: every rounding mode, signed and narrow, widths
that are fractions, scales and zero points of each channel, numbers half way between two codes.

    tests/qonnx/test_qonnx.py [NAME ...]
"""
import itertools
import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "ops"), str(TESTS)]
import venv  # noqa: E402

venv.enter("qonnx")
import warnings  # noqa: E402

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402
from qonnx.custom_op.registry import getCustomOp  # noqa: E402

import engine  # noqa: E402
import suite  # noqa: E402

warnings.simplefilter("ignore")
np.seterr(all="ignore")
onnxruntime.set_default_logger_severity(4)
tally = suite.Tally()
F = np.float32
GENERAL, LAST = "qonnx.custom_op.general", "qonnx.custom_op.channels_last"
MODES = ["ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "round", "Floor"]
random = np.random.default_rng(11)


def model(operator, inputs, constant, domain, imports, opset, attributes):
    """Inputs with a number in `constant` are initializers."""
    names = [f"i{k}" for k in range(len(inputs))]
    node = helper.make_node(operator, names, ["y"], name="n", domain=domain, **attributes)
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
             for k, (n, x) in enumerate(zip(names, inputs)) if k not in constant]
    graph = helper.make_graph([node], "g", infos, [helper.make_empty_tensor_value_info("y")],
                              [numpy_helper.from_array(inputs[k], names[k]) for k in constant])
    note = onnx.TensorAnnotation(tensor_name="i0")
    note.quant_parameter_tensor_names.add(key="finn_datatype", value="INT8")
    graph.quantization_annotation.append(note)
    opsets = [helper.make_opsetid("", opset)] + [helper.make_opsetid(*i) for i in imports]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return made, {n: x for k, (n, x) in enumerate(zip(names, inputs)) if k not in constant}


def judge(made, inputs, version, shape):
    node = onnx.NodeProto()
    node.CopyFrom(made.graph.node[0])
    context = {f"i{k}": x.copy() for k, x in enumerate(inputs)} | {"y": np.zeros(shape, F)}
    getCustomOp(node, version).execute_node(context, made.graph)
    return np.asarray(context["y"])


def check(operator, inputs, domain=GENERAL, version=1, imports=None, opset=13, constant=None, tolerance=0, **attributes):
    inputs = [np.asarray(x) for x in inputs]
    constant = range(1, len(inputs)) if constant is None else constant
    name = f"{domain}.{operator} version {version} {[x.shape for x in inputs]} {attributes}"
    if not tally.wants(name):
        return
    made, feeds = model(operator, inputs, constant, domain, [(domain, version)] if imports is None else imports, opset,
                        attributes)
    try:
        got, = engine.Session(made.SerializeToString()).run(feeds)
    except engine.Failure as e:
        tally.note(name, str(e))
        return
    want = judge(made, inputs, version, got.shape)
    wrong = None
    if got.shape != want.shape:
        wrong = f"shape {got.shape}, not {want.shape}"
    elif got.dtype != inputs[0].dtype:
        wrong = f"type {got.dtype}"
    elif not np.allclose(got, want, rtol=tolerance, atol=tolerance, equal_nan=True):
        at = np.argwhere(~np.isclose(got, want, rtol=tolerance, atol=tolerance, equal_nan=True))[0]
        x = np.broadcast_to(inputs[0], got.shape) if operator in ("Quant", "IntQuant", "Trunc", "FloatQuant") else got
        wrong = f"{at}: {got[tuple(at)]!r}, not {want[tuple(at)]!r} (of {x[tuple(at)]!r})"
    tally.note(name, wrong)


def numbers(*shape, step=0.25):
    """Among them such that are half way between two codes, beyond all codes, and no numbers."""
    x = (random.standard_normal(shape) * 40).astype(F)
    ties = (random.integers(-40, 40, shape) * F(step / 2)).astype(F)
    x = np.where(random.random(shape) < 0.5, ties, x)
    np.put(x, range(min(4, x.size)), [np.nan, np.inf, -np.inf, 0])
    return x


def quant():
    x = numbers(2, 3, 17)
    channels = np.array([0.25, 0.1, 2], F).reshape(3, 1)
    for mode, is_signed, narrow in itertools.product(MODES, (0, 1), (0, 1)):
        for bits in (1, 2, 2.5, 3.7, 4, 8, 16, 24):
            check("Quant", [x, F(0.25), F(0), F(bits)], signed=is_signed, narrow=narrow, rounding_mode=mode)
        check("Quant", [x, channels, np.array([1, 0, -3], F).reshape(3, 1), F(4)], signed=is_signed, narrow=narrow,
              rounding_mode=mode)
        check("IntQuant", [x, F(0.1), F(1.5), F(5)], domain="onnx.brevitas", signed=is_signed, narrow=narrow,
              rounding_mode=mode)
    plain = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND"}
    for opset in (7, 11, 13, 17, 21):
        check("Quant", [x, F(0.25), F(0), F(4)], opset=opset, **plain)
    for domain in (GENERAL, "onnx.brevitas"):
        for version, imports in ((1, None), (2, None), (1, [])):
            check("Quant", [x, F(0.25), F(0), F(4)], domain, version, imports, **plain)
    check("Quant", [x, F(0.25), F(0), F(4)], constant=[], **plain)  # everything fed
    check("Quant", [numbers(3, 1), np.array([0.5, 0.25], F), F(0), F(4)], **plain)  # x itself broadcasts
    check("Quant", [x, np.array([0.25], F), np.array([0], F), np.array([4], F)], **plain)
    check("Quant", [x[0, 0], np.full((1, 1, 1), 0.25, F), F(0), np.full((1, 1), 4, F)], **plain)
    check("Quant", [F(0.8), F(0.25), F(0), F(4)], **plain)
    check("Quant", [x, F(-0.25), F(0), F(4)], **plain)
    check("Quant", [numbers(2, 3, 400, 3), np.array([0.25, 0.1, 2], F), F(0), F(4)], **plain)
    for shape in ((1, 3, 1, 1), (2, 1, 1, 5), (2, 3, 4, 5)):
        check("Quant", [numbers(2, 3, 4, 5), random.uniform(0.1, 1, shape).astype(F), F(0), F(6)], **plain)


def bipolar():
    for domain, scale in itertools.product((GENERAL, "onnx.brevitas"), (F(1), F(0.3), np.array([[1], [0.5], [-2]], F))):
        check("BipolarQuant", [numbers(2, 3, 5), scale], domain)


def trunc():
    x = numbers(2, 3, 17)
    for mode, domain in itertools.product(MODES, (GENERAL, "onnx.brevitas")):
        for to in (3, 6, 6.5):
            for zero in (0, 3):
                check("Trunc", [x, F(0.25), F(zero), F(8), F(to)], domain, rounding_mode=mode)
        for is_signed, narrow in itertools.product((0, 1), (0, 1)):
            for scale in (F(1), F(2.1), np.array([1, 0.5, 4], F).reshape(3, 1)):
                check("Trunc", [x, F(0.25), F(3), F(8), scale, F(6)], domain, 2, rounding_mode=mode, signed=is_signed,
                      narrow=narrow)
    check("Trunc", [x, F(0.25), F(0), F(8), F(6)], imports=[], rounding_mode="FLOOR")
    check("Trunc", [x, F(0.25), F(0), F(8), F(1), F(6)], version=2, imports=[], rounding_mode="FLOOR")


def floats():
    x = np.concatenate([numbers(3, 40), (random.standard_normal((3, 40)) * 1e-3).astype(F),
                        (2.0 ** random.integers(-12, 12, (3, 40))).astype(F)], axis=1)
    for mode, (exponent, mantissa, limit) in itertools.product(
            MODES, ((4, 3, 448), (5, 2, 57344), (2, 1, 6), (3, 2, 28), (4, 2.5, 100), (8, 23, 3e38))):
        bias = F(2 ** (exponent - 1) - 1)
        for scale in (F(1), F(0.3), np.array([[1], [0.5], [4]], F)):
            check("FloatQuant", [x, scale, F(exponent), F(mantissa), bias, F(limit)], has_inf=0, has_nan=0,
                  has_subnormal=0, saturation=1, rounding_mode=mode)
        for infinite in (0, 1):
            check("FloatQuant", [x, F(0.5), F(exponent), F(mantissa), bias, F(limit)], "onnx.brevitas", has_inf=infinite,
                  has_nan=1, has_subnormal=0, saturation=0, rounding_mode=mode)


def layers():
    x = numbers(2, 3, 4, 5)
    for shape, layout in (((2, 3), None), ((2, 4, 3), None), ((2, 3, 4, 5), None), ((2, 4, 5, 3), "NHWC"),
                          ((2, 3, 4), "NCW"), ((2, 3, 2, 2, 2), None)):
        for channels in (1, 3):
            thresholds = np.sort(random.standard_normal((channels, 300)) * 30, axis=1).astype(F)
            attributes = {} if layout is None else {"data_layout": layout}
            check("MultiThreshold", [numbers(*shape), thresholds], out_dtype="INT9", out_scale=0.7, out_bias=-1.3,
                  **attributes)
            check("MultiThreshold", [numbers(*shape), thresholds[:, :3]], out_dtype="UINT2", **attributes)
    for kernel, stride, pads, dilations in (((3, 3), (1, 1), (1, 1, 1, 1), (1, 1)), ((2, 3), (2, 1), (0, 1, 2, 0), (1, 1)),
                                            ((2, 2), (1, 2), (0, 0, 0, 0), (2, 3))):
        check("Im2Col", [numbers(1, 7, 8, 3)], kernel_size=kernel, stride=stride, pad_amount=pads, dilations=dilations,
              pad_value=-1, input_shape="(1,7,8,3)")
        check("MaxPoolNHWC", [random.standard_normal((2, 7, 8, 3)).astype(F)], kernel_shape=kernel, strides=stride, pads=(1, 1, 1, 1))
    check("Im2Col", [numbers(1, 9, 1, 2)], kernel_size=(3, 1), stride=(2, 1), input_shape="(1,9,1,2)")
    for layout, low in itertools.product(("NCHW", "NHWC"), (-8, 0)):
        for kernel, stride, bits in ((2, 2, 4), (3, 1, 2), (4, 3, 12)):
            data = random.integers(low, 16, (2, 8, 9, 3) if layout == "NHWC" else (2, 3, 8, 9)).astype(F)
            check("QuantAvgPool2d", [data], kernel=kernel, stride=stride, ibits=4, obits=bits, signed=int(low < 0),
                  data_layout=layout)
    bits = [random.integers(0, 2, s).astype(F) for s in ((2, 4, 13), (13, 7))]
    check("XnorPopcountMatMul", bits)
    check("XnorPopcountMatMul", [bits[0][0], bits[1]], constant=[])
    check("DebugMarker", [x], export_debug_name="here")


def channels_last():
    for group in (1, 2):
        check("Conv", [random.standard_normal((2, 7, 6, 4)).astype(F),
                       random.standard_normal((6, 3, 2, 4 // group)).astype(F), np.arange(6, dtype=F)], LAST, group=group,
              kernel_shape=(3, 2), strides=(2, 1), pads=(1, 0, 1, 1), dilations=(1, 1), tolerance=1e-4)
    check("Conv", [random.standard_normal((2, 7, 4)).astype(F), random.standard_normal((6, 3, 4)).astype(F)], LAST,
          group=1, kernel_shape=(3,), strides=(1,), pads=(1, 1), dilations=(1,), tolerance=1e-4)
    check("MaxPool", [random.standard_normal((2, 7, 6, 4)).astype(F)], LAST, 10, kernel_shape=(3, 2), strides=(2, 1),
          pads=(1, 0, 1, 0))
    for version in (9, 14):
        check("BatchNormalization", [random.standard_normal((2, 7, 6, 4)).astype(F), *random.uniform(1, 2, (4, 4)).astype(F)],
              LAST, version, epsilon=1e-3, momentum=0.9, tolerance=1e-5)


def messages():
    """What cannot be is said with its place."""
    x, scale, zero = numbers(2, 3), F(0.25), F(0)
    for name, operator, inputs, attributes, part in (
            ("mode", "Quant", [x, scale, zero, F(4)], {"rounding_mode": "NEAREST"}, "attribute 'rounding_mode' is 'NEAREST', expected"),
            ("widths", "Quant", [x, scale, zero, np.array([4, 8, 2], F)], {}, "input 3 ('bitwidth') has shape [3], expected one"),
            ("shapes", "Quant", [x, np.ones(4, F), zero, F(4)], {}, "does not broadcast"),
            ("arity", "Quant", [x, scale, zero], {}, "'bitwidth') is required"),
            ("overflow", "FloatQuant", [x, scale, F(4), F(3), F(7), F(448)], {"saturation": 0}, "needs has_inf or has_nan"),
            ("channels", "MultiThreshold", [x, np.ones((2, 5), F)], {"out_dtype": "INT4"}, "expected 3"),
            ("window", "Im2Col", [numbers(1, 2, 2, 1)], {"kernel_size": [3, 1], "stride": [1, 1]}, "a window spans 3"),
            ("stride", "Im2Col", [numbers(1, 2, 2, 1)], {"kernel_size": [1, 1], "stride": [0, 1]}, "expected 1 to 2^30"),
            ("unknown", "Quand", [x], {}, "did you mean 'Quant'")):
        made, feeds = model(operator, [np.asarray(i) for i in inputs], [], GENERAL, [(GENERAL, 1)], 13, attributes)
        try:
            engine.Session(made.SerializeToString()).run(feeds)
            tally.note(f"message {name}", "it ran")
        except engine.Failure as e:
            tally.note(f"message {name}", None if part in e.args[1] else e.args[1])


for test in (quant, bipolar, trunc, floats, layers, channels_last, messages):
    test()
sys.exit(tally.close())
