# SPDX-License-Identifier: Apache-2.0
"""What the tests of the server share: models written by tests/onnx_bytes.py, a server on a free port, raw requests."""
import concurrent.futures, http.client, json, os, pathlib, re, shutil, signal, socket, subprocess, sys
import tempfile, time, unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import onnx_bytes as onnx
import suite

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SHARED_MODELS = ROOT.parent / "shared/models"
PROGRAM = os.environ.get("SARDONYX", str(ROOT / "build/sardonyx"))
LONG = "--long" in sys.argv
WORK = pathlib.Path(tempfile.mkdtemp(prefix="sardonyx-server-"))


def model(nodes, inputs, outputs, initializers=()):
    return onnx.model(
        onnx.graph(nodes, [onnx.value(*i) for i in inputs], [onnx.value(*o) for o in outputs], initializers)
    )


def unary(op, dtype, shape):
    return model([onnx.node(op, ["x"], ["y"])], [("x", dtype, shape)], [("y", dtype, shape)])


def two_in_two_out(dtype, shape):
    nodes = [onnx.node("Add", ["a", "b"], ["sum"]), onnx.node("Mul", ["a", "b"], ["product"])]
    return model(nodes, [("a", dtype, shape), ("b", dtype, shape)], [("sum", dtype, shape), ("product", dtype, shape)])


def zipmap():
    """x[n,2] -> [{"a": first, "b": second}, ...]"""
    labels = onnx.attribute("classlabels_strings", 8, b"".join(onnx.block(9, label) for label in "ab"))
    node = onnx.node("ZipMap", ["x"], ["y"], labels, domain="ai.onnx.ml")
    of_map = onnx.block(5, onnx.number(1, onnx.STRING) + onnx.block(2, onnx.tensor_type(onnx.FLOAT, [])))
    y = onnx.block(1, "y") + onnx.block(2, onnx.block(4, onnx.block(1, of_map)))
    graph = onnx.graph([node], [onnx.value("x", onnx.FLOAT, ["n", 2])], []) + onnx.block(12, y)
    return onnx.model(graph, extra=onnx.opset(1, "ai.onnx.ml"))


def slow(products, size=1024):
    """x[1] -> Expand -> a chain of matrix products of 10 to 100 ms each."""
    nodes = [onnx.node("Expand", ["x", "size"], ["m0"])]
    nodes += [onnx.node("MatMul", [f"m{i}", f"m{i}"], [f"m{i + 1}"]) for i in range(products)]
    nodes.append(onnx.node("ReduceMean", [f"m{products}"], ["y"]))
    return model(nodes, [("x", onnx.FLOAT, [1])], [("y", onnx.FLOAT, [1, 1])], [onnx.ints([size, size], "size")])


MODELS = {
    "rows": unary("Identity", onnx.FLOAT, ["n", 3]),
    "scaled": onnx.scaled(),
    "pair": two_in_two_out(onnx.INT64, [2]),
    "text": unary("Identity", onnx.STRING, ["n"]),
    "flags": unary("Identity", onnx.BOOL, ["n"]),
    "half": unary("Identity", onnx.FLOAT16, ["n", 2]),
    "bytes8": unary("Identity", onnx.UINT8, ["n"]),
    "log": unary("Log", onnx.FLOAT, ["n"]),
    "image": unary("Identity", onnx.FLOAT, [1, 1, 2, 2]),
    "zipmap": zipmap(),
    "scalar": unary("Identity", onnx.DOUBLE, []),
    "fixed": model([onnx.node("Neg", ["w"], ["y"])], [], [("y", onnx.INT64, [2])], [onnx.ints([1, 2], "w")]),
    "complex": unary("Identity", onnx.COMPLEX64, [2]),
    "slow": slow(60),
    "quick": slow(3),
}
for name, data in MODELS.items():
    (WORK / f"{name}.onnx").write_bytes(data)


class Server:
    def __init__(self, models, *options):
        words = [str(WORK / f"{m}.onnx") if m in MODELS else m for m in models]
        self.log = open(WORK / "log", "w+")
        port = [] if "--unix" in options and "--host" not in options else ["--port", "0"]
        self.process = subprocess.Popen(
            [PROGRAM, "serve", *words, *port, *options], stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on (?:https?://(?:127\.0\.0\.1|\[::1\]):(\d+)|unix:.+)\n", line)
        if not match:
            self.process.wait(10)
            raise AssertionError(f"no address in {line!r}: {self.text()}")
        self.port = int(match[1] or 0)

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        code = self.stop()
        if kind is None and code != 0:
            raise AssertionError(f"exit code {code}: {self.text()}")

    def stop(self, term=True):
        if term and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        self.log.close()
        return code

    def connect(self, timeout=20):
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def ask(self, method, path, body=None, headers=None, timeout=30):
        """(status, headers, body) of one request on its own connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers or {})
            return finish(connection.getresponse())
        finally:
            connection.close()

    def post(self, path, value, headers=None, timeout=30):
        body = value if isinstance(value, (str, bytes)) else json.dumps(value)
        status, head, data = self.ask(
            "POST", path, body, {"Content-Type": "application/json", **(headers or {})}, timeout
        )
        return status, json.loads(data) if data else None

    def score(self, value, **more):
        return self.post("/score", value, **more)

    def infer(self, name, value, **more):
        return self.post(f"/v2/models/{name}/infer", value, **more)

    def background(self, count, **more):
        """Futures of clients that ask the model slow, or quick, at the same time."""
        pool = concurrent.futures.ThreadPoolExecutor(count)
        jobs = [pool.submit(self.ask, "POST", "/score", json.dumps(SLOW), {"Content-Type": "application/json"}, **more)
                for _ in range(count)]
        pool.shutdown(wait=False)
        return jobs

    def metric(self, name):
        page = self.ask("GET", "/metrics")[2].decode()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if re.match(re.escape(name) + r"[ {]", line)
        )

    def raw(self, data, wait=5):
        """Everything the server says until it closes or is silent for `wait` seconds; and whether it closed."""
        with self.connect(wait) as s:
            s.sendall(data)
            return drain(s)


def tells_nothing_it_should_not(answer):
    """No pointer, no source file, no path."""
    found = re.search(rb"0x[0-9a-f]{6,}|\w\.[ch]\b|/(tmp|home|work|usr|proc)/|" + re.escape(str(WORK)).encode(), answer)
    assert not found or b'{"error":' not in answer, answer


def drain(s):
    """What comes until the end or a silence, and whether it was the end."""
    out, closed = b"", True
    try:
        while piece := s.recv(65536):
            out += piece
    except ConnectionResetError:
        pass
    except TimeoutError:
        closed = False
    tells_nothing_it_should_not(out)
    return out, closed


def finish(response):
    body = response.read()
    tells_nothing_it_should_not(body)
    return response.status, {k.lower(): v for k, v in response.getheaders()}, body


def status_of(data):
    return int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.1 ") else 0


def request(path, body, *headers, length=True, method="POST"):
    head = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
    if length:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


JSON = "Content-Type: application/json"
BODY = b'{"data":[[1,2,3]]}'
GOOD = request("/score", BODY, JSON)
SLOW = {"data": [0]}  # for the models slow and quick


def wait_for(what, seconds=5):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


class Shared(unittest.TestCase):
    """Tests that ask one server with many models."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server([m for m in MODELS if m not in ("slow", "quick")])
        cls.ask, cls.score, cls.infer = cls.server.ask, cls.server.score, cls.server.infer

    @classmethod
    def tearDownClass(cls):
        code = cls.server.stop()
        if code != 0:
            raise AssertionError(f"the server ended with {code}")

    def refused(self, answer, status, *texts):
        self.assertEqual(answer[0], status, answer)
        message = (
            answer[1]["error"]
            if isinstance(answer[1], dict) and "error" in answer[1]
            else json.loads(answer[2])["error"]
        )
        for text in texts:
            self.assertIn(text, message)


def main():
    """Runs the tests of the script, if there is a server."""
    if not os.access(PROGRAM, os.X_OK):
        print(f"SKIPPED: {PROGRAM} is not built\n0 passed, 0 failed, 1 skipped")
        return 0
    try:
        return suite.run(verbosity=2)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)
