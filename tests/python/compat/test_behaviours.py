# SPDX-License-Identifier: Apache-2.0
"""Every line of behaviours.txt comes to the same under onnxruntime and under compat/onnxruntime, but for the rows of
differences.md. Messages are the same when ours begins with the real one: Sardonyx may say more."""

import json
import os
import subprocess
import sys

import behaviours
import differences
import pytest

LINES = [(topic, line) for topic, lines in behaviours.topics() for line in lines]


def outcomes(folder):
    """{topic: {line: outcome}} with packages of this folder first."""
    env = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("SARDONYX_ONNXRUNTIME_HOME", None)
    done = subprocess.run([sys.executable, behaviours.__file__], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="session")
def real(tmp_path_factory):
    return outcomes(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="session")
def ours():
    return outcomes(differences.COMPAT)


def agree(theirs, our):
    """Whether two outcomes are the same; of messages, those of the real package come first."""
    refused = theirs.startswith(("onnxruntime.", "builtins.")) and ": " in theirs
    return our == theirs or (refused and our.startswith(theirs))


def test_there_are_enough():
    assert len(set(LINES)) >= 200


@pytest.mark.parametrize(("topic", "line"), LINES)
def test_behaviour(real, ours, topic, line):
    theirs, our, reason = real[topic][line], ours[topic][line], differences.REASONS.get(f"{topic}: {line}")
    if reason:
        assert not agree(theirs, our), "no difference any more: take the row out of differences.md"
    else:
        assert agree(theirs, our), f"\nONNX Runtime: {theirs}\nours:         {our}"


def test_rows_are_of_lines_that_exist():
    known = {f"{topic}: {line}" for topic, line in LINES}
    assert not [row for row in differences.REASONS if ": " in row and row not in known]
