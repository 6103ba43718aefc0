#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 while a registry is written, at random instants and before each system call that writes. After each kill: what
was acknowledged is there, what was not is wholly there or wholly absent, nothing is lost, nothing dangles.

    python3 tests/registry/test_kill.py [--kills 200] [--parallel 1] [--seed 7] [NAME ...]

--parallel: that many processes share the kills, each with a workspace and a seed of its own.
"""
import fcntl
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from lab import COMMAND, Case, twice, with_constant  # noqa: E402
import suite  # noqa: E402

KILLS = suite.number_after("--kills", 2000 if "--long" in sys.argv else 200)
PARALLEL = suite.number_after("--parallel", 1)
SEED = suite.number_after("--seed", 7)
WRITES = "openat,mkdirat,linkat,renameat,renameat2,unlinkat,rmdir,write,pwrite64,fsync,fdatasync,ftruncate,fchmod,flock,exit_group"


class KillCase(Case):
    kind = "model"

    def setUp(self):
        super().setUp()
        self.known = {}  # id: digest of what was acknowledged
        self.random = random.Random(SEED)
        self.last = {}  # name: its last version

    def check(self, doubtful):
        """`doubtful`: ids that may be there or not, with their digests (None: any)."""
        self.verify()
        found = {m["id"]: m["digest"] for m in self.ask(self.kind, "list")}
        for name, digest in self.known.items():
            if name not in doubtful:
                self.assertEqual(found.get(name), digest, f"{name} was acknowledged")
        for name, digest in found.items():
            if name not in self.known:
                self.assertIn(name, doubtful, "nobody asked for it")
                self.assertEqual(digest, doubtful[name])
        self.known = found
        for asset in found:
            name, version = asset.split(":")
            self.last[name] = max(int(version), self.last.get(name, 0))


class Kill(KillCase):
    def next_id(self, name):
        """Versions are never given twice."""
        return f"{name}:{self.last.get(name, 0) + 1}"

    def plan(self):
        """(command, the ids that are doubtful while it runs)"""
        what = self.random.random()
        if what < 0.35 and self.known:
            victim = self.random.choice(list(self.known))
            return ("model", "delete", victim), {victim: self.known[victim]}
        data = with_constant([self.random.random()])
        name = self.random.choice("abc")
        if what < 0.7:  # looked into, or taken as it is (twice as fast: kills land elsewhere)
            self.write("m.onnx", data)
            more = [] if what < 0.5 else ["--framework", "x"]
            return ("model", "register", "m.onnx", "--name", name, *more), {self.next_id(name): digest_of(data)}
        if what < 0.9:
            shutil.rmtree(self.folder / "unit", ignore_errors=True)
            parts = {"unit/a.bin": self.random.randbytes(200000), "unit/b.bin": data, "unit/c/d.bin": b"same"}
            for path, content in parts.items():
                self.write(path, content)
            listing = "".join(f"{hashlib.sha256(parts[p]).hexdigest()}  {p}\n" for p in sorted(parts))
            return ("model", "register", "unit", "--name", name, "--framework", "x"), {self.next_id(name): digest_of(listing.encode())}
        return ("workspace", "gc"), {}

    def test_random_instants(self):
        start = time.monotonic()
        self.register("begin")
        longest = 1.2 * (time.monotonic() - start)  # so that kills land anywhere
        self.command("model", "delete", "begin")
        killed = runs = 0
        while killed < KILLS:
            runs += 1
            words, doubtful = self.plan()
            start = time.monotonic()
            child = subprocess.Popen([COMMAND, *words], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                code = child.wait(self.random.uniform(0.001, longest))
                longest = 0.9 * longest + 0.1 * (time.monotonic() - start) * 1.2
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                code = child.wait()
                longest = min(longest * 1.01, 2)
            killed += code == -signal.SIGKILL
            if code == 0 and words[1] == "register":
                self.known.update(doubtful)
                doubtful = {}
            elif code == 0 and words[1] == "delete":
                self.known.pop(words[2])
                doubtful = {}
            self.check(doubtful)
        print(f"{killed} of {runs} were killed, {len(self.known)} models at the end")

    def killed_before(self, number, words):
        """Whether the process died before its system call `number` of those that write; False: it has not so many."""
        done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={WRITES}",
                               "-e", f"inject={WRITES}:signal=SIGKILL:when={number}", COMMAND, *words], cwd=self.folder,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return done.returncode == -signal.SIGKILL

    def each_call(self, words_for):
        if not shutil.which("strace") or subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"], check=False).returncode:
            self.skipTest("strace is not there or may not trace")
        number, step = 1, 1 if KILLS >= 2000 else 3
        while True:
            words, doubtful, there_after = words_for()
            if not self.killed_before(number, words):
                self.check({words[2] if words[1] == "delete" else there_after: doubtful[there_after]})
                self.assertEqual(there_after in self.known, words[1] == "register")
                return number
            self.check(doubtful)
            number += step

    def test_each_system_call_of_register(self):
        def words():
            data = with_constant([self.random.random()])
            self.write("m.onnx", data)
            name = self.next_id("m")
            return ("model", "register", "m.onnx", "--framework", "x"), {name: digest_of(data)}, name

        self.assertGreater(self.each_call(words), 20)

    def test_each_system_call_of_delete(self):
        def words():
            if not self.known:
                m = self.register("m", with_constant([self.random.random()]))
                self.known = {m["id"]: m["digest"]}
            name = next(iter(self.known))
            return ("model", "delete", name), {name: self.known[name]}, name

        self.assertGreater(self.each_call(words), 15)


class Late(Case):
    def test_a_lock_that_is_let_go_late(self):
        """What a killed process had started may end after it, and hold its lock until then: its remains are no fault."""
        self.register("m")
        blob = self.store / "blobs/sha256" / hashlib.sha256(b"left").hexdigest()
        blob.write_bytes(b"left")
        (self.store / "staging/left").mkdir()
        with open(self.store / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            verify = subprocess.Popen([COMMAND, "workspace", "verify", "--json"], cwd=self.folder, stdout=subprocess.PIPE, text=True)
            time.sleep(1)
        report = json.loads(verify.communicate(timeout=60)[0])
        self.assertEqual((report["lost"], report["dangling"], blob.exists()), ([], [], False))
        blob.write_bytes(b"left")  # with nothing that tells of a killed process it is one
        self.assertEqual(self.ask("workspace", "verify")["dangling"], [f"blobs/{blob.name}"])


class KillBuild(KillCase):
    """The same while an image is built: it is there whole or not at all, and so are its layers."""
    kind = "image"
    def test_building(self):
        self.register("m")
        digest = self.ask("image", "build", "--model", "m", "--compression", "none")["digest"]
        self.command("image", "delete", "m")  # from here on layers are made anew
        version, longest = 2, 0.2
        for _ in range(max(20, KILLS // 10)):
            child = subprocess.Popen([COMMAND, "image", "build", "--model", "m", "--compression", "none"], cwd=self.folder,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                code = child.wait(self.random.uniform(0.005, longest))
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                code = child.wait()
            name = f"m:{version}"
            if code == 0:
                self.known[name] = digest
            self.check({name: digest} if code else {})
            if name in self.known:
                self.command("image", "delete", name)
                self.known = {}
                version += 1
        self.verify()


class KillService(Case):
    """The same while services are deployed, changed and deleted: each is known or not, and whatever is known starts."""
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.known = set()
        self.register("m")
        self.command("image", "build", "--model", "m", "--name", "i")
        self.addCleanup(self.delete_all)

    def delete_all(self):
        for service in self.ask("service", "list"):
            self.command("service", "delete", service["name"])
        self.verify()

    def plan(self):
        """(command, the name it is about, whether that is there after it: None: as before)"""
        name, what = self.random.choice("ab"), self.random.random()
        if name not in self.known:
            return ("deploy", name, "--image", "i", *self.random.choice([(), ("--auth", "key"), ("--wait",)])), name, True
        if what < 0.3:
            return ("delete", name), name, False
        if what < 0.8:
            return self.random.choice([("update", name, "--image", "i"), ("scale", name, self.random.choice("12")), ("stop", name),
                                       ("start", name), ("update", name, "--auth", "key", "--wait")]), name, None
        pid = next((s.get("pid") for s in self.ask("service", "list") if s["name"] == name), None)
        if pid:
            os.kill(pid, signal.SIGKILL)  # the supervisor itself
        return ("start", name), name, None

    def test_random_instants(self):
        killed = 0
        while killed < max(15, KILLS // 10):
            words, name, after = self.plan()
            child = subprocess.Popen([COMMAND, "service", *words], cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                code = child.wait(self.random.uniform(0.001, 0.15))
            except subprocess.TimeoutExpired:
                child.kill()
                code = child.wait()
            killed += code == -signal.SIGKILL
            found = {s["name"] for s in self.ask("service", "list")}
            for other in {"a", "b"} - ({name} if code else set()):
                there = after if other == name and after is not None else other in self.known
                self.assertEqual(other in found, there, (words, code))
            self.known = found
            self.verify()
        for name in sorted(self.known):
            self.assertEqual(self.ask("service", "start", name, "--wait")["state"], "Healthy")
            self.assertEqual(json.loads(self.command("service", "run", name, self.write("r.json", '{"data": [[1, 2, 3]]}')).stdout),
                             {"result": [[2, 4, 6]]})


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def run_parallel():
    """As many processes of this program; their closing lines as one."""
    started = [subprocess.Popen([sys.executable, __file__, "--kills", str(KILLS // PARALLEL), "--seed", str(SEED + i), *sys.argv[1:]],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for i in range(PARALLEL)]
    totals = [0, 0, 0]
    for i, process in enumerate(started):
        said = process.communicate()[0]
        print(f"seed {SEED + i}:\n{said}", end="")
        closing = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", said, re.M)
        totals = [a + int(b) for a, b in zip(totals, closing[-1] if closing else (0, 1, 0))]
    print("{} passed, {} failed, {} skipped".format(*totals))
    return 1 if totals[1] else 0


if __name__ == "__main__":
    sys.exit(run_parallel() if PARALLEL > 1 else suite.run())
