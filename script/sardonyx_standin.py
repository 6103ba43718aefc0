# SPDX-License-Identifier: Apache-2.0
"""Modules that scripts import and that may not be there: onnxruntime by way of the package sardonyx, and what of azureml a
score.py touches. They are found last: an installed package of the same name, or ours in compat/, comes first.

`start["models"]` of the host says which models there are: [{"name", "version", "path"}].
"""
import importlib.abc
import importlib.machinery
import sys
import types

MODELS = []


class ModelNotFoundException(Exception):
    """There is no model of that name in this image."""


def model_path(model_name, version=None):
    """The path of a model of this image; of its newest version unless one is named."""
    found = [m for m in MODELS if m["name"] == model_name and version in (None, m["version"])]
    if not found:
        raise ModelNotFoundException(f"Model {model_name}{f' version {version}' if version else ''} not found")
    return max(found, key=lambda m: m["version"])["path"]


class Model:
    """azureml.core.model.Model, as far as a scoring script goes."""

    @staticmethod
    def get_model_path(model_name, version=None, _workspace=None):
        return model_path(model_name, version)


class AMLRequest:
    """The request that run() gets under @rawhttp, with the members of flask's that scripts use."""

    def __init__(self, method="POST", path="/score", query="", headers=None, data=b""):
        self.method, self.path, self.data = method, path, data
        self.query_string = query.encode()
        self.full_path = f"{path}?{query}"
        self.headers = {k.title(): v for k, v in dict(headers or {}).items()}

    @classmethod
    def of_frame(cls, request, body):
        return cls(request.get("method", "POST"), request.get("path", "/score"), request.get("query", ""), request.get("headers"),
                   body)

    def get_data(self, as_text=False):
        return self.data.decode() if as_text else self.data

    def get_json(self, force=False, silent=False):
        import json
        return json.loads(self.data)

    json = property(get_json)


class AMLResponse:
    """What run() may return to choose status, headers and bytes."""

    def __init__(self, message, status_code=200, response_headers=None, json_str=False, run_function_failed=False):
        import json
        self.status_code, self.headers = status_code, dict(response_headers or {})
        if json_str or message is None:
            message = json.dumps({} if message is None else message)
            self.headers.setdefault("Content-Type", "application/json")
        self.data = message.encode() if isinstance(message, str) else bytes(message)

    def get_data(self):
        return self.data


class ModelDataCollector:
    """azureml.monitoring's collector: collects nothing here."""

    def __init__(self, model_name=None, identifier=None, feature_names=None, **more):
        self.model_name, self.identifier = model_name, identifier

    def collect(self, *values, **more):
        return "", []


def _rawhttp(module):
    def rawhttp(function):
        module._rawHttpRequested = True
        return function

    return rawhttp


def _fill(module):
    name = module.__name__
    if name in ("azureml.core", "azureml.core.model"):
        module.Model = Model
    elif name.endswith("aml_request"):
        module._rawHttpRequested = False
        module.rawhttp, module.AMLRequest = _rawhttp(module), AMLRequest
    elif name.endswith("aml_response"):
        module.AMLResponse = AMLResponse
    elif name == "azureml.monitoring":
        module.ModelDataCollector = ModelDataCollector
    elif name == "azureml.exceptions":
        module.WebserviceException = module.ModelNotFoundException = ModelNotFoundException
    elif name == "onnxruntime":
        import sardonyx
        module.__dict__.update({k: v for k, v in vars(sardonyx).items() if not k.startswith("_")})
        module.__version__ = sardonyx.__version__


NAMES = ("azureml", "azureml.core", "azureml.core.model", "azureml.exceptions", "azureml.contrib", "azureml.contrib.services",
         "azureml.contrib.services.aml_request", "azureml.contrib.services.aml_response", "azureml.monitoring", "onnxruntime")


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if name in NAMES else None

    def create_module(self, spec):
        return types.ModuleType(spec.name)

    def exec_module(self, module):
        module.__path__ = []
        try:
            _fill(module)
        except ImportError as error:
            raise ModuleNotFoundError(f"No module named '{module.__name__}' (and no sardonyx to stand in for it: {error})",
                                      name=module.__name__) from None


def install(start):
    MODELS[:] = start.get("models", [])
    sys.meta_path.append(Finder())
