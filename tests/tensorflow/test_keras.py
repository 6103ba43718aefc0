#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keras models, made here by Keras 2 and Keras 3 and found in the wild, against their own results: every layer in small
models, the topologies of keras.applications, both kinds of files.

    tests/tensorflow/test_keras.py [-v] [--long] [NAME ...]     only cases whose name contains a NAME; --long: the large
                                                                topologies, too (15 minutes)
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

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tf_keras  # noqa: E402

import suite  # noqa: E402
from harness import NATIVE, Model, command, same, scratch  # noqa: E402

LONG = "--long" in sys.argv
RNG = np.random.default_rng(9)
DISTANCE = 1e-5
BATCH, FREE = 2, 7  # what unknown dimensions become


def randomize(model):
    """Weights that tell their places apart; variances stay positive."""
    for w in model.weights:
        if "float" not in str(w.dtype) or "seed" in w.name:
            continue
        r = RNG.normal(size=w.shape) * 0.3
        w.assign(abs(r) + 0.5 if "variance" in w.name else r)


def random_input(x):
    shape = [d if d is not None else FREE if i else BATCH for i, d in enumerate(x.shape)]
    dtype = getattr(x.dtype, "name", x.dtype)
    if "int" in dtype:
        return RNG.integers(0, 5, shape).astype(dtype)
    return RNG.normal(size=shape).astype(dtype)


def flat(results):
    if isinstance(results, dict):
        return list(results.values())
    return list(results) if isinstance(results, (list, tuple)) else [results]


def check(model, path, arrays=None, distance=DISTANCE, options=()):
    converted = Model(path, *options, distance=distance)
    names = [i.name for i in converted.witness.get_inputs()]
    arrays = arrays or [random_input(x) for x in model.inputs]
    want = flat(model(arrays if len(arrays) > 1 else arrays[0], training=False))
    got = converted(**dict(zip(names, arrays)))
    assert len(got) == len(want), f"{list(got)}, expected {len(want)} outputs"
    for (name, a), b in zip(got.items(), want):
        same(name, a, np.asarray(b), distance=distance)
    return converted


def save_and_check(model, suffix, arrays=None, **options):
    randomize(model)
    path = scratch("model." + suffix)
    model.save(path)
    return check(model, path, arrays, **options)


# ---- layers: name: (shapes of inputs, what is made of them: K is Keras, L its layers) ---------------------------------

def one(*shape, dtype="float32"):
    return [(shape, dtype)]


CASES = {
    "dense": (one(4), lambda K, L, x: L.Dense(3, activation="relu")(x)),
    "dense, rank 3": (one(5, 4), lambda K, L, x: L.Dense(3, use_bias=False)(x)),
    "einsum dense": (one(5, 4), lambda K, L, x: L.EinsumDense("abc,cd->abd", output_shape=(None, 3), bias_axes="d")(x)),
    "embedding": (one(6, dtype="int32"), lambda K, L, x: L.Embedding(10, 4)(x)),
    "conv 1d": (one(9, 3), lambda K, L, x: L.Conv1D(4, 3, padding="same")(x)),
    "conv 1d, causal": (one(9, 3), lambda K, L, x: L.Conv1D(4, 3, padding="causal", dilation_rate=2)(x)),
    "conv 2d": (one(9, 8, 3), lambda K, L, x: L.Conv2D(4, (3, 2), strides=2, padding="same", activation="relu")(x)),
    "conv 2d, free": (one(None, None, 3), lambda K, L, x: L.Conv2D(4, 3, strides=2, padding="same")(x)),
    "conv 2d, groups": (one(8, 8, 4), lambda K, L, x: L.Conv2D(6, 3, groups=2, dilation_rate=2)(x)),
    "conv 3d": (one(5, 6, 7, 2), lambda K, L, x: L.Conv3D(3, 2, strides=(1, 2, 2), padding="same")(x)),
    "depthwise 1d": (one(9, 3), lambda K, L, x: L.DepthwiseConv1D(3, depth_multiplier=2)(x)),
    "depthwise 2d": (one(9, 8, 3), lambda K, L, x: L.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x)),
    "separable 1d": (one(9, 3), lambda K, L, x: L.SeparableConv1D(5, 3, depth_multiplier=2, padding="same")(x)),
    "separable 2d": (one(9, 8, 3), lambda K, L, x: L.SeparableConv2D(5, 3, strides=2, activation="tanh")(x)),
    "transposed 1d": (one(5, 3), lambda K, L, x: L.Conv1DTranspose(4, 3, strides=2, padding="same")(x)),
    "transposed 2d, same": (one(5, 4, 3), lambda K, L, x: L.Conv2DTranspose(4, 4, strides=3, padding="same")(x)),
    "transposed 2d, valid": (one(5, 4, 3), lambda K, L, x: L.Conv2DTranspose(4, 2, strides=3, padding="valid")(x)),
    "transposed 2d, padded": (one(5, 4, 3), lambda K, L, x: L.Conv2DTranspose(
        4, 3, strides=2, padding="same", output_padding=1)(x)),
    "transposed 3d": (one(3, 4, 5, 2), lambda K, L, x: L.Conv3DTranspose(3, 3, strides=2, padding="same")(x)),
    "max pooling": (one(9, 8, 3), lambda K, L, x: L.MaxPooling2D(3, strides=2, padding="same")(x)),
    "average pooling": (one(9, 8, 3), lambda K, L, x: L.AveragePooling2D(3, strides=2, padding="same")(x)),
    "pooling 1d": (one(9, 3), lambda K, L, x: [L.MaxPooling1D(2)(x), L.AveragePooling1D(3, 1, padding="same")(x)]),
    "pooling 3d": (one(5, 6, 7, 2), lambda K, L, x: [L.MaxPooling3D(2)(x), L.AveragePooling3D(2, padding="same")(x)]),
    "global pooling": (one(5, 6, 3), lambda K, L, x: [L.GlobalMaxPooling2D()(x),
                                                      L.GlobalAveragePooling2D(keepdims=True)(x)]),
    "global pooling 1d": (one(5, 3), lambda K, L, x: [L.GlobalMaxPooling1D()(x), L.GlobalAveragePooling1D()(x)]),
    "padding": (one(5, 6, 3), lambda K, L, x: L.ZeroPadding2D(((1, 2), (0, 3)))(x)),
    "padding 1d": (one(5, 3), lambda K, L, x: L.ZeroPadding1D((1, 2))(x)),
    "cropping": (one(8, 9, 3), lambda K, L, x: L.Cropping2D(((1, 2), (0, 3)))(x)),
    "cropping 1d": (one(8, 3), lambda K, L, x: L.Cropping1D(2)(x)),
    "upsampling": (one(4, 5, 3), lambda K, L, x: [L.UpSampling2D((2, 3))(x),
                                                  L.UpSampling2D(2, interpolation="bilinear")(x),
                                                  L.UpSampling2D((3, 2), interpolation="bicubic")(x)]),
    "upsampling 1d 3d": (one(4, 5, 3, 2), lambda K, L, x: L.UpSampling3D(2)(x)),
    "batch normalization": (one(5, 6, 3), lambda K, L, x: [
        L.BatchNormalization()(x), L.BatchNormalization(axis=1, scale=False)(x),
        L.BatchNormalization(axis=2, center=False)(x)]),
    "batch normalization, vectors": (one(5), lambda K, L, x: L.BatchNormalization(epsilon=0.01)(x)),
    "layer normalization": (one(5, 6, 3), lambda K, L, x: [
        L.LayerNormalization()(x), L.LayerNormalization(axis=[1, 2])(x), L.LayerNormalization(center=False)(x),
        L.LayerNormalization(axis=[2, 3], scale=False)(x)]),
    "group normalization": (one(5, 6, 8), lambda K, L, x: [L.GroupNormalization(4)(x),
                                                           L.GroupNormalization(-1, axis=2)(x)]),
    "unit normalization": (one(5, 3), lambda K, L, x: L.UnitNormalization()(x)),
    "activations": (one(5), lambda K, L, x: [L.Activation(name)(x) for name in (
        "relu", "sigmoid", "tanh", "softmax", "softplus", "softsign", "elu", "selu", "exponential", "hard_sigmoid",
        "swish", "gelu", "linear")]),
    "activation layers": (one(5), lambda K, L, x: [
        L.ReLU(max_value=0.5)(x), L.ReLU(negative_slope=0.1)(x),
        L.ReLU(max_value=1.0, negative_slope=0.2, threshold=0.3)(x), L.LeakyReLU()(x), L.ELU(0.7)(x),
        L.Softmax()(x)]),
    "softmax, axis": (one(5, 3), lambda K, L, x: L.Softmax(axis=1)(x)),
    "p relu": (one(5, 4, 3), lambda K, L, x: [L.PReLU()(x), L.PReLU(shared_axes=[1, 2])(x)]),
    "merges": ([((5,), "float32")] * 2, lambda K, L, x, y: [
        L.Add()([x, y]), L.Subtract()([x, y]), L.Multiply()([x, y]), L.Average()([x, y]), L.Maximum()([x, y]),
        L.Minimum()([x, y]), L.Concatenate()([x, y]), L.Dot(axes=1)([x, y]), L.Dot(axes=1, normalize=True)([x, y])]),
    "merges, broadcast": ([((4, 5, 3), "float32"), ((1, 1, 3), "float32"), ((3,), "float32")], lambda K, L, x, y, z: [
        L.Add()([x, y]), L.Multiply()([y, x, y]), L.Concatenate(axis=2)([x, x])]),
    "dot, rank 3": ([((4, 5), "float32"), ((6, 5), "float32")], lambda K, L, x, y: [
        L.Dot(axes=2)([x, y]), L.Dot(axes=(2, 2))([y, x])]),
    "shapes": (one(4, 6), lambda K, L, x: [
        L.Reshape((8, 3))(x), L.Reshape((-1, 2, 3))(x), L.Permute((2, 1))(x), L.Flatten()(x)]),
    "repeat": (one(4), lambda K, L, x: L.RepeatVector(3)(x)),
    "dropped": (one(4, 3), lambda K, L, x: L.GaussianNoise(0.2)(L.SpatialDropout1D(0.3)(L.Dropout(0.5)(x)))),
    "channels first": (one(3, 8, 9), lambda K, L, x: [
        L.ZeroPadding2D(1, data_format="channels_first")(x), L.Cropping2D(1, data_format="channels_first")(x),
        L.GlobalAveragePooling2D(data_format="channels_first")(x), L.Flatten(data_format="channels_first")(x)]),
    "time distributed": (one(4, 6, 6, 2), lambda K, L, x: L.TimeDistributed(L.Conv2D(3, 3))(x)),
    "time distributed, free": (one(None, 6), lambda K, L, x: L.TimeDistributed(L.Dense(3, activation="relu"))(x)),
    "lstm": (one(5, 3), lambda K, L, x: [L.LSTM(4)(x), L.LSTM(4, return_sequences=True, go_backwards=True)(x)]),
    "lstm, states": (one(5, 3), lambda K, L, x: L.LSTM(4, return_sequences=True, return_state=True)(x)),
    "lstm, activations": (one(5, 3), lambda K, L, x: L.LSTM(
        4, activation="relu", recurrent_activation="hard_sigmoid", use_bias=False)(x)),
    "lstm, free": (one(None, 3), lambda K, L, x: L.LSTM(4, return_sequences=True)(x)),
    "gru": (one(5, 3), lambda K, L, x: [L.GRU(4)(x), L.GRU(4, reset_after=False, return_sequences=True)(x)]),
    "simple rnn": (one(5, 3), lambda K, L, x: [L.SimpleRNN(4)(x), L.SimpleRNN(4, activation="relu")(x)]),
    "bidirectional": (one(5, 3), lambda K, L, x: [
        L.Bidirectional(L.LSTM(4, return_sequences=True))(x), L.Bidirectional(L.GRU(4), merge_mode="sum")(x),
        L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode="ave")(x),
        L.Bidirectional(L.SimpleRNN(4), merge_mode="mul")(x)]),
    "bidirectional, states": (one(5, 3), lambda K, L, x: list(
        L.Bidirectional(L.LSTM(4, return_sequences=True, return_state=True))(x))),
    "bidirectional, apart": (one(5, 3), lambda K, L, x: L.Bidirectional(
        L.LSTM(4, return_sequences=True), merge_mode=None)(x)),
    "cells": (one(5, 3), lambda K, L, x: [
        L.RNN(L.LSTMCell(4))(x), L.RNN([L.GRUCell(4), L.GRUCell(3)], return_sequences=True)(x)]),
    "masked": (one(6, dtype="int32"), lambda K, L, x: [
        L.LSTM(4, return_sequences=True)(L.Embedding(5, 3, mask_zero=True)(x)),
        L.GRU(4)(L.Embedding(5, 3, mask_zero=True)(x)),
        L.Bidirectional(L.LSTM(4, return_sequences=True))(L.Embedding(5, 3, mask_zero=True)(x)),
        L.LSTM(4, return_sequences=True, go_backwards=True)(L.Embedding(5, 3, mask_zero=True)(x)),
        L.GlobalAveragePooling1D()(L.Embedding(5, 3, mask_zero=True)(x))]),
    "masking": (one(6, 3), lambda K, L, x: L.SimpleRNN(4)(L.Masking(0.0)(L.ReLU()(x)))),
    "encoder and decoder": ([((6, 3), "float32"), ((4, 2), "float32")], lambda K, L, x, y: L.LSTM(4)(
        y, initial_state=L.LSTM(4, return_state=True)(x)[1:])),
    "conv lstm": (one(4, 6, 6, 2), lambda K, L, x: [
        L.ConvLSTM2D(3, 3, padding="same", return_sequences=True)(x), L.ConvLSTM2D(3, 3, go_backwards=True)(x)]),
    "attention": ([((4, 6), "float32"), ((5, 6), "float32")], lambda K, L, x, y: [
        L.Attention()([x, y]), L.Attention(use_scale=True)([x, y]), L.AdditiveAttention()([x, y]),
        L.Attention(score_mode="concat")([x, y])]),
    "multi-head attention": ([((4, 6), "float32"), ((5, 6), "float32")], lambda K, L, x, y: [
        L.MultiHeadAttention(2, 3)(x, y), L.MultiHeadAttention(3, 4, value_dim=5, output_shape=7)(x, x),
        L.MultiHeadAttention(2, 3, use_bias=False)(x, y, y)]),
    "rescaling": (one(4, 4, 3), lambda K, L, x: L.Rescaling(1 / 127.5, offset=-1)(x)),
    "normalization": (one(4), lambda K, L, x: L.Normalization(mean=[1, 2, 3, 4], variance=[1, 2, 3, 4])(x)),
    "resizing": (one(6, 5, 3), lambda K, L, x: [
        L.Resizing(9, 10)(x), L.CenterCrop(3, 4)(x), L.Resizing(8, 3, interpolation="bicubic")(x)]),
    "category encoding": (one(3, dtype="int32"), lambda K, L, x: [
        L.CategoryEncoding(6, output_mode="multi_hot")(x), L.CategoryEncoding(6, output_mode="count")(x)]),
    "discretization": (one(4), lambda K, L, x: L.Discretization(bin_boundaries=[-0.5, 0.0, 0.7])(x)),
}
# What one of them does not have, or does otherwise.
KERAS_3 = {
    "activations of keras 3": (one(5), lambda K, L, x: [L.Activation(name)(x) for name in (
        "relu6", "silu", "hard_silu", "leaky_relu", "log_softmax", "mish", "celu", "log_sigmoid", "soft_shrink",
        "hard_shrink", "tanh_shrink", "hard_tanh", "squareplus")]),
    "functions": ([((4, 3), "float32")] * 2, lambda K, L, x, y: [
        x + y, x * 2.0 - y / 3.0, 1.0 - x, K.ops.relu(x), K.ops.exp(-x), K.ops.maximum(x, y), x[:, 1:3, ::2], x[..., 0],
        K.ops.mean(x, axis=1), K.ops.sum(x, axis=[1, 2], keepdims=True), K.ops.reshape(x, (-1, 12)),
        K.ops.transpose(x, (0, 2, 1)), K.ops.concatenate([x, y], axis=1), K.ops.stack([x, y], axis=1)]),
    "functions, more": ([((4, 3), "float32")] * 2, lambda K, L, x, y: [
        K.ops.matmul(x, K.ops.transpose(y, (0, 2, 1))), K.ops.where(x > y, x, 0.0), K.ops.clip(x, -0.5, 0.5),
        K.ops.softmax(x, axis=1), K.ops.expand_dims(x, 2), K.ops.pad(x, [[0, 0], [1, 2], [0, 1]]),
        K.ops.cast(K.ops.argmax(x, axis=-1), "float32"), K.ops.sqrt(K.ops.abs(x)), x ** 2, K.ops.square(y)]),
    "rms normalization": (one(5, 3), lambda K, L, x: L.RMSNormalization()(x)),
    "grouped query attention": ([((4, 6), "float32"), ((5, 6), "float32")], lambda K, L, x, y:
                                L.GroupQueryAttention(3, 4, 2)(x, y)),
    "causal attention": (one(4, 6), lambda K, L, x: [
        L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True), L.Attention()([x, x], use_causal_mask=True)]),
    "float16": (one(6), lambda K, L, x: L.Dense(3, dtype="mixed_float16")(x)),
}
KERAS_2 = {
    "functions of tensorflow": ([((4, 3), "float32")] * 2, lambda K, L, x, y: [
        x + y, x * 2.0 - y / 3.0, 1.0 - x, x[:, 1:3, ::2], x[..., 0], K.backend.mean(x, axis=1), -x]),
    "thresholded relu": (one(5), lambda K, L, x: L.ThresholdedReLU(0.4)(x)),
}
LOOSE = {"float16": 2e-3}


def build(K, shapes, make):
    inputs = [K.Input(shape, dtype=dtype, name=f"input_{i}") for i, (shape, dtype) in enumerate(shapes)]
    outputs = make(K, K.layers, *inputs)
    return K.Model(inputs, outputs)


class Layers(unittest.TestCase):
    def try_case(self, K, name, case, suffix):
        K.backend.clear_session()
        save_and_check(build(K, *case), suffix, distance=LOOSE.get(name, DISTANCE))


def add_cases():
    for library, version, suffixes, own in ((keras, 3, ("keras", "h5"), KERAS_3), (tf_keras, 2, ("h5", "keras"), KERAS_2)):
        for name, case in {**CASES, **own}.items():
            for suffix in suffixes if LONG else suffixes[:1]:
                def test(self, K=library, n=name, c=case, s=suffix):
                    self.try_case(K, n, c, s)
                setattr(Layers, f"test_{name}_{version}_{suffix}", test)


add_cases()


# ---- models -----------------------------------------------------------------------------------------------------------

class Models(unittest.TestCase):
    def both(self, make, arrays=None):
        for K, suffixes in ((keras, ("keras", "h5")), (tf_keras, ("h5", "keras"))):
            for suffix in suffixes:
                with self.subTest(library=K.__name__, suffix=suffix):
                    K.backend.clear_session()
                    save_and_check(make(K, K.layers), suffix, arrays)

    def test_sequential(self):
        self.both(lambda K, L: K.Sequential([
            K.Input((8, 8, 1)), L.Conv2D(4, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dropout(0.5),
            L.Dense(10, activation="softmax")]))

    def test_shared_layers(self):
        def make(K, L):
            a, b = K.Input((6,), name="a"), K.Input((6,), name="b")
            tower = L.Dense(4, activation="relu", name="tower")
            return K.Model([a, b], L.Dot(1)([tower(a), tower(b)]))
        self.both(make)

    def test_nested_models(self):
        def make(K, L):
            inner_in = K.Input((8, 8, 3))
            inner = K.Model(inner_in, L.GlobalAveragePooling2D()(L.BatchNormalization()(L.Conv2D(4, 3)(inner_in))),
                            name="backbone")
            head = K.Sequential([K.Input((4,)), L.Dense(5, activation="relu"), L.Dense(2)], name="head")
            x, y = K.Input((8, 8, 3)), K.Input((8, 8, 3))
            return K.Model([x, y], [head(inner(x)), L.Subtract()([inner(x), inner(y)])])
        self.both(make)

    def test_time_distributed_model(self):
        def make(K, L):
            inner = K.Sequential([K.Input((6, 6, 1)), L.Conv2D(3, 3), L.Flatten()], name="frame")
            x = K.Input((4, 6, 6, 1))
            return K.Model(x, L.LSTM(5)(L.TimeDistributed(inner)(x)))
        self.both(make)

    def test_states_are_inputs_and_outputs(self):
        """A stateful layer goes on where it was."""
        model = keras.Sequential([keras.Input(batch_shape=(2, 3, 4)), keras.layers.LSTM(5, stateful=True)])
        randomize(model)
        model.save(scratch("model.keras"))
        converted = Model(scratch("model.keras"), distance=DISTANCE)
        names = [i.name for i in converted.witness.get_inputs()]
        states = [np.zeros((2, 5), np.float32)] * 2
        for _ in range(3):
            x = RNG.normal(size=(2, 3, 4)).astype(np.float32)
            out = list(converted(**dict(zip(names, [x, *states]))).values())
            same("output", out[0], model.predict(x, verbose=0), distance=DISTANCE)
            states = out[1:]

    def test_names_are_kept(self):
        x = keras.Input((4,), name="features")
        model = keras.Model(x, keras.layers.Dense(2, activation="softmax", name="classes")(x), name="scorer")
        model.save(scratch("model.keras"))
        converted = Model(scratch("model.keras"))
        self.assertEqual([i.name for i in converted.witness.get_inputs()], ["features"])
        self.assertEqual(converted.witness.get_inputs()[0].shape, ["N", 4])
        self.assertEqual(converted.names, ["classes"])
        self.assertTrue(converted.metadata()["source.format"].startswith("Keras 3."))

    def test_old_opsets(self):
        def make(K, L):
            x = K.Input((8, 8, 3))
            y = L.LayerNormalization()(L.Conv2D(4, 3, activation="gelu")(x))
            return K.Model(x, L.Dense(3, activation="hard_silu")(L.GlobalMaxPooling2D()(L.UpSampling2D()(y))))
        for opset in (13, 15, 17, 18, 20):
            save_and_check(make(keras, keras.layers), "keras", options=("--opset", opset))


class Refusals(unittest.TestCase):
    def refused(self, model, *parts):
        model.save(scratch("model.keras"))
        done = command("convert", scratch("model.keras"), "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        for part in parts:
            self.assertIn(part, done.stderr)
        self.assertFalse(pathlib.Path(scratch("no.onnx")).exists())

    def test_custom_layers_all_at_once(self):
        @keras.saving.register_keras_serializable()
        class Mine(keras.layers.Layer):
            def call(self, x):
                return x

        x = keras.Input((4,))
        y = keras.layers.Hashing(3)(keras.Input((1,), dtype="int32"))
        del y
        self.refused(keras.Model(x, Mine(name="b")(keras.layers.Lambda(lambda t: t, name="a")(x))),
                     "2 problems", "layer 'a': the class 'Lambda' is not converted", "hint: a Lambda is Python code",
                     "layer 'b': the class 'Mine' is not converted")

    def test_old_opset(self):
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save(scratch("model.keras"))
        done = command("convert", scratch("model.keras"), "-o", scratch("no.onnx"), "--opset", 12)
        self.assertEqual(done.returncode, 1)
        self.assertIn("hint: --opset 13 or newer", done.stderr)


# ---- topologies -------------------------------------------------------------------------------------------------------

SMALL = {"MobileNet": 32, "MobileNetV3Small": 32}
LARGE = {"MobileNetV2": 64, "MobileNetV3Large": 64, "EfficientNetB0": 64, "EfficientNetV2B0": 64, "ResNet50": 64,
         "ResNet50V2": 64, "ResNet101": 64, "DenseNet121": 64, "InceptionV3": 96, "InceptionResNetV2": 96, "Xception": 96,
         "NASNetMobile": 64, "ConvNeXtTiny": 64, "VGG16": 48}


class Applications(unittest.TestCase):
    def try_topology(self, name, size):
        keras.backend.clear_session()
        model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=10)
        for suffix in ("keras", "h5"):
            path = scratch("model." + suffix)
            model.save(path)
            check(model, path, distance=5e-5)


for _name, _size in {**SMALL, **(LARGE if LONG else {})}.items():
    setattr(Applications, f"test_{_name}", lambda self, n=_name, s=_size: self.try_topology(n, s))


# ---- files of others --------------------------------------------------------------------------------------------------

@unittest.skipUnless(NATIVE.is_dir(), f"SKIPPED: {NATIVE} is absent")
class Found(unittest.TestCase):
    def expect(self, name):
        path = NATIVE / "keras" / name
        check(tf_keras.models.load_model(path, compile=False), path)

    def test_mini_xception(self):
        self.expect("fer2013_mini_XCEPTION.102-0.66.hdf5")

    def test_resnet8(self):
        self.expect("mlperf_tiny_resnet8_cifar10.h5")

    def test_magika(self):
        self.expect("magika_standard_v1.h5")

    def test_weights_alone_are_told(self):
        done = command("convert", NATIVE / "keras/dtln_model.h5", "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("there are no more than weights in it", done.stderr)


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
