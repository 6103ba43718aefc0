# SPDX-License-Identifier: Apache-2.0
"""Answers for the model: {"data": 3x224x224 numbers from 0 to 255} becomes the five likeliest classes with their chances."""
import json
import time

import numpy as np
import onnxruntime
from azureml.core.model import Model

MEAN, SPREAD = (np.array(v, np.float32).reshape(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))


def init():
    global session
    session = onnxruntime.InferenceSession(Model.get_model_path(model_name="resnet50v2"))


def preprocess(data):
    return ((np.array(data, dtype=np.float32) / 255 - MEAN) / SPREAD)[np.newaxis]


def run(raw_data):
    image = preprocess(json.loads(raw_data)["data"])
    start = time.time()
    scores = session.run(None, {"data": image})[0][0]
    seconds = time.time() - start
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    best = scores.argsort()[::-1][:5]
    return {"classes": best.tolist(), "chances": chances[best].tolist(), "time_in_sec": seconds}
