# SPDX-License-Identifier: Apache-2.0
"""Tiny YOLO v2 as the ONNX zoo has it, converted from Core ML: pixels scaled inside of the model, nine convolutions, 125 numbers for
each of 13x13 cells. The weights are random (the zoo's are not ours to ship): its file takes this one's place."""
import numpy
from onnx import TensorProto, helper, numpy_helper, save

CHANNELS = (16, 32, 64, 128, 256, 512, 1024, 1024)


def make(path, seed=0):
    random, nodes, weights = numpy.random.default_rng(seed), [], []

    def weight(name, value):
        weights.append(numpy_helper.from_array(numpy.asarray(value, numpy.float32), name))
        return name

    def node(kind, name, *inputs, **attributes):
        nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def conv(name, x, inside, outside, kernel, *more):
        spread = (2 / (inside * kernel * kernel)) ** 0.5
        value = weight(f"{name}_W", random.normal(0, spread, (outside, inside, kernel, kernel)))
        return node("Conv", name, x, value, *more, kernel_shape=[kernel, kernel], strides=[1, 1], auto_pad="SAME_UPPER", dilations=[1, 1])

    x = node("Mul", "image2", "image", weight("scalerPreprocessor_scale", [1 / 255]))
    x = node("Add", "scalerPreprocessor", x, weight("scalerPreprocessor_bias", numpy.zeros((3, 1, 1))))
    inside = 3
    for number, channels in enumerate(CHANNELS, 1):
        x = conv(f"convolution{number}", x, inside, channels, 3)
        norm = [weight(f"BatchNormalization_{what}{number}", value) for what, value in
                (("scale", numpy.ones(channels)), ("B", numpy.zeros(channels)), ("mean", numpy.zeros(channels)), ("variance", numpy.ones(channels)))]
        x = node("BatchNormalization", f"batchnorm{number}", x, *norm, epsilon=1e-3)
        x = node("LeakyRelu", f"leakyrelu{number}", x, alpha=0.1)
        if number <= 6:  # the last one keeps the size
            stride = 2 if number < 6 else 1
            x = node("MaxPool", f"maxpool{number}", x, kernel_shape=[2, 2], strides=[stride, stride], auto_pad="SAME_UPPER")
        inside = channels
    conv("grid", x, inside, 125, 1, weight("convolution8_B", random.normal(0, 0.1, 125)))
    graph = helper.make_graph(nodes, "tiny_yolov2", [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["None", 3, 416, 416])],
                              [helper.make_tensor_value_info("grid", TensorProto.FLOAT, ["None", 125, 13, 13])], weights)
    save(helper.make_model(graph, producer_name="make_model.py", opset_imports=[helper.make_opsetid("", 8)], ir_version=4), path)
