# SPDX-License-Identifier: Apache-2.0
"""Sub-packages that are programs of their own (quantization, transformers, tools): they are taken from an ONNX Runtime
that lies elsewhere, in the folder that SARDONYX_ONNXRUNTIME_HOME names, and run on this package."""
import importlib.util
import os
import pathlib
import sys

VARIABLE = "SARDONYX_ONNXRUNTIME_HOME"


def borrow(name):
    """Puts the other package's module in place of this one."""
    home = os.environ.get(VARIABLE)
    part = name.partition(".")[2]
    if not home:
        raise ImportError(f"{name} is not part of Sardonyx. To use ONNX Runtime's on it: pip install --no-deps "
                          f"--target FOLDER onnxruntime, and set {VARIABLE}=FOLDER.", name=name)
    folder = pathlib.Path(home) / "onnxruntime" / part
    if not (folder / "__init__.py").is_file():
        raise ImportError(f"{name}: {VARIABLE} is {home}, where there is no onnxruntime/{part}. pip install --no-deps "
                          f"--target {home} onnxruntime puts it there.", name=name)
    spec = importlib.util.spec_from_file_location(name, folder / "__init__.py",
                                                  submodule_search_locations=[str(folder)])
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
