# SPDX-License-Identifier: Apache-2.0
"""`import onnxruntime`, computed by Sardonyx: programs that were written for ONNX Runtime run unchanged.

The names are those of ONNX Runtime's package; what they do is in capi/onnxruntime_pybind11_state/ over the package
sardonyx. README.md says what differs.
"""
from onnxruntime.capi._pybind_state import (
    ExecutionMode, ExecutionOrder, GraphOptimizationLevel, LoraAdapter, ModelMetadata, ModelPackage,
    ModelPackageComponentContext, ModelPackageContext, ModelPackageOptions, ModelPackageWriteMode, NodeArg,
    OrtAllocatorType, OrtArenaCfg, OrtCompileApiFlags, OrtDeviceMemoryType, OrtEpAssignedNode, OrtEpAssignedSubgraph,
    OrtEpContextData, OrtEpContextDataBuffer, OrtEpDevice, OrtExecutionProviderDevicePolicy,
    OrtExternalInitializerInfo, OrtHardwareDevice, OrtHardwareDeviceType, OrtMemoryInfo, OrtMemoryInfoDeviceType,
    OrtMemType, OrtSparseFormat, OrtSyncStream, RunOptions, SessionIOBinding, SessionOptions,
    create_and_register_allocator, create_and_register_allocator_v2, disable_telemetry_events, enable_telemetry_events,
    get_all_providers, get_available_providers, get_build_info, get_device, get_ep_devices, get_version_string,
    has_collective_ops, register_execution_provider_library, set_default_logger_callback, set_default_logger_severity,
    set_default_logger_verbosity, set_global_thread_pool_sizes, set_seed, unregister_execution_provider_library)
from onnxruntime.capi import onnxruntime_validation
from onnxruntime.capi.onnxruntime_inference_collection import (
    AdapterFormat, InferenceSession, IOBinding, ModelCompiler, OrtDevice, OrtDeviceVendorId, OrtValue, SparseTensor,
    copy_tensors)

package_name, version, cuda_version = onnxruntime_validation.get_package_name_and_version_info()
__version__ = version
__author__ = "Sardonyx"


def print_debug_info():
    """What is installed and where, for reports."""
    import platform
    import sys

    import numpy
    import sardonyx

    print(f"{package_name} version: {__version__}")
    print("platform:", platform.platform())
    print("\nPython package, version and location:")
    print(f"sardonyx-onnxruntime at {__path__[0]}")
    print(f"sardonyx=={sardonyx.__version__} at {sardonyx.__path__[0]}")
    print(f"numpy=={numpy.__version__}, Python {sys.version.split()[0]}")


def preload_dlls(cuda: bool = True, cudnn: bool = True, msvc: bool = True, directory=None):
    """Nothing to load: there are no libraries of other devices."""
