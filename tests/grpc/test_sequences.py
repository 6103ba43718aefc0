# SPDX-License-Identifier: Apache-2.0
"""Models that keep a state from one request of a sequence to the next, asked by tritonclient over REST, gRPC and streams."""
import pathlib, queue, sys, tempfile, threading, unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv

venv.enter("grpc")
import numpy
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "server"))
from serving import WORK, Server, main, model, onnx, wait_for

# sum[1,2] = x + state, kept in the next state
SUM = model([onnx.node("Add", ["x", "state"], ["sum"]), onnx.node("Identity", ["sum"], ["state_out"])],
            [("x", onnx.FLOAT, ["n", 2]), ("state", onnx.FLOAT, ["n", 2])],
            [("sum", onnx.FLOAT, ["n", 2]), ("state_out", onnx.FLOAT, ["n", 2])])
# What Triton's models do on their own: START blanks the state; y tells the controls.
CONTROLLED = model([onnx.node("Sub", ["one", "START"], ["go_on"]), onnx.node("Mul", ["state", "go_on"], ["was"]),
                    onnx.node("Add", ["x", "was"], ["state_out"]), onnx.node("Cast", ["CORRID"], ["id"], onnx.attr_int("to", 1)),
                    onnx.node("Add", ["state_out", "id"], ["a"]), onnx.node("Add", ["a", "END"], ["y"])],
                   [(n, onnx.INT64 if n == "CORRID" else onnx.FLOAT, [1, 1]) for n in ("x", "state", "START", "END", "CORRID")],
                   [("y", onnx.FLOAT, [1, 1]), ("state_out", onnx.FLOAT, [1, 1])], [onnx.floats([1], "one")])
CONFIG = """
sequence_batching {
  max_sequence_idle_microseconds: 5000000
  control_input [ { name: "START" control [ { kind: CONTROL_SEQUENCE_START fp32_false_true: [ 0, 1 ] } ] },
                  { name: "END" control [ { kind: CONTROL_SEQUENCE_END fp32_false_true: [ 0, 1000 ] } ] },
                  { name: "CORRID" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_INT64 } ] } ]
  state [ { input_name: "state" output_name: "state_out" data_type: TYPE_FP32 dims: [ 1, 1 ] } ]
}
"""
(WORK / "sum.onnx").write_bytes(SUM)


class Sequences(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(dir=WORK))
        (folder / "told/1").mkdir(parents=True)
        (folder / "told/1/model.onnx").write_bytes(CONTROLLED)
        (folder / "told/config.pbtxt").write_text(CONFIG)
        cls.server = Server([str(WORK / "sum.onnx")], "--state", "state=state_out", "--repository", str(folder),
                            "--max-sequences", "100", "--sequence-idle-ms", "1500")
        address = f"127.0.0.1:{cls.server.port}"
        cls.kinds = [(tritonclient.http, tritonclient.http.InferenceServerClient(address)),
                     (tritonclient.grpc, tritonclient.grpc.InferenceServerClient(address))]

    @classmethod
    def tearDownClass(cls):
        for _, client in cls.kinds:
            client.close()
        assert cls.server.stop() == 0

    def ask(self, kind, value, name="sum", dims=(1, 2), output="sum", **more):
        module, client = kind
        x = module.InferInput("x", list(dims), "FP32")
        x.set_data_from_numpy(numpy.full(dims, value, numpy.float32))
        return client.infer(name, [x], **more).as_numpy(output).ravel().tolist()

    def test_states_are_kept_apart(self):
        for kind in self.kinds:
            for ids in ([1, 2], ["one", "two"]):
                for step in range(1, 6):
                    for factor, which in enumerate(ids, 1):
                        got = self.ask(kind, factor, sequence_id=which, sequence_start=step == 1, sequence_end=step == 5)
                        self.assertEqual(got, [factor * step] * 2)
                for which in ids:
                    with self.assertRaisesRegex(InferenceServerException, "there is no sequence"):
                        self.ask(kind, 1, sequence_id=which)

    def test_start_begins_anew(self):
        for kind in self.kinds:
            for _ in range(3):
                self.assertEqual(self.ask(kind, 2, sequence_id=7, sequence_start=True), [2, 2])
                self.assertEqual(self.ask(kind, 3, sequence_id=7), [5, 5])

    def test_the_state_is_not_told(self):
        module, client = self.kinds[0]
        x = module.InferInput("x", [1, 2], "FP32")
        x.set_data_from_numpy(numpy.ones((1, 2), numpy.float32))
        answer = client.infer("sum", [x], sequence_id=9, sequence_start=True, sequence_end=True)
        self.assertEqual([o["name"] for o in answer.get_response()["outputs"]], ["sum"])
        state = module.InferInput("state", [1, 2], "FP32")
        state.set_data_from_numpy(numpy.ones((1, 2), numpy.float32))
        with self.assertRaisesRegex(InferenceServerException, "'state' is the state of the sequence"):
            client.infer("sum", [x, state], sequence_id=9, sequence_start=True)
        with self.assertRaisesRegex(InferenceServerException, "expected the parameters sequence_id"):
            client.infer("sum", [x])

    def test_controls_of_the_config(self):
        for kind in self.kinds:
            for i, (start, end, expected) in enumerate([(True, False, 5 + 10), (False, False, 5 + 20), (False, True, 5 + 30 + 1000)]):
                got = self.ask(kind, 10, "told", (1, 1), "y", sequence_id=5, sequence_start=start, sequence_end=end)
                self.assertEqual(got, [expected])

    def test_a_request_that_fails_changes_nothing(self):
        kind = self.kinds[0]
        self.ask(kind, 1, sequence_id=11, sequence_start=True)
        with self.assertRaises(InferenceServerException):
            self.ask(kind, 1, dims=(2, 2, 2), sequence_id=11)
        self.assertEqual(self.ask(kind, 1, sequence_id=11, sequence_end=True), [2, 2])

    def test_limits(self):
        kind = self.kinds[1]
        made = 0
        with self.assertRaisesRegex(InferenceServerException, "too many sequences"):
            for i in range(101):
                self.ask(kind, 1, sequence_id=1000 + i, sequence_start=True)
                made += 1
        self.assertGreater(made, 50)
        # They are forgotten when nobody asks for a while, and there is room again.
        def room():
            try:
                return self.ask(kind, 1, sequence_id=5000, sequence_start=True, sequence_end=True) == [1, 1]
            except InferenceServerException:
                return False
        self.assertTrue(wait_for(room))
        with self.assertRaisesRegex(InferenceServerException, "no sequence '1000'"):
            self.ask(kind, 1, sequence_id=1000)

    def test_a_stream(self):
        module, client = self.kinds[1]
        got = queue.Queue()
        client.start_stream(lambda result, error: got.put(error or result))
        x = module.InferInput("x", [1, 2], "FP32")
        x.set_data_from_numpy(numpy.ones((1, 2), numpy.float32))
        for step in range(20):
            client.async_stream_infer("sum", [x], sequence_id=77, sequence_start=step == 0, sequence_end=step == 19)
        self.assertEqual([got.get(timeout=10).as_numpy("sum")[0, 0] for _ in range(20)], list(range(1, 21)))
        client.stop_stream()

    def test_many_clients(self):
        wrong = []

        def follow(which):
            client = tritonclient.http.InferenceServerClient(f"127.0.0.1:{self.server.port}")
            for step in range(1, 40):
                got = self.ask((tritonclient.http, client), which, sequence_id=200 + which, sequence_start=step == 1)
                if got != [which * step] * 2:
                    wrong.append((which, step, got))
            client.close()
        threads = [threading.Thread(target=follow, args=(i,)) for i in range(1, 9)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    raise SystemExit(main())
