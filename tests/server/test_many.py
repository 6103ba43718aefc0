# SPDX-License-Identifier: Apache-2.0
"""Many models in little memory: loaded when they are asked for, the least valuable ones leave. `--long`: 1,000 models of
4 MB, 20 of them hot, in 256 MB."""
import concurrent.futures, json, random, re, unittest

from serving import LONG, WORK, Server, main, model, onnx

SIDE = 1024 if LONG else 256
COUNT, HOT = (1000, 20) if LONG else (60, 5)
WEIGHTS = SIDE * SIDE * 4
LIMIT = WEIGHTS * (HOT * 2 + 2)


def matrix(factor):
    """x[n, SIDE] -> x times a matrix whose elements are all `factor`"""
    nodes = [onnx.node("MatMul", ["x", "w"], ["y"])]
    weights = onnx.floats([factor] * (SIDE * SIDE), "w", [SIDE, SIDE])
    return model(nodes, [("x", onnx.FLOAT, ["n", SIDE])], [("y", onnx.FLOAT, ["n", SIDE])], [weights])


def request(value):
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, SIDE], "data": [value] * SIDE}]}


def memory(server, what):
    text = open(f"/proc/{server.process.pid}/status").read()
    return int(re.search(rf"{what}:\s+(\d+) kB", text)[1]) * 1024


class Many(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.names = [f"m{i}" for i in range(COUNT)]
        for i in range(8):
            (WORK / f"many{i}.onnx").write_bytes(matrix(i + 1))
        (WORK / "broken.onnx").write_bytes(b"no model")

    def start(self, *options):
        words = [f"{name}={WORK}/many{i % 8}.onnx" for i, name in enumerate(self.names)]
        return Server(words, "--memory-limit-bytes", str(LIMIT), "--threads", "1", *options)

    def check(self, server, i):
        status, answer = server.infer(f"m{i}", request(2))
        self.assertEqual(status, 200, answer)
        self.assertEqual(answer["outputs"][0]["data"][0], 2 * SIDE * (i % 8 + 1))

    def test_hot_ones_stay_and_all_answer(self):
        with self.start() as server:
            self.assertEqual(server.metric("sardonyx_models_loaded"), 0)
            pick = random.Random(7)
            for i in range(HOT * 8):
                self.check(server, i % HOT)
            for i in range(HOT, COUNT):
                self.check(server, i)
                for _ in range(3):
                    self.check(server, pick.randrange(HOT))
            self.assertLessEqual(server.metric("sardonyx_models_bytes"), LIMIT)
            loads, evicted = (server.metric(f"sardonyx_model_{what}_total") for what in ("loads", "evictions"))
            peak = memory(server, "VmHWM")
            print(f"{COUNT} models, {HOT} hot: {loads:.0f} loads, {evicted:.0f} left, {peak / 1e6:.0f} MB at the peak")
            self.assertLessEqual(loads, COUNT + HOT)  # hot ones seldom left
            self.assertGreaterEqual(evicted, COUNT - 3 * HOT)
            if LONG:
                self.assertLess(peak, 256e6)

    def test_everybody_asks_at_once(self):
        with self.start() as server, concurrent.futures.ThreadPoolExecutor(8) as pool:
            wanted = [random.Random(3).randrange(COUNT) for _ in range(200)]
            done = list(pool.map(lambda i: server.infer(f"m{i}", request(1)), wanted))
            for i, (status, answer) in zip(wanted, done):
                # Where all that is loaded is at work, a model waits for another time.
                self.assertIn(status, (200, 503), answer)
                if status == 200:
                    self.assertEqual(answer["outputs"][0]["data"][0], SIDE * (i % 8 + 1))
            self.assertGreater(sum(status == 200 for status, _ in done), 190)

    def test_pinned(self):
        with self.start("--pin", "m0") as server:
            self.assertEqual(server.metric("sardonyx_models_loaded"), 1)
            for i in range(1, COUNT):
                self.check(server, i)
            loads = server.metric("sardonyx_model_loads_total")
            self.check(server, 0)
            self.assertEqual(server.metric("sardonyx_model_loads_total"), loads)

    def test_described_before_it_is_loaded(self):
        with self.start() as server:
            self.assertEqual(server.ask("GET", "/v2/models/m3/ready")[0], 200)
            self.assertEqual({e["state"] for e in server.post("/v2/repository/index", "")[1]}, {"READY"})
            self.assertEqual(server.metric("sardonyx_models_loaded"), 0)
            status, _, body = server.ask("GET", "/v2/models/m3")
            self.assertEqual((status, json.loads(body)["inputs"][0]["shape"]), (200, [-1, SIDE]))
            self.assertEqual(server.post("/v2/repository/models/m3/unload", "")[0], 200)
            self.assertEqual(server.infer("m3", request(1))[0], 503)
            self.assertEqual(server.post("/v2/repository/models/m3/load", "")[0], 200)
            self.check(server, 3)

    def test_what_cannot_be_loaded(self):
        with Server([f"good={WORK}/many0.onnx", f"bad={WORK}/broken.onnx"],
                    "--memory-limit-bytes", str(LIMIT)) as server:
            for _ in range(50):
                self.assertEqual(server.infer("bad", request(1))[0], 503)
            self.assertLessEqual(server.text().count("broken.onnx"), 3)  # it is not read for every request
            self.assertEqual(server.infer("good", request(1))[0], 200)
        with Server([f"good={WORK}/many0.onnx"], "--memory-limit-bytes", str(WEIGHTS // 2)) as server:
            self.assertEqual(server.infer("good", request(1))[0], 503)
            self.assertIn("memory-limit-bytes", server.text())

    def test_an_unknown_pin(self):
        with self.assertRaises(AssertionError) as e:
            self.start("--pin", "nobody")
        self.assertIn("--pin nobody", str(e.exception))


if __name__ == "__main__":
    raise SystemExit(main())
