# SPDX-License-Identifier: Apache-2.0
"""InferenceConfig and ModelPackage, which programs import from azureml.core.model."""
import os
import pathlib

from azureml.core import _command
from azureml.core._scoring import Scoring


class InferenceConfig:
    """A score.py, the folder it lies in and its environment: what answers for models that are deployed."""

    def __init__(self, entry_script, runtime=None, conda_file=None, extra_docker_file_steps=None, source_directory=None,
                 enable_gpu=None, description=None, base_image=None, base_image_registry=None, cuda_version=None,
                 environment=None):
        self.entry_script, self.runtime, self.conda_file = entry_script, runtime, conda_file
        self.extra_docker_file_steps, self.source_directory = extra_docker_file_steps, source_directory
        self.enable_gpu, self.description, self.cuda_version = enable_gpu, description, cuda_version
        self.base_image, self.base_image_registry, self.environment = base_image, base_image_registry, environment
        self.validate_configuration()

    def __repr__(self):
        shown = ("entry_script", "runtime", "conda_file", "extra_docker_file_steps", "source_directory", "enable_gpu",
                 "base_image", "base_image_registry")
        return f"InferenceConfig({', '.join(f'{name}={getattr(self, name)}' for name in shown)})"

    def _scoring(self):
        return Scoring(self.entry_script, self.source_directory, (), self.conda_file, self.environment, self.runtime,
                       self.base_image, self.base_image_registry, self.extra_docker_file_steps,
                       self.enable_gpu or self.cuda_version, self.description)

    def validate_configuration(self):
        """Raises where a file is missing or what is asked for cannot be."""
        self._scoring().check()

    def validation_script_content(self):
        """Raises where the script is not Python, or has no init() or run()."""
        import ast

        from azureml.exceptions import WebserviceException
        path = os.path.join(self.source_directory or "", self.entry_script)
        try:
            tree = ast.parse(pathlib.Path(path).read_bytes(), path)
        except SyntaxError as error:
            raise WebserviceException(f"{path}:{error.lineno}: {error.msg}") from None
        missing = {"init", "run"} - {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        if missing:
            raise WebserviceException(f"{path} has no function {'() and no function '.join(sorted(missing))}()")


class ModelPackage:
    """An image of models, made by Model.package."""

    def __init__(self, workspace, operation_id, environment):
        self.workspace, self.environment = workspace, environment
        self._facts = _command.ask("image", "show", operation_id, workspace=workspace._folder)
        self.location, self.state, self.package_build_log_uri = self._facts["id"], "Succeeded", None

    def __repr__(self):
        return f"ModelPackage(workspace={self.workspace}, location={self.location}, state={self.state})"

    def get_container_registry(self):
        """None: the image lies in the workspace until it is pushed (`sardonyx image push`)."""

    def get_logs(self, decode=True, offset=0):
        """What there is to say of the image."""
        text = "\n".join(f"{layer['digest']} {layer['size']} {layer['path']}" for layer in self._facts["files"])[offset:]
        return text if decode else text.encode()

    def pull(self):
        """Nothing to fetch: the image is on this machine; its name is `location`."""
        print(f"{self.location} is in the workspace; 'sardonyx image export {self.location} FILE.tar' writes it for podman load")

    def save(self, output_directory):
        """Writes the image as an OCI layout into a folder."""
        _command.tell("image", "export", self.location, output_directory, workspace=self.workspace._folder)

    def update_creation_state(self):
        """Nothing changes: the image was there when this object was made."""

    def wait_for_creation(self, show_output=False):
        """Nothing to wait for."""
        if show_output:
            print(f"Package creation Succeeded: {self.location}")

    def serialize(self):
        """What there is to say, as a dict."""
        return {"state": self.state, "location": self.location, "environmentName": getattr(self.environment, "name", None)}
