# SPDX-License-Identifier: Apache-2.0
"""A serialized model and the changes of it that SessionOptions asks for before it is loaded: other values for
initializers, dimensions by denotation, initializers that become inputs. Messages are rewritten field by field, what
does not change is copied as it is; a model that cannot be read is left to the engine, which says what is wrong.

Field numbers are those of onnx.proto. Read next: _session.py.
"""
import functools
import mmap
import os
import pathlib
import tempfile

import sardonyx

from ._errors import error
from ._values import element_type_of

_VARINT, _BYTES = 0, 2
_WIDTH = {1: 8, 5: 4}  # wire types of a fixed width
_GRAPH, _IR_VERSION, _MODEL_VERSION, _METADATA = 7, 1, 5, 14
_UNREADABLE = (ValueError, IndexError, KeyError, TypeError, OSError)
_INITIALIZER, _INPUT = 5, 11
_TENSOR_NAME, _EXTERNAL_DATA, _DATA_LOCATION, _RAW_DATA, _STRING_DATA = 8, 13, 14, 9, 6
_VALUE_NAME, _VALUE_TYPE, _TENSOR_TYPE, _SHAPE, _DIM = 1, 2, 1, 2, 1
_DIM_VALUE, _DIM_PARAM, _DENOTATION = 1, 2, 3


def _varint_at(message, at):
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than ten bytes")


def _fields(message):
    """(number, value, begin, end) of each field: value is an int or a memoryview."""
    at = 0
    while at < len(message):
        begin = at
        tag, at = _varint_at(message, at)
        wire = tag & 7
        if wire == _VARINT:
            value, at = _varint_at(message, at)
        elif wire == _BYTES:
            size, at = _varint_at(message, at)
            value, at = message[at:at + size], at + size
        else:
            at += _WIDTH[wire]
            value = message[at - _WIDTH[wire]:at]
        if at > len(message):
            raise ValueError("a field goes past the end")
        yield tag >> 3, value, begin, at


def _first(message, number, otherwise):
    return next((value for n, value, _, _ in _fields(message) if n == number), otherwise)


def _text(message, number):
    return bytes(_first(message, number, b"")).decode(errors="replace")


def _varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(number, value):
    return _varint(number << 3) + _varint(value)


def block(number, content):
    return _varint(number << 3 | _BYTES) + _varint(len(content)) + content


def _rewritten(message, changes):
    """The message with some fields changed: {number: function of the value that gives its bytes; None drops it}."""
    parts = []
    for number, value, begin, end in _fields(message):
        if number not in changes:
            parts.append(message[begin:end])
            continue
        content = changes[number](value)
        if content is not None:
            parts.append(block(number, content))
    return b"".join(parts)


def _tensor(name, array):
    """TensorProto bytes of an array."""
    onnx_type = element_type_of(array)
    head = b"".join(number(1, d) for d in array.shape) + number(2, sardonyx.ELEMENT_TYPES[onnx_type][0])
    head += block(_TENSOR_NAME, name.encode())
    if onnx_type != "string":
        return head + block(_RAW_DATA, array.astype(array.dtype.newbyteorder("<")).tobytes())
    return head + b"".join(block(_STRING_DATA, str(item).encode()) for item in array.flat)


def _dimensions_of(value_info):
    shape = _first(_first(_first(value_info, _VALUE_TYPE, b""), _TENSOR_TYPE, b""), _SHAPE, b"")
    return [dim for number, dim, _, _ in _fields(shape) if number == _DIM]


def _or_else(value):
    """Makes a method return `value` for a model that cannot be read."""

    def around(method):
        @functools.wraps(method)
        def tried(*arguments):
            try:
                return method(*arguments)
            except _UNREADABLE:
                return value

        return tried

    return around


class Model:
    """Where a model is kept, and its bytes when they are asked for."""

    def __init__(self, source):
        self.is_file = isinstance(source, str)
        self.path = source if self.is_file else ""
        self.folder = os.path.dirname(self.path) or "."
        self._source = source

    @functools.cached_property
    def _bytes(self):
        if not self.is_file:
            return memoryview(self._source)
        with open(self.path, "rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def _graph(self, number):
        return [value for n, value, _, _ in _fields(_first(self._bytes, _GRAPH, b"")) if n == number]

    @_or_else(None)
    def version(self):
        """The model's version, or None."""
        return _first(self._bytes, _MODEL_VERSION, None)

    @_or_else(None)
    def metadata(self, key):
        """A text of the model's own metadata, or None."""
        entries = [entry for number, entry, _, _ in _fields(self._bytes) if number == _METADATA]
        return next((_text(entry, 2) for entry in entries if _text(entry, 1) == key), None)

    @_or_else(False)
    def has_no_graph(self):
        """Whether it can be read and there is no graph in it."""
        return all(number != _GRAPH for number, _, _, _ in _fields(self._bytes))

    @_or_else(frozenset())
    def dimensions(self):
        """Names of the free dimensions of the inputs."""
        return {_text(dim, _DIM_PARAM) for value in self._graph(_INPUT) for dim in _dimensions_of(value)} - {""}

    @_or_else(())
    def overridable(self):
        """Names of initializers that are inputs, too, in the order of the inputs."""
        inputs = [_text(value, _VALUE_NAME) for value in self._graph(_INPUT)]
        if not inputs or _first(self._bytes, _IR_VERSION, 0) < 4:  # before IR version 4 all initializers had to be
            return []
        initializers = {_text(tensor, _TENSOR_NAME) for tensor in self._graph(_INITIALIZER)}
        return [name for name in inputs if name in initializers]

    def edited(self, options):
        """What to load: the file's name, or bytes."""
        if options._initializers or options._external_initializers or options._external_files or options._denoted_dims:
            return self.without((), options)
        return self._source

    def without(self, names, options):
        """Bytes of the model as options want it, and without these initializers."""

        def initializer(tensor):
            return None if _text(tensor, _TENSOR_NAME) in names else _initializer(tensor, options)

        def value(info):
            return _rewritten(info, {_VALUE_TYPE: lambda of_type: _rewritten(of_type, {_TENSOR_TYPE: tensor_type})})

        def tensor_type(of_tensor):
            return _rewritten(of_tensor, {_SHAPE: lambda shape: _rewritten(shape, {_DIM: dimension})})

        def dimension(dim):
            size = options._denoted_dims.get(_text(dim, _DENOTATION))
            free = _first(dim, _DIM_VALUE, None) is None
            return bytes(dim) if size is None or not free else number(_DIM_VALUE, size)

        changes = {_INITIALIZER: initializer, _INPUT: value}
        try:
            return _rewritten(self._bytes, {_GRAPH: lambda graph: _rewritten(graph, changes)})
        except _UNREADABLE:
            return self._source


def _initializer(tensor, options):
    """TensorProto bytes of an initializer as options want it."""
    name = _text(tensor, _TENSOR_NAME)
    external = _first(tensor, _DATA_LOCATION, 0) == 1
    if name in options._initializers:
        return _tensor(name, options._initializers[name].numpy())
    if name in options._external_initializers:
        if not external:
            raise error("Fail", f"Trying to replace non-external initializer with external data: '{name}'")
        return _tensor(name, options._external_initializers[name].numpy())
    if external and options._external_files:
        place = {_text(entry, 1): _text(entry, 2) for n, entry, _, _ in _fields(tensor) if n == _EXTERNAL_DATA}
        if place.get("location") in options._external_files:
            return _inlined(tensor, options._external_files[place["location"]], place)
    return bytes(tensor)


def _inlined(tensor, content, place):
    begin = int(place.get("offset") or 0)
    end = begin + int(place["length"]) if place.get("length") else len(content)
    if not 0 <= begin <= end <= len(content):
        raise error("Fail", f"External data of '{_text(tensor, _TENSOR_NAME)}' is bytes {begin} to {end} of "
                    f"'{place['location']}', which has {len(content)}")
    kept = (tensor[at:stop] for n, _, at, stop in _fields(tensor) if n not in (_EXTERNAL_DATA, _DATA_LOCATION))
    return b"".join(kept) + block(_RAW_DATA, content[begin:end])


def write_whole(path, source):
    """Writes a model (bytes, or the name of a file) under a name that only whole files ever have."""
    path = os.path.abspath(path)
    content = source if isinstance(source, bytes) else pathlib.Path(source).read_bytes()
    handle, made = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(made, 0o644)
        os.replace(made, path)
    except BaseException:
        os.unlink(made)
        raise
