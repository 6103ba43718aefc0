# SPDX-License-Identifier: Apache-2.0
"""The Python examples of the READMEs run as they stand."""
import pathlib
import re

import onnx_bytes as ob
import pytest
import sardonyx

ROOT = pathlib.Path(__file__).resolve().parents[2]


def example(readme):
    """A code block marked as Python, or the indented lines."""
    text = (ROOT / readme).read_text()
    marked = re.search(r"```python\n(.*?)```", text, re.S)
    return marked.group(1) if marked else "\n".join(re.findall(r"^    ((?!pip ).*)$", text, re.M))


@pytest.mark.parametrize("readme, shape, result", [("README.md", [1, 4], "result"),
                                                   ("bindings/python/README.md", [1, 3, 224, 224], "scores")])
def test_example(readme, shape, result, same, tmp_path, monkeypatch):
    (tmp_path / "model.onnx").write_bytes(same(ob.FLOAT, shape))
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(example(readme), names)  # noqa: S102
    assert list(names[result].shape) == shape
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(sardonyx.NoSuchFile, match="model.onnx"):
        exec(example(readme), {})  # noqa: S102
