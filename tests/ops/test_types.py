#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every element type that the schemas of the onnx package allow, in every version of every operator: a tiny
model of one node each, made from the operator's cases (docs/cases.md) as that version spells them, and compared
with onnx.reference, else ONNX Runtime, where these run it. Then every case in every version that can say it.

    tests/ops/test_types.py [NAME ...]     only operators whose name contains a NAME
"""
import collections
import pathlib
import re
import sys
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import venv  # noqa: E402

venv.enter()
import numpy as np  # noqa: E402
import onnx  # noqa: E402
from onnx import helper  # noqa: E402

import cases  # noqa: E402
import engine  # noqa: E402
import oracles  # noqa: E402
import records  # noqa: E402

warnings.filterwarnings("ignore")
np.seterr(all="ignore")

# Operators that take graphs or files are tried elsewhere with every type that matters to them.
ELSEWHERE = {"ImageDecoder": "takes pictures: tests/codecs", "Gradient": "takes graphs: test_gradient.py"}
# Texts for operators whose records have none because their results are random.
RANDOM = {"Bernoulli": ["input=float[3,4]@0..1"], "Multinomial": ["input=float[2,3] sample_size=5"],
          "RandomNormal": ["shape=3,4"], "RandomUniform": ["shape=3,4"],
          "RandomNormalLike": ["input=float[3,4]", "input=float[3,4] dtype=1"],
          "RandomUniformLike": ["input=float[3,4]", "input=float[3,4] dtype=1"]}
# Inputs of the newest version that older ones had as attributes of another name.
OLD_NAMES = {("Pad", "pads"): "paddings", ("Pad", "constant_value"): "value", ("TopK", "K"): "k",
             ("Dropout", "training_mode"): "is_test"}
OUTPUT_TYPE = ("to", "dtype", "output_dtype", "output_datatype")
# Texts for versions whose form the newest cases do not say.
OLD = {("BatchNormalization", 1): ["X=float[2,3,4] scale=float[3] B=float[3] mean=float[3] var=float[3]@0.5..2 "
                                   "is_test=1 consumed_inputs=0,0,0,1,1"],
       ("LabelEncoder", 1): ["X=string(a,b,c,zz) classes_strings=a,b,c default_int64=-7",
                             "X=int64(0,1,2,9) classes_strings=a,b,c default_string=none"],
       ("Resize", 10): ["X=float[1,1,2,3] scales=float(1,1,2,2) mode=nearest"],
       ("Tile", 1): ["input=float[2,3] tiles=float(2) axis=float(1)", "input=float[2,3] tiles=int64(2) axis=int64(1)"],
       ("Upsample", 1): ["X=float[1,1,2,3] width_scale=2.0 height_scale=3.0"]}


class OldRecord:
    """What cases.Case wants to know of a record, from a schema of ONNX."""

    def __init__(self, schema):
        self.name, self.label, self.domain = schema.name, schema.name, schema.domain
        self.versions = [schema.since_version]
        self.types = {c.type_param_str: [t[7:-1] for t in c.allowed_type_strs if t.startswith("tensor(")]
                      for c in schema.type_constraints}
        self.inputs = [self.formal(f) for f in schema.inputs]
        self.outputs = [self.formal(f) for f in schema.outputs]
        self.attrs = [records.Attribute(f"{a.name}:{a.type.name.lower()}") for a in schema.attributes.values()]

    def formal(self, f):
        option = onnx.defs.OpSchema.FormalParameterOption
        end = {option.Optional: "?", option.Variadic: "*"}.get(f.option, "")
        return records.Formal(f"{f.name}:{plain(f.type_str)[0] or f.type_str}{end}")


class Unfit(Exception):
    """The case cannot be said in this version or with these types."""


def plain(kind):
    """(element type, wrapping) of a schema's spelling: "seq(tensor(float))" is ("float", "seq")."""
    kind = kind.replace(" ", "")
    inner = re.search(r"tensor\((\w+)\)", kind)
    return (inner.group(1) if inner else None), re.sub(r"tensor\(\w+\)", "", kind).replace("(", " ").replace(")", "").strip()


def proto_of(kind):
    """TypeProto of a schema's spelling."""
    kind = kind.replace(" ", "")
    if kind.startswith("tensor("):
        return helper.make_tensor_type_proto(engine.DTYPES[kind[7:-1]][0], None)
    if kind.startswith("map("):
        key, value = kind[4:-1].split(",")
        inner = helper.make_tensor_type_proto(engine.DTYPES[value][0], ())
        return helper.make_map_type_proto(engine.DTYPES[key][0], inner)
    inner = proto_of(kind[kind.index("(") + 1:-1])
    return helper.make_sequence_type_proto(inner) if kind.startswith("seq(") else helper.make_optional_type_proto(inner)


def spelled(x):
    """How a schema spells the type of a result."""
    if isinstance(x, np.ndarray):
        return f"tensor({engine.name_of(x.dtype)})"
    if isinstance(x, list):
        return f"seq({spelled(x[0])})" if x else "seq"
    if isinstance(x, dict):
        key, value = next(iter(x.items()))
        names = {str: "string", int: "int64", float: "float"}
        return f"map({names[type(key)]},{names[type(value)]})"
    return "optional"


def means(got, kind):
    """Whether a result of type `got` is of the schema's type `kind`; maps come back as Python's numbers."""
    kind = kind.replace(" ", "").replace("double)", "float)") if "map(" in kind else kind.replace(" ", "")
    return got == kind or kind == f"optional({got})" or (got == "seq" and kind.startswith("seq(")) or (
        got == "optional" and kind.startswith("optional("))


# ---- one node -----------------------------------------------------------------------------------------

class Trial:
    """One case as version `schema.since_version` has it, with a type for each type variable."""

    def __init__(self, schema, case, chosen):
        self.schema, self.case, self.chosen = schema, case, chosen
        self.random = np.random.default_rng(7)
        self.names, self.infos, self.initializers, self.feeds, self.left = [], [], [], {}, {}
        given = collections.defaultdict(list)
        for place, (formal, x) in enumerate(case.inputs):
            given[formal.name].append((place, x))
        formals = [f.name for f in schema.inputs]
        for place, formal in enumerate(schema.inputs):
            mine = given.pop(formal.name, None)
            if mine is None and place < len(case.inputs):
                other = case.inputs[place][0].name
                if other not in formals and other not in schema.attributes and other in given:
                    mine = given.pop(other)
            for _, x in mine or []:
                self.add(formal, x)
            if not mine:
                if formal.option == onnx.defs.OpSchema.FormalParameterOption.Single:
                    raise Unfit(f"no {formal.name}")
                self.names.append("")
        for name, mine in given.items():
            for _, x in mine:
                if not x.absent:
                    self.left[name] = x
        while self.names and not self.names[-1]:
            self.names.pop()
        self.attributes = {}
        self.set_attributes()

    def type_of(self, formal):
        return self.chosen.get(formal.type_str, formal.type_str)

    def add(self, formal, x):
        if x.absent:
            self.names.append("")
            return
        name = f"i{len(self.names)}"
        self.names.append(name)
        kind = self.type_of(formal)
        dtype, around = plain(kind)
        array = self.data(x, kind, dtype, around)
        if x.constant and not around:
            self.initializers.append(cases.tensor_of(name, array))
            return
        self.infos.append(helper.make_value_info(name, proto_of(kind)))
        self.feeds[name] = array

    def data(self, x, kind, dtype, around):
        if x.map is not None or around.startswith("map"):
            if x.map is None or f"map({x.map[0]},{x.map[1]})" != kind.replace(" ", ""):
                raise Unfit(f"no map for {kind}")
            return x.map[2]
        if x.items is not None:
            if "seq" not in around:
                raise Unfit("a sequence")
            return [cases.data(i, dtype, self.random, {}) for i in x.items]
        if x.values is not None and dtype != "string" and re.search("[a-z]", "".join(x.values).replace("e", "")):
            raise Unfit("words")
        made = cases.data(x, dtype, self.random, {})
        return [made, made] if "seq" in around else made

    def set_attributes(self):
        for name, kind, text in self.case.attributes:
            known = self.schema.attributes.get(name)
            if known is None:
                continue
            if known.type == onnx.defs.OpSchema.AttrType.STRING and kind == "int":
                text = engine.NAMES[int(text)].upper()
                kind = "string"
            self.attributes[name] = cases.attribute(name, kind, text)
        for name, x in self.left.items():
            old = name if name in self.schema.attributes else OLD_NAMES.get((self.schema.name, name), name)
            known = self.schema.attributes.get(old)
            if known is None:
                if x.values is not None or name in ("roi",):
                    raise Unfit(f"{name} is not known")
                continue
            if x.values is None:
                raise Unfit(f"{name} has no values")
            kind = known.type.name.lower()
            self.attributes[old] = cases.attribute(old, kind, ",".join(str(float(v)) if "float" in kind else v
                                                                       for v in x.values))
        for name, known in self.schema.attributes.items():
            if known.required and name not in self.attributes:
                raise Unfit(f"attribute {name}")

    def ask_for(self, dtype):
        """Sets the attribute that says the type of the output."""
        for name in OUTPUT_TYPE if dtype else ():
            if name in self.schema.attributes:
                text = self.schema.attributes[name].type == onnx.defs.OpSchema.AttrType.STRING
                self.attributes[name] = helper.make_attribute(name, dtype.upper() if text else engine.DTYPES[dtype][0])
                return
        value = self.schema.attributes.get("value")
        if dtype and value is not None and value.type == onnx.defs.OpSchema.AttrType.TENSOR:
            made = onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR)
            old = self.attributes.get("value")
            dims = tuple(old.t.dims) if old else (1,)
            made.t.CopyFrom(cases.tensor_of("value", cases.numbers(self.random, dtype, dims, None)))
            for name in [n for n in self.attributes if n.startswith("value")]:
                del self.attributes[name]
            self.attributes["value"] = made

    def model(self):
        schema = self.schema
        outputs = [f"o{i}" for i in range(max(1, min(self.case.output_count, schema.max_output)))]
        node = helper.make_node(schema.name, self.names, outputs, domain=schema.domain, name="n")
        node.attribute.extend(self.attributes.values())
        opsets = [helper.make_opsetid(schema.domain, schema.since_version)]
        if schema.domain:
            opsets.append(helper.make_opsetid("", 17))
        graph = helper.make_graph([node], "g", self.infos, [onnx.ValueInfoProto(name=o) for o in outputs],
                                  self.initializers)
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)


# ---- operators that take graphs -------------------------------------------------------------------------

def value_of(kind, random):
    dtype, around = plain(kind)
    made = cases.numbers(random, dtype, (2, 3), None)
    return [made, made] if "seq" in around else made


class GraphTrial:
    """If, Loop, Scan and SequenceMap around Identity."""

    def __init__(self, schema, kind):
        self.schema, self.kind = schema, kind
        self.value = value_of(kind, np.random.default_rng(7))
        self.feeds = {"x": self.value}

    def model(self):
        name, version, proto = self.schema.name, self.schema.since_version, proto_of(self.kind)
        info = lambda n: helper.make_value_info(n, proto)  # noqa: E731
        same = lambda a, b: helper.make_node("Identity", [a], [b])  # noqa: E731
        flag = helper.make_tensor_value_info("cond", onnx.TensorProto.BOOL, [])
        constants = [cases.tensor_of("yes", np.bool_(True)), cases.tensor_of("trips", np.int64(2))]
        if name == "If":
            bodies = {k: helper.make_graph([same("x", k + "_y")], k, [], [info(k + "_y")])
                      for k in ("then_branch", "else_branch")}
            node = helper.make_node("If", ["yes"], ["y"], **bodies)
        elif name == "Loop":
            body = helper.make_graph([same("cond", "go"), same("v", "w")], "body",
                                     [helper.make_tensor_value_info("i", onnx.TensorProto.INT64, []), flag, info("v")],
                                     [helper.make_tensor_value_info("go", onnx.TensorProto.BOOL, []), info("w")])
            node = helper.make_node("Loop", ["trips", "yes", "x"], ["y"], body=body)
        elif name == "SequenceMap":
            inner = helper.make_tensor_value_info("v", engine.DTYPES[plain(self.kind)[0]][0], [2, 3])
            outer = helper.make_tensor_value_info("w", engine.DTYPES[plain(self.kind)[0]][0], [2, 3])
            node = helper.make_node("SequenceMap", ["x"], ["y"],
                                    body=helper.make_graph([same("v", "w")], "body", [inner], [outer]))
        else:
            inner = helper.make_tensor_value_info("v", engine.DTYPES[plain(self.kind)[0]][0], None)
            outer = helper.make_tensor_value_info("w", engine.DTYPES[plain(self.kind)[0]][0], None)
            body = helper.make_graph([same("v", "w")], "body", [inner], [outer])
            if version == 8:
                self.feeds = {"x": self.value[None]}
                node = helper.make_node("Scan", ["", "x"], ["y"], body=body, num_scan_inputs=1)
            else:
                node = helper.make_node("Scan", ["x"], ["y"], body=body, num_scan_inputs=1)
        used = [c for c in constants if c.name in node.input]
        graph = helper.make_graph([node], "g", [info("x")], [onnx.ValueInfoProto(name="y")], used)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", version)], ir_version=10)


GRAPHS = ("If", "Loop", "Scan", "SequenceMap")


# ---- one type -------------------------------------------------------------------------------------------

def written(schema, case):
    """{type variable of the schema: type} as the case has it."""
    names = {f.name: f for f in schema.inputs}
    base = {}
    for place, (formal, x) in enumerate(case.inputs):
        at = names.get(formal.name) or (schema.inputs[min(place, len(schema.inputs) - 1)] if schema.inputs else None)
        if at is None or x.absent:
            continue
        first = x.items[0] if x.items else x
        spelling = f"map({x.map[0]}, {x.map[1]})" if x.map else f"tensor({first.dtype})"
        base.setdefault(at.type_str, f"seq({spelling})" if x.items else spelling)
    return base


def choices(schema, case, variable, kind):
    """Assignments of the type variables of a schema to a case with `variable` = `kind`, the likeliest first."""
    allowed = {c.type_param_str: sorted(c.allowed_type_strs) for c in schema.type_constraints}
    base = written(schema, case)
    mine, element = plain(base.get(variable, ""))[0], plain(kind)[0]
    for follow in ("same", "none", "all"):
        chosen = {variable: kind}
        for other, options in allowed.items():
            if other == variable:
                continue
            old = base.get(other)
            moved = old and element and old.replace(f"({plain(old)[0]})", f"({element})")
            old = f"optional({old})" if f"optional({old})" in options else old
            moved = f"optional({moved})" if f"optional({moved})" in options else moved
            if moved in options and (follow == "all" or follow == "same" and plain(old)[0] == mine):
                chosen[other] = moved
            elif old in options:
                chosen[other] = old
            else:
                chosen[other] = next((o for o in ("tensor(float)", "tensor(int64)") if o in options), options[0])
        yield chosen


def output_only(schema, variable):
    return all(f.type_str != variable for f in schema.inputs)


def trials(schema, record, variable, kind):
    if schema.name in GRAPHS and schema.domain == "":
        fit = kind if schema.name != "SequenceMap" or kind.startswith("seq(") else f"seq({kind})"
        yield GraphTrial(schema, fit)
        return
    texts = [cases.Case(record, t) for t in record.cases or RANDOM.get(record.name, [])]
    texts += [cases.Case(OldRecord(schema), t) for t in OLD.get((schema.name, schema.since_version), [])]
    for case in texts:
        for chosen in choices(schema, case, variable, kind):
            for ask in (True, False) if output_only(schema, variable) else (False,):
                try:
                    trial = Trial(schema, case, chosen)
                    if ask:
                        trial.ask_for(plain(kind)[0])
                    yield trial
                except (Unfit, ValueError, OverflowError) as error:
                    yield error


def carries(schema, trial, variable, kind, got):
    """Whether the model really has `kind` at `variable`."""
    if isinstance(trial, GraphTrial):
        return True
    used = [f for f, n in zip(schema.inputs, trial.names) if n]
    if any(f.type_str == variable for f in used):
        return True
    places = [i for i, f in enumerate(schema.outputs) if f.type_str == variable]
    return any(means(spelled(got[i]), kind) for i in places if i < len(got)) or (
        bool(places) and schema.outputs[-1].type_str == variable and any(means(spelled(g), kind) for g in got))


def judged(trial, model, got, rules, refused):
    """"agreed", "alone", or what the oracles say against it."""
    against = []
    for oracle in (oracles.Reference, oracles.Runtime):
        if oracle.name in refused:
            continue
        try:
            want = oracle(model).run(trial.feeds)
        except Exception:  # oracles refuse in their own words
            continue
        why = "runs" if got is None else oracles.differs(got, list(want), rules)
        if why is None:
            return "agreed"
        against.append(f"against {oracle.name}: {why}")
    return "; ".join(against) or "alone"


def attempt(schema, record, variable, kind):
    """("agreed" | "alone", "") or ("failed", why)"""
    why = "no case fits"
    alone = False
    for trial in trials(schema, record, variable, kind):
        if isinstance(trial, Exception):
            why = why if why != "no case fits" else str(trial)
            continue
        model = trial.model()
        try:
            got = engine.Session(model.SerializeToString()).run(trial.feeds)
        except engine.Failure as failure:
            why = ": ".join(failure.args)[:260]
            continue
        if not carries(schema, trial, variable, kind, got):
            why = f"results are {[spelled(g) for g in got]}"
            continue
        if record.name in RANDOM:
            return "alone", ""
        kinds = [plain(k)[0] or "" for k in getattr(trial, "chosen", {variable: kind}).values()]
        rules = rules_for(record, [plain(kind)[0] or "", *kinds])
        text = "" if isinstance(trial, GraphTrial) else trial.case.text
        refused = oracles.refused(record.name, kinds, text, version=schema.since_version)
        verdict = judged(trial, model, got, rules, refused)
        if verdict == "agreed":
            return verdict, ""
        if verdict == "alone":
            alone = True
        else:
            why = verdict
    return ("alone", "") if alone else ("failed", why)


def rules_for(record, kinds):
    """Half precision is judged as such wherever it takes part."""
    half = next((k for k in kinds if "16" in k and "float" in k), None)
    return oracles.Rules(oracles.rounded(record), half or next((k for k in kinds if k), "float"), True)


def old_forms(schema, record):
    """Each case as this version has it: what comes of every attribute and default that later versions changed.
    Yields the verdict and the case's text."""
    if schema.name in GRAPHS or record.name in RANDOM:
        return
    allowed = {c.type_param_str: c.allowed_type_strs for c in schema.type_constraints}
    for text in record.cases:
        case = cases.Case(record, text)
        variable, kind = next(((v, k) for v, k in written(schema, case).items() if k in allowed.get(v, ())), ("", ""))
        chosen = next(choices(schema, case, variable, kind))
        chosen.pop("", None)
        try:
            trial = Trial(schema, case, chosen)
        except (Unfit, ValueError, OverflowError):
            continue
        model = trial.model()
        kinds = [plain(k)[0] or "" for k in chosen.values()]
        refused = oracles.refused(record.name, kinds, text, version=schema.since_version)
        try:
            got = engine.Session(model.SerializeToString()).run(trial.feeds)
        except engine.Failure as failure:
            # What no oracle runs either may be no model of this version.
            runs = judged(trial, model, None, None, refused) != "alone"
            yield ": ".join(failure.args)[:260] if runs else "alone", text
            continue
        yield judged(trial, model, got, rules_for(record, kinds), refused), text


def main():
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    table = records.load()
    counts = collections.Counter()
    schemas = sorted(onnx.defs.get_all_schemas_with_history(), key=lambda s: (s.domain, s.name, s.since_version))
    alone = collections.Counter()
    for schema in schemas:
        if schema.deprecated or schema.name in ELSEWHERE or names and not any(n in schema.name for n in names):
            continue
        record = table.get((schema.domain, schema.name))
        failures = collections.defaultdict(list)
        used = {f.type_str for f in [*schema.inputs, *schema.outputs]}
        for constraint in [c for c in schema.type_constraints if c.type_param_str in used]:
            for kind in sorted(constraint.allowed_type_strs):
                verdict, why = attempt(schema, record, constraint.type_param_str, kind) if record else ("failed", "unknown")
                counts[verdict] += 1
                alone[schema.name] += verdict == "alone"
                if verdict == "failed":
                    failures[why].append(f"{constraint.type_param_str}={kind}")
        for verdict, text in old_forms(schema, record) if record else ():
            counts["forms"] += verdict in ("agreed", "alone")
            if verdict not in ("agreed", "alone"):
                counts["failed"] += 1
                print(f"FAILED {schema.domain or 'ai.onnx'} {schema.name} {schema.since_version} {text}: {verdict}")
        for why, kinds in failures.items():
            print(f"FAILED {schema.domain or 'ai.onnx'} {schema.name} {schema.since_version} {' '.join(kinds)}: {why}")
    if "--verbose" in sys.argv:
        print("no oracle:", dict(alone.most_common()))
    print(f"{counts['agreed']} types agree with an oracle, {counts['alone']} run where no oracle does")
    print(f"{counts['forms']} cases as each version has them")
    print(f"{counts['agreed'] + counts['alone'] + counts['forms']} passed, {counts['failed']} failed, 0 skipped")
    return counts["failed"] != 0


if __name__ == "__main__":
    sys.exit(main())
