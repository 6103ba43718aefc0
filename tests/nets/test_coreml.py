#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Core ML models: those that coremltools makes of scikit-learn's against its predictions, networks layer by layer
against NumPy, found ones against what they were made from.

    tests/nets/test_coreml.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import logging
import pathlib
import sys
import unittest
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "convert")]
import venv  # noqa: E402

venv.enter("nets")

logging.disable(logging.ERROR)
warnings.filterwarnings("ignore")

import coremltools as ct  # noqa: E402
import numpy as np  # noqa: E402
import onnxruntime as ort  # noqa: E402
from coremltools.converters.mil import Builder as mb  # noqa: E402
from coremltools.models import datatypes  # noqa: E402
from coremltools.models.neural_network import NeuralNetworkBuilder, quantization_utils  # noqa: E402
from coremltools.proto import Model_pb2  # noqa: E402
from sklearn import ensemble, feature_extraction, impute, linear_model, pipeline, preprocessing, svm, tree  # noqa: E402

import numeric  # noqa: E402
import suite  # noqa: E402
from harness import NATIVE, Model, command, same, scratch  # noqa: E402

RNG = np.random.default_rng(17)
ROWS, FEATURES = 150, 4
X = RNG.normal(size=(ROWS, FEATURES))
TWO, FOUR, REAL = (X[:, 0] + X[:, 1] > 0).astype(int), RNG.integers(3, 7, ROWS), X @ [1, -2, 3, 0.5]
CLOSE = 2e-5


def save(spec):
    pathlib.Path(scratch("model.mlmodel")).write_bytes(spec.SerializeToString())
    return scratch("model.mlmodel")


# ---- models of tables ---------------------------------------------------------------------------------

SKLEARN = {
    "random forest, classes": (ensemble.RandomForestClassifier(5, random_state=0), FOUR),
    "random forest, regression": (ensemble.RandomForestRegressor(5, random_state=0), REAL),
    "boosting, two classes": (ensemble.GradientBoostingClassifier(n_estimators=7), TWO),
    "boosting, classes": (ensemble.GradientBoostingClassifier(n_estimators=5), FOUR),
    "boosting, regression": (ensemble.GradientBoostingRegressor(n_estimators=7), REAL),
    "tree, classes": (tree.DecisionTreeClassifier(max_depth=4), FOUR),
    "tree, names of classes": (tree.DecisionTreeClassifier(max_depth=4), np.array(["ä", "b"])[TWO]),
    "svc with probability": (svm.SVC(probability=True), FOUR),
    "svc, polynomial": (svm.SVC(kernel="poly", probability=True, coef0=1), TWO),
    "svc by votes": (svm.SVC(kernel="linear"), FOUR),
    "nu svc": (svm.NuSVC(probability=True, kernel="sigmoid"), TWO),
    "svr": (svm.SVR(), REAL),
    "nu svr, linear": (svm.NuSVR(kernel="linear"), REAL),
    "linear regression": (linear_model.LinearRegression(), REAL),
    "linear svc": (svm.LinearSVC(), TWO),
    "pipeline": (pipeline.make_pipeline(preprocessing.StandardScaler(), preprocessing.Normalizer(),
                                        linear_model.LinearRegression()), REAL),
    "gaps filled": (pipeline.make_pipeline(impute.SimpleImputer(), ensemble.RandomForestRegressor(3)), REAL),
}


class Tables(unittest.TestCase):
    def try_case(self, name):
        model, y = SKLEARN[name]
        x = np.where(RNG.random(X.shape) < 0.1, np.nan, X) if "gaps" in name else X
        model.fit(x, y)
        ct.converters.sklearn.convert(model).save(scratch("model.mlmodel"))
        ours = Model(scratch("model.mlmodel"), distance=1e-6)
        rows = np.concatenate([x, RNG.normal(size=(50, FEATURES))])
        got = ours(input=rows)
        if "classLabel" not in got:
            same("prediction", got["prediction"].reshape(-1), model.predict(rows), distance=1e-9)
            return
        labels = np.array(eval(ours.metadata()["class_labels"])).astype(model.classes_.dtype)
        self.assertEqual(labels.tolist(), model.classes_.tolist())
        p = got.get("classProbability", np.ones((len(rows), 1)))
        sure = np.abs(p - 0.5).min(1) > 5e-3
        same("label", got["classLabel"][sure].astype(labels.dtype), self.labels(model, rows)[sure])
        if hasattr(model, "predict_proba"):
            # scikit-learn's LibSVM is older than ours: it improves the probability of two classes, up to 0.005.
            iterated = isinstance(model, (svm.SVC, svm.NuSVC)) and len(model.classes_) == 2
            same("probability", got["classProbability"], model.predict_proba(rows), distance=5e-3 if iterated else 1e-6)

    def labels(self, model, rows):
        """Core ML takes the most probable class, scikit-learn's machines vote."""
        if isinstance(model, (svm.SVC, svm.NuSVC)) and model.probability:
            return model.classes_[model.predict_proba(rows).argmax(1)]
        return model.predict(rows)

    def test_dictionary(self):
        rows = [{"a": 1.0, "b": 2.0}, {"b": 3.0, "c": -1.0}]
        vectors = feature_extraction.DictVectorizer(sparse=False).fit(rows)
        model = pipeline.make_pipeline(vectors, linear_model.LinearRegression()).fit(rows, [1.0, 2.0])
        ct.converters.sklearn.convert(model, "in", "out").save(scratch("model.mlmodel"))
        ours = Model(scratch("model.mlmodel"))
        for row in rows + [{"c": 2.0, "unknown": 4.0}]:
            same("prediction", ours(**{"in": row})["out"], model.predict([row]), distance=1e-9)

    def spec(self, inputs, outputs):
        spec = Model_pb2.Model(specificationVersion=1)
        for features, to in ((inputs, spec.description.input), (outputs, spec.description.output)):
            for name, kind in features:
                feature = to.add(name=name)
                if isinstance(kind, int):
                    feature.type.multiArrayType.shape.append(kind)
                    feature.type.multiArrayType.dataType = 65600
                else:
                    getattr(feature.type, kind).SetInParent()
        return spec

    def test_categories(self):
        spec = self.spec([("color", "stringType"), ("size", "doubleType")], [("row", 4)])
        models = spec.pipeline.pipeline if hasattr(spec.pipeline, "pipeline") else spec.pipeline
        one = models.models.add()
        one.CopyFrom(self.spec([("color", "stringType")], [("hot", 3)]))
        one.oneHotEncoder.stringCategories.vector.extend(["red", "green", "blue"])
        one.oneHotEncoder.handleUnknown = 1
        two = models.models.add()
        two.CopyFrom(self.spec([("hot", 3), ("size", "doubleType")], [("row", 4)]))
        for name, size in (("hot", 3), ("size", 1)):
            two.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=size)
        got = Model(save(spec))(color=np.array([["green"], ["pink"]], object), size=np.array([[2.5], [3]]))
        same("row", got["row"], np.array([[0, 1, 0, 2.5], [0, 0, 0, 3]]))

    def test_mapping_and_extraction(self):
        spec = self.spec([("name", "stringType")], [("id", "int64Type")])
        for i, word in enumerate(("one", "two")):
            spec.categoricalMapping.stringToInt64Map.map[word] = i + 1
        spec.categoricalMapping.int64Value = -7
        got = Model(save(spec))(name=np.array([["two"], ["six"]], object))
        same("id", got["id"], np.array([2, -7]))
        spec = self.spec([("x", 4)], [("y", 2)])
        spec.arrayFeatureExtractor.extractIndex.extend([3, 1])
        same("y", Model(save(spec))(x=X)["y"], X[:, [3, 1]])

    def test_two_classes_by_probit(self):
        spec = self.spec([("x", 4)], [("label", "int64Type"), ("p", "dictionaryType")])
        spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName = "label", "p"
        spec.glmClassifier.weights.add().value.extend([1, -1, 0.5, 0])
        spec.glmClassifier.offset.append(0.25)
        spec.glmClassifier.postEvaluationTransform = 1
        spec.glmClassifier.int64ClassLabels.vector.extend([10, 20])
        from scipy.stats import norm
        p = norm.cdf(X @ [1, -1, 0.5, 0] + 0.25)
        got = Model(save(spec), distance=1e-6)(x=X)
        same("p", got["p"], np.stack([1 - p, p], 1), distance=1e-6)
        same("label", got["label"], np.where(p > 0.5, 20, 10))


for _name in SKLEARN:
    setattr(Tables, f"test_{_name}", lambda self, n=_name: self.try_case(n))


# ---- networks -----------------------------------------------------------------------------------------


def network(build, shapes, exact=False, **more):
    """build(builder) adds layers from x (or x0, x1) to y; shapes: of the inputs, without N by the older rule."""
    names = ["x"] if len(shapes) == 1 else [f"x{i}" for i in range(len(shapes))]
    builder = NeuralNetworkBuilder([(n, datatypes.Array(*s)) for n, s in zip(names, shapes)], [("y", None)],
                                   disable_rank5_shape_mapping=exact, **more)
    build(builder)
    arrays = [RNG.normal(size=s if exact else (2, *s)).astype(np.float32) for s in shapes]
    return builder, Model(save(builder.spec), distance=CLOSE), dict(zip(names, arrays))


class Layers(unittest.TestCase):
    def check(self, build, shapes, expected, exact=False, output="y"):
        _, ours, inputs = network(build, shapes, exact)
        same(output, ours(**inputs)[output], expected(*inputs.values()), distance=CLOSE)

    def try_conv(self, pads, same_mode="BOTTOM_RIGHT_HEAVY", valid=None, stride=(2, 2), dilation=(1, 1), groups=1):
        w, b = RNG.normal(size=(3, 2, 4 // groups, 6)), RNG.normal(size=6)

        def build(m):
            where = dict(zip(("padding_top", "padding_bottom", "padding_left", "padding_right"), valid or (0, 0, 0, 0)))
            m.add_convolution("c", 4 // groups, 6, 3, 2, *stride, "valid" if valid else "same", groups, w, b, True,
                              dilation_factors=list(dilation), same_padding_asymmetry_mode=same_mode,
                              input_name="x", output_name="y", **where)
        self.check(build, [(4, 8, 8)], lambda x: numeric.conv(x, w.transpose(3, 2, 0, 1), b, stride, pads, dilation, groups))

    def test_conv_valid(self):
        self.try_conv((1, 2, 0, 3), valid=(1, 2, 0, 3))

    def test_conv_same(self):
        self.try_conv((0, 1, 0, 0))
        self.try_conv((1, 0, 0, 0), "TOP_LEFT_HEAVY")
        self.try_conv((1, 1, 0, 1), stride=(1, 1))
        self.try_conv((2, 2, 1, 1), stride=(1, 1), dilation=(2, 2))
        self.try_conv((0, 1, 0, 0), groups=2)

    def test_deconv(self):
        w, b = RNG.normal(size=(3, 3, 4, 5)), RNG.normal(size=5)  # height, width, in, out
        for mode, shape, pads in (("valid", None, (0, 0, 0, 0)), ("same", None, (0, 1, 0, 1)),
                                  ("same", (11, 12), (0, 0, 0, 0))):
            def build(m, mode=mode, shape=shape):
                m.add_convolution("d", 4, 5, 3, 3, 2, 2, mode, 1, w, b, True, is_deconv=True, output_shape=shape,
                                  input_name="x", output_name="y")
            w_ours = w.transpose(2, 3, 0, 1)
            if shape:
                def expected(x):
                    y = numeric.deconv(x, w_ours, None, (2, 2))
                    return np.pad(y, ((0, 0), (0, 0), (0, 0), (0, 1)))[:, :, :11, :12] + b.reshape(1, -1, 1, 1)
            else:
                def expected(x, pads=pads):
                    return numeric.deconv(x, w_ours, b, (2, 2), pads)
            self.check(build, [(4, 5, 5)], expected)

    def test_deconv_of_space(self):
        w, b = RNG.normal(size=(1, 3, 3, 4, 5)), RNG.normal(size=5)  # depth, height, width, in, out
        for mode, shape in (("same", None), ("custom", (1, 11, 12))):
            def build(m, mode=mode, shape=shape):
                m.add_convolution3d("d", 4, 5, 1, 3, 3, w.transpose(4, 3, 0, 1, 2), b, True, 1,
                                    stride_height=2, stride_width=2, padding_mode=mode, is_deconv=True, output_shape=shape,
                                    input_name="x", output_name="y")

            def expected(x, shape=shape):
                y = numeric.deconv(x[:, :, 0], w[0].transpose(2, 3, 0, 1), None, (2, 2))
                y = np.pad(y, ((0, 0), (0, 0), (0, 0), (0, 1)))[:, :, :11, :12] if shape else y[:, :, :10, :10]
                return (y + b.reshape(1, -1, 1, 1))[:, :, None]
            self.check(build, [(1, 4, 1, 5, 5)], expected, exact=True)

    def try_pool(self, kind, pads, **options):
        exclude = options.get("exclude_pad_area", True)

        def build(m):
            m.add_pooling("p", 3, 3, 2, 2, kind, input_name="x", output_name="y", **options)

        def expected(x):
            fill = -np.inf if kind == "MAX" else 0.0
            v = numeric.windows(numeric.pad(x, *pads, fill), (3, 3), (2, 2))
            if kind == "MAX":
                return v.max((4, 5))
            if not exclude:
                return v.mean((4, 5))
            return v.sum((4, 5)) / numeric.windows(numeric.pad(np.ones_like(x), *pads), (3, 3), (2, 2)).sum((4, 5))
        self.check(build, [(3, 8, 8)], expected)

    def test_pooling(self):
        self.try_pool("MAX", (0, 0, 0, 0), padding_type="VALID")
        self.try_pool("MAX", (0, 1, 0, 1), padding_type="SAME")
        self.try_pool("AVERAGE", (0, 1, 0, 1), padding_type="SAME")
        self.try_pool("MAX", (0, 1, 0, 1), padding_type="INCLUDE_LAST_PIXEL")
        self.try_pool("MAX", (1, 2, 1, 2), padding_type="INCLUDE_LAST_PIXEL", padding_top=1, padding_left=1,
                      padding_bottom=1, padding_right=1)
        self.try_pool("AVERAGE", (1, 1, 1, 1), padding_type="VALID", exclude_pad_area=False, padding_top=1,
                      padding_left=1, padding_bottom=1, padding_right=1)
        for kind, f in (("MAX", np.max), ("AVERAGE", np.mean), ("L2", lambda x, *a, **k: np.sqrt((x ** 2).sum(*a, **k)))):
            self.check(lambda m, k=kind: m.add_pooling("g", 0, 0, 0, 0, k, "VALID", "x", "y", is_global=True),
                       [(3, 8, 8)], lambda x, f=f: f(x, (2, 3)))

    def test_activations(self):
        a = RNG.random(3).astype(np.float32)
        c = a.reshape(-1, 1, 1)
        for kind, params, f in (
                ("RELU", None, lambda x: np.maximum(x, 0)),
                ("LEAKYRELU", [0.2], lambda x: np.where(x > 0, x, 0.2 * x)),
                ("PRELU", a, lambda x: np.where(x > 0, x, c * x)),
                ("ELU", 0.7, lambda x: np.where(x > 0, x, 0.7 * (np.exp(x) - 1))),
                ("TANH", None, np.tanh), ("SCALED_TANH", [1.5, 0.5], lambda x: 1.5 * np.tanh(0.5 * x)),
                ("SIGMOID", None, numeric.sigmoid), ("LINEAR", [2, 0.5], lambda x: 2 * x + 0.5),
                ("SIGMOID_HARD", [0.2, 0.5], lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
                ("THRESHOLDEDRELU", 0.3, lambda x: np.where(x >= 0.3, x, 0)),
                ("SOFTSIGN", None, lambda x: x / (1 + np.abs(x))), ("SOFTPLUS", None, lambda x: np.log1p(np.exp(x))),
                ("PARAMETRICSOFTPLUS", [a, a], lambda x: c * np.log1p(np.exp(c * x)))):
            with self.subTest(kind):
                self.check(lambda m, k=kind, p=params: m.add_activation("a", k, "x", "y", p), [(3, 4, 5)], f)

    def test_normalisation(self):
        g, b, mean, var = RNG.normal(size=3), RNG.normal(size=3), RNG.normal(size=3), RNG.random(3) + 0.5
        c = [v.reshape(-1, 1, 1) for v in (g, b, mean, var)]
        self.check(lambda m: m.add_batchnorm("n", 3, g, b, mean, var, "x", "y", epsilon=1e-3), [(3, 4, 5)],
                   lambda x: (x - c[2]) / np.sqrt(c[3] + 1e-3) * c[0] + c[1])
        self.check(lambda m: m.add_batchnorm("n", 3, g, b, None, None, "x", "y", True, True), [(3, 4, 5)],
                   lambda x: (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-5) * c[0] + c[1])
        self.check(lambda m: m.add_mvn("n", "x", "y", False, True, 1e-4), [(3, 4, 5)],
                   lambda x: (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-4))
        self.check(lambda m: m.add_l2_normalize("n", "x", "y", 1e-5), [(3, 4, 5)],
                   lambda x: x / np.sqrt((x ** 2).sum((1, 2, 3), keepdims=True) + 1e-5))

        def lrn(x):
            square = np.pad(x ** 2, ((0, 0), (1, 1), (0, 0), (0, 0)))
            return x / (2 + 0.5 / 3 * (square[:, :-2] + square[:, 1:-1] + square[:, 2:])) ** 0.75
        self.check(lambda m: m.add_lrn("n", "x", "y", 0.5, 0.75, 3, 2), [(3, 4, 5)], lrn)

    def test_elementwise(self):
        for mode, f in (("ADD", np.add), ("MULTIPLY", np.multiply), ("MAX", np.maximum), ("MIN", np.minimum),
                        ("AVE", lambda a, b: (a + b) / 2)):
            self.check(lambda m, k=mode: m.add_elementwise("e", ["x0", "x1"], "y", k), [(3, 4, 5), (3, 4, 5)], f)
        self.check(lambda m: m.add_elementwise("e", ["x0", "x1"], "y", "ADD"), [(3, 4, 5), (3,)],
                   lambda a, b: a + b[:, :, None, None])
        self.check(lambda m: m.add_elementwise("e", "x", "y", "MULTIPLY", 3.5), [(3,)], lambda x: 3.5 * x)
        s, b = RNG.normal(size=(3, 1, 1)), RNG.normal(size=(3, 4, 5))
        self.check(lambda m: m.add_scale("s", s, b, True, "x", "y", [3], [3, 4, 5]), [(3, 4, 5)], lambda x: x * s + b)
        self.check(lambda m: m.add_bias("s", b, "x", "y", [3, 4, 5]), [(3, 4, 5)], lambda x: x + b)
        for mode, f in (("sqrt", np.sqrt), ("rsqrt", lambda x: 1 / np.sqrt(x + 1e-4)), ("log", np.log), ("abs", np.abs),
                        ("inverse", lambda x: 1 / (x + 1e-4)), ("exp", np.exp), ("power", lambda x: x ** 1.5),
                        ("threshold", lambda x: np.maximum(x, 1.5))):
            def build(m, k=mode):
                m.add_unary("s", "x", "t", "abs")
                m.add_unary("u", "t", "y", k, 1.5, 2.0, 0.5)
            self.check(build, [(3, 4, 5)], lambda x, f=f: f(np.abs(x) * 0.5 + 2.0))

    def test_shapes(self):
        self.check(lambda m: m.add_flatten("f", 1, "x", "y"), [(3, 4, 5)],
                   lambda x: x.transpose(0, 2, 3, 1).reshape(2, -1))
        self.check(lambda m: m.add_reshape("f", "x", "y", (5, 6, 2), 0), [(3, 4, 5)], lambda x: x.reshape(2, 5, 6, 2))
        self.check(lambda m: m.add_reshape("f", "x", "y", (5, 6, 2), 1), [(3, 4, 5)],
                   lambda x: x.transpose(0, 2, 3, 1).reshape(2, 6, 2, 5).transpose(0, 3, 1, 2))
        self.check(lambda m: m.add_permute("f", (0, 2, 3, 1), "x", "y"), [(3, 4, 5)], lambda x: x.transpose(0, 2, 3, 1))
        self.check(lambda m: m.add_elementwise("f", ["x0", "x1"], "y", "CONCAT"), [(3, 4, 5), (2, 4, 5)],
                   lambda a, b: np.concatenate([a, b], 1))
        self.check(lambda m: m.add_split("f", "x", ["a", "y"]), [(4, 2, 2)], lambda x: x[:, 2:])
        self.check(lambda m: m.add_slice("f", "x", "y", "height", 1, 4, 2), [(2, 6, 3)], lambda x: x[:, :, 1:4:2])
        self.check(lambda m: m.add_crop("f", 1, 2, 0, 1, None, ["x"], "y"), [(2, 6, 6)], lambda x: x[:, :, 0:5, 1:4])
        self.check(lambda m: m.add_padding("f", 1, 2, 0, 1, 0.5, "x", "y", "constant"), [(2, 4, 4)],
                   lambda x: np.pad(x, ((0, 0), (0, 0), (0, 1), (1, 2)), constant_values=0.5))
        self.check(lambda m: m.add_padding("f", 1, 2, 0, 1, 0, "x", "y", "reflection"), [(2, 4, 4)],
                   lambda x: np.pad(x, ((0, 0), (0, 0), (0, 1), (1, 2)), "reflect"))
        self.check(lambda m: m.add_upsample("f", 2, 3, "x", "y", "NN"), [(2, 3, 4)], lambda x: x.repeat(2, 2).repeat(3, 3))
        self.check(lambda m: m.add_reorganize_data("f", "x", "y", "PIXEL_SHUFFLE", 2), [(8, 3, 3)],
                   lambda x: x.reshape(2, 2, 2, 2, 3, 3).transpose(0, 1, 4, 2, 5, 3).reshape(2, 2, 6, 6))
        for mode, f in (("sum", np.sum), ("avg", np.mean), ("max", np.max)):
            self.check(lambda m, k=mode: m.add_reduce("f", "x", "y", "HW", k), [(3, 4, 5)], lambda x, f=f: f(x, (2, 3)))

    def test_bilinear(self):
        self.check(lambda m: m.add_upsample("f", 2, 2, "x", "y", "BILINEAR"), [(2, 3, 4)],
                   lambda x: numeric.bilinear(x, np.minimum(np.arange(6) / 2, 2), np.minimum(np.arange(8) / 2, 3)))
        self.check(lambda m: m.add_resize_bilinear("f", "x", "y", 5, 7, "STRICT_ALIGN_ENDPOINTS_MODE"), [(2, 3, 4)],
                   lambda x: numeric.bilinear(x, np.linspace(0, 2, 5), np.linspace(0, 3, 7)))
        self.check(lambda m: m.add_resize_bilinear("f", "x", "y", 6, 8, "ROI_ALIGN_MODE"), [(2, 3, 4)],
                   lambda x: numeric.bilinear(x, np.clip((np.arange(6) + 0.5) / 2 - 0.5, 0, 2),
                                           np.clip((np.arange(8) + 0.5) / 2 - 0.5, 0, 3)))

    def test_dense_and_softmax(self):
        w, b = RNG.normal(size=(6, 24)), RNG.normal(size=6)

        def build(m):
            m.add_flatten("f", 0, "x", "t")
            m.add_inner_product("d", w, b, 24, 6, True, "t", "u")
            m.add_softmax("s", "u", "y")
        self.check(build, [(4, 3, 2)], lambda x: numeric.softmax(x.reshape(2, -1) @ w.T + b, 1))

    def test_embedding(self):
        w, b = RNG.normal(size=(5, 7)), RNG.normal(size=5)  # coremltools: [out, in]
        builder = NeuralNetworkBuilder([("x", datatypes.Array(1))], [("y", None)])
        builder.add_embedding("e", w, b, 7, 5, True, "x", "y")
        at = np.array([[3], [0], [6]], np.float32)
        same("y", Model(save(builder.spec))(x=at)["y"], (w.T[at[:, 0].astype(int)] + b).astype(np.float32), distance=CLOSE)

    def weights_of(self, gates, width, units):
        return ({k: RNG.normal(size=(units, width)) * 0.5 for k in gates},
                {k: RNG.normal(size=(units, units)) * 0.5 for k in gates}, {k: RNG.normal(size=units) for k in gates})

    def test_lstm(self):
        w, r, b = self.weights_of("ifog", 3, 4)
        for back in (False, True):
            for every in (False, True):
                def build(m, back=back, every=every):
                    m.add_unilstm("l", [r[k] for k in "ifog"], [w[k] for k in "ifog"], [b[k] for k in "ifog"], 4, 3,
                                  ["x"], ["y"], output_all=every, reverse_input=back)

                def expected(x, back=back, every=every):
                    y = numeric.lstm(x[::-1] if back else x, w, r, b)
                    return y if every else y[-1:]
                self.check(build, [(3,)], expected)

    def test_bidirectional_lstm(self):
        one, two = self.weights_of("ifog", 3, 4), self.weights_of("ifog", 3, 4)

        def build(m):
            lists = [[part[k] for k in "ifog"] for w, r, b in (one, two) for part in (r, w, b)]
            m.add_bidirlstm("l", lists[0], lists[1], lists[2], lists[3], lists[4], lists[5], 4, 3, ["x"], ["y"],
                            output_all=True)
        self.check(build, [(3,)], lambda x: np.concatenate([numeric.lstm(x, *one), numeric.lstm(x[::-1], *two)[::-1]], 1))

    def test_gru_and_simple(self):
        w, r, b = self.weights_of("zro", 3, 4)
        self.check(lambda m: m.add_gru("g", [r[k] for k in "zro"], [w[k] for k in "zro"], [b[k] for k in "zro"], 4, 3,
                                       input_names=["x"], output_names=["y"], inner_activation="SIGMOID", output_all=True), [(3,)],
                   lambda x: numeric.gru(x, w, r, b))

        def simple(x):
            h, out = np.zeros(4), []
            for step in x:
                h = np.maximum(w["z"] @ step + r["z"] @ h + b["z"], 0)
                out.append(h)
            return np.array(out)
        self.check(lambda m: m.add_simple_rnn("s", r["z"], w["z"], b["z"], 4, 3, input_names=["x"], output_names=["y"],
                                              activation="RELU", output_all=True), [(3,)], simple)

    def test_exact_ranks(self):
        w, b = RNG.normal(size=(5, 6)), RNG.normal(size=5)
        g, s = RNG.normal(size=6), RNG.normal(size=6)

        def norm(x):
            return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * g + s
        for build, shapes, f in (
                (lambda m: m.add_inner_product("d", w, b, 6, 5, True, "x", "y"), [(2, 3, 6)], lambda x: x @ w.T + b),
                (lambda m: m.add_layer_normalization("n", "x", "y", [6], g, s), [(2, 3, 6)], norm),
                (lambda m: m.add_softmax_nd("s", "x", "y", -1), [(2, 3, 6)], lambda x: numeric.softmax(x, -1)),
                (lambda m: m.add_batched_mat_mul("m", ["x0", "x1"], "y", transpose_b=True), [(2, 3, 6), (2, 4, 6)],
                 lambda a, b: a @ b.transpose(0, 2, 1)),
                (lambda m: m.add_batched_mat_mul("m", ["x"], "y", weight_matrix_rows=6, weight_matrix_columns=5,
                                                  W=w.T.copy(), bias=b), [(2, 3, 6)], lambda x: x @ w.T + b),
                (lambda m: m.add_transpose("t", (2, 0, 1), "x", "y"), [(2, 3, 6)], lambda x: x.transpose(2, 0, 1)),
                (lambda m: m.add_concat_nd("c", ["x0", "x1"], "y", -2), [(2, 3, 6), (2, 1, 6)],
                 lambda a, b: np.concatenate([a, b], -2)),
                (lambda m: m.add_split_nd("c", "x", ["a", "y"], 2, split_sizes=[2, 4]), [(2, 3, 6)], lambda x: x[..., 2:]),
                (lambda m: m.add_slice_static("c", "x", "y", [0, 1, 0], [2, 3, -1], [1, 1, 2], [False] * 3, [False] * 3),
                 [(2, 3, 6)], lambda x: x[0:2, 1:3, 0:-1:2]),
                (lambda m: m.add_reshape_static("c", "x", "y", (4, -1)), [(2, 3, 6)], lambda x: x.reshape(4, -1)),
                (lambda m: m.add_expand_dims("c", "x", "y", [0, -1]), [(2, 3)], lambda x: x[None, ..., None]),
                (lambda m: m.add_squeeze("c", "x", "y", [1]), [(2, 1, 3)], lambda x: x[:, 0]),
                (lambda m: m.add_reduce_mean("c", "x", "y", [-1], False), [(2, 3, 6)], lambda x: x.mean(-1)),
                (lambda m: m.add_reduce_logsumexp("c", "x", "y", [1], True), [(2, 3, 6)],
                 lambda x: np.log(np.exp(x).sum(1, keepdims=True))),
                (lambda m: m.add_where_broadcastable("c", ["x0", "x1", "x2"], "y"), [(2, 3), (2, 3), (2, 3)],
                 lambda a, b, c: np.where(a != 0, b, c)),
                (lambda m: m.add_gelu("c", "x", "y", "TANH_APPROXIMATION"), [(2, 3)],
                 lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x ** 3)))),
                (lambda m: m.add_mod_broadcastable("c", ["x0", "x1"], "y"), [(2, 3), (3,)], lambda a, b: np.mod(a, b)),
                (lambda m: m.add_greater_than("c", ["x"], "y", alpha=0.1), [(2, 3)], lambda x: (x > 0.1).astype(np.float32)),
                (lambda m: m.add_topk("c", ["x"], ["y", "at"], 2, 1), [(2, 5)], lambda x: -np.sort(-x, 1)[:, :2]),
                (lambda m: m.add_argmax("c", "x", "y", -1, False), [(2, 5)], lambda x: x.argmax(-1).astype(np.float32)),
                (lambda m: m.add_tile("c", "x", "y", (2, 3)), [(2, 5)], lambda x: np.tile(x, (2, 3))),
                (lambda m: m.add_constant_pad("c", "x", "y", 1.5, pad_to_given_output_size_mode=False,
                                              pad_amounts=[1, 0, 0, 2]), [(2, 5)],
                 lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=1.5)),
                (lambda m: m.add_cumsum("c", "x", "y", 1, True, True), [(2, 5)],
                 lambda x: np.cumsum(x[:, ::-1], 1)[:, ::-1] - x),
                (lambda m: m.add_lower_triangular("c", "x", "y", 1), [(4, 5)], lambda x: np.tril(x, 1)),
                (lambda m: m.add_stack("c", ["x0", "x1"], "y", 1), [(2, 3), (2, 3)], lambda a, b: np.stack([a, b], 1))):
            self.check(build, shapes, f, exact=True)

    def test_weights_of_few_bits(self):
        x = RNG.normal(size=(3, 24)).astype(np.float32)
        scale, bias, table = RNG.random(6), RNG.normal(size=6), RNG.normal(size=8)
        numbers = RNG.integers(0, 8, (6, 24))
        bits = np.packbits((numbers.reshape(-1, 1) >> [2, 1, 0]) & 1).tobytes()
        for kind, how, w in (("linear", {"quant_scale": scale, "quant_bias": bias}, numbers * scale[:, None] + bias[:, None]),
                             ("lut", {"quant_lut": table}, table[numbers])):
            self.check(lambda m, k=kind, h=how: m.add_inner_product(
                "d", bits, None, 24, 6, False, "x", "y", is_quantized_weight=True, quantization_type=k, nbits=3, **h),
                [(24,)], lambda x, w=w: x @ w.T)
        builder = NeuralNetworkBuilder([("x", datatypes.Array(24))], [("y", None)])
        w = RNG.normal(size=(6, 24)).astype(np.float16)
        builder.add_inner_product("d", w, None, 24, 6, False, "x", "y")
        half = quantization_utils.quantize_weights(ct.models.MLModel(builder.spec), 16).get_spec()
        same("y", Model(save(half), distance=CLOSE)(x=x)["y"], x @ w.astype(np.float32).T, distance=CLOSE)

    def test_picture_and_classes(self):
        w = RNG.normal(size=(4, 3))
        builder = NeuralNetworkBuilder([("image", datatypes.Array(3, 6, 5))], [("p", None)], mode="classifier")
        builder.add_pooling("g", 0, 0, 0, 0, "AVERAGE", "VALID", "image", "t", is_global=True)
        builder.add_inner_product("d", w, None, 3, 4, False, "t", "u")
        builder.add_softmax("s", "u", "p")
        builder.set_class_labels(["a", "b", "c", "ü"], "classLabel", "p")
        builder.set_pre_processing_parameters(["image"], is_bgr=True, red_bias=-1, green_bias=-2, blue_bias=-3,
                                              image_scale=1 / 127.5)
        x = RNG.integers(0, 256, (2, 3, 6, 5)).astype(np.float32)
        p = numeric.softmax((x / 127.5 - np.array([3, 2, 1]).reshape(3, 1, 1)).mean((2, 3)) @ w.T, 1)
        model = Model(save(builder.spec), distance=CLOSE)
        got = model(image=x)
        same("p", got["p"], p, distance=CLOSE)
        same("label", got["classLabel"], np.array(["a", "b", "c", "ü"], object)[p.argmax(1)])
        self.assertEqual(model.metadata()["image.image"], "BGR, 0 to 255")
        self.assertEqual(model.metadata()["class_labels"], '["a", "b", "c", "ü"]')

    def test_what_is_wrong_is_named(self):
        builder = NeuralNetworkBuilder([("x", datatypes.Array(3))], [("y", None)])
        builder.add_activation("first", "RELU", "x", "t")
        builder.add_custom("mine", ["t"], ["u"])
        builder.add_activation("last", "RELU", "nowhere", "y")
        done = command("convert", save(builder.spec), "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("layer 'mine': a custom layer", done.stderr)
        builder.spec.neuralNetwork.layers.pop(1)
        done = command("convert", save(builder.spec), "-o", scratch("no.onnx"))
        self.assertIn("layer 'last' (activation): its input 'nowhere' is never computed", done.stderr)
        self.assertFalse(pathlib.Path(scratch("no.onnx")).exists())


    def test_weights_that_are_absent(self):
        builder = NeuralNetworkBuilder([("x", datatypes.Array(3))], [("y", None)])
        builder.add_gru("g", *([np.zeros(shape)] * 3 for shape in ((4, 4), (4, 3), 4)), 4, 3, ["x"], ["y"])
        builder.spec.neuralNetwork.layers[0].gru.ClearField("resetGateRecursionMatrix")
        done = command("convert", save(builder.spec), "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("layer 'g' (gru): it has no resetGateRecursionMatrix", done.stderr)

    def test_ranks_that_cannot_be(self):
        builder = NeuralNetworkBuilder([("x", datatypes.Array(3))], [("y", None)], disable_rank5_shape_mapping=True)
        builder.add_load_constant_nd("c", "t", np.zeros(1, np.float32), [1])
        builder.add_expand_dims("e", "x", "y", [1])
        constant, expand = builder.spec.neuralNetwork.layers
        constant.loadConstantND.shape[:] = [1] * 12
        done = command("convert", save(builder.spec), "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("layer 'c' (loadConstantND): weights of rank 12", done.stderr)
        constant.loadConstantND.shape[:] = [1]
        expand.expandDims.axes[:] = [2, 2]
        done = command("convert", save(builder.spec), "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("layer 'e' (expandDims): a new axis 2 of 2", done.stderr)


# ---- programs -----------------------------------------------------------------------------------------


def program(build, shapes, precision="float32", **inputs):
    """A package of the program that build makes: a function of values that gives values."""
    names = ["x"] if len(shapes) == 1 else [f"x{i}" for i in range(len(shapes))]
    made = mb.program(input_specs=[mb.TensorSpec(shape=s) for s in shapes])(
        eval(f"lambda {', '.join(names)}: build({', '.join(names)})", {"build": build}))
    package = ct.convert(made, convert_to="mlprogram", compute_precision=ct.precision(precision),
                         minimum_deployment_target=ct.target.iOS16, skip_model_load=True, **inputs)
    package.save(scratch("model.mlpackage"))
    return package


class Programs(unittest.TestCase):
    def check(self, build, shapes, expected, precision="float32", distance=CLOSE):
        program(build, shapes, precision)
        arrays = [RNG.normal(size=s).astype(np.float32) for s in shapes]
        ours = Model(scratch("model.mlpackage"), distance=CLOSE)
        names = [i.name for i in ours.witness.get_inputs()]
        got = list(ours(**dict(zip(names, arrays))).values())
        wanted = expected(*arrays)
        for i, want in enumerate(wanted if isinstance(wanted, tuple) else (wanted,)):
            same(f"result {i}", got[i].astype(np.float32), np.asarray(want, np.float32), distance=distance)

    def test_conv_net(self):
        w, b, v = RNG.normal(size=(6, 2, 3, 3)), RNG.normal(size=6), RNG.normal(size=(6, 4, 2, 2))
        g = [RNG.normal(size=6) for _ in range(3)] + [RNG.random(6) + 0.5]

        def build(x):
            y = mb.conv(x=x, weight=w.astype(np.float32), bias=b.astype(np.float32), pad_type="custom", pad=[1, 0, 2, 1],
                        strides=[2, 1], groups=2)
            y = mb.batch_norm(x=y, gamma=g[0].astype(np.float32), beta=g[1].astype(np.float32),
                              mean=g[2].astype(np.float32), variance=g[3].astype(np.float32))
            y = mb.max_pool(x=mb.relu(x=y), kernel_sizes=[2, 2], strides=[2, 2], pad_type="same")
            return mb.conv_transpose(x=y, weight=v.astype(np.float32), strides=[2, 2], pad_type="valid")

        def expected(x):
            y = numeric.conv(x, w, b, (2, 1), (1, 0, 2, 1), groups=2)
            c = [p.reshape(-1, 1, 1) for p in g]
            y = np.maximum((y - c[2]) / np.sqrt(c[3] + 1e-5) * c[0] + c[1], 0)
            y = numeric.pad(y, 0, y.shape[2] % 2, 0, y.shape[3] % 2, -np.inf)
            return numeric.deconv(numeric.windows(y, (2, 2), (2, 2)).max((4, 5)), v, None, (2, 2))
        self.check(build, [(1, 4, 9, 8)], expected)

    def test_pools(self):
        def build(x):
            return (mb.avg_pool(x=x, kernel_sizes=[3, 3], strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1],
                                exclude_padding_from_average=True),
                    mb.avg_pool(x=x, kernel_sizes=[3, 3], strides=[2, 2], pad_type="custom", pad=[1, 1, 1, 1]),
                    mb.max_pool(x=x, kernel_sizes=[3, 3], strides=[2, 2], pad_type="valid", ceil_mode=True))

        def expected(x):
            v, n = (numeric.windows(numeric.pad(a, 1, 1, 1, 1), (3, 3), (2, 2)) for a in (x, np.ones_like(x)))
            full = numeric.windows(numeric.pad(x, 0, 1, 0, 1, -np.inf), (3, 3), (2, 2))
            return v.sum((4, 5)) / n.sum((4, 5)), v.mean((4, 5)), full.max((4, 5))
        self.check(build, [(1, 2, 8, 8)], expected)

    def test_transformer(self):
        w = [RNG.normal(size=(8, 8)).astype(np.float32) * 0.3 for _ in range(3)]
        g, b = (RNG.normal(size=8).astype(np.float32) for _ in range(2))

        def build(x):
            q, k, v = (mb.linear(x=x, weight=part) for part in w)
            q, k, v = (mb.transpose(x=mb.reshape(x=t, shape=[2, 5, 2, 4]), perm=[0, 2, 1, 3]) for t in (q, k, v))
            s = mb.softmax(x=mb.mul(x=mb.matmul(x=q, y=k, transpose_y=True), y=np.float32(0.5)), axis=-1)
            y = mb.reshape(x=mb.transpose(x=mb.matmul(x=s, y=v), perm=[0, 2, 1, 3]), shape=[2, 5, 8])
            return mb.gelu(x=mb.layer_norm(x=mb.add(x=x, y=y), axes=[-1], gamma=g, beta=b, epsilon=1e-5),
                           mode="TANH_APPROXIMATION")

        def expected(x):
            q, k, v = ((x @ part.T).reshape(2, 5, 2, 4).transpose(0, 2, 1, 3) for part in w)
            y = numeric.softmax(q @ k.transpose(0, 1, 3, 2) * 0.5, -1) @ v
            y = x + y.transpose(0, 2, 1, 3).reshape(2, 5, 8)
            y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-5) * g + b
            return 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y ** 3)))
        self.check(build, [(2, 5, 8)], expected)

    def test_lstm(self):
        w, r, b = RNG.normal(size=(2, 16, 3)), RNG.normal(size=(2, 16, 4)) * 0.4, RNG.normal(size=(2, 16))
        w, r, b = (a.astype(np.float32) for a in (w, r, b))
        zeros = np.zeros((1, 8), np.float32)

        def build(x):
            return mb.lstm(x=x, initial_h=zeros, initial_c=zeros, weight_ih=w[0], weight_hh=r[0], bias=b[0],
                           weight_ih_back=w[1], weight_hh_back=r[1], bias_back=b[1], direction="bidirectional",
                           output_sequence=True)[0]

        def expected(x):
            parts = []
            for d in range(2):
                cell = [dict(zip("ifog", np.split(a[d], 4))) for a in (w, r, b)]
                y = numeric.lstm(x[::-1, 0] if d else x[:, 0], *cell)
                parts.append(y[::-1] if d else y)
            return np.concatenate(parts, 1)[:, None]
        self.check(build, [(6, 1, 3)], expected)

    def test_shapes_and_numbers(self):
        table = RNG.normal(size=(7, 3)).astype(np.float32)
        for build, shapes, f in (
                (lambda x: mb.slice_by_index(x=x, begin=[0, 1, 0], end=[0, 3, -1], stride=[1, 1, 2],
                                             end_mask=[True, False, False], squeeze_mask=[False, False, False]),
                 [(2, 4, 7)], lambda x: x[:, 1:3, 0:-1:2]),
                (lambda x: mb.slice_by_index(x=x, begin=[0, -1, 0], end=[0, 0, 0], begin_mask=[True, False, True],
                                             end_mask=[True, False, True], squeeze_mask=[False, True, False]),
                 [(2, 4, 7)], lambda x: x[:, -1]),
                (lambda x: mb.split(x=x, split_sizes=[1, 3], axis=1), [(2, 4, 3)], lambda x: (x[:, :1], x[:, 1:])),
                (lambda a, b: mb.concat(values=[a, b], axis=-1), [(2, 3), (2, 4)], lambda a, b: np.concatenate([a, b], -1)),
                (lambda a, b: mb.stack(values=[a, b], axis=1), [(2, 3), (2, 3)], lambda a, b: np.stack([a, b], 1)),
                (lambda x: mb.pad(x=x, pad=[1, 2, 0, 1], mode="reflect"), [(1, 4, 4)],
                 lambda x: np.pad(x, ((0, 0), (1, 2), (0, 1)), "reflect")),
                (lambda x: mb.reduce_mean(x=x, axes=[1, -1], keep_dims=False), [(2, 3, 4)], lambda x: x.mean((1, 2))),
                (lambda x: mb.reduce_log_sum_exp(x=x, axes=[-1], keep_dims=True), [(2, 3)],
                 lambda x: np.log(np.exp(x).sum(-1, keepdims=True))),
                (lambda x: mb.select(cond=mb.greater(x=x, y=np.float32(0)), a=x, b=mb.square(x=x)), [(2, 3)],
                 lambda x: np.where(x > 0, x, x ** 2)),
                (lambda x: mb.rsqrt(x=mb.add(x=mb.abs(x=x), y=np.float32(1))), [(2, 3)], lambda x: 1 / np.sqrt(np.abs(x) + 1)),
                (lambda x: mb.gather(x=table, indices=mb.cast(x=mb.clip(x=mb.abs(x=x), alpha=0.0, beta=6.0), dtype="int32"),
                                     axis=0), [(2, 3)],
                 lambda x: table[np.clip(np.abs(x), 0, 6).astype(int)]),
                (lambda x: mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=2, align_corners=True),
                 [(1, 2, 3, 3)], lambda x: numeric.bilinear(x, np.linspace(0, 2, 6), np.linspace(0, 2, 6))),
                (lambda x: mb.resize_bilinear(x=x, target_size_height=6, target_size_width=6, sampling_mode="UNALIGN_CORNERS"),
                 [(1, 2, 3, 3)], lambda x: numeric.bilinear(x, *[np.clip((np.arange(6) + 0.5) / 2 - 0.5, 0, 2)] * 2)),
                (lambda x: mb.topk(x=x, k=2, axis=1)[0], [(2, 5)], lambda x: -np.sort(-x, 1)[:, :2]),
                (lambda x: mb.cumsum(x=x, axis=1, exclusive=False, reverse=True), [(2, 5)],
                 lambda x: np.cumsum(x[:, ::-1], 1)[:, ::-1]),
                (lambda x: mb.instance_norm(x=x, epsilon=1e-3), [(2, 3, 4, 5)],
                 lambda x: (x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-3)),
                (lambda x: mb.pixel_shuffle(x=x, upscale_factor=2), [(1, 8, 3, 3)],
                 lambda x: x.reshape(1, 2, 2, 2, 3, 3).transpose(0, 1, 4, 2, 5, 3).reshape(1, 2, 6, 6)),
                (lambda x: mb.band_part(x=x, lower=-1, upper=0), [(4, 4)], np.tril)):
            self.check(build, shapes, f)

    def test_half_floats_and_packed_weights(self):
        rng = np.random.default_rng(3)  # how much few bits lose depends on the numbers
        w = rng.normal(size=(64, 64)).astype(np.float32)
        package = program(lambda x: mb.linear(x=x, weight=w), [(2, 64)], "float16")
        x = rng.normal(size=(2, 64)).astype(np.float32)
        got = list(Model(scratch("model.mlpackage"), distance=CLOSE)(x=x).values())[0]
        same("half", got, x @ w.astype(np.float16).astype(np.float32).T, distance=CLOSE)
        optimize = ct.optimize.coreml
        for how, off in ((optimize.linear_quantize_weights(package, optimize.OptimizationConfig(
                optimize.OpLinearQuantizerConfig(mode="linear", weight_threshold=0))), 0.2),
                         (optimize.palettize_weights(package, optimize.OptimizationConfig(
                             optimize.OpPalettizerConfig(mode="uniform", nbits=6, weight_threshold=0))), 0.7)):
            how.save(scratch("packed.mlpackage"))
            got = list(Model(scratch("packed.mlpackage"), distance=CLOSE)(x=x).values())[0]
            self.assertLess(np.abs(got - x @ w.T).max(), off)

    def test_what_is_wrong_is_named(self):
        program(lambda x: mb.crop_resize(x=x, roi=np.zeros((1, 1, 4, 1, 1), np.float32), target_height=2, target_width=2), [(1, 2, 4, 4)])
        done = command("convert", scratch("model.mlpackage"), "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("'crop_resize' is not converted", done.stderr)


@unittest.skipUnless(NATIVE.is_dir(), f"SKIPPED: {NATIVE} is absent")
class Found(unittest.TestCase):
    def test_boston(self):
        path = NATIVE / "coreml/LinearRegression_boston.mlmodel"
        spec = ct.models.MLModel(str(path), skip_model_load=True).get_spec()
        glm = spec.pipelineRegressor.pipeline.models[-1].glmRegressor
        x = RNG.normal(size=(20, 13))
        got = Model(path, distance=1e-12)(**{f.name: x[:, i:i + 1] for i, f in enumerate(spec.description.input)})
        same("prediction", got["0"], x @ np.array(glm.weights[0].value) + glm.offset[0], distance=1e-9)

    def test_pitch(self):
        ours = Model(NATIVE / "coreml/basic_pitch_nmp.mlpackage", distance=1e-3)
        source = ort.InferenceSession(str(NATIVE.parent / "audio/basic_pitch/nmp.onnx"))
        x = RNG.normal(size=(1, 43844, 1)).astype(np.float32) * 0.1
        wanted = source.run(None, {source.get_inputs()[0].name: x})
        got = ours(input_2=x)
        for want in wanted:  # the program is of half floats
            near = [np.abs(y - want).max() for y in got.values() if y.shape == want.shape]
            self.assertLess(min(near), 2e-2)


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
