#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TensorFlow Lite models, fresh from TensorFlow's converter and found in the wild, against TensorFlow Lite's own
results: floats to 1e-5, whole numbers to one step.

    tests/tensorflow/test_tflite.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
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
import tensorflow as tf  # noqa: E402

import suite  # noqa: E402
from harness import NATIVE, Model, command, same, scratch  # noqa: E402

RNG = np.random.default_rng(10)
K = tf.keras
L = K.layers


def interpret(content, arrays):
    """By input: resized to what is given."""
    model = tf.lite.Interpreter(model_content=content, experimental_op_resolver_type=REFERENCE)
    inputs = model.get_input_details()
    for entry, array in zip(inputs, arrays):
        model.resize_tensor_input(entry["index"], array.shape)
    model.allocate_tensors()
    for entry, array in zip(inputs, arrays):
        model.set_tensor(entry["index"], array)
    model.invoke()
    return [model.get_tensor(entry["index"]) for entry in model.get_output_details()]


REFERENCE = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def random_inputs(content, batch=1):
    arrays = []
    for entry in tf.lite.Interpreter(model_content=content).get_input_details():
        shape = [batch if d < 0 else int(d) for d in entry["shape_signature"]]
        if entry["dtype"] == np.float32:
            arrays.append(RNG.normal(size=shape).astype(np.float32))
        elif entry["dtype"] == np.bool_:
            arrays.append(np.ones(shape, bool))
        else:
            low, high = (-128, 128) if entry["dtype"] == np.int8 else (0, 256) if entry["dtype"] == np.uint8 else (0, 5)
            arrays.append(RNG.integers(low, high, shape).astype(entry["dtype"]))
    return arrays


def check(content, arrays=None, distance=1e-5, steps=1):
    path = scratch("model.tflite")
    pathlib.Path(path).write_bytes(content)
    converted = Model(path, distance=distance, steps=steps)
    arrays = arrays or random_inputs(content)
    names = [i.name for i in converted.witness.get_inputs()]
    want = interpret(content, arrays)
    got = list(converted(**dict(zip(names, arrays))).values())
    assert len(got) == len(want)
    for a, b in zip(got, want):
        if a.dtype.kind in "iu" and a.dtype.itemsize == 1:
            off = np.abs(a.astype(int) - b.astype(int))
            assert off.max(initial=0) <= steps, f"{np.count_nonzero(off > steps)} of {off.size} are off, by up to {off.max()}"
        else:
            same("output", a, b, distance=distance)
    return converted


def lite(model, samples=None, **options):
    """TensorFlow Lite's form of a Keras model or function."""
    make = tf.lite.TFLiteConverter
    converter = make.from_keras_model(model) if isinstance(model, K.Model) else \
        make.from_concrete_functions([model.get_concrete_function()], model)
    for name, value in options.items():
        setattr(converter, name, value)
    if samples:
        converter.representative_dataset = samples
    return converter.convert()


def keras_model(shape, make, batch=None):
    x = K.Input(shape, batch_size=batch)
    model = K.Model(x, make(x))
    for w in model.weights:
        if "seed" not in w.name:
            r = RNG.normal(size=w.shape) * 0.3
            w.assign(abs(r) + 0.5 if "variance" in w.name else r)
    return model


NETS = {
    "dense": ((6,), lambda x: L.Dense(3, activation="relu")(L.Dense(4, activation="tanh")(x))),
    "conv": ((9, 8, 3), lambda x: L.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)),
    "conv, valid": ((9, 8, 3), lambda x: L.Conv2D(4, (2, 3), dilation_rate=1, activation="relu6")(x)),
    "dilated": ((9, 8, 3), lambda x: L.Conv2D(4, 3, dilation_rate=2, padding="same")(x)),
    "depthwise": ((9, 8, 3), lambda x: L.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x)),
    "separable": ((9, 8, 3), lambda x: L.BatchNormalization()(L.SeparableConv2D(5, 3)(x))),
    "transposed": ((5, 4, 3), lambda x: L.Conv2DTranspose(4, 3, strides=2, padding="same")(x)),
    "pooling": ((9, 8, 3), lambda x: L.Concatenate()([L.MaxPooling2D(2, padding="same")(x),
                                                      L.AveragePooling2D(2, padding="same")(x)])),
    "global": ((5, 6, 3), lambda x: L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(x))),
    "merges": ((5, 6, 3), lambda x: L.Multiply()([L.Add()([x, x]), L.ReLU()(x)])),
    "upsampling": ((4, 5, 3), lambda x: L.UpSampling2D(2, interpolation="bilinear")(L.UpSampling2D(2)(x))),
    "padding": ((4, 5, 3), lambda x: L.Cropping2D(1)(L.ZeroPadding2D(2)(x))),
    "flatten": ((4, 5, 3), lambda x: L.Dense(4)(L.Flatten()(x))),
    "sequence": ((6, 3), lambda x: L.GlobalMaxPooling1D()(L.Conv1D(4, 3, padding="same", activation="elu")(x))),
    "activations": ((5,), lambda x: L.Concatenate()([L.Activation(a)(x) for a in (
        "sigmoid", "tanh", "relu6", "elu", "leaky_relu", "hard_silu", "softplus", "gelu")])),
    "attention": ((4, 6), lambda x: L.MultiHeadAttention(2, 3)(x, x)),
    "normalization": ((4, 6), lambda x: L.LayerNormalization()(x)),
    "prelu": ((4, 5, 3), lambda x: L.PReLU(shared_axes=[1, 2])(x)),
    "lstm": ((5, 3), lambda x: L.LSTM(4, return_sequences=True)(x)),
    "gru": ((5, 3), lambda x: L.GRU(4)(x)),
    "residual": ((8, 8, 4), lambda x: L.ReLU()(L.Add()([x, L.BatchNormalization()(L.Conv2D(4, 3, padding="same")(x))]))),
}
WHOLE = ("dense", "conv", "conv, valid", "depthwise", "separable", "pooling", "global", "merges", "flatten", "residual",
         "padding", "activations")


class Floats(unittest.TestCase):
    def try_net(self, name):
        check(lite(keras_model(*NETS[name], batch=1 if name in ("lstm", "gru") else None)))


class Whole(unittest.TestCase):
    def try_net(self, name, kind):
        model = keras_model(*NETS[name])
        shape = (1, *NETS[name][0])

        def samples():
            for _ in range(20):
                yield [RNG.normal(size=shape).astype(np.float32)]
        content = lite(model, samples, optimizations=[tf.lite.Optimize.DEFAULT], inference_input_type=kind,
                       inference_output_type=kind,
                       target_spec=tf.lite.TargetSpec(supported_ops=[tf.lite.OpsSet.TFLITE_BUILTINS_INT8]))
        # two engines and TensorFlow Lite each round once an operator
        check(content, distance=5e-2, steps=2 if name in ("activations", "separable", "residual") else 1)


for _name in NETS:
    setattr(Floats, f"test_{_name}", lambda self, n=_name: self.try_net(n))
for _name in WHOLE:
    setattr(Whole, f"test_{_name}_int8", lambda self, n=_name: self.try_net(n, tf.int8))
setattr(Whole, "test_conv_uint8", lambda self: self.try_net("conv", tf.uint8))
setattr(Whole, "test_conv_float_borders", lambda self: self.try_net("conv", tf.float32))


class Small(unittest.TestCase):
    def test_half_weights(self):
        check(lite(keras_model(*NETS["separable"]), optimizations=[tf.lite.Optimize.DEFAULT],
                   target_spec=tf.lite.TargetSpec(supported_types=[tf.float16])))

    def test_dynamic_range(self):
        """The weights are bytes; TensorFlow Lite rounds what it multiplies them with, too, and the result is not so."""
        model = K.Sequential([K.Input((64,)), L.Dense(64, activation="relu"), L.Dense(8)])
        check(lite(model, optimizations=[tf.lite.Optimize.DEFAULT]), distance=3e-2)

    def test_free_batch(self):
        content = lite(keras_model(*NETS["conv"]))
        check(content, [RNG.normal(size=(3, 9, 8, 3)).astype(np.float32)])


def function(*shapes, dtype=tf.float32):
    return lambda f: tf.function(f, input_signature=[tf.TensorSpec(s, dtype) for s in shapes])


class Functions(unittest.TestCase):
    def try_function(self, f, arrays=None):
        module = tf.Module()
        module.f = f
        converter = tf.lite.TFLiteConverter.from_concrete_functions([f.get_concrete_function()], module)
        check(converter.convert(), arrays)

    def test_arithmetic(self):
        self.try_function(function([2, 3], [2, 3])(lambda x, y: tf.stack([
            x + y, x - y, x * y, x / (tf.abs(y) + 1), tf.maximum(x, y), tf.minimum(x, y), tf.square(x - y),
            tf.math.squared_difference(x, y), tf.exp(-tf.abs(x)), tf.sqrt(tf.abs(x)), tf.math.rsqrt(tf.abs(y) + 1),
            tf.floor(x), tf.math.ceil(x), tf.sin(x), tf.cos(y), tf.math.floormod(x, 2.0), tf.where(x > y, x, y),
            tf.math.floormod(tf.round(x * 10), 0.1)])))

    def test_whole_numbers(self):
        x, y = np.array([[7, -7, 9], [-9, 6, -1]], np.int32), np.array([[2, 2, -4], [-4, 3, 5]], np.int32)
        self.try_function(function([2, 3], [2, 3], dtype=tf.int32)(lambda x, y: (x // y, x % y)), [x, y])

    def test_reductions(self):
        self.try_function(function([2, 3, 4])(lambda x: (
            tf.reduce_mean(x, [1]), tf.reduce_sum(x, [1, 2]), tf.reduce_max(x, -1, keepdims=True), tf.reduce_min(x, 0),
            tf.argmax(x, 1), tf.cumsum(x, 1), tf.nn.softmax(x), tf.nn.log_softmax(x), tf.math.l2_normalize(x, -1))))

    def test_shapes(self):
        self.try_function(function([2, 3, 4])(lambda x: (
            tf.transpose(x, [0, 2, 1]), tf.reshape(x, [6, 4]), x[:, 1:, ::2], x[0], x[:, tf.newaxis, ..., 1],
            tf.pad(x, [[0, 0], [1, 2], [0, 1]]), tf.pad(x, [[0, 0], [1, 1], [0, 1]], "REFLECT"), tf.tile(x, [1, 2, 1]),
            tf.concat([x, x], 1), tf.stack([x, x], 1), tf.expand_dims(x, 1), tf.reverse(x, [1]), tf.split(x, 2, 2)[1],
            tf.unstack(x, axis=1)[2], tf.gather(x, [2, 0], axis=1), tf.slice(x, [0, 1, 1], [2, 2, -1]))))

    def test_space(self):
        self.try_function(function([1, 4, 4, 4])(lambda x: (
            tf.nn.space_to_depth(x, 2), tf.nn.depth_to_space(x, 2), tf.space_to_batch(x, [2, 2], [[0, 0], [0, 0]]),
            tf.image.resize(x, [7, 5]), tf.image.resize(x, [8, 8], "nearest"))))

    def test_condition(self):
        f = function([3])(lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2.0, lambda: x - 1.0))
        for sign in (1, -1):
            self.try_function(f, [np.full(3, sign, np.float32)])

    def test_loop(self):
        def loop(x):
            return tf.while_loop(lambda i, y: tf.reduce_sum(y) < 100.0, lambda i, y: (i + 1, y * 2.0 + 1.0),
                                 (tf.constant(0), x))
        self.try_function(function([3])(loop), [np.ones(3, np.float32)])

    def test_custom_operators_are_named(self):
        @tf.function(input_signature=[tf.TensorSpec([4, 4], tf.float32)])
        def f(x):
            return tf.linalg.det(x)
        module = tf.Module()
        module.f = f
        converter = tf.lite.TFLiteConverter.from_concrete_functions([f.get_concrete_function()], module)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        pathlib.Path(scratch("model.tflite")).write_bytes(converter.convert())
        done = command("convert", scratch("model.tflite"), "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("the custom operator 'FlexMatrixDeterminant' is not converted", done.stderr)
        self.assertIn("subgraph 0, operator 0", done.stderr)


@unittest.skipUnless(NATIVE.is_dir(), f"SKIPPED: {NATIVE} is absent")
class Found(unittest.TestCase):
    def expect(self, name):
        """Each operator is exact to one step; the softmax behind ten of them makes more of that."""
        content = (NATIVE / "tflite" / name).read_bytes()
        for _ in range(5):
            check(content, steps=32)

    def test_keyword_spotting(self):
        self.expect("kws_ref_model.tflite")

    def test_resnet(self):
        self.expect("pretrainedResnet_quant.tflite")

    def test_wake_words(self):
        self.expect("vww_96_int8.tflite")


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
