#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds classes.md against the tests: every class once, in order, and whatever is said to show it is there. Every case of
the corpus belongs to a class of the list. Standard library only."""
import pathlib
import re
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE))
import corpus  # noqa: E402
import suite  # noqa: E402

COUNTS = {"W": 16, "G": 20, "T": 10, "X": 13, "O": 30, "J": 24, "S": 8, "R": 17, "D": 12}
ROW = re.compile(r"^\| ([A-Z]\d+) \| (.+?) \| (.+) \|$", re.M)


class Classes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.rows = ROW.findall((HERE / "classes.md").read_text())
        cls.cases = [c.name for c in corpus.cases()]

    def test_every_class_is_there_once(self):
        self.assertEqual([r[0] for r in self.rows], [f"{k}{n}" for k, count in COUNTS.items() for n in range(1, count + 1)])

    def show(self, name, shown):
        """One proof of a class: a file of tests and names in it, or cases of the corpus."""
        path, _, names = shown.partition(": ")
        if path == "corpus.py":
            for prefix in names.split(", ") if names else [name + "-"]:
                self.assertTrue([c for c in self.cases if c.startswith(prefix)], f"no case {prefix}")
            return
        text = (ROOT / path).read_text()
        for word in filter(None, names.split(", ")):
            self.assertRegex(text, rf"\b{re.escape(word)}\b", f"{path} has no {word}")
        self.assertTrue(names, f"{path}: which test?")

    def test_what_shows_them_is_there(self):
        for name, _, shown in self.rows:
            with self.subTest(name):
                proofs = re.findall(r"`(.+?)`", shown)
                self.assertTrue(proofs or shown.startswith("not "), "neither a test nor a reason")
                for proof in proofs:
                    self.show(name, proof)

    def test_every_case_has_a_class(self):
        known = {r[0] for r in self.rows} | {"X0"}  # X0: what must work
        self.assertEqual({c.split("-")[0] for c in self.cases} - known, set())


if __name__ == "__main__":
    sys.exit(suite.run())
