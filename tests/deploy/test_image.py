#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images: the same bytes each time, valid to skopeo and umoci, there and back through docker-registry, and running under
podman with runc."""
import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tarfile
import time
import unittest
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from hub import DockerRegistry  # noqa: E402
from lab import COMMAND, ROOT, Case, twice, with_constant, with_external  # noqa: E402
import suite  # noqa: E402

# What a container needs where this runs inside of one itself: no network and no control groups of its own.
PODMAN = ["podman", "--cgroup-manager=cgroupfs", "run", "--rm", "--runtime", "runc", "--network", "host", "--ulimit",
          "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed")


def call(*words, **options):
    return subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, timeout=120, **options)


class ImageCase(Case):
    def setUp(self):
        super().setUp()
        self.register("digits")

    def build(self, *words, **options):
        return self.ask("image", "build", *words, **options)

    def blob(self, digest):
        data = (self.store / "blobs/sha256" / digest[7:]).read_bytes()
        self.assertEqual("sha256:" + hashlib.sha256(data).hexdigest(), digest)
        return data

    def documents(self, image):
        manifest = json.loads(self.blob(image["digest"]))
        return manifest, json.loads(self.blob(manifest["config"]["digest"]))

    def layers(self, image):
        """The layers as opened archives, each checked against its diff id."""
        manifest, config = self.documents(image)
        opened = []
        for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
            data = self.blob(layer["digest"])
            plain = gzip.decompress(data) if layer["mediaType"].endswith("gzip") else data
            self.assertEqual("sha256:" + hashlib.sha256(plain).hexdigest(), diff_id)
            opened.append(tarfile.open(fileobj=io.BytesIO(plain)))
        return opened


class Building(ImageCase):
    def test_the_same_twice(self):
        first = self.build("--model", "digits")
        again = self.build("--model", "digits")
        self.assertEqual((first["id"], again["id"]), ("digits:1", "digits:2"))
        self.assertEqual(first["digest"], again["digest"])
        for field in ("digest", "size"):
            self.assertEqual([f[field] for f in first["files"]], [f[field] for f in again["files"]])

    def test_the_same_in_another_workspace_and_at_another_time(self):
        """Nothing of the folder, the clock, the umask or the user's locale gets into an image."""
        first = self.build("--model", "digits")
        other = self.folder / "other"
        self.command("workspace", "create", other)
        shutil.copy(self.folder / "digits.onnx", other)
        os.utime(other / "digits.onnx", (1, 1))
        previous = os.umask(0o077)
        try:
            environment = {**os.environ, "TZ": "Asia/Tokyo", "LC_ALL": "C", "HOME": "/nowhere"}
            self.ask("model", "register", "digits.onnx", cwd=other, env=environment)
            again = self.build("--model", "digits", cwd=other, env=environment)
        finally:
            os.umask(previous)
        self.assertEqual(first["digest"], again["digest"])
        self.assertNotEqual(first["digest"], self.build("--model", "digits", env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})["digest"])

    def test_what_is_in_it(self):
        image = self.build("--model", "digits", "--label", "team=vision", "--port", "8000", "-d", "words", "--tag", "t")
        manifest, config = self.documents(image)
        self.assertEqual(manifest["mediaType"], "application/vnd.oci.image.manifest.v1+json")
        run = config["config"]
        self.assertEqual(run["Entrypoint"], ["/opt/sardonyx/bin/sardonyx", "serve"])
        self.assertEqual(run["Cmd"], ["--host", "0.0.0.0", "--port", "8000", "digits=/var/azureml-app/azureml-models/digits/1/digits.onnx"])
        self.assertEqual((run["User"], list(run["ExposedPorts"])), ("65532:65532", ["8000/tcp"]))
        self.assertEqual({k: run["Labels"][k] for k in ("team", "io.sardonyx.models", "io.sardonyx.healthcheck")},
                         {"team": "vision", "io.sardonyx.models": "digits:1", "io.sardonyx.healthcheck": "/health/ready"})
        self.assertEqual((image["uses"], image["tags"], image["description"]), (["model/digits:1"], {"t": ""}, "words"))
        server, model = self.layers(image)
        self.assertEqual(model.extractfile("var/azureml-app/azureml-models/digits/1/digits.onnx").read(), twice())
        names = server.getnames()
        self.assertEqual(names, sorted(names))
        self.assertIn("opt/sardonyx/bin/sardonyx", names)
        for archive in (server, model):
            for entry in archive:
                self.assertEqual((entry.uid, entry.gid, entry.uname, entry.gname, entry.mtime), (0, 0, "", "", 0), entry.name)
                self.assertTrue(entry.isreg() or entry.isdir(), entry.name)
                self.assertFalse(entry.mode & 0o6022 and entry.name != "tmp", entry.name)

    def test_nothing_of_the_environment_is_in_it(self):
        secret = "sekret-" + os.urandom(8).hex()
        image = self.build("--model", "digits", env={**os.environ, "TOKEN": secret, "DOCKER_CONFIG": "/" + secret})
        for entry in image["files"]:
            data = self.blob(entry["digest"])
            self.assertNotIn(secret.encode(), gzip.decompress(data) if "gzip" in entry["media_type"] else data)

    def test_layers_are_shared(self):
        self.register("other", with_constant([1, 2]))
        a, b = self.build("--model", "digits"), self.build("--model", "other")
        both = self.build("--name", "both", "--model", "digits", "--model", "other")
        digests = lambda image: [x["digest"] for x in self.documents(image)[0]["layers"]]  # noqa: E731
        self.assertEqual(digests(a)[0], digests(b)[0])
        self.assertEqual(digests(both), [*digests(a), digests(b)[1]])
        self.assertEqual(self.documents(both)[1]["config"]["Cmd"][4:],
                         ["digits=/var/azureml-app/azureml-models/digits/1/digits.onnx", "other=/var/azureml-app/azureml-models/other/1/other.onnx"])

    def test_under_a_second(self):
        """The first one compresses the server; the next ones find it. Twice the bound, for a busy machine."""
        for _ in range(2):
            begin = time.monotonic()
            self.build("--model", "digits")
            self.assertLess(time.monotonic() - begin, 2)

    def test_compressions(self):
        sizes = {}
        for how in ("gzip", "zstd", "none"):
            image = self.build("--model", "digits", "--compression", how)
            manifest, config = self.documents(image)
            sizes[how] = (manifest["layers"][0]["size"], config["rootfs"]["diff_ids"])
            self.assertTrue(manifest["layers"][0]["mediaType"].endswith({"gzip": "tar+gzip", "zstd": "tar+zstd", "none": "tar"}[how]))
        self.assertEqual(len({str(diff_ids) for _, diff_ids in sizes.values()}), 1)
        self.assertLess(sizes["gzip"][0], sizes["none"][0] / 2)
        self.assertIn("expected gzip", self.fails("image", "build", "--model", "digits", "--compression", "lzma", code=2))

    def test_weights_are_left_as_they_are(self):
        self.write("net/model.onnx", with_external(length=12))
        self.write("net/weights.bin", os.urandom(3 << 20))
        self.command("model", "register", "net")
        manifest, _ = self.documents(self.build("--model", "net"))
        self.assertEqual([x["mediaType"].split(".")[-1] for x in manifest["layers"]], ["tar+gzip", "tar"])
        self.layers(self.ask("image", "show", "net"))

    def test_names_beyond_ascii(self):
        self.write("d/модель é.onnx", twice())
        self.command("model", "register", "d", "--name", "d", env={**os.environ, "LC_ALL": "C"})
        image = self.build("--model", "d", env={**os.environ, "LC_ALL": "C"})
        self.assertIn("var/azureml-app/azureml-models/d/1/d/модель é.onnx", self.layers(image)[1].getnames())

    def test_what_is_refused(self):
        self.assertIn("--model NAME", self.fails("image", "build", code=2))
        self.assertIn("did you mean 'digits'", self.fails("image", "build", "--model", "digit"))
        self.write("a.pkl", b"x")
        self.command("model", "register", "a.pkl", "--name", "a", "--framework", "ScikitLearn")
        self.assertIn("not an ONNX model", self.fails("image", "build", "--model", "a"))
        self.assertIn("cannot name an image", self.fails("image", "build", "--model", "digits", "--name", "a/b"))
        self.build("--model", "digits")
        self.assertIn("in use by image digits:1", self.fails("model", "delete", "digits"))
        self.command("image", "delete", "digits")
        self.command("model", "delete", "digits")
        self.assertEqual(self.ask("image", "list"), [])
        self.verify()

    def test_a_base(self):
        """Our layers on another image's, its configuration kept."""
        base = self.build("--name", "base", "--model", "digits", "--label", "from=base")
        self.command("image", "export", "base", "layout")
        image = self.build("--name", "top", "--model", "digits", "--base", "oci:layout:base:1", "--label", "own=1")
        base_manifest, base_config = self.documents(base)
        manifest, config = self.documents(image)
        self.assertEqual(manifest["layers"][:2], base_manifest["layers"])
        self.assertEqual(config["rootfs"]["diff_ids"][:2], base_config["rootfs"]["diff_ids"])
        self.assertEqual((config["config"]["Labels"]["from"], config["config"]["Labels"]["own"]), ("base", "1"))
        self.assertEqual(len(config["history"]), 4)
        self.assertIn("no image 'nothing'", self.fails("image", "build", "--model", "digits", "--base", "oci:layout:nothing"))
        self.assertIn("No such file", self.fails("image", "build", "--model", "digits", "--base", "oci:nowhere"))
        self.verify()

    def test_workspaces_there_and_back(self):
        self.register("digits", with_constant([1]), "--tag", "x=1")
        image = self.build("--model", "digits:1")
        for archive in ("backup.tar", "backup"):
            with self.subTest(archive):
                self.command("workspace", "export", archive)
                other = self.folder / f"other-{archive}"
                self.command("workspace", "create", other)
                came = self.ask("workspace", "import", f"../{archive}", cwd=other)
                self.assertEqual([a["id"] for a in came], ["digits:1", "digits:2", "digits:1"])
                self.assertEqual(self.ask("image", "show", "digits", cwd=other)["digest"], image["digest"])
                self.assertEqual(self.ask("model", "show", "digits", cwd=other)["tags"], {"x": "1"})
                self.assertEqual(self.ask("workspace", "import", f"../{archive}", cwd=other), [])  # all there already
                report = self.ask("workspace", "verify", cwd=other)
                self.assertEqual((report["lost"], report["dangling"]), ([], []))
        self.assertEqual(self.ask("workspace", "import", "backup.tar"), [])
        self.assertEqual((self.folder / "backup/oci-layout").read_text(), '{"imageLayoutVersion": "1.0.0"}')


class Judged(ImageCase):
    """What others say of our images."""

    def test_skopeo(self):
        need("skopeo")
        image = self.build("--model", "digits")
        for compression in ("gzip", "zstd"):
            image = self.build("--model", "digits", "--compression", compression)
            for place in ("layout", "file.tar"):
                self.command("image", "export", "digits", place)
                source = f"oci-archive:{place}" if place.endswith(".tar") else f"oci:{place}:{image['id']}"
                shown = call("skopeo", "inspect", source, cwd=self.folder)
                self.assertEqual(shown.returncode, 0, shown.stderr)
                self.assertEqual(json.loads(shown.stdout)["Digest"], image["digest"])
                copied = call("skopeo", "copy", source, f"dir:copy-{compression}-{place}", cwd=self.folder)
                self.assertEqual(copied.returncode, 0, copied.stderr)
                (self.folder / place).unlink() if place.endswith(".tar") else shutil.rmtree(self.folder / place)

    def test_umoci(self):
        need("umoci")
        image = self.build("--model", "digits")
        self.command("image", "export", "digits", "layout")
        shown = call("umoci", "stat", "--json", "--image", f"layout:{image['id']}", cwd=self.folder)
        self.assertEqual(shown.returncode, 0, shown.stderr)
        self.assertEqual([h["created_by"] for h in json.loads(shown.stdout)["history"]], ["sardonyx image build"] * 2)
        unpacked = call("umoci", "unpack", "--rootless", "--image", f"layout:{image['id']}", "bundle", cwd=self.folder)
        self.assertEqual(unpacked.returncode, 0, unpacked.stderr)
        root = self.folder / "bundle/rootfs"
        self.assertEqual((root / "var/azureml-app/azureml-models/digits/1/digits.onnx").read_bytes(), twice())
        loader = next((root / "opt/sardonyx/lib").glob("ld-linux*"))
        version = call(loader, "--library-path", root / "opt/sardonyx/lib", root / "opt/sardonyx/bin/sardonyx", "version", env={})
        self.assertIn("sardonyx", version.stdout, version.stderr)

    def test_docker_registry(self):
        hub = DockerRegistry()
        self.addCleanup(hub.close)
        if hub.why:
            self.skipTest(hub.why)
        image = self.build("--model", "digits")
        pushed = self.ask("image", "push", "digits", f"{hub.host}/team/digits")
        self.assertEqual(pushed["digest"], image["digest"])
        self.command("image", "push", "digits", f"{hub.host}/team/digits:live")
        pulled = self.ask("image", "pull", f"{hub.host}/team/digits:live", "--name", "back")
        self.assertEqual(pulled["digest"], image["digest"])
        self.register("big", None)
        self.write("big.bin", os.urandom(40 << 20))  # in pieces
        big = self.ask("model", "register", "big.bin", "--name", "blob", "--framework", "x")
        self.command("model", "push", "blob", f"{hub.host}/models/blob")
        self.command("workspace", "create", "other")
        self.assertEqual(self.ask("model", "pull", f"{hub.host}/models/blob:1", cwd=self.folder / "other")["digest"], big["digest"])
        if shutil.which("skopeo"):
            shown = call("skopeo", "inspect", "--tls-verify=false", f"docker://{hub.host}/team/digits:1")
            self.assertEqual(json.loads(shown.stdout)["Digest"], image["digest"])
            copied = call("skopeo", "copy", "--dest-tls-verify=false", "--src-tls-verify=false", f"docker://{hub.host}/team/digits:1",
                          f"docker://{hub.host}/by/skopeo:1")
            self.assertEqual(copied.returncode, 0, copied.stderr)
            self.assertEqual(self.ask("image", "pull", f"{hub.host}/by/skopeo:1")["digest"], image["digest"])

    def test_podman(self):
        need("podman", "runc")
        shutil.copy(ROOT / "examples/digits/digits.onnx", self.folder / "real.onnx")
        self.command("model", "register", "real.onnx", "--name", "real")
        port = free_port()
        self.build("--name", "sardonyx-test", "--model", "real", "--port", port)
        self.command("image", "export", "sardonyx-test", "image.tar")
        storage = ["--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run")]
        loaded = call("podman", *storage, "load", "-i", "image.tar", cwd=self.folder)
        if loaded.returncode:
            self.skipTest("podman cannot load images here: " + loaded.stderr.strip()[-200:])
        self.addCleanup(lambda: call("podman", *storage, "rm", "-af"))
        run = PODMAN[:1] + storage + PODMAN[1:]
        tried = call(*run, "--entrypoint", "/opt/sardonyx/bin/sardonyx", "localhost/sardonyx-test:1", "version")
        if tried.returncode:
            self.skipTest("podman with runc runs nothing here: " + tried.stderr.strip()[-200:])
        self.assertIn("sardonyx", tried.stdout)
        server = subprocess.Popen([*run, "--name", "sardonyx-test", "--read-only", "--cap-drop", "all", "localhost/sardonyx-test:1"],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            answer = self.score(port, server)
        finally:
            call("podman", *storage, "stop", "-t", "5", "sardonyx-test")
            said = server.communicate(timeout=30)[1]
        here = self.ask("run", "real.onnx", "image=" + json.dumps([[[[0.5] * 8] * 8]]))["outputs"]["probability"]["data"]
        self.assertEqual(len(answer["result"][0]), 10, said)
        for got, want in zip(answer["result"][0], here[0]):
            self.assertAlmostEqual(got, want, 5)

    def score(self, port, server):
        body = json.dumps({"data": [[[[0.5] * 8] * 8]]}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}/score", body, {"Content-Type": "application/json"})
        for _ in range(100):
            if server.poll() is not None:
                self.fail(server.stderr.read())
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return json.load(answer)
            except OSError:
                time.sleep(0.1)
        self.fail("no answer")


if __name__ == "__main__":
    sys.exit(suite.run())
