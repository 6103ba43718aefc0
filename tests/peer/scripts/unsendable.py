# SPDX-License-Identifier: Apache-2.0
"""What cannot be sent as JSON."""
import numpy


def init():
    pass


def run(raw_data):
    return {"array": numpy.arange(3), "bytes": b"x", "set": {1}}[raw_data]
