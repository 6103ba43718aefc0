# SPDX-License-Identifier: Apache-2.0
"""Damaged models are left to the engine: what reads and rewrites them before a load neither fails nor goes on for
ever."""

import test_ours

PROGRAM = """
import random, sys
import models, numpy as np, onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state._model import Model

draw = random.Random(7)
options = ort.SessionOptions()
options.add_initializer("w", ort.OrtValue.ortvalue_from_numpy(np.zeros(3, np.float32)))
options.add_free_dimension_override_by_denotation("d", 3)
sources = [models.overridable, models.external, models.configured("{}"), models.free, models.pair]
for n in range(4000):
    damaged = bytearray(draw.choice(sources))
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(damaged))
        if draw.random() < 0.3:
            del damaged[at:at + draw.randint(1, 9)]
        else:
            damaged[at:at + 1] = bytes([draw.randrange(256)])
        if not damaged:
            break
    model = Model(bytes(damaged))
    model.version(), model.metadata("ort_config"), model.has_no_graph(), model.dimensions(), model.overridable()
    assert isinstance(model.edited(options), bytes) and isinstance(model.without({"w"}, options), bytes)
    if n % 8 == 0:
        try:
            ort.set_default_logger_severity(4)
            ort.InferenceSession(bytes(damaged), options).run(None, {"x": np.ones((1, 3), np.float32)})
        except Exception as refusal:
            assert type(refusal).__module__ != "builtins" or isinstance(refusal, (ValueError, RuntimeError)), refusal
print("done")
"""


def test_damaged_models():
    assert test_ours.run(PROGRAM).strip().endswith("done")


def test_what_does_not_change_is_copied():
    assert test_ours.run("""
import models, onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state._model import Model
for source in (models.overridable, models.external, models.told, models.pair, models.cycle):
    assert Model(source).without((), ort.SessionOptions()) == source
print("done")
""").strip() == "done"
