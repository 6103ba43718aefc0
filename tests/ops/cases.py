# SPDX-License-Identifier: Apache-2.0
"""The case texts of operator records (docs/cases.md) as models and random data."""
import re

import ml_dtypes  # noqa: F401  (its types are numpy's once imported)
import numpy as np
import onnx
from onnx import helper

import engine

WORDS = ["", "a", "abc", "Abc", "monday", "übung", "東京", "x y", "0", "-1.5"]
SIZES = [2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33]
UNFIT = 9
CLASSIC = [n for n, (number, _) in engine.DTYPES.items() if number < 16]  # what sequences hold in every version
MOST_ELEMENTS = 1500  # of one input: the oracles are slow

class Input:
    """What a case says of one input: element type, dims, values or their range."""

    def __init__(self, name, text, fixed):
        self.name, self.absent, self.items = name, text == "", None
        self.constant = text.startswith("const(")
        if text.startswith("seq("):
            self.items = [Input(name, t, fixed) for t in re.findall(r"[^;]+", text[4:-1])]
        self.map = None
        if text.startswith("map["):
            key, value, pairs = re.fullmatch(r"map\[(\w+),(\w+)\]\((.*)\)", text).groups()
            pairs = [p.split(":") for p in pairs.split(",")]
            number = {"string": str, "float": float, "double": np.float64, "int64": int}
            self.map = (key, value, {number[key](k): number[value](v) for k, v in pairs})
            text = ""
        parts = re.fullmatch(r"([a-z0-9_]*)(?:\[([^\]]*)\])?(?:\(([^)]*)\))?(?:@(.+)\.\.(.+))?", text)
        if self.items is None and parts is None:
            raise ValueError(f"{name}={text}")
        kind, dims, values, low, high = parts.groups() if self.items is None else (None,) * 5
        self.range = (float(low), float(high)) if low is not None else (0.1, 3.0) if kind == "positive" else None
        self.values = None if values is None else [v for v in values.split(",") if v != ""]
        self.dtype = fixed if kind in ("const", "positive") else kind
        if self.items is None and self.map is None and self.dtype not in engine.DTYPES and not self.absent:
            raise ValueError(f"{name}={text}: no such element type")
        if dims is not None:
            self.dims = [int(d) for d in dims.split(",") if d]
        else:
            self.dims = [] if values is not None and len(self.values) == 1 and not self.constant else \
                [len(self.values or [])]


def kind_of(dtype):
    return "int" if "int" in dtype else "float" if "float" in dtype or dtype == "double" else dtype.rstrip("0123456789")


class Case:
    """One case of a record: inputs by position, attributes, number of outputs."""

    def __init__(self, record, text):
        self.record, self.text, self.inputs, self.attributes, self.without = record, text, [], [], []
        attrs = {a.name: a for a in record.attrs}
        self.output_count = sum(1 for f in record.outputs if not f.optional) or min(1, len(record.outputs))
        given = {}
        for token in text.split():
            name, equals, value = token.partition("=")
            is_attribute = name in attrs and not re.search(r"[\[(]", value)
            formal = self.formal(name) if equals and not is_attribute else None
            if formal is not None:
                fixed = formal.type if formal.type in engine.DTYPES else (record.types.get(formal.type) or ["float"])[0]
                if "(" in value and value.startswith("const") and formal.type not in engine.DTYPES:
                    fixed = "int64" if "int64" in record.types.get(formal.type, []) else fixed
                    fixed = "float" if "." in value else fixed
                if value.startswith("positive"):
                    fixed = "float"
                given.setdefault(formal.name, []).append(Input(name, value, fixed))
            elif name == "outputs":
                self.output_count = int(value)
            elif name == "not":
                self.without = value.split(",")
            elif name in attrs:
                self.attributes.append((name, attrs[name].kind, value))
            else:
                raise ValueError(f"{record.label}: '{token}' is neither an input nor an attribute")
        for formal in record.inputs:
            self.inputs += [(formal, i) for i in given.get(formal.name, [Input(formal.name, "", "float")])]
        while self.inputs and self.inputs[-1][1].absent:
            self.inputs.pop()

    def formal(self, name):
        for f in self.record.inputs:
            if f.name == name:
                return f
        last = self.record.inputs[-1] if self.record.inputs else None
        if last is not None and last.variadic and re.fullmatch(re.sub(r"\d+$", "", last.name) + r"\d+", name):
            return last
        return None

    def base_types(self):
        """{type variable: element type in this text}"""
        found = {}
        for formal, x in self.inputs:
            first = x.items[0] if x.items else x
            if formal.type not in engine.DTYPES and first.dtype and not x.map and not x.absent and not x.constant:
                found.setdefault(formal.type, first.dtype)
        return found

    def retyped(self, variable, dtype):
        """Type of each variable once `variable` is `dtype`: those that shared its type follow where they may."""
        base = self.base_types()
        old = base[variable]
        stay = {f.type for f, x in self.inputs if x.values is not None}
        return {v: dtype if v == variable or (t == old and v not in stay and dtype in self.elements(v)) else t
                for v, t in base.items()}

    def elements(self, variable):
        """Element types of a type variable; a sequence holds any."""
        types = self.record.types[variable]
        return types + CLASSIC if "seq" in types else types

    def fits(self, variable, dtype):
        """How well the case suits `variable` = `dtype`: 0 is its own type, 1 the same kind of number."""
        mine = self.base_types()[variable]
        if dtype in self.without or dtype != "string" and any(
                re.search("[a-z]", "".join(x.values or [])) for formal, x in self.inputs if formal.type == variable):
            return UNFIT
        return 0 if mine == dtype else 1 if kind_of(mine) == kind_of(dtype) else 2


# ---- data -----------------------------------------------------------------------------------------

def numbers(random, dtype, dims, span, nonzero=False):
    """Random elements that mean the same in most types: small, some negative, some equal."""
    kind = engine.DTYPES[dtype][1]
    if dtype == "string":
        made = np.empty(int(np.prod(dims)), object)
        made[:] = [WORDS[i] for i in random.integers(0, len(WORDS), made.size)]
        return made.reshape(dims)
    if dtype == "bool":
        return random.integers(0, 2, dims).astype(bool)
    if dtype.startswith("complex"):
        return (random.normal(size=dims) + 1j * random.normal(size=dims)).astype(kind)
    whole = "int" in dtype
    if span is not None:
        low, high = span
        x = random.integers(int(np.ceil(low)), int(np.floor(high)) + 1, dims) if whole else \
            random.uniform(low, high, dims)
    elif whole:
        x = random.integers(-9, 10, dims)
    else:
        x = random.normal(size=dims) * 1.5
    if nonzero:
        x = np.where(np.abs(x) < 0.25, 1, x)
    if whole:
        return fit(x, dtype)
    return np.asarray(x, np.float32 if kind.itemsize <= 4 else np.float64).astype(kind)


def fit(x, dtype):
    """Integers clipped into what the type holds (unsigned: absolute)."""
    bits = min(int(re.sub(r"\D", "", dtype)), 62)
    if dtype.startswith("u"):
        return np.minimum(np.abs(x), 2 ** bits - 1).astype(np.int64).astype(engine.DTYPES[dtype][1])
    return np.clip(x, -2 ** (bits - 1), 2 ** (bits - 1) - 1).astype(np.int64).astype(engine.DTYPES[dtype][1])


def data(x, dtype, random, sizes, nonzero=False):
    """The array (list of arrays for a sequence) of one input."""
    if x.map is not None:
        return x.map[2]
    if x.items is not None:
        return [data(i, dtype if i.dtype == x.items[0].dtype else i.dtype, random, sizes) for i in x.items]
    dims = [sizes.get(d, d) for d in x.dims]
    if x.values is None:
        return numbers(random, dtype, dims, x.range, nonzero)
    if dtype == "string":
        made = np.empty(len(x.values), object)
        made[:] = x.values
    elif "int" in dtype:
        made = fit(np.array([float(v) for v in x.values]), dtype)
    elif dtype == "bool":
        made = np.array([v not in ("0", "false") for v in x.values], bool)
    else:
        made = np.array([float(v) for v in x.values], np.float64).astype(engine.DTYPES[dtype][1])
    return made.reshape(x.dims)


def random_sizes(random, case):
    """Another number for some of the dims of a case; equal numbers stay equal, 0 and 1 stay, and so do the dims
    of a table whose values are given."""
    fixed = {d for _, x in case.inputs if not x.items and not x.absent and x.values and len(x.dims) > 1 for d in x.dims}
    shapes = [i.dims for _, x in case.inputs for i in (x.items or [x]) if not x.absent and i.values is None]
    found = sorted({d for dims in shapes for d in dims if d > 1} - fixed)
    for _ in range(8):
        sizes = {d: int(random.choice(SIZES)) for d in found if random.random() < 0.6}
        if all(np.prod([sizes.get(d, d) for d in dims]) <= MOST_ELEMENTS for dims in shapes):
            return sizes
    return {}


# ---- models -----------------------------------------------------------------------------------------

def tensor_of(name, array):
    number = engine.DTYPES[engine.name_of(array.dtype)][0]
    if number == 8:
        return helper.make_tensor(name, 8, array.shape, [w.encode() for w in array.reshape(-1)])
    raw = engine.pack6(array) if number in (27, 28) else engine._pack(array, engine.PACKED[number]) if number in engine.PACKED else np.ascontiguousarray(array)
    return helper.make_tensor(name, number, array.shape, raw.tobytes(), raw=True)


def attribute(name, kind, text):
    made = onnx.AttributeProto(name=name)
    words = [w for w in text.split(",") if w != ""]
    kinds = onnx.AttributeProto
    if kind == "int":
        made.i, made.type = int(text), kinds.INT
    elif kind == "float":
        made.f, made.type = float(text), kinds.FLOAT
    elif kind == "string":
        made.s, made.type = text.encode(), kinds.STRING
    elif kind == "ints":
        made.ints.extend(int(w) for w in words)
        made.type = kinds.INTS
    elif kind == "floats":
        made.floats.extend(float(w) for w in words)
        made.type = kinds.FLOATS
    elif kind == "strings":
        made.strings.extend(w.encode() for w in words)
        made.type = kinds.STRINGS
    elif kind == "tensor":
        x = Input(name, text, "float")
        made.t.CopyFrom(tensor_of(name, data(x, x.dtype, np.random.default_rng(0), {})))
        made.type = kinds.TENSOR
    else:
        raise ValueError(f"attribute {name}: kind {kind} has no text form")
    return made


def value_info(name, x, dims):
    if isinstance(x, dict):
        key, value = dims
        inner = helper.make_tensor_type_proto(engine.DTYPES[value][0], ())
        return helper.make_value_info(name, helper.make_map_type_proto(engine.DTYPES[key][0], inner))
    if isinstance(x, list):
        first = x[0]
        inner = helper.make_tensor_type_proto(engine.DTYPES[engine.name_of(first.dtype)][0], None)
        return helper.make_value_info(name, helper.make_sequence_type_proto(inner))
    return helper.make_tensor_value_info(name, engine.DTYPES[engine.name_of(x.dtype)][0], dims)


def feeds_of(case, types, random, sizes, nonzero=()):
    """Arrays by position; None where an input is left out."""
    made = []
    for formal, x in case.inputs:
        if x.absent:
            made.append(None)
            continue
        dtype = (x.items[0] if x.items else x).dtype
        if x.constant or dtype == case.base_types().get(formal.type):
            dtype = types.get(formal.type, dtype)
        made.append(data(x, dtype, random, sizes, formal.name in nonzero))
    return made


def model(case, arrays, version, static=False):
    """A model of one node of the operator at `version` (None: the newest). Constants are initializers."""
    record, names, infos, initializers = case.record, [], [], []
    for i, ((_, x), array) in enumerate(zip(case.inputs, arrays)):
        names.append("" if array is None else f"i{i}")
        if array is None:
            continue
        if x.constant:
            initializers.append(tensor_of(names[-1], array))
        else:
            dims = x.map[:2] if x.map else None if isinstance(array, list) else array.shape if static else [None] * array.ndim
            infos.append(value_info(names[-1], array, dims))
    outputs = [f"o{i}" for i in range(case.output_count)]
    node = helper.make_node(record.name, names, outputs, domain=record.domain, name="n")
    node.attribute.extend(attribute(*a) for a in case.attributes)
    opsets = [helper.make_opsetid(record.domain, version or record.versions[0])]
    if record.domain:
        opsets.append(helper.make_opsetid("", 17))
    graph = helper.make_graph([node], "g", infos, [onnx.ValueInfoProto(name=o) for o in outputs], initializers)
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def named(case, arrays):
    """Feeds of the model: what is neither left out nor constant."""
    return {f"i{i}": a for i, ((_, x), a) in enumerate(zip(case.inputs, arrays)) if a is not None and not x.constant}
