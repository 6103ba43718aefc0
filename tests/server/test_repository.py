# SPDX-License-Identifier: Apache-2.0
"""Folders of models in Triton's layout: config.pbtxt, versions that are served, warm-up, and changes while requests run."""
import json, pathlib, shutil, struct, subprocess, tempfile, threading, time, unittest

from serving import PROGRAM, WORK, Server, main, model, onnx, wait_for


def times(factor, dims=("n", 2)):
    nodes = [onnx.node("Mul", ["x", "factor"], ["y"])]
    io = ("x", onnx.FLOAT, list(dims)), ("y", onnx.FLOAT, list(dims))
    return model(nodes, [io[0]], [io[1]], [onnx.floats([factor], "factor")])


CONFIG = """# as tritonserver takes it
name: "m"
platform: "onnxruntime_onnx"
max_batch_size: 8
input [ { name: "x" data_type: TYPE_FP32 dims: [ 2 ] } ]
output [ { name: "y", data_type: TYPE_FP32, dims: [ 2 ] } ]
instance_group [ { count: 2, kind: KIND_CPU } ]
optimization { graph { level: 1 } }
parameters { key: "intra_op_thread_count" value: { string_value: "1" } }
"""


class Repository(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="repository-", dir=WORK))

    def put(self, name, version, data, file="model.onnx"):
        """Copied slowly, as a person would: a folder, then a file that grows."""
        folder = self.folder / name / str(version)
        folder.mkdir(parents=True, exist_ok=True)
        with open(folder / file, "wb") as out:
            out.write(data[:20])
            out.flush()
            out.write(data[20:])

    def config(self, name, text):
        (self.folder / name).mkdir(exist_ok=True)
        (self.folder / name / "config.pbtxt").write_text(text)

    def start(self, *options):
        return Server([], "--repository", str(self.folder), *options)

    def infer(self, server, name="m", version="", rows=1):
        path = name + (f"/versions/{version}" if version else "")
        x = {"name": "x", "datatype": "FP32", "shape": [rows, 2], "data": [1] * 2 * rows}
        status, answer = server.infer(path, {"inputs": [x]})
        return (answer["model_version"], answer["outputs"][0]["data"][0]) if status == 200 else (status, answer["error"])

    def index(self, server):
        return {(e["name"], e["version"]): e["state"] for e in server.post("/v2/repository/index", "")[1]}

    def test_the_newest_version_and_others_by_policy(self):
        for version in (1, 2, 10):
            self.put("m", version, times(version))
            self.put("every", version, times(version))
            self.put("listed", version, times(version))
            self.put("two", version, times(version))
        (self.folder / "m" / "notes").mkdir()
        (self.folder / "README.txt").write_text("no model")
        self.config("every", "version_policy: { all: {} }")
        self.config("listed", "version_policy { specific { versions: [1, 2] } }")
        self.config("two", "version_policy { latest { num_versions: 2 } }")
        with self.start() as server:
            self.assertEqual(self.infer(server), ("10", 10))
            self.assertEqual({k for k in self.index(server)},
                             {("m", "10"), ("every", "1"), ("every", "2"), ("every", "10"), ("listed", "1"),
                              ("listed", "2"), ("two", "2"), ("two", "10")})
            self.assertEqual(self.infer(server, "listed"), ("2", 2))
            self.assertEqual(self.infer(server, "m", "1")[0], 404)

    def test_config(self):
        self.put("m", 1, times(3))
        self.config("m", CONFIG)
        self.put("named", 1, times(4), "net.onnx")
        self.config("named", 'default_model_filename: "net.onnx"')
        with self.start() as server:
            self.assertEqual(self.infer(server), ("1", 3))
            self.assertEqual(self.infer(server, "named"), ("1", 4))
            self.assertEqual(self.infer(server, rows=8)[0], "1")
            status, why = self.infer(server, rows=9)
            self.assertEqual((status, "max_batch_size" in why), (400, True), why)
            config = json.loads(server.ask("GET", "/v2/models/m/config")[2])
            self.assertEqual((config["max_batch_size"], config["input"][0]["dims"]), (8, [2]))
            self.assertIn("without effect in config.pbtxt: instance_group, optimization, parameters", server.text())

    def test_config_that_does_not_fit(self):
        """Each is said with its reason, and the others are served."""
        cases = {"noname": ('input [ { name: "z" data_type: TYPE_FP32 dims: [ 2 ] } ]', "input 'z', which the model has not"),
                 "type": ('input [ { name: "x" data_type: TYPE_INT64 dims: [ -1, 2 ] } ]', "'x' is TYPE_INT64 in config.pbtxt"),
                 "dims": ('max_batch_size: 4 input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]', "'x': its dims"),
                 "rank": ('output [ { name: "y" data_type: TYPE_FP32 dims: [ 2 ] } ]', "'y': its dims"),
                 "backend": ('backend: "tensorrt"', "'tensorrt' is not there"),
                 "syntax": ("max_batch_size: x", "line 1: no number or word of this field: 'x'"),
                 "open": ("\n\ninput [ { name: ", "line 3"),
                 "path": ('default_model_filename: "../../etc/passwd"', "the name of a file"),
                 "warm": ('model_warmup { name: "w" batch_size: 2 inputs { key: "x" value { dims: [ 3 ] zero_data: true } } }',
                          "model_warmup: "),
                 "file": ('model_warmup { inputs { key: "x" value { dims: [ 1, 2 ] input_data_file: "no" } } }', "warmup/no")}
        for name, (text, _) in cases.items():
            self.put(name, 1, times(2))
            self.config(name, text)
        self.put("m", 1, times(3))
        with self.start() as server:
            self.assertEqual(self.infer(server), ("1", 3))
            for name, (_, expected) in cases.items():
                self.assertNotEqual(self.infer(server, name)[1], 2, name)
                self.assertTrue([l for l in server.text().splitlines() if f"/{name}/" in l and expected in l],
                                f"{name}: {expected}\n{server.text()}")

    def test_warm_before_traffic(self):
        self.put("m", 1, times(3))
        (self.folder / "m/warmup").mkdir()
        (self.folder / "m/warmup/sample").write_bytes(struct.pack("<4f", 1, 2, 3, 4))
        self.config("m", CONFIG + """
model_warmup [ { name: "zeros" batch_size: 4 count: 3 inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 2 ] zero_data: true } } },
               { name: "file" batch_size: 2 inputs { key: "x" value { data_type: TYPE_FP32 dims: [ 2 ] input_data_file: "sample" } } } ]""")
        with self.start() as server:
            self.assertEqual(self.infer(server), ("1", 3))
            # The first request finds a model whose cost is known: it is computed where it was read.
            self.assertEqual(server.metric("sardonyx_inline_runs_total"), 1)

    def test_batches_by_config(self):
        self.put("m", 1, times(3))
        self.config("m", CONFIG + "dynamic_batching { max_queue_delay_microseconds: 100 preferred_batch_size: [ 4, 8 ] }")
        with self.start() as server:
            self.assertRegex(server.text(), "model 'm' is computed (up to|request by request)")

    def test_changes_without_a_lost_request(self):
        """Versions come, change and go under load: no request fails, and the newest version answers in the end."""
        self.put("m", 1, times(1))
        with self.start() as server:
            answers, stop = [], threading.Event()

            def ask():
                while not stop.is_set():
                    answers.append(self.infer(server))
            clients = [threading.Thread(target=ask) for _ in range(3)]
            for c in clients:
                c.start()
            try:
                for version in range(2, 8):
                    self.put("m", version, times(version))
                    self.assertTrue(wait_for(lambda: self.infer(server) == (str(version), version), 10), server.text())
                self.assertTrue(wait_for(lambda: set(self.index(server)) == {("m", "7")}))
                self.put("m", 7, times(70))  # written over
                self.assertTrue(wait_for(lambda: self.infer(server) == ("7", 70), 10), server.text())
                self.put("m", 8, b"no model")  # the one before stays
                self.assertTrue(wait_for(lambda: "/m/8/" in server.text()))
                time.sleep(0.3)
                self.assertEqual(self.infer(server), ("7", 70))
            finally:
                stop.set()
                for c in clients:
                    c.join()
            odd = [a for a in answers if not isinstance(a[0], str)]
            self.assertEqual(odd, [])
            self.assertGreater(len(answers), 100)

    def test_models_come_and_go(self):
        with self.start() as server:
            self.assertEqual(self.infer(server)[0], 404)
            self.put("m", 1, times(5))
            self.assertTrue(wait_for(lambda: self.infer(server) == ("1", 5), 10), server.text())
            self.config("m", "max_batch_size: 1")
            self.assertTrue(wait_for(lambda: self.infer(server, rows=2)[0] == 400, 10), server.text())
            self.config("m", "max_batch_size: oops")  # said, and what is there goes on
            self.assertTrue(wait_for(lambda: "oops" in server.text(), 10))
            self.assertEqual(self.infer(server), ("1", 5))
            shutil.rmtree(self.folder / "m")
            self.assertTrue(wait_for(lambda: self.infer(server)[0] == 404, 10))
            self.assertEqual(self.index(server), {})
            self.put("m", 1, times(6))
            self.assertTrue(wait_for(lambda: self.infer(server) == ("1", 6), 10), server.text())
            self.assertEqual(server.post("/v2/repository/models/m/unload", "")[0], 200)
            self.put("m", 1, times(7))
            time.sleep(0.5)
            self.assertEqual(self.infer(server)[0], 503)  # its operator wants it so
            self.assertEqual(server.post("/v2/repository/models/m/load", "")[0], 200)
            self.assertEqual(self.infer(server), ("1", 7))

    def test_in_little_memory(self):
        for i in range(20):
            self.put(f"m{i}", 1, times(i))
        with self.start("--memory-limit-bytes", "200000", "--pin", "m0") as server:
            self.assertEqual(server.metric("sardonyx_models_loaded"), 1)
            for i in range(1, 20):
                self.assertEqual(self.infer(server, f"m{i}"), ("1", i))

    def test_a_folder_that_is_not_there(self):
        done = subprocess.run([PROGRAM, "serve", "--repository", str(self.folder / "no"), "--port", "0"],
                              capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file", done.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
