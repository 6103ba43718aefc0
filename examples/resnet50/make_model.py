# SPDX-License-Identifier: Apache-2.0
"""ResNet50 v2 with the layers, sizes and names of outputs that the ONNX zoo's model has: 53 convolutions, 25.5 million weights. The
weights are random (the zoo's are not ours to ship): its file takes this one's place, and answers with classes that mean something."""
import numpy
from onnx import TensorProto, helper, numpy_helper, save

STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))  # units, channels inside of a unit; four times as many leave it


class Builder:
    def __init__(self, seed):
        self.nodes, self.weights, self.random = [], [], numpy.random.default_rng(seed)

    def weight(self, name, value):
        self.weights.append(numpy_helper.from_array(value.astype(numpy.float32), name))
        return name

    def node(self, kind, *inputs, **attributes):
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def norm(self, x, channels):
        name = f"batchnorm{len(self.nodes)}"
        spread = self.random.uniform(0.8, 1.2, channels), self.random.normal(0, 0.1, channels)
        values = zip(("gamma", "beta", "mean", "var"), (*spread, numpy.zeros(channels), numpy.ones(channels)))
        return self.node("BatchNormalization", x, *(self.weight(f"{name}_{what}", value) for what, value in values), epsilon=1e-5)

    def conv(self, x, inside, outside, kernel, stride=1):
        value = self.random.normal(0, (2 / (inside * kernel * kernel)) ** 0.5, (outside, inside, kernel, kernel))
        return self.node("Conv", x, self.weight(f"conv{len(self.nodes)}_weight", value), kernel_shape=[kernel, kernel],
                         strides=[stride, stride], pads=[kernel // 2] * 4)

    def unit(self, x, inside, channels, stride):
        """Normalized before each convolution, with a shortcut around all three."""
        first = self.node("Relu", self.norm(x, inside))
        shortcut = x if inside == 4 * channels and stride == 1 else self.conv(first, inside, 4 * channels, 1, stride)
        y = self.conv(first, inside, channels, 1)
        y = self.conv(self.node("Relu", self.norm(y, channels)), channels, channels, 3, stride)
        y = self.conv(self.node("Relu", self.norm(y, channels)), channels, 4 * channels, 1)
        return self.node("Add", y, shortcut)


def make(path, seed=0):
    b = Builder(seed)
    x = b.conv(b.norm("data", 3), 3, 64, 7, 2)
    x = b.node("MaxPool", b.node("Relu", b.norm(x, 64)), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    inside = 64
    for stage, (units, channels) in enumerate(STAGES):
        for unit in range(units):
            x = b.unit(x, inside, channels, 2 if stage and not unit else 1)
            inside = 4 * channels
    x = b.node("Flatten", b.node("GlobalAveragePool", b.node("Relu", b.norm(x, inside))))
    b.nodes.append(helper.make_node("Gemm", [x, b.weight("dense_weight", b.random.normal(0, 0.0003, (1000, inside))),
                                             b.weight("dense_bias", numpy.zeros(1000))], ["resnetv24_dense0_fwd"], "dense", transB=1))
    graph = helper.make_graph(b.nodes, "resnet50_v2", [helper.make_tensor_value_info("data", TensorProto.FLOAT, ["N", 3, 224, 224])],
                              [helper.make_tensor_value_info("resnetv24_dense0_fwd", TensorProto.FLOAT, ["N", 1000])], b.weights)
    save(helper.make_model(graph, producer_name="make_model.py", opset_imports=[helper.make_opsetid("", 8)], ir_version=4), path)
