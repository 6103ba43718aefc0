#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page's listings, every edition verbatim and in order, with the answers and failures that plain Python gives; and the same
scripts put right, on MNIST."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv  # noqa: E402

SHARED = venv.ROOT.parent / "shared"
if not (SHARED / "page").is_dir():
    venv.skip("../shared/page, the listings, is not there")
venv.enter("azureml")
import house  # noqa: E402
from lab import COMMAND, FLOAT, Case, node, simple  # noqa: E402
import numpy  # noqa: E402
import suite  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PAGE, MNIST = SHARED / "page", SHARED / "models/seed/mnist-cntk"
BODY = json.dumps({"data": [[[[1, 2], [3, 4]]]]})
FOUND = {  # what the dry run says of each edition's score.py
    "ja": ["no model 'MyONNXModel'", "did you mean 'MyONNXmodel'?", "name 'time' is not defined", "answers with status 200"],
    None: ["gets float64, the model wants float32", "'list' object has no attribute 'tolist'", "opens the model on every request",
           "answers with status 200"]}
# What a script does under plain Python: its answer, or the exception.
PLAIN = """
import json, sys
sys.path.insert(0, ".")
import score
try:
    score.init()
    print(json.dumps(["answer", score.run(sys.argv[1])]))
except Exception as error:
    print(json.dumps([type(error).__name__, getattr(error, "message", str(error))]))
"""


class Editions(Case):
    @classmethod
    def setUpClass(cls):
        kept = tempfile.TemporaryDirectory(prefix="sardonyx-house-")
        cls.addClassCleanup(kept.cleanup)
        venv.install("bindings/python")
        house.pip("install", "-q", "--no-build-isolation", "--no-deps", "--force-reinstall", venv.ROOT / "compat/azureml")
        cls.environment = {**house.build(pathlib.Path(kept.name) / "wheels"), "SARDONYX": COMMAND}

    def python(self, *words):
        done = subprocess.run([sys.executable, *map(str, words)], cwd=self.folder, env=self.environment, capture_output=True, text=True,
                              check=False, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def in_place(self, edition, script=None, model=None):
        """A model file, score.py and myenv.yml; in the order of the page they come after the steps that need them."""
        folder = PAGE / edition
        self.write("path to model", simple([node("Add", ["input1", "input2"], ["output1"]), node("Sub", ["input1", "input2"], ["output2"])],
                                           [("input1", FLOAT, [1, 3]), ("input2", FLOAT, [1, 3])],
                                           [("output1", FLOAT, [1, 3]), ("output2", FLOAT, [1, 3])]))
        self.write("model.onnx", model or simple([node("Add", ["inX", "inX"], ["outY"])], [("inX", FLOAT, ["b", 1, 2, 2])],
                                                 [("outY", FLOAT, ["b", 1, 2, 2])]))
        self.write("score.py", script or (folder / "8_score.py").read_bytes())
        self.write("azureml-models/MyONNXmodel/1/model.onnx", (self.folder / "model.onnx").read_bytes())
        last = max(folder.iterdir())
        if last.suffix == ".yml":
            self.write("myenv.yml", last.read_bytes())
        else:
            self.python(last)

    def listings(self, edition, *bodies):
        subprocess.run(["sh", "-e", PAGE / edition / "1_install.sh"], cwd=self.folder, env=self.environment, check=True, capture_output=True)
        said = self.python(HERE / "listings.py", PAGE / edition, *(bodies or [BODY]))
        return json.loads((self.folder / "result.json").read_text()), said

    def plain(self):
        return json.loads(self.python("-c", PLAIN, BODY))


class Page(Editions):
    def edition(self, edition):
        self.in_place(edition)
        found, said = self.listings(edition)
        self.assertEqual(len(found["run"]), 8)
        self.assertEqual(found["results"], [[[3.0, 3.0, 3.0]], [[-1.0, -1.0, -1.0]]])
        self.assertEqual((found["first"], found["model"], found["tags"], found["image"]),
                         (["input1", "output1"], "MyONNXmodel:1", {"onnx": ""}, "myonnxmodelimage:1"))
        self.assertIn("lab\nlocal\nlocal\n00000000-0000-0000-0000-000000000000\n", said)
        for text in FOUND.get(edition, FOUND[None]):
            self.assertIn(text, said)
        return found["service"]

    def swallowed(self, edition):
        """The script hides its failure: the answer has status 200 and the text that plain Python gives."""
        service, (kind, value) = self.edition(edition), self.plain()
        self.assertEqual(kind, "answer")
        self.assertEqual(service["answers"], [[200, json.dumps(value)]])
        self.assertEqual((service["refused"], service["runs"], service["state"]), (401, [value], "Healthy"))
        self.assertIn("Unexpected input data type", value)

    def test_fr(self):
        self.swallowed("fr")

    def test_it(self):
        self.swallowed("it")

    def test_pt(self):
        self.swallowed("pt")

    def test_ru(self):
        self.swallowed("ru")

    def test_ja(self):
        service, (kind, text) = self.edition("ja"), self.plain()
        self.assertEqual(kind, "ModelNotFoundException")
        self.assertEqual(service["error"]["line"], 9)
        self.assertIn("init() fails in line 9: ModelNotFoundException: Model MyONNXModel not found", service["error"]["message"])
        self.assertIn("Model MyONNXModel not found", text)
        self.assertIn("get_model_path(model_name = 'MyONNXModel')", service["failed"])
        self.assertIn("get_model_path(model_name = 'MyONNXModel')", service["logs"])

    def test_ja_with_the_right_name(self):
        """Its next defect shows, as under plain Python."""
        self.in_place("ja", (PAGE / "ja/8_score.py").read_text().replace("MyONNXModel", "MyONNXmodel"))
        found, _ = self.listings("ja")
        self.assertEqual(found["service"]["answers"], [[200, json.dumps({"error": "name 'time' is not defined"})]])
        self.assertEqual(self.plain(), ["answer", *found["service"]["runs"]])


RIGHT = {  # what is to be put right of a score.py: (found, instead)
    "ja": [("import json", "import json, time"), ("MyONNXModel", "MyONNXmodel")],
    "fr": [("np.array(data)", "np.array(data, dtype=np.float32)"), ("result.tolist()", "result[0].tolist()"), ("outY", "Plus214_Output_0"),
           ("inX", "Input3")]}


@unittest.skipUnless(MNIST.is_dir(), "../shared/models, with MNIST, is not there")
class Mnist(Editions):
    def digits(self, edition):
        script = (PAGE / edition / "8_score.py").read_text()
        for found, instead in RIGHT[edition]:
            self.assertIn(found, script)
            script = script.replace(found, instead)
        self.in_place(edition, script, (MNIST / "mnist-8.onnx").read_bytes())
        data = [numpy.load(path) for path in sorted(MNIST.glob("mnist-1_test_data_*.npz"))]
        found, _ = self.listings(edition, *(json.dumps({"data": [d["inputs"].tolist()]}) for d in data))
        self.assertEqual(len(found["service"]["runs"]), 3)
        for answer, wanted in zip(found["service"]["runs"], (d["outputs"] for d in data)):
            logits = numpy.array((json.loads(answer) if isinstance(answer, str) else answer)["result"]).reshape(1, 10)
            numpy.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-2)
            self.assertEqual(logits.argmax(), wanted.argmax())

    def test_fr(self):
        self.digits("fr")

    def test_ja(self):
        self.digits("ja")


if __name__ == "__main__":
    sys.exit(suite.run(0))
