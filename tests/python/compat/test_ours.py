# SPDX-License-Identifier: Apache-2.0
"""What compat/onnxruntime says of what it does otherwise: the log, refusals, sub-packages that are borrowed."""

import os
import subprocess
import sys
import sysconfig

import behaviours
import differences
import models
import pytest


def run(program, **env):
    """What a program prints with our onnxruntime, both streams."""
    paths = os.pathsep.join([str(differences.COMPAT), os.path.dirname(behaviours.__file__)])
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": paths, **env}
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], env=env, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout + done.stderr


BEGIN = "import models, numpy as np, onnxruntime as ort; X = np.ones(3, np.float32)\n"


def test_log():
    program = BEGIN + """
session = ort.InferenceSession(models.odd_attribute)
print(session.run(None, {"x": X})[0].shape)
"""
    told = run(program)
    assert "(3,)" in told and "[W:onnxruntime:, " in told and "'odd'" in told
    assert run(program.replace("session =", "ort.set_default_logger_severity(3); session =")).strip() == "(3,)"


def test_log_callback():
    told = run(BEGIN + """
got = []
ort.set_default_logger_callback(lambda *message: got.append(message))
options = ort.SessionOptions(); options.logid = "mine"
ort.InferenceSession(models.odd_attribute, options).run(None, {"x": X})
severity, category, logid, location, message = got[0]
print(severity, category, logid, "'odd'" in message)
""")
    assert told.strip() == "2 onnxruntime mine True"


def test_custom_operators_are_refused_with_the_reason(tmp_path):
    source = tmp_path / "operators.c"
    source.write_text("void *RegisterCustomOps(void *options, const void *api) { return 0; }\n")
    library = tmp_path / "operators.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    told = run(f"""
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import NotImplemented as Refused
try:
    ort.SessionOptions().register_custom_ops_library({str(library)!r})
except Refused as refusal:
    print(refusal)
""")
    assert str(library) in told and "sdx_options_add_op" in told


@pytest.mark.parametrize("name", ["quantization", "transformers", "tools"])
def test_what_is_borrowed_says_from_where(name, tmp_path):
    program = f"""
try:
    import onnxruntime.{name}
except ImportError as refusal:
    print(refusal)
"""
    told = run(program, SARDONYX_ONNXRUNTIME_HOME="")
    assert f"onnxruntime.{name} is not part of Sardonyx" in told and "SARDONYX_ONNXRUNTIME_HOME" in told
    assert "pip install" in run(program, SARDONYX_ONNXRUNTIME_HOME=str(tmp_path))


def test_borrowed_quantization_works(tmp_path):
    (tmp_path / "model.onnx").write_bytes(models.product_of_weights)
    told = run(f"""
import warnings; warnings.simplefilter("ignore")
import numpy as np, onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

class Numbers(CalibrationDataReader):
    def __init__(self):
        self.left = [{{"x": np.random.default_rng(n).random((2, 8), np.float32)}} for n in range(4)]

    def get_next(self):
        return self.left.pop() if self.left else None

folder = {str(tmp_path)!r}
x = np.random.default_rng(9).random((2, 8), np.float32)
expected, = ort.InferenceSession(folder + "/model.onnx").run(None, {{"x": x}})
quant_pre_process(folder + "/model.onnx", folder + "/ready.onnx", skip_symbolic_shape=True)
quantize_dynamic(folder + "/ready.onnx", folder + "/dynamic.onnx", weight_type=QuantType.QInt8)
quantize_static(folder + "/ready.onnx", folder + "/static.onnx", Numbers())
for name in ("ready", "dynamic", "static"):
    result, = ort.InferenceSession(folder + f"/{{name}}.onnx").run(None, {{"x": x}})
    print(name, np.abs(result - expected).max() < 0.1 * np.abs(expected).max())
""", SARDONYX_ONNXRUNTIME_HOME=sysconfig.get_path("purelib"))
    assert "ready True\ndynamic True\nstatic True" in told
