# SPDX-License-Identifier: Apache-2.0
"""Webservice: models behind HTTP, kept running by `sardonyx service`. deploy*() start one; what they return knows its
address and keys, and wait_for_deployment() waits until it answers."""
import abc
import datetime
import functools
import json
import math
import re
import sys
import urllib.error
import urllib.request

from azureml.core import _command
from azureml.core._asset import Asset, listed, moment
from azureml.core._scoring import build, references
from azureml.exceptions import WebserviceException

FIXED = ("target", "port", "namespace", "registry", "max-replicas")  # what `service deploy` alone takes
KIND = "azureml.kind"  # the property that says as which class a service was deployed
LONGEST_WAIT_SECONDS = 3600


def kinds():
    """{compute type: class}."""
    from azureml.core.webservice import AciWebservice, AksEndpoint, AksWebservice, LocalWebservice
    return {kind._webservice_type: kind for kind in (AciWebservice, AksWebservice, AksEndpoint, LocalWebservice)}


class Webservice(Asset, abc.ABC):
    """A service. Webservice(workspace, name) is one that is there, as the class it was deployed as."""

    kind = "service"
    _webservice_type = None

    def __new__(cls, workspace, name):
        if cls is not Webservice:
            return object.__new__(cls)
        return Webservice._of(workspace, _command.ask("service", "show", name, workspace=workspace._folder))

    def __init__(self, workspace, name):
        if not hasattr(self, "workspace"):
            self._take(workspace, _command.ask("service", "show", name, workspace=workspace._folder))

    @staticmethod
    def _of(workspace, facts):
        by_target = "AKS" if facts.get("target") == "kubernetes" else "ACI"
        made = object.__new__(kinds().get(facts.get("properties", {}).get(KIND, by_target), kinds()[by_target]))
        made._take(workspace, facts)
        return made

    def __repr__(self):
        shown = ("workspace", "name", "image_id", "compute_type", "state", "scoring_uri", "tags", "properties", "created_by")
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name, None)}' for name in shown)})"

    @property
    def _reference(self):
        return self.name

    def _take(self, workspace, facts):
        super()._take(workspace, {"id": facts["name"], **facts})
        self.state, self.error, self._facts = facts["state"], facts.get("error"), facts
        self.auth_enabled, self.token_auth_enabled = facts.get("auth") == "key", facts.get("auth") == "token"
        self.updated_time, self.compute_type = moment(facts.get("modified")), self._webservice_type
        self.image_id = facts.get("image")

    def _take_words(self, facts):
        super()._take_words(facts)
        self.properties = {key: value for key, value in self.properties.items() if key != KIND}

    @property
    def image(self):
        """The image it is made of, or None."""
        from azureml.core.image import Image
        return Image(self.workspace, id=self.image_id) if self.image_id else None

    @property
    def image_digest(self):
        return self._facts.get("image") and self.image._facts["digest"]

    @property
    def models(self):
        """The models that it was deployed with, or those of its image."""
        from azureml.core.model import Model
        names = self._facts.get("models") or ()
        return [Model(self.workspace, id=name) for name in names] or (self.image.models if self.image_id else [])

    @property
    def scoring_uri(self):
        return self._facts.get("scoring_uri")

    @property
    def swagger_uri(self):
        return self._facts.get("swagger_uri")

    @staticmethod
    def deploy(workspace, name, model_paths, image_config, deployment_config=None, deployment_target=None, overwrite=False):
        """Registers the files, builds an image of them and deploys it."""
        from azureml.core.image import ContainerImage
        from azureml.core.model import Model

        def words():
            models = [Model.register(workspace, path, re.sub(r"\W+", "-", path.rstrip("/").rpartition("/")[2]).strip("-"))
                      for path in model_paths]
            return image_words(ContainerImage.create(workspace, name, models, image_config).id)

        return _deploy(workspace, name, words, deployment_config, deployment_target, overwrite)

    @staticmethod
    def deploy_from_model(workspace, name, models, image_config, deployment_config=None, deployment_target=None,
                          overwrite=False):
        """Builds an image of registered models and deploys it."""
        from azureml.core.image import ContainerImage
        return _deploy(workspace, name, lambda: image_words(ContainerImage.create(workspace, name, models, image_config).id),
                       deployment_config, deployment_target, overwrite)

    @staticmethod
    def deploy_from_image(workspace, name, image, deployment_config=None, deployment_target=None, overwrite=False):
        """Puts an image into service."""
        return _deploy(workspace, name, lambda: image_words(image.id), deployment_config, deployment_target, overwrite)

    @staticmethod
    def deploy_local_from_model(workspace, name, models, image_config, deployment_config=None, wait=False):
        """deploy_from_model on this machine."""
        from azureml.core.webservice import LocalWebservice
        config = deployment_config or LocalWebservice.deploy_configuration()
        service = Webservice.deploy_from_model(workspace, name, models, image_config, config)
        if wait:
            service.wait_for_deployment()
        return service

    @staticmethod
    def check_for_existing_webservice(workspace, name, overwrite=False, request_func=None, check_func=None):
        """Raises where a service has that name already and is not to be replaced."""
        if not overwrite and any(service["name"] == name for service in listed("service", workspace)):
            raise WebserviceException(f"there is a service '{name}' already; overwrite=True replaces it, its update() changes it")

    def wait_for_deployment(self, show_output=False, timeout_sec=None):
        """Waits until it answers. Where it does not come up, the exception says why: what was raised, the line, the log."""
        if show_output:
            print("Running", end="", flush=True)
        more = {"each_second": functools.partial(print, ".", end="", flush=True)} if show_output else {}
        limit = max(1, math.ceil(timeout_sec)) if timeout_sec else LONGEST_WAIT_SECONDS
        try:
            self._take(self.workspace, self._ask("show", self.name, "--wait", "--timeout", limit, reports=True, **more))
        finally:
            if show_output:
                print()
        if self.state != "Healthy":
            why = "\n".join([json.dumps(self.error or self._facts.get("trouble"), indent=2), *self._facts.get("log", ())])
            raise WebserviceException("Service deployment polling reached non-successful terminal state, current service state: "
                                      f"{self.state}\nError:\n{why}")
        print(f'{self._webservice_type} service creation operation finished, operation "Succeeded"')

    def update_deployment_state(self):
        """Looks what has become of it."""
        self._take(self.workspace, self._ask("show", self.name))

    @staticmethod
    def list(workspace, compute_type=None, image_name=None, image_id=None, model_name=None, model_id=None, tags=None,
             properties=None, image_digest=None):
        """Services of the workspace."""
        found = [Webservice._of(workspace, facts) for facts in listed("service", workspace, None, tags, properties)]

        def wanted(service):
            models = [model.id for model in service.models] if model_name or model_id else []
            image_is = (service.image_id or "").rpartition(":")[0]
            return ((compute_type is None or service.compute_type == compute_type) and
                    (image_id is None or service.image_id == image_id) and (image_name is None or image_is == image_name) and
                    (image_digest is None or service.image_digest == image_digest) and (model_id is None or model_id in models) and
                    (model_name is None or model_name in [model.rpartition(":")[0] for model in models]))

        return [service for service in found if wanted(service)]

    def get_logs(self, num_lines=5000, init=False):
        """The end of its log: what the script printed, exceptions with their lines."""
        return _command.tell("service", "logs", self.name, "--lines", num_lines, workspace=self.workspace._folder)

    @abc.abstractmethod
    def run(self, input):
        """Sends a request; the answer, read as JSON."""

    def _headers(self):
        key = self.get_keys()[0] if self.auth_enabled else self.get_token()[0] if self.token_auth_enabled else None
        return {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}

    def _score(self, body):
        if not self.scoring_uri:
            raise WebserviceException(f"the service '{self.name}' has no address yet: it is {self.state}, error {self.error}")
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        try:
            with urllib.request.urlopen(urllib.request.Request(self.scoring_uri, data, self._headers())) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise WebserviceException("Received bad response from service. More information can be found by calling "
                                      f"`.get_logs()` on the webservice object.\nResponse Code: {error.code}\n"
                                      f"Headers: {dict(error.headers)}\nContent: {error.read()}", error.code) from None
        except OSError as error:
            raise WebserviceException(f"the service '{self.name}' does not answer at {self.scoring_uri}: {error}") from None

    def get_keys(self):
        """(primary, secondary)."""
        keys = self._ask("keys", self.name)
        return keys["primary"], keys["secondary"]

    def regen_key(self, key, set_key=None):
        """Makes a new key, which takes effect at once: 'Primary' or 'Secondary'."""
        if not key or key.lower() not in ("primary", "secondary"):
            raise WebserviceException(f"Error, invalid value provided for key: {key}.\nValid options are: Primary, Secondary")
        self._ask("keys", self.name, "--regenerate", key.lower(), *_command.option("key", set_key and "-"), given=set_key)

    def get_token(self):
        """(token, time from which another one should be asked for)."""
        facts, now = self._ask("token", self.name), datetime.datetime.now(datetime.timezone.utc)
        return facts["token"], now + datetime.timedelta(seconds=facts["expires_in"] / 2)

    @abc.abstractmethod
    def update(self, *args):
        """Changes what is described of it."""

    def _update(self, words, tags=None, image=None, models=None, inference_config=None):
        """`words`: options of `service update`. Another image, or models, take over without a request lost; tags are theirs."""
        words = [*words, *(self._exactly(tags) if tags is not None else ())]
        if image is not None:
            words = [*image_words(image.id), *words]
        elif models is not None:
            words = [*models_words(self.workspace, self.name, models, inference_config), *words]
        if words:
            self._take(self.workspace, self._ask("update", self.name, *words, reports=True))

    def serialize(self):
        """What there is to say, under the names of the REST interface."""
        return {"name": self.name, "description": self.description, "tags": self.tags, "properties": self.properties,
                "state": self.state, "createdTime": self.created_time and self.created_time.isoformat(),
                "updatedTime": self.updated_time and self.updated_time.isoformat(), "error": self.error,
                "computeType": self.compute_type, "workspaceName": self.workspace.name, "imageId": self.image_id,
                "imageDigest": self.image_digest, "scoringUri": self.scoring_uri, "swaggerUri": self.swagger_uri,
                "authEnabled": self.auth_enabled, "aadAuthEnabled": self.token_auth_enabled}

    @classmethod
    def deserialize(cls, workspace, webservice_payload):
        """The service that serialize() told of."""
        return Webservice(workspace, webservice_payload["name"])


class WebserviceDeploymentConfiguration(abc.ABC):
    """How a service is to run. `_words` are options of `service deploy`."""

    def __init__(self, type, description=None, tags=None, properties=None, primary_key=None, secondary_key=None, location=None):
        self._webservice_type, self.description, self.tags, self.properties = type, description, tags, properties
        self.primary_key, self.secondary_key, self.location = primary_key, secondary_key, location

    def _common_words(self):
        kind = self._webservice_type._webservice_type
        return [*_command.options("tag", _command.pairs(self.tags)), *_command.option("description", self.description),
                *_command.options("property", [f"{KIND}={kind}", *_command.pairs(self.properties)])]

    @abc.abstractmethod
    def validate_configuration(self):
        """Raises where it contradicts itself."""

    @abc.abstractmethod
    def print_deploy_configuration(self):
        """Prints what it describes."""

    @classmethod
    def validate_image(cls, image):
        """Raises where the image is not there yet."""
        if image.creation_state != "Succeeded":
            raise WebserviceException(f"the image {image.id} is {image.creation_state}")


def print_given(configuration):
    """The values that were given, one a line."""
    for name, value in vars(configuration).items():
        if value is not None and not name.startswith("_"):
            print(f"{name}: {value}")


def check_positive(configuration, *names):
    """Raises for numbers that are not above zero."""
    wrong = [name for name in names if getattr(configuration, name) is not None and getattr(configuration, name) <= 0]
    if wrong:
        raise WebserviceException("\n".join(f"Invalid configuration, {name} must be greater than zero." for name in wrong))


def image_words(image_id):
    """Options that say which image answers, and by which Python."""
    return ["--image", image_id, "--python", sys.executable]


def models_words(workspace, name, models, inference_config):
    """Options that say what answers: an image with the script, or the models by themselves."""
    if inference_config is None:
        return references(models)
    return image_words(build(workspace, name, models, inference_config._scoring())["id"])


def deploy_models(workspace, name, models, inference_config, config, target, overwrite):
    """Model.deploy."""
    return _deploy(workspace, name, lambda: models_words(workspace, name, models, inference_config), config, target, overwrite)


def without(words, *names):
    """Options and their values, but not those of the names."""
    pairs = zip(words[::2], words[1::2])
    return [word for option, value in pairs if option[2:] not in names for word in (option, value)]


def _fits(there, words):
    """Whether a service goes on in its place as another revision: no request is lost then."""
    wanted = dict(zip(words[::2], words[1::2]))
    return (there["target"] == wanted["--target"] and wanted.get("--port", str(there["port"])) == str(there["port"]) and
            wanted.get("--namespace", there.get("namespace")) == there.get("namespace"))


def _deploy(workspace, name, words, config, target, overwrite):
    """Starts a service, in the place of the one of this name if `overwrite`. `words` makes the options that say what answers; as
    that may take the building of an image, it is called when all else is found to be right."""
    from azureml.core.webservice import AciWebservice, AksWebservice
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,30}[a-z0-9])?", name) or len(name) < 3:
        raise WebserviceException(f"the name '{name}' is expected to have 3 to 32 characters, lower case letters, digits and dashes, "
                                  "and to begin with a letter")
    config = config or (AksWebservice if target else AciWebservice).deploy_configuration()
    config.validate_configuration()
    Webservice.check_for_existing_webservice(workspace, name, overwrite)
    there = next((facts for facts in listed("service", workspace) if facts["name"] == name), None)
    what, how = words(), config._words()
    print("Creating service")
    if there and _fits(there, how):
        tags = Webservice._of(workspace, there)._exactly(config.tags or {})
        facts = _command.ask("service", "update", name, *what, *without(how, *FIXED), *tags, workspace=workspace._folder, reports=True)
    else:
        if there:
            _command.tell("service", "delete", name, workspace=workspace._folder)
        facts = _command.ask("service", "deploy", name, *what, *how, workspace=workspace._folder, reports=True)
    service = Webservice._of(workspace, facts)
    for which, key in (("Primary", config.primary_key), ("Secondary", config.secondary_key)):
        if key:
            service.regen_key(which, key)
    return service
