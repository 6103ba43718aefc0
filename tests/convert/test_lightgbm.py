#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""LightGBM models, trained here and found in the wild, against their own predictions row by row: raw scores to the bit,
predictions within the last places that two functions exp may differ in.

    tests/convert/test_lightgbm.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import json
import pathlib
import re
import sys
import unittest
import warnings

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter("convert")

import lightgbm  # noqa: E402
import numpy as np  # noqa: E402
import pandas  # noqa: E402

import suite  # noqa: E402
from harness import NATIVE, Model, command, near_splits, same, scratch  # noqa: E402

warnings.filterwarnings("ignore")
RNG = np.random.default_rng(9)
ROWS, FEATURES = 500, 6
ROUNDING = 4e-16  # of exp here and there, and of one division


def data(categories=()):
    x = RNG.normal(size=(ROWS, FEATURES))
    for feature, count in categories:
        x[:, feature] = RNG.integers(0, count, ROWS)
    x[RNG.random(x.shape) < 0.1] = np.nan
    x[RNG.random(x.shape) < 0.1] = 0
    return x


YES, CLASS = RNG.integers(0, 2, ROWS), RNG.integers(0, 4, ROWS)
REAL, COUNT, SHARE = RNG.normal(size=ROWS), RNG.poisson(3, ROWS), RNG.random(ROWS)
BAGGED = {"bagging_freq": 1, "bagging_fraction": 0.6}

# name: label, parameters beside those of all
CASES = {
    "l2": (REAL, {"objective": "regression"}),
    "l2, no average": (REAL + 9, {"objective": "regression", "boost_from_average": False}),
    "l2, square root": (REAL * 5, {"objective": "regression", "reg_sqrt": True}),
    "l1": (REAL, {"objective": "regression_l1"}),
    "huber": (REAL, {"objective": "huber"}),
    "fair": (REAL, {"objective": "fair"}),
    "quantile": (REAL, {"objective": "quantile", "alpha": 0.8}),
    "mape": (REAL + 5, {"objective": "mape"}),
    "poisson": (COUNT, {"objective": "poisson"}),
    "gamma": (COUNT + 1, {"objective": "gamma"}),
    "tweedie": (COUNT, {"objective": "tweedie"}),
    "binary": (YES, {"objective": "binary"}),
    "binary, sigmoid": (YES, {"objective": "binary", "sigmoid": 0.7, "is_unbalance": True}),
    "multiclass": (CLASS, {"objective": "multiclass", "num_class": 4}),
    "one against all": (CLASS, {"objective": "multiclassova", "num_class": 4, "sigmoid": 1.5}),
    "cross entropy": (SHARE, {"objective": "cross_entropy"}),
    "cross entropy, lambda": (SHARE, {"objective": "cross_entropy_lambda"}),
    "lambdarank": (CLASS, {"objective": "lambdarank"}),
    "xendcg": (CLASS, {"objective": "rank_xendcg"}),
    "dart": (YES, {"objective": "binary", "boosting": "dart", "drop_rate": 0.4}),
    "dart, classes": (CLASS, {"objective": "multiclass", "num_class": 4, "boosting": "dart"}),
    "goss": (REAL, {"objective": "regression", "data_sample_strategy": "goss", "learning_rate": 0.5}),
    "forest": (REAL, {"objective": "regression", "boosting": "rf", **BAGGED}),
    "forest, binary": (YES, {"objective": "binary", "boosting": "rf", **BAGGED}),
    "forest, classes": (CLASS, {"objective": "multiclass", "num_class": 4, "boosting": "rf", **BAGGED}),
    "zero missing": (REAL, {"objective": "regression", "zero_as_missing": True}),
    "nothing missing": (REAL, {"objective": "regression", "use_missing": False}),
    "leaves only": (REAL + 3, {"objective": "regression", "min_data_in_leaf": ROWS}),
    "classes, leaves only": (CLASS, {"objective": "multiclass", "num_class": 4, "min_data_in_leaf": ROWS}),
    "deep": (REAL, {"objective": "regression", "num_leaves": 200, "min_data_in_leaf": 1}),
    "extra trees": (REAL, {"objective": "regression", "extra_trees": True, "path_smooth": 1}),
    "monotone": (REAL, {"objective": "regression", "monotone_constraints": [1, -1, 0, 0, 0, 0]}),
}


def train(y, parameters, x, rounds=25, categories=(), **more):
    d = lightgbm.Dataset(x, y, categorical_feature=list(categories), free_raw_data=False)
    if parameters["objective"] in ("lambdarank", "rank_xendcg"):
        d.set_group([50] * (ROWS // 50))
    parameters = {"num_leaves": 12, "min_data_in_leaf": 5, "seed": 1, "num_threads": 1, "verbose": -1, **parameters}
    return lightgbm.train(parameters, d, rounds, **more)


def splits_of(booster):
    splits = [[] for _ in range(booster.num_feature())]
    trees = booster.trees_to_dataframe()
    for feature, threshold in zip(trees["split_feature"], trees["threshold"]):
        if isinstance(feature, str) and "|" not in str(threshold):
            splits[booster.feature_name().index(feature)].append(float(threshold))
    return [values + [0.0, 1e-35, -1e-35, 2e-35, -2e-35] for values in splits]


def rows_for(booster, rows=600):
    return near_splits(RNG, rows, splits_of(booster), dtype=np.float64)


def outputs(booster, y):
    """What a model with the predictions y gives, by name."""
    objective = (booster.dump_model(0).get("objective") or "").split(" ")[0]
    if objective == "binary":
        return {"label": (y > 0.5).astype(np.int64), "probabilities": np.stack([1 - y, y], 1)}
    return {"label": y.argmax(1), "probabilities": y} if objective.startswith("multi") else {"prediction": y}


def save(booster, suffix):
    path = scratch("model." + suffix)
    if suffix == "txt":
        booster.save_model(path)
    else:
        pathlib.Path(path).write_text(json.dumps(booster.dump_model()))
    return path


def without_objective(path):
    """The same model without its link."""
    path = pathlib.Path(path)
    if path.suffix == ".json":
        model = json.loads(path.read_text())
        model.pop("objective", None)
        text = json.dumps(model)
    else:
        text = re.sub(r"\nobjective=.*", "", path.read_text(encoding="utf-8"))
    pathlib.Path(scratch("raw" + path.suffix)).write_text(text, encoding="utf-8")
    return scratch("raw" + path.suffix)


def check(booster, path, x, options=()):
    raw = Model(without_objective(path), *options)(input=x)["prediction"]
    scores = booster.predict(x, raw_score=True)
    if "average_output\n" in booster.model_to_string():  # which raw scores leave out
        scores = scores / (booster.num_trees() // booster.num_model_per_iteration())
    same("score", raw, scores)
    model = Model(path, *options, distance=ROUNDING)
    got = model(input=x)
    for name, want in outputs(booster, booster.predict(x)).items():
        same(name, got[name], want, distance=ROUNDING)
    return model


class Trained(unittest.TestCase):
    def try_case(self, name, suffix, *options):
        y, parameters = CASES[name]
        booster = train(y, parameters, data())
        return check(booster, save(booster, suffix), rows_for(booster), options)

    def test_categories(self):
        for cuts in ({}, {"max_cat_to_onehot": 100}, {"use_missing": False}, {"zero_as_missing": True}):
            parameters = {"objective": "binary", "min_data_per_group": 1, "cat_smooth": 1, **cuts}
            booster = train(YES, parameters, data([(0, 90), (2, 5)]), categories=[0, 2])
            x = rows_for(booster, 900)
            x[:, 0], x[:, 2] = RNG.integers(-2, 130, 900), RNG.integers(-1, 7, 900)
            x[::7, 0], x[::5, 2] = np.nan, np.nan
            x[1::9, 0] += 0.75  # cut off
            x[2::9, 2] -= 0.75
            x[3::50, 0], x[4::50, 0], x[5::50, 0] = 1e12, np.inf, -np.inf
            for suffix in ("txt", "json"):
                check(booster, save(booster, suffix), x)

    def test_pandas_categories(self):
        frame = pandas.DataFrame({"size": RNG.normal(size=ROWS),
                                  "colour": pandas.Categorical(RNG.choice(["red", "größer", "blue"], ROWS)),
                                  "year": pandas.Categorical(RNG.choice([1999, 2005, 2020], ROWS))})
        frame.loc[::9, "colour"] = None
        booster = lightgbm.train({"objective": "binary", "verbose": -1, "min_data_per_group": 1},
                                 lightgbm.Dataset(frame, YES), 20)
        booster.save_model(scratch("model.txt"))
        x = np.stack([frame["size"], *(frame[c].cat.codes.replace(-1, np.nan) for c in ("colour", "year"))], 1)
        for suffix in ("txt", "json"):
            model = Model(save(booster, suffix), distance=ROUNDING)
            self.assertEqual(json.loads(model.metadata()["pandas_categorical"]),
                             [["blue", "größer", "red"], [1999, 2005, 2020]])
            self.assertEqual(json.loads(model.metadata()["feature_names"]), ["size", "colour", "year"])
            same("probabilities", model(input=x)["probabilities"][:, 1], booster.predict(frame), distance=ROUNDING)

    def test_own_objective(self):
        booster = train(REAL, {"objective": lambda y, d: (y - d.get_label(), np.ones(ROWS))}, data())
        for suffix in ("txt", "json"):
            check(booster, save(booster, suffix), rows_for(booster))

    def test_early_stopping(self):
        x = data()
        booster = train(YES, {"objective": "binary", "metric": "auc"}, x, 200,
                        valid_sets=[lightgbm.Dataset(data(), RNG.integers(0, 2, ROWS))],
                        callbacks=[lightgbm.early_stopping(3, verbose=False)])
        for suffix in ("txt", "json"):
            check(booster, save(booster, suffix), rows_for(booster))

    def test_old_opsets(self):
        for opset in (16, 20):
            for name in ("l2", "multiclass", "zero missing", "forest, binary"):
                self.try_case(name, "txt", "--opset", opset)
        booster = train(REAL, CASES["l2"][1], data())
        done = command("convert", save(booster, "txt"), "-o", scratch("no.onnx"), "--opset", 13)
        self.assertEqual(done.returncode, 1)
        self.assertIn("splits in double need TreeEnsembleRegressor of ai.onnx.ml 3", done.stderr)

    def test_continued_with_other_data(self):
        """A feature that is compared in several ways: as it is, with zero missing, as a category."""
        x = data([(0, 9), (2, 9)])
        booster = train(YES, {"objective": "binary", "zero_as_missing": True}, x, 8)
        booster = train(YES, {"objective": "binary"}, x, 8, init_model=booster)
        booster = train(YES, {"objective": "binary", "min_data_per_group": 1}, x, 8, categories=[2], init_model=booster)
        for suffix in ("txt", "json"):
            rows = rows_for(booster)
            rows[::3, 2] = RNG.integers(0, 9, len(rows[::3]))
            check(booster, save(booster, suffix), rows)

    def test_tree_deeper_than_other_documents(self):
        node = {"leaf_value": 0.0}
        for level in range(1, 301):
            node = {"split_feature": 0, "threshold": float(level), "decision_type": "<=", "default_left": True,
                    "missing_type": "NaN", "left_child": node, "right_child": {"leaf_value": float(level)}}
        model = {"name": "tree", "version": "v4", "num_tree_per_iteration": 1, "max_feature_idx": 0,
                 "tree_info": [{"tree_structure": node}]}
        pathlib.Path(scratch("deep.json")).write_text(json.dumps(model))
        x = np.array([[0.5], [7], [7.5], [300], [301], [np.nan]])
        same("prediction", Model(scratch("deep.json"))(input=x)["prediction"], np.array([0, 6, 7, 299, 300, 0.0]))

    def test_few_rows(self):
        model = self.try_case("multiclass", "txt")
        for rows in (0, 1):
            self.assertEqual(model(input=np.zeros((rows, FEATURES)))["probabilities"].shape, (rows, 4))

    def test_line_ends_of_windows(self):
        booster = train(YES, CASES["binary"][1], data())
        text = pathlib.Path(save(booster, "txt")).read_text(encoding="utf-8")
        pathlib.Path(scratch("dos.txt")).write_bytes(text.replace("\n", "\r\n").encode())
        x = rows_for(booster)
        same("probabilities", Model(scratch("dos.txt"), distance=ROUNDING)(input=x)["probabilities"][:, 1],
             booster.predict(x), distance=ROUNDING)

    def test_linear_trees_are_refused(self):
        booster = train(REAL, {"objective": "regression", "linear_tree": True}, data())
        for suffix in ("txt", "json"):
            done = command("convert", save(booster, suffix), "-o", scratch("no.onnx"))
            self.assertEqual(done.returncode, 1)
            self.assertIn("tree 0: the leaves are linear models (linear_tree), which are not converted", done.stderr)
            self.assertIn("hint: train with linear_tree=false", done.stderr)
            self.assertFalse(pathlib.Path(scratch("no.onnx")).exists())

    def test_what_is_wrong_is_named(self):
        booster = train(YES, CASES["binary"][1], data())
        text = pathlib.Path(save(booster, "txt")).read_text(encoding="utf-8")
        for change, said in {(r"objective=binary", "objective=binery"): "the objective 'binery' is not known",
                             (r"leaf_value=\S+ ", "leaf_value="): "tree 0: leaf_value has",
                             (r"left_child=\S+", "left_child=99999"): "tree 0: left_child: 99999 at place 0",
                             (r"threshold=\S+", "threshold=x"): "tree 0: threshold: byte ",
                             (r"Tree=20\n(.|\n)*", ""): "there are 20 trees, expected 25"}.items():
            pathlib.Path(scratch("wrong.txt")).write_text(re.sub(*change, text, count=1), encoding="utf-8")
            done = command("convert", scratch("wrong.txt"), "-o", scratch("no.onnx"))
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stderr)


for _name in CASES:
    for _suffix in ("txt", "json"):
        setattr(Trained, f"test_{_name}_{_suffix}", lambda self, n=_name, s=_suffix: self.try_case(n, s))


# ---- files of others ----------------------------------------------------------------------------------

def pairs(path, width):
    """Rows as `feature:value`; what is not there is 0."""
    lines = path.read_text(encoding="ascii").splitlines()
    x = np.zeros((len(lines), width))
    for row, line in enumerate(lines):
        for pair in line.split()[1:]:
            feature, value = pair.split(":")
            x[row, int(feature)] = float(value)
    return x


@unittest.skipUnless(NATIVE.is_dir(), f"SKIPPED: {NATIVE} is absent")
class Found(unittest.TestCase):
    def expect(self, name, x, output, want, distance):
        got = Model(NATIVE / name, distance=ROUNDING)(input=x)[output]
        same("prediction", got[:, 1] if output == "probabilities" and want.ndim == 1 else got, want, distance=distance)

    def stored(self, name):
        return np.loadtxt(NATIVE / "gbdt-leaves" / name)

    def test_poisson_and_tweedie(self):
        for name in ("poisson_Frequency", "tweedie_PurePremium"):
            x = self.stored(f"genlin_fmtp_{name}_features.tsv")
            self.expect(f"gbdt-leaves/genlin_fmtp_{name}.model", x, "prediction",
                        self.stored(f"genlin_fmtp_{name}_true_predictions.txt"), 1e-15)

    def test_dart(self):
        x = self.stored("breast_cancer_test.tsv")
        want = self.stored("lg_dart_breast_cancer_true_predictions.txt")
        self.expect("gbdt-leaves/lg_dart_breast_cancer.model", x, "probabilities", want, 1e-15)
        self.expect("gbdt-leaves/lg_dart_breast_cancer.json", x, "prediction", np.log(want / (1 - want)), 1e-13)

    def test_classes(self):
        x = self.stored("kddcup99_test.tsv")
        raw = self.stored("lg_kddcup99_true_predictions.txt")
        path = without_objective(NATIVE / "gbdt-leaves/lg_kddcup99.model")
        same("score", Model(path)(input=x)["prediction"], raw, distance=1e-15)

    def test_categories(self):
        x = pairs(NATIVE / "lightgbm-treelite/toy_categorical.test", 2)
        want = np.loadtxt(NATIVE / "lightgbm-treelite/toy_categorical.test.pred")
        self.expect("lightgbm-treelite/toy_categorical_model.txt", x, "prediction", want, 1e-15)

    def test_one_tree(self):
        x = np.array([[0.1, 5], [0.2, 100], [0.14, 1], [np.nan, 10], [0.5, 2]])
        self.expect("gbdt-leaves/lg_1tree.json", x, "prediction", self.walk("lg_1tree.json", x), 0)
        x = RNG.normal(size=(4, 41))
        self.expect("gbdt-leaves/lg_1tree_1leaf.json", x, "prediction", np.full(4, 0.42), 0)

    def walk(self, name, x):
        """By the two questions of that tree."""
        tree = json.loads((NATIVE / "gbdt-leaves" / name).read_text())["tree_info"][0]["tree_structure"]

        def value(node, row):
            while "leaf_value" not in node:
                at = np.nan_to_num(row[node["split_feature"]])
                left = (at <= node["threshold"] if node["decision_type"] == "<="
                        else str(int(at)) in node["threshold"].split("||"))
                node = node["left_child" if left else "right_child"]
            return node["leaf_value"]
        return np.array([value(tree, row) for row in x])


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
