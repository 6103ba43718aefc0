#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions that small models take, counted by callgrind and compared with those of instructions.txt: 3 % more is a
failure, 3 % less asks for a new record. Time says nothing on a busy machine; this does, and hardly differs from run to
run. What a compiler makes of the code does: counts hold for the one that is named with them, and for its C library.

usage: test_instructions.py [NAME ...] [--record]
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import suite  # noqa: E402

HOME = pathlib.Path(__file__).resolve().parent
BUILD = pathlib.Path(os.environ.get("SARDONYX", HOME.parent.parent / "build/sardonyx")).parent
DRIVER, RECORDS = BUILD / "tests/speed_driver", HOME / "instructions.txt"
TIERS = ("avx2", "portable")  # valgrind knows no wider vectors
MOST, REPEATS = 0.03, 10


def count(tier, model, runs, shapes):
    """The least of three: a thread that waits for another one adds to it."""
    return min(count_once(tier, model, runs, shapes) for _ in range(3))


def count_once(tier, model, runs, shapes):
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", DRIVER, model, str(runs),
                           str(shapes)], env={**os.environ, "SARDONYX_CPU": tier}, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"{model} on {tier}: {done.stderr.strip()[-300:]}")
    return int(found.group(1))


def measure(tier, model, free):
    """(what, instructions): the first run from the start of the process on, one more run, a run with a new shape."""
    start = count(tier, model, 1, 0)
    yield "start", start
    yield "run", (count(tier, model, 1 + REPEATS, 0) - start) // REPEATS
    if free:
        few, many = count(tier, model, 1, REPEATS), count(tier, model, 1, 2 * REPEATS)
        yield "shape", (many - few) // REPEATS


def makers():
    """What else a count depends on: the compiler, as the driver notes it itself, and the C library."""
    done = subprocess.run(["readelf", "-p", ".comment", DRIVER], capture_output=True, text=True)
    compiler = sorted(set(re.findall(r"(?:GCC|clang)[^\n]*", done.stdout)))[0].strip()
    return f"{compiler}, {os.confstr('CS_GNU_LIBC_VERSION')}"


def read_records():
    lines = [line.split() for line in RECORDS.read_text().splitlines() if line and not line.startswith("#")]
    made_by = next(line for line in RECORDS.read_text().splitlines() if line.startswith("# by "))[len("# by "):]
    return made_by, {tuple(words[:3]): int(words[3]) for words in lines}


def main():
    for needed, there in (("valgrind", shutil.which("valgrind")), (str(DRIVER), DRIVER.exists())):
        if not there:
            print(f"SKIPPED: no {needed}\n0 passed, 0 failed, 1 skipped")
            return 0
    recording = "--record" in sys.argv
    made_by, records = read_records()
    if not recording and made_by != makers():
        print(f"SKIPPED: the counts are of {made_by}, this is {makers()}\n0 passed, 0 failed, 1 skipped")
        return 0
    models = [line.split() for line in subprocess.run([DRIVER], capture_output=True, text=True).stdout.splitlines()]
    tally, lines = suite.Tally(), []
    for model, *free in models:
        for tier in TIERS if tally.wants(model) else ():
            for what, found in measure(tier, model, free):
                lines.append(f"{model:<14} {tier:<10} {what:<6} {found:>12}")
                if recording:
                    continue
                known = records.get((model, tier, what), 0)
                wrong = abs(found - known) > MOST * known
                tally.note(f"{model}, {tier}, {what}", wrong and f"{found:,} instructions, {known:,} are recorded "
                           f"({found / max(known, 1) - 1:+.1%}); if that is as it should be: --record")
    if recording:
        RECORDS.write_text("# Instructions, written by test_instructions.py --record: model, tier, what, count.\n"
                           f"# by {makers()}\n" + "\n".join(lines) + "\n")
        return 0
    return tally.close()


sys.exit(main())
