#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`sardonyx quantize`: what it writes passes onnx.checker, computes the same in ONNX Runtime and in Sardonyx, stays near
the model in float, no further away than ONNX Runtime's own quantiser with the same samples, and runs on integers."""
import pathlib
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
RNG = np.random.default_rng(4)
NODE, F = helper.make_node, TensorProto.FLOAT
CLASSES = 10


def info(name, shape, kind=F):
    return helper.make_tensor_value_info(name, kind, shape)


class Net:
    """Nodes and weights, put one behind the other."""

    def __init__(self):
        self.nodes, self.weights, self.count = [], [], 0

    def weight(self, *shape, scale=1.0):
        name = f"w{len(self.weights)}"
        fan = max(1, int(np.prod(shape[1:]) if len(shape) == 4 else shape[0]))
        self.weights.append(numpy_helper.from_array((RNG.standard_normal(shape) * scale * (2 / fan) ** 0.5).astype(np.float32), name))
        return name

    def constant(self, value):
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, op, *inputs, **attributes):
        self.count += 1
        self.nodes.append(NODE(op, list(inputs), [f"v{self.count}"], f"{op.lower()}{self.count}", **attributes))
        return f"v{self.count}"

    def conv(self, x, channels, out, kernel=3, stride=1, group=1):
        return self.add("Conv", x, self.weight(out, channels // group, kernel, kernel), self.weight(out, scale=0.1), group=group,
                        pads=[kernel // 2] * 4, strides=[stride] * 2, kernel_shape=[kernel] * 2)

    def model(self, inputs, y, shape, opset=17):
        self.nodes[-1].output[0] = "y"
        graph = helper.make_graph(self.nodes, "g", inputs, [info("y", shape)], self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def residual():
    n = Net()
    x = n.add("Relu", n.conv("x", 3, 16, stride=2))
    for channels, out, stride in ((16, 16, 1), (16, 32, 2)):
        h = n.conv(n.add("Relu", n.conv(x, channels, out, stride=stride)), out, out)
        x = n.add("Relu", n.add("Add", h, x if stride == 1 else n.conv(x, channels, out, 1, stride)))
    x = n.add("Flatten", n.add("GlobalAveragePool", x))
    n.add("Gemm", x, n.weight(32, CLASSES), n.weight(CLASSES, scale=0.1))
    return n.model([info("x", ["n", 3, 16, 16])], "y", ["n", CLASSES])


def pooled(width=CLASSES):
    """A product behind a MaxPool, which has the scale of what it moves."""
    n = Net()
    x = n.add("MaxPool", n.add("Relu", n.conv("x", 3, 16)), kernel_shape=[2, 2], strides=[2, 2])
    for _ in range(2):
        x = n.add("Relu", n.conv(x, 16, 16))
    n.add("Gemm", n.add("Flatten", x), n.weight(16 * 8 * 8, width), n.weight(width, scale=0.1))
    return n.model([info("x", ["n", 3, 16, 16])], "y", ["n", width])


def mixing():
    """A constant on the left: its columns are summed over, so that all have one scale."""
    n = Net()
    x = n.add("Relu", n.add("MatMul", n.weight(12, 12), "x"))
    n.add("MatMul", x, n.weight(32, CLASSES))
    return n.model([info("x", ["n", 12, 32])], "y", ["n", 12, CLASSES])


def mobile():
    n = Net()
    six = (n.constant(np.float32(0)), n.constant(np.float32(6)))
    x = n.add("Clip", n.conv("x", 3, 16, stride=2), *six)
    for _ in range(2):
        h = n.add("Clip", n.conv(x, 16, 48, 1), *six)
        h = n.add("HardSwish", n.conv(h, 48, 48, group=48))
        x = n.add("Add", x, n.conv(h, 48, 16, 1))
    x = n.add("Flatten", n.add("GlobalAveragePool", x))
    n.add("Gemm", x, n.weight(16, CLASSES), n.weight(CLASSES, scale=0.1))
    return n.model([info("x", ["n", 3, 16, 16])], "y", ["n", CLASSES])


def attention(width=32, words=12, heads=4):
    n = Net()
    x = "x"
    for _ in range(2):
        parts = []
        for turn in ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]):
            p = n.add("Add", n.add("MatMul", x, n.weight(width, width)), n.weight(width, scale=0.1))
            p = n.add("Reshape", p, n.constant(np.int64([0, words, heads, width // heads])))
            parts.append(n.add("Transpose", p, perm=turn))
        scores = n.add("Mul", n.add("MatMul", parts[0], parts[1]), n.constant(np.float32((width // heads) ** -0.5)))
        mixed = n.add("Transpose", n.add("MatMul", n.add("Softmax", scores), parts[2]), perm=[0, 2, 1, 3])
        mixed = n.add("MatMul", n.add("Reshape", mixed, n.constant(np.int64([0, words, width]))), n.weight(width, width))
        x = n.add("LayerNormalization", n.add("Add", x, mixed), n.constant(np.ones(width, np.float32)))
        h = n.add("Relu", n.add("Add", n.add("MatMul", x, n.weight(width, 2 * width)), n.weight(2 * width, scale=0.1)))
        x = n.add("LayerNormalization", n.add("Add", x, n.add("MatMul", h, n.weight(2 * width, width))),
                  n.constant(np.ones(width, np.float32)))
    n.add("Gemm", n.add("ReduceMean", x, axes=[1], keepdims=0), n.weight(width, CLASSES), n.weight(CLASSES, scale=0.1))
    return n.model([info("x", ["n", words, width])], "y", ["n", CLASSES])


SHAPES = {"residual": (residual, (3, 16, 16)), "mobile": (mobile, (3, 16, 16)), "attention": (attention, (12, 32))}
def bounded():
    """What a Clip gives has no 0, as every range has."""
    n = Net()
    x = n.add("Clip", n.conv("x", 3, 8), n.constant(np.float32(1)), n.constant(np.float32(4)))
    n.add("Flatten", n.add("GlobalAveragePool", n.conv(x, 8, CLASSES)))
    return n.model([info("x", ["n", 3, 16, 16])], "y", ["n", CLASSES])


def shared():
    """Layers with one matrix, as ALBERT has them, and the same turned."""
    n = Net()
    x, w = "x", n.weight(32, 32)
    for _ in range(3):
        x = n.add("Relu", n.add("MatMul", x, w))
    x = n.add("Reshape", x, n.constant(np.int64([-1, 32])))
    n.add("Gemm", n.add("Gemm", x, w, transB=1), w, transB=1)
    return n.model([info("x", ["n", 12, 32])], "y", [None, 32])


MORE = {"pooled": (pooled, (3, 16, 16)), "one": (lambda: pooled(1), (3, 16, 16)), "mixing": (mixing, (12, 32)),
        "bounded": (bounded, (3, 16, 16)), "shared": (shared, (12, 32))}


def matrices(model):
    return [numpy_helper.to_array(w) for w in model.graph.initializer if len(w.dims) == 2 and w.data_type == F]


def dequantised(model, block):
    of = {w.name: numpy_helper.to_array(w).astype(np.float32) for w in model.graph.initializer}
    pairs = [n.input[:2] for n in model.graph.node if n.op_type == "DequantizeLinear"]
    return [of[w] * np.repeat(of[s], block, 0)[:len(of[w])] for w, s in pairs]


def rounded(weights, bits, block):
    """Each block of a column as whole multiples of a scale, as far as bits reach."""
    result = []
    for w in weights:
        parts = [w[i:i + block] for i in range(0, len(w), block)]
        scales = [np.abs(p).max(0) / (2 ** (bits - 1) - 1) for p in parts]
        result.append(np.concatenate([np.rint(p / s) * s for p, s in zip(parts, scales)]))
    return result


def noise(a, b):
    a, b = (np.concatenate([np.ravel(v) for v in x]) if isinstance(x, list) else x for x in (a, b))
    return 10 * np.log10((a ** 2).sum() / max(((a - b) ** 2).sum(), 1e-30))


class Quantising(lab.Case):
    workspace = False

    def setUp(self):
        global RNG
        super().setUp()
        RNG = np.random.default_rng(4)  # whichever tests ran before

    def prepare(self, kind, samples=40):
        make, shape = {**SHAPES, **MORE}[kind]
        model = make()
        onnx.checker.check_model(model, full_check=True)
        self.write(kind + ".onnx", model.SerializeToString())
        x = RNG.standard_normal((samples, *shape)).astype(np.float32)
        np.savez(self.folder / "data.npz", x=x)
        return model, x

    def quantize(self, kind, *words):
        report = self.ask("quantize", kind + ".onnx", "-o", "q.onnx", *words)
        onnx.checker.check_model(str(self.folder / "q.onnx"), full_check=True)
        return onnx.load(self.folder / "q.onnx"), report

    def results(self, model, x):
        return ort.InferenceSession(model.SerializeToString()).run(None, {"x": x})[0]

    def near(self, model, quantised, x, least):
        want, got = self.results(model, x), self.results(quantised, x)
        ours = engine.Session(quantised.SerializeToString()).run({"x": x})[0]
        self.assertGreater(noise(want, got), least)
        self.assertGreater(noise(want, ours), least)
        return noise(want, got)

    def kernels(self):
        said = self.command("inspect", "q.onnx", "--plan").stdout
        return {name: said.count(name) for name in ("QLinearConv", "QLinearMatMul", "QGemm", "MatMulIntegerToFloat", " Conv ", "QLinearAdd")}


class Static(Quantising):
    def test_no_further_away_than_onnx_runtime(self):
        from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

        class Reader(CalibrationDataReader):
            def __init__(self, x):
                self.rows = iter([{"x": x[i:i + 1]} for i in range(len(x))])

            def get_next(self):
                return next(self.rows, None)

        def compare(kind):
            """How many dB nearer."""
            model, x = self.prepare(kind)
            self.command("shrink", kind + ".onnx", "-o", "small.onnx")
            quantize_static(self.folder / "small.onnx", self.folder / "theirs.onnx", Reader(x), per_channel=True,
                            weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8)
            theirs = onnx.load(self.folder / "theirs.onnx")
            fresh = RNG.standard_normal((1000, *SHAPES[kind][1])).astype(np.float32)
            want = self.results(model, fresh)
            agree = lambda m: (self.results(m, fresh).argmax(1) == want.argmax(1)).mean()  # noqa: E731
            quantised, report = self.quantize(kind, "--data", "data.npz")
            # One in a hundred of the samples lies at a border, where either may be lucky.
            self.assertGreaterEqual(agree(quantised), agree(theirs) - 0.01)
            self.assertLess(report["after"]["weight_bytes"], report["before"]["weight_bytes"] / 1.8)
            return self.near(model, quantised, fresh, 20) - noise(want, self.results(theirs, fresh))

        for kind in SHAPES:
            with self.subTest(kind):
                self.assertGreater(np.mean([compare(kind) for _ in range(4)]), 0)

    def test_integers_run(self):
        for kind, least in (("residual", {"QLinearConv": 6}), ("mobile", {"QLinearConv": 7}),
                            ("attention", {"MatMulIntegerToFloat": 10})):
            with self.subTest(kind):
                self.prepare(kind, 8)
                self.quantize(kind, "--data", "data.npz")
                found = self.kernels()
                for name, count in least.items():
                    self.assertGreaterEqual(found[name], count, found)
                self.assertEqual(found[" Conv "], 0, found)

    def test_methods_and_types(self):
        model, x = self.prepare("residual", 12)
        for words in (("--method", "minmax"), ("--method", "percentile", "--percentile", "99.9"), ("--method", "entropy"),
                      ("--activations", "int8"), ("--weights", "uint8"), ("--per-tensor",)):
            with self.subTest(words):
                quantised, report = self.quantize("residual", "--data", "data.npz", *words)
                self.near(model, quantised, x, 15)
                self.assertAlmostEqual(report["details"]["sqnr"], noise(self.results(model, x), self.results(quantised, x)), delta=2)
        kinds = {i.name: i.data_type for i in quantised.graph.initializer}
        self.assertIn(TensorProto.INT32, kinds.values())  # the bias

    def test_operators(self):
        for kind, op in (("residual", "QLinearConv"), ("attention", "QLinearMatMul"), ("mixing", "QLinearMatMul"),
                         ("bounded", "QLinearConv")):
            with self.subTest(kind):
                model, x = self.prepare(kind, 12)
                self.near(model, self.quantize(kind, "--data", "data.npz")[0], x, 15)
                quantised, _ = self.quantize(kind, "--data", "data.npz", "--format", "qoperator")
                self.assertIn(op, {n.op_type for n in quantised.graph.node})
                self.near(model, quantised, x, 15)

    def test_a_bias_behind_a_pool(self):
        model, x = self.prepare("pooled", 12)
        for form, op in (("qdq", "Conv"), ("qoperator", "QLinearConv")):
            with self.subTest(form):
                quantised, report = self.quantize("pooled", "--data", "data.npz", "--format", form)
                self.near(model, quantised, x, 20)
                self.assertEqual({n: c for n, c in report["after"]["operators"].items() if "Conv" in n}, {op: 3})
                biases = [i for i in quantised.graph.initializer if i.name.endswith("_quantized") and i.data_type == TensorProto.INT32]
                self.assertEqual(len(biases), 4)

    def test_ranges_that_the_search_comes_to(self):
        """Where the first product stays in float, the pool behind it has a range of its own."""
        self.prepare("one", 20)
        turned = [self.quantize("one", "--data", "data.npz", *words)[1]["details"] for words in ((), ("--keep", "conv1,gemm9"))]
        self.assertLess(turned[1]["drop"], turned[0]["drop"])
        _, report = self.quantize("one", "--data", "data.npz", "--max-drop", str((turned[0]["drop"] + turned[1]["drop"]) / 2))
        self.assertEqual(report["details"]["in float"], ["conv1", "gemm9"])
        self.assertAlmostEqual(report["details"]["sqnr"], turned[1]["sqnr"], delta=0.01)

    def test_report_and_classes(self):
        self.prepare("residual", 12)
        said = self.command("quantize", "residual.onnx", "--data", "data.npz", "--report").stdout
        self.assertRegex(said, r"conv\d+ +Conv +\d+\.\d")
        self.assertRegex(said, r"results that hold: [\d.]+ % of 12 samples")

    def test_pictures_and_sets(self):
        model, x = self.prepare("mobile", 4)
        for i in range(6):
            pixels = RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            self.write(f"pictures/{i % 3}/{i}.ppm", b"P6 16 16 255\n" + pixels.tobytes())
        report = self.quantize("mobile", "--data", "pictures")[1]
        self.assertIn("right after", report["details"])
        for i in range(3):
            self.write(f"sets/test_data_set_{i}/input_0.pb", numpy_helper.from_array(x[i:i + 1]).SerializeToString())
        self.near(model, self.quantize("mobile", "--data", "sets")[0], x, 15)

    def test_numbers_at_the_end_of_float(self):
        """Weights that are not finite stay in float; ranges are as wide as float is."""
        model, x = self.prepare("bounded", 4)
        model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.full((8, 3, 3, 3), np.nan, np.float32), "w0"))
        self.write("bounded.onnx", model.SerializeToString())
        quantised, _ = self.quantize("bounded", "--data", "data.npz")
        self.assertIn("w0", [i for n in quantised.graph.node for i in n.input])
        n = Net()
        n.conv(n.add("Mul", "x", n.constant(np.float32(3e38 / np.abs(x).max()))), 3, 2, 1)
        model = n.model([info("x", ["n", 3, 16, 16])], "y", ["n", 2, 16, 16])
        self.write("bounded.onnx", model.SerializeToString())
        for method in ("mse", "percentile", "entropy"):
            report = self.quantize("bounded", "--data", "data.npz", "--method", method)[1]
            self.assertGreater(report["details"]["sqnr"], 15)

    def test_layers_stay_in_float(self):
        model, x = self.prepare("residual", 12)
        quantised, _ = self.quantize("residual", "--data", "data.npz", "--keep", "Gemm,conv1")
        by_name = {n.name: n for n in quantised.graph.node}
        self.assertEqual(by_name["conv1"].input[0], "x")
        _, report = self.quantize("residual", "--data", "data.npz", "--max-drop", "-1")
        self.assertEqual(report["details"]["layers"], [])
        self.assertGreater(len(report["details"]["in float"]), 6)
        self.assertEqual(report["details"]["agreement"], 100)

    def test_nodes_without_names(self):
        """The search leaves one layer after the other in float, not all that have no name."""
        model, _ = self.prepare("one", 20)
        for n in model.graph.node:
            n.name = ""
        self.write("one.onnx", model.SerializeToString())
        drop = self.quantize("one", "--data", "data.npz")[1]["details"]["drop"]
        _, report = self.quantize("one", "--data", "data.npz", "--max-drop", str(drop * 0.99))
        self.assertEqual(report["details"]["in float"][:2], ["v1", "y"])
        self.assertNotEqual(report["details"]["layers"], [])

    def test_what_is_wrong(self):
        self.prepare("residual", 4)
        np.savez(self.folder / "other.npz", z=np.zeros((2, 3), np.float32))
        np.savez(self.folder / "wide.npz", x=np.zeros((2, 5, 16, 16), np.float32))
        for words, said, code in ((("--data", "none.npz"), "no such file", 1), (("--data", "other.npz"), "cannot", 1),
                                  (("--data", "wide.npz"), "input 'x'", 1), ((), "samples are missing", 2),
                                  (("--data", "data.npz", "--method", "minmx"), "did you mean", 2),
                                  (("--data", "data.npz", "--keep", "Gem"), "did you mean 'Gemm'?", 1),
                                  (("--dynamic", "--keep", "Gem"), "did you mean 'Gemm'?", 1),
                                  (("--dynamic", "--data", "data.npz"), "--data says nothing with --dynamic", 2),
                                  (("--dynamic", "--weights-only", "4"), "--dynamic says nothing with --weights-only", 2),
                                  (("--data", "data.npz", "--contrib"), "--contrib says nothing without --weights-only", 2),
                                  (("--weights-only", "5"), "expected 4 or 8", 2),
                                  (("--weights-only", "4", "--block", "20"), "power of two", 2)):
            with self.subTest(words):
                self.assertIn(said, self.fails("quantize", "residual.onnx", "-o", "q.onnx", *words, code=code))
                self.assertFalse((self.folder / "q.onnx").exists())


class WithoutSamples(Quantising):
    def test_dynamic(self):
        for kind in ("attention", "residual"):
            with self.subTest(kind):
                model, x = self.prepare(kind, 12)
                quantised, report = self.quantize(kind, "--dynamic")
                self.near(model, quantised, x, 25)
                self.assertEqual(report["details"]["quantised"], {"attention": 13, "residual": 1}[kind])
        self.prepare("attention", 2)
        self.quantize("attention", "--dynamic")
        self.assertGreaterEqual(self.kernels()["MatMulIntegerToFloat"], 10)

    def test_weights_that_are_shared(self):
        model, x = self.prepare("shared", 4)
        for words in (("--dynamic",), ("--weights-only", 8), ("--weights-only", 8, "--contrib")):
            with self.subTest(words):
                quantised, report = self.quantize("shared", *words)
                self.near(model, quantised, x, 25)
                self.assertEqual(report["details"]["quantised"], 5)
                self.assertEqual(sum(w.name.startswith("weight_quantized") for w in quantised.graph.initializer), 2)

    def test_blocks(self):
        model, x = self.prepare("attention", 12)
        for bits, block in ((4, 32), (8, 32), (4, 64), (8, 16)):
            with self.subTest(bits=bits, block=block):
                words = ("--weights-only", bits, "--block", block)
                quantised, report = self.quantize("attention", *words)
                self.assertEqual(report["details"]["quantised"], 13)
                before, after = matrices(model), dequantised(quantised, block)
                self.assertGreater(noise(before, after), noise(before, rounded(before, bits, block)) - 0.05)
                # Of what layers make of it only the order of size is known: 6 dB a bit, some lost on the way.
                self.near(model, quantised, x, 6 * bits - 16)
                packed, _ = self.quantize("attention", *words, "--contrib")
                self.near(model, packed, x, 6 * bits - 16)
                ours = [engine.Session(m.SerializeToString()).run({"x": x})[0] for m in (quantised, packed)]
                self.assertGreater(noise(*ours), 80)


if __name__ == "__main__":
    sys.exit(suite.run())
