# SPDX-License-Identifier: Apache-2.0
"""Bodies that hold rows: TensorFlow Serving's predict, MLflow's and SageMaker's /invocations and /ping."""
import json, sys, unittest

from serving import WORK, Shared, main, model, onnx, two_in_two_out

# a[n,1] and b[n,1]: columns of a table; sum and product
(WORK / "columns.onnx").write_bytes(two_in_two_out(onnx.FLOAT, ["n", 1]))
# Each a[n], b[n,2]: tensors of different rank
(WORK / "ranks.onnx").write_bytes(model(
    [onnx.node("Identity", ["a"], ["c"]), onnx.node("Identity", ["b"], ["d"])],
    [("a", onnx.STRING, ["n"]), ("b", onnx.INT64, ["n", 2])], [("c", onnx.STRING, ["n"]), ("d", onnx.INT64, ["n", 2])]))


class Tables(Shared):
    @classmethod
    def setUpClass(cls):
        from serving import Server
        cls.server = Server(["rows", "zipmap", "pair", *(f"{WORK}/{m}.onnx" for m in ("columns", "ranks")),
                             f"columns:2={WORK}/columns.onnx"])
        cls.ask = cls.server.ask

    def predict(self, name, body, **more):
        return self.server.post(f"/v1/models/{name}:predict", body, **more)

    def test_predict_rows(self):
        self.assertEqual(self.predict("rows", {"signature_name": "serving_default", "instances": [[1, 2, 3], [4, 5, 6]]}),
                         (200, {"predictions": [[1, 2, 3], [4, 5, 6]]}))
        rows = [{"a": [1], "b": [2]}, {"b": [4], "a": [3]}]
        self.assertEqual(self.predict("columns", {"instances": rows}),
                         (200, {"predictions": [{"sum": [3], "product": [2]}, {"sum": [7], "product": [12]}]}))
        rows = [{"a": "x\n", "b": [1, 2]}, {"a": "ü", "b": [3, 4]}]
        self.assertEqual(self.predict("ranks", {"instances": rows}), (200, {"predictions": [{"c": r["a"], "d": r["b"]} for r in rows]}))
        self.assertEqual(self.predict("zipmap", {"instances": [[0.5, 1], [2, 3]]}),
                         (200, {"predictions": [{"a": 0.5, "b": 1}, {"a": 2, "b": 3}]}))
        self.assertEqual(self.predict("rows", {"instances": [{"x": [1, 2, 3]}]}), (200, {"predictions": [[1, 2, 3]]}))

    def test_predict_whole(self):
        self.assertEqual(self.predict("rows", {"inputs": [[1, 2, 3]]}), (200, {"outputs": [[1, 2, 3]]}))
        self.assertEqual(self.predict("rows", {"inputs": {"x": [[1, 2, 3]]}}), (200, {"outputs": [[1, 2, 3]]}))
        self.assertEqual(self.predict("pair", {"inputs": {"a": [1, 2], "b": [3, 4]}}),
                         (200, {"outputs": {"sum": [4, 6], "product": [3, 8]}}))
        self.assertEqual(self.predict("columns/versions/2", {"inputs": {"a": [[1]], "b": [[2]]}})[0], 200)

    def test_state(self):
        status, _, body = self.ask("GET", "/v1/models/columns")
        states = json.loads(body)["model_version_status"]
        self.assertEqual([(s["version"], s["state"]) for s in states], [("2", "AVAILABLE"), ("1", "AVAILABLE")])
        self.assertEqual(len(json.loads(self.ask("GET", "/v1/models/columns/versions/1")[2])["model_version_status"]), 1)
        self.assertEqual(self.ask("GET", "/v1/models/nobody")[0], 404)

    def test_predict_refuses(self):
        for name, body, text in (
                ("rows", {}, "instances is missing"),
                ("rows", {"instances": 1}, "instances: expected a list"),
                ("rows", {"instances": [[1, 2]]}, "instances: found shape [1,2]"),
                ("rows", {"instances": [[1, 2, 3], [1, 2]]}, "instances[1]: found a list of 2"),
                ("rows", {"instances": [[1, 2, 3]], "inputs": []}, "the body has instances already"),
                ("rows", {"inputs": [[1, 2, 3]], "more": 1}, "more: no such member"),
                ("columns", {"instances": [[1, 2]]}, "the model has 2 inputs"),
                ("columns", {"instances": [{"a": [1], "b": [2]}, {"a": [1]}]}, "instances[1] lacks 'b'"),
                ("columns", {"instances": [{"a": [1], "b": [2], "c": [3]}]}, "instances[0].c: the model has no such input"),
                ("columns", {"instances": [{"a": [1]}]}, "'b' is missing"),
                ("columns", '{"instances":[{"a":[1],"a":[1],"b":[2]}]}', "instances[0].a: given twice"),
                ("columns", '{"inputs":{"a":[[1]],"a":[[1]],"b":[[2]]}}', "inputs.a: given twice"),
                ("columns", '{"instances":[{"a":[1]},{"b":[1]}]}', "instances[1].b: a row before lacks it"),
                ("columns", '{"instances":[{"a":[1],', "")):
            answer = self.predict(name, body)
            self.assertEqual(answer[0], 400, body)
            self.assertIn(text, answer[1]["error"])
        self.assertEqual(self.predict("nobody", {"instances": [1]})[0], 404)
        self.assertEqual(self.server.post("/v1/models/rows:explain", {"instances": [1]})[0], 404)

    def test_invocations(self):
        frame = {"columns": ["p", "q", "r"], "index": [0, 1], "data": [[1, 2, 3], [4, 5, 6]]}
        for body in ({"dataframe_split": frame}, {"instances": frame["data"]}, {"inputs": frame["data"]},
                     {"dataframe_records": [dict(zip(frame["columns"], row)) for row in frame["data"]]}):
            status, answer = self.server.post("/invocations", body)
            self.assertEqual((status, *answer.values()), (200, frame["data"]), body)
        for body, text in (({"dataframe_records": [{"p": 1, "q": 2, "r": 3}, {"p": 1, "r": 2, "q": 3}]}, "the first row does not"),
                           ({"dataframe_records": [{"p": 1, "q": 2, "r": 3}, {"p": 1}]}, "lacks columns"),
                           ({"dataframe_split": {"columns": ["p"]}}, "dataframe_split.data is missing"),
                           ({"dataframe_split": {"columns": ["p"], "data": [["x"]]}}, "dataframe_split")):
            status, answer = self.server.post("/invocations", body)
            self.assertEqual(status, 400)
            self.assertIn(text, answer["error"])
        self.assertEqual(self.ask("GET", "/ping")[0], 200)

    def test_columns_of_a_frame_are_inputs(self):
        from serving import Server
        with Server([f"{WORK}/columns.onnx"]) as server:
            want = {"predictions": [{"sum": [3], "product": [2]}, {"sum": [7], "product": [12]}]}
            for body in ({"dataframe_split": {"columns": ["b", "a"], "data": [[2, 1], [4, 3]]}},
                         {"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}):
                self.assertEqual(server.post("/invocations", body), (200, want))
            ab = ["a", "b"]
            for columns, data, text in ((ab, [[1]], "fewer values"), (ab, [[1, 2, 3]], "more values"),
                                        (["a", "c"], [[1, 2]], "columns: the model has no input 'c'"),
                                        (["a", "a"], [[1, 2]], "columns: 'a' is given twice"),
                                        (["a", 1], [[1, 2]], "columns: expected strings"),
                                        (1, [[1, 2]], "columns: expected a list"),
                                        (ab, [1], "data: expected a list")):
                status, answer = server.post("/invocations", {"dataframe_split": {"columns": columns, "data": data}})
                self.assertEqual(status, 400)
                self.assertIn(text, answer["error"])

    def test_names_of_columns_may_be_escaped(self):
        from serving import Server
        words = model([onnx.node("Identity", ["größe"], ["y"]), onnx.node("Identity", ["b"], ["z"])],
                      *([(n, onnx.FLOAT, ["n"]) for n in names] for names in (["größe", "b"], ["y", "z"])))
        (WORK / "words.onnx").write_bytes(words)
        with Server([f"{WORK}/words.onnx"]) as server:
            body = '{"dataframe_split":{"data":[[1,2],[3,4]],"columns":["gr\\u00f6\\u00dfe","b"]}}'
            self.assertEqual(server.post("/invocations", body),
                             (200, {"predictions": [{"y": 1, "z": 2}, {"y": 3, "z": 4}]}))


if __name__ == "__main__":
    sys.exit(main())
