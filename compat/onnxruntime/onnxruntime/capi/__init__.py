# SPDX-License-Identifier: Apache-2.0
"""What lies below the package's own names, as in the real one. Read next: onnxruntime_pybind11_state."""
