#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ONNX's own backend tests, of today and of every release, through `sardonyx test`: as a user runs it, on the
reference kernels, without graph passes, on 1 and 2 threads, and sanitized.

    tests/ops/test_conformance.py [NAME ...]     only tests whose path contains a NAME

Tolerance: that of ONNX's runner. What it stored as bfloat16 it compares as 16-bit integers; that is what the
command's own tolerance for bfloat16 stands for. tests/models/known.txt lists expectations that are wrong.
"""
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ARCHIVE = ROOT.parent / "shared/models/conformance/onnx-backend-tests.tar.xz"
MOST_KNOWN = 40


def run(binary, folders, arguments, extra):
    """{test: (outcome, text)} of one configuration."""
    results = {}
    exact = [f for f in folders if "BFLOAT16" not in f]
    for some, tolerance in ((exact, ["--rtol", "1e-3", "--atol", "1e-7"]),
                            ([f for f in folders if "BFLOAT16" in f], [])):
        for i in range(0, len(some), 2000):
            done = subprocess.run([binary, "test", "--json", *arguments, *tolerance, *some[i:i + 2000]],
                                  capture_output=True, text=True, errors="replace", env={**os.environ, **extra})
            try:
                sets = json.loads(done.stdout)["sets"]
            except ValueError:
                sets = []
            for s in sets:
                test = s["model"].removesuffix("/model.onnx")
                if s["outcome"] != "passed" or test not in results:
                    results[test] = s["outcome"], s["text"]
            if done.returncode not in (0, 1) or "Sanitizer" in done.stderr or "runtime error" in done.stderr:
                print(f"FAILED: exit code {done.returncode}\n{done.stderr[-3000:]}")
    for folder in folders:
        results.setdefault(folder, ("failed", "was not run to its end"))
    return results


def main():
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    if not ARCHIVE.exists():
        print(f"SKIPPED: {ARCHIVE} is absent\n0 passed, 0 failed, 1 skipped")
        return 0
    listed = sum("/test_" in l and not l.startswith("#") for l in (ROOT / "tests/models/known.txt").read_text().splitlines())
    assert listed <= MOST_KNOWN, f"known.txt lists {listed} lines of tests, at most {MOST_KNOWN} are allowed"
    plain = ROOT / "build/sardonyx"
    configurations = [("default", plain, [], {}),
                      ("reference kernels", plain, [], {"SARDONYX_CPU": "ref"}),
                      ("no passes", plain, ["--option", "optimize=none"], {}),
                      ("1 thread", plain, ["--threads", "1"], {}),
                      ("2 threads", plain, ["--threads", "2"], {}),
                      ("sanitized", ROOT / "build/asan-ubsan/sardonyx", [], {})]
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory() as home:
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(home)
        os.chdir(home)
        folders = sorted(str(p.parent.relative_to(home)) for p in pathlib.Path(home).glob("*/*/*/model.onnx"))
        folders = [f for f in folders if not names or any(n in f for n in names)]
        wrong, right, failures = set(), set(), {}
        for title, binary, arguments, extra in configurations:
            if not binary.exists():
                print(f"SKIPPED {title}: {binary.relative_to(ROOT)} is not built")
                skipped += 1
                continue
            start, before = time.monotonic(), passed
            for test, (outcome, text) in run(binary, folders, arguments, extra).items():
                if outcome == "passed":
                    passed += 1
                    right |= {test} if text.startswith("listed as known") else set()
                elif outcome == "skipped" and text.startswith("known: "):
                    skipped += 1
                    wrong.add(test)
                else:
                    failed += 1
                    failures.setdefault((test, text), []).append(title)
            print(f"{title}: {passed - before} of {len(folders)} passed, {time.monotonic() - start:.1f} s")
        for (test, why), titles in sorted(failures.items()):
            print(f"FAILED {test} ({'everywhere' if len(titles) == len(configurations) else ', '.join(titles)}): {why}")
        for test in sorted(right - wrong):
            print(f"FAILED {test} is listed in known.txt, but passes everywhere")
            failed += 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
