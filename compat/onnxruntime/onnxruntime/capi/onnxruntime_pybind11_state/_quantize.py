# SPDX-License-Identifier: Apache-2.0
"""Weights of a product as integers of 2, 4 or 8 bits with a scale for each block of a column, as the operator
MatMulNBits takes them: what onnxruntime.quantization.matmul_nbits_quantizer calls."""
import numpy as np

from ._native import exported, native, variant

__all__ = []


def _half_up(values):
    return np.floor(values + np.float32(0.5))


def _blocks(weights, size):
    """[column, block, element] of a matrix, the last block filled up with zeros."""
    rows, columns = weights.shape
    count = -(-rows // size)
    filled = np.zeros((count * size, columns), np.float32)
    filled[:rows] = weights
    return filled.reshape(count, size, columns).transpose(2, 0, 1)


def _packed(codes, bits, otherwise):
    """Bytes of codes along the last axis, the first in the low bits; what is left of the last byte is `otherwise`."""
    per_byte = 8 // bits
    count = codes.shape[-1]
    filled = np.full((*codes.shape[:-1], -(-count // per_byte) * per_byte), otherwise, np.uint8)
    filled[..., :count] = codes
    parts = filled.reshape(*codes.shape[:-1], -1, per_byte) << (np.arange(per_byte, dtype=np.uint8) * np.uint8(bits))
    return np.bitwise_or.reduce(parts, axis=-1)


def _scales(blocks, bits, symmetric):
    """(scale, zero point) of each block."""
    low, high = np.minimum(blocks.min(-1), 0), np.maximum(blocks.max(-1), 0)
    middle, top = 1 << (bits - 1), (1 << bits) - 1
    if symmetric:
        return np.where(high > -low, high, low) / np.float32(-middle), np.full(low.shape, middle, np.float32)
    scale = (high - low) / np.float32(top)
    return scale, np.where(scale == 0, 0, np.clip(_half_up(-low / np.where(scale == 0, 1, scale)), 0, top))


def _quantize(bits, target, weights, scales, zeros, size, rows, symmetric):
    blocks = _blocks(weights, size)
    scale, zero = _scales(blocks, bits, symmetric)
    inverse = np.where(scale == 0, 0, np.float32(1) / np.where(scale == 0, 1, scale)).astype(np.float32)
    codes = np.clip(_half_up(blocks * inverse[..., None] + zero[..., None].astype(np.float32)), 0, (1 << bits) - 1)
    codes = codes.reshape(len(codes), -1)
    codes[:, rows:] = 0
    target.reshape(-1)[:] = _packed(codes.astype(np.uint8), bits, 0).reshape(-1)
    scales.reshape(-1)[:] = scale.reshape(-1)
    if not symmetric:
        zeros.reshape(-1)[:] = _packed(zero.astype(np.uint8), bits, 1 << (bits - 1)).reshape(-1)


def _of(bits):
    def quantize(arg0: "uint8s", arg1: "float32s", arg2: "float32s", arg3: "uint8s", arg4: "int", arg5: "int",
                 arg6: "int", arg7: "bool") -> None:
        """bytes, weights [K, N], scales, zero points, size of a block, N, K, whether without zero points"""
        _quantize(bits, arg0, arg1, arg2, arg3, int(arg4), int(arg6), bool(arg7))

    quantize.__name__ = f"quantize_matmul_{bits}bits"
    __all__.append(quantize.__name__)
    return exported(native(quantize, variant(quantize, arg1="float16s", arg2="float16s")))


quantize_matmul_2bits, quantize_matmul_4bits, quantize_matmul_8bits = _of(2), _of(4), _of(8)
