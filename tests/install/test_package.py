#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python package as it is handed out: `make wheel` in a copy of the sources whose path has a blank makes a source
distribution and, from it, a repaired wheel, leaves nothing else behind, and the wheel runs."""
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import suite  # noqa: E402
import venv  # noqa: E402

venv.enter()

NO_INDEX = ("No matching distribution found", "Could not find a version", "Failed to establish a new connection")
PROGRAM = """
import sys, numpy, sardonyx
from onnx_bytes import FLOAT, node, simple
model = simple([node("Add", ["x", "x"], ["y"])], [("x", FLOAT, [2])], [("y", FLOAT, [2])])
print(sardonyx.__version__, sardonyx.InferenceSession(model).run(None, {"x": numpy.float32([1, 2])})[0].tolist())
"""


def files_of(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()}


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.tree = pathlib.Path(folder.name) / "a path" / "sources"
        tracked = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True,
                                 text=True, check=True).stdout.split("\0")
        for name in tracked:
            if name and (ROOT / name).is_file():
                (cls.tree / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, cls.tree / name)
        before = files_of(cls.tree)
        launcher = {"CMAKE_C_COMPILER_LAUNCHER": "ccache"} if shutil.which("ccache") else {}
        made = subprocess.run(["make", "-s", "wheel"], cwd=cls.tree, env={**os.environ, **launcher}, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if made.returncode and any(words in made.stdout for words in NO_INDEX):
            raise unittest.SkipTest("the tools that make a wheel cannot be had: " + made.stdout.strip()[-200:])
        assert made.returncode == 0, made.stdout
        cls.left = {f for f in files_of(cls.tree) - before if not f.startswith("build/")}
        cls.wheels = cls.tree / "build/wheels"

    def test_nothing_is_left_behind(self):
        """So that no later build can find what this one had: its CMake, its ninja."""
        self.assertEqual(self.left, set())
        self.assertEqual(sorted(p.name for p in (self.tree / "build").iterdir()), ["wheel-tools", "wheels"])

    def test_names(self):
        names = sorted(p.name for p in self.wheels.iterdir())
        self.assertEqual(len(names), 4, names)
        tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
        self.assertRegex(names[0], rf"^sardonyx-[\d.]+-{tag}-{tag}-manylinux_2_\d+_{platform.machine()}\.whl$")
        self.assertRegex(names[1], r"^sardonyx-[\d.]+\.tar\.gz$")
        self.assertRegex(names[2], r"^sardonyx_azureml-[\d.]+-py3-none-any\.whl$")
        self.assertRegex(names[3], r"^sardonyx_onnxruntime-[\d.]+-py3-none-any\.whl$")

    def test_contents(self):
        with zipfile.ZipFile(next(self.wheels.glob("sardonyx-*.whl"))) as wheel:
            names = wheel.namelist()
            metadata = next(wheel.read(n).decode() for n in names if n.endswith("METADATA"))
        self.assertEqual([n for n in names if re.search(r"\.(c|h|a|cmake)$|/lib/|/include/", n)], [])
        self.assertTrue(any(n.endswith("LICENSE") for n in names))
        self.assertIn("\nLicense-Expression: Apache-2.0\n", metadata)
        self.assertNotRegex(metadata, r"(?m)^(License|Classifier: License)\b:")
        with tarfile.open(next(self.wheels.glob("*.tar.gz"))) as source:
            top = {n.split("/", 1)[1] for n in source.getnames() if "/" in n}
        for name in ("pyproject.toml", "LICENSE", "engine/CMakeLists.txt", "engine/src/base/isa.def"):
            self.assertIn(name, top)

    def test_it_runs(self):
        target = self.tree / "build/target"
        subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps",
                        "--no-index", "--target", target, next(self.wheels.glob("sardonyx-*.whl"))], check=True)
        done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, cwd="/",
                              env={**os.environ, "PYTHONPATH": f"{target}:{ROOT / 'tests'}"})
        shutil.rmtree(target)
        self.assertRegex(done.stdout, r"^\d+\.\d+\.\d+ \[2\.0, 4\.0\]\n$")


if __name__ == "__main__":
    sys.exit(suite.run())
