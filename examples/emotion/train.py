#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes emotion.onnx: a small network with the input and output of the ONNX zoo's FER+ model, trained on the faces of faces.py.

    python train.py     (needs numpy, onnx, pillow, torch)
"""
import pathlib

import faces
import numpy
import torch

HERE = pathlib.Path(__file__).resolve().parent


class Network(torch.nn.Sequential):
    """Pixels from 0 to 255 to eight scores."""

    def __init__(self):
        layers, inside = [], 1
        for channels in (8, 16, 24, 32):
            layers += [torch.nn.Conv2d(inside, channels, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
            inside = channels
        super().__init__(*layers, torch.nn.Flatten(), torch.nn.Linear(512, 48), torch.nn.ReLU(), torch.nn.Linear(48, 8))

    def forward(self, x):
        return super().forward((x - 127.5) / 64)


def tensor(images):
    return torch.from_numpy(images[:, None].astype(numpy.float32))


def main():
    torch.manual_seed(0)
    network, (images, numbers) = Network(), faces.some(3200, 0)
    x, y = tensor(images), torch.from_numpy(numbers)
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 6)
    for _ in range(6):
        for batch in torch.randperm(len(x)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(x[batch]), y[batch]).backward()
            optimizer.step()
        schedule.step()
    unseen, truth = faces.some(800, 1)
    with torch.no_grad():
        right = (network(tensor(unseen)).argmax(1).numpy() == truth).mean()
    print(f"{100 * right:.1f} % of {len(truth)} unseen faces right")
    torch.onnx.export(network.eval(), (x[:1],), HERE / "emotion.onnx", input_names=["Input3"], output_names=["Plus692_Output_0"], dynamo=False)


if __name__ == "__main__":
    main()
