# SPDX-License-Identifier: Apache-2.0
"""From a configuration (a score.py, what lies beside it, its packages, a base) to `sardonyx image build`. The two classes
that describe one, InferenceConfig and image.ContainerImageConfig, stand on Scoring."""
import contextlib
import os
import pathlib
import sys
import tempfile
import warnings

from azureml.core import _command
from azureml.exceptions import WebserviceException

RUNTIMES = ("python", "spark-py", "python-slim")


def check_exists(path, what):
    if not os.path.exists(path):
        raise WebserviceException(f"{what} '{path}' does not exist (in {os.getcwd()})")


class Scoring:
    """A score.py and its surroundings: paths, and what of the image is asked for."""

    def __init__(self, script, folder=None, files=(), conda_file=None, environment=None, runtime="python", base=None,
                 registry=None, docker_steps=None, gpu=None, description=None):
        self.script, self.folder, self.files, self.conda_file = script, folder, list(files or ()), conda_file
        self.environment, self.runtime, self.base, self.registry = environment, runtime, base, registry
        self.docker_steps, self.gpu, self.description = docker_steps, gpu, description

    def check(self):
        """Raises where a file is missing or what is asked for cannot be; warns of what has no effect."""
        if not self.script:
            raise WebserviceException("no entry script is given: a score.py with init() and run(raw_data)")
        if self.folder:
            check_exists(self.folder, "source directory")
        check_exists(self._script_path(), "entry script")
        if not self.script.endswith(".py"):
            raise WebserviceException(f"the entry script '{self.script}' is no Python file")
        for what, path in [("conda file", self.conda_file), *(("dependency", path) for path in self.files)]:
            if path:
                check_exists(self._beside(path) if what == "conda file" else path, what)
        if (self.runtime or "python").lower() not in RUNTIMES:
            raise WebserviceException(f"the runtime '{self.runtime}' is none of python, python-slim, spark-py")
        if (self.runtime or "").lower() == "spark-py":
            raise WebserviceException("the runtime spark-py needs Spark, which Sardonyx has not; runtime='python' runs a score.py")
        if self.docker_steps:
            check_exists(self._beside(self.docker_steps), "Docker file")
            warnings.warn("steps for Docker are not run: Sardonyx builds images without it. What the script needs is listed in "
                          "the conda file, or part of a base image.", stacklevel=4)
        if self.gpu:
            warnings.warn("models are computed by the processor here: what is asked for of GPUs has no effect", stacklevel=4)
        registry = self.registry
        if self.environment is not None:
            self.environment._check()
            _command.warn_of(vars(self), "conda_file")  # the environment names the packages
            registry = self.environment.docker.base_image_registry or registry
        if getattr(registry, "username", None) or getattr(registry, "password", None):
            warnings.warn("accounts of registries are those of 'podman login' and 'docker login'; the one that is given is not used",
                          stacklevel=4)

    def _beside(self, path):
        return os.path.join(self.folder, path) if self.folder and not os.path.exists(path) else path

    def _script_path(self):
        return os.path.join(self.folder, self.script) if self.folder else self.script

    def _files(self):
        """What lies beside the script: the files that are named, or all of the source directory but hidden ones."""
        if not self.folder:
            return self.files
        own = pathlib.PurePath(os.path.normpath(self.script))
        entries = sorted(e for e in os.listdir(self.folder) if not e.startswith(".") and e not in ("__pycache__", str(own)))
        return [*self.files, *(os.path.join(self.folder, e) for e in entries)]

    @contextlib.contextmanager
    def words(self):
        """Options of `image build`; the environment lies in a file while they are used."""
        with contextlib.ExitStack() as kept:
            conda, base, registry, variables = self.conda_file and self._beside(self.conda_file), self.base, self.registry, None
            if self.environment is not None:
                conda = self.environment._conda_file(kept.enter_context(tempfile.TemporaryDirectory(prefix="sardonyx-")))
                base = self.environment.docker.base_image or base
                registry = self.environment.docker.base_image_registry or registry
                variables = self.environment.environment_variables
            if base and getattr(registry, "address", None):
                base = f"{registry.address}/{base}"
            yield ["--script", self._script_path(), *_command.options("file", self._files()), *_command.option("conda", conda),
                   *_command.options("env", _command.pairs(variables)), *_command.option("base", base),
                   *_command.option("description", self.description), "--python", sys.executable]


def references(models):
    """Models or their ids, as options."""
    return _command.options("model", [model if isinstance(model, str) else model.id for model in models])


def build(workspace, name, models, scoring=None, *words):
    """Builds an image; what the command says of it. Without `scoring` the server answers by itself."""
    if scoring is None:
        return _command.ask("image", "build", "--name", name, *references(models), *words, workspace=workspace._folder)
    scoring.check()
    with scoring.words() as more:
        return _command.ask("image", "build", "--name", name, *references(models), *more, *words, workspace=workspace._folder)
