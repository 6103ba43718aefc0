#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""LibSVM models, trained here and found in the wild, against their own predictions row by row, within 1e-12.

    tests/convert/test_libsvm.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import ctypes
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter("convert")

import numpy as np  # noqa: E402
from libsvm import svmutil  # noqa: E402

import suite  # noqa: E402
from harness import NATIVE, Model, command, same, scratch  # noqa: E402

RNG = np.random.default_rng(10)
ROWS, FEATURES = 120, 5
X = RNG.normal(size=(ROWS, FEATURES)) * (RNG.random((ROWS, FEATURES)) < 0.8)
TWO, FOUR, REAL = RNG.integers(0, 2, ROWS) * 2 - 1, RNG.integers(3, 7, ROWS), RNG.normal(size=ROWS)
CLOSE = 1e-12

# name: label, options of svm-train
CASES = {
    "linear": (TWO, "-t 0"),
    "polynomial": (TWO, "-t 1 -r 1"),
    "polynomial of degree 7": (TWO, "-t 1 -d 7 -g 0.2 -r 0.5"),
    "polynomial of degree 0": (TWO, "-t 1 -d 0 -r 0.5"),
    "rbf": (TWO, "-t 2"),
    "rbf, dear errors": (TWO, "-t 2 -c 1000 -g 3"),
    "sigmoid": (TWO, "-t 3 -g 0.1 -r -0.5"),
    "two classes, weighted": (TWO, "-t 2 -w1 5"),
    "two classes with probability": (TWO, "-t 2 -b 1"),
    "classes": (FOUR, "-t 2 -c 10"),
    "classes, linear": (FOUR, "-t 0"),
    "classes with probability": (FOUR, "-t 2 -b 1"),
    "many classes with probability": (RNG.integers(-4, 8, ROWS), "-t 1 -b 1"),
    "nu": (TWO, "-s 1 -n 0.3"),
    "nu, classes with probability": (FOUR, "-s 1 -n 0.2 -b 1"),
    "one class": (TWO, "-s 2 -n 0.3"),
    "one class with probability": (TWO, "-s 2 -n 0.3 -b 1"),
    "one class, linear": (TWO, "-s 2 -t 0"),
    "epsilon regression": (REAL, "-s 3 -c 50"),
    "epsilon regression, polynomial": (REAL, "-s 3 -t 1 -r 1 -b 1"),
    "nu regression": (REAL, "-s 4 -n 0.4"),
    "no support vectors": (np.zeros(ROWS), "-s 3 -p 10"),
}


def train(y, options, x=X):
    model = svmutil.svm_train(list(map(float, y)), x, options + " -q")
    svmutil.svm_save_model(scratch("svm.model"), model)
    return svmutil.svm_load_model(scratch("svm.model"))  # as it is written: values have eight digits


def predict(model, rows):
    """Results and decisions: svmutil.svm_predict has room for a single decision where the classes are of nu_svc."""
    kind, classes = model.get_svm_type(), model.get_nr_class()
    decisions = (ctypes.c_double * (classes * (classes - 1) // 2 if kind < 2 else 1))()
    results, all_decisions = [], []
    for row in rows:
        nodes, _ = svmutil.gen_svm_nodearray(row, isKernel=model.param.kernel_type == 4)
        results.append(svmutil.libsvm.svm_predict_values(model, nodes, decisions))
        all_decisions.append(list(decisions))
    return np.array(results), np.array(all_decisions)


def check(model, x, path=None, distance=CLOSE):
    ours = Model(path or scratch("svm.model"), distance=CLOSE)
    got = ours(input=x[:, :ours.witness.get_inputs()[0].shape[1]])
    rows, kind = [dict(enumerate(row, 1)) for row in x.tolist()], model.get_svm_type()
    label, decisions = predict(model, rows)
    if kind in (3, 4):
        same("prediction", got["prediction"], label, distance=distance)
        return ours
    same("decision values", got["decision_values"], decisions, distance=distance)
    same("label", got["label"], label.astype(np.int64))
    if model.is_probability_model():
        label, _, p = svmutil.svm_predict([0] * len(x), rows, model, "-q -b 1")
        same("probabilities", got["probabilities"], np.array(p), distance=distance)
        if kind < 2:
            same("probable label", got["probable_label"], np.array(label, np.int64))
    return ours


class Trained(unittest.TestCase):
    def try_case(self, name):
        rows = np.concatenate([X, RNG.normal(size=(200, FEATURES)) * 3])
        return check(train(*CASES[name]), rows)

    def test_sparse_columns(self):
        """Columns between those of support vectors count in distances, though no vector has a value there."""
        for kernel in range(4):
            x = np.zeros((ROWS, 300))
            x[:, [2, 17, 255]] = X[:, :3]
            model = train(TWO, f"-t {kernel}", [dict((i + 1, v) for i, v in enumerate(r) if v) for r in x.tolist()])
            rows = np.concatenate([x[:, :256], RNG.normal(size=(50, 256)) * (RNG.random((50, 256)) < 0.1)])
            check(model, rows)

    def test_precomputed(self):
        kernel = X @ X.T
        with_serial = np.concatenate([np.arange(1, ROWS + 1)[:, None], kernel], 1)
        for y, options in ((FOUR, "-t 4 -b 1"), (REAL, "-s 3 -t 4"), (TWO, "-s 2 -t 4")):
            rows = [dict(enumerate(r)) for r in with_serial.tolist()]
            model = svmutil.svm_train(list(map(float, y)), rows, options + " -q")
            svmutil.svm_save_model(scratch("svm.model"), model)
            model = svmutil.svm_load_model(scratch("svm.model"))
            got = Model(scratch("svm.model"), distance=CLOSE)
            width = got.witness.get_inputs()[0].shape[1]
            got = got(input=kernel[:, :width])
            label, decisions = predict(model, rows)
            if "prediction" in got:
                same("prediction", got["prediction"], label, distance=CLOSE)
            else:
                same("decision values", got["decision_values"], decisions, distance=CLOSE)
                same("label", got["label"], label.astype(np.int64))

    def test_few_rows(self):
        for name in ("classes with probability", "one class with probability", "rbf"):
            model = self.try_case(name)
            for rows in (0, 1):
                self.assertEqual(model(input=np.zeros((rows, FEATURES)))["label"].shape, (rows,))

    def test_old_opsets(self):
        model = train(*CASES["classes with probability"])
        for opset in (11, 13, 17):
            x = RNG.normal(size=(40, FEATURES))
            got = Model(scratch("svm.model"), "--opset", opset, distance=CLOSE)(input=x)
            _, _, p = svmutil.svm_predict([0] * 40, x, model, "-q -b 1")
            same("probabilities", got["probabilities"], np.array(p), distance=CLOSE)

    def test_what_is_wrong_is_named(self):
        train(*CASES["classes"])
        text = pathlib.Path(scratch("svm.model")).read_text(encoding="ascii")
        for old, new, said in (("kernel_type rbf", "kernel_type rfb", "line 2: kernel_type 'rfb' is not known"),
                               ("\nSV\n", "\nSV\nx 1:2\n", ": a coefficient: expected a number"),
                               ("nr_class 4", "nr_class 5", "rho has 6 values, expected 10"),
                               ("\nlabel ", "\nlabel 9223372036854775807.", "is no integer of 32 bits"),
                               ("gamma", "gama", "the keyword 'gama' is not known"),
                               (text[-300:], "\n", "is the file cut short?")):
            pathlib.Path(scratch("wrong.model")).write_text(text.replace(old, new, 1), encoding="ascii")
            done = command("convert", scratch("wrong.model"), "-o", scratch("no.onnx"))
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stderr)


for _name in CASES:
    setattr(Trained, f"test_{_name}", lambda self, n=_name: self.try_case(n))


@unittest.skipUnless(NATIVE.is_dir(), f"SKIPPED: {NATIVE} is absent")
class Found(unittest.TestCase):
    def test_heart(self):
        _, x = svmutil.svm_read_problem(str(NATIVE / "libsvm/heart_scale"), return_scipy=True)
        model = check(svmutil.svm_load_model(str(NATIVE / "libsvm/heart_scale.model")), x.toarray(),
                      NATIVE / "libsvm/heart_scale.model")
        stored = np.loadtxt(NATIVE / "libsvm/heart_scale_out")
        same("label", model(input=x.toarray())["label"], stored.astype(np.int64))


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
