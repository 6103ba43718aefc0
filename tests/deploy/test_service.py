#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Services on this machine: deployed, called, killed, updated, rolled back, scaled and stopped while clients go on."""
import base64
import concurrent.futures
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from lab import COMMAND, ROOT, Case, twice, with_constant  # noqa: E402
import suite  # noqa: E402

BODY = json.dumps({"data": [[1, 2, 3]]}).encode()
SCRIPT = "import json\ndef init():\n    print('ready to score')\ndef run(data):\n    return {'got': json.loads(data)}\n"


class ServiceCase(Case):
    def setUp(self):
        super().setUp()
        self.register("m")
        self.addCleanup(self.delete_all)

    def delete_all(self):
        """Before the folder goes: supervisors outlive what started them."""
        for service in self.ask("service", "list"):
            self.command("service", "delete", service["name"])
            self.assertFalse([p for p in service.get("processes", []) if alive(p["pid"])], "processes are left")

    def deploy(self, name, *words, **options):
        return self.ask("service", "deploy", name, *(words or ("--model", "m")), "--wait", **options)

    def show(self, name):
        return self.ask("service", "show", name)

    def until(self, condition, seconds=20):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "it takes too long")
            time.sleep(0.02)


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def post(uri, body=BODY, key=None, headers=None):
    """(status, text) of a request."""
    request = urllib.request.Request(uri, body, {"Content-Type": "application/json", **(headers or {}),
                                                 **({"Authorization": "Bearer " + key} if key else {})})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Deploying(ServiceCase):
    def test_a_model(self):
        s = self.deploy("digits", "--model", "m", "--tag", "stage=test", "-d", "words")
        self.assertEqual((s["state"], s["target"], s["auth"], s["revision"]), ("Healthy", "local", "none", 1))
        self.assertEqual((s["tags"], s["description"], s["image"]), ({"stage": "test"}, "words", "digits:1"))
        self.assertEqual(post(s["scoring_uri"]), (200, '{"result":[[2,4,6]]}'))
        with urllib.request.urlopen(s["swagger_uri"]) as answer:
            self.assertIn("paths", json.load(answer))
        self.assertEqual(json.loads(self.command("service", "run", "digits", self.write("r.json", BODY)).stdout), {"result": [[2, 4, 6]]})
        self.assertIn("status 400", self.fails("service", "run", "digits", self.write("bad.json", b'{"data": "x"}')))
        self.assertEqual([x["name"] for x in self.ask("service", "list", "--tag", "stage=test")], ["digits"])
        self.assertEqual(self.ask("service", "list", "--tag", "stage=live"), [])

    def test_a_file(self):
        """It is registered first."""
        s = self.deploy("f", "--model", "m.onnx")
        self.assertEqual(post(s["scoring_uri"]), (200, '{"result":[[2,4,6]]}'))
        self.assertEqual(self.ask("image", "show", "f")["uses"], ["model/m:2"])
        self.assertIn("none.onnx", self.fails("service", "deploy", "g", "--model", "none.onnx"))

    def test_without_waiting(self):
        """Whoever asks at once hears that it is under way, not that nobody sees to it."""
        self.ask("image", "build", "--model", "m", "--name", "i")
        for words in [("deploy", "a", "--image", "i"), *[("start", "a")] * 4]:
            self.assertIn(self.ask("service", *words)["state"], ("Transitioning", "Healthy"))
            self.command("service", "stop", "a")
            self.assertEqual(self.show("a")["state"], "Stopped")

    def test_an_image_is_in_use(self):
        self.ask("image", "build", "--model", "m", "--name", "packed")
        s = self.deploy("a", "--image", "packed")
        self.assertEqual(post(s["scoring_uri"])[0], 200)
        self.assertIn("service a:1", self.fails("image", "delete", "packed"))
        self.command("service", "delete", "a")
        self.command("image", "delete", "packed")

    def test_names_that_are_wrong(self):
        self.deploy("digits")
        self.assertIn("did you mean 'digits'", self.fails("service", "show", "digitz"))
        self.assertIn("did you mean 'm'", self.fails("service", "deploy", "b", "--model", "n"))
        self.assertIn("did you mean 'key'", self.fails("service", "deploy", "b", "--model", "m", "--auth", "keys"))
        self.assertIn("did you mean 'local'", self.fails("service", "deploy", "b", "--model", "m", "--target", "locl"))
        self.assertIn("already", self.fails("service", "deploy", "digits", "--model", "m"))
        self.assertIn("already", self.fails("service", "deploy", "DIGITS", "--model", "m"))
        self.assertIn("--image NAME or --model", self.fails("service", "deploy", "b", code=2))
        for bad in ("a/b", "../x", ".x", "a b", ""):
            self.assertIn("cannot name", self.fails("service", "deploy", bad, "--model", "m"))

    def test_many_at_once_are_one(self):
        """Of 64 deployments of one name one is done, the others say that the name is taken."""
        self.ask("image", "build", "--model", "m", "--name", "i", "--compression", "none")
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            runs = list(pool.map(lambda _: subprocess.run([COMMAND, "service", "deploy", "same", "--image", "i", "--wait"],
                                                          cwd=self.folder, capture_output=True, text=True), range(64)))
        self.assertEqual(sorted(r.returncode for r in runs), [0] + [1] * 63)
        for r in runs:
            self.assertTrue(r.returncode == 0 or "already" in r.stderr, r.stderr)
        self.assertEqual(self.show("same")["state"], "Healthy")

    def test_a_script(self):
        s = self.deploy("a", "--model", "m", "--script", self.write("score.py", SCRIPT))
        (self.folder / "score.py").unlink()  # the service has its own
        self.assertEqual(post(s["scoring_uri"], b"[1]"), (200, '{"got": [1]}'))
        self.assertIn("ready to score", self.command("service", "logs", "a").stdout)
        follower = subprocess.Popen([COMMAND, "service", "logs", "a", "--lines", "1", "--follow"], cwd=self.folder, stdout=subprocess.PIPE, text=True)
        self.addCleanup(follower.stdout.close)
        self.addCleanup(follower.kill)
        follower.stdout.readline()
        self.command("service", "stop", "a")
        said = next(line for line in follower.stdout if "draining" in line)
        self.assertRegex(said, r"^\d{4}-\d\d-\d\dT")

    def test_variables(self):
        """--env is the script's, of both commands that build."""
        self.write("score.py", "import os\ndef init(): pass\ndef run(raw): return os.environ['WHO']\n")
        s = self.deploy("a", "--model", "m", "--script", "score.py", "--env", "WHO=first", "--python", sys.executable)
        self.assertEqual(post(s["scoring_uri"])[1], '"first"')
        self.ask("service", "update", "a", "--model", "m", "--script", "score.py", "-e", "WHO=second", "--wait")
        self.assertEqual(post(s["scoring_uri"])[1], '"second"')
        for words, message in ((("--env", "A=b"), "belong to --script"), (("--script", "score.py"), "belongs to --model"),
                               (("--model", "m", "--conda", "none.yml"), "belong to --script")):
            self.assertIn(message, self.fails("service", "update", "a", "--tag", "a=b", *words, code=2))

    def foreign(self, change):
        """An image from elsewhere, whose config was changed."""
        self.ask("image", "build", "--name", "own", "--model", "m")
        shutil.rmtree(self.folder / "layout", ignore_errors=True)
        self.command("image", "export", "own", "layout")
        blobs, index = self.folder / "layout/blobs/sha256", self.folder / "layout/index.json"

        def put(document):
            data = json.dumps(document).encode()
            (blobs / hashlib.sha256(data).hexdigest()).write_bytes(data)
            return {"digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}

        top = json.loads(index.read_text())
        manifest = json.loads((blobs / top["manifests"][0]["digest"][7:]).read_text())
        config = json.loads((blobs / manifest["config"]["digest"][7:]).read_text())
        change(config["config"])
        manifest["config"].update(put(config))
        top["manifests"][0].update(put(manifest))
        index.write_text(json.dumps(top))
        return self.ask("image", "pull", "oci:layout")["id"]

    def test_an_image_from_elsewhere(self):
        """It brings a script and models; it does not say what else the server of this machine runs and reads."""
        own = "/var/azureml-app/azureml-models/m/1/m.onnx"
        for name, words in (("command", ["--python", "/var/azureml-app/evil"]), ("option", ["--keys=/etc/passwd"]), ("model", ["n=/etc/passwd"]),
                            ("above", ["n=/var/azureml-app/../../etc/passwd"]), ("script", ["--script", "/etc/passwd"]), ("last", ["--script"])):
            image = self.foreign(lambda run: run["Cmd"].extend(words))
            said = self.fails("service", "deploy", name, "--image", image, "--wait")
            self.assertIn(f"its command has '{words[0]}', which a service outside of a container does not take", said)


        def change(run):
            run["Cmd"].append(f"again={own}")
            run["Env"] += ["LD_PRELOAD=/var/azureml-app/evil.so", "WORD=kept"]

        s = self.deploy("good", "--image", self.foreign(change))
        self.assertEqual(post(s["scoring_uri"])[0], 200)
        server = pathlib.Path(f"/proc/{s['processes'][0]['pid']}/environ").read_text().split("\0")
        self.assertIn("WORD=kept", server)
        self.assertFalse([variable for variable in server if variable.startswith("LD_PRELOAD=/var") or "evil" in variable])

    def test_a_script_that_fails(self):
        """The exception, its line and the log come in the same command."""
        self.write("score.py", "import json\ndef init():\n    print('before')\n    raise ValueError('no weights')\ndef run(d):\n    return d\n")
        done = self.command("service", "deploy", "a", "--model", "m", "--script", "score.py", "--wait", "--json", code=1)
        s = json.loads(done.stdout)
        self.assertEqual((s["state"], s["error"]["line"]), ("Failed", 4))
        self.assertIn("ValueError: no weights", s["error"]["message"])
        self.assertTrue(any("before" in line for line in s["log"]) and len(s["log"]) <= 100)
        self.assertIn("ValueError", self.fails("service", "start", "a", "--wait"))
        self.write("score.py", SCRIPT)
        self.assertEqual(self.ask("service", "update", "a", "--model", "m", "--script", "score.py", "--wait")["state"], "Healthy")

    def test_a_port_that_is_taken(self):
        s = self.deploy("a")
        self.assertIn("cannot listen", self.fails("service", "deploy", "b", "--model", "m", "--port", s["port"], "--wait"))
        self.assertEqual(self.show("b")["error"]["code"], "AddressInUse")


class Keys(ServiceCase):
    def test_two_keys_and_a_new_one(self):
        s = self.deploy("a", "--model", "m", "--auth", "key", "--replicas", "2")
        self.assertNotIn("keys", json.dumps(s))
        keys = self.ask("service", "keys", "a")
        for name in ("primary", "secondary"):
            self.assertEqual(post(s["scoring_uri"], key=keys[name])[0], 200)
            self.assertNotIn(keys[name], self.command("service", "logs", "a").stdout)
        self.assertEqual((post(s["scoring_uri"])[0], post(s["scoring_uri"], key="x" * 48)[0]), (401, 401))
        fresh = self.ask("service", "keys", "a", "--regenerate", "primary")
        self.assertEqual(fresh["secondary"], keys["secondary"])
        for _ in range(20):
            self.assertEqual([post(s["scoring_uri"], key=k)[0] for k in (keys["primary"], fresh["primary"], keys["secondary"])], [401, 200, 200])
        self.assertEqual(self.ask("service", "keys", "a", "--regenerate", "secondary", "--key", "k" * 20)["secondary"], "k" * 20)
        self.assertEqual(post(s["scoring_uri"], key="k" * 20)[0], 200)
        self.assertEqual(self.ask("service", "keys", "a", "--regenerate", "secondary", "--key", "-", input="l" * 20 + "\n")["secondary"], "l" * 20)
        self.assertEqual([post(s["scoring_uri"], key=k * 20)[0] for k in "kl"], [401, 200])
        self.assertIn("visible characters", self.fails("service", "keys", "a", "--regenerate", "primary", "--key", "-", input=""))
        self.assertIn("visible characters", self.fails("service", "keys", "a", "--regenerate", "primary", "--key", "short"))
        self.assertEqual(self.command("service", "run", "a", self.write("r.json", BODY)).returncode, 0)

    def test_a_new_key_while_it_starts(self):
        """One that has read its keys already and answers nobody yet does not take the old one later."""
        self.write("score.py", "import time\ndef init():\n    time.sleep(2)\ndef run(data):\n    return 1\n")
        self.ask("service", "deploy", "a", "--model", "m", "--script", "score.py", "--auth", "key")
        time.sleep(1)
        old = self.ask("service", "keys", "a")["primary"]
        fresh = self.ask("service", "keys", "a", "--regenerate", "primary")["primary"]
        uri = self.ask("service", "show", "a", "--wait")["scoring_uri"]
        self.until(lambda: post(uri, key=fresh)[0] == 200, 5)
        self.assertEqual(post(uri, key=old)[0], 401)

    def test_tokens(self):
        s = self.deploy("a", "--model", "m", "--auth", "token", "--sample", self.write("r.json", BODY))
        token = self.ask("service", "token", "a", "--minutes", "5")
        self.assertEqual((token["token_type"], token["expires_in"]), ("Bearer", 300))
        self.assertEqual(post(s["scoring_uri"], key=token["token"])[0], 200)
        head, claims, signature = token["token"].split(".")
        told = json.loads(base64.urlsafe_b64decode(claims + "=="))
        self.assertEqual((told["aud"], told["exp"] - told["iat"]), ("a", 300))
        late = base64.urlsafe_b64encode(json.dumps({**told, "exp": 1 << 40}).encode()).decode().rstrip("=")
        for bad in (f"{head}.{late}.{signature}", f"{head}.{claims}.", f"{head}.{claims}", signature, "x" * 40):
            self.assertEqual(post(s["scoring_uri"], key=bad)[0], 401)
        self.assertEqual(post(s["scoring_uri"])[0], 401)
        self.assertEqual(self.command("service", "run", "a", "r.json").stdout, '{"result":[[2,4,6]]}\n')
        self.assertIn("'token'", self.fails("service", "keys", "a"))

    def test_a_rollback_keeps_who_may_call(self):
        s = self.deploy("a")
        self.command("service", "update", "a", "--auth", "key", "--wait")
        self.command("service", "rollback", "a", "--wait")
        self.assertEqual((self.show("a")["revision"], post(s["scoring_uri"])[0]), (1, 401))

    def test_without(self):
        self.deploy("a")
        self.assertIn("--auth token", self.fails("service", "token", "a"))
        self.assertIn("--auth key", self.fails("service", "keys", "a"))


class Door(ServiceCase):
    def certificate(self, name):
        """cert.pem and key.pem, of a name of their own."""
        if not shutil.which("openssl"):
            self.skipTest("openssl is not installed")
        for part in ("cert", "key"):
            (self.folder / f"{part}.new").unlink(missing_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1",
                        "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.new", "-out", "cert.new"],
                       cwd=self.folder, check=True, capture_output=True)
        for part in ("key", "cert"):
            (self.folder / f"{part}.new").rename(self.folder / f"{part}.pem")

    def ask_over_tls(self, port):
        """The status, by a client that trusts cert.pem alone; None: it is another certificate."""
        context = ssl.create_default_context(cafile=self.folder / "cert.pem")
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=30)
        try:
            connection.request("POST", "/score", BODY, {"Content-Type": "application/json"})
            return connection.getresponse().status
        except ssl.SSLCertVerificationError:
            return None
        finally:
            connection.close()

    def test_tls(self):
        """A new certificate is taken without a restart; an update brings TLS to a service that had none."""
        self.certificate("first")
        words = ("--tls-cert", "cert.pem", "--tls-key", "key.pem")
        s = self.deploy("a", "--model", "m", "--replicas", "2", *words)
        self.assertTrue(s["scoring_uri"].startswith("https://127.0.0.1:"))
        self.assertEqual(self.ask_over_tls(s["port"]), 200)
        self.assertEqual(self.command("service", "run", "a", self.write("r.json", BODY)).stdout, '{"result":[[2,4,6]]}\n')
        pids = {p["pid"] for p in self.show("a")["processes"]}
        self.certificate("second")
        self.until(lambda: self.ask_over_tls(s["port"]) == 200)
        self.until(lambda: [self.ask_over_tls(s["port"]) for _ in range(10)] == [200] * 10)
        self.assertEqual({p["pid"] for p in self.show("a")["processes"]}, pids)
        plain = self.deploy("b")
        self.assertEqual(post(plain["scoring_uri"])[0], 200)
        self.command("service", "update", "b", *words, "--wait")
        self.assertEqual(self.ask_over_tls(plain["port"]), 200)
        with self.assertRaises(OSError):
            post(plain["scoring_uri"])
        self.assertIn("need each other", self.fails("service", "deploy", "c", "--model", "m", "--tls-cert", "cert.pem"))
        self.assertIn("none.pem", self.fails("service", "deploy", "c", "--model", "m", "--tls-cert", "none.pem", "--tls-key", "key.pem"))
        self.write("key.pem", "no key")
        self.assertIn("tls.key", self.fails("service", "deploy", "c", "--model", "m", *words, "--wait"))

    def test_pages_of_other_origins(self):
        s = self.deploy("a", "--model", "m", "--auth", "key", "--cors-origin", "https://one.example", "--cors-origin", "https://two.example")
        key = self.ask("service", "keys", "a")["primary"]

        def ask(origin, method="POST", **headers):
            connection = http.client.HTTPConnection("127.0.0.1", s["port"], timeout=30)
            connection.request(method, "/score", BODY if method == "POST" else None,
                               {"Content-Type": "application/json", "Authorization": f"Bearer {key}", **({"Origin": origin} if origin else {}), **headers})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            return answer.status, answer.headers.get("Access-Control-Allow-Origin"), answer.headers

        for origin in ("https://one.example", "https://two.example"):
            self.assertEqual(ask(origin)[:2], (200, origin))
            status, allowed, head = ask(origin, "OPTIONS", Authorization="", **{"Access-Control-Request-Method": "POST"})
            self.assertEqual((status, allowed, head["Vary"]), (204, origin, "Origin"))
            self.assertIn("authorization", head["Access-Control-Allow-Headers"])
        for origin in ("https://three.example", "http://one.example", "https://one.example.evil", None):
            self.assertEqual(ask(origin)[:2], (200, None))
            self.assertEqual(ask(origin, "OPTIONS", Authorization="", **{"Access-Control-Request-Method": "POST"})[:2], (401, None))
        self.assertEqual(ask("https://one.example", Authorization="")[:2], (401, "https://one.example"))  # the page may read why
        self.command("service", "update", "a", "--cors-origin", "*", "--wait")
        self.assertEqual(ask("https://three.example")[:2], (200, "*"))
        self.assertNotIn("Vary", ask("https://three.example")[2])


class Living(ServiceCase):
    def test_a_server_that_dies_is_started_again(self):
        s = self.deploy("a")
        for _ in range(3):
            time.sleep(1.1)
            pid = self.show("a")["processes"][0]["pid"]
            os.kill(pid, signal.SIGKILL)
            begin = time.monotonic()
            self.until(lambda: self.show("a")["state"] == "Healthy" and self.show("a")["processes"][0]["pid"] != pid)
            self.assertLess(time.monotonic() - begin, 5)
            self.assertEqual(post(s["scoring_uri"])[0], 200)
        self.assertIn("signal 9", self.command("service", "logs", "a").stdout)

    def test_the_address_is_kept(self):
        s = self.deploy("a")
        self.command("service", "stop", "a")
        stopped = self.show("a")
        self.assertEqual((stopped["state"], stopped["scoring_uri"]), ("Stopped", s["scoring_uri"]))
        with self.assertRaises(urllib.error.URLError):
            post(s["scoring_uri"])
        self.assertEqual(self.ask("service", "start", "a", "--wait")["scoring_uri"], s["scoring_uri"])
        self.assertEqual(post(s["scoring_uri"])[0], 200)

    def test_a_supervisor_that_dies_takes_its_servers_along(self):
        s = self.deploy("a", "--model", "m", "--replicas", "2")
        os.kill(s["pid"], signal.SIGKILL)
        self.until(lambda: not any(alive(r["pid"]) for r in s["processes"]))
        self.assertEqual(self.show("a")["state"], "Unhealthy")
        self.assertEqual(self.ask("service", "start", "a", "--wait")["state"], "Healthy")
        self.assertEqual(post(s["scoring_uri"])[0], 200)

    def test_in_the_foreground(self):
        """What systemd runs: it ends by SIGTERM, and one service has one supervisor."""
        self.deploy("a")
        self.assertIn("supervised already", self.fails("service", "supervise", "a"))
        self.command("service", "stop", "a")
        self.assertEqual(self.command("service", "supervise", "a").returncode, 0)  # it is to be stopped
        os.kill(self.ask("service", "start", "a", "--wait")["pid"], signal.SIGKILL)
        with subprocess.Popen([COMMAND, "service", "supervise", "a"], cwd=self.folder) as process:
            self.until(lambda: self.show("a")["state"] == "Healthy")
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(20), 0)
        self.assertEqual(self.show("a")["state"], "Unhealthy")

    def test_limits(self):
        """Each server has a control group with its limits; where none may be made the log says so."""
        s = self.deploy("a", "--model", "m", "--cpu", "0.5", "--memory", "0.25", "--replicas", "2")
        self.assertEqual(post(s["scoring_uri"])[0], 200)
        log = self.command("service", "logs", "a").stdout
        if "without its limits" in log:
            self.skipTest("no control group may be made here")
        groups = set()
        for process in s["processes"]:
            lines = pathlib.Path(f"/proc/{process['pid']}/cgroup").read_text().split()
            mine = {controller or "unified": path for _, controller, path in (line.split(":", 2) for line in lines) if "sardonyx-a-" in path}
            self.assertTrue({"memory", "cpu"} <= set(mine) or "unified" in mine, lines)
            groups.add(mine.get("memory") or mine["unified"])
            limit = [p.read_text().strip() for p in pathlib.Path("/sys/fs/cgroup").rglob("memory.limit_in_bytes" if "memory" in mine else "memory.max")
                     if str(p.parent).endswith(groups_name(mine))]
            self.assertEqual(limit, [str(1 << 28)])
        self.assertEqual(len(groups), 2)
        self.command("service", "delete", "a")
        self.assertEqual([p for p in pathlib.Path("/sys/fs/cgroup").rglob(f"sardonyx-a-{s['pid']}-*")], [])

    def test_a_unit(self):
        self.deploy("a")
        for user in ([], ["--user"]):
            unit = self.command("service", "unit", "a", *user).stdout
            self.assertIn(f'service supervise a --workspace "{self.folder}/.azureml/config.json"', unit)
            self.assertEqual("User=" in unit, not user)
        home = {**os.environ, "HOME": str(self.folder / "home")}
        path = self.command("service", "unit", "a", "--user", "--install", env=home).stdout.split("\n")[0]
        self.assertEqual(pathlib.Path(path).read_text(), unit)
        if shutil.which("systemd-analyze"):
            done = subprocess.run(["systemd-analyze", "verify", "--user", path], capture_output=True, text=True, env=home)
            self.assertNotIn("sardonyx-a.service:", done.stderr)

    def test_a_workspace_ends_its_services(self):
        s = self.deploy("a")
        self.command("workspace", "delete", "--yes")
        self.assertFalse(any(alive(p) for p in [s["pid"], s["processes"][0]["pid"]]))
        self.command("workspace", "create")

    def test_deleted_is_gone(self):
        s = self.deploy("a", "--model", "m", "--auth", "key")
        self.command("service", "delete", "a")
        self.assertFalse(any(alive(p) for p in [s["pid"], s["processes"][0]["pid"]]))
        self.assertEqual(list((self.store / "services").iterdir()), [])
        self.assertIn("no service", self.fails("service", "show", "a"))
        self.verify()
        self.assertEqual(self.deploy("a")["revision"], 2)  # numbers are never given twice


def groups_name(mine):
    return (mine.get("memory") or mine["unified"]).rsplit("/", 1)[1]


class Load:
    """Clients that send without a pause until they are told to stop; what failed is kept."""
    def __init__(self, uri, clients=4, kept=True, body=BODY):
        self.uri, self.kept, self.body = urllib.parse.urlsplit(uri), kept, body
        self.stop, self.failures, self.failed_at, self.answers = False, [], [], {}
        self.threads = [threading.Thread(target=self.send) for _ in range(clients)]

    def send(self):
        connection = None
        while not self.stop:
            begin = time.monotonic()
            try:
                if not connection:
                    connection = http.client.HTTPConnection(self.uri.hostname, self.uri.port, timeout=30)
                connection.request("POST", self.uri.path, self.body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read().decode()
                if answer.status != 200:
                    self.failures.append((answer.status, text))
                    self.failed_at.append((begin, time.monotonic()))
                self.answers[text] = self.answers.get(text, 0) + 1
                if not self.kept or answer.will_close:
                    connection.close()
                    connection = None
            except Exception as error:
                self.failures.append(repr(error))
                self.failed_at.append((begin, time.monotonic()))
                connection = None
        if connection:
            connection.close()

    def __enter__(self):
        for t in self.threads:
            t.start()
        time.sleep(0.2)
        return self

    def __exit__(self, *_):
        time.sleep(0.2)
        self.stop = True
        for t in self.threads:
            t.join()


class Updating(ServiceCase):
    def setUp(self):
        super().setUp()
        self.register("c", with_constant([10, 20, 30]))

    def update(self, *words):
        return self.ask("service", "update", "a", *words, "--wait")

    def test_no_request_fails(self):
        """Update, rollback, scaling up and down: by clients that keep their connection and by those that do not."""
        body = json.dumps({"data": [1, 2, 3]}).encode()
        self.register("m1", with_constant([0, 0, 0]))
        s = self.deploy("a", "--model", "m1")
        for kept in (True, False):
            with Load(s["scoring_uri"], kept=kept, body=body) as load:
                for _ in range(3):
                    self.assertEqual(self.update("--model", "c")["state"], "Healthy")
                    self.assertEqual(self.ask("service", "scale", "a", "3", "--wait")["state"], "Healthy")
                    self.ask("service", "rollback", "a", "--wait")
                    self.ask("service", "scale", "a", "1", "--wait")
            self.assertEqual(load.failures, [])
            self.assertEqual(set(load.answers), {'{"result":[1,2,3]}', '{"result":[11,22,33]}'})
        self.assertEqual(len(self.show("a")["processes"]), 1)

    def test_servers_killed_one_after_another(self):
        """One every second for a minute (--long), else five in quick succession: what they had in hand fails, nothing else."""
        count, pause = (60, 1) if "--long" in sys.argv else (5, 0.5)
        s, kills = self.deploy("a", "--model", "m", "--replicas", "2"), []
        with Load(s["scoring_uri"], kept=False) as load:
            for _ in range(count):
                time.sleep(pause)
                serving = [p["pid"] for p in self.show("a")["processes"] if p["state"] == "serving"]
                if serving:
                    kills.append(time.monotonic())
                    os.kill(serving[0], signal.SIGKILL)
        self.assertGreater(len(kills), count / 2)
        for begin, end in load.failed_at:
            self.assertTrue(any(begin <= at <= end for at in kills), (load.failures, "was not in flight at a kill"))
        self.assertGreater(sum(load.answers.values()), 20 * count)
        self.until(lambda: [p["state"] for p in self.show("a")["processes"]] == ["serving"] * 2)

    def test_stop_answers_what_was_accepted(self):
        """Clients of new connections: each request is answered, or its connection was refused."""
        self.write("score.py", "import time\ndef init():\n    pass\ndef run(data):\n    time.sleep(0.05)\n    return 1\n")
        s = self.deploy("a", "--model", "m", "--script", "score.py")
        with Load(s["scoring_uri"], clients=8, kept=False) as load:
            self.command("service", "stop", "a")
        self.assertEqual([x for x in load.failures if "ConnectionRefused" not in str(x)], [])
        self.assertGreater(sum(load.answers.values()), 0)

    def test_one_that_fails_changes_nothing(self):
        self.write("score.py", "def init():\n    raise OSError('broken')\ndef run(d):\n    return 1\n")
        s = self.deploy("a")
        with Load(s["scoring_uri"]) as load:
            done = self.command("service", "update", "a", "--model", "m", "--script", "score.py", "--wait", "--json", code=1)
        said = json.loads(done.stdout)
        self.assertEqual((said["state"], said["revision"], said["error"]["line"]), ("Healthy", 1, 2))
        self.assertEqual((load.failures, set(load.answers)), ([], {'{"result":[[2,4,6]]}'}))

    def test_the_sample_comes_first(self):
        """A revision that does not answer the sample gets no clients; later revisions get the same sample."""
        s = self.deploy("a", "--model", "m", "--sample", self.write("sample.json", BODY))
        done = self.command("service", "update", "a", "--model", "c", "--wait", "--json", code=1)
        said = json.loads(done.stdout)
        self.assertEqual(said["error"]["code"], "SampleFailed")
        self.assertIn("status 400", said["error"]["message"])
        self.assertEqual(post(s["scoring_uri"])[1], '{"result":[[2,4,6]]}')
        self.assertEqual(self.update("--model", "c", "--sample", self.write("other.json", b'{"data": [1, 2, 3]}'))["revision"], 3)

    def test_a_share_of_the_requests(self):
        """Percent, header, promotion, the end: nothing fails meanwhile, and the shares of any 100 in a row are exact."""
        body = json.dumps({"data": [1, 2, 3]}).encode()
        old, new = '{"result":[1,2,3]}', '{"result":[11,22,33]}'
        self.register("m1", with_constant([0, 0, 0]))
        s = self.deploy("a", "--model", "m1", "--auth", "key")
        uri, key = s["scoring_uri"], self.ask("service", "keys", "a")["primary"]
        self.assertIn("no revision on trial", self.fails("service", "traffic", "a", "10"))
        tried = self.update("--model", "c", "--traffic", "20")
        self.assertEqual((tried["state"], tried["revision"], tried["trial"], tried["percent"]), ("Healthy", 1, 2, 20))
        got = [post(uri, body, key)[1] for _ in range(100)]
        self.assertEqual((got.count(old), got.count(new)), (80, 20))
        name = "azureml-model-deployment"
        self.assertEqual([post(uri, body, key, {name: r})[1] for r in "1212"], [old, new, old, new])
        self.assertEqual(post(uri, body, key, {name: "9"})[0], 404)
        self.assertEqual(post(uri, body, headers={name: "2"})[0], 401)
        status, text = post(uri, b'{"data": "x"}', key, {name: "2"})
        self.assertEqual((status, "error" in json.loads(text)), (400, True))
        self.command("service", "traffic", "a", "50", "--wait")
        got = [post(uri, body, key)[1] for _ in range(100)]
        self.assertEqual((got.count(old), got.count(new)), (50, 50))
        self.assertIn("on trial", self.fails("service", "update", "a", "--auth", "none"))
        self.command("service", "traffic", "a", "0", "--wait")
        self.command("service", "update", "a", "--auth", "none", "--wait")
        self.update("--model", "c", "--traffic", "40")
        with Load(uri, body=body) as load:
            for percent in ("90", "0"):
                self.command("service", "traffic", "a", percent, "--wait")
            self.assertNotIn("trial", self.show("a"))
            self.update("--model", "c", "--traffic", "10")
            self.command("service", "traffic", "a", "100", "--wait")
        self.assertEqual((load.failures, set(load.answers)), ([], {old, new}))
        self.assertEqual((post(uri, body)[1], self.show("a")["revision"]), (new, 5))

    def test_a_sample_of_the_model(self):
        """A request that was registered with a model is what its services must answer."""
        self.write("good/net.onnx", twice())
        self.write("good/sample.json", BODY)
        self.write("bad/net.onnx", twice())
        self.write("bad/sample.json", b'{"data": "none"}')
        for name in ("good", "bad"):
            self.ask("model", "register", name)
        s = self.deploy("a", "--model", "good")
        self.assertIn("status 400", self.fails("service", "update", "a", "--model", "bad", "--wait"))
        self.assertEqual(post(s["scoring_uri"])[0], 200)

    def test_a_trial_that_fails(self):
        s = self.deploy("a", "--model", "m", "--sample", self.write("sample.json", BODY))
        self.command("service", "update", "a", "--model", "c", "--traffic", "10", "--wait", code=1)
        self.assertEqual([post(s["scoring_uri"])[0] for _ in range(20)], [200] * 20)
        self.assertNotIn("trial", self.show("a"))

    def test_words_of_a_revision(self):
        """What is said of the one before goes on, with what is changed, and is not changed by it."""
        self.deploy("a", "--model", "m", "--tag", "stage=test", "--tag", "old", "--property", "p=q")
        changed = self.update("--model", "c", "--sample", self.write("other.json", b'{"data": [1, 2, 3]}'), "--tag", "stage=live",
                              "--remove-tag", "old", "--property", "r=s")
        self.assertEqual((changed["tags"], changed["properties"]), ({"stage": "live"}, {"p": "q", "r": "s"}))
        before = self.ask("service", "rollback", "a", "--wait")
        self.assertEqual((before["tags"], before["properties"]), ({"stage": "test", "old": ""}, {"p": "q"}))

    def test_roll_back(self):
        s = self.deploy("a")
        self.assertIn("no revision before", self.fails("service", "rollback", "a"))
        self.update("--model", "c", "--sample", self.write("other.json", b'{"data": [1, 2, 3]}'))
        self.assertEqual(self.ask("service", "rollback", "a", "--wait")["revision"], 1)
        self.assertEqual(post(s["scoring_uri"])[1], '{"result":[[2,4,6]]}')
        self.assertIn("in force", self.fails("service", "rollback", "a", "--to", "1"))
        self.assertIn("newest versions", self.fails("service", "rollback", "a", "--to", "9"))
        self.assertEqual(self.ask("service", "rollback", "a", "--to", "2", "--wait")["revision"], 2)
        self.assertEqual([x["revision"] for x in self.show("a")["revisions"]], [1, 2])


class Demo(unittest.TestCase):
    def test_the_story(self):
        with tempfile.TemporaryDirectory(prefix="sardonyx-demo-") as folder:
            for _ in range(2):  # over what an earlier one left, too
                done = subprocess.run([sys.executable, ROOT / "examples/digits/demo.py", COMMAND, "--folder", f"{folder}/ws", "--stop"],
                                      capture_output=True, text=True, timeout=120)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("19 of 20 digits right", done.stdout)
                self.assertIn('requests_total{model="digits",code="200",version="1"} 21', done.stdout)


ENGINE = "podman --cgroup-manager=cgroupfs --runtime runc"


@unittest.skipUnless(shutil.which("podman") and shutil.which("runc"), "podman or runc is not installed")
class Containers(ServiceCase):
    engine, words = ENGINE, ENGINE.split()[:2]

    def test_deployed_updated_and_gone(self):
        s = self.deploy("a", "--model", "m", "--target", "container", "--engine", self.engine, "--auth", "key", "--sample", self.write("r.json", BODY))
        key = self.ask("service", "keys", "a")["primary"]
        self.assertEqual((s["state"], post(s["scoring_uri"], key=key)), ("Healthy", (200, '{"result":[[2,4,6]]}')))
        self.assertEqual(post(s["scoring_uri"])[0], 401)
        self.assertEqual(len(self.running()), 1)
        fresh = self.ask("service", "keys", "a", "--regenerate", "primary")["primary"]
        self.assertEqual((post(s["scoring_uri"], key=key)[0], post(s["scoring_uri"], key=fresh)[0]), (401, 200))
        self.command("service", "update", "a", "--model", "m", "--auth", "none", "--cors-origin", "https://one.example", "--wait")
        with Load(s["scoring_uri"], clients=2, kept=False) as load:
            self.command("service", "update", "a", "--model", "m", "--replicas", "2", "--wait")
            self.command("service", "rollback", "a", "--wait")
        self.assertEqual(load.failures, [])
        os.kill(self.show("a")["pid"], signal.SIGKILL)  # containers outlive it; the next one ends them
        self.command("service", "start", "a", "--wait")
        self.until(lambda: len(self.running()) == 2)
        os.kill(self.show("a")["pid"], signal.SIGKILL)
        self.command("service", "delete", "a")
        self.assertEqual(self.running(), [])

    def running(self):
        done = subprocess.run([*self.words, "ps", "-q", "--filter", "name=-a-"], capture_output=True, text=True, check=True)
        return done.stdout.split()

    def test_one_that_fails(self):
        self.write("score.py", "def init():\n    raise ValueError('no weights')\ndef run(d):\n    return d\n")
        done = self.command("service", "deploy", "a", "--model", "m", "--script", "score.py", "--target", "container", "--engine", self.engine, "--wait", "--json", code=1)
        error = json.loads(done.stdout)["error"]
        self.assertEqual(error["line"], 2)
        self.assertIn("no weights", error["message"])


def docker_answers():
    return shutil.which("docker") and not subprocess.run(["docker", "info"], capture_output=True, check=False).returncode


@unittest.skipUnless(docker_answers(), "there is no docker, or nobody runs its daemon")
class Docker(Containers):
    engine, words = "docker", ["docker"]


if __name__ == "__main__":
    sys.exit(suite.run())
