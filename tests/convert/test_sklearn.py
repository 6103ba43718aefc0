#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scikit-learn models, trained here, against their own predictions row by row. A pickle is a program: it is loaded when
that is asked for, sandboxed, and never otherwise.

    tests/convert/test_sklearn.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import pathlib
import pickle
import sys
import unittest
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter("convert")

import joblib  # noqa: E402
import numpy as np  # noqa: E402
import pandas  # noqa: E402
import skops.io  # noqa: E402
from sklearn import (cluster, compose, decomposition, ensemble, feature_extraction, feature_selection,  # noqa: E402
                     impute, linear_model, naive_bayes, neighbors, neural_network, pipeline, preprocessing, svm, tree)

import suite  # noqa: E402
from harness import Model, command, same, scratch  # noqa: E402

warnings.filterwarnings("ignore")
RNG = np.random.default_rng(12)
ROWS = 300
X = RNG.normal(size=(ROWS, 5)).astype(np.float32)
YES = (X[:, 0] + X[:, 1] * X[:, 2] > 0).astype(int)
CLASS = np.digitize(X[:, 0] + X[:, 3], [-1, 1])
REAL = (X @ np.arange(1, 6) + 1).astype(np.float64)
TRUST = ("--trust", "--python", sys.executable)
# Floats here and doubles there.
CLOSE = 2e-4

MODELS = {
    "logistic": (linear_model.LogisticRegression(), YES),
    "logistic, classes": (linear_model.LogisticRegression(), CLASS),
    "ridge": (linear_model.Ridge(), REAL),
    "lasso": (linear_model.Lasso(), REAL),
    "tree": (tree.DecisionTreeClassifier(max_depth=5), CLASS),
    "forest": (ensemble.RandomForestClassifier(20, max_depth=6, random_state=1), YES),
    "forest, regression": (ensemble.RandomForestRegressor(20, random_state=1), REAL),
    "extra trees": (ensemble.ExtraTreesClassifier(15, random_state=1), CLASS),
    "boosting": (ensemble.GradientBoostingClassifier(n_estimators=20, random_state=1), YES),
    "svc": (svm.SVC(), YES),
    "svr": (svm.SVR(), REAL),
    "neighbours": (neighbors.KNeighborsClassifier(), CLASS),
    "bayes": (naive_bayes.GaussianNB(), CLASS),
    "network": (neural_network.MLPClassifier((8,), max_iter=50, random_state=1), CLASS),
    "pipeline": (pipeline.make_pipeline(preprocessing.StandardScaler(), decomposition.PCA(3, random_state=1),
                                        linear_model.LogisticRegression()), YES),
    "polynomial": (pipeline.make_pipeline(preprocessing.PolynomialFeatures(2), linear_model.Ridge()), REAL),
    "selection": (pipeline.make_pipeline(feature_selection.SelectKBest(k=3), naive_bayes.GaussianNB()), CLASS),
    "scaler": (preprocessing.MinMaxScaler(), YES),
    "means": (cluster.KMeans(3, n_init=1, random_state=1), YES),
}


def check(model, path, rows, distance=CLOSE, **inputs):
    got = Model(path, *TRUST, distance=distance)(**inputs)
    if not hasattr(model, "predict"):
        same("transformed", next(iter(got.values())), model.transform(rows), distance=distance)
        return
    result = got.get("label", next(iter(got.values())))
    want = model.predict(rows)
    if result.dtype.kind == "f":
        same("prediction", np.ravel(result), want, distance=distance)
    else:
        assert (np.ravel(result) == want).all(), f"{np.count_nonzero(np.ravel(result) != want)} labels differ"
    if "probabilities" in got and hasattr(model, "predict_proba"):
        same("probabilities", got["probabilities"], model.predict_proba(rows), distance=distance)


def table():
    frame = pandas.DataFrame({"age": RNG.normal(40, 9, ROWS), "colour": RNG.choice(["rot", "grün", "blau"], ROWS),
                              "income": RNG.normal(9, 2, ROWS), "town": RNG.choice(["Ulm", "Kiel"], ROWS)})
    frame["age"] = frame["age"].astype(np.float32)
    frame["income"] = frame["income"].astype(np.float32)
    return frame


class Trained(unittest.TestCase):
    def try_case(self, name):
        model, y = MODELS[name]
        model.fit(X, y)
        joblib.dump(model, scratch("model.joblib"))
        rows = RNG.normal(size=(200, 5)).astype(np.float32)
        check(model, scratch("model.joblib"), rows, input=rows)

    def test_pipeline_of_a_table(self):
        frame = table()
        numbers = pipeline.make_pipeline(impute.SimpleImputer(), preprocessing.StandardScaler())
        encoder = preprocessing.OneHotEncoder(handle_unknown="ignore")
        for columns in (["colour", "town"], [1, 3]):
            model = pipeline.make_pipeline(
                compose.ColumnTransformer([("n", numbers, ["age", "income"]), ("s", encoder, columns)]),
                linear_model.LogisticRegression()).fit(frame, np.where(YES, "ja", "nein"))
            joblib.dump(model, scratch("table.joblib"), compress=3)
            frame.loc[::9, "colour"] = "lila"
            columns = {name: frame[[name]].to_numpy(object if name in ("colour", "town") else np.float32)
                       for name in frame}
            check(model, scratch("table.joblib"), frame, **columns)

    def test_texts(self):
        texts = np.array([" ".join(RNG.choice(["gut", "schlecht", "teuer", "billig", "rot"], 6)) for _ in range(ROWS)])
        model = pipeline.make_pipeline(feature_extraction.text.TfidfVectorizer(lowercase=False),
                                       linear_model.LogisticRegression())
        model.fit(texts, YES)
        joblib.dump(model, scratch("texts.joblib"))
        check(model, scratch("texts.joblib"), texts, input=texts.astype(object)[:, None])

    def test_files(self):
        model = MODELS["logistic"][0].fit(X, YES)
        for protocol in (2, 4, 5):
            pathlib.Path(scratch("model.pkl")).write_bytes(pickle.dumps(model, protocol))
            check(model, scratch("model.pkl"), X, input=X)
        skops.io.dump(model, scratch("model.skops"))
        check(model, scratch("model.skops"), X, input=X)
        metadata = Model(scratch("model.skops"), *TRUST, "--opset", 17, distance=CLOSE).metadata()
        self.assertTrue(metadata["source.format"].startswith("scikit-learn "))
        self.assertEqual((metadata["source.file"], metadata["source.digest"][:7]), ("model.skops", "sha256:"))


class Evil:
    def __reduce__(self):
        return (open, (scratch("written"), "w"))


class Trust(unittest.TestCase):
    def refused(self, *words):
        done = command(*words)
        self.assertNotEqual(done.returncode, 0)
        self.assertFalse(pathlib.Path(scratch("written")).exists())
        self.assertFalse(pathlib.Path(scratch("no.onnx")).exists())
        return done.stderr

    def test_nothing_is_loaded_unasked(self):
        pathlib.Path(scratch("evil.pkl")).write_bytes(pickle.dumps(Evil()))
        for words in (["convert", scratch("evil.pkl"), "-o", scratch("no.onnx")], ["inspect", scratch("evil.pkl")],
                      ["run", scratch("evil.pkl"), "--random"]):
            said = self.refused(*words)
            self.assertIn("that may run code of the file", said)
            self.assertIn("'sardonyx convert --trust' does it, if you trust the file", said)

    def test_the_sandbox_lets_nothing_be_written(self):
        pathlib.Path(scratch("evil.pkl")).write_bytes(pickle.dumps(Evil()))
        said = self.refused("convert", scratch("evil.pkl"), "-o", scratch("no.onnx"), *TRUST)
        self.assertIn("PermissionError", said)

    def test_what_is_no_model(self):
        pathlib.Path(scratch("list.pkl")).write_bytes(pickle.dumps([1, 2]))
        said = self.refused("convert", scratch("list.pkl"), "-o", scratch("no.onnx"), *TRUST)
        self.assertIn("the file holds an object of type list, which is no model of scikit-learn", said)

    def test_python_without_modules(self):
        joblib.dump(MODELS["logistic"][0].fit(X, YES), scratch("model.joblib"))
        plain = getattr(sys, "_base_executable", "/usr/bin/python3")
        said = self.refused("convert", scratch("model.joblib"), "-o", scratch("no.onnx"), "--trust", "--python", plain)
        self.assertIn("has no module", said)
        self.assertIn("-m pip install", said)


for _name in MODELS:
    setattr(Trained, f"test_{_name}", lambda self, n=_name: self.try_case(n))


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
