#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Completion scripts, asked as the shells ask them, and manual pages, read by groff. They are made out of the command
table, so every command and option is in them."""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import lab  # noqa: E402
import suite  # noqa: E402

BIN = str(pathlib.Path(lab.COMMAND).resolve().parent)


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            raise unittest.SkipTest(f"{program} is not installed")


class Words(lab.Case):
    def script(self, shell):
        return self.write(f"sardonyx.{shell}", self.command("completion", shell).stdout)

    def call(self, *words, **options):
        done = subprocess.run(words, capture_output=True, text=True, cwd=self.folder, check=False, timeout=60,
                              env={"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder)}, **options)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout

    def bash(self, line):
        words = line.split(" ")
        return set(self.call("bash", "-c", f'source sardonyx.bash; COMP_WORDS=("$@"); COMP_CWORD={len(words) - 1}; _sardonyx; '
                             'printf "%s\\n" "${COMPREPLY[@]}"', "bash", *words).split())

    def fish(self, line):
        return {answer.split("\t")[0] for answer in self.call("fish", "--no-config", "-c", f"source sardonyx.fish; complete -C '{line}'").splitlines()}

    def check(self, ask):
        self.register("digits")
        self.write("file.onnx", "x")
        self.assertLessEqual({"run", "model", "image", "workspace", "serve"}, ask("sardonyx "))
        self.assertEqual(ask("sardonyx comp"), {"completion"})
        self.assertLessEqual({"register", "list", "pull"}, ask("sardonyx model "))
        self.assertEqual(ask("sardonyx image pu"), {"push", "pull"})
        self.assertLessEqual({"--name", "--tag", "--workspace", "--json"}, ask("sardonyx model register --"))
        self.assertEqual(ask("sardonyx image build --comp"), {"--compression"})
        self.assertEqual(ask("sardonyx model show d"), {"digits"})

    def test_bash(self):
        need("bash")
        self.script("bash")
        self.check(self.bash)
        self.assertIn("file.onnx", self.bash("sardonyx model register fi"))
        self.assertIn("file.onnx", self.bash("sardonyx image build --script fi"))
        self.assertEqual(self.bash("sardonyx model list --name "), set())

    def test_fish(self):
        need("fish")
        self.script("fish")
        self.check(self.fish)
        self.assertIn("file.onnx", self.fish("sardonyx image build --script fi"))

    def test_zsh(self):
        need("zsh")
        self.call("zsh", "-n", self.script("zsh"))
        self.assertIn("expected to be bash", self.fails("completion", "sh", code=2))

    def test_manual_pages(self):
        self.command("manual", "--output", "man1")
        pages = {p.stem: p.read_text() for p in (self.folder / "man1").iterdir()}
        commands = re.findall(r"^  (\w+) ", self.command("help").stdout, re.M)
        self.assertEqual(set(pages), {"sardonyx"} | {f"sardonyx-{c}" for c in commands})
        for command in commands:
            options = re.findall(r"--([a-z][a-z-]+)", self.command("help", command).stdout.split("Options:")[-1].split("\n\n")[0])
            for option in options:
                self.assertIn(option.replace("-", "\\-"), pages[f"sardonyx-{command}"], command)
        self.assertIn("model register", pages["sardonyx-model"])
        self.assertIn("there is no command", self.fails("manual", "nothing", code=2))
        self.assertEqual(self.command("manual", "model").stdout, pages["sardonyx-model"])
        need("groff")
        for name in pages:
            self.call("groff", "-man", "-ww", "-z", f"man1/{name}.1")


if __name__ == "__main__":
    sys.exit(suite.run())
