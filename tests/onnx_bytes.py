# SPDX-License-Identifier: Apache-2.0
"""A protobuf encoder small enough to be wrong on purpose: builds ONNX messages field by field, so that
tests can make files no exporter would write. Independent of the engine's own writer."""
import struct


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def number(field, value):
    return varint(field << 3) + varint(value)


def block(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


FLOAT, UINT8, INT8, UINT16, INT16, INT32, INT64, STRING, BOOL, FLOAT16, DOUBLE, UINT32, UINT64, COMPLEX64 = range(1, 15)
FLOAT6E2M3, FLOAT6E3M2 = 27, 28
WIDTHS = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 14: 8, 15: 16, 16: 2, 17: 1, 18: 1,
          19: 1, 20: 1, 24: 1}
BITS = {21: 4, 22: 4, 23: 4, 25: 2, 26: 2, 27: 6, 28: 6}


def raw_bytes(dtype, count):
    """How many bytes of raw_data `count` elements take."""
    return WIDTHS[dtype] * count if dtype in WIDTHS else -(-count * BITS[dtype] // 8)


def tensor(dtype, dims, raw=None, name="", extra=b""):
    out = b"".join(number(1, d) for d in dims) + number(2, dtype)
    if raw is not None:
        out += block(9, raw)
    return out + (block(8, name) if name else b"") + extra


def ints(values, name="", dtype=INT64, dims=None):
    code = {INT64: "q", INT32: "i", INT8: "b", INT16: "h", UINT8: "B", UINT16: "H", UINT32: "I", UINT64: "Q"}[dtype]
    return tensor(dtype, [len(values)] if dims is None else dims, struct.pack(f"<{len(values)}{code}", *values), name)


def floats(values, name="", dims=None):
    return tensor(FLOAT, [len(values)] if dims is None else dims, struct.pack(f"<{len(values)}f", *values), name)


def attribute(name, kind, payload):
    return block(1, name) + payload + number(20, kind)


def attr_int(name, value):
    return attribute(name, 2, number(3, value))


def attr_ints(name, values):
    return attribute(name, 7, b"".join(number(8, v) for v in values))


def attr_float(name, value):
    return attribute(name, 1, varint(2 << 3 | 5) + struct.pack("<f", value))


def attr_string(name, value):
    return attribute(name, 3, block(4, value))


def attr_tensor(name, value):
    return attribute(name, 4, block(5, value))


def attr_graph(name, value):
    return attribute(name, 5, block(6, value))


def node(op, inputs, outputs, *attributes, domain="", name=""):
    return (b"".join(block(1, i) for i in inputs) + b"".join(block(2, o) for o in outputs) +
            (block(3, name) if name else b"") + block(4, op) + b"".join(block(5, a) for a in attributes) +
            (block(7, domain) if domain else b""))


def tensor_type(dtype, dims):
    if dims is None:
        return block(1, number(1, dtype))
    shape = b"".join(block(1, block(2, d) if isinstance(d, str) else number(1, d)) for d in dims)
    return block(1, number(1, dtype) + block(2, shape))


def value(name, dtype, dims):
    return block(1, name) + block(2, tensor_type(dtype, dims))


def graph(nodes, inputs, outputs, initializers=(), name="g"):
    return (b"".join(block(1, n) for n in nodes) + block(2, name) + b"".join(block(5, t) for t in initializers) +
            b"".join(block(11, v) for v in inputs) + b"".join(block(12, v) for v in outputs))


def opset(version, domain=""):
    return block(8, (block(1, domain) if domain else b"") + number(2, version))


def model(graph_bytes, version=17, ir=8, extra=b""):
    return number(1, ir) + block(7, graph_bytes) + (opset(version) if version is not None else b"") + extra


def function(name, domain, inputs, outputs, nodes, imports=(("", 17),)):
    return (block(1, name) + b"".join(block(4, i) for i in inputs) + b"".join(block(5, o) for o in outputs) +
            b"".join(block(7, n) for n in nodes) +
            b"".join(block(9, (block(1, d) if d else b"") + number(2, v)) for d, v in imports) + block(10, domain))


def external(location, offset=None, length=None, more=()):
    pairs = [("location", location)]
    pairs += [("offset", str(offset))] if offset is not None else []
    pairs += [("length", str(length))] if length is not None else []
    entries = b"".join(block(13, block(1, k) + block(2, v)) for k, v in pairs + list(more))
    return entries + number(14, 1)


def numbers(name, dtype, shape, values):
    """A TensorProto of Python numbers."""
    code = {FLOAT: "f", UINT8: "B", INT32: "i", INT64: "q", BOOL: "?", FLOAT16: "e", DOUBLE: "d"}[dtype]
    return tensor(dtype, shape, struct.pack(f"<{len(values)}{code}", *values), name)


def scaled(ir=8, columns=3):
    """y = x * w, float [n, 3]; w, [3] or free, is an input and an initializer of 1, 2, 3."""
    inputs = [value("x", FLOAT, ["n", 3]), value("w", FLOAT, [columns])]
    return model(graph([node("Mul", ["x", "w"], ["y"])], inputs, [value("y", FLOAT, ["n", 3])],
                       [floats([1, 2, 3], "w")]), ir=ir)


def simple(nodes, inputs, outputs, initializers=(), version=17):
    """A model whose inputs and outputs are (name, dtype, shape)."""
    return model(graph(nodes, [value(*i) for i in inputs], [value(*o) for o in outputs], initializers), version)
