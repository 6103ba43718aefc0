# SPDX-License-Identifier: Apache-2.0
"""Image: an OCI image in the workspace, built by `sardonyx image build`, without a daemon."""
import abc
import pathlib

from azureml.core import _command
from azureml.core._asset import Asset, listed
from azureml.exceptions import WebserviceException


class Image(Asset, abc.ABC):
    """An image with models and their score.py. Image(workspace, name="digits") is the newest, as a ContainerImage."""

    kind = "image"

    def __new__(cls, workspace, name=None, id=None, tags=None, properties=None, version=None):
        from azureml.core.image.container import ContainerImage
        return object.__new__(ContainerImage)

    def __init__(self, workspace, name=None, id=None, tags=None, properties=None, version=None):
        if not name and not id:
            raise WebserviceException("an image is asked for by its name or its id")
        found = listed("image", workspace, name, tags, properties) if tags or properties else []
        if (tags or properties) and not found:
            raise WebserviceException(f"no version of the image '{name}' has these tags and properties")
        reference = id or (found[0]["id"] if found else f"{name}:{version}" if version is not None else name)
        self._take(workspace, _command.ask("image", "show", reference, workspace=workspace._folder))

    def _take(self, workspace, facts):
        super()._take(workspace, facts)
        self.creation_state, self.image_type, self.image_flavor = "Succeeded", "Docker", "WebApiContainer"
        self.image_location = facts.get("reference") or f"{self.id}@{facts['digest']}"
        self.model_ids = [used.removeprefix("model/") for used in facts["uses"] if used.startswith("model/")]
        self.image_build_log_uri = self.generated_dockerfile_uri = None
        self._facts = facts

    @property
    def models(self):
        """The models in it."""
        from azureml.core.model import Model
        return [Model(self.workspace, id=reference) for reference in self.model_ids]

    @staticmethod
    def create(workspace, name, models, image_config):
        """Builds an image. Before, the script is tried; wait_for_creation(show_output=True) prints what was found."""
        return image_config._create(workspace, name, models)

    def wait_for_creation(self, show_output=False):
        """Nothing to wait for: create() built it. Shows what the dry run of the script found."""
        if show_output:
            print(self.creation_state)
            for line in self._report():
                print(line)
        print(f'Image creation operation finished for image {self.id}, operation "{self.creation_state}"')

    def _report(self):
        """The dry run's findings as lines. An image that was not built by this object has none."""
        script, report = self._facts.get("entry_script", "score.py"), self._facts.get("dry_run") or {}
        for finding in report.get("findings", ()):
            place = f"{script}:{finding['line']}" if finding["line"] else script
            yield f"{place}: {finding['severity']}: {finding['message']}"
            if finding["hint"]:
                yield f"  hint: {finding['hint']}"
        yield from (f"note: {note}" for note in report.get("notes", ()))
        if report.get("answer"):
            answer, repaired = report["answer"], " once it is put right" if report.get("repaired") else ""
            yield f"{script}: run(sample) answers {answer['status']}{repaired}: {answer['body'][:200]}"

    def update_creation_state(self):
        """Nothing changes: the image was there when this object was made."""

    @staticmethod
    def list(workspace, image_name=None, model_name=None, model_id=None, tags=None, properties=None):
        """Images, newest first."""
        found = [Image.deserialize(workspace, facts) for facts in listed("image", workspace, image_name, tags, properties)]
        return [image for image in found if
                (model_id is None or model_id in image.model_ids) and
                (model_name is None or any(m.rpartition(":")[0] == model_name for m in image.model_ids))]

    def update(self, tags):
        """Replaces the tags."""
        self._replace_tags(tags)

    def serialize(self):
        """What there is to say, under the names of the REST interface."""
        return {"id": self.id, "name": self.name, "version": self.version, "description": self.description,
                "tags": self.tags, "properties": self.properties, "createdTime": self.created_time.isoformat(),
                "creationState": self.creation_state, "imageLocation": self.image_location, "imageType": self.image_type,
                "imageFlavor": self.image_flavor, "imageBuildLogUri": self.image_build_log_uri,
                "generatedDockerfileUri": self.generated_dockerfile_uri, "modelIds": self.model_ids,
                "models": [model.serialize() for model in self.models], "workspaceName": self.workspace.name}

    @classmethod
    def deserialize(cls, workspace, image_payload):
        """The image that serialize() or the command told of."""
        from azureml.core.image.container import ContainerImage
        image = object.__new__(ContainerImage)
        complete = "uses" in image_payload
        facts = image_payload if complete else _command.ask("image", "show", image_payload["id"], workspace=workspace._folder)
        image._take(workspace, facts)
        return image

    @staticmethod
    @abc.abstractmethod
    def image_configuration():
        """What an image is made of: ContainerImage.image_configuration."""


def log_file(workspace, image_id, text):
    """Keeps what was said while an image was built; its address."""
    path = pathlib.Path(workspace._folder, ".azureml", "logs", image_id.replace(":", "-") + ".log")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


class ImageConfig(abc.ABC):
    """What an image is made of."""

    @abc.abstractmethod
    def build_create_payload(self, workspace, name, model_ids):
        """The configuration under the names of the REST interface."""

    @abc.abstractmethod
    def validate_configuration(self):
        """Raises where a file is missing or what is asked for cannot be."""
