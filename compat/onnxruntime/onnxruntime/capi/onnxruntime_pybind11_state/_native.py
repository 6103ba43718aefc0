# SPDX-License-Identifier: Apache-2.0
"""What makes a Python class look like one of the real extension module: signatures in the docstring, arguments checked
against them, enumerations, classes without a constructor.

A signature is written as annotations and kept as text: "Sequence[str]", "RunOptions", "OrtDevice | None" (None is let
through and, as in the real module, not shown). Read next: _options.py, which is nothing but such classes.
"""
import functools
import inspect
import re
import types
from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np

MODULE = "onnxruntime.capi.onnxruntime_pybind11_state"
_INTEGER = "typing.SupportsInt | typing.SupportsIndex"
_classes = {}


def exported(thing):
    """A class or function of the module: it says so, and annotations may name it."""
    thing.__module__ = MODULE
    if isinstance(thing, type):
        _classes[thing.__name__] = thing
        if not issubclass(thing, (Enumeration, Exception)):
            thing.__reduce_ex__ = _refuse_copies
    return thing


def _refuse_copies(self, protocol):
    raise TypeError(f"cannot pickle '{MODULE}.{type(self).__name__}' object")


class Kind(NamedTuple):
    """A type in a signature: how it is shown and whether a value is of it."""

    shown: str
    fits: object


def _is_integer(value):
    return hasattr(type(value), "__int__") and not isinstance(value, float) and -(2**63) <= int(value) < 2**63


def _is_int32(value):
    return _is_integer(value) and -(2**31) <= int(value) < 2**31


_SHOWN_RESULT = {"int": "int", "size": "int", "array": "numpy.ndarray", "OrtValueVector": "OrtValueVector"}
# Classes that the real module shows under their names in C++.
_FOREIGN = {"OrtValueVector": "std::vector<OrtValue, std::allocator<OrtValue> >",
            "SessionIOBinding": "onnxruntime::SessionIOBinding", "LoraAdapter": "onnxruntime::lora::LoraAdapter"}


def _anything(value):
    return True


def _is_str(value):
    return isinstance(value, str)


def _has_type(name):
    return lambda value: isinstance(value, np.ndarray) and value.dtype == name


_SIMPLE = {
    "str": Kind("str", _is_str),
    "bool": Kind("bool", lambda v: v is None or isinstance(v, (bool, int, float)) or isinstance(v, np.bool_)),
    "int": Kind(_INTEGER, _is_int32),
    "size": Kind(_INTEGER, _is_integer),
    "object": Kind("object", _anything),
    "dict": Kind("dict", lambda v: isinstance(v, dict)),
    "list": Kind("list", lambda v: isinstance(v, list)),
    "int64s": Kind("typing.Annotated[numpy.typing.ArrayLike, numpy.int64]", _anything),
    "int32s": Kind("typing.Annotated[numpy.typing.ArrayLike, numpy.int32]", _anything),
    **{f"{name}s": Kind(f"typing.Annotated[numpy.typing.ArrayLike, {shown}]", _has_type(name))
       for name, shown in (("uint8", "numpy.uint8"), ("float32", "numpy.float32"), ("float16", "float16"))},
    "array": Kind("numpy.ndarray", lambda v: isinstance(v, np.ndarray)),
    "path": Kind("str", lambda v: isinstance(v, str) or hasattr(v, "__fspath__")),
    "model": Kind("str", lambda v: isinstance(v, (str, bytes))),
    "buffer": Kind("typing_extensions.Buffer", lambda v: isinstance(v, (bytes, bytearray, memoryview, np.ndarray))),
}


def _is_sequence(value, item):
    if type(value) is not list:  # asking abstract classes takes long
        listed = isinstance(value, (Sequence, Set)) and not isinstance(value, (str, bytes))
        if not listed and not (isinstance(value, np.ndarray) and value.ndim == 1):
            return False
    return all(map(item, value))


def _is_mapping(value, key, item):
    if type(value) is not dict and not isinstance(value, Mapping):
        return False
    return all(map(key, value)) and (item is _anything or all(map(item, value.values())))


@functools.cache
def kind(text):
    """The Kind of an annotation."""
    if text.endswith(" | None"):
        inner = kind(text[:-len(" | None")])
        return Kind(inner.shown, lambda v: v is None or inner.fits(v))
    if text in _SIMPLE:
        return _SIMPLE[text]
    generic = re.fullmatch(r"(Sequence|Mapping|Set|Callable)\[(.*)\]", text)
    if not generic:
        shown = _FOREIGN.get(text, f"{MODULE}.{text}")
        return Kind(shown, lambda v: isinstance(v, _classes[text]))
    outer, inside = generic.groups()
    shown = f"collections.abc.{outer}[{re.sub(r'[A-Za-z]+', lambda word: _show_word(word[0]), inside)}]"
    if outer == "Callable":
        return Kind(shown, lambda v: v is None or callable(v))
    items = [kind(part) for part in re.split(r", (?![^\[]*\])", inside)]
    if outer == "Mapping":
        return Kind(shown, lambda v: _is_mapping(v, items[0].fits, items[1].fits))
    if outer == "Set":
        return Kind(shown, lambda v: isinstance(v, Set) and all(map(items[0].fits, v)))
    return Kind(shown, lambda v: _is_sequence(v, items[0].fits))


def _show_word(word):
    if word in ("None", "bytes"):
        return word
    return f"collections.abc.{word}" if word in ("Sequence", "Mapping", "Callable") else kind(word).shown


def _shown_result(text):
    bare = text.removesuffix(" | None")
    if "::" in text or bare in ("None", "str", "bool", "list", "dict", "object", "bytes", "tuple"):
        return text
    return _SHOWN_RESULT.get(bare, kind(bare).shown if "[" not in bare else re.sub(
        r"\w+", lambda w: f"{MODULE}.{w[0]}" if w[0] in _classes else w[0], bare))


class _Signature:
    """One way to call a function: its parameters, how they are shown, whether arguments fit."""

    def __init__(self, function, owner, constructor):
        self.function = function
        self.parameters = list(inspect.signature(function).parameters.values())
        self.constructor = constructor
        self.owner = owner
        result = function.__annotations__.get("return") or "None"
        self.shown = f"({', '.join(map(self._show, self.parameters))}) -> {_shown_result(result)}"
        self.checks = [None if p.annotation is p.empty else kind(p.annotation).fits for p in self.parameters]
        self.fewest = sum(p.default is p.empty for p in self.parameters)

    def _show(self, parameter):
        if parameter.name == "self" and parameter.annotation is parameter.empty:
            return f"self: {MODULE}.{self.owner}"
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        return f"{parameter.name}: {kind(parameter.annotation).shown}{default}"

    def in_error(self):
        if not self.constructor:
            return self.shown
        inside = self.shown[1:self.shown.rindex(")")].partition(", ")[2]
        return f"{MODULE}.{self.owner}({inside})"

    def fits(self, arguments, keywords):
        if keywords:
            try:
                bound = inspect.signature(self.function).bind(*arguments, **keywords)
            except TypeError:
                return False
            return all(not check or check(value) for check, value in
                       zip((self.checks[[p.name for p in self.parameters].index(n)] for n in bound.arguments),
                           bound.arguments.values()))
        if not self.fewest <= len(arguments) <= len(self.checks):
            return False
        for check, value in zip(self.checks, arguments):
            if check and not check(value):
                return False
        return True


class _Native:
    """A function of the module with its overloads; a method when it lies in a class."""

    def __init__(self, functions):
        self.functions = functions
        self.owner = None
        self.__name__ = functions[0].__name__

    def __set_name__(self, owner, name):
        self.owner = owner.__name__
        self.__name__ = name

    @functools.cached_property
    def signatures(self):
        return [_Signature(f, self.owner, self.__name__ == "__init__") for f in self.functions]

    @property
    def __doc__(self):
        text = "\n\n".join(inspect.cleandoc(f.__doc__) for f in self.functions if f.__doc__)
        if len(self.functions) == 1:
            return f"{self.__name__}{self.signatures[0].shown}\n\n{text}\n"
        ways = "\n\n".join(f"{n}. {self.__name__}{s.shown}" for n, s in enumerate(self.signatures, 1))
        return f"{self.__name__}(*args, **kwargs)\nOverloaded function.\n\n{ways}\n\n{text}\n"

    def __call__(self, *arguments, **keywords):
        for signature in self.signatures:
            if signature.fits(arguments, keywords):
                return signature.function(*arguments, **keywords)
        constructor = self.__name__ == "__init__"
        ways = "".join(f"    {n}. {s.in_error()}\n" for n, s in enumerate(self.signatures, 1))
        invoked = ", ".join(map(repr, arguments[constructor:]))
        if keywords:
            invoked += ("; " if invoked else "") + "kwargs: " + ", ".join(f"{k}={v!r}" for k, v in keywords.items())
        raise TypeError(f"{self.__name__}(): incompatible {'constructor' if constructor else 'function'} arguments. "
                        f"The following argument types are supported:\n{ways}\nInvoked with: {invoked}")

    def __get__(self, instance, owner=None):
        return self if instance is None else types.MethodType(self, instance)


def native(*functions):
    """Makes functions with annotations one function of the module: the first whose signature fits is called."""
    return _Native(functions)


def variant(function, **annotations):
    """The same function with other annotations, to be one more overload."""
    made = types.FunctionType(function.__code__, function.__globals__, function.__name__, None, function.__closure__)
    made.__annotations__ = {**function.__annotations__, **annotations}
    return made


def setting(name, of, doc, shown=("arg0", "arg1")):
    """A property that takes values of one kind and keeps them in the slot _name; shown: the names in its refusals."""
    slot = "_" + name
    convert = {"bool": bool, "int": int, "size": int}.get(of, lambda value: value)

    def store(self, value):
        if not kind(of).fits(value):
            raise TypeError("(): incompatible function arguments. The following argument types are supported:\n"
                            f"    1. ({shown[0]}: {MODULE}.{type(self).__name__}, {shown[1]}: {kind(of).shown}) -> None"
                            f"\n\nInvoked with: {self!r}, {value!r}")
        setattr(self, slot, convert(value))

    return property(lambda self: getattr(self, slot), store, None, doc)


# As setting, where the real class has a plain field.
field = functools.partial(setting, shown=("self", "arg0"))


def reading(name, doc):
    """A property that shows the slot _name."""
    return property(lambda self: getattr(self, "_" + name), None, None, doc)


class Opaque:
    """Base of classes that only the module itself makes objects of."""

    __slots__ = ()

    def __init__(self):
        raise TypeError(f"{MODULE}.{type(self).__name__}: No constructor defined!")

    @classmethod
    def _made(cls, **fields):
        made = object.__new__(cls)
        for name, value in fields.items():
            setattr(made, "_" + name, value)
        return made


class _EnumerationType(type):
    @property
    def __members__(cls):
        return dict(cls._members)


class Enumeration(metaclass=_EnumerationType):
    """An enumeration of the module: not a number, though int() makes it one."""

    __slots__ = ("_value",)
    _members = {}
    _scoped = False

    def __init_subclass__(cls, counts=False, scoped=False, **members):
        """counts: members have an order and combine by & and |; scoped: they never equal a number."""
        cls._scoped = scoped
        cls.__init__ = native(_keep_number)
        cls.__init__.__set_name__(cls, "__init__")
        cls._members = {name: cls(number) for name, number in members.items()}
        for name, member in cls._members.items():
            setattr(cls, name, member)
        if not counts:
            return
        for operator in ("lt", "le", "gt", "ge", "and", "or", "xor", "rand", "ror", "rxor"):
            setattr(cls, f"__{operator}__", _on_numbers(f"__{operator}__"))
        cls.__invert__ = lambda self: ~self._value

    @property
    def name(self):
        return next((n for n, m in self._members.items() if m._value == self._value), "???")

    @property
    def value(self):
        return self._value

    def __int__(self):
        return self._value

    __index__ = __int__

    def __eq__(self, other):
        if isinstance(other, int) and not self._scoped:
            return self._value == other
        return type(self) is type(other) and self._value == other._value

    def __hash__(self):
        return hash(self._value)

    def __str__(self):
        return f"{type(self).__name__}.{self.name}"

    def __repr__(self):
        return f"<{self}: {self._value}>"

    def __reduce__(self):
        return type(self), (self._value,)


def _keep_number(self, value: "int") -> None:
    self._value = int(value)


def _on_numbers(operator):
    def apply(self, other):
        if not isinstance(other, (int, Enumeration)):
            return NotImplemented
        return getattr(self._value, operator)(int(other))

    return apply
