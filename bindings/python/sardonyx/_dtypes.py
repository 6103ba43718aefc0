# SPDX-License-Identifier: Apache-2.0
"""Element types numpy has no kind of its own for.

With the package ml_dtypes they go in and come out as its types. Without it results are raw bits
(bfloat16 as uint16, float8, float6 and float4 as uint8, int4 and int2 as int8, uint4 and uint2 as uint8, one
element a byte), and the same raw arrays are taken as inputs.
"""

import numpy as np

from . import _engine

# ONNX number: (name in ml_dtypes, raw type)
_TYPES = {
    16: ("bfloat16", np.uint16),
    17: ("float8_e4m3fn", np.uint8),
    18: ("float8_e4m3fnuz", np.uint8),
    19: ("float8_e5m2", np.uint8),
    20: ("float8_e5m2fnuz", np.uint8),
    21: ("uint4", np.uint8),
    22: ("int4", np.int8),
    23: ("float4_e2m1fn", np.uint8),
    24: ("float8_e8m0fnu", np.uint8),
    25: ("uint2", np.uint8),
    26: ("int2", np.int8),
    27: ("float6_e2m3fn", np.uint8),
    28: ("float6_e3m2fn", np.uint8),
}



def register():
    """Tells the engine module which numpy type stands for which ONNX type. Returns all element types:
    {name: (number, numpy type)}, as {"float": (1, dtype("float32")), ...}."""
    try:
        import ml_dtypes
    except ImportError:
        ml_dtypes = None
    foreign = {}
    for number, (name, raw) in _TYPES.items():
        own = getattr(ml_dtypes, name, None)
        foreign[number] = np.dtype(own or raw)
        _engine.register_dtype(number, foreign[number], own is not None)
    return {name: (number, foreign.get(number) or np.dtype(numpy)) for number, name, numpy in _engine.element_types}
