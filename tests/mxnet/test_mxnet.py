#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""MXNet's symbols and Gluon's nets against MXNet's own results.

    tests/mxnet/test_mxnet.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import json
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "convert")]
import venv  # noqa: E402

venv.enter("mxnet")

import numpy as np  # noqa: E402

np.bool = bool  # which MXNet still asks for
import mxnet as mx  # noqa: E402
from mxnet.gluon import nn, rnn  # noqa: E402
from mxnet.gluon.model_zoo import vision  # noqa: E402

import suite  # noqa: E402
from harness import Model, command, same, scratch  # noqa: E402

RNG = np.random.default_rng(12)
CLOSE = 2e-5
S = mx.sym
X = S.var("data")


def n(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def bn(x):
    return S.BatchNorm(x, fix_gamma=False, eps=1e-3, name="bn")


# name: symbol, shape of data
SYMBOLS = {
    "convolution": (S.Convolution(X, num_filter=6, kernel=(3, 3), stride=(2, 1), pad=(1, 0), num_group=2, name="c"), (2, 4, 9, 8)),
    "convolution of one dimension": (S.Convolution(X, num_filter=6, kernel=(3,), dilate=(2,), no_bias=True, name="c"), (2, 4, 12)),
    "deconvolution": (S.Deconvolution(X, num_filter=3, kernel=(4, 4), stride=(2, 2), pad=(1, 1), adj=(1, 1), name="d"), (2, 4, 5, 6)),
    "pooling": (S.Pooling(S.Convolution(X, num_filter=2, kernel=(1, 1), name="c"), kernel=(3, 3), stride=(2, 2), pool_type="avg",
                          pad=(1, 1)), (2, 3, 8, 9)),
    "pooling, full": (S.Pooling(S.Convolution(X, num_filter=2, kernel=(1, 1), name="c"), kernel=(3, 3), stride=(2, 2),
                                pooling_convention="full"), (2, 3, 8, 8)),
    "batch norm": (bn(X), (2, 3, 4, 4)),
    "batch norm, fixed": (S.BatchNorm(X, fix_gamma=True, name="bn"), (2, 3, 4, 4)),
    "old net": (S.SoftmaxOutput(S.FullyConnected(S.Activation(S.FullyConnected(X, num_hidden=8, name="a"), act_type="tanh"),
                                                 num_hidden=3, name="b"), name="softmax"), (2, 5)),
    "leaky and prelu": (S.LeakyReLU(S.LeakyReLU(bn(X), act_type="prelu", name="p"), act_type="leaky", slope=0.1), (2, 3, 4, 4)),
    "elu, gelu, selu": (S.LeakyReLU(S.LeakyReLU(S.LeakyReLU(bn(X), act_type="elu", slope=0.5), act_type="gelu"), act_type="selu"),
                        (2, 3, 4, 4)),
    "arithmetic": (S.broadcast_div(bn(X) * 2 - 1, S.exp(X) + 3) + (1 / (S.square(X) + 1)) - (2 - X), (2, 3, 4, 4)),
    "comparisons": (S.where(X > 0.1, bn(X), S.clip(X, -0.5, 0.5)), (2, 3, 4, 4)),
    "a condition for each row": ((lambda x: S.where(S.sum(x, axis=1) > 0, bn(x), S.exp(x)))(S.var("data", shape=(3, 3))), (3, 3)),
    "dot": (S.dot(S.FullyConnected(X, num_hidden=4, flatten=False, name="f"), S.var("w", shape=(5, 4)), transpose_b=True), (2, 3, 6)),
    "reshape codes": (S.reshape(S.reshape(bn(S.var("data", shape=(2, 3, 4, 6))), (0, -3, -2)), (0, 0, -4, 2, -1)), (2, 3, 4, 6)),
    "transposed": (S.SwapAxis(S.transpose(bn(X), axes=(0, 2, 3, 1)), dim1=1, dim2=3), (2, 3, 4, 5)),
    "parts": ((lambda s: S.Concat(s[2], s[0], dim=1))(S.SliceChannel(bn(X), num_outputs=3, axis=1)), (2, 3, 4, 5)),
    "slices": (S.slice_axis(S.slice(bn(X), begin=(None, 1), end=(None, 3)), axis=2, begin=1, end=-1), (2, 4, 5, 5)),
    "slice like": (S.slice_like(bn(X), S.Pooling(X, kernel=(2, 2), stride=(2, 2)), axes=(2, 3)), (2, 3, 8, 8)),
    "reductions": (S.sum(S.mean(bn(X), axis=(2, 3)), axis=1, keepdims=True), (2, 3, 4, 5)),
    "norms": (S.L2Normalization(S.LRN(bn(X), nsize=3, alpha=0.5, knorm=1), mode="channel"), (2, 3, 4, 5)),
    "instance norm": (S.InstanceNorm(S.Convolution(X, num_filter=4, kernel=(1, 1), name="c"), name="i"), (2, 3, 4, 5)),
    "layer norm and softmax": (S.softmax(S.LayerNorm(S.FullyConnected(X, num_hidden=6, flatten=False, name="f"), name="l"), axis=-1),
                               (2, 4, 5)),
    "upsampled": (S.UpSampling(bn(X), scale=2, sample_type="nearest"), (2, 3, 4, 5)),
    "padded": (S.Pad(bn(X), mode="reflect", pad_width=(0, 0, 0, 0, 1, 2, 2, 1)), (2, 3, 4, 5)),
    "resized": (S.contrib.BilinearResize2D(bn(X), height=7, width=9), (2, 3, 4, 5)),
    "attention": (S.batch_dot(S.softmax(S.batch_dot(S.FullyConnected(X, num_hidden=4, flatten=False, name="q"),
                                                    S.FullyConnected(X, num_hidden=4, flatten=False, name="k"), transpose_b=True)),
                              S.FullyConnected(X, num_hidden=4, flatten=False, name="v")), (2, 5, 6)),
}


def dense():
    net = nn.HybridSequential()
    net.add(nn.Dense(8, activation="relu"), nn.BatchNorm(), nn.Dropout(0.5), nn.Dense(3))
    return net


def convs():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(6, 3, padding=1, use_bias=False), nn.BatchNorm(), nn.PReLU(), nn.MaxPool2D(2),
            nn.Conv2DTranspose(4, 4, 2, 1), nn.AvgPool2D(3, 2, 1, ceil_mode=True), nn.GlobalAvgPool2D(), nn.Flatten(), nn.Dense(3))
    return net


NETS = {
    "dense": (dense, (2, 5)),
    "convolutions": (convs, (2, 3, 12, 12)),
    "resnet 18": (lambda: vision.resnet18_v1(classes=10), (1, 3, 64, 64)),
    "resnet 18, second": (lambda: vision.resnet18_v2(classes=10), (1, 3, 64, 64)),
    "mobilenet": (lambda: vision.mobilenet0_25(classes=10), (1, 3, 64, 64)),
    "mobilenet, second": (lambda: vision.mobilenet_v2_0_25(classes=10), (1, 3, 64, 64)),
    "squeezenet": (lambda: vision.squeezenet1_1(classes=10), (1, 3, 224, 224)),
    "densenet": (lambda: vision.densenet121(classes=10), (1, 3, 224, 224)),
}


def save(symbol, arrays):
    symbol.save(scratch("net-symbol.json"))
    mx.nd.save(scratch("net-0000.params"), arrays)
    return scratch("net-symbol.json")


class Symbols(unittest.TestCase):
    def try_case(self, name):
        symbol, shape = SYMBOLS[name]
        x = n(*shape)
        given = {"data": x.shape} | ({"softmax_label": (shape[0],)} if name == "old net" else {})
        args, _, aux = symbol.infer_shape(**given)
        arrays = {"arg:" + k: mx.nd.array(n(*s)) for k, s in zip(symbol.list_arguments(), args) if k not in given}
        aux = {k: mx.nd.array(np.abs(n(*s)) + 0.5) for k, s in zip(symbol.list_auxiliary_states(), aux)}
        path = save(symbol, arrays | {"aux:" + k: v for k, v in aux.items()})
        run = symbol.bind(mx.cpu(), {k[4:]: v for k, v in arrays.items()} | {k: mx.nd.zeros(s) if k != "data" else mx.nd.array(x)
                                                                          for k, s in given.items()}, aux_states=aux)
        wanted = dict(zip(symbol.list_outputs(), run.forward(is_train=False)))
        got = Model(path, distance=1e-4)(data=x)
        self.assertEqual(list(got), list(wanted))
        for k, want in wanted.items():
            same(k, got[k], want.asnumpy(), distance=1e-4)

    def test_recurrent(self):
        for kind, bidirectional in (("lstm", False), ("gru", True), ("rnn_relu", False)):
            x = n(5, 2, 3)
            net = {"lstm": rnn.LSTM, "gru": rnn.GRU, "rnn_relu": rnn.RNN}[kind](4, 2, bidirectional=bidirectional)
            net.initialize(mx.init.Uniform(0.7))
            net.hybridize()
            want = net(mx.nd.array(x)).asnumpy()
            net.export(scratch("net"))
            model = Model(scratch("net-symbol.json"), distance=1e-4)
            inputs = {i.name: np.zeros((2 + 2 * bidirectional, 2, 4), np.float32) if at else x
                      for at, i in enumerate(model.witness.get_inputs())}
            same(kind, list(model(**inputs).values())[0], want, distance=1e-4)

    def test_what_is_wrong_is_named(self):
        symbol = S.contrib.box_nms(S.topk(X, k=2, ret_typ="mask"))
        done = command("convert", save(symbol, {"arg:w": mx.nd.zeros(1)}), "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        for said in ("the operator 'topk' is not converted", "the operator '_contrib_box_nms' is not converted"):
            self.assertIn(said, done.stderr)
        for symbol, said in ((S.dot(S.var("a", shape=(2, 3, 4)), S.var("b", shape=(4, 3, 2))), "a product of [?, 3, 4] and [?, 3, 2]"),
                             (S.UpSampling(X, X, scale=2, sample_type="nearest", num_args=2), "2 values at once")):
            done = command("convert", save(symbol, {"arg:w": mx.nd.zeros(1)}), "-o", scratch("no.onnx"))
            self.assertIn(said, done.stderr)
        symbol = S.FullyConnected(X, num_hidden=3, name="dense")
        done = command("convert", save(symbol, {"arg:other": mx.nd.zeros(1)}), "-o", scratch("no.onnx"))
        self.assertIn("layer 'dense' (FullyConnected): its input 1 has no array", done.stderr)
        path = pathlib.Path(scratch("net-0000.params"))
        path.write_bytes(path.read_bytes()[:40])
        done = command("convert", scratch("net-symbol.json"), "-o", scratch("no.onnx"))
        self.assertIn("net-0000.params, byte", done.stderr)


    def test_many_variables(self):
        nodes = [{"op": "null", "name": f"v{i}", "inputs": []} for i in range(300000)]
        path = pathlib.Path(save(X, {"arg:w": mx.nd.zeros(1)}))
        path.write_text(json.dumps({"nodes": nodes, "heads": [[0, 0, 0]]}))
        done = command("convert", path, "-o", scratch("no.onnx"))
        self.assertIn("heads: result 0 is never computed", done.stderr)


class Nets(unittest.TestCase):
    def try_case(self, name):
        make, shape = NETS[name]
        net, x = make(), n(*shape)
        net.initialize(mx.init.Xavier())
        net.hybridize()
        want = net(mx.nd.array(x)).asnumpy()
        net.export(scratch("net"), epoch=0)
        got = Model(scratch("net-symbol.json"), distance=1e-4)(data=x)
        same("result", list(got.values())[0], want, distance=1e-4)


for _cases, _group in ((SYMBOLS, Symbols), (NETS, Nets)):
    for _name in _cases:
        setattr(_group, f"test_{_name}", lambda self, n=_name: self.try_case(n))


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
