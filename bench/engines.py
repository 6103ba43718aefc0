# SPDX-License-Identifier: Apache-2.0
"""One engine in a process of its own, for bench/rivals.py: loads a model, runs it once on the numbers it is given, then
runs it again and again for as many milliseconds as each line of its input says.

usage: engines.py ENGINE THREADS MODEL INPUTS.npz OUTPUTS.npz

Each engine is a function that takes these and returns what runs the model once and gives its outputs in their order.
Precision is fp32 throughout. Read next: rivals.py.
"""
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy


def sardonyx(model, feed, threads):
    import sardonyx as engine
    options = engine.SessionOptions()
    options.intra_op_num_threads = threads
    session = engine.InferenceSession(model, options)
    return lambda: session.run(None, feed)


def onnxruntime(model, feed, threads):
    import onnxruntime as engine
    options = engine.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    session = engine.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, feed)


def openvino(model, feed, threads):
    import openvino as engine
    core = engine.Core()
    network = core.read_model(model)
    network.reshape({name: list(value.shape) for name, value in feed.items()})
    request = core.compile_model(network, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    return lambda: list(request.infer(feed, share_inputs=True).values())


def mnn(model, feed, threads):
    import MNN
    converted = f"{os.environ['RIVALS_TMP']}/{pathlib.Path(model).stem}.mnn"
    if not os.path.exists(converted):
        subprocess.run([pathlib.Path(sys.executable).with_name("mnnconvert"), "-f", "ONNX", "--modelFile", model,
                        "--MNNModel", converted, "--bizCode", "bench"], check=True, stdout=subprocess.DEVNULL)
    import onnxruntime as names  # MNN wants the names of outputs, which its file does not list in their order
    outputs = [o.name for o in names.InferenceSession(model, providers=["CPUExecutionProvider"]).get_outputs()]
    manager = MNN.nn.create_runtime_manager(({"backend": 0, "precision": 1, "numThread": threads},))
    network = MNN.nn.load_module_from_file(converted, list(feed), outputs, runtime_manager=manager, shape_mutable=False)
    given = [MNN.numpy.array(value) for value in feed.values()]
    given = [MNN.expr.convert(v, MNN.expr.NCHW) if len(v.shape) == 4 else v for v in given]
    return lambda: [numpy.array(o.read()) for o in network.forward(given)]


def ncnn(model, feed, threads):
    import ncnn as engine
    folder = pathlib.Path(os.environ["RIVALS_TMP"]) / f"{pathlib.Path(model).stem}.ncnn"
    if not folder.exists():
        folder.mkdir()
        os.symlink(os.path.abspath(model), folder / "m.onnx")
        shapes = ",".join(str(list(v.shape)).replace(" ", "") for v in feed.values())
        subprocess.run([pathlib.Path(sys.executable).with_name("pnnx"), "m.onnx", f"inputshape={shapes}", "fp16=0"],
                       check=True, cwd=folder, stdout=subprocess.DEVNULL)
    network = engine.Net()
    network.opt.num_threads = threads
    network.opt.use_fp16_packed = network.opt.use_fp16_storage = network.opt.use_fp16_arithmetic = False
    network.opt.use_bf16_storage = False
    if network.load_param(str(folder / "m.ncnn.param")) or network.load_model(str(folder / "m.ncnn.bin")):
        raise RuntimeError("ncnn cannot load what pnnx made")
    given = [engine.Mat(numpy.ascontiguousarray(v[0] if v.ndim > 1 else v)) for v in feed.values()]

    def run():
        with network.create_extractor() as extractor:
            for name, value in zip(network.input_names(), given):
                extractor.input(name, value)
            return [numpy.array(extractor.extract(name)[1])[None] for name in network.output_names()]
    return run


ENGINES = {f.__name__: f for f in (sardonyx, onnxruntime, openvino, mnn, ncnn)}


def peak_mb():
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def main():
    engine, threads, model, inputs, outputs = sys.argv[1:]
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what engines print is no answer
    feed = dict(numpy.load(inputs))
    started = time.perf_counter()
    run = ENGINES[engine](model, feed, int(threads))
    results = run()
    first_ms = (time.perf_counter() - started) * 1e3
    numpy.savez(outputs, *[r for r in results if getattr(r, "dtype", numpy.dtype("O")).kind in "fiub"])
    del results
    run()
    print(json.dumps({"first_ms": first_ms, "peak_mb": peak_mb()}), file=answers)
    for line in sys.stdin:
        slice_s, begin, cpu, count, spent = float(line) / 1e3, time.perf_counter(), time.process_time(), 0, 0
        while spent < slice_s:
            run()
            count += 1
            spent = time.perf_counter() - begin
        print(json.dumps({"ms": spent / count * 1e3, "wall_s": spent, "cpu_s": time.process_time() - cpu}), file=answers)


main()
