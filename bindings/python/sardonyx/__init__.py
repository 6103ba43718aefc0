# SPDX-License-Identifier: Apache-2.0
"""Run ONNX models.

>>> import numpy as np, sardonyx
>>> session = sardonyx.InferenceSession("model.onnx")
>>> [x.name for x in session.get_inputs()]
['input']
>>> session.run(None, {"input": np.zeros((1, 3, 224, 224), np.float32)})
[array(...)]

The interface is the one users of ONNX Runtime know; what an option has no meaning for here is
accepted and ignored. Read next: _values.c (arrays in and out), _options.py.
"""

from . import _engine
from ._dtypes import register as _register_dtypes
from ._engine import Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NoSuchFile, NotImplemented, RuntimeException
from ._options import ExecutionMode, GraphOptimizationLevel, RunOptions, SessionOptions
from ._session import InferenceSession, ModelMetadata, NodeArg, check_model

__version__ = _engine.version
__all__ = [
    "ELEMENT_TYPES", "ExecutionMode", "Fail", "GraphOptimizationLevel", "InferenceSession", "InvalidArgument",
    "InvalidGraph", "InvalidProtobuf", "ModelMetadata", "NoSuchFile", "NodeArg", "NotImplemented", "RunOptions",
    "RuntimeException", "SessionOptions", "check_model", "get_all_providers", "get_available_providers", "get_device",
    "get_version_string", "set_default_logger_severity",
]

# {ONNX's name: (its number, numpy type)}: "float": (1, float32), ...
ELEMENT_TYPES = _register_dtypes()


def get_available_providers():
    """Names of the execution providers of this build, a list of str."""
    return ["CPUExecutionProvider"]


def get_all_providers():
    """Same as get_available_providers()."""
    return get_available_providers()


def get_device():
    """'CPU'."""
    return "CPU"


def get_version_string():
    """Version of the engine, 'major.minor.patch'."""
    return __version__


def set_default_logger_severity(severity):
    """Accepted for compatibility: the engine reports through exceptions and warnings, it has no log."""
