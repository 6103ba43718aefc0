# SPDX-License-Identifier: Apache-2.0
"""ContainerImage: models, a score.py and its packages in one OCI image, built while create() runs."""
import os

from azureml.core import _command
from azureml.core._scoring import Scoring, build, check_exists
from azureml.core.image.image import Image, ImageConfig, log_file
from azureml.exceptions import WebserviceException


class ContainerImage(Image):
    """An image that any container engine runs, and `Webservice.deploy_from_image` puts into service."""

    @staticmethod
    def image_configuration(execution_script, runtime, conda_file=None, docker_file=None, schema_file=None,
                            dependencies=None, enable_gpu=None, tags=None, properties=None, description=None,
                            base_image=None, base_image_registry=None, cuda_version=None):
        """What the image is made of, checked before anything is built."""
        config = ContainerImageConfig(execution_script, runtime, conda_file, docker_file, schema_file, dependencies,
                                      enable_gpu, tags, properties, description, base_image, base_image_registry,
                                      cuda_version=cuda_version)
        config.validate_configuration()
        return config

    def run(self, input_data):
        """Serves the image here, for one request; the answer."""
        from azureml.core.webservice import LocalWebservice, Webservice
        name = f"try-{self.name}-{os.getpid()}"[:32]
        service = Webservice.deploy_from_image(self.workspace, name, self, LocalWebservice.deploy_configuration())
        try:
            service.wait_for_deployment()
            return service.run(input_data)
        finally:
            service.delete()

    def serialize(self):
        """What there is to say, under the names of the REST interface."""
        return {**super().serialize(), "driverProgram": self._facts.get("entry_script")}


class ContainerImageConfig(ImageConfig):
    """What ContainerImage.image_configuration describes."""

    def __init__(self, execution_script, runtime, conda_file=None, docker_file=None, schema_file=None, dependencies=None,
                 enable_gpu=None, tags=None, properties=None, description=None, base_image=None,
                 base_image_registry=None, allow_absolute_path=False, cuda_version=None):
        self.execution_script, self.runtime, self.conda_file, self.docker_file = execution_script, runtime, conda_file, docker_file
        self.schema_file, self.dependencies, self.enable_gpu = schema_file, dependencies, enable_gpu
        self.tags, self.properties, self.description = tags, properties, description
        self.base_image, self.base_image_registry = base_image, base_image_registry
        self.allow_absolute_path, self.cuda_version = allow_absolute_path, cuda_version

    def _scoring(self):
        files = [*(self.dependencies or ()), *([self.schema_file] if self.schema_file else ())]
        return Scoring(self.execution_script, None, files, self.conda_file, None, self.runtime, self.base_image,
                       self.base_image_registry, self.docker_file, self.enable_gpu or self.cuda_version, self.description)

    def validate_configuration(self):
        if os.path.isabs(self.execution_script) and not self.allow_absolute_path:
            raise WebserviceException(f"the execution script '{self.execution_script}' is expected in the current folder, "
                                      "not by an absolute path")
        if self.schema_file:
            check_exists(self.schema_file, "schema file")
        self._scoring().check()

    def build_create_payload(self, workspace, name, model_ids):
        return {"name": name, "description": self.description, "kvTags": self.tags, "properties": self.properties,
                "imageFlavor": "WebApiContainer", "imageType": "Docker", "modelIds": model_ids,
                "driverProgram": os.path.basename(self.execution_script),
                "targetRuntime": {"runtimeType": self.runtime, "targetArchitecture": "Amd64"}, "baseImage": self.base_image}

    def _create(self, workspace, name, models):
        print("Creating image")
        facts = build(workspace, name, models, self._scoring(), *_command.options("tag", _command.pairs(self.tags)),
                      *_command.options("property", _command.pairs(self.properties)))
        image = Image.deserialize(workspace, facts)
        image.image_build_log_uri = log_file(workspace, image.id, "\n".join(image._report()) + "\n")
        return image
