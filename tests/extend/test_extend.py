#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Follows the table "I want to ... -> go to ..." of ARCHITECTURE.md, row by row: what a row tells to add is added to a
scratch copy of the tree exactly there, all of it is built once, and each new thing is used. Rows that only name a
place name one that exists. A row that this file does not follow fails.

The NEON variant is cross-compiled and run under emulation where the tools are there; otherwise it says SKIPPED."""
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from onnx_bytes import FLOAT, floats, graph, model, node, opset, tensor, value  # noqa: E402
import suite  # noqa: E402

VARIANT = "arm_neon" if platform.machine() == "aarch64" else "x86_avx2"
# What a row tells to add: files, as {place: text here}, and lines, as {place: [(the line before, line)]}.
ADDED = {
    "add or fix an operator": ({"src/ops/ai_onnx/triple.c": "operator.c"}, {}),
    "add a domain of operators": (
        {"src/ops/org_example/halve.c": "domain_operator.c"},
        {"src/ops/domains.def": [("#define SDX_OP_ML", '#define SDX_OP_EXAMPLE(Name) '
                                  'OP_RECORD(Name, org_example, "org.example", org_example)')]}),
    "add a SIMD variant": ({f"src/kernels/binary_f32/{VARIANT}.c": "kernel.c"}, {}),
    "let convolutions and products apply another activation": (
        {}, {"src/kernels/activations.def": [("ACTIVATION(GELU_TANH", 'ACTIVATION(SOFTPLUS, "Softplus", SOFTPLUS, 0, 0, 0)')],
             "tests/kernels/test_gemm_f32.c": [("      return x / 2 * (1 + tanh(",
                                                "    case ACTIVATION_SOFTPLUS:\n      return log1p(exp(x));")]}),
    "rewrite graphs": ({"src/passes/double_negation.c": "pass.c"},
                       {"src/passes/pipeline.def": [("PASS(eliminate)", "PASS(double_negation)")]}),
    "add an option or a limit": (
        {}, {"src/run/options.def": [("OPTION(plan_cache", 'OPTION(example, 7, 0, 9, "an option of a test")')],
             "server/limits.h": [("  X(drain_ms", '  X(example, "example", 7, 0, 9, "a limit of a test") \\')]}),
    "add an error status": ({}, {"include/sardonyx/types.h": [
        ("  X(CONFLICT", '  X(NEGATIVE, "a number is below 0", 418, Fail) \\')]}),
    "add a sub-command": ({"cli/cmd_hello.c": "command.c"}, {}),
    "decode another kind of picture": (
        {"codecs/flat.c": "codec.c"},
        {"src/base/pictures.def": [("PICTURE(bmp", 'PICTURE(flat, "FLAT", "", ".flat", MAGIC(0, "FLAT"))')]}),
    "convert from another format": ({"convert/example.c": "converter.c"}, {"src/base/file_kind.c": [
        ("    // Models of other", '    {{"example", "a model of a test", CONVERTS, true}, MAGIC("EXMP"), 0, NULL},')]}),
    "name another kind of file": ({}, {"src/base/file_kind.c": [
        ('    {{"tar"', '    {{"sample", "a sample of a test", "", false}, MAGIC("SMPL"), 0, NULL},')]}),
    "add an HTTP route": ({"server/routes/hello.c": "route.c"}, {}),
    "give a command another way to name a model": ({"cli/locate_near.c": "scheme.c"}, {}),
    "change the registry's schema": ({"registry/migrations/004_example.sql": "migration.sql"}, {}),
}


def rows():
    """{what one wants: where to go}"""
    table = (ROOT / "ARCHITECTURE.md").read_text().split("| I want to | go to |", 1)[1].split("\n\n", 1)[0]
    return dict(re.fullmatch(r"\| (.*?) \| (.*) \|", line).groups() for line in table.split("\n")[2:])


def run(*command, succeeds=True, **options):
    """What it prints."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, **options)
    assert (done.returncode == 0) == succeeds, f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-3000:]}"
    return done.stdout


class Scratch:
    """A copy of the tree with everything that the rows tell to add. It stays in build/extend: a later run builds what
    has changed since."""

    def __init__(self, folder):
        self.tree, self.work, self.out = folder / "tree", folder / "work", folder / "host"
        self.program = self.out / "sardonyx"
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}

    def write(self):
        names = run("git", "ls-files", "-co", "--exclude-standard", cwd=ROOT).splitlines()
        files = {name: (ROOT / name).read_bytes() for name in names if (ROOT / name).is_file()}
        self.add(files)
        for file in [f for f in self.tree.rglob("*") if f.is_file() and str(f.relative_to(self.tree)) not in files]:
            file.unlink()
        for name, content in files.items():
            file = self.tree / name
            if not file.is_file() or file.read_bytes() != content:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)

    def add(self, files):
        files["src/kernels/binary_f32/arm_neon.c"] = (HERE / "kernel.c").read_bytes()
        for new, lines in ADDED.values():
            for place, text in new.items():
                assert place not in files or "arm_neon" in place, f"{place} is there already"
                files[place] = (HERE / text).read_bytes()
            for place, additions in lines.items():
                text = files[place].decode()
                for before, line in additions:
                    found = re.findall(rf"^{re.escape(before)}.*(?:\\\n.*)*\n", text, re.M)
                    assert len(found) == 1, f"{place} has {len(found)} lines that begin with '{before}'"
                    text = text.replace(found[0], found[0] + line + "\n")
                files[place] = text.encode()

    def build(self, out, *options, targets):
        run("cmake", "-S", self.tree, "-B", out, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_C_FLAGS_DEBUG=-O0",
            *options, env=self.environment)
        printed = run("ninja", "-C", out, *targets, env=self.environment)
        assert "warning:" not in printed, printed

    def sardonyx(self, *arguments, succeeds=True):
        return run(self.program, *arguments, succeeds=succeeds, cwd=self.work, env=self.environment)

    def model(self, name, nodes, shape=(4,), initializers=(), out_shape=None, extra=b""):
        x, y = value("x", FLOAT, list(shape)), value("y", FLOAT, list(out_shape or shape))
        (self.work / name).write_bytes(model(graph(nodes, [x], [y], initializers), extra=extra))
        return name


def holds(printed, *parts):
    for part in parts:
        assert part in printed, f"no '{part}' in:\n{printed}"


# ---- using what was added: one function a row, named after its first words ---------------------------


def add_or_fix_an_operator(s):
    s.model("triple.onnx", [node("Triple", ["x"], ["y"])])
    holds(s.sardonyx("run", "triple.onnx", "x=[1,2,3,4.5]"), "3 6 9 13.5")
    holds(s.sardonyx("ops"), "Triple")


def add_a_domain_of_operators(s):
    s.model("halve.onnx", [node("Halve", ["x"], ["y"], domain="org.example")], extra=opset(1, "org.example"))
    holds(s.sardonyx("run", "halve.onnx", "x=[1,2,3,5]"), "0.5 1 1.5 2.5")
    holds(s.sardonyx("ops"), "org.example")


def add_a_simd_variant(s):
    lines = [line.split() for line in s.sardonyx("kernels").splitlines()]
    assert ["binary_f32", VARIANT, "no"] in [line[:3] for line in lines], lines
    holds(s.sardonyx("selftest", "--filter", "binary_f32"), f"binary_f32 {VARIANT}")


def let_convolutions_and_products_apply_another_activation(s):
    weights = tensor(FLOAT, [1, 1, 1, 1], floats([2.0])[-4:], name="w")
    s.model("softplus.onnx", [node("Conv", ["x", "w"], ["c"]), node("Softplus", ["c"], ["y"])], (1, 1, 1, 2), [weights])
    holds(s.sardonyx("inspect", "softplus.onnx", "--graph"), 'FusedConv<activation="Softplus">')
    holds(s.sardonyx("run", "softplus.onnx", "x=[[[[0, 1]]]]", "--json"), "0.6931", "2.1269")
    run(s.out / "tests/test_kernels_gemm_f32", cwd=s.tree)


def rewrite_graphs(s):
    s.model("neg.onnx", [node("Neg", ["x"], ["a"]), node("Neg", ["a"], ["b"]), node("Relu", ["b"], ["y"])])
    assert "Neg" not in s.sardonyx("inspect", "neg.onnx", "--graph")
    holds(s.sardonyx("inspect", "neg.onnx", "--graph", "--option", "disable_passes=double_negation"), "Neg(")
    holds(s.sardonyx("run", "neg.onnx", "x=[-1,2,-3,4]"), "0 2 0 4")


def add_an_option_or_a_limit(s):
    s.model("relu.onnx", [node("Relu", ["x"], ["y"])])
    holds(s.sardonyx("run", "relu.onnx", "--option", "list"), "an option of a test")
    s.sardonyx("run", "relu.onnx", "--random", "--option", "example=9")
    holds(s.sardonyx("run", "relu.onnx", "--random", "--option", "example=10", succeeds=False), "example")
    holds(s.sardonyx("help", "serve"), "--example N", "a limit of a test")


def add_an_error_status(s):
    holds(s.sardonyx("run", "triple.onnx", "x=[1,2,-3,4]", succeeds=False), "input 0 ('X') is -3 at 2")
    with Server(s, "triple.onnx") as server:
        body = {"inputs": [{"name": "x", "shape": [4], "datatype": "FP32", "data": [1, 2, -3, 4]}]}
        status, text = server.ask("/v2/models/triple/infer", json.dumps(body).encode())
        assert status == 418 and "is -3 at 2" in text, (status, text)


def add_a_sub_command(s):
    holds(s.sardonyx("hello"), "hello from a command")
    holds(s.sardonyx("--help"), "Greet")


def decode_another_kind_of_picture(s):
    s.model("picture.onnx", [node("Relu", ["x"], ["y"])], (1, 3, 2, 2))
    (s.work / "grey.flat").write_bytes(b"FLAT\x02\x02\x07")
    holds(s.sardonyx("run", "picture.onnx", "grey.flat", "--image-scale", "1", "--json"), "7.0, 7.0")
    holds(s.sardonyx("check", "grey.flat", succeeds=False), "a FLAT picture")


def convert_from_another_format(s):
    (s.work / "model.exmp").write_bytes(b"EXMP\x03")
    s.sardonyx("convert", "model.exmp", "-o", "converted.onnx")
    holds(s.sardonyx("run", "converted.onnx", "input=[[-1,2,3]]"), "0 2 3")
    holds(s.sardonyx("convert", "--list"), "Example")


def name_another_kind_of_file(s):
    (s.work / "file.onnx").write_bytes(b"SMPL and more")
    holds(s.sardonyx("check", "file.onnx", succeeds=False), "a sample of a test")


def add_an_http_route(s):
    s.model("relu.onnx", [node("Relu", ["x"], ["y"])])
    with Server(s, "relu.onnx", "--example", "5") as server:
        assert server.ask("/hello") == (200, "hello from a route")
        holds(server.ask("/openapi.json")[1], "/hello")
        assert re.search(r'sardonyx_limit\{[^}]*example[^}]*\} 5', server.ask("/metrics")[1])


def give_a_command_another_way_to_name_a_model(s):
    s.model("relu.onnx", [node("Relu", ["x"], ["y"])])
    holds(s.sardonyx("run", "near:relu", "x=[-1,2,-3,4]"), "0 2 0 4")


def change_the_registry_s_schema(s):
    s.sardonyx("workspace", "create", "workspace")
    for file in (s.work / "workspace").rglob("*"):
        if file.is_file() and file.read_bytes()[:6] == b"SQLite":
            connection = sqlite3.connect(file)
            assert connection.execute("PRAGMA user_version").fetchone() == (4,)
            assert connection.execute("SELECT count(*) FROM example").fetchone() == (0,)
            connection.close()
            return
    raise AssertionError("the workspace has no database")


class Server:
    def __init__(self, s, *arguments):
        self.process = subprocess.Popen([s.program, "serve", *arguments, "--port", "0", "--port-file", "port"], cwd=s.work,
                                        env=s.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = self.process.stdout.readline()
        while line and "://" not in line:
            line = self.process.stdout.readline()
        self.port = int((s.work / "port").read_text())

    def ask(self, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)
        self.process.stdout.close()


# ---- rows that name a place ---------------------------------------------------------------------------


def place_exists(where):
    """What stands in backquotes: commands, paths (of patterns the folder), and names in the sources."""
    words = re.findall(r"`([^`]+)`", where)
    assert words, "names no place"
    for word in words:
        if word.startswith("git grep"):
            run(*shlex.split(word), cwd=ROOT)
        elif "/" in word or "." in word:
            path = word.removeprefix("python3 ").split(" ")[0].split("<")[0].rsplit("/", "<" in word)[0]
            assert any((ROOT / folder / path).exists() for folder in (".", "src/ops", "src/onnx")), f"{word} does not exist"
        else:
            run("git", "grep", "-qw", word, "--", "*.h", "*.def", cwd=ROOT)


# ---- the NEON kernel, cross-compiled ------------------------------------------------------------------

MAIN = '#include "sardonyx/sardonyx.h"\nint main(void) { return sdx_selftest_kernels("binary_f32", 50, false); }\n'


def neon_kernel(s):
    """None, or the reason why it could not be tried."""
    compiler, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if not compiler:
        return "no aarch64-linux-gnu-gcc"
    out = s.out.parent / "arm"
    launcher = [f"-DCMAKE_C_COMPILER_LAUNCHER={shutil.which('ccache')}"] if shutil.which("ccache") else []
    s.build(out, "-DSDX_TESTS=OFF", "-DSDX_TOOLS=OFF", "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
            f"-DCMAKE_C_COMPILER={compiler}", "-DCMAKE_OBJCOPY=" + shutil.which("aarch64-linux-gnu-objcopy"), *launcher,
            targets=["sardonyx_static"])
    (s.work / "main.c").write_text(MAIN)
    run(compiler, "-I", s.tree / "include", s.work / "main.c", out / "libsardonyx.a", "-o", out / "main", "-static",
        "-pthread", "-lm")
    if not emulator:
        return "built, but there is no qemu-aarch64 to run it"
    printed = run(emulator, out / "main")
    holds(printed, "binary_f32 arm_neon")
    assert "FAILED" not in printed, printed
    return None


def main():
    tally = suite.Tally()
    wanted = rows()
    for row in ADDED.keys() - wanted.keys():
        tally.note(row, "no row of ARCHITECTURE.md says this any more")
    for row, where in wanted.items():
        tally.attempt(f"{row}: the place", lambda: place_exists(where))
    s = Scratch(ROOT / "build/extend")
    s.write()
    s.build(s.out, targets=["sardonyx", "test_kernels_gemm_f32"])
    for row in wanted:
        if row in ADDED and tally.wants(row):
            tally.attempt(row, lambda: globals()[re.sub(r"\W+", "_", row.lower())](s))
        elif row not in ADDED and re.match(r"(add|decode|convert|name|rewrite|give|let|change the) ", row):
            tally.note(row, "tells to add something that this test does not add")
    if VARIANT != "arm_neon":
        reason = neon_kernel(s)
        if reason:
            tally.skipped += 1
            print(f"SKIPPED NEON kernel: {reason}")
        else:
            tally.note("NEON", None)
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
