# SPDX-License-Identifier: Apache-2.0
"""Model: files registered in a workspace under a name, with versions that count from 1. Model.deploy makes a service of
models, Model.package an image; an
InferenceConfig (_inference.py) gives the answers to a score.py, without one the server answers."""
import os
import pathlib
import sys

from azureml.core import _command
from azureml.core._asset import Asset, listed
from azureml.core._inference import InferenceConfig, ModelPackage  # noqa: F401 (imported from here by programs)
from azureml.core._scoring import build
from azureml.exceptions import ModelNotFoundException, UserErrorException, WebserviceException

MODELS_DIR = "azureml-models"
WITHOUT_EFFECT = ("datasets", "sample_input_dataset", "sample_output_dataset", "resource_configuration")
NOT_HERE = "Sardonyx keeps no datasets and measures no profiles in a cloud; `sardonyx bench MODEL` measures here"


class Model(Asset):
    """A registered model: Model(workspace, name="digits") is its newest version, version=2 or id="digits:2" another."""

    kind = "model"

    class Framework:
        """Frameworks that models are registered as. ONNX models are looked into; others are kept as they are."""

        CUSTOM = "Custom"
        TENSORFLOW = "TensorFlow"
        SCIKITLEARN = "ScikitLearn"
        ONNX = "Onnx"
        TFKERAS = "TfKeras"
        PYTORCH = "PyTorch"
        MULTI = "Multi"

    def __init__(self, workspace, name=None, id=None, tags=None, properties=None, version=None, run_id=None,
                 model_framework=None, expand=True, **kwargs):
        if "_facts" in kwargs:
            facts = kwargs["_facts"]
        elif id:
            facts = _command.ask("model", "show", id, workspace=workspace._folder)
        elif not name:
            raise WebserviceException("a model is asked for by its name or its id")
        elif version is not None:
            facts = _command.ask("model", "show", f"{name}:{version}", workspace=workspace._folder)
        elif tags or properties or model_framework or run_id:
            words = _command.option("framework", model_framework)
            found = [] if run_id else listed("model", workspace, name, tags, properties, *words)  # no model comes from a run here
            if not found:
                raise WebserviceException(f"no version of the model '{name}' has these tags, properties, framework and run")
            facts = found[0]
        else:
            facts = _command.ask("model", "show", name, workspace=workspace._folder)
        self._take(workspace, facts)

    def _take(self, workspace, facts):
        super()._take(workspace, facts)
        self.model_framework, self.model_framework_version = facts.get("framework"), facts.get("framework_version")
        self.url, self.mime_type, self.unpack = f"aml://asset/{facts['digest']}", "application/json", False
        self.run_id = self.run = self.experiment_name = self.resource_configuration = None
        self.sample_input_dataset = self.sample_output_dataset = None
        self.datasets, self._facts = {}, facts

    @staticmethod
    def register(workspace, model_path, model_name, tags=None, properties=None, description=None, datasets=None,
                 model_framework=None, model_framework_version=None, child_paths=None, sample_input_dataset=None,
                 sample_output_dataset=None, resource_configuration=None):
        """Registers a file or folder as a new version. `child_paths`: only these of the folder."""
        _command.warn_of(locals(), *WITHOUT_EFFECT)
        if model_framework is None and model_framework_version is not None:
            raise WebserviceException("model_framework_version is given without model_framework")
        if not os.path.exists(model_path):
            raise WebserviceException(f"there is no model file or folder '{model_path}' (in {os.getcwd()})")
        paths = [os.path.join(model_path, child) for child in child_paths] if child_paths else [model_path]
        print(f"Registering model {model_name}")
        facts = _command.ask("model", "register", *paths, "--name", model_name, *_command.options("tag", _command.pairs(tags)),
                             *_command.options("property", _command.pairs(properties)),
                             *_command.option("description", description), *_command.option("framework", model_framework),
                             *_command.option("framework-version", model_framework_version), workspace=workspace._folder)
        made = Model(workspace, _facts=facts)
        made.resource_configuration = resource_configuration
        return made

    @staticmethod
    def get_model_path(model_name, version=None, _workspace=None):
        """Where a model lies. Inside of a service: in its image. Elsewhere: beneath azureml-models, or in the current
        folder, or in a workspace, from which it is copied to azureml-models."""
        if version is not None and not isinstance(version, int):
            raise WebserviceException("version should be an int")
        if model_name is None:
            raise WebserviceException("model_name is None")
        host = sys.modules.get("sardonyx_standin")  # there when a script runs under `sardonyx serve --script`
        if host:
            return host.model_path(model_name, version)
        return _cached(model_name, version, _workspace)

    def download(self, target_dir=".", exist_ok=False, exists_ok=None):
        """Copies the files out of the workspace; the path of the file or folder that was registered."""
        if exist_ok and exists_ok is not None:
            raise WebserviceException("exist_ok and exists_ok are the same; give exist_ok alone")
        force = ["--force"] if exist_ok or exists_ok else []
        paths = self._ask("download", self.id, target_dir, *force)
        tops = {pathlib.PurePath(file["path"]).parts[0] for file in self._facts["files"]}
        return os.path.join(target_dir, tops.pop()) if len(tops) == 1 else os.path.commonpath(paths)

    @staticmethod
    def list(workspace, name=None, tags=None, properties=None, run_id=None, latest=False, dataset_id=None, expand=True,
             page_count=255, model_framework=None):
        """Models, newest first."""
        if run_id or dataset_id:
            return []  # none comes from a run or a dataset here
        words = [*_command.option("framework", model_framework), *(["--latest"] if latest else [])]
        return [Model(workspace, _facts=facts) for facts in listed("model", workspace, name, tags, properties, *words)]

    def serialize(self):
        """What there is to say, under the names of the REST interface."""
        return {"id": self.id, "name": self.name, "version": self.version, "framework": self.model_framework,
                "frameworkVersion": self.model_framework_version, "description": self.description, "tags": self.tags,
                "properties": self.properties, "createdTime": self.created_time.isoformat(), "url": self.url,
                "mimeType": self.mime_type, "unpack": self.unpack, "runId": self.run_id,
                "experimentName": self.experiment_name, "workspaceName": self.workspace.name}

    @staticmethod
    def deserialize(workspace, model_payload):
        """The model that serialize() told of."""
        return Model(workspace, id=model_payload["id"])

    def update(self, tags=None, description=None, sample_input_dataset=None, sample_output_dataset=None,
               resource_configuration=None):
        """Replaces tags and description where they are given."""
        _command.warn_of(locals(), *WITHOUT_EFFECT)
        if tags is not None:
            self._replace_tags(tags)
        if description is not None:
            self._change(description=description)
        self.resource_configuration = resource_configuration or self.resource_configuration

    def update_tags_properties(self, add_tags=None, remove_tags=None, add_properties=None):
        """Several changes as one."""
        self._change(tags=add_tags, removed=remove_tags or (), properties=add_properties)

    def add_dataset_references(self, datasets):
        raise UserErrorException(NOT_HERE)

    @staticmethod
    def print_configuration(models, inference_config, deployment_config, deployment_target):
        """What deploy() would be asked for."""
        print(f"Models: {[model.id for model in models]}")
        if inference_config:
            print(f"Entry script: {inference_config.entry_script}")
        if deployment_target:
            print(f"Compute target: {deployment_target.name}")
        if deployment_config:
            deployment_config.print_deploy_configuration()

    @staticmethod
    def deploy(workspace, name, models, inference_config=None, deployment_config=None, deployment_target=None,
               overwrite=False, show_output=False):
        """A service of these models. wait_for_deployment() of what comes back waits until it answers."""
        from azureml.core.webservice.webservice import deploy_models
        if show_output:
            Model.print_configuration(models, inference_config, deployment_config, deployment_target)
        return deploy_models(workspace, name, models, inference_config, deployment_config, deployment_target, overwrite)

    @staticmethod
    def package(workspace, models, inference_config=None, generate_dockerfile=False, image_name=None, image_label=None):
        """An image of these models that any container engine runs."""
        if generate_dockerfile:
            raise UserErrorException("generate_dockerfile: images are built without Docker; package() makes the image itself")
        name = image_name or (models[0].name if models else "package")
        facts = build(workspace, name, models, inference_config and inference_config._scoring(),
                      *_command.option("tag", image_label))
        return ModelPackage(workspace, facts["id"], getattr(inference_config, "environment", None))

    @staticmethod
    def profile(workspace, profile_name, models, inference_config, input_dataset, cpu=None, memory_in_gb=None,
                description=None):
        raise UserErrorException(NOT_HERE)

    def get_sas_urls(self):
        """Where the files lie, as addresses."""
        return {file["path"]: pathlib.Path(self.workspace._facts["store"], "blobs/sha256", file["digest"][7:]).as_uri()
                for file in self._facts["files"]}


def _cached(name, version, workspace):
    """A model's path beneath azureml-models, the folder that images have, too."""
    folder = pathlib.Path(MODELS_DIR, name)
    kept = sorted((int(p.name), p) for p in folder.iterdir() if p.name.isdigit()) if folder.is_dir() else []
    for number, path in reversed(kept):
        entries = list(path.iterdir())
        if version in (None, number) and len(entries) == 1:
            return str(entries[0])
        if version in (None, number):
            raise WebserviceException(f"{path} is expected to hold one file or folder; it holds {len(entries)}")
    if workspace is not None:
        model = Model(workspace, name, version=version)
        target = folder / str(model.version)
        target.mkdir(parents=True, exist_ok=True)
        return model.download(str(target), exist_ok=True)
    if os.path.exists(name):
        return name
    raise ModelNotFoundException(f"Model {name} not found in cache at {MODELS_DIR} or in current working directory "
                                 f"{os.getcwd()}. Model.get_model_path(name, _workspace=ws) takes it from a workspace.")
