#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files that ONNX Runtime saves after optimising (optimized_model_filepath): each model of ../shared/models, saved at
the levels basic, extended and all, must load and compute what the original computes. And the domains that only such
files hold (com.microsoft.nchwc, com.ms.internal.nhwc), node by node.

    tests/models/test_saved_by_ort.py [--long] [NAME ...]     only models whose path contains a NAME
"""
import hashlib
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "ops"), str(HERE.parent)]
import venv  # noqa: E402

venv.enter()

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime as ort  # noqa: E402
from onnx import helper, numpy_helper  # noqa: E402

import engine  # noqa: E402
import suite  # noqa: E402

ort.set_default_logger_severity(4)
MODELS = HERE.parent.parent.parent / "shared/models"
LEVELS = {"basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
          "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
          "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL}
# Weights that these models generate are written out: files of 200 to 550 MB.
HUGE = ("light_vgg19", "light_bvlc_alexnet", "light_zfnet512")


def save(path, level, target):
    """Why ONNX Runtime cannot, or None."""
    options = ort.SessionOptions()
    options.graph_optimization_level = LEVELS[level]
    options.optimized_model_filepath = str(target)
    options.intra_op_num_threads = 1
    try:
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as e:  # it has exceptions of its own
        return str(e).splitlines()[0][:120]
    return None


def feeds(model, seed):
    """Something for every input without initializer. Free dimensions: samples of a recording, else 1."""
    rng, made = np.random.default_rng(seed), {}
    initialized = {i.name for i in model.graph.initializer}
    for i in model.graph.input:
        if i.name in initialized:
            continue
        dims = i.type.tensor_type.shape.dim
        shape = [d.dim_value or ((4096 if d.dim_param == "samples" else 512) if k and k + 1 == len(dims) else 1)
                 for k, d in enumerate(dims)]
        dtype = helper.tensor_dtype_to_np_dtype(i.type.tensor_type.elem_type)
        if i.name == "sr":
            made[i.name] = np.full(shape, 16000, dtype)
        else:
            made[i.name] = (rng.random(shape) if dtype.kind == "f" else rng.integers(0, 256, shape)).astype(dtype)
    return made


def compare(want, got, tolerance):
    for x, y in zip(want, got, strict=True):
        if not isinstance(x, np.ndarray):
            assert str(x)[:60] == str(y)[:60], f"{x} and {y}"
        elif x.dtype.kind != "f":
            assert np.array_equal(x, y), f"{np.count_nonzero(x != y)} of {x.size} elements differ"
        else:
            assert x.shape == y.shape, f"shapes {x.shape} and {y.shape}"
            x, y = x.astype(np.float64), y.astype(np.float64)
            worst = np.abs(x - y).max(initial=0) / max(np.abs(x).max(initial=0), 1e-3)
            assert worst <= tolerance, f"off by {worst:.2g} of the largest"


def check_models(tally, long, folder):
    for path in sorted(MODELS.rglob("*.onnx")):
        if not tally.wants(str(path)) or not long and any(h in str(path) for h in HUGE):
            continue
        original = onnx.load(path)
        inputs, want, seen = feeds(original, 1), None, set()
        half = any(i.data_type == onnx.TensorProto.FLOAT16 for i in original.graph.initializer)
        for level in LEVELS:
            target = pathlib.Path(folder) / "saved.onnx"
            problem = save(path, level, target)
            if problem:
                print(f"skipped {path.relative_to(MODELS)}: ONNX Runtime says {problem}")
                tally.skipped += 1
                break
            data = target.read_bytes()
            target.unlink()
            if hashlib.sha256(data).digest() in seen:
                continue  # as at the level below
            seen.add(hashlib.sha256(data).digest())
            try:
                want = want or engine.Session(path.read_bytes()).run(inputs)
                saved = onnx.load_from_string(data)
                # Initializers that were folded away may leave their inputs behind: anything will do for them.
                extra = {k: v for k, v in feeds(saved, 2).items() if k not in inputs}
                compare(want, engine.Session(data).run({**inputs, **extra}), 2e-2 if half else 1e-4)
                wrong = None
            except (AssertionError, engine.Failure) as e:
                wrong = str(e)
            tally.note(f"{path.relative_to(MODELS)} at {level}", wrong)


# ---- node by node ---------------------------------------------------------------------------------------------------

def run(nodes, x, constants, domains=(), version=17):
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [onnx.ValueInfoProto(name="y")], [numpy_helper.from_array(v, k) for k, v in constants.items()])
    opsets = [helper.make_opsetid("", version), *(helper.make_opsetid(d, v) for d, v in domains)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    return engine.Session(model.SerializeToString()).run({"x": x})[0]


def N(op, inputs, output="y", domain="", **attributes):
    return helper.make_node(op, inputs.split(","), [output], domain=domain, **attributes)


def filled(x, axis, block):
    width = [(0, -x.shape[a] % block if a == axis else 0) for a in range(x.ndim)]
    return np.pad(x, width)


def blocked(w, block, inputs_too):
    """Weights as ONNX Runtime stores them."""
    w = filled(w, 0, block)
    o, i, h, k = w.shape
    if inputs_too:
        w = filled(w, 1, block)
        i = w.shape[1]
        return w.reshape(o // block, block, i // block, block, h, k).transpose(0, 2, 4, 5, 3, 1).reshape(o, i, h, k)
    return w.reshape(o // block, block, i, h, k).transpose(0, 2, 3, 4, 1).reshape(o, i, h, k)


NCHWC = "com.microsoft.nchwc"


def nchwc_conv(rng, block, outputs, inputs, group, last=False):
    """Conv, pooling and a sum of two branches between reorderings."""
    depthwise = group > 1
    x = rng.normal(size=(2, inputs, 7, 6)).astype(np.float32)
    w = rng.normal(size=(outputs, 1 if depthwise else inputs, 3, 3)).astype(np.float32)
    b = rng.normal(size=outputs).astype(np.float32)
    window = {"pads": [1, 1, 1, 1], "strides": [2, 1]}
    pool = {"kernel_shape": [2, 2], "strides": [1, 2]}
    want = run([N("Conv", "x,w,b", "c", group=group, **window), N("MaxPool", "c", "p", **pool),
                N("AveragePool", "c", "q", **pool), N("Add", "p,q", "s"),
                *([N("Transpose", "s", perm=[0, 2, 3, 1])] if last else [N("Identity", "s")])], x, {"w": w, "b": b})
    direct = not depthwise and inputs < block
    nodes = [] if direct else [N("ReorderInput", "x", "r", NCHWC, **({"channels_last": 1} if last else {}))]
    padded = -(-outputs // block) * block
    nodes += [N("Conv", ("x" if direct else "r") + ",w,b", "c", NCHWC, group=padded if depthwise else 1, **window),
              N("MaxPool", "c", "p", NCHWC, **pool), N("AveragePool", "c", "q", NCHWC, **pool), N("Add", "p,q", "s"),
              N("ReorderOutput", "s" if outputs % 16 == 8 else "c", "o" if outputs % 16 != 8 else "y", NCHWC,
                channels=outputs, **({"channels_last": 1} if last else {}))]
    if outputs % 16 != 8:  # the first ReorderOutput only tells the size of a block
        nodes += [N("ReorderOutput", "s", "y", NCHWC, channels=outputs, **({"channels_last": 1} if last else {}))]
    fed = x.transpose(0, 2, 3, 1) if last and not direct else x
    got = run(nodes, np.ascontiguousarray(fed), {"w": blocked(w, block, not (direct or depthwise)),
                                                 "b": filled(b, 0, block)}, [(NCHWC, 1)])
    compare([want], [got], 1e-5)


def nchwc_squeezed(rng):
    """8 of 16 channels leave their block between two products: the second reads them as they are."""
    x = rng.normal(size=(1, 32, 2, 2)).astype(np.float32)
    w, v = (rng.normal(size=s).astype(np.float32) for s in ((8, 32, 1, 1), (32, 8, 1, 1)))
    want = run([N("Conv", "x,w", "c"), N("Relu", "c", "r"), N("Conv", "r,v")], x, {"w": w, "v": v})
    got = run([N("ReorderInput", "x", "b", NCHWC), N("Conv", "b,w", "c", NCHWC), N("Relu", "c", "r"),
               N("ReorderOutput", "r", "o", NCHWC, channels=8), N("Conv", "o,v", "d", NCHWC),
               N("ReorderOutput", "d", "y", NCHWC, channels=32)], x,
              {"w": blocked(w, 16, True), "v": blocked(v, 16, False)}, [(NCHWC, 1)])
    compare([want], [got], 1e-5)


def nchwc_upsample(rng, mode, place):
    x = rng.normal(size=(1, 3, 4, 5)).astype(np.float32)
    attributes = {"mode": mode, "coordinate_transformation_mode": place}
    want = run([N("Resize", "x,,s", nearest_mode="floor", **attributes)], x, {"s": np.float32([1, 1, 2, 3])})
    got = run([N("Upsample", "x", domain=NCHWC, scales=[1, 1, 2, 3], **attributes)], x, {}, [(NCHWC, 1)])
    compare([want], [got], 1e-6)


def nhwc(rng, op, version, shape, constants=(), attributes=(), resize=None):
    """The operator on channels in second place, and with a view of the same data that has them last."""
    domain, attributes, constants = "com.ms.internal.nhwc", dict(attributes), dict(constants)
    x = rng.normal(size=shape).astype(np.float32)
    if op == "QLinearConv":
        x = rng.integers(0, 255, shape).astype(np.uint8)
    names = ",".join(["x", *constants])
    rank = len(shape)
    want = run([N(op, names, **attributes)], x, constants, version=version)
    last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    got = run([N(op, names, domain=domain, **attributes)], last, {**constants, **(resize or {})},
              [(domain, version)], version)
    compare([want.astype(float)], [np.moveaxis(got, rank - 1, 1).astype(float)], 1e-6)


def node_cases():
    yield "nchwc Conv of channels that left their block", nchwc_squeezed
    for block in (8, 16):
        for outputs in ((24,) if block == 8 else (20, 4)):
            for inputs, group in ((3, 1), (8, 1), (16, 1), (20, 1), (outputs, outputs)):
                for last in (False, True) if inputs > 3 else (False,):
                    yield (f"nchwc Conv, blocks of {block}, {inputs} to {outputs} in {group}, last {last}",
                           lambda r, a=(block, outputs, inputs, group, last): nchwc_conv(r, *a))
    for mode, place in (("nearest", "asymmetric"), ("linear", "half_pixel"), ("linear", "align_corners")):
        yield f"nchwc Upsample {mode} {place}", lambda r, a=(mode, place): nchwc_upsample(r, *a)
    w = np.random.default_rng(0).normal(size=(4, 3, 2, 2)).astype(np.float32)
    image = (2, 3, 5, 6)
    for version in (8, 11, 17, 22):
        yield f"nhwc Conv {version}", lambda r, v=version: nhwc(r, "Conv", v, image, {"w": w}, {"strides": [2, 1]})
        yield f"nhwc MaxPool {version}", lambda r, v=version: nhwc(r, "MaxPool", v, image, {}, {"kernel_shape": [2, 2]})
    yield "nhwc Conv 1D", lambda r: nhwc(r, "Conv", 17, (2, 3, 5), {"w": w[:, :, 0]})
    yield "nhwc ConvTranspose", lambda r: nhwc(r, "ConvTranspose", 17, image, {"w": w.transpose(1, 0, 2, 3).copy()})
    yield "nhwc GlobalAveragePool", lambda r: nhwc(r, "GlobalAveragePool", 17, image)
    yield "nhwc DepthToSpace", lambda r: nhwc(r, "DepthToSpace", 13, (1, 8, 3, 2), {}, {"blocksize": 2})
    yield "nhwc GridSample", lambda r: nhwc(r, "GridSample", 16, (1, 3, 4, 5),
                                            {"g": r.uniform(-1, 1, (1, 2, 3, 2)).astype(np.float32)})
    yield "nhwc LRN", lambda r: nhwc(r, "LRN", 13, image, {}, {"size": 3})
    yield "nhwc QLinearConv", lambda r: nhwc(
        r, "QLinearConv", 17, image, {"xs": np.float32(0.1), "xz": np.uint8(3), "w": (w * 40).astype(np.int8),
                                      "ws": np.float32(0.1), "wz": np.int8(0), "ys": np.float32(0.5), "yz": np.uint8(7)})
    none = np.zeros(0, np.float32)
    yield "nhwc Resize 10", lambda r: nhwc(r, "Resize", 10, image, {"s": np.float32([1, 1, 2, 3])}, {},
                                           {"s": np.float32([1, 2, 3, 1])})
    yield "nhwc Resize 18", lambda r: nhwc(r, "Resize", 18, image, {"none": none, "s": np.float32([1, 1, 2, 3])}, {},
                                           {"s": np.float32([1, 2, 3, 1]), "none": none})
    yield "nhwc Resize axes", lambda r: nhwc_resize_axes(r, image)


def nhwc_resize_axes(rng, shape):
    x = rng.normal(size=shape).astype(np.float32)
    sizes = {"s": np.int64([9, 4])}
    want = run([N("Resize", "x,,,s", axes=[2, 3], mode="linear")], x, sizes, version=18)
    domain = "com.ms.internal.nhwc"
    got = run([N("Resize", "x,,,s", domain=domain, axes=[1, -2], mode="linear")],
              np.ascontiguousarray(np.moveaxis(x, 1, -1)), sizes, [(domain, 18)], 18)
    compare([want], [np.moveaxis(got, -1, 1)], 1e-6)


def main():
    long = "--long" in sys.argv
    tally = suite.Tally()
    for i, (name, case) in enumerate(node_cases()):
        if tally.wants(name):
            tally.attempt(name, lambda: case(np.random.default_rng(i)), (AssertionError, engine.Failure))
    if MODELS.is_dir():
        with tempfile.TemporaryDirectory() as folder:
            check_models(tally, long, folder)
    else:
        print(f"SKIPPED: {MODELS} is absent")
        tally.skipped += 1
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
