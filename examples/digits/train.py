#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the demo's digit classifier and writes digits.onnx and the held-out images.

Data: scikit-learn's bundled handwritten digits, 1,797 grey images of 8x8, values 0 to 16. A fifth of
them is held out; 20 of those (two of each digit) become PNG files for the demo. The network is two
convolutions and two dense layers on the 8x8 image; it is exported through PyTorch.

    apt-get install python3-torch python3-sklearn
    /usr/bin/python3 examples/digits/train.py
"""
import pathlib
import struct
import zlib

import numpy
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

HERE = pathlib.Path(__file__).resolve().parent


def write_png(path, pixels):
    """A grey 8-bit PNG of a 2-D uint8 array."""
    height, width = pixels.shape
    rows = b"".join(b"\0" + pixels[y].tobytes() for y in range(height))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


def main():
    torch.manual_seed(1)
    digits = load_digits()
    images = digits.images.astype(numpy.float32)[:, None] / 16
    train_x, test_x, train_y, test_y = train_test_split(images, digits.target, test_size=0.2, random_state=1,
                                                        stratify=digits.target)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(1, 16, 3, padding=1), torch.nn.BatchNorm2d(16), torch.nn.ReLU(),
        torch.nn.Conv2d(16, 32, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Flatten(), torch.nn.Linear(512, 64), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(64, 10),
        torch.nn.Softmax(dim=1))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-4)
    x, y = torch.from_numpy(train_x), torch.from_numpy(train_y)
    for epoch in range(60):
        model.train()
        order = torch.randperm(len(x))
        for batch in order.split(64):
            optimizer.zero_grad()
            loss = torch.nn.functional.nll_loss(torch.log(model(x[batch]) + 1e-9), y[batch])
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        guess = model(torch.from_numpy(test_x)).argmax(1).numpy()
    print(f"held-out accuracy {100 * (guess == test_y).mean():.1f} % of {len(test_y)}")
    torch.onnx.export(model, torch.zeros(1, 1, 8, 8), HERE / "digits.onnx", input_names=["image"],
                      output_names=["probability"], opset_version=13,
                      dynamic_axes={"image": {0: "batch"}, "probability": {0: "batch"}})
    folder = HERE / "images"
    folder.mkdir(exist_ok=True)
    for digit in range(10):
        for copy, index in enumerate(numpy.flatnonzero(test_y == digit)[:2]):
            pixels = numpy.round(test_x[index, 0] * 255).astype(numpy.uint8)
            write_png(folder / f"{digit}_{copy}.png", pixels)


if __name__ == "__main__":
    main()
