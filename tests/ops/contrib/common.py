# SPDX-License-Identifier: Apache-2.0
"""What the cases of com.microsoft's operators are made with, and of.

A case is a function that yields (inputs, attributes, options) for its operator; inputs are arrays, None where left
out, Const(array) for initializers. Options: outputs (count or list of wanted ones), rtol, atol, steps (tolerance of
quantised outputs), opset, expect (instead of asking ONNX Runtime), shared (outputs that lie where inputs do), open
({output: where any number will do}). Read next: fusions.py; ../test_contrib.py runs them."""
import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

CASES = []
EIGHT_BITS = (np.uint8, np.int8)
ort.set_default_logger_severity(4)


class Const:
    def __init__(self, array):
        self.array = np.asarray(array)


def case(operator):
    return lambda function: CASES.append((operator, function)) or function


def build(operator, inputs, attributes, options):
    names, infos, initializers = [], [], []
    for i, x in enumerate(inputs):
        names.append("" if x is None else f"i{i}")
        if isinstance(x, Const):
            initializers.append(numpy_helper.from_array(x.array, names[-1]))
        elif x is not None:
            infos.append(helper.make_tensor_value_info(names[-1], helper.np_dtype_to_tensor_dtype(x.dtype), x.shape))
    wanted = options.get("outputs", 1)
    wanted = range(wanted) if isinstance(wanted, int) else wanted
    outputs = [f"o{i}" if i in wanted else "" for i in range(max(wanted) + 1)]
    node = helper.make_node(operator, names, outputs, domain=options.get("domain", "com.microsoft"),
                            name="n", **attributes)
    infer = [onnx.ValueInfoProto(name=o) if i not in options.get("types", {}) else
             helper.make_tensor_value_info(o, options["types"][i], None) for i, o in enumerate(outputs) if o]
    graph = helper.make_graph([node], "g", infos, infer, initializers)
    opsets = [helper.make_opsetid("", options.get("opset", 17)), helper.make_opsetid("com.microsoft", 1)]
    feeds = {n: x for n, x in zip(names, inputs) if x is not None and not isinstance(x, Const)}
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString(), feeds


def reference(operator, inputs, attributes, opset=17, domain="", outputs=1):
    """What ONNX Runtime computes for another operator."""
    model, feeds = build(operator, inputs, attributes, {"opset": opset, "domain": domain, "outputs": outputs})
    return ort.InferenceSession(model).run(None, feeds)


def floats(random, *shape, dtype=np.float32, scale=1.0):
    return (random.standard_normal(shape) * scale).astype(dtype)


def integers(random, *shape, dtype=np.uint8):
    info = np.iinfo(dtype)
    return random.integers(max(info.min, -2**31), min(info.max, 2**31), shape, dtype=np.int64).astype(dtype)


def scalar(value, dtype=np.float32):
    return np.array(value, dtype)


def first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def last(x):
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def rms(x, weight, epsilon=1e-6):
    return x / np.sqrt((x.astype(np.float64) ** 2).mean(-1, keepdims=True) + epsilon) * weight
