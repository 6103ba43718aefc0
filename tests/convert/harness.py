# SPDX-License-Identifier: Apache-2.0
"""What the tests of converters share: converting with the built command, checking the result with onnx.checker, running
it in ONNX Runtime and in Sardonyx, comparing bit by bit or by distance. A test script enters its environment first."""
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/ops")]

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402

import engine  # noqa: E402

ort.set_default_logger_severity(4)
ONE_THREAD = ort.SessionOptions()
ONE_THREAD.intra_op_num_threads = 1  # with more, what trees add up to depends on how many
COMMAND = os.environ.get("SARDONYX", str(ROOT / "build/sardonyx"))
NATIVE = ROOT.parent / "shared/models/native"
FOLDER = tempfile.TemporaryDirectory(prefix="sardonyx-convert-")


def scratch(name):
    return str(pathlib.Path(FOLDER.name) / name)


def command(*words, **options):
    environment = {**os.environ, "XDG_CACHE_HOME": scratch("cache"), "NO_COLOR": "1"}
    return subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, timeout=300, check=False,
                          env=environment, **options)


def convert(path, *options):
    """The path of the ONNX file; a conversion that fails is a failure of the test."""
    target = scratch("converted.onnx")
    done = command("convert", path, "-o", target, *options)
    assert done.returncode == 0, done.stderr
    onnx.checker.check_model(target, full_check=True)
    return target


class Model:
    """A converted model in both engines, which have to agree: to the bit, or within `distance` (relative) and `steps` of
    whole numbers."""

    def __init__(self, path, *options, distance=0, steps=0):
        self.path = convert(path, *options)
        self.bytes = pathlib.Path(self.path).read_bytes()
        self.distance, self.steps = distance, steps
        self.witness = ort.InferenceSession(self.bytes, ONE_THREAD)
        self.names = [o.name for o in self.witness.get_outputs()]
        self.ours = engine.Session(self.bytes)

    def __call__(self, **inputs):
        witness = self.witness.run(None, inputs)
        ours = self.ours.run(inputs)
        for name, a, b in zip(self.names, ours, witness):
            assert a.dtype == b.dtype and a.shape == b.shape, f"{name}: {a.dtype}{a.shape} and {b.dtype}{b.shape}"
            if self.steps and a.dtype.kind in "iu":
                off = np.abs(a.astype(np.int64) - b.astype(np.int64)).max(initial=0)
                assert off <= self.steps, f"{name} in ONNX Runtime: off by up to {off}"
            else:
                same(f"{name} in ONNX Runtime", a, b, self.distance)
        return dict(zip(self.names, ours))

    def inside(self, name, **inputs):
        """A value within the graph."""
        model = onnx.load(self.path)
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        return ort.InferenceSession(model.SerializeToString(), ONE_THREAD).run([name], inputs)[0]

    def metadata(self):
        return {p.key: p.value for p in onnx.load(self.path).metadata_props}


def ulps(a, b):
    """Distance in units of the last place; NaN equals NaN."""
    kind = {4: np.int32, 8: np.int64}[a.dtype.itemsize]
    order = [np.where(x.view(kind) < 0, np.iinfo(kind).min - x.view(kind), x.view(kind)).astype(object) for x in (a, b)]
    return np.where(np.isnan(a) & np.isnan(b), 0, abs(order[0] - order[1]))


def same(what, got, want, distance=0, steps=0):
    """Equal, or within `steps` units of the last place, or within `distance` relative to 1 or the value."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, expected {want.shape}"
    if got.dtype.kind != "f":
        assert (got == want).all(), f"{what}: {np.count_nonzero(got != want)} of {got.size} differ"
        return
    want = want.astype(got.dtype)
    if distance:
        off = np.abs(got - want) / np.maximum(1, np.abs(want))
        wrong = off > distance
    else:
        off = ulps(np.ascontiguousarray(got), np.ascontiguousarray(want))
        wrong = off > steps
    wrong = wrong & ~(np.isnan(got) & np.isnan(want))
    if wrong.any():
        at = np.unravel_index(np.argmax(np.where(wrong, off, -1)), got.shape)
        raise AssertionError(f"{what}: {np.count_nonzero(wrong)} of {got.size} differ, worst at {at}: "
                             f"{got[at]!r}, expected {want[at]!r}")


def near_splits(rng, rows, splits, missing=0.1, dtype=np.float32):
    """Rows whose features lie on the splits of a model, one step beside them, anywhere, or are missing. splits: of each
    feature."""
    columns = []
    for values in splits:
        values = np.asarray(values if len(values) else [0.0], dtype)
        column = rng.choice(values, rows).astype(dtype)
        step = rng.integers(0, 4, rows)
        column = np.where(step == 0, np.nextafter(column, dtype(-np.inf)), column)
        column = np.where(step == 1, np.nextafter(column, dtype(np.inf)), column)
        column = np.where(step == 2, rng.normal(size=rows).astype(dtype), column)
        columns.append(np.where(rng.random(rows) < missing, dtype(np.nan), column))
    return np.stack(columns, 1).astype(dtype)
