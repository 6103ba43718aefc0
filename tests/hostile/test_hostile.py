#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the hostile corpus to a temporary folder and runs it through the plain and the sanitized
build of the driver. Every case says what must happen; see corpus.py.

    tests/hostile/test_hostile.py [NAME ...]     only cases whose name contains a NAME
"""
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
GOOD = ROOT / "examples/digits/digits.onnx"
sys.path.insert(0, str(HERE))
import corpus  # noqa: E402


def write(case, folder):
    """The case's model and side files in a folder of its own; the manifest line."""
    home = folder / "".join(c if c.isalnum() or c in "-_." else "_" for c in case.name)
    home.mkdir()
    for name, content in case.files.items():
        target = home / name
        if isinstance(content, bytes):
            target.write_bytes(content)
        elif content[0] == "symlink":
            target.symlink_to(content[1])
        elif content[0] == "hardlink":
            os.link(home / content[1], target)
        elif content[0] == "fifo":
            os.mkfifo(target)
        else:
            target.mkdir()
    path = home / "model.onnx"
    path.write_bytes(case.data)
    return "\t".join([case.name, str(path), case.expect, case.message, str(case.seconds), str(case.limit_mb),
                      ",".join(case.options)])


def main():
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    chosen = [c for c in corpus.cases() if not names or any(n in c.name for n in names)]
    drivers = [ROOT / "build/tests/hostile_driver", ROOT / "build/asan-ubsan/tests/hostile_driver"]
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        manifest = "\n".join(write(case, folder) for case in chosen) + "\n"
        small = [folder / "sweep-relu.onnx", folder / "sweep-external.onnx"]
        small[0].write_bytes(corpus.small())
        small[1].write_bytes(next(c for c in corpus.cases() if c.name == "G10-function-good").data)
        for driver in drivers:
            if not driver.exists():
                print(f"SKIPPED {driver.relative_to(ROOT)}: not built")
                skipped += 1
                continue
            environment = dict(os.environ, ASAN_OPTIONS="allocator_may_return_null=1:detect_leaks=1")
            runs = [subprocess.run([driver, GOOD], input=manifest, capture_output=True, text=True, env=environment)]
            if not names:
                runs.append(subprocess.run([driver, "--sweep", *small], capture_output=True, text=True, env=environment))
            for run in runs:
                lines = run.stdout.splitlines()
                closing = lines[-1].split() if lines and lines[-1].endswith("failed") else ["0", "", "1"]
                passed += int(closing[0])
                failed += int(closing[2]) + (run.returncode not in (0, 1))
                print(f"{driver.relative_to(ROOT)}:")
                print("\n".join("  " + l for l in lines[-80:]))
                if run.returncode not in (0, 1) or "Sanitizer" in run.stderr:
                    failed += 1
                    print("\n".join("  " + l for l in run.stderr.splitlines()[:60]))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
