# SPDX-License-Identifier: Apache-2.0
"""The functions of the module. Read next: __init__.py."""
import ctypes

import sardonyx

from . import _log
from ._devices import KNOWN_PROVIDERS, PROVIDERS, devices, processor
from ._enums import OrtCompiledModelCompatibility
from ._errors import error, unavailable
from ._native import exported, native
from ._options import SessionOptions
from ..build_and_package_info import __version__

_QUANTIZING = ("Quantization of weights in blocks", "The package onnxruntime.quantization says where it may be had.")
_LIBRARIES = ("The C interface of ONNX Runtime, which this library is made for,",
              "Sardonyx takes providers of its own: the option sardonyx.provider (provider.h).")


__all__ = []


def _public(function):
    __all__.append(function.__name__)
    return exported(native(function))


@_public
def get_available_providers() -> "list[str]":
    """Providers that can be used here."""
    return list(PROVIDERS)


@_public
def get_all_providers() -> "list[str]":
    """Providers that ONNX Runtime may be built with."""
    return list(KNOWN_PROVIDERS)


@_public
def get_device() -> "str":
    """'CPU'"""
    return "CPU"


@_public
def get_version_string() -> "str":
    """The version of ONNX Runtime whose interface this is."""
    return __version__


@_public
def get_build_info() -> "str":
    """What computes."""
    return f"ORT Build Info: the interface of ONNX Runtime {__version__} on Sardonyx {sardonyx.__version__}"


@_public
def has_collective_ops() -> "bool":
    """False"""
    return False


@_public
def get_ep_devices() -> "list[OrtEpDevice]":
    """The devices and their providers."""
    return devices(sardonyx.__version__)


@_public
def get_hardware_devices() -> "list[OrtHardwareDevice]":
    """The devices."""
    return [processor()]


@_public
def get_hardware_device_ep_incompatibility_details(arg0: "str", arg1: "OrtHardwareDevice") -> "dict":
    """Why a provider cannot use a device; nothing speaks against the processor."""
    if arg0 not in PROVIDERS:
        raise error("InvalidArgument", f"No execution provider factory registered with name: {arg0}")
    return {"reasons_bitmask": 0, "notes": "", "error_code": 0}


@_public
def get_model_compatibility_for_ep_devices(arg0: "Sequence[OrtEpDevice]",
                                           arg1: "str") -> "OrtCompiledModelCompatibility":
    """Whether a compiled model fits devices; the question does not arise."""
    return OrtCompiledModelCompatibility.EP_NOT_APPLICABLE


@_public
def get_compatibility_info_from_model(arg0: "path", arg1: "str") -> "object":
    """None: models are not compiled for providers."""


@_public
def get_compatibility_info_from_model_bytes(arg0: "buffer", arg1: "str") -> "object":
    """None: models are not compiled for providers."""


@_public
def get_default_session_options() -> "onnxruntime::python::PySessionOptions":
    """SessionOptions as they are at first."""
    return SessionOptions()


@_public
def get_all_operator_schema() -> "list[onnx::OpSchema]":
    """Refused: schemas are the onnx package's."""
    raise unavailable("The table of operator schemas", "Ask onnx.defs.get_all_schemas(), or `sardonyx ops`.")


@_public
def get_all_opkernel_def() -> "list[onnxruntime::KernelDef]":
    """Refused: kernels are chosen otherwise."""
    raise unavailable("The table of kernel definitions", "`sardonyx inspect --kernels` shows the kernels of a model.")


@_public
def get_registered_ep_kernel_defs(ep_name: "str") -> "list[onnxruntime::KernelDef]":
    """Refused: kernels are chosen otherwise."""
    raise unavailable("The table of kernel definitions", "`sardonyx inspect --kernels` shows the kernels of a model.")


@_public
def enable_telemetry_events() -> None:
    """Ignored: nothing is ever reported."""


@_public
def disable_telemetry_events() -> None:
    """Ignored: nothing is ever reported."""


@_public
def set_seed(arg0: "size") -> None:
    """Kept; random operators without a seed draw a new one each run."""


def _check_severity(severity):
    if not 0 <= severity <= 4:
        raise RuntimeError("Invalid logging severity. 0:Verbose, 1:Info, 2:Warning, 3:Error, 4:Fatal")


@_public
def set_default_logger_severity(arg0: "int") -> None:
    """0 verbose, 1 info, 2 warning, 3 error, 4 fatal"""
    _check_severity(arg0)
    _log.configure(severity=int(arg0))


@_public
def set_default_logger_verbosity(arg0: "int") -> None:
    """Kept."""


@_public
def set_default_logger_callback(callback: "object", severity: "int" = 2) -> None:
    """callback(severity, category, logid, location, message) gets what else goes to standard error; None ends that."""
    _check_severity(severity)
    if callback is not None and not callable(callback):
        raise RuntimeError("callback must be a callable")
    _log.configure(callback=callback, **({} if callback is None else {"severity": int(severity)}))


@_public
def set_global_thread_pool_sizes(intra_op_num_threads: "int" = 0, inter_op_num_threads: "int" = 0) -> None:
    """Ignored: a process has one pool, a session says how much of it a run uses."""


@_public
def create_and_register_allocator(arg0: "OrtMemoryInfo", arg1: "OrtArenaCfg | None") -> None:
    """Ignored: memory is planned, not shared."""


@_public
def create_and_register_allocator_v2(arg0: "str", arg1: "OrtMemoryInfo", arg2: "Mapping[str, str]",
                                     arg3: "OrtArenaCfg | None") -> None:
    """Ignored: memory is planned, not shared."""
    if arg0 not in PROVIDERS:
        raise RuntimeError("Error when creating and registering allocator in create_and_register_allocator_v2: "
                           f"{arg0} is not implemented in CreateAndRegisterAllocatorV2()")


@_public
def copy_tensors(arg0: "Sequence[OrtValue]", arg1: "Sequence[OrtValue]", arg2: "object") -> None:
    """sources, destinations, stream"""
    if len(arg0) != len(arg1):
        raise RuntimeError("The number of source and destination tensors differ")
    for source, destination in zip(arg0, arg1):
        destination.update_inplace(source)


@_public
def register_execution_provider_library(arg0: "str", arg1: "path") -> None:
    """Looks into the library and says why it cannot be used."""
    try:
        ctypes.CDLL(arg1)
    except OSError as failure:
        raise error("Fail", f"Failed to load library {arg1} with error: {failure}") from None
    raise unavailable(*_LIBRARIES)


@_public
def unregister_execution_provider_library(arg0: "str") -> None:
    """Refused: none can be registered."""
    raise error("Fail", f"Execution provider library: {arg0} was not registered.")
