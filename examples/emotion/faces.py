# SPDX-License-Identifier: Apache-2.0
"""Faces with an emotion, drawn: 64x64 grey pixels, as FER+ has them. Brows, eyes and mouth say which of the eight it is; size, place,
turn, light and noise differ from face to face."""
import numpy as np
from PIL import Image, ImageDraw

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
# Inner and outer height of the brows, openness of the eyes; ends of the mouth (left, right), its curve, openness.
FEATURES = {"neutral": (0, 0, 4, 0, 0, 0, 0), "happiness": (0, 0, 3, -2, -2, 5, 1), "surprise": (-5, -5, 7, 0, 0, 0, 7),
            "sadness": (-4, 2, 3, 3, 3, -4, 0), "anger": (4, -3, 3, 1, 1, -2, 2), "disgust": (3, 0, 2, 3, -1, -3, 0),
            "fear": (-5, -1, 7, 2, 2, -3, 3), "contempt": (0, -3, 3, 0, -4, 1, 0)}


def draw(emotion, random):
    inner, outer, eye, left, right, curve, gap = np.array(FEATURES[emotion]) * 2 + random.normal(0, 0.8, 7)
    skin, ink = int(random.integers(150, 240)), int(random.integers(0, 60))
    image = Image.new("L", (128, 128), int(random.integers(40, 130)))
    pen = ImageDraw.Draw(image)
    pen.ellipse((20, 10, 108, 120), fill=skin)
    for side in (-1, 1):
        x = 64 + side * 20
        pen.line((x - side * 11, 42 + inner, x + side * 11, 42 + outer), fill=ink, width=4)
        pen.ellipse((x - 8, 56 - max(eye, 2), x + 8, 56 + max(eye, 2)), fill=250, outline=ink)
        pen.ellipse((x - 3, 53, x + 3, 59), fill=ink)
    points = [(44 + 2 * t, 94 + left * (1 - t / 20) + right * t / 20 + curve * np.sin(np.pi * t / 20)) for t in range(21)]
    pen.line(points, fill=ink, width=4)
    if gap > 2:
        pen.ellipse((64 - gap, 94 - gap, 64 + gap, 94 + gap), fill=ink)
    size = int(random.integers(54, 72))
    image = image.rotate(float(random.uniform(-12, 12)), fillcolor=90).resize((size, size))
    frame = Image.new("L", (64, 64), 90)
    frame.paste(image, tuple(int(v) for v in (64 - size) // 2 + random.integers(-4, 5, 2)))
    return (np.asarray(frame) + random.normal(0, 8, (64, 64))).clip(0, 255).astype(np.uint8)


def some(count, seed):
    """(faces, numbers of their emotions)."""
    random = np.random.default_rng(seed)
    numbers = np.arange(count) % len(EMOTIONS)
    return np.stack([draw(EMOTIONS[number], random) for number in numbers]), numbers
