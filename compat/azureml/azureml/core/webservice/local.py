# SPDX-License-Identifier: Apache-2.0
"""LocalWebservice: a service of this machine, without keys."""
from azureml.core import _command
from azureml.core.webservice.webservice import Webservice, WebserviceDeploymentConfiguration, print_given
from azureml.exceptions import WebserviceException


class LocalWebservice(Webservice):
    """A service of this machine."""

    _webservice_type = "Local"
    STATE_DELETED, STATE_DEPLOYING, STATE_FAILED, STATE_RUNNING, STATE_UNKNOWN = "deleted", "deploying", "failed", "running", "unknown"

    def __new__(cls, *args, **kwargs):
        return object.__new__(cls)

    def __init__(self, workspace, name, must_exist=True):
        self.workspace, self.name, self.state, self.error, self._facts = workspace, name, self.STATE_UNKNOWN, None, {}
        self.update_deployment_state(must_exist)

    def delete(self, delete_cache=True, delete_image=False, delete_volume=True):
        """Ends the service; with delete_image its image goes, too."""
        image = self.image if delete_image else None
        super().delete()
        self.state = self.STATE_DELETED
        if image:
            image.delete()

    @staticmethod
    def deploy_configuration(port=None):
        """A service on a port of this machine; on a free one unless it is given."""
        return LocalWebserviceDeploymentConfiguration(port)

    def deploy_to_cloud(self, name=None, deployment_config=None, deployment_target=None):
        """Deploys the same image in another way."""
        return Webservice.deploy_from_image(self.workspace, name or self.name, self.image, deployment_config, deployment_target)

    @classmethod
    def deserialize(cls, workspace, webservice_payload):
        return LocalWebservice(workspace, webservice_payload["name"])

    def get_keys(self):
        raise NotImplementedError("a LocalWebservice has no keys")

    def regen_key(self, key):
        raise NotImplementedError("a LocalWebservice has no keys")

    def get_token(self):
        raise NotImplementedError("a LocalWebservice has no tokens")

    def get_logs(self, num_lines=5000, raw=False):
        return super().get_logs(num_lines)

    @staticmethod
    def list(workspace, model_name=None, model_id=None, all=None):
        return Webservice.list(workspace, compute_type="Local", model_name=model_name, model_id=model_id)

    @property
    def port(self):
        return self._facts.get("port")

    def reload(self, wait=False):
        """Starts again."""
        _command.tell("service", "stop", self.name, workspace=self.workspace._folder)
        self._ask("start", self.name, reports=True)
        self.update_deployment_state()
        if wait:
            self.wait_for_deployment()

    def run(self, input_data):
        return self._score(input_data)

    def serialize(self):
        return {**super().serialize(), "port": self.port}

    def update(self, models=None, image_config=None, deployment_config=None, wait=False, inference_config=None):
        """Other models, or another script, take over. The port stays."""
        if getattr(deployment_config, "port", None) not in (None, self.port):
            raise WebserviceException(f"the service '{self.name}' keeps its port {self.port}: deploying it again, with overwrite=True, "
                                      "gives it another one")
        if image_config is not None:
            from azureml.core.image import ContainerImage
            image = ContainerImage.create(self.workspace, self.name, models or self.models, image_config)
            self._update([], image=image)
        else:
            self._update([], models=models or (self.models if inference_config else None), inference_config=inference_config)
        if wait:
            self.wait_for_deployment()

    def update_deployment_state(self, must_exist=False):
        """Looks what has become of it."""
        try:
            super().update_deployment_state()
        except WebserviceException:
            if must_exist:
                raise
            self.state = self.STATE_UNKNOWN

    def wait_for_deployment(self, show_output=False):
        super().wait_for_deployment(show_output)


class LocalWebserviceDeploymentConfiguration(WebserviceDeploymentConfiguration):
    """What LocalWebservice.deploy_configuration describes."""

    def __init__(self, port=None):
        super().__init__(LocalWebservice)
        self.port = port
        self.validate_configuration()

    def _words(self):
        return [*self._common_words(), "--target", "local", "--auth", "none", *_command.option("port", self.port)]

    def validate_configuration(self):
        if self.port is not None and not (isinstance(self.port, int) and 0 < self.port < 65536):
            raise WebserviceException(f"Invalid configuration, port must be an integer between 1 and 65535, not {self.port!r}.")

    def print_deploy_configuration(self):
        print_given(self)
