# SPDX-License-Identifier: Apache-2.0
"""Models for the viewer's tests: as large, as nested and as hostile as they need."""
import random

import onnx_bytes as ox


def layers(count, seed=0, alpha=0.25):
    """A transformer's shape: `count` layers of 20 nodes under scopes, with residuals and one mask for all."""
    nodes, weights, x = [], [], "x"
    numbers = random.Random(seed)

    def add(scope, op, inputs, *attributes):
        out = f"{scope}/{op}_{len(nodes)}_out"
        nodes.append(ox.node(op, inputs, [out], *attributes, name=f"{scope}/{op}_{len(nodes)}"))
        return out

    def weight(name):
        weights.append(ox.floats([numbers.gauss(0, 1) for _ in range(64)], name, [8, 8]))
        return name

    for i in range(count):
        scope = f"/encoder/layer.{i}"
        heads = []
        for part in "qkv":
            y = add(f"{scope}/attention", "MatMul", [x, weight(f"layer.{i}.{part}")])
            y = add(f"{scope}/attention", "Mul", [y, weight(f"layer.{i}.{part}.scale")])
            heads.append(add(f"{scope}/attention", "Tanh", [y]))
        y = add(f"{scope}/attention", "MatMul", [heads[0], add(f"{scope}/attention", "Transpose", [heads[1]])])
        y = add(f"{scope}/attention", "Add", [y, "mask"])
        y = add(f"{scope}/attention", "Softmax", [y])
        y = add(f"{scope}/attention", "MatMul", [y, heads[2]])
        x = add(scope, "Add", [x, y])
        y = add(f"{scope}/mlp", "MatMul", [x, weight(f"layer.{i}.up")])
        y = add(f"{scope}/mlp", "LeakyRelu", [y], ox.attr_float("alpha", alpha))
        y = add(f"{scope}/mlp", "MatMul", [y, weight(f"layer.{i}.down")])
        x = add(scope, "Add", [x, y])
        x = add(scope, "Relu", [x])
        x = add(scope, "Identity", [x])
    nodes.append(ox.node("Identity", [x], ["y"], name="last"))
    io = [ox.value("x", ox.FLOAT, [8, 8]), ox.value("mask", ox.FLOAT, [8, 8])]
    return ox.model(ox.graph(nodes, io, [ox.value("y", ox.FLOAT, [8, 8])], weights))


def nested():
    """An If whose branch holds a Loop, a call of a local function, and an operator that nobody knows."""
    cond = ox.value("go", ox.BOOL, [])
    body = ox.graph([ox.node("Identity", ["go_in"], ["go_out"]), ox.node("Add", ["v", "x"], ["v_out"], name="inner_add")],
                    [ox.value("i", ox.INT64, []), ox.value("go_in", ox.BOOL, []), ox.value("v", ox.FLOAT, [2])],
                    [ox.value("go_out", ox.BOOL, []), ox.value("v_out", ox.FLOAT, [2])], name="loop_body")
    then = ox.graph([ox.node("Loop", ["trips", "", "x"], ["t"], ox.attr_graph("body", body), name="the_loop")], [],
                    [ox.value("t", ox.FLOAT, [2])], [ox.ints([3], "trips", dims=[])], name="then_graph")
    otherwise = ox.graph([ox.node("Neg", ["x"], ["e"], name="negate")], [], [ox.value("e", ox.FLOAT, [2])], name="else_graph")
    nodes = [ox.node("If", ["go"], ["a"], ox.attr_graph("then_branch", then), ox.attr_graph("else_branch", otherwise), name="choice"),
             ox.node("Twice", ["a"], ["b"], ox.attr_float("by", 2.0), domain="own", name="call"),
             ox.node("Mystery", ["b"], ["y"], ox.attr_string("why", "unknown"), domain="nowhere", name="riddle")]
    referring = ox.block(1, "alpha") + ox.number(20, 1) + ox.block(21, "by")
    function = ox.function("Twice", "own", ["p"], ["q"], [ox.node("Elu", ["p"], ["half"], referring, name="elu"),
                                                            ox.node("Add", ["half", "half"], ["q"], name="sum")])
    function += ox.block(6, "by")
    extra = ox.block(25, function) + ox.opset(1, "own") + ox.opset(1, "nowhere")
    return ox.model(ox.graph(nodes, [cond, ox.value("x", ox.FLOAT, [2])], [ox.value("y", ox.FLOAT, [2])]), extra=extra)


HOSTILE = ["</script><script>window.hacked=1</script>", "<img src=x onerror=window.hacked=1>", "\u202egnp.exe\u202c", "{{script}}",
           "<!--<script>", "a\"b'c`d${window.hacked=1}", "\u2028\u2029", "x" * 60000, "&lt;b&gt;", "__proto__", "constructor",
           "]]></svg><script>window.hacked=1</script>"]


def hostile():
    """Names, documentation and attributes that would be code in a page that put them together carelessly."""
    nodes, x = [], "x"
    for i, name in enumerate(HOSTILE):
        y = name if i % 2 else f"v{i}"
        nodes.append(ox.node("Elu", [x], [y], ox.attr_string("note", name), name=name) + ox.block(6, name))
        x = y
    nodes.append(ox.node("</script><svg onload=window.hacked=1>", [x], ["y"], domain="<b>", name="last"))
    extra = ox.block(2, HOSTILE[0]) + ox.block(14, ox.block(1, HOSTILE[1]) + ox.block(2, HOSTILE[0])) + ox.opset(1, "<b>")
    return ox.model(ox.graph(nodes, [ox.value("x", ox.FLOAT, ["<n>"])], [ox.value("y", ox.FLOAT, None)], name=HOSTILE[0]), extra=extra)
