# SPDX-License-Identifier: Apache-2.0
"""What test scripts share: running their unittest cases or counting their own checks, chosen by the names on the
command line, and the closing line that run_tests.py reads."""
import sys
import unittest


def run(verbosity=1):
    """Only cases whose name contains one of the script's arguments, if there are any. The exit code."""
    names = [a for a in sys.argv[1:] if not a.startswith("-")]
    tests = unittest.TestSuite(case for group in unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
                               for case in group if not names or any(n in case.id() for n in names))
    result = unittest.TextTestRunner(verbosity=verbosity, stream=sys.stdout).run(tests)
    failed, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    for case, reason in result.skipped:
        print(f"SKIPPED {case.id().split('.', 1)[-1]}: {reason}")
    print(f"{max(0, result.testsRun - failed - skipped)} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


def number_after(option, otherwise):
    """The number behind an option, which both leave the command line."""
    if option not in sys.argv:
        return otherwise
    at = sys.argv.index(option)
    number = int(sys.argv[at + 1])
    del sys.argv[at:at + 2]
    return number


class Tally:
    """Counts checks as they come; what failed is printed at once."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def wants(self, name):
        names = [a for a in sys.argv[1:] if not a.startswith("-")]
        return not names or any(n in name for n in names)

    def note(self, name, wrong):
        """`wrong`: what is, or nothing."""
        self.passed, self.failed = self.passed + (not wrong), self.failed + bool(wrong)
        if wrong:
            print(f"FAILED {name}{': ' if name else ''}{wrong}")

    def attempt(self, name, test, failures=(AssertionError,)):
        """Passed unless the test raises one of the failures."""
        try:
            test()
            self.note(name, None)
        except failures as e:
            self.note(name, str(e) or type(e).__name__)

    def close(self):
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed else 0
