#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Names, arguments, their order and defaults in compat/azureml are those of azureml-core 1.0.23 (whose arguments may be
followed by newer ones) and of the newest release, but for the rows of differences.md (whose names may have `*`)."""
import fnmatch
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import venv  # noqa: E402
from signatures import Surface, of_folder, of_wheel  # noqa: E402
from suite import Tally  # noqa: E402

COMPAT = HERE.parents[1] / "compat/azureml"
OLD, NEW, SERVICES = "azureml-core==1.0.23", "azureml-core==1.61.0.post4", "azureml-contrib-services==1.62.0"


def rows(release):
    """{pattern: reason} of the table under that heading."""
    text = (HERE / "differences.md").read_text(encoding="utf-8")
    part = re.search(rf"^## {re.escape(release)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return dict(re.findall(r"^\| `(.+)` \| (.+) \|$", part.group(1), re.M))


def shown(signature):
    if signature is None:
        return "nothing"
    return signature.kind + f" ({', '.join(n if d is None else f'{n}={d}' for n, d in signature.parameters)})" * \
        (signature.kind not in ("property", "attribute", "class", "value"))


def same(real, own, older):
    """Whether ours does for what the real one takes. What is an attribute there may be a property here."""
    if own is None:
        return False
    plain = ("attribute", "property", "value")
    if real.kind in plain and own.kind in plain:
        return True
    wanted = [p for p in real.parameters if not (older and p[0].startswith("**"))]
    return real.kind == own.kind and wanted == list(own.parameters[:len(wanted)] if older else own.parameters)


def explains(pattern, name, real, own):
    """Whether a row is about this difference. One with a `*` is about what is not there; one that begins with `attribute` about
    attributes that are not there."""
    kind, _, rest = pattern.rpartition(" ")
    return fnmatch.fnmatchcase(name, rest) and kind in ("", real.kind) and ("*" not in pattern or own is None)


def compare(tally, release, real, own):
    """The rows that were needed."""
    explained, used = {**rows("Every release"), **rows(release)}, set()
    for name, signature in sorted(real.all().items()):
        found = own.lookup(name)
        wrong = None if same(signature, found, release == OLD) else f"{shown(signature)} there, {shown(found)} here"
        pattern = next((p for p in explained if explains(p, name, signature, found)), None) if wrong else None
        used.add(pattern)
        tally.note(f"{release} {name}", None if pattern else wrong)
    return used


def main():
    tally, own, used, releases = Tally(), Surface(of_folder(COMPAT)), set(), (OLD, NEW, SERVICES)
    for release in releases:
        used |= compare(tally, release, Surface(of_wheel(venv.fetch(release))), own)
    for heading in ("Every release", *releases):
        for pattern in rows(heading).keys() - used:
            tally.note(f"differences.md: {pattern}", "there is no such difference")
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
