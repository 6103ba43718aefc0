#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the operator records against the schemas of the onnx package, every version of every operator: what
a schema allows (element types, attributes, numbers of inputs and outputs) a record must accept.

    tests/ops/test_schemas.py [NAME ...]     only operators whose name contains a NAME
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv  # noqa: E402

venv.enter()
import onnx  # noqa: E402

import records  # noqa: E402

KINDS = {"FLOAT": "float", "INT": "int", "STRING": "string", "TENSOR": "tensor", "GRAPH": "graph",
         "SPARSE_TENSOR": "sparse_tensor", "TYPE_PROTO": "type", "FLOATS": "floats", "INTS": "ints",
         "STRINGS": "strings", "TENSORS": "tensors", "GRAPHS": "graphs"}
ANY = 1 << 20
# Parameters of old versions that the import turns into something else before types are looked at.
CONVERTED = {("Split", 1, "split"): "cast to int64"}


def accepts(types, name):
    """`name` as a schema spells it: tensor(float), seq(tensor(float)), map(int64, float), ..."""
    name = name.replace(" ", "")
    if name.startswith("tensor("):
        return name[7:-1] in types
    return name in types or name.split("(")[0] in types


def allowed(schema, formal):
    for constraint in schema.type_constraints:
        if constraint.type_param_str == formal.type_str:
            return constraint.allowed_type_strs
    return [formal.type_str]


def missing_types(schema, record, formals, ours):
    """Types of one side of the schema that the record's formal at that place does not accept."""
    for place, formal in enumerate(formals):
        by_name = [f for f in ours if f.name == formal.name]
        at = by_name or ours[place:place + 1] or ours[-1:]
        if not at:
            yield f"{formal.name}: no such parameter"
            continue
        types = record.supported[schema.since_version].get(at[0].type) or [at[0].type]
        if (schema.name, schema.since_version, formal.name) in CONVERTED:
            continue
        lost = [t for t in allowed(schema, formal) if not accepts(types, t)]
        if lost:
            yield f"{formal.name}: {' '.join(sorted(lost))}"


def attribute_problems(schema, record):
    newest = schema.since_version == record.versions[0]
    for attribute in schema.attributes.values():
        old = [a for a in record.attrs_old
               if a.name == attribute.name and (a.below is None or schema.since_version < a.below)]
        now = [a for a in record.attrs if a.name == attribute.name]
        kind = KINDS[attribute.type.name]
        same = [a for a in old + now if a.kind == kind or (a.kind or "").split("_")[0] == kind.split("_")[0]]
        if not same:
            yield f"attribute {attribute.name}:{kind} is not known"
        elif newest and now and now[0].default is not None and attribute.default_value.type:
            value = onnx.helper.get_attribute_value(attribute.default_value)
            text = now[0].default
            equal = value.decode() == text if isinstance(value, bytes) else abs(float(text) - value) < 1e-6 * abs(value) + 1e-12
            if not equal:
                yield f"attribute {attribute.name} is {text} by default, not {value}"
        if newest and now and now[0].required and not attribute.required:
            yield f"attribute {attribute.name} is not required"


def arity(formals):
    least = sum(1 for i, f in enumerate(formals) if not f.optional and (not f.variadic or f.some))
    return least, ANY if formals and formals[-1].variadic else len(formals)


def arity_problems(schema, record):
    sides = (("inputs", record.inputs, schema.min_input, schema.max_input),
             ("outputs", record.outputs, schema.min_output, schema.max_output))
    for what, formals, low, high in sides:
        least, most = arity(formals)
        # Older forms are upgraded before they are counted.
        if schema.since_version != record.versions[0]:
            continue
        if least > low:
            yield f"at least {least} {what}, but the schema has {low}"
        if most < min(high, ANY):
            yield f"at most {most} {what}, but the schema has {high}"


def problems(schema, table):
    record = table.get((schema.domain, schema.name))
    if record is None:
        return ["the operator is not known"]
    if schema.since_version not in record.versions:
        return ["the version is not listed"]
    if schema.deprecated:
        return []
    found = [*missing_types(schema, record, schema.inputs, record.inputs)]
    found += missing_types(schema, record, schema.outputs, record.outputs)
    return found + [*attribute_problems(schema, record)] + [*arity_problems(schema, record)]


def main():
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    table = records.load()
    passed = failed = types = 0
    schemas = sorted(onnx.defs.get_all_schemas_with_history(), key=lambda s: (s.domain, s.name, s.since_version))
    for schema in schemas:
        if names and not any(n in schema.name for n in names):
            continue
        found = problems(schema, table)
        types += sum(len(c.allowed_type_strs) for c in schema.type_constraints)
        passed += not found
        failed += bool(found)
        if found:
            print(f"FAILED {schema.domain or 'ai.onnx'} {schema.name} {schema.since_version}: {'; '.join(found)}")
    print(f"{passed + failed} versioned schemas of onnx {onnx.__version__}, {types} element types, {failed} with gaps")
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
