#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The model server over real sockets: protocols, errors, limits, hostile framing, overload, drain.

    tests/server/test_server.py [--long] [NAME ...]

Only the standard library is used. Models are written by tests/onnx_bytes.py; one more test scores a real
model when it is there. The closing line is `N passed, N failed, N skipped`.
"""

import concurrent.futures, http.client, json, os, pathlib, random, re, shutil, signal, socket, struct, subprocess, sys
import tempfile, threading, time, unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import onnx_bytes as onnx
import suite

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("SARDONYX", str(ROOT / "build/sardonyx"))
LONG = "--long" in sys.argv
WORK = pathlib.Path(tempfile.mkdtemp(prefix="sardonyx-server-"))
ERRORS = []  # every error text that was seen, for the lint at the end


def model(nodes, inputs, outputs, initializers=()):
    return onnx.model(
        onnx.graph(nodes, [onnx.value(*i) for i in inputs], [onnx.value(*o) for o in outputs], initializers)
    )


def unary(op, dtype, shape):
    return model([onnx.node(op, ["x"], ["y"])], [("x", dtype, shape)], [("y", dtype, shape)])


def two_in_two_out(dtype, shape):
    nodes = [onnx.node("Add", ["a", "b"], ["sum"]), onnx.node("Mul", ["a", "b"], ["product"])]
    return model(nodes, [("a", dtype, shape), ("b", dtype, shape)], [("sum", dtype, shape), ("product", dtype, shape)])


def slow(products, size=1024):
    """x[1] -> Expand -> a chain of matrix products of 10 to 100 ms each."""
    nodes = [onnx.node("Expand", ["x", "size"], ["m0"])]
    nodes += [onnx.node("MatMul", [f"m{i}", f"m{i}"], [f"m{i + 1}"]) for i in range(products)]
    nodes.append(onnx.node("ReduceMean", [f"m{products}"], ["y"]))
    return model(nodes, [("x", onnx.FLOAT, [1])], [("y", onnx.FLOAT, [1, 1])], [onnx.ints([size, size], "size")])


MODELS = {
    "rows": unary("Identity", onnx.FLOAT, ["n", 3]),
    "pair": two_in_two_out(onnx.INT64, [2]),
    "text": unary("Identity", onnx.STRING, ["n"]),
    "flags": unary("Identity", onnx.BOOL, ["n"]),
    "half": unary("Identity", onnx.FLOAT16, ["n", 2]),
    "bytes8": unary("Identity", onnx.UINT8, ["n"]),
    "log": unary("Log", onnx.FLOAT, ["n"]),
    "image": unary("Identity", onnx.FLOAT, [1, 1, 2, 2]),
    "slow": slow(60),
    "quick": slow(3),
}
for name, data in MODELS.items():
    (WORK / f"{name}.onnx").write_bytes(data)


class Server:
    def __init__(self, models, *options):
        words = [str(WORK / f"{m}.onnx") if m in MODELS else m for m in models]
        self.log = open(WORK / "log", "w+")
        self.process = subprocess.Popen(
            [PROGRAM, "serve", *words, "--port", "0", *options], stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        line = self.process.stdout.readline()
        match = re.fullmatch(r"listening on http://127\.0\.0\.1:(\d+)\n", line)
        if not match:
            raise AssertionError(f"no port in {line!r}: {self.text()}")
        self.port = int(match[1])

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


def drain(s):
    out = b""
    try:
        while True:
            piece = s.recv(65536)
            if not piece:
                return out, True
            out += piece
    except ConnectionResetError:
        return out, True
    except TimeoutError:
        return out, False


def finish(response):
    body = response.read()
    headers = {k.lower(): v for k, v in response.getheaders()}
    if response.status >= 400 and body[:1] == b"{":
        ERRORS.append(json.loads(body).get("error", ""))
    return response.status, headers, body


def status_of(data):
    return int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.1 ") else 0


def request(path, body, *headers, length=True, method="POST"):
    head = [f"{method} {path} HTTP/1.1", "Host: x", *headers]
    if length:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


JSON = "Content-Type: application/json"


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


class Plain(Shared):
    def test_health(self):
        status, headers, body = self.ask("GET", "/")
        self.assertEqual((status, body), (200, b"Healthy"))
        self.assertEqual(json.loads(self.ask("GET", "/health/live")[2]), {"live": True})
        self.assertEqual(json.loads(self.ask("GET", "/v2/health/ready")[2]), {"ready": True})
        self.assertEqual(self.ask("HEAD", "/")[2], b"")

    def test_paths_and_methods(self):
        self.refused(self.ask("GET", "/nothing"), 404)
        for method, path, allowed in (
            ("GET", "/score", "POST, OPTIONS"),
            ("POST", "/", "GET, HEAD"),
            ("DELETE", "/v2/models/rows", "GET, HEAD"),
        ):
            status, headers, _ = self.ask(method, path)
            self.assertEqual((status, headers["allow"]), (405, allowed))
        status, headers, body = self.ask("OPTIONS", "/score")
        self.assertEqual((status, headers["allow"], body), (204, "POST, OPTIONS", b""))
        for path in (
            "/v2/models/../rows",
            "/v2/models/%2e%2e/ready",
            "/v2/models/a%2fb",
            "/v2/models/a%252fb",
            "/v2/models/a%5cb",
            "/v2/models/.x",
            "/v2/models//ready",
            "/v2/models/" + "x" * 129,
            "/v2/models/ROWS",
            "/score/",
            "//score",
            "/v2/models/a%00b",
            "/%zz",
            "/v2/models/%ff",
        ):
            self.assertIn(self.ask("GET", path)[0], (400, 404), path)
        self.assertEqual(self.ask("GET", "/v2/models/%72ows")[0], 200)
        self.assertIn(b"no model 'ROWS'; there ", self.ask("GET", "/v2/models/ROWS")[2])
        status, _, data = self.ask("POST", "/score", b'{"data":[1,2,3]}\0', {"Content-Type": "application/json"})
        self.assertIn("found a NUL byte", json.loads(data)["error"])
        self.assertIn(b"the first is 'rows'", self.ask("GET", "/v2/models/ROWS")[2])
        self.assertEqual(self.ask("GET", "/" + "x" * 2000)[0], 414)

    def test_score_shapes(self):
        rows = [[1, 2, 3], [4.5, -1e-3, 0.1]]
        f32 = lambda x: struct.unpack("f", struct.pack("f", x))[0]
        status, answer = self.score({"data": rows})
        self.assertEqual(status, 200)
        self.assertEqual([[f32(v) for v in r] for r in answer["result"]], [[f32(v) for v in r] for r in rows])
        for value in ({"data": {"x": rows}}, {"x": rows}):
            self.assertEqual(self.score(value)[1], answer)
        self.assertEqual(self.score({"data": [1, 2, 3]})[1], {"result": [[1, 2, 3]]})
        self.assertEqual(self.score({"data": [1, 2, 3, 4, 5, 6]})[1], {"result": [[1, 2, 3], [4, 5, 6]]})
        self.assertEqual(self.score('{"data": []}')[0], 200)
        path = "/api/v1/service/{}/score".format
        self.assertEqual(
            self.server.post(path("image"), {"data": [[1, 2], [3, 4]]})[1], {"result": [[[[1, 2], [3, 4]]]]}
        )
        self.assertEqual(self.server.post(path("image"), {"data": [1, 2, 3, 4]})[1], {"result": [[[[1, 2], [3, 4]]]]})
        self.assertEqual(
            self.server.post(path("pair"), {"data": {"a": [2, 3], "b": [5, 7]}})[1],
            {"result": {"sum": [7, 10], "product": [10, 21]}},
        )
        self.assertEqual(self.server.post(path("pair"), {"b": [5, 7.0], "a": [2, 3]})[0], 200)
        self.assertEqual(
            self.server.post(path("text"), {"data": ["a", '\u00e9\0"', ""]})[1], {"result": ["a", '\u00e9\0"', ""]}
        )
        self.assertEqual(
            self.server.post(path("flags"), {"data": [True, False, 1, 0]})[1], {"result": [True, False, True, False]}
        )
        self.assertEqual(self.server.post(path("half"), {"data": [[1, 0.1]]})[1], {"result": [[1, 0.099975586]]})
        self.assertEqual(self.server.post(path("log"), {"data": [-1, 0, 1]})[1], {"result": [None, None, 0]})

    def test_score_errors(self):
        path = "/api/v1/service/{}/score".format
        for body, texts in (
            ("", ["the body"]),
            ("[1]", ["the body: expected an object, found a list"]),
            ("{}", ["input 'x' is missing"]),
            ('{"data": [[1,2,3],[4,5]]}', ["data[1]: found a list of 2"]),
            ('{"data": [[1,2]]}', ["[1,2]", "[n,3] of float"]),
            ('{"data": [[1,2,"3"]]}', ["data[0][2]: found a string"]),
            ('{"data": [[1,2,nan]]}', ["data[0][2]: found null"]),
            ('{"data": [[1,2,-Inf]]}', ["minus sign without a number"]),
            ('{"data": [[1,2,1e39]]}', ["data[0][2]: 1e39 is out of range of float"]),
            ('{"datas": [1]}', ["datas"]),
            ('{"data": [[1,2,3]]', ["end of the text"]),
            ('{"data": [[1,2,3]]} x', ["end of the text"]),
            ('{"data": [[1,2,3]], "x": [[1,2,3]]}', ["given twice"]),
            ('{"data": {"z": [1]}}', ["data.z"]),
            ('{"data": ' + "[" * 100000, ["nested deeper"]),
            ('{"data": [1,2,3,4]}', ["[4]"]),
            ('{"data": 1, "data": 2}', []),
        ):
            answer = self.score(body)
            self.refused(answer, 400, *texts)
        self.refused(self.server.post(path("pair"), {"data": [1, 2]}), 400, "2 inputs")
        self.refused(
            self.server.post(path("pair"), {"a": [1, 1.5], "b": [0, 0]}), 400, "a[1]: 1.5 is not a whole number"
        )
        self.refused(self.server.post(path("pair"), {"a": [1, 2]}), 400, "input 'b' is missing")
        self.refused(self.server.post(path("bytes8"), {"data": [256]}), 400, "data[0]: 256 is out of range of uint8")
        self.refused(self.server.post(path("nobody"), {"data": [256]}), 404)

    def test_content_types(self):
        body = json.dumps({"data": [[1, 2, 3]]})
        ask = lambda **h: self.ask("POST", "/score", body, {k.replace("_", "-"): v for k, v in h.items()})
        self.assertEqual(ask()[0], 200)
        self.assertEqual(ask(Content_Type="application/json; charset=utf-8")[0], 200)
        for kind in ("text/plain", "application/x-www-form-urlencoded", "image/png", "application/jsonx"):
            self.refused(ask(Content_Type=kind), 415, "application/json")
        self.refused(ask(Content_Encoding="br"), 415, "Content-Encoding")
        self.refused(ask(Content_Encoding="gzip"), 400, "no gzip at byte")

    def test_request_ids(self):
        ask = lambda **h: self.ask("POST", "/score", '{"data":[1,2,3]}', {k.replace("_", "-"): v for k, v in h.items()})
        _, headers, _ = ask(x_ms_request_id="abc-123", x_ms_client_request_id="me")
        self.assertEqual((headers["x-ms-request-id"], headers["x-ms-client-request-id"]), ("abc-123", "me"))
        self.assertEqual(headers["x-ms-run-function-failed"], "False")
        self.assertGreater(float(headers["x-ms-run-fn-exec-ms"]), 0)
        self.assertNotEqual(ask()[1]["x-ms-request-id"], ask()[1]["x-ms-request-id"])
        self.assertEqual(ask(x_ms_request_id="a" * 100)[0], 200)
        self.assertEqual(ask(x_ms_request_id="a" * 101)[0], 431)
        self.assertEqual(ask(x_request_id="a\x01b")[0], 400)

    def test_documents(self):
        document = json.loads(self.ask("GET", "/swagger.json")[2])
        self.assertIn("/score", document["paths"])
        self.assertEqual(self.ask("GET", "/swagger.json?version=3")[0], 200)
        self.assertEqual(self.ask("GET", "/swagger.json?version=2")[0], 404)
        self.score({"data": [1, 2, 3]})
        page = self.ask("GET", "/metrics")[2].decode()
        for line in page.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z]+="[^"\n]*",?)+\})? [0-9.e+-]+)$')
        self.assertIn('sardonyx_requests_total{model="rows",code="200"}', page)
        buckets = [
            float(l.rsplit(" ", 1)[1])
            for l in page.splitlines()
            if l.startswith('sardonyx_request_seconds_bucket{model="rows"')
        ]
        self.assertEqual(buckets, sorted(buckets))
        self.assertNotIn("nobody", page)


class V2(Shared):
    X = {"name": "x", "datatype": "FP32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}

    def test_descriptions(self):
        get = lambda path: json.loads(self.ask("GET", path)[2])
        self.assertEqual(get("/v2")["name"], "sardonyx")
        self.assertIn("binary_tensor_data", get("/v2")["extensions"])
        for path in ("/v2/models/rows", "/v2/models/rows/versions/1"):
            self.assertEqual(
                get(path),
                {
                    "name": "rows",
                    "versions": ["1"],
                    "platform": "onnx_onnxv1",
                    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}],
                    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}],
                },
            )
        self.assertEqual(get("/v2/models/rows/ready"), {"name": "rows", "ready": True})
        self.assertEqual(get("/v2/models/text")["inputs"][0]["datatype"], "BYTES")
        self.assertEqual(self.ask("GET", "/v2/models/rows/versions/2")[0], 404)
        self.assertEqual(self.ask("GET", "/v2/models/none/ready")[0], 404)
        index = json.loads(self.ask("POST", "/v2/repository/index", '{"ready": true}')[2])
        self.assertIn({"name": "rows", "version": "1", "state": "READY", "reason": ""}, index)
        self.assertEqual(self.ask("POST", "/v2/repository/index", '{"ready": 3}')[0], 400)
        self.infer("rows", {"inputs": [self.X]})
        stats = get("/v2/models/rows/stats")["model_stats"][0]
        self.assertGreater(stats["inference_stats"]["compute_infer"]["ns"], 0)
        self.assertEqual(len(get("/v2/models/stats")["model_stats"]), len(index))

    def test_infer(self):
        status, answer = self.infer("rows", {"id": "7\u00e9", "inputs": [self.X]})
        self.assertEqual(
            (status, answer),
            (
                200,
                {
                    "model_name": "rows",
                    "model_version": "1",
                    "id": "7\u00e9",
                    "outputs": [{"name": "y", "datatype": "FP32", "shape": [2, 3], "data": [1, 2, 3, 4, 5, 6]}],
                },
            ),
        )
        nested = dict(self.X, data=[[1, 2, 3], [4, 5, 6]])
        backwards = dict(reversed(list(self.X.items())))
        for x in (nested, backwards, dict(reversed(list(nested.items())))):
            self.assertEqual(self.infer("rows", {"inputs": [x]})[1]["outputs"], answer["outputs"])
        a, b = ({"name": n, "datatype": "INT64", "shape": [2], "data": [2**62, -3]} for n in "ab")
        self.assertEqual(
            self.infer("pair", {"inputs": [b, a], "outputs": [{"name": "sum"}]})[1]["outputs"],
            [{"name": "sum", "datatype": "INT64", "shape": [2], "data": [-(2**63), -6]}],
        )
        both = self.infer(
            "pair", {"inputs": [a, b], "outputs": [{"name": "product"}, {"name": "sum"}], "parameters": {"x": 1}}
        )
        self.assertEqual([o["name"] for o in both[1]["outputs"]], ["product", "sum"])
        empty = dict(self.X, shape=[0, 3], data=[])
        self.assertEqual(self.infer("rows", {"inputs": [empty]})[1]["outputs"][0], dict(empty, name="y"))
        text = {"name": "x", "datatype": "BYTES", "shape": [2], "data": ["a", "\u00e9"]}
        self.assertEqual(self.infer("text", {"inputs": [text]})[1]["outputs"][0]["data"], ["a", "\u00e9"])

    def test_infer_errors(self):
        x = lambda **more: {"inputs": [{**self.X, **more}]}
        cut = lambda *names: {"inputs": [{k: v for k, v in self.X.items() if k not in names}]}
        huge = [2**31, 2**31]
        for value, texts in (
            ({}, ["inputs is missing"]),
            ({"inputs": []}, ["inputs", "'x' is missing"]),
            ({"inputs": {}}, ["inputs: expected a list"]),
            (x(name="z"), ["inputs[0].name", "'z'"]),
            (cut("name"), ["inputs[0].name is missing"]),
            (cut("datatype"), ["inputs[0].datatype is missing"]),
            (cut("shape"), ["inputs[0].shape is missing"]),
            (cut("data"), ["inputs[0].data is missing"]),
            (x(datatype="FP64"), ["inputs[0].datatype is FP64", "expects FP32"]),
            (x(shape=[3, 2]), ["inputs[0].shape is [3,2]", "expects [n,3]"]),
            (x(shape=[6]), ["inputs[0].shape is [6]"]),
            (x(shape=[-1, 3]), ["inputs[0].shape[0] is -1"]),
            (x(shape=[2.5, 3]), ["inputs[0].shape[0]"]),
            (x(shape=["2", 3]), ["inputs[0].shape[0]"]),
            (x(shape=[2**63, 3]), ["inputs[0].shape[0]"]),
            (x(shape=[2**62, 3]), ["too many elements"]),
            (x(shape=[2**40, 3]), ["inputs[0].data"]),
            (x(shape=[1] * 65), ["more than 64"]),
            (x(data=[1, 2]), ["inputs[0].data: found [2], the shape is [2,3]"]),
            (x(data=[1] * 7), ["inputs[0].data[6]: more than 6"]),
            (x(data=[[1, 2], [3, 4], [5, 6]]), ["found [3,2]"]),
            (x(data="AAAA"), ["inputs[0].data"]),
            (x(extra=1), ["inputs[0].extra"]),
            ({"inputs": [self.X, self.X]}, ["given twice"]),
            ({**x(), "outputs": [{"name": "q"}]}, ["outputs[0].name", "'q'"]),
            ({**x(), "outputs": [{"name": "y"}] * 2}, ["twice"]),
            ({**x(), "outputs": [{}]}, ["outputs[0].name is missing"]),
            ({**x(), "id": 3}, ["id: expected a string"]),
            ({**x(), "more": 3}, ["more"]),
            ({**x(), "parameters": {"a": []}}, ["request.parameters.a"]),
            (x(parameters={"shared_memory_region": "r"}), ["shared_memory_region is not supported"]),
            (x(parameters={"binary_data_size": 24}), ["both"]),
            ({**cut("data"), "id": "a"}, ["data is missing"]),
            ({**x(), "parameters": {"timeout": -1}}, ["timeout"]),
            ({**x(), "parameters": {"sequence_id": 1}}, ["sequence_id"]),
        ):
            self.refused(self.infer("rows", value), 400, *texts)
        doubled = json.dumps({"inputs": [self.X]}).replace('"name": "x"', '"name": "x", "name": "x"')
        self.refused(self.infer("rows", doubled), 400, "inputs[0].name is given twice")
        self.refused(
            self.infer("half", {"inputs": [{"name": "x", "datatype": "FP16", "shape": [1, 2], "data": [1, 2]}]}),
            400,
            "FP16 has no JSON form",
        )
        many = json.dumps({"inputs": [self.X], "outputs": [{"name": f"o{i}"} for i in range(100000)]})
        self.refused(self.infer("rows", many), 400, "outputs[0]")

    def binary(self, name, header, data, length=None, status=200):
        head = json.dumps(header).encode() if header is not None else b""
        answer, headers, body = self.ask(
            "POST",
            f"/v2/models/{name}/infer",
            head + data,
            {
                "Content-Type": "application/octet-stream",
                "Inference-Header-Content-Length": str(len(head) if length is None else length),
            },
        )
        self.assertEqual(answer, status, body)
        if status != 200:
            return json.loads(body)["error"]
        size = int(headers.get("inference-header-content-length", len(body)))
        return json.loads(body[:size]), body[size:], headers

    def test_binary(self):
        data = struct.pack("<6f", 1, 2, 3, float("nan"), float("inf"), -0.0)
        x = {"name": "x", "datatype": "FP32", "shape": [2, 3], "parameters": {"binary_data_size": 24}}
        head, raw, headers = self.binary("rows", {"inputs": [x], "parameters": {"binary_data_output": True}}, data)
        self.assertEqual(raw, data)
        self.assertEqual(headers["content-type"], "application/octet-stream")
        self.assertEqual(head["outputs"][0]["parameters"], {"binary_data_size": 24})
        for shift in range(1, 5):  # every alignment of the raw part
            self.assertEqual(
                self.binary(
                    "rows",
                    {"id": "a" * shift, "inputs": [x], "outputs": [{"name": "y", "parameters": {"binary_data": True}}]},
                    data,
                )[1],
                data,
            )
        head, raw, _ = self.binary("rows", {"inputs": [x]}, data)
        self.assertEqual((head["outputs"][0]["data"], raw), ([1, 2, 3, None, None, 0], b""))
        head, raw, _ = self.binary(
            "rows",
            {
                "inputs": [x],
                "outputs": [{"name": "y", "parameters": {"binary_data": False}}],
                "parameters": {"binary_data_output": True},
            },
            data,
        )
        self.assertEqual(raw, b"")
        a, b = ({"name": n, "datatype": "INT64", "shape": [2], "parameters": {"binary_data_size": 16}} for n in "ab")
        head, raw, _ = self.binary(
            "pair",
            {"inputs": [b, a], "outputs": [{"name": "product", "parameters": {"binary_data": True}}, {"name": "sum"}]},
            struct.pack("<4q", 1, 2, 3, 4),
        )
        self.assertEqual(struct.unpack("<2q", raw), (3, 8))
        self.assertEqual(head["outputs"][1]["data"], [4, 6])
        half = {
            "inputs": [{"name": "x", "datatype": "FP16", "shape": [1, 2], "parameters": {"binary_data_size": 4}}],
            "parameters": {"binary_data_output": True},
        }
        self.assertEqual(self.binary("half", half, b"\x00\x3c\x66\x2e")[1], b"\x00\x3c\x66\x2e")
        self.assertIn("binary_data", self.binary("half", dict(half, parameters={}), b"\x00\x3c\x66\x2e", status=400))
        words = b"".join(struct.pack("<I", len(w)) + w for w in (b"a\0b", b"", b"\xff"))
        text = {
            "inputs": [
                {"name": "x", "datatype": "BYTES", "shape": [3], "parameters": {"binary_data_size": len(words)}}
            ],
            "parameters": {"binary_data_output": True},
        }
        self.assertEqual(self.binary("text", text, words)[1], words)

    def test_raw(self):
        data = struct.pack("<6f", *range(6))
        head, raw, _ = self.binary("rows", None, data)
        self.assertEqual((head["outputs"][0]["shape"], raw), ([2, 3], data))
        self.assertEqual(self.binary("image", None, data[:16])[1], data[:16])
        self.assertIn("bytes", self.binary("image", None, data, status=400))
        self.assertIn("bytes", self.binary("rows", None, data[:20], status=400))
        self.assertIn("one input", self.binary("pair", None, data, status=400))
        self.assertEqual(self.binary("text", None, struct.pack("<I", 2) + b"hi")[1], struct.pack("<I", 2) + b"hi")

    def test_binary_errors(self):
        x = lambda size, **more: {
            "inputs": [
                {"name": "x", "datatype": "FP32", "shape": [2, 3], **more, "parameters": {"binary_data_size": size}}
            ]
        }
        data = bytes(24)
        for value, raw, text in (
            (x(23), data[:23], "23 bytes"),
            (x(25), data, "25, 24 bytes are left"),
            (x(24), data[:23], "left in the body"),
            (x(24), data + b"x", "1 bytes of binary data that no input"),
            (x(-1), data, "negative"),
            (x(2**63), data, "64-bit"),
            (x("24"), data, "expected a number"),
            (x(24.5), data, "64-bit"),
            (x(24, shape=[2**40, 3]), data, "elements"),
        ):
            self.assertIn(text, self.binary("rows", value, raw, status=400))
        for length in ("-1", "x", "+3", "", "99999", "1e3", "18446744073709551616"):
            self.assertIn(
                "Inference-Header-Content-Length", self.binary("rows", x(24), data, length=length, status=400)
            )
        self.refused(self.infer("rows", x(24)), 400, "needs the header")
        for words, count in (
            (b"\x05\0\0\0abc", 1),
            (b"\xff\xff\xff\xffabc", 1),
            (b"\x01\0\0\0a", 2),
            (b"\x01\0\0\0ab", 1),
            (b"\x01\0", 1),
            (b"", 1),
            (b"\0" * 8, 2**40),
        ):
            text = {
                "inputs": [
                    {"name": "x", "datatype": "BYTES", "shape": [count], "parameters": {"binary_data_size": len(words)}}
                ]
            }
            self.binary("text", text, words, status=400)
        flag = {"inputs": [{"name": "x", "datatype": "BOOL", "shape": [2], "parameters": {"binary_data_size": 2}}]}
        self.assertIn("byte 1 is 2", self.binary("flags", flag, b"\1\2", status=400))


class Wire(Shared):
    BODY = b'{"data":[[1,2,3]]}'
    GOOD = request("/score", BODY, JSON)

    def test_split_at_every_byte(self):
        for cut in range(1, len(self.GOOD)):
            with self.server.connect() as s:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                s.sendall(self.GOOD[:cut])
                time.sleep(0.001)
                s.sendall(self.GOOD[cut:])
                response = http.client.HTTPResponse(s)
                response.begin()
                self.assertEqual((response.status, response.read()), (200, b'{"result":[[1,2,3]]}'), cut)
        with self.server.connect() as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in self.GOOD:
                s.sendall(bytes([byte]))
            response = http.client.HTTPResponse(s)
            response.begin()
            self.assertEqual(response.status, 200)

    def test_pipelining(self):
        with self.server.connect() as s:
            bodies = [json.dumps({"data": [[i, 0, 0]]}).encode() for i in range(1000)]
            sender = threading.Thread(target=lambda: s.sendall(b"".join(request("/score", b, JSON) for b in bodies)))
            sender.start()
            with s.makefile("rb") as stream:
                for i in range(1000):
                    self.assertEqual(stream.readline(), b"HTTP/1.1 200 OK\r\n")
                    size = 0
                    while (line := stream.readline()) != b"\r\n":
                        if line.lower().startswith(b"content-length:"):
                            size = int(line.split(b":")[1])
                    self.assertEqual(json.loads(stream.read(size)), {"result": [[i, 0, 0]]})
            sender.join()

    def test_keep_alive_survives_errors(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        for body, status in (
            (self.BODY, 200),
            (b'{"data":', 400),
            (self.BODY, 200),
            (b'{"data":[[1]]}', 400),
            (self.BODY, 200),
        ):
            connection.request("POST", "/score", body, {"Content-Type": "application/json"})
            local = connection.sock
            self.assertEqual(finish(connection.getresponse())[0], status)
            self.assertIs(connection.sock, local)
        for path, status in (("/nothing", 404), ("/score", 415)):
            connection.request("POST", path, b"x" * 1000, {"Content-Type": "text/plain"})
            self.assertEqual(finish(connection.getresponse())[0], status)
        connection.request("POST", "/score", self.BODY)
        self.assertEqual(finish(connection.getresponse())[0], 200)
        connection.close()

    def test_chunked(self):
        pieces = lambda *sizes: b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in sizes) + b"0\r\n\r\n"
        chunked = lambda data: request("/score", data, JSON, "Transfer-Encoding: chunked", length=False)
        for data in (
            pieces(self.BODY),
            pieces(*[self.BODY[i : i + 1] for i in range(len(self.BODY))]),
            b"12;a=b\r\n" + self.BODY + b"\r\n0\r\nX: y\r\n\r\n",
        ):
            out, _ = self.server.raw(chunked(data) + request("/", b"", "Connection: close", method="GET"))
            self.assertEqual(out.count(b"HTTP/1.1 200"), 2, out)
        for data in (
            b"-3\r\nabc\r\n",
            b"0x12\r\n",
            b"f" * 20 + b"\r\n",
            b"zz\r\n",
            b"\r\n",
            b"12;" + b"a" * 100000,
            b"3\r\nabcd\r\n",
        ):
            out, closed = self.server.raw(chunked(data + b"0\r\n\r\n"))
            self.assertTrue(closed and status_of(out) in (400, 413, 500), (data[:40], out))

    def test_framing_is_strict(self):
        """What two servers may read differently is refused, and nothing behind it is read as a request."""
        smuggled = b"GET /v2 HTTP/1.1\r\nHost: x\r\n\r\n"
        line = b"POST /score HTTP/1.1\r\n"
        for head in (
            b"Host: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            b"Host: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n",
            b"Host: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n",
            b"Host: x\r\nContent-Length: +3\r\n",
            b"Host: x\r\nContent-Length: 0x3\r\n",
            b"Host: x\r\nContent-Length: 3,3\r\n",
            b"Host: x\r\nContent-Length: -3\r\n",
            b"Host: x\r\nContent-Length: 18446744073709551616\r\n",
            b"Host: x\r\nContent-Length:\r\n",
            b"Host: x\r\nContent-Length: 1 3\r\n",
            b"Host: x\r\nContent-Length: 1\r\n 3\r\n",
            b"Host: x\r\nA: b\r\n c\r\nContent-Length: 3\r\n",
            b"Host: x\r\nA: b\r\n\tc\r\n",
            b"Host: x\r\nA : b\r\nContent-Length: 3\r\n",
            b"Host: x\nContent-Length: 3\r\n",
            b"Host: x\r\nA: b\nContent-Length: 3\r\n",
            b"Host: x\r\nContent-Length: 3\nA: b\r\n",
            b"Host: x\r\nA: b\0c\r\nContent-Length: 3\r\n",
            b"Host: x\r\nA: b\rc\r\nContent-Length: 3\r\n",
            b"Content-Length: 3\r\n",
            b"Host: x\r\nHost: y\r\nContent-Length: 3\r\n",
            b"Host: x\r\nTransfer-Encoding: gzip\r\n",
            b"Host: x\r\nTransfer-Encoding: xchunked\r\n",
            b"Host: x\r\nTransfer-Encoding: chunked, chunked\r\n",
            b"Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            b"Host: x\r\nA\x01B: c\r\nContent-Length: 3\r\n",
            b"Host: x\r\nnocolon\r\nContent-Length: 3\r\n",
            b"Host: x\r\n: v\r\nContent-Length: 3\r\n",
        ):
            out, closed = self.server.raw(line + head + b"\r\n" + b"abc" + smuggled)
            self.assertTrue(closed and b"HTTP/1.1 200" not in out, (head, out))
            self.assertIn(status_of(out), (400, 413), head)
        for first in (
            b"POST  /score HTTP/1.1",
            b"POST /sc\0re HTTP/1.1",
            b"POST /score HTTP/9.1",
            b"PRI * HTTP/2.0",
            b"POST /score",
            b"\x16\x03\x01",
        ):
            out, closed = self.server.raw(first + b"\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" + smuggled, wait=2)
            self.assertLessEqual(out.count(b"HTTP/1.1 200"), 0, (first, out))
        self.assertEqual(
            status_of(self.server.raw(b"GET / HTTP/1.1\r\nHost:x\r\nA:   b  \r\nC:\r\n\r\n", wait=0.3)[0]), 200
        )
        self.assertEqual(status_of(self.server.raw(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", wait=0.3)[0]), 200)
        self.assertEqual(status_of(self.server.raw(b"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", wait=0.3)[0]), 200)

    def test_heads_too_large(self):
        self.assertEqual(status_of(self.server.raw(b"GET /" + b"x" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")[0]), 414)
        for lines in (
            b"A: " + b"x" * 100000 + b"\r\n",
            b"A: b\r\n" * 10000,
            b"A: b\r\n" * 120,
            b"A: " + b"x" * 17000 + b"\r\n",
        ):
            out, closed = self.server.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
            self.assertEqual((status_of(out), closed), (431, True), lines[:20])

    def test_expect(self):
        with self.server.connect() as s:
            s.sendall(self.GOOD.replace(b"Host: x", b"Host: x\r\nExpect: 100-continue").replace(self.BODY, b""))
            self.assertEqual(s.recv(1000), b"HTTP/1.1 100 Continue\r\n\r\n")
            s.sendall(self.BODY)
            self.assertEqual(status_of(s.recv(1000)), 200)
        out, closed = self.server.raw(
            request("/score", b"", JSON, "Expect: 100-continue", "Content-Length: 999999999999", length=False)
        )
        self.assertEqual((status_of(out), closed), (413, True))

    def test_http_1_0(self):
        out, closed = self.server.raw(
            b"POST /score HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s" % (len(self.BODY), self.BODY)
        )
        self.assertTrue(closed and out.startswith(b"HTTP/1.") and out.endswith(b'{"result":[[1,2,3]]}'), out)

    def test_answers_under_concurrency(self):
        def client(seed):
            connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
            for i in range(60):
                row = [seed, i, seed * i]
                connection.request("POST", "/score", json.dumps({"data": [row]}), {"Content-Type": "application/json"})
                self.assertEqual(json.loads(connection.getresponse().read()), {"result": [row]})
            connection.close()

        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            for job in [pool.submit(client, n) for n in range(32)]:
                job.result()

    def test_random_bytes(self):
        seed = random.Random(7)
        for i in range(150):
            data = bytearray(self.GOOD)
            for _ in range(seed.randint(1, 4)):
                data[seed.randrange(len(data))] = seed.randrange(256)
            self.server.raw(bytes(data), wait=0.02)
        self.assertEqual(self.score({"data": [1, 2, 3]})[0], 200)

    @unittest.skipIf("ASAN_OPTIONS" in os.environ, "freed memory is kept by the sanitizer")
    def test_memory_is_flat(self):
        def burst():
            for i in range(40):
                head = request("/score", b"", JSON, "Connection: close", "Transfer-Encoding: chunked", length=False)
                out = self.server.raw(head + b"1\r\na\r\n" * 2000 + b"0\r\n\r\n")[0]
                self.assertEqual(status_of(out), 400)
                self.score('{"data":' + "[" * 50000)
                self.infer("rows", {"inputs": [dict(V2.X, shape=[2**40, 3])]})

        burst()
        before = self.server.metric("process_resident_memory_bytes")
        burst()
        self.assertLess(self.server.metric("process_resident_memory_bytes") - before, 2**20)


class Limits(unittest.TestCase):
    SLOW = {"data": [0]}

    def background(self, server, count, **more):
        pool = concurrent.futures.ThreadPoolExecutor(count)
        jobs = [
            pool.submit(
                server.ask, "POST", "/score", json.dumps(self.SLOW), {"Content-Type": "application/json"}, **more
            )
            for _ in range(count)
        ]
        pool.shutdown(wait=False)
        return jobs

    def test_body_too_large(self):
        with Server(["rows"], "--max-body-bytes", "1000") as server:
            body = b'{"data":[[1,2,3]]' + b" " * 2000 + b"}"
            status, headers, data = server.ask("POST", "/score", body, {"Content-Type": "application/json"})
            self.assertEqual(status, 413)
            self.assertIn("max-body-bytes", json.loads(data)["error"])
            # Refused by the head alone, and readable by a client that sends everything first.
            self.assertEqual(
                status_of(server.raw(request("/score", b"", JSON, "Content-Length: 1001", length=False))[0]), 413
            )
            status, _, _ = server.ask("POST", "/score", b" " * 8000000, {"Content-Type": "application/json"})
            self.assertEqual(status, 413)
            chunk = b"200\r\n" + b" " * 512 + b"\r\n"
            out, closed = server.raw(request("/score", chunk * 3, JSON, "Transfer-Encoding: chunked", length=False))
            self.assertEqual((status_of(out), closed), (413, True))
            self.assertEqual(
                server.ask("POST", "/score", body[:17] + b" " * 982 + b"}", {"Content-Type": "application/json"})[0],
                200,
            )

    def test_response_too_large(self):
        with Server(["rows"], "--max-response-bytes", "10") as server:
            for path in ("/v2", "/v2/models/stats", "/v2/models/rows", "/v2/models/rows/stats", "/metrics", "/swagger.json"):
                status, _, data = server.ask("GET", path)
                self.assertEqual(status, 507, path)
                self.assertIn("max-response-bytes (10)", json.loads(data)["error"])
            self.assertEqual(server.score({"data": [[1, 2, 3]]})[0], 507)
            self.assertIn("no such path", json.loads(server.ask("GET", "/nothing")[2])["error"])
            self.assertEqual(server.ask("GET", "/")[0], 200)

    def test_buffer_memory(self):
        with Server(["rows"], "--max-buffered-bytes", "20000") as server:
            with server.connect() as s:
                s.sendall(request("/score", b"", JSON, "Content-Length: 1000000", length=False) + b" " * 15000)
                self.assertTrue(wait_for(lambda: server.metric("sardonyx_buffered_bytes") > 10000))
                status, headers, _ = server.ask("POST", "/score", b" " * 15000, {"Content-Type": "application/json"})
                self.assertEqual(status, 503)
                self.assertIn(int(headers["retry-after"]), (1, 2, 3))
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_buffered_bytes") == 0))

    def test_queue_is_bounded(self):
        with Server(["slow"], "--workers", "1", "--max-queue", "2", "--max-queue-wait-ms", "60000") as server:
            jobs = self.background(server, 1)
            time.sleep(0.3)  # the worker has taken the first one before the queue fills
            answers = [job.result() for job in jobs + self.background(server, 7)]
            codes = sorted(status for status, _, _ in answers)
            self.assertEqual(codes.count(200) + codes.count(503), 8)
            self.assertIn(codes.count(200), (3, 4))
            for status, headers, body in answers:
                if status == 503:
                    self.assertIn(int(headers["retry-after"]), (1, 2, 3))
                    self.assertIn("max-queue", json.loads(body)["error"])
            self.assertEqual(server.metric("sardonyx_refused_total"), codes.count(503))

    def test_queue_wait_is_bounded(self):
        with Server(["slow"], "--workers", "1", "--max-queue-wait-ms", "100") as server:
            answers = [job.result() for job in self.background(server, 3)]
            self.assertEqual(sorted(a[0] for a in answers), [200, 503, 503])
            self.assertIn("max-queue-wait-ms", "".join(a[2].decode() for a in answers))

    def test_health_during_overload(self):
        with Server(["slow"], "--workers", "2", "--threads", "1") as server:
            jobs = self.background(server, 6)
            time.sleep(0.1)
            start = time.monotonic()
            self.assertEqual(server.ask("GET", "/health/live")[0], 200)
            self.assertLess(time.monotonic() - start, 0.5)
            for job in jobs:
                job.result()

    def test_slow_model_leaves_a_worker(self):
        with Server(["slow", "quick"], "--workers", "2", "--threads", "1", "--max-queue-wait-ms", "60000") as server:
            jobs = self.background(server, 4)
            time.sleep(0.1)
            start = time.monotonic()
            self.assertEqual(server.post("/api/v1/service/quick/score", self.SLOW)[0], 200)
            elapsed = time.monotonic() - start
            self.assertFalse(all(job.done() for job in jobs))
            for job in jobs:
                job.result()
            self.assertLess(elapsed, time.monotonic() - start)

    def test_client_cap(self):
        with Server(["slow"], "--workers", "1", "--max-client-requests", "2", "--max-queue-wait-ms", "60000") as server:
            answers = [job.result() for job in self.background(server, 6)]
            refused = [a for a in answers if a[0] == 429]
            self.assertEqual(len(refused), 4)
            self.assertIn("retry-after", refused[0][1])
            self.assertEqual(server.score(self.SLOW)[0], 200)

    def test_deadlines(self):
        with Server(["slow"], "--timeout-ms", "150") as server:
            for headers in ({}, {"X-Request-Timeout-Ms": "50"}, {"X-Request-Timeout-Ms": "999999999999999999"}):
                start = time.monotonic()
                status, answer = server.score(self.SLOW, headers=headers)
                self.assertEqual(status, 504, answer)
                self.assertLess(time.monotonic() - start, 1.0)
            for value in ("0", "-1", "x", "1.5", "9223372036854775808", ""):
                self.assertEqual(server.score(self.SLOW, headers={"X-Request-Timeout-Ms": value})[0], 400, value)
            x = {"name": "x", "datatype": "FP32", "shape": [1], "data": [0]}
            self.assertEqual(server.infer("slow", {"inputs": [x], "parameters": {"timeout": 20000}})[0], 504)
            status, headers, body = server.ask("POST", "/score", json.dumps(self.SLOW), {"X-Request-Timeout-Ms": "20"})
            self.assertEqual((status, headers["x-ms-run-function-failed"]), (504, "True"))

    def test_client_that_leaves_cancels(self):
        with Server(["slow"], "--workers", "1", "--max-queue-wait-ms", "60000") as server:
            start = time.monotonic()
            self.assertEqual(server.score(self.SLOW)[0], 200)
            whole = time.monotonic() - start
            running, waiting = server.connect(), server.connect()
            for s in (running, waiting):
                s.sendall(request("/score", json.dumps(self.SLOW).encode(), JSON))
                time.sleep(0.05)
            waiting.close()
            running.close()
            start = time.monotonic()
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_cancelled_total") == 2, whole))
            self.assertLess(time.monotonic() - start, max(0.5, whole / 2))
            self.assertEqual(server.score(self.SLOW)[0], 200)

    def test_phases_are_timed(self):
        with Server(
            ["rows"], "--head-timeout-ms", "300", "--idle-timeout-ms", "400", "--write-timeout-ms", "500"
        ) as server:

            def lifetime(data, trickle=b""):
                with server.connect(5) as s:
                    start = time.monotonic()
                    s.sendall(data)
                    for byte in trickle:
                        try:
                            s.sendall(bytes([byte]))
                        except OSError:
                            break
                        time.sleep(0.05)
                    while s.recv(1000):
                        pass
                    return time.monotonic() - start

            self.assertLess(lifetime(b""), 1.5)
            self.assertLess(lifetime(b"GET / HTTP/1.1\r\nA: "), 1.5)
            self.assertGreater(lifetime(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 0.3)
            with server.connect(5) as s:
                start = time.monotonic()
                with self.assertRaises(OSError):
                    for byte in Wire.GOOD * 10:
                        s.sendall(bytes([byte]))
                        time.sleep(0.05)
                self.assertLess(time.monotonic() - start, 3)
            self.assertGreaterEqual(server.metric("sardonyx_connections_cut_total"), 4)

    @unittest.skipUnless(LONG, "takes 12 s (--long)")
    def test_slow_body_is_cut(self):
        with Server(["rows"]) as server, server.connect(30) as s:
            s.sendall(request("/score", b"", JSON, "Content-Length: 100000", length=False))
            start = time.monotonic()
            with self.assertRaises(OSError):
                while time.monotonic() - start < 20:
                    s.sendall(b" " * 100)
                    time.sleep(0.5)
            self.assertLess(time.monotonic() - start, 12)

    def test_vanishing_clients(self):
        with Server(["rows"], "--head-timeout-ms", "300") as server:
            for i in range(100):
                s = server.connect()
                s.sendall(Wire.GOOD[: random.Random(i).randrange(len(Wire.GOOD) + 1)])
                if i % 2:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
                s.close()
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_connections") <= 1, 8))
            self.assertEqual(server.metric("sardonyx_buffered_bytes"), 0)

    def test_readers_are_timed(self):
        size = 1 << 20
        body = b"1" * 12 * size
        head = ["Content-Type: application/octet-stream", "Inference-Header-Content-Length: 0"]
        with Server(["rows"], "--write-timeout-ms", "400") as server:
            with server.connect() as s:  # takes nothing
                s.sendall(request("/v2/models/rows/infer", body, *head))
                self.assertTrue(wait_for(lambda: server.metric("sardonyx_connections_cut_total") == 1, 5))
            with server.connect() as s:  # takes its time, but takes
                s.sendall(request("/v2/models/rows/infer", body, *head))
                out = b""
                while len(out) < len(body):
                    out += s.recv(size // 2)
                    time.sleep(0.04)
                self.assertTrue(out.startswith(b"HTTP/1.1 200"))
            self.assertEqual(server.metric("sardonyx_connections_cut_total"), 1)

    def test_many_connections(self):
        with Server(["rows"]) as server:
            idle = [server.connect() for _ in range(500)]
            for s in idle[::2]:
                s.sendall(b"POST /score HTTP/1.1\r\nHo")
            start = time.monotonic()
            for i in range(50):
                self.assertEqual(server.score({"data": [i, 2, 3]})[0], 200)
            self.assertLess(time.monotonic() - start, 5)
            for s in idle:
                s.close()
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_connections") <= 1))


class Life(unittest.TestCase):
    def cpu(self, pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        switches = 0
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            switches += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.M)[1])
        return int(fields[11]) + int(fields[12]), switches

    def test_idle_server_sleeps(self):
        with Server(["rows"]) as server, server.connect() as s:
            for i in range(20):
                server.score({"data": [1, 2, 3]})
            s.sendall(Wire.GOOD)
            s.recv(1000)
            time.sleep(0.5)
            before = self.cpu(server.process.pid)
            time.sleep(2)
            ticks, switches = self.cpu(server.process.pid)
            # One look at a deadline set while it was busy may fall into the two seconds.
            self.assertEqual(ticks, before[0])
            self.assertLessEqual(switches - before[1], 2)

    def load(self, server, threads, stop, value, results):
        """Clients that send until they are refused; records every request that was accepted."""

        def client():
            body = json.dumps(value).encode()
            while not stop.is_set():
                try:
                    s = server.connect(30)
                except OSError:
                    return
                with s:
                    while not stop.is_set():
                        try:
                            s.sendall(request("/score", body, JSON))
                            response = http.client.HTTPResponse(s)
                            response.begin()
                            data = response.read()
                        except (OSError, http.client.HTTPException) as error:
                            results.append(repr(error))
                            return
                        results.append(response.status)
                        if response.getheader("Connection", "").lower() == "close":
                            break

        workers = [threading.Thread(target=client) for _ in range(threads)]
        for w in workers:
            w.start()
        return workers

    def test_term_under_load_loses_nothing(self):
        for model, value in (("rows", {"data": [1, 2, 3]}), ("quick", {"data": [0]})):
            for _ in range(10 if LONG else 3):
                results, stop = [], threading.Event()
                server = Server([model], "--max-queue-wait-ms", "60000")
                clients = self.load(server, 12, stop, value, results)
                time.sleep(0.4)
                wait_for(lambda: len(results) > 12, 20)
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(server.process.wait(30), 0)
                stop.set()
                for c in clients:
                    c.join(30)
                self.assertGreater(len(results), 12)
                self.assertEqual(set(results), {200})
                server.stop()

    def test_term_answers_what_runs(self):
        server = Server(["slow"], "--workers", "1", "--max-queue-wait-ms", "60000")
        jobs = Limits().background(server, 3)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual([job.result()[0] for job in jobs], [200, 200, 200])
        self.assertEqual(jobs[0].result()[1]["connection"], "close")
        self.assertEqual(server.stop(term=False), 0)

    def test_lag_keeps_accepting(self):
        server = Server(["rows"], "--drain-lag-ms", "600")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        self.assertEqual(server.ask("GET", "/health/ready")[0], 503)
        self.assertEqual(server.ask("GET", "/health/live")[0], 200)
        self.assertEqual(server.score({"data": [1, 2, 3]})[0], 200)
        self.assertEqual(server.stop(term=False), 0)

    def test_drain_time_is_bounded(self):
        server = Server(["slow"], "--workers", "1", "--drain-ms", "100", "--max-queue-wait-ms", "60000")
        jobs = Limits().background(server, 4)
        time.sleep(0.15)
        start = time.monotonic()
        code = server.stop()
        codes = [job.result()[0] for job in jobs]
        self.assertEqual(set(codes) - {200, 503}, set())
        self.assertEqual(code, 1 if 503 in codes else 0)
        self.assertIn(503, codes)
        self.assertLess(time.monotonic() - start, 3)

    def test_second_term_ends_at_once(self):
        server = Server(["slow"], "--workers", "1", "--max-queue-wait-ms", "60000")
        Limits().background(server, 6)
        time.sleep(0.15)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        start = time.monotonic()
        self.assertNotEqual(server.stop(), 0)
        self.assertLess(time.monotonic() - start, 1)

    def test_other_signals(self):
        with Server(["rows"]) as server:
            server.process.send_signal(signal.SIGHUP)
            server.process.send_signal(signal.SIGPIPE)
            server.process.send_signal(signal.SIGSTOP)
            time.sleep(0.3)
            server.process.send_signal(signal.SIGCONT)
            self.assertEqual(server.score({"data": [1, 2, 3]})[0], 200)

    def test_files_and_logs(self):
        port, pid = WORK / "port", WORK / "pid"
        with Server(["rows"], "--port-file", str(port), "--pid-file", str(pid), "--access-log", "--json-log") as server:
            self.assertEqual(int(port.read_text()), server.port)
            self.assertEqual(int(pid.read_text()), server.process.pid)
            words = [PROGRAM, "serve", str(WORK / "rows.onnx"), "--port", str(server.port)]
            second = subprocess.run([*words, "--port-file", str(port), "--pid-file", str(pid)], capture_output=True, text=True)
            self.assertIn("Address already in use", second.stderr)
            self.assertTrue(port.exists() and pid.exists())  # they belong to the first
            server.ask("GET", '/%1b[31m"nothing?a=\x1b'.replace("\x1b", "%1b"))
            server.ask("GET", "/caf%c3%a9%22%ff")
            server.ask("POST", "/score", '{"data":[1,2,3]}', {"x-request-id": 'a"b'})
            self.assertTrue(wait_for(lambda: server.text().count('"client"') >= 3))
            lines = [json.loads(line) for line in server.text().splitlines()]
            self.assertEqual([l["status"] for l in lines if "client" in l], [400, 404, 200])
            self.assertIn('a"b', [l.get("id") for l in lines])
        self.assertFalse(port.exists() or pid.exists())

    def test_quiet_by_default(self):
        with Server(["rows"]) as server:
            server.score({"data": [1, 2, 3]})
            self.assertEqual(len(server.text().splitlines()), 1)

    def test_command_line(self):
        run = lambda *words: subprocess.run([PROGRAM, "serve", *words], capture_output=True, text=True, timeout=20)
        rows = str(WORK / "rows.onnx")
        self.assertIn("Examples:", run("--help").stdout)
        self.assertEqual(run().returncode, 2)
        self.assertEqual(run(rows, "--workers", "x").returncode, 2)
        self.assertEqual(run(rows, "--max-body-bytes", "0").returncode, 2)
        self.assertEqual(run(rows, "--option", "thread=3").returncode, 2)
        missing = run(str(WORK / "missing.onnx"), "--port", "0")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("missing.onnx", missing.stderr)
        twice = run(rows, rows, "--port", "0")
        self.assertEqual(twice.returncode, 1)
        self.assertIn("two models are named 'rows'", twice.stderr)
        with Server([f"first={rows}", f"second={rows}"]) as server:
            self.assertEqual(server.ask("GET", "/v2/models/second")[0], 200)
            taken = run(rows, "--port", str(server.port))
            self.assertEqual(taken.returncode, 1)
            self.assertIn("cannot listen", taken.stderr)


class Real(unittest.TestCase):
    def test_digit(self):
        candidates = [ROOT / "examples/digits/digits.onnx", ROOT.parent / "shared/models/seed/mnist-cntk/mnist-8.onnx"]
        found = [c for c in candidates if c.is_file()]
        if not found:
            self.skipTest("neither examples/digits/digits.onnx nor the shared MNIST model is there")
        with Server([f"digits={found[0]}"]) as server:
            shape = json.loads(server.ask("GET", "/v2/models/digits")[2])["inputs"][0]["shape"]
            count = 1
            for d in shape:
                count *= max(d, 1)
            values = [((i * 37) % 17) / 16 for i in range(count)]
            status, plain = server.score({"data": values})
            self.assertEqual(status, 200, plain)
            name = json.loads(server.ask("GET", "/v2/models/digits")[2])["inputs"][0]["name"]
            x = {"name": name, "datatype": "FP32", "shape": [max(d, 1) for d in shape], "data": values}
            flat = lambda v: [y for x in v for y in flat(x)] if isinstance(v, list) else [v]
            first = server.infer("digits", {"inputs": [x]})[1]["outputs"][0]["data"]
            result = (
                plain["result"] if isinstance(plain["result"], list) else plain["result"][next(iter(plain["result"]))]
            )
            self.assertEqual(flat(result), first)


class ZLint(unittest.TestCase):
    def test_errors_tell_nothing_they_should_not(self):
        self.assertGreater(len(ERRORS), 0)
        for text in ERRORS:
            self.assertNotRegex(
                text, r"0x[0-9a-f]{6,}|\.[ch]:\d+|\.[ch]\b|/(tmp|home|work|usr|proc)/|" + re.escape(str(WORK)), text
            )


def main():
    if not os.access(PROGRAM, os.X_OK):
        print(f"SKIPPED: {PROGRAM} is not built\n0 passed, 0 failed, 1 skipped")
        return 0
    try:
        return suite.run(verbosity=2)
    finally:
        shutil.rmtree(WORK, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
