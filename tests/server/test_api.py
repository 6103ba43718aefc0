# SPDX-License-Identifier: Apache-2.0
"""What clients ask and get: health, /score, the Open Inference Protocol, a trained model."""
import json, struct, sys, unittest

from serving import ROOT, SHARED_MODELS, WORK, Server, Shared, main, model, onnx


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
            ('{"data": [[1,2,nan]]}', ["data[0][2]: found a word that is no number"]),
            ('{"data": [[1,2,-Inf]]}', ["data[0][2]: found a word that is no number"]),
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

    def test_numbers_that_json_lacks(self):
        f32 = {"name": "x", "datatype": "FP32", "shape": [4], "data": []}
        words = "NaN, Infinity, -Infinity, null"
        half = lambda text: self.server.post("/api/v1/service/half/score", '{"data": [[%s]]}' % text)
        self.assertEqual(half("NaN, null"), (200, {"result": [[None, None]]}))
        self.assertEqual(self.score('{"data": [1, NaN, -Infinity]}'), (200, {"result": [[1, None, None]]}))
        body = json.dumps({"inputs": [dict(f32, name="x")]}).replace("[]", f"[{words}]")
        path = "/v2/models/log/infer"
        for query, wanted in (("", "[null,null,null,null]"), ("?nan=null", "[null,null,null,null]"),
                              ("?nan=literal", "[NaN,Infinity,NaN,NaN]")):
            answer = self.ask("POST", path + query, body, {"Content-Type": "application/json"})
            self.assertEqual((answer[0], b'"data":' + wanted.encode() in answer[2]), (200, True), answer)
        status, _, answer = self.ask("POST", "/score?nan=literal", '{"data":[1,NaN,-Infinity]}')
        self.assertEqual((status, answer), (200, b'{"result":[[1,NaN,-Infinity]]}'))
        self.refused(self.ask("POST", "/score?nan=words", '{"data":[1,2,3]}'), 400, "nan: expected null or literal")
        for model, text in (("pair", '{"a": [1, NaN], "b": [1, 2]}'), ("bytes8", '{"data": [null]}'),
                            ("flags", '{"data": [NaN]}'), ("text", '{"data": [null]}')):
            self.assertEqual(self.server.post(f"/api/v1/service/{model}/score", text)[0], 400, model)

    def test_byte_order_mark(self):
        mark = b"\xef\xbb\xbf"
        self.assertEqual(self.score(mark + b'{"data":[1,2,3]}')[0], 200)
        x = {"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}
        self.assertEqual(self.infer("rows", mark + json.dumps({"inputs": [x]}).encode())[0], 200)
        self.assertEqual(self.score(mark + mark + b'{"data":[1,2,3]}')[0], 400)
        self.assertEqual(self.score(b'\xff\xfe{"data":[1,2,3]}')[0], 400)

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
        for given, wanted in (({"x_request_id": "a"}, ("a", "a", None)), ({"x_ms_request_id": "b"}, (None, "b", "b")),
                              ({"x_request_id": "a", "x_ms_client_request_id": "c"}, ("a", "c", "c"))):
            said = ask(**given)[1]
            got = said["x-request-id"], said["x-ms-request-id"], said.get("x-ms-client-request-id")
            self.assertEqual(got, (wanted[0] or got[0], *wanted[1:]))
        self.assertEqual(headers["x-ms-run-function-failed"], "False")
        self.assertGreater(float(headers["x-ms-run-fn-exec-ms"]), 0)
        self.assertNotEqual(ask()[1]["x-ms-request-id"], ask()[1]["x-ms-request-id"])
        self.assertEqual(ask(x_ms_request_id="a" * 100)[0], 200)
        for name in ("x_request_id", "x_ms_request_id", "x_ms_client_request_id"):
            self.refused(ask(**{name: "a" * 101}), 431, name.replace("_", "-"))
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
        self.assertIn('sardonyx_requests_total{model="rows",code="200",version="1"}', page)
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

    def test_json_values(self):
        """A sequence of maps is a list of JSON values: an extension, and described as one."""
        self.assertIn("json_values", json.loads(self.ask("GET", "/v2")[2])["extensions"])
        output = json.loads(self.ask("GET", "/v2/models/zipmap")[2])["outputs"][0]
        self.assertEqual(output, {"name": "y", "datatype": "JSON", "shape": [-1]})
        x = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [0.5, 1, 2, None]}
        values = [{"a": 0.5, "b": 1}, {"a": 2, "b": None}]
        wanted = {"name": "y", "datatype": "JSON", "shape": [2], "data": values}
        for more in ({}, {"parameters": {"binary_data_output": True}}, {"outputs": [{"name": "y"}]}):
            self.assertEqual(self.infer("zipmap", {"inputs": [x], **more})[1]["outputs"], [wanted])
        self.assertEqual(self.infer("zipmap", {"inputs": [dict(x, shape=[0, 2], data=[])]})[1]["outputs"][0]["data"], [])
        binary = {"inputs": [x], "outputs": [{"name": "y", "parameters": {"binary_data": True}}]}
        self.refused(self.infer("zipmap", binary), 400, "output 'y' is seq(map(string,tensor(float)))", "no binary form")
        data = {"data": x["data"]}
        self.assertEqual(self.server.post("/api/v1/service/zipmap/score", data)[1], {"result": values})

    def test_inputs_with_a_default(self):
        described = json.loads(self.ask("GET", "/v2/models/scaled")[2])
        self.assertEqual([i["name"] for i in described["inputs"]], ["x"])
        self.assertEqual(described["optional_inputs"], [{"name": "w", "datatype": "FP32", "shape": [3]}])
        w = {"name": "w", "datatype": "FP32", "shape": [3], "data": [2, 2, 2]}
        for more, y in (([], [1, 4, 9, 4, 10, 18]), ([w], [2, 4, 6, 8, 10, 12]), ([], [1, 4, 9, 4, 10, 18])):
            self.assertEqual(self.infer("scaled", {"inputs": [*more, self.X]})[1]["outputs"][0]["data"], y)
        self.refused(self.infer("scaled", {"inputs": [w]}), 400, "'x' is missing")
        score = lambda body: self.server.post("/api/v1/service/scaled/score", body)[1]
        self.assertEqual(score({"data": [1, 2, 3]}), {"result": [[1, 4, 9]]})
        self.assertEqual(score({"data": {"x": [1, 2, 3], "w": [2, 2, 2]}}), {"result": [[2, 4, 6]]})
        self.assertIn("found shape [2], expected [3]", score({"data": {"x": [1, 2, 3], "w": [2, 2]}})["error"])

    def test_infer_errors(self):
        x = lambda **more: {"inputs": [{**self.X, **more}]}
        cut = lambda *names: {"inputs": [{k: v for k, v in self.X.items() if k not in names}]}
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
            ({**x(), "parameters": {"a": None}}, ["request.parameters.a: found null"]),
            (x(parameters={"shared_memory_region": "r"}), ["has data beside its shared_memory_region"]),
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


class Real(unittest.TestCase):
    def test_errors_of_a_run_have_fields(self):
        """Beside the message, whatever the route."""
        add = [onnx.node("Add", ["a", "b"], ["y"], name="adder")]
        inputs = [("a", onnx.FLOAT, ["n"]), ("b", onnx.FLOAT, ["m"])]
        (WORK / "sums.onnx").write_bytes(model(add, inputs, [("y", onnx.FLOAT, ["k"])]))
        v2 = {"inputs": [{"name": n, "datatype": "FP32", "shape": [s], "data": [1] * s} for n, s in (("a", 2), ("b", 3))]}
        with Server([str(WORK / "sums.onnx")]) as server:
            for status, answer in (server.score({"a": [1, 2], "b": [1, 2, 3]}), server.infer("sums", v2)):
                self.assertEqual(status, 400, answer)
                self.assertIn("node 'adder' (Add): input 1 ('B') has 3 in dimension 1 from the right", answer["error"])
                known = {k: answer["details"][k] for k in ("status", "code", "node", "operator", "input", "index", "found")}
                self.assertEqual(
                    known,
                    {
                        "status": "INVALID_SHAPE",
                        "code": "type-or-shape",
                        "node": "adder",
                        "operator": "Add",
                        "input": "B",
                        "index": 1,
                        "found": "3 in dimension 1 from the right",
                    },
                )
            self.assertEqual(server.score({"a": [1, 2]})[1].keys(), {"error"})

    def test_digit(self):
        candidates = [ROOT / "examples/digits/digits.onnx", SHARED_MODELS / "seed/mnist-cntk/mnist-8.onnx"]
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


if __name__ == "__main__":
    sys.exit(main())
