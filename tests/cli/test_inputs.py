#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `run` makes of files: requests to the server, tables, pictures, and the labels of results. Standard library only."""
import json
import math
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import lab  # noqa: E402
import suite  # noqa: E402
from onnx_bytes import FLOAT, INT64, STRING, node, simple  # noqa: E402


class Inputs(lab.Case):
    workspace = False

    def same(self, name, *inputs):
        """Every input comes out again as out_NAME."""
        return self.write(name, simple([node("Identity", [n], ["out_" + n]) for n, _, _ in inputs], list(inputs),
                                       [("out_" + n, t, s) for n, t, s in inputs]))

    def outputs(self, *words, **options):
        return {n.removeprefix("out_"): o["data"] for n, o in self.ask("run", *words, **options)["outputs"].items()}


class Requests(Inputs):
    def setUp(self):
        super().setUp()
        self.same("one.onnx", ("x", FLOAT, ["n", 2]))
        self.same("two.onnx", ("a", FLOAT, [2]), ("b", INT64, ["n"]))

    def body(self, model, text):
        return self.outputs(model, self.write("body.json", text))

    def test_bodies_of_score(self):
        for text in ('{"data": [[1,2],[3,4]]}', '{"data": {"x": [[1,2],[3,4]]}}', '{"x": [[1,2],[3,4]]}', '\ufeff{"data": [1,2,3,4]}'):
            with self.subTest(text):
                self.assertEqual(self.body("one.onnx", text), {"x": [[1, 2], [3, 4]]})
        self.assertEqual(self.body("two.onnx", '{"data": {"b": [7], "a": [1, 2]}}'), {"a": [1, 2], "b": [7]})
        self.assertEqual(self.body("one.onnx", '{"data": [[NaN, null]]}'), {"x": [["NaN", "NaN"]]})

    def test_bodies_of_v2(self):
        text = json.dumps({"id": "7", "inputs": [{"name": "b", "shape": [3], "datatype": "INT64", "data": [1, 2, 3]},
                                                 {"name": "a", "shape": [2], "datatype": "FP32", "data": [0.5, 1]}]})
        self.assertEqual(self.body("two.onnx", text), {"a": [0.5, 1], "b": [1, 2, 3]})
        self.assertEqual(self.outputs("two.onnx", "-", input=text), {"a": [0.5, 1], "b": [1, 2, 3]})

    def test_inputs_of_these_names_are_no_envelopes(self):
        self.same("data.onnx", ("data", FLOAT, [2]), ("inputs", FLOAT, [1]))
        self.assertEqual(self.body("data.onnx", '{"data": [1,2], "inputs": [3]}'), {"data": [1, 2], "inputs": [3]})

    def test_what_is_wrong(self):
        for text, said in (('{"data": [[1,2,3]]}', "data: found shape [1,3], expected [n,2]"), ('{"data": {"xx": [1]}}', "did you mean 'x'?"),
                           ('{"data": [[1,2]]', "body.json"), ('{"inputs": [{"name": "x", "shape": [1,2], "datatype": "INT64", "data": [1,2]}]}',
                                                               "input 'x' expects FP32"),
                           ('{"inputs": []}', "'x' is missing"), ('{"data": [["a",2]]}', "data[0][0]: found a string")):
            with self.subTest(text):
                self.assertIn(said, self.fails("run", "one.onnx", self.write("body.json", text)))


if __name__ == "__main__":
    sys.exit(suite.run())
