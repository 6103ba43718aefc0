# SPDX-License-Identifier: Apache-2.0
"""The interface that the onnx package defines for what runs its models (onnx.backend.base); needs that package."""
from .backend import is_compatible, prepare, run, supports_device
