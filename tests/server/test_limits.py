# SPDX-License-Identifier: Apache-2.0
"""What is bounded and what happens there: sizes, queues, caps, deadlines, phases of a connection."""
import json, os, random, resource, socket, struct, sys, time, unittest

from serving import GOOD, JSON, LONG, SLOW, Server, drain, main, request, status_of, wait_for


class Limits(unittest.TestCase):
    def test_body_too_large(self):
        with Server(["rows"], "--max-body-bytes", "1000") as server:
            body = b'{"data":[[1,2,3]]' + b" " * 2000 + b"}"
            status, headers, data = server.ask("POST", "/score", body, {"Content-Type": "application/json"})
            self.assertEqual(status, 413)
            self.assertIn("max-body-bytes", json.loads(data)["error"])
            # Refused by the head alone, and readable by a client that sends everything first.
            self.assertEqual(
                status_of(server.raw(request("/score", b"", JSON, "Content-Length: 1001", length=False))[0]), 413
            )
            status, _, _ = server.ask("POST", "/score", b" " * 8000000, {"Content-Type": "application/json"})
            self.assertEqual(status, 413)
            chunk = b"200\r\n" + b" " * 512 + b"\r\n"
            out, closed = server.raw(request("/score", chunk * 3, JSON, "Transfer-Encoding: chunked", length=False))
            self.assertEqual((status_of(out), closed), (413, True))
            self.assertEqual(
                server.ask("POST", "/score", body[:17] + b" " * 982 + b"}", {"Content-Type": "application/json"})[0],
                200,
            )

    def test_response_too_large(self):
        with Server(["rows"], "--max-response-bytes", "10") as server:
            for path in ("/v2", "/v2/models/stats", "/v2/models/rows", "/v2/models/rows/stats", "/metrics", "/swagger.json"):
                status, _, data = server.ask("GET", path)
                self.assertEqual(status, 507, path)
                self.assertIn("max-response-bytes (10)", json.loads(data)["error"])
            self.assertEqual(server.score({"data": [[1, 2, 3]]})[0], 507)
            self.assertIn("no such path", json.loads(server.ask("GET", "/nothing")[2])["error"])
            self.assertEqual(server.ask("GET", "/")[0], 200)

    def test_buffer_memory(self):
        with Server(["rows"], "--max-buffered-bytes", "20000") as server:
            with server.connect() as s:
                s.sendall(request("/score", b"", JSON, "Content-Length: 1000000", length=False) + b" " * 15000)
                self.assertTrue(wait_for(lambda: server.metric("sardonyx_buffered_bytes") > 10000))
                status, headers, _ = server.ask("POST", "/score", b" " * 15000, {"Content-Type": "application/json"})
                self.assertEqual(status, 503)
                self.assertIn(int(headers["retry-after"]), (1, 2, 3))
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_buffered_bytes") == 0))

    def test_queue_is_bounded(self):
        with Server(["slow"], "--workers", "1", "--max-queue", "2", "--max-queue-wait-ms", "60000") as server:
            jobs = server.background(1)
            time.sleep(0.3)  # the worker has taken the first one before the queue fills
            answers = [job.result() for job in jobs + server.background(7)]
            codes = sorted(status for status, _, _ in answers)
            self.assertEqual(codes.count(200) + codes.count(503), 8)
            self.assertIn(codes.count(200), (3, 4))
            for status, headers, body in answers:
                if status == 503:
                    self.assertIn(int(headers["retry-after"]), (1, 2, 3))
                    self.assertIn("max-queue", json.loads(body)["error"])
            self.assertEqual(server.metric("sardonyx_refused_total"), codes.count(503))

    def test_queue_wait_is_bounded(self):
        with Server(["slow"], "--workers", "1", "--max-queue-wait-ms", "100") as server:
            answers = [job.result() for job in server.background(3)]
            self.assertEqual(sorted(a[0] for a in answers), [200, 503, 503])
            self.assertIn("max-queue-wait-ms", "".join(a[2].decode() for a in answers))

    def test_health_during_overload(self):
        with Server(["slow"], "--workers", "2", "--threads", "1") as server:
            jobs = server.background(6)
            time.sleep(0.1)
            start = time.monotonic()
            self.assertEqual(server.ask("GET", "/health/live")[0], 200)
            self.assertLess(time.monotonic() - start, 0.5)
            for job in jobs:
                job.result()

    def test_slow_model_leaves_a_worker(self):
        with Server(["slow", "quick"], "--workers", "2", "--threads", "1", "--max-queue-wait-ms", "60000") as server:
            jobs = server.background(4)
            time.sleep(0.1)
            start = time.monotonic()
            self.assertEqual(server.post("/api/v1/service/quick/score", SLOW)[0], 200)
            elapsed = time.monotonic() - start
            self.assertFalse(all(job.done() for job in jobs))
            for job in jobs:
                job.result()
            self.assertLess(elapsed, time.monotonic() - start)

    def test_client_cap(self):
        with Server(["slow"], "--workers", "1", "--max-client-requests", "2", "--max-queue-wait-ms", "60000") as server:
            answers = [job.result() for job in server.background(6)]
            refused = [a for a in answers if a[0] == 429]
            self.assertEqual(len(refused), 4)
            self.assertIn("retry-after", refused[0][1])
            self.assertEqual(server.score(SLOW)[0], 200)

    def test_deadlines(self):
        with Server(["slow"], "--timeout-ms", "150") as server:
            for headers in ({}, {"X-Request-Timeout-Ms": "50"}, {"X-Request-Timeout-Ms": "999999999999999999"}):
                start = time.monotonic()
                status, answer = server.score(SLOW, headers=headers)
                self.assertEqual(status, 504, answer)
                self.assertLess(time.monotonic() - start, 1.0)
            for value in ("0", "-1", "x", "1.5", "9223372036854775808", ""):
                self.assertEqual(server.score(SLOW, headers={"X-Request-Timeout-Ms": value})[0], 400, value)
            x = {"name": "x", "datatype": "FP32", "shape": [1], "data": [0]}
            self.assertEqual(server.infer("slow", {"inputs": [x], "parameters": {"timeout": 20000}})[0], 504)
            status, headers, body = server.ask("POST", "/score", json.dumps(SLOW), {"X-Request-Timeout-Ms": "20"})
            self.assertEqual((status, headers["x-ms-run-function-failed"]), (504, "True"))

    def test_client_that_leaves_cancels(self):
        with Server(["slow"], "--workers", "1", "--max-queue-wait-ms", "60000") as server:
            start = time.monotonic()
            self.assertEqual(server.score(SLOW)[0], 200)
            whole = time.monotonic() - start
            running, waiting = server.connect(), server.connect()
            for s in (running, waiting):
                s.sendall(request("/score", json.dumps(SLOW).encode(), JSON))
                time.sleep(0.05)
            waiting.close()
            running.close()
            start = time.monotonic()
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_cancelled_total") == 2, whole))
            self.assertLess(time.monotonic() - start, max(0.5, whole / 2))
            self.assertEqual(server.score(SLOW)[0], 200)

    def test_phases_are_timed(self):
        with Server(
            ["rows"], "--head-timeout-ms", "300", "--idle-timeout-ms", "400", "--write-timeout-ms", "500"
        ) as server:

            def lifetime(data, trickle=b""):
                with server.connect(5) as s:
                    start = time.monotonic()
                    s.sendall(data)
                    for byte in trickle:
                        try:
                            s.sendall(bytes([byte]))
                        except OSError:
                            break
                        time.sleep(0.05)
                    while s.recv(1000):
                        pass
                    return time.monotonic() - start

            self.assertLess(lifetime(b""), 1.5)
            self.assertLess(lifetime(b"GET / HTTP/1.1\r\nA: "), 1.5)
            self.assertGreater(lifetime(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), 0.3)
            with server.connect(5) as s:
                start = time.monotonic()
                with self.assertRaises(OSError):
                    for byte in GOOD * 10:
                        s.sendall(bytes([byte]))
                        time.sleep(0.05)
                self.assertLess(time.monotonic() - start, 3)
            self.assertGreaterEqual(server.metric("sardonyx_connections_cut_total"), 4)

    @unittest.skipUnless(LONG, "takes 12 s (--long)")
    def test_slow_body_is_cut(self):
        with Server(["rows"]) as server, server.connect(30) as s:
            s.sendall(request("/score", b"", JSON, "Content-Length: 100000", length=False))
            start = time.monotonic()
            with self.assertRaises(OSError):
                while time.monotonic() - start < 20:
                    s.sendall(b" " * 100)
                    time.sleep(0.5)
            self.assertLess(time.monotonic() - start, 12)

    def test_vanishing_clients(self):
        with Server(["rows"], "--head-timeout-ms", "300") as server:
            for i in range(100):
                s = server.connect()
                s.sendall(GOOD[: random.Random(i).randrange(len(GOOD) + 1)])
                if i % 2:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
                s.close()
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_connections") <= 1, 8))
            self.assertEqual(server.metric("sardonyx_buffered_bytes"), 0)

    def descriptors(self, server):
        return len(os.listdir(f"/proc/{server.process.pid}/fd"))

    def test_half_closed_clients(self):
        """They get their answers, and then nothing is left of them, though they never close."""
        server = Server(["rows"])
        before, clients = self.descriptors(server), []
        for i in range(200):
            s = server.connect()
            s.sendall((GOOD, GOOD[: i % len(GOOD)], GOOD + GOOD, b"")[i % 4])
            s.shutdown(socket.SHUT_WR)
            clients.append(s)
        self.assertTrue(wait_for(lambda: self.descriptors(server) == before, 2), self.descriptors(server) - before)
        for i, s in enumerate(clients):
            out, closed = drain(s)
            whole, refused = out.count(b"HTTP/1.1 200"), out.count(b"HTTP/1.1 400")
            self.assertTrue(closed)
            self.assertEqual((whole, refused), ((1, 0), (0, int(i % len(GOOD) > 0)), (2, 0), (0, 0))[i % 4], out)
            s.close()
        start = time.monotonic()
        self.assertEqual(server.stop(), 0)
        self.assertLess(time.monotonic() - start, 1)

    def test_half_closed_while_it_runs(self):
        """TCP does not tell a client that half-closed from one that left: long work for it is given up."""
        with Server(["slow"], "--workers", "1") as server, server.connect() as s:
            s.sendall(request("/score", json.dumps(SLOW).encode(), JSON))
            s.shutdown(socket.SHUT_WR)
            out, closed = drain(s)
            self.assertEqual((status_of(out), closed), (499, True))
            self.assertEqual(server.metric("sardonyx_cancelled_total"), 1)

    @unittest.skipIf(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 10500, "fewer than 10,500 open files are allowed")
    def test_flood(self):
        """10,000 idle connections cost at most 20 KB each; served once and closed, memory goes back."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        try:
            with Server(["rows"], "--max-client-connections", "0", "--max-connections", "11000",
                        "--head-timeout-ms", "60000") as server:
                def burst(count):
                    clients = []
                    for _ in range(count // 50):  # fewer than the queue holds
                        fresh = [server.connect() for _ in range(50)]
                        for s in fresh:
                            s.sendall(GOOD)
                        for s in fresh:
                            self.assertEqual(status_of(s.recv(4096)), 200)
                        clients += fresh
                    return clients

                for s in burst(100):
                    s.close()
                before = server.metric("process_resident_memory_bytes")
                clients = burst(10000)
                held = server.metric("process_resident_memory_bytes") - before
                for s in clients:
                    s.close()
                self.assertTrue(wait_for(lambda: server.metric("sardonyx_connections") <= 1))
                after = server.metric("process_resident_memory_bytes") - before
                print(f"{held / 10000:.0f} bytes a connection, {after:.0f} bytes afterwards")
                if "ASAN_OPTIONS" not in os.environ:
                    self.assertLess(held, 10000 * 20000)
                    self.assertLess(after, 1 << 20)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_readers_are_timed(self):
        size = 1 << 20
        body = b"1" * 12 * size
        head = ["Content-Type: application/octet-stream", "Inference-Header-Content-Length: 0"]
        with Server(["rows"], "--write-timeout-ms", "400") as server:
            with server.connect() as s:  # takes nothing
                s.sendall(request("/v2/models/rows/infer", body, *head))
                self.assertTrue(wait_for(lambda: server.metric("sardonyx_connections_cut_total") == 1, 5))
            with server.connect() as s:  # takes its time, but takes
                s.sendall(request("/v2/models/rows/infer", body, *head))
                out = b""
                while len(out) < len(body):
                    out += s.recv(size // 2)
                    time.sleep(0.04)
                self.assertTrue(out.startswith(b"HTTP/1.1 200"))
            self.assertEqual(server.metric("sardonyx_connections_cut_total"), 1)

    def test_many_connections(self):
        with Server(["rows"]) as server:
            idle = [server.connect() for _ in range(500)]
            for s in idle[::2]:
                s.sendall(b"POST /score HTTP/1.1\r\nHo")
            start = time.monotonic()
            for i in range(50):
                self.assertEqual(server.score({"data": [i, 2, 3]})[0], 200)
            self.assertLess(time.monotonic() - start, 5)
            for s in idle:
                s.close()
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_connections") <= 1))


if __name__ == "__main__":
    sys.exit(main())
