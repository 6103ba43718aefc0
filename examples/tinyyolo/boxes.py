# SPDX-License-Identifier: Apache-2.0
"""From the numbers of Tiny YOLO's grid to boxes: (chance, class, left, top, right, bottom) in pixels, without those that mostly
cover a likelier one of the same class."""
import numpy as np

ANCHORS = np.array([(1.08, 1.19), (3.42, 4.41), (6.63, 11.38), (9.42, 5.11), (16.62, 10.52)])
LABELS = ("aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person pottedplant sheep sofa train "
          "tvmonitor").split()
CELL = 32


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def of_grid(grid, least=0.3):
    grid = np.asarray(grid, np.float64).reshape(5, 25, 13, 13)
    rows, columns = np.mgrid[:13, :13]
    x, y = (columns + sigmoid(grid[:, 0])) * CELL, (rows + sigmoid(grid[:, 1])) * CELL
    width, height = (np.exp(grid[:, 2 + i].clip(max=3)) * ANCHORS[:, i, None, None] * CELL for i in (0, 1))
    classes = np.exp(grid[:, 5:] - grid[:, 5:].max(1, keepdims=True))
    chances = sigmoid(grid[:, 4]) * classes.max(1) / classes.sum(1)
    best = grid[:, 5:].argmax(1)
    found = [(float(chances[at]), int(best[at]), float(x[at] - width[at] / 2), float(y[at] - height[at] / 2), float(x[at] + width[at] / 2),
              float(y[at] + height[at] / 2)) for at in zip(*np.nonzero(chances >= least))]
    return without_doubles(sorted(found, reverse=True))


def overlap(a, b):
    """Part of the area of both together that both cover."""
    width, height = min(a[4], b[4]) - max(a[2], b[2]), min(a[5], b[5]) - max(a[3], b[3])
    shared = max(0, width) * max(0, height)
    return shared / (sum((box[4] - box[2]) * (box[5] - box[3]) for box in (a, b)) - shared)


def without_doubles(boxes, most=0.3):
    kept = []
    for box in boxes:
        if all(box[1] != other[1] or overlap(box, other) <= most for other in kept):
            kept.append(box)
    return kept
