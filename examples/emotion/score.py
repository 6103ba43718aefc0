# SPDX-License-Identifier: Apache-2.0
"""Answers for the model: {"data": a picture as rows of grey values, or of [red, green, blue]} becomes the emotion of the face in it."""
import json
import time

import numpy as np
import onnxruntime
from azureml.core.model import Model

EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")


def init():
    global session
    session = onnxruntime.InferenceSession(Model.get_model_path(model_name="emotion"))


def preprocess(data):
    """Grey, 64x64: the nearest pixel of each place."""
    picture = np.array(data, dtype=np.float32)
    if picture.ndim == 3:
        picture = picture @ np.array([0.299, 0.587, 0.114], np.float32)
    rows, columns = (np.arange(64) * size // 64 for size in picture.shape)
    return picture[np.ix_(rows, columns)].reshape(1, 1, 64, 64)


def run(raw_data):
    image = preprocess(json.loads(raw_data)["data"])
    start = time.time()
    scores = session.run(None, {"Input3": image})[0][0]
    seconds = time.time() - start
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    order = chances.argsort()[::-1]
    return {"emotion": EMOTIONS[order[0]], "chances": {EMOTIONS[i]: float(chances[i]) for i in order}, "time_in_sec": seconds}
