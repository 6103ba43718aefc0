# SPDX-License-Identifier: Apache-2.0
"""The names of onnxruntime_pybind11_state, where programs look for them."""
from .onnxruntime_pybind11_state import *
