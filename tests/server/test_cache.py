# SPDX-License-Identifier: Apache-2.0
"""Answers that are kept: the same bytes, only for the same bytes, within their memory and time, and never across a reload."""
import json, os, time, unittest

from serving import WORK, Server, main, model, onnx


def times(factor):
    nodes = [onnx.node("Mul", ["x", "factor"], ["y"])]
    return model(nodes, [("x", onnx.FLOAT, ["n"])], [("y", onnx.FLOAT, ["n"])], [onnx.floats([factor], "factor")])


def x(*values):
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [len(values)], "data": values}]}


class Cache(unittest.TestCase):
    def setUp(self):
        (WORK / "cached.onnx").write_bytes(times(3))

    def start(self, *options):
        return Server([f"m={WORK}/cached.onnx"], *(options if "--cache-bytes" in options else ("--cache-bytes", "100000", *options)))

    def counts(self, server):
        return tuple(int(server.metric(f"sardonyx_cache_{name}_total")) for name in ("hits", "misses"))

    def test_off_by_default(self):
        with Server([f"m={WORK}/cached.onnx"]) as server:
            server.infer("m", x(1))
            self.assertNotIn("sardonyx_cache", server.ask("GET", "/metrics")[2].decode())

    def test_the_same_bytes(self):
        with self.start() as server:
            def ask(path, body, **headers):
                return server.ask("POST", path, body, {"Content-Type": "application/json", **headers})[::2]
            plain = json.dumps(x(0.1, 1 / 3))
            first = ask("/v2/models/m/infer", plain)
            self.assertEqual([ask("/v2/models/m/infer", plain) for _ in range(3)], [first] * 3)
            self.assertEqual(self.counts(server), (3, 1))
            runs = server.metric("sardonyx_runs_total")
            self.assertEqual(runs, 1)
            # Another id, path, form of the answer or value is another request.
            for path, body in (("/v2/models/m/infer", json.dumps({"id": "7", **x(0.1, 1 / 3)})),
                               ("/v2/models/m/versions/1/infer", plain), ("/v2/models/m/infer?nan=literal", plain),
                               ("/v2/models/m/infer", json.dumps(x(0.1, 1 / 3 + 1e-7))), ("/score", '{"data": [0.1]}')):
                self.assertEqual(ask(path, body)[0], 200)
            self.assertEqual(self.counts(server), (3, 6))
            binary = json.dumps({**x(2, 5), "parameters": {"binary_data_output": True}})
            one, two = (server.ask("POST", "/v2/models/m/infer", binary, {"Content-Type": "application/json"}) for _ in "ab")
            for head in (one[1], two[1]):
                head.pop("date", None)
            self.assertEqual(one, two)
            self.assertIn("inference-header-content-length", two[1])
            # The same bytes of JSON and of tensors behind it, cut elsewhere.
            self.assertEqual(ask("/v2/models/m/infer", plain, **{"Inference-Header-Content-Length": str(len(plain))})[0], 200)
            self.assertEqual(self.counts(server), (4, 8))

    def test_errors_are_not_kept(self):
        with self.start() as server:
            for _ in range(3):
                self.assertEqual(server.infer("m", x("a"))[0], 400)
            self.assertEqual(self.counts(server), (0, 3))

    def test_a_reload_is_another_model(self):
        with self.start() as server:
            self.assertEqual(server.infer("m", x(1))[1]["outputs"][0]["data"], [3])
            self.assertEqual(server.infer("m", x(1))[1]["outputs"][0]["data"], [3])
            (WORK / "cached.new").write_bytes(times(4))
            os.replace(WORK / "cached.new", WORK / "cached.onnx")
            self.assertEqual(server.post("/v2/repository/models/m/load", "")[0], 200)
            self.assertEqual(server.infer("m", x(1))[1]["outputs"][0]["data"], [4])

    def test_time(self):
        with self.start("--cache-ttl-ms", "200") as server:
            server.infer("m", x(1))
            server.infer("m", x(1))
            time.sleep(0.3)
            server.infer("m", x(1))
            self.assertEqual(self.counts(server), (1, 2))

    def test_memory(self):
        with self.start("--cache-bytes", "20000") as server:
            for i in range(100):
                self.assertEqual(server.infer("m", x(*range(i, i + 20)))[0], 200)
                self.assertEqual(server.infer("m", x(*range(20)))[0], 200)  # asked again and again: it stays
            self.assertLessEqual(server.metric("sardonyx_cache_kept_bytes"), 20000)
            self.assertGreater(server.metric("sardonyx_cache_evictions_total"), 20)
            self.assertEqual(self.counts(server), (100, 100))
            for _ in range(2):  # too large to be kept
                self.assertEqual(server.infer("m", x(*[0.123456789] * 5000))[0], 200)
            self.assertEqual(self.counts(server), (100, 102))


if __name__ == "__main__":
    raise SystemExit(main())
