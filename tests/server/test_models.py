# SPDX-License-Identifier: Apache-2.0
"""Several versions of a name; loading again and unloading while calls run: none is lost, none has a wrong answer."""
import json, os, subprocess, sys, threading, time, unittest, urllib.parse

from serving import JSON, PROGRAM, WORK, Server, main, model, onnx, request, status_of


def times(factor):
    """x[n] -> x * factor"""
    nodes = [onnx.node("Mul", ["x", "factor"], ["y"])]
    return model(nodes, [("x", onnx.FLOAT, ["n"])], [("y", onnx.FLOAT, ["n"])], [onnx.floats([factor], "factor")])


def place(name, data):
    """Put in place as tools do: written beside and renamed."""
    (WORK / f"{name}.new").write_bytes(data)
    os.replace(WORK / f"{name}.new", WORK / f"{name}.onnx")
    return str(WORK / f"{name}.onnx")


class Versions(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        one, two, ten = (place(f"times{i}", times(i)) for i in (1, 2, 10))
        cls.server = Server([f"m={one}", f"m:2={two}", f"m:10={ten}", f"other={two}"])

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0

    def infer(self, path):
        x = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}
        status, answer = self.server.post(f"/v2/models/{path}/infer", {"inputs": [x]})
        return (answer["model_version"], answer["outputs"][0]["data"][0]) if status == 200 else status

    def manage(self, verb, name, body=""):
        return self.server.post(f"/v2/repository/models/{name}/{verb}", body)

    def test_each_and_the_newest(self):
        self.assertEqual(self.infer("m"), ("10", 10))
        for version in ("1", "2", "10"):
            self.assertEqual(self.infer(f"m/versions/{version}"), (version, int(version)))
        for version in ("3", "0", "01", "x", "99999999999999999999", "-1"):
            self.assertEqual(self.infer(f"m/versions/{version}"), 404)
        self.assertEqual(json.loads(self.server.ask("GET", "/v2/models/m")[2])["versions"], ["1", "2", "10"])
        self.assertEqual(self.server.score({"data": [3]}), (200, {"result": [30]}))
        page = self.server.ask("GET", "/metrics")[2].decode()
        self.assertIn('sardonyx_requests_total{model="m",code="200",version="10"}', page)

    def test_unloaded_and_loaded(self):
        self.assertEqual(self.manage("unload", "other")[0], 200)
        self.assertEqual(self.infer("other"), 503)
        self.assertEqual(self.server.ask("GET", "/v2/models/other/ready")[0], 503)
        index = {e["name"]: e["state"] for e in self.server.post("/v2/repository/index", "")[1]}
        self.assertEqual(index, {"m": "READY", "other": "UNAVAILABLE"})
        self.assertEqual(self.manage("load", "other")[0], 200)
        self.assertEqual(self.infer("other"), ("1", 2))
        self.assertEqual(self.manage("load", "nobody")[0], 404)
        self.assertEqual(self.manage("load", "other", {"parameters": {"config": "{}"}})[0], 400)

    def test_a_bad_file_changes_nothing(self):
        place("times2", b"no model at all")
        status, answer = self.manage("load", "other")
        self.assertEqual(status, 500, answer)
        self.assertNotIn(str(WORK), answer["error"])
        self.assertEqual(self.infer("other"), ("1", 2))
        place("times2", times(2))

    def test_command_line(self):
        path = place("times2", times(2))
        for words in ([f"m:0={path}"], [f"m:x={path}"], [f"m={path}", f"m:1={path}"]):
            with self.assertRaises(AssertionError):
                Server(words)


class Reload(unittest.TestCase):
    def test_while_serving(self):
        """A file changes and is loaded again; each call gets the answer of one file, whole."""
        path = place("changing", times(1))
        with Server([f"m={path}", f"m:2={path}", f"fleeting={path}"], "--inline-us", "0") as server:
            lasting, fleeting, stop = [], [], threading.Event()

            def client(path, answers):
                with server.connect() as s:
                    while not stop.is_set():
                        s.sendall(request(path, b'{"data":[1,1]}', JSON))
                        answers.append(s.recv(4096))

            clients = [threading.Thread(target=client, args=("/score", lasting)) for _ in range(6)]
            clients.append(threading.Thread(target=client, args=("/api/v1/service/fleeting/score", fleeting)))
            for c in clients:
                c.start()
            for i in range(2, 40):
                place("changing", times(i))
                for change in ("m/load", "fleeting/unload", "fleeting/load"):
                    self.assertEqual(server.post(f"/v2/repository/models/{change}", "")[0], 200)
            stop.set()
            for c in clients:
                c.join(20)
            self.assertEqual({status_of(answer) for answer in lasting}, {200})
            self.assertLessEqual({status_of(answer) for answer in fleeting}, {200, 503})
            bodies = {answer.split(b"\r\n\r\n", 1)[1] for answer in lasting}
            self.assertLessEqual(bodies, {b'{"result":[%d,%d]}' % (i, i) for i in range(1, 40)})
            self.assertGreater(len(bodies), 5)

    def test_while_running(self):
        """A call that runs keeps its model, one that waits too."""
        with Server(["quick"], "--workers", "1", "--max-queue-wait-ms", "60000") as server:
            jobs = server.background(6)
            time.sleep(0.1)
            self.assertEqual(server.post("/v2/repository/models/quick/unload", "")[0], 200)
            self.assertEqual({job.result()[0] for job in jobs}, {200})
            self.assertEqual(server.score({"data": [0]})[0], 503)

    @unittest.skipIf("ASAN_OPTIONS" in os.environ, "freed memory is kept by the sanitizer")
    def test_memory_is_flat(self):
        with Server(["quick"]) as server:
            def turn(count):
                for _ in range(count):
                    for verb in ("unload", "load"):
                        self.assertEqual(server.post(f"/v2/repository/models/quick/{verb}", "")[0], 200)
                return server.metric("process_resident_memory_bytes")

            before = turn(50)
            self.assertLess(turn(200) - before, 1 << 20)


class Names(unittest.TestCase):
    """Files of any script serve under a name that can be read."""

    def names(self, *files):
        models = []
        for i, file in enumerate(files):
            path = os.fsencode(WORK) + b"/" + (file if isinstance(file, bytes) else file.encode())
            with open(path, "wb") as f:
                f.write(times(i + 1))
            models.append(os.fsdecode(path))
        return models

    def test_any_script(self):
        files = {"\u6a21\u578b.onnx": "\u6a21\u578b", "\u043c\u043e\u0434\u0435\u043b\u044c 2.onnx": "\u043c\u043e\u0434\u0435\u043b\u044c_2",
                 "\u0646\u0645\u0648\u0630\u062c.onnx": "\u0646\u0645\u0648\u0630\u062c", "cafe\u0301.onnx": "caf\u00e9", "\u0939\u093f\u0928\u094d\u0926\u0940.onnx":
                 "\u0939\u093f\u0928\u094d\u0926\u0940", b"b\xff\xe9d.onnx": "b__d", ".hidden(1).onnx": "_hidden_1_", "\u6a21" * 60 + ".onnx": "\u6a21" * 42}
        with Server([f"\u540d={os.path.join(WORK, 'plain.onnx')}", *self.names(*files, "plain.onnx")[:-1]]) as server:
            listed = {e["name"] for e in server.post("/v2/repository/index", "")[1]}
            self.assertEqual(listed, {*files.values(), "\u540d"})
            for i, name in enumerate(files.values()):
                x = {"name": "x", "datatype": "FP32", "shape": [1], "data": [2]}
                status, answer = server.post(f"/v2/models/{urllib.parse.quote(name)}/infer", {"inputs": [x]})
                self.assertEqual((status, answer["model_name"], answer["outputs"][0]["data"]), (200, name, [2 * (i + 1)]))
            for other in ("cafe\u0301", "caf\u00e9"):  # as file systems write it and as keyboards do
                self.assertEqual(server.ask("GET", f"/v2/models/{urllib.parse.quote(other)}/ready")[0], 200)
            self.assertEqual(server.ask("GET", "/v2/models/%FF/ready")[0], 400)
            self.assertEqual(server.ask("GET", f"/v2/models/%E5%9E%8B/ready")[0], 404)
            json.loads(server.ask("GET", "/openapi.json")[2])
            self.assertIn("\u6a21\u578b", server.ask("GET", "/metrics")[2].decode())

    def test_two_files_of_one_name(self):
        done = subprocess.run([PROGRAM, "serve", *self.names("a b.onnx", "a_b.onnx"), "--port", "0"], capture_output=True, text=True,
                              check=False, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"a b\.onnx and \S+a_b\.onnx are both named 'a_b' version 1")


if __name__ == "__main__":
    sys.exit(main())
