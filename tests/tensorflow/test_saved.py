#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SavedModels of TensorFlow, with tables, signatures and variables, made by both Keras and found in the wild, against
TensorFlow's own results.

    tests/tensorflow/test_saved.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import os
import pathlib
import shutil
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "convert")]
import venv  # noqa: E402

venv.enter("tensorflow")

from test_tensorflow import DISTANCE, PROVE, RNG, normal, plain  # noqa: E402  (first: it tells TensorFlow to be quiet)

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
import tf_keras  # noqa: E402

import suite  # noqa: E402
from harness import NATIVE, Model, command, same, scratch  # noqa: E402

K = tf.keras
L = K.layers


def check_saved(path, distance=DISTANCE, signature="serving_default", **inputs):
    """A folder, by what its signature gives in TensorFlow."""
    served = tf.saved_model.load(path).signatures[signature]
    want = served(**{name: tf.constant(array) for name, array in inputs.items()})
    converted = Model(path, "--signature", signature, distance=distance)
    got = converted(**inputs)
    assert set(got) == set(want), f"outputs {sorted(got)}, expected {sorted(want)}"
    for name, tensor in want.items():
        same(name, got[name], plain(tensor), distance=distance)
    return converted


def save(module, **signatures):
    path = scratch("saved")
    shutil.rmtree(path, ignore_errors=True)
    tf.saved_model.save(module, path, signatures=signatures or None)
    return path


def served(**specs):
    return tf.function(input_signature=[tf.TensorSpec(*spec, name=name) for name, spec in specs.items()])


class Tables(tf.Module):
    """Words by a file and by a list, a mean of embeddings, classes by name."""

    def __init__(self):
        words = pathlib.Path(scratch("words.txt"))
        words.write_text("the\ncat\nsat\n")
        index = tf.lookup.TextFileIndex
        self.words = tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer(
            str(words), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER), 3)
        self.names = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(
            tf.constant([0, 1], tf.int64), ["good", "bad"]), "?")
        self.scores = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["cat", "dog"], [0.5, 2.0]), -1.0)
        self.table = tf.Variable(normal(4, 6))
        self.dense = tf.Variable(normal(6, 2))

    @served(text=([None, 4], tf.string))
    def classify(self, text):
        i = self.words.lookup(tf.strings.lower(text))
        logits = tf.reduce_mean(tf.nn.embedding_lookup(self.table, i), 1) @ self.dense
        return {"probabilities": tf.nn.softmax(logits), "label": self.names.lookup(tf.argmax(logits, 1)),
                "scores": self.scores.lookup(text), "joined": tf.strings.join([text, "x"], "-"),
                "short": tf.strings.regex_full_match(text, "[a-z]{3}")}


class Saved(unittest.TestCase):
    def test_tables(self):
        text = np.array([["the", "CAT", "sat", "on"], ["dog", "cat", "", "The"]], object)
        module = Tables()
        check_saved(save(module, serving_default=module.classify), text=text)

    def test_signatures(self):
        class Two(tf.Module):
            def __init__(self):
                self.w = tf.Variable(normal(3, 2), name="w")
                self.count = tf.Variable(7, name="count")

            @served(x=([None, 3],))
            def first(self, x):
                return {"x": x @ self.w, "y": tf.cast(self.count, tf.float32) * x}

            @served(x=([None, 3],))
            def second(self, x):
                return {"z": tf.nn.relu(self.first(x)["x"])}
        module = Two()
        path = save(module, first=module.first, second=module.second)
        done = command("convert", path, "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("which of its signatures is meant? first, second", done.stderr)
        check_saved(path, signature="second", x=normal(4, 3))
        Model(f"{path}/saved_model.pb", "--signature", "second", *PROVE, distance=DISTANCE)
        served_x = tf.saved_model.load(path).signatures["first"](x=tf.ones([1, 3]))["x"]
        got = Model(path, "--signature", "first", distance=DISTANCE)(x=np.ones((1, 3), np.float32))
        same("x", got["x:0"], plain(served_x), distance=DISTANCE)

    def test_variables_that_are_missing(self):
        module = tf.Module()
        module.w = tf.Variable(normal(3, 2))
        module.f = served(x=([None, 3],))(lambda x: x @ module.w)
        path = save(module, serving_default=module.f)
        for name in os.listdir(f"{path}/variables"):
            os.unlink(f"{path}/variables/{name}")
        done = command("convert", path, "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no checkpoint for this variable", done.stderr)
        self.assertIn("give the whole folder", done.stderr)

    def test_networks_of_keras(self):
        x = K.Input((8, 8, 3))
        y = L.Conv2D(4, 3, padding="same")(x)
        y = L.Add()([y, L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(y))])
        y = L.Concatenate()([L.MaxPooling2D(2)(y), L.AveragePooling2D(2)(y)])
        y = L.Conv2DTranspose(3, 3, strides=2, padding="same", activation="swish")(y)
        model = K.Model(x, L.Dense(5, activation="softmax")(L.LayerNormalization()(L.GlobalAveragePooling2D()(y))))
        path = scratch("saved")
        shutil.rmtree(path, ignore_errors=True)
        model.export(path, verbose=False)
        check_saved(path, **{model.inputs[0].name: normal(2, 8, 8, 3)})


# ---- applications ------------------------------------------------------------------------------------------------------

def image_net(x):
    y = L.Conv2D(8, 3, 2, "same", activation="relu")(x)
    for filters in (8, 12):
        z = L.DepthwiseConv2D(3, padding="same")(y)
        z = L.ReLU(6.0)(L.BatchNormalization()(z))
        z = L.BatchNormalization()(L.Conv2D(filters, 1)(z))
        y = L.Add()([y, z]) if filters == y.shape[-1] else z
    return L.Dense(5, activation="softmax")(L.GlobalAveragePooling2D()(y))


def unet(x):
    down = L.Conv2D(4, 3, padding="same", activation="relu")(x)
    y = L.Conv2D(8, 3, padding="same", activation="relu")(L.MaxPooling2D()(down))
    y = L.Concatenate()([L.UpSampling2D(interpolation="bilinear")(y), down])
    return L.Conv2D(2, 1, activation="sigmoid")(L.Conv2DTranspose(4, 3, padding="same")(y))


def autoencoder(x):
    y = L.Dense(3, activation="elu")(L.Flatten()(x))
    return L.Reshape((8, 8, 3))(L.Dense(192, activation="sigmoid")(y))


def squeeze_excite(x):
    y = L.Conv2D(6, 3, padding="same", activation="swish")(x)
    gate = L.Dense(6, activation="sigmoid")(L.Dense(3, activation="relu")(L.GlobalAveragePooling2D(keepdims=True)(y)))
    return L.Multiply()([y, gate])


def pyramid(x):
    y = [L.AveragePooling2D(n)(x) for n in (1, 2, 4)]
    return [L.Conv2D(2, 3, padding="same", dilation_rate=2)(p) for p in y]


def transformer(x):
    y = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)]))
    return L.Dense(3)(L.LayerNormalization()(L.Add()([y, L.Dense(8)(L.Dense(16, activation="gelu")(y))])))


def sequence_net(x):
    y = L.GlobalMaxPooling1D()(L.Conv1D(5, 3, padding="causal", activation="tanh")(x))
    return L.Dense(2)(y)


def tagger(x):
    y = L.Bidirectional(L.LSTM(4, return_sequences=True))(x)
    return L.TimeDistributed(L.Dense(3, activation="softmax"))(L.GRU(5, return_sequences=True)(y))


def sentiment(x):
    return L.Dense(2, activation="softmax")(L.LSTM(6)(L.Embedding(9, 4, mask_zero=True)(x)))


def bag_of_words(x):
    return L.Dense(3)(L.GlobalAveragePooling1D()(L.Embedding(9, 4)(x)))


def forecaster(x):
    state, cell = L.LSTM(4, return_state=True)(x)[1:]
    return L.LSTM(4, return_sequences=True)(L.RepeatVector(3)(state), initial_state=[state, cell])


def recommender(x):
    user, item = L.Embedding(9, 4)(x[:, 0]), L.Embedding(9, 4)(x[:, 1])
    return L.Activation("sigmoid")(L.Dot(1)([user, item]))


def mixture(x):
    weights_ = L.Dense(3, activation="softmax")(x)
    experts = [L.Dense(4, activation="relu")(x) for _ in range(3)]
    return L.Add()([L.Multiply()([weights_[:, i:i + 1], e]) for i, e in enumerate(experts)])


def volume_net(x):
    return L.Dense(2)(L.Flatten()(L.MaxPooling3D()(L.Conv3D(3, 3, padding="same")(x))))


PICTURE, STEPS, TOKENS = (8, 8, 3), (6, 8), (5,)
NETS = {"image net": (image_net, PICTURE), "unet": (unet, PICTURE), "autoencoder": (autoencoder, PICTURE),
        "squeeze and excite": (squeeze_excite, PICTURE), "pyramid": (pyramid, PICTURE), "transformer": (transformer, STEPS),
        "sequence net": (sequence_net, STEPS), "tagger": (tagger, STEPS), "sentiment": (sentiment, TOKENS),
        "bag of words": (bag_of_words, TOKENS), "forecaster": (forecaster, STEPS), "recommender": (recommender, (2,)),
        "mixture": (mixture, (8,)), "volume net": (volume_net, (4, 4, 4, 2)), "conv lstm": (
            lambda x: L.ConvLSTM2D(2, 3, padding="same")(x), (3, 5, 5, 2)),
        "simple rnn": (lambda x: L.SimpleRNN(3, go_backwards=True)(x), STEPS)}


def make_net(name, keras):
    """Of Keras 3 or 2, with random weights that tell their places apart."""
    global K, L  # noqa: PLW0603 - the nets above are of either
    f, shape = NETS[name]
    K, L = keras, keras.layers
    x = K.Input(shape, dtype="int32" if shape in (TOKENS, (2,)) else "float32", name="x")
    model = K.Model(x, f(x))
    for w in model.weights:
        if "seed" not in w.name:
            r = RNG.normal(size=w.shape) * 0.3
            w.assign(abs(r) + 0.5 if "variance" in w.name else r)
    return model, RNG.integers(0, 9, (3, *shape)).astype(np.int32) if x.dtype in ("int32", tf.int32) else normal(3, *shape)


class Applications(unittest.TestCase):
    def try_3(self, name):
        model, x = make_net(name, keras)
        path = scratch("saved")
        shutil.rmtree(path, ignore_errors=True)
        model.export(path, verbose=False)
        check_saved(path, x=x)

    def try_2(self, name):
        model, x = make_net(name, tf_keras)
        path = scratch("saved")
        shutil.rmtree(path, ignore_errors=True)
        model.save(path, save_format="tf")
        check_saved(path, x=x)


for _name in NETS:
    setattr(Applications, f"test_{_name}, Keras 3", lambda self, n=_name: self.try_3(n))
for _name in NETS:
    setattr(Applications, f"test_{_name}, Keras 2", lambda self, n=_name: self.try_2(n))


@unittest.skipUnless(NATIVE.is_dir(), f"SKIPPED: {NATIVE} is absent")
class Found(unittest.TestCase):
    def test_saved_models(self):
        check_saved(str(NATIVE / "tensorflow/basic_pitch_nmp"), input_2=normal(1, 43844, 1) * 0.1)
        check_saved(str(NATIVE / "tensorflow/kws_ref_model"), input_1=normal(2, 49, 10, 1))


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
