#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Quantised networks as exporters write them (QDQ): small networks quantised by ONNX Runtime with each combination of
its options, and written in the ways of PyTorch, tf2onnx and others. What runs on bytes must be within one step of the
plain meaning of the graph, as ONNX Runtime without optimisation and this engine without passes give it; and it must run
on bytes: nothing that passes know may stay in float.

    tests/models/test_quantized.py [NAME ...]     only cases whose name contains a NAME
"""
import itertools
import json
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "ops"), str(HERE.parent)]
import venv  # noqa: E402

venv.enter()

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static  # noqa: E402

import engine  # noqa: E402
import suite  # noqa: E402

ort.set_default_logger_severity(4)
SHAPE = (2, 3, 12, 10)


class Net:
    """A float network in the making: every call adds a node and gives the name of its result."""

    def __init__(self, seed):
        self.rng, self.nodes, self.constants = np.random.default_rng(seed), [], {}

    def constant(self, array):
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def weights(self, *shape):
        return self.constant((self.rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32))

    def __getattr__(self, op):
        def add(*inputs, outputs=1, **attributes):
            names = [f"{op}_{len(self.nodes)}_{k}" for k in range(outputs)]
            self.nodes.append(helper.make_node(op, list(inputs), names, name=names[0], **attributes))
            return names[0] if outputs == 1 else names
        return add

    def ints(self, *numbers):
        return self.constant(np.array(numbers, np.int64))

    def conv(self, x, channels_in, channels, size=3, bias=True, group=1, **attributes):
        w = self.weights(channels, channels_in // group, size, size)
        inputs = [x, w] + ([self.weights(channels)] if bias else [])
        return self.Conv(*inputs, group=group, pads=[size // 2] * 4, **attributes)

    def model(self, output, opset=17):
        graph = helper.make_graph(
            self.nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", *SHAPE[1:]])],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            [numpy_helper.from_array(a, n) for n, a in self.constants.items()])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        model.ir_version = 9
        return onnx.shape_inference.infer_shapes(model)


# ---- networks ---------------------------------------------------------------------------------------------

def convolutions(n):
    y = n.Relu(n.conv("x", 3, 8, strides=[2, 2]))
    y = n.Clip(n.conv(y, 8, 8, group=8), n.constant(np.float32(0)), n.constant(np.float32(1)))
    return n.conv(y, 8, 5, size=1, bias=False)


def residual(n):
    y = n.Relu(n.conv("x", 3, 6))
    return n.Relu(n.Add(n.conv(y, 6, 6), y))


def branches(n):
    a, b = n.Relu(n.conv("x", 3, 4)), n.conv("x", 3, 6, size=1)
    return n.conv(n.Concat(a, b, axis=1), 10, 4)


def pools(n):
    y = n.Relu(n.conv("x", 3, 8))
    y = n.MaxPool(y, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = n.AveragePool(y, kernel_shape=[2, 2])
    return n.Gemm(n.Flatten(n.GlobalAveragePool(y)), n.weights(5, 8), n.weights(5), transB=1)


def swish(n):
    y = n.conv("x", 3, 6)
    return n.conv(n.Mul(y, n.Sigmoid(y)), 6, 4)


def activations(n):
    y = n.LeakyRelu(n.conv(n.Tanh("x"), 3, 6), alpha=0.1)
    return n.MaxPool(n.Elu(y), kernel_shape=[2, 2])


def gate(n):
    y = n.Relu(n.conv("x", 3, 8))
    s = n.Relu(n.conv(n.GlobalAveragePool(y), 8, 4, size=1))
    return n.Mul(y, n.Sigmoid(n.conv(s, 4, 8, size=1)))


def moves(n):
    y = n.Relu(n.conv("x", 3, 8))
    y = n.Resize(y, "", n.constant(np.array([1, 1, 2, 2], np.float32)), mode="nearest")
    a, b = n.Split(y, n.ints(4, 4), axis=1, outputs=2)
    y = n.Concat(b, a, axis=1)
    y = n.Pad(y, n.ints(0, 0, 1, 1, 0, 0, 1, 1))
    y = n.Slice(y, n.ints(1, 1), n.ints(25, 21), n.ints(2, 3))
    return n.conv(n.DepthToSpace(y, blocksize=2), 2, 3)


def products(n):
    y = n.Reshape(n.Transpose(n.Relu(n.conv("x", 3, 8)), perm=[0, 2, 3, 1]), n.ints(2, -1, 8))
    y = n.Add(n.MatMul(y, n.weights(8, 6)), n.weights(6))
    z = n.MatMul(n.Transpose(y, perm=[0, 2, 1]), y)
    return n.MatMul(n.Relu(z), n.weights(6, 4))


def other_ranks(n):
    y = n.Relu(n.Conv(n.Reshape("x", n.ints(0, 3, -1)), n.weights(4, 3, 5), n.weights(4), strides=[2], pads=[2, 2]))
    y = n.AveragePool(y, kernel_shape=[2], strides=[2], pads=[1, 1], count_include_pad=1)
    y = n.Reshape(y, n.ints(0, 4, 31, 1, 1))
    return n.GlobalAveragePool(n.Conv(y, n.weights(6, 4, 3, 1, 1), n.weights(6), pads=[1, 0, 0, 1, 0, 0]))


NETS = [convolutions, residual, branches, pools, swish, activations, gate, moves, products, other_ranks]


# ---- judging ----------------------------------------------------------------------------------------------

def steps_of(model):
    """The scale of the QuantizeLinear nearest to the result: one step of it. None: the result is float by itself."""
    made = {o: n for n in model.graph.node for o in n.output}
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    constants |= {n.output[0]: numpy_helper.to_array(n.attribute[0].t) for n in model.graph.node
                  if n.op_type == "Constant"}
    n = made[model.graph.output[0].name]
    while n.op_type not in ("QuantizeLinear", "Conv", "Gemm", "MatMul"):
        n = made[n.input[0]]
    return float(constants[n.input[1]].max()) if n.op_type == "QuantizeLinear" else None


def operators(model):
    """Of the graph after passes, as often as they stand there."""
    with tempfile.NamedTemporaryFile(suffix=".onnx") as f:
        f.write(model.SerializeToString())
        f.flush()
        command = engine.LIBRARY.parent / "sardonyx"
        done = subprocess.run([str(command), "inspect", "--graph", "--json", f.name], capture_output=True, text=True)
    return re.findall(r"= ([\w.:]+)[<(]", json.loads(done.stdout)["graph"]["text"])


FLOAT = {"Conv", "Gemm", "MatMul", "Add", "Mul", "AveragePool", "GlobalAveragePool", "Relu", "Clip", "Sigmoid",
         "HardSwish", "LeakyRelu", "com.microsoft::FusedConv", "com.microsoft::FusedGemm", "Swish"}


# What these options leave in float stays there.
LOOSE = {"convolutions-alone", "float-results"}


def judge(model, seed, loose=False):
    """What is wrong, or None. `loose`: operators may stay in float."""
    x = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    data = model.SerializeToString()
    want, = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"]).run(None, {"x": x})
    plain, = engine.Session(data, optimize="none").run({"x": x})
    got, = engine.Session(data).run({"x": x})
    step = steps_of(model)
    most = 1.001 * step if step else 1e-4 * np.abs(want).max()
    for name, other in (("ONNX Runtime", want), ("the plain graph", plain)):
        off = np.abs(got - other).max()
        if got.shape != other.shape or not off <= most:
            return f"differs from {name} by {off:g}, one step is {most:g}"
    left = [] if loose else [o for o in operators(model) if o in FLOAT]
    return f"stays in float: {' '.join(left)}" if left else None


class Samples(CalibrationDataReader):
    def __init__(self):
        rng = np.random.default_rng(3)
        self.left = [{"x": rng.standard_normal(SHAPE).astype(np.float32)} for _ in range(4)]

    def get_next(self):
        return self.left.pop() if self.left else None


def quantized_by_ort(net, **options):
    with tempfile.TemporaryDirectory() as home:
        source, target = f"{home}/float.onnx", f"{home}/qdq.onnx"
        onnx.save(net, source)
        quantize_static(source, target, Samples(), quant_format=QuantFormat.QDQ, **options)
        return onnx.load(target)


def option_sets():
    u8, s8 = QuantType.QUInt8, QuantType.QInt8
    for per_channel, (act, weight) in itertools.product((False, True), ((u8, u8), (u8, s8), (s8, s8))):
        yield f"{act}-{weight}{'-channels' * per_channel}", dict(per_channel=per_channel, activation_type=act,
                                                                 weight_type=weight)
    base = dict(activation_type=u8, weight_type=s8)
    yield "reduced", dict(base, reduce_range=True)
    yield "symmetric", dict(base, activation_type=s8, extra_options={"ActivationSymmetric": True})
    yield "asymmetric-weights", dict(base, extra_options={"WeightSymmetric": False})
    yield "asymmetric-channels", dict(base, per_channel=True, extra_options={"WeightSymmetric": False})
    yield "pairs-on-weights", dict(base, extra_options={"AddQDQPairToWeight": True})
    yield "float-bias", dict(base, extra_options={"QuantizeBias": False})
    yield "dedicated-pairs", dict(base, extra_options={"DedicatedQDQPair": True})
    yield "convolutions-alone", dict(base, op_types_to_quantize=["Conv"])
    yield "float-results", dict(base, extra_options={"OpTypesToExcludeOutputQuantization": ["Conv", "Gemm", "MatMul"]})
    yield "forced", dict(base, extra_options={"ForceQuantizeNoInputCheck": True})


# ---- other exporters --------------------------------------------------------------------------------------

class Exporter:
    """Writes QDQ around a float network: ranges are those of one sample.

    weights   "bytes", "floats" (quantised in the graph, as PyTorch exports them), "turned" (behind a Transpose, tf2onnx)
    zeros     False: int8 around zero without zero points
    constants in Constant nodes instead of initializers
    """

    def __init__(self, net, weights="bytes", zeros=True, constants=False):
        self.net, self.form, self.zeros, self.in_nodes = net, weights, zeros, constants
        self.nodes, self.constants = [], {}
        self.count = 0

    def constant(self, array, name):
        if self.in_nodes:
            self.nodes.append(helper.make_node("Constant", [], [name], value=numpy_helper.from_array(array)))
        else:
            self.constants[name] = array
        return name

    def parameters(self, low, high, name):
        low, high = min(low, 0), max(high, 0)
        if self.zeros:
            scale = np.float32((high - low) / 255)
            zero = np.uint8(np.clip(np.rint(-low / scale), 0, 255))
            return [self.constant(scale, f"{name}_scale"), self.constant(zero, f"{name}_zero")]
        scale = np.float32(max(-low, high) / 127)
        return [self.constant(scale, f"{name}_scale"), self.constant(np.int8(0), f"{name}_zero")]

    def pair(self, name, array):
        if f"{name}_dq" in self.done:
            return f"{name}_dq"
        self.done.add(f"{name}_dq")
        p = self.parameters(float(array.min()), float(array.max()), name)
        self.nodes.append(helper.make_node("QuantizeLinear", [name, *p], [f"{name}_q"]))
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", *(p if self.zeros else p[:1])],
                                           [f"{name}_dq"]))
        return f"{name}_dq"

    def weight(self, name, w, per_channel):
        if f"{name}_dq" in self.done:
            return f"{name}_dq"
        self.done.add(f"{name}_dq")
        if not per_channel:
            scale = np.float32(np.abs(w).max() / 127)
            p = [self.constant(scale, f"{name}_scale"), self.constant(np.int8(0), f"{name}_zero")]
            q = self.constant(np.rint(w / scale).astype(np.int8), f"{name}_q")
            self.nodes.append(helper.make_node("DequantizeLinear", [q, *p], [f"{name}_dq"]))
            return f"{name}_dq"
        scale = np.maximum(np.abs(w).reshape(len(w), -1).max(1), 1e-6).astype(np.float32) / np.float32(127)
        q = np.rint(w / scale.reshape(-1, *[1] * (w.ndim - 1))).astype(np.int8)
        p = [self.constant(scale, f"{name}_scale"), self.constant(np.zeros(len(w), np.int8), f"{name}_zero")]
        if self.form == "floats":
            self.nodes.append(helper.make_node("QuantizeLinear", [self.constant(w, name), *p], [f"{name}_q"], axis=0))
            self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", *p], [f"{name}_dq"], axis=0))
        elif self.form == "turned":
            order = list(range(1, w.ndim)) + [0]
            turned = self.constant(np.ascontiguousarray(q.transpose(order)), f"{name}_q")
            self.nodes.append(helper.make_node("DequantizeLinear", [turned, *p], [f"{name}_turned"], axis=w.ndim - 1))
            self.nodes.append(helper.make_node("Transpose", [f"{name}_turned"], [f"{name}_dq"],
                                               perm=[w.ndim - 1] + list(range(w.ndim - 1))))
        else:
            self.nodes.append(helper.make_node("DequantizeLinear", [self.constant(q, f"{name}_q"), *p],
                                               [f"{name}_dq"], axis=0))
        return f"{name}_dq"

    def export(self):
        graph, self.done = self.net.graph, set()
        arrays = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
        probe = onnx.ModelProto()
        probe.CopyFrom(self.net)
        floats = [o for n in graph.node for o in n.output]
        del probe.graph.output[:]
        probe.graph.output.extend(helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in floats)
        x = np.random.default_rng(3).standard_normal(SHAPE).astype(np.float32)
        sample = dict(zip(floats, ort.InferenceSession(probe.SerializeToString()).run(None, {"x": x})), x=x)
        for n in graph.node:
            node = onnx.NodeProto()
            node.CopyFrom(n)
            for k, name in enumerate(n.input):
                per_channel = n.op_type in ("Conv", "Gemm") and k == 1
                if name in sample:
                    fused = n.op_type in ("Relu", "Clip") and n.input[0] != "x"
                    node.input[k] = name if fused else self.pair(name, sample[name])
                elif per_channel or n.op_type in ("MatMul", "Add"):
                    node.input[k] = self.weight(name, arrays[name], per_channel)
                elif name in arrays:
                    self.constants[name] = arrays[name]
            self.nodes.append(node)
        last = self.pair(graph.output[0].name, sample[graph.output[0].name])
        made = helper.make_graph(self.nodes, "net", list(graph.input),
                                 [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
                                 [numpy_helper.from_array(a, n) for n, a in self.constants.items()])
        model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        return model


STYLES = {"torch": dict(weights="floats", constants=True), "tf2onnx": dict(weights="turned"),
          "symmetric": dict(zeros=False), "bytes": {}}


def main():
    tally = suite.Tally()
    for net in NETS:
        n = Net(1)
        model = n.model(net(n))
        for name, options in option_sets():
            case = f"{net.__name__} {name}"
            if tally.wants(case):
                tally.note(case, judge(quantized_by_ort(model, **options), 4, name in LOOSE))
        for name, options in STYLES.items():
            case = f"{net.__name__} {name}"
            if tally.wants(case):
                tally.note(case, judge(Exporter(model, **options).export(), 4))
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
