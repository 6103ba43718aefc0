# SPDX-License-Identifier: Apache-2.0
"""A writer of small ONNX files in plain Python, so that these tests need no package at all."""

import struct

FLOAT, UINT8, INT32, INT64, STRING, BOOL, FLOAT16, DOUBLE = 1, 2, 6, 7, 8, 9, 10, 11
_PACK = {FLOAT: "f", UINT8: "B", INT32: "i", INT64: "q", BOOL: "?", FLOAT16: "e", DOUBLE: "d"}


def varint(number):
    number &= (1 << 64) - 1
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number, value):
    """An int, bytes, str, or a list of those (repeated)."""
    if isinstance(value, list):
        return b"".join(field(number, v) for v in value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, str):
        value = value.encode()
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, dtype, shape, numbers):
    raw = struct.pack(f"<{len(numbers)}{_PACK[dtype]}", *numbers)
    return field(1, list(shape)) + field(2, dtype) + field(8, name) + field(9, raw)


def value_info(name, dtype, shape):
    dims = b"".join(field(1, field(2, d) if isinstance(d, str) else field(1, d)) for d in shape)
    return field(1, name) + field(2, field(1, field(1, dtype) + field(2, dims)))


def attribute(name, value):
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    return field(1, name) + field(8, list(value)) + field(20, 7)


def node(op, inputs, outputs, **attributes):
    return (field(1, list(inputs)) + field(2, list(outputs)) + field(4, op) +
            b"".join(field(5, attribute(k, v)) for k, v in attributes.items()))


def model(nodes, inputs, outputs, initializers=(), opset=13):
    graph = (field(1, list(nodes)) + field(2, "g") + field(5, list(initializers)) +
             field(11, [value_info(*i) for i in inputs]) + field(12, [value_info(*o) for o in outputs]))
    return field(1, 8) + field(2, "tests") + field(7, graph) + field(8, field(1, "") + field(2, opset))
