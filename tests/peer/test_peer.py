#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Scripts under azureml-inference-server-http and under Sardonyx: what clients see is the same, but for the rows of
differences.md. A row names `script request what`, each with `*` if need be."""
import fnmatch
import json
import pathlib
import re
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import venv  # noqa: E402

venv.enter("peer")
from asked import ALL  # noqa: E402
import servers  # noqa: E402
from suite import Tally  # noqa: E402

ROWS = dict(re.findall(r"^\| `(.+)` \| (.+) \|$", (HERE / "differences.md").read_text(encoding="utf-8"), re.M))
IDS = ("x-request-id", "x-ms-request-id", "x-ms-client-request-id", "traceid")


def seen(answer):
    """{what: value} of an answer, without what is of the moment."""
    status, headers, body = answer
    found = {"status": status, "type": headers.get("content-type"), "failed": headers.get("x-ms-run-function-failed"),
             "timed": bool(re.fullmatch(r"\d+\.\d{3}", headers.get("x-ms-run-fn-exec-ms", ""))), "pot": headers.get("x-pot")}
    found |= {name: servers.plain_id(headers.get(name)) for name in IDS}
    try:
        found["body"] = json.dumps(json.loads(body))
    except ValueError:
        found["body"] = body.decode("latin-1")
    return found


def compare(tally, script, requests, folder):
    """Rows that were needed."""
    used, path = set(), HERE / "scripts" / f"{script}.py"
    with servers.peer(path, folder) as there, servers.ours(path, folder) as here:
        for name, request in requests.items():
            real, own = seen(servers.ask(there, *request)), seen(servers.ask(here, *request))
            for what in real:
                label = f"{script} {name} {what}"
                differs = real[what] != own[what]
                row = next((row for row in ROWS if fnmatch.fnmatchcase(label, row)), None) if differs else None
                used.add(row)
                tally.note(label, differs and not row and f"{real[what]!r} there, {own[what]!r} here")
    return used


def main():
    tally, used = Tally(), set()
    venv.install("bindings/python")
    scripts = [script for script in ALL if tally.wants(script)]
    with tempfile.TemporaryDirectory(prefix="sardonyx-peer-") as folder:
        for script in scripts:
            used |= compare(tally, script, ALL[script], pathlib.Path(folder))
    for row in ROWS if scripts == list(ALL) else ():
        tally.note(f"differences.md: {row}", row not in used and "there is no such difference")
    return tally.close()


if __name__ == "__main__":
    sys.exit(main())
