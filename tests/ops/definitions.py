# SPDX-License-Identifier: Apache-2.0
"""Operators that neither onnx.reference nor ONNX Runtime computes (retired ones, types they lack) or whose results there
depend on the processor, written in numpy from their definitions: a third oracle."""
import dataclasses

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


# ---- integer products -----------------------------------------------------------------------------------
# ONNX Runtime is no judge of these: on processors without VNNI it adds pairs of byte products in 16 bits, which
# saturate, so that its answer depends on the machine.

@dataclasses.dataclass(frozen=True)
class Real:
    """A result before it is rounded to integers: any integer that is a nearest one will do."""
    values: np.ndarray
    dtype: np.dtype

    def rounded(self):
        info = np.iinfo(self.dtype)
        return np.clip(np.rint(self.values), info.min, info.max).astype(self.dtype)

    def differs(self, got):
        if got.shape != self.values.shape or got.dtype != self.dtype:
            return f"{got.dtype} {got.shape}, expected {np.dtype(self.dtype)} {self.values.shape}"
        info = np.iinfo(self.dtype)
        off = np.abs(got - np.clip(self.values, info.min, info.max)) > 0.5 + 1e-5 * np.maximum(1, np.abs(self.values))
        at = tuple(int(i[0]) for i in np.nonzero(off)) if off.any() else None
        return None if at is None else f"{off.sum()} of {off.size} differ, first at {at}: {got[at]} is not {self.values[at]} rounded"


def less_zero(x, zero, axis):
    """Exact; the zero point is one number, or one for each place along `axis`."""
    zero = np.asarray(0 if zero is None else zero).astype(np.int64)
    if zero.ndim == 1 and zero.size > 1:
        zero = zero.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
    return x.astype(np.int64) - zero.reshape(() if zero.size == 1 else zero.shape)


def wide(x):
    return np.float64(0) if x is None else np.asarray(x).astype(np.float64)


def matmul_integer(a, b, a_zero=None, b_zero=None):
    return (less_zero(a, a_zero, -2) @ less_zero(b, b_zero, -1)).astype(np.int32)


def matmul_integer_to_float(a, b, a_scale, b_scale, a_zero=None, b_zero=None, bias=None):
    y = (less_zero(a, a_zero, -2) @ less_zero(b, b_zero, -1)) * (wide(a_scale) * wide(b_scale)) + wide(bias)
    return y.astype(np.asarray(a_scale).dtype)


def dynamic_quantize_matmul(a, b, b_scale, b_zero=None, bias=None):
    """A as DynamicQuantizeLinear quantises it."""
    low, high = min(np.float32(0), a.min()), max(np.float32(0), a.max())
    scale = (high - low) / np.float32(255)
    zero = np.clip(np.rint(-low / scale), 0, 255)
    codes_of = np.clip(np.rint(a / scale) + zero, 0, 255).astype(np.uint8)
    return matmul_integer_to_float(codes_of, b, scale, b_scale, np.uint8(zero), b_zero, bias).astype(np.float32)


def qgemm(a, a_scale, a_zero, b, b_scale, b_zero, c=None, y_scale=None, y_zero=None, alpha=1.0, transA=0, transB=0):
    x, w = less_zero(a.T if transA else a, a_zero, -2), less_zero(b.T if transB else b, b_zero, -1)
    y = (x @ w + (0 if c is None else c.astype(np.int64))) * (wide(a_scale) * wide(b_scale) * alpha)
    return y.astype(np.float32) if y_scale is None else Real(y / wide(y_scale) + wide(y_zero), np.asarray(y_zero).dtype)


def qlinear_matmul(a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero):
    real = lambda x, s, z: (wide(x) - wide(z)) * wide(s)  # noqa: E731
    y = real(a, a_scale, a_zero) @ real(b, b_scale, b_zero) / wide(y_scale) + wide(y_zero)
    if np.dtype(y_zero.dtype).kind in "iu":
        return Real(y, y_zero.dtype)
    return np.clip(y, *(float(f(y_zero.dtype)) for f in (lowest, highest))).astype(y_zero.dtype)


def convolution(x, w, auto_pad=b"NOTSET", dilations=None, group=1, kernel_shape=None, pads=None, strides=None):
    """Of integers, exact: padding adds nothing."""
    rank, kernel = x.ndim - 2, w.shape[2:]
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations)]
    if auto_pad in (b"SAME_UPPER", b"SAME_LOWER"):
        sizes = [-(-n // s) for n, s in zip(x.shape[2:], strides)]
        both = [max(0, (o - 1) * s + r - n) for o, s, r, n in zip(sizes, strides, reach, x.shape[2:])]
        small, large = [p // 2 for p in both], [p - p // 2 for p in both]
        pads = small + large if auto_pad == b"SAME_UPPER" else large + small
    pads = list(pads or [0] * 2 * rank)
    x = np.pad(x, [(0, 0), (0, 0), *zip(pads[:rank], pads[rank:])])
    sizes = [(n - r) // s + 1 for n, r, s in zip(x.shape[2:], reach, strides)]
    y = np.zeros((len(x), len(w), *sizes), np.int64)
    each, outputs = x.shape[1] // group, len(w) // group
    for place in np.ndindex(*kernel):
        cut = tuple(slice(p * d, p * d + (o - 1) * s + 1, s) for p, d, o, s in zip(place, dilations, sizes, strides))
        for g in range(group):
            part = x[(slice(None), slice(g * each, (g + 1) * each), *cut)]
            y[:, g * outputs:(g + 1) * outputs] += np.einsum("nc...,oc->no...", part, w[(slice(g * outputs, (g + 1) * outputs), slice(None), *place)])
    return y


def conv_integer(x, w, x_zero=None, w_zero=None, **attributes):
    return convolution(less_zero(x, x_zero, None), less_zero(w, w_zero, 0), **attributes).astype(np.int32)


def qlinear_conv(x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias=None, channels_last=0, **attributes):
    x = np.moveaxis(x, -1, 1) if channels_last else x
    y = convolution(less_zero(x, x_zero, None), less_zero(w, w_zero, 0), **attributes)
    each = (-1,) + (1,) * (y.ndim - 2)  # one number for every channel, or one for all
    y = (y + (0 if bias is None else bias.astype(np.int64).reshape(each))) * wide(w_scale).reshape(each)
    y = y * (wide(x_scale) / wide(y_scale)) + wide(y_zero)
    return Real(np.moveaxis(y, 1, -1) if channels_last else y, np.asarray(y_zero).dtype)


def qattention(x, w, bias, x_scale, w_scale, mask=None, x_zero=None, w_zero=None, past=None, num_heads=1,
               unidirectional=0, scale=0.0, mask_filter_value=-10000.0, **_):
    """The projection is exact; what follows is Attention in double."""
    made = matmul_integer_to_float(x, w, np.float64(x_scale), w_scale, x_zero, w_zero, bias)
    batch, rows, width = made.shape
    q, k, v = (part.reshape(batch, rows, num_heads, -1).swapaxes(1, 2) for part in np.split(made, 3, -1))
    if past is not None:
        k, v = (np.concatenate([wide(p), new], 2) for p, new in zip(past, (k, v)))
    scores = q @ k.swapaxes(2, 3) * (scale or q.shape[-1] ** -0.5)
    if mask is not None:
        scores = scores + np.where(mask > 0, 0, mask_filter_value)[:, None, None, :]
    if unidirectional:
        scores = np.where(np.tri(rows, k.shape[2], k.shape[2] - rows, dtype=bool), scores, -np.inf)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    y = (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(1, 2).reshape(batch, rows, -1)
    return y.astype(np.float32), np.stack([k, v]).astype(np.float32)


def dynamic_quantize_lstm(x, w, r, bias=None, lengths=None, h=None, c=None, peepholes=None, w_scale=None, w_zero=None,
                          r_scale=None, r_zero=None, hidden_size=0, direction=b"forward", **_):
    """An LSTM of the weights that the bytes stand for. (ONNX Runtime quantises what it multiplies them with, too.)"""
    def weights(codes_, scale, zero):
        each = (len(codes_), 1, -1)
        return (wide(codes_) - wide(zero).reshape(each)) * wide(scale).reshape(each)

    def sigmoid(t):
        return 1 / (1 + np.exp(-t))

    assert lengths is None and h is None and c is None and peepholes is None
    w, r = weights(w, w_scale, w_zero), weights(r, r_scale, r_zero)
    ends, made = [], []
    for d in range(len(w)):
        state, cell, rows = np.zeros((x.shape[1], hidden_size)), np.zeros((x.shape[1], hidden_size)), []
        steps = wide(x)[::-1] if d or direction == b"reverse" else wide(x)
        b = wide(bias)[d].reshape(2, -1).sum(0) if bias is not None else 0
        for step in steps:
            i, o, f, g = np.split(step @ w[d] + state @ r[d] + b, 4, -1)
            cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
            state = sigmoid(o) * np.tanh(cell)
            rows.append(state)
        made.append(rows[::-1] if d or direction == b"reverse" else rows)
        ends.append((state, cell))
    outputs = [np.array(made).swapaxes(0, 1), np.array([e[0] for e in ends]), np.array([e[1] for e in ends])]
    return tuple(y.astype(np.float32) for y in outputs)


BYTE_PRODUCTS = {"MatMulInteger": matmul_integer, "ConvInteger": conv_integer, "QLinearMatMul": qlinear_matmul,
                 "QLinearConv": qlinear_conv, "MatMulIntegerToFloat": matmul_integer_to_float, "QGemm": qgemm,
                 "DynamicQuantizeMatMul": dynamic_quantize_matmul, "QAttention": qattention,
                 "DynamicQuantizeLSTM": dynamic_quantize_lstm}


def codes(dtype):
    x = np.arange(256, dtype=np.uint8).view(dtype).astype(np.float64)
    return x[np.isfinite(x)]


def lowest(dtype):
    return codes(dtype).min() if dtype.itemsize == 1 else np.iinfo(dtype).min


def highest(dtype):
    return codes(dtype).max() if dtype.itemsize == 1 else np.iinfo(dtype).max


def scaler(x, offset=(0.0,), scale=(1.0,)):
    return ((x.astype(np.float64) - np.array(offset)) * np.array(scale)).astype(np.float32)


def align_to_axis(b, a, axis):
    fits = 0 <= axis <= a.ndim - b.ndim
    return b.reshape(b.shape + (1,) * (a.ndim - axis - b.ndim)) if fits else b


def identity(x, **_):
    return x


TABLE = {"DynamicSlice": dynamic_slice, "ConstantFill": constant_fill, "GivenTensorFill": given_tensor_fill,
         "GRUUnit": gru_unit, "Scatter": scatter, "Scaler": scaler, "Optional": identity, "AlignToAxis": align_to_axis, **BYTE_PRODUCTS}


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
        made = self.compute(*(values[n] if n else None for n in self.node.input), **attributes)
        made = made if isinstance(made, tuple) else (made,)
        return [m.rounded() if isinstance(m, Real) else m for m, name in zip(made, self.node.output) if name]
