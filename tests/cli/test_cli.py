# SPDX-License-Identifier: Apache-2.0
"""The `sardonyx` command from the outside: files in, text and exit codes out. Standard library only.

    python3 tests/cli/test_cli.py            (SARDONYX=path of the command, default build/sardonyx)
"""

import array
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import onnx_bytes  # noqa: E402
import suite  # noqa: E402
from onnx_bytes import (BOOL, FLOAT, FLOAT16, FLOAT6E2M3, INT64, UINT8, attr_float, attr_graph, attr_int, block,  # noqa: E402
                        external, function, graph, model, node, number, numbers, opset, simple, tensor, value)

COMMAND = os.environ.get("SARDONYX", str(ROOT / "build/sardonyx"))


def npy(descr, shape, data, fortran=False, version=1):
    header = str({"descr": descr, "fortran_order": fortran, "shape": tuple(shape)}).encode()
    size = 2 if version == 1 else 4
    header += b" " * (-(8 + size + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(header).to_bytes(size, "little") + header + data


def floats(*numbers):
    return array.array("f", numbers).tobytes()


def read_npy(data):
    size = int.from_bytes(data[8:10], "little")
    return eval(data[10:10 + size]), data[10 + size:]  # a literal this repository's own writer made


def png(width, height, grey):
    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    rows = b"".join(b"\0" + bytes(grey[y * width:(y + 1) * width]) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory())) if hasattr(self, "enterContext") \
            else self.make_folder()

    def make_folder(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        return pathlib.Path(kept.name)

    def write(self, name, data):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return str(path)

    def run_command(self, *words, code=0, text_in=None):
        done = subprocess.run([COMMAND, *map(str, words)], capture_output=True, text=True, cwd=self.folder, input=text_in,
                              timeout=60)
        self.assertEqual(done.returncode, code, f"{words}\n{done.stdout}\n{done.stderr}")
        return done

    def outputs(self, *words, **more):
        return json.loads(self.run_command("run", *words, "--json", **more).stdout)["outputs"]

    def twice(self):
        """y = x + x, float [batch, 3]."""
        return self.write("twice.onnx", simple([node("Add", ["x", "x"], ["y"])], [("x", FLOAT, ["batch", 3])],
                                              [("y", FLOAT, ["batch", 3])]))

    def same(self, dtype, shape, name="same.onnx"):
        return self.write(name, simple([node("Identity", ["x"], ["y"])], [("x", dtype, shape)], [("y", dtype, shape)]))


class Inputs(Case):
    def test_npy(self):
        m = self.twice()
        for name, data in {
                "c": npy("<f4", (2, 3), floats(0, 1, 2, 3, 4, 5)),
                "fortran": npy("<f4", (2, 3), floats(0, 3, 1, 4, 2, 5), fortran=True),
                "big": npy(">f4", (2, 3), struct.pack(">6f", 0, 1, 2, 3, 4, 5)),
                "double": npy("<f8", (2, 3), struct.pack("<6d", 0, 1, 2, 3, 4, 5)),
                "int": npy("<i8", (2, 3), struct.pack("<6q", 0, 1, 2, 3, 4, 5)),
                "half": npy("<f2", (2, 3), struct.pack("<6e", 0, 1, 2, 3, 4, 5)),
                "v2": npy("<f4", (2, 3), floats(0, 1, 2, 3, 4, 5), version=2),
                "v3": npy("<f4", (2, 3), floats(0, 1, 2, 3, 4, 5), version=3),
                "flat": npy("<f4", (6,), floats(0, 1, 2, 3, 4, 5)),
        }.items():
            with self.subTest(name):
                y = self.outputs(m, self.write(name + ".npy", data))["y"]
                self.assertEqual(y["shape"], [2, 3])
                self.assertEqual(y["data"], [[0, 2, 4], [6, 8, 10]])

    def test_npy_damaged(self):
        m = self.twice()
        good = npy("<f4", (1, 3), floats(1, 2, 3))
        cut = b"{'fortran_order': False, 'shape': (1, 3), 'descr': '"
        for name, data, text in [("short", good[:-1], "ends early"), ("magic", b"NUMPY" + good[5:], "not a .npy"),
                                 ("objects", npy("|O", (1, 3), b"x" * 24), "pickled"),
                                 ("huge", npy("<f4", (1 << 62, 1 << 62), b""), "can be addressed"),
                                 ("shape", npy("<f4", (1, 4), floats(1, 2, 3, 4)), "does not fit"),
                                 ("header", good[:20], "ends inside"),
                                 ("descr", b"\x93NUMPY\1\0" + struct.pack("<H", len(cut)) + cut + bytes(24), "descr is not")]:
            with self.subTest(name):
                self.assertIn(text, self.run_command("run", m, self.write(name + ".npy", data), code=1).stderr)

    def test_npz(self):
        m = self.write("sum.onnx", simple([node("Add", ["a", "b"], ["c"])], [("a", FLOAT, [2]), ("b", FLOAT, [2])],
                                         [("c", FLOAT, [2])]))
        for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            path = self.folder / "in.npz"
            with zipfile.ZipFile(path, "w", compression) as z:
                z.writestr("b.npy", npy("<f4", (2,), floats(10, 20)))
                z.writestr("a.npy", npy("<f4", (2,), floats(1, 2)))
            self.assertEqual(self.outputs(m, path)["c"]["data"], [11, 22])
        self.run_command("run", m, path, "--output", "out.npz")
        with zipfile.ZipFile(self.folder / "out.npz") as z:
            header, data = read_npy(z.read("c.npy"))
        self.assertEqual((header["descr"], header["shape"], data), ("<f4", (2,), floats(11, 22)))
        self.assertIn("not a .npz", self.run_command("run", m, self.write("bad.npz", b"PKxx"), code=1).stderr)

    def test_json(self):
        m = self.twice()
        self.assertEqual(self.outputs(m, self.write("a.json", '{"x": [[1, 2, "Infinity"]]}'))["y"]["data"], [[2, 4, "Infinity"]])
        self.assertEqual(self.outputs(m, self.write("b.json", "[[1, 2, 3]]"))["y"]["data"], [[2, 4, 6]])
        self.assertEqual(self.outputs(m, "x=[[1,2,3]]")["y"]["data"], [[2, 4, 6]])
        self.assertEqual(self.outputs(m, "-", text_in="[1, 2, 3]")["y"]["data"], [[2, 4, 6]])
        for name, data, text in [("ragged", '{"x": [[1,2,3],[4,5]]}', "[1] is a list of 2"), ("kind", '{"x": [["a",2,3]]}', "[0][0] is a string"),
                                 ("syntax", '{"x": [', "line 1"), ("name", '{"xx": [[1,2,3]]}', "no input 'xx'")]:
            with self.subTest(name):
                done = self.run_command("run", m, self.write(name + ".json", data), code=2 if name == "name" else 1)
                self.assertIn(text, done.stderr)
        self.run_command("run", m, self.write("deep.json", "[" * 100000), code=1)

    def test_numbers_that_do_not_fit(self):
        small = self.same(onnx_bytes.INT8, ["n"], "small.onnx")
        self.assertEqual(self.outputs(small, "x=[-128,127]")["y"]["data"], [-128, 127])
        for word in ("x=[1,128]", "x=[1,-129]", "x=[1,2.5]", "x=[1,1e30]"):
            self.assertIn("[1] is " + word[5:-1].replace("e", "e+"), self.run_command("run", small, word, code=1).stderr)
        wide = self.write("wide.npy", npy("<f8", (2,), struct.pack("<2d", 1, 300)))
        self.assertIn("element 1 of double[2] is 300, which int8 cannot hold",
                      self.run_command("run", small, wide, code=1).stderr)
        large = self.write("large.npy", npy("<f8", (1, 3), struct.pack("<3d", 1e300, 0, 0)))
        self.assertIn("too large for float became infinite", self.run_command("run", self.twice(), large).stderr)
        self.assertIn("[0][0] is 1e+39", self.run_command("run", self.twice(), "x=[[1e39,0,0]]", code=1).stderr)

    def test_numbers_keep_their_digits(self):
        most = self.write("most.npy", npy("<u8", (2,), struct.pack("<2Q", 2**64 - 1, 2**53 + 1)))
        words = ["18446744073709551615", 2**53 + 1]  # a number of that size is none in most readers of JSON
        unsigned = self.same(onnx_bytes.UINT64, ["n"], "u.onnx")
        self.assertEqual(self.outputs(unsigned, most)["y"]["data"], words)
        self.assertEqual(self.outputs(unsigned, "x=" + json.dumps(words))["y"]["data"], words)
        double = self.same(onnx_bytes.DOUBLE, ["n"], "d.onnx")
        self.assertEqual(self.outputs(double, "x=[0.1,9007199254740991]")["y"]["data"], [0.1, 9007199254740991])

    def test_standard_input(self):
        m = self.twice()
        for name in ("", "x="):
            with open(self.write("a.npy", npy("<f4", (1, 3), floats(1, 2, 3))), "rb") as file:
                done = subprocess.run([COMMAND, "run", m, name + "-", "--json"], stdin=file, capture_output=True, check=True)
            self.assertEqual(json.loads(done.stdout)["outputs"]["y"]["data"], [[2, 4, 6]])

    def test_no_inputs(self):
        m = self.write("none.onnx", simple([node("Constant", [], ["y"], attr_float("value_float", 1.5))], [],
                                           [("y", FLOAT, [])]))
        self.assertEqual(self.outputs(m)["y"]["data"], 1.5)
        for word in (self.write("a.json", "[1]"), self.write("a.npy", npy("<f4", (1,), floats(1)))):
            self.assertIn("the model has no inputs", self.run_command("run", m, word, code=2).stderr)
        self.assertIn("it has none", self.run_command("run", m, "x=1", code=2).stderr)
        self.assertIn("is missing after '='", self.run_command("run", self.twice(), "x=", code=2).stderr)

    def test_optional_input(self):
        kind = block(9, block(1, block(1, number(1, FLOAT) + block(2, b""))))  # optional(tensor(float))
        m = self.write("optional.onnx", model(
            block(1, node("OptionalHasElement", ["x"], ["y"])) + block(2, "g") +
            block(11, block(1, "x") + block(2, kind)) + block(12, value("y", BOOL, [])), 18))
        self.assertIs(self.outputs(m)["y"]["data"], False)
        self.assertIs(self.outputs(m, "--random")["y"]["data"], False)

    def test_lists_in_order(self):
        m = self.write("minus.onnx", simple([node("Sub", ["a", "b"], ["c"])], [("a", FLOAT, [1]), ("b", FLOAT, [1])],
                                            [("c", FLOAT, [1])]))
        five, two = self.write("5.json", "[5]"), self.write("2.json", "[2]")
        self.assertEqual(self.outputs(m, five, two)["c"]["data"], [3])
        self.assertIn("all 2 inputs", self.run_command("run", m, five, two, two, code=2).stderr)

    def test_raw(self):
        m = self.twice()
        self.assertEqual(self.outputs(m, self.write("x.raw", floats(1, 2, 3, 4, 5, 6)))["y"]["data"], [[2, 4, 6], [8, 10, 12]])
        self.assertIn("expected a multiple of 12", self.run_command("run", m, self.write("y.bin", b"12345"), code=1).stderr)

    def test_pb(self):
        m = self.twice()
        path = self.write("x.pb", numbers("x", FLOAT, (1, 3), (1, 2, 3)))
        self.assertEqual(self.outputs(m, path)["y"]["data"], [[2, 4, 6]])
        self.run_command("run", m, path, "-o", "y.pb")
        self.assertEqual(self.outputs(m, "x=y.pb")["y"]["data"], [[4, 8, 12]])
        self.run_command("run", m, self.write("bad.pb", b"\xff\xff\xff"), code=1)

    def test_float6(self):
        """Four elements in three bytes in .pb, numbers everywhere else."""
        m = self.same(FLOAT6E2M3, [5])
        self.assertEqual(self.outputs(m, "x=[0, 1, -0.125, 7.5, 2.6]")["y"]["data"], [0, 1, -0.125, 7.5, 2.5])
        path = self.write("x.pb", tensor(FLOAT6E2M3, [5], bytes([0x00, 0x12, 0x7e, 0x12]), "x"))  # 0 8 33 31 18
        self.assertEqual(self.outputs(m, path)["y"]["data"], [0, 1, -0.125, 7.5, 2.5])
        self.run_command("run", m, path, "-o", "y.pb")
        self.assertEqual(self.outputs(m, "x=y.pb")["y"]["data"], [0, 1, -0.125, 7.5, 2.5])
        self.run_command("run", m, path, "-o", "y.npy")
        header, data = read_npy((self.folder / "y.npy").read_bytes())
        self.assertEqual((header["descr"], data), ("<f4", floats(0, 1, -0.125, 7.5, 2.5)))

    def test_png(self):
        m = self.same(FLOAT, [1, 1, 2, 2])
        image = self.write("p.png", png(2, 2, [0, 51, 102, 255]))
        data = self.outputs(m, image)["y"]["data"][0][0]
        for got, want in zip(data[0] + data[1], [0, 0.2, 0.4, 1]):
            self.assertAlmostEqual(got, want, places=6)
        self.assertEqual(self.outputs(m, image, "--image-scale", 1, "--image-invert")["y"]["data"], [[[[255, 204], [153, 0]]]])
        self.assertEqual(self.outputs(m, image, "--image-scale", 1, "--image-mean", 1, "--image-std", 2)["y"]["data"],
                         [[[[-0.5, 25], [50.5, 127]]]])
        self.assertEqual(self.outputs(self.same(UINT8, [1, 4, 4, 3], "nhwc.onnx"), image)["y"]["shape"], [1, 4, 4, 3])
        half = self.outputs(self.same(FLOAT, [1, 1, 1, 1], "one.onnx"), image, "--image-scale", 1)["y"]["data"][0][0][0][0]
        self.assertAlmostEqual(half, 102, places=3)
        self.run_command("run", m, self.write("cut.png", png(2, 2, [1, 2, 3, 4])[:40]), code=1)

    def test_other_types(self):
        self.assertEqual(self.outputs(self.same(BOOL, [2]), "x=[true,false]")["y"]["data"], [True, False])
        self.assertEqual(self.outputs(self.same(INT64, [2]), f"x=[{-2**63},{2**63 - 1}]")["y"]["data"], [-2**63, 2**63 - 1])
        self.assertEqual(self.outputs(self.same(FLOAT16, [2]), 'x=[0.5,"Infinity"]')["y"]["data"], [0.5, "Infinity"])

    def test_random(self):
        m = self.twice()
        a, b = self.outputs(m, "--random=7"), self.outputs(m, "--random=7")
        self.assertEqual(a, b)
        self.assertNotEqual(a, self.outputs(m, "--random=8"))
        self.assertEqual(a["y"]["shape"], [1, 3])
        self.assertIn("1 input without a value", self.run_command("run", m, code=2).stderr)

    def test_save(self):
        m = self.twice()
        self.run_command("run", m, "x=[[1,2,3]]", "-o", "folder")
        self.assertEqual(read_npy((self.folder / "folder/y.npy").read_bytes())[1], floats(2, 4, 6))
        self.run_command("run", m, "x=[[1,2,3]]", "-o", "y.json")
        self.assertEqual(json.loads((self.folder / "y.json").read_text()), {"y": [[2, 4, 6]]})
        self.assertIn("cannot write", self.run_command("run", m, "--random", "-o", "none/y.json", code=1).stderr)
        twins = self.write("twins.onnx", simple([node("Identity", ["x"], ["a/b"]), node("Neg", ["x"], ["a_b"])],
                                                [("x", FLOAT, [1])], [("a/b", FLOAT, [1]), ("a_b", FLOAT, [1])]))
        self.assertIn("would both be", self.run_command("run", twins, "x=[1]", "-o", "both/", code=1).stderr)
        self.run_command("run", twins, "x=[1]", "-o", "both.npz")

    def test_highest(self):
        text = self.run_command("run", self.same(FLOAT, [3]), 'x=["NaN",1,2]', "--top", "1").stdout
        self.assertRegex(text, r"index  score\n +2 +2\n")
        self.assertIn("0 to 1000", self.run_command("run", self.twice(), "--random", "--top", "1001", code=2).stderr)

    def test_profile(self):
        self.run_command("run", self.twice(), "--random", "--profile", "trace.json")
        json.loads((self.folder / "trace.json").read_text())


class Messages(Case):
    def test_did_you_mean(self):
        m = self.twice()
        for words, hint in [(("rnu", m), "sardonyx run"), (("run", m, "--thraeds", "2"), "--threads"),
                            (("run", m, "z=[1]"), "'x'"), (("run", m, "--random", "--outputs", "z"), "'y'"),
                            (("run", m, "--random", "--option", "thread=2"), "threads"),
                            (("serve", m, "--option", "thread=2"), "threads"),
                            (("selftest", "--filter", "gem_f32"), "gemm_f32")]:
            with self.subTest(words):
                self.assertIn("did you mean", self.run_command(*words, code=2).stderr)
                self.assertIn(hint, self.run_command(*words, code=2).stderr)
        self.assertIn("twice.onnx", self.run_command("run", "twcie.onnx", "--random", code=1).stderr)
        # However many names there are.
        inputs = [value(f"{'ab'[i % 2]}{i}_input", FLOAT, [1]) for i in range(600)]
        many = self.write("many.onnx", model(graph([node("Identity", ["a0_input"], ["y"])], inputs, [value("y", FLOAT, [1])])))
        self.assertIn("'b599_input'", self.run_command("run", many, "b599_inptu=[1]", code=2).stderr)
        for i in range(600):
            self.write(f"file-{i}.txt", b"")
        self.write("file-zebra.onnx", b"")
        self.assertIn("file-zebra.onnx", self.run_command("run", "file-zerba.onnx", code=1).stderr)
        self.assertIn("expected .npz", self.run_command("run", m, "--random", "-o", "y.txt", code=1).stderr)
        self.assertIn("sardonyx help test", self.run_command("test", m, code=1).stderr)
        self.assertIn("sardonyx run", self.run_command("twice.onnx", code=2).stderr)

    def test_check_says_that_there_are_more(self):
        nodes = [node("Neg", [f"nowhere{i}"], [f"y{i}"]) for i in range(1200)]
        path = self.write("wrong.onnx", model(graph(nodes, [], [value("y0", FLOAT, None)])))
        found = json.loads(self.run_command("check", path, "--json", code=1).stdout)[0]["problems"]
        self.assertEqual([p["code"] for p in found], ["unknown-value"] * 1000 + ["import"])
        self.assertIn("more than 1000 problems", found[-1]["message"])

    def test_usage(self):
        m = self.twice()
        for words in [("run",), ("run", m, "--threads", "two"), ("run", m, "--threads"), ("run", m, "--json=1"),
                      ("inspect", m, "more"), ("run", m, "--random", "--dim", "batch"), ("selftest", "foo"),
                      ("bench", m, "--threads", "1,x"), ("run", m, "x=[1,2,3]", "x=[1,2,3]")]:
            with self.subTest(words):
                done = self.run_command(*words, code=2)
                self.assertIn("error:", done.stderr)

    def test_help(self):
        text = self.run_command("help").stdout
        for name in ("run", "inspect", "check", "test", "bench", "ops", "kernels", "selftest", "version"):
            self.assertIn(name, text)
            self.assertEqual(self.run_command("help", name).stdout, self.run_command(name, "--help").stdout)
        self.assertIn("Examples", self.run_command("help", "run").stdout)
        for name in ("run", "serve", "test", "bench"):
            for line in self.run_command("help", name).stdout.splitlines():
                self.assertLess(len(line), 80, line)

    def test_operators_as_markdown(self):
        rows = self.run_command("ops", "--markdown").stdout.splitlines()
        self.assertIn("| Not | ai.onnx | 1 | bool | CPU |", rows)
        self.assertTrue(any(r.startswith("| Identity | ai.onnx | 25 24 23 21 19 16 14 13 1 | V: every type ") for r in rows))
        self.assertEqual(len([r for r in rows if r.startswith("| ")]) - 1, len(json.loads(self.run_command("ops", "--json").stdout)))

    def test_no_colour_in_pipes(self):
        self.assertNotIn("\033", self.run_command("run", self.twice(), "--random").stdout)

    def test_bad_models(self):
        for name, data in [("empty", b""), ("text", b"hello, world"), ("cut", (self.folder / self.twice()).read_bytes()[:40])]:
            with self.subTest(name):
                path = self.write(name + ".onnx", data)
                self.assertIn(name, self.run_command("run", path, "--random", code=1).stderr)
                self.assertIn("error", self.run_command("check", path, code=1).stdout)

    def test_data_behind_links(self):
        """As caches of downloads keep models; and what stays refused is told with what helps."""
        weights = tensor(FLOAT, [2], name="w", extra=external("model.onnx_data"))
        data = model(graph([node("Add", ["x", "w"], ["y"])], [value("x", FLOAT, [2])], [value("y", FLOAT, [2])], [weights]))
        self.write("blobs/5a", data)
        self.write("blobs/7c", floats(10, 20))
        self.write("x.npy", npy("<f4", (2,), floats(1, 2)))
        for folder in ("snapshots/1", "elsewhere", "pointer"):
            (self.folder / folder).mkdir(parents=True)
        for name, target in (("snapshots/1/model.onnx", "../../blobs/5a"), ("elsewhere/model.onnx_data", "../blobs/7c"),
                             ("snapshots/1/model.onnx_data", "../../blobs/7c")):
            os.symlink(target, self.folder / name)
        path = "snapshots/1/model.onnx"
        self.assertEqual(self.outputs(path, "x=x.npy")["y"]["data"], [11, 22])
        self.assertEqual(json.loads(self.run_command("check", path, "--json").stdout)[0]["problems"], [])
        self.write("elsewhere/model.onnx", data)
        self.write("pointer/model.onnx", data)
        self.write("pointer/model.onnx_data", "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 8\n")
        for path, code, hint in (("elsewhere/model.onnx", "forbidden-file", "external_data_dir"),
                                 ("pointer/model.onnx", "missing-file", "git lfs pull")):
            (problem,) = json.loads(self.run_command("check", path, "--json", code=1).stdout)[0]["problems"]
            self.assertEqual((problem["code"], problem["place"]), (code, "initializer 'w'"))
            self.assertIn(hint, problem["hint"])
        folder = ("--option", "external_data_dir=blobs")
        self.assertEqual(self.outputs("elsewhere/model.onnx", *folder, "x=x.npy")["y"]["data"], [11, 22])

    def test_check_lists_everything_at_once(self):
        nodes, wanted = [], []

        def bad(code, place, hint, *parts):
            nodes.extend(parts)
            wanted.append((code, place, hint))

        far = tensor(FLOAT, [4], name="far", extra=external("weights.bin"))
        short = tensor(FLOAT, [3], bytes(8), "short")
        bad("opset", "opset_import", "imported once")
        bad("missing-file", "initializer 'far'", "external_data_dir", node("Abs", ["far"], ["y0"]))
        bad("initializer", "initializer 'short'", "again", node("Abs", ["short"], ["y1"]))
        bad("duplicate-name", "node 3 'second' (Exp)", "rename", node("Abs", ["x"], ["y2"]),
            node("Exp", ["x"], ["y2"], name="second"))
        bad("unknown-value", "node 4 'reader' (Neg)", "add what makes it", node("Neg", ["nowhere"], ["y3"], name="reader"))
        bad("value", "output 'y99'", "did you mean 'y9'?")
        bad("cycle", "graph", "Loop", node("Add", ["c2", "x"], ["c1"]), node("Neg", ["c1"], ["c2"]))
        bad("unknown-operator", "node 'typo' (Reluu)", "did you mean 'Relu'?", node("Reluu", ["x"], ["y4"], name="typo"))
        bad("attribute-kind", "node 'kind' (Softmax)", "sardonyx ops",
            node("Softmax", ["x"], ["y5"], attr_float("axis", 1.0), name="kind"))
        bad("unknown-attribute", "node 'spelling' (Flatten)", "did you mean 'axis'?",
            node("Flatten", ["x"], ["y6"], attr_int("axes", 1), name="spelling"))
        bad("missing-attribute", "node 'aim' (Cast)", "sardonyx ops", node("Cast", ["x"], ["y7"], name="aim"))
        bad("arity", "node 'few' (Gemm)", "sardonyx ops", node("Gemm", ["x"], ["y8"], name="few"))
        bad("type-or-shape", "node 'types' (Add)", "Cast", node("Add", ["x", "whole"], ["y9"], name="types"))
        bad("type-or-shape", "node 'shapes' (MatMul)", "Reshape", node("MatMul", ["x", "x"], ["y10"], name="shapes"))
        bad("type-or-shape", "node 'lie' (Relu)", "Cast", node("Relu", ["x"], ["y11"], name="lie"))
        outputs = [value(f"y{i}", INT64 if i == 11 else FLOAT, None) for i in [*range(12), 99]]
        whole = tensor(INT64, [2, 3], bytes(48), "whole")
        data = model(graph(nodes, [value("x", FLOAT, [2, 3])], outputs, [far, short, whole]), extra=opset(3))
        path = self.write("wrong.onnx", data)
        found = json.loads(self.run_command("check", path, "--json", code=1).stdout)[0]["problems"]
        self.assertEqual([(p["code"], p["place"]) for p in found], [w[:2] for w in wanted])
        for problem, (_, place, hint) in zip(found, wanted):
            self.assertIn(hint, problem["hint"], place)
            self.assertEqual(problem["severity"], "warning" if problem["code"] == "unknown-attribute" else "error")
        self.assertIn(f"{len(wanted) - 1} errors, 1 warning", self.run_command("check", path, code=1).stdout)

    def test_check_warns_once_of_declared_shapes(self):
        nodes = [node("Relu", ["x"], ["a"], name="first"), node("Neg", ["a"], ["b"]), node("Abs", ["b"], ["y"])]
        stale = [value("y", FLOAT, [1, 3]), value("a", FLOAT, [1, 3])]
        path = self.write("stale.onnx", model(graph(nodes, [value("x", FLOAT, [2, 3])], stale)))
        found = json.loads(self.run_command("check", path, "--json").stdout)[0]["problems"]
        self.assertEqual([(p["severity"], p["code"], p["place"]) for p in found],
                         [("warning", "declared-shape", "node 'first' (Relu)")])
        self.assertIn("declared float[1,3] but comes out as float[2,3], which counts; so it is with 1 more",
                      found[0]["message"])
        self.assertIn("1 warning", self.run_command("check", path).stdout)
        self.assertEqual(self.run_command("run", path, "--random").stderr.count("declared"), 1)
        self.assertIn("output 'a' is declared", self.run_command("run", path, "--random", "--option", "strict_dims=1", code=1).stderr)


class Json(Case):
    def test_errors_have_fields(self):
        gather = self.write("gather.onnx", simple([node("Gather", ["x", "i"], ["y"], name="g")],
                                                  [("x", FLOAT, [3]), ("i", INT64, ["n"])], [("y", FLOAT, ["n"])]))
        done = self.run_command("run", gather, "x=[1,2,3]", "i=[7]", "--json", code=1)
        said = json.loads(done.stdout)
        self.assertIn("node 'g' (Gather): input 1 ('indices') is 7 at 0, expected within [-3, 3)", said["error"])
        self.assertIn(said["error"], done.stderr)
        for key, wanted in {"status": "OUT_OF_RANGE", "node": "g", "operator": "Gather", "input": "indices", "index": 1,
                            "found": "7 at 0", "expected": "within [-3, 3)", "place": "node 'g' (Gather)"}.items():
            self.assertEqual(said["details"][key], wanted)
        self.assertEqual(self.run_command("run", gather, "x=[1,2,3]", "i=[7]", code=1).stdout, "")
        typo = self.write("typo.onnx", simple([node("Reluu", ["x"], ["y"], name="n")], [("x", FLOAT, [1])],
                                              [("y", FLOAT, [1])]))
        for words in (("run", typo, "--random"), ("inspect", typo)):
            load = json.loads(self.run_command(*words, "--json", code=1).stdout)["details"]
            self.assertEqual((load["code"], load["node"], load["hint"]), ("unknown-operator", "n", "did you mean 'Relu'?"))
        problem, = json.loads(self.run_command("check", typo, "--json", code=1).stdout)[0]["problems"]
        self.assertEqual({k: problem[k] for k in load}, load)
        far = self.write("far.onnx", model(graph([node("Abs", ["w"], ["y"])], [], [value("y", FLOAT, [4])],
                                                 [tensor(FLOAT, [4], name="w", extra=external("gone.bin"))])))
        load = json.loads(self.run_command("run", far, "--json", code=1).stdout)["details"]
        self.assertEqual((load["initializer"], load["file"], load["code"]), ("w", "gone.bin", "missing-file"))

    def test_all_commands(self):
        m = self.twice()
        for words in [("version",), ("ops",), ("kernels",), ("inspect", m), ("inspect", m, "--plan"), ("inspect", m, "--graph"),
                      ("inspect", m, "--kernels"), ("check", m), ("run", m, "--random"),
                      ("bench", m, "--seconds", "0.05")]:
            with self.subTest(words):
                json.loads(self.run_command(*words, "--json").stdout)
                self.run_command(*words)

    def test_inspect(self):
        facts = json.loads(self.run_command("inspect", self.twice(), "--json").stdout)
        self.assertEqual(facts["summary"]["inputs"], [{"name": "x", "type": "tensor(float)", "shape": ["batch", 3]}])
        self.assertGreater(facts["memory"]["predicted_peak_bytes"], 0)

    def nested(self):
        """y = x through two Ifs, one in the other; weights of 12 B outside, 8 B and 16 B inside; a function that is
        called twice, with a node that the passes remove."""
        def branches(yes, no):
            return [attr_graph("then_branch", yes), attr_graph("else_branch", no)]

        inner = graph([node("Mul", ["x", "w2"], ["i"], name="scale")], [], [value("i", FLOAT, [2])],
                      [numbers("w2", FLOAT, [2], [2, 2])])
        other = graph([node("Add", ["x", "w4"], ["o"])], [], [value("o", FLOAT, [4])],
                      [numbers("w4", FLOAT, [4], [1] * 4)])
        middle = graph([node("If", ["c"], ["m"], *branches(inner, other), name="deep")], [], [value("m", FLOAT, None)])
        plain = graph([node("Neg", ["x"], ["n"])], [], [value("n", FLOAT, None)])
        twice = function("Twice", "local", ["a"], ["b"], [node("Identity", ["a"], ["t"]), node("Abs", ["t"], ["b"])])
        main = graph([node("Add", ["x", "w3"], ["z"]), node("Twice", ["z"], ["p"], domain="local"),
                      node("Twice", ["p"], ["q"], domain="local"),
                      node("If", ["c"], ["y"], *branches(middle, plain), name="outer")],
                     [value("x", FLOAT, [1]), value("c", BOOL, [])], [value("y", FLOAT, None), value("q", FLOAT, None)],
                     [numbers("w3", FLOAT, [3], [1, 2, 3])])
        return self.write("nested.onnx", model(main, extra=opset(1, "local") + block(25, twice)))

    def test_inspect_bodies(self):
        """Counts go over all bodies; each body and function is told by itself."""
        m = self.nested()
        summary = json.loads(self.run_command("inspect", m, "--json").stdout)["summary"]
        self.assertEqual([(g["depth"], g.get("node"), g.get("attribute"), g["weights"], g["weight_bytes"])
                          for g in summary["graphs"]],
                         [(0, None, None, 1, 12), (1, "outer", "then_branch", 0, 0), (2, "deep", "then_branch", 1, 8),
                          (2, "deep", "else_branch", 1, 16), (1, "outer", "else_branch", 0, 0)])
        self.assertEqual((summary["weights"], summary["weight_bytes"]), (3, 36))
        self.assertEqual(summary["nodes"], sum(g["nodes"] for g in summary["graphs"]))
        self.assertEqual(summary["operators"]["If"], 2)
        self.assertEqual(summary["functions"], [{"domain": "local", "name": "Twice", "calls": 2, "nodes": 2,
                                                 "operators": {"Identity": 1, "Abs": 1}}])
        self.assertEqual(summary["metadata"]["opset:ai.onnx"], "17")
        text = self.run_command("inspect", m).stdout
        self.assertRegex(text, r"(?m)^    deep else_branch +1 +1 +16 B$")
        self.assertRegex(text, r"(?m)^local::Twice +2 +2 +Identity Abs$")
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_inspect_passes(self):
        m = self.nested()
        both = json.loads(self.run_command("inspect", m, "--passes", "both", "--json").stdout)
        self.assertEqual(both["before"]["summary"]["operators"]["Identity"], 2)
        self.assertIn({"operator": "Identity", "before": 2, "after": 0, "change": -2}, both["difference"]["operators"])
        self.assertEqual(both["difference"]["nodes"]["after"], both["after"]["summary"]["nodes"])
        self.assertRegex(self.run_command("inspect", m, "--passes", "both").stdout, r"(?m)^Identity +2 +0 +-2$")
        self.assertIn("Identity", self.run_command("inspect", m, "--passes", "before", "--graph").stdout)
        self.assertNotIn("Identity", self.run_command("inspect", m, "--passes=after", "--graph").stdout)
        self.assertIn("none of before", self.run_command("inspect", m, "--passes", "during", code=2).stderr)

    def test_inspect_only(self):
        m = self.nested()
        graphs = json.loads(self.run_command("inspect", m, "--only", "I*,scale", "--json").stdout)["graph"]["graphs"]
        self.assertEqual([[n["name"] for n in g["nodes"]] for g in graphs], [["outer"], ["deep"], ["scale"], [], []])
        self.assertEqual(graphs[2]["nodes"][0], {"name": "scale", "domain": "ai.onnx", "op": "Mul",
                                                 "inputs": ["x", "w2"], "outputs": ["i"], "attributes": []})
        self.assertRegex(self.run_command("inspect", m, "--only", "Mul").stdout, r"(?m)^scale +Mul +deep then_branch$")
        self.assertIn("0 nodes match", self.run_command("inspect", m, "--only", "Gemm").stdout)

    def test_providers(self):
        """The device of tests/providers, where the build made it."""
        device = pathlib.Path(COMMAND).parent / "tests/fake_device.so"
        if not device.exists():
            self.skipTest(f"{device} is not built")
        a, b = "ab"
        self.write("m.onnx", onnx_bytes.simple(
            [node("MatMul", ["x", "x"], [a]), node("Erf", [a], [b]), node("MatMul", [b, "x"], ["y"])],
            [("x", FLOAT, [2, 2])], [("y", FLOAT, [2, 2])]))
        plan = self.run_command("inspect", "m.onnx", "--plan", "--provider", device).stdout
        self.assertRegex(plan, r"MatMul +fake +fake +planned +float\[2,2\] +onnx")
        self.assertIn("(Erf) runs on the host: fake: cannot run it", plan)
        self.assertEqual(plan.count(" Copy "), 4)
        x = "x=[[1, 2], [3, 4]]"
        self.assertEqual(self.run_command("run", "m.onnx", x, "--provider", device).stdout.split(" ms ")[0][:-5],
                         self.run_command("run", "m.onnx", x).stdout.split(" ms ")[0][:-5])
        self.assertIn("speaks provider ABI 99", self.run_command(
            "run", "m.onnx", x, "--provider", device.with_name("other_abi.so"), code=1).stderr)

    def test_bench(self):
        rows = json.loads(self.run_command("bench", self.twice(), "--batch", 4, "--threads", "1,2", "--seconds", "0.05", "--json").stdout)["rows"]
        self.assertEqual([r["threads"] for r in rows], [1, 2])
        for r in rows:
            self.assertTrue(0 < r["min_ms"] <= r["median_ms"] <= r["p90_ms"] <= r["p99_ms"])
            self.assertGreater(r["peak_rss_bytes"], 1 << 20)


class Sets(Case):
    """`sardonyx test` on folders made here."""

    def put(self, folder, x, y, shape=(1, 3), out="y"):
        self.write(f"{folder}/input_0.pb", numbers("x", FLOAT, shape, x))
        self.write(f"{folder}/output_0.pb", numbers(out, FLOAT, shape, y))

    def last_line(self, *words, code=0):
        return self.run_command("test", *words, code=code).stdout.splitlines()[-1]

    def test_right_and_wrong(self):
        self.twice()
        self.put("test_data_set_0", (1, 2, 3), (2, 4, 6))
        self.put("test_data_set_1", (1, 2, 3), (2, 4, 6.001))
        self.assertEqual(self.last_line("."), "2 passed, 0 failed, 0 skipped")
        self.put("test_data_set_10", (1, 2, 3), (2, 5, 6))
        done = self.run_command("test", ".", code=1)
        self.assertEqual(done.stdout.splitlines()[-1], "2 passed, 1 failed, 0 skipped")
        self.assertIn("[0,1] got 4, want 5; 1 of 3 off", done.stdout)
        self.assertEqual(self.last_line(".", "--atol", "2"), "3 passed, 0 failed, 0 skipped")
        self.assertEqual(self.last_line(".", "--rtol", "0", "--atol", "1e-6", code=1), "1 passed, 2 failed, 0 skipped")
        known = self.write("known.txt", "# reasons\ntwice.onnx:test_data_set_10 written by hand\n")
        self.assertEqual(self.last_line(".", "--known", known), "2 passed, 0 failed, 1 skipped")
        for line in ("twice.onnx:test_data_set_{1,10}", "twice.onnx"):
            known = self.write("known.txt", line + " written by hand\n")
            self.assertEqual(self.last_line(self.folder, "--known", known), "2 passed, 0 failed, 1 skipped")
        known = self.write("known.txt", "*.onnx names are written out\n")
        self.assertEqual(self.last_line(".", "--known", known, code=1), "2 passed, 1 failed, 0 skipped")

    def test_shape_and_nan(self):
        self.twice()
        nan = float("nan")
        self.put("a", (1, nan, 3), (2, nan, 6))
        self.put("b", (1, 2, 3), (2, 4, nan))
        self.put("c", (1, 2, 3), (2, 4, 6))
        self.write("c/output_0.pb", numbers("y", FLOAT, (3,), (2, 4, 6)))
        self.assertEqual(self.last_line(".", code=1), "1 passed, 2 failed, 0 skipped")

    def test_npz_and_sharing(self):
        self.twice()
        self.write("other.onnx", simple([node("Add", ["q", "q"], ["r"])], [("q", FLOAT, [2])], [("r", FLOAT, [2])]))
        with zipfile.ZipFile(self.folder / "io.npz", "w") as z:
            z.writestr("x.npy", npy("<f4", (1, 3), floats(1, 2, 3)))
            z.writestr("y.npy", npy("<f8", (3,), struct.pack("<3d", 2, 4, 6)))
        with zipfile.ZipFile(self.folder / "other_test_data_0.npz", "w") as z:
            z.writestr("inputs.npy", npy("<f4", (1, 2), floats(1, 2)))
            z.writestr("outputs.npy", npy("<f4", (1, 2), floats(2, 4)))
        self.assertEqual(self.last_line("."), "2 passed, 0 failed, 1 skipped")

    def test_data_without_model(self):
        self.put("weights_are_lost/test_data_set_0", (1, 2, 3), (2, 4, 6))
        self.assertEqual(self.last_line("."), "0 passed, 0 failed, 1 skipped")
        self.assertIn("no model", self.run_command("test", ".", "--verbose").stdout)

    def test_half_twin(self):
        self.same(FLOAT16, [1, 3])
        self.put("test_data_set_0", (1.0001, 2, 3), (1.0001, 2, 3))
        self.assertEqual(self.last_line("."), "1 passed, 0 failed, 0 skipped")

    def test_jobs_and_damage(self):
        for i in range(8):
            self.write(f"m{i}/m.onnx", simple([node("Neg", ["x"], ["y"])], [("x", FLOAT, [1, 3])], [("y", FLOAT, [1, 3])]))
            self.put(f"m{i}/test_data_set_0", (1, 2, 3), (-1, -2, -3))
        self.write("m7/test_data_set_0/input_0.pb", b"\x08")
        self.assertEqual(self.last_line(".", "--jobs", 3, code=1), "7 passed, 1 failed, 0 skipped")
        self.assertIn("No such file", self.run_command("test", "nowhere", code=1).stderr)


class Convert(Case):
    """A model of another framework, here one small enough to be written by hand: XGBoost, a sum of one tree."""
    TREE = {"left_children": [1, -1, -1], "right_children": [2, -1, -1], "split_indices": [1, 0, 0],
            "split_conditions": [0.5, -1.5, 2.5], "default_left": [1, 0, 0], "split_type": [0, 0, 0]}

    def setUp(self):
        super().setUp()
        os.environ["XDG_CACHE_HOME"] = str(self.folder / "cache")
        self.addCleanup(os.environ.pop, "XDG_CACHE_HOME")

    def booster(self, name="m.json", objective="reg:squarederror", **tree):
        learner = {"gradient_booster": {"model": {"tree_info": [0], "trees": [{**self.TREE, **tree}]}, "name": "gbtree"},
                   "learner_model_param": {"base_score": "1E0", "num_class": "0", "num_feature": "3"},
                   "objective": {"name": objective}}
        return self.write(name, json.dumps({"learner": learner, "version": [3, 0, 0]}).encode())

    def test_converts(self):
        self.booster()
        done = self.run_command("convert", "m.json")
        self.assertEqual(done.stdout, "m.json: XGBoost 3.0.0 to m.onnx\n")
        got = json.loads(self.run_command("run", "m.onnx", "input=[[0,0,0],[0,1,0]]", "--json").stdout)
        self.assertEqual(got["outputs"]["prediction"]["data"], [-0.5, 3.5])
        self.assertFalse((self.folder / "cache").exists())
        report = json.loads(self.run_command("convert", "m.json", "-o", "n.onnx", "--opset", 17, "--json").stdout)
        self.assertEqual((report["output"], report["format"], report["problems"]), ("n.onnx", "xgboost", []))
        self.assertIn("ai.onnx 17", self.run_command("inspect", "n.onnx").stdout)

    def test_on_the_fly(self):
        self.booster()
        for _ in range(2):
            got = json.loads(self.run_command("run", "m.json", "input=[[0,1,0]]", "--json").stdout)
            self.assertEqual(got["outputs"]["prediction"]["data"], [3.5])
        self.assertEqual(len(list((self.folder / "cache/sardonyx/converted").iterdir())), 1)
        self.assertIn("XGBoost 3.0.0", self.run_command("inspect", "m.json").stdout)
        self.assertIn("no problems", self.run_command("check", "m.json").stdout)
        self.assertIn("median", self.run_command("bench", "m.json", "--seconds", 0.05).stdout)
        self.write("test_data_set_0/input_0.pb", numbers("input", FLOAT, (1, 3), (0, 1, 0)))
        self.write("test_data_set_0/output_0.pb", numbers("prediction", FLOAT, (1,), (3.5,)))
        self.assertEqual(self.run_command("test", "m.json").stdout.splitlines()[-1], "1 passed, 0 failed, 0 skipped")

    def test_all_problems_at_once(self):
        self.booster(objective="reg:own", right_children=[1, -1, -1])
        done = self.run_command("convert", "m.json", code=1)
        self.assertIn("tree 0, node 1: two ways lead to it", done.stderr)
        self.booster(objective="reg:own")
        done = self.run_command("convert", "m.json", code=1)
        self.assertIn("learner.objective: the objective 'reg:own' is not known", done.stderr)
        self.assertIn("hint: a model of your own objective", done.stderr)
        self.assertFalse((self.folder / "m.onnx").exists())
        problem, = json.loads(self.run_command("check", "m.json", "--json", code=1).stdout)[0]["problems"]
        self.assertEqual((problem["code"], problem["place"]), ("NOT_SUPPORTED", "learner.objective"))
        self.assertIn("reg:own", self.run_command("run", "m.json", code=1).stderr)

    def test_other_files_are_named(self):
        for name, content, what, hint in (
                ("a.pt", b"PK\3\4" + bytes(22) + struct.pack("<HH", 16, 0) + b"archive/data.pkl", "PyTorch", "convert --trust"),
                ("a.bin", b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer", "git lfs pull"),
                ("a.ggml", b"tjgg" + bytes(20), "old format of llama.cpp", "GGUF"),
                ("a.html", b"<!DOCTYPE html><html>", "a web page", "the download went wrong"),
                ("a.ort", bytes(4) + b"ORTM" + bytes(20), "ONNX Runtime's own format", "ONNX file it was made from")):
            self.write(name, content)
            done = self.run_command("convert", name, code=1)
            self.assertIn(what, done.stderr)
            self.assertIn(hint, done.stderr)
            self.assertIn(what, self.run_command("inspect", name, code=1).stderr)
        self.assertIn("not recognised", self.run_command("convert", self.write("x.onnx", simple(
            [node("Neg", ["x"], ["y"])], [("x", FLOAT, [1])], [("y", FLOAT, [1])])), code=1).stderr)

    def test_usage(self):
        self.booster()
        listed = json.loads(self.run_command("convert", "--list", "--json").stdout)
        self.assertIn("xgboost", [f["format"] for f in listed["formats"]])
        self.assertIn("XGBoost", self.run_command("convert", "--list").stdout)
        self.assertIn("a model is missing", self.run_command("convert", code=2).stderr)
        self.assertIn("there is no format 'boost'", self.run_command("convert", "m.json", "--format", "boost", code=1).stderr)
        self.assertIn("would replace its source", self.run_command("convert", "m.json", "-o", "m.json", code=1).stderr)
        self.assertIn("cannot create a file in", self.run_command("convert", "m.json", "-o", "no/m.onnx", code=1).stderr)
        self.assertIn("opset 99", self.run_command("convert", "m.json", "--opset", 99, code=1).stderr)
        self.assertIn("No such file", self.run_command("convert", "nowhere.json", code=1).stderr)


if __name__ == "__main__":
    sys.exit(suite.run())
