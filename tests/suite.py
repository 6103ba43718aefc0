# SPDX-License-Identifier: Apache-2.0
"""Runs the unittest cases of the script that calls it and closes with the counts run_tests.py reads."""
import sys
import unittest


def run(verbosity=1):
    """Only cases whose name contains one of the script's arguments, if there are any. The exit code."""
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    tests = unittest.TestSuite(case for group in unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
                               for case in group if not names or any(n in case.id() for n in names))
    result = unittest.TextTestRunner(verbosity=verbosity, stream=sys.stdout).run(tests)
    failed, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    print(f"{max(0, result.testsRun - failed - skipped)} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0
