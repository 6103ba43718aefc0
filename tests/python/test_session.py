# SPDX-License-Identifier: Apache-2.0
"""InferenceSession: arrays in and out, messages, threads, cancelling."""

import gc
import json
import os
import pathlib
import signal
import threading
import time
import warnings
import weakref

import numpy as np
import onnx_bytes as ob
import pytest
import sardonyx

X = np.array([[1, 2, 3]], np.float32)


def test_run(twice):
    session = sardonyx.InferenceSession(twice)
    for names in (None, [], ["y"], ("y",)):
        (y,) = session.run(names, {"x": X})
        assert y.dtype == np.float32 and (y == 2 * X).all()
    assert session.run(output_names=None, input_feed={"x": np.zeros((5, 3), np.float32)})[0].shape == (5, 3)


def test_describes_itself(twice, tmp_path):
    path = tmp_path / "twice.onnx"
    path.write_bytes(twice)
    session = sardonyx.InferenceSession(path, providers=["CPUExecutionProvider"])
    (x,), (y,) = session.get_inputs(), session.get_outputs()
    assert (x.name, x.type, x.shape) == ("x", "tensor(float)", ["batch", 3])
    assert str(y) == "NodeArg(name='y', type='tensor(float)', shape=['batch', 3])"
    meta = session.get_modelmeta()
    assert (meta.producer_name, meta.graph_name, meta.version, meta.custom_metadata_map) == ("tests", "g", 0, {})
    assert session.get_providers() == sardonyx.get_available_providers() == ["CPUExecutionProvider"]
    assert session.get_overridable_initializers() == []
    assert session.describe()["inputs"][0]["name"] == "x"
    assert sardonyx.InferenceSession(str(path)).run(None, {"x": X})[0].tolist() == [[2, 4, 6]]
    assert sardonyx.__version__ == sardonyx.get_version_string()


def test_an_initializer_that_is_an_input_can_be_fed():
    session, w = sardonyx.InferenceSession(ob.scaled(columns="m")), np.array([2, 2, 2], np.float32)
    assert [x.name for x in session.get_inputs()] == ["x"]
    assert str(session.get_overridable_initializers()) == "[NodeArg(name='w', type='tensor(float)', shape=['m'])]"
    for feed, expected in (({}, [[1, 4, 9]]), ({"w": w}, [[2, 4, 6]]), ({"w": w[:1]}, [[2, 4, 6]]), ({}, [[1, 4, 9]])):
        assert session.run(None, {"x": X, **feed})[0].tolist() == expected
    with pytest.raises(ValueError, match=r"Required inputs \(\['x'\]\) are missing"):
        session.run(None, {"w": w})
    with pytest.raises(sardonyx.InvalidArgument, match="Unexpected input data type"):
        session.run(None, {"x": X, "w": w.astype(np.float64)})
    with pytest.raises(sardonyx.InvalidArgument, match="Got: 4 Expected: 3"):
        sardonyx.InferenceSession(ob.scaled()).run(None, {"x": X, "w": np.zeros(4, np.float32)})


def test_before_ir_version_4_initializers_are_fixed():
    session, feed = sardonyx.InferenceSession(ob.scaled(ir=3)), {"x": X, "w": np.array([2, 2, 2], np.float32)}
    assert session.get_overridable_initializers() == []
    with pytest.raises(sardonyx.InvalidArgument, match="Invalid input name: w.*fixed at load.*overridable_initializers"):
        session.run(None, feed)
    options = sardonyx.SessionOptions()
    options.add_session_config_entry("sardonyx.overridable_initializers", "w")
    session = sardonyx.InferenceSession(ob.scaled(ir=3), options)
    assert [x.name for x in session.get_overridable_initializers()] == ["w"]
    assert session.run(None, feed)[0].tolist() == [[2, 4, 6]]


def test_no_copy_out(twice):
    session = sardonyx.InferenceSession(twice)
    (first,) = session.run(None, {"x": X})
    kept = first.copy()
    session.run(None, {"x": X * 10})
    assert (first == kept).all()  # a result that is kept is not written over
    assert first.base is not None and not first.flags.owndata
    del session
    gc.collect()
    assert (first == kept).all()


def test_input_is_released(twice):
    session = sardonyx.InferenceSession(twice)
    x = X.copy()
    gone = weakref.ref(x)
    session.run(None, {"x": x})
    del x
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("change", [
    lambda x: np.asfortranarray(x), lambda x: np.repeat(x, 2, 1)[:, ::2], lambda x: x.astype(">f4"), lambda x: x.tolist(),
    lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape),
])
def test_layouts(twice, change):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert (sardonyx.InferenceSession(twice).run(None, {"x": change(x)})[0] == 2 * x).all()


@pytest.mark.parametrize("dtype, number", [
    (np.float32, 1), (np.uint8, 2), (np.int8, 3), (np.uint16, 4), (np.int16, 5), (np.int32, 6), (np.int64, 7), (np.bool_, 9),
    (np.float16, 10), (np.float64, 11), (np.uint32, 12), (np.uint64, 13), (np.complex64, 14), (np.complex128, 15),
])
def test_types(same, dtype, number):
    x = np.array([[0, 1, 100]]).astype(dtype)
    (y,) = sardonyx.InferenceSession(same(number, ["n", 3])).run(None, {"x": x})
    assert y.dtype == x.dtype and (y == x).all()
    scalar = sardonyx.InferenceSession(same(number, [])).run(None, {"x": x[0, 1]})[0]
    assert scalar.shape == () and scalar == x[0, 1]
    assert sardonyx.InferenceSession(same(number, [0, 2])).run(None, {"x": np.zeros((0, 2), dtype)})[0].shape == (0, 2)


def test_strings(same):
    session = sardonyx.InferenceSession(same(8, ["n"]))
    for x in (np.array(["a", "日本", ""], object), np.array(["a", "日本", ""]), ["a", "日本", ""]):
        (y,) = session.run(None, {"x": x})
        assert y.dtype == object and y.tolist() == ["a", "日本", ""]
    assert session.run(None, {"x": np.array([b"raw"])})[0].tolist() == ["raw"]
    with pytest.raises(TypeError, match="element 1"):
        session.run(None, {"x": np.array(["a", 3], object)})


def test_types_numpy_lacks(same):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    for name, number in (("bfloat16", 16), ("float8_e4m3fn", 17), ("float8_e5m2", 19), ("int4", 22), ("uint4", 21),
                         ("float6_e2m3fn", 27), ("float6_e3m2fn", 28)):
        x = np.array([1, 2, 3, 7, 0]).astype(getattr(ml_dtypes, name))
        (y,) = sardonyx.InferenceSession(same(number, [5])).run(None, {"x": x})
        assert y.dtype == x.dtype and (y == x).all(), name
    bits = np.array([0x3F80, 0x4000], np.uint16)  # raw bits go in too
    assert sardonyx.InferenceSession(same(16, [2])).run(None, {"x": bits})[0].astype(np.float32).tolist() == [1, 2]


def test_messages(twice):
    session = sardonyx.InferenceSession(twice)
    with pytest.raises(ValueError, match=r"Required inputs \(\['x'\]\) are missing from input feed \(\[\]\)\."):
        session.run(None, {})
    with pytest.raises(sardonyx.InvalidArgument, match=r"Unexpected input data type. Actual: \(tensor\(double\)\) , "
                       r"expected: \(tensor\(float\)\)"):
        session.run(None, {"x": X.astype(np.float64)})
    with pytest.raises(sardonyx.InvalidArgument) as caught:
        session.run(None, {"x": np.zeros((1, 4), np.float32)})
    assert str(caught.value).endswith(
        " : INVALID_SHAPE : Got invalid dimensions for input: x for the following indices\n index: 1 Got: 4 Expected: 3\n"
        " Please fix either the inputs/outputs or the model.")
    with pytest.raises(sardonyx.InvalidArgument, match=r"Invalid rank for input: x Got: 1 Expected: 2 Please fix"):
        session.run(None, {"x": X[0]})
    with pytest.raises(sardonyx.InvalidArgument, match="Invalid input name: z"):
        session.run(None, {"x": X, "z": X})
    with pytest.raises(sardonyx.InvalidArgument, match="Invalid output name:z"):
        session.run(["z"], {"x": X})
    with pytest.raises(sardonyx.InvalidArgument, match="Invalid output name:\ud800"):
        session.run(["\ud800"], {"x": X})
    with pytest.raises(ValueError, match=r"Required inputs \(\['x'\]\) are missing from input feed \(\['z'\]\)\."):
        session.run(None, {"z": X})
    with pytest.raises(sardonyx.InvalidArgument, match=r"Actual: \(None\) , expected: \(tensor\(float\)\)"):
        session.run(None, {"x": None})
    with pytest.raises(TypeError, match="an unexpected argument 'options'"):
        session.run(None, {"x": X}, options=None)
    with pytest.raises(TypeError, match="a second argument 'input_feed'"):
        session.run(None, {"x": X}, input_feed={"x": X})
    with pytest.raises(TypeError):
        session.run([1], {"x": X})
    with pytest.raises(TypeError):
        session.run("y", {"x": X})
    with pytest.raises(TypeError):
        session.run(None, {"x": X}, 3)
    assert session.run(None, {"x": X})[0].tolist() == [[2, 4, 6]]  # none of that hurt


def test_wrong_types_name_the_input(twice):
    session = sardonyx.InferenceSession(twice)
    for fed, actual in ((X.astype(np.float64), "tensor\\(double\\)"), (None, "None"), (np.array([["a"]]), "tensor\\(string\\)"),
                        (np.array([[1, None, 3]], object), "element 1 is of type NoneType"),
                        (np.array([[1, 2, "3"]], object), "element 2 is of type str"),
                        (np.array([[1, 2j, 3]], object), "numbers of type complex128")):
        with pytest.raises(sardonyx.InvalidArgument,
                           match=rf"Actual: \(.*{actual}.* , expected: \(tensor\(float\)\), input 'x'"):
            session.run(None, {"x": fed})


def test_numbers_as_objects(twice, same):
    session = sardonyx.InferenceSession(twice)
    for fed in (X.astype(object), np.array([[1, np.float32(2), True + 2.0]], object), np.array([[1, 2, 3]], object)):
        assert (session.run(None, {"x": fed})[0] == 2 * X).all()
    assert session.run(None, {"x": np.zeros((0, 3), object)})[0].shape == (0, 3)
    turned = np.asfortranarray(np.arange(6).reshape(2, 3).astype(object))
    assert session.run(None, {"x": turned})[0].tolist() == [[0, 2, 4], [6, 8, 10]]
    whole = sardonyx.InferenceSession(same(ob.INT64, ["n"]))
    assert whole.run(None, {"x": np.array([1, 2], object)})[0].tolist() == [1, 2]
    with pytest.raises(sardonyx.InvalidArgument, match="numbers of type float64.*input 'x'"):
        whole.run(None, {"x": np.array([1.5, 2], object)})
    texts = sardonyx.InferenceSession(same(ob.STRING, ["n"]))
    with pytest.raises(TypeError, match="element 0 is <class 'int'>, expected str or bytes, input 'x'"):
        texts.run(None, {"x": np.array([1, "a"], object)})


def test_load_failures(tmp_path, twice):
    with pytest.raises(sardonyx.NoSuchFile, match="Load model from .*none.onnx failed"):
        sardonyx.InferenceSession(tmp_path / "none.onnx")
    with pytest.raises(sardonyx.InvalidProtobuf):
        sardonyx.InferenceSession(b"not a model")
    with pytest.raises(TypeError, match="Unable to load from type '<class 'int'>'"):
        sardonyx.InferenceSession(3)
    with pytest.raises((sardonyx.NotImplemented, sardonyx.InvalidGraph), match="NoSuchOperator"):
        sardonyx.InferenceSession(ob.simple([ob.node("NoSuchOperator", ["x"], ["y"])], [("x", 1, [1])], [("y", 1, [1])]))
    with pytest.raises(ValueError):
        sardonyx.InferenceSession(twice, providers="CPUExecutionProvider")
    with pytest.raises(ValueError):
        sardonyx.InferenceSession(twice, providers=["CPUExecutionProvider"], provider_options=[])
    with pytest.warns(UserWarning, match="XExecutionProvider"):
        sardonyx.InferenceSession(twice, providers=["XExecutionProvider", ("CPUExecutionProvider", {})])
    assert any(p["severity"] == "error" for p in sardonyx.check_model(b"not a model"))
    assert sardonyx.check_model(twice) == []


def test_options(twice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = sardonyx.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = sardonyx.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    options.add_free_dimension_override_by_name("batch", 1)
    options.add_session_config_entry("session.anything", "1")
    session = sardonyx.InferenceSession(twice, options)
    assert session.get_inputs()[0].shape == [1, 3]
    session.run(None, {"x": X})
    trace = json.loads(pathlib.Path(session.end_profiling()).read_text())
    assert trace["traceEvents"] and trace["otherData"] == {"events_dropped": 0}
    options.add_session_config_entry("sardonyx.no_such_option", "1")
    with pytest.raises(sardonyx.InvalidArgument, match="no_such_option"):
        sardonyx.InferenceSession(twice, options)


def test_profile(twice):
    options = sardonyx.SessionOptions()
    assert sardonyx.InferenceSession(twice, options).profile()["traceEvents"] == []
    options.enable_profiling = True
    session = sardonyx.InferenceSession(twice, options)
    session.run(None, {"x": X})
    assert [e["name"] for e in session.profile()["traceEvents"]] == ["Add"]


def test_warnings_may_go_elsewhere():
    class Own(sardonyx.InferenceSession):
        told = []

        def on_warning(self, text, stacklevel=2):
            self.told.append(text)

    model = ob.simple([ob.node("Concat", ["a", "b"], ["y"], ob.attr_int("axis", 0))],
                      [("a", ob.FLOAT, ["n"]), ("b", ob.FLOAT, ["n"])], [("y", ob.FLOAT, ["m"])])
    for kind in (Own, sardonyx.InferenceSession):
        session = kind(model)
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            session.run(None, {"a": [1], "b": [2, 3]})
        assert len(given) == (kind is sardonyx.InferenceSession)
        assert not given or given[0].filename == __file__
    assert len(Own.told) == 1 and "'n'" in Own.told[0]


def test_element_types(same):
    assert sardonyx.ELEMENT_TYPES["float"] == (1, np.dtype(np.float32))
    assert sardonyx.ELEMENT_TYPES["string"] == (8, np.dtype(object))
    for name, (number, dtype) in sardonyx.ELEMENT_TYPES.items():
        session = sardonyx.InferenceSession(same(number, [1]))
        assert session.get_inputs()[0].type == f"tensor({name})"
        x = np.array(["a"], object) if name == "string" else np.ones(1).astype(dtype)
        assert session.run(None, {"x": x})[0].dtype == dtype


def test_misspelt_options(twice):
    for options in (sardonyx.SessionOptions(), sardonyx.RunOptions()):
        with pytest.raises(AttributeError):
            options.intra_op_num_thread = 1
    options = sardonyx.SessionOptions()
    options.optimized_model_filepath = "there.onnx"
    with pytest.warns(UserWarning, match="optimized_model_filepath is ignored"):
        sardonyx.InferenceSession(twice, options)


def fields_of(call, kind=sardonyx.InvalidArgument):
    with pytest.raises(kind) as caught:
        call()
    return caught.value.fields


def test_fields(twice, tmp_path):
    session = sardonyx.InferenceSession(twice)
    feed = fields_of(lambda: session.run(None, {"x": np.zeros((1, 4), np.float32)}))
    assert (feed["code"], feed["input"], feed["index"], feed["found"], feed["expected"], feed["message"]) == (
        "input-shape", "x", 0, "shape [1,4]", "[?,3]", "input 'x' has shape [1,4], expected [?,3]")
    for array, found in ((X.astype(np.float64), "tensor(double)"), (X.astype("datetime64[s]"), "datetime64[s]")):
        feed = fields_of(lambda array=array: session.run(None, {"x": array}))
        assert (feed["code"], feed["input"], feed["found"], feed["expected"]) == ("input-type", "x", found, "tensor(float)")
    assert fields_of(lambda: session.run(None, {"z": X, "x": X}))["input"] == "z"
    assert fields_of(lambda: session.run(["z"], {"x": X}))["output"] == "z"
    assert fields_of(lambda: session.run(None, {}), ValueError)["missing"] == ["x"]
    bad = ob.simple([ob.node("Reluu", ["x"], ["y"], name="n")], [("x", ob.FLOAT, [1])], [("y", ob.FLOAT, [1])])
    load = fields_of(lambda: sardonyx.InferenceSession(bad), sardonyx.NotImplemented)
    assert (load["code"], load["node"], load["operator"]) == ("unknown-operator", "n", "Reluu")
    assert load["hint"] == "did you mean 'Relu'?"
    load = fields_of(lambda: sardonyx.InferenceSession(tmp_path / "gone.onnx"), sardonyx.NoSuchFile)
    assert load["file"].endswith("gone.onnx")
    gather = ob.simple([ob.node("Gather", ["x", "i"], ["y"], name="g")], [("x", ob.FLOAT, [3]), ("i", ob.INT64, [1])],
                       [("y", ob.FLOAT, [1])])
    run = fields_of(lambda: sardonyx.InferenceSession(gather).run(None, {"x": [1, 2, 3], "i": [7]}))
    assert (run["node"], run["operator"], run["input"], run["index"], run["found"]) == ("g", "Gather", "indices", 1, "7 at 0")
    assert [p["operator"] for p in sardonyx.check_model(bad)] == ["Reluu"]
    assert sardonyx.InvalidArgument("own").fields is None


def test_missing_inputs():
    names = ("a", "b", "c")
    session = sardonyx.InferenceSession(ob.simple([ob.node("Sum", names, ["y"])], [(n, ob.FLOAT, [1]) for n in names],
                                                  [("y", ob.FLOAT, [1])]))
    with pytest.raises(ValueError, match=r"Required inputs \(\['a', 'c'\]\) are missing from input feed \(\['b'\]\)\."):
        session.run(None, {"b": [1]})


def test_optional_input_may_be_left_out():
    kind = ob.block(9, ob.block(1, ob.block(1, ob.number(1, ob.FLOAT) + ob.block(2, b""))))  # optional(tensor(float))
    graph = (ob.block(1, ob.node("OptionalHasElement", ["x"], ["y"])) + ob.block(2, "g") +
             ob.block(11, ob.block(1, "x") + ob.block(2, kind)) + ob.block(12, ob.value("y", ob.BOOL, [])))
    session = sardonyx.InferenceSession(ob.model(graph, 18))
    assert session.get_inputs()[0].type == "optional(tensor(float))"
    assert session.run(None, {"x": np.float32(1)})[0]
    assert not session.run(None, {"x": None})[0]
    assert not session.run(None, {})[0]


def test_threads(twice):
    session, wrong = sardonyx.InferenceSession(twice), []

    def work(seed):
        for n in range(200):
            x = np.full((1 + (seed + n) % 4, 3), seed, np.float32)
            if not (session.run(None, {"x": x})[0] == 2 * seed).all():
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong


def test_terminate(slow):
    session, options = sardonyx.InferenceSession(slow), sardonyx.RunOptions()
    x = np.zeros((1500, 1500), np.float32)
    threading.Timer(0.05, lambda: setattr(options, "terminate", True)).start()
    start = time.monotonic()
    with pytest.raises(sardonyx.Fail, match="terminate flag"):
        while time.monotonic() - start < 20:
            session.run(None, {"x": x}, options)
    with pytest.raises(sardonyx.Fail):
        session.run(None, {"x": np.zeros((1, 1), np.float32)}, options)
    options.terminate = False
    session.run(None, {"x": np.zeros((1, 1), np.float32)}, options)


def test_terminate_reaches_every_run(slow):
    session, options = sardonyx.InferenceSession(slow), sardonyx.RunOptions()
    x, ended = np.zeros((700, 700), np.float32), []

    def work():
        try:
            while True:
                session.run(None, {"x": x}, options)
        except sardonyx.Fail:
            ended.append(1)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(80)]
    for t in threads:
        t.start()
    time.sleep(0.3)
    start = time.monotonic()
    options.terminate = True
    for t in threads:
        t.join(20)
    assert len(ended) == 80 and time.monotonic() - start < 20


def test_interrupt(slow):
    session, x = sardonyx.InferenceSession(slow), np.zeros((3000, 3000), np.float32)
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        for _ in range(100):
            session.run(None, {"x": x})
    assert time.monotonic() - start < 10
    session.run(None, {"x": np.zeros((2, 2), np.float32)})


def test_gil_is_released(slow):
    session, ticks, x = sardonyx.InferenceSession(slow), [0], np.zeros((700, 700), np.float32)
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    session.run(None, {"x": x})
    done.set()
    thread.join()
    assert ticks[0] > 3


def test_async(twice):
    session, got, done = sardonyx.InferenceSession(twice), [], threading.Event()

    def callback(results, user_data, err):
        got.append((results, user_data, err))
        done.set()

    session.run_async(None, {"x": X}, callback, "mine")
    assert done.wait(10)
    ((results, user_data, err),) = got
    assert results[0].tolist() == [[2, 4, 6]] and user_data == "mine" and err == ""


def test_memory_returns(twice):
    def resident():
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def cycle():
        sardonyx.InferenceSession(twice).run(None, {"x": np.zeros((1000, 3), np.float32)})

    for _ in range(50):
        cycle()
    before = resident()
    for _ in range(500):
        cycle()
    assert resident() < before * 1.05 + (1 << 20)


def test_maps_and_sequences():
    model = pathlib.Path(__file__).resolve().parents[3] / "shared/models/tabular/sklearn/sklearn_randomforest.onnx"
    if not model.exists():
        pytest.skip("no shared models here")
    try:
        session = sardonyx.InferenceSession(model)
    except sardonyx.NotImplemented as reason:
        pytest.skip(str(reason))
    label, probability = session.run(None, {"X": np.array([[5.1, 3.5, 1.4, 0.2]] * 2, np.float32)})
    assert label.dtype == np.int64 and isinstance(probability, list) and len(probability) == 2
    assert abs(sum(probability[0].values()) - 1) < 1e-5 and all(isinstance(k, int) for k in probability[0])
