# SPDX-License-Identifier: Apache-2.0
"""AciWebservice: one instance. In Azure it runs in a container of its own; here `sardonyx service` keeps it running on this
machine, limited to the processors and the memory that were asked for."""
import os

from azureml.core import _command
from azureml.core.webservice.webservice import Webservice, WebserviceDeploymentConfiguration, check_positive, print_given
from azureml.exceptions import WebserviceException

WITHOUT_EFFECT = ("enable_app_insights", "dns_name_label", "collect_model_data", "cmk_vault_base_url", "vnet_name", "location",
                  "ssl_enabled")


class AciWebservice(Webservice):
    """One instance, with keys if asked for."""

    _webservice_type = "ACI"

    @staticmethod
    def deploy_configuration(cpu_cores=None, memory_gb=None, tags=None, properties=None, description=None, location=None,
                             auth_enabled=None, ssl_enabled=None, enable_app_insights=None, ssl_cert_pem_file=None,
                             ssl_key_pem_file=None, ssl_cname=None, dns_name_label=None, primary_key=None,
                             secondary_key=None, collect_model_data=None, cmk_vault_base_url=None, cmk_key_name=None,
                             cmk_key_version=None, vnet_name=None, subnet_name=None):
        """How the service is to run: auth_enabled=True makes keys."""
        return AciServiceDeploymentConfiguration(**locals())

    def run(self, input_data):
        return self._score(input_data)

    def update(self, image=None, tags=None, properties=None, description=None, auth_enabled=None, ssl_enabled=None,
               ssl_cert_pem_file=None, ssl_key_pem_file=None, ssl_cname=None, enable_app_insights=None, models=None,
               inference_config=None):
        """Changes what is given. Another image, or other models, take over without a request lost."""
        _command.warn_of(locals(), *WITHOUT_EFFECT)
        words = [*_command.options("property", _command.pairs(properties)), *_command.option("description", description),
                 *_command.option("auth", None if auth_enabled is None else "key" if auth_enabled else "none")]
        self._update(words, tags, image, models, inference_config)

    def get_token(self):
        raise NotImplementedError("an AciWebservice has keys, not tokens")


class AciServiceDeploymentConfiguration(WebserviceDeploymentConfiguration):
    """What AciWebservice.deploy_configuration describes."""

    def __init__(self, cpu_cores=None, memory_gb=None, tags=None, properties=None, description=None, location=None,
                 auth_enabled=None, ssl_enabled=None, enable_app_insights=None, ssl_cert_pem_file=None,
                 ssl_key_pem_file=None, ssl_cname=None, dns_name_label=None, primary_key=None, secondary_key=None,
                 collect_model_data=None, cmk_vault_base_url=None, cmk_key_name=None, cmk_key_version=None,
                 vnet_name=None, subnet_name=None):
        super().__init__(AciWebservice, description, tags, properties, primary_key, secondary_key, location)
        vars(self).update(_command.arguments(locals()))
        self.validate_configuration()

    def validate_configuration(self):
        check_positive(self, "cpu_cores", "memory_gb")
        if self.ssl_enabled and not (self.ssl_cert_pem_file and self.ssl_key_pem_file and self.ssl_cname):
            raise WebserviceException("SSL is enabled, you must provide a SSL certificate, key, and cname.")
        for path in (self.ssl_cert_pem_file, self.ssl_key_pem_file) if self.ssl_enabled else ():
            if not os.path.exists(path):
                raise WebserviceException(f"Error, unable to find SSL pem file provided paths:\n{path}")
        if bool(self.vnet_name) != bool(self.subnet_name):
            raise WebserviceException("vnet_name and subnet_name must all have values or both are empty/null")

    def _words(self):
        _command.warn_of(vars(self), *WITHOUT_EFFECT)
        return [*self._common_words(), "--target", "local", "--auth", "key" if self.auth_enabled else "none",
                *_command.option("cpu", self.cpu_cores), *_command.option("memory", self.memory_gb)]

    def print_deploy_configuration(self):
        print_given(self)
