# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime's own words for what a run is fed and asked for, which programs look for in messages. They are made of
the fields of an error (docs/errors.md), whoever found it: the engine, or this package. Read next: _errors.c."""

FIX = "Please fix either the inputs/outputs or the model."


def dims(shape):
    """'shape [2,4]' -> ['2', '4']"""
    return [d for d in shape[shape.index("[") + 1:-1].split(",") if d]


def wrong_dims(name, found, expected):
    pairs = enumerate(zip(dims(found), dims(expected)))
    differ = [f" index: {i} Got: {d} Expected: {e}\n" for i, (d, e) in pairs if e not in ("?", d)]
    return f"Got invalid dimensions for input: {name} for the following indices\n{''.join(differ)} {FIX}"


def phrase(code, input="", output="", found="", expected="", **others):
    """The words for an error of this code; None where there are none of their own."""
    if code == "input-type":
        return f"Unexpected input data type. Actual: ({found}) , expected: ({expected})"
    if code == "input-rank":
        return f"Invalid rank for input: {input} Got: {len(dims(found))} Expected: {len(dims(expected))} {FIX}"
    if code == "input-shape":
        return wrong_dims(input, found, expected)
    if code == "missing-input" and "operator" not in others:
        return f"Required inputs ({others.get('missing', [input])}) are missing from input feed ({others.get('fed', [])})."
    if code == "unknown-input":
        return f"Invalid input name: {input}"
    if code == "fixed-input":
        return (f"Invalid input name: {input}; it is a constant of the model, fixed at load: name it in the option "
                "sardonyx.overridable_initializers (SessionOptions.add_session_config_entry) to feed it")
    if code == "unknown-output":
        return f"Invalid output name:{output}"
    return None
