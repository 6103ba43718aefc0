# SPDX-License-Identifier: Apache-2.0
"""Packages that only tests need (oracles, pytest, what builds the Python package), in build/venv.

A test script starts with `venv.enter()`: the virtual environment is made once, then the script goes on
inside it. Where the packages cannot be had the script ends as skipped, with the reason.
"""
import fcntl
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HOME = ROOT / "build/venv"
PYTHON = HOME / "bin/python"
REQUIREMENTS = ROOT / "tests/requirements.txt"


def skip(reason):
    print(f"SKIPPED: {reason}")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)


def _call(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True)


def _make():
    """None, or why there is no environment."""
    HOME.parent.mkdir(exist_ok=True)
    with open(HOME.parent / "venv.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another script may be making it
        done, wanted = HOME / "requirements", REQUIREMENTS.read_text()
        if done.exists() and done.read_text() == wanted:
            return None
        made = _call(sys.executable, "-m", "venv", HOME)
        if made.returncode:
            return "this Python has no venv: " + made.stdout.strip()[-200:]
        installed = _call(PYTHON, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--retries", "1",
                          "--timeout", "20", "-r", REQUIREMENTS)
        if installed.returncode:
            return f"what {REQUIREMENTS.relative_to(ROOT)} names cannot be had here: " + \
                installed.stderr.strip().splitlines()[-1][:200]
        done.write_text(wanted)
    return None


def enter():
    """Goes on inside the environment; the process is replaced the first time."""
    if pathlib.Path(sys.prefix) == HOME:
        return
    reason = _make()
    if reason:
        skip(reason)
    os.execv(PYTHON, [str(PYTHON), *sys.argv])
