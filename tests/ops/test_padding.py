#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pad against numpy.pad: random shapes, borders many times longer than the axis, cropping, every mode and width of
element.

    tests/ops/test_padding.py [--long]
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv  # noqa: E402

venv.enter()
import numpy as np  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

import engine  # noqa: E402
import suite  # noqa: E402

tally = suite.Tally()
random = np.random.default_rng(4)
ROUNDS = 4000 if "--long" in sys.argv else 400
MODES = ["reflect", "edge", "wrap", "constant"]
TYPES = [np.float32, np.int8, np.float64, np.complex128]


def border(x, low, high, mode):
    """What is cropped goes first."""
    kept = x[tuple(slice(max(0, -l), s - max(0, -h)) for l, h, s in zip(low, high, x.shape))]
    return np.pad(kept, [(max(0, l), max(0, h)) for l, h in zip(low, high)], mode=mode)


def model(shape, dtype, pads, mode):
    graph = helper.make_graph(
        [helper.make_node("Pad", ["x", "p"], ["y"], mode=mode)], "g",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)],
        [helper.make_empty_tensor_value_info("y")], [numpy_helper.from_array(np.array(pads, np.int64), "p")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9).SerializeToString()


for trial in range(ROUNDS):
    rank = int(random.integers(1, 4))
    shape = random.integers(1, 6, rank).tolist()
    longest = 40 // rank
    low = [int(v) for v in random.integers(-2, longest, rank)]
    high = [int(v) for v in random.integers(-2, longest, rank)]
    if any(max(0, -l) + max(0, -h) >= s for l, h, s in zip(low, high, shape)):
        continue
    mode, dtype = MODES[trial % 4], TYPES[trial // 4 % 4]
    x = random.integers(-100, 100, shape).astype(dtype)
    got = engine.Session(model(shape, dtype, low + high, mode)).run({"x": x})[0]
    want = border(x, low, high, mode)
    same = got.shape == want.shape and (got == want).all()
    tally.note(f"{mode} {shape}", None if same else f"borders {low} and {high}: {got.tolist()}, want {want.tolist()}")
sys.exit(tally.close())
