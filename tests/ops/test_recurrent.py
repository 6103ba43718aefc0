#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""LSTM and GRU against their definition in float64, with all they may have: directions, lengths, clip, peepholes,
coupled gates, both places of the reset; sizes on both sides of vectors and panels. A sequence gives the same bits alone
as in a batch, and with two threads.

    tests/ops/test_recurrent.py [NAME ...]
"""
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
random = np.random.default_rng(7)
CASES = 60
ERROR = 2e-6  # of states, whose magnitude is 1


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(gates, h, c, r, bias, p, bound, attributes):
    i, o, f, g = np.split(gates + h @ r.T + bias, 4)
    n = len(h)
    if p is not None:
        i, f = i + p[:n] * c, f + p[2 * n:] * c
    i = sigmoid(bound(i))
    f = 1 - i if attributes.get("input_forget") else sigmoid(bound(f))
    c = f * c + i * np.tanh(bound(g))
    o = sigmoid(bound(o + p[n:2 * n] * c if p is not None else o))
    return o * np.tanh(c), c


def gru(gates, h, c, r, bias, p, bound, attributes):
    n = len(h)
    z, s = np.split(sigmoid(bound(gates[:2 * n] + h @ r[:2 * n].T + bias[:2 * n])), 2)
    if attributes["linear_before_reset"]:
        g = gates[2 * n:] + s * (h @ r[2 * n:].T + bias[2 * n:])
    else:
        g = gates[2 * n:] + (s * h) @ r[2 * n:].T + bias[2 * n:]
    return (1 - z) * np.tanh(bound(g)) + z * h, c


def evaluate(cell, case, attributes):
    """Y, Y_h and Y_c of one sequence after the other, in float64."""
    x, w, r, b = (case[k].astype(np.float64) for k in "XWRB")
    steps, batch, _ = x.shape
    directions, n = len(w), r.shape[2]
    y = np.zeros((steps, directions, batch, n))
    last = np.zeros((2, directions, batch, n))
    limit = attributes.get("clip", np.inf)
    for d in range(directions):
        for s in range(batch):
            length = case["lengths"][s]
            times = range(length)
            if d == 1 or attributes.get("direction") == "reverse":
                times = reversed(times)
            h, c = (case[k][d, s].astype(np.float64) for k in ("H", "C"))
            p = case["P"][d].astype(np.float64) if "P" in case else None
            for t in times:
                bias = b[d, len(w[d]):]
                h, c = cell(w[d] @ x[t, s] + b[d, :len(w[d])], h, c, r[d], bias, p,
                            lambda v: np.clip(v, -limit, limit), attributes)
                y[t, d, s] = h
            last[:, d, s] = h, c
    return [y, *last]


def draw(operator):
    gates = {"LSTM": 4, "GRU": 3}[operator]
    steps, batch = int(random.choice([1, 2, 7, 8, 9, 17, 40])), int(random.choice([1, 2, 3, 5]))
    inputs, n = int(random.choice([1, 5, 16, 80, 300])), int(random.choice([1, 3, 16, 17, 33, 64, 100, 130]))
    directions = int(random.choice([1, 2]))
    attributes = {"hidden_size": n, "direction": "bidirectional" if directions == 2 else
                  str(random.choice(["forward", "reverse"]))}
    if random.random() < 0.3:
        attributes["clip"] = float(random.choice([0.25, 1.0]))
    if operator == "GRU":
        attributes["linear_before_reset"] = int(random.integers(2))
    elif random.random() < 0.3:
        attributes["input_forget"] = 1

    def floats(*shape):
        return ((random.random(shape) * 2 - 1) / np.sqrt(n)).astype(np.float32)

    case = {"X": floats(steps, batch, inputs) * np.float32(np.sqrt(n)), "W": floats(directions, gates * n, inputs),
            "R": floats(directions, gates * n, n), "B": floats(directions, 2 * gates * n),
            "lengths": random.integers(1, steps, batch, endpoint=True).astype(np.int32),
            "H": floats(directions, batch, n), "C": floats(directions, batch, n)}
    if operator == "LSTM" and random.random() < 0.4:
        case["P"] = floats(directions, 3 * n)
    return case, attributes


def model(operator, case, attributes):
    states = ["H"] + ["C"] * (operator == "LSTM")
    inputs = ["X", "W", "R", "B", "lengths", *states] + ["P"] * ("P" in case)
    outputs = ["Y", "Y_h", "Y_c"][:1 + len(states)]
    free = {"X": ["steps", "batch", case["X"].shape[2]], "lengths": ["batch"]}
    free.update({k: [len(case["W"]), "batch", case["H"].shape[2]] for k in states})
    kinds = {"lengths": TensorProto.INT32}
    graph = helper.make_graph(
        [helper.make_node(operator, inputs, outputs, **attributes)], "g",
        [helper.make_tensor_value_info(k, kinds.get(k, TensorProto.FLOAT), shape) for k, shape in free.items()],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, None) for k in outputs],
        [numpy_helper.from_array(case[k], k) for k in inputs if k not in free])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 22)], ir_version=10).SerializeToString(), free


def check(operator, case, attributes):
    content, free = model(operator, case, attributes)
    session = engine.Session(content)
    got = session.run({k: case[k] for k in free})
    want = evaluate({"LSTM": lstm, "GRU": gru}[operator], case, attributes)
    for name, a, b in zip(("Y", "Y_h", "Y_c"), got, want):
        error = np.abs(a - b).max()
        assert error < ERROR, f"{name} is {error:.3g} off"
    two = engine.Session(content, threads=2).run({k: case[k] for k in free})
    assert all(a.tobytes() == b.tobytes() for a, b in zip(got, two)), "two threads give other bits"
    for s in range(case["X"].shape[1]):
        alone = session.run({k: case[k][s:s + 1] if k == "lengths" else case[k][:, s:s + 1] for k in free})
        for a, b in zip(alone, (y[..., s:s + 1, :] for y in got)):
            assert a.tobytes() == b.tobytes(), f"sequence {s} gives other bits alone"


for operator in filter(tally.wants, ("LSTM", "GRU")):
    for _ in range(CASES):
        drawn = draw(operator)
        sizes = {k: v.shape for k, v in drawn[0].items() if k in "XRP"}
        tally.attempt(f"{operator} {drawn[1]} {sizes}", lambda: check(operator, *drawn))
sys.exit(tally.close())
