#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The commands that change ONNX models (shrink, optimize to plain ONNX, cut, merge, and the options they share): what
they write passes onnx.checker, has standard operators only, and computes in ONNX Runtime and in Sardonyx what the
original does in ONNX Runtime."""
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "ops")]
import venv  # noqa: E402

venv.enter()

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

import engine  # noqa: E402
import lab  # noqa: E402
import suite  # noqa: E402

ort.set_default_logger_severity(4)
RNG = np.random.default_rng(9)
MODELS = HERE.parent.parent.parent / "shared/models"
NODES, F, I = helper.make_node, TensorProto.FLOAT, TensorProto.INT64


def info(name, shape, kind=F):
    return helper.make_tensor_value_info(name, kind, shape)


def constant(name, value):
    return numpy_helper.from_array(np.asarray(value), name)


def weights(name, *shape):
    return constant(name, (RNG.standard_normal(shape) / 4).astype(np.float32))


def made(nodes, inputs, outputs, constants=(), opset=17, ir=8):
    graph = helper.make_graph(nodes, "g", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def convolutions(opset=17):
    """Conv, BatchNormalization, Relu, twice, and a Dropout; then rows and a product, whose sizes are computed."""
    nodes, constants, at = [], [constant("zero", np.int64([0])), constant("rest", np.int64([-1]))], "image"
    for i, channels in enumerate((3, 8)):
        constants += [weights(f"w{i}", 8, channels, 3, 3), weights(f"b{i}", 8), weights(f"mean{i}", 8),
                      constant(f"scale{i}", np.ones(8, np.float32)), constant(f"var{i}", np.full(8, 2, np.float32))]
        nodes += [NODES("Conv", [at, f"w{i}"], [f"c{i}"], f"conv{i}", pads=[1, 1, 1, 1]),
                  NODES("BatchNormalization", [f"c{i}", f"scale{i}", f"b{i}", f"mean{i}", f"var{i}"], [f"n{i}"]),
                  NODES("Relu", [f"n{i}"], [f"r{i}"])]
        at = f"r{i}"
    constants += [weights("m", 8 * 64, 5), weights("bias", 5)]
    nodes += [NODES("Dropout", [at], ["d"]), NODES("Identity", ["d"], ["i"]), NODES("Shape", ["i"], ["s"]),
              NODES("Gather", ["s", "zero"], ["n"], axis=0), NODES("Concat", ["n", "rest"], ["to"], axis=0),
              NODES("Reshape", ["i", "to"], ["flat"]), NODES("MatMul", ["flat", "m"], ["p"]),
              NODES("Add", ["p", "bias"], ["y"], "sum"), NODES("Relu", ["y"], ["unread"])]
    return made(nodes, [info("image", ["batch", 3, 8, 8])], [info("y", ["batch", 5])], constants, opset)


def feeds(model, rows=2):
    names = {c.name for c in model.graph.initializer}
    result = {}
    for i in model.graph.input:
        if i.name in names:
            continue
        shape = [d.dim_value if d.HasField("dim_value") else rows for d in i.type.tensor_type.shape.dim]
        kind = helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type)
        result[i.name] = (RNG.integers(0, 2, shape) if kind.kind in "iub" else RNG.standard_normal(shape)).astype(kind)
    return result


class Editing(lab.Case):
    workspace = False

    def keep(self, model, name="m.onnx"):
        onnx.checker.check_model(model, full_check=True)
        return self.write(name, model.SerializeToString())

    def edit(self, *words):
        """(the model that was written, the report)"""
        report = self.ask(*words, "-o", "out.onnx")
        onnx.checker.check_model(str(self.folder / "out.onnx"), full_check=True)
        return onnx.load(self.folder / "out.onnx"), report

    def same(self, before, after, fed=None, close=1e-5, renamed=lambda n: n):
        fed = feeds(before) if fed is None else fed
        want = ort.InferenceSession(before.SerializeToString()).run(None, fed)
        fed = {renamed(n): v for n, v in fed.items()}
        got = ort.InferenceSession(after.SerializeToString()).run(None, fed)
        ours = engine.Session(after.SerializeToString()).run(fed)
        self.assertEqual(len(want), len(got))
        for w, g, o in zip(want, got, ours):
            np.testing.assert_allclose(g, w, rtol=close, atol=close)
            np.testing.assert_allclose(o, w, rtol=close, atol=close)

    def counts(self, model):
        found = {}
        for n in model.graph.node:
            found[n.op_type] = found.get(n.op_type, 0) + 1
        return found


class Shrinking(Editing):
    def test_what_goes(self):
        before = convolutions()
        self.keep(before)
        after, report = self.edit("shrink", "m.onnx")
        self.assertEqual(self.counts(after), {"Conv": 2, "Relu": 2, "Reshape": 1, "Gemm": 1})
        self.assertEqual((report["before"]["nodes"], report["after"]["nodes"]), (15, 6))
        self.assertEqual(report["before"]["operators"]["Relu"], 3)
        self.assertEqual([o.name for o in after.graph.output], ["y"])
        self.same(before, after)
        self.assertIn("nodes", self.command("shrink", "m.onnx").stdout)
        self.assertTrue((self.folder / "m.shrink.onnx").exists())

    def test_every_opset(self):
        """The opset stays: what old versions said in attributes is said so again."""
        for opset in range(9, 29):
            with self.subTest(opset):
                before = convolutions(opset) if opset < 29 else None
                self.keep(before)
                after, _ = self.edit("shrink", "m.onnx")
                self.assertEqual(after.opset_import[0].version, opset)
                self.same(before, after)

    def test_old_forms(self):
        x = [info("x", ["n", 1, 4, 6])]
        out = [info("y", None)]
        cases = {
            "Squeeze": ([NODES("Squeeze", ["x"], ["y"], axes=[1])], 11),
            "Unsqueeze": ([NODES("Unsqueeze", ["x"], ["y"], axes=[0, 5])], 11),
            "ReduceSum": ([NODES("ReduceSum", ["x"], ["y"], axes=[1, -1], keepdims=0)], 12),
            "ReduceMean": ([NODES("ReduceMean", ["x"], ["y"], axes=[2])], 17),
            "ReduceMax of all": ([NODES("ReduceMax", ["x"], ["y"])], 13),
            "Split": ([NODES("Split", ["x"], ["y", "z"], axis=3, split=[2, 4])], 11),
            "equal Split": ([NODES("Split", ["x"], ["y", "z"], axis=3)], 13),
            "Pad": ([NODES("Pad", ["x"], ["y"], pads=[0, 0, 1, 2, 0, 0, 0, 1], value=3.0)], 9),
            "Clip": ([NODES("Clip", ["x"], ["y"], min=-0.5, max=0.25)], 9),
            "Slice": ([NODES("Slice", ["x"], ["y"], starts=[1, 0], ends=[9, -1], axes=[2, 3])], 9),
            "TopK": ([NODES("TopK", ["x"], ["y", "i"], k=3)], 9),
            "Softmax": ([NODES("Softmax", ["x"], ["y"], axis=2)], 11),
            "Softmax of the last": ([NODES("Softmax", ["x"], ["y"], axis=-1)], 11),
            "Cast": ([NODES("Cast", ["x"], ["h"], to=7), NODES("Cast", ["h"], ["y"], to=1)], 9),
        }
        for name, (nodes, opset) in cases.items():
            with self.subTest(name):
                before = made(nodes, x, out, opset=opset)
                self.write("m.onnx", before.SerializeToString())
                after, _ = self.edit("shrink", "m.onnx")
                self.assertEqual(after.opset_import[0].version, opset)
                self.same(before, after)

    def test_bodies(self):
        """What a branch only hands through, it still makes."""
        then = helper.make_graph([NODES("Identity", ["h"], ["t"])], "then", [], [info("t", None)])
        other = helper.make_graph([NODES("Add", ["one", "two"], ["three"]), NODES("Mul", ["h", "three"], ["e"])], "else", [],
                                  [info("e", None)], [constant("one", np.float32(1)), constant("two", np.float32(2))])
        before = made([NODES("Relu", ["x"], ["h"]), NODES("If", ["flag"], ["y"], then_branch=then, else_branch=other)],
                      [info("x", [3]), info("flag", [], TensorProto.BOOL)], [info("y", [3])])
        self.keep(before)
        after, report = self.edit("shrink", "m.onnx")
        self.assertEqual(report["after"]["nodes"], 4)
        for flag in (True, False):
            self.same(before, after, {"x": np.float32([-1, 2, 3]), "flag": np.array(flag)})

    def test_arithmetic_on_shapes(self):
        """Free dimensions are followed through Gather, Concat, Where, Slice; equal constants are one."""
        zeros = [constant(f"zero{i}", np.int64([0])) for i in range(3)] + [constant(f"at{i}", np.int64(i)) for i in range(2)]
        before = made(
            [NODES("Shape", ["x"], ["s"]), NODES("Gather", ["s", "at0"], ["n"]), NODES("Unsqueeze", ["n", "zero0"], ["n1"]),
             NODES("Gather", ["s", "at1"], ["m"]), NODES("Unsqueeze", ["m", "zero1"], ["m1"]),
             NODES("Concat", ["n1", "m1", "heads", "each"], ["to"], axis=0), NODES("Reshape", ["x", "to"], ["split"]),
             NODES("Transpose", ["split"], ["turned"], perm=[0, 2, 1, 3]), NODES("Shape", ["turned"], ["s2"]),
             NODES("Slice", ["s2", "zero2", "three"], ["front"]), NODES("ReduceProd", ["rest2"], ["width"]),
             NODES("Slice", ["s", "three", "four"], ["none"]), NODES("Concat", ["front", "width", "none"], ["back"], axis=0),
             NODES("Reshape", ["turned", "back"], ["h"]), NODES("Equal", ["back", "minus"], ["free"]),
             NODES("Where", ["free", "ones", "back"], ["wide"]), NODES("Expand", ["h", "wide"], ["y"])],
            [info("x", ["batch", "words", 12])], [info("y", None)],
            [*zeros, constant("heads", np.int64([3])), constant("each", np.int64([4])), constant("three", np.int64([3])),
             constant("four", np.int64([4])), constant("rest2", np.int64([2, 2])), constant("minus", np.int64([-1] * 4)),
             constant("ones", np.int64([1] * 4))])
        self.write("m.onnx", before.SerializeToString())
        after, _ = self.edit("shrink", "m.onnx")
        self.assertEqual(self.counts(after), {"Reshape": 1, "Transpose": 1})
        for shape in ((1, 1, 12), (2, 5, 12), (3, 0, 12)):
            self.same(before, after, {"x": RNG.standard_normal(shape).astype(np.float32)})

    def test_shapes_as_truth_and_products_of_nothing(self):
        """A cast to bool leaves 0 and 1; a product over no axes is the list itself."""
        before = made(
            [NODES("Shape", ["x"], ["s"]), NODES("Cast", ["s"], ["some"], to=onnx.TensorProto.BOOL),
             NODES("Cast", ["some"], ["ones"], to=onnx.TensorProto.INT64), NODES("Gather", ["ones", "one"], ["a"]),
             NODES("Slice", ["s", "one", "three"], ["tail"]), NODES("ReduceProd", ["tail"], ["b"], noop_with_empty_axes=1)],
            [info("x", ["batch", 5, 6])], [helper.make_tensor_value_info(n, onnx.TensorProto.INT64, None) for n in "ab"],
            [constant("one", np.int64([1])), constant("three", np.int64([3]))], 18)
        self.write("m.onnx", before.SerializeToString())
        after, _ = self.edit("shrink", "m.onnx")
        for rows in (0, 2):
            self.same(before, after, {"x": RNG.standard_normal((rows, 5, 6)).astype(np.float32)})

    def test_a_step_far_beyond_the_list(self):
        before = made([NODES("Shape", ["x"], ["s"]), NODES("Slice", ["s", "one", "four", "zero", "far"], ["y"])],
                      [info("x", ["n", 4, 4])], [info("y", None, I)],
                      [constant("one", np.int64([1])), constant("four", np.int64([4])), constant("zero", np.int64([0])),
                       constant("far", np.int64([2**63 - 1]))], 17)
        self.write("m.onnx", before.SerializeToString())
        after, _ = self.edit("shrink", "m.onnx")
        self.same(before, after, {"x": np.zeros((3, 4, 4), np.float32)})

    def test_outputs_keep_their_names(self):
        before = made([NODES("Relu", ["x"], ["h"]), NODES("Identity", ["h"], ["a"]), NODES("Identity", ["h"], ["b"]),
                       NODES("Identity", ["x"], ["c"]), NODES("Add", ["k", "k"], ["d"])],
                      [info("x", [2])], [info(n, [2]) for n in "abcd"], [constant("k", np.float32([1, 2]))])
        self.keep(before)
        after, _ = self.edit("shrink", "m.onnx")
        self.assertEqual([o.name for o in after.graph.output], list("abcd"))
        self.same(before, after)

    def test_public_models(self):
        paths = ["seed/mnist-cntk/mnist-8.onnx", "audio/silero_vad/v6/silero_vad_op18_ifless.onnx",
                 "vision/ultraface/version-RFB-320.onnx", "text/magika/standard_v1/model.onnx"]
        there = [p for p in paths if (MODELS / p).exists()]
        if not there:
            self.skipTest("../shared/models is not here")
        for path in there:
            with self.subTest(path):
                before = onnx.load(MODELS / path)
                after, _ = self.edit("shrink", MODELS / path)
                fed = feeds(before)
                if "silero" in path:
                    fed = {"input": RNG.standard_normal((1, 512)).astype(np.float32), "sr": np.array(16000),
                           "state": np.zeros((2, 1, 128), np.float32)}
                self.same(before, after, fed, 1e-4)


class Optimizing(Editing):
    def test_plain_onnx(self):
        before = convolutions()
        self.keep(before)
        for words in (("--onnx",), ()):
            after, _ = self.edit("optimize", "m.onnx", *words)
            self.assertEqual({n.domain for n in after.graph.node}, {""})
            self.assertNotIn("BatchNormalization", self.counts(after))
            self.same(before, after)
        fused = onnx.load(self.folder / self.edit("optimize", "m.onnx", "--contrib")[1]["output"])
        self.assertIn("FusedConv", self.counts(fused))
        self.same(before, fused)
        self.command("optimize", "m.onnx", "--onnx")
        self.assertTrue((self.folder / "m.optimize.onnx").exists())


class Cutting(Editing):
    def test_parts(self):
        before = convolutions()
        self.keep(before)
        front, _ = self.edit("cut", "m.onnx", "--to", "r0")
        self.assertEqual(([i.name for i in front.graph.input], len(front.graph.node)), (["image"], 3))
        back, report = self.edit("cut", "m.onnx", "--from", "r0", "--to", "flat,y")
        self.assertEqual([i.name for i in back.graph.input], ["r0"])
        self.assertEqual([o.name for o in back.graph.output], ["flat", "y"])
        self.assertEqual(report["after"]["operators"]["Conv"], 1)
        fed = feeds(before)
        middle = ort.InferenceSession(front.SerializeToString()).run(None, fed)
        whole = ort.InferenceSession(before.SerializeToString()).run(None, fed)
        got = ort.InferenceSession(back.SerializeToString()).run(["y"], {"r0": middle[0]})
        np.testing.assert_array_equal(got[0], whole[0])

    def test_names_that_are_not_there(self):
        self.keep(convolutions())
        self.assertIn("did you mean 'flat'?", self.fails("cut", "m.onnx", "--to", "flatt"))
        self.assertIn("did you mean 'r0'?", self.fails("cut", "m.onnx", "--from", "r_0"))
        self.assertIn("--from A,.. or --to B,..", self.fails("cut", "m.onnx", code=2))
        self.assertEqual([p.name for p in self.folder.iterdir()], ["m.onnx"])


class Merging(Editing):
    def scaled(self, factor, opset):
        return made([NODES("Mul", ["x", "k"], ["h"], "mul"), NODES("ReduceSum", ["h"], ["s"], axes=[1], keepdims=1)
                     if opset < 13 else NODES("ReduceSum", ["h", "axes"], ["s"], keepdims=1),
                     NODES("Add", ["h", "s"], ["y"])], [info("x", ["n", 3])], [info("y", ["n", 3])],
                    [constant("k", np.float32(factor))] + ([constant("axes", np.int64([1]))] if opset >= 13 else []), opset)

    def test_one_after_the_other(self):
        x = RNG.standard_normal((2, 3)).astype(np.float32)
        for first, second in ((17, 17), (11, 18), (18, 11)):
            with self.subTest(first=first, second=second):
                self.keep(self.scaled(2, first), "a.onnx")
                self.keep(self.scaled(3, second), "b.onnx")
                merged, _ = self.edit("merge", "a.onnx", "b.onnx", "--connect", "y=x", "--prefix", "b/")
                self.assertEqual([i.name for i in merged.graph.input], ["x"])
                self.assertEqual([o.name for o in merged.graph.output], ["b/y"])
                step = ort.InferenceSession(self.scaled(2, first).SerializeToString()).run(None, {"x": x})[0]
                want = ort.InferenceSession(self.scaled(3, second).SerializeToString()).run(None, {"x": step})[0]
                np.testing.assert_allclose(ort.InferenceSession(merged.SerializeToString()).run(None, {"x": x})[0], want, rtol=1e-6)
                np.testing.assert_allclose(engine.Session(merged.SerializeToString()).run({"x": x})[0], want, rtol=1e-6)

    def test_side_by_side(self):
        self.keep(self.scaled(2, 17), "a.onnx")
        merged, _ = self.edit("merge", "a.onnx", "a.onnx")
        self.assertEqual((len(merged.graph.input), len(merged.graph.output)), (2, 2))
        self.assertEqual(len({n for node in merged.graph.node for n in node.output}), 6)
        kept, _ = self.edit("merge", "a.onnx", "a.onnx", "--connect", "y=x", "--keep-outputs")
        self.assertEqual(len(kept.graph.output), 2)

    def test_what_does_not_fit(self):
        self.keep(self.scaled(2, 17), "a.onnx")
        self.keep(convolutions(), "c.onnx")
        self.assertIn("did you mean 'y'?", self.fails("merge", "a.onnx", "a.onnx", "--connect", "yy=x"))
        self.assertIn("is no input of the second", self.fails("merge", "a.onnx", "a.onnx", "--connect", "y=k"))
        self.assertIn("differ", self.fails("merge", "a.onnx", "c.onnx", "--connect", "y=image"))
        self.assertIn("connected already", self.fails("merge", "a.onnx", "a.onnx", "--connect", "y=x", "--connect", "y=x"))
        self.assertIn("expected OUT=IN", self.fails("merge", "a.onnx", "a.onnx", "--connect", "y", code=2))


class Converting(Editing):
    def convert(self, *words):
        return self.edit("convert", "m.onnx", *words)

    def test_every_newer_opset(self):
        for first in (9, 13, 17):
            before = convolutions(first)
            self.keep(before)
            for opset in (first, 18, 21, 25, 28):
                with self.subTest(first=first, opset=opset):
                    after, _ = self.convert("--opset", opset)
                    self.assertEqual(after.opset_import[0].version, opset)
                    self.same(before, after)
        self.assertIn("can become one of up to 28", self.fails("convert", "m.onnx", "--opset", "12"))
        flat = made([NODES("Softmax", ["x"], ["y"], axis=1)], [info("x", [2, 3, 4])], [info("y", [2, 3, 4])], opset=11)
        self.keep(flat)
        self.assertIn("(Softmax) cannot be said in opset 13, expected at most 12", self.fails("convert", "m.onnx", "--opset", "13"))

    def test_half(self):
        before = convolutions()
        self.keep(before)
        after, report = self.convert("--fp16")
        self.assertEqual({i.data_type for i in after.graph.initializer if i.data_type != I}, {TensorProto.FLOAT16})
        self.assertLess(report["after"]["weight_bytes"], 0.55 * report["before"]["weight_bytes"])
        x = feeds(before)["image"]
        want = ort.InferenceSession(before.SerializeToString()).run(None, {"image": x})[0]
        for run in (ort.InferenceSession(after.SerializeToString()).run, lambda _, fed: engine.Session(after.SerializeToString()).run(fed)):
            got = run(None, {"image": x.astype(np.float16)})[0]
            self.assertEqual(got.dtype, np.float16)
            np.testing.assert_allclose(got, want, atol=0.02)
        kept, _ = self.convert("--fp16", "--keep-io")
        self.assertEqual([(o.name, o.type.tensor_type.elem_type) for o in (*kept.graph.input, *kept.graph.output)], [("image", F), ("y", F)])
        self.same(before, kept, {"image": x}, 0.02)

    def test_bfloat16(self):
        before = convolutions()
        self.keep(before)
        after, _ = self.convert("--bf16", "--keep-io")
        self.assertEqual({i.data_type for i in after.graph.initializer if i.data_type != I}, {TensorProto.BFLOAT16})
        x = feeds(before)["image"]
        want = ort.InferenceSession(before.SerializeToString()).run(None, {"image": x})[0]
        np.testing.assert_allclose(engine.Session(after.SerializeToString()).run({"image": x})[0], want, atol=0.1)

    def test_what_stays_in_float(self):
        before = convolutions()
        self.keep(before)
        after, _ = self.convert("--fp16", "--keep-io", "--keep", "conv0,MatMul")
        kinds = {i.name: i.data_type for i in after.graph.initializer}
        full = [n for n in after.graph.node if n.name == "conv0" or n.op_type == "MatMul"]
        casts = {n.output[0] for n in after.graph.node if n.op_type == "Cast"}
        self.assertEqual(len(full), 2)
        for n in full:
            self.assertTrue(all(i in casts or kinds.get(i, F) == F for i in n.input), n)
            self.assertTrue(any(i in kinds for i in n.input), n)  # the weights are those of before
        self.same(before, after, None, 0.02)
        self.assertIn("did you mean 'conv0'?", self.fails("convert", "m.onnx", "--fp16", "--keep", "conv_0"))

    def test_overflow(self):
        before = made([NODES("Mul", ["x", "large"], ["h"], "scale"), NODES("Div", ["h", "half"], ["y"])],
                      [info("x", [1, 4])], [info("y", [1, 4])], [constant("large", np.float32(1e5)), constant("half", np.float32(5e4))])
        self.keep(before)
        _, report = self.convert("--fp16")
        self.assertEqual(report["details"]["overflows"], 1)
        self.assertEqual(self.convert("--fp16", "--keep", "scale")[1]["details"]["overflows"], 0)
        self.assertIn("'large'", self.command("convert", "m.onnx", "--fp16", "-o", "out.onnx").stderr)
        before.graph.initializer[0].CopyFrom(constant("large", np.float32(6e4)))
        self.keep(before)
        np.save(self.folder / "x.npy", np.float32([[1, 2, 3, 4], [4, 3, 2, 1]]))
        after, report = self.convert("--fp16", "--keep-io", "--data", "x.npy")
        self.assertEqual(report["details"]["too large"], ["scale"])
        self.same(before, after, {"x": np.float32([[4, 3, 2, 1]])}, 0.01)
        before.graph.node[0].name = ""
        self.keep(before)
        after, report = self.convert("--fp16", "--keep-io", "--data", "x.npy")
        self.assertEqual(report["details"]["too large"], ["h"])
        self.same(before, after, {"x": np.float32([[4, 3, 2, 1]])}, 0.01)
        self.assertIn("--fp16", self.command("convert", "--help").stdout)
        self.assertIn("not both", self.fails("convert", "m.onnx", "--fp16", "--bf16", code=2))

    def test_changes_alone(self):
        self.keep(convolutions())
        self.assertEqual(self.convert("--rename", "image=picture")[0].graph.input[0].name, "picture")
        self.assertIn("--keep goes with --fp16", self.fails("convert", "m.onnx", "--keep", "conv0", code=2))
        self.assertIn("--verify is for models of other", self.fails("convert", "m.onnx", "--fp16", "--verify", "random", code=2))
        self.assertIn("--outputs is for models of other", self.fails("convert", "m.onnx", "--dim", "N=2", "--outputs", "y", code=2))

    def test_bodies(self):
        body = helper.make_graph([NODES("Add", ["a", "w"], ["b"]), NODES("Identity", ["go"], ["more"])], "body",
                                 [info("i", [], I), info("go", [], TensorProto.BOOL), info("a", [3])],
                                 [info("more", [], TensorProto.BOOL), info("b", [3])])
        before = made([NODES("Loop", ["trips", "", "x"], ["y"], body=body)], [info("x", [3])], [info("y", [3])],
                      [constant("trips", np.int64(3)), constant("w", np.float32([1, 2, 3]))])
        self.keep(before)
        after, _ = self.convert("--fp16", "--keep-io")
        self.same(before, after, None, 0.01)


class Shared(Editing):
    def test_sizes_and_names(self):
        before = convolutions()
        self.keep(before)
        after, _ = self.edit("shrink", "m.onnx", "--dim", "batch=2", "--rename", "image=picture", "--rename", "y=scores")
        self.assertEqual([d.dim_value for d in after.graph.input[0].type.tensor_type.shape.dim], [2, 3, 8, 8])
        self.assertEqual((after.graph.input[0].name, after.graph.output[0].name), ("picture", "scores"))
        self.assertEqual([d.dim_value for d in after.graph.output[0].type.tensor_type.shape.dim], [2, 5])
        self.same(before, after, renamed=lambda n: "picture")
        after, _ = self.edit("shrink", "m.onnx", "--set-shape", "image=rows,3,8,8")
        self.assertEqual(after.graph.input[0].type.tensor_type.shape.dim[0].dim_param, "rows")

    def test_what_is_wrong(self):
        self.keep(convolutions())
        for words, said in ((("--dim", "bach=2"), "did you mean 'batch'?"), (("--set-shape", "imag=1,3,8,8"), "did you mean 'image'?"),
                            (("--set-shape", "y=1,5"), "is no input"), (("--rename", "imag=x"), "did you mean 'image'?"),
                            (("--rename", "image=w0"), "is taken"), (("--set-shape", "image=1,4,8,8"), "conv0")):
            with self.subTest(words):
                self.assertIn(said, self.fails("shrink", "m.onnx", *words))
        for words in (("--dim", "batch"), ("--dim", "batch=-1"), ("--set-shape", "image"), ("--set-shape", "image=1,-3"),
                      ("--set-shape", "image=1,,3"), ("--rename", "image")):
            with self.subTest(words):
                self.fails("shrink", "m.onnx", *words, code=2)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["m.onnx"])

    def test_hostile_files(self):
        whole = convolutions().SerializeToString()
        for name, data in (("empty", b""), ("text", b"no model"), ("cut", whole[:len(whole) // 2])):
            self.write("bad.onnx", data)
            for command in (("shrink",), ("optimize", "--onnx"), ("cut", "--to", "y")):
                with self.subTest(name=name, command=command):
                    self.assertIn("bad.onnx", self.fails(command[0], "bad.onnx", *command[1:], "-o", "out.onnx"))
        self.assertEqual([p.name for p in self.folder.iterdir()], ["bad.onnx"])

    def test_streams(self):
        done = subprocess.run([lab.COMMAND, "shrink", "-"], input=convolutions().SerializeToString(), capture_output=True, timeout=60,
                              check=True)
        self.same(convolutions(), onnx.load_from_string(done.stdout), None, 1e3)
        self.keep(convolutions())
        self.assertIn("leave --json", self.fails("shrink", "m.onnx", "-o", "-", "--json", code=2))

    def test_inputs_with_a_default(self):
        """A constant that may be fed is one alone where it is computed with, and an input alone where a part begins."""
        before = made([NODES("Neg", ["w"], ["n"]), NODES("Add", ["x", "n"], ["h"]), NODES("Relu", ["h"], ["y"])],
                      [info("x", [2]), info("w", [2])], [info("y", [2])], [constant("w", np.float32([1, 2]))])
        self.keep(before)
        for words, inputs in ((("shrink",), "x"), (("convert", "--fp16", "--keep-io"), "x"), (("convert", "--opset", "18"), "xw"),
                              (("cut", "--from", "w", "--to", "n"), "w"), (("cut", "--to", "h"), "xw")):
            with self.subTest(words):
                after, _ = self.edit(words[0], "m.onnx", *words[1:])
                self.assertEqual([i.name for i in after.graph.input], list(inputs))
                if words[0] != "cut":
                    self.same(before, after, None, 0.01)
        merged, _ = self.edit("merge", "m.onnx", "m.onnx", "--connect", "y=x")
        self.assertEqual([i.name for i in merged.graph.input], ["x", "w", "w_1"])

    def test_names_that_were_given_away(self):
        self.keep(convolutions())
        said = self.fails("shrink", "m.onnx", "--rename", "image=picture", "--rename", "y=image")
        self.assertIn("--rename y=image: the name 'image' is taken", said)

    def test_weights_beside_the_model(self):
        model = convolutions()
        onnx.save(model, self.folder / "e.onnx", save_as_external_data=True, size_threshold=0, location="e.data")
        after, _ = self.edit("shrink", "e.onnx")
        self.same(onnx.load(self.folder / "e.onnx"), after)


if __name__ == "__main__":
    sys.exit(suite.run())
