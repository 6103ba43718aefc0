#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Operators of com.microsoft on random data, against ONNX Runtime where its answer does not depend on the processor: what
adds byte products is judged by definitions.py, in exact arithmetic.

    tests/ops/test_contrib.py [--seeds N] [NAME ...]     only operators whose name starts with a NAME

A case is a function that yields (inputs, attributes, options) for its operator; inputs are arrays, None where left
out, Const(array) for initializers. Options: outputs (count or list of wanted ones), rtol, atol, steps (tolerance of
quantised outputs), opset, expect (instead of asking ONNX Runtime), shared (outputs that lie where inputs do), open
({output: where any number will do}). What ONNX Runtime refuses to run is counted as skipped with its reason (-v prints
them).
"""
import math
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter()

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

import definitions  # noqa: E402
import engine  # noqa: E402

CASES = []
ort.set_default_logger_severity(4)


class Const:
    def __init__(self, array):
        self.array = np.asarray(array)


def case(operator):
    return lambda function: CASES.append((operator, function)) or function


def build(operator, inputs, attributes, options):
    names, infos, initializers = [], [], []
    for i, x in enumerate(inputs):
        names.append("" if x is None else f"i{i}")
        if isinstance(x, Const):
            initializers.append(numpy_helper.from_array(x.array, names[-1]))
        elif x is not None:
            infos.append(helper.make_tensor_value_info(names[-1], helper.np_dtype_to_tensor_dtype(x.dtype), x.shape))
    wanted = options.get("outputs", 1)
    wanted = range(wanted) if isinstance(wanted, int) else wanted
    outputs = [f"o{i}" if i in wanted else "" for i in range(max(wanted) + 1)]
    node = helper.make_node(operator, names, outputs, domain=options.get("domain", "com.microsoft"),
                            name="n", **attributes)
    infer = [onnx.ValueInfoProto(name=o) if i not in options.get("types", {}) else
             helper.make_tensor_value_info(o, options["types"][i], None) for i, o in enumerate(outputs) if o]
    graph = helper.make_graph([node], "g", infos, infer, initializers)
    opsets = [helper.make_opsetid("", options.get("opset", 17)), helper.make_opsetid("com.microsoft", 1)]
    feeds = {n: x for n, x in zip(names, inputs) if x is not None and not isinstance(x, Const)}
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString(), feeds


def differ(got, want, options):
    if isinstance(want, definitions.Real):
        return want.differs(got)
    if isinstance(want, list):
        return None if got == want else "sequences differ"
    if got.shape != want.shape:
        return f"shape {got.shape}, expected {want.shape}"
    if got.dtype != want.dtype:
        return f"type {got.dtype}, expected {want.dtype}"
    if want.dtype.kind in "OSUb":
        return None if (got.astype(str) == want.astype(str)).all() else "elements differ"
    steps = options.get("steps", 0)
    half = want.dtype.itemsize == 2 and want.dtype.kind != "i"
    a, b = (np.maximum(x.astype(np.float64), -1e38) for x in (got, want))  # closed: -inf or the lowest number
    rtol, atol = (0, steps) if want.dtype.kind in "iu" else (options.get("rtol", 1e-2 if half else 1e-4),
                                                             options.get("atol", 1e-2 if half else 1e-5))
    near = np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
    if near.all():
        return None
    at = tuple(int(i[0]) for i in np.nonzero(~near))
    return f"{(~near).sum()} of {near.size} differ, first at {at}: {a[at]} instead of {b[at]}"


def in_place(session, feeds, shared):
    """Runs with outputs that lie where inputs do: {number of the output: name of the input}."""
    binding, values = session.io_binding(), {n: ort.OrtValue.ortvalue_from_numpy(x.copy()) for n, x in feeds.items()}
    for name, value in values.items():
        binding.bind_ortvalue_input(name, value)
    for i, output in enumerate(session.get_outputs()):
        if i in shared:
            binding.bind_ortvalue_output(output.name, values[shared[i]])
        else:
            binding.bind_output(output.name)
    session.run_with_iobinding(binding)
    return binding.copy_outputs_to_cpu()


def exact(operator, inputs, attributes):
    """By the definition; None for operators that ONNX Runtime may judge."""
    if operator not in definitions.BYTE_PRODUCTS:
        return None
    words = {n: v.encode() if isinstance(v, str) else v for n, v in attributes.items()}
    made = definitions.BYTE_PRODUCTS[operator](*(x.array if isinstance(x, Const) else x for x in inputs), **words)
    return list(made) if isinstance(made, tuple) else [made]


def check(operator, inputs, attributes, options):
    """None, ("skipped" or "failed", why)"""
    model, feeds = build(operator, inputs, attributes, options)
    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    want = options.get("expect") or exact(operator, inputs, attributes)
    try:
        if not want:
            session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
            want = in_place(session, feeds, options["shared"]) if "shared" in options else session.run(None, feeds)
    except Exception as error:  # noqa: BLE001  (its exceptions have no common base)
        return "skipped", str(error).replace("\n", " ")[:300]
    try:
        got = engine.Session(model).run(feeds)
    except engine.Failure as error:
        return "failed", " ".join(error.args)
    for i, (g, w) in enumerate(zip(got, want)):
        if i in options.get("ignore", ()):
            continue
        if i in options.get("open", {}):  # what is left open there may be anything
            g, w = (np.where(options["open"][i], 0, x).astype(x.dtype) for x in (g, w))
        why = differ(g, w, options)
        if why:
            return "failed", f"output {i}: {why}"
    return None


def main():
    arguments = sys.argv[1:]
    seeds = int(arguments.pop(arguments.index("--seeds") + 1)) if "--seeds" in arguments else 3
    names = [a for a in arguments if not a.startswith("-")]
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for operator, function in CASES:
        if names and not any(operator.startswith(n) for n in names):
            continue
        for seed in range(seeds):
            for index, (inputs, attributes, options) in enumerate(function(np.random.default_rng(seed))):
                result = check(operator, inputs, attributes, options)
                counts[result[0] if result else "passed"] += 1
                if result and (result[0] == "failed" or "-v" in arguments):
                    shapes = [None if x is None else getattr(x, "array", x).shape for x in inputs]
                    print(f"{result[0].upper()} {operator} {function.__name__}[{index}] seed {seed} {shapes} "
                          f"{attributes}: {result[1]}")
    print(", ".join(f"{n} {what}" for what, n in counts.items()))
    return counts["failed"] != 0


# ---- data ------------------------------------------------------------------------------------------------


def floats(random, *shape, dtype=np.float32, scale=1.0):
    return (random.standard_normal(shape) * scale).astype(dtype)


def integers(random, *shape, dtype=np.uint8):
    info = np.iinfo(dtype)
    return random.integers(max(info.min, -2**31), min(info.max, 2**31), shape, dtype=np.int64).astype(dtype)


def scalar(value, dtype=np.float32):
    return np.array(value, dtype)


EIGHT_BITS = (np.uint8, np.int8)


# ---- fusions ---------------------------------------------------------------------------------------------


@case("EmbedLayerNormalization")
def embed(random):
    ids, segments = (random.integers(0, n, (2, 5)).astype(np.int32) for n in (11, 2))
    tables = [floats(random, n, 8) for n in (11, 7, 2)]
    gamma, beta = floats(random, 8), floats(random, 8)
    mask = (random.random((2, 5)) < 0.7).astype(np.int32)
    yield [ids, segments, *tables, gamma, beta, mask], {"epsilon": 1e-5}, {"outputs": 2}
    yield [ids, segments, *tables, gamma, beta], {}, {"outputs": 2}
    yield [ids, None, *tables[:2], None, gamma, beta, mask], {}, {"outputs": 3}
    positions = random.integers(0, 7, (2, 5)).astype(np.int32)
    yield [ids, segments, *tables, gamma, beta, None, positions], {}, {"outputs": [0, 2]}


@case("QEmbedLayerNormalization")
def qembed(random):
    for dtype in EIGHT_BITS:
        ids, segments = (random.integers(0, n, (2, 5)).astype(np.int32) for n in (11, 2))
        tables = [integers(random, n, 8, dtype=dtype) for n in (11, 7, 2)]
        gamma, beta = integers(random, 8, dtype=dtype), integers(random, 8, dtype=dtype)
        scales = [scalar(s) for s in random.uniform(0.01, 0.1, 5)]
        zeros = [scalar(z, dtype) for z in random.integers(0, 9, 5)]
        mask = (random.random((2, 5)) < 0.7).astype(np.int32)
        yield [ids, segments, *tables, gamma, beta, mask, *scales, *zeros], {}, {"outputs": 2}


# ---- quantised functions -----------------------------------------------------------------------------------


@case("BiasAdd")
def bias_add(random):
    x, bias, skip = floats(random, 2, 3, 4), floats(random, 4), floats(random, 2, 3, 4)
    yield [x, bias, skip], {}, {"expect": [x + bias + skip]}


@case("BiasSplitGelu")
def bias_split_gelu(random):
    x, bias = floats(random, 2, 3, 8), floats(random, 8)
    left, right = np.split(x + bias, 2, axis=-1)
    gelu = right * 0.5 * (1 + np.vectorize(math.erf)(right / np.sqrt(2)))
    yield [x, bias], {}, {"expect": [(left * gelu).astype(np.float32)]}


@case("GemmFastGelu")
def gemm_fast_gelu(random):
    x, w, bias = floats(random, 2, 3, 4), floats(random, 4, 5), floats(random, 5)
    y = x @ w + bias
    want = 0.5 * y * (1 + np.tanh(0.7978845608 * (y + 0.044715 * y ** 3)))
    yield [x, w, bias], {}, {"expect": [want.astype(np.float32)]}


@case("QLinearReduceMean")
def qreduce(random):
    for dtype in EIGHT_BITS:
        x = integers(random, 3, 4, 5, dtype=dtype)
        for axes, keep in (([1], 1), ([0, 2], 0), ([-1], 0)):
            mean = ((x.astype(np.float32) - 7) * 0.1).mean(axis=tuple(axes), keepdims=bool(keep))
            info = np.iinfo(dtype)
            want = np.clip(np.rint(mean / 0.04) + 3, info.min, info.max).astype(dtype)
            yield [x, scalar(0.1), scalar(7, dtype), scalar(0.04), scalar(3, dtype)], {"axes": axes, "keepdims": keep}, \
                {"steps": 1, "expect": [want]}


@case("QLinearSoftmax")
def qsoftmax(random):
    for dtype in EIGHT_BITS:
        x = integers(random, 3, 4, 5, dtype=dtype)
        for axis, opset in ((-1, 13), (1, 13), (1, 11)):
            yield [x, Const(scalar(0.05)), Const(scalar(7, dtype)), Const(scalar(1 / 256)), Const(scalar(0, dtype))], \
                {"axis": axis, "opset": opset}, {"steps": 1}
        # The scale of a mask that was quantised leaves no numbers, and every release of ONNX Runtime gives something
        # else. Here it is the lowest value, but with a negative zero point the highest.
        for zero in (0, np.iinfo(dtype).min):
            want = np.iinfo(dtype).max if zero < 0 else np.iinfo(dtype).min
            yield [x, Const(scalar(np.inf)), Const(scalar(0, dtype)), Const(scalar(1 / 256)), Const(scalar(zero, dtype))], \
                {"opset": 13}, {"expect": [np.full(x.shape, want, dtype)]}


@case("QLinearWhere")
def qwhere(random):
    for dtype in EIGHT_BITS:
        yield [random.random((3, 1)) < 0.5, integers(random, 3, 4, dtype=dtype), scalar(0.1), scalar(3, dtype),
               integers(random, 4, dtype=dtype), scalar(0.2), scalar(5, dtype), scalar(0.15), scalar(9, dtype)], {}, \
            {"steps": 1}


@case("DynamicQuantizeLSTM")
def quantized_lstm(random):
    for dtype, directions, columns in ((np.int8, 1, False), (np.uint8, 2, False), (np.int8, 2, True)):
        hidden, width = 6, 5
        w, r = (Const(integers(random, directions, n, 4 * hidden, dtype=dtype)) for n in (width, hidden))
        shape = (directions, 4 * hidden) if columns else (directions,)
        scale = Const(np.full(shape, 0.003, np.float32))
        zero = Const(np.full(shape, 0 if dtype == np.int8 else 128, dtype))
        yield [floats(random, 4, 3, width), w, r, floats(random, directions, 8 * hidden), None, None, None, None, scale,
               zero, scale, zero], \
            {"hidden_size": hidden, "direction": "forward" if directions == 1 else "bidirectional"}, {"outputs": 3}


@case("MulInteger")
def mul_integer(random):
    a, b = integers(random, 3, 4), integers(random, 4)
    want = (a.astype(np.int32) - 3) * (b.astype(np.int32) - 200)
    yield [a, scalar(3, np.uint8), b, scalar(200, np.uint8)], {}, {"expect": [want]}
    yield [a, None, b], {}, {"expect": [a.astype(np.int32) * b]}


@case("MatMulInteger16")
def matmul16(random):
    yield [random.integers(-99, 99, (2, 3, 4)).astype(np.int16), random.integers(-99, 99, (4, 5)).astype(np.int16)], {}, {}


@case("ReduceSumInteger")
def reduce_sum_integer(random):
    x = integers(random, 2, 3, 4, dtype=np.int8)
    yield [x], {"axes": [1], "keepdims": 1}, {"expect": [x.astype(np.int32).sum(1, keepdims=True, dtype=np.int32)]}


# ---- aliases -----------------------------------------------------------------------------------------------


@case("GridSample")
def grid_sample(random):
    for mode in ("bilinear", "nearest", "bicubic"):
        for padding in ("zeros", "border", "reflection"):
            if mode == "bicubic" and padding == "border":
                continue  # ONNX Runtime moves the sampled place to the border, the specification only the four taps
            yield [floats(random, 2, 3, 5, 6), random.uniform(-1.3, 1.3, (2, 4, 7, 2)).astype(np.float32)], \
                {"mode": mode, "padding_mode": padding, "align_corners": int(random.integers(2))}, {}


@case("Trilu")
def trilu(random):
    yield [floats(random, 2, 4, 5), scalar(1, np.int64)], {"upper": 0}, {}


@case("Unique")
def unique(random):
    yield [random.integers(0, 5, 20).astype(np.float32)], {}, {"outputs": 3}


@case("Pad")
def pad(random):
    x = floats(random, 3, 4)
    yield [x, np.array([1, 0, 2, 3], np.int64), scalar(2.5)], {}, {}
    yield [x, np.array([[1, 0, 1, 2]], np.int64)], {"mode": "reflect"}, {}
    yield [x, np.array([1, -1, 1, 2], np.int64), np.array([2.5], np.float32)], {"mode": "edge"}, {}


@case("Range")
def arange(random):
    yield [scalar(1), scalar(7), scalar(1.5)], {}, {}
    yield [scalar(2, np.int64), np.array([9], np.int64)], {}, {}


@case("ExpandDims")
def expand_dims(random):
    for axis in (0, -1, 1):
        yield [floats(random, 2, 3), Const(scalar(axis, np.int32))], {}, {}


@case("GatherND")
def gather_nd(random):
    yield [floats(random, 3, 4, 5), random.integers(0, 3, (2, 2)).astype(np.int32)], {}, {}
    yield [floats(random, 3, 4, 5), random.integers(0, 3, (2, 3)).astype(np.int64)], {}, {}


@case("SampleOp")
def sample(random):
    yield [floats(random, 3, 4)], {}, {}


# ---- attention -----------------------------------------------------------------------------------------------


def heads(random, batch, rows, hidden, dtype=np.float32):
    return floats(random, batch, rows, hidden, dtype=dtype)


def padding(random, batch, columns):
    mask = (np.arange(columns) < random.integers(1, columns + 1, (batch, 1))).astype(np.int32)
    return mask


@case("MultiHeadAttention")
def multi_head(random):
    n, width = int(random.integers(1, 4)), 4
    q, k = heads(random, 2, 5, n * width), heads(random, 2, 7, n * width)
    v = heads(random, 2, 7, n * 6)
    attributes = {"num_heads": n}
    yield [q, k, v], attributes, {}
    yield [q, k, v, floats(random, 2 * n * width + n * 6)], {**attributes, "scale": 0.3}, {}
    yield [q, k, v, None, padding(random, 2, 7)], attributes, {}
    yield [q, k, v, None, padding(random, 2, 7)[:, None].repeat(5, 1)], {**attributes, "mask_filter_value": -5.0}, {}
    yield [q, k, v, None, np.array([3, 7], np.int32)], attributes, {}
    yield [q, k, v, None, None, floats(random, 2, n, 5, 7)], attributes, {}
    yield [q, k, v, None, padding(random, 2, 7), floats(random, 1, 1, 5, 7)], attributes, {}
    v = heads(random, 2, 7, n * width)
    yield [q, floats(random, 2, n, 7, width), floats(random, 2, n, 7, width)], attributes, {}
    yield [q, floats(random, 2, n, 7, width), floats(random, 2, n, 7, width), floats(random, 3 * n * width)], attributes, {}
    past = [floats(random, 2, n, 3, width) for _ in range(2)]
    new = [heads(random, 2, 5, n * width) for _ in range(3)]
    yield [*new, None, None, None, *past], attributes, {"outputs": 3}
    yield [*new, floats(random, 3 * n * width), None, floats(random, 1, n, 5, 8), *past], \
        {**attributes, "unidirectional": 1}, {"outputs": 3}
    yield [*new], {**attributes, "unidirectional": 1}, {"outputs": 3}
    yield [*new, None, padding(random, 2, 5)], {**attributes, "unidirectional": 1}, {"outputs": [0, 3], "types": {3: 1}}
    yield [x.astype(np.float16) for x in new], attributes, {}
    big = [heads(random, 1, 150, n * 16) for _ in range(3)]
    yield big, attributes, {}


@case("MultiHeadAttention")
def packed_heads(random):
    qkv = floats(random, 2, 5, 3, 3, 4)
    q, k, v = (qkv[:, :, :, i].reshape(2, 5, 12) for i in range(3))
    plain, feeds = build("MultiHeadAttention", [q, k, v], {"num_heads": 3}, {})
    want = ort.InferenceSession(plain).run(None, feeds)
    yield [qkv], {"num_heads": 3}, {"expect": want}
    yield [q, np.ascontiguousarray(qkv[:, :, :, 1:])], {"num_heads": 3}, {"expect": want}


@case("Attention")
def attention(random):
    n, hidden = 3, 12
    x, w, bias = floats(random, 2, 5, 9), floats(random, 9, 36, scale=0.3), floats(random, 36)
    attributes = {"num_heads": n}
    yield [x, Const(w), Const(bias)], attributes, {}
    plain, feeds = build("Attention", [x, w, np.zeros(36, np.float32)], attributes, {})
    yield [x, w], attributes, {"expect": ort.InferenceSession(plain).run(None, feeds)}  # it crashes without a bias
    yield [x, w, bias, padding(random, 2, 5)], {**attributes, "scale": 0.7}, {"outputs": 2}
    yield [x, w, bias, np.array([3, 5], np.int32)], attributes, {}
    yield [x, w, bias, np.array([3, 5, 1, 2], np.int32)], attributes, {}
    yield [x, w, bias, padding(random, 2, 5)[:, None].repeat(5, 1)], {**attributes, "unidirectional": 1}, {}
    past = floats(random, 2, 2, n, 4, hidden // n)
    yield [x, w, bias, None, past], {**attributes, "unidirectional": 1}, {"outputs": 2}
    yield [x, w, bias, padding(random, 2, 9), past, None], attributes, {"outputs": 2}
    yield [x, floats(random, 9, 30), floats(random, 30)], {**attributes, "qkv_hidden_sizes": [12, 12, 6]}, {}


@case("QAttention")
def qattention(random):
    n = 3
    for dtype in EIGHT_BITS:
        x, w = integers(random, 2, 5, 9), integers(random, 9, 36, dtype=dtype)
        for columns in (False, True):
            scale = floats(random, 36) ** 2 * 0.002 if columns else scalar(0.002)
            zero = integers(random, 36, dtype=dtype) if columns else scalar(3, dtype)
            yield [x, Const(w), Const(floats(random, 36)), Const(scalar(0.02)), Const(scale), padding(random, 2, 5),
                   Const(scalar(128, np.uint8)), Const(zero)], {"num_heads": n}, {}
        yield [x, Const(w), Const(floats(random, 36)), Const(scalar(0.02)), Const(scalar(0.002)), None,
               Const(scalar(128, np.uint8)), Const(scalar(3, dtype)), floats(random, 2, 2, n, 4, 4)], \
            {"num_heads": n, "unidirectional": 1}, {"outputs": 2}


@case("DecoderMaskedMultiHeadAttention")
def decoder(random):
    n, width, length = 2, 4, 7
    q, k, v = (floats(random, 4, 1, n * width) for _ in range(3))
    past = [floats(random, 4, n, length, width) for _ in range(2)]
    attributes = {"num_heads": n, "past_present_share_buffer": 1}
    used = np.array([3], np.int32)
    yield [q, k, v, None, None, *past, used], attributes, {"outputs": 3}
    yield [q, k, v, padding(random, 4, 4), None, *past, used, None, None, floats(random, 3 * n * width)], attributes, \
        {"outputs": 3}
    beams = random.integers(0, 2, (2, 2, length)).astype(np.int32)
    yield [q, k, v, None, None, *past, used, np.array([2], np.int32), beams], attributes, {"outputs": 3}
    yield [q, *past], {"num_heads": n}, {}
    yield [q, *past, padding(random, 4, length)], {"num_heads": n, "output_qk": 1}, {"outputs": [0, 3], "types": {3: 1}}


@case("GroupQueryAttention")
def group_query(random):
    n, kv, width, batch = 4, 2, 16, 2
    attributes = {"num_heads": n, "kv_num_heads": kv}

    def rows(length, count):
        return floats(random, batch, length, count * width)

    def whole(length):
        return np.full(batch, length - 1, np.int32), scalar(length, np.int32)

    angles = random.uniform(0, 6, (40, width // 2)).astype(np.float32)
    tables = [np.cos(angles), np.sin(angles)]
    for extra in ({}, {"local_window_size": 2}, {"local_window_size": 3, "softcap": 2.0}, {"scale": 0.5},
                  {"smooth_softmax": 1}):
        yield [rows(6, n), rows(6, kv), rows(6, kv), None, None, *whole(6)], {**attributes, **extra}, {"outputs": 3}
    yield [rows(6, n), rows(6, kv), rows(6, kv), None, None, *whole(6), None, None, None, None, floats(random, n)], \
        attributes, {"outputs": 3}
    yield [rows(6, n), rows(6, kv), rows(6, kv), None, None, *whole(6), None, None, None,
           floats(random, 1, n, 6, 6)], attributes, {"outputs": 3}
    for interleaved in (0, 1):
        turned = {**attributes, "do_rotary": 1, "rotary_interleaved": interleaved}
        yield [rows(6, n), rows(6, kv), rows(6, kv), None, None, *whole(6), *tables], turned, {"outputs": 3}
        past = [floats(random, batch, kv, 9, width) for _ in range(2)]
        yield [rows(1, n), rows(1, kv), rows(1, kv), *past, *whole(10), *tables], turned, {"outputs": 3}
        one = [x[:1] for x in (rows(3, n), rows(3, kv), rows(3, kv), *past, np.full(2, 11, np.int32))]
        yield [*one, scalar(12, np.int32), *tables], turned, {"outputs": 3}
        yield [rows(6, n + 2 * kv), None, None, None, None, *whole(6), *tables], turned, {"outputs": 3}
        positions = np.array([[5], [7]], np.int64)
        yield [rows(1, n), rows(1, kv), rows(1, kv), *past, *whole(10), *tables, positions], turned, {"outputs": 3}
    past = [floats(random, batch, kv, 12, width) for _ in range(2)]  # a buffer with room
    yield [rows(1, n), rows(1, kv), rows(1, kv), *past, np.array([4, 9], np.int32), scalar(10, np.int32)], attributes, \
        {"outputs": 3, "ignore": (1, 2)}
    yield [rows(1, n), rows(1, kv), rows(1, kv), *past, np.array([4, 9], np.int32), scalar(10, np.int32)], \
        {**attributes, "local_window_size": 3}, {"outputs": 3, "ignore": (1, 2)}
    yield [rows(5, n), rows(5, kv), rows(5, kv), None, None, np.array([2, 4], np.int32), scalar(5, np.int32)], \
        attributes, {"outputs": 3, "ignore": (0,)}
    for wanted in (1, 2):
        yield [rows(6, n), rows(6, kv), rows(6, kv), None, None, *whole(6)], {**attributes, "qk_output": wanted}, \
            {"outputs": 4}
    half = [x.astype(np.float16) for x in (rows(1, n), rows(1, kv), rows(1, kv), *past)]
    yield [*half, *whole(13)], attributes, {"outputs": 3}


@case("GroupQueryAttention")
def quantised_cache(random):
    n, kv, width, batch = 4, 2, 16, 2

    def rows(length, count):
        return floats(random, batch, length, count * width)

    for bits, dtype in ((8, np.int8), (4, np.uint8)):
        past = [integers(random, batch, kv, 9, width * bits // 8, dtype=dtype) for _ in range(2)]
        empty = [x[:, :, :0].copy() for x in past]
        for kind, shape in (("PER_TENSOR", (1,)), ("PER_CHANNEL", (1, kv, 1, width))):
            attributes = {"num_heads": n, "kv_num_heads": kv, "k_quant_type": kind, "v_quant_type": kind,
                          "kv_cache_bit_width": bits}
            scales = [np.abs(floats(random, *shape, scale=0.1)) + 0.05 for _ in range(2)]
            for length, total, before, lengths in ((1, 10, past, (9, 9)), (3, 3, empty, (2, 2)), (1, 7, past, (6, 4))):
                yield [rows(length, n), rows(length, kv), rows(length, kv), *before, np.array(lengths, np.int32),
                       scalar(total, np.int32), *[None] * 5, *scales], attributes, \
                    {"outputs": 3, "ignore": (1, 2) if total == 7 else (), "rtol": 1e-3, "atol": 1e-4}


@case("GroupQueryAttention")
def window_cache(random):
    n, kv, width, window = 4, 2, 16, 4
    angles = random.uniform(0, 6, (40, width // 2)).astype(np.float32)
    tables = [np.cos(angles), np.sin(angles)]
    for room, bits in ((4, 0), (7, 0), (7, 8)):
        attributes = {"num_heads": n, "kv_num_heads": kv, "local_window_size": window, "sliding_window_cache": 1}
        scales = []
        if bits:
            attributes.update(k_quant_type="PER_TENSOR", v_quant_type="PER_TENSOR", kv_cache_bit_width=8)
            scales = [np.array([0.03], np.float32)] * 2
        for rows, totals in ((1, (3, 7)), (1, (12, 9)), (5, (5, 5)), (9, (9, 9)), (3, (13,)), (9, (23,))):
            batch = len(totals)
            past = [floats(random, batch, kv, room, width) for _ in range(2)]
            past = [integers(random, *x.shape, dtype=np.int8) for x in past] if bits else past
            q, k, v = (floats(random, batch, rows, c * width) for c in (n, kv, kv))
            step = room - window + 1
            kept = np.array([t if t <= room else t - step * math.ceil((t - room) / step) for t in totals])
            beyond = np.arange(room)[:, None] >= kept[:, None, None, None]
            yield [q, k, v, *past, np.array(totals, np.int32) - 1, scalar(max(totals), np.int32), *tables, None, None,
                   None, *scales], {**attributes, "do_rotary": 1}, {"outputs": 3, "open": {1: beyond, 2: beyond},
                                                                    "rtol": 1e-3, "atol": 1e-4}


@case("SparseAttention")
def sparse_attention(random):
    n, kv, width, batch, block, room = 4, 2, 16, 2, 16, 64
    masks = np.tril(random.random((2, 4, 4)) < 0.5) | np.eye(4, dtype=bool)
    lists = [np.concatenate([np.nonzero(row)[0] for row in m]) for m in masks]
    columns = np.full((2, max(map(len, lists))), -1, np.int32)
    for i, line in enumerate(lists):
        columns[i, :len(line)] = line
    rows = np.concatenate([np.zeros((2, 1)), masks.sum(2).cumsum(1)], 1).astype(np.int32)
    past = [floats(random, batch, kv, room, width) for _ in range(2)]
    angles = random.uniform(0, 6, (80, width // 2)).astype(np.float32)
    tables = [np.cos(angles), np.sin(angles)]

    def some(length, count):
        return floats(random, batch, length, count * width)

    attributes = {"num_heads": n, "kv_num_heads": kv, "sparse_block_size": block}
    shared = {"outputs": 3, "shared": {1: "i3", 2: "i4"}}
    for length, lengths in ((50, (50, 50)), (1, (50, 50)), (1, (34, 34)), (40, (40, 23))):
        counts = [scalar(max(lengths), np.int32), np.array(lengths, np.int32)]
        # Samples of unequal length in one step are left out: ONNX Runtime gives numbers that no mask explains.
        # What stands where nothing counts is left open: rows of padding, the rest of the buffers.
        options = {**shared, "ignore": (1, 2) if length != 40 else (0, 1, 2)}
        for layouts in (2, 1):
            yield [some(length, n), some(length, kv), some(length, kv), *past, rows[:layouts], columns[:layouts],
                   *counts], attributes, options
        yield [some(length, n + 2 * kv), None, None, *past, rows, columns, *counts, *tables], \
            {**attributes, "do_rotary": 1, "scale": 0.3}, options


def soft(scores, sink=None):
    top = np.maximum(scores.max(-1, keepdims=True), -np.inf if sink is None else sink)
    e = np.exp(scores - top)
    return e / (e.sum(-1, keepdims=True) + (0 if sink is None else np.exp(sink - top)))


def rotated(x, tables, start, offset=0):
    """[rows, heads, width] with its halves turned, from position `start` on."""
    pairs = tables[0].shape[1]
    cosine, sine = (t[start:start + len(x), None] for t in tables)
    a, b = x[..., offset:offset + pairs], x[..., offset + pairs:offset + 2 * pairs]
    y = x.copy()
    y[..., offset:offset + 2 * pairs] = np.concatenate([a * cosine - b * sine, b * cosine + a * sine], -1)
    return y


def rms(x, weight, epsilon=1e-6):
    return x / np.sqrt((x.astype(np.float64) ** 2).mean(-1, keepdims=True) + epsilon) * weight


@case("PagedAttention")
def paged_attention(random):
    n, kv, width, size, blocks = 4, 2, 8, 4, 9
    rows, past = np.array([3, 1, 5]), np.array([0, 6, 3], np.int32)
    ends = np.concatenate([[0], rows.cumsum()]).astype(np.int32)
    table = random.permutation(blocks)[:9].reshape(3, 3).astype(np.int32)
    angles = random.uniform(0, 6, (20, width // 2)).astype(np.float32)
    tables = [np.cos(angles), np.sin(angles)]
    attributes = {"num_heads": n, "kv_num_heads": kv}

    def expect(q, k, v, caches, sinks=None, norms=None, turn=None, window=None, causal=True, softcap=0, offset=0,
               slots=None, dequantized=(lambda c: c), quantized=(lambda x, which: x), latent=None):
        caches, y = [c.copy() for c in caches], []
        for b in range(3):
            mine = slice(ends[b], ends[b + 1])
            heads = [x[mine].reshape(rows[b], -1, width) for x in (q, k, v)]
            if norms is not None:
                heads[:2] = [rms(x, w) for x, w in zip(heads, norms)]
            if turn:
                heads[:2] = [rotated(x, tables, past[b], offset) for x in heads[:2]]
            places = np.arange(past[b] + rows[b])
            places = table[b, places // size], places % size
            for which, cache in enumerate(caches):
                for r in range(rows[b]):
                    at = (places[0][past[b] + r], places[1][past[b] + r]) if slots is None else \
                        divmod(slots[ends[b] + r], size)
                    if slots is None or slots[ends[b] + r] >= 0:
                        cache[at] = quantized(heads[1 + which][r], which)
            keys = [dequantized(c, i)[places].repeat(n // kv if latent is None else n, 1) for i, c in enumerate(caches)]
            keys.append(keys[0][..., :latent])
            scores = np.einsum("rhd,khd->hrk", heads[0], keys[0]) / np.sqrt(width)
            scores = softcap * np.tanh(scores / softcap) if softcap else scores
            i, j = past[b] + np.arange(rows[b])[:, None], np.arange(past[b] + rows[b])
            closed = (j > i if causal else False) | (window is not None and j <= i - (window or 0))
            scores = np.where(closed, -np.inf, scores)
            p = soft(scores, None if sinks is None else sinks[:, None, None])
            y.append(np.einsum("hrk,khd->rhd", p, keys[1]).reshape(rows[b], -1))
        return [np.concatenate(y).astype(np.float32), *[c.astype(c.dtype) for c in caches]]

    same = {"dequantized": lambda c, i: c}
    q, k, v = (floats(random, 9, c * width) for c in (n, kv, kv))
    caches = [floats(random, blocks, size, kv, width) for _ in range(2)]
    place = [ends, past, table]
    yield [q, k, v, *caches, *place], attributes, {"outputs": 3, "expect": expect(q, k, v, caches, **same)}
    yield [np.concatenate([q, k, v], 1), None, None, *caches, *place, *tables], {**attributes, "do_rotary": 1}, \
        {"outputs": 3, "expect": expect(q, k, v, caches, turn=True, **same)}
    sinks, norms = floats(random, n), [floats(random, width), floats(random, width)]
    slots = (table[[0, 0, 0, 1, 2, 2, 2, 2, 2], [0, 0, 0, 1, 0, 1, 1, 1, 1]] * size +
             [0, 1, 2, 2, 3, 0, 1, 2, 3]).astype(np.int32)
    slots[4] = -1
    yield [q, k, v, *caches, *place, None, None, slots, sinks, *norms], \
        {**attributes, "local_window_size": 3, "softcap": 2.0}, \
        {"outputs": 3, "expect": expect(q, k, v, caches, sinks, norms, window=3, softcap=2.0, slots=slots, **same)}
    narrow = [t[:, :2].copy() for t in tables]
    wide, tables = tables, narrow
    yield [q, k, v, *caches, *place, *narrow], {**attributes, "is_causal": 0, "do_rotary": 1, "rotary_offset": 3}, \
        {"outputs": 1, "expect": expect(q, k, v, caches, turn=True, causal=False, offset=3, **same)}
    half = [x.astype(np.float16) for x in (q, k, v, *caches)]
    yield [*half, *place], attributes, \
        {"outputs": 1, "expect": [expect(*half[:3], half[3:], **same)[0].astype(np.float16)]}
    scales = [np.abs(floats(random, kv, 1, width, scale=0.02)) + 0.01, np.array([0.02], np.float32)]
    bytes_ = [integers(random, blocks, size, kv, width, dtype=np.int8) for _ in range(2)]
    eight = {"dequantized": lambda c, i: c * (scales[i][:, 0] if i == 0 else scales[i]),
             "quantized": lambda x, i: np.clip(np.rint(x / (scales[i][:, 0] if i == 0 else scales[i])), -128, 127)}
    yield [q, k, v, *bytes_, *place, *[None] * 6, *scales], \
        {**attributes, "k_quant_type": "PER_CHANNEL", "v_quant_type": "PER_TENSOR"}, \
        {"outputs": 3, "expect": expect(q, k, v, bytes_, **eight)}
    four = [integers(random, blocks, size, kv, width // 2) for _ in range(2)]
    nibbles = [np.stack([c & 15, c >> 4], -1).reshape(blocks, size, kv, width).astype(np.int8) for c in four]
    nibbles = [np.where(c > 7, c - 16, c) for c in nibbles]
    scales = [np.array([0.3], np.float32), np.array([0.4], np.float32)]
    packed = {"dequantized": lambda c, i: c * scales[i], "quantized": lambda x, i: np.clip(np.rint(x / scales[i]), -8, 7)}
    want = expect(q, k, v, nibbles, **packed)
    want[1:] = [(c[..., ::2] & 15 | (c[..., 1::2] & 15) << 4).astype(np.uint8) for c in want[1:]]
    yield [q, k, v, *four, *place, *[None] * 6, *scales], \
        {**attributes, "k_quant_type": "PER_TENSOR", "v_quant_type": "PER_TENSOR", "k_cache_dtype": "int4",
         "v_cache_dtype": "int4"}, {"outputs": 3, "expect": want}
    key, cache = floats(random, 9, width), floats(random, blocks, size, 1, width)
    want = expect(q, key, key, [cache], latent=5, **same)
    yield [q, key, None, cache, None, *place], {"num_heads": n, "kv_num_heads": 1, "kv_cache_layout": "LATENT",
                                                "v_head_size": 5}, {"outputs": 2, "expect": want}


# ---- channels last -------------------------------------------------------------------------------------------


def reference(operator, inputs, attributes, opset=17, domain="", outputs=1):
    """What ONNX Runtime computes for another operator."""
    model, feeds = build(operator, inputs, attributes, {"opset": opset, "domain": domain, "outputs": outputs})
    return ort.InferenceSession(model).run(None, feeds)


def first(x):
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def last(x):
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


@case("NhwcConv")
@case("NhwcFusedConv")
def nhwc_conv(random):
    x, w, bias = floats(random, 2, 7, 6, 4), floats(random, 6, 2, 3, 3), floats(random, 6)
    attributes = {"group": 2, "pads": [1, 0, 1, 2], "strides": [2, 1]}
    want = last(reference("Conv", [first(x), w, bias], attributes)[0])
    yield [x, Const(w), bias], attributes, {"expect": [want]}
    x1, w1 = floats(random, 1, 9, 4), floats(random, 5, 4, 3)
    yield [x1, w1], {"dilations": [2]}, {"expect": [last(reference("Conv", [first(x1), w1], {"dilations": [2]})[0])]}


@case("NhwcFusedConv")
def nhwc_fused(random):
    x, w, bias = floats(random, 2, 5, 6, 3), floats(random, 4, 3, 3, 3), floats(random, 4)
    want = last(reference("Conv", [first(x), w, bias], {})[0])
    add = floats(random, *want.shape)
    yield [x, w, bias, add], {"activation": "Relu"}, {"expect": [np.maximum(want + add, 0)]}


@case("NhwcMaxPool")
def nhwc_pool(random):
    for dtype in EIGHT_BITS:
        x = integers(random, 2, 7, 6, 3, dtype=dtype)
        attributes = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
        yield [x], attributes, {}
        yield [x], {**attributes, "ceil_mode": 1, "dilations": [1, 2]}, {}


@case("QLinearConv")
def qlinear_conv(random):
    for channels_last in (0, 1):
        x = integers(random, 2, 7, 6, 4)
        w, bias = integers(random, 6, 4, 3, 3, dtype=np.int8), random.integers(-999, 999, 6).astype(np.int32)
        scales = (random.random(6) * 0.01).astype(np.float32)
        yield [x if channels_last else first(x), scalar(0.02), scalar(120, np.uint8), Const(w), Const(scales),
               Const(np.zeros(6, np.int8)), scalar(0.5), scalar(110, np.uint8), Const(bias)], \
            {"pads": [1, 1, 0, 1], "channels_last": channels_last}, {}


def group_norm(x, gamma, beta, groups, silu, channels_last):
    planes = first(x) if channels_last else x
    split = planes.reshape(len(x), groups, -1).astype(np.float64)
    y = (split - split.mean(-1, keepdims=True)) / np.sqrt(split.var(-1, keepdims=True) + 1e-5)
    y = y.reshape(planes.shape) * gamma[:, None, None] + beta[:, None, None]
    y = y / (1 + np.exp(-y)) if silu else y
    return (last(y) if channels_last else y).astype(np.float32)


@case("GroupNorm")
def group_norms(random):
    for channels_last in (0, 1):
        for silu in (0, 1):
            x, gamma, beta = floats(random, 2, 6, 5, 6), floats(random, 6), floats(random, 6)
            yield [x, gamma, beta], {"groups": 3, "activation": silu, "channels_last": channels_last}, \
                {"expect": [group_norm(x, gamma, beta, 3, silu, channels_last)]}


@case("SkipGroupNorm")
def skip_group_norms(random):
    x, gamma, beta, bias = floats(random, 2, 4, 5, 6), floats(random, 6), floats(random, 6), floats(random, 6)
    for shape in ((2, 6), (2, 1, 1, 6), (2, 4, 5, 6)):
        skip = floats(random, *shape)
        total = x + (skip[:, None, None] if len(shape) == 2 else skip) + bias
        yield [x, gamma, beta, skip, bias], {"groups": 3, "activation": 1}, \
            {"outputs": 2, "expect": [group_norm(total, gamma, beta, 3, 1, 1), total]}


# ---- narrow weights ------------------------------------------------------------------------------------------


@case("MatMulNBits")
def matmul_nbits(random):
    for bits in (4, 8):
        k, n, block = 48, 5, 16
        blocks = k // block
        x, w = floats(random, 2, 3, k), integers(random, n, blocks, block * bits // 8)
        scales = floats(random, n * blocks, scale=0.1)
        zeros = integers(random, n * ((blocks * bits + 7) // 8))
        attributes = {"K": k, "N": n, "bits": bits, "block_size": block}
        yield [x, Const(w), Const(scales)], attributes, {}
        yield [x, Const(w), Const(scales), Const(zeros)], attributes, {}


@case("MatMulBnb4")
def matmul_bnb4(random):
    k, n, block = 40, 6, 16
    for kind in (0, 1):
        w, largest = integers(random, n * k // 2), floats(random, n * k // block)
        attributes = {"K": k, "N": n, "block_size": block, "quant_type": kind}
        yield [floats(random, 2, 3, k), Const(w), Const(largest)], attributes, {}
        # Without transB ONNX Runtime strides wrongly: the identity gives the weights.
        weights = reference("MatMulBnb4", [np.eye(k, dtype=np.float32), Const(w), Const(largest)], attributes,
                            domain="com.microsoft")[0].T
        x = floats(random, 3, n)
        yield [x, Const(w), Const(largest)], {**attributes, "transB": 0}, {"expect": [x @ weights]}


@case("MatMulFpQ4")
def matmul_fpq4(random):
    # ONNX Runtime has it on some processors only. A block: scale, perhaps a zero point, then 16 bytes for 32 codes, the
    # low halves first.
    for kind, columns, blocks, parts in ((0, 5, 3, 1), (1, 5, 3, 1), (2, 3, 2, 2)):
        zeros = random.integers(0, 16, (columns, blocks, 1)).astype(np.uint8) if kind == 1 else None
        scale, codes = floats(random, columns, blocks, 1), integers(random, columns, blocks, parts, 16)
        w = np.concatenate([codes & 15, codes >> 4], -1).reshape(columns, blocks, -1).astype(np.float32)
        w = ((w - (8 if zeros is None else zeros)) * scale).reshape(columns, -1)
        k = w.shape[1] - (16 if kind < 2 else 0)  # the last block may be cut
        x = floats(random, 2, 3, k)
        blob = np.concatenate([scale.view(np.uint8), *([] if zeros is None else [zeros]), codes.reshape(columns, blocks, -1)], -1)
        yield [x, Const(blob.ravel()), Const(np.array([k, columns], np.int64))], {"blk_quant_type": kind}, \
            {"expect": [x @ w[:, :k].T]}


@case("GatherBlockQuantized")
def gather_blocks(random):
    import ml_dtypes
    indices = random.integers(-7, 7, (2, 3)).astype(np.int64)
    for bits in (2, 4, 8):
        x = integers(random, 7, 3, 32 * bits // 8)
        scales = floats(random, 7, 3, 2)
        zeros = integers(random, 7, 3, (2 * bits + 7) // 8)
        attributes = {"bits": bits, "block_size": 16, "quantize_axis": -1}
        yield [Const(x), indices, Const(scales)], attributes, {}
        yield [Const(x), indices, Const(scales), Const(zeros)], attributes, {}
    for dtype in (ml_dtypes.int4, ml_dtypes.uint4):
        x = integers(random, 7, 20, 6).astype(dtype)
        scales, zeros = floats(random, 7, 2, 6), integers(random, 7, 2, 6).astype(dtype)
        attributes = {"block_size": 16, "quantize_axis": 1}
        yield [Const(x), indices, Const(scales), Const(zeros)], attributes, {}
        yield [Const(x), indices % 6, Const(scales)], {**attributes, "gather_axis": 2}, {}


@case("BiasSoftmax")
def bias_softmax(random):
    x = floats(random, 2, 3, 4, 5)
    for shape, axis, inner in (((2, 1, 1, 5), 3, 1), ((1, 1, 4, 5), 3, 0), ((2, 1, 4, 5), 2, 1)):
        bias = floats(random, *shape)
        want = reference("Softmax", [x + bias], {"axis": axis}, opset=11)
        yield [x, bias], {"axis": axis, "is_inner_broadcast": inner}, {"expect": want}


# ---- experts -------------------------------------------------------------------------------------------------


@case("MoE")
def experts(random):
    tokens, count, hidden, inner = 7, 4, 8, 12
    x, router = floats(random, tokens, hidden), floats(random, tokens, count)
    for act, fusion in (("relu", 0), ("gelu", 0), ("silu", 0), ("identity", 0), ("swiglu", 1)):
        rows = inner * (2 if fusion else 1)
        inputs = [x, router, floats(random, count, rows, hidden), floats(random, count, rows),
                  floats(random, count, hidden, inner), floats(random, count, hidden)]
        attributes = {"k": 2, "activation_type": act, "swiglu_fusion": fusion}
        if fusion:
            attributes.update(activation_alpha=1.702, activation_beta=1.0, swiglu_limit=1.5)
        yield inputs, {**attributes, "normalize_routing_weights": 1}, {"rtol": 1e-4, "atol": 1e-4}
        yield inputs, attributes, {"rtol": 1e-4, "atol": 1e-4}
        inputs[3] = inputs[5] = None
        yield [x[None], *inputs[1:5]], {**attributes, "k": 1}, {"rtol": 1e-4, "atol": 1e-4}


@case("QMoE")
def narrow_experts(random):
    tokens, count, hidden, inner = 7, 4, 32, 64
    x, router = floats(random, tokens, hidden), floats(random, tokens, count)
    for bits in (4, 8):
        for block in (0, 32):
            fc1 = integers(random, count, 2 * inner, hidden * bits // 8)
            fc2 = integers(random, count, hidden, inner * bits // 8)
            scale = 0.02 if bits == 4 else 0.001
            shapes = [(count, 2 * inner), (count, hidden)]
            blocks = [hidden // block, inner // block] if block else [0, 0]
            scales = [floats(random, *s, *([b] if block else []), scale=scale) ** 2 * 50 for s, b in zip(shapes, blocks)]
            attributes = {"k": 2, "activation_type": "swiglu", "swiglu_fusion": 1, "expert_weight_bits": bits,
                          "activation_alpha": 1.702, "activation_beta": 1.0, "swiglu_limit": 7.0,
                          "normalize_routing_weights": 1, **({"block_size": block} if block else {})}
            options = {"rtol": 5e-2, "atol": 2e-2}  # it quantises activations where it likes
            inputs = [x, router, Const(fc1), Const(scales[0]), floats(random, count, 2 * inner), Const(fc2),
                      Const(scales[1]), floats(random, count, hidden)]
            yield inputs, attributes, options
            if block:
                zeros = [integers(random, *s, (b * bits + 7) // 8) for s, b in zip(shapes, blocks)]
            else:
                zeros = [integers(random, s[0], s[1] * bits // 8) for s in shapes]
            yield [*inputs, None, None, None, Const(zeros[0]), Const(zeros[1])], attributes, options
            yield [*inputs, None, None, None, None, None, None, np.abs(floats(random, tokens, count)) + 0.1], attributes, \
                options


# ---- padding, generation, the rest ---------------------------------------------------------------------------


def padded(random, batch=3, length=5):
    """Counts, token_offset, cumulated lengths of a batch."""
    counts = random.integers(0, length + 1, batch).astype(np.int32)
    counts[0] = max(counts[0], 1)
    inside = np.arange(length) < counts[:, None]
    places = np.arange(batch * length)
    offset = np.concatenate([places[inside.ravel()], places[~inside.ravel()]]).astype(np.int32).reshape(batch, length)
    return counts, inside, offset, np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


@case("RemovePadding")
def remove_padding(random):
    counts, inside, offset, ends = padded(random)
    x = floats(random, 3, 5, 4)
    yield [x, counts], {}, {"outputs": 4, "expect": [x[inside], offset, ends, counts.max(keepdims=True)]}


@case("RestorePadding")
def restore_padding(random):
    _, inside, offset, _ = padded(random)
    x = floats(random, 3, 5, 4) * inside[..., None]
    yield [x[inside], offset], {}, {"expect": [x]}


@case("PackedMultiHeadAttention")
def packed_multi_head(random):
    counts, inside, offset, ends = padded(random)
    q, k, v = (floats(random, 3, 5, 8) for _ in range(3))
    bias = floats(random, 24)
    want = reference("MultiHeadAttention", [q, k, v, bias, np.maximum(counts, 1)], {"num_heads": 2},
                     domain="com.microsoft")[0][inside]
    yield [q[inside], k[inside], v[inside], bias, offset, ends], {"num_heads": 2}, {"expect": [want]}
    both = np.stack([x.reshape(3, 5, 2, 4) for x in (q, k, v)], axis=3)[inside]
    yield [both, None, None, bias, offset, ends], {"num_heads": 2}, {"expect": [want]}


@case("PackedAttention")
def packed_attention(random):
    counts, inside, offset, ends = padded(random)
    x, w, bias = floats(random, 3, 5, 8), floats(random, 8, 24, scale=0.3), floats(random, 24)
    want = reference("Attention", [x, w, bias, np.maximum(counts, 1)], {"num_heads": 2}, domain="com.microsoft")[0]
    yield [x[inside], w, bias, offset, ends], {"num_heads": 2}, {"expect": [want[inside]]}


@case("NGramRepeatBlock")
def ngram(random):
    for size in (1, 2, 3):
        yield [random.integers(0, 3, (2, 8)).astype(np.int64), floats(random, 2, 5)], {"ngram_size": size}, {}


@case("BifurcationDetector")
def bifurcation(random):
    for _ in range(6):
        source, current = random.integers(0, 4, 8).astype(np.int64), random.integers(0, 4, 3).astype(np.int64)
        start = int(random.integers(0, 8))
        guess = np.append(source[start:], 2)
        guess[int(random.integers(len(guess))):] = 3
        sizes = {"min_ngram_size": int(random.integers(1, 3)), "max_ngram_size": int(random.integers(2, 5))}
        yield [source, current, scalar(start, np.int64), guess], sizes, {"outputs": 2}
        yield [source, current, scalar(0, np.int64)], sizes, {"outputs": 2}
        yield [source, current, scalar(0, np.int64)], {}, {"outputs": 2}


@case("CropAndResize")
def crop_and_resize(random):
    x, boxes = floats(random, 2, 3, 6, 7), random.uniform(-0.2, 1.2, (4, 4)).astype(np.float32)
    batch = random.integers(0, 2, 4).astype(np.int32)
    for size in ((3, 4), (1, 5), (8, 1)):
        for mode in ("bilinear", "nearest"):
            yield [x, boxes, batch, Const(np.array(size, np.int32))], {"mode": mode, "extrapolation_value": -7.0}, {}
    yield [x, boxes, batch, np.array([2, 2], np.int32)], {}, {}


@case("MaxpoolWithMask")
def maxpool_with_mask(random):
    def bits(*shape):
        return (random.random(shape) < 0.7).astype(np.int32)

    for shape, attributes in (((6, 7), {"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [1, 2]}),
                              ((6, 7), {"kernel_shape": [2, 3], "auto_pad": "SAME_UPPER"}),
                              ((9,), {"kernel_shape": [3]}), ((4, 5, 6), {"kernel_shape": [2, 2, 3]})):
        x, mask = floats(random, 2, 3, *shape), bits(1, 1, *shape)
        yield [x, mask], attributes, {}
        # ONNX Runtime looks for the masks of further planes at wrong places: plane by plane they are found.
        masks = bits(2, 3, *shape)
        planes = [reference("MaxpoolWithMask", [x[i, j][None, None], masks[i, j][None, None]], attributes,
                            domain="com.microsoft")[0] for i in range(2) for j in range(3)]
        yield [x, masks], attributes, {"expect": [np.concatenate(planes).reshape(2, 3, *planes[0].shape[2:])]}


@case("WordConvEmbedding")
def word_conv_embedding(random):
    words = random.integers(0, 6, (7, 9)).astype(np.int32)
    words[0, 1:] = 0
    words[:, 0] = 2  # ONNX Runtime leaves what a word that starts with 0 gives as it finds it
    yield [words, floats(random, 5, 1, 4, 3), floats(random, 5), floats(random, 6, 3)], {}, {}


@case("DynamicTimeWarping")
def warping(random):
    yield [floats(random, 6, 9)], {}, {}
    yield [floats(random, 1, 7, 4)], {}, {}


@case("UnfoldTensor")
def unfold(random):
    for dim in (0, 1, -1):
        yield [floats(random, 5, 6, 7)], {"dim": dim, "size": 3, "step": 2}, {}


@case("RelativePositionBias")
def position_bias(random):
    import math as m
    table = floats(random, 32, 2)
    for both in (0, 1):
        want = np.zeros((1, 2, 40, 40), np.float32)
        for i in range(40):
            for j in range(40):
                buckets, n, first_bucket = 32, i - j, 0
                if both:
                    buckets, first_bucket, n = 16, 16 * (n < 0), abs(n)
                n, exact = max(n, 0), buckets // 2
                if n >= exact:
                    n = min(exact + int(m.log(n / exact) / m.log(20 / exact) * (buckets - exact)), buckets - 1)
                want[0, :, i, j] = table.reshape(2, 32)[:, first_bucket + n]
        yield [table, scalar(40, np.int64), scalar(40, np.int64)], {"max_distance": 20, "is_bidirectional": both}, \
            {"expect": [want]}


@case("GatedRMSNorm")
def gated_norm(random):
    x, scale, gate = floats(random, 2, 3, 8), floats(random, 4), floats(random, 2, 3, 8)
    groups = x.reshape(2, 3, 2, 4)
    y = (groups / np.sqrt((groups ** 2).mean(-1, keepdims=True) + 1e-5) * scale).reshape(x.shape)
    sigmoid = 1 / (1 + np.exp(-gate))
    yield [x, scale, gate], {}, {"expect": [y * sigmoid * gate]}
    yield [x, scale, gate], {"activation": "sigmoid"}, {"expect": [y * sigmoid]}


@case("LinearAttention")
def linear(random):
    q, k, v = floats(random, 2, 5, 8), floats(random, 2, 5, 8, scale=0.3), floats(random, 2, 5, 6)
    decay, beta = -np.abs(floats(random, 2, 5, 2)), np.abs(floats(random, 2, 5, 2))
    heads_of = {"q_num_heads": 2, "kv_num_heads": 2}
    yield [q, k, v], {**heads_of, "update_rule": "linear"}, {"outputs": 2}
    yield [q, k, v, None, decay, beta], {**heads_of, "update_rule": "gated_delta"}, {"outputs": 2}
    yield [q, k, v, floats(random, 2, 2, 4, 3), decay], {**heads_of, "update_rule": "gated"}, {"outputs": 2}
    yield [q[..., :4].copy(), k, v, None, None, beta], {**heads_of, "q_num_heads": 1, "update_rule": "delta"}, {"outputs": 2}
    for window in (3, 7):  # the states after each of the last steps
        past = floats(random, window, 2, 2, 4, 3)
        attributes = {**heads_of, "update_rule": "gated"}
        states = []
        for n in range(1, 6):
            want, state = reference("LinearAttention", [x[:, :n] for x in (q, k, v)] + [past[-1], decay[:, :n]], attributes,
                                    domain="com.microsoft", outputs=2)
            states.append(state)
        states = np.stack([np.zeros_like(states[0])] * max(0, window - 5) + states)[-window:]
        yield [q, k, v, past, decay], {**attributes, "state_window": window}, {"outputs": 2, "expect": [want, states]}


def delta_net(q, k, v, decay=None, beta=None, state=None, scale=None):
    """One sample: [tokens, heads, width]; the state is [value heads, v_width, width]."""
    group, y, added = v.shape[1] // q.shape[1], [], []
    state = np.zeros((v.shape[1], v.shape[2], q.shape[2])) if state is None else state.astype(np.float64)
    for t in range(len(q)):
        keys, values = k[t].repeat(group, 0), v[t].astype(np.float64)
        if decay is not None:
            state = state * np.exp(decay[t]).reshape(len(state), 1, -1)
        if beta is not None:
            values = beta[t][:, None] * (values - np.einsum("hvk,hk->hv", state, keys))
        added.append(values)
        state = state + values[:, :, None] * keys[:, None]
        y.append(np.einsum("hvk,hk->hv", state, q[t].repeat(group, 0)) * (scale or 1 / np.sqrt(q.shape[2])))
    return np.stack(y).astype(np.float32), state.astype(np.float32), np.stack(added).astype(np.float32)


@case("GatedDeltaNet")
def gated_delta_net(random):
    def l2(x):
        return x / np.sqrt((x ** 2).sum(-1, keepdims=True) + 1e-6)

    ends = [0, 2, 6]
    q, k, v = floats(random, 6, 2, 4), floats(random, 6, 2, 4), floats(random, 6, 4, 3)
    decay, beta, state = -np.abs(floats(random, 6, 4)), floats(random, 6, 4), floats(random, 2, 4, 3, 4)
    rate = 1 / (1 + np.exp(-beta))

    def joined(parts):
        return [np.concatenate([p[0] for p in parts]), np.stack([p[1] for p in parts])]

    spans = [slice(*ends[b:b + 2]) for b in range(2)]
    want = [delta_net(l2(q[b]), l2(k[b]), v[b], decay[b], rate[b], s) for b, s in zip(spans, state)]
    attributes = {"beta_activation": "sigmoid", "qk_l2_norm": 1}
    rest = [np.array(ends, np.int32), decay, beta, state]
    yield [q, k, v, *rest], attributes, {"outputs": 2, "expect": joined(want)}
    half = [x.astype(np.float16) for x in (q, k, v)]
    yield [*half, *rest], attributes, {"outputs": [0], "expect": [joined(want)[0].astype(np.float16)]}
    a_log, dt_bias = floats(random, 4), floats(random, 4)
    gate = -np.exp(a_log) * np.log1p(np.exp(decay + dt_bias))
    want = [delta_net(q[b], k[b], v[b], gate[b], None, s, 0.7) for b, s in zip(spans, state)]
    updates = np.zeros((2, 3 * (4 + 8 + 12)), np.float32)
    for b, counts in enumerate((1, 3)):  # asked for more than two of two, three of four
        for t in range(counts):
            updates[b, t * 4:t * 4 + 4] = np.exp(gate[ends[b] + t])
            updates[b, 12 + t * 8:12 + t * 8 + 8] = k[ends[b] + t].ravel()
            updates[b, 36 + t * 12:36 + t * 12 + 12] = want[b][2][t].ravel()
    attributes = {"update_rule": "gated", "gate_activation": "qwen", "scale": 0.7}
    rest = [np.array(ends, np.int32), decay, None, state, a_log, dt_bias]
    yield [q, k, v, *rest, np.array([1, 9], np.int32)], {**attributes, "state_update_capacity": 3}, \
        {"outputs": 3, "expect": [*joined(want), updates]}
    yield [q, k, v, *rest, np.array([1, 9], np.int32), np.array([0], np.int32)], \
        {**attributes, "state_update_capacity": 3}, {"outputs": 3, "expect": [*joined(want), updates * 0]}
    each = -np.abs(floats(random, 2, 3, 4, 4))  # [batch, time, ...] packed
    want = [delta_net(q[b], k[b], v[b], each[i], None, s) for i, (b, s) in enumerate(zip((slice(3), slice(3, 6)), state))]
    qkv = np.concatenate([x.reshape(2, 3, -1) for x in (q, k, v)], -1)
    yield [qkv, None, None, None, each, None, state], {"update_rule": "gated"}, \
        {"outputs": 2, "expect": [np.stack([w[0] for w in want]), np.stack([w[1] for w in want])]}


@case("CausalConvWithState")
def causal(random):
    x, w = floats(random, 2, 3, 5), floats(random, 3, 1, 4)
    yield [x, w, floats(random, 3), floats(random, 2, 3, 3)], {"activation": "silu"}, {"outputs": 2}
    yield [x, w], {}, {"outputs": 2}
    yield [x, w, None, floats(random, 2, 3, 6)], {"dilation": 2}, {"outputs": 2}
    yield [floats(random, 2, 5, 3), w, floats(random, 3), floats(random, 2, 3, 3)], {"channels_last": 1}, {"outputs": 2}
    yield [floats(random, 2, 5, 3, 2), floats(random, 6, 1, 3), None, floats(random, 2, 4, 3, 2)], \
        {"channels_last": 1, "dilation": 2}, {"outputs": 2}
    for window in (2, 7):
        past = floats(random, window, 2, 3, 3)
        y = reference("CausalConvWithState", [x, w, None, past[-1]], {}, domain="com.microsoft", outputs=2)[0]
        joined = np.concatenate([past[-1], x], 2)
        states = [joined[:, :, n:n + 3] if n > 0 else joined[:, :, :3] * 0 for n in range(6 - window, 6)]
        yield [x, w, None, past], {"state_window": window}, {"outputs": 2, "expect": [y, np.stack(states)]}


@case("VarlenCausalConvWithState")
def varlen_causal(random):
    x, w, bias, state = floats(random, 7, 3), floats(random, 3, 1, 3), floats(random, 3), floats(random, 2, 3, 4)
    ends, attributes = [0, 2, 7], {"activation": "silu", "dilation": 2}
    parts = [reference("CausalConvWithState", [x[None, a:b].transpose(0, 2, 1).copy(), w, bias, s[None]], attributes,
                       domain="com.microsoft", outputs=2) for a, b, s in zip(ends, ends[1:], state)]
    want = [np.concatenate([p[0][0].T for p in parts]), np.concatenate([p[1] for p in parts])]
    update = np.zeros((2, 3, 3), np.float32)
    update[0, :2], update[1, :1] = x[:2], x[2:3]
    inputs = [x, w, np.array(ends, np.int32), bias, state]
    yield inputs, attributes, {"outputs": 2, "expect": want}
    yield [*inputs, np.array([3, 1], np.int32)], {**attributes, "state_update_capacity": 3}, \
        {"outputs": 3, "expect": [*want, update]}


@case("CDist")
def cdist(random):
    for metric in ("euclidean", "sqeuclidean"):
        for dtype in (np.float32, np.float64):
            yield [floats(random, 5, 7, dtype=dtype), floats(random, 6, 7, dtype=dtype)], {"metric": metric}, \
                {"rtol": 1e-3, "atol": 1e-4}


@case("MurmurHash3")
def murmur(random):
    for dtype in (np.int32, np.uint32, np.int64, np.uint64):
        yield [integers(random, 4, dtype=dtype)], {"seed": 3}, {"types": {0: 12}}
    yield [floats(random, 3)], {"positive": 0}, {"types": {0: 6}}
    yield [np.array(["", "a", "ab", "abc", "abcd", "\u00fcbung 123"], object)], {}, {"types": {0: 12}}


@case("Inverse")
def inverse(random):
    for dtype in (np.float32, np.float64):
        yield [floats(random, 2, 4, 4, dtype=dtype)], {}, {"rtol": 1e-2, "atol": 1e-3}


@case("IsAllFinite")
def finite(random):
    x = floats(random, 3)
    for bad in (0, np.inf, np.nan):
        for only in ({}, {"isinf_only": 1}, {"isnan_only": 1}):
            found = {0: False, np.inf: "isnan_only" not in only}.get(bad, "isinf_only" not in only)
            yield [x, np.append(x, np.float32(bad))], only, {"expect": [np.array(not found)]}


@case("Tokenizer")
def tokenizer(random):
    texts = ["Hello World", "I love  computer science !", "", "übung a", "aXYb a.b\nab", "東京 tower"]
    x = np.array([texts[i] for i in random.permutation(6)], object)
    plain = {"mark": 0, "mincharnum": 1, "pad_value": "#"}
    for separators in ([" "], [""], ["o", "lo"], ["lo", "o"], ["[a-l]+", " "], ["X", "XY", "\\s+"], ["a|ab"], ["^H", "."],
                       ["o*"], [" ", "(?i)B"]):
        yield [x], {**plain, "separators": separators}, {}
        yield [x.reshape(2, 3)], {**plain, "separators": separators, "mark": 1}, {}
    for expression in (".", "[a-z]+", "[a-z]*", "l|lo|love", "a.*?b|ab", "\\b[A-Z]\\w*", "a??", "^.", ".$"):
        yield [x], {**plain, "tokenexp": expression}, {}
        yield [x], {**plain, "tokenexp": expression, "mark": 1}, {}
    yield [x], {**plain, "separators": [" "], "mincharnum": 3}, {}
    yield [x], {**plain, "tokenexp": "\\S+", "mincharnum": 2, "mark": 1}, {}
    for shape in ((0,), (3, 0)):
        yield [np.zeros(shape, object)], {**plain, "separators": [" "]}, {}
    yield [np.array(["", " "], object)], {**plain, "separators": [" "], "mark": 1}, {}


# ---- gates, streams, spectra -----------------------------------------------------------------------------------


@case("GatedAdd")
def gated_add(random):
    for dtype in (np.float32, np.float16):
        yield [floats(random, 2, 3, 4, dtype=dtype), floats(random, 2, 3, 4, dtype=dtype),
               floats(random, 2, 3, 1, dtype=dtype)], {}, {}


@case("ScaledSiLU")
def scaled_silu(random):
    yield [floats(random, 3, 4)], {"alpha": 0.7}, {}
    yield [floats(random, 3, 4), scalar(1.7)], {"alpha": 0.7}, {}
    yield [floats(random, 3, 4, dtype=np.float16), scalar(1.7)], {}, {}


@case("BranchwiseRMSNorm")
def branchwise(random):
    for scale in (None, floats(random, 12), floats(random, 3, 4), floats(random, 4)):
        yield [floats(random, 2, 5, 3, 4), scale], {"epsilon": 1e-3}, {}
        yield [floats(random, 2, 5, 12), scale], {"num_branches": 3}, {}


@case("LinearAttentionGate")
def linear_gate(random):
    yield [floats(random, 2, 3, 4), floats(random, 4), floats(random, 4), floats(random, 2, 3, 4)], {}, {"outputs": 2}
    yield [floats(random, 2, 3, 4, dtype=np.float16), floats(random, 4), floats(random, 4)], {}, {}


@case("HyperConnectionPreMix")
def pre_mix(random):
    for shape in ((2, 5, 3), (2, 5, 3, 1), (2, 5, 3, 4)):
        yield [floats(random, 2, 5, 3, 4), floats(random, *shape)], {"reduction_scale": 0.5}, {}
        yield [floats(random, 2, 5, 12), floats(random, *shape)], {"num_branches": 3}, {}
    yield [floats(random, 2, 5, 12), floats(random, 2, 5, 12)], {"num_branches": 3}, {}


@case("HyperConnectionPostMix")
def post_mix(random):
    for shape in ((2, 5, 3), (2, 5, 3, 1), (2, 5, 3, 4)):
        for mix in (None, floats(random, 2, 5, 3, 3)):
            yield [floats(random, 2, 5, 3, 4), floats(random, 2, 5, 4), floats(random, *shape), mix], {}, {}
            yield [floats(random, 2, 5, 12), floats(random, 2, 5, 4), floats(random, *shape), mix], \
                {"num_branches": 3}, {}


@case("EngramGate")
def engram_gate(random):
    inputs = [floats(random, 2, 3, 2, 4), floats(random, 2, 3, 2, 4), floats(random, 2, 3, 4), floats(random, 2, 4),
              floats(random, 2, 4)]
    yield inputs, {}, {}
    yield [*inputs, floats(random, 2, 4)], {"epsilon": 1e-3}, {"outputs": 2}


@case("Rfft")
def rfft(random):
    for ndim in (1, 2):
        x = floats(random, 3, 6, 8)
        y = np.fft.rfftn(x, axes=tuple(range(-ndim, 0)))
        yield [x], {"signal_ndim": ndim}, {"expect": [np.stack([y.real, y.imag], -1).astype(np.float32)], "atol": 1e-4}


@case("Irfft")
def irfft(random):
    for ndim in (1, 2):
        x = floats(random, 3, 6, 8)
        y = np.fft.rfftn(x, axes=tuple(range(-ndim, 0)))
        yield [np.stack([y.real, y.imag], -1).astype(np.float32)], {"signal_ndim": ndim}, {"expect": [x], "atol": 1e-4}


@case("ComplexMul")
def complex_mul(random, sign=1j):
    a, b = floats(random, 3, 4, 2), floats(random, 4, 2)
    c = (a[..., 0] + 1j * a[..., 1]) * (b[..., 0] + sign * b[..., 1])
    yield [a, b], {}, {"expect": [np.stack([c.real, c.imag], -1).astype(np.float32)]}


@case("ComplexMulConj")
def complex_mul_conj(random):
    yield from complex_mul(random, -1j)


# ---- more rewrites -----------------------------------------------------------------------------------------------


@case("TorchEmbedding")
def torch_embedding(random):
    table, ids = floats(random, 7, 3), random.integers(0, 7, (2, 4)).astype(np.int64)
    yield [table, ids], {}, {"expect": [table[ids]]}
    yield [table, ids, scalar(1, np.int64)], {}, {"expect": [table[ids]]}


@case("ConvTransposeWithDynamicPads")
def conv_transpose(random):
    x, w, bias = floats(random, 2, 4, 5, 6), floats(random, 4, 3, 3, 2), floats(random, 6)
    yield [x, w, np.array([1, 0, 0, 1], np.int64), bias], {"group": 2, "strides": [2, 1]}, {}
    yield [x, w, np.array([0, 0, 1, 1], np.int64)], {"strides": [2, 2], "output_padding": [1, 0], "dilations": [1, 2]}, {}
    yield [x, w], {"group": 1}, {"expect": reference("ConvTranspose", [x, w], {})}


@case("GemmaRotaryEmbedding")
def gemma_rotary(random):
    angle, states = floats(random, 2, 3, 8), [floats(random, 2, 4, 3, 8, dtype=np.float16) for _ in range(4)]
    cosine, sine = (f(angle)[:, None].astype(np.float16) for f in (np.cos, np.sin))
    yield [angle, *states], {}, {"outputs": 2, "expect": [states[0] * cosine + states[1] * sine,
                                                          states[2] * cosine + states[3] * sine]}


@case("MRotaryEmbedding")
def multimodal_rotary(random):
    angles = random.uniform(0, 6, (20, 8)).astype(np.float32)
    ids = random.integers(0, 20, (3, 2, 5)).astype(np.int64)
    for layout, sections in ((0, [4, 2, 2]), (1, [4, 2, 2]), (0, [8, 0, 0]), (1, [3, 3, 2])):
        attributes = {"mrope_section": sections, "mrope_layout": layout}
        yield [floats(random, 2, 3, 5, 16), ids, np.cos(angles), np.sin(angles)], attributes, {}
        yield [floats(random, 2, 5, 48), ids, np.cos(angles), np.sin(angles)], \
            {**attributes, "interleaved": 1, "num_heads": 3}, {}
        yield [floats(random, 2, 5, 60), ids, np.cos(angles), np.sin(angles)], \
            {**attributes, "num_heads": 3, "rotary_embedding_dim": 16}, {}


@case("MatMulNBitsMlp")
def nbits_mlp(random):
    k, n, block = 64, 5, 32
    weights = [Const(x) for _ in range(2) for x in (integers(random, n, 2, 16), floats(random, n, 2, scale=0.1))]
    bias = [floats(random, n), floats(random, n)]
    x, skip, scale = floats(random, 3, k), floats(random, 3, k), floats(random, k)
    sizes = {"K": k, "N": n, "block_size": block, "bits": 4}
    for plus, norm in ((None, None), (None, scale), (skip, scale)):
        total = x if plus is None else x + plus
        y = total if norm is None else rms(total, norm, 1e-5).astype(np.float32)
        gate, up = (reference("MatMulNBits", [y, *weights[i:i + 2]], sizes, domain="com.microsoft")[0] + bias[i // 2]
                    for i in (0, 2))
        want = [gate / (1 + np.exp(-gate)) * up, *([] if plus is None else [total])]
        yield [x, plus, norm, *weights[:2], bias[0], *weights[2:], bias[1]], {**sizes, "activation": "silu"}, \
            {"outputs": len(want), "expect": want, "rtol": 1e-3, "atol": 1e-3}


@case("MatMulNBitsQkv")
def nbits_qkv(random):
    k, block, x, skip, scale = 64, 32, floats(random, 3, 64), floats(random, 3, 64), floats(random, 64)
    weights = [(Const(integers(random, n, 2, 16)), Const(floats(random, n, 2, scale=0.1)), floats(random, n))
               for n in (5, 3, 3)]
    y = rms(x + skip, scale).astype(np.float32)
    want = [reference("MatMulNBits", [y, *w[:2]], {"K": k, "N": len(w[2]), "block_size": block, "bits": 4},
                      domain="com.microsoft")[0] + w[2] for w in weights]
    yield [x, skip, scale, *[a for w in weights for a in w]], {"K": k, "Nq": 5, "Nkv": 3, "block_size": block}, \
        {"outputs": 4, "expect": [*want, x + skip], "rtol": 1e-3, "atol": 1e-3}


@case("FusedMatMulActivation")
def fused_activation(random):
    a, b = floats(random, 2, 4, 3), floats(random, 2, 4, 5)
    y = 0.5 * a.transpose(0, 2, 1) @ b
    e = np.exp(y - y.max(1, keepdims=True))
    yield [a, b], {"alpha": 0.5, "transA": 1, "activation": "LeakyRelu", "activation_alpha": 0.2}, \
        {"expect": [np.where(y < 0, 0.2 * y, y).astype(np.float32)]}
    yield [a, b], {"alpha": 0.5, "transA": 1, "activation": "Softmax", "activation_axis": 1}, \
        {"expect": [(e / e.sum(1, keepdims=True)).astype(np.float32)]}


@case("GatedRelativePositionBias")
def gated_position_bias(random):
    n, width, length, d = 3, 4, 5, 6
    x, bias, table = floats(random, 2, length, n * width), floats(random, n * width), floats(random, 1, n, length, length)
    w, b, eco = floats(random, width, d), floats(random, d), floats(random, 1, n, 1, 1)

    def expect(q):
        q = q.reshape(2, length, n, width).transpose(0, 2, 1, 3)
        gates = 1 / (1 + np.exp(-(q @ w + b).reshape(2, n, length, 2, -1).sum(-1)))
        return ((gates[..., :1] * (gates[..., 1:] * eco - 1) + 2) * table).astype(np.float32)

    yield [x, bias, table, w, b, eco], {"num_heads": n}, {"expect": [expect(x + bias)]}
    _, inside, offset, _ = padded(random, 2)
    yield [x[inside], bias, table, w, b, eco, offset], {"num_heads": n}, \
        {"expect": [expect((x + bias) * inside[..., None])]}


@case("LongformerAttention")
def longformer(random):
    n, hidden, length, window = 2, 8, 12, 3
    x, everywhere = floats(random, 2, length, hidden), (random.random((2, length)) < 0.2).astype(np.int32)
    mask = np.where(np.arange(length) < [[12], [9]], 0, -10000).astype(np.float32)
    weights = [floats(random, hidden, 3 * hidden, scale=0.5) for _ in range(2)]
    biases = [floats(random, 3 * hidden) for _ in range(2)]
    near = np.abs(np.arange(length)[:, None] - np.arange(length)) <= window
    outs = []
    for w, b, seen in zip(weights, biases, (near | (everywhere[:, None] > 0), np.ones((2, length, length), bool))):
        q, k, v = np.moveaxis((x @ w + b).reshape(2, length, 3, n, -1), (2, 3), (0, 2))
        scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(hidden // n) + mask[:, None, None]
        y = soft(np.where(seen[:, None], scores, -np.inf)) @ v
        outs.append(y.transpose(0, 2, 1, 3).reshape(2, length, hidden))
    want = np.where(everywhere[..., None] > 0, outs[1], outs[0]).astype(np.float32)
    yield [x, weights[0], biases[0], mask, weights[1], biases[1], everywhere], {"num_heads": n, "window": window}, \
        {"expect": [want]}


@case("DecoderMaskedSelfAttention")
def decoder_self(random):
    n, width, length = 2, 4, 7
    x, w, bias = floats(random, 4, 1, 6), floats(random, 6, 3 * n * width), floats(random, 3 * n * width)
    past, used = floats(random, 2, 4, n, length, width), np.array([3], np.int32)
    beams = random.integers(0, 2, (2, 2, length)).astype(np.int32)
    q, k, v = np.split(x @ w, 3, axis=2)
    shared = {"num_heads": n, "past_present_share_buffer": 1}
    want = reference("DecoderMaskedMultiHeadAttention",
                     [q, k, v, None, None, past[0], past[1], used, np.array([2], np.int32), beams, bias],
                     shared, domain="com.microsoft", outputs=3)
    yield [x, w, bias, None, past, None, used, np.array([2], np.int32), beams], shared, \
        {"outputs": 2, "expect": [want[0], np.stack(want[1:])]}
    want = reference("Attention", [x, w, bias, None, past], {"num_heads": n}, domain="com.microsoft", outputs=2)
    yield [x, w, bias, None, past, None, used], {"num_heads": n}, {"outputs": 2, "expect": want}


@case("BiasDropout")
def bias_dropout(random):
    x, bias, residual = floats(random, 3, 4), floats(random, 4), floats(random, 3, 4)
    yield [x, bias, residual], {}, {"outputs": 2, "expect": [x + bias + residual, np.ones((3, 4), bool)]}
    yield [x, bias], {}, {"expect": [x + bias]}


@case("BitmaskDropout")
def bitmask_dropout(random):
    x = floats(random, 5, 9)
    yield [x], {}, {"outputs": 2, "expect": [x, np.array([2**32 - 1, 2**13 - 1], np.uint32)]}


@case("BitmaskBiasDropout")
def bitmask_bias_dropout(random):
    x, bias, residual = floats(random, 4, 8), floats(random, 8), floats(random, 4, 8)
    yield [x, bias, residual, scalar(0.3)], {}, \
        {"outputs": 2, "expect": [x + bias + residual, np.array([2**32 - 1], np.uint32)]}


@case("SparseToDenseMatMul")
def sparse_matmul(random):
    for dtype in (np.float32, np.int64):
        a = np.where(random.random((3, 4)) < 0.5, random.integers(-9, 9, (3, 4)), 0).astype(dtype)
        b = random.integers(-9, 9, (5, 4)).astype(dtype)
        yield [Const(a), b], {"transB": 1, "alpha": 2.0}, {"expect": [2 * a @ b.T]}
        yield [Const(a), b[:3].copy()], {"transA": 1}, {"expect": [a.T @ b[:3]]}


@case("MatMulBlockQuantizedFp8Weight")
def fp8_weight(random):
    import ml_dtypes
    x, w = floats(random, 2, 3, 40, dtype=np.float16), floats(random, 5, 40).astype(ml_dtypes.float8_e4m3fn)
    scales, bias = np.abs(floats(random, 5, 3)) + 0.1, floats(random, 5, dtype=np.float16)
    wide = w.astype(np.float32) * scales.repeat(16, 1)[:, :40]
    yield [x, Const(w), Const(scales)], {"block_size": 16}, \
        {"expect": [(x.astype(np.float32) @ wide.T).astype(np.float16)], "atol": 0.05}
    low = (x.astype(np.float32) / 0.5).astype(ml_dtypes.float8_e4m3fn).astype(np.float32) * 0.5
    yield [x, Const(w), Const(scales), scalar(0.5), bias], {"block_size": 16}, \
        {"expect": [(low @ wide.T + bias).astype(np.float16)], "atol": 0.05}


@case("AttnLSTM")
def attn_lstm(random):
    steps, batch, width, hidden, memory, length, keys, layer = 4, 2, 3, 5, 6, 7, 4, 3

    def inputs(directions, depth, *rest):
        return [floats(random, steps, batch, width), floats(random, directions, 4 * hidden, width + depth),
                floats(random, directions, 4 * hidden, hidden), floats(random, directions, 8 * hidden), *rest,
                floats(random, directions, hidden, keys), floats(random, directions, memory, keys),
                floats(random, directions, keys), floats(random, batch, length, memory)]

    def layers(directions):
        return floats(random, directions, memory + hidden, layer)

    lens, inside = np.array([4, 2], np.int32), np.array([3, 7], np.int32)
    attributes, outputs = {"hidden_size": hidden}, {"outputs": 3}
    yield inputs(1, memory, None, None, None, None), attributes, outputs
    yield [*inputs(1, layer, lens, None, None, None), inside, layers(1)], attributes, outputs
    state = [floats(random, 1, batch, hidden) for _ in range(2)]
    yield [*inputs(1, layer, None, *state, floats(random, 1, 3 * hidden)), None, layers(1)], attributes, outputs
    yield [*inputs(1, layer, lens, None, None, None), inside, layers(1)], {**attributes, "direction": "reverse"}, outputs
    yield [*inputs(2, layer, lens, None, None, None), inside, layers(2)], \
        {**attributes, "direction": "bidirectional"}, outputs
    yield [*inputs(1, layer, None, None, None, None), None, layers(1)], {**attributes, "input_forget": 1}, outputs
    yield inputs(1, memory, None, None, None, None), \
        {**attributes, "activations": ["HardSigmoid", "Softsign", "Relu"], "clip": 0.5}, outputs


@case("NGramHashMapping")
def ngram_hash(random):
    for dtype in (np.int32, np.int64):
        ids, past = (random.integers(0, 6, s).astype(dtype) for s in ((2, 9), (2, 3)))
        multipliers = random.integers(2**29, 2**30, 4).astype(dtype) * 2 + 1
        sizes, offsets = random.integers(5, 99, 6).astype(dtype), random.integers(0, 99, 6).astype(dtype)
        segments = (np.arange(9) >= [[3], [5]]).astype(np.int32)
        attributes = {"max_ngram_size": 4, "n_head_per_ngram": 2, "pad_id": 7}
        eos, reset = scalar(4, dtype), {"reset_on_eos": 1}
        for rest in ([], [past], [past, offsets], [None, None, eos], [past, None, eos], [past, None, None, segments],
                     [past, offsets, eos, segments]):
            for extra in ({}, reset):
                yield [ids, multipliers, sizes, *rest], {**attributes, **extra}, {"outputs": 2}


@case("VarlenNGramHashMapping")
def varlen_ngram_hash(random):
    for dtype in (np.int32, np.int64):
        ids, past = (random.integers(0, 6, s).astype(dtype) for s in ((9,), (2, 3)))
        multipliers, sizes = (random.integers(5, 99, n).astype(dtype) for n in (4, 3))
        segments, before = (np.sort(random.integers(0, 3, s)).astype(np.int32) for s in ((9,), (2, 3)))
        ends, count = np.array([0, 4, 9], np.int32), np.array([3, 1], np.int32)
        attributes = {"max_ngram_size": 4, "n_head_per_ngram": 1, "pad_id": 7}
        eos = scalar(4, dtype)
        for rest in ([], [past], [None, None, eos], [past, sizes, eos], [past, None, eos, segments],
                     [past, None, None, segments, before], [past, None, eos, segments, before]):
            wanted = {"outputs": [0, 1, 2] if len(rest) > 3 else 2}
            for extra in ({}, {"reset_on_eos": 1}):
                yield [ids, multipliers, sizes, ends, *rest], {**attributes, **extra}, wanted
        yield [ids, multipliers, sizes, ends, past, None, eos, segments, before, count], \
            {**attributes, "state_update_capacity": 2}, {"outputs": 4}


# ---- what the optimizer and the quantisers write -------------------------------------------------------------------


@case("Gelu")
@case("QuickGelu")
def gelus(random):
    yield [floats(random, 3, 50, scale=3)], {}, {}


@case("QuickGelu")
def quick_gelu(random):
    yield [floats(random, 3, 50, scale=3)], {"alpha": 0.7}, {}


@case("BiasGelu")
def bias_gelu(random):
    yield [floats(random, 2, 3, 20, scale=2), floats(random, 20)], {}, {}


@case("FastGelu")
def fast_gelu(random):
    yield [floats(random, 2, 3, 20, scale=2), floats(random, 20)], {}, {}
    yield [floats(random, 2, 3, 20, scale=2)], {}, {}


@case("SkipLayerNormalization")
def skip_norm(random):
    x, gamma, beta, bias = floats(random, 2, 3, 8), floats(random, 8), floats(random, 8), floats(random, 8)
    for skip in (floats(random, 2, 3, 8), floats(random, 1, 3, 8), floats(random, 3, 8)):
        yield [x, skip, gamma, beta, bias], {"epsilon": 1e-3}, {"outputs": [0, 3]}
        yield [x, skip, gamma, None, bias], {}, {}
        yield [x, skip, gamma], {}, {}


@case("SkipSimplifiedLayerNormalization")
def skip_rms_norm(random):
    x, gamma, bias = floats(random, 2, 3, 8), floats(random, 8), floats(random, 8)
    for skip in (floats(random, 2, 3, 8), floats(random, 3, 8)):
        yield [x, skip, gamma, bias], {"epsilon": 1e-3}, {"outputs": [0, 3]}
        yield [x, skip, gamma], {}, {}


@case("SimplifiedLayerNormalization")
def rms_norm(random):
    x, scale = floats(random, 2, 3, 8), floats(random, 8)
    want = (x / np.sqrt((x ** 2).mean(-1, keepdims=True) + 1e-3) * scale).astype(np.float32)
    yield [x, scale], {"axis": -1, "epsilon": 1e-3}, {"expect": [want]}


@case("RotaryEmbedding")
def rotary_embedding(random):
    angles = random.uniform(0, 6, (20, 8)).astype(np.float32)
    tables = [np.cos(angles), np.sin(angles)]
    ids = random.integers(0, 20, (2, 5)).astype(np.int64)
    for interleaved in (0, 1):
        attributes = {"interleaved": interleaved}
        for positions in (ids, np.array([3], np.int64)):
            yield [floats(random, 2, 5, 48), positions, *tables], attributes, {}
            yield [floats(random, 2, 3, 5, 16), positions, *tables], attributes, {}
            yield [floats(random, 2, 3, 5, 16), positions, *tables], {**attributes, "scale": 0.5}, {}
            yield [floats(random, 2, 5, 60), positions, *tables], \
                {**attributes, "num_heads": 3, "rotary_embedding_dim": 16}, {}


@case("FusedConv")
def fused_conv(random):
    x, w, bias = floats(random, 2, 4, 7, 6), floats(random, 6, 2, 3, 3), floats(random, 6)
    shared = {"group": 2, "pads": [1, 0, 1, 2], "strides": [2, 1]}
    for activation, numbers in (("Relu", None), ("Tanh", None), ("Sigmoid", None), ("LeakyRelu", [0.3]),
                                ("Clip", [-0.5, 0.7]), ("HardSigmoid", [0.3, 0.4])):
        attributes = {**shared, "activation": activation, **({"activation_params": numbers} if numbers else {})}
        yield [x, Const(w), Const(bias)], attributes, {}
        yield [x, w], attributes, {}
    y = reference("Conv", [x, w, bias], shared)[0]
    z = floats(random, *y.shape)
    yield [x, Const(w), Const(bias), z], {**shared, "activation": "Relu"}, {}


@case("FusedGemm")
def fused_gemm(random):
    a, b = floats(random, 4, 5), floats(random, 5, 6)
    for c in (None, floats(random, 6), floats(random, 4, 1), floats(random, 4, 6)):
        for activation, extra in (("Relu", {}), ("LeakyRelu", {"activation_alpha": 0.3}), ("Tanh", {})):
            yield [a, b, c], {"alpha": 0.5, "beta": 0.7, "activation": activation, **extra}, {}
            yield [a.T.copy(), b.T.copy(), c], {"transA": 1, "transB": 1, "activation": activation, **extra}, {}


@case("FusedMatMul")
@case("TransposeMatMul")
def fused_matmul(random):
    a, b = floats(random, 2, 4, 5), floats(random, 2, 5, 6)
    yield [a, b], {"alpha": 0.5}, {}
    yield [a.swapaxes(1, 2).copy(), b], {"transA": 1}, {}
    yield [a, b.swapaxes(1, 2).copy()], {"transB": 1, "alpha": 2.0}, {}
    yield [floats(random, 3, 2, 4, 5), floats(random, 6, 5)], {"transB": 1}, {}
    yield [floats(random, 5), floats(random, 5, 6)], {}, {}


@case("FusedMatMul")
def fused_matmul_batch(random):
    yield [floats(random, 4, 2, 3, 5), floats(random, 2, 3, 5, 6)], {"transBatchA": 1}, {}
    yield [floats(random, 2, 3, 4, 5), floats(random, 6, 2, 3, 5)], {"transBatchB": 1, "transB": 1}, {}


@case("QuantizeLinear")
def quantize(random):
    for dtype in (np.uint8, np.int8, np.uint16, np.int16):
        x, scale = floats(random, 3, 4, 5, scale=3), np.abs(floats(random, 4)) + 0.01
        zero = integers(random, 4, dtype=dtype)
        yield [x, scalar(0.02), scalar(3, dtype)], {}, {"steps": 1}
        yield [x, scale, zero], {"axis": 1}, {"steps": 1}


@case("DequantizeLinear")
def dequantize(random):
    for dtype in (np.uint8, np.int8, np.uint16, np.int16, np.int32):
        x, scale = integers(random, 3, 4, 5, dtype=dtype), np.abs(floats(random, 4)) + 0.01
        zero = np.zeros(4, dtype) if dtype == np.int32 else integers(random, 4, dtype=dtype)
        yield [x, scalar(0.02)], {}, {}
        yield [x, scale, zero], {"axis": -2}, {}


@case("QLinearAdd")
@case("QLinearMul")
def qlinear_binary(random):
    for dtype in EIGHT_BITS:
        a, b = integers(random, 2, 3, 4, dtype=dtype), integers(random, 3, 1, dtype=dtype)
        for left, right in ((a, b), (b, a), (a, a[::-1].copy()), (a, scalar(9, dtype))):
            yield [left, scalar(0.02), scalar(7, dtype), right, scalar(0.03), scalar(2, dtype), scalar(0.05),
                   scalar(5, dtype)], {}, {"steps": 1}


@case("QLinearSigmoid")
@case("QLinearLeakyRelu")
def qlinear_unary(random):
    for dtype in EIGHT_BITS:
        yield [integers(random, 3, 40, dtype=dtype), scalar(0.05), scalar(7, dtype), scalar(1 / 200),
               scalar(1, dtype)], {}, {"steps": 1}


@case("QLinearAveragePool")
def qlinear_pool(random):
    for dtype in EIGHT_BITS:
        for last_channels in (0, 1):
            for attributes in ({"kernel_shape": [3, 2], "pads": [1, 0, 1, 1], "strides": [2, 1]},
                               {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
                               {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}):
                yield [integers(random, 2, 7, 6, 5, dtype=dtype), scalar(0.05), scalar(7, dtype), scalar(0.04),
                       scalar(3, dtype)], {**attributes, "channels_last": last_channels}, {"steps": 1}


@case("QLinearGlobalAveragePool")
def qlinear_global_pool(random):
    for dtype in EIGHT_BITS:
        for last_channels in (0, 1):
            yield [integers(random, 2, 7, 6, 5, dtype=dtype), scalar(0.05), scalar(7, dtype), scalar(0.04),
                   scalar(3, dtype)], {"channels_last": last_channels}, {"steps": 1}


@case("QLinearConcat")
def qlinear_concat(random):
    for dtype in EIGHT_BITS:
        parts = [(integers(random, 2, n, 4, dtype=dtype), scalar(s), scalar(z, dtype))
                 for n, s, z in ((3, 0.05, 7), (1, 0.02, 0), (2, 0.04, 3))]
        yield [scalar(0.04), scalar(3, dtype), *[x for part in parts for x in part]], {"axis": 1}, {"steps": 1}


@case("QGemm")
def qgemm(random):
    for dtype in EIGHT_BITS:
        a, b = integers(random, 4, 5), integers(random, 5, 6, dtype=dtype)
        scale, zero = np.abs(floats(random, 6)) * 0.02 + 0.001, integers(random, 6, dtype=dtype)
        c = random.integers(-999, 999, 6).astype(np.int32)
        end = [scalar(0.9), scalar(11, np.uint8)]
        yield [a, scalar(0.03), scalar(120, np.uint8), b, scalar(0.01), scalar(3, dtype), c, *end], {}, {}
        yield [a, scalar(0.03), scalar(120, np.uint8), Const(b), Const(scale), Const(zero), Const(c), *end], {}, {}
        yield [a, scalar(0.03), scalar(120, np.uint8), Const(b), Const(scale), Const(zero)], {"alpha": 0.5}, {}
        yield [a.T.copy(), scalar(0.03), scalar(120, np.uint8), b.T.copy(), scalar(0.01), scalar(3, dtype), None, *end], \
            {"transA": 1, "transB": 1}, {}


@case("MatMulIntegerToFloat")
def matmul_integer_to_float(random):
    for dtype in EIGHT_BITS:
        a, b = integers(random, 2, 4, 5), integers(random, 5, 6, dtype=dtype)
        scale, zero = np.abs(floats(random, 6)) * 0.02, integers(random, 6, dtype=dtype)
        yield [a, Const(b), scalar(0.03), scalar(0.01)], {}, {}
        yield [a, Const(b), scalar(0.03), Const(scale), scalar(120, np.uint8), Const(zero), floats(random, 6)], {}, {}


@case("DynamicQuantizeMatMul")
def dynamic_quantize_matmul(random):
    for dtype in EIGHT_BITS:
        b = integers(random, 5, 6, dtype=dtype)
        scale, zero = np.abs(floats(random, 6)) * 0.02, integers(random, 6, dtype=dtype)
        yield [floats(random, 2, 4, 5), Const(b), Const(scalar(0.01)), Const(scalar(3, dtype))], {}, {}
        yield [floats(random, 2, 4, 5), Const(b), Const(scale), Const(zero), floats(random, 6)], {}, {}


@case("MatMulBlockQuantizedFp4Weight")
def fp4_weight(random):
    import ml_dtypes
    x, w = floats(random, 2, 3, 40, dtype=np.float16), integers(random, 5, 20)
    scales, bias = np.abs(floats(random, 5, 3)).astype(ml_dtypes.float8_e4m3fn), floats(random, 5, dtype=np.float16)
    values = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    wide = np.concatenate([values, -values])[np.stack([w & 15, w >> 4], -1).reshape(5, 40)]
    wide = (wide * 0.2 * scales.astype(np.float32).repeat(16, 1)[:, :40]).astype(np.float16).astype(np.float32)
    y = x.astype(np.float32) @ wide.T
    inputs = [x, Const(w), Const(scales.view(np.uint8)), Const(scalar(0.2))]
    yield inputs, {"block_size": 16}, {"expect": [y.astype(np.float16)], "atol": 0.02}
    yield [*inputs, None, bias], {}, {"expect": [(y + bias).astype(np.float16)], "atol": 0.02}


# ---- matrices in the orders of cublasLt ------------------------------------------------------------------------------


def place_of(order, r, c, rows, columns):
    """Where element [r, c] of a matrix is stored."""
    tile8 = (((r // 8 * 8) + (r & 1) * 4 + c % 32 // 8) * 8 + (c % 8 // 4) * 4 + r % 8 // 2) * 4 + c % 4
    tile32 = r // 32 * 1024 + ((r % 8 // 2 * 4 + r % 32 // 8) * 2 + r % 2) * 32 + c % 32
    return [c * rows + r, r * columns + c, c // 32 * 32 * rows + r * 32 + c % 32, c // 32 * 32 * rows + tile8,
            c // 32 * 32 * rows + tile32][order]


def stored(matrix, order):
    """[..., rows, columns] with its numbers where the order puts them."""
    rows, columns = matrix.shape[-2:]
    flat = matrix.reshape(-1, rows, columns)
    out = np.zeros((len(flat), rows * columns), matrix.dtype)
    for r in range(rows):
        for c in range(columns):
            out[:, place_of(order, r, c, rows, columns)] = flat[:, r, c]
    return out.reshape(matrix.shape)


def to_bytes(x, scale):
    return np.clip(np.rint(x / np.float32(scale)), -128, 127).astype(np.int8)


@case("QuantizeWithOrder")
def quantize_with_order(random):
    for order in range(5):
        x = floats(random, 2, 32, 64)
        yield [x, scalar(0.03)], {"order_input": 1, "order_output": order}, {"expect": [stored(to_bytes(x, 0.03), order)]}


@case("DequantizeWithOrder")
def dequantize_with_order(random):
    for order in range(5):
        x = integers(random, 2, 32, 64, dtype=np.int8)
        yield [stored(x, order), scalar(0.03)], {"order_input": order, "order_output": 1, "to": 1}, \
            {"expect": [x * np.float32(0.03)]}


@case("QOrderedGelu")
def qordered_gelu(random):
    x = integers(random, 3, 32, dtype=np.int8)
    y = x * 0.02 * 0.5 * (1 + np.vectorize(math.erf)(x * 0.02 / np.sqrt(2)))
    yield [x, scalar(0.02), scalar(0.03)], {"order_X": 2, "order_Y": 2}, {"expect": [to_bytes(y, 0.03)], "steps": 1}


@case("QOrderedLayerNormalization")
def qordered_norm(random):
    for order in (1, 2):
        x, gamma, beta = integers(random, 2, 3, 64, dtype=np.int8), floats(random, 64), floats(random, 64)
        y = reference("LayerNormalization", [x * np.float32(0.02), gamma, beta], {"epsilon": 1e-5})[0]
        yield [stored(x, order), scalar(0.02), gamma, beta, scalar(0.03)], {"order_X": order, "order_Y": order}, \
            {"expect": [stored(to_bytes(y, 0.03), order)], "steps": 1}


@case("QOrderedMatMul")
def qordered_matmul(random):
    a, b, c = (integers(random, *s, dtype=np.int8) for s in ((2, 3, 32), (32, 64), (2, 3, 64)))
    bias, scale = floats(random, 64), np.abs(floats(random, 64)) * 0.01 + 0.001
    product = (a * 0.02) @ (b * scale)
    yield [a, scalar(0.02), stored(b, 0), scale, scalar(0.3), bias, c, scalar(0.1)], \
        {"order_A": 1, "order_B": 0, "order_Y": 1}, {"expect": [to_bytes(product + bias + c * 0.1, 0.3)], "steps": 1}
    for order in (3, 4):
        turned = stored(np.ascontiguousarray(b.T), order).reshape(32, 64)
        yield [stored(a, 2), scalar(0.02), turned, scale, scalar(0.3)], {"order_A": 2, "order_B": order, "order_Y": 2}, \
            {"expect": [stored(to_bytes(product, 0.3), 2)], "steps": 1}


@case("QOrderedAttention")
def qordered_attention(random):
    x = integers(random, 2, 5, 8, dtype=np.int8)
    weights = [integers(random, 8, 8, dtype=np.int8) for _ in range(3)]
    biases = [floats(random, 8) for _ in range(3)]
    heads = [to_bytes((x * 0.02) @ (w * 0.01) + b, 0.05) * np.float32(0.05) for w, b in zip(weights, biases)]
    mask = np.array([5, 3], np.int32)
    y = reference("MultiHeadAttention", [*heads, None, mask], {"num_heads": 2}, domain="com.microsoft")[0]
    gemm, weight = scalar(0.05), scalar(0.01)
    yield [x, scalar(0.02), gemm, gemm, gemm, *[stored(w, 0) for w in weights], weight, weight, weight, *biases, None,
           None, gemm, mask], {"num_heads": 2, "order_input": 1, "order_weight": 0, "order_output": 1}, \
        {"expect": [to_bytes(y, 0.05)], "steps": 1}


@case("QOrderedLongformerAttention")
def qordered_longformer(random):
    (inputs, attributes, options), = longformer(random)
    x, w, bias, mask, global_w, global_bias, everywhere = inputs
    weights = [to_bytes(m, 0.02) for m in (w, global_w)]
    x = to_bytes(x, 0.03)
    plain, feeds = build("LongformerAttention", [x * np.float32(0.03), weights[0] * np.float32(0.02), bias, mask,
                                                 weights[1] * np.float32(0.02), global_bias, everywhere], attributes, {})
    y = engine.Session(plain).run(feeds)[0]
    yield [x, scalar(0.03), stored(weights[0], 0), scalar(0.02), bias, scalar(1), scalar(0.05), mask.astype(np.float16),
           stored(weights[1], 0), scalar(0.02), global_bias, scalar(0.05), everywhere, scalar(0.04)], \
        {**attributes, "order_input": 1, "order_weight": 0, "order_global_weight": 0, "order_output": 1}, \
        {"expect": [to_bytes(y, 0.04)], "steps": 1}


if __name__ == "__main__":
    sys.exit(main())
