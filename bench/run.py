#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: builds every bench/bench_*.c and runs them one after another, nothing beside them.

usage: bench/run.py [NAME ...]      NAME as in bench_NAME.c; all by default
bench_gemm runs a second time with the matrix unit masked where the machine has one.
"""
import os
import pathlib
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
build = root / "build"


def run(program, **environment):
    note = " ".join(f"{key}={value}" for key, value in environment.items())
    print(f"\n== {' '.join(filter(None, [note, program]))}", flush=True)
    process = subprocess.Popen([build / program], cwd=root, env={**os.environ, **environment}, text=True,
                               stdout=subprocess.PIPE)
    lines = []
    for line in process.stdout:
        print(line, end="", flush=True)
        lines.append(line)
    return process.wait(), "".join(lines)


def main():
    known = sorted(path.stem for path in (root / "bench").glob("bench_*.c"))
    wanted = [f"bench_{name.removeprefix('bench_')}" for name in sys.argv[1:]] or known
    for name in wanted:
        if name not in known:
            sys.exit(f"no benchmark '{name}'; there are: {', '.join(known)}")
    subprocess.run(["cmake", "--build", build, "--target", *wanted], check=True, stdout=subprocess.DEVNULL)
    failed = []
    for name in wanted:
        status, output = run(name)
        if status == 0 and name == "bench_gemm" and "tile peak" in output:
            status, _ = run(name, SARDONYX_CPU="avx512")
        if status != 0:
            failed.append(name)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


main()
