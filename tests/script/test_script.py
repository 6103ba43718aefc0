#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Workers spoken to by their frames, and dry runs through the command: scripts that do everything wrong, those of the page
where they are there, and right ones. Then an image with a script, and its worker under podman."""
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import textwrap
import unittest
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv  # noqa: E402

venv.enter()
from lab import ROOT, Case  # noqa: E402
from onnx_bytes import FLOAT, INT64, node, simple  # noqa: E402
import suite  # noqa: E402

PAGE = ROOT.parent / "shared/page"
PROGRAMS = ROOT / "build/share/sardonyx/script"
HEAD = struct.Struct("<IQ")
# The stand-ins are made of it.
HAVE_PACKAGE = subprocess.run([sys.executable, "-c", "import sardonyx"], capture_output=True, check=False).returncode == 0


def setUpModule():
    if not HAVE_PACKAGE:
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-build-isolation", "--no-deps",
                        ROOT / "bindings/python"], check=True)


def add_model(name="outY", inputs="inX", dtype=FLOAT, shape=("b", 1, 2, 2)):
    return simple([node("Add", [inputs, inputs], [name])], [(inputs, dtype, list(shape))], [(name, dtype, list(shape))])


class Worker:
    """A worker as a host starts it; `command` is what comes before the program in a container."""

    def __init__(self, start, command=None, programs=PROGRAMS, environment=None):
        ours, theirs = socket.socketpair()
        run = command or [sys.executable]
        self.process = subprocess.Popen(["sh", "-c", 'exec 3<&0 </dev/null; exec "$@"', "sh", *map(str, run), "-I", "-B",
                                         f"{programs}/sardonyx_worker.py"], stdin=theirs, env=environment)
        theirs.close()
        self.socket = ours
        self.file = ours.makefile("rb")
        self.send({"type": "start", **start})

    def send(self, head, body=b""):
        text = json.dumps(head).encode()
        self.socket.sendall(HEAD.pack(len(text), len(body)) + text + body)

    def receive(self):
        """(head, body) of the next frame that is no log, and the lines of those before."""
        lines = []
        while True:
            size, body = HEAD.unpack(self.file.read(HEAD.size))
            head, data = json.loads(self.file.read(size)), self.file.read(body)
            if head["type"] != "log":
                return head, data, lines
            lines.append((head["id"], head["stream"], head["text"]))

    def ask(self, body, number=1, **more):
        self.send({"type": "run", "id": number, "method": "POST", "path": "/score", "headers": {"Content-Type": "application/json"}, **more},
                  body if isinstance(body, bytes) else json.dumps(body).encode())
        return self.receive()

    def close(self):
        self.file.close()
        self.socket.close()
        self.process.wait(20)


class Serving(Case):
    workspace = False

    def worker(self, source, **more):
        self.write("score.py", textwrap.dedent(source))
        worker = Worker({"script": str(self.folder / "score.py"), "folder": str(self.folder), **more})
        self.addCleanup(worker.close)
        return worker

    def test_init_once_and_run_often(self):
        w = self.worker("""
            import json
            count = 0
            def init():
                global count
                count += 10
                print("ready to go")
            def run(raw):
                global count
                count += 1
                print("asked", count)
                return {"count": count, "got": json.loads(raw)["data"]}
            """)
        head, _, lines = w.receive()
        self.assertEqual((head["type"], head["raw"], head["schema"]), ("ready", False, None))
        self.assertEqual(lines, [(0, "stdout", "ready to go")])
        for i in (1, 2):
            head, body, lines = w.ask({"data": [i]}, i)
            self.assertEqual((head["type"], head["id"], head["status"], json.loads(body)), ("result", i, 200, {"count": 10 + i, "got": [i]}))
            self.assertEqual(lines, [(i, "stdout", f"asked {10 + i}")])
            self.assertGreaterEqual(head["ms"], 0)
        w.send({"type": "stop"})
        self.assertEqual(w.process.wait(20), 0)

    def test_what_run_returns(self):
        w = self.worker("""
            import json
            from azureml.contrib.services.aml_response import AMLResponse
            answers = [None, "text", {"a": 1}, [1.5, float("nan")], object(), AMLResponse(b"\\x00\\xff", 418, {"X-A": "b", "Content-Type": "a/b"}),
                       AMLResponse({"m": 1}, 400, json_str=True), json.dumps({"twice": 1})]
            def init(): pass
            def run(raw): return answers[int(raw)]
            """)
        self.assertEqual(w.receive()[0]["type"], "ready")
        for i, want in enumerate([b"{}", b'"text"', b'{"a": 1}', b"[1.5, NaN]", None, b"\x00\xff", b'{"m": 1}', b'"{\\"twice\\": 1}"']):
            head, body, _ = w.ask(str(i).encode(), i)
            if want is None:
                self.assertEqual((head["type"], head["error"]["type"]), ("error", "TypeError"))
            else:
                self.assertEqual((head["type"], body), ("result", want))
            if i == 5:
                self.assertEqual((head["status"], dict(map(tuple, head["headers"]))), (418, {"X-A": "b", "Content-Type": "a/b", "x-ms-run-function-failed": "False"}))

    def test_failures(self):
        w = self.worker("""
            import sys
            def init(): pass
            def helper(x):
                return 1 / x
            def run(raw):
                if raw == "exit": sys.exit(4)
                return helper(int(raw))
            """)
        w.receive()
        head, _, _ = w.ask(b"0")
        self.assertEqual((head["type"], head["error"]["type"], head["error"]["line"]), ("error", "ZeroDivisionError", 5))
        self.assertIn("return helper(int(raw))", head["error"]["trace"])
        self.assertNotIn("sardonyx_worker", head["error"]["trace"])
        self.assertEqual(w.ask(b"exit")[0]["error"]["type"], "SystemExit")
        self.assertEqual(w.ask(b"\xff")[0]["type"], "bad")
        self.assertEqual(w.ask(b"2")[1], b"0.5")  # and goes on

    def test_scripts_that_cannot_start(self):
        for source, phase, kind, line in [("def init(: pass", "import", "SyntaxError", 1), ("import nothing_like_it", "import", "ModuleNotFoundError", 1),
                                          ("def init(): pass", "import", "ScriptError", 0), ("def init():\n    1/0\ndef run(raw): pass", "init", "ZeroDivisionError", 2),
                                          ("def init(): pass\ndef run(): pass", "import", "ScriptError", 0),
                                          ("def init(): pass\ndef run(*a): pass", "import", "ScriptError", 0),
                                          ("raise SystemExit(3)", "import", "SystemExit", 1)]:
            with self.subTest(source):
                head, _, _ = self.worker(source).receive()
                self.assertEqual((head["type"], head["phase"], head["error"]["type"], head["error"]["line"]), ("failed", phase, kind, line))

    def test_how_run_is_called(self):
        w = self.worker("def init(): pass\ndef run(data, request_headers): return [data, request_headers['X-Y']]")
        w.receive()
        self.assertEqual(json.loads(w.ask(b"abc", headers={"X-Y": "z"})[1]), ["abc", "z"])
        self.assertEqual(json.loads(w.ask(b"", method="GET", query="a=1&b=x&b=[2]", headers={"X-Y": "z"})[1]), ['{"a": 1, "b": ["x", [2]]}', "z"])
        w = self.worker("""
            from azureml_inference_server_http.api.aml_request import AMLRequest
            from azureml.contrib.services.aml_request import rawhttp
            def init(): pass
            @rawhttp
            def run(request):
                return [type(request).__name__, request.method, request.path, request.get_data().hex(), request.headers["Content-Type"]]
            """)
        self.assertTrue(w.receive()[0]["raw"])
        self.assertEqual(json.loads(w.ask(b"\x00\x01")[1]), ["AMLRequest", "POST", "/score", "0001", "application/json"])

    def test_files_beside_and_models(self):
        self.write("helper/__init__.py", "WORD = 'beside'")
        w = self.worker("""
            import os
            from helper import WORD
            from azureml.core.model import Model
            def init(): pass
            def run(raw): return [WORD, Model.get_model_path("m"), Model.get_model_path("m", version=1), os.path.basename(os.getcwd())]
            """, models=[{"name": "m", "version": v, "path": f"/models/m/{v}"} for v in (1, 2)])
        w.receive()
        self.assertEqual(json.loads(w.ask(b"")[1]), ["beside", "/models/m/2", "/models/m/1", self.folder.name])

    def test_others_come_before_the_stand_ins(self):
        """compat/ takes over by being on `paths`."""
        self.write("compat/onnxruntime/__init__.py", "WHO = 'compat'")
        w = self.worker("import onnxruntime\ndef init(): pass\ndef run(raw): return onnxruntime.WHO", paths=[str(self.folder / "compat")])
        w.receive()
        self.assertEqual(w.ask(b"")[1], b'"compat"')

    def test_much_is_printed(self):
        w = self.worker("def init(): pass\ndef run(raw):\n    print('x' * 200000, end='')\n    print()\n    return 1")
        w.receive()
        head, body, lines = w.ask(b"")
        self.assertEqual((body, "".join(t for _, _, t in lines)), (b"1", "x" * 200000))


class DryRun(Case):
    def setUp(self):
        super().setUp()
        self.register("MyONNXmodel", add_model())

    def dry(self, source, *words, code=None, model="MyONNXmodel"):
        self.write("score.py", textwrap.dedent(source))
        done = subprocess.run([os.environ.get("SARDONYX", ROOT / "build/sardonyx"), "image", "build", "--model", model, "--script", "score.py", "--dry-run",
                               "--json", "--python", sys.executable, *words], cwd=self.folder, capture_output=True, text=True, check=False, timeout=120)
        self.assertTrue(done.stdout, done.stderr)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 1 if report["errors"] else 0)
        return report

    def codes(self, report, *severities):
        return {(f["code"], f["line"]) for f in report["findings"] if f["severity"] in (severities or ("error", "warning"))}

    RIGHT = """
        import json
        import numpy as np
        import onnxruntime
        from azureml.core.model import Model

        def init():
            global session
            session = onnxruntime.InferenceSession(Model.get_model_path("MyONNXmodel"))

        def run(raw_data):
            data = np.array(json.loads(raw_data)["data"], dtype=np.float32)
            return {"result": session.run(["outY"], {"inX": data})[0].tolist()}
        """

    def test_a_right_one(self):
        report = self.dry(self.RIGHT)
        self.assertEqual((report["findings"], report["errors"], report["sessions"], report["repaired"]), ([], 0, 1, False))
        answer = json.loads(report["answer"]["body"])["result"]
        self.assertEqual((report["answer"]["status"], len(answer), len(answer[0][0])), (200, 1, 2))

    @unittest.skipUnless(PAGE.is_dir(), "the page's listings are not beside the checkout")
    def test_the_page(self):
        """Every defect that the page's README names, each where it is."""
        float64 = {("dtype", 17), ("list-attribute", 19), ("session-per-request", 16), ("error-as-200", 22)}
        for edition, wanted in [("fr", float64), ("it", float64), ("pt", float64), ("ru", float64),
                                ("ja", {("undefined-name", 21), ("unknown-model", 9), ("error-as-200", 30)})]:
            with self.subTest(edition):
                source = (PAGE / edition / "8_score.py").read_text()
                lines = source.splitlines()
                report = self.dry(source)
                self.assertEqual(self.codes(report), wanted)
                for finding in report["findings"]:
                    text = lines[finding["line"] - 1] if finding["line"] else ""
                    part = {"dtype": "sess.run", "list-attribute": "tolist", "session-per-request": "InferenceSession", "undefined-name": "time.time",
                            "unknown-model": "MyONNXModel", "error-as-200": "error"}.get(finding["code"], "")
                    self.assertIn(part, text)
                if edition == "ja":
                    self.assertIn("did you mean 'MyONNXmodel'?", [f["hint"] for f in report["findings"]])

    def test_types_shapes_names(self):
        for source, wanted in [
            ("session.run(None, {'inX': np.zeros((1, 1, 2, 2))})", {("dtype", 5)}),
            ("session.run(None, {'inX': np.zeros((1, 1, 3, 2), np.float32)})", {("shape", 5), ("exception", 5)}),
            ("session.run(None, {'inX': np.zeros((4,), np.float32)})", {("shape", 5), ("exception", 5)}),
            ("session.run(['outZ'], {'inX': np.zeros((1, 1, 2, 2), np.float32)})", {("unknown-output", 5)}),
            ("session.run(None, {'x': np.zeros((1, 1, 2, 2), np.float32)})", {("unknown-input", 5)}),
            ("session.run(None, {})", {("missing-input", 5), ("exception", 5)}),
            ("session.run(None, {'inX': [1, 2]})", {("not-an-array", 5), ("exception", 5)}),
        ]:
            with self.subTest(source):
                report = self.dry("import numpy as np\nimport onnxruntime\nfrom azureml.core.model import Model\ndef init(): global session; session = onnxruntime."
                                  f"InferenceSession(Model.get_model_path('MyONNXmodel'))\ndef run(raw): {source}; return 1\n")
                self.assertEqual(self.codes(report), wanted, report["findings"])

    def test_seen_without_running(self):
        report = self.dry("""
            import json, nothing_like_it
            def init():
                session = 3
            def run(raw_data):
                a = undefined_thing
                return session
            """)
        self.assertEqual(self.codes(report), {("import", 2), ("undefined-name", 6), ("undefined-name", 7)})
        self.assertIn("add 'global session' to init()", [f["hint"] for f in report["findings"]])
        self.assertEqual(self.codes(self.dry("def run(raw)\n")), {("syntax", 1)})
        self.assertEqual(self.codes(self.dry("x = 1\n")), {("no-init", 0), ("no-run", 0), ("contract", 0)})
        self.assertIn(("run-returns-nothing", 2), self.codes(self.dry("def init(): pass\ndef run(raw): yield 1\n")))
        self.assertEqual(self.codes(self.dry("def init(): pass\ndef run(raw): return {1, 2}\n")), {("not-json", 0)})

    def test_handled_exceptions_are_the_scripts_own_affair(self):
        report = self.dry("""
            try:
                import nothing_like_it
            except ImportError:
                nothing_like_it = None
            def init(): pass
            def run(raw):
                try:
                    return int(raw)
                except ValueError:
                    return 0
            """)
        self.assertEqual(report["findings"], [])

    def test_imports_and_the_environment(self):
        self.write("myenv.yml", "name: e\ndependencies:\n  - python=3.6.2\n  - scikit-learn=0.20\n  - pip:\n    - onnxruntime\n    - azureml-core\n")
        report = self.dry(self.RIGHT, "--conda", "myenv.yml")
        self.assertEqual(self.codes(report, "error", "warning", "note"), {("import-not-listed", 3)})  # numpy comes along
        self.write("myenv.yml", "dependencies:\n  - pip:\n    - azureml-core\n")
        report = self.dry(self.RIGHT, "--conda", "myenv.yml")
        self.assertEqual(self.codes(report), {("import-not-listed", 3), ("import-not-listed", 4)})
        for text, message in [("- 1\n- 2\n", "keys and values"), ("dependencies: 3\n", "a list"), ("a: [", "line"), ("dependencies:\n  - {pip: x}\n", "a list")]:
            self.write("bad.yml", text)
            self.assertIn(message, self.fails("image", "build", "--model", "MyONNXmodel", "--script", "score.py", "--conda", "bad.yml", "--dry-run"))

    def test_variables(self):
        """Those of the environment file and of --env, which come first."""
        self.write("myenv.yml", "dependencies:\n  - pip:\n    - azureml-core\nvariables:\n  FIRST: of the file\n  LEVEL: 1\n")
        report = self.dry("import os\ndef init(): pass\ndef run(raw): return [os.environ[name] for name in ('FIRST', 'LEVEL', 'EMPTY', 'SUM')]\n",
                          "--conda", "myenv.yml", "--env", "LEVEL=2", "--env", "EMPTY=", "-e", "SUM=a=b")
        self.assertEqual((report["findings"], json.loads(report["answer"]["body"])), ([], ["of the file", "2", "", "a=b"]))
        many = [word for i in range(400) for word in ("--env", f"V{i}={i}")]  # none is lost
        report = self.dry("import os\ndef init(): pass\ndef run(raw): return sum(int(os.environ[f'V{i}']) for i in range(400))\n", *many)
        self.assertEqual(report["answer"]["body"], "79800")
        build = ("image", "build", "--model", "MyONNXmodel", "--script", "score.py", "--dry-run")
        for text, message in (("X", "expected NAME=VALUE"), ("=x", "expected NAME=VALUE"), ("PATH=/x", "variable 'PATH': the sandbox of scripts sets it")):
            self.assertIn(message, self.fails(*build, "--env", text))
        self.write("bad.yml", "variables:\n  - a\n")
        self.assertIn("variables: expected names and values", self.fails(*build, "--conda", "bad.yml"))
        self.write("bad.yml", "variables:\n  a: [1]\n")
        self.assertIn("variables: expected a name and a value", self.fails(*build, "--conda", "bad.yml"))
        self.assertIn("--script FILE names it", self.fails("image", "build", "--model", "MyONNXmodel", "--env", "A=b", code=2))

    def test_models_of_the_workspace_and_of_the_image(self):
        self.register("other", add_model())
        report = self.dry(self.RIGHT.replace("MyONNXmodel", "other"))
        self.assertEqual(self.codes(report), {("unknown-model", 9)})
        self.assertIn("registered and not in this image", report["findings"][0]["message"])
        report = self.dry(self.RIGHT.replace('"MyONNXmodel"', "'My' + 'ONNXModel'"))
        self.assertEqual(self.codes(report), {("unknown-model", 9)})

    def test_samples(self):
        self.register("ints", add_model(dtype=INT64, shape=("b", 3)))
        right = self.RIGHT.replace("float32", "int64").replace("MyONNXmodel", "ints").replace('["data"]', '["rows"]')
        report = self.dry(right, model="ints")  # the key is the script's
        self.assertEqual((report["findings"], len(json.loads(report["answer"]["body"])["result"][0])), ([], 3))
        self.write("sample.json", '{"rows": [[7, 8, 9]]}')
        report = self.dry(right, "--sample", "sample.json", model="ints")
        self.assertEqual(json.loads(report["answer"]["body"]), {"result": [[14, 16, 18]]})

    def test_time_and_crashes(self):
        begin = "import os, sys, ctypes, time\ndef init(): pass\ndef run(raw):\n"
        for body, wanted in [("    while True: pass", {("time", 4)}), ("    time.sleep(100)", {("time", 4)}), ("    os._exit(3)", {("crash", 0)}),
                             ("    ctypes.string_at(0)", {("crash", 0)}), ("    sys.exit(1)", {("exit", 4)}), ("    os.kill(os.getpid(), 9)", {("crash", 0)}),
                             ("    x = bytearray(6 << 30)", {("exception", 4)})]:
            with self.subTest(body):
                self.assertEqual(self.codes(self.dry(begin + body, "--seconds", "1")), wanted)
        self.assertEqual(self.codes(self.dry("while True: pass", "--seconds", "1")), {("no-init", 0), ("no-run", 0), ("time", 1)})

    def test_what_the_sandbox_denies(self):
        secret = self.write("secret.txt", "secret")
        for act in ("open('/etc/passwd').read()", f"open({str(self.folder / secret)!r}).read()", f"open({str(self.folder / 'new')!r}, 'w')",
                    "__import__('socket').socket()", "__import__('os').fork()", "__import__('subprocess').run(['true'])",
                    f"__import__('os').listdir({str(self.folder)!r})", "open('/proc/self/environ').read()"):
            with self.subTest(act):
                report = self.dry(f"def init(): pass\ndef run(raw):\n    return str({act})\n")
                self.assertEqual(self.codes(report), {("exception", 3)}, report)
        report = self.dry("import tempfile\ndef init(): pass\ndef run(raw):\n    with tempfile.TemporaryFile() as f: return f.write(b'abc')\n")
        self.assertEqual((report["findings"], report["answer"]["body"]), ([], "3"))
        self.assertFalse((self.folder / "new").exists())
        report = self.dry("import socket\ndef init(): pass\ndef run(raw):\n    socket.socket().close()\n    return 1\n", "--network")
        self.assertEqual(report["findings"], [])
        self.verify()

    def test_words_for_people(self):
        self.write("score.py", "def init(): pass\ndef run(raw):\n    return undefined_thing\n")
        shown = self.command("image", "build", "--model", "MyONNXmodel", "--script", "score.py", "--dry-run", "--python", sys.executable, code=1).stdout
        self.assertIn("score.py:3: error: NameError: name 'undefined_thing' is not defined", shown)
        self.assertIn("--script FILE", self.fails("image", "build", "--model", "MyONNXmodel", "--dry-run", code=2))
        self.assertIn("No such file", self.fails("image", "build", "--model", "MyONNXmodel", "--script", "none.py", "--dry-run"))


class Images(Case):
    """An image with a script: the same bytes twice, and its worker runs with nothing of this machine."""

    def setUp(self):
        super().setUp()
        self.register("MyONNXmodel", add_model())
        self.write("score.py", textwrap.dedent(DryRun.RIGHT))
        self.write("myenv.yml", "dependencies:\n  - pip:\n    - onnxruntime\n    - azureml-core\n")
        self.write("labels/names.txt", "a\n")

    def build(self, *words, **options):
        return self.ask("image", "build", "--name", "scored", "--model", "MyONNXmodel", "--script", "score.py", "--conda", "myenv.yml", "--file", "labels",
                        "--env", "AML_APP_ROOT=/elsewhere", "--python", sys.executable, *words, **options)

    def test_an_image_and_its_worker(self):
        first = self.build("--strict")
        self.assertEqual((first["entry_script"], first["dry_run"]["errors"]), ("score.py", 0))
        again = self.build("--no-dry-run")
        self.assertEqual(first["digest"], again["digest"])
        self.assertNotIn("findings", again["dry_run"])
        self.command("image", "export", "scored", "image.tar")
        manifest = json.loads((self.store / "blobs/sha256" / first["digest"][7:]).read_text())
        config = json.loads((self.store / "blobs/sha256" / manifest["config"]["digest"][7:]).read_text())
        self.assertEqual(config["config"]["Cmd"][4:6], ["--script", "/var/azureml-app/score.py"])
        self.assertEqual(config["config"]["Env"][1:], ["AZUREML_ENTRY_SCRIPT=score.py", "AML_APP_ROOT=/elsewhere",
                                                       "AZUREML_MODEL_DIR=/var/azureml-app/azureml-models/MyONNXmodel/1"])
        self.run_worker()
        self.serve_container(config["config"]["Cmd"])

    def serve_container(self, words):
        """The image as it starts by itself, but for the port."""
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        at = words.index("--port") + 1
        process = subprocess.Popen([*self.podman, "run", "--rm", "--runtime", "runc", "--network", "host", "--read-only", "--cap-drop", "all",
                                    "--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "localhost/scored:2",
                                    *words[:at], str(port), *words[at + 1:]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.terminate)
        first = process.stdout.readline()
        self.assertIn("listening on", first, "" if first else process.communicate()[1])

        def post(value):
            request = urllib.request.Request(f"http://127.0.0.1:{port}/score", json.dumps(value).encode(), {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.loads(answer.read())

        self.assertEqual(post({"data": [[[[1, 2], [3, 4]]]]}), {"result": [[[[2, 4], [6, 8]]]]})
        with self.assertRaises(urllib.error.HTTPError) as failed:
            post({"nothing": 1})
        self.assertEqual(failed.exception.code, 500)
        failed.exception.close()

    def run_worker(self):
        if not shutil.which("podman") or not shutil.which("runc"):
            self.skipTest("podman or runc is not installed")
        self.podman = podman = ["podman", "--root", self.folder / "storage", "--runroot", self.folder / "run", "--cgroup-manager=cgroupfs"]
        loaded = subprocess.run([*podman, "load", "-i", "image.tar"], cwd=self.folder, capture_output=True, text=True, check=False)
        if loaded.returncode:
            self.skipTest("podman cannot load images here: " + loaded.stderr.strip()[-200:])
        container = [*podman, "run", "--rm", "-i", "--runtime", "runc", "--network", "none", "--read-only", "--cap-drop", "all", "--ulimit", "nofile=1024:1024",
                     "--ulimit", "nproc=1024:1024"]
        tried = subprocess.run([*container, "--entrypoint", "python3", "localhost/scored:2", "-c", "print(1)"], capture_output=True, text=True, check=False)
        if "OCI" in tried.stderr and "not found" not in tried.stderr:
            self.skipTest("podman with runc runs nothing here: " + tried.stderr.strip()[-200:])
        self.assertEqual(tried.stdout.strip(), "1", tried.stderr)
        model = "/var/azureml-app/azureml-models/MyONNXmodel/1/MyONNXmodel.onnx"
        worker = Worker({"script": "/var/azureml-app/score.py", "folder": "/var/azureml-app", "models": [{"name": "MyONNXmodel", "version": 1, "path": model}]},
                        [*container, "--preserve-fds=1", "--entrypoint", "python3", "localhost/scored:2"], "/opt/sardonyx/share/sardonyx/script")
        self.addCleanup(worker.close)
        head, _, _ = worker.receive()
        self.assertEqual(head["type"], "ready", head)
        head, body, _ = worker.ask({"data": [[[[1, 2], [3, 4]]]]})
        self.assertEqual(json.loads(body), {"result": [[[[2, 4], [6, 8]]]]}, head)
        head, _, _ = worker.ask({"nothing": 1})
        self.assertEqual((head["type"], head["error"]["type"]), ("error", "KeyError"))

    def test_strict_refuses(self):
        self.write("score.py", "def init(): pass\ndef run(raw): return x\n")
        done = self.fails("image", "build", "--model", "MyONNXmodel", "--script", "score.py", "--python", sys.executable, "--strict")
        self.assertIn("no image is built", done)
        self.assertEqual(self.ask("image", "list"), [])

    def test_packages_that_cannot_be_had(self):
        self.write("myenv.yml", "dependencies:\n  - pip:\n    - no-such-package-anywhere-7\n")
        self.assertIn("no-such-package-anywhere-7", self.fails("image", "build", "--model", "MyONNXmodel", "--script", "score.py", "--conda", "myenv.yml",
                                                                "--python", sys.executable, "--no-dry-run", env={**os.environ, "PIP_NO_INDEX": "1"}))
        self.verify()


if __name__ == "__main__":
    sys.exit(suite.run())
