#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""convert --verify: what the framework computes beside what the model computes, the proof that is kept with the model,
and what is said when the two differ or the framework is not there."""
import json
import os
import pathlib
import pickle
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter("convert")

import lightgbm  # noqa: E402
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import xgboost  # noqa: E402
from sklearn.linear_model import LogisticRegression  # noqa: E402

import suite  # noqa: E402
from harness import command, scratch  # noqa: E402

RNG = np.random.default_rng(3)
X = RNG.normal(size=(120, 4)).astype(np.float32)
YES = (X[:, 0] > X[:, 1]).astype(int)
PYTHON = ("--python", sys.executable)
# A framework that finds other numbers than the one that made the model.
LIAR = """
import numpy
class DMatrix:
    def __init__(self, x): self.x = x
class Booster:
    def __init__(self, model_file): pass
    def predict(self, data, validate_features): return numpy.full(len(data.x), 0.25, numpy.float32)
    def save_config(self): return '{"learner": {"objective": {"name": "reg:squarederror"}}}'
"""


class Verify(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = scratch("model.ubj")
        xgboost.train({"max_depth": 3}, xgboost.DMatrix(X, YES), 4).save_model(cls.model)

    def convert(self, source, *options, good=True, **more):
        self.target = pathlib.Path(scratch("verified.onnx"))
        self.target.unlink(missing_ok=True)
        done = command("convert", source, "-o", self.target, *options, **more)
        self.assertEqual(done.returncode, 0 if good else 1, done.stderr)
        self.assertEqual(self.target.exists(), good)
        self.assertEqual([p.name for p in self.target.parent.iterdir() if "trial" in p.name], [])
        return done

    def proof(self):
        model = onnx.load(self.target)
        onnx.checker.check_model(model, full_check=True)
        entries = [p.value for p in model.metadata_props if p.key == "proof"]
        self.assertEqual(len(entries), 1)
        shown = json.loads(command("inspect", self.target, "--json").stdout)["summary"]["custom_metadata"]
        self.assertEqual(shown["proof"], entries[0])
        self.assertTrue(shown["source.digest"].startswith("sha256:"))
        return json.loads(entries[0])

    def test_random_rows(self):
        done = self.convert(self.model, "--verify", "random", *PYTHON)
        self.assertIn("256 rows of 1 output are what the framework computes", done.stderr)
        proof = self.proof()
        self.assertEqual((proof["data"], proof["rows"]), ("random", 256))
        self.assertEqual(proof["outputs"]["prediction"]["largest_difference"], 0)
        self.assertEqual(proof["versions"]["xgboost"], xgboost.__version__)

    def test_rows_of_a_file(self):
        for name, write in (("rows.npy", lambda p: np.save(p, X)), ("rows.npz", lambda p: np.savez(p, input=X)),
                            ("rows.csv", lambda p: np.savetxt(p, X, delimiter=","))):
            with self.subTest(name):
                write(scratch(name))
                done = self.convert(self.model, "--verify", scratch(name), "--json", *PYTHON)
                self.assertEqual(json.loads(done.stdout)["proof"], self.proof())
                self.assertEqual(self.proof()["rows"], 120)

    def test_other_frameworks(self):
        text = scratch("model.txt")
        lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(X, YES), 4).save_model(text)
        self.convert(text, "--verify", "random", *PYTHON)
        self.assertEqual(set(self.proof()["outputs"]), {"label", "probabilities"})
        with open(scratch("model.pkl"), "wb") as file:
            pickle.dump(LogisticRegression().fit(X, YES), file)
        self.convert(scratch("model.pkl"), "--verify", "random", "--trust", *PYTHON)
        self.assertIn("sklearn", self.proof()["versions"])

    def test_a_difference_is_a_failure(self):
        folder = pathlib.Path(scratch("liar"))
        folder.mkdir()
        (folder / "xgboost.py").write_text(LIAR)
        os.environ["PYTHONPATH"] = str(folder)
        try:
            done = self.convert(self.model, "--verify", "random", *PYTHON, good=False)
        finally:
            del os.environ["PYTHONPATH"]
        self.assertIn("output 'prediction' is not what the framework computes", done.stderr)
        self.assertIn("want 0.25", done.stderr)

    def test_what_is_missing_is_said(self):
        python = pathlib.Path(scratch("bare"))
        python.write_text("#!/bin/sh\necho \"error: the Python bare has no module 'xgboost'\" >&2\nexit 1\n")
        python.chmod(0o755)
        done = self.convert(self.model, "--verify", "random", "--python", python, good=False)
        self.assertIn("no module 'xgboost'", done.stderr)
        self.assertIn("--python names", done.stderr)
        self.assertIn("no program 'nowhere'", self.convert(self.model, "--verify", "random", "--python", "nowhere",
                                                           good=False).stderr)
        self.assertIn("none.npy", self.convert(self.model, "--verify", scratch("none.npy"), *PYTHON, good=False).stderr)


if __name__ == "__main__":
    sys.exit(suite.run())
