# SPDX-License-Identifier: Apache-2.0
"""Models for the tests, written as bytes (tests/onnx_bytes.py): no onnx package needed."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

import onnx_bytes as ob  # noqa: E402


@pytest.fixture
def twice():
    """y = x + x, float [batch, 3]; the producer is "tests"."""
    add = ob.node("Add", ["x", "x"], ["y"])
    return ob.simple([add], [("x", ob.FLOAT, ["batch", 3])], [("y", ob.FLOAT, ["batch", 3])]) + ob.block(2, "tests")


@pytest.fixture
def same():
    """Makes a model that hands a tensor of some type through."""
    return lambda dtype, shape: ob.simple([ob.node("Identity", ["x"], ["y"])], [("x", dtype, shape)], [("y", dtype, shape)])


@pytest.fixture
def slow():
    """A product that takes a while: [n, n] times itself, many times."""
    nodes = [ob.node("MatMul", [f"t{i}", "x"], [f"t{i + 1}"]) for i in range(64)]
    first = ob.node("Identity", ["x"], ["t0"])
    return ob.simple([first] + nodes, [("x", ob.FLOAT, ["n", "n"])], [("t64", ob.FLOAT, ["n", "n"])])
