# SPDX-License-Identifier: Apache-2.0
"""The module that is compiled in the real package, in Python over sardonyx. One file a subject: _session.py runs
models, _options.py and _values.py are what it is given; _native.py is how all of it is written.

It is a folder so that it is found before the real package's compiled file, should both lie in one folder: then it says
so (_alone.py) instead of leaving a mixture of both.
"""
from ._alone import check as _check

_check()

from ._binding import SessionIOBinding
from ._compile import (AdapterFormat, LoraAdapter, ModelCompiler, ModelPackage, ModelPackageComponentContext,
                       ModelPackageContext, ModelPackageOptions, OrtEpContextData, OrtEpContextDataBuffer,
                       OrtExternalInitializerInfo)
from ._devices import OrtDevice, OrtEpDevice, OrtHardwareDevice, OrtMemoryInfo, OrtSyncStream
from ._enums import (ArenaExtendStrategy, ExecutionMode, ExecutionOrder, GraphOptimizationLevel, ModelPackageWriteMode,
                     OrtAllocatorType, OrtCompileApiFlags, OrtCompiledModelCompatibility,
                     OrtDeviceEpIncompatibilityReason, OrtDeviceMemoryType, OrtExecutionProviderDevicePolicy,
                     OrtHardwareDeviceType, OrtMemoryInfoDeviceType, OrtMemType, OrtSparseFormat)
from ._errors import CLASSES as _CLASSES
from ._functions import *
from ._options import OrtArenaCfg, RunOptions, SessionOptions
from ._quantize import *
from ._session import InferenceSession, ModelMetadata, NodeArg, OrtEpAssignedNode, OrtEpAssignedSubgraph
from ._values import (OrtValue, OrtValueVector, SparseBlockSparseView, SparseCooView, SparseCsrView, SparseTensor)

globals().update(_CLASSES)
kNextPowerOfTwo, kSameAsRequested = ArenaExtendStrategy.kNextPowerOfTwo, ArenaExtendStrategy.kSameAsRequested
