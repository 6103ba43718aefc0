#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every format that 'sardonyx convert --list' names is taken by inspect, check, run, serve and model register as it lies;
of formats that only a program reads each says how to convert them. The files are the fuzzers' seeds.

    tests/convert/test_formats.py [-v] [NAME ...]     only cases whose name contains a NAME
"""
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import suite  # noqa: E402

COMMAND = os.environ.get("SARDONYX", str(ROOT / "build/sardonyx"))
FOLDER = tempfile.TemporaryDirectory(prefix="sardonyx-formats-")
HOME = {**os.environ, "XDG_CACHE_HOME": FOLDER.name + "/cache", "NO_COLOR": "1"}
PICKLE = b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s."
PROGRAM = b'{"base_code":{"magic":"pir","trainable":true,"version":4},"program":{}}'


def checkpoint():
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("m/data.pkl", PICKLE)
        z.writestr("m/version", "3\n")
    return archive.getvalue()


PROGRAMS = {"sklearn": ("model.pkl", PICKLE), "paddle": ("model.json", PROGRAM), "pytorch": ("model.pt", checkpoint())}


def command(*words):
    return subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, timeout=300, check=False, env=HOME,
                          cwd=FOLDER.name)


def formats():
    return {f["format"] for f in json.loads(command("convert", "--list", "--json").stdout)["formats"]}


def seed_of(name):
    """One that converts as it is."""
    for path in sorted((ROOT / "tests/fuzz/corpus" / f"convert_{name}").iterdir()):
        if command("convert", path, "--format", name, "-o", FOLDER.name + "/tried.onnx").returncode == 0 and \
                command("inspect", path, "--graph").returncode == 0:
            return path
    return None


class Formats(unittest.TestCase):
    def take(self, path):
        for words in (("inspect", path, "--graph"), ("check", path), ("run", path, "--random")):
            done = command(*words)
            self.assertEqual(done.returncode, 0, f"{words[0]}: {done.stdout}{done.stderr}")
        served = subprocess.Popen([COMMAND, "serve", str(path), "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, env=HOME)
        try:
            said = served.stdout.readline() + served.stdout.readline()
            self.assertIn("http", said)
        finally:
            served.terminate()
            served.communicate(timeout=60)
        done = command("model", "register", path, "--name", "m", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(".onnx", done.stdout)

    def refuse(self, path):
        for words in (("inspect", path), ("run", path, "--random"), ("serve", path, "--port", "0")):
            done = command(*words)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("--trust", done.stderr, words)


def add(name):
    def test(self):
        if name in PROGRAMS:
            file, content = PROGRAMS[name]
            path = pathlib.Path(FOLDER.name) / file
            path.write_bytes(content)
            self.refuse(path)
            return
        seed = seed_of(name)
        if name in ("safetensors", "mxnet") and not seed:
            self.skipTest("a seed is one file, without what lies beside it; see the format's own tests")
        self.assertIsNotNone(seed, "no seed converts")
        path = pathlib.Path(FOLDER.name) / f"{name}{seed.suffix}"
        shutil.copy(seed, path)
        self.take(path)
    setattr(Formats, "test_" + name, test)


for each in sorted(formats()):
    add(each)

if __name__ == "__main__":
    command("workspace", "create")
    sys.exit(suite.run())
