# SPDX-License-Identifier: Apache-2.0
"""Modules that scripts import and that may not be there: onnxruntime by way of the package sardonyx, and azureml, which lies
beside in compat/ (sources: compat/azureml of the repository), also under the names of azureml_inference_server_http. They are
found last: an installed package of the same name comes first.

`start["models"]` of the host says which models there are: [{"name", "version", "path"}].
"""
import importlib
import importlib.abc
import importlib.machinery
import os
import sys
import types

MODELS = []  # read by azureml.core.model, too


def model_path(model_name, version=None):
    """The path of a model of this image; of its newest version unless one is named."""
    found = [m for m in MODELS if m["name"] == model_name and version in (None, m["version"])]
    if not found:
        from azureml.exceptions import ModelNotFoundException
        raise ModelNotFoundException(f"Model {model_name}{f' version {version}' if version else ''} not found")
    return max(found, key=lambda m: m["version"])["path"]


SERVER = "azureml_inference_server_http"
INSTEAD = {"onnxruntime": "sardonyx", SERVER: None, f"{SERVER}.api": None, f"{SERVER}.api.aml_request": "azureml.contrib.services.aml_request",
           f"{SERVER}.api.aml_response": "azureml.contrib.services.aml_response"}


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=name.startswith(SERVER)) if name in INSTEAD else None

    def create_module(self, spec):
        return types.ModuleType(spec.name)

    def exec_module(self, module):
        instead = INSTEAD[module.__name__]
        if instead is None:
            return
        try:
            found = importlib.import_module(instead)
        except ImportError as error:
            raise ModuleNotFoundError(f"No module named '{module.__name__}' (and no {instead} to stand in for it: {error})",
                                      name=module.__name__) from None
        module.__dict__.update({k: v for k, v in vars(found).items() if not k.startswith("_")})
        module.__version__ = getattr(found, "__version__", None)


def install(start):
    MODELS[:] = start.get("models", [])
    sys.meta_path.append(Finder())
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "compat"))
