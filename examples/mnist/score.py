# SPDX-License-Identifier: Apache-2.0
"""Answers for the model: {"data": 28x28 numbers from 0 to 255} becomes the digit and how sure the network is."""
import json
import time

import numpy as np
import onnxruntime
from azureml.core.model import Model


def init():
    global session, input_name
    session = onnxruntime.InferenceSession(Model.get_model_path(model_name="mnist"))
    input_name = session.get_inputs()[0].name


def run(raw_data):
    image = np.array(json.loads(raw_data)["data"], dtype=np.float32).reshape(1, 1, 28, 28)
    start = time.time()
    logits = session.run(None, {input_name: image})[0][0]
    seconds = time.time() - start
    chances = np.exp(logits - logits.max())
    return {"digit": int(logits.argmax()), "chance": float(chances.max() / chances.sum()), "time_in_sec": seconds}
