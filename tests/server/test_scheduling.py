# SPDX-License-Identifier: Apache-2.0
"""When calls are computed: together under a goal (--p99-ms), the urgent first, clients by turns, and not at all where
the wait would be too long. --long: more load than the server can take, for a minute."""
import concurrent.futures, http.client, json, random, struct, sys, threading, time, unittest

from serving import LONG, SLOW, WORK, Server, main, model, onnx, wait_for

WIDTH = 512
SLOW_BODY = json.dumps(SLOW)


def weights(name, rows, columns, seed):
    numbers = random.Random(seed)
    return onnx.floats([numbers.uniform(-0.08, 0.08) for _ in range(rows * columns)], name, [rows, columns])


def layers(count, first=(), x="x"):
    """x[n, WIDTH] -> a chain of products -> y: one row takes nearly as long as four. `first` come before it."""
    nodes, ends = list(first), [x] + [f"m{i}" for i in range(count - 1)] + ["y"]
    for i in range(count):
        nodes.append(onnx.node("MatMul", [ends[i], f"w{i % 4}"], [ends[i + 1]]))
    return nodes, [weights(f"w{i}", WIDTH, WIDTH, i) for i in range(4)]


def write(name, nodes, inputs, outputs, initializers=()):
    path = WORK / f"{name}.onnx"
    path.write_bytes(model(nodes, inputs, outputs, initializers))
    return str(path)


ROW, RESULT = ("x", onnx.FLOAT, ["n", WIDTH]), ("y", onnx.FLOAT, ["n", WIDTH])
CHAIN = write("chain", *(lambda n: (n[0], [ROW], [RESULT], n[1]))(layers(24)))
# Picks a row of a table of 8, then the chain: an index that is not there is an error of the run.
TABLE = weights("table", 8, WIDTH, 9)
PICK = write("pick", *(lambda n: (n[0], [("i", onnx.INT64, ["n"])], [RESULT], [*n[1], TABLE]))(
    layers(24, [onnx.node("Gather", ["table", "i"], ["x"])])))


def binary_request(row):
    head = json.dumps({"inputs": [{"name": "x", "shape": [1, WIDTH], "datatype": "FP32",
                                   "parameters": {"binary_data_size": 4 * WIDTH}}],
                       "parameters": {"binary_data_output": True}})
    return head.encode() + struct.pack(f"<{WIDTH}f", *row), {"Inference-Header-Content-Length": str(len(head)),
                                                             "Content-Type": "application/octet-stream"}


def infer_row(server, name, row):
    body, headers = binary_request(row)
    status, head, data = server.ask("POST", f"/v2/models/{name}/infer", body, headers)
    return status, data[int(head["inference-header-content-length"]):] if status == 200 else data


def at_once(jobs):
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return [f.result() for f in [pool.submit(*job) for job in jobs]]


def runs(server):
    """How many runs there were of each number of requests."""
    page = server.ask("GET", "/metrics")[2].decode()
    return {int(line.split('requests="')[1].split('"')[0]): int(line.rsplit(" ", 1)[1])
            for line in page.splitlines() if line.startswith("sardonyx_runs_total{")}


class Batches(unittest.TestCase):
    def test_same_bits_as_alone(self):
        numbers = random.Random(4)
        rows = [[numbers.uniform(-1, 1) * 10 ** numbers.randint(-3, 3) for _ in range(WIDTH)] for _ in range(48)]
        with Server([CHAIN], "--inline-us", "0") as server:
            alone = [infer_row(server, "chain", row) for row in rows]
            self.assertEqual(set(runs(server)), {1})
        with Server([CHAIN], "--inline-us", "0", "--p99-ms", "5000", "--workers", "1") as server:
            self.assertEqual(at_once([(infer_row, server, "chain", row) for row in rows]), alone)
            self.assertGreater(max(runs(server)), 1)
            stats = json.loads(server.ask("GET", "/v2/models/chain/stats")[2])["model_stats"][0]
            self.assertEqual(stats["inference_count"], 48)
            self.assertLess(stats["execution_count"], 48)
            self.assertEqual({b["batch_size"]: b["compute_infer"]["count"] for b in stats["batch_stats"]}, runs(server))

    def test_other_row_counts_keep_their_bits(self):
        """Clients that send several rows are computed beside those that send one."""
        numbers = random.Random(5)
        bodies = [{"data": [[numbers.uniform(-1, 1) for _ in range(WIDTH)] for _ in range(1 + i % 3)]} for i in range(24)]
        with Server([CHAIN]) as server:
            alone = [server.score(body) for body in bodies]
        with Server([CHAIN], "--inline-us", "0", "--p99-ms", "5000", "--workers", "1") as server:
            self.assertEqual(at_once([(server.score, body) for body in bodies]), alone)

    def test_bad_neighbours_cost_nothing(self):
        bodies = [{"data": [i % 8]} for i in range(40)]
        bodies[5] = bodies[17] = {"data": [99]}
        bodies[9] = {"data": ["no"]}
        bodies[30] = {"wrong": 1}
        with Server([PICK]) as server:
            alone = [server.score(body) for body in bodies]
        self.assertEqual([a[0] for a in alone].count(200), 36)
        with Server([PICK], "--inline-us", "0", "--p99-ms", "5000", "--workers", "1") as server:
            self.assertEqual(at_once([(server.score, body) for body in bodies]), alone)
            self.assertGreater(max(runs(server)), 1)

    def test_who_may(self):
        """Models whose rows are not independent are computed request by request, and the log says why."""
        x, y = ("x", onnx.FLOAT, ["n", 4]), ("y", onnx.FLOAT, ["n", 4])
        four = onnx.floats([1, 2, 3, 4], "four", [4])
        whole = onnx.attr_int("keepdims", 1)
        cases = {
            "softmax": ([onnx.node("Softmax", ["x"], ["y"], onnx.attr_int("axis", 0))], [x], [y], [], "differ"),
            "sums": ([onnx.node("CumSum", ["x", "axis"], ["y"])], [x], [y], [onnx.ints([0], "axis", dims=[])], "differ"),
            "largest": ([onnx.node("ReduceMax", ["x"], ["m"], whole), onnx.node("Max", ["m", "one"], ["c"]),
                         onnx.node("Div", ["x", "c"], ["y"])], [x], [y], [onnx.floats([1e9], "one", [1])], "mixes rows"),
            "mean": ([onnx.node("ReduceMean", ["x"], ["m"], onnx.attr_ints("axes", [0])),
                      onnx.node("Sub", ["x", "m"], ["y"])], [x], [y], [], "mixes rows"),
            "quantized": ([onnx.node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
                           onnx.node("DequantizeLinear", ["q", "s", "z"], ["y"])], [x], [y], [], "mixes rows"),
            "fixed": ([onnx.node("Mul", ["x", "four"], ["y"])], [("x", onnx.FLOAT, [2, 4])],
                      [("y", onnx.FLOAT, [2, 4])], [four], "not free"),
            "two": ([onnx.node("MatMul", ["x", "w"], ["y"])], [x, ("w", onnx.FLOAT, ["k", 4])],
                    [("y", onnx.FLOAT, ["n", 4])], [], "name of its own"),
            "words": ([onnx.node("Identity", ["x"], ["y"])], [("x", onnx.STRING, ["n"])], [("y", onnx.STRING, ["n"])],
                      [], "no tensor of numbers"),
            "found": ([onnx.node("NonZero", ["x"], ["y"])], [x], [("y", onnx.INT64, [2, "k"])], [], ""),
        }
        paths = [write(name, *case[:4]) for name, case in cases.items()]
        with Server([*paths, CHAIN], "--p99-ms", "1000") as server:
            log = server.text()
        for name, case in cases.items():
            self.assertRegex(log, f"model '{name}' is computed request by request: .*{case[4]}")
        self.assertRegex(log, r"model 'chain' is computed up to \d+ requests at once")


class Order(unittest.TestCase):
    """One worker, so that the order of the ends tells the order of the starts."""

    def order(self, server, calls):
        """Sends calls one after the other while the worker is busy: (label, headers, parameters, address) -> labels by
        the time of their answers."""
        ended, threads = [], []

        def ask(label, headers, parameters, address):
            c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60, source_address=(address, 0))
            body = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [0]}], "parameters": parameters}
            c.request("POST", "/v2/models/quick/infer", json.dumps(body), {"Content-Type": "application/json", **headers})
            self.assertEqual(c.getresponse().status, 200)
            ended.append(label)

        first = server.background(1)  # asks the model slow
        time.sleep(0.2)
        for call in calls:
            threads.append(threading.Thread(target=ask, args=call))
            threads[-1].start()
            time.sleep(0.01)
        self.assertFalse(first[0].done())
        for t in threads:
            t.join()
        return ended

    def server(self, *options):
        return Server(["slow", "quick"], "--workers", "1", "--threads", "1", "--inline-us", "0", "--max-queue-wait-ms",
                      "60000", *options)

    def test_priorities(self):
        local = "127.0.0.1"
        with self.server() as server:
            for urgent in (({"x-request-priority": "1"}, {}), ({}, {"priority": 1})):
                ended = self.order(server, [("low", {}, {"priority": 90}, local)] * 3 + [("usual", {}, {}, local)] * 3 +
                                   [("urgent", *urgent, local)] * 2)
                self.assertEqual(ended, ["urgent"] * 2 + ["usual"] * 3 + ["low"] * 3)
            for bad in ("x", "-1", "1000001"):
                self.assertEqual(server.ask("POST", "/score", SLOW_BODY, {"X-Request-Priority": bad})[0], 400)
            x = {"name": "x", "datatype": "FP32", "shape": [1], "data": [0]}
            self.assertEqual(server.infer("quick", {"inputs": [x], "parameters": {"priority": -3}})[0], 400)

    def test_clients_take_turns(self):
        with self.server() as server:
            ended = self.order(server, [("many", {}, {}, "127.0.0.1")] * 6 + [("few", {}, {}, "127.0.0.2")] * 2)
            self.assertLessEqual(ended.index("few"), 1)
            self.assertLess(max(i for i, label in enumerate(ended) if label == "few"), 4)

    def test_the_urgent_take_places(self):
        with self.server("--max-queue", "2") as server:
            jobs = [threading.Thread(target=server.score, args=(SLOW,)) for _ in range(3)]
            jobs[0].start()
            time.sleep(0.2)
            for job in jobs[1:]:
                job.start()
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_queue_length") == 2))
            self.assertEqual(server.score(SLOW)[0], 503)
            self.assertEqual(server.score(SLOW, headers={"X-Request-Priority": "1"})[0], 200)
            for job in jobs:
                job.join()
            self.assertEqual(server.metric('sardonyx_refused_total{reason="queue_full"}'), 2)


class Forecast(unittest.TestCase):
    def test_what_would_be_late_is_refused(self):
        """At once, with the time after which there is room."""
        with Server(["slow"], "--workers", "1", "--max-queue-wait-ms", "60000") as server:
            start = time.monotonic()
            self.assertEqual(server.score(SLOW)[0], 200)
            whole = time.monotonic() - start
            jobs = server.background(4)
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_queue_length") == 3))
            start = time.monotonic()
            status, head, body = server.ask("POST", "/score", SLOW_BODY, {"X-Request-Timeout-Ms": str(int(whole * 1100))})
            took = time.monotonic() - start
            self.assertEqual((status, [job.result()[0] for job in jobs]), (503, [200] * 4))
            self.assertLess(took, whole)
            self.assertIn("the wait would be about", json.loads(body)["error"])
            self.assertIn("its deadline", json.loads(body)["error"])
            self.assertAlmostEqual(int(head["retry-after"]), whole * 4, delta=whole * 4 + 1)
            self.assertEqual(server.metric('sardonyx_refused_total{reason="forecast"}'), 1)

    def test_a_deadline_ends_the_wait(self):
        """Also where nothing is known of the pace yet."""
        with Server(["slow"], "--workers", "1", "--max-queue-wait-ms", "60000") as server:
            start = time.monotonic()
            jobs = server.background(1)
            time.sleep(0.05)
            status, _, body = server.ask("POST", "/score", SLOW_BODY, {"X-Request-Timeout-Ms": "50"})
            took = time.monotonic() - start
            self.assertEqual((status, jobs[0].result()[0]), (504, 200))
            self.assertIn("the result was not there after 50 ms", json.loads(body)["error"])
            self.assertLess(took, (time.monotonic() - start) / 2)

    def test_one_long_wait_is_no_pace(self):
        """Many wait behind another model and are parsed before the first is computed: none of that makes each of them
        slow, so those that come then are not refused."""
        def client(server):
            return [server.post("/api/v1/service/quick/score", SLOW)[0] for _ in range(2)]

        with Server(["slow", "quick"], "--workers", "1", "--inline-us", "0", "--max-queue-wait-ms", "6000") as server:
            slow = server.background(1)
            time.sleep(0.1)
            self.assertEqual(at_once([(client, server)] * 12), [[200] * 2] * 12)
            self.assertEqual(slow[0].result()[0], 200)

    def test_goal(self):
        with Server(["slow"], "--workers", "1", "--p99-ms", "1", "--max-queue-wait-ms", "60000") as server:
            self.assertEqual(server.score(SLOW)[0], 200)  # nobody is before it: it is tried
            answers = [job.result() for job in server.background(6)]
            self.assertIn(200, [a[0] for a in answers])
            refused = [json.loads(a[2])["error"] for a in answers if a[0] == 503]
            self.assertGreaterEqual(len(refused), 3)
            for text in refused:
                self.assertIn("goal p99-ms", text)


def open_loop(server, rate, seconds, name="chain"):
    """Requests at that rate, whatever the answers: latencies of the good ones, number of refused ones, and of others."""
    body, headers = binary_request([0.5] * WIDTH)
    good, refused, others, lock = [], [0], [0], threading.Lock()
    start, number = time.monotonic(), [0]

    def client():
        c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        while True:
            with lock:
                due, number[0] = start + number[0] / rate, number[0] + 1
            if due > start + seconds:
                return
            time.sleep(max(0, due - time.monotonic()))
            c.request("POST", f"/v2/models/{name}/infer", body, headers)
            answer = c.getresponse()
            answer.read()
            with lock:
                if answer.status == 200:
                    good.append(time.monotonic() - due)
                elif answer.status == 503 and answer.headers["Retry-After"]:
                    refused[0] += 1
                else:
                    others[0] += 1

    threads = [threading.Thread(target=client) for _ in range(64)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return good, refused[0], others[0]


class Overload(unittest.TestCase):
    @unittest.skipUnless(LONG, "a minute of load: --long")
    def test_goodput(self):
        goal = 0.25
        with Server([CHAIN], "--inline-us", "0", "--p99-ms", str(int(goal * 1000)), "--max-queue", "1000") as server:
            peak = max(len(open_loop(server, rate, 4)[0]) / 4 for rate in (100, 200, 400, 800, 1600))
            good, refused, others = open_loop(server, 3 * peak, 60)
            goodput = len([t for t in good if t <= goal]) / 60
            print(f"peak {peak:.0f}/s; at three times that {goodput:.0f}/s in {goal} s, {refused} refused")
            self.assertEqual(others, 0)
            self.assertGreater(goodput, 0.9 * peak)
            time.sleep(1)
            self.assertLess(max(open_loop(server, peak / 4, 2)[0]), goal)


if __name__ == "__main__":
    sys.exit(main())
