#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What goes through PyTorch itself: TorchScript, whole modules and state dicts by `convert --trust`, and the ONNX files that
both of its exporters write, in Sardonyx.

    tests/pytorch/test_pytorch.py [--long] [NAME ...]     only cases whose name contains a NAME; --long: all of zoo.py
"""
import io
import pathlib
import sys
import unittest

import environment

environment.enter()

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import torch  # noqa: E402

import nets  # noqa: E402
import suite  # noqa: E402
import zoo  # noqa: E402
from harness import command, engine, same, scratch  # noqa: E402

CLOSE = 1e-5
HERE = pathlib.Path(__file__).resolve().parent
A_FEW = ("shufflenet", "unet", "lstm", "gru", "text cnn", "autoencoder", "diffusion")


class Programs(unittest.TestCase):
    def setUp(self):
        self.net, self.x = nets.Net().eval(), torch.randn(3, 3, 9, 8)
        torch.jit.script(self.net).save(scratch("script.pt"))
        torch.save(self.net.state_dict(), scratch("weights.pth"))
        torch.save({"epoch": 3, "state_dict": self.net.state_dict()}, scratch("checkpoint.pth"))
        torch.save(self.net, scratch("whole.pt"))

    def convert(self, file, *options):
        return command("convert", scratch(file), "-o", scratch("no.onnx"), "--trust", "--python", sys.executable, *options, cwd=HERE)

    def test_files(self):
        for file, options in (("script.pt", ()), ("weights.pth", ("--class", "nets:Net")), ("checkpoint.pth", ("--class", "nets:Net"))):
            done = self.convert(file, "--shape", "Nx3x9x8", *options)
            self.assertEqual(done.returncode, 0, f"{file}: {done.stderr}")
            session = engine.Session(pathlib.Path(scratch("no.onnx")).read_bytes())
            got, = session.run({"input_0": self.x.numpy()})
            with torch.no_grad():
                same(file, got, self.net(self.x).numpy(), CLOSE)

    def test_what_is_missing_is_named(self):
        for file, options, said in (("script.pt", (), "the file does not tell the shapes of its inputs"),
                                    ("weights.pth", ("--shape", "1x3x9x8"), "no model that they belong to"),
                                    ("weights.pth", ("--shape", "1x3x9x8", "--class", "nets:Nothing"), "has no class 'Nothing'"),
                                    ("script.pt", ("--shape", "1x3:number"), "there is no type 'number'")):
            done = self.convert(file, *options)
            self.assertEqual(done.returncode, 1)
            self.assertIn(said, done.stderr)
        done = command("convert", scratch("script.pt"), "-o", scratch("no.onnx"))
        self.assertIn("that may run code of the file", done.stderr)


class Exporters(unittest.TestCase):
    def try_case(self, name, dynamo):
        module, inputs, _ = zoo.ZOO[name]()
        made = io.BytesIO()
        with torch.no_grad():
            program = torch.onnx.export(module, inputs, None if dynamo else made, dynamo=dynamo, verbose=False)
            wanted = torch.utils._pytree.tree_flatten(module(*inputs))[0]
        model = program.model_proto if dynamo else onnx.load_from_string(made.getvalue())
        session = engine.Session(model.SerializeToString())
        got = session.run({i.name: x.numpy() for i, x in zip(model.graph.input, inputs)})
        for i, (y, want) in enumerate(zip(got, wanted, strict=True)):
            size = max(1, np.abs(want.numpy()).max(initial=0))
            same(f"result {i}", y / size, want.numpy() / size, CLOSE)


for _name in zoo.ZOO if "--long" in sys.argv else A_FEW:
    for _dynamo in (False, True):
        setattr(Exporters, f"test_{_name}, {'dynamo' if _dynamo else 'script'}",
                lambda self, n=_name, d=_dynamo: self.try_case(n, d))


if __name__ == "__main__":
    sys.exit(suite.run(verbosity=1))
