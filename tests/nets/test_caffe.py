#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Caffe nets written here, against OpenCV's reader of Caffe, or NumPy where OpenCV differs from Caffe.

    tests/nets/test_caffe.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "convert")]
import venv  # noqa: E402

venv.enter("nets")

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import onnx  # noqa: E402

import numeric  # noqa: E402
import suite  # noqa: E402
from harness import NATIVE, Model, command, same, scratch  # noqa: E402

RNG = np.random.default_rng(11)
CLOSE = 2e-5


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, content):
    if isinstance(content, str):
        content = content.encode()
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(array, old=False):
    array = np.asarray(array, np.float32)
    data = field(5, array.tobytes())
    if old:  # four numbers instead of a shape
        return b"".join(varint(i + 1 << 3) + varint(n) for i, n in enumerate([1] * (4 - array.ndim) + list(array.shape))) + data
    return field(7, field(1, b"".join(map(varint, array.shape)))) + data


def weights(blobs, version=2):
    """A .caffemodel of layers with blobs: {layer: (type, [array])}."""
    out = b""
    for name, (kind, arrays) in blobs.items():
        if version == 2:
            out += field(100, field(1, name) + field(2, kind) + b"".join(field(7, blob(a)) for a in arrays))
        elif version == 1:
            out += field(2, field(4, name) + varint(5 << 3) + varint(kind) + b"".join(field(6, blob(a, True)) for a in arrays))
        else:
            out += field(2, field(1, field(1, name) + field(2, kind) + b"".join(field(50, blob(a, True)) for a in arrays)))
    return out


def layer(kind, name, bottoms, tops=None, rest=""):
    lines = "".join(f' bottom: "{b}"' for b in bottoms.split()) + "".join(f' top: "{t}"' for t in (tops or name).split())
    return f'layer {{ name: "{name}" type: "{kind}"{lines} {rest} }}\n'


def net(layers, *shape):
    dims = "".join(f" dim: {d}" for d in shape)
    return f'name: "Test"\nlayer {{ name: "in" type: "Input" top: "x" input_param {{ shape {{{dims} }} }} }}  # data\n{layers}'


def n(*shape):
    return RNG.normal(size=shape).astype(np.float32)


CONV = ("Convolution", [n(6, 4, 3, 3), n(6)])
# name: layers from x to y, shape of x, blobs
CASES = {
    "convolution": (layer("Convolution", "y", "x", rest="convolution_param { num_output: 6 kernel_size: 3 stride: 2 pad: 1 }"),
                    (1, 4, 9, 8), {"y": CONV}),
    "convolution, sides": (layer("Convolution", "y", "x", rest="convolution_param { num_output: 4 kernel_h: 3 kernel_w: 1 "
                                 "pad_h: 1 pad_w: 0 stride_h: 1 stride_w: 2 group: 2 bias_term: false }"),
                           (1, 4, 9, 8), {"y": ("Convolution", [n(4, 2, 3, 1)])}),
    "dilation": (layer("Convolution", "y", "x", rest="convolution_param { num_output: 6 kernel_size: 3 dilation: 2 pad: 2 }"),
                 (1, 4, 9, 8), {"y": CONV}),
    "deconvolution": (layer("Deconvolution", "y", "x", rest="convolution_param { num_output: 3 kernel_size: 4 stride: 2 pad: 1 }"),
                      (1, 4, 5, 6), {"y": ("Deconvolution", [n(4, 3, 4, 4), n(3)])}),
    "max pooling": (layer("Pooling", "y", "x", rest="pooling_param { pool: MAX kernel_size: 3 stride: 2 }"), (1, 3, 8, 8), {}),
    "max pooling, pads": (layer("Pooling", "y", "x", rest="pooling_param { pool: MAX kernel_size: 3 stride: 2 pad: 1 }"),
                          (1, 3, 8, 9), {}),
    "average pooling": (layer("Pooling", "y", "x", rest="pooling_param { pool: AVE kernel_size: 3 stride: 2 }"),
                        (1, 3, 9, 9), {}),
    "global pooling": (layer("Pooling", "y", "x", rest="pooling_param { pool: AVE global_pooling: true }"), (1, 3, 8, 9), {}),
    "inner product": (layer("InnerProduct", "y", "x", rest="inner_product_param { num_output: 5 }"), (2, 3, 2, 4),
                      {"y": ("InnerProduct", [n(5, 24), n(5)])}),
    "batch norm and scale": (layer("BatchNorm", "b", "x", rest="batch_norm_param { use_global_stats: true eps: 1e-3 }") +
                             layer("Scale", "y", "b", rest="scale_param { bias_term: true }"), (1, 3, 4, 4),
                             {"b": ("BatchNorm", [n(3), np.abs(n(3)) + 1, np.array([2.5])]), "y": ("Scale", [n(3), n(3)])}),
    "lrn": (layer("LRN", "y", "x", rest="lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 }"), (1, 5, 4, 4), {}),
    "prelu": (layer("PReLU", "y", "x"), (1, 3, 4, 4), {"y": ("PReLU", [n(3)])}),
    "in place": (layer("ReLU", "r", "x", "x", "relu_param { negative_slope: 0.1 }") + layer("TanH", "y", "x"), (1, 3, 4, 4), {}),
    "eltwise": (layer("Sigmoid", "s", "x") + layer("Eltwise", "y", "x s", rest="eltwise_param { operation: SUM coeff: 1 coeff: -2 }"),
                (1, 3, 4, 4), {}),
    "eltwise product and max": (layer("Sigmoid", "s", "x") + layer("Eltwise", "p", "x s", rest="eltwise_param { operation: PROD }") +
                                layer("Eltwise", "y", "x s p", rest="eltwise_param { operation: MAX }"), (1, 3, 4, 4), {}),
    "slice and concat": (layer("Slice", "s", "x", "a b", "slice_param { slice_point: 1 }") +
                         layer("Concat", "y", "b a", rest="concat_param { axis: 1 }"), (1, 3, 4, 4), {}),
    "power, exp, log": (layer("AbsVal", "a", "x") + layer("Power", "p", "a", rest="power_param { power: 1.5 scale: 0.5 shift: 1 }") +
                        layer("Exp", "y", "p", rest="exp_param { base: 2 }"), (1, 3, 4, 4), {}),
    "softmax": (layer("Flatten", "f", "x") + layer("Softmax", "y", "f"), (2, 3, 2, 2), {}),
    "reshape and permute": (layer("Reshape", "r", "x", rest="reshape_param { shape { dim: 0 dim: -1 dim: 2 dim: 4 } }") +
                            layer("Permute", "y", "r", rest="permute_param { order: 0 order: 2 order: 3 order: 1 }"), (1, 6, 4, 4), {}),
    "shuffled channels": (layer("ShuffleChannel", "y", "x", rest="shuffle_channel_param { group: 2 }"), (1, 6, 3, 3), {}),
    "normalised": (layer("Normalize", "y", "x", rest="norm_param { across_spatial: false channel_shared: false }"), (1, 3, 4, 4),
                   {"y": ("Normalize", [n(3)])}),
    "boxes": (layer("Convolution", "c", "x", rest="convolution_param { num_output: 2 kernel_size: 3 stride: 2 }") +
              layer("PriorBox", "y", "c x", rest="prior_box_param { min_size: 3 min_size: 5 max_size: 4 max_size: 8 aspect_ratio: 2 "
                    "flip: true clip: true variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 offset: 0.5 }"), (1, 3, 9, 11),
              {"c": ("Convolution", [n(2, 3, 3, 3), n(2)])}),
    "cropped": (layer("Convolution", "c", "x", rest="convolution_param { num_output: 2 kernel_size: 3 }") +
                layer("Crop", "y", "x c", rest="crop_param { axis: 2 offset: 1 }") + layer("Sigmoid", "z", "c"), (1, 3, 6, 6),
                {"c": ("Convolution", [n(2, 3, 3, 3), n(2)])}),
    "interpolated": (layer("Interp", "y", "x", rest="interp_param { height: 7 width: 9 }"), (1, 3, 4, 4), {}),
    "elu, bnll, dropout": (layer("ELU", "e", "x", rest="elu_param { alpha: 0.5 }") + layer("Dropout", "d", "e") + layer("BNLL", "y", "d"),
                           (1, 3, 4, 4), {}),
    "mvn": (layer("MVN", "y", "x", rest="mvn_param { normalize_variance: true }"), (1, 3, 4, 4), {}),
}


def write(text, blobs, version=2):
    folder = pathlib.Path(scratch("net"))
    folder.mkdir(exist_ok=True)
    (folder / "net.prototxt").write_text(text)
    (folder / "net.caffemodel").write_bytes(weights(blobs, version))
    return folder / "net.prototxt"


def opencv(path, x, names):
    reader = cv2.dnn.readNetFromCaffe(str(path), str(path.with_suffix(".caffemodel")))
    reader.setInput(x, "x")
    return reader.forward(names)


class Nets(unittest.TestCase):
    def try_case(self, name):
        layers, shape, blobs = CASES[name]
        path = write(net(layers, *shape), blobs)
        model, x = Model(path, distance=CLOSE), RNG.normal(size=shape).astype(np.float32)
        got = model(**({} if "boxes" in name and not model.witness.get_inputs() else {"x": x}))
        same("y", got["y"], opencv(path, x, ["y"])[0].reshape(got["y"].shape), distance=1e-4)

    def test_average_pooling_with_pads(self):
        """Windows reach past the end; the pads that were asked for count, what lies behind them does not."""
        path = write(net(layer("Pooling", "y", "x", rest="pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }"), 1, 2, 8, 8), {})
        x = n(1, 2, 8, 8)
        sums = numeric.windows(numeric.pad(x, 1, 2, 1, 2), (3, 3), (2, 2)).sum((4, 5))
        counted = numeric.windows(numeric.pad(np.ones((1, 2, 10, 10)), 0, 1, 0, 1), (3, 3), (2, 2)).sum((4, 5))
        same("y", Model(path, distance=CLOSE)(x=x)["y"], sums / counted, distance=CLOSE)

    def test_older_versions(self):
        w, b = n(6, 4, 3, 3), n(6)
        d, e = n(5, 96), n(5)
        first = '''input: "x" input_dim: 1 input_dim: 4 input_dim: 8 input_dim: 8
            layers { name: "c" type: CONVOLUTION bottom: "x" top: "c" convolution_param { num_output: 6 kernel_size: 3 pad: 1 } }
            layers { name: "r" type: RELU bottom: "c" top: "c" }
            layers { name: "p" type: POOLING bottom: "c" top: "p" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
            layers { name: "y" type: INNER_PRODUCT bottom: "p" top: "y" inner_product_param { num_output: 5 } }'''
        oldest = '''input: "x" input_dim: 1 input_dim: 4 input_dim: 8 input_dim: 8
            layers { layer { name: "c" type: "conv" num_output: 6 kernelsize: 3 pad: 1 } bottom: "x" top: "c" }
            layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }
            layers { layer { name: "p" type: "pool" pool: MAX kernelsize: 2 stride: 2 } bottom: "c" top: "p" }
            layers { layer { name: "y" type: "innerproduct" num_output: 5 } bottom: "p" top: "y" }'''
        x = n(1, 4, 8, 8)
        y = np.maximum(numeric.conv(x, w, b, pads=(1, 1, 1, 1)), 0)
        y = numeric.windows(y, (2, 2), (2, 2)).max((4, 5)).reshape(1, -1) @ d.T + e
        for text, version, kinds in ((first, 1, (4, 14)), (oldest, 0, ("conv", "innerproduct"))):
            path = write(text, {"c": (kinds[0], [w, b]), "y": (kinds[1], [d, e])}, version)
            same("y", Model(path, distance=CLOSE)(x=x)["y"], y, distance=1e-4)

    def test_training_net(self):
        """Data and loss layers stand around what is used; labels and accuracy are left out."""
        text = '''layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TRAIN } }
            layer { name: "d" type: "Data" top: "data" top: "label" include { phase: TEST } }
            layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3
                    weight_filler { type: "xavier" } } }
            layer { name: "acc" type: "Accuracy" bottom: "ip" bottom: "label" top: "acc" include { phase: TEST } }
            layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }'''
        w, b, x = n(3, 12), n(3), n(2, 3, 2, 2)
        got = Model(write(text, {"ip": ("InnerProduct", [w, b])}), distance=CLOSE)(data=x)
        self.assertEqual(list(got), ["loss"])
        same("loss", got["loss"], numeric.softmax(x.reshape(2, -1) @ w.T + b, 1), distance=CLOSE)

    def test_data_with_sizes(self):
        memory = 'memory_data_param { batch_size: 8 channels: 2 height: 5 width: 6 }'
        dummy = 'dummy_data_param { num: 8 num: 8 channels: 2 channels: 1 height: 5 height: 1 width: 6 width: 1 }'
        for kind, rest in (("MemoryData", memory), ("DummyData", dummy)):
            path = write(layer(kind, "d", "", "data label", rest) + layer("ReLU", "y", "data"), {})
            self.assertEqual(Model(path).witness.get_inputs()[0].shape, ["N", 2, 5, 6])

    def test_scale_by_a_value(self):
        layers = layer("Pooling", "p", "x", rest="pooling_param { pool: AVE global_pooling: true }") + \
            layer("Flatten", "f", "p") + layer("Scale", "y", "x f", rest="scale_param { axis: 0 bias_term: true }")
        x, b = n(2, 3, 4, 5), n(2, 3)
        got = Model(write(net(layers, 2, 3, 4, 5), {"y": ("Scale", [b])}), distance=CLOSE)(x=x)["y"]
        same("y", got, x * x.mean((2, 3), keepdims=True) + b[:, :, None, None], distance=CLOSE)

    def test_many_empty_layers(self):
        (folder := pathlib.Path(scratch("net"))).mkdir(exist_ok=True)
        (folder / "many.caffemodel").write_bytes(field(1, "net") + field(100, b"") * 400000)
        done = command("convert", folder / "many.caffemodel", "--format", "caffe", "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)

    def test_what_is_wrong_is_named(self):
        layers = layer("Convolution", "c", "x", rest="convolution_param { num_output: 2 kernel_size: 3 }") + \
            layer("Python", "mine", "c") + layer("Proposal", "roi", "mine")
        done = command("convert", write(net(layers, 1, 3, 8, 8), {}), "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        for said in ("layer 'mine': the layer type 'Python' is not converted", "layer 'roi': the layer type 'Proposal'"):
            self.assertIn(said, done.stderr)
        for text, said in ((net(layer("ReLU", "y", "nowhere"), 1, 3, 8, 8), "layer 'y' (ReLU): its input 'nowhere' is never computed"),
                           (net(layer("Convolution", "y", "x", rest="convolution_param { num_output: 2 kernel_size: 3 }"), 1, 3, 8, 8),
                            "layer 'y' (Convolution): it has no blob 0"),
                           (net(layer("Pooling", "y", "x", rest="pooling_param { pool: MIN }"), 1, 3, 8, 8), "net.prototxt, line 3"),
                           (net(layer("ReLU", "y", "x"), 1, 3, 8, 8)[:-3], "a message does not end"),
                           (net("#" * 5000 + "\n\0" + layer("ReLU", "y", "x"), 1, 3, 8, 8), "net.prototxt, line 4: expected a name")):
            done = command("convert", write(text, {}), "-o", scratch("no.onnx"))
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stderr)
            self.assertFalse(pathlib.Path(scratch("no.onnx")).exists())


for _name in CASES:
    setattr(Nets, f"test_{_name}", lambda self, n=_name: self.try_case(n))


@unittest.skipUnless(NATIVE.is_dir(), f"SKIPPED: {NATIVE} is absent")
class Found(unittest.TestCase):
    def test_lenet(self):
        path = NATIVE / "caffe/lenet_iter_9000.caffemodel"
        model, x = Model(path, distance=CLOSE), RNG.random((3, 1, 28, 28)).astype(np.float32)
        w = {i.name: onnx.numpy_helper.to_array(i) for i in onnx.load(model.path).graph.initializer}
        self.assertIn(w["conv1/weights"].tobytes(), path.read_bytes())

        def pooled(x):
            return numeric.windows(x, (2, 2), (2, 2)).max((4, 5))
        y = pooled(numeric.conv(pooled(numeric.conv(x, w["conv1/weights"], w["conv1/bias"])), w["conv2/weights"], w["conv2/bias"]))
        y = np.maximum(y.reshape(3, -1) @ w["ip1/weights"].T + w["ip1/bias"], 0)
        same("prob", model(data=x)["prob"], numeric.softmax(y @ w["ip2/weights"].T + w["ip2/bias"], 1), distance=CLOSE)


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
