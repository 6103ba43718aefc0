#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Classes of hostile input that need real files or a clock (classes.md): files of absurd size, files that change while
they are read, pipes and folders in place of a model, names chosen to be alike, numbers that are slow to compute with.
Standard library only."""
import os
import pathlib
import struct
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import lab  # noqa: E402
import suite  # noqa: E402
from onnx_bytes import FLOAT, external, graph, model, node, simple, tensor, value  # noqa: E402

SECONDS, MB = 1, 48


class Files(lab.Case):
    workspace = False

    def quick(self, *words):
        done = self.measured(*words)
        self.assertLess(done.seconds, SECONDS)
        self.assertLess(done.megabytes, MB)
        self.assertIn(done.code, (0, 1), done.text)
        return done

    def test_sparse_file(self):
        with open(self.folder / "large.onnx", "wb") as f:
            f.truncate(1 << 40)
        self.assertRegex(self.quick("check", "large.onnx").text, "max_file_bytes")
        self.write("m.onnx", model(graph([node("Add", ["x", "w"], ["y"])], [value("x", FLOAT, [1])], [value("y", FLOAT, None)],
                                         [tensor(FLOAT, [1 << 38], None, "w", external("large.onnx", 0, 1 << 40))])))
        self.assertRegex(self.quick("run", "m.onnx", "--random").text, "'w'.*no memory for 1 TiB")

    def test_growing_file(self):
        """Cut, written over and made longer all the time: a model, or a message."""
        good, over = lab.twice(), threading.Event()
        path = self.folder / self.write("m.onnx", good)

        def change():
            while not over.is_set():
                for data in (good[:len(good) // 2], good + bytes(1 << 20), b"", good):
                    path.write_bytes(data)
        writer = threading.Thread(target=change)
        writer.start()
        try:
            for _ in range(25):
                self.quick("run", "m.onnx", "--random")
        finally:
            over.set()
            writer.join()

    def test_pipe(self):
        """One that nobody writes to is not waited for."""
        os.mkfifo(self.folder / "pipe")
        self.write("m.onnx", lab.twice())
        self.assertIn("pipe that nobody writes to", self.quick("check", "pipe").text)
        self.assertIn("pipe that nobody writes to", self.quick("run", "m.onnx", "pipe").text)

    def test_folder(self):
        (self.folder / "m.onnx").mkdir()
        for words in (("check", "m.onnx"), ("run", "m.onnx", "--random"), ("inspect", "m.onnx")):
            self.assertIn("folder", self.quick(*words).text)

    def test_chosen_names(self):
        """Names that differ in one character only, wherever it stands, cost no more than others."""
        def seconds(names):
            nodes = [node("Neg", ["x" if i == 0 else names[i - 1]], [name]) for i, name in enumerate(names)]
            self.write("m.onnx", simple(nodes, [("x", FLOAT, [1])], [(names[-1], FLOAT, [1])]))
            return min(self.measured("check", "m.onnx").seconds for _ in range(2))
        count = 20000
        plain = seconds([os.urandom(16).hex() for _ in range(count)])
        for alike in ([f"{i:032x}" for i in range(count)], [f"{i:08x}" + "0" * 24 for i in range(count)],
                      ["a" * (i % 32) + "\\0" + "b" * (31 - i % 32) + str(i) for i in range(count)]):
            self.assertLess(seconds(alike), 3 * plain + 0.1)

    def test_slow_numbers(self):
        """Denormals, infinities and NaN take less than 20 times as long as other numbers."""
        steps = ["Mul", "Add", "Sub", "Div", "MatMul", "Max"]
        nodes = [node(op, ["x" if i == 0 else f"v{i - 1}", "x"], [f"v{i}"]) for i, op in enumerate(steps)]
        nodes += [node(op, ["x"], [op]) for op in ("Exp", "Tanh", "Sigmoid", "Softmax", "Sqrt", "Erf", "ReduceSum")]
        outputs = [(f"v{len(steps) - 1}", FLOAT, None)] + [(op, FLOAT, None) for op in ("Exp", "Tanh", "Sigmoid", "Softmax", "Sqrt", "Erf", "ReduceSum")]
        size = 512
        self.write("m.onnx", simple(nodes, [("x", FLOAT, [size, size])], outputs))

        def seconds(number):
            self.write("x.raw", struct.pack("<I", number) * (size * size))
            return min(self.measured("run", "m.onnx", "x=x.raw", "--option", "threads=1").seconds for _ in range(2))
        plain = seconds(0x3F000000)
        for number in (1, 0x007FFFFF, 0x80000001, 0x7F800000, 0x7FC00000, 0x7F800001):
            self.assertLess(seconds(number), 20 * plain)


if __name__ == "__main__":
    sys.exit(suite.run())
