#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs an example: the steps of its notebook, in order, in a copy of its folder. The packages that it needs are installed
into an environment of their own (build/venv-azureml) the first time.

    examples/run.py mnist
    examples/run.py --list
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests"))
import venv  # noqa: E402


def examples():
    return {path.parent.name: path for path in sorted(HERE.glob("*/*.ipynb"))}


def cells(notebook):
    """(kind, text) of each cell."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        yield cell["cell_type"], "".join(cell["source"])


def run(notebook):
    """Text is shown as it stands, code is run as Jupyter would: all of it in one namespace."""
    names = {"__name__": "__main__"}
    for kind, text in cells(notebook):
        if kind == "markdown":
            print("\n" + text.strip() + "\n")
        else:
            exec(compile(text, f"{notebook.name}", "exec"), names)


def prepare():
    """The command and the packages of this tree."""
    command = pathlib.Path(os.environ.get("SARDONYX") or HERE.parent / "build/sardonyx").resolve()
    if not command.exists():
        sys.exit(f"{command} is not there: 'make build' makes it")
    os.environ["SARDONYX"] = str(command)
    venv.install("bindings/python")
    sys.path.insert(0, str(HERE.parent / "compat/azureml"))


def end_services(place):
    """Of a notebook that did not come to its end: they would outlive the folder."""
    if (place / ".azureml/config.json").exists():
        subprocess.run([os.environ["SARDONYX"], "workspace", "delete", "--yes", "--workspace", str(place)], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", nargs="?", choices=examples())
    parser.add_argument("--list", action="store_true", help="what there is")
    given = parser.parse_args()
    if given.list or not given.name:
        print("\n".join(examples()))
        return
    venv.enter("azureml")
    prepare()
    with tempfile.TemporaryDirectory(prefix=f"{given.name}-") as folder:
        place = pathlib.Path(folder, given.name)
        shutil.copytree(HERE / given.name, place)
        os.chdir(place)
        sys.path.insert(0, str(place))
        try:
            run(place / examples()[given.name].name)
        finally:
            end_services(place)


if __name__ == "__main__":
    main()
