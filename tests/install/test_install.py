#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `make install` leaves behind, used as a stranger would: headers alone, a program built through pkg-config, and
the shell and C examples of README.md to the letter. Its Python example is run by tests/python."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import suite  # noqa: E402
from onnx_bytes import FLOAT, node, numbers, simple  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SARDONYX_BUILD", ROOT / "build"))


def example(title, language):
    """The lines of the code block under a title of README.md."""
    text = (ROOT / "README.md").read_text().split(f"## {title}\n")[1]
    return re.search(rf"```{language}\n(.*?)```", text, re.S).group(1).splitlines()


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        stage = pathlib.Path(cls.temporary.name) / "stage"
        subprocess.run(["cmake", "--install", BUILD, "--prefix", "/opt/sardonyx"], check=True, capture_output=True,
                       env={**os.environ, "DESTDIR": str(stage)})
        cls.prefix = stage / "opt/sardonyx"
        cls.library = next(cls.prefix.glob("**/libsardonyx.so")).parent
        cls.environment = {**os.environ, "PKG_CONFIG_PATH": str(cls.library / "pkgconfig"),
                           "LD_LIBRARY_PATH": str(cls.library), "PATH": f"{cls.prefix}/bin:{os.environ['PATH']}"}
        # What the examples are about: a model with four numbers a row, reference data, a classifier, a picture.
        cls.work = pathlib.Path(cls.temporary.name) / "work"
        data = cls.work / "models/twice/test_data_set_0"
        data.mkdir(parents=True)
        twice = simple([node("Add", ["x", "x"], ["y"])], [("x", FLOAT, ["batch", 4])], [("y", FLOAT, ["batch", 4])])
        (data.parent / "twice.onnx").write_bytes(twice)
        (data / "input_0.pb").write_bytes(numbers("x", FLOAT, [1, 4], [1, 2, 3, 4]))
        (data / "output_0.pb").write_bytes(numbers("y", FLOAT, [1, 4], [2, 4, 6, 8]))
        shutil.copy(next((ROOT / "examples/digits/images").glob("*.png")), cls.work / "digit.png")

    def model(self, picture=False):
        shutil.copy(ROOT / "examples/digits/digits.onnx" if picture else self.work / "models/twice/twice.onnx",
                    self.work / "model.onnx")

    def run_here(self, line, **options):
        done = subprocess.run(["bash", "-ec", line], cwd=self.work, env=self.environment, capture_output=True,
                              text=True, timeout=120, check=False, **options)
        self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout}{done.stderr}")
        return done.stdout

    def test_files(self):
        self.assertTrue((self.prefix / "bin/sardonyx").is_file())
        for name in ("libsardonyx.so", "libsardonyx.a", "pkgconfig/sardonyx.pc"):
            self.assertTrue((self.library / name).is_file(), name)

        headers = sorted(p.name for p in (self.prefix / "include").rglob("*") if p.is_file())
        self.assertEqual(headers, ["build.h", "sardonyx.h", "types.h"])

    def test_library_is_clean(self):
        """No dependency but the C library, and no name but its own."""
        needed = re.findall(r"NEEDED.*\[(.*?)\]", self.run_here(f"readelf -d {self.library}/libsardonyx.so"))
        self.assertLessEqual({n.split(".")[0] for n in needed}, {"libc", "libm", "libpthread", "ld-linux-x86-64"})
        for flags in (f"-D {self.library}/libsardonyx.so", f"-g {self.library}/libsardonyx.a"):
            names = re.findall(r" [TDBRVW] (\w+)", self.run_here("nm --defined-only " + flags))
            self.assertTrue(names)
            self.assertEqual([n for n in names if not n.startswith("sdx_") and n != "SARDONYX_0"], [])

    def test_headers_alone(self):
        for compiler in ("cc -std=c17", "clang -std=c17", "clang++ -std=c++17"):
            for header in ("sardonyx", "types"):
                self.run_here(f"{compiler} -pedantic -Wall -Wextra -Werror -fsyntax-only -I {self.prefix}/include "
                              f"-include sardonyx/{header}.h -x {'c++' if '++' in compiler else 'c'} /dev/null")

    def test_c_example(self):
        self.model()
        lines = example("In C", "c")
        includes = ["#include <stdio.h>"] + [l for l in lines if l.startswith("#")]
        body = [l for l in lines if not l.startswith("#")]
        end = 'printf("%g %g %g %g\\n", y[0], y[1], y[2], y[3]);'
        (self.work / "app.c").write_text("\n".join([*includes, "int main(void) {", *body, end, "return 0;\n}\n"]))
        command = re.search(r"`(cc app\.c .*)`", (ROOT / "README.md").read_text()).group(1)
        self.run_here(command)
        self.assertEqual(self.run_here("./a.out"), "2 4 6 8\n")
        self.run_here(f"cc app.c $(pkg-config --cflags sardonyx) {self.library}/libsardonyx.a -lm -pthread -o static")
        self.assertEqual(self.run_here("LD_LIBRARY_PATH= ./static"), "2 4 6 8\n")

    def test_shell_examples(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = str(s.getsockname()[1])
        server = None
        for line in example("In the shell", "sh"):
            line = line.replace("8080", port)
            self.model(picture="image=" in line)
            if "serve" in line:
                server = subprocess.Popen(["bash", "-c", "exec " + line], cwd=self.work, env=self.environment,
                                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                self.addCleanup(server.communicate)
                self.addCleanup(server.terminate)
                self.assertIn("http://", server.stdout.readline())
            elif not line.startswith("curl"):
                self.run_here(line)
            elif shutil.which("curl"):
                self.assertIn("[[2,4,6,8]]", self.run_here(line).replace(" ", ""))
            else:
                print("SKIPPED the curl example: there is no curl")
        self.assertIsNotNone(server)


if __name__ == "__main__":
    sys.exit(suite.run())
