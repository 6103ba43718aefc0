#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What exporters write and users feed although the text of a specification does not ask for it, with the results that
they mean: each model small, on constant and fed inputs alike.

    tests/ops/test_reports.py [NAME ...]
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv  # noqa: E402

venv.enter()
import numpy as np  # noqa: E402
from onnx import TensorProto as T, helper, numpy_helper  # noqa: E402

import engine  # noqa: E402
import suite  # noqa: E402

tally = suite.Tally()
F = np.float32
node, info = helper.make_node, helper.make_tensor_value_info


def model(nodes, inputs, outputs, constants=None, domains=(("", 21),)):
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_empty_tensor_value_info(o) for o in outputs],
                              [numpy_helper.from_array(np.asarray(v), n) for n, v in (constants or {}).items()])
    opsets = [helper.make_opsetid(*d) for d in domains]
    return helper.make_model(graph, ir_version=10, opset_imports=opsets).SerializeToString()


def check(name, data, feeds, *wanted, warning=""):
    """Results with passes and without; a part of what the session warns of."""
    if not tally.wants(name):
        return
    for level in ("all", "none"):
        try:
            session = engine.Session(data, optimize=level)
            got = session.run(feeds)
        except engine.Failure as e:
            tally.note(name, f"{level}: {e}")
            continue
        said = engine.LIB.sdx_session_warnings(session.handle).decode()
        wrong = None if warning in said else f"warned '{said}'"
        for g, w in zip(got, wanted):
            if g.shape != w.shape or not np.allclose(g, w, rtol=1e-3, atol=1e-5):
                wrong = f"{level}: got {g.shape} {g.ravel()[:6]}, want {w.shape} {w.ravel()[:6]}"
        tally.note(name, wrong)


def spectra():
    random = np.random.default_rng(3)
    x, window = random.standard_normal((2, 40)).astype(F), np.hanning(12).astype(F)
    frames = np.stack([x[:, i:i + 12] * window for i in range(0, 29, 5)], axis=1)
    want = np.fft.rfft(frames, axis=-1)
    want = np.stack([want.real, want.imag], axis=-1).astype(F)
    for shape in ((2, 40), (2, 40, 1)):
        check("STFT without a last dimension of 1", model([node("STFT", ["x", "step", "w"], ["y"])],
              [info("x", T.FLOAT, [None] * len(shape))], ["y"], {"step": np.int64(5), "w": window}),
              {"x": x.reshape(shape)}, want)


def forest(transform):
    attributes = {"nodes_treeids": [0, 0, 0], "nodes_nodeids": [0, 1, 2], "nodes_featureids": [0, 0, 0],
                  "nodes_modes": ["BRANCH_LEQ", "LEAF", "LEAF"], "nodes_values": [0.0, 0.0, 0.0],
                  "nodes_truenodeids": [1, 0, 0], "nodes_falsenodeids": [2, 0, 0], "class_treeids": [0, 0],
                  "class_nodeids": [1, 2], "class_ids": [0, 0], "class_weights": [0.0, 0.3],
                  "classlabels_int64s": [7, 9], "post_transform": transform}
    return model([node("TreeEnsembleClassifier", ["x"], ["label", "p"], domain="ai.onnx.ml", **attributes)],
                 [info("x", T.FLOAT, [None, 1])], ["label", "p"], domains=(("", 21), ("ai.onnx.ml", 3)))


def labels():
    s, x = np.array([0.0, 0.3]), np.array([[-1], [1]], F)
    logistic = 1 / (1 + np.exp(-np.stack([-s, s], axis=1)))
    check("TreeEnsembleClassifier LOGISTIC", forest("LOGISTIC"), {"x": x}, np.array([7, 9]), logistic.astype(F))
    check("TreeEnsembleClassifier NONE", forest("NONE"), {"x": x}, np.array([7, 7]), np.stack([1 - s, s], 1).astype(F))


def orders():
    inner = helper.make_graph([node("Add", ["late", "b"], ["o"]), node("Neg", ["later"], ["b"]),
                               node("Abs", ["x"], ["later"])], "b", [], [helper.make_empty_tensor_value_info("o")])
    nodes = [node("If", ["c"], ["y"], then_branch=inner, else_branch=inner), node("Exp", ["x"], ["late"]),
             node("Not", ["n"], ["c"])]
    x = np.array([-1.5, 2], F)
    check("order through captures", model(nodes, [info("x", T.FLOAT, [2])], ["y"], {"n": np.array(False)}), {"x": x},
          np.exp(x) - np.abs(x), warning="not in topological order")
    deep = helper.make_graph([node("If", ["c"], ["p"], then_branch=helper.make_graph(
        [node("Identity", ["last"], ["q"])], "d", [], [helper.make_empty_tensor_value_info("q")]),
        else_branch=helper.make_graph([node("Identity", ["x"], ["q"])], "e", [],
                                      [helper.make_empty_tensor_value_info("q")]))], "f", [],
        [helper.make_empty_tensor_value_info("p")])
    check("order through two bodies", model(
        [node("If", ["c"], ["y"], then_branch=deep, else_branch=deep), node("Neg", ["x"], ["last"])],
        [info("x", T.FLOAT, [2])], ["y"], {"c": np.array(True)}), {"x": x}, -x)


def attributes():
    x = np.array([-1, 2], F)
    for name, hint in (("aplha", "did you mean 'alpha'"), ("cudnn_deterministic", "is not known")):
        check("unknown attribute", model([node("LeakyRelu", ["x"], ["y"], **{name: 0.5})], [info("x", T.FLOAT, [2])],
              ["y"]), {"x": x}, np.where(x < 0, x * F(0.01), x), warning=hint)


def loops():
    body = helper.make_graph([node("Add", ["v", "one"], ["w"]), node("Less", ["w", "five"], ["go"])], "b",
                             [info("i", T.INT64, []), info("c", T.BOOL, []), info("v", T.FLOAT, [])],
                             [info("go", T.BOOL, []), info("w", T.FLOAT, [])])
    constants = {"one": F(1), "five": F(5), "n": np.int64(7), "yes": np.array(True)}
    for inputs, want, warning in ((["", "", "x"], 5, "ends the loop"), (["n", "", "x"], 7, ""), (["", "yes", "x"], 5, ""),
                                  (["n", "yes", "x"], 5, "")):
        check(f"Loop {inputs}", model([node("Loop", inputs, ["y"], body=body)], [info("x", T.FLOAT, [])], ["y"],
              constants), {"x": F(0)}, F(want), warning=warning)


def scalars():
    data = model([node("Cast", ["rate"], ["r"], to=T.FLOAT), node("Mul", ["x", "r"], ["y"])],
                 [info("x", T.FLOAT, [3]), info("rate", T.INT64, [])], ["y"])
    for rate in (np.int64(3), np.array([3]), np.array([[3]])):
        check(f"scalar fed as {np.shape(rate)}", data, {"x": np.arange(3, dtype=F), "rate": rate},
              np.arange(3, dtype=F) * 3)


def ranks():
    """Lists as matrices and scalars, numbers as lists: fed and constant, of shapes that are declared nowhere."""
    x, i64 = np.arange(-6, 6, dtype=F).reshape(3, 4), np.int64
    picture, ones = np.arange(32, dtype=F).reshape(1, 2, 4, 4), np.ones((4, 5), F)
    large = picture.repeat(2, 2).repeat(2, 3)
    channels = np.linspace(1, 2, 16, dtype=F).reshape(1, 4, 4)
    groups = channels.reshape(1, 2, -1)
    groups = ((groups - groups.mean(-1, keepdims=True)) / np.sqrt(groups.var(-1, keepdims=True) + 1e-5)).reshape(1, 4, 4)
    usual = ((channels - channels.mean((0, 2), keepdims=True)) / channels.std((0, 2), keepdims=True))
    cases = [
        ("Expand", [x[:1], np.array([[3, 4]])], {}, x[:1].repeat(3, 0)),
        ("Expand", [x[0, :1], i64(4)], {}, x[0, :1].repeat(4)),
        ("ConstantOfShape", [np.array([[3, 4]])], {}, x * 0),
        ("Resize", [picture, None, np.array([[1, 1, 2, 2]], F)], {}, large),
        ("Resize", [picture, None, None, np.array([[1], [2], [8], [8]])], {}, large),
        ("Resize", [picture, None, np.array([[2, 2]], F)], {"axes": [2, 3]}, large),
        ("Resize", [picture, np.array([], F), np.array([], F), np.array([[1, 2, 8, 8]])], {}, large),
        ("Compress", [x, np.array([[True, False, True]])], {"axis": 0}, x[::2]),
        ("Compress", [x, np.array(True)], {"axis": 0}, x[:1]),
        ("CenterCropPad", [x, i64(1)], {"axes": [0]}, x[1:2]),
        ("PRelu", [x, np.full((1, 3, 4), 0.5, F)], {}, np.where(x < 0, x / 2, x)[None]),
        ("PRelu", [picture[0] - 9, np.full((1, 2, 1, 1), 0.5, F)], {},
         np.where(picture < 9, picture / 2 - 4.5, picture - 9)),
        ("Gemm", [x[0], ones], {}, x[:1] @ ones), ("Gemm", [x[0], ones, np.ones(5, F)], {}, x[:1] @ ones + 1),
        ("Gemm", [x[0], ones[:1]], {"transA": 1}, x[:1].T @ ones[:1]), ("Gemm", [x, ones, F(2)], {}, x @ ones + 2),
        ("ArgMax", [F(3)], {}, i64(0)), ("ArgMax", [F(3)], {"axis": -1, "keepdims": 0}, i64(0)),
        ("MeanVarianceNormalization", [channels], {}, usual),
        ("DynamicQuantizeLinear", [x * 0], {}, x.astype(np.uint8) * 0, F(1), np.uint8(0)),
        ("CumSum", [x, np.array([0])], {}, x.cumsum(0)), ("TopK", [x, i64(1)], {}, x[:, 3:]),
        ("Tile", [x[0], i64(2)], {}, np.tile(x[0], 2)),
        ("OneHot", [np.array([1]), np.array([3]), np.array([0, 1], F)], {}, np.array([[0, 1, 0]], F)),
        ("Range", [np.array([0]), np.array([3]), np.array([1])], {}, np.arange(3)),
        ("Clip", [x, np.array([-1], F), np.array([2], F)], {}, x.clip(-1, 2)),
        ("Squeeze", [x[None], i64(0)], {}, x), ("Unsqueeze", [x, i64(0)], {}, x[None]),
        ("ReduceSum", [x, i64(0)], {"keepdims": 0}, x.sum(0)),
        ("Dropout", [x, np.array([0.5], F), np.array([False])], {}, x),
        ("Split", [x, i64(3)], {"axis": 0}, x)]
    cases += [("GroupNormalization", [channels, scale, np.zeros(n, F)], {"num_groups": 2}, groups * 2)
              for n, scale in ((4, np.full((1, 4), 2, F)), (4, np.full((4, 1), 2, F)), (1, F([2])), (4, F(2)))]
    for operator, inputs, attributes, *wanted in cases:
        names = ["" if v is None else f"i{k}" for k, v in enumerate(inputs)]
        given = {n: np.asarray(v) for n, v in zip(names, inputs) if v is not None}
        outputs = ["y", *[f"y{k}" for k in range(1, len(wanted))]] if operator != "TopK" else ["y", "places"]
        for fed in (given, {names[0]: given[names[0]]}):  # all, or the rest constant
            infos = [info(n, helper.np_dtype_to_tensor_dtype(v.dtype), None) for n, v in fed.items()]
            check(f"rank {operator} {[np.shape(v) for v in inputs]}",
                  model([node(operator, names, outputs, **attributes)], infos, outputs[:len(wanted)],
                        {n: v for n, v in given.items() if n not in fed}), fed, *wanted)
    try:
        engine.Session(model([node("Reshape", ["x", "s"], ["y"])], [info("x", T.FLOAT, None)], ["y"],
                             {"s": i64(12)})).run({"x": x})
        tally.note("rank refused", "Reshape to a scalar ran")
    except engine.Failure as e:
        tally.note("rank refused", None if "input 1 ('shape') has rank 0, expected 1" in e.args[1] else e.args[1])


for test in (spectra, labels, orders, attributes, loops, scalars, ranks):
    test()
sys.exit(tally.close())
