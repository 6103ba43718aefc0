#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every notebook of examples/ runs from the first cell to the last, and is one that Jupyter opens."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import venv  # noqa: E402

venv.enter("azureml")
import suite  # noqa: E402

EXAMPLES = venv.ROOT / "examples"


class Notebooks(unittest.TestCase):
    def runs(self, name):
        done = subprocess.run([sys.executable, EXAMPLES / "run.py", name], capture_output=True, text=True, check=False, timeout=600,
                              env={**os.environ, "OMP_NUM_THREADS": "1"})
        if f"SKIPPED: {name}" in done.stdout:
            self.skipTest(done.stdout.strip().splitlines()[-1])
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])

    def test_form(self):
        for path in EXAMPLES.glob("*/*.ipynb"):
            notebook = json.loads(path.read_text(encoding="utf-8"))
            self.assertEqual((notebook["nbformat"], notebook["nbformat_minor"]), (4, 5))
            for cell in notebook["cells"]:
                self.assertIn(cell["cell_type"], ("code", "markdown"))
                self.assertFalse(cell.get("outputs"), f"{path}: outputs are not kept")
            self.assertIn(f"`{path.parent.name}/`", (EXAMPLES / "README.md").read_text())


def test_of(name):
    return lambda self: self.runs(name)


for notebook in sorted(EXAMPLES.glob("*/*.ipynb")):
    setattr(Notebooks, f"test_{notebook.parent.name}", test_of(notebook.parent.name))

if __name__ == "__main__":
    sys.exit(suite.run(0))
