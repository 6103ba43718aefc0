# SPDX-License-Identifier: Apache-2.0
"""What run() returns and raises, by the word in the body."""
import json
import time

import numpy


def init():
    pass


def run(raw_data):
    try:
        word = json.loads(raw_data)
    except ValueError:
        word = None
    if not isinstance(word, dict) or "do" not in word:
        return {"got": raw_data}
    if word["do"] == "sleep":
        time.sleep(3)
    if word["do"] == "raise":
        raise ValueError("a value that nobody should see")
    if word["do"] == "exit":
        return int("x")
    return {"none": None, "text": "text", "json": json.dumps({"a": 1}), "list": [1, 2.5, None, True], "number": 7, "dict": {"ä": "ö"},
            "nan": float("nan"), "empty": {}, "array": numpy.arange(3).tolist(), "false": False,
            "tuple": (1, 2), "deep": [[[1.0]]]}[word["do"]]
