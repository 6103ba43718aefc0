#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What /openapi.json of a workspace says is true: schemathesis asks what it allows and what it does not, with a key."""
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import venv  # noqa: E402

venv.enter("server")
import suite  # noqa: E402
from lab import twice  # noqa: E402
from test_rest import BYTES, RestCase  # noqa: E402

# What a body asks for may contradict what is there (a name, a model, both an image and models): no schema says it.
CONFIG = """
seed = 7
[phases.stateful]
enabled = false
[[operations]]
include-method = ["POST", "PATCH"]
checks.positive_data_acceptance.enabled = false
"""


class Description(RestCase):
    def test_openapi(self):
        self.good("POST", "/api/models", twice(), BYTES, name="m")
        (self.folder / "schemathesis.toml").write_text(CONFIG)
        words = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run",
                 f"http://127.0.0.1:{self.port}/openapi.json", "--header", f"Authorization: Bearer {self.key}",
                 "--max-examples", "100" if "--long" in sys.argv else "6", "--no-color"]
        done = subprocess.run(words, capture_output=True, text=True, cwd=self.folder, check=False)
        tested = re.search(r"Tested: (\d+)", done.stdout)
        self.assertEqual(done.returncode, 0, done.stdout[-6000:] + done.stderr[-2000:])
        self.assertGreater(int(tested[1]), 30)
        self.verify()


if __name__ == "__main__":
    sys.exit(suite.run())
