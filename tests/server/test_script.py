# SPDX-License-Identifier: Apache-2.0
"""A score.py behind /score: what run() gets and what clients see, prints, exceptions, workers that die, hang or do not
come up, the sandbox, readiness, draining."""
import json, os, pathlib, re, shutil, signal, subprocess, textwrap, threading, time, unittest

from serving import LONG, PROGRAM, WORK, Server, main, request, wait_for

HEADERS = """
    class Response:
        def __init__(self, data, status=200, **headers):
            self.data, self.status_code, self.headers = data, status, headers
        def get_data(self):
            return self.data
"""


def script(text, name="score.py"):
    folder = WORK / f"app-{script.count}"
    script.count += 1
    folder.mkdir()
    path = folder / name
    path.write_text(textwrap.dedent(HEADERS) + textwrap.dedent(text))
    return str(path)


script.count = 0


class Scripts(unittest.TestCase):
    def serve(self, text, *options, models=(), workers=1):
        return Server(models, "--script", script(text), "--script-workers", str(workers), *options)

    def test_body_result_and_headers(self):
        with self.serve("""
            import json, os
            def init():
                global started
                started = os.getpid()
            def run(raw_data):
                return {"got": json.loads(raw_data), "same": started == os.getpid()}
        """, models=["rows"]) as server:
            status, head, body = server.ask("POST", "/score", '{"data": [1, "\u00e4"]}'.encode(), {"x-ms-client-request-id": "me"})
            self.assertEqual((status, json.loads(body)), (200, {"got": {"data": [1, "\u00e4"]}, "same": True}))
            self.assertEqual(head["content-type"], "application/json")
            self.assertEqual(head["x-ms-run-function-failed"], "False")
            self.assertEqual(head["x-ms-client-request-id"], "me")
            self.assertGreater(float(head["x-ms-run-fn-exec-ms"]), 0)
            self.assertEqual(server.ask("POST", "/api/v1/service/any/score", b"[1]")[0], 200)
            # The model answers for itself beside it.
            self.assertEqual(server.infer("rows", {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3],
                                                               "data": [1, 2, 3]}]})[0], 200)
            self.assertIn('sardonyx_requests_total{model="script",code="200"} 2', server.ask("GET", "/metrics")[2].decode())
            self.assertEqual(server.ask("GET", "/swagger.json")[0], 404)
            self.assertIn("/score", json.loads(server.ask("GET", "/openapi.json")[2])["paths"])

    def test_response_object(self):
        with self.serve("""
            def init(): pass
            def run(raw_data):
                long = "v" * 500
                return Response(b"\\x00\\x01", 201, **{"Content-Type": "image/x", "X-Long": long, "Content-Length": "7",
                                                      "Bad Name": "x", "X-Split": "a\\r\\nX-Evil: 1", "x-Own": "yes"})
        """) as server:
            status, head, body = server.ask("POST", "/score", b"x", {"Content-Type": "image/png"})
            self.assertEqual((status, body, head["content-type"]), (201, b"\x00\x01", "image/x"))
            self.assertEqual((head["x-long"], head["x-own"], head["content-length"]), ("v" * 500, "yes", "2"))
            self.assertNotIn("x-evil", head)
            self.assertNotIn("x-split", head)
            self.assertEqual(head["x-ms-run-function-failed"], "False")
            if shutil.which("curl"):
                said = subprocess.run(["curl", "-si", "--http2-prior-knowledge", "-d", "x", f"http://127.0.0.1:{server.port}/score"],
                                      capture_output=True, check=True).stdout
                self.assertIn(b"x-long: " + b"v" * 500, said)
                self.assertIn(b"x-own: yes", said)

    def test_who_says_that_run_failed(self):
        """x-ms-run-function-failed, once: what the answer says itself, and what its status says."""
        with self.serve("""
            name = "x-ms-run-function-failed"
            answers = {"ok": Response(b"1"), "said": Response(b"2", 200, **{name: "True"}), "status": Response(b"3", 503),
                       "denied": Response(b"4", 200, **{name.title(): "False"})}
            def init(): pass
            def run(raw): return answers[raw]
        """) as server:
            for name, want in (("ok", "False"), ("said", "True"), ("status", "True"), ("denied", "False")):
                said = server.raw(request("/score", name.encode()), 1)[0].decode().lower()
                self.assertEqual(re.findall(r"x-ms-run-function-failed: (\w+)", said), [want.lower()], name)

    def test_get_passes_the_query(self):
        with self.serve("""
            def init(): pass
            def run(raw_data): return raw_data
        """) as server:
            status, _, body = server.ask("GET", "/score?a=1&b=two")
            self.assertEqual((status, json.loads(json.loads(body))), (200, {"a": 1, "b": "two"}))
        with Server(["rows"]) as server:
            self.assertEqual(server.ask("GET", "/score")[0], 405)

    def test_prints_and_exceptions_are_logged_with_the_id(self):
        with self.serve("""
            import sys
            def init(): print("up and ready")
            def run(raw_data):
                print("got", raw_data)
                print("oh", file=sys.stderr)
                raise ValueError("secret of the house")
        """) as server:
            status, head, body = server.ask("POST", "/score", b"5", {"x-request-id": "call-7"})
            self.assertEqual(status, 500)
            self.assertEqual(json.loads(body), {"message": "An unexpected error occurred in scoring script. "
                                                           "Check the logs for more info."})
            self.assertEqual(head["x-ms-run-function-failed"], "True")
            log = server.text()
            for words in ("up and ready", "[call-7] got 5", "[call-7] oh", "[call-7] ValueError: secret of the house",
                          "score.py"):
                self.assertIn(words, log)
        with self.serve("""
            def init(): pass
            def run(raw_data): print("got", raw_data)
        """, "--json-log") as server:
            server.ask("POST", "/score", b"5", {"x-request-id": "call-8"})
            lines = [json.loads(line) for line in server.text().splitlines()]
            self.assertIn(("call-8", "got 5"), [(line.get("id"), line["message"]) for line in lines])

    def test_bad_bodies(self):
        with self.serve("""
            def init(): pass
            def run(raw_data): return 1
        """) as server:
            status, head, body = server.ask("POST", "/score", b"\xff\xfe")
            self.assertEqual(status, 400)
            self.assertIn("UTF-8", json.loads(body)["message"])
            self.assertEqual(server.ask("POST", "/score", b"")[0], 200)

    def test_failures_at_the_start(self):
        cases = (("def init(): raise KeyError('weights')\ndef run(x): pass\n", ["KeyError", "weights", "init()", "line 7"]),
                 ("import nothing_like_it\ndef init(): pass\ndef run(x): pass\n", ["ModuleNotFoundError", "nothing_like_it"]),
                 ("def init(: pass\n", ["SyntaxError", "line 7"]),
                 ("def init(): pass\n", ["no function run()"]))
        for text, words in cases:
            with self.subTest(text):
                done = subprocess.run([PROGRAM, "serve", "--port", "0", "--script", script(text), "--script-workers", "2"],
                                      capture_output=True, text=True, timeout=30, check=False)
                self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
                for word in words:
                    self.assertIn(word, done.stderr)
        done = subprocess.run([PROGRAM, "serve", "--script", "/nowhere/score.py"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/score.py: no such file", done.stderr)
        done = subprocess.run([PROGRAM, "serve"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)

    def test_time_is_over(self):
        with self.serve("""
            import time
            def init(): pass
            def run(raw_data):
                if raw_data == "slow": time.sleep(60)
                return raw_data
        """) as server:
            status, _, body = server.ask("POST", "/score", b"slow", {"x-request-timeout-ms": "300"})
            self.assertEqual((status, json.loads(body)), (500, {"message": "Scoring timeout after 300 ms"}))
            self.assertEqual(server.ask("POST", "/score", b"quick")[0], 200)  # another worker

    def test_the_queue_is_bounded(self):
        with self.serve("""
            import time
            def init(): pass
            def run(raw_data):
                time.sleep(1)
                return raw_data
        """, "--max-queue", "0") as server:
            first = threading.Thread(target=lambda: self.assertEqual(server.ask("POST", "/score", b"1")[0], 200))
            first.start()
            time.sleep(0.3)
            status, _, body = server.ask("POST", "/score", b"2")
            self.assertEqual(status, 503)
            self.assertIn("max-queue", json.loads(body)["error"])
            first.join()
            self.assertEqual(server.metric("sardonyx_queue_length"), 0)

    def test_a_crash_costs_its_own_call_only(self):
        with self.serve("""
            import os
            def init(): pass
            def run(raw_data):
                if raw_data == "die": os.abort()
                return raw_data
        """, workers=2) as server:
            status, head, body = server.ask("POST", "/score", b"die")
            self.assertEqual(status, 503)
            self.assertIn("retry-after", head)
            for _ in range(20):
                self.assertEqual(server.ask("POST", "/score", b"live")[0], 200)
            self.assertEqual(server.metric("sardonyx_script_restarts_total"), 1)
            self.assertIn("signal 6", server.text())

    def test_an_idle_worker_that_is_killed_is_replaced(self):
        with self.serve("""
            import os
            def init(): pass
            def run(raw_data): return os.getpid()
        """) as server:
            for _ in range(5):
                pid = json.loads(server.ask("POST", "/score", b"")[2])
                os.kill(pid, signal.SIGKILL)
                self.assertTrue(wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists()))
                status, _, body = server.ask("POST", "/score", b"")
                self.assertEqual(status, 200)
                self.assertNotEqual(json.loads(body), pid)
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_script_workers") == 1))

    def test_workers_killed_one_after_another(self):
        """One every second for a minute (--long), else five in quick succession: each costs the call it had, and no other."""
        count, pause = (60, 1) if LONG else (5, 0.4)
        with self.serve("""
            import os, time
            def init(): pass
            def run(raw_data):
                time.sleep(0.02)
                return os.getpid()
        """, workers=2) as server:
            calls, pids, kills, stop = [], {}, [], threading.Event()

            def client(number):
                while not stop.is_set():
                    begin = time.monotonic()
                    status, _, body = server.ask("POST", "/score", b"x")
                    calls.append((begin, time.monotonic(), status))
                    if status == 200:
                        pids[json.loads(body)] = begin

            threads = [threading.Thread(target=client, args=[i]) for i in range(4)]
            for t in threads:
                t.start()
            for _ in range(count):
                time.sleep(pause)
                victim = max(pids, key=pids.get)  # who has answered last
                pids.pop(victim)
                kills.append(time.monotonic())
                os.kill(victim, signal.SIGKILL)
            time.sleep(pause)
            stop.set()
            for t in threads:
                t.join()
            failed = [c for c in calls if c[2] != 200]
            self.assertEqual({status for _, _, status in failed} | {503}, {503})
            self.assertLessEqual(len(failed), count)
            for begin, end, _ in failed:
                self.assertTrue(any(begin <= at <= end for at in kills), "it was not in flight when a worker was killed")
            self.assertGreater(len(calls), 10 * count)
            self.assertTrue(wait_for(lambda: server.metric("sardonyx_script_workers") == 2))
            self.assertEqual(server.metric("sardonyx_script_restarts_total"), count)

    def test_not_ready_while_no_worker_is(self):
        flag = WORK / "broken"
        with self.serve(f"""
            import os
            def init():
                if os.path.exists({str(flag)!r}): raise RuntimeError("broken")
            def run(raw_data): os.kill(os.getpid(), 9)
        """, "--script-read", str(WORK)) as server:
            self.assertEqual(server.ask("GET", "/health/ready")[0], 200)
            flag.write_text("")
            self.assertEqual(server.ask("POST", "/score", b"")[0], 503)
            self.assertTrue(wait_for(lambda: server.ask("GET", "/health/ready")[0] == 503))
            self.assertEqual(server.ask("GET", "/health/live")[0], 200)
            flag.unlink()
            self.assertTrue(wait_for(lambda: server.ask("GET", "/health/ready")[0] == 200))

    def test_sandbox(self):
        outside = pathlib.Path("/etc/hostname")
        with self.serve(f"""
            import os, socket, subprocess, tempfile
            def init(): pass
            def attempt(function):
                try:
                    return str(function())
                except OSError as error:
                    return type(error).__name__
            def run(raw_data):
                with tempfile.TemporaryFile() as file: file.write(b"x")
                return [attempt(lambda: open({str(outside)!r}).read()),
                        attempt(lambda: open(os.path.join(os.path.dirname(__file__), "new"), "w")),
                        attempt(lambda: socket.create_connection(("127.0.0.1", 1))),
                        attempt(lambda: subprocess.run(["true"]))]
        """) as server:
            self.assertEqual(json.loads(server.ask("POST", "/score", b"")[2]), ["PermissionError"] * 4)

    def test_models_and_environment(self):
        path = script("""
            import os
            from azureml.core.model import Model
            def init(): pass
            def run(raw_data):
                folder = os.environ["AZUREML_MODEL_DIR"]
                return [Model.get_model_path("rows"), os.path.exists(os.path.join(folder, "rows.onnx")), os.environ["AZUREML_ENTRY_SCRIPT"],
                        open(Model.get_model_path("rows"), "rb").read(1) != b""]
        """)
        with Server(["rows"], "--script", path) as server:
            self.assertEqual(json.loads(server.ask("POST", "/score", b"")[2]),
                             [str((WORK / "rows.onnx").resolve()), True, "score.py", True])
        folder = pathlib.Path(path).parent / "azureml-models"
        (folder / "other/3").mkdir(parents=True)
        (folder / "other/3/weights.bin").write_bytes(b"x")
        pathlib.Path(path).write_text(textwrap.dedent("""
            import os
            from azureml.core.model import Model
            def init(): pass
            def run(raw_data): return [Model.get_model_path("other"), os.environ["AZUREML_MODEL_DIR"]]
        """))
        with Server([], "--script", path) as server:
            self.assertEqual(json.loads(server.ask("POST", "/score", b"")[2]),
                             [str(folder / "other/3/weights.bin"), str(folder / "other/3")])

    def test_term_under_load_loses_nothing(self):
        results = []
        server = self.serve("""
            import time
            def init(): pass
            def run(raw_data):
                time.sleep(0.05)
                return raw_data
        """, workers=2)

        def client():
            while True:
                try:
                    results.append(server.ask("POST", "/score", b"x")[0])
                except ConnectionRefusedError:
                    return

        threads = [threading.Thread(target=client) for _ in range(4)]
        for t in threads:
            t.start()
        time.sleep(0.5)
        self.assertEqual(server.stop(), 0)
        for t in threads:
            t.join()
        self.assertGreater(len(results), 10)
        self.assertEqual(set(results), {200})

    def test_nothing_is_left_behind(self):
        before = set(pathlib.Path("/tmp").glob("sardonyx-script-*"))
        with self.serve("""
            import os
            def init(): pass
            def run(raw_data): return os.getpid()
        """) as server:
            pid = json.loads(server.ask("POST", "/score", b"")[2])
        self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())
        self.assertEqual(set(pathlib.Path("/tmp").glob("sardonyx-script-*")), before)

    def test_slow_init_can_be_ended(self):
        process = subprocess.Popen([PROGRAM, "serve", "--port", "0", "--script", script("""
            import time
            def init(): time.sleep(60)
            def run(raw_data): pass
        """)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(0.5)
        start = time.monotonic()
        process.terminate()
        process.wait(10)
        process.stderr.close()
        self.assertLess(time.monotonic() - start, 2)


if __name__ == "__main__":
    raise SystemExit(main())
