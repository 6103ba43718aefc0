# SPDX-License-Identifier: Apache-2.0
"""Answers for the model: {"data": 28x28 numbers from 0 to 255} becomes ten log probabilities and the digit."""
import json

import numpy as np
import onnxruntime
from azureml.core.model import Model


def init():
    global session
    session = onnxruntime.InferenceSession(Model.get_model_path(model_name="mnist-pytorch"))


def run(raw_data):
    image = (np.array(json.loads(raw_data)["data"], dtype=np.float32) / 255 - 0.1307) / 0.3081
    result = session.run(["output"], {"input": image.astype(np.float32).reshape(1, 1, 28, 28)})[0]
    return {"result": result.tolist(), "digit": int(result.argmax())}
