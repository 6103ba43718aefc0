#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Gradient (ai.onnx.preview.training) against numeric differentiation, in double: one graph per operator with a rule,
random chains of operators, other tensors fed than the named ones, second derivatives, and what must be refused.

    tests/ops/test_gradient.py [--seeds N] [NAME ...]     only cases whose name contains a NAME
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter()

import numpy as np  # noqa: E402
import onnx  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

import engine  # noqa: E402
import suite  # noqa: E402

TRAINING = "ai.onnx.preview.training"
STEP = 1e-5


def model(nodes, inputs, outputs, constants=()):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
                     for n, x in inputs.items()],
        [onnx.ValueInfoProto(name=o) for o in outputs],
        [numpy_helper.from_array(np.asarray(x), n) for n, x in dict(constants).items()])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(TRAINING, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def weighted(nodes, out, shape, rng):
    """The sum of `out` under random weights: so that no part of a derivative is hidden by symmetry."""
    w = rng.normal(size=shape)
    return nodes + [helper.make_node("Mul", [out, "weights"], ["loss"])], {"weights": w}


def numeric(session, feeds, name):
    """d sum(first output) / d feeds[name] by central differences."""
    x = feeds[name]
    result = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        sides = []
        for step in (STEP, -STEP):
            moved = x.copy()
            moved[i] += step
            sides.append(session.run({**feeds, name: moved})[0].sum())
        result[i] = (sides[0] - sides[1]) / (2 * STEP)
    return result


def check(rng, nodes, inputs, constants, y="y"):
    """Fails where a derivative differs from the numeric one."""
    xs = [n for n, x in inputs.items() if x.dtype == np.float64]
    zs = [n for n in inputs if n not in xs]
    shape = engine.Session(model(nodes, inputs, [y], constants)).run(inputs)[0].shape
    nodes, weights = weighted(nodes, y, shape, rng)
    constants = {**constants, **weights}
    forward = engine.Session(model(nodes, inputs, ["loss"], constants))
    names = [f"d_{x}" for x in xs]
    attributes = {"xs": xs, "y": "loss", **({"zs": zs} if zs else {})}
    fed = [n + "_fed" for n in xs + zs]
    both = [helper.make_node("Gradient", xs + zs, names, domain=TRAINING, **attributes),
            helper.make_node("Gradient", fed, [n + "_2" for n in names], domain=TRAINING, **attributes)]
    other = {n + "_fed": inputs[n] for n in xs + zs}
    got = engine.Session(model(both + nodes, {**inputs, **other}, names + [n + "_2" for n in names],
                               constants)).run({**inputs, **other})
    for i, x in enumerate(xs):
        want = numeric(forward, inputs, x)
        for made, how in ((got[i], "in place"), (got[i + len(xs)], "fed")):
            assert made.shape == want.shape, f"d{x} {how} has shape {made.shape}, wanted {want.shape}"
            worst = np.abs(made - want).max(initial=0)
            assert np.allclose(made, want, rtol=1e-5, atol=1e-6), f"d{x} {how} is off by {worst:.3g}"


def N(op, inputs, outputs="y", **attributes):
    return helper.make_node(op, inputs.split(","), outputs.split(","), **attributes)


def away(rng, *shape):
    """Not near 0, where some derivatives jump."""
    x = rng.uniform(0.2, 2, shape)
    return np.asarray(x * rng.choice([-1, 1], shape))


def positive(rng, *shape):
    return rng.uniform(0.2, 2, shape)


def inside(rng, *shape):
    return rng.uniform(-0.9, 0.9, shape)


I = np.array
UNARY = {"Identity": away, "Neg": away, "Abs": away, "Exp": away, "Log": positive, "Sqrt": positive, "Reciprocal": away,
         "Sin": away, "Cos": away, "Tan": inside, "Asin": inside, "Acos": inside, "Atan": away, "Sinh": away,
         "Cosh": away, "Tanh": away, "Asinh": away, "Acosh": lambda r, *s: 1 + positive(r, *s), "Atanh": inside,
         "Sigmoid": away, "Softplus": away, "Softsign": away, "Erf": away, "Relu": away, "LeakyRelu": away, "Elu": away,
         "Flatten": away, "Softmax": away, "LogSoftmax": away, "Transpose": away, "Trilu": away}


def cases():
    """(name, function of rng -> (nodes, inputs, constants))"""
    for op, values in UNARY.items():
        yield op, lambda r, op=op, values=values: ([N(op, "x")], {"x": values(r, 2, 3)}, {})
    for op in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mean", "Sum", "PRelu"):
        for a, b in (((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), (2, 1)), ((2, 3), ()), ((2, 3), (1, 1))):
            yield f"{op} {a} {b}", lambda r, op=op, a=a, b=b: ([N(op, "x,b")], {"x": away(r, *a), "b": away(r, *b)}, {})
        if op != "PRelu":
            yield f"{op} (1,) (2,3)", lambda r, op=op: ([N(op, "x,b")], {"x": away(r, 1), "b": away(r, 2, 3)}, {})
    yield "Pow", lambda r: ([N("Pow", "x,b")], {"x": positive(r, 2, 3), "b": away(r, 3)}, {})
    yield "Pow int", lambda r: ([N("Pow", "x,b")], {"x": away(r, 2, 3)}, {"b": I([1, 2, 3])})
    yield "x used twice", lambda r: ([N("Mul", "x,x", "t"), N("Add", "t,x")], {"x": away(r, 2, 3)}, {})
    yield "Max of equals", lambda r: ([N("Max", "x,x,x")], {"x": away(r, 2)}, {})
    yield "Where", lambda r: ([N("Where", "c,x,b")], {"x": away(r, 2, 3), "b": away(r, 3)},
                              {"c": I([[True], [False]])})
    yield "Clip", lambda r: ([N("Clip", "x,lo,hi")], {"x": away(r, 4, 3), "lo": I(-0.7), "hi": I(0.9)}, {})
    yield "Cast", lambda r: ([N("Cast", "x", "t", to=1), N("Cast", "t", "u", to=11), N("Sub", "x,u", "v"),
                              N("Mul", "v,z", "w"), N("Add", "w,x")], {"x": I([0.5, 2.0])}, {"z": I(0.0)})
    yield "through integers", lambda r: ([N("Cast", "x", "t", to=7), N("Cast", "t", "u", to=11), N("Mul", "u,x")],
                                         {"x": I([1.5, -2.5])}, {})
    for a, b in (((2, 3), (3, 4)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (3,)), ((5, 2, 3), (3, 4)),
                 ((5, 2, 3), (5, 3, 4)), ((2, 1, 2, 3), (5, 3, 4)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,))):
        yield f"MatMul {a} {b}", lambda r, a=a, b=b: ([N("MatMul", "x,b")], {"x": away(r, *a), "b": away(r, *b)}, {})
    for ta in (0, 1):
        for tb in (0, 1):
            yield f"Gemm {ta} {tb}", lambda r, ta=ta, tb=tb: (
                [N("Gemm", "x,b,c", transA=ta, transB=tb, alpha=0.5, beta=2.0)],
                {"x": away(r, *((3, 2) if ta else (2, 3))), "b": away(r, *((4, 3) if tb else (3, 4))),
                 "c": away(r, 4)}, {})
    for op in ("Sum", "Mean", "SumSquare", "L1", "L2", "LogSum", "LogSumExp", "Max", "Min", "Prod"):
        values = positive if op == "LogSum" else away
        for axes in (None, [1], [-1, 0], [0, 2]):
            for keep in (0, 1):
                yield f"Reduce{op} {axes} {keep}", lambda r, op=op, axes=axes, keep=keep, values=values: (
                    [N("Reduce" + op, "x,a" if axes else "x", keepdims=keep)], {"x": values(r, 2, 3, 2)},
                    {"a": I(axes)} if axes else {})
        yield f"Reduce{op} noop", lambda r, op=op, values=values: (
            [N("Reduce" + op, "x,a", noop_with_empty_axes=1)], {"x": values(r, 2, 3)}, {"a": np.zeros(0, np.int64)})
    for axis in (0, 1, -1):
        yield f"Softmax {axis}", lambda r, axis=axis: ([N("Softmax", "x", axis=axis)], {"x": away(r, 2, 3, 2)}, {})
        yield f"LogSoftmax {axis}", lambda r, axis=axis: ([N("LogSoftmax", "x", axis=axis)], {"x": away(r, 2, 3, 2)},
                                                          {})
        yield f"Concat {axis}", lambda r, axis=axis: (
            [N("Concat", "x,b,x", axis=axis)], {"x": away(r, 2, 3), "b": away(r, *((4, 3) if axis == 0 else (2, 4)))},
            {})
        yield f"Split {axis}", lambda r, axis=axis: (
            [N("Split", "x", "p,q", num_outputs=2, axis=axis), N("Mul", "p,w", "t")],
            {"x": away(r, 4, 4)}, {"w": I(3.0)}, "t")
    yield "Split both", lambda r: ([N("Split", "x,s", "p,q"), N("Mul", "p,q")], {"x": away(r, 4, 2)}, {"s": I([2, 2])})
    yield "Transpose perm", lambda r: ([N("Transpose", "x", perm=[1, 2, 0])], {"x": away(r, 2, 3, 4)}, {})
    yield "Reshape", lambda r: ([N("Reshape", "x,s")], {"x": away(r, 2, 3)}, {"s": I([3, -1])})
    yield "Squeeze", lambda r: ([N("Squeeze", "x,s")], {"x": away(r, 2, 1)}, {"s": I([1])})
    yield "Unsqueeze", lambda r: ([N("Unsqueeze", "x,s")], {"x": away(r, 2)}, {"s": I([1])})
    yield "Expand", lambda r: ([N("Expand", "x,s")], {"x": away(r, 2, 1)}, {"s": I([3, 1, 4])})
    yield "Slice", lambda r: ([N("Slice", "x,a,b,c,d")], {"x": away(r, 5, 4)},
                              {"a": I([-1, 0]), "b": I([-9, 3]), "c": I([0, 1]), "d": I([-2, 1])})
    yield "Gather", lambda r: ([N("Gather", "x,i", axis=1)], {"x": away(r, 2, 4)}, {"i": I([[0, 1], [-1, 1]])})
    yield "Gather index", lambda r: ([N("Gather", "x,i", axis=1)], {"x": away(r, 2, 4), "i": I([2])}, {})
    yield "GatherElements", lambda r: ([N("GatherElements", "x,i")], {"x": away(r, 3, 2)}, {"i": I([[0, 1], [0, 0]])})
    yield "GatherND", lambda r: ([N("GatherND", "x,i")], {"x": away(r, 3, 2)}, {"i": I([[0], [2], [2]])})
    yield "Tile", lambda r: ([N("Tile", "x,s")], {"x": away(r, 2, 3)}, {"s": I([2, 2])})
    yield "DepthToSpace", lambda r: ([N("DepthToSpace", "x", blocksize=2)], {"x": away(r, 1, 4, 2, 2)}, {})
    yield "SpaceToDepth", lambda r: ([N("SpaceToDepth", "x", blocksize=2)], {"x": away(r, 1, 1, 4, 2)}, {})
    yield "Compress", lambda r: ([N("Compress", "x,c", axis=0)], {"x": away(r, 3, 2)}, {"c": I([True, False, True])})
    yield "CumSum", lambda r: ([N("CumSum", "x,i", exclusive=1)], {"x": away(r, 3, 2)}, {"i": I(0)})
    yield "Pad", lambda r: ([N("Pad", "x,s")], {"x": away(r, 2, 3)}, {"s": I([1, 0, 0, 2])})
    yield "Pad value", lambda r: ([N("Pad", "x,s,v")], {"x": away(r, 2, 3), "v": I(2.0)}, {"s": I([1, -1, 0, 2])})
    yield "Pad edge", lambda r: ([N("Pad", "x,s", mode="edge")], {"x": away(r, 2, 3)}, {"s": I([1, 0, 0, 2])})
    for op in ("Selu", "Celu", "Mish", "HardSwish", "HardSigmoid", "ThresholdedRelu", "Gelu"):
        yield op, lambda r, op=op: ([N(op, "x")], {"x": 3 * away(r, 3, 4)}, {})
    yield "Gelu tanh", lambda r: ([N("Gelu", "x", approximate="tanh")], {"x": away(r, 3, 4)}, {})
    yield "Dropout", lambda r: ([N("Dropout", "x")], {"x": away(r, 3)}, {})
    for axis in (-1, 1):
        yield f"LayerNormalization {axis}", lambda r, axis=axis: (
            [N("LayerNormalization", "x,s,b", axis=axis)],
            {"x": away(r, 2, 3, 4), "s": away(r, *((4,) if axis < 0 else (3, 4))), "b": away(r, 4)}, {})
    for name, x, w, attributes in (
            ("", (2, 3, 5), (4, 3, 2), {}), (" strides", (2, 2, 7), (3, 2, 3), {"strides": [2], "pads": [1, 2]}),
            (" groups", (2, 4, 5, 6), (6, 2, 3, 2), {"group": 2, "strides": [2, 3], "pads": [1, 0, 2, 1]}),
            (" dilations", (1, 2, 7, 6), (2, 2, 2, 3), {"dilations": [3, 2], "strides": [1, 2], "pads": [0, 1, 1, 0]}),
            (" depthwise", (2, 3, 4, 4), (3, 1, 2, 2), {"group": 3})):
        yield "Conv" + name, lambda r, x=x, w=w, a=attributes: (
            [N("Conv", "x,w,b", **a)], {"x": away(r, *x), "w": away(r, *w), "b": away(r, w[0])}, {})
    yield "MaxPool", lambda r: ([N("MaxPool", "x", kernel_shape=[2, 3], strides=[1, 2], pads=[1, 0, 0, 1])],
                                {"x": away(r, 2, 2, 4, 5)}, {})
    yield "GlobalAveragePool", lambda r: ([N("GlobalAveragePool", "x")], {"x": away(r, 2, 2, 4, 5)}, {})
    yield "independent", lambda r: ([N("Mul", "b,b")], {"x": away(r, 2), "b": away(r, 2)}, {})


def random_graph(r):
    """A chain of operators on [2, 3] tensors, each reading what any before it made."""
    inputs = {"x": away(r, 2, 3), "b": away(r, 3), "c": away(r, 2, 1), "m": away(r, 3, 3)}
    names, nodes = ["x"], []
    for i in range(r.integers(2, 9)):
        a, b, out = r.choice(names), r.choice(names + ["b", "c"]), f"t{i}"
        kind = r.integers(6)
        if kind == 0:
            nodes.append(N(r.choice(["Tanh", "Sigmoid", "Sin", "Softplus", "Erf", "Neg", "Softmax"]), a, out))
        elif kind == 1:
            nodes.append(N("MatMul", f"{a},m", out))
        elif kind == 2:
            nodes += [N("ReduceMean", f"{a},one", out + "r"), N("Sub", f"{a},{out}r", out)]
        elif kind == 3:
            nodes += [N("Transpose", a, out + "t"), N("Gemm", f"{out}t,m", out, transA=1)]
        elif kind == 4:
            nodes += [N("Concat", f"{a},{b}" if b in names else f"{a},x", out + "c", axis=0),
                      N("Slice", f"{out}c,one,three", out)]
        else:
            nodes.append(N(r.choice(["Add", "Sub", "Mul"]), f"{a},{b}", out))
        names.append(out)
    return nodes + [N("Tanh", names[-1])], inputs, {"one": I([1]), "three": I([3])}


def second_order(r):
    """d/dx of the derivative itself."""
    x = away(r, 3)
    nodes = [N("Tanh", "x", "t"), N("Mul", "t,x", "s"), N("ReduceSum", "s", "f"),
             helper.make_node("Gradient", ["x"], ["first"], domain=TRAINING, xs=["x"], y="f"),
             helper.make_node("Gradient", ["x"], ["second"], domain=TRAINING, xs=["x"], y="first")]
    first, second = engine.Session(model(nodes, {"x": x}, ["first", "second"])).run({"x": x})
    t = np.tanh(x)
    assert np.allclose(first, t + x * (1 - t * t))
    assert np.allclose(second, 2 * (1 - t * t) - 2 * x * t * (1 - t * t))


def other_values(r):
    """The derivative where other tensors are fed than the named ones; an output that is not wanted."""
    x, z, at = away(r, 3), away(r, 3), away(r, 3)
    nodes = [N("Mul", "x,z", "p"), N("Mul", "p,x", "y"),
             helper.make_node("Gradient", ["at", "z"], ["", "d"], domain=TRAINING, xs=["x", "z"], y="y")]
    feeds = {"x": x, "z": z, "at": at}
    y, d = engine.Session(model(nodes, feeds, ["y", "d"])).run(feeds)
    assert np.allclose(y, x * x * z) and np.allclose(d, at * at)


def refusals(_):
    x = np.ones(3)
    for nodes, attributes, part in (
            ([N("Det", "x")], {"xs": ["x"], "y": "y"}, "Det"),
            ([N("Neg", "x")], {"xs": ["x"], "y": "nothing"}, "'nothing'"),
            ([N("Neg", "x")], {"xs": ["none"], "y": "y"}, "'none'"),
            ([N("Neg", "x")], {"xs": ["x"], "zs": ["x"], "y": "y"}, "2 tensors")):
        nodes = nodes + [helper.make_node("Gradient", ["x"], ["d"], domain=TRAINING, **attributes)]
        try:
            engine.Session(model(nodes, {"x": x}, ["d"]))
        except engine.Failure as e:
            assert part in e.args[1], f"wanted '{part}' in: {e.args[1]}"
        else:
            raise AssertionError(f"{attributes} was accepted")


def main():
    seeds = suite.number_after("--seeds", 100 if "--long" in sys.argv else 12)
    tally = suite.Tally()
    todo = [(name, lambda r, make=make: check(r, *make(r))) for name, make in cases()]
    todo += [(f"random {i}", lambda r: check(r, *random_graph(r))) for i in range(seeds)]
    todo += [("second order", second_order), ("other values", other_values), ("refusals", refusals)]
    for i, (name, test) in enumerate(todo):
        if tally.wants(name):
            tally.attempt(name, lambda: test(np.random.default_rng(i)), (AssertionError, engine.Failure))
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
