# SPDX-License-Identifier: Apache-2.0
"""The public surface of a package onnxruntime as JSON, {name: signature}: functions, classes with their methods,
properties and members. Run by itself under the real package and under ours; test_surface.py compares."""
import importlib
import inspect
import json
import re
import sys
import types

MODULES = ("onnxruntime", "onnxruntime.capi._pybind_state", "onnxruntime.capi.onnxruntime_pybind11_state",
           "onnxruntime.capi.onnxruntime_inference_collection", "onnxruntime.capi.onnxruntime_validation",
           "onnxruntime.capi.onnxruntime_collect_build_info", "onnxruntime.capi.build_and_package_info",
           "onnxruntime.backend", "onnxruntime.backend.backend",
           "onnxruntime.backend.backend_rep", "onnxruntime.datasets")
# Names of the real module's classes as they are, or as C++ has them where Python's were not known yet.
NATIVE = re.compile(r"onnxruntime\.capi\.onnxruntime_pybind11_state\.|onnxruntime::(?:python::Py|lora::)?")
VECTOR = "std::vector<OrtValue, std::allocator<OrtValue> >"
# Methods with a meaning of their own; the others with two underscores are compared by what they do (behaviours.txt).
SPECIAL = {"__init__", "__len__", "__iter__", "__getitem__", "__array__", "__dlpack__", "__dlpack_device__",
           "__enter__", "__exit__"}


def shown(value):
    return f"<{type(value).__name__}.{value.name}>" if hasattr(value, "name") else repr(value)


def python_signature(function):
    parts = []
    for p in inspect.signature(function).parameters.values():
        mark = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        kind = {p.KEYWORD_ONLY: "keyword ", p.POSITIONAL_ONLY: "positional "}.get(p.kind, "")
        parts.append(kind + mark + p.name + ("" if p.default is p.empty else f"={shown(p.default)}"))
    return f"({', '.join(parts)})"


def native_signatures(name, doc):
    """The lines of a docstring that pybind11 writes, or None."""
    lines = [re.sub(r"^\d+\. ", "", line) for line in (doc or "").splitlines()]
    found = [NATIVE.sub("", line.replace(VECTOR, "OrtValueVector")) for line in lines
             if re.match(rf"{re.escape(name)}\(.*\) -> ", line)]
    return " or ".join(found) or None


def signature(name, value):
    native = native_signatures(name, getattr(value, "__doc__", None))
    if native:
        return native
    if isinstance(value, (types.FunctionType, types.MethodType)):
        return python_signature(value)
    return "callable"


def members(prefix, cls, public):
    bases = [base.__name__ for base in cls.__bases__ if base is Exception or base.__name__ in public]
    yield prefix, f"class({', '.join(bases)})"
    inherited = {name for base in cls.__mro__[1:] if base.__module__ in ("builtins", "pybind11_builtins", "abc")
                 or base.__name__ in public for name in vars(base)}
    for name in sorted(set(dir(cls)) - (inherited - vars(cls).keys())):
        value = inspect.getattr_static(cls, name)
        if name.startswith("_") and name not in SPECIAL:
            continue
        if isinstance(value, (property, types.MemberDescriptorType)):
            settable = getattr(value, "fset", True)
            yield f"{prefix}.{name}", "property" + (", settable" if settable else "")
        elif isinstance(value, (staticmethod, classmethod)):
            yield f"{prefix}.{name}", f"{type(value).__name__} {signature(name, getattr(cls, name))}"
        elif not callable(value):
            yield f"{prefix}.{name}", f"member {shown(value)}"
        elif name != "__init__" or "No constructor" not in refusal(cls):
            yield f"{prefix}.{name}", signature(name, getattr(cls, name))


def refusal(cls):
    """What a class that cannot be made says."""
    try:
        cls()
    except TypeError as failure:
        return str(failure)
    except Exception:
        pass
    return ""


def surface():
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in dir(module):
            value = getattr(module, name)
            own = getattr(value, "__module__", None) or type(value).__module__
            if name.startswith("_") or isinstance(value, types.ModuleType) or not own.startswith("onnxruntime"):
                continue
            if isinstance(value, type):
                if own == module_name or (own.startswith("onnxruntime.capi._") and module_name.endswith("_collection")):
                    yield from members(f"{module_name}.{name}", value, dir(module))
                else:
                    yield f"{module_name}.{name}", "class"
            elif callable(value):
                yield f"{module_name}.{name}", signature(name, value)
            else:
                yield f"{module_name}.{name}", f"value {shown(value)}"


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dict(surface()), indent=1))
