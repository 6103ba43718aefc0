# SPDX-License-Identifier: Apache-2.0
"""Small models for first steps, with the names, inputs and outputs of ONNX Runtime's: mul_1.onnx, sigmoid.onnx and
logreg_iris.onnx. They are made when they are asked for, in a folder that is gone when the program ends."""
import functools
import pathlib
import shutil
import tempfile

from . import _examples


@functools.cache
def _folder():
    import atexit

    folder = tempfile.mkdtemp(prefix="onnxruntime-datasets-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return pathlib.Path(folder)


def get_example(name):
    """Name of the file of an example."""
    path = pathlib.Path(name)
    if path.suffix != ".onnx" or path.stem not in _examples.MODELS:
        raise FileNotFoundError(f"Unable to find example '{name}'")
    target = _folder() / path.name
    if not target.exists():
        target.write_bytes(_examples.MODELS[path.stem])
    return str(target)
