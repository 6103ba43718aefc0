#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The judges of test_contrib.py must say the same on another processor: its byte products (with --long all of it) once
more, oracles included, on an AVX2 processor without VNNI that qemu-user emulates."""
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import venv  # noqa: E402

venv.enter()
import definitions  # noqa: E402

PROCESSOR = "Haswell-noTSX"
qemu = shutil.which("qemu-x86_64")
if not qemu:
    venv.skip("there is no qemu-x86_64 (package qemu-user)")
look = subprocess.run([qemu, "-cpu", PROCESSOR, sys.executable, "-c",
                       "import numpy; print(numpy._core._multiarray_umath.__cpu_features__['AVX2'])"],
                      capture_output=True, text=True, check=False)
if look.stdout.strip() != "True":
    venv.skip(f"this qemu-x86_64 emulates no AVX2: {look.stderr.strip()[-200:]}")
operators = [] if "--long" in sys.argv else [*definitions.BYTE_PRODUCTS, "MatMulFpQ4", "QLinear", "MatMulNBits", "QMoE"]
done = subprocess.run([qemu, "-cpu", PROCESSOR, sys.executable, HERE / "test_contrib.py", *operators], text=True,
                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
print(done.stdout, end="")
sys.exit(done.returncode)
