#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `run` makes of files: requests to the server, tables, pictures, and the labels of results. Standard library only."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import lab  # noqa: E402
import suite  # noqa: E402
from onnx_bytes import FLOAT, INT64, STRING, block, node, scaled, simple  # noqa: E402


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


class Tables(Inputs):
    def setUp(self):
        super().setUp()
        self.same("rows.onnx", ("x", FLOAT, ["n", 3]))
        self.same("mixed.onnx", ("age", INT64, ["n", 1]), ("height", FLOAT, ["n"]), ("town", STRING, ["n", 1]))

    def table(self, model, text, *words):
        return self.outputs(model, self.write("t.csv", text), *words)

    def test_features(self):
        rows = {"x": [[1, 2, 3], [4, 5.5, -6]]}
        for text in ("1,2,3\n4,5.5,-6\n", "a,b,c\n1,2,3\n4,5.5,-6", "\ufeffa;b;c\r\n1;2;3\r\n4;5,5;-6\r\n", "a\tb\tc\n1\t2\t3\n\n4\t5.5\t-6\n",
                     "x[2],x[0],x[1]\n3,1,2\n-6,4,5.5\n", '"a","b, c","d ""e"""\n"1",2, 3\n4,5.5,-6\n'):
            with self.subTest(text):
                self.assertEqual(self.table("rows.onnx", text), rows)
                self.assertEqual(self.outputs("rows.onnx", "-", input=text), rows)
        self.assertEqual(self.outputs("rows.onnx", "x=t.csv"), rows)

    def test_columns_are_named_after_inputs(self):
        got = self.table("mixed.onnx", 'town,id,height,age\r\n"Bern, CH",7,1.75,30\r\n"say ""hi""\nthere",8,,41\r\n')
        self.assertEqual(got, {"age": [[30], [41]], "height": [1.75, "NaN"], "town": [["Bern, CH"], ['say "hi"\nthere']]})
        self.assertIn("column 2 'id' is no input", self.command("run", "mixed.onnx", "t.csv").stderr)
        self.assertEqual(self.table("mixed.onnx", "3,0.5,Ulm\n")["town"], [["Ulm"]])
        self.same("large.onnx", ("n", INT64, ["n"]))
        self.assertEqual(self.table("large.onnx", f"n\n{2**63 - 1}\n{-2**63}\n"), {"n": [2**63 - 1, -2**63]})

    def test_what_is_missing(self):
        for word in ("", "NA", "nan", "NULL", "N/A"):
            self.assertEqual(self.table("rows.onnx", f"1,{word},3\n"), {"x": [[1, "NaN", 3]]})
        self.assertIn("row 2, column 1 'age': '' is a missing value, which int64 cannot hold",
                      self.fails("run", "mixed.onnx", self.write("t.csv", "age,height,town\n1,2,a\n,2,b\n")))

    def test_what_is_wrong(self):
        for model, text, said in (("rows.onnx", "1,2\n3,4\n", "2 rows of 2 columns do not fit input 'x', which takes float[n,3]"),
                                  ("rows.onnx", "a,b,c\n1,2,3\n1,2\n", "line 3: 2 fields, the lines before it have 3"),
                                  ("rows.onnx", "a,b,c\n1,two,3\n", "row 1, column 2 'b': 'two' is no number"),
                                  ("rows.onnx", "a,b,c\n", "no rows below"), ("rows.onnx", "", "nothing in it"),
                                  ("rows.onnx", 'a,b,c\n1,"2,3\n', "line 2: the quote that opens"),
                                  ("rows.onnx", "x[0],x[1],x[1]\n1,2,3\n", "x[0] to [2] once"),
                                  ("rows.onnx", "a\0b", "UTF-16"), ("mixed.onnx", "agge,height,town\n1,2,a\n", "did you mean 'age'?"),
                                  ("mixed.onnx", "p,q,r\nu,v,w\n", "its inputs are: 'age', 'height', 'town'"),
                                  ("mixed.onnx", "age,height,town\n1.5,2,a\n", "'1.5' is a number that int64 cannot hold"),
                                  ("mixed.onnx", "1,2\n", "2 columns without names for 3 inputs that take 3")):
            with self.subTest(text):
                self.assertIn(said, self.fails("run", model, self.write("t.csv", text)))

    def test_results(self):
        self.table("mixed.onnx", 'age,height,town\n1,0.1,"a,b"\n2,NA,"say ""x"""\n')
        self.command("run", "mixed.onnx", "t.csv", "-o", "y.csv")
        text = (self.folder / "y.csv").read_text()
        self.assertEqual(text, 'out_age,out_height,out_town\n1,0.1,"a,b"\n2,NaN,"say ""x"""\n')
        self.command("run", "rows.onnx", "x=[[1,2,3],[4,5,6]]", "-o", "y.csv")
        self.assertEqual((self.folder / "y.csv").read_text(), "out_x[0],out_x[1],out_x[2]\n1,2,3\n4,5,6\n")
        self.same("odd.onnx", ("a", FLOAT, [2]), ("b", FLOAT, [3]))
        self.assertIn("'out_a' of 2 rows and 'out_b' of 3", self.fails("run", "odd.onnx", "--random", "-o", "y.csv"))


class Hints(Inputs):
    def test_what_was_meant(self):
        self.same("m.onnx", ("left", FLOAT, ["n", 3]), ("right", FLOAT, [2, 2]))
        self.write("r.json", "[[1,2,3]]")
        for words, said, code in ((("lefft=[1,2,3]",), "did you mean 'left'?", 2), (("left=[[1,2,3,4]]",), "dimension 1 is 4, expected 3", 1),
                                  (("left=[1,2]",), "2 elements, expected a multiple of 3", 1), (("right=[1,2,3]",), "3 elements, expected 4", 1),
                                  (("right=[[[1,2],[3,4]],[[1,2],[3,4]]]",), "8 elements, expected 4", 1),
                                  (("r.json", "right=[1,2,3,4]", "r.json"), "its inputs are: left, right", 2),
                                  (("[1,2,3]",), "a value needs the name of its input: 'left=[1,2,3]'", 1),
                                  (("left",), "that is an input; give it a value: left=FILE", 1), (("r.jsn",), "did you mean r.json?", 1)):
            with self.subTest(words):
                self.assertIn(said, self.fails("run", "m.onnx", *words, code=code))
        self.command("run", "m.onnx", "--random", "-o", "z.npz", "--outputs", "out_left,out_right")
        said = self.fails("run", "m.onnx", "left=z.npz")
        self.assertIn("no array named 'left' among 2", said)


class Pictures(Inputs):
    """Grey pictures of 4 x 2 pixels, the left half black, the right half white."""

    def setUp(self):
        super().setUp()
        self.write("p.pgm", b"P5 4 2 255\n" + bytes([0, 0, 255, 255] * 2))
        self.write("p.ppm", b"P6 2 2 255\n" + bytes([255, 0, 0] * 4))

    def pixels(self, height, width, *words, picture="p.pgm", channels=1):
        model = self.same(f"{channels}x{height}x{width}.onnx", ("x", FLOAT, [1, channels, height, width]))
        done = self.command("run", model, picture, "--image-scale", 1, "--json", *words)
        return json.loads(done.stdout)["outputs"]["out_x"]["data"][0], done.stderr

    def test_a_picture_that_fits_is_not_talked_about(self):
        self.assertEqual(self.pixels(2, 4), ([[[0, 0, 255, 255]] * 2], ""))

    def test_stretch(self):
        pixels, said = self.pixels(2, 2)
        self.assertEqual([[round(x) for x in row] for row in pixels[0]], [[36, 219]] * 2)
        self.assertIn("note: p.pgm: resized from 4 x 2 to 2 x 2 pixels, stretched (--fit letterbox or crop", said)
        self.assertIn("resized from 4 x 2 to 8 x 4 pixels\n", self.pixels(4, 8)[1])

    def test_letterbox(self):
        pixels, said = self.pixels(4, 4, "--fit", "letterbox")
        self.assertEqual(pixels, [[[0] * 4, [0, 0, 255, 255], [0, 0, 255, 255], [0] * 4]])
        self.assertIn("between black bars", said)
        self.assertEqual(self.pixels(2, 8, "--fit", "letterbox")[0], [[[0, 0, 0, 0, 255, 255, 0, 0]] * 2])

    def test_crop(self):
        pixels, said = self.pixels(2, 2, "--fit", "crop")
        self.assertEqual(pixels, [[[0, 255]] * 2])
        self.assertIn("its middle", said)

    def test_none(self):
        model = self.same("m.onnx", ("x", FLOAT, [1, 1, 2, 2]))
        said = self.fails("run", model, "p.pgm", "--fit", "none")
        self.assertIn("4 x 2 pixels, the input takes 2 x 2; --fit stretch, letterbox or crop", said)
        self.assertIn("expected stretch, letterbox, crop or none", self.fails("run", model, "p.pgm", "--fit", "box", code=2))

    def test_channels(self):
        pixels, said = self.pixels(2, 4, channels=3)
        self.assertEqual(pixels, [[[0, 0, 255, 255]] * 2] * 3)
        self.assertIn("grey made RGB", said)
        self.assertIn("colour made grey", self.pixels(2, 2, picture="p.ppm")[1])
        self.assertEqual(self.pixels(2, 2, picture="p.ppm", channels=3)[1], "")


class Labels(Inputs):
    def scores(self, metadata=()):
        """Scores 1, 3, 2 of three classes."""
        pairs = b"".join(block(14, block(1, key) + block(2, text)) for key, text in metadata)
        self.write("m.onnx", simple([node("Identity", ["x"], ["y"])], [("x", FLOAT, [1, 3])], [("y", FLOAT, [1, 3])]) + pairs)

    def labels(self, *words):
        found = self.ask("run", "m.onnx", "x=[1,3,2]", "--top", 2, *words)["outputs"]["y"]["top"]
        self.assertEqual([(t["index"], t["score"]) for t in found], [(1, 3), (2, 2)])
        return [t["label"] for t in found]

    def test_files(self):
        self.scores()
        for text in ("cat\ndog\nbig bird\n", "\ufeffcat\r\ndog\r\nbig bird", '["cat", "dog", "big bird"]', '{"0": "cat", "1": "dog", "2": "big bird"}',
                     '{"cat": 0, "dog": 1, "big bird": 2}', '{"id2label": {"1": "dog", "2": "big bird"}}', "{0: 'cat', 1: \"dog\", 2: 'big bird'}"):
            with self.subTest(text):
                self.assertEqual(self.labels("--labels", self.write("l.txt", text)), ["dog", "big bird"])
        out = self.command("run", "m.onnx", "x=[1,3,2]", "--labels", "l.txt").stdout
        self.assertRegex(out, r"index  score  label\n +1 +3 +dog\n +2 +2 +big bird\n +0 +1 +cat")
        self.assertIn("no labels in it", self.fails("run", "m.onnx", "--random", "--labels", self.write("l.txt", "{}")))
        self.assertIn("cannot open", self.fails("run", "m.onnx", "--random", "--labels", "nowhere.txt"))
        self.assertEqual(self.labels("--labels", self.write("l.txt", "cat\ndog\n")), ["dog", None])

    def test_metadata(self):
        for key, text in (("names", "{0: 'cat', 1: 'dog', 2: 'big bird'}"), ("labels", "cat,dog, big bird"), ("classes", '["cat","dog","big bird"]')):
            with self.subTest(key):
                self.scores([("author", "me"), (key, text)])
                self.assertEqual(self.labels(), ["dog", "big bird"])
        self.assertEqual(self.labels("--labels", self.write("l.txt", "a\nb\nc\n")), ["b", "c"])
        self.scores()
        self.assertNotIn("top", self.ask("run", "m.onnx", "x=[1,3,2]")["outputs"]["y"])


class Defaults(lab.Case):
    """Inputs that have an initializer of their name."""
    workspace = False

    def test_may_be_given(self):
        self.write("m.onnx", scaled())
        for words, y in ((["x=[[1,2,3]]"], [[1, 4, 9]]), (["x=[[1,2,3]]", "w=[2,2,2]"], [[2, 4, 6]]),
                         ([self.write("x.json", '{"data": {"x": [[1, 2, 3]], "w": [0, 1, 0]}}')], [[0, 2, 0]]),
                         ([self.write("x.csv", "1,2,3\n")], [[1, 4, 9]])):
            with self.subTest(words):
                self.assertEqual(self.ask("run", "m.onnx", *words)["outputs"]["y"]["data"], y)
        self.assertEqual(self.ask("inspect", "m.onnx")["summary"]["defaults"], [{"name": "w", "type": "tensor(float)", "shape": [3]}])
        self.assertIn("input with a default", self.command("inspect", "m.onnx").stdout)
        self.command("optimize", "m.onnx", "-o", "m.sdx")
        self.assertEqual(self.ask("run", "m.sdx", "x=[[1,2,3]]", "w=[2,2,2]")["outputs"]["y"]["data"], [[2, 4, 6]])
        self.command("bench", "m.onnx", "--random", "--seconds", "0.1")

    def test_fixed(self):
        self.write("m.onnx", scaled(ir=3))
        words = ["run", "m.onnx", "x=[[1,2,3]]", "w=[2,2,2]"]
        self.assertRegex(self.fails(*words, code=2), "'w' is a constant of the model, fixed at load\n.*overridable_initializers=w")
        y = self.ask(*words, "--option", "overridable_initializers=w")["outputs"]["y"]["data"]
        self.assertEqual(y, [[2, 4, 6]])


if __name__ == "__main__":
    sys.exit(suite.run())
