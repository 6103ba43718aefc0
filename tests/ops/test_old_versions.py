#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Operators as exporters of 2017 and 2018 wrote them (CNTK, Caffe2, Chainer, MXNet, WinMLTools): opsets 1 to 6,
with the attributes and inputs that were dropped later and the retired experimental operators, against numbers
worked out here from the text of those versions. ONNX Runtime opens nothing this old."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import venv

venv.enter()

import numpy as np
from onnx import TensorProto, helper

import engine
import suite

RANDOM = np.random.default_rng(3)
KINDS = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64,
         np.dtype(np.int32): TensorProto.INT32, np.dtype(bool): TensorProto.BOOL,
         np.dtype(np.float64): TensorProto.DOUBLE}


def rand(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def run(op, opset, inputs, outputs=1, read=None, constants=(), **attributes):
    """`constants`: which inputs are initializers; `read`: how many of the outputs are the graph's."""
    names = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
    node = helper.make_node(op, names, [f"y{i}" for i in range(outputs)], **attributes)
    made = [helper.make_tensor_value_info(f"y{i}", 0, None) for i in range(read or outputs)]
    for output in made:
        output.ClearField("type")
    given = [i for i, x in enumerate(inputs) if x is not None and i not in constants]
    graph = helper.make_graph(
        [node], "old",
        [helper.make_tensor_value_info(names[i], KINDS[inputs[i].dtype], inputs[i].shape) for i in given], made,
        [helper.make_tensor(names[i], KINDS[inputs[i].dtype], inputs[i].shape, inputs[i].ravel()) for i in constants])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3)
    return engine.Session(model.SerializeToString()).run({names[i]: inputs[i] for i in given})


CASES = []


def case(name, wanted, *arguments, **more):
    CASES.append((name, wanted, arguments, more))


x, channel, row = rand(2, 3, 4, 5), rand(3), rand(5)
wide = channel[:, None, None]

# Broadcasting by attribute: B matches the dimensions of A from `axis` on, or the last ones.
for op, f in (("Add", np.add), ("Sub", np.subtract), ("Mul", np.multiply), ("Div", np.divide)):
    for opset, more in ((1, {"consumed_inputs": [0, 0]}), (6, {})):
        case(f"{op} axis 1", [f(x, wide)], op, opset, [x, channel], broadcast=1, axis=1, **more)
        case(f"{op} axis 2", [f(x, x[0, 0])], op, opset, [x, x[0, 0]], broadcast=1, axis=2, **more)
        case(f"{op} axis 0", [f(x, x[:, :, 0, 0][:, :, None, None])], op, opset, [x, x[:, :, 0, 0]], broadcast=1,
             axis=0, **more)
        case(f"{op} last axes", [f(x, row)], op, opset, [x, row], broadcast=1, **more)
        case(f"{op} of a number", [f(x, row[0])], op, opset, [x, row[:1].reshape(())], broadcast=1, **more)
        case(f"{op} of one element", [f(x, row[0])], op, opset, [x, row[:1]], broadcast=1, **more)
        case(f"{op} as they are", [f(x, x + 1)], op, opset, [x, x + 1], **more)
case("Pow axis 1", [np.abs(x) ** wide], "Pow", 1, [np.abs(x), channel], broadcast=1, axis=1)
case("Equal axis 1", [np.round(x).astype(np.int64) == np.array([0, 1, -1])[:, None, None]], "Equal", 1,
     [np.round(x).astype(np.int64), np.array([0, 1, -1])], broadcast=1, axis=1)
case("Greater axis 1", [x > wide], "Greater", 1, [x, channel], broadcast=1, axis=1)
case("Less", [x < row], "Less", 1, [x, row], broadcast=1)
for op, f in (("And", np.logical_and), ("Or", np.logical_or), ("Xor", np.logical_xor)):
    case(f"{op} axis 1", [f(x > 0, wide > 0)], op, 1, [x > 0, channel > 0], broadcast=1, axis=1)

# Attributes that became inputs, defaults that changed, types by name.
case("Cast by name", [x.astype(np.int32)], "Cast", 1, [x], to="INT32")
case("Cast by name", [(x > 0).astype(np.float32)], "Cast", 5, [x > 0], to="FLOAT")
case("Concat of columns", [np.concatenate([x, x], 1)], "Concat", 1, [x, x])
case("Concat", [np.concatenate([x, x], 2)], "Concat", 1, [x, x], axis=2)
case("Split by input", np.split(x, [1, 3], 2), "Split", 1, [x, np.array([1, 2, 1], np.float32)], outputs=3,
     constants=[1], axis=2)
case("Split by attribute", np.split(x, [1], 1), "Split", 1, [x], outputs=2, axis=1, split=[1, 2])
case("Split evenly", np.split(x, 2, 0), "Split", 2, [x], outputs=2)
case("Reshape by attribute", [x.reshape(2, -1)], "Reshape", 1, [x], shape=[0, -1], consumed_inputs=[0])
case("Reshape by input", [x.reshape(6, 20)], "Reshape", 5, [x, np.array([6, -1])])
case("Tile of one axis", [np.tile(x, (1, 3, 1, 1))], "Tile", 1, [x, np.array(3, np.float32), np.array(1, np.float32)],
     constants=[1, 2])
case("Tile", [np.tile(x, (1, 2, 1, 3))], "Tile", 6, [x, np.array([1, 2, 1, 3])])
case("Slice", [x[:, 1:3, :, -2:]], "Slice", 1, [x], axes=[1, 3], starts=[1, -2], ends=[3, 100])
case("Slice of the first axes", [x[1:, :-1]], "Slice", 1, [x], starts=[1, 0], ends=[2, -1])
case("Squeeze", [x[:1, 0]], "Squeeze", 1, [x[:1, :1]], axes=[1])
case("Unsqueeze", [x[:, None, :, None]], "Unsqueeze", 1, [x], axes=[1, 3])
case("TopK", [np.sort(x, 1)[:, ::-1][:, :2], np.argsort(-x, 1, kind="stable")[:, :2]], "TopK", 1, [x], outputs=2, k=2,
     axis=1)
case("Clip", [np.clip(x, -0.5, 0.25)], "Clip", 1, [x], min=-0.5, max=0.25, consumed_inputs=[0])
case("Clip below", [np.maximum(x, 0.25)], "Clip", 6, [x], min=0.25)
case("Pad by paddings", [np.pad(x, ((0, 0), (0, 0), (1, 2), (3, 0)), constant_values=1.5)], "Pad", 1, [x],
     paddings=[0, 0, 1, 3, 0, 0, 2, 0], value=1.5)
case("Pad", [np.pad(x, ((0, 0), (0, 0), (1, 2), (3, 0)), "reflect")], "Pad", 2, [x], pads=[0, 0, 1, 3, 0, 0, 2, 0],
     mode="reflect")
case("Upsample by scales of its own", [x.repeat(3, 2).repeat(2, 3)], "Upsample", 1, [x], height_scale=3.0,
     width_scale=2.0, mode="nearest")
for name, f, axes in (("ReduceSum", np.sum, (1, 3)), ("ReduceMean", np.mean, (2,)), ("ReduceMax", np.max, (0, 1)),
                      ("ReduceProd", np.prod, (3,))):
    case(name, [f(x, axis=axes, keepdims=True)], name, 1, [x], axes=axes)
    case(name + " of all", [f(x)], name, 1, [x], keepdims=0)
case("ArgMax", [x.argmax(1)], "ArgMax", 1, [x], axis=1, keepdims=0)
case("Gather", [x[:, [2, 0]]], "Gather", 1, [x, np.array([2, 0])], axis=1)

# Softmax and its kin over the matrix that `axis` makes.
flat = x.reshape(2, -1)
soft = np.exp(flat - flat.max(1, keepdims=True))
soft /= soft.sum(1, keepdims=True)
case("Softmax", [soft.reshape(x.shape)], "Softmax", 1, [x])
case("LogSoftmax", [np.log(soft).reshape(x.shape)], "LogSoftmax", 1, [x], axis=1)
case("Hardmax", [(flat == flat.max(1, keepdims=True)).astype(np.float32).reshape(x.shape)], "Hardmax", 1, [x])

# Activations with consumed_inputs and the defaults of their time.
for name, f, more in (("Relu", lambda v: np.maximum(v, 0), {}), ("Sigmoid", lambda v: 1 / (1 + np.exp(-v)), {}),
                      ("Tanh", np.tanh, {}), ("Exp", np.exp, {}), ("Neg", np.negative, {}), ("Abs", np.abs, {}),
                      ("Floor", np.floor, {}), ("Ceil", np.ceil, {}),
                      ("Reciprocal", np.reciprocal, {}), ("LeakyRelu", lambda v: np.where(v < 0, 0.01 * v, v), {}),
                      ("Elu", lambda v: np.where(v < 0, 0.5 * np.expm1(v), v), {"alpha": 0.5}),
                      ("Selu", lambda v: 1.0507 * np.where(v < 0, 1.6732 * np.expm1(v), v), {}),
                      ("HardSigmoid", lambda v: np.clip(0.3 * v + 0.4, 0, 1), {"alpha": 0.3, "beta": 0.4})):
    case(name, [f(x)], name, 1, [x], consumed_inputs=[0], **more)
case("PRelu by channel", [np.where(x < 0, x * wide, x)], "PRelu", 1, [x, channel], consumed_inputs=[0, 0])
case("PRelu by channel", [np.where(x < 0, x * wide, x)], "PRelu", 6, [x, channel])
case("PRelu of one slope", [np.where(x < 0, x * channel[0], x)], "PRelu", 6, [x, channel[:1]])
for name, f in (("Sum", lambda *v: sum(v)), ("Mean", lambda *v: sum(v) / len(v)),
                ("Max", lambda *v: np.maximum.reduce(v)),
                ("Min", lambda *v: np.minimum.reduce(v))):
    case(name, [f(x, x * 2, -x)], name, 1, [x, x * 2, -x], consumed_inputs=[0, 0, 0])
    case(name + " of one", [x], name, 6, [x])

# Layers.
mean, scale, bias, variance = rand(3), rand(3), rand(3), np.abs(rand(3)) + 0.5
c = lambda v: v[:, None, None]
normal = (x - c(mean)) / np.sqrt(c(variance) + 1e-5) * c(scale) + c(bias)
case("BatchNormalization of Caffe2", [normal], "BatchNormalization", 1, [x, scale, bias, mean, variance], is_test=1,
     consumed_inputs=[0, 0, 0, 1, 1], spatial=1, momentum=0.9)
case("BatchNormalization of Chainer", [normal], "BatchNormalization", 6, [x, scale, bias, mean, variance], is_test=1)
parts = [rand(3, 4, 5) for _ in range(3)] + [np.abs(rand(3, 4, 5)) + 0.5]
batch = (x - x.mean((0, 2, 3), keepdims=True)) / np.sqrt(x.var((0, 2, 3), keepdims=True) + 1e-5) * c(scale) + c(bias)
for opset, more in ((1, {"consumed_inputs": [0, 0, 0, 1, 1]}), (6, {}), (9, {}), (13, {})):
    running = [mean * 0.8 + x.mean((0, 2, 3)) * 0.2, variance * 0.8 + x.var((0, 2, 3)) * 0.2]
    case("BatchNormalization in training", [batch, *running], "BatchNormalization", opset,
         [x, scale, bias, mean, variance], outputs=5, read=3, momentum=0.8, **more)
case("BatchNormalization of a test with five outputs", [normal], "BatchNormalization", 6,
     [x, scale, bias, mean, variance], outputs=5, read=1, is_test=1)
case("BatchNormalization of every place", [(x - parts[2]) / np.sqrt(parts[3] + 1e-3) * parts[0] + parts[1]],
     "BatchNormalization", 6,
     [x, *parts], is_test=1, spatial=0, epsilon=1e-3)
own = (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-5) * c(scale) + c(bias)
case("InstanceNormalization", [own], "InstanceNormalization", 1, [x, scale, bias], consumed_inputs=[0, 0, 0],
     epsilon=1e-5)
case("Dropout of a test", [x], "Dropout", 1, [x], is_test=1, ratio=0.7, consumed_inputs=[0])
case("Dropout with mask", [x, np.ones_like(x)], "Dropout", 6, [x], outputs=2, is_test=1)
a, b = rand(4, 2), rand(4, 3)
case("Gemm with one row", [a.T @ b * 0.5 + 2 * channel], "Gemm", 1, [a, b, channel], transA=1, alpha=0.5, beta=2.0,
     broadcast=1)
case("Gemm as it is", [a.T @ b + 1], "Gemm", 6, [a, b, np.ones((2, 3), np.float32)], transA=1)
pairs = np.stack([x[:, :, i:i + 2, j:j + 2].reshape(2, 3, 4) for i in (0, 2) for j in (0, 2)], -2)
pairs = pairs.reshape(2, 3, 2, 2, 4)
case("LpPool of p as a float", [np.sqrt((pairs ** 2).sum(-1))], "LpPool", 1, [x], kernel_shape=[2, 2], strides=[2, 2],
     p=2.0)
case("LpPool", [np.abs(pairs).sum(-1)], "LpPool", 2, [x], kernel_shape=[2, 2], strides=[2, 2], p=1)
case("GlobalLpPool", [(np.abs(x) ** 3).sum((2, 3), keepdims=True) ** (1 / 3)], "GlobalLpPool", 1, [x], p=3.0)
case("MaxPool", [pairs.max(-1)], "MaxPool", 1, [x], kernel_shape=[2, 2], strides=[2, 2])
case("AveragePool", [pairs.mean(-1)], "AveragePool", 1, [x], kernel_shape=[2, 2], strides=[2, 2], auto_pad="VALID")
case("Flatten", [x.reshape(2, -1)], "Flatten", 1, [x])
blocks = rand(1, 4, 2, 3)
case("DepthToSpace", [blocks.reshape(1, 2, 2, 1, 2, 3).transpose(0, 3, 4, 1, 5, 2).reshape(1, 1, 4, 6)],
     "DepthToSpace", 1, [blocks], blocksize=2)
case("MeanVarianceNormalization of channels", [(x - x.mean((0, 2, 3), keepdims=True)) / x.std((0, 2, 3),
     keepdims=True)],
     "MeanVarianceNormalization", 1, [x], across_channels=0, normalize_variance=1)
case("MeanVarianceNormalization of all, mean only", [x - x.mean()], "MeanVarianceNormalization", 1, [x],
     across_channels=1,
     normalize_variance=0)

# Recurrent layers: output_sequence said that Y is wanted.
steps, w, r = rand(3, 2, 4), rand(1, 5, 4), rand(1, 5, 5)
h = np.zeros((2, 5), np.float32)
hs = [h := np.tanh(s @ w[0].T + h @ r[0].T) for s in steps]
case("RNN", [np.stack(hs)[:, None], h[None]], "RNN", 1, [steps, w, r], outputs=2, hidden_size=5, output_sequence=1)
case("RNN without the axis of directions", [np.stack(hs), h[None]], "RNN", 6, [steps, w[0], r[0]], outputs=2,
     hidden_size=5)
w, r = rand(1, 15, 4), rand(1, 15, 5)
sigmoid = lambda v: 1 / (1 + np.exp(-v))


def gru(s, h):
    z, q, n = np.split(s @ w[0].T, 3, 1)
    rz, rq, rn = np.split(r[0], 3)
    z, q = sigmoid(z + h @ rz.T), sigmoid(q + h @ rq.T)
    return (1 - z) * np.tanh(n + (q * h) @ rn.T) + z * h


h = np.zeros((2, 5), np.float32)
hs = [h := gru(s, h) for s in steps]
case("GRU", [np.stack(hs)[:, None], h[None]], "GRU", 1, [steps, w, r], outputs=2, hidden_size=5, output_sequence=1)
case("GRU", [np.stack(hs)[:, None], h[None]], "GRU", 3, [steps, w, r], outputs=2, hidden_size=5,
     activations=["Sigmoid", "Tanh"])

# Experimental operators, retired later.
case("ImageScaler", [x * 0.5 + c(channel)], "ImageScaler", 1, [x], scale=0.5, bias=channel.tolist())
case("Affine", [x * 1.5 - 0.5], "Affine", 1, [x], alpha=1.5, beta=-0.5)
case("Scale", [x * 0.25], "Scale", 1, [x], scale=0.25)
case("ScaledTanh", [1.5 * np.tanh(0.5 * x)], "ScaledTanh", 1, [x], alpha=1.5, beta=0.5)
case("ParametricSoftplus", [1.5 * np.log1p(np.exp(0.5 * x))], "ParametricSoftplus", 1, [x], alpha=1.5, beta=0.5)
case("ThresholdedRelu", [np.where(x > 0.5, x, 0)], "ThresholdedRelu", 1, [x], alpha=0.5)
case("Crop", [x[:, :, 1:3, 2:4]], "Crop", 1, [x], border=[2, 1, 1, 1])
case("Crop to a size", [x[:, :, 1:3, 2:5]], "Crop", 1, [x], border=[2, 1, 0, 0], scale=[2, 3])
case("GivenTensorFill", [np.arange(6, dtype=np.float32).reshape(2, 3)], "GivenTensorFill", 1, [], values=[0., 1., 2.,
     3., 4., 5.], shape=[2, 3])
case("ConstantFill", [np.full((2, 3), 1.5, np.float32)], "ConstantFill", 1, [], shape=[2, 3], value=1.5)
case("ConstantFill of a shape", [np.full((3, 2), 2.0, np.float32)], "ConstantFill", 1, [np.array([3, 2])],
     input_as_shape=1, value=2.0)
case("DynamicSlice", [x[:, 1:3]], "DynamicSlice", 1, [x, np.array([1]), np.array([3]), np.array([1])])


def difference(got, want):
    want = np.asarray(want)
    if got.shape != want.shape:
        return f"got shape {got.shape}, want {want.shape}"
    if want.dtype.kind != "f":
        return None if (got == want).all() and got.dtype == want.dtype else f"got {got.tolist()}, want {want.tolist()}"
    worst = np.abs(got - want).max(initial=0)
    return None if worst <= 2e-5 * np.abs(want).max(initial=1) else f"off by {worst:.3g}"


def main():
    tally = suite.Tally()
    for name, wanted, (op, opset, inputs), more in CASES:
        try:
            got = run(op, opset, inputs, **more)
            wrong = next((d for d in map(difference, got, wanted) if d), None)
        except engine.Failure as e:
            wrong = ": ".join(e.args)
        tally.note(f"opset {opset}, {name}", wrong)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
