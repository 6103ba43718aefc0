# SPDX-License-Identifier: Apache-2.0
"""The exception classes of the module, and Sardonyx's errors as them: `[ONNXRuntimeError] : 2 : INVALID_ARGUMENT :
text`. What a run is fed is worded by sardonyx itself (sardonyx/_phrases.py); here are the classes, the numbers, and the
words around what an operator or a load reports."""
import collections
import contextlib

import sardonyx
from sardonyx._phrases import phrase

from ._native import exported

# Class: number and name of its status.
_STATUSES = {"Fail": (1, "FAIL"), "InvalidArgument": (2, "INVALID_ARGUMENT"), "NoSuchFile": (3, "NO_SUCHFILE"),
             "NoModel": (4, "NO_MODEL"), "EngineError": (5, "ENGINE_ERROR"),
             "RuntimeException": (6, "RUNTIME_EXCEPTION"), "InvalidProtobuf": (7, "INVALID_PROTOBUF"),
             "ModelLoaded": (8, "MODEL_LOADED"), "NotImplemented": (9, "NOT_IMPLEMENTED"),
             "InvalidGraph": (10, "INVALID_GRAPH"), "EPFail": (11, "EP_FAIL"),
             "ModelLoadCanceled": (12, "MODEL_LOAD_CANCELED"),
             "ModelRequiresCompilation": (13, "MODEL_REQUIRES_COMPILATION"), "NotFound": (14, "NOT_FOUND"),
             "DeviceReset": (15, "DEVICE_RESET")}
CLASSES = {name: exported(type(name, (Exception,), {"fields": None})) for name in _STATUSES}
OURS = tuple(getattr(sardonyx, name) for name in _STATUSES if hasattr(sardonyx, name))
# What a load reports by its code (docs/errors.md): the class, and the words that programs look for.
_LOADS = {
    "unknown-operator": ("InvalidGraph", "This is an invalid model. In Node, (\"{node}\", {operator}), Error No Op "
                         "registered for {operator}."),
    "unknown-value": ("InvalidArgument", "Invalid model. Node input '{input}' is not a graph input, initializer, or "
                      "output of a previous node."),
    "duplicate-name": ("Fail", "This is an invalid model. Error: Duplicate definition of name ({output})."),
    "cycle": ("Fail", "This is an invalid model. Error: the graph is not acyclic."),
    "value": ("Fail", "This is an invalid model. Graph output ({output}) does not exist in the graph."),
    "element-type": ("InvalidGraph", "This is an invalid model. Type Error:"),
    "type-or-shape": ("Fail", "Node ({node}) Op ({operator}) [ShapeInferenceError]"),
}


def error(name, text, fields=None):
    """An exception of a class, worded like those of the real module; fields: what sardonyx knows (docs/errors.md)."""
    number, status = _STATUSES[name]
    made = CLASSES[name](f"[ONNXRuntimeError] : {number} : {status} : {text}")
    made.fields = fields
    return made


def unavailable(what, instead):
    """What this package does not do, and what does."""
    return error("NotImplemented", f"{what} is not part of Sardonyx. {instead}")


def words_of(failure):
    """The text of one of sardonyx's exceptions without its status."""
    return str(failure).split(" : ", 3)[-1]


@contextlib.contextmanager
def loading(model):
    """Errors of the load of a Model as those of the module: its words first, then what Sardonyx found."""
    try:
        yield
    except OURS as failure:
        name, words = _of_load(failure, model)
        raise error(name, f"{words} {words_of(failure).removeprefix(f'Load model from {model.path} failed:')}".strip(),
                    failure.fields) from None


def _of_load(failure, model):
    """(class, words) for what a load reports."""
    fields, name = failure.fields or {}, type(failure).__name__
    if name == "InvalidProtobuf" and model.has_no_graph():
        return "InvalidArgument", "No graph was found in the protobuf."
    if name == "InvalidProtobuf" or fields.get("found") == "a folder":
        return "InvalidProtobuf", (f"Load model from {model.path} failed:Protobuf parsing failed." if model.path else
                                   "Failed to load model because protobuf parsing failed.")
    code = fields.get("code")
    if code == "type-or-shape" and fields.get("found", "").startswith("element type"):
        code = "element-type"
    if code in _LOADS:
        name, words = _LOADS[code]
        return name, words.format_map(collections.defaultdict(str, fields))
    if name == "InvalidGraph":
        return name, "This is an invalid model."
    return name, f"Load model from {model.path} failed:" if model.path else ""


def of_run(failure):
    """An error of a run as one of the module."""
    fields, name = failure.fields or {}, type(failure).__name__
    text = fields and phrase(**fields) or words_of(failure)
    if fields.get("operator"):
        text = (f"Non-zero status code returned while running {fields['operator']} node. "
                f"Name:'{fields.get('node', '')}' Status Message: {text}")
        name = "Fail" if fields.get("code") == "type-or-shape" else name
    return error(name, text, failure.fields)
