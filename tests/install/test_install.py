#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `make install` leaves behind, used as a stranger would: headers alone, a program built through pkg-config, and
the shell and C examples of README.md to the letter. Its Python example is run by tests/python."""
import json
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
        # What the examples are about: a model with four numbers a row, reference data, a classifier, pictures, a model
        # of XGBoost (recognised by its content, not by its name).
        cls.work = pathlib.Path(cls.temporary.name) / "work"
        data = cls.work / "models/twice/test_data_set_0"
        data.mkdir(parents=True)
        twice = simple([node("Add", ["x", "x"], ["y"])], [("x", FLOAT, ["batch", 4])], [("y", FLOAT, ["batch", 4])])
        (data.parent / "twice.onnx").write_bytes(twice)
        (data / "input_0.pb").write_bytes(numbers("x", FLOAT, [1, 4], [1, 2, 3, 4]))
        (data / "output_0.pb").write_bytes(numbers("y", FLOAT, [1, 4], [2, 4, 6, 8]))
        shutil.copy(next((ROOT / "examples/digits/images").glob("*.png")), cls.work / "digit.png")
        shutil.copytree(ROOT / "examples/digits/images", cls.work / "pictures", ignore=shutil.ignore_patterns("*.txt", "*.md"))
        (cls.work / "model.ubj").write_text(json.dumps({
            "version": [2, 1, 0],
            "learner": {"learner_model_param": {"base_score": "0.5", "num_class": "0", "num_feature": "4"},
                        "objective": {"name": "reg:squarederror"},
                        "gradient_booster": {"name": "gblinear", "model": {"weights": [1, 2, 3, 4, 0.25]}}}}))

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
        self.assertEqual(headers, ["build.h", "edit.h", "provider.h", "sardonyx.h", "types.h"])

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

    def fails(self, line):
        """It ends with code 1 and a message, not with a signal."""
        done = subprocess.run(["bash", "-c", line], cwd=self.work, env=self.environment, capture_output=True,
                              text=True, timeout=120, check=False)
        self.assertEqual(done.returncode, 1, f"{line}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def test_c_example(self):
        (self.work / "app.c").write_text("\n".join(example("In C", "c")))
        command = re.search(r"`(cc app\.c .*?)`,", (ROOT / "README.md").read_text()).group(1)
        static = f"cc app.c $(pkg-config --cflags sardonyx) {self.library}/libsardonyx.a -lm -pthread"
        for line in (command, command.replace("cc app.c", "c++ -x c++ app.c -x none"), static):
            with self.subTest(line):
                self.run_here(line + " -Wall -Wextra -Werror")
                self.model()
                self.assertEqual(self.run_here("./a.out"), "2\n4\n6\n8\n")
                (self.work / "model.onnx").unlink()
                self.assertIn("'model.onnx' cannot be opened", self.fails("./a.out"))
                (self.work / "model.onnx").write_bytes(b"no model")
                self.assertIn("not an ONNX model", self.fails("./a.out"))

    def test_header_examples(self):
        """What stands in the heads of the headers compiles and does what it says: build.h makes a file, sardonyx.h
        runs it or says why not."""
        for name in ("sardonyx", "build"):
            text = (self.prefix / f"include/sardonyx/{name}.h").read_text()
            body = re.findall(r"(?m)^//   (.*)$", text.split("#pragma once")[0])
            self.assertGreater(len(body), 5)
            (self.work / f"{name}.c").write_text(f"#include <sardonyx/{name}.h>\n#include <stdio.h>\nint main(void) {{\n" +
                                                 "\n".join(body) + "\nreturn 0;\n}\n")
            self.run_here(f"cc {name}.c -o {name} -Wall -Wextra -Werror $(pkg-config --cflags --libs sardonyx)")
        (self.work / "model.onnx").unlink(missing_ok=True)
        self.assertNotIn(subprocess.run("./sardonyx", cwd=self.work, env=self.environment, stdout=subprocess.DEVNULL,
                                        check=False).returncode, (0, -11))
        self.run_here("./build")
        self.assertEqual(self.run_here("./sardonyx"), "0\n")

    def test_cmake_package(self):
        """Projects in C and in C++ that find the package and link both libraries, built against the prefix."""
        self.model()
        for language, ending in (("C", "c"), ("CXX", "cpp")):
            project = self.work / f"a consumer in {language}"
            project.mkdir()
            (project / "CMakeLists.txt").write_text(f"""
                cmake_minimum_required(VERSION 3.22)
                project(consumer LANGUAGES {language})
                find_package(sardonyx 0.1 REQUIRED)
                foreach(kind sardonyx static)
                  add_executable(with_${{kind}} main.{ending})
                  target_link_libraries(with_${{kind}} PRIVATE sardonyx::${{kind}})
                endforeach()""")
            (project / f"main.{ending}").write_text("""
                #include <sardonyx/sardonyx.h>
                #include <stdio.h>
                int main(int argc, char **argv) {
                  sdx_session *s;
                  if (sdx_session_load_file(argv[1], NULL, &s)) return 1;
                  printf("%s %zu\\n", sdx_version(), sdx_session_input_count(s));
                  sdx_session_destroy(s);
                  return 0;
                }""")
            self.run_here(f'cmake -S "{project}" -B "{project}/build" -DCMAKE_PREFIX_PATH="{self.prefix}"')
            self.run_here(f'cmake --build "{project}/build"')
            for kind in ("sardonyx", "static"):
                self.assertRegex(self.run_here(f'"{project}/build/with_{kind}" model.onnx'), r"^\d+\.\d+\.\d+ 1\n$")

    def test_shell_examples(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = str(s.getsockname()[1])
        server = None
        for line in example("In the shell", "sh"):
            line = line.replace("8080", port)
            self.model(picture="image=" in line or "pictures/" in line)
            if re.match("sardonyx (workspace )?serve", line):
                server = subprocess.Popen(["bash", "-c", "exec " + line.replace("workspace serve", "workspace serve --port 0")],
                                          cwd=self.work, env=self.environment, stdout=subprocess.PIPE,
                                          stderr=subprocess.DEVNULL, text=True)
                self.addCleanup(server.communicate)
                self.addCleanup(server.terminate)
                self.assertIn("http://", server.stdout.readline())
            elif not line.startswith("curl"):
                self.run_here(line)
                if line.startswith("sardonyx workspace create"):
                    self.addCleanup(self.run_here, "sardonyx workspace delete --yes")  # ends its services
            elif shutil.which("curl"):
                self.assertIn("[[2,4,6,8]]", self.run_here(line).replace(" ", ""))
            else:
                print("SKIPPED the curl example: there is no curl")
        self.assertIsNotNone(server)

    def test_shell_examples_without_files(self):
        """Where nothing of what they name is there, they say so."""
        empty = self.work / "empty"
        empty.mkdir()
        for line in example("In the shell", "sh"):
            if re.match("sardonyx [^#]*model[.s]", line) and "registry.example.com" not in line:
                with self.subTest(line):
                    self.assertIn("error", self.fails(f"cd empty; SARDONYX_HOME={empty} {line}"))


class Make(unittest.TestCase):
    def make(self, *words, **environment):
        done = subprocess.run(["make", "-s", *words], cwd=ROOT, capture_output=True, text=True, check=False,
                              env={**os.environ, **environment})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_install_and_uninstall(self):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder) / "a stage"
            (root / "opt/here/lib").mkdir(parents=True)
            (root / "opt/here/lib/other.so").write_text("somebody else's")
            self.make("install", "PREFIX=/opt/here", DESTDIR=str(root))
            self.assertTrue((root / "opt/here/bin/sardonyx").is_file())
            self.assertIn("removed", self.make("uninstall", "PREFIX=/opt/here", DESTDIR=str(root)))
            here = root / "opt/here"
            self.assertEqual(sorted(here.rglob("*")), [here / "lib", here / "lib/other.so"])

    def test_a_prefix_with_spaces(self):
        """A program is built against it, and nothing is left of it."""
        with tempfile.TemporaryDirectory() as folder:
            prefix = pathlib.Path(folder) / "a place/of mine"
            self.make("install", f"PREFIX={prefix}")
            (prefix.parent / "app.c").write_text("\n".join(example("In C", "c")))
            config = next(prefix.rglob("sardonyx.pc")).parent
            built = subprocess.run(["bash", "-ec", 'eval cc app.c "$(pkg-config --cflags --libs sardonyx)" && ./a.out'], cwd=prefix.parent,
                                   env={**os.environ, "PKG_CONFIG_PATH": str(config), "LD_LIBRARY_PATH": str(config.parent)},
                                   capture_output=True, text=True, check=False)
            self.assertIn("'model.onnx' cannot be opened", built.stderr)
            self.make("uninstall", f"PREFIX={prefix}")
            self.assertFalse(prefix.exists())

    def test_help_names_every_target(self):
        """Targets for people: those of the Makefile's own list, but for `all`."""
        text = (ROOT / "Makefile").read_text().replace("\\\n", " ")
        targets = set(re.search(r"\.PHONY:(.*)", text).group(1).split()) - {"all"}
        told = {word for line in self.make("help").splitlines() for word in line[:31].split()[1:]}
        self.assertEqual(told, targets)


if __name__ == "__main__":
    sys.exit(suite.run())
