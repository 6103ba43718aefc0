# SPDX-License-Identifier: Apache-2.0
"""Writes small ONNX models byte by byte, so that tests need no other package."""
import struct

FLOAT, UINT8, INT32, INT64, STRING, BOOL, FLOAT16 = 1, 2, 6, 7, 8, 9, 10


def varint(n):
    out = bytearray()
    n &= (1 << 64) - 1
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def number(field, n):
    return varint(field << 3) + varint(n)


def message(field, data):
    data = data.encode() if isinstance(data, str) else data
    return varint(field << 3 | 2) + varint(len(data)) + data


def value_info(name, dtype, shape):
    dims = b"".join(message(1, number(1, d) if isinstance(d, int) else message(2, d)) for d in shape)
    return message(1, name) + message(2, message(1, number(1, dtype) + message(2, dims)))


def node(op, inputs, outputs):
    return b"".join(message(1, i) for i in inputs) + b"".join(message(2, o) for o in outputs) + message(4, op)


def int64s(name, values):
    return number(1, len(values)) + number(2, INT64) + message(8, name) + message(9, struct.pack(f"<{len(values)}q", *values))


def model(nodes, inputs, outputs, initializers=()):
    graph = b"".join(message(1, n) for n in nodes) + message(2, "g")
    graph += b"".join(message(5, i) for i in initializers)
    graph += b"".join(message(11, value_info(*i)) for i in inputs)
    graph += b"".join(message(12, value_info(*o)) for o in outputs)
    return number(1, 8) + message(8, message(1, "") + number(2, 17)) + message(7, graph)


def identity(dtype, shape):
    return model([node("Identity", ["x"], ["y"])], [("x", dtype, shape)], [("y", dtype, shape)])


def unary(op, shape):
    return model([node(op, ["x"], ["y"])], [("x", FLOAT, shape)], [("y", FLOAT, shape)])


def two_in_two_out(dtype, shape):
    nodes = [node("Add", ["a", "b"], ["sum"]), node("Mul", ["a", "b"], ["product"])]
    return model(nodes, [("a", dtype, shape), ("b", dtype, shape)], [("sum", dtype, shape), ("product", dtype, shape)])


def slow(products, size=1024):
    """x[1] -> Expand -> a chain of matrix products: about 10 to 100 ms each."""
    nodes = [node("Expand", ["x", "size"], ["m0"])]
    nodes += [node("MatMul", [f"m{i}", f"m{i}"], [f"m{i + 1}"]) for i in range(products)]
    nodes.append(node("ReduceMean", [f"m{products}"], ["y"]))
    return model(nodes, [("x", FLOAT, [1])], [("y", FLOAT, [1, 1])], [int64s("size", [size, size])])
