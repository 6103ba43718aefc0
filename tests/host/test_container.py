#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""In a container with one processor and 512 MiB command and server use one thread a pool and know their memory. (The
Python package: tests/python/test_container.py.)"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import cgroup  # noqa: E402
import suite  # noqa: E402
from onnx_bytes import FLOAT, node, simple  # noqa: E402

SARDONYX = os.environ.get("SARDONYX", str(ROOT / "build/sardonyx"))


class Container(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        made = cgroup.group()
        try:
            cls.inside = made.__enter__()
        except cgroup.Unavailable as reason:
            raise unittest.SkipTest(str(reason)) from None
        cls.addClassCleanup(made.__exit__, None, None, None)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.model = pathlib.Path(folder.name) / "twice.onnx"
        cls.model.write_bytes(simple([node("Add", ["x", "x"], ["y"])], [("x", FLOAT, [4])], [("y", FLOAT, [4])]))

    def command(self, *words):
        done = subprocess.run([*self.inside, SARDONYX, *words, "--json"], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def test_command(self):
        machine = self.command("kernels")
        self.assertEqual((machine["cpus"], machine["memory_bytes"]), (1, cgroup.MEMORY_BYTES))
        self.assertEqual(self.command("inspect", self.model, "--plan")["plan"]["threads"], 1)
        self.assertEqual(self.command("inspect", self.model)["memory"]["limit_bytes"], cgroup.MEMORY_BYTES // 5 * 4)

    def test_server(self):
        server = subprocess.Popen([*self.inside, SARDONYX, "serve", self.model, "--port", "0"], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(server.communicate)
        self.addCleanup(server.terminate)
        address = re.search(r"http://\S+", server.stdout.readline()).group()
        body = json.dumps({"data": [1, 2, 3, 4]}).encode()
        request = urllib.request.Request(address + "/score", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            self.assertEqual(json.load(reply), {"result": [2, 4, 6, 8]})
        with urllib.request.urlopen(address + "/metrics", timeout=30) as reply:
            metrics = dict(re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", reply.read().decode(), re.M))
        expected = {"sardonyx_host_cpus": 1, 'sardonyx_limit{name="workers"}': 1, 'sardonyx_limit{name="io-threads"}': 1,
                    "sardonyx_host_memory_bytes": cgroup.MEMORY_BYTES,
                    'sardonyx_limit{name="max-buffered-bytes"}': cgroup.MEMORY_BYTES // 4}
        self.assertEqual({name: float(metrics[name]) for name in expected}, expected)
        # One waits for signals, one watches, one serves sockets, one computes.
        self.assertEqual(len(os.listdir(f"/proc/{server.pid}/task")), 4)

    def test_more_may_be_asked_for(self):
        self.assertEqual(self.command("inspect", self.model, "--plan", "--threads", "3")["plan"]["threads"], 3)


if __name__ == "__main__":
    sys.exit(suite.run())
