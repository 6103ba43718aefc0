# SPDX-License-Identifier: Apache-2.0
"""The operator records as Python objects, read from `sardonyx ops --json`."""
import json
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COMMAND = os.environ.get("SARDONYX", str(ROOT / "build/sardonyx"))


class Formal:
    """One formal parameter: "B:T?" """

    def __init__(self, text):
        self.name, _, kind = text.partition(":")
        self.type = kind.rstrip("?*+") or "any"
        self.optional = kind.endswith("?")
        self.variadic = kind[-1:] in ("*", "+")
        self.some = kind.endswith("+")


class Attribute:
    """One attribute: "axis:int=-1", "axes:ints<13" """

    def __init__(self, text):
        parts = re.match(r"([^:]+)(?::([a-z_]+))?(.*)", text)
        self.name, self.kind, rest = parts.group(1), parts.group(2), parts.group(3)
        self.required = rest.startswith("!")
        below = re.search(r"<(\d+)", rest)
        self.below = int(below.group(1)) if below else None
        default = re.match(r"=([^<]*)", rest)
        self.default = default.group(1) if default else None


class Record:
    def __init__(self, row):
        self.domain, self.name, self.cases = row["domain"], row["name"], row["cases"]
        self.versions = [int(v) for v in row["versions"].split()]
        self.supported = {r["version"]: r["types"] for r in row["supported"]}
        self.types = self.supported[self.versions[0]]
        self.inputs = [Formal(t) for t in row["inputs"].split()]
        self.outputs = [Formal(t) for t in row["outputs"].split()]
        self.attrs = [Attribute(t) for t in row["attrs"].split()]
        self.attrs_old = [Attribute(t) for t in row["attrs_old"].split()]

    @property
    def label(self):
        return f"{self.domain}.{self.name}" if self.domain else self.name


def load():
    rows = json.loads(subprocess.run([COMMAND, "ops", "--json"], capture_output=True, text=True, check=True).stdout)
    return {(r["domain"], r["name"]): Record(r) for r in rows}
