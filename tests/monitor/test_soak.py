# SPDX-License-Identifier: Apache-2.0
"""Good and bad traffic, clients that leave, models that are loaded and unloaded, every monitor on: memory does not grow.
For 20 seconds; with --long for 30 minutes, or --minutes N."""
import http.client, json, pathlib, random, subprocess, sys, threading, time, unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent), str(pathlib.Path(__file__).resolve().parent.parent / "server")]
import suite
import venv

venv.enter("monitor")
MINUTES = suite.number_after("--minutes", 30 if "--long" in sys.argv else 0)
from collector import Collector
from serving import PROGRAM, WORK, Server, main, request

SECONDS = MINUTES * 60 or 20
WARM = 0.3  # of the time, before memory is looked at
MOST_GROWTH = 1 << 20  # of the line through the measurements, from the end of the warm-up to the end of the run
JSON = {"Content-Type": "application/json"}
ROW = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3], "data": [1, 2, 3]}]}
BAD = (b"{", b"", b"[" * 1000, b'{"inputs": 3}', b'{"inputs":[{"name":"x","datatype":"FP32","shape":[9,9],"data":[1]}]}',
       json.dumps({"inputs": [{"name": "z" * 5000, "datatype": "FP32", "shape": [1], "data": [1]}]}).encode(), b"\xff" * 3000)


def resident(pid):
    return int(next(l for l in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if l.startswith("VmRSS")).split()[1]) << 10


def slope(points):
    """Bytes a second of the line of least squares."""
    n, x, y = len(points), sum(p[0] for p in points) / len(points), sum(p[1] for p in points) / len(points)
    return sum((a - x) * (b - y) for a, b in points) / sum((a - x) ** 2 for a, _ in points) if n > 1 else 0


class Traffic:
    """One kind of client in a thread of its own."""

    def __init__(self, server, act):
        self.server, self.act, self.count, self.wrong, self.stop = server, act, 0, [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stop:
            try:
                self.act(self)
                self.count += 1
            except (http.client.HTTPException, OSError) as error:
                self.wrong.append(repr(error))
            if len(self.wrong) > 10:
                return


def good(traffic):
    connection = http.client.HTTPConnection("127.0.0.1", traffic.server.port, timeout=20)
    for _ in range(50):
        value = {**ROW, "inputs": [{**ROW["inputs"][0], "data": [random.gauss(0, 1) for _ in range(3)]}]}
        connection.request("POST", "/v2/models/rows/infer", json.dumps(value), JSON)
        response = connection.getresponse()
        if response.read() and response.status not in (200, 503):  # while it is not loaded
            traffic.wrong.append(response.status)
    connection.close()


def bad(traffic):
    for body in BAD:
        status = traffic.server.ask("POST", f"/v2/models/{random.choice(('rows', 'nobody', 'text'))}/infer", body, JSON)[0]
        if status < 400 or status == 500:
            traffic.wrong.append((status, body[:40]))


def leaving(traffic):
    whole = request("/v2/models/rows/infer", json.dumps(ROW).encode(), "Content-Type: application/json")
    for cut in (1, 40, len(whole) - 3, len(whole)):
        with traffic.server.connect() as s:
            s.sendall(whole[:cut])
    time.sleep(0.02)


def reloading(traffic):
    for verb in ("unload", "load", "load"):
        status = traffic.server.ask("POST", f"/v2/repository/models/{random.choice(('text', 'rows'))}/{verb}", "{}", JSON)[0]
        if status != 200:
            traffic.wrong.append((verb, status))
    time.sleep(0.05)


class Soak(unittest.TestCase):
    def test_memory_does_not_grow(self):
        rows = WORK / "usual.csv"
        rows.write_text("a,b,c\n" + "".join(",".join(str(random.gauss(0, 1)) for _ in range(3)) + "\n" for _ in range(500)))
        subprocess.run([PROGRAM, "baseline", str(WORK / "rows.onnx"), str(rows), "-o", str(WORK / "soak.json")], check=True, stdout=subprocess.DEVNULL)
        with Collector() as collector:
            with Server(["rows", "text"], "--baseline", str(WORK / "soak.json"), "--collect", str(WORK / "soak"), "--collect-sample", "0.01",
                        "--collect-bytes", "10000000", "--otlp", collector.url, "--alert-webhook", collector.url, "--alert-error-percent", "1",
                        "--alert-seconds", "1", "--max-client-requests", "0") as server:
                clients = [Traffic(server, act) for act in (good, bad, leaving, reloading)]
                start, points = time.monotonic(), []
                while (now := time.monotonic() - start) < SECONDS:
                    time.sleep(max(0.1, SECONDS / 200))
                    points.append((now, resident(server.process.pid)))
                for client in clients:
                    client.stop = True
                for client in clients:
                    client.thread.join()
                counts = {c.act.__name__: c.count for c in clients}
                settled = [p for p in points if p[0] > WARM * SECONDS]
                grown = slope(settled) * (1 - WARM) * SECONDS
                print(f"{SECONDS} s, {counts}: {settled[0][1] / 1e6:.1f} MB resident, {grown / 1e3:+.0f} kB of growth", flush=True)
                self.assertEqual([c.wrong for c in clients], [[]] * len(clients))
                self.assertTrue(all(counts.values()), counts)
                self.assertLess(grown, MOST_GROWTH if MINUTES else 8 * MOST_GROWTH)
                self.assertEqual(server.metric("sardonyx_buffered_bytes"), 0)


if __name__ == "__main__":
    sys.exit(main())
