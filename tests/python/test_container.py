# SPDX-License-Identifier: Apache-2.0
"""In a container with one processor and 512 MiB the package uses one thread and knows its memory."""

import json
import subprocess
import sys

import cgroup
import pytest

PROGRAM = """
import json, os, sys, numpy, sardonyx
session = sardonyx.InferenceSession(sys.argv[1])
session.run(None, {"x": numpy.ones((1024, 3), numpy.float32)})
print(json.dumps([session.describe("plan")["threads"], session.describe("memory")["limit_bytes"]]))
"""


def test_one_processor(twice, tmp_path):
    (tmp_path / "model.onnx").write_bytes(twice)
    try:
        with cgroup.group() as inside:
            done = subprocess.run([*inside, sys.executable, "-c", PROGRAM, tmp_path / "model.onnx"], cwd=tmp_path,
                                  capture_output=True, text=True, check=False)
    except cgroup.Unavailable as reason:
        pytest.skip(str(reason))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [1, cgroup.MEMORY_BYTES // 5 * 4]
