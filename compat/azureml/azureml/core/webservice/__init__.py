# SPDX-License-Identifier: Apache-2.0
"""Services: webservice.py what every service has; local.py, aci.py and aks.py how each kind is described, and where it runs."""
from azureml.core.webservice.aci import AciWebservice
from azureml.core.webservice.aks import AksEndpoint, AksWebservice
from azureml.core.webservice.local import LocalWebservice
from azureml.core.webservice.webservice import Webservice

__all__ = ["AciWebservice", "AksEndpoint", "AksWebservice", "LocalWebservice", "Webservice"]
