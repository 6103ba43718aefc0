# SPDX-License-Identifier: Apache-2.0
"""The two smallest programs of programs.py, which tells how to run all of them."""

import programs
import pytest


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    reason = programs.ready(folder)
    if reason:
        pytest.skip(reason)
    return folder


@pytest.mark.parametrize("name", ["swift-f0", "vietcombank-captcha"])
def test_program(own, name):
    result, why = programs.check(name, own)
    if result == "skipped":
        pytest.skip(why)
    assert result == "passed", why


def test_differences_are_seen():
    assert programs.differs([1.0, {"a": "x"}], [1.0005, {"a": "x"}]) is None
    assert programs.differs([1.0], [1.1]) and programs.differs(["x"], ["y"]) and programs.differs([1], [1, 2])
    assert programs.differs({"a": 1}, {"b": 1}) and programs.differs([None], [0.0])
