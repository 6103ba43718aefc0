#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must fail well: for every operator, from the case texts of its record, every input with another rank,
dimension or element type, left out or empty, every attribute at its edges, lists one short and one long, extreme
and special numbers, vector-edge sizes. In one process, plain and sanitized: a result, or a message that names the
place; never a crash, a trap, a leak or a spent budget. The good model in between keeps its bits.

    tests/ops/test_bad_inputs.py [--long] [NAME ...]     only operators whose name contains a NAME
"""
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
import venv  # noqa: E402

venv.enter()
import numpy as np  # noqa: E402
import onnx  # noqa: E402

import cases  # noqa: E402
import engine  # noqa: E402
import records  # noqa: E402

np.seterr(all="ignore")
GOOD = ROOT / "examples/digits/digits.onnx"
HUGE = (0, -1, 1 << 40, (1 << 62) - 1, (1 << 63) - 1, -(1 << 63))
FLOATS = ("nan", "inf", "-inf", "0", "-1", "1e30", "-0.0", "1e-42")
VECTOR_EDGES = range(68)


class Variant:
    """A case with changes: arrays by position, attributes, outputs, which inputs are constants."""

    def __init__(self, case, arrays):
        self.case, self.arrays = case, list(arrays)
        self.attributes = [list(a) for a in case.attributes]
        self.outputs = case.output_count
        self.constant = [x.constant for _, x in case.inputs]

    def bytes(self, name):
        record, names, infos, initializers, feeds = self.case.record, [], [], [], []
        for i, array in enumerate(self.arrays):
            names.append("" if array is None else f"i{i}")
            if array is None:
                continue
            if self.constant[i] if i < len(self.constant) else False:
                initializers.append(cases.tensor_of(names[-1], array))
                continue
            x = self.case.inputs[i][1] if i < len(self.case.inputs) else None
            dims = x.map[:2] if x is not None and x.map else None if isinstance(array, list) else [None] * array.ndim
            infos.append(cases.value_info(names[-1], array, dims))
            feeds.append(proto(array))
        node = onnx.helper.make_node(record.name, names, [f"o{i}" for i in range(self.outputs)], domain=record.domain,
                                     name="n")
        for attribute in self.attributes:
            node.attribute.append(attribute[3] if len(attribute) > 3 else cases.attribute(*attribute))
        opsets = [onnx.helper.make_opsetid(record.domain, record.versions[0])]
        if record.domain:
            opsets.append(onnx.helper.make_opsetid("", 17))
        outputs = [onnx.ValueInfoProto(name=f"o{i}") for i in range(self.outputs)]
        model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", infos, outputs, initializers),
                                       opset_imports=opsets, ir_version=10).SerializeToString()
        blocks = [name.encode(), model, str(len(feeds)).encode(), *feeds]
        return b"".join(struct.pack("<I", len(b)) + b for b in blocks)


def proto(array):
    if isinstance(array, list):
        made = onnx.SequenceProto(elem_type=onnx.SequenceProto.TENSOR)
        made.tensor_values.extend(cases.tensor_of("", a) for a in array)
    elif isinstance(array, dict):
        made = onnx.MapProto()
    else:
        made = cases.tensor_of("", array)
    return made.SerializeToString()


def resized(array, dims):
    """The array's elements over and over in another shape."""
    count = int(np.prod(dims, dtype=np.int64))
    flat = array.reshape(-1)
    if not flat.size:
        flat = np.zeros(1, array.dtype) if array.dtype != object else np.array(["a"], object)
    return np.resize(flat, count).reshape(dims)


def filled(array, value):
    made = array.copy()
    made[...] = value
    return made


def extremes(array):
    name = engine.name_of(array.dtype)
    if name == "string":
        return ["", "\x00", "a" * 5000, "1e999", "-"]
    if name == "bool":
        return [False, True]
    if "int" in name:
        info = np.iinfo(array.dtype) if name in engine._NUMPY else None
        low, high = (info.min, info.max) if info else (-1 if not name.startswith("u") else 0, 1)
        return sorted({low, high, 0, 1, max(low, -1), min(high, 7), max(low, min(high, 1 << 40)), low // 2})
    if name in ("float", "double", "float16", "bfloat16", "complex64", "complex128"):
        return [float(v) for v in FLOATS]
    return [1.0]


def of_inputs(make):
    """Variants by input: shape, presence, type, values."""
    base = make()
    for i, array in enumerate(base.arrays):
        def changed(value, constant=None):
            v = make()
            v.arrays[i] = value
            if constant is not None:
                v.constant[i] = constant
            return v

        if array is None or not isinstance(array, np.ndarray):
            continue
        dims = list(array.shape)
        shapes = {(1, *dims), (*dims, 2), tuple(dims[1:]), tuple(dims[:-1]), (), (0,), (2, 1, 2, 1, 1, 2, 1)}
        for d in range(len(dims)):
            shapes |= {(*dims[:d], n, *dims[d + 1:]) for n in (0, 1, dims[d] + 1)}
        for shape in sorted(shapes - {tuple(dims)}):
            yield f"i{i}={list(shape)}", changed(resized(array, shape))
            if base.constant[i]:
                yield f"i{i}={list(shape)} run-time", changed(resized(array, shape), False)
        yield f"i{i} left out", changed(None)
        for dtype in ("string", "float", "int64", "bool", "uint4"):
            if dtype != engine.name_of(array.dtype):
                made = np.full(dims, "a", object) if dtype == "string" else np.ones(dims).astype(engine.DTYPES[dtype][1])
                yield f"i{i} is {dtype}", changed(made)
        for value in extremes(array):
            text = repr(value)[:20]
            yield f"i{i} all {text}", changed(filled(array, value), False)
            yield f"i{i} all {text}, constant", changed(filled(array, value), True)
            if array.size > 1:
                made = array.copy()
                made.reshape(-1)[-1] = value
                yield f"i{i} ends with {text}", changed(made, False)
    v = make()
    v.arrays = [filled(a, extremes(a)[0]) if isinstance(a, np.ndarray) else a for a in v.arrays]
    yield "all inputs extreme", v
    v = make()
    v.arrays = [resized(a, [0] * a.ndim) if isinstance(a, np.ndarray) else a for a in v.arrays]
    yield "all inputs empty", v
    v = make()
    if v.arrays:
        v.arrays.append(v.arrays[-1])
        v.constant.append(False)
        yield "one input more", v
        v = make()
        v.arrays.pop()
        yield "one input fewer", v
    v = make()
    v.outputs += 1
    yield "one output more", v


def of_attributes(make, record, rank):
    """Variants by attribute: those of the text and those it leaves at their defaults."""
    base = make()
    given = {a[0]: n for n, a in enumerate(base.attributes)}
    for attribute in record.attrs:
        name, kind = attribute.name, attribute.kind
        if name.startswith("_"):
            continue
        old = base.attributes[given[name]][2] if name in given else attribute.default or ""

        def changed(text=None, kind=kind, name=name):
            v = make()
            v.attributes = [a for a in v.attributes if a[0] != name]
            if text is not None:
                v.attributes.append([name, kind, text])
            return v

        texts = []
        if kind == "int":
            texts = [str(n) for n in (*HUGE, -rank - 1, -rank, rank - 1, rank, 2, 3)]
        elif kind == "float":
            texts = list(FLOATS)
        elif kind == "string":
            texts = ["", "unknown", "x" * 5000]
        elif kind in ("ints", "floats", "strings"):
            words = [w for w in old.split(",") if w]
            edges = {"ints": [str(n) for n in HUGE], "floats": FLOATS, "strings": ["", "unknown"]}[kind]
            texts = ["", ",".join(words[:-1]), ",".join([*words, words[-1] if words else edges[0]]),
                     ",".join((words or [edges[0]]) * 40)]
            for place in range(min(len(words), 3)):
                texts += [",".join([*words[:place], edge, *words[place + 1:]]) for edge in edges]
            texts += [",".join([edge] * max(len(words), 1)) for edge in edges]
        for text in dict.fromkeys(texts):
            yield f"{name}={text[:40]}", changed(text)
        if name in given:
            yield f"{name} left out", changed()
        wrong = "string" if kind != "string" else "int"
        v = changed("1", kind=wrong)
        yield f"{name} is of kind {wrong}", v
    v = make()
    v.attributes.append(["unheard_of", "int", "1"])
    yield "an unknown attribute", v


def of_sizes(make):
    """The vector-edge sizes, for a single tensor and for several of one shape."""
    base = make()
    tensors = [a for a in base.arrays if isinstance(a, np.ndarray)]
    shapes = {a.shape for a in tensors}
    if len(shapes) != 1 or not tensors or not tensors[0].ndim:
        return
    for n in VECTOR_EDGES:
        v = make()
        v.arrays = [resized(a, [*a.shape[:-1], n]) if isinstance(a, np.ndarray) else a for a in v.arrays]
        yield f"size {n}", v


def variants(record, text, index):
    case = cases.Case(record, text)
    if any(x.map for _, x in case.inputs):
        return
    arrays = cases.feeds_of(case, case.base_types(), np.random.default_rng(index), {})

    def make():
        return Variant(case, arrays)

    rank = max([a.ndim for a in arrays if isinstance(a, np.ndarray)], default=0)
    made = [*of_inputs(make), *of_attributes(make, record, rank)]
    made += of_sizes(make) if index == 0 else []
    for what, variant in made:
        yield f"{record.label} [{text[:60]}] {what}", variant


def write(table, path, per_operator):
    """All cases as one stream; how many."""
    count = 0
    with open(path, "wb") as out:
        for record in table:
            for index, text in enumerate(record.cases[:per_operator]):
                for name, variant in variants(record, text, index):
                    try:
                        out.write(variant.bytes(name))
                    except (ValueError, TypeError, OverflowError):  # has no form as a model
                        continue
                    count += 1
    return count


def blocks(path):
    """Offset of each case by its order."""
    offsets, data = [], path.read_bytes()
    at = 0

    def block():
        nonlocal at
        size = struct.unpack_from("<I", data, at)[0]
        at += 4 + size
        return data[at - size:at]

    while at < len(data):
        offsets.append(at)
        block()
        block()
        for _ in range(int(block())):
            block()
    return offsets, data


def run(driver, path):
    """(passed, failed, lines) over the stream; after a crash it goes on with the next case."""
    offsets, data = blocks(path)
    passed = failed = done = 0
    lines = []
    environment = dict(os.environ, ASAN_OPTIONS="allocator_may_return_null=1:detect_leaks=1:max_allocation_size_mb=4096")
    while done < len(offsets):
        process = subprocess.run([driver, "--batch", GOOD], input=data[offsets[done]:], capture_output=True,
                                 env=environment)
        out = process.stdout.decode(errors="replace").splitlines()
        seen = [l for l in process.stderr.decode(errors="replace").splitlines() if l.startswith("CASE ")]
        bad = [l for l in out if l.startswith("FAILED ")]
        lines += bad
        failed += len(bad)
        passed += len(seen) - len(bad)
        done += len(seen)
        if process.returncode not in (0, 1) or done < len(offsets):
            error = [l for l in process.stderr.decode(errors="replace").splitlines() if not l.startswith("CASE ")]
            failed += 1
            passed -= 1
            lines.append(f"FAILED {seen[-1][5:] if seen else 'start'}: exit code {process.returncode}: "
                         + " / ".join(error[:14])[:1500])
            if not seen:
                break
    return passed, failed, lines


def main():
    long = "--long" in sys.argv
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    table = [r for r in records.load().values() if r.cases and (not names or any(n in r.label for n in names))]
    drivers = [ROOT / "build/tests/hostile_driver", ROOT / "build/asan-ubsan/tests/hostile_driver"]
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "cases"
        count = write(table, path, None if long else 2)
        present = [d for d in drivers if d.exists()]
        with ThreadPoolExecutor(2) as pool:
            for driver, (good, bad, lines) in zip(present, pool.map(lambda d: run(d, path), present)):
                passed += good
                failed += bad
                print(f"{driver.relative_to(ROOT)}: {count} cases, {bad} failed")
                print("\n".join(lines[:None if "--verbose" in sys.argv else 50]))
        for driver in drivers:
            if driver not in present:
                print(f"SKIPPED {driver.relative_to(ROOT)}: not built")
                skipped += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
