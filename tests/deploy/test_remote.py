#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pushing to and pulling from registries: ours breaks off, lies, redirects and asks who one is. Then archives and manifests
that mean harm. Nothing half-done may stay, credentials go nowhere else, what is damaged is refused."""
import base64
import io
import json
import os
import pathlib
import random
import sys
import tarfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from hub import Hub, digest_of  # noqa: E402
from lab import Case, twice, with_external  # noqa: E402
import suite  # noqa: E402

MODEL = "application/vnd.sardonyx.model.v1"
CONFIG = "application/vnd.sardonyx.model.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
BIG = random.Random(1).randbytes(40 << 20)  # three pieces


def titled(path):
    return {"org.opencontainers.image.title": path}


class RemoteCase(Case):
    auth, login = None, ""
    environment = None

    def setUp(self):
        super().setUp()
        self.hub = Hub(self.auth, self.login)
        self.addCleanup(self.hub.close)
        self.home = self.folder / "home"
        self.home.mkdir()
        self.environment = {**{k: v for k, v in os.environ.items() if k not in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR")},
                            "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config"), "XDG_CACHE_HOME": str(self.home / ".cache")}

    def command(self, *words, **options):
        return super().command(*words, env=self.environment, **options)

    def place(self, rest):
        return f"{self.hub.host}/{rest}"

    def big(self):
        self.write("big.bin", BIG)
        self.command("model", "register", "big.bin", "--name", "big", "--framework", "x")

    def count(self, method, part=""):
        return sum(m == method and part in p for m, p, _ in self.hub.log)


class Plain(RemoteCase):
    def test_a_model_there_and_back(self):
        self.register("digits", None, "--tag", "a=1", "-d", "words")
        pushed = self.ask("model", "push", "digits", self.place("models/digits"))
        manifest = json.loads(self.hub.manifests["models/digits", "1"][0])
        self.assertEqual(manifest["artifactType"], MODEL)
        self.assertEqual(manifest["layers"][0]["annotations"], titled("digits.onnx"))
        self.assertEqual(pushed["digest"], digest_of(self.hub.manifests["models/digits", "1"][0]))
        pulled = self.ask("model", "pull", self.place("models/digits:1"), "--name", "copy")
        self.assertEqual((pulled["id"], pulled["tags"], pulled["description"]), ("copy:1", {"a": "1"}, "words"))
        self.assertEqual(pulled["inputs"], self.ask("model", "show", "digits")["inputs"])
        self.assertEqual(self.ask("model", "pull", "oci://" + self.place(f"models/digits@{pushed['digest']}"), "--name", "copy"), pulled)
        self.assertEqual(self.ask("model", "push", "digits", self.place("elsewhere:t"))["digest"], pushed["digest"])
        self.verify()

    def test_a_unit_of_several_files(self):
        self.write("net/model.onnx", with_external())
        self.write("net/weights.bin", b"\0" * 12)
        self.command("model", "register", "net")
        self.command("model", "push", "net", self.place("net"))
        self.command("model", "pull", self.place("net:1"), "--name", "again")
        self.assertEqual([f["path"] for f in self.ask("model", "show", "again")["files"]], ["net/model.onnx", "net/weights.bin"])
        run = self.ask("run", "oci://" + self.place("net:1"), "x=[1,2,3]")  # straight from there, by way of the cache
        self.assertEqual(run["outputs"]["y"]["data"], [1, 2, 3])
        run = self.ask("run", "registry:again", "x=[1,2,3]")
        self.assertEqual(run["outputs"]["y"]["data"], [1, 2, 3])
        self.assertEqual(self.ask("workspace", "show", "--workspace", self.home / ".cache/sardonyx")["models"], 1)

    def test_what_is_there_is_not_sent_again(self):
        self.big()
        self.command("model", "push", "big", self.place("big"))
        received = self.hub.received
        self.assertGreater(received, len(BIG))
        self.command("model", "push", "big", self.place("big:again"))
        self.assertLess(self.hub.received - received, 10000)

    def test_push_goes_on_where_it_broke_off(self):
        self.big()
        hub = self.hub

        def break_off(handler, method, path):
            if method != "PATCH" or handler.headers.get("Content-Range", "").startswith("0-"):
                return False
            upload = path.split("/")[-1].split("?")[0]  # half of the piece arrives, then the connection is gone
            hub.uploads[upload] += handler.rfile.read(5 << 20)
            handler.close_connection = True
            handler.connection.close()
            return True

        hub.faults.append(break_off)
        self.command("model", "push", "big", self.place("big"))
        self.assertEqual(hub.blobs[digest_of(BIG)], BIG)
        self.assertEqual(self.count("POST"), 2)  # one upload of the big one (and one of the config): never begun anew

    def test_push_begins_anew_where_the_upload_is_forgotten(self):
        self.big()
        hub = self.hub

        def forget(handler, method, path):
            if method != "PATCH":
                return False
            hub.uploads.clear()
            handler.body()
            return handler.fail(500)

        hub.faults.append(forget)
        self.command("model", "push", "big", self.place("big"))
        self.assertEqual(hub.blobs[digest_of(BIG)], BIG)

    def test_pull_goes_on_where_it_broke_off(self):
        for ranges in (True, False):
            with self.subTest(ranges=ranges):
                self.hub.ranges = ranges
                self.hub.put("big", "1", b"{\"framework\": \"x\"}", [(BIG, "application/octet-stream", titled("big.bin"))], artifactType=MODEL)

                def break_off(handler, method, path):
                    if method != "GET" or digest_of(BIG) not in path:
                        return False
                    handler.send_response(200)
                    handler.send_header("Content-Length", str(len(BIG)))
                    handler.end_headers()
                    handler.wfile.write(BIG[:10 << 20])
                    handler.close_connection = True
                    return True

                self.hub.faults.append(break_off)
                self.hub.log.clear()
                name = f"big{ranges}"
                self.assertEqual(self.ask("model", "pull", self.place("big:1"), "--name", name)["digest"], digest_of(BIG))
                asked = [h.get("Range") for m, p, h in self.hub.log if m == "GET" and digest_of(BIG) in p]
                self.assertEqual(asked, [None, f"bytes={10 << 20}-"])
                self.command("model", "delete", name)

    def test_a_busy_registry_is_asked_again(self):
        self.register("m")
        for status in (429, 503, 500):
            self.hub.faults += [lambda handler, method, path, status=status: method == "PUT" and "manifests" in path and
                                (handler.body() or True) and handler.answer(status, headers={"Retry-After": "0"})] * 2
        self.command("model", "push", "m", self.place("m"), code=1)  # six refusals: enough is enough
        self.hub.faults.clear()
        self.hub.faults.append(lambda handler, method, path: method == "POST" and handler.answer(503))
        self.command("model", "push", "m", self.place("m"))

    def test_wrong_bytes(self):
        good = twice()
        data = self.hub.put("m", "1", b"{}", [(good, "application/vnd.onnx.model", titled("m.onnx"))], artifactType=MODEL)
        for name, wrong in [("other", good[:-1] + b"x"), ("longer", good + b"x"), ("shorter", good[:-1])]:
            with self.subTest(name):
                self.hub.blobs[digest_of(good)] = wrong
                self.assertRegex(self.fails("model", "pull", self.place("m:1")), "not those of the digest|more bytes|ends after")
        self.hub.blobs[digest_of(good)] = good
        self.hub.manifests["m", digest_of(data)] = (data + b" ", "application/vnd.oci.image.manifest.v1+json")
        self.assertIn("not the one that was announced", self.fails("model", "pull", self.place(f"m@{digest_of(data)}")))
        self.assertEqual(self.ask("model", "list"), [])
        self.verify()

    def test_a_registry_that_keeps_something_else(self):
        self.register("m")
        self.hub.faults.append(lambda handler, method, path: method == "PUT" and "uploads" in path and (handler.body() or True) and
                               handler.answer(201, headers={"Docker-Content-Digest": "sha256:" + "0" * 64}))
        self.assertIn("other bytes", self.fails("model", "push", "m", self.place("m")))

    def test_redirects_take_no_credentials_along(self):
        other = Hub()
        self.addCleanup(other.close)
        good = twice()
        self.hub.auth, self.hub.login = "basic", "user:secret"
        (self.home / ".docker").mkdir()
        (self.home / ".docker/config.json").write_text(json.dumps({"auths": {self.hub.host: {"auth": base64.b64encode(b"user:secret").decode()}}}))
        self.hub.put("m", "1", b"{}", [(good, "application/vnd.onnx.model", titled("m.onnx"))], artifactType=MODEL)
        other.blobs[digest_of(good)] = good
        target = f"http://{other.host.replace('127.0.0.1', 'localhost')}/v2/m/blobs/{digest_of(good)}"
        self.hub.faults.append(lambda handler, method, path: digest_of(good) in path and handler.answer(307, headers={"Location": target}))
        self.command("model", "pull", self.place("m:1"))
        self.assertEqual(len(other.log), 1)
        self.assertNotIn("Authorization", other.log[0][2])

    def test_places_that_are_none(self):
        self.register("m")
        for place in ("http://x/y", "UPPER/case", "host.example/", "localhost:5000/a/../b", "host.example/a:", "host.example/a@sha256:1",
                      "a b", "", "localhost:5000/" + "x" * 300):
            with self.subTest(place):
                self.assertIn("REPOSITORY", self.fails("model", "push", "m", place))
        self.assertRegex(self.fails("model", "push", "m", "localhost:1/m"), "onnect")  # nobody listens
        self.assertIn("404", self.fails("model", "pull", self.place("nothing:1")))


class WhoOneIs(RemoteCase):
    login = "user:se:cret"

    def write_auth(self, path, **more):
        entry = {"auth": base64.b64encode(self.login.encode()).decode()}
        file = self.home / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"auths": {self.hub.host: entry}, **more}))

    def test_all_ways(self):
        self.register("m")
        for auth in ("basic", "token"):
            self.hub.auth = auth
            self.assertIn("podman login", self.fails("model", "push", "m", self.place("m")))
            for path in (".docker/config.json", ".config/containers/auth.json"):
                self.write_auth(path)
                self.command("model", "push", "m", self.place(f"m:{auth}"))
                (self.home / path).unlink()

    def test_environment_and_the_most_specific_entry(self):
        self.register("m")
        self.hub.auth = "basic"
        wrong = base64.b64encode(b"user:wrong").decode()
        right = base64.b64encode(self.login.encode()).decode()
        self.write("auth.json", json.dumps({"auths": {self.hub.host: {"auth": wrong}, self.hub.host + "/team": {"auth": right}}}))
        self.environment["REGISTRY_AUTH_FILE"] = str(self.folder / "auth.json")
        self.command("model", "push", "m", self.place("team/m"))
        self.fails("model", "push", "m", self.place("teams/m"))

    def test_a_helper(self):
        self.register("m")
        self.hub.auth = "token"
        self.write("bin/docker-credential-test", "#!/bin/sh\nread server\nuser=${1}\n[ \"$1\" = get ] && [ \"$server\" = " + self.hub.host +
                   " ] && echo '{\"Username\": \"user\", \"Secret\": \"se:cret\"}'\n")
        (self.folder / "bin/docker-credential-test").chmod(0o755)
        self.environment["PATH"] = f"{self.folder}/bin:{os.environ['PATH']}"
        file = self.home / ".docker/config.json"
        file.parent.mkdir()
        for content in ({"credHelpers": {self.hub.host: "test"}}, {"credsStore": "test"}):
            file.write_text(json.dumps(content))
            self.command("model", "push", "m", self.place("m"))

    def test_a_damaged_file_and_a_wrong_password(self):
        self.register("m")
        self.hub.auth = "token"
        file = self.home / ".docker/config.json"
        file.parent.mkdir()
        file.write_text("{")
        self.assertIn("config.json: not JSON", self.fails("model", "push", "m", self.place("m")))
        self.login = "user:wrong"
        self.write_auth(".docker/config.json")
        self.assertIn("is the password still right", self.fails("model", "push", "m", self.place("m")))
        for path, _, headers in [(p, m, h) for m, p, h in self.hub.log]:
            self.assertNotIn("wrong", str(headers.get("Authorization")), path)

    def test_a_token_from_elsewhere(self):
        """A registry that sends to an unprotected place for a token is not followed with credentials."""
        self.register("m")
        self.write_auth(".docker/config.json")
        self.hub.auth = "token"
        self.hub.faults.append(lambda handler, method, path: (handler.body() or True) and handler.answer(
            401, headers={"WWW-Authenticate": 'Bearer realm="ftp://127.0.0.1/token"'}))
        self.assertIn("not protected", self.fails("model", "push", "m", self.place("m")))


class Hostile(RemoteCase):
    def refused(self, manifest, kind="application/vnd.oci.image.manifest.v1+json"):
        data = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        self.hub.put_raw("x", "1", data, kind)
        for what in ("model", "image"):
            self.command(what, "pull", self.place("x:1"), code=1)
        self.assertEqual(self.ask("model", "list") + self.ask("image", "list"), [])

    def test_manifests(self):
        good = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest_of(b"{}"), "size": 2}
        self.hub.blobs[digest_of(b"{}")] = b"{}"
        manifest = {"schemaVersion": 2, "config": good, "layers": []}
        for broken in (b"", b"[]", b"{", b"\xff", b"{}" + b" " * (5 << 20), {}, {**manifest, "schemaVersion": 1}, {**manifest, "layers": 3},
                       {**manifest, "layers": [{}]}, {**manifest, "config": {**good, "size": -1}}, {**manifest, "config": {**good, "size": 1 << 60}},
                       {**manifest, "config": {**good, "digest": "sha256:../../etc/passwd"}}, {**manifest, "config": {**good, "digest": "md5:1"}},
                       {**manifest, "layers": [{**good, "mediaType": "text/plain"}]}, {**manifest, "layers": [good] * 2000},
                       {**manifest, "mediaType": "text/html"}, {**manifest, "config": {**good, "size": 3}}, {**manifest, "config": []},
                       b'{"schemaVersion": 2, "schemaVersion": 2}', b"[" * 100000):
            with self.subTest(str(broken)[:80]):
                self.refused(broken)
        self.verify()

    def test_titles(self):
        for title in ("../x.onnx", "/etc/x.onnx", "a/../../x.onnx", "a\\b", "", "a\nb", "x" * 300):
            with self.subTest(title):
                self.hub.put("x", "1", b"{}", [(twice(), "application/vnd.onnx.model", titled(title))], artifactType=MODEL)
                self.command("model", "pull", self.place("x:1"), code=1)
        self.hub.put("x", "1", b"{}", [(twice(), "a/b", titled("m.onnx")), (twice(5), "a/b", titled("m.onnx"))], artifactType=MODEL)
        self.assertIn("two files", self.fails("model", "pull", self.place("x:1")))
        self.assertEqual(self.ask("model", "list"), [])

    def test_a_model_that_does_not_load_or_lies(self):
        self.hub.put("x", "1", b"{}", [(b"hello", "application/vnd.onnx.model", titled("m.onnx"))], artifactType=MODEL)
        self.assertIn("not an ONNX model", self.fails("model", "pull", self.place("x:1")))
        lie = json.dumps({"inputs": [{"name": "lie"}], "tags": {"a": 1}}).encode()
        self.hub.put("x", "1", lie, [(twice(), "application/vnd.onnx.model", titled("m.onnx"))], artifactType=MODEL)
        self.assertIn("is a string", self.fails("model", "pull", self.place("x:1")))
        lie = json.dumps({"inputs": [{"name": "lie"}], "tags": {"a": "1"}}).encode()
        self.hub.put("x", "1", lie, [(twice(), "application/vnd.onnx.model", titled("m.onnx"))], artifactType=MODEL)
        self.assertEqual(self.ask("model", "pull", self.place("x:1"))["inputs"][0]["name"], "x")

    def test_indexes(self):
        index = "application/vnd.oci.image.index.v1+json"
        data = self.hub.put("x", "one", b"{}", [(twice(), "application/vnd.onnx.model", titled("m.onnx"))], artifactType=MODEL)
        entry = {"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest_of(data), "size": len(data)}
        loop = {**entry, "mediaType": index}
        for broken in ({"manifests": []}, {"manifests": 3}, {"manifests": [loop]}, {"manifests": [{**entry, "digest": "x"}]},
                       {"manifests": [{**entry, "platform": {"os": "linux", "architecture": "s390x"}}] * 2}):
            with self.subTest(str(broken)[:60]):
                self.refused({"schemaVersion": 2, "mediaType": index, **broken}, index)
        self.hub.put_raw("x", "1", json.dumps({"schemaVersion": 2, "mediaType": index, "manifests": [entry]}).encode(), index)
        self.assertEqual(self.ask("model", "pull", self.place("x:1"))["name"], "x")

    def test_a_foreign_image_does_not_pass_for_our_layers(self):
        """Layers are shared by what they hold; what an image from elsewhere says of its layers is not believed."""
        self.register("m")
        image = self.ask("image", "build", "--model", "m")
        config = json.loads(self.blob(next(f for f in image["files"] if f["path"] == "config")["digest"]))
        diff_ids = config["rootfs"]["diff_ids"]
        self.command("image", "delete", "m")
        evil = b"evil"
        self.hub.put("evil", "1", json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode(),
                     [(evil, LAYER + "+gzip", {}), (evil + b"2", LAYER + "+gzip", {})])
        self.command("image", "pull", self.place("evil:1"))
        again = self.ask("image", "build", "--model", "m")
        self.assertEqual(again["digest"], image["digest"])

    def blob(self, digest):
        return (self.store / "blobs/sha256" / digest[7:]).read_bytes()

    def tar(self, name, entries):
        with tarfile.open(self.folder / name, "w") as t:
            for path, data, kind in entries:
                info = tarfile.TarInfo(path)
                info.type = kind
                info.size = len(data) if kind == tarfile.REGTYPE else 0
                info.linkname = data.decode() if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
                t.addfile(info, io.BytesIO(data))
        return name

    def test_archives(self):
        """Names of an archive never reach the disk."""
        data = twice()
        regular = tarfile.REGTYPE
        for name, entries in {
                "empty": [], "no-index": [("oci-layout", b"{}", regular)], "index": [("index.json", b"{", regular)],
                "two": [("index.json", b'{"manifests": []}', regular)] * 2,
                "wrong": [("blobs/sha256/" + "0" * 64, data, regular), ("index.json", b'{"manifests": []}', regular)],
        }.items():
            with self.subTest(name):
                self.command("image", "import", self.tar(name + ".tar", entries), code=1)
        escape = [("../escaped", b"x", regular), ("/tmp/sardonyx-escaped", b"x", regular), ("blobs/sha256/../../../escaped", b"x", regular),
                  ("blobs", b"/etc", tarfile.SYMTYPE), ("blobs/sha256/" + "1" * 64, b"/etc/passwd", tarfile.SYMTYPE),
                  ("blobs/sha256/" + "2" * 64, b"/etc/passwd", tarfile.LNKTYPE), ("dev", b"", tarfile.CHRTYPE), ("pipe", b"", tarfile.FIFOTYPE),
                  ("index.json", b'{"manifests": []}', regular)]
        self.command("image", "import", self.tar("escape.tar", escape))
        self.assertFalse((self.folder / "escaped").exists() or (self.folder.parent / "escaped").exists() or
                         os.path.exists("/tmp/sardonyx-escaped"))
        self.write("cut.tar", pathlib.Path(self.folder / "escape.tar").read_bytes()[:700])
        self.command("image", "import", "cut.tar", code=1)
        self.write("text.tar", b"hello" * 1000)
        self.command("image", "import", "text.tar", code=1)
        self.verify()

    def test_layouts_in_folders(self):
        self.register("m")
        self.command("model", "export", "m", "layout")
        victim = next(p for p in (self.folder / "layout/blobs/sha256").iterdir() if p.stat().st_size > 50)
        good = victim.read_bytes()
        victim.write_bytes(good[:-1] + b"x")
        self.command("workspace", "create", "other")
        self.assertIn("not those of its digest", self.fails("model", "import", "../layout", cwd=self.folder / "other"))
        victim.unlink()
        victim.symlink_to("/etc/passwd")
        self.assertIn("link", self.fails("model", "import", "../layout", cwd=self.folder / "other"))
        victim.unlink()
        self.command("model", "import", "../layout", cwd=self.folder / "other", code=1)
        victim.write_bytes(good)
        self.command("model", "import", "../layout", cwd=self.folder / "other")
        self.assertEqual([m["id"] for m in self.ask("model", "list", cwd=self.folder / "other")], ["m:1"])


if __name__ == "__main__":
    sys.exit(suite.run())
