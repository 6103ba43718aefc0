#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files that claim or unpack to absurd sizes, given to `run`: a message that names the file, in no time and no memory to
speak of, and without a number that overflowed. Standard library only."""
import io
import pathlib
import re
import struct
import sys
import zipfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import lab  # noqa: E402
import suite  # noqa: E402
from onnx_bytes import FLOAT, STRING, block, floats, ints, node, number, simple, tensor  # noqa: E402

SIZES = [1 << 31, 1 << 32, 1 << 40, 1 << 61, 1 << 62, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 1 << 64, -1, -(1 << 63)]
# What only arithmetic that ran over could say. Numbers that the file itself has may be repeated.
OVERFLOWN = re.compile(r"18446744073\d{9}|-\d+ (bytes|elements|[kMGT]i?B)|0x[0-9a-f]{6}")
SECONDS, MB = 1, 48  # of the processor; of memory beyond the file, of which the command itself takes 12


def npy(descr, shape, data=bytes(16)):
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


def zipped(**arrays):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in arrays.items():
            z.writestr(name + ".npy", data)
    return made.getvalue()


def png(width, height, data):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", data) + chunk(b"IEND", b""))


def bmp(width, height):
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 100, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(40)


class Absurd(lab.Case):
    workspace = False

    def setUp(self):
        super().setUp()
        self.write("m.onnx", simple([node("Identity", ["x"], ["y"])], [("x", FLOAT, ["n", "m"])], [("y", FLOAT, ["n", "m"])]))
        self.write("p.onnx", simple([node("Identity", ["x"], ["y"])], [("x", FLOAT, [1, 1, "h", "w"])], [("y", FLOAT, [1, 1, "h", "w"])]))

    def refused(self, name, data, said, model="m.onnx", size=None):
        with self.subTest(name):
            done = self.measured("run", model, self.write(name, data))
            self.assertEqual(done.code, 1, done.text)
            self.assertRegex(done.text, said)
            self.assertIn(name, done.text)
            self.judge(done._replace(text=done.text.replace(str(size), "")), len(data))

    def judge(self, done, file_bytes=0):
        self.assertNotRegex(done.text, OVERFLOWN)
        self.assertLess(done.seconds, SECONDS)
        self.assertLess(done.megabytes - file_bytes / 1e6, MB, done.text)

    def test_npy(self):
        for size in SIZES:
            for shape in ((size,), (size, size), (size, 2), (2, size)):
                self.refused("a.npy", npy("<f4", shape), "ends early: 16 B of elements, expected [0-9.]+ [GTPE]B|addressed|too large|not a dim", size=size)
            for kind in "US":
                self.refused("a.npy", npy(f"<{kind}{size}", (4,)), "ends early|addressed|descr|too wide", size=size)
            if abs(size) > 1:
                self.refused("a.npy", npy("<U0", (abs(size), 2)), "empty strings|too large|addressed", size=size)
        self.refused("a.npy", b"\x93NUMPY\2\0\xff\xff\xff\xff{", "ends inside its header")

    def test_npz(self):
        zeros = npy("<f4", (1, 50 << 20), bytes(200 << 20))
        self.refused("a.npz", zipped(x=zeros), r"array 'x.npy': unpacks to more than [0-9.]+ MB, 64 times the archive")
        few = npy("<f4", (1, 1 << 20), bytes(4 << 20))
        self.refused("a.npz", zipped(**{f"x{i}": few for i in range(50)}), "unpacks to more than")
        self.refused("a.npz", zipped(**{f"x{i}": b"" for i in range(20000)}), "not a .npy file")

    def test_pictures(self):
        for side in (65536, 1 << 31, (1 << 32) - 1):
            self.refused("a.png", png(side, 1, b""), "PNG: .*(at most|out of range)", "p.onnx")
            self.refused("a.bmp", bmp(min(side, (1 << 31) - 1), 1), "BMP: .* pixels", "p.onnx")
        for width, height in ((65535, 65535), (30000, 4400), (12000, 10000)):
            for name, data in (("a.png", png(width, height, zlib.compress(bytes(99)))), ("a.bmp", bmp(width, height)), ("a.bmp", bmp(width, -height)),
                               ("a.pgm", f"P5 {width} {height} 255\n".encode()), ("a.ppm", f"P3 {width} {height} 255\n".encode())):
                self.refused(name, data, "pixels", "p.onnx")
        self.refused("a.pgm", b"P5 99999999999999999999 1 255\n", "above 99999999", "p.onnx")
        self.refused("a.png", png(12000, 10000, zlib.compress(bytes(12001 * 10000), 9)), "12000 x 10000 pixels in [0-9]+ bytes; at most 256 pixels a byte", "p.onnx")

    def test_protobuf(self):
        for size in SIZES:
            for dims in ((size,), (size, size), (2, size)):
                self.refused("a.pb", tensor(FLOAT, dims, bytes(16)), "raw_data holds 16 bytes where .* together [0-9.]+ [GTPE]iB|addressed|negative|needs 0|does not fit")
                self.refused("a.pb", tensor(STRING, dims, None, "", block(6, "a")), "string_data holds 1 entries|addressed|negative|does not fit")
        sparse = block(1, floats([1])) + block(2, ints([0])) + number(3, 1 << 30) + number(3, 1)
        self.refused("a.pb", sparse, "type|field|tensor")

    def test_texts(self):
        for size in SIZES:
            if size >= 0:
                self.refused("a.csv", f"x[0],x[{size}]\n1,2\n", "x\\[0\\] to \\[|does not fit|do not fit", size=size)
            body = '{"inputs": [{"name": "x", "shape": [%d, 2], "datatype": "FP32", "data": [1]}]}'
            self.refused("a.json", body % size, "elements|shape|dimension|integer|addressed|number", size=size)
        for text in ("[" * 200000, '{"a":' * 200000, '{"data": ' + "[" * 200000, "[" + "9" * 500000 + "]", "[" + "1e99999999," * 1000 + "1]"):
            self.refused("a.json", text, "a.json: ")

    def test_words(self):
        for size in SIZES:
            for words in (("run", "m.onnx", "--random", "--batch", size), ("bench", "m.onnx", "--seconds", "0.01", "--batch", size),
                          ("run", "m.onnx", "--random", "--dim", f"n={size}"), ("run", "m.onnx", "--random", "--dim", f"n={size}", "--dim", f"m={size}")):
                with self.subTest(words):
                    done = self.measured(*words)
                    self.assertIn(done.code, (1, 2), done.text)
                    self.assertRegex(done.text, "(?i)n=|batch|'x'|dimension")
                    self.judge(done._replace(text=done.text.replace(str(size), "")))


if __name__ == "__main__":
    sys.exit(suite.run())
