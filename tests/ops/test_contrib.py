#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Operators of com.microsoft on random data, against ONNX Runtime where its answer does not depend on the processor: what
adds byte products is judged by definitions.py, in exact arithmetic.

    tests/ops/test_contrib.py [--seeds N] [NAME ...]     only operators whose name starts with a NAME

The cases are in contrib/ (common.py says how they are written). What ONNX Runtime refuses to run is counted as skipped
with its reason (-v prints them).
"""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter()

import numpy as np  # noqa: E402
import onnxruntime as ort  # noqa: E402

import definitions  # noqa: E402
import engine  # noqa: E402
from contrib import attention, fusions, layers, quantized  # noqa: E402, F401  (each adds its cases)
from contrib.common import CASES, Const, build  # noqa: E402


def differ(got, want, options):
    if isinstance(want, definitions.Real):
        return want.differs(got)
    if isinstance(want, list):
        return None if got == want else "sequences differ"
    if got.shape != want.shape:
        return f"shape {got.shape}, expected {want.shape}"
    if got.dtype != want.dtype:
        return f"type {got.dtype}, expected {want.dtype}"
    if want.dtype.kind in "OSUb":
        return None if (got.astype(str) == want.astype(str)).all() else "elements differ"
    steps = options.get("steps", 0)
    half = want.dtype.itemsize == 2 and want.dtype.kind != "i"
    a, b = (np.maximum(x.astype(np.float64), -1e38) for x in (got, want))  # closed: -inf or the lowest number
    rtol, atol = (0, steps) if want.dtype.kind in "iu" else (options.get("rtol", 1e-2 if half else 1e-4),
                                                             options.get("atol", 1e-2 if half else 1e-5))
    near = np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
    if near.all():
        return None
    at = tuple(int(i[0]) for i in np.nonzero(~near))
    return f"{(~near).sum()} of {near.size} differ, first at {at}: {a[at]} instead of {b[at]}"


def in_place(session, feeds, shared):
    """Runs with outputs that lie where inputs do: {number of the output: name of the input}."""
    binding, values = session.io_binding(), {n: ort.OrtValue.ortvalue_from_numpy(x.copy()) for n, x in feeds.items()}
    for name, value in values.items():
        binding.bind_ortvalue_input(name, value)
    for i, output in enumerate(session.get_outputs()):
        if i in shared:
            binding.bind_ortvalue_output(output.name, values[shared[i]])
        else:
            binding.bind_output(output.name)
    session.run_with_iobinding(binding)
    return binding.copy_outputs_to_cpu()


def exact(operator, inputs, attributes):
    """By the definition; None for operators that ONNX Runtime may judge."""
    if operator not in definitions.BYTE_PRODUCTS:
        return None
    words = {n: v.encode() if isinstance(v, str) else v for n, v in attributes.items()}
    made = definitions.BYTE_PRODUCTS[operator](*(x.array if isinstance(x, Const) else x for x in inputs), **words)
    return list(made) if isinstance(made, tuple) else [made]


def check(operator, inputs, attributes, options):
    """None, ("skipped" or "failed", why)"""
    model, feeds = build(operator, inputs, attributes, options)
    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    want = options.get("expect") or exact(operator, inputs, attributes)
    try:
        if not want:
            session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
            want = in_place(session, feeds, options["shared"]) if "shared" in options else session.run(None, feeds)
    except Exception as error:  # noqa: BLE001  (its exceptions have no common base)
        return "skipped", str(error).replace("\n", " ")[:300]
    try:
        got = engine.Session(model).run(feeds)
    except engine.Failure as error:
        return "failed", " ".join(error.args)
    for i, (g, w) in enumerate(zip(got, want)):
        if i in options.get("ignore", ()):
            continue
        if i in options.get("open", {}):  # what is left open there may be anything
            g, w = (np.where(options["open"][i], 0, x).astype(x.dtype) for x in (g, w))
        why = differ(g, w, options)
        if why:
            return "failed", f"output {i}: {why}"
    return None


def main():
    arguments = sys.argv[1:]
    seeds = int(arguments.pop(arguments.index("--seeds") + 1)) if "--seeds" in arguments else 3
    names = [a for a in arguments if not a.startswith("-")]
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for operator, function in CASES:
        if names and not any(operator.startswith(n) for n in names):
            continue
        for seed in range(seeds):
            for index, (inputs, attributes, options) in enumerate(function(np.random.default_rng(seed))):
                result = check(operator, inputs, attributes, options)
                counts[result[0] if result else "passed"] += 1
                if result and (result[0] == "failed" or "-v" in arguments):
                    shapes = [None if x is None else getattr(x, "array", x).shape for x in inputs]
                    print(f"{result[0].upper()} {operator} {function.__name__}[{index}] seed {seed} {shapes} "
                          f"{attributes}: {result[1]}")
    print(", ".join(f"{n} {what}" for what, n in counts.items()))
    return counts["failed"] != 0


if __name__ == "__main__":
    sys.exit(main())
