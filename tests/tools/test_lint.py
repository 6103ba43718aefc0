#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/lint finds what it is there to find: each case adds one offence to the sources, in memory, and names the rule."""
import importlib.machinery
import importlib.util
import os
import pathlib
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import suite  # noqa: E402

loader = importlib.machinery.SourceFileLoader("lint", str(ROOT / "tools/lint"))
lint = importlib.util.module_from_spec(importlib.util.spec_from_loader("lint", loader))
sys.dont_write_bytecode = True
loader.exec_module(lint)

SECOND = {
    "clock": "static void f(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); }",
    "count of processors": "static long f(void) { return sysconf(_SC_NPROCESSORS_ONLN); }",
    "reader of control groups": 'static FILE *f(void) { return fopen("/sys/fs/cgroup/memory.max", "re"); }',
    "string slice": "typedef struct piece {\n  const char *start;\n  size_t length;\n} piece;",
    "JSON writer": r'static void f(char c) { printf("\\u%04x", c); }',
    "edit distance": "static size_t edit_distance(const char *a, const char *b) { return 0; }",
    "UTF-8 reader": "static bool f(char c) { return (c & 0xC0) == 0x80; }",
}


class Lint(unittest.TestCase):
    def test_the_tree_has_one_of_each(self):
        self.assertEqual(lint.check_one_of_each(), [])

    def test_a_second_of_each(self):
        self.assertEqual(SECOND.keys(), lint.ONE_OF_EACH.keys())
        for what, code in SECOND.items():
            for file in ("server/second.c", "src/run/second.c", "cli/second.c"):
                with self.subTest(what=what, file=file), unittest.mock.patch.dict(lint.CODE, {file: code}):
                    self.assertEqual(lint.check_one_of_each(),
                                     [f"{file}:1: a second {what}; use {lint.ONE_OF_EACH[what][1]}"])
                with self.subTest(what=what), unittest.mock.patch.dict(lint.CODE, {"tests/second.c": code}):
                    self.assertEqual(lint.check_one_of_each(), [])

    def test_phrases_have_one_home(self):
        self.assertEqual(lint.check_phrases(), [])
        for phrase in lint.PHRASES:
            for file, complaints in (("src/run/new.c", 1), ("server/new.c", 1), ("tests/new.py", 0)):
                with self.subTest(phrase), unittest.mock.patch.dict(lint.TEXT, {file: f'"{phrase}: x"'}):
                    self.assertEqual(len(lint.check_phrases()), complaints)

    def test_rules_of_the_engine(self):
        for code, complaint in (("void f(void) { free(malloc(1)); }", "malloc(1)"),
                                ("void f(char *s) { strcpy(s, s); }", "strcpy(")):
            with self.subTest(code=code), unittest.mock.patch.dict(lint.CODE, {"src/run/new.c": code}):
                self.assertIn(complaint, "".join(lint.check_banned()))

    def test_files_and_functions_have_an_end(self):
        self.assertEqual(lint.check_file_length() + lint.check_function_length(), [])
        for lines, complaints in ((700, 0), (701, 1)):
            for file in ("src/run/new.c", "tests/ops/new.py", "cli/new.h"):
                with unittest.mock.patch.dict(lint.TEXT, {file: "\n" * lines}):
                    self.assertEqual(len(lint.check_file_length()), complaints)
        for lines, complaints in ((70, 0), (71, 1)):
            with unittest.mock.patch.dict(lint.C, {"src/run/new.c": "int f(void) {\n" + "  x();\n" * (lines - 2) + "}\n"}):
                self.assertEqual(len(lint.check_function_length()), complaints)

    def test_macros_that_grow(self):
        for depth, complaints in ((4, 0), (8, 1)):
            with tempfile.TemporaryDirectory() as folder:
                file = pathlib.Path(folder) / "grows.c"
                file.write_text("#define NODE(x) node((int[]){x}, sizeof((int[]){x}))\n"
                                "int f(void) { return " + "NODE(" * depth + "1" + ")" * depth + "; }\n")
                with unittest.mock.patch.object(lint, "CODE", {os.path.relpath(file, ROOT): file.read_text()}):
                    self.assertEqual(len(lint.check_expansion()), complaints)

    def test_nodes_stand_in_the_order_of_the_calls(self):
        self.assertEqual(lint.check_order_of_nodes(), [])
        for statement, complaints in (('return insert2(u, "Add", insert1(u, "Neg", a), b);', 0),
                                      ('value_id x = insert1(u, "Neg", a), y = insert1(u, "Abs", x); g(x, y);', 0),
                                      ('return insert2(u, "Add", insert1(u, "Neg", a), ints1(u, 1));', 1),
                                      ('return insert2(u, "Add", two(u), g(u, two(u)));', 1),
                                      ('value_id in[2] = {insert1(u, "Neg", a), two(u)};', 1)):
            code = ('#include "ops/parts/rewrite.h"\nstatic value_id two(op_upgrade *u) { return ints1(u, 2); }\n'
                    "static value_id f(op_upgrade *u, value_id a, value_id b) {\n  " + statement + "\n}\n")
            with self.subTest(statement=statement), unittest.mock.patch.dict(lint.CODE, {"src/ops/ai_onnx/new.c": code}):
                self.assertEqual(len(lint.check_order_of_nodes()), complaints)

    def test_operators_have_their_place_and_name(self):
        self.assertEqual(lint.check_operators(), [])
        record = "SDX_OP(Triple) = {.infer = infer_same, .compute = %s};"
        for file, code, complaint in (
                ("ai_onnx/triple.c", record % "triple_compute", None),
                ("ai_onnx/triple.c", record % "compute", "does not say whose"),
                ("ai_onnx/thrice.c", record % "triple_compute", "named after no operator"),
                ("ai_onnx/triple.c", "static int x;", "has no record"),
                ("parts/triple.c", record % "triple_compute", "is to be in ai_onnx"),
                ("ai_onnx/triple.c", "SDX_OP_ML(Triple) = {.since = 1};", "is to be in ai_onnx_ml"),
                ("com_microsoft/triple.c", '#include "ops/ai_onnx/pool.inl"\n' + (record % "triple_compute").replace("SDX_OP(", "SDX_OP_MS("),
                 "includes a file of ai_onnx"),
                ("parts/triple.h", '#include "ops/ai_onnx/pool.inl"', "includes a file of ai_onnx")):
            with self.subTest(file=file, code=code), unittest.mock.patch.dict(lint.CODE, {"src/ops/" + file: code}):
                found = lint.check_operators()
                self.assertEqual(len(found), 1 if complaint else 0, found)
                self.assertIn(complaint or "", "".join(found))


if __name__ == "__main__":
    sys.exit(suite.run())
