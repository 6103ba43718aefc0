#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`sardonyx optimize` and the option cache_dir: what is written, read, refused and told, and that nothing unfinished is
left behind, whatever ends the command. Standard library only."""
import json
import os
import pathlib
import re
import signal
import stat
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import lab  # noqa: E402
import suite  # noqa: E402
from onnx_bytes import FLOAT, node, numbers, simple  # noqa: E402

DEPTH = 64


def product(scale=1.0, layers=1, width=DEPTH):
    """y = x W W ..., float [1, width]."""
    weights = [numbers(f"w{i}", FLOAT, [width, width], [scale * ((i + k) % 7 - 3) / 64 for k in range(width * width)])
               for i in range(layers)]
    names = ["x", *(f"h{i}" for i in range(1, layers)), "y"]
    return simple([node("MatMul", [names[i], f"w{i}"], [names[i + 1]]) for i in range(layers)],
                  [("x", FLOAT, ["batch", width])], [("y", FLOAT, ["batch", width])], weights)


class Optimized(lab.Case):
    workspace = False

    def setUp(self):
        super().setUp()
        self.model = self.write("m.onnx", product())

    def files(self):
        return sorted(str(p.relative_to(self.folder)) for p in self.folder.rglob("*") if p.is_file())

    def result(self, model, *words, **options):
        return self.ask("run", model, "--random", *words, **options)["outputs"]["y"]["data"]

    def packed(self, model, *words, **options):
        """(packs, how many of them were made)"""
        memory = self.ask("inspect", model, *words, **options)["memory"]
        return memory["packs"], memory["packed"]

    def tiers(self):
        """Environments of two tiers of kernels that this machine has."""
        return [{**os.environ, "SARDONYX_CPU": tier} for tier in ("portable", "ref")]


class Writing(Optimized):
    def test_what_is_written_is_told(self):
        said = self.command("optimize", "m.onnx").stdout
        self.assertRegex(said, r"^m\.onnx to m\.sdx: [\d.]+ kB, 1 packed weights\n$")
        told = self.ask("optimize", "m.onnx", "-o", "other.sdx")
        self.assertEqual(told, {"source": "m.onnx", "output": "other.sdx", "packs": 1,
                                "bytes": (self.folder / "other.sdx").stat().st_size})
        self.assertEqual(self.files(), ["m.onnx", "m.sdx", "other.sdx"])
        self.assertIn("--dim batch=8", self.command("optimize", "--help").stdout)

    def test_streams(self):
        for words in (("-",), ("-", "-o", "-"), ("m.onnx", "-o", "-")):
            done = subprocess.run([lab.COMMAND, "optimize", *words], input=product(), capture_output=True, cwd=self.folder,
                                  timeout=120, check=True)
            self.write("piped.sdx", done.stdout)
            self.assertEqual(self.result("piped.sdx"), self.result("m.onnx"))
        shown = subprocess.run([lab.COMMAND, "inspect", "-", "--json"], input=done.stdout, capture_output=True, timeout=120,
                               check=True)
        self.assertEqual(json.loads(shown.stdout)["memory"]["packed"], 0)
        self.assertIn("leave --json", self.fails("optimize", "m.onnx", "-o", "-", "--json", code=2))
        self.assertEqual(self.files(), ["m.onnx", "piped.sdx"])

    def test_full_devices(self):
        (self.folder / "full.sdx").symlink_to("/dev/full")
        for command, target in (("optimize", "/dev/full"), ("optimize", "full.sdx")):
            self.assertIn(f"cannot write {target}: No space left", self.fails(command, "m.onnx", "-o", target))
        self.assertTrue((self.folder / "full.sdx").is_symlink())
        self.assertTrue(stat.S_ISCHR(os.stat("/dev/full").st_mode))
        with open("/dev/full", "wb") as full:
            done = subprocess.run([lab.COMMAND, "optimize", "m.onnx", "-o", "-"], stdout=full, stderr=subprocess.PIPE,
                                  cwd=self.folder, text=True, check=False, timeout=60)
        self.assertEqual((done.returncode, "No space left" in done.stderr), (1, True))

    def test_no_room_leaves_nothing(self):
        """A limit on the size of files stands for a disk that is full."""
        done = subprocess.run(["sh", "-c", 'ulimit -f 8; trap "" XFSZ; exec "$0" optimize m.onnx', lab.COMMAND], cwd=self.folder,
                              capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot write 'm.sdx': File too large", done.stderr)
        self.assertEqual(self.files(), ["m.onnx"])

    def test_what_was_there_stays_when_writing_fails(self):
        self.write("m.sdx", "mine")
        self.assertIn("cannot be opened", self.fails("optimize", "none.onnx", "-o", "m.sdx"))
        self.write("bad.onnx", "no model")
        self.fails("optimize", "bad.onnx", "-o", "m.sdx")
        self.assertIn("a folder", self.fails("optimize", "m.onnx", "-o", "."))
        self.assertIn("cannot create a file in 'no/'", self.fails("optimize", "m.onnx", "-o", "no/m.sdx"))
        self.assertEqual((self.folder / "m.sdx").read_bytes(), b"mine")

    def test_ended_anywhere_it_leaves_nothing(self):
        self.write("large.onnx", product(layers=24, width=256))
        whole = time.monotonic()
        self.command("optimize", "large.onnx", "-o", "whole.sdx")
        whole = time.monotonic() - whole
        (self.folder / "whole.sdx").unlink()
        for i in range(12):
            run = subprocess.Popen([lab.COMMAND, "optimize", "large.onnx", "-o", "large.sdx"], cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(whole * i / 12)
            run.send_signal((signal.SIGINT, signal.SIGTERM, signal.SIGKILL)[i % 3])
            run.wait(60)
            left = set(self.files()) - {"large.onnx", "m.onnx"}
            self.assertLessEqual(left, {"large.sdx"})
            if left:  # it had its name: it is whole
                self.assertIn("no problems", self.command("check", "large.sdx").stdout)
                (self.folder / "large.sdx").unlink()


class Reading(Optimized):
    def setUp(self):
        super().setUp()
        self.command("optimize", "m.onnx")

    def test_commands_take_it_as_any_model(self):
        self.assertEqual(self.packed("m.onnx"), (1, 1))
        self.assertEqual(self.packed("m.sdx"), (1, 0))
        self.assertEqual(self.result("m.sdx"), self.result("m.onnx"))
        self.assertIn("no problems", self.command("check", "m.sdx").stdout)
        self.assertIn("MatMul", self.command("inspect", "m.sdx", "--graph").stdout)
        self.command("bench", "m.sdx", "--seconds", "0.01")
        self.command("optimize", "m.sdx", "-o", "again.sdx")
        self.assertEqual(self.packed("again.sdx"), (1, 0))
        self.command("workspace", "create")
        self.register("kept", product())
        self.command("optimize", "registry:kept", "-o", "kept.sdx")

    def test_served(self):
        run = subprocess.Popen([lab.COMMAND, "serve", "m.sdx", "--port", "0"], cwd=self.folder, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        try:
            said = ""
            while not (found := re.search(r"http://[\w.]+:(\d+)", said)):
                line = run.stdout.readline()
                self.assertTrue(line, said)
                said += line
            body = json.dumps({"data": [[1.0] * DEPTH]}).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{found[1]}/score", body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                self.assertEqual(answer.status, 200)
        finally:
            run.terminate()
            run.communicate(timeout=60)

    def test_other_kernels_are_refused_by_name(self):
        made, read = self.tiers()
        self.command("optimize", "m.onnx", "-o", "made.sdx", env=made)
        self.assertEqual(self.result("made.sdx", env=made), self.result("m.onnx", env=made))
        for words in (("run", "made.sdx", "--random"), ("inspect", "made.sdx"), ("serve", "made.sdx", "--port", "0")):
            said = self.fails(*words, env=read)
            self.assertIn("was made for kernels of 'portable', this machine runs those of 'ref'", said)
            self.assertIn("sardonyx optimize MODEL -o FILE", said)
        details = json.loads(self.command("run", "made.sdx", "--random", "--json", code=1, env=read).stdout)["details"]
        self.assertEqual((details["status"], details["hint"]),
                         ("NOT_SUPPORTED", "make it again of its source: sardonyx optimize MODEL -o FILE"))
        problems = json.loads(self.command("check", "made.sdx", "--json", code=1, env=read).stdout)
        self.assertIn("kernels of 'portable'", json.dumps(problems))

    def test_damage_is_named(self):
        data = (self.folder / "m.sdx").read_bytes()
        for name, damaged, said in (("cut", data[:len(data) // 2], "damaged"), ("head", data[:60] + b"?" + data[61:], "head"),
                                    ("short", data[:9], "it ends in its head")):
            self.write("bad.sdx", damaged)
            with self.subTest(name):
                self.assertIn(said, self.fails("run", "bad.sdx", "--random"))
        at = 4096 + 100  # weights are numbers, which check alone compares with their hash
        self.write("bad.sdx", data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
        self.assertIn("weights and packs do not have the hash", self.command("check", "bad.sdx", code=1).stdout)


class Cache(Optimized):
    def run_cached(self, model="m.onnx", folder="cache", *words, **options):
        return self.command("run", model, "--random", "--option", f"cache_dir={folder}", *words, **options)

    def entries(self):
        return sorted((self.folder / "cache").iterdir())

    def test_the_second_load_packs_nothing(self):
        option = ("--option", "cache_dir=cache")
        self.assertEqual(self.packed("m.onnx", *option), (1, 1))
        self.assertEqual(self.packed("m.onnx", *option), (1, 0))
        self.assertEqual(self.result("m.onnx", *option), self.result("m.onnx"))
        self.write("m.onnx", product(2.0))
        self.assertEqual(self.packed("m.onnx", *option), (1, 1))
        self.assertEqual(self.result("m.onnx", *option), self.result("m.onnx"))

    def test_tiers_have_entries_of_their_own(self):
        made, read = self.tiers()
        for env in (made, read, made, read):
            self.assertEqual(self.run_cached(env=env).stderr, "")
        self.assertEqual(len(self.entries()), 2)

    def test_what_is_wrong_costs_a_line(self):
        self.run_cached()
        entry, = self.entries()
        for content in (b"", b"text", b"SDXMODEL" + bytes(5000), product()):
            entry.write_bytes(content)
            said = self.run_cached().stderr
            self.assertEqual((said.count("\n"), said.count("cache: ")), (1, 1), said)
            self.assertIn("is passed over and made anew", said)
            self.assertEqual(self.run_cached().stderr, "")
        self.write("file", "")
        for folder in ("file", "/dev/null/x", "no/such/folder"):
            said = self.run_cached(folder=folder).stderr
            self.assertEqual((said.count("\n"), said.count("is not kept")), (1, 1), said)
        entry.unlink()
        entry.mkdir()
        said = self.run_cached().stderr
        self.assertEqual((said.count("\n"), said.count("is not kept")), (1, 1), said)

    def test_a_full_disk_costs_a_line(self):
        done = subprocess.run(["sh", "-c", 'ulimit -f 8; trap "" XFSZ; exec "$0" run m.onnx --random --option cache_dir=cache',
                               lab.COMMAND], cwd=self.folder, capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual((done.returncode, done.stderr.count("\n")), (0, 1), done.stderr)
        self.assertIn("is not kept: cannot write", done.stderr)
        self.assertEqual(self.entries(), [])

    def test_its_size_is_bounded(self):
        self.run_cached()
        size = self.entries()[0].stat().st_size
        for i in range(2, 7):
            self.write("other.onnx", product(i))
            self.run_cached("other.onnx", "cache", "--option", f"cache_limit_bytes={3 * size}")
        self.assertEqual(len(self.entries()), 3)
        said = self.run_cached("m.onnx", "cache", "--option", "cache_limit_bytes=1000").stderr
        self.assertIn("expected at most cache_limit_bytes = 1000", said)

    def test_processes_share_it(self):
        runs = [subprocess.Popen([lab.COMMAND, "run", "m.onnx", "--random", "--option", "cache_dir=cache"], cwd=self.folder,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(6)]
        for run in runs:
            self.assertEqual((run.communicate(timeout=60)[1], run.returncode), (b"", 0))
        self.assertEqual(len(self.entries()), 1)


if __name__ == "__main__":
    sys.exit(suite.run())
