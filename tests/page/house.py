# SPDX-License-Identifier: Apache-2.0
"""A folder of wheels, as a house has that installs Sardonyx under the names that programs ask for: its own packages, and an
`onnxruntime` that is nothing but a requirement of sardonyx-onnxruntime."""
import os
import pathlib
import subprocess
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pip(*words, **more):
    done = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)], capture_output=True, text=True,
                          check=False, **more)
    assert done.returncode == 0, done.stdout + done.stderr


def name_for(folder, name, requirement):
    """A wheel without files of its own."""
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: {requirement}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: house\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def build(folder):
    """The environment in which pip asks that folder and nobody else."""
    folder.mkdir()
    pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, ROOT / "compat/onnxruntime")
    name_for(folder, "onnxruntime", "sardonyx-onnxruntime")
    return {**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}"}
