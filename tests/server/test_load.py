# SPDX-License-Identifier: Apache-2.0
"""How much the server bears, by driver.c (closed and open loop): a second of each in passing; with `--long`, on a quiet
machine, the figures that are promised, asserted. Client and server share the processors."""
import json, random, resource, shutil, socket, struct, subprocess, time, unittest

from serving import LONG, ROOT, SHARED_MODELS, WORK, Server, main, model, onnx, request

DRIVER = ROOT / "build/tests/server_driver"
MNIST = SHARED_MODELS / "seed/mnist-cntk/mnist-8.onnx"
SECONDS = 10 if LONG else 1


def residual(blocks=8, channels=64, side=32):
    """x[n,3,32,32] -> convolutions with shortcuts, as in a ResNet -> y[n,10]"""
    draw = random.Random(5)
    nodes, weights = [], []

    def conv(x, y, inputs, outputs):
        count = outputs * inputs * 9
        scale = (2 / (inputs * 9)) ** 0.5
        weights.append(onnx.floats([draw.gauss(0, scale) for _ in range(count)], "w" + y, [outputs, inputs, 3, 3]))
        nodes.append(onnx.node("Conv", [x, "w" + y], [y], onnx.attr_ints("pads", [1, 1, 1, 1])))
    conv("x", "b0", 3, channels)
    for i in range(blocks):
        conv(f"b{i}", f"c{i}", channels, channels)
        nodes.append(onnx.node("Relu", [f"c{i}"], [f"r{i}"]))
        conv(f"r{i}", f"d{i}", channels, channels)
        nodes.append(onnx.node("Add", [f"d{i}", f"b{i}"], [f"s{i}"]))
        nodes.append(onnx.node("Relu", [f"s{i}"], [f"b{i + 1}"]))
    nodes.append(onnx.node("GlobalAveragePool", [f"b{blocks}"], ["pooled"]))
    nodes.append(onnx.node("Flatten", ["pooled"], ["flat"]))
    weights.append(onnx.floats([draw.gauss(0, 0.1) for _ in range(channels * 10)], "wy", [channels, 10]))
    nodes.append(onnx.node("MatMul", ["flat", "wy"], ["y"]))
    return model(nodes, [("x", onnx.FLOAT, ["n", 3, side, side])], [("y", onnx.FLOAT, ["n", 10])], weights)


def binary(path, name, shape, data):
    """A request with a binary tensor, and its answer binary."""
    head = json.dumps({"inputs": [{"name": name, "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": len(data)}}],
                       "parameters": {"binary_data_output": True}}).encode()
    return request(path, head + data, "Content-Type: application/octet-stream", f"Inference-Header-Content-Length: {len(head)}")


def load(server, data, connections, seconds=SECONDS, rate=0, goal_ms=1e9):
    file = WORK / "request"
    file.write_bytes(data)
    words = [str(w) for w in (DRIVER, server.port, file, connections, seconds, rate, goal_ms)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=seconds + 30, check=True)
    return json.loads(done.stdout)


def resident(server):
    return int(open(f"/proc/{server.process.pid}/statm").read().split()[1]) * 4096


@unittest.skipUnless(DRIVER.exists(), f"{DRIVER} is not built")
class Load(unittest.TestCase):
    def promise(self, what, got, least):
        print(f"{what}: {got:,.0f}, due {least:,.0f}")
        if LONG:
            self.assertGreaterEqual(got, least, what)

    @unittest.skipUnless(MNIST.exists(), f"{MNIST} is not there")
    def test_requests_a_second(self):
        digit = [random.Random(1).randrange(16) * 16 for _ in range(784)]
        plain = json.dumps({"inputs": [{"name": "Input3", "datatype": "FP32", "shape": [1, 1, 28, 28], "data": digit}]})
        pixels = struct.pack("<784f", *digit)
        with Server([f"m={MNIST}"], "--threads", "1") as server:
            for what, data, due in (("binary", binary("/v2/models/m/infer", "Input3", [1, 1, 28, 28], pixels), 20000),
                                    ("JSON", request("/v2/models/m/infer", plain.encode(), "Content-Type: application/json"), 12000)):
                best = max((load(server, data, connections) for connections in (4, 16)), key=lambda l: l["per_second"])
                self.assertEqual((list(best["statuses"]), best["lost"]), (["200"], 0), best)
                self.promise(f"MNIST, {what}, requests/s", best["per_second"], due)
            if not shutil.which("h2load"):
                self.skipTest("h2load (package nghttp2-client) is not there: gRPC was not measured")
            # ModelInferRequest: model_name, one input of a name, type and shape, raw contents
            shape = b"".join(onnx.number(3, d) for d in (1, 1, 28, 28))
            message = onnx.block(1, "m") + onnx.block(5, onnx.block(1, "Input3") + onnx.block(2, "FP32") + shape) + onnx.block(7, pixels)
            (WORK / "message").write_bytes(b"\0" + struct.pack(">I", len(message)) + message)
            done = subprocess.run(["h2load", "-c", "4", "-m", "8", "-D", str(SECONDS), "-d", str(WORK / "message"), "-H", "te: trailers",
                                   "-H", "content-type: application/grpc",
                                   f"http://127.0.0.1:{server.port}/inference.GRPCInferenceService/ModelInfer"],
                                  capture_output=True, text=True, timeout=SECONDS + 30, check=True)
            line = next(l for l in done.stdout.splitlines() if l.startswith("finished"))
            self.assertIn(" 0 failed", done.stdout)
            self.promise("MNIST, gRPC, requests/s", float(line.split(",")[1].split()[0]), 8000)

    def test_computed_together(self):
        """The same goal for p99, with and without batches; then p99 at 80 % of what is borne."""
        (WORK / "residual.onnx").write_bytes(residual())
        data = binary("/v2/models/r/infer", "x", [1, 3, 32, 32], struct.pack("<3072f", *[0.5] * 3072))
        borne, goal = {}, 100
        for most in (1, 32):
            with Server([f"r={WORK}/residual.onnx"], "--p99-ms", str(goal), "--max-batch", str(most), "--inline-us", "0",
                        "--max-queue", "1000", "--max-client-requests", "0") as server:
                load(server, data, 16, 2)  # it learns
                got = load(server, data, 16)
                borne[most] = got["per_second"] * (got["statuses"].get("200", 0) / sum(got["statuses"].values()))
                if most > 1:
                    calm = load(server, data, 256, SECONDS, 0.8 * borne[most], goal)
                    print(f"at 80 %: {calm}")
                    refused = sum(n for s, n in calm["statuses"].items() if s != "200")
                    if LONG:
                        self.assertLessEqual(calm["p99_ms"], goal * 1.1)
                        self.assertLess(refused, 0.01 * sum(calm["statuses"].values()))
        self.promise("batches, percent of the requests/s without", 100 * borne[32] / borne[1], 120)

    def test_overload(self):
        """Three times what is borne: the answers in time are not fewer, the others are 503, and it is over at once."""
        (WORK / "residual.onnx").write_bytes(residual())
        data = binary("/v2/models/r/infer", "x", [1, 3, 32, 32], struct.pack("<3072f", *[0.5] * 3072))
        with Server([f"r={WORK}/residual.onnx"], "--p99-ms", "200", "--inline-us", "0", "--max-queue", "1000",
                    "--max-client-requests", "0") as server:
            load(server, data, 16, 2)
            peak = load(server, data, 32, SECONDS, 0, 200)["within_goal_per_second"]
            hard = load(server, data, 512, 60 if LONG else 2, 3 * peak, 200)
            print(f"peak {peak:.0f}/s, at three times that: {hard}")
            self.assertLessEqual(set(hard["statuses"]), {"200", "503"})
            self.promise("overload, percent of the peak in time", 100 * hard["within_goal_per_second"] / peak, 90)
            time.sleep(4)
            after = load(server, data, 32, 1, peak / 2, 200)
            if LONG:
                self.assertLess(after["p99_ms"], 200)
                self.assertEqual(list(after["statuses"]), ["200"])

    def test_idle_connections(self):
        count = 10000 if LONG else 500
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(24000, resource.getrlimit(resource.RLIMIT_NOFILE)[1]),) * 2)
        with Server(["rows"], "--max-connections", "20000", "--max-client-connections", "0", "--idle-timeout-ms", "600000") as server:
            ask = request("/score", b'{"data":[[1,2,3]]}', "Content-Type: application/json")
            load(server, ask, 8, 1)
            before, open_ones = resident(server), []
            try:
                for _ in range(count):
                    s = socket.create_connection(("127.0.0.1", server.port))
                    s.sendall(ask)
                    self.assertIn(b" 200 ", s.recv(4096))  # it has been of use
                    open_ones.append(s)
                each = (resident(server) - before) / count
                print(f"{count} idle connections take {each / 1000:.1f} KB each")
                self.assertLess(each, 20000)
                self.assertEqual(server.score({"data": [[1, 2, 3]]})[0], 200)
            finally:
                for s in open_ones:
                    s.close()


if __name__ == "__main__":
    raise SystemExit(main())
