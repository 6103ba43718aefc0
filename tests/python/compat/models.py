# SPDX-License-Identifier: Apache-2.0
"""The models that the lines of behaviours.txt load, as bytes (tests/onnx_bytes.py)."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import onnx_bytes as ob  # noqa: E402

FLOAT, INT64, STRING, BOOL, DOUBLE = ob.FLOAT, ob.INT64, ob.STRING, ob.BOOL, ob.DOUBLE


def of(nodes, inputs, outputs, *initializers, version=17):
    return ob.simple(nodes, inputs, outputs, initializers, version=version)


def one(operator, inputs, outputs, *attributes, **more):
    """A model of one node; inputs and outputs: {name: (type, shape)}."""
    return of([ob.node(operator, list(inputs), list(outputs), *attributes, name="n")],
              [(n, *t) for n, t in inputs.items()], [(n, *t) for n, t in outputs.items()], **more)


twice = of([ob.node("Add", ["x", "x"], ["y"])], [("x", FLOAT, ["batch", 3])], [("y", FLOAT, ["batch", 3])])
two = of([ob.node("Add", ["a", "b"], ["sum"]), ob.node("Sub", ["a", "b"], ["difference"])],
         [("a", FLOAT, [2]), ("b", FLOAT, [2])], [("sum", FLOAT, [2]), ("difference", FLOAT, [2])])
same = {kind: one("Identity", {"x": (kind, ["n"])}, {"y": (kind, ["n"])})
        for kind in (FLOAT, INT64, STRING, BOOL, DOUBLE, 2, 3, 4, 5, 6, 10, 12, 13)}
scalar = one("Neg", {"x": (FLOAT, [])}, {"y": (FLOAT, [])})
free = one("Neg", {"x": (FLOAT, ["", "n", 2])}, {"y": (FLOAT, ["", "n", 2])})
gather = one("Gather", {"x": (FLOAT, [3]), "i": (INT64, [1])}, {"y": (FLOAT, [1])})
reshape = one("Reshape", {"x": (FLOAT, ["n"]), "s": (INT64, ["m"])}, {"y": (FLOAT, ["p", "q"])})
product = one("MatMul", {"a": (FLOAT, ["n", "k"]), "b": (FLOAT, ["l", "m"])}, {"y": (FLOAT, ["n", "m"])})
weights = ob.floats([1, 2, 3], "w")
biased = of([ob.node("Add", ["x", "w"], ["y"])], [("x", FLOAT, ["batch", 3])], [("y", FLOAT, ["batch", 3])], weights)
overridable = of([ob.node("Add", ["x", "w"], ["y"])], [("x", FLOAT, ["batch", 3]), ("w", FLOAT, [3])],
                 [("y", FLOAT, ["batch", 3])], weights)


def sequence(element, dims):
    """A ValueInfoProto of seq(tensor(element))."""
    return lambda name: ob.block(1, name) + ob.block(2, ob.block(4, ob.block(1, ob.tensor_type(element, dims))))


def with_values(nodes, inputs, outputs, version=17):
    graph = b"".join(ob.block(1, n) for n in nodes) + ob.block(2, "g")
    return ob.model(graph + b"".join(ob.block(11, i) for i in inputs) + b"".join(ob.block(12, o) for o in outputs),
                    version)


pair = with_values([ob.node("SequenceConstruct", ["x", "x"], ["y"])], [ob.value("x", FLOAT, [3])],
                   [sequence(FLOAT, [3])("y")])
length = with_values([ob.node("SequenceLength", ["s"], ["y"])], [sequence(FLOAT, [3])("s")], [ob.value("y", INT64, [])])
unknown_operator = one("Reluu", {"x": (FLOAT, [1])}, {"y": (FLOAT, [1])})
unknown_input = of([ob.node("Relu", ["z"], ["y"])], [("x", FLOAT, [1])], [("y", FLOAT, [1])])
duplicate = of([ob.node("Relu", ["x"], ["y"]), ob.node("Relu", ["x"], ["y"])], [("x", FLOAT, [1])], [("y", FLOAT, [1])])
wrong_type = one("Relu", {"x": (BOOL, [1])}, {"y": (BOOL, [1])})
no_output = of([ob.node("Relu", ["x"], ["z"])], [("x", FLOAT, [1])], [("y", FLOAT, [1])])
cycle = of([ob.node("Relu", ["b"], ["a"]), ob.node("Relu", ["a"], ["b"])], [("x", FLOAT, [1])], [("b", FLOAT, [1])])
odd_attribute = one("Neg", {"x": (FLOAT, ["n"])}, {"y": (FLOAT, ["n"])}, ob.attr_int("odd", 1))
product_of_weights = of([ob.node("MatMul", ["x", "w"], ["y"], name="product")], [("x", FLOAT, ["n", 8])],
                        [("y", FLOAT, ["n", 8])], ob.floats([((7 * i) % 11 - 5) / 8 for i in range(64)], "w", [8, 8]))
external = of([ob.node("Add", ["x", "w"], ["y"])], [("x", FLOAT, ["batch", 3])], [("y", FLOAT, ["batch", 3])],
              ob.tensor(FLOAT, [3], name="w", extra=ob.external("w.bin", 4, 12)))
told = one("Neg", {"x": (FLOAT, [1])}, {"y": (FLOAT, [1])}) + ob.block(2, "maker") + ob.block(4, "a.domain") + \
    ob.number(5, 7) + ob.block(6, "what it is") + ob.block(14, ob.block(1, "key") + ob.block(2, "value"))


def configured(text):
    """A model that carries options of its session."""
    return twice + ob.block(14, ob.block(1, "ort_config") + ob.block(2, text))
