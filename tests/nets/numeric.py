# SPDX-License-Identifier: Apache-2.0
"""Layers in NumPy, plainly: what tests compare with where the framework itself cannot run."""
import numpy as np


def windows(x, kernel, stride=(1, 1), dilation=(1, 1)):
    """[N, C, rows, columns, kernel height, kernel width] of a padded picture."""
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation)]
    v = np.lib.stride_tricks.sliding_window_view(x, reach, (2, 3))
    return v[:, :, ::stride[0], ::stride[1], ::dilation[0], ::dilation[1]]


def pad(x, top, bottom, left, right, value=0.0):
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=value)


def conv(x, w, b=None, stride=(1, 1), pads=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """pads: top, bottom, left, right."""
    parts = []
    for part, filters in zip(np.split(x, groups, 1), np.split(w, groups, 0)):
        parts.append(np.einsum("nchwij,ocij->nohw", windows(pad(part, *pads), w.shape[2:], stride, dilation), filters))
    y = np.concatenate(parts, 1)
    return y if b is None else y + b.reshape(1, -1, 1, 1)


def deconv(x, w, b=None, stride=(1, 1), pads=(0, 0, 0, 0), groups=1):
    """w: [in, out / groups, height, width]; pads are cut off."""
    n, _, h, width = x.shape
    size = (h - 1) * stride[0] + w.shape[2], (width - 1) * stride[1] + w.shape[3]
    parts = []
    for part, filters in zip(np.split(x, groups, 1), np.split(w, groups, 0)):
        y = np.zeros((n, w.shape[1], *size), np.float64)
        for i in range(h):
            for j in range(width):
                y[:, :, i * stride[0]:i * stride[0] + w.shape[2], j * stride[1]:j * stride[1] + w.shape[3]] += \
                    np.einsum("nc,coij->noij", part[:, :, i, j], filters)
        parts.append(y)
    y = np.concatenate(parts, 1)
    y = y[:, :, pads[0]:size[0] - pads[1], pads[2]:size[1] - pads[3]]
    return y if b is None else y + b.reshape(1, -1, 1, 1)


def bilinear(x, rows, columns):
    """A picture at these places, which lie within it."""
    def along(x, at, axis):
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, x.shape[axis] - 1)
        part = (at - low).reshape([-1 if i == axis else 1 for i in range(4)])
        return np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return along(along(x, rows, 2), columns, 3)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def lstm(x, w, r, b):
    """x [steps, width]; w, r, b by gate: i f o g. All states."""
    h = c = np.zeros(r["i"].shape[0])
    out = []
    for step in x:
        z = {k: w[k] @ step + r[k] @ h + b[k] for k in w}
        c = sigmoid(z["f"]) * c + sigmoid(z["i"]) * np.tanh(z["g"])
        h = sigmoid(z["o"]) * np.tanh(c)
        out.append(h)
    return np.array(out)


def gru(x, w, r, b):
    """By gate: z r o; the reset applies to the state before its product."""
    h = np.zeros(r["z"].shape[0])
    out = []
    for step in x:
        z, reset = (sigmoid(w[k] @ step + r[k] @ h + b[k]) for k in "zr")
        h = (1 - z) * np.tanh(w["o"] @ step + r["o"] @ (reset * h) + b["o"]) + z * h
        out.append(h)
    return np.array(out)
