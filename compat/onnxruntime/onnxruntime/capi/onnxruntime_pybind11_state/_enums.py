# SPDX-License-Identifier: Apache-2.0
"""The enumerations of the module, with the numbers of the real one. Read next: _native.py."""
from ._native import Enumeration, exported


@exported
class ArenaExtendStrategy(Enumeration, counts=True, scoped=True, kNextPowerOfTwo=0, kSameAsRequested=1):
    pass


@exported
class ExecutionMode(Enumeration, ORT_SEQUENTIAL=0, ORT_PARALLEL=1):
    pass


@exported
class ExecutionOrder(Enumeration, scoped=True, DEFAULT=0, PRIORITY_BASED=1, MEMORY_EFFICIENT=2):
    pass


@exported
class GraphOptimizationLevel(Enumeration, ORT_DISABLE_ALL=0, ORT_ENABLE_BASIC=1, ORT_ENABLE_EXTENDED=2,
                             ORT_ENABLE_LAYOUT=3, ORT_ENABLE_ALL=99):
    pass


@exported
class ModelPackageWriteMode(Enumeration, PRESERVE=0, DENSE=1):
    pass


@exported
class OrtAllocatorType(Enumeration, INVALID=-1, ORT_DEVICE_ALLOCATOR=0, ORT_ARENA_ALLOCATOR=1):
    pass


@exported
class OrtCompileApiFlags(Enumeration, counts=True, NONE=0, ERROR_IF_NO_NODES_COMPILED=1,
                         ERROR_IF_OUTPUT_FILE_EXISTS=2):
    pass


@exported
class OrtCompiledModelCompatibility(Enumeration, EP_NOT_APPLICABLE=0, EP_SUPPORTED_OPTIMAL=1,
                                    EP_SUPPORTED_PREFER_RECOMPILATION=2, EP_UNSUPPORTED=3):
    pass


@exported
class OrtDeviceEpIncompatibilityReason(Enumeration, counts=True, NONE=0, DRIVER_INCOMPATIBLE=1, DEVICE_INCOMPATIBLE=2,
                                       MISSING_DEPENDENCY=4, UNKNOWN=-2147483648):
    pass


@exported
class OrtDeviceMemoryType(Enumeration, DEFAULT=0, HOST_ACCESSIBLE=5):
    pass


@exported
class OrtExecutionProviderDevicePolicy(Enumeration, DEFAULT=0, PREFER_CPU=1, PREFER_NPU=2, PREFER_GPU=3,
                                       MAX_PERFORMANCE=4, MAX_EFFICIENCY=5, MIN_OVERALL_POWER=6):
    pass


@exported
class OrtHardwareDeviceType(Enumeration, CPU=0, GPU=1, NPU=2):
    pass


@exported
class OrtMemType(Enumeration, CPU_INPUT=-2, CPU_OUTPUT=-1, CPU=-1, DEFAULT=0):
    pass


@exported
class OrtMemoryInfoDeviceType(Enumeration, CPU=0, GPU=1, NPU=3, FPGA=2):
    pass


@exported
class OrtSparseFormat(Enumeration, ORT_SPARSE_UNDEFINED=0, ORT_SPARSE_COO=1, ORT_SPARSE_CSRC=2,
                      ORT_SPARSE_BLOCK_SPARSE=4):
    pass
