# SPDX-License-Identifier: Apache-2.0
"""Collected data: the layout of the SDK, shares, fields that are taken out, bounds, and the SDK's collector in a script."""
import csv, datetime, json, pathlib, shutil, sys, unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent), str(pathlib.Path(__file__).resolve().parent.parent / "server")]
from serving import WORK, Server, main, wait_for

FOLDER = WORK / "collected"
DAY = datetime.datetime.now(datetime.timezone.utc).strftime("%Y/%m/%d")


def rows(model, side="inputs", place="default/default/default/default", version="1", file="data.csv"):
    path = FOLDER / "modeldata" / place / model / version / side / DAY / file
    return list(csv.reader(path.open(newline=""))) if path.exists() else []


class Collect(unittest.TestCase):
    def setUp(self):
        shutil.rmtree(FOLDER, ignore_errors=True)

    def test_inputs_and_predictions(self):
        with Server(["rows", "pair", "text", "image"], "--collect", str(FOLDER), "--collect-as", "sub/group/ws/digits",
                    "--collect-redact", "b", "--collect-redact", "x[1]") as server:
            server.score({"data": [[1, 2.5, 3], [4, None, 6]]}, headers={"x-request-id": "mine"})
            server.infer("pair", {"inputs": [{"name": n, "datatype": "INT64", "shape": [2], "data": [2 ** 60, 7]} for n in "ab"]})
            server.infer("text", {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [2], "data": ['a "b",\n', "=1"]}]})
            server.score({"data": "wrong"})
            place = "sub/group/ws/digits"
            self.assertTrue(wait_for(lambda: rows("text", "predictions", place)))
            names, first, second = rows("rows", place=place)
            self.assertEqual(names, ["x[0]", "x[1]", "x[2]", "$aml_dc_correlation_id", "$aml_dc_scoring_timestamp"])
            self.assertEqual((first[:4], second[:4]), (["1", "redacted", "3", "mine"], ["4", "redacted", "6", "mine"]))
            self.assertTrue(datetime.datetime.fromisoformat(first[4].rstrip("Z")))
            self.assertEqual(rows("rows", "predictions", place)[1][:4], ["1", "2.5", "3", "mine"])
            names, only = rows("pair", place=place)
            self.assertEqual((names[:4], only[:4]), (["a[0]", "a[1]", "b[0]", "b[1]"], [str(2 ** 60), "7", "redacted", "redacted"]))
            self.assertEqual([r[0] for r in rows("text", place=place)], ["x", 'a "b",\n', "=1"])
            self.assertEqual(server.metric('sardonyx_exported_total{what="rows",outcome="delivered"}'), 6)
            path = FOLDER / "modeldata" / place / "rows/1/inputs" / DAY / "data.csv"
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_a_share_of_the_requests_whole(self):
        with Server(["rows"], "--collect", str(FOLDER), "--collect-sample", "0.2") as server:
            for _ in range(400):
                server.score({"data": [[1, 2, 3]]})
        inputs, predictions = ({r[3] for r in rows("rows", side)[1:]} for side in ("inputs", "predictions"))
        self.assertEqual(inputs, predictions)
        self.assertTrue(40 < len(inputs) < 130, len(inputs))

    def test_bounds_and_other_headings(self):
        path = FOLDER / "modeldata/default/default/default/default/rows/1/inputs" / DAY / "data.csv"
        path.parent.mkdir(parents=True)
        path.write_text("something else\n")
        with Server(["rows"], "--collect", str(FOLDER), "--collect-bytes", "400") as server:
            for _ in range(20):
                self.assertEqual(server.score({"data": [[1, 2, 3]]})[0], 200)
            self.assertTrue(wait_for(lambda: server.metric('sardonyx_exported_total{what="rows",outcome="failed"}') > 30))
            self.assertIn("limit collect-bytes", server.text())
        self.assertEqual(path.read_text(), "something else\n")
        self.assertEqual(rows("rows", file="data-1.csv")[1][:3], ["1", "2", "3"])
        self.assertLess((path.parent / "data-1.csv").stat().st_size, 600)

    def test_the_collector_of_a_script(self):
        script = WORK / "score.py"
        script.write_text("import json\nfrom azureml.monitoring import ModelDataCollector\n\n\ndef init():\n    global inputs, answers\n"
                          "    inputs = ModelDataCollector('../best', 'inputs', ['a', 'b'], model_version=3)\n"
                          "    answers = ModelDataCollector('../best', 'predictions', ['y'], model_version=3)\n\n\n"
                          "def run(data):\n    row = json.loads(data)['data']\n    found = inputs.collect([row], 'me')\n"
                          "    answers.collect(answers.add_correlations([[sum(row)]], found))\n    return sum(row)\n")
        with Server([], "--script", str(script), "--collect", str(FOLDER), "--collect-redact", "b") as server:
            self.assertEqual(server.score({"data": [1, 2]}), (200, 3))
            self.assertTrue(wait_for(lambda: rows("_.._best", "predictions", version="3", file="predictions.csv")), list(FOLDER.rglob("*.csv")))
            names, row = rows("_.._best", version="3", file="inputs.csv")
            self.assertEqual((names[:3], row[:3]), (["a", "b", "$aml_dc_correlation_id"], ["1", "redacted", "me"]))
        with Server([], "--script", str(script)) as server:
            server.score({"data": [1, 2]})


if __name__ == "__main__":
    sys.exit(main())
