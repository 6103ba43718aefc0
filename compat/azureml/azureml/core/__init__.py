# SPDX-License-Identifier: Apache-2.0
"""Workspaces, models, images and services, as Azure ML's SDK (v1) names them, on this machine and its workspaces. Nothing is
imported before it is asked for: a score.py needs Model.get_model_path alone."""
import importlib

from azureml._alone import check as _check

_check()

__version__ = VERSION = "1.61.0"  # of the SDK whose interface this is
_HOMES = {"ComputeTarget": "compute", "ContainerRegistry": "container_registry", "Environment": "environment", "Image": "image",
          "Model": "model", "Webservice": "webservice", "Workspace": "workspace"}
_TRAINING = ("Dataset", "Datastore", "Experiment", "Keyvault", "LinkedService", "PrivateEndPoint", "PrivateEndPointConfig", "Run",
             "RunConfiguration", "ScriptRun", "ScriptRunConfig", "SynapseWorkspaceLinkedServiceConfiguration", "get_run")
__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        return getattr(importlib.import_module(f"azureml.core.{_HOMES[name]}"), name)
    if name in _TRAINING:
        raise ImportError(f"azureml.core.{name} is about training and data in Azure. Sardonyx registers, builds, deploys and "
                          f"serves models that were trained elsewhere: {', '.join(__all__)}.")
    raise AttributeError(f"module 'azureml.core' has no attribute '{name}'")
