#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Memory budgets and deadlines hold, whatever the elements are. Every operator on inputs made long, and models that
make much out of little: long strings repeated, millions of tiny tensors. Each runs in a process of its own, once under
a small budget and once under a short deadline; its peak and its time are those of the whole process. What the run says
it held is held against the peak, too, so that runs far below their budget tell of what is not charged. Long work in few
steps is ended by a deadline and by a cancellation, each time within a moment.

    tests/ops/test_budgets.py [--long] [NAME ...]     --long: all cases of each operator, not the first alone
"""
import os
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv  # noqa: E402

venv.enter()
import numpy as np  # noqa: E402
from onnx import TensorProto as T, helper, numpy_helper  # noqa: E402

import cases  # noqa: E402
import engine  # noqa: E402
import records  # noqa: E402
import suite  # noqa: E402

tally = suite.Tally()
MB = 1 << 20
BUDGET = 48 * MB
OVERSHOOT = 1.05  # the promise; besides, what loading takes
DEADLINE = 0.25
LATE = 0.4  # processor time; an idle machine of today needs 0.1, what does not look at the clock needs seconds
INPUT_BYTES = 24 * MB
SOON = 0.05  # a deadline or cancellation while one operator works ...
MOMENT = 0.1  # ... ends it within this processor time: looks are 20 ms apart, memory is to be given back
TRIES = 3  # both processors are counted, and what else runs on them only adds to it
LIMITS = {"NO_MEMORY", "DEADLINE_EXCEEDED", "LIMIT_EXCEEDED"}


def kb(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def execute(model, values, options):
    """(name of the status, message, bytes that the run says it held) of a load and a run."""
    try:
        session = engine.Session(model, **options)
    except engine.Failure as e:
        return *e.args, 0
    for name, value in values.items():
        engine.LIB.sdx_run_set_input(session.run_handle,
                                     engine.LIB.sdx_session_find_input(session.handle, name.encode()), value)
    status = engine.LIB.sdx_run_execute(session.run_handle)
    return engine.LIB.sdx_status_name(status).decode(), engine.LIB.sdx_run_error(session.run_handle).decode(), \
        engine.LIB.sdx_run_peak_bytes(session.run_handle)


def in_child(task):
    """What the task returns in a process of its own; None if it ended otherwise."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, repr(task()).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        told = pipe.read()
    os.waitpid(child, 0)
    return eval(told) if told else None


def measured(model, values, options):
    """status, message, bytes the run says it held, bytes at the peak above those at the start, processor seconds."""
    def task():
        before, start = kb("VmRSS:"), time.process_time()
        status, message, said = execute(model, values, options)
        return status, message[:300], said, (kb("VmHWM:") - before) * 1024, time.process_time() - start
    return in_child(task) or ("SIGNAL", "", 0, 0, 0.0)


def check(name, model, feeds, must_refuse=False):
    values = {n: engine.to_value(x) for n, x in feeds.items()}
    status, message, said, peak, _ = measured(model, values, {"run_memory_limit_bytes": BUDGET, "fold_limit_bytes": MB})
    allowed = said if status == "OK" else BUDGET
    over = said > BUDGET or peak > allowed * OVERSHOOT + 4 * MB + 4 * len(model)
    wrong = over or status.startswith("SIGNAL") or (must_refuse and status not in LIMITS)
    tally.note(f"{name} budget", f"{status} {message}: peak {peak / MB:.1f} MB, said {said / MB:.1f} MB" if wrong else None)
    status, message, _, _, seconds = measured(model, values, {"run_timeout_ms": int(DEADLINE * 1000),
                                                            "run_memory_limit_bytes": 4096 * MB})
    wrong = seconds > DEADLINE + LATE or status.startswith("SIGNAL")
    tally.note(f"{name} deadline", f"{status} {message}: {seconds:.2f} s" if wrong else None)
    for value in values.values():
        engine.LIB.sdx_value_release(value)
    return status


def timed_run(model, values, cancelled):
    """(name of the status, processor seconds) of a run that is to end early."""
    session = engine.Session(model, run_memory_limit_bytes=4096 * MB, fold_limit_bytes=MB,
                             **({} if cancelled else {"run_timeout_ms": int(SOON * 1000)}))
    for name, value in values.items():
        engine.LIB.sdx_run_set_input(session.run_handle,
                                     engine.LIB.sdx_session_find_input(session.handle, name.encode()), value)
    timer = threading.Timer(SOON, engine.LIB.sdx_run_cancel, [session.run_handle])
    if cancelled:
        timer.start()
    start = time.process_time()
    status = engine.LIB.sdx_run_execute(session.run_handle)
    seconds = time.process_time() - start
    timer.cancel()
    return engine.LIB.sdx_status_name(status).decode(), seconds


def prompt(name, model, feeds):
    values = {n: engine.to_value(x) for n, x in feeds.items()}
    for way, want in (("deadline", "DEADLINE_EXCEEDED"), ("cancellation", "CANCELLED")):
        for _ in range(TRIES):
            status, seconds = in_child(lambda: timed_run(model, values, way == "cancellation")) or ("SIGNAL", 0.0)
            wrong = seconds > SOON + MOMENT or status not in (want, "OK")
            if not wrong:
                break
        tally.note(f"{name} {way}", f"{status} after {seconds:.2f} s" if wrong else None)
    for value in values.values():
        engine.LIB.sdx_value_release(value)


# ---- much out of little -------------------------------------------------------------------------------

value_info, node = helper.make_tensor_value_info, helper.make_node
sequence_info = helper.make_tensor_sequence_value_info
COUNT, TINY = 5000, 5_000_000
LONG = np.array(["a" * MB], object)


def model_of(nodes, inputs, outputs, **constants):
    graph = helper.make_graph(
        nodes, "g", inputs, [helper.make_empty_tensor_value_info(o) if isinstance(o, str) else o for o in outputs],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()])
    return helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 3)]).SerializeToString()


def long_strings():
    x = [value_info("x", T.STRING, [1])]

    def one(op, inputs, domain="", given=x, **rest):
        attributes = {k: v for k, v in rest.items() if not isinstance(v, np.ndarray)}
        constants = {k: v for k, v in rest.items() if isinstance(v, np.ndarray)}
        return model_of([node(op, inputs, ["y"], domain=domain, **attributes)], given, ["y"], **constants)

    n, zeros = np.array([COUNT]), np.zeros(COUNT, np.int64)
    column = np.zeros((COUNT, 1), np.int64)
    yield "Tile", one("Tile", ["x", "n"], n=n), True
    yield "Expand", one("Expand", ["x", "n"], n=n), True
    yield "Gather", one("Gather", ["x", "i"], i=zeros), True
    yield "GatherElements", one("GatherElements", ["x", "i"], i=zeros), True
    yield "GatherND", one("GatherND", ["x", "i"], i=column), True
    yield "Concat", one("Concat", ["x"] * COUNT, axis=0), True
    yield "Where", one("Where", ["c", "x", "x"], c=zeros > 0), True
    yield "Pad", one("Pad", ["x", "n2"], mode="edge", n2=np.array([0, COUNT])), True
    yield "OneHot", model_of([node("Concat", ["x", "x"], ["v"], axis=0), node("OneHot", ["i", "n", "v"], ["y"])],
                             x, ["y"], i=zeros[:1], n=n), True
    yield "Slice", model_of([node("Tile", ["x", "n"], ["t"]), node("Slice", ["t", "s", "e"], ["y"])], x, ["y"],
                            n=n, s=np.array([1]), e=np.array([COUNT])), True
    yield "StringConcat", model_of(
        [node("StringConcat", ["x", "x"], ["x1"])] +
        [node("StringConcat", [f"x{i}", f"x{i}"], [f"x{i + 1}"]) for i in range(1, 40)], x, ["x40"]), True
    yield "ConcatFromSequence", model_of([node("SequenceConstruct", ["x"] * COUNT, ["s"]),
                                          node("ConcatFromSequence", ["s"], ["y"], axis=0)], x, ["y"]), True
    yield "SequenceConstruct", model_of([node("SequenceConstruct", ["x"] * COUNT, ["s"])], x,
                                        [sequence_info("s", T.STRING, None)]), True
    yield "LabelEncoder", model_of(
        [node("Tile", ["x", "n"], ["t"]),
         node("LabelEncoder", ["t"], ["y"], domain="ai.onnx.ml", keys_strings=["b"], values_strings=["c"],
              default_string="d" * MB)], x, ["y"], n=n), True
    body = helper.make_graph([node("Identity", ["c"], ["c2"]), node("Identity", ["v"], ["v2"]),
                              node("Identity", ["v"], ["w"])], "b",
                             [value_info("i", T.INT64, []), value_info("c", T.BOOL, []), value_info("v", T.STRING, [1])],
                             [value_info("c2", T.BOOL, []), value_info("v2", T.STRING, [1]),
                              value_info("w", T.STRING, [1])])
    yield "Loop", model_of([node("Loop", ["n0", "", "x"], ["o", "y"], body=body)], x, ["y"], n0=np.array(COUNT)), True
    yield "constant", one("Tile", ["k", "n"], given=[], k=LONG, n=n), True


def tiny_tensors():
    scalar = value_info("w", T.INT64, [])
    bodies = {
        "Loop": helper.make_graph([node("Identity", ["c"], ["c2"]), node("Identity", ["i"], ["w"])], "b",
                                  [value_info("i", T.INT64, []), value_info("c", T.BOOL, [])],
                                  [value_info("c2", T.BOOL, []), scalar]),
        "each": helper.make_graph([node("Neg", ["e"], ["f"])], "b", [value_info("e", T.INT8, [])],
                                  [value_info("f", T.INT8, [])])}
    x, zeros = [value_info("x", T.INT8, [TINY])], np.zeros(TINY, np.int8)
    split = node("SplitToSequence", ["x"], ["s"], axis=0, keepdims=0)
    yield "Loop", model_of([node("Loop", ["n", ""], ["y"], body=bodies["Loop"])], [], ["y"], n=np.array(TINY)), {}
    yield "Scan", model_of([node("Scan", ["x"], ["y"], num_scan_inputs=1, body=bodies["each"])], x, ["y"]), {"x": zeros}
    yield "SplitToSequence", model_of([split], x, [sequence_info("s", T.INT8, None)]), {"x": zeros}
    yield "SequenceMap", model_of([split, node("SequenceMap", ["s"], ["t"], body=bodies["each"])], x,
                                  [sequence_info("t", T.INT8, None)]), {"x": zeros}
    yield "ZipMap", model_of([node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[1, 2])],
                             [value_info("x", T.FLOAT, [TINY // 10, 2])], ["y"]), \
        {"x": np.zeros((TINY // 10, 2), np.float32)}
    yield "StringSplit", model_of([node("StringSplit", ["x"], ["y", "z"], delimiter=",")],
                                  [value_info("x", T.STRING, [1])], ["y"]), {"x": np.array(["," * TINY], object)}


def long_work():
    """One operator that works long, or makes much."""
    def one(op, *arrays, outputs=1, opset=21, **attributes):
        given = {f"i{k}": np.asarray(a) for k, a in enumerate(arrays) if a is not None}
        infos = [value_info(n, engine.DTYPES[engine.name_of(a.dtype)][0], a.shape) for n, a in given.items()]
        made = [f"y{k}" for k in range(outputs)]
        step = node(op, ["" if a is None else f"i{k}" for k, a in enumerate(arrays)], made, **attributes)
        graph = helper.make_graph([step], "g", infos, [helper.make_empty_tensor_value_info(o) for o in made])
        return helper.make_model(graph, ir_version=10, opset_imports=[
            helper.make_opsetid("", opset)]).SerializeToString(), given

    square, ones = np.ones((3000, 3000)), np.ones
    byte, single = np.uint8, np.float32
    yield "Expand", *one("Expand", ones(1), np.array([256 * MB // 8 * 4]))
    yield "OneHot", *one("OneHot", np.zeros(MB, np.int64), np.int64(256), np.array([0, 1], single))
    yield "EyeLike", *one("EyeLike", ones((8192, 8192), np.int8), dtype=1)
    yield "MatMul double", *one("MatMul", square, square)
    yield "MatMul int64", *one("MatMul", ones((1, MB), np.int64), ones((MB, 32), np.int64))
    yield "MatMulInteger", *one("MatMulInteger", ones((8192, 8192), byte), ones((8192, 4096), byte))
    yield "QLinearMatMul", *one("QLinearMatMul", ones((8192, 8192), byte), single(1), byte(0), ones((8192, 4096), byte),
                                single(1), byte(0), single(1), byte(0))
    for op in ("Max", "Min", "Mean", "Sum"):
        yield op, *one(op, *[ones(32 * MB, single)] * 4)
    yield "MaxUnpool", *one("MaxUnpool", ones((1, 1, 2048, 4096), single), np.zeros((1, 1, 2048, 4096), np.int64),
                            kernel_shape=[2, 2], strides=[2, 2])
    yield "DFT", *one("DFT", ones((1, 1000003, 1)), opset=17, axis=1)
    yield "DFT of powers of 3", *one("DFT", ones((6, 3**13, 1)), opset=17, axis=1)
    for op in ("MaxPool", "AveragePool", "LpPool"):
        for kind in (single, np.float64):
            yield f"{op} {np.dtype(kind)}", *one(op, ones((1, 1, 3000, 3000), kind), kernel_shape=[64, 64], opset=22)
    yield "MaxPool indices", *one("MaxPool", ones((1, 1, 3000, 3000), single), kernel_shape=[64, 64], outputs=2)
    yield "MaxPool of volumes", *one("MaxPool", ones((1, 1, 200, 200, 200), single), kernel_shape=[40, 40, 40])
    yield "MaxPool uint8", *one("MaxPool", ones((1, 1, 3000, 3000), byte), kernel_shape=[64, 64])
    for mode in ("edge", "reflect", "wrap"):
        yield f"Pad {mode}", *one("Pad", ones(3, byte), np.array([250 * MB] * 2), mode=mode)
    yield "ConstantOfShape", *one("ConstantOfShape", np.array([750 * MB]))
    yield "Range", *one("Range", np.int64(0), np.int64(300 * MB), np.int64(1))
    yield "Multinomial", *one("Multinomial", ones((64, MB), single), sample_size=1000, opset=22)
    yield "Dropout", *one("Dropout", ones(64 * MB, single), single(.5), np.True_, outputs=2)
    yield "RegexFullMatch", *one("RegexFullMatch", np.array(["a" * MB], object), pattern="((a{0,50}){0,50})*b")
    yield "StringSplit", *one("StringSplit", np.array([" " * (128 * MB)], object), outputs=2)
    yield "ReduceLogSumExp", *one("ReduceLogSumExp", ones(96 * MB, single))
    yield "ReduceMean float16", *one("ReduceMean", ones(128 * MB, np.float16))
    yield "ReverseSequence", *one("ReverseSequence", ones((4 * MB, 16), single), np.full(16, 4 * MB))
    yield "Einsum", *one("Einsum", *[ones((300, 300), np.int64)] * 3, equation="ij,kl,mn->jkn")
    yield "ArgMax", *one("ArgMax", ones(256 * MB, np.int8))
    yield "StringNormalizer", *one("StringNormalizer", np.full(2 * MB, "Word", object), stopwords=["a"],
                                   case_change_action="UPPER")
    yield "Softmax", *one("Softmax", ones((1, 32 * MB), single))
    yield "Softmax of columns", *one("Softmax", ones((8 * MB, 4), single), axis=0)
    yield "LogSoftmax", *one("LogSoftmax", ones((1, 32 * MB), single))
    yield "Det", *one("Det", np.random.default_rng(3).random((1, 2500, 2500), single))
    for op, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
        yield op, *one(op, ones((64, 16, 512), single), ones((1, 512 * gates, 512), single),
                       ones((1, 512 * gates, 512), single), hidden_size=512)
    for kind in (single, np.float16):
        past = ones((1, 8, 65536, 64), kind)
        yield f"Attention {np.dtype(kind)}", *one("Attention", *[ones((1, 8, 1, 64), kind)] * 3, None, past, past,
                                                  outputs=3, opset=23)


# ---- every operator -----------------------------------------------------------------------------------

def longer(arrays, axis, only_first):
    """The inputs with `axis` repeated, so that the first one has INPUT_BYTES; None: they have no such axis."""
    first = next((a for a in arrays if isinstance(a, np.ndarray) and a.size), None)
    if first is None or first.ndim == 0:
        return None
    size, times = first.shape[axis], max(1, INPUT_BYTES // max(first.nbytes, 1))
    made = []
    for a in arrays:
        fits = isinstance(a, np.ndarray) and a.ndim and a.shape[axis] == size and (not only_first or a is first)
        if fits and a.size * times > 64 * INPUT_BYTES // max(a.itemsize, 1):
            return None
        made.append(np.repeat(a, times, axis) if fits else a)
    return made


def with_long_words(arrays):
    """One word of a MB among the strings."""
    made = [np.array(a, object) if isinstance(a, np.ndarray) and a.dtype == object else a for a in arrays]
    for a in made:
        if isinstance(a, np.ndarray) and a.dtype == object and a.size:
            a.reshape(-1)[0] = "word " * (MB // 5)
    return made


def candidates(case, random):
    arrays = cases.feeds_of(case, case.base_types(), random, {})
    if any(isinstance(a, np.ndarray) and a.dtype == object for a in arrays):
        yield with_long_words(arrays)
    for axis in (0, -1):
        for only_first in (False, True):
            made = longer(arrays, axis, only_first)
            if made is not None:
                yield made


def operators():
    for record in records.load().values():
        name = f"operator {record.label}"
        if not tally.wants(name):
            continue
        for text in record.cases if "--long" in sys.argv else record.cases[:1]:
            case = cases.Case(record, text)
            for arrays in candidates(case, np.random.default_rng(7)):
                model = cases.model(case, arrays, None).SerializeToString()
                if check(f"{name} {text}", model, cases.named(case, arrays)) in LIMITS | {"OK"}:
                    break


for title, data, refuse in long_strings():
    if tally.wants(f"strings {title}"):
        check(f"strings {title}", data, {} if title == "constant" else {"x": LONG}, refuse)
for title, data, given in tiny_tensors():
    if tally.wants(f"tiny {title}"):
        check(f"tiny {title}", data, given)
for title, data, given in long_work():
    if tally.wants(f"long {title}"):
        prompt(f"long {title}", data, given)
operators()
sys.exit(tally.close())
