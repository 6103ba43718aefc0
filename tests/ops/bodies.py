# SPDX-License-Identifier: Apache-2.0
"""Cases of the operators that hold graphs, and every small way in which such a graph can be wrong."""
import copy

import onnx
from onnx import TensorProto, helper

import cases


def info(name, kind=TensorProto.FLOAT, dims=None):
    return helper.make_tensor_value_info(name, kind, dims)


def graph(inputs, nodes, outputs):
    """From texts: `inputs` and `outputs` are infos, `nodes` "Add a b -> c"."""
    made = []
    for text in nodes:
        left, _, right = text.partition("->")
        op, *names = left.split()
        made.append(helper.make_node(op, names, right.split(), name=f"n/{op}"))
    return helper.make_graph(made, "body", inputs, outputs)


def attribute(name, value):
    return [name, None, None, helper.make_attribute(name, value)]


BRANCH = graph([], ["Cast i0 -> t"], [info("t")])
BRANCH.node[0].attribute.append(helper.make_attribute("to", 1))
LOOP = graph([info("i", 7, []), info("c", 9, []), info("v")], ["Add v v -> w", "Identity c -> d", "Identity w -> s"],
             [info("d", 9, []), info("w"), info("s")])
SCAN = graph([info("s"), info("x")], ["Add s x -> t", "Identity t -> y"], [info("t"), info("y")])
MAP = graph([info("x")], ["Relu x -> y"], [info("y")])
SCORE = graph([info("score")], ["Relu score -> y"], [info("y")])

# Operators whose records have no cases: (text, {attribute: graph})
CASES = {
    "If": ("cond=bool(1)", {"then_branch": BRANCH, "else_branch": BRANCH}),
    "Loop": ("M=int64(3) cond=bool(1) v_initial=float[2] outputs=2", {"body": LOOP}),
    "Scan": ("initial_state_and_scan_inputs=float[2] more=float[3,2] num_scan_inputs=1 outputs=2", {"body": SCAN}),
    "SequenceMap": ("input_sequence=seq(float[2];float[3])", {"body": MAP}),
    "ai.onnx.preview.FlexAttention": ("Q=float[1,2,3,4] K=float[1,2,5,4] V=float[1,2,5,4]", {"score_mod": SCORE}),
    "Bernoulli": ("input=float[3]@0..1", {}),
    "ImageDecoder": ("encoded_stream=uint8[60]", {}),
    "Multinomial": ("input=float[2,3] sample_size=4", {}),
    "RandomNormal": ("shape=2,3", {}),
    "RandomNormalLike": ("input=float[2,3]", {}),
    "RandomUniform": ("shape=2,3", {}),
    "RandomUniformLike": ("input=float[2,3]", {}),
}


def case_of(record):
    """The case of a record without texts, graphs included; None where there is none."""
    if record.label not in CASES:
        return None
    text, graphs = CASES[record.label]
    case = cases.Case(record, text)
    case.attributes += [attribute(name, g) for name, g in graphs.items()]
    return case


def wrong(g):
    """(what, graph) for each way to spoil a body."""
    def changed(change):
        made = copy.deepcopy(g)
        change(made)
        return made

    def replace_output(op, **attributes):
        def change(made):
            last = made.output[len(made.output) - 1].name
            made.node.append(helper.make_node(op, [last], ["z"], name=f"n/{op}", **attributes))
            made.output[len(made.output) - 1].CopyFrom(onnx.ValueInfoProto(name="z"))
        return change

    yield "no nodes", changed(lambda m: m.ClearField("node"))
    yield "no outputs", changed(lambda m: m.ClearField("output"))
    yield "no inputs", changed(lambda m: m.ClearField("input"))
    yield "empty", changed(lambda m: m.Clear())
    yield "one input more", changed(lambda m: m.input.append(info("more")))
    yield "one output more", changed(lambda m: m.output.append(copy.deepcopy(m.output[0])) if m.output else None)
    for i in range(len(g.input)):
        yield f"without input {i}", changed(lambda m, i=i: m.input.pop(i))
        yield f"input {i} is string", changed(lambda m, i=i: m.input[i].CopyFrom(info(m.input[i].name, 8)))
        yield f"input {i} is of shape [7,7]", changed(lambda m, i=i: m.input[i].CopyFrom(info(m.input[i].name, 1, [7, 7])))
        yield f"input {i} is a sequence", changed(lambda m, i=i: m.input[i].CopyFrom(
            helper.make_tensor_sequence_value_info(m.input[i].name, 1, None)))
        yield f"input {i} has no name", changed(lambda m, i=i: setattr(m.input[i], "name", ""))
    for i in range(len(g.output)):
        yield f"without output {i}", changed(lambda m, i=i: m.output.pop(i))
        yield f"output {i} is unknown", changed(lambda m, i=i: setattr(m.output[i], "name", "nowhere"))
        yield f"output {i} has no name", changed(lambda m, i=i: setattr(m.output[i], "name", ""))
        yield f"output {i} is an outer name", changed(lambda m, i=i: setattr(m.output[i], "name", "i0"))
        yield f"output {i} is the first", changed(lambda m, i=i: setattr(m.output[i], "name", m.output[0].name))
        if g.input:
            yield f"output {i} is an input", changed(lambda m, i=i: setattr(m.output[i], "name", m.input[0].name))
    for op, attributes in (("Cast", {"to": 8}), ("Cast", {"to": 9}), ("Shape", {}), ("NonZero", {}),
                           ("SequenceConstruct", {}), ("Optional", {}), ("Unknown", {})):
        yield f"the last output through {op} {attributes}", changed(replace_output(op, **attributes))
    yield "the last output grows", changed(lambda m: (m.node.append(helper.make_node(
        "Concat", [m.output[len(m.output) - 1].name] * 2, ["z"], name="n/Concat", axis=0)),
        m.output[len(m.output) - 1].CopyFrom(onnx.ValueInfoProto(name="z"))))
    for i in range(len(g.node)):
        yield f"node {i} reads an unknown name", changed(lambda m, i=i: m.node[i].input.__setitem__(0, "nowhere"))
        yield f"node {i} reads itself", changed(lambda m, i=i: m.node[i].input.__setitem__(0, m.node[i].output[0]))
        yield f"node {i} hides an outer name", changed(lambda m, i=i: m.node[i].output.__setitem__(0, "o0"))
        yield f"node {i} has no input", changed(lambda m, i=i: m.node[i].ClearField("input"))
