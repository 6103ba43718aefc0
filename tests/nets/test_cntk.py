#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CNTK's native models, written here as its dictionaries are documented, against NumPy. No file of CNTK's own was at
hand when this was written.

    tests/nets/test_cntk.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import pathlib
import struct
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "convert")]
import venv  # noqa: E402

venv.enter("nets")

import numpy as np  # noqa: E402

import suite  # noqa: E402
from harness import Model, command, same, scratch  # noqa: E402

RNG = np.random.default_rng(9)
FREE = 2 ** 64 - 3


# ---- the dictionaries -----------------------------------------------------------------------------------

def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


class Shape(tuple):
    """As NumPy has it; in the file the fastest dimension comes first."""


class Axis(int):
    """From the fastest dimension on."""


def nd_shape(shape):
    return field(1, b"".join(varint(n) for n in reversed(shape)))


def value(v):
    if isinstance(v, Shape):
        kind, body = 7, field(9, nd_shape(v))
    elif isinstance(v, Axis):
        kind, body = 8, field(10, field(1, int(v)))
    elif isinstance(v, bool):
        kind, body = 1, field(3, int(v))
    elif isinstance(v, int):
        kind, body = 3, field(5, v)
    elif isinstance(v, float):
        kind, body = 5, varint(7 << 3 | 1) + struct.pack("<d", v)
    elif isinstance(v, str):
        kind, body = 6, field(8, v)
    elif isinstance(v, list):
        kind, body = 9, field(11, b"".join(field(1, value(e)) for e in v))
    elif isinstance(v, dict):
        kind, body = 10, field(12, dictionary(v))
    else:
        kind, body = 11, field(13, field(1, 1) + field(3, nd_shape(v.shape)) + field(4, field(1, v.astype("<f4").tobytes())))
    return field(1, 1) + field(2, kind) + body


def dictionary(d):
    return field(1, 1) + b"".join(field(2, field(1, k) + field(2, value(v))) for k, v in d.items())


class Net:
    """uids and NumPy values side by side."""

    def __init__(self):
        self.inputs, self.functions, self.feeds, self.values = [], [], {}, {}

    def variable(self, kind, shape, name, **more):
        uid = f"{name}{len(self.inputs)}"
        self.inputs.append({"version": 1, "type": "Variable", "uid": uid, "kind": kind, "data_type": 1, "is_sparse": False,
                            "name": name, "needs_gradient": False, "shape": Shape(shape), **more})
        return uid

    def input(self, *shape, batch=3, axes=1):
        uid = self.variable(0, shape, f"x{len(self.feeds)}", dynamic_axis=[Axis(0)] * axes)
        self.feeds[self.inputs[-1]["name"]] = self.values[uid] = RNG.normal(size=([batch, 4][:axes] + list(shape))).astype(np.float32)
        return uid

    def parameter(self, v):
        v = np.asarray(v, np.float32)
        uid = self.variable(2, v.shape, "p", dynamic_axis=[], value=v)
        self.values[uid] = v
        return uid

    def add(self, op, inputs, result, name="", **attributes):
        uid = f"f{len(self.functions)}"
        self.functions.append({"version": 1, "type": "PrimitiveFunction", "uid": uid, "op": op, "name": name or uid + "n",
                               "inputs": list(inputs), "attributes": attributes})
        self.values[uid + "_Output_0"] = result
        return uid + "_Output_0"

    def composite(self, root):
        return {"version": 1, "type": "CompositeFunction", "root": root, "uid": "c", "name": "", "inputs": self.inputs,
                "primitive_functions": self.functions}

    def save(self, root=None):
        path = scratch("net.model")
        pathlib.Path(path).write_bytes(dictionary(self.composite(root or self.functions[-1]["uid"])))
        return path

    def check(self, distance=1e-5):
        got = Model(self.save(), distance=distance)(**self.feeds)
        same("result", next(iter(got.values())), self.values[self.functions[-1]["uid"] + "_Output_0"], distance=distance)


def n(*shape):
    return RNG.normal(size=shape).astype(np.float32) * 0.5


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def windows(x, kernel, stride, auto, how, fill=0.0):
    """x [n, c, h, w]; CNTK's places of windows."""
    starts, outs = [], []
    for size, k, s in zip(x.shape[2:], kernel, stride):
        out = -(-size // s) if auto else (size - k) // s + 1
        extra = size - ((out - 1) * s + 1)
        starts.append((extra // 2 if auto else (k - 1) // 2) - (k - 1) // 2)
        outs.append(out)
    y = []
    for i in range(outs[0]):
        for j in range(outs[1]):
            part = np.full(x.shape[:2] + tuple(kernel), fill, np.float32)
            for a in range(kernel[0]):
                for b in range(kernel[1]):
                    r, c = starts[0] + i * stride[0] + a, starts[1] + j * stride[1] + b
                    if 0 <= r < x.shape[2] and 0 <= c < x.shape[3]:
                        part[:, :, a, b] = x[:, :, r, c]
            y.append(how(part))
    return np.stack(y, -1).reshape(*y[0].shape, *outs)


class Nets(unittest.TestCase):
    def test_dense(self):
        net, w, b = Net(), n(5, 4), n(4)
        x = net.input(5)
        y = net.values[x] @ w
        t = net.add(31, [net.parameter(w), x], y, outputRank=1)
        t = net.add(19, [t, net.parameter(b)], y + b)
        net.add(10, [net.add(3, [t], np.maximum(y + b, 0))], softmax(np.maximum(y + b, 0)), name="probabilities")
        net.check()

    def test_products_of_several_dimensions(self):
        net, w = Net(), n(2, 3, 4, 5)
        x = net.input(2, 3)
        net.add(31, [net.parameter(w), x], np.tensordot(net.values[x], w, 2), outputRank=2)
        net.check()

    def test_transpose_times_in_sequences(self):
        net, w = Net(), n(4, 5)
        x = net.input(5, axes=2)
        y = net.values[x] @ w.T
        net.add(2, [net.add(32, [net.parameter(w), x], y, outputRank=1)], np.tanh(y))
        net.check()

    def convolve(self, size, kernel, stride, auto):
        net, w = Net(), n(4, 3, *kernel)
        x = net.input(3, *size)
        y = windows(net.values[x], kernel, stride, auto, lambda p: np.einsum("nchw,ochw->no", p, w))
        net.add(33, [net.parameter(w), x], y, strides=Shape((3, *stride)), autoPadding=[auto, auto, False], sharing=[True],
                dilation=Shape((1,)), lowerPad=Shape((0,)), upperPad=Shape((0,)), transpose=False, groups=1)
        net.check()

    def test_convolutions(self):
        for size, kernel, stride, auto in (((7, 8), (3, 3), (1, 1), True), ((7, 8), (3, 3), (2, 2), True), ((8, 8), (5, 4), (2, 3), True),
                                           ((9, 6), (2, 2), (2, 2), True), ((9, 8), (3, 2), (2, 1), False)):
            with self.subTest(size=size, kernel=kernel, stride=stride, auto=auto):
                self.convolve(size, kernel, stride, auto)

    def test_pools(self):
        for kind, how, fill in ((0, lambda p: p.max((2, 3)), -np.inf), (1, lambda p: np.nanmean(p, (2, 3)), np.nan)):
            for auto in (False, True):
                net = Net()
                x = net.input(2, 7, 8)
                y = windows(net.values[x], (3, 2), (2, 2), auto, how, fill)
                net.add(17, [x], y, poolingType=kind, poolingWindowShape=Shape((3, 2)), strides=Shape((2, 2)),
                        autoPadding=[auto], lowerPad=Shape((0,)), upperPad=Shape((0,)), ceilOutDim=False, includePad=False)
                net.check()

    def test_batch_normalization(self):
        net, c = Net(), 3
        scale, shift, mean, variance = n(c), n(c), n(c), np.abs(n(c)) + 0.5
        x = net.input(c, 4, 5)
        parts = [net.parameter(p) for p in (scale, shift, mean, variance, np.float32(0))]
        def wide(p):
            return p[:, None, None]
        y = (net.values[x] - wide(mean)) / np.sqrt(wide(variance) + 1e-3) * wide(scale) + wide(shift)
        net.add(40, [x, *parts], y, spatial=True, epsilon=1e-3, useCuDNNEngine=False)
        net.check()

    def test_broadcast(self):
        net, b = Net(), n(3, 1, 1)
        x, z = net.input(3, 4, 5), net.input(5)
        y = net.values[x] * b
        t = net.add(21, [x, net.parameter(b)], y)
        net.add(20, [t, z], y - net.values[z][:, None, None, :])
        net.check()

    def test_shapes(self):
        net = Net()
        x = net.input(4, 6)
        v = net.values[x]
        a = net.add(12, [x], v.transpose(0, 2, 1), axis1=Axis(0), axis2=Axis(1))
        b = net.add(14, [a], v.transpose(0, 2, 1)[:, 1:4], axis=Axis(1), beginIndex=1, endIndex=4)
        c = net.add(43, [a, b], np.concatenate([v.transpose(0, 2, 1), v.transpose(0, 2, 1)[:, 1:4]], 1), axis=Axis(1))
        net.add(16, [c], net.values[c].reshape(3, 3, 12), newShape=Shape((3, 12)))
        net.check()

    def test_reductions(self):
        for name, how in (("Sum", np.sum), ("Mean", np.mean), ("Max", np.max), ("Min", np.min)):
            net = Net()
            x = net.input(4, 6)
            net.add(39, [x], how(net.values[x], axis=1, keepdims=True), reductionOpName=name, axis=Axis(1),
                    reductionKeepDimensions=True)
            net.check()

    def test_blocks_and_results(self):
        net, w = Net(), n(5, 4)
        x = net.input(5)
        inner = Net()
        place = inner.variable(4, (5,), "place")
        t = inner.add(31, [net.parameter(w), place], None, outputRank=1)
        inner.functions[-1]["uid"] = "inside"
        inner.add(3, ["inside_Output_0"], None)
        inner.functions[-1]["uid"] = "relu"
        y = np.maximum(net.values[x] @ w, 0)
        net.add(57, [x], y)
        net.functions[-1].update({"block_function_op_name": "Dense", "block_function_composite": inner.composite("relu"),
                                  "block_function_composite_arguments_map_keys": [place],
                                  "block_function_composite_arguments_map_values": [x]})
        block = "f0_Output_0"
        net.add(1, [block], 1 / (1 + np.exp(-y)), name="second")
        net.add(44, [block, "f1_Output_0"], None)
        got = Model(net.save(), distance=1e-5)(**net.feeds)
        same("of the block", list(got.values())[0], y, 1e-5)
        same("second", got["second"], 1 / (1 + np.exp(-y)), 1e-5)
        del t

    def test_refusals(self):
        net = Net()
        x = net.input(5)
        net.add(37, [x, net.parameter(np.zeros(()))], None, offset=1)
        net.add(83, ["f0_Output_0"], None, name="padded")
        done = command("convert", net.save(), "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        for word in ("PastValue (a recurrence)", "padded: the operation 83, Pad", "2 problems"):
            self.assertIn(word, done.stderr)
        pathlib.Path(scratch("old.dnn")).write_bytes("BCN\0".encode("utf-16-le") + bytes(100))
        self.assertIn("CNTK 1", command("convert", scratch("old.dnn")).stderr)


if __name__ == "__main__":
    sys.exit(suite.run())
