# SPDX-License-Identifier: Apache-2.0
"""Environment: packages and a base image under a name. Registered, it lies beside the workspace's config.json, in
environments/NAME/VERSION, as save_to_directory writes it."""
import copy
import json
import os
import pathlib

from azureml.core import _command
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.container_registry import ContainerRegistry
from azureml.exceptions import UserErrorException

WITHOUT_EFFECT = ("arguments", "shm_size", "gpu_support", "platform", "base_conda_environment", "inferencing_stack_version")
DEFINITION, PACKAGES = "azureml_environment.json", "conda_dependencies.yml"


class PythonSection:
    """Which packages."""

    def __init__(self, **kwargs):
        self.interpreter_path, self.user_managed_dependencies = "python", False
        self.conda_dependencies, self.base_conda_environment = CondaDependencies(), None

    @property
    def conda_dependencies_file(self):
        return None

    @conda_dependencies_file.setter
    def conda_dependencies_file(self, value):
        self.conda_dependencies = CondaDependencies(value)


class DockerSection:
    """Which base image."""

    def __init__(self, **kwargs):
        self.enabled, self.base_image, self.base_dockerfile = False, None, None
        self.base_image_registry, self.platform = ContainerRegistry(), None
        self.shared_volumes, self.gpu_support, self.arguments, self.shm_size = True, False, [], None


class Environment:
    """What a score.py needs to run."""

    def __init__(self, name, **kwargs):
        if not name:
            raise UserErrorException("an environment has a name")
        self.name, self.version, self.environment_variables = name, None, {}
        self.python, self.docker = PythonSection(), DockerSection()
        self.inferencing_stack_version = None

    def __repr__(self):
        return json.dumps(self._definition(), indent=4)

    def _definition(self):
        docker = {key: value for key, value in vars(self.docker).items() if key not in ("base_image_registry", "platform")}
        return {"name": self.name, "version": self.version, "environmentVariables": self.environment_variables,
                "inferencingStackVersion": self.inferencing_stack_version,
                "python": {"interpreterPath": self.python.interpreter_path,
                           "userManagedDependencies": self.python.user_managed_dependencies,
                           "condaDependencies": self.python.conda_dependencies.as_dict()},
                "docker": {**docker, "registry": self.docker.base_image_registry.address}}

    def _check(self):
        """Raises for what cannot be; warns of what has no effect."""
        if self.docker.base_dockerfile:
            raise UserErrorException(f"the environment '{self.name}' has a base_dockerfile: images are built here without Docker. "
                                     "docker.base_image names an image that was built from it")
        _command.warn_of({**vars(self), **vars(self.docker), **vars(self.python)}, *WITHOUT_EFFECT)

    def _conda_file(self, folder):
        """Writes the environment file into a folder; its path, or None where the user cares for the packages."""
        if self.python.user_managed_dependencies:
            return None
        path = pathlib.Path(folder, PACKAGES)
        path.write_text(self.python.conda_dependencies.serialize_to_string(), encoding="utf-8")
        return str(path)

    def register(self, workspace):
        """Keeps it in the workspace, as another version if it changed."""
        kept = _versions(workspace, self.name)
        if kept:
            newest = Environment.load_from_directory(kept[-1])
            newest.version = self.version
            if newest._definition() == self._definition():
                return Environment.load_from_directory(kept[-1])
        made = self.clone(self.name)
        made.version = str(int(kept[-1].name) + 1 if kept else 1)
        made.save_to_directory(_place(workspace) / self.name / made.version)
        return made

    def clone(self, new_name):
        """The same under another name."""
        made = copy.deepcopy(self)
        made.name, made.version = new_name, None
        return made

    @staticmethod
    def get(workspace, name, version=None, label=None):
        """A registered one: the newest, or of that version."""
        kept = [path for path in _versions(workspace, name) if version in (None, path.name)]
        if not kept:
            raise UserErrorException(f"the workspace has no environment '{name}'{f' of version {version}' if version else ''}; "
                                     f"it has {', '.join(Environment.list(workspace)) or 'none'}")
        return Environment.load_from_directory(kept[-1])

    @staticmethod
    def list(workspace):
        """{name: the newest version}."""
        folder = _place(workspace)
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        return {name: Environment.get(workspace, name) for name in names}

    @staticmethod
    def from_conda_specification(name, file_path):
        """With the packages of an environment file."""
        made = Environment(name)
        made.python.conda_dependencies = CondaDependencies(file_path)
        return made

    @staticmethod
    def from_pip_requirements(name, file_path, pip_version=None):
        """With the packages of a requirements.txt."""
        made = Environment(name)
        lines = [line.partition(" #")[0].strip() for line in pathlib.Path(file_path).read_text(encoding="utf-8").splitlines()]
        made.python.conda_dependencies.set_pip_requirements([line for line in lines if line and not line.startswith("#")])
        if pip_version:
            made.python.conda_dependencies.add_conda_package(f"pip={pip_version}")
        return made

    @staticmethod
    def from_docker_image(name, image, container_registry=None, conda_specification=None, pip_requirements=None):
        """On a base image; with packages of an environment file or a requirements.txt, or none."""
        made = (Environment.from_conda_specification(name, conda_specification) if conda_specification
                else Environment.from_pip_requirements(name, pip_requirements) if pip_requirements else Environment(name))
        made.python.user_managed_dependencies = not (conda_specification or pip_requirements)
        made.docker.base_image = image
        made.docker.base_image_registry = container_registry or ContainerRegistry()
        return made

    def save_to_directory(self, path, overwrite=False):
        """Writes a folder that load_from_directory reads."""
        os.makedirs(path, exist_ok=overwrite)
        pathlib.Path(path, DEFINITION).write_text(json.dumps(self._definition(), indent=4), encoding="utf-8")
        pathlib.Path(path, PACKAGES).write_text(self.python.conda_dependencies.serialize_to_string(), encoding="utf-8")

    @staticmethod
    def load_from_directory(path):
        """What save_to_directory wrote."""
        definition = json.loads(pathlib.Path(path, DEFINITION).read_text(encoding="utf-8"))
        made = Environment(definition["name"])
        made.version, made.environment_variables = definition["version"], definition["environmentVariables"]
        made.inferencing_stack_version = definition.get("inferencingStackVersion")
        made.python.interpreter_path = definition["python"]["interpreterPath"]
        made.python.user_managed_dependencies = definition["python"]["userManagedDependencies"]
        made.python.conda_dependencies = CondaDependencies(os.path.join(path, PACKAGES))
        made.docker.base_image_registry.address = definition["docker"].pop("registry")
        vars(made.docker).update(definition["docker"])
        return made


def _place(workspace):
    return pathlib.Path(workspace._folder, ".azureml", "environments")


def _versions(workspace, name):
    """Folders of a name's versions, oldest first."""
    folder = _place(workspace) / name
    return sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda p: int(p.name)) if folder.is_dir() else []
