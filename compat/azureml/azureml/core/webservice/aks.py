# SPDX-License-Identifier: Apache-2.0
"""AksWebservice and AksEndpoint: services of a Kubernetes cluster, replicated and scaled there. `sardonyx service` writes the
manifests and hands them to kubectl; the cluster takes the image from the registry that SARDONYX_REGISTRY names."""
import os
import re

from azureml.core import _command
from azureml.core.webservice.webservice import Webservice, WebserviceDeploymentConfiguration, check_positive, print_given
from azureml.exceptions import WebserviceException

ONE_VERSION = ("on a cluster one version of a service has all of the traffic: create_version() with traffic_percentile=100 brings "
               "another one into force, `sardonyx service rollback` the one before")
NAMESPACE = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
WITHOUT_EFFECT = ("autoscale_refresh_seconds", "autoscale_target_utilization", "collect_model_data", "enable_app_insights", "gpu_cores",
                  "compute_target_name", "blobfuse_enabled", "cpu_cores_limit", "memory_gb_limit", "scoring_timeout_ms",
                  "replica_max_concurrent_requests", "max_request_wait_time", "period_seconds", "initial_delay_seconds",
                  "timeout_seconds", "success_threshold", "failure_threshold", "version_name", "traffic_percentile")
ONLY_AT_FIRST = ("autoscale_enabled", "autoscale_max_replicas", "namespace")  # said when a service is deployed, and kept
POSITIVE = ("cpu_cores", "memory_gb", "period_seconds", "initial_delay_seconds", "timeout_seconds", "success_threshold",
            "failure_threshold", "scoring_timeout_ms", "replica_max_concurrent_requests", "max_request_wait_time", "num_replicas",
            "autoscale_min_replicas", "autoscale_max_replicas", "autoscale_refresh_seconds", "autoscale_target_utilization")


def size_words(values):
    """Options of `service` that say how much a service is given."""
    replicas = values.get("num_replicas") or values.get("autoscale_min_replicas")
    return [*_command.option("cpu", values.get("cpu_cores")), *_command.option("memory", values.get("memory_gb")),
            *_command.option("replicas", replicas)]


def revision_words(values):
    """Options of `service update`: what is said of a revision, and how much it is given."""
    return [*_command.options("property", _command.pairs(values["properties"])),
            *_command.option("description", values["description"]), *size_words(values)]


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
        _command.warn_of({**given, **kwargs}, *WITHOUT_EFFECT, *ONLY_AT_FIRST, *kwargs)
        words = [*revision_words(given), *auth_word(auth_enabled, token_auth_enabled)]
        self._update(words, tags, image, models, inference_config)

    def get_access_token(self):
        """A token as an object."""
        token, refresh_after = self.get_token()
        return AksServiceAccessToken(token, "Bearer", refresh_after, None)


class AksEndpoint(AksWebservice):
    """A service whose revisions follow one another; at any time one of them has all of the traffic."""

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
        """{number: what is said of a revision}; one of them is in force."""
        return {str(revision["revision"]): revision for revision in self._facts.get("revisions", ())}

    def update(self, auth_enabled=None, token_auth_enabled=None, enable_app_insights=None, description=None, tags=None,
               properties=None):
        """Changes what is given of all versions."""
        _command.warn_of(locals(), *WITHOUT_EFFECT)
        words = [*_command.options("property", _command.pairs(properties)), *_command.option("description", description),
                 *auth_word(auth_enabled, token_auth_enabled)]
        self._update(words, tags)

    def delete_version(self, version_name):
        """A version ends when another one takes over: see create_version."""
        raise WebserviceException(ONE_VERSION)

    def create_version(self, version_name, autoscale_enabled=None, autoscale_min_replicas=None,
                       autoscale_max_replicas=None, autoscale_refresh_seconds=None, autoscale_target_utilization=None,
                       collect_model_data=None, cpu_cores=None, memory_gb=None, scoring_timeout_ms=None,
                       replica_max_concurrent_requests=None, max_request_wait_time=None, num_replicas=None, tags=None,
                       properties=None, description=None, models=None, inference_config=None, gpu_cores=None,
                       period_seconds=None, initial_delay_seconds=None, timeout_seconds=None, success_threshold=None,
                       failure_threshold=None, traffic_percentile=None, is_default=None, is_control_version_type=None,
                       cpu_cores_limit=None, memory_gb_limit=None):
        """Another version, which takes over all of the traffic without a request lost; versions are not kept side by side."""
        if traffic_percentile != 100 and not is_default:
            raise WebserviceException(ONE_VERSION)
        given = locals()
        _command.warn_of(given, *(name for name in WITHOUT_EFFECT if name != "traffic_percentile"), *ONLY_AT_FIRST)
        self._update(revision_words(given), tags, models=models, inference_config=inference_config)

    def update_version(self, version_name, autoscale_enabled=None, autoscale_min_replicas=None,
                       autoscale_max_replicas=None, autoscale_refresh_seconds=None, autoscale_target_utilization=None,
                       collect_model_data=None, cpu_cores=None, memory_gb=None, scoring_timeout_ms=None,
                       replica_max_concurrent_requests=None, max_request_wait_time=None, num_replicas=None, tags=None,
                       properties=None, description=None, models=None, inference_config=None, gpu_cores=None,
                       period_seconds=None, initial_delay_seconds=None, timeout_seconds=None, success_threshold=None,
                       failure_threshold=None, traffic_percentile=None, is_default=None, is_control_version_type=None,
                       cpu_cores_limit=None, memory_gb_limit=None):
        """Versions are not changed, others follow them: see create_version."""
        raise WebserviceException(ONE_VERSION)


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
        super().__init__(AksWebservice, description, tags, properties, primary_key, secondary_key)
        vars(self).update(_command.arguments(locals()))
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
        _command.warn_of(vars(self), *WITHOUT_EFFECT)
        key = True if self.auth_enabled is None else self.auth_enabled
        return [*self._common_words(), "--target", "kubernetes", *auth_word(key, self.token_auth_enabled), *size_words(vars(self)),
                *_command.option("max-replicas", self.autoscale_max_replicas or self.num_replicas), *_command.option("namespace", self.namespace),
                *_command.option("registry", os.environ.get("SARDONYX_REGISTRY"))]

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
        given = _command.arguments(locals())
        own = ("version_name", "traffic_percentile")
        super().__init__(**{key: value for key, value in given.items() if key not in own})
        self._webservice_type, self.version_name, self.traffic_percentile = AksEndpoint, version_name, traffic_percentile
        self.validate_endpoint_configuration()

    def validate_endpoint_configuration(self):
        if self.traffic_percentile is not None and not 0 <= self.traffic_percentile <= 100:
            raise WebserviceException("Invalid configuration, traffic_percentile must be between 0 and 100.")
