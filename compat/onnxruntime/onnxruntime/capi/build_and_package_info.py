# SPDX-License-Identifier: Apache-2.0
"""Name and version as programs expect them: those of the ONNX Runtime whose interface this is."""
package_name = "onnxruntime"
__version__ = "1.32.0"
