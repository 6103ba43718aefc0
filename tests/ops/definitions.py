# SPDX-License-Identifier: Apache-2.0
"""Operators that neither onnx.reference nor ONNX Runtime computes (retired ones, types they lack), written in
numpy from their definitions: a third oracle."""
import numpy as np
import onnx
from onnx import helper, numpy_helper

import engine


def dynamic_slice(data, starts, ends, axes=None, **_):
    cut = [slice(None)] * data.ndim
    for k, axis in enumerate(range(len(starts)) if axes is None else axes):
        cut[axis] = slice(int(starts[k]), int(ends[k]))
    return data[tuple(cut)]


def constant_fill(x=None, shape=(), extra_shape=(), dtype=1, value=0.0, input_as_shape=0):
    dims = list(shape) if x is None else [int(d) for d in x] if input_as_shape else list(x.shape)
    return np.full(dims + list(extra_shape), value).astype(engine.DTYPES[engine.NAMES[dtype]][1])


def given_tensor_fill(x=None, values=(), shape=(), extra_shape=(), input_as_shape=0):
    dims = list(shape) if x is None else [int(d) for d in x] if input_as_shape else list(x.shape)
    return np.array(values, np.float32).reshape(dims + list(extra_shape))


def gru_unit(hidden, gates, lengths, step, drop_states=0):
    wide = gates.astype(np.float64)
    width = hidden.shape[-1]
    update, out = 1 / (1 + np.exp(-wide[..., width:2 * width])), np.tanh(wide[..., 2 * width:])
    goes_on = (step.reshape(()) < lengths)[..., None]
    kept = np.zeros_like(wide[..., :width]) if drop_states else hidden
    return np.where(goes_on, update * hidden + (1 - update) * out, kept).astype(hidden.dtype)


def scatter(data, indices, updates, axis=0):
    made = data.copy()
    for place in np.ndindex(indices.shape):
        to = list(place)
        to[axis] = int(indices[place]) % data.shape[axis]
        made[tuple(to)] = updates[place]
    return made


def qlinear_matmul(a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero):
    real = lambda x, s, z: (x.astype(np.float64) - z.astype(np.float64)) * s.astype(np.float64)  # noqa: E731
    y = real(a, a_scale, a_zero) @ real(b, b_scale, b_zero) / y_scale.astype(np.float64) + y_zero.astype(np.float64)
    return np.clip(y, *(float(f(y_zero.dtype)) for f in (lowest, highest))).astype(y_zero.dtype)


def codes(dtype):
    x = np.arange(256, dtype=np.uint8).view(dtype).astype(np.float64)
    return x[np.isfinite(x)]


def lowest(dtype):
    return codes(dtype).min() if dtype.itemsize == 1 else np.iinfo(dtype).min


def highest(dtype):
    return codes(dtype).max() if dtype.itemsize == 1 else np.iinfo(dtype).max


def scaler(x, offset=(0.0,), scale=(1.0,)):
    return ((x.astype(np.float64) - np.array(offset)) * np.array(scale)).astype(np.float32)


def identity(x, **_):
    return x


TABLE = {"DynamicSlice": dynamic_slice, "ConstantFill": constant_fill, "GivenTensorFill": given_tensor_fill,
         "GRUUnit": gru_unit, "Scatter": scatter, "QLinearMatMul": qlinear_matmul, "Scaler": scaler,
         "Optional": identity}


class Definition:
    """The only node of a model, by the table; anything else raises."""
    name = "definition"

    def __init__(self, model):
        self.node = model.graph.node[0]
        self.compute = TABLE[self.node.op_type]
        self.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}

    def run(self, feeds):
        values = {**self.constants, **feeds}
        attributes = {a.name: helper.get_attribute_value(a) for a in self.node.attribute
                      if a.type != onnx.AttributeProto.TYPE_PROTO}
        return [self.compute(*(values[n] if n else None for n in self.node.input), **attributes)]
