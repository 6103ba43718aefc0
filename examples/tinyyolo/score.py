# SPDX-License-Identifier: Apache-2.0
"""Answers for the model: {"data": 3x416x416 numbers from 0 to 255} becomes boxes with their classes."""
import json
import time

import boxes
import numpy as np
import onnxruntime
from azureml.core.model import Model


def init():
    global session
    session = onnxruntime.InferenceSession(Model.get_model_path(model_name="tinyyolo"))


def run(raw_data):
    request = json.loads(raw_data)
    image = np.array(request["data"], dtype=np.float32).reshape(1, 3, 416, 416)
    start = time.time()
    grid = session.run(["grid"], {"image": image})[0]
    seconds = time.time() - start
    found = boxes.of_grid(grid, request.get("least", 0.3))
    return {"boxes": [{"chance": box[0], "class": boxes.LABELS[box[1]], "box": box[2:]} for box in found], "time_in_sec": seconds}
