# SPDX-License-Identifier: Apache-2.0
"""The models of datasets, written as protobuf messages. Field numbers are those of onnx.proto."""
import struct

from onnxruntime.capi.onnxruntime_pybind11_state._model import block, number

_FLOAT, _INT64 = 1, 7


def _tensor_type(element, shape):
    dims = b"".join(block(1, number(1, d) if d else b"") for d in shape)
    return block(1, number(1, element) + block(2, dims))


def _value(name, of_type):
    return block(1, name.encode()) + block(2, of_type)


def _attribute(name, kind, content):
    return block(5, block(1, name.encode()) + content + number(20, kind))


def _numbers(name, values):
    return _attribute(name, 6, block(7, struct.pack(f"<{len(values)}f", *values)))


def _labels(name):
    return _attribute(name, 7, b"".join(number(8, label) for label in range(3)))


def _node(operator, inputs, outputs, *attributes, domain=""):
    return (b"".join(block(1, i.encode()) for i in inputs) + b"".join(block(2, o.encode()) for o in outputs) +
            block(4, operator.encode()) + b"".join(attributes) + block(7, domain.encode()))


def _model(nodes, inputs, outputs, initializers=()):
    graph = (b"".join(block(1, n) for n in nodes) + block(2, b"example") + b"".join(block(5, t) for t in initializers) +
             b"".join(block(11, i) for i in inputs) + b"".join(block(12, o) for o in outputs))
    opsets = block(8, number(2, 8)) + block(8, block(1, b"ai.onnx.ml") + number(2, 1))
    return number(1, 3) + block(7, graph) + opsets


def _logreg():
    # A linear classifier of irises by the two sizes of the sepal.
    scores = ((-2.4, 1.9), (0.5, -1.1), (1.9, -0.8))
    classifier = _node("LinearClassifier", ["float_input"], ["label", "scores"],
                       _numbers("coefficients", [c for row in scores for c in row]),
                       _numbers("intercepts", [7.6, 1.5, -9.1]), _labels("classlabels_ints"),
                       _attribute("multi_class", 2, number(3, 1)),
                       _attribute("post_transform", 3, block(4, b"LOGISTIC")), domain="ai.onnx.ml")
    norm = _node("Normalizer", ["scores"], ["normal"], _attribute("norm", 3, block(4, b"L1")), domain="ai.onnx.ml")
    zipped = _node("ZipMap", ["normal"], ["probabilities"], _labels("classlabels_int64s"), domain="ai.onnx.ml")
    row = block(5, number(1, _INT64) + block(2, _tensor_type(_FLOAT, ())))
    return _model([classifier, norm, zipped], [_value("float_input", _tensor_type(_FLOAT, (3, 2)))],
                  [_value("label", _tensor_type(_INT64, (3,))), _value("probabilities", block(4, block(1, row)))])


def _mul():
    weights = (number(1, 3) + number(1, 2) + number(2, _FLOAT) + block(8, b"W") +
               block(9, struct.pack("<6f", 1, 2, 3, 4, 5, 6)))
    pair = _tensor_type(_FLOAT, (3, 2))
    return _model([_node("Mul", ["X", "W"], ["Y"])], [_value("X", pair), _value("W", pair)], [_value("Y", pair)],
                  [weights])


def _sigmoid():
    cube = _tensor_type(_FLOAT, (3, 4, 5))
    return _model([_node("Sigmoid", ["x"], ["y"])], [_value("x", cube)], [_value("y", cube)])


MODELS = {"logreg_iris": _logreg(), "mul_1": _mul(), "sigmoid": _sigmoid()}
