#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/check_layers finds a call against LAYERS where no #include gives it away: each case compiles a scratch file, as
if it lay in some folder, beside the objects of the build."""
import importlib.machinery
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import suite  # noqa: E402

sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("check_layers", str(ROOT / "tools/check_layers"))
layers = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_layers", loader))
loader.exec_module(layers)


class Symbols(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.objects, _ = layers.built_objects(ROOT / "build")
        cls.count, cls.complaints = layers.check_symbols(cls.objects)

    def complaints_about(self, source, symbol):
        """With one more object: that of `source`, which calls `symbol`."""
        with tempfile.TemporaryDirectory() as folder:
            scratch = pathlib.Path(folder) / "scratch.o"
            subprocess.run([os.environ.get("CC", "cc"), "-x", "c", "-c", "-o", scratch, "-"], check=True, text=True,
                           input=f"extern void {symbol}(void); void scratch(void) {{ {symbol}(); }}\n")
            count, complaints = layers.check_symbols([*self.objects, (source, scratch)])
        self.assertEqual(count, self.count + 1)
        return complaints

    def test_the_tree(self):
        self.assertGreater(self.count, 1000)
        self.assertEqual(self.complaints, [])

    def test_forbidden_calls(self):
        for source, symbol, definer in (("src/kernels/scratch.c", "plan_create", "src/plan/plan.c"),
                                        ("src/ops/ai_onnx/scratch.c", "plan_create", "src/plan/plan.c"),
                                        ("server/routes/scratch.c", "pool_run", "src/base/pool.c"),
                                        ("src/base/scratch.c", "sdx_run_execute", "src/run/run.c")):
            with self.subTest(source=source, symbol=symbol):
                complaint, = self.complaints_about(source, symbol)
                self.assertIn(f"{source}: {layers.layer_of(source)} may not use {symbol} of {definer} ", complaint)

    def test_allowed_calls(self):
        for source, symbol in (("src/run/scratch.c", "plan_create"), ("server/scratch.c", "sdx_run_execute"),
                               ("registry/scratch.c", "host_cpus"), ("src/plan/scratch.c", "pool_run")):
            with self.subTest(source=source, symbol=symbol):
                self.assertEqual(self.complaints_about(source, symbol), [])


if __name__ == "__main__":
    sys.exit(suite.run())
