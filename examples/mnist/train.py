#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes mnist.onnx and images/: the network of CNTK's MNIST tutorial, layer by layer and name by name, trained on the
handwritten digits that come with scikit-learn, drawn as MNIST has them (20x20 in a frame of 28x28).

    python train.py     (needs numpy, onnx, pillow, scikit-learn, torch)
"""
import pathlib

import numpy
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = pathlib.Path(__file__).resolve().parent


def as_mnist(small):
    picture = Image.fromarray((small * 255 / 16).astype(numpy.uint8)).resize((20, 20), Image.Resampling.BICUBIC)
    return numpy.pad(numpy.asarray(picture), 4)


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(1, 8, 5, padding=2), torch.nn.Conv2d(8, 16, 5, padding=2)
        self.last = torch.nn.Linear(256, 10)

    def forward(self, x):
        x = torch.max_pool2d(self.first(x).relu(), 2, 2)
        return self.last(torch.max_pool2d(self.second(x).relu(), 3, 3).flatten(1))


def train(images, labels):
    torch.manual_seed(0)
    network, images, labels = Network(), torch.from_numpy(images), torch.from_numpy(labels)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, weight_decay=1e-4)
    for _ in range(40):
        for batch in torch.randperm(len(images)).split(32):
            shift = tuple(int(v) for v in torch.randint(-2, 3, (2,)))  # digits are not always in the middle
            loss = torch.nn.functional.cross_entropy(network(images[batch].roll(shift, (2, 3))), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network


def as_cntk(network):
    """The graph as CNTK wrote it."""
    def weight(name, value):
        return numpy_helper.from_array(value.detach().numpy().astype(numpy.float32), name)

    same = {"auto_pad": "SAME_UPPER", "dilations": [1, 1], "group": 1, "kernel_shape": [5, 5], "strides": [1, 1]}
    node = helper.make_node
    nodes = [
        node("Reshape", ["Parameter193", "Parameter193_reshape1_shape"], ["Parameter193_reshape1"], "Times212_reshape1"),
        node("Conv", ["Input3", "Parameter5"], ["Convolution28_Output_0"], "Convolution28", **same),
        node("Add", ["Convolution28_Output_0", "Parameter6"], ["Plus30_Output_0"], "Plus30"),
        node("Relu", ["Plus30_Output_0"], ["ReLU32_Output_0"], "ReLU32"),
        node("MaxPool", ["ReLU32_Output_0"], ["Pooling66_Output_0"], "Pooling66", kernel_shape=[2, 2], strides=[2, 2], auto_pad="NOTSET",
             pads=[0, 0, 0, 0]),
        node("Conv", ["Pooling66_Output_0", "Parameter87"], ["Convolution110_Output_0"], "Convolution110", **same),
        node("Add", ["Convolution110_Output_0", "Parameter88"], ["Plus112_Output_0"], "Plus112"),
        node("Relu", ["Plus112_Output_0"], ["ReLU114_Output_0"], "ReLU114"),
        node("MaxPool", ["ReLU114_Output_0"], ["Pooling160_Output_0"], "Pooling160", kernel_shape=[3, 3], strides=[3, 3], auto_pad="NOTSET",
             pads=[0, 0, 0, 0]),
        node("Reshape", ["Pooling160_Output_0", "Pooling160_Output_0_reshape0_shape"], ["Pooling160_Output_0_reshape0"], "Times212_reshape0"),
        node("MatMul", ["Pooling160_Output_0_reshape0", "Parameter193_reshape1"], ["Times212_Output_0"], "Times212"),
        node("Add", ["Times212_Output_0", "Parameter194"], ["Plus214_Output_0"], "Plus214")]
    weights = [
        weight("Parameter5", network.first.weight), weight("Parameter6", network.first.bias.reshape(8, 1, 1)),
        weight("Parameter87", network.second.weight), weight("Parameter88", network.second.bias.reshape(16, 1, 1)),
        weight("Parameter193", network.last.weight.T.reshape(16, 4, 4, 10)), weight("Parameter194", network.last.bias.reshape(1, 10)),
        numpy_helper.from_array(numpy.array([1, 256], numpy.int64), "Pooling160_Output_0_reshape0_shape"),
        numpy_helper.from_array(numpy.array([256, 10], numpy.int64), "Parameter193_reshape1_shape")]
    graph = helper.make_graph(nodes, "CNTKGraph", [helper.make_tensor_value_info("Input3", TensorProto.FLOAT, [1, 1, 28, 28])],
                              [helper.make_tensor_value_info("Plus214_Output_0", TensorProto.FLOAT, [1, 10])], weights)
    return helper.make_model(graph, producer_name="train.py", opset_imports=[helper.make_opsetid("", 8)], ir_version=3 + 1)


def main():
    digits = load_digits()
    images = numpy.stack([as_mnist(image) for image in digits.images])
    known, unseen, labels, truth = train_test_split(images, digits.target, test_size=0.2, random_state=0, stratify=digits.target)
    network = train(known[:, None].astype(numpy.float32), labels)
    with torch.no_grad():
        right = (network(torch.from_numpy(unseen[:, None].astype(numpy.float32))).argmax(1).numpy() == truth).mean()
    print(f"{100 * right:.1f} % of {len(truth)} unseen digits right")
    onnx.save(as_cntk(network), HERE / "mnist.onnx")
    for digit in range(10):
        for number, at in enumerate(numpy.flatnonzero(truth == digit)[:2]):
            Image.fromarray(unseen[at]).save(HERE / f"images/{digit}-{number}.png", optimize=True)


if __name__ == "__main__":
    main()
