# SPDX-License-Identifier: Apache-2.0
"""An environment with PyTorch, on top of tests/venv.py: packages that are installed without what they name as needed, and
stand-ins for the libraries of CUDA. `enter()` goes on inside it, or ends the script as skipped."""
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "convert")]
import venv  # noqa: E402


def _complete(home):
    """None, or why it cannot be had."""
    done, wanted = home / "alone", (HERE / "alone.txt").read_text()
    if done.exists() and done.read_text() == wanted:
        return None
    if not shutil.which("gcc") or not shutil.which("readelf"):
        return "there is no gcc or readelf to build stand-ins for CUDA's libraries with"
    installed = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--retries", "1",
                                "--timeout", "20", "--no-deps", "-r", HERE / "alone.txt"], capture_output=True, text=True)
    if installed.returncode:
        return "what alone.txt names cannot be had here: " + installed.stderr.strip().splitlines()[-1][:200]
    import stand_ins
    packages = pathlib.Path(next(p for p in sys.path if p.endswith("site-packages")))
    stand_ins.make(home / "stand-ins", packages / "torch/lib", packages / "torchvision")
    done.write_text(wanted)
    return None


def enter():
    home = venv.ROOT / "build/venv-pytorch"
    here = os.environ.get("LD_LIBRARY_PATH", "").split(":")
    if str(home / "stand-ins") in here:
        return
    venv.enter("pytorch")
    reason = _complete(home)
    if reason:
        venv.skip(reason)
    os.environ["LD_LIBRARY_PATH"] = ":".join([str(home / "stand-ins"), *filter(None, here)])
    os.execv(sys.executable, [sys.executable, *sys.argv])
