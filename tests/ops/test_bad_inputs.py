#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must fail well: for every operator and version, from the case texts of its record, every input with another
rank, dimension or element type, left out, empty, a sequence, a map or an optional, every attribute at its edges and
of every other kind, lists one short and one long, extreme and special numbers, vector-edge sizes, spoiled bodies,
and random mixtures of them. In one process, plain and sanitized: a result, or a message that names the node or its
value; never a crash, a trap, a leak or a spent budget. The good model in between keeps its bits.

A failing case is named OPERATOR@VERSION [TEXT] CLASS: DETAIL. Without --long a fixed share of all cases runs.

    tests/ops/test_bad_inputs.py [--long] [--verbose] [NAME ...]     only operators whose name contains a NAME
"""
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
import venv  # noqa: E402

venv.enter()
import numpy as np  # noqa: E402
import onnx  # noqa: E402
from onnx import helper  # noqa: E402

import bodies  # noqa: E402
import cases  # noqa: E402
import engine  # noqa: E402
import records  # noqa: E402

warnings.filterwarnings("ignore")
GOOD = ROOT / "examples/digits/digits.onnx"
HUGE = (0, 1, -1, 1 << 31, 1 << 32, 1 << 40, 1 << 61, (1 << 62) - 1, (1 << 63) - 1, -(1 << 62), -(1 << 63))
FLOATS = ("nan", "inf", "-inf", "0", "-1", "1e30", "-0.0", "1e-42", "1e9", "1e-30")
TYPES = ("string", "float", "float16", "double", "int64", "int32", "uint8", "bool", "uint4", "complex64")
VECTOR_EDGES = range(68)
RANDOM = {False: 40, True: 400}  # mixtures of each text
MOST_ELEMENTS = 1 << 20
SHARE = 8  # of the other cases, one in so many runs without --long


class Optional:
    """An optional without a value."""


class Variant:
    """A case with changes: arrays by position, attributes, outputs, version, which inputs are constants."""

    def __init__(self, case, arrays, version):
        self.case, self.arrays, self.version = case, list(arrays), version
        self.attributes = [list(a) for a in case.attributes]
        self.outputs = [f"o{i}" for i in range(case.output_count)]
        self.constant = [x.constant for _, x in case.inputs]
        self.shapes = "free"  # of the declared inputs; also "static" and "unranked"
        self.names = {}       # inputs that read another name than their own

    def bytes(self, name):
        record, names, infos, initializers, feeds = self.case.record, [], [], [], []
        for i, array in enumerate(self.arrays):
            names.append("" if array is None else self.names.get(i, f"i{i}"))
            if array is None or i in self.names:
                continue
            if i < len(self.constant) and self.constant[i] and isinstance(array, np.ndarray):
                initializers.append(cases.tensor_of(names[-1], array))
            else:
                infos.append(value_info(names[-1], array, self.shapes))
                feeds.append(proto(array).SerializeToString())
        node = helper.make_node(record.name, names, self.outputs, domain=record.domain, name="n")
        for attribute in self.attributes:
            node.attribute.append(attribute[3] if len(attribute) > 3 else cases.attribute(*attribute))
        opsets = [helper.make_opsetid(record.domain, self.version)]
        if record.domain:
            opsets.append(helper.make_opsetid("", 17))
        outputs = [onnx.ValueInfoProto(name=o) for o in self.outputs if o]
        model = helper.make_model(helper.make_graph([node], "g", infos, outputs, initializers), opset_imports=opsets,
                                  ir_version=10).SerializeToString()
        blocks = [name.encode(), model, str(len(feeds)).encode(), *feeds]
        return b"".join(struct.pack("<I", len(b)) + b for b in blocks)


def scalar_type(x):
    return 8 if isinstance(x, str) else 1 if isinstance(x, float) else 7


def value_info(name, x, shapes):
    if isinstance(x, Optional):
        return helper.make_value_info(name, helper.make_optional_type_proto(helper.make_tensor_type_proto(1, None)))
    if isinstance(x, dict):
        key, value = next(iter(x.items()), (0, 0.0))
        return helper.make_value_info(name, helper.make_map_type_proto(
            scalar_type(key), helper.make_tensor_type_proto(scalar_type(value), ())))
    if isinstance(x, list):
        return cases.value_info(name, x or [np.zeros(0, np.float32)], None)
    return cases.value_info(name, x, {"free": [None] * x.ndim, "static": x.shape, "unranked": None}[shapes])


def proto(x):
    if isinstance(x, Optional):
        return onnx.OptionalProto()
    if isinstance(x, list):
        made = onnx.SequenceProto(elem_type=onnx.SequenceProto.TENSOR)
        made.tensor_values.extend(cases.tensor_of("", a) for a in x)
        return made
    if isinstance(x, dict):
        key, value = next(iter(x.items()), (0, 0.0))
        made = onnx.MapProto(key_type=scalar_type(key))
        if isinstance(key, str):
            made.string_keys.extend(k.encode() for k in x)
        else:
            made.keys.extend(x)
        made.values.elem_type = onnx.SequenceProto.TENSOR
        made.values.tensor_values.append(helper.make_tensor("", scalar_type(value), [len(x)], list(x.values())))
        return made
    return cases.tensor_of("", x)


# ---- changes: (class, detail, function of a variant) --------------------------------------------------

def resized(array, dims):
    """The array's elements over and over in another shape."""
    count = int(np.prod(dims, dtype=np.int64))
    if count > MOST_ELEMENTS:
        raise ValueError(f"{dims} has too many elements")
    flat = array.reshape(-1)
    if not flat.size:
        flat = np.zeros(1, array.dtype) if array.dtype != object else np.array(["a"], object)
    return np.resize(flat, count).reshape(dims)


def filled(array, value, places=...):
    made = array.copy()
    made.reshape(-1)[places] = value
    return made


def typed(array, dtype):
    if dtype == "string":
        return np.full(array.shape, "a", object)
    return np.ones(array.shape).astype(engine.DTYPES[dtype][1])


def extremes(array, sizes):
    """Numbers at the edges of the type and, as indices, of the sizes."""
    name = engine.name_of(array.dtype)
    if name == "string":
        return ["", "\x00", "a" * 5000, "1e999", "-", "\udcff\udcfe", "ß" * 300]
    if name == "bool":
        return [False, True]
    if "int" in name:
        info = np.iinfo(array.dtype) if name in engine._NUMPY else None
        low, high = (info.min, info.max) if info else (-1 if not name.startswith("u") else 0, 1)
        edges = {low, high, 0, 1, -1, 7, low // 2, *HUGE, *sizes, *(-n - 1 for n in sizes), *(-n for n in sizes)}
        return sorted(n for n in edges if low <= n <= high)
    if name in ("float", "double", "float16", "bfloat16", "complex64", "complex128"):
        return [float(v) for v in FLOATS]
    return [1.0]


def shapes_of(dims):
    made = {(1, *dims), (*dims, 2), tuple(dims[1:]), tuple(dims[:-1]), (0,), (2, 1, 2, 1, 1, 2, 1)}
    made |= {(n,) * rank for rank in range(7) for n in (1, 2)} | {(0, *dims[1:]), (*dims[:-1], 0)}
    for d in range(len(dims)):
        made |= {(*dims[:d], n, *dims[d + 1:]) for n in (0, 1, dims[d] - 1, dims[d] + 1, 2 * dims[d]) if n >= 0}
    return sorted(made - {tuple(dims)})


def set_input(i, value, constant=None):
    """`value`, or what it makes of the input as it is."""
    def change(v):
        if i < len(v.arrays):
            v.arrays[i] = value(v.arrays[i]) if callable(value) else value
            if constant is not None:
                v.constant[i] = constant
    return change


def of_array(i, array, is_constant, sizes):
    for shape in shapes_of(array.shape):
        yield "shape", f"i{i}={list(shape)}", set_input(i, lambda _, s=shape: resized(array, s))
        if is_constant:
            yield "shape", f"i{i}={list(shape)} at run time", set_input(i, lambda _, s=shape: resized(array, s), False)
    for dtype in TYPES:
        if dtype != engine.name_of(array.dtype):
            yield "type", f"i{i} is {dtype}", set_input(i, lambda _, d=dtype: typed(array, d))
    yield "type", f"i{i} is a sequence", set_input(i, [array])
    yield "type", f"i{i} is an empty sequence", set_input(i, [])
    yield "type", f"i{i} is a map", set_input(i, {1: 0.5})
    yield "type", f"i{i} is an empty optional", set_input(i, Optional())
    yield "constness", f"i{i}", set_input(i, array, not is_constant)
    for value in extremes(array, sizes):
        text = repr(value)[:24]
        yield "value", f"i{i} all {text}", set_input(i, lambda _, n=value: filled(array, n), False)
        yield "value", f"i{i} all {text}, constant", set_input(i, lambda _, n=value: filled(array, n), True)
        if array.size > 1:
            yield "value", f"i{i} ends with {text}", set_input(i, lambda _, n=value: filled(array, n, -1), False)
            yield "value", f"i{i} begins with {text}, constant", set_input(i, lambda _, n=value: filled(array, n, 0), True)


def of_sequence(i, items):
    first = items[0]
    yield "sequence", f"i{i} is empty", set_input(i, [])
    yield "sequence", f"i{i} is a tensor", set_input(i, first)
    yield "sequence", f"i{i} has 300 items", set_input(i, [first] * 300)
    yield "sequence", f"i{i} has a scalar item", set_input(i, [*items, resized(first, ())])
    yield "sequence", f"i{i} has an empty item", set_input(i, [*items, resized(first, (0,))])
    yield "sequence", f"i{i} has items of two ranks", set_input(i, [*items, resized(first, (2, 1, 2))])
    for dtype in TYPES:
        yield "sequence", f"i{i} ends with {dtype}", set_input(i, [*items, typed(first, dtype)])
        yield "sequence", f"i{i} of {dtype}", set_input(i, [typed(a, dtype) for a in items])


def of_map(i):
    for made in ({}, {1: 0.5}, {"a": 0.5}, {1: 2}, {"a": 2}, {1: "b"}, {"a": "b"}, {-(1 << 63): 1.0, (1 << 63) - 1: 2.0},
                 {"": float("nan")}, {n: float(n) for n in range(3000)}, np.zeros(3, np.float32), [np.zeros(2, np.float32)]):
        yield "map", f"i{i}={str(made)[:40]}", set_input(i, made)


def of_inputs(base):
    """Presence, shape, type and values of every input."""
    arrays = [a for a in base.arrays if isinstance(a, np.ndarray)]
    sizes = sorted({n for a in arrays for n in a.shape})
    for i, value in enumerate(base.arrays):
        if isinstance(value, np.ndarray):
            yield from of_array(i, value, base.constant[i], sizes)
        elif isinstance(value, list):
            yield from of_sequence(i, value)
        elif isinstance(value, dict):
            yield from of_map(i)
        if value is None:
            yield "absent", f"i{i} is given", set_input(i, arrays[0] if arrays else np.zeros(2, np.float32), False)
            continue
        yield "absent", f"i{i}", set_input(i, None)
        yield "absent", f"from i{i} on", lambda v, i=i: v.arrays.__delitem__(slice(i, None))
        for k in range(len(base.arrays)):
            if k != i:
                yield "alias", f"i{i} is i{k}", lambda v, i=i, k=k: v.names.update({i: f"i{k}"})
    def each(change):
        return lambda v: setattr(v, "arrays", [change(a) if isinstance(a, np.ndarray) else a for a in v.arrays])

    yield "value", "all inputs extreme", each(lambda a: filled(a, extremes(a, sizes)[0]))
    yield "shape", "all inputs empty", each(lambda a: resized(a, [0] * a.ndim))
    yield "shape", "all inputs ones", each(lambda a: resized(a, [1] * a.ndim))
    yield "shape", "all inputs scalars", each(lambda a: resized(a, []))
    yield "shape", "all inputs one rank more", each(lambda a: resized(a, [1, *a.shape]))
    for how in ("static", "unranked"):
        yield "declared", how, lambda v, how=how: setattr(v, "shapes", how)
    yield "constness", "all constant", lambda v: setattr(v, "constant", [True] * len(v.arrays))
    yield "constness", "none constant", lambda v: setattr(v, "constant", [False] * len(v.arrays))
    yield "arity", "one input more", lambda v: (v.arrays.append(v.arrays[-1] if v.arrays else np.zeros(2, np.float32)),
                                                v.constant.append(False))
    yield "arity", "no input", lambda v: v.arrays.clear()
    yield "arity", "one output more", lambda v: v.outputs.append(f"o{len(v.outputs)}")
    yield "arity", "no output", lambda v: v.outputs.clear()
    for i in range(len(base.outputs)):
        yield "arity", f"o{i} left out", lambda v, i=i: v.outputs.__setitem__(slice(i, i + 1), [""])
    yield "arity", "an output twice", lambda v: v.outputs.append(v.outputs[0] if v.outputs else "o0")


def wrong_kinds(name, kind):
    kinds = onnx.AttributeProto
    made = {"int": 1, "float": 0.5, "string": "1", "ints": [1], "floats": [0.5], "strings": ["1"],
            "tensor": helper.make_tensor("", 1, [1], [1.0]), "graph": bodies.MAP}
    protos = [(k, helper.make_attribute(name, v)) for k, v in made.items() if k != kind]
    protos.append(("tag without value", kinds(name=name, type=kinds.INT, f=1)))
    protos.append(("no tag", kinds(name=name)))
    protos.append(("reference", kinds(name=name, type=kinds.INT, ref_attr_name="outer")))
    return protos


def of_attribute(attribute, old, rank):
    """Texts and protos that an attribute may be spoiled with; `old` is its text."""
    kind, texts = attribute.kind, []
    if kind == "int":
        texts = [str(n) for n in (*HUGE, *range(-rank - 1, rank + 1), 2, 3, 17, 99)]
    elif kind == "float":
        texts = list(FLOATS)
    elif kind == "string":
        texts = ["", "unknown", "x" * 5000, "\x00", old[:-1], old + old, old.lower(), old.upper(), old[::-1], old * 400]
    elif kind == "tensor":
        texts = ["float[0]", "float(1)", "float[2,2](1,2,3,4)", "string(a)", "int64(-1)", "double[2](nan,inf)", "uint4[3]",
                 "bool(1)", "float16[1](2)"]
    elif kind in ("ints", "floats", "strings"):
        words = [w for w in old.split(",") if w]
        edges = {"ints": [str(n) for n in HUGE], "floats": FLOATS, "strings": ["unknown", "x" * 999]}[kind]
        last = words[-1] if words else edges[0]
        texts = ["", ",".join(words[:-1]), ",".join([*words, last]), ",".join((words or [edges[0]]) * 40),
                 ",".join(reversed(words)), ",".join([last] * len(words))]
        for place in {*range(min(len(words), 3)), *range(max(len(words) - 1, 0), len(words))}:
            texts += [",".join([*words[:place], edge, *words[place + 1:]]) for edge in edges]
        texts += [",".join([edge] * n) for edge in edges for n in {1, max(len(words), 1), rank, rank + 1} if n]
    return dict.fromkeys(t for t in texts if t != old), wrong_kinds(attribute.name, kind)


def set_attribute(name, *new):
    def change(v):
        v.attributes = [a for a in v.attributes if a[0] != name] + [list(n) for n in new]
    return change


def of_attributes(base, rank):
    """Every attribute of the version, given or at its default."""
    record, given = base.case.record, {a[0]: a for a in base.attributes}
    old = [a for a in record.attrs_old if a.below is None or base.version < a.below]
    for attribute in [*record.attrs, *old]:
        name, kind = attribute.name, attribute.kind
        if name.startswith("_"):
            continue
        mine = given.get(name)
        text = mine[2] if mine and len(mine) == 3 else attribute.default or ""
        texts, protos = of_attribute(attribute, text, rank)
        for new in texts:
            yield "attribute", f"{name}={new[:40]}", set_attribute(name, [name, kind, new])
        for what, made in protos:
            yield "attribute kind", f"{name}: {what}", set_attribute(name, [name, None, None, made])
        if mine:
            yield "attribute", f"{name} left out", set_attribute(name)
            yield "attribute", f"{name} twice", set_attribute(name, mine, mine)
        if mine and len(mine) == 4:
            for what, body in bodies.wrong(mine[3].g):
                yield "body", f"{name}: {what}", set_attribute(name, bodies.attribute(name, body))
    yield "attribute", "an unknown one", set_attribute("unheard_of", ["unheard_of", "int", "1"])


def of_sizes(case, base):
    """The vector-edge sizes: for the last dimension of all, and for every size that a text has."""
    sizes = {n for _, x in case.inputs for i in (x.items or [x]) if not x.absent and not x.map for n in i.dims if n > 1}
    for n in VECTOR_EDGES:
        yield "size", f"{n} last", lambda v, n=n: setattr(v, "arrays", [
            resized(a, [*a.shape[:-1], n]) if isinstance(a, np.ndarray) and a.ndim else a for a in v.arrays])
    for size in sorted(sizes):
        for n in (0, 1, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65):
            def change(v, size=size, n=n):
                for i, a in enumerate(v.arrays):
                    if isinstance(a, np.ndarray):
                        v.arrays[i] = resized(a, [n if d == size else d for d in a.shape])
            yield "size", f"{n} for {size}", change


# ---- variants -------------------------------------------------------------------------------------

def older(case, arrays, version):
    """The case as an older version has it: what were attributes then are no inputs."""
    base = Variant(case, arrays, version)
    for attribute in case.record.attrs_old:
        names = [x.name for _, x in case.inputs]
        if attribute.below and version < attribute.below and attribute.name in names and attribute.kind in (
                "ints", "int", "float", "floats"):
            i = names.index(attribute.name)
            array = base.arrays[i] if i < len(base.arrays) else None
            if isinstance(array, np.ndarray) and array.dtype != object:
                text = ",".join(str(n) for n in array.reshape(-1).tolist())
                base.attributes.append([attribute.name, attribute.kind, text if "s" in attribute.kind else text.split(",")[0]])
                base.arrays[i] = None
    while base.arrays and base.arrays[-1] is None:
        base.arrays.pop()
    return base


def variants(record, case, index, long):
    """(name, variant) of one case text."""
    arrays = cases.feeds_of(case, case.base_types(), np.random.default_rng(index), {})
    bases = {v: older(case, arrays, v) for v in record.versions}
    for version, base in bases.items():
        label = f"{record.label}@{version} [{case.text[:60]}]"
        newest = version == record.versions[0]
        rank = max([a.ndim for a in base.arrays if isinstance(a, np.ndarray)], default=0)
        changes = [("none", "", lambda v: None), *of_inputs(base), *of_attributes(base, rank)]
        changes += of_sizes(case, base) if newest else []
        random = np.random.default_rng([zlib.crc32(label.encode()), index])

        def apply(*chosen, version=version):
            made = older(case, arrays, version)
            for _, _, change in chosen:
                change(made)
            return made

        for what in changes:
            name = f"{label} {what[0]}: {what[1]}"
            share = 1 if newest else 4  # the forms differ little
            if zlib.crc32(name.encode()) % (share if long else share * SHARE) == 0:
                yield name, lambda what=what: apply(what)
        for n in range(RANDOM[long] // (1 if newest else 8)):
            chosen = [changes[i] for i in random.integers(0, len(changes), 2 + n % 3)]
            name = f"{label} random {n}: " + " + ".join(f"{w[0]} {w[1]}" for w in chosen)
            yield name, lambda chosen=chosen: apply(*chosen)


def write(table, path, long):
    """All cases as one stream; how many."""
    count = 0
    with open(path, "wb") as out:
        for record in table:
            found = [cases.Case(record, text) for text in record.cases] or [bodies.case_of(record)]
            for index, case in enumerate(found):
                for name, make in variants(record, case, index, long):
                    try:
                        out.write(make().bytes(name))
                    except (ValueError, TypeError, OverflowError, IndexError, AttributeError):  # has no form as a model
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
    table = [r for r in records.load().values()
             if (r.cases or r.label in bodies.CASES) and (not names or any(n in r.label for n in names))]
    drivers = [ROOT / "build/tests/hostile_driver", ROOT / "build/asan-ubsan/tests/hostile_driver"]
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "cases"
        count = write(table, path, long)
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
