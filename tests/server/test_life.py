# SPDX-License-Identifier: Apache-2.0
"""From start to exit: command line, files, logs, signals, draining, idling."""
import http.client, json, pathlib, re, signal, subprocess, sys, threading, time, unittest

from serving import GOOD, JSON, LONG, PROGRAM, WORK, Server, main, request, wait_for


class Life(unittest.TestCase):
    def cpu(self, pid):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        switches = 0
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            switches += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", (task / "status").read_text(), re.M)[1])
        return int(fields[11]) + int(fields[12]), switches

    def test_idle_server_sleeps(self):
        with Server(["rows"]) as server, server.connect() as s:
            for i in range(20):
                server.score({"data": [1, 2, 3]})
            s.sendall(GOOD)
            s.recv(1000)
            time.sleep(0.5)
            before = self.cpu(server.process.pid)
            time.sleep(2)
            ticks, switches = self.cpu(server.process.pid)
            # One look at a deadline set while it was busy may fall into the two seconds.
            self.assertEqual(ticks, before[0])
            self.assertLessEqual(switches - before[1], 2)

    def load(self, server, threads, stop, value, results):
        """Clients that send until they are refused; records every request that was accepted."""

        def client():
            body = json.dumps(value).encode()
            while not stop.is_set():
                try:
                    s = server.connect(30)
                except OSError:
                    return
                with s:
                    while not stop.is_set():
                        try:
                            s.sendall(request("/score", body, JSON))
                            response = http.client.HTTPResponse(s)
                            response.begin()
                            response.read()
                        except (OSError, http.client.HTTPException) as error:
                            results.append(repr(error))
                            return
                        results.append(response.status)
                        if response.getheader("Connection", "").lower() == "close":
                            break

        workers = [threading.Thread(target=client) for _ in range(threads)]
        for w in workers:
            w.start()
        return workers

    def test_term_under_load_loses_nothing(self):
        for model, value in (("rows", {"data": [1, 2, 3]}), ("quick", {"data": [0]})):
            for _ in range(10 if LONG else 3):
                results, stop = [], threading.Event()
                server = Server([model], "--max-queue-wait-ms", "60000")
                clients = self.load(server, 12, stop, value, results)
                time.sleep(0.4)
                wait_for(lambda: len(results) > 12, 20)
                server.process.send_signal(signal.SIGTERM)
                self.assertEqual(server.process.wait(30), 0)
                stop.set()
                for c in clients:
                    c.join(30)
                self.assertGreater(len(results), 12)
                self.assertEqual(set(results), {200})
                server.stop()

    def test_term_answers_what_runs(self):
        server = Server(["slow"], "--workers", "1", "--max-queue-wait-ms", "60000")
        jobs = server.background(3)
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual([job.result()[0] for job in jobs], [200, 200, 200])
        self.assertEqual(jobs[0].result()[1]["connection"], "close")
        self.assertEqual(server.stop(term=False), 0)

    def test_lag_keeps_accepting(self):
        server = Server(["rows"], "--drain-lag-ms", "600")
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        self.assertEqual(server.ask("GET", "/health/ready")[0], 503)
        self.assertEqual(server.ask("GET", "/health/live")[0], 200)
        self.assertEqual(server.score({"data": [1, 2, 3]})[0], 200)
        self.assertEqual(server.stop(term=False), 0)

    def test_drain_time_is_bounded(self):
        server = Server(["slow"], "--workers", "1", "--drain-ms", "100", "--max-queue-wait-ms", "60000")
        jobs = server.background(4)
        time.sleep(0.15)
        start = time.monotonic()
        code = server.stop()
        codes = [job.result()[0] for job in jobs]
        self.assertEqual(set(codes) - {200, 503}, set())
        self.assertEqual(code, 1 if 503 in codes else 0)
        self.assertIn(503, codes)
        self.assertLess(time.monotonic() - start, 3)

    def test_second_term_ends_at_once(self):
        server = Server(["slow"], "--workers", "1", "--max-queue-wait-ms", "60000")
        server.background(6)
        time.sleep(0.15)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        start = time.monotonic()
        self.assertNotEqual(server.stop(), 0)
        self.assertLess(time.monotonic() - start, 1)

    def test_other_signals(self):
        with Server(["rows"]) as server:
            server.process.send_signal(signal.SIGHUP)
            server.process.send_signal(signal.SIGPIPE)
            server.process.send_signal(signal.SIGSTOP)
            time.sleep(0.3)
            server.process.send_signal(signal.SIGCONT)
            self.assertEqual(server.score({"data": [1, 2, 3]})[0], 200)

    def test_files_and_logs(self):
        port, pid = WORK / "port", WORK / "pid"
        with Server(["rows"], "--port-file", str(port), "--pid-file", str(pid), "--access-log", "--json-log") as server:
            self.assertEqual(int(port.read_text()), server.port)
            self.assertEqual(int(pid.read_text()), server.process.pid)
            words = [PROGRAM, "serve", str(WORK / "rows.onnx"), "--port", str(server.port)]
            second = subprocess.run([*words, "--port-file", str(port), "--pid-file", str(pid)], capture_output=True, text=True)
            self.assertIn("Address already in use", second.stderr)
            self.assertTrue(port.exists() and pid.exists())  # they belong to the first
            server.ask("GET", '/%1b[31m"nothing?a=\x1b'.replace("\x1b", "%1b"))
            server.ask("GET", "/caf%c3%a9%22%ff")
            server.ask("POST", "/score", '{"data":[1,2,3]}', {"x-request-id": 'a"b'})
            self.assertTrue(wait_for(lambda: server.text().count('"client"') >= 3))
            lines = [json.loads(line) for line in server.text().splitlines()]
            self.assertEqual([l["status"] for l in lines if "client" in l], [400, 404, 200])
            self.assertIn('a"b', [l.get("id") for l in lines])
        self.assertFalse(port.exists() or pid.exists())

    def test_quiet_by_default(self):
        with Server(["rows"]) as server:
            server.score({"data": [1, 2, 3]})
            self.assertEqual(len(server.text().splitlines()), 1)

    def test_command_line(self):
        run = lambda *words: subprocess.run([PROGRAM, "serve", *words], capture_output=True, text=True, timeout=20)
        rows = str(WORK / "rows.onnx")
        self.assertIn("Examples:", run("--help").stdout)
        self.assertEqual(run().returncode, 2)
        self.assertEqual(run(rows, "--workers", "x").returncode, 2)
        self.assertEqual(run(rows, "--max-body-bytes", "0").returncode, 2)
        self.assertEqual(run(rows, "--option", "thread=3").returncode, 2)
        missing = run(str(WORK / "missing.onnx"), "--port", "0")
        self.assertEqual(missing.returncode, 1)
        self.assertIn("missing.onnx", missing.stderr)
        twice = run(rows, rows, "--port", "0")
        self.assertEqual(twice.returncode, 1)
        self.assertIn("are both named 'rows'", twice.stderr)
        with Server([f"first={rows}", f"second={rows}"]) as server:
            self.assertEqual(server.ask("GET", "/v2/models/second")[0], 200)
            taken = run(rows, "--port", str(server.port))
            self.assertEqual(taken.returncode, 1)
            self.assertIn("cannot listen", taken.stderr)


if __name__ == "__main__":
    sys.exit(main())
