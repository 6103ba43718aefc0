# SPDX-License-Identifier: Apache-2.0
"""What programs do with onnxruntime, one line each: run by itself under the real package and under ours, it prints what
comes of every line as JSON. Lines of a topic run in order in a namespace of their own; one that is no
expression is executed. test_behaviours.py compares.

    python behaviours.py [TOPIC]
"""
import ast
import contextlib
import io
import json
import os
import pathlib
import re
import sys
import tempfile
import warnings

import models
import numpy as np

MODULE = "onnxruntime.capi.onnxruntime_pybind11_state."
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
PROPERTY = re.compile(r"property '\w+' of")  # compiled ones do not know their names
# Where the real package says in which line of its sources it gave up, what it asserted there, and where it cannot show
# the C++ type of an argument.
SOURCE = re.compile(r"/onnxruntime_src/\S+:\d+ .*?(?:<lambda\(.*?\)>|\)|>\([^()]*\))(?: const)?(?: \[with .*?\])? |"
                    r"\w+\.cc:\d+ \w+(?:\(\))? ")
ASSERTED = re.compile(r".*? was false\. |\s*Did you forget to `#include.*", re.S)
# Behind these words each package explains a failure in its own.
EXPLAINED = re.compile(r"(?<=Status Message:)|(?<=In Node, \()|(?<=Type Error:)|(?<=ShapeInferenceError\])|"
                       r"(?<=Error message:)")


def shown(value):
    """A value as text that does not depend on where it lies."""
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {list(value.shape)} {value.tolist()}"
    if isinstance(value, (list, tuple)):
        return type(value).__name__ + "(" + ", ".join(map(shown, value)) + ")"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{shown(k)}: {shown(v)}" for k, v in value.items()) + "}"
    if isinstance(value, type):
        return f"class {value.__module__}.{value.__name__}"
    return ADDRESS.sub("ADDRESS", repr(value))


def told(failure):
    kind, text = type(failure), ADDRESS.sub("ADDRESS", str(failure))
    text = PROPERTY.sub("property of", text)
    text = ASSERTED.sub("", SOURCE.sub("", EXPLAINED.split(text)[0]))
    return f"{kind.__module__}.{kind.__name__}: {text.replace(MODULE, '').strip()}"


def outcome(line, space):
    """What comes of a line: its value, or its exception; with what it printed and warned of."""
    printed = io.StringIO()
    with warnings.catch_warnings(record=True) as warned, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            try:
                code = compile(ast.parse(line, mode="eval"), line, "eval")
            except SyntaxError:
                exec(line, space)
                result = "done"
            else:
                result = shown(eval(code, space))
        except Exception as failure:
            result = told(failure)
    extra = [f"{w.category.__name__}: {w.message}" for w in warned if w.category is UserWarning]
    return "\n".join([result, *extra, *printed.getvalue().splitlines()])


def space():
    """The names that lines find."""
    import onnxruntime as ort
    from onnxruntime.capi import onnxruntime_pybind11_state as C

    names = {"ort": ort, "C": C, "np": np, "os": os, "json": json, "models": models, "sys": sys,
             "X": np.array([[1, 2, 3]], np.float32)}
    names.update({name: getattr(ort, name) for name in dir(ort) if name[0].isupper()})
    names["cpu"] = ort.OrtDevice.make("cpu", 0)
    return names


def topics():
    """(name, {name of a line: line}) of the file beside this; a line that comes again is named "line #2"."""
    text = pathlib.Path(__file__).with_name("behaviours.txt").read_text(encoding="utf-8")
    for part in re.split(r"^== ", text, flags=re.M)[1:]:
        name, *lines = part.splitlines()
        named = {}
        for line in lines:
            again = sum(known == line for known in named.values()) + 1
            named[line if again == 1 else f"{line} #{again}"] = line
        yield name, named


def main():
    wanted = sys.argv[1:]
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, lines in topics():
            if wanted and name not in wanted:
                continue
            names = space()
            found[name] = {key: outcome(line, names).replace(folder, "FOLDER") for key, line in lines.items()}
    sys.stdout.write(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
