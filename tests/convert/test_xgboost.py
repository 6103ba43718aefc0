#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""XGBoost models, trained here and found in the wild, against their own predictions row by row: scores to the bit,
predictions within one unit in the last place.

    tests/convert/test_xgboost.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import json
import pathlib
import sys
import unittest
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter("convert")

import numpy as np  # noqa: E402
import xgboost  # noqa: E402

import suite  # noqa: E402
from harness import NATIVE, Model, command, near_splits, same, scratch  # noqa: E402

warnings.filterwarnings("ignore")
xgboost.set_config(verbosity=0)
RNG = np.random.default_rng(8)
ROWS, FEATURES = 400, 6


def data(categories=()):
    x = RNG.normal(size=(ROWS, FEATURES)).astype(np.float32)
    for feature, count in categories:
        x[:, feature] = RNG.integers(0, count, ROWS)
    x[RNG.random(x.shape) < 0.1] = np.nan
    return x


YES, CLASS = RNG.integers(0, 2, ROWS), RNG.integers(0, 4, ROWS)
REAL, COUNT = RNG.normal(size=ROWS), RNG.poisson(3, ROWS)
TARGETS, LABELS = RNG.normal(size=(ROWS, 3)), RNG.integers(0, 2, (ROWS, 3))

# name: label, parameters beside depth and seed
CASES = {
    "squared error": (REAL, {"objective": "reg:squarederror"}),
    "squared log error": (abs(REAL), {"objective": "reg:squaredlogerror"}),
    "pseudo huber": (REAL, {"objective": "reg:pseudohubererror"}),
    "absolute error": (REAL, {"objective": "reg:absoluteerror"}),
    "quantiles": (REAL, {"objective": "reg:quantileerror", "quantile_alpha": [0.1, 0.5, 0.9]}),
    "logistic regression": (YES, {"objective": "reg:logistic"}),
    "binary": (YES, {"objective": "binary:logistic"}),
    "binary, base score": (YES, {"objective": "binary:logistic", "base_score": 0.3}),
    "binary, raw": (YES, {"objective": "binary:logitraw"}),
    "hinge": (YES, {"objective": "binary:hinge"}),
    "poisson": (COUNT, {"objective": "count:poisson"}),
    "gamma": (COUNT + 1, {"objective": "reg:gamma"}),
    "tweedie": (COUNT, {"objective": "reg:tweedie"}),
    "cox": (COUNT + 1, {"objective": "survival:cox"}),
    "aft": (COUNT + 1, {"objective": "survival:aft"}),
    "softprob": (CLASS, {"objective": "multi:softprob", "num_class": 4}),
    "softmax": (CLASS, {"objective": "multi:softmax", "num_class": 4}),
    "pairwise": (YES, {"objective": "rank:pairwise"}),
    "ndcg": (YES, {"objective": "rank:ndcg"}),
    "map": (YES, {"objective": "rank:map"}),
    "dart": (YES, {"objective": "binary:logistic", "booster": "dart", "rate_drop": 0.3}),
    "dart, classes": (CLASS, {"objective": "multi:softprob", "num_class": 4, "booster": "dart", "rate_drop": 0.3}),
    "linear": (YES, {"objective": "reg:logistic", "booster": "gblinear"}),
    "linear, classes": (CLASS, {"objective": "multi:softprob", "num_class": 4, "booster": "gblinear"}),
    "forest": (CLASS, {"objective": "multi:softprob", "num_class": 4, "num_parallel_tree": 3}),
    "targets": (TARGETS, {"objective": "reg:squarederror"}),
    "vector leaves": (TARGETS, {"objective": "reg:squarederror", "multi_strategy": "multi_output_tree"}),
    "labels": (LABELS, {"objective": "binary:logistic"}),
    "deep": (REAL, {"objective": "reg:squarederror", "max_depth": 12, "min_child_weight": 0}),
    "leaf by leaf": (REAL, {"objective": "reg:squarederror", "grow_policy": "lossguide", "max_leaves": 20,
                            "max_depth": 0}),
    "dart, forests": (CLASS, {"objective": "multi:softmax", "num_class": 4, "booster": "dart", "rate_drop": 0.5,
                              "num_parallel_tree": 2}),
    "linear, poisson": (COUNT, {"objective": "count:poisson", "booster": "gblinear"}),
    "linear, targets": (TARGETS, {"objective": "reg:squarederror", "booster": "gblinear"}),
    "vector leaves, classes": (CLASS, {"objective": "multi:softprob", "num_class": 4,
                                       "multi_strategy": "multi_output_tree"}),
    "vector leaves, labels": (LABELS, {"objective": "binary:logistic", "multi_strategy": "multi_output_tree"}),
    "stumps": (REAL, {"objective": "reg:squarederror", "gamma": 1e9}),
}


def train(y, parameters, x, rounds=25, types=None):
    d = xgboost.DMatrix(x, y, feature_types=types, enable_categorical=types is not None)
    if parameters["objective"].startswith("rank:"):
        d.set_group([ROWS // 4] * 4)
    if parameters["objective"] == "survival:aft":
        d.set_float_info("label_lower_bound", y.astype(np.float32))
        d.set_float_info("label_upper_bound", y.astype(np.float32))
    return xgboost.train({"max_depth": 4, "seed": 1, "nthread": 1, **parameters}, d, rounds)


def splits_of(booster):
    """Of each feature, from a dump that shows every digit."""
    booster.save_model(scratch("splits.json"))
    model = json.loads(pathlib.Path(scratch("splits.json")).read_text())["learner"]["gradient_booster"]
    model = model.get("gbtree", model)["model"]
    splits = [[] for _ in range(FEATURES)]
    for tree in model.get("trees", []):
        for left, feature, value in zip(tree["left_children"], tree["split_indices"], tree["split_conditions"]):
            if left != -1:
                splits[feature].append(value)
    return splits


def check(booster, path, x, options=(), types=None):
    model = Model(path, *options)
    got = model(input=x)
    d = xgboost.DMatrix(x, feature_types=types, enable_categorical=types is not None)
    want, objective = booster.predict(d), json.loads(booster.save_config())["learner"]["objective"]["name"]
    if objective == "multi:softmax":
        same("label", got["label"], want.astype(np.int64))
    elif objective == "multi:softprob":
        same("probabilities", got["probabilities"], want, steps=1)
        same("label", got["label"], want.argmax(1))
    elif objective == "binary:logistic":
        columns = want if want.ndim == 2 else np.stack([1 - want, want], 1)
        same("probabilities", got["probabilities"], columns, steps=1)
        same("label", got["label"], (want > 0.5).astype(np.int64))
    else:
        exact = objective.startswith(("rank:", "reg:sq", "reg:ps", "reg:ab", "reg:qu")) or "raw" in objective
        same("prediction", got["prediction"], want, steps=0 if exact else 1)
    return model


class Trained(unittest.TestCase):
    def try_case(self, name, suffix, *options):
        y, parameters = CASES[name]
        booster = train(y, parameters, data())
        path = scratch("model." + suffix)
        booster.save_model(path)
        return check(booster, path, near_splits(RNG, 600, splits_of(booster)), options)

    def test_categories(self):
        types = ["c", "q", "c", "q", "q", "q"]
        for one_hot in (1, 100):
            booster = train(YES, {"objective": "binary:logistic", "tree_method": "hist", "max_cat_to_onehot": one_hot},
                            data([(0, 70), (2, 5)]), types=types)
            booster.save_model(scratch("model.json"))
            x = near_splits(RNG, 800, splits_of(booster))
            x[:, 0], x[:, 2] = RNG.integers(-2, 75, 800), RNG.integers(-1, 7, 800)
            x[::7, 0], x[::5, 2] = np.nan, np.nan
            x[1::9, 0] += 0.75  # rounded down
            x[x[:, 0] < 0, 0] = np.nan  # what XGBoost refuses
            x[x[:, 2] < 0, 2] = np.nan
            check(booster, scratch("model.json"), x, types=types)

    def test_old_opsets(self):
        for opset in (11, 13, 16, 20):
            for name in ("binary", "softprob", "vector leaves", "linear"):
                self.try_case(name, "ubj", "--opset", opset)
        y, parameters = CASES["binary"]
        booster = train(y, {**parameters, "max_cat_to_onehot": 1}, data([(0, 20)]), types=["c"] + ["q"] * 5)
        booster.save_model(scratch("model.json"))
        done = command("convert", scratch("model.json"), "-o", scratch("no.onnx"), "--opset", 20)
        self.assertEqual(done.returncode, 1)
        self.assertIn("splits by category need TreeEnsemble of ai.onnx.ml 5", done.stderr)
        self.assertIn("hint: --opset 21 or newer", done.stderr)
        self.assertFalse(pathlib.Path(scratch("no.onnx")).exists())

    def test_names_are_kept(self):
        booster = xgboost.train({"objective": "reg:squarederror"},
                                xgboost.DMatrix(data(), REAL, feature_names=[f"größe {i}" for i in range(6)]), 2)
        booster.save_model(scratch("model.ubj"))
        model = Model(scratch("model.ubj"))
        self.assertEqual(json.loads(model.metadata()["feature_names"]), [f"größe {i}" for i in range(6)])
        self.assertEqual(model.metadata()["source.file"], "model.ubj")
        self.assertTrue(model.metadata()["source.format"].startswith("XGBoost "))

    def test_no_rows_and_one_row(self):
        model = self.try_case("softprob", "ubj")
        for rows in (0, 1):
            got = model(input=np.zeros((rows, FEATURES), np.float32))
            self.assertEqual(got["probabilities"].shape, (rows, 4))


for _name in CASES:
    for _suffix in ("json", "ubj"):
        setattr(Trained, f"test_{_name}_{_suffix}", lambda self, n=_name, s=_suffix: self.try_case(n, s))


# ---- files of others ----------------------------------------------------------------------------------

def libsvm_rows(path, width):
    x = np.full((sum(1 for _ in open(path, encoding="ascii")), width), np.nan, np.float32)
    for row, line in enumerate(open(path, encoding="ascii")):
        for pair in line.split()[1:]:
            feature, value = pair.split(":")
            x[row, int(feature)] = float(value)
    return x


@unittest.skipUnless(NATIVE.is_dir(), f"SKIPPED: {NATIVE} is absent")
class Found(unittest.TestCase):
    def expect(self, model, rows, predictions, output, distance):
        model = Model(NATIVE / model)
        width = model.witness.get_inputs()[0].shape[1]
        got = model(input=libsvm_rows(NATIVE / rows, width))[output]
        got = got[:, 1] if output == "probabilities" else got
        same("prediction", got, np.loadtxt(NATIVE / predictions), distance=distance)
        return model

    def test_agaricus(self):
        # the stored numbers are scores in double; the model's own are floats
        self.expect("gbdt-leaves/xgagaricus.model", "gbdt-leaves/agaricus_test.libsvm",
                    "gbdt-leaves/xgagaricus_true_predictions.txt", "probabilities", 1e-7)

    def test_linear(self):
        self.expect("gbdt-leaves/xgblin_agaricus.model", "gbdt-leaves/agaricus_test.libsvm",
                    "gbdt-leaves/xgblin_agaricus_true_predictions.txt", "probabilities", 1e-7)

    def test_mushroom(self):
        # no predictions are stored, and XGBoost itself reads such files no longer: the engines agree, and it classifies
        model = Model(NATIVE / "xgboost-treelite/mushroom.model")
        rows = NATIVE / "gbdt-leaves/agaricus_test.libsvm"
        labels = np.array([int(line.split()[0]) for line in open(rows, encoding="ascii")])
        right = model(input=libsvm_rows(rows, 127))["label"] == labels
        self.assertGreater(right.mean(), 0.97)

    def test_dart(self):
        # the stored scores are those of the first ten trees: the running sum passes there
        model = Model(NATIVE / "gbdt-leaves/xg_dart_agaricus.model")
        x = libsvm_rows(NATIVE / "gbdt-leaves/agaricus_test.libsvm", 127)
        model(input=x)
        scores = np.loadtxt(NATIVE / "gbdt-leaves/xg_dart_agaricus_true_predictions.txt")
        same("score", model.inside("running_sum", input=x)[:, 9], scores, distance=1e-6)


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
