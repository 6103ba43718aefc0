# SPDX-License-Identifier: Apache-2.0
"""Drift and alerts: what is shifted is flagged within 1,000 requests, what is not never in 100,000, and what is told of it."""
import json, os, pathlib, subprocess, sys, time, unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent), str(pathlib.Path(__file__).resolve().parent.parent / "server")]
import venv

venv.enter("monitor")
import numpy

import onnx_bytes as onnx
from collector import Collector
from serving import LONG, PROGRAM, WORK, Server, main, model, request, unary, wait_for

RANDOM = numpy.random.default_rng(7)
COLUMNS = 3
MANY = 100_000


def classes(rows, columns=COLUMNS):
    """x[n,3] -> class scores: Softmax."""
    return model([onnx.node("Softmax", ["x"], ["y"])], [("x", onnx.FLOAT, ["n", columns])], [("y", onnx.FLOAT, ["n", columns])])


(WORK / "classes.onnx").write_bytes(classes(3))
(WORK / "wide.onnx").write_bytes(classes(3, 200))
(WORK / "picture.onnx").write_bytes(unary("Relu", onnx.FLOAT, ["n", 1, 28, 28]))
(WORK / "words.onnx").write_bytes(unary("Identity", onnx.STRING, ["n", 1]))


def usual(rows, columns=COLUMNS):
    return RANDOM.normal(size=(rows, columns)).astype(numpy.float32)


def baseline(name, data, path=None, kind="npz"):
    """The path of the baseline that the command makes of the rows."""
    source = WORK / f"{name}-data.{kind}"
    if kind == "npz":
        numpy.savez(source, x=data)
    else:
        source.write_text("x\n" + "".join(f"{line}\n" for line in data))
    target = path or WORK / f"{name}-made.json"
    done = subprocess.run([PROGRAM, "baseline", str(WORK / f"{name}.onnx"), str(source), "-o", str(target)], capture_output=True,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return str(target)


def stream(server, name, rows, together=500):
    """Sends each row as a request of its own, many on their way at once; how many were answered with 200."""
    answered = 0
    with server.connect(60) as s:
        for at in range(0, len(rows), together):
            part = rows[at:at + together]
            s.sendall(b"".join(request(f"/v2/models/{name}/infer", body(row), "Content-Type: application/json") for row in part))
            got, data = 0, b""
            while got < len(part):
                data += s.recv(1 << 20)
                got = data.count(b"HTTP/1.1 ")
                if got == len(part) and not data.endswith(b"}"):
                    got -= 1
            answered += data.count(b"HTTP/1.1 200")
    return answered


def body(row):
    shape = [1, *row.shape]
    return json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": shape,
                                   "data": [None if numpy.isnan(v) else round(float(v), 5) for v in row.ravel()]}]}).encode()


def drift(server, name):
    return json.loads(server.ask("GET", f"/v2/models/{name}/drift")[2])


def drifted(server, name, side="input"):
    return [f["name"] for f in drift(server, name)["features"] if f["side"] == side and (f["drifted"] or f["missing_drifted"])]


class Drift(unittest.TestCase):
    def test_never_where_nothing_is_shifted(self):
        path = baseline("classes", usual(5000))
        with Server([str(WORK / "classes.onnx")], "--baseline", path) as server:
            for _ in range(10 if LONG else 1):
                for _ in range(MANY // 10_000):
                    self.assertEqual(stream(server, "classes", usual(10_000)), 10_000)
                    self.assertEqual(drifted(server, "classes") + drifted(server, "classes", "output"), [])
            self.assertEqual(server.metric("sardonyx_alerts_total"), 0)
            self.assertNotIn("drift away", server.text())
            # And then it is: within a thousand requests, whatever came before.
            shifted = usual(1000) + numpy.array([0, 0.6, 0], numpy.float32)
            stream(server, "classes", shifted)
            self.assertIn("x[1]", drifted(server, "classes"))

    def test_shifts_are_flagged_within_a_thousand(self):
        kinds = {"moved": lambda x: x + 0.6, "wider": lambda x: x * 1.7, "narrower": lambda x: x * 0.5, "constant": lambda x: x * 0,
                 "missing": lambda x: numpy.where(RANDOM.random(x.shape) < 0.15, numpy.nan, x), "unit": lambda x: x * 100}
        path = baseline("classes", usual(2000))
        for kind, change in kinds.items():
            with self.subTest(kind), Server([str(WORK / "classes.onnx")], "--baseline", path, "--json-log") as server:
                stream(server, "classes", usual(300))
                self.assertEqual(drifted(server, "classes"), [])
                rows = usual(1000)
                rows[:, 0] = change(rows[:, 0])
                stream(server, "classes", rows)
                self.assertEqual(drifted(server, "classes"), ["x[0]"])
                event = next(json.loads(l) for l in server.text().splitlines() if "input_drift" in l)
                self.assertEqual((event["level"], event["event"], event["status"], event["model"]), ("warning", "alert", "firing", "classes"))
                self.assertEqual(server.metric('sardonyx_alert{model="classes",version="1",alert="input_drift"}'), 1)
                self.assertEqual(server.metric('sardonyx_drifted{model="classes",version="1",side="input",feature="x[0]"}'), 1)
                # It ends when requests are as they were.
                stream(server, "classes", usual(2000))
                self.assertEqual(drifted(server, "classes"), [])
                self.assertIn('"status":"resolved"', server.text())

    def test_measures(self):
        path = baseline("classes", usual(5000))
        with Server([str(WORK / "classes.onnx")], "--baseline", path) as server:
            stream(server, "classes", usual(1023) + numpy.float32(1))
            for f in drift(server, "classes")["features"][:COLUMNS]:
                self.assertTrue(0.6 < f["psi"] < 1.4, f)  # of a shift by one deviation: 1 between densities
                self.assertTrue(0.33 < f["ks"] < 0.42, f)  # 0.38 between distributions
                self.assertEqual((f["missing"], f["seen"]), (0, 1023))

    def test_predictions(self):
        path = baseline("classes", usual(2000))
        with Server([str(WORK / "classes.onnx")], "--baseline", path) as server:
            stream(server, "classes", usual(1000) + numpy.array([2, 0, 0], numpy.float32))
            self.assertIn("y.argmax", drifted(server, "classes", "output"))
            self.assertTrue(drift(server, "classes")["prediction_drift"])

    def test_wide_rows_pictures_and_words(self):
        wide, pictures = baseline("wide", usual(3000, 200)), baseline("picture", usual(3000, 784).reshape(-1, 1, 28, 28))
        words = baseline("words", RANDOM.choice(["red", "green", "blue", ""], 3000, p=[.5, .3, .15, .05]), kind="csv")
        with Server([str(WORK / f"{m}.onnx") for m in ("wide", "picture", "words")], "--baseline", f"wide={wide}",
                    "--baseline", f"picture={pictures}", "--baseline", f"words={words}") as server:
            ask = lambda values: [server.infer("words", {"inputs": [{"name": "x", "datatype": "BYTES", "shape": [len(values), 1], "data": list(values)}]})[0]
                                  for _ in range(130)]
            stream(server, "wide", usual(1024, 200))
            stream(server, "picture", usual(1024, 784).reshape(-1, 1, 28, 28))
            self.assertEqual(set(ask(RANDOM.choice(["red", "green", "blue", ""], 20, p=[.5, .3, .15, .05]))), {200})
            self.assertEqual(drifted(server, "wide") + drifted(server, "picture"), [])
            moved = usual(1000, 200)
            moved[:, 199] += 1.5
            stream(server, "wide", moved)
            self.assertEqual(drifted(server, "wide"), ["x[199]"])
            stream(server, "picture", usual(1000, 784).reshape(-1, 1, 28, 28) * numpy.float32(0.7))
            self.assertIn("x.deviation", drifted(server, "picture"))
            ask(["violet"] * 20)
            self.assertEqual(drifted(server, "words"), ["x"])

    def test_a_registered_baseline_is_served(self):
        workspace = WORK / "workspace"
        workspace.mkdir()
        numpy.savetxt(WORK / "train.csv", usual(2000), delimiter=",", header="a,b,c", comments="")
        run = lambda *words: subprocess.run([PROGRAM, *words], cwd=workspace, capture_output=True, text=True, timeout=120, check=True).stdout
        run("workspace", "create")
        run("model", "register", str(WORK / "classes.onnx"), "--baseline", str(WORK / "train.csv"))
        self.assertIn("classes.onnx.baseline.json", run("model", "show", "classes", "--json"))
        here = os.getcwd()
        os.chdir(workspace)
        try:
            with Server(["registry:classes"]) as server:
                self.assertEqual(len(drift(server, "classes")["features"]), 7)
        finally:
            os.chdir(here)

    def test_baselines_that_are_no_good(self):
        good = pathlib.Path(baseline("classes", usual(100))).read_text()
        for text, words in (("{}", "the format is not sardonyx-baseline"), (good[:-20], "is no baseline"), ("", "is no baseline"),
                            (good.replace('"width":3', '"width":4', 1), "has 3 features, expected 4"),
                            (good.replace('"counts":[0,', '"counts":[-1,', 1), "counts"), ("[" * 100, "is no baseline")):
            (WORK / "bad.json").write_text(text)
            done = subprocess.run([PROGRAM, "serve", str(WORK / "classes.onnx"), "--port", "0", "--baseline", str(WORK / "bad.json")],
                                  capture_output=True, text=True, timeout=20, check=False)
            self.assertEqual(done.returncode, 1, text[:50])
            self.assertIn(words, done.stderr)


class Alerts(unittest.TestCase):
    def test_errors_and_latency(self):
        with Collector(500, 503) as hook, Server(["slow", "quick", "rows"], "--alert-webhook", hook.url, "--alert-error-percent", "10",
                                                  "--alert-latency-ms", "50", "--alert-seconds", "1", "--timeout-ms", "300",
                                                  "--workers", "1", "--json-log") as server:
            jobs = server.background(25)
            self.assertTrue(wait_for(lambda: all(job.done() for job in jobs), 30))
            self.assertTrue(wait_for(lambda: server.metric('sardonyx_alert{model="slow",version="1",alert="error_rate"}') == 1, 4))
            for _ in range(30):
                server.infer("rows", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]})
            self.assertTrue(wait_for(lambda: len(hook.bodies) >= 2, 10))
            alert = json.loads(hook.bodies[0])
            self.assertEqual(hook.types[0], "application/json")
            self.assertEqual({k: alert[k] for k in ("event", "status", "model", "version")},
                             {"event": "alert", "status": "firing", "model": "slow", "version": "1"})
            self.assertEqual(server.metric('sardonyx_alerts_total{model="rows",version="1",alert="error_rate"}'), 0)
            # A window without requests ends them, and then the thread sleeps.
            self.assertTrue(wait_for(lambda: server.metric('sardonyx_alert{model="slow"') == 0, 6))
            time.sleep(1.5)
            before = cpu(server)
            time.sleep(2)
            self.assertEqual(cpu(server), before)


def cpu(server):
    fields = pathlib.Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    sys.exit(main())
