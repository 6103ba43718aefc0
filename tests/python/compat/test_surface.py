# SPDX-License-Identifier: Apache-2.0
"""The names, the order of arguments and the defaults of every public function, class and property are those of the real
package, but for the rows of differences.md (whose names may have `*`)."""

import fnmatch
import json
import os
import subprocess
import sys

import differences
import pytest
import surface

ROWS = [row for row in differences.REASONS if ": " not in row]


def surface_of(folder):
    env = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, surface.__file__], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def different(tmp_path_factory):
    """{name: (real signature, ours)} where they are not the same."""
    real, ours = surface_of(tmp_path_factory.mktemp("empty")), surface_of(differences.COMPAT)
    assert len(real) > 700
    return {name: (real.get(name), ours.get(name)) for name in real.keys() | ours.keys()
            if real.get(name) != ours.get(name)}


def test_differences_have_a_reason(different):
    unexplained = {n: d for n, d in different.items() if not any(fnmatch.fnmatchcase(n, row) for row in ROWS)}
    assert not unexplained, json.dumps(unexplained, indent=1)


def test_rows_have_a_difference(different):
    assert not [row for row in ROWS if not fnmatch.filter(different, row)]
