# SPDX-License-Identifier: Apache-2.0
"""A workspace in a temporary folder, the command run in it, and models of a few bytes. Standard library only."""
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from onnx_bytes import FLOAT, external, graph, model, node, numbers, opset, simple, tensor, value  # noqa: E402

COMMAND = os.environ.get("SARDONYX", str(ROOT / "build/sardonyx"))

# Starts what its arguments say and tells on descriptor 3 how it ended: an interpreter of its own, as a process begins
# with the peak of the one that started it.
STARTER = """import os, sys
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ, file_actions=[(os.POSIX_SPAWN_CLOSE, int(os.environ["TOLD"]))])
_, status, used = os.wait4(child, 0)
os.write(int(os.environ["TOLD"]), b"%d %f %f" % (os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024))
"""
Measured = collections.namedtuple("Measured", "code text seconds megabytes")


def twice(size=3):
    """y = x + x, float [batch, size]."""
    return simple([node("Add", ["x", "x"], ["y"])], [("x", FLOAT, ["batch", size])], [("y", FLOAT, ["batch", size])])


def with_constant(constant):
    """y = x + constant, float [n]: another constant, another file."""
    n = len(constant)
    return simple([node("Add", ["x", "c"], ["y"])], [("x", FLOAT, [n])], [("y", FLOAT, [n])],
                  [numbers("c", FLOAT, [n], constant)])


def with_external(location="weights.bin", length=12):
    """y = x + c, c float [3] in another file."""
    c = tensor(FLOAT, [3], None, "c", external(location, 0, length))
    return model(graph([node("Add", ["x", "c"], ["y"])], [value("x", FLOAT, [3])], [value("y", FLOAT, [3])], [c]), 17)


class Case(unittest.TestCase):
    workspace = True  # make one

    def setUp(self):
        kept = tempfile.TemporaryDirectory(prefix="sardonyx-lab-")
        self.addCleanup(kept.cleanup)
        self.folder = pathlib.Path(kept.name).resolve() / "lab"
        self.folder.mkdir()
        self.store = self.folder / ".sardonyx"
        if self.workspace:
            self.command("workspace", "create")

    def write(self, name, data):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return name

    def command(self, *words, code=0, cwd=None, **options):
        done = subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, cwd=cwd or self.folder,
                              timeout=120, check=False, **options)
        self.assertEqual(done.returncode, code, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    def measured(self, *words, **options):
        """How the command ended, what it said, and what it took: seconds of the processor, memory at the peak."""
        read, write = os.pipe()
        done = subprocess.run([sys.executable, "-SEs", "-c", STARTER, COMMAND, *map(str, words)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, cwd=self.folder, timeout=120, check=True, pass_fds=[write],
                              env={**os.environ, "TOLD": str(write)}, **options)
        os.close(write)
        with os.fdopen(read) as pipe:
            code, seconds, megabytes = pipe.read().split()
        return Measured(int(code), done.stdout, float(seconds), float(megabytes))

    def ask(self, *words, **options):
        return json.loads(self.command(*words, "--json", **options).stdout)

    def fails(self, *words, code=1, **options):
        return self.command(*words, code=code, **options).stderr

    def register(self, name, data=None, *words, **options):
        return self.ask("model", "register", self.write(name + ".onnx", data or twice()), "--name", name, *words, **options)

    def verify(self):
        report = self.ask("workspace", "verify")
        self.assertEqual((report["lost"], report["dangling"], report["database"]), ([], [], "ok"))
        return report
