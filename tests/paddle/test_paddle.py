#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""PaddlePaddle's inference programs against its own results, through paddle2onnx in this Python.

    tests/paddle/test_paddle.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import json
import os
import pathlib
import shutil
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "convert")]
import venv  # noqa: E402

venv.enter("paddle")

import numpy as np  # noqa: E402
import paddle  # noqa: E402
from paddle import nn  # noqa: E402

import suite  # noqa: E402
from harness import Model, command, same, scratch  # noqa: E402

paddle.seed(4)
RNG = np.random.default_rng(4)
TRUST = ("--trust", "--python", sys.executable)
F = nn.functional


class Residual(nn.Layer):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2D(3, 3, 3, padding=1), nn.BatchNorm2D(3)

    def forward(self, x):
        return F.relu(self.b(self.a(x)) + x)


class Recurrent(nn.Layer):
    def __init__(self):
        super().__init__()
        self.embed, self.rnn, self.out = nn.Embedding(30, 8), nn.LSTM(8, 6, direction="bidirect"), nn.Linear(12, 4)

    def forward(self, x):
        return self.out(self.rnn(self.embed(x))[0])


class Encoder(nn.Layer):
    def __init__(self):
        super().__init__()
        self.block, self.out = nn.TransformerEncoderLayer(16, 2, 32, activation="gelu"), nn.LayerNorm(16)

    def forward(self, x):
        return self.out(self.block(x))


IMAGE = RNG.normal(size=(2, 3, 8, 8)).astype(np.float32)
# name: net, input, dimensions that are free
NETS = {
    "dense": (nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3), nn.Softmax()), RNG.normal(size=(4, 5)).astype(np.float32)),
    "convolutions": (nn.Sequential(nn.Conv2D(3, 8, 3, 2, 1), nn.BatchNorm2D(8), nn.Hardswish(), nn.MaxPool2D(2, 2),
                                   nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(8, 4)), IMAGE),
    "residual": (Residual(), IMAGE),
    "depthwise and transposed": (nn.Sequential(nn.Conv2D(3, 3, 3, groups=3), nn.Swish(), nn.Conv2DTranspose(3, 2, 2, 2)), IMAGE),
    "recurrent": (Recurrent(), RNG.integers(0, 30, (2, 7))),
    "encoder": (Encoder(), RNG.normal(size=(2, 5, 16)).astype(np.float32)),
}


def save(name, net, x):
    net.eval()
    path = scratch(name.replace(" ", "_"))
    free = [None, *x.shape[1:]]
    paddle.jit.save(net, path, input_spec=[paddle.static.InputSpec(free, str(x.dtype), name="x")])
    return path


class Nets(unittest.TestCase):
    pass


def add(name, net, x):
    def test(self):
        path = save(name, net, x)
        got = Model(path + ".json", *TRUST, distance=1e-5)(x=x)
        same(name, next(iter(got.values())), net(paddle.to_tensor(x)).numpy(), distance=1e-5)
    setattr(Nets, "test_" + name.replace(" ", "_"), test)


for each, (made, data) in NETS.items():
    add(each, made, data)


class Files(unittest.TestCase):
    def setUp(self):
        self.net, self.x = NETS["dense"]

    def check(self, path):
        got = Model(path, *TRUST, distance=1e-5)(x=self.x)
        same("result", next(iter(got.values())), self.net(paddle.to_tensor(self.x)).numpy(), distance=1e-5)

    def test_folder(self):
        path, folder = save("file", self.net, self.x), scratch("folder")
        os.mkdir(folder)
        for ending in (".json", ".pdiparams"):
            shutil.copy(path + ending, f"{folder}/inference{ending}")
        self.check(folder)

    def test_programs_of_version_2(self):
        paddle.set_flags({"FLAGS_enable_pir_api": False})
        try:
            with paddle.pir_utils.OldIrGuard():
                path = save("old", self.net, self.x)
        finally:
            paddle.set_flags({"FLAGS_enable_pir_api": True})
        if not os.path.exists(path + ".pdmodel"):
            self.skipTest("this PaddlePaddle writes no .pdmodel")
        self.check(path + ".pdmodel")

    def test_proof(self):
        path, target = save("proof", self.net, self.x), scratch("proof.onnx")
        done = command("convert", path + ".json", "-o", target, *TRUST, "--verify", "random", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(json.loads(done.stdout)["proof"])

    def test_refusals(self):
        path = save("refused", self.net, self.x)
        done = command("convert", path + ".json")
        self.assertEqual(done.returncode, 1)
        self.assertIn("--trust", done.stderr)
        done = command("run", path + ".json", "--random")
        self.assertIn("--trust", done.stderr)
        done = command("convert", path + ".json", "--trust", "--python", "/usr/bin/python3")
        self.assertEqual(done.returncode, 1)
        self.assertIn("pip install", done.stderr)


if __name__ == "__main__":
    sys.exit(suite.run())
