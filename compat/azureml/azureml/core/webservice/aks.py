# SPDX-License-Identifier: Apache-2.0
"""AksWebservice: a service of a Kubernetes cluster, replicated and scaled there; AksEndpoint: several versions of one behind
one address. `sardonyx service` writes the manifests and hands them to kubectl."""
import re

from azureml.core import _command
from azureml.core.webservice.webservice import (Webservice, WebserviceDeploymentConfiguration, check_positive, models_words,
                                                print_given, warn_of)
from azureml.exceptions import WebserviceException

NAMESPACE = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
WITHOUT_EFFECT = ("autoscale_refresh_seconds", "collect_model_data", "enable_app_insights", "gpu_cores", "compute_target_name",
                  "blobfuse_enabled")
POSITIVE = ("cpu_cores", "memory_gb", "period_seconds", "initial_delay_seconds", "timeout_seconds", "success_threshold",
            "failure_threshold", "scoring_timeout_ms", "replica_max_concurrent_requests", "max_request_wait_time", "num_replicas",
            "autoscale_min_replicas", "autoscale_max_replicas", "autoscale_refresh_seconds", "autoscale_target_utilization")
# The options of `service` that a field becomes.
OPTIONS = {"cpu_cores": "cpu", "memory_gb": "memory", "cpu_cores_limit": "cpu-limit", "memory_gb_limit": "memory-limit",
           "num_replicas": "replicas", "autoscale_min_replicas": "min-replicas", "autoscale_max_replicas": "max-replicas",
           "autoscale_target_utilization": "target-utilization", "namespace": "namespace"}


def option_words(values):
    """Options of `service` out of the fields that are given."""
    return [word for field, name in OPTIONS.items() for word in _command.option(name, values.get(field))]


def auth_word(key, token):
    """--auth, where one of both is given."""
    return _command.option("auth", "token" if token else None if key is None else "key" if key else "none")


class AksWebservice(Webservice):
    """A replicated service, with keys unless they are refused."""

    _webservice_type = "AKS"

    @staticmethod
    def deploy_configuration(autoscale_enabled=None, autoscale_min_replicas=None, autoscale_max_replicas=None,
                             autoscale_refresh_seconds=None, autoscale_target_utilization=None, collect_model_data=None,
                             auth_enabled=None, cpu_cores=None, memory_gb=None, enable_app_insights=None,
                             scoring_timeout_ms=None, replica_max_concurrent_requests=None, max_request_wait_time=None,
                             num_replicas=None, primary_key=None, secondary_key=None, tags=None, properties=None,
                             description=None, gpu_cores=None, period_seconds=None, initial_delay_seconds=None,
                             timeout_seconds=None, success_threshold=None, failure_threshold=None, namespace=None,
                             token_auth_enabled=None, compute_target_name=None, cpu_cores_limit=None,
                             memory_gb_limit=None, blobfuse_enabled=None):
        """How the service is to run. It scales by itself unless num_replicas is given."""
        return AksServiceDeploymentConfiguration(**locals())

    def run(self, input_data):
        return self._score(input_data)

    def update(self, image=None, autoscale_enabled=None, autoscale_min_replicas=None, autoscale_max_replicas=None,
               autoscale_refresh_seconds=None, autoscale_target_utilization=None, collect_model_data=None,
               auth_enabled=None, cpu_cores=None, memory_gb=None, enable_app_insights=None, scoring_timeout_ms=None,
               replica_max_concurrent_requests=None, max_request_wait_time=None, num_replicas=None, tags=None,
               properties=None, description=None, models=None, inference_config=None, gpu_cores=None,
               period_seconds=None, initial_delay_seconds=None, timeout_seconds=None, success_threshold=None,
               failure_threshold=None, namespace=None, token_auth_enabled=None, cpu_cores_limit=None,
               memory_gb_limit=None, **kwargs):
        """Changes what is given. Another image, or other models, take over without a request lost."""
        given = locals()
        words = [*_command.options("property", _command.pairs(properties)), *_command.option("description", description),
                 *auth_word(auth_enabled, token_auth_enabled), *option_words(given)]
        self._update(words, tags, image, models, inference_config)

    def get_access_token(self):
        """A token as an object."""
        token, refresh_after = self.get_token()
        return AksServiceAccessToken(token, "Bearer", refresh_after, None)


class AksEndpoint(AksWebservice):
    """Versions of a service behind one address, each with its share of the traffic."""

    _webservice_type = "AKSENDPOINT"

    class VersionType:
        """What a version is for in a comparison."""

        control = "Control"
        treatment = "Treatment"

    @staticmethod
    def deploy_configuration(autoscale_enabled=None, autoscale_min_replicas=None, autoscale_max_replicas=None,
                             autoscale_refresh_seconds=None, autoscale_target_utilization=None, collect_model_data=None,
                             auth_enabled=None, cpu_cores=None, memory_gb=None, enable_app_insights=None,
                             scoring_timeout_ms=None, replica_max_concurrent_requests=None, max_request_wait_time=None,
                             num_replicas=None, primary_key=None, secondary_key=None, tags=None, properties=None,
                             description=None, gpu_cores=None, period_seconds=None, initial_delay_seconds=None,
                             timeout_seconds=None, success_threshold=None, failure_threshold=None, namespace=None,
                             token_auth_enabled=None, version_name=None, traffic_percentile=None,
                             compute_target_name=None, cpu_cores_limit=None, memory_gb_limit=None):
        """How the first version is to run, what it is called, and its share of the traffic in percent."""
        return AksEndpointDeploymentConfiguration(**locals())

    @property
    def versions(self):
        """{name: what is said of a version}."""
        return {version["name"]: version for version in self._facts.get("versions", ())}

    def update(self, auth_enabled=None, token_auth_enabled=None, enable_app_insights=None, description=None, tags=None,
               properties=None):
        """Changes what is given of all versions."""
        words = [*_command.options("property", _command.pairs(properties)), *_command.option("description", description),
                 *auth_word(auth_enabled, token_auth_enabled)]
        self._update(words, tags)

    def delete_version(self, version_name):
        """Takes a version away; the others take its traffic."""
        self._take(self.workspace, self._ask("update", self.name, "--remove-version", version_name))

    def create_version(self, version_name, autoscale_enabled=None, autoscale_min_replicas=None,
                       autoscale_max_replicas=None, autoscale_refresh_seconds=None, autoscale_target_utilization=None,
                       collect_model_data=None, cpu_cores=None, memory_gb=None, scoring_timeout_ms=None,
                       replica_max_concurrent_requests=None, max_request_wait_time=None, num_replicas=None, tags=None,
                       properties=None, description=None, models=None, inference_config=None, gpu_cores=None,
                       period_seconds=None, initial_delay_seconds=None, timeout_seconds=None, success_threshold=None,
                       failure_threshold=None, traffic_percentile=None, is_default=None, is_control_version_type=None,
                       cpu_cores_limit=None, memory_gb_limit=None):
        """Another version beside those that are there."""
        self._version(locals())

    def update_version(self, version_name, autoscale_enabled=None, autoscale_min_replicas=None,
                       autoscale_max_replicas=None, autoscale_refresh_seconds=None, autoscale_target_utilization=None,
                       collect_model_data=None, cpu_cores=None, memory_gb=None, scoring_timeout_ms=None,
                       replica_max_concurrent_requests=None, max_request_wait_time=None, num_replicas=None, tags=None,
                       properties=None, description=None, models=None, inference_config=None, gpu_cores=None,
                       period_seconds=None, initial_delay_seconds=None, timeout_seconds=None, success_threshold=None,
                       failure_threshold=None, traffic_percentile=None, is_default=None, is_control_version_type=None,
                       cpu_cores_limit=None, memory_gb_limit=None):
        """Changes what is given of a version."""
        self._version(locals())

    def _version(self, given):
        models = given["models"]
        words = [] if models is None else models_words(self.workspace, self.name, models, given["inference_config"])
        share = _command.option("traffic", given["traffic_percentile"])
        words = ["--version", given["version_name"], *words, *share, *option_words(given)]
        self._take(self.workspace, self._ask("update", self.name, *words))


class AksServiceAccessToken:
    """A token and until when it serves."""

    def __init__(self, access_token, token_type, refresh_after, expiry_on):
        self.access_token, self.token_type, self.refresh_after, self.expiry_on = access_token, token_type, refresh_after, expiry_on


class AksServiceDeploymentConfiguration(WebserviceDeploymentConfiguration):
    """What AksWebservice.deploy_configuration describes."""

    def __init__(self, autoscale_enabled, autoscale_min_replicas, autoscale_max_replicas, autoscale_refresh_seconds,
                 autoscale_target_utilization, collect_model_data, auth_enabled, cpu_cores, memory_gb,
                 enable_app_insights, scoring_timeout_ms, replica_max_concurrent_requests, max_request_wait_time,
                 num_replicas, primary_key, secondary_key, tags, properties, description, gpu_cores, period_seconds,
                 initial_delay_seconds, timeout_seconds, success_threshold, failure_threshold, namespace,
                 token_auth_enabled, compute_target_name, cpu_cores_limit, memory_gb_limit, blobfuse_enabled=None):
        given = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        super().__init__(AksWebservice, description, tags, properties, primary_key, secondary_key)
        vars(self).update(given)
        self.validate_configuration()

    def validate_configuration(self):
        check_positive(self, *POSITIVE)
        scaling = [name for name in ("autoscale_min_replicas", "autoscale_max_replicas", "autoscale_refresh_seconds",
                                     "autoscale_target_utilization") if getattr(self, name)]
        low, high = self.autoscale_min_replicas, self.autoscale_max_replicas
        wrong = [f"{name}_limit must be greater than or equal to {name}." for name in ("cpu_cores", "memory_gb")
                 if getattr(self, name) and getattr(self, f"{name}_limit") and getattr(self, f"{name}_limit") < getattr(self, name)]
        if self.namespace and not re.fullmatch(NAMESPACE, self.namespace):
            wrong.append(f"namespace must be a valid Kubernetes namespace: {NAMESPACE}")
        if self.autoscale_enabled and self.num_replicas:
            wrong.append("autoscale enabled and num_replicas provided.")
        if self.autoscale_enabled and low and high and low > high:
            wrong.append("autoscale_min_replicas cannot be greater than autoscale_max_replicas.")
        if self.autoscale_enabled is False and not self.num_replicas:
            wrong.append("autoscale disabled but num_replicas not provided.")
        if not self.autoscale_enabled:
            wrong += [f"{name} provided without enabling autoscaling." for name in scaling]
        if self.token_auth_enabled and self.auth_enabled:
            wrong.append("auth_enabled and token_auth_enabled cannot both be true.")
        if wrong:
            raise WebserviceException("".join(f"Invalid configuration, {text}\n" for text in wrong))

    def _words(self):
        warn_of(self, *WITHOUT_EFFECT)
        key = True if self.auth_enabled is None else self.auth_enabled
        return [*self._common_words(), "--target", "kubernetes", *auth_word(key, self.token_auth_enabled), *option_words(vars(self))]

    def print_deploy_configuration(self):
        print_given(self)


class AksEndpointDeploymentConfiguration(AksServiceDeploymentConfiguration):
    """What AksEndpoint.deploy_configuration describes."""

    def __init__(self, autoscale_enabled, autoscale_min_replicas, autoscale_max_replicas, autoscale_refresh_seconds,
                 autoscale_target_utilization, collect_model_data, auth_enabled, cpu_cores, memory_gb,
                 enable_app_insights, scoring_timeout_ms, replica_max_concurrent_requests, max_request_wait_time,
                 num_replicas, primary_key, secondary_key, tags, properties, description, gpu_cores, period_seconds,
                 initial_delay_seconds, timeout_seconds, success_threshold, failure_threshold, namespace,
                 token_auth_enabled, version_name, traffic_percentile, compute_target_name, cpu_cores_limit,
                 memory_gb_limit):
        given = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        own = ("version_name", "traffic_percentile")
        super().__init__(**{key: value for key, value in given.items() if key not in own})
        self._webservice_type, self.version_name, self.traffic_percentile = AksEndpoint, version_name, traffic_percentile
        self.validate_endpoint_configuration()

    def validate_endpoint_configuration(self):
        if self.traffic_percentile is not None and not 0 <= self.traffic_percentile <= 100:
            raise WebserviceException("Invalid configuration, traffic_percentile must be between 0 and 100.")

    def _words(self):
        return [*super()._words(), *_command.option("version", self.version_name), *_command.option("traffic", self.traffic_percentile)]
