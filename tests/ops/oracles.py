# SPDX-License-Identifier: Apache-2.0
"""Other engines (onnx.reference, ONNX Runtime) and how far apart results may be."""
import fnmatch
import functools
import pathlib
import re
from typing import NamedTuple

import numpy as np
import onnx.reference
import onnxruntime

import engine

onnxruntime.set_default_logger_severity(4)
# (rtol, atol); atol scales with the largest element.
TOLERANCE = {"double": (1e-6, 1e-7), "complex128": (1e-6, 1e-7), "float": (1e-3, 1e-5), "complex64": (1e-3, 1e-5),
             "float16": (5e-3, 2e-3), "bfloat16": (2e-2, 1e-2),
             "quantised": (5e-2, 5e-2),  # inputs of every step are rounded to 8 bits
             "near double": (1e-5, 1e-5)}  # ONNX Runtime has single-precision constants in kernels for double


# ---- comparison -------------------------------------------------------------------------------------

class Rules(NamedTuple):
    steps: bool       # integers may be one off: they are rounded sums
    computed_in: str  # the oracle's tolerance: its element type
    lenient: bool     # the oracle's values count, not its types


def differs(got, want, rules):
    """None, or what is different."""
    if isinstance(want, (list, tuple)) and not isinstance(got, np.ndarray):
        if got is None or len(got) != len(want):
            return f"{0 if got is None else len(got)} items, not {len(want)}"
        return next(filter(None, (differs(g, w, rules) for g, w in zip(got, want))), None)
    if isinstance(want, dict):
        keys = list(want)
        if not isinstance(got, dict) or set(got) != set(keys):
            return "other keys"
        return differs(np.array([got[k] for k in keys]), np.array([want[k] for k in keys]).astype(np.array(
            [got[k] for k in keys]).dtype), rules)
    want = np.asarray(want)
    if want.dtype == np.uint8 and "float8" in got.dtype.name:
        want = want.view(got.dtype)  # ONNX Runtime hands float8 out as bytes
    if want.dtype.kind in "US":
        want = want.astype(object)
    if got.shape != want.shape:
        return f"shape {list(got.shape)}, not {list(want.shape)}"
    if engine.name_of(got.dtype) != engine.name_of(want.dtype):
        if rules.lenient and "string" not in (engine.name_of(got.dtype), engine.name_of(want.dtype)):
            return differs(got, typed(want, engine.name_of(got.dtype)), rules)
        return f"type {engine.name_of(got.dtype)}, not {engine.name_of(want.dtype)}"
    name = engine.name_of(got.dtype)
    if name in ("string", "bool") or "int" in name:
        if rules.steps and name in ("int8", "uint8", "int4", "uint4", "int16", "uint16", "int2", "uint2"):
            off = np.abs(got.astype(np.int64) - want.astype(np.int64)) > 1
        else:
            off = np.asarray(got != want)
    else:
        most = np.complex128 if name.startswith("complex") else np.float64
        a, b = got.astype(most), want.astype(most)
        rtol, atol = max(TOLERANCE[name], TOLERANCE.get(rules.computed_in, (0, 0))) if name in TOLERANCE else (0, 0)
        finite = np.abs(b[np.isfinite(b)])
        atol *= max(1.0, finite.max() if finite.size else 0)
        near = (a == b) | (np.isnan(a) & np.isnan(b)) | (np.abs(a - b) <= atol + rtol * np.abs(b))
        # Codes of the narrow floats: neighbours where a sum was rounded another way.
        if rules.steps and name.startswith("float") and name not in TOLERANCE:
            near |= np.abs(a - b) <= 0.5 * np.maximum(np.abs(a), np.abs(b))
        off = ~near
    if not off.any():
        return None
    at = tuple(int(i) for i in np.argwhere(off)[0])
    return f"{list(at)}: {got[at]!r}, not {want[at]!r}; {int(off.sum())} of {off.size} off"


# ---- oracles ------------------------------------------------------------------------------------------

class Reference:
    name = "onnx.reference"

    def __init__(self, model):
        self.evaluator = onnx.reference.ReferenceEvaluator(model)

    def run(self, feeds):
        return self.evaluator.run(None, feeds)


class Runtime:
    name = "onnxruntime"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL

    def __init__(self, model):
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), self.options,
                                                    providers=["CPUExecutionProvider"])

    def run(self, feeds):
        if any(engine.name_of(x.dtype) not in engine._NUMPY for x in feeds.values() if isinstance(x, np.ndarray)):
            raise ValueError("not a numpy type")
        return self.session.run(None, feeds)


def typed(x, dtype):
    """The reference computes in Python: what it returns has the right values, not always the right type."""
    if isinstance(x, list):
        return [typed(i, dtype) for i in x]
    x = np.asarray(x) if isinstance(x, np.generic) else x
    if dtype is None or not isinstance(x, np.ndarray) or dtype == "string" or engine.name_of(x.dtype) in ("string", dtype):
        return x
    if "int" in dtype and x.dtype.kind == "f":
        x = x.astype(np.int64)
    return x.astype(engine.DTYPES[dtype][1])


def rounded(record):
    """Results are sums rounded to few bits, which may fall to either side."""
    return bool(re.search("Quant|QLinear|QGemm|Resize|AveragePool", record.name))


@functools.cache
def disagreements():
    """[(operator or operator:part of a case, type pattern, oracle)] of the table in disagreements.md."""
    rows = []
    for line in (pathlib.Path(__file__).parent / "disagreements.md").read_text().splitlines():
        cells = [c.strip().strip("`") for c in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) >= 5 and cells[2] in (Reference.name, Runtime.name, "*"):
            rows += [(name, kind, oracle) for oracle in (Reference.name, Runtime.name) if cells[2] in (oracle, "*")
                     for name in cells[0].split() for kind in cells[1].split()]
    return rows


def refused(operator, kinds, text, table=None, version=None):
    """Names of the oracles that are not asked for a case (its text) of an operator with these element types."""
    found = []
    for name, pattern, oracle in table or disagreements():
        name, _, part = name.partition(":")
        name, _, only = name.partition("@")
        if name == operator and only in ("", str(version)) and part in text and any(fnmatch.fnmatchcase(k, pattern) for k in kinds):
            found.append(oracle)
    return found
