# SPDX-License-Identifier: Apache-2.0
"""The hostile corpus: files that lie, cut, loop, bomb or reach outside, each with what must happen.
Grouped by class: W wire, G graph, T tensor, X external data, O operator."""
import random

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from onnx_bytes import *

F4 = value("x", FLOAT, [4])


def small(nodes=None, inputs=None, outputs=None, initializers=(), **options):
    """x float[4] -> y: a Relu unless told otherwise."""
    nodes = [node("Relu", ["x"], ["y"])] if nodes is None else nodes
    return model(graph(nodes, [F4] if inputs is None else inputs,
                       [value("y", FLOAT, None)] if outputs is None else outputs, initializers), **options)


class Case:
    def __init__(self, name, data, expect="E", message="", options=(), files=None, seconds=1.0, limit_mb=None):
        self.name, self.data, self.expect, self.message = name, data, expect, message
        self.options, self.files, self.seconds = list(options), files or {}, seconds
        # Resident memory may grow by this much: the promise for decoding unless the case names a budget.
        self.limit_mb = limit_mb if limit_mb is not None else (8 * len(data) >> 20) + 16


def wire():
    good = small()
    pictures = {"empty": b"", "one-byte": b"\x08", "random": random.Random(1).randbytes(4096), "zeros": bytes(4096),
                "png": b"\x89PNG\r\n\x1a\n" + bytes(60), "zip": b"PK\x03\x04" + bytes(60), "elf": b"\x7fELF" + bytes(60),
                "gzip": b"\x1f\x8b\x08" + bytes(40), "text": b"this is not a model\n" * 10,
                "json": b'{"model": "onnx"}', "html": b"<!doctype html><html></html>", "numpy": b"\x93NUMPY\x01\x00" + bytes(50)}
    for name, data in pictures.items():
        yield Case(f"W1-{name}", data, message="not an ONNX model|byte|truncated|graph")
    for cut in range(1, len(good), 2):  # the last field is the opset, without which a model is read
        whole = cut == len(small(version=None))
        yield Case(f"W2-cut-{cut:03}", good[:cut], expect="OK" if whole else "E", message="byte")
    for n in (10, 11, 20):
        yield Case(f"W4-varint-{n}", b"\x08" + b"\xff" * n + b"\x01" + good)
    yield Case("W4-varint-overflow", b"\x08" + b"\xff" * 9 + b"\x7f" + good)
    for pad in (1, 3, 8):
        yield Case(f"W5-padded-{pad}", b"\x08\x88" + b"\x80" * pad + b"\x00" + good[2:], expect="OK")
    for length in (len(good) + 1, 1 << 31, 1 << 62, (1 << 64) - 1, (1 << 63)):
        yield Case(f"W6-length-{length:x}", b"\x08\x08\x3a" + varint(length) + good[4:], message="byte")
        yield Case(f"W6-name-length-{length:x}", model(b"\x12" + varint(length) + b"g"), message="byte")
    deep = b""
    for _ in range(5000):
        deep = block(2, block(4, deep))
    nested = graph([], [block(1, "x") + block(2, deep)], [])
    yield Case("W7-nested-types", model(nested))
    yield Case("W7-groups", varint(3 << 3 | 3) * 50000)
    yield Case("W7-group-in-model", good + varint(100 << 3 | 3) * 1000)
    for kind in (3, 4, 6, 7):
        yield Case(f"W8-wire-type-{kind}", varint(7 << 3 | kind) + good)
    yield Case("W8-graph-as-number", number(7, 5) + good)
    yield Case("W8-field-0", b"\x00\x01" + good)
    yield Case("W8-field-huge", varint((1 << 29) << 3) + b"\x01" + good)
    for field in (99, 1000, (1 << 29) - 1):
        yield Case(f"W8-unknown-field-{field}", good + number(field, 7) + block(field, b"abc"), expect="OK")
    yield Case("W9-two-graphs", good + block(7, graph([], [], [])), message="graph.*given twice")
    yield Case("W9-ir-twice", number(1, 3) + good, expect="OK")
    dims = block(1, varint(2) + varint(2))  # packed dims
    packed = dims + number(2, FLOAT) + block(9, bytes(16)) + block(8, "w")
    yield Case("W10-packed-dims", small([node("Add", ["x", "w2"], ["y"]), node("Reshape", ["w", "s"], ["w2"])],
                                         initializers=[packed, ints([4], "s")]), expect="OK")
    unpacked = number(1, 4) + number(2, INT64) + b"".join(number(7, v) for v in (1, 2, 3, 4)) + block(8, "w")
    yield Case("W10-unpacked-int64", small([node("Cast", ["w"], ["c"], attr_int("to", FLOAT)), node("Add", ["x", "c"], ["y"])],
                                            initializers=[unpacked]), expect="OK")
    yield Case("W11-packed-floats-odd", small([node("Add", ["x", "w"], ["y"])],
                                               initializers=[number(1, 4) + number(2, FLOAT) + block(4, bytes(15)) + block(8, "w")]))
    yield Case("W12-unknown-fields", good + number(200, 1) * 300000, expect="OK", seconds=3)
    for field, what, message in ((1, "nodes", "op_type"), (5, "initializers", "data_type"), (11, "inputs", "name"),
                                 (12, "outputs", "name"), (13, "value-infos", ""), (14, "annotations", ""),
                                 (15, "sparse", "values"), (16, "graph-metadata", "")):
        yield Case(f"W12-million-empty-{what}", model(block(field, b"") * 1000000), expect="E" if message else "OK",
                   message=message, seconds=4)
    yield Case("W12-million-empty-functions", good + block(25, b"") * 1000000, message="functions, expected at most", seconds=4)
    yield Case("W12-million-empty-opsets", good + block(8, b"") * 1000000, message="entries; the limit", seconds=4)
    yield Case("W12-million-empty-metadata", good + block(14, b"") * 1000000, expect="OK", seconds=4)
    yield Case("W12-million-empty-attributes", small([node("Relu", ["x"], ["y"]) + block(5, b"") * 1000000]), message="attribute has no name", seconds=4)
    yield Case("W13-bad-utf8-name", small([node("Relu", ["x"], [b"\xff\xfe"])], outputs=[block(1, b"\xff\xfe") + block(2, tensor_type(FLOAT, None))]), expect="OK")
    yield Case("W13-nul-in-name", small([node("Relu", ["x"], [b"a\0b"]), node("Neg", [b"a\0b"], ["y"]), node("Abs", ["x"], [b"a\0c"])]), expect="OK")
    yield Case("W13-long-name", small([node("Relu", ["x"], ["n" * (8 << 20)]), node("Neg", ["n" * (8 << 20)], ["y"])]), message="name")
    yield Case("W13-case-names", small([node("Relu", ["x"], ["a"]), node("Neg", ["x"], ["A"]), node("Add", ["a", "A"], ["y"])]), expect="OK")
    yield Case("W15-trailing-garbage", good + b"\xff\xff\xff")
    yield Case("W15-trailing-zeros", good + bytes(16))


def graphs():
    yield Case("G1-self-loop", small([node("Relu", ["y"], ["y"])]), message="cycle|y")
    yield Case("G1-two-cycle", small([node("Add", ["x", "b"], ["a"]), node("Neg", ["a"], ["b"]), node("Add", ["a", "b"], ["y"])]), message="cycle|before|b")
    ring = [node("Add" if i == 0 else "Relu", [f"v{(i - 1) % 10000}"] + (["x"] if i == 0 else []), [f"v{i}"]) for i in range(10000)]
    yield Case("G1-ring", small(ring + [node("Relu", ["v5"], ["y"])]), message="cycle|v", seconds=2)
    yield Case("G2-unknown-input", small([node("Add", ["x", "nowhere"], ["y"], name="adder")]), message="nowhere")
    yield Case("G2-unknown-output", small(outputs=[value("z", FLOAT, None)]), message="z")
    yield Case("G3-two-producers", small([node("Relu", ["x"], ["y"]), node("Neg", ["x"], ["y"])]), message="y")
    yield Case("G3-input-twice", small(inputs=[F4, F4]), message="x")
    yield Case("G3-output-is-input", small([node("Relu", ["x"], ["x"])], outputs=[value("x", FLOAT, None)]), message="x")
    yield Case("G3-initializer-twice", small([node("Add", ["x", "w"], ["y"])], initializers=[floats([1] * 4, "w")] * 2), message="w")
    yield Case("G3-node-makes-initializer", small([node("Relu", ["x"], ["w"]), node("Neg", ["w"], ["y"])], initializers=[floats([1] * 4, "w")]), message="w")
    yield Case("G4-empty-op", small([node("", ["x"], ["y"])]))
    yield Case("G4-unknown-op", small([node("Rleu", ["x"], ["y"])]), message="did you mean 'Relu'")
    yield Case("G4-unknown-domain", small([node("Relu", ["x"], ["y"], domain="org.nowhere")]), message="org.nowhere")
    for version in (0, -1, -(1 << 63)):
        yield Case(f"G4-opset-{version}", small(version=version), message="opset")
    yield Case("G4-opset-2-31", small(version=1 << 31), message="opset_import.*2147483648")
    yield Case("G4-opset-future", small(version=1000), expect="OK")
    yield Case("G4-opset-missing", small(version=None), expect="OK")
    yield Case("G4-opset-two-versions", small(extra=opset(9)), message="opset")
    yield Case("G5-too-few-inputs", small([node("Add", ["x"], ["y"])]), message="input")
    yield Case("G5-too-many-inputs", small([node("Relu", ["x", "x"], ["y"])]), message="input")
    yield Case("G5-no-inputs", small([node("Relu", [], ["y"])]), message="input")
    yield Case("G5-required-empty", small([node("Add", ["x", ""], ["y"])]), message="input")
    yield Case("G5-too-many-outputs", small([node("Relu", ["x"], ["y", "z"])]), message="output")
    yield Case("G5-sum-of-many", small([node("Sum", ["x"] * 5000, ["y"])]), expect="OK", seconds=3)
    yield Case("G6-attribute-twice", small([node("LeakyRelu", ["x"], ["y"], attr_float("alpha", 1), attr_float("alpha", 2))]), message="alpha")
    yield Case("G6-attribute-kind", small([node("LeakyRelu", ["x"], ["y"], attr_int("alpha", 1))]), message="alpha")
    yield Case("G6-tag-disagrees", small([node("LeakyRelu", ["x"], ["y"], attribute("alpha", 1, number(3, 1)))]), message="alpha|attribute")
    yield Case("G6-unknown-attribute", small([node("LeakyRelu", ["x"], ["y"], attr_float("aplha", 1))]), expect="OK")
    yield Case("G6-required-missing", small([node("Cast", ["x"], ["y"])]), message="to")
    yield Case("G6-huge-list", small([node("Transpose", ["x"], ["y"], attr_ints("perm", [0] * 200000))]), message="perm|Transpose")
    body = lambda nodes, outs: graph(nodes, [], [value(o, FLOAT, None) for o in outs], name="body")
    cond = tensor(BOOL, [], b"\x01", "c")
    branch = lambda then, other: small([node("If", ["c"], ["y"], attr_graph("then_branch", then), attr_graph("else_branch", other))], initializers=[cond])
    ok = body([node("Relu", ["x"], ["t"])], ["t"])
    yield Case("G7-if-good", branch(ok, body([node("Neg", ["x"], ["e"])], ["e"])), expect="OK")
    yield Case("G7-hides-outer", branch(body([node("Relu", ["x"], ["x"])], ["x"]), ok), message="x")
    yield Case("G7-sibling", branch(ok, body([node("Relu", ["t"], ["e"])], ["e"])), message="t")
    yield Case("G7-later-outer", small([node("If", ["c"], ["i"], attr_graph("then_branch", body([node("Relu", ["late"], ["t"])], ["t"])), attr_graph("else_branch", ok.replace(b"t", b"u"))),
                                         node("Neg", ["x"], ["late"]), node("Add", ["i", "late"], ["y"])], initializers=[cond]), expect="OK")
    yield Case("G8-branch-output-count", branch(ok, body([node("Neg", ["x"], ["e"]), node("Neg", ["x"], ["f"])], ["e", "f"])), message="output|branch")
    yield Case("G8-branch-missing", small([node("If", ["c"], ["y"], attr_graph("then_branch", ok))], initializers=[cond]), message="else_branch")
    yield Case("G8-condition-type", small([node("If", ["x"], ["y"], attr_graph("then_branch", ok), attr_graph("else_branch", body([node("Neg", ["x"], ["e"])], ["e"])))]), message="If|cond|type")
    for depth in (16, 40, 1000):
        inner = body([node("Relu", ["x"], [f"d{depth}"])], [f"d{depth}"])
        for level in range(depth - 1, 0, -1):
            inner = body([node("If", ["c"], [f"d{level}"], attr_graph("then_branch", inner), attr_graph("else_branch", body([node("Neg", ["x"], [f"e{level}"])], [f"e{level}"])))], [f"d{level}"])
        yield Case(f"G9-nested-{depth}", branch(inner, body([node("Neg", ["x"], ["e"])], ["e"])), expect="OK" if depth == 16 else "E",
                   message="" if depth == 16 else "deep|nest|depth", seconds=3)
    local = lambda *functions: small([node("A", ["x"], ["y"], domain="my")], extra=opset(1, "my") + b"".join(block(25, f) for f in functions))
    call = lambda name, *used: function(name, "my", ["i"], ["o"], [node(u, ["i" if k == 0 else f"t{k - 1}"], ["o" if k == len(used) - 1 else f"t{k}"], domain="my" if len(u) == 1 else "") for k, u in enumerate(used)], (("", 17), ("my", 1)))
    yield Case("G10-function-good", local(call("A", "B"), call("B", "Relu", "Neg")), expect="OK")
    yield Case("G10-self-call", local(call("A", "A")), message="A")
    yield Case("G10-mutual-call", local(call("A", "B"), call("B", "A")), message="A")
    yield Case("G10-unused-cycle", local(call("A", "Relu"), call("B", "C"), call("C", "B")), message="circle")
    for depth in (5, 9, 13, 24):
        names = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:depth]
        chain = [call(n, *([names[k + 1]] * 4 if k + 1 < depth else ["Relu"] * 4)) for k, n in enumerate(names)]
        yield Case(f"G11-expansion-{depth}", local(*chain), expect="OK" if depth < 9 else "E", message="" if depth < 9 else "after its functions are expanded", seconds=1, limit_mb=32)
    true = node("Constant", [], ["c"], attr_tensor("value", tensor(BOOL, [], b"\1")))
    calls = lambda op, prefix, domain: [node(op, ["i" if k == 0 else f"{prefix}{k - 1}"], [f"{prefix}{k}"], domain=domain) for k in range(4)]
    either = lambda then, other: node("If", ["c"], ["o"], attr_graph("then_branch", then), attr_graph("else_branch", other))
    passed_on = block(1, "alpha") + number(20, 1) + block(21, "alpha")
    taken_on = lambda name, *nodes: function(name, "my", ["i"], ["o"], nodes, (("", 17), ("my", 1))) + block(6, "alpha")
    for depth in (6, 9, 20):  # calls in both branches of every function; calls that hand an attribute on
        names = "ABCDEFGHIJKLMNOPQRST"[:depth]
        following = [(n, "my") for n in names[1:]] + [("LeakyRelu", "")]
        branches = [function(n, "my", ["i"], ["o"], [true, either(body(calls(*to[:1], "t", to[1]), ["t3"]), body(calls(*to[:1], "e", to[1]), ["e3"]))], (("", 17), ("my", 1)))
                    for n, to in zip(names, following)]
        yield Case(f"G11-branches-{depth}", local(*branches), message="when expanded|after its functions are expanded", limit_mb=32)
        handed = [taken_on(n, *[node(to, ["i" if k == 0 else f"t{k - 1}"], ["o" if k == 3 else f"t{k}"], passed_on, domain=domain) for k in range(4)])
                  for n, (to, domain) in zip(names, following)]
        yield Case(f"G11-handed-on-{depth}", small([node("A", ["x"], ["y"], attr_float("alpha", 0.5), domain="my")], extra=opset(1, "my") + b"".join(block(25, f) for f in handed)),
                   expect="OK" if depth < 7 else "E", message="" if depth < 7 else "when expanded|after its functions are expanded", limit_mb=32)
    yield Case("G10-mutual-through-a-branch", local(function("A", "my", ["i"], ["o"], [true, either(body([node("B", ["i"], ["t"], domain="my")], ["t"]), body([node("Relu", ["i"], ["e"])], ["e"]))]),
                                                    call("B", "A")), message="A -> B -> A")
    large = node("Constant", [], ["c"], attr_tensor("value", tensor(FLOAT, [1 << 18], bytes(1 << 20))))
    yield Case("G11-constant-shared", local(call("A", *["B"] * 300), function("B", "my", ["i"], ["o"], [large, node("ReduceMax", ["c"], ["m"], attr_int("keepdims", 0)), node("Add", ["i", "m"], ["o"])])),
               expect="OK", options=["fold_limit_bytes=1024"], limit_mb=32)
    yield Case("G13-many-inputs", small(inputs=[F4] + [value(f"x{i}", FLOAT, [1]) for i in range(100000)]), expect="OK", seconds=2, limit_mb=200)
    yield Case("G12-two-functions", local(call("A", "Relu"), call("A", "Neg")), message="A")
    yield Case("G12-bad-output", local(function("A", "my", ["i"], ["missing"], [node("Relu", ["i"], ["o"])])), message="missing|o")
    yield Case("G13-chain", small([node("Neg", ["x" if i == 0 else f"v{i}"], ["y" if i == 199999 else f"v{i + 1}"]) for i in range(200000)]), expect="OK", seconds=10, limit_mb=1000)
    yield Case("G13-fan-out", small([node("Neg", ["x"], [f"v{i}"]) for i in range(50000)] + [node("Abs", ["v1"], ["y"])]), expect="OK", seconds=5, limit_mb=400)
    yield Case("G14-no-nodes", small([], outputs=[value("x", FLOAT, [4])]), expect="OK")
    yield Case("G14-output-is-initializer", small([], outputs=[value("w", FLOAT, [4])], initializers=[floats([1] * 4, "w")]), expect="OK")
    yield Case("G14-no-outputs", small(outputs=[]), expect="OK")
    yield Case("G15-declared-shape", small(outputs=[value("y", FLOAT, [5])]), expect="OK")
    yield Case("G15-declared-type", small(outputs=[value("y", INT64, [4])]), message="y")
    yield Case("G15-declared-rank", small(outputs=[value("y", FLOAT, [2, 2])]), expect="OK")
    for name, nodes, inits in (
            ("constant-of-shape", [node("ConstantOfShape", ["s"], ["w"])], [ints([1 << 20, 1 << 16], "s")]),
            ("expand", [node("Expand", ["k", "s"], ["w"])], [ints([1 << 18, 1 << 18], "s"), floats([1], "k")]),
            ("range", [node("Range", ["a", "b", "d"], ["w"])], [ints([0], "a", dims=[]), ints([1 << 40], "b", dims=[]), ints([1], "d", dims=[])]),
            ("tile", [node("Tile", ["k", "s"], ["w"])], [ints([1 << 36], "s"), floats([1, 2], "k")])):
        yield Case(f"G17-fold-{name}", small(nodes + [node("Size", ["w"], ["z"]), node("Cast", ["z"], ["f"], attr_int("to", FLOAT)), node("Add", ["x", "f"], ["y"])], initializers=inits), message="no memory for [0-9]+ [GT]iB", seconds=2, limit_mb=64)
    yield Case("G18-doc-strings", small(extra=block(6, "d" * (4 << 20))), expect="OK")
    for ir in (-1, 1 << 40, 99):
        yield Case(f"G19-ir-{ir}", small(ir=ir), expect="E" if ir < 0 else "OK", message="ir_version")
    deep = tensor_type(FLOAT, [1])
    for _ in range(100):
        deep = block(4, block(1, deep))
    yield Case("G20-nested-sequence", small(inputs=[F4, block(1, "q") + block(2, deep)]))


def tensors():
    use = lambda *inits, nodes=None: small(nodes or [node("Identity", ["w"], ["u"]), node("Relu", ["x"], ["y"])], outputs=[value("y", FLOAT, None), value("u", 0, None)] if False else None, initializers=inits)
    for dims in ([1 << 32, 1 << 32], [1 << 62, 4], [1 << 63 - 1, 3], [1 << 31] * 3, [3] * 41, [1 << 61, 8], [-1], [-(1 << 63)], [2, -3], [0, 1 << 62], [0, 1 << 62, 1 << 62], [1 << 60]):
        yield Case(f"T1-dims-{'x'.join(map(str, dims))[:60]}", use(tensor(FLOAT, dims, b"", "w")), expect="E" if dims[0] else "OK", message="" if dims[0] == 0 else "w|dimension|bytes")
    for dtype in list(WIDTHS) + list(BITS):
        need = raw_bytes(dtype, 6)
        yield Case(f"T3-good-{dtype}", use(tensor(dtype, [6], bytes(need), "w")), expect="OK")
        yield Case(f"T3-short-{dtype}", use(tensor(dtype, [6], bytes(need - 1), "w")), message="w|byte")
        yield Case(f"T3-long-{dtype}", use(tensor(dtype, [6], bytes(need + 1), "w")), message="w|byte")
    yield Case("T3-both", use(tensor(FLOAT, [2], bytes(8), "w", block(4, bytes(8)))), message="w")
    yield Case("T3-typed-short", use(tensor(FLOAT, [3], None, "w", block(4, bytes(8)))), message="w")
    yield Case("T3-typed-long", use(tensor(FLOAT, [1], None, "w", block(4, bytes(8)))), message="w")
    yield Case("T3-wrong-list", use(tensor(FLOAT, [2], None, "w", block(5, b"\1\2"))), message="w")
    yield Case("T3-no-data", use(tensor(FLOAT, [2], None, "w")), message="w")
    for dtype in (0, 29, 99, 1 << 31, (1 << 64) - 1):
        yield Case(f"T4-dtype-{dtype}", use(tensor(dtype, [1], bytes(4), "w")), message="w|type")
    for count in (1, 3, 7, 31, 33):
        for dtype in BITS:
            yield Case(f"T4-odd-{dtype}-{count}", use(tensor(dtype, [count], b"\xff" * raw_bytes(dtype, count), "w")), expect="OK")
    yield Case("T5-bool-bytes", use(tensor(BOOL, [4], b"\0\1\2\xff", "w")), expect="OK")
    yield Case("T6-strings-few", use(tensor(STRING, [3], None, "w", block(6, "a"))), message="w")
    yield Case("T6-strings-many", use(tensor(STRING, [1], None, "w", block(6, "a") * 3)), message="w")
    yield Case("T6-strings-claimed", use(tensor(STRING, [1 << 31], None, "w", block(6, ""))), message="w")
    yield Case("T6-string-raw", use(tensor(STRING, [1], b"abc", "w")), message="w|string")
    yield Case("T6-string-bytes", use(tensor(STRING, [2], None, "w", block(6, b"a\0b") + block(6, b"\xff"))), expect="OK")
    for rank in (0, 1, 8, 64, 65, 1000, 100000):
        yield Case(f"T7-rank-{rank}", use(tensor(FLOAT, [1] * rank, bytes(4), "w")), expect="OK" if rank <= 64 else "E", message="" if rank <= 64 else "rank|w")
    sparse = lambda values, indices, dims: block(1, values) + block(2, indices) + b"".join(number(3, d) for d in dims)
    use_sparse = lambda s: model(block(1, node("Relu", ["x"], ["y"])) + block(2, "g") + block(11, F4) + block(12, value("y", FLOAT, None)) + block(15, s))
    yield Case("T8-sparse-good", use_sparse(sparse(floats([1, 2], "w"), ints([0, 3]), [4])), expect="OK")
    yield Case("T8-sparse-range", use_sparse(sparse(floats([1, 2], "w"), ints([0, 4]), [4])), message="ind|w")
    yield Case("T8-sparse-negative", use_sparse(sparse(floats([1, 2], "w"), ints([-1, 3]), [4])), message="ind|w")
    yield Case("T8-sparse-unsorted", use_sparse(sparse(floats([1, 2], "w"), ints([3, 0]), [4])), message="ind|w|order|sort")
    yield Case("T8-sparse-duplicate", use_sparse(sparse(floats([1, 2], "w"), ints([3, 3]), [4])), message="ind|w|twice|order")
    yield Case("T8-sparse-count", use_sparse(sparse(floats([1, 2], "w"), ints([3]), [4])), message="ind|w")
    yield Case("T8-sparse-rank", use_sparse(sparse(floats([1, 2], "w"), ints([0] * 6, dims=[2, 3]), [4])), message="ind|w")
    for dims in ([1 << 23], [1 << 30], [1 << 40], [1 << 20, 1 << 20]):
        one = sparse(floats([1], "w"), ints([0]), dims)
        says = "'(w|sparse_value)'.*takes [0-9.]+ [MGT]iB when its zeros are written out"
        yield Case(f"T8-sparse-bomb-{dims}", use_sparse(one), message=says, limit_mb=32)
        yield Case(f"T8-sparse-constant-bomb-{dims}", small([node("Constant", [], ["w"], attribute("sparse_value", 11, block(22, one))), node("Relu", ["x"], ["y"])]), message=says, limit_mb=32)
    some = b"".join(block(15, sparse(floats([1], f"w{i}"), ints([0]), [1 << 20])) for i in range(1000))
    yield Case("T8-sparse-many", model(graph([node("Relu", ["x"], ["y"])], [F4], [value("y", FLOAT, None)]) + some), message="expected at most [0-9.]+ [KM]iB", limit_mb=32)
    hundredth = sparse(floats([1] * 20000, "w"), ints(range(0, 2000000, 100)), [2000000])
    yield Case("T8-sparse-hundredth", use_sparse(hundredth), expect="OK", limit_mb=32)
    for dtype, size in ((FLOAT, "4 TiB"), (DOUBLE, "8 TiB"), (BOOL, "1 TiB"), (22, "512 GiB")):
        for raw in (None, b"", b"1234"):
            yield Case(f"T1-claimed-{dtype}-{raw and len(raw)}", use(tensor(dtype, [1 << 40], raw, "w")), message=f"'w'.* holds [0-9]+ (bytes|entries) where .* needs [0-9]+: together {size}")
    yield Case("T9-segment", use(tensor(FLOAT, [1], bytes(4), "w", block(3, number(1, 0) + number(2, 1)))), message="segment")
    for pad in range(1, 9):
        yield Case(f"T10-odd-offset-{pad}", small([node("Add", ["x", "w"], ["y"])], initializers=[tensor(FLOAT, [4], bytes(16), "w", block(12, "p" * pad))]), expect="OK")


def external_data():
    use = lambda *a, dims=(4,), **k: small([node("Add", ["x", "w"], ["y"])], initializers=[tensor(FLOAT, list(dims), None, "w", external(*a, **k))])
    data = {"w.bin": bytes(64)}
    yield Case("X0-good", use("w.bin", 16, 16), expect="OK", files=data)
    paths = ["/etc/passwd", "../w.bin", "a/../../w.bin", "a\\..\\w.bin", "C:\\w.bin", "%2e%2e/w.bin", "", ".", "..", "w.bin/", "a//w.bin/..", "w.bin\0x", "./../w.bin", "p" * 10000, "/", "~/w.bin", "a/./../w.bin", "//w.bin", "*/_ORT_MEM_ADDR_/*"]
    for k, path in enumerate(paths):
        yield Case(f"X1-path-{k:02}", use(path, 0, 16), files=data, message="w")
    yield Case("X2-symlink", use("link.bin", 0, 16), files={**data, "link.bin": ("symlink", "w.bin")}, expect="OK")
    yield Case("X2-symlink-out", use("passwd", 0, 16), files={"passwd": ("symlink", "/etc/passwd")}, message="'passwd' -> '/etc/passwd'")
    yield Case("X2-symlink-folder", use("d/w.bin", 0, 16), files={**data, "d": ("symlink", ".")}, expect="OK")
    yield Case("X2-symlink-folder-out", use("d/passwd", 0, 16), files={"d": ("symlink", "/etc")}, message="link")
    yield Case("X2-symlink-circle", use("a", 0, 16), files={"a": ("symlink", "b"), "b": ("symlink", "a")}, message="circle")
    yield Case("X2-symlink-device", use("zero", 0, 16), files={"zero": ("symlink", "/dev/zero")}, message="link")
    yield Case("X3-hard-link", use("hard.bin", 0, 16), files={**data, "hard.bin": ("hardlink", "w.bin")}, message="allow_hard_links")
    yield Case("X3-hard-link-allowed", use("hard.bin", 0, 16), files={**data, "hard.bin": ("hardlink", "w.bin")}, expect="OK", options=["allow_hard_links=1"])
    yield Case("X4-pipe", use("pipe", 0, 16), files={"pipe": ("fifo", "")}, message="regular|pipe")
    yield Case("X4-folder", use("folder", 0, 16), files={"folder": ("folder", "")}, message="regular|folder")
    yield Case("X4-missing", use("absent.bin", 0, 16), message="absent")
    ends = [(64, 16), (49, 16), (0, 65), (1 << 62, 16), ((1 << 63) - 1, 16), (-1, 16), ("abc", 16), ("16x", 16), (" 16", 16), ("0x10", 16), (0, "abc"), (0, -16), (0, 1 << 63), ("9" * 30, 16)]
    for k, (offset, length) in enumerate(ends):
        yield Case(f"X5-range-{k:02}", use("w.bin", offset, length), files=data, message="w")
    yield Case("X6-length-disagrees", use("w.bin", 0, 32), files=data, message="w")
    yield Case("X6-key-twice", use("w.bin", 0, 16, more=[("location", "w.bin")]), files=data, message="location|twice")
    yield Case("X6-key-unknown", use("w.bin", 0, 16, more=[("colour", "red")]), files=data, expect="OK")
    yield Case("X6-no-location", small([node("Add", ["x", "w"], ["y"])], initializers=[tensor(FLOAT, [4], None, "w", number(14, 1))]), message="location")
    yield Case("X9-in-attribute", small([node("Constant", [], ["w"], attr_tensor("value", tensor(FLOAT, [4], None, "", external("../w.bin", 0, 16)))), node("Add", ["x", "w"], ["y"])]), files=data)
    yield Case("X9-good-in-attribute", small([node("Constant", [], ["w"], attr_tensor("value", tensor(FLOAT, [4], None, "", external("w.bin", 0, 16)))), node("Add", ["x", "w"], ["y"])]), files=data, expect="OK")
    yield Case("X11-checksum", use("w.bin", 0, 16, more=[("checksum", "0" * 40)]), files=data, message="checksum")
    yield Case("X13-bytes-only", use("w.bin", 0, 16), files=data, message="external_data_dir", options=["@bytes"])


def operators():
    budget = ["run_memory_limit_bytes=67108864", "run_timeout_ms=1000"]
    i64 = lambda name, dims=(1,): value(name, INT64, list(dims))
    bombs = {
        "expand": ([node("Expand", ["x", "s"], ["y"])], [ints([1 << 16, 1 << 16, 4], "s")]),
        "tile": ([node("Tile", ["x", "s"], ["y"])], [ints([1 << 34], "s")]),
        "constant-of-shape": ([node("ConstantOfShape", ["s"], ["w"]), node("Add", ["w", "k"], ["y"])], [ints([1 << 34], "s"), floats([1], "k")]),
        "one-hot": ([node("Cast", ["x"], ["i"], attr_int("to", INT64)), node("OneHot", ["i", "d", "v"], ["y"])], [ints([1 << 34], "d"), floats([0, 1], "v")]),
        "eye-like": ([node("Expand", ["x", "s"], ["m"]), node("EyeLike", ["m"], ["y"])], [ints([1 << 26, 4], "s")]),
        "range": ([node("ReduceSum", ["x"], ["a"], attr_int("keepdims", 0)), node("Range", ["a", "b", "d"], ["y"])], [floats([1e30], "b", []), floats([1e-3], "d", [])]),
        "pad": ([node("Pad", ["x", "p"], ["y"])], [ints([1 << 34, 0], "p")]),
        "resize": ([node("Reshape", ["x", "r"], ["m"]), node("Resize", ["m", "", "s"], ["y"])], [ints([1, 1, 2, 2], "r"), floats([1, 1, 1e9, 1e9], "s")]),
        "broadcast": ([node("Expand", ["k", "a"], ["p"]), node("Expand", ["k", "b"], ["q"]), node("Mul", ["p", "q"], ["y0"]), node("Add", ["y0", "x1"], ["y"]), node("ReduceSum", ["x"], ["x1"], attr_int("keepdims", 0))], [ints([1 << 18, 1], "a"), ints([1, 1 << 18], "b"), floats([1], "k")]),
        "O27-five-inputs": ([node("Expand", ["k", "a"], ["p"]), node("Expand", ["k", "b"], ["q"]), node("Sum", ["p", "q", "x1", "q", "p"], ["y"]), node("ReduceSum", ["x"], ["x1"], attr_int("keepdims", 0))], [ints([1 << 20, 1], "a"), ints([1, 1 << 20], "b"), floats([1], "k")]),
        "concat-doubling": ([node("Concat", [f"v{i}" if i else "x"] * 2, [f"v{i + 1}" if i < 44 else "y"], attr_int("axis", 0)) for i in range(45)], []),
        "random-uniform": ([node("RandomUniform", [], ["w"], attr_ints("shape", [1 << 34])), node("Add", ["w", "k"], ["y"])], [floats([1], "k")]),
        "gather-nd-cross": ([node("Expand", ["x", "s"], ["y"])], [ints([1 << 40, 4], "s")]),
        "depth-matmul": ([node("Expand", ["k", "a"], ["p"]), node("Expand", ["k", "b"], ["q"]), node("MatMul", ["p", "q"], ["y0"]), node("Add", ["y0", "x1"], ["y"]), node("ReduceSum", ["x"], ["x1"], attr_int("keepdims", 0))], [ints([1 << 19, 1], "a"), ints([1, 1 << 19], "b"), floats([1], "k")]),
    }
    for name, (nodes, inits) in bombs.items():
        yield Case(name if name.startswith("O") else f"O9-{name}", small(nodes, initializers=inits), options=budget, message="memory|bytes|budget|limit|max|too many", seconds=2, limit_mb=90)
    for name, (a, b, d) in {"zero-delta": (0, 5, 0), "nan": (0, 5, float("nan")), "tiny": (0, 1, 1e-30), "infinite": (0, float("inf"), 1), "wrong-sign": (0, 5, -1)}.items():
        yield Case(f"O10-range-{name}", small([node("Range", ["a", "b", "d"], ["r"]), node("ReduceSum", ["r"], ["t"], attr_int("keepdims", 0)), node("Add", ["x", "t"], ["y"])], initializers=[floats([a], "a", []), floats([b], "b", []), floats([d], "d", [])]),
                   expect="OK" if name == "wrong-sign" else "E", options=budget, message="" if name == "wrong-sign" else "Range|memory|bytes", seconds=2, limit_mb=90)
    def loop(trips, body_nodes, carried_type=FLOAT, scan=False, cond="c"):
        outs = [value("co", BOOL, []), value("vo", FLOAT, None)] + ([value("so", FLOAT, None)] if scan else [])
        body = graph(body_nodes, [value("i", INT64, []), value("ci", BOOL, []), value("vi", FLOAT, None)], outs, name="body")
        m = ints([trips], "m", dims=[])
        return small([node("Loop", ["m", cond, "x"], ["y"] + (["scan"] if scan else []), attr_graph("body", body), name="spin")], initializers=[m, tensor(BOOL, [], b"\1", "c")])
    same = [node("Identity", ["ci"], ["co"]), node("Identity", ["vi"], ["vo"])]
    for trips in (1 << 62, (1 << 63) - 1, 2000000000):
        yield Case(f"O11-endless-{trips}", loop(trips, same), options=["run_timeout_ms=300", "run_memory_limit_bytes=67108864"], message="node .*the run passed its deadline", seconds=1.5, limit_mb=90)
    yield Case("O11-trip-limit", loop(1000, same), options=["max_loop_trips=10"], message="max_loop_trips")
    yield Case("O11-zero-trips", loop(0, same), expect="OK")
    yield Case("O11-negative-trips", loop(-5, same), expect="OK")
    yield Case("O11-growing", loop(1 << 40, [node("Identity", ["ci"], ["co"]), node("Concat", ["vi", "vi"], ["vo"], attr_int("axis", 0))]), options=budget, message="memory|bytes|budget", seconds=2, limit_mb=150)
    yield Case("O11-scan-growing", loop(1 << 40, same + [node("Neg", ["vi"], ["so"])], scan=True), options=budget, message="memory|bytes|budget|deadline|scan", seconds=2, limit_mb=150)
    lone = graph([node("Identity", ["ci"], ["co"])], [value("i", INT64, []), value("ci", BOOL, [])], [value("co", BOOL, [])], name="body")
    yield Case("O11-body-arity", small([node("Loop", ["m", "c", "x"], ["y"], attr_graph("body", lone))], initializers=[ints([3], "m", dims=[]), tensor(BOOL, [], b"\1", "c")]), message="body|Loop")
    lows = {INT8: -(1 << 7), INT16: -(1 << 15), INT32: -(1 << 31), INT64: -(1 << 63)}
    for dtype in (INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64):
        for op in ("Div", "Mod"):
            divide = lambda a, b: small([node(op, ["a", "b"], ["q"], name="divider"), node("Cast", ["q"], ["f"], attr_int("to", FLOAT)), node("Add", ["x", "f"], ["y"])],
                                        initializers=[ints([a] * 4, "a", dtype), ints([b] * 4, "b", dtype)])
            yield Case(f"O14-{op}-{dtype}-by-zero", divide(7, 0), message="divider.*division by zero")
            if dtype in lows:
                yield Case(f"O14-{op}-{dtype}-min-by-minus-one", divide(lows[dtype], -1), expect="OK")
        if dtype in lows:
            for op in ("Neg", "Abs"):
                yield Case(f"O14-{op}-{dtype}-min", small([node(op, ["a"], ["q"]), node("Cast", ["q"], ["f"], attr_int("to", FLOAT)), node("Add", ["x", "f"], ["y"])], initializers=[ints([lows[dtype]] * 4, "a", dtype)]), expect="OK")
    for shift in (0, 31, 32, 63, 64, 255):
        for dtype in (UINT8, UINT32, UINT64):
            yield Case(f"O14-shift-{dtype}-{shift}", small([node("BitShift", ["a", "b"], ["q"], attr_string("direction", "LEFT")), node("Cast", ["q"], ["f"], attr_int("to", FLOAT)), node("Add", ["x", "f"], ["y"])],
                       initializers=[ints([255] * 4, "a", dtype), ints([min(shift, 255)] * 4, "b", dtype)]), expect="OK")
    yield Case("O14-pow-overflow", small([node("Pow", ["a", "b"], ["q"]), node("Cast", ["q"], ["f"], attr_int("to", FLOAT)), node("Add", ["x", "f"], ["y"])], initializers=[ints([1 << 62] * 4, "a"), ints([1 << 62] * 4, "b")]), expect="OK")


def one_operator():
    budget = ["run_memory_limit_bytes=67108864", "run_timeout_ms=1000"]
    def one(op, *constants, out="y", attributes=(), domain="", version=17, name="bad"):
        """x float[4], then the constants, through one operator."""
        inits = [(c if isinstance(c, bytes) else b"") for c in constants]
        names = ["x"] + [f"c{k}" if c else "" for k, c in enumerate(inits)]
        return small([node(op, names, [out], *attributes, domain=domain, name=name)], initializers=[c + block(8, f"c{k}") for k, c in enumerate(inits) if c],
                     version=version, extra=opset(1, domain) if domain else b"")
    def shaped(dims, *rest, inits=()):
        return small([node("Reshape", ["x", "r"], ["z"]), *rest], initializers=[ints(dims, "r"), *inits])
    for index in (4, -5, 1 << 31, 1 << 62, -(1 << 62), -(1 << 63)):
        at = f"bad.*indices.*{index}"
        yield Case(f"O1-gather-{index}", one("Gather", ints([index])), message=at)
        yield Case(f"O1-gather-elements-{index}", one("GatherElements", ints([index])), message=at)
        yield Case(f"O1-gather-nd-{index}", one("GatherND", ints([index], dims=[1, 1])), message=at)
        yield Case(f"O1-scatter-elements-{index}", one("ScatterElements", ints([index]), floats([1])), message=at)
        yield Case(f"O1-scatter-nd-{index}", one("ScatterND", ints([index], dims=[1, 1]), floats([1])), message=at)
    yield Case("O1-batch-dims", one("GatherND", ints([0], dims=[1, 1]), attributes=[attr_int("batch_dims", 7)]), message="bad.*batch_dims")
    for name, dims in {"two-free": [-1, -1], "overflow": [1 << 32, 1 << 32], "negative": [-2, 2], "wrong": [3], "free-beside-zero": [0, -1, 0]}.items():
        yield Case(f"O2-reshape-{name}", one("Reshape", ints(dims)), message="bad")
    yield Case("O2-unsqueeze-twice", one("Unsqueeze", ints([0, 0])), message="bad.*axes")
    yield Case("O2-unsqueeze-far", one("Unsqueeze", ints([1 << 40])), message="bad.*axes.*1099511627776")
    yield Case("O2-squeeze-far", one("Squeeze", ints([-(1 << 63)])), message="bad.*axes")
    def window(op, *attributes, dims=(1, 1, 2, 2), weights=(1, 1, 1, 1)):
        w = [tensor(FLOAT, list(weights), bytes(4 * weights[0] * weights[1] * weights[2] * weights[3]), "w")] if "Conv" in op else []
        return shaped(list(dims), node(op, ["z"] + ["w"] * bool(w), ["y"], *attributes, name="bad"), inits=w)
    for name, attribute_ in {"group-0": attr_int("group", 0), "group-3": attr_int("group", 3), "group-huge": attr_int("group", 1 << 62), "stride-0": attr_ints("strides", [0, 1]),
                             "dilation-huge": attr_ints("dilations", [1 << 61, 1 << 61]), "pads-huge": attr_ints("pads", [1 << 61] * 4), "pads-short": attr_ints("pads", [1]),
                             "pads-max": attr_ints("pads", [(1 << 63) - 1] * 4), "kernel-wrong": attr_ints("kernel_shape", [7, 7])}.items():
        for op in ("Conv", "ConvTranspose"):
            yield Case(f"O3-{op}-{name}", window(op, attribute_), options=budget, message="bad", limit_mb=90)
    for op in ("MaxPool", "AveragePool", "LpPool"):
        for name, attributes in {"kernel-0": [attr_ints("kernel_shape", [0, 1])], "kernel-huge": [attr_ints("kernel_shape", [1 << 62, 1 << 62])], "kernel-missing": [],
                                 "pads": [attr_ints("kernel_shape", [1, 1]), attr_ints("pads", [1 << 61] * 4)], "stride-0": [attr_ints("kernel_shape", [1, 1]), attr_ints("strides", [0, 0])]}.items():
            yield Case(f"O4-{op}-{name}", window(op, *attributes), options=budget, message="bad", limit_mb=90)
    for scale in (float("nan"), float("inf"), float("-inf"), 0, -1, 1e9):
        yield Case(f"O5-resize-{scale}", one("Resize", None, floats([scale])), options=budget, message="bad", limit_mb=90)
    yield Case("O5-resize-neither", one("Resize", None, None), message="bad")
    yield Case("O5-resize-sizes", one("Resize", None, None, ints([1 << 62])), options=budget, message="bad", limit_mb=90)
    for name, pads in {"negative": [-9, 0], "huge": [1 << 61, 1 << 61], "overflow": [(1 << 63) - 1, (1 << 63) - 1], "short": [1], "lowest": [-(1 << 63), 0]}.items():
        yield Case(f"O6-pad-{name}", one("Pad", ints(pads)), options=budget, message="bad", limit_mb=90)
    yield Case("O6-pad-axes-twice", one("Pad", ints([1] * 4), None, ints([0, 0]), version=18), message="bad")
    for name, (starts, ends, steps) in {"step-0": ([0], [4], [0]), "axes-twice": ([0, 0], [1, 1], [1, 1])}.items():
        yield Case(f"O7-slice-{name}", one("Slice", ints(starts), ints(ends), ints([0] * len(starts)), ints(steps)), message="bad")
    low = -(1 << 63)
    for starts, ends, step in ((low, low, low), (low, (1 << 63) - 1, 1), ((1 << 63) - 1, low, -1), (0, 1 << 62, 1 << 62)):
        yield Case(f"O7-slice-clamps-{starts}-{step}", one("Slice", ints([starts]), ints([ends]), ints([0]), ints([step])), expect="OK")
    for k in (5, -1, 1 << 62, low):
        yield Case(f"O8-topk-{k}", small([node("TopK", ["x", "k"], ["y", "i"], name="bad")], initializers=[ints([k], "k")]), message="bad.*k")
    yield Case("O8-topk-rank", small([node("TopK", ["x", "k"], ["y", "i"], name="bad")], initializers=[ints([1] * 4, "k", dims=[2, 2])]), message="bad.*k")
    yield Case("O12-if-empty", small([node("If", ["c"], ["y"], attr_graph("then_branch", graph([node("Neg", ["x"], ["t"])], [], [value("t", FLOAT, None)])), attr_graph("else_branch", graph([node("Abs", ["x"], ["e"])], [], [value("e", FLOAT, None)])), name="bad")],
                                     initializers=[tensor(BOOL, [0], b"", "c")]), message="bad")
    each = graph([node("Neg", ["a"], ["n"])], [value("a", FLOAT, None), value("b", FLOAT, None)], [value("n", FLOAT, None)])
    scan = lambda *more: small([node("Scan", ["x", "w"], ["y"], attr_graph("body", each), attr_int("num_scan_inputs", 2), *more, name="bad")], initializers=[floats([1] * 3, "w")])
    yield Case("O12-scan-lengths", scan(), message="bad")
    yield Case("O12-scan-directions", scan(attr_ints("scan_input_directions", [0, 7])), message="bad")
    made = node("SequenceConstruct", ["x", "x"], ["s"])
    for position in (3, -3, 1 << 62, low):
        yield Case(f"O13-at-{position}", small([made, node("SequenceAt", ["s", "p"], ["y"], name="bad")], initializers=[ints([position], "p", dims=[])]), message=f"bad.*{position}")
        yield Case(f"O13-insert-{position}", small([made, node("SequenceInsert", ["s", "x", "p"], ["t"], name="bad"), node("ConcatFromSequence", ["t"], ["y"], attr_int("axis", 0))], initializers=[ints([position], "p", dims=[])]), message=f"bad.*{position}")
    yield Case("O13-split", small([node("SplitToSequence", ["x", "p"], ["s"], name="bad"), node("ConcatFromSequence", ["s"], ["y"], attr_int("axis", 0))], initializers=[ints([0], "p", dims=[])]), message="bad")
    for name, equation in {"letters": "a" * 5000 + "->a", "twice": "i->ii", "ellipses": "......i->i", "unknown": "i->j", "operands": "i,j->i", "none": ""}.items():
        yield Case(f"O16-einsum-{name}", one("Einsum", attributes=[attr_string("equation", equation)]), message="bad.*equation|bad.*Einsum")
    yield Case("O16-matmul", one("MatMul", floats([1] * 3)), message="bad")
    yield Case("O17-axis", small([node("DequantizeLinear", ["q", "k"], ["y"], attr_int("axis", 1 << 40), name="bad")], initializers=[ints([1, 2], "q", UINT8, dims=[1, 2]), floats([1, 1], "k")]), message="bad.*axis")
    for size in (-1, 3, 1 << 62):
        yield Case(f"O17-block-{size}", small([node("DequantizeLinear", ["q", "k"], ["y"], attr_int("axis", 0), attr_int("block_size", size), name="bad")], initializers=[ints([1, 2], "q", UINT8), floats([1, 1], "k")], version=21), message="bad")
    for op, attributes in {"LayerNormalization": [attr_int("axis", 1 << 40)], "LRN": [attr_int("size", 0)], "InstanceNormalization": []}.items():
        yield Case(f"O18-{op}", one(op, *([floats([1])] * (op != "LRN") + [floats([1])] * (op == "InstanceNormalization")), attributes=attributes), message="bad")
    for hidden in (0, -1, 1 << 62):
        lstm = shaped([4, 1, 1], node("LSTM", ["z", "w", "w"], ["", "y"], attr_int("hidden_size", hidden), name="bad"), inits=[tensor(FLOAT, [1, 4, 1], bytes(16), "w")])
        yield Case(f"O19-hidden-{hidden}", lstm, message="bad")
    for length in (5, -1, 1 << 30):
        yield Case(f"O19-length-{length}", shaped([4, 1, 1], node("LSTM", ["z", "w", "w", "", "l"], ["", "y"], attr_int("hidden_size", 1), name="bad"), inits=[tensor(FLOAT, [1, 4, 1], bytes(16), "w"), ints([length], "l", INT32)]), message="bad")
    for heads in (0, -1, 3, 1 << 62):
        yield Case(f"O20-heads-{heads}", shaped([1, 1, 4], node("Attention", ["z", "z", "z"], ["y"], attr_int("q_num_heads", heads), attr_int("kv_num_heads", heads), name="bad")).replace(opset(17), opset(23)), message="bad")
    yield Case("O21-unpool", shaped([1, 1, 2, 2], node("MaxUnpool", ["z", "i"], ["y"], attr_ints("kernel_shape", [1, 1]), name="bad"), inits=[ints([1 << 40] * 4, "i", dims=[1, 1, 2, 2])]), message="bad")
    for block_size in (0, -1, 1 << 40):
        yield Case(f"O21-depth-{block_size}", shaped([1, 4, 1, 1], node("DepthToSpace", ["z"], ["y"], attr_int("blocksize", block_size), name="bad")), message="bad")
    for length in (0, -1, 1 << 40, (1 << 63) - 1):
        yield Case(f"O22-dft-{length}", shaped([1, 4, 1], node("DFT", ["z", "l"], ["y"], name="bad"), inits=[ints([length], "l", dims=[])]), options=budget, message="'(bad|y)'", limit_mb=90)
    yield Case("O22-cumsum", one("CumSum", ints([1 << 40], dims=[])), message="bad.*axis")
    ml = lambda op, *attributes, version=3: small([node(op, ["x"], ["y"], *attributes, domain="ai.onnx.ml", name="bad")], extra=opset(version, "ai.onnx.ml"))
    tree = lambda **lists: ml("TreeEnsembleRegressor", *[attr_ints(k, v) for k, v in {**{f"nodes_{n}": [0] for n in ("treeids", "nodeids", "featureids", "truenodeids", "falsenodeids")}, "target_ids": [0], "target_nodeids": [0], "target_treeids": [0], **lists}.items()],
                              attribute("nodes_modes", 8, block(9, "BRANCH_LEQ")), attribute("nodes_values", 6, block(7, bytes(4))), attribute("target_weights", 6, block(7, bytes(4))), attr_int("n_targets", 1))
    for name, lists in {"cycle": {}, "child": {"nodes_truenodeids": [9]}, "feature": {"nodes_featureids": [-1]}, "feature-huge": {"nodes_featureids": [1 << 40]}, "short": {"nodes_nodeids": [0, 1]}, "target": {"target_ids": [1 << 40]}}.items():
        yield Case(f"O23-{name}", tree(**lists), message="bad")
    yield Case("O24-scaler", ml("Scaler", attribute("offset", 6, block(7, bytes(8))), attribute("scale", 6, block(7, bytes(12)))), message="bad")
    yield Case("O24-linear", ml("LinearRegressor", attribute("coefficients", 6, block(7, bytes(4))), attr_int("targets", 1 << 62)), message="bad")
    yield Case("O24-encoder", ml("LabelEncoder", attribute("keys_floats", 6, block(7, bytes(8))), attribute("values_floats", 6, block(7, bytes(4))), version=2), message="bad")
    text = lambda op, *attributes: small([node("Cast", ["x"], ["t"], attr_int("to", STRING)), node(op, ["t"], ["z"], *attributes, name="bad"), node("Cast", ["z"], ["y"], attr_int("to", FLOAT))], version=20)
    yield Case("O25-pattern", text("RegexFullMatch", attr_string("pattern", "(")), message="bad.*pattern")
    yield Case("O25-pattern-bomb", text("RegexFullMatch", attr_string("pattern", "(((a{1000}){1000}){1000}){1000}")), message="bad.*pattern")
    yield Case("O25-grams", small([node("Cast", ["x"], ["t"], attr_int("to", INT64)), node("TfIdfVectorizer", ["t"], ["y"], attr_string("mode", "TF"), attr_int("min_gram_length", 1), attr_int("max_gram_length", 1 << 40), attr_int("max_skip_count", 1 << 40),
                                   attr_ints("ngram_counts", [0]), attr_ints("ngram_indexes", [0]), attr_ints("pool_int64s", [1]), name="bad")]), expect="OK")
    yield Case("O26-compress", one("Compress", tensor(BOOL, [9], bytes([1] * 9))), message="bad")
    yield Case("O30-version", one("Gelu", domain="com.microsoft"), expect="OK")
    yield Case("O30-version-far", small([node("Gelu", ["x"], ["y"], domain="com.microsoft")], extra=opset(999, "com.microsoft")), expect="OK")


def cases():
    for group in (wire, graphs, tensors, external_data, operators, one_operator):
        yield from group()
