#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`sardonyx workspace serve`: models, images and services over HTTP, held against what the command says of them."""
import hashlib
import http.client
import json
import pathlib
import signal
import subprocess
import sys
import time
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from lab import COMMAND, Case, twice, with_constant  # noqa: E402
import suite  # noqa: E402

BYTES = {"Content-Type": "application/octet-stream"}
OPEN = {"/", "/health/live", "/v2/health/live", "/health/ready", "/v2/health/ready", "/ping"}


class RestCase(Case):
    def setUp(self):
        super().setUp()
        port = self.folder / "port"
        self.server = subprocess.Popen([COMMAND, "workspace", "serve", "--port", "0", "--port-file", str(port)], cwd=self.folder,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end)
        limit = time.monotonic() + 20
        while not port.exists() and time.monotonic() < limit and self.server.poll() is None:
            time.sleep(0.01)
        self.assertTrue(port.exists(), "it does not start")
        self.port = int(port.read_text())
        self.key = (self.store / "rest-keys").read_text().strip()

    def end(self):
        for service in self.ask("service", "list"):
            self.command("service", "delete", service["name"])
        self.server.send_signal(signal.SIGTERM)
        _, said = self.server.communicate(timeout=30)
        self.assertEqual(self.server.returncode, 0, said)
        self.assertNotIn(self.key, said)

    def call(self, method, path, body=None, headers=None, key=True, **query):
        """(status, answer): JSON where the answer is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if isinstance(body, bytes) or body is None else {"Content-Type": "application/json"}
        with_key = {"Authorization": "Bearer " + (self.key if key is True else key)} if key else {}
        target = path + ("?" + urllib.parse.urlencode(query) if query else "")
        connection.request(method, target, data, {**kind, **with_key, **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, json.loads(text) if text and answer.headers.get_content_type() == "application/json" else text

    def good(self, *words, **options):
        status, answer = self.call(*words, **options)
        self.assertEqual(status, 200, answer)
        return answer

    def refused(self, status, part, *words, **options):
        got, answer = self.call(*words, **options)
        self.assertEqual(got, status, answer)
        self.assertIn(part, json.dumps(answer))

    def until(self, name, state):
        limit = time.monotonic() + 60
        while (service := self.good("GET", f"/api/services/{name}"))["state"] != state:
            self.assertLess(time.monotonic(), limit, service)
            time.sleep(0.05)
        return service


class Rest(RestCase):
    def test_every_route_asks_for_a_key(self):
        self.assertEqual((self.store / "rest-keys").stat().st_mode & 0o777, 0o600)
        paths = self.good("GET", "/openapi.json")["paths"]
        self.assertGreater(sum(path.startswith("/api/") for path in paths), 20)
        for path, item in paths.items():
            for method in set(item) - {"parameters"}:
                real = path.replace("{name}", "m").replace("{version}", "1")
                for key in (None, "x" * 24, self.key[:-1], self.key + "0"):
                    with self.subTest(f"{method} {path}"):
                        self.assertEqual(self.call(method.upper(), real, key=key)[0] == 401, path not in OPEN)
        self.assertFalse([p for p in paths if "score" in p or "infer" in p], "nothing is scored here")

    def test_a_model_from_its_beginning_to_its_end(self):
        data = twice()
        m = self.good("POST", "/api/models", data, BYTES, name="m", tag="stage=test", description="words; été")
        self.assertEqual((m["id"], m["tags"], m["description"]), ("m:1", {"stage": "test"}, "words; été"))
        self.assertEqual(m, self.ask("model", "show", "m"))
        second = self.good("POST", "/api/models", with_constant([1.0]), BYTES, name="m")
        self.assertEqual(second["version"], 2)
        self.assertEqual([x["id"] for x in self.good("GET", "/api/models")], ["m:2"])
        self.assertEqual([x["version"] for x in self.good("GET", "/api/models/m/versions")], [2, 1])
        self.assertEqual(self.good("GET", "/api/models/m")["version"], 2)
        self.assertEqual([x["id"] for x in self.good("GET", "/api/models/m/versions", tag="stage=test")], ["m:1"])
        changed = self.good("PATCH", "/api/models/m/versions/1", {"tags": {"stage": None, "new": "é"}, "description": "d"})
        self.assertEqual((changed["tags"], changed["description"]), ({"new": "é"}, "d"))
        self.assertEqual(self.good("GET", "/api/models/m/versions/1/content"), data)
        self.assertEqual(hashlib.sha256(data).hexdigest(), m["digest"][7:])
        self.assertEqual(self.good("DELETE", "/api/models/m/versions/2")["id"], "m:2")
        self.refused(404, "version", "GET", "/api/models/m/versions/2")
        once = [self.good("POST", "/api/models", data, BYTES, name="n", request="r1")["id"] for _ in range(2)]
        self.assertEqual(once, ["n:1", "n:1"])
        plain = self.good("POST", "/api/models", b"any bytes", BYTES, name="p", framework="x", file="a/b.bin")
        self.assertEqual([f["path"] for f in plain["files"]], ["a/b.bin"])
        workspace, = self.good("GET", "/api/workspaces")
        self.assertEqual((workspace["models"], "store" in workspace), (3, False))
        self.assertEqual(self.good("GET", "/api/operations", count=1)[0]["asset"], "p:1")
        self.assertEqual(self.good("GET", "/api/verify")["lost"], [])
        self.verify()

    def test_what_is_no_good(self):
        self.good("POST", "/api/models", twice(), BYTES, name="digits")
        for status, part, *words in (
                (404, "did you mean 'digits'", "GET", "/api/models/digit"), (404, "no", "GET", "/api/models/digits/versions/7"),
                (400, "number", "GET", "/api/models/digits/versions/x"), (404, "names nothing", "GET", "/api/models/..."),
                (404, "names nothing", "GET", "/api/services/.../logs"), (404, "no such path", "GET", "/api/nothing"),
                (405, "expected GET, POST", "DELETE", "/api/models"), (404, "service", "POST", "/api/services/s/stop"),
                (400, "did you mean 'description'", "PATCH", "/api/models/digits/versions/1", {"descripton": "x"}),
                (400, "type string", "PATCH", "/api/models/digits/versions/1", {"tags": {"a": 1}}),
                (400, "expected to be an object", "PATCH", "/api/models/digits/versions/1", [1]),
                (400, "line 1", "PATCH", "/api/models/digits/versions/1", b"{", {"Content-Type": "application/json"}),
                (400, "what is to be run", "POST", "/api/services", {"name": "s"}), (400, "no member 'name'", "POST", "/api/services", {"image": "i"}),
                (400, "no member 'percent'", "POST", "/api/services/s/traffic"),
                (400, "not known", "POST", "/api/services", {"name": "s", "models": ["digits"], "engine": "touch x"}),
                (400, "expected one of", "POST", "/api/services", {"name": "s", "models": ["digits"], "target": "kubernetes"}),
                (400, "1 to 32", "POST", "/api/services", {"name": "s", "models": ["digits"], "replicas": 33}),
                (400, "not both", "POST", "/api/services", {"name": "s", "models": ["digits"], "image": "i"}),
                (404, "did you mean 'digits'", "POST", "/api/services", {"name": "s", "models": ["digit"]}),
                (400, "expected letters", "POST", "/api/services", {"name": "../s", "models": ["digits"]}),
                (400, "needs a model", "POST", "/api/images", {"name": "i", "models": []}), (400, "no member 'models'", "POST", "/api/images", {"name": "i"}),
                (400, "cannot name", "POST", "/api/images", {"name": "", "models": ["digits"]}),
                (413, "larger", "PATCH", "/api/models/digits/versions/1", {"description": "x" * 70000})):
            with self.subTest(words):
                self.refused(status, part, *words)
        for part, query in (("parameter name", {}), ("parameter name", {"name": "a/b"}), ("relative path", {"name": "a", "file": "../x"}),
                            ("relative path", {"name": "a", "file": "/x"}), ("UTF-8", {"name": "a", "description": b"\xff"}),
                            ("NUL", {"name": "a", "description": "a\0b"})):
            with self.subTest(query):
                self.refused(400, part, "POST", "/api/models", twice(), headers=BYTES, **query)
        self.refused(400, "empty", "POST", "/api/models", b"", headers=BYTES, name="a")
        self.refused(400, "", "POST", "/api/models", b"no model", headers=BYTES, name="a")
        self.refused(400, "whole number", "GET", "/api/models", count="x")
        self.assertEqual([m["id"] for m in self.good("GET", "/api/models")], ["digits:1"])
        self.verify()

    def test_a_service_from_its_beginning_to_its_end(self):
        self.good("POST", "/api/models", twice(), BYTES, name="m")
        image = self.good("POST", "/api/images", {"name": "i", "models": ["m"], "tags": {"a": ""}})
        self.assertEqual((image["id"], image["uses"]), ("i:1", ["model/m:1"]))
        self.refused(409, "i:1", "DELETE", "/api/models/m/versions/1")
        self.good("POST", "/api/services", {"name": "s", "image": "i", "auth": "key"})
        s = self.until("s", "Healthy")
        self.refused(409, "there is a service", "POST", "/api/services", {"name": "s", "image": "i"})
        keys = self.good("GET", "/api/services/s/keys")
        self.assertEqual(keys, self.ask("service", "keys", "s"))
        score = lambda key: self.score(s["port"], key)
        self.assertEqual((score(keys["primary"]), score("x" * 20)), (200, 401))
        fresh = self.good("POST", "/api/services/s/keys", {"regenerate": "primary"})
        self.assertNotEqual(fresh["primary"], keys["primary"])
        self.assertEqual((score(fresh["primary"]), score(keys["primary"]), score(keys["secondary"])), (200, 401, 200))
        self.good("POST", "/api/models", with_constant([1.0, 2.0, 3.0]), BYTES, name="m")
        self.good("PATCH", "/api/services/s", {"models": ["m"], "traffic": 10})
        limit = time.monotonic() + 30
        while len(self.good("GET", "/api/services/s").get("processes", [])) < 2 and time.monotonic() < limit:
            time.sleep(0.05)
        self.assertEqual(self.good("POST", "/api/services/s/traffic", {"percent": 100})["name"], "s")
        while (now := self.until("s", "Healthy"))["revision"] != 2:
            self.assertLess(time.monotonic(), limit, now)
            time.sleep(0.05)
        self.good("POST", "/api/services/s/rollback")
        self.good("POST", "/api/services/s/scale", {"replicas": 2})
        limit = time.monotonic() + 30
        while (now := self.until("s", "Healthy"))["revision"] != 1 or len(now["processes"]) != 2:
            self.assertLess(time.monotonic(), limit, now)
            time.sleep(0.05)
        self.assertTrue(any("revision 1" in line for line in self.good("GET", "/api/services/s/logs", count=50)))
        self.assertEqual(self.good("POST", "/api/services/s/stop")["state"], "Stopped")
        self.good("POST", "/api/services/s/start", {})
        self.until("s", "Healthy")
        self.assertEqual([x["name"] for x in self.good("GET", "/api/services")], ["s"])
        self.good("DELETE", "/api/services/s")
        self.refused(404, "service", "GET", "/api/services/s")
        self.assertEqual(self.good("DELETE", "/api/images/i/versions/1")["id"], "i:1")

    def score(self, port, key):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("POST", "/score", '{"data": [[1, 2, 3]]}',
                           {"Content-Type": "application/json", "Authorization": "Bearer " + key})
        status = connection.getresponse().status
        connection.close()
        return status


if __name__ == "__main__":
    sys.exit(suite.run())
