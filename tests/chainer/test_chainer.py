#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX written by Chainer (onnx_chainer, opsets 7 to 9) against Chainer's own results.

    tests/chainer/test_chainer.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import os
import pathlib
import sys
import unittest
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "ops"), str(HERE.parent / "convert")]
import venv  # noqa: E402

os.environ["PIP_CONSTRAINT"] = str(HERE / "requirements.txt")  # Chainer is built by a setuptools of its time
venv.enter("chainer")

warnings.filterwarnings("ignore")
import chainer  # noqa: E402
import chainer.functions as F  # noqa: E402
import chainer.links as L  # noqa: E402
import numpy as np  # noqa: E402
import onnx_chainer  # noqa: E402

import engine  # noqa: E402
import suite  # noqa: E402
from harness import same, scratch  # noqa: E402

RNG = np.random.RandomState(3)
np.random.seed(3)


def link(*layers):
    return chainer.Sequential(*layers)


def n(*shape):
    return RNG.normal(size=shape).astype(np.float32)


class Residual(chainer.Chain):
    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.a, self.b = L.Convolution2D(3, 3, 3, pad=1), L.BatchNormalization(3)

    def forward(self, x):
        return F.relu(self.b(self.a(x)) + x)


NETS = {
    "perceptron": (link(L.Linear(5, 8), F.relu, L.Linear(8, 3), F.softmax), n(4, 5)),
    "convolutions": (link(L.Convolution2D(3, 6, 3, 2, 1), L.BatchNormalization(6), F.relu,
                          lambda x: F.max_pooling_2d(x, 2, 2), L.Linear(None, 4)), n(2, 3, 8, 8)),
    "pools that cover all": (link(L.Convolution2D(3, 4, 3), lambda x: F.max_pooling_2d(x, 3, 2),
                                  lambda x: F.average_pooling_2d(x, 2, 1)), n(2, 3, 10, 10)),
    "residual": (Residual(), n(2, 3, 6, 6)),
    "depthwise": (link(L.DepthwiseConvolution2D(3, 2, 3), F.sigmoid), n(1, 3, 6, 6)),
    "transposed": (link(L.Deconvolution2D(3, 4, 4, 2, 1), F.tanh), n(1, 3, 5, 5)),
    "dilated": (link(L.DilatedConvolution2D(3, 4, 3, dilate=2), F.leaky_relu), n(1, 3, 9, 9)),
    "activations": (link(L.Linear(6, 6), F.elu, F.softplus, lambda x: F.clipped_relu(x, 2.0), F.hard_sigmoid), n(3, 6)),
    "arithmetic": (link(L.Linear(6, 6), lambda x: F.exp(x) / (x * x + 1.0) - F.sqrt(F.absolute(x) + 1)), n(3, 6)),
    "shapes": (link(L.Linear(6, 6), lambda x: F.transpose(F.reshape(x, (3, 2, 3)), (0, 2, 1)),
                    lambda x: F.concat([x, x * 2], axis=1), lambda x: x[:, 1:5], lambda x: F.sum(x, axis=2)), n(3, 6)),
    "local response": (link(L.Convolution2D(3, 6, 1), F.local_response_normalization), n(1, 3, 4, 4)),
    "words": (link(L.EmbedID(20, 4), lambda x: F.mean(x, axis=1), L.Linear(4, 3)), RNG.randint(0, 20, (2, 5)).astype(np.int64)),
    "resized": (link(L.Convolution2D(3, 2, 1), lambda x: F.unpooling_2d(x, 2, cover_all=False)), n(1, 3, 4, 4)),
}


class Nets(unittest.TestCase):
    pass


def add(name, net, x, opset):
    def test(self):
        path = scratch("net.onnx")
        with chainer.using_config("train", False), chainer.using_config("enable_backprop", False):
            want = net(x).array
        with chainer.using_config("train", False):
            try:
                onnx_chainer.export(net, x, filename=path, opset_version=opset)
            except (ValueError, NotImplementedError, RuntimeError) as e:
                self.skipTest(f"onnx_chainer: {e}"[:120])
        session = engine.Session(pathlib.Path(path).read_bytes())
        feeds = dict.fromkeys(session.inputs if hasattr(session, "inputs") else ["Input_0"], x)
        same(name, session.run(feeds)[0], want, distance=1e-5)
    setattr(Nets, f"test_{name.replace(' ', '_')}_{opset}", test)


for each, (made, data) in NETS.items():
    for number in (7, 8, 9):
        add(each, made, data, number)

if __name__ == "__main__":
    sys.exit(suite.run())
