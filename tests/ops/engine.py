# SPDX-License-Identifier: Apache-2.0
"""The engine in this process: the C API of build/libsardonyx.so through ctypes, numpy arrays in and out.
Element types numpy lacks are those of ml_dtypes; what ONNX packs is packed here."""
import ctypes
import os
import pathlib

import ml_dtypes
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LIBRARY = pathlib.Path(os.environ.get("SARDONYX_LIBRARY", ROOT / "build/libsardonyx.so"))

# name: (number in TensorProto.DataType, numpy type, bits as stored)
_EXTRA = {"bfloat16": 16, "float8_e4m3fn": 17, "float8_e4m3fnuz": 18, "float8_e5m2": 19, "float8_e5m2fnuz": 20,
          "uint4": 21, "int4": 22, "float4_e2m1fn": 23, "float8_e8m0fnu": 24, "uint2": 25, "int2": 26,
          "float6_e2m3fn": 27, "float6_e3m2fn": 28}
_ONNX_NAMES = {"float4_e2m1fn": "float4e2m1", "float8_e8m0fnu": "float8e8m0", "float6_e2m3fn": "float6e2m3",
               "float6_e3m2fn": "float6e3m2"}
_NUMPY = {"float": (1, np.float32), "uint8": (2, np.uint8), "int8": (3, np.int8), "uint16": (4, np.uint16),
          "int16": (5, np.int16), "int32": (6, np.int32), "int64": (7, np.int64), "string": (8, object),
          "bool": (9, np.bool_), "float16": (10, np.float16), "double": (11, np.float64), "uint32": (12, np.uint32),
          "uint64": (13, np.uint64), "complex64": (14, np.complex64), "complex128": (15, np.complex128)}
DTYPES = {name: (number, np.dtype(kind)) for name, (number, kind) in _NUMPY.items()}
for _name, _number in _EXTRA.items():
    DTYPES[_ONNX_NAMES.get(_name, _name.replace("_", ""))] = (_number, np.dtype(getattr(ml_dtypes, _name)))
NAMES = {number: name for name, (number, _) in DTYPES.items()}
PACKED = {21: 4, 22: 4, 23: 4, 25: 2, 26: 2}


def name_of(dtype):
    """ONNX's name of a numpy type."""
    dtype = np.dtype(dtype)
    if dtype.kind in "OUSTV" and dtype not in [d for _, d in DTYPES.values()]:
        return "string"
    return next(n for n, (_, d) in DTYPES.items() if d == dtype)


class Failure(Exception):
    """A status that is not OK: (name, message)."""


def _open():
    lib = ctypes.CDLL(os.environ.get("SARDONYX_LIBRARY", str(LIBRARY)))
    pointer, text, size = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t
    shape = ctypes.POINTER(ctypes.c_int64)
    for name, result, arguments in (
            ("sdx_status_name", text, [ctypes.c_int]),
            ("sdx_session_load_bytes", ctypes.c_int, [text, size, ctypes.c_bool, pointer, ctypes.POINTER(pointer)]),
            ("sdx_session_error", text, [pointer]), ("sdx_session_warnings", text, [pointer]),
            ("sdx_session_destroy", None, [pointer]),
            ("sdx_session_input_count", size, [pointer]), ("sdx_session_output_count", size, [pointer]),
            ("sdx_session_find_input", ctypes.c_int64, [pointer, text]),
            ("sdx_options_create", pointer, []), ("sdx_options_destroy", None, [pointer]),
            ("sdx_options_set", ctypes.c_int, [pointer, text, text]),
            ("sdx_run_create", ctypes.c_int, [pointer, ctypes.POINTER(pointer)]), ("sdx_run_destroy", None, [pointer]),
            ("sdx_run_set_input", ctypes.c_int, [pointer, size, pointer]),
            ("sdx_run_execute", ctypes.c_int, [pointer]), ("sdx_run_cancel", None, [pointer]), ("sdx_run_error", text, [pointer]),
            ("sdx_run_output", pointer, [pointer, size]), ("sdx_run_peak_bytes", ctypes.c_uint64, [pointer]),
            ("sdx_tensor_create", pointer, [ctypes.c_int, size, shape]), ("sdx_tensor_data", pointer, [pointer]),
            ("sdx_tensor_bytes", size, [pointer]), ("sdx_tensor_dtype", ctypes.c_int, [pointer]),
            ("sdx_tensor_rank", size, [pointer]), ("sdx_tensor_shape", shape, [pointer]),
            ("sdx_tensor_count", size, [pointer]),
            ("sdx_tensor_string", pointer, [pointer, size, ctypes.POINTER(size)]),
            ("sdx_tensor_set_string", ctypes.c_int, [pointer, size, text, size]),
            ("sdx_sequence_create", pointer, [size, ctypes.POINTER(pointer)]),
            ("sdx_map_create", pointer, [pointer, pointer]),
            ("sdx_value_release", None, [pointer]), ("sdx_value_kind", ctypes.c_int, [pointer]),
            ("sdx_value_item_count", size, [pointer]), ("sdx_value_item", pointer, [pointer, size])):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


LIB = _open()
TENSOR, SEQUENCE, MAP, NONE = range(4)


def _pack(array, bits):
    codes = np.ascontiguousarray(array).reshape(-1).view(np.uint8) & ((1 << bits) - 1)
    per = 8 // bits
    codes = np.concatenate([codes, np.zeros(-len(codes) % per, np.uint8)]).reshape(-1, per)
    return np.bitwise_or.reduce(codes << (bits * np.arange(per, dtype=np.uint8)), axis=1).astype(np.uint8)


def pack6(array):
    """float6 as a file holds it: four elements in three bytes."""
    codes = np.ascontiguousarray(array).reshape(-1).view(np.uint8) & 63
    bits = np.unpackbits(codes[:, None], axis=1, bitorder="little")[:, :6]
    return np.packbits(bits.reshape(-1), bitorder="little")


def _unpack(data, bits, count, dtype):
    per = 8 // bits
    codes = ((data[:, None] >> (bits * np.arange(per, dtype=np.uint8))) & ((1 << bits) - 1)).reshape(-1)[:count]
    if dtype.name.startswith("int"):  # sign
        codes = np.where(codes >> (bits - 1), codes | (0xFF << bits & 0xFF), codes)
    return codes.astype(np.uint8).view(dtype)


def to_value(x):
    """A counted sdx_value of an array, a list (sequence) or a dict (map)."""
    if isinstance(x, list):
        items = [to_value(i) for i in x]
        made = LIB.sdx_sequence_create(len(items), (ctypes.c_void_p * len(items))(*items))
        for item in items:
            LIB.sdx_value_release(item)
        return made
    if isinstance(x, dict):
        keys = to_value(np.array(list(x), dtype=object if isinstance(next(iter(x), ""), str) else np.int64))
        values = list(x.values())
        kinds = {str: object, np.float64: np.float64, float: np.float32, int: np.int64}
        values = to_value(np.array(values, kinds[type(values[0])]))
        made = LIB.sdx_map_create(keys, values)
        LIB.sdx_value_release(keys)
        LIB.sdx_value_release(values)
        return made
    array = np.asarray(x)
    number = DTYPES[name_of(array.dtype)][0]
    value = LIB.sdx_tensor_create(number, array.ndim, (ctypes.c_int64 * array.ndim)(*array.shape))
    if number == 8:
        for i, word in enumerate(array.reshape(-1)):
            word = word.encode("utf-8", "surrogateescape") if isinstance(word, str) else bytes(word)
            LIB.sdx_tensor_set_string(value, i, word, len(word))
    elif array.size:
        stored = _pack(array, PACKED[number]) if number in PACKED else np.ascontiguousarray(array)
        ctypes.memmove(LIB.sdx_tensor_data(value), stored.ctypes.data, stored.nbytes)
    return value


def from_value(value):
    kind = LIB.sdx_value_kind(value)
    if kind == NONE:
        return None
    if kind == SEQUENCE:
        return [from_value(LIB.sdx_value_item(value, i)) for i in range(LIB.sdx_value_item_count(value))]
    if kind == MAP:
        keys, values = (from_value(LIB.sdx_value_item(value, i)) for i in range(2))
        return dict(zip(keys.tolist(), values.tolist()))
    number, count = LIB.sdx_tensor_dtype(value), LIB.sdx_tensor_count(value)
    shape = tuple(LIB.sdx_tensor_shape(value)[i] for i in range(LIB.sdx_tensor_rank(value)))
    dtype = DTYPES[NAMES[number]][1]
    if number == 8:
        length = ctypes.c_size_t()
        words = [ctypes.string_at(LIB.sdx_tensor_string(value, i, ctypes.byref(length)), length.value)
                 for i in range(count)]
        array = np.empty(count, object)
        array[:] = [w.decode("utf-8", "surrogateescape") for w in words]
        return array.reshape(shape)
    raw = np.frombuffer(ctypes.string_at(LIB.sdx_tensor_data(value), LIB.sdx_tensor_bytes(value)) if count else b"",
                        np.uint8)
    array = _unpack(raw, PACKED[number], count, dtype) if number in PACKED else raw.view(dtype)
    return array.reshape(shape)


class Session:
    def __init__(self, model, **options):
        self.handle, self.run_handle = ctypes.c_void_p(), ctypes.c_void_p()
        settings = LIB.sdx_options_create()
        for name, value in {"threads": "1", **options}.items():
            LIB.sdx_options_set(settings, name.encode(), str(value).encode())
        status = LIB.sdx_session_load_bytes(model, len(model), False, settings, ctypes.byref(self.handle))
        LIB.sdx_options_destroy(settings)
        if status:
            raise Failure(LIB.sdx_status_name(status).decode(), LIB.sdx_session_error(self.handle).decode())
        LIB.sdx_run_create(self.handle, ctypes.byref(self.run_handle))

    def run(self, feeds):
        for name, x in feeds.items():
            value = to_value(x)
            status = LIB.sdx_run_set_input(self.run_handle, LIB.sdx_session_find_input(self.handle, name.encode()),
                                           value)
            LIB.sdx_value_release(value)
            if status:
                raise Failure(LIB.sdx_status_name(status).decode(), LIB.sdx_run_error(self.run_handle).decode())
        status = LIB.sdx_run_execute(self.run_handle)
        if status:
            raise Failure(LIB.sdx_status_name(status).decode(), LIB.sdx_run_error(self.run_handle).decode())
        return [from_value(LIB.sdx_run_output(self.run_handle, i))
                for i in range(LIB.sdx_session_output_count(self.handle))]

    def __del__(self):
        LIB.sdx_run_destroy(self.run_handle)
        LIB.sdx_session_destroy(self.handle)
