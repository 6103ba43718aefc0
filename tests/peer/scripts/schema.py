# SPDX-License-Identifier: Apache-2.0
"""Named inputs with samples."""
import numpy
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema


def init():
    pass


@input_schema("data", NumpyParameterType(numpy.array([[1.0, 2.0]], numpy.float32)))
@input_schema("scale", StandardPythonParameterType(2.0))
@output_schema(NumpyParameterType(numpy.array([1.5])))
def run(data, scale=1.0, request_headers=None):
    return {"sum": (data * scale).sum(axis=1).tolist(), "type": str(data.dtype), "agent": request_headers.get("X-Agent")}
