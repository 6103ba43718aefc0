#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CatBoost models, trained here, in both of its forms, against their own predictions row by row, within 1e-6.

    tests/convert/test_catboost.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import json
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import venv  # noqa: E402

venv.enter("convert")

import catboost  # noqa: E402
import numpy as np  # noqa: E402

import suite  # noqa: E402
from harness import Model, command, near_splits, same, scratch  # noqa: E402

RNG = np.random.default_rng(11)
ROWS, FEATURES = 400, 5
CLOSE = 1e-6


def data():
    x = RNG.normal(size=(ROWS, FEATURES)).astype(np.float32)
    x[RNG.random(x.shape) < 0.1] = np.nan
    return x


YES, CLASS, REAL = RNG.integers(0, 2, ROWS), RNG.integers(4, 8, ROWS), RNG.normal(size=ROWS)
NAMES, COUNT = RNG.choice(["rot", "grün", "blau"], ROWS), RNG.poisson(3, ROWS)

# name: label, parameters beside those of all
CASES = {
    "rmse": (REAL, {"loss_function": "RMSE"}),
    "mae": (REAL + 7, {"loss_function": "MAE"}),
    "quantile": (REAL, {"loss_function": "Quantile:alpha=0.8"}),
    "uncertainty": (REAL, {"loss_function": "RMSEWithUncertainty"}),
    "poisson": (COUNT, {"loss_function": "Poisson"}),
    "tweedie": (COUNT, {"loss_function": "Tweedie:variance_power=1.5"}),
    "binary": (YES, {"loss_function": "Logloss"}),
    "binary, names": (np.where(YES, "ja", "nein"), {"loss_function": "Logloss"}),
    "binary, truth": (YES == 1, {"loss_function": "Logloss"}),
    "cross entropy": (RNG.random(ROWS), {"loss_function": "CrossEntropy"}),
    "classes": (CLASS, {"loss_function": "MultiClass"}),
    "classes, names": (NAMES, {"loss_function": "MultiClass"}),
    "one against all": (CLASS, {"loss_function": "MultiClassOneVsAll"}),
    "labels": (RNG.integers(0, 2, (ROWS, 3)), {"loss_function": "MultiLogloss"}),
    "targets": (RNG.normal(size=(ROWS, 3)), {"loss_function": "MultiRMSE"}),
    "ranking": (CLASS, {"loss_function": "YetiRank"}),
    "ordered": (YES, {"loss_function": "Logloss", "boosting_type": "Ordered"}),
    "missing are largest": (REAL, {"loss_function": "RMSE", "nan_mode": "Max"}),
    "deep": (REAL, {"loss_function": "RMSE", "depth": 10}),
    "leaf by leaf": (REAL, {"loss_function": "RMSE", "grow_policy": "Lossguide", "max_leaves": 20}),
    "leaf by leaf, classes": (CLASS, {"loss_function": "MultiClass", "grow_policy": "Lossguide"}),
    "level by level": (YES, {"loss_function": "Logloss", "grow_policy": "Depthwise", "min_data_in_leaf": 30}),
    "level by level, labels": (RNG.integers(0, 2, (ROWS, 3)),
                               {"loss_function": "MultiLogloss", "grow_policy": "Depthwise"}),
    "no trees that ask": (REAL + 5, {"loss_function": "RMSE", "min_data_in_leaf": ROWS, "grow_policy": "Depthwise"}),
}
KINDS = {"Poisson": "Exponent", "Tweedie": "Exponent", "RMSEWithUncertainty": "RMSEWithUncertainty"}


def train(y, parameters, x, categories=()):
    pool = catboost.Pool(x, y, cat_features=list(categories))
    if parameters["loss_function"] == "YetiRank":
        pool.set_group_id(np.repeat(np.arange(ROWS // 10), 10))
    model = catboost.CatBoost({"iterations": 20, "depth": 4, "verbose": 0, "thread_count": 1, "random_seed": 1,
                               "allow_writing_files": False, **parameters})
    return model.fit(pool), pool


def rows_for(model):
    splits = [[float(b) for b in borders] for borders in model.get_borders().values()]
    return near_splits(RNG, 500, splits, missing=0.1)


def check(model, rows, loss, suffix, *options, **inputs):
    loss = loss.split(":")[0]
    converted = Model(scratch("model." + suffix), *options, distance=1e-12)
    got = converted(**inputs)
    if "probabilities" not in got:
        want = model.predict(rows, prediction_type=KINDS.get(loss, "RawFormulaVal"))
        same("prediction", got["prediction"], want, distance=CLOSE)
        return converted
    same("probabilities", got["probabilities"], model.predict(rows, prediction_type="Probability"), distance=CLOSE)
    if loss != "CrossEntropy":
        label = np.squeeze(model.predict(rows, prediction_type="Class"))
        if got["label"].dtype == np.int64:
            same("label", got["label"], label.astype(np.int64))
        else:
            assert [str(n).lower() for n in got["label"]] == [str(n).lower() for n in label]
    return converted


class Trained(unittest.TestCase):
    def try_case(self, name, suffix, *options):
        y, parameters = CASES[name]
        model, _ = train(y, parameters, data())
        model.save_model(scratch("model." + suffix), format=suffix)
        x = rows_for(model)
        return check(model, x, parameters["loss_function"], suffix, *options, input=x)

    def test_categories(self):
        for policy in ("SymmetricTree", "Lossguide"):
            x = np.empty((ROWS, 4), object)
            x[:, 0], x[:, 2] = RNG.normal(size=ROWS), RNG.normal(size=ROWS)
            x[:, 1], x[:, 3] = RNG.choice(["rot", "grün", "blau"], ROWS), RNG.integers(0, 5, ROWS)
            parameters = {"loss_function": "Logloss", "one_hot_max_size": 10, "grow_policy": policy}
            model, pool = train(YES, parameters, x, [1, 3])
            model.save_model(scratch("model.json"), format="json", pool=pool)
            x[::7, 1], x[::9, 3] = "unbekannt", 77
            numbers, texts = x[:, [0, 2]].astype(np.float32), x[:, [1, 3]].astype(str).astype(object)
            check(model, x, "Logloss", "json", input=numbers, categories=texts)
            known = json.loads(pathlib.Path(scratch("model.json")).read_text())["features_info"]["cat_features_hash"]
            hashes = {entry["value"]: entry["hash"] for entry in known}
            codes = np.vectorize(lambda t: hashes.get(t, 1), otypes=[np.int64])(texts)
            for suffix in ("json", "cbm"):
                model.save_model(scratch("model." + suffix), format=suffix)
                check(model, x, "Logloss", suffix, input=numbers, categories=codes)

    def test_counters_are_refused(self):
        x = np.empty((ROWS, 2), object)
        x[:, 0], x[:, 1] = RNG.normal(size=ROWS), RNG.integers(0, 50, ROWS)
        model, pool = train(YES, {"loss_function": "Logloss"}, x, [1])
        for suffix in ("json", "cbm"):
            model.save_model(scratch("model." + suffix), format=suffix, pool=pool)
            done = command("convert", scratch("model." + suffix), "-o", scratch("no.onnx"))
            self.assertEqual(done.returncode, 1)
            self.assertIn("splits of type OnlineCtr", done.stderr)
            self.assertIn("hint: train with one_hot_max_size above the number of categories", done.stderr)
            self.assertFalse(pathlib.Path(scratch("no.onnx")).exists())

    def test_old_opsets(self):
        for opset in (13, 17, 20):
            for name in ("binary", "classes", "leaf by leaf"):
                if opset > 13 or name != "leaf by leaf":
                    self.try_case(name, "cbm", "--opset", opset)

    def test_scale_and_bias(self):
        model, _ = train(*CASES["rmse"], data())
        model.set_scale_and_bias(2.5, [-7.0])
        for suffix in ("json", "cbm"):
            model.save_model(scratch("model." + suffix), format=suffix)
            x = rows_for(model)
            check(model, x, "RMSE", suffix, input=x)

    def test_few_rows(self):
        for name in ("classes", "leaf by leaf, classes"):
            model = self.try_case(name, "json")
            for rows in (0, 1):
                got = model(input=np.zeros((rows, FEATURES), np.float32))
                self.assertEqual(got["probabilities"].shape, (rows, 4))

    def test_names_are_kept(self):
        model, _ = train(NAMES, CASES["classes, names"][1], data())
        model.set_feature_names([f"größe {i}" for i in range(FEATURES)])
        for suffix in ("json", "cbm"):
            model.save_model(scratch("model." + suffix), format=suffix)
            metadata = Model(scratch("model." + suffix), distance=1e-12).metadata()
            self.assertEqual(json.loads(metadata["feature_names"]), [f"größe {i}" for i in range(FEATURES)])
            self.assertEqual(json.loads(metadata["class_names"]), sorted({"rot", "grün", "blau"}))
            self.assertTrue(metadata["source.format"].startswith("CatBoost 1."))

    def test_cut_short(self):
        model, _ = train(*CASES["rmse"], data())
        model.save_model(scratch("model.cbm"), format="cbm")
        pathlib.Path(scratch("cut.cbm")).write_bytes(pathlib.Path(scratch("model.cbm")).read_bytes()[:900])
        done = command("convert", scratch("cut.cbm"), "-o", scratch("no.onnx"))
        self.assertEqual(done.returncode, 1)
        self.assertIn("byte 4: more bytes are claimed than there are", done.stderr)


for _name in CASES:
    for _suffix in ("json", "cbm"):
        setattr(Trained, f"test_{_name}_{_suffix}", lambda self, n=_name, s=_suffix: self.try_case(n, s))


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
