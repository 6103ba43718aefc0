#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow graphs, made here by TensorFlow 2 and in the style of TensorFlow 1 and found in the wild, against
TensorFlow's own results. SavedModels: test_saved.py.

    tests/tensorflow/test_tensorflow.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import json
import os
import pathlib
import sys
import unittest
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "convert")]
import venv  # noqa: E402

venv.enter("tensorflow")

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import tensorflow as tf  # noqa: E402
from google.protobuf import text_format  # noqa: E402
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2 as freeze  # noqa: E402

import suite  # noqa: E402
from harness import NATIVE, Model, command, convert, same, scratch  # noqa: E402

RNG = np.random.default_rng(11)
DISTANCE = 1e-5
PROVE = ("--verify", "random", "--python", sys.executable)
v1 = tf.compat.v1


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def write_graph(graph_def):
    path = scratch("graph.pb")
    pathlib.Path(path).write_bytes(graph_def.SerializeToString())
    return path


def run_graph(graph_def, feeds, fetches):
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    with v1.Session(graph=graph) as session:
        return session.run(fetches, {f"{name}:0": array for name, array in feeds.items()})


def check_function(f, arrays, distance=DISTANCE, free=True, lower=False, options=()):
    """A function of tensors, frozen; free: the first dimension is open."""
    specs = [tf.TensorSpec([None if free and i == 0 else d for i, d in enumerate(a.shape)], a.dtype, name=f"x{k}")
             for k, a in enumerate(arrays)]
    wrapped = tf.function(lambda *x: f(*x), input_signature=specs)
    frozen = freeze(wrapped.get_concrete_function(), lower_control_flow=lower)
    names = [t.name.split(":")[0] for t in frozen.inputs]
    results = tf.nest.flatten(wrapped(*[tf.constant(a) for a in arrays]))
    converted = Model(write_graph(frozen.graph.as_graph_def()), *options, distance=distance)
    got = converted(**dict(zip(names, arrays)))
    for tensor, want in zip(frozen.outputs, results):
        name, _, index = tensor.name.partition(":")
        same(name, got[name if index == "0" else tensor.name], plain(want), distance=distance)
    return converted


def plain(tensor):
    """As NumPy has it; texts as text."""
    array = tensor.numpy()
    return np.vectorize(lambda t: t.decode(), otypes=[object])(array) if tensor.dtype == tf.string else array


def weights(*shape):
    return tf.constant(normal(*shape) * 0.3)


# ---- operators: name: (function, inputs) -------------------------------------------------------------------------------

X = normal(2, 3, 4)
IMAGE = normal(2, 9, 8, 4)
POSITIVE = np.abs(X) + 0.5
UNIT = np.tanh(X) * 0.9
WHOLE = RNG.integers(-20, 20, (3, 5)).astype(np.int32)
OTHER = RNG.integers(1, 7, (3, 5)).astype(np.int32)
OPERATORS = {
    "functions": (lambda x: [f(x) for f in (
        tf.abs, tf.exp, tf.sin, tf.cos, tf.tan, tf.atan, tf.sinh, tf.cosh, tf.asinh, tf.sigmoid, tf.tanh, tf.nn.relu,
        tf.nn.relu6, tf.nn.elu, tf.nn.selu, tf.nn.softplus, tf.nn.softsign, tf.floor, tf.math.ceil, tf.round, tf.sign,
        tf.math.erf, tf.math.erfc, tf.square, tf.nn.leaky_relu, tf.nn.softmax, tf.nn.log_softmax, tf.math.expm1,
        tf.nn.gelu, tf.nn.swish, tf.math.is_nan, tf.math.is_finite, tf.negative)], [X]),
    "functions of positive numbers": (lambda x: [f(x) for f in (
        tf.math.log, tf.sqrt, tf.math.rsqrt, tf.math.log1p, tf.math.reciprocal)] + [tf.acosh(x + 1.0), x ** 1.5], [POSITIVE]),
    "functions of the unit interval": (lambda x: [f(x) for f in (tf.asin, tf.acos, tf.atanh)], [UNIT]),
    "two operands": (lambda x, y: [
        x + y, x - y, x * y, x / y, tf.maximum(x, y), tf.minimum(x, y), tf.math.squared_difference(x, y),
        tf.math.floordiv(x, y), tf.math.floormod(x, y), tf.math.divide_no_nan(x, tf.nn.relu(y - 0.7)), tf.atan2(x, y),
        tf.where(x > y, x, y), x >= y, x < y, tf.equal(tf.round(x), tf.round(y)), tf.math.multiply_no_nan(x, y),
        tf.math.xlogy(x, y), tf.add_n([x, y, x])], [X, POSITIVE]),
    "whole numbers": (lambda x, y: [
        x // y, x % y, tf.truncatediv(x, y), tf.math.floormod(-x, y), x * y, tf.maximum(x, y), tf.cast(x, tf.float32),
        tf.bitwise.bitwise_and(x, y), tf.bitwise.bitwise_or(x, y), tf.bitwise.bitwise_xor(x, y), tf.bitwise.invert(x),
        tf.bitwise.left_shift(y, y), tf.add_n([x, y]), tf.cast(x, tf.bool), tf.logical_not(tf.cast(x, tf.bool))],
                      [WHOLE, OTHER]),
    "reductions": (lambda x: [
        tf.reduce_mean(x, [1]), tf.reduce_sum(x, [1, 2]), tf.reduce_max(x, -1, keepdims=True), tf.reduce_min(x, 0),
        tf.reduce_prod(x, 1), tf.reduce_any(x > 1, -1), tf.reduce_all(x > -1, 1), tf.argmax(x, 1), tf.argmin(x, -1, tf.int32),
        tf.cumsum(x, 1), tf.cumsum(x, 2, exclusive=True, reverse=True), tf.nn.l2_loss(x), tf.math.l2_normalize(x, -1),
        tf.reduce_logsumexp(x, 1), tf.math.reduce_std(x, 1), tf.math.reduce_euclidean_norm(x, 1), tf.nn.moments(x, [1])], [X]),
    "shapes": (lambda x: [
        tf.transpose(x, [0, 2, 1]), tf.transpose(x), tf.reshape(x, [-1, 4]), tf.reshape(x, [tf.shape(x)[0], 12]),
        tf.reshape(x, tf.concat([tf.shape(x)[:1], [2, 6]], 0)), tf.expand_dims(x, -2), tf.squeeze(x[:, :1], 1),
        tf.tile(x, [1, 2, 1]), tf.tile(x, [2, 1, tf.shape(x)[1]]), tf.concat([x, x * 2.0], 1), tf.stack([x, x], 1),
        tf.unstack(x, axis=1)[2], tf.split(x, 2, 2)[1], tf.split(x, [1, 2], 1), tf.fill([tf.shape(x)[0], 2], 3.0),
        tf.ones_like(x), tf.zeros_like(x), tf.shape(x), tf.size(x), tf.range(tf.shape(x)[1]), tf.linspace(0.0, 1.0, 5),
        tf.broadcast_to(x[:, :1], tf.shape(x)), tf.rank(x), tf.split(x, 2, 0)[0]], [X]),
    "slices": (lambda x: [
        x[:, 1:, ::2], x[0], x[:, tf.newaxis, ..., 1], x[..., -1], x[:, -2:, :3], x[1:, ::-1], x[:tf.shape(x)[0] - 1],
        x[tf.shape(x)[0] - 1], tf.slice(x, [0, 1, 1], [2, 2, -1]), tf.slice(x, [0, 0, 0], [tf.shape(x)[0], 1, 2]),
        tf.gather(x, [2, 0], axis=1), tf.gather_nd(x, [[0, 1], [1, 2]]), tf.reverse(x, [1]),
        tf.reverse_sequence(x, [2, 3], 1), tf.gather(x, tf.argsort(x[:, :, 0])[:, :2], batch_dims=1),
        tf.boolean_mask(x, x[:, 0, 0] > -100.0), tf.where(x > 0.5)], [X]),
    "padding": (lambda x: [
        tf.pad(x, [[0, 0], [1, 2], [0, 1]]), tf.pad(x, [[0, 0], [1, 1], [0, 1]], constant_values=2.0),
        tf.pad(x, [[0, 0], [1, 1], [2, 1]], "REFLECT"), tf.pad(x, [[0, 0], [2, 1], [0, 3]], "SYMMETRIC"),
        tf.pad(x, [[0, tf.shape(x)[0]], [0, 0], [0, 0]])], [X]),
    "places": (lambda x: [
        tf.one_hot(tf.argmax(x, 1), 3), tf.one_hot([1, -1, 5], 4, 2.0, -1.0), *tf.math.top_k(x, 2),
        tf.tensor_scatter_nd_update(x, [[0], [1]], x[::-1]), tf.tensor_scatter_nd_add(x, [[0, 1]], [x[0, 0]]),
        tf.scatter_nd([[1], [3]], x[:, 0], [5, 4]), tf.linalg.band_part(x, -1, 0), tf.linalg.band_part(x, 0, 1),
        tf.sort(x, -1)], [X]),
    "products": (lambda x, y: [
        x @ y, tf.matmul(x, x, transpose_b=True), tf.matmul(y, y, transpose_a=True), tf.einsum("bij,bjk->bik", x, y),
        tf.einsum("bij,bkj->bik", x, x), tf.tensordot(x, y[0], 1), tf.matmul(x[0], x[0], transpose_b=True)],
                 [X, normal(2, 4, 5)]),
    "space": (lambda x: [
        tf.nn.space_to_depth(x[:, :8], 2), tf.nn.depth_to_space(x, 2), tf.space_to_batch(x[:, :8], [2, 2], [[0, 0], [0, 0]]),
        tf.batch_to_space(tf.space_to_batch(x, [3, 2], [[1, 2], [0, 2]]), [3, 2], [[1, 2], [0, 2]]),
        tf.image.resize(x, [7, 5]), tf.image.resize(x, [18, 16], "nearest"),
        v1.image.resize_bilinear(x, [6, 5], align_corners=True), v1.image.resize_nearest_neighbor(x, [18, 5]),
        tf.nn.local_response_normalization(x, 2, 1.0, 0.5, 0.75)], [IMAGE]),
    "simulated quantisation": (lambda x: [
        tf.quantization.fake_quant_with_min_max_args(x, -1, 2), tf.quantization.fake_quant_with_min_max_vars(x, -0.7, 1.9, 4),
        tf.quantization.fake_quant_with_min_max_vars_per_channel(x, [-1.0, -2, -1, 0], [1.0, 1, 2, 1.5]),
        tf.quantization.fake_quant_with_min_max_vars(x, -0.7, 1.9, 8, True)], [X]),
}


class Operators(unittest.TestCase):
    def test_the_table(self):
        table = json.loads(command("convert", "--ops", "tensorflow", "--json").stdout)
        self.assertEqual(table["Conv2DBackpropInput"], "several nodes, or a constant")
        self.assertEqual((table["Sigmoid"], table["Identity"]), ("Sigmoid", "(its input)"))
        self.assertEqual([name for name in table if not hasattr(tf.raw_ops, name)], [])

    def test_bicubic(self):
        """TensorFlow rounds places to 1024 steps; sizes may be known, or computed."""
        def resize(x, *scaled):
            cubic = v1.image.resize_bicubic
            return [tf.image.resize(x, [12, 11], "bicubic"), tf.image.resize(x, [5, 3], "bicubic"),
                    tf.image.resize(x, [1, 40], "bicubic"), cubic(x, [12, 11]), cubic(x, [4, 17], align_corners=True),
                    cubic(x, [1, 1], align_corners=True), tf.image.resize(x, tf.shape(x)[1:3] * 2, "bicubic"),
                    cubic(tf.cast(x * 9, tf.int32), [7, 9])]
        check_function(resize, [IMAGE])
        check_function(resize, [IMAGE], free=False)
        check_function(lambda x: tf.image.resize(x[:, :tf.shape(x)[0]], [3, 20], "bicubic"), [IMAGE])

    def test_remainders(self):
        """Where the quotient is rounded up to a whole number, and of all signs."""
        x = np.array([1, 0.3, -1, 6.1, -0.7, 5, -5, 0.9], np.float32)
        y = np.array([0.1, 0.1, 0.1, 0.1, -0.7, -3, 3, -0.3], np.float32)
        check_function(lambda x, y: [tf.math.floormod(x, y), tf.math.floordiv(x, y), tf.truncatemod(x, y)], [x, y])
        check_function(lambda x, y: [tf.math.floormod(x, y), tf.math.floordiv(x, y)], [x.astype(np.float64), y.astype(np.float64)])

    def test_results_that_are_inputs(self):
        check_function(lambda x: [tf.ensure_shape(x, [None, 3, 4]), tf.raw_ops.AddN(inputs=[x]), x + 1.0], [X])

    def test_many_known_parts(self):
        """Dimensions of a shape, taken apart, are known whether or not somebody needs their values, too."""
        def parts(x):
            sizes = tf.unstack(tf.concat([tf.shape(x)] * 4, 0))
            return tf.stack(sizes), tf.reshape(x, [sizes[0], sizes[10], sizes[11]]) + tf.ones([sizes[10], sizes[11]])
        converted = check_function(parts, [X])
        self.assertEqual(converted.witness.get_outputs()[1].shape[1:], [3, 4])

    def test_what_is_not_converted_is_named_at_once(self):
        f = tf.function(lambda x: (tf.linalg.det(x), tf.linalg.inv(x)), input_signature=[tf.TensorSpec([3, 3])])
        path = write_graph(freeze(f.get_concrete_function()).graph.as_graph_def())
        done = command("convert", path, "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("node 'MatrixDeterminant' (MatrixDeterminant): this operator is not converted", done.stderr)
        self.assertIn("(MatrixInverse): this operator is not converted", done.stderr)
        self.assertFalse(os.path.exists(scratch("no.onnx")))


for _name, (_f, _arrays) in OPERATORS.items():
    setattr(Operators, f"test_{_name}", lambda self, f=_f, a=_arrays: check_function(f, a))


# ---- layers of networks ------------------------------------------------------------------------------------------------

def convolutions(x):
    w, d = weights(3, 2, 4, 6), weights(3, 3, 4, 2)
    return [tf.nn.conv2d(x, w, 1, "SAME"), tf.nn.conv2d(x, w, 2, "SAME"), tf.nn.conv2d(x, w, [1, 2], "VALID"),
            tf.nn.conv2d(x, w, 1, "SAME", dilations=2), tf.nn.conv2d(x, w, 1, [[0, 0], [2, 1], [0, 3], [0, 0]]),
            tf.nn.conv2d(x, weights(3, 3, 2, 6), 1, "SAME"), tf.nn.depthwise_conv2d(x, d, [1, 1, 1, 1], "SAME"),
            tf.nn.depthwise_conv2d(x, d, [1, 2, 2, 1], "VALID"), tf.nn.atrous_conv2d(x, w, 2, "SAME"),
            tf.nn.conv2d_transpose(x, weights(3, 3, 5, 4), [2, 18, 16, 5], 2),
            tf.nn.conv2d_transpose(x, weights(2, 3, 5, 4), [2, 19, 17, 5], 2, "VALID"),
            tf.nn.bias_add(tf.nn.separable_conv2d(x, d, weights(1, 1, 8, 3), [1, 1, 1, 1], "SAME"), weights(3)),
            tf.nn.conv1d(x[:, 0], weights(3, 4, 5), 2, "SAME")]


def pools(x):
    return [tf.nn.max_pool2d(x, 2, 2, "SAME"), tf.nn.avg_pool2d(x, 3, 2, "SAME"), tf.nn.max_pool2d(x, [3, 2], 1, "VALID"),
            tf.nn.avg_pool2d(x, 2, 2, "VALID"), tf.nn.max_pool1d(x[:, 0], 2, 2, "SAME")]


def volumes(x):
    return [tf.nn.conv3d(x, weights(2, 3, 3, 2, 4), [1, 2, 2, 2, 1], "SAME"), tf.nn.max_pool3d(x, 2, 2, "SAME"),
            tf.nn.avg_pool3d(x, 2, 2, "VALID"),
            tf.nn.conv3d_transpose(x, weights(2, 2, 2, 3, 2), [2, 8, 10, 12, 3], 2)]


def normalisation(x):
    scale, offset, mean, variance = (weights(4) for _ in range(4))
    known = v1.nn.fused_batch_norm(x, scale, offset, mean, tf.square(variance) + 0.5, is_training=False)[0]
    own = v1.nn.fused_batch_norm(x, scale, offset, epsilon=1e-3)[0]
    moments = tf.nn.moments(x, [1, 2], keepdims=True)
    return [known, own, tf.nn.batch_normalization(x, *moments, offset, scale, 1e-3)]


class Layers(unittest.TestCase):
    def test_convolutions(self):
        check_function(convolutions, [IMAGE])

    def test_convolutions_of_sizes_that_are_known(self):
        check_function(convolutions, [IMAGE], free=False)

    def test_pools(self):
        check_function(pools, [IMAGE])

    def test_volumes(self):
        check_function(volumes, [normal(2, 4, 5, 6, 2)])

    def test_normalisation(self):
        check_function(normalisation, [IMAGE])


# ---- detectors ---------------------------------------------------------------------------------------------------------

def boxes_of(*shape):
    corner, size = RNG.random((*shape, 2), np.float32), RNG.random((*shape, 2), np.float32) * 0.5 + 0.05
    return np.concatenate([corner, corner + size], -1)


class Detectors(unittest.TestCase):
    def test_choosing_boxes(self):
        def choose(boxes, scores):
            plain_ = tf.image.non_max_suppression(boxes, scores, 6, 0.4)
            least = tf.image.non_max_suppression(boxes, scores, 20, 0.6, 0.3)
            padded = tf.image.non_max_suppression_padded(boxes, scores, 30, 0.3, 0.2, pad_to_max_output_size=True)
            some = tf.image.non_max_suppression_with_scores(boxes, scores, 9, 0.5, 0.1)
            return plain_, least, *padded, *some, tf.gather(boxes, plain_)
        check_function(choose, [boxes_of(20), RNG.random(20, np.float32)])

    def test_choosing_boxes_of_classes(self):
        for per_class, clip in ((False, True), (True, False)):
            with self.subTest(per_class=per_class):
                check_function(lambda b, s, p=per_class, c=clip: tf.image.combined_non_max_suppression(
                    b, s, 3, 8, 0.4, 0.3, p, c), [boxes_of(2, 15, 1), RNG.random((2, 15, 3), np.float32)])

    def test_cutting_out(self):
        check_function(lambda x, b: [
            tf.image.crop_and_resize(x, b, [0, 1, 1], [4, 5], extrapolation_value=7.0),
            tf.image.crop_and_resize(x, b * 0.5, [0, 1, 0], [1, 3])], [IMAGE, boxes_of(3)])


# ---- control flow ------------------------------------------------------------------------------------------------------

def branches(x):
    y = tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2.0, lambda: x - 1.0)
    a, b = tf.cond(x[0, 0, 0] > 0, lambda: (tf.reduce_max(y), y[:1]), lambda: (tf.reduce_min(y), y))
    nested = tf.cond(a > 0, lambda: tf.cond(a > 1, lambda: y + 1.0, lambda: y + 2.0), lambda: y + 3.0)
    decided = tf.cond(tf.shape(x)[1] > 2, lambda: x + 1.0, lambda: x[:, :, :1])
    return y, a, b, nested, decided


def loops(x):
    n, doubled = tf.while_loop(lambda i, y: tf.reduce_sum(tf.abs(y)) < 1000.0, lambda i, y: (i + 1, y * 2.0 + 1.0), (0, x))
    _, grown = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, tf.concat([y, y[:1] * 2.0], 0)), (0, x),
                             shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, 3, 4])))
    w = tf.constant(normal(4, 4))

    def outer(i, y):
        _, z = tf.while_loop(lambda j, z: j < i, lambda j, z: (j + 1, tf.tanh(z @ w)), (0, y))
        return i + 1, tf.cond(i > 1, lambda: z, lambda: z + 1.0)
    return n, doubled, grown, tf.while_loop(lambda i, y: i < 4, outer, (0, x))[1]


def lists(x):
    mapped = tf.map_fn(lambda row: tf.reduce_sum(row * row, 0), x)
    pairs = tf.map_fn(lambda r: (r[0] * 2.0, tf.cast(tf.size(r), tf.int32)), x, fn_output_signature=(tf.float32, tf.int32))
    scanned = tf.scan(lambda a, row: a * 0.5 + row, x)
    written = tf.TensorArray(tf.float32, 3, element_shape=[4])
    for i in range(3):
        written = written.write(2 - i, x[0, i])
    back = tf.TensorArray(tf.float32, 3, element_shape=[4])
    _, back = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a.write(2 - i, x[1, i])), (0, back))
    return mapped, *pairs, scanned, written.stack(), back.stack(), written.gather([2, 0]), tf.foldl(lambda a, r: a + r, x)


class Control(unittest.TestCase):
    def try_both(self, f, arrays):
        for lower in (False, True):
            with self.subTest("TensorFlow 1" if lower else "TensorFlow 2"):
                check_function(f, arrays, lower=lower)

    def test_branches(self):
        for x in (X, -X, np.abs(X)):
            self.try_both(branches, [x])

    def test_loops(self):
        self.try_both(loops, [X])

    def test_lists(self):
        self.try_both(lists, [X])


def graph_of_1(build):
    """A graph that is made in the style of TensorFlow 1: GraphDef, feeds and outputs."""
    graph = tf.Graph()
    with graph.as_default():
        control_flow = v1.control_flow_v2_enabled()
        v1.disable_control_flow_v2()
        try:
            feeds, fetches = build()
        finally:
            if control_flow:
                v1.enable_control_flow_v2()
        with v1.Session(graph=graph) as session:
            session.run(v1.global_variables_initializer())
            return v1.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), fetches), feeds, fetches


class Style1(unittest.TestCase):
    def check(self, build):
        graph_def, feeds, fetches = graph_of_1(build)
        converted = Model(write_graph(graph_def), "--outputs", ",".join(fetches), distance=DISTANCE)
        want = run_graph(graph_def, feeds, [f"{name}:0" for name in fetches])
        for (name, array), expected in zip(converted(**feeds).items(), want):
            same(name, array, expected, distance=DISTANCE)

    def test_network(self):
        def build():
            x = v1.placeholder(tf.float32, [None, 8, 8, 3], "x")
            training = v1.placeholder_with_default(False, [], "training")
            w = v1.get_variable("w", [3, 3, 3, 5])
            y = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, w, 1, "SAME"), v1.get_variable("b", [5])))
            y = v1.cond(training, lambda: tf.nn.dropout(y, 0.5), lambda: y)
            y = v1.layers.batch_normalization(y, training=training) if hasattr(v1.layers, "batch_normalization") else y
            y = tf.nn.max_pool2d(y, 2, 2, "VALID")
            y = tf.reshape(y, [-1, 80]) @ v1.get_variable("dense", [80, 4])
            return {"x": normal(2, 8, 8, 3)}, [tf.nn.softmax(y, name="y").op.name]
        self.check(build)

    def test_conditions_and_loops(self):
        def build():
            x = v1.placeholder(tf.float32, [None, 3], "x")
            y = v1.cond(tf.reduce_sum(x) > 0, lambda: x * 2.0, lambda: tf.zeros_like(x) + tf.constant(5.0))
            y = v1.case([(y[0, 0] > 100, lambda: y), (y[0, 0] > 0, lambda: y + 1.0)], default=lambda: y - 1.0)
            w = v1.get_variable("w", [3, 3])
            _, z = v1.while_loop(lambda i, a: i < 4, lambda i, a: (i + 1, v1.cond(i > 1, lambda: tf.tanh(a @ w), lambda: a)),
                                 [0, y])
            return {"x": normal(2, 3)}, [tf.identity(z, "z").op.name, tf.identity(y, "y").op.name]
        self.check(build)

    def test_checkpoint_beside_a_graph(self):
        graph = tf.Graph()
        prefix = scratch("trained")
        with graph.as_default():
            x = v1.placeholder(tf.float32, [None, 3], "x")
            w = v1.get_variable("w", [3, 2], initializer=v1.random_normal_initializer())
            y = tf.nn.relu(x @ w + v1.get_variable("b", [2], use_resource=True), "y")
            loss = tf.reduce_mean(tf.square(y))
            train = v1.train.GradientDescentOptimizer(0.1).minimize(loss)
            with v1.Session() as session:
                session.run(v1.global_variables_initializer())
                session.run(train, {x: normal(4, 3)})
                v1.train.Saver().save(session, prefix)
                array = normal(5, 3)
                want = session.run(y, {x: array})
        got = Model(prefix + ".meta", "--outputs", "y", *PROVE, distance=DISTANCE)(x=array)
        same("y", got["y"], want, distance=DISTANCE)

    def test_text(self):
        def build():
            x = v1.placeholder(tf.float32, [None, 8, 8, 3], "x")
            y = tf.nn.conv2d(x, v1.get_variable("w", [3, 3, 3, 5]), 2, "SAME") + tf.constant([0.5] * 5)
            return {"x": normal(2, 8, 8, 3)}, [tf.reduce_max(y, [1, 2], name="y").op.name]
        graph_def, feeds, fetches = graph_of_1(build)
        path = scratch("graph.pbtxt")
        pathlib.Path(path).write_text(text_format.MessageToString(graph_def))
        got = Model(path, *PROVE, distance=DISTANCE)(**feeds)
        same("y", got["y"], run_graph(graph_def, feeds, "y:0"), distance=DISTANCE)

    def test_defaults_are_told(self):
        def build():
            x = v1.placeholder(tf.float32, [2], "x")
            return {"x": normal(2)}, [tf.multiply(x, v1.placeholder_with_default(3.0, [], "factor"), "y").op.name]
        self.check(build)
        done = command("convert", write_graph(graph_of_1(build)[0]), "-o", scratch("told.onnx"))
        self.assertIn("placeholder 'factor' keeps its default: it is no input", done.stderr)

    def test_what_cannot_be_chosen(self):
        text = scratch("graph.pbtxt")
        pathlib.Path(text).write_text('node { name: "x" op: "Placeholder" attr { key: "dtype" value { type: DT_FLOAT_REF } } }')
        self.assertIn("no signatures", command("convert", text, "--signature", "s").stderr)
        self.assertIn("no node 'z'", command("convert", text, "--outputs", "z").stderr)
        net = scratch("net.prototxt")
        pathlib.Path(net).write_text('input: "x"\nlayer { name: "y" type: "ReLU" bottom: "x" top: "y" }\n')
        self.assertIn("of Caffe there is no output to be chosen", command("convert", net, "--outputs", "y").stderr)

    def test_text_is_what_the_binary_is(self):
        def f(x):
            words = tf.strings.join([tf.as_string(tf.shape(x)), b"\n\t\x01\x7f?\"'\\" + "ü".encode()])
            some = tf.cast(x, tf.float64) * tf.constant([0.1, 1e300, -1e-300, 1 / 3], tf.float64)
            return *branches(x), words, some, tf.cast(x, tf.int64) * tf.constant([-2**63, 2**62, -1, 7], tf.int64)
        frozen = freeze(tf.function(f).get_concrete_function(tf.TensorSpec([None, 3, 4])), lower_control_flow=False)
        graph_def = frozen.graph.as_graph_def()
        models = []
        for name, content in (("graph.pb", graph_def.SerializeToString()),
                              ("graph.pbtxt", text_format.MessageToString(graph_def).encode())):
            pathlib.Path(scratch(name)).write_bytes(content)
            models.append(onnx.load(convert(scratch(name))).graph)
        self.assertEqual(*models)

    def test_recurrence(self):
        def build():
            x = v1.placeholder(tf.float32, [None, 6, 3], "x")
            w, r = v1.get_variable("w", [3, 4]), v1.get_variable("r", [4, 4])
            steps = tf.TensorArray(tf.float32, 6).unstack(tf.transpose(x, [1, 0, 2]))
            out = tf.TensorArray(tf.float32, 6)

            def step(i, h, out):
                h = tf.tanh(steps.read(i) @ w + h @ r)
                return i + 1, h, out.write(i, h)
            _, h, out = v1.while_loop(lambda i, *_: i < 6, step, [0, tf.zeros([tf.shape(x)[0], 4]), out])
            return {"x": normal(2, 6, 3)}, [tf.transpose(out.stack(), [1, 0, 2], name="y").op.name, tf.identity(h, "h").op.name]
        self.check(build)


@unittest.skipUnless(NATIVE.is_dir(), f"SKIPPED: {NATIVE} is absent")
class Found(unittest.TestCase):
    def expect(self, name, **inputs):
        path = NATIVE / "tensorflow" / name
        graph_def = v1.GraphDef.FromString(path.read_bytes())
        converted = Model(path, distance=DISTANCE)
        want = run_graph(graph_def, inputs, [f"{output}:0" for output in converted.names])
        for (output, array), expected in zip(converted(**inputs).items(), want):
            same(output, array, expected, distance=DISTANCE)

    def test_mnist(self):
        self.expect("mnist/mnist.pb", input=RNG.random((3, 784), np.float32))

    def test_wake_word(self):
        """Its input says nothing of its shape."""
        self.expect("hey_snips/hey_snips_3.pb", inputs=normal(200, 40))

    def test_keywords(self):
        """Recordings are cut off: what they become is the input."""
        for name in ("CNN_S", "DNN_S", "DS_CNN_S", "Basic_LSTM_S", "LSTM_S"):
            with self.subTest(name):
                frames = 25 if name in ("DNN_S", "LSTM_S") else 49
                self.expect(f"ml-kws/{name}.pb", Mfcc=normal(1, frames, 10))

    def test_graphs_of_another_converter(self):
        self.expect("tf2onnx/regression/frozen.pb", X=normal(5))
        for name, more in (("ae0", {}), ("fc-layers", {}), ("gru", {"keep_prob": np.ones(1, np.float32)}),
                           ("lstm", {"keep_prob": np.ones(1, np.float32)})):
            with self.subTest(name):
                path = NATIVE / f"tensorflow/tf2onnx/{name}/frozen.pb"
                inputs = next(n for n in v1.GraphDef.FromString(path.read_bytes()).node if n.op == "Placeholder")
                self.expect(f"tf2onnx/{name}/frozen.pb", **{inputs.name: RNG.random((2, 784), np.float32)}, **more)


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
