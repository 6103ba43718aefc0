# SPDX-License-Identifier: Apache-2.0
"""Making networks smaller by integers: ONNX Runtime's own programs, from where _borrowed.py finds them."""
from onnxruntime._borrowed import borrow

borrow(__name__)
