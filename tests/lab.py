# SPDX-License-Identifier: Apache-2.0
"""A workspace in a temporary folder, the command run in it, and models of a few bytes. Standard library only."""
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
