#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every suite and adds their counts up. Each suite is a command whose last line reads
`N passed, N failed[, N skipped]`, a cmocka program (counted from its TAP output), or a plain
command (its exit code is one test). The closing line of this program is the sum.

    tools/run_tests.py [--long] [NAME ...]    only the suites whose name contains a NAME

Suites that look at no clock and at no other process's memory run first, one a processor; the others alone.
"""
import argparse, concurrent.futures, itertools, os, pathlib, re, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
BESIDE = ("fuzz", "sanitized/passes", "sanitized/kernels", "sanitized/ops", "sanitized/onnx", "unit/passes", "unit/kernels",
          "chainer/", "convert/", "extend/", "models/", "mxnet/", "nets/", "ops/", "paddle/", "pytorch/", "qonnx/", "tensorflow/")
ALONE = ("ops/budgets",)
CLOSING = re.compile(r"(\d+) passed(?:, (\d+) failed)?(?:, (\d+) skipped)?")


def suites(long):
    yield "layers", [ROOT / "tools/check_layers"], {}
    yield "lint", [ROOT / "tools/lint"], {}
    for program in sorted((BUILD / "tests").glob("test_*")):
        yield "unit/" + program.name[5:], [program], {}
    for program in sorted((BUILD / "asan-ubsan/tests").glob("test_*")):
        yield "sanitized/" + program.name[5:], [program], {}
    for build, kind in ((BUILD, "fuzz"), (BUILD / "asan-ubsan", "fuzz-sanitized")):
        for program in sorted((build / "fuzz").glob("fuzz_*")):
            yield f"{kind}/{program.name[5:]}", [program, ROOT / "tests/fuzz/corpus" / program.name[5:]], {}
    yield "kernels", [BUILD / "sardonyx", "selftest", "kernels"], {}
    for script in sorted(ROOT.glob("tests/*/test_*.py")):
        if script.parent.name != "python":
            yield script.parent.name + "/" + script.stem[5:], [sys.executable, script] + (["--long"] if long else []), {}
    yield "python", [ROOT / "tests/python/run"], {}


def count(output, code):
    """(passed, failed, skipped) of a suite's output."""
    lines = output.splitlines()
    tap = [l for l in lines if re.match(r"(not )?ok \d+", l)]
    if tap:
        skipped = sum("# SKIP" in l for l in tap)
        failed = sum(l.startswith("not ok") and "# SKIP" not in l for l in tap)
        passed = len(tap) - failed - skipped
    else:
        found = [m for m in map(CLOSING.search, reversed(lines[-10:])) if m]
        if found:
            passed, failed, skipped = (int(g or 0) for g in found[0].groups())
        else:
            passed, failed, skipped = (1, 0, 0) if code == 0 else (0, 1, 0)
    if code != 0 and failed == 0:
        failed = 1
    return passed, failed, skipped


def run(name, command, extra):
    """(name, output, counts, seconds) of one suite."""
    start = time.monotonic()
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", SARDONYX=str(BUILD / "sardonyx"), SARDONYX_ROOT=str(ROOT), **extra)
    try:
        done = subprocess.run([str(c) for c in command], cwd=ROOT, env=environment, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=1200)
        output, code = done.stdout, done.returncode
    except subprocess.TimeoutExpired as error:
        output, code = (error.stdout or b"").decode(errors="replace") + "\ntimed out", 1
    return name, output, count(output, code), time.monotonic() - start


def report(name, output, counts, seconds):
    print(f"{name:<34} {counts[0]:>6} passed {counts[1]:>4} failed {counts[2]:>4} skipped {seconds:>7.1f} s  "
          f"{'FAILED' if counts[1] else 'ok'}", flush=True)
    if counts[1]:
        print("\n".join("    " + l for l in output.splitlines()[-60:]), flush=True)
    else:
        for line in output.splitlines():
            if "SKIP" in line:
                print("    " + line.strip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    chosen = [s for s in suites(arguments.long) if not arguments.names or any(n in s[0] for n in arguments.names)]
    beside = [s for s in chosen if s[0].startswith(BESIDE) and s[0] not in ALONE]
    total = [0, 0, 0]
    alone = (run(*suite) for suite in chosen if suite not in beside)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in itertools.chain(pool.map(lambda suite: run(*suite), beside), alone):
            report(*done)
            total = [t + c for t, c in zip(total, done[2])]
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    return 1 if total[1] else 0


if __name__ == "__main__":
    sys.exit(main())
