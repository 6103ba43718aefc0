# SPDX-License-Identifier: Apache-2.0
"""The command `sardonyx`, which does all the work: `ask` runs it with --json. What it refuses becomes an exception with
its own words."""
import json
import os
import shutil
import subprocess
import warnings

from azureml.exceptions import UserErrorException, WebserviceException


def program():
    found = os.environ.get("SARDONYX") or shutil.which("sardonyx")
    if not found:
        raise UserErrorException("the command 'sardonyx' is not in PATH: install Sardonyx (make install), or let the variable "
                                 "SARDONYX name it")
    return found


def refusal(stderr):
    """The command's message without its name; hints are lines of their own."""
    lines = [line.removeprefix("sardonyx: ").removeprefix("error: ") for line in stderr.strip().splitlines()]
    return "\n".join(lines) or "sardonyx ended without a message"


def tell(*words, workspace=None, failure=WebserviceException, reports=False, each_second=None, given=None):
    """What the command prints. `workspace`: the folder that it is about; `reports`: what it prints though it fails is an answer,
    as of a service that does not come up; `each_second`: called while it takes its time; `given`: what it reads."""
    pipe = subprocess.PIPE
    with subprocess.Popen([program(), *map(str, words), *option("workspace", workspace)], stdin=pipe,
                          stdout=pipe, stderr=pipe, text=True) as process:
        while True:
            try:
                out, err = process.communicate(given, timeout=1 if each_second else None)
                break
            except subprocess.TimeoutExpired:
                given = None  # it is on its way
                each_second()
    if process.returncode and not (reports and out.strip()):
        raise failure(refusal(err))
    return out


def ask(*words, **more):
    """What the command answers, as Python has JSON."""
    return json.loads(tell(*words, "--json", **more) or "null")


def options(name, values):
    """`--name value` for each value; None leaves the option out."""
    return [word for value in values or [] for word in (f"--{name}", str(value))]


def option(name, value):
    return [] if value is None else [f"--{name}", str(value)]


def arguments(values):
    """What an __init__ was given, out of its locals()."""
    return {name: value for name, value in values.items() if name not in ("self", "__class__")}


def warn_of(given, *names):
    """Says which of the arguments {name: value} the command has nothing for."""
    found = [name for name in names if given.get(name)]
    if found:
        warnings.warn(f"without effect here: {', '.join(found)}", stacklevel=4)


def pairs(values):
    """Tags or properties as the command wants them: a dict, or a list of keys and [key, value]."""
    if isinstance(values, dict):
        return [f"{key}={value}" for key, value in values.items()]
    if isinstance(values, str):
        raise UserErrorException(f"tags and properties are a dict or a list, not the text {values!r}")
    return [v if isinstance(v, str) else "=".join(map(str, v)) for v in values or []]
